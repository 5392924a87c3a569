"""Where persons are lost: how many enter, keep each rule alone, keep the rules in order, and are left at exit.

Plain numbers of one site. What of them may leave it is settled by `algorithms.attrition` and the gate, never here.

    alone      some event of the person keeps the rule
    in order   one event of the person keeps this rule and all before it, as the cohort asks

`events` gives the rows that these are counted from, for the algorithm to count them over hospitals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import Sql, sql
from atoll.cohort.build import Plan
from atoll.cohort.comparisons import days
from atoll.study.circe import CohortExpression, DateOffset

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Rule:
    """Persons that keep one inclusion rule."""

    name: str
    alone: int
    in_order: int


@dataclass(frozen=True)
class Attrition:
    """Persons of one cohort, step by step; events where one person may have several."""

    events: int
    entered: int
    rules: tuple[Rule, ...]
    final: int

    def document(self) -> dict[str, Any]:
        """As it stands in a report."""
        return asdict(self) | {"rules": [asdict(rule) for rule in self.rules]}


def attrition(workspace: Workspace, qualified: Sql, result: Sql, plans: Mapping[int, Plan]) -> dict[int, Attrition]:
    """The table of each definition, from its qualified events (with their masks) and its periods.

    Two numbers a person are enough: the union of the masks of the person's events, and the lowest rule that no event
    keeps together with all before it (the lowest zero bit, at its highest). Few persons differ in both, so a count of
    pairs is small.
    """
    pairs = workspace.fetch(
        sql(
            "SELECT definition, kept, lowest, COUNT(*) AS persons, SUM(events) AS events FROM ("
            "SELECT definition, person_id, BIT_OR(mask) AS kept, MAX(~mask & (mask + 1)) AS lowest, "
            "COUNT(*) AS events FROM {q} GROUP BY definition, person_id) p GROUP BY definition, kept, lowest",
            q=qualified,
        )
    ).to_pylist()
    final = workspace.fetch(
        sql("SELECT definition, COUNT(DISTINCT subject_id) AS n FROM {r} GROUP BY definition", r=result)
    ).to_pylist()
    left = {row["definition"]: row["n"] for row in final}
    entered, events = Counter[int](), Counter[int]()
    alone, in_order = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for row in pairs:
        number = row["definition"]
        entered[number] += row["persons"]
        events[number] += int(row["events"])
        for bit in range(plans[number].rules if number in plans else 0):
            alone[number, bit] += row["persons"] * bool(row["kept"] & (1 << bit))
            in_order[number, bit] += row["persons"] * (row["lowest"] > (1 << bit))
    return {
        number: Attrition(
            events[number],
            entered[number],
            tuple(Rule(name, alone[number, bit], in_order[number, bit]) for bit, name in enumerate(plan.rule_names)),
            left.get(number, 0),
        )
        for number, plan in plans.items()
    }


def all_stay(definition: CohortExpression) -> bool:
    """Whether who keeps every rule is in the cohort: no end can lie before the start, and no window cuts periods off.

    An end by the event's own end may lie before its start in data that are wrong, so that it loses somebody.
    """
    end, window = definition.end_strategy, definition.censor_window
    cut = window is not None and (window.start_date or window.end_date)
    return not cut and (not isinstance(end, DateOffset) or (end.date_field != "EndDate" and days(end.offset) >= 0))


def events(workspace: Workspace, qualified: Sql, result: Sql, number: int, rules: int) -> pa.Table:
    """How each person kept the rules of one definition: person, a flag `rule_1` … a rule, and `stays`.

    One row for each set of rules that an event of the person keeps; `stays` is 1 where the person is in the cohort.
    """
    import numpy as np
    import pyarrow as pa

    rows = workspace.fetch(
        sql(
            "SELECT DISTINCT q.person_id, q.mask, CASE WHEN r.subject_id IS NULL THEN 0 ELSE 1 END AS stays "
            "FROM {q} q LEFT JOIN (SELECT DISTINCT subject_id FROM {r} WHERE definition = {n}) r "
            "ON r.subject_id = q.person_id WHERE q.definition = {n} ORDER BY q.person_id, q.mask",
            q=qualified, r=result, n=number,
        )
    )  # fmt: skip
    mask = rows.column("mask").to_numpy().astype(np.int64)
    kept = {f"rule_{bit + 1}": pa.array((mask >> bit & 1).astype(float)) for bit in range(rules)}
    stays = pa.array(rows.column("stays").to_numpy().astype(float))
    return pa.table({"person": rows.column("person_id").cast(pa.int64()), **kept, "stays": stays})
