"""Faults as exports have them, planted as extra rows among the honest ones and written down in the truth.

An honest row is never changed, so that a perfect load can still find every true event; a planted row must be named by
the load's report and must not become an event of the patient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from atoll.cdm.tables import AFTER_DEATH
from atoll.simulate.facts import MEASUREMENT_AT
from atoll.simulate.neutral import Tables

PER_ROWS = 20_000  # one fault of a kind for so many rows of its table, but at least `LEAST` a block
LEAST = 2
FUTURE = "2093-05-17"
EXPECTED = {
    "two_births": "one birth date is kept, the other row is named",
    "ends_before_start": "the row is named",
    "unknown_patient": "the row is rejected",
    "impossible_date": "the row is rejected",
    "before_birth": "the row is rejected",
    "after_death": "the row is rejected",
    "in_future": "the row is rejected",
    "unknown_code": "kept as a local concept, never as a standard one",
    "duplicate_row": "the row arrives once",
    "negative_length": "the row is named",
    "unknown_unit": "kept with its own words and without a unit concept",
    "missing_unit": "named; a unit is never filled in silently",
    "not_a_number": "kept without a number",
}


def plant(rng: np.random.Generator, tables: Tables, leave_out: Sequence[str] = ()) -> Tables:
    """The tables with planted rows at random places; kinds in `leave_out` (or table.kind) are not of this shape."""
    found = dict(tables)
    for name, kinds in KINDS.items():
        table = tables[name]
        extra = [table]
        for kind, change in kinds.items():
            if {kind, f"{name}.{kind}"} & set(leave_out) or not table.num_rows:
                continue
            rows = rng.integers(0, table.num_rows, max(LEAST, table.num_rows // PER_ROWS))
            changed = change(rng, table.take(pa.array(rows)), tables)
            if changed.num_rows:
                extra.append(_marked(changed, kind, keep_row=kind == "duplicate_row"))
        both = pa.concat_tables([t.cast(table.schema) for t in extra])
        at = np.concatenate([np.arange(table.num_rows), rng.random(both.num_rows - table.num_rows) * table.num_rows])
        found[name] = both.take(pa.array(np.argsort(at, kind="stable")))
    return found


def _marked(table: pa.Table, kind: str, *, keep_row: bool) -> pa.Table:
    if "row" in table.column_names and not keep_row:  # its own number, so that it is not taken for the row it came from
        numbers = pa.array([f"9{text:0>11}" for text in table["row"].to_pylist()])
        table = table.set_column(table.column_names.index("row"), "row", numbers)
    if "visit" in table.column_names and "start" in table.column_names and not keep_row:
        numbers = pa.array([f"{text}X" for text in table["visit"].to_pylist()])
        table = table.set_column(table.column_names.index("visit"), "visit", numbers)
    return table.set_column(table.column_names.index("fault"), "fault", pa.array([kind] * table.num_rows))


def _with(column: str, make: Callable[[np.random.Generator, pa.Table, Tables], Any]) -> Callable[..., pa.Table]:
    """A change that gives a column other values; rows for which `make` gives None are dropped."""

    def change(rng: np.random.Generator, table: pa.Table, tables: Tables) -> pa.Table:
        values = make(rng, table, tables)
        at = table.column_names.index(column)
        changed = table.set_column(at, column, pa.array(values, table.schema.field(column).type))
        return changed.filter(pa.array([value is not None or column == "unit" for value in values]))

    return change


def _shifted(texts: Sequence[str | None], days: int) -> list[str | None]:
    return [None if t is None else str(np.datetime64(t) + days) for t in texts]


def _of_patient(column: str, days: int) -> Callable[..., list[str | None]]:
    """A date so many days after the patient's birth or death; None where the patient has none."""

    def make(_: np.random.Generator, table: pa.Table, tables: Tables) -> list[str | None]:
        people = tables["patients"]
        known = dict(zip(people["patient"].to_pylist(), people[column].to_pylist(), strict=True))
        return _shifted([known.get(patient) for patient in table["patient"].to_pylist()], days)

    return make


def _dead(rng: np.random.Generator, table: pa.Table, tables: Tables) -> pa.Table:
    """Rows of patients whose death is recorded, dated ten days later than results still arrive."""
    people = tables["patients"]
    dead = people.filter(pa.compute.is_valid(people["death"]))
    if not dead.num_rows:
        return table.slice(0, 0)
    at = rng.integers(0, dead.num_rows, table.num_rows)
    patient = dead["patient"].take(pa.array(at))
    moved = table.set_column(table.column_names.index("patient"), "patient", patient)
    date = _shifted(dead["death"].take(pa.array(at)).to_pylist(), AFTER_DEATH + 10)
    moved = moved.set_column(moved.column_names.index("date"), "date", pa.array(date))
    return moved.set_column(moved.column_names.index("visit"), "visit", pa.nulls(table.num_rows, pa.string()))


def _same(_: np.random.Generator, table: pa.Table, __: Tables) -> pa.Table:
    return table


def _constant(value: Any) -> Callable[..., list[Any]]:
    return lambda rng, table, tables: [value] * table.num_rows


def _stranger(rng: np.random.Generator, table: pa.Table, _: Tables) -> list[str]:
    return [f"{text[0]}9{rng.integers(10**8, 10**9)}" for text in table["patient"].to_pylist()]


def _glucose(rng: np.random.Generator, table: pa.Table, _: Tables) -> pa.Table:
    """Results of glucose, whose units differ by a factor of 18: a missing unit matters."""
    code = pa.array([MEASUREMENT_AT["glucose"]] * table.num_rows, table.schema.field("code").type)
    table = table.set_column(table.column_names.index("code"), "code", code)
    value = pa.array([str(round(float(v), 1)) for v in rng.normal(5.6, 0.7, table.num_rows).clip(3.5, 9)])
    return table.set_column(table.column_names.index("value"), "value", value)


def _no_unit(rng: np.random.Generator, table: pa.Table, tables: Tables) -> pa.Table:
    table = _glucose(rng, table, tables)
    return table.set_column(table.column_names.index("unit"), "unit", pa.nulls(table.num_rows, pa.string()))


KINDS: dict[str, dict[str, Callable[..., pa.Table]]] = {
    "patients": {
        "two_births": _with("birth", lambda rng, table, _: _shifted(table["birth"].to_pylist(), 3653)),
        "duplicate_row": _same,
    },
    "visits": {
        "ends_before_start": _with("end", lambda rng, table, _: _shifted(table["start"].to_pylist(), -9)),
        "unknown_patient": _with("patient", _stranger),
    },
    "diagnoses": {
        "impossible_date": _with("date", _constant("2019-02-31")),
        "before_birth": _with("date", _of_patient("birth", -400)),
        "after_death": _dead,
        "in_future": _with("date", _constant(FUTURE)),
        "unknown_code": _with("code", _constant(-1)),
        "duplicate_row": _same,
    },
    "drugs": {
        "negative_length": _with("days", _constant("-7")),
        "unknown_code": _with("code", _constant(-1)),
        "in_future": _with("date", _constant(FUTURE)),
    },
    "labs": {
        "impossible_date": _with("date", _constant("2019-02-31")),
        "before_birth": _with("date", _of_patient("birth", -30)),
        "after_death": _dead,
        "unknown_patient": _with("patient", _stranger),
        "unknown_code": _with("code", _constant(-1)),
        "unknown_unit": _with("unit", _constant("zz/L")),
        "missing_unit": _no_unit,
        "not_a_number": _with("value", _constant("标本溶血")),
        "duplicate_row": _same,
    },
}
