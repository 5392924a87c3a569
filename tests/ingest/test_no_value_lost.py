"""Results of which a part cannot be read, or a unit does not convert: the row is loaded, and what it lost is named."""

from __future__ import annotations

import pytest

from tests.ingest.exports import MAPPING, loaded, reasons, rows

COLUMNS = "      value_as_number: number(value)\n      unit_source_value: unit\n"


def columns(*lines: str) -> str:
    return MAPPING.replace(COLUMNS, "".join(f"      {line}\n" for line in lines))


def results(*pairs: tuple[str, str], code: str = "2345-7") -> str:
    """Results: texts with their units."""
    return "row,patient,visit,day,code,value,unit\n" + "".join(
        f"{n},1,,2020-01-11,{code},{value},{unit}\n" for n, (value, unit) in enumerate(pairs)
    )


WORDS = results(("阴性", ""), ("标本溶血", ""), ("见报告", ""), ("5.6", ""), ("<5", ""), ("", ""))


@pytest.mark.parametrize(
    ("lines", "unread"),
    [
        (("value_as_concept_id: finding(value)",), {"unreadable value_as_concept_id": 4}),
        (
            ("value_as_concept_id: finding(value)", "value_as_number: result(value)"),
            {"unreadable value_as_number": 2},  # each text once: as what the number could not be read of
        ),
        (("value_as_number: number(day)", "value_as_concept_id: finding(value)"),
         {"unreadable value_as_number": 6, "unreadable value_as_concept_id": 4}),  # of another column: no stand-in
        (("operator_concept_id: operator(value)",), {"unreadable operator_concept_id": 2}),
        (("operator_concept_id: operator(value)", 'value_as_concept_id: case when value = "标本溶血" then 0 else'
          " finding(value) end"), {"unreadable value_as_concept_id": 3}),  # one is kept, and one named already
    ],
)  # fmt: skip
def test_a_text_that_is_no_result_is_named(tmp_path, lines, unread):
    found = reasons(loaded(tmp_path, columns(*lines), results=WORDS))
    assert {reason: n for reason, n in found.items() if reason.startswith("unreadable")} == unread


def test_a_text_that_is_kept_as_text_is_no_loss(tmp_path):
    text = (
        MAPPING[: MAPPING.index("  - to: measurement")]
        + """\
  - to: observation
    from: results
    key: row
    columns:
      person_id: patient
      observation_concept_id: 3004501
      observation_date: date(day)
      value_as_string: value
      value_as_concept_id: finding(value)
"""
    )
    assert loaded(tmp_path, text, results=WORDS).rejected == []


def test_a_unit_alone_that_nobody_knows_is_named(tmp_path):
    report = loaded(tmp_path, columns("unit_concept_id: unit(unit)"), results=results(("1", "mg/dL"), ("2", "xyzw")))
    assert reasons(report) == {"unknown unit": 1}
    assert [code for owner, code, _ in report.codes if owner == "units as written"] == ["xyzw"]


GLUCOSE = results(("90", "mg/dL"), ("5", "mmol/L"), ("0.9", "G/L"), ("7", "xyzw"), ("4", ""))


@pytest.mark.parametrize("wanted", ['"mmol/L"', 'case when code = "" then "mg/dL" else "mmol/L" end'])
def test_a_conversion_says_in_which_unit_its_numbers_are(tmp_path, wanted):
    """With or without `unit_concept_id`, constant or not: the unit's concept is that of the number as it stands."""
    conversion = f'value_as_number: convert(result(value), unit, {wanted}, "glucose")'
    report = loaded(tmp_path, columns(conversion), results=GLUCOSE)
    asked = "SELECT round(value_as_number, 3), unit_concept_id, unit_source_value FROM measurement ORDER BY 1"
    found = rows(tmp_path, asked)
    mmol = found[2][1]
    assert mmol and [(number, unit) for number, _, unit in found] == [
        (0.9, "G/L"), (4.0, None), (4.996, "mg/dL"), (5.0, "mmol/L"), (7.0, "xyzw")
    ]  # fmt: skip
    assert [unit for _, unit, _ in found[1:4]] == [None, mmol, mmol]
    assert found[0][1] not in (None, 0, mmol) and not found[4][1]
    assert reasons(report) == {"unit that does not convert": 1, "unknown unit": 1, "value without a unit": 1}
    loaded(tmp_path / "given", columns(conversion, f"unit_concept_id: unit({wanted})"), results=GLUCOSE)
    assert [row[:2] for row in rows(tmp_path / "given", asked)] == [row[:2] for row in found]


def test_a_number_that_is_not_converted_claims_no_unit_of_the_conversion(tmp_path):
    number = 'case when unit = "mg/dL" then convert(result(value), unit, "mmol/L", "glucose") else result(value) end'
    loaded(tmp_path, columns(f"value_as_number: {number}"), results=results(("90", "mg/dL"), ("0.9", "G/L")))
    found = rows(tmp_path, "SELECT unit_concept_id IS NULL FROM measurement ORDER BY value_as_number")
    assert found == [(True,), (False,)]
