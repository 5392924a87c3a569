"""A hospital's file as it comes: encodings, separators, gaps, codes, types that change, and what is broken."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import DataError
from atoll.features import imports
from atoll.features.imports import import_source, read_file
from atoll.features.table import ParquetTable, memory_table


def written(folder: Path, text: str | bytes, name: str = "table.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def columns_of(folder: Path, text: str | bytes, encoding: str = "utf-8") -> dict[str, list[Any]]:
    return read_file(written(folder, text, encoding=encoding)).to_pydict()


def types_of(folder: Path, text: str) -> dict[str, str]:
    return {field.name: str(field.type) for field in read_file(written(folder, text)).schema}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    text = 'a,"b,;c",d\n1,x,2.5\n'.replace(",", separator)
    assert list(columns_of(tmp_path, text)) == ["a", f"b{separator};c", "d"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    text = "病人,性别,身高\n1,男,170.5\n2,女,160\n" * 40
    text = text.replace("\n病人,性别,身高", "")
    found = columns_of(tmp_path, text, encoding=encoding)
    assert list(found) == ["病人", "性别", "身高"]
    assert found["性别"][:2] == ["男", "女"]


def test_an_encoding_that_fits_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, b"a,b\n1,\x81\x20\xff\n")
    with pytest.raises(DataError, match=r"Line 2 of table\.csv is neither UTF-8 nor GB18030"):
        read_file(path)
    with pytest.raises(DataError, match="There is no encoding 'klingon'"):
        read_file(path, encoding="klingon")
    with pytest.raises(DataError, match=r"Line 2 of table\.csv cannot be read as ascii"):
        read_file(path, encoding="ascii")


def test_multibyte_letters_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BLOCK", 64)
    words = ["糖尿病", "高血压", "é", "z"] * 50
    path = written(tmp_path, "dx\n" + "\n".join(words) + "\n", encoding="gb18030")
    assert read_file(path).column("dx").to_pylist() == words


def test_what_counts_as_missing(tmp_path: Path) -> None:
    found = columns_of(tmp_path, 'x,w\n1,a\n?,?\nNA, NA \n,\n NaN,null\n2.5,"b"\n')
    assert found == {"x": [1.0, None, None, None, None, 2.5], "w": ["a", None, None, None, None, "b"]}


def test_blanks_around_words_go(tmp_path: Path) -> None:
    assert columns_of(tmp_path, "sex, age\n male , 5\nmale,6\n") == {"sex": ["male", "male"], "age": [5, 6]}


KINDS = [
    ("1 2 3", "int64"),
    ("1 2.5 -3e5", "double"),
    ("1 NA 3", "int64"),
    ("true FALSE True", "bool"),
    ("0 1 1", "int64"),
    ("2020-01-31 1999-12-01", "date32[day]"),
    ("2020/1/31 1999/12/1", "date32[day]"),
    ("2020-01-31T10:20:30 1999-12-01T00:00:00.25", "timestamp[us]"),
    ("31.12.2020 01.02.2020", "string"),
    ("007 012", "string"),
    ("0.7 0", "double"),
    ("123456789012345678 2", "int64"),
    ("123456789012345678 2.5", "string"),
    ("12345678901234567890 2", "string"),
    ("1 x", "string"),
    ("true 1", "string"),
    ("NA ?", "double"),
    ("inf 1", "double"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_the_narrowest_kind_that_all_values_have(tmp_path: Path, values: str, kind: str) -> None:
    for order in (values.split(" "), values.split(" ")[::-1]):
        assert types_of(tmp_path, "x,n\n" + "".join(f"{value},1\n" for value in order)) == {"x": kind, "n": "int64"}


def test_decimal_commas_where_the_comma_does_not_separate(tmp_path: Path) -> None:
    assert columns_of(tmp_path, "x;y\n3,5;1\n4;2\n") == {"x": [3.5, 4.0], "y": [1, 2]}


LATE = ["1"] * 400


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        ("2.5", "double"),
        ("x", "string"),
        ("2020-01-01", "string"),
        ("true", "string"),
        ("007", "string"),
        ("", "int64"),
    ],
)
def test_a_value_of_another_kind_far_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str, kind: str
) -> None:
    monkeypatch.setattr(imports, "BLOCK", 128)
    rows = "".join(f"{value},{i}\n" for i, value in enumerate([*LATE, late]))
    destination = tmp_path / "out.parquet"
    assert import_source(str(written(tmp_path, "x,i\n" + rows)), destination) == 401
    table = ParquetTable(destination)
    (batch,) = table.batches(["x", "i"], None)
    assert str(batch.column("x").type) == kind
    assert batch.column("i").to_pylist() == list(range(401))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(-5, 10**6).map(str),
            st.floats(-100, 100).map(repr),
            st.sampled_from(["", "NA", "x", "007", "true", "2020-01-01", "1,5", "ü", '"', "a\nb"]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_types_do_not_depend_on_blocks(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    folder = tmp_path_factory.mktemp("blocks")
    text = io.StringIO()
    text.write("x;n\n")
    for value in values:
        text.write('"' + value.replace('"', '""') + '";1\n')
    path = written(folder, text.getvalue())
    whole = read_file(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "BLOCK", 48)
        assert read_file(path).equals(whole)
    assert whole.num_rows == len(values)


def test_quoted_lines_stay_one_value(tmp_path: Path) -> None:
    assert columns_of(tmp_path, 'note,n\n"two\nlines, one ""value""",1\n') == {
        "note": ['two\nlines, one "value"'],
        "n": [1],
    }


