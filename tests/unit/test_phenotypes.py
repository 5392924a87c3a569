"""The phenotype library: complete, canonical, without faults, in our own words; its figures are reproduced."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.errors import StudyError
from atoll.knowledge import library
from atoll.simulate.facts import CONDITION_AT
from atoll.simulate.hospitals import choose
from atoll.simulate.omop import tables
from atoll.simulate.phenotypes import found_in, judge, write_vocabulary
from atoll.simulate.records import Counters
from atoll.simulate.world import make
from atoll.study.circe import nodes, read, unknown_keys, written
from atoll.study.circe.check import faults
from atoll.study.circe.parts import Concept, ConceptSet
from atoll.study.circe.text import explain
from tests.cdm import load_postgresql

NAMES = library.names()
ENTRIES = [library.phenotype(name) for name in NAMES]
TOP = Path(__file__).parents[2]


def command(*arguments):
    result = CliRunner().invoke(atoll, ["phenotypes", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def concepts_of(definition):
    for _, node in nodes(definition):
        if isinstance(node, ConceptSet):
            yield from (item.concept for item in node.expression.items)
        elif isinstance(node, Concept):
            yield node


def test_there_are_enough():
    assert len(NAMES) >= 30
    assert {file.stem for file in library.HERE.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("one", ENTRIES, ids=NAMES)
def test_an_entry_is_complete_in_both_languages(one):
    assert re.fullmatch(r"\d+\.\d+\.\d+", one.version)
    for texts in (one.title, one.intent):
        assert set(texts) == {"en", "zh"}
        assert all(texts.values())
    assert len(one.limits["en"]) == len(one.limits["zh"]) >= 2
    assert all(re.search("[一-龥]", text) for text in (one.title["zh"], one.intent["zh"], *one.limits["zh"]))
    assert len(one.sources) >= 2
    assert all(re.search(r"\d{4}|Warehouse|3\.37", source) for source in one.sources), "a source names its year"
    if one.truth is not None:
        assert set(one.truth.diseases) <= set(CONDITION_AT)
    assert (one.name in library.figures()) == (one.truth is not None)


@pytest.mark.parametrize("one", ENTRIES, ids=NAMES)
def test_a_definition_is_canonical_and_without_faults(one):
    definition = read(one.text)
    assert written(definition) + "\n" == one.text
    assert faults(definition) == []
    assert list(unknown_keys(definition)) == []


@pytest.mark.parametrize("one", ENTRIES, ids=NAMES)
def test_a_definition_speaks_chinese(one):
    chinese = explain(one.definition("zh"), "zh")
    english = explain(one.definition(), "en")
    assert english != chinese
    rows = [library.concepts()[concept.concept_id] for concept in concepts_of(one.definition())]
    assert not [row["own_name"] for row in rows if len(row["own_name"]) > 9 and row["own_name"] in chinese
                and row["own_name"] != row["zh"]]  # fmt: skip
    assert len(re.findall("[一-龥]", chinese)) > len(english) / 10


def test_every_concept_has_its_own_name_and_none_is_idle():
    used = set()
    for one in ENTRIES:
        for concept in concepts_of(one.definition()):
            row = library.concepts()[concept.concept_id]
            assert concept.concept_name == row["own_name"]
            assert (concept.domain_id, concept.concept_code or "") == (row["domain"], row["code"])
            used.add(concept.concept_id)
    assert used == set(library.concepts())
    assert all(row["zh"] and row["source"] for row in library.concepts().values())


def test_the_stored_figures_are_reproduced():
    """With room for a processor that rounds an exponential differently, which may move a person or two."""
    for figure in judge(ENTRIES):
        stored = library.figures()[figure.name]
        assert (figure.seed, figure.persons) == (stored.seed, stored.persons)
        for now, then in ((figure.true, stored.true), (figure.found, stored.found), (figure.both, stored.both)):
            assert abs(now - then) <= 1 + then / 200, figure


def test_shares_of_nobody_are_none():
    empty = library.Figure("x", 1, 10, 0, 0, 0)
    assert (empty.sensitivity, empty.ppv) == (None, None)
    assert library.Figure("x", 1, 10, 4, 5, 2).sensitivity == 0.5
    assert library.Figure("x", 1, 10, 4, 5, 2).ppv == 0.4


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cdm")
    _, (records,) = make(choose(1), 3, 0, 0, 3_000, [Counters()])
    for name, rows in tables(records).items():
        pq.write_table(rows, folder / f"{name}.parquet")
    write_vocabulary(folder)
    return folder


def test_postgresql_finds_the_same_persons(hospital, database):
    load_postgresql(database, {file.stem: pq.read_table(file) for file in hospital.glob("*.parquet")})
    here = found_in(ENTRIES, f"duckdb:///{hospital}")
    assert found_in(ENTRIES, database) == here
    assert sum(map(bool, here.values())) >= 17, "so many diseases are simulated"


def test_the_command_lists_and_shows():
    code, out, _ = command("list", "--language", "zh")
    assert code == 0
    assert out.split("\n", 1)[0].split() == ["名称", "标题", "真实人数", "灵敏度", "阳性预测值"]
    assert "2型糖尿病" in out and re.search(r"^type_1_diabetes .* 无真值$", out, re.MULTILINE) and "no truth" not in out
    code, out, _ = command("list", "--language", "en")
    assert re.search(r"^type_1_diabetes .* no truth$", out, re.MULTILINE)
    code, out, _ = command("list", "--json")
    entries = {entry["name"]: entry for entry in json.loads(out)}
    assert set(entries) == set(NAMES)
    assert 0.9 < entries["type_2_diabetes"]["figure"]["sensitivity"] <= 1
    code, out, _ = command("show", "type_2_diabetes")
    assert "doi:10.1136/amiajnl-2011-000439" in out
    assert "1. The disease is confirmed" in out
    code, out, _ = command("show", "type_2_diabetes", "--language", "zh")
    assert "已知局限:" in out
    assert "诊断得到证实" in out
    code, out, _ = command("show", "gout", "--circe")
    assert json.loads(out) == {"Title": "Gout"} | json.loads(library.phenotype("gout").text)


def test_the_command_tests_with_and_without_truth(hospital):
    code, out, err = command("test", "gout", "obesity", "--persons", 2_000)
    assert code == 0
    assert re.search(r"^obesity +no truth$", out, re.MULTILINE)
    assert re.search(r"^gout +\d+ +\d+ +\d+ +[01]\.\d\d +[01]\.\d\d$", out, re.MULTILINE)
    assert "an assumption, no measurement" in err
    code, out, _ = command("test", "gout", "--cdm", f"duckdb:///{hospital}", "--json")
    assert json.loads(out)[0]["found"] > 0
    assert json.loads(out)[0]["truth"] is None


def test_a_name_that_is_none():
    with pytest.raises(StudyError, match=r"The library has no phenotype 'gouty'\. Did you mean 'gout'\?"):
        library.phenotype("gouty")
    code, _, err = command("show", "../x")
    assert (code, "See `atoll phenotypes list`." in err) == (10, True)


def test_the_page_is_up_to_date():
    spec = importlib.util.spec_from_file_location("phenotypes_script", TOP / "scripts" / "phenotypes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (TOP / "docs" / "phenotypes.md").read_text("utf-8"), "run scripts/phenotypes.py"
