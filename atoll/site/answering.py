"""Between the agent and the runner: an approved study's analysis as the permit under which a question is answered.

Imported at the first question, since it loads what computes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from atoll.algorithms import registry as algorithms
from atoll.errors import AtollError, DisclosureRefused, NotPermitted
from atoll.network.messages import Place
from atoll.privacy.leverage import Influence
from atoll.site.datasets import Registry, made_name, read_policy
from atoll.site.home import Home
from atoll.site.outbox import Outbox
from atoll.site.runner import Outcome, Permit, Runner
from atoll.site.standing import coarser
from atoll.site.store import SiteStore
from atoll.study.protocol import Study

RUNS = 5  # of one analysis: a lost run may be started again, but every run asks the same patients anew


class Answering:
    """Answers questions of approved studies, under the policy that is in force at that moment."""

    def __init__(self, home: Home, store: SiteStore, outbox: Outbox, threads: int):
        self._home, self._store, self._outbox, self._threads = home, store, outbox, threads
        self._registry = Registry(home, store)
        self._weighed: dict[tuple[Any, ...], Influence] = {}

    def warm(self) -> None:
        """Load the algorithms and look at the registered tables, so that the first question finds all of it there."""
        import numpy as np
        import pyarrow as pa

        algorithms.names()
        pa.array(np.zeros(1))  # Arrow loads pandas at its first array, where that is installed
        for name in self._registry.names():
            with suppress(AtollError):  # told when it is asked about
                self._registry.open(name)

    def answer(self, study: Study, place: Place, question: bytes) -> Outcome:
        """The outcome, recorded in the outbox before this returns.

        Raises
        ------
        NotPermitted
            When the study has no such analysis.
        sqlite3.Error, OSError, Withheld
            When nothing could be recorded.
        """
        analysis = study.analyses.get(place.analysis)
        if analysis is None:
            raise NotPermitted("The study has no such analysis.", "Nothing was computed.", code="NOT_PERMITTED")
        runs = self._outbox.runs(place.study, place.analysis)
        if len(runs) >= RUNS and place.run not in runs[:RUNS]:
            raise DisclosureRefused(
                f"The analysis was run {RUNS} times already.",
                "Have a new study approved; each run is a set of questions to the same patients.",
                code="TOO_MANY_RUNS",
            )
        policy = read_policy(self._home, self._store)
        permit = Permit(
            analysis.algorithm,
            made_name(study, analysis.dataset) if analysis.dataset in study.recipes else analysis.dataset,
            study.datasets[analysis.dataset],
            tuple(sorted(study.sites)),
            study.privacy.public,
            study.privacy.limits() | coarser(self._store, place.study, policy),
        )
        site = self._store.fact("site") or ""
        runner = Runner(site, self._registry, self._outbox, policy, self._threads, self._weighed)
        return runner.answer(permit, place, question)
