"""Before anyone signs: how many patients the hospitals have, under a standing permission, over a real network."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import atoll
from atoll.algorithms.planned import as_questions
from atoll.client import questions
from atoll.errors import NotPermitted
from atoll.governance import ledger, signatures
from atoll.hub import members
from atoll.hub.api import hash_token
from atoll.hub.service import Service
from atoll.local import run_study
from atoll.network.messages import Poll
from atoll.privacy.disclosure import STRICT
from atoll.site.datasets import Registry
from atoll.site.standing import MOST, RECIPES, SUBJECT, covers, decide, read_standing, used, write_standing
from atoll.study.protocol import PrivacyFloor, read
from tests.browser.world import Hub
from tests.network.test_recipe import DEFINITION, MODEL, RECIPE, hospital
from tests.network.world import World, wait_until

PEOPLE = """\
datasets:
  checkup:
    columns:
      age: {type: number, unit: a, range: [0, 120]}
      bmi: {type: number}
      y: {type: flag}
"""
MODELS = """\
  risk: {algorithm: glm, dataset: checkup, family: binomial, formula: 'y ~ age + bmi'}
  who: {algorithm: describe, dataset: checkup, columns: [age]}
"""


@pytest.fixture
def world(tmp_path, nursery, monkeypatch):
    from atoll import client
    from atoll.settings import read as settings

    made = World(nursery, tmp_path, ("north", "south"), roles=("centre", "hospital"))
    made.key = signatures.read_or_make_key(tmp_path / "home" / "investigator" / "key.pem")[0]
    monkeypatch.setattr(client, "settings", lambda: settings({"ATOLL_HOME": str(tmp_path / "home")}))
    yield made
    made.close()


def table(number: int) -> pa.Table:
    r = np.random.default_rng(number)
    bmi = np.where(r.random(1_000) < 0.2, np.nan, r.normal(25, 4, 1_000).round(1))
    y = (r.random(1_000) < 0.2).astype(float)
    return pa.table({"age": r.normal(60, 10, 1_000).round(1), "bmi": pa.array(bmi, from_pandas=True), "y": y})


def registered(world: World) -> tuple[str, dict[str, pa.Table]]:
    """The study's text, with each hospital's table registered."""
    signed = world.study_of(PEOPLE, MODELS)
    found = {site: table(number) for number, site in enumerate(world.sites)}
    for site, home in world.homes.items():
        pq.write_table(found[site], home.folder / "checkup.parquet")
        store = home.store()
        Registry(home, store).add(
            "checkup", str(home.folder / "checkup.parquet"), columns=signed.study().datasets["checkup"]
        )
        store.close()
    return signed, found


def permit(world: World, site: str, number: int) -> None:
    home = world.homes[site]
    store = home.store()
    write_standing(home, store, number)
    store.close()
    home.wake()


def entries(world: World, site: str) -> list[ledger.Entry]:
    store = world.homes[site].store()
    try:
        return store.entries()
    finally:
        store.close()


def test_hospitals_with_a_permission_answer_and_the_others_are_named(world, tmp_path):
    signed, found = registered(world)
    (tmp_path / "study.json").write_bytes(signed.to_bytes())
    permit(world, "north", 20)
    world.start_sites()
    hub = atoll.Hub(world.url, token=world.token, authority=world.hub_home.files.authority)

    answers = hub.feasibility(tmp_path / "study.json", seconds=6)
    assert answers["south"] == "Waits for the decision of south."
    here = {
        name: result.document
        for site, question in questions(signed.study())
        if site == "north"
        for name, result in run_study(coarse(question), {"north": found["north"]})
    }
    assert {name: answer["steps"] for name, answer in answers["north"].items()} == {
        name: document["steps"] for name, document in here.items()
    }
    known = np.asarray(~np.isnan(found["north"].column("bmi").to_numpy(zero_copy_only=False)))
    assert abs(answers["north"]["risk"]["steps"][2]["low"] - known.sum()) <= 7, "steps of 15"
    assert [e.decision for e in entries(world, "north") if e.subject == SUBJECT] == ["changed", "approved"]
    assert ledger.verify(entries(world, "north")) is None

    wait_until(lambda: states_of(world, "south") == ["withdrawn"])  # and stands in no steward's list
    assert entries(world, "south")[-1].decision == "withdrawn" and ledger.verify(entries(world, "south")) is None

    assert hub.feasibility(tmp_path / "study.json", seconds=1, keep=True)["south"] == "Waits for the decision of south."
    permit(world, "south", 20)  # what was proposed before is answered now
    assert isinstance(hub.feasibility(tmp_path / "study.json", seconds=30)["south"], dict)
    assert states_of(world, "south") == ["approved", "withdrawn"], "kept, it is the same question"
    assert len([e for e in entries(world, "north") if e.kind == "share"]) == 2, "the same question is not asked twice"


def test_a_site_that_was_away_hears_what_was_withdrawn_when_it_is_back(tmp_path):
    """Told once, and again to a process that starts anew: the answer may have been lost."""

    async def heard() -> list[tuple[str, ...]]:
        service = Service(hub.home.store(), hub.home.identity())
        await service.start()
        try:
            site = service.site_of(signatures.fingerprint(signatures.public_bytes(hub.keys["coral"])))
            who = await service.read(lambda c: members.investigator_of(c, hash_token(hub.token)))
            for study in (asked, decided):
                await service.stop(who, study)
            polls = [Poll(instance, 9, (), (), 0.0) for instance in (1, 1, 2)]
            return [(await service.poll(site, poll)).withdrawn for poll in polls]
        finally:
            await service.close()

    hub = Hub(tmp_path)
    hub.join()
    decided, _ = hub.study(("risk",), "Decided")
    hub.decide(decided, coral="approve")
    (asked, _), *_ = hub.questions("Asked")
    hub.store.close()
    assert asyncio.run(heard()) == [(asked,), (), (asked,)]


def states_of(world: World, site: str) -> list[str]:
    """Of the studies that were proposed to a site, newest first."""
    store = world.homes[site].store()
    try:
        return [row["state"] for row in store.studies()]
    finally:
        store.close()


def coarse(question):
    """What the hospital makes of it: counts in steps of its minimum."""
    return replace(question, privacy=PrivacyFloor(rounding=STRICT.minimum_persons))


def test_few_definitions_of_one_investigator_are_covered(world):
    """The difference of two that differ in one patient is that patient's answer."""
    home = world.homes["north"]
    hospital(home.folder / "omop.duckdb", 0)
    study = world.study_of(RECIPE, MODEL).study()
    store = home.store()
    write_standing(home, store, 20)
    store.set_facts(cdm=f"duckdb:///{home.folder / 'omop.duckdb'}")
    one, other = signatures.new_key(), signatures.new_key()
    number = 0

    def asked(title: str, days: int, key: signatures.PrivateKey) -> bool:
        nonlocal number
        number += 1
        question = as_questions(study, "north", study.valid_from)
        cohort = json.dumps(DEFINITION | {"CollapseSettings": {"CollapseType": "ERA", "EraPad": days}})
        recipes = {name: replace(recipe, cohort=cohort) for name, recipe in question.recipes.items()}
        fields = {"title": title, "investigator": without_key(question), "recipes": recipes}
        signed = signatures.sign_study(replace(question, **fields), key)
        store.receive_study(number, signed, title)
        return decide(home, store, signed.hash)

    assert all(asked(f"draft {days}", days, one) for days in range(RECIPES))
    assert not asked("one more", RECIPES, one), "the steward is asked"
    assert asked("the first again", 0, one), "that is none more"
    assert asked("another's", RECIPES, other)
    store.close()


