"""A question that a site's process has in hand, from its arrival until the share's receipt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from atoll.network.messages import Task
from atoll.site.outbox import Key, key_of

FIRST, LONGEST = 2.0, 15.0  # seconds until a question that was kept back is tried again


@dataclass
class InHand:
    """A question that this process has: to be answered, being answered, recorded, or kept back with a code."""

    task: Task
    state: str = "queued"  # queued, working, recorded, kept
    pause: float = field(default_factory=lambda: FIRST)  # seconds until a kept question is tried again
    again: float = 0.0

    def keep(self) -> None:
        """Try again later, each time a little later than before."""
        self.state, self.again, self.pause = "kept", time.monotonic() + self.pause, min(2 * self.pause, LONGEST)

    @property
    def key(self) -> Key:
        """What makes it unique."""
        return key_of(self.task.place)
