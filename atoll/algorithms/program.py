"""From an analysis as written to the rounds that run it.

    formula + data dictionary  →  what is still unknown (levels, knots, centres)
    survey, only if needed     →  facts, the same for every site
    design and view            →  the algorithm's own rounds, each with this view

A program is a pure function of the analysis and the answers. The hub runs it by replay, and a site can
replay it to check that a question is the one the algorithm asks. What an option's name means stands in
`options.ROLES`; nothing here reads another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any

from atoll.algorithms import registry
from atoll.algorithms.core import Program
from atoll.algorithms.options import ROLES
from atoll.algorithms.survey import survey
from atoll.errors import StudyError
from atoll.study.coding import Needs, design_of_terms, needs, resolve
from atoll.study.design import Design, Facts
from atoll.study.dictionary import Dictionary
from atoll.study.formula import Formula, parse
from atoll.study.horizon import refuse_ahead
from atoll.study.view import Model, Setting, View


@dataclass(frozen=True)
class Asked:
    """One analysis as it is asked: all that its program depends on; `options` as written in the study."""

    algorithm: str
    options: Mapping[str, Any]
    columns: Dictionary
    sites: tuple[str, ...]
    public: bool


def program(analysis: Asked) -> Program:
    """The questions of an analysis, in order; returns its result as a document of plain types and arrays.

    Raises
    ------
    StudyError
        When the analysis cannot be run as written, or the answers do not determine its result.
    """
    options = registry.check(analysis.algorithm, analysis.options, analysis.columns)
    sites = tuple(sorted(analysis.sites))
    setting = Setting(sites, analysis.public, analysis.columns)
    formula = formula_of(options)
    facts = yield from _survey(setting, formula, options)
    design = _design(formula, facts, setting, options)
    if "model" in options:
        options["model"] = _model(options["model"], design).to_document()
    levels = {name: _levels(name, facts, analysis.columns) for name in _categories(options)}
    view = _view(formula, design, options, levels)
    further = [name for name in registry.columns_of(analysis.algorithm, options) if name not in view.named()]
    view = replace(view, columns=(*view.columns, *further))  # of options that are no role
    ready = replace(setting, design=design, levels=levels)
    result = yield from _seen_as(view, registry.get(analysis.algorithm)(ready, **options))
    return _document(analysis.algorithm, result, sites) | _coded(view, analysis.columns)


def in_order(models: Mapping[str, Any]) -> list[str]:
    """Analyses in an order in which each comes after the one whose model it uses; `models` holds their `model` options.

    Raises
    ------
    StudyError
        When an analysis uses the model of one that does not exist, or of itself in a circle.
    """
    ordered: list[str] = []
    left = dict(models)
    while left:
        ready = [name for name, model in left.items() if not isinstance(model, str) or model in ordered]
        if not ready:
            name, model = next(iter(left.items()))
            raise StudyError(
                f"{name}: its model {model!r} is no other analysis of the study that can run before it.",
                f"Name one of {', '.join(sorted(set(models) - {name}))}."
                if len(models) > 1
                else "Give terms and coefficients.",
                code="MODEL_INVALID",
                subject="model",
            )
        for name in ready:
            ordered.append(name)
            del left[name]
    return ordered


def with_models(options: Mapping[str, Any], finished: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options, with `model: NAME` replaced by the model that the analysis NAME of the same study has fitted.

    Raises
    ------
    StudyError
        When there is no such finished analysis, or it fits no model.
    """
    name = options.get("model")
    if not isinstance(name, str):
        return dict(options)
    model = finished.get(name, {}).get("model")
    if model is None:
        raise StudyError(
            f"model: there is no earlier analysis {name!r} that fits a model.",
            f"Name one of {', '.join(finished) or 'the analyses above it'}, or give terms and coefficients.",
            code="MODEL_INVALID",
            subject="model",
        )
    return {**options, "model": model}


def formula_of(options: Mapping[str, Any]) -> Formula | None:
    """The formula, with a term for the sites when each has its own intercept."""
    if "formula" not in options:
        return None
    text = options["formula"]
    return parse(f"{text} + site" if options.get("site_intercepts") else text)


def has_intercept(options: Mapping[str, Any]) -> bool:
    """Whether the formula gets an intercept, where it does not leave it out itself."""
    return not any(role.baseline and name in options for name, role in ROLES.items())


