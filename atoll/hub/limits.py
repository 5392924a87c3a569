"""How often one client may ask: a bucket of tokens for each, filled at a steady rate, in memory.

A site is counted by its key and an investigator by name, both after they have proved who they are; whoever has not
is counted by address. What failed (a join code, a token, a login, a signature) is counted by address too, and harder.
Lives in the event loop: no locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from atoll.errors import TooMany
from atoll.ui.guard import MOST, Failures


@dataclass(frozen=True)
class Rate:
    """So many at once, and so many a second for good."""

    burst: float
    per_second: float


# A site answers several hundred quick rounds a second; a person's program looks now and then.
RATES = {"site": Rate(2000, 500), "investigator": Rate(400, 50), "page": Rate(200, 20), "stranger": Rate(200, 20)}


@dataclass
class Limits:
    """The buckets of one hub."""

    clock: Callable[[], float] = time.monotonic
    failures: Failures = field(default_factory=Failures)
    _buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def take(self, kind: str, who: str) -> None:
        """Count one request.

        Raises
        ------
        TooMany
            When the bucket is empty, with the seconds until it holds one token again.
        """
        rate, now, key = RATES[kind], self.clock(), (kind, who)
        level, when = self._buckets.pop(key, (rate.burst, now))
        level = min(rate.burst, level + (now - when) * rate.per_second)
        enough = level >= 1.0
        if len(self._buckets) >= MOST:  # the one that was not heard for longest: its bucket is full again, or nearly
            self._buckets.pop(next(iter(self._buckets)))
        self._buckets[key] = (level - enough, now)
        if not enough:
            raise TooMany(
                f"More than {rate.per_second:g} requests a second came from here.",
                "Ask less often; nothing was done.",
                wait=(1.0 - level) / rate.per_second,
            )


def network_of(address: str) -> str:
    """What counts as one address: a whole /64 of IPv6, since a single machine may use all of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(parsed) if not isinstance(parsed, IPv6Address) else str(IPv6Address(int(parsed) >> 64 << 64))
