"""What an expression of a mapping means: its type, and its Ibis expression. One row of `FUNCTIONS` is one function.

A function that reads a text (a date, a number) gives nothing where the text is not what it should be, and says so
in `Value.bad`: the loader keeps such rows aside with the reason instead of losing them. Look-ups are joins, which
`Scope.joined` stands for: first to collect them, later to give their columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from atoll.ingest.expressions import Call, Case, Constant, Expression, ExpressionError, Name

Kind = Literal["text", "integer", "number", "date", "datetime", "truth", "missing"]
_DTYPES = {"text": "string", "integer": "int64", "number": "float64", "date": "date", "datetime": "timestamp",
           "truth": "boolean"}  # fmt: skip
_CONSTANTS: tuple[tuple[type, Kind], ...] = ((bool, "truth"), (int, "integer"), (float, "number"), (str, "text"))
_PATTERN = (("yyyy", "%Y"), ("yy", "%y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"),
            ("M", "%-m"), ("d", "%-d"), ("H", "%-H"))  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A compiled expression.

    ibis     the Ibis expression
    kind     its type
    bad      Ibis conditions: a text was there and could not be read
    source   the Ibis expression of the text that a look-up read, or None
    concept  the Ibis expression of the concept of that text itself, or None
    """

    ibis: Any
    kind: Kind
    bad: tuple[Any, ...] = ()
    source: Any = None
    concept: Any = None


class Scope(Protocol):
    """Where an expression stands: the source table's columns, and what can be looked up."""

    def column(self, name: Name) -> Value:
        """A column; raises ExpressionError when there is none."""

    def joined(self, kind: str, parameter: str, keys: tuple[Value, ...], call: Call) -> Mapping[str, Any]:
        """Columns of a joined table, by name."""


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
        from difflib import get_close_matches

        known = [name for name in FUNCTIONS if name.isidentifier() and name not in ("and", "or", "not", "negative")]
        near = get_close_matches(tree.function, known, 1)
        remedy = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known)}."
        raise ExpressionError(tree.place, f"there is no function `{tree.function}`.", remedy)
    _count(tree, function)
    arguments = [compiled(argument, scope) for argument in tree.arguments]
    _kinds(tree, function, arguments)
    made = function.make(_Making(scope, tree), *arguments)
    inherited = () if function.forgives else tuple(bad for argument in arguments for bad in argument.bad)
    return replace(made, bad=inherited + made.bad)


def fitted(value: Value, kind: str, place: tuple[int, int], column: str) -> Value:
    """A value as a column of the model takes it: a whole number may stand for a number, a date for a time.

    Raises
    ------
    ExpressionError
        When it does not fit; the remedy names the function that converts.
    """
    wanted: Kind = kind  # type: ignore[assignment]
    if value.kind == "missing":
        return replace(value, ibis=_ibis().null(_DTYPES[wanted]), kind=wanted)
    if value.kind == wanted:
        return value
    if (value.kind, wanted) in (("integer", "number"), ("date", "datetime"), ("integer", "text"), ("datetime", "date")):
        return replace(value, ibis=value.ibis.cast(_DTYPES[wanted]), kind=wanted)
    raise ExpressionError(
        place, f"{column} takes a {_called(wanted)}, and this is a {_called(value.kind)}.", _conversion(wanted)
    )


def _conversion(wanted: Kind) -> str:
    if wanted in ("date", "datetime"):
        return f'Write {wanted}(…, "yyyy-MM-dd") round it, with the pattern in which the source writes it.'
    return f"Write {wanted}(…) round it." if wanted != "truth" else "Compare it: … = 1."


def _called(kind: str) -> str:
    return {"integer": "whole number", "truth": "condition"}.get(kind, kind)


@dataclass(frozen=True)
class _Making:
    """What a function sees beside its arguments."""

    scope: Scope
    call: Call

    def constant(self, position: int, what: str) -> Any:
        """The argument at a position when it is written out, which some arguments must be."""
        argument = self.call.arguments[position]
        if not isinstance(argument, Constant):
            raise ExpressionError(argument.place, f"{what} must be written out here.", "Write it as text in quotes.")
        return argument.value

    def refuse(self, what: str, remedy: str) -> ExpressionError:
        return ExpressionError(self.call.place, what, remedy)


@dataclass(frozen=True)
class Function:
    """One function.

    takes     a type for each argument ("?" optional, "*" any number)
    gives     the type of its value
    says      how it is written, for people
    make      from a `_Making` and the arguments to the value
    forgives  it judges by itself which unreadable texts of its arguments matter
    """

    takes: tuple[str, ...]
    gives: str
    says: str
    make: Callable[..., Value] = field(compare=False)
    forgives: bool = False


