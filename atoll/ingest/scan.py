"""What a hospital's export looks like, as a document: for the data manager who maps it. Nothing of it leaves the site.

Still it is made so that it could be shown: values are named only when at least K persons have them (K visits where a
table names none, K rows where it names neither), ranges run from the 5th to the 95th percentile, and a column in which
nearly every value is another one shows none. A column's type is found on the first rows and then held against all of
them. Where the values fit two readings alike (05/03/1960, 1,234) both are named as `open`, and neither is taken.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atoll.cdm.numbers import MACROS, SIGNS
from atoll.cdm.pace import Pace, Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.ingest.kinds import pattern
from atoll.ingest.meanings import meaning_of
from atoll.ingest.sources import Opened, Source, open_source

FORMAT = 1
K = 10
SAMPLE = 20_000  # rows on which types are found
FEW = 1_000  # distinct values up to which they are counted
DATES = ("yyyy-MM-dd", "yyyy/MM/dd", "yyyy.MM.dd", "yyyyMMdd", "dd/MM/yyyy", "MM/dd/yyyy", "dd.MM.yyyy", "dd-MM-yyyy",
         "MM-dd-yyyy", "yyyy年MM月dd日", "yyyy/M/d", "yyyy-M-d")  # fmt: skip
TIMES = ("yyyy-MM-dd HH:mm:ss", "yyyy-MM-ddTHH:mm:ss", "yyyy/MM/dd HH:mm:ss", "yyyy-MM-dd HH:mm", "yyyy/MM/dd HH:mm",
         "yyyyMMddHHmmss", "dd/MM/yyyy HH:mm", "MM/dd/yyyy HH:mm", "yyyy/M/d H:mm", "yyyy-MM-ddTHH:mm:ssZ")  # fmt: skip
YEAR_FIRST = "several, year first"  # several patterns in one column, all read by date(x) without a pattern
EXACT = 100_000  # rows up to which distinct values are counted, not estimated
SURE = 0.98  # share of values that must fit a type; the rest is counted as not fitting
ALMOST = 0.99  # share of rows with a value of their own from which on a number is nearly a key: some rows are doubled
_CODES = (
    ("ICD10", r"^[A-TV-Z]\d[0-9A-Z](\.[0-9A-Zx]{1,6})?$"),
    ("LOINC", r"^\d{1,5}-\d$"),
    ("ATC", r"^[A-V]\d{2}[A-Z]{2}\d{2}$"),
)


def scan(
    address: str, *, k: int = K, folder: Path, bench: Workbench | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Look at an export and describe it.

    address   a file, a folder, or the URL of a database
    k         values that fewer persons have are not named
    folder    where readable copies may be written for as long as the scan runs
    progress  is told which file or table is looked at, and how long it will take

    Raises
    ------
    DataError
        When the export cannot be read; names the file and, where there is one, the line.
    """
    own = bench or Workbench(scratch=folder / "spill")
    try:
        source = open_source(address, own, folder, progress=progress)
        tables = [_table(own, source, table, k, folder, progress) for table in source.tables.values()]
        _links(own, source, tables)
        broken = [{"file": f, "line": n, "what": what.lower()} for f, n, what, _ in source.broken()]
        return {
            "scan": FORMAT,
            "kind": source.kind,
            "k": k,
            "tables": tables,
            "broken_lines": broken,
            "notes": source.told(),
        }
    finally:
        if bench is None:
            own.close()


