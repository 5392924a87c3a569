"""People decide what names mean: a journal of decisions over a file of suggestions.

Nothing in the journal is ever changed: a decision, a refusal ("nothing fits"), and the undoing of either are each one
line that is appended and forced to disk. What stands follows from replaying it. With two reviewers a name is settled
when two of them decided alike; each sees neither the other's decision nor that there is one.

The result is a code list (name, concept_id, authors, date, source), which later suggestions take as earlier decisions
and which other hospitals may be given: it holds names of tests, never a row of a patient.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from atoll.errors import DataError
from atoll.ingest.lists import read_text, whole_rows

NOTHING = 0  # decided: no concept fits
LIST = ("name", "concept_id", "authors", "date", "source", "probability")


@dataclass(frozen=True)
class Candidate:
    """One suggestion for a name."""

    concept_id: int
    probability: float
    reason: str
    concept_name: str = ""


@dataclass(frozen=True)
class Item:
    """A name to decide on; `key` tells apart the places where one name stands (1 for the first)."""

    key: str
    name: str
    candidates: tuple[Candidate, ...]
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What one reviewer decided: a concept or `NOTHING`, when, and where the concept came from."""

    item: str
    who: str
    concept_id: int
    at: str
    source: str


def read_items(
    path: Path,
    contexts: Mapping[str, Sequence[Mapping[str, str]]] = MappingProxyType({}),
    names: Mapping[int, str] | None = None,
) -> list[Item]:
    """The names of a file that `atoll terms suggest` wrote, in its order.

    contexts   name → what else is known of it (unit, specimen …), for each place where it stands
    names      concept id → name, to be shown

    Raises
    ------
    DataError
        When the file is not one of suggestions.
    """
    rows = list(whole_rows(csv.DictReader(io.StringIO(read_text(path), newline=""), restval=""), path.name))
    if not rows or not {"name", "rank", "concept_id", "probability", "reason"} <= set(rows[0]):
        raise DataError(f"{path.name} is not a file of suggestions.", "Make one with `atoll terms suggest`.")
    groups: list[list[dict[str, str]]] = []
    for row in rows:
        if row["rank"] in ("0", "1") or not groups:
            groups.append([])
        groups[-1].append(row)
    seen: dict[str, int] = {}
    found = []
    for group in groups:
        name = group[0]["name"]
        seen[name] = seen.get(name, 0) + 1
        candidates = tuple(
            Candidate(int(row["concept_id"]), float(row["probability"]), row["reason"],
                      (names or {}).get(int(row["concept_id"])) or row.get("concept_name", ""))
            for row in group if row["concept_id"]
        )  # fmt: skip
        context = dict(next(iter(contexts.get(name, ())[seen[name] - 1 :]), {}))
        found.append(Item(f"{name}\t{seen[name]}", name, candidates, context))
    return found


