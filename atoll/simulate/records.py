"""What one hospital has written down about a block of persons, before any export shape: plain arrays with local ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from atoll.simulate.facts import DRUGS, whole
from atoll.simulate.hospitals import Hospital
from atoll.simulate.life import END, Persons
from atoll.simulate.values import Values
from atoll.simulate.visits import Visits


@dataclass
class Counters:
    """The next free local ids of one hospital."""

    person: int = 1
    visit: int = 1
    condition: int = 1
    drug: int = 1
    measurement: int = 1


@dataclass(frozen=True)
class Records:
    """One hospital's part of a block. Days count from 1970-01-01; `*_person` and `*_visit` are positions in this block.

    person   id, number (of the person in the whole world), birth, male, death (or `NEVER`), smoking, height
    visit    id, person, day, end, kind
    condition, drug, measurement   id, visit, index in the table of facts; drugs with days, measurements with value
    """

    hospital: Hospital
    person_id: Any
    number: Any
    birth: Any
    male: Any
    death: Any
    smoking: Any
    start: Any
    stop: Any
    visit_id: Any
    visit_person: Any
    visit_day: Any
    visit_end: Any
    visit_kind: Any
    condition_id: Any
    condition_visit: Any
    condition: Any
    drug_id: Any
    drug_visit: Any
    drug: Any
    drug_days: Any
    measurement_id: Any
    measurement_visit: Any
    measurement: Any
    value: Any
    codes: dict[str, Any] = field(default_factory=dict)


def split(
    block: Persons, seen: Visits, measured: Values, hospitals: Sequence[Hospital], counters: Sequence[Counters]
) -> list[Records]:
    """The block by hospital, with local ids that go on from `counters` (which move)."""
    return [_one(block, seen, measured, at, hospital, counters[at]) for at, hospital in enumerate(hospitals)]


def _one(block: Persons, seen: Visits, measured: Values, at: int, hospital: Hospital, counter: Counters) -> Records:
    member = np.flatnonzero(seen.member_hospital == at)
    visit = np.flatnonzero(seen.hospital == at)
    member_at = np.full(len(seen.member_person), -1)
    member_at[member] = np.arange(len(member))
    visit_at = np.full(len(seen.day), -1)
    visit_at[visit] = np.arange(len(visit))
    condition, drug, value = (visit_at[rows] >= 0 for rows in (seen.conditions[0], seen.drugs[0], measured.visit))
    person = seen.member_person[member]
    last = np.zeros(len(member), np.int64)
    np.maximum.at(last, member_at[seen.membership[visit]], seen.end[visit])
    drugs = seen.drugs[1][drug]
    return Records(
        hospital=hospital,
        person_id=_ids(counter, "person", len(member)),
        number=block.number[person],
        birth=block.birth[person],
        male=block.male[person],
        death=block.death[person],
        smoking=block.smoking[person],
        start=seen.member_start[member],
        stop=np.minimum(np.maximum(seen.member_stop[member], last), END),
        visit_id=_ids(counter, "visit", len(visit)),
        visit_person=member_at[seen.membership[visit]],
        visit_day=seen.day[visit],
        visit_end=np.minimum(seen.end[visit], END),
        visit_kind=seen.kind[visit],
        condition_id=_ids(counter, "condition", int(condition.sum())),
        condition_visit=visit_at[seen.conditions[0][condition]],
        condition=seen.conditions[1][condition],
        drug_id=_ids(counter, "drug", len(drugs)),
        drug_visit=visit_at[seen.drugs[0][drug]],
        drug=drugs,
        drug_days=whole(DRUGS, "days")[drugs],
        measurement_id=_ids(counter, "measurement", int(value.sum())),
        measurement_visit=visit_at[measured.visit[value]],
        measurement=measured.what[value],
        value=measured.value[value],
    )


def _ids(counter: Counters, kind: str, count: int) -> Any:
    first = getattr(counter, kind)
    setattr(counter, kind, first + count)
    return np.arange(first, first + count, dtype=np.int64)


def patient_numbers(records: Records) -> Any:
    """The hospital's own patient numbers as on its wristbands: prefix and eight digits, one to one with the ids."""
    scrambled = (records.person_id * 48_271 + 7_919) % 99_999_989  # a prime, so that no two persons share a number
    return np.char.add(records.hospital.prefix, np.char.zfill(scrambled.astype(str), 8))
