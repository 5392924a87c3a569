"""From a formula to a design: which facts it needs, how its categories are coded, what its terms are called.

A category is coded with its reference level left out, except where that would lose something that no
other term says (`a:b` without `a`, or no intercept). The rule is the usual one: every term spans a set of
sub-terms, one for each choice of its categories; those that earlier terms span already are left out, and
the rest is written with as few pieces as possible, a full coding being a reduced one plus its absence.

Wilkinson & Rogers (1973); names as formulaic gives them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations, product

from atoll.errors import StudyError
from atoll.study.design import Design, Factor, Facts, Level, Number, Spline
from atoll.study.dictionary import Column, Dictionary
from atoll.study.formula import Call, Formula, Term, factor

Piece = frozenset[tuple[str, bool]]  # categories of a term, each with whether it is coded in full
_BRACKET = re.compile(r"(?P<base>.*)\[(?P<reduced>T\.)?(?P<level>[^\[\]]*)\]")


@dataclass(frozen=True)
class Needs:
    """Facts that neither formula nor dictionary gives.

    levels     columns whose levels are wanted
    quantiles  probabilities wanted by column; an empty tuple asks for the range alone
    moments    columns whose mean and SD are wanted
    """

    levels: tuple[str, ...]
    quantiles: Mapping[str, tuple[float, ...]]
    moments: tuple[str, ...]


def needs(formula: Formula, columns: Dictionary) -> Needs:
    """What must be found over all sites before the design can be made."""
    levels: dict[str, None] = {}
    quantiles: dict[str, tuple[float, ...]] = {}
    moments: dict[str, None] = {}
    for call in formula.calls.values():
        if call.kind in ("center", "scale"):
            moments[call.column] = None
        elif call.kind == "spline" and not {"knots", "lower_bound", "upper_bound"} <= set(call.options):
            quantiles[call.column] = tuple(sorted({*quantiles.get(call.column, ()), *_probabilities(call)}))
        elif _is_category(call, columns) and call.column != "site" and not columns[call.column].levels:
            levels[call.column] = None
    return Needs(tuple(levels), quantiles, tuple(moments))


def _probabilities(call: Call) -> tuple[float, ...]:
    """Where the knots of a spline lie: equally spaced quantiles."""
    if "knots" in call.options:
        return ()
    inner = call.options["df"] - call.options["degree"]
    return tuple(j / (inner + 1) for j in range(1, inner + 1))


def _is_category(call: Call, columns: Dictionary) -> bool:
    if call.kind == "category" or call.column == "site":
        return True
    plain = call.kind == "number" and call.column != ""
    return plain and call.column in columns and columns[call.column].type == "category"


def resolve(
    formula: Formula, facts: Facts, columns: Dictionary, sites: tuple[str, ...], intercept: bool = True
) -> Design:
    """The design of a formula. Without `intercept`, categories are coded as if there were one (Cox regression).

    Raises
    ------
    StudyError
        When a column is missing, is no number, or a category has fewer than two levels.
    """
    check_columns(formula, columns)
    words = {name: _levels(name, facts, columns, sites) for name in _categories(formula, columns)}
    named: list[tuple[str, tuple[Factor, ...]]] = []
    spanned: set[tuple[frozenset[str], frozenset[str]]] = set()
    with_intercept = formula.intercept or not intercept
    if with_intercept:
        spanned.add((frozenset(), frozenset()))
        if intercept:
            named.append(("Intercept", ()))
    for term in formula.terms:
        for full in _codings(term, formula, columns, spanned):
            named += _columns_of(term, full, formula, facts, columns, words)
    used = {name: levels for name, levels in words.items() if name != "site"}
    return Design(tuple(name for name, _ in named), tuple(factors for _, factors in named), used)


def check_columns(formula: Formula, columns: Dictionary) -> None:
    """Every column of the formula is in the dictionary and can stand where it stands."""
    for name in formula.columns:
        if name not in columns:
            near = get_close_matches(name, columns, 1)
            raise StudyError(
                f"formula: there is no column {name!r} in the dataset.",
                f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(columns)}.",
                code="MISSING_COLUMN",
                subject=name,
            )
        if columns[name].type in ("person", "date"):
            raise StudyError(
                f"formula: {name!r} is a {columns[name].type} and cannot stand in a formula.",
                "Leave it out.",
                subject=name,
            )
    for text, call in formula.calls.items():
        computed = text if call.kind not in ("category",) and text != call.column else ""
        for name in formula.columns if computed else ():
            if columns[name].type == "category" and re.search(rf"\b{re.escape(name)}\b", text):
                raise StudyError(
                    f"formula: {name!r} is a category; {text} needs a number.",
                    f"Write C({name}).",
                    code="WRONG_TYPE",
                    subject=name,
                )


def _categories(formula: Formula, columns: Dictionary) -> list[str]:
    return list(dict.fromkeys(call.column for call in formula.calls.values() if _is_category(call, columns)))


def _levels(name: str, facts: Facts, columns: Dictionary, sites: tuple[str, ...]) -> tuple[str, ...]:
    levels = sites if name == "site" else columns[name].levels or facts.levels.get(name, ())
    if len(levels) < 2 and name != "site":
        raise StudyError(
            f"formula: {name!r} has the one level {levels[0]!r}." if levels else f"formula: {name!r} has no levels.",
            "A category needs two; leave it out.",
            subject=name,
        )
    return levels


def _codings(
    term: Term, formula: Formula, columns: Dictionary, spanned: set[tuple[frozenset[str], frozenset[str]]]
) -> list[dict[str, bool]]:
    """The codings (category → in full?) that this term adds to what earlier terms span, in order."""
    categories = [text for text in term if _is_category(formula.calls[text], columns)]
    numbers = frozenset(term) - frozenset(categories)
    pieces: list[Piece] = []
    for size in range(len(categories) + 1):
        for chosen in combinations(categories, size):
            if (numbers, frozenset(chosen)) not in spanned:
                spanned.add((numbers, frozenset(chosen)))
                pieces.append(frozenset((text, False) for text in chosen))
    while _absorb(pieces):
        pass
    return [dict(piece) for piece in pieces]


def _absorb(pieces: list[Piece]) -> bool:
    """Merge one piece into another that has one reduced category more: together they are that category in full."""
    for i, short in enumerate(pieces):
        for j in range(i + 1, len(pieces)):
            more = pieces[j] - short
            if short < pieces[j] and len(more) == 1 and not next(iter(more))[1]:
                text = next(iter(more))[0]
                pieces[j] = (pieces[j] - more) | {(text, True)}
                del pieces[i]
                return True
    return False


def _columns_of(
    term: Term,
    full: dict[str, bool],
    formula: Formula,
    facts: Facts,
    columns: Dictionary,
    words: Mapping[str, tuple[str, ...]],
) -> list[tuple[str, tuple[Factor, ...]]]:
    """Names and factors of one term under one coding; the first factor varies fastest."""
    parts: list[list[tuple[str, Factor]]] = []
    for text in term:
        call = formula.calls[text]
        if not _is_category(call, columns):
            parts.append(_numbers(text, call, facts, columns))
        elif text in full:
            parts.append(_indicators(text, call, words[call.column], full[text]))
    turned = product(*reversed(parts))
    return [
        (":".join(name for name, _ in reversed(choice)), tuple(made for _, made in reversed(choice)))
        for choice in turned
    ]


def _indicators(text: str, call: Call, levels: tuple[str, ...], full: bool) -> list[tuple[str, Factor]]:
    if full:
        return [(f"{text}[{level}]", Level(call.column, level)) for level in levels]
    reference = call.options.get("reference", levels[0] if levels else "")
    if levels and reference not in levels:
        raise StudyError(
            f"formula: {text} names the level {reference!r}, which {call.column!r} does not have.",
            f"It has {', '.join(levels)}.",
            subject=call.column,
        )
    return [(f"{text}[T.{level}]", Level(call.column, level)) for level in levels if level != reference]


def _numbers(text: str, call: Call, facts: Facts, columns: Dictionary) -> list[tuple[str, Factor]]:
    if call.kind == "number":
        return [(text, Number(call.expression))]
    if call.kind in ("center", "scale"):
        mean, sd = facts.moments[call.column]
        centred = ("-", ("column", call.column), mean)
        return [(text, Number(centred if call.kind == "center" else ("/", centred, sd)))]
    low, high, knots = _knots(call, facts, columns)
    degree = call.options["degree"]
    return [
        (f"{text}[{index}]", Spline(call.column, degree, knots, low, high, index))
        for index in range(1, len(knots) + degree + 1)
    ]


def _knots(call: Call, facts: Facts, columns: Dictionary) -> tuple[float, float, tuple[float, ...]]:
    column = columns.get(call.column, Column("number"))
    found = facts.ranges.get(call.column, (column.low, column.high))
    low, high = call.options.get("lower_bound", found[0]), call.options.get("upper_bound", found[1])
    if low is None or high is None:
        raise StudyError(
            f"The ends of the spline over {call.column!r} are not known.",
            "Give lower_bound and upper_bound.",
            subject="formula",
        )
    knots = call.options.get("knots")
    if knots is None:
        knots = [facts.quantiles[call.column][p] for p in _probabilities(call)]
    if not all(low < knot < high for knot in knots) or sorted(set(knots)) != list(knots):
        raise StudyError(
            f"The knots of the spline over {call.column!r} must rise between its ends {low:g} and {high:g}.",
            "Give `knots` that do, or a smaller df.",
            subject="formula",
        )
    return float(low), float(high), tuple(map(float, knots))


def design_of_terms(terms: tuple[str, ...], facts: Facts, columns: Dictionary) -> Design:
    """The design of a model that is given by the names of its terms, as formulaic writes them.

    Raises
    ------
    StudyError
        When a name cannot be read, or a spline's knots and ends are not in its name.
    """
    made = tuple(tuple(_named_factor(part, facts, columns) for part in _parts(term)) for term in terms)
    read = {made_.column for factors in made for made_ in factors if isinstance(made_, Level)}
    return Design(
        terms, made, {name: columns[name].levels for name in read if name in columns and columns[name].levels}
    )


def _parts(term: str) -> list[str]:
    """The factors of a term's name; a colon inside brackets belongs to a level."""
    return [] if term == "Intercept" else re.findall(r"(?:[^:\[\]]|\[[^\]]*\])+", term)


def _named_factor(text: str, facts: Facts, columns: Dictionary) -> Factor:
    match = _BRACKET.fullmatch(text)
    if text in columns:  # a name that a formula writes in backticks
        return Number(("column", text))
    if match and match["base"] in columns:
        return Level(match["base"], match["level"])
    call = factor(match["base"] if match else text)
    try:
        if match and call.kind == "spline":
            return dict(_numbers(match["base"], call, facts, columns))[text]
        if match:
            return Level(call.column, match["level"])
        return _numbers(text, call, facts, columns)[0][1]
    except KeyError as error:
        raise StudyError(
            f"The term {text!r} does not say its knots, its mean or its place.",
            "Give the `model` of a fitted result as it is, or a name with all of them.",
            subject="model",
        ) from error
