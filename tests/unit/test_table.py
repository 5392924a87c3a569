"""Tables from whatever an analyst has, whole or in pieces, and the dictionary that is proposed for them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import DataError
from atoll.features import places
from atoll.features.columns import as_coded, as_numbers
from atoll.features.proposal import check, propose
from atoll.features.table import ParquetTable, memory_table
from atoll.study.dictionary import OTHER, Column, differences, person_column, words_of

DATA = {"x": [1.5, None, 3.0], "n": [1, 2, 3], "g": ["a", None, "b"]}


class Polars:
    """Stands for a frame of another library: it gives an Arrow stream."""

    def __arrow_c_stream__(self, requested_schema=None):
        return pa.table(DATA).__arrow_c_stream__(requested_schema)


@pytest.fixture(params=["dict", "arrays", "arrow", "pandas", "stream", "parquet", "csv"])
def data(request, tmp_path):
    if request.param == "pandas":
        import pandas

        return pandas.DataFrame(DATA)
    if request.param == "parquet":
        pq.write_table(pa.table(DATA), tmp_path / "t.parquet")
        return tmp_path / "t.parquet"
    if request.param == "csv":
        (tmp_path / "t.csv").write_text("x,n,g\n1.5,1,a\n,2,\n3.0,3,b\n")
        return str(tmp_path / "t.csv")
    arrays = {"x": np.array([1.5, np.nan, 3.0]), "n": np.array([1, 2, 3]), "g": np.array(["a", None, "b"], object)}
    return {"dict": DATA, "arrays": arrays, "arrow": pa.table(DATA), "stream": Polars()}[request.param]


def test_every_form_of_a_table_is_the_same_table(data):
    table = memory_table(data)
    (batch,) = table.batches(("x", "n", "g"), None)
    assert (table.num_rows, batch.num_rows) == (3, 3)
    np.testing.assert_array_equal(batch.numbers("x"), [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(batch.numbers("n"), [1.0, 2.0, 3.0])
    assert as_coded(batch.column("g")).as_array().tolist() == ["a", None, "b"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.one_of(st.none(), st.integers(1, 12)))
def test_pieces_and_batches_hold_every_row_once_in_order(pieces, size):
    n = sum(pieces)
    values = np.arange(float(n))
    cuts = np.cumsum([0, *pieces])
    chunked = pa.chunked_array([values[a:b] for a, b in itertools.pairwise(cuts)])
    table = memory_table(pa.table({"x": chunked, "y": chunked}))
    got = [value for batch in table.batches(("y", "x"), size) for value in batch.numbers("x")]
    np.testing.assert_array_equal(got, values)


def test_a_large_file_is_read_in_batches(tmp_path):
    pq.write_table(pa.table({"x": np.arange(1000.0), "id": np.arange(1000) // 2}), tmp_path / "t.parquet", 64)
    table = ParquetTable(tmp_path / "t.parquet")
    sizes = [batch.num_rows for batch in table.batches(("x",), 100)]
    assert sum(sizes) == 1000
    assert max(sizes) <= 100
    assert table.repeats("id")
    assert not table.repeats("x")


@pytest.mark.parametrize("ids", [[1, 2, 1], ["a", "b", "a"], ["a", None, None]])
def test_repeats_are_found_over_pieces(ids):
    assert memory_table(pa.table({"id": pa.chunked_array([ids[:2], ids[2:]])})).repeats("id")
    assert not memory_table({"id": [1, 2, 3]}).repeats("id")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1, 2], "b": [1]}, r"its columns differ in length, or one holds values of different types"),
        ({"a": [1, "x"]}, r"values of different types"),
        ({"a": 3}, r"values of different types"),
        (pa.table([[1], [2]], names=["a", "a"]), r"two columns called 'a'\. Rename one"),
        (3, r"A int is not a table\. Give a pandas, polars or Arrow table"),
        (None, r"A NoneType is not a table"),
        ("/nowhere/at/all.csv", r"There is no file"),
    ],
)
def test_what_is_no_table_is_a_sentence(data, words):
    with pytest.raises(DataError, match=words):
        memory_table(data)


def test_words_of_every_type():
    for column, wanted in (
        (pa.array(["a", None]), ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array([1, None]), ["1", None]),
        (pa.array([1.0, 2.5, None]), ["1", "2.5", None]),
        (pa.array([1234567.0]), ["1234567"]),
        (pa.array([True, False]), ["1", "0"]),
        (pa.array([], pa.string()), []),
        (pa.array([None, None]), [None, None]),
    ):
        assert as_coded(column).as_array().tolist() == wanted


def test_numbers_keep_missing_values_missing():
    np.testing.assert_array_equal(as_numbers(pa.array([True, None]), "x"), [1.0, np.nan])
    np.testing.assert_array_equal(as_numbers(pa.array([None, None]), "x"), [np.nan, np.nan])


# ---- the dictionary


TABLE = {
    "patient_id": [f"p{i}" for i in range(100)],
    "age": np.linspace(18.2, 97.4, 100),
    "loss": -np.linspace(0.5, 42, 100),
    "smoker": np.arange(100) % 2,
    "sex": ["f", "m"] * 50,
    "rare": ["usual"] * 97 + ["Wang"] * 3,
    "note": [f"text {i}" for i in range(100)],
    "seen": np.array(["2024-01-31"] * 100, "datetime64[D]"),
    "nothing": pa.nulls(100),
}


def test_types_are_proposed():
    proposal = propose(memory_table(TABLE), 10)
    types = {name: column.type for name, column in proposal.columns.items()}
    assert types == {
        "patient_id": "person", "age": "number", "loss": "number", "smoker": "flag", "sex": "category",
        "rare": "category", "seen": "date", "nothing": "number",
    }  # fmt: skip
    assert proposal.notes == (
        "rare: 1 level(s) held by fewer than 10 rows are not listed; merge or correct them.",
        "note: more than 50 different words; left out, since text cannot be analysed. "
        "If it identifies persons, give it `type: person`.",
    )


def test_no_rare_word_and_no_extreme_value_is_proposed():
    columns = propose(memory_table(TABLE), 10).columns
    assert columns["rare"].levels == ("usual",)
    for name in ("age", "loss"):
        assert columns[name].low < min(TABLE[name])
        assert columns[name].high > max(TABLE[name]) or columns[name].high == 0.0 or max(TABLE[name]) < 0
    text = str(columns)
    assert "Wang" not in text
    assert all(str(value) not in text for name in ("age", "loss") for value in (TABLE[name][0], TABLE[name][-1]))


@given(st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=3, max_size=30))
def test_a_proposed_range_holds_the_values_and_is_round(values):
    column = propose(memory_table({"x": [*values, 2.5, 3.5]}), 10).columns["x"]
    assert column.low <= min(values)
    assert column.high >= max(values)
    check(memory_table({"x": [*values, 2.5, 3.5]}), {"x": column})
    for end in (column.low, column.high):
        assert end == 0 or f"{abs(end):e}".replace(".000000", "")[0] in "125"


@pytest.mark.parametrize(
    ("columns", "words", "code"),
    [
        ({"bmi": Column("number")}, r"The data have no column 'bmi'\. Take it out of the dictionary", "MISSING_COLUMN"),
        ({"age": Column("number", low=20)}, r"Column 'age' holds a value outside its range in 3 rows", "DATA_INVALID"),
        ({"age": Column("flag")}, r"Column 'age' holds a value outside its range in 100 rows", "DATA_INVALID"),
        ({"rare": Column("category", ("usual",))}, r"a word that is not among its levels in 3 rows", "UNKNOWN_LEVEL"),
        (
            {"sex": Column("number")},
            r"'sex' holds words where numbers are needed in 100 rows, the first is",
            "WRONG_TYPE",
        ),
        ({"seen": Column("number")}, r"Column 'seen' holds dates where numbers are needed", "WRONG_TYPE"),
    ],
)
def test_a_table_that_does_not_keep_to_its_dictionary_is_named_without_a_value(columns, words, code):
    with pytest.raises(DataError, match=words) as caught:
        check(memory_table(TABLE), columns)
    assert caught.value.code == code
    assert "Wang" not in str(caught.value)


def test_an_infinite_value_is_found_when_a_table_is_registered():
    with pytest.raises(DataError, match=r"Column 'x' holds an infinite value in 1 row, row 2 below") as caught:
        check(memory_table({"x": [1.0, np.inf]}), {"x": Column("number")})
    assert caught.value.code == "NOT_FINITE"


def with_words(n, every, word="old", many=60):
    return [word if i % every == every - 1 else str(20 + i % many) for i in range(n)]


def test_one_typo_in_a_column_of_numbers_is_told_with_its_rows():
    """Neither `more than 50 different words` nor, with fewer, a category of ages."""
    for many in (60, 20):
        proposal = propose(memory_table({"age": with_words(1800, 100, many=many), "sex": ["f", "m"] * 900}), 10)
        assert list(proposal.columns) == ["sex"]
        assert proposal.notes[0] == (
            "age: is nearly all numbers, but holds none in 18 rows, the first is row 100 below the header; left out. "
            "Correct these rows in the source, or leave the value empty there, and add the table again with --replace."
        )
    with pytest.raises(DataError, match=r"'age' holds words where numbers are needed in 18 rows, the first is row 100"):
        check(memory_table({"age": with_words(1800, 100)}), {"age": Column("number")})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "3", "9", "U"] * 100, "category"),  # few words are codes
        (["0" + str(i % 40) for i in range(500)] + ["X1"] * 20, ""),  # and so is 007
        ([str(i) for i in range(40)] * 10, ""),  # texts that are all numbers, from a database: as it was
        (with_words(500, 5, many=12), ""),  # a fifth is no typo
        ([f"text {i}" for i in range(100)], ""),
    ],
)
def test_codes_and_texts_are_no_numbers_with_a_typo(values, kind):
    proposal = propose(memory_table({"x": values}), 5)
    assert (proposal.columns["x"].type if "x" in proposal.columns else "") == kind
    assert "nearly all numbers" not in " ".join(proposal.notes)


def test_where_a_row_lies_is_counted_over_the_batches(monkeypatch):
    monkeypatch.setattr(places, "BATCH", 7)
    table = memory_table({"x": with_words(100, 40, "Wang"), "y": [1.0, math.nan, *[2.0] * 96, math.inf, 1.0]})
    assert str(places.without_number(table, "x")) == "in 2 rows, the first is row 40 below the header"
    assert str(places.infinite(table, "y")) == "in 1 row, row 99 below the header"
    assert "Wang" not in str(propose(table, 5))


def test_infinite_values_do_not_register_silently():
    data = {"x": np.where(np.arange(100) % 10 == 3, np.inf, np.arange(100.0)), "y": np.arange(100.0)}
    proposal = propose(memory_table(data), 10)
    assert list(proposal.columns) == ["y"]
    assert proposal.notes[0].startswith(
        "x: holds an infinite value in 10 rows, the first is row 4 below the header; left out. Correct these rows"
    )
    assert "x" in propose(memory_table(data), 10, infinite_too=True).columns, "the analysis tells it there"


def test_what_a_study_expects_is_compared_with_what_is_registered():
    own = {"age": Column("number", unit="a"), "sex": Column("category"), "d": Column("flag")}
    wanted = {
        "age": Column("number", unit="mo"),
        "sex": Column("number"),
        "d": Column("number"),
        "bmi": Column("number"),
    }
    assert differences(own, wanted) == {
        "age": "is in a here and in mo in the study",
        "sex": "is a category here and a number in the study",
        "bmi": "is not registered here",
    }


def test_only_words_of_the_dictionary_may_leave():
    columns = {
        "sex": Column("category", ("f", "m")),
        "d": Column("flag"),
        "id": Column("person"),
        "x": Column("number"),
    }
    words = words_of(columns)
    assert {"sex=f", "sex=m", "d=0", "d=1", f"sex={OTHER}"} <= words
    assert not {"sex=x", "x=1", "id=p1"} & words
    assert person_column(columns) == "id"
    assert person_column({"x": Column("number")}) is None


def test_levels_are_counted_by_persons_where_they_repeat() -> None:
    data = {"patient_id": np.repeat(np.arange(12), 10), "g": np.repeat(["a", "b"], [90, 30])}
    proposal = propose(memory_table(data), 5)
    assert proposal.columns["g"].levels == ("a",)  # b stands in 30 rows, of three persons
    assert "g: 1 level(s) held by fewer than 5 persons are not listed; merge or correct them." in proposal.notes


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        (Column("date"), ["31.12.2020", "1.1.2021"], "holds no dates. Write dates as 2024-01-31 in the source"),
        (Column("person"), ["p1", None], "does not say which person in 1 rows"),
        (Column("category", ("1", "2")), [1.0, 3.0], "holds a word that is not among its levels in 1 rows"),
    ],
)
def test_what_does_not_keep_to_its_type(column, values, words) -> None:
    with pytest.raises(DataError) as refused:
        check(memory_table({"x": values}), {"x": column})
    assert words in str(refused.value) and refused.value.subject == "x"


def test_a_code_keeps_to_its_level_however_it_is_stored() -> None:
    for values in ([1, 2], [1.0, 2.0], ["1", "2"]):
        check(memory_table({"x": values}), {"x": Column("category", ("1", "2"))})
