"""What concept sets come to in a CDM: members by the vocabulary, persons and records in every table of events."""

from __future__ import annotations

import json

from atoll.cohort.preview import preview_in
from atoll.study.circe import read
from tests.spec.conftest import VOCABULARY
from tests.spec.definitions import concept_set, condition, definition

ROWS = VOCABULARY | {
    "concept": [
        {
            "concept_id": n,
            "concept_name": f"sign {n}",
            "domain_id": "Condition",
            "vocabulary_id": "V",
            "standard_concept": s,
        }
        for n, s in ((1, "S"), (2, "S"), (3, None), (4, "S"))
    ],
    "condition_occurrence": [
        {"condition_occurrence_id": n, "person_id": person, "condition_concept_id": concept}
        for n, (person, concept) in enumerate([(1, 2), (1, 2), (2, 2), (3, 3), (4, 9)])
    ],
    "observation": [
        {"observation_id": 1, "person_id": 1, "observation_concept_id": 2},
        {"observation_id": 2, "person_id": 7, "observation_concept_id": 2},
    ],
    "condition_era": [{"condition_era_id": 1, "person_id": 9, "condition_concept_id": 2}],
}


def test_persons_are_counted_once_over_all_tables_and_eras_are_no_records(engine):
    document = definition(condition(1), ConceptSets=[concept_set(1, 1, descendants=True), concept_set(2, 4711)])
    with engine.workspace(ROWS) as workspace:
        found, nothing = preview_in(workspace, read(json.dumps(document)))
    assert [(m.concept, m.name, m.standard, m.persons, m.records) for m in found.members] == [
        (2, "sign 2", True, 3, 5),
        (3, "sign 3", False, 1, 1),
        (1, "sign 1", True, 0, 0),
    ]
    assert found.used == 2 and (nothing.members, nothing.used) == ((), 0)
