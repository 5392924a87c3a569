"""A look-up says the same wherever an expression may stand: in a rule's columns, and where it chooses rows."""

from __future__ import annotations

import pytest

from atoll.ingest.checking import check_against
from atoll.ingest.expressions import ExpressionError, parse
from atoll.ingest.load import load
from atoll.ingest.rule_source import RuleScope
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, RESULTS, SEX, TODAY, loaded, mapping, reasons, rows, write

LISTS = {"kinds": "code,keep\n2345-7,yes\n9999-9,no\n", "cards": "code,real\nk1,a\nk2,a\nk3,b\n"}
LOOKED = MAPPING.replace("{sex: sex.csv}", "{sex: sex.csv, kinds: kinds.csv, cards: cards.csv, own: own.csv}")
RULE = "    from: results\n    key: row\n"
VALUES = "SELECT value_as_number FROM measurement ORDER BY 1"
GLUCOSE = [(5.1,), (99.5,)]


def made(folder, text, **tables):
    """A load of this mapping; of a list called `own` the codes are those of `RESULTS`, without a concept for one."""
    export = write(folder / "export", **tables)
    document = mapping(folder / "mapping", text, own="code,concept_id\n2345-7,3004501\n", **LISTS)
    check_against(document, str(export))
    return load(document, str(export), folder / "cdm.duckdb", today=TODAY)


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ('lookup("kinds", code, "keep") = "yes"', GLUCOSE),
        ('lookup("own", code) = 3004501', GLUCOSE),
        ('lookup("own", code) = 0', [(1.0,)]),  # a code without a concept, as in a column
        ('code("LOINC", code) > 0', GLUCOSE),
        ("unit(unit) > 0", GLUCOSE),
        ("result(value) > 5", GLUCOSE),
        ('convert(number(value), unit, "mmol/L", "glucose") < 5.2', [(1.0,), (5.1,)]),
        ("low(value) is missing and high(value) is missing and operator(value) is missing and result(value) = 1",
         [(1.0,)]),
        ('lookup("kinds", lookup("cards", card, "real"), "keep") is missing and finding(value) is missing',
         [(1.0,), *GLUCOSE]),
    ],
)  # fmt: skip
def test_a_lookup_chooses_rows(tmp_path, condition, left):
    text = RESULTS.replace("unit\n", "unit,card\n", 1).replace("mg/dL", "mg/dL,k1")
    text = text.replace("mmol/L", "mmol/L,k2").replace(",x\n", ",x,k3\n")
    rule = LOOKED[LOOKED.index("  - to: measurement") :]
    kept = rule.replace(RULE, f"{RULE}    where: {condition}\n")
    others = rule.replace(RULE, f"{RULE}    deleted: {condition}\n").replace(
        "_number: number(value)", "_number: number(value) + 1000"
    )
    made(tmp_path, LOOKED.replace(rule, kept + others), results=text)
    there = [value for (value,) in rows(tmp_path, VALUES)]
    assert [(value,) for value in there if value < 1000] == left
    assert [(round(value - 1000, 1),) for value in there if value > 1000] == sorted({(1.0,), *GLUCOSE} - set(left))


def test_a_code_of_a_row_that_is_not_loaded_is_not_named(tmp_path):
    rule = f'{RULE}    where: lookup("own", code) > 0\n'
    report = made(tmp_path, LOOKED.replace(RULE, rule).replace('code("LOINC", code)', 'lookup("own", code)'))
    assert rows(tmp_path, VALUES) == GLUCOSE
    assert report.unmapped == []


def test_what_is_signed_in_a_range_or_in_words_chooses_rows(tmp_path):
    results = RESULTS.replace("99.5", "<0.5").replace("5.1", "3-5").replace(",1,x", ",阴性,x")
    asked = {
        "operator(value) > 0": "<0.5",
        "low(value) = 3": "3-5",
        "high(value) < 1": "<0.5",
        "finding(value) > 0": "阴性",
    }
    rule = LOOKED[LOOKED.index("  - to: measurement") :].replace("value_as_number: number", "value_source_value: text")
    each = [
        rule.replace(RULE, f"{RULE}    where: {one}\n").replace(
            "unit_source_value: unit", f"meas_event_field_concept_id: {n}"
        )
        for n, one in enumerate(asked)
    ]
    made(tmp_path, LOOKED[: LOOKED.index("  - to: measurement")] + "".join(each), results=results)
    found = "SELECT value_source_value FROM measurement ORDER BY meas_event_field_concept_id"
    assert [text for (text,) in rows(tmp_path, found)] == list(asked.values())


def test_a_key_with_a_lookup_tells_rows_apart_where_the_first_counts(tmp_path):
    text = LOOKED.replace("    key: row\n", "    key: concat(patient, result(value))\n    first: result(value)\n")
    twice = RESULTS + "d,1,v1,2020-01-11,2345-7,99.5,mg/dL\n"
    assert reasons(made(tmp_path, text, results=twice)) == {}
    assert rows(tmp_path, VALUES) == [(1.0,), *GLUCOSE]


