"""Delimited text (CSV, TSV) as hospitals write it: its encoding and line ends; `dialects` has what stands in it.

Both readers of files ask here, so that they answer alike: `ingest.sources`, for a whole export on its way to OMOP, and
`features.imports`, for one table. A file is looked at once, whole. Encodings are tried in the order that never guesses
wrong: UTF-8, then GB18030. A file in two encodings is refused, with a line of each; one that may be Big5 is told.

What stands for nothing the two take differently, on purpose: in an export only the empty field does, and what its
mapping says (`NA` is sodium in many laboratories); one table has no mapping, and there the words of `MISSING` do.
"""

from __future__ import annotations

import codecs
import functools
import gzip
import hashlib
import io
import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from atoll.cdm.pace import Pace, Progress, silent
from atoll.errors import DataError

BLOCK = 4 * 1_048_576
MOST_UNPACKED = 100  # times its size: rows of a hospital pack to a tenth, hardly ever to a fiftieth
UNPACKED_FLOOR = 100_000_000  # bytes that nobody asks about
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "?", ".")
_NAME_IT = "(`source: encoding: cp1252` in a mapping, `--encoding cp1252` of a single table, for instance)"
_COMMON = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")  # a character of GB2312; an umlaut and a letter are none
_CJK = re.compile(rb"[\xe4-\xe9][\x80-\xbf]{2}")  # a Chinese character in UTF-8


