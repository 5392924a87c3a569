"""Which files and sheets become which table, and that every format is read alike: nothing vanishes without a word."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.ingest import readers
from atoll.ingest.drafts.proposal import propose
from atoll.ingest.scan import scan
from atoll.ingest.sources import open_source
from tests.ingest.exports import MAPPING, PATIENTS, RESULTS, TODAY, VISITS, loaded, mapping, rows, write

openpyxl = pytest.importorskip("openpyxl")
FORMATS = ("csv", "xlsx", "parquet", "duckdb")


def book(path, hidden=(), **sheets):
    """A workbook of sheets, each its rows."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, lines in sheets.items():
        sheet = made.create_sheet(title)
        sheet.sheet_state = "hidden" if title in hidden else "visible"
        for line in lines:
            sheet.append(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(path)
    made.close()


def document(tables="", reads=("labs",), missing=""):
    """A mapping that reads some tables, and says so much of them."""
    rules = "".join(f"  - {{to: person, from: {name!r}, columns: {{}}}}\n" for name in reads)
    said = f"source: {{missing: [{missing}], tables: {{{tables}}}}}\n"
    return f"mapping: 1\nname: a\n{said}rules:\n{rules}"


def found(address, text=None):
    """Table → its rows, what is told, the tables that nobody reads, the names of the files."""
    with Workbench() as bench, tempfile.TemporaryDirectory() as work:
        said = mapping(Path(work) / "m", text) if text else None
        source = open_source(str(address), bench, Path(work) / "work", said)
        read = {name: bench.ibis.to_pyarrow(source.table(name)).to_pylist() for name in source.tables}
        return read, source.told(), source.others, [file.name for file in source.files()]


def export(folder, kind, columns, lines):
    """One table of texts and numbers in a format."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: [line[at] for line in lines] for at, name in enumerate(columns)})
    if kind == "csv":
        texts = [",".join("" if value is None else str(value) for value in line) for line in (columns, *lines)]
        (folder / "labs.csv").write_text("\n".join(texts) + "\n")
    elif kind == "xlsx":
        book(folder / "labs.xlsx", labs=[columns, *lines])
    elif kind == "parquet":
        pq.write_table(table, folder / "labs.parquet")
    else:
        with duckdb.connect(str(folder / "labs.duckdb")) as connection:
            connection.register("arrow", table)
            connection.execute("CREATE TABLE labs AS SELECT * FROM arrow")
    return folder


LINES = [("p1 ", 999.0, "2024-01-01", 1), ("\u3000p2", 5.5, "1900-01-01", 999), ("", 7.25, " ? ", None)]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_missing_and_blanks_are_the_same_in_every_format(tmp_path, kind):
    where = export(tmp_path / "e", kind, ("id", "value", "day", "n"), LINES)
    said = document("labs: {missing: ['1900-01-01']}", missing="'999', '999.0', '?'")
    (read, *_) = found(where, said)
    shown = [[None if v is None else str(v).removesuffix(".0") for v in row.values()] for row in read["labs"]]
    assert shown == [["p1", None, "2024-01-01", "1"], ["p2", "5.5", None, None], [None, "7.25", None, None]]


def test_days_and_whole_numbers_of_parquet_that_stand_for_nothing(tmp_path):
    from datetime import date, datetime

    days, moments = [date(1900, 1, 1), date(2024, 5, 6)], [datetime(1900, 1, 1), datetime(2024, 5, 6, 7, 8)]
    pq.write_table(
        pa.table({"day": days, "at": moments, "n": [2**53 + 1, 999], "x": [-1.5, 2.0]}), tmp_path / "labs.parquet"
    )
    (read, *_) = found(tmp_path, document(missing="'1900-01-01', '999', '-1.5', 'n/a', '9007199254740992'"))
    first, second = read["labs"]
    assert first == {"day": None, "at": None, "n": 2**53 + 1, "x": None}
    assert second == {"day": date(2024, 5, 6), "at": datetime(2024, 5, 6, 7, 8), "n": None, "x": 2.0}


def test_long_ids_of_parquet_stay_whole_where_a_word_stands_for_nothing(tmp_path):
    from decimal import Decimal

    ids = pa.array([Decimal(10**29), Decimal(999)], pa.decimal128(38, 0))
    pq.write_table(pa.table({"id": ids, "no": pa.array([2**64 - 1, 999], pa.uint64())}), tmp_path / "labs.parquet")
    (read, *_) = found(tmp_path, document(missing="'999', '?'"))
    assert read["labs"] == [{"id": str(10**29), "no": str(2**64 - 1)}, {"id": None, "no": None}]


@pytest.mark.parametrize("word", ["'\"'", "','", "'a''b'"])
def test_any_word_may_stand_for_nothing(tmp_path, word):
    (tmp_path / "labs.csv").write_text('id,word\n1,""""\n2,","\n3,a\'b\n4,left\n')
    (read, *_) = found(tmp_path, document(missing=word))
    assert [row["word"] for row in read["labs"]].count(None) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_a_load_is_the_same_from_every_format(tmp_path, kind):
    lines = [line.split(",") for line in RESULTS.replace("99.5", "999").splitlines()]
    place = export(tmp_path / "e", kind, lines[0], lines[1:]) if kind != "duckdb" else None
    if place is None:
        place = tmp_path / "e.duckdb"
        with duckdb.connect(str(place)) as connection:
            for name, text in {"patients": PATIENTS, "visits": VISITS, "labs": RESULTS.replace("99.5", "999")}.items():
                (tmp_path / f"{name}.csv").write_text(text)
                connection.execute(f"CREATE TABLE {name} AS FROM read_csv('{tmp_path / name}.csv', all_varchar=true)")
    else:
        (place / "patients.csv").write_text(PATIENTS)
        (place / "visits.csv").write_text(VISITS)
    from atoll.ingest.load import load

    text = MAPPING.replace("from: results", "from: labs").replace('["?"]', '["999"]')
    load(mapping(tmp_path / "m", text), str(place), tmp_path / "cdm.duckdb", today=TODAY)
    assert rows(tmp_path, "SELECT value_as_number FROM measurement ORDER BY 1") == [(1.0,), (5.1,), (None,)]


def test_all_workbooks_of_a_table_are_loaded_and_named(tmp_path):
    for at in (1, 2):
        book(tmp_path / "e" / f"lab{at}.xlsx", Sheet1=[("id", "v"), (at, at * 10)], Sheet2=[])
    read, told, others, files = found(tmp_path / "e", document('labs: {file: "lab*.xlsx"}'))
    assert read == {"labs": [{"id": "1", "v": "10"}, {"id": "2", "v": "20"}]}
    assert files == ["lab1.xlsx", "lab2.xlsx"] and not told and not others


def test_two_formats_of_one_table_are_each_read_by_their_own_reader(tmp_path):
    (tmp_path / "lab1.csv").write_text("v,id\n1,a\n")
    book(tmp_path / "lab2.xlsx", any=[("id", "v"), ("b", 2)])
    pq.write_table(pa.table({"id": ["c "], "v": [3]}), tmp_path / "lab3.parquet")
    read, *_, files = found(tmp_path, document('labs: {file: "lab*"}'))
    assert sorted((row["id"], row["v"]) for row in read["labs"]) == [("a", "1"), ("b", "2"), ("c", "3")]
    assert files == ["lab1.csv", "lab2.xlsx", "lab3.parquet"]


def test_one_name_in_two_formats_is_two_tables_and_told(tmp_path):
    (tmp_path / "labs.csv").write_text("id\na\n")
    pq.write_table(pa.table({"id": ["b"]}), tmp_path / "labs.parquet")
    read, told, *_ = found(tmp_path)
    assert read == {"labs.csv": [{"id": "a"}], "labs.parquet": [{"id": "b"}]}
    assert told == ["labs.csv, labs.parquet: one name in two formats, two tables"]
    assert found(tmp_path, document(reads=["labs.parquet"]))[0] == {"labs.parquet": [{"id": "b"}]}
    with pytest.raises(DataError, match="holds no table that the mapping reads"):
        found(tmp_path, document())
    read, _, others, _ = found(tmp_path, document('labs: {file: "labs.csv"}'))
    assert read == {"labs": [{"id": "a"}]} and others == ["labs.parquet"]


def test_the_sheet_is_read_that_the_rule_names(tmp_path):
    kept, voided = [("no", "v"), (1, 1), (2, 2)], [("no", "v"), (3, 3)]
    book(tmp_path / "检验.xlsx", hidden=["旧"], 检验=kept, 作废=voided, 旧=voided)
    read, told, others, _ = found(tmp_path, document(reads=["检验"]))
    assert [row["no"] for row in read["检验"]] == ["1", "2"]
    assert others == ["作废"]
    assert told == ["检验.xlsx: the sheet 旧 is hidden, and was left out"]
    read, told, *_ = found(tmp_path)
    assert {name: len(lines) for name, lines in read.items()} == {"检验": 2, "作废": 1}
    said = document("检验: {file: 检验.xlsx}, old: {file: 检验.xlsx, sheet: 旧}", ["检验", "old"])
    read, told, *_ = found(tmp_path, said)
    assert {name: len(lines) for name, lines in read.items()} == {"检验": 2, "old": 1} and not told


def test_a_table_whose_sheet_is_not_told_is_refused(tmp_path):
    book(tmp_path / "book.xlsx", a=[("x",), (1,)], b=[("x",), (2,)])
    with pytest.raises(DataError, match=r"book\.xlsx has 2 sheets, and the mapping does not say which is 'labs'.*a, b"):
        found(tmp_path, document("labs: {file: book.xlsx}"))
    with pytest.raises(DataError, match=r"book\.xlsx has no sheet 'c'.*a, b"):
        found(tmp_path, document("labs: {file: book.xlsx, sheet: c}"))
    assert found(tmp_path, document("labs: {file: book.xlsx, sheet: B}"))[0]["labs"] == [{"x": "2"}]


def test_sheets_of_one_name_are_told_apart_in_scan_and_load(tmp_path):
    for at in (1, 2, 3):
        book(tmp_path / f"book{at}.xlsx", Sheet1=[("x",), (f"a{at}",)], Sheet2=[("x",), (f"b{at}",)])
    (tmp_path / "sheet2.csv").write_text("x\nc\n")
    names = [f"book{at}.Sheet{sheet}" for at in (1, 2, 3) for sheet in (1, 2)] + ["sheet2"]
    seen = scan(str(tmp_path), folder=tmp_path.with_name(tmp_path.name + "-work"))
    assert sorted(table["name"] for table in seen["tables"]) == names
    read, _, others, _ = found(tmp_path, document(reads=["book2.Sheet1", "sheet2"]))
    assert read == {"book2.Sheet1": [{"x": "a2"}], "sheet2": [{"x": "c"}]}
    assert sorted(others) == [name for name in names if name not in read]


def test_a_draft_does_not_read_a_hidden_sheet(tmp_path):
    lines = [("病历号", "性别", "出生日期"), *((f"p{n}", "男", f"1950-01-{n:02}") for n in range(1, 29))]
    book(tmp_path / "e" / "病人.xlsx", hidden=["旧"], 病人=lines, 旧=[("说明",), ("x",)])
    made = propose(str(tmp_path / "e"), tmp_path / "m" / "a.yaml", "a")
    assert made.rules == 1
    assert "病人.xlsx: the sheet 旧 is hidden, and was left out" in made.notes


def test_files_that_nobody_reads_are_named_with_what_to_do(tmp_path):
    write(tmp_path / "e")
    book(tmp_path / "e" / "x.xlsm", x=[("a",), (1,)])
    for name in ("检验.xls", "诊断.XLS", "c.dat", "~$labs.xlsx", ".hidden"):
        (tmp_path / "e" / name).write_bytes(b"\xd0\xcf\x11\xe0")
    said = {
        "检验.xls, 诊断.XLS: .xls is not read. Save it as .xlsx, in Excel or in LibreOffice",
        "c.dat: not read, the format is not known by the name",
    }
    seen = scan(str(tmp_path / "e"), folder=tmp_path / "work")
    assert said == set(seen["notes"])
    assert [table["name"] for table in seen["tables"]] == ["patients", "results", "visits", "x"]
    report = loaded(tmp_path, results=RESULTS, export=b"x\n1\n")
    assert report.tables["person"] == 3
    assert said <= set(found(tmp_path / "e", MAPPING)[1])


def test_an_old_workbook_alone_says_what_to_do(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "检验.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(DataError, match=r"holds no table\..*检验\.xls: \.xls is not read\. Save it as \.xlsx"):
        found(tmp_path / "e")
    with pytest.raises(DataError, match=r"检验\.xls belongs to 'labs', and cannot be read\. Save it as \.xlsx"):
        found(tmp_path / "e", document('labs: {file: "检验*"}'))


def test_a_new_format_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "labs.dat").write_text("id|v\n1|2\n")
    fixed = readers.Reader("bars", (".dat",), readers.TEXT.read)
    monkeypatch.setattr(readers, "READERS", (*readers.READERS, fixed))
    read, told, *_ = found(tmp_path, document(missing="'2'"))
    assert read == {"labs": [{"id": "1", "v": None}]} and not told
    assert "Parquet, bars and, by its own path" in readers.readable_formats()


def test_columns_are_named_in_a_workbook_as_in_a_csv(tmp_path):
    said = document("labs: {columns: [id, v]}")
    book(tmp_path / "e" / "labs.xlsx", s=[(1, 10), (2, 20)])
    assert found(tmp_path / "e", said)[0] == {"labs": [{"id": "1", "v": "10"}, {"id": "2", "v": "20"}]}
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "labs.csv").write_text("1,10\n2,20\n")
    assert found(tmp_path / "c", said)[0] == {"labs": [{"id": "1", "v": "10"}, {"id": "2", "v": "20"}]}


