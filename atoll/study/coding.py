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
from atoll.study.calls import Call, plain
from atoll.study.design import Design, Factor, Facts, Level, Number, Spline
from atoll.study.dictionary import Column, Dictionary
from atoll.study.formula import Formula, Term, factor

Piece = frozenset[tuple[str, bool]]  # categories of a term, each with whether it is coded in full


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
        elif call.kind == "spline" and (
            _probabilities(call) or not {"lower_bound", "upper_bound"} <= set(call.options)
        ):
            quantiles[call.column] = tuple(sorted({*quantiles.get(call.column, ()), *_probabilities(call)}))
        elif _is_category(call, columns) and call.column != "site" and not _given_levels(call, columns):
            levels[call.column] = None
    return Needs(tuple(levels), quantiles, tuple(moments))


def _given_levels(call: Call, columns: Dictionary) -> tuple[str, ...]:
    """Levels as the formula or the dictionary gives them; a flag has 0 and 1."""
    column = columns[call.column]
    given: tuple[str, ...] = tuple(call.options.get("levels", ()))
    return given or column.levels or (("0", "1") if column.type == "flag" else ())


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
    words = {
        text: _levels(call, facts, columns, sites)
        for text, call in formula.calls.items()
        if _is_category(call, columns)
    }
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
    used = {
        formula.calls[text].column: levels for text, levels in words.items() if formula.calls[text].column != "site"
    }
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
                code="COLUMN_UNFIT",
                subject=name,
            )
    for text, call in formula.calls.items():
        words = [name for name in call.columns if name in columns and columns[name].type == "category"]
        if words and not _is_category(call, columns):
            raise StudyError(
                f"formula: {words[0]!r} is a category; {text} needs a number.",
                f"Write C({words[0]}).",
                code="WRONG_TYPE",
                subject=words[0],
            )


def _levels(call: Call, facts: Facts, columns: Dictionary, sites: tuple[str, ...]) -> tuple[str, ...]:
    name = call.column
    if name == "site":
        return sites
    levels = _given_levels(call, columns) or facts.levels.get(name, ())
    if len(levels) < 2:
        raise StudyError(
            f"formula: {name!r} has the one level {levels[0]!r}." if levels else f"formula: {name!r} has no levels.",
            "A category needs two; leave it out.",
            code="LEVELS_TOO_FEW",
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
            parts.append(_indicators(text, call, words[text], full[text]))
    turned = product(*reversed(parts))
    return [
        (":".join(name for name, _ in reversed(choice)), tuple(made for _, made in reversed(choice)))
        for choice in turned
    ]


def _indicators(text: str, call: Call, levels: tuple[str, ...], full: bool) -> list[tuple[str, Factor]]:
    if full:
        return [(f"{text}[{level}]", Level(call.column, level)) for level in levels]
    reference = _same_level(call.options.get("reference", levels[0] if levels else ""), levels)
    if levels and reference not in levels:
        raise StudyError(
            f"formula: {text} names the level {reference!r}, which {call.column!r} does not have.",
            f"It has {', '.join(levels)}.",
            code="LEVEL_MISSING",
            subject=f"{call.column}: {reference}",
        )
    return [(f"{text}[T.{level}]", Level(call.column, level)) for level in levels if level != reference]


def _same_level(word: str, levels: tuple[str, ...]) -> str:
    """The level that a word means: 2 and 2.0 are the same code."""
    if word in levels:
        return word
    try:
        return next((level for level in levels if float(level) == float(word)), word)
    except ValueError:
        return word


def _numbers(text: str, call: Call, facts: Facts, columns: Dictionary) -> list[tuple[str, Factor]]:
    if call.kind == "number":
        return [(text, Number(call.expression))]
    if call.kind in ("center", "scale"):
        if call.column not in facts.moments:
            raise _unknown(text, f"the mean of {call.column!r}")
        mean, sd = facts.moments[call.column]
        if call.kind == "scale" and not sd > 0:
            what = f"formula: {call.column!r} is constant; {text} is not defined."
            raise StudyError(what, "Leave it out.", code="TERM_CONSTANT", subject=text)
        centred = ("-", ("column", call.column), mean)
        return [(text, Number(centred if call.kind == "center" else ("/", centred, sd)))]
    low, high, knots = _knots(call, facts, columns)
    degree, clipped = call.options["degree"], call.options["extrapolation"] == "clip"
    return [
        (f"{text}[{index}]", Spline(call.column, degree, knots, low, high, index, clipped))
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
            code="SPLINE_UNFIT",
            subject=call.column,
        )
    knots = call.options.get("knots")
    if knots is None:
        found_at = facts.quantiles.get(call.column, {})
        if not set(_probabilities(call)) <= set(found_at):
            raise _unknown("bs", f"the knots over {call.column!r}", call.column)
        knots = [found_at[p] for p in _probabilities(call)]
    if not all(low < knot < high for knot in knots) or sorted(set(knots)) != list(knots):
        raise StudyError(
            f"The knots of the spline over {call.column!r} must rise between its ends {low:g} and {high:g}.",
            "Give `knots` that do, or a smaller df.",
            code="SPLINE_UNFIT",
            subject=call.column,
        )
    return float(low), float(high), tuple(map(float, knots))


def _unknown(text: str, what: str, subject: str = "") -> StudyError:
    return StudyError(
        f"formula: {text} needs {what}, which is not known here.",
        "Give knots=, lower_bound= and upper_bound= in the term, or the whole design of the model.",
        code="MODEL_INVALID",
        subject=subject or text,
    )


def design_of_terms(terms: tuple[str, ...], facts: Facts, columns: Dictionary) -> Design:
    """The design of a model that is given by the names of its terms, as formulaic writes them.

    Raises
    ------
    StudyError
        When a name cannot be read, names an unknown column or level, or does not say all of a spline.
    """
    made = tuple(_named_factors(term, facts, columns) for term in terms)
    twice = [term for i, term in enumerate(terms) if term in terms[:i]]
    if twice:
        what = f"model: the term {twice[0]!r} is given twice."
        raise StudyError(what, "Give each term once.", code="MODEL_INVALID", subject=twice[0])
    read = {one.column for factors in made for one in factors if isinstance(one, Level) and one.column != "site"}
    levels = {name: columns[name].levels or facts.levels.get(name, ()) for name in read if name in columns}
    return Design(terms, made, {name: words for name, words in levels.items() if words})


def _named_factors(term: str, facts: Facts, columns: Dictionary) -> tuple[Factor, ...]:
    found = () if term == "Intercept" else _split(term, columns)
    if found is None:
        near = get_close_matches(re.split(r"[\[:]", term)[0], columns, 1)
        raise StudyError(
            f"model: the term {term!r} cannot be read over the columns of the dataset.",
            f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(columns)}.",
            code="MODEL_INVALID",
            subject=term,
        )
    return tuple(_named_factor(base, inside, facts, columns) for base, inside in found)


