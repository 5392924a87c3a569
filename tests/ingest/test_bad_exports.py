"""Exports as they should not be: each gets a sentence that names the file and, where there is one, the line."""

from __future__ import annotations

import io
import re
import zipfile

import pytest

from atoll.cdm import delimited, pace
from atoll.cdm.vocabulary import require
from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.features.imports import import_source
from atoll.ingest import excel
from atoll.ingest.checking import check_against, filled
from atoll.ingest.doubts import doubts
from atoll.ingest.load import load
from atoll.ingest.lookups import read_list
from atoll.ingest.scan import scan
from atoll.ingest.sources import open_source
from atoll.ingest.terms.concepts import read_concepts
from atoll.ingest.terms.files import read_decisions, read_names
from atoll.ingest.terms.review import read_items
from atoll.study.nodes import Problems
from tests.ingest.exports import MAPPING, RESULTS, TODAY, loaded, mapping, rows, write


def opened(path, folder):
    with Workbench() as bench:
        return open_source(str(path), bench, folder)


def test_gb18030_with_chinese_headings(tmp_path):
    text = "病人ID,性别\n1,男\n2,女\n".encode("gb18030")
    (tmp_path / "病人.csv").write_bytes(text)
    with Workbench() as bench:
        source = open_source(str(tmp_path), bench, tmp_path / "work")
        assert source.tables["病人"].files[0].encoding == "gb18030"
        assert bench.ibis.to_pyarrow(source.table("病人")).to_pylist()[1] == {"病人ID": "2", "性别": "女"}


def test_two_encodings_in_one_file(tmp_path):
    lines = ["姓名".encode(), "王小明".encode("gb18030"), "李雷雷".encode(), "韩梅梅".encode("gb18030")]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    with pytest.raises(DataError, match=r"a\.csv is written in two encodings: line 1 is UTF-8, line 2 is GB18030"):
        opened(tmp_path, tmp_path / "work")


def test_neither_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"name\nMeyer\nM\xfcller\n")
    with pytest.raises(DataError, match=r"Line 3 of a\.csv is neither UTF-8 nor GB18030.*encoding: cp1252"):
        opened(tmp_path, tmp_path / "work")


def test_mixed_line_ends_and_a_mark_are_no_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\n3,4\r\n")
    with Workbench() as bench:
        source = open_source(str(tmp_path), bench, tmp_path / "work")
        assert bench.ibis.to_pyarrow(source.table("a")).to_pylist() == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_no_byte_at_all(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.csv is empty: not even a line with column names"):
        opened(tmp_path, tmp_path / "work")


def test_a_hundred_thousand_columns(tmp_path):
    (tmp_path / "a.csv").write_text(",".join(f"c{i}" for i in range(100_000)) + "\n")
    with pytest.raises(DataError, match=r"a\.csv has 100,000 columns; at most 4,096 are read"):
        opened(tmp_path, tmp_path / "work")


def test_no_header(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(DataError, match=r"The first line of a\.csv holds only numbers: it has no header"):
        opened(tmp_path, tmp_path / "work")


def test_two_columns_of_one_name(tmp_path):
    (tmp_path / "a.csv").write_text("x,X\n3,4\n")
    with pytest.raises(DataError, match=r"a\.csv has two columns called 'x'"):
        opened(tmp_path, tmp_path / "work")


def test_a_gz_file_that_ends_in_the_middle(tmp_path):
    import gzip

    text = "a,b\n" + "".join(f"{i * 7919 % 104729},{i}\n" for i in range(20_000))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode())[:-2000])
    with pytest.raises(DataError, match=r"a\.csv\.gz cannot be read: it is damaged or ends in the middle"):
        opened(tmp_path, tmp_path / "work")


def test_ndjson_that_ends_in_the_middle(tmp_path):
    (tmp_path / "Patient.ndjson").write_text('{"resourceType":"Patient","id":"1"}\n{"resourceType":"Pat')
    with pytest.raises(DataError, match=r"Patient\.ndjson ends in the middle of line 2"):
        opened(tmp_path, tmp_path / "work")


