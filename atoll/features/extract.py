"""A cohort and a document of features → a table, one row an index date, where the data are.

Per domain the records are read once: those with a concept of some feature's set, up to the index date and not a day
later. They are summed by set and index date for each way in which features look at them (window and what is said);
only these sums come out of the engine, a block of index dates at a time, and fill the columns. Outcomes are read
apart, so that no feature can see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, column, joined, name, sql
from atoll.cdm.tables import FEMALE, MALE
from atoll.cohort.concepts import ConceptSets, members_of
from atoll.cohort.domains import BY_WORD, Domain
from atoll.errors import DataError
from atoll.features import scores
from atoll.features.looks import look_of, looks_of, seen
from atoll.privacy.statistics import Array
from atoll.study.features import SCORE, VALUES, WITH_RANGE, Feature, Features, Outcome

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 200_000  # index dates whose columns are filled together
EVERY = -1  # the key of features that look at every record of a domain


def extract(workspace: Workspace, cohort: pa.Table, features: Features) -> pa.Table:
    """One row for each row of the cohort, in its order: `person`, then the columns of `features.dictionary()`.

    cohort   subject_id, cohort_start_date (the index date)

    Raises
    ------
    DataError
        When the CDM lacks a table or its vocabulary.
    """
    return _Extraction(workspace, features).table(cohort)


class _Extraction:
    def __init__(self, workspace: Workspace, features: Features):
        self.workspace, self.features = workspace, features
        self.index = workspace.table("index_date")
        self.sets = ConceptSets(workspace)
        self.keys = {
            name_: self.sets.key((members_of(found.include, found.exclude, found.descendants),))
            for name_, found in features.concepts.items()
        }
        self.scored = [feature for feature in features.features if feature.domain == SCORE]
        self.asked = [feature for feature in features.features if feature.domain != SCORE]
        for feature in self.scored:
            self.keys |= scores.keys(feature, self.sets)
            self.asked += scores.parts(feature, workspace)

    def table(self, cohort: pa.Table) -> pa.Table:
        with self.workspace.passing():
            return self._table(cohort)

    def _table(self, cohort: pa.Table) -> pa.Table:
        import pyarrow as pa

        if self.keys:
            self.sets.resolve()
        for feature in self.scored:
            scores.need_codes(feature, self.sets)
        self._place(cohort)
        asked = dict.fromkeys(f.domain for f in self.asked if f.domain != "person")
        summed = {domain: self._summed(domain) for domain in asked}
        outcomes = [self._first_days(number, outcome) for number, outcome in enumerate(self.features.outcomes)]
        starts = range(0, max(cohort.num_rows, 1), AT_ONCE)
        return pa.concat_tables([self._block(start, summed, outcomes) for start in starts])

    def _place(self, cohort: pa.Table) -> None:
        """The index table: row, person, index date, observation around it, death, what the person table says."""
        import pyarrow as pa

        rows = pa.table(
            {
                "row_id": pa.array(range(cohort.num_rows), pa.int64()),
                "person_id": cohort.column("subject_id").cast(pa.int64()),
                "index_date": cohort.column("cohort_start_date").cast(pa.date32()),
            }
        )
        given = self.workspace.table("given")
        self.workspace.upload(given, rows)
        self.workspace.settle(given)
        death = (
            sql("(SELECT person_id, MIN(death_date) AS death_date FROM death GROUP BY person_id)")
            if self.workspace.columns("death")
            else sql("(SELECT person_id, CAST(NULL AS DATE) AS death_date FROM person WHERE 1 = 0)")
        )
        self.workspace.create(
            self.index,
            sql(
                "SELECT x.row_id, x.person_id, x.index_date, MIN(p.gender_concept_id) AS gender, "
                "MIN(p.year_of_birth) AS born, MIN(o.observation_period_start_date) AS op_start, "
                "MAX(o.observation_period_end_date) AS op_end, MIN(d.death_date) AS death "
                "FROM {given} x LEFT JOIN person p ON p.person_id = x.person_id "
                "LEFT JOIN observation_period o ON o.person_id = x.person_id "
                "AND x.index_date BETWEEN o.observation_period_start_date AND o.observation_period_end_date "
                "LEFT JOIN {death} d ON d.person_id = x.person_id GROUP BY x.row_id, x.person_id, x.index_date",
                given=given, death=death,
            ),
        )  # fmt: skip
        self.workspace.settle(self.index, by=("person_id",))

    def _block(self, start: int, summed: dict[str, Sql], outcomes: list[Sql]) -> pa.Table:
        """The table's rows from `start` on."""
        import pyarrow as pa

        facts = self.workspace.fetch(self._facts(start, outcomes))
        found = dict(zip(self._named(), facts.columns, strict=True))
        for domain, table in summed.items():
            features = [feature for feature in self.asked if feature.domain == domain]
            for name_, values in self._filled(table, features, start, facts.num_rows):
                found[name_] = values
        for feature in self.scored:
            found[feature.name] = scores.column(feature, found)
        kinds = {"person": pa.int64(), "flag": pa.int8(), "number": pa.float64(), "category": pa.string()}
        columns = self.features.dictionary()
        return pa.table({n: _cast(found[n], kinds[column.type]) for n, column in columns.items()})

    def _named(self) -> list[str]:
        """The columns of `_facts`."""
        facts = [feature.name for feature in self.asked if feature.domain == "person"]
        return ["person", *facts, *(name_ for outcome in self.features.outcomes for name_ in outcome.columns())]

    def _facts(self, start: int, outcomes: list[Sql]) -> Sql:
        """What the person and the outcomes say, one row an index date, in their order."""
        columns, joins = [sql("x.person_id")], []
        columns += [self._fact(feature) for feature in self.asked if feature.domain == "person"]
        for number, (outcome, table) in enumerate(zip(self.features.outcomes, outcomes, strict=True)):
            joins.append(sql(" LEFT JOIN {t} {o} ON {o}.row_id = x.row_id", t=table, o=name(f"outcome_{number}")))
            columns += self._outcome(number, outcome)
        named = (sql("{c} AS {n}", c=column_, n=name(f"column_{place}")) for place, column_ in enumerate(columns))
        return sql(
            "SELECT {c} FROM {x} x{j} WHERE x.row_id >= {a} AND x.row_id < {b} ORDER BY x.row_id",
            c=joined(", ", named), x=self.index, j=joined("", joins), a=start, b=start + AT_ONCE,
        )  # fmt: skip

    def _filled(self, summed: Sql, features: list[Feature], start: int, n: int) -> Iterator[tuple[str, Any]]:
        """The columns of a domain's features: the sums of their sets, put where their index date stands."""
        looks = looks_of(features)
        rows = self.workspace.fetch(
            sql("SELECT * FROM {t} WHERE row_id >= {a} AND row_id < {b} ORDER BY set_key", t=summed, a=start,
                b=start + AT_ONCE)
        )  # fmt: skip
        keys, places = (rows.column(i).cast("int64").to_numpy() for i in range(2))  # no rows have no type
        for feature in features:
            first, last = np.searchsorted(keys, [self._key(feature.of), self._key(feature.of) + 1])
            seen = rows.column(2 + looks.index(look_of(feature))).slice(first, last - first)
            values = np.full(n, np.nan)
            values[places[first:last] - start] = seen.cast("float64", safe=False).to_numpy(zero_copy_only=False)
            yield from _columns(feature, values)

    # ---- facts of the person

    def _fact(self, feature: Feature) -> Sql:
        days = self.workspace.dialect.days
        facts = {
            "age": sql("EXTRACT(YEAR FROM x.index_date) - x.born"),
            "sex": sql("CASE x.gender WHEN {f} THEN 'female' WHEN {m} THEN 'male' END", f=FEMALE, m=MALE),
            "year": sql("EXTRACT(YEAR FROM x.index_date)"),
            "observed": days(sql("x.op_start"), sql("x.index_date")),
            "followed": self._followed(),
        }
        return facts[feature.says]

    def _followed(self) -> Sql:
        """Days from the index date to the end of observation, or to death before it."""
        days = self.workspace.dialect.days
        return sql(
            "LEAST({o}, COALESCE({d}, {o}))",
            o=days(sql("x.index_date"), sql("x.op_end")), d=days(sql("x.index_date"), sql("x.death")),
        )  # fmt: skip

    # ---- records up to the index date

    def _summed(self, domain: str) -> Sql:
        """By set and index date: each look's number."""
        features = [feature for feature in self.asked if feature.domain == domain]
        looks = looks_of(features)
        values = any(look.says in VALUES for look in looks)
        firsts = [look.first for look in looks]
        first = None if None in firsts else min(day for day in firsts if day is not None)
        last = min(0, max(look.last for look in looks))
        records = self._records(domain, {self._key(feature.of) for feature in features}, first, last, values)
        cells = (
            sql("{v} AS {n}", v=seen(look, self.workspace.dialect), n=name(f"look_{j}")) for j, look in enumerate(looks)
        )
        table = self.workspace.table(f"summed_{domain}")
        self.workspace.create(
            table,
            sql("SELECT set_key, row_id, {c} FROM ({r}) r GROUP BY set_key, row_id", c=joined(", ", cells), r=records),
        )
        return table

    def _records(self, domain: str, keys: set[int], first: int | None, last: int, values: bool) -> Sql:
        """Records of the sets within days of the index date: row_id, set_key, day and, where wanted, the value."""
        found, dialect = BY_WORD[domain], self.workspace.dialect
        self._need(found)
        start = sql("CAST({s} AS DATE)", s=column(sql("t"), found.start))
        within = [sql("{s} <= {d}", s=start, d=dialect.shift(sql("x.index_date"), last))]
        if first is not None:
            within.append(sql("{s} >= {d}", s=start, d=dialect.shift(sql("x.index_date"), first)))
        more = sql("")
        if values:
            ranges = sql(", t.range_high, t.range_low") if domain == WITH_RANGE else sql("")
            more = sql(
                ", {id} AS id, t.value_as_number AS value, t.unit_concept_id AS unit{r}",
                id=column(sql("t"), found.id), r=ranges,
            )  # fmt: skip
        parts = []
        chosen = sorted(keys - {EVERY})
        if chosen:
            one_of = joined(", ", (sql("{k}", k=key) for key in chosen))
            codes = sql(
                "JOIN {c} k ON k.concept_id = {concept} AND k.set_key IN ({keys})",
                c=self.sets.codes, concept=column(sql("t"), found.concept), keys=one_of,
            )  # fmt: skip
            parts.append((sql("k.set_key"), codes))
        if EVERY in keys:
            parts.append((sql("{k}", k=EVERY), sql("")))
        return joined(
            " UNION ALL ",
            (
                sql(
                    "SELECT x.row_id, {k} AS set_key, {day} AS day{m} FROM {x} x JOIN {t} t "
                    "ON t.person_id = x.person_id {codes} WHERE {w}",
                    k=key, day=dialect.days(sql("x.index_date"), start), m=more, x=self.index, t=name(found.table),
                    codes=codes, w=joined(" AND ", within),
                )
                for key, codes in parts
            ),
        )  # fmt: skip

    # ---- what comes after

    def _first_days(self, number: int, outcome: Outcome) -> Sql:
        """The day of the first record of the outcome's set in its window."""
        first, last = outcome.window
        table = self.workspace.table(f"outcome_{number}")
        records = self._records(outcome.domain, {self._key(outcome.of)}, first, last, False)
        self.workspace.create(table, sql("SELECT row_id, MIN(day) AS day FROM ({r}) r GROUP BY row_id", r=records))
        self.workspace.settle(table, by=("row_id",))
        return table

    def _outcome(self, number: int, outcome: Outcome) -> list[Sql]:
        day, followed, last = column(name(f"outcome_{number}"), "day"), self._followed(), outcome.window[1]
        happened = sql("COALESCE({d} <= {f}, FALSE)", d=day, f=followed)
        dead = sql(
            "COALESCE({d} <= {l}, FALSE)", d=self.workspace.dialect.days(sql("x.index_date"), sql("x.death")), l=last
        )
        return [
            sql("CASE WHEN {h} THEN 1 WHEN {f} >= {l} OR {x} THEN 0 END", h=happened, f=followed, l=last, x=dead),
            sql("CASE WHEN {h} THEN {d} ELSE GREATEST(LEAST({f}, {l}), 0) END", h=happened, d=day, f=followed, l=last),
            sql("CASE WHEN {h} THEN 1 ELSE 0 END", h=happened),
        ]

    # ---- parts

    def _key(self, of: str) -> int:
        return self.keys[of] if of else EVERY

    def _need(self, domain: Domain) -> None:
        if self.workspace.columns(domain.table) is None:
            raise DataError(f"The CDM has no table {domain.table!r}.", "Load it, or leave out what reads it.")


def _cast(values: Any, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    return values.cast(kind, safe=False)


def _columns(feature: Feature, values: Array) -> Iterator[tuple[str, Any]]:
    """A feature's columns: who has no record has none; what was never measured is unknown."""
    import pyarrow as pa

    unknown = np.isnan(values)
    if feature.says in ("any", "count", "days", "high", "low"):
        yield feature.name, pa.array(np.where(unknown, 0.0, values))
    elif feature.otherwise is None:
        yield feature.name, pa.array(values, mask=unknown)
    else:
        yield feature.name, pa.array(np.where(unknown, feature.otherwise, values))
        yield f"{feature.name}_missing", pa.array(unknown.astype(np.int8))
