"""Births: a day that far too many share stands for an unknown one, as 1 January 1900 does in many systems.

A day is such a stand-in when more than one person in two hundred (five at the least) are born on it, and more than five
times as many as on the other days, of its own year or of all, whichever is more: a clinic's newborns crowd some weeks.
Where births hold no day (always the first of a month, or of January) there is nothing to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, joined, sql
from atoll.quality.check import Check, Finding, judged

PARTS = ("year_of_birth", "month_of_birth", "day_of_birth")
KNOWN = sql("t.year_of_birth IS NOT NULL AND t.month_of_birth IS NOT NULL AND t.day_of_birth IS NOT NULL")
SHARE, LEAST, TIMES = 0.005, 5, 5.0  # of persons, persons, and times as many as on other days
DAYS = 60  # of a year that occur as birthdays at all: else only months or years are known
Day = tuple[int, int, int]


def birth_shared() -> Iterator[Check]:
    """No day of birth is that of far too many."""
    yield Check("birth_shared", "plausibility", "births", "person", "day_of_birth")


def look(workspace: Workspace, checks: list[Check]) -> Iterator[Finding]:
    """Persons of whom the day is known, and those born on a day that stands for an unknown one."""
    for check in checks:
        if not set(PARTS) <= set(workspace.columns("person") or ()):
            yield Finding(check, 0, 0, "missing")
            continue
        born = _born(workspace)
        is_of_days = len({day[1:] for day in born}) > DAYS
        yield judged(check, sum(born.values()) if is_of_days else 0, sum(born[day] for day in stand_ins(born)))


def at_fault(workspace: Workspace) -> Sql:
    """The condition under which a row `t` of `person` is at fault."""
    days = [
        sql("(t.year_of_birth = {y} AND t.month_of_birth = {m} AND t.day_of_birth = {d})", y=year, m=month, d=day)
        for year, month, day in sorted(stand_ins(_born(workspace)))
    ]
    return joined(" OR ", days) if days else sql("1 = 0")


def stand_ins(born: Mapping[Day, int]) -> list[Day]:
    """The days, of numbers of persons by day of birth, that stand for an unknown one."""
    if len({day[1:] for day in born}) <= DAYS:
        return []
    everybody, days = sum(born.values()), Counter(year for year, _, _ in born)
    years: Counter[int] = Counter()
    for (year, _, _), n in born.items():
        years[year] += n
    found = []
    for day, n in born.items():
        near = (years[day[0]] - n) / max(days[day[0]] - 1, 1)
        usual = max(near, (everybody - n) / (len(born) - 1))
        if n >= LEAST and n > SHARE * everybody and n > TIMES * usual:
            found.append(day)
    return found


def _born(workspace: Workspace) -> dict[Day, int]:
    of = joined(", ", [sql(f"t.{part}") for part in PARTS])
    query = sql("SELECT {o}, COUNT(*) AS n FROM person t WHERE {k} GROUP BY {o}", o=of, k=KNOWN)
    rows = workspace.fetch(query).to_pylist()
    return {(int(row[PARTS[0]]), int(row[PARTS[1]]), int(row[PARTS[2]])): int(row["n"]) for row in rows}


FAMILIES = (birth_shared,)
