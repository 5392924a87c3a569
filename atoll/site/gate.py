"""The only exit of a hospital. Nothing that was computed from patients leaves by another way.

A share passes in this order: the rules for one share (`privacy.disclosure`), the codec, the limit on its
size, then the ledger. `Ledger.append` makes entry and share durable in one transaction; if it cannot,
nothing leaves. A refusal is written down too, with its rule and without a value.

An import contract holds that only `site.runner` reaches this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atoll.errors import REMEDIES, DisclosureRefused
from atoll.network.codec import encode
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import Conditions, Policy, check, check_influence
from atoll.privacy.leverage import Influence
from atoll.privacy.statistics import Statistics


class Ledger(Protocol):
    """Where a site writes down what leaves, before it leaves."""

    def append(self, place: Place, *, decision: str, rule: str, subject: str, payload: bytes, policy: str) -> None:
        """Write the entry and the share durably, in one transaction, or raise.

        decision   `left` or `refused`
        rule       a code of `errors.CATALOGUE` when refused, else empty
        subject    a column or option that the study itself names, or empty
        payload    the exact bytes that may leave; empty when refused
        policy     hash of the policy that was in force
        """
        ...


def leave(
    share: Statistics, place: Place, conditions: Conditions, influence: Callable[[], Influence], ledger: Ledger
) -> bytes:
    """The bytes that leave, after they were checked and written down.

    `influence` gives the largest influence of one person on the question's model: asked last, since it reads rows.

    Raises
    ------
    DisclosureRefused
        When a rule refuses the share; nothing was written as leaving.
    """
    policy = conditions.policy
    if place.round + place.attempt >= policy.max_rounds:  # an attempt asks once more, so it counts as a round
        what = f"The analysis asks for more than {policy.max_rounds} rounds."
        raise DisclosureRefused(what, REMEDIES["TOO_MANY_ROUNDS"], code="TOO_MANY_ROUNDS")
    payload = encode(check(share, conditions))
    if len(payload) > policy.max_bytes:
        what = f"The answer has more than {policy.max_bytes:,} bytes."
        raise DisclosureRefused(what, REMEDIES["TOO_LARGE"], code="TOO_LARGE")
    check_influence(influence(), policy)
    ledger.append(place, decision="left", rule="", subject="", payload=payload, policy=policy_hash(policy))
    return payload


def refuse(code: str, subject: str, place: Place, policy: Policy, ledger: Ledger) -> None:
    """Write down that nothing leaves, and why."""
    ledger.append(place, decision="refused", rule=code, subject=subject, payload=b"", policy=policy_hash(policy))


def policy_hash(policy: Policy) -> str:
    """SHA-256 of the policy's limits, in the order of its fields."""
    return digest(repr(policy).encode())
