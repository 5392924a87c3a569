"""No command writes over a file of the user's: `atoll.cli.targets`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll
from atoll.cli.targets import KNOWN, Target, with_mark, write_table, write_text
from atoll.ingest.terms.files import HEADINGS
from tests.unit.studies import STUDY
from tests.unit.test_cohort_command import GOOD, ROWS, a_cdm

WRITERS = {"--out", "--report", "--page", "--chart", "--to", "--output"}


def run(*words):
    result = CliRunner().invoke(atoll, [*map(str, words)], standalone_mode=True)
    return result.exit_code, result.stdout, result.stderr


def commands(group, context, path=()):
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, context, (*path, name))
        else:
            yield " ".join((*path, name)), command


ALL = dict(commands(atoll, click.Context(atoll)))


def test_every_option_that_names_a_file_to_write_is_guarded():
    refuse_always = {"mapping propose"}  # never replaces anything
    for name, command in ALL.items():
        for param in command.params:
            writes = set(param.opts) & WRITERS and isinstance(param.type, click.Path)
            if writes and param.type.file_okay and name not in refuse_always:
                assert isinstance(param.type, Target), f"{name} {param.opts[0]}"
        targets = [param for param in command.params if isinstance(param.type, Target)]
        if targets and name not in refuse_always:
            assert "--replace" in {opt for param in command.params for opt in param.opts}, name


def test_the_heading_of_suggestions_is_the_one_that_is_written():
    (target,) = (param.type for param in ALL["terms suggest"].params if isinstance(param.type, Target))
    assert target.heading == HEADINGS


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A CDM, a definition and features, each in a file of the user's."""
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_text(json.dumps(GOOD))
    Path("screen.yaml").write_text("features:\n  age: {from: person, as: age}\n")
    return a_cdm(tmp_path / "cdm.duckdb", ROWS)


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("run", "good.json", "--out", "o.parquet", "--report", "good.json"), "good.json"),
        (("run", "good.json", "--out", "good.json", "--replace"), "good.json"),
        (("run", "good.json", "--out", "cdm.duckdb", "--replace"), "cdm.duckdb"),
        (("attrition", "good.json", "--chart", "good.json"), "good.json"),
        (("diagnose", "good.json", "--page", "good.json"), "good.json"),
    ],
)
def test_a_file_that_is_read_is_never_written(here, words, file):
    before = Path(file).read_bytes()
    code, _, stderr = run("cohort", *words, "--cdm", here)
    assert (code != 0, Path(file).read_bytes()) == (True, before), stderr


def test_a_file_of_the_users_is_replaced_only_when_that_is_asked(here):
    junk = Path("junk.parquet")
    pq.write_table(pa.table({"mine": [1]}), junk)
    before = junk.read_bytes()
    words = ("cohort", "run", "good.json", "--cdm", here, "--out", junk)
    code, _, stderr = run(*words)
    assert (code, junk.read_bytes()) == (14, before)
    assert "junk.parquet is there already, and was not written by Atoll" in stderr and "--replace" in stderr
    assert run(*words, "--replace")[0] == 0
    assert pq.read_table(junk).num_rows == 3
    code, _, stderr = run(*words, "--report", "r.json")
    assert code == 0, stderr  # its own former output
    assert run(*words, "--report", "r.json")[0] == 0


def test_the_dictionary_has_a_name_of_its_own_and_a_corrected_one_stays(here):
    assert run("cohort", "run", "good.json", "--cdm", here, "--out", "c.parquet")[0] == 0
    own = Path("screen.yaml").read_text()
    words = ("features", "extract", "screen.yaml", "--cohort", "c.parquet", "--cdm", here, "--out", "screen.parquet")
    code, _, stderr = run(*words)
    assert code == 0, stderr
    assert Path("screen.yaml").read_text() == own
    described = Path("screen.dictionary.yaml")
    assert Path("c.parquet").stat().st_mode & 0o777 == Path("screen.parquet").stat().st_mode & 0o777 == 0o600
    assert "columns:" in described.read_text()
    assert run(*words)[0] == 0
    corrected = described.read_text().replace("columns:", "columns: # looked at", 1)
    described.write_text(corrected)
    code, _, stderr = run(*words)
    assert (code, described.read_text()) == (14, corrected)
    assert "or was changed since. Give --dictionary FILE. With --replace it is replaced." in stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "o.csv"), "o.csv is no name of a parquet file, which is what is written. Name it o.parquet."),
        (("--out", "no/where/o.parquet"), "cannot be written: there is no folder no/where. Make the folder"),
        (("--out", "o", "--report", "o"), "--out and --report name one file"),
    ],
)
def test_a_name_that_cannot_be_meant_is_refused_before_anything_is_done(here, words, said):
    code, _, stderr = run("cohort", "run", "good.json", "--cdm", here, *words)
    assert code != 0 and said in stderr
    assert not Path("no").exists() and not Path("o.csv").exists()


def test_results_of_a_study_replace_no_file_of_the_users(here):
    Path("study.yaml").write_text(STUDY)
    rows = pa.table({"age": [50.0] * 60, "sex": ["male"] * 60, "diabetes": [0, 1] * 30})
    pq.write_table(rows, "rows.parquet")
    Path("results").mkdir()
    Path("results/risk.json").write_text('{"mine": 1}')
    words = ("run", "study.yaml", "--table", "north=rows.parquet", "--table", "river=rows.parquet")
    code, _, stderr = run(*words, "--output", "results")
    assert (code, Path("results/risk.json").read_text()) == (14, '{"mine": 1}')
    assert "risk.json is there already" in stderr and "Choose another folder." in stderr


def test_own_files_are_known_and_others_are_not(tmp_path):
    from atoll.ui.charts import Chart
    from atoll.ui.scan import page

    made = {kind: tmp_path / f"made.{kind}" for kind in ("parquet", "json", "yaml", "html", "svg")}
    write_table(made["parquet"], pa.table({"a": [1]}), "test")
    write_text(made["json"], json.dumps({"algorithm": "glm", "sites": [], "n": 3}))
    write_text(made["yaml"], with_mark("columns: {}\n"))
    write_text(made["html"], page({"k": 10, "tables": [], "broken_lines": [], "notes": []}, "en"))
    Chart("<svg></svg>").save(made["svg"])
    other = tmp_path / "other"
    for kind, path in made.items():
        assert Target(kind).owns(path), kind
        for text in ("", "{}", "[]", "mine: 1\n", "<html></html>", "<svg></svg>", "\ud83d"):
            other.write_text(text, "utf-8", errors="surrogatepass")
            assert not Target(kind).owns(other), (kind, text)
    assert set(KNOWN) == {"parquet", "json", "yaml", "html", "svg", "duckdb", "signed"}
