"""Rules of which no row stayed: a mistake of the mapping far more often than of the data, so that such a release is
not put in force unless the operator says so (`--anyway`).

Rows that their sender takes back, or that another row says too, are as they should be: they do not make a rule a
mistake; nor do planned ones, that come within a year. Rows that all lie further in the future do: their days are read
wrongly, or are of another calendar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.ingest.mapping import Rule
from atoll.ingest.persons import TWO_BIRTHS
from atoll.ingest.repeats import CONTRADICTION, REPEATED
from atoll.ingest.sources import LEFT_OUT, Source
from atoll.study.nodes import Problem, Problems

_SAID_BEFORE = {"person": (CONTRADICTION, TWO_BIRTHS), "death": (CONTRADICTION,)}  # another row of that person stays
PLANNED = 366  # days ahead for which an appointment may be planned
_FEW = 3  # reasons that are named


def note(bench: Workbench, name: str, rules: Sequence[Rule], source: Source, today: date) -> None:
    """Write down the rules of which no row of a table stays: its rows have their reasons and are not yet put aside."""
    planned = f"coalesce(_comes <= {literal(str(today + timedelta(PLANNED)))}::DATE, false)"
    counts = bench.rows(
        f"SELECT _rule, _reason, count(*) FILTER (WHERE NOT {planned}) AS n FROM main.{quoted(name)} GROUP BY ALL"
        " ORDER BY n DESC, 2"
    )
    for rule in rules:
        found = {reason: rows for position, reason, rows in counts if position == rule.position}
        if None in found:
            continue
        wrong = _wrong(found, name, _taken_back(bench, rule, source) if found else ())
        for reason, rows in wrong.items():
            bench.run(f"INSERT INTO ingest.emptied VALUES ({rule.position}, {literal(reason)}, {rows})")


def _wrong(found: Mapping[str, int], name: str, taken_back: Sequence[str]) -> dict[str, int]:
    fine = {REPEATED, *_SAID_BEFORE.get(name, ()), *taken_back}
    return {reason: n for reason, n in found.items() if n and reason not in fine}


def _taken_back(bench: Workbench, rule: Rule, source: Source) -> list[str]:
    """The reasons for which senders of messages take rows of a rule's source back."""
    if LEFT_OUT not in source.tables[rule.source].columns:
        return []
    rows = source.table(rule.source)[[LEFT_OUT]].distinct()
    return [str(reason) for (reason,) in bench.rows(bench.sql(rows)) if reason is not None]


def refuse(bench: Workbench, rules: Sequence[Rule]) -> None:
    """Stop before a release without any row of some rule is put in force.

    Raises
    ------
    Problems
        With each such rule, its rows and the commonest reasons.
    """
    found: dict[int, list[tuple[str, int]]] = {}
    for position, reason, rows in bench.rows("SELECT * FROM ingest.emptied ORDER BY 1, 3 DESC, 2"):
        found.setdefault(position, []).append((reason, rows))
    if not found:
        return
    problems = []
    for rule in (rule for rule in rules if rule.position in found):
        reasons = found[rule.position]
        rows = sum(n for _, n in reasons)
        named = ", ".join(f"{reason} ({n:,})" for reason, n in reasons[:_FEW]) + (" …" if len(reasons) > _FEW else "")
        said = f"none of {rows:,} rows" if rows > 1 else "not one row"
        what = f"{rule.title}: {said} can stay: {named}."
        problems.append(Problem(rule.place[0], f"rules[{rule.position}]", what, ""))
    raise Problems(
        "The load stopped, and the release in force was not touched:", problems,
        remedy="Correct the mapping or the export. If it shall be so, type the command again with --anyway.",
    )  # fmt: skip
