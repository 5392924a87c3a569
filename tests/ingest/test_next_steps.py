"""From the check of a mapping to a quality page, each command says the next one, as it can be typed."""

from __future__ import annotations

import csv
import shlex

import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.cli.output import command_line
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, VISITS


def run(*words, code=0, keys=None):
    found = CliRunner().invoke(atoll, [str(word) for word in words], input=keys, standalone_mode=True)
    assert found.exit_code == code, found.output
    return found.output


def next_of(output):
    """What follows `Next: `, as words."""
    (line,) = [line for line in output.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "ex ports"
    folder.mkdir()
    for name, text in (("patients", PATIENTS), ("visits", VISITS), ("results", RESULTS)):
        (folder / f"{name}.csv").write_text(text)
    (tmp_path / "small.yaml").write_text(MAPPING)
    (tmp_path / "sex.csv").write_text("code,concept_id\nM,8507\nF,8532\n")
    return folder


def test_from_the_check_to_the_quality_page(export, tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    words = next_of(run("mapping", "check", "small.yaml"))
    assert words == ["atoll", "mapping", "check", "small.yaml", "--from", "EXPORT"]
    said = run("mapping", "check", "small.yaml", "--from", export)
    assert "4 rules fit the export" in said
    words = [word.replace("FOLDER", str(tmp_path)) for word in next_of(said)]
    url = f"duckdb://{tmp_path}/cdm.duckdb"
    assert words == ["atoll", "load", "small.yaml", "--from", str(export), "--cdm", f"duckdb:///{tmp_path}/cdm.duckdb",
                     "--report", "load.json"]  # fmt: skip
    words = next_of(run(*words[1:6], url))
    assert words == ["atoll", "cdm", "validate", url]
    words = next_of(run(*words[1:]))
    assert words == ["atoll", "quality", "run", "--cdm", url, "--report", "quality.json", "--page", "quality.html"]
    said = run(*words[1:])
    assert "quality.html says of every family of checks what to do about a failure." in said
    assert next_of(said)[:5] == ["correct", "the", "mapping,", "load", "again,"]


def test_a_mapping_without_a_concept_in_its_lists_does_not_fit(export, tmp_path):
    (tmp_path / "sex.csv").write_text("code,concept_id,rows\nM,,2\nF,0,1\n")
    said = run("mapping", "check", tmp_path / "small.yaml", "--from", export)
    assert "fit the export" not in said
    assert "none of its code lists holds a concept yet" in said
    assert ["sex.csv", "2", "0"] in [line.split() for line in said.splitlines()]
    words = next_of(said)
    at = words.index("suggest")
    assert words[at - 2 : at + 2] == ["atoll", "terms", "suggest", str(tmp_path / "sex.csv")]


def test_codes_without_a_unit_are_told(export, tmp_path):
    (tmp_path / "sex.csv").write_text("code,concept_id,unit\nM,8507,\nF,8532,mmHg\n")
    said = run("mapping", "check", tmp_path / "small.yaml", "--from", export)
    assert "sex.csv: 1 codes have no unit there; a value whose row gives none has none." in said


def test_from_names_to_a_list_in_the_mapping(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.csv").write_text("name\nglucose\n")
    (tmp_path / "concepts.csv").write_text("concept_id,concept_name\n1,Glucose [Mass/volume] in Blood\n")
    said = run("terms", "suggest", "names.csv", "--concepts", "concepts.csv", "--out", "suggested.csv")
    words = next_of(said)
    assert words[:4] == ["atoll", "terms", "review", "suggested.csv"]
    assert words[-3:] == ["--reviewer", "YOU", "--page"]
    words = next_of(run(*words[1:-1], keys="1\n"))
    assert words[:4] == ["atoll", "terms", "export", "suggested.csv"]
    words = next_of(run(*words[1:-1], "glucose.csv"))
    assert "{glucose:" in words
    assert words[-6:] == ["atoll", "mapping", "check", "MAPPING", "--from", "EXPORT"]
    with (tmp_path / "glucose.csv").open(encoding="utf-8") as file:
        assert [row["concept_id"] for row in csv.DictReader(file)] == ["1"]


def test_what_is_typed_next_holds_no_password():
    said = command_line("atoll", "cdm", "validate", "postgresql://ana:s%2Fe@cret@host/db?schema=cdm&x=1")
    assert shlex.split(said)[-1] == "postgresql://ana@host/db?schema=cdm&x=1"
