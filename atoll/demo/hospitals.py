"""The demo's five hospitals: their people, their files, and the study that asks them.

Each hospital's check-up patients are divided once: four in five teach the model, one in five are held
back to judge it, and both are tables of their own at the hospital.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from atoll.simulate.checkup import COLUMNS, FORMULA, HOSPITALS, Hospital, check_ups

HELD_BACK = 0.2
SEED = 20261124


@dataclass(frozen=True)
class People:
    """One hospital's people as arrays by column: those who teach the model, and those held back."""

    hospital: Hospital
    checkup: dict[str, Any]
    heldback: dict[str, Any]


def people(scale: float = 1.0) -> list[People]:
    """The people of all hospitals; `scale` makes hospitals smaller for tests."""
    found = []
    for hospital in HOSPITALS:
        table = check_ups(hospital, SEED, round(hospital.persons * scale))
        held = np.random.default_rng([SEED, len(table["age"])]).random(len(table["age"])) < HELD_BACK
        found.append(
            People(
                hospital, {name: v[~held] for name, v in table.items()}, {name: v[held] for name, v in table.items()}
            )
        )
    return found


def write_files(every: list[People], folder: Path) -> None:
    """Each hospital's two CSV files, as an export would be."""
    import pyarrow as pa
    import pyarrow.csv as csv

    for one in every:
        place = folder / one.hospital.name
        place.mkdir(parents=True, exist_ok=True)
        csv.write_csv(pa.table(one.checkup), place / "checkup.csv")
        csv.write_csv(pa.table(one.heldback), place / "heldback.csv")


def study_text(keys: dict[str, str], today: date) -> str:
    """The study as its investigator writes it (YAML), with each hospital's key."""
    sites = "\n".join(f'  {name}: {{key: "{key}"}}' for name, key in keys.items())
    columns = "\n".join(_column(name) for name in COLUMNS if COLUMNS[name].type != "person")
    described = ", ".join(name for name in COLUMNS if COLUMNS[name].type != "person")
    return f"""\
atoll: 1
title: Who will develop type 2 diabetes within three years?
purpose: >
  To find, at a check-up, the people whose risk of type 2 diabetes within three years is high, so that they can
  be offered prevention in time. The hospitals learn one risk model together and each uses it for its own people.
investigator: {{name: Demo Investigator, organisation: Atoll}}
sites:
{sites}
datasets:
  checkup:
    columns:
{columns}
  heldback:
    columns:
{columns}
analyses:
  people:
    label: Who was examined
    algorithm: describe
    dataset: checkup
    columns: [{described}]
  risk:
    label: The risk model
    algorithm: glm
    dataset: checkup
    formula: {FORMULA}
    family: binomial
  judged:
    label: The model on people held back
    algorithm: performance
    dataset: heldback
    model: risk
    outcome: diabetes
privacy: {{minimum_persons: 10, rounding: 5}}
valid: {{from: {today}, until: {today + timedelta(days=365)}}}
"""


def _column(name: str) -> str:
    column = COLUMNS[name]
    parts = [f"type: {column.type}"]
    if column.levels:
        parts.append(f"levels: [{', '.join(column.levels)}]")
    if column.unit:
        parts.append(f'unit: "{column.unit}"')
    if column.low is not None:
        parts.append(f"range: [{column.low:g}, {column.high:g}]")
    return f'      {name}: {{{", ".join(parts)}, label: "{column.label}"}}'
