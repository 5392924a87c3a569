"""Short ways to write definitions and rows for the specification."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def concept_set(number: int, *concepts: int, descendants: bool = False, excluded: tuple[int, ...] = ()) -> Json:
    items = [
        {"concept": {"CONCEPT_ID": concept}, "isExcluded": concept in excluded, "includeDescendants": descendants}
        for concept in (*concepts, *excluded)
    ]
    return {"id": number, "name": f"set {number}", "expression": {"items": items}}


def definition(*primary: Json, prior: int = 0, post: int = 0, limit: str = "All", **more: Any) -> Json:
    """A definition with these primary criteria; concept set n holds concept n alone."""
    return {
        "ConceptSets": [concept_set(number, number) for number in range(1, 10)],
        "PrimaryCriteria": {
            "CriteriaList": list(primary),
            "ObservationWindow": {"PriorDays": prior, "PostDays": post},
            "PrimaryCriteriaLimit": {"Type": limit},
        },
        "ExpressionLimit": {"Type": "All"},
        **more,
    }


def condition(codeset: int | None = 1, **more: Any) -> Json:
    return {"ConditionOccurrence": ({} if codeset is None else {"CodesetId": codeset}) | more}


def drug(codeset: int = 2, **more: Any) -> Json:
    return {"DrugExposure": {"CodesetId": codeset} | more}


def days(first: int | None, last: int | None, **more: Any) -> Json:
    """A window from day `first` to day `last` of the index; None is the bound of the observation period."""

    def bound(day: int | None, outer: int) -> Json:
        return {"Coeff": outer} if day is None else {"Days": abs(day), "Coeff": -1 if day < 0 else 1}

    return {"Start": bound(first, -1), "End": bound(last, 1)} | more


def around(criterion: Json, window: Json, at_least: int | None = 1, **more: Any) -> Json:
    often = {"Type": 2, "Count": at_least}
    return {"Criteria": criterion, "StartWindow": window, "Occurrence": often} | more


def exactly(count: int) -> Json:
    return {"Occurrence": {"Type": 0, "Count": count}}


def at_most(count: int) -> Json:
    return {"Occurrence": {"Type": 1, "Count": count}}


def all_of(*members: Json, kind: str = "ALL", count: int | None = None, **more: Any) -> Json:
    return {"Type": kind, "CriteriaList": list(members)} | ({} if count is None else {"Count": count}) | more


def rules(*groups: Json) -> Json:
    return {"InclusionRules": [{"name": f"rule {n}", "expression": group} for n, group in enumerate(groups, 1)]}


def ends(field: str, offset: int) -> Json:
    return {"EndStrategy": {"DateOffset": {"DateField": field, "Offset": offset}}}


# -- rows


def observed(*spans: tuple[int, str, str]) -> list[Json]:
    return [
        {"observation_period_id": n, "person_id": person, "observation_period_start_date": start,
         "observation_period_end_date": end}
        for n, (person, start, end) in enumerate(spans, 1)
    ]  # fmt: skip


def conditions(*rows: tuple[Any, ...]) -> list[Json]:
    """(person, concept, start[, end[, more]])."""
    return [
        {"condition_occurrence_id": n, "person_id": person, "condition_concept_id": concept,
         "condition_start_date": start, "condition_end_date": (rest or (None,))[0], **(rest[1] if rest[1:] else {})}
        for n, (person, concept, start, *rest) in enumerate(rows, 1)
    ]  # fmt: skip


def drugs(*rows: tuple[Any, ...]) -> list[Json]:
    """(person, concept, start[, end[, more]])."""
    return [
        {"drug_exposure_id": n, "person_id": person, "drug_concept_id": concept, "drug_exposure_start_date": start,
         "drug_exposure_end_date": (rest or (None,))[0], **(rest[1] if rest[1:] else {})}
        for n, (person, concept, start, *rest) in enumerate(rows, 1)
    ]  # fmt: skip


def people(*rows: tuple[int, int, int]) -> list[Json]:
    """(person, year of birth, gender)."""
    return [{"person_id": p, "year_of_birth": born, "gender_concept_id": gender} for p, born, gender in rows]


YEAR = observed(*((person, "2020-01-01", "2020-12-31") for person in range(1, 7)))
