"""FHIR R4 as tables: bulk exports (NDJSON, one resource a line) and bundles, read by the engine with the types of R4.

Each resource type is a table of plain columns: `patient` and `encounter` are the ids behind the references, `code`,
`system` and `display` the first coding of what the resource is about, `code_2` and `system_2` the second. Codings of a
system that everybody knows (`_KNOWN`) come before a hospital's own, whatever their order. Dates stay as they are
written, with their offset; what may be of several types is read as `fhir_choices` says. Components of an observation
are rows of their own (id, then `#` and a number). A resource of a bundle that has no id has that of its `fullUrl`.
Resources of other types are counted and named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from atoll.cdm.delimited import opened
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest import fhir_choices as choices
from atoll.ingest.fhir_choices import BORN, CODING, PERIOD, VALUES, day, days
from atoll.ingest.formats import NO_TABLE
from atoll.ingest.sources import LEFT_OUT, Opened, Source, SourceFile, hash_of

TIMES = "yyyy-MM-ddTHH:mm:ss"
MERGES = ("Patient", "id", "replaced_by")
_REF = "STRUCT(reference VARCHAR, display VARCHAR)"
_ABOUT = {"id": "VARCHAR", "subject": _REF, "patient": _REF, "encounter": _REF, "status": "VARCHAR"}
_MEDICINE = {"medicationCodeableConcept": CODING, "medicationReference": _REF,
             "contained": f"STRUCT(resourceType VARCHAR, id VARCHAR, code {CODING})[]"}  # fmt: skip
_MISTAKE = {"entered-in-error": "entered in error"}
_UNDONE = {"cancelled": "cancelled", "not-done": "not done", "planned": "only planned", "draft": "only a draft"}
_NO_ORDER = "('proposal', 'plan', 'option')"
# how addresses of code systems begin; FHIR R4, Terminology Registry (namingsystem-terminologies) and Code Systems
_KNOWN = ("http://loinc.org", "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm",
          "http://hl7.org/fhir/sid/", "http://www.whocc.no/atc", "http://terminology.hl7.org/CodeSystem/",
          "urn:oid:2.16.840.1.113883.6.")  # fmt: skip
_ORDERED = f"CASE WHEN doNotPerform THEN 'not to be performed' WHEN intent IN {_NO_ORDER} THEN 'no order' END"


def _id(column: str, field: str = "reference") -> str:
    """The id behind a reference such as Patient/7, Patient/7/_history/2, an absolute address, or urn:uuid:…"""
    return f"replace(split_part(split_part({column}.{field}, '/_history/', 1), '/', -1), 'urn:uuid:', '')"


def _codings(column: str) -> str:
    """The codings of a CodeableConcept, those of a known system first."""
    known = " OR ".join(f"starts_with(coalesce(c.system, ''), {literal(system)})" for system in _KNOWN)
    return f"list_concat(list_filter({column}.coding, c -> {known}), list_filter({column}.coding, c -> NOT ({known})))"


def _coded(column: str, prefix: str = "") -> str:
    """Two codings and the text; who gives no code is read by the text, so that nothing is without a name."""
    first, second = f"{_codings(column)}[1]", f"{_codings(column)}[2]"
    code = f"coalesce({first}.code, {column}.text, {first}.display) AS {prefix}code"
    said = f"coalesce({first}.display, {column}.text) AS {prefix}display"
    return (
        f"{code}, {first}.system AS {prefix}system, {said}, {second}.code AS {prefix}code_2,"
        f" {second}.system AS {prefix}system_2, {column}.text AS {prefix}text"
    )


def _why(column: str, words: Mapping[str, str], *others: str) -> str:
    """Why a resource is no fact, by the words of a status; nothing for a fact."""
    cases = " ".join(f"WHEN {literal(said)} THEN {literal(why)}" for said, why in words.items())
    return f"coalesce({', '.join([f'CASE {column} {cases} END', *others])}) AS {quoted(LEFT_OUT)}"


def _days(column: str) -> str:
    """A duration in days, begun ones whole; NaN, which is no number, in a unit that is none of time."""
    units = {"d": 1, "day": 1, "days": 1, "wk": 7, "week": 7, "weeks": 7, "mo": 30, "month": 30, "months": 30, "a": 365,
             "year": 365, "years": 365, "h": 1 / 24, "hour": 1 / 24, "hours": 1 / 24, "min": 1 / 1440}  # fmt: skip
    cases = " ".join(f"WHEN {literal(unit)} THEN {factor!r}" for unit, factor in units.items())
    unit = f"coalesce({column}.code, {column}.unit, 'd')"
    return f"ceil(round({column}.value * CASE lower({unit}) {cases} ELSE 'NaN'::DOUBLE END, 6))"


_MEDICATION = "medication"  # what a medication is: said in place, in what is contained, or by a resource of its own
_WHO = f"id, coalesce({_id('subject')}, {_id('patient')}) AS patient, {_id('encounter')} AS encounter, status"
_VALUE = f"{choices.value()}, {_coded('valueCodeableConcept', 'value_')}"
_OBSERVED = ("DateTime", "Instant", "Period", "Timing")
_LIVED = ("DateTime", "Period", "Age", "Range")  # of what began, ended or was done; a String is named
# a resource that tells a time which cannot be read is not of the day on which it was issued
_ISSUED = "CASE WHEN effectiveTiming IS NULL THEN issued END"
_SAMPLED = "CASE WHEN valueSampledData IS NOT NULL THEN 'a series of values' END"
_REPLACED_BY = "list_filter(link, l -> l.type = 'replaced-by')[1].other"
_DURATION = "STRUCT(value DOUBLE, unit VARCHAR, code VARCHAR)"
_VERIFIED = _why(f"{_codings('verificationStatus')}[1].code", {**_MISTAKE, "refuted": "refuted",
                 "differential": "one of several possible diagnoses"})  # fmt: skip
# resource type -> (fields with their types, what is selected)
TYPES: dict[str, tuple[dict[str, str], str]] = {
    "Patient": (
        {"id": "VARCHAR", "gender": "VARCHAR", "birthDate": "VARCHAR", "deceasedDateTime": "VARCHAR",
         "deceasedBoolean": "BOOLEAN", "identifier": "STRUCT(system VARCHAR, value VARCHAR)[]",
         "link": "STRUCT(other STRUCT(reference VARCHAR), type VARCHAR)[]",
         "extension": "STRUCT(url VARCHAR, valueCode VARCHAR, valueString VARCHAR)[]"},
        "id, identifier[1].value AS identifier, gender, birthDate AS birth, deceasedDateTime AS death,"
        " deceasedBoolean AS deceased,"
        f" {_id(_REPLACED_BY)} AS replaced_by,"
        " extension[1].url AS extension_url, coalesce(extension[1].valueCode, extension[1].valueString) AS"
        " extension_value",
    ),
    "Encounter": (
        {**_ABOUT, "class": "STRUCT(code VARCHAR)", "period": PERIOD, "type": f"{CODING}[]", "serviceProvider": _REF},
        f"id, {_id('subject')} AS patient, status, class.code AS class, period.start AS start_time, period.end AS"
        " end_time,"
        f" {_coded('type[1]')}, {_id('serviceProvider')} AS organization, {_why('status', {**_MISTAKE, **_UNDONE})}",
    ),
    "Condition": (
        {**_ABOUT, "code": CODING, **days("onset", *_LIVED), **days("abatement", *_LIVED),
         "recordedDate": "VARCHAR", "clinicalStatus": CODING, "verificationStatus": CODING},
        f"{_WHO}, {_coded('code')}, coalesce({day('onset', *_LIVED)}, recordedDate) AS start_time,"
        f" {day('abatement', *_LIVED, end=True)} AS end_time, {_codings('clinicalStatus')}[1].code AS"
        f" clinical_status, {_codings('verificationStatus')}[1].code AS verification_status, {_VERIFIED}",
    ),
    "Observation": (
        {**_ABOUT, **VALUES, "code": CODING, **days("effective", *_OBSERVED),
         "issued": "VARCHAR", "category": f"{CODING}[]"},
        f"{_WHO}, {_coded('code')}, coalesce({day('effective', *_OBSERVED)}, {_ISSUED}) AS time, {_VALUE},"
        f" {_codings('category[1]')}[1].code AS category, {_why('status', {**_MISTAKE, **_UNDONE}, _SAMPLED)}",
    ),
    "Medication": (
        {"id": "VARCHAR", "code": CODING, "status": "VARCHAR"},
        f"id, status, {_coded('code')}, {_why('status', _MISTAKE)}",
    ),
    "MedicationRequest": (
        {**_ABOUT, **_MEDICINE, "authoredOn": "VARCHAR", "intent": "VARCHAR", "doNotPerform": "BOOLEAN",
         "dispenseRequest": f"STRUCT(expectedSupplyDuration {_DURATION}, quantity STRUCT(value DOUBLE),"
                            " numberOfRepeatsAllowed INTEGER)"},
        f"{_WHO}, {_coded(_MEDICATION)}, authoredOn AS start_time,"
        f" {_days('dispenseRequest.expectedSupplyDuration')} AS days, dispenseRequest.quantity.value AS quantity,"
        f" dispenseRequest.numberOfRepeatsAllowed AS refills, {_why('status', {**_MISTAKE, **_UNDONE}, _ORDERED)}",
    ),
    "MedicationStatement": (
        {**_ABOUT, **_MEDICINE, "context": _REF, "effectiveDateTime": "VARCHAR", "effectivePeriod": PERIOD,
         "dateAsserted": "VARCHAR"},
        f"id, {_id('subject')} AS patient, {_id('context')} AS encounter, status, {_coded(_MEDICATION)},"
        " coalesce(effectiveDateTime, effectivePeriod.start, dateAsserted) AS start_time, effectivePeriod.end AS"
        f" end_time, {_why('status', {**_MISTAKE, 'not-taken': 'not taken', 'intended': 'only planned'})}",
    ),
    "MedicationAdministration": (
        {**_ABOUT, **_MEDICINE, "context": _REF, "effectiveDateTime": "VARCHAR", "effectivePeriod": PERIOD,
         "dosage": "STRUCT(dose STRUCT(value DOUBLE, unit VARCHAR))"},
        f"id, {_id('subject')} AS patient, {_id('context')} AS encounter, status, {_coded(_MEDICATION)},"
        " coalesce(effectiveDateTime, effectivePeriod.start) AS start_time, effectivePeriod.end AS end_time,"
        f" dosage.dose.value AS quantity, dosage.dose.unit AS unit, {_why('status', {**_MISTAKE, **_UNDONE})}",
    ),
    "MedicationDispense": (
        {**_ABOUT, **_MEDICINE, "context": _REF, "whenHandedOver": "VARCHAR", "whenPrepared": "VARCHAR",
         "daysSupply": _DURATION, "quantity": "STRUCT(value DOUBLE, unit VARCHAR)"},
        f"id, {_id('subject')} AS patient, {_id('context')} AS encounter, status, {_coded(_MEDICATION)},"
        f" coalesce(whenHandedOver, whenPrepared) AS start_time, {_days('daysSupply')} AS days, quantity.value AS"
        " quantity, quantity.unit AS unit,"
        f" {_why('status', {**_MISTAKE, **_UNDONE, 'declined': 'declined', 'preparation': 'only planned'})}",
    ),
    "Procedure": (
        {**_ABOUT, "code": CODING, **days("performed", *_LIVED)},
        f"{_WHO}, {_coded('code')}, {day('performed', *_LIVED)} AS start_time,"
        f" performedPeriod.end AS end_time, {_why('status', {**_MISTAKE, **_UNDONE, 'preparation': 'only planned'})}",
    ),
    "Immunization": (
        {**_ABOUT, "vaccineCode": CODING, "occurrenceDateTime": "VARCHAR"},
        f"{_WHO}, {_coded('vaccineCode')}, occurrenceDateTime AS start_time,"
        f" {_why('status', {**_MISTAKE, **_UNDONE})}",
    ),
    "AllergyIntolerance": (
        {**_ABOUT, "code": CODING, "recordedDate": "VARCHAR", **days("onset", *_LIVED),
         "verificationStatus": CODING},
        f"{_WHO}, {_coded('code')}, coalesce({day('onset', *_LIVED)}, recordedDate) AS start_time, {_VERIFIED}",
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
    kinds = source.kinds
    components: list[Path] = []
    aged: set[str] = set()
    seen: dict[str, list[SourceFile]] = {}
    for file in files:
        if not file.name.lower().endswith((".ndjson", ".ndjson.gz", ".json")):
            continue
        progress(f"{file.name} ({file.stat().st_size:,} bytes)")
        readable = _lines(bench, file, folder)
        found = _counts(bench, readable, file, source, folder)
        size = sum(rows for rows, _, _ in found.values())
        mark = SourceFile(file.name, hash_of(file), file.stat().st_size, "utf-8", "", size)
        for kind, (rows, parts, fields) in found.items():
            source.counts[kind] = source.counts.get(kind, 0) + rows
            if kind in TYPES:
                kinds.setdefault(kind, []).append(source.clean.get(readable, readable))
                seen.setdefault(kind, []).append(mark)
                aged |= {kind} if any(map(fields.get, choices.AGES)) else set()
                source.notes += [f"{file.name}: {said}" for said in choices.told(kind, fields)]
                components += [source.clean.get(readable, readable)] if parts else []
            else:
                source.notes.append(f"{file.name}: {rows:,} resources of type {kind} {NO_TABLE}")
    if not kinds:
        raise DataError("No FHIR resource was found in these files.", "Give the folder of a bulk export, or a bundle.")
    for kind, members in kinds.items():
        more = seen.get("Medication", []) if "medicationReference" in TYPES[kind][0] else []
        more = more + seen.get("Patient", []) if kind in aged else more
        marks = tuple(dict.fromkeys([*seen[kind], *more]))
        _table(source, kind, members, components if kind == "Observation" else [], marks, kind in aged)
    return source


def _lines(bench: Workbench, file: Path, folder: Path) -> Path:
    """The file, or for a bundle its resources as lines."""
    import duckdb

    with opened(file) as content:
        head = content.read(65_536)
    if b'"Bundle"' not in head.split(b"\n", 1)[0] and b'"entry"' not in head:
        return file
    target = folder / f"{hash_of(file)[:16]}.ndjson"
    if not target.exists():
        most = max(16_777_216, file.stat().st_size + 1024)
        options = f"maximum_object_size = {most}, format = 'auto', columns = {{entry:"
        options += " 'STRUCT(fullUrl VARCHAR, resource JSON)[]'}"
        try:
            bench.run(
                f"COPY (SELECT {_NAMED} FROM (SELECT unnest(entry) AS entry FROM read_json("
                f"{literal(str(file))}, {options})) WHERE entry.resource IS NOT NULL) TO {literal(str(target))}"
                " (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
            )
        except duckdb.Error as error:
            raise DataError(
                f"{file.name} is no whole JSON document: it is damaged or ends in the middle.", "Export it again."
            ) from error
    return target


# a resource that is to be given its id by whoever takes it is referred to by its address: that is its id here
_NAMED = (
    "CASE WHEN json_exists(entry.resource, '$.id') OR entry.fullUrl IS NULL THEN entry.resource::VARCHAR ELSE"
    f" '{{\"id\":' || to_json({_id('entry', 'fullUrl')})::VARCHAR || ',' || ltrim(entry.resource::VARCHAR, '{{ ') END"
)


def _json(files: Sequence[Path], columns: dict[str, str]) -> str:
    # a field that a file does not have is empty; everything that is not asked for is skipped while it is read
    return (
        f"read_json({literal([str(file) for file in files])}, format = 'newline_delimited', maximum_object_size ="
        " 67108864,"
        f" columns = {literal(columns)})"
    )


def _counts(
    bench: Workbench, path: Path, file: Path, source: Source, folder: Path
) -> dict[str, tuple[int, int, dict[str, int]]]:
    """Of each type its resources, how many have components, and how many tell a field of `fhir_choices.counted`.
    Broken lines are set aside first."""
    import duckdb

    fields = choices.counted()
    columns = {"resourceType": "VARCHAR", "component": "JSON", **dict.fromkeys(fields, "JSON")}
    query = (
        f"SELECT resourceType, count(*), count(component), {', '.join(fields.values())} FROM {{}} GROUP BY 1 ORDER BY 1"
    )
    try:
        rows = bench.rows(query.format(_json([path], columns)))
    except duckdb.Error:
        clean = _without_broken(path, file, source, folder)
        rows = bench.rows(query.format(_json([clean], columns)))
    return {
        kind or "without a type": (n, parts, dict(zip(fields, said, strict=True))) for kind, n, parts, *said in rows
    }


def _without_broken(path: Path, file: Path, source: Source, folder: Path) -> Path:
    """A copy of the lines that are JSON; the others are remembered with their numbers."""
    target = folder / f"{hash_of(path)[:16]}.clean.ndjson"
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


def _table(
    source: Source, kind: str, files: list[Path], components: list[Path], seen: tuple[SourceFile, ...], aged: bool
) -> None:
    """The table of a type; `aged` where a resource tells a day as an age."""
    bench = source.bench
    columns, selected = TYPES[kind]
    where = f"WHERE resourceType = {literal(kind)}"
    rows = f"{_json(files, {'resourceType': 'VARCHAR', **columns})}"
    if "medicationReference" in columns:
        rows = f"({_with_medication(source, rows)})"
    if any(field in columns for field in choices.AGES):
        rows = f"({_with_birth(source, rows, aged)})"
    query = f"SELECT {selected} FROM {rows} {where}"
    if components:
        part = f"STRUCT(code {CODING}, " + ", ".join(f"{quoted(n)} {t}" for n, t in VALUES.items()) + ")[]"
        own = ", ".join(f"part.{name}" for name in ("code", *VALUES))
        rows = _json(components, {"resourceType": "VARCHAR", **columns, "component": part})
        query += (
            f" UNION ALL BY NAME SELECT {selected} FROM (SELECT * EXCLUDE (id, code, {', '.join(VALUES)}), id ||"
            " '#' || n AS id,"
            f" {own} FROM (SELECT *, unnest(component) AS part, generate_subscripts(component, 1) AS n FROM {rows}"
            f" {where}"
            " AND component IS NOT NULL))"
        )
    bench.view(kind, query)
    schema = bench.table(kind).schema()
    source.tables[kind] = Opened(kind, {name: str(dtype) for name, dtype in schema.items()}, seen)


def _with_medication(source: Source, rows: str) -> str:
    """Rows with `medication`: said in place, contained, of a resource of its own, else what the reference says."""
    own, joined = "NULL", ""
    if files := source.kinds.get("Medication"):
        coded = _json(files, {"resourceType": "VARCHAR", "id": "VARCHAR", "code": CODING})
        own = "m.code"
        one = f"SELECT id, any_value(code) AS code FROM {coded} WHERE resourceType = 'Medication' GROUP BY id"
        joined = f" LEFT JOIN ({one}) m ON m.id = {_id('r.medicationReference')}"
    held = "list_filter(r.contained, c -> '#' || c.id = r.medicationReference.reference)[1].code"
    said = f"coalesce(r.medicationReference.display, {_id('r.medicationReference')})"
    named = f"CASE WHEN {said} IS NOT NULL THEN {{'coding': NULL, 'text': {said}}}::{CODING} END"
    first = f"coalesce(r.medicationCodeableConcept, {held}, {own}, {named})"
    return f"SELECT r.*, {first} AS {_MEDICATION} FROM {rows} r{joined}"


def _with_birth(source: Source, rows: str, aged: bool) -> str:
    """Rows with the first day on which their patient can have been born."""
    files = source.kinds.get("Patient")
    if not aged or not files:
        return f"SELECT *, NULL::DATE AS {BORN} FROM {rows}"
    patients = _json(files, {"resourceType": "VARCHAR", "id": "VARCHAR", "birthDate": "VARCHAR"})
    birth = f"try_cast(rpad(min(birthDate), 10, '-01-01') AS DATE) AS {BORN}"
    one = f"SELECT id AS of_id, {birth} FROM {patients} WHERE resourceType = 'Patient' GROUP BY id"
    who = f"coalesce({_id('r.subject')}, {_id('r.patient')})"
    return f"SELECT r.*, {BORN} FROM {rows} r LEFT JOIN ({one}) ON of_id = {who}"
