"""What the hub does. Each act is one event: checked, written in one transaction, answered after the commit.

Lives in the event loop; the writer's thread runs the events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from sqlalchemy.engine import Connection

from atoll.algorithms.program import in_order
from atoll.errors import NotPermitted, StudyError
from atoll.governance import signatures
from atoll.governance.signatures import PrivateKey, SignedStudy
from atoll.hub import members, store
from atoll.hub.active import ActiveRuns
from atoll.hub.database import HubStore
from atoll.hub.desk import Desk
from atoll.hub.limits import Limits
from atoll.hub.rounds import INSTALLED, Methods
from atoll.hub.sentences import Reason
from atoll.hub.writer import Transaction, Writer
from atoll.network import messages
from atoll.network.invitation import hash_secret
from atoll.network.messages import (
    Decision,
    Failure,
    Handover,
    Join,
    Joined,
    Poll,
    PollAnswer,
    Proposal,
    Receipt,
    Recorded,
    Renewal,
    Renewed,
    Share,
)
from atoll.study import protocol

log = logging.getLogger("atoll.hub")


@dataclass(frozen=True)
class Identity:
    """The hub's name and key."""

    name: str
    key: PrivateKey

    @cached_property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        return signatures.public_bytes(self.key)

    @cached_property
    def fingerprint(self) -> str:
        """What people compare."""
        return signatures.fingerprint(self.public_key)


@dataclass(frozen=True)
class SiteKey:
    """A joined site."""

    name: str
    public_key: bytes


