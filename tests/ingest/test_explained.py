"""A mapping in words, and what two versions of it do differently: whatever of a document changes is said."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from atoll.ingest.explain import counts, differences, explain
from atoll.ingest.expressions import parse
from atoll.ingest.mapping import Each, Mapping, Rule, Same, SourceTable, Written, read_mapping
from tests.ingest.exports import MAPPING, mapping, write

ONE = Written("no", parse("no", (1, 1)), (1, 1), "key")
OTHER = replace(ONE, text="number", tree=parse("number", (1, 1)))
EACH = Each((("code1",), ("code2",)), ("code",), "which", (1, 1))
CHANGED = {  # each field of a document, as a second version may have it
    "name": "other", "source": "fhir", "encoding": "gb18030", "missing": ("?", "NA"),
    "tables": {"results": SourceTable("results", delimiter=";")}, "vocabulary": "v5.0", "match": (ONE,),
    "same": Same("links", ONE, OTHER), "gap": 30, "link_visits": True, "eras": False, "infer_units": 0.9,
    "description": "why",
}  # fmt: skip
OF_A_RULE = {
    "columns": {"person_id": OTHER}, "key": OTHER, "where": ONE, "deleted": ONE, "first": ONE, "distinct": True,
    "each": EACH, "join": {"orders": ("no", "order_no")},
}  # fmt: skip
OF_A_TABLE = {
    "file": "R*.csv", "encoding": "gb18030", "delimiter": ";", "columns": ("a", "b"), "missing": ("?",),
    "sheet": "results", "skip": 2,
}  # fmt: skip
NOT_COMPARED = {"rules", "lists", "digest"}  # by themselves; the digest follows from the others
UNSAID = {"name", "description"}


def with_rule(document, **changed):
    return replace(document, rules=(*document.rules[:-1], replace(document.rules[-1], **changed)))


@pytest.mark.parametrize("name", [part.name for part in fields(Mapping) if part.name not in NOT_COMPARED])
def test_every_part_of_a_document_is_compared_and_told(tmp_path, name):
    old = mapping(tmp_path)
    new = replace(old, **{name: CHANGED[name]})
    (line,) = differences(old, new)[:1]
    assert "→" in line
    assert differences(new, old) != []
    if name not in UNSAID:
        assert explain(old) != explain(new)


@pytest.mark.parametrize("name", [part.name for part in fields(Rule)
                                  if part.name not in ("to", "source", "place", "position", "turn")])  # fmt: skip
def test_every_part_of_a_rule_is_compared_and_told(tmp_path, name):
    old = mapping(tmp_path)
    new = with_rule(old, **{name: OF_A_RULE[name]})
    assert all(line.startswith("  measurement from results: ") for line in differences(old, new))
    assert differences(old, new) != [] != differences(new, old)
    assert explain(old) != explain(new)


@pytest.mark.parametrize("name", [part.name for part in fields(SourceTable) if part.name not in ("name", "place")])
def test_every_part_of_a_table_is_compared_and_told(tmp_path, name):
    table = SourceTable("results")
    old = replace(mapping(tmp_path), tables={"results": table})
    new = replace(old, tables={"results": replace(table, **{name: OF_A_TABLE[name]})})
    (line,) = differences(old, new)
    assert line.startswith(f"  source.tables.results.{name}: nothing → ")
    assert len(explain(new)) == len(explain(old)) + 1


def test_where_a_part_stands_is_no_difference(tmp_path):
    old = mapping(tmp_path)
    assert differences(old, mapping(tmp_path, "# a comment\n" + MAPPING.replace("year(date", "year( date"))) == []


def test_an_order_that_changes_what_is_made_is_told(tmp_path):
    old = mapping(tmp_path, MAPPING.replace("    key: row\n", ""))
    text = MAPPING.replace("    key: row\n", "")
    unit, person = "      unit_source_value: unit\n", "      person_id: patient\n      visit_occurrence_id"
    moved = text.replace(unit, "").replace(person, unit + person)
    (line,) = differences(old, mapping(tmp_path, moved))
    assert "another order" in line
    a, b = ("x", "x"), ("y", "y")
    joined = [with_rule(old, join=join) for join in ({"a": a, "b": b}, {"b": b, "a": a})]
    assert differences(*joined) == ["  measurement from results: join: a, b → b, a"]


def test_a_column_of_a_list_that_is_called_otherwise_is_told(tmp_path):
    old = mapping(tmp_path / "old", sex="code,concept\nM,8507\nF,8532\n")
    new = mapping(tmp_path / "new", sex="code,concept_id\nM,8507\nF,8532\n")
    assert differences(old, new) == ["  list sex: 0 codes more, 0 fewer, 2 changed"]


def test_what_is_left_out_and_filled_in_is_told(tmp_path):
    rule = "    from: results\n"
    text = MAPPING.replace(rule, f'{rule}    deleted: state = "X"\n').replace(
        "rules:", "units: {infer: 0.95}\neras: {build: false}\nrules:"
    )
    told = explain(mapping(tmp_path, text))
    assert "A field is missing where it is empty or holds “?”." in told
    assert "  Rows where ([state] = “X”) are deleted, and left out." in told
    assert "A missing unit is filled in where its probability is 0.95 or more." in told
    assert "Eras of conditions and drugs are not built." in told


def test_explanations():
    sentences = explain(read_mapping(Path("examples/exports/his/mapping.yaml")))
    assert "Each row of patients becomes a row of person." in sentences
    assert "  gender_concept_id is what the list “sex” says of [性别]." in sentences
    assert "  year_of_birth is the year of the day in [出生日期]." in sentences


def test_differences_and_their_effect_on_counts(tmp_path):
    export = write(tmp_path / "export")
    old = mapping(tmp_path / "old")
    new = mapping(tmp_path / "new", MAPPING.replace("number(value)", "number(unit)"), sex="code,concept_id\nM,8507\n")
    assert differences(old, old) == []
    assert differences(old, new) == [
        "  measurement from results: value_as_number: number(value) → number(unit)",
        "  list sex: 0 codes more, 1 fewer, 0 changed",
    ]
    effect = counts(old, new, str(export), None)
    assert {"table": "measurement", "what": "unreadable value_as_number", "before": 0, "after": 3} in effect
    assert {"table": "list sex", "what": "rows without a concept", "before": 0, "after": 2} in effect
