"""A survival curve on a grid is a life table: by hand, near the exact curve, and no event after its end is told."""

from __future__ import annotations

import numpy as np
import pytest

import atoll
from atoll.algorithms.kaplan_meier import curve, exposed, median, read_at
from atoll.study.dictionary import Column
from atoll.ui import layout, report
from atoll.ui.drawing import logarithmic
from atoll.ui.words import Say

COLUMNS = {
    "t": Column("number", unit="d", low=0, high=4000),
    "e": Column("flag"),
    "arm": Column("category", ("a", "b")),
}
LEAVING, EVENTS = np.array([100, 60, 40, 0]), np.array([20, 30, 10, 0])  # of 200: 80, 30 and 30 are censored
GRID = np.array([100.0, 200.0, 300.0])


def test_by_hand():
    values = curve(LEAVING, EVENTS, exact=False)
    at_risk = np.array([200 - 40, 100 - 15, 40 - 15.0])
    np.testing.assert_allclose(exposed(LEAVING, EVENTS, False)[:3], at_risk)
    S = np.cumprod(1 - EVENTS[:3] / at_risk)
    np.testing.assert_allclose(values["survival"], S)
    hazard = np.cumsum(EVENTS[:3] / (at_risk * (at_risk - EVENTS[:3])))
    np.testing.assert_allclose(values["se"], S * np.sqrt(hazard))
    found = read_at(GRID, values, np.array([50.0, 100.0, 150.0, 300.0, 900.0]), exact=False)
    np.testing.assert_allclose(found["survival"], [(1 + S[0]) / 2, S[0], (S[0] + S[1]) / 2, S[2], S[2]])
    assert found["at_risk"].tolist() == [200, 100, 100, 0, 0], "those who are followed beyond"
    assert found["events"].tolist() == [0, 20, 20, 60, 60]
    place = 200 + 100 * (S[1] - 0.5) / (S[1] - S[2])
    assert median(GRID, values, exact=False)[0] == pytest.approx(place)


def test_without_censoring_it_is_the_share_that_is_left():
    values = curve(np.array([30, 20, 50]), np.array([30, 20, 0]), exact=False)
    np.testing.assert_allclose(values["survival"], [0.7, 0.5])
    assert median(GRID[:2], values, exact=False)[0] == 200.0


def followed(seed, n=3000):
    """Exponential times, a third of them censored within the first year."""
    r = np.random.default_rng(seed)
    arm = r.choice(["a", "b"], n)
    time = np.ceil(r.exponential(np.where(arm == "a", 900, 1400), n))
    end = np.ceil(r.uniform(1, 1100, n))
    return {"t": np.minimum(time, end), "e": (time <= end) * 1.0, "arm": arm}


TABLES = {"north": followed(1), "south": followed(2)}


@pytest.mark.parametrize("times", [[365.0], [180.0, 365.0], [90.0, 180.0, 270.0, 365.0]])
def test_a_grid_is_near_the_exact_curve_however_many_are_censored(times):
    ask = {"time": "t", "event": "e", "by": "arm"}
    exact = atoll.Network(TABLES, policy="public", columns=COLUMNS).run("kaplan_meier", times=[365.0], **ask)
    grid = atoll.Network(TABLES, columns=COLUMNS).run("kaplan_meier", times=times, **ask)
    assert "life_table" in grid.document["notes"]
    for arm in ("a", "b"):
        truth, found = exact.document["groups"][arm], grid.document["groups"][arm]
        assert abs(found["survival"][-1] - truth["survival"][0]) < truth["se"][0], "uncorrected it is several away"
        assert found["lower"][-1] < truth["survival"][0] < found["upper"][-1]
        assert abs(found["at_risk"][-1] - truth["at_risk"][0]) <= 15, "rounded, and without those of that very day"


def test_nobody_is_told_apart_after_the_last_time():
    """Nine have the event after two years, and the question does not ask about them."""
    tables = {name: {k: v.copy() for k, v in table.items()} for name, table in TABLES.items()}
    late = np.flatnonzero(tables["south"]["t"] > 730)
    tables["south"]["e"][late] = 0.0
    tables["south"]["e"][late[:9]] = 1.0
    network = atoll.Network(tables, columns=COLUMNS)
    found = network.run("kaplan_meier", time="t", event="e", times=[365.0, 730.0])
    until = sum(((table["t"] <= 730) & (table["e"] == 1)).sum() for table in tables.values())
    assert abs(found.document["events"] - until) <= 10


def test_a_median_that_is_not_reached_is_said_on_the_page():
    document = atoll.Network(TABLES, columns=COLUMNS).run("kaplan_meier", time="t", event="e", times=[90.0]).document
    shown = report.report(document, COLUMNS, Say("en"))
    text = layout.render(layout.HERE / "templates", "result.html", "en", shown=shown)
    assert "not reached" in text and "nan" not in text.replace("financ", "")


@pytest.mark.parametrize("ends", [(0.601, 1.75), (0.9, 1.1), (0.02, 50.0), (0.4, 4.0)])
def test_a_scale_of_ratios_has_three_ticks_at_least(ends):
    assert len(logarithmic(ends, 0.0, 500.0, 6).ticks) >= 3
