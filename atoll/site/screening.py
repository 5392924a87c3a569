"""A released model inside the hospital: who stands at or above a risk, and why. The list never leaves.

The list is a CSV in the site's folder, readable by its owner alone, replaced as a whole. Use of a model
is written into the ledger like everything else that was decided here, without persons or numbers.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from atoll.care.score import Scored, in_words, screening_list
from atoll.errors import DataError, OperatorError
from atoll.site.datasets import Registry
from atoll.site.home import Home
from atoll.study.dictionary import Dictionary
from atoll.study.view import Model

HEADINGS = ("person", "risk", "reason_1", "reason_2", "reason_3", "in_words")


@dataclass(frozen=True)
class Kept:
    """How many were scored and listed, and where the list is."""

    path: Path
    scored: int
    listed: int


def keep_list(home: Home, dataset: str, model: Model, threshold: float) -> Kept:
    """Score a registered dataset and keep the list of those at or above the threshold, highest risk first.

    Raises
    ------
    DataError
        When the dataset is not registered or lacks a column of the model.
    StudyError
        When the model gives no risk, or the dataset names no persons.
    OperatorError
        When the list cannot be written.
    """
    store = home.store()
    try:
        registered = Registry(home, store).open(dataset)
        scored: list[int] = []
        site = store.fact("site") or ""
        found = list(screening_list(model, registered.table, registered.columns, site, threshold, scored.append))
    finally:
        store.close()
    if not sum(scored):
        raise DataError(
            f"Nobody of {dataset!r} could be scored.", "Look at the missing values.", code="EMPTY", subject=dataset
        )
    found.sort(key=lambda person: -person.risk)
    path = home.folder / "screening" / f"{dataset}.csv"
    _write(path, found, registered.columns)
    return Kept(path, sum(scored), len(found))


def _write(path: Path, found: list[Scored], columns: Dictionary) -> None:
    unfinished = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADINGS)
            for person in found:
                terms = [term for term, _ in person.reasons] + [""] * (3 - len(person.reasons))
                writer.writerow([_safe(person.person), f"{person.risk:.4f}", *terms, in_words(person.reasons, columns)])
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OperatorError(
            f"{path} cannot be written: {error.strerror}.", "Look at the disk and the folder's rights."
        ) from error


def _safe(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell[:1] in "=+-@\t\r" else cell
