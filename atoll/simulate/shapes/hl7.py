"""HL7 v2.4 message files in GB18030: ADT for patients and visits, ORU for results, RDE for prescriptions.

One message a visit and kind; segments end with a carriage return, messages with a line feed (as interface engines log
them). MSH-18 names the encoding. Codes: ICD-10 (I10), LOINC (LN), RxNorm (RXNORM), local ones (L).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.neutral import Tables, joined, looked_up
from atoll.simulate.shapes.export import Export, write_codes

CLASSES = ("O", "I", "E")
ENCODING = "GB 18030-2000"
KINDS = {"adt": "ADT^A04", "oru": "ORU^R01", "rde": "RDE^O11"}


class Shape(Export):
    """adt.hl7, oru.hl7, rde.hl7."""

    unknown = (
        ("diagnoses", "condition_occurrence", "R99X"),
        ("drugs", "drug_exposure", "X-4711"),
        ("labs", "measurement", "99999-X"),
    )
    chinese_units = 0.7
    spellings: ClassVar[Mapping[str, Sequence[str]]] = {"10^9/L": ("10*9/L", "10\\S\\9/L")}  # ^ is a separator

    def start(self) -> None:
        """Open the files."""
        self.files: dict[str, IO[bytes]] = {name: (self.folder / f"{name}.hl7").open("wb") for name in KINDS}
        self.messages = 0
        write_codes(self.truth.folder / f"codes_{self.hospital.name}.csv", {
            "condition": [row["icd10"] for row in CONDITIONS], "drug": [row["rxnorm"] for row in DRUGS],
            "measurement": [row["loinc"] for row in MEASUREMENTS]})  # fmt: skip

    def put(self, tables: Tables) -> None:
        """Write a block: the patients, then the visits with diagnoses, results and prescriptions."""
        p, v, d, m, o = (tables[name] for name in ("patients", "visits", "diagnoses", "drugs", "labs"))
        pid = {key: text for key, text in zip(p["patient"].to_pylist(), _pid(p).to_pylist(), strict=True)}
        first = _first_rows(p)
        self._send("adt", "patients", p, "patient", p, _pid(p), pc.if_else(first, "", ""), None)
        self._send("adt", "visits", v, "visit", v, self._known(v, pid), _pv1(v), None)
        for file, name, table, segment in (("adt", "diagnoses", d, _dg1(d)), ("rde", "drugs", m, _rx(m)),
                                           ("oru", "labs", o, _obx(o))):  # fmt: skip
            self._send(file, name, table, "row", table, self._known(table, pid), _visit_only(table), segment)

    def _known(self, table: pa.Table, pid: dict[str, str]) -> pa.Array:
        """PID of every row's patient; a stranger has a number only."""
        return pa.array([pid.get(key) or f"PID|1||{key}^^^MRN" for key in table["patient"].to_pylist()])

    def _send(
        self, file: str, name: str, faulty: pa.Table, key: str, table: pa.Table, pid: Any, pv1: Any, segment: Any
    ) -> None:
        """One message a visit (or a row where there is no visit); rows of one visit share it."""
        n = table.num_rows
        if not n:
            return
        if segment is None:
            group, parts = np.arange(n), [pid, pv1]
        else:
            visits = pc.coalesce(table["visit"], joined("-", table["row"])).to_pylist()
            owners = table["patient"].to_pylist()
            seen: dict[tuple[str, str], int] = {}
            group = np.array([seen.setdefault(pair, len(seen)) for pair in zip(visits, owners, strict=True)])
            parts = [pid, pv1]
        order = np.argsort(group, kind="stable")
        begins = np.flatnonzero(np.append([True], np.diff(group[order]) != 0))
        heads = _columns([part.take(pa.array(order[begins])) for part in parts])
        numbers = np.arange(self.messages + 1, self.messages + 1 + len(begins))
        self.messages += len(begins)
        tails = segment.take(pa.array(order)).to_pylist() if segment is not None else None
        lines = []
        ends = np.append(begins[1:], n)
        for at, number in enumerate(numbers.tolist()):
            body = "".join(tails[begins[at] : ends[at]]) if tails is not None else ""
            lines.append(
                f"MSH|^~\\&|HIS|{self.hospital.name}|||20250101||{KINDS[file]}|{number}|P|2.4||||||{ENCODING}\r"
                f"{heads[at]}{body}\n"
            )
        self.files[file].write("".join(lines).encode("gb18030"))
        messages = numbers[np.repeat(np.arange(len(begins)), ends - begins)]
        placed = np.empty(n, np.int64)
        placed[order] = messages
        self._record_messages(f"{file}.hl7", faulty, name, key, placed)

    def _record_messages(self, file: str, table: pa.Table, source: str, key: str, messages: Any) -> None:
        """Faults are recorded by message control number (MSH-10)."""
        marked = np.flatnonzero(pc.is_valid(table["fault"]).to_numpy())
        for at in marked.tolist():
            self.rows[file] = int(messages[at]) - 1
            self.record(file, table.slice(at, 1), source, key, header=0)

    def close(self) -> None:
        """Finish all files."""
        for file in self.files.values():
            file.close()


