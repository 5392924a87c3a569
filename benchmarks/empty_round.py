"""An empty round between a hub and four sites, against a bare exchange and one fsync, in the same run.

    round      hub + 4 site processes, TLS, signatures, ledger, everything durable; a share is 5 numbers
    exchange   the same client and server, plain HTTP, no storage. One: from a post until another process's
               long poll has its answer. Among four: four processes post, each has its answer once all have
    fsync      4 KB appended to a file and made durable on the disk that holds the state

All are measured in turn, five times, and the quietest median of each counts: a neighbour on the machine
disturbs five processes more than two. Prints their ratios. `python benchmarks/empty_round.py [--json]`
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.network.world import Nursery, World, wait_until

ROUNDS = 200
TRACED = 60
TIMES = 5
SITES = ("east", "north", "river", "south")


# ---- the bare exchange


def bare_server(port: int, parties: int) -> None:
    """Answers everybody once all have posted."""
    import asyncio

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    waiting: list[asyncio.Future[None]] = []

    async def exchange(request: Request) -> Response:
        content = await request.body()
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        if len(waiting) == parties:
            everyone, waiting[:] = list(waiting), []
            for one in everyone:
                one.set_result(None)
        await future
        return Response(content)

    app = Starlette(routes=[Route("/", exchange, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="error", access_log=False, ws="none", proxy_headers=False)


def bare_post_and_poll(port: int, times: int, result: multiprocessing.Queue) -> None:
    """Two parties: one waits first, then the other posts; seconds from its post to the first one's answer."""
    import httpx2

    answered: list[float] = []

    def wait_for_answers() -> None:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            for _ in range(times):
                client.post("/", content=bytes(600))
                answered.append(time.perf_counter())

    waiter = threading.Thread(target=wait_for_answers)
    waiter.start()
    posted = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        for _ in range(times):
            time.sleep(0.004)  # the other one waits by now
            posted.append(time.perf_counter())
            client.post("/", content=bytes(600))
    waiter.join()
    result.put(statistics.median(a - p for a, p in zip(answered, posted, strict=True)))


def bare_client(port: int, times: int, result: multiprocessing.Queue) -> None:
    import httpx2

    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        body, seconds = bytes(600), []
        for _ in range(times):
            begun = time.perf_counter()
            client.post("/", content=body)
            seconds.append(time.perf_counter() - begun)
    result.put(statistics.median(seconds[50:]))


def bare_exchange(parties: int, times: int = 800) -> float:
    """Median seconds of one exchange; with 2 parties, of one post and another's long poll."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    result = context.Queue()
    server = context.Process(target=bare_server, args=(port, parties), daemon=True)
    server.start()

    def listens() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        return False

    wait_until(listens)
    target, processes = (bare_post_and_poll, 1) if parties == 2 else (bare_client, parties)
    clients = [context.Process(target=target, args=(port, times, result)) for _ in range(processes)]
    for client in clients:
        client.start()
    medians = [result.get(timeout=120) for _ in clients]
    for client in clients:
        client.join()
    server.terminate()
    server.join()
    return statistics.median(medians)


def one_fsync(folder: Path, times: int = 300) -> float:
    """Median seconds of making 4 KB durable."""
    seconds = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(times):
            file.write(bytes(4096))
            file.flush()
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


# ---- the round


class Network(World):
    """The test's world, measured from outside."""

    def warm(self) -> None:
        """Start the sites, and let everything be loaded."""
        self.start_sites()
        self._run(40, "warm")

    def measure(self, title: str) -> dict[str, float]:
        """The median round of one run, and the time from submission to the first share."""
        study, run, submitted = self._run(ROUNDS, title)
        seconds = [entry["seconds"] for entry in self.run(run)["rounds"]][20:]
        return {"round": statistics.median(seconds), **self._starts(study, submitted)}

    def _run(self, rounds: int, title: str) -> tuple[str, str, float]:
        signed = self.signed({"empty": {"rounds": rounds}}, title=title)
        submitted = time.time()
        study, (run,) = self.submit(signed)
        stewards = [threading.Thread(target=self.decide, args=(site, study, "approve")) for site in self.homes]
        for steward in stewards:
            steward.start()
        for steward in stewards:
            steward.join()
        time.sleep(0.015 * rounds)  # nobody looks while it runs
        assert self.wait_for(run, "finished", "failed", seconds=300)["state"] == "finished"
        return study, run, submitted

    def _starts(self, study: str, submitted: float) -> dict[str, float]:
        """When the first site began to compute, after the submission, by the site's own ledger."""
        begun = []
        for home in self.homes.values():
            with contextlib.closing(home.store()) as store:
                first = next(e for e in store.entries() if e.kind == "share" and e.study == study)
            begun.append(datetime.fromisoformat(first.when).timestamp())
        return {"submit to first share recorded, four approvals included": min(begun) - submitted}

    def count_fsyncs(self) -> dict[str, float]:
        """By strace: fsyncs a round at the hub and at a site; all of them, also those that nobody waits for."""
        if shutil.which("strace") is None:
            return {}
        traced = {"hub": self.hub.pid, "site": self.programs["north"].pid}
        logs = {name: self.folder / f"{name}.strace" for name in traced}
        tracers = [
            subprocess.Popen(
                ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(logs[name]), "-p", str(pid)],
                stderr=subprocess.DEVNULL,
            )
            for name, pid in traced.items()
        ]
        time.sleep(1.0)
        before = {name: len(log.read_text().splitlines()) for name, log in logs.items()}
        self._run(TRACED, f"traced {time.time()}")
        after = {name: len(re.findall(r"f(?:data)?sync\(", log.read_text())) for name, log in logs.items()}
        for tracer in tracers:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        return {f"fsyncs a round at the {name}": (after[name] - before[name]) / TRACED for name in traced}