def _ibis() -> Any:
    import ibis

    return ibis


def _constant(value: Any) -> Value:
    ibis = _ibis()
    if value is None:
        return Value(ibis.null(), "missing")
    kind: Kind = next(name for of, name in _CONSTANTS if isinstance(value, of))
    return Value(ibis.literal(value, type=_DTYPES[kind]), kind)


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
        kinds = " or ".join(_called(kind) for kind in wanted.split("/"))
        first = wanted.split("/")[0]
        remedy = "" if first == "truth" else f"Write {first}(…) round it." if first in FUNCTIONS else ""
        raise ExpressionError(
            argument.place, f"`{call.function}` takes a {kinds} here, and this is a {_called(value.kind)}.", remedy
        )


def _case(tree: Case, scope: Scope) -> Value:
    conditions = [(condition, compiled(condition, scope)) for condition, _ in tree.branches]
    for part, value in conditions:
        if value.kind not in ("truth", "missing"):
            raise ExpressionError(part.place, f"`when` takes a condition, and this is a {_called(value.kind)}.", "")
    parts = [value for _, value in tree.branches] + [tree.otherwise]
    values = [compiled(part, scope) for part in parts]
    kind = _common(values, [part.place for part in parts])
    results = [_as(value, kind) for value in values]
    # a text that only an untaken branch could not read is no fault: each branch's faults count where it is taken
    bad, before = [], _ibis().literal(False)
    for (_, condition), value in zip(conditions, values, strict=False):
        taken = ~before & condition.ibis.fill_null(False)
        bad += [*condition.bad, *(taken & each for each in value.bad)]
        before = before | condition.ibis.fill_null(False)
    bad += [~before & each for each in values[-1].bad]
    made = _ibis().cases(
        *((condition.ibis, result) for (_, condition), result in zip(conditions, results, strict=False)),
        else_=results[-1],
    )
    branches = [condition.ibis for _, condition in conditions]

    def told(part: str) -> Any:
        """What a look-up in the branch that is taken read, or found."""
        each = [getattr(value, part) for value in values]
        if all(one is None for one in each):
            return None
        dtype = "string" if part == "source" else "int32"
        filled = [_ibis().null(dtype) if one is None else one.cast(dtype) for one in each]
        return _ibis().cases(*zip(branches, filled, strict=False), else_=filled[-1])

    return Value(made, kind, tuple(bad), told("source"), told("concept"))


def _common(values: Sequence[Value], places: Sequence[tuple[int, int]]) -> Kind:
    """The type that values have together; whole numbers join numbers, dates join times."""
    kind: Kind = "missing"
    for value, place in zip(values, places, strict=True):
        if value.kind in ("missing", kind):
            continue
        pair = {kind, value.kind}
        if kind == "missing":
            kind = value.kind
        elif pair == {"integer", "number"}:
            kind = "number"
        elif pair == {"date", "datetime"}:
            kind = "datetime"
        else:
            raise ExpressionError(
                place, f"this is a {_called(value.kind)}, the value before it a {_called(kind)}.", "Make them alike."
            )
    return kind


def _as(value: Value, kind: Kind) -> Any:
    if kind == "missing":
        return value.ibis
    if value.kind == "missing":
        return _ibis().null(_DTYPES[kind])
    return value.ibis if value.kind == kind else value.ibis.cast(_DTYPES[kind])


# ---- what the functions do -------------------------------------------------------------------------------------------


def _number(making: _Making, x: Value, decimal: Value | None = None) -> Value:
    if x.kind != "text":
        return Value(_as(x, "number"), "number")
    text = x.ibis
    if decimal is not None and making.constant(1, "The decimal sign") == ",":
        text = text.replace(".", "").replace(",", ".")
    else:
        text = text.replace(",", "") if decimal is not None else text
    read = text.try_cast("float64")
    return Value(read, "number", (x.ibis.notnull() & read.isnull(),))


def _integer(making: _Making, x: Value) -> Value:
    if x.kind in ("integer", "truth", "missing"):
        return Value(_as(x, "integer"), "integer")
    value = x.ibis if x.kind == "number" else x.ibis.try_cast("float64")
    whole = (value == value.floor()) & (value.abs() < 9e15)
    read = _ibis().ifelse(whole, value, None).cast("int64")
    return Value(read, "integer", (x.ibis.notnull() & read.isnull(),))


def _text(making: _Making, x: Value) -> Value:
    return Value(_as(x, "text"), "text")