def test_a_broken_line_of_ndjson_is_set_aside(tmp_path):
    (tmp_path / "Patient.ndjson").write_text(
        '{"resourceType":"Patient","id":"1"}\n{oops}\n{"resourceType":"Patient","id":"2"}\n'
    )
    source = opened(tmp_path, tmp_path / "work")
    assert source.aside == [("Patient.ndjson", 2, "NO JSON", "{oops}\n")]


def test_excel_dates_and_numbers(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    from datetime import datetime

    book = openpyxl.Workbook()
    book.active.append(["id", "day", "value"])
    book.active.append([1, datetime(2024, 1, 31), 2.50])
    book.active.append([2, "31.01.2024", "<0.5"])
    book.save(tmp_path / "book.xlsx")
    book.close()
    with Workbench() as bench:
        source = open_source(str(tmp_path / "book.xlsx"), bench, tmp_path / "work")
        (name,) = source.tables
        found = bench.ibis.to_pyarrow(source.table(name)).to_pylist()
    assert found == [
        {"id": "1", "day": "2024-01-31", "value": "2.5"},
        {"id": "2", "day": "31.01.2024", "value": "<0.5"},
    ]


def test_excel_serial_days_in_a_csv(tmp_path):
    text = MAPPING.replace("date(day)", 'date(day, "excel")')
    loaded(tmp_path, text, results=RESULTS.splitlines()[0] + "\na,1,v1,43841,2345-7,1,mg/dL\n")
    assert rows(tmp_path, "SELECT measurement_date::VARCHAR FROM measurement") == [("2020-01-11",)]


def test_a_zip_bomb(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet.xml", b"0" * 3_000_000)
    (tmp_path / "a.xlsx").write_bytes(out.getvalue())
    with pytest.raises(DataError, match=r"a\.xlsx holds .* bytes and would unpack to 3,000,000: a zip bomb"):
        excel.refuse_bomb(tmp_path / "a.xlsx", floor=1_000_000)


def test_a_code_list_with_a_duplicate(tmp_path):
    (tmp_path / "sex.csv").write_text("code,concept_id\nM,8507\nF,8532\nM,8507\n")
    with pytest.raises(DataError, match=r"Line 4 of the list sex\.csv repeats the code 'M' of line 2"):
        read_list("sex", tmp_path / "sex.csv")


def test_a_code_list_in_gb18030_is_read_by_all_who_read_lists(tmp_path):
    made = mapping(tmp_path / "m")
    path = tmp_path / "m" / "sex.csv"
    path.write_bytes("code,name,concept_id\nM,男,8507\nF,女,8532\nU,未知,\n".encode("gb18030"))
    assert read_list("sex", path)[1][0] == ("M", "男", "8507")
    assert [name.name for name in read_names(path)] == ["未知"]
    assert doubts(made, None) == [] and [one.filled for one in filled(made)] == [2]
    export = write(tmp_path / "export")
    check_against(made, str(export))
    assert load(made, str(export), tmp_path / "cdm.duckdb", today=TODAY).tables["person"] == 3
    assert rows(tmp_path, "SELECT count(*) FROM person WHERE gender_concept_id = 8507") == [(1,)]
    path.write_bytes(b"code,concept_id\n\xff\xff\xff,1\n")
    with pytest.raises(DataError, match=r"sex\.csv is neither UTF-8 nor GB18030\. Save it as CSV in UTF-8"):
        read_list("sex", path)


def test_a_code_list_with_a_word_for_a_concept(tmp_path):
    (tmp_path / "sex.csv").write_text("code,concept_id\nM,male\n")
    with pytest.raises(
        DataError, match=r"Line 2 of the list sex\.csv has 'male' as concept_id\. A concept is a whole number"
    ):
        read_list("sex", tmp_path / "sex.csv")


def test_a_mapping_that_names_a_missing_column(tmp_path):
    with pytest.raises(
        Problems, match=r"Line 11, column 40, rules\[0\]: the source has no column `sexx`\. Did you mean `sex`\?"
    ):
        loaded(tmp_path, MAPPING.replace('lookup("sex", sex)', 'lookup("sex", sexx)'))


def test_a_mapping_that_names_a_missing_table(tmp_path):
    with pytest.raises(Problems, match=r"rules\[2\]\.from: the source has no table 'stays'\. Found: patients, results"):
        loaded(tmp_path, MAPPING.replace("from: visits", "from: stays"))


@pytest.mark.parametrize("version", ["v5.0 27-FEB-25", "unknown"])
def test_a_vocabulary_older_than_the_mapping(version):
    with pytest.raises(
        DataError, match=f"The vocabulary is {version}, older than the mapping, which was written for v5.0 29-AUG-25"
    ):
        require(version, "v5.0 29-AUG-25")
    require("v5.0 30-AUG-2025", "v5.0 29-AUG-25")


def test_files_of_one_table_with_other_columns(tmp_path):
    (tmp_path / "a1.csv").write_text("x,y\n1,2\n")
    (tmp_path / "a2.csv").write_text("x,z\n1,2\n")
    text = MAPPING.replace('source: {missing: ["?"]}', 'source: {tables: {results: {file: "a*.csv"}}}')
    with (
        Workbench() as bench,
        pytest.raises(DataError, match="The files of table 'results' have different columns: y, z"),
    ):
        open_source(str(tmp_path), bench, tmp_path / "work", mapping(tmp_path / "m", text))


@pytest.mark.parametrize("name", ["李雷雷", "张三", "王小明"])
def test_one_line_of_utf_8_in_a_file_of_gb18030(tmp_path, name):
    lines = ["姓名", *["韩梅梅"] * 2_000]
    raw = [line.encode("gb18030") for line in lines]
    raw[1234] = name.encode()
    (tmp_path / "a.csv").write_bytes(b"\n".join(raw) + b"\n")
    with pytest.raises(DataError, match=r"a\.csv is written in two encodings: line 1,235 is UTF-8, line 1 is GB18030"):
        opened(tmp_path, tmp_path / "work")


def test_an_encoding_that_is_not_the_files_own_names_the_line(tmp_path):
    (tmp_path / "a.csv").write_bytes("id,name\n1,李雷\n".encode("gbk") + b"2,\xff\xff\n")
    seen = delimited.look(tmp_path / "a.csv", "gbk")
    with pytest.raises(DataError, match=r"^Line 3 of a\.csv cannot be read as gbk\. Correct `encoding:`"):
        delimited.readable(tmp_path / "a.csv", seen, tmp_path)


@pytest.mark.parametrize("head", ["id," + "x" * 140_000 + "\n1,2\n", 'id,"name\n' + "1,2\n" * 50_000])
def test_a_first_line_with_a_field_without_end(tmp_path, head):
    (tmp_path / "a.csv").write_text(head)
    with pytest.raises(DataError, match=r"Line 1 of a\.csv holds a field of more than 131,072 characters"):
        opened(tmp_path, tmp_path / "work")


@pytest.mark.parametrize("read", [read_names, read_decisions, read_items, lambda path: list(read_concepts(path)),
                                  lambda path: read_list("sex", path)])  # fmt: skip
def test_a_quotation_mark_that_none_closes_in_a_list(tmp_path, read):
    head = "name,code,concept_id,concept_name,rank,probability,reason\n"
    (tmp_path / "a.csv").write_text(head + "a,b,1,x,1,1,r\n" + 'x,"y,1,x,1,1,r\n' + "z,z,1,x,1,1,r\n" * 20_000)
    with pytest.raises(DataError, match=r"a\.csv, line [\d,]+: a field has more than 131,072 characters"):
        read(tmp_path / "a.csv")


def test_a_gz_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setattr(delimited, "UNPACKED_FLOOR", 8_000_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000_000, 6))
    with pytest.raises(DataError, match=r"a\.csv\.gz holds [\d,]+ bytes and unpacks to more than [\d,]+: ") as told:
        opened(tmp_path, tmp_path / "work")
    assert "without .gz" in str(told.value)
    assert int(str(told.value).partition("more than ")[2].partition(":")[0].replace(",", "")) < 20_000_000


def test_a_long_reading_says_file_bytes_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "EVERY", 0.0)
    monkeypatch.setattr(delimited, "BLOCK", 1_000)
    (tmp_path / "a.csv").write_text("id,kind\n" + "".join(f"{i},{i % 7}\n" for i in range(2_000)))
    told = []
    scan(str(tmp_path), folder=tmp_path / "work", progress=told.append)
    assert told[0] == f"a.csv ({(tmp_path / 'a.csv').stat().st_size:,} bytes)"
    assert re.fullmatch(r"a\.csv \([\d,]+ bytes\): [\d,]+ bytes read, about \d+ s left", told[1])
    assert "columns of a" in told
    assert re.fullmatch(r"columns of a: 2,000 rows, 1 of 2 done, about \d+ s left", told[-1])


