"""The courier of a site: what is recorded goes out, also when the word that there is something was lost."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from atoll.site import agent as module
from atoll.site.agent import Agent


def test_what_is_recorded_is_delivered_though_nobody_woke_the_courier(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.01)
    agent = Agent.__new__(Agent)
    agent._ending, agent._more_to_deliver = threading.Event(), threading.Event()
    agent._store, agent._outbox = SimpleNamespace(tidy=lambda: None), SimpleNamespace(flush=lambda: None)
    agent._retry_kept = lambda: None
    delivered = []

    def deliver() -> bool:
        delivered.append(True)
        agent._ending.set()
        return True

    agent._deliver = deliver
    courier = threading.Thread(target=agent._courier, daemon=True)
    courier.start()
    courier.join(timeout=10)
    assert delivered and not courier.is_alive()