def pattern(text: str) -> str:
    """A date's pattern as people write it (`yyyy-MM-dd HH:mm`) in the engine's own signs."""
    made, position = "", 0
    while position < len(text):
        for sign, code in _PATTERN:
            if text.startswith(sign, position):
                made, position = made + code, position + len(sign)
                break
        else:
            letter = text[position]
            if letter.isascii() and letter.isalpha() and letter != "T":
                raise ValueError(letter)
            made, position = made + ("%%" if letter == "%" else letter), position + 1
    return made


def _moment(making: _Making, x: Value, form: Value | None, kind: Kind) -> Value:
    """A date or time from a text; without a pattern as ISO writes it."""
    if x.kind in ("date", "datetime", "missing"):
        return Value(x.ibis.cast(_DTYPES[kind]), kind)
    if form is None:
        read = x.ibis.try_cast("timestamp" if kind == "datetime" else "date")
        return Value(read, kind, (x.ibis.notnull() & read.isnull(),))
    word = str(making.constant(1, "The pattern of a date"))
    if word == "excel":  # days since 1899-12-30, as a spreadsheet counts
        days = x.ibis.try_cast("float64")
        days = _ibis().ifelse((days >= 1) & (days < 2958466), days, None)
        read = _epoch_days(days)
    else:
        try:
            signs = pattern(word)
        except ValueError as error:
            raise ExpressionError(
                making.call.arguments[1].place,
                f"the pattern {word!r} holds the letter {error}.",
                "Patterns are made of yyyy MM dd HH mm ss and the signs between them.",
            ) from None
        read = strptime(x.ibis, signs)
    return Value(read.cast(_DTYPES[kind]), kind, (x.ibis.notnull() & read.isnull(),))


def strptime(text: Any, signs: str) -> Any:
    """A text read as a time by the engine; nothing where it does not fit."""
    return _builtin("try_strptime", "timestamp", "string", "string")(text, signs)


def _epoch_days(days: Any) -> Any:
    return _builtin("excel_day", "timestamp", "float64")(days)


def later(day: Any, days: Any) -> Any:
    """A day so many days later, as a date on every engine (Ibis and DuckDB disagree on what date + interval is)."""
    return _builtin("days_later", "date", "date", "int64")(day, days)


def stable_id(text: Any) -> Any:
    """63 bits that depend on the text alone, on every machine and in every release."""
    return _builtin("stable_id", "int64", "string")(text)


_MADE: dict[tuple[str, ...], Any] = {}


def _builtin(name: str, gives: str, *takes: str) -> Any:
    """A function that the engine of the loader has (see `cdm.workbench`), for Ibis."""
    key = (name, gives, *takes)
    if key not in _MADE:
        ibis = _ibis()
        made = lambda *_: None  # noqa: E731 - Ibis wants a function for its name
        made.__name__ = name
        parameters = [f"x{position}" for position in range(len(takes))]
        made.__signature__ = _signature(parameters)  # type: ignore[attr-defined]
        _MADE[key] = ibis.udf.scalar.builtin(made, name=name, signature=(tuple(takes), gives))
    return _MADE[key]


def _signature(parameters: Sequence[str]) -> Any:
    import inspect

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind) for name in parameters])


def _arithmetic(sign: str) -> Callable[..., Value]:
    def make(making: _Making, a: Value, b: Value) -> Value:
        x, y = (_as(value, "number") if value.kind == "missing" else value.ibis for value in (a, b))
        if sign == "/":
            return Value(x.cast("float64") / y.cast("float64").nullif(0), "number")
        made = {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y}[sign]()
        return Value(made, "integer" if (a.kind, b.kind) == ("integer", "integer") else "number")

    return make


def _comparison(sign: str) -> Callable[..., Value]:
    def make(making: _Making, a: Value, b: Value) -> Value:
        kind = _common([a, b], [argument.place for argument in making.call.arguments])
        x, y = _as(a, kind), _as(b, kind)
        operators = {"=": lambda: x == y, "!=": lambda: x != y, "<": lambda: x < y, "<=": lambda: x <= y,
                     ">": lambda: x > y, ">=": lambda: x >= y}  # fmt: skip
        return Value(operators[sign](), "truth")

    return make


def _in(making: _Making, x: Value, *among: Value) -> Value:
    kind = _common([x, *among], [argument.place for argument in making.call.arguments])
    return Value(_as(x, kind).isin([_as(value, kind) for value in among]), "truth")


def _truth(make: Callable[..., Any]) -> Callable[..., Value]:
    return lambda making, *values: Value(make(*(_as(value, "truth") for value in values)), "truth")


