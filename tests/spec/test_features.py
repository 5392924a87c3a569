"""What a feature says: a table of records, a line of the document, the number that comes out. On every engine."""

from __future__ import annotations

import datetime
import secrets
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.cohort.domains import BY_WORD
from atoll.errors import DataError
from atoll.features import looks
from atoll.features.extract import extract
from atoll.study import feature_words, features, horizon
from atoll.study.feature_words import in_words
from atoll.study.features import read
from atoll.study.nodes import Problems
from tests.cdm import Engine, spark_or_skip

INDEX = datetime.date(2020, 6, 1)
DIABETES, PARENT, HBA1C, PERCENT, MMOL = 201, 200, 300, 400, 401
VOCABULARY = {
    "concept": [
        {"concept_id": DIABETES},
        {"concept_id": PARENT},
        {"concept_id": HBA1C},
        {"concept_id": PERCENT, "vocabulary_id": "UCUM", "concept_code": "%"},
        {"concept_id": MMOL, "vocabulary_id": "UCUM", "concept_code": "mmol/mol"},
    ],
    "concept_ancestor": [
        {"ancestor_concept_id": a, "descendant_concept_id": d}
        for a, d in [(DIABETES, DIABETES), (PARENT, PARENT), (PARENT, DIABETES), (HBA1C, HBA1C)]
    ],
}
CONCEPTS = f"""
concepts:
  diabetes: {{include: [{DIABETES}]}}
  disease: {{include: [{PARENT}]}}
  other: {{include: [{PARENT}], exclude: [{DIABETES}]}}
  hba1c: {{include: [{HBA1C}]}}
"""


def day(offset: int) -> datetime.date:
    return INDEX + datetime.timedelta(days=offset)


def condition(offset: int, concept: int = DIABETES, person: int = 1, number: int = 0) -> dict[str, Any]:
    return {
        "condition_occurrence_id": number or 10_000 + offset,
        "person_id": person,
        "condition_concept_id": concept,
        "condition_start_date": day(offset),
    }


def test(offset: int, value: float | None, unit: int = PERCENT, number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "measurement_id": number or 10_000 + offset,
        "person_id": 1,
        "measurement_concept_id": HBA1C,
        "measurement_date": day(offset),
        "value_as_number": value,
        "unit_concept_id": unit,
        **more,
    }


test.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module", params=["duckdb", "postgresql", "spark"])
def engine(request, tmp_path_factory):
    folder, database = tmp_path_factory.mktemp("features"), ""
    if request.param == "spark":
        spark_or_skip()
    elif request.param == "postgresql":
        import psycopg

        server, own = request.getfixturevalue("postgres"), f"features_{secrets.token_hex(6)}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {own}")
        database = f"{server}/{own}"
    engine = Engine(request.param, folder / "cdm", database)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """DuckDB alone: what these tests look at is spelled alike on every engine."""
    engine = Engine("duckdb", tmp_path_factory.mktemp("quick"))
    yield engine
    engine.close()


def said(
    engine: Engine, rows: dict[str, Any], document: str, persons: tuple[int, ...] = (1,), end: int = 400
) -> list[dict[str, Any]]:
    """The table's rows for persons with one index date each."""
    people = [{"person_id": p, "year_of_birth": 1960, "gender_concept_id": 8532 if p % 2 else 8507} for p in persons]
    periods = [
        {"person_id": p, "observation_period_start_date": day(-1000), "observation_period_end_date": day(end)}
        for p in persons
    ]
    cohort = pa.table({"subject_id": list(persons), "cohort_start_date": [INDEX] * len(persons)})
    with engine.workspace({"person": people, "observation_period": periods, **VOCABULARY, **rows}) as workspace:
        return extract(workspace, cohort, read(CONCEPTS + document)).to_pylist()


def one(engine: Engine, rows: dict[str, Any], feature: str, **more: Any) -> Any:
    return said(engine, rows, f"features:\n  x: {feature}\n", **more)[0]["x"]


def test_a_sex_that_is_neither_is_missing(quick):
    """A third level that few or nobody have would stop every model that names the column."""
    people = [
        {"person_id": p, "year_of_birth": 1960, "gender_concept_id": g} for p, g in ((1, 8532), (2, 8521), (3, 0))
    ]
    found = said(quick, {"person": people}, "features:\n  x: {from: person, as: sex}\n", persons=(1, 2, 3))
    assert [row["x"] for row in found] == ["female", None, None]
    assert read(CONCEPTS + "features:\n  x: {from: person, as: sex}\n").dictionary()["x"].levels == ("female", "male")


