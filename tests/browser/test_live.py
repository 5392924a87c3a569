"""A run that goes on, seen live: a real hub and real sites; the page changes by itself, without reloading."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Watched
from tests.network.world import DATASETS, Nursery, World


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def world(tmp_path, nursery):
    world = World(nursery, tmp_path)
    yield world
    world.close()


def test_a_run_is_seen_from_approval_to_result(chromium, world):
    world.start_sites()
    study, (run,) = world.submit(world.signed({"first": {"rounds": 4, "pause": 0.4}}, title="Live"))
    watched = Watched(chromium, world.url)
    watched.login(world.token)
    page = watched.page
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/live" in request.url else None)
    watched.go(f"/runs/{run}")
    page.wait_for_selector("text=Waits for the decision of north, river, south.")
    page.evaluate("window.same = true")
    page.get_by_role("link", name="Hospitals").focus()
    world.approve_all(study)
    page.wait_for_selector("text=Round 2: 0 of 3 hospitals have answered")
    page.wait_for_selector(".state.computing")
    assert page.evaluate("window.same") is True
    assert page.evaluate("document.activeElement.textContent") == "Hospitals"
    page.wait_for_selector("text=What left each hospital")  # the run has ended: the whole page, with its result
    assert page.evaluate("window.same") is None
    assert page.locator("h1 + .state").inner_text() == "finished"
    assert page.locator("table.cards tbody tr").count() == 3
    assert page.locator("[data-live]").count() == 0
    assert len(asked) <= 40  # one request per change at most, none while nothing happens
    watched.close()


def test_what_was_opened_stays_open_while_the_page_changes(chromium, world):
    asked = "  rows: {algorithm: feasibility, dataset: checkup, columns: [age]}"
    world.submit(world.study_of(DATASETS, asked, title="Question"))
    watched = Watched(chromium, world.url)
    watched.login(world.token)
    watched.go("/")
    watched.page.locator("details summary").click()
    world.submit(world.study_of(DATASETS, asked, title="Another"))
    watched.page.wait_for_selector("text=Another")
    assert watched.page.locator("article:has(details[open]) h2").all_inner_texts() == ["Question"]
    watched.close()


def test_a_page_waits_for_a_hub_that_went_away(chromium, world):
    world.start_sites()
    world.submit(world.signed({"first": {"rounds": 2}}, title="Away"))
    watched = Watched(chromium, world.url)
    watched.login(world.token)
    watched.go("/")
    watched.page.wait_for_selector("text=Waits for the decision")
    world.hub.kill()
    watched.page.wait_for_selector("#away:not([hidden])")
    world.hub.start()
    watched.page.wait_for_url(world.url + "/login*")  # sessions are in memory: the page asks to sign in again
    watched.complaints.clear()
    watched.close()
