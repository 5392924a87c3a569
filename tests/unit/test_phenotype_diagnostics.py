"""Incidence, words, overlap and times over hospitals: right numbers, bounds that hold the truth, both languages."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll
from atoll.algorithms.cells import bounds_of, groups
from atoll.algorithms.overlap import PARTS
from atoll.errors import StudyError
from atoll.privacy.disclosure import STRICT, Policy
from atoll.study.diagnosis import TABLES
from atoll.ui import charts, kinds, rates, report, summary
from atoll.ui.words import Say

K = STRICT.minimum_persons
UNROUNDED = Policy(rounding=1)
RISK = {"enters": "enters", "leaves": "leaves", "born": "born", "event": "event", "by": "sex"}


def days(year: int, month: int = 1, day: int = 1) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


def at_risk(seed: int, n: int = 800, chance: float = 0.2):
    """Persons who are followed some years between 2010 and 2020."""
    r = np.random.default_rng(seed)
    enters = r.integers(days(2009), days(2018), n)
    leaves = enters + r.integers(0, 1500, n)
    return {
        "person": np.arange(n),
        "sex": r.choice(["female", "male"], n),
        "born": r.integers(1925, 1990, n).astype(float),
        "enters": enters.astype(float),
        "leaves": leaves.astype(float),
        "event": (r.random(n) < chance) * 1.0,
    }


def entries(seed: int, n: int = 300):
    r = np.random.default_rng(seed)
    words = np.array(
        [
            "201826 Type 2 diabetes mellitus",
            "4193704 Type 2 diabetes without complication",
            "443767 Eye disorder",
            "2000000001",
        ]
    )
    return {
        "person": np.arange(n),
        "concept": words[r.choice(4, n, p=[0.6, 0.25, 0.13, 0.02])],
        "before": np.floor(r.exponential(900, n)),
        "after": np.floor(r.exponential(700, n)),
        "within": np.floor(r.exponential(500, n)),
    }


def two(seed: int, n: int = 300, chances=(0.4, 0.3, 0.3)):
    r = np.random.default_rng(seed)
    part = r.choice(3, n, p=chances)
    return {"person": np.arange(n), "first": (part != 2) * 1.0, "second": (part != 0) * 1.0}


def network(what, tables, policy="strict"):
    columns = dict(TABLES[what])
    if what == "entries":
        words = {word for table in tables.values() for word in table["concept"].tolist()}
        columns["concept"] = type(columns["concept"])("category", tuple(sorted(words)), label=columns["concept"].label)
    return atoll.Network(tables, policy=policy, columns=columns, threads=1)


def both(what, make, algorithm, **options):
    return network(what, {"north": make(1), "south": make(2)}).run(algorithm, **options).document


RESULTS = {
    "incidence": both("risk", at_risk, "incidence", **RISK, since=2010, until=2019),
    "breakdown": both("entries", entries, "breakdown", column="concept"),
    "overlap": both("overlap", two, "overlap", first="first", second="second"),
    "durations": both("entries", entries, "durations", columns=["before", "after", "within"]),
}


# ---- incidence


def cell(document, by, sex="", first=None):
    return next(c for c in document["cells"] if (c["by"], c["sex"], c["first"]) == (by, sex, first))


def test_days_are_split_over_years_and_ages_as_by_hand():
    """1 is 39 in 2019 and 40 in 2020 and has the event in 2020; 2 leaves at the end of 2019."""
    table = {
        "person": [1, 2],
        "sex": ["female", "male"],
        "born": [1980.0, 1950.0],
        "enters": [days(2019, 12, 31), days(2019, 1, 1)],
        "leaves": [days(2020, 1, 2), days(2019, 12, 31)],
        "event": [1.0, 0.0],
    }
    found = network("risk", {"a": table}, "public").run("incidence", **RISK, since=2018, until=2020).document
    year = {y: cell(found, "year", first=y) for y in (2018, 2019, 2020)}
    assert [round(one["years_low"] * 365.25) for one in year.values()] == [0, 366, 2]
    assert [one["events_low"] for one in year.values()] == [0, 0, 1]
    thirties, forties = cell(found, "age", "female", 30), cell(found, "age", "female", 40)
    assert (round(thirties["years_low"] * 365.25), thirties["events_low"]) == (1, 0)
    assert (round(forties["years_low"] * 365.25), forties["events_low"]) == (2, 1)
    assert cell(found, "age", "male", 60)["years_low"] == pytest.approx(365 / 365.25)
    assert cell(found, "all")["rate_low"] == pytest.approx(1000 * 1 / (368 / 365.25))
    assert all(c["events_low"] == c["events_high"] and c["years_low"] == c["years_high"] for c in found["cells"])


def test_ages_of_both_sexes_are_the_sums_of_what_is_told_of_each():
    for document in (RESULTS["incidence"], RESULTS["incidence"]["sites_apart"]["north"]):
        heads = RESULTS["incidence"]["cells"]
        told = [head | numbers for head, numbers in zip(heads, document["cells"], strict=True)]
        for age in range(0, 100, 10):
            both, *within = (cell({"cells": told}, "age", sex, age) for sex in ("", "female", "male"))
            for end in ("events_low", "events_high", "years_low", "years_high"):
                assert both[end] == sum(one[end] for one in within)
    assert cell(RESULTS["incidence"], "age", "", 50)["events_low"] > 0
    assert "both sexes 50–59" in page(RESULTS["incidence"], "en")


def test_only_what_was_held_back_is_said_to_be():
    """Person-years always lie between two steps: every bar said that its rate was held back."""
    found = RESULTS["incidence"]
    assert (cell(found, "all")["events_low"], cell(found, "all")["rate_low"]) != (0, cell(found, "all")["rate_high"])
    shown = dict(re.findall(r"<title>([^<:]+): ([^<]+)</title>", kinds.chart(found).svg))
    held = {rates.called(one, str) for one in found["cells"] if one["events_low"] < one["events_high"]}
    assert {name for name, said in shown.items() if "held back" in said} == held & set(shown)
    assert "everybody" in shown and "everybody" not in held


def test_bounds_that_read_alike_are_one_number():
    one = {"rate_low": 24.31, "rate_high": 24.34}
    assert rates.told_rate(one) == "24.3"
    assert rates.told_rate(one | {"rate_high": 24.4}) == "24.3–24.4"


def test_an_event_after_the_last_year_is_none():
    table = at_risk(1, 5) | {"enters": np.full(5, days(2018)), "leaves": np.full(5, days(2021)), "event": np.ones(5)}
    found = network("risk", {"a": table}, "public").run("incidence", **RISK, since=2018, until=2020).document
    assert (cell(found, "all")["events_high"], round(cell(found, "all")["years_low"])) == (0, 15)


@given(st.integers(0, 10**6), st.integers(0, 3), st.sampled_from([0.0, 0.02, 0.2, 0.99]))
@settings(max_examples=25, deadline=None)
def test_the_true_events_and_years_of_all_sites_lie_within_the_bounds(seed, small, chance):
    tables = {
        "a": at_risk(seed, 400, chance),
        "b": at_risk(seed + 1, 150, 0.3),
        "c": at_risk(seed + 2, 3 * small, chance),
    }
    asked = RISK | {"since": 2010, "until": 2016}
    told = network("risk", tables, UNROUNDED).run("incidence", **asked).document
    true = network("risk", tables, "public").run("incidence", **asked).document
    for one, other in zip(told["cells"], true["cells"], strict=True):
        assert one["events_low"] <= other["events_low"] <= one["events_high"]
        assert one["years_low"] <= other["years_low"] + 1e-9 <= one["years_high"] + 2e-9
        if one["rate_high"] is not None and other["rate_low"] is not None:
            assert one["rate_low"] - 1e-9 <= other["rate_low"] <= one["rate_high"] + 1e-9


def test_years_are_asked_in_order():
    with pytest.raises(
        StudyError, match=r"since: 2020 to 2019 are not one to 60 calendar years, in order\. Give years"
    ):
        network("risk", {"a": at_risk(1)}).run("incidence", **RISK, since=2020, until=2019)


@given(st.integers(1, 12), st.lists(st.integers(0, 9), min_size=12, max_size=12), st.integers(1, 15))
def test_groups_are_the_smallest_neighbours_that_are_enough(size, counts, least):
    counts = counts[:size]
    found = groups(size, lambda a, b: sum(counts[a : b + 1]) >= least)
    if sum(counts) < least:
        assert found == []
        return
    assert [cell for a, b in found for cell in range(a, b + 1)] == list(range(size))
    numbers = [sum(counts[a : b + 1]) for a, b in found]
    assert min(numbers) >= least
    told = bounds_of(size, found, numbers, 0)
    assert all(
        low <= n <= high and (low, high) in ((n, n), (0, high)) for n, (low, high) in zip(counts, told, strict=True)
    )


# ---- words


def test_words_are_counted_most_frequent_first_and_a_rare_one_is_held_back():
    found = RESULTS["breakdown"]
    assert found["words"][0]["word"] == "201826 Type 2 diabetes mellitus"
    assert [one["word"].split()[0] for one in found["words"]] == ["201826", "4193704", "443767"]
    assert "2000000001" not in str(found), "a rare word is named by nobody"
    exact = network("entries", {"a": entries(1)}, "public").run("breakdown", column="concept").document
    true = dict(zip(*np.unique(entries(1)["concept"], return_counts=True), strict=True))
    assert {one["word"]: one["low"] for one in exact["words"]} == true
    assert all(one["low"] == one["high"] for one in exact["words"])


def test_a_rare_word_costs_the_one_that_it_is_joined_to_its_last_digits_only():
    table = entries(1, 500)
    table["concept"] = np.where(np.arange(500) < 6, "2 seldom", "1 often")
    found = network("entries", {"a": table}).run("breakdown", column="concept").document
    assert found["words"] == [{"word": "1 often", "low": 490, "high": 500}]
    for few in (1, K - 1):
        table["concept"] = np.where(np.arange(500) < few, "2 seldom", "1 often")
        assert network("entries", {"a": table}).run("breakdown", column="concept").document == found


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_the_words_that_are_joined_to_one_that_many_have_are_of_few(counts):
    """So that of the one it may be said how many have it, but for its last digits."""
    words = np.repeat([f"{i} word" for i in range(len(counts))], counts)
    columns = {"concept": type(TABLES["entries"]["concept"])("category", tuple(sorted(set(words))))}
    found = atoll.Network({"a": {"concept": words}}, policy=UNROUNDED, columns=columns, threads=1).run(
        "breakdown", column="concept"
    )
    true = {f"{i} word": n for i, n in enumerate(counts)}
    for one in (one for one in found.words if one["low"] < one["high"]):
        others = [n for word, n in true.items() if word not in {other["word"] for other in found.words}]
        assert sum(others) < K <= true[one["word"]] and (one["low"] == 0 or one["low"] > one["high"] - K)


def test_a_concept_is_one_word_whatever_a_hospital_calls_it():
    other = entries(2)
    other["concept"] = np.where(
        other["concept"] == "201826 Type 2 diabetes mellitus", "201826 Diabetes type II", other["concept"]
    )
    found = network("entries", {"north": entries(1), "south": other}, UNROUNDED).run("breakdown", column="concept")
    once = [one for one in found.words if one["word"].startswith("201826")]
    assert len(once) == 1
    true = sum(np.char.startswith(t["concept"], "201826").sum() for t in (entries(1), other))
    assert once[0]["low"] == once[0]["high"] == true


@given(st.integers(0, 10**6), st.lists(st.integers(0, 60), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_the_true_persons_of_a_word_lie_within_its_bounds(seed, sizes):
    tables = {f"s{i}": entries(seed + i, n) for i, n in enumerate([*sizes, 90])}
    found = network("entries", tables, UNROUNDED).run("breakdown", column="concept")
    for one in found.words:
        true = sum(int((table["concept"] == one["word"]).sum()) for table in tables.values())
        assert one["low"] <= true <= one["high"]


def test_without_a_word_that_enough_have_there_is_none():
    table = {"person": np.arange(6), "concept": np.array(["1 a", "2 b"] * 3)} | {
        k: np.ones(6) for k in ("before", "after", "within")
    }
    found = network("entries", {"a": table}).run("breakdown", column="concept").document
    assert found["words"] == [] and "no_words" in found["notes"]
    assert "Nothing that enough persons have" in page(found, "en")


# ---- overlap


@given(
    st.integers(0, 10**6),
    st.integers(0, 40),
    st.sampled_from([(1, 0, 0), (0.5, 0.5, 0), (0.34, 0.33, 0.33), (0.9, 0.02, 0.08)]),
)
@settings(max_examples=40, deadline=None)
def test_the_true_parts_lie_within_the_bounds(seed, n, chances):
    tables = {"a": two(seed, 200, chances), "b": two(seed + 1, n)}
    found = network("overlap", tables, UNROUNDED).run("overlap", first="first", second="second")
    first, second = (np.concatenate([t[w] for t in tables.values()]) == 1 for w in ("first", "second"))
    masks = (first | second, first, second, first & second, first & ~second, second & ~first)
    for part, mask in zip(PARTS, masks, strict=True):
        assert found.parts[part]["low"] <= mask.sum() <= found.parts[part]["high"], part


def test_a_cohort_is_a_flag():
    with pytest.raises(StudyError, match=r"second: 'before' is a number, and a cohort is a flag\. Name a flag"):
        columns = TABLES["overlap"] | {"before": TABLES["entries"]["before"]}
        atoll.Network({"a": two(1) | {"before": np.ones(300)}}, columns=columns).run(
            "overlap", first="first", second="before"
        )


# ---- times


def test_shares_and_quantiles_hold_those_of_the_rows():
    tables = {"north": entries(1, 500), "south": entries(2, 400), "small": entries(3, 4)}
    found = network("entries", tables, UNROUNDED).run("durations", columns=["before"]).document
    x = np.concatenate([tables[site]["before"] for site in ("north", "south")])
    one = found["columns"]["before"]
    assert one["persons"] == 900 and "takes_no_part" in found["notes"]
    assert found["sites_apart"]["small"]["columns"]["before"]["persons"] == 0
    for day, low, high in one["at_most"]:
        assert low - 1e-9 <= (x <= day).mean() <= high + 1e-9
    for probability, estimate, low, high in one["quantiles"]:
        true = np.quantile(x, probability, method="inverted_cdf")
        assert low <= true <= (high or np.inf)
        assert estimate is None if high is None else low <= estimate <= high


def long_after(seed: int, n: int = 300):
    """Most are observed for less than ten years; too few for longer to be told apart from the others."""
    r = np.random.default_rng(seed)
    return entries(seed, n) | {"after": np.floor(r.uniform(0, 3653, n))}


LONG = both("entries", long_after, "durations", columns=["after"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_quartile_beyond_the_grid_is_told_as_at_least_and_nowhere_as_the_grids_end(language):
    """The third quartile is about 2,740 days; the grid's last edge, 7,305, was told."""
    _, estimate, low, high = next(q for q in LONG["columns"]["after"]["quantiles"] if q[0] == 0.75)
    assert (estimate, low, high) == (None, 1826.0, None)
    row = next(row for row in kinds.rows(LONG) if row["site"] == "(all)")
    assert np.isnan(row["q75"]) and row["q75_low"] == 1826
    drawn = kinds.chart(LONG, Say(language), charts.WIDE).svg
    for text in (page(LONG, language), drawn, " ".join(summary.lines(LONG))):
        assert "≥ 1,826" in text and "7,305" not in text and "7305" not in text
    assert drawn.count('<path class="mark"') == 3, "an open whisker for all and for each hospital"