RECORDS = {
    "condition_occurrence": [condition(-400), condition(-30), condition(-30, number=7), condition(0), condition(1)]
}
COUNTED = {
    "{from: condition, of: diabetes}": 1,
    "{from: condition, of: diabetes, window: [-29, -1]}": 0,
    "{from: condition, of: diabetes, window: [-30, -1]}": 1,
    "{from: condition, of: diabetes, window: [-365, 0], as: count}": 3,
    "{from: condition, of: diabetes, window: [-365, 0], as: days}": 2,
    "{from: condition, of: diabetes, as: count}": 4,
    "{from: condition, of: diabetes, window: [-1000, -1], as: since}": 30,
    "{from: condition, of: disease, as: count}": 4,
    "{from: condition, of: other, as: count}": 0,
    "{from: condition, as: count}": 4,
}
VALUES = {
    "measurement": [
        test(-300, 6.0),
        test(-100, 7.0),
        test(-10, 8.0, number=2),
        test(-10, 9.0, number=3),
        test(-5, None),
        test(-4, 64.0, unit=MMOL),
        test(1, 11.0),
    ]
}
MEASURED = {
    '{from: measurement, of: hba1c, as: last, unit: "%"}': 9.0,
    '{from: measurement, of: hba1c, as: first, unit: "%"}': 6.0,
    "{from: measurement, of: hba1c, as: last}": 64.0,
    '{from: measurement, of: hba1c, as: mean, unit: "%"}': 7.5,
    '{from: measurement, of: hba1c, as: min, unit: "%"}': 6.0,
    "{from: measurement, of: hba1c, as: max}": 64.0,
    "{from: measurement, of: hba1c, as: max, range: [3, 20]}": 9.0,
    '{from: measurement, of: hba1c, as: slope, unit: "%", window: [-300, -100]}': 0.005,
    "{from: measurement, of: hba1c, as: last, window: [-3, 0]}": None,
    "{from: measurement, of: hba1c, as: last, window: [-3, 0], otherwise: 5.6}": 5.6,
    "{from: measurement, of: hba1c, as: count}": 6,
}


def all_at_once(engine: Engine, rows: dict[str, Any], features: list[str]) -> dict[str, Any]:
    lines = "".join(f"  x{number}: {feature}\n" for number, feature in enumerate(features))
    row = said(engine, rows, f"features:\n{lines}")[0]
    return {feature: row[f"x{number}"] for number, feature in enumerate(features)}


def near(found: Any, expected: Any) -> bool:
    if expected is None or isinstance(expected, str):
        return bool(found == expected)
    return bool(found == pytest.approx(expected, rel=1e-12))


def test_records_are_counted_in_a_window_that_ends_at_the_index_date(engine):
    assert all_at_once(engine, RECORDS, list(COUNTED)) == COUNTED


def test_values_are_read_in_their_unit_and_range(engine):
    found = all_at_once(engine, VALUES, list(MEASURED))
    assert [feature for feature, expected in MEASURED.items() if not near(found[feature], expected)] == []


def test_a_value_that_nobody_measured_is_said_to_be_missing(quick):
    rows = said(quick, VALUES, "features:\n  x: {from: measurement, of: hba1c, as: last, otherwise: 5}\n", (1, 2))
    assert [(row["x"], row["x_missing"]) for row in rows] == [(64.0, 0), (5.0, 1)]


def test_above_and_below_the_laboratory_s_own_range(quick):
    rows = {"measurement": [test(-9, 8.0, range_low=4.0, range_high=6.0), test(-3, 5.0, range_low=4.0, range_high=6.0)]}
    assert one(quick, rows, "{from: measurement, of: hba1c, as: high}") == 1
    assert one(quick, rows, "{from: measurement, of: hba1c, as: low}") == 0
    assert one(quick, rows, "{from: measurement, of: hba1c, as: high, window: [-5, 0]}") == 0


def test_nobody_has_any_record(engine):
    """An engine that gives no rows may give no types either."""
    found = all_at_once(engine, {}, ["{from: condition, of: diabetes}", "{from: measurement, of: hba1c, as: last}"])
    assert list(found.values()) == [0, None]


