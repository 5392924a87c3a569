"""What definitions would cost a database: the rows of the tables that each reads, by the engine's statistics.

Nothing is run but the look into the statistics, and the resolving of concept sets that every run begins with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atoll.cdm.marks import rows_of
from atoll.cdm.workspace import workspace_at
from atoll.cohort.folder import Reading
from atoll.cohort.kept import tables_read
from atoll.cohort.run import CohortRun


@dataclass(frozen=True)
class Cost:
    """`tables` are those that each definition reads, `rows` how many the engine thinks that each has, or None.

    Tables are read once for a folder, so its cost is less than the sum of its definitions'.
    """

    tables: dict[str, tuple[str, ...]]
    rows: dict[str, int | None]

    def of(self, tables: Iterable[str]) -> int:
        """Rows of some tables; those of which nothing is known count as none."""
        return sum(self.rows[table] or 0 for table in tables)

    @property
    def together(self) -> int:
        """Rows of all tables that some definition reads, each once."""
        return self.of({table for tables in self.tables.values() for table in tables})

    @property
    def unknown(self) -> list[str]:
        """Tables of which the engine keeps no statistics."""
        return sorted(table for table, rows in self.rows.items() if rows is None)


def cost(reading: Reading, cdm: str, *, threads: int | None = None) -> Cost:
    """The cost of the definitions that can be planned.

    Raises
    ------
    OperatorError, DataError, Unreachable
        When nothing can be planned: no such CDM, no vocabulary in it.
    """
    with workspace_at(cdm, threads=threads) as workspace:
        plans = CohortRun(workspace).plans(reading.definitions) if reading.definitions else {}
        tables = {name: tuple(sorted(tables_read(plan))) for name, (plan, _) in plans.items()}
        wanted = sorted({table for read in tables.values() for table in read})
        there = {table: rows_of(workspace, table) for table in wanted if workspace.columns(table) is not None}
    return Cost({name: tuple(t for t in read if t in there) for name, read in tables.items()}, there)
