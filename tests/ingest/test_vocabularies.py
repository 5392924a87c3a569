"""Vocabularies: an Athena download as folder and zip, what it refuses, and the starter set against its sources."""

from __future__ import annotations

import csv
import io
import zipfile
from importlib.resources import files

import pytest

from atoll.cdm.vocabulary import STARTER, descendants, history, load_athena, version_of
from atoll.cdm.workbench import Workbench
from atoll.cli.targets import Target
from atoll.errors import DataError
from tests.ingest.exports import MAPPING, RESULTS, TODAY, mapping, rows, write
from tests.reference.shared import SHARED

CONCEPT = """\
concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason
1\told "name\tMeasurement\tLocal\tLab\t\tA.1\t19700101\t20200101\tU
2\tnew\tMeasurement\tLocal\tLab\t\tA2\t19700101\t20991231\t
3\tstandard\tMeasurement\tLOINC\tLab\tS\t2345-7\t19700101\t20991231\t
4\tanother\tMeasurement\tLOINC\tLab\tS\t2339-0\t19700101\t20991231\t
8507\tM\tGender\tGender\tGender\tS\tM\t19700101\t20991231\t
"""
RELATIONSHIP = """\
concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason
1\t2\tConcept replaced by\t20200101\t20991231\t
2\t3\tMaps to\t20200101\t20991231\t
2\t4\tMaps to\t20200101\t20991231\t
"""
ANCESTOR = """\
ancestor_concept_id\tdescendant_concept_id\tmin_levels_of_separation\tmax_levels_of_separation
3\t3\t0\t0
3\t4\t1\t1
"""
VOCABULARY = """\
vocabulary_id\tvocabulary_name\tvocabulary_reference\tvocabulary_version\tvocabulary_concept_id
None\tOMOP\tx\tv5.0 29-AUG-25\t0
"""
FILES = {
    "CONCEPT": CONCEPT,
    "CONCEPT_RELATIONSHIP": RELATIONSHIP,
    "CONCEPT_ANCESTOR": ANCESTOR,
    "VOCABULARY": VOCABULARY,
}


def athena(folder, **changed):
    folder.mkdir()
    for name, text in {**FILES, **changed}.items():
        if text:
            (folder / f"{name}.csv").write_text(text, "utf-8")
    return folder


def test_a_folder_and_a_zip_give_the_same(tmp_path):
    folder = athena(tmp_path / "athena")
    with zipfile.ZipFile(tmp_path / "athena.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    (tmp_path / "spill").mkdir()
    (tmp_path / "spill" / "mine.txt").touch()
    found = [load_athena(tmp_path / name, tmp_path / f"{name}.duckdb") for name in ("athena", "athena.zip")]
    assert found[0] == found[1]
    assert {path.name for path in tmp_path.iterdir()} == {
        "athena", "athena.zip", "athena.duckdb", "athena.zip.duckdb", "spill",
    }  # fmt: skip
    assert (tmp_path / "spill" / "mine.txt").exists() and Target("duckdb").owns(tmp_path / "athena.duckdb")
    assert found[0].version == version_of(tmp_path / "athena.duckdb") == "v5.0 29-AUG-25"
    with Workbench(tmp_path / "athena.duckdb", read_only=True) as bench:
        assert descendants(bench, 3) == [3, 4]
        assert [step["concept_id"] for step in history(bench, 1)] == [1, 2]


def test_a_deprecated_code_with_two_targets_becomes_two_rows(tmp_path):
    from atoll.ingest.load import load

    load_athena(athena(tmp_path / "athena"), tmp_path / "v.duckdb")
    export = write(tmp_path / "export", results=RESULTS.splitlines()[0] + "\na,1,v1,2020-01-11,A.1,1,x\n")
    text = MAPPING.replace('code("LOINC", code)', 'code("Local", code)')
    load(
        mapping(tmp_path / "m", text),
        str(export),
        tmp_path / "cdm.duckdb",
        vocabulary=tmp_path / "v.duckdb",
        today=TODAY,
    )
    query = "SELECT measurement_concept_id, measurement_source_concept_id FROM measurement ORDER BY 1"
    assert rows(tmp_path, query) == [(3, 1), (4, 1)]
    assert rows(tmp_path, "SELECT count(DISTINCT measurement_id) FROM measurement") == [(2,)]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"CONCEPT_ANCESTOR": ""}, r"The download holds no CONCEPT_ANCESTOR\.csv"),
        ({"CONCEPT": CONCEPT.replace("concept_code\t", "kode\t", 1)}, r"CONCEPT\.csv has no column concept_code"),
        (
            {"CONCEPT": CONCEPT.replace("3\tstandard", "three\tstandard")},
            r"In line 4 of CONCEPT\.csv a field is not what it",
        ),
    ],
)
def test_a_download_that_is_not_whole(tmp_path, changed, sentence):
    with pytest.raises(DataError, match=sentence):
        load_athena(athena(tmp_path / "athena", **changed), tmp_path / "v.duckdb")
    assert not (tmp_path / "v.duckdb").exists()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("CONCEPT.csv", b"0" * 60_000_000)
    (tmp_path / "athena.zip").write_bytes(out.getvalue())
    with pytest.raises(DataError, match=r"athena\.zip has .* bytes and would unpack to 60,000,000: a zip bomb"):
        load_athena(tmp_path / "athena.zip", tmp_path / "v.duckdb")


