"""The text form of a definition: written and read back it says the same; what is wrong is said with its line."""

from __future__ import annotations

import contextlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import StudyError
from atoll.knowledge import library
from atoll.study import circe
from atoll.study.circe import as_yaml
from atoll.study.circe.text import difference, explain
from tests.reference.shared import SHARED

OFFICIAL = sorted((SHARED / "circe").glob("phenotypes*/*.json"))
TEXT = """\
title: High blood pressure, first seen
concepts:
  high blood pressure: [320128 high blood pressure, {only: 319034}, {not: 4167358, mapped: true}]
entry:
  any of:
  - condition occurrence: high blood pressure
    first: true
    age: '>= 18'
  observed before: 365
  take: first
rules:
- name: seen again
  any of:
  - condition occurrence: high blood pressure
    starts: 1 day after to 365 days after
  - at least: 2
    distinct: true
    visit occurrence: any
    starts: the event start any time before to 0 days before the index end
  - person: {age: 40 to 75, gender: [8532 female]}
  - at most 1 of: [{death: any, exactly: 0, starts: 0 days after to any time after}]
exit: {date: start, plus: 30}
between: {from: '2010-01-01'}
"""


FULL = """\
concepts:
  drug: [1]
  men: [{only: 8507}]
entry:
  any of:
  - drug exposure: drug
    days supply: not 4 to 7
    quantity: 1.5 to 2
    stop reason: {startsWith: side}
    gender set: {not: men}
    dates: {start with: start, start plus: 1, end with: end, end plus: 2}
    occurrence start date: 2010-01-01 to 2012-12-31
    drug source concept: drug
  - observation period: any
    user defined period: {from: '2011-01-01', to: '2011-06-30'}
    where:
      all of:
      - exactly: 0
        counting: start date
        death: any
        starts: the event end 5 days before to any time after the index end
        ends: the event start 0 days before to 3 days after
        same visit: true
        outside observation: false
  - custom era: any
    any of: [{drug era: drug}]
    gap days: 30
exit: {drug: drug, gap: 7, plus: 1, days supply: 20}
eras: {gap: 3}
"""
WORDS = re.findall(r"(?m)^[ -]*([a-z][a-z ]*):", FULL)


def plain(definition):
    """What a definition's JSON means: sets by name, and nothing that no engine reads."""
    document = json.loads(circe.written(definition))
    seen, names = {}, {}
    for one in document.get("ConceptSets", []):
        base = one["name"] if one["name"] not in (None, "", "any") else f"set {one['id']}"
        seen[base] = seen.get(base, 0) + 1
        names[one["id"]] = base if seen[base] == 1 else f"{base} ({seen[base]})"

    def bare(value, key=""):
        if isinstance(value, list):
            return [bare(entry) for entry in value]
        if isinstance(value, dict):
            if "CONCEPT_ID" in value:
                return {k: v for k, v in value.items() if k in ("CONCEPT_ID", "CONCEPT_NAME") and v is not None}
            if value.get("Type") in ("ALL", "ANY"):
                value = {k: v for k, v in value.items() if k != "Count"}
            if "Op" in value and value["Op"] not in ("bt", "!bt"):
                value = {k: v for k, v in value.items() if k != "Extent"}
            kept = {k: bare(v, k) for k, v in value.items() if k not in ("UseEventEnd", "UseIndexEnd")}
            return {k: v for k, v in kept.items() if v not in (None, False) and (k not in EMPTY or v not in ([], {}))}
        if isinstance(value, int) and (key in ("CodesetId", "DrugCodesetId") or key.endswith("SourceConcept")):
            return names[value]
        return value

    document["ConceptSets"] = [{"name": names[s["id"]], "items": s["expression"]} for s in document["ConceptSets"]]
    for limit in ("QualifiedLimit", "ExpressionLimit"):
        document[limit] = (document.get(limit) or {}).get("Type")
    return bare(document)


EMPTY = (
    *("CensorWindow", "CriteriaList", "DemographicCriteriaList", "Groups", "InclusionRules", "CensoringCriteria"),
    *("items", "ConceptSets"),
)


def ends(definition):
    """From which end of the index and to which end of an event each window counts; absent means the usual one."""
    found = []
    for path, node in circe.nodes(definition):
        if type(node).__name__ == "Window":
            usual = path.endswith("EndWindow")
            found.append((path, bool(node.use_index_end), usual if node.use_event_end is None else node.use_event_end))
    return found


