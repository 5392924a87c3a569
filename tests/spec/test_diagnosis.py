"""# Diagnosis of a phenotype

The tables of persons that incidence, words, overlap and times are counted from, on every engine.
"""

from __future__ import annotations

import datetime
import json

import pytest

from atoll.cohort.diagnose import MADE, diagnose
from atoll.errors import StudyError
from atoll.features.recipe import with_words
from atoll.study.circe import read
from atoll.study.dataset import Recipe
from atoll.study.diagnosis import TABLES, without_ways
from tests.spec.definitions import concept_set, condition, conditions, definition, drug, drugs, observed, people

NAMES = {
    1: "disease",
    2: "disease of the left",
    3: "another finding",
    4: "a loud DISEASE in general",
    5: "unlike",
    6: "parent",
}
VOCABULARY = {
    "concept": [{"concept_id": n, "concept_name": name, "vocabulary_id": "V", "concept_code": str(n)}
                for n, name in NAMES.items()]
    + [{"concept_id": n, "concept_name": f"code {n}", "vocabulary_id": "ICD10", "concept_code": code}
       for n, code in ((11, "E11.1"), (12, "E11.9"), (13, "E12"), (2_000_000_001, "E11.99"))],
    "concept_ancestor": [
        {"ancestor_concept_id": a, "descendant_concept_id": d, "min_levels_of_separation": n}
        for a, d, n in ((1, 1, 0), (1, 2, 1), (6, 1, 1), (6, 3, 1), (6, 2, 2), (6, 6, 0))
    ],
    "concept_relationship": [
        {"concept_id_1": 11, "concept_id_2": 1, "relationship_id": "Maps to"},
        {"concept_id_1": 1, "concept_id_2": 1, "relationship_id": "Maps to"},
    ],
}  # fmt: skip
SETS = {"ConceptSets": [concept_set(1, 1, descendants=True), concept_set(2, 5)]}
DAY_0 = datetime.date(1970, 1, 1)


def day(text: str) -> float:
    return float((datetime.date.fromisoformat(text) - DAY_0).days)


def made(engine, what, rows, document, second=None, **options):
    with engine.workspace(VOCABULARY | rows) as workspace:
        others = [read(json.dumps(second))] if second else []
        return diagnose(workspace, what, read(json.dumps(document)), *others, **options).to_pydict()


def test_entries_are_the_first_periods_with_the_concept_that_began_them(engine):
    """1 began by the record of the lower id · 2 by a drug of the second criterion · 2's second period is left out"""
    rows = {
        "observation_period": observed((1, "2020-01-01", "2020-12-31"), (2, "2019-06-01", "2020-03-01")),
        "condition_occurrence": conditions((1, 2, "2020-03-01", "2020-03-11"), (1, 1, "2020-03-01", "2020-03-05")),
        "drug_exposure": drugs((2, 5, "2020-01-01", "2020-01-02"), (2, 5, "2020-02-01", "2020-02-02")),
    }
    document = definition(
        condition(1), drug(2), **SETS, EndStrategy={"DateOffset": {"DateField": "EndDate", "Offset": 0}}
    )
    assert made(engine, "entries", rows, document) == {
        "person": [1, 2],
        "concept": ["2 disease of the left", "5 unlike"],
        "before": [60.0, 214.0],
        "after": [305.0, 60.0],
        "within": [10.0, 1.0],
    }


