"""What a second load takes over and what it makes again: all that a table is made from counts, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest

from atoll.cdm.vocabulary import load_athena
from atoll.cdm.workbench import Workbench
from atoll.ingest import reuse
from atoll.ingest.load import load
from atoll.ingest.mapping import Mapping, SourceTable
from atoll.ingest.reuse import fingerprint
from atoll.ingest.sources import Opened, Source, SourceFile
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, TODAY, VISITS, loaded, mapping, reasons, rows, write
from tests.ingest.test_vocabularies import athena

PLAN = {"vocabulary": "v", "concepts": "c", "program": "1"}
DECLARED = SourceTable("results", "a.csv", "s", None, "utf-8", ",", ("row", "code"), ("?",), (3, 1))
OTHER = {"name": "r", "file": "b.csv", "sheet": "t", "skip": 0, "encoding": "cp1252", "delimiter": ";",
         "columns": ("code", "row"), "missing": ("-9",), "place": (9, 9)}  # fmt: skip


def mark(bench: Workbench, document: Mapping, files: tuple[tuple[str, str], ...] = (("results", "1"),)) -> str:
    source = Source(bench, "tables", {name: Opened(name, {}, (SourceFile(name, hashed, 1),)) for name, hashed in files})
    rules = [rule for rule in document.rules if rule.to == "measurement"]
    return fingerprint(document, rules, source, PLAN, bench, ())


@pytest.mark.parametrize("field", [field.name for field in fields(SourceTable)])
def test_how_a_table_is_read_is_what_it_is_made_from(tmp_path, field):
    """Every field of `SourceTable`, also one that is added later, moves the mark; where it stands does not."""
    made = replace(mapping(tmp_path), tables={"results": DECLARED})
    changed = replace(made, tables={"results": replace(DECLARED, **{field: OTHER[field]})})
    with Workbench() as bench:
        assert (mark(bench, made) == mark(bench, changed)) == (field == "place")
        other = replace(made, tables={"results": DECLARED, "visits": DECLARED})
        assert mark(bench, made) == mark(bench, other), "a table that its rules do not read"


def test_exchanged_files_and_another_order_of_columns_are_another_table(tmp_path):
    joined = MAPPING.replace("    from: results\n", "    from: results\n    join: {a: x, b: x}\n")
    one = mapping(tmp_path, joined)
    with Workbench() as bench:
        made = mark(bench, one, (("results", "1"), ("a", "2"), ("b", "3")))
        assert mark(bench, one, (("results", "1"), ("a", "3"), ("b", "2"))) != made
        turned = mapping(tmp_path, joined.replace("{a: x, b: x}", "{b: x, a: x}"))  # the first one's values are kept
        assert mark(bench, turned, (("results", "1"), ("a", "2"), ("b", "3"))) != made


@pytest.mark.parametrize("changed", ["ingest/value_words.csv", "ingest/rules.py", "cdm/workbench.py"])
def test_another_program_of_the_same_version_is_another(tmp_path, changed):
    copied = tmp_path / "atoll"
    for folder in reuse.PROGRAM:
        shutil.copytree(Path(reuse.__file__).parents[1] / folder, copied / folder)
    assert reuse.program(copied) == reuse.program()
    (copied / changed).write_text((copied / changed).read_text("utf-8") + "\n", "utf-8")
    reuse.program.cache_clear()
    assert reuse.program(copied) != reuse.program()


def test_what_another_program_makes_is_made_again(tmp_path, monkeypatch):
    loaded(tmp_path)
    assert not loaded(tmp_path).changed
    monkeypatch.setattr(reuse, "program", lambda: "another")
    report = loaded(tmp_path)
    assert (report.release, report.changed) == (2, True)
    assert rows(tmp_path, "SELECT DISTINCT taken FROM ingest.part") == [(False,)]


def test_the_program_is_all_that_the_loader_is_made_of():
    """No package below the loader makes rows and is left out of the hash."""
    found = subprocess.run(
        [sys.executable, "-c", "import sys, atoll.ingest.load; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    packages = {name.split(".")[1] for name in found if name.startswith("atoll.")}
    assert packages - set(reuse.PROGRAM) <= {"errors", "settings", "durable", "held", "version", "knowledge"}


def test_a_corrected_mapping_is_applied(tmp_path):
    """−9 stood for nothing, and two columns had each other's name."""
    lines = "".join(f"{line},2020-12-31\n" for line in RESULTS.replace("99.5", "-9").splitlines()[1:])
    named = "{columns: [row, patient, visit, other, code, value, unit, day]}"
    text = MAPPING.replace('{missing: ["?"]}', f"{{tables: {{results: {named}}}}}")
    loaded(tmp_path, text, results=lines)
    assert rows(tmp_path, "SELECT min(value_as_number), max(measurement_date) FROM measurement") == [
        (-9.0, date(2020, 12, 31))
    ]
    text = text.replace("other", "DAY").replace("unit, day", "unit, other").replace("DAY", "day")
    text = text.replace("{columns", '{missing: ["-9"], columns')
    loaded(tmp_path, text, results=lines)
    assert rows(tmp_path, "SELECT min(value_as_number), max(measurement_date) FROM measurement") == [
        (1.0, date(2021, 6, 2))
    ]


