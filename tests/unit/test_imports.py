"""Files of hospitals as they are: encodings, separators, dates, and breaks that are named without their text."""

from __future__ import annotations

import datetime
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.errors import DataError
from atoll.features import imports
from atoll.features.imports import import_source, read_file

SECRET = "Wang-Fang-4711"


@pytest.fixture
def csv(tmp_path):
    def write(content, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def columns(path, **more):
    return read_file(path, **more).to_pydict()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_text_is_read_in_each_encoding(csv, encoding):
    rows = "".join(f"{'男' if i % 2 else '女'},{i}\n" for i in range(500))
    table = columns(csv(("性别,年龄\n" + rows).encode(encoding)))
    assert list(table) == ["性别", "年龄"]
    assert table["性别"][:3] == ["女", "男", "女"]
    assert table["年龄"][-1] == 499


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_separators_quotes_and_lines(csv, separator, newline):
    text = f'"a, (x; y)"{separator}b{newline}"x{newline}""y"""{separator}2{newline}{newline}z{separator}3{newline}'
    assert columns(csv(text)) == {"a, (x; y)": [f'x{newline}"y"', "z"], "b": [2, 3]}


@pytest.mark.parametrize("word", ["", "NA", "N/A", "nan", "NULL", "None", "?", "."])
def test_missing_words(csv, word):
    assert columns(csv(f"a,b\n{word},x\n1.5,y\n"))["a"] == [None, 1.5]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1", "2"], [1, 2]),
        ([" 1", "2 "], [1, 2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", "x"], ["1", "x"]),
        (["true", "False"], [True, False]),
        (["0", "1"], [0, 1]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),  # no float tells such codes apart
        (["2024-01-31", "2024-02-01"], [datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)]),
        (["2024/01/31", "2024-02-01"], [datetime.date(2024, 1, 31), datetime.date(2024, 2, 1)]),
        (["2024-01-31 08:30:00", ""], [datetime.datetime(2024, 1, 31, 8, 30), None]),
        (["2024/01/31 08:30", ""], [datetime.datetime(2024, 1, 31, 8, 30), None]),
        (["31.1.2024", "1.2.2024"], ["31.1.2024", "1.2.2024"]),
    ],
)
def test_the_narrowest_type_that_every_value_has(csv, values, wanted):
    assert columns(csv("a,b\n" + "".join(f"{value},1\n" for value in values)))["a"] == wanted


def test_a_type_is_settled_over_the_whole_file(csv, monkeypatch):
    monkeypatch.setattr(imports, "BLOCK", 500)
    assert columns(csv("a,b\n" + "1,1\n" * 1000 + "x,1\n"))["a"][-1] == "x"


def test_an_infinite_value_stays_for_the_check_to_find(csv):
    assert columns(csv("a\ninf\n1.5\n"))["a"] == [np.inf, 1.5]


BROKEN = [
    ("", r"people\.csv is empty: not even a line with column names"),
    ("a,b\n", r"people\.csv has no rows"),
    ("a,b", r"people\.csv has no rows"),
    (",,\n1,2,3\n", r"The first line of people\.csv is empty\. Put the columns' names into it"),
    ("a,b,a\n1,2,3\n", r"has two columns called 'a'\. Rename one of them"),
    ("a,b\n" + "1,2\n" * 1000 + f"{SECRET}\n1,2\n", r"row 1,002 has 1 fields where 2 belong\. .*a missing quote"),
    ("a,b\n" + "1,2\n" * 1000 + f"{SECRET},2,3\n1,2\n", r"row 1,002 has 3 fields where 2 belong"),
    (
        "a,b\n" + "1,2\n" * 1000 + f'"{SECRET},2\n' + "1,2\n" * 1000,
        r"row [\d,]+.*a missing quote",
    ),
    (b"a,b\n1,\xff\xfe\xfd\n", r"Line 2 of people\.csv is neither UTF-8 nor GB18030\. Name its encoding"),
    (b"PAR1 and nothing more", r"is a damaged Parquet file\. Export it again"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize("block", [400, imports.BLOCK])
def test_what_cannot_be_read_is_named_by_row_and_never_by_its_text(csv, content, words, block, monkeypatch, tmp_path):
    monkeypatch.setattr(imports, "BLOCK", block)
    with pytest.raises(DataError, match=words) as caught:
        read_file(csv(content))
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        chain = chain.__cause__
    with pytest.raises(DataError):
        import_source(str(csv(content)), tmp_path / "out.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["people.csv"], "no file is left behind"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*nowhere\.csv\. Check the path"):
        read_file(tmp_path / "nowhere.csv")


def test_an_encoding_can_be_given(csv):
    assert columns(csv("a,b\né,2\n".encode("latin-1")), encoding="latin-1")["a"] == ["é"]


def test_a_file_without_a_header_is_given_names(csv):
    assert columns(csv("1,x\n2,y\n"), names=("n", "w")) == {"n": [1, 2], "w": ["x", "y"]}


def test_import_writes_one_whole_file_that_only_its_owner_reads(csv, tmp_path):
    seen = []
    out = tmp_path / "data.parquet"
    assert import_source(str(csv("a,b\n1,x\n2,y\n")), out, progress=seen.append) == 2
    assert pq.read_table(out).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert out.stat().st_mode & 0o777 == 0o600
    assert seen == [2]


def test_a_parquet_file_is_imported_as_it_is(tmp_path):
    table = pa.table({"a": [1.5, None], "d": pa.array([1, 2], pa.date32())})
    pq.write_table(table, tmp_path / "in.parquet")
    import_source(str(tmp_path / "in.parquet"), tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(table)


CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    import pyarrow, pyarrow.csv, pyarrow.parquet, pyarrow.compute
    from atoll.features import imports
    imports.BLOCK, imports.ROWS = int(sys.argv[3]), 4096
    peak = lambda: int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])  # kB, of this program
    before = peak()
    imports.import_source(sys.argv[1], Path(sys.argv[2]))
    print((peak() - before) // 1024)
""")


def growth(path, out, block):
    """Megabytes that a process grows by when it imports a file."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(out), str(block)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def write_large(path, megabytes):
    line = ("%d,男,3.25,2024-01-31,some words of a diagnosis\n" * 1000 % tuple(range(1000))).encode("gb18030")
    with path.open("wb") as file:
        file.write(b"n,sex,x,d,w\n")
        for _ in range(megabytes * 1_000_000 // len(line)):
            file.write(line)


def test_memory_does_not_grow_with_the_file(tmp_path):
    grown = []
    for megabytes in (10, 60):
        write_large(tmp_path / "large.csv", megabytes)
        grown.append(growth(tmp_path / "large.csv", tmp_path / "out.parquet", 262_144))
    assert 0 < grown[0] < 150
    assert grown[1] < grown[0] + 40, grown


@pytest.mark.soak
def test_five_gigabytes_are_imported_in_constant_memory(tmp_path):
    write_large(tmp_path / "large.csv", 5_000)
    assert growth(tmp_path / "large.csv", tmp_path / "out.parquet", imports.BLOCK) < 400
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_rows > 90e6
