"""A hub and a site with a toy algorithm of many rounds, as programs for the network's tests.

    python toy.py hub HOME     |     python toy.py site HOME     |     python toy.py nursery

The nursery has imported everything and forks a hub or a site for each line it reads: a process of its own
that is killed and started again in milliseconds.

The toy asks for sums of a pseudo-random sequence whose next value depends on all earlier answers, so a
lost, doubled or reordered share changes the result's bits.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from atoll.algorithms.core import at_site
from atoll.algorithms.program import Asked
from atoll.errors import AtollError
from atoll.hub.home import Home as HubHome
from atoll.hub.rounds import Methods
from atoll.network.codec import decode_question, encode
from atoll.privacy.statistics import Array, Statistics, count, total, witness
from atoll.site import agent as agent_module
from atoll.site import in_hand
from atoll.site.agent import Agent
from atoll.site.home import Home as SiteHome
from atoll.site.outbox import Outbox


class Step(Statistics):
    n: int = count()
    value: Array = total(per="n")
    behind: dict[str, Array] = witness()


@at_site
def step(data, state: float, round: int, pause: float) -> Step:
    if pause:
        time.sleep(pause)
    return Step(n=10, value=np.sin(np.arange(1, 6) * (data + state + round)), behind={})


def toy(analysis: Asked):
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

    if "TOY_COMMITS" in os.environ:
        count_commits(folder / "commits.jsonl")
    serve(HubHome.open(folder), methods=METHODS, routes=routes, ready=lambda url: print(url, flush=True))


def brief(folder: Path) -> None:
    """A hub whose certificates live three seconds and are renewed when half of it is left."""
    from datetime import timedelta

    from atoll.hub import serve
    from atoll.network import certificates

    certificates.SERVER_LIFE = timedelta(days=2, seconds=3)  # it begins two days ago
    certificates.RENEW_BEFORE, serve.LOOK = timedelta(seconds=1.5), 0.1
    certificates.issue(HubHome.open(folder).files, ["127.0.0.1"])
    hub(folder)


def hasty(folder: Path) -> None:
    """A hub that looks at its deadlines often, and tells at once for whom it waits."""
    from atoll.hub import api, views

    api.TICK, views.WORTH_A_WORD = 0.1, 0.0
    hub(folder)


def narrow(folder: Path) -> None:
    """A hub that lets each client ask ten times at once and five times a second."""
    from atoll.hub import limits

    limits.RATES.update(dict.fromkeys(limits.RATES, limits.Rate(10, 5)))
    hub(folder)


def count_commits(path: Path) -> None:
    """For each round, on the way of its last share: commits that it waited for (one going on, and its own)."""
    from atoll.hub import active, writer

    going_on: list[float] = []
    commit, submit, close = writer.Writer._commit, writer.Writer.submit, active.ActiveRuns._close_round
    arrived: dict[int, bool] = {}
    last: list[bool] = []
    file = path.open("a")

    def timed_commit(self, batch):
        going_on.append(1.0)
        last[:] = [arrived.pop(id(batch[-1].event), False)]
        commit(self, batch)
        going_on.pop()

    def noted_submit(self, event, **options):
        arrived[id(event)] = bool(going_on)
        return submit(self, event, **options)

    def noted_close(self, tx, run, stored):
        file.write(json.dumps({"commits": 1 + last[0]}) + "\n")
        file.flush()
        close(self, tx, run, stored)

    writer.Writer._commit, writer.Writer.submit = timed_commit, noted_submit
    active.ActiveRuns._close_round = noted_close


def centre(folder: Path) -> None:
    """A hub with the installed algorithms."""
    from atoll.hub.serve import serve

    serve(HubHome.open(folder), ready=lambda url: print(url, flush=True))


def hospital(folder: Path) -> None:
    """A site with the runner, the gate and its registered datasets."""
    from atoll.site.answering import Answering

    site(folder, lambda home, store, outbox: Answering(home, store, outbox, 1))


def site(folder: Path, answerer=lambda home, store, outbox: Toys(store.fact("site"), outbox)) -> None:
    home = SiteHome(folder)
    agent_module.FIRST_PAUSE, agent_module.LONGEST_PAUSE, agent_module.LOOK, in_hand.FIRST = 0.02, 0.2, 0.1, 0.1
    with home.alone():
        store = home.store()
        signal.signal(signal.SIGUSR1, lambda *_: fill(store))
        signal.signal(signal.SIGUSR2, lambda *_: store._connection.execute("PRAGMA max_page_count=1000000"))
        outbox = Outbox(store)
        agent = Agent(home, store, home.line(store), outbox, lambda: answerer(home, store, outbox))
        print("ready", flush=True)
        agent.run()


def fill(store) -> None:
    """From now on the disk has no space: SQLite fails as it does there."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")


def play(role: str, folder: Path) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        {
            "hub": hub,
            "brief": brief,
            "hasty": hasty,
            "narrow": narrow,
            "site": site,
            "centre": centre,
            "hospital": hospital,
        }[role](folder)
    except AtollError as error:
        print(f"{error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def move_clock(seconds: float) -> None:
    real = time.time
    time.time = lambda: real() + seconds  # type: ignore[assignment]


def nursery() -> None:
    """`role folder shift` on a line → the child's process number; its output goes to files in the folder."""
    import atoll.hub.serve  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are buried by the kernel
    for line in sys.stdin:
        role, folder, shift = line.split()
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, name in ((1, "out.txt"), (2, "log.txt")):
            os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        move_clock(float(shift))
        play(role, Path(folder))
        os._exit(0)


if __name__ == "__main__":
    nursery() if sys.argv[1] == "nursery" else play(sys.argv[1], Path(sys.argv[2]))
