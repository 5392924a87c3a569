"""# Rules

Criteria around the event that enters, counted in windows, in groups of groups.
"""

import pytest

from tests.spec.definitions import (
    YEAR,
    all_of,
    around,
    at_most,
    condition,
    conditions,
    days,
    definition,
    drug,
    drugs,
    ends,
    exactly,
    observed,
    people,
    rules,
)

INDEX = conditions(*((person, 1, "2020-03-10", "2020-03-20") for person in range(1, 6)))


def test_windows_count_days_from_the_start_of_the_event(persons):
    """Both bounds are inside the window; 1 to 30 after does not hold the day itself."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs(
            (1, 2, "2020-03-10"), (2, 2, "2020-03-11"), (3, 2, "2020-04-09"), (4, 2, "2020-04-10"), (5, 2, "2020-03-09")
        ),
    }
    windows = [days(1, 30), days(0, 30), days(-1, -1), days(None, 0), days(0, None)]
    wanted = [[2, 3], [1, 2, 3], [5], [1, 5], [1, 2, 3, 4]]
    assert persons(rows, *(definition(condition(), **rules(all_of(around(drug(), w)))) for w in windows)) == wanted


def test_a_window_may_look_at_ends(persons):
    """A start window may look at the end of the found event, or count from the end of the index event."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-03-01", "2020-03-10"), (2, 2, "2020-03-20", "2020-03-25")),
    }
    event_end, index_end = days(0, 0, UseEventEnd=True), days(0, 0, UseIndexEnd=True)
    end_window = around(drug(), days(None, None), EndWindow=days(0, 0))
    assert persons(
        rows,
        definition(condition(), **rules(all_of(around(drug(), event_end)))),
        definition(condition(), **rules(all_of(around(drug(), index_end)))),
        definition(condition(), **rules(all_of(end_window))),
    ) == [[1], [2], [1]]


def test_an_end_window_looks_at_the_end_unless_it_says_otherwise(persons):
    """A missing UseEventEnd is false in a start window and true in an end window."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-03-10", "2020-04-10")),
    }
    by_start = around(drug(), days(0, 0), EndWindow=days(0, 0, UseEventEnd=False))
    by_end = around(drug(), days(0, 0), EndWindow=days(0, 0))
    assert persons(
        rows, definition(condition(), **rules(all_of(by_start))), definition(condition(), **rules(all_of(by_end)))
    ) == [[1], []]


def test_exactly_at_most_at_least(persons):
    """At most n and exactly 0 include who has none; exactly 1 does not."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-04-01"), (2, 2, "2020-04-01"), (2, 2, "2020-04-02")),
    }
    window = days(None, None)
    often = [
        exactly(0),
        exactly(1),
        at_most(1),
        {"Occurrence": {"Type": 2, "Count": 2}},
        {"Occurrence": {"Type": 2, "Count": 0}},
    ]
    wanted = [[3, 4, 5], [1], [1, 3, 4, 5], [2], [1, 2, 3, 4, 5]]
    assert (
        persons(rows, *(definition(condition(), **rules(all_of(around(drug(), window, **o)))) for o in often)) == wanted
    )


def test_distinct_counts_count_values(persons):
    """IsDistinct counts concepts, or the values of CountColumn; a missing value is not counted."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-04-01"), (1, 2, "2020-04-02"), (2, 2, "2020-04-01"), (2, 2, "2020-04-01")),
    }

    def at_least_two(column):
        often = {"Type": 2, "Count": 2, "IsDistinct": True} | ({"CountColumn": column} if column else {})
        return definition(condition(), **rules(all_of(around(drug(), days(None, None), Occurrence=often))))

    assert persons(rows, at_least_two(None), at_least_two("START_DATE"), at_least_two("VISIT_ID")) == [[], [1], []]


def test_the_observation_period_bounds_what_is_found(persons):
    """What is found starts in the observation period of the index event, unless the criterion says otherwise."""
    rows = {
        "observation_period": observed((1, "2020-03-01", "2020-12-31")),
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-02-20")),
    }
    inside, outside = around(drug(), days(-30, 0)), around(drug(), days(-30, 0), IgnoreObservationPeriod=True)
    assert persons(
        rows, definition(condition(), **rules(all_of(inside))), definition(condition(), **rules(all_of(outside)))
    ) == [[], [1]]


def test_the_same_visit(persons):
    """RestrictVisit: both events name the same visit; a missing visit is no visit."""
    visit = {"visit_occurrence_id": 7}
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01", None, visit), (2, 1, "2020-03-01"), (3, 1, "2020-03-01", None, visit)
        ),
        "drug_exposure": drugs(
            (1, 2, "2020-03-01", None, visit),
            (2, 2, "2020-03-01"),
            (3, 2, "2020-03-01", None, {"visit_occurrence_id": 8}),
        ),
    }
    same = around(drug(), days(0, 0), RestrictVisit=True)
    assert persons(rows, definition(condition(), **rules(all_of(same)))) == [[1]]


@pytest.mark.parametrize(
    ("kind", "count", "wanted"),
    [
        ("ALL", None, [3]),
        ("ANY", None, [1, 2, 3]),
        ("AT_LEAST", 2, [3]),
        ("AT_LEAST", 0, [1, 2, 3, 4, 5]),
        ("AT_MOST", 1, [1, 2, 4, 5]),
        ("AT_MOST", 0, [4, 5]),
    ],
)
def test_groups_count_their_true_members(persons, kind, count, wanted):
    """ALL, ANY, at least and at most n members; at most n includes none at all."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-04-01"), (2, 3, "2020-04-01"), (3, 2, "2020-04-01"), (3, 3, "2020-05-01")),
    }
    members = [around(drug(2), days(0, None)), around(drug(3), days(0, None))]
    assert persons(rows, definition(condition(), **rules(all_of(*members, kind=kind, count=count)))) == [wanted]


