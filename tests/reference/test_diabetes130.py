"""The real source of the examples, loaded by its one command, against counts taken from the file itself."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from atoll.cdm.create import validate
from atoll.cdm.workbench import Workbench
from atoll.ingest.load import load_url
from atoll.ingest.mapping import read_mapping
from tests.reference.shared import SHARED

FILE = SHARED / "raw" / "diabetes130" / "diabetic_data.csv.gz"
MAPPING = Path(__file__).parents[2] / "examples" / "diabetes130" / "mapping.yaml"


@pytest.mark.skipif(not FILE.exists(), reason="the public file diabetic_data.csv.gz is not here")
def test_counts_are_those_of_the_source(tmp_path):
    url = f"duckdb://{tmp_path}/diabetes130.duckdb"
    report = load_url(read_mapping(MAPPING), str(FILE), url)
    text = csv.read_csv(FILE, convert_options=csv.ConvertOptions(strings_can_be_null=False))
    named = [pc.invert(pc.is_in(text[f"diag_{i}"], pa.array(["", "?"]))) for i in (1, 2, 3)]
    diagnoses = sum(pc.sum(column).as_py() for column in named)
    drugs = sum(pc.sum(pc.not_equal(text[name], "No")).as_py() for name in text.column_names[24:47])
    tests = sum(pc.sum(pc.not_equal(text[name], "None")).as_py() for name in ("A1Cresult", "max_glu_serum"))
    assert report.tables["person"] == len(pc.unique(text["patient_nbr"])) == 71_518
    assert report.tables["visit_occurrence"] == text.num_rows == 101_766
    assert report.tables["condition_occurrence"] == diagnoses
    assert report.tables["drug_exposure"] == drugs
    assert report.tables["measurement"] == tests
    assert report.rejected == []
    severe = [finding for finding in validate(url).findings if finding.severe]
    assert severe == []
    with Workbench(tmp_path / "diabetes130.duckdb", read_only=True) as bench:
        arrived = bench.rows(
            "SELECT value_source_value, value_as_number, operator_concept_id, value.concept_code, count(*)"
            " FROM measurement LEFT JOIN concept value ON value.concept_id = value_as_concept_id"
            " GROUP BY ALL ORDER BY 1"
        )
    columns = [text["A1Cresult"].to_pylist(), text["max_glu_serum"].to_pylist()]
    written = {word: sum(column.count(word) for column in columns) for word in (">200", ">300", ">7", ">8", "Norm")}
    assert written["Norm"] == 7_587
    above = [(word, float(word[1:]), 4172704, None, n) for word, n in written.items() if word != "Norm"]
    assert arrived == [*above, ("Norm", None, None, "Norm", written["Norm"])], "as number and sign, or as a concept"