def _table(bench: Workbench, source: Source, table: Opened, k: int, folder: Path, progress: Progress) -> dict[str, Any]:
    view, pace = quoted(f"source:{table.name}"), Pace(progress, f"columns of {table.name}", 1 + len(table.columns))
    bench.run(f"CREATE OR REPLACE TEMP TABLE sampled AS SELECT * FROM {view} LIMIT {SAMPLE}")
    if any(file.delimiter for file in table.files):
        _by_columns(bench, table.name, folder)
    names = list(table.columns)
    parts = [
        f"count({quoted(n)}), approx_count_distinct({quoted(n)}), any_value(length({quoted(n)}::VARCHAR))"
        for n in names
    ]
    answer = bench.rows(f"SELECT count(*), {', '.join(parts)} FROM {view}")[0]
    rows, found = answer[0], [answer[1 + 3 * i : 4 + 3 * i] for i in range(len(names))]
    columns: list[dict[str, Any]] = []
    counted, holders = _holders(table)
    for name, (filled, distinct, _) in zip(names, found, strict=True):
        pace.at(1 + len(columns), f"{rows:,} rows, {len(columns)} of {len(names)} done")
        columns.append(_column(bench, view, name, table, rows, filled, distinct, k, holders))
    return {
        "name": table.name,
        "rows": rows,
        "counted": counted,
        "files": [
            {"name": f.name, "bytes": f.size, "encoding": f.encoding, "delimiter": f.delimiter, "sha256": f.sha256}
            for f in table.files
        ],
        "columns": columns,
        "keys": [c["name"] for c in columns if rows and c["missing"] == 0 and c["unique"]],
        "almost_keys": [c["name"] for c in columns if not c["unique"] and _almost(c, rows)],
        "links": [],
    }


def _holders(table: Opened) -> tuple[str, str]:
    """What holds a table's values (person, visit or row), and how so many are counted."""
    meant = {meaning_of(name, table.name): name for name in reversed(list(table.columns))}
    for what in ("person", "visit"):
        if what in meant:
            return what, f"count(DISTINCT {quoted(meant[what])})"
    return "row", "count(*)"


def _by_columns(bench: Workbench, name: str, folder: Path) -> None:
    """Read a table's text once: each column is looked at several times, and text would be read whole each time."""
    file = folder / f"by-columns-{len(list(folder.glob('by-columns-*')))}.parquet"
    bench.run(f"COPY (SELECT * FROM {quoted(f'source:{name}')}) TO {literal(str(file))} (FORMAT parquet)")
    bench.view(name, f"SELECT * FROM read_parquet({literal(str(file))})")


def _column(
    bench: Workbench, view: str, name: str, table: Opened, rows: int, filled: int, distinct: int, k: int, holders: str
) -> dict[str, Any]:
    dtype = table.columns[name]
    kind, form, either = _kind(bench, name, dtype, "sampled")
    if either and rows > SAMPLE:  # a later row may tell
        kind, form, either = _kind(bench, name, dtype, view)
    column: dict[str, Any] = {
        "name": name,
        "type": kind,
        "missing": rows - filled,
        "distinct": min(distinct, filled),
        "meaning": meaning_of(name, table.name),
        "unique": False,
    }
    column |= ({"pattern": form} if form else {}) | ({"open": list(either)} if either else {})
    if filled and (filled <= EXACT or distinct > 0.8 * filled):
        exact = bench.value(f"SELECT count(DISTINCT {quoted(name)}) FROM {view}")
        distinct = exact
        column |= {"distinct": exact, "unique": exact == filled and filled == rows}
    read = _read(name, kind, form or "".join(either[:1]), dtype)
    if kind in ("integer", "number", "date", "datetime") and filled:
        low, high, fitting, held = bench.rows(
            f"SELECT quantile_disc(v, 0.05), quantile_disc(v, 0.95), count(v), {holders} FILTER (WHERE v IS NOT NULL)"
            f" FROM (SELECT *, {read} AS v FROM {view})"
        )[0]
        column["not_fitting"] = filled - fitting
        if not either and not column["unique"] and distinct > 2 and held >= 20 * k:
            column["range"] = [str(low), str(high)] if kind in ("date", "datetime") else [low, high]
    elif filled:
        column["vocabulary"] = _vocabulary(bench, name)
    if 0 < distinct <= FEW and not column["unique"] and column["meaning"] not in ("person", "visit", "name"):
        column["frequent"] = [
            {"value": str(value), "rows": n}
            for value, n in bench.rows(
                f"SELECT {quoted(name)}, count(*) AS n FROM {view} WHERE {quoted(name)} IS NOT NULL"
                f" GROUP BY 1 HAVING {holders} >= {int(k)} ORDER BY n DESC, 1 LIMIT 50"
            )
        ]
    return column


