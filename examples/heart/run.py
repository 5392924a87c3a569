"""Four real hospitals, one heart-disease model: the same six steps as `make demo`, on published data.

    .venv/bin/python examples/heart/run.py FOLDER

FOLDER holds processed.cleveland.data, processed.hungarian.data, processed.switzerland.data and
processed.va.data as the UCI Machine Learning Repository publishes them (Heart Disease, CC BY 4.0).
One person in three is held back at every hospital, in the order of the file.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from atoll.client import Hub
from atoll.demo import network
from atoll.errors import AtollError
from atoll.governance.signatures import new_key, sign_study
from atoll.hub import home as hub_home
from atoll.local import Network
from atoll.study.dictionary import Column
from atoll.study.protocol import read

SITES = ("cleveland", "hungarian", "switzerland", "va")
FIELDS = [
    "age",
    "sex",
    "cp",
    "trestbps",
    "chol",
    "fbs",
    "restecg",
    "thalach",
    "exang",
    "oldpeak",
    "slope",
    "ca",
    "thal",
    "num",
]
COLUMNS = {
    "age": Column("number", unit="a", low=18, high=100),
    "sex": Column("flag", label="male"),
    "cp": Column("category", levels=("1", "2", "3", "4"), label="type of chest pain"),
    "trestbps": Column("number", unit="mm[Hg]", low=0, high=260, label="resting blood pressure"),
    "chol": Column("number", unit="mg/dL", low=0, high=700, label="cholesterol"),
    "fbs": Column("flag", label="fasting glucose above 120 mg/dL"),
    "restecg": Column("category", levels=("0", "1", "2"), label="resting ECG"),
    "thalach": Column("number", unit="/min", low=0, high=250, label="highest heart rate"),
    "exang": Column("flag", label="angina on exercise"),
    "oldpeak": Column("number", unit="mm", low=-10, high=10, label="ST depression"),
    "disease": Column("flag", label="coronary disease"),
}
FORMULA = "disease ~ age + sex + C(cp) + trestbps + chol + fbs + C(restecg) + thalach + exang + oldpeak"
STUDY = """\
atoll: 1
title: Coronary disease from a bedside examination
purpose: To teach one model on four hospitals' published patients and judge it on those held back.
investigator: {{name: Example Investigator, organisation: Atoll}}
sites:
{sites}
datasets:
  taught: {{columns: {columns}}}
  heldback: {{columns: {columns}}}
analyses:
  model: {{algorithm: glm, dataset: taught, formula: "{formula}", family: binomial}}
  judged: {{algorithm: performance, dataset: heldback, model: model, outcome: disease}}
privacy: {{public: true}}
valid: {{from: {first}, until: {last}}}
"""
CITED = "Published research data: UCI Heart Disease (Janosi, Steinbrunn, Pfisterer, Detrano), CC BY 4.0"


def patients(path: Path) -> list[dict[str, str]]:
    """The rows of one published file, missing values empty."""
    with path.open(encoding="ascii") as file:
        rows = [dict(zip(FIELDS, row, strict=True)) for row in csv.reader(file) if row]
    return [{n: _value(n, row) for n in COLUMNS} for row in rows]


def _value(name: str, row: dict[str, str]) -> str:
    if name == "disease":
        return "1" if float(row["num"]) > 0 else "0"
    text = row[name]
    return "" if text == "?" else f"{float(text):g}"


def write(path: Path, rows: list[dict[str, str]]) -> None:
    """One table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def divide(source: Path, folder: Path) -> dict[str, dict[str, Path]]:
    """Every hospital's two tables: two in three teach, the third is held back."""
    tables = {}
    for site in SITES:
        place = folder / site
        place.mkdir()
        rows = patients(source / f"processed.{site}.data")
        parts = {"taught": [r for i, r in enumerate(rows) if i % 3 != 2], "heldback": rows[2::3]}
        for name, part in parts.items():
            write(place / f"{name}.csv", part)
        tables[site] = {name: place / f"{name}.csv" for name in parts}
    return tables


def study_text(keys: dict[str, str]) -> str:
    """The study, as its investigator writes it."""
    columns = ", ".join(f"{n}: {_written(c)}" for n, c in COLUMNS.items())
    return STUDY.format(
        sites="\n".join(f'  {site}: {{key: "{key}"}}' for site, key in keys.items()),
        columns=f"{{{columns}}}",
        formula=FORMULA,
        first=date.today(),
        last=date.today() + timedelta(days=30),
    )


