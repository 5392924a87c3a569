"""Reviewing suggestions: what stands after decisions and undoing, in the terminal, on the page, and for Usagi."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from atoll.cli.main import atoll
from atoll.cli.own_names import own_names
from atoll.cli.review.page import application
from atoll.errors import DataError
from atoll.ingest.terms.files import read_contexts
from atoll.ingest.terms.names import ConceptNames
from atoll.ingest.terms.review import NOTHING, Review, read_items, write_list
from atoll.ingest.terms.usagi import COLUMNS, read_usagi, write_usagi
from atoll.knowledge.called import is_code
from atoll.settings import settings

SUGGESTED = """name,rank,concept_id,probability,reason
ALT,1,3,0.9700,same analyte
ALT,2,4,0.0200,similar letters
Glucose,1,1,0.8000,same analyte
Glucose,2,2,0.1500,same analyte
Glucose,1,2,0.9000,specimen urine
Mystery,0,,0.0000,no candidate
"""


@pytest.fixture
def suggestions(tmp_path: Path) -> Path:
    path = tmp_path / "suggested.csv"
    path.write_text(SUGGESTED)
    return path


def opened(suggestions: Path, *, both: bool = False) -> Review:
    return Review(read_items(suggestions), suggestions.with_name("journal.jsonl"), both=both)


def test_one_name_in_two_places_is_two_items(suggestions: Path) -> None:
    contexts = {"Glucose": [{"unit": "mg/dL"}, {"unit": ""}]}
    items = read_items(suggestions, contexts, {3: "Alanine aminotransferase"})
    assert [item.key for item in items] == ["ALT\t1", "Glucose\t1", "Glucose\t2", "Mystery\t1"]
    assert items[0].candidates[0].concept_name == "Alanine aminotransferase"
    assert items[1].context == {"unit": "mg/dL"}
    assert items[3].candidates == ()


def test_decisions_stand_until_undone(suggestions: Path) -> None:
    review = opened(suggestions)
    review.decide("ana", "ALT\t1", 3)
    review.decide("ana", "Glucose\t1", NOTHING)
    assert [item.key for item in review.open_for("ana")] == ["Glucose\t2", "Mystery\t1"]
    undone = review.undo("ana")
    assert undone is not None
    assert undone.name == "Glucose"
    assert next(iter(review.open_for("ana"))).key == "Glucose\t1"
    assert review.undo("ana") is not None
    assert review.undo("ana") is None
    assert review.status("ana") == {"names": 4, "settled": 0, "disputed": 0, "open": 4}


def test_the_journal_is_all_there_is(suggestions: Path) -> None:
    first = opened(suggestions)
    first.decide("ana", "ALT\t1", 3)
    first.decide("ana", "ALT\t1", 4)
    first.undo("ana")
    again = opened(suggestions)
    assert [(item.name, decision.concept_id) for item, decision, _ in again.settled()] == [("ALT", 3)]
    lines = first.journal.read_text("utf-8").splitlines()
    assert len(lines) == 3  # nothing is rewritten
    with first.journal.open("a") as file:
        file.write('{"half a li')
    assert len(opened(suggestions).settled()) == 1  # a line that is being written does not count yet


def test_two_reviewers_must_agree(suggestions: Path) -> None:
    ana, bo = opened(suggestions, both=True), opened(suggestions, both=True)
    ana.decide("ana", "ALT\t1", 3)
    bo.refresh()
    assert bo.settled() == []
    assert "ALT\t1" in [item.key for item in bo.open_for("bo")]
    bo.decide("bo", "ALT\t1", 4)
    assert [item.name for item in bo.disputed()] == ["ALT"]
    bo.undo("bo")
    bo.decide("bo", "ALT\t1", 3)
    (item, decision, authors) = bo.settled()[0]
    assert (item.name, decision.concept_id, authors) == ("ALT", 3, ("ana", "bo"))


def test_what_cannot_be_decided_says_why(suggestions: Path, tmp_path: Path) -> None:
    review = opened(suggestions)
    with pytest.raises(DataError, match="no such name"):
        review.decide("ana", "nonsense", 3)
    with pytest.raises(DataError, match="needs a reviewer"):
        review.decide(" ", "ALT\t1", 3)
    (tmp_path / "journal.jsonl").write_text("not a journal\n")
    with pytest.raises(DataError, match="is not a journal of decisions"):
        opened(suggestions)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not a file of suggestions"):
        read_items(tmp_path / "other.csv")


def test_the_code_list_names_author_date_and_source(suggestions: Path, tmp_path: Path) -> None:
    review = opened(suggestions)
    review.decide("ana", "ALT\t1", 3)
    review.decide("ana", "Glucose\t1", 77)
    review.decide("ana", "Mystery\t1", NOTHING)
    assert write_list(tmp_path / "codes.csv", review) == 2
    rows = list(csv.DictReader((tmp_path / "codes.csv").open(encoding="utf-8")))
    assert [(row["name"], row["concept_id"], row["authors"], row["source"]) for row in rows] == [
        ("ALT", "3", "ana", "suggestion 1"), ("Glucose", "77", "ana", "typed"),
    ]  # fmt: skip
    assert rows[0]["date"][:2] == "20"


def test_usagi_there_and_back(suggestions: Path, tmp_path: Path) -> None:
    review = opened(suggestions)
    review.decide("ana", "ALT\t1", 3)
    review.decide("ana", "Mystery\t1", NOTHING)
    assert write_usagi(tmp_path / "usagi.csv", review) == 4
    rows = list(csv.DictReader((tmp_path / "usagi.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["mappingStatus"] for row in rows] == ["APPROVED", "UNCHECKED", "UNCHECKED", "APPROVED"]
    assert (rows[3]["equivalence"], rows[3]["conceptId"]) == ("UNMATCHED", "0")
    name, concept, author, date, source = read_usagi(tmp_path / "usagi.csv")[0]
    assert (name, concept, author, source) == ("ALT", 3, "ana", "Usagi")
    assert date == next(iter(review.settled()))[1].at[:10]
    with pytest.raises(DataError, match="it has no column sourceCode"):
        read_usagi(suggestions)


def run(*arguments: str, keys: str = "") -> str:
    result = CliRunner().invoke(atoll, list(arguments), input=keys, standalone_mode=True)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_terminal(suggestions: Path, tmp_path: Path) -> None:
    journal = str(tmp_path / "journal.jsonl")
    shown = run("terms", "review", str(suggestions), "--journal", journal, "--reviewer", "ana",
                keys="1\n2\nu\n0\ns\nx\nt\n42\nt\n42\nq\n")  # fmt: skip
    assert "ALT" in shown
    assert "97.0%" in shown
    assert "Undone: Glucose" in shown
    assert "Type it once more to take it." in shown
    assert "3 of 4 settled, 1 open for ana, 0 disputed." in shown
    out = tmp_path / "codes.csv"
    run("terms", "export", str(suggestions), "--journal", journal, "--out", str(out))
    assert [row["concept_id"] for row in csv.DictReader(out.open(encoding="utf-8"))] == ["3", "42"]
    run("terms", "export", str(suggestions), "--journal", journal, "--usagi", "--out", str(tmp_path / "usagi.csv"))
    run("terms", "import-usagi", str(tmp_path / "usagi.csv"), "--out", str(out), "--replace")
    assert "ALT" in out.read_text("utf-8")


def test_an_undone_name_comes_next_also_after_a_later_one(suggestions: Path, tmp_path: Path) -> None:
    shown = run("terms", "review", str(suggestions), "--journal", str(tmp_path / "j.jsonl"), "--reviewer", "ana",
                keys="s\n0\nu\n0\nq\n")  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text("utf-8").splitlines()]
    assert [line.get("item") for line in lines] == ["Glucose\t1", None, "Glucose\t1"]
    assert "Undone: Glucose" in shown


def test_a_typed_concept_that_is_nowhere_is_refused(suggestions: Path, tmp_path: Path) -> None:
    (tmp_path / "concepts.csv").write_text("concept_id,concept_name\n42,Something in Blood\n")
    typed = "t\n2146000001\nt\n42\nt\n8507\nq\n"  # in no file; in the file; in the starter set
    shown = run("terms", "review", str(suggestions), "--journal", str(tmp_path / "j.jsonl"), "--reviewer", "ana",
                "--concepts", str(tmp_path / "concepts.csv"), keys=typed)  # fmt: skip
    assert "Concept 2146000001 is in none of the files of concepts, nor in the vocabulary." in shown
    lines = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text("utf-8").splitlines()]
    assert [(line["item"], line["concept_id"]) for line in lines] == [("ALT\t1", 42), ("Glucose\t1", 8507)]


def test_names_come_from_the_starter_set_the_suggestions_and_a_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "suggested.csv"
    path.write_text("name,rank,concept_id,probability,reason,concept_name\n男,1,8507,0.9,x,\nA,1,7,0.9,x,Seven\n")
    vocabulary = tmp_path / "vocabulary.duckdb"
    with duckdb.connect(str(vocabulary)) as made:
        made.execute("CREATE TABLE concept AS SELECT 99 AS concept_id, 'Ninety-nine' AS concept_name")
    shown = run("terms", "review", str(path), "--journal", str(tmp_path / "j.jsonl"), "--reviewer", "ana",
                "--vocabulary", str(vocabulary), keys="1\nt\n98\nt\n99\n")  # fmt: skip
    assert "MALE" in shown
    assert "Seven" in shown
    assert "Concept 98 is in none" in shown
    assert '"concept_id": 99' in (tmp_path / "j.jsonl").read_text("utf-8")


def test_concepts_that_are_named_by_a_code_have_our_words() -> None:
    """SNOMED's own names are not in the package."""
    for language, words in (("en", "raised blood lipids"), ("zh", "高脂血症")):
        named = ConceptNames((), None, own_names(), language)
        assert named.names[432867].startswith(words)
        assert named.names[432867].endswith("(SNOMED 55822004)")
    assert named.names[1503297] == "metformin"
    bare = [number for number, name in named.names.items() if is_code(name)]
    assert not set(bare) & set(own_names())


