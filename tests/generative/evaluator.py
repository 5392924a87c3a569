"""What a Circe definition means, slowly and in plain Python: the reference that every engine must agree with.

Written from the description of the semantics (circe-be 1.12.1) and not from the compiler: it reads the JSON document
as it is and loops over rows. Where circe leaves an order open, it takes the order that Atoll promises: by date, then by
the id of the event, then by the place of the criterion, start, end and visit (missing last), observation period.
Where circe-be has a defect, it does what the document says.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Day = datetime.date
Json = dict[str, Any]
Rows = dict[str, list[Json]]
ONE_DAY = datetime.timedelta(days=1)
LAST = Day.max


def plus(day: Day | None, days: int) -> Day | None:
    return None if day is None else day + datetime.timedelta(days=days)


def parse(text: str) -> Day:
    return Day.fromisoformat(text)


@dataclass(frozen=True)
class Event:
    person: int
    id: int
    start: Day | None
    end: Day | None
    visit: int | None
    sort: Day | None
    counted: Any = None
    op: tuple[Day, Day] | None = None


@dataclass
class Kind:
    """Where one kind of criterion finds its rows."""

    table: str
    prefix: str  # of its concept column
    start: str
    end: str = ""  # "" = the next day
    id: str = ""
    filled: bool = False  # whether a missing end is the next day
    visit: bool = False
    concepts: dict[str, str] = field(default_factory=dict)
    integers: dict[str, str] = field(default_factory=dict)
    decimals: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    doubled: bool = True


KINDS = {
    "ConditionOccurrence": Kind(
        "condition_occurrence", "condition", "condition_start_date", "condition_end_date", filled=True, visit=True,
        concepts={"ConditionType": "condition_type_concept_id", "ConditionStatus": "condition_status_concept_id"},
        texts={"StopReason": "stop_reason"}),
    "DrugExposure": Kind(
        "drug_exposure", "drug", "drug_exposure_start_date", "drug_exposure_end_date", filled=True, visit=True,
        concepts={"DrugType": "drug_type_concept_id", "RouteConcept": "route_concept_id"},
        integers={"Refills": "refills", "DaysSupply": "days_supply"}, decimals={"Quantity": "quantity"},
        texts={"StopReason": "stop_reason", "LotNumber": "lot_number"}),
    "ProcedureOccurrence": Kind(
        "procedure_occurrence", "procedure", "procedure_date", visit=True,
        concepts={"ProcedureType": "procedure_type_concept_id", "Modifier": "modifier_concept_id"},
        integers={"Quantity": "quantity"}),
    "Measurement": Kind(
        "measurement", "measurement", "measurement_date", visit=True,
        concepts={"MeasurementType": "measurement_type_concept_id", "Operator": "operator_concept_id",
                  "ValueAsConcept": "value_as_concept_id", "Unit": "unit_concept_id"},
        decimals={"ValueAsNumber": "value_as_number", "RangeLow": "range_low", "RangeHigh": "range_high"}),
    "Observation": Kind(
        "observation", "observation", "observation_date", visit=True,
        concepts={"ObservationType": "observation_type_concept_id", "ValueAsConcept": "value_as_concept_id",
                  "Qualifier": "qualifier_concept_id", "Unit": "unit_concept_id"},
        decimals={"ValueAsNumber": "value_as_number"}, texts={"ValueAsString": "value_as_string"}),
    "DeviceExposure": Kind(
        "device_exposure", "device", "device_exposure_start_date", "device_exposure_end_date", filled=True, visit=True,
        concepts={"DeviceType": "device_type_concept_id"}, integers={"Quantity": "quantity"},
        texts={"UniqueDeviceId": "unique_device_id"}),
    "VisitOccurrence": Kind(
        "visit_occurrence", "visit", "visit_start_date", "visit_end_date", visit=True,
        concepts={"VisitType": "visit_type_concept_id"}),
    "VisitDetail": Kind(
        "visit_detail", "visit_detail", "visit_detail_start_date", "visit_detail_end_date", visit=True,
        concepts={"VisitDetailType": "visit_detail_type_concept_id"}),
    "Death": Kind("death", "cause", "death_date", id="person_id", concepts={"DeathType": "death_type_concept_id"}),
    "Specimen": Kind(
        "specimen", "specimen", "specimen_date", doubled=False,
        concepts={"SpecimenType": "specimen_type_concept_id", "Unit": "unit_concept_id",
                  "AnatomicSite": "anatomic_site_concept_id", "DiseaseStatus": "disease_status_concept_id"},
        decimals={"Quantity": "quantity"}, texts={"SourceId": "specimen_source_id"}),
    "ConditionEra": Kind(
        "condition_era", "condition", "condition_era_start_date", "condition_era_end_date", doubled=False,
        integers={"OccurrenceCount": "condition_occurrence_count"}),
    "DrugEra": Kind(
        "drug_era", "drug", "drug_era_start_date", "drug_era_end_date", doubled=False,
        integers={"OccurrenceCount": "drug_exposure_count", "GapDays": "gap_days"}),
    "DoseEra": Kind(
        "dose_era", "drug", "dose_era_start_date", "dose_era_end_date", doubled=False,
        concepts={"Unit": "unit_concept_id"}, decimals={"DoseValue": "dose_value"}),
    "ObservationPeriod": Kind(
        "observation_period", "period_type", "observation_period_start_date", "observation_period_end_date",
        concepts={"PeriodType": "period_type_concept_id"}),
    "PayerPlanPeriod": Kind(
        "payer_plan_period", "payer", "payer_plan_period_start_date", "payer_plan_period_end_date"),
}  # fmt: skip
START_DATES = ("OccurrenceStartDate", "EraStartDate", "PeriodStartDate", "VisitDetailStartDate", "StartDate")
END_DATES = ("OccurrenceEndDate", "EraEndDate", "PeriodEndDate", "VisitDetailEndDate", "EndDate")
LENGTHS = ("EraLength", "PeriodLength", "VisitLength", "VisitDetailLength", "Duration")


class Evaluator:
    """One CDM; `cohort` gives the rows of a definition, sorted."""

    def __init__(self, rows: Rows):
        self.rows = rows
        self.persons = {row["person_id"]: row for row in rows.get("person", [])}
        self.periods: dict[int, list[tuple[Day, Day]]] = {}
        for row in rows.get("observation_period", []):
            period = row["observation_period_start_date"], row["observation_period_end_date"]
            self.periods.setdefault(row["person_id"], []).append(period)
        self.sets: dict[int, list[int]] = {}

    def cohort(self, document: Json) -> list[tuple[int, Day, Day]]:
        self.sets = {}
        for entry in document["ConceptSets"]:
            self.sets.setdefault(entry["id"], []).extend(sorted(self.concept_set(entry["expression"]["items"])))
        events = self.primary(document["PrimaryCriteria"])
        if document.get("AdditionalCriteria") is not None:
            events = [event for event in events if self.holds(document["AdditionalCriteria"], [event])]
            events = cut(events, document.get("QualifiedLimit"))
        rules = document.get("InclusionRules") or []
        events = [event for event in events if all(self.holds(rule["expression"], [event]) for rule in rules)]
        events = cut(events, document.get("ExpressionLimit"))
        ended = [(event, end) for event in events if (end := self.end_of(event, document)) is not None]
        pad = (document.get("CollapseSettings") or {}).get("EraPad", 0)
        out = []
        for person in sorted({event.person for event, _ in ended}):
            spells = [(event.start, plus(end, pad)) for event, end in ended if event.person == person]
            out += [(person, start, plus(end, -pad)) for start, end in merge(spells)]
        return sorted(censored(out, document.get("CensorWindow") or {}))

    # -- concept sets

    def concept_set(self, items: list[Json]) -> set[int]:
        included: set[int] = set()
        excluded: set[int] = set()
        for item in items:
            (excluded if item.get("isExcluded") else included).update(self.of_item(item))
        return included - excluded

    def of_item(self, item: Json) -> set[int]:
        valid = {row["concept_id"]: row.get("invalid_reason") is None for row in self.rows.get("concept", [])}
        concept = item["concept"]["CONCEPT_ID"]
        found = {concept} & set(valid)
        if item.get("includeDescendants"):
            found |= {
                row["descendant_concept_id"]
                for row in self.rows.get("concept_ancestor", [])
                if row["ancestor_concept_id"] == concept and valid.get(row["descendant_concept_id"])
            }
        if item.get("includeMapped"):
            found |= {
                row["concept_id_1"]
                for row in self.rows.get("concept_relationship", [])
                if row["relationship_id"] == "Maps to" and row.get("invalid_reason") is None
                and row["concept_id_2"] in found
            }  # fmt: skip
        return found

    # -- events

    def primary(self, primary: Json) -> list[Event]:
        window = primary["ObservationWindow"]
        found: list[tuple[tuple[Any, ...], Event]] = []
        for place, wrapped in enumerate(primary["CriteriaList"]):
            for event in self.criterion(wrapped):
                for op in self.around(event):
                    early = plus(op[0], window.get("PriorDays") or 0)
                    late = plus(event.start, window.get("PostDays") or 0)
                    if early <= event.start and late <= op[1]:
                        rest = (event.id, place, event.start, event.end or LAST, missing_last(event.visit), op)
                        found.append((rest, replace(event, op=op)))
        kind = limit(primary.get("PrimaryCriteriaLimit"))
        events: list[Event] = []
        for person in {event.person for _, event in found}:
            mine = sorted((pair for pair in found if pair[1].person == person), key=lambda pair: pair[0])
            mine.sort(key=lambda pair: pair[1].sort, reverse=kind == "LAST")
            numbered = [replace(event, id=number) for number, (_, event) in enumerate(mine, 1)]
            events += numbered if kind == "ALL" else numbered[:1]
        return events

    def around(self, event: Event) -> list[tuple[Day, Day]]:
        return [op for op in self.periods.get(event.person, []) if event.start and op[0] <= event.start <= op[1]]

    def criterion(self, wrapped: Json, counted: str | None = None) -> list[Event]:
        ((name, body),) = wrapped.items()
        rows = list(self.eras(body)) if name == "CustomEra" else list(self.rows_of(name, body))
        if body.get("First"):
            rows = [min(mine, key=lambda row: (row["_start"], row["_id"])) for mine in by_person(rows).values()]
        events = [event for row in rows for event in self.as_event(name, body, dict(row), counted)]
        group = body.get("CorrelatedCriteria")
        if group is not None and not empty(group):
            events = self.filtered(events, group)
        return events

    def rows_of(self, name: str, body: Json) -> Iterator[Json]:
        kind = KINDS[name]
        for row in self.rows.get(kind.table, []):
            times = 1
            if body.get("CodesetId") is not None:
                inside = self.sets.get(body["CodesetId"], []).count(row.get(f"{kind.prefix}_concept_id"))
                times *= inside if kind.doubled else min(inside, 1)
            for key, value in body.items():
                if key.endswith("SourceConcept") and name != "PayerPlanPeriod" and value is not None:
                    inside = self.sets.get(value, []).count(row.get(f"{kind.prefix}_source_concept_id"))
                    times *= inside if kind.doubled else min(inside, 1)
            start = row[kind.start]
            if not kind.end:
                end = plus(start, 1)
            else:
                end = row.get(kind.end)
                if end is None and name == "DrugExposure" and row.get("days_supply") is not None:
                    end = plus(start, row["days_supply"])
                if end is None and kind.filled:
                    end = plus(start, 1)
            found = {**row, "_start": start, "_end": end, "_id": row[kind.id or f"{kind.table}_id"],
                     "_visit": row.get("visit_occurrence_id") if kind.visit else None}  # fmt: skip
            yield from [found] * times

    def eras(self, body: Json) -> Iterator[Json]:
        gap = body.get("GapDays") or 0
        events = [event for one in body["CriteriaList"] for event in self.criterion(one) if event.end is not None]
        number = 0
        for person in sorted({event.person for event in events}):
            spells = [(event.start, plus(event.end, gap)) for event in events if event.person == person]
            for start, end in merge(spells):
                number += 1
                yield {"person_id": person, "_start": start, "_end": plus(end, -gap), "_id": number, "_visit": None}

    def as_event(self, name: str, body: Json, row: Json, counted: str | None) -> Iterator[Event]:
        adjust = body.get("DateAdjustment")
        if adjust is not None:
            bases = {"START_DATE": row["_start"], "END_DATE": row["_end"]}
            row["_start"] = plus(bases[adjust.get("StartWith") or "START_DATE"], adjust.get("StartOffset") or 0)
            row["_end"] = plus(bases[adjust.get("EndWith") or "END_DATE"], adjust.get("EndOffset") or 0)
            if row["_start"] is None or row["_end"] is None or row["_end"] < row["_start"]:
                return
        if not all(self.fits(name, body, key, value, row) for key, value in body.items() if value is not None):
            return
        start, end = row["_start"], row["_end"]
        period = body.get("UserDefinedPeriod") or {}
        event_start = parse(period["StartDate"]) if period.get("StartDate") else start
        event_end = parse(period["EndDate"]) if period.get("EndDate") else end
        value = self.counted(name, counted, row, event_start, event_end) if counted else None
        yield Event(row["person_id"], row["_id"], event_start, event_end, row["_visit"], start, value)

    def counted(self, name: str, column: str, row: Json, start: Day, end: Day | None) -> Any:
        kind = KINDS[name]
        if column == "DOMAIN_CONCEPT":
            concept = row.get(f"{kind.prefix}_concept_id")
            return (concept or 0) if name == "Death" else concept
        if column == "DURATION":
            return 1 if not kind.end else None if end is None else (end - start).days
        return {"START_DATE": start, "END_DATE": end, "VISIT_ID": row["_visit"]}[column]

    # -- attributes

    def fits(self, name: str, body: Json, key: str, value: Any, row: Json) -> bool:
        kind = KINDS.get(name) or Kind("", "", "")
        start, end = row["_start"], row["_end"]
        person = self.persons.get(row["person_id"])
        if key in START_DATES:
            return in_dates(start, value)
        if key in END_DATES:
            return in_dates(end, value)
        if key in LENGTHS:
            return in_numbers(None if end is None else (end - start).days, value, int)
        if key in ("Age", "AgeAtStart", "AgeAtEnd"):
            day = end if key == "AgeAtEnd" else start
            born = person.get("year_of_birth") if person else None
            return in_numbers(None if born is None or day is None else day.year - born, value, int)
        if key in ("Gender", "GenderCS"):
            return (value == [] or person is not None) and self.chosen(person, "gender_concept_id", value)
        if key in ("VisitType", "VisitTypeCS") and name != "VisitOccurrence":
            visits = [
                visit for visit in self.rows.get("visit_occurrence", [])
                if visit["visit_occurrence_id"] == row["_visit"] and visit["person_id"] == row["person_id"]
            ]  # fmt: skip
            return value == [] or any(self.chosen(visit, "visit_concept_id", value) for visit in visits)
        if key in ("ProviderSpecialty", "ProviderSpecialtyCS"):
            provider = self.found("provider", row.get("provider_id")) or {}
            return self.chosen(provider, "specialty_concept_id", value)
        if key in ("PlaceOfService", "PlaceOfServiceCS"):
            site = self.found("care_site", row.get("care_site_id"))
            return value == [] or (site is not None and self.chosen(site, "place_of_service_concept_id", value))
        if key == "UserDefinedPeriod":
            return all(start <= parse(text) <= (end or Day.min) for text in value.values() if text)
        if key in ("RangeLowRatio", "RangeHighRatio"):
            bound = row.get("range_low" if key == "RangeLowRatio" else "range_high")
            number = row.get("value_as_number")
            return in_numbers(number / bound if number is not None and bound else None, value, Decimal)
        if key == "Abnormal":
            return not value or abnormal(row)
        if key in kind.integers:
            return in_numbers(row.get(kind.integers[key]), value, int)
        if key in kind.decimals:
            return in_numbers(row.get(kind.decimals[key]), value, Decimal)
        if key in kind.texts:
            return in_text(row.get(kind.texts[key]), value)
        if key.removesuffix("CS") in kind.concepts:
            column = kind.concepts[key.removesuffix("CS")]
            return self.chosen(row, column, value, exclude=bool(body.get(f"{key}Exclude")))
        if name == "PayerPlanPeriod" and key.endswith("Concept"):
            column = re.sub(r"(?<!^)([A-Z])", r"_\1", key).lower() + "_id"
            return row.get(column) in self.sets.get(value, [])
        return True

    def found(self, table: str, number: int | None) -> Json | None:
        return next((row for row in self.rows.get(table, []) if row[f"{table}_id"] == number), None)

    def chosen(self, row: Json | None, column: str, value: Any, *, exclude: bool = False) -> bool:
        concept = (row or {}).get(column)
        if isinstance(value, list):
            if not value:
                return True
            inside = concept in [entry["CONCEPT_ID"] for entry in value]
            return concept is not None and inside != exclude
        without = bool(value.get("IsExclusion"))
        if value.get("CodesetId") is None:
            return (concept is None) == without
        members = self.sets.get(value["CodesetId"], [])
        if without and not members:
            return True  # NOT IN nothing
        return concept is not None and (concept in members) != without

    # -- groups

    def filtered(self, events: list[Event], group: Json) -> list[Event]:
        index: dict[tuple[int, int], list[Event]] = {}
        for event in events:
            for op in self.around(event):
                index.setdefault((event.person, event.id), []).append(replace(event, op=op))
        passed = {key for key, rows in index.items() if self.holds(group, rows)}
        return [event for event in events if (event.person, event.id) in passed]

    def holds(self, group: Json, index: list[Event]) -> bool:
        """Whether a group holds for the index rows of one event (several where observation periods overlap)."""
        if empty(group):
            return True
        members = [self.correlated(member, index) for member in group.get("CriteriaList") or []]
        members += [
            any(self.demographic(member, event) for event in index)
            for member in group.get("DemographicCriteriaList") or []
        ]
        members += [self.holds(member, index) for member in group.get("Groups") or []]
        true, kind = sum(members), group["Type"]
        if kind == "ALL":
            return true == len(members)
        if kind == "ANY":
            return true > 0
        return true >= group["Count"] if kind == "AT_LEAST" else true <= group["Count"]

    def correlated(self, member: Json, index: list[Event]) -> bool:
        often = member["Occurrence"]
        distinct = (often.get("CountColumn") or "DOMAIN_CONCEPT") if often.get("IsDistinct") else None
        matches = [
            event
            for event in self.criterion(member["Criteria"], distinct)
            for row in index
            if event.person == row.person and within(member, event, row)
        ]
        number = len({e.counted for e in matches if e.counted is not None}) if distinct else len(matches)
        kind, wanted = often["Type"], often["Count"]
        return number == wanted if kind == 0 else number <= wanted if kind == 1 else number >= wanted

    def demographic(self, member: Json, event: Event) -> bool:
        person = self.persons.get(event.person)
        if person is None:
            return False
        born = person.get("year_of_birth")
        checks = []
        for key, value in member.items():
            if value is None:
                continue
            if key == "Age":
                checks.append(in_numbers(None if born is None else event.start.year - born, value, int))
            elif key == "OccurrenceStartDate":
                checks.append(in_dates(event.start, value))
            elif key == "OccurrenceEndDate":
                checks.append(in_dates(event.end, value))
            else:
                column = f"{key.removesuffix('CS').lower()}_concept_id"
                checks.append(self.chosen(person, column, value))
        return all(checks)

    # -- exits

    def end_of(self, event: Event, document: Json) -> Day | None:
        assert event.op is not None
        strategy = document.get("EndStrategy") or {}
        candidates: list[Day | None] = []
        if "DateOffset" in strategy:
            given = strategy["DateOffset"]
            base = event.end if given.get("DateField") == "EndDate" else event.start
            offset = plus(base, given.get("Offset") or 0)
            candidates.append(None if offset is None else min(offset, event.op[1]))
        else:
            candidates.append(event.op[1])
        if "CustomEra" in strategy:
            candidates += self.era_ends(event, strategy["CustomEra"])
        for censor in document.get("CensoringCriteria") or []:
            days = [e.start for e in self.criterion(censor) if e.person == event.person]
            candidates += sorted(day for day in days if event.start <= day <= event.op[1])[:1]
        good = [day for day in candidates if day is not None and day >= event.start]
        return min(good, default=None)

    def era_ends(self, event: Event, given: Json) -> Iterator[Day]:
        codes = self.sets.get(given["DrugCodesetId"], [])
        gap, offset, override = given.get("GapDays") or 0, given.get("Offset") or 0, given.get("DaysSupplyOverride")
        spells = []
        for row in self.rows.get("drug_exposure", []):
            if row["person_id"] != event.person:
                continue
            if row.get("drug_concept_id") not in codes and row.get("drug_source_concept_id") not in codes:
                continue
            start = row["drug_exposure_start_date"]
            end = row.get("drug_exposure_end_date")
            if override is not None:
                end = plus(start, override)
            elif end is None:
                end = plus(start, row["days_supply"] if row.get("days_supply") is not None else 1)
            spells.append((start, plus(end, gap + offset)))
        for start, end in merge(spells):
            if start <= event.start <= plus(end, -gap):
                yield plus(end, -gap)


def empty(group: Json) -> bool:
    return not (group.get("CriteriaList") or group.get("DemographicCriteriaList") or group.get("Groups"))


def limit(given: Json | None) -> str:
    kind = ((given or {}).get("Type") or "First").upper()
    return kind if kind in ("ALL", "LAST") else "FIRST"


def cut(events: list[Event], given: Json | None) -> list[Event]:
    kind = limit(given)
    if kind == "ALL":
        return events
    out = []
    for person in {event.person for event in events}:
        mine = sorted((event for event in events if event.person == person), key=lambda event: event.id)
        mine.sort(key=lambda event: event.start, reverse=kind == "LAST")
        out.append(mine[0])
    return out


def by_person(rows: list[Json]) -> dict[int, list[Json]]:
    out: dict[int, list[Json]] = {}
    for row in rows:
        out.setdefault(row["person_id"], []).append(row)
    return out


def missing_last(value: int | None) -> float:
    return math.inf if value is None else value


def within(member: Json, event: Event, index: Event) -> bool:
    inside = not member.get("IgnoreObservationPeriod")
    assert index.op is not None
    if event.start is None or (inside and not index.op[0] <= event.start <= index.op[1]):
        return False
    if not in_window(member["StartWindow"], event, index, inside, end=False):
        return False
    window = member.get("EndWindow")
    if window is not None and not in_window(window, event, index, inside, end=True):
        return False
    return not member.get("RestrictVisit") or (event.visit is not None and event.visit == index.visit)


def in_window(window: Json, event: Event, index: Event, inside: bool, *, end: bool) -> bool:
    use_end = window.get("UseEventEnd")
    day = event.end if (end if use_end is None else use_end) else event.start
    origin = index.end if window.get("UseIndexEnd") else index.start
    for name, sign in (("Start", 1), ("End", -1)):
        bound = window[name]
        if bound.get("Days") is not None:
            at = plus(origin, bound["Days"] * bound["Coeff"])
        elif inside:
            at = index.op[0] if bound["Coeff"] == -1 else index.op[1]
        else:
            continue
        if day is None or at is None or (day - at).days * sign < 0:
            return False
    return True


def in_numbers(number: Any, given: Json, convert: Any) -> bool:
    def shown(value: float) -> Any:
        if convert is int:
            return int(value)
        return float(Decimal(repr(value)).quantize(Decimal("0.0001"), ROUND_HALF_UP))

    return compare(number, given, shown)


def in_dates(day: Day | None, given: Json) -> bool:
    return compare(day, given, parse)


def compare(value: Any, given: Json, shown: Any) -> bool:
    if value is None:
        return False
    operator, first = given["Op"], shown(given["Value"])
    if operator.endswith("bt"):
        return (first <= value <= shown(given["Extent"])) != operator.startswith("!")
    return {
        "lt": value < first, "lte": value <= first, "eq": value == first,
        "!eq": value != first, "gt": value > first, "gte": value >= first,
    }[operator]  # fmt: skip


def in_text(text: str | None, given: Json) -> bool:
    if text is None:
        return False
    operator, pattern = given["Op"].lstrip("!"), given.get("Text") or ""
    pattern = {"contains": f"%{pattern}%", "startsWith": f"{pattern}%", "endsWith": f"%{pattern}"}[operator]
    form = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return bool(re.fullmatch(form, text, re.DOTALL)) != given["Op"].startswith("!")


def abnormal(row: Json) -> bool:
    number, low, high = row.get("value_as_number"), row.get("range_low"), row.get("range_high")
    if number is not None and ((low is not None and number < low) or (high is not None and number > high)):
        return True
    return row.get("value_as_concept_id") in (4155142, 4155143)


def merge(spells: list[tuple[Day, Day]]) -> list[tuple[Day, Day]]:
    out: list[tuple[Day, Day]] = []
    for start, end in sorted(spells):
        if out and out[-1][1] >= start:
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((start, end))
    return out


def censored(rows: list[tuple[int, Day, Day]], window: Json) -> Iterator[tuple[int, Day, Day]]:
    first = parse(window["StartDate"]) if window.get("StartDate") else None
    last = parse(window["EndDate"]) if window.get("EndDate") else None
    for person, start, end in rows:
        start, end = max(start, first or start), min(end, last or end)
        if start <= end or not (first or last):
            yield person, start, end
