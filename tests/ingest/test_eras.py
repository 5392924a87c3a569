"""Eras: gaps of up to 30 days are bridged, drugs count by their ingredients, days without a supply are told."""

from __future__ import annotations

import pytest

from tests.ingest.exports import MAPPING, loaded, rows

DRUGS = (
    MAPPING
    + """\
  - to: drug_exposure
    from: drugs
    key: row
    columns:
      person_id: patient
      drug_concept_id: code("RxNorm", code)
      drug_exposure_start_date: date(day)
      days_supply: integer(days)
"""
)
SOLUTION, CAPSULE, MEMANTINE = "996740", "1599803", 701322  # both hold memantine


def drug_eras(folder, *lines):
    table = "row,patient,code,day,days\n" + "".join(f"{n},{line}\n" for n, line in enumerate(lines))
    loaded(folder, DRUGS, drugs=table)
    return rows(
        folder,
        "SELECT drug_concept_id, drug_era_start_date::VARCHAR, drug_era_end_date::VARCHAR, drug_exposure_count,"
        f" gap_days FROM drug_era WHERE drug_concept_id = {MEMANTINE} ORDER BY 2",
    )


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ("2020-01-30", [(MEMANTINE, "2020-01-01", "2020-02-28", 2, 0)]),
        ("2020-03-01", [(MEMANTINE, "2020-01-01", "2020-03-30", 2, 31 - 1)]),
        ("2020-03-02", [(MEMANTINE, "2020-01-01", "2020-01-31", 1, 0), (MEMANTINE, "2020-03-02", "2020-03-31", 1, 0)]),
    ],
)
def test_exposures_to_one_ingredient_within_thirty_days_are_one_era(tmp_path, day, found):
    assert drug_eras(tmp_path, f"1,{SOLUTION},2020-01-01,31", f"1,{CAPSULE},{day},30") == found
