"""The lines of a draft for a result that stands in a row of its own: number, sign, words, unit, reference range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.cdm.workbench import quoted
from atoll.ingest.drafts.drafting import (
    Columns,
    called,
    either,
    first,
    named,
    named_column,
    number_of,
    pattern_of,
    scalar,
)
from atoll.ingest.drafts.listing import Lists
from atoll.ingest.drafts.wide import RANGES, range_ends, says


def result_lines(column: dict[str, Any], table: Mapping[str, Any], columns: Columns, lists: Lists) -> list[str]:
    """A result: its number, converted into the unit that the list of tests gives, and what it says in words."""
    written = named_column(column)
    plain = column["type"] in ("integer", "number") and not column.get("not_fitting")
    read = number_of(column, "number" if plain else "result")
    said = columns.get("value_string", [])[:1] if plain else [column]  # where words may stand
    if said and plain:
        read = f"coalesce({read}, {number_of(said[0], 'result')})"
    as_text = written if column["type"] == "text" or pattern_of(column) or not plain else f"text({written})"
    texts = [*(said if plain else []), *(columns[one][0] for one in ("answer_name", "answer") if one in columns)]
    as_text = either([as_text, *map(named_column, texts)])
    unit, into = _units(table, columns, lists)
    ends = {"value_as_number": read, **range_ends(_reference(table, columns, lists))}
    made = [f"{target}: {scalar(f'convert({end}{into}' if into else end)}" for target, end in ends.items()]
    words = _in_words(said, table, columns, lists)
    return [made[0], *words, *unit, f"value_source_value: {scalar(as_text)}", *made[1:]]


def _in_words(said: list[dict[str, Any]], table: Mapping[str, Any], columns: Columns, lists: Lists) -> list[str]:
    """The sign before a result, and the concept of one in words.

    said   the columns where words may stand
    """
    finding = [f"finding({named_column(one)})" for one in said]
    if answer := columns.get("answer"):
        finding.append(called("lookup", lists.of("answer", answer, table, columns), named_column(answer[0])))
    signs = [number_of(one, "operator") for one in (*columns.get("comparator", [])[:1], *said)]
    lines = [f"operator_concept_id: {either(signs)}"] if signs else []
    return lines + ([f"value_as_concept_id: {either(finding)}"] if finding else [])


def _units(table: Mapping[str, Any], columns: Columns, lists: Lists) -> tuple[list[str], str]:
    """The line of the unit, and the end of a conversion into it; nothing where there is no unit or no test."""
    code, unit = next((columns[m][0] for m in ("test", "test_name") if m in columns), None), first(columns, "unit")
    if not unit or not code:
        return [], ""
    coded = code.get("vocabulary")
    of = f'lookup("{lists.of("units" if coded else "test", [code], table, columns)}", {named_column(code)}, '
    wanted = f'coalesce({of}"unit"), {named(unit)})'
    return [f"unit_concept_id: unit({wanted})"], f', {named(unit)}, {wanted}, {of}"analyte"))'


def _reference(table: Mapping[str, Any], columns: Columns, lists: Lists) -> dict[str, dict[str, Any]]:
    """The columns of a table that hold reference ranges, by their meaning."""
    view = quoted(f"source:{table.get('view', table['name'])}")
    found = {meaning: columns[meaning][0] for meaning in RANGES if meaning in columns}
    return {meaning: column for meaning, column in found.items() if says(lists.bench, view, column, meaning)}
