"""How far a long reading is: a sentence every few seconds, with the time that remains."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[str], None]
EVERY = 3.0  # seconds between two sentences


def silent(step: str) -> None:
    """Tells nobody."""


class Pace:
    """The pace of one piece of work.

    what    its name
    whole   how much there is to do, in any unit
    """

    def __init__(self, say: Progress, what: str, whole: float):
        self.say, self.what, self.whole = say, what, whole
        self.started = self.said = time.monotonic()
        say(what)

    def at(self, done: float, more: str = "") -> None:
        """So much of it is done; told when nothing was told for a while."""
        now = time.monotonic()
        if now - self.said < EVERY or not done:
            return
        self.said = now
        left = (now - self.started) * max(self.whole - done, 0) / done
        told = f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left"
        self.say(f"{self.what}: {', '.join(filter(None, [more, told]))}")
