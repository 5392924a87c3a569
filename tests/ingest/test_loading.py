"""A load: what arrives, what is kept aside and why, that it is the same twice, after a kill, and all at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.cdm.tables import AFTER_DEATH, tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.cdm.workspace import workspace_at
from atoll.errors import DataError, OperatorError
from atoll.ingest.load import load
from atoll.ingest.release import only_one
from atoll.quality.run import run as run_checks
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, TODAY, VISITS, loaded, mapping, reasons, rows, write


def content(path):
    """All tables of the model, in an order of their own."""
    with Workbench(path, read_only=True) as bench:
        return {
            name: sorted(map(repr, bench.rows(f"SELECT * FROM main.{quoted(name)}")))
            for name in tables()
            if name != "cdm_source"
        }


def test_what_arrives(tmp_path):
    report = loaded(tmp_path)
    assert report.tables["person"] == 3
    assert report.tables["visit_occurrence"] == 3
    assert report.tables["measurement"] == 3
    assert report.rejected == []
    assert report.unmapped == [{"vocabulary": "LOINC", "codes": 1, "rows": 1}]
    assert rows(tmp_path, "SELECT gender_concept_id, year_of_birth, day_of_birth FROM person ORDER BY 2") == [
        (8507, 1950, 3),
        (8532, 1961, 6),
        (8532, 1999, 31),
    ]
    linked = "SELECT count(*) FROM measurement JOIN visit_occurrence USING (visit_occurrence_id, person_id)"
    assert rows(tmp_path, linked) == [(3,)]


def test_a_load_says_which_file_it_reads(tmp_path):
    said: list[str] = []
    load(mapping(tmp_path / "m"), str(write(tmp_path / "x")), tmp_path / "c.duckdb", today=TODAY, progress=said.append)
    assert f"results.csv ({len(RESULTS)} bytes)" in said
    assert f"patients.csv ({len(PATIENTS)} bytes)" in said


def test_what_a_lookup_brings_along(tmp_path):
    loaded(tmp_path)
    found = rows(
        tmp_path,
        "SELECT measurement_source_value, measurement_concept_id, measurement_source_concept_id,"
        " measurement_type_concept_id FROM measurement ORDER BY 1",
    )
    assert found[0] == ("2345-7", 3004501, 3004501, 32817)
    assert found[2] == ("9999-9", 0, 2_000_000_000, 32817)
    own = "SELECT concept_code FROM concept WHERE concept_id = 2000000000"
    assert rows(tmp_path, own) == [("9999-9",)]


def test_a_concept_of_the_hospitals_own_keeps_its_number(tmp_path):
    loaded(tmp_path)
    loaded(tmp_path, results=RESULTS + "d,1,v1,2020-01-11,0000-0,1,x\n")
    found = rows(tmp_path, "SELECT concept_code, concept_id FROM ingest.local_concept ORDER BY 2")
    assert found == [("9999-9", 2_000_000_000), ("0000-0", 2_000_000_001)]


def test_observation_periods_end_at_death(tmp_path):
    loaded(tmp_path, results=RESULTS + "d,2,,2024-03-20,2345-7,1,mg/dL\n")
    found = rows(
        tmp_path,
        "SELECT max(observation_period_end_date)::VARCHAR FROM observation_period JOIN death USING (person_id)",
    )
    assert found == [("2024-03-01",)]


def test_periods_split_at_gaps(tmp_path):
    loaded(tmp_path, MAPPING.replace("rules:", "periods: {gap: 100}\nrules:"))
    found = rows(tmp_path, "SELECT count(*) FROM observation_period GROUP BY person_id ORDER BY 1")
    assert found == [(1,), (2,)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x,9,,2020-01-01,2345-7,1,mg/dL", "unknown person"),
        ("x,,,2020-01-01,2345-7,1,mg/dL", "no person"),
        ("x,1,,2020-02-31,2345-7,1,mg/dL", "unreadable measurement_date"),
        ("x,1,,,2345-7,1,mg/dL", "no measurement_date"),
        ("x,1,,1949-02-03,2345-7,1,mg/dL", "measurement_date before birth"),
        ("x,2,,2024-06-01,2345-7,1,mg/dL", "measurement_date after death"),
        ("x,1,,2093-01-01,2345-7,1,mg/dL", "measurement_date in the future"),
        ("x,1,v9,2020-01-01,2345-7,1,mg/dL", "unknown visit_occurrence"),
        ("x,1,,2020-01-01,2345-7,haemolytic,mg/dL", "unreadable value_as_number"),
        ("x,1,,2020-01-01,2345-7,1,", "value without a unit"),
        ("x,1,,2020-01-01,2345-7,inf,mg/dL", "unreadable value_as_number"),
        ("a,1,v1,2020-01-11,2345-7,99.5,mg/dL", "repeated row"),
        ("x,1,,2020-01-01,2345-7", "broken line: missing columns"),
        ("x,1,,2020-01-01,2345-7,1,mg/dL,7", "broken line: too many columns"),
    ],
)
def test_each_row_that_cannot_stay_is_kept_with_its_reason(tmp_path, line, reason):
    report = loaded(tmp_path, results=RESULTS + line + "\n")
    assert reasons(report) == {reason: 1}
    (key, row) = rows(tmp_path, "SELECT key, row FROM ingest.rejected")[0]
    assert key
    assert "2345-7" in row


@pytest.mark.parametrize("text", ["5 6", "3-5", "-", "²", "1:40", "1_000"])
def test_a_result_is_never_guessed(tmp_path, text):
    result = MAPPING.replace("number(value)", 'convert(result(value), unit, "mmol/L", "glucose")')
    result += "      value_as_concept_id: finding(value)\n      value_source_value: value\n"
    report = loaded(tmp_path, result, results=RESULTS.splitlines()[0] + f"\nx,1,v1,2020-01-11,2345-7,{text},mg/dL\n")
    assert reasons(report) == {"unreadable value_as_number": 1}
    kept = "SELECT value_as_number, value_as_concept_id, value_source_value FROM measurement"
    assert rows(tmp_path, kept) == [(None, None, text)]


def test_a_row_that_has_no_code_is_loaded_and_named(tmp_path):
    report = loaded(tmp_path, results=RESULTS + "x,1,v1,2020-01-11,,1,mg/dL\n")
    assert reasons(report) == {"no code": 1}
    assert report.tables["measurement"] == 4


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,M,1960-02-03,", "one person with two births"),
        ("1,M,1950-02-03,", "repeated row"),
    ],
)
def test_two_rows_of_one_patient(tmp_path, line, reason):
    report = loaded(tmp_path, patients=PATIENTS + line + "\n")
    assert reasons(report) == {reason: 1}
    assert rows(tmp_path, "SELECT year_of_birth FROM person WHERE person_source_value = '1'") == [(1950,)]


def test_what_loads_after_a_death_is_no_fault_of_quality(tmp_path):
    """The load and the check `before_death` allow the same days: the last of them loads, the one after does not."""
    days = [date(2024, 3, 1) + timedelta(AFTER_DEATH + n) for n in (0, 1)]
    report = loaded(tmp_path, results=RESULTS + "".join(f"x{day},2,,{day},2345-7,1,mg/dL\n" for day in days))
    assert reasons(report) == {"measurement_date after death": 1}
    with workspace_at(f"duckdb://{tmp_path / 'cdm.duckdb'}") as workspace:
        found = {finding.check.id: finding for finding in run_checks(workspace)}
    looked = found["before_death:measurement.measurement_date"]
    assert (looked.total, looked.faults) == (2, 0)


def test_two_persons_with_one_id_are_put_aside_with_all_that_is_theirs(tmp_path):
    report = loaded(tmp_path, patients=PATIENTS + "1,F,1988-02-03,\n")
    assert reasons(report) == {"two persons share one id": 2, "person rejected": 4}
    assert rows(tmp_path, "SELECT count(*) FROM person WHERE person_source_value = '1'") == [(0,)]


def test_a_visit_that_ends_before_it_starts(tmp_path):
    report = loaded(tmp_path, visits=VISITS + "v4,1,2020-05-05,2020-05-01\n")
    assert reasons(report) == {"ends before it starts": 1}


def test_two_runs_give_identical_tables(tmp_path):
    loaded(tmp_path / "a")
    loaded(tmp_path / "b")
    assert content(tmp_path / "a" / "cdm.duckdb") == content(tmp_path / "b" / "cdm.duckdb")


def test_the_order_of_columns_and_rows_does_not_matter(tmp_path):
    loaded(tmp_path / "a")
    lines = [",".join(reversed(line.split(","))) for line in RESULTS.splitlines()]
    loaded(tmp_path / "b", results="\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert content(tmp_path / "a" / "cdm.duckdb") == content(tmp_path / "b" / "cdm.duckdb")


OURS = ["_status", "_birth", "_person", "_death", "_each", "_first", "_key", "_reason", "_note", "_ref_person_id",
        "_found_person_id", "_key0", "_join0_key", "_results_day", "key", "rank", "person", "birth", "death", "status",
        "each", "first", "key0", "join0:key", "ref:person_id", "found:person_id", "value:person_id", "source:patient",
        "joined:source:patient", "text:measurement_concept_id", "source:source:day"]  # fmt: skip
SHAPES_OF_RULES = ("    key: row\n", "    key: row\n    first: day\n", "    key: row\n    join: {visits: visit}\n",
                   "    key: row\n    each: {columns: [value], value: value}\n", "    distinct: true\n")  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES_OF_RULES)
def test_no_name_of_a_column_is_ours(tmp_path, shape):
    """Columns that no rule reads change nothing, also where they are called as our own once were or are."""
    text = MAPPING.replace("    key: row\n", shape)
    head, *lines = RESULTS.splitlines()
    more = [",".join([head, *OURS]), *(line + ",7" * len(OURS) for line in lines)]
    loaded(tmp_path / "a", text)
    report = loaded(tmp_path / "b", text, results="\n".join(more) + "\n")
    assert report.rejected == []
    assert content(tmp_path / "a" / "cdm.duckdb") == content(tmp_path / "b" / "cdm.duckdb")


def test_a_column_called_as_one_of_ours_is_read(tmp_path):
    head, *lines = RESULTS.splitlines()
    text = MAPPING.replace("number(value)", "number(`_status`)")
    loaded(tmp_path, text, results="\n".join([f"{head},_status", *(line + ",7" for line in lines)]) + "\n")
    assert rows(tmp_path, "SELECT DISTINCT value_as_number FROM measurement") == [(7.0,)]


def test_nothing_new_makes_no_release(tmp_path):
    assert loaded(tmp_path).release == 1
    again = loaded(tmp_path)
    assert (again.release, again.changed) == (1, False)
    assert loaded(tmp_path, results=RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n").release == 2
    assert describe_release(tmp_path)["files"][0]["sha256"]


def describe_release(folder):
    from atoll.ingest.release import manifest_of

    return manifest_of(folder / "cdm.duckdb")


def test_a_failed_load_leaves_the_release_in_force(tmp_path):
    loaded(tmp_path)
    before = content(tmp_path / "cdm.duckdb")
    with pytest.raises(Problems, match="has no column `value`"):
        loaded(tmp_path, results=RESULTS.replace("value", "wert"))
    assert content(tmp_path / "cdm.duckdb") == before


def test_readers_of_the_old_release_read_on(tmp_path):
    loaded(tmp_path)
    with Workbench(tmp_path / "cdm.duckdb", read_only=True) as reader:
        loaded(tmp_path, results=RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n")
        assert reader.value("SELECT count(*) FROM measurement") == 3
    assert rows(tmp_path, "SELECT count(*) FROM measurement") == [(4,)]


def test_only_one_load_at_a_time(tmp_path):
    with (
        only_one(tmp_path / "cdm.duckdb"),
        pytest.raises(OperatorError, match=r"Another load into cdm\.duckdb is running"),
    ):
        loaded(tmp_path)


LOADER = """\
import sys
from pathlib import Path
from tests.ingest.exports import TODAY
from atoll.ingest.load import load
from atoll.ingest.mapping import read_mapping
def step(text):
    print(text, flush=True)
