"""Values without a unit: told with a probability, filled in only where the mapping says so, the same in every way."""

from __future__ import annotations

import numpy as np
import pytest

from atoll.cdm.tables import VOCABULARY
from atoll.cdm.workbench import Workbench
from atoll.ingest.load import load
from atoll.study.nodes import Problems
from atoll.study.units import concept_of
from tests.ingest.exports import MAPPING, TODAY, VISITS, loaded, mapping, reasons, rows, write
from tests.ingest.test_loading import content

MGDL, MMOL = concept_of("mg/dL"), concept_of("mmol/L")
WITH_UNITS = MAPPING.replace("unit_source_value: unit", "unit_source_value: unit\n      unit_concept_id: unit(unit)")
FILLING = WITH_UNITS.replace("rules:", "units: {infer: 0.99}\nrules:", 1)
LOST = {"lost1": 101.0, "lost2": 5.4, "lost3": 23.0}  # plainly the one, plainly the other, neither


def results(lost=LOST):
    r = np.random.default_rng(1)
    lines = ["row,patient,visit,day,code,value,unit"]
    for i in range(60):
        lines.append(f"m{i},1,v1,2020-01-11,2345-7,{r.normal(100, 12):.1f},mg/dL")
        lines.append(f"s{i},2,v2,2020-02-01,2345-7,{r.normal(5.5, 0.7):.2f},mmol/L")
    lines += [f"{row},1,v3,2021-06-02,2345-7,{value}," for row, value in lost.items()]
    return "\n".join(lines) + "\n"


def inferred(folder, target="cdm.duckdb"):
    query = (
        "SELECT round(m.value_as_number, 1), i.unit_concept_id, i.probability > 0.99, i.filled, m.unit_concept_id"
        " FROM ingest.unit_inferred i JOIN measurement m ON m.measurement_id = i.id ORDER BY 1"
    )
    return rows(folder, query, target)


def test_a_missing_unit_is_proposed_with_its_probability_and_not_filled_in(tmp_path):
    report = loaded(tmp_path, WITH_UNITS, results=results())
    found = inferred(tmp_path)
    assert [row[:4] for row in found[::2]] == [(5.4, MMOL, True, False), (101.0, MGDL, True, False)]
    assert not found[1][2], "23 is neither"
    assert all(not row[4] for row in found), "the measurement has no unit still"
    assert {(u["unit_concept_id"], u["filled"]) for u in report.units} <= {(MGDL, 0), (MMOL, 0)}
    assert sum(u["rows"] for u in report.units) == 3


def test_the_mapping_says_from_which_probability_on_it_is_filled_in(tmp_path):
    report = loaded(tmp_path, FILLING, results=results())
    found = inferred(tmp_path)
    assert [(row[3], row[4] or 0) for row in found] == [(True, MMOL), (False, 0), (True, MGDL)]
    assert sum(u["filled"] for u in report.units) == 2


def test_a_table_taken_from_the_release_before_gives_the_same(tmp_path):
    loaded(tmp_path, FILLING, results=results())
    more = VISITS + "v4,3,2021-01-01,2021-01-02\n"
    loaded(tmp_path, FILLING, results=results(), visits=more)
    loaded(tmp_path / "whole", FILLING, results=results(), visits=more)
    assert content(tmp_path / "cdm.duckdb") == content(tmp_path / "whole" / "cdm.duckdb")
    assert inferred(tmp_path) == inferred(tmp_path / "whole")
    patients = "id,sex,born,died\n1,M,1950-02-03,\n2,F,1961-05-06,2024-03-01\n3,F,1999-12-30,\n"
    other = {"results": results(), "patients": patients}
    loaded(tmp_path, FILLING, **other)
    loaded(tmp_path / "again", FILLING, **other)
    assert inferred(tmp_path) == inferred(tmp_path / "again")


def test_another_threshold_is_another_release(tmp_path):
    loaded(tmp_path, WITH_UNITS, results=results())
    loaded(tmp_path, FILLING, results=results())
    assert [row[3] for row in inferred(tmp_path)] == [True, False, True]


def test_few_values_say_nothing(tmp_path):
    report = loaded(tmp_path, FILLING)  # one value in each unit
    assert report.units == []


@pytest.mark.parametrize("least", ["0.4", "1.5", "sure"])
def test_a_probability_is_between_a_half_and_one(tmp_path, least):
    with pytest.raises(Problems, match=r"units\.infer"):
        mapping(tmp_path, FILLING.replace("0.99", least))


CONVERTING = WITH_UNITS.replace("number(value)", 'convert(result(value), unit, "mg/dL", "glucose")').replace(
    "unit_concept_id: unit(unit)", f"unit_concept_id: {MGDL}\n      value_source_value: value"
)


