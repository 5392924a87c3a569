"""What is wrong with a definition, or may not be meant so: a list that an approver can read.

`error`    it cannot be run, or nobody could ever enter
`warning`  a part of it never holds, always holds, or is not used
`note`     it may be meant so: looks into the future, looks back further than history is demanded, and where Atoll does
           what the definition says although circe-be 1.12.1 does something else
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from atoll.errors import StudyError
from atoll.study.circe import CohortExpression, CustomEraStrategy, nodes, unknown_keys
from atoll.study.circe_criteria import (
    CorrelatedCriteria,
    CriteriaGroup,
    Criterion,
    CustomEra,
    Death,
    DemographicCriteria,
    DrugEra,
    DrugExposure,
    LocationRegion,
    Measurement,
    Specimen,
    VisitDetail,
)
from atoll.study.circe_node import Node, read_day
from atoll.study.circe_parts import ConceptSetSelection, DateRange, NumericRange, Occurrence, Period, Window

Level = Literal["error", "warning", "note"]
MAX_RULES = 62  # bits of a whole number of 64, in which a run keeps them


@dataclass(frozen=True)
class Fault:
    """One entry of the check list: how grave, where, what, and what to do."""

    level: Level
    place: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.place or 'The definition'} {self.what} {self.remedy}".strip()


def refuse(found: Iterable[Fault]) -> None:
    """Refuse a definition whose check list holds errors.

    Raises
    ------
    StudyError
        With the first error of the check list, and how many there are.
    """
    errors = [fault for fault in found if fault.level == "error"]
    if errors:
        first, more = errors[0], len(errors) - 1
        further = f" ({more} more; see `atoll cohort explain`.)" if more else ""
        raise StudyError(f"{first.place or 'The definition'} {first.what}{further}", first.remedy)


def faults(definition: CohortExpression) -> list[Fault]:
    """The whole check list, errors first."""
    places = list(nodes(definition))
    found: list[Fault] = [*_sets(definition, places), *_whole(definition)]
    for place, node in places:
        found += _of_node(place, node)
        if isinstance(node, CorrelatedCriteria):
            found += _correlated(place, node)
    found += _history(definition, places)
    found += [
        Fault("warning", key, "is a key that Circe does not know; it is ignored.") for key in unknown_keys(definition)
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(dict.fromkeys(found), key=lambda fault: order[fault.level])


def used_sets(places: Iterable[tuple[str, Node]]) -> Iterator[tuple[str, int]]:
    """Where a concept set is used, and its id; from the `nodes` of a definition."""
    for place, node in places:
        if isinstance(node, CustomEraStrategy):
            if node.drug_codeset_id is not None:
                yield f"{place}.DrugCodesetId", node.drug_codeset_id
        elif isinstance(node, (Criterion, ConceptSetSelection)):
            for name, value in node.children():
                if type(value) is int and name not in ("GapDays", "PlaceOfServiceLocation"):
                    yield f"{place}.{name}", value


def _sets(definition: CohortExpression, places: list[tuple[str, Node]]) -> Iterator[Fault]:
    held = {entry.id: entry for entry in definition.concept_sets}
    used = list(used_sets(places))
    for place, number in used:
        if number not in held:
            yield Fault(
                "error", place, f"uses concept set {number}, which the definition does not hold.", "Add the set."
            )
    if len(held) < len(definition.concept_sets):
        yield Fault(
            "warning", "ConceptSets", "holds two sets with one id; their concepts are joined.", "Number them anew."
        )
    numbers = {number for _, number in used}
    for index, entry in enumerate(definition.concept_sets):
        place, items = f"ConceptSets[{index}]", entry.expression.items
        if entry.id not in numbers:
            yield Fault("note", place, f"({entry.name}) is not used.")
        elif not items:
            yield Fault("warning", place, f"({entry.name}) is empty, so no row fits it.", "Add concepts.")
        elif all(item.is_excluded for item in items):
            yield Fault("warning", place, f"({entry.name}) only excludes, so it is empty.", "Include concepts first.")


def _whole(definition: CohortExpression) -> Iterator[Fault]:
    if not definition.primary_criteria.criteria_list:
        yield Fault("error", "PrimaryCriteria", "holds no criterion, so nobody enters.", "Add an initial event.")
    rules = len(definition.inclusion_rules)
    if rules > MAX_RULES:
        yield Fault(
            "error", "InclusionRules", f"holds {rules} rules.", f"Join some, so that there are {MAX_RULES} at most."
        )
    window = definition.censor_window
    if window and window.start_date and window.end_date and _after(window.start_date, window.end_date):
        yield Fault("error", "CensorWindow", "ends before it starts, so nobody is left.", "Correct its dates.")
    observation = definition.primary_criteria.observation_window
    for name, value in observation.children():
        if value < 0:
            yield Fault("error", f"PrimaryCriteria.ObservationWindow.{name}", "is negative.", "Give 0 days or more.")


def _of_node(place: str, node: Node) -> Iterator[Fault]:
    try:
        if isinstance(node, NumericRange):
            yield from _numbers(place, node)
        elif isinstance(node, DateRange):
            yield from _dates(place, node)
        elif isinstance(node, Period):
            for name, value in node.children():
                read_day(value, f"{place}.{name}")
        elif isinstance(node, CriteriaGroup):
            yield from _group(place, node)
        elif isinstance(node, Window):
            yield from _window(place, node)
        elif isinstance(node, Occurrence):
            yield from _occurrence(place, node)
        elif isinstance(node, (Criterion, DemographicCriteria)):
            yield from _different(place, node)
    except StudyError as error:
        yield Fault("error", "", error.what, error.remedy)


def _numbers(place: str, node: NumericRange) -> Iterator[Fault]:
    between = (node.op or "").endswith("bt")
    values = [node.value, node.extent] if between else [node.value]
    if between and node.extent is None:
        yield Fault("error", place, "is 'between' (bt) without an Extent.", "Give its upper bound as Extent.")
        return
    name = place.rpartition(".")[2]
    if name in ("Age", "AgeAtStart", "AgeAtEnd") and any((value or 0) < 0 for value in values):
        yield Fault(
            "error", place, f"is a negative age ({min(value or 0 for value in values)}).", "Give years, 0 or more."
        )
    if node.op == "bt" and (node.value or 0) > (node.extent or 0):
        yield Fault("warning", place, f"is between {node.value} and {node.extent}: nothing is.", "Exchange the bounds.")


def _dates(place: str, node: DateRange) -> Iterator[Fault]:
    between = (node.op or "").endswith("bt")
    if between and node.extent is None:
        yield Fault("error", place, "is 'between' (bt) without an Extent.", "Give its upper bound as Extent.")
        return
    days = [read_day(text or "", place) for text in ([node.value, node.extent] if between else [node.value])]
    if node.op == "bt" and days[0] > days[-1]:
        yield Fault("warning", place, f"is between {days[0]} and {days[-1]}: no day is.", "Exchange the bounds.")


def _after(first: str, second: str) -> bool:
    try:
        return read_day(first, "") > read_day(second, "")
    except StudyError:
        return False


def _group(place: str, node: CriteriaGroup) -> Iterator[Fault]:
    members = len(node.criteria_list) + len(node.demographic_criteria_list) + len(node.groups)
    if not members:
        return
    if node.type is None:
        yield Fault("error", place, "is a group without a Type.", "Give ALL, ANY, AT_LEAST or AT_MOST.")
    elif node.type.startswith("AT_"):
        if node.count is None:
            yield Fault("error", place, f"is a group {node.type} without a Count.", "Give its Count.")
        elif node.type == "AT_LEAST" and node.count > members:
            yield Fault(
                "warning", place, f"asks for {node.count} of {members} members: it never holds.", "Lower Count."
            )
        elif node.count <= 0 if node.type == "AT_LEAST" else node.count >= members:
            yield Fault("warning", place, f"is {node.type} {node.count} of {members} members: it always holds.")


def _window(place: str, node: Window) -> Iterator[Fault]:
    for name, bound in (("Start", node.start), ("End", node.end)):
        if bound.coeff not in (-1, 1):
            yield Fault("error", f"{place}.{name}", f"has the Coeff {bound.coeff}.", "Give −1 (before) or 1 (after).")
        if (bound.days or 0) < 0:
            yield Fault(
                "error", f"{place}.{name}", f"has {bound.days} days.", "Give 0 or more, and Coeff −1 for before."
            )
    start, end = node.start, node.end
    if start.days is not None and end.days is not None:
        first, last = start.days * (start.coeff or 0), end.days * (end.coeff or 0)
        if first > last:
            yield Fault(
                "error", place, f"starts after its end (day {first} to day {last}).", "Exchange its Start and End."
            )
    elif start.days is None and end.days is None and start.coeff == 1 and end.coeff == -1:
        yield Fault(
            "error", place, "starts at the end of observation and ends at its start.", "Exchange Start and End."
        )


def _occurrence(place: str, node: Occurrence) -> Iterator[Fault]:
    if node.type not in (Occurrence.EXACTLY, Occurrence.AT_MOST, Occurrence.AT_LEAST):
        yield Fault("error", place, f"has the Type {node.type}.", "Give 0 (exactly), 1 (at most) or 2 (at least).")
    if (node.count or 0) < 0:
        yield Fault("error", place, f"has the Count {node.count}.", "Give 0 or more.")
    elif node.type == Occurrence.AT_LEAST and not node.count:
        yield Fault("warning", place, "asks for at least 0: it always holds.", "Give 1, or leave the criterion out.")


def _correlated(place: str, node: CorrelatedCriteria) -> Iterator[Fault]:
    end = node.start_window.end
    seldom = node.occurrence.type == Occurrence.AT_LEAST or (node.occurrence.count or 0) > 0
    if end.days is None and end.coeff == 1:
        what = "looks at all the future of the index event"
        yield Fault("note", place, f"{what}{'' if seldom else ', and asks that nothing comes'}.", "Is that meant?")


def _history(definition: CohortExpression, places: list[tuple[str, Node]]) -> Iterator[Fault]:
    """Windows that look further back than the observation window demands: who has less history, seems to have none."""
    prior = definition.primary_criteria.observation_window.prior_days or 0
    for place, node in places:
        if isinstance(node, CorrelatedCriteria) and not node.ignore_observation_period and "Rules" in place:
            start = node.start_window.start
            nothing = node.occurrence.type != Occurrence.AT_LEAST and not node.occurrence.count
            if nothing and start.coeff == -1 and start.days is not None and start.days > prior:
                yield Fault(
                    "note",
                    place,
                    f"asks for nothing in {start.days} days before, but only {prior} days of history are demanded.",
                    "Raise PriorDays, if new cases are meant.",
                )


def _different(place: str, node: Criterion | DemographicCriteria) -> Iterator[Fault]:
    """Where circe-be 1.12.1 does not do what the definition says, and Atoll does."""
    if isinstance(node, (LocationRegion,)) or getattr(node, "place_of_service_location", None) is not None:
        yield Fault("error", place, "needs the history of locations of CDM 6, which was never in use.", "Leave it out.")
    if isinstance(node, CustomEra) and not node.criteria_list:
        yield Fault("error", place, "holds no criterion.", "Give the criteria whose events make the era.")
    for there, what in _defects(node):
        if there:
            yield Fault("note", place, f"uses {what}, where circe-be 1.12.1 differs; Atoll does what is written.")


def _defects(node: Criterion | DemographicCriteria) -> Iterable[tuple[object, str]]:
    if isinstance(node, DrugExposure):
        yield node.occurrence_end_date, "OccurrenceEndDate (circe filters the start date)"
    if isinstance(node, DemographicCriteria):
        yield node.race_cs, "RaceCS (circe compares the gender)"
        yield node.ethnicity_cs, "EthnicityCS (circe compares the gender)"
    if isinstance(node, DrugEra):
        yield node.gap_days, "GapDays (circe uses the range of EraLength)"
    if isinstance(node, Measurement):
        yield node.abnormal and not node.value_as_concept, "Abnormal (circe fails without ValueAsConcept)"
    if isinstance(node, CustomEra):
        yield node.gap_days, "GapDays (circe merges only what overlaps)"
        yield node.correlated_criteria, "CorrelatedCriteria (circe ignores them)"
    if isinstance(node, VisitDetail):
        yield node.age, "Age (circe takes the age at the end of the visit detail)"
    if isinstance(node, Specimen):
        yield node.date_adjustment, "DateAdjustment (circe ignores it)"
        yield node.specimen_source_concept, "SpecimenSourceConcept (circe ignores it)"
    if isinstance(node, Death):
        yield node.date_adjustment, "DateAdjustment (circe ignores StartWith and EndWith)"
