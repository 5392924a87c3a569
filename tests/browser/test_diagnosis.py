"""The page of a diagnosis, wide and narrow, in both languages: nothing is cut, and a table that goes on says so."""

from __future__ import annotations

import pytest

from atoll.ui.diagnosis import About, page
from tests.browser.test_pages import NAMELESS, TWICE
from tests.unit.test_phenotype_diagnostics import LONG, RESULTS, entries, network

SITES = ("north", "south")
# Text of charts that does not lie within its drawing.
CUT = """() => [...document.querySelectorAll('svg.chart')].filter((e) => e.getClientRects().length).flatMap((chart) => {
  const all = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('text')].filter((e) => {
    const own = e.getBoundingClientRect();
    return own.left < all.left - 1 || own.right > all.right + 1;
  }).map((e) => e.textContent);
})"""
# Names of hospitals that stand on more lines than they have words.
BROKEN = """() => [...document.querySelectorAll('[aria-labelledby=durations] tbody th')].filter((e) => {
  const lines = document.createRange();
  lines.selectNodeContents(e);
  return lines.getClientRects().length > e.textContent.trim().split(' ').length;
}).map((e) => e.textContent)"""
HIDDEN = "() => [...document.querySelectorAll('[aria-labelledby=durations] .scroll')]" \
    ".some((e) => e.scrollWidth > e.clientWidth)"  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("alone", [False, True])
def test_nothing_of_a_diagnosis_is_cut(chromium, width, language, alone):
    found = {name: RESULTS[name] for name in ("incidence", "breakdown", "overlap")} | {"times": LONG}
    if alone:
        zeros = network("entries", {"here": entries(1) | {"before": [0.0] * 300}}, "public")
        found["times"] = zeros.run("durations", columns=["before", "after"], by_site=False).document
    about = About("High blood pressure", "2026-11-29", () if alone else SITES, {"High blood pressure": "Who enters"})
    shown = chromium.new_page(viewport={"width": width, "height": 800})
    shown.set_content(page(found, about, language))
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.evaluate(CUT) == [] and shown.evaluate(BROKEN) == [] and not shown.evaluate(HIDDEN)
    assert shown.evaluate(NAMELESS) == [] and shown.evaluate(TWICE) == []
    ticks = shown.locator("svg.chart text.soft").all_text_contents()
    assert not any(tick.startswith("−") for tick in ticks), "days and rates begin at nought"
    shown.close()
