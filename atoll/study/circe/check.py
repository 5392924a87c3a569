"""What is wrong with a definition, or may not be meant so: a list that an approver can read.

`error`    it cannot be run, or nobody could ever enter
`warning`  a part of it never holds, always holds, or is not used
`note`     it may be meant so: looks into the future, looks back further than history is demanded, and where Atoll does
           what the definition says although circe-be 1.12.1 does something else
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from atoll.errors import StudyError
from atoll.study.circe import CohortExpression, CustomEraStrategy, nodes, unknown_keys
from atoll.study.circe.criteria import (
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
from atoll.study.circe.faults import DEFECTS, MAX_RULES, Fault
from atoll.study.circe.node import Node, read_day
from atoll.study.circe.parts import ConceptSetSelection, DateRange, NumericRange, Occurrence, Period, Window


def faults(definition: CohortExpression) -> list[Fault]:
    """The whole check list, errors first."""
    places = list(nodes(definition))
    found: list[Fault] = [*_sets(definition, places), *_whole(definition)]
    for place, node in places:
        found += _of_node(place, node)
        if isinstance(node, CorrelatedCriteria):
            found += _correlated(place, node)
    found += _history(definition, places)
    found += [Fault("key unknown", key) for key in unknown_keys(definition)]
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
            yield Fault("set missing", place, (number,))
    if len(held) < len(definition.concept_sets):
        yield Fault("set twice", "ConceptSets")
    numbers = {number for _, number in used}
    for index, entry in enumerate(definition.concept_sets):
        place, items = f"ConceptSets[{index}]", entry.expression.items
        if entry.id not in numbers:
            yield Fault("set unused", place, (entry.name,))
        elif not items:
            yield Fault("set empty", place, (entry.name,))
        elif all(item.is_excluded for item in items):
            yield Fault("set excludes", place, (entry.name,))


def _whole(definition: CohortExpression) -> Iterator[Fault]:
    if not definition.primary_criteria.criteria_list:
        yield Fault("nobody enters", "PrimaryCriteria")
    rules = len(definition.inclusion_rules)
    if rules > MAX_RULES:
        yield Fault("many rules", "InclusionRules", (rules,))
    window = definition.censor_window
    if window and window.start_date and window.end_date and _after(window.start_date, window.end_date):
        yield Fault("nobody left", "CensorWindow")
    observation = definition.primary_criteria.observation_window
    for name, value in observation.children():
        if value < 0:
            yield Fault("negative", f"PrimaryCriteria.ObservationWindow.{name}")


def _of_node(place: str, node: Node) -> Iterator[Fault]:
    if isinstance(node, NumericRange):
        yield from _numbers(place, node)
    elif isinstance(node, DateRange):
        yield from _dates(place, node)
    elif isinstance(node, Period):
        for name, value in node.children():
            yield from _day(f"{place}.{name}", value)
    elif isinstance(node, CriteriaGroup):
        yield from _group(place, node)
    elif isinstance(node, Window):
        yield from _window(place, node)
    elif isinstance(node, Occurrence):
        yield from _occurrence(place, node)
    elif isinstance(node, (Criterion, DemographicCriteria)):
        yield from _different(place, node)


def _numbers(place: str, node: NumericRange) -> Iterator[Fault]:
    between = (node.op or "").endswith("bt")
    values = [node.value, node.extent] if between else [node.value]
    if between and node.extent is None:
        yield Fault("no extent", place)
        return
    name = place.rpartition(".")[2]
    if name in ("Age", "AgeAtStart", "AgeAtEnd") and any((value or 0) < 0 for value in values):
        yield Fault("negative age", place, (min(value or 0 for value in values),))
    if node.op == "bt" and (node.value or 0) > (node.extent or 0):
        yield Fault("no number", place, (node.value, node.extent))


def _dates(place: str, node: DateRange) -> Iterator[Fault]:
    between = (node.op or "").endswith("bt")
    if between and node.extent is None:
        yield Fault("no extent", place)
        return
    written = [text or "" for text in ([node.value, node.extent] if between else [node.value])]
    wrong = [fault for text in written for fault in _day(place, text)]
    yield from wrong
    if not wrong and node.op == "bt" and read_day(written[0], place) > read_day(written[-1], place):
        yield Fault("no day", place, tuple(written))


def _day(place: str, text: str) -> Iterator[Fault]:
    try:
        read_day(text, place)
    except StudyError:
        yield Fault("no date", place, (text[:40],))


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
        yield Fault("no type", place)
    elif node.type.startswith("AT_"):
        if node.count is None:
            yield Fault("no count", place, (node.type,))
        elif node.type == "AT_LEAST" and node.count > members:
            yield Fault("never holds", place, (node.count, members))
        elif node.count <= 0 if node.type == "AT_LEAST" else node.count >= members:
            yield Fault("always holds", place, (node.type, node.count, members))


def _window(place: str, node: Window) -> Iterator[Fault]:
    for name, bound in (("Start", node.start), ("End", node.end)):
        if bound.coeff not in (-1, 1):
            yield Fault("coeff", f"{place}.{name}", (bound.coeff,))
        if (bound.days or 0) < 0:
            yield Fault("days", f"{place}.{name}", (bound.days,))
    start, end = node.start, node.end
    if start.days is not None and end.days is not None:
        first, last = start.days * (start.coeff or 0), end.days * (end.coeff or 0)
        if first > last:
            yield Fault("starts late", place, (first, last))
    elif start.days is None and end.days is None and start.coeff == 1 and end.coeff == -1:
        yield Fault("starts at the end", place)


def _occurrence(place: str, node: Occurrence) -> Iterator[Fault]:
    if node.type not in (Occurrence.EXACTLY, Occurrence.AT_MOST, Occurrence.AT_LEAST):
        yield Fault("occurrence type", place, (node.type,))
    if (node.count or 0) < 0:
        yield Fault("occurrence count", place, (node.count,))
    elif node.type == Occurrence.AT_LEAST and not node.count:
        yield Fault("at least nought", place)


def _correlated(place: str, node: CorrelatedCriteria) -> Iterator[Fault]:
    end = node.start_window.end
    seldom = node.occurrence.type == Occurrence.AT_LEAST or (node.occurrence.count or 0) > 0
    if end.days is None and end.coeff == 1:
        yield Fault("future" if seldom else "empty future", place)


def _history(definition: CohortExpression, places: list[tuple[str, Node]]) -> Iterator[Fault]:
    """Windows that look further back than the observation window demands: who has less history, seems to have none."""
    prior = definition.primary_criteria.observation_window.prior_days or 0
    for place, node in places:
        if isinstance(node, CorrelatedCriteria) and not node.ignore_observation_period and "Rules" in place:
            start = node.start_window.start
            nothing = node.occurrence.type != Occurrence.AT_LEAST and not node.occurrence.count
            if nothing and start.coeff == -1 and start.days is not None and start.days > prior:
                yield Fault("short history", place, (start.days, prior))


def _different(place: str, node: Criterion | DemographicCriteria) -> Iterator[Fault]:
    """Where circe-be 1.12.1 does not do what the definition says, and Atoll does."""
    if isinstance(node, (LocationRegion,)) or getattr(node, "place_of_service_location", None) is not None:
        yield Fault("locations", place)
    if isinstance(node, CustomEra) and not node.criteria_list:
        yield Fault("era of nothing", place)
    for there, name, defect in _defects(node):
        if there:
            yield Fault("differs", place, (name, DEFECTS[defect]))


def _defects(node: Criterion | DemographicCriteria) -> Iterable[tuple[object, str, str]]:
    if isinstance(node, DrugExposure):
        yield node.occurrence_end_date, "OccurrenceEndDate", "start date"
    if isinstance(node, DemographicCriteria):
        yield node.race_cs, "RaceCS", "gender"
        yield node.ethnicity_cs, "EthnicityCS", "gender"
    if isinstance(node, DrugEra):
        yield node.gap_days, "GapDays", "era length"
    if isinstance(node, Measurement):
        yield node.abnormal and not node.value_as_concept, "Abnormal", "fails"
    if isinstance(node, CustomEra):
        yield node.gap_days, "GapDays", "overlap"
        yield node.correlated_criteria, "CorrelatedCriteria", "ignores them"
    if isinstance(node, VisitDetail):
        yield node.age, "Age", "end age"
    if isinstance(node, Specimen):
        yield node.date_adjustment, "DateAdjustment", "ignores it"
        yield node.specimen_source_concept, "SpecimenSourceConcept", "ignores it"
    if isinstance(node, Death):
        yield node.date_adjustment, "DateAdjustment", "ignores both"
