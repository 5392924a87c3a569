"""Values of a mapping's expressions: their types, and what the functions that make them share.

Types: text, integer, number, date, datetime, truth (a condition), and missing, which fits everywhere. A whole number
may stand for a number and a date for a time; nothing else changes by itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from atoll.cdm.numbers import MACROS, SIGNS
from atoll.ingest.expressions import Call, Constant, ExpressionError, Name

Kind = Literal["text", "integer", "number", "date", "datetime", "truth", "missing"]
SEPARATOR = "\x1f"  # between the parts of one key
DTYPES = {"text": "string", "integer": "int64", "number": "float64", "date": "date", "datetime": "timestamp",
           "truth": "boolean"}  # fmt: skip
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
    bare     Ibis conditions: a number that was to be converted has no unit, and is left as it was
    graded   Ibis conditions: the result is in words, or a grade (1+): it has neither number nor unit
    kept     the Ibis expression of the concept of the unit that a number keeps since it does not convert, or None
    converted  the Ibis expression of what a conversion read: unit, wanted unit and analyte as one text, or None
    into     the Ibis expression of the concept of the unit into which a number is converted, or None
    looked   the Ibis expression of where a look-up of a concept looked, and for which code, as one text, or None
    """

    ibis: Any
    kind: Kind
    bad: tuple[Any, ...] = ()
    source: Any = None
    concept: Any = None
    bare: tuple[Any, ...] = ()
    graded: tuple[Any, ...] = ()
    kept: Any = None
    converted: Any = None
    into: Any = None
    looked: Any = None


class Scope(Protocol):
    """Where an expression stands: the source table's columns, and what can be looked up."""

    def column(self, name: Name) -> Value:
        """A column; raises ExpressionError when there is none."""

    def joined(self, kind: str, parameter: str, keys: tuple[Value, ...], call: Call) -> Mapping[str, Any]:
        """Columns of a joined table, by name."""

    def called(self, kind: str, parameter: str) -> str:
        """What people call what is looked up in: of a code list its file."""


@dataclass(frozen=True)
class Making:
    """What a function sees beside its arguments."""

    scope: Scope
    call: Call

    def constant(self, position: int, what: str) -> Any:
        """The argument at a position when it is written out, which some arguments must be."""
        argument = self.call.arguments[position]
        if not isinstance(argument, Constant):
            raise ExpressionError(argument.place, f"{what} must be written out here.", "Write it as text in quotes.")
        return argument.value

    def decimal(self, position: int) -> str:
        """The decimal sign that the argument at a position states; empty where there is none."""
        if len(self.call.arguments) <= position:
            return ""
        sign = self.constant(position, "The decimal sign")
        if sign not in SIGNS:
            raise ExpressionError(
                self.call.arguments[position].place, f"{sign!r} is no decimal sign.", 'It is "." or ",": write which.'
            )
        return str(sign)

    def refuse(self, what: str, remedy: str) -> ExpressionError:
        return ExpressionError(self.call.place, what, remedy)


@dataclass(frozen=True)
class Function:
    """One function.

    takes     a type for each argument ("?" optional, "*" any number)
    gives     the type of its value
    says      how it is written, for people
    make      from a `Making` and the arguments to the value
    forgives  it judges by itself which unreadable texts of its arguments matter
    looks     the kind of look-up that it asks (see `lookups`), or empty
    keys      which of its arguments are what it looks for
    """

    takes: tuple[str, ...]
    gives: str
    says: str
    make: Callable[..., Value] = field(compare=False)
    forgives: bool = False
    looks: str = ""
    keys: tuple[int, ...] = (0,)


def ibis() -> Any:
    """Ibis, imported when it is first needed."""
    import ibis as package

    return package


def called(kind: str) -> str:
    return {"integer": "whole number", "truth": "condition"}.get(kind, kind)


def common(values: Sequence[Value], places: Sequence[tuple[int, int]]) -> Kind:
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
                place, f"this is a {called(value.kind)}, the value before it a {called(kind)}.", "Make them alike."
            )
    return kind