def test_facts_of_the_person(quick):
    document = """features:
  age: {from: person, as: age}
  sex: {from: person, as: sex}
  year: {from: person, as: year}
  seen: {from: person, as: observed}
  left: {from: person, as: followed}
"""
    first, second = said(quick, {"death": [{"person_id": 2, "death_date": day(50)}]}, document, (1, 2))
    assert first == {"person": 1, "age": 60, "sex": "female", "year": 2020, "seen": 1000, "left": 400}
    assert (second["sex"], second["left"]) == ("male", 50)


@pytest.mark.parametrize(
    ("records", "death", "end", "expected"),
    [
        ([condition(1)], None, 400, (1, 1, 1)),
        ([condition(0)], None, 400, (0, 365, 0)),
        ([condition(365)], None, 400, (1, 365, 1)),
        ([condition(366)], None, 400, (0, 365, 0)),
        ([], None, 100, (None, 100, 0)),
        ([condition(150)], None, 100, (None, 100, 0)),
        ([], 80, 100, (0, 80, 0)),
        ([condition(80)], 80, 100, (1, 80, 1)),
    ],
    ids=["next day", "same day", "last day", "too late", "lost", "after it was lost", "died", "on the day of death"],
)
def test_an_outcome_is_looked_for_after_the_index_date(quick, records, death, end, expected):
    rows: dict[str, Any] = {"condition_occurrence": records}
    if death is not None:
        rows["death"] = [{"person_id": 1, "death_date": day(death)}]
    document = (
        "features:\n  age: {from: person, as: age}\noutcome:\n  y: {from: condition, of: diabetes, window: [1, 365]}\n"
    )
    row = said(quick, rows, document, end=end)[0]
    assert (row["y"], row["y_time"], row["y_event"]) == expected


DOCUMENT = read(
    CONCEPTS
    + """features:
  age: {from: person, as: age}
  sex: {from: person, as: sex}
  year: {from: person, as: year}
  observed: {from: person, as: observed}
  any: {from: condition, of: diabetes, window: [-365, 0]}
  n: {from: condition, of: disease, as: count}
  days: {from: condition, as: days, window: [-30, -1]}
  last: {from: measurement, of: hba1c, as: last, unit: "%"}
  mean: {from: measurement, of: hba1c, as: mean, range: [3, 20]}
"""
)


def by_hand(conditions: list[tuple[int, int]], tests: list[tuple[int, float | None, int]]) -> dict[str, Any]:
    """The features of `DOCUMENT`, from the words of the document alone."""
    past = [(offset, concept) for offset, concept in conditions if offset <= 0]
    seen = sorted((offset, place, value) for place, (offset, value, unit) in enumerate(tests)
                  if offset <= 0 and value is not None and unit == PERCENT)  # fmt: skip
    usable = [value for offset, value, _ in tests if offset <= 0 and value is not None and 3 <= value <= 20]
    return {
        "age": 60,
        "sex": "female",
        "year": 2020,
        "observed": 400,
        "any": int(any(offset >= -365 and concept == DIABETES for offset, concept in past)),
        "n": sum(concept in (DIABETES, PARENT) for _, concept in past),
        "days": len({offset for offset, _ in past if -30 <= offset <= -1}),
        "last": seen[-1][2] if seen else None,
        "mean": sum(usable) / len(usable) if usable else None,
    }


OFFSETS = st.integers(-40, 20) | st.sampled_from([-366, -365, -364, -1, 0, 1])


