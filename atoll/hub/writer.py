"""One thread writes, and commits once for all events that wait: the shares of a round share one fsync.

An event is a function of the transaction. It checks first and writes last; when it refuses (an
`AtollError`) it has written nothing, and the others of its batch are not disturbed. Whoever submitted
an event hears of it only after the commit.

An event that nobody waits for (a share before the round's last one) may be parked: it goes along with the
next event that is not, at the latest after `PARKED` seconds. Until then it counts as not having arrived.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from atoll.errors import AtollError, OperatorError, Unreachable
from atoll.hub.database import HubStore

log = logging.getLogger("atoll.hub")
PARKED = 0.02  # seconds
T = TypeVar("T")


@dataclass
class Transaction:
    """One batch: its connection, and what to do once it is committed."""

    connection: Connection
    after: list[Callable[[], None]] = field(default_factory=list)


Event = Callable[[Transaction], T]


@dataclass
class _Waiting:
    event: Event[Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self, transaction: Transaction) -> None:
        try:
            self.result, self.error = self.event(transaction), None
        except AtollError as error:
            self.error = error

    def answer(self) -> None:
        if self.future.done():  # whoever asked has gone
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The thread. `settle` completes a batch before its commit; `forget` is called when one was undone.

    `publish` runs its functions in the event loop: first what `after` names, then the answers.
    """

    def __init__(
        self,
        store: HubStore,
        settle: Callable[[Transaction], None],
        forget: Callable[[], None],
        publish: Callable[[list[Callable[[], None]]], None],
    ):
        self._store, self._settle, self._forget, self._publish = store, settle, forget, publish
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._parked: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def submit(self, event: Event[T], *, park: bool = False) -> asyncio.Future[T]:
        """Queue an event, from the event loop; the future has its result once it is on disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._parked.append(_Waiting(event, future))
        if not park:
            self._release()
        elif self._timer is None:
            self._timer = loop.call_later(PARKED, self._release)
        return future

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._parked:
            self._queue.put(self._parked)
            self._parked = []

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._queue.put(self._parked)
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        running = True
        while running:
            batch: list[_Waiting] = []
            item = self._queue.get()
            while item is not None:
                batch += item
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            running = item is not None  # None is the word to stop
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            with self._store.writing() as connection:
                transaction = Transaction(connection)
                for waiting in batch:
                    waiting.run(transaction)
                self._settle(transaction)
        except Exception as error:
            self._undone(batch, error)
            return
        self._publish([*transaction.after, *(waiting.answer for waiting in batch)])

    def _undone(self, batch: list[_Waiting], error: Exception) -> None:
        """Nothing of the batch was stored. One event's fault must not be another's: each again, alone."""
        self._forget()
        if len(batch) > 1:
            for waiting in batch:
                self._commit([waiting])
            return
        log.error("an event could not be stored", exc_info=error)
        batch[0].error = _sentence(error)
        self._publish([batch[0].answer])


def _sentence(error: Exception) -> AtollError:
    if isinstance(error, AtollError):
        return error
    if isinstance(error, DBAPIError):
        return Unreachable(
            f"The hub cannot write its store ({error.orig}).",
            "The hub's operator makes space or restores the database; it is tried again, nothing is lost.",
        )
    return OperatorError(f"The hub failed ({type(error).__name__}).", "The hub's log says more.", code="HUB_FAILED")