def as_kind(value: Value, kind: Kind) -> Any:
    if kind == "missing":
        return value.ibis
    if value.kind == "missing":
        return ibis().null(DTYPES[kind])
    return value.ibis if value.kind == kind else value.ibis.cast(DTYPES[kind])


def any_of(conditions: tuple[Any, ...]) -> Any:
    """Whether one of some conditions holds; None when there are none."""
    if not conditions:
        return None
    made = conditions[0].fill_null(False)
    for one in conditions[1:]:
        made = made | one.fill_null(False)
    return made


def together(texts: Sequence[Any]) -> Any:
    """Several texts as one key; missing when the first is."""
    made = texts[0]
    for text in texts[1:]:
        made = made + SEPARATOR + text.fill_null("")
    return made


def first_part(key: Any) -> Any:
    """The first of the texts that `together` made one key of."""
    return builtin("split_part", "string", "string", "string", "int64")(key, SEPARATOR, 1)


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


def shape(text: str) -> str:
    """The regular expression of what a date's pattern stands for. The engine alone would read 2020011 as yyyyMMdd, and
    50 as a year: years have their four digits, and so have days their two where no sign parts them from the next."""
    parts: list[tuple[str, bool]] = []
    position = 0
    while position < len(text):
        sign = next((sign for sign, _ in _PATTERN if text.startswith(sign, position)), "")
        parts.append((sign or re.escape(text[position]), bool(sign)))
        position += len(sign) or 1
    made = ""
    for at, (part, is_sign) in enumerate(parts):
        alone = not any(other for _, other in parts[max(at - 1, 0) : at] + parts[at + 1 : at + 2])
        digits = "{1,2}" if len(part) == 1 or (alone and part[0] != "y") else f"{{{len(part)}}}"
        made += f"[0-9]{digits}" if is_sign else part
    return rf"\s*{made}\s*"


def strptime(text: Any, signs: str, form: str) -> Any:
    """A text of that form (a regular expression) read as a time by the engine; nothing where it does not fit."""
    fits = builtin("regexp_full_match", "boolean", "string", "string")(text, form)
    return builtin("try_strptime", "timestamp", "string", "string")(fits.ifelse(text, None), signs)


def as_number(text: Any, decimal: str = "") -> Any:
    """A text as a number, with this decimal sign or with whichever it must be (`cdm.numbers`); nothing where it is
    none."""
    return builtin(MACROS[decimal], "float64", "string")(text)


def year_first(text: Any) -> Any:
    """A day that begins with its year, in whichever signs, as ISO writes it; nothing for another text."""
    return builtin("year_first", "string", "string")(text)


def excel_day(days: Any) -> Any:
    return builtin("excel_day", "timestamp", "float64")(days)


def later(day: Any, days: Any) -> Any:
    """A day so many days later, as a date on every engine (Ibis and DuckDB disagree on what date + interval is);
    nothing where no calendar has it."""
    return builtin("days_later", "date", "date", "int64")(day, days)


def safely(made: Any, dtype: str) -> Any:
    """The same, but nothing where the engine would stop: a number beyond those of its type."""
    return builtin("try", dtype, dtype)(made)


def stable_id(text: Any) -> Any:
    """63 bits that depend on the text alone, on every machine and in every release."""
    return builtin("stable_id", "int64", "string")(text)


_MADE: dict[tuple[str, ...], Any] = {}


def builtin(name: str, gives: str, *takes: str) -> Any:
    """A function that the engine of the loader has (see `cdm.workbench`), for Ibis."""
    key = (name, gives, *takes)
    if key not in _MADE:
        package = ibis()

        def made(*_: Any) -> None: ...

        made.__name__ = name
        parameters = [
            inspect.Parameter(f"x{position}", inspect.Parameter.POSITIONAL_OR_KEYWORD) for position in range(len(takes))
        ]
        made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        _MADE[key] = package.udf.scalar.builtin(made, name=name, signature=(tuple(takes), gives))
    return _MADE[key]
