"""The study document: every finding is a sentence with its line, and canonical bytes mean one thing."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.errors import StudyError
from atoll.study.form import read_dictionary
from atoll.study.nodes import MAX_BYTES, Problems
from atoll.study.protocol import Study, from_canonical, read, study_hash
from tests.unit.studies import STUDY

KEY = "SHA256:MZUH-VLPY-MK6X-O3EP-YGFY-5H4O-EAEJ-OFEF"


def problems(text, **options):
    with pytest.raises(Problems) as caught:
        read(text, **options)
    assert caught.value.code == "STUDY_INVALID"
    assert str(caught.value).startswith("The study cannot be used:\n  ")
    return caught.value.problems


def test_a_study_as_a_person_writes_it():
    study = read(STUDY)
    assert study.title == "Risk of diabetes after a check-up"
    assert study.investigator.name == "Wang Fang 王芳"
    assert list(study.sites) == ["north", "river"]
    age, sex = study.datasets["checkup"]["age"], study.datasets["checkup"]["sex"]
    assert (age.type, age.unit, age.low, age.high) == ("number", "a", 18, 110)
    assert sex.levels == ("female", "male")
    risk = study.analyses["risk"]
    assert (risk.algorithm, risk.dataset, risk.label) == ("glm", "checkup", "Risk model")
    assert risk.options == {"formula": "diabetes ~ age + C(sex)", "family": "binomial"}
    assert study.privacy.limits() == {"minimum_persons": 15, "grid_days": 30}
    assert (study.valid_from, study.valid_until) == (date(2026, 11, 1), date(2027, 11, 1))


REFUSED = [
    # what is written instead of what, and the whole sentence
    ("title:", "titel:", "Line 1, title: this key is missing. Add `title:`."),
    ("title:", "titel:", "Line 2, titel: there is no such key. Did you mean `title`?"),
    ("atoll: 1", "atoll: 2", "Line 1, atoll: this Atoll reads form 1, not '2'. Write `atoll: 1`."),
    ("title: Risk of diabetes after a check-up", "title:", "Line 2, title: nothing is written here. Give a value, or"),
    ("title: Risk of diabetes after a check-up", 'title: " "', "Line 2, title: the text is empty. Write it, or leave"),
    ("title: Risk of diabetes after a check-up", "title: [a]", "Line 2, title: a list is not text. Write words, in"),
    ("title: Risk", "title: Risk\u202e", "Line 2, title: the text holds an invisible character U+202E. Remove it."),
    ("title: Risk", "title: " + "x" * 300, "Line 2, title: the text has 329 characters. At most 200 are allowed."),
    (
        "City Hospital",
        "City Hospital\n  key: SHA256:abc",
        "Line 7, investigator.key: 'SHA256:abc' is not a key's finger",
    ),
    ("  north:\n  river: {}", "", "Line 7, sites: nothing is written here. Give a value, or leave the key out."),
    ("sites:\n  north:\n  river: {}", "sites: {}", "Line 7, sites: is empty. Name at least one hospital."),
    ("sites:\n  north:\n  river: {}", "sites: [north]", "Line 7, sites: a list stands where named entries belong."),
    ("north:", "../north:", "Line 8, sites: '../north' is not a name. Use letters, digits, _ and -, at most 64."),
    ("north:", "'nor\\th':", "Line 8, sites: 'nor\\\\th' is not a name."),
    ("north:", "a" * 65 + ":", "is not a name. Use letters, digits, _ and -, at most 64."),
    ("north:", "ｎorth:", "Line 8, sites: 'ｎorth' is written with letters of a special form. Write 'north'."),
    ("north:", "river:", "Line 9, river: this name stands already in line 8. Keep one of them, or give the second"),
    ("  river: {}", f"    key: {KEY}\n  river: {{key: {KEY}}}", "sites.river.key: this is also the key of north. Each"),
    ("type: number", "type: numeric", "Line 13, datasets.checkup.columns.age.type: 'numeric' is none of number, "),
    ("type: number", "type: numeric", "Did you mean `number`?"),
    ("type: number, ", "", "Line 13, datasets.checkup.columns.age.type: this key is missing. Add `type:`."),
    ("unit: a", "unit: a, levels: [x]", "columns.age.levels: a number has no levels. Only a category has one."),
    ("type: flag", "type: flag, range: [0, 1]", "columns.diabetes.range: a flag has no range. Only a number has one."),
    (
        "[18, 110]",
        "[110, 18]",
        "Line 13, datasets.checkup.columns.age.range: the range [110, 18] is empty or reversed.",
    ),
    ("[18, 110]", "[18]", "columns.age.range: the range has 1 values. Write [lowest, highest]."),
    ("[18, 110]", "[null, null]", "columns.age.range: the range has no end. Give one, or leave the key out."),
    ("[18, 110]", "18", "columns.age.range: '18' is not a list. Write it as [first, second]."),
    ("[18, 110]", "[18, .inf]", "columns.age.range: '.inf' is not a finite number. Write a number from"),
    ("[18, 110]", "[NaN, 110]", "columns.age.range: 'NaN' is not a number. Write one from"),
    ("[18, 110]", "[18, 9007199254740992]", "'9007199254740992' is beyond ±9007199254740991, where numbers are no"),
    ("[female, male]", "[]", "columns.sex.levels: the list is empty. Name the levels, the reference first, or leave"),
    ("[female, male]", "[male, male]", "columns.sex.levels: 'male' stands twice. Name each level once."),
    ("[female, male]", "[female, …]", "columns.sex.levels: '…' is kept for merged small levels."),
    ("age:", "site:", "columns.site: `site` stands for the hospital in every formula. Rename the column."),
    ("algorithm: glm", "algorithm:", "Line 18, analyses.risk.algorithm: nothing is written here."),
    ("dataset: checkup", "dataset: chekup", "Line 19, analyses.risk.dataset: there is no dataset 'chekup'. Did you"),
    ("    family", "    Family", "Line 22, analyses.risk: 'Family' is not an option's name. Options are lower-case"),
    ("family: binomial", "family:", "Line 22, analyses.risk.family: nothing is written here. Give a value, or leave"),
    ("family: binomial", "offset: .nan", "Line 22, analyses.risk.offset: '.nan' is not a finite number. Write a"),
    ("family: binomial", "times: [1, 1e400]", "analyses.risk.times: '1e400' is beyond ±9007199254740991"),
    ("family: binomial", "model: {a: {b: -.inf}}", "analyses.risk.model.a.b: '-.inf' is not a finite number."),
    ("minimum_persons", "minimum_person", "privacy.minimum_person: there is no such key. Did you mean `minimum_per"),
    ("persons: 15", "persons: 0", "privacy.minimum_persons: 0 is outside 1 to 1e+06. Choose a value within."),
    ("persons: 15", "persons: 15.5", "privacy.minimum_persons: '15.5' is not a whole number. Write one from 1 to"),
    ("persons: 15", "persons: true", "privacy.minimum_persons: 'true' is not a whole number."),
    ("persons: 15", "persons: '15'", "privacy.minimum_persons: '15' is not a whole number."),
    ("minimum_persons: 15", "public: yes", "privacy.public: 'yes' is neither true nor false. Write true or false."),
    ("2027-11-01", "2025-11-01", "valid.until: 2025-11-01 lies before valid.from, 2026-11-01. Swap the dates."),
    ("2027-11-01", "2027-02-30", "Line 24, valid.until: '2027-02-30' is not a date. Write year-month-day, for"),
    ("2027-11-01", "20271101", "valid.until: '20271101' is not a date."),
    ("2027-11-01", "1 Nov 2027", "valid.until: '1 Nov 2027' is not a date."),
]


@pytest.mark.parametrize(("written", "instead", "sentence"), REFUSED)
def test_a_finding_names_line_key_value_and_remedy(written, instead, sentence):
    assert written in STUDY
    found = problems(STUDY.replace(written, instead, 1))
    assert any(sentence in problem for problem in found), found


def test_all_findings_are_told_at_once_in_the_order_of_lines():
    text = (
        STUDY.replace("title:", "titel:").replace("[18, 110]", "[110, 18]").replace("checkup\n    l", "chekup\n    l")
    )
    lines = [problem.split(",")[0] for problem in problems(text.replace("2027-11-01", "soon"))]
    assert lines == ["Line 1", "Line 2", "Line 13", "Line 19", "Line 24"]


def test_a_study_that_has_ended_is_refused_when_today_is_known():
    assert "Line 24, valid.until: 2027-11-01 has passed; today is 2027-11-02. Give a later day." in problems(
        STUDY, today=date(2027, 11, 2)
    )
    study = read(STUDY, today=date(2026, 10, 1))
    study.check_dates(date(2026, 11, 1))
    study.check_dates(date(2027, 11, 1))
    for day in (date(2026, 10, 31), date(2027, 11, 2)):
        with pytest.raises(StudyError, match=f"runs from 2026-11-01 until 2027-11-01; today is {day}") as caught:
            study.check_dates(day)
        assert caught.value.code == "STUDY_EXPIRED"


def test_the_algorithm_judges_its_options_and_the_line_is_added():
    def check(algorithm, options, columns):
        assert (algorithm, set(columns)) == ("glm", {"age", "sex", "diabetes"})
        raise StudyError("there is no such family.", "Did you mean `binomial`?", subject="family")

    text = STUDY.replace("binomial", "binomal")
    assert problems(text, check=check) == [
        "Line 22, analyses.risk.family = 'binomal': there is no such family. Did you mean `binomial`?"
    ]

    def unknown(algorithm, options, columns):
        raise StudyError("there is no such algorithm.", "Known here: cox, glm.")

    assert "Line 18, analyses.risk.algorithm = 'glm': there is no such algorithm." in problems(text, check=unknown)[0]


UNREADABLE = [
    ("title: a\ntitle: b", "Line 2, title: this name stands already in line 1."),
    ("a: &x 1\nb: 2", "Line 1: an anchor (&x) stands here. Leave it out."),
    ("a: 1\nb: *x", "Line 2: an alias (*x) stands here. Write the value out."),
    ("a: !!python/object:os.system x", "a tag (tag:yaml.org,2002:python/object:os.system) stands here."),
    ("a:\n  <<: {b: 1}", "Line 2, <<: merge keys are not read. Write the entries out."),
    ("---\na: 1\n---\nb: 2", "Line 4: a second document begins here. Keep one document in a file."),
    ("", "Line 1: the document is empty. `atoll study new` writes one to begin from."),
    ("# nothing", "the document is empty."),
    ("a: b: c", "Line 1: this is not YAML: mapping values are not allowed"),
    ("a:\n\tb: c", "Line 2: this is not YAML"),
    ("a: [1, 2", "this is not YAML"),
    ("? [a]\n: b", "Line 1: a key is a list or a mapping. Write a word before the colon."),
    ("a: " + "[" * 17 + "]" * 17, "the document is nested too deeply."),
    ("a: " + "[" * 100_000, "nest"),
    ("a: " + "x" * MAX_BYTES, f"the document has {MAX_BYTES + 3:,} bytes; at most {MAX_BYTES:,} are read."),
    ("a: 1\nb: \x07", "Line 2: a control character U+0007 stands here. Remove it; save as UTF-8."),
    ("a: \ud800", "a control character U+D800 stands here."),
    ("just words", "'just words' stands where named entries belong."),
]


@pytest.mark.parametrize(("text", "sentence"), UNREADABLE)
def test_what_is_not_plain_yaml_is_refused(text, sentence):
    found = problems(text)
    assert any(sentence in problem for problem in found), found


def test_a_document_that_would_unfold_is_refused_unfolded():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert any("an alias (*a) stands here" in problem for problem in problems(bomb))


def test_bare_words_do_not_surprise():
    text = STUDY.replace("[female, male]", "[no, on, 01, 1e5, 2026-11-01, 12:30, 1_000, 0x1F, true]")
    levels = read(text).datasets["checkup"]["sex"].levels
    assert levels == ("no", "on", "01", "1e5", "2026-11-01", "12:30", "1_000", "0x1F", "true")
    options = "family: no\n    b: on\n    c: 01\n    d: 1e5\n    e: 2026-11-01\n    f: 1_000\n    g: -2.50\n    h: '3'"
    values = read(STUDY.replace("family: binomial", options)).analyses["risk"].options
    assert list(values.values())[1:] == ["no", "on", "01", 100_000, "2026-11-01", "1_000", -2.5, "3"]


def test_names_may_be_chinese():
    study = read(STUDY.replace("north", "协和医院").replace("age:", "年龄:").replace("checkup", "体检"))
    assert "协和医院" in study.sites and "年龄" in study.datasets["体检"]
    assert from_canonical(study.canonical()) == study


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert read("\ufeff" + STUDY) == read(STUDY)


def test_canonical_bytes_are_rfc_8785_and_come_back():
    study = read(STUDY)
    body = study.canonical()
    assert body == json.dumps(study.to_document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert from_canonical(body) == study
    assert study.hash == study_hash(body)
    assert len(study.hash) == 64


def test_layout_and_order_do_not_change_the_hash_but_a_letter_does():
    study = read(STUDY)
    turned = STUDY.replace("  north:\n  river: {}", "  river:\n  north: {}  # later").replace("15", "1.5e1")
    assert read(turned).hash == study.hash
    assert read(STUDY.replace("within three", "within five")).hash != study.hash


NOT_CANONICAL = [
    (b'{"analyses"', b'{ "analyses"'),
    (b'"minimum_persons":15', b'"minimum_persons":15.0'),
    (b'"minimum_persons":15', b'"minimum_persons":1.5e1'),
    (b'"river":{}', b'"river":null'),
    (b'"sites":', b'"sit\\u0065s":'),
    (b'"male"', b"1"),
    (b'"Risk model"', b'"Risk model "'),
    (b'"privacy":{', b'"privacy":{"public":false,'),
]


@pytest.mark.parametrize(("written", "instead"), NOT_CANONICAL)
def test_other_bytes_of_the_same_study_are_refused(written, instead):
    body = read(STUDY).canonical()
    assert written in body
    with pytest.raises(StudyError, match="not in canonical form, so its hash could mean two things") as caught:
        from_canonical(body.replace(written, instead, 1))
    assert caught.value.code == "HASH_MISMATCH"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"\xff", "this is not JSON in UTF-8"),
        (b"{", "this is not JSON in UTF-8"),
        (b"[" * 100_000, r"not JSON|nested too deeply"),
        (b'{"atoll":1,"atoll":1}', "atoll: this name stands twice. Keep one of them."),
        (b'{"atoll":1}', "title: this key is missing"),
        (b'{"atoll":NaN}', "this Atoll reads form 1, not 'NaN'"),
        (b"x" * (MAX_BYTES + 1), "the document has 262,145 bytes"),
    ],
)
def test_bytes_that_are_no_study_are_refused(body, sentence):
    with pytest.raises(Problems, match=sentence):
        from_canonical(body)


@given(at=st.integers(0, len(read(STUDY).canonical()) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_another_study_or_none(at, flip):
    body = bytearray(read(STUDY).canonical())
    body[at] ^= flip
    try:
        study = from_canonical(bytes(body))
    except StudyError:
        return
    assert study.canonical() == bytes(body)
    assert study.hash != read(STUDY).hash


NAMES = st.text("abcxyz_-019年龄é", min_size=1, max_size=8).filter(lambda name: name[0] != "-" and name != "site")
WORDS = st.text("abc XYZ'\"#:,[]{}&*!|>%@`-?~é年\\", min_size=1, max_size=20).filter(lambda text: text.strip())
VALUES = st.recursive(
    WORDS | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "atoll": st.just(1),
        "title": WORDS,
        "purpose": WORDS,
        "investigator": st.fixed_dictionaries({"name": WORDS, "organisation": WORDS}),
        "sites": st.dictionaries(NAMES, st.just({}), min_size=1, max_size=4),
        "datasets": st.just({"d": {"columns": {"x": {"type": "number"}}}}),
        "analyses": st.dictionaries(
            NAMES,
            st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}_", fullmatch=True), VALUES, max_size=3).map(
                lambda options: options | {"algorithm": "glm", "dataset": "d"}
            ),
            min_size=1,
            max_size=3,
        ),
        "valid": st.just({"from": "2026-01-01", "until": "2026-12-31"}),
    },
    optional={"privacy": st.just({"public": True, "grid_days": 0.5})},
)


@given(DOCUMENTS)
def test_every_document_means_the_same_to_people_and_machines(document):
    """JSON is YAML: the document as a person could write it, its canonical bytes, and back."""
    study = read(json.dumps(document, ensure_ascii=False, indent=1))
    assert isinstance(study, Study)
    assert from_canonical(study.canonical()) == study


@given(st.text(max_size=60))
def test_any_text_is_a_study_or_a_sentence(text):
    with pytest.raises(StudyError):
        read(text)


@given(at=st.integers(0, len(STUDY) - 1), noise=st.text(max_size=4), cut=st.integers(0, 5))
def test_any_edit_of_a_study_is_a_study_or_a_sentence(at, noise, cut):
    try:
        study = read(STUDY[:at] + noise + STUDY[at + cut :])
    except StudyError:
        return
    assert from_canonical(study.canonical()) == study


def test_a_steward_writes_a_dictionary_in_the_same_words():
    columns = read_dictionary("columns:\n  age: {type: number, range: [0, null]}\n  id: {type: person}")
    assert (columns["age"].low, columns["age"].high, columns["id"].type) == (0, None, "person")
    with pytest.raises(Problems, match=r"The data dictionary cannot be used:\n  Line 1, column: there is no such key"):
        read_dictionary("column: {}")
    with pytest.raises(Problems, match=r"two columns are of type person\. Keep the one"):
        read_dictionary("columns: {a: {type: person}, b: {type: person}}")
