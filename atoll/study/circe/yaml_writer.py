"""From a Circe definition to its text form: the writing half of `as_yaml`, which says what the form is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.study.circe import CohortExpression, CustomEraStrategy, DateOffset, EndStrategy, ResultLimit
from atoll.study.circe.criteria import CorrelatedCriteria, CriteriaGroup, Criterion, DemographicCriteria
from atoll.study.circe.fields import Field, fields_of, kind_word
from atoll.study.circe.node import Misread
from atoll.study.circe.parts import ConceptSet, ConceptSetItem, Period
from atoll.study.circe.values import concept_text, occurrence_keys, window_text

ANY = "any"  # stands for no concept set: any code
_GROUPS = {"ALL": "all of", "ANY": "any of", None: "group of"}


class DocumentWriter:
    """The text form of one definition, as plain values for YAML."""

    def __init__(self, definition: CohortExpression):
        self._definition = definition
        self._names = _names(definition.concept_sets)

    def document(self) -> dict[str, Any]:
        """The whole definition; what is absent is left out."""
        d = self._definition
        parts = {
            "title": d.title,
            "cdm": d.cdm_version_range,
            "concepts": {self._names[one.id]: [_item(item) for item in one.expression.items] for one in d.concept_sets},
            "entry": self._entry(),
            "also": self._group(d.additional_criteria) if d.additional_criteria else None,
            "also take": _limit(d.qualified_limit),
            "rules": [self._rule(rule.name, rule.description, rule.expression) for rule in d.inclusion_rules],
            "keep": _limit(d.expression_limit),
            "exit": self._exit(d.end_strategy),
            "censor": [self._criterion(criterion) for criterion in d.censoring_criteria],
            "eras": {"gap": d.collapse_settings.era_pad or 0} if d.collapse_settings else None,
            "between": _period(d.censor_window),
        }
        return {word: part for word, part in parts.items() if part not in (None, {}, [])}

    def _entry(self) -> dict[str, Any]:
        primary = self._definition.primary_criteria
        entry: dict[str, Any] = {"any of": [self._criterion(one) for one in primary.criteria_list]}
        window = primary.observation_window
        entry |= {"observed before": window.prior_days or 0, "observed after": window.post_days or 0}
        return entry | {"take": _limit(primary.primary_limit) or "all"}

    def _rule(self, name: str | None, description: str | None, expression: CriteriaGroup) -> dict[str, Any]:
        head = {word: said for word, said in (("name", name), ("description", description)) if said is not None}
        return {**head, **self._group(expression)}

    def _group(self, group: CriteriaGroup) -> dict[str, Any]:
        if group.type in _GROUPS:
            word = _GROUPS[group.type]
        elif group.count is None or group.count < 0:
            raise Misread("has a group without a count.", "Give its Count.")
        else:
            word = f"{str(group.type).lower().replace('_', ' ')} {group.count} of"
        members: list[dict[str, Any]] = [self._correlated(one) for one in group.criteria_list]
        members += [{"person": self._attributes(one)} for one in group.demographic_criteria_list]
        return {word: members + [self._group(one) for one in group.groups]}

    def _correlated(self, one: CorrelatedCriteria) -> dict[str, Any]:
        entry = occurrence_keys(one.occurrence) | self._criterion(one.criteria)
        entry["starts"] = window_text(one.start_window, ends=False)
        if one.end_window is not None:
            entry["ends"] = window_text(one.end_window, ends=True)
        if one.restrict_visit is not None:
            entry["same visit"] = one.restrict_visit
        if one.ignore_observation_period is not None:
            entry["outside observation"] = one.ignore_observation_period
        return entry

    def _criterion(self, criterion: Criterion) -> dict[str, Any]:
        number = getattr(criterion, "codeset_id", None)
        named = ANY if number is None else self._set(number)
        return {kind_word(type(criterion).__name__): named, **self._attributes(criterion)}

    def _attributes(self, node: Criterion | DemographicCriteria) -> dict[str, Any]:
        fields = {field.attribute: field for field in fields_of(type(node).__name__).values()}
        given = [(fields[attribute], value) for attribute, value in node.attributes() if attribute != "codeset_id"]
        return {field.word: self._value(field, value) for field, value in given}

    def _value(self, field: Field, value: Any) -> Any:
        match field.kind:
            case "set":
                return self._set(value)
            case "choice":
                named = ANY if value.codeset_id is None else self._set(value.codeset_id)
                return {"not": named} if value.is_exclusion else named
            case "concepts":
                return [concept_text(concept) for concept in value]
            case "group":
                return self._group(value)
            case "criteria":
                return [self._criterion(criterion) for criterion in value]
            case _:
                return field.text(value)

    def _set(self, number: int) -> str:
        if number not in self._names:
            raise Misread(f"names concept set {number}, which is not there.", "Add the set, or correct CodesetId.")
        return self._names[number]

    def _exit(self, strategy: EndStrategy | None) -> dict[str, Any] | None:
        if isinstance(strategy, DateOffset):
            date = {"StartDate": "start", "EndDate": "end"}.get(strategy.date_field or "")
            if date is None:
                raise Misread("ends at no date.", "Give the DateField of its EndStrategy.")
            words: Mapping[str, Any] = {"date": date, "plus": strategy.offset}
        elif isinstance(strategy, CustomEraStrategy):
            words = {"drug": self._set(strategy.drug_codeset_id or 0), "gap": strategy.gap_days} | {
                "plus": strategy.offset, "days supply": strategy.days_supply_override,
            }  # fmt: skip
        else:
            return None
        return {word: value for word, value in words.items() if value is not None}


def _names(sets: tuple[ConceptSet, ...]) -> dict[int, str]:
    """A name of its own for every set, by its number."""
    names: dict[int, str] = {}
    for one in sets:
        if one.id in names:
            raise Misread(f"holds two concept sets with the number {one.id}.", "Give each a number of its own.")
        base = one.name if one.name not in (None, "", ANY) else f"set {one.id}"
        name, again = str(base), 1
        while name in names.values():
            again += 1
            name = f"{base} ({again})"
        names[one.id] = name
    return names


def _item(item: ConceptSetItem) -> Any:
    text = concept_text(item.concept)
    word = {
        (False, True): "with", (False, False): "only", (True, True): "not", (True, False): "not only",
    }[bool(item.is_excluded), bool(item.include_descendants)]  # fmt: skip
    if word == "with" and not item.include_mapped:
        return text
    return {word: text, **({"mapped": True} if item.include_mapped else {})}


def _limit(limit: ResultLimit | None) -> str | None:
    return limit.type.lower() if limit is not None and limit.type else None


def _period(period: Period | None) -> dict[str, Any]:
    given = {"from": period.start_date, "to": period.end_date} if period else {}
    return {word: day for word, day in given.items() if day is not None}
