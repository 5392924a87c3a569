"""Rows as an algorithm sees them: complete cases, persons, and who stands behind a design."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import DataError
from atoll.features.chunks import chunks, empty_column
from atoll.features.table import memory_table
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View

COLUMNS = {
    "x": Column("number"),
    "z": Column("number"),
    "d": Column("flag"),
    "e": Column("flag"),
    "g": Column("category", ("u", "v", "w")),
    "id": Column("person"),
    "t": Column("number"),
}


def rows_of(table, view, columns=COLUMNS, size=None, minimum=10):
    columns = {name: column for name, column in columns.items() if name in table or column.type != "person"}
    return list(chunks(memory_table(table), view, columns, "north", minimum, size))


def designed(formula, table, size=None, columns=COLUMNS, minimum=10, **more):
    design = resolve(parse(formula), Facts(), columns, ("north", "river"), intercept=True)
    return rows_of(table, View(design=design, **more), columns, size, minimum)


def test_a_row_counts_when_every_column_of_the_view_is_there():
    table = {
        "x": [1.0, None, 3.0, float("nan"), 5.0],
        "g": ["u", "v", None, "u", "w"],
        "z": [None, 1.0, 1.0, 1.0, 1.0],
    }
    (rows,) = rows_of(table, View(columns=("x", "g")))
    assert rows.n == 2
    np.testing.assert_array_equal(rows.column("x"), [1.0, 5.0])
    assert list(rows.column("g")) == ["u", "w"]
    (every,) = rows_of(table, View(columns=("x", "g"), complete=False))
    assert every.n == 5


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=40), st.integers(1, 10))
def test_chunks_hold_every_complete_row_once(values, size):
    table = {"x": pa.array(values, pa.float64()), "z": list(range(len(values)))}
    parts = rows_of(table, View(columns=("x", "z")), size=size)
    assert all(part.n <= size for part in parts)
    got = [z for part in parts for z in part.column("z")]
    assert got == [i for i, value in enumerate(values) if value is not None]


@pytest.mark.parametrize("size", [None, 3])
def test_a_table_without_rows_is_one_empty_chunk(size):
    table = pa.table({"x": pa.array([], pa.float64()), "g": pa.array([], pa.string())})
    design = resolve(parse("x ~ g"), Facts(), COLUMNS, ("north",))
    (rows,) = chunks(memory_table(table), View(design=design, outcome="x"), dict_without_person(), "north", 10, size)
    assert rows.n == 0
    assert rows.X.shape == (0, 3)
    assert rows.y.shape == (0,)


def dict_without_person():
    return {name: column for name, column in COLUMNS.items() if column.type != "person"}


@pytest.mark.parametrize("missing", ["nowhere", "unlisted"])
def test_a_column_counts_only_when_table_and_dictionary_have_it(missing):
    table = {"x": [1.0], "unlisted": [1.0]}
    columns = {"x": Column("number"), "nowhere": Column("number")}
    with pytest.raises(DataError, match=rf"The dataset has no column '{missing}'\. Add the column") as caught:
        list(chunks(memory_table(table), View(columns=("x", missing)), columns, "north", 1, None))
    assert (caught.value.code, caught.value.subject) == ("MISSING_COLUMN", missing)


def read(table, formula="x ~ z", **more):
    (rows,) = designed(formula, table, **more)
    return rows.X, rows.y


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ([1.0, float("inf")], "NOT_FINITE"),
        ([1.0, float("-inf")], "NOT_FINITE"),
        (["1", "2"], "WRONG_TYPE"),
        (pa.array([1, 2], pa.date32()), "WRONG_TYPE"),
        (pa.array([1, 2], pa.timestamp("s")), "WRONG_TYPE"),
        (pa.array([b"1", b"2"]), "WRONG_TYPE"),
        (pa.array([[1], [2]]), "WRONG_TYPE"),
    ],
)
def test_a_number_that_is_none_names_its_column(column, code):
    with pytest.raises(DataError, match=r"'z'") as caught:
        read({"x": [1.0, 2.0], "z": column})
    assert (caught.value.code, caught.value.subject) == (code, "z")


@pytest.mark.parametrize(
    "column",
    [[1, 2], [True, False], pa.array([1, 2], pa.int8()), pa.array([1, 2], pa.uint64()), pa.array([1, 2], pa.float32()),
     pa.array([1, 2]).cast(pa.decimal128(25, 2)), pa.chunked_array([[1.0], [0.0]])],
)  # fmt: skip
def test_every_kind_of_number_is_a_number(column):
    X, _ = read({"x": [1.0, 2.0], "z": column})
    assert X[0, 1] == 1.0


@pytest.mark.parametrize("formula", ["x ~ log(z)", "x ~ sqrt(z)", "x ~ I(1 / z)", "x ~ I(z ** -3)"])
def test_a_term_that_is_not_finite_is_named(formula):
    with pytest.raises(DataError, match=r"The term .* is not finite for some patients\. .*positive") as caught:
        read({"x": [1.0, 2.0, 3.0], "z": [-1.0, 0.0, 5.0]}, formula, minimum=1)
    assert caught.value.subject == "z"
    with pytest.raises(DataError, match=r"The term .* is not finite for every value that the dictionary allows"):
        read({"x": [1.0, 2.0, 3.0], "z": [0.1, 0.2, 0.3]}, formula)  # under a threshold the data do not decide
    positive = COLUMNS | {"z": Column("number", low=0.001, high=0.5)}
    assert read({"x": [1.0, 2.0, 3.0], "z": [0.1, 0.2, 0.3]}, formula, columns=positive)[0].shape == (3, 2)


def test_large_numbers_are_not_taken_for_infinite():
    X, _ = read({"x": [1.0, 2.0], "z": [1e308, 1e308]})
    assert np.isfinite(X).all()


def test_a_level_outside_the_study_is_an_error_without_its_name():
    with pytest.raises(DataError) as caught:
        read({"x": [1.0, 2.0], "g": ["u", "Wang Fang"]}, "x ~ g")
    assert (caught.value.code, caught.value.subject) == ("UNKNOWN_LEVEL", "g")
    assert "Wang" not in str(caught.value)


@pytest.mark.parametrize("values", [["1", "2", "1"], [1, 2, 1], [1.0, 2.0, 1.0]])
def test_a_category_may_be_words_or_codes(values):
    columns = COLUMNS | {"g": Column("category", ("1", "2"))}
    (rows,) = designed("x ~ g", {"x": [1.0, 2.0, 3.0], "g": values}, columns=columns)
    np.testing.assert_array_equal(rows.X[:, 1], [0, 1, 0])


def test_codes_with_many_digits_stay_apart():
    columns = COLUMNS | {"g": Column("category", ("1234567", "1234568"))}
    (rows,) = designed("x ~ g", {"x": [1.0, 2.0], "g": [1234567.0, 1234568.0]}, columns=columns)
    np.testing.assert_array_equal(rows.X[:, 1], [0, 1])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"t": [-1.0, 2.0], "e": [0, 1]}, "A follow-up time is negative"),
        ({"t": [1.0, 2.0], "e": [0, 2]}, "An event must be 0 or 1"),
        ({"t": [1.0, 2.0], "e": [0.5, 1]}, "An event must be 0 or 1"),
    ],
)
def test_times_and_events_are_checked(table, words):
    (rows,) = rows_of(table, View(time="t", event="e"))
    with pytest.raises(DataError, match=words):
        _ = rows.time, rows.event


def test_an_all_missing_column_is_found():
    table = memory_table({"x": [1.0, 2.0], "z": pa.array([None, None], pa.float64()), "g": ["u", None]})
    assert empty_column(table, View(columns=("x", "g", "z")), dict_without_person()) == "z"
    assert empty_column(table, View(columns=("x", "g")), dict_without_person()) == ""


# ---- persons


def visits():
    """Twelve persons with three rows each."""
    r = np.random.default_rng(0)
    return {"id": np.repeat(np.arange(12), 3), "x": r.normal(size=36), "d": np.tile([1, 0, 0], 12), "e": [1, 0] * 18}


def test_thirty_rows_of_one_person_are_one_person():
    table = {"id": [7] * 30, "x": np.arange(30.0)}
    (rows,) = rows_of(table, View(columns=("x",)), size=10)
    assert (rows.n, rows.persons()) == (30, 1)
    assert rows.persons_per(np.zeros(30, dtype=np.int64), 1).tolist() == [1]


def test_persons_are_counted_once_a_cell_and_all_rows_come_at_once():
    (rows,) = rows_of(visits(), View(columns=("x", "d")), size=5)
    assert (rows.n, rows.persons()) == (36, 12)
    assert rows.persons(rows.column("d") == 1) == 12
    assert rows.persons(np.zeros(36, dtype=bool)) == 0
    assert rows.persons_per(rows.column("d").astype(int), 2).tolist() == [12, 12]


@pytest.mark.parametrize("ids", [["a", "b", None, None], [1, 2, 2, 3], ["甲", "乙", "甲", "丙"]])
def test_persons_without_an_id_are_taken_for_one(ids):
    (rows,) = rows_of({"id": ids, "x": [1.0, 2.0, 3.0, 4.0]}, View(columns=("x",)))
    assert rows.persons() == 3


def test_a_table_without_repeats_counts_rows():
    (rows,) = rows_of({"id": [1, 2, 3], "x": [1.0, 2.0, 3.0]}, View(columns=("x",)))
    assert rows.persons() == 3


# ---- who stands behind a design

FORMULAS = [
    "x ~ g",
    "x ~ d + e",
    "x ~ g * d",
    "x ~ z:g",
    "x ~ z + z:d",
    "x ~ d + I(d + e)",
    "x ~ g:d - 1",
    "x ~ z + site",
]


@pytest.mark.parametrize("formula", FORMULAS)
@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_witness_of_chunks_is_that_of_all_rows(formula, seed):
    table = random_table(seed, 60)
    (whole,) = designed(formula, table, outcome="x")
    parts = designed(formula, table, size=7, outcome="x")
    together: dict[str, np.ndarray] = {}
    for part in parts:
        for name, cells in part.behind_design().items():
            together[name] = together.get(name, 0) + cells
    assert together.keys() == whole.behind_design().keys()
    for name, cells in whole.behind_design().items():
        np.testing.assert_array_equal(together[name], cells)


@pytest.mark.parametrize("formula", FORMULAS)
@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_persons_with_one_row_each_are_counted_as_rows_are(formula, seed):
    table = random_table(seed, 40)
    (by_rows,) = designed(formula, table, outcome="x")
    twice = {name: np.concatenate([values, values]) for name, values in table.items()} | {
        "id": np.tile(np.arange(40), 2)
    }
    (by_persons,) = designed(formula, twice, outcome="x")
    for name, cells in by_rows.behind_design().items():
        np.testing.assert_array_equal(by_persons.behind_design()[name], cells)


def random_table(seed, n):
    r = np.random.default_rng(seed)
    return {
        "x": r.normal(size=n),
        "z": r.normal(size=n) * (r.random(n) < 0.8),
        "d": (r.random(n) < 0.5).astype(float),
        "e": (r.random(n) < 0.3).astype(float),
        "g": r.choice(["u", "v", "w"], n),
    }


def smallest(formula, table):
    """The smallest number of persons, other than nobody, behind a design."""
    (rows,) = designed(formula, table, outcome="x", columns=COLUMNS | {"z": Column("number", low=0.5, high=200)})
    cells = np.concatenate([np.zeros(1, np.int64), *rows.behind_design().values()])
    return min((int(n) for n in cells if n), default=0)


BASE = {"x": np.arange(100.0), "z": np.arange(1.0, 101.0)}
TWIN = {"d": (np.arange(100) < 50) * 1.0, "e": (np.arange(100) < 51) * 1.0}  # e is d and one person more


@pytest.mark.parametrize(
    ("formula", "more"),
    [
        ("x ~ d", {"d": (np.arange(100) < 1) * 1.0}),
        ("x ~ d", {"d": (np.arange(100) < 99) * 1.0}),
        ("x ~ d + e", TWIN),
        ("x ~ I(d + e)", TWIN),
        ("x ~ d + I(1000 * d + e + z)", TWIN),
        ("x ~ d:z", {"d": (np.arange(100) < 1) * 1.0}),
        ("x ~ d:z + e", TWIN),
        ("x ~ log(z):d + log(z):e", TWIN),
        ("x ~ g:z", {"g": ["u"] * 49 + ["v"] * 50 + ["w"]}),
        ("x ~ g + g:z", {"g": ["u"] * 49 + ["v"] * 50 + ["w"]}),
        ("x ~ d:e", {"d": np.tile([1.0, 0.0], 50), "e": (np.arange(100) < 1) * 1.0}),
        ("x ~ z", {"z": (np.arange(100) < 1) * 5.5}),
        ("x ~ z + d", {"z": (np.arange(100) < 51) * 5.5, "d": (np.arange(100) >= 50) * 1.0}),
        ("x ~ bs(z, knots=[50, 98.5, 99.5], degree=1, lower_bound=0, upper_bound=101)", {}),
    ],
)
def test_a_design_that_singles_one_person_out_has_a_cell_of_one(formula, more):
    assert smallest(formula, BASE | more) == 1


def test_an_ordinary_design_has_no_small_cell():
    table = BASE | {"d": np.tile([1.0, 0.0], 50), "g": (["u"] * 30 + ["v"] * 70)}
    assert smallest("x ~ z + d + g + z:g + bs(z, knots=[50], lower_bound=0, upper_bound=101)", table) >= 10


def test_what_is_the_hospitals_alone_is_nobodys():
    assert smallest("x ~ z + site", BASE) == 100


def test_a_flag_is_witnessed_with_its_zeros_and_a_number_by_its_others():
    table = BASE | {"d": (np.arange(100) < 97) * 1.0}
    (rows,) = rows_of(table, View(columns=("d", "z", "x")))
    behind = rows.behind_columns(("d", "z", "x"))
    assert behind["d"].tolist() == [97, 3]
    assert behind["z"].tolist() == [100, 99, 98], "with a value, other than the middle, than the two commonest"
    assert behind["x"].tolist() == [99, 99, 98]
