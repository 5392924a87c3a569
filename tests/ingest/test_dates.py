"""Days that cannot be: ends in the future or long after death, births, and what stands in their place."""

from __future__ import annotations

from datetime import date

import pytest

from atoll.ingest.load import load
from tests.ingest.exports import MAPPING, PATIENTS, VISITS, loaded, mapping, reasons, rows, write

ENDS = "SELECT visit_start_date::VARCHAR, visit_end_date::VARCHAR FROM visit_occurrence ORDER BY 1 DESC LIMIT 1"
PERIOD = "SELECT max(observation_period_end_date)::VARCHAR FROM observation_period"


@pytest.mark.parametrize(
    ("visit", "reason"),
    [
        ("v9,1,2024-05-05,2093-01-01", "visit_end_date in the future"),
        ("v9,2,2024-02-28,2024-06-01", "visit_end_date after death"),
    ],
)
def test_an_end_that_cannot_be_is_as_none(tmp_path, visit, reason):
    report = loaded(tmp_path, visits=VISITS + visit + "\n")
    assert reasons(report) == {reason: 1}
    day = visit.split(",")[2]
    assert rows(tmp_path, ENDS) == [(day, day)]
    assert rows(tmp_path, PERIOD) == [(day,)]


def test_an_end_that_has_come_is_believed(tmp_path):
    export = write(tmp_path / "export", visits=VISITS + "v9,1,2025-12-30,2026-01-09\n")

    def on(*day):
        load(mapping(tmp_path / "m"), str(export), tmp_path / "cdm.duckdb", today=date(*day))
        return rows(tmp_path, ENDS)[0][1]

    assert [on(2026, 1, 1), on(2026, 1, 8), on(2026, 1, 9)] == ["2025-12-30", "2025-12-30", "2026-01-09"]


@pytest.mark.parametrize(("person", "last"), [("1", "2026-01-01"), ("2", "2024-03-01")])
def test_a_time_of_observation_ends_today_or_with_death(tmp_path, person, last):
    text = (
        MAPPING
        + """\
  - to: observation_period
    from: member
    key: id
    columns:
      person_id: id
      observation_period_start_date: date("2020-01-01")
      observation_period_end_date: date(until)
"""
    )
    report = loaded(tmp_path, text, member=f"id,until\n{person},2099-12-31\n")
    assert "observation_period_end_date in the future" in reasons(report)
    assert rows(tmp_path, "SELECT observation_period_end_date::VARCHAR FROM observation_period") == [(last,)]


@pytest.mark.parametrize(("until", "named"), [("2026-12-01", 0), ("2029-01-01", 1)])
def test_a_supply_lasts_into_the_future_but_not_for_ever(tmp_path, until, named):
    drugs = (
        MAPPING
        + """\
  - to: drug_exposure
    from: drugs
    key: row
    columns:
      person_id: patient
      drug_concept_id: 1503297
      drug_exposure_start_date: date("2025-12-31")
      drug_exposure_end_date: date(until)
"""
    )
    report = loaded(tmp_path, drugs, drugs=f"row,patient,until\n1,1,{until}\n")
    assert reasons(report) == ({"drug_exposure_end_date in the future": 1} if named else {})
    end = "SELECT drug_exposure_end_date::VARCHAR FROM drug_exposure"
    assert rows(tmp_path, end) == [("2025-12-31" if named else until,)]


@pytest.mark.parametrize(
    ("born", "reason"),
    [
        ("01/02/50", "birth in the future"),
        ("01/02/1749", "birth before 1850"),
        ("03/02/2026", "birth in the future"),
    ],
)
def test_a_birth_that_cannot_be(tmp_path, born, reason):
    form = "dd/MM/yy" if born.endswith("/50") else "dd/MM/yyyy"
    text = MAPPING.replace("date(born)", f'coalesce(date(born), date(born, "{form}"))')
    report = loaded(tmp_path, text, patients=PATIENTS + f"4,M,{born},\n")
    assert reasons(report) == {reason: 1}
    assert report.tables["person"] == 3


@pytest.mark.parametrize(
    ("month", "day", "kept", "named"),
    [
        ("13", "5", (None, None), {"unreadable month_of_birth": 1}),
        ("2", "30", (2, None), {"unreadable day_of_birth": 1}),
        ("2", "28", (2, 28), {}),
    ],
)
def test_a_month_or_day_of_birth_that_is_none(tmp_path, month, day, kept, named):
    text = MAPPING.replace("year(date(born))", 'integer(split(born, "-", 1))')
    text = text.replace("month(date(born))", 'integer(split(born, "-", 2))')
    text = text.replace("day(date(born))", 'integer(split(born, "-", 3))')
    report = loaded(tmp_path, text, patients=PATIENTS + f"4,M,1970-{month}-{day},\n")
    assert reasons(report) == named
    assert rows(tmp_path, "SELECT month_of_birth, day_of_birth FROM person WHERE year_of_birth = 1970") == [kept]


def test_a_record_of_another_persons_visit_keeps_no_link_to_it(tmp_path):
    results = "row,patient,visit,day,code,value,unit\nx,2,v1,2020-01-11,2345-7,5,mg/dL\n"
    report = loaded(tmp_path, results=results)
    assert reasons(report) == {"visit_occurrence of another person": 1}
    assert rows(tmp_path, "SELECT visit_occurrence_id FROM measurement") == [(None,)]
    loaded(tmp_path, results=results, visits=VISITS.replace("v1,1", "v1,2"))  # the visit was his after all
    linked = "SELECT count(*) FROM measurement JOIN visit_occurrence USING (visit_occurrence_id, person_id)"
    assert rows(tmp_path, linked) == [(1,)]
