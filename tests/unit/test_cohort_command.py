"""`atoll cohort`: rows, report and exit codes; one broken definition stops no other; nothing is left behind."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import threading
import time
from xml.etree import ElementTree

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from atoll.cdm.workspace import DuckDBWorkspace, workspace_at
from atoll.cli.cohort_result import say_failures, say_notes
from atoll.cli.main import atoll
from atoll.cli.output import Output
from atoll.cohort import run as module
from atoll.cohort.attrition import all_stay
from atoll.cohort.run import CohortRun
from atoll.errors import DataError, OperatorError, Unreachable
from atoll.settings import settings
from atoll.study.circe import read
from tests.cdm import load_duckdb, load_postgresql, tables
from tests.spec.conftest import VOCABULARY
from tests.spec.definitions import (
    YEAR,
    all_of,
    around,
    condition,
    conditions,
    days,
    definition,
    drug,
    drugs,
    ends,
    observed,
    people,
    rules,
)

ROWS = VOCABULARY | {
    "observation_period": YEAR,
    "condition_occurrence": conditions((1, 1, "2020-03-01"), (2, 1, "2020-04-01"), (2, 1, "2020-05-01")),
}
GOOD = definition(condition(), **ends("StartDate", 0))


def a_cdm(path, rows=ROWS, without=()):
    with duckdb.connect(str(path)) as connection:
        load_duckdb(connection, {name: table for name, table in tables(rows).items() if name not in without})
    return f"duckdb:///{path}"


@pytest.fixture
def cdm(tmp_path):
    return a_cdm(tmp_path / "cdm.duckdb")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "definitions"
    path.mkdir()
    (path / "10.json").write_text(json.dumps(GOOD))
    (path / "9.json").write_text(json.dumps(definition(condition(3))))
    return path


def command(*arguments):
    """Exit code, standard output and standard error, as a shell would see them."""
    runner = CliRunner()
    result = runner.invoke(atoll, ["cohort", *map(str, arguments)], standalone_mode=True)
    return result.exit_code, result.stdout, result.stderr


def test_a_folder_becomes_a_parquet_file_and_a_report(folder, cdm, tmp_path):
    code, stdout, _ = command(
        "run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet", "--report", tmp_path / "r.json"
    )
    assert code == 0
    assert "2 cohorts, 3 rows" in stdout
    table = pq.read_table(tmp_path / "o.parquet")
    assert table.column_names == ["definition", "subject_id", "cohort_start_date", "cohort_end_date"]
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "date32[day]", "date32[day]"]
    assert [tuple(map(str, row.values())) for row in table.to_pylist()] == [
        ("10", "1", "2020-03-01", "2020-03-01"),
        ("10", "2", "2020-04-01", "2020-04-01"),
        ("10", "2", "2020-05-01", "2020-05-01"),
    ]
    report = json.loads((tmp_path / "r.json").read_text())
    assert list(report["definitions"]) == ["9", "10"]
    ten = report["definitions"]["10"]
    assert (ten["status"], ten["rows"], ten["persons"]) == ("done", 3, 2)
    assert ten["attrition"] == {"events": 3, "entered": 2, "rules": [], "final": 2}
    assert (report["done"], report["failed"], report["rows"], report["cdm"]) == (2, 0, 3, cdm)
    assert not [path for path in tmp_path.iterdir() if "part" in path.name]


def test_one_broken_definition_never_stops_the_others(folder, cdm, tmp_path):
    broken = {
        "a": "no json",
        "b": '{"cohort": 1}',
        "c": json.dumps(definition({"Sneeze": {}})),
        "d": json.dumps(definition(condition(77))),
        "e": json.dumps(definition(condition(), **rules(all_of(around(drug(), days(9, 1)))))),
        "f": json.dumps(definition({"Episode": {}})),
        "g": json.dumps(definition(drug(EffectiveDrugDose={"Value": 1, "Op": "gt"}))),
    }
    for name, text in broken.items():
        (folder / f"{name}.json").write_text(text)
    code, _, stderr = command(
        "run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet", "--report", tmp_path / "r.json"
    )
    assert code == 3
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["done"], report["failed"]) == (2, 7)
    reasons = {name: entry["reason"] for name, entry in report["definitions"].items() if entry["status"] == "failed"}
    for name, words in {
        "a": "This is no JSON", "b": "no Circe definition", "c": "'Sneeze', which is no kind", "d": "concept set 77",
        "e": "starts after its end", "f": "The CDM has no table 'episode'", "g": "has no column 'effective_drug_dose'",
    }.items():  # fmt: skip
        assert words in reasons[name]
        assert f"{name}: " in stderr
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 3


def test_what_is_not_read_is_named_and_every_definition_has_its_row(folder, cdm, tmp_path):
    (folder / "A.JSON").write_text(json.dumps(GOOD))
    (folder / ".hidden.json").write_text(json.dumps(GOOD))
    (folder / "notes.txt").write_text("mine")
    (folder / "more").mkdir()
    (folder / "more" / "b.json").write_text(json.dumps(GOOD))
    code, stdout, stderr = command("run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet")
    assert code == 0
    rows = [line.split() for line in stdout.splitlines()]
    assert rows[:4] == [["definition", "persons", "rows"], ["9", "0", "0"], ["10", "2", "3"], ["A", "2", "3"]]
    assert "Not read: .hidden.json, more/, notes.txt. A definition is a .json or .yaml file" in stderr
    (folder / "9.json").unlink()
    (folder / "A.JSON").unlink()
    _, stdout, _ = command("run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet", "--anew")
    assert "1 cohort, 3 rows" in stdout


def test_what_to_look_at_reaches_the_screen(tmp_path):
    rows = ROWS | {"concept": [{"concept_id": 1}]}
    (tmp_path / "nobody.json").write_text(json.dumps(definition(condition(9)) | {"Mood": "blue"}))
    words = (
        "run",
        tmp_path / "nobody.json",
        "--cdm",
        a_cdm(tmp_path / "x.duckdb", rows),
        "--out",
        tmp_path / "o.parquet",
    )
    code, _, stderr = command(*words)
    assert code == 0
    assert "nobody: No concept of this vocabulary is in 'set 9'." in stderr
    assert "nobody: `Mood` in the definition is a key that Circe does not know; it is ignored." in stderr


def test_many_notes_are_counted_and_one_reason_is_said_once(capsys):
    out = Output()
    say_notes(out, {str(n): ["The set is empty."] for n in range(30)})
    say_failures(out, {str(n): OperatorError("The time limit was over.") for n in range(417)})
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "… and 18 more notes: --report FILE holds all.", "0, 1, 2 and 414 more: The time limit was over.",
    ]  # fmt: skip


def test_answers_that_end_are_no_interruption(tmp_path):
    result = CliRunner().invoke(
        atoll, ["cohort", "new", str(tmp_path / "x.yaml")], input="Gout\n", standalone_mode=True
    )
    assert result.exit_code == 2
    assert "The answers end before this question: By which records do persons enter?" in result.stderr


def test_a_table_that_is_missing_fails_who_needs_it(folder, tmp_path):
    (folder / "drugs.json").write_text(json.dumps(definition(drug())))
    cdm = a_cdm(tmp_path / "less.duckdb", without=("drug_exposure",))
    code, _, stderr = command("run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet")
    assert code == 3
    assert "drugs: The CDM has no table 'drug_exposure', which a criterion needs." in stderr


@pytest.mark.parametrize(
    ("without", "words"),
    [(("concept_ancestor",), "The CDM has no vocabulary: the table 'concept_ancestor' is not there."),
     (("observation_period",), "The CDM has no table 'observation_period'")],
)  # fmt: skip
def test_a_cdm_without_vocabulary_or_periods_is_refused(folder, tmp_path, without, words):
    cdm = a_cdm(tmp_path / "less.duckdb", without=without)
    code, _, stderr = command("run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet")
    assert code == DataError.exit_code
    assert words in stderr
    assert not (tmp_path / "o.parquet").exists()


def test_what_is_not_there_is_a_sentence(folder, cdm, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    out = ("--out", tmp_path / "o.parquet")
    for arguments, code, words in [
        ((tmp_path / "none", "--cdm", cdm, *out), 14, "There is no"),
        ((empty, "--cdm", cdm, *out), 14, "holds no .json or .yaml file"),
        ((folder, "--cdm", "duckdb:///nowhere.duckdb", *out), 11, "There is no file"),
        ((folder, "--cdm", "oracle:x", *out), 14, "cannot be reached by 'oracle'"),
        ((folder, "--cdm", cdm, *out, "--memory", "lots"), 14, "no amount of memory"),
        ((folder, "--cdm", cdm, "--out", tmp_path / "cdm.duckdb" / "x"), 14, "cannot be written"),
    ]:
        found, _, stderr = command("run", *arguments)
        assert (found, words in stderr) == (code, True), stderr


def test_a_cohort_of_nobody_and_of_everybody(tmp_path):
    rows = ROWS | {"observation_period": observed(*((n, "2020-01-01", "2020-12-31") for n in range(1, 7)))}
    everybody = definition({"ObservationPeriod": {}})
    nobody = definition(condition(1, ConditionType=[{"CONCEPT_ID": 99}]))
    with workspace_at(a_cdm(tmp_path / "x.duckdb", rows)) as workspace:
        outcome = CohortRun(workspace).run(
            {name: read(json.dumps(d)) for name, d in (("all", everybody), ("no", nobody))}
        )
    assert outcome.rows.column("definition").to_pylist() == ["all"] * 6
    assert outcome.attrition["no"].final == 0


def test_a_set_without_members_is_noted(tmp_path):
    document = definition(condition(9))
    rows = ROWS | {"concept": [{"concept_id": 1}]}
    with workspace_at(a_cdm(tmp_path / "x.duckdb", rows)) as workspace:
        outcome = CohortRun(workspace).run({"x": read(json.dumps(document))})
    assert outcome.notes["x"] == ["No concept of this vocabulary is in 'set 9'."]


def test_a_time_limit_keeps_what_is_finished(cdm):
    with workspace_at(cdm) as workspace:
        run = CohortRun(workspace, minutes=60)

        def late(_name):
            run.deadline = 0.0

        outcome = run.run({name: read(json.dumps(GOOD)) for name in "ab"}, progress=late)
    assert set(outcome.rows.column("definition").to_pylist()) == {"a"}
    assert str(outcome.failed["b"]).startswith("The time limit was over before its turn came. Give more minutes")


def test_a_time_limit_that_is_over_at_once(folder, cdm, tmp_path):
    code, _, stderr = command("run", folder, "--cdm", cdm, "--out", tmp_path / "o.parquet", "--minutes", "0")
    assert code == 3
    assert "10: The time limit was over" in stderr
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 0


def test_a_query_that_runs_too_long_is_stopped(cdm):
    slow = "SELECT COUNT(*) FROM range(10000000000) a, range(1000) b"
    with workspace_at(cdm) as workspace:
        stop = threading.Timer(0.3, workspace.interrupt)
        stop.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            workspace.fetch(module.sql(slow))
        assert time.monotonic() - started < 60
        stop.join()


def test_a_definition_whose_query_runs_beyond_the_time_limit_fails_and_the_next_does_not_start(cdm, monkeypatch):
    """The deadline itself stops the query: without that it would run for hours."""
    slow = module.sql("SELECT COUNT(*) FROM range(10000000000) a, range(1000) b")
    with workspace_at(cdm) as workspace:
        rescue = threading.Timer(20, workspace.interrupt)
        rescue.start()
        monkeypatch.setattr(CohortRun, "_qualify", lambda run, *_: workspace.fetch(slow))
        run = CohortRun(workspace, minutes=60)
        monkeypatch.setattr(run.shared, "create", lambda: setattr(run, "deadline", time.monotonic() + 0.5) or {})
        outcome = run.run({name: read(json.dumps(GOOD)) for name in "ab"})
        assert rescue.is_alive(), "something else stopped it"
        rescue.cancel()
    assert str(outcome.failed["a"]).startswith("The time limit passed while its query ran.")
    assert str(outcome.failed["b"]).startswith("The time limit was over before its turn came.")


def test_an_interrupted_run_leaves_nothing(cdm, monkeypatch):
    with workspace_at(cdm) as workspace:
        monkeypatch.setattr(module.CohortRun, "_qualify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            CohortRun(workspace).run({"x": read(json.dumps(GOOD))})
        assert workspace.scratch
        DuckDBWorkspace.drop(workspace, *list(workspace.scratch))
        assert workspace.connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall() == []


def test_a_database_that_goes_away_stops_the_run(database):
    import psycopg

    load_postgresql(database, tables(ROWS))
    with workspace_at(database) as workspace:
        pid = workspace.connection.info.backend_pid

        def kill(_name):
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [pid])

        definitions = {name: read(json.dumps(GOOD)) for name in "ab"}
        with pytest.raises(Unreachable, match=r"The PostgreSQL server went away\. Start again when it is back"):
            CohortRun(workspace).run(definitions, progress=kill)


def test_nothing_is_left_in_postgresql(database):
    load_postgresql(database, tables(ROWS))
    with workspace_at(database) as workspace:
        CohortRun(workspace).run({"x": read(json.dumps(GOOD))})
        workspace.owned = False
        workspace.close()
        left = workspace.connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'atoll%'").fetchall()
        workspace.owned = True
    assert left == []


def test_explain_and_diff(folder):
    code, stdout, _ = command("explain", folder / "10.json")
    assert code == 0
    assert "- a diagnosis of “set 1”" in stdout
    code, stdout, _ = command("explain", folder / "10.json", "--language", "zh")
    assert "“set 1”的诊断" in stdout
    code, stdout, _ = command("diff", folder / "9.json", folder / "10.json")
    assert (code, "− only in the first: - a diagnosis of “set 3”" in stdout) == (0, True)
    code, stdout, _ = command("explain", folder / "10.json", "--json")
    assert json.loads(stdout)["check"][0]["level"] == "note"
    code, _, stderr = command("explain", folder / "none.json")
    assert (code, "cannot be read" in stderr) == (10, True)


@pytest.fixture
def in_chinese(monkeypatch):
    """A terminal whose language is Chinese."""
    monkeypatch.delenv("ATOLL_LANGUAGE", raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_terminals_language_is_spoken_unless_another_is_asked_for(folder, cdm, tmp_path, in_chinese):
    assert "“set 1”的诊断" in command("explain", folder / "10.json")[1]
    assert "a diagnosis of “set 1”" in command("explain", folder / "10.json", "--language", "en")[1]
    code, stdout, _ = command("attrition", folder / "10.json", "--cdm", cdm, "--chart", tmp_path / "lost.svg")
    assert code == 0 and "在队列中" in stdout and "1 家医院" in stdout and "依次剩余" in stdout
    assert not re.search(r"entered|left|alone|in the cohort", stdout)
    assert "每一步之后的剩余人数" in (tmp_path / "lost.svg").read_text("utf-8")
    assert "仅见于前者" in command("diff", folder / "9.json", folder / "10.json")[1]


LOST = definition(
    condition(),
    **rules(all_of(around(condition(2), days(1, None))), all_of(around(drug(), days(0, 9)))),
    **ends("StartDate", 0),
)


def lossy(path, persons, second, drugged):
    """A CDM in which everybody enters, the first `second` have a second diagnosis, the first `drugged` a drug."""
    rows = VOCABULARY | {
        "observation_period": observed(*((n, "2020-01-01", "2020-12-31") for n in range(persons))),
        "condition_occurrence": conditions(
            *((n, 1, "2020-03-01") for n in range(persons)), *((n, 2, "2020-04-01") for n in range(second))
        ),
        "drug_exposure": drugs(*((n, 2, "2020-03-05") for n in range(drugged))),
    }
    return a_cdm(path, rows)


def test_attrition_of_one_cdm_is_exact(tmp_path):
    (tmp_path / "lost.json").write_text(json.dumps(LOST))
    cdm = lossy(tmp_path / "x.duckdb", 60, 57, 30)
    code, stdout, _ = command(
        "attrition", tmp_path / "lost.json", "--cdm", cdm, "--json", "--chart", tmp_path / "x.svg"
    )
    assert code == 0
    found = json.loads(stdout)
    assert (found["entered"], [(s["low"], s["high"], s["alone_low"]) for s in found["steps"]]) == (
        60, [(57, 57, 57), (30, 30, 30), (30, 30, 30)],
    )  # fmt: skip
    assert "<svg" in (tmp_path / "x.svg").read_text()
    out = ("--out", tmp_path / "o.parquet", "--report", tmp_path / "r.json")
    command("run", tmp_path / "lost.json", "--cdm", cdm, *out)
    report = json.loads((tmp_path / "r.json").read_text())["definitions"]["lost"]["attrition"]
    assert (report["entered"], [rule["in_order"] for rule in report["rules"]], report["final"]) == (60, [57, 30], 30)


def test_attrition_over_sites_holds_small_losses_back(tmp_path):
    (tmp_path / "lost.json").write_text(json.dumps(LOST))
    north, south = (lossy(tmp_path / f"{name}.duckdb", 200, 195, 100) for name in ("north", "south"))
    code, stdout, _ = command("attrition", tmp_path / "lost.json", "--cdm", f"north={north}", "--cdm", f"south={south}")
    assert code == 0
    assert "the number is held back" in stdout
    lines = [line.split() for line in stdout.splitlines()]
    assert ["rule_1", "rule", "1", "380–400", "380–400", "190–200", "190–200"] in lines
    assert lines[0] == ["lost"] and ["step", "label", "left", "alone", "north", "south"] in lines
    assert ["rule_2", "rule", "2", "200", "200–400", "100", "100"] in lines
    last = ["stays", "in", "the", "cohort", "200", "200", "100", "100"]
    assert last in lines, "nothing follows the last rule: nobody is in doubt"
    for wrong in (("--cdm", north, "--cdm", south), ("--cdm", f"a={north}", "--cdm", f"a={south}")):
        code, _, stderr = command("attrition", tmp_path / "lost.json", *wrong)
        assert (code, "is not SITE=URL with a name of its own" in stderr) == (2, True)


def test_the_chart_of_attrition_has_a_title_and_a_panel_for_each_hospital(tmp_path):
    (tmp_path / "lost.json").write_text(json.dumps(LOST | {"Title": "Lost & found"}))
    sites = [
        f"--cdm={name}={lossy(tmp_path / f'{name}.duckdb', 200, 195, n)}" for name, n in (("north", 90), ("south", 70))
    ]
    code, _, stderr = command("attrition", tmp_path / "lost.json", *sites, "--chart", tmp_path / "x.svg")
    assert code == 0, stderr
    words = [e.text for e in ElementTree.parse(tmp_path / "x.svg").iter() if e.tag.endswith("}text")]
    assert words[0] == "Lost & found"
    places = [words.index(word) for word in ("all hospitals together", "north", "south")]
    assert places == sorted(places)
    assert "160" in words[places[0] : places[1]] and "90" in words[places[1] :] and "70" in words[places[2] :]


@pytest.mark.parametrize(
    ("change", "stay"),
    [
        (ends("StartDate", 0), True),
        (ends("StartDate", -1), False),
        (ends("EndDate", 0), False),
        ({"CensorWindow": {"StartDate": "2020-01-01"}}, False),
        ({"CensorWindow": {}}, True),
        ({}, True),
    ],
)
def test_whether_somebody_may_leave_after_the_last_rule(change, stay):
    assert all_stay(read(json.dumps(definition(condition(), **change)))) is stay


def test_attrition_without_rules_has_the_exit_alone(cdm, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(GOOD))
    code, stdout, _ = command("attrition", tmp_path / "x.json", "--cdm", cdm, "--json")
    assert code == 0
    assert [(step["step"], step["low"]) for step in json.loads(stdout)["steps"]] == [("stays", 2)]


def test_an_engine_that_is_none_is_refused():
    from atoll.cdm.workspace import open_workspace

    class Strange:
        name = "sqlite"

    with pytest.raises(OperatorError, match=r"Cohorts cannot be found on sqlite"):
        open_workspace(Strange())


# ---- diagnosis


def a_hospital(path, seed, persons):
    """Persons who are seen from 2015 to 2020; a third have a record of concept 1, fewer one of concept 3 near it."""
    r = np.random.default_rng(seed)
    date = lambda year: f"{year}-0{r.integers(1, 9)}-11"  # noqa: E731
    sick = [p for p in range(persons) if r.random() < 0.3]
    near = [p for p in range(persons) if r.random() < 0.2]
    names = {1: "old disease", 3: "old disease of the left"}
    rows = VOCABULARY | {
        "concept": [{"concept_id": c, "concept_name": names.get(c, f"sign {c}")} for c in range(1, 10)],
        "person": people(*((p, int(r.integers(1930, 1990)), 8507 + 25 * (p % 2)) for p in range(persons))),
        "observation_period": observed(*((p, "2015-01-01", "2020-12-31") for p in range(persons))),
        "condition_occurrence": conditions(
            *((p, 1, date(r.integers(2015, 2021))) for p in sick), *((p, 3, date(2018)) for p in near)
        ),
    }
    return a_cdm(path, rows)


@pytest.fixture
def two_definitions(tmp_path):
    files = tmp_path / "old.json", tmp_path / "near.json"
    for file, concept in zip(files, (1, 3), strict=True):
        file.write_text(json.dumps(definition(condition(concept)) | {"Title": f"Of {concept}"}))
    return files


def test_one_hospital_diagnoses_a_definition_exactly_inside_its_walls(two_definitions, tmp_path):
    first, second = two_definitions
    cdm, page = a_hospital(tmp_path / "a.duckdb", 1, 300), tmp_path / "page.html"
    words = ("diagnose", first, "--cdm", cdm, "--with", second, "--page", page, "--language", "zh", "--json")
    code, stdout, stderr = command(*words)
    assert code == 0, stderr
    found = json.loads(stdout)
    assert list(found) == ["incidence", "began by", "orphan codes", "times", "overlap"]
    parts = {part: ends["low"] for part, ends in found["overlap"]["parts"].items()}
    assert parts["either"] == parts["only_first"] + parts["both"] + parts["only_second"]
    assert found["began by"]["words"] == [{"word": "1 old disease", "low": parts["first"], "high": parts["first"]}]
    assert found["orphan codes"]["words"] == [
        {"word": "3 old disease of the left [name]", "low": parts["second"], "high": parts["second"]}
    ]
    everybody = found["incidence"]["cells"][0]
    assert everybody["events_low"] == everybody["events_high"] == parts["first"]
    years = [cell["first"] for cell in found["incidence"]["cells"] if cell["by"] == "year"]
    assert (years[0], years[-1]) == (2011, 2020)
    text = page.read_text("utf-8")
    assert "表型诊断" in text and "每千人年事件数" in text and "本页只留在本院" in text and "仅属于“Of 1”" in text
    assert "<title>Of 1 · Atoll</title>" in text and datetime.date.today().isoformat() in text
    assert "定义的内容" in text and text.count("入组") > 1 and "CSV" not in text and "各医院" not in text
    assert "名称中含有相同的名称" in text and "[name]" not in text and "本院" in text
    assert text.count("<svg") >= 8 and "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_page_over_hospitals_names_them_and_calls_cohorts_as_their_definitions_or_files(two_definitions, tmp_path):
    first, second = two_definitions
    second.write_text(json.dumps(json.loads(second.read_text()) | {"Title": None}))
    words = [word for n in (1, 2) for word in ("--cdm", f"s{n}={a_hospital(tmp_path / f'{n}.duckdb', n, 300)}")]
    code, _, stderr = command("diagnose", first, *words, "--with", second, "--page", tmp_path / "page.html")
    assert code == 0, stderr
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "only in Of 1" in text and "only in near" in text and "first cohort" not in text
    assert 'Hospitals: <span translate="no">s1</span>, <span translate="no">s2</span>' in text
    assert "each hospital: events per 1,000 person-years" in text and "CSV" not in text
    assert "they need not add up to those of all together" in text and "per hospital and together" in text
    assert len(re.findall(r"What the definition says", text)) == 2 and "Exact numbers" not in text
    identifiers = re.findall(r' id="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


def test_what_was_refused_stands_on_the_page_too():
    from atoll.ui.diagnosis import About, page

    text = page({"times": {"error": "s1: refused."}}, About("Of 1", "2026-11-29", ("s1",), {}), "en")
    assert "<h2>Times</h2><p>s1: refused.</p>" in text


def test_a_diagnosis_of_nobody_says_so_and_which_set_is_empty(tmp_path):
    file, page = tmp_path / "nobody.json", tmp_path / "page.html"
    file.write_text(json.dumps(definition(condition(9))))
    cdm = a_cdm(tmp_path / "x.duckdb", ROWS | {"concept": [{"concept_id": 1, "concept_name": "one"}]})
    code, _, stderr = command("diagnose", file, "--cdm", cdm, "--page", page, "--language", "zh")
    assert code == 0, stderr
    assert "没有人进入该队列。 本词汇表中没有“set 9”的任何概念。" in stderr
    assert "没有人进入该队列。" in page.read_text("utf-8") and "“set 9”的任何概念" in page.read_text("utf-8")


def test_over_hospitals_a_small_one_is_held_back_and_stops_nobody(two_definitions, tmp_path):
    first, second = two_definitions
    sites = {name: a_hospital(tmp_path / f"{name}.duckdb", n, n) for name, n in (("a", 400), ("b", 300), ("c", 9))}
    words = [word for name, url in sites.items() for word in ("--cdm", f"{name}={url}")]
    words += ["--with", second, "--since", 2016, "--until", 2020, "--json"]
    code, stdout, stderr = command("diagnose", first, *words)
    assert code == 0, stderr
    found = json.loads(stdout)
    assert not any("error" in one for one in found.values())
    assert found["overlap"]["sites_apart"]["c"]["parts"]["either"] == {"low": 0, "high": 10}
    assert found["times"]["sites_apart"]["c"]["columns"]["before"]["persons"] == 0
    assert found["began by"]["words"][0]["high"] == found["began by"]["words"][0]["low"] + 10
    rows = found["incidence"]["sites_apart"]
    assert rows["c"]["cells"][0]["events_high"] == 10 and rows["a"]["cells"][0]["events_low"] > 50


# ---- a second run


@pytest.fixture
def files(tmp_path):
    """Definitions of conditions (7), of drugs (8), of adults (9), and a broken one."""
    path = tmp_path / "some"
    path.mkdir()
    of_drugs = definition(drug(2)) | ends("StartDate", 0)
    adults = definition(condition(1, Age={"Value": 18, "Op": "gte"}))
    for number, document in ((7, GOOD), (8, of_drugs), (9, adults)):
        (path / f"{number}.json").write_text(json.dumps(document))
    (path / "broken.json").write_text(json.dumps(definition()))
    return path


PEOPLE = {"person": people(*((p, 1950, 8532) for p in (1, 2, 3)))}


def status(files, cdm, out, *more):
    """What became of each definition, and the rows of the file, as a fresh run gives them too."""
    report = out.with_suffix(".json")
    code, _, stderr = command("run", files, "--cdm", cdm, "--out", out, "--report", report, *more)
    assert code == 3, stderr
    fresh = out.with_name("fresh.parquet")
    command("run", files, "--cdm", cdm, "--out", fresh, "--report", fresh.with_suffix(".json"), "--anew")
    told, other = (json.loads(path.with_suffix(".json").read_text()) for path in (out, fresh))
    assert pq.read_table(out).equals(pq.read_table(fresh))
    for one, another in zip(told["definitions"].values(), other["definitions"].values(), strict=True):
        assert {**one, "seconds": 0, "status": ""} == {**another, "seconds": 0, "status": ""}
    assert told["done"] + told["kept"] == other["done"] == 3
    return {name: entry["status"] for name, entry in told["definitions"].items()}


def test_after_a_load_only_what_may_have_changed_is_run_again(files, tmp_path):
    out, path = tmp_path / "out.parquet", tmp_path / "next.duckdb"
    fresh = {"7": "done", "8": "done", "9": "done", "broken": "failed"}
    assert status(files, a_cdm(path, ROWS | PEOPLE), out) == fresh
    assert status(files, f"duckdb:///{path}", out) == {name: "kept" for name in "789"} | {"broken": "failed"}
    more = {"drug_exposure": drugs((1, 2, "2020-03-01"), (3, 2, "2020-05-01"))}
    assert status(files, a_cdm(path, ROWS | PEOPLE | more), out) == fresh | {"7": "kept", "9": "kept"}
    older = {"person": people(*((p, 2010, 8532) for p in (1, 2, 3)))}
    assert status(files, a_cdm(path, ROWS | older | more), out) == fresh | {"7": "kept", "8": "kept"}
    (files / "7.json").write_text(json.dumps(GOOD | ends("StartDate", 7)))
    assert status(files, f"duckdb:///{path}", out) == fresh | {"8": "kept", "9": "kept"}
    wider = {"concept_ancestor": [{"ancestor_concept_id": 2, "descendant_concept_id": 3}]}
    vocabulary = {"concept_ancestor": VOCABULARY["concept_ancestor"] + wider["concept_ancestor"]}
    kept = dict.fromkeys("789", "kept") | {"broken": "failed"}
    assert status(files, a_cdm(path, ROWS | older | more | vocabulary), out) == kept, "no set of these has descendants"
    less = {"concept": [one for one in VOCABULARY["concept"] if one["concept_id"] != 2]}
    assert status(files, a_cdm(path, ROWS | older | more | less), out) == kept | {"8": "done"}


def test_a_definition_that_came_or_went_takes_no_row_of_another_with_it(files, tmp_path):
    out, cdm = tmp_path / "out.parquet", a_cdm(tmp_path / "same.duckdb", ROWS | PEOPLE)
    status(files, cdm, out)
    (files / "7.json").rename(files / "6.json")
    assert status(files, cdm, out) == {"6": "done", "8": "kept", "9": "kept", "broken": "failed"}
    assert set(pq.read_table(out).column("definition").to_pylist()) == {"6", "9"}


def test_the_same_release_is_not_even_looked_at(files, tmp_path, monkeypatch):
    out, cdm = tmp_path / "out.parquet", a_cdm(tmp_path / "same.duckdb", ROWS | PEOPLE)
    status(files, cdm, out)

    def read_whole(workspace, table):
        raise AssertionError(f"{table} was read to take its mark")

    monkeypatch.setattr("atoll.cohort.kept.mark", read_whole)
    code, stdout, _ = command("run", files, "--cdm", cdm, "--out", out)
    assert code == 3 and "0 cohorts, 3 kept, 5 rows" in stdout


def test_another_schema_of_the_same_file_is_another_database(files, tmp_path):
    out, path = tmp_path / "out.parquet", tmp_path / "two.duckdb"
    cdm = a_cdm(path, ROWS | PEOPLE)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA later")
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'"
        ).fetchall():
            less = "WHERE person_id <> 2" if name == "condition_occurrence" else ""
            connection.execute(f'CREATE TABLE later."{name}" AS SELECT * FROM main."{name}" {less}')
    status(files, f"{cdm}?schema=main", out)
    assert "done" in status(files, f"{cdm}?schema=later", out).values()


def test_what_a_killed_writer_left_beside_the_file_is_seen(files, tmp_path):
    out, path = tmp_path / "out.parquet", tmp_path / "cdm.duckdb"
    cdm = a_cdm(path, ROWS | PEOPLE)
    status(files, cdm, out)
    state = path.stat()
    change = "DELETE FROM condition_occurrence WHERE person_id = 2"
    killed = f"import duckdb, os; c = duckdb.connect({str(path)!r}); c.execute({change!r}); os._exit(9)"
    assert subprocess.run([sys.executable, "-c", killed], check=False).returncode == 9
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert path.with_name("cdm.duckdb.wal").exists()
    assert "done" in status(files, cdm, out).values()


def test_a_file_that_no_run_wrote_is_not_believed(files, tmp_path):
    out, cdm = tmp_path / "out.parquet", a_cdm(tmp_path / "same.duckdb", ROWS | PEOPLE)
    assert set(status(files, cdm, out).values()) == {"done", "failed"}
    table = pq.read_table(out)
    pq.write_table(table.replace_schema_metadata({b"atoll cohorts": b'{"release": "x"}'}), out)
    assert set(status(files, cdm, out).values()) == {"done", "failed"}


def test_the_manifest_of_a_load_stands_for_a_postgresql_database(database, files, tmp_path):
    """A database that no load of ours made is compared table by table; a release of ours is not looked at."""
    import psycopg

    from atoll.cdm.marks import release_of

    load_postgresql(database, tables(ROWS | PEOPLE))
    with workspace_at(database) as workspace:
        assert release_of(workspace, database) is None
    found = {name: "kept" for name in "789"} | {"broken": "failed"}
    assert status(files, database, tmp_path / "out.parquet") != found
    assert status(files, database, tmp_path / "out.parquet") == found
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE atoll_release (number INTEGER, manifest TEXT)")
        connection.execute("INSERT INTO atoll_release VALUES (1, '{}'), (2, '{\"release\": 2}')")
    with workspace_at(database) as workspace:
        first = release_of(workspace, database)
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO atoll_release VALUES (3, '{\"release\": 3}')")
    with workspace_at(database) as workspace:
        assert None is not first != release_of(workspace, database)
