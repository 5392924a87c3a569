"""Formulas that cannot be read: what was found, where, and what to write instead."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atoll.errors import StudyError
from atoll.study import calls, formula
from atoll.study.coding import check_columns, design_of_terms, needs, resolve
from atoll.study.design import Design, Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse

COLUMNS = {
    "y": Column("flag"),
    "age": Column("number", low=18, high=100),
    "bmi": Column("number"),
    "crp": Column("number"),
    "血压 (mmHg)": Column("number"),
    "sex": Column("category", levels=("female", "male")),
    "dx": Column("category", levels=("E11: type 2", "(60,70]", "T.x")),
    "stage": Column("number"),
    "smoker": Column("flag"),
    "born": Column("date"),
    "patient": Column("person"),
}

UNREADABLE = [
    ("", "it has no terms|ends too early", ""),
    ("y ~", "it ends too early", ""),
    ("y ~ age +", "it ends too early", ""),
    ("y ~ age age", "'age' at position 9 is not expected", "Join terms"),
    ("y ~ age ~ sex", "a second `~` at position 9", "outcome ~ terms"),
    ("log(y) ~ age", "the outcome 'log\\(y\\)' is not a column", "options of the analysis"),
    ("Surv(t, e) ~ age", "is not a column", "time, event and offset are options"),
    ("y ~ age | sex", "'|' at position 9", "strata and groups as options"),
    ("y ~ .", "'.' at position 5", "one by one"),
    ("y ~ 'age'", "at position 5", "between backticks"),
    ("y ~ 2*age", "not expected|multiplied", ""),
    ("y ~ 1:age", "a number is multiplied with a term", r"I\(10 \* x\)"),
    ("y ~ (1 + age):sex", "a number stands inside brackets at position 6", "outside of brackets"),
    ("y ~ (age + sex)**9", "no whole number from 1 to 6", r"I\(x \*\* 2\)"),
    ("y ~ (age + sex", "ends too early", ""),
    ("y ~ poly(age, 2)", "'poly' at position 5 is not a call", "Allowed are C, bs, center"),
    ("y ~ age + centre(age)", "'centre' at position 11 is not a call", "Did you mean 'center'"),
    ("y ~ __import__('os')", "is not a call that a formula may hold", "Allowed are"),
    ("y ~ I(age", "the bracket of 'I' at position 5 is not closed", r"Add `\)`"),
    ("y ~ I(" + " + ".join(["age"] * 150) + ")", "it has more than 200 parts", ""),
    ("y ~ I(age > 50)", "is not arithmetic over columns", ""),
    ("y ~ C(age + 1)", "the first argument must be a column", ""),
    ("y ~ C(sex, Sum)", "C takes a column and, if wanted, Treatment", ""),
    ("y ~ bs(age, df=2)", "df must be a whole number from 3 to 30", ""),
    ("y ~ bs(age, df=4, knots=[50])", "either df or knots", ""),
    ("y ~ bs(age, df=4, period=3)", "bs has no option 'period'", ""),
    ("y ~ center(age, 3)", "center takes one column", ""),
    ("y ~ open('x')", "'open' at position 5 is not a call that a formula may hold", "Allowed are C, bs, center"),
    ("y ~ np.log(age)", "'np.log' at position 5 is not a call", "Did you mean 'log'|Allowed are"),
    ("y ~ I(exec('x'))", "is not arithmetic over columns", ""),
    ("y ~ I(lambda: age)", "is not arithmetic over columns|cannot be read", ""),
    ("y ~ I(age if bmi else crp)", "cannot be read", ""),
    ("y ~ I([age])", "is not arithmetic over columns", ""),
    ("y ~ log(age, 2)", "is not arithmetic over columns", ""),
    ("y ~ C()", "the first argument must be a column", ""),
    ("y ~ bs(log(age), df=4)", "the first argument must be a column", ""),
    ("y ~ bs(age, knots=3)", "knots are a list of numbers", ""),
    ("y ~ bs(age, knots=['x'])", "the options of bs are numbers", ""),
    ("y ~ bs(age, knots=open)", "cannot be read", ""),
    ("y ~ bs(age, df=1000)", "df must be a whole number from 3 to 30", ""),
    ("y ~ bs(age, df=9, degree=9)", "degree must be 1 to 5", ""),
    ("y ~ ; DROP TABLE x", "';' at position 5 is not expected", ""),
    ("y ~ age # comment", "'#' at position 9 is not expected", ""),
    ("y ~ 0", "it has no terms", ""),
    ("y ~ " + "(" * 5000 + "age", "brackets stand more than 20 deep", "Write it with fewer"),
    ("y ~ I(" + "(" * 5000 + "age" + ")" * 5000 + ")", "cannot be read", ""),
]


@pytest.mark.parametrize(("text", "what", "remedy"), UNREADABLE)
def test_unreadable_formulas_say_what_and_where(text: str, what: str, remedy: str) -> None:
    with pytest.raises(StudyError, match=what) as refused:
        parse(text)
    assert refused.value.remedy
    assert re.search(remedy, refused.value.remedy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y ~ aeg", "no column 'aeg' in the dataset. Did you mean 'age'?"),
        ("died ~ age", "no column 'died' in the dataset."),
        ("y ~ I(age.__class__)", "no column 'age.__class__' in the dataset"),
        ("y ~ born", "'born' is a date and cannot stand in a formula. Leave it out."),
        ("y ~ age + C(patient)", "'patient' is a person and cannot stand in a formula."),
        ("y ~ log(sex)", "'sex' is a category; log(sex) needs a number. Write C(sex)."),
        ("y ~ bs(sex, df=4)", "'sex' is a category; bs(sex, df=4) needs a number."),
        ("y ~ I(age * sex)", "'sex' is a category"),
    ],
)
def test_columns_that_cannot_stand_there(text: str, words: str) -> None:
    with pytest.raises(StudyError) as refused:
        check_columns(parse(text), COLUMNS)
    assert words in str(refused.value)


def test_a_reference_level_must_exist() -> None:
    with pytest.raises(StudyError, match=r"names the level 'diverse', which 'sex' does not have. It has female, male"):
        resolve(parse("y ~ C(sex, Treatment('diverse'))"), Facts(), COLUMNS, ("a",))


def test_a_category_with_one_level_is_no_category() -> None:
    with pytest.raises(StudyError, match=r"'stage' has the one level '2'. A category needs two; leave it out"):
        resolve(parse("y ~ C(stage)"), Facts(levels={"stage": ("2",)}), COLUMNS, ("a",))


def test_knots_must_lie_within_the_ends() -> None:
    with pytest.raises(StudyError, match="must rise between its ends 18 and 100"):
        resolve(parse("y ~ bs(age, knots=[10, 50])"), Facts(), COLUMNS, ("a",))
    tied = Facts(quantiles={"age": {0.5: 18.0}})
    with pytest.raises(StudyError, match="Give `knots` that do, or a smaller df"):
        resolve(parse("y ~ bs(age, df=4)"), tied, COLUMNS, ("a",))


def test_a_constant_column_cannot_be_scaled() -> None:
    with pytest.raises(StudyError, match="'bmi' is constant; scale\\(bmi\\) is not defined"):
        resolve(parse("y ~ scale(bmi)"), Facts(moments={"bmi": (25.0, 0.0)}), COLUMNS, ("a",))


def test_what_a_first_round_must_find() -> None:
    wanted = needs(
        parse("y ~ C(stage) + C(smoker) + sex + bs(bmi, df=5) + bs(age, knots=[50]) + center(crp) + scale(age) + site"),
        COLUMNS,
    )
    assert wanted.levels == ("stage",)
    assert wanted.quantiles == {"bmi": (1 / 3, 2 / 3), "age": ()}
    assert wanted.moments == ("crp", "age")
    given_all = needs(
        parse("y ~ bs(bmi, knots=[25], lower_bound=10, upper_bound=60) + C(stage, levels=[1, 2])"), COLUMNS
    )
    assert (given_all.levels, given_all.quantiles, given_all.moments) == ((), {}, ())


def test_sites_are_a_category_and_the_first_is_the_reference() -> None:
    design = resolve(parse("y ~ age + site"), Facts(), COLUMNS, ("bay", "north", "river"))
    assert design.terms == ("Intercept", "age", "site[T.north]", "site[T.river]")
    assert design.raw_columns == ("age",)


def test_without_intercept_categories_are_coded_as_if_there_were_one() -> None:
    design = resolve(parse("age + sex + 0"), Facts(), COLUMNS, ("a",), intercept=False)
    assert design.terms == ("age", "sex[T.male]")


FACTS = Facts(
    levels={"stage": ("1", "2", "3")},
    quantiles={"bmi": {0.5: 26.0}, "age": {0.5: 55.0}},
    ranges={"bmi": (12.0, 60.0), "age": (18.0, 100.0)},
    moments={"crp": (4.0, 2.0)},
)
EVERYTHING = (
    "y ~ age*sex + dx + `血压 (mmHg)` + C(stage) + C(stage, Treatment(2)):crp + bs(bmi, df=4)*dx + log(crp)"
    " + I(age ** 2) + I(`血压 (mmHg)` / 10) + center(crp) + scale(crp) + site + sqrt(crp):site + smoker"
)


def test_designs_are_documents() -> None:
    import json

    design = resolve(parse(EVERYTHING), FACTS, COLUMNS, ("a", "b"))
    document = json.loads(json.dumps(design.to_document()))
    assert Design.from_document(document) == design


def test_a_model_given_by_names_is_the_model_of_the_formula() -> None:
    design = resolve(parse(EVERYTHING), FACTS, COLUMNS, ("a", "b"))
    named = design_of_terms(design.terms, FACTS, COLUMNS)
    assert (named.terms, named.columns) == (design.terms, design.columns)
    assert named.levels == design.levels


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("agee", "the term 'agee' cannot be read over the columns of the dataset. Did you mean 'age'?"),
        ("sex[T.diverse]", "'sex[T.diverse]' is not one that sex has"),
        ("sex", "'sex' is not one that sex has. A category is written sex[T.male]"),
        ("bs(bmi, df=4)", "is not one that bs(bmi, df=4) has"),
        ("bs(bmi, df=4)[9]", "is not one that bs(bmi, df=4) has"),
        ("bs(crp, df=4)[1]", "ends of the spline over 'crp' are not known"),
        ("scale(bmi)", "scale(bmi) needs the mean of 'bmi', which is not known here"),
        ("age:eval(x)", "cannot be read"),
    ],
)
def test_names_that_are_no_terms(term: str, words: str) -> None:
    with pytest.raises(StudyError) as refused:
        design_of_terms(("Intercept", term), FACTS, COLUMNS)
    assert words in str(refused.value)


def test_a_term_given_twice() -> None:
    with pytest.raises(StudyError, match="the term 'age' is given twice"):
        design_of_terms(("age", "age"), FACTS, COLUMNS)


def test_the_manual_of_calls_is_the_list() -> None:
    for call in calls.ALLOWED:
        assert re.search(rf"\b{call}\b", formula.__doc__ or "")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="yage sex~+-*:/^()[]0123,.'\"`=CIbs\\\n血", max_size=30))
@example("y ~ " + "(" * 500)
@example("y ~ C" + "(" * 500 + ")" * 500)
@example("y ~ I(" + "-" * 5000 + "age)")
@example("y ~ (a+b+c+d+e+f+g+h+i+j+k+l)**6*(m+n+o+p)**6")
def test_any_text_is_a_formula_or_a_sentence(text: str) -> None:
    try:
        parse(text)
    except StudyError as refused:
        assert refused.what and refused.remedy


def test_a_term_that_stands_there_twice_counts_once_as_formulaic_has_it() -> None:
    assert parse("y ~ age + sex + age").terms == (("age",), ("sex",))
    assert parse("y ~ age:sex + sex:age").terms == (("age", "sex"),)
    assert parse("y ~ age + site + site").terms == (("age",), ("site",))