def _kind(bench: Workbench, name: str, dtype: str, rows: str) -> tuple[str, str, tuple[str, ...]]:
    """Type and, for dates and numbers with another sign, the pattern that the mapping's functions take; in its place
    the patterns between which the values of these rows leave open which is theirs."""
    plain = dtype.lstrip("!")
    for start, kind in (("int", "integer"), ("uint", "integer"), ("float", "number"), ("decimal", "number"),
                        ("date", "date"), ("timestamp", "datetime"), ("boolean", "truth")):  # fmt: skip
        if plain.startswith(start):
            return kind, "", ()
    if not plain.startswith("string"):
        return plain.split("<")[0].split("(")[0], "", ()
    parts = ", ".join(f"coalesce(sum(n) FILTER (WHERE {check}), 0)" for check in _checks().values())
    values = f"SELECT {quoted(name)} AS v, count(*) AS n FROM {rows} WHERE v IS NOT NULL GROUP BY 1"
    dated = (
        f"SELECT *, CASE WHEN length(v) BETWEEN 8 AND 32 AND v[1] BETWEEN '0' AND '9' THEN v END AS d FROM ({values})"
    )
    counted = dict(zip(_checks(), map(int, bench.rows(f"SELECT {parts} FROM ({dated})")[0]), strict=True))
    n = counted["n"]
    if not n:
        return "empty", "", ()
    best = max((*DATES, *TIMES), key=lambda form: (counted[form], len(form)))
    if counted[best] >= SURE * n and not (best == "yyyyMMdd" and not _days(bench, name)):
        kind, other = ("datetime" if best in TIMES else "date"), _other_way_round(best)
        alike = counted.get(other) == counted[best] and other != best
        return (kind, "", tuple(sorted((best, other)))) if alike else (kind, best, ())
    if counted[YEAR_FIRST] >= SURE * n and counted["integer"] < SURE * n:
        return "date", YEAR_FIRST, ()
    if counted["code"] > 0.01 * n:
        return "text", "", ()
    if counted["integer"] >= SURE * n:
        return "integer", "", ()
    return _decimal(counted, n)


@functools.cache
def _checks() -> Mapping[str, str]:
    """What may be true of a text v, or of d, which is v where it is long enough for a day and begins with a digit."""
    point, comma = (f"{MACROS[sign]}(v)" for sign in SIGNS)
    return {
        "n": "true",
        "code": "regexp_matches(v, '^[-+]?0[0-9]')",
        "integer": "regexp_matches(v, '^[-+]?[0-9]{1,15}$')",
        "number": "try_cast(v AS DOUBLE) IS NOT NULL",
        **{sign: f"{MACROS[sign]}(v) IS NOT NULL" for sign in SIGNS},
        "either": f"coalesce({point}, {comma}) IS NOT NULL",
        "unsure": f"{point} <> {comma}",
        YEAR_FIRST: "try_cast(year_first(v) AS DATE) IS NOT NULL",
        **{form: f"try_strptime(d, {literal(_signs(form))}) IS NOT NULL" for form in (*DATES, *TIMES)},
    }


def _other_way_round(form: str) -> str:
    """A day's pattern with day and month in each other's place."""
    return form.replace("MM", "?").replace("dd", "MM").replace("?", "dd")


def _decimal(counted: Mapping[str, int], n: int) -> tuple[str, str, tuple[str, ...]]:
    """Number or text. The decimal sign is told by the values that only one of the two lets be numbers, also of results
    some of which are words."""
    best = max(SIGNS, key=counted.__getitem__)
    kind = "number" if counted[best] >= SURE * n else "text"
    if counted["unsure"] and counted["."] == counted[","]:
        return (kind, "", SIGNS) if kind == "number" else (kind, "", ())
    told = counted[best] >= max(SURE * counted["either"], n / 2) and counted["."] != counted[","]
    usual = best == "." and counted["number"] == counted["."]  # a point, and nothing between the thousands
    return kind, best if told and not usual else "", ()


