"""# Marks of tables

A table's mark is another one when a row is, and the same in whatever order rows lie, on every engine.
"""

from __future__ import annotations

from atoll.cdm.marks import mark, rows_of
from tests.spec.conftest import VOCABULARY
from tests.spec.definitions import conditions

ROWS = conditions((1, 1, "2020-01-01"), (2, 2, "2020-01-02", "2020-01-05"), (3, 1, "2020-01-03"))


def marked(engine, rows, table="condition_occurrence"):
    with engine.workspace(VOCABULARY | {"condition_occurrence": rows}) as workspace:
        return mark(workspace, table)


def test_a_mark_follows_the_rows_and_not_their_order(engine):
    first = marked(engine, ROWS)
    assert marked(engine, ROWS[::-1]) == first
    another = [
        ROWS[:2],
        [*ROWS, ROWS[0]],  # a row that is there twice
        [*ROWS[:2], ROWS[2] | {"condition_end_date": "2020-01-03"}],
        [*ROWS[:2], ROWS[2] | {"stop_reason": ""}],
        [ROWS[0] | {"person_id": 2}, ROWS[1] | {"person_id": 1}, ROWS[2]],
        [],
    ]
    marks = [marked(engine, rows) for rows in another]
    assert len({first, *marks}) == 1 + len(another)


def test_a_table_that_is_not_there_has_a_mark_of_its_own(engine):
    assert marked(engine, ROWS, "note_nlp") == "none" != marked(engine, [])


def test_the_engine_says_how_many_rows_it_thinks_a_table_has(engine):
    with engine.workspace(VOCABULARY | {"condition_occurrence": ROWS}) as workspace:
        found = rows_of(workspace, "condition_occurrence")
        assert found in (3, None), "PostgreSQL knows after ANALYZE, Spark never"
        assert rows_of(workspace, "note_nlp") is None
        if engine.name == "duckdb":
            assert found == 3
