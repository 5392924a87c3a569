"""# Large sparse features

Every concept, or group of concepts, of a domain is a column: which ones, with which ids and cells, on every engine.
"""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import DataError
from atoll.features.sparse import extract
from atoll.study.nodes import Problems
from atoll.study.sparse import SparseSet, read
from tests.cdm import Engine
from tests.spec.definitions import conditions, drugs

INDEX = datetime.date(2020, 6, 1)
OWN = 2_000_000_007
VOCABULARY = {
    "concept": [
        {"concept_id": 1, "concept_name": "one"}, {"concept_id": 2, "concept_name": "two"},
        {"concept_id": OWN, "concept_name": "the hospital's own"},
        {"concept_id": 11, "concept_name": "a code", "vocabulary_id": "ICD10CM", "concept_code": "E11.9"},
        {"concept_id": 12, "concept_name": "the same elsewhere", "vocabulary_id": "ICD10CN", "concept_code": "E11.900"},
        {"concept_id": 13, "concept_name": "Type 2 diabetes", "vocabulary_id": "ICD10", "concept_code": "E11"},
        {"concept_id": 21, "concept_name": "metformin", "vocabulary_id": "RxNorm", "concept_code": "6809"},
        {"concept_id": 31, "concept_name": "Biguanides", "vocabulary_id": "ATC", "concept_code": "A10BA"},
        {"concept_id": 32, "concept_name": "Diabetes", "vocabulary_id": "ATC", "concept_code": "A10"},
    ],
    "concept_ancestor": [
        {"ancestor_concept_id": a, "descendant_concept_id": 21} for a in (21, 31, 32)
    ],
}  # fmt: skip


def on(day: int) -> datetime.date:
    return INDEX + datetime.timedelta(days=day)


def cohort(*persons: int) -> pa.Table:
    return pa.table(
        {
            "subject_id": pa.array(persons, pa.int64()),
            "cohort_start_date": pa.array([INDEX] * len(persons), pa.date32()),
        }
    )


def found(engine: Engine, rows, text, *persons, only=None):
    """Cells as {(row, key): value}, and the columns by key."""
    with engine.workspace(VOCABULARY | rows) as workspace:
        table = extract(workspace, cohort(*persons), read(text), only)
    columns = {row["feature"]: row for row in table.columns.to_pylist()}
    cells = table.cells.to_pylist()
    assert cells == sorted(cells, key=lambda cell: (cell["row"], cell["feature"]))
    assert all(cell["person"] == persons[cell["row"]] for cell in cells)
    named = {(cell["row"], columns[cell["feature"]]["key"]): cell["value"] for cell in cells}
    return named, {row["key"]: row for row in columns.values()}, table


def test_every_concept_that_enough_persons_have_is_a_column(engine):
    """Concept 1 of two persons, 2 of one; a hospital's own concept and none have no column"""
    rows = {"condition_occurrence": conditions(
        (1, 1, on(-3)), (1, 1, on(-1)), (2, 1, on(-2)), (2, 2, on(-2)), (1, OWN, on(-1)), (2, OWN, on(-1)),
        (1, 0, on(-1)), (2, 0, on(-1)),
    )}  # fmt: skip
    cells, columns, _ = found(engine, rows, "least: 2\nsets: {d: {from: condition}}", 1, 2, 3)
    assert cells == {(0, "1"): 1.0, (1, "1"): 1.0}
    assert columns["1"]["name"] == "one" and columns["1"]["persons"] == 2 and columns["1"]["set"] == "d"
    cells, columns, _ = found(engine, rows, "least: 1\nsets: {d: {from: condition, as: count}}", 1, 2, 3)
    assert cells == {(0, "1"): 2.0, (1, "1"): 1.0, (1, "2"): 1.0}


def test_persons_are_counted_and_not_their_index_dates(engine):
    rows = {"condition_occurrence": conditions((1, 1, on(-3)))}
    assert found(engine, rows, "least: 2\nsets: {d: {from: condition}}", 1, 1)[0] == {}
    assert found(engine, rows, "least: 1\nsets: {d: {from: condition}}", 1, 1)[0] == {(0, "1"): 1.0, (1, "1"): 1.0}


def test_a_window_ends_at_the_index_date_at_the_latest(engine):
    rows = {"condition_occurrence": conditions(*((1, 1, on(day)) for day in (-40, -30, 0, 1)), (1, 2, on(1)))}
    text = "least: 1\nsets: {{d: {{from: condition, as: days, window: {}}}}}"
    for window, days in (("[null, 0]", 3), ("[-30, 0]", 2), ("[-30, -1]", 1), ("[-39, -31]", None)):
        cells = found(engine, rows, text.format(window), 1)[0]
        assert cells == ({} if days is None else {(0, "1"): float(days)}), window
    with pytest.raises(Problems, match=r"sets\.d\.window: the window ends 1 days after the index date"):
        read(text.format("[-30, 1]"))


