"""The check list of a definition as sentences, for those who read it and for those whose definition is refused."""

from __future__ import annotations

from collections.abc import Iterable

from atoll.errors import StudyError
from atoll.study.circe import CohortExpression
from atoll.study.circe.check import faults
from atoll.study.circe.faults import Fault
from atoll.study.circe.text import Language, Lines, Text


def check_list(
    definition: CohortExpression, found: Iterable[Fault], language: Language = "en", lines: Lines | None = None
) -> list[str]:
    """Entries of the check list as sentences: how grave, where in words, what, and what to do."""
    return Text(definition, language).check(found, lines)


def checked(definition: CohortExpression, lines: Lines | None = None) -> list[str]:
    """The warnings of a definition that can be run, as sentences.

    Raises
    ------
    StudyError
        With the first error of the check list, and how many there are.
    """
    found, text = faults(definition), Text(definition, "en")
    errors = [fault for fault in found if fault.level == "error"]
    if errors:
        more = len(errors) - 1
        further = f" ({more} more: `atoll cohort check` names all.)" if more else ""
        raise StudyError(f"{text.fault(errors[0], lines)}{further}", errors[0].remedy)
    return [f"{text.fault(fault, lines)} {fault.remedy}".strip() for fault in found if fault.level == "warning"]
