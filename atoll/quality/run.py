"""All checks on a database: those that look at the same rows are asked in one query.

table    is it there: the names of tables and columns
type     what a column holds: the engine's catalogue
rows     conditions on a row, its person, death and observation: one pass over the table
codes    conditions on a concept: one count of each code, then the vocabulary
links    is the row there that is referred to: one join a parent
key      do keys repeat: one count
months   how many records and persons a month: one count, of every table before one is judged (`months`)
persons  who has records: one count
units, sexes   a concept with its units or sexes: one count
pairs    two tests of one person and day: one join
births   how many share a day of birth: one count
doubles  rows that are the same but for their key: one count, on some of the persons of a large table
tests    the commonest laboratory tests: see `tests`
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, name, sql
from atoll.cdm.tables import AFTER_DEATH, FEMALE, MALE, SUPPLY
from atoll.cdm.tables import tables as model
from atoll.errors import DataError
from atoll.quality import births, completeness, conformance, months, plausibility, possible, references, tests
from atoll.quality.check import Check, Finding, judged
from atoll.quality.scope import Scope

UNKNOWN = sql("r.known IS NULL")  # what a row refers to: see `with_parent`
AT_ONCE = 80  # checks in one query
MANY = 2_000_000  # rows from which on those of some persons tell whether rows are doubled
FITS = {  # what a column of each kind may hold
    "integer": ("integer",),
    "number": ("number", "integer"),
    "text": ("text",),
    "date": ("date",),
    "datetime": ("datetime",),
}
Progress = Callable[[str], None]


def all_checks() -> list[Check]:
    """Every check that does not depend on what a database holds, in the order of families."""
    modules = (conformance, completeness, plausibility, references, possible, births)
    return [check for module in modules for family in module.FAMILIES for check in family()]


def run(workspace: Workspace, progress: Progress = lambda step: None, scope: Scope | None = None) -> list[Finding]:
    """The findings of every check, or of those that matter for a study.

    Raises
    ------
    DataError
        When the database has no table of persons.
    """
    if workspace.columns("person") is None:
        raise DataError("The database has no table of persons.", "Is it an OMOP database, and its schema named?")
    checks = [check for check in all_checks() if scope is None or scope.holds(check)]
    findings = {check.id: absent(workspace, check) for check in checks}
    open_ = [check for check in checks if findings[check.id] is None]
    by_table = sorted(open_, key=lambda check: check.table)
    with People(workspace):
        for table, group in groupby(by_table, key=lambda check: check.table):
            progress(table)
            for finding in _of_table(workspace, table, list(group)):
                findings[finding.check.id] = finding
    progress("months")
    for finding in months.look(workspace, [check for check in open_ if check.shape == "months"]):
        findings[finding.check.id] = finding
    progress("laboratory tests")
    has = set(workspace.columns("measurement") or ())
    operators = "operator_concept_id" in has
    only = scope.concepts if scope else None
    made = list(tests.look(workspace, only, operators)) if has >= set(tests.READS) else []
    return [finding for finding in findings.values() if finding is not None] + made


def absent(workspace: Workspace, check: Check) -> Finding | None:
    """The finding of a check whose table or column is not there, or that asks just that; else None."""
    columns = workspace.columns(check.table)
    there = columns is not None and (not check.column or check.column in columns)
    if check.shape == "table" and (columns is not None or not check.column):
        return Finding(check, 1, int(not there), "passed" if there else "failed")
    if check.shape != "table":
        there = there and all(column in (workspace.columns(table) or ()) for table, column in check.reads())
    return None if there else Finding(check, 0, 0, "missing")


class People:
    """Scratch tables that rows are joined to: the last day after a death, the time of observation and its gaps."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def __enter__(self) -> None:
        workspace = self.workspace
        late, supply = (workspace.dialect.shift(sql("MIN(death_date)"), days) for days in (AFTER_DEATH, SUPPLY))
        death = sql("SELECT person_id, {l} AS last_date, {s} AS last_supply FROM death GROUP BY person_id",
                    l=late, s=supply)  # fmt: skip
        self._create("deaths", "death", death, "last_date", "last_supply")
        self._create("observed", "observation_period", sql(OBSERVED), "first_date", "last_date")
        self._create("gaps", "observation_period", sql(GAPS), "last_date", "next_date")

    def _create(self, table: str, source: str, rows: Sql, *days: str) -> None:
        if not self.workspace.columns(source):
            none = joined(", ", [sql("CAST(NULL AS DATE) AS {d}", d=name(day)) for day in days])
            rows = sql("SELECT person_id, {n} FROM person WHERE 1 = 0", n=none)
        self.workspace.create(self.workspace.table(table), rows)

    def __exit__(self, *_: object) -> None:
        self.workspace.drop(*(self.workspace.table(table) for table in ("deaths", "observed", "gaps")))