def test_an_encoding_that_is_not_the_files_own_is_found_wherever_the_byte_stands(tmp_path):
    lines = "no,名称\n" + "".join(f"{n},abcdefghij\n" for n in range(200_000))
    (tmp_path / "a.csv").write_bytes(lines.encode() + "x,糖\n".encode("gb18030"))
    text = "mapping: 1\nname: a\nsource: {encoding: UTF8}\nrules: [{to: person, from: a, columns: {}}]\n"
    with Workbench() as bench, pytest.raises(DataError, match=r"Line 200,002 of a\.csv cannot be read as utf-8"):
        open_source(str(tmp_path / "a.csv"), bench, tmp_path / "work", mapping(tmp_path / "m", text))


@pytest.mark.parametrize("cell", ["a\0", "ab\0\0", "a\0\0\0", "abc\0"])
def test_zeros_that_fill_fields_up_are_no_utf_16(tmp_path, cell):
    (tmp_path / "a.csv").write_text("x,y\n" + f"{cell},{cell}\n" * 50)
    assert delimited.look(tmp_path / "a.csv").encoding == "utf-8"


def test_an_encoding_that_nobody_knows(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"There is no encoding 'utf-9'"):
        delimited.look(tmp_path / "a.csv", "utf-9")


BIG5 = "編號,診斷名稱,備註\n" + "".join(f"{n},糖尿病及高血壓之追蹤檢查,門診處方{n}\n" for n in range(9))
GB18030 = "编号,诊断名称,备注\n" + "".join(f"{n},糖尿病和高血压的随访检查,门诊处方{n}\n" for n in range(9))