def test_a_reviewer_sees_code_and_rows_beside_the_name(suggestions: Path, tmp_path: Path) -> None:
    names = tmp_path / "test.csv"
    names.write_text("code,name,concept_id,unit,rows\nA1,ALT,3,U/L,90\nA2,ALT,,U/L,5\nG,Glucose,,mmol/L,7\n")
    assert read_contexts(names)["ALT"] == [{"code": "A1", "unit": "U/L", "rows": "95"}]
    shown = run("terms", "review", str(suggestions), "--journal", str(tmp_path / "j.jsonl"), "--reviewer", "ana",
                "--names", str(names), keys="q\n")  # fmt: skip
    assert "ALT  (code A1, unit U/L, rows 95)" in shown


def test_that_two_must_agree_is_written_in_the_journal(suggestions: Path, tmp_path: Path) -> None:
    ana, bob = opened(suggestions, both=True), opened(suggestions, both=True)
    ana.decide("ana", "ALT\t1", 3)
    bob.decide("bob", "ALT\t1", 4)
    ana.decide("ana", "Mystery\t1", 3)
    bob.decide("bob", "Mystery\t1", 3)
    ana.undo("ana")
    ana.decide("ana", "Mystery\t1", 3)
    assert opened(suggestions).both
    said = run("terms", "export", str(suggestions), "--journal", str(ana.journal), "--out", str(tmp_path / "codes.csv"))
    assert "only what two reviewers decided alike is written" in said
    assert "1 names that reviewers decided differently are left out." in said
    rows = list(csv.DictReader((tmp_path / "codes.csv").open(encoding="utf-8")))
    assert [row["name"] for row in rows] == ["Mystery"]