OBSERVED = (
    "SELECT person_id, MIN(observation_period_start_date) AS first_date,"
    " MAX(observation_period_end_date) AS last_date FROM observation_period GROUP BY person_id"
)
GAPS = (  # no day is in two of a person's gaps, so that a row is joined to one at most
    "SELECT person_id, last_date, next_date FROM (SELECT person_id, MAX(observation_period_end_date) OVER"
    " (PARTITION BY person_id ORDER BY observation_period_start_date ROWS UNBOUNDED PRECEDING) AS last_date,"
    " LEAD(observation_period_start_date) OVER (PARTITION BY person_id ORDER BY observation_period_start_date)"
    " AS next_date FROM observation_period) periods WHERE next_date > last_date"
)


def _of_table(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    askers = {"type": _types, "rows": _rows, "codes": _codes, "links": _links, "key": _keys,
              "persons": _persons, "units": _units, "sexes": _sexes, "pairs": _pairs,
              "doubles": _doubles, "births": _births}  # fmt: skip
    for shape, ask in askers.items():
        chosen = [check for check in checks if check.shape == shape]
        for start in range(0, len(chosen), AT_ONCE):
            yield from ask(workspace, table, chosen[start : start + AT_ONCE])


def _counted(workspace: Workspace, checks: list[Check], source: Sql, weight: Sql) -> Iterator[Finding]:
    """Both numbers of every check by one query over a source."""
    cells = []
    for number, check in enumerate(checks):
        of = sql("({o})", o=check.of)
        both = sql("{o} AND ({f})", o=of, f=check.fault)
        cells += [
            sql(
                "COALESCE(SUM(CASE WHEN {w} THEN {n} ELSE 0 END), 0) AS {a}",
                w=where,
                n=weight,
                a=name(f"{which}_{number}"),
            )
            for which, where in (("total", of), ("faults", both))
        ]
    row = workspace.fetch(sql("SELECT {c} FROM {s}", c=joined(", ", cells), s=source)).to_pylist()[0]
    for number, check in enumerate(checks):
        yield judged(check, int(row[f"total_{number}"]), int(row[f"faults_{number}"]))


def joins(workspace: Workspace, checks: Collection[Check]) -> Sql:
    """What the rows `t` are joined to, inside `People`; see `Check.needs` and, of `codes`, `Check.by_row`."""
    known = {
        "p": sql(" LEFT JOIN person p ON p.person_id = t.person_id"),
        "d": sql(" LEFT JOIN {d} d ON d.person_id = t.person_id", d=workspace.table("deaths")),
        "o": sql(" LEFT JOIN {o} o ON o.person_id = t.person_id", o=workspace.table("observed")),
    }
    for column in {name(check.column) for check in checks if "g" in check.needs}:  # a table's checks have one day
        between = sql("t.{c} > g.last_date AND t.{c} < g.next_date", c=column)
        known["g"] = sql(" LEFT JOIN {g} g ON g.person_id = t.person_id AND {b}", g=workspace.table("gaps"), b=between)
    needs = {part for check in checks for part in check.needs}
    concepts = {check.concept_alias: check.column for check in checks if "c" in check.needs}
    return joined("", [*(known[part] for part in sorted(needs & set(known))), *(
        sql(" LEFT JOIN concept {a} ON {a}.concept_id = t.{c}", a=alias, c=name(of)) for alias, of in concepts.items()
    )])  # fmt: skip


def _rows(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    source = sql("{t} t{j}", t=name(table), j=joins(workspace, checks))
    yield from _counted(workspace, checks, source, sql("1"))


def _types(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    kinds = workspace.kinds(table)
    for check in checks:
        yield judged(check, 1, int(kinds.get(check.column, "other") not in FITS[check.subject]))


def _codes(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    vocabulary = workspace.columns("concept") is not None
    for column, group in groupby(sorted(checks, key=lambda check: check.column), key=lambda check: check.column):
        chosen = list(group)
        source = sql(
            "(SELECT {c} AS value, COUNT(*) AS n FROM {t} WHERE {c} IS NOT NULL GROUP BY {c}) g",
            c=name(column), t=name(table),
        )  # fmt: skip
        if vocabulary:
            source = sql("{s} LEFT JOIN concept c ON c.concept_id = g.value", s=source)
        yield from _counted(workspace, chosen, source, sql("n"))


def _links(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    def place(check: Check) -> tuple[str, str]:
        return check.column, check.subject

    for (_, parent), group in groupby(sorted(checks, key=place), key=place):
        alike = list(group)
        if workspace.columns(parent) is None:
            yield from (Finding(check, 0, 0, "missing") for check in alike)
        else:
            yield from _counted(workspace, alike, with_parent(alike[0]), sql("1"))


def with_parent(check: Check) -> Sql:
    """The rows `t` of `links`, each with the key of what it refers to as `r.known` (nothing where that is not there),
    and with its person as `r.whose`."""
    parent = model()[check.subject]
    return sql(
        "{t} t LEFT JOIN (SELECT {k} AS known, {w} AS whose FROM {p} GROUP BY {k}) r ON r.known = t.{c}",
        t=name(check.table), k=name(parent.key or "person_id"), p=name(check.subject), c=name(check.column),
        w=sql("MIN(person_id)" if parent.of_persons else "NULL"),
    )  # fmt: skip


def _keys(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    for check in checks:
        query = sql("SELECT COUNT({k}) AS n, COUNT(DISTINCT {k}) AS d FROM {t}", k=name(check.column), t=name(table))
        row = workspace.fetch(query).to_pylist()[0]
        yield judged(check, int(row["n"]), int(row["n"]) - int(row["d"]))


def _persons(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    query = sql(
        "SELECT COUNT(*) AS n, SUM(CASE WHEN r.person_id IS NULL THEN 1 ELSE 0 END) AS without "
        "FROM person p LEFT JOIN (SELECT DISTINCT person_id FROM {t}) r ON r.person_id = p.person_id",
        t=name(table),
    )
    row = workspace.fetch(query).to_pylist()[0]
    n, without = int(row["n"]), int(row["without"] or 0)
    for check in checks:
        filled = check.family == "person_observed" or without < n  # a table that holds nothing is not used here
        yield judged(check, n if filled else 0, without)


def _births(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    yield from births.look(workspace, checks)


def _grouped(workspace: Workspace, query: Sql) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    for row in workspace.fetch(query).to_pylist():
        found.setdefault(int(row["concept"]), {})[int(row["code"] or 0)] = int(row["n"])
    return found


def _units(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    wanted = joined(", ", _ids(checks))
    query = sql(
        "SELECT measurement_concept_id AS concept, unit_concept_id AS code, COUNT(*) AS n FROM measurement "
        "WHERE measurement_concept_id IN ({w}) AND unit_concept_id <> 0 AND value_as_number IS NOT NULL "
        "GROUP BY measurement_concept_id, unit_concept_id", w=wanted,
    )  # fmt: skip
    found = _grouped(workspace, query)
    for check in checks:
        units = found.get(check.concept, {})
        yield judged(check, sum(units.values()), sum(n for unit, n in units.items() if unit not in check.among))


def _sexes(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    if "gender_concept_id" not in (workspace.columns("person") or ()):
        yield from (Finding(check, 0, 0, "missing") for check in checks)
        return
    query = sql(
        "SELECT t.{c} AS concept, p.gender_concept_id AS code, COUNT(*) AS n FROM {t} t "
        "JOIN person p ON p.person_id = t.person_id WHERE t.{c} IN ({w}) AND p.gender_concept_id IN ({f}, {m}) "
        "GROUP BY t.{c}, p.gender_concept_id",
        c=name(checks[0].column), t=name(table), w=joined(", ", _ids(checks)), f=FEMALE, m=MALE,
    )  # fmt: skip
    found = _grouped(workspace, query)
    for check in checks:
        sexes = found.get(check.concept, {})
        yield judged(check, sum(sexes.values()), sum(sexes.get(sex, 0) for sex in check.among))


def _ids(checks: Iterable[Check]) -> Iterator[Sql]:
    return (sql("{c}", c=check.concept) for check in checks)


def _pairs(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    """Pairs of values of one person and day, of which the first is to be the higher one."""
    for check in checks:
        (below,) = check.among
        values = "SELECT person_id, measurement_date, MAX(value_as_number) AS v FROM {t} WHERE measurement_concept_id" \
                 " = {c} AND value_as_number > 0 GROUP BY person_id, measurement_date"  # fmt: skip
        if not {"measurement_date", "measurement_concept_id"} <= set(workspace.columns(table) or ()):
            yield Finding(check, 0, 0, "missing")
            continue
        upper, lower = (sql(values, t=name(table), c=concept) for concept in (check.concept, below))
        query = sql(
            "SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN a.v <= b.v THEN 1 ELSE 0 END), 0) AS faults FROM ({a}) a "
            "JOIN ({b}) b ON b.person_id = a.person_id AND b.measurement_date = a.measurement_date", a=upper, b=lower,
        )  # fmt: skip
        (row,) = workspace.fetch(query).to_pylist()
        yield judged(check, int(row["n"]), int(row["faults"]))


def _doubles(workspace: Workspace, table: str, checks: list[Check]) -> Iterator[Finding]:
    columns = [column for column in workspace.columns(table) or () if column != model()[table].key]
    (size,) = workspace.fetch(sql("SELECT COUNT(*) AS n FROM {t}", t=name(table))).to_pylist()
    some = sql("TRUE")
    if "person_id" in columns and (parts := int(size["n"]) // MANY + 1) > 1:
        some = sql("MOD(person_id, {p}) = (SELECT MOD(MIN(person_id), {p}) FROM {t})", p=parts, t=name(table))
    same = joined(", ", [name(column) for column in columns])
    query = sql(
        "SELECT COALESCE(SUM(n), 0) AS total, COALESCE(SUM(n - 1), 0) AS faults FROM "
        "(SELECT COUNT(*) AS n FROM {t} WHERE {s} GROUP BY {c}) g", t=name(table), s=some, c=same,
    )  # fmt: skip
    (row,) = workspace.fetch(query).to_pylist()
    for check in checks:
        yield judged(check, int(row["total"]), int(row["faults"]))
