"""A block of one hospital as plain text tables, before any export shape: what every shape writes, only in other forms.

patients    patient, birth, sex (M, F), death, smoking
visits      visit, patient, kind (position in `omop.KIND_NAMES`), start, end
diagnoses   row, visit, patient, date, code (position in CONDITIONS, −1 unknown)
drugs       row, visit, patient, date, code (position in DRUGS, −1 unknown), days
labs        row, visit, patient, date, code (position in MEASUREMENTS, −1 unknown), value, unit

All but kind and code are texts; dates are ISO. A planted fault stands in the column `fault` (null for honest rows).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import MEASUREMENTS, SMOKING, numbers, whole
from atoll.simulate.life import NEVER
from atoll.simulate.records import Records, patient_numbers

Tables = dict[str, pa.Table]


def neutral(r: Records, *, chinese_units: float = 0.0, spellings: Mapping[str, Sequence[str]] | None = None) -> Tables:
    """The tables of a block.

    chinese_units   share of laboratory results in the units that Chinese laboratories use (SI), the rest in mg/dl
    spellings       unit → ways in which this hospital's systems write it, used in turn
    """
    patient = pa.array(patient_numbers(r).astype(object), pa.string())
    visit = pa.compute.binary_join_element_wise("V" + r.hospital.prefix, texts(r.visit_id), "")
    of_visit = patient.take(pa.array(r.visit_person))
    death = dates(np.where(r.death <= r.stop, r.death, NEVER))
    value, unit = _results(r, chinese_units, spellings or {})
    return {
        "patients": _table(
            patient=patient,
            birth=dates(r.birth),
            sex=pa.array(["F", "M"]).take(pa.array(r.male.astype(np.int64))),
            death=death,
            smoking=pa.array(SMOKING).take(pa.array(r.smoking)),
        ),
        "visits": _table(
            visit=visit, patient=of_visit, kind=pa.array(r.visit_kind), start=dates(r.visit_day), end=dates(r.visit_end)
        ),
        "diagnoses": _events(r, visit, of_visit, r.condition_id, r.condition_visit, code=pa.array(r.condition)),
        "drugs": _events(
            r, visit, of_visit, r.drug_id, r.drug_visit, code=pa.array(r.drug), days=texts(r.drug_days)
        ),
        "labs": _events(
            r, visit, of_visit, r.measurement_id, r.measurement_visit, code=pa.array(r.measurement), value=value,
            unit=unit,
        ),
    }  # fmt: skip


def _table(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({**columns, "fault": pa.nulls(rows, pa.string())})


def _events(r: Records, visit: Any, patient: Any, number: Any, at: Any, **columns: Any) -> pa.Table:
    take = pa.array(at)
    return _table(
        row=texts(number), visit=visit.take(take), patient=patient.take(take), date=dates(r.visit_day[at]), **columns
    )


def _results(r: Records, chinese: float, spellings: Mapping[str, Sequence[str]]) -> tuple[pa.Array, pa.Array]:
    """Values and units as texts; which unit a result is in depends on its number only: a world is repeatable."""
    draw = (r.measurement_id * 2_654_435_761 % 2**32) / 2**32
    local = draw < chinese
    factor = np.where(local, numbers(MEASUREMENTS, "factor_zh")[r.measurement], 1.0)
    digits = np.where(
        local, whole(MEASUREMENTS, "digits_zh")[r.measurement], whole(MEASUREMENTS, "digits")[r.measurement]
    )
    scale = 10.0**digits
    value = np.round(r.value * factor * scale) / scale
    names: list[str] = []
    first: dict[str, tuple[int, int]] = {}
    for unit in dict.fromkeys(row[column] for row in MEASUREMENTS for column in ("unit", "unit_zh")):
        ways = spellings.get(unit, (unit,))
        first[unit] = (len(names), len(ways))
        names += ways
    begin, count = (
        np.where(
            local,
            np.array([first[row["unit_zh"]][part] for row in MEASUREMENTS])[r.measurement],
            np.array([first[row["unit"]][part] for row in MEASUREMENTS])[r.measurement],
        )
        for part in (0, 1)
    )
    return texts(value), pa.array(names).take(pa.array(begin + (draw * 9973).astype(np.int64) % count))


def texts(values: Any) -> pa.Array:
    """Numbers as texts, without a needless `.0`."""
    return pc.replace_substring_regex(pa.array(values).cast(pa.string()), r"\.0$", "")


def dates(day: Any) -> pa.Array:
    """Days since 1970 as ISO texts; `NEVER` as null."""
    return pa.array(day.astype("int32"), mask=day >= NEVER).cast(pa.date32()).cast(pa.string())


def joined(*parts: Any) -> pa.Array:
    """Texts put together row by row; a missing part is an empty one."""
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def looked_up(names: Sequence[str], code: Any, unknown: str) -> pa.Array:
    """The names of codes; `unknown` for −1."""
    return pa.array([*names, unknown], pa.string()).take(pc.if_else(pc.less(code, 0), len(names), code))
