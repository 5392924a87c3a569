"""A cohort definition in plain words, English or Simplified Chinese, and the difference of two.

Headings stand at the margin and everything else is indented, so that no name of a rule or set can pass for a heading.
The same definition always gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any, Literal

from atoll.study.circe import CohortExpression, CustomEraStrategy, DateOffset, ResultLimit
from atoll.study.circe.check import faults
from atoll.study.circe.criteria import CorrelatedCriteria, CriteriaGroup, Criterion, CustomEra, DemographicCriteria
from atoll.study.circe.faults import Fault
from atoll.study.circe.node import Node
from atoll.study.circe.parts import (
    Concept,
    ConceptSet,
    ConceptSetItem,
    ConceptSetSelection,
    DateAdjustment,
    DateRange,
    Endpoint,
    NumericRange,
    Occurrence,
    Period,
    TextFilter,
    Window,
)
from atoll.study.circe.places import in_words
from atoll.study.circe.sentences import (
    COUNTED,
    DATE_RANGES,
    FRAME,
    GROUPS,
    KINDS,
    NAMES,
    PARTS,
    RANGES,
    TEXTS,
    WINDOWS,
    Pair,
)

Language = Literal["en", "zh"]
Lines = Callable[[str], int]
SHOWN = 12  # concepts of a set that are named, beside those that it leaves out
PLURAL = re.compile(r"(\{(\w+)(?::\+d)?\} )(days|entries)\b")
ONE = {"days": "day", "entries": "entry"}
FLAGS = ("excluded", "with_descendants", "with_mapped")


def explain(
    definition: CohortExpression,
    language: Language = "en",
    *,
    check: bool = True,
    every: bool = True,
    lines: Lines | None = None,
) -> str:
    """The definition in plain words, with the check list at its end; without `every` long concept sets are cut.

    lines   the line of a place, where the definition was read from YAML
    """
    text = Text(definition, language, every)
    found = text.check(faults(definition), lines) if check else []
    heading = [text.frame("check")] if found else []
    return "\n".join([*text.lines(), *heading, *("  " + line for line in found)]) + "\n"


def difference(first: CohortExpression, second: CohortExpression, language: Language = "en") -> str:
    """What the one says and the other does not, heading by heading."""
    texts = [Text(definition, language) for definition in (first, second)]
    sections = [_sections(text.lines()) for text in texts]
    out: list[str] = []
    for heading in dict.fromkeys([*sections[0], *sections[1]]):
        lines = [found.get(heading, []) for found in sections]
        changed = list(_changes(texts[0], *lines))
        out += [heading, *changed] if changed else []
    return "\n".join(out or [texts[0].say(FRAME["same"])]) + "\n"


def _sections(lines: Iterator[str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    heading = ""
    for line in lines:
        if line.startswith(" "):
            out[heading].append(line.strip())
        elif line:
            heading = line
            out[heading] = []
    return out


def _changes(text: Text, first: list[str], second: list[str]) -> Iterator[str]:
    for kind, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from ("  " + text.say(FRAME["only_first"], line=line) for line in first[a:b])
            yield from ("  " + text.say(FRAME["only_second"], line=line) for line in second[c:d])


class Text:
    """The lines of one definition."""

    def __init__(self, definition: CohortExpression, language: Language, every: bool = True):
        self.definition, self.index, self.every = definition, ("en", "zh").index(language), every
        self.sets = {entry.id: entry for entry in definition.concept_sets}

    def say(self, pair: Pair, /, **values: Any) -> str:
        said = pair[self.index]
        if not self.index:
            said = PLURAL.sub(lambda m: m[1] + ONE[m[3]] if values.get(m[2]) in (1, -1) else m[0], said)
        return said.format(**values)

    def frame(self, entry: str, /, **values: Any) -> str:
        return self.say(FRAME[entry], **values)

    def lines(self) -> Iterator[str]:
        yield from self.enter()
        if self.definition.additional_criteria is not None:
            yield self.frame("additional")
            yield from _deeper(self.group(self.definition.additional_criteria))
            yield "  " + self.limit(self.definition.qualified_limit)
        yield from self.rules()
        yield from self.exit()
        yield from self.concept_sets()

    def enter(self) -> Iterator[str]:
        primary = self.definition.primary_criteria
        yield self.frame("enter")
        yield "  " + self.frame("enter_at")
        for criterion in primary.criteria_list:
            yield from _deeper(_item(self.criterion(criterion)))
        window = primary.observation_window
        yield "  " + self.frame("observed", prior=window.prior_days or 0, post=window.post_days or 0)
        yield "  " + self.limit(primary.primary_limit)

    def limit(self, limit: ResultLimit | None) -> str:
        kind = ((limit.type if limit else None) or "First").lower()
        return self.frame(f"keep_{kind if kind in ('all', 'last') else 'first'}")

    def rules(self) -> Iterator[str]:
        if not self.definition.inclusion_rules:
            return
        yield self.frame("rules")
        for number, rule in enumerate(self.definition.inclusion_rules, 1):
            name = " ".join((rule.name or self.frame("no_name")).split())
            yield "  " + self.frame("rule", number=number, name=name)
            yield from _deeper(_deeper(self.group(rule.expression)))
        yield "  " + self.frame("then", what=self.limit(self.definition.expression_limit))

    def exit(self) -> Iterator[str]:
        yield self.frame("exit")
        end = self.definition.end_strategy
        if isinstance(end, DateOffset):
            entry = "exit_end" if end.date_field == "EndDate" else "exit_start"
            yield "  " + self.frame(entry, days=end.offset or 0)
        elif isinstance(end, CustomEraStrategy):
            name = self.set_name(end.drug_codeset_id or 0)
            yield "  " + self.frame("exit_era", set=name, gap=end.gap_days or 0, offset=end.offset or 0)
            if end.days_supply_override is not None:
                yield "  " + self.frame("exit_supply", days=end.days_supply_override)
        else:
            yield "  " + self.frame("exit_period")
        if self.definition.censoring_criteria:
            yield "  " + self.frame("exit_censor")
            for criterion in self.definition.censoring_criteria:
                yield from _deeper(_item(self.criterion(criterion)))
        collapse, window = self.definition.collapse_settings, self.definition.censor_window or Period.read({})
        yield "  " + self.frame("merge", days=(collapse.era_pad if collapse else 0) or 0)
        if window.start_date:
            yield "  " + self.frame("not_before", day=window.start_date)
        if window.end_date:
            yield "  " + self.frame("not_after", day=window.end_date)

    def concept_sets(self) -> Iterator[str]:
        if self.definition.concept_sets:
            yield self.frame("sets")
        for entry in self.definition.concept_sets:
            items = entry.expression.items
            yield "  " + self.counts(entry)
            named = [item for item in items if not item.is_excluded]
            cut = 0 if self.every else max(0, len(named) - SHOWN)
            left = {id(item) for item in named[len(named) - cut :]}
            for item in items:
                if id(item) not in left:
                    yield "    - " + self.comma([self.concept(item.concept), *map(self.frame, _flags(item))])
            if cut:
                yield "    " + self.frame("cut", count=cut)

    def check(self, found: Iterable[Fault], lines: Lines | None) -> list[str]:
        return [self.frame(fault.level, what=self.fault(fault, lines, remedy=True)) for fault in found]

    def fault(self, fault: Fault, lines: Lines | None, remedy: bool = False) -> str:
        """A fault as a sentence that begins with its place in words."""
        place = in_words(self.definition, fault.place, self.phrase, self.index, whole=fault.key == "key unknown")
        what, to_do = fault.said(self.index)
        to_do = to_do if remedy else ""
        line = lines(fault.place) if lines and fault.place else 0
        at = self.frame("line", number=line) if line else ""
        if self.index:
            return f"{at}{place} {what}{to_do}"
        place = place if at else place[:1].upper() + place[1:]
        return f"{at}{place} {what} {to_do}".strip()

    def phrase(self, node: Node) -> str:
        """The sentence of a criterion, without what is nested in it."""
        if isinstance(node, CorrelatedCriteria):
            return self.correlated(node)[0]
        return self.criterion(node)[0] if isinstance(node, Criterion) else self.demographic(node)  # type: ignore[arg-type]

    def counts(self, entry: ConceptSet) -> str:
        """How many entries a set has, how many of them are included and left out, each with what of it."""
        items = entry.expression.items
        parts = [self.frame("set", name=self.named(entry), count=len(items))]
        mixed = any(item.is_excluded for item in items)
        for word in ("included", "excluded"):
            own = [item for item in items if bool(item.is_excluded) is (word == "excluded")]
            found = {flag: sum(flag in _flags(item) for item in own) for flag in FLAGS[1:]}
            told = [self.frame(f"of_{flag}", count=count) for flag, count in found.items() if count]
            if mixed and own:
                bracket = (" ({})", "（{}）")[self.index].format(self.comma(told)) if told else ""
                parts.append(self.frame(f"set_{word}", count=len(own)) + bracket)
            elif told:
                parts += told
        return self.comma(parts)

    # -- criteria

    def criterion(self, criterion: Criterion) -> list[str]:
        """A phrase, and the lines of what is nested in it."""
        kind = self.say(KINDS[type(criterion).__name__])
        codeset = getattr(criterion, "codeset_id", None)
        head = PARTS["any"] if codeset is None else PARTS["of"]
        phrases = [self.say(head, kind=kind, set=self.set_name(codeset or 0))]
        if getattr(criterion, "first", None):
            phrases.append(self.say(PARTS["first"]))
        for name, value in criterion.attributes():
            phrases += self.attribute(criterion, name, value)
        lines = [self.comma(phrases)]
        if isinstance(criterion, CustomEra):
            lines += _deeper([self.say(PARTS["made_of"])])
            for one in criterion.criteria_list or ():
                lines += _deeper(_deeper(_item(self.criterion(one))))
        group = criterion.correlated_criteria
        if group is not None and not group.is_empty:
            lines += _deeper([self.say(PARTS["for_which"]), *_deeper(self.group(group))])
        return lines

    def attribute(self, node: Node, name: str, value: Any) -> list[str]:
        if name in ("codeset_id", "first", "correlated_criteria", "criteria_list") or name.endswith("_exclude"):
            return []
        if isinstance(value, DateAdjustment):
            return [self.adjusted(value)]
        if isinstance(value, Period):
            bounds = {key: getattr(value, f"{key}_date") or self.say(PARTS["open"]) for key in ("start", "end")}
            return [self.say(PARTS["period_of"], **bounds)]
        if isinstance(value, int) and not isinstance(value, bool) and name == "gap_days":
            return [self.say(PARTS["gap"], days=value)]
        if isinstance(value, int) and not isinstance(value, bool) and name not in NAMES:
            return [self.say(PARTS["source"], set=self.set_name(value))]
        shown = self.value(value, excluded=bool(getattr(node, f"{name}_exclude", None)))
        return [self.say(PARTS["has"], name=self.say(NAMES[name.removesuffix("_cs")]), value=shown)] if shown else []

    def value(self, value: Any, *, excluded: bool) -> str:
        if isinstance(value, (NumericRange, DateRange)):
            ranges = RANGES if isinstance(value, NumericRange) else DATE_RANGES
            return self.say(ranges[value.op or ""], a=value.value, b=value.extent)
        if isinstance(value, TextFilter):
            return self.say(TEXTS[value.op or ""], a=value.text or "")
        if isinstance(value, ConceptSetSelection):
            if value.codeset_id is None:
                return self.say(PARTS["unknown" if value.is_exclusion else "known"])
            return self.say(
                PARTS["not_in_set" if value.is_exclusion else "in_set"], set=self.set_name(value.codeset_id)
            )
        if isinstance(value, tuple):
            concepts = self.comma([self.concept(concept) for concept in value])
            return self.say(PARTS["none_of" if excluded else "one_of"], list=concepts) if value else ""
        if isinstance(value, bool):
            return self.say(PARTS["yes"]) if value else ""
        return self.say(PARTS["in_set"], set=self.set_name(value))

    def adjusted(self, value: DateAdjustment) -> str:
        bases = {"START_DATE": self.say(PARTS["its_start"]), "END_DATE": self.say(PARTS["its_end"])}
        return self.say(
            PARTS["adjusted"],
            start=bases[value.start_with or "START_DATE"], from_days=value.start_offset or 0,
            end=bases[value.end_with or "END_DATE"], to_days=value.end_offset or 0,
        )  # fmt: skip

    # -- groups

    def group(self, group: CriteriaGroup) -> list[str]:
        if group.is_empty:
            return [self.say(GROUPS["empty"])]
        lines = [self.say(GROUPS[group.type or "ALL"], count=group.count)]
        for member in group.criteria_list:
            lines += _deeper(_item(self.correlated(member)))
        for person in group.demographic_criteria_list:
            lines += _deeper(_item([self.demographic(person)]))
        for below in group.groups:
            lines += _deeper(_item(self.group(below)))
        return lines

    def correlated(self, member: CorrelatedCriteria) -> list[str]:
        often = member.occurrence
        first, *rest = self.criterion(member.criteria)
        never = not often.count and often.type != Occurrence.AT_LEAST
        way = "never" if never else f"once_{often.type}" if often.count == 1 else str(often.type)
        phrases = [self.say(GROUPS.get(way, GROUPS["unclear"]), count=often.count or 0, what=first)]
        if often.is_distinct:
            phrases.append(
                self.say(GROUPS["distinct"], column=self.say(COUNTED[often.count_column or "DOMAIN_CONCEPT"]))
            )
        phrases.append(self.window(member.start_window, end=False))
        if member.end_window is not None:
            phrases.append(self.window(member.end_window, end=True))
        if member.restrict_visit:
            phrases.append(self.say(GROUPS["visit"]))
        if member.ignore_observation_period:
            phrases.append(self.say(GROUPS["outside"]))
        return [self.comma(phrases), *rest]

    def window(self, window: Window, *, end: bool) -> str:
        at_end = end if window.use_event_end is None else window.use_event_end
        anchor = WINDOWS["index_end" if window.use_index_end else "index_start"]
        if window.start.days is None and window.end.days is None and window.start.coeff != window.end.coeff:
            when = self.say(WINDOWS["always"])
        elif window.start.days == window.end.days == 0:
            when = self.say(WINDOWS["on"], anchor=self.say(anchor))
        else:
            bounds = {"first": self.bound(window.start), "last": self.bound(window.end)}
            when = self.say(WINDOWS["between"], anchor=self.say(anchor), **bounds)
        return self.say(WINDOWS["ends" if at_end else "starts"], window=when)

    def bound(self, bound: Endpoint) -> str:
        if bound.days is None:
            return self.say(WINDOWS["all_before" if bound.coeff == -1 else "all_after"])
        if bound.days == 0:
            return self.say(WINDOWS["day"])
        side = "before" if bound.coeff == -1 else "after"
        return self.say(WINDOWS[f"{side}_one" if bound.days == 1 else side], days=bound.days)

    def demographic(self, member: DemographicCriteria) -> str:
        phrases = [phrase for name, value in member.attributes() for phrase in self.attribute(member, name, value)]
        return self.say(GROUPS["person"], what=self.comma(phrases) if phrases else self.say(GROUPS["anyone"]))

    # -- names

    def comma(self, phrases: list[str]) -> str:
        return (", ", "，")[self.index].join(phrases)

    def set_name(self, number: int) -> str:
        if number not in self.sets:
            return self.say(PARTS["missing_set"], number=number)
        return self.named(self.sets[number])

    def named(self, entry: ConceptSet) -> str:
        return self.say(PARTS["set_name"], name=" ".join((entry.name or str(entry.id)).split()))

    def concept(self, concept: Concept) -> str:
        name = " ".join((concept.concept_name or "").split())
        return f"{name} ({concept.concept_id})" if name else str(concept.concept_id)


def _deeper(lines: list[str] | Iterator[str]) -> list[str]:
    return ["  " + line for line in lines]


def _item(lines: list[str]) -> list[str]:
    """The lines as one entry of a list."""
    first, *rest = lines
    return ["- " + first, *("  " + line for line in rest)]


def _flags(item: ConceptSetItem) -> list[str]:
    """What an entry of a concept set is, by the words of `FRAME`."""
    there = (item.is_excluded, item.include_descendants, item.include_mapped)
    return [flag for flag, given in zip(FLAGS, there, strict=True) if given]