def test_an_empty_group_is_true(persons):
    """An empty group passes everyone, and as a member counts as one that holds."""
    rows = {"observation_period": YEAR, "condition_occurrence": INDEX}
    nothing = all_of(kind="ANY")
    two = all_of(kind="AT_LEAST", count=2, Groups=[nothing, nothing])
    assert persons(rows, definition(condition(), **rules(nothing)), definition(condition(), **rules(two))) == [
        [1, 2, 3, 4, 5],
        [1, 2, 3, 4, 5],
    ]


def test_all_rules_are_kept_by_one_event(persons):
    """Two rules that two events of a person keep are not kept by the person."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-02-01"), (1, 1, "2020-08-01"), (2, 1, "2020-02-01")),
        "drug_exposure": drugs((1, 2, "2020-02-05"), (1, 3, "2020-08-05"), (2, 2, "2020-02-05"), (2, 3, "2020-02-06")),
    }
    soon = [all_of(around(drug(n), days(0, 30))) for n in (2, 3)]
    assert persons(rows, definition(condition(), **rules(*soon))) == [[2]]


def test_demographic_criteria_ask_the_index_event(persons):
    """Age at the index event, gender of the person; without a row in `person` nothing holds."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "person": people((1, 1960, 8507), (2, 2010, 8507), (3, 1960, 8532)),
    }
    old = {"Type": "ALL", "DemographicCriteriaList": [{"Age": {"Value": 18, "Op": "gte"}}]}
    woman = {"Type": "ALL", "DemographicCriteriaList": [{"Gender": [{"CONCEPT_ID": 8532}]}]}
    anybody = {"Type": "ALL", "DemographicCriteriaList": [{}]}
    assert persons(rows, *(definition(condition(), **rules(group)) for group in (old, woman, anybody))) == [
        [1, 3],
        [3],
        [1, 2, 3],
    ]


def test_a_criterion_may_hold_criteria(persons):
    """CorrelatedCriteria: only those rows of the criterion around which the group holds."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": INDEX,
        "drug_exposure": drugs((1, 2, "2020-04-01"), (1, 3, "2020-04-02"), (2, 2, "2020-04-01"), (2, 3, "2020-06-02")),
    }
    treated = drug(2, CorrelatedCriteria=all_of(around(drug(3), days(0, 7))))
    assert persons(
        rows, definition(condition(), **rules(all_of(around(treated, days(0, None))))), definition(treated)
    ) == [[1], [1]]


def test_limits_after_additional_criteria_and_after_rules(cohorts):
    """The qualified limit comes before the rules, the expression limit after them."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-02-01"), (1, 1, "2020-08-01")),
        "drug_exposure": drugs((1, 2, "2020-08-05")),
    }
    soon, first, anything = all_of(around(drug(), days(0, 30))), {"Type": "First"}, all_of()
    one_day = ends("StartDate", 0)
    assert cohorts(
        rows,
        definition(condition(), ExpressionLimit=first, **rules(soon), **one_day),
        definition(condition(), AdditionalCriteria=anything, QualifiedLimit=first, **rules(soon), **one_day),
        definition(condition(), AdditionalCriteria=soon, QualifiedLimit=first, **one_day),
        definition(condition(), QualifiedLimit=first, **one_day),
    ) == [
        [(1, "2020-08-01", "2020-08-01")],
        [],
        [(1, "2020-08-01", "2020-08-01")],
        [(1, "2020-02-01", "2020-02-01"), (1, "2020-08-01", "2020-08-01")],
    ]
