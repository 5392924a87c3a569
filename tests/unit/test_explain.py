"""What the steward reads: nothing of the study is left out, in both languages, and nothing can be faked."""

import json
import re
import string
from dataclasses import asdict, fields, replace
from typing import get_args

import pytest

from atoll.errors import StudyError
from atoll.governance.signatures import fingerprint
from atoll.privacy.disclosure import STRICT, Policy
from atoll.study import sentences
from atoll.study.explain import explain
from atoll.study.protocol import from_canonical, read
from tests.unit.studies import STUDY

EVERYTHING = """\
atoll: 1
title: Heart study
purpose: |
  Who lives longer?
  What never leaves
  Everything may leave.
investigator: {name: Wang Fang, organisation: City Hospital, key: SHA256:MZUH-VLPY-MK6X-O3EP-YGFY-5H4O-EAEJ-OFEF}
sites:
  north: {key: SHA256:AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH}
  river: {key: SHA256:AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-2222}
datasets:
  checkup:
    columns:
      patient: {type: person}
      age: {type: number, unit: a, range: [18, null]}
      sex: {type: category, levels: [female, male]}
      seen: {type: date}
      death: {type: flag, label: died}
      days: {type: number, unit: d}
analyses:
  who: {algorithm: describe, dataset: checkup, columns: [age, sex]}
  risk:
    algorithm: glm
    dataset: checkup
    label: Model of risk
    formula: death ~ age + C(sex)
    family: binomial
    link: probit
    offset: days
    site_intercepts: true
    robust: HC0
  length:
    algorithm: cox
    dataset: checkup
    formula: age + sex
    time: days
    event: death
    strata: [site, sex]
    ties: breslow
    grid: [30, 60]
  curves:
    algorithm: kaplan_meier
    dataset: checkup
    time: days
    event: death
    by: sex
    times: [365, 730]
    grid: 30.5
    strata: [site]
  judged:
    algorithm: performance
    dataset: checkup
    model: {terms: [Intercept, age], coefficients: [-5, 0.04], link: logit}
    outcome: death
    by_site: true
  facts:
    algorithm: survey
    dataset: checkup
    levels_of: [sex]
    quantiles_of: {age: [0.5]}
    moments_of: [age]
  new:
    algorithm: third_party
    dataset: checkup
    depth: 3
    shape: wide
privacy: {minimum_persons: 20, rounding: 10, grid_days: 60, max_rounds: 12}
valid: {from: 2026-11-01, until: 2027-11-01}
"""
STUDY_OF_ALL = read(EVERYTHING)
LATIN_NAMES = {"site", "SHA"}  # the implicit column of every formula; the name of a hash


def words_of(value):
    """Every word that the study itself gives."""
    if isinstance(value, dict):
        return {word for key, item in value.items() for word in words_of(key) | words_of(item)}
    if isinstance(value, list):
        return {word for item in value for word in words_of(item)}
    return set(re.findall(r"[A-Za-z]+", str(value).lower() if isinstance(value, bool) else str(value)))


@pytest.mark.parametrize("text", [EVERYTHING, EVERYTHING.replace("privacy: {", "privacy: {public: true, ")])
@pytest.mark.parametrize("limits", [None, asdict(STRICT)])
def test_the_chinese_text_holds_no_english_but_the_study_s_own_words(text, limits):
    study = read(text)
    told = explain(study, "north", "zh", limits=limits).replace(study.hash, "")
    assert set(re.findall("[A-Za-z]+", told)) <= words_of(study.to_document()) | LATIN_NAMES
    assert not re.search(r"[一-鿿][,.:;?!]", told), "Chinese text takes Chinese punctuation"