@pytest.mark.skipif(not OFFICIAL, reason="official definitions are not here: circe/ of the shared data")
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.soak), 6])
def test_official_definitions_say_the_same_after_both_ways(step):
    assert len(OFFICIAL) == 1100
    for file in OFFICIAL[::step]:
        definition = circe.read(file.read_bytes())
        text = as_yaml.written(definition)
        again = as_yaml.read(text)
        assert plain(again) == plain(definition), file.name
        assert ends(again) == ends(definition), file.name
        assert as_yaml.written(again) == text, file.name


@pytest.mark.parametrize("name", library.names())
def test_the_library_says_the_same_after_both_ways(name):
    definition = library.phenotype(name).definition()
    again = as_yaml.read(as_yaml.written(definition))
    assert plain(again) == plain(definition)
    assert explain(again) == explain(definition) and difference(definition, again) == difference(again, again)


def test_a_definition_that_a_person_wrote():
    found = as_yaml.read(TEXT)
    primary = found.primary_criteria
    assert found.title == "High blood pressure, first seen"
    assert primary.primary_limit.type == "First" and primary.observation_window.prior_days == 365
    assert primary.criteria_list[0].age.value == 18 and primary.criteria_list[0].first is True
    items = found.concept_sets[0].expression.items
    assert [(i.concept.concept_id, i.is_excluded or False, i.include_descendants, i.include_mapped) for i in items] == [
        (320128, False, True, None),
        (319034, False, False, None),
        (4167358, True, True, True),
    ]
    rule = found.inclusion_rules[0].expression
    assert (rule.type, len(rule.criteria_list), len(rule.groups)) == ("ANY", 2, 1)
    again, visits = rule.criteria_list
    assert (again.occurrence.type, again.occurrence.count, again.start_window.end.days) == (2, 1, 365)
    assert (visits.occurrence.count, visits.occurrence.is_distinct, visits.criteria.codeset_id) == (2, True, None)
    assert visits.start_window.use_index_end is True and not visits.start_window.use_event_end
    assert visits.start_window.start.days is None and visits.start_window.start.coeff == -1
    assert rule.demographic_criteria_list[0].gender[0].concept_id == 8532
    assert (rule.groups[0].type, rule.groups[0].count) == ("AT_MOST", 1)
    assert found.end_strategy.offset == 30 and found.censor_window.start_date == "2010-01-01"
    assert plain(as_yaml.read(as_yaml.written(found))) == plain(found)


def test_sets_alone_are_read_and_a_wrong_one_is_said_with_its_line():
    found = as_yaml.read_sets("a: [1]\nb:\n- 2\n- {not: 3}\n")
    assert [(one.name, len(one.expression.items)) for one in found.concept_sets] == [("a", 1), ("b", 2)]
    with pytest.raises(StudyError, match=r"Line 4, concepts\.b\[1\]: is 'three', which is no concept"):
        as_yaml.read_sets("a: [1]\nb:\n- 2\n- three\n")
    assert as_yaml.read_sets(TEXT).title == "High blood pressure, first seen"


VALUES = ["{}", "[]", "[1]", "null", "''", "{not: 1}", "1e999", "9" * 5000, "-1", "any", "true", "{a: {b: [c]}}", "é"]


@given(st.integers(0, 10**6), st.sampled_from(VALUES), st.integers(0, 60), st.sampled_from(["TEXT", "FULL"]))
def test_any_edit_is_a_definition_or_a_sentence(at, noise, cut, which):
    """Whatever a person types, or puts in the place of a value: read, or refused with a sentence; never a fault."""
    text = {"TEXT": TEXT, "FULL": FULL}[which]
    places = [m.end() for m in re.finditer(r"[:\[] ", text)]
    for start in (at % len(text), places[at % len(places)]):
        try:
            found = as_yaml.read(text[:start] + noise + text[start + cut :])
        except StudyError:
            continue
        try:
            again = as_yaml.read(as_yaml.written(found))
        except StudyError:
            continue
        assert as_yaml.written(again) == as_yaml.written(found)


