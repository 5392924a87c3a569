r"""HL7 v2 as tables: ADT, ORU, ORM and RDE messages from files, with or without the frame of MLLP.

Files are decoded as MSH-18 says (UNICODE UTF-8, GB 18030-2000, …), else as UTF-8 or GB18030; then each line is one
segment and the engine does the rest: segments get their message, messages their patient and visit. Fields have names of
their own; repetitions beyond the first and sub-components are left aside. Escapes (\F\ \S\ \T\ \R\ \E\) are undone.

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
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from atoll.cdm.delimited import BLOCK, Look, look, opened
from atoll.cdm.pace import Progress, silent
from atoll.cdm.workbench import Workbench, literal, quoted
from atoll.errors import DataError
from atoll.ingest.sources import LEFT_OUT, Opened, Source, SourceFile

TIMES = "yyyyMMddHHmmss"
MERGES = ("merges", "patient", "kept")
_NAMED = {"UNICODE UTF-8": "utf-8", "UNICODE": "utf-16", "GB 18030-2000": "gb18030", "GB18030": "gb18030",
          "GBK": "gb18030", "GB2312": "gb18030", "ASCII": "utf-8", "8859/1": "latin-1", "BIG-5": "big5"}  # fmt: skip
_FEW = ("merges", "own")  # tables that are counted: what a mapping does not read is named with its rows
_LINE_ENDS = re.compile(r"[\r\n\x0b\x1c]+")


def is_message(name: str, head: bytes) -> bool:
    """Whether a file holds HL7 v2 messages."""
    begins = head.lstrip(codecs.BOM_UTF8 + b"\x0b\r\n").startswith(b"MSH|")
    return name.endswith((".hl7", ".er7")) or (name.endswith(".txt") and begins)


def open_messages(files: Sequence[Path], bench: Workbench, folder: Path, progress: Progress = silent) -> Source:
    """All messages of some files.

    Raises
    ------
    DataError
        When a file does not begin with a message, or its encoding cannot be read.
    """
    source = Source(bench, "hl7")
    seen: list[SourceFile] = []
    lines: list[Path] = []
    for file in files:
        if not file.name.lower().endswith((".hl7", ".er7", ".txt", ".dat", ".msg")):
            continue
        encoding, found = _encoding(file, progress)
        target = folder / f"{found.sha256[:16]}.segments"
        if not target.exists():
            _segments(file, encoding, target)
        lines.append(target)
        seen.append(SourceFile(file.name, found.sha256, found.size, encoding, "|", found.lines))
    if not lines:
        raise DataError("No HL7 v2 file was found.", "Their names end in .hl7, .er7, .txt, .dat or .msg.")
    _read(bench, lines)
    for name, query in _TABLES.items():
        bench.view(name, _results(bench) if name == "results" else query)
        source.counts[name] = bench.value(f"SELECT count(*) FROM ({query})") if name in _FEW else 0
        schema = bench.table(name).schema()
        source.tables[name] = Opened(name, {column: str(dtype) for column, dtype in schema.items()}, tuple(seen))
    return source


def _encoding(file: Path, progress: Progress) -> tuple[str, Look]:
    with opened(file) as content:
        head = content.read(4096).lstrip(codecs.BOM_UTF8 + b"\x0b\r\n ")
    if not head.startswith((b"MSH", b"FHS", b"BHS")):
        raise DataError(f"{file.name} does not begin with an HL7 v2 message (MSH).", "Is it another kind of file?")
    fields = re.split(rb"[\r\n]", head)[0].split(head[3:4])
    named = fields[17].split(b"~")[0].decode("ascii", "replace").strip().upper() if len(fields) > 17 else ""
    found = look(file, _NAMED.get(named), progress)
    return found.encoding, found


def _segments(file: Path, encoding: str, target: Path) -> None:
    """The file with one segment a line, in UTF-8."""
    partial = target.with_suffix(".partial")
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    rest = ""
    try:
        with opened(file) as content, partial.open("w", encoding="utf-8", newline="\n") as out:
            while block := content.read(BLOCK):
                rest = _write(rest + decoder.decode(block), out)
            _write(rest + decoder.decode(b"", True) + "\r", out)
    except UnicodeDecodeError as error:
        partial.unlink(missing_ok=True)
        raise DataError(
            f"{file.name} says it is written in {encoding}, and is not.",
            "Correct MSH-18, or export the messages again.",
        ) from error
    partial.replace(target)


def _write(text: str, out: IO[str]) -> str:
    parts = _LINE_ENDS.split(text)
    out.writelines(part + "\n" for part in parts[:-1] if part)
    return parts[-1]


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
            any_value(CASE WHEN kind = 'MSH' THEN f[7] END) AS sent
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
    "patients": f"""
        SELECT DISTINCT m.patient, {_field(7)} AS birth, {_field(8)} AS sex, {_field(29)} AS death,
            {_field(30)} AS death_indicator
        {_OF}
        WHERE kind = 'PID' AND {_field(7)} IS NOT NULL
    """,
    "visits": f"""
        SELECT m.visit, m.patient, arg_max({_field(2)}, n) AS class, min({_field(44)}) AS admitted,
            max({_field(45)}) AS discharged
        {_OF}
        WHERE kind = 'PV1' AND m.visit IS NOT NULL AND {_field(44)} IS NOT NULL
        GROUP BY m.visit, m.patient
    """,
    "diagnoses": f"""
        SELECT s.message || '-' || {_field(1)} AS row, {_field(1)} AS set_id, m.patient, m.visit,
            {_field(3)} AS code, {_field(3, 2)} AS text, {_field(3, 3)} AS system,
            {_field(5)} AS time, {_field(6)} AS kind
        {_OF}
        WHERE kind = 'DG1'
    """,
    "results": f"""
        SELECT s.message || '-' || {_field(1)} AS row, {_field(1)} AS set_id, m.patient, m.visit,
            {_field(2)} AS kind, {_field(3)} AS code, {_field(3, 2)} AS text, {_field(3, 3)} AS system,
            {_ANSWER} AS value, {_UNIT} AS unit, {_field(7)} AS range, {_field(8)} AS flag,
            {_field(11)} AS status, coalesce({_field(14)}, o.time) AS time,
            coalesce(m.sent, '') AS sent, n, o.order_id, {_field(4)} AS part
        {_OF} LEFT JOIN ({_ORDERED}) o USING (n)
        WHERE kind = 'OBX'
    """,
    "drugs": f"""
        SELECT s.message || '-' || coalesce(c.order_id, s.n::VARCHAR) AS row, c.order_id, m.patient, m.visit,
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