load(read_mapping(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3]), today=TODAY, progress=step)
"""


@pytest.mark.parametrize("at", ["visit_occurrence from", "measurement from", "observation periods"])
def test_a_killed_load_goes_on_with_the_same_result(tmp_path, at):
    export = write(tmp_path / "export")
    mapping(tmp_path / "mapping")
    (tmp_path / "mapping" / "m.yaml").write_text(MAPPING, "utf-8")
    target = tmp_path / "killed.duckdb"
    code = textwrap.dedent(LOADER)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "mapping" / "m.yaml"), str(export), str(target)],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith(at):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.05)
    assert not target.exists()
    report = load(mapping(tmp_path / "mapping"), str(export), target, today=TODAY)
    loaded(tmp_path / "whole")
    assert report.changed
    assert content(target) == content(tmp_path / "whole" / "cdm.duckdb")


def test_merged_patients_become_one_person(tmp_path):
    text = MAPPING.replace("rules:", "persons: {same: {table: links, key: old, is: new}}\nrules:")
    report = loaded(tmp_path, text, links="old,new\n1,3\n9,3\n")
    assert report.merged == 2
    assert rows(tmp_path, "SELECT count(*) FROM person") == [(2,)]
    found = "SELECT count(*) FROM visit_occurrence JOIN person USING (person_id) WHERE person_source_value = '3'"
    assert rows(tmp_path, found) == [(2,)]


@settings(max_examples=6)
@given(st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("123")), max_size=5))
def test_any_links_leave_every_event_with_a_person(tmp_path_factory, links):
    folder = tmp_path_factory.mktemp("links")
    text = MAPPING.replace("rules:", "persons: {same: {table: links, key: old, is: new}}\nrules:")
    loaded(folder, text, links="old,new\n" + "".join(f"{a},{b}\n" for a, b in links))
    lost = "SELECT count(*) FROM visit_occurrence WHERE person_id NOT IN (SELECT person_id FROM person)"
    assert rows(folder, lost) == [(0,)]
    joined = {frozenset(pair) for pair in links if pair[0] != pair[1]}
    parts = {"1": 0, "2": 1, "3": 2}
    for pair in joined:
        a, b = sorted(pair)
        parts = {key: parts[a] if part == parts[b] else part for key, part in parts.items()}
    assert rows(folder, "SELECT count(*) FROM person") == [(len(set(parts.values())),)]


def test_events_without_a_visit_get_the_visit_in_whose_days_they_lie(tmp_path):
    text = MAPPING.replace("rules:", "visits: {link: true}\nrules:")
    loaded(tmp_path, text, results="row,patient,visit,day,code,value,unit\na,1,,2020-01-11,2345-7,1,mg/dL\n")
    found = rows(
        tmp_path, "SELECT visit_start_date::VARCHAR FROM measurement JOIN visit_occurrence USING (visit_occurrence_id)"
    )
    assert found == [("2020-01-10",)]


def test_an_empty_table_is_no_error(tmp_path):
    report = loaded(tmp_path, results=RESULTS.splitlines()[0] + "\n")
    assert "measurement" not in report.tables


def test_a_quote_that_never_closes_stops_the_load(tmp_path):
    broken = RESULTS + 'd,1,v1,2020-01-11,"2345-7,1,mg/dL\n' + "e,1,v1,2020-01-11,2345-7,1,mg/dL\n" * 3
    for _ in range(2):  # also when the command is typed again
        with pytest.raises(
            DataError, match=r"Line 5 of results.csv opens a quote that never closes; the 3 lines after"
        ):
            loaded(tmp_path, results=broken)


def test_a_quote_that_closes_amid_a_field_is_told_so(tmp_path):
    broken = RESULTS + 'd,1,v1,2020-01-11,"2345-7,1,mg/dL\ne,1,v1,2020-01-11,2345-7,1,mg/dL"\n'
    with pytest.raises(DataError, match=r"Line 5 of results.csv opens a quote that closes 1 line below"):
        loaded(tmp_path, results=broken)


def noticed(report):
    return report.manifest["notes"]


def test_two_stray_quotes_and_a_last_line_without_an_end_are_told(tmp_path):
    """Both read as sound rows: the lines between the quotes are one field, and a 55.0 that was cut is a 5."""
    swallowed = (
        RESULTS + 'd,1,v1,2020-01-11,2345-7,1,"mg\ne,1,v1,2020-01-11,2345-7,1,mg\nf,1,v1,2020-01-11,2345-7,1,dL"\n'
    )
    assert noticed(loaded(tmp_path / "a", results=swallowed)) == [
        "results: a field in quotation marks spans lines in 1 row; two stray marks would swallow the lines between them"
    ]
    assert noticed(loaded(tmp_path / "b", results=RESULTS + "d,1,v1,2020-01-11,2345-7,5")) == [
        "results.csv: the last line has no end; it may be cut"
    ]
    inches = RESULTS + 'd,1,v1,2020-01-11,2345-7,1,5" tube\n'
    assert noticed(loaded(tmp_path / "c", results=inches)) == [], "a mark within a field opens nothing"


def test_all_lines_after_an_open_quote_are_counted(tmp_path):
    broken = RESULTS + 'd,1,v1,2020-01-11,"2345-7,1,mg/dL\n' + "e,1,v1,2020-01-11,2345-7,1,mg/dL\n" * 200_000
    with pytest.raises(DataError, match="the 200,000 lines after it cannot be read"):
        loaded(tmp_path, results=broken)


def test_broken_lines_of_files_that_did_not_change_stay_named(tmp_path):
    broken = VISITS + "v4,2,2020-05-05\n"
    loaded(tmp_path, visits=broken)
    report = loaded(tmp_path, visits=broken, results=RESULTS + "d,1,v1,2020-01-11,2345-7,1,mg/dL\n")
    assert ("visit_occurrence", True) in rows(tmp_path, "SELECT name, taken FROM ingest.part")
    assert report.broken_lines == [{"file": "visits.csv", "line": 5, "what": "missing columns"}]


def test_only_what_changed_is_made_again(tmp_path):
    loaded(tmp_path)
    results = RESULTS.replace("99.5", "90.5").replace("c,1,v3", "e,1,v3")  # one changed, one deleted, one new
    loaded(tmp_path, results=results)
    taken = dict(rows(tmp_path, "SELECT name, taken FROM ingest.part"))
    assert taken == {"person": False, "death": True, "visit_occurrence": True, "measurement": False}
    loaded(tmp_path / "whole", results=results)
    assert content(tmp_path / "cdm.duckdb") == content(tmp_path / "whole" / "cdm.duckdb")


@settings(max_examples=5)
@given(st.data())
def test_a_second_export_gives_what_it_gives_alone(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("second")
    lines = {"patients": PATIENTS, "visits": VISITS, "results": RESULTS}
    loaded(folder, anyway=True, **{name: _some(data, text) for name, text in lines.items()})
    second = {name: _some(data, text) for name, text in lines.items()}
    loaded(folder, anyway=True, **second)
    loaded(folder / "alone", anyway=True, **second)
    ours, alone = content(folder / "cdm.duckdb"), content(folder / "alone" / "cdm.duckdb")
    for name in ("concept", "measurement"):  # a hospital's own concepts keep numbers that an empty site would give anew
        ours.pop(name), alone.pop(name)
    assert ours == alone
    assert _kept(folder / "cdm.duckdb") == _kept(folder / "alone" / "cdm.duckdb")


def _some(data, text):
    head, *body = text.splitlines()
    chosen = data.draw(st.lists(st.sampled_from(body), unique=True, max_size=len(body)))
    return "\n".join([head, *chosen]) + "\n"


def _kept(path):
    with Workbench(path, read_only=True) as bench:
        return sorted(map(repr, bench.rows('SELECT "table", reason, key, row FROM ingest.rejected')))


def test_rows_that_the_source_marks_as_deleted(tmp_path):
    text = MAPPING.replace("    key: row\n", '    key: row\n    deleted: unit = "x"\n')
    report = loaded(tmp_path, text)
    assert (report.tables["measurement"], report.rejected) == (2, [])


def test_many_rows_are_streamed_past_few_and_not_held(tmp_path):
    visits = "visit,patient,from,to\n" + "".join(f"v{n},{n % 3 + 1},2023-01-10,2023-01-12\n" for n in range(20_000))
    results = "".join(f"r{n},{n % 3 + 1},v{n % 19_998},2023-06-02,2345-7,{n % 90},mg/dL\n" for n in range(300_000))
    results = RESULTS.splitlines()[0] + "\n" + results + "r1,2,v1,2023-06-02,2345-7,999,mg/dL\n"
    export = write(tmp_path / "export", visits=visits, results=results)
    report = load(mapping(tmp_path / "m"), str(export), tmp_path / "cdm.duckdb", today=TODAY, memory="100MB")
    assert report.tables["measurement"] == 299_999
    assert reasons(report) == {"contradiction": 2}


def test_codes_without_a_concept_are_written_with_their_names(tmp_path):
    from atoll.cli.main import atoll

    export = write(tmp_path / "export", results=RESULTS + "d,1,v1,2020-01-11,X1,1,mg/dL\n")
    text = MAPPING.replace("lists: {sex: sex.csv}", "lists: {sex: sex.csv, test: test.csv}").replace(
        'code("LOINC", code)', 'lookup("test", code)'
    )
    mapping(tmp_path / "m", text, test="code,name,concept_id\n2345-7,glucose,3004501\nX1,谜,\n")
    (tmp_path / "m" / "small.yaml").write_text(text, "utf-8")
    atoll(["load", str(tmp_path / "m" / "small.yaml"), "--from", str(export), "--cdm", f"duckdb:///{tmp_path}/cdm.duckdb",
           "--report", str(tmp_path / "load.json"), "--today", "2026-01-01"], standalone_mode=False)  # fmt: skip
    codes = tmp_path / "load-unmapped.csv"
    assert codes.read_text("utf-8") == "list,code,name,rows\ntest,9999-9,,1\ntest,X1,谜,1\n"
    for private in (codes, tmp_path / "load.json", tmp_path / "cdm.duckdb"):
        assert private.stat().st_mode & 0o777 == 0o600, private.name
    assert "X1" not in (tmp_path / "load.json").read_text("utf-8")
