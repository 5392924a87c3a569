"""Circe documents: read and written without loss; what is wrong is said with its place."""

from __future__ import annotations

import json

import pytest

from atoll.errors import StudyError
from atoll.study.circe import nodes, read, unknown_keys, written
from atoll.study.circe.check import faults
from atoll.study.circe.review import checked
from atoll.study.circe.text import SHOWN, difference, explain
from tests.reference.shared import SHARED
from tests.spec.definitions import all_of, around, concept_set, condition, days, definition, drug, exactly, rules

OFFICIAL = sorted((SHARED / "circe").glob("phenotypes*/*.json"))


def reading(document):
    return read(json.dumps(document))


def refused(document):
    with pytest.raises(StudyError) as caught:
        checked(reading(document))
    return str(caught.value)


@pytest.mark.skipif(not OFFICIAL, reason="official definitions are not here: circe/ of the shared data")
def test_all_official_definitions_are_written_as_they_were_read():
    assert len(OFFICIAL) == 1100
    for file in OFFICIAL:
        text = file.read_bytes()
        assert written(read(text), indent=None) == json.dumps(json.loads(text), ensure_ascii=False), file.name


@pytest.mark.skipif(not OFFICIAL, reason="official definitions are not here: circe/ of the shared data")
def test_no_official_definition_has_an_error_or_an_unknown_key_and_each_has_a_text():
    for file in OFFICIAL[::7]:
        found = read(file.read_bytes())
        assert [fault for fault in faults(found) if fault.level == "error"] == [], file.name
        assert unknown_keys(found) == []
        english, chinese = explain(found, check=False), explain(found, "zh", check=False)
        assert len(english.splitlines()) == len(chinese.splitlines())
        assert difference(found, found) == "The two definitions mean the same.\n"


def test_keys_order_nulls_and_unknown_keys_are_kept():
    text = (
        '{"PrimaryCriteria": {"ObservationWindow": {"PostDays": 0, "Extra": [1]}, "CriteriaList": [{"Death": null}]}}'
    )
    with pytest.raises(
        StudyError, match=r"PrimaryCriteria\.CriteriaList\[0\]\.Death is nothing; expected was an object"
    ):
        read(text)
    text = text.replace('{"Death": null}', '{"Death": {"CodesetId": null, "Mood": "blue"}}')
    found = read(text)
    assert written(found, indent=None) == text
    assert unknown_keys(found) == [
        "PrimaryCriteria.CriteriaList[0].Death.Mood", "PrimaryCriteria.ObservationWindow.Extra",
    ]  # fmt: skip
    assert (
        "`Mood` in entry event 1 (“a death of any kind”) is a key that Circe does not know; it is ignored."
        in explain(found)
    )


def test_numbers_stay_what_they_were():
    text = json.dumps(definition(condition(Age={"Value": 18, "Op": "gte"}), drug(Quantity={"Value": 1.0, "Op": "lt"})))
    assert written(read(text), indent=None) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"This is no JSON \(line 1\): Expecting value.*Export it from ATLAS again"),
        ('{"a": 1,}', r"This is no JSON"),
        ('{"PrimaryCriteria": NaN}', r"NaN is no number"),
        (b"\xff\xfe", r"no UTF-8|no JSON"),
        ("[]", r"no Circe definition: it has no PrimaryCriteria\. Export the cohort definition as JSON from ATLAS"),
        ('{"id": 1, "expression": {"PrimaryCriteria": {}}}', r"give the part under \"expression\""),
        ("[" * 100_000, r"nested too deeply"),
        ('{"PrimaryCriteria": 3}', r"PrimaryCriteria is a number \(3\); expected was an object"),
        ('{"PrimaryCriteria": {"CriteriaList": []}}', r"PrimaryCriteria has no 'ObservationWindow'"),
    ],
)
def test_what_is_no_definition_is_a_sentence(text, words):
    with pytest.raises(StudyError, match=words):
        read(text)