def test_decisions_that_differ_are_said_where_one_is_enough(suggestions: Path, tmp_path: Path) -> None:
    review = opened(suggestions)
    review.decide("ana", "ALT\t1", 3)
    review.decide("bob", "ALT\t1", 4)
    out = str(tmp_path / "codes.csv")
    said = run("terms", "export", str(suggestions), "--journal", str(review.journal), "--out", out)
    assert "1 names that reviewers decided differently are written with the decision that came last." in said


def test_usagi_knows_no_day_where_it_writes_none(tmp_path: Path) -> None:
    rows = [("ALT", "1"), ("AST", "0"), ("GGT", "")]
    text = "".join(f"{name},{name},APPROVED,3,{moment}\n" for name, moment in rows)
    (tmp_path / "u.csv").write_text("sourceCode,sourceName,mappingStatus,conceptId,statusSetOn\n" + text)
    assert [row[3] for row in read_usagi(tmp_path / "u.csv")] == ["1970-01-01", "", ""]


def page(suggestions: Path) -> tuple[TestClient, Review]:
    review = opened(suggestions)
    return TestClient(application(review, "ana", "secret", 80), base_url="http://127.0.0.1:80"), review


def test_the_page_decides_and_undoes(suggestions: Path) -> None:
    client, review = page(suggestions)
    with client:
        headers = {"host": "127.0.0.1:80"}
        assert "Terms to review" in client.get("/secret/", headers=headers).text
        assert client.get("/secret/review.js", headers=headers).headers["content-type"].startswith("text/javascript")
        state = client.get("/secret/state", headers=headers).json()
        assert state["items"][0]["name"] == "ALT"
        body = {"do": "decide", "item": state["items"][0]["key"], "concept_id": 3}
        assert client.post("/secret/state", json=body, headers=headers).json()["settled"] == 1
        body = {"do": "decide", "item": "Mystery\t1", "concept_id": 0}
        assert client.post("/secret/state", json=body, headers=headers).json()["settled"] == 2
        undone = client.post("/secret/state", json={"do": "undo"}, headers=headers).json()
        assert (undone["undone"], undone["items"][-1]["key"]) == ("Mystery\t1", "Mystery\t1")
        assert client.post("/secret/state", json={"do": "undo"}, headers=headers).json()["settled"] == 0
        assert client.get("/secret/atoll.css", headers=headers).text.startswith("/* Atoll's pages")
    assert len(review.journal.read_text("utf-8").splitlines()) == 4