def test_a_permission_counts_thirty_days(world, monkeypatch):
    signed, _ = registered(world)
    home = world.homes["north"]
    store = home.store()
    write_standing(home, store, 20)
    question = as_questions(signed.study(), "north", signed.study().valid_from)
    study = signatures.sign_study(replace(question, investigator=without_key(question)), world.key)
    store.receive_study(1, study, "once")
    assert decide(home, store, study.hash)
    later = datetime.now(UTC) + timedelta(days=29)
    monkeypatch.setattr("atoll.site.standing.datetime", type("Later", (), {"now": staticmethod(lambda zone: later)}))
    assert used(store, study.fingerprint) == 2
    later += timedelta(days=2)
    assert used(store, study.fingerprint) == 0
    store.close()


def test_a_permission_is_used_up(world):
    signed, _ = registered(world)
    home = world.homes["north"]
    store = home.store()
    write_standing(home, store, 3)  # the study has two questions
    number = 0

    def asked(title: str, key: signatures.PrivateKey) -> bool:
        nonlocal number
        number += 1
        text = as_questions(signed.study(), "north", signed.study().valid_from)
        study = signatures.sign_study(
            text.__class__(**{**vars(text), "title": title, "investigator": without_key(text)}), key
        )
        store.receive_study(number, study, title)
        return decide(home, store, study.hash)

    one, other = signatures.new_key(), signatures.new_key()
    assert asked("first", one)
    assert not asked("second", one), "two of three are used, and this one has two more"
    assert asked("third", other), "another investigator has questions of her own"
    assert used(store, signatures.fingerprint(signatures.public_bytes(one))) == 2
    store.close()


