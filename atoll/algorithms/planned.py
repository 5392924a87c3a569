"""What a planned analysis needs, and how precise it would be with so many persons and events.

    odds ratio      SE(β) = 1 / √(n p (1 − p))       a standard deviation of a term, n persons, share p with the event
    hazard ratio    SE(β) = 1 / √d                   the same, d events
    difference      SE(β) = 1 / √n                   in standard deviations of the outcome
    found           exp((z₀.₉₇₅ + z₀.₈) SE): the smallest ratio that a test at 5 % finds with 80 % power
    half width      of the 95 % interval of a proportion or of survival at ½, or of an AUC of 0.75

Terms that are correlated need more: by 1 / (1 − R²) of a term on the others. Hsieh, Bloch & Larsen (1998),
doi:10.1002/(SICI)1097-0258(19980730)17:14<1623::AID-SIM871>3.0.CO;2-S; Hsieh & Lavori (2000),
doi:10.1016/S0197-2456(00)00104-5; Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from atoll.algorithms import registry
from atoll.algorithms.cells import few
from atoll.algorithms.program import formula_of, has_intercept
from atoll.errors import StudyError
from atoll.privacy.disclosure import Policy
from atoll.study.coding import design_of_terms, needs, resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Dictionary
from atoll.study.formula import parse
from atoll.study.protocol import Analysis, PrivacyFloor, Study
from atoll.study.view import Model

Bounds = tuple[int, int]
Measure = Literal["odds ratio", "hazard ratio", "difference", "proportion", "survival", "AUC", ""]
POWER, WIDTH = 1.959964 + 0.841621, 1.959964  # normal quantiles of 0.975 and 0.8
AUC = 0.75  # at which the width is told


@dataclass(frozen=True)
class Plan:
    """A planned analysis.

    columns      that a patient must have, in order; the outcome first
    happened     the flag that says who has the event
    parameters   terms of its model; None where their number depends on categories that nobody has seen yet
    measure      what its precision is told in
    """

    algorithm: str
    dataset: str
    columns: tuple[str, ...]
    happened: str | None
    parameters: int | None
    measure: Measure


@dataclass(frozen=True)
class Precision:
    """`found` is the smallest ratio (or difference) a standard deviation; `half_width` that of an interval."""

    measure: Measure
    found: float | None = None
    half_width: float | None = None


def plans(study: Study) -> dict[str, Plan]:
    """The analyses of a study that can be planned, by name: all but those that count persons already."""
    asked = {name: analysis for name, analysis in study.analyses.items() if _precision(analysis) is not None}
    return {name: _plan(study, analysis) for name, analysis in asked.items()}


def as_questions(study: Study, site: str, today: date, number: int = 1) -> Study:
    """The study of feasibility that asks one hospital about the plans of a study; one a day, as its title says, and
    another of a higher `number` after one that was withdrawn.

    Under the hospital's limits and none of its own: a standing permission covers no others.

    Raises
    ------
    StudyError
        When the study plans nothing of which persons could be counted.
    """
    asked = plans(study)
    if not asked:
        raise StudyError("The study plans no analysis whose patients could be counted.", "Add one.", subject="analyses")
    used = {plan.dataset for plan in asked.values()}
    return replace(
        study,
        title=f"{study.title[:180]} · {today}" + (f" ({number})" if number > 1 else ""),
        sites={site: study.sites[site]},
        datasets={name: columns for name, columns in study.datasets.items() if name in used},
        recipes={name: recipe for name, recipe in study.recipes.items() if name in used},
        analyses={
            name: Analysis("feasibility", plan.dataset, _options(plan), study.analyses[name].label)
            for name, plan in asked.items()
        },
        privacy=PrivacyFloor(public=study.privacy.public),
    )


def _options(plan: Plan) -> dict[str, Any]:
    happened = {"happened": plan.happened} if plan.happened else {}
    return {"columns": list(plan.columns), **happened}


def precision(plan: Plan, persons: int, events: int | None) -> Precision | None:
    """How precise the analysis would be; None where too few are there, or nothing is known of its kind."""
    if persons < 2:
        return None
    if plan.measure in ("odds ratio", "hazard ratio", "AUC"):
        if not events or (plan.measure != "hazard ratio" and events >= persons):
            return None
        if plan.measure == "AUC":
            return Precision("AUC", half_width=WIDTH * _auc_error(events, persons - events))
        information = events if plan.measure == "hazard ratio" else events * (1 - events / persons)
        return Precision(plan.measure, found=math.exp(POWER / math.sqrt(information)))
    if plan.measure == "difference":
        return Precision("difference", found=POWER / math.sqrt(persons))
    if plan.measure:
        return Precision(plan.measure, half_width=WIDTH * math.sqrt(0.25 / persons))
    return None


def too_few(plan: Plan, known: Bounds, events: Bounds | None, policy: Policy) -> str:
    """Of whom a hospital has too few, so that its gate would refuse the analysis; empty where nothing says so.

    known, events   bounds of the persons with all columns, and of those with the event, as `feasibility` tells them
    policy          under which they were told; the hospital's own may be stricter
    """
    if policy.minimum_persons <= 1:
        return ""
    held = few(policy.minimum_persons, policy.rounding)  # what stands for fewer than the minimum
    if known[0] == 0 and known[1] <= held:
        return f"fewer than {known[1]} with all columns"
    if events is not None and events[0] == 0 and events[1] <= held:
        return f"fewer than {events[1]} with the event"
    if events is not None and events[0] < events[1] and known[0] == known[1] == events[1]:
        return f"fewer than {held} without the event"
    if plan.parameters and policy.persons_per_parameter:
        needed = max(policy.persons_per_parameter * plan.parameters, policy.residual_dof + plan.parameters)
        of, there = ("with the event", events) if plan.measure == "hazard ratio" and events else ("patients", known)
        if there[1] < needed:
            return f"fewer than {needed} {of}, which {plan.parameters} parameters need"
    return ""


def _auc_error(cases: int, controls: int) -> float:
    """Standard error of an AUC of `AUC`, scores exponential in both classes."""
    q1, q2 = AUC / (2 - AUC), 2 * AUC**2 / (1 + AUC)
    spread = AUC * (1 - AUC) + (cases - 1) * (q1 - AUC**2) + (controls - 1) * (q2 - AUC**2)
    return math.sqrt(spread / (cases * controls))


def _plan(study: Study, analysis: Analysis) -> Plan:
    columns = study.datasets[analysis.dataset]
    named = _judged(study, analysis) if analysis.algorithm == "performance" else _named(analysis, columns)
    happened = _happened(analysis)
    return Plan(
        analysis.algorithm,
        analysis.dataset,
        tuple(dict.fromkeys(name for name in named if name in columns)),
        happened if happened and columns[happened].type == "flag" else None,
        _parameters(analysis, columns, tuple(sorted(study.sites))),
        _measure(analysis),
    )


def _named(analysis: Analysis, columns: Dictionary) -> tuple[str, ...]:
    options = registry.check(analysis.algorithm, analysis.options, columns)
    formula = parse(options["formula"]) if "formula" in options else None
    response = [formula.response] if formula and formula.response else []
    pointed = registry.columns_of(analysis.algorithm, options)
    return (*response, *pointed, *(formula.columns if formula else ()))


def _judged(study: Study, analysis: Analysis) -> tuple[str, ...]:
    """The outcome, and what the model reads that is judged: an earlier analysis, or one that is given."""
    columns, model = study.datasets[analysis.dataset], analysis.options["model"]
    if isinstance(model, str):
        formula = parse(study.analyses[model].options["formula"])
        read = tuple(name for name in formula.columns if name != formula.response)
    elif "design" in model:
        read = Model.from_document(model).design.raw_columns
    else:
        read = design_of_terms(tuple(model["terms"]), Facts(), columns).raw_columns
    return (analysis.options["outcome"], *read)


def _happened(analysis: Analysis) -> str | None:
    options = analysis.options
    if analysis.algorithm == "glm" and options.get("family") == "binomial":
        return parse(options["formula"]).response
    found = options.get("event") or options.get("outcome")
    return str(found) if found else None


def _precision(analysis: Analysis) -> Measure | None:
    """What the algorithm's file says: what its precision is told in, "" for nothing, None where it counts persons."""
    found: Measure | None = getattr(registry.module(analysis.algorithm), "PRECISION", "")
    return found


def _measure(analysis: Analysis) -> Measure:
    if analysis.algorithm == "glm":
        family, link = analysis.options.get("family", "gaussian"), analysis.options.get("link")
        if family == "gaussian":
            return "difference" if link in (None, "identity") else ""
        if family != "binomial" or link not in (None, "logit"):
            return ""
    return _precision(analysis) or ""


def _parameters(analysis: Analysis, columns: Dictionary, sites: tuple[str, ...]) -> int | None:
    """Terms of the model, where the study and its dictionary give all categories; knots and centres do not matter."""
    formula = formula_of(analysis.options)
    if formula is None:
        return None
    wanted = needs(formula, columns)
    if wanted.levels:
        return None
    facts = Facts(
        quantiles={name: {p: p for p in at} for name, at in wanted.quantiles.items()},
        ranges={name: (0.0, 1.0) for name in wanted.quantiles},
        moments={name: (0.0, 1.0) for name in wanted.moments},
    )
    return len(resolve(formula, facts, columns, sites, intercept=has_intercept(analysis.options)).terms)