def test_the_first_by_a_lookup(tmp_path):
    text = LOOKED.replace("    key: row\n", '    key: patient\n    first: lookup("kinds", code, "keep")\n')
    made(tmp_path, text)
    assert rows(tmp_path, VALUES) == [(1.0,), (5.1,)]  # `no` stands before `yes`


def test_rows_without_a_key_are_named_where_the_first_counts(tmp_path):
    text = MAPPING.replace(RULE, RULE.replace("row", "visit") + "    first: value\n")
    report = loaded(tmp_path, text, results=RESULTS.replace("a,1,v1", "a,1,").replace("b,2,v2", "b,2,"))
    assert reasons(report) == {"no key": 2}


def test_patients_are_matched_and_said_to_be_one_by_lookups(tmp_path):
    patients = "id,sex,born,died,card\n1,M,1950-02-03,,k1\n2,M,1950-02-03,,k2\n3,M,1950-02-03,,k3\n"
    match = 'persons: {match: [\'lookup("cards", card, "real")\']}\nrules:'
    made(tmp_path / "match", LOOKED.replace("rules:", match), patients=patients)
    assert rows(tmp_path / "match", "SELECT count(*) FROM person") == [(2,)]
    same = 'persons: {same: {table: links, key: \'lookup("cards", old, "real")\', is: now}}\nrules:'
    text = LOOKED.replace("rules:", same)
    made(tmp_path / "same", text, patients=patients.replace("\n1,", "\na,"), links="old,now\nk2,3\n")
    assert rows(tmp_path / "same", "SELECT count(*) FROM person") == [(2,)]


def test_patients_are_matched_by_a_column_of_a_joined_table(tmp_path):
    text = MAPPING.replace("rules:", "persons: {match: [idno]}\nrules:")
    text = text.replace("    key: id\n", "    key: id\n    join: {cards: [id, patient]}\n", 1)
    same = "id,sex,born,died\n1,M,1950-02-03,\n2,M,1950-02-03,\n"
    loaded(tmp_path, text, patients=same, cards="patient,idno\n1,x\n2,x\n")
    assert rows(tmp_path, "SELECT count(*) FROM person") == [(1,)]


def test_a_scope_whose_lookups_nobody_joins_accepts_none():
    from atoll.ingest.compiler import compiled

    with pytest.raises(ExpressionError, match="nothing can be looked up here") as found:
        compiled(parse('1 = lookup("sex", "M")', (7, 3)), RuleScope(None, None))
    assert found.value.place == (7, 7)


def test_a_list_that_is_not_there_is_said_where_it_is_looked_up(tmp_path):
    text = MAPPING.replace(RULE, f'{RULE}    where: lookup("kind", code, "keep") = "yes"\n')
    with pytest.raises(Problems) as found:
        check_against(mapping(tmp_path / "mapping", text), str(write(tmp_path / "export")))
    assert "no code list called 'kind'" in str(found.value)


@pytest.mark.parametrize(
    ("sex", "expression", "said"),
    [
        ("code,concept\nM,8507\nF,8532\n", 'lookup("sex", sex)', "sex.csv has no column 'concept_id'"),
        ("code,concept\nM,8507\nF,8532\n", 'integer(lookup("sex", sex, "concepts"))', "no column 'concepts'"),
        (SEX, 'integer(lookup("sex", sex, "concept"))', "Beside its codes it has: concept_id, source_concept_id"),
    ],
)
def test_a_list_without_the_column_that_is_asked_is_refused(tmp_path, sex, expression, said):
    """Else each code of it would be one that nobody knows."""
    text = MAPPING.replace('lookup("sex", sex)', expression)
    with pytest.raises(Problems) as found:
        check_against(mapping(tmp_path / "mapping", text, sex=sex), str(write(tmp_path / "export")))
    told = str(found.value)
    assert said in told and "Line 11, column" in told
    assert "Beside its codes it has: concept" in told


def test_a_lookup_of_the_source_concept_is_a_concept(tmp_path):
    text = MAPPING.replace(
        "      year_of", '      gender_source_concept_id: lookup("sex", sex, "source_concept_id")\n      year_of', 1
    )
    sex = "code,concept_id,source_concept_id\nM,8507,2000000007\nF,8532,\n"
    load(mapping(tmp_path / "m", text, sex=sex), str(write(tmp_path / "x")), tmp_path / "cdm.duckdb", today=TODAY)
    found = rows(tmp_path, "SELECT DISTINCT gender_concept_id, gender_source_concept_id FROM person ORDER BY 1")
    assert found == [(8507, 2000000007), (8532, None)]