def chain_of_fsyncs(log: Path) -> dict[str, float]:
    """Fsyncs one after another on the way of the last share of a round: the site's one, and those at the hub."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    chains = [1 + line["commits"] for line in lines[60:]]
    return {"fsyncs one after another, mean": statistics.mean(chains), "fsyncs one after another, most": max(chains)}


def main() -> None:
    os.environ["TOY_COMMITS"] = "1"
    nursery = Nursery()
    memory, disk = Path(tempfile.mkdtemp(dir="/dev/shm")), Path(tempfile.mkdtemp(prefix="atoll-bench-", dir=ROOT))
    worlds = {"in memory": Network(nursery, memory, sites=SITES), "on disk": Network(nursery, disk, sites=SITES)}
    found: list[dict] = []
    try:
        for world in worlds.values():
            world.warm()
        for turn in range(TIMES):
            one, four, fsync = bare_exchange(2, 300), bare_exchange(4, 300), one_fsync(disk)
            rounds = {place: world.measure(f"turn {turn}") for place, world in worlds.items()}
            found.append({"exchange of one": one, "exchange among four": four, "fsync": fsync, **rounds})
        quietest = quiet(found)
        for place, world in worlds.items():
            quietest[place] |= chain_of_fsyncs(world.hub_home.folder / "commits.jsonl") | world.count_fsyncs()
    finally:
        for world in worlds.values():
            world.close()
        nursery.close()
        shutil.rmtree(memory, ignore_errors=True)
        shutil.rmtree(disk, ignore_errors=True)
    show(quietest)


def quiet(found: list[dict]) -> dict:
    """The smallest of each figure."""
    return {
        name: quiet([turn[name] for turn in found]) if isinstance(value, dict) else min(turn[name] for turn in found)
        for name, value in found[0].items()
    }


def show(found: dict) -> None:
    if "--json" in sys.argv:
        print(json.dumps(found, indent=1))
        return
    exchange, fsync = found["exchange among four"], found["fsync"]
    memory, disk = found["in memory"]["round"], found["on disk"]["round"]
    one = found["exchange of one"]
    print(f"bare exchange, post → another's poll {one * 1e3:7.2f} ms")
    print(f"bare exchange among four processes   {exchange * 1e3:7.2f} ms")
    print(f"one fsync of this disk               {fsync * 1e3:7.2f} ms")
    print(
        f"empty round, state in memory         {memory * 1e3:7.2f} ms   {memory / one:.1f} × one exchange (target ≤ 6)"
    )
    print(f"                                                  {memory / exchange:.1f} × the exchange among four")
    extra = (disk - memory) / fsync
    print(f"empty round, state on disk           {disk * 1e3:7.2f} ms   that + {extra:.1f} fsyncs (target ≤ 8)")
    for place in ("in memory", "on disk"):
        for name, value in found[place].items():
            if name != "round":
                print(f"{place}: {name}: {value:.3g}")


if __name__ == "__main__":
    main()
