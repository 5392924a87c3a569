"""Small CDMs for tests: tables as lists of rows, on DuckDB, PostgreSQL or Spark."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from atoll.cdm.scratch import Workspace
from atoll.cdm.workspace import workspace_at

# Columns of the CDM that cohorts read, by table; a name's ending says its type.
COLUMNS = {
    "person": "person_id year_of_birth month_of_birth day_of_birth gender_concept_id race_concept_id "
    "ethnicity_concept_id",
    "observation_period": "observation_period_id person_id observation_period_start_date observation_period_end_date "
    "period_type_concept_id",
    "condition_occurrence": "condition_occurrence_id person_id condition_concept_id condition_start_date "
    "condition_end_date condition_type_concept_id condition_status_concept_id stop_reason provider_id "
    "visit_occurrence_id condition_source_concept_id",
    "drug_exposure": "drug_exposure_id person_id drug_concept_id drug_exposure_start_date drug_exposure_end_date "
    "drug_type_concept_id stop_reason refills quantity:d days_supply route_concept_id lot_number provider_id "
    "visit_occurrence_id drug_source_concept_id",
    "procedure_occurrence": "procedure_occurrence_id person_id procedure_concept_id procedure_date "
    "procedure_type_concept_id modifier_concept_id quantity provider_id visit_occurrence_id "
    "procedure_source_concept_id",
    "measurement": "measurement_id person_id measurement_concept_id measurement_date measurement_type_concept_id "
    "operator_concept_id value_as_number value_as_concept_id unit_concept_id range_low range_high provider_id "
    "visit_occurrence_id measurement_source_concept_id value_source_value",
    "observation": "observation_id person_id observation_concept_id observation_date observation_type_concept_id "
    "value_as_number value_as_string value_as_concept_id qualifier_concept_id unit_concept_id provider_id "
    "visit_occurrence_id observation_source_concept_id",
    "device_exposure": "device_exposure_id person_id device_concept_id device_exposure_start_date "
    "device_exposure_end_date device_type_concept_id unique_device_id:t quantity provider_id visit_occurrence_id "
    "device_source_concept_id",
    "visit_occurrence": "visit_occurrence_id person_id visit_concept_id visit_start_date visit_end_date "
    "visit_type_concept_id provider_id care_site_id visit_source_concept_id",
    "visit_detail": "visit_detail_id person_id visit_detail_concept_id visit_detail_start_date visit_detail_end_date "
    "visit_detail_type_concept_id provider_id care_site_id visit_occurrence_id visit_detail_source_concept_id",
    "death": "person_id death_date death_type_concept_id cause_concept_id cause_source_concept_id",
    "specimen": "specimen_id person_id specimen_concept_id specimen_type_concept_id specimen_date quantity:d "
    "unit_concept_id anatomic_site_concept_id disease_status_concept_id specimen_source_id:t",
    "condition_era": "condition_era_id person_id condition_concept_id condition_era_start_date condition_era_end_date "
    "condition_occurrence_count",
    "drug_era": "drug_era_id person_id drug_concept_id drug_era_start_date drug_era_end_date drug_exposure_count "
    "gap_days",
    "dose_era": "dose_era_id person_id drug_concept_id unit_concept_id dose_value dose_era_start_date "
    "dose_era_end_date",
    "payer_plan_period": "payer_plan_period_id person_id payer_plan_period_start_date payer_plan_period_end_date "
    "payer_concept_id plan_concept_id sponsor_concept_id stop_reason_concept_id payer_source_concept_id "
    "plan_source_concept_id sponsor_source_concept_id stop_reason_source_concept_id",
    "provider": "provider_id specialty_concept_id",
    "care_site": "care_site_id place_of_service_concept_id",
    "concept": "concept_id invalid_reason vocabulary_id concept_code concept_name:t domain_id:t standard_concept:t",
    "concept_ancestor": "ancestor_concept_id descendant_concept_id min_levels_of_separation",
    "concept_relationship": "concept_id_1 concept_id_2 relationship_id invalid_reason",
}
DECIMAL = ("value_as_number", "range_low", "range_high", "dose_value")
TEXT = ("stop_reason", "lot_number", "value_as_string", "relationship_id", "invalid_reason", "vocabulary_id",
        "concept_code", "value_source_value")  # fmt: skip
Row = Mapping[str, Any]


def _column(text: str) -> tuple[str, pa.DataType]:
    """Name and type of a column; `name:d` is a decimal, `name:t` a text."""
    name, _, kind = text.partition(":")
    if name.endswith("_date"):
        return name, pa.date32()
    if kind == "t" or name in TEXT:
        return name, pa.string()
    return name, pa.float64() if kind == "d" or name in DECIMAL else pa.int64()


def tables(rows: Mapping[str, list[Row]]) -> dict[str, pa.Table]:
    """Every table of the CDM, with the rows given; dates may be written as text."""
    out = {}
    for table, names in COLUMNS.items():
        columns = {}
        for name, kind in map(_column, names.split()):
            values = [row.get(name) for row in rows.get(table, [])]
            if name.endswith("_date"):
                values = [datetime.date.fromisoformat(v) if isinstance(v, str) else v for v in values]
            columns[name] = pa.array(values, kind)
        unknown = {key for row in rows.get(table, []) for key in row} - set(columns)
        assert not unknown, f"{table} has no column {unknown}"
        out[table] = pa.table(columns)
    return out


def load_duckdb(connection: duckdb.DuckDBPyConnection, data: Mapping[str, pa.Table]) -> None:
    """The tables into a DuckDB database, in the place of earlier ones."""
    for name, rows in data.items():
        connection.register("incoming", rows)
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
        connection.unregister("incoming")


def load_postgresql(url: str, data: Mapping[str, pa.Table]) -> None:
    """The tables into a PostgreSQL database, in the place of earlier ones."""
    kinds = {"int64": "BIGINT", "int32": "INTEGER", "date32[day]": "DATE", "double": "DOUBLE PRECISION"}
    with psycopg.connect(url) as connection:
        for name, rows in data.items():
            columns = ", ".join(f"{field.name} {kinds.get(str(field.type), 'TEXT')}" for field in rows.schema)
            connection.execute(f"DROP TABLE IF EXISTS {name}")
            connection.execute(f"CREATE TABLE {name} ({columns})")
            with connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
                    copy.write_row(row)


class Engine:
    """One engine under test: `workspace(rows)` is a workspace over a CDM with these rows."""

    def __init__(self, name: str, folder: Path, database: str = ""):
        self.name, self.folder, self.database = name, folder, database
        self.connection = duckdb.connect(config={"threads": 1}) if name == "duckdb" else None

    def workspace(self, rows: Mapping[str, list[Row]]) -> Workspace:
        data = tables(rows)
        if self.connection is not None:
            load_duckdb(self.connection, data)
            from atoll.cdm.workspace import DuckDBWorkspace

            return DuckDBWorkspace("duckdb", self.connection)
        if self.name == "postgresql":
            load_postgresql(self.database, data)
            return workspace_at(self.database)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for name, table in data.items():
            pq.write_table(table, self.folder / f"{name}.parquet")
        return workspace_at(f"spark:local?folder={self.folder}", threads=2)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


def spark_or_skip() -> None:
    """Skip where Spark cannot run."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not installed")
