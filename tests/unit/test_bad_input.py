"""What users give by mistake, at `atoll.Network` and `atoll run`: one sentence, who and what and what to do."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from click.testing import CliRunner

import atoll
from atoll.cli.main import atoll as atoll_command
from atoll.errors import AtollError, DataError, DisclosureRefused, StudyError
from atoll.privacy.disclosure import Policy
from atoll.study.dictionary import Column
from tests.conformance.world import COLUMNS, split, world

TABLE = world(1, 600)
SITES = split(TABLE, np.random.default_rng(2).integers(0, 3, 600))  # s0, s1, s2
FORMULA = {"formula": "y ~ age + C(sex)", "family": "binomial"}
SURVIVAL = {"formula": "age + C(sex)", "time": "t", "event": "e"}


def changed(site="s1", **columns):
    """The three tables, with columns of one of them replaced, added or (None) taken away."""
    table = dict(SITES[site])
    n = len(table["y"])
    for name, value in columns.items():
        table.pop(name, None)
        if value is not None:
            table[name] = value(n) if callable(value) else value
    return SITES | {site: table}


def sentence(kind, tables, algorithm="glm", policy="public", columns=None, code=None, **options):
    """The refusal's words; it is of this kind, has a remedy, and holds no value of a patient."""
    with pytest.raises(AtollError) as caught:
        atoll.Network(tables, policy=policy, columns=columns, threads=1).run(algorithm, **options)
    error = caught.value
    assert type(error) is kind, repr(error)
    assert code is None or error.code == code
    assert error.remedy
    assert "Wang" not in str(error)
    return str(error)


@pytest.fixture(autouse=True)
def no_value_is_logged(caplog):
    with caplog.at_level(logging.DEBUG):
        yield
    assert "Wang" not in caplog.text


# ---- columns


def test_a_column_that_one_site_lacks():
    text = sentence(StudyError, changed(bmi=None), formula="y ~ bmi")
    assert text.startswith("The column 'bmi' cannot be used: s1 has no such column. Give it to every site")


def test_a_column_that_one_site_lacks_under_a_given_dictionary():
    text = sentence(DataError, changed(bmi=None), columns=COLUMNS, code="MISSING_COLUMN", formula="y ~ bmi")
    assert text.startswith("s1: A column that the study names is not in the dataset (bmi). Add the column")


def test_a_column_that_nobody_has_is_answered_with_the_nearest():
    text = sentence(StudyError, SITES, formula="y ~ agee")
    assert "there is no column 'agee' in the dataset. Did you mean 'age'?" in text


def test_a_number_that_is_words_at_one_site():
    text = sentence(DataError, changed(age=lambda n: ["young"] * n), code="WRONG_TYPE", **FORMULA)
    assert "Column 'age' is a number at s0 and a category at s1 and a number at s2. Make the tables alike" in text
    text = sentence(DataError, changed(age=lambda n: ["young"] * n), columns=COLUMNS, code="WRONG_TYPE", **FORMULA)
    assert text.startswith("s1: A column has another type than the study expects (age). Correct the column")


def test_dates_written_as_text():
    dates = lambda n: [f"{1 + i % 28}.{1 + i % 12}.{1950 + i % 60}" for i in range(n)]  # noqa: E731
    text = sentence(StudyError, changed(birth=dates) | changed("s0", birth=dates), formula="y ~ birth")
    assert "The column 'birth' cannot be used: " in text
    assert "dates written as text" in text or "s2 has no such column" in text
    everywhere = {site: table | {"birth": dates(len(table["y"]))} for site, table in SITES.items()}
    text = sentence(StudyError, everywhere, formula="y ~ birth")
    assert "is text (or dates written as text). Give it to every site, as numbers, dates (2024-12-31)" in text


def test_real_dates_cannot_stand_in_a_formula_and_are_not_described():
    everywhere = {s: t | {"seen": np.full(len(t["y"]), np.datetime64("2024-01-31"))} for s, t in SITES.items()}
    text = sentence(StudyError, everywhere, formula="y ~ seen")
    assert "'seen' is a date and cannot stand in a formula. Leave it out." in text
    with pytest.raises(StudyError, match=r"columns: 'seen' is a date and is not described\. Leave it out"):
        atoll.Network(everywhere, policy="public").run("describe", columns=["seen"])


