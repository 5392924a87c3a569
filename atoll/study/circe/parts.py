"""The small parts of a Circe definition: concepts and concept sets, ranges, dates, windows, how often.

See `circe`, which is the face. Fields follow circe-be 1.12.1, key by key.
"""

from __future__ import annotations

from typing import ClassVar

from atoll.study.circe.node import Node, key, words


class Concept(Node):
    concept_id: int | None = key("CONCEPT_ID")
    concept_name: str | None = key("CONCEPT_NAME")
    standard_concept: str | None = key("STANDARD_CONCEPT")
    standard_concept_caption: str | None = key("STANDARD_CONCEPT_CAPTION")
    invalid_reason: str | None = key("INVALID_REASON")
    invalid_reason_caption: str | None = key("INVALID_REASON_CAPTION")
    concept_code: str | None = key("CONCEPT_CODE")
    domain_id: str | None = key("DOMAIN_ID")
    vocabulary_id: str | None = key("VOCABULARY_ID")
    concept_class_id: str | None = key("CONCEPT_CLASS_ID")
    required = ("CONCEPT_ID",)


class ConceptSetItem(Node):
    concept: Concept = key("concept")
    is_excluded: bool | None = key("isExcluded")
    include_descendants: bool | None = key("includeDescendants")
    include_mapped: bool | None = key("includeMapped")
    required = ("concept",)


class ConceptSetExpression(Node):
    items: tuple[ConceptSetItem, ...] = key("items", ())


class ConceptSet(Node):
    id: int = key("id", 0)
    name: str | None = key("name")
    expression: ConceptSetExpression = key("expression")
    required = ("id", "expression")


class ConceptSetSelection(Node):
    codeset_id: int | None = key("CodesetId")
    is_exclusion: bool | None = key("IsExclusion")


OPERATORS = ("lt", "lte", "eq", "!eq", "gt", "gte", "bt", "!bt")
TEXT_OPERATORS = ("contains", "!contains", "startsWith", "!startsWith", "endsWith", "!endsWith")
DATE_TYPES = ("START_DATE", "END_DATE")
COUNT_COLUMNS = (
    "DAYS_SUPPLY", "DOMAIN_CONCEPT", "DOMAIN_SOURCE_CONCEPT", "DURATION", "END_DATE", "ERA_OCCURRENCES", "GAP_DAYS",
    "QUANTITY", "RANGE_HIGH", "RANGE_LOW", "REFILLS", "START_DATE", "UNIT", "VALUE_AS_NUMBER", "VISIT_ID",
    "VISIT_DETAIL_ID",
)  # fmt: skip


class DateRange(Node):
    value: str | None = key("Value")
    op: str | None = words("Op", *OPERATORS)
    extent: str | None = key("Extent")
    required = ("Value", "Op")


class NumericRange(Node):
    value: int | float | None = key("Value")
    op: str | None = words("Op", *OPERATORS)
    extent: int | float | None = key("Extent")
    required = ("Value", "Op")


class TextFilter(Node):
    text: str | None = key("Text")
    op: str | None = words("Op", *TEXT_OPERATORS)
    required = ("Op",)


class Period(Node):
    start_date: str | None = key("StartDate")
    end_date: str | None = key("EndDate")


class DateAdjustment(Node):
    start_with: str | None = words("StartWith", *DATE_TYPES)
    start_offset: int | None = key("StartOffset")
    end_with: str | None = words("EndWith", *DATE_TYPES)
    end_offset: int | None = key("EndOffset")


class Occurrence(Node):
    type: int | None = key("Type")
    count: int | None = key("Count")
    is_distinct: bool | None = key("IsDistinct")
    count_column: str | None = words("CountColumn", *COUNT_COLUMNS)
    EXACTLY: ClassVar[int] = 0
    AT_MOST: ClassVar[int] = 1
    AT_LEAST: ClassVar[int] = 2


class Endpoint(Node):
    days: int | None = key("Days")
    coeff: int | None = key("Coeff")


class Window(Node):
    start: Endpoint = key("Start")
    end: Endpoint = key("End")
    use_index_end: bool | None = key("UseIndexEnd")
    use_event_end: bool | None = key("UseEventEnd")
    required = ("Start", "End")
