"""The table of the model's facts against the package that it was not taken from, and a database made from it."""

from __future__ import annotations

import importlib.util
import re

import pytest

from atoll.cdm.create import create, describe, validate
from atoll.cdm.tables import table, tables
from atoll.errors import DataError

KINDS = {"Integer": "integer", "BigInteger": "integer", "String": "text", "Text": "text", "Date": "date",
         "DateTime": "datetime", "Numeric": "number"}  # fmt: skip


def test_size_and_names():
    assert len(tables("5.4")) == 39
    assert len(tables("5.3")) == 37
    assert "admitting_source_concept_id" in table("visit_occurrence", "5.3").columns
    assert "admitted_from_concept_id" in table("visit_occurrence").columns
    assert table("measurement").columns["person_id"].dtype == "int64"
    assert table("measurement").columns["unit_concept_id"].dtype == "int32"
    assert (table("drug_exposure").start(), table("drug_exposure").end()) == (
        "drug_exposure_start_date",
        "drug_exposure_end_date",
    )
    assert table("condition_occurrence").concept() == "condition_concept_id"


def test_an_unknown_table_or_version():
    with pytest.raises(DataError, match=r"OMOP 5\.4 has no table 'mesurement'\. Did you mean 'measurement'\?"):
        table("mesurement")
    with pytest.raises(DataError, match=r"Version '6\.0' of the data model is not known\. Known: 5\.4, 5\.3"):
        tables("6.0")


def test_against_the_package_omop_cdm():
    if importlib.util.find_spec("omop_cdm") is None:
        pytest.skip("the package omop-cdm is not installed")
    from omop_cdm.regular.cdm54 import tables as orm

    theirs = {t.name: t for t in orm.Base.metadata.tables.values()}
    ours = tables("5.4")
    for name in set(ours) & set(theirs):
        columns = {column.name: column for column in theirs[name].columns}
        assert set(columns) == set(ours[name].columns), name
        for column in ours[name].columns.values():
            kind = re.match(r"\w+", type(columns[column.name].type).__name__)[0]
            assert KINDS[kind] == column.kind, (name, column.name)
            if column.key:
                assert columns[column.name].primary_key, (name, column.name)
    assert set(theirs) - set(ours) <= {"stem_table", "source_to_concept_map_version"}


def test_a_database_made_described_and_validated(tmp_path):
    url = f"duckdb://{tmp_path}/empty.duckdb"
    assert len(create(url)) == 39
    assert create(url) == []
    assert describe(url) == {"tables": {}, "release": {}}
    assert validate(url).findings == ()


def test_what_validation_finds(tmp_path):
    from atoll.cdm.workbench import Workbench

    url = f"duckdb://{tmp_path}/faulty.duckdb"
    create(url)
    with Workbench(tmp_path / "faulty.duckdb") as bench:
        bench.run("DROP TABLE cost")
        bench.run("ALTER TABLE provider DROP COLUMN npi")
        bench.run("INSERT INTO death (person_id, death_date) VALUES (7, DATE '2020-01-01')")
    found = {(f.table, f.column, f.what, f.rows) for f in validate(url).findings}
    assert ("cost", "", "the table is missing", 0) in found
    assert ("provider", "npi", "the column is missing", 0) in found
    assert ("death", "person_id", "leads to no row of person", 1) in found
