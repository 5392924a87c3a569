"""Every page, wide and narrow, in both languages: nothing overflows, nothing is blocked, everything has a name."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Watched
from tests.browser.world import ANALYSES, DICTIONARY, SITES, STUDY

SCREENS = [(width, language) for language in ("en-GB", "zh-CN") for width in (1280, 390)] + [(320, "en-GB")]

NAMELESS = """() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const told = (e) => e.outerHTML.slice(0, 120);
  const named = (e) => (e.getAttribute('aria-label') || e.textContent || '').trim() || e.getAttribute('aria-labelledby')
    || [...(e.labels || [])].some((l) => l.textContent.trim()) || e.querySelector('img[alt]:not([alt=""])');
  const wanted = 'a, button, summary, input:not([type=hidden]), svg[role=img], [role=region], section, nav';
  const shown = (e) => e.getClientRects().length > 0;
  const dangling = (e) => !document.getElementById(e.getAttribute('aria-labelledby'));
  return all(wanted).filter((e) => shown(e) && !named(e)).map(told)
    .concat(all('img:not([alt])').map(told), all('[aria-labelledby]').filter(dangling).map(told));
}"""
TWICE = """() => {
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  return ids.filter((id, n) => ids.indexOf(id) !== n);
}"""
# What a reader of a Chinese page may still meet in Latin letters: names that people gave are marked as such.
WORDS = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!e.closest('[translate=no], code, pre, script, [lang=en], button[lang]')) found.push(walk.currentNode.data);
  }
  for (const e of document.querySelectorAll('[aria-label], [title], [data-label], [alt], [placeholder]'))
    for (const name of ['aria-label', 'data-label', 'alt', 'placeholder']) found.push(e.getAttribute(name) || '');
  return found.concat([document.title]).join(' \\n ');
}"""
REACHABLE = """() => [...document.querySelectorAll('a, button, summary, [tabindex="0"]')]
  .filter((e) => e.getClientRects().length).length"""
NEUTRAL = {
    "Atoll",
    "UTC",
    "AUC",
    "CSV",
    "JSON",
    "SVG",
    "Cox",
    "Brier",
    "kB",
    "MB",
    "Intercept",
    "kg",
    "mmol",
    "mm",
    "Hg",
}


@pytest.mark.parametrize(("width", "language"), SCREENS)
def test_pages_fit_are_clean_and_have_names(chromium, hub, width, language):
    watched = Watched(chromium, hub.url, width, language)
    watched.go("/login")
    _looked_at(watched, "/login", width)
    watched.login(hub.token)
    for name, path in hub.pages.items():
        answer = watched.go(path)
        assert answer.status == (404 if name == "nothing" else 200), name
        _looked_at(watched, name, width)
        if name == "nothing":
            watched.complaints.clear()  # Chromium itself reports the 404
    watched.close()


def _looked_at(watched, name, width):
    page = watched.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
    assert page.locator("h1").count() == 1, name
    assert page.evaluate(NAMELESS) == [], name
    assert page.evaluate(TWICE) == [], name
    assert page.locator("[style]").count() == 0, name
    assert page.evaluate("document.documentElement.lang") in ("en", "zh-Hans")


def test_chinese_pages_speak_chinese(chromium, hub):
    given = {
        *SITES,
        *" ".join(ANALYSES).replace("-", " ").split(),
        *DICTIONARY,
        "wang",
        "fang",
        *re.findall(r"\w+", STUDY["title"]),
    }
    given |= {level for column in DICTIONARY.values() for level in column.levels} | {"T"}
    given |= {word for a in ANALYSES.values() for word in re.findall(r"\w+", a.get("label", ""))}
    given |= {"Survival", "by", "weight", "class", "Kidney", "function", "after", "ten", "years", "of"}  # titles
    drawn = (DICTIONARY[column].label for column in (*ANALYSES["lost"]["columns"], "age", "glucose"))
    given |= {word for label in drawn for word in re.findall(r"\w+", label)}  # a chart says a person's own words
    watched = Watched(chromium, hub.url, language="zh-CN")
    watched.login(hub.token)
    for name, path in hub.pages.items():
        watched.go(path)
        text = watched.page.evaluate(WORDS)
        assert re.search(r"[\u4e00-\u9fff]", text), name
        spoken = {word for word in re.findall(r"[A-Za-z_]{2,}", text)}
        assert spoken <= NEUTRAL | given, f"{name}: {sorted(spoken - NEUTRAL - given)}"
    watched.complaints.clear()
    watched.close()


def test_the_switch_changes_the_language_and_stays(chromium, hub):
    watched = Watched(chromium, hub.url)
    watched.login(hub.token)
    watched.go("/sites")
    watched.page.get_by_role("button", name="中文").click()
    watched.page.wait_for_url(hub.url + "/sites")
    assert watched.page.locator("h1").inner_text() == "医院"
    watched.go("/")
    assert watched.page.locator("h1").inner_text() == "研究"
    watched.page.get_by_role("button", name="English").click()
    watched.page.wait_for_selector("h1:text('Studies')")
    watched.close()


def test_a_keyboard_reaches_everything_and_shows_where_it_is(chromium, hub):
    watched = Watched(chromium, hub.url)
    watched.login(hub.token)
    watched.go(hub.pages["run-risk"])
    page = watched.page
    wanted = page.evaluate(REACHABLE)
    for _ in range(wanted):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.evaluate("document.activeElement.dataset.reached = 'yes'")
    assert page.locator("[data-reached]").count() == wanted
    watched.close()


def test_files_can_be_taken_home(chromium, hub):
    watched = Watched(chromium, hub.url)
    watched.login(hub.token)
    watched.go(hub.pages["run-risk"])
    for link, start, name in (("CSV", "\ufeffterm,estimate", ".csv"), ("JSON", "{", ".json"), ("SVG", "<svg", ".svg")):
        with watched.page.expect_download() as download:
            watched.page.get_by_role("link", name=link).click()
        assert download.value.suggested_filename.endswith(f"-risk{name}")
        assert download.value.path().read_text("utf-8").startswith(start)
    watched.close()


def test_printed_pages_hold_the_result_without_buttons(chromium, hub):
    watched = Watched(chromium, hub.url)
    watched.login(hub.token)
    watched.go(hub.pages["run-risk"])
    watched.page.emulate_media(media="print")
    assert not watched.page.get_by_role("link", name="CSV").is_visible()
    assert not watched.page.get_by_role("button", name="Sign out").is_visible()
    assert watched.page.locator("figure .wide-only svg").first.is_visible()
    watched.close()