def test_a_person_column_cannot_be_analysed():
    everywhere = {s: t | {"patient_id": np.arange(len(t["y"]))} for s, t in SITES.items()}
    text = sentence(StudyError, everywhere, formula="y ~ patient_id")
    assert "'patient_id' identifies persons and cannot be analysed. Choose another column." in text


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_names_site_and_column(value):
    text = sentence(
        DataError, changed(age=lambda n: np.where(np.arange(n) == 5, value, 50.0)), code="NOT_FINITE", **FORMULA
    )
    assert text.startswith("s1: A column holds an infinite value, or a sum is not finite (age). Look for infinite")


def test_nan_is_missing_and_leaves_its_row_out():
    tables = changed(age=lambda n: np.where(np.arange(n) < 7, np.nan, SITES["s1"]["age"]))
    fit = atoll.Network(tables, policy="public", threads=1).run("glm", **FORMULA)
    assert fit.n == 600 - 7


@pytest.mark.parametrize("formula", ["y ~ log(bmi)", "y ~ sqrt(bmi)", "y ~ I(1 / bmi)"])
def test_a_transformation_that_some_values_do_not_have(formula):
    text = sentence(DataError, changed(bmi=lambda n: np.zeros(n) - (formula != "y ~ I(1 / bmi)")), formula=formula)
    assert text.startswith("s1: A column holds an infinite value, or a sum is not finite (bmi).")
    assert "a logarithm or root needs positive ones" in text


@pytest.mark.parametrize("algorithm", ["glm", "cox", "kaplan_meier"])
def test_a_column_that_is_missing_for_every_row_of_a_site(algorithm):
    tables = changed(age=lambda n: np.full(n, np.nan), t=lambda n: np.full(n, np.nan))
    options = {"glm": FORMULA, "cox": SURVIVAL, "kaplan_meier": {"time": "t", "event": "e"}}[algorithm]
    text = sentence(StudyError, tables, algorithm, code="EMPTY", **options)
    column = "t" if algorithm == "kaplan_meier" else "age"
    assert text.startswith(f"s1: No complete rows remain for this question ({column}). Leave out a column")


@pytest.mark.parametrize("policy", ["public", "strict"])
def test_a_column_that_is_missing_everywhere_is_described_as_missing(policy):
    tables = {site: table | {"crp": np.full(len(table["y"]), np.nan)} for site, table in SITES.items()}
    f = atoll.Network(tables, policy=policy, threads=1).run("describe", columns=["crp", "age"])
    assert (f.numbers["crp"]["n"], f.numbers["crp"]["missing"]) == (0, f.persons)
    assert np.isnan([f.numbers["crp"]["mean"], f.numbers["crp"]["sd"]]).all()
    assert all(np.isnan(row[1:]).all() for row in f.numbers["crp"]["quantiles"])
    assert f.numbers["age"]["mean"] == pytest.approx(TABLE["age"].mean())
    assert f.to_json()


def test_a_column_that_is_missing_at_one_site_is_described_from_the_others():
    tables = changed(bmi=lambda n: np.full(n, np.nan))
    f = atoll.Network(tables, policy="strict", threads=1).run("describe", columns=["bmi"])
    others = np.concatenate([SITES["s0"]["bmi"], SITES["s2"]["bmi"]])
    assert f.numbers["bmi"]["mean"] == pytest.approx(others.mean())


@pytest.mark.parametrize("formula", ["y ~ bs(crp, df=4)", "y ~ scale(crp)", "y ~ C(crp)"])
def test_a_survey_of_a_column_that_is_missing_everywhere(formula):
    tables = {site: table | {"crp": np.full(len(table["y"]), np.nan)} for site, table in SITES.items()}
    text = sentence(StudyError, tables, formula=formula)
    assert "Column 'crp' is empty at every site. Leave it out." in text or "No complete rows remain" in text


@pytest.mark.parametrize(
    ("algorithm", "options"), [("glm", {"formula": "y ~ age + k"}), ("cox", SURVIVAL | {"formula": "age + k"})]
)
def test_a_constant_column_is_named(algorithm, options):
    tables = {site: table | {"k": np.full(len(table["y"]), 7.3)} for site, table in SITES.items()}
    text = sentence(StudyError, tables, algorithm, **options)
    wanted = {
        "glm": "'k' is constant: it has the same value for every patient. Leave it out.",
        "cox": "'k' does not vary: it is constant in each stratum. Leave it out",
    }
    assert text.startswith(wanted[algorithm])


