r"""HL7 v2 as tables: ADT, ORU, ORM and RDE messages from files, with or without the frame of MLLP.

Files are decoded as their first bytes (UTF-16) or MSH-18 say (UNICODE UTF-8, GB 18030-2000, …), else as UTF-8 or
GB18030; then each line is one segment, in the usual separators, and the engine does the rest: segments get their
message, messages their patient and visit. Fields have names of their own; repetitions beyond the first and
sub-components are left aside. Escapes (\F\ \S\ \T\ \R\ \E\) are undone. `row` tells a segment apart from all others,
in every export alike; set ids (DG1-1, OBX-1) begin anew in each message, even with each OBR.

patients   patient, birth, sex, death, death_indicator                      each combination once
visits     visit, patient, class, admitted, discharged                      of several messages the last that says it
diagnoses  row, patient, visit, code, text, system, time, kind
results    row, patient, visit, kind, code, text, system, value, unit, range, flag, status, time; deleted ones, and
           those that a later message corrects, with the reason why they are no facts
drugs      row, patient, visit, code, text, system, start_time, days, amount, unit; cancelled ones with the reason
merges     patient (the old number), kept
own        kind (Z and two letters), patient, visit, field_1 … field_5      segments of the hospital's own, each once
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from atoll.cdm.delimited import BLOCK, look, opened
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest.sources import LEFT_OUT, Opened, Source, SourceFile

TIMES = "yyyyMMddHHmmss"
MERGES = ("merges", "patient", "kept")
# MSH-18 → how the file is decoded. `UNICODE` alone says no encoding: what begins with MSH in single bytes is then UTF-8
_NAMED = {"UNICODE UTF-8": "utf-8", "GB 18030-2000": "gb18030", "GB18030": "gb18030", "GBK": "gb18030",
          "GB2312": "gb18030", "ASCII": "utf-8", "8859/1": "latin-1", "BIG-5": "big5"}  # fmt: skip
_FEW = ("merges", "own")  # tables that are counted: what a mapping does not read is named with its rows
_LINE_ENDS = re.compile(r"[\r\n\x0b\x1c]+")
_BEFORE = "\ufeff\x0b\r\n "  # what may stand before a message: a mark of the order of bytes, a frame, line ends
_HEADS = ("MSH", "FHS", "BHS")  # segments that say which separators hold from there on
_USUAL = "|^~\\&"  # of fields, components, repetitions, escapes, sub-components
_LETTERS = "FSRET"  # what each of them is called in an escape
_BEGINS = re.compile(rf"({'|'.join(_HEADS)})([^\w\s])([^\w\s]{{0,5}})\2")


def is_message(name: str, head: bytes) -> bool:
    """Whether a file holds HL7 v2 messages: its name says so, or it begins with one, whatever its name."""
    return name.endswith((".hl7", ".er7")) or bool(_BEGINS.match(_beginning(head)[0]))


def open_messages(files: Sequence[Path], bench: Workbench, folder: Path, progress: Progress = silent) -> Source:
    """All messages of some files. Files of other kinds beside them are left out, and named.

    Raises
    ------
    DataError
        When no file begins with a message, or one that by its name holds some does not; when an encoding cannot be
        read.
    """
    source = Source(bench, "hl7")
    seen: list[SourceFile] = []
    lines: list[Path] = []
    for file in files:
        with file.open("rb") as content:
            text, encoding = _beginning(content.read(4096))
        if not text.startswith(_HEADS):
            if file.name.lower().endswith((".hl7", ".er7")):
                what = f"{file.name} does not begin with an HL7 v2 message (MSH)."
                raise DataError(what, "Is it another kind of file?")
            source.notes.append(f"{file.name} does not begin with an HL7 v2 message (MSH) and is left out")
            continue
        found = look(file, encoding or _NAMED.get(_charset(text)), progress)
        target = folder / f"{found.sha256[:16]}.segments"
        if not target.exists():
            _segments(file, found.encoding, target)
        lines.append(target)
        seen.append(SourceFile(file.name, found.sha256, found.size, found.encoding, text[3:4], found.lines))
    if not lines:
        raise DataError("No HL7 v2 file was found.", "A file of messages begins with MSH, FHS or BHS.")
    _read(bench, lines)
    for name, query in _TABLES.items():
        bench.view(name, _results(bench) if name == "results" else query)
        source.counts[name] = bench.value(f"SELECT count(*) FROM ({query})") if name in _FEW else 0
        schema = bench.table(name).schema()
        source.tables[name] = Opened(name, {column: str(dtype) for column, dtype in schema.items()}, tuple(seen))
    return source


def _beginning(head: bytes) -> tuple[str, str | None]:
    """The first bytes as text, and the encoding where they show it: every other one of UTF-16 is zero in a message."""
    encoding = None
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16"
    elif head[:2].count(0) == 1:
        encoding = "utf-16-be" if head[0] == 0 else "utf-16-le"
    return head.decode(encoding or "utf-8", "replace").lstrip(_BEFORE), encoding


def _charset(text: str) -> str:
    """MSH-18, in capital letters; empty where it is not said."""
    fields = re.split(r"[\r\n]", text)[0].split(text[3:4])
    return fields[17].split(fields[1][1:2] or "~")[0].strip().upper() if len(fields) > 17 else ""


def _segments(file: Path, encoding: str, target: Path) -> None:
    """The file with one segment a line, in UTF-8 and with the usual separators."""
    partial = target.with_suffix(".partial")
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    rest, written, before = "", _Usual(), _BEFORE
    try:
        with opened(file) as content, partial.open("w", encoding="utf-8", newline="\n") as out:
            while block := content.read(BLOCK):
                rest = _write((rest + decoder.decode(block)).lstrip(before), written, out)
                before = ""
            _write(rest + decoder.decode(b"", True) + "\r", written, out)
    except UnicodeError as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{file.name} says it is written in {encoding}, and is not.",
            "Correct MSH-18, or export the messages again.",
        ) from error
    partial.replace(target)


def _write(text: str, written: _Usual, out: IO[str]) -> str:
    parts = _LINE_ENDS.split(text)
    out.writelines(part + "\n" for part in written.segments(text, parts[:-1]) if part)
    return parts[-1]


class _Usual:
    """Segments with the usual separators, whichever MSH-1 and MSH-2 of their message name."""

    def __init__(self) -> None:
        self._rewritten: Callable[[str], str] | None = None

    def segments(self, text: str, parts: Sequence[str]) -> Iterable[str]:
        """The segments of a text, which hold from its first one on what the last message of the text before said."""
        heads = sum(text.count(head) for head in _HEADS)
        if self._rewritten is None and heads == sum(text.count(head + _USUAL) for head in _HEADS):
            return parts
        return map(self._segment, parts)

    def _segment(self, line: str) -> str:
        if line.startswith(_HEADS):
            named = line[4:].partition(line[3:4])[0][:4]
            signs = line[3:4] + named + _USUAL[1 + len(named) :]
            self._rewritten = None if signs in ("", _USUAL) else _rewriting(signs)
        return self._rewritten(line) if self._rewritten else line


def _rewriting(signs: str) -> Callable[[str], str]:
    """Write a segment with separators of its own (in the order of MSH-1 and MSH-2) with the usual ones: a sign that is
    one only by custom is text there, and its own are text where they are escaped."""
    own, usual = dict(zip(_LETTERS, signs, strict=True)), dict(zip(_LETTERS, _USUAL, strict=True))
    escaped = {sign: f"\\{letter}\\" for letter, sign in usual.items()}
    changed = escaped | {sign: usual[letter] for letter, sign in own.items()}
    changed |= {f"{own['E']}{letter}{own['E']}": escaped.get(sign, sign) for letter, sign in own.items()}
    found = re.compile("|".join(map(re.escape, sorted(changed, key=len, reverse=True))))
    return lambda line: found.sub(lambda sign: changed[sign[0]], line)


def _read(bench: Workbench, lines: Sequence[Path]) -> None:
    """`hl7_segment`: message, number, kind, fields; with the patient and visit of its message."""
    listed = literal([str(path) for path in lines])
    bench.run("DROP TABLE IF EXISTS hl7_line")
    bench.run(f"""
        CREATE TEMP TABLE hl7_line AS
        SELECT without_zeros(line) AS line, row_number() OVER () AS n
        FROM read_csv({listed}, columns = {{line: 'VARCHAR'}}, auto_detect = false, header = false, delim = '\x01',
            quote = '', escape = '', max_line_size = 16000000)
    """)
    bench.run("""
        CREATE OR REPLACE TEMP TABLE hl7_segment AS
        SELECT n,
            sum(CASE WHEN starts_with(line, 'MSH') THEN 1 ELSE 0 END)
                OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS message,
            left(line, 3) AS kind,
            string_split(line, '|') AS f
        FROM hl7_line
    """)
    bench.run("DROP TABLE hl7_line")
    bench.run("""
        CREATE OR REPLACE TEMP TABLE hl7_message AS
        SELECT message,
            any_value(CASE WHEN kind = 'PID' THEN split_part(split_part(f[4], '~', 1), '^', 1) END) AS patient,
            any_value(CASE WHEN kind = 'PV1' THEN nullif(split_part(f[20], '^', 1), '') END) AS visit,
            any_value(CASE WHEN kind = 'MSH' THEN f[9] END) AS event,
            any_value(CASE WHEN kind = 'MSH' THEN f[7] END) AS sent,
            any_value(CASE WHEN kind = 'MSH' THEN nullif(f[10], '') END) AS control,
            any_value(CASE WHEN kind = 'MSH' THEN array_to_string(f, '|') END) AS head
        FROM hl7_segment
        GROUP BY message
    """)
    # ORC-1: cancelled, as asked (CA) or as told (OC, CR)
    bench.run("""
        CREATE OR REPLACE TEMP TABLE hl7_cancelled AS
        SELECT DISTINCT patient, nullif(split_part(f[3], '^', 1), '') AS order_id
        FROM hl7_segment JOIN hl7_message USING (message)
        WHERE kind = 'ORC' AND f[2] IN ('CA', 'OC', 'CR')
    """)


def _results(bench: Workbench) -> str:
    """Results, each with why it is no fact: what OBX-11 says of it, or that a later message corrects or deletes it.

    The same result is that of one patient, order (OBR-3, else OBR-2), test, part of it (OBX-4) and time.
    """
    own = "CASE status " + " ".join(f"WHEN '{said}' THEN '{why}'" for said, why in _WITHDRAWN.items()) + " END"
    shown, left_out = "* EXCLUDE (sent, n, order_id, part)", quoted(LEFT_OUT)
    if not bench.value("SELECT count(*) FROM hl7_segment WHERE kind = 'OBX' AND f[12] IN ('C', 'D', 'W', 'P')"):
        return f"SELECT {shown}, {own} AS {left_out} FROM ({_TABLES['results']})"
    last = "max(CASE WHEN status IN ({}) THEN {{'sent': sent, 'n': n}} END) OVER same > {{'sent': sent, 'n': n}}"
    deleted, corrected, final = (last.format(said) for said in ("'D', 'W'", "'C'", "'F'"))
    return f"""
        SELECT {shown}, coalesce({own}, CASE
            WHEN code IS NULL OR coalesce(order_id, time) IS NULL THEN NULL
            WHEN {deleted} THEN 'deleted later'
            WHEN {corrected} THEN 'corrected later'
            WHEN status = 'P' AND {final} THEN 'final later' END) AS {left_out}
        FROM ({_TABLES["results"]})
        WINDOW same AS (PARTITION BY patient, order_id, code, part, time)
    """


def _field(position: int, component: int = 1) -> str:
    """A component of a field, counted as HL7 counts; nothing when empty, escapes undone."""
    part = f"split_part(split_part(f[{position + 1}], '~', 1), '^', {component})"
    return f"hl7_text({part})"


def _row(number: str, *order: str) -> str:
    """What tells a segment apart in every export: MSH-10, its number, and a check of all that it says and where.

    Neither number does alone: senders begin anew with them. A segment that is sent twice in one message is one.
    """
    said = ", ".join(("m.head", "m.patient", *order, "array_to_string(f, '|')"))
    return f"concat_ws('/', m.control, {number}, left(md5(concat_ws('|', {said})), 16)) AS row"


# 10^9/L is a unit and no two components, whatever the standard says
_UNIT = f"CASE WHEN {_field(6)} = '10' THEN concat_ws('^', '10', {_field(6, 2)}) ELSE {_field(6)} END"
# a structured number (SN) stands in four components: <^5 is <5, ^1^:^40 is 1:40; others write the sign so too
_PARTS = "concat(" + ", ".join(_field(5, n) for n in range(1, 5)) + ")"
_ANSWER = (
    f"CASE WHEN {_field(2)} = 'SN' OR {_field(5)} IN ('<', '>', '<=', '>=') THEN nullif(ltrim({_PARTS}, '='), '')"
    f" ELSE {_field(5)} END"
)
_WITHDRAWN = {"D": "deleted", "W": "wrong", "X": "not done", "N": "not done"}  # what OBX-11 says of a row
_OWN = ", ".join(f"{_field(n)} AS field_{n}" for n in range(1, 6))
_OF = "FROM hl7_segment s JOIN hl7_message m USING (message)"
# D7 is seven days, W3 three weeks, M1 a month; another unit stays as it is written, and is named as unreadable
_SUPPLY = _field(1, 3)
_DAYS = "CASE {} ELSE {} END".format(
    " ".join(
        f"WHEN regexp_matches({_SUPPLY}, '^{unit}-?[0-9]{{1,4}}$') THEN ({days} * {_SUPPLY}[2:]::BIGINT)::VARCHAR"
        for unit, days in (("D", 1), ("W", 7), ("M", 30))
    ),
    _SUPPLY,
)
# time and number of the order that a result belongs to: the OBR before it, within its message
_ORDERED = """
    SELECT n,
        max(CASE WHEN kind = 'OBR' THEN f[8] END) OVER w AS time,
        max(CASE WHEN kind = 'OBR' THEN coalesce(nullif(f[4], ''), f[3]) END) OVER w AS order_id
    FROM (
        SELECT n, message, kind, f,
            sum(CASE WHEN kind = 'OBR' THEN 1 ELSE 0 END) OVER (PARTITION BY message ORDER BY n) AS obr
        FROM hl7_segment
        WHERE kind IN ('OBR', 'OBX')
    )
    WINDOW w AS (PARTITION BY message, obr)
