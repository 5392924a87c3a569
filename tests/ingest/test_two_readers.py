"""One file, two readers: a table for a dataset and a table of an export hold the same names and the same texts."""

from __future__ import annotations

import gzip

import pytest

from atoll.cdm.delimited import MISSING
from atoll.cdm.workbench import Workbench
from atoll.errors import DataError
from atoll.features.imports import read_file
from atoll.ingest.sources import open_source
from tests.ingest.exports import mapping

LINES = "no,名称\n" + "".join(f"x{i},糖{i}\n" for i in range(40))
AWKWARD = {
    "commas": ("a.csv", "no,word\nx1,a\nx2,\n"),
    "semicolons and decimal commas": ("a.csv", "no;word\nx1;a,b\nx2;c\n"),
    "carets": ("a.csv", "no^word^n\nx1^a^b\nx2^c^d\n"),
    "unit separators": ("a.txt", "no\x1fword\nx1\x1fa\nx2\x1fb\n"),
    "tabs": ("a.tsv", "no\tword\nx1\ta\nx2\tb\n"),
    "a comma in more lines than the bar": ("a.csv", 'no|word\nx1|"a, b"\nx2|c, d, e\n'),
    "packed": ("a.csv.gz", gzip.compress(b"no,word\nx1,a\nx2,b\n")),
    "no name in the first column": ("a.csv", ",word\nx1,a\nx2,b\n"),
    "no name in the last column": ("a.csv", "no,word,\nx1,a,\nx2,b,\n"),
    "a mark": ("a.csv", "\ufeffno,word\nx1,a\n"),
    "GB18030": ("a.csv", LINES.encode("gb18030")),
    "UTF-16": ("a.csv", LINES.encode("utf-16")),
    "UTF-16 without its mark": ("a.csv", LINES.encode("utf-16-le")),
    "UTF-16 of big ends without its mark": ("a.csv", LINES.encode("utf-16-be")),
    "lines of Chinese in UTF-16 without its mark": ("a.csv", ("上,下\n" + "上上上,糖下上\n" * 20).encode("utf-16-le")),
    "a name in capitals": ("A.CSV", "no,word\nx1,a\n"),
    "packed, a name in capitals": ("A.CSV.GZ", gzip.compress(LINES.encode())),
    "line ends of the old Mac": ("a.csv", "no,word\rx1,a\rx2,b\r"),
    "a title": ("a.csv", "title,,\n\nno,word,n\nx1,a,1\n"),
    "empty lines above": ("a.csv", "\n\nno,word\nx1,a\n"),
    "packed GB18030": ("a.csv.gz", gzip.compress(LINES.encode("gb18030"))),
    "line ends of Windows": ("a.csv", "no,word\r\nx1,a\r\nx2,b\r\n"),
    "two kinds of line ends": ("a.csv", "no,word\r\nx1,a\nx2,b\r\n"),
    "a line end in quotes": ("a.csv", 'no,word\nx1,"a\nb"\nx2,"say ""b"""\n'),
    "blanks around": ("a.csv", " no , word\n x1 ,\ta\nx2,\u3000b \n"),
    "no line end at the end": ("a.csv", "no,word\nx1,a\nx2,b"),
    "one column": ("a.csv", "no\nx1\nx2\n"),
    "words for nothing": ("a.csv", "no,word\n" + "".join(f"x{i},{word}\n" for i, word in enumerate(MISSING))),
}  # fmt: skip
REFUSED = {
    "no byte": b"",
    "no names": b",,\n1,2,3\n",
    "numbers for names": b"63.0,1e3,?\n67.0,1.0,2\n",
    "numbers and nothing for names": b"63.0,,1\n67.0,1.0,2\n",
    "a name twice": b"a,b,A\n1,2,3\n",
    "too many columns": (",".join(f"c{i}" for i in range(5_000)) + "\n").encode(),
    "another encoding": b"no,word\nx1,M\xfcller\n",
    "two encodings": LINES.encode("gb18030") + LINES.encode("utf-8"),
}


def of_export(path, folder):
    """As an export is read; what stands for nothing is said, as a mapping does."""
    rules = "rules: [{to: person, from: a, columns: {}}]"
    text = f"mapping: 1\nname: a\nsource: {{missing: {list(MISSING)}}}\n{rules}"
    with Workbench() as bench:
        source = open_source(str(path), bench, folder / "work", mapping(folder / "m", text))
        return bench.ibis.to_pyarrow(source.table(*source.tables)).to_pydict()


@pytest.mark.parametrize("name", AWKWARD)
def test_both_readers_give_the_same_table(tmp_path, name):
    called, content = AWKWARD[name]
    path = tmp_path / called
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    exported = of_export(path, tmp_path)
    assert len(exported) >= 1 and len(next(iter(exported.values()))) >= 1
    dataset = read_file(path).to_pydict()
    assert {column: list(map(plain, values)) for column, values in dataset.items()} == exported


def plain(value):
    return None if value is None else str(value)


@pytest.mark.parametrize("name", REFUSED)
def test_both_readers_refuse_the_same_with_the_same_words(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_bytes(REFUSED[name])
    said = []
    for read in (read_file, lambda path: of_export(path, tmp_path)):
        with pytest.raises(DataError) as refused:
            read(path)
        said.append(str(refused.value))
    assert said[0] == said[1]
