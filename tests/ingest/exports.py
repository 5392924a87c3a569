"""Small exports for the tests of loading: written as texts, loaded, read back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from atoll.cdm.workbench import Workbench
from atoll.ingest.load import Report, load
from atoll.ingest.mapping import mapping_from

PATIENTS = "id,sex,born,died\n1,M,1950-02-03,\n2,F,1961-05-06,2024-03-01\n3,F,1999-12-31,\n"
VISITS = "visit,patient,from,to\nv1,1,2020-01-10,2020-01-12\nv2,2,2020-02-01,2020-02-01\nv3,1,2021-06-01,2021-06-03\n"
RESULTS = (
    "row,patient,visit,day,code,value,unit\n"
    "a,1,v1,2020-01-11,2345-7,99.5,mg/dL\n"
    "b,2,v2,2020-02-01,2345-7,5.1,mmol/L\n"
    "c,1,v3,2021-06-02,9999-9,1,x\n"
)
MAPPING = """\
mapping: 1
name: small
source: {missing: ["?"]}
lists: {sex: sex.csv}
rules:
  - to: person
    from: patients
    key: id
    columns:
      person_source_value: id
      gender_concept_id: lookup("sex", sex)
      year_of_birth: year(date(born))
      month_of_birth: month(date(born))
      day_of_birth: day(date(born))
  - to: death
    from: patients
    where: died is not missing
    columns:
      person_id: id
      death_date: date(died)
  - to: visit_occurrence
    from: visits
    key: visit
    columns:
      person_id: patient
      visit_concept_id: 9201
      visit_start_date: date(`from`)
      visit_end_date: date(to)
  - to: measurement
    from: results
    key: row
    columns:
      person_id: patient
      visit_occurrence_id: visit
      measurement_concept_id: code("LOINC", code)
      measurement_date: date(day)
      value_as_number: number(value)
      unit_source_value: unit
"""
SEX = "code,concept_id\nM,8507\nF,8532\n"
TODAY = date(2026, 1, 1)


def write(folder: Path, **tables: str | bytes) -> Path:
    """An export: one CSV a table; those of the small one unless others are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"patients": PATIENTS, "visits": VISITS, "results": RESULTS, **tables}.items():
        (folder / f"{name}.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def mapping(folder: Path, text: str = MAPPING, **lists: str) -> Any:
    """A mapping with its code lists in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"sex": SEX, **lists}.items():
        (folder / f"{name}.csv").write_text(content, "utf-8")
    return mapping_from(text, folder)


def loaded(
    folder: Path, text: str = MAPPING, target: str = "cdm.duckdb", *, anyway: bool = False,
    lists: Mapping[str, str] | None = None, **tables: str | bytes,
) -> Report:  # fmt: skip
    """Write an export and load it; `anyway` also where much is lost, or no row of some rule stays."""
    export, made = write(folder / "export", **tables), mapping(folder / "mapping", text, **(lists or {}))
    return load(made, str(export), folder / target, today=TODAY, anyway=anyway)


def rows(folder: Path, query: str, target: str = "cdm.duckdb") -> list[tuple[Any, ...]]:
    """Rows of a query over what was loaded."""
    with Workbench(folder / target, read_only=True) as bench:
        return bench.rows(query)


def reasons(report: Report) -> dict[str, int]:
    """Rows kept aside, by reason."""
    found: dict[str, int] = {}
    for entry in report.rejected:
        found[entry["reason"]] = found.get(entry["reason"], 0) + entry["rows"]
    return found
