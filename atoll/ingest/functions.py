"""The functions and operators of a mapping's expressions. One row of `FUNCTIONS` is one function.

A function that reads a text (a date, a number) gives nothing where the text is not what it should be, and says so
in `Value.bad`: the loader keeps such rows aside with the reason instead of losing them. Look-ups are joins, which
`Scope.joined` stands for: first to collect them, later to give their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from atoll.ingest.expressions import Constant, ExpressionError
from atoll.ingest.kinds import (
    DTYPES,
    SEPARATOR,
    Function,
    Kind,
    Making,
    Value,
    as_kind,
    as_number,
    builtin,
    common,
    excel_day,
    ibis,
    later,
    pattern,
    safely,
    shape,
    strptime,
    together,
    year_first,
)  # fmt: skip
from atoll.ingest.lookups import CONCEPTS, key_of_code, no_analyte, owner_of

_FAR = 1_000_000_000  # letters: no text is longer, and the engine counts no further
PATTERNS = "Patterns are made of yyyy MM dd HH mm ss and the signs between them."


def _number(making: Making, x: Value, decimal: Value | None = None) -> Value:
    if x.kind != "text":
        return Value(as_kind(x, "number"), "number")
    read = as_number(x.ibis, making.decimal(1))
    return Value(read, "number", (x.ibis.notnull() & read.isnull(),))


def _integer(making: Making, x: Value, decimal: Value | None = None) -> Value:
    if x.kind in ("integer", "truth", "missing"):
        return Value(as_kind(x, "integer"), "integer")
    value = x.ibis if x.kind == "number" else as_number(x.ibis, making.decimal(1))
    value = ibis().ifelse(value.abs() < 9e15, value, None)  # before anything else: NaN has no whole number below it
    read = ibis().ifelse(value == value.floor(), value, None).cast("int64")
    return Value(read, "integer", (x.ibis.notnull() & read.isnull(),))


def _text(making: Making, x: Value) -> Value:
    return Value(as_kind(x, "text"), "text")


def _moment(making: Making, x: Value, form: Value | None, kind: Kind) -> Value:
    """A date or time from a text; without a pattern as ISO writes it, or in other signs with the year first."""
    if x.kind in ("date", "datetime", "missing"):
        return Value(x.ibis.cast(DTYPES[kind]), kind)
    if form is None:
        read = year_first(x.ibis).try_cast("timestamp" if kind == "datetime" else "date")
        return Value(read, kind, (x.ibis.notnull() & read.isnull(),))
    word = str(making.constant(1, "The pattern of a date"))
    if word == "excel":  # days since 1899-12-30, as a spreadsheet counts
        days = as_number(x.ibis)
        days = ibis().ifelse((days >= 1) & (days < 2958466), days, None)
        read = excel_day(days)
    else:
        try:
            signs = pattern(word)
        except ValueError as error:
            raise ExpressionError(
                making.call.arguments[1].place,
                f"the pattern {word!r} holds the letter {error}.",
                PATTERNS,
            ) from None
        if signs == word:  # as a draft leaves it where the values do not tell which pattern is theirs
            place = making.call.arguments[1].place
            raise ExpressionError(place, f"the pattern {word!r} holds no part of a day.", PATTERNS)
        read = strptime(x.ibis, signs, shape(word))
    return Value(read.cast(DTYPES[kind]), kind, (x.ibis.notnull() & read.isnull(),))


def _part_of_day(part: str) -> Callable[..., Value]:
    """Year, month or day of a date, or of a text that may say no more than the year, or than year and month."""

    def make(making: Making, x: Value) -> Value:
        if x.kind != "text":
            return Value(
                getattr(as_kind(x, "date") if x.kind == "missing" else x.ibis, part)().cast("int64"), "integer"
            )
        whole = _moment(making, x, None, "date").ibis
        alone = {"year": (1,), "month": (2, 3), "day": ()}[part]
        short = [x.ibis.re_extract(_SHORT, group).nullif("").try_cast("int64") for group in alone]
        read = ibis().coalesce(getattr(whole, part)().cast("int64"), *short)
        return Value(read, "integer", (x.ibis.notnull() & whole.isnull() & ~x.ibis.re_search(_SHORT),))

    return make


def _arithmetic(sign: str) -> Callable[..., Value]:
    def make(making: Making, a: Value, b: Value) -> Value:
        x, y = (as_kind(value, "number") if value.kind == "missing" else value.ibis for value in (a, b))
        if sign == "/":
            return Value(x.cast("float64") / y.cast("float64").nullif(0), "number")
        made = {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y}[sign]()
        if (a.kind, b.kind) == ("integer", "integer"):
            return _reached(made, "integer", x, y)
        return Value(made, "number")

    return make


def _negative(making: Making, x: Value) -> Value:
    return _reached(-x.ibis, "integer", x.ibis) if x.kind == "integer" else Value(-x.ibis, x.kind)


def _comparison(sign: str) -> Callable[..., Value]:
    def make(making: Making, a: Value, b: Value) -> Value:
        kind = common([a, b], [argument.place for argument in making.call.arguments])
        x, y = as_kind(a, kind), as_kind(b, kind)
        operators = {"=": lambda: x == y, "!=": lambda: x != y, "<": lambda: x < y, "<=": lambda: x <= y,
                     ">": lambda: x > y, ">=": lambda: x >= y}  # fmt: skip
        return Value(operators[sign](), "truth")

    return make


def _in(making: Making, x: Value, *among: Value) -> Value:
    kind = common([x, *among], [argument.place for argument in making.call.arguments])
    return Value(as_kind(x, kind).isin([as_kind(value, kind) for value in among]), "truth")


def _truth(make: Callable[..., Any]) -> Callable[..., Value]:
    return lambda making, *values: Value(make(*(as_kind(value, "truth") for value in values)), "truth")


def _texts(make: Callable[..., Any], gives: Kind = "text") -> Callable[..., Value]:
    return lambda making, *values: Value(make(*(as_kind(value, value.kind) for value in values)), gives)


def _reached(made: Any, kind: Kind, *of: Any) -> Value:
    """What is computed of some values. Where the engine cannot count so far there is nothing, and it is unreadable."""
    value, there = safely(made, DTYPES[kind]), of[0].notnull()
    for one in of[1:]:
        there = there & one.notnull()
    return Value(value, kind, (there & value.isnull(),))


def _reaching(make: Callable[..., Any], kind: Kind) -> Callable[..., Value]:
    def made(making: Making, *values: Value) -> Value:
        given = [as_kind(value, value.kind) for value in values]
        return _reached(make(*given), kind, *given)

    return made


def _rounded(x: Any, digits: Any = None) -> Any:
    return x.cast("float64").round(0 if digits is None else digits.try_cast("int32"))


def _concat(making: Making, *values: Value) -> Value:
    parts = [_text(making, value).ibis for value in values]
    made = parts[0]
    for part in parts[1:]:
        made = made + part  # one missing part makes the whole missing, so no key is ever half a key
    return Value(made, "text")


def _split(making: Making, x: Value, sign: Value, position: Value) -> Value:
    wanted = making.constant(2, "The number of the part")
    if not isinstance(wanted, int) or wanted == 0:
        raise making.refuse("`split` counts its parts from 1, or from -1 backwards.", 'Write split(x, "/", 1).')
    part = builtin("split_part", "string", "string", "string", "int64")(x.ibis, sign.ibis, wanted)
    return Value(part.strip().nullif(""), "text")


def _slice(making: Making, x: Value, first: Value, letters: Value | None = None) -> Value:
    numbers = [as_kind(one, "integer").clip(-_FAR, _FAR) for one in (first, letters) if one is not None]
    given = (x.ibis, *numbers)
    return Value(builtin("substring", "string", "string", *("int64" for _ in given[1:]))(*given), "text")


def _coalesce(making: Making, *values: Value) -> Value:
    kind = common(values, [argument.place for argument in making.call.arguments])
    # the first that can be read wins: a later one mends an unreadable earlier one
    made = ibis().coalesce(*(as_kind(value, kind) for value in values))
    bad = tuple(made.isnull() & each for value in values for each in value.bad)

    def told(part: str, dtype: str) -> Any:
        """What the look-up that is taken read, or found."""
        said = [(value.ibis.notnull(), getattr(value, part)) for value in values]
        if all(one is None for _, one in said):
            return None
        nothing = ibis().null(dtype)
        return ibis().cases(
            *((taken, nothing if one is None else one.cast(dtype)) for taken, one in said), else_=nothing
        )

    return Value(made, kind, bad, told("source", "string"), told("concept", "int32"), looked=told("looked", "string"))


def _lookup(making: Making, listed: Value, x: Value, column: Value | None = None) -> Value:
    name = str(making.constant(0, "The list's name"))
    wanted = CONCEPTS[0] if column is None else str(making.constant(2, "The list's column"))
    key = _text(making, x)
    found = making.scope.joined("list", name, (key,), making.call)
    if wanted not in found:
        file, there = making.scope.called("list", name), ", ".join(column for column in found if column != "key")
        remedy = "Name the column of concepts so in the list, or the column that is meant as the third value."
        raise making.refuse(
            f"the list {file} has no column {wanted!r}.", f"Beside its codes it has: {there or 'nothing'}. {remedy}"
        )
    if wanted != CONCEPTS[0]:
        return Value(found[wanted], "integer" if wanted in CONCEPTS else "text")
    return _concept("list", name, key.ibis, found)


def _code(making: Making, vocabulary: Value, x: Value) -> Value:
    name = str(making.constant(0, "The vocabulary's name"))
    key = _text(making, x)
    return _concept("code", name, key.ibis, making.scope.joined("code", name, (key,), making.call))


def _concept(kind: str, name: str, text: Any, found: Mapping[str, Any]) -> Value:
    looked = ibis().literal(owner_of(kind, name) + SEPARATOR) + key_of_code(kind, name, text)
    return Value(found["concept_id"], "integer", source=text, concept=found["source_concept_id"], looked=looked)


def _unit(making: Making, x: Value) -> Value:
    found = making.scope.joined("unit", "", (_text(making, x),), making.call)
    return Value(found["concept_id"], "integer", source=_text(making, x).ibis)


def _convert(making: Making, value: Value, unit: Value, wanted: Value, analyte: Value | None = None) -> Value:
    for named in making.call.arguments[3:]:
        if isinstance(named, Constant) and (wrong := no_analyte(str(named.value or ""))):
            raise ExpressionError(named.place, *wrong)
    keys = tuple(_text(making, each) for each in (unit, wanted, analyte) if each)
    found = making.scope.joined("convert", "", keys, making.call)
    number, without = as_kind(value, "number"), keys[0].ibis.isnull()
    stays = without | found["factor"].isnull()
    # where there is nothing to convert the number stays as it is, and the loader says in which unit, or names the row
    made = ibis().ifelse(stays, number, number * found["factor"] + found["offset"])
    kept = ibis().ifelse(number.notnull() & ~without & stays, found["concept_id"].fill_null(0), None)
    return Value(
        made, "number", bare=(number.notnull() & without,), kept=kept, converted=together([key.ibis for key in keys]),
        into=found["into_concept_id"],
    )  # fmt: skip


def _result(column: str, kind: Kind) -> Callable[..., Value]:
    """What a result's text says (a column of `values.COLUMNS`). It cannot be read where it says nothing of the kind."""

    def make(making: Making, x: Value, decimal: Value | None = None) -> Value:
        key = _text(making, x)
        found = making.scope.joined("result", making.decimal(1), (key,), making.call)
        read, word = found[column], found["value_as_concept_id"].notnull()
        said = word if column != "value_as_concept_id" else ibis().literal(False)  # the rule sees what a number took
        if column not in ("number", "value_as_concept_id"):
            said = said | found["low"].notnull() | found["high"].notnull()
        if column == "operator_concept_id":
            said = said | found["number"].notnull()
        graded = (word,) if column == "number" else ()
        return Value(read, kind, (key.ibis.notnull() & read.isnull() & ~said,), graded=graded)

    return make


