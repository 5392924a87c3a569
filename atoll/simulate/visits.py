"""What hospitals see of lives: visits, diagnoses, prescriptions, acute illness.

A membership is one person at one hospital. Routine visits come as a Poisson process whose rate rises with the number of
chronic diseases; acute illnesses make visits of their own, some of them admissions. A chronic disease is written down
at the first visit after its onset and at some later ones; a drug is prescribed from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from atoll.simulate.facts import ACUTE, CHRONIC, CONDITION_AT, CONDITIONS, DRUGS, numbers, table
from atoll.simulate.hospitals import Hospital
from atoll.simulate.life import YEAR, Persons, risk

OUTPATIENT, INPATIENT, EMERGENCY = 0, 1, 2
ROUTINE, BY_DISEASE, MOST = 0.30, 0.42, 4.0  # routine visits a year: without disease, more by disease, at most
AGAIN = 0.30  # chance that a known chronic disease is written down again at a visit
PRESCRIBED = 0.70
ADMITTED = {"infarction": 0.95, "stroke": 0.90, "pneumonia": 0.45, "influenza": 0.03, "urinary": 0.06, "anaemia": 0.15}
STAY = {"infarction": 9, "stroke": 12, "pneumonia": 7, "influenza": 4, "urinary": 5, "anaemia": 6}  # mean days


@dataclass(frozen=True)
class Visits:
    """Visits sorted by membership and day, and what was written down at them.

    Memberships: person (index in the block), hospital, start, stop (days).
    Visits: membership, person, hospital, day, end, kind, acute (index in `ACUTE`, −1 for routine).
    present   visits × chronic diseases: the disease has begun; treated: a drug for it was prescribed before
    conditions, drugs   rows (visit, index in the table)
    """

    member_person: Any
    member_hospital: Any
    member_start: Any
    member_stop: Any
    membership: Any
    person: Any
    hospital: Any
    day: Any
    end: Any
    kind: Any
    acute: Any
    present: Any
    treated: Any
    conditions: tuple[Any, Any]
    drugs: tuple[Any, Any]


def visits(rng: np.random.Generator, block: Persons, hospitals: Sequence[Hospital]) -> Visits:
    """Everything that hospitals see of a block of persons."""
    person, hospital = _memberships(block)
    start, stop = _periods(rng, block, person, hospital)
    order = np.lexsort((person, hospital))
    person, hospital, start, stop = person[order], hospital[order], start[order], stop[order]
    factor = np.array([h.visits for h in hospitals])[hospital]
    routine = _routine(rng, block, person, start, stop, factor)
    member, day, acute, kind, end = _merged(rng, routine, _acute(rng, block, person, start, stop), stop)
    present = block.onset[person[member]] <= day[:, None]
    first = np.ones_like(present)
    first[1:] = present[1:] & ~(present[:-1] & (member[1:] == member[:-1])[:, None])
    first[0] = present[0]
    written = present & (first | (rng.random(present.shape) < AGAIN))
    prescribed = present & (rng.random(present.shape) < PRESCRIBED)
    conditions, drugs = _written(rng, block, person[member], acute, written, prescribed)
    return Visits(
        person, hospital, start, stop, member, person[member], hospital[member], day, end, kind, acute, present,
        _before(prescribed, member), conditions, drugs,
    )  # fmt: skip


def _memberships(block: Persons) -> tuple[Any, Any]:
    n = len(block.number)
    second, third = (np.flatnonzero(block.others[:, at] >= 0) for at in (0, 1))
    person = np.concatenate([np.arange(n), second, third])
    return person, np.concatenate([block.home, block.others[second, 0], block.others[third, 1]])


def _periods(rng: np.random.Generator, block: Persons, person: Any, hospital: Any) -> tuple[Any, Any]:
    """When a person is seen at a hospital: the whole stay at the first, a later part of it elsewhere."""
    start, stop = block.entry[person], np.minimum(block.leave[person], block.death[person])
    stop = np.maximum(stop, start + 1)
    later = start + np.floor(rng.random(len(person)) * 0.6 * (stop - start)).astype(np.int64)
    return np.where(hospital == block.home[person], start, later), stop


def _routine(rng: np.random.Generator, block: Persons, person: Any, start: Any, stop: Any, factor: Any) -> Any:
    """Routine visits (membership, day): the first at the start of the membership."""
    middle = (start + stop) // 2
    ill = (block.onset[person] <= middle[:, None]).sum(1)
    rate = np.minimum(ROUTINE + BY_DISEASE * ill, MOST) * factor * (stop - start) / YEAR
    count = 1 + rng.poisson(rate)
    member = np.repeat(np.arange(len(person)), count)
    day = start[member] + np.floor(rng.random(len(member)) * (stop - start)[member]).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    day[first] = start
    return member, day


def _acute(rng: np.random.Generator, block: Persons, person: Any, start: Any, stop: Any) -> Any:
    """Acute illnesses (membership, day, index in ACUTE)."""
    members, days, which = [], [], []
    age = (start - block.birth[person]) / YEAR
    years = (stop - start) / YEAR
    rows = {row["key"]: row for row in table("acute.csv")}
    for at, key in enumerate(ACUTE):
        lp = risk(key, block.traits[person]) + float(rows[key]["age_slope"]) * (age - 50)
        lp = lp + _raised(key, block, person, start)
        rate = float(rows[key]["per_1000_years"]) / 1000 * np.exp(np.clip(lp, -6, 5))
        member = np.repeat(np.arange(len(person)), np.minimum(rng.poisson(rate * years), 40))
        members.append(member)
        days.append(start[member] + np.floor(rng.random(len(member)) * (stop - start)[member]).astype(np.int64))
        which.append(np.full(len(member), at))
    return np.concatenate(members), np.concatenate(days), np.concatenate(which)


def _raised(key: str, block: Persons, person: Any, day: Any) -> Any:
    """Log risk that chronic diseases add to an acute illness."""
    causes = {
        "infarction": {"coronary": 1.6, "diabetes": 0.6, "hypertension": 0.5, "hyperlipidaemia": 0.4},
        "stroke": {"hypertension": 0.8, "diabetes": 0.5, "fibrillation": 1.2},
        "pneumonia": {"copd": 1.1, "failure": 0.6, "dementia": 0.9},
        "urinary": {"diabetes": 0.4, "dementia": 0.6},
        "anaemia": {"kidney": 1.0, "stomach_cancer": 1.6},
    }
    total = np.zeros(len(person))
    for cause, effect in causes.get(key, {}).items():
        total += effect * (block.onset[person, CHRONIC.index(cause)] <= day)
    if key in ("urinary", "anaemia"):
        total += np.where(block.male[person], -0.8, 0.3)
    return total


def _merged(rng: np.random.Generator, routine: Any, acute: Any, stop: Any) -> Any:
    """One visit a day and membership, sorted; an acute illness takes the day before a routine visit does."""
    member = np.concatenate([routine[0], acute[0]])
    day = np.concatenate([routine[1], acute[1]])
    which = np.concatenate([np.full(len(routine[0]), -1), acute[2]])
    order = np.lexsort((-which, day, member))
    member, day, which = member[order], day[order], which[order]
    keep = np.ones(len(member), bool)
    keep[1:] = (np.diff(member) != 0) | (np.diff(day) != 0)
    member, day, which = member[keep], day[keep], which[keep]
    names = np.array([*ACUTE, ""])[which]
    admitted = rng.random(len(which)) < np.array([*(ADMITTED.get(key, 0.0) for key in ACUTE), 0.02])[which]
    emergency = ~admitted & (which >= 0) & (rng.random(len(which)) < 0.15)
    kind = np.where(admitted, INPATIENT, np.where(emergency, EMERGENCY, OUTPATIENT))
    mean = np.array([*(float(STAY.get(key, 3)) for key in ACUTE), 4.0])[which]
    days = 1 + np.floor(rng.exponential(mean, len(which))).astype(np.int64)
    end = np.where(admitted, np.minimum(day + days, np.maximum(stop[member], day)), day)
    assert len(names) == len(end)
    return member, day, which, kind, end


def _before(flags: Any, member: Any) -> Any:
    """Whether the flag was set at an earlier visit of the same membership."""
    total = np.cumsum(flags, axis=0, dtype=np.int32)
    before = total - flags
    begins = np.ones(len(member), bool)
    begins[1:] = np.diff(member) != 0
    base = before[begins][np.cumsum(begins) - 1]
    return before > base


def _written(rng: np.random.Generator, block: Persons, person: Any, acute: Any, written: Any, prescribed: Any) -> Any:
    """Rows (visit, index) of diagnoses and of prescriptions."""
    chronic_at = np.array([CONDITION_AT[key] for key in CHRONIC])
    acute_at = np.array([CONDITION_AT[key] for key in ACUTE])
    visit, disease = np.nonzero(written)
    ill = np.flatnonzero(acute >= 0)
    conditions = (np.concatenate([visit, ill]), np.concatenate([chronic_at[disease], acute_at[acute[ill]]]))
    visit, disease = np.nonzero(prescribed)
    treated = rng.random(len(ill)) < 0.8
    rows = np.concatenate([visit, ill[treated]])
    what = np.concatenate([chronic_at[disease], acute_at[acute[ill[treated]]]])
    taste = rng.random((len(block.number), len(CONDITIONS)))[person[rows], what]
    drug = np.full(len(rows), -1)
    share, treats = numbers(DRUGS, "share"), [row["treats"] for row in DRUGS]
    for key, at in CONDITION_AT.items():
        options = [i for i, treated_key in enumerate(treats) if treated_key == key]
        here = what == at
        if options and here.any():
            edges = np.cumsum(share[options])
            drug[here] = np.array(options)[np.minimum(np.searchsorted(edges, taste[here]), len(options) - 1)]
    drugs = (rows[drug >= 0], drug[drug >= 0])
    return _sorted(*conditions), _sorted(*drugs)


def _sorted(visit: Any, what: Any) -> tuple[Any, Any]:
    order = np.lexsort((what, visit))
    return visit[order], what[order]