def test_of_public_data_quantiles_are_those_of_the_rows():
    """1 to 3 days told from a grid whose first step is 30 days gave quartiles of 7.5 and 22.5."""
    tables = {
        "a": entries(1, 40) | {"within": np.repeat([1.0, 2.0, 3.0, 400.0], 10)},
        "b": entries(2, 11) | {"within": np.full(11, 1.0)},
    }
    found = network("entries", tables, "public").run("durations", columns=["within", "before"]).document
    assert found["exact"]
    for name, one in found["columns"].items():
        x = np.concatenate([table[name] for table in tables.values()])
        for probability, *told in one["quantiles"]:
            assert told == [np.quantile(x, probability, method="inverted_cdf")] * 3
        for day, low, high in one["at_most"]:
            assert low == high == pytest.approx((x <= day).mean())
    own = found["sites_apart"]["b"]["columns"]["within"]
    assert own["persons"] == 11 and {q[1] for q in own["quantiles"]} == {1.0}
    assert "2 (1, 3)" in kinds.chart(found).svg and "(2)" not in " ".join(summary.lines(found))
    assert "between neighbours of a grid" not in page(found, "en")


def test_of_nobody_there_is_no_time():
    nobody = {name: values[:0] for name, values in entries(1).items()}
    found = network("entries", {"a": nobody, "b": entries(1)}, "public").run("durations", columns=["within"])
    assert found.sites_apart["a"]["columns"]["within"]["persons"] == 0 and found.columns["within"]["persons"] == 300