# a year, or a year and a month: of two digits where no sign stands before it
_SHORT = r"^((?:1[89]|20)[0-9]{2})(?:[-/.年]([1-9])月?|[-/.年]?(0[1-9]|1[0-2])月?|年)?$"
_COMPARED = ("any", "any")
_RESULTS: tuple[tuple[str, str, Kind, str], ...] = (
    ("result", "number", "number",
     'result(x): the number in a result such as <0.5 or 12.3↑, result(x, ",") as in number; a range or titre has none'),
    ("low", "low", "number", 'low(x): the lower end of a range such as 3.9-6.1 or >40; low(x, ",") as in number'),
    ("high", "high", "number", 'high(x): the upper end of a range such as 3.9-6.1 or <5.2; high(x, ",") as in number'),
    ("operator", "operator_concept_id", "integer", "operator(x): the concept of <, ≤, ≥ or > in a result"),
    ("finding", "value_as_concept_id", "integer", "finding(x): the concept of a result in words, such as 阴性 or 1+"),
)  # fmt: skip
FUNCTIONS: dict[str, Function] = {
    "text": Function(("any",), "text", "text(x)", _text),
    "integer": Function(("any", "text?"), "integer", 'integer(x), or integer(x, ",") as in number', _integer),
    "number": Function(
        ("any", "text?"), "number", 'number(x), or number(x, ",") where the comma is the decimal sign', _number
    ),
    "date": Function(
        ("text/date/datetime", "text?"),
        "date",
        'date(x), or date(x, "dd/MM/yyyy")',
        lambda m, x, f=None: _moment(m, x, f, "date"),
    ),
    "datetime": Function(
        ("text/date/datetime", "text?"),
        "datetime",
        'datetime(x), or datetime(x, "yyyy-MM-dd HH:mm")',
        lambda m, x, f=None: _moment(m, x, f, "datetime"),
    ),
    **{
        part: Function(("text/date/datetime",), "integer", says, _part_of_day(part))
        for part, says in (
            ("year", "year(date), or of a text of which only the year is given: 1950, 1950-03, 195003"),
            ("month", "month(date), or of a text: missing where only the year is given"),
            ("day", "day(date), or of a text: missing where only year and month are given"),
        )
    },
    "days": Function(
        ("date", "date"),
        "integer",
        "days(later, earlier)",
        _texts(lambda x, y: x.delta(y, unit="day").cast("int64"), "integer"),
    ),
    "add_days": Function(("date", "integer"), "date", "add_days(date, days)", _reaching(later, "date")),
    "first_of_year": Function(
        ("integer",),
        "date",
        "first_of_year(year)",
        _reaching(lambda y: strptime(y.cast("string") + "-01-01", "%Y-%m-%d", "[0-9]{4}-01-01").cast("date"), "date"),
    ),
    "concat": Function(("any", "any*"), "text", 'concat(a, "-", b)', _concat),
    "split": Function(("text", "text", "integer"), "text", 'split(x, "/", 1)', _split),
    "upper": Function(("text",), "text", "upper(x)", _texts(lambda x: x.upper())),
    "lower": Function(("text",), "text", "lower(x)", _texts(lambda x: x.lower())),
    "trim": Function(("text",), "text", "trim(x)", _texts(lambda x: x.strip().nullif(""))),
    "length": Function(("text",), "integer", "length(x)", _texts(lambda x: x.length().cast("int64"), "integer")),
    "slice": Function(
        ("text", "integer", "integer?"), "text", "slice(x, 1, 3): from the first letter on, three of them", _slice
    ),
    "replace": Function(
        ("text", "text", "text"), "text", 'replace(x, ".", "")', _texts(lambda x, a, b: x.replace(a, b))
    ),
    "starts": Function(("text", "text"), "truth", 'starts(x, "E11")', _texts(lambda x, y: x.startswith(y), "truth")),
    "contains": Function(("text", "text"), "truth", 'contains(x, "阳性")', _texts(lambda x, y: x.contains(y), "truth")),
    "coalesce": Function(
        ("any", "any*"), "any", "coalesce(a, b): the first that is not missing", _coalesce, forgives=True
    ),
    "unless": Function(
        ("any", "any*"),
        "any",
        'unless(x, "?"): missing when it is one of these',
        lambda m, x, *y: Value(ibis().ifelse(_in(m, x, *y).ibis, None, x.ibis), x.kind),
    ),
    "floor": Function(
        ("number",),
        "integer",
        "floor(x): the whole number below",
        _reaching(lambda x: x.cast("float64").floor().cast("int64"), "integer"),
    ),
    "round": Function(("number", "integer?"), "number", "round(x, 1)", _reaching(_rounded, "number")),
    "abs": Function(("number",), "number", "abs(x)", _texts(lambda x: x.cast("float64").abs(), "number")),
    "lookup": Function(
        ("text", "any", "text?"),
        "integer",
        'lookup("list", x): the concept that the list gives; a third value names another of its columns',
        _lookup,
        looks="list",
        keys=(1,),
    ),
    "code": Function(
        ("text", "any"),
        "integer",
        'code("ICD10CM", x): the standard concept of a code',
        _code,
        looks="code",
        keys=(1,),
    ),
    "unit": Function(("text",), "integer", "unit(x): the concept of a unit's spelling", _unit, looks="unit"),
    "convert": Function(
        ("number", "text", "text", "text?"),
        "number",
        'convert(value, unit, "mmol/L", "glucose")',
        _convert,
        looks="convert",
        keys=(1, 2, 3),
    ),
    **{
        name: Function(("text", "text?"), kind, says, _result(column, kind), looks="result")
        for name, column, kind, says in _RESULTS
    },
    "is missing": Function(
        ("any",), "truth", "x is missing", lambda m, x: Value(x.ibis.isnull(), "truth"), forgives=True
    ),
    "in": Function(("any", "any*"), "truth", 'x in ("a", "b")', _in),
    "and": Function(("truth", "truth"), "truth", "a and b", _truth(lambda a, b: a & b)),
    "or": Function(("truth", "truth"), "truth", "a or b", _truth(lambda a, b: a | b)),
    "not": Function(("truth",), "truth", "not a", _truth(lambda a: ~a)),
    "negative": Function(("number",), "number", "-x", _negative),
    **{sign: Function(("number", "number"), "number", f"a {sign} b", _arithmetic(sign)) for sign in "+-*/"},
    **{
        sign: Function(_COMPARED, "truth", f"a {sign} b", _comparison(sign))
        for sign in ("=", "!=", "<", "<=", ">", ">=")
    },
}
