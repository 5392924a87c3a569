"""What an expression can look up, as tables beside the source: code lists, vocabularies, units, results in words.

Each is a table `key → columns`. Codes that it does not know are added before a rule runs, with concept 0 and a concept
of the hospital's own (from 2,000,000,000 on) as their source concept: they stay countable, and keep their number in
every later release.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from atoll.cdm.tables import LOCAL
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest.kinds import SEPARATOR
from atoll.ingest.lists import read_text, whole_rows
from atoll.ingest.values import COLUMNS, parse_values
from atoll.study.units import UnitError, analytes, canonical, conversion, unit_concepts

DOTLESS = ("ICD9CM", "ICD9Proc", "ICD9ProcCN", "ICD10", "ICD10CM", "ICD10CN", "ICD10PCS", "ICD10GM")
NAMED = ("list", "code")  # look-ups whose keys without a concept are named
CONCEPTS = ("concept_id", "source_concept_id")  # columns of a list that hold concepts, not words
_CODE_NAMES = ("code", "source_code", "local_code", "value", "name", "source_value")


def read_list(name: str, path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A code list: a CSV whose first line names its columns; the codes stand in `code` (or `source_code`, or `name`).

    Returns the columns, the code's first, and the rows.

    Raises
    ------
    DataError
        When a code stands twice, or a concept is no number; with the line.
    """
    rows = list(whole_rows(csv.reader(io.StringIO(read_text(path))), f"The list {path.name}"))
    if not rows:
        raise DataError(f"The list {path.name} is empty.", "Its first line names its columns: code, concept_id.")
    header = [column.strip() for column in rows[0]]
    key = next((column for column in _CODE_NAMES if column in header), header[0])
    place = header.index(key)
    seen: dict[str, int] = {}
    made = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise DataError(f"Line {number} of {path.name} has {len(row)} fields, not {len(header)}.", "Correct it.")
        code = row[place].strip()
        if code in seen:
            raise DataError(
                f"Line {number} of the list {path.name} repeats the code {code!r} of line {seen[code]}.",
                "Keep one of the two lines.",
            )
        seen[code] = number
        _check_concepts(path.name, number, header, row)
        made.append((code, *(cell.strip() for position, cell in enumerate(row) if position != place)))
    return (key, *(column for column in header if column != key)), made


def _check_concepts(name: str, number: int, header: list[str], row: list[str]) -> None:
    for column, cell in zip(header, row, strict=True):
        if column in CONCEPTS and cell.strip() and not cell.strip().isdecimal():
            raise DataError(
                f"Line {number} of the list {name} has {cell!r} as {column}.",
                "A concept is a whole number; 0 or empty is none.",
            )


def as_code(vocabulary: str, column: str) -> str:
    """The SQL of a column's codes as they are held against those of a vocabulary."""
    return f"replace(upper(trim({column})), '.', '')" if vocabulary in DOTLESS else f"trim({column})"


def key_of_code(kind: str, parameter: str, text: Any) -> Any:
    """The Ibis expression of a text as the look-up's key is written."""
    return text.upper().replace(".", "") if kind == "code" and parameter in DOTLESS else text


def no_analyte(word: str) -> tuple[str, str] | None:
    """What is wrong with a text as the analyte of a conversion, and what to do; None where nothing is."""
    from difflib import get_close_matches

    if not word or word in analytes():
        return None
    if near := get_close_matches(word, analytes(), 1, 0.5):
        return f"there is no analyte {word!r}.", f"Did you mean {near[0]}?"
    return f"there is no analyte {word!r}.", f"There are: {', '.join(analytes())}. Or leave it empty."


def owner_of(kind: str, parameter: str) -> str:
    """Whose a code is, as `ingest.local_concept` and `ingest.unmapped` call it: a vocabulary's or a list's."""
    return parameter if kind == "code" else f"list {parameter}"


def _with_sources(columns: Sequence[str]) -> tuple[str, ...]:
    """What a list with these columns (the code's first) gives for a code: of concepts also those of the hospital."""
    return tuple(dict.fromkeys((*columns[1:], *(CONCEPTS[1:] if CONCEPTS[0] in columns else ()))))


