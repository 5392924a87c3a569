"""How much of the simulated truth has arrived in an OMOP database: events, persons, values, faults.

The truth is the hospital's OMOP folder and `truth/` as `world.simulate` wrote them. Persons are matched by
person_source_value (the hospital's own patient number), events by person, concept and day, visits and drugs by their
length too; a laboratory value has arrived when it stands within the rounding of the unit in which the export gave it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from atoll.errors import DataError
from atoll.simulate.facts import MEASUREMENTS, numbers, whole
from atoll.simulate.shapes import shape_of

EVENTS: Mapping[str, tuple[str | None, str | None, str | None]] = {  # table → concept, first day, last day or days
    "visit_occurrence": ("visit_concept_id", "visit_start_date", "visit_end_date"),
    "condition_occurrence": ("condition_concept_id", "condition_start_date", None),
    "drug_exposure": ("drug_concept_id", "drug_exposure_start_date", "days_supply"),
    "measurement": ("measurement_concept_id", "measurement_date", None),
    "observation": ("observation_concept_id", None, None),  # asked once; exports do not say when
    "death": (None, "death_date", None),
}
KEPT = {  # planted rows that a load may keep without their bad part: kind → table
    "missing_unit": "measurement", "unknown_unit": "measurement", "not_a_number": "measurement",
    "negative_length": "drug_exposure", "ends_before_start": "visit_occurrence",
}  # fmt: skip
REASONS = {  # planted fault → the reason that a load must give for it
    "two_births": "one person with two births", "unknown_patient": "unknown person", "before_birth": "before birth",
    "after_death": "after death", "in_future": "in the future", "ends_before_start": "ends before it starts",
    "impossible_date": "(unreadable|no) .*date", "negative_length": "negative", "not_a_number": "unreadable value",
    "missing_unit": "value without a unit", "unknown_unit": "unknown unit",
}  # fmt: skip
RELATIVE = 0.012  # a value may differ by so much: the factors of unit conversion are rounded in practice
PERSON = ("person_id", "person_source_value", "year_of_birth", "month_of_birth", "day_of_birth", "gender_concept_id")


@dataclass
class Arrived:
    """One table: true events, how many of them arrived, and how many arrived that are not true."""

    true: int = 0
    arrived: int = 0
    false: int = 0

    @property
    def share(self) -> float:
        """Of the true events, between 0 and 1."""
        return self.arrived / self.true if self.true else 1.0


@dataclass
class Score:
    """One hospital.

    persons        true, found, wrong (unknown, doubled, or with another birth date or sex)
    tables         events by table
    values         measurements that arrived with a value: how many were compared, how many right, units right, and
                   how many were kept as they were for want of a unit, which cannot be compared
    periods        persons with events, how many of them have an observation period, and how many the right one: from
                   the first to the last event of the truth, or the time in which the hospital truly followed them
    faults         by kind: planted, and named by the load (kept with a reason)
    """

    hospital: str
    persons: dict[str, int] = field(default_factory=dict)
    tables: dict[str, Arrived] = field(default_factory=dict)
    values: dict[str, int] = field(default_factory=dict)
    periods: dict[str, int] = field(default_factory=dict)
    faults: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of all true events, the share that arrived."""
        true = sum(part.true for part in self.tables.values())
        return sum(part.arrived for part in self.tables.values()) / true if true else 1.0

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types: counts only."""
        return {
            "hospital": self.hospital,
            "share": round(self.share, 6),
            "persons": self.persons,
            "tables": {name: {**vars(part), "share": round(part.share, 6)} for name, part in self.tables.items()},
            "values": self.values,
            "periods": self.periods,
            "faults": self.faults,
        }


def score(world: Path, hospital: str, url: str) -> Score:
    """Compare the database behind `url` with one hospital of a simulated world.

    Raises
    ------
    DataError
        When the world has no such hospital, or the database has no OMOP tables.
    """
    truth = world / hospital / "omop"
    if not truth.is_dir():
        raise DataError(f"{world} holds no hospital {hospital!r}.", "Its hospitals stand in manifest.json.")
    found = Score(hospital)
    true_persons = parquet.read_table(truth / "person.parquet", columns=list(PERSON))
    persons = _read(url, "person", PERSON)
    number, right = _persons(found, true_persons, persons)
    for name in EVENTS:
        _events(found, name, parquet.read_table(truth / f"{name}.parquet"), url, number, right)
    _periods(found, truth, url, number, right)
    _faults(found, world, hospital, url)
    return found


def _read(url: str, table: str, columns: Iterable[str]) -> pa.Table:
    from atoll.cdm.database import record_batches

    wanted = list(columns)
    joint = "&" if "?" in url else "?"
    batches = [batch.select(wanted) for batch in record_batches(f"{url}{joint}table={table}")]
    return pa.Table.from_batches(batches) if batches else pa.table({name: pa.nulls(0) for name in wanted})


def _persons(found: Score, true: pa.Table, persons: pa.Table) -> tuple[Any, Any]:
    """Loaded person_id → position in the truth; as two sorted arrays."""
    at = pc.index_in(persons["person_source_value"].cast(pa.string()), true["person_source_value"].combine_chunks())
    known = pc.is_valid(at).to_numpy()
    at = pc.fill_null(at, -1).to_numpy()
    wrong = int((~known).sum())
    same = np.ones(len(at), bool)
    for column in PERSON[2:]:
        loaded = pc.fill_null(persons[column].cast(pa.int64()), -1).to_numpy()
        same &= loaded == pc.fill_null(true[column], -1).to_numpy()[at]
    different = int((known & ~same).sum())
    doubled = int(known.sum() - len(np.unique(at[known])))
    found.persons = {
        "true": true.num_rows, "found": len(np.unique(at[known])), "unknown": wrong, "different": different,
        "doubled": doubled,
    }  # fmt: skip
    ids = persons["person_id"].cast(pa.int64()).to_numpy()
    order = np.argsort(ids)
    return ids[order], at[order]


def _events(found: Score, name: str, true: pa.Table, url: str, number: Any, right: Any) -> None:
    concept, day, last = EVENTS[name]
    columns = [c for c in ("person_id", concept, day, last) if c]
    if name == "measurement":
        columns += ["value_as_number", "unit_concept_id"]
    try:
        loaded = _read(url, name, columns)
    except DataError:
        loaded = true.select(columns).slice(0, 0)
    codes = np.unique(true[concept].to_numpy()) if concept else np.array([0])
    true_keys = _keys(true["person_id"].to_numpy() - 1, true, concept, day, last, codes)
    person = loaded["person_id"].cast(pa.int64()).to_numpy()
    at = np.searchsorted(number, person).clip(0, max(len(number) - 1, 0))
    who = np.where(number[at] == person, right[at], -1) if len(number) else np.full(len(person), -1)
    keys = _keys(who, loaded, concept, day, last, codes)
    strange = (keys < 0) & _standard(loaded, concept, codes)
    a, n = np.unique(true_keys, return_counts=True)
    b, m = np.unique(keys[keys >= 0], return_counts=True)
    place = np.searchsorted(a, b).clip(0, max(len(a) - 1, 0))
    hit = a[place] == b if len(a) else np.zeros(len(b), bool)
    arrived = int(np.minimum(n[place[hit]], m[hit]).sum())
    found.tables[name] = Arrived(len(true_keys), arrived, int(m.sum()) - arrived + int(strange.sum()))
    if name == "measurement":
        _values(found, true, true_keys, loaded, keys)


def _standard(loaded: pa.Table, concept: str | None, codes: Any) -> Any:
    """Rows with a concept of the truth: a local concept (unknown code) is neither true nor false."""
    if concept is None:
        return np.ones(loaded.num_rows, bool)
    return np.isin(pc.fill_null(loaded[concept].cast(pa.int64()), 0).to_numpy(), codes)


def _keys(who: Any, table: pa.Table, concept: str | None, day: str | None, last: str | None, codes: Any) -> Any:
    """One integer an event: person, concept, day (and how long); −1 where one of them is not of the truth."""
    code = np.zeros(len(who), np.int64)
    good = who >= 0
    if concept is not None:
        value = pc.fill_null(table[concept].cast(pa.int64()), -1).to_numpy()
        code = np.searchsorted(codes, value).clip(0, len(codes) - 1)
        good &= codes[code] == value
    days = _days(table, day) if day is not None else np.zeros(len(who), np.int64)
    good &= (days >= 0) & (days < 2**17)
    key = (who * len(codes) + code) * 2**17 + days
    if last is not None:
        length = _days(table, last) - days if last.endswith("date") else _whole(table, last)
        good &= (length >= 0) & (length < 2**9)
        key = key * 2**9 + length
    return np.where(good, key, -1)


def _whole(table: pa.Table, column: str) -> Any:
    return pc.fill_null(table[column].cast(pa.int64()), -1).to_numpy()


def _days(table: pa.Table, column: str) -> Any:
    return pc.fill_null(table[column].cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), -1).to_numpy()


def _values(found: Score, true: pa.Table, true_keys: Any, loaded: pa.Table, keys: Any) -> None:
    """Values and units of measurements that are one for one by person, test and day."""
    a, first, n = np.unique(true_keys, return_index=True, return_counts=True)
    b, where, m = np.unique(keys, return_index=True, return_counts=True)
    _, left, right = np.intersect1d(a[n == 1], b[(m == 1) & (b >= 0)], assume_unique=True, return_indices=True)
    left, right = first[n == 1][left], where[(m == 1) & (b >= 0)][right]
    wanted = true["value_as_number"].to_numpy()[left]
    got = pc.fill_null(loaded["value_as_number"].cast(pa.float64()), np.nan).to_numpy()[right]
    concept = true["measurement_concept_id"].to_numpy()[left]
    order = np.argsort(whole(MEASUREMENTS, "concept_id"))
    step = 0.6 * 10.0 ** -numbers(MEASUREMENTS, "digits_zh") / numbers(MEASUREMENTS, "factor_zh")
    step = np.maximum(step, 0.6 * 10.0 ** -numbers(MEASUREMENTS, "digits"))[order]
    allowed = RELATIVE * np.abs(wanted) + step[np.searchsorted(np.sort(whole(MEASUREMENTS, "concept_id")), concept)]
    unit = pc.fill_null(loaded["unit_concept_id"].cast(pa.int64()), 0).to_numpy()[right]
    should = true["unit_concept_id"].to_numpy()[left]
    without = (unit == 0) & (should != 0) & ~np.isnan(got)
    found.values = {
        "compared": int((~without).sum()),
        "right": int(((np.abs(got - wanted) <= allowed) & ~without).sum()),
        "unit_right": int((unit == should).sum()),
        "without_unit": _without_unit(true, loaded),
    }


def _without_unit(true: pa.Table, loaded: pa.Table) -> int:
    """Numbers that stand without a unit, of tests that have one."""
    measured = np.unique(true["measurement_concept_id"].to_numpy()[true["unit_concept_id"].to_numpy() != 0])
    concept, unit = (
        pc.fill_null(loaded[name].cast(pa.int64()), 0).to_numpy()
        for name in ("measurement_concept_id", "unit_concept_id")
    )
    number = pc.is_valid(loaded["value_as_number"]).to_numpy()
    return int((number & (unit == 0) & np.isin(concept, measured)).sum())


def _periods(found: Score, truth: Path, url: str, number: Any, right: Any) -> None:
    """Whether each person's observation periods begin and end where they should, as days since 1970."""
    columns = ("person_id", "observation_period_start_date", "observation_period_end_date")
    first, last = _spans(parquet.read_table(truth / "visit_occurrence.parquet"), "visit_start_date", "visit_end_date")
    true = parquet.read_table(truth / "observation_period.parquet", columns=list(columns))
    begin, end = (dict(zip(true["person_id"].to_pylist(), _days(true, c).tolist(), strict=True)) for c in columns[1:])
    try:
        loaded = _read(url, "observation_period", columns)
    except DataError:
        loaded = true.slice(0, 0)
    persons = dict(zip(number.tolist(), (right + 1).tolist(), strict=True))
    starts, ends = _spans(loaded, *columns[1:])
    seen = {persons.get(person, 0): (starts[person], ends[person]) for person in starts}
    found.periods = {
        "true": len(first),
        "found": sum(person in seen for person in first),
        "right": sum(
            seen.get(person) in ((first[person], last[person]), (begin[person], end[person])) for person in first
        ),
    }