@settings(max_examples=60)
@given(
    conditions=st.lists(st.tuples(OFFSETS, st.sampled_from([DIABETES, PARENT, HBA1C])), max_size=12),
    tests=st.lists(
        st.tuples(OFFSETS, st.none() | st.sampled_from([2.0, 3.0, 5.5, 20.0, 64.0]), st.sampled_from([PERCENT, MMOL])),
        max_size=10,
    ),
    end=st.integers(0, 2_000),
    death=st.none() | st.integers(0, 2_000),
)
def test_any_records_say_what_the_words_say_and_nothing_of_what_comes_later(conditions, tests, end, death):
    engine = Engine("duckdb", None)  # type: ignore[arg-type]
    try:
        rows = {
            "condition_occurrence": [condition(o, c, number=n + 1) for n, (o, c) in enumerate(conditions)],
            "measurement": [test(o, v, u, number=n + 1) for n, (o, v, u) in enumerate(tests)],
            "person": [{"person_id": 1, "year_of_birth": 1960, "gender_concept_id": 8532}],
            "observation_period": [
                {"person_id": 1, "observation_period_start_date": day(-400), "observation_period_end_date": day(end)}
            ],
            "death": [] if death is None else [{"person_id": 1, "death_date": day(death)}],
            **VOCABULARY,
        }
        cohort = pa.table({"subject_id": [1], "cohort_start_date": [INDEX]})
        with engine.workspace(rows) as workspace:
            row = extract(workspace, cohort, DOCUMENT).to_pylist()[0]
        expected = by_hand(conditions, tests)
        assert [key for key, value in expected.items() if not near(row[key], value)] == []
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{from: condition, window: [-9, 3]}", "the window ends 3 days after the index date: a feature looks back"),
        ("{from: condition, window: [-9, -12]}", "the window starts at day -9, after its end -12"),
        ("{from: condition, of: nothing}", "there is no concept set 'nothing'"),
        ("{from: condition, as: last}", "'last' is none of any, count, days, since"),
        ("{from: condition, range: [1, 2]}", "`as: any` reads no value, so it has no range"),
        ("{from: person, as: age, window: [-1, 0]}", "a fact of the person has no window"),
        ("{from: person}", "`as` is missing"),
        ("{from: death}", "'death' is none of person, score, condition"),
        ("{from: observation, as: high}", "no laboratory gives a range beside an observation, so none can be high"),
        ("{from: observation, of: hba1c, as: low}", "so none can be low"),
        ("{from: condition, as: low}", "'low' is none of any, count, days, since"),
    ],
)
def test_what_a_feature_cannot_be(line, words):
    with pytest.raises(Problems, match=words):
        read(f"{CONCEPTS}features:\n  x: {line}\n")


def test_an_outcome_before_the_index_date_is_none():
    with pytest.raises(Problems, match="looked for from day -5, before the index date"):
        read(
            f"{CONCEPTS}features:\n  a: {{from: person, as: age}}\n"
            "outcome:\n  y: {from: condition, of: disease, window: [-5, 9]}\n"
        )


FLAG, OTHERWISE = "{from: condition, of: disease}", "{from: measurement, of: hba1c, as: last, otherwise: 5}"


@pytest.mark.parametrize(
    ("features", "outcomes", "line", "entry", "column", "other"),
    [
        ({"y": FLAG}, ("y",), 10, "outcome.y", "y", "features.y"),
        ({"y_time": FLAG}, ("y",), 10, "outcome.y", "y_time", "features.y_time"),
        ({"y_event": FLAG}, ("y",), 10, "outcome.y", "y_event", "features.y_event"),
        ({"x": OTHERWISE, "x_missing": FLAG}, (), 9, "features.x_missing", "x_missing", "features.x"),
        ({"y_missing": FLAG, "y": OTHERWISE}, (), 9, "features.y", "y_missing", "features.y_missing"),
        ({"x": OTHERWISE}, ("x_missing",), 10, "outcome.x_missing", "x_missing", "features.x"),
        ({"x": FLAG}, ("y", "y_time"), 11, "outcome.y_time", "y_time", "outcome.y"),
        ({"person": FLAG}, (), 8, "features.person", "person", ""),
        ({"site": FLAG}, (), 8, "features.site", "site", ""),
        ({"x": FLAG}, ("person",), 10, "outcome.person", "person", ""),
        ({"x": FLAG}, ("site",), 10, "outcome.site", "site", ""),
    ],
)
def test_no_two_entries_make_one_column(features, outcomes, line, entry, column, other):
    """One would take the other's place: whoever had the disease before would have the outcome."""
    written = "".join(f"  {name}: {entry}\n" for name, entry in features.items())
    written += "outcome:\n" * bool(outcomes)
    written += "".join(f"  {name}: {{from: condition, of: disease, window: [1, 9]}}\n" for name in outcomes)
    with pytest.raises(Problems) as found:
        read(f"{CONCEPTS}features:\n{written}")
    said = f"it makes the column {column!r}, as {other} does" if other else f"{column!r} stands for something else"
    assert f"Line {line}, {entry}: " in str(found.value) and said in str(found.value)


