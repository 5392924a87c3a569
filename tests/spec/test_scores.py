"""What a score says: codes of records, points by group, age and sex. On every engine."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from atoll.errors import DataError
from atoll.features.extract import extract
from atoll.study.feature_words import in_words
from atoll.study.features import read
from atoll.study.nodes import Problems
from atoll.study.score import NAMES, score

INDEX = datetime.date(2020, 6, 1)
CODES = {
    101: ("ICD10", "I21.9"),
    102: ("ICD10CM", "E11.65"),
    103: ("ICD10CN", "E11.200x001"),
    104: ("ICD10", "Z94.0"),
    105: ("ICD10", "I50.0"),
    106: ("ICD10", "G45.9"),
    107: ("ICD9CM", "362.02"),
    108: ("ICD9CM", "250.50"),
    109: ("ICD9CM", "250.41"),
    110: ("ICD10", "F00.1"),
    111: ("ICD10", "G81"),
    112: ("ICD10", "I2"),  # begins with no code of ours, though ours begin with it
}
VOCABULARY = {
    "concept": [{"concept_id": n, "vocabulary_id": v, "concept_code": c} for n, (v, c) in CODES.items()],
    "concept_relationship": [{"concept_id_1": n, "concept_id_2": n + 100, "relationship_id": "Maps to"} for n in CODES],
}
MI, COMPLICATED, UNCOMPLICATED, TRANSPLANT, FAILURE, TIA, BLIND, RETINA, KIDNEY, ALZHEIMER, PALSY, OTHER = (
    201, 203, 202, 204, 205, 206, 207, 208, 209, 210, 211, 212,
)  # fmt: skip


def rows(*records: tuple[int, int, int], born: int = 1950, gender: int = 8532):
    """A CDM with one period a person; a record is (person, concept, days from the index date)."""
    people = sorted({record[0] for record in records} | {1})
    tables = {
        "person": [{"person_id": p, "year_of_birth": born, "gender_concept_id": gender} for p in people],
        "observation_period": [
            {"person_id": p, "observation_period_start_date": "2010-01-01", "observation_period_end_date": "2021-01-01"}
            for p in people
        ],
        "condition_occurrence": [],
        "procedure_occurrence": [],
    }
    for number, (person, concept, offset) in enumerate(records):
        kind = "procedure" if concept == TRANSPLANT else "condition"
        date = "procedure_date" if kind == "procedure" else "condition_start_date"
        tables[f"{kind}_occurrence"].append(
            {
                f"{kind}_occurrence_id": number,
                "person_id": person,
                f"{kind}_concept_id": concept,
                date: INDEX + datetime.timedelta(days=offset),
            }
        )
    return tables


@pytest.fixture
def scored(engine):
    def run(tables, name, persons=(1,), window="", vocabulary=VOCABULARY):
        document = f"features:\n  x: {{from: score, as: {name}{window}}}\n"
        cohort = pa.table({"subject_id": list(persons), "cohort_start_date": [INDEX] * len(persons)})
        with engine.workspace(vocabulary | tables) as workspace:
            return extract(workspace, cohort, read(document)).column("x").to_pylist()

    return run


def test_a_group_counts_its_highest_points_once(scored):
    records = ((1, MI, -900), (1, MI, -10), (1, COMPLICATED, -5), (1, UNCOMPLICATED, 0), (2, UNCOMPLICATED, -5))
    found = scored(rows(*records, (3, OTHER, -5)), "charlson", persons=(1, 2, 3))
    assert found == [3.0, 1.0, 0.0]


def test_a_code_is_followed_into_another_domain(scored):
    assert scored(rows((1, TRANSPLANT, -100)), "charlson") == [2.0]


def test_what_lies_outside_the_window_or_after_the_index_date_counts_nothing(scored):
    tables = rows((1, MI, 1), (1, FAILURE, -400), (1, ALZHEIMER, -30))
    assert scored(tables, "charlson", window=", window: [-365, 0]") == [1.0]
    assert scored(tables, "charlson") == [2.0]


def test_age_and_sex_give_points(scored):
    tables = rows((1, FAILURE, -5), (1, TIA, -5))
    assert scored(tables, "cha2ds2_vasc") == [1 + 2 + 1 + 1.0]  # 70 years, a woman
    assert scored(rows((1, FAILURE, -5), born=1945, gender=8507), "cha2ds2_vasc") == [1 + 2.0]
    assert scored(rows((1, FAILURE, -5), born=1980, gender=8507), "cha2ds2_vasc") == [1.0]
    assert scored(rows((1, FAILURE, -5), gender=0), "cha2ds2_vasc") == [None], "an unknown sex is not guessed"
    assert scored(rows((1, FAILURE, -5), gender=0), "charlson") == [1.0], "and does not matter where it gives no points"


def test_the_complications_of_diabetes_by_severity(scored):
    found = scored(rows((1, RETINA, -1), (1, BLIND, -1), (1, KIDNEY, -1), (2, RETINA, -1)), "dcsi", persons=(1, 2))
    assert found == [2 + 1.0, 1.0]


def test_points_with_decimals_add_up(scored):
    assert scored(rows((1, ALZHEIMER, -1), (1, PALSY, -1)), "hfrs") == [11.5]


def test_a_vocabulary_without_the_codes_is_refused_and_not_nought(scored):
    with pytest.raises(DataError, match="counts codes that this CDM's vocabulary does not hold") as raised:
        scored(rows((1, MI, -1)), "charlson", vocabulary={"concept": [], "concept_relationship": []})
    assert "ICD10 or ICD10CM or ICD10CN" in str(raised.value)


def test_the_column_says_what_it_is():
    features = read("features:\n  x: {from: score, as: charlson, window: [-365, 0]}\n")
    column = features.dictionary()["x"]
    assert (column.type, column.low, column.high, column.label) == ("number", 0.0, 29.0, "Charlson comorbidity index")
    (english,), (chinese,) = (list(in_words(features, language)) for language in ("en", "zh"))
    assert english.startswith("x: Charlson comorbidity index (Charlson 1987") and "365 days before" in english
    assert chinese.startswith("x：查尔森合并症指数（Charlson 1987")


@pytest.mark.parametrize("name", NAMES)
def test_the_highest_score_is_what_everything_at_once_gives(name):
    asked = score(name)
    assert {"charlson": 29, "cha2ds2_vasc": 9, "dcsi": 13, "hfrs": 173.2}[name] == pytest.approx(asked.highest)
    assert asked.title.keys() == {"en", "zh"} and asked.points_from and asked.codes_from
    assert all(part.points > 0 and part.codes for part in asked.parts)


def test_the_id_changes_with_the_table_and_not_with_the_name(monkeypatch):
    one = read("features:\n  x: {from: score, as: dcsi}\n").id_of("x")
    assert one == read("features:\n  y: {from: score, as: dcsi}\n").id_of("y")
    changed = score("dcsi").__class__(**{**vars(score("dcsi")), "id": "0" * 12})
    monkeypatch.setattr("atoll.study.features.score", lambda name: changed)
    assert one != read("features:\n  x: {from: score, as: dcsi}\n").id_of("x")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{from: score}", "`as` is missing. Choose one of charlson, cha2ds2_vasc, dcsi, hfrs."),
        ("{from: score, as: charlsen}", "'charlsen' is none of charlson"),
        ("{from: score, as: hfrs, unit: a}", "a score has no unit"),
        ("{from: score, as: hfrs, window: [-10, 5]}", "a feature looks back"),
    ],
)
def test_what_a_score_cannot_be(entry, words):
    with pytest.raises(Problems) as raised:
        read(f"features:\n  x: {entry}\n")
    assert words in str(raised.value)
