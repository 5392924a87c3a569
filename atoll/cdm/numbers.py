"""Numbers as people write them: the one grammar, for the engine and for columns of Arrow.

A number has a decimal sign, the point or the comma. Between its thousands may stand the other of the two, an
apostrophe or, where the decimal sign is stated, a blank; groups have three digits, and the first does not begin with 0.
Where the sign is not stated the point is taken for it, and a text with commas is read when only one of the two signs
lets it be a number (`0,125`, `12,5`, `1.234,5`, `1,234,567`): `1,234` may be two numbers, and is none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SIGNS = (".", ",")  # decimal signs that may be stated; "" is none stated
MACROS = {"": "open_number", ".": "point_number", ",": "comma_number"}
_BLANKS = " \u00a0\u2009\u202f\x1f"  # the last is what `ingest.values` puts for a blank between digits
_APOSTROPHES = "'\u2019"
_EXPONENT = "(?:[eE][+-]?[0-9]+)?"


@cache
def form(decimal: str, blanks: bool = True) -> str:
    """The regular expression (RE2) of a number without + or - before it."""
    other = "," if decimal == "." else "."
    between = (f"[{other}]", f"[{_APOSTROPHES}]", *([f"[{_BLANKS}]"] if blanks else []))
    grouped = "|".join(f"[1-9][0-9]{{0,2}}(?:{sign}[0-9]{{3}})+" for sign in between)
    return f"(?:(?:{grouped}|[0-9]+)(?:[{decimal}][0-9]*)?|[{decimal}][0-9]+){_EXPONENT}"


def _signed(decimal: str, blanks: bool) -> str:
    return rf"\s*[+-]?{form(decimal, blanks)}\s*"


def _removed(decimal: str) -> str:
    """What is left out of a number before the engine reads it."""
    return rf"[{'.' if decimal == ',' else ','}{_APOSTROPHES}{_BLANKS}\s]"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _macro(decimal: str, blanks: bool) -> str:
    plain = f"regexp_replace(x, {_quoted(_removed(decimal))}, '', 'g')"
    plain = f"replace({plain}, ',', '.')" if decimal == "," else plain
    return f"CASE WHEN regexp_full_match(x, {_quoted(_signed(decimal, blanks))}) THEN try_cast({plain} AS DOUBLE) END"


def macros() -> tuple[str, ...]:
    """The engine's functions of `MACROS`, from a text to a number or nothing. What the engine reads by itself comes
    first, which is fast; of what it takes for a number, 1_000 is none here."""
    point, comma = _macro(".", False), _macro(",", False)
    own = "try_cast(CASE WHEN contains(x, '_') THEN NULL ELSE x END AS DOUBLE)"
    only = f"CASE WHEN {point} IS NULL THEN {comma} WHEN {comma} IS NULL OR {comma} = {point} THEN {point} END"
    bodies = {".": f"coalesce({own}, {_macro('.', True)})", ",": _macro(",", True), "": f"coalesce({own}, {only})"}
    return tuple(f"CREATE OR REPLACE TEMP MACRO {MACROS[sign]}(x) AS ({body})" for sign, body in bodies.items())


def numbers_in(texts: pa.Array, decimal: str = "") -> pa.Array:
    """n texts as n numbers, as the engine's function for this decimal sign reads them; nothing where one is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def read(sign: str, blanks: bool) -> pa.Array:
        fits = pc.match_substring_regex(texts, rf"^(?:{_signed(sign, blanks)})$")
        plain = pc.replace_substring_regex(pc.if_else(fits, texts, pa.scalar(None, pa.string())), _removed(sign), "")
        found = pc.replace_substring(plain, ",", ".").cast(pa.float64())
        return pc.if_else(pc.is_finite(found), found, pa.scalar(None, pa.float64()))

    if decimal:
        return read(decimal, True)
    point, comma = read(".", False), read(",", False)
    certain = pc.or_(pc.invert(pc.match_substring(texts, ",")), pc.fill_null(pc.equal(point, comma), False))
    certain = pc.or_(certain, pc.is_null(comma))
    return pc.if_else(pc.is_null(point), comma, pc.if_else(certain, point, pa.scalar(None, pa.float64())))
