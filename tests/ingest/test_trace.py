"""The way back: from rows of the model to the rows of the export that they were made from."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from atoll.cli.main import atoll as command
from atoll.errors import DataError
from atoll.ingest.trace import origins
from tests.ingest.exports import MAPPING, RESULTS, SEX, loaded, mapping, rows, write

CHECK = "unit_given:measurement.unit_concept_id"


@pytest.mark.parametrize(
    ("table", "source", "keys"),
    [("measurement", "results", ["a", "b", "c"]), ("visit_occurrence", "visits", ["v1", "v2", "v3"]),
     ("person", "patients", ["1", "2", "3"])],
)  # fmt: skip
def test_every_row_leads_back_to_the_row_that_made_it(tmp_path, table, source, keys):
    loaded(tmp_path)
    ids = [number for (number,) in rows(tmp_path, f"SELECT {table}_id FROM main.{table}")]
    found = origins(mapping(tmp_path / "mapping"), str(tmp_path / "export"), table, ids)
    assert sorted(one.id for one in found) == sorted(ids)
    assert sorted(one.key for one in found) == keys
    assert {(one.table, one.files) for one in found} == {(source, (f"{source}.csv",))}


def test_a_row_is_that_of_its_value(tmp_path):
    loaded(tmp_path)
    ((number,),) = rows(tmp_path, "SELECT measurement_id FROM main.measurement WHERE value_as_number = 5.1")
    (found,) = origins(mapping(tmp_path / "mapping"), str(tmp_path / "export"), "measurement", [number])
    assert json.loads(found.row) == {"row": "b", "patient": "2", "visit": "v2", "day": "2020-02-01", "code": "2345-7",
                                     "value": "5.1", "unit": "mmol/L"}  # fmt: skip


def test_what_no_row_of_the_export_made_is_a_sentence(tmp_path):
    read, export = mapping(tmp_path / "m"), str(write(tmp_path / "export"))
    for table, said in (("drug_exposure", "is filled by no rule"), ("death", "no key of its own"),
                        ("condition_era", "made from other tables")):  # fmt: skip
        with pytest.raises(DataError, match=said):
            origins(read, export, table, [1])
    assert origins(read, export, "measurement", [12345]) == []


def test_the_command_names_table_file_and_key(tmp_path):
    loaded(tmp_path)
    (tmp_path / "mapping" / "m.yaml").write_text(MAPPING, "utf-8")
    (tmp_path / "mapping" / "sex.csv").write_text(SEX, "utf-8")
    back = ["--mapping", str(tmp_path / "mapping" / "m.yaml"), "--from", str(tmp_path / "export")]
    words = ["quality", "rows", CHECK, "--cdm", f"duckdb:///{tmp_path}/cdm.duckdb"]
    told = CliRunner().invoke(command, [*words, *back])
    assert told.exit_code == 0, told.output
    assert "results.csv" in told.stdout and '"row":"c"' in told.stdout
    document = json.loads(CliRunner().invoke(command, [*words, *back, "--json"]).stdout)
    assert sorted((one["table"], one["key"]) for one in document["origins"]) == [("results", key) for key in "abc"]
    write(tmp_path / "export", results=RESULTS.replace("c,1", "other,1"))
    assert "1 of these rows come from no row of this export" in CliRunner().invoke(command, [*words, *back]).stderr
    alone = CliRunner().invoke(command, [*words, *back[:2]])
    assert alone.exit_code != 0 and "belong together" in alone.output
