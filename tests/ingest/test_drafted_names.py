"""Columns may be called as they like: words of the expressions, of YAML, signs. A draft names them so that it reads."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.ingest.checking import check_against
from atoll.ingest.drafts.drafting import named, scalar, word
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.expressions import _WORDS, Call, Name, parse
from atoll.ingest.mapping import mapping_from, read_mapping

SIGNS = st.characters(exclude_categories=("C", "Zl", "Zp"))  # a mapping takes no invisible ones
COLUMN = st.text(SIGNS, min_size=1).map(str.strip).filter(bool)  # as the readers of files give them


@given(COLUMN | st.sampled_from(sorted(_WORDS)))
def test_a_name_is_read_back(name):
    assert parse(named(name)) == Name(name)
    assert parse(f"date({named(name)})") == Call("date", (Name(name),))


@given(COLUMN | st.sampled_from([*sorted(_WORDS), "no", "null", "~", "1e5", "a: b", "a #b", "a:"]))
def test_a_name_stands_in_yaml_as_it_is(name):
    text = (
        f"mapping: 1\nname: {word('own')}\nrules:\n  - to: person\n    from: {word(name)}\n"
        f"    key: {scalar(named(name))}\n    columns: {{}}\n    each: {{columns: [{word(name)}], value: v}}\n"
    )
    (rule,) = mapping_from(text, None).rules
    assert (rule.source, rule.key.tree, rule.each.groups) == (normalize("NFC", name), Name(name), ((name,),))


@pytest.mark.parametrize("name", sorted(_WORDS))
def test_a_draft_with_words_of_the_language_as_columns_passes_the_check(tmp_path, name, monkeypatch):
    """Every meaning once under that name: as the start of a visit it becomes part of a longer expression."""
    monkeypatch.setattr(
        "atoll.ingest.scan.meaning_of", lambda column, table="": {name: "start"}.get(column, MEANINGS.get(column, ""))
    )
    lines = [f"sex,born,patient_id,visit_id,class,{name}"]
    lines += [f"M,1950-01-0{i + 1},p{i},v{i},I,2020-01-0{i + 1}" for i in range(9)]
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "visits.csv").write_text("\n".join(lines) + "\n")
    propose(str(tmp_path / "x"), tmp_path / "m" / "own.yaml", "own")
    drafted = read_mapping(tmp_path / "m" / "own.yaml")
    check_against(drafted, str(tmp_path / "x"))
    assert any(name in rule.names() for rule in drafted.rules)


MEANINGS = {"sex": "sex", "born": "birth", "patient_id": "person", "visit_id": "visit", "class": "visit_kind"}
