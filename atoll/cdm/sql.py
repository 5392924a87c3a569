"""Text of SQL that can be made of constants, names, numbers and dates only.

`sql("SELECT {x} FROM {t}", x=…, t=…)` takes its template from the source code and its parts from the caller: a part
is a fragment made here, an integer, a decimal, a date or a list of fragments. A plain string is refused, so no text
of a user becomes a command; a text value goes through an engine's own quoting (`Dialect.text`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import LiteralString

_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")


class Sql(str):
    """A fragment of SQL text whose every part came from the source code or was quoted."""

    __slots__ = ()


Part = Sql | int | Decimal | date


def sql(template: LiteralString, /, **parts: Part) -> Sql:
    """The template with its {parts} put in.

    Raises
    ------
    TypeError
        For a part that is a plain string or of another type.
    """
    return Sql(template.format_map({key: _shown(part) for key, part in parts.items()}) if parts else template)


def _shown(part: Part) -> str:
    if type(part) is Sql:
        return part
    if type(part) is int:
        return str(part) if part >= 0 else f"({part})"
    if isinstance(part, Decimal) and part.is_finite():
        return f"CAST({part:f} AS DECIMAL(38, 4))"
    if type(part) is date:
        return f"DATE '{part.isoformat()}'"
    raise TypeError(f"{type(part).__name__} is not a part of SQL")


def name(text: str) -> Sql:
    """The name of a table or column: lower-case letters, digits and underscores.

    Raises
    ------
    ValueError
        For any other name.
    """
    if not _NAME.match(text):
        raise ValueError(f"not a name: {text[:60]!r}")
    return Sql(text)


def joined(separator: LiteralString, parts: Iterable[Sql]) -> Sql:
    """Fragments with a constant between them."""
    return Sql(separator.join(parts))


def column(table: Sql, text: str) -> Sql:
    """`table.column`."""
    return Sql(f"{table}.{name(text)}")