# ---- levels


def test_a_level_that_only_one_site_has_is_a_term_with_zeros_elsewhere():
    tables = {s: dict(t) for s, t in SITES.items()}
    tables["s1"]["sex"] = np.where(np.arange(len(tables["s1"]["y"])) < 40, "other", tables["s1"]["sex"])
    for policy in ("public", "strict"):
        fit = atoll.Network(tables, policy=policy, threads=1).run("glm", **FORMULA)
        assert "C(sex)[T.other]" in fit.terms
        assert np.isfinite(fit.bse).all()


def test_a_rare_level_is_refused_under_the_strict_policy():
    tables = {s: dict(t) for s, t in SITES.items()}
    for site, persons in (("s0", 40), ("s1", 3)):
        tables[site]["sex"] = np.where(np.arange(len(tables[site]["y"])) < persons, "Wang", tables[site]["sex"])
    columns = COLUMNS | {"sex": Column("category", ("female", "male", "other"))}
    for table in tables.values():
        table["sex"] = np.where(table["sex"] == "Wang", "other", table["sex"])
    text = sentence(DisclosureRefused, tables, policy="strict", columns=columns, code="TOO_FEW_PERSONS", **FORMULA)
    assert text.startswith("s1: A number would describe too few persons (sex). Merge rare levels")


def test_a_level_that_the_dictionary_does_not_list_is_named_by_its_column():
    tables = changed(sex=lambda n: np.where(np.arange(n) < 3, "Wang Fang", SITES["s1"]["sex"]))
    text = sentence(StudyError, tables, columns=COLUMNS, code="UNKNOWN_LEVEL", **FORMULA)
    assert text.startswith("s1: A category holds a level that the study does not list (sex). Add the level")
    text = sentence(StudyError, tables, policy="strict", code="UNKNOWN_LEVEL", **FORMULA)
    assert text.startswith("s1: ")


def test_a_category_with_one_level():
    tables = {site: table | {"one": np.full(len(table["y"]), "x")} for site, table in SITES.items()}
    assert "'one' has the one level 'x'. A category needs two; leave it out." in sentence(
        StudyError, tables, formula="y ~ one"
    )


# ---- models


SEPARATED = np.random.default_rng(3).random(600) < 0.4


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
@pytest.mark.parametrize("complete", [True, False])
def test_perfect_separation_is_named_by_its_term(link, complete):
    y = np.where(SEPARATED, 1.0, 0.0 if complete else TABLE["y"])
    tables = split(TABLE | {"y": y, "treated": SEPARATED * 1.0}, np.arange(600) % 3)
    text = sentence(StudyError, tables, formula="y ~ age + treated + C(sex)", family="binomial", link=link)
    assert text.startswith("Perfect separation: 'treated' predicts the outcome without error")
    assert text.endswith("Merge the level with another, leave the term out, or study more patients.")


@pytest.mark.parametrize("strata", [["site"], []])
def test_a_monotone_likelihood_is_named_by_its_term(strata):
    tables = split(TABLE | {"e": np.where(SEPARATED, 0.0, TABLE["e"]), "treated": SEPARATED * 1.0}, np.arange(600) % 3)
    text = sentence(StudyError, tables, "cox", formula="age + treated", time="t", event="e", strata=strata)
    assert text.startswith("Perfect separation: 'treated' predicts the outcome without error")


def test_a_level_without_events_is_named():
    y = np.where(TABLE["arm"] == "c", 0.0, TABLE["y"])
    text = sentence(
        StudyError, split(TABLE | {"y": y}, np.arange(600) % 3), formula="y ~ age + C(arm)", family="binomial"
    )
    assert text.startswith("Perfect separation: 'C(arm)[T.c]' predicts")


def test_nobody_has_the_event():
    tables = split(TABLE | {"e": np.zeros(600), "y": np.zeros(600)}, np.arange(600) % 3)
    assert "Nobody had the event. Look at the event column: is 1 the event?" in sentence(
        StudyError, tables, "cox", **SURVIVAL
    )
    text = sentence(StudyError, tables, **FORMULA)
    assert "All patients have the same outcome. A model needs patients with and without it." in text