def _spans(table: pa.Table, start: str, end: str) -> tuple[dict[int, int], dict[int, int]]:
    """First and last day of each person's rows."""
    days = pa.table({"person": table["person_id"].cast(pa.int64()), "a": _days(table, start), "b": _days(table, end)})
    grouped = days.group_by("person").aggregate([("a", "min"), ("b", "max")])
    persons = grouped["person"].to_pylist()
    first, last = (dict(zip(persons, grouped[c].to_pylist(), strict=True)) for c in ("a_min", "b_max"))
    return first, last


def _faults(found: Score, world: Path, hospital: str, url: str) -> None:
    """Whether every planted fault was named by the load.

    Its row stands among those kept back (`ingest.rejected`), with the reason that it was planted for; its code, for as
    many rows, among those of its table without a concept (`ingest.unmapped`); a duplicate is dealt with when nothing
    arrived twice.
    """
    with (world / "truth" / "faults.csv").open(encoding="utf-8", newline="") as file:
        planted = [row for row in csv.DictReader(file) if row["hospital"] == hospital]
    named, unmapped = _named(url), _unmapped(url)
    for row in planted:
        table = KEPT.get(row["kind"])
        if table and found.tables[table].false:  # such a row may stay, without its bad part
            found.tables[table].false -= 1
    once = all(part.false == 0 for part in found.tables.values())
    unknown = {
        shape: {source: (to, code) for source, to, code in shape_of(shape).unknown}
        for shape in {row["shape"] for row in planted}
    }
    for row in planted:
        kind = found.faults.setdefault(row["kind"], {"planted": 0, "named": 0})
        kind["planted"] += 1
        if row["kind"] == "unknown_code":
            code = unknown[row["shape"]][row["table"]]
            unmapped[code] = unmapped.get(code, 0) - 1
            kind["named"] += unmapped[code] >= 0
        elif row["kind"] == "duplicate_row":
            kind["named"] += once
        else:
            reasons = named.get(row["id"] or row["person_id"], set())
            kind["named"] += any(re.search(REASONS[row["kind"]], reason) for reason in reasons)


def _unmapped(url: str) -> dict[tuple[str, str], int]:
    """Rows of each table and code without a concept."""
    try:
        kept = _read(url, "ingest.unmapped", ("table", "concept_code", "rows"))
    except DataError:
        return {}
    rows: dict[tuple[str, str], int] = {}
    for row in kept.to_pylist():
        code = (row["table"], row["concept_code"])
        rows[code] = rows.get(code, 0) + row["rows"]
    return rows


def _named(url: str) -> dict[str, set[str]]:
    """Every word of the rows that a load kept back, or kept without a part, and the reasons given for them."""
    try:
        kept = _read(url, "ingest.rejected", ("key", "row", "reason"))
    except DataError:
        return {}
    found: dict[str, set[str]] = {}
    for row in kept.to_pylist():
        for text in filter(None, (row["key"], row["row"])):
            for word in (text, *re.split(r"[^\w.^-]+", text)):
                found.setdefault(word, set()).add(row["reason"])
    return found
