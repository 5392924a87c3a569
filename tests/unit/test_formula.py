"""Formulas against the formulaic package: the same names, the same matrix, and clear refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.errors import StudyError
from atoll.features.design import chunks
from atoll.features.table import memory_table
from atoll.study.coding import design_of_terms, needs, resolve
from atoll.study.design import Design, Facts
from atoll.study.dictionary import Column
from atoll.study.formula import ALLOWED, parse
from atoll.study.view import View

N = 97
R = np.random.default_rng(5)
TABLE = {
    "y": R.normal(size=N),
    "a": R.normal(50, 10, N),
    "b": R.uniform(1, 9, N),
    "d": (R.random(N) < 0.4) * 1.0,
    "g": R.choice(["u", "v", "w"], N),
    "h": R.choice(["no", "yes"], N),
    "年龄": R.normal(60, 8, N),
    "性别": R.choice(["女", "男"], N),
    "body mass": R.normal(27, 4, N),
    "x.1": R.normal(size=N),
    "smoking now": R.choice(["no", "yes"], N),
    "k": R.choice([1.0, 2.0, 5.0], N),
}
COLUMNS = {
    name: Column("category", tuple(sorted(set(values)))) if values.dtype.kind == "U" else Column("number")
    for name, values in TABLE.items()
}
COLUMNS["k"] = Column("category", ("1", "2", "5"))

FORMULAS = [
    "y ~ a",
    "y ~ a + b",
    "y ~ a + b - 1",
    "y ~ 0 + a + b",
    "y ~ 1",
    "y ~ a + C(g)",
    "y ~ g",
    "y ~ 0 + g",
    "y ~ 0 + g + h",
    "y ~ g + h + g:h",
    "y ~ g * h",
    "y ~ g:h",
    "y ~ g:h - 1",
    "y ~ a * g",
    "y ~ a:g",
    "y ~ g:a",
    "y ~ a + a:g",
    "y ~ g / h",
    "y ~ g / a",
    "y ~ a:b",
    "y ~ a * b * d",
    "y ~ g * h * a",
    "y ~ g:h + g",
    "y ~ h + g:h",
    "y ~ (a + b + d)**2",
    "y ~ (a + g + h)^2",
    "y ~ (a + g) * h - g",
    "y ~ C(g, Treatment('v'))",
    "y ~ C(g, contr.treatment('w')) * a",
    "y ~ log(b)",
    "y ~ log2(b) + log10(b) + exp(d) + sqrt(b) + abs(a)",
    "y ~ I(a ** 2) + I(a / b) + I(-a + 3 * b)",
    "y ~ log(b):g",
    "y ~ center(a) + scale(b)",
    "y ~ center(a):h",
    "y ~ bs(a, df=4)",
    "y ~ bs(a, df=6, degree=3) + g",
    "y ~ bs(b, knots=[3, 5], degree=2, lower_bound=0, upper_bound=10)",
    "y ~ bs(a, df=5):h",
    "y ~ 年龄 + C(性别)",
    "y ~ 年龄 * 性别",
    "y ~ `body mass` + a",
    "y ~ `body mass`:g",
    "y ~ x.1",
    "y ~ log(`body mass`) + bs(`body mass`, df=4)",
    "y ~ C(`smoking now`) * a",
    "a + b + g",
]


def facts_of(formula):
    """What a survey would find, exactly."""
    wanted = needs(parse(formula), COLUMNS)
    used = {*wanted.quantiles, *wanted.moments}
    return Facts(
        quantiles={name: {q: float(np.quantile(TABLE[name], q)) for q in qs} for name, qs in wanted.quantiles.items()},
        ranges={name: (float(TABLE[name].min()), float(TABLE[name].max())) for name in used},
        moments={name: (float(TABLE[name].mean()), float(TABLE[name].std(ddof=1))) for name in used},
    )


def ours(formula, table=TABLE, columns=COLUMNS):
    design = resolve(parse(formula), facts_of(formula), columns, ("north",))
    (rows,) = chunks(memory_table(table), View(design=design, columns=("a",)), columns, "north", 1, None)
    return design, rows.X


@pytest.mark.parametrize("formula", FORMULAS)
def test_names_and_matrix_are_those_of_formulaic(formula):
    import formulaic
    import pandas as pd

    design, X = ours(formula)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.DataFrame(TABLE | {"k": TABLE["k"].astype(str)})
        wanted = formulaic.model_matrix(formula, frame, context={"sqrt": np.sqrt, "abs": np.abs, "I": lambda x: x})
        wanted = getattr(wanted, "rhs", wanted)
    assert list(design.terms) == list(wanted.columns)
    np.testing.assert_allclose(X, np.asarray(wanted, float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_design_survives_its_document(formula):
    design, _ = ours(formula)
    assert Design.from_document(design.to_document()) == design


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_design_is_what_its_terms_say(formula):
    """Where the names hold all that the design needs."""
    design, X = ours(formula)
    if any(word in formula for word in ("center", "scale", "df=")):
        return
    named = design_of_terms(design.terms, Facts(), COLUMNS)
    (rows,) = chunks(memory_table(TABLE), View(design=named, columns=("a",)), COLUMNS, "north", 1, None)
    np.testing.assert_array_equal(rows.X, X)


def test_a_code_is_a_level_by_its_number():
    design, X = ours("y ~ C(k)")
    assert design.terms == ("Intercept", "C(k)[T.2]", "C(k)[T.5]")
    np.testing.assert_array_equal(X[:, 2], TABLE["k"] == 5.0)


def test_the_sites_are_a_category_of_their_own():
    design = resolve(parse("y ~ a + site"), Facts(), COLUMNS, ("north", "river", "sea"))
    assert design.terms == ("Intercept", "site[T.river]", "site[T.sea]", "a") or design.terms == (
        "Intercept",
        "a",
        "site[T.river]",
        "site[T.sea]",
    )
    (rows,) = chunks(memory_table(TABLE), View(design=design, columns=("a",)), COLUMNS, "river", 1, None)
    assert set(rows.X[:, design.terms.index("site[T.river]")]) == {1.0}
    assert set(rows.X[:, design.terms.index("site[T.sea]")]) == {0.0}


REFUSED = [
    ("y ~ open('x')", r"'open' at position 5 is not a call that a formula may hold\. Allowed are C, bs, center"),
    ("y ~ np.log(a)", r"is not expected|is not a call"),
    ("y ~ __import__('os')", r"'__import__' at position 5 is not a call"),
    ("y ~ I(a.__class__)", r"is not arithmetic over columns"),
    ("y ~ I(exec('x'))", r"is not arithmetic over columns"),
    ("y ~ log(a, 2)", r"is not arithmetic over columns"),
    ("y ~ I(a if b else d)", r"is not arithmetic over columns"),
    ("y ~ I([a])", r"is not arithmetic over columns"),
    ("y ~ I(lambda: a)", r"is not arithmetic over columns"),
    ("y ~ a +", r"it ends too early"),
    ("y ~ a b", r"'b' at position 7 is not expected"),
    ("y ~ (a", r"it ends too early|not expected"),
    ("y ~ log(a", r"a bracket is not closed"),
    ("y ~ a ~ b", r"there are two `~`"),
    ("~ a", r"the outcome is missing"),
    ("log(y) ~ a", r"the outcome 'log\(y\)' is not a column"),
    ("y ~", r"it ends too early"),
    ("y ~ 0", r"it has no terms"),
    ("y ~ 2", r"is not expected"),
    ("y ~ a ** 9", r"is not expected"),
    ("y ~ bs(a)", r"bs takes either df or knots"),
    ("y ~ bs(a, df=4, knots=[1])", r"bs takes either df or knots"),
    ("y ~ bs(a, df=1000)", r"df must be a whole number from 3 to 30"),
    ("y ~ bs(a, df=4, degree=9)", r"degree must be 1 to 5"),
    ("y ~ bs(a, df=4, rows=3)", r"bs has no option 'rows'"),
    ("y ~ bs(a, knots=['x'])", r"the options of bs are numbers"),
    ("y ~ bs(a, knots=3)", r"cannot be read"),
    ("y ~ bs(a, knots=open)", r"cannot be read"),
    ("y ~ bs(log(a), df=4)", r"the first argument must be a column"),
    ("y ~ C(g, Sum)", r"C takes a column and, if wanted, Treatment"),
    ("y ~ C()", r"C needs a column"),
    ("y ~ center(a, b)", r"center takes one column"),
    ("y ~ " + "(" * 5000 + "a", r"nested too deeply|it ends too early"),
    ("y ~ I(" + "(" * 5000 + "a" + ")" * 5000 + ")", r"cannot be read|nested too deeply"),
    ("y ~ ; DROP TABLE x", r"is not expected"),
    ("y ~ a # comment", r"is not expected"),
    ("y ~ a:0", r"0 and 1 are about the intercept and stand alone"),
    ("y ~ bs(a, knots=3, degree=2)", r"knots are a list"),
]


@pytest.mark.parametrize(("formula", "words"), REFUSED, ids=[f[:30] for f, _ in REFUSED])
def test_what_is_no_formula_is_refused_with_its_place(formula, words):
    with pytest.raises(StudyError, match=words) as caught:
        parse(formula)
    assert caught.value.subject == "formula"
    assert caught.value.remedy


@given(st.text(alphabet="yab~+-*:/^()0129,=.'\"`[]{}_ \\Cbslogx\n性", max_size=40))
@settings(max_examples=400)
def test_any_text_is_a_formula_or_a_sentence(text):
    try:
        parse(text)
    except StudyError as error:
        assert error.what


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ ag", r"there is no column 'ag' in the dataset"),
        ("y ~ bmi", r"It has y, a, b"),
        ("y ~ log(g)", r"'g' is a category; log\(g\) needs a number\. Write C\(g\)\."),
        ("y ~ bs(g, df=4)", r"'g' is a category"),
        ("y ~ C(g, Treatment('z'))", r"names the level 'z', which 'g' does not have\. It has u, v, w\."),
        ("y ~ one", r"'one' has the one level 'x'\. A category needs two"),
        ("y ~ birth", r"'birth' is a date and cannot stand in a formula"),
        ("y ~ id", r"'id' is a person and cannot stand in a formula"),
        ("y ~ bs(a, knots=[90, 10], lower_bound=0, upper_bound=100)", r"must rise between its ends 0 and 100"),
        ("y ~ bs(a, knots=[200], lower_bound=0, upper_bound=100)", r"must rise between its ends 0 and 100"),
    ],
)
def test_a_formula_that_does_not_fit_the_columns_is_refused(formula, words):
    more = {"one": Column("category", ("x",)), "birth": Column("date"), "id": Column("person")}
    with pytest.raises(StudyError, match=words):
        resolve(parse(formula), Facts(), COLUMNS | more, ("north",))


@pytest.mark.parametrize(
    "terms", [("bs(a, knots=[50], lower_bound=0, upper_bound=100)[99]",), ("bs(a, df=4)[1]",), ("center(a)",), ("a b",)]
)
def test_terms_that_do_not_say_enough_are_refused(terms):
    with pytest.raises(StudyError):
        design_of_terms(terms, Facts(), COLUMNS)


def test_the_manual_of_calls_is_the_list():
    import atoll.study.formula as module

    for call in ALLOWED:
        assert f"{call}" in module.__doc__
