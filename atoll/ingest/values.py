"""Results as laboratories write them (`<0.5`, `阴性`, `1+`, `12.3↑`, `1:40`, `3-5`), read column by column.

value      number, when there is one; neither a range nor a titre is one
low, high  ends of a range; of a titre its dilution (40 of 1:40)
operator   <, >, <=, >= or null
kind       number, range, titre, grade, negative, positive, trace, indeterminate, text, missing
flag       H or L where an arrow or letter says that the value is high or low
concept_id the value's concept, for results that are words or grades (`value_words.csv`), else 0
operator_concept_id   concept of the operator, 0 without one
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = r"[0-9]+(?:[.][0-9]*)?(?:[eE][+-]?[0-9]+)?|[.][0-9]+"
OPERATORS = {"<": 4171756, ">": 4172704, "<=": 4171755, ">=": 4171754}  # omop/synthpl: domain Meas Value Operator
APART = "\x1f"  # stands where digits may not be joined: 5 6 is no 56, 10² no 102, ½ no 1/2
DIGITS_LIKE = (  # ² ½ ① and their kin, which NFKC would make digits of
    "[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    "\u3220-\u3229\u3280-\u3289]"
)
MISSING = ("", "/", ".", "na", "n/a", "null", "无", "未做", "未查", "待定", "*", "***", "--")


@cache
def value_words() -> dict[str, tuple[str, float | None, int]]:
    """Written result → kind, grade, concept."""
    with Path(__file__).with_name("value_words.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["written"].lower(): (row["kind"], float(row["grade"]) if row["grade"] else None, int(row["concept_id"]))
            for row in csv.DictReader(file)
        }


def parse_values(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> pa.Table:
    """A column of results as a table of the columns above; every distinct text is read once."""
    import pyarrow as pa

    column = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    coded = column.cast(pa.string()).dictionary_encode()
    distinct = _distinct(coded.dictionary)
    return distinct.take(coded.indices.fill_null(len(coded.dictionary)))


def _plain(texts: Any) -> Any:
    """Half-width, lower case, without thousands' commas and without spaces, but those between digits."""
    import pyarrow.compute as pc

    plain = pc.replace_substring_regex(texts, DIGITS_LIKE, APART)
    plain = pc.utf8_lower(pc.utf8_normalize(plain, form="NFKC"))
    plain = pc.replace_substring_regex(plain, r"([0-9.,])[\s　]+([0-9.,])", rf"\1{APART}\2")
    plain = pc.replace_substring_regex(plain, r"[\s　]+", "")
    for written, meant in (("≤", "<="), ("≥", ">="), ("〈", "<"), ("〉", ">"), ("＜", "<"), ("＞", ">"), ("：", ":")):
        plain = pc.replace_substring(plain, written, meant)
    plain = pc.replace_substring_regex(plain, r"^小于等于", "<=")
    plain = pc.replace_substring_regex(plain, r"^大于等于", ">=")
    plain = pc.replace_substring_regex(plain, r"^(小于|低于)", "<")
    plain = pc.replace_substring_regex(plain, r"^(大于|高于)", ">")
    return pc.replace_substring_regex(plain, r"([0-9]),([0-9]{3})\b", r"\1\2")


def _distinct(texts: pa.Array) -> pa.Table:
    """The columns for distinct texts, and one row of `missing` behind them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = _plain(texts)
    flag = pc.if_else(
        pc.match_substring_regex(plain, r"[0-9][)]?(↑+|h|\(h\))$"), "H",
        pc.if_else(pc.match_substring_regex(plain, r"[0-9][)]?(↓+|l|\(l\))$"), "L", pa.scalar(None, pa.string())),
    )  # fmt: skip
    bare = pc.replace_substring_regex(plain, r"([0-9][)]?)(↑+|↓+|h|l|\(h\)|\(l\)|\*+)$", r"\1")
    number = pc.extract_regex(bare, rf"^(?P<o><=|>=|<|>)?(?P<v>[+-]?(?:{NUMBER}))$")
    ends = pc.extract_regex(bare, rf"^(?P<a>{NUMBER})(?:-|~|–|至)(?P<b>{NUMBER})$")
    titre = pc.extract_regex(bare, rf"^(?P<o><=|>=|<|>)?1:(?P<v>{NUMBER})[+-]?$")

    def part(found: Any, name: str) -> Any:
        return pc.struct_field(found, name)

    low, high = (part(ends, name).cast(pa.float64()) for name in "ab")
    value = part(number, "v").cast(pa.float64())
    diluted = part(titre, "v").cast(pa.float64())
    low, high = pc.coalesce(low, diluted), pc.coalesce(high, diluted)
    operator = pc.coalesce(part(number, "o"), part(titre, "o"))
    operator = pc.coalesce(
        operator, pc.if_else(pc.is_in(bare, pa.array(list(OPERATORS))), bare, pa.scalar(None, pa.string()))
    )  # a sign by itself
    operator = pc.if_else(pc.equal(operator, ""), pa.scalar(None, pa.string()), operator)
    words = value_words()
    written = pa.array(list(words), pa.string())
    at = pc.index_in(bare, written)
    kinds, grades, concepts = (list(column) for column in zip(*words.values(), strict=True))
    kind = pc.coalesce(
        pc.if_else(pc.is_in(bare, pa.array(MISSING)), "missing", pa.scalar(None, pa.string())),
        pa.array(kinds, pa.string()).take(at),
        pc.if_else(pc.is_valid(number), "number", pa.scalar(None, pa.string())),
        pc.if_else(pc.is_valid(ends), "range", pa.scalar(None, pa.string())),
        pc.if_else(pc.is_valid(titre), "titre", pa.scalar(None, pa.string())),
        pa.scalar("text"),
    )
    value = pc.if_else(pc.is_valid(at), pa.array(grades, pa.float64()).take(at), value)
    found = pa.table({
        "value": value,
        "low": low,
        "high": high,
        "operator": operator,
        "kind": kind,
        "flag": flag,
        "concept_id": pc.fill_null(pa.array(concepts, pa.int64()).take(at), 0),
        "operator_concept_id": pc.fill_null(
            pa.array(list(OPERATORS.values()), pa.int64()).take(pc.index_in(operator, pa.array(list(OPERATORS)))), 0
        ),
    })  # fmt: skip
    nothing = pa.Table.from_pylist([{"kind": "missing", "concept_id": 0, "operator_concept_id": 0}], found.schema)
    return pa.concat_tables([found, nothing]).combine_chunks()
