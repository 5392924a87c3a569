"""The hub's one writer: several events in one commit, and no event's fault is another's."""

from __future__ import annotations

import asyncio

import pytest

from atoll.errors import NotPermitted, OperatorError, Unreachable
from atoll.hub import api, store
from atoll.hub.database import HubStore
from atoll.hub.service import each
from atoll.hub.writer import Writer


class Bench:
    """A writer over a new store; `settled` counts the batches that were completed."""

    def __init__(self, folder):
        self.store, self.settled, self.forgotten = HubStore(f"sqlite:///{folder / 'hub.sqlite'}"), 0, 0

    def settle(self, tx):
        self.settled += 1

    def forget(self):
        self.forgotten += 1

    def run(self, act):
        async def main():
            loop = asyncio.get_running_loop()

            def publish(acts):
                loop.call_soon_threadsafe(lambda: [one() for one in acts])

            writer = Writer(self.store, self.settle, self.forget, publish)
            try:
                return await act(writer)
            finally:
                await asyncio.to_thread(writer.close)

        return asyncio.run(main())

    def fact(self, name):
        with self.store.reading() as connection:
            return store.fact(connection, name)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def writes(name: str):
    return lambda tx: store.set_fact(tx.connection, name, "1")


def test_parked_events_share_the_commit_of_the_next_one(bench):
    async def act(writer):
        parked = [writer.submit(writes(f"n{i}"), park=True) for i in range(3)]
        await writer.submit(writes("last"))
        return [future.done() for future in parked]

    assert bench.run(act) == [True] * 3
    assert bench.settled == 1


def test_a_parked_event_is_committed_although_nothing_follows(bench):
    async def act(writer):
        await writer.submit(writes("alone"), park=True)

    bench.run(act)
    assert bench.fact("alone") == "1"


def test_a_refusal_disturbs_no_other_event_of_its_batch(bench):
    def refuse(tx):
        raise NotPermitted("No.", "Never.")

    async def act(writer):
        refused = writer.submit(refuse, park=True)
        await writer.submit(writes("good"))
        return await asyncio.gather(refused, return_exceptions=True)

    assert str(bench.run(act)[0]) == "No. Never."
    assert (bench.fact("good"), bench.settled, bench.forgotten) == ("1", 1, 0)


def test_a_fault_undoes_only_itself(bench):
    def fail(tx):
        store.set_fact(tx.connection, "half", "1")
        raise RuntimeError("a fault")

    async def act(writer):
        failed = writer.submit(fail, park=True)
        await writer.submit(writes("good"))
        return await asyncio.gather(failed, return_exceptions=True)

    (error,) = bench.run(act)
    assert isinstance(error, OperatorError) and error.what == "The hub failed (RuntimeError)."
    assert (bench.fact("good"), bench.fact("half")) == ("1", None)
    assert bench.forgotten == 2, "memory is rebuilt from the store after each rollback"


def test_a_disk_without_space_is_a_sentence_and_passes(bench):
    def pages(number):
        return lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count={number}")

    def large(tx):
        store.set_fact(tx.connection, "large", "x" * 500_000)

    async def act(writer):
        await writer.submit(pages(1))
        full = await asyncio.gather(writer.submit(large), return_exceptions=True)
        await writer.submit(pages(100_000))
        await writer.submit(large)
        return full

    (error,) = bench.run(act)
    assert isinstance(error, Unreachable)
    assert error.what == "The hub cannot write its store (database or disk is full)."
    assert bench.fact("large")


def test_everything_the_hub_writes_is_on_disk_when_the_commit_returns(bench):
    with bench.store.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_store_of_an_earlier_version_has_the_columns_that_are_asked_for(bench):
    """What is called `decision_number` in the code stands under its first name on disk."""
    with bench.store.reading() as connection:
        found = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(study_sites)")]
        assert found == ["study", "site", "action", "decision", "decided"]
        assert store.actions(connection, "f" * 64) == {}


def test_the_fault_of_one_who_is_told_keeps_nothing_from_the_others(caplog):
    told = []
    each([lambda: told.append(1), lambda: told.remove(7), lambda: told.append(2)])
    assert told == [1, 2] and "could not be told" in caplog.text


def test_a_store_that_is_away_at_one_look_is_looked_at_again(monkeypatch, caplog):
    looks = []

    class Away:
        async def tick(self):
            looks.append(1)
            if len(looks) == 1:
                raise Unreachable("The hub cannot write its store.", "Make space.")
            raise asyncio.CancelledError

    monkeypatch.setattr(api, "TICK", 0.0)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(api._ticks(Away()))
    assert len(looks) == 2 and "cannot write" in caplog.text