class Lookups:
    """All look-ups of one load. `main` must hold the vocabulary, `ingest.local_concept` what is the hospital's own."""

    def __init__(self, bench: Workbench, lists: Mapping[str, Path]):
        self.bench, self.lists = bench, lists
        self._made: dict[tuple[str, str], str] = {}
        self._completed: set[tuple[str, str, str]] = set()

    def columns(self, kind: str, parameter: str) -> tuple[str, ...]:
        """Names of the columns that a look-up gives, beside its key.

        Raises
        ------
        KeyError
            When there is no such list or vocabulary; holds those that there are.
        """
        if kind == "list":
            if parameter not in self.lists:
                raise KeyError(*sorted(self.lists))
            return _with_sources(read_list(parameter, self.lists[parameter])[0])
        if kind == "code":
            known = self.vocabularies()
            if parameter not in known:
                raise KeyError(*known)
            return ("concept_id", "source_concept_id", "domain_id", "rank")
        return tuple(_COMPUTED[kind][0])

    def called(self, kind: str, parameter: str) -> str:
        """What people call a look-up's source: of a list its file."""
        return self.lists[parameter].name if kind == "list" else parameter

    def vocabularies(self) -> list[str]:
        """Vocabularies whose codes are loaded."""
        found = self.bench.rows("SELECT DISTINCT vocabulary_id FROM main.concept WHERE concept_id > 0 ORDER BY 1")
        return [name for (name,) in found]

    def table(self, kind: str, parameter: str) -> Any:
        """The look-up's Ibis table; made when first asked for. Its key column is `key`."""
        name = self._made.get((kind, parameter))
        if name is None:
            name = f"lookup:{len(self._made)}"
            self._make(kind, parameter, name)
            self._made[(kind, parameter)] = name
        return self.bench.ibis.table(name)

    def _make(self, kind: str, parameter: str, name: str) -> None:
        if kind == "list":
            self._list(parameter, name)
        elif kind == "code":
            self._code(parameter, name)
        else:
            self._computed(kind, name)

    def _list(self, parameter: str, name: str) -> None:
        import pyarrow as pa

        columns, rows = read_list(parameter, self.lists[parameter])
        cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
        given = dict(zip(columns, cells, strict=True))
        table = {"key": pa.array(given.pop(columns[0]), pa.string())}
        for column in _with_sources(columns):
            values = given.get(column, ("",) * len(rows))
            if column in CONCEPTS:
                table[column] = pa.array([int(value) if value else None for value in values], pa.int32())
            else:
                table[column] = pa.array([value or None for value in values], pa.string())
        self.bench.duckdb.register("lookup_list", pa.table(table))
        self.bench.run(f"CREATE TEMP TABLE {quoted(name)} AS SELECT * FROM lookup_list")
        self.bench.duckdb.unregister("lookup_list")

    def _code(self, vocabulary: str, name: str) -> None:
        """Every code with its standard concepts; a deprecated one through what replaced it, however often."""
        key = as_code(vocabulary, "concept_code")
        self.bench.run(
            f"CREATE TEMP TABLE {quoted(name)} AS "
            f"WITH RECURSIVE source AS (SELECT concept_id, {key} AS key, standard_concept, domain_id, invalid_reason"
            f" FROM main.concept WHERE vocabulary_id = {literal(vocabulary)}),"
            " valid AS (SELECT concept_id_1, concept_id_2, relationship_id FROM main.concept_relationship"
            "  WHERE invalid_reason IS NULL AND relationship_id IN ('Maps to', 'Concept replaced by')),"
            " mapping AS (SELECT concept_id_1 FROM valid WHERE relationship_id = 'Maps to'),"
            " replaced AS (SELECT s.concept_id, v.concept_id_2 AS next FROM source s JOIN valid v"
            "  ON v.concept_id_1 = s.concept_id AND v.relationship_id = 'Concept replaced by' WHERE"
            "  s.invalid_reason IS NOT NULL AND s.concept_id NOT IN (FROM mapping)"
            "  UNION SELECT r.concept_id, v.concept_id_2 FROM replaced r JOIN main.concept c ON c.concept_id = r.next"
            "  JOIN valid v ON v.concept_id_1 = r.next AND v.relationship_id = 'Concept replaced by' WHERE"
            "  c.invalid_reason IS NOT NULL AND r.next NOT IN (FROM mapping)),"
            " mapped AS (SELECT s.concept_id, v.concept_id_2 AS target FROM source s JOIN valid v"
            "  ON v.concept_id_1 = s.concept_id AND v.relationship_id = 'Maps to'"
            "  UNION SELECT r.concept_id, coalesce(v.concept_id_2, r.next) FROM replaced r LEFT JOIN valid v"
            "  ON v.concept_id_1 = r.next AND v.relationship_id = 'Maps to'"
            "  UNION SELECT concept_id, concept_id FROM source WHERE standard_concept = 'S' AND invalid_reason IS"
            " NULL),"
            " standard AS (SELECT m.concept_id, c.concept_id AS target, c.domain_id FROM mapped m JOIN main.concept c"
            "  ON c.concept_id = m.target AND c.standard_concept = 'S' AND c.invalid_reason IS NULL),"
            " one AS (SELECT key, arg_min(concept_id, (invalid_reason IS NOT NULL, concept_id)) AS concept_id,"
            "  any_value(domain_id) AS domain_id FROM source GROUP BY key)"
            " SELECT o.key, coalesce(s.target, 0)::INTEGER AS concept_id, o.concept_id::INTEGER AS source_concept_id,"
            " coalesce(s.domain_id, o.domain_id) AS domain_id,"
            " row_number() OVER (PARTITION BY o.key ORDER BY s.target)::INTEGER AS rank"
            " FROM one o LEFT JOIN standard s ON s.concept_id = o.concept_id"
        )

    def _computed(self, kind: str, name: str) -> None:
        types = {"float64": "DOUBLE", "int32": "INTEGER"}
        columns = ", ".join(f"{quoted(column)} {types[dtype]}" for column, dtype in _COMPUTED[kind][0].items())
        self.bench.run(f"CREATE TEMP TABLE {quoted(name)} (key VARCHAR, {columns})")

    def complete_all(self, asked: Sequence[tuple[str, str, Any]]) -> None:
        """`complete` for all that a query asks, in its order: the inner look-ups before the outer."""
        for kind, parameter, keys in asked:
            self.complete(kind, parameter, keys)

    def complete(self, kind: str, parameter: str, keys: Any) -> None:
        """Add what a rule will ask for and the look-up does not have: `keys` is an Ibis table of `key`."""
        if kind == "list" and "concept_id" not in read_list(parameter, self.lists[parameter])[0]:
            return  # a list of words has no concepts to miss
        table, query = quoted(self.table(kind, parameter).get_name()), self.bench.sql(keys)
        if (kind, parameter, query) in self._completed:
            return
        self._completed.add((kind, parameter, query))
        with self.bench.joined_as_written():
            self.bench.run(f"CREATE OR REPLACE TEMP TABLE asked AS {query}")
        new = (
            f"FROM asked WHERE key IS NOT NULL AND key NOT IN (SELECT key FROM {table} WHERE key IS NOT NULL)"
            if kind not in NAMED
            else f"FROM asked WHERE key IS NOT NULL AND key NOT IN (SELECT key FROM {table} WHERE key IS NOT NULL"
            " AND coalesce(concept_id, 0) <> 0)"
        )
        if kind in NAMED:
            self._local(kind, parameter, table, new)
        else:
            found = [key for (key,) in self.bench.rows(f"SELECT key {new} ORDER BY key")]
            self._compute(kind, parameter, table, found)

    def _local(self, kind: str, parameter: str, table: str, new: str) -> None:
        """Give each unmapped code its own concept, in the order of codes."""
        owner = literal(owner_of(kind, parameter))
        self.bench.run(
            f"INSERT INTO ingest.local_concept SELECT {owner}, key, (SELECT coalesce(max(concept_id), {LOCAL - 1})"
            f" FROM ingest.local_concept) + row_number() OVER (ORDER BY key) {new}"
            f" AND key NOT IN (SELECT concept_code FROM ingest.local_concept WHERE vocabulary = {owner})"
        )
        rank = ", rank" if kind == "code" else ""
        one = ", 1" if kind == "code" else ""
        known = "SELECT concept_code, concept_id FROM ingest.local_concept WHERE vocabulary = " + owner
        self.bench.run(
            f"UPDATE {table} SET concept_id = 0, source_concept_id = coalesce(source_concept_id, l.concept_id)"
            f" FROM ({known}) l WHERE key = l.concept_code AND coalesce({table}.concept_id, 0) = 0"
        )
        self.bench.run(
            f"INSERT INTO {table} (key, concept_id, source_concept_id{rank}) SELECT l.concept_code, 0,"
            f" l.concept_id{one}"
            f" FROM ({known}) l JOIN asked a ON a.key = l.concept_code"
            f" WHERE l.concept_code NOT IN (SELECT key FROM {table} WHERE key IS NOT NULL)"
        )

    def _compute(self, kind: str, parameter: str, table: str, keys: Sequence[str]) -> None:
        if not keys:
            return
        self.bench.duckdb.register("lookup_rows", _COMPUTED[kind][1](self.bench, parameter, keys))
        self.bench.run(f"INSERT INTO {table} SELECT * FROM lookup_rows")
        self.bench.duckdb.unregister("lookup_rows")


