"""What is measured at visits: which panels, and the values.

    value = f(mean of sex and age + person's own level + diseases present + drugs taken + day's noise)

f is exp for right-skewed quantities, where effects are then relative. Means and effects (`measurements.csv`,
`effects.csv`) are of the order that textbooks give; they are the simulation's truth, not a reference range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.simulate.facts import ACUTE, CHRONIC, MEASUREMENTS, table
from atoll.simulate.life import YEAR, Persons
from atoll.simulate.visits import INPATIENT, Visits

PANELS = tuple(dict.fromkeys(row["panel"] for row in MEASUREMENTS))
CHANCE = {"basic": 0.45, "blood": 0.40, "lipid": 0.22, "liver": 0.18, "diabetes": 0.06, "inflammation": 0.06,
          "thyroid": 0.06, "heart": 0.02, "men": 0.05, "vital": 0.75}  # fmt: skip
RAISED = {"lipid": ("hyperlipidaemia", 0.55), "diabetes": ("diabetes", 0.65), "thyroid": ("hypothyroidism", 0.7),
          "heart": ("failure", 0.65), "liver": ("cirrhosis", 0.7), "basic": ("kidney", 0.8)}  # fmt: skip
# correlation of a person's own level with the metabolic trait
SHARED = {"glucose": 0.5, "hba1c": 0.5, "triglyceride": 0.5, "urate": 0.4, "alt": 0.4, "ggt": 0.4, "hdl": -0.4,
          "systolic": 0.3, "diastolic": 0.3, "cholesterol": 0.3, "ldl": 0.3}  # fmt: skip


@dataclass(frozen=True)
class Values:
    """Rows: visit, index in `MEASUREMENTS`, value in the table's unit, rounded as a laboratory reports it."""

    visit: Any
    what: Any
    value: Any


def values(rng: np.random.Generator, block: Persons, seen: Visits) -> Values:
    """All measurements of a block's visits, sorted by visit."""
    panels = _panels(rng, block, seen)
    effects = _effects()
    visits, whats, found = [], [], []
    level = rng.standard_normal((len(block.number), len(MEASUREMENTS)))
    for at, row in enumerate(MEASUREMENTS):
        here = np.flatnonzero(panels[:, PANELS.index(row["panel"])])
        if row["key"] == "height":
            here = here[np.append([True], np.diff(seen.membership[here]) != 0)] if len(here) else here
        person = seen.person[here]
        if row["key"] in ("weight", "height"):
            value = _body(rng, row, block, person, seen.present[here])
        else:
            share = SHARED.get(row["key"], 0.0)
            z = share * block.traits[person, 0] + np.sqrt(1 - share**2) * level[person, at]
            value = _value(rng, row, block, seen, here, z, effects.get(row["key"], {}))
        value = np.round(np.clip(value, float(row["low"]), float(row["high"])), int(row["digits"]))
        visits.append(here)
        whats.append(np.full(len(here), at))
        found.append(value)
    visit, what, value = np.concatenate(visits), np.concatenate(whats), np.concatenate(found)
    order = np.lexsort((what, visit))
    return Values(visit[order], what[order], value[order])


def _panels(rng: np.random.Generator, block: Persons, seen: Visits) -> Any:
    chance = np.tile(np.array([CHANCE[panel] for panel in PANELS]), (len(seen.day), 1))
    for panel, (disease, p) in RAISED.items():
        at = PANELS.index(panel)
        chance[:, at] = np.where(seen.present[:, CHRONIC.index(disease)], p, chance[:, at])
    admitted = seen.kind == INPATIENT
    for panel in ("basic", "blood", "liver", "inflammation"):
        chance[admitted, PANELS.index(panel)] = 0.97
    for key in ("pneumonia", "influenza", "urinary"):
        chance[seen.acute == ACUTE.index(key), PANELS.index("inflammation")] = 0.85
    chance[seen.acute == ACUTE.index("infarction"), PANELS.index("heart")] = 0.9
    chance[seen.acute == ACUTE.index("anaemia"), PANELS.index("blood")] = 0.95
    age = (seen.day - block.birth[seen.person]) / YEAR
    men = PANELS.index("men")
    chance[:, men] = np.where(block.male[seen.person] & (age >= 50), chance[:, men], 0)
    return rng.random(chance.shape) < chance


def _effects() -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for row in table("effects.csv"):
        found.setdefault(row["measurement"], {})[row["cause"]] = (float(row["effect"]), float(row["treated"]))
    return found


def _value(rng: np.random.Generator, row: Any, block: Persons, seen: Visits, here: Any, z: Any, effects: Any) -> Any:
    person = seen.person[here]
    age = (seen.day[here] - block.birth[person]) / YEAR
    mean = np.where(block.male[person], float(row["male"]), float(row["female"])) + float(row["slope"]) * (age - 50)
    change = float(row["between"]) * z + float(row["within"]) * rng.standard_normal(len(here))
    for cause, (effect, treated) in effects.items():
        if cause in CHRONIC:
            at = CHRONIC.index(cause)
            years = np.clip((seen.day[here] - block.onset[person, at]) / YEAR, 0, 10)
            grown = seen.present[here, at] * effect * (0.8 + 0.04 * years)
            change = change + grown + treated * (seen.treated[here, at] & seen.present[here, at])
        else:
            change = change + effect * (seen.acute[here] == ACUTE.index(cause))
    if row["lognormal"] == "1":
        return np.maximum(mean, 0.05 * np.abs(mean) + 0.01) * np.exp(change)
    return mean + change


def _body(rng: np.random.Generator, row: Any, block: Persons, person: Any, present: Any) -> Any:
    if row["key"] == "height":
        return block.height[person]
    thin = 3.0 * present[:, CHRONIC.index("dementia")]
    return (
        block.bmi[person] * (block.height[person] / 100) ** 2 - thin + rng.normal(0, float(row["within"]), len(person))
    )
