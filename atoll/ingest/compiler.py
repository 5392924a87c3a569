"""From the tree of an expression to its type and its Ibis expression."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from atoll.ingest.expressions import Call, Case, Constant, Expression, ExpressionError, Name
from atoll.ingest.functions import FUNCTIONS
from atoll.ingest.kinds import DTYPES, Function, Kind, Making, Scope, Value, as_kind, called, common, ibis

_CONSTANTS: tuple[tuple[type, Kind], ...] = ((bool, "truth"), (int, "integer"), (float, "number"), (str, "text"))


def compiled(tree: Expression, scope: Scope) -> Value:
    """The Ibis expression and the type of an expression.

    Raises
    ------
    ExpressionError
        When a column or function does not exist, or a type does not fit; with the place.
    """
    if isinstance(tree, Constant):
        return _constant(tree.value)
    if isinstance(tree, Name):
        return scope.column(tree)
    if isinstance(tree, Case):
        return _case(tree, scope)
    function = FUNCTIONS.get(tree.function)
    if function is None:
        raise _unknown(tree)
    _count(tree, function)
    arguments = [compiled(argument, scope) for argument in tree.arguments]
    _kinds(tree, function, arguments)
    made = function.make(Making(scope, tree), *arguments)
    inherited = () if function.forgives else tuple(bad for argument in arguments for bad in argument.bad)
    return replace(
        made,
        bad=inherited + made.bad,
        bare=made.bare + tuple(one for argument in arguments for one in argument.bare),
        graded=made.graded + tuple(one for argument in arguments for one in argument.graded),
        kept=next((one.kept for one in (made, *arguments) if one.kept is not None), None),
        converted=next((one.converted for one in (made, *arguments) if one.converted is not None), None),
        into=next((one.into for one in (made, *arguments) if one.into is not None), None),
    )


def faulty(tree: Expression, scope: Scope) -> list[ExpressionError]:
    """All that does not fit in an expression: of its parts, and of itself where its parts are whole."""
    parts: list[Expression] = []
    if isinstance(tree, Call):
        parts = list(tree.arguments)
    elif isinstance(tree, Case):
        parts = [*(part for branch in tree.branches for part in branch), tree.otherwise]
    found = [fault for part in parts for fault in faulty(part, scope)]
    if isinstance(tree, Call) and tree.function not in FUNCTIONS:
        return [_unknown(tree), *found]
    if not found:
        try:
            compiled(tree, scope)
        except ExpressionError as error:
            return [error]
    return found


def _unknown(call: Call) -> ExpressionError:
    from difflib import get_close_matches

    known = [name for name in FUNCTIONS if name.isidentifier() and name not in ("and", "or", "not", "negative")]
    near = get_close_matches(call.function, known, 1)
    remedy = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known)}."
    if not call.function.isascii():
        remedy = "Is it part of a column's name? Put the whole name in `backquotes`."
    return ExpressionError(call.place, f"there is no function `{call.function}`.", remedy)


def fitted(value: Value, kind: str, place: tuple[int, int], column: str) -> Value:
    """A value as a column of the model takes it: a whole number may stand for a number, a date for a time.

    Raises
    ------
    ExpressionError
        When it does not fit; the remedy names the function that converts.
    """
    wanted: Kind = kind  # type: ignore[assignment]
    if value.kind == "missing":
        return replace(value, ibis=ibis().null(DTYPES[wanted]), kind=wanted)
    if value.kind == wanted:
        return value
    if (value.kind, wanted) in (("integer", "number"), ("date", "datetime"), ("integer", "text"), ("datetime", "date")):
        return replace(value, ibis=value.ibis.cast(DTYPES[wanted]), kind=wanted)
    raise ExpressionError(
        place, f"{column} takes a {called(wanted)}, and this is a {called(value.kind)}.", _conversion(wanted)
    )


def _conversion(wanted: Kind) -> str:
    if wanted in ("date", "datetime"):
        return f'Write {wanted}(…, "yyyy-MM-dd") round it, with the pattern in which the source writes it.'
    return f"Write {wanted}(…) round it." if wanted != "truth" else "Compare it: … = 1."


def _constant(value: Any) -> Value:
    if value is None:
        return Value(ibis().null(), "missing")
    kind: Kind = next(name for of, name in _CONSTANTS if isinstance(value, of))
    return Value(ibis().literal(value, type=DTYPES[kind]), kind)


def _count(call: Call, function: Function) -> None:
    least = sum(1 for kind in function.takes if kind[-1] not in "?*")
    most = 10_000 if function.takes and function.takes[-1].endswith("*") else len(function.takes)
    given = len(call.arguments)
    if not least <= given <= most:
        wanted = f"{least}" if least == most else f"at least {least}" if most > 100 else f"{least} to {most}"
        raise ExpressionError(
            call.place, f"`{call.function}` has {given} values in its parentheses, and takes {wanted}.", function.says
        )


def _kinds(call: Call, function: Function, arguments: list[Value]) -> None:
    for position, (argument, value) in enumerate(zip(call.arguments, arguments, strict=True)):
        wanted = function.takes[min(position, len(function.takes) - 1)].rstrip("?*")
        if wanted == "any" or value.kind in ("missing", *wanted.split("/")):
            continue
        if "number" in wanted.split("/") and value.kind == "integer":
            continue
        kinds = " or ".join(called(kind) for kind in wanted.split("/"))
        first = wanted.split("/")[0]
        remedy = "" if first == "truth" else f"Write {first}(…) round it." if first in FUNCTIONS else ""
        raise ExpressionError(
            argument.place, f"`{call.function}` takes a {kinds} here, and this is a {called(value.kind)}.", remedy
        )


def _case(tree: Case, scope: Scope) -> Value:
    conditions = [(condition, compiled(condition, scope)) for condition, _ in tree.branches]
    for part, value in conditions:
        if value.kind not in ("truth", "missing"):
            raise ExpressionError(part.place, f"`when` takes a condition, and this is a {called(value.kind)}.", "")
    parts = [value for _, value in tree.branches] + [tree.otherwise]
    values = [compiled(part, scope) for part in parts]
    kind = common(values, [part.place for part in parts])
    results = [as_kind(value, kind) for value in values]
    # a text that only an untaken branch could not read is no fault: each branch's faults count where it is taken
    taken, before = [], ibis().literal(False)
    for _, condition in conditions:
        taken.append(~before & condition.ibis.fill_null(False))
        before = before | condition.ibis.fill_null(False)
    taken.append(~before)

    def said(part: str) -> tuple[Any, ...]:
        """Conditions of the branches, each where its branch is taken."""
        return tuple(here & each for here, value in zip(taken, values, strict=True) for each in getattr(value, part))

    bad = (*(each for _, condition in conditions for each in condition.bad), *said("bad"))
    made = ibis().cases(
        *((condition.ibis, result) for (_, condition), result in zip(conditions, results, strict=False)),
        else_=results[-1],
    )
    branches = [condition.ibis for _, condition in conditions]

    def told(part: str) -> Any:
        """What a look-up in the branch that is taken read, or found."""
        each = [getattr(value, part) for value in values]
        if all(one is None for one in each):
            return None
        dtype = "int32" if part in ("concept", "kept", "into") else "string"
        filled = [ibis().null(dtype) if one is None else one.cast(dtype) for one in each]
        return ibis().cases(*zip(branches, filled, strict=False), else_=filled[-1])

    return Value(made, kind, bad, told("source"), told("concept"), said("bare"), said("graded"), told("kept"),
                 told("converted"), told("into"), told("looked"))  # fmt: skip
