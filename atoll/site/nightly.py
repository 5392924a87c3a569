"""A load on a schedule: the hospital's export becomes the next release of its OMOP data, at an hour of the night.

The load runs as a program of its own, so that what it needs of memory and processor is not the site's, and with the
lowest priority, so that questions are answered meanwhile. Whatever becomes of it, the release in force stays until the
next one is whole; a load that was killed goes on the next time. The last one's end is kept for `atoll site load`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from atoll.errors import AtollError
from atoll.site.store import SiteStore

log = logging.getLogger("atoll.site")
SCHEDULE, LAST = "load_schedule", "load_last"  # facts of the site
Every = Literal["hour", "night", "week"]
PERIODS: dict[str, timedelta] = {"hour": timedelta(hours=1), "night": timedelta(days=1), "week": timedelta(days=7)}
NICEST = 19
LOOK = 30.0  # seconds between looks at the clock, which may be set


@dataclass(frozen=True)
class Schedule:
    """What is loaded, and when. `at` is HH:MM of the machine's clock; of `hour` the minutes count."""

    mapping: str
    source: str
    cdm: str
    every: Every = "night"
    at: str = "02:00"
    vocabulary: str = ""
    memory: str = "1200MB"
    anyway: bool = False

    def next_after(self, moment: datetime) -> datetime:
        """The first time after a moment, on the same clock."""
        hour, minute = map(int, self.at.split(":"))
        due = moment.replace(minute=minute, second=0, microsecond=0)
        due = due if self.every == "hour" else due.replace(hour=hour)
        while due <= moment:
            due += PERIODS[self.every]
        return due


def read_schedule(store: SiteStore) -> Schedule | None:
    """The site's schedule, if it has one."""
    stored = store.fact(SCHEDULE)
    return Schedule(**json.loads(stored)) if stored else None


def write_schedule(store: SiteStore, schedule: Schedule | None) -> None:
    """Put a schedule in force, or none."""
    store.set_facts(**{SCHEDULE: json.dumps(asdict(schedule)) if schedule else ""})


def last_load(store: SiteStore) -> dict[str, Any]:
    """How the last load ended: `when`, `code` (0: well), `release`, `said`; empty before the first."""
    return dict(json.loads(store.fact(LAST) or "{}"))


def run_load(schedule: Schedule, ending: threading.Event, now: datetime) -> dict[str, Any]:
    """Load once, in a program of the lowest priority; ends with the site. An address with a password goes by a pipe,
    since other people of the machine can read what a program was called with."""
    words = [sys.executable, "-m", "atoll.site.nightly"]
    process = subprocess.Popen(  # noqa: S603 (our own interpreter and words)
        words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    told: str | None = json.dumps(asdict(schedule))
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, NICEST)
        while True:
            try:
                out, _ = process.communicate(told, timeout=1.0)
                break
            except subprocess.TimeoutExpired:
                told = None
                if ending.is_set():
                    process.terminate()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    found = json.loads(out) if out.strip() else {"code": process.returncode or 1, "said": "It was stopped."}
    return {"when": now.isoformat(timespec="minutes"), "release": None, "said": ""} | found


def main() -> None:
    """The program: a schedule on standard input, how its load ended on standard output."""
    from atoll.ingest.load import load_url
    from atoll.ingest.mapping import read_mapping

    schedule = Schedule(**json.load(sys.stdin))
    vocabulary = Path(schedule.vocabulary) if schedule.vocabulary else None
    try:
        mapping = read_mapping(Path(schedule.mapping))
        options: dict[str, Any] = {"memory": schedule.memory, "anyway": schedule.anyway}
        report = load_url(mapping, schedule.source, schedule.cdm, vocabulary=vocabulary, **options)
        told: dict[str, Any] = {"code": 0, "release": report.release, "changed": report.changed}
    except AtollError as error:
        told = {"code": error.exit_code, "said": str(error)[:500]}
    except Exception as error:  # never its words: they may hold a value
        told = {"code": 70, "said": f"It failed ({type(error).__name__}). `atoll load` by hand says more."}
    print(json.dumps(told))


class Nights:
    """Runs the schedule until the site ends. The schedule may change meanwhile."""

    def __init__(self, store: SiteStore, ending: threading.Event):
        self._store, self._ending = store, ending

    def run(self) -> None:
        """Wait for the hour and load, again and again."""
        seen, due = None, None
        while not self._ending.is_set():
            schedule, now = read_schedule(self._store), datetime.now().astimezone()
            if schedule != seen or due is None:
                seen, due = schedule, schedule.next_after(now) if schedule else None
            elif now >= due and schedule is not None:
                self._load(schedule, now)
                due = schedule.next_after(datetime.now().astimezone())
            self._ending.wait(LOOK)

    def _load(self, schedule: Schedule, now: datetime) -> None:
        log.warning("loading %s", schedule.mapping)
        found = run_load(schedule, self._ending, now)
        self._store.set_facts(**{LAST: json.dumps(found)})
        if found["code"]:
            log.warning("the load ended with %d: %s", found["code"], found["said"])
        else:
            log.warning("release %s is in force", found["release"])


if __name__ == "__main__":
    main()
