"""# Who enters

The events of the primary criteria that lie in an observation period, with enough of it before and after.
"""

from tests.spec.definitions import (
    YEAR,
    concept_set,
    condition,
    conditions,
    definition,
    drug,
    drugs,
    ends,
    observed,
    people,
)

ONE_DAY = ends("StartDate", 0)


def test_an_event_with_a_concept_of_the_set(persons):
    """A criterion takes the rows whose standard concept is in its concept set."""
    rows = {"observation_period": YEAR, "condition_occurrence": conditions((1, 1, "2020-03-01"), (2, 2, "2020-03-01"))}
    assert persons(rows, definition(condition(1)), definition(condition(2)), definition(condition(None))) == [
        [1],
        [2],
        [1, 2],
    ]


def test_descendants_and_exclusions(persons):
    """A set with descendants holds what lies below its concepts; an excluded concept is taken out."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-03-01"), (2, 2, "2020-03-01"), (3, 3, "2020-03-01")),
    }
    with_below = definition(condition(1), ConceptSets=[concept_set(1, 1, descendants=True)])
    without = definition(condition(1), ConceptSets=[concept_set(1, 1, descendants=True, excluded=(2,))])
    only_excluded = definition(condition(1), ConceptSets=[concept_set(1, excluded=(2,))])
    assert persons(rows, with_below, without, only_excluded) == [[1, 2, 3], [1, 3], []]


def test_the_event_lies_in_an_observation_period(persons):
    """An event outside every observation period counts for nothing; both bounds are inside."""
    rows = {
        "observation_period": observed(
            (1, "2020-01-01", "2020-06-30"), (2, "2020-01-01", "2020-06-30"), (3, "2020-01-01", "2020-06-30")
        ),
        "condition_occurrence": conditions(
            (1, 1, "2020-01-01"), (2, 1, "2020-06-30"), (3, 1, "2020-07-01"), (4, 1, "2020-03-01")
        ),
    }
    assert persons(rows, definition(condition())) == [[1, 2]]


def test_days_of_observation_before_and_after(persons):
    """PriorDays and PostDays are asked of the same observation period, to the day."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-01-30"), (2, 1, "2020-01-31"), (3, 1, "2020-12-01"), (4, 1, "2020-12-02")
        ),
    }
    assert persons(rows, definition(condition(), prior=30), definition(condition(), post=30)) == [
        [2, 3, 4],
        [1, 2, 3],
    ]


def test_the_first_event_with_enough_history_is_not_the_first_ever(cohorts):
    """The observation window comes before the limit; `First` of a criterion comes before the observation window."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-01-05"), (1, 1, "2020-03-01"), (1, 1, "2020-05-01")),
    }
    limited = definition(condition(), prior=30, limit="First", **ONE_DAY)
    first_ever = definition(condition(First=True), prior=30, **ONE_DAY)
    last = definition(condition(), prior=30, limit="Last", **ONE_DAY)
    assert cohorts(rows, limited, first_ever, last) == [
        [(1, "2020-03-01", "2020-03-01")],
        [],
        [(1, "2020-05-01", "2020-05-01")],
    ]


def test_first_is_asked_before_all_other_attributes(persons):
    """`First` and age ≥ 18 is "the first ever, if at 18 or older"."""
    rows = {
        "observation_period": observed((1, "2010-01-01", "2020-12-31"), (2, "2010-01-01", "2020-12-31")),
        "person": people((1, 2000, 8507), (2, 2000, 8507)),
        "condition_occurrence": conditions((1, 1, "2015-03-01"), (1, 1, "2019-03-01"), (2, 1, "2018-01-01")),
    }
    adult = {"Value": 18, "Op": "gte"}
    assert persons(rows, definition(condition(First=True, Age=adult)), definition(condition(Age=adult))) == [
        [2],
        [1, 2],
    ]


def test_age_is_a_difference_of_years(persons):
    """Age is the year of the event minus the year of birth; a person without a row in `person` has none."""
    rows = {
        "observation_period": YEAR,
        "person": people((1, 2002, 8507), (2, 2003, 8532)),
        "condition_occurrence": conditions((1, 1, "2020-01-01"), (2, 1, "2020-12-31"), (3, 1, "2020-05-01")),
    }
    assert persons(
        rows,
        definition(condition(Age={"Value": 18, "Op": "gte"})),
        definition(condition(Age={"Value": 17, "Extent": 18, "Op": "!bt"})),
        definition(condition(Gender=[{"CONCEPT_ID": 8532}])),
    ) == [[1], [], [2]]


def test_several_primary_criteria(cohorts):
    """The events of all primary criteria together; one event of each kind on one day are two events."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-03-01")),
        "drug_exposure": drugs((1, 2, "2020-03-01"), (2, 2, "2020-04-01")),
    }
    assert cohorts(rows, definition(condition(), drug(), **ends("EndDate", 0))) == [
        [(1, "2020-03-01", "2020-03-02"), (2, "2020-04-01", "2020-04-02")]
    ]


