"""The Circe cohort expression (ATLAS's JSON, circe-be 1.12) as frozen dataclasses, without loss.

Names and meaning follow circe-be (Apache-2.0), https://github.com/OHDSI/circe-be; what a definition *means* is in
`atoll.cohort`. A field that is absent or null is None. `read` gives a `CohortExpression` or a sentence that says what
is wrong and where; keys that Circe does not know are kept and named.

The tree          node (records without loss), parts, criteria; this file is their head
As YAML           as_yaml and yaml_writer, the two halves; fields and values, their words
In words          text, sentences
What is wrong     check, places (where), faults (in both languages), review (as sentences)
A first one       draft
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

from atoll.errors import StudyError
from atoll.study.circe.criteria import CriteriaGroup, Criterion
from atoll.study.circe.node import Misread, Node, key, read_wrapped, words
from atoll.study.circe.parts import ConceptSet, Period


class ObservationFilter(Node):
    prior_days: int | None = key("PriorDays")
    post_days: int | None = key("PostDays")


class ResultLimit(Node):
    type: str | None = key("Type")


class PrimaryCriteria(Node):
    criteria_list: tuple[Criterion, ...] = key("CriteriaList", ())
    observation_window: ObservationFilter = key("ObservationWindow")
    primary_limit: ResultLimit | None = key("PrimaryCriteriaLimit")
    required = ("CriteriaList", "ObservationWindow")


class InclusionRule(Node):
    name: str | None = key("name")
    description: str | None = key("description")
    expression: CriteriaGroup = key("expression")
    required = ("expression",)


class EndStrategy(Node):
    """When a period ends. In the document it is wrapped: `{"DateOffset": {…}}`."""

    @classmethod
    def read(cls, value: Any) -> Self:
        if cls is not EndStrategy:
            return super().read(value)
        return read_wrapped(value, STRATEGIES, 'an end strategy, as {"DateOffset": {…}}')  # type: ignore[return-value]

    def document(self) -> dict[str, Any]:
        return {_STRATEGY_NAMES[type(self)]: super().document()}


class DateOffset(EndStrategy):
    date_field: str | None = words("DateField", "StartDate", "EndDate")
    offset: int | None = key("Offset")


class CustomEraStrategy(EndStrategy):
    drug_codeset_id: int | None = key("DrugCodesetId")
    gap_days: int | None = key("GapDays")
    offset: int | None = key("Offset")
    days_supply_override: int | None = key("DaysSupplyOverride")
    required = ("DrugCodesetId",)


class CollapseSettings(Node):
    collapse_type: str | None = words("CollapseType", "ERA")
    era_pad: int | None = key("EraPad")


class CohortExpression(Node):
    cdm_version_range: str | None = key("cdmVersionRange")
    title: str | None = key("Title")
    primary_criteria: PrimaryCriteria = key("PrimaryCriteria")
    additional_criteria: CriteriaGroup | None = key("AdditionalCriteria")
    concept_sets: tuple[ConceptSet, ...] = key("ConceptSets", ())
    qualified_limit: ResultLimit | None = key("QualifiedLimit")
    expression_limit: ResultLimit | None = key("ExpressionLimit")
    inclusion_rules: tuple[InclusionRule, ...] = key("InclusionRules", ())
    end_strategy: EndStrategy | None = key("EndStrategy")
    censoring_criteria: tuple[Criterion, ...] = key("CensoringCriteria", ())
    collapse_settings: CollapseSettings | None = key("CollapseSettings")
    censor_window: Period | None = key("CensorWindow")
    required = ("PrimaryCriteria",)


MAX_LEVELS = 60  # of objects within objects; ATLAS writes some 20
STRATEGIES: dict[str, type[EndStrategy]] = {"DateOffset": DateOffset, "CustomEra": CustomEraStrategy}
_STRATEGY_NAMES = {kind: name for name, kind in STRATEGIES.items()}


def read(text: str | bytes) -> CohortExpression:
    """The definition that a JSON text holds.

    Raises
    ------
    StudyError
        When it is no JSON, no Circe definition, or says something that no Circe definition can; with the place.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except RecursionError:
        raise StudyError("The definition is nested too deeply to be read.", "Write its groups side by side.") from None
    except UnicodeDecodeError as error:
        raise StudyError("The definition is no UTF-8 text.", "Save it as UTF-8.") from error
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise StudyError(
            f"This is no JSON{f' (line {line})' if line else ''}: {str(error)[:80]}.", "Export it from ATLAS again."
        ) from error
    if not isinstance(value, dict) or "PrimaryCriteria" not in value:
        hint = 'It may be ATLAS\'s whole record: give the part under "expression".'
        inner = value.get("expression") if isinstance(value, dict) else None
        raise StudyError(
            "This JSON is no Circe definition: it has no PrimaryCriteria.",
            hint if isinstance(inner, (dict, str)) else "Export the cohort definition as JSON from ATLAS.",
        )
    try:
        definition = CohortExpression.read(value)
        deepest = max(_levels(group) for group in _groups(definition)) if definition else 0
    except Misread as error:
        raise error.error() from None
    except RecursionError:
        deepest = MAX_LEVELS + 1
    if deepest > MAX_LEVELS:
        raise StudyError(f"Its groups are nested more than {MAX_LEVELS} levels deep.", "Write them side by side.")
    return definition


def _groups(definition: CohortExpression) -> Iterator[Node]:
    yield definition.primary_criteria
    yield from definition.censoring_criteria
    yield from definition.inclusion_rules
    if definition.additional_criteria:
        yield definition.additional_criteria


def _levels(node: Node) -> int:
    below = [entry for _, value in node.children() for entry in (value if isinstance(value, tuple) else (value,))]
    return max((_levels(entry) for entry in below if isinstance(entry, Node)), default=0) + 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once: of two equal ones only the last would be read, and nobody would know."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise StudyError(f"The key {twice[:80]!r} stands twice in one object.", "Keep the one that is meant.")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def written(definition: CohortExpression, *, indent: int | None = 2) -> str:
    """The definition as JSON text, keys in the order in which they were read."""
    return json.dumps(definition.document(), ensure_ascii=False, indent=indent)


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """A node and every node below it, each with its place; of concept sets only the sets themselves."""
    yield path, node
    if isinstance(node, ConceptSet):
        return
    for name, value in node.children():
        entries = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for index, entry in entries:
            if isinstance(entry, Node):
                step = name if index is None else f"{name}[{index}]"
                kind = f".{type(entry).__name__}" if isinstance(entry, Criterion) else ""
                yield from nodes(entry, f"{path}.{step}{kind}" if path else f"{step}{kind}")


def unknown_keys(definition: CohortExpression) -> list[str]:
    """The places of keys that Circe does not know. It ignores them; they are kept."""
    found = [f"{path}.{name}" if path else name for path, node in nodes(definition) for name in node.unknown]
    for index, entry in enumerate(definition.concept_sets):
        below: list[Node] = [entry.expression]
        for item in entry.expression.items:
            below += [item, item.concept]
        found += [f"ConceptSets[{index}]…{name}" for node in below for name in node.unknown]
    return found