def test_files_of_one_name_in_two_folders_are_both_in_the_manifest(tmp_path):
    for year in (2023, 2024):
        (tmp_path / str(year)).mkdir()
        (tmp_path / str(year) / "labs.csv").write_text(f"id\n{year}\n")
    read, *_, files = found(tmp_path, document())
    assert [row["id"] for row in read["labs"]] == ["2023", "2024"]
    assert files == ["2023/labs.csv", "2024/labs.csv"]


TITLED = [("检验结果一览表", None, None, None), ("制表日期", "2024-01-01", None, None), ("no", "名称", "值", None),
          ("1", "糖", "5", "x")]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "padded csv", "semicolons", "xlsx"])
def test_a_title_above_the_columns_names_is_passed_over_and_told(tmp_path, kind):
    place = tmp_path / "e"
    place.mkdir()
    if kind == "xlsx":
        book(place / "labs.xlsx", s=TITLED)
    else:
        sign = ";" if kind == "semicolons" else ","
        lines = [sign.join(cell or "" for cell in line) for line in TITLED]
        lines = (
            lines if kind == "padded csv" else [line.rstrip(sign) if at < 2 else line for at, line in enumerate(lines)]
        )
        (place / "labs.csv").write_text("\n".join(lines) + "\n")
    wanted = [{"no": "1", "名称": "糖", "值": "5", "unnamed_4": "x"}]
    for said in (None, document()):
        read, told, *_ = found(place, said)
        assert read == {"labs": wanted}
        assert [
            note
            for note in told
            if "passed over 2 lines above the columns' names: a title; `skip: 0` reads them" in note
        ]
    read, told, *_ = found(place, document("labs: {skip: 2}"))
    assert read == {"labs": wanted} and not told
    if "csv" != kind != "semicolons":
        assert "检验结果一览表" in found(place, document("labs: {skip: 0}"))[0]["labs"][0]


@pytest.mark.parametrize("text", [",a,b\n0,1,2\n", "id\n1\n2\n", "id,,\n1,2,3\n4,5,6\n", "a,b\n1,2\n", "code\nx,y,3\n"])
def test_no_title_is_seen_where_there_is_none(tmp_path, text):
    (tmp_path / "labs.csv").write_text(text)
    assert not found(tmp_path)[1]


def test_a_broken_line_under_a_title_keeps_its_number(tmp_path):
    (tmp_path / "labs.csv").write_text("title\n\na,b,c\n1,2,3\n4,5\n")
    with Workbench() as bench, tempfile.TemporaryDirectory() as work:
        source = open_source(str(tmp_path), bench, Path(work))
        assert len(bench.rows(bench.sql(source.table("labs")))) == 1
        assert [(file, line) for file, line, *_ in source.broken()] == [("labs.csv", 5)]