def test_a_group_of_icd10_is_that_of_the_sources_code_in_whichever_edition(engine):
    source = "condition_source_concept_id"
    rows = {"condition_occurrence": conditions(
        (1, 1, on(-1), None, {source: 11}), (2, 1, on(-1), None, {source: 12}), (3, 1, on(-1), None, {source: 1}),
    )}  # fmt: skip
    cells, columns, _ = found(engine, rows, "least: 2\nsets: {d: {from: condition, each: icd3}}", 1, 2, 3)
    assert cells == {(0, "E11"): 1.0, (1, "E11"): 1.0} and columns["E11"]["name"] == "Type 2 diabetes"


def test_a_class_of_atc_holds_the_drugs_below_it(engine):
    rows = {"drug_exposure": drugs((1, 21, on(-1)), (1, 21, on(-2)))}
    text = "least: 1\nsets: {four: {from: drug, each: atc4, as: count}, two: {from: drug, each: atc2}}"
    cells, columns, _ = found(engine, rows, text, 1)
    assert cells == {(0, "A10BA"): 2.0, (0, "A10"): 1.0}
    assert (columns["A10BA"]["name"], columns["A10BA"]["set"], columns["A10"]["set"]) == ("Biguanides", "four", "two")


def test_a_list_of_columns_makes_the_same_columns_elsewhere(engine):
    here = {"condition_occurrence": conditions((1, 1, on(-3)), (2, 1, on(-1)), (2, 2, on(-1)))}
    text = "least: 2\nsets: {d: {from: condition}}"
    _, columns, _ = found(engine, here, text, 1, 2)
    there = {"condition_occurrence": conditions((5, 1, on(-3)), (6, 2, on(-1)))}
    cells, same, table = found(engine, there, text, 5, 6, only={columns["1"]["feature"]})
    assert cells == {(0, "1"): 1.0} and same["1"]["feature"] == columns["1"]["feature"]
    assert table.matrix().toarray().tolist() == [[1.0], [0.0]]


def test_nobody_and_nothing_give_no_cells(engine):
    cells, columns, table = found(engine, {}, "sets: {d: {from: condition}, m: {from: measurement}}", 1)
    assert (cells, columns, table.rows) == ({}, {}, 1)
    assert found(engine, {}, "sets: {d: {from: condition}}")[2].matrix().shape == (0, 0)


def test_an_id_is_that_of_the_meaning_and_not_of_the_name():
    """Pinned: the ids of columns stand in files of many hospitals."""
    first = SparseSet("a", "condition", "concept", (-365, 0), "any")
    assert first.id_of("201826") == 4768522345447579106
    assert SparseSet("b", "condition", "concept", (-365, 0)).id_of("201826") == 4768522345447579106
    others = [
        SparseSet("a", "drug", "concept", (-365, 0)), SparseSet("a", "condition", "icd3", (-365, 0)),
        SparseSet("a", "condition", "concept", (-364, 0)), SparseSet("a", "condition", "concept", (-365, 0), "count"),
    ]  # fmt: skip
    assert len({first.id_of("1"), first.id_of("2"), *(one.id_of("1") for one in others)}) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sets: {d: {from: drug, each: icd3}}", r"sets\.d\.each: a drug has no group 'icd3'\. Write `from: condition`"),
        ("sets: {d: {from: condition, each: atc3}}", r"a condition has no group 'atc3'\. Write `from: drug`"),
        ("sets: {d: {from: weather}}", r"sets\.d\.from"),
        ("sets: {a: {from: drug}, b: {from: drug}}", r"sets\.b: another set says the same\. Leave one of them out"),
        ("least: 0\nsets: {d: {from: drug}}", "least: 0 is outside 1 to"),
        ("least: 5", "sets: this key is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(Problems, match=said):
        read(text)


def test_what_the_cdm_lacks_is_named(engine):
    with engine.workspace(VOCABULARY) as workspace:
        workspace._columns["drug_exposure"] = None
        with pytest.raises(DataError, match=r"The CDM has no table 'drug_exposure'\. Load it"):
            extract(workspace, cohort(1), read("sets: {d: {from: drug}}"))


@pytest.fixture(scope="module")
def duckdb_alone(tmp_path_factory):
    one = Engine("duckdb", tmp_path_factory.mktemp("sparse") / "cdm")
    yield one
    one.close()


@given(
    seed=st.integers(0, 10**6), least=st.integers(1, 6), first=st.sampled_from([None, -20, -3]), last=st.integers(-2, 0)
)
@settings(max_examples=25, deadline=None)
def test_cells_are_those_of_a_plain_count(duckdb_alone, seed, least, first, last):
    r = np.random.default_rng(seed)
    records = [(int(r.integers(1, 9)), int(r.integers(1, 3)), on(int(r.integers(-30, 5)))) for _ in range(60)]
    low = "null" if first is None else first
    text = f"least: {least}\nsets: {{d: {{from: condition, as: count, window: [{low}, {last}]}}}}"
    cells, columns, _ = found(duckdb_alone, {"condition_occurrence": conditions(*records)}, text, *range(1, 9))
    true: dict[tuple[int, str], float] = {}
    for person, concept, day in records:
        if (first is None or day >= on(first)) and day <= on(last):
            true[person - 1, str(concept)] = true.get((person - 1, str(concept)), 0.0) + 1
    kept = {key for _, key in true if sum(k == key for _, k in true) >= least}
    assert cells == {place: n for place, n in true.items() if place[1] in kept} and set(columns) == kept