class Service:
    """The hub. `start` before anything else, from the event loop; `close` at the end."""

    def __init__(self, hub_store: HubStore, identity: Identity, methods: Methods = INSTALLED):
        self.store, self.identity, self._methods = hub_store, identity, methods
        with hub_store.writing() as connection:
            self.desk = Desk(store.next_boot(connection))
            self.desk.newest = store.newest_proposals(connection)
            self._sites = {
                row["fingerprint"]: SiteKey(row["name"], row["public_key"]) for row in members.all_sites(connection)
            }
        self._active = ActiveRuns(methods, self.desk)
        self.limits = Limits()

    async def start(self) -> None:
        """Begin to write; runs that had begun go on where they were."""
        loop = asyncio.get_running_loop()

        def publish(acts: Sequence[Callable[[], None]]) -> None:
            loop.call_soon_threadsafe(each, acts)

        self._writer = Writer(self.store, self._active.settle, self._active.forget, publish)
        await self.tick()

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.to_thread(self._writer.close)
        self.store.close()

    async def read(self, query: Callable[[Connection], Any]) -> Any:
        """A query in a thread of its own."""

        def reading() -> Any:
            with self.store.reading() as connection:
                return query(connection)

        return await asyncio.to_thread(reading)

    async def tick(self) -> None:
        """Start studies whose first day has come, end those whose last day has passed or whose answers are overdue."""

        def event(tx: Transaction) -> None:
            self._active.give_up(tx, time.time())
            for study in store.open_studies(tx.connection):
                self._active.start_next(tx, study)

        await self._writer.submit(event)

    # ---- sites

    def site_of(self, fingerprint: str) -> SiteKey:
        """The joined site with this key."""
        site = self._sites.get(fingerprint)
        if site is None:
            raise NotPermitted(
                f"No site with the key {fingerprint} has joined this hub.",
                "Join first: `atoll site join CODE`.",
                code="UNKNOWN_SITE",
            )
        return site

    async def join(self, join: Join) -> Joined:
        """Pin a new site's key."""
        fingerprint, secret = signatures.fingerprint(join.public_key), hash_secret(join.secret)

        def event(tx: Transaction) -> Joined:
            name = members.invited(tx.connection, secret, fingerprint, time.time())
            members.add_site(tx.connection, name, fingerprint, join.public_key, join.version, secret)
            site = SiteKey(name, join.public_key)
            tx.after.append(lambda: self._sites.update({fingerprint: site}))
            return Joined(name, self.identity.name, self.identity.public_key)

        joined = await self._writer.submit(event)
        log.warning("%s joined with the key %s", joined.site, fingerprint)
        return joined

    async def poll(self, site: SiteKey, poll: Poll) -> PollAnswer:
        """Count the poll's shares; then questions, studies and stops, held until there are some or the time is over."""
        if self.desk.enter(site.name, poll):  # its last answer may have been lost
            for study in await self.read(lambda c: store.withdrawn(c, site.name)):
                self.desk.withdraw(study, [site.name])
        receipts = tuple(await asyncio.gather(*(self.share(site, each, along=True) for each in poll.shares)))
        news = any(receipt.state != "counted" for receipt in receipts)
        deadline = time.monotonic() + poll.wait
        while True:
            proposals = await self._proposals(site.name, poll.after)
            if not self.desk.current(site.name, poll):
                return PollAnswer(receipts, (), (), (), time.time())
            tasks = self.desk.tasks(site.name, poll)
            stopped = self.desk.stopped(site.name, poll.holding)
            left = deadline - time.monotonic()
            withdrawn = tuple(self.desk.withdrawn.get(site.name, ()))
            if news or proposals or tasks or stopped or withdrawn or left <= 0 or self.desk.closing:
                self.desk.withdrawn.pop(site.name, None)
                return PollAnswer(receipts, tasks, proposals, stopped, time.time(), withdrawn)
            await self.desk.wait(site.name, left)

    async def _proposals(self, site: str, after: int) -> tuple[Proposal, ...]:
        if self.desk.newest.get(site, 0) <= after:
            return ()
        found: list[store.Row] = await self.read(lambda c: store.proposals(c, site, after))
        return tuple(Proposal(row["number"], row["signed"]) for row in found)

    async def share(self, site: SiteKey, handover: Handover, *, along: bool = False) -> Receipt:
        """Count a share once. One that came along with a poll may wait for the round's last one."""
        share = messages.decode(handover.share, Share)
        if self.desk.fenced(site.name, share.place, handover.lease):
            return Receipt(share.place, messages.digest(handover.share), "fenced")
        park = not self.desk.completes(site.name, share.place) and along
        return await self._writer.submit(lambda tx: self._active.count(tx, site.name, share, handover.share), park=park)

    async def failure(self, site: SiteKey, failure: Failure) -> Renewed:
        """A site cannot answer now: shown on the run's page until its share comes."""
        self.desk.note(failure.place, site.name, failure.code)
        self.desk.renew(site.name, [failure.lease])
        return Renewed(self.desk.stopped(site.name, [failure.lease]))

    async def renew(self, site: SiteKey, renewal: Renewal) -> Renewed:
        """A site still works."""
        self.desk.renew(site.name, renewal.leases)
        return Renewed(self.desk.stopped(site.name, renewal.leases))

    async def decide(self, site: SiteKey, decision: Decision, envelope: bytes) -> Recorded:
        """A steward's decision. An older one than the newest stored is acknowledged and changes nothing."""

        def event(tx: Transaction) -> Recorded:
            known = store.actions(tx.connection, decision.study).get(site.name)
            if known is None:
                raise NotPermitted(
                    f"No study {decision.study[:12]} of this hub names {site.name!r}.", "Nothing was recorded."
                )
            if decision.number > (known["decision_number"] or 0):
                arguments = (decision.action, decision.number, decision.ledger_head, envelope)
                store.add_decision(tx.connection, decision.study, site.name, *arguments)
                self._decided(tx, site.name, decision)
            return Recorded(decision.study, decision.number)

        return await self._writer.submit(event)

    def _decided(self, tx: Transaction, site: str, decision: Decision) -> None:
        if decision.action == "stop":
            self._active.end_study(tx, decision.study, "stop", Reason("STOPPED", (site,)))
        else:
            self._active.republish(tx, decision.study)
            self._active.start_next(tx, decision.study)

    # ---- investigators

    async def submit(self, investigator: store.Row, content: bytes) -> dict[str, Any]:
        """A signed study: its hash, and its runs by analysis. Submitting it again answers the same."""
        signed = SignedStudy.from_bytes(content)
        study = signed.study()
        protocol.from_canonical(signed.body, check=self._methods.check)
        analyses = in_order({name: analysis.options.get("model") for name, analysis in study.analyses.items()})
        if datetime.now(UTC).date() > study.valid_until:
            study.check_dates(datetime.now(UTC).date())
        name, pinned = investigator["name"], investigator["fingerprint"]
        if pinned not in (None, signed.fingerprint):
            raise NotPermitted(
                f"The study is signed with {signed.fingerprint}, but the key of {name!r} at this hub is {pinned}.",
                "Sign with that key, or let the hub's operator pin another one.",
            )

        def event(tx: Transaction) -> dict[str, Any]:
            known = store.study(tx.connection, signed.hash)
            if known is not None and known["investigator"] == name:
                known_runs = store.runs_of(tx.connection, signed.hash)
                return {"study": signed.hash, "runs": {row["analysis"]: row["id"] for row in known_runs}}
            if known is not None:
                raise StudyError("This very study was submitted already by another investigator.", "Ask the operator.")
            self._check_sites(study)
            if pinned is None:
                members.pin_investigator(tx.connection, name, signed.fingerprint)
            sites = sorted(study.sites)
            number, runs = store.add_study(tx.connection, signed.hash, study.title, name, content, sites, analyses)
            tx.after.append(lambda: self.desk.propose(number, sites))
            tx.after.append(lambda: self.desk.changed(signed.hash))
            return {"study": signed.hash, "runs": dict(zip(analyses, runs, strict=True))}

        return await self._writer.submit(event)

    def _check_sites(self, study: protocol.Study) -> None:
        joined = {site.name: fingerprint for fingerprint, site in self._sites.items()}
        for name, entry in study.sites.items():
            if name not in joined:
                raise StudyError(
                    f"No site named {name!r} has joined this hub.",
                    f"Joined are {', '.join(sorted(joined)) or 'none yet'}.",
                    subject="sites",
                )
            if joined[name] != entry.key:
                raise StudyError(
                    f"The study gives {entry.key} as the key of {name!r}, but that site joined with {joined[name]}.",
                    "Ask the site's steward which is right; if the hub's is wrong, do not go on.",
                    subject="sites",
                )

    async def stop(self, investigator: store.Row, study: str) -> None:
        """The investigator ends the study."""

        def event(tx: Transaction) -> None:
            known = store.study(tx.connection, study)
            if known is None or known["investigator"] != investigator["name"]:
                raise NotPermitted(
                    f"There is no study {study[:12]} of yours.", "See `atoll study status`.", code="UNKNOWN"
                )
            self._active.end_study(tx, study, "stop", Reason("STOPPED", subject=investigator["name"]))
            open_ = [site for site, entry in store.actions(tx.connection, study).items() if entry["action"] is None]
            tx.after.append(lambda: self.desk.withdraw(study, open_))

        await self._writer.submit(event)


def each(acts: Sequence[Callable[[], None]]) -> None:
    """All of them: the fault of one must not keep the others from being told that they are on disk."""
    for act in acts:
        try:
            act()
        except Exception:
            log.exception("what was stored could not be told")
