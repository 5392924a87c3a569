"""What the definitions of a run have in common: the rows of each domain with a concept of a set, found once.

A domain's shared table has one row for each event and each set that its concept is in; a criterion reads the rows of
its own set. Columns are those that some criterion of the run asks for.
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.domains import Domain
from atoll.errors import AtollError, DataError, Unreachable

T = sql("t")


def base_columns(workspace: Workspace, domain: Domain, extra: Iterable[str]) -> Sql:
    """person_id, event_id, start_date, end_date, visit_id and the extra columns of a row `t`."""
    shift = workspace.dialect.shift
    start = sql("CAST({c} AS DATE)", c=column(T, domain.start))
    next_day = shift(start, 1)
    if domain.end == "next day":
        end = next_day
    else:
        end = sql("CAST({c} AS DATE)", c=column(T, domain.end_column))
        if domain.end == "stored or next day":
            end = sql("COALESCE({e}, {n})", e=end, n=next_day)
        elif domain.end == "stored or days of supply or next day":
            supply = shift(start, sql("t.days_supply"))
            end = sql("COALESCE({e}, {s}, {n})", e=end, s=supply, n=next_day)
    visit = column(T, domain.visit) if domain.visit else sql("CAST(NULL AS BIGINT)")
    return joined(
        ", ",
        [
            sql("t.person_id"),
            sql("{i} AS event_id", i=column(T, domain.id)),
            sql("{s} AS start_date", s=start),
            sql("{e} AS end_date", e=end),
            sql("{v} AS visit_id", v=visit),
            *(column(T, text) for text in extra),
        ],
    )


class SharedEvents:
    """Registers who needs which rows while definitions are compiled; `create` then finds all of them at once."""

    def __init__(self, workspace: Workspace, sets: ConceptSets):
        self.workspace, self.sets = workspace, sets
        self._keys: dict[str, dict[int, None]] = {}
        self._columns: dict[str, dict[str, None]] = {}
        self._domains: dict[str, Domain] = {}
        self._users: dict[str, set[int]] = {}
        self.user = 0  # the definition that is being compiled

    def rows(self, domain: Domain, key: int, columns: Iterable[str]) -> Sql:
        """The table whose rows with `set_key = key` are those of the domain with a concept of the set."""
        self._domains[domain.table] = domain
        self._users.setdefault(domain.table, set()).add(self.user)
        self._keys.setdefault(domain.table, {})[key] = None
        self._columns.setdefault(domain.table, {}).update(dict.fromkeys(columns))
        return self._table(domain)

    def codes(self, domain: Domain) -> Sql:
        """The table of codes as this domain is joined to it."""
        if domain.doubled:
            return self.sets.codes
        return sql("(SELECT DISTINCT set_key, concept_id FROM {c})", c=self.sets.codes)

    def create(self) -> dict[int, AtollError]:
        """Find the rows of every domain that was asked for. Gives the definitions whose domain cannot be read."""
        failed: dict[int, AtollError] = {}
        for table, domain in self._domains.items():
            keys = joined(", ", (sql("{k}", k=key) for key in self._keys[table]))
            query = sql(
                "SELECT k.set_key, {columns} FROM {t} t JOIN {codes} k ON k.concept_id = {concept} "
                "WHERE k.set_key IN ({keys})",
                columns=base_columns(self.workspace, domain, self._columns[table]), t=name(table),
                codes=self.codes(domain), concept=column(T, domain.concept), keys=keys,
            )  # fmt: skip
            try:
                self.workspace.create(self._table(domain), query)
                self.workspace.settle(self._table(domain), by=("set_key", "person_id"))
            except Unreachable:
                raise
            except AtollError as error:
                cause = DataError(f"The table {table!r} cannot be read. {error.what}", error.remedy)
                failed |= dict.fromkeys(self._users[table], cause)
        return failed

    def drop(self) -> None:
        """Give the space back."""
        self.workspace.drop(*(self._table(domain) for domain in self._domains.values()))
        self._keys.clear()
        self._columns.clear()
        self._domains.clear()
        self._users.clear()

    def _table(self, domain: Domain) -> Sql:
        return self.workspace.table(f"of_{domain.table}")