"""
# number and time of the order (ORC) before each drug
_PRESCRIBED = """
    SELECT n,
        lag(nullif(split_part(f[3], '^', 1), '')) OVER w AS order_id,
        lag(nullif(f[10], '')) OVER w AS time
    FROM hl7_segment
    WHERE kind IN ('ORC', 'RXE')
    WINDOW w AS (PARTITION BY message ORDER BY n)
"""
_TABLES = {
    # a message without the birth (of results, say) is filled in from one that has it, so that it is no other patient
    "patients": f"""
        SELECT DISTINCT patient, coalesce(birth, first.birth) AS birth,
            CASE WHEN birth IS NULL THEN coalesce(sex, first.sex) ELSE sex END AS sex, death, death_indicator
        FROM (
            SELECT *, min({{'birth': birth, 'sex': sex}}) OVER (PARTITION BY patient) AS first  -- nothing comes last
            FROM (
                SELECT DISTINCT m.patient, {_field(7)} AS birth, {_field(8)} AS sex, {_field(29)} AS death,
                    {_field(30)} AS death_indicator
                {_OF}
                WHERE kind = 'PID'
            )
        )
    """,
    # most messages of a visit name it and no more; a visit without a number is one of its own, for the rules to name
    "visits": f"""
        SELECT visit, patient, coalesce(arg_max(class, n) FILTER (admitted IS NOT NULL), arg_max(class, n)) AS class,
            min(admitted) AS admitted, max(discharged) AS discharged
        FROM (
            SELECT n, m.visit, m.patient, {_field(2)} AS class, {_field(44)} AS admitted, {_field(45)} AS discharged
            {_OF}
            WHERE kind = 'PV1'
        )
        WHERE visit IS NOT NULL OR admitted IS NOT NULL
        GROUP BY visit, patient, CASE WHEN visit IS NULL THEN admitted END
    """,
    "diagnoses": f"""
        SELECT {_row(_field(1))}, {_field(1)} AS set_id, m.patient, m.visit,
            {_field(3)} AS code, {_field(3, 2)} AS text, {_field(3, 3)} AS system,
            {_field(5)} AS time, {_field(6)} AS kind
        {_OF}
        WHERE kind = 'DG1'
    """,
    "results": f"""
        SELECT {_row(_field(1), "o.order_id", "o.time")}, {_field(1)} AS set_id, m.patient, m.visit,
            {_field(2)} AS kind, {_field(3)} AS code, {_field(3, 2)} AS text, {_field(3, 3)} AS system,
            {_ANSWER} AS value, {_UNIT} AS unit, {_field(7)} AS range, {_field(8)} AS flag,
            {_field(11)} AS status, coalesce({_field(14)}, o.time) AS time,
            coalesce(m.sent, '') AS sent, n, o.order_id, {_field(4)} AS part
        {_OF} LEFT JOIN ({_ORDERED}) o USING (n)
        WHERE kind = 'OBX'
    """,
    "drugs": f"""
        SELECT {_row("c.order_id", "c.time")}, c.order_id, m.patient, m.visit,
            {_field(2)} AS code, {_field(2, 2)} AS text, {_field(2, 3)} AS system,
            coalesce({_field(1, 4)}, c.time) AS start_time, {_DAYS} AS days,
            {_field(3)} AS amount, {_field(5)} AS unit,
            CASE WHEN EXISTS (FROM hl7_cancelled x WHERE x.patient = m.patient AND x.order_id = c.order_id)
                THEN 'cancelled' END AS {quoted(LEFT_OUT)}
        {_OF} LEFT JOIN ({_PRESCRIBED}) c USING (n)
        WHERE kind = 'RXE'
    """,
    "merges": f"""
        SELECT DISTINCT {_field(1)} AS patient, m.patient AS kept
        {_OF}
        WHERE kind = 'MRG' AND {_field(1)} IS NOT NULL
    """,
    "own": f"""
        SELECT DISTINCT kind, m.patient, m.visit, {_OWN}
        {_OF}
        WHERE starts_with(kind, 'Z')
    """,
}
