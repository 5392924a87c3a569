"""Scores against comorbidipy 0.5.0, an independent implementation: the same tables, and the same persons' points."""

from __future__ import annotations

import datetime
import random

import pyarrow as pa
import pytest

from atoll.features.extract import extract
from atoll.study.features import read
from atoll.study.score import score
from tests.cdm import Engine

pd = pytest.importorskip("pandas", reason="pandas is not installed; it is part of the tools")
pd.core.common.SettingWithCopyWarning = pd.errors.SettingWithCopyWarning  # where the peer looks for it
peer = pytest.importorskip("comorbidipy", reason="comorbidipy is not installed; it is part of the tools")
CHARLSON = {
    "myocardial infarction": {1: "ami"}, "congestive heart failure": {1: "chf"},
    "peripheral vascular disease": {1: "pvd"}, "cerebrovascular disease": {1: "cevd"}, "dementia": {1: "dementia"},
    "chronic pulmonary disease": {1: "copd"}, "rheumatic disease": {1: "rheumd"}, "peptic ulcer disease": {1: "pud"},
    "liver disease": {1: "mld", 3: "msld"}, "diabetes": {1: "diab", 2: "diabwc"},
    "hemiplegia or paraplegia": {2: "hp"}, "renal disease": {2: "rend"}, "malignancy": {2: "canc", 6: "metacanc"},
    "AIDS or HIV": {6: "aids"},
}  # fmt: skip


def test_the_codes_and_points_are_those_of_the_sources():
    from comorbidipy.mapping import hfrs_mapping, mapping

    charlson = {CHARLSON[part.group][int(part.points)]: part.codes for part in score("charlson").parts}
    assert charlson == {name: tuple(codes) for name, codes in mapping["charlson_icd10_quan"].items()}
    assert {part.codes[0]: part.points for part in score("hfrs").parts} == hfrs_mapping


@pytest.mark.filterwarnings("ignore:Downcasting:FutureWarning")  # the peer's, under a newer pandas
@pytest.mark.parametrize("name", ["charlson", "hfrs"])
def test_persons_have_the_points_that_the_peer_gives_them(tmp_path, name):
    """200 persons with up to 12 codes each: those of the score, longer ones, and codes that are none of it."""
    rng = random.Random(name)
    known = sorted({code for part in score(name).parts for code in part.codes} | {"J02", "Z00", "M54", "I2", "H52"})
    codes = sorted({code + rng.choice(["", "1", "9"]) for code in known})
    number = {code: place + 1 for place, code in enumerate(codes)}
    records = [(person, rng.choice(codes)) for person in range(1, 201) for _ in range(rng.randint(0, 12))]
    index, persons = datetime.date(2020, 1, 1), list(range(1, 201))
    tables = {
        "person": [{"person_id": p, "year_of_birth": 1940, "gender_concept_id": 8532} for p in persons],
        "condition_occurrence": [
            {"condition_occurrence_id": n, "person_id": p, "condition_concept_id": 1000 + number[code],
             "condition_start_date": index - datetime.timedelta(days=rng.randint(0, 900))}
            for n, (p, code) in enumerate(records)
        ],
        "concept": [{"concept_id": n, "vocabulary_id": "ICD10", "concept_code": c} for c, n in number.items()],
        "concept_relationship": [
            {"concept_id_1": n, "concept_id_2": 1000 + n, "relationship_id": "Maps to"} for n in number.values()
        ],
    }  # fmt: skip
    engine = Engine("duckdb", tmp_path)
    cohort = pa.table({"subject_id": persons, "cohort_start_date": [index] * len(persons)})
    with engine.workspace(tables) as workspace:
        ours = (
            extract(workspace, cohort, read(f"features:\n  x: {{from: score, as: {name}}}\n")).column("x").to_pylist()
        )
    engine.close()
    frame = pd.DataFrame(records, columns=["id", "code"])
    if name == "hfrs":
        found = peer.hfrs(frame).set_index("id")["hfrs"]
    else:
        found = peer.comorbidity(frame, age=None, weighting="charlson").set_index("id")["comorbidity_score"]
    theirs = [float(found.get(person, 0.0)) for person in persons]
    assert max(theirs) > 5 and ours == pytest.approx(theirs, abs=1e-9)