def _signs(form: str) -> str:
    """A pattern in the engine's signs; a Z at its end stands for itself."""
    return pattern(form.rstrip("Z")) + ("Z" if form.endswith("Z") else "")


def _days(bench: Workbench, name: str) -> bool:
    """Whether numbers of eight digits are days: all between 1880 and 2100."""
    low, high = bench.rows(f"SELECT min({quoted(name)}), max({quoted(name)}) FROM sampled")[0]
    return str(low) >= "18800101" and str(high) <= "21001231"


def _read(name: str, kind: str, form: str, dtype: str) -> str:
    column = quoted(name)
    if not dtype.lstrip("!").startswith("string"):
        return column
    if form == YEAR_FIRST:
        return f"try_cast(year_first({column}) AS DATE)"
    if kind in ("date", "datetime"):
        return f"CAST(try_strptime({column}, {literal(_signs(form))}) AS {'DATE' if kind == 'date' else 'TIMESTAMP'})"
    if form in SIGNS:
        return f"{MACROS[form]}({column})"
    return f"try_cast({column} AS {'BIGINT' if kind == 'integer' else 'DOUBLE'})"


def _vocabulary(bench: Workbench, name: str) -> str:
    """The vocabulary whose codes a column's values look like, or empty."""
    parts = [f"avg(CAST(regexp_matches({quoted(name)}::VARCHAR, {literal(form)}) AS INTEGER))" for _, form in _CODES]
    shares = bench.rows(f"SELECT {', '.join(parts)} FROM sampled WHERE {quoted(name)} IS NOT NULL")[0]
    best = max(range(len(_CODES)), key=lambda i: shares[i] or 0)
    return _CODES[best][0] if (shares[best] or 0) > 0.8 else ""


def _almost(column: Mapping[str, Any], rows: int) -> bool:
    """Whether a column is a key but for a few doubled rows and gaps, such as exports have."""
    looks = column["meaning"] in ("person", "visit")
    return looks and rows >= K and column["distinct"] >= ALMOST * rows and column["missing"] <= (1 - ALMOST) * rows


def _links(bench: Workbench, source: Source, tables: Sequence[dict[str, Any]]) -> None:
    """Columns whose values are found among another table's keys."""
    for other in tables:
        for key in (*other["keys"], *other["almost_keys"]):
            for table in tables:
                column = next((c for c in table["columns"] if _alike(c, key, other, table)), None)
                if table is other or column is None or not table["rows"]:
                    continue
                share = bench.value(
                    f"SELECT avg(CAST(o.k IS NOT NULL AS INTEGER)) FROM (SELECT {quoted(column['name'])}::VARCHAR AS v"
                    f" FROM {quoted('source:' + table['name'])} WHERE {quoted(column['name'])} IS NOT NULL LIMIT"
                    f" {SAMPLE}) t"
                    f" LEFT JOIN (SELECT DISTINCT {quoted(key)}::VARCHAR AS k FROM"
                    f" {quoted('source:' + other['name'])}) o ON o.k = t.v"
                )
                if share is not None and share > 0.9:
                    link = {"column": column["name"], "table": other["name"], "key": key,
                            "share": round(float(share), 4)}  # fmt: skip
                    table["links"].append(link | ({} if key in other["keys"] else {"almost": True}))


def _alike(column: Mapping[str, Any], key: str, other: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    if column["name"].casefold() == key.casefold() and key.casefold() not in ("id", "row", "name", "code"):
        return True
    stem = other["name"].casefold().rstrip("s")
    return column["name"].casefold() in (stem, f"{stem}_id", f"{stem}id") or (
        bool(column["meaning"])
        and column["meaning"] == meaning_of(key, other["name"])
        and column["meaning"] in ("person", "visit")
    )
