"""One question of the hub, answered: from the study that the steward approved, recorded before anything leaves.

What cannot be answered is either a recorded refusal, which ends the run, or an excuse: the hub is told why, nothing
is recorded, and the question is tried again when its cause may be gone (a full disk, a pause).
"""

from __future__ import annotations

import logging
import sqlite3
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from atoll.errors import CATALOGUE, AtollError, NotPermitted
from atoll.governance.signatures import SignedStudy
from atoll.network.http import SignedLine
from atoll.network.messages import Failure, Place, Renewed
from atoll.site.in_hand import InHand
from atoll.site.outbox import Outbox, Withheld, check_approved
from atoll.site.store import SiteStore
from atoll.study.protocol import Study, from_canonical

log = logging.getLogger("atoll.site")


class Answerer(Protocol):
    """Answers a question of an approved study; what it returns is recorded in the outbox already."""

    def answer(self, study: Study, place: Place, question: bytes) -> object:
        """Compute, check, record. Raises sqlite3.Error, OSError or Withheld when nothing could be recorded."""
        ...

    def warm(self) -> None:
        """Load what is needed for the first question."""
        ...


class Worker:
    """Answers questions, one at a time; the answerer is made at the first."""

    def __init__(self, store: SiteStore, line: SignedLine, outbox: Outbox, answerer: Callable[[], Answerer]):
        self._store, self._line, self._outbox = store, line, outbox
        self._make_answerer = answerer
        self._answerer: Answerer | None = None
        self._studies: dict[str, Study] = {}

    def warm(self) -> None:
        """Load what answers, before the first question: somebody waits for its answer at a screen."""
        if self._answerer is None:
            self._answerer = self._make_answerer()
        self._answerer.warm()

    def answer(self, held: InHand) -> bool:
        """Answer one question; False when nothing was recorded, and the hub was told why."""
        place = held.task.place
        try:
            study = self._approved(place)
            if self._answerer is None:
                self._answerer = self._make_answerer()
            self._answerer.answer(study, place, held.task.question)
            return True
        except (Withheld, NotPermitted) as error:
            log.warning("%s round %d: %s", place.run, place.round + 1, error)
            self._excuse(held, error.code)
        except (sqlite3.Error, OSError) as error:
            log.error("%s round %d: the ledger cannot be written (%s)", place.run, place.round + 1, error)
            self._excuse(held, "DISK_FULL")
        except Exception as error:  # a fault of ours ends the run, and not the site
            where = traceback.extract_tb(error.__traceback__)[-1]  # never its words: they may hold a value
            fault = f"{type(error).__name__} in {where.name}, line {where.lineno}"
            what = str(error) if isinstance(error, AtollError) else fault
            log.error("%s round %d: %s", place.run, place.round + 1, what)
            return self._refuse(held, getattr(error, "code", "SITE_FAILED"))
        return False

    def _refuse(self, held: InHand, code: str) -> bool:
        """Record that there is no answer, and why, as the runner does for what the data cause."""
        rule = code if code in CATALOGUE else "SITE_FAILED"
        try:
            place = held.task.place
            self._outbox.append(place, decision="refused", rule=rule, subject="", payload=b"", policy="")
        except (Withheld, sqlite3.Error, OSError) as error:
            log.error("%s", error)
        except Exception as error:  # the thread that works must live
            log.error("a refusal cannot be written down: %s", type(error).__name__)
        else:
            return True
        self._excuse(held, rule)
        return False

    def _approved(self, place: Place) -> Study:
        """The study of a question, from the bytes whose hash was computed here, if it may run today."""
        row = self._store.study(place.study)
        check_approved(row["state"])
        study = self._studies.get(place.study)
        if study is None:
            signed = SignedStudy.from_bytes(row["signed"])
            if signed.hash != place.study:
                raise Withheld("The stored study was changed.", "Nothing leaves.", code="HASH_MISMATCH")
            study = self._studies[place.study] = from_canonical(signed.body)
        today = datetime.now(UTC).date()
        if today > study.valid_until:
            self._store.expire(place.study)
        study.check_dates(today)
        return study

    def _excuse(self, held: InHand, code: str) -> None:
        try:
            self._line.ask("/site/failure", Failure(held.task.place, held.task.lease, code), Renewed)
        except AtollError as error:
            log.warning("%s", error)