@pytest.mark.parametrize(("text", "encoding", "doubted"), [(BIG5, "big5", True), (GB18030, "gb18030", False),
                                                           (BIG5, "gb18030", False)])  # fmt: skip
def test_what_may_be_big5_is_told_and_read_when_it_is_said(tmp_path, text, encoding, doubted):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    with Workbench() as bench:
        told = open_source(str(tmp_path / "a.csv"), bench, tmp_path / "work").told()
        assert [("Big5" in note) for note in told] == [True] * doubted
        said = (
            f"mapping: 1\nname: a\nsource: {{encoding: {encoding}}}\nrules: [{{to: person, from: a, columns: {{}}}}]\n"
        )
        source = open_source(str(tmp_path / "a.csv"), bench, tmp_path / "work", mapping(tmp_path / "m", said))
        assert list(source.tables["a"].columns) == text.splitlines()[0].split(",") and not source.told()


def test_what_may_be_big5_is_told_of_one_table_too(tmp_path):
    (tmp_path / "a.csv").write_bytes(("title\n" + BIG5).encode("big5"))
    notes: list[str] = []
    import_source(str(tmp_path / "a.csv"), tmp_path / "a.parquet", notes=notes)
    assert len(notes) == 2 and "Big5" in notes[0] and "passed over a line" in notes[1]
