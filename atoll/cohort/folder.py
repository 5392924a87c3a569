"""A file or folder of Circe definitions on one CDM, with a report: what `atoll cohort run` does."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from atoll.cdm.database import without_password
from atoll.cdm.marks import release_of
from atoll.cdm.workspace import workspace_at
from atoll.cohort.kept import Marks, State, in_order, members, signature
from atoll.cohort.run import CohortRun, Outcome
from atoll.durable import private_file
from atoll.errors import AtollError, OperatorError, StudyError
from atoll.study.circe import CohortExpression
from atoll.study.circe.as_yaml import is_yaml, named
from atoll.study.circe.as_yaml import read_sets as sets_of_text
from atoll.study.circe.places import lines
from atoll.study.circe.review import checked
from atoll.study.circe.text import Lines


@dataclass
class Reading:
    """Definitions of a folder by the stems of their files, why others cannot be run, and what else was not read."""

    definitions: dict[str, CohortExpression] = field(default_factory=dict)
    failed: dict[str, AtollError] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """All of them, in order."""
        return sorted({*self.definitions, *self.failed}, key=_natural)


def read_definitions(path: Path) -> Reading:
    """The definition of a file, or those of all .json and .yaml files of a folder; folders in it are not read.

    Raises
    ------
    OperatorError
        When there is no such file, or none in the folder.
    """
    if not path.exists():
        raise OperatorError(f"There is no {path}.", "Give a Circe definition (.json or .yaml), or a folder of them.")
    files = sorted(_files(path), key=lambda file: _natural(file.stem)) if path.is_dir() else [path]
    if not files:
        raise OperatorError(
            f"The folder {path} holds no .json or .yaml file.", "Export the definitions from ATLAS into it."
        )
    reading = Reading(skipped=_others(path, files) if path.is_dir() else [])
    for file in files:
        try:
            if sum(other.stem == file.stem for other in files) > 1:
                raise StudyError(f"Two files are called {file.stem}, as JSON and as YAML.", "Keep one of them here.")
            definition = read_definition(file)
            warnings = checked(definition, lines_of(file))
        except AtollError as error:
            reading.failed[file.stem] = error
        else:
            reading.definitions[file.stem] = definition
            reading.notes[file.stem] = warnings
    return reading


def read_definition(file: Path) -> CohortExpression:
    """The definition of a file.

    Raises
    ------
    StudyError
        When the file cannot be read, or holds no definition.
    """
    try:
        return named(file.name, file.read_bytes())
    except OSError as error:
        raise StudyError(
            f"{file} cannot be read ({error.strerror}).", "Correct the path or its permissions."
        ) from error


def lines_of(file: Path) -> Lines | None:
    """The lines of the places of a definition that was read from a YAML file."""
    return lines(file.name, file.read_text("utf-8-sig")) if is_yaml(file.name) else None


def read_sets(file: Path) -> CohortExpression:
    """The concept sets of a definition, or of a file that holds sets alone: `name: [id, …]`.

    Raises
    ------
    StudyError
        When the file cannot be read, or holds neither.
    """
    if not is_yaml(file.name):
        return read_definition(file)
    try:
        return sets_of_text(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read.", "Correct its path or rights; save it as UTF-8.") from error


def _files(folder: Path) -> list[Path]:
    ours = (file for file in folder.iterdir() if file.suffix.lower() == ".json" or is_yaml(file.name))
    return [file for file in ours if not file.name.startswith(".") and not file.is_dir()]


def _others(folder: Path, read: list[Path]) -> list[str]:
    """What else lies in a folder, with a stroke behind folders."""
    return sorted(f"{other.name}/" if other.is_dir() else other.name for other in {*folder.iterdir()} - {*read})


def _natural(stem: str) -> tuple[int, str]:
    return (int(stem), "") if stem.isdecimal() and stem.isascii() else (2**63, stem)


@dataclass
class FolderRun:
    """What a run of a folder gave; `kept` are the definitions whose rows are those of the run before."""

    cdm: str
    reading: Reading
    outcome: Outcome
    seconds: float
    kept: frozenset[str] = frozenset()
    state: State = field(default_factory=State)

    @property
    def failed(self) -> dict[str, AtollError]:
        """Why definitions were not run, or not to their end."""
        return {**self.reading.failed, **self.outcome.failed}

    def report(self) -> dict[str, Any]:
        """One entry a definition: rows, persons, seconds, notes, or the reason why there are none."""
        counts = _counts(self.outcome)
        entries: dict[str, Any] = {}
        for name in self.reading.names:
            if name in self.outcome.postponed:
                continue
            notes = [*self.reading.notes.get(name, []), *self.outcome.notes.get(name, [])]
            if (error := self.failed.get(name)) is not None:
                entries[name] = {"status": "failed", "code": error.code, "who": error.actor, "reason": error.what,
                                 "remedy": error.remedy}  # fmt: skip
            else:
                rows, persons = counts.get(name, (0, 0))
                entries[name] = {"status": "kept" if name in self.kept else "done", "rows": rows, "persons": persons,
                                 "seconds": round(self.outcome.seconds.get(name, 0.0), 4),
                                 "attrition": self._attrition(name)}  # fmt: skip
            entries[name]["notes"] = notes
        return {
            "atoll cohorts": 1,
            "cdm": without_password(self.cdm),
            "definitions": entries,
            "done": len(entries) - len(self.failed) - len(self.kept),
            "kept": len(self.kept),
            "failed": len(self.failed),
            "not_read": self.reading.skipped,
            "rows": self.outcome.rows.num_rows,
            "seconds": round(self.seconds, 3),
        }

    def _attrition(self, name: str) -> dict[str, Any]:
        """As it was found, or kept."""
        found = self.outcome.attrition.get(name)
        document: dict[str, Any] = found.document() if found else self.state.definitions[name]["attrition"]
        return document

    def write(self, out: Path, report: Path | None) -> None:
        """The rows as Parquet and the report as JSON, each whole or not at all, and for its owner alone to read.

        Raises
        ------
        OperatorError
            When a file cannot be written.
        """
        import pyarrow.parquet as pq

        rows = self.state.written(self.outcome.rows)
        with _whole(out) as file:
            pq.write_table(rows, file, compression="zstd")
        if report is not None:
            text = json.dumps(self.report(), ensure_ascii=False, indent=2) + "\n"
            with _whole(report) as file:
                file.write(text.encode("utf-8"))


def run_definitions(
    reading: Reading,
    cdm: str,
    *,
    threads: int | None = None,
    memory: str | None = None,
    minutes: float | None = None,
    before: State | None = None,
    progress: Callable[[str], None] = lambda name: None,
    go_on: Callable[[], bool] = lambda: True,
) -> FolderRun:
    """Run what `read_definitions` read on the CDM that a URL names.

    minutes   definitions whose turn has not come by then are named in the report and not run
    before    what an earlier run left: a definition that would give the same rows is not run again
    go_on     asked before each definition; once it says no, those that wait are named in `outcome.postponed`

    Raises
    ------
    OperatorError, DataError, Unreachable
        When nothing can be run: no such CDM, no vocabulary in it.
    """
    started = time.perf_counter()
    with workspace_at(cdm, threads=threads, memory=memory) as workspace:
        run = CohortRun(workspace, minutes=minutes, go_on=go_on)
        outcome, kept, state = run_what_changed(run, reading, release_of(workspace, cdm), before or State(), progress)
    return FolderRun(cdm, reading, outcome, time.perf_counter() - started, kept, state)


def run_what_changed(
    run: CohortRun,
    reading: Reading,
    release: str | None,
    before: State,
    progress: Callable[[str], None] = lambda name: None,
) -> tuple[Outcome, frozenset[str], State]:
    """Run the definitions that may give other rows than `before`; all rows, the names of the others, and the state.

    release   what stands for the whole database, or None
    """
    state, kept = _signed(run, reading.definitions, release, before)
    wanted = {name: one for name, one in reading.definitions.items() if name not in kept}
    outcome = run.run(wanted, progress)
    _remember(state, outcome, kept, before, reading)
    return outcome, frozenset(kept), state


def _signed(
    run: CohortRun, definitions: Mapping[str, CohortExpression], release: str | None, before: State
) -> tuple[State, set[str]]:
    """Signatures of all definitions that can be planned, and those whose earlier rows are still theirs."""
    if not definitions:
        return State(), set()
    marks = Marks(run.workspace, before.marks if release is not None and release == before.release else None)
    plans = run.plans(definitions)
    held = members(run.workspace, run.sets)
    signatures = {name: signature(definitions[name], plan, sets, held, marks) for name, (plan, sets) in plans.items()}
    state = State(release, {}, {name: {"signature": one} for name, one in signatures.items()})
    state.marks = marks.known
    same = {name for name, one in signatures.items() if before.definitions.get(name, {}).get("signature") == one}
    return state, same if before.rows is not None else set()


def _remember(state: State, outcome: Outcome, kept: set[str], before: State, reading: Reading) -> None:
    """Put what was kept beside what was found, and forget the signatures of what was not."""
    for name in kept:
        state.definitions[name] = before.definitions[name]
        outcome.notes |= {name: notes} if (notes := before.definitions[name]["notes"]) else {}
    for name in list(state.definitions):
        if name in outcome.attrition:
            found = {"attrition": outcome.attrition[name].document(), "notes": outcome.notes.get(name, [])}
            state.definitions[name] |= found
        elif name not in kept:
            del state.definitions[name]
    old = before.rows_of(kept)
    if old is not None and kept:
        outcome.rows = in_order([old, outcome.rows], list(reading.definitions))


def _counts(outcome: Outcome) -> dict[str, tuple[int, int]]:
    """Rows and persons of each definition; those of one stand together, a person's one after another."""
    import numpy as np

    named = outcome.rows.column("definition").dictionary_encode().combine_chunks()
    codes, persons = named.indices.to_numpy(), outcome.rows.column("subject_id").to_numpy()
    new = np.ones(len(codes), dtype=bool)
    new[1:] = (codes[1:] != codes[:-1]) | (persons[1:] != persons[:-1])
    names = named.dictionary.to_pylist()
    counted = (np.bincount(of, minlength=len(names)).tolist() for of in (codes, codes[new]))
    return {name: (n, k) for name, n, k in zip(names, *counted, strict=True)}


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    try:
        with private_file(path) as file:
            yield file
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}).", "Choose another place.") from error
