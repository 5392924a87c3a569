"""Definitions and data made at random, small enough that everything meets: few persons, days, concepts and values.

Everything is drawn from a `random.Random`, which Hypothesis can also stand behind (`st.randoms()`), so that a failing
case is made smaller by it.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

Json = dict[str, Any]
FIRST = datetime.date(2020, 1, 1)
DAYS = 40
PERSONS = 4
CONCEPTS = [1, 2, 3, 4]
SOURCES = [101, 102, 103]
VALUES = [0, 10, 20, 4155142]
TEXTS = ["", "a", "ab", "b%", "A_b", "a'b\\c", "女"]
WHOLE = [0, 1, 2, 3, 5]
HALVES = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0]


def chance(r: random.Random, share: float) -> bool:
    return r.random() < share


def maybe(r: random.Random, values: list[Any], missing: float = 0.2) -> Any:
    return None if chance(r, missing) else r.choice(values)


def day(r: random.Random, first: int = -2, last: int = DAYS + 2) -> datetime.date:
    return FIRST + datetime.timedelta(days=r.randint(first, last))


def after(r: random.Random, start: datetime.date, missing: float = 0.25) -> datetime.date | None:
    return None if chance(r, missing) else start + datetime.timedelta(days=r.choice([-1, 0, 0, 1, 2, 5, 10, 30]))


# -- data


def data(r: random.Random) -> dict[str, list[Json]]:
    """A CDM: vocabulary, persons, periods and events."""
    rows: dict[str, list[Json]] = {"concept": [], "concept_ancestor": [], "concept_relationship": []}
    for concept in [*CONCEPTS, *SOURCES, *VALUES]:
        if not chance(r, 0.05):
            rows["concept"].append({"concept_id": concept, "invalid_reason": "D" if chance(r, 0.1) else None})
    for ancestor in CONCEPTS:
        for descendant in CONCEPTS:
            if ancestor == descendant or (ancestor < descendant and chance(r, 0.25)):
                rows["concept_ancestor"].append({"ancestor_concept_id": ancestor, "descendant_concept_id": descendant})
    for source in SOURCES:
        rows["concept_relationship"].append({
            "concept_id_1": source, "concept_id_2": r.choice(CONCEPTS),
            "relationship_id": "Maps to" if chance(r, 0.8) else "Is a", "invalid_reason": maybe(r, ["D"], 0.8),
        })  # fmt: skip
    rows["provider"] = [{"provider_id": n, "specialty_concept_id": maybe(r, CONCEPTS)} for n in (1, 2)]
    rows["care_site"] = [{"care_site_id": n, "place_of_service_concept_id": maybe(r, CONCEPTS)} for n in (1, 2)]
    rows["person"] = [
        {"person_id": n, "year_of_birth": r.choice([1959, 1960, 2000]), "gender_concept_id": maybe(r, [1, 2]),
         "race_concept_id": maybe(r, [1, 2]), "ethnicity_concept_id": maybe(r, [1, 2])}
        for n in range(1, PERSONS + 1) if not chance(r, 0.05)
    ]  # fmt: skip
    rows["observation_period"] = periods(r)
    for table, make in EVENTS.items():
        count = r.choice([0, 8, 12, 14, 14])
        numbers = r.sample(range(1, 16), count)  # few, so that visits meet and ids of tables collide
        rows[table] = [make(r, number, r.randint(1, PERSONS)) for number in numbers]
    return rows


def periods(r: random.Random) -> list[Json]:
    out = []
    number = r.randint(1, 50)
    overlaps = chance(r, 0.1)
    for person in range(1, PERSONS + 1):
        spans = r.choice(
            [[], [(0, DAYS)], [(0, DAYS)], [(0, DAYS)], [(5, 30)], [(0, 15), (17, DAYS)], [(0, 20), (21, 35)]]
        )
        if overlaps and chance(r, 0.3):
            spans = [(0, 30), (12, DAYS)]
        for first, last in spans:
            number += 1
            out.append({
                "observation_period_id": number, "person_id": person, "period_type_concept_id": maybe(r, CONCEPTS),
                "observation_period_start_date": FIRST + datetime.timedelta(days=first),
                "observation_period_end_date": FIRST + datetime.timedelta(days=last),
            })  # fmt: skip
    return out


def _common(r: random.Random, prefix: str, person: int) -> Json:
    return {
        "person_id": person, f"{prefix}_concept_id": r.choice(CONCEPTS),
        f"{prefix}_source_concept_id": maybe(r, SOURCES), "visit_occurrence_id": maybe(r, [1, 2, 3]),
        "provider_id": maybe(r, [1, 2]),
    }  # fmt: skip


def condition(r: random.Random, number: int, person: int) -> Json:
    start = day(r)
    return _common(r, "condition", person) | {
        "condition_occurrence_id": number, "condition_start_date": start, "condition_end_date": after(r, start),
        "condition_type_concept_id": maybe(r, VALUES), "condition_status_concept_id": maybe(r, VALUES),
        "stop_reason": maybe(r, TEXTS),
    }  # fmt: skip


def drug(r: random.Random, number: int, person: int) -> Json:
    start = day(r)
    return _common(r, "drug", person) | {
        "drug_exposure_id": number, "drug_exposure_start_date": start, "drug_exposure_end_date": after(r, start, 0.5),
        "drug_type_concept_id": maybe(r, VALUES), "stop_reason": maybe(r, TEXTS), "refills": maybe(r, WHOLE),
        "quantity": maybe(r, HALVES), "days_supply": maybe(r, [0, 1, 5, 30]), "route_concept_id": maybe(r, VALUES),
        "lot_number": maybe(r, TEXTS),
    }  # fmt: skip


def procedure(r: random.Random, number: int, person: int) -> Json:
    return _common(r, "procedure", person) | {
        "procedure_occurrence_id": number, "procedure_date": day(r), "procedure_type_concept_id": maybe(r, VALUES),
        "modifier_concept_id": maybe(r, VALUES), "quantity": maybe(r, WHOLE),
    }  # fmt: skip


def measurement(r: random.Random, number: int, person: int) -> Json:
    return _common(r, "measurement", person) | {
        "measurement_id": number, "measurement_date": day(r), "measurement_type_concept_id": maybe(r, VALUES),
        "operator_concept_id": maybe(r, VALUES), "value_as_number": maybe(r, HALVES),
        "value_as_concept_id": maybe(r, VALUES), "unit_concept_id": maybe(r, VALUES), "range_low": maybe(r, HALVES),
        "range_high": maybe(r, HALVES),
    }  # fmt: skip


def observation(r: random.Random, number: int, person: int) -> Json:
    return _common(r, "observation", person) | {
        "observation_id": number, "observation_date": day(r), "observation_type_concept_id": maybe(r, VALUES),
        "value_as_number": maybe(r, HALVES), "value_as_string": maybe(r, TEXTS),
        "value_as_concept_id": maybe(r, VALUES), "qualifier_concept_id": maybe(r, VALUES),
        "unit_concept_id": maybe(r, VALUES),
    }  # fmt: skip


def device(r: random.Random, number: int, person: int) -> Json:
    start = day(r)
    return _common(r, "device", person) | {
        "device_exposure_id": number, "device_exposure_start_date": start, "device_exposure_end_date": after(r, start),
        "device_type_concept_id": maybe(r, VALUES), "unique_device_id": maybe(r, TEXTS), "quantity": maybe(r, WHOLE),
    }  # fmt: skip


def visit(r: random.Random, number: int, person: int) -> Json:
    start = day(r)
    return {
        "visit_occurrence_id": number, "person_id": person,
        "visit_concept_id": r.choice(CONCEPTS), "visit_start_date": start, "visit_end_date": after(r, start, 0.1),
        "visit_type_concept_id": maybe(r, VALUES), "provider_id": maybe(r, [1, 2]), "care_site_id": maybe(r, [1, 2]),
        "visit_source_concept_id": maybe(r, SOURCES),
    }  # fmt: skip


def visit_detail(r: random.Random, number: int, person: int) -> Json:
    start = day(r)
    return _common(r, "visit_detail", person) | {
        "visit_detail_id": number, "visit_detail_start_date": start, "visit_detail_end_date": after(r, start, 0.1),
        "visit_detail_type_concept_id": maybe(r, VALUES), "care_site_id": maybe(r, [1, 2]),
    }  # fmt: skip


def death(r: random.Random, number: int, person: int) -> Json:
    return {"person_id": person, "death_date": day(r), "death_type_concept_id": maybe(r, VALUES),
            "cause_concept_id": maybe(r, CONCEPTS), "cause_source_concept_id": maybe(r, SOURCES)}  # fmt: skip


def specimen(r: random.Random, number: int, person: int) -> Json:
    return {
        "specimen_id": number, "person_id": person, "specimen_concept_id": r.choice(CONCEPTS), "specimen_date": day(r),
        "specimen_type_concept_id": maybe(r, VALUES), "quantity": maybe(r, HALVES), "unit_concept_id": maybe(r, VALUES),
        "anatomic_site_concept_id": maybe(r, VALUES), "disease_status_concept_id": maybe(r, VALUES),
        "specimen_source_id": maybe(r, TEXTS),
    }  # fmt: skip


def era(table: str, prefix: str, **more: list[Any]) -> Any:
    def make(r: random.Random, number: int, person: int) -> Json:
        start = day(r)
        return {
            f"{table}_id": number, "person_id": person, f"{prefix}_concept_id": r.choice(CONCEPTS),
            f"{table}_start_date": start, f"{table}_end_date": after(r, start, 0),
            **{name: maybe(r, values) for name, values in more.items()},
        }  # fmt: skip

    return make


EVENTS = {
    "condition_occurrence": condition,
    "drug_exposure": drug,
    "procedure_occurrence": procedure,
    "measurement": measurement,
    "observation": observation,
    "device_exposure": device,
    "visit_occurrence": visit,
    "visit_detail": visit_detail,
    "death": death,
    "specimen": specimen,
    "condition_era": era("condition_era", "condition", condition_occurrence_count=WHOLE),
    "drug_era": era("drug_era", "drug", drug_exposure_count=WHOLE, gap_days=WHOLE),
    "dose_era": era("dose_era", "drug", unit_concept_id=VALUES, dose_value=HALVES),
    "payer_plan_period": era("payer_plan_period", "payer", plan_concept_id=CONCEPTS),
}

# -- definitions

NUMBERS = ("lt", "lte", "eq", "!eq", "gt", "gte", "bt", "!bt")
# kind → attributes: c concepts (with Exclude: ce), n whole number, d decimal, t text, s concept set
ATTRIBUTES: dict[str, dict[str, str]] = {
    "ConditionOccurrence": {"ConditionType": "ce", "ConditionStatus": "c", "StopReason": "t"},
    "DrugExposure": {"DrugType": "ce", "RouteConcept": "c", "StopReason": "t", "LotNumber": "t", "Refills": "n",
                     "DaysSupply": "n", "Quantity": "d"},
    "ProcedureOccurrence": {"ProcedureType": "ce", "Modifier": "c", "Quantity": "n"},
    "Measurement": {"MeasurementType": "ce", "Operator": "c", "ValueAsConcept": "c", "Unit": "c", "ValueAsNumber": "d",
                    "RangeLow": "d", "RangeHigh": "d", "RangeLowRatio": "d", "RangeHighRatio": "d", "Abnormal": "b"},
    "Observation": {"ObservationType": "ce", "ValueAsConcept": "c", "Qualifier": "c", "Unit": "c", "ValueAsNumber": "d",
                    "ValueAsString": "t"},
    "DeviceExposure": {"DeviceType": "ce", "UniqueDeviceId": "t", "Quantity": "n"},
    "VisitOccurrence": {"VisitType": "ce", "VisitLength": "n", "PlaceOfService": "c"},
    "VisitDetail": {"VisitDetailTypeCS": "s", "VisitDetailLength": "n", "PlaceOfServiceCS": "s"},
    "Death": {"DeathType": "ce"},
    "Specimen": {"SpecimenType": "ce", "Unit": "c", "AnatomicSite": "c", "DiseaseStatus": "c", "Quantity": "d",
                 "SourceId": "t"},
    "ConditionEra": {"OccurrenceCount": "n", "EraLength": "n"},
    "DrugEra": {"OccurrenceCount": "n", "EraLength": "n", "GapDays": "n"},
    "DoseEra": {"EraLength": "n", "Unit": "c", "DoseValue": "d"},
    "ObservationPeriod": {"PeriodType": "c", "PeriodLength": "n"},
    "PayerPlanPeriod": {"PeriodLength": "n", "PlanConcept": "i"},
    "CustomEra": {"Duration": "n"},
}  # fmt: skip
ERAS = ("ConditionEra", "DrugEra", "DoseEra")
PERIODS = ("ObservationPeriod", "PayerPlanPeriod")
SOURCED = {
    "ConditionOccurrence": "ConditionSourceConcept", "DrugExposure": "DrugSourceConcept",
    "ProcedureOccurrence": "ProcedureSourceConcept", "Measurement": "MeasurementSourceConcept",
    "Observation": "ObservationSourceConcept", "DeviceExposure": "DeviceSourceConcept",
    "VisitOccurrence": "VisitSourceConcept", "VisitDetail": "VisitDetailSourceConcept", "Death": "DeathSourceConcept",
}  # fmt: skip
COMMON = ["ConditionOccurrence", "DrugExposure", "VisitOccurrence", "Measurement"]


def number_range(r: random.Random, values: list[Any]) -> Json:
    operator = r.choice(NUMBERS)
    out = {"Value": r.choice(values), "Op": operator}
    return out | ({"Extent": r.choice(values)} if operator.endswith("bt") else {})


def date_range(r: random.Random) -> Json:
    operator = r.choice(NUMBERS)
    out = {"Value": day(r).isoformat(), "Op": operator}
    return out | ({"Extent": day(r).isoformat()} if operator.endswith("bt") else {})


def concepts(r: random.Random, values: list[int]) -> list[Json]:
    return [{"CONCEPT_ID": value} for value in r.sample(values, r.randint(0, 2))]


def selection(r: random.Random) -> Json:
    return {"CodesetId": maybe(r, [0, 1, 2, 3]), "IsExclusion": chance(r, 0.4)}


def attribute(r: random.Random, how: str) -> Any:
    if how in ("c", "ce"):
        return concepts(r, VALUES)
    if how == "n":
        return number_range(r, [0, 1, 2, 5, 10.9])
    if how == "d":
        return number_range(r, HALVES)
    if how == "t":
        operator = r.choice(["contains", "!contains", "startsWith", "!startsWith", "endsWith", "!endsWith"])
        return {"Text": r.choice(TEXTS), "Op": operator}
    if how == "s":
        return selection(r)
    return r.choice([0, 1, 2, 3]) if how == "i" else chance(r, 0.7)


def criterion(r: random.Random, depth: int) -> Json:
    name = r.choice(COMMON) if chance(r, 0.5) else r.choice(list(ATTRIBUTES))
    if name == "CustomEra" and depth > 1:
        name = "DrugEra"
    body: Json = {}
    if name not in (*PERIODS, "CustomEra") and not chance(r, 0.1):
        body["CodesetId"] = r.choice([0, 0, 0, 0, 1, 2] if depth == 0 else [0, 0, 1, 1, 2, 3])
    if name in SOURCED and chance(r, 0.03 if depth == 0 else 0.1):
        body[SOURCED[name]] = r.choice([0, 1, 2, 3])
    if name != "Death" and chance(r, 0.2):
        body["First"] = chance(r, 0.8)
    if chance(r, 0.1):
        body["DateAdjustment"] = {
            "StartWith": r.choice(["START_DATE", "END_DATE"]), "StartOffset": r.randint(-3, 3),
            "EndWith": r.choice(["START_DATE", "END_DATE"]), "EndOffset": r.randint(-3, 3),
        }  # fmt: skip
    if chance(r, 0.15 if depth == 0 else 0.25):
        key, how = r.choice(list(ATTRIBUTES[name].items()))
        body[key] = attribute(r, how)
        if how == "ce" and chance(r, 0.5):
            body[f"{key}Exclude"] = chance(r, 0.7)
        if how in ("c", "ce") and chance(r, 0.2):
            body[f"{key}CS"] = selection(r)
    if chance(r, 0.1 if depth == 0 else 0.2):
        body |= of_person_or_place(r, name)
    if name == "CustomEra":
        body["CriteriaList"] = [criterion(r, depth + 1) for _ in range(r.randint(1, 2))]
        body["GapDays"] = r.choice([0, 1, 10])
    if depth < 2 and chance(r, 0.1):
        body["CorrelatedCriteria"] = group(r, depth + 1)
    return {name: body}


def of_person_or_place(r: random.Random, name: str) -> Json:
    ages = number_range(r, [0, 19, 20, 60, 61])
    if name in PERIODS:
        options: list[Json] = [{"AgeAtStart": ages}, {"AgeAtEnd": ages}, {"PeriodStartDate": date_range(r)}]
        options.append({"PeriodEndDate": date_range(r)})
        options.append({"UserDefinedPeriod": {"StartDate": maybe(r, [day(r, 0, 30).isoformat()]),
                                              "EndDate": maybe(r, [day(r, 31, DAYS).isoformat()])}})  # fmt: skip
        return r.choice(options)
    if name in ERAS:
        return r.choice([
            {"AgeAtStart": ages}, {"AgeAtEnd": ages}, {"EraStartDate": date_range(r)}, {"EraEndDate": date_range(r)},
            {"Gender": concepts(r, [1, 2])}, {"GenderCS": selection(r)},
        ])  # fmt: skip
    if name == "CustomEra":
        return r.choice([{"AgeAtStart": ages}, {"StartDate": date_range(r)}, {"EndDate": date_range(r)},
                         {"GenderCS": selection(r)}])  # fmt: skip
    dates = "VisitDetailStartDate" if name == "VisitDetail" else "OccurrenceStartDate"
    options = [{"Age": ages}, {dates: date_range(r)}, {"GenderCS": selection(r)}]
    if name not in ("VisitDetail",):
        options.append({"Gender": concepts(r, [1, 2])})
    if name in ("ConditionOccurrence", "DrugExposure", "DeviceExposure", "VisitOccurrence"):
        options.append({"OccurrenceEndDate": date_range(r)})
    if name not in ("Death", "Specimen"):
        options.append({"ProviderSpecialtyCS": selection(r)})
        if name != "VisitDetail":
            options.append({"ProviderSpecialty": concepts(r, CONCEPTS)})
    if name not in ("Death", "Specimen", "VisitDetail", "VisitOccurrence"):
        options += [{"VisitType": concepts(r, CONCEPTS)}, {"VisitTypeCS": selection(r)}]
    return r.choice(options)


def window(r: random.Random, *, end: bool) -> Json:
    if chance(r, 0.3):
        bounds = {"Start": {"Coeff": -1}, "End": {"Coeff": 1}}
    else:
        first = r.choice([-30, -10, -5, -1, 0, 0, 1, 5])
        last = first + r.choice([0, 1, 5, 10, 40])
        bounds = {
            name: {"Days": abs(at), "Coeff": -1 if at < 0 else 1} for name, at in (("Start", first), ("End", last))
        }
        if chance(r, 0.2):
            open_end = r.choice(["Start", "End"])
            bounds[open_end] = {"Coeff": -1 if open_end == "Start" else 1}
    out: Json = dict(bounds)
    if chance(r, 0.4):
        out["UseEventEnd"] = chance(r, 0.5)
    if chance(r, 0.4):
        out["UseIndexEnd"] = chance(r, 0.5)
    return out


def correlated(r: random.Random, depth: int) -> Json:
    found = criterion(r, depth)
    often: Json = {"Type": r.choice([0, 1, 1, 2, 2, 2]), "Count": r.choice([0, 1, 1, 1, 2, 3])}
    (name,) = found
    if chance(r, 0.2) and name != "CustomEra":
        often["IsDistinct"] = True
        columns = [None, "DOMAIN_CONCEPT", "START_DATE", "END_DATE", "VISIT_ID", "DURATION"]
        often["CountColumn"] = r.choice(columns)
    out: Json = {"Criteria": found, "StartWindow": window(r, end=False), "Occurrence": often}
    if chance(r, 0.25):
        out["EndWindow"] = window(r, end=True)
    if chance(r, 0.2):
        out["RestrictVisit"] = chance(r, 0.8)
    if chance(r, 0.3):
        out["IgnoreObservationPeriod"] = chance(r, 0.7)
    return out


def demographic(r: random.Random) -> Json:
    return r.choice([
        {"Age": number_range(r, [19, 20, 60, 61])}, {"Gender": concepts(r, [1, 2])}, {"GenderCS": selection(r)},
        {"Race": concepts(r, [1, 2])}, {"RaceCS": selection(r)}, {"EthnicityCS": selection(r)},
        {"OccurrenceStartDate": date_range(r)}, {"OccurrenceEndDate": date_range(r)}, {},
    ])  # fmt: skip


def group(r: random.Random, depth: int) -> Json:
    kind = r.choice(["ALL", "ANY", "ANY", "AT_LEAST", "AT_MOST"])
    out: Json = {
        "Type": kind,
        "CriteriaList": [correlated(r, depth) for _ in range(r.choice([0, 1, 1, 1, 2]))],
        "DemographicCriteriaList": [demographic(r) for _ in range(r.choice([0, 0, 0, 1]))],
        "Groups": [group(r, depth + 1) for _ in range(r.choice([0, 0, 0, 1, 2]))] if depth < 3 else [],
    }
    if kind.startswith("AT_"):
        out["Count"] = r.choice([0, 1, 1, 2])
    return out


def concept_set(r: random.Random, number: int) -> Json:
    items = [
        {"concept": {"CONCEPT_ID": r.choice([*CONCEPTS, *CONCEPTS, *SOURCES])}, "isExcluded": chance(r, 0.12),
         "includeDescendants": chance(r, 0.6), "includeMapped": chance(r, 0.2)}
        for _ in range(r.choice([0, 2, 2, 3, 3]))
    ]  # fmt: skip
    if number == 0:  # the set that is used most has members
        items.append({"concept": {"CONCEPT_ID": 1}, "isExcluded": False, "includeDescendants": True})
    return {"id": number, "name": f"set {number}", "expression": {"items": items}}


def limit(r: random.Random) -> Json | None:
    return r.choice([None, {}, {"Type": "All"}, {"Type": "All"}, {"Type": "All"}, {"Type": "First"}, {"Type": "Last"}])


def definition(r: random.Random) -> Json:
    """A whole cohort definition, as a document."""
    sets = [concept_set(r, number) for number in range(4)]
    if chance(r, 0.05):
        sets.append(concept_set(r, r.choice([0, 1])))
    out: Json = {
        "ConceptSets": sets,
        "PrimaryCriteria": {
            "CriteriaList": [criterion(r, 0) for _ in range(r.choice([1, 1, 1, 2, 3]))],
            "ObservationWindow": {"PriorDays": r.choice([0, 0, 0, 5, 20]), "PostDays": r.choice([0, 0, 0, 3])},
            "PrimaryCriteriaLimit": limit(r),
        },
        "QualifiedLimit": limit(r),
        "ExpressionLimit": limit(r),
        "InclusionRules": [{"name": f"rule {n}", "expression": group(r, 1)} for n in range(r.choice([0, 0, 1, 1, 2]))],
        "CensoringCriteria": [criterion(r, 1) for _ in range(r.choice([0, 0, 0, 1, 2]))],
        "CollapseSettings": {"CollapseType": "ERA", "EraPad": r.choice([0, 0, 1, 10])},
    }
    if chance(r, 0.3):
        out["AdditionalCriteria"] = group(r, 1)
    ending = r.random()
    if ending < 0.4:
        field = r.choice(["StartDate", "EndDate"])
        out["EndStrategy"] = {"DateOffset": {"DateField": field, "Offset": r.choice([-2, 0, 1, 7, 30])}}
    elif ending < 0.6:
        out["EndStrategy"] = {"CustomEra": {
            "DrugCodesetId": r.choice([0, 1]), "GapDays": r.choice([0, 1, 10]), "Offset": r.choice([-1, 0, 3]),
            "DaysSupplyOverride": maybe(r, [2, 5], 0.7),
        }}  # fmt: skip
    if chance(r, 0.15):
        out["CensorWindow"] = {"StartDate": maybe(r, [day(r, 0, 20).isoformat()]),
                               "EndDate": maybe(r, [day(r, 21, DAYS).isoformat()])}  # fmt: skip
    return out
