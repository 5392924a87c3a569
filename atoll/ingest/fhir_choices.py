"""Elements of FHIR R4 that are of one of several types (`value[x]`, `onset[x]` …): how each type is read, or that it is
named.

A day is read of a dateTime, an instant, the start of a Period, the first event of a Timing, and of an Age or the lower
end of a Range of ages, counted from the patient's birth. A value is a number with its unit, a code, or a text: a Ratio
without units is a titre (1:128), a Range 3-5, a Period start/end. What has neither is counted by file, and where a
result loses its value with it, the row is kept aside with that reason.

Source: FHIR R4 (4.0.1), the resources' lists of elements; 2.24 Data Types for the types.
"""

from __future__ import annotations

from atoll.cdm.workbench import literal

CODING = "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[], text VARCHAR)"
PERIOD = 'STRUCT(start VARCHAR, "end" VARCHAR)'
BORN = "born"  # a column beside the fields of a resource that may tell an age: the patient's birth, a day
_QUANTITY = "STRUCT(value DOUBLE, unit VARCHAR, code VARCHAR, comparator VARCHAR)"
_WRITTEN = "STRUCT(value VARCHAR, unit VARCHAR, code VARCHAR, comparator VARCHAR)"  # digits as they stand there
_TYPES = {
    "DateTime": "VARCHAR", "Instant": "VARCHAR", "Period": PERIOD, "Timing": "JSON", "Age": _QUANTITY,
    "Range": f"STRUCT(low {_QUANTITY}, high {_QUANTITY})",
}  # fmt: skip
VALUES = {
    "valueQuantity": _QUANTITY, "valueCodeableConcept": CODING, "valueString": "VARCHAR", "valueInteger": "BIGINT",
    "valueBoolean": "BOOLEAN", "valueRange": f"STRUCT(low {_WRITTEN}, high {_WRITTEN})",
    "valueRatio": f"STRUCT(numerator {_WRITTEN}, denominator {_WRITTEN})", "valueSampledData": "JSON",
    "valueTime": "VARCHAR", "valueDateTime": "VARCHAR", "valuePeriod": PERIOD,
}  # fmt: skip
# what is counted where it stands: field → a text that is missing where it need not be told
UNREAD = {
    "onsetString": "onsetString", "abatementString": "abatementString", "performedString": "performedString",
    "occurrenceString": "occurrenceString", "valueSampledData": "valueSampledData",
    "effectiveTiming": "CASE WHEN coalesce(effectiveTiming ->> '$.event[0]',"
                       " effectiveTiming ->> '$.repeat.boundsPeriod.start') IS NULL THEN effectiveTiming END",
}  # fmt: skip
AGES = ("onsetAge", "onsetRange", "abatementAge", "abatementRange", "performedAge", "performedRange")
# parts of years, months, weeks … as UCUM and others write them: of months, else of days
_MONTHS = {"a": 12, "year": 12, "years": 12, "mo": 1, "month": 1, "months": 1}
_DAYS = {"wk": 7, "week": 7, "weeks": 7, "d": 1, "day": 1, "days": 1, "h": 1 / 24, "min": 1 / 1440}


def days(element: str, *types: str) -> dict[str, str]:
    """The fields of an element that holds a day, with their types for the engine."""
    return {f"{element}{kind}": _TYPES[kind] for kind in types}


def day(element: str, *types: str, end: bool = False) -> str:
    """The day that an element holds, as it is written; `end`: it is where something ends."""
    first, last = ("end", "start") if end else ("start", "end")
    field = {kind: f"{element}{kind}" for kind in types}
    read = {
        "DateTime": ["{0}"], "Instant": ["{0}"],
        "Period": [f'{{0}}."{first}"', f'{{0}}."{last}"'],
        "Timing": ["({0} ->> '$.event[0]')", "({0} ->> '$.repeat.boundsPeriod.start')"],
        "Age": [_counted("{0}")], "Range": [_counted("{0}.low")],
    }  # fmt: skip
    return f"coalesce({', '.join(one.format(field[kind]) for kind in types for one in read[kind])})"


def _counted(age: str) -> str:
    """The day on which a patient came to an age; of an age in years the birthday."""
    unit, value = f"lower(coalesce({age}.code, {age}.unit))", f"{age}.value"
    months = " ".join(
        f"WHEN {literal(one)} THEN to_months(round({value} * {n})::INTEGER)" for one, n in _MONTHS.items()
    )
    after = " ".join(f"WHEN {literal(one)} THEN to_days(floor({value} * {n!r})::INTEGER)" for one, n in _DAYS.items())
    return f"CASE WHEN {value} BETWEEN 0 AND 99999 THEN ({BORN} + CASE {unit} {months} {after} END)::DATE::VARCHAR END"


def value() -> str:
    """The columns `value`, `unit`, `unit_text`, `comparator` and `value_string` of `value[x]`."""
    over, under = "valueRatio.numerator", "valueRatio.denominator"
    units = [f"coalesce({part}.code, {part}.unit, '')" for part in (over, under)]
    units = [f"CASE WHEN {unit} <> '1' THEN {unit} ELSE '' END" for unit in units]
    unit = f"nullif({units[0]} || CASE WHEN {units[1]} <> '' THEN '/' || {units[1]} ELSE '' END, '')"
    parts = [f"TRY_CAST({part}.value AS DOUBLE)" for part in (over, under)]
    share = f"CASE WHEN {unit} IS NOT NULL THEN {parts[0]} / nullif({parts[1]}, 0) END"
    titre = f"CASE WHEN {unit} IS NULL THEN {over}.value || ':' || {under}.value END"
    low, high = "valueRange.low", "valueRange.high"
    between = (
        f"CASE WHEN {high}.value IS NULL THEN '>=' || {low}.value WHEN {low}.value IS NULL THEN '<=' || {high}.value"
        f" ELSE {low}.value || '-' || {high}.value END"
    )
    period = "CASE WHEN valuePeriod IS NOT NULL THEN concat(valuePeriod.start, '/', valuePeriod.\"end\") END"
    spoken = ", ".join(f"{part}.{name}" for part in (low, high) for name in ("code", "unit"))
    return (
        f"coalesce(valueQuantity.value, {share}) AS value,"
        f" coalesce(valueQuantity.code, valueQuantity.unit, {unit}, {spoken}) AS unit, valueQuantity.unit AS unit_text,"
        f" coalesce(valueQuantity.comparator, {over}.comparator) AS comparator,"
        f" coalesce(valueString, valueInteger::VARCHAR, valueBoolean::VARCHAR, {titre}, {between}, valueDateTime,"
        f" valueTime, {period}) AS value_string"
    )


def counted() -> dict[str, str]:
    """Of each field that is told with its rows, what counts where it stands, as SQL."""
    parts = "coalesce(len(component -> '$[*].valueSampledData'), 0)"
    found = {field: f"count({text})" for field, text in UNREAD.items()} | {field: f"count({field})" for field in AGES}
    return {**found, "valueSampledData": f"{found['valueSampledData']} + sum({parts})"}


def told(kind: str, found: dict[str, int]) -> list[str]:
    """What is said of the fields of a type of resource, by how many rows tell each."""
    return [
        f"{rows:,} {kind} tell `{field}`, which is not read" if field in UNREAD
        else f"{rows:,} {kind} tell `{field}`: its day is counted from the birth"
        for field, rows in found.items() if rows
    ]  # fmt: skip
