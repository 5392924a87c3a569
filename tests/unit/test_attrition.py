"""Attrition over sites: exact where nobody need be hidden, else bounds that hold the truth; its table and chart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import atoll
from atoll.algorithms.attrition import told_steps
from atoll.errors import DisclosureRefused, StudyError
from atoll.privacy.disclosure import STRICT, Policy
from atoll.study.dictionary import Column
from atoll.ui import charts, kinds, layout, report
from atoll.ui.words import Say

FLAGS = {name: Column("flag", label=f"rule {name}") for name in "abc"} | {"id": Column("person")}
K = STRICT.minimum_persons
EXACT = Policy(rounding=1)


def people(seed, n=400, keep=(0.9, 0.7, 0.8)):
    r = np.random.default_rng(seed)
    return {name: (r.random(n) < p) * 1.0 for name, p in zip("abc", keep, strict=True)} | {"id": np.arange(n)}


def network(tables, policy=EXACT):
    return atoll.Network(tables, policy=policy, columns=FLAGS, threads=1)


def test_public_data_are_told_exactly():
    table = {"a": [1, 1, 0, 1], "b": [1, 0, 1, 1], "c": [1, 1, 1, 0], "id": [1, 2, 3, 4]}
    found = network({"north": table, "south": table}, "public").run("attrition", columns=["a", "b", "c"])
    assert found.entered == 8
    assert [(s["low"], s["high"], s["alone_low"], s["alone_high"]) for s in found.steps] == [
        (6, 6, 6, 6), (4, 4, 6, 6), (2, 2, 6, 6)
    ]  # fmt: skip
    assert found.document["sites_apart"]["north"] == {
        "entered": 4,
        "entered_high": 4,
        "low": [3, 2, 1],
        "high": [3, 2, 1],
    }
    assert found.document["notes"] == []


def test_events_of_a_person_count_once_and_one_event_keeps_all_steps():
    """1 keeps a by one event and b by another: alone both, in order only a."""
    table = {"a": [1, 0, 1], "b": [0, 1, 1], "c": [1, 1, 1], "id": [1, 1, 2]}
    found = network({"north": table}, "public").run("attrition", columns=["a", "b"])
    assert (found.entered, found.steps[0]["low"], found.steps[1]["low"], found.steps[1]["alone_low"]) == (2, 2, 1, 2)


def test_a_missing_flag_is_not_kept():
    table = {"a": [1.0, np.nan, 1.0], "b": [1.0, 1.0, 0.0], "c": [1.0] * 3, "id": [1, 2, 3]}
    assert network({"north": table}, "public").run("attrition", columns=["a"]).steps[0]["low"] == 2


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ([100, 97, 60, 60], [(91, 100), (60, 60), (51, 60)]),
        ([100, 100, 60, 58], [(91, 100), (60, 60), (51, 60)]),
        ([100, 96, 92, 88], [(91, 100), (91, 100), (88, 88)]),
        ([100, 9, 0, 0], [(0, K), (0, K), (0, K)]),
        ([12, 8, 8, 1], [(0, 12), (0, 12), (0, K)]),
        ([9, 9, 1], [(0, K), (0, K)]),
        ([0, 0, 0], [(0, K), (0, K)]),
    ],
)
def test_a_small_loss_is_held_back_and_looks_like_none(kept, told):
    assert told_steps(kept, K)[1:] == told


def test_a_lower_bound_is_counted_back_from_what_leaves_rounded():
    """From 43 itself it would be 33, which leaves as 35, and from 47 37: 35 again, but 44 and 46 would differ."""
    assert {told_steps([n, n - 1], K, 5)[1][0] for n in range(43, 48)} == {35}
    assert told_steps([9, 9], K, 7) == [(0, 14), (0, 14)], "nobody to K, and K is no multiple of 7"
    assert told_steps([100, K, K - 1], K, 5)[1:] == [(K, K), (0, K)]


def test_without_a_minimum_everything_is_told():
    assert told_steps([5, 4, 4, 0], 1) == [(5, 5), (4, 4), (4, 4), (0, 0)]


@given(st.integers(0, 10**6), st.integers(1, 4), st.tuples(*[st.sampled_from([0.02, 0.5, 0.97, 1.0])] * 3))
def test_the_truth_of_all_sites_lies_within_the_bounds(seed, sites, keep):
    tables = {f"s{i}": people(seed + i, 100 + 40 * i, keep) for i in range(sites)}
    found = network(tables).run("attrition", columns=["a", "b", "c"])
    so_far = {site: np.ones(len(table["a"]), bool) for site, table in tables.items()}
    for step in found.steps:
        so_far = {site: so_far[site] & (tables[site][step["step"]] == 1) for site in tables}
        alone = sum(int(table[step["step"]].sum()) for table in tables.values())
        assert step["low"] <= sum(int(mask.sum()) for mask in so_far.values()) <= step["high"]
        assert step["alone_low"] <= alone <= step["alone_high"]


def test_what_is_held_back_is_said():
    found = network({"a": people(1, keep=(0.99, 0.6, 0.7)), "b": people(2)}, "strict").run(
        "attrition", columns=["a", "b", "c"]
    )
    assert found.document["notes"] == ["rounded", "held_back"]
    text = found.summary()
    assert "Where fewer persons than a hospital's minimum were lost or left" in text
    assert re.search(r"^a +rule a +7\d\d–7\d\d", text, re.MULTILINE), text
    told = network({"a": people(3), "b": people(2)}, "strict").run("attrition", columns=["a", "b"])
    assert told.document["steps"][0]["low"] == told.document["steps"][0]["high"]
    own = told.document["sites_apart"]["a"]
    assert all(number % K == 0 for number in (own["entered"], *own["low"], *own["high"]))


@pytest.mark.parametrize("few", [0, 1, K - 1])
def test_a_small_hospital_keeps_nobody_else_from_being_counted(few):
    large = people(1)
    found = network({"large": large, "small": people(2, few)}, "strict").run("attrition", columns=["a", "b", "c"])
    alone = network({"large": large}, "strict").run("attrition", columns=["a", "b", "c"])
    assert (found.document["entered"], found.document["entered_high"]) == (400, 400 + K)
    assert [s["low"] for s in found.steps] == [s["low"] for s in alone.steps]
    assert [s["high"] for s in found.steps] == [s["high"] + K for s in alone.steps]
    assert found.sites_apart["large"] == alone.sites_apart["large"]
    assert found.sites_apart["small"] == {"entered": 0, "entered_high": K, "low": [0] * 3, "high": [K] * 3}
    assert "few_entered" in found.document["notes"] and "few_entered" not in alone.document["notes"]
    assert "where fewer persons than its minimum entered, or nobody, all its numbers are held back" in found.summary()
    shown = report.report(found.document, {}, Say("zh"))
    assert (shown["rows"][0]["left"], shown["rows"][0]["sites"]) == ("400–410", ["400", "0–10"])
    assert "该院的全部数字均不公布" in " ".join(shown["notes"]) and "400–410" in shown["chart"]


def test_a_hospital_that_shows_nothing_of_its_own():
    net = network({"a": people(1), "b": people(2)}, Policy(per_site=False))
    with pytest.raises(DisclosureRefused, match=r"^a: "):
        net.run("attrition", columns=["a"])
    assert net.run("attrition", columns=["a"], by_site=False).document["sites_apart"] == {}


def test_a_step_is_a_flag():
    columns = FLAGS | {"age": Column("number", low=0, high=120)}
    net = atoll.Network({"a": people(1) | {"age": np.ones(400)}}, columns=columns)
    with pytest.raises(StudyError, match=r"columns: 'age' is a number, and a step is a flag\. Name flags"):
        net.run("attrition", columns=["age"])
    with pytest.raises(StudyError, match=r"there is no step\. Name at least one flag"):
        net.run("attrition", columns=[])


RESULT = {
    "algorithm": "attrition",
    "sites": ["north", "south"],
    "entered": 1200,
    "steps": [
        {"step": "a", "label": "18 years or older", "low": 1100, "high": 1100, "alone_low": 1100, "alone_high": 1100},
        {"step": "b", "label": "", "low": 800, "high": 860, "alone_low": 800, "alone_high": 1200},
    ],
    "sites_apart": {
        "north": {"entered": 700, "low": [600, 400], "high": [600, 450]},
        "south": {"entered": 500, "low": [500, 400], "high": [500, 410]},
    },
    "notes": ["rounded", "held_back"],
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [charts.NARROW, charts.WIDE])
def test_the_chart_has_a_bar_a_step_and_says_what_is_held_back(language, width):
    say = Say(language)
    drawn = kinds.chart(RESULT, say, width).svg
    root = ET.fromstring(drawn)
    bars = [e for e in root.iter() if e.get("class") == "bar"]
    bands = [e for e in root.iter() if e.get("class") == "bar band"]
    assert (len(bars), len(bands)) == (3, 1)
    assert "1,100" in drawn and "800–860" in drawn
    assert say("persons") in drawn and say("held back") in drawn
    assert say("entered") in root.get("aria-label")
    assert all(float(e.get("x")) >= 0 and float(e.get("x")) + float(e.get("width")) <= width for e in bars + bands)


def test_the_rules_of_a_definition_are_called_as_people_call_them():
    """`rule_1` and `stays` stood in bold on the page."""
    labels = {"rule_1": "seen again", "rule_2": "", "stays": "in the cohort"}
    steps = [dict(RESULT["steps"][0]) | {"step": name, "label": label} for name, label in labels.items()]
    result = RESULT | {"steps": steps, "sites_apart": {}}
    for language, told in (
        ("en", ["seen again", "rule 2", "in the cohort"]),
        ("zh", ["seen again", "规则 2", "在队列中"]),
    ):
        shown = report.report(result, {}, Say(language))
        text = layout.render(layout.HERE / "templates", "result.html", language, shown=shown)
        assert [row["named"] for row in shown["rows"]][1:] == told
        assert "rule_" not in text and "stays" not in text and all(text.count(name) >= 3 for name in told)
    assert [row["named"] for row in report.report(RESULT, {}, Say("en"))["rows"]] == ["entered", "", ""]


def test_the_page_has_the_table_of_all_hospitals_and_of_each():
    shown = report.report(RESULT, {}, Say("en"))
    assert shown["kind"] == "attrition"
    assert [row["left"] for row in shown["rows"]] == ["1,200", "1,100", "800–860"]
    assert [row["alone"] for row in shown["rows"]] == ["", "1,100", "800–1,200"]
    assert [row["sites"] for row in shown["rows"]] == [["700", "500"], ["600", "500"], ["400–450", "400–410"]]
    assert "<svg" in shown["chart"]
    assert "step,label,left,low,high,alone_low,alone_high" in report.to_csv(RESULT)
