"""Who waits for what, in memory: open questions, leases, and the long polls of sites and browsers.

Nothing here is the truth. Open questions are published from the store after each commit; leases only
spare work twice. A lease's number rises for ever (the hub's boot number × 2³² + a sequence), so it
needs no commit, and the holder of an older one is not heard.

Lives in the event loop: no locks, no threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from atoll.errors import NotPermitted
from atoll.network.messages import Place, Poll, Task

LEASE = 60.0  # seconds a lease lives without being renewed
LONGEST_WAIT = 25.0  # seconds; many proxies cut a silent connection after 30
SILENT = 40.0  # seconds without a sign of life: a long poll, and the longest pause of a site before the next


@dataclass(frozen=True)
class Open:
    """A run's open question, the sites whose share is missing, and those that paused the study."""

    place: Place
    question: bytes
    missing: frozenset[str]
    paused: frozenset[str] = frozenset()


@dataclass
class Lease:
    """A question lent to one process of a site."""

    number: int
    place: Place
    instance: int
    expires: float


@dataclass
class Presence:
    """What is known of a site's process."""

    instance: int = 0
    seen: float = 0.0
    poll: Poll | None = None
    waiter: asyncio.Future[None] | None = None


@dataclass
class Desk:
    """The hub's counter.

    newest      the highest study number that names each site
    withdrawn   studies of which each site is still to hear that their investigator stopped them
    """

    boot: int
    open: dict[str, Open] = field(default_factory=dict)
    closing: bool = False
    newest: dict[str, int] = field(default_factory=dict)
    withdrawn: dict[str, dict[str, None]] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)
    _arrived: dict[str, tuple[Place, set[str]]] = field(default_factory=dict)
    _sequence: int = 0
    _version: int = 0
    _leases: dict[tuple[str, str], Lease] = field(default_factory=dict)
    _presence: dict[str, Presence] = field(default_factory=dict)
    _watchers: set[asyncio.Future[None]] = field(default_factory=set)
    _versions: dict[str, int] = field(default_factory=dict)

    # ---- published after each commit

    def publish(self, run: str, state: Open | None) -> None:
        """A run's question changed, or it has none any more."""
        if state is None:
            closed = self.open.pop(run, None)
            self._arrived.pop(run, None)
            self._forget(run, closed.place.participants if closed else ())
            return
        before = self.open.get(run)
        self.open[run] = state
        for site in state.place.participants:
            if site not in state.missing or before is None or before.place != state.place:
                self.notes.pop((run, site), None)
        self.wake(state.missing)

    def _forget(self, run: str, sites: Iterable[str]) -> None:
        for site in sites:
            self.notes.pop((run, site), None)
            if self._leases.pop((run, site), None) is not None:
                self.wake([site])

    def propose(self, number: int, sites: Iterable[str]) -> None:
        """A new study names these sites."""
        sites = list(sites)
        for site in sites:
            self.newest[site] = max(number, self.newest.get(site, 0))
        self.wake(sites)

    def withdraw(self, study: str, sites: Iterable[str]) -> None:
        """A study was stopped before these sites decided."""
        sites = list(sites)
        for site in sites:
            self.withdrawn.setdefault(site, {})[study] = None
        self.wake(sites)

    def wake(self, sites: Iterable[str]) -> None:
        """Let the sites' long polls look again."""
        for site in sites:
            presence = self._presence.get(site)
            if presence is not None and presence.waiter is not None and not presence.waiter.done():
                presence.waiter.set_result(None)

    # ---- sites

    def enter(self, site: str, poll: Poll) -> bool:
        """A site's process shows itself; whether for the first time. A newer process replaces an older one; while it
        lives, the older is not heard.

        A folder that comes from a backup counts its starts from there: its number is low, and it may be the only one.
        """
        presence = self._presence.setdefault(site, Presence())
        if poll.instance < presence.instance and (self.silent_for(site) or 0.0) < SILENT:
            raise NotPermitted(
                f"A newer process of {site!r} is running.",
                "Stop one of the two: a site's folder must not be used twice. If the other one has ended already, "
                "start this one: it is heard within a minute.",
                code="REPLACED",
            )
        new = presence.poll is None or presence.instance != poll.instance
        presence.instance, presence.seen, presence.poll = poll.instance, time.monotonic(), poll
        self.wake([site])  # an older poll of the same site, if any, ends here
        return new

    def current(self, site: str, poll: Poll) -> bool:
        """True until the site's next poll: only the newest one is served."""
        return self._presence[site].poll is poll

    async def wait(self, site: str, seconds: float) -> None:
        """Until there may be something new for this site, or the time is over."""
        presence = self._presence[site]
        waiter = presence.waiter = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            await asyncio.wait_for(waiter, min(seconds, LONGEST_WAIT))

    def tasks(self, site: str, poll: Poll) -> tuple[Task, ...]:
        """Questions that this process does not have yet, each under a new lease."""
        now, found = time.monotonic(), []
        for run, state in self.open.items():
            if site not in state.missing or site in state.paused:
                continue
            lease = self._leases.get((run, site))
            if lease is not None and lease.place == state.place and self._held(lease, poll, now):
                lease.expires = now + LEASE
                continue
            self._sequence += 1
            lease = Lease((self.boot << 32) + self._sequence, state.place, poll.instance, now + LEASE)
            self._leases[(run, site)] = lease
            found.append(Task(state.place, lease.number, state.question))
            self.changed(state.place.study)
        return tuple(found)

    def _held(self, lease: Lease, poll: Poll, now: float) -> bool:
        return lease.instance == poll.instance and lease.number in poll.holding and lease.expires > now

    def stopped(self, site: str, leases: Iterable[int]) -> tuple[int, ...]:
        """Those of these leases that nobody waits for any more."""
        wanted = {
            lease.number
            for (run, holder), lease in self._leases.items()
            if holder == site and self._wanted(run, site, lease.place)
        }
        return tuple(number for number in leases if number not in wanted)

    def _wanted(self, run: str, site: str, place: Place) -> bool:
        state = self.open.get(run)
        return state is not None and state.place == place and site in state.missing and site not in state.paused

    def renew(self, site: str, leases: Iterable[int]) -> None:
        """The site still works on these."""
        numbers, now = set(leases), time.monotonic()
        self._presence.setdefault(site, Presence()).seen = now
        for (_run, holder), lease in self._leases.items():
            if holder == site and lease.number in numbers:
                lease.expires = now + LEASE

    def completes(self, site: str, place: Place) -> bool:
        """True when no other site's share is still to arrive for the question; notes that this one's did."""
        state = self.open.get(place.run)
        if state is None or state.place != place:
            return True
        arrived = self._arrived.get(place.run)
        if arrived is None or arrived[0] != place:
            arrived = self._arrived[place.run] = (place, set())
        arrived[1].add(site)
        return state.missing <= arrived[1]

    def note(self, place: Place, site: str, code: str) -> None:
        """Why a site cannot answer now."""
        state = self.open.get(place.run)
        if state is not None and state.place == place:
            self.notes[(place.run, site)] = code
            self.changed(place.study)

    def fenced(self, site: str, place: Place, number: int) -> bool:
        """True when a newer lease was given for the same question."""
        lease = self._leases.get((place.run, site))
        return lease is not None and lease.place == place and lease.number > number

    def computing(self, run: str, site: str) -> bool:
        """True while a process of the site works on the run's open question."""
        lease, state = self._leases.get((run, site)), self.open.get(run)
        return (
            lease is not None and state is not None and lease.place == state.place and lease.expires > time.monotonic()
        )

    def silent_for(self, site: str) -> float | None:
        """Seconds since the site was last heard, or None when it was not since the hub started."""
        presence = self._presence.get(site)
        if presence is None:
            return None
        waiting = presence.waiter is not None and not presence.waiter.done()
        return 0.0 if waiting else time.monotonic() - presence.seen

    def close(self) -> None:
        """The hub ends: nobody is kept waiting any more."""
        self.closing = True
        self.wake(list(self._presence))
        self._wake_watchers()

    # ---- people who watch

    def changed(self, study: str) -> None:
        """Something of this study is new: let those who watch look again."""
        self._version += 1
        self._versions[study] = self.version_of(None)
        self._wake_watchers()

    def _wake_watchers(self) -> None:
        watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    def version_of(self, study: str | None) -> int:
        """A number that rises when the study (or, for None, anything) changes; higher after a restart."""
        newest = (self.boot << 32) + self._version
        return newest if study is None else self._versions.get(study, self.boot << 32)

    async def watch(self, study: str | None, version: int, seconds: float) -> int:
        """The study's version once it differs from this one, or after the time is over."""
        deadline = time.monotonic() + min(seconds, LONGEST_WAIT)
        while not self.closing and self.version_of(study) == version and (left := deadline - time.monotonic()) > 0:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.add(watcher)
            try:
                await asyncio.wait_for(watcher, left)
            except TimeoutError:
                break
            finally:
                self._watchers.discard(watcher)
        return self.version_of(study)