def test_names_that_differ_make_columns_of_their_own():
    """Age and sex are names like others: nothing but `person` and `site` stands in every table."""
    made = read(
        f"{CONCEPTS}features:\n  age: {FLAG}\n  sex: {FLAG}\n  x: {OTHERWISE}\n  Y: {FLAG}\n"
        "outcome:\n  y: {from: condition, of: disease, window: [1, 9]}\n"
    )
    assert [*made.dictionary()] == ["person", "age", "sex", "x", "x_missing", "Y", "y", "y_time", "y_event"]


def test_what_is_known_only_afterwards_says_so():
    made = read(
        f"{CONCEPTS}features:\n  age: {{from: person, as: age}}\n  left: {{from: person, as: followed}}\n  x: {FLAG}\n"
        "outcome:\n  y: {from: condition, of: disease, window: [1, 9]}\n"
    ).dictionary()
    assert [name for name, column in made.items() if column.ahead] == ["left", "y", "y_time", "y_event"]


def test_what_an_investigator_calls_a_column_is_kept_and_told():
    made = read(
        f"{CONCEPTS}features:\n  x: {{from: condition, of: disease, label: diabetes before}}\n"
        "outcome:\n  y: {from: condition, of: disease, window: [1, 9], label: 新发糖尿病}\n"
    )
    assert (made.dictionary()["x"].label, made.dictionary()["y"].label) == ("diabetes before", "新发糖尿病")
    for language in ("en", "zh"):
        feature, outcome = in_words(made, language)
        assert feature.endswith("“diabetes before”") and outcome.endswith("“新发糖尿病”")
    other = read(f"{CONCEPTS}features:\n  x: {FLAG}\noutcome:\n  y: {{from: condition, of: disease, window: [1, 9]}}\n")
    assert other.id_of("y") == made.id_of("y"), "a label means nothing"


def test_every_word_of_a_feature_can_be_computed_and_told():
    """A word that the document allows and one of these lacks would fail at a hospital, when its steward approves."""
    for told in (looks._SAID, feature_words._SAYS):
        assert set(told) == {*features.RECORDS, *features.VALUES}
    assert set(feature_words._DOMAINS) == set(features.RECORD_DOMAINS) == set(BY_WORD)
    assert set(feature_words._PERSON) == set(features.PERSON_FACTS) == set(features._PERSON_COLUMNS)


def test_scratch_tables_of_others_stay(quick):
    """A workspace may hold what somebody else is about to read."""
    from atoll.features import sparse as cells
    from atoll.study.sparse import read as read_sets

    cohort = pa.table({"subject_id": [1], "cohort_start_date": [INDEX]})
    with quick.workspace({**VOCABULARY, **RECORDS, "person": [{"person_id": 1, "year_of_birth": 1960}]}) as workspace:
        other = workspace.table("somebody_else")
        workspace.upload(other, pa.table({"n": [1, 2]}))
        document = (
            CONCEPTS + f"features:\n  x: {FLAG}\noutcome:\n  y: {{from: condition, of: disease, window: [1, 9]}}\n"
        )
        extract(workspace, cohort, read(document))
        assert (workspace.size(other), list(workspace.scratch)) == (2, [other])
        cells.extract(workspace, cohort, read_sets("sets: {d: {from: condition}}"))
        assert (workspace.size(other), list(workspace.scratch)) == (2, [other])


def test_a_table_that_the_cdm_does_not_have(tmp_path):
    engine = Engine("duckdb", tmp_path)
    with engine.workspace(VOCABULARY) as workspace:
        assert engine.connection is not None
        engine.connection.execute("DROP TABLE device_exposure")
        cohort = pa.table({"subject_id": [1], "cohort_start_date": [INDEX]})
        with pytest.raises(DataError, match="The CDM has no table 'device_exposure'"):
            extract(workspace, cohort, read("features:\n  x: {from: device}\n"))
    engine.close()


def test_the_id_of_a_feature_is_its_meaning_and_not_its_name():
    one = read(f"{CONCEPTS}features:\n  a: {{from: condition, of: disease}}\n")
    two = read(f"{CONCEPTS}features:\n  b: {{from: condition, of: disease}}\n")
    three = read(f"{CONCEPTS}features:\n  b: {{from: condition, of: diabetes}}\n")
    assert one.id_of("a") == two.id_of("b") != three.id_of("b")