def _texts(make: Callable[..., Any], gives: Kind = "text") -> Callable[..., Value]:
    return lambda making, *values: Value(make(*(_as(value, value.kind) for value in values)), gives)


def _concat(making: _Making, *values: Value) -> Value:
    parts = [_text(making, value).ibis for value in values]
    made = parts[0]
    for part in parts[1:]:
        made = made + part  # one missing part makes the whole missing, so no key is ever half a key
    return Value(made, "text")


def _split(making: _Making, x: Value, sign: Value, position: Value) -> Value:
    wanted = making.constant(2, "The number of the part")
    if not isinstance(wanted, int) or wanted == 0:
        raise making.refuse("`split` counts its parts from 1, or from -1 backwards.", 'Write split(x, "/", 1).')
    part = _builtin("split_part", "string", "string", "string", "int64")(x.ibis, sign.ibis, wanted)
    return Value(part.strip().nullif(""), "text")


def _slice(making: _Making, x: Value, first: Value, letters: Value | None = None) -> Value:
    given = (x.ibis, first.ibis) if letters is None else (x.ibis, first.ibis, letters.ibis)
    return Value(_builtin("substring", "string", "string", *("int64" for _ in given[1:]))(*given), "text")


def _coalesce(making: _Making, *values: Value) -> Value:
    kind = _common(values, [argument.place for argument in making.call.arguments])
    # the first that can be read wins: a later one mends an unreadable earlier one
    made = _ibis().coalesce(*(_as(value, kind) for value in values))
    bad = tuple(made.isnull() & each for value in values for each in value.bad)
    return Value(made, kind, bad)


def _lookup(making: _Making, listed: Value, x: Value, column: Value | None = None) -> Value:
    name = str(making.constant(0, "The list's name"))
    wanted = "concept_id" if column is None else str(making.constant(2, "The list's column"))
    key = _text(making, x)
    found = making.scope.joined("list", name, (key,), making.call)
    if wanted not in found:
        raise making.refuse(f"the list {name!r} has no column {wanted!r}.", f"It has: {', '.join(found)}.")
    if wanted != "concept_id":
        return Value(found[wanted], "text")
    return Value(found["concept_id"], "integer", source=key.ibis, concept=found.get("source_concept_id"))


def _code(making: _Making, vocabulary: Value, x: Value) -> Value:
    name = str(making.constant(0, "The vocabulary's name"))
    key = _text(making, x)
    found = making.scope.joined("code", name, (key,), making.call)
    return Value(found["concept_id"], "integer", source=key.ibis, concept=found["source_concept_id"])


def _unit(making: _Making, x: Value) -> Value:
    found = making.scope.joined("unit", "", (_text(making, x),), making.call)
    return Value(found["concept_id"], "integer", source=_text(making, x).ibis)


def _convert(making: _Making, value: Value, unit: Value, wanted: Value, analyte: Value | None = None) -> Value:
    found = making.scope.joined(
        "convert", "", tuple(_text(making, each) for each in (unit, wanted, analyte) if each), making.call
    )
    number = _as(value, "number")
    # without a unit there is nothing to convert: the value stays, and the loader names the row
    made = _ibis().ifelse(unit.ibis.isnull(), number, number * found["factor"] + found["offset"])
    return Value(made, "number", (number.notnull() & unit.ibis.notnull() & found["factor"].isnull(),))


def _result(field_name: str, kind: Kind) -> Callable[..., Value]:
    def make(making: _Making, x: Value) -> Value:
        key = _text(making, x)
        found = making.scope.joined("result", "", (key,), making.call)
        if field_name != "number":
            return Value(found[field_name], kind)
        plain = key.ibis.try_cast("float64")
        return Value(_ibis().coalesce(plain, found["number"]), kind)

    return make


