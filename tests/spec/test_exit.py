"""# When a person leaves

Ends, censoring, eras, and what becomes of periods that touch.
"""

from tests.spec.definitions import YEAR, condition, conditions, definition, drug, drugs, ends, observed


def test_the_end_of_observation_unless_something_else_is_said(cohorts):
    """Without a strategy a period lasts until the end of the observation period."""
    rows = {"observation_period": YEAR, "condition_occurrence": conditions((1, 1, "2020-03-10", "2020-03-20"))}
    assert cohorts(rows, definition(condition())) == [[(1, "2020-03-10", "2020-12-31")]]


def test_days_after_start_or_end(cohorts):
    """An offset is cut at the end of observation; an end before the start is no end, and the event is gone."""
    rows = {"observation_period": YEAR, "condition_occurrence": conditions((1, 1, "2020-03-10", "2020-03-20"))}
    offsets = [("StartDate", 7), ("EndDate", 7), ("StartDate", 999), ("EndDate", -10), ("EndDate", -11)]
    assert cohorts(rows, *(definition(condition(), **ends(*offset)) for offset in offsets)) == [
        [(1, "2020-03-10", "2020-03-17")],
        [(1, "2020-03-10", "2020-03-27")],
        [(1, "2020-03-10", "2020-12-31")],
        [(1, "2020-03-10", "2020-03-10")],
        [],
    ]


def test_a_missing_end_is_the_next_day_or_the_end_of_the_supply(cohorts):
    """Conditions: the next day. Drugs: start and days of supply, else the next day; a supply of 0 ends on the start."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-03-01")),
        "drug_exposure": drugs(
            (1, 2, "2020-03-01", None, {"days_supply": 30}),
            (2, 2, "2020-03-01"),
            (3, 2, "2020-03-01", None, {"days_supply": 0}),
        ),
    }
    assert cohorts(rows, definition(condition(), **ends("EndDate", 0)), definition(drug(), **ends("EndDate", 0))) == [
        [(1, "2020-03-01", "2020-03-02")],
        [(1, "2020-03-01", "2020-03-31"), (2, "2020-03-01", "2020-03-02"), (3, "2020-03-01", "2020-03-01")],
    ]


def test_periods_that_share_a_day_or_lie_within_the_pad_are_one(cohorts):
    """With a pad of 0 a shared day joins, neighbouring days do not; the pad itself is not added to the end."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01", "2020-03-05"), (1, 1, "2020-03-05", "2020-03-08"), (1, 1, "2020-03-09", "2020-03-10")
        ),
    }

    def padded(days):
        return definition(condition(), CollapseSettings={"EraPad": days}, **ends("EndDate", 0))

    assert cohorts(rows, padded(0), padded(1)) == [
        [(1, "2020-03-01", "2020-03-08"), (1, "2020-03-09", "2020-03-10")],
        [(1, "2020-03-01", "2020-03-10")],
    ]


def test_a_period_inside_a_longer_one_does_not_end_it(cohorts):
    """The end of joined periods is the latest of their ends."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01", "2020-03-31"), (1, 1, "2020-03-05", "2020-03-06"), (1, 1, "2020-03-30", "2020-04-02")
        ),
    }
    assert cohorts(rows, definition(condition(), **ends("EndDate", 0))) == [[(1, "2020-03-01", "2020-04-02")]]


def test_continued_exposure(cohorts):
    """Exposures within the gap are one era; the offset takes part in joining; without an era observation ends it."""
    era = {"EndStrategy": {"CustomEra": {"DrugCodesetId": 2, "GapDays": 10, "Offset": 0}}}
    longer = {"EndStrategy": {"CustomEra": {"DrugCodesetId": 2, "GapDays": 10, "Offset": 5}}}
    fixed = {"EndStrategy": {"CustomEra": {"DrugCodesetId": 2, "GapDays": 0, "Offset": 0, "DaysSupplyOverride": 2}}}
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((2, 1, "2020-03-01")),
        "drug_exposure": drugs(
            (1, 2, "2020-03-01", "2020-03-10"), (1, 2, "2020-03-20", "2020-03-25"), (1, 2, "2020-04-08", "2020-04-10")
        ),
    }
    assert cohorts(
        rows,
        definition(drug(), limit="First", **era),
        definition(drug(), limit="First", **longer),
        definition(drug(), limit="First", **fixed),
        definition(condition(), **era),
    ) == [
        [(1, "2020-03-01", "2020-03-25")],
        [(1, "2020-03-01", "2020-04-15")],
        [(1, "2020-03-01", "2020-03-03")],
        [(2, "2020-03-01", "2020-12-31")],
    ]


def test_censoring_events_end_a_period_early(cohorts):
    """The first such event from the start on, up to the end of observation; on the same day it ends the same day."""
    censored = {"CensoringCriteria": [drug()]}
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-03-01"), (2, 1, "2020-03-01"), (3, 1, "2020-03-01")),
        "drug_exposure": drugs((1, 2, "2020-02-01"), (1, 2, "2020-05-01"), (2, 2, "2020-03-01"), (3, 2, "2021-03-01")),
    }
    assert cohorts(rows, definition(condition(), **censored)) == [
        [(1, "2020-03-01", "2020-05-01"), (2, "2020-03-01", "2020-03-01"), (3, "2020-03-01", "2020-12-31")]
    ]


def test_a_censoring_event_may_give_an_end_where_the_offset_gives_none(cohorts):
    """The earliest end that is not before the start is taken, whichever it is."""
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions((1, 1, "2020-03-01", "2020-03-02")),
        "drug_exposure": drugs((1, 2, "2020-05-01")),
    }
    early = ends("EndDate", -10)
    assert cohorts(
        rows, definition(condition(), **early), definition(condition(), CensoringCriteria=[drug()], **early)
    ) == [
        [],
        [(1, "2020-03-01", "2020-05-01")],
    ]


def test_the_censor_window_cuts_what_is_left(cohorts):
    """It comes last: joined periods are cut to it, and what lies outside is gone."""
    window = {"CensorWindow": {"StartDate": "2020-03-05", "EndDate": "2020-03-31"}}
    rows = {
        "observation_period": YEAR,
        "condition_occurrence": conditions(
            (1, 1, "2020-03-01", "2020-04-30"), (2, 1, "2020-01-01", "2020-02-01"), (3, 1, "2020-04-01", "2020-04-02")
        ),
    }
    assert cohorts(rows, definition(condition(), **window, **ends("EndDate", 0))) == [[(1, "2020-03-05", "2020-03-31")]]


def test_periods_of_two_observation_periods_may_join(cohorts):
    """Joining knows no observation periods."""
    rows = {
        "observation_period": observed((1, "2020-01-01", "2020-03-31"), (1, "2020-04-01", "2020-12-31")),
        "condition_occurrence": conditions((1, 1, "2020-03-01"), (1, 1, "2020-04-01")),
    }
    pad = {"CollapseSettings": {"EraPad": 1}}
    assert cohorts(rows, definition(condition()), definition(condition(), **pad)) == [
        [(1, "2020-03-01", "2020-03-31"), (1, "2020-04-01", "2020-12-31")],
        [(1, "2020-03-01", "2020-12-31")],
    ]
