"""Results as laboratories write them (`<0.5`, `阴性`, `1+`, `12.3↑`, `3-5`), read column by column.

number               the number, when there is one; neither a word or a grade (1+) nor a range or a titre is one
low, high            ends of a range: of 3-5 both, of <0.5 the upper, of >40 the lower
operator_concept_id  concept of <, >, <= or >=
value_as_concept_id  concept of a result in words, or of a grade (`value_words.csv`)

How a number is written is said in `cdm.numbers`. An arrow or letter that says that it is high or low is no part of it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoll.cdm.numbers import numbers_in
from atoll.cdm.tables import OPERATORS

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = {
    "number": "float64", "low": "float64", "high": "float64", "operator_concept_id": "int32",
    "value_as_concept_id": "int32",
}  # fmt: skip
BLANK = "\x1f"  # stands where digits may not be joined: 5 6 is no 56
SMALL = "\x1e"  # stands for digits that are none: 10² is no 102, ½ no 1/2
DIGITS_LIKE = (  # ² ½ ① and their kin, which NFKC would make digits of
    "[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    "\u3220-\u3229\u3280-\u3289]"
)
_OPERATOR = "(?P<o><=|>=|<|>)"
_SIZE = "[0-9.,'\u2019\x1fe]*(?:e[+-]?[0-9]+)?"  # what may be a number; whether it is one is asked of `cdm.numbers`


@cache
def value_words() -> dict[str, int]:
    """Written result → concept."""
    with Path(__file__).with_name("value_words.csv").open(encoding="utf-8", newline="") as file:
        return {row["written"].lower(): int(row["concept_id"]) for row in csv.DictReader(file)}


def parse_values(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray, decimal: str = "") -> pa.Table:
    """A column of results as a table of the columns above; every distinct text is read once.

    decimal   the decimal sign of its numbers where that is stated, else empty
    """
    import pyarrow as pa

    column = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    coded = column.cast(pa.string()).dictionary_encode()
    return _distinct(coded.dictionary, decimal).take(coded.indices)


def _plain(texts: Any) -> Any:
    """Half-width, lower case, without spaces, but those between digits."""
    import pyarrow.compute as pc

    plain = pc.replace_substring_regex(texts, DIGITS_LIKE, SMALL)
    plain = pc.utf8_lower(pc.utf8_normalize(plain, form="NFKC"))
    for _ in range(2):  # a digit may have a blank on both sides
        plain = pc.replace_substring_regex(plain, r"([0-9.,])[\s　]+([0-9.,])", rf"\1{BLANK}\2")
    plain = pc.replace_substring_regex(plain, r"[\s　]+", "")
    for written, meant in (("≤", "<="), ("≥", ">="), ("〈", "<"), ("〉", ">")):
        plain = pc.replace_substring(plain, written, meant)
    plain = pc.replace_substring_regex(plain, r"^小于等于", "<=")
    plain = pc.replace_substring_regex(plain, r"^大于等于", ">=")
    plain = pc.replace_substring_regex(plain, r"^(小于|低于)", "<")
    return pc.replace_substring_regex(plain, r"^(大于|高于)", ">")


def _distinct(texts: pa.Array, decimal: str) -> pa.Table:
    """The columns for distinct texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bare = pc.replace_substring_regex(_plain(texts), r"([0-9][)]?)(↑+|↓+|h|l|\(h\)|\(l\)|\*+)$", r"\1")
    sized = pc.extract_regex(bare, rf"^{_OPERATOR}?(?P<v>[+-]?{_SIZE})$")
    diluted = pc.extract_regex(bare, rf"^{_OPERATOR}?1:[0-9]+[+-]?$")
    number = numbers_in(pc.struct_field(sized, "v"), decimal)
    nothing = pa.scalar(None, pa.string())
    operator = pc.coalesce(
        pc.if_else(pc.is_valid(number), pc.struct_field(sized, "o"), nothing),
        pc.struct_field(diluted, "o"),
        pc.if_else(pc.is_in(bare, pa.array(list(OPERATORS))), bare, nothing),  # a sign by itself
    )
    words = value_words()
    at = pc.index_in(bare, pa.array(list(words), pa.string()))
    low, high = _ends(bare, operator, number, decimal)
    found = {
        "number": pc.if_else(pc.is_valid(at), pa.scalar(None, pa.float64()), number),  # 1+ is no 1
        "low": low,
        "high": high,
        "operator_concept_id": pa.array(list(OPERATORS.values())).take(
            pc.index_in(operator, pa.array(list(OPERATORS)))
        ),
        "value_as_concept_id": pa.array(list(words.values())).take(at),
    }
    return pa.table({name: found[name].cast(dtype) for name, dtype in _schema().items()})


def _ends(bare: Any, operator: Any, number: Any, decimal: str) -> tuple[Any, Any]:
    """The ends of ranges: 3-5, 3～5, -2~+2, and what a sign before a number leaves open on one side."""
    import pyarrow as pa
    import pyarrow.compute as pc

    nothing = pa.scalar(None, pa.float64())
    ends = pc.extract_regex(bare, rf"^(?P<a>[+-]?{_SIZE})(?:(?:-|–|—+)(?P<b>{_SIZE})|(?:~|至)(?P<c>[+-]?{_SIZE}))$")
    low, *others = (numbers_in(pc.struct_field(ends, name), decimal) for name in "abc")
    high = pc.coalesce(*others)
    ordered = pc.less_equal(low, high)
    low, high = pc.if_else(ordered, low, nothing), pc.if_else(ordered, high, nothing)
    under, over = (pc.fill_null(pc.starts_with(operator, sign), False) for sign in "<>")
    return pc.coalesce(low, pc.if_else(over, number, nothing)), pc.coalesce(high, pc.if_else(under, number, nothing))


def _schema() -> dict[str, Any]:
    import pyarrow as pa

    return {name: pa.type_for_alias(dtype) for name, dtype in COLUMNS.items()}