def test_times_are_days():
    with pytest.raises(StudyError, match=r"columns: 'born' is no number of days\. Name numbers whose unit is d"):
        network("risk", {"a": at_risk(1)}).run("durations", columns=["born"])


# ---- pages


def page(document, language):
    shown = report.report(document, {}, Say(language))
    from atoll.ui import layout

    return layout.render(layout.HERE / "templates", "result.html", language, shown=shown)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [charts.NARROW, charts.WIDE])
@pytest.mark.parametrize("name", RESULTS)
def test_a_chart_says_its_unit_in_both_languages_and_keeps_within_its_width(name, width, language):
    days = "days: median and middle half" if width == charts.WIDE else "days"
    unit = {"incidence": "events per 1,000 person-years", "durations": days}.get(name, "persons")
    drawn = kinds.chart(RESULTS[name], Say(language), width).svg
    root = ET.fromstring(drawn)
    assert Say(language)(unit) in drawn
    boxes = [e for e in root.iter() if e.tag.endswith("rect")]
    assert all(0 <= float(e.get("x")) <= float(e.get("x")) + float(e.get("width")) <= width + 1 for e in boxes)


@pytest.mark.parametrize("name", RESULTS)
def test_a_page_says_everything_in_chinese_too(name):
    text = page(RESULTS[name], "zh")
    for english in ("persons", "hospital", "events", "women", "cohort only", "median"):
        assert f">{english}<" not in text
    assert ("女性 40–49" in text) == (name == "incidence")
    assert report.to_csv(RESULTS[name]).count("\n") > 2
