"""Hours in which a hospital's database may be worked: a run pauses outside them, between definitions.

A run that pauses lets go of the database, so that a load may put a new release in force, and leaves what it has found
beside the file of `--out`. When it goes on, in the same process or in another that is started later, what is found is
kept where it still holds (`kept`): so all rows are of the release that is in force at the end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Protocol

from atoll.cohort.folder import FolderRun
from atoll.cohort.kept import State, read_state
from atoll.errors import OperatorError

_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]?\d|2[0-3]):([0-5]\d)")
SLICE = 30.0  # seconds of sleep, so that a clock that is set, or summer time, is seen


@dataclass(frozen=True)
class Window:
    """From one time of the day to another, by the clock of this machine; the second may lie in the next day."""

    start: clock
    end: clock
    now: Callable[[], datetime] = datetime.now
    sleep: Callable[[float], None] = time.sleep

    def open(self) -> bool:
        """Whether it is now a time to work."""
        at = self.now().time()
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def opens(self) -> datetime:
        """When it opens next; now, where it is open."""
        now = self.now()
        if self.open():
            return now
        today = now.replace(hour=self.start.hour, minute=self.start.minute, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)

    def wait(self) -> None:
        """Sleep until it is open."""
        while not self.open():
            self.sleep(min(SLICE, max((self.opens() - self.now()).total_seconds(), 0.0) + 0.01))


def read_window(text: str) -> Window:
    """The hours that a text as `20:00-06:00` names.

    Raises
    ------
    OperatorError
        When it names none, or both times are the same.
    """
    found = _WINDOW.fullmatch(text.strip())
    if found is None:
        raise OperatorError(f"{text[:40]!r} names no hours.", "Write them as 20:00-06:00.")
    start, end = clock(int(found[1]), int(found[2])), clock(int(found[3]), int(found[4]))
    if start == end:
        raise OperatorError(f"{text[:40]!r} begins when it ends.", "Write two times, as 20:00-06:00.")
    return Window(start, end)


def paused_file(out: Path) -> Path:
    """Where a run that pauses leaves what it has found."""
    return out.with_name(f".{out.name}.paused")


class Run(Protocol):
    """`folder.run_definitions` with all but these."""

    def __call__(self, *, before: State, go_on: Callable[[], bool]) -> FolderRun:
        """What was found, with what was found before, for as long as it may go on."""
        ...


def run_at_night(run: Run, out: Path, window: Window, say: Callable[[str], None], before: State) -> FolderRun:
    """`run`, but only while the window is open.

    run   its minutes, where it has any, are those of one night
    say   is told when it pauses, and when it goes on

    Raises
    ------
    OperatorError
        As `run_definitions`, or when what was found cannot be left beside `out`.
    """
    paused, wait = paused_file(out), "Outside of these hours nothing runs. It begins at {when}."
    if paused.exists():
        before = read_state(paused)
    while True:
        if not window.open():
            say(wait.format(when=f"{window.opens():%Y-%m-%d %H:%M}"))
            window.wait()
        done = run(before=before, go_on=window.open)
        left, whole = done.outcome.postponed, len(done.reading.definitions)
        if not left:
            paused.unlink(missing_ok=True)
            return done
        done.write(paused, None)
        before = read_state(paused)
        wait = f"Paused: {whole - len(left)} of {whole} definitions are done. It goes on at {{when}}."
