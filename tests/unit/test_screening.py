"""The screening list: highest risk first, each column once among its reasons, in the dictionary's words."""

from __future__ import annotations

import csv
import json
import stat

import numpy as np
import pytest

import atoll
from atoll.care.score import screening_list
from atoll.errors import StudyError
from atoll.features.table import memory_table
from atoll.site.datasets import Registry
from atoll.site.home import Home
from atoll.site.screening import keep_list
from atoll.study.dictionary import Column
from atoll.study.view import Model

COLUMNS = {
    "person": Column("person"),
    "age": Column("number", unit="a", low=18, high=110, label="age"),
    "bmi": Column("number", unit="kg/m2", low=10, high=60, label="body mass index"),
    "smoker": Column("category", levels=("never", "former", "now"), label="smoking"),
    "glucose": Column("number", low=2, high=30),
    "y": Column("flag"),
}
FORMULA = "y ~ age + bs(bmi, df=4) + C(smoker) + age:glucose"


def people(n=3000, seed=1):
    r = np.random.default_rng(seed)
    table = {
        "person": [f"p{number}" for number in range(n)],
        "age": r.integers(30, 80, n).astype(float),
        "bmi": np.round(r.normal(27, 4, n).clip(16, 45), 1),
        "smoker": r.choice(["never", "former", "now"], n),
        "glucose": np.round(r.normal(5.6, 1, n).clip(3, 12), 1),
    }
    eta = 0.05 * (table["age"] - 55) + 0.25 * (table["bmi"] - 27) + 0.9 * (table["smoker"] == "now") - 1.5
    table["y"] = (r.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    return table


@pytest.fixture(scope="module")
def model():
    network = atoll.Network({"a": people(seed=2), "b": people(seed=3)}, policy="public", columns=COLUMNS)
    fitted = network.run("glm", formula=FORMULA, family="binomial")
    return Model.from_document(json.loads(fitted.to_json())["model"])


def scored(model, table=None, threshold=0.0):
    return list(screening_list(model, memory_table(table or people()), COLUMNS, "a", threshold))


def test_no_column_is_a_reason_twice_and_no_code_is_shown(model):
    for person in scored(model):
        columns = [reason.columns for reason in person.reasons]
        assert len(columns) == len(set(columns)) <= 3
        assert [r.contribution for r in person.reasons] == sorted(
            (r.contribution for r in person.reasons), reverse=True
        )
        assert all(r.contribution > 0 for r in person.reasons)


def test_a_columns_contribution_is_the_sum_over_its_terms(model):
    """By itself: everything but one column at its average, so the whole difference is that column's."""
    table = people(400)
    found = {person.person: person for person in scored(model, table)}
    eta = {name: np.log(p.risk / (1 - p.risk)) for name, p in found.items()}
    one = {**table, **{name: np.full(400, np.mean(table[name])) for name in ("age", "glucose")}}
    one["smoker"] = np.full(400, "never")
    alone = scored(model, one)
    mean = np.mean([np.log(p.risk / (1 - p.risk)) for p in alone])
    for person in alone:
        difference = np.log(person.risk / (1 - person.risk)) - mean
        sum_ = sum(reason.contribution for reason in person.reasons)
        assert {reason.columns for reason in person.reasons} <= {("bmi",)}
        assert sum_ == pytest.approx(max(difference, 0.0), abs=1e-9)
    assert len(eta) == 400


def test_a_reason_of_a_category_tells_the_level_that_the_person_has(model):
    table = people()
    level = dict(zip(table["person"], table["smoker"], strict=True))
    seen = {(r.level, level[p.person]) for p in scored(model, table) for r in p.reasons if r.columns == ("smoker",)}
    assert seen and all(told == has for told, has in seen) and ("now", "now") in seen


@pytest.fixture
def kept(tmp_path, model):
    home = Home.init(tmp_path / "north")
    table = people()
    table["person"][:3] = ["=HYPERLINK(1)", "\nnext", "+86 10"]
    source = tmp_path / "checkup.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    store = home.store()
    Registry(home, store).add("checkup", str(source), columns=COLUMNS)
    store.close()
    return keep_list(home, "checkup", model, 0.0)


def rows(kept):
    with kept.path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_list_is_sorted_by_risk_and_private(kept):
    risks = [float(row["risk"]) for row in rows(kept)]
    assert kept.listed == len(risks) == 3000 and risks == sorted(risks, reverse=True) and risks[0] > risks[-1]
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert [path.name for path in kept.path.parent.iterdir()] == ["checkup.csv"]


def test_reasons_are_the_dictionarys_words(kept):
    said = {row[f"reason_{number}"] for row in rows(kept) for number in (1, 2, 3)}
    assert said <= {
        "",
        "age (a)",
        "body mass index (kg/m2)",
        "smoking: never",
        "smoking: former",
        "smoking: now",
        "age (a) × glucose",
    }
    assert {"body mass index (kg/m2)", "smoking: now", "age (a) × glucose"} <= said


def test_no_spreadsheet_computes_a_cell_and_an_empty_one_stays_empty(kept):
    persons = {row["person"] for row in rows(kept)}
    assert {"'=HYPERLINK(1)", "'+86 10"} <= persons
    assert not any(row["person"].startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows(kept))
    assert "'" not in {row["reason_3"] for row in rows(kept)} and "" in {row["reason_3"] for row in rows(kept)}


def test_a_dataset_without_persons_gives_no_list(model):
    columns = {name: column for name, column in COLUMNS.items() if name != "person"}
    with pytest.raises(StudyError, match="a list would name nobody"):
        list(screening_list(model, memory_table(people(100)), columns, "a", 0.0))