_COMPARED = ("any", "any")
FUNCTIONS: dict[str, Function] = {
    "text": Function(("any",), "text", "text(x)", _text),
    "integer": Function(("any",), "integer", "integer(x)", _integer),
    "number": Function(("any", "text?"), "number", 'number(x), or number(x, ",") where the comma is the decimal sign', _number),
    "date": Function(("text/date/datetime", "text?"), "date", 'date(x), or date(x, "dd/MM/yyyy")', lambda m, x, f=None: _moment(m, x, f, "date")),
    "datetime": Function(("text/date/datetime", "text?"), "datetime", 'datetime(x), or datetime(x, "yyyy-MM-dd HH:mm")', lambda m, x, f=None: _moment(m, x, f, "datetime")),
    "year": Function(("date/datetime",), "integer", "year(date)", _texts(lambda x: x.year().cast("int64"), "integer")),
    "month": Function(("date/datetime",), "integer", "month(date)", _texts(lambda x: x.month().cast("int64"), "integer")),
    "day": Function(("date/datetime",), "integer", "day(date)", _texts(lambda x: x.day().cast("int64"), "integer")),
    "days": Function(("date", "date"), "integer", "days(later, earlier)", _texts(lambda x, y: x.delta(y, unit="day").cast("int64"), "integer")),
    "add_days": Function(("date", "integer"), "date", "add_days(date, days)", _texts(later, "date")),
    "first_of_year": Function(("integer",), "date", "first_of_year(year)", _texts(lambda y: strptime(y.cast("string") + "-01-01", "%Y-%m-%d").cast("date"), "date")),
    "concat": Function(("any", "any*"), "text", 'concat(a, "-", b)', _concat),
    "split": Function(("text", "text", "integer"), "text", 'split(x, "/", 1)', _split),
    "upper": Function(("text",), "text", "upper(x)", _texts(lambda x: x.upper())),
    "lower": Function(("text",), "text", "lower(x)", _texts(lambda x: x.lower())),
    "trim": Function(("text",), "text", "trim(x)", _texts(lambda x: x.strip().nullif(""))),
    "length": Function(("text",), "integer", "length(x)", _texts(lambda x: x.length().cast("int64"), "integer")),
    "slice": Function(("text", "integer", "integer?"), "text", "slice(x, 1, 3): from the first letter on, three of them", _slice),
    "replace": Function(("text", "text", "text"), "text", 'replace(x, ".", "")', _texts(lambda x, a, b: x.replace(a, b))),
    "starts": Function(("text", "text"), "truth", 'starts(x, "E11")', _texts(lambda x, y: x.startswith(y), "truth")),
    "contains": Function(("text", "text"), "truth", 'contains(x, "阳性")', _texts(lambda x, y: x.contains(y), "truth")),
    "coalesce": Function(("any", "any*"), "any", "coalesce(a, b): the first that is not missing", _coalesce, forgives=True),
    "unless": Function(("any", "any*"), "any", 'unless(x, "?"): missing when it is one of these', lambda m, x, *y: Value(_ibis().ifelse(_in(m, x, *y).ibis, None, x.ibis), x.kind)),
    "floor": Function(("number",), "integer", "floor(x): the whole number below", _texts(lambda x: x.cast("float64").floor().cast("int64"), "integer")),
    "round": Function(("number", "integer?"), "number", "round(x, 1)", _texts(lambda x, n=0: x.cast("float64").round(n), "number")),
    "abs": Function(("number",), "number", "abs(x)", _texts(lambda x: x.abs().cast("float64"), "number")),
    "lookup": Function(("text", "any", "text?"), "integer", 'lookup("list", x): the concept that the list gives; a third value names another of its columns', _lookup),
    "code": Function(("text", "any"), "integer", 'code("ICD10CM", x): the standard concept of a code', _code),
    "unit": Function(("text",), "integer", "unit(x): the concept of a unit's spelling", _unit),
    "convert": Function(("number", "text", "text", "text?"), "number", 'convert(value, unit, "mmol/L", "glucose")', _convert),
    "result": Function(("text",), "number", "result(x): the number in a result such as <0.5 or 12.3↑", _result("number", "number")),
    "operator": Function(("text",), "integer", "operator(x): the concept of <, ≤, ≥ or > in a result", _result("operator_concept_id", "integer")),
    "finding": Function(("text",), "integer", "finding(x): the concept of a result in words, such as 阴性 or 1+", _result("value_as_concept_id", "integer")),
    "is missing": Function(("any",), "truth", "x is missing", lambda m, x: Value(x.ibis.isnull(), "truth"), forgives=True),
    "in": Function(("any", "any*"), "truth", 'x in ("a", "b")', _in),
    "and": Function(("truth", "truth"), "truth", "a and b", _truth(lambda a, b: a & b)),
    "or": Function(("truth", "truth"), "truth", "a or b", _truth(lambda a, b: a | b)),
    "not": Function(("truth",), "truth", "not a", _truth(lambda a: ~a)),
    "negative": Function(("number",), "number", "-x", lambda m, x: Value(-x.ibis, x.kind)),
    **{sign: Function(("number", "number"), "number", f"a {sign} b", _arithmetic(sign)) for sign in "+-*/"},
    **{sign: Function(_COMPARED, "truth", f"a {sign} b", _comparison(sign)) for sign in ("=", "!=", "<", "<=", ">", ">=")},
}  # fmt: skip