@dataclass(frozen=True)
class Look:
    """What one reading of a file showed.

    lines    line ends
    utf8     all bytes are UTF-8
    mixed    both kinds of line ends occur, or none but the old Mac's
    within   line ends behind an odd number of quotation marks: a field may span lines there, or hold a stray mark
    ends     the last line has a line end
    doubt    why it may be in another encoding all the same, as a sentence; or empty
    """

    sha256: str
    size: int
    encoding: str
    lines: int
    mixed: bool
    bom: bool
    within: int = 0
    ends: bool = True
    utf8: bool = True
    doubt: str = ""


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked when it is packed."""
    if packed(path):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def packed(path: Path) -> bool:
    """Whether it is packed, by its name."""
    return path.name.lower().endswith(".gz")


def look(path: Path, encoding: str | None = None, progress: Progress = silent) -> Look:
    """Read a whole file once; `progress` is told how far it is.

    Raises
    ------
    DataError
        When it is empty, or in no encoding that is known, or in two, with the line; when it unpacks to far more than
        data do; when nobody knows the encoding that is given.
    """
    if encoding and _codec(encoding) == "utf-8":
        encoding = "utf-8"
    found = path.stat()
    return _look(path, encoding, found.st_size, found.st_mtime_ns, progress)


@functools.lru_cache(maxsize=10_000)
def _look(path: Path, encoding: str | None, size_on_disk: int, changed: int, progress: Progress) -> Look:
    hashed, size, lines, crlf, cr, last = hashlib.sha256(), 0, 0, 0, 0, b""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    plain, head, within, inside = True, b"", 0, False
    try:
        for block in _blocks(path, size_on_disk, progress):
            hashed.update(block)
            head = head or block[:4096]
            size, lines = size + len(block), lines + block.count(b"\n")
            crlf += block.count(b"\r\n") + (last == b"\r" and block[:1] == b"\n")
            cr += block.count(b"\r")
            last = block[-1:]
            if inside or b'"' in block:
                found_within, inside = _within(block, inside)
                within += found_within
            if plain and not (block.isascii() and not decoder.getstate()[0]):
                plain = _decodes(decoder, block)
        plain = plain and _decodes(decoder, b"", final=True)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path.name} cannot be read: it is damaged or ends in the middle.", "Copy it again."
        ) from error
    if not size:
        what = f"{path.name} is empty: not even a line with column names."
        raise DataError(what, "Is it the right file?", code="EMPTY")
    found = encoding or _encoding(path, head, plain)
    bom, ends = head[:3] == codecs.BOM_UTF8, last in (b"\n", b"\r", b"\0")  # UTF-16 ends its lines with a zero
    mixed = 0 < crlf < lines or (not lines and cr > 0)
    doubt = _doubt(path) if found == "gb18030" and not encoding else ""
    return Look(hashed.hexdigest(), size, found, lines or cr, mixed, bom, within, ends, plain, doubt)


def _within(block: bytes, inside: bool) -> tuple[int, bool]:
    """Line ends behind an odd number of quotation marks, and whether the block ends so; `inside` where it begins so."""
    import numpy as np

    signs = np.frombuffer(block, np.uint8)
    marks = signs[(signs == ord('"')) | (signs == ord("\n"))]
    odd = np.logical_xor.accumulate(marks == ord('"')) ^ inside
    return int((odd & (marks == ord("\n"))).sum()), bool(odd[-1]) if len(odd) else inside


def _blocks(path: Path, size: int, progress: Progress) -> Iterator[bytes]:
    """The bytes of a file, unpacked, as long as they are not far more than data would be."""
    pace, unpacked = Pace(progress, f"{path.name} ({size:,} bytes)", size), 0
    with path.open("rb") as raw, gzip.open(raw) if packed(path) else raw as file:
        while block := file.read(BLOCK):
            unpacked += len(block)
            if unpacked > max(UNPACKED_FLOOR, MOST_UNPACKED * size):
                raise DataError(
                    f"{path.name} holds {size:,} bytes and unpacks to more than {unpacked:,}: a bomb, hardly data.",
                    "Ask where it came from. If it is right, unpack it and give the file without .gz.",
                )
            pace.at(raw.tell(), f"{unpacked:,} bytes read")
            yield block


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(path: Path, head: bytes, plain: bool) -> str:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    return _halves(head) or ("utf-8" if plain else _other(path))


def _halves(head: bytes) -> str:
    """UTF-16 without its mark: every letter of ASCII has a zero beside it, always on the same side."""
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) * 40 < len(head) or min(first, second) * 20 > max(first, second):
        return ""
    found = "utf-16-le" if second > first else "utf-16-be"
    lines, seen = head.decode(found, "replace").count("\n"), head.count(b"\n")  # a byte of 上 is a line end too
    return found if lines == seen or (lines and not head.isascii()) else ""  # else zeros fill fields up


def _doubt(path: Path) -> str:
    """Whether what reads as GB18030 is rather Big5, of whose characters two in five end with a sign of ASCII, and
    nearly all are of the commonest 5,401; of common Chinese in GB18030 none does."""
    with opened(path) as file:
        sample = b"".join(itertools.islice((line for line in file if not line.isascii()), 2_000))
    ours, theirs = (_pairs(sample, codec) for codec in ("gb18030", "big5"))
    rare = sum(second < 0x80 for _, second in ours) * 5 > len(ours)
    common = sum(0xA1 <= first <= 0xC6 for first, _ in theirs) * 20 > len(theirs) * 19
    if not (rare and common and theirs):
        return ""
    return (
        "read as GB18030, but its characters are rare there and common in Big5; where it comes from Taiwan, Hong Kong"
        " or Macau, name its encoding, big5"
    )


def _pairs(sample: bytes, codec: str) -> list[bytes]:
    """The characters of two bytes in a text of that encoding; none when it is not all in it."""
    try:
        return [pair for letter in sample.decode(codec) if len(pair := letter.encode(codec)) == 2]
    except UnicodeError:
        return []


def _other(path: Path) -> str:
    """GB18030, or a sentence about the lines that are not."""
    first: dict[str, int] = {}
    counted = {"utf-8": 0, "surely": 0, "gb18030": 0, "rare": 0, "neither": 0}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if line.isascii():
                continue
            kind = _kind_of(line)
            if kind:
                counted[kind] += 1
                first.setdefault(kind, number)
    name = path.name
    if counted["rare"] > counted["gb18030"] or (counted["neither"] and not counted["gb18030"]):
        return _western(name, first)
    if counted["neither"]:
        raise DataError(
            f"Line {first['neither']:,} of {name} is neither UTF-8 nor GB18030; {counted['neither']:,} lines are"
            " like it.",
            f"Export the file again as UTF-8, or name its encoding {_NAME_IT}.",
        )
    if counted["surely"] or counted["utf-8"] * 200 > counted["gb18030"]:
        at = first["surely" if counted["surely"] else "utf-8"]
        raise DataError(
            f"{name} is written in two encodings: line {at:,} is UTF-8, line {first['gb18030']:,} is GB18030.",
            "Export it again in one encoding; reading either as the other would turn names into other names.",
        )
    return "gb18030"


def _kind_of(line: bytes) -> str:
    """The encoding that a line with other than ASCII letters shows; empty when it shows none.

    A few words in GB18030 happen to be UTF-8 as well. A line that is common Chinese in UTF-8 and none in GB18030 is
    `surely` UTF-8.
    """
    try:
        text = line.decode("utf-8")
        if not _CJK.search(line):
            return ""
        return "surely" if _encodes(text) and not _reads(line) else "utf-8"
    except UnicodeDecodeError:
        pass
    try:
        line.decode("gb18030")
        return "gb18030" if _COMMON.search(line) else "rare"
    except UnicodeDecodeError:
        return "neither"


def _encodes(text: str) -> bool:
    try:
        return bool(text.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _reads(line: bytes) -> bool:
    try:
        return bool(line.decode("gb2312"))
    except UnicodeDecodeError:
        return False


def _western(name: str, first: dict[str, int]) -> str:
    line = min(first[kind] for kind in ("rare", "neither") if kind in first)
    raise DataError(
        f"Line {line:,} of {name} is neither UTF-8 nor GB18030.",
        f"Name its encoding {_NAME_IT}, or export it as UTF-8.",
    )


def readable(path: Path, seen: Look, folder: Path) -> Path:
    """The file itself when the engine can read it as it is, else a copy in UTF-8 with plain line ends.

    Raises
    ------
    DataError
        When it is not in the encoding that a person gave, with the first line.
    """
    if seen.encoding == "utf-8":
        if not seen.utf8:
            check_encoding(path, seen.encoding)
        if not seen.mixed and not (packed(path) and path.suffix != ".gz"):  # the engine knows no .GZ
            return path
    target = folder / f"{seen.sha256[:16]}-{seen.encoding}.csv"
    if target.exists():
        return target
    partial = target.with_suffix(".partial")
    try:
        with opened(path) as raw, partial.open("w", encoding="utf-8", newline="") as out:
            text = io.TextIOWrapper(raw, encoding=seen.encoding, errors="strict", newline=None)
            while block := text.read(BLOCK):
                out.write(block.lstrip("\ufeff"))
    except (UnicodeDecodeError, LookupError) as error:
        partial.unlink(missing_ok=True)
        check_encoding(path, seen.encoding)
        raise _other_encoding(path.name, seen.encoding) from error
    partial.replace(target)
    return target


def check_encoding(path: Path, encoding: str) -> None:
    """That a file is in the encoding that a person gave.

    Raises
    ------
    DataError
        When it is not, with the first line, or nobody knows the encoding.
    """
    _codec(encoding)
    decoder, number = codecs.getincrementaldecoder(encoding)("strict"), 0
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            if not _decodes(decoder, line):
                raise _other_encoding(f"Line {number:,} of {path.name}", encoding)
    if not _decodes(decoder, b"", final=True):
        raise _other_encoding(f"The end of {path.name}, after line {number:,},", encoding)


def _codec(encoding: str) -> str:
    """Its usual name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        remedy = "Common ones are utf-8, gb18030, big5 and cp1252."
        raise DataError(f"There is no encoding {encoding!r}.", remedy) from None


def _other_encoding(place: str, encoding: str) -> DataError:
    return DataError(
        f"{place} cannot be read as {encoding}.", "Correct `encoding:` in the mapping, or --encoding, or leave it out."
    )