def test_events_are_linked_anew_when_the_days_of_visits_change(tmp_path):
    text = MAPPING.replace("source:", "visits: {link: true}\nsource:").replace("      visit_occurrence_id: visit\n", "")
    loaded(tmp_path, text)
    linked = "SELECT count(*) FROM measurement WHERE visit_occurrence_id IS NOT NULL"
    assert rows(tmp_path, linked) == [(3,)]
    loaded(tmp_path, text, visits=VISITS.replace("2021-06-01,2021-06-03", "2021-07-01,2021-07-03"))
    assert rows(tmp_path, linked) == [(2,)]


def test_events_are_linked_anew_when_only_the_end_of_a_visit_changes(tmp_path):
    text = MAPPING.replace("source:", "visits: {link: true}\nsource:").replace("      visit_occurrence_id: visit\n", "")
    loaded(tmp_path, text)
    loaded(tmp_path, text, visits=VISITS.replace("2021-06-03", "2021-06-01"))  # the result is of the second of June
    assert rows(tmp_path, "SELECT count(*) FROM measurement WHERE visit_occurrence_id IS NOT NULL") == [(2,)]


def test_what_fills_missing_units_in_is_part_of_what_a_table_is_made_from(tmp_path):
    one = mapping(tmp_path)
    with Workbench() as bench:
        marks = {mark(bench, replace(one, infer_units=least)) for least in (None, 0.9, 0.99)}
    assert len(marks) == 3


def test_concepts_of_the_hospitals_own_come_with_a_table_that_is_taken(tmp_path):
    own = "SELECT concept_id, concept_code FROM concept WHERE concept_id >= 2000000000"
    held = "SELECT concept_id, concept_code FROM ingest.local_concept"
    loaded(tmp_path)
    loaded(tmp_path, patients=PATIENTS + "4,Q,1990-01-01,\n", visits=VISITS)
    loaded(tmp_path, patients=PATIENTS + "4,M,1990-01-01,\n", visits=VISITS)
    assert dict(rows(tmp_path, "SELECT name, taken FROM ingest.part"))["measurement"] is True
    assert rows(tmp_path, own) == [(2_000_000_000, "9999-9")]
    assert rows(tmp_path, held + " ORDER BY 1") == [(2_000_000_000, "9999-9"), (2_000_000_001, "Q")]
    mended = RESULTS.replace("9999-9", "2345-7") + "d,1,v1,2020-01-11,0000-0,1,x\n"
    loaded(tmp_path, results=mended, patients=PATIENTS)
    assert rows(tmp_path, own) == [(2_000_000_002, "0000-0")], "no number is given twice"


def test_a_vocabulary_of_the_same_version_with_more_in_it_is_another(tmp_path):
    text = MAPPING.replace('code("LOINC", code)', 'code("Local", code)')
    export = write(tmp_path / "export", results=RESULTS.splitlines()[0] + "\na,1,v1,2020-01-11,B9,1,x\n")
    found, folder = [], athena(tmp_path / "athena")
    for concepts in ("", "9\tnine\tMeasurement\tLocal\tLab\tS\tB9\t19700101\t20991231\t\n"):
        with (folder / "CONCEPT.csv").open("a") as file:
            file.write(concepts)
        load_athena(folder, tmp_path / "v.duckdb")
        made = mapping(tmp_path / "m", text)
        load(made, str(export), tmp_path / "cdm.duckdb", vocabulary=tmp_path / "v.duckdb", today=TODAY)
        found += rows(tmp_path, "SELECT measurement_concept_id FROM measurement")
    assert found == [(0,), (9,)]


def test_the_same_export_on_a_later_day(tmp_path):
    """What lay in the future comes; until then, and afterwards, the same export makes no release. (`anyway`: the only
    death lies in the future.)"""
    export = write(tmp_path / "export", results=RESULTS.replace("2021-06-02", "2020-06-02"))

    def on(*day: int) -> tuple[bool, int]:
        report = load(mapping(tmp_path / "m"), str(export), tmp_path / "cdm.duckdb", today=date(*day), anyway=True)
        return report.changed, report.tables.get("measurement", 0)

    assert on(2020, 3, 1) == (True, 2)
    assert on(2020, 6, 1) == (False, 2)
    assert on(2020, 7, 1) == (True, 3)
    assert dict(rows(tmp_path, "SELECT name, taken FROM ingest.part"))["death"], "none of these lay in the future"
    assert on(2020, 7, 2) == (False, 3)
    assert on(2020, 3, 1) == (True, 2)


def test_a_taken_table_keeps_the_day_on_which_a_row_will_come(tmp_path):
    export = write(tmp_path / "export", results=RESULTS.replace("2021-06-02", "2020-06-02"))
    target, made = tmp_path / "cdm.duckdb", mapping(tmp_path / "m")
    load(made, str(export), target, today=date(2020, 3, 1), anyway=True)
    write(tmp_path / "export", results=RESULTS.replace("2021-06-02", "2020-06-02"), visits=VISITS.replace("-12", "-11"))
    load(made, str(export), target, today=date(2020, 3, 2), anyway=True)
    assert dict(rows(tmp_path, "SELECT name, taken FROM ingest.part"))["death"]
    assert dict(rows(tmp_path, 'SELECT "table", day FROM ingest.coming'))["death"] == date(2024, 3, 1)
    assert reasons(load(made, str(export), target, today=date(2024, 3, 1))) == {}
