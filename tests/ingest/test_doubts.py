"""The concepts of code lists: what the vocabulary does not know, what fits no column, and units that say otherwise."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from atoll.cdm.workbench import Workbench
from atoll.cli.main import atoll
from atoll.errors import AtollError
from atoll.ingest.doubts import doubts
from atoll.ingest.drafts.code_lists import Wanted, code_list
from atoll.ingest.mapping import read_mapping
from atoll.ingest.terms.concepts import common_tests
from atoll.ingest.terms.features import unit_kind
from atoll.ingest.terms.files import fill_list
from atoll.ingest.terms.names import ConceptNames
from atoll.ingest.terms.units import property_of, unit_of_concept
from atoll.study.units import conversion, unit_concepts

MAPPING = """mapping: 1
name: small
lists: {drug: drug.csv, test: test.csv}
rules:
  - to: drug_exposure
    from: orders
    columns:
      person_id: patient
      drug_concept_id: lookup("drug", code)
      drug_exposure_start_date: date(day)
  - to: measurement
    from: results
    columns:
      person_id: patient
      measurement_concept_id: lookup("test", code)
      measurement_date: date(day)
      value_as_number: convert(number(value), unit, lookup("test", code, "unit"), lookup("test", code, "analyte"))
"""
DRUGS = 'code,name,concept_id\nA,metformin,1503297\n\nB,"two\nlines",999999999\nC,,3004249\nD,,\nE,own,2000000007\n'
TESTS = "code,name,concept_id,unit,analyte\nG,glucose,3004501,mmol/L,glucose\nU,urate,3037556,mg/dL,urate\n"


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(MAPPING)
    (tmp_path / "drug.csv").write_text(DRUGS)
    (tmp_path / "test.csv").write_text(TESTS)
    return tmp_path / "small.yaml"


def vocabulary(path: Path) -> Path:
    """A vocabulary that knows metformin, blood pressure, two tests, and one drug that is not standard."""
    rows = [(1503297, "metformin", "Drug", "S"), (3004249, "Systolic blood pressure", "Measurement", "S"),
            (3004501, "Glucose [Mass/volume] in Serum or Plasma", "Measurement", "S"),
            (3037556, "Urate [Mass/volume] in Serum or Plasma", "Measurement", None)]  # fmt: skip
    with Workbench(path) as bench:
        bench.run("CREATE TABLE concept (concept_id INTEGER, concept_name VARCHAR, domain_id VARCHAR,"
                  " standard_concept VARCHAR, invalid_reason VARCHAR)")  # fmt: skip
        bench.duckdb.executemany("INSERT INTO concept VALUES (?, ?, ?, ?, NULL)", rows)
    return path


def test_what_the_package_does_not_know_is_a_doubt(mapping: Path) -> None:
    found = doubts(read_mapping(mapping))
    assert [(one.file, one.line, one.concept_id, one.certain) for one in found] == [
        ("drug.csv", 4, 999999999, False), ("drug.csv", 5, 3004249, False), ("test.csv", 2, 3004501, False),
    ]  # fmt: skip
    assert "Give --vocabulary" in str(found[0])
    assert "is of the domain Measurement, drug_concept_id takes Drug" in str(found[1])
    assert "counts mass, its unit mmol/L does not. Write mg/dL as its unit" in str(found[2])


def test_a_vocabulary_makes_a_fault_of_it(mapping: Path, tmp_path: Path) -> None:
    given = vocabulary(tmp_path / "v.duckdb")
    found = doubts(read_mapping(mapping), given)
    assert [(one.file, one.line, one.certain) for one in found] == [
        ("drug.csv", 4, True), ("drug.csv", 5, True), ("test.csv", 2, False), ("test.csv", 3, True),
    ]  # fmt: skip
    with pytest.raises(AtollError) as refused:
        atoll(["mapping", "check", str(mapping), "--vocabulary", str(given)], standalone_mode=False)
    assert "drug.csv, line 4: concept 999999999 is not in the vocabulary." in str(refused.value)
    assert "test.csv, line 3: concept 3037556 is not standard." in str(refused.value)


def test_an_analyte_that_there_is_not_is_named_with_the_nearest(mapping: Path, tmp_path: Path) -> None:
    (tmp_path / "drug.csv").write_text("code,concept_id\n")
    (tmp_path / "test.csv").write_text(
        "code,name,concept_id,unit,analyte\nG,glucose,,mmol/L,glucosee\nK,own,,,\nC,x,,umol/L,creat\nH,a1c,,%,hba1c\n"
    )
    assert [str(one) for one in doubts(read_mapping(mapping))] == [
        "test.csv, line 2: there is no analyte 'glucosee'. Did you mean glucose?",
        "test.csv, line 4: there is no analyte 'creat'. Did you mean creatinine?",
    ]


def test_check_and_load_say_it(mapping: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoll(["mapping", "check", str(mapping)], standalone_mode=False)
    said = capsys.readouterr().out
    assert "3 lines of code lists are in doubt:" in said
    assert "drug.csv, line 4: concept 999999999 is not in what comes with Atoll." in said
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "patients.csv").write_text("patient,born\n1,1950\n")
    mapping.write_text(
        "mapping: 1\nname: small\nlists: {sex: drug.csv}\nrules:\n  - to: person\n    from: patients\n"
        "    key: patient\n    columns:\n"
        '      gender_concept_id: lookup("sex", patient)\n      year_of_birth: year(born)\n'
    )
    cdm = f"duckdb:///{tmp_path / 'cdm.duckdb'}"
    atoll(["load", str(mapping), "--from", str(tmp_path / "exports"), "--cdm", cdm], standalone_mode=False)
    assert "drug.csv, line 2: concept 1503297 is of the domain Drug, gender_concept_id takes Gender." in (
        capsys.readouterr().out
    )


def test_a_test_gets_the_unit_of_its_concept(tmp_path: Path) -> None:
    """Results in moles, and at hand only the concept that counts mass."""
    listed = tmp_path / "test.csv"
    listed.write_text("code,name,concept_id,unit,analyte\nG,葡萄糖,,mmol/L,glucose\nK,钾,,mmol/L,potassium\n", "utf-8")
    decided = {"葡萄糖": 3004501, "钾": 3023103}
    assert fill_list(listed, decided, ConceptNames().counted) == (2, 0, ["葡萄糖"])
    assert [line.split(",")[3] for line in listed.read_text("utf-8").splitlines()[1:]] == ["mg/dL", "mmol/L"]


def test_a_concept_of_moles_leaves_moles_alone() -> None:
    assert property_of("Glucose [Moles/volume] in Serum or Plasma") == "moles"
    assert unit_of_concept("毫摩尔/升", "glucose", 1, "moles") == "毫摩尔/升"
    assert unit_of_concept("毫摩尔/升", "glucose", 1, "mass") == "mg/dL"  # by its analyte
    assert unit_of_concept("mmol/L", "", 1, "mass") == ""
    assert unit_of_concept("10^9/L", "", 1, "count") == "10^9/L"


def test_units_of_common_tests_are_plausible_ones() -> None:
    quality = Path(__file__).parents[2] / "atoll" / "quality" / "units.csv"
    with quality.open(encoding="utf-8", newline="") as file:
        plausible = {row["concept_id"]: row["units"].split() for row in csv.DictReader(file)}
    given = [row for row in common_tests() if row["unit"]]
    assert given
    for row in given:
        assert str(unit_concepts()[row["unit"]]) in plausible[row["concept_id"]], row
        assert unit_kind(row["unit"]) == {"Mass/volume": "mass", "Moles/volume": "moles"}[row["property"]]
        assert conversion(row["unit"], {"mass": "g/L", "moles": "mol/L"}[unit_kind(row["unit"])])


@pytest.mark.parametrize(
    ("codes", "concepts"),
    [
        ("1 2 0 9", {"1": "8507", "2": "8532", "0": "0", "9": "0"}),
        ("1 2", {"1": "8507", "2": "8532"}),
        ("0 1", {"0": "", "1": ""}),
        ("1 2 3", {"1": "", "2": "", "3": ""}),
    ],
)
def test_the_numbers_of_sexes_are_the_national_standards(codes: str, concepts: dict[str, str]) -> None:
    """GB/T 2261.1, where nothing else can be meant."""
    with Workbench() as bench:
        values = ", ".join(f"('{code}')" for code in codes.split())
        bench.run(f'CREATE TEMP VIEW "source:patients" AS SELECT * FROM (VALUES {values}) t(sex)')
        made = code_list(bench, Wanted("sex", "patients", ("sex",)))
        other = code_list(bench, Wanted("race", "patients", ("sex",)))
    found = {row["code"]: row["concept_id"] for row in csv.DictReader(made.text.splitlines())}
    assert found == concepts
    assert bool(made.note) == ("8507" in made.text)
    assert "8507" not in other.text
