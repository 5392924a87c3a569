"""What the texts of a CSV column are: whole numbers, numbers, truth values, days, times, or words.

A column has the narrowest kind that every one of its values has, over the whole file. Codes stay words:
`007` is no number, and neither is an identifier with more digits than a number can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from atoll.cdm.delimited import MISSING

KINDS = ("whole", "number", "comma", "truth", "day", "time", "word")
MOST_DIGITS = 16  # a float tells numbers of fewer digits apart
_DIGITS = r"^[+-]?[0-9]+$"
_COMMA = r"^[+-]?[0-9]+(,[0-9]+)?$"


def cleaned(column: Any) -> Any:
    """The texts without blanks around them, null where missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, value_set=pa.array(MISSING)), None, text)


def kinds_of(columns: Iterator[dict[str, Any]], decimal_comma: bool) -> dict[str, str]:
    """The kind of each column, from batches of cleaned texts; a column without any value is a number.

    `decimal_comma` allows numbers such as 3,5: where the comma does not separate the fields.
    """
    possible: dict[str, list[str]] = {}
    seen: set[str] = set()
    for batch in columns:
        for name, text in batch.items():
            left = possible.setdefault(name, [k for k in KINDS if decimal_comma or k != "comma"])
            if text.null_count < len(text):
                seen.add(name)
                possible[name] = list(_fitting(text, left))
    return {name: kinds[0] if name in seen else "number" for name, kinds in possible.items()}


def _fitting(text: Any, kinds: Sequence[str]) -> Iterator[str]:
    """Those of the kinds that every text has; whole numbers are numbers too."""
    whole = False
    for kind in kinds:
        if kind == "word" or (whole and kind in ("number", "comma")) or _fits(text, kind):
            whole = whole or kind == "whole"
            yield kind


def _fits(text: Any, kind: str) -> bool:
    """Whether every text is of a kind. A few are tried first: most columns fail a kind at once."""
    return _all_fit(text.slice(0, 8), kind) and _all_fit(text, kind)


def _all_fit(text: Any, kind: str) -> bool:
    import pyarrow as pa

    try:
        if kind in ("whole", "number") and _has_codes(text):
            return False
        return bool(converted(text, kind).null_count == text.null_count)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False


def _has_codes(text: Any) -> bool:
    """Whether a text looks like a number and is a code: it begins with a useless zero, or is longer than a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zero = pc.or_(pc.starts_with(text, "0"), pc.or_(pc.starts_with(text, "-0"), pc.starts_with(text, "+0")))
    second = pc.utf8_slice_codeunits(pc.utf8_ltrim(text.filter(zero), "+-"), 1, 2)
    if pc.any(pc.is_in(second, value_set=pa.array(list("0123456789")))).as_py():
        return True
    long = text.filter(pc.greater_equal(pc.binary_length(text), MOST_DIGITS))
    return bool(pc.any(pc.match_substring_regex(long, _DIGITS)).as_py()) and not _whole_numbers(text)


def _whole_numbers(text: Any) -> bool:
    import pyarrow as pa

    try:
        text.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def converted(text: Any, kind: str) -> Any:
    """Cleaned texts as values of a kind; null where one is not of it.

    Raises
    ------
    pyarrow.ArrowInvalid
        When one is not of a kind whose conversion stops at the first.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if kind == "whole":
        return text.cast(pa.int64())
    if kind == "number":
        return text.cast(pa.float64())
    if kind == "comma":
        right = pc.if_else(pc.match_substring_regex(text, _COMMA), pc.replace_substring(text, ",", "."), None)
        return right.cast(pa.float64())
    if kind == "truth":
        lower = pc.utf8_lower(text)
        known = pc.is_in(lower, value_set=pa.array(["true", "false"]))
        return pc.if_else(known, pc.equal(lower, "true"), None)
    if kind == "day":
        dashed = pc.replace_substring(text, "/", "-")
        return pc.strptime(dashed, "%Y-%m-%d", "s", error_is_null=True).cast(pa.date32())
    if kind == "time":
        return pc.replace_substring(text, "/", "-").cast(pa.timestamp("us"))
    return text
