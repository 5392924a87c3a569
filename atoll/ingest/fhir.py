"""FHIR R4 as tables: bulk exports (NDJSON, one resource a line) and bundles, read by the engine with the types of R4.

Each resource type is a table of plain columns: `patient` and `encounter` are the ids behind the references, `code`,
`system` and `display` the first coding of what the resource is about, `code_2` and `system_2` the second. Dates stay as
they are written, with their offset. Components of an observation are rows of their own (id, then `#` and a number).
Resources of other types are counted and named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from atoll.cdm.delimited import opened
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest.sources import Opened, Source, SourceFile

_CODING = "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[], text VARCHAR)"
_REF = "STRUCT(reference VARCHAR)"
_PERIOD = 'STRUCT(start VARCHAR, "end" VARCHAR)'
_QUANTITY = "STRUCT(value DOUBLE, unit VARCHAR, code VARCHAR, comparator VARCHAR)"
_VALUES = {"valueQuantity": _QUANTITY, "valueCodeableConcept": _CODING, "valueString": "VARCHAR",
           "valueInteger": "BIGINT", "valueBoolean": "BOOLEAN"}  # fmt: skip
_ABOUT = {"id": "VARCHAR", "subject": _REF, "patient": _REF, "encounter": _REF, "status": "VARCHAR"}


def _id(column: str) -> str:
    """The id behind a reference such as Patient/7, an absolute address, or urn:uuid:…"""
    return f"replace(split_part({column}.reference, '/', -1), 'urn:uuid:', '')"


def _coded(column: str, prefix: str = "") -> str:
    names = {"code": "code", "system": "system", "display": "display"}
    parts = [f"{column}.coding[1].{field} AS {prefix}{name}" for field, name in names.items()]
    parts += [f"{column}.coding[2].{field} AS {prefix}{name}_2" for field, name in list(names.items())[:2]]
    return ", ".join([*parts, f"{column}.text AS {prefix}text"])


_WHO = f"id, coalesce({_id('subject')}, {_id('patient')}) AS patient, {_id('encounter')} AS encounter, status"
_VALUE = (
    "valueQuantity.value AS value, coalesce(valueQuantity.code, valueQuantity.unit) AS unit, valueQuantity.unit AS"
    " unit_text,"
    f" valueQuantity.comparator AS comparator, {_coded('valueCodeableConcept', 'value_')},"
    " coalesce(valueString, valueInteger::VARCHAR, valueBoolean::VARCHAR) AS value_string"
)
# resource type -> (fields with their types, what is selected)
TYPES: dict[str, tuple[dict[str, str], str]] = {
    "Patient": (
        {"id": "VARCHAR", "gender": "VARCHAR", "birthDate": "VARCHAR", "deceasedDateTime": "VARCHAR",
         "deceasedBoolean": "BOOLEAN", "identifier": "STRUCT(system VARCHAR, value VARCHAR)[]",
         "link": "STRUCT(other STRUCT(reference VARCHAR), type VARCHAR)[]",
         "extension": "STRUCT(url VARCHAR, valueCode VARCHAR, valueString VARCHAR)[]"},
        "id, identifier[1].value AS identifier, gender, birthDate AS birth, deceasedDateTime AS death,"
        " deceasedBoolean AS"
        " deceased, list_filter(link, l -> l.type = 'replaced-by')[1].other.reference AS replaced_by_reference,"
        " extension[1].url AS extension_url, coalesce(extension[1].valueCode, extension[1].valueString) AS"
        " extension_value",
    ),
    "Encounter": (
        {**_ABOUT, "class": "STRUCT(code VARCHAR)", "period": _PERIOD, "type": f"{_CODING}[]", "serviceProvider": _REF},
        f"id, {_id('subject')} AS patient, status, class.code AS class, period.start AS start_time, period.end AS"
        " end_time,"
        f" {_coded('type[1]')}, {_id('serviceProvider')} AS organization",
    ),
    "Condition": (
        {**_ABOUT, "code": _CODING, "onsetDateTime": "VARCHAR", "onsetPeriod": _PERIOD, "abatementDateTime": "VARCHAR",
         "recordedDate": "VARCHAR", "clinicalStatus": _CODING},
        f"{_WHO}, {_coded('code')}, coalesce(onsetDateTime, onsetPeriod.start, recordedDate) AS start_time,"
        " coalesce(abatementDateTime, onsetPeriod.end) AS end_time, clinicalStatus.coding[1].code AS clinical_status",
    ),
    "Observation": (
        {**_ABOUT, **_VALUES, "code": _CODING, "effectiveDateTime": "VARCHAR", "effectivePeriod": _PERIOD,
         "issued": "VARCHAR", "category": f"{_CODING}[]"},
        f"{_WHO}, {_coded('code')}, coalesce(effectiveDateTime, effectivePeriod.start, issued) AS time, {_VALUE},"
        " category[1].coding[1].code AS category",
    ),
    "MedicationRequest": (
        {**_ABOUT, "medicationCodeableConcept": _CODING, "authoredOn": "VARCHAR",
         "dispenseRequest": "STRUCT(expectedSupplyDuration STRUCT(value DOUBLE), quantity STRUCT(value DOUBLE),"
                            " numberOfRepeatsAllowed INTEGER)"},
        f"{_WHO}, {_coded('medicationCodeableConcept')}, authoredOn AS start_time,"
        " dispenseRequest.expectedSupplyDuration.value AS days, dispenseRequest.quantity.value AS quantity,"
        " dispenseRequest.numberOfRepeatsAllowed AS refills",
    ),
    "MedicationAdministration": (
        {**_ABOUT, "context": _REF, "medicationCodeableConcept": _CODING, "effectiveDateTime": "VARCHAR",
         "effectivePeriod": _PERIOD, "dosage": "STRUCT(dose STRUCT(value DOUBLE, unit VARCHAR))"},
        f"id, {_id('subject')} AS patient, {_id('context')} AS encounter, status,"
        f" {_coded('medicationCodeableConcept')},"
        " coalesce(effectiveDateTime, effectivePeriod.start) AS start_time, effectivePeriod.end AS end_time,"
        " dosage.dose.value AS quantity, dosage.dose.unit AS unit",
    ),
    "Procedure": (
        {**_ABOUT, "code": _CODING, "performedDateTime": "VARCHAR", "performedPeriod": _PERIOD},
        f"{_WHO}, {_coded('code')}, coalesce(performedDateTime, performedPeriod.start) AS start_time,"
        " performedPeriod.end AS end_time",
    ),
    "Immunization": (
        {**_ABOUT, "vaccineCode": _CODING, "occurrenceDateTime": "VARCHAR"},
        f"{_WHO}, {_coded('vaccineCode')}, occurrenceDateTime AS start_time",
    ),
    "AllergyIntolerance": (
        {**_ABOUT, "code": _CODING, "recordedDate": "VARCHAR", "onsetDateTime": "VARCHAR"},
        f"{_WHO}, {_coded('code')}, coalesce(onsetDateTime, recordedDate) AS start_time",
    ),
}  # fmt: skip


def is_message(name: str, head: bytes) -> bool:
    """Whether a file holds FHIR."""
    return name.endswith((".ndjson", ".ndjson.gz")) or (name.endswith(".json") and b'"resourceType"' in head)


def open_messages(files: Sequence[Path], bench: Workbench, folder: Path, progress: Progress = silent) -> Source:
    """All resources of some files as a source with one table a type.

    Raises
    ------
    DataError
        When a file holds no FHIR, or ends in the middle.
    """
    source = Source(bench, "fhir")
    kinds: dict[str, list[Path]] = {}
    components: list[Path] = []
    seen: dict[str, list[SourceFile]] = {}
    for file in files:
        if not file.name.lower().endswith((".ndjson", ".ndjson.gz", ".json")):
            continue
        progress(f"{file.name} ({file.stat().st_size:,} bytes)")
        readable = _lines(bench, file, folder)
        found, with_components = _counts(bench, readable, file, source, folder)
        mark = SourceFile(file.name, _sha256(file), file.stat().st_size, "utf-8", "", sum(found.values()))
        for kind, rows in found.items():
            if kind in TYPES:
                kinds.setdefault(kind, []).append(source.clean.get(readable, readable))
                seen.setdefault(kind, []).append(mark)
            else:
                source.notes.append(f"{file.name}: {rows:,} resources of type {kind} have no table")
        if with_components:
            components.append(source.clean.get(readable, readable))
    if not kinds:
        raise DataError("No FHIR resource was found in these files.", "Give the folder of a bulk export, or a bundle.")
    for kind, members in kinds.items():
        _table(source, kind, members, components if kind == "Observation" else [], tuple(seen[kind]))
    return source


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _lines(bench: Workbench, file: Path, folder: Path) -> Path:
    """The file, or for a bundle its resources as lines."""
    import duckdb

    with opened(file) as content:
        head = content.read(65_536)
    if b'"Bundle"' not in head.split(b"\n", 1)[0] and b'"entry"' not in head:
        return file
    target = folder / f"{_sha256(file)[:16]}.ndjson"
    if not target.exists():
        most = max(16_777_216, file.stat().st_size + 1024)
        options = f"maximum_object_size = {most}, format = 'auto', columns = {{entry: 'STRUCT(resource JSON)[]'}}"
        try:
            bench.run(
                f"COPY (SELECT entry.resource::VARCHAR FROM (SELECT unnest(entry) AS entry FROM read_json("
                f"{literal(str(file))}, {options})) WHERE entry.resource IS NOT NULL) TO {literal(str(target))}"
                " (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
            )
        except duckdb.Error as error:
            raise DataError(
                f"{file.name} is no whole JSON document: it is damaged or ends in the middle.", "Export it again."
            ) from error
    return target


def _json(files: Sequence[Path], columns: dict[str, str]) -> str:
    # a field that a file does not have is empty; everything that is not asked for is skipped while it is read
    return (
        f"read_json({literal([str(file) for file in files])}, format = 'newline_delimited', maximum_object_size ="
        " 67108864,"
        f" columns = {literal(columns)})"
    )


def _counts(bench: Workbench, path: Path, file: Path, source: Source, folder: Path) -> tuple[dict[str, int], int]:
    """Resources by type, and how many have components; broken lines are set aside first."""
    import duckdb

    columns = {"resourceType": "VARCHAR", "component": "JSON"}
    query = "SELECT resourceType, count(*), count(component) FROM {} GROUP BY 1 ORDER BY 1"
    try:
        rows = bench.rows(query.format(_json([path], columns)))
    except duckdb.Error:
        clean = _without_broken(path, file, source, folder)
        rows = bench.rows(query.format(_json([clean], columns)))
    return {kind or "without a type": n for kind, n, _ in rows}, sum(parts for _, _, parts in rows)


def _without_broken(path: Path, file: Path, source: Source, folder: Path) -> Path:
    """A copy of the lines that are JSON; the others are remembered with their numbers."""
    target = folder / f"{_sha256(path)[:16]}.clean.ndjson"
    last, broken = 0, []
    with opened(path) as lines, target.open("wb") as out:
        for last, line in enumerate(lines, 1):
            try:
                json.loads(line)
                out.write(line)
            except ValueError:
                if line.strip():
                    broken.append((last, line))
    if broken and broken[-1][0] == last and not broken[-1][1].endswith(b"\n"):
        raise DataError(
            f"{file.name} ends in the middle of line {last:,}.", "The export was cut off: copy or make it again, whole."
        )
    source.aside += [(file.name, number, "NO JSON", line.decode("utf-8", "replace")) for number, line in broken]
    source.clean[path] = target
    return target


def _table(source: Source, kind: str, files: list[Path], components: list[Path], seen: tuple[SourceFile, ...]) -> None:
    bench = source.bench
    columns, selected = TYPES[kind]
    where = f"WHERE resourceType = {literal(kind)}"
    query = f"SELECT {selected} FROM {_json(files, {'resourceType': 'VARCHAR', **columns})} {where}"
    if components:
        part = f"STRUCT(code {_CODING}, " + ", ".join(f"{quoted(n)} {t}" for n, t in _VALUES.items()) + ")[]"
        own = ", ".join(f"part.{name}" for name in ("code", *_VALUES))
        rows = _json(components, {"resourceType": "VARCHAR", **columns, "component": part})
        query += (
            f" UNION ALL BY NAME SELECT {selected} FROM (SELECT * EXCLUDE (id, code, {', '.join(_VALUES)}), id ||"
            " '#' || n AS id,"
            f" {own} FROM (SELECT *, unnest(component) AS part, generate_subscripts(component, 1) AS n FROM {rows}"
            f" {where}"
            " AND component IS NOT NULL))"
        )
    bench.view(kind, query)
    schema = bench.table(kind).schema()
    source.tables[kind] = Opened(kind, {name: str(dtype) for name, dtype in schema.items()}, seen)
