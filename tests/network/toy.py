"""A hub and a site with a toy algorithm of many rounds, as programs for the network's tests.

    python toy.py hub HOME     |     python toy.py site HOME

The toy asks for sums of a pseudo-random sequence whose next value depends on all earlier answers, so a
lost, doubled or reordered share changes the result's bits.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from atoll.algorithms.core import at_site
from atoll.algorithms.program import Analysis
from atoll.errors import AtollError
from atoll.hub.home import Home as HubHome
from atoll.hub.rounds import Methods
from atoll.network.codec import decode_question, encode
from atoll.privacy.statistics import Array, Statistics, count, total
from atoll.site.agent import Agent
from atoll.site.home import Home as SiteHome
from atoll.site.outbox import Outbox


class Step(Statistics):
    n: int = count()
    value: Array = total(per="n")


@at_site
def step(data, state: float, round: int, pause: float) -> Step:
    time.sleep(pause)
    return Step(n=10, value=np.sin(np.arange(1, 6) * (data + state + round)))


def toy(analysis: Analysis):
    state, rounds = 0.0, int(analysis.options.get("rounds", 5))
    for round in range(rounds):
        answer = yield step(state=state, round=round, pause=float(analysis.options.get("pause", 0.0)))
        state = state / 3.0 + float(np.sum(answer.value)) / answer.n
    return {"algorithm": "toy", "state": state, "hex": state.hex(), "n": answer.n}


METHODS = Methods(check=lambda *_: None, program=toy, site_function=lambda name: step)


class Toys:
    """Answers the toy's questions and records them, as the runner does behind the gate."""

    def __init__(self, site: str, outbox: Outbox):
        self.seed, self.outbox = float(sum(site.encode())), outbox

    def answer(self, study, place, question):
        if study.analyses[place.analysis].options.get("refuse") == place.round:
            return self._record(place, decision="refused", rule="TOO_FEW_PERSONS", payload=b"")
        share = step.on(self.seed, **decode_question(question).arguments)
        return self._record(place, decision="left", rule="", payload=encode(share))

    def _record(self, place, **facts):
        self.outbox.append(place, subject="", policy="0" * 64, **facts)


def hub(folder: Path) -> None:
    from atoll.hub.pages import routes
    from atoll.hub.serve import serve

    serve(HubHome.open(folder), methods=METHODS, routes=routes, ready=lambda url: print(url, flush=True))


def site(folder: Path) -> None:
    home = SiteHome(folder)
    shift = float(os.environ.get("TOY_CLOCK", "0"))
    if shift:
        real = time.time
        time.time = lambda: real() + shift  # type: ignore[assignment]
    with home.alone():
        store = home.store()
        outbox = Outbox(store)
        agent = Agent(home, store, home.line(store), outbox, lambda: Toys(store.fact("site"), outbox))
        print("ready", flush=True)
        agent.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        {"hub": hub, "site": site}[sys.argv[1]](Path(sys.argv[2]))
    except AtollError as error:
        print(f"{error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