class Review:
    """Decisions over items, kept in a journal file.

    both    two reviewers must decide alike before a name is settled; once a decision was made so, the journal says so,
            and it holds whoever opens it
    known   whether a concept that is typed is one; None where nothing at hand can say so: then it is to be typed twice
    """

    def __init__(
        self,
        items: Sequence[Item],
        journal: Path,
        *,
        both: bool = False,
        known: Callable[[int], bool | None] = lambda concept: True,
    ):
        self.known = known
        self.items = {item.key: item for item in items}
        self.journal, self._both = journal, both
        self._doubted: tuple[str, str, int] | None = None
        self._lines: list[dict[str, Any]] = []
        self._read = 0
        self.refresh()

    def refresh(self) -> None:
        """Read what was appended since, also by others."""
        if not self.journal.exists():
            return
        with self.journal.open("rb") as file:
            file.seek(self._read)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break  # a line that is being written
                self._read += len(raw)
                try:
                    self._lines.append(json.loads(raw))
                except ValueError as error:
                    raise DataError(
                        f"{self.journal.name} is not a journal of decisions.", "Name a new file, or the right one."
                    ) from error

    @property
    def both(self) -> bool:
        """Whether two reviewers must decide alike."""
        return self._both or any(line.get("both") for line in self._lines)

    def decisions(self) -> dict[str, dict[str, Decision]]:
        """What stands now: item → reviewer → decision."""
        undone = {line["undoes"] for line in self._lines if "undoes" in line}
        found: dict[str, dict[str, Decision]] = {}
        for at, line in enumerate(self._lines):
            if "item" in line and at not in undone:
                one = Decision(line["item"], line["who"], line["concept_id"], line["at"], line["source"])
                found.setdefault(one.item, {})[one.who] = one
        return found

    def open_for(self, who: str) -> list[Item]:
        """Names that this reviewer has still to decide, in order; without `both`, those that nobody has decided."""
        made = self.decisions()
        return [item for item in self.items.values() if self._waits(made.get(item.key, {}), who)]

    def _waits(self, made: Mapping[str, Decision], who: str) -> bool:
        if who in made:
            return False
        return not made or (self.both and not _agreed(made.values(), 2))

    def decide(self, who: str, key: str, concept_id: int, source: str = "") -> None:
        """Write down a decision; `concept_id` is `NOTHING` where no candidate fits.

        Raises
        ------
        DataError
            When there is no such name or concept, or no reviewer is named.
        """
        if key not in self.items:
            raise DataError("There is no such name among the suggestions.", "Reload the list.")
        if not who.strip():
            raise DataError("A decision needs a reviewer.", "Give --reviewer NAME.")
        ranks = [c.concept_id for c in self.items[key].candidates]
        known = concept_id in (NOTHING, *ranks) or self.known(concept_id)
        if known is not True:
            source = self._doubt(who, key, concept_id, known)
        if not source:
            source = f"suggestion {ranks.index(concept_id) + 1}" if concept_id in ranks else "typed"
        line = {"item": key, "who": who, "concept_id": concept_id, "source": source}
        self._append(line | ({"both": True} if self._both else {}))

    def _doubt(self, who: str, key: str, concept_id: int, known: bool | None) -> str:
        """Refuse a concept that nothing at hand knows; where there is no vocabulary, only the first time."""
        if known is False:
            raise DataError(
                f"Concept {concept_id} is in none of the files of concepts, nor in the vocabulary.",
                "Correct the number, or start again with the file that holds it (--concepts, --vocabulary).",
            )
        if self._doubted != (who, key, concept_id):
            self._doubted = who, key, concept_id
            raise DataError(
                f"Concept {concept_id} is none that Atoll has a name for, and no vocabulary is given to look it up in.",
                "Is the number right? Type it once more to take it.",
            )
        return "typed, not looked up"

    def undo(self, who: str) -> Item | None:
        """Take back this reviewer's last decision that stands; returns its name, or None when there is none."""
        undone = {line["undoes"] for line in self._lines if "undoes" in line}
        for at in range(len(self._lines) - 1, -1, -1):
            line = self._lines[at]
            if line.get("who") == who and "item" in line and at not in undone:
                self._append({"who": who, "undoes": at})
                return self.items.get(line["item"])
        return None

    def _append(self, line: dict[str, Any]) -> None:
        line = {"at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **line}
        with self.journal.open("ab") as file:
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.refresh()

    def settled(self) -> list[tuple[Item, Decision, tuple[str, ...]]]:
        """Names with a decision that counts: the item, the decision, and who made it."""
        found = []
        for key, made in self.decisions().items():
            agreed = _agreed(made.values(), 2 if self.both else 1)
            if agreed and key in self.items:
                found.append((self.items[key], agreed[-1], tuple(one.who for one in agreed)))
        return found

    def disputed(self) -> list[Item]:
        """Names that two reviewers decided differently and no two alike."""
        return [
            self.items[key] for key, made in self.decisions().items()
            if key in self.items and len(made) > 1 and not _agreed(made.values(), 2)
        ]  # fmt: skip

    def status(self, who: str = "") -> dict[str, int]:
        """Counts: all names, settled, disputed, and those open for a reviewer."""
        return {
            "names": len(self.items), "settled": len(self.settled()), "disputed": len(self.disputed()),
            "open": len(self.open_for(who)),
        }  # fmt: skip


def _agreed(made: Iterable[Decision], needed: int) -> list[Decision]:
    """The decisions for the concept that at least `needed` reviewers chose; the latest when one is enough."""
    by_concept: dict[int, list[Decision]] = {}
    for one in sorted(made, key=lambda decision: decision.at):
        by_concept.setdefault(one.concept_id, []).append(one)
    enough = [group for group in by_concept.values() if len(group) >= needed]
    return max(enough, key=lambda group: (len(group), group[-1].at)) if enough else []


def decided(review: Review) -> dict[str, int]:
    """Name → concept of what is settled, without names that nothing fits."""
    return {item.name: one.concept_id for item, one, _ in review.settled() if one.concept_id != NOTHING}


def write_list(path: Path, review: Review) -> int:
    """The settled decisions as a code list with `LIST`, without names that nothing fits. Returns the rows."""
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LIST)
        for item, decision, authors in review.settled():
            if decision.concept_id == NOTHING:
                continue
            chance = next((c.probability for c in item.candidates if c.concept_id == decision.concept_id), None)
            writer.writerow((item.name, decision.concept_id, "; ".join(authors), decision.at[:10], decision.source,
                             "" if chance is None else f"{chance:.4f}"))  # fmt: skip
            rows += 1
    return rows