def test_an_unknown_kind_of_criterion_is_named_with_its_place_and_the_nearest():
    with pytest.raises(StudyError, match=r"CriteriaList\[1\] holds 'ConditionOcurrence', which is no kind.*"
                                         r"Did you mean 'ConditionOccurrence'\?"):  # fmt: skip
        reading(definition(condition(), {"ConditionOcurrence": {}}))


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (condition(Age={"Value": "old", "Op": "gt"}), r"Occurrence\.Age\.Value is a text \('old'\); .* number"),
        (condition(Age={"Value": True, "Op": "gt"}), r"Age\.Value is true or false \(True\)"),
        (condition(Age={"Value": 1, "Op": "above"}), r"Age\.Op is 'above', which Circe does not know\. There"),
        (condition(Age={"Value": 10**30, "Op": "gt"}), r"more than 18 digits"),
        (condition(First="yes"), r"First is a text \('yes'\); expected was true or false"),
        (condition(Gender={}), r"Gender is an object; expected was a list"),
        (condition(Gender=[{}]), r"Gender\[0\] has no 'CONCEPT_ID'"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named_with_its_place(criterion, words):
    with pytest.raises(StudyError, match=words):
        reading(definition(criterion))


def test_ten_thousand_nested_groups_are_refused():
    group = "{}"
    for _ in range(10_000):
        group = '{"Type": "ALL", "Groups": [' + group + "]}"
    text = json.dumps(definition(condition(), AdditionalCriteria="HERE")).replace('"HERE"', group)
    with pytest.raises(StudyError, match=r"nested (too deeply|more than 60 levels deep)"):
        read(text)
    group = {"Type": "ALL"}
    for _ in range(100):
        group = {"Type": "ALL", "Groups": [group]}
    with pytest.raises(StudyError, match=r"nested more than 60 levels deep\. Write them side by side"):
        reading(definition(condition(), AdditionalCriteria=group))


def asked(**more):
    return definition(condition(), **rules(all_of(around(drug(), days(0, 30)) | more)))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (definition(condition(77)),
         r"Entry event 1 .*uses concept set 77, which the definition does not hold\. Add the set"),
        (definition(condition(GenderCS={"CodesetId": 78})), r"Entry event 1 .*uses concept set 78"),
        (definition(condition(ConditionSourceConcept=79)), r"Entry event 1 .*uses concept set 79"),
        (asked(StartWindow=days(5, 1)), r"Rule 1 .*starts after its end \(day 5 to day 1\)\. Exchange"),
        (asked(StartWindow=days(-1, -30)), r"starts after its end \(day -1 to day -30\)"),
        (asked(StartWindow=days(0, 1) | {"End": {"Days": -3, "Coeff": 1}}), r"Rule 1 .*has -3 days"),
        (asked(StartWindow=days(0, 1) | {"End": {"Days": 3, "Coeff": 2}}), r"Rule 1 .*has the Coeff 2"),
        (asked(Occurrence={"Type": 7, "Count": 1}), r"Rule 1 .*has the Type 7\. Give 0"),
        (asked(Occurrence={"Type": 0, "Count": -1}), r"Rule 1 .*has the Count -1"),
        (definition(condition(Age={"Value": -1, "Op": "gt"})),
         r"The age at the start in entry event 1 .*is a negative age \(-1\)\. Give years, 0 or more"),
        (definition(condition(Age={"Value": 1, "Op": "bt"})),
         r"The age at the start in entry event 1 .*is 'between' \(bt\) without an Extent"),
        (definition(condition(OccurrenceStartDate={"Value": "2020-02-30", "Op": "gt"})),
         r"The start in entry event 1 .*is '2020-02-30', which is no date\. Write it as 2020-02-29"),
        (definition(condition(), CensorWindow={"StartDate": "soon"}),
         r"^The window of dates is 'soon', which is no date"),
        (definition(condition(), CensorWindow={"StartDate": "2021-01-01", "EndDate": "2020-01-01"}),
         r"nobody is left"),
        (definition(), r"^The entry holds no criterion, so nobody enters"),
        (definition(condition(), prior=-1), r"^The number of days of observation before the event is negative"),
        (definition(condition(), **rules(all_of(around(drug(), days(0, 1)), kind="AT_LEAST"))), r"without a Count"),
        (definition(condition(), **rules(*[all_of(around(drug(), days(0, 1)))] * 63)), r"holds 63 rules"),
        (definition({"LocationRegion": {}}), r"location"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_with_its_place(document, words):
    import re

    assert re.search(words, refused(document)), refused(document)


def test_the_check_list_names_what_may_not_be_meant():
    never = around(drug(), days(-365, -1)) | exactly(0)
    document = definition(
        condition(1), drug(2, OccurrenceEndDate={"Value": "2020-01-01", "Op": "gt"}),
        ConceptSets=[concept_set(1), concept_set(2, excluded=(2,)), concept_set(3, 3)],
        **rules(all_of(never, kind="AT_LEAST", count=2), all_of(around(drug(), days(0, None)))),
    )  # fmt: skip
    found = {(fault.level, fault.what.split(" (")[0]) for fault in faults(reading(document))}
    texts = " ".join(str(fault) for fault in faults(reading(document)))
    assert ("warning", "asks for 2 of 1 members: it never holds.") in found
    for words in (
        "(set 1) is empty, so no row fits it.",
        "(set 2) only excludes, so it is empty.",
        "(set 3) is not used.",
        "asks for nothing in 365 days before, but only 0 days of history are demanded.",
        "looks at all the future of the index event.",
        "where circe-be 1.12.1 differs; Atoll does what is written.",
    ):
        assert words in texts


def test_a_key_that_stands_twice_is_refused():
    """JSON takes the last one silently: a steward would read another limit than the author meant."""
    text = json.dumps(definition(condition(1)))
    text = '{"QualifiedLimit": {"Type": "All"}, "QualifiedLimit": {"Type": "First"}, ' + text[1:]
    with pytest.raises(StudyError, match=r"The key 'QualifiedLimit' stands twice in one object\. Keep the one"):
        read(text)
    with pytest.raises(StudyError, match="The key 'CodesetId' stands twice"):
        read(json.dumps(definition(condition(1))).replace('"CodesetId": 1', '"CodesetId": 1, "CodesetId": 2'))


def test_a_cut_concept_set_hides_nothing_that_it_leaves_out_and_counts_the_rest():
    """What stands after the twelfth could be what matters: whom a set leaves out, or a disease nobody expects."""
    document = definition(condition(1))
    included = [{"concept": {"CONCEPT_ID": 100 + n}, "includeDescendants": n % 2 == 0} for n in range(SHOWN + 5)]
    excluded = [
        {"concept": {"CONCEPT_ID": 900 + n}, "isExcluded": True, "includeMapped": n == 0} for n in range(SHOWN + 1)
    ]
    document["ConceptSets"][0]["expression"]["items"] = [*included, *excluded]
    found = reading(document)
    for language in ("en", "zh"):
        cut, whole = (explain(found, language, check=False, every=every) for every in (False, True))
        assert all(f"{900 + n}" in cut for n in range(SHOWN + 1))
        assert [f"{100 + n}" in cut for n in range(SHOWN + 5)] == [True] * SHOWN + [False] * 5
        assert all(f"{100 + n}" in whole for n in range(SHOWN + 5)) and "--whole" not in whole
    cut = explain(found, check=False, every=False)
    assert "30 entries, 17 included (9 with what is below), 13 left out (1 with what maps to it)" in cut
    assert "… and 5 more that are included; `explain --whole` names all" in cut
    included[-1]["concept"]["CONCEPT_ID"] = 555
    assert "555" in difference(found, reading(document)), "and a comparison is of all of them"


def test_a_definition_in_two_languages():
    document = definition(
        condition(1, First=True, Age={"Value": 18, "Op": "gte"}), prior=365, limit="First",
        **rules(all_of(around(drug(), days(-30, -1)) | exactly(0))),
        EndStrategy={"DateOffset": {"DateField": "StartDate", "Offset": 7}},
    )  # fmt: skip
    english, chinese = explain(reading(document), check=False), explain(reading(document), "zh", check=False)
    for words in (
        "- a diagnosis of “set 1”, the first ever of the person, age at the start at least 18",
        "with 365 days of it before and 0 after",
        "Only the earliest of these events of a person counts.",
        "- never a drug exposure of “set 2”, starting from 30 days before to 1 day before the start",
        "7 days after the start of the event, and no later than the end of observation.",
    ):
        assert words in english
    for words in (
        "“set 1”的诊断，本人首次，开始时年龄不小于 18",
        "此前至少有 365 天观察",
        "从无：“set 2”的用药",
        "前 30 天至前 1 天",
    ):
        assert words in chinese


def test_the_difference_of_two_definitions_in_words():
    first = definition(condition(1), prior=0)
    second = definition(condition(1), prior=365)
    assert difference(reading(first), reading(second)) == (
        "Who enters, and when\n"
        "  − only in the first: The event lies in a period of observation, with 0 days of it before and 0 after.\n"
        "  + only in the second: The event lies in a period of observation, with 365 days of it before and 0 after.\n"
    )


def test_nodes_have_their_places():
    places = [place for place, _ in nodes(reading(asked()))]
    assert "PrimaryCriteria.CriteriaList[0].ConditionOccurrence" in places
    assert "InclusionRules[0].expression.CriteriaList[0].Criteria.DrugExposure" in places
