"""Days of birth that stand for an unknown one, and days that many share for another reason."""

from __future__ import annotations

from collections import Counter

import duckdb
import numpy as np

from atoll.cdm.workspace import workspace_at
from atoll.quality import births
from atoll.quality.rows import check_called, faulty_rows
from atoll.quality.run import run

CHECK = "birth_shared:person.day_of_birth"


def test_a_day_of_birth_stands_for_an_unknown_one_where_far_too_many_share_it():
    r = np.random.default_rng(1)

    def born(n, since=1930, until=2010, most=28):
        days = zip(r.integers(since, until, n), r.integers(1, 13, n), r.integers(1, most + 1, n), strict=True)
        return Counter((int(y), int(m), int(d)) for y, m, d in days)

    unknown = (1900, 1, 1)
    for n in (160, 2_000, 40_000):
        assert births.stand_ins(born(n)) == []
        assert births.stand_ins(born(n) | {unknown: n // 20}) == [unknown]
    assert births.stand_ins(born(2_000) | {unknown: 10}) == [], "one in two hundred is not more than that"
    assert births.stand_ins(born(2_000) | {unknown: 11}) == [unknown]
    assert births.stand_ins(born(400) | {unknown: 4}) == []
    assert births.stand_ins(born(400) | {unknown: 6}) == [unknown]
    newborn = Counter({(2024, 6, day): 10 for day in range(1, 29)})
    assert births.stand_ins(born(300) + newborn) == [], "days beside each other are as full"
    assert births.stand_ins(born(300) + newborn + Counter({(2024, 6, 3): 45})) == [(2024, 6, 3)]
    assert births.stand_ins(born(300) + newborn + Counter({(2024, 6, 3): 35})) == [], "not five times as full"
    assert births.stand_ins(born(2_000, most=1) + Counter({(1950, 1, 1): 90})) == [], "days are not known here"
    assert births.stand_ins({}) == []


def test_one_in_twenty_born_on_the_first_of_january_1900_is_found_and_listed(tmp_path):
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as made:
        made.execute(
            "CREATE TABLE person AS SELECT range AS person_id,"
            " CASE WHEN range % 20 = 7 THEN 1900 ELSE 1930 + range % 79 END AS year_of_birth,"
            " CASE WHEN range % 20 = 7 THEN 1 ELSE 1 + range % 12 END AS month_of_birth,"
            " CASE WHEN range % 20 = 7 THEN 1 WHEN range < 900 THEN 1 + range % 28 END AS day_of_birth FROM range(1000)"
        )
    with workspace_at(f"duckdb:///{tmp_path}/cdm.duckdb") as workspace:
        found = {f.check.id: f for f in run(workspace)}[CHECK]
        listed = faulty_rows(workspace, check_called(CHECK), 100)
    assert (found.verdict, found.total, found.faults) == ("failed", 905, 50)
    assert [row.person for row in listed] == list(range(7, 1000, 20)) and {row.value for row in listed} == {1}


def test_without_days_of_birth_there_is_nothing_to_look_at(tmp_path):
    years = "1950 + range % 50 AS year_of_birth"
    for name, columns in (("a", years), ("b", f"{years}, 1 AS month_of_birth, 1 AS day_of_birth")):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as made:
            made.execute(f"CREATE TABLE person AS SELECT range AS person_id, {columns} FROM range(400)")
        with workspace_at(f"duckdb:///{tmp_path}/{name}.duckdb") as workspace:
            verdict = {f.check.id: f.verdict for f in run(workspace)}[CHECK]
        assert verdict == {"a": "missing", "b": "empty"}[name]