def _columns(parts: list[Any]) -> list[str]:
    return [
        "".join(f"{text}\r" for text in texts if text)
        for texts in zip(*(part.to_pylist() for part in parts), strict=True)
    ]


def _first_rows(table: pa.Table) -> pa.Array:
    return pa.array(np.ones(table.num_rows, bool))


def _compact(dates: Any) -> Any:
    return pc.replace_substring(dates, "-", "")


def _pid(p: pa.Table) -> Any:
    """Identification: number, birth, sex, death; smoking as a Z segment's value in PID-23 would be odd, so in ZSM."""
    dead = pc.if_else(pc.is_valid(p["death"]), joined("|||||||||||||||||||||", _compact(p["death"]), "|Y"), "")
    return joined(
        "PID|1||", p["patient"], "^^^MRN||||", _compact(p["birth"]), "|", p["sex"], dead, "\rZSM|1|", p["smoking"]
    )


def _pv1(v: pa.Table) -> Any:
    kind = pa.array(CLASSES).take(v["kind"])
    return joined(
        "PV1|1|", kind, "|||||||||||||||||", v["visit"], "|" * 25, _compact(v["start"]), "|", _compact(v["end"])
    )


def _visit_only(table: pa.Table) -> Any:
    return pc.if_else(pc.is_valid(table["visit"]), joined("PV1|1||||||||||||||||||", table["visit"]), "")


def _dg1(d: pa.Table) -> Any:
    code = looked_up([row["icd10"] for row in CONDITIONS], d["code"], "R99X")
    name = looked_up([row["zh"] for row in CONDITIONS], d["code"], "院内诊断")
    system = pc.if_else(pc.less(d["code"], 0), "L", "I10")
    return joined("DG1|", d["row"], "|I10|", code, "^", name, "^", system, "||", _compact(d["date"]), "|F\r")


def _rx(m: pa.Table) -> Any:
    code = looked_up([row["rxnorm"] for row in DRUGS], m["code"], "X-4711")
    name = looked_up([row["zh"] for row in DRUGS], m["code"], "院内制剂")
    system = pc.if_else(pc.less(m["code"], 0), "L", "RXNORM")
    return joined(
        "ORC|NW|",
        m["row"],
        "|||||||",
        _compact(m["date"]),
        "\rRXE|^^D",
        m["days"],
        "^",
        _compact(m["date"]),
        "|",
        code,
        "^",
        name,
        "^",
        system,
        "\r",
    )


def _obx(o: pa.Table) -> Any:
    code = looked_up([row["loinc"] for row in MEASUREMENTS], o["code"], "99999-X")
    name = looked_up([row["zh"] for row in MEASUREMENTS], o["code"], "院内项目")
    system = pc.if_else(pc.less(o["code"], 0), "L", "LN")
    kind = pc.if_else(pc.match_substring_regex(o["value"], r"^-?[0-9.]+(e-?[0-9]+)?$"), "NM", "ST")
    return joined("OBX|", o["row"], "|", kind, "|", code, "^", name, "^", system, "||", o["value"], "|", o["unit"],
                  "|||||F|||", _compact(o["date"]), "\r")  # fmt: skip