def test_time_at_risk_begins_after_the_days_that_entry_asks_for_and_ends_with_the_first_entry(engine):
    """1 enters · 2 never does · 3 is seen too shortly · 4 in two overlapping periods, told once · 5 enters later"""
    rows = {
        "person": people((1, 1950, 8532), (2, 1960, 8507), (3, 1970, 8507), (4, 1980, 0), (5, 1990, 8532)),
        "observation_period": observed(
            (1, "2018-01-01", "2020-12-31"), (2, "2018-01-01", "2019-12-31"), (3, "2020-01-01", "2020-03-01"),
            (4, "2018-01-01", "2019-12-31"), (4, "2018-06-01", "2020-12-31"),
            (5, "2016-01-01", "2017-12-31"), (5, "2018-01-01", "2020-12-31"),
        ),
        "condition_occurrence": conditions((1, 1, "2019-06-01"), (1, 1, "2020-06-01"), (5, 1, "2020-01-01")),
    }  # fmt: skip
    document = definition(condition(1), **SETS, prior=365)
    assert made(engine, "risk", rows, document) == {
        "person": [1, 2, 4, 4, 5, 5],
        "sex": ["female", "male", None, None, "female", "female"],
        "born": [1950.0, 1960.0, 1980.0, 1980.0, 1990.0, 1990.0],
        "enters": [
            day(d) for d in ("2019-01-01", "2019-01-01", "2019-01-01", "2020-01-01", "2016-12-31", "2019-01-01")
        ],
        "leaves": [
            day(d) for d in ("2019-06-01", "2019-12-31", "2019-12-31", "2020-12-31", "2017-12-31", "2020-01-01")
        ],
        "event": [1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    }


def test_orphan_codes_are_in_use_near_the_sets_and_outside_them(engine):
    """3 a sibling · 4 by its name · 6 the parent · 12 and the hospital's own by the code's beginning · 13 not near

    Behind each stands why it is near; the hospital's own name of a concept stands only in what stays there.

    A record whose standard concept is in the set is no orphan, whatever its source concept.
    """
    source = {"condition_source_concept_id": 12}
    rows = {
        "condition_occurrence": conditions(
            (1, 3, "2020-01-01"), (1, 3, "2020-02-01"), (2, 4, "2020-01-01"), (3, 6, "2020-01-01"),
            (4, 0, "2020-01-01", None, source), (5, 1, "2020-01-01", None, source), (6, 5, "2020-01-01"),
            (7, 0, "2020-01-01", None, {"condition_source_concept_id": 13}),
            (8, 3, "2020-01-01", None, {"condition_source_concept_id": 2_000_000_001}),
        ),
    }  # fmt: skip
    assert made(engine, "codes", rows, definition(condition(1), **SETS)) == {
        "person": [1, 2, 3, 4, 8],
        "code": [
            "3 another finding [relative]",
            "4 a loud DISEASE in general [name]",
            "6 parent [relative]",
            "12 code 12 [code]",
            "2000000001 [code]",
        ],
    }
    here = made(engine, "codes", rows, definition(condition(1), **SETS), own_names=True)
    assert here["code"][-1] == "2000000001 code 2000000001 [code]"


def test_a_code_that_is_near_in_two_ways_says_both(engine):
    """4 is a child of the parent of 1, and its name holds that of 1."""
    child = {"ancestor_concept_id": 6, "descendant_concept_id": 4, "min_levels_of_separation": 1}
    near = {"concept_ancestor": [*VOCABULARY["concept_ancestor"], child]}
    rows = near | {"condition_occurrence": conditions((2, 4, "2020-01-01"))}
    found = made(engine, "codes", rows, definition(condition(1), **SETS))
    assert found["code"] == ["4 a loud DISEASE in general [relative, name]"]
    assert without_ways(found["code"][0]) == ("4 a loud DISEASE in general", ("relative", "name"))
    assert without_ways("4 a name [of its own]") == ("4 a name [of its own]", ())


def test_a_concept_that_the_vocabulary_does_not_name_is_called_as_the_definition_does(engine):
    """Loading calls a concept `V 1`, by vocabulary and code, where nobody gave its name."""
    nameless = [{**one, "concept_name": {1: "V 1", 2: None}.get(one["concept_id"], one["concept_name"])}
                for one in VOCABULARY["concept"]]  # fmt: skip
    rows = {
        "concept": nameless,
        "observation_period": observed((1, "2020-01-01", "2020-12-31"), (2, "2020-01-01", "2020-12-31")),
        "condition_occurrence": conditions((1, 1, "2020-03-01"), (2, 2, "2020-03-01")),
    }
    document = definition(condition(1), **SETS)
    document["ConceptSets"][0]["expression"]["items"][0]["concept"]["CONCEPT_NAME"] = "the illness"
    assert made(engine, "entries", rows, document)["concept"] == ["1 the illness", "2"]


def test_an_overlap_has_a_row_for_each_person_of_either_cohort(engine):
    rows = {
        "observation_period": observed(*((p, "2020-01-01", "2020-12-31") for p in (1, 2, 3, 4))),
        "condition_occurrence": conditions((1, 1, "2020-02-01"), (2, 1, "2020-02-01"), (2, 2, "2020-03-01")),
        "drug_exposure": drugs((2, 5, "2020-02-01"), (3, 5, "2020-02-01")),
    }
    first, second = definition(condition(1), **SETS), definition(drug(2), **SETS)
    assert made(engine, "overlap", rows, first, second) == {
        "person": [1, 2, 3], "first": [1.0, 1.0, 0.0], "second": [0.0, 1.0, 1.0],
    }  # fmt: skip
    with pytest.raises(StudyError, match="An overlap is of two cohorts"):
        made(engine, "overlap", rows, first)


def test_nobody_gives_tables_without_a_row_and_with_every_column(engine):
    for what in TABLES:
        found = made(engine, what, {}, definition(condition(1), **SETS), definition(drug(2), **SETS))
        assert found == {name: [] for name in TABLES[what]}, what


def test_the_words_of_an_open_category_are_those_of_the_table(engine):
    rows = {"condition_occurrence": conditions((1, 3, "2020-01-01"), (2, 4, "2020-01-01"))}
    document = json.dumps(definition(condition(1), **SETS))
    recipe = Recipe(document, None, "codes")
    with engine.workspace(VOCABULARY | rows) as workspace:
        table = diagnose(workspace, "codes", recipe.definition)
    assert with_words(table, recipe, recipe.dictionary())["code"].levels == (
        "3 another finding [relative]",
        "4 a loud DISEASE in general [name]",
    )


def test_every_table_of_a_diagnosis_is_made_and_no_other():
    """A name that nobody makes must not become the table of somebody else."""
    assert set(MADE) == set(TABLES)
    with pytest.raises(StudyError, match=r"not diagnosed by 'gaps'\. Give one of entries, risk, codes, overlap"):
        diagnose(None, "gaps", None)  # type: ignore[arg-type]