def unit_finder(bench: Workbench) -> Callable[[str], int]:
    """The function that gives a spelling's unit concept: that of its UCUM code in the vocabulary loaded, else of the
    units that come with the package, else 0."""
    loaded: dict[str, int] = dict(
        bench.rows(
            "SELECT concept_code, arg_min(concept_id, (coalesce(standard_concept, '') <> 'S', concept_id)) FROM"
            " main.concept WHERE vocabulary_id = 'UCUM' AND invalid_reason IS NULL GROUP BY 1"
        )
    )

    def find(written: str) -> int:
        code = canonical(written)
        return int(loaded.get(code, 0) or unit_concepts().get(code, 0))

    return find


def _units(bench: Workbench, _: str, keys: Sequence[str]) -> Any:
    import pyarrow as pa

    find = unit_finder(bench)
    return pa.table({"key": list(keys), "concept_id": pa.array([find(key) for key in keys], pa.int32())})


def _conversions(bench: Workbench, _: str, keys: Sequence[str]) -> Any:
    """Factor and offset for unit, wanted unit and analyte in one key, nothing where they do not convert; the
    concepts of both units."""
    import pyarrow as pa

    made: list[tuple[float | None, float | None]] = []
    for key in keys:
        unit, wanted, *analyte = key.split(SEPARATOR)
        try:
            made.append((1.0, 0.0) if unit == wanted else conversion(unit, wanted, *analyte))
        except UnitError:
            made.append((None, None))
    find, columns = unit_finder(bench), zip(*made, strict=True)
    parts = dict(zip(("factor", "offset"), (pa.array(column, pa.float64()) for column in columns), strict=True))
    units = [key.split(SEPARATOR)[:2] for key in keys]
    for name, at in (("concept_id", 0), ("into_concept_id", 1)):
        parts[name] = pa.array([find(unit[at]) for unit in units], pa.int32())
    return pa.table({"key": list(keys), **parts})


def _results(_: Workbench, decimal: str, keys: Sequence[str]) -> Any:
    import pyarrow as pa

    return parse_values(list(keys), decimal).add_column(0, "key", pa.array(list(keys), pa.string()))


_COMPUTED: Mapping[str, tuple[Mapping[str, str], Callable[[Workbench, str, Sequence[str]], Any]]] = {
    "unit": ({"concept_id": "int32"}, _units),
    "convert": (
        {"factor": "float64", "offset": "float64", "concept_id": "int32", "into_concept_id": "int32"},
        _conversions,
    ),
    "result": (COLUMNS, _results),
}
_TYPES = {"concept_id": "int32", "source_concept_id": "int32", "rank": "int32"}  # of other look-ups' columns; else text


def dtype_of(kind: str, column: str) -> str:
    """The Ibis type of a look-up's column."""
    return (_COMPUTED[kind][0] if kind in _COMPUTED else _TYPES).get(column, "string")
