"""A Chinese hospital system's dump: wide tables in GB18030, Chinese headings, local codes, names and mixed units.

病人信息.csv   patients
就诊记录.csv   one wide row a visit, with up to eight diagnoses and the vital signs
检验结果.csv   laboratory results
处方明细.csv   prescriptions
项目字典.csv   the hospital's own codes and their names
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from atoll.simulate.facts import CONDITIONS, DRUGS, MEASUREMENTS
from atoll.simulate.neutral import Tables, looked_up
from atoll.simulate.shapes.export import Export, Lines, write_codes

SLOTS = 8  # diagnoses in one wide row; more go into a second row of the visit
KINDS_ZH = ("门诊", "住院", "急诊")
SMOKING_ZH = {"never": "从不吸烟", "former": "已戒烟", "current": "吸烟"}
VITAL = {"systolic": "收缩压", "diastolic": "舒张压", "weight": "体重", "height": "身高"}
LAB_CODES = [f"JY{1001 + 7 * i}" for i in range(len(MEASUREMENTS))]
DRUG_CODES = [f"YP{20001 + 13 * i}" for i in range(len(DRUGS))]
HEADINGS = {
    "病人信息": ("病人ID", "性别", "出生日期", "死亡日期", "吸烟史"),
    "就诊记录": ("就诊号", "病人ID", "就诊类型", "入院日期", "出院日期", *VITAL.values(),
              *(f"诊断{part}{i}" for i in range(1, SLOTS + 1) for part in ("编码", "名称", "日期"))),
    "检验结果": ("结果序号", "就诊号", "病人ID", "报告日期", "项目代码", "项目名称", "结果", "单位"),
    "处方明细": ("处方序号", "就诊号", "病人ID", "开方日期", "药品代码", "药品名称", "天数"),
}  # fmt: skip


class Shape(Export):
    """Four CSV files in GB18030 and a dictionary."""

    unknown = (
        ("就诊记录", "condition_occurrence", "R99X"),
        ("处方明细", "drug_exposure", "YP00000"),
        ("检验结果", "measurement", "JY0000"),
    )
    chinese_units = 0.85
    impossible = ("diagnoses.duplicate_row",)  # a diagnosis is a part of a row here
    spellings: ClassVar[Mapping[str, Sequence[str]]] = {
        "mmol/L": ("mmol/L", "mmol/l", "MMOL/L", "毫摩尔/升"),
        "umol/L": ("umol/L", "μmol/L", "µmol/L", "微摩尔/升"),
        "mg/dL": ("mg/dL", "mg/dl", "mg%"),
        "10^9/L": ("10^9/L", "×10^9/L", "10*9/L", "E9/L"),
        "10*3/uL": ("10^3/uL", "K/uL"),
        "g/L": ("g/L", "克/升"),
        "g/dL": ("g/dL", "g%"),
        "U/L": ("U/L", "IU/L", "单位/升"),
        "%": ("%", "%"),
        "mm[Hg]": ("mmHg",),
    }

    def start(self) -> None:
        """Open the files, and write the dictionary of local codes."""
        self.files = {
            name: Lines(self.folder / f"{name}.csv", heads, "gb18030", "\r\n") for name, heads in HEADINGS.items()
        }
        with (self.folder / "项目字典.csv").open("w", encoding="gb18030", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("类别", "代码", "名称"))
            writer.writerows(("检验", code, row["zh"]) for code, row in zip(LAB_CODES, MEASUREMENTS, strict=True))
            writer.writerows(("药品", code, row["zh"]) for code, row in zip(DRUG_CODES, DRUGS, strict=True))
        icd = [row["icd10"] for row in CONDITIONS]
        codes = {"condition": icd, "drug": DRUG_CODES, "measurement": LAB_CODES}
        write_codes(self.truth.folder / f"codes_{self.hospital.name}.csv", codes)

    def put(self, tables: Tables) -> None:
        """Write a block; vital signs become columns of the visit, other results stay rows."""
        p, v, d, m, o = (tables[name] for name in ("patients", "visits", "diagnoses", "drugs", "labs"))
        sex = pc.if_else(pc.equal(p["sex"], "M"), "男", "女")
        smoking = pa.array(list(SMOKING_ZH.values())).take(pc.index_in(p["smoking"], pa.array(list(SMOKING_ZH))))
        self.files["病人信息"].write((p["patient"], sex, _slashes(p["birth"]), _slashes(p["death"]), smoking))
        self.record("病人信息.csv", p, "病人信息", "patient")
        vital = pc.and_(_is_vital(o["code"]), pc.is_null(o["fault"]))
        self._visits(v, d, o.filter(vital))
        again = pc.and_(_is_vital(o["code"]), pc.equal(pc.fill_null(o["fault"], ""), "duplicate_row"))
        rest = o.filter(pc.invert(pc.or_(vital, again)))  # a vital sign is a part of a row: it cannot stand there twice
        code = looked_up(LAB_CODES, rest["code"], "JY0000")
        name = looked_up([row["zh"] for row in MEASUREMENTS], rest["code"], "院内项目")
        value = _arrows(rest)
        self.files["检验结果"].write(
            (rest["row"], rest["visit"], rest["patient"], _slashes(rest["date"]), code, name, value, rest["unit"])
        )
        self.record("检验结果.csv", rest, "检验结果", "row")
        code = looked_up(DRUG_CODES, m["code"], "YP00000")
        name = looked_up([row["zh"] for row in DRUGS], m["code"], "院内制剂")
        self.files["处方明细"].write((m["row"], m["visit"], m["patient"], _slashes(m["date"]), code, name, m["days"]))
        self.record("处方明细.csv", m, "处方明细", "row")

    def _visits(self, v: pa.Table, d: pa.Table, vital: pa.Table) -> None:
        """One wide row a visit; diagnoses beyond the slots, and those without a visit, get rows of their own."""
        wide = _wide_diagnoses(v, d)
        columns = {
            "kind": pa.array(KINDS_ZH).take(wide["kind"]),
            "start": _slashes(wide["start"]),
            "end": _slashes(wide["end"]),
        }
        vitals = [_by_visit(wide, vital, MEASUREMENT) for MEASUREMENT in VITAL]
        slots = [wide[f"{part}{i}"] for i in range(SLOTS) for part in ("code", "name", "date")]
        self.files["就诊记录"].write(
            (wide["visit"], wide["patient"], columns["kind"], columns["start"], columns["end"], *vitals, *slots)
        )
        self.record("就诊记录.csv", wide, "就诊记录", "visit")

    def close(self) -> None:
        """Finish all files."""
        for file in self.files.values():
            file.close()


def _slashes(texts: Any) -> Any:
    return pc.replace_substring(texts, "-", "/")


def _is_vital(code: Any) -> Any:
    at = [i for i, row in enumerate(MEASUREMENTS) if row["key"] in VITAL]
    return pc.is_in(code, pa.array(at, pa.int64()))


def _arrows(labs: pa.Table) -> Any:
    """Results as analysers print them: an arrow behind a few of the numbers."""
    row = np.array([int(text[-1]) for text in labs["row"].to_pylist()], np.int64)
    marks = pa.array(["↑", "↓", ""]).take(pa.array(np.where(row == 3, 0, np.where(row == 7, 1, 2))))
    number = pc.match_substring_regex(labs["value"], r"^[0-9.]+$")
    return pc.if_else(number, pc.binary_join_element_wise(labs["value"], marks, ""), labs["value"])


def _by_visit(wide: pa.Table, vital: pa.Table, key: str) -> pa.Array:
    """The value of one vital sign on the first row of each visit."""
    at = next(i for i, row in enumerate(MEASUREMENTS) if row["key"] == key)
    mine = vital.filter(pc.equal(vital["code"], at))
    found = pc.index_in(wide["visit"].combine_chunks(), mine["visit"].combine_chunks())
    found = pc.if_else(wide["first"].combine_chunks(), found, pa.scalar(None, pa.int32()))
    return mine["value"].combine_chunks().take(found)


def _wide_diagnoses(v: pa.Table, d: pa.Table) -> pa.Table:
    """Visits with their diagnoses in slots.

    A fault among the diagnoses is a row of its own (with its visit's words), so that a planted row stays one row.
    """
    honest, planted = d.filter(pc.is_null(d["fault"])), d.filter(pc.is_valid(d["fault"]))
    good = v.filter(pc.is_null(v["fault"]))
    at = pc.index_in(honest["visit"].combine_chunks(), good["visit"].combine_chunks()).to_numpy()
    order = np.argsort(at, kind="stable")
    at, honest = at[order], honest.take(pa.array(order))
    begins = np.searchsorted(at, at, side="left")
    slot = np.arange(len(at)) - begins
    page, slot = slot // SLOTS, slot % SLOTS
    more = np.unique(np.stack([at, page], 1)[page > 0], axis=0) if (page > 0).any() else np.empty((0, 2), np.int64)
    rows = pa.concat_tables([good, good.take(pa.array(more[:, 0]))])
    index = {(int(a), int(b)): good.num_rows + i for i, (a, b) in enumerate(more)}
    target = np.array(
        [a if b == 0 else index[(a, b)] for a, b in zip(at.tolist(), page.tolist(), strict=True)], np.int64
    )
    extra = _planted(good, planted)
    out = pa.concat_tables([rows, v.filter(pc.is_valid(v["fault"])), extra])
    first = np.arange(out.num_rows) < good.num_rows
    out = out.append_column("first", pa.array(first))
    code = looked_up([row["icd10"] for row in CONDITIONS], honest["code"], "")
    name = looked_up([row["zh"] for row in CONDITIONS], honest["code"], "")
    date = _slashes(honest["date"])
    lone = out.num_rows - extra.num_rows
    for i in range(SLOTS):
        here = slot == i
        for part, values in (("code", code), ("name", name), ("date", date)):
            take = np.full(out.num_rows, -1)
            take[target[here]] = np.flatnonzero(here)
            column = _taken(values, take)
            if i == 0 and extra.num_rows:
                column = pa.concat_arrays([column.slice(0, lone), _lone(planted, part)])
            out = out.append_column(f"{part}{i}", column)
    keep = np.concatenate([np.argsort(np.concatenate([np.arange(good.num_rows), more[:, 0]]), kind="stable"),
                           np.arange(rows.num_rows, out.num_rows)])  # fmt: skip
    return out.take(pa.array(keep))


def _taken(values: Any, take: Any) -> pa.Array:
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return values.take(pa.array(take, mask=take < 0))


def _planted(good: pa.Table, planted: pa.Table) -> pa.Table:
    """A row of the visit table for every planted diagnosis: its visit's words where it has one, its own patient."""
    found = pc.index_in(planted["visit"].combine_chunks(), good["visit"].combine_chunks())
    known = good.take(found)
    kind = pc.coalesce(known["kind"].combine_chunks(), pa.scalar(0, pa.int64()))
    return pa.table(
        {
            "visit": planted["visit"],
            "patient": planted["patient"],
            "kind": kind,
            "start": known["start"],
            "end": known["end"],
            "fault": planted["fault"],
        }
    ).cast(good.schema)


def _lone(planted: pa.Table, part: str) -> pa.Array:
    names = {"code": ("icd10", "R99X"), "name": ("zh", "院内诊断")}
    if part == "date":
        found = _slashes(planted["date"])
    else:
        column, unknown = names[part]
        found = looked_up([row[column] for row in CONDITIONS], planted["code"], unknown)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
