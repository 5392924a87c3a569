"""Months of a table: what is a gap, an early end, a leap, and what is none; each threshold is held from both sides."""

from __future__ import annotations

import numpy as np
import pytest

from atoll.quality.months import BESIDE, GONE, Months, ends, gaps, jumps
from atoll.quality.run import run
from tests.cdm import Engine
from tests.unit.test_quality import clean

FIRST, LAST = 2015 * 12 + 1, 2024 * 12 + 12  # ten years


def usual(level, since=FIRST, until=LAST):
    return dict.fromkeys(range(since, until + 1), level)


def chance(level, seed, since=FIRST, until=LAST):
    """A hospital that grows, with a season, in numbers that vary by chance."""
    r, months = np.random.default_rng(seed), range(since, until + 1)
    levels = [level * (0.4 + (m - FIRST) / 100) * (1 + 0.2 * np.sin(m * np.pi / 6)) for m in months]
    return {m: int(n) for m, n in zip(months, r.poisson(levels), strict=True) if n}


def without(counts, since, until):
    return {m: n for m, n in counts.items() if not since <= m <= until}


def table(persons, everybody=1):
    return Months(persons, persons, everybody)


@pytest.mark.parametrize("level", [3, 8, 25, 150, 2000])
def test_hospitals_of_any_size_are_free_of_gaps_where_nothing_is_missing(level):
    for seed in range(25):
        persons, other = chance(level, seed), chance(3 * level, seed + 100)
        assert (
            gaps(persons)[1] == ends(table(persons), [table(other)])[1] == ends(table(other), [table(persons)])[1] == 0
        )


@pytest.mark.parametrize(("level", "months"), [(5, 10), (12, 6), (40, 2), (150, 1), (2000, 1)])
def test_a_hole_is_found_at_hospitals_of_any_size(level, months):
    for seed in range(10):
        hole = without(chance(level, seed), FIRST + 62, FIRST + 61 + months)
        assert gaps(hole)[1] == pytest.approx(months, abs=1), "an empty month may stand beside it by chance"


def test_where_half_a_year_without_a_person_would_not_be_strange_nothing_is_looked_at():
    assert gaps(usual(2)) == (0, 0)
    assert gaps(usual(3)) == (118, 0), "of ten years but for the outermost hundredth of persons"
    assert gaps({}) == ends(table({}), [table(usual(9))]) == ends(table(usual(9)), []) == (0, 0)
    assert ends(table(usual(2)), [table(usual(9))]) == (0, 0)


def test_a_gap_is_what_chance_gives_once_in_a_million():
    """−log 10⁻⁶ = 13.8 persons that are missing."""
    assert gaps(without(usual(13), FIRST + 60, FIRST + 60))[1] == 0
    assert gaps(without(usual(14), FIRST + 60, FIRST + 60))[1] == 1
    assert gaps(without(usual(3), FIRST + 60, FIRST + 63))[1] == 0
    assert gaps(without(usual(3), FIRST + 60, FIRST + 64))[1] == 5


@pytest.mark.parametrize(("left", "found"), [(0.0, 4), (0.09, 4), (0.11, 0)])
def test_a_tenth_of_a_usual_month_is_as_good_as_none(left, found):
    assert GONE == 0.1
    hole = usual(1000) | {FIRST + m: int(1000 * left) for m in range(50, 54)}
    assert gaps(hole)[1] == found


def test_months_that_vary_more_than_chance_need_more_to_be_strange():
    r = np.random.default_rng(3)
    wild = {m: int(n) for m, n in zip(range(FIRST, LAST + 1), r.integers(10, 120, 120), strict=True)}
    hole = {FIRST + m: 0 for m in range(60, 63)}
    assert gaps(wild | hole)[1] == 0
    assert gaps(usual(65) | hole)[1] == 3


