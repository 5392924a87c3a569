"""Every kind of result, in one place: its table, what its page needs, its chart.

A kind is an entry of `KINDS` and a template of its name in `templates/kinds`. An algorithm of the house has its kind
here by its name; another's result says its own (`kind: coefficients`), or shows its single values: what two results
happen to call alike need not be the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.study.dictionary import Dictionary
from atoll.ui import beside, charts, effects, parts, phenotype, rates, steps, tables
from atoll.ui.charts import WIDE, Chart, Translate
from atoll.ui.tables import Row
from atoll.ui.words import Say

Document = Mapping[str, Any]


def _none(document: Document, say: Translate, width: int) -> Chart | None:
    """No chart."""
    return None


@dataclass(frozen=True)
class Kind:
    """How results of one kind are shown.

    algorithms  of the house, whose results are of this kind
    needs       entries without which a result cannot be shown so
    rows        its main table
    parts       what its template needs
    chart       its chart, None where this result has none
    apart       it may tell numbers of single hospitals, in `sites_apart`
    """

    algorithms: tuple[str, ...]
    needs: frozenset[str]
    rows: Callable[[Document], list[Row]]
    parts: Callable[[Document, Dictionary, Say], dict[str, Any]]
    chart: Callable[[Document, Translate, int], Chart | None] = _none
    apart: bool = False


KINDS: Mapping[str, Kind] = {
    "coefficients": Kind(
        ("glm", "cox"), frozenset({"terms", "params", "bse"}), tables.coefficients, parts.model, effects.chart
    ),
    "survival": Kind(
        ("kaplan_meier",), frozenset({"times", "groups", "logrank"}), tables.survival, parts.survival, charts.curves
    ),
    "description": Kind(
        ("describe",), frozenset({"numbers", "categories"}), tables.description, parts.description, charts.levels
    ),
    "performance": Kind(
        ("performance",),
        frozenset({"auc", "auc_lower", "auc_upper", "sites_apart"}),
        tables.judged,
        parts.judged,
        charts.discrimination,
        apart=True,
    ),
    "attrition": Kind(
        ("attrition", "feasibility"),
        frozenset({"entered", "steps", "sites_apart"}),
        tables.steps,
        parts.steps,
        steps.funnel,
        apart=True,
    ),
    "comparability": Kind(
        ("comparability",), frozenset({"columns", "sites_apart"}), beside.rows, beside.parts, beside.chart, apart=True
    ),
    "incidence": Kind(
        ("incidence",), frozenset({"cells", "sites_apart"}), rates.rows, rates.parts, rates.chart, apart=True
    ),
    "words": Kind(
        ("breakdown",),
        frozenset({"words", "column", "sites_apart"}),
        phenotype.words_rows,
        phenotype.words_parts,
        phenotype.words_chart,
        apart=True,
    ),
    "overlap": Kind(
        ("overlap",),
        frozenset({"parts", "labels", "sites_apart"}),
        phenotype.overlap_rows,
        phenotype.overlap_parts,
        phenotype.overlap_chart,
        apart=True,
    ),
    "durations": Kind(
        ("durations",),
        frozenset({"columns", "sites_apart"}),
        phenotype.durations_rows,
        phenotype.durations_parts,
        phenotype.durations_chart,
        apart=True,
    ),
    "values": Kind((), frozenset(), tables.values, parts.values),
}


def kind_of(document: Document) -> str:
    """The kind that the result says, or that its algorithm has; `values` where it lacks what that kind needs."""
    ours = next((name for name, kind in KINDS.items() if document.get("algorithm") in kind.algorithms), "values")
    name = str(document.get("kind", ours))
    return name if name in KINDS and KINDS[name].needs <= set(document) else "values"


def rows(document: Document) -> list[Row]:
    """The main table of a result, a dict a row, every row with the same keys."""
    return KINDS[kind_of(document)].rows(document)


def chart(document: Document, say: Translate = str, width: int = WIDE) -> Chart:
    """The chart that belongs to a result; `say` translates its words.

    Raises
    ------
    ValueError
        When this result has no chart.
    """
    drawn = KINDS[kind_of(document)].chart(document, say, width)
    if drawn is None:
        raise ValueError(f"a result of {document['algorithm']} has no chart; use to_frame() or summary()")
    return drawn