def test_the_english_text_holds_no_chinese():
    assert not re.search(r"[一-鿿，。：、（）]", explain(STUDY_OF_ALL, "north"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_that_the_study_says_is_told(language):
    told = explain(STUDY_OF_ALL, "north", language)
    study = STUDY_OF_ALL
    for analysis in study.analyses.values():
        for option, value in analysis.options.items():
            assert f"- {option} = {value if isinstance(value, str) else json.dumps(value, sort_keys=True)}" in told
    for word in [*study.analyses, *study.datasets, *study.datasets["checkup"], *study.sites, "Model of risk", "died"]:
        assert word in told
    for entry in study.sites.values():
        assert entry.key in told
    for fact in (
        study.title,
        "Wang Fang",
        "City Hospital",
        study.investigator.key,
        study.hash,
        "2026-11-01",
        "2027-11-01",
    ):
        assert fact in told
    assert [f"{n}" in told for n in (20, 10, 60, 12)] == [True] * 4


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_investigator_cannot_write_a_heading(language):
    headings = [line for line in explain(STUDY_OF_ALL, "north", language).splitlines() if line and line[0] != " "]
    assert len(headings) == 9
    assert headings == [
        line for line in explain(read(STUDY), "north", language).splitlines() if line and line[0] != " "
    ]


def test_a_draft_shows_no_hash_that_signing_changes():
    draft = replace(STUDY_OF_ALL, investigator=replace(STUDY_OF_ALL.investigator, key=None))
    for language, words in (("en", "This draft is not signed: signing gives"), ("zh", "签名后才有校验值")):
        told = explain(draft, "north", language)
        assert words in told and draft.hash not in told
        assert words not in explain(STUDY_OF_ALL, "north", language)


def test_braces_in_the_study_are_text():
    told = explain(replace(STUDY_OF_ALL, title="{site} {0} {x.__class__}"), "north")
    assert "Study: {site} {0} {x.__class__}" in told


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_bytes_give_the_same_text(language):
    assert explain(from_canonical(STUDY_OF_ALL.canonical()), "river", language) == explain(
        STUDY_OF_ALL, "river", language
    )


def test_every_option_of_our_algorithms_has_its_sentence():
    from atoll.algorithms import registry

    for algorithm in registry.names():
        assert algorithm in sentences.ALGORITHMS
        assert algorithm in sentences.LEAVES
        for name, parameter in registry.options_of(algorithm).items():
            assert f"{algorithm}.{name}" in sentences.OPTIONS
            for words in re.findall(r"Literal\[(.*?)\]", str(parameter.annotation)):
                assert {f"{name}={word}" for word in re.findall(r"'(\w+)'", words)} <= set(sentences.WORDS)


def test_every_algorithm_of_ours_has_a_title_on_the_pages_and_says_what_its_precision_is_told_in():
    """Without them it would stand there by its code, and a plan would silently promise no precision."""
    from atoll.algorithms import planned, registry
    from atoll.ui import vocabulary

    ours = {name for name in registry.names() if registry.module(name).__name__.startswith("atoll.")}
    assert ours <= set(vocabulary.ALGORITHMS)
    allowed = (*get_args(planned.Measure), None)
    assert all(getattr(registry.module(name), "PRECISION", "missing") in allowed for name in ours)


def test_every_limit_of_a_policy_has_its_sentence():
    assert set(sentences.LIMITS) == {f.name for f in fields(Policy)}
    told = explain(STUDY_OF_ALL, "north", limits=asdict(STRICT.tightened(STUDY_OF_ALL.privacy.limits())))
    assert "In force at this hospital for this study:" in told
    assert "at least 30 different persons behind every number" in told, "20 is no odd multiple of the site's 10"
    asked = explain(STUDY_OF_ALL)
    assert "at least 20 different persons" in asked and "the next odd multiple of the hospital's own" in asked
    assert "at most 1,048,576 bytes in one answer" in told
    assert "values of single persons may leave: no" in told
    assert "Each analysis asks at most 12 times (rounds)" in told


@pytest.mark.parametrize("table", ["FRAME", "COLUMNS", "LIMITS", "ALGORITHMS", "LEAVES", "OPTIONS", "WORDS"])
def test_both_languages_have_the_same_places(table):
    for english, chinese in getattr(sentences, table).values():
        places = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, chinese)]
        assert places[0] == places[1]
        assert bool(re.search(r"[一-鿿]", chinese)) == bool(re.search("[a-z]", re.sub(r"{\w+}", "", english)))


LEAVING = [
    ({"algorithm": "cox", "formula": "age"}, False, "the score, the information matrix and the partial log-likelihood"),
    ({"algorithm": "cox", "strata": []}, False, "for each interval of time, the numbers of persons who leave"),
    ({"algorithm": "cox", "strata": []}, False, "all hospitals share one base risk, so numbers per interval of time"),
    ({"algorithm": "cox", "strata": []}, True, "every distinct time: the data are treated as public."),
    ({"algorithm": "kaplan_meier"}, True, "every distinct time: the data are treated as public."),
    ({"algorithm": "kaplan_meier", "strata": ["site"]}, False, "observed and expected numbers of events per group"),
    ({"algorithm": "describe"}, True, "sums of the third power"),
    ({"algorithm": "glm", "robust": "site"}, False, "this hospital's own sum of scores"),
    ({"algorithm": "performance"}, False, "this hospital's own figures: area under the curve"),
    ({"algorithm": "other"}, False, "this hospital's gate checks each of them by its kind."),
]


@pytest.mark.parametrize(("written", "public", "sentence"), LEAVING)
def test_what_leaves_depends_on_the_options(written, public, sentence):
    study = read(STUDY)
    options = {key: value for key, value in written.items() if key != "algorithm"}
    analysis = replace(study.analyses["risk"], algorithm=written["algorithm"], options=options)
    changed = replace(study, analyses={"risk": analysis}, privacy=replace(study.privacy, public=public))
    assert sentence in explain(changed)
    assert "every distinct time" not in explain(replace(changed, privacy=study.privacy))


def test_public_data_are_said_to_be_public():
    public = replace(STUDY_OF_ALL, privacy=replace(STUDY_OF_ALL.privacy, public=True))
    assert "The study treats all its data as public." in explain(public)
    assert "values of single patients (such as exact times) may leave" in explain(public)
    assert "No value of a single patient" in explain(STUDY_OF_ALL)


def test_only_hospitals_of_the_study_are_explained_to():
    with pytest.raises(StudyError, match=r"The study does not ask 'lake'\. It asks north, river\."):
        explain(STUDY_OF_ALL, "lake")
    assert explain(STUDY_OF_ALL).startswith("What this study would do with the data of every hospital that it names\n")
    assert fingerprint(bytes(32)) in explain(STUDY_OF_ALL)