def written(line, concepts="{include: [201, 200]}"):
    return read(f"concepts:\n  s: {concepts}\nfeatures:\n  x: {line}\n").id_of("x")


@pytest.mark.parametrize(
    ("line", "concepts"),
    [
        ("{from: condition, of: s, label: in words}", "{include: [201, 200]}"),
        ("{from: condition, of: s, as: any}", "{include: [201, 200]}"),
        ("{from: condition, of: s, window: [null, 0]}", "{include: [201, 200]}"),
        ("{from: condition, of: s}", "{include: [200, 201, 200]}"),
        ("{from: condition, of: s}", "{include: [201, 200], descendants: true}"),
    ],
)
def test_the_id_of_a_feature_is_the_same_however_it_is_written(line, concepts):
    assert written(line, concepts) == written("{from: condition, of: s}")


@pytest.mark.parametrize(
    ("line", "concepts"),
    [
        ("{from: condition, of: s, as: count}", "{include: [201, 200]}"),
        ("{from: condition, of: s, window: [-9, 0]}", "{include: [201, 200]}"),
        ("{from: procedure, of: s}", "{include: [201, 200]}"),
        ("{from: condition}", "{include: [201, 200]}"),
        ("{from: condition, of: s}", "{include: [201]}"),
        ("{from: condition, of: s}", "{include: [201], exclude: [200]}"),
        ("{from: condition, of: s}", "{include: [201, 200], descendants: false}"),
    ],
)
def test_the_id_of_another_meaning_is_another(line, concepts):
    assert written(line, concepts) != written("{from: condition, of: s}")


BOTH = """features:
  x: {from: condition, of: a, window: [-365, %d]}
outcome:
  y: {from: condition, of: b, window: [%d, 365]}
"""


@pytest.mark.parametrize(
    ("concepts", "last", "first", "warned"),
    [
        ("a: {include: [1, 2]}\n  b: {include: [2, 3]}", 0, 0, True),
        ("a: {include: [1, 2]}\n  b: {include: [2, 3]}", -1, 0, False),
        ("a: {include: [1, 2]}\n  b: {include: [2, 3]}", 0, 1, False),
        ("a: {include: [1]}\n  b: {include: [3]}", 0, 0, False),
    ],
)
def test_a_record_of_day_0_that_is_feature_and_outcome_is_told(concepts, last, first, warned):
    found = list(horizon.shared(read(f"concepts:\n  {concepts}\n" + BOTH % (last, first))))
    assert [(outcome.name, feature.name) for outcome, feature in found] == [("y", "x")] * warned


def test_sparse_sets_become_two_files_that_make_the_same_columns_elsewhere(tmp_path):
    import pyarrow.parquet as pq
    from click.testing import CliRunner

    from atoll.cli.main import atoll
    from tests.unit.test_cohort_command import a_cdm

    records = [condition(-day, person=person, number=10 * person + day) for person in (1, 2) for day in (1, 2)]
    cdm = a_cdm(tmp_path / "a.duckdb", VOCABULARY | {"condition_occurrence": records})
    cohort, out = tmp_path / "c.parquet", tmp_path / "cells.parquet"
    rows = {"definition": ["x"] * 3, "subject_id": [1, 2, 3], "cohort_start_date": [INDEX] * 3}
    pq.write_table(pa.table(rows), cohort)
    (tmp_path / "sets.yaml").write_text("least: 2\nsets: {d: {from: condition, as: count}}\n")
    words = ["features", "sparse", tmp_path / "sets.yaml", "--cohort", cohort, "--cdm", cdm, "--out"]
    done = CliRunner().invoke(atoll, [str(word) for word in [*words, out]])
    assert done.exit_code == 0 and "3 rows, 1 columns, 2 cells" in done.stdout, done.output
    assert pq.read_table(out).column("value").to_pylist() == [2.0, 2.0]
    columns = out.with_suffix(".columns.parquet")
    assert pq.read_table(columns).column("key").to_pylist() == [str(DIABETES)]
    again = CliRunner().invoke(atoll, [str(w) for w in [*words, tmp_path / "b.parquet", "--columns", columns]])
    assert again.exit_code == 0 and pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(out))
    wrong = CliRunner().invoke(atoll, [str(w) for w in [*words, tmp_path / "b.parquet", "--columns", cohort]])
    assert wrong.exit_code == 11 and "is no list of columns" in wrong.stderr