BROKEN = [
    ("", "table.csv is empty", "right file"),
    ("a,b\n", "The source has no rows", "right one"),
    ("a,b\n1,2\n3,secret,4\n", "row 3 has 3 fields where 2 belong", "missing quote"),
    (",,\n1,2,3\n", "The first line of table.csv is empty", "names into it"),
    ("a,b,a\n1,2,3\n", "two columns called 'a'", "Rename"),
    ("63.0,1.0,?\n67.0,1.0,2\n", "holds only numbers: it has no header", "names into its first line"),
]


@pytest.mark.parametrize(("text", "what", "remedy"), BROKEN)
def test_broken_files_say_where_and_show_nothing(tmp_path: Path, text: str, what: str, remedy: str) -> None:
    path, destination = written(tmp_path, text), tmp_path / "out.parquet"
    with pytest.raises(DataError, match=what) as refused:
        import_source(str(path), destination)
    assert remedy in refused.value.remedy
    assert "secret" not in str(refused.value) and refused.value.__cause__ is None
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*none\.csv"):
        import_source(str(tmp_path / "none.csv"), tmp_path / "out.parquet")


def test_a_file_without_header_takes_given_names(tmp_path: Path) -> None:
    path = written(tmp_path, "63.0,1.0,?\n67.0,0.0,2\n")
    assert read_file(path, names=["age", "sex", "ca"]).to_pydict() == {"age": [63, 67], "sex": [1, 0], "ca": [None, 2]}


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = tmp_path / "out.parquet"
    import_source(str(written(tmp_path, "x,n\n1,1\n")), destination)
    before = destination.read_bytes()
    monkeypatch.setattr(imports, "BLOCK", 64)
    monkeypatch.setattr(imports, "ROWS", 20)
    with pytest.raises(DataError, match="fields where 2 belong"):
        import_source(str(written(tmp_path, "x,n\n" + "1,1\n" * 200 + "1,2,3\n")), destination)
    assert destination.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.parquet", "table.csv"]
    assert destination.stat().st_mode & 0o777 == 0o600


def test_progress_counts_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BLOCK", 256)
    monkeypatch.setattr(imports, "ROWS", 100)
    counted: list[int] = []
    path = written(tmp_path, "x,n\n" + "1,1\n" * 300)
    import_source(str(path), tmp_path / "out.parquet", progress=counted.append)
    assert counted == sorted(counted) and counted[-1] == 300 and len(counted) > 2


# ---- Parquet and DuckDB -----------------------------------------------------------------------------------


def test_parquet_is_taken_over(tmp_path: Path) -> None:
    data = pa.table(
        {
            "x": pa.array([1.5, None]),
            "sex": pa.array(["m", "f"]).dictionary_encode(),
            "born": pa.array([datetime.date(1960, 1, 2), None]),
            "__index_level_0__": [7, 8],
        }
    )
    pq.write_table(data, tmp_path / "in.parquet")
    import_source(str(tmp_path / "in.parquet"), tmp_path / "out.parquet")
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.to_pydict() == {"x": [1.5, None], "sex": ["m", "f"], "born": [datetime.date(1960, 1, 2), None]}


