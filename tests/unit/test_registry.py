"""What a site keeps about its datasets and its policy: signed, and refused when something else changed it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace

import pytest

from atoll.errors import AtollError, DataError, DisclosureRefused, NotPermitted
from atoll.network.messages import Place
from atoll.privacy.disclosure import FLOOR, STRICT
from atoll.site.answering import RUNS, Answering
from atoll.site.datasets import Registry, read_policy, write_policy
from atoll.site.home import Home
from atoll.site.outbox import Outbox
from atoll.study.protocol import read
from tests.network.world import STUDY


@pytest.fixture
def site(tmp_path):
    home = Home.init(tmp_path / "north")
    store = home.store()
    yield home, store, Registry(home, store)
    store.close()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "checkup.csv"
    path.write_text("age\n" + "\n".join(str(40 + k % 30) for k in range(200)) + "\n", "utf-8")
    return path


def test_a_registration_that_something_else_changed_is_refused(site, source):
    _, store, registry = site
    registry.add("checkup", str(source))
    signed = store.datasets()["checkup"]
    signed["registration"]["public"] = "because I say so"
    store.set_dataset("checkup", signed)
    with pytest.raises(NotPermitted, match="signature"):
        registry.open("checkup")


def test_a_policy_that_something_else_changed_is_refused(site):
    home, store, _ = site
    write_policy(home, store, replace(STRICT, minimum_persons=8), "an agreement with the ethics board")
    assert read_policy(home, store).minimum_persons == 8
    stored = json.loads(store.fact("policy"))
    stored["policy"]["limits"]["minimum_persons"] = 1
    store.set_facts(policy=json.dumps(stored))
    with pytest.raises(NotPermitted, match="signature"):
        read_policy(home, store)


def test_no_policy_goes_below_the_floor_or_looser_without_a_reason(site):
    home, store, _ = site
    with pytest.raises(NotPermitted, match=f"minimum_persons cannot be below {FLOOR}"):
        write_policy(home, store, replace(STRICT, minimum_persons=FLOOR - 1), "we trust them")
    with pytest.raises(NotPermitted, match=r"looser than the default.*--reason"):
        write_policy(home, store, replace(STRICT, minimum_persons=FLOOR), " ")
    assert read_policy(home, store) == STRICT


def test_the_floor_is_five_persons_and_a_site_may_go_down_to_it(site):
    """The number itself: whoever changes it changes what every hospital may be made to tell."""
    home, store, _ = site
    with pytest.raises(NotPermitted, match="minimum_persons cannot be below 5"):
        write_policy(home, store, replace(STRICT, minimum_persons=4), "an agreement with the ethics board")
    write_policy(home, store, replace(STRICT, minimum_persons=5), "an agreement with the ethics board")
    assert read_policy(home, store).minimum_persons == 5


def test_only_a_dataset_registered_as_public_is_opened_as_public(site, source):
    _, _, registry = site
    registry.add("checkup", str(source))
    registry.add("published", str(source), public="simulated, seed 1")
    assert registry.open("checkup").public is False
    assert registry.open("published").public is True


def test_a_file_that_changed_since_it_was_registered_is_refused(site, source):
    _, _, registry = site
    registry.add("checkup", str(source))
    os.utime(registry.path("checkup"), ns=(1, 1))
    with pytest.raises(DataError, match="changed since it was registered") as found:
        registry.open("checkup")
    assert found.value.code == "DATA_CHANGED"


def test_a_file_that_cannot_be_opened_is_no_full_disk(site, source, monkeypatch):
    _, _, registry = site
    registry.add("checkup", str(source))

    def denied(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("atoll.features.table.ParquetTable", denied)
    with pytest.raises(DataError, match="cannot be read") as found:
        registry.open("checkup")
    assert found.value.code == "DATA_INVALID"


def test_two_commands_may_import_one_name_at_once(site, source):
    _, _, registry = site
    failed: list[AtollError] = []

    def add() -> None:
        try:
            registry.add("checkup", str(source), replace=True)
        except AtollError as error:
            failed.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert registry.path("checkup").exists() and len(list(registry.path("checkup").parent.iterdir())) == 1


def test_everything_a_site_writes_is_on_disk_when_the_call_returns(site):
    _, store, _ = site
    assert store.rows("PRAGMA synchronous")[0][0] == 2, "FULL"
    assert store.rows("PRAGMA journal_mode")[0][0] == "wal"


def test_an_analysis_is_run_a_few_times_and_no_more(site):
    """Every run is a set of questions to the same patients: a hub cannot start as many as it likes."""
    home, store, _ = site
    text = STUDY.format(
        title="Often",
        sites=f"  north: {{key: '{home.fingerprint()}'}}",
        analyses="  first: {algorithm: describe, dataset: checkup, columns: [age]}",
        first="2026-01-01",
        last="2099-01-01",
    )
    study = read(text)
    with store.writing() as connection:
        for run in range(RUNS):
            connection.execute(
                "INSERT INTO shares (study, analysis, run, round, attempt, content) VALUES (?, ?, ?, 0, 0, ?)",
                ("s", "first", f"run-{run}", b""),
            )
    answering = Answering(home, store, Outbox(store), 1)
    with pytest.raises(DisclosureRefused, match=f"was run {RUNS} times already") as found:
        answering.answer(study, Place("s", "run-more", "first", 0, 0, "0" * 64, ("north",)), b"")
    assert found.value.code == "TOO_MANY_RUNS"