def test_more_terms_than_patients():
    r = np.random.default_rng(4)
    tables = {s: {f"v{i}": r.normal(size=20) for i in range(30)} | {"y": r.normal(size=20)} for s in ("a", "b")}
    formula = "y ~ " + " + ".join(f"v{i}" for i in range(30))
    assert "cannot be told apart" in sentence(StudyError, {"a": tables["a"]}, formula=formula)
    text = sentence(DisclosureRefused, tables, policy="strict", code="TOO_MANY_PARAMETERS", formula=formula)
    assert text.startswith("a: The model has too many terms for this site's persons. Leave terms out")


@pytest.mark.parametrize(
    ("family", "link", "y"),
    [
        ("binomial", None, 2.0),
        ("binomial", None, 0.5),
        ("poisson", None, -1.0),
        ("gamma", None, 0.0),
        ("gaussian", "log", -1.0),
    ],
)
def test_an_outcome_that_the_family_does_not_have(family, link, y):
    tables = {s: t | {"bmi": np.full(len(t["y"]), y)} for s, t in SITES.items()}
    more = {"link": link} if link else {}
    text = sentence(StudyError, tables, formula="bmi ~ age", family=family, code="OUTCOME_UNFIT", **more)
    assert "The outcome holds values that this kind of model cannot have (bmi)." in text


@pytest.mark.parametrize(
    ("t", "e", "words"),
    [
        (-1.0, 1.0, "s1: The dataset cannot be read as its dictionary says (t)."),
        (10.0, 2.0, "s1: A column has another type than the study expects (e)."),
    ],
)
def test_times_and_events_that_are_none(t, e, words):
    tables = changed(t=lambda n: np.full(n, t), e=lambda n: np.full(n, e))
    assert sentence(DataError, tables, "cox", columns=COLUMNS, **SURVIVAL).startswith(words)


# ---- sites


@pytest.mark.parametrize("algorithm", ["glm", "cox", "kaplan_meier", "describe"])
def test_one_site_is_empty(algorithm):
    empty = {name: values[:0] for name, values in TABLE.items()}
    options = {"glm": FORMULA, "cox": SURVIVAL, "kaplan_meier": {"time": "t", "event": "e"}, "describe": {}}[algorithm]
    network = atoll.Network(SITES | {"s9": empty}, policy="public", columns=COLUMNS, threads=1)
    with pytest.raises(
        StudyError, match=r"s9: No complete rows remain for this question.*leave this site out"
    ) as caught:
        network.run(algorithm, **options) if options else network.run(algorithm, columns=["age", "sex"])
    assert caught.value.code == "EMPTY"


def test_chunks_without_a_complete_row_are_passed_over(monkeypatch):
    from atoll.site import runner

    monkeypatch.setattr(runner, "CHUNK", 16)
    n = len(SITES["s1"]["y"])
    gaps = np.where((np.arange(n) // 16) % 2 == 0, np.nan, SITES["s1"]["age"])
    fit = atoll.Network(changed(age=gaps), policy="public", threads=2).run("glm", **FORMULA)
    assert fit.n == 600 - np.isnan(gaps).sum()


def test_two_sites_of_the_same_name_and_no_site_at_all():
    with pytest.raises(StudyError, match=r"Two sites are called '1'\. Give each site a name of its own"):
        atoll.Network({1: SITES["s0"], "1": SITES["s1"]})
    with pytest.raises(DataError, match=r"A network needs at least one site\. Give \{\"site\": table\}"):
        atoll.Network({})
    with pytest.raises(StudyError, match=r"There is no site 'lake'\. There are s0, s1, s2"):
        atoll.Network(SITES).local("glm", site="lake", **FORMULA)


@pytest.mark.parametrize("table", [3, "nowhere.csv", {"a": [1, 2], "b": [1]}])
def test_a_table_that_cannot_be_read_names_its_site(table):
    with pytest.raises(DataError, match=r"^river: "):
        atoll.Network({"north": SITES["s0"], "river": table})


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"age": {"type": "number"}}, "columns: 'age' is a dict and no Column."),
     ({"age": [1.0]}, "columns: 'age' is a list and no Column."), (["age"], "columns: a list is no data dictionary.")],
)  # fmt: skip
def test_a_dictionary_of_something_else_is_told_when_the_network_is_made(columns, said):
    with pytest.raises(StudyError) as told:
        atoll.Network({"north": {"age": [50.0] * 30}}, columns=columns)
    assert str(told.value).startswith(said) and "Column.from_document" in str(told.value)


