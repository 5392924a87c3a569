"""Units and results as hospitals write them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.cdm.numbers import MACROS, numbers_in
from atoll.cdm.tables import OPERATORS
from atoll.cdm.workbench import Workbench
from atoll.ingest.values import parse_values, value_words
from atoll.study.units import (
    UnitError,
    analyte_in,
    canonical,
    concept_of,
    conversion,
    convert,
    infer,
    molar_masses,
    parse,
    spellings,
    unit_concepts,
)


@pytest.mark.parametrize(
    ("value", "source", "target", "analyte", "expected", "tolerance"),
    [
        (100, "mg/dL", "mmol/L", "glucose", 5.55, 0.002),
        (1, "mg/dL", "umol/L", "creatinine", 88.4, 0.1),
        (20, "mg/dL", "mmol/L", "urea_nitrogen", 7.14, 0.01),
        (200, "mg/dL", "mmol/L", "cholesterol", 5.17, 0.01),
        (150, "mg/dL", "mmol/L", "triglyceride", 1.69, 0.01),
        (1, "mg/dl", "μmol/L", "bilirubin", 17.1, 0.05),
        (6, "mg/dL", "umol/L", "urate", 356.9, 0.5),
        (10, "mg/dL", "mmol/L", "calcium", 2.495, 0.002),
        (5, "mEq/L", "mmol/L", "calcium", 2.5, 1e-9),
        (140, "mEq/L", "mmol/L", "sodium", 140, 1e-9),
        (15, "g/dL", "mmol/L", "hemoglobin", 9.31, 0.01),
        (7.0, "%", "mmol/mol", "hba1c", 53, 0.1),
        (48, "mmol/mol", "%", "hba1c", 6.54, 0.01),
        (0, "mmol/mol", "%", "hba1c", 2.152, 1e-9),  # NGSP's master equation, Hoelzel et al. 2004
        (100, "mmol/mol", "%", "hba1c", 11.3, 1e-9),
        (150, "克/升", "g/dL", "", 15, 1e-9),
        (5.6, "毫摩尔/升", "mg/dL", "glucose", 100.9, 0.1),
        (7.2, "×10^9/L", "K/uL", "", 7.2, 1e-9),
        (37, "℃", "°F", "", 98.6, 1e-9),
        (40, "IU/L", "U/L", "", 40, 1e-9),
        (2.1, "μIU/mL", "mIU/L", "", 2.1, 1e-9),
        (120, "mmHg", "kPa", "", 16.0, 0.01),
        (15, "‰", "%", "", 1.5, 1e-9),
        (450, "万/mm3", "10^12/L", "", 4.5, 1e-9),
        (250, "G/L", "10^3/uL", "", 250, 1e-9),
    ],
)
def test_conversions_that_clinicians_know(
    value: float, source: str, target: str, analyte: str, expected: float, tolerance: float
) -> None:
    assert convert(value, source, target, analyte) == pytest.approx(expected, abs=tolerance)


@given(
    st.floats(1e-3, 1e4),
    st.sampled_from([("mg/dL", "mmol/L"), ("g/L", "umol/L"), ("ng/mL", "pmol/L")]),
    st.sampled_from(sorted(molar_masses())),
)
def test_there_and_back_is_the_same(value: float, units: tuple[str, str], analyte: str) -> None:
    there = convert(value, *units, analyte)
    assert convert(there, units[1], units[0], analyte) == pytest.approx(value, rel=1e-12)


@given(st.text(max_size=30))
def test_any_text_is_a_unit_or_a_sentence(text: str) -> None:
    code = canonical(text)
    if code:
        parse(code)


def test_what_does_not_convert_says_why() -> None:
    with pytest.raises(UnitError, match="mg/dL does not convert into mmol/L without naming the analyte"):
        conversion("mg/dL", "mmol/L")
    with pytest.raises(UnitError, match="'zz/L' is not known"):
        conversion("zz/L", "mmol/L", "glucose")
    with pytest.raises(UnitError, match="U/L does not convert into mmol/L of glucose"):
        conversion("U/L", "mmol/L", "glucose")
    with pytest.raises(UnitError, match="lacks a closing bracket"):
        parse("mg/(24.h")


@pytest.mark.parametrize(
    ("written", "concept"),
    [
        ("g/L", 8636), ("ng/L", 8725), ("10¹²/L", 8734), ("×10^12/L", 8734), ("10⁹/L", 9444), ("L/L", 44777604),
        ("mL/min/1.73 m²", 720870), ("ml/(min·1.73m^2)", 720870), ("mL/min", 8795), ("pmol/L", 0), ("kU/L", 0),
        ("×10³/μL", 8848), ("×10^6/μL", 8815), ("G/L", 9444), ("g/l", 8636), ("T/L", 8734), ("mg/24小时", 8909),
        ("个/HP", 8889), ("‰", 0), ("万/mm3", 0),
    ],
)  # fmt: skip
def test_concepts_of_units(written: str, concept: int) -> None:
    """Those that no source in hand gives a concept have none here; a loaded vocabulary may know them."""
    assert concept_of(written) == concept
    assert canonical(written)


def test_a_rate_for_a_standard_body_is_not_the_patients_own() -> None:
    with pytest.raises(UnitError, match="does not convert into mL/min"):
        conversion("mL/min/1.73m2", "mL/min")
    assert conversion("mL/min/1.73m2", "mL/s/{1.73_m2}") == pytest.approx((1 / 60, 0))


def test_every_spelling_leads_to_a_unit() -> None:
    for written, code in spellings().items():
        parse(code)
        assert canonical(written) == code
    for code in unit_concepts():
        parse(code)


def test_a_missing_unit_is_proposed_with_a_probability() -> None:
    random = np.random.default_rng(3)
    known = {"mmol/L": random.normal(5.5, 0.8, 400), "mg/dL": random.normal(99, 14, 100)}
    units, chance = infer([5.2, 101.0, 22.0], known)
    assert chance.sum(axis=1) == pytest.approx(1)
    assert chance[0, units.index("mmol/L")] > 0.99
    assert chance[1, units.index("mg/dL")] > 0.99
    assert chance[2].max() < 0.99  # between the two: not certain
    assert infer([1.0], {"mmol/L": [5.0]})[0] == []  # too few to know


@pytest.mark.parametrize(
    ("text", "number", "operator", "concept"),
    [
        ("<0.5", 0.5, "<", None), ("≤ 10", 10, "<=", None), ("大于1000", 1000, ">", None), ("阴性", None, None, 9189),
        ("Positive", None, None, 9191), ("1+", None, None, 45878548), ("+++", None, None, 45876467),
        ("+1", None, None, 45878548), ("±", None, None, 9192), ("(-)", None, None, 9189),
        ("12.3↑", 12.3, None, None), ("3.1 L", 3.1, None, None), ("１２．３", 12.3, None, None),
        ("5.", 5, None, None), ("1:40", None, None, None), ("＞1:320", None, ">", None), ("3-5", None, None, None),
        ("5 6", None, None, None), ("5　6 7", None, None, None), ("1 234", None, None, None), ("-", None, None, None),
        ("²", None, None, None), ("10²", None, None, None), ("½", None, None, None), ("1_000", None, None, None),
        ("1e400", None, None, None), ("↑", None, None, None), ("标本溶血", None, None, None), ("", None, None, None),
        (None, None, None, None), ("<1,234", None, None, None), ("<1,2", 1.2, "<", None),
    ],
)  # fmt: skip
def test_results(text: str | None, number: float | None, operator: str | None, concept: int | None) -> None:
    row = parse_values([text]).to_pylist()[0]
    assert (row["number"], row["operator_concept_id"], row["value_as_concept_id"]) == (
        number, OPERATORS[operator] if operator else None, concept
    )  # fmt: skip


NUMBERS = {  # written → read with no sign stated, with the point, with the comma
    "5": (5, 5, 5), "-5": (-5, -5, -5), "5.6": (5.6, 5.6, None), "1,5": (1.5, None, 1.5), "1,234": (None, 1234, 1.234),
    "1.234": (1.234, 1.234, 1234), "0,125": (0.125, None, 0.125), "1234,567": (1234.567, None, 1234.567),
    "1,000,000": (1e6, 1e6, None), "1.000.000": (1e6, None, 1e6), "1,234.5": (1234.5, 1234.5, None),
    "1.234,5": (1234.5, None, 1234.5), "12.5.6,7": (None, None, None), "12,34,567": (None, None, None),
    "1'234": (1234, 1234, 1234), "1’234.5": (1234.5, 1234.5, None), "1 234": (None, 1234, 1234),
    "1 234,5": (None, None, 1234.5), "1 2 34": (None, None, None), "5,0001": (5.0001, None, 5.0001),
    "1,5e3": (1500, None, 1500), "1,234e3": (None, 1234000, 1234), "0,000": (0, None, 0), "1_000": (None, None, None),
}  # fmt: skip


@pytest.mark.parametrize(("place", "decimal"), [(0, ""), (1, "."), (2, ",")])
def test_a_number_is_read_alike_wherever_it_stands(place: int, decimal: str) -> None:
    """By the engine and by Arrow, alone and as a result; what may be two numbers is none."""
    expected = [read[place] for read in NUMBERS.values()]
    assert parse_values(list(NUMBERS), decimal)["number"].to_pylist() == expected
    assert numbers_in(pa.array(list(NUMBERS)), decimal).to_pylist() == expected
    with Workbench() as bench:
        bench.duckdb.register("written", pa.table({"x": list(NUMBERS)}))
        assert [found for (found,) in bench.rows(f"SELECT {MACROS[decimal]}(x) FROM written")] == expected


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("3-5", 3, 5), ("3.9～6.1", 3.9, 6.1), ("3.9 — 6.1", 3.9, 6.1), ("-2~+2", -2, 2), ("-2-2", -2, 2),
        ("3至5", 3, 5), ("3,9-6,1", 3.9, 6.1), ("<5.2", None, 5.2), ("≥40", 40, None), ("6-3", None, None),
        ("1,234-5,678", None, None), ("5", None, None), ("1:40", None, None), ("阴性", None, None),
        ("2020-01-11", None, None),
    ],
)  # fmt: skip
def test_ranges_have_ends(text: str, low: float | None, high: float | None) -> None:
    row = parse_values([text]).to_pylist()[0]
    assert (row["low"], row["high"]) == (low, high)


@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.text("0123456789.,-~<e' ", max_size=8)), max_size=30))
def test_any_column_can_be_read(texts: list[str | None]) -> None:
    assert parse_values(texts).num_rows == len(texts)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_numbers_come_back(value: float) -> None:
    assert parse_values([repr(value)])["number"].to_pylist() == [value]


def test_words_have_one_meaning() -> None:
    assert all(concept > 0 for concept in value_words().values())
    assert concept_of("MG/DL") == concept_of("mg/dl") == unit_concepts()["mg/dL"]


def test_per_cent_and_per_mille_of_substance_are_hba1c_or_nothing() -> None:
    assert analyte_in("Hemoglobin A1c") == "hba1c"
    with pytest.raises(UnitError, match="for HbA1c alone"):
        conversion("mmol/mol", "%")
    assert conversion("mmol/mol", "%", "hba1c")[0] == pytest.approx(0.09148)


def test_a_unit_that_nobody_wrote_takes_what_the_known_one_cannot_explain() -> None:
    known = {"mg/dL": np.random.default_rng(1).normal(100, 12, 200)}
    assert infer([5.4, 101.0], known)[1][:, 0].tolist() == [1.0, 1.0]
    far, near = infer([5.4, 101.0], known, 0.01)[1][:, 0]
    assert far < 0.5 < 0.99 < near
