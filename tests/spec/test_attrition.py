"""# Attrition

How each person who enters keeps the rules: the rows that `attrition` counts, on every engine.
"""

from __future__ import annotations

import json

from atoll.cohort.run import CohortRun
from atoll.study.circe import read
from tests.spec.conftest import VOCABULARY
from tests.spec.definitions import YEAR, all_of, around, condition, conditions, days, definition, drug, drugs, rules


def test_a_row_is_a_set_of_rules_that_an_event_of_the_person_keeps(engine):
    """1 keeps both by one event · 2 each by another event, so does not stay · 3 none · 4 twice the same, told once"""
    document = definition(
        condition(),
        **rules(all_of(around(drug(2), days(0, 3))), all_of(around(drug(3), days(0, 3)))),
    )
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01"), (2, 1, "2020-03-01"), (2, 1, "2020-06-01"), (3, 1, "2020-03-01"),
            (4, 1, "2020-03-01"), (4, 1, "2020-06-01"),
        ),
        "drug_exposure": drugs(
            (1, 2, "2020-03-01"), (1, 3, "2020-03-02"), (2, 2, "2020-03-01"), (2, 3, "2020-06-01"),
        ),
    }  # fmt: skip
    with engine.workspace(VOCABULARY | rows) as workspace:
        outcome = CohortRun(workspace, with_events=True).run({"x": read(json.dumps(document))})
    assert outcome.events["x"].to_pydict() == {
        "person": [1, 2, 2, 3, 4],
        "rule_1": [1.0, 1.0, 0.0, 0.0, 0.0],
        "rule_2": [1.0, 0.0, 1.0, 0.0, 0.0],
        "stays": [1.0, 0.0, 0.0, 0.0, 0.0],
    }
    found = outcome.attrition["x"]
    assert (found.entered, [(r.alone, r.in_order) for r in found.rules], found.final) == (4, [(2, 2), (2, 1)], 1)
