"""A steward's standing permission for questions of feasibility: so many a month for each investigator, without asking.

Off unless the steward puts it in force. It covers studies that ask this hospital alone, and nothing but how many
persons there are (`algorithms.feasibility`), under the hospital's own limits: a study that brings its own could choose
them so that a threshold or a step of rounding lies where one patient makes the difference. For the same reason counts
leave in steps of the minimum at least (`coarser`), and an investigator asks about few definitions (`RECIPES`): two that
differ in one patient are a question about that patient, and no rule tells them from two honest drafts.

Signed like the policy; each use is a ledger entry whose subject is `SUBJECT`, and what was used is counted from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import rfc8785

from atoll.errors import NotPermitted
from atoll.governance import signatures
from atoll.governance.signatures import SignedStudy
from atoll.privacy.disclosure import Policy
from atoll.site.agent import STANDING
from atoll.site.datasets import MADE, Registry, read_policy
from atoll.site.home import Home
from atoll.site.store import SiteStore, utc_now
from atoll.study.protocol import Study

SUBJECT = "standing-permission"
DAYS = 30
KEPT = 1.0  # days for which a table made for a question stays
MOST = 1_000  # questions a month
RECIPES = 5  # different cohorts or feature documents of one investigator in `DAYS` days; a further one asks the steward


def read_standing(home: Home, store: SiteStore) -> int:
    """Questions that each investigator may ask in `DAYS` days; 0: none without the steward.

    Raises
    ------
    NotPermitted
        When it was changed by something else than this site.
    """
    stored = store.fact(STANDING)
    if stored is None:
        return 0
    signed = json.loads(stored)
    body = rfc8785.dumps(signed["standing"])
    signatures.verify(signatures.public_bytes(home.key()), "standing", body, bytes.fromhex(signed["signature"]))
    return int(signed["standing"]["questions"])


def write_standing(home: Home, store: SiteStore, questions: int) -> None:
    """Sign the permission and put it in force; 0 takes it back.

    Raises
    ------
    NotPermitted
        When it is negative or boundless.
    """
    if not 0 <= questions <= MOST:
        raise NotPermitted(f"{questions} questions a month cannot be permitted.", f"Give 0 to {MOST}.")
    document: dict[str, Any] = {"questions": questions, "when": utc_now()}
    signature = signatures.sign(home.key(), "standing", rfc8785.dumps(document))
    store.set_standing(STANDING, json.dumps({"standing": document, "signature": signature.hex()}), SUBJECT)


def covers(home: Home, store: SiteStore, signed: SignedStudy) -> bool:
    """Whether the permission covers a proposed study, with what its investigator has asked before."""
    questions, study = read_standing(home, store), signed.study()
    if not questions or set(study.sites) != {store.fact("site")} or study.privacy.public or study.privacy.limits():
        return False
    if any(analysis.algorithm != "feasibility" for analysis in study.analyses.values()):
        return False
    if not read_policy(home, store).per_site:
        return False
    asked = _asked(store, signed.fingerprint)
    before = frozenset[bytes]().union(*(one.recipes for one in asked))
    if len(before | _recipes(study)) > max(RECIPES, len(before)):
        return False
    return len(study.analyses) + sum(one.questions for one in asked) <= questions


def used(store: SiteStore, investigator: str) -> int:
    """Questions that this investigator's key has asked under the permission in the last `DAYS` days."""
    return sum(one.questions for one in _asked(store, investigator))


def coarser(store: SiteStore, study: str, policy: Policy) -> dict[str, Any]:
    """Limits under which a study that the permission approved is answered: counts in steps of the minimum at least."""
    under = any(entry.study == study and entry.kind == "study" for entry in store.entries_of(SUBJECT))
    return {"rounding": max(policy.rounding, policy.minimum_persons)} if under else {}


def decide(home: Home, store: SiteStore, proposed: str) -> bool:
    """Approve a proposed study when the permission covers it, after its tables were made; whether it did.

    Raises
    ------
    AtollError
        When a table cannot be made: then the steward decides.
    """
    row = store.study(proposed)
    signed = SignedStudy.from_bytes(row["signed"])
    if row["state"] != "proposed" or not covers(home, store, signed):
        return False
    registry, study, cdm = Registry(home, store), signed.study(), store.fact("cdm")
    if study.recipes and cdm is None:
        return False
    _forget(registry, store)
    for dataset in study.recipes:
        registry.make(study, dataset, cdm or "")
    store.decide(proposed, "approve", SUBJECT)
    return True


def _forget(registry: Registry, store: SiteStore) -> None:
    """Remove the tables that were made for questions which are over."""
    over = {entry.study[:16] for entry in store.entries_of(SUBJECT) if entry.when < _days_ago(KEPT)}
    for name in registry.names():
        if name.startswith(MADE) and name.removeprefix(MADE)[:16] in over:
            registry.remove(name)


@dataclass(frozen=True)
class _Asked:
    """What counts of a study that the permission approved."""

    investigator: str
    questions: int
    recipes: frozenset[bytes]  # the different definitions, of a cohort and of features


def _asked(store: SiteStore, investigator: str) -> list[_Asked]:
    """What this investigator's key has asked under the permission in the last `DAYS` days."""
    since = _days_ago(DAYS)
    studies = {e.study: None for e in store.entries_of(SUBJECT) if e.kind == "study" and e.when >= since}
    every = [_read(store.study(study)["signed"]) for study in studies]
    return [one for one in every if one.investigator == investigator]


@lru_cache(maxsize=4 * MOST)
def _read(signed: bytes) -> _Asked:
    """Of a signed study, whose bytes never change: read once, so that the thousandth question waits no longer."""
    whole = SignedStudy.from_bytes(signed)
    study = whole.study()
    return _Asked(whole.fingerprint, len(study.analyses), _recipes(study))


def _recipes(study: Study) -> frozenset[bytes]:
    return frozenset(rfc8785.dumps(recipe.to_document()) for recipe in study.recipes.values())


def _days_ago(days: float) -> str:
    """A time as the ledger writes it."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