def test_what_is_usual_is_that_of_a_year_on_each_side():
    """A small table that grew is no gap beside what it grew to, nor one that begins slowly a late one."""
    assert BESIDE == 12
    grown = usual(2, until=FIRST + 59) | usual(500, since=FIRST + 60)
    assert gaps(without(grown, FIRST + 30, FIRST + 32))[1] == 0
    assert gaps(without(grown, FIRST + 90, FIRST + 92))[1] == 3
    slow = {FIRST + m: 1 + m * m // 20 for m in range(120)}
    assert ends(table(slow), [table(usual(50))])[1] == 0


def test_wrong_dates_long_before_and_after_make_no_gap():
    strays = {1990 * 12 + 3: 1, 1990 * 12 + 6: 1, 2150 * 12: 1}
    persons = chance(12, 1)
    assert gaps(persons | strays)[1] == gaps(persons)[1] == 0
    early = usual(8, until=LAST - 24) | strays
    assert ends(table(early), [table(usual(30))])[1] == 22, "nor do they hide an end"
    assert ends(table(persons), [table(persons | strays)])[1] == ends(table(persons | strays), [table(persons)])[1] == 0


def test_a_table_that_ends_early_or_begins_late_beside_the_others():
    others = [table(usual(30)), table(usual(8)), table(usual(90))]
    assert ends(table(usual(60)), others) == (116, 0)
    assert ends(table(usual(60, until=LAST - 24)), others) == (116, 22), "the last two months are seldom whole"
    assert ends(table(usual(60, since=FIRST + 24)), others) == (116, 22)
    assert ends(table(usual(60, since=FIRST + 12, until=LAST - 12)), others) == (116, 20)
    assert ends(table(usual(60, until=LAST - 2)), others) == (116, 0)
    assert ends(table(usual(60, until=LAST - 3)), others) == (116, 1)
    assert ends(table(usual(6, until=LAST - 4)), others) == (116, 0), "twelve persons: by chance once in 160,000"
    assert ends(table(usual(6, until=LAST - 5)), others) == (116, 3)
    early = table(usual(60, until=LAST - 24))
    assert ends(table(usual(60, until=LAST - 24)), [early, early, table(usual(9))])[1] == 0, "most end then"
    assert ends(early, [early, table(usual(9))])[1] == 22, "of two others the one that goes on"
    assert ends(table(usual(60)), [early])[1] == 0, "who goes on is not at fault"


@pytest.mark.parametrize(("months", "looked"), [(1.15, False), (1.25, True)])
def test_what_is_asked_once_a_person_may_end_where_nobody_new_comes(months, looked):
    everybody = int(96 * 40 / months)
    once, back = table(usual(40, until=FIRST + 95), everybody), table(usual(90), 1000)
    assert (ends(once, [back])[1] > 0) is looked
    assert ends(once, [table(usual(90), 90 * 120)])[1] > 0, "of others, too, everybody comes once"


def test_a_leap_is_more_than_tenfold_between_months_of_which_one_has_200_records():
    """Each threshold from both sides; the first and the last pair are left out."""
    calm = usual(250)
    assert jumps(calm) == (117, 0)
    assert jumps(calm | {FIRST + 50: 2500}) == (117, 0)
    assert jumps(calm | {FIRST + 50: 2501}) == (117, 2)
    assert jumps(calm | {FIRST: 1}) == jumps(calm | {LAST: 1}) == (117, 0)
    assert jumps(calm | {FIRST + 1: 1})[1] == 1
    assert jumps(usual(199)) == (0, 0)
    assert jumps(usual(200)) == (117, 0)
    assert jumps(usual(19) | {FIRST + 50: 199}) == (0, 0)
    assert jumps(usual(19) | {FIRST + 40 + m: 200 for m in range(9)})[1] == 0, "its own first and last pair"


def planted(change):
    """What fails of the months of a small database after a change of its rows."""
    rows = clean(600)
    change(rows)
    engine = Engine("duckdb", None)
    with engine.workspace(rows) as workspace:
        found = run(workspace)
    engine.close()
    return {f.check.id for f in found if f.check.shape == "months" and f.verdict == "failed"}


def test_it_is_found_in_a_database_of_few_persons():
    def hole(rows):
        kept = [
            r for r in rows["condition_occurrence"] if not "2019-06" <= str(r["condition_start_date"])[:7] <= "2019-07"
        ]
        rows["condition_occurrence"] = kept

    def early(rows):
        rows["measurement"] = [r for r in rows["measurement"] if str(r["measurement_date"]) < "2020-06"]

    assert planted(lambda rows: None) == set()
    assert planted(hole) == {"no_gap:condition_occurrence:gap"}
    assert planted(early) == {"same_span:measurement:span"}