def test_a_concept_that_nothing_here_knows_is_asked_for_twice(suggestions: Path) -> None:
    review = Review(read_items(suggestions), suggestions.with_name("j.jsonl"), known=lambda concept: None)
    with TestClient(application(review, "ana", "secret", 80), base_url="http://127.0.0.1:80") as client:
        client.headers["host"] = "127.0.0.1:80"
        body = {"do": "decide", "item": "ALT\t1", "concept_id": 999999999}
        first = client.post("/secret/state", json=body)
        assert first.status_code == 400
        assert "Concept 999999999 is none that Atoll has a name for" in first.json()["error"]
        assert not review.journal.exists()
        assert client.post("/secret/state", json=body).json()["settled"] == 1
    assert '"source": "typed, not looked up"' in review.journal.read_text("utf-8")


@pytest.mark.parametrize("language", ["zh", ""])
def test_the_page_speaks_the_language_that_the_program_was_given(
    suggestions: Path, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_LANGUAGE", language)
    settings.cache_clear()
    client, _ = page(suggestions)
    with client:
        assert client.get("/secret/state", headers={"host": "127.0.0.1:80"}).json()["language"] == language
    settings.cache_clear()


def test_the_page_is_for_this_machine_and_its_address_only(suggestions: Path) -> None:
    client, review = page(suggestions)
    with client:
        good = {"host": "127.0.0.1:80"}
        assert client.get("/guess/state", headers=good).status_code == 404
        assert client.get("/secret/state", headers={"host": "evil.example"}).status_code == 404
        assert client.get("/secret/passwd", headers=good).status_code == 404
        form = client.post("/secret/state", content="do=undo", headers={**good, "content-type": "text/plain"})
        assert form.status_code == 415
        wrong: list[object] = [
            {"do": "decide"},
            {"do": "decide", "item": "x", "concept_id": "y"},
            [],
            {"do": "decide", "item": "x", "concept_id": 1},
        ]
        for body in wrong:
            answer = client.post(
                "/secret/state", content=json.dumps(body), headers={**good, "content-type": "application/json"}
            )
            assert answer.status_code == 400
        assert "script-src 'self'" in client.get("/secret/", headers=good).headers["content-security-policy"]
    assert not review.journal.exists()
