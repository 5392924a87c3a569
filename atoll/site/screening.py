"""A released model inside the hospital: who stands at or above a risk, and why. The list never leaves.

The list is a CSV in the site's folder, readable by its owner alone, replaced as a whole. Use of a model
is written into the ledger like everything else that was decided here, without persons or numbers.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from atoll.care.score import REASONS, Reason, Scored, screening_list
from atoll.durable import write_private
from atoll.errors import DataError, OperatorError
from atoll.site.datasets import Registry
from atoll.site.home import Home
from atoll.study.dictionary import Dictionary
from atoll.study.view import Model
from atoll.ui.parts import label_of
from atoll.ui.report import safe

HEADINGS = ("person", "risk", *(f"reason_{number}" for number in range(1, REASONS + 1)))


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
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for person in found:
        reasons = [in_words(reason, columns) for reason in person.reasons] + [""] * (REASONS - len(person.reasons))
        writer.writerow([safe(cell) for cell in (person.person, f"{person.risk:.4f}", *reasons)])
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(path, text.getvalue().encode())
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written: {error.strerror}.", "Look at the disk and the folder's rights."
        ) from error


def in_words(reason: Reason, columns: Dictionary) -> str:
    """A reason by the labels of the data dictionary, as `fasting plasma glucose (mmol/L)` or `smoker: yes`."""
    label = label_of(reason.columns, columns)
    return f"{label}: {reason.level}" if reason.level else label