def _categories(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns outside the design whose levels the analysis needs."""
    pointed = [options[name] for name, role in ROLES.items() if role.levels and options.get(name)]
    wanted = [column for value in pointed for column in ((value,) if isinstance(value, str) else value)]
    return tuple(name for name in dict.fromkeys(wanted) if name != "site")


def _survey(setting: Setting, formula: Formula | None, options: Mapping[str, Any]) -> Program:
    """The facts that neither formula nor dictionary gives, found through the gate; no round if none is missing."""
    wanted = needs(formula, setting.columns) if formula else Needs((), {}, ())
    unknown = [name for name in _categories(options) if not setting.columns[name].levels]
    levels_of = tuple(dict.fromkeys([*wanted.levels, *unknown]))
    if not (levels_of or wanted.quantiles or wanted.moments):
        return Facts()
    named = _view(formula, None, options, {}).named()
    view = View(columns=tuple(dict.fromkeys([*(formula.columns if formula else ()), *named])))
    rounds = survey(setting, levels_of=levels_of, quantiles_of=wanted.quantiles, moments_of=wanted.moments)
    return (yield from _seen_as(view, rounds))


def _seen_as(view: View, rounds: Program) -> Program:
    """The same rounds, every question with this view of the data."""
    answer = None
    while True:
        try:
            question = rounds.send(answer)
        except StopIteration as finished:
            return finished.value
        answer = yield replace(question, view=view)


def _design(formula: Formula | None, facts: Facts, setting: Setting, options: Mapping[str, Any]) -> Design | None:
    if formula:
        return resolve(formula, facts, setting.columns, setting.sites, intercept=has_intercept(options))
    if "model" in options:
        return _model_design(options["model"], setting.columns)
    return None


def _model_design(document: Mapping[str, Any], columns: Dictionary) -> Design:
    """The design of a given model: its own, or what its terms' names say; over columns that may be analysed."""
    if "design" in document:
        design = Model.from_document(document).design
    else:
        try:
            terms = tuple(str(term) for term in document["terms"])
        except (KeyError, TypeError) as error:
            what, remedy = "model: it has no terms.", "Give `terms`, `coefficients` and `link`."
            raise StudyError(what, remedy, code="MODEL_INVALID", subject="model") from error
        design = design_of_terms(terms, Facts(), columns)
    for name in design.raw_columns:
        registry.check_column("model", name, columns)
    refuse_ahead("model", design.raw_columns, columns)
    return design


def _model(document: Mapping[str, Any], design: Design | None) -> Model:
    assert design is not None
    coefficients = document.get("coefficients", document.get("params"))
    if not isinstance(coefficients, list | tuple) or len(coefficients) != len(design.terms):
        raise StudyError(
            f"model: {len(design.terms)} terms need {len(design.terms)} coefficients.",
            "Give one coefficient for each term, in the same order.",
            code="MODEL_INVALID",
            subject="model",
        )
    if not all(isinstance(value, int | float) and abs(value) < 1e300 for value in coefficients):
        raise StudyError(
            "model: a coefficient is not a finite number.", "Give numbers.", code="MODEL_INVALID", subject="model"
        )
    return Model(design, tuple(float(value) for value in coefficients), str(document.get("link", "logit")))


def _levels(name: str, facts: Facts, columns: Dictionary) -> tuple[str, ...]:
    return columns[name].levels or facts.levels[name]


def _view(
    formula: Formula | None, design: Design | None, options: Mapping[str, Any], levels: Mapping[str, tuple[str, ...]]
) -> View:
    """Columns by their role, as the options are called that point at them."""
    given = {name: role for name, role in ROLES.items() if name in options}
    roles = {role.fills: options[name] for name, role in given.items() if role.fills and options[name] is not None}
    if formula:
        roles["outcome"] = formula.response
    return View(design=design, levels=levels, complete=not any(role.gaps for role in given.values()), **roles)


def _document(algorithm: str, result: Any, sites: tuple[str, ...]) -> dict[str, Any]:
    """The result as plain types and arrays, headed by the algorithm's name."""
    fields = asdict(result) if is_dataclass(result) and not isinstance(result, type) else dict(result)
    return {"algorithm": algorithm, "sites": list(sites), **fields}


def _coded(view: View, columns: Dictionary) -> dict[str, Any]:
    """Of an outcome or event that is a category of two levels: which counts as 0 and which as 1, under `coded`."""
    found = {}
    for name in filter(None, (view.outcome, view.event)):
        levels = view.levels.get(name) or columns[name].levels
        if columns[name].type == "category" and len(levels) == 2:
            found[name] = {level: number for number, level in enumerate(levels)}
    return {"coded": found} if found else {}
