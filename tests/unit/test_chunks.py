"""What an algorithm sees of a table: complete rows in chunks, codes, distinct persons, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import CATALOGUE, DataError
from atoll.features.chunks import chunks
from atoll.features.rows import Rows
from atoll.features.table import memory_table
from atoll.study.coding import design_of_terms, resolve
from atoll.study.design import Design, Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View

COLUMNS = {
    "y": Column("flag"),
    "age": Column("number", low=0, high=120),
    "x": Column("number", low=0.01, high=100),
    "sex": Column("category", levels=("female", "male")),
    "arm": Column("category", levels=("a", "b", "c")),
    "code": Column("category", levels=("1", "2", "10")),
    "cp": Column("number"),
    "smoker": Column("flag"),
    "seen": Column("date"),
    "t": Column("number"),
    "e": Column("flag"),
}


def table(n: int = 60, **changes: Any) -> dict[str, Any]:
    r = np.random.default_rng(3)
    made = {
        "y": (np.arange(n) % 3 == 0).astype(float),
        "age": r.normal(60, 9, n),
        "x": r.gamma(2, 1, n) + 0.1,
        "sex": np.array(["female", "male"])[np.arange(n) % 2],
        "arm": np.array(["a", "b", "c"])[np.arange(n) % 3],
        "code": np.array([1, 2, 10])[np.arange(n) % 3],
        "cp": np.array([1.0, 2.0, 3.0])[np.arange(n) % 3],
        "smoker": (np.arange(n) % 4 == 0).astype(np.int8),
        "t": r.exponential(10, n),
        "e": (np.arange(n) % 2).astype(float),
    }
    return made | changes


def design_of(formula: str, **facts: Any) -> Design:
    return resolve(parse(formula), Facts(**facts), COLUMNS, ("bay", "river"))


def rows_of(data: Any, view: View, size: int | None = None, minimum: int = 10, columns: Any = COLUMNS) -> list[Rows]:
    return list(chunks(memory_table(data), view, columns, "bay", minimum, size))


def only(data: Any, view: View, **more: Any) -> Rows:
    (rows,) = rows_of(data, view, **more)
    return rows


def test_rows_with_a_gap_anywhere_are_left_out_everywhere() -> None:
    data = table()
    data["age"][3] = np.nan
    data["sex"] = [None if i == 5 else word for i, word in enumerate(data["sex"])]
    data["smoker"] = pa.array([None if i == 7 else int(v) for i, v in enumerate(data["smoker"])])
    rows = only(data, View(design=design_of("age + sex + smoker"), outcome="y"))
    assert rows.n == 57
    assert rows.X.shape == (57, 4)
    assert rows.y.sum() == np.delete(data["y"], [3, 5, 7]).sum()
    kept = only(data, View(columns=("age", "sex", "smoker"), complete=False))
    assert kept.n == 60
    assert np.flatnonzero(np.isnan(kept.column("age"))).tolist() == [3]
    assert np.flatnonzero(np.isnan(kept.column("smoker"))).tolist() == [7]
    assert [i for i, word in enumerate(kept.column("sex")) if word is None] == [5]


@pytest.mark.parametrize("size", [1, 7, 16, 60, 1000, None])
def test_chunks_hold_the_same_rows(size: int | None) -> None:
    data = table()
    data["age"][3] = np.nan
    view = View(design=design_of("age*sex + bs(x, knots=[1, 2], lower_bound=0, upper_bound=9)"), outcome="y")
    whole = only(data, view)
    parts = rows_of(data, view, size)
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), whole.X)
    np.testing.assert_array_equal(np.concatenate([part.y for part in parts]), whole.y)
    assert sum(part.n for part in parts) == whole.n == 59


def test_pieces_of_an_arrow_table_need_not_be_alike() -> None:
    data = pa.table(table(20_000))
    ragged = pa.concat_tables([data.slice(0, 9_001), data.slice(9_001, 7_000), data.slice(16_001)])
    view = View(design=design_of("age + arm"), outcome="y")
    parts = rows_of(ragged, view, 4_096)
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), only(data, view).X)


def test_a_table_without_rows_has_none() -> None:
    data = {name: np.asarray(values)[:0] for name, values in table().items()}
    rows = only(data, View(design=design_of("age + smoker"), outcome="y"))
    assert rows.n == 0
    assert rows.X.shape == (0, 3)


def test_terms_by_hand() -> None:
    data = table()
    rows = only(data, View(design=design_of("sex:age + C(cp) + site + log(x)", levels={"cp": ("1", "2", "3")})))
    column = dict(zip(rows._view.design.terms, rows.X.T, strict=True))  # type: ignore[union-attr]
    np.testing.assert_array_equal(column["sex[male]:age"], np.where(data["sex"] == "male", data["age"], 0))
    np.testing.assert_array_equal(column["C(cp)[T.3]"], data["cp"] == 3)
    np.testing.assert_array_equal(column["site[T.river]"], np.zeros(60))
    np.testing.assert_array_equal(column["log(x)"], np.log(data["x"]))
    assert rows.X.flags.f_contiguous and rows.X.dtype == np.float64


@pytest.mark.parametrize("stored", [pa.int8(), pa.int64(), pa.float64(), pa.string(), pa.large_string()])
def test_a_code_is_the_same_however_it_is_stored(stored: pa.DataType) -> None:
    codes = pa.array([1, 2, 10, None, 2]).cast(stored)
    data = {"code": codes, "age": np.arange(5.0), "y": np.zeros(5)}
    rows = only(data, View(design=design_of("code"), outcome="y"))
    assert rows.n == 4
    np.testing.assert_array_equal(rows.X[:, 1:], [[0, 0], [1, 0], [0, 1], [1, 0]])
    assert rows.column("code").tolist() == ["1", "2", "10", "2"]


def test_arrow_dictionaries_are_words() -> None:
    data = table(sex=pa.array(table()["sex"]).dictionary_encode())
    rows = only(data, View(design=design_of("sex"), outcome="y"))
    np.testing.assert_array_equal(rows.X[:, 1], np.arange(60) % 2)


def test_an_outcome_may_be_a_category_of_two() -> None:
    assert only(table(), View(design=design_of("age"), outcome="sex")).y.tolist() == [0.0, 1.0] * 30
    assert only(table(e=np.arange(60) % 2 == 1), View(time="t", event="e")).event.tolist() == [0.0, 1.0] * 30
    with pytest.raises(DataError, match="'arm' is a category with 3 levels where two are needed") as refused:
        _ = only(table(), View(design=design_of("age"), outcome="arm")).y
    assert refused.value.code == "WRONG_TYPE"


REFUSED = [
    ({"age": np.array([np.inf] * 60)}, "age", "NOT_FINITE", "'age' holds an infinite value"),
    ({"age": np.array(["x"] * 60)}, "age", "WRONG_TYPE", "'age' holds words where numbers are needed"),
    ({"age": pa.array([None] * 60).cast(pa.date32())}, "age", "WRONG_TYPE", "'age' holds dates where numbers"),
    ({"arm": np.array(["d"] * 60)}, "arm", "UNKNOWN_LEVEL", "'arm' holds a level that the study does not list"),
    ({"x": np.zeros(60)}, "x", "NOT_FINITE", "The term 'log\\(x\\)' is not finite for some patients"),
    ({"x": np.full(60, -1.0)}, "x", "NOT_FINITE", "The term 'log\\(x\\)' is not finite"),
]


@pytest.mark.parametrize(("changes", "subject", "code", "words"), REFUSED)
def test_refusals_name_column_and_code_and_no_value(changes: Any, subject: str, code: str, words: str) -> None:
    view = View(design=design_of("age + arm + log(x)"), outcome="y")
    with pytest.raises(DataError, match=words) as refused:
        _ = only(table(**changes), view).X
    assert (refused.value.code, refused.value.subject) == (code, subject)
    assert code in CATALOGUE and refused.value.remedy


def test_roles_are_checked() -> None:
    with pytest.raises(DataError, match="A follow-up time is negative"):
        _ = only(table(t=np.full(60, -1.0)), View(time="t", event="e")).time
    with pytest.raises(DataError, match="An event must be 0 or 1"):
        _ = only(table(e=np.full(60, 2.0)), View(time="t", event="e")).event
    with pytest.raises(DataError, match="no column 'born'") as refused:
        rows_of(table(), View(columns=("born",)), columns={**COLUMNS, "born": Column("date")})
    assert refused.value.code == "MISSING_COLUMN"


def test_a_gap_hides_no_infinite_value() -> None:
    data = table()
    data["age"][2], data["x"][2] = np.inf, np.nan
    assert only(data, View(columns=("age", "x"))).n == 59  # the row is not complete, so it is not used
    with pytest.raises(DataError, match="infinite"):
        _ = only(data, View(columns=("age",))).n


def test_strata_and_groups_follow_the_given_levels() -> None:
    levels = {"sex": ("male", "female"), "arm": ("c", "b", "a")}
    rows = only(table(6), View(time="t", event="e", group="arm", strata=("site", "sex", "arm"), levels=levels))
    assert rows.group.tolist() == [2, 1, 0, 2, 1, 0]
    assert rows.strata.tolist() == [3 + 2, 0 + 1, 3 + 0, 0 + 2, 3 + 1, 0 + 0]


def test_dates_are_words() -> None:
    data = table(2, seen=pa.array([0, None], pa.int32()).cast(pa.date32()))
    assert only(data, View(columns=("seen",), complete=False)).column("seen").tolist() == ["1970-01-01", None]


# ---- persons ----------------------------------------------------------------------------------------------

PERSONS = COLUMNS | {"who": Column("person")}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.booleans()), min_size=1, max_size=40))
def test_distinct_persons_are_counted(rows: list[tuple[int, int, bool]]) -> None:
    n = len(rows)
    who, arm, smoker = ([row[k] for row in rows] for k in range(3))
    data = table(n, who=pa.array([f"p{k}" for k in who]), arm=np.array(["a", "b", "c"])[arm], smoker=np.array(smoker))
    view = View(design=design_of("arm*smoker"), outcome="y", group="arm", levels={"arm": ("a", "b", "c")})
    (seen,) = rows_of(data, view, 7 if len(set(who)) < n else None, columns=PERSONS)
    assert seen.persons() == len(set(who))
    mask = np.array(smoker)
    assert seen.persons(mask) == len({w for w, s in zip(who, smoker, strict=True) if s})
    expected = [len({w for w, a in zip(who, arm, strict=True) if a == k}) for k in range(3)]
    assert seen.persons_per(seen.group, 3).tolist() == expected


def test_rows_of_one_person_stay_together() -> None:
    data = table(60, who=np.repeat(np.arange(20), 3))
    assert len(rows_of(data, View(columns=("age",)), 7, columns=PERSONS)) == 1
    assert len(rows_of(table(60, who=np.arange(60)), View(columns=("age",)), 7, columns=PERSONS)) == 9


# ---- witnesses --------------------------------------------------------------------------------------------


def smallest(data: Any, formula: str, columns: Any = COLUMNS) -> int:
    """The smallest number of persons, other than none, behind what the sums of a design tell."""
    view = View(design=design_of(formula), outcome="y")
    cells = np.concatenate(list(only(data, view, columns=columns).behind_design().values()))
    return int(cells[cells > 0].min())


def test_a_small_reference_level_is_seen() -> None:
    arm = np.array(["a"] * 3 + ["b"] * 40 + ["c"] * 57)
    assert smallest(table(100, arm=arm, smoker=np.arange(100) % 2), "arm + smoker") <= 3
    assert smallest(table(100, arm=arm), "arm") == 3


def test_a_small_corner_of_two_flags_is_seen() -> None:
    smoker = np.r_[np.ones(50), np.zeros(50)]
    drinker = np.r_[np.ones(48), np.zeros(52)]  # two persons smoke and do not drink
    columns = COLUMNS | {"x": Column("flag")}
    view = View(design=resolve(parse("smoker + x"), Facts(), columns, ("bay",)), outcome="y")
    found = only(table(100, smoker=smoker, x=drinker), view, columns=columns).behind_design()
    assert min(int(cells[cells > 0].min()) for cells in found.values()) == 2


def test_an_indicator_inside_an_interaction_is_seen() -> None:
    sex = np.array(["male"] * 4 + ["female"] * 96)
    assert smallest(table(100, sex=sex), "age + age:sex") == 4
    assert smallest(table(100, smoker=np.r_[np.ones(4), np.zeros(96)]), "I(smoker * age)") == 4


def test_a_two_way_table_in_full() -> None:
    data = table(90, arm=np.array(["a", "b", "c"])[np.arange(90) % 3], smoker=(np.arange(90) % 5 == 0).astype(float))
    view = View(design=design_of("arm + smoker"), outcome="y")
    found = np.concatenate(list(only(data, view).behind_design().values()))
    for word in ("a", "b", "c"):
        for flag in (0.0, 1.0):
            assert int(((data["arm"] == word) & (data["smoker"] == flag)).sum()) in found


def test_witnesses_add_up_over_chunks() -> None:
    data = table(997, arm=np.array(["a", "b", "c"])[np.arange(997) % 3], smoker=(np.arange(997) % 7 == 0).astype(float))
    view = View(design=design_of("arm*smoker + age:arm + sex"), outcome="y")
    whole = only(data, view).behind_design()
    parts = [part.behind_design() for part in rows_of(data, view, 100)]
    for name, cells in whole.items():
        np.testing.assert_array_equal(sum(part[name] for part in parts), cells)


def test_nothing_is_witnessed_where_nothing_is_protected() -> None:
    assert only(table(), View(design=design_of("arm")), minimum=1).behind_design() == {}


def test_a_model_by_names_is_computed_alike() -> None:
    design = design_of("arm*age + log(x)")
    named = design_of_terms(design.terms, Facts(), COLUMNS)
    view, again = View(design=design), View(design=named)
    np.testing.assert_array_equal(only(table(), view).X, only(table(), again).X)