@pytest.mark.parametrize("policy", ["loose", 3, None])
def test_a_policy_that_is_none(policy):
    with pytest.raises(StudyError, match=r"policy: .* is not possible\. Give 'strict', 'public' or a Policy"):
        atoll.Network(SITES, policy=policy)


def test_limits_of_a_study_hold_where_they_are_stricter():
    network = atoll.Network(SITES, policy="public", limits={"minimum_persons": 300})
    with pytest.raises(DisclosureRefused, match=r"s0: A number would describe too few persons"):
        network.run("glm", **FORMULA)
    assert (
        atoll.Network(SITES, policy=Policy(minimum_persons=11), limits={"minimum_persons": 5}).run("glm", **FORMULA).n
    )


# ---- options


@pytest.mark.parametrize(
    ("algorithm", "options", "words"),
    [
        ("glmm", {}, r"There is no algorithm 'glmm'\. Did you mean 'glm'\?"),
        ("glm", {}, r"glm needs 'formula'\. Add `formula: …` to the analysis"),
        ("glm", FORMULA | {"famly": "x"}, r"glm has no option 'famly'\. Did you mean 'family'\?"),
        ("glm", {"formula": "y ~ age", "family": "gauss"}, r"family: 'gauss' is not possible\. Give one of"),
        ("glm", {"formula": "y ~ age", "family": "poisson", "link": "logit"}, r"A poisson model has no logit link"),
        ("glm", {"formula": 3}, r"formula: 3 is not possible\. Give text such as"),
        ("glm", {"formula": "y ~ open('x')"}, r"'open' at position 5 is not a call that a formula may hold"),
        ("glm", {"formula": "y ~ age", "offset": ["age"]}, r"offset: \['age'\] is not possible\. Give the name"),
        ("glm", {"formula": "y ~ age", "site_intercepts": "yes"}, r"'yes' is not possible\. Give true"),
        ("cox", SURVIVAL | {"strata": "site"}, r"strata: 'site' is not possible\. Give a list"),
        ("cox", SURVIVAL | {"grid": ["x"]}, r"grid: 'x' is not possible\. Give a number"),
        ("cox", SURVIVAL | {"grid": [float("nan")]}, r"grid: nan is not possible\. Give a finite number"),
        ("cox", SURVIVAL | {"grid": [10**400]}, r"grid: 1000.* is not possible\. Give a finite number"),
        ("cox", SURVIVAL | {"formula": "1"}, r"The formula has no terms\. Name at least one column"),
        ("kaplan_meier", {"time": "t", "event": "e", "strata": ["sex"]}, r"needs `site` among its strata"),
        ("describe", {"columns": "age"}, r"columns: 'age' is not possible\. Give a list"),
        ("performance", {"model": 3, "outcome": "y"}, r"model: 3 is not possible\. Give an earlier analysis"),
        ("performance", {"model": {}, "outcome": "y"}, r"model: it has no terms\. Give `terms`"),
    ],
)  # fmt: skip
def test_options_that_are_none(algorithm, options, words):
    with pytest.raises(StudyError, match=words):
        atoll.Network(SITES, policy="public", columns=COLUMNS, threads=1).run(algorithm, **options)


@pytest.mark.parametrize(
    ("algorithm", "options", "kind", "words"),
    [
        (
            "kaplan_meier",
            {"time": "t", "event": "e", "times": [10]},
            DisclosureRefused,
            "time grid is finer than this site",
        ),
        (
            "cox",
            SURVIVAL | {"strata": []},
            StudyError,
            r"Risk sets over hospitals need a time grid under this",
        ),
        ("cox", SURVIVAL | {"strata": [], "grid": [10, 400]}, DisclosureRefused, "time grid is finer than this site"),
    ],
)
def test_exact_times_are_refused_under_the_strict_policy(algorithm, options, kind, words):
    with pytest.raises(kind, match=words) as caught:
        atoll.Network(SITES, policy="strict", columns=COLUMNS, threads=1).run(algorithm, **options)
    assert caught.value.remedy