def starter_rows():
    text = files("atoll.cdm").joinpath("starter_concepts.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_starter_set_names_its_sources_and_no_snomed_name():
    found = starter_rows()
    assert version_of(None) == STARTER
    assert all(row["source"] for row in found)
    restricted = [row for row in found if row["vocabulary_id"] in ("SNOMED", "CPT4")]
    assert restricted
    assert all(row["concept_name"] == f"{row['vocabulary_id']} {row['concept_code']}" for row in restricted)


def test_the_starter_set_against_its_source():
    path = SHARED / "vocabulary" / "concepts.csv"
    if not path.exists():
        pytest.skip("the vocabulary facts are not here: concepts.csv of the shared data folder")
    with path.open(encoding="utf-8", newline="") as file:
        source = {row["concept_id"]: row for row in csv.DictReader(file)}
    for row in starter_rows():
        if row["source"] == "concepts.csv":
            given = source[row["concept_id"]]
            assert (row["domain_id"], row["vocabulary_id"], row["concept_code"]) == (
                given["domain_id"], given["vocabulary_id"], given["concept_code"],
            )  # fmt: skip


def test_results_in_words_and_bounds_are_concepts_of_the_starter_set(tmp_path):
    from atoll.cdm.tables import OPERATORS
    from atoll.cdm.workspace import workspace_at
    from atoll.ingest.values import value_words
    from atoll.quality.run import run
    from tests.ingest.exports import MAPPING, RESULTS, loaded

    known = {int(row["concept_id"]) for row in starter_rows()}
    assert {*OPERATORS.values(), *value_words().values()} <= known
    text = MAPPING.replace(
        "number(value)", "result(value)\n      operator_concept_id: operator(value)\n"
        "      value_as_concept_id: finding(value)"
    )  # fmt: skip
    loaded(tmp_path, text, results=RESULTS + "d,1,v1,2020-01-11,2345-7,<5,mg/dL\ne,1,v1,2020-01-12,2345-7,阴性,\n")
    with workspace_at(f"duckdb:///{tmp_path / 'cdm.duckdb'}") as workspace:
        found = [f.check.id for f in run(workspace) if f.verdict == "failed" and f.check.family.startswith("concept_")]
    assert [name for name in found if "operator" in name or "value_as_concept" in name] == []


def test_the_packages_own_names_of_tests_are_those_of_their_source():
    path = SHARED / "vocabulary" / "lab_concepts.csv"
    if not path.exists():
        pytest.skip("the vocabulary facts are not here: lab_concepts.csv of the shared data folder")
    with path.open(encoding="utf-8", newline="") as file:
        source = {row["concept_id"]: row["loinc"] for row in csv.DictReader(file)}
    text = files("atoll.ingest.terms").joinpath("common_tests.csv").read_text("utf-8")
    found = [row for row in csv.DictReader(text.splitlines()) if row["source"].startswith("lab_concepts.csv")]
    assert found
    assert all(source[row["concept_id"]] == row["loinc"] for row in found)