def measured(folder):
    """Row of the export → value and unit, of those without one."""
    query = (
        "SELECT value_source_value, round(value_as_number, 1), coalesce(unit_concept_id, 0) FROM measurement"
        " WHERE unit_source_value IS NULL"
    )
    return {text: (value, unit) for text, value, unit in rows(folder, query)}


def test_a_number_without_a_unit_is_not_said_to_be_in_the_unit_that_others_are_converted_to(tmp_path):
    report = loaded(tmp_path, CONVERTING, results=results())
    assert measured(tmp_path) == {"101.0": (101.0, 0), "5.4": (5.4, 0), "23.0": (23.0, 0)}
    aside = [(r["what"], r["rows"]) for r in report.rejected if r["reason"] == "value without a unit"]
    assert aside == [("unit", 3)], "the value is kept; only its unit is unknown"


def test_the_likeliest_unit_is_that_in_which_it_was_written(tmp_path):
    loaded(tmp_path, CONVERTING, results=results())
    found = {value: (unit, sure, filled) for value, unit, sure, filled, _ in inferred(tmp_path)}
    assert found[5.4] == (MMOL, True, False) and found[101.0] == (MGDL, True, False)


@pytest.mark.parametrize("unit_column", ["      unit_source_value: unit\n", ""])
def test_what_is_filled_in_is_converted_like_the_others(tmp_path, unit_column):
    text = CONVERTING.replace("      unit_source_value: unit\n", unit_column).replace(
        "rules:", "units: {infer: 0.99}\nrules:", 1
    )
    loaded(tmp_path, text, results=results())
    assert measured(tmp_path) == {"101.0": (101.0, MGDL), "5.4": (97.3, MGDL), "23.0": (23.0, 0)}
    more = VISITS + "v4,3,2021-01-01,2021-01-02\n"
    loaded(tmp_path, text, results=results(), visits=more)  # a table taken from the release before: not once more
    assert measured(tmp_path)["5.4"] == (97.3, MGDL)


def test_a_single_unit_is_no_proof_for_a_number_that_it_cannot_explain(tmp_path):
    only = "\n".join(line for line in results().splitlines() if "mmol/L" not in line) + "\n"
    loaded(tmp_path, CONVERTING.replace("rules:", "units: {infer: 0.99}\nrules:", 1), results=only)
    assert measured(tmp_path) == {"101.0": (101.0, MGDL), "5.4": (5.4, 0), "23.0": (23.0, 0)}


def test_a_grade_has_no_unit_and_misses_none(tmp_path):
    graded = results({"g1": "1+", "g2": "阴性", "lost": "5.4"})
    report = loaded(tmp_path, CONVERTING, results=graded)
    assert sum(r["rows"] for r in report.rejected if r["reason"] == "value without a unit") == 1
    assert sum(u["rows"] for u in report.units) == 1
    with_unit = graded.replace("2345-7,1+,", "2345-7,1+,mmol/L")
    loaded(tmp_path / "unit", CONVERTING, results=with_unit)
    assert rows(tmp_path / "unit", "SELECT value_as_number, unit_concept_id FROM measurement"
                " WHERE value_source_value = '1+'") == [(None, None)]  # fmt: skip


def test_units_of_the_loaded_vocabulary_and_those_that_nobody_knows(tmp_path):
    """pmol/L is not among the package's units; a vocabulary that has it gives its concept, else the rows are named."""
    lines = "row,patient,visit,day,code,value,unit\na,1,v1,2020-01-11,2345-7,9,pmol/L\nb,1,v1,2020-01-11,2345-7,9,g/L\n"
    report = loaded(tmp_path / "bare", WITH_UNITS, results=lines)
    units = "SELECT unit_source_value, unit_concept_id FROM measurement ORDER BY 1"
    assert rows(tmp_path / "bare", units) == [("g/L", 8636), ("pmol/L", 0)]
    assert reasons(report) == {"unknown unit": 1}
    with Workbench(tmp_path / "vocabulary.duckdb") as bench:
        bench.run(f"ATTACH '{tmp_path / 'bare' / 'cdm.duckdb'}' AS bare (READ_ONLY)")
        for name in VOCABULARY:
            bench.run(f"CREATE TABLE main.{name} AS FROM bare.main.{name}")
        bench.run("INSERT INTO concept SELECT * REPLACE (9000 AS concept_id, 'pmol/L' AS concept_code) FROM concept"
                  " WHERE concept_code = 'mg/dL' AND vocabulary_id = 'UCUM'")  # fmt: skip
    load(mapping(tmp_path / "m", WITH_UNITS), str(write(tmp_path / "export", results=lines)),
         tmp_path / "cdm.duckdb", vocabulary=tmp_path / "vocabulary.duckdb", today=TODAY)  # fmt: skip
    assert rows(tmp_path, units) == [("g/L", 8636), ("pmol/L", 9000)]