# ---- the command line


def run(*arguments):
    return CliRunner().invoke(atoll_command, ["run", *map(str, arguments)])


STUDY = """
atoll: 1
title: Age and sex
purpose: To try.
investigator: {name: Wang Fang, organisation: City}
sites: {north: {}, river: {}}
datasets:
  people:
    columns:
      age: {type: number, unit: a}
      sex: {type: category, levels: [女, 男]}
      y: {type: flag}
analyses:
  risk: {algorithm: glm, dataset: people, formula: y ~ age + C(sex), family: binomial}
valid: {from: 2020-01-01, until: 2099-01-01}
"""


def people(n, seed, sexes=("女", "男")):
    r = np.random.default_rng(seed)
    age = r.normal(60, 9, n).round(1)
    y = (r.random(n) < 1 / (1 + np.exp(-(age - 60) / 9))).astype(int)
    return "age;sex;y\n" + "".join(f"{a};{s};{v}\n" for a, s, v in zip(age, r.choice(sexes, n), y, strict=True))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    (tmp_path / "north.csv").write_bytes(people(300, 1).encode("gb18030"))
    (tmp_path / "river.csv").write_bytes(people(300, 2).encode("utf-8-sig"))
    return tmp_path


def test_hospitals_with_different_encodings_run_together(files):
    done = run(files / "study.yaml", "--json", *tables(files))
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)["risk"]
    assert document["terms"] == ["Intercept", "age", "C(sex)[T.男]"]
    assert document["n"] == 600


def tables(folder, **named):
    chosen = {"north": "north.csv", "river": "river.csv"} | named
    return [word for site, file in chosen.items() for word in ("--table", f"{site}={folder / file}")]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("", 11, "river: bad.csv is empty: not even a line with column names. Is it the right file?"),
        ("age;sex;y\n", 11, "river: bad.csv has no rows. Is it the right file?"),
        ("age;sex;y\n60;女;1\nWang;1\n", 11, "river: bad.csv: row 3 has 2 fields where 3 belong. Look there"),
        ("age;age;y\n60;60;1\n", 11, "river: bad.csv has two columns called 'age'. Rename one of them."),
        ("age;y\n" + "60;1\n" * 50, 11, "river: A column that the study names is not in the dataset (sex)."),
        (people(300, 3, ("女", "Wang")), 10, "river: A category holds a level that the study does not list (sex)."),
        (people(8, 4), 12, "river: A number would describe too few persons"),
        (
            "age;sex;y\n" + "inf;女;1\n" * 50,
            11,
            "river: A column holds an infinite value, or a sum is not finite (age).",
        ),
        ("age;sex;y\n" + ";女;1\n" * 50, 10, "river: No complete rows remain for this question (age)."),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(files, content, code, words):
    (files / "bad.csv").write_text(content, encoding="utf-8")
    done = run(files / "study.yaml", *tables(files, river="bad.csv"))
    assert done.exit_code == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "Wang" not in done.stderr.replace("Wang Fang", "") + done.stdout


def test_one_analysis_of_two_is_refused_and_the_document_is_one(files):
    flat = "  flat: {algorithm: glm, dataset: people, formula: y ~ age, family: gamma}\n"
    (files / "study.yaml").write_text(STUDY.replace("valid:", f"{flat}valid:"), encoding="utf-8")
    done = run(files / "study.yaml", "--json", *tables(files))
    document = json.loads(done.stdout)
    assert document["risk"]["n"] == 600 and document["flat"]["error"]["code"] == "OUTCOME_UNFIT"
    assert done.exit_code == 10 and done.stderr.startswith("flat: ")


def test_two_tables_for_one_site(files):
    done = run(files / "study.yaml", *tables(files), "--table", f"north={files / 'river.csv'}")
    assert done.exit_code == 10
    assert "Two tables are given for 'north'. Give each site one table, under a name of its own." in done.stderr


def test_a_site_without_a_table(files):
    done = run(files / "study.yaml", "--table", f"north={files / 'north.csv'}")
    assert done.exit_code == 10
    assert "The study asks north, river; there is no table for river. Add --table river=FILE." in done.stderr