@pytest.mark.parametrize("word", sorted(set(WORDS)))
@pytest.mark.parametrize("value", VALUES)
def test_every_word_with_every_kind_of_value_is_a_definition_or_a_sentence(word, value):
    edited, changed = re.subn(rf"(?m)^([ -]*){re.escape(word)}:.*$", lambda m: f"{m[1]}{word}: {value}", FULL, count=1)
    assert changed == 1
    with contextlib.suppress(StudyError):
        as_yaml.read(edited)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("age: '>= 18'", "age: about 18", r"Line 8, entry\.any of\[0\]\.age: is 'about 18', which is no range"),
        ("age: '>= 18'", "aeg: '>= 18'", r"Line 6, entry\.any of\[0\]: holds `aeg`.*Did you mean `age`\?"),
        ("condition occurrence: high", "condition ocurrence: high", r"no kind of record\. Did you mean `condition"),
        ("take: first", "tkae: first", r"holds `tkae`.*Did you mean `take`"),
        ("1 day after to 365", "1 day to 365", r"Line 15, .*starts: is '1 day to 365.*no window"),
        ("- condition occurrence: high blood pressure\n    f", "- condition occurrence: hbp\n    f", "not there"),
        ("at least: 2", "at least: 2\n    at most: 3", "says `at most` and `at least`"),
        ("[320128 high", "[diabetes", r"Line 3, concepts\.high blood pressure\[0\]: is 'diabetes.*which is no concept"),
        ("date: start", "date: never", "says no date"),
        ("first: true", "first: 3", r"First is a number \(3\); expected was true or false"),
        ("entry:", "entri:", r"holds `entri`, which is no word here\. Did you mean `entry`"),
        ("at most 1 of:", "at most of:", "names no kind of record"),
        ("title:", "title: [", "this is not YAML"),
        ("only: 319034", "only: 319034, not: 3", "is no member of a concept set"),
        ("entry:", "anchor: &x 1\nentry:", "an anchor"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old, new, said):
    assert old in TEXT
    with pytest.raises(StudyError, match=said):
        as_yaml.read(TEXT.replace(old, new, 1))


def test_what_has_no_word_is_refused_and_not_dropped():
    document = json.loads(circe.written(as_yaml.read(TEXT)))
    with pytest.raises(StudyError, match="Surprise is no key of Circe"):
        as_yaml.written(circe.read(json.dumps(document | {"Surprise": 1})))
    document["ConceptSets"].append(document["ConceptSets"][0])
    with pytest.raises(StudyError, match="two concept sets with the number 0"):
        as_yaml.written(circe.read(json.dumps(document)))


def test_every_short_way_to_write_a_value():
    found = as_yaml.read(FULL)
    drug, period, era = found.primary_criteria.criteria_list
    assert (drug.days_supply.op, drug.days_supply.value, drug.days_supply.extent) == ("!bt", 4, 7)
    assert (drug.quantity.op, drug.quantity.value) == ("bt", 1.5)
    assert (drug.stop_reason.op, drug.stop_reason.text) == ("startsWith", "side")
    assert (drug.gender_cs.codeset_id, drug.gender_cs.is_exclusion) == (1, True)
    moved = drug.date_adjustment
    assert (moved.start_with, moved.start_offset, moved.end_with, moved.end_offset) == ("START_DATE", 1, "END_DATE", 2)
    assert (drug.occurrence_start_date.value, drug.occurrence_start_date.extent) == ("2010-01-01", "2012-12-31")
    assert drug.drug_source_concept == drug.codeset_id == 0
    assert (period.user_defined_period.start_date, period.user_defined_period.end_date) == ("2011-01-01", "2011-06-30")
    (death,) = period.correlated_criteria.criteria_list
    assert (death.occurrence.type, death.occurrence.count, death.occurrence.count_column) == (0, 0, "START_DATE")
    assert (death.start_window.use_event_end, death.start_window.use_index_end) == (True, True)
    assert (death.end_window.use_event_end, death.end_window.use_index_end) == (False, None)
    assert (death.restrict_visit, death.ignore_observation_period) == (True, False)
    assert era.gap_days == 30 and era.criteria_list[0].codeset_id == 0
    strategy = found.end_strategy
    assert (strategy.gap_days, strategy.offset, strategy.days_supply_override) == (7, 1, 20)
    assert found.collapse_settings.era_pad == 3
    again = as_yaml.read(as_yaml.written(found))
    assert again == found and ends(again) == ends(found)