def _written(column: Column) -> str:
    levels = ", ".join(f'"{level}"' for level in column.levels)
    return f"{{type: {column.type}" + (f", levels: [{levels}]" if levels else "") + "}"


def over_the_network(tables: dict[str, dict[str, Path]], folder: Path) -> tuple[Any, Any]:
    """The joint model and its performance, from a hub and four site processes."""
    programs = network.Programs(folder)
    try:
        centre = network.make_hub(folder, network.free_port())
        programs.start("hub", "serve", "--home", str(centre.folder))
        homes = {}
        for site, files in tables.items():
            homes[site] = network.make_site(folder / site, hub_home.invite(centre, site))
            network.register(homes[site], files, COLUMNS, public=CITED)
            programs.start("site", "serve", "--home", str(homes[site].folder))
        authority = folder / "authority.pem"
        authority.write_bytes(centre.authority() or b"")
        hub = Hub(centre.url, token=hub_home.new_token(centre, "example"), authority=authority)
        signed = folder / "study.signed.json"
        text = study_text({site: home.fingerprint() for site, home in homes.items()})
        signed.write_bytes(sign_study(read(text), new_key()).to_bytes())
        study = hub.submit(signed)
        network.approve(list(homes.values()), study.hash)
        study.wait()
        return study.result("model"), study.result("judged")
    finally:
        programs.stop()


def own(site: str, files: dict[str, Path]) -> dict[str, float] | str:
    """A hospital without the others: its own model on its own held-back patients, or why it has none."""
    taught = Network({site: files["taught"]}, "public", COLUMNS)
    try:
        fit = taught.run("glm", formula=FORMULA, family="binomial")
    except AtollError as error:
        return error.what
    judged = Network({site: files["heldback"]}, "public", COLUMNS)
    result = judged.run("performance", model=fit.document["model"], outcome="disease")
    found: dict[str, float] = result.document["sites_apart"][site]
    return found


def pooled(tables: dict[str, dict[str, Path]]) -> Any:
    """The same model on all rows in one table."""
    rows: list[dict[str, str]] = []
    for files in tables.values():
        with files["taught"].open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    text = {name for name, column in COLUMNS.items() if column.type == "category"}
    table = {
        name: [row[name] or None for row in rows] if name in text else [float(row[name] or "nan") for row in rows]
        for name in COLUMNS
    }
    return Network({"all": table}, "public", COLUMNS).run("glm", formula=FORMULA, family="binomial")


def main(source: Path) -> None:
    """Run everything and print the tables of the README."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = divide(source, folder)
        joint, judged = over_the_network(tables, folder)
        together = pooled(tables)
        print(joint.summary())
        print(f"\nlargest relative difference from pooled: {np.max(np.abs(joint.params / together.params - 1)):.1e}\n")
        print("| hospital | AUC own | AUC joint | calibration slope own | slope joint | Brier own | Brier joint |")
        print("|---|---|---|---|---|---|---|")
        for site, files in tables.items():
            with_others, alone = judged.document["sites_apart"][site], own(site, files)
            print(f"| {site} | {_row(alone, with_others)} |")
        document = judged.document
        bounds = f"{document['auc_lower']:.3f} … {document['auc_upper']:.3f}"
        print(f"\nall held-back patients: AUC {document['auc']:.3f} ({bounds})")
        print(
            "\n".join(
                f"{site}: {alone}" for site, files in tables.items() if isinstance(alone := own(site, files), str)
            )
        )


def _row(alone: dict[str, float] | str, joint: dict[str, float]) -> str:
    cells = []
    for key in ("auc", "calibration_slope", "brier"):
        cells += ["none" if isinstance(alone, str) else _shown(alone[key]), _shown(joint[key])]
    return " | ".join(cells)


def _shown(figure: float | None) -> str:
    """A figure, or a dash where there is none: without cases and controls there is no AUC."""
    return "–" if figure is None or figure != figure else f"{figure:.3f}"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("Give the folder that holds the four processed.*.data files.")
    main(Path(sys.argv[1]))
