"""What a study and a hospital's settings say reaches the very place that acts on it."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.algorithms.program import Asked, program
from atoll.governance import signatures
from atoll.hub import desk
from atoll.network.codec import encode_question
from atoll.network.messages import Place, digest
from atoll.settings import read as settings
from atoll.site.answering import Answering
from atoll.site.datasets import Registry
from atoll.site.home import Home
from atoll.site.outbox import Outbox
from atoll.study.protocol import read

STUDY = """\
atoll: 1
title: A floor
purpose: To see that it holds.
investigator: {{name: Wang Fang, organisation: City Hospital}}
sites: {{north: {{key: '{key}'}}}}
datasets: {{checkup: {{columns: {{age: {{type: number}}}}}}}}
analyses: {{who: {{algorithm: describe, dataset: checkup, columns: [age]}}}}
privacy: {{minimum_persons: {minimum}}}
valid: {{from: 2026-01-01, until: 2099-01-01}}
"""


@pytest.mark.parametrize(("minimum", "code"), [(10, ""), (41, "TOO_FEW_PERSONS")])
def test_a_study_s_floor_reaches_the_gate_of_a_real_site(tmp_path, minimum, code):
    home = Home.init(tmp_path / "north")
    store = home.store()
    store.set_facts(site="north")
    pq.write_table(pa.table({"age": np.arange(40.0, 80.0)}), tmp_path / "checkup.parquet")
    signed = signatures.sign_study(read(STUDY.format(key=home.fingerprint(), minimum=minimum)), signatures.new_key())
    study = signed.study()
    Registry(home, store).add("checkup", str(tmp_path / "checkup.parquet"), columns=study.datasets["checkup"])
    store.receive_study(1, signed, study.title)
    store.decide(signed.hash, "approve")
    asked = next(program(Asked("describe", {"columns": ["age"]}, study.datasets["checkup"], ("north",), False)))
    question = encode_question(asked)
    place = Place(signed.hash, "run-1", "who", 0, 0, digest(question), ("north",))
    assert Answering(home, store, Outbox(store), 1).answer(study, place, question).code == code
    store.close()


def test_the_proxy_of_the_settings_is_the_one_that_a_site_and_an_investigator_use(tmp_path, monkeypatch):
    from atoll import client
    from atoll.site import home

    own = settings({"HTTPS_PROXY": "http://proxy.example:3128", "ATOLL_HOME": str(tmp_path)})
    monkeypatch.setattr(home, "settings", lambda: own)
    monkeypatch.setattr(client, "settings", lambda: own)
    assert home.connect("https://hub.example:8443", None).proxy == "http://proxy.example:3128"
    assert client.Hub("https://hub.example:8443", token="t")._connection.proxy == "http://proxy.example:3128"


def test_nobody_is_kept_waiting_longer_than_a_proxy_allows(monkeypatch):
    """Many proxies cut a silent connection after 30 seconds."""
    assert desk.LONGEST_WAIT <= 25.0
    monkeypatch.setattr(desk, "LONGEST_WAIT", 0.05)

    async def waited() -> float:
        one = desk.Desk(boot=1)
        one._presence["north"] = desk.Presence()
        begun = time.monotonic()
        await one.wait("north", 30.0)
        await one.watch(None, one.version_of(None), 30.0)
        return time.monotonic() - begun

    assert asyncio.run(waited()) < 20.0
