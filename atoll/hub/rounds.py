"""A run as rounds: replay the recorded answers, ask the next question, combine the shares of one.

No storage and no network: the same answers always give the same next question and the same result,
which is why the hub may be killed at any moment.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from atoll.algorithms import registry
from atoll.algorithms.arithmetic import one_blas_thread
from atoll.algorithms.core import Program, Question, SiteFunction
from atoll.algorithms.program import Asked, program
from atoll.errors import AtollError, NotPermitted, OperatorError
from atoll.network import codec
from atoll.network.messages import digest
from atoll.privacy.statistics import Statistics, combine, kinds_of
from atoll.study.dictionary import Dictionary

log = logging.getLogger("atoll.hub")


@dataclass(frozen=True)
class Methods:
    """What the hub needs of the installed algorithms."""

    check: Callable[[str, Mapping[str, Any], Dictionary], Any]
    program: Callable[[Asked], Program]
    site_function: Callable[[str], SiteFunction[..., Any]]


INSTALLED = Methods(registry.check, program, registry.site_function)


@dataclass
class Rounds:
    """The hub's half of one analysis, alive: an open question with its number, or the result as JSON."""

    methods: Methods
    program: Program
    question: bytes = b""
    question_hash: str = ""
    number: int = -1
    result: str | None = None
    _answers: type[Statistics] = field(default=Statistics)

    @classmethod
    def begin(cls, methods: Methods, analysis: Asked) -> Rounds:
        """Start the algorithm: it asks its first question.

        Raises
        ------
        AtollError
            When it cannot, as it says.
        """
        rounds = cls(methods, methods.program(analysis))
        rounds._step(lambda: next(rounds.program))
        return rounds

    def replay(self, recorded: Sequence[tuple[str, bytes | None]]) -> None:
        """Give the recorded answers again, as (question hash, answer); the last may still be open.

        Raises
        ------
        OperatorError
            When the installed algorithm asks something else than it asked then.
        """
        for question_hash, answer in recorded:
            if question_hash != self.question_hash:
                raise OperatorError(
                    "The installed algorithm asks another question than the version that started this run.",
                    "Finish the run with the version that started it, or submit the study again.",
                    code="VERSION_CHANGED",
                )
            if answer is not None:
                self.accept(answer)

    def read(self, payload: bytes) -> Statistics:
        """A site's share as the record that the open question asks for.

        Raises
        ------
        NotPermitted
            When it is another record, not finite, or counts fewer than nobody.
        """
        share = codec.decode(payload, self._answers)
        for name, kind in kinds_of(type(share)).items():
            _check_numbers(getattr(share, name), whole=kind.name in ("count", "table", "tally"))
        return share

    def combine(self, shares: Mapping[str, bytes]) -> bytes:
        """The sites' shares as one answer, in the order of their names.

        Raises
        ------
        NotPermitted
            With the site as `subject` when one share has another shape than the others.
        """
        read = {site: self.read(shares[site]) for site in sorted(shares)}
        _same_shapes(read)
        return codec.encode(combine(read))

    def accept(self, answer: bytes) -> None:
        """Give the combined answer to the algorithm; it asks its next question or ends."""
        statistics = codec.decode(answer, self._answers)
        self._step(lambda: self.program.send(statistics))

    def _step(self, go: Callable[[], Any]) -> None:
        try:
            with one_blas_thread():
                asked: Question = go()
        except StopIteration as finished:
            self.question, self.question_hash = b"", ""
            self.result = json.dumps(codec.plain(finished.value), allow_nan=False, ensure_ascii=False)
        except AtollError:
            raise
        except Exception as error:
            log.exception("an algorithm failed at the hub")
            raise OperatorError(
                f"The algorithm failed at the hub ({type(error).__name__}).",
                "This is a fault of Atoll; the hub's log says more.",
                code="HUB_FAILED",
            ) from error
        else:
            self.number += 1
            self.question = codec.encode_question(asked)
            self.question_hash = digest(self.question)
            self._answers = self.methods.site_function(asked.name).answers


def _check_numbers(value: Any, *, whole: bool) -> None:
    numbers = np.asarray(list(value.values()) if isinstance(value, dict) else value)
    if numbers.size and (not np.isfinite(numbers).all() or (whole and numbers.min() < 0)):
        _unusable("holds numbers that are not finite or count fewer than nobody")


def _same_shapes(shares: Mapping[str, Statistics]) -> None:
    """Name the site whose arrays have another shape than those of the most sites."""
    shapes = {
        site: tuple(
            np.shape(getattr(share, name))
            for name, kind in kinds_of(type(share)).items()
            if kind.name not in ("tally", "points")
        )
        for site, share in shares.items()
    }
    usual = max(shapes.values(), key=list(shapes.values()).count)
    for site, shape in shapes.items():
        if shape != usual:
            _unusable("has another shape than the other sites' shares", site)


def _unusable(what: str, site: str = "") -> NoReturn:
    raise NotPermitted(
        f"A share {what}.",
        "Nothing was counted. Compare the versions of Atoll at hub and sites.",
        code="SHARE_UNUSABLE",
        subject=site,
    )