def without_key(study):
    return study.investigator.__class__(study.investigator.name, study.investigator.organisation)


@pytest.mark.parametrize(
    "what", ["off", "two hospitals", "a model", "public", "limits of its own", "not apart", "changed"]
)
def test_nothing_else_is_covered(world, what):
    signed, _ = registered(world)
    home = world.homes["north"]
    store = home.store()
    question = as_questions(signed.study(), "north", signed.study().valid_from)
    fields = {**vars(question), "investigator": without_key(question)}
    if what != "off":
        write_standing(home, store, 20)
    if what == "two hospitals":
        fields["sites"] = signed.study().sites
    if what == "a model":
        fields["analyses"] = {**question.analyses, "risk": signed.study().analyses["risk"]}
    if what == "public":
        fields["privacy"] = question.privacy.__class__(public=True)
    if what == "limits of its own":
        fields["privacy"] = question.privacy.__class__(rounding=25)
    if what == "not apart":
        from atoll.site.datasets import write_policy

        write_policy(home, store, replace(STRICT, per_site=False), "")
    study = signatures.sign_study(question.__class__(**fields), world.key)
    if what == "changed":
        store.set_facts(feasibility=store.fact("feasibility").replace('"questions": 20', '"questions": 900'))
        with pytest.raises(NotPermitted):
            covers(home, store, study)
    else:
        assert not covers(home, store, study)
    store.close()


def test_a_permission_has_bounds(world):
    home = world.homes["north"]
    store = home.store()
    for number in (-1, MOST + 1):
        with pytest.raises(NotPermitted):
            write_standing(home, store, number)
    assert read_standing(home, store) == 0
    store.close()


def test_tables_that_were_made_for_a_question_are_removed_when_it_is_over(world, monkeypatch):
    home = world.homes["north"]
    hospital(home.folder / "omop.duckdb", 0)
    signed = world.study_of(RECIPE, MODEL)
    store = home.store()
    write_standing(home, store, 20)
    registry = Registry(home, store)

    def asked(number: int) -> bool:
        question = as_questions(signed.study(), "north", signed.study().valid_from)
        fields = {**vars(question), "title": f"Question {number}", "investigator": without_key(question)}
        study = signatures.sign_study(question.__class__(**fields), world.key)
        store.receive_study(number, study, "Question")
        return decide(home, store, study.hash)

    assert not asked(1), "this site knows of no OMOP data: its steward decides"
    store.set_facts(cdm=f"duckdb:///{home.folder / 'omop.duckdb'}")
    assert asked(2) and len(registry.names()) == 1
    monkeypatch.setattr("atoll.site.standing.KEPT", 0.0)
    assert asked(3) and len(registry.names()) == 1, "that of the second question is gone"
    assert len(list(home.datasets.glob("*.parquet"))) == 1
    assert [e.decision for e in store.entries() if e.kind == "dataset"] == ["registered", "removed", "registered"]
    store.close()


def test_a_permission_that_was_given_while_nobody_served_is_seen_at_the_start(world, tmp_path):
    signed, _ = registered(world)
    (tmp_path / "study.json").write_bytes(signed.to_bytes())
    hub = atoll.Hub(world.url, token=world.token, authority=world.hub_home.files.authority)
    assert set(map(type, hub.feasibility(tmp_path / "study.json", seconds=1).values())) == {str}
    for site in world.sites:
        permit(world, site, 20)
    world.start_sites()
    wait_until(lambda: all(isinstance(a, dict) for a in hub.feasibility(tmp_path / "study.json", 5).values()))


def test_a_study_in_yaml_is_read_with_its_definitions(world, tmp_path):
    text = world.study_of(PEOPLE, MODELS).study()
    assert [site for site, _ in questions(text)] == ["north", "south"]
    question = dict(questions(text))["north"]
    assert set(question.sites) == {"north"} and question.title.startswith(f"{text.title} · 20")
    assert read(question.canonical().decode()).hash == question.hash