def test_a_null_is_neither_in_nor_out(persons):
    """A missing value fits neither a list nor its exclusion, neither a range nor its opposite."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01", None, {"condition_type_concept_id": 5}),
            (2, 1, "2020-03-01", None),
            (3, 1, "2020-03-01", None, {"condition_type_concept_id": 6}),
        ),
    }
    five = [{"CONCEPT_ID": 5}]
    assert persons(
        rows,
        definition(condition(ConditionType=five)),
        definition(condition(ConditionType=five, ConditionTypeExclude=True)),
        definition(condition(ConditionTypeCS={"CodesetId": None, "IsExclusion": True})),
        definition(condition(ConditionTypeCS={"CodesetId": 5, "IsExclusion": True})),
    ) == [[1], [3], [2], [3]]


def test_texts_contain_start_and_end(persons):
    """% and _ in a text stand for anything; capital letters count."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            *(
                (n, 1, "2020-03-01", None, {"stop_reason": text})
                for n, text in enumerate(["ab", "AB", "a'b", "xab", None], 1)
            )
        ),
    }
    wanted = [("contains", "ab"), ("!contains", "ab"), ("startsWith", "a"), ("endsWith", "'b"), ("startsWith", "_b")]
    assert persons(rows, *(definition(condition(StopReason={"Text": t, "Op": op})) for op, t in wanted)) == [
        [1, 4],
        [2, 3],
        [1, 3],
        [3],
        [1],
    ]


def test_dates_are_moved_in_the_row_itself(cohorts):
    """DateAdjustment moves start and end; a row that then ends before it starts is gone."""
    moved = {"StartWith": "END_DATE", "StartOffset": 1, "EndWith": "END_DATE", "EndOffset": 5}
    wrong = {"StartWith": "END_DATE", "StartOffset": 1, "EndWith": "START_DATE", "EndOffset": 0}
    rows = {"observation_period": YEAR, "condition_occurrence": conditions((1, 1, "2020-03-01", "2020-03-10"))}
    assert cohorts(
        rows,
        definition(condition(DateAdjustment=moved), **ends("EndDate", 0)),
        definition(condition(DateAdjustment=wrong)),
    ) == [[(1, "2020-03-11", "2020-03-15")], []]


def test_a_period_that_the_definition_gives(cohorts):
    """UserDefinedPeriod: an observation period that holds its dates; the event then has those dates."""
    given = {"ObservationPeriod": {"UserDefinedPeriod": {"StartDate": "2020-02-01", "EndDate": "2020-03-01"}}}
    rows = {"observation_period": observed((1, "2020-01-01", "2020-12-31"), (2, "2020-02-15", "2020-12-31"))}
    assert cohorts(rows, definition(given, **ends("EndDate", 0))) == [[(1, "2020-02-01", "2020-03-01")]]