def _split(term: str, columns: Dictionary) -> list[tuple[str, str | None]] | None:
    """The factors of a term's name, each with what stands in its brackets; levels may hold colons and brackets."""
    for end in [i for i, letter in enumerate(term) if letter == ":"] + [len(term)]:
        first = _factor_of(term[:end], columns)
        rest = [] if end == len(term) else _split(term[end + 1 :], columns)
        if first is not None and rest is not None:
            return [first, *rest]
    return None


def _factor_of(text: str, columns: Dictionary) -> tuple[str, str | None] | None:
    """(factor, text in its brackets) when the whole text is one factor."""
    if _call_of(text, columns):
        return text, None
    for at in (i for i, letter in enumerate(text) if letter == "[" and text.endswith("]")):
        call = _call_of(text[:at], columns)
        if call and call.kind in ("number", "category", "spline"):
            return text[:at], text[at + 1 : -1]
    return None


def _call_of(text: str, columns: Dictionary) -> Call | None:
    """A column of the dictionary, `site`, or a call over its columns."""
    if text in columns or text == "site":
        return plain(text)
    try:
        call = factor(text)
    except StudyError:
        return None
    return call if all(name in columns or name == "site" for name in call.columns) else None


def _named_factor(base: str, inside: str | None, facts: Facts, columns: Dictionary) -> Factor:
    call = _call_of(base, columns)
    assert call is not None
    category = _is_category(call, columns)
    if inside is None and not category and call.kind != "spline":
        return _numbers(base, call, facts, columns)[0][1]
    if inside is not None and call.kind == "spline":
        named = dict(_numbers(base, call, facts, columns))
        if f"{base}[{inside}]" in named:
            return named[f"{base}[{inside}]"]
    elif inside is not None and (category or call.kind == "category"):
        known = () if call.column == "site" else _given_levels(call, columns) or facts.levels.get(call.column, ())
        level = _same_level(inside.removeprefix("T.") if inside not in known else inside, known)
        if not known or level in known:
            return Level(call.column, level)
    raise StudyError(
        f"model: the term {base + (f'[{inside}]' if inside is not None else '')!r} is not one that {base} has.",
        "A category is written sex[T.male], a spline bs(…)[1], a number by its name.",
        code="MODEL_INVALID",
        subject=base,
    )