def test_lists_in_a_column_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"codes": [["a"], ["b", "c"]]}), tmp_path / "in.parquet")
    with pytest.raises(DataError, match=r"Column 'codes' holds list.*neither a number, a word nor a date") as refused:
        import_source(str(tmp_path / "in.parquet"), tmp_path / "out.parquet")
    assert (refused.value.code, refused.value.subject) == ("WRONG_TYPE", "codes")


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    written(tmp_path, b"PAR1 and then nothing", "in.parquet")
    with pytest.raises(DataError, match=r"in\.parquet is a damaged Parquet file"):
        import_source(str(tmp_path / "in.parquet"), tmp_path / "out.parquet")


def test_a_duckdb_table(tmp_path: Path) -> None:
    file = tmp_path / "hospital.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema lab")
        connection.execute(
            """create table lab."check up" as select i::integer as person, i * 0.5 as "身高",
            case when i % 3 = 0 then null else 'w' || (i % 2) end as word, date '2020-01-01' + i::integer as seen
            from range(100000) t(i)"""
        )
    import_source(f"duckdb://{file}?table=lab.check up", tmp_path / "out.parquet")
    table = ParquetTable(tmp_path / "out.parquet")
    assert (table.num_rows, table.columns) == (100_000, ("person", "身高", "word", "seen"))
    with pytest.raises(DataError, match="has no table 'nothing'"):
        import_source(f"duckdb://{file}?table=nothing", tmp_path / "out2.parquet")
    with pytest.raises(DataError, match=r"The address names no table\. Add \?table=NAME"):
        import_source(f"duckdb://{file}", tmp_path / "out2.parquet")
    with pytest.raises(DataError, match="There is no file"):
        import_source(f"duckdb://{tmp_path / 'none.duckdb'}?table=t", tmp_path / "out2.parquet")


# ---- tables in memory -------------------------------------------------------------------------------------


def test_a_table_is_a_frame_arrays_or_a_path(tmp_path: Path) -> None:
    import pandas

    data = {"x": [1.0, 2.0], "w": ["a", "b"]}
    path = written(tmp_path, "x,w\n1.0,a\n2.0,b\n")
    pq.write_table(pa.table(data), tmp_path / "t.parquet")
    given_ = [data, pa.table(data), pandas.DataFrame(data), path, str(path), tmp_path / "t.parquet"]
    given_ += [{"x": np.array([1.0, 2.0]), "w": np.array(["a", "b"])}, memory_table(data)]
    for one in given_:
        table = memory_table(one)
        (batch,) = table.batches(["w", "x"], None)
        assert (table.num_rows, table.columns) == (2, ("x", "w"))
        assert batch.column("w").to_pylist() == ["a", "b"] and batch.column("x").to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize("bad", [3, [1, 2], {"x": [1, "a"]}, {"x": [1, 2], "y": [1]}])
def test_what_is_no_table(bad: Any) -> None:
    with pytest.raises(DataError, match=r"is not a table|cannot be read"):
        memory_table(bad)


@pytest.mark.parametrize("size", [1, 3, 7, None])
def test_parquet_and_memory_give_the_same_batches(tmp_path: Path, size: int | None) -> None:
    data = pa.table({"x": [float(i) for i in range(20)], "w": [str(i) for i in range(20)]})
    pq.write_table(data, tmp_path / "t.parquet", row_group_size=6)
    for table in (ParquetTable(tmp_path / "t.parquet"), memory_table(data)):
        batches = list(table.batches(["w"], size))
        assert [word for batch in batches for word in batch.column("w").to_pylist()] == data.column("w").to_pylist()
        assert all(batch.num_rows <= (size or 20) for batch in batches)
        assert not table.repeats("w")


def test_importing_the_table_module_is_cheap() -> None:
    import subprocess
    import sys

    code = "import sys, atoll.features.table; print([m for m in ('pyarrow', 'pandas', 'duckdb') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_a_long_file_needs_no_more_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("x,w\n")
        for i in range(200_000):
            file.write(f"{i / 7},word {i % 9}\n")
    monkeypatch.setattr(imports, "BLOCK", 16_384)
    monkeypatch.setattr(imports, "GROUP", 65_536)
    held: list[int] = []
    before = pa.total_allocated_bytes()
    import_source(str(path), tmp_path / "out.parquet", progress=lambda rows: held.append(pa.total_allocated_bytes()))
    assert len(held) > 10
    assert max(held) - before < 1_000_000
    assert pq.read_table(tmp_path / "out.parquet").nbytes > 3_000_000
    groups = pq.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups
    assert groups == len(held)
