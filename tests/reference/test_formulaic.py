"""Designs against formulaic: the same names in the same order, the same matrix to 1e-12."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.features.chunks import chunks
from atoll.features.table import memory_table
from atoll.study.coding import needs, resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column, Dictionary
from atoll.study.formula import parse
from atoll.study.view import View

pd = pytest.importorskip("pandas")
formulaic = pytest.importorskip("formulaic")

COLUMNS: Dictionary = {
    "y": Column("flag"),
    "age": Column("number"),
    "x": Column("number"),
    "年龄": Column("number"),
    "blood pressure": Column("number"),
    "smoker": Column("flag"),
    "sex": Column("category", levels=("female", "male")),
    "dx": Column("category", levels=("E11: type 2", "[60-70)", "rest]")),
    "病 区": Column("category", levels=("内科", "外科", "急诊")),
    "cp": Column("number"),
    "cf": Column("number"),
    "code": Column("category", levels=("1", "2", "3")),
}


def frame(n: int = 240) -> Any:
    """The table in which every formula of this file is read; missing values in three columns."""
    r = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "y": (r.random(n) < 0.4).astype(float),
            "age": np.round(r.normal(60, 10, n), 2),
            "x": np.round(r.gamma(2.0, 2.0, n) + 0.01, 3),
            "年龄": np.round(r.uniform(20, 80, n), 1),
            "blood pressure": np.round(r.normal(130, 15, n)),
            "smoker": (r.random(n) < 0.3).astype(float),
            "sex": r.choice(["female", "male"], n),
            "dx": r.choice(["E11: type 2", "[60-70)", "rest]"], n),
            "病 区": r.choice(["内科", "外科", "急诊"], n),
            "cp": r.integers(1, 5, n),
            "cf": r.integers(1, 4, n).astype(float),
            "code": r.choice(["1", "2", "3"], n),
        }
    )
    for name in ("age", "x", "sex"):
        table.loc[r.choice(n, 6, replace=False), name] = None
    return table


FRAME = frame()


def facts_of(formula: Any, data: Any) -> Facts:
    """What the first round of a study would find, from the complete rows of one table."""
    wanted = needs(formula, COLUMNS)
    complete = {name: data[name].dropna() for name in formula.columns}  # formulaic takes each column by itself
    return Facts(
        levels={name: tuple(f"{v:g}" for v in np.unique(complete[name])) for name in wanted.levels},
        quantiles={
            name: {p: float(np.quantile(complete[name], p)) for p in probabilities}
            for name, probabilities in wanted.quantiles.items()
        },
        ranges={name: (float(complete[name].min()), float(complete[name].max())) for name in wanted.quantiles},
        moments={name: (float(complete[name].mean()), float(complete[name].std(ddof=1))) for name in wanted.moments},
    )


def ours(text: str, data: Any = FRAME) -> tuple[list[str], Any]:
    """Names and matrix of a formula, the way a hospital computes them."""
    formula = parse(text)
    design = resolve(formula, facts_of(formula, data), COLUMNS, ("only",))
    view = View(design=design, outcome=formula.response)
    rows = next(iter(chunks(memory_table(data), view, COLUMNS, "only", 1, None)))
    return list(design.terms), rows.X


def theirs(text: str, data: Any = FRAME) -> tuple[list[str], Any]:
    """Names and matrix of the same formula by formulaic."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = formulaic.model_matrix(text, data.copy(), context={"sqrt": np.sqrt, "abs": np.abs})
    matrix = getattr(matrix, "rhs", matrix)
    # formulaic orders words alphabetically; so are the levels of our dictionary, in the order of their characters
    return list(matrix.columns), np.asarray(matrix, dtype=float)


FORMULAS = [
    "y ~ 1",
    "y ~ age",
    "age + sex",
    "y ~ 0 + age",
    "y ~ age - 1",
    "y ~ -1 + sex",
    "y ~ sex + 0",
    "y ~ 0 + sex + code",
    "y ~ age + C(sex) + smoker",
    "y ~ age*sex",
    "y ~ age:sex",
    "y ~ sex:code",
    "y ~ sex*code*age",
    "y ~ 0 + sex:code + age",
    "y ~ sex/age",
    "y ~ (age + sex + x)**2 - age:x",
    "y ~ (age + sex + code)^3",
    "y ~ C(cp)",
    "y ~ C(cp, Treatment(2))",
    "y ~ C(sex, Treatment('male'))",
    'y ~ C(sex, Treatment(reference="male"))*age',
    'y ~ C(sex, contr.treatment("male"))',
    'y ~ C(code, contr.treatment(base="2")) + 0',
    "y ~ code + cp",
    "y ~ `blood pressure` + `病 区` + 年龄",
    "y ~ C(`病 区`) + log(`blood pressure`)",
    "y ~ bs(`blood pressure`, df=5)",
    "y ~ dx + dx:age",
    "y ~ bs(年龄, df=4)",
    "y ~ bs(x, df=3) + bs(age, df=6, degree=2)",
    "y ~ bs(age, knots=[50, 60.5])*sex",
    "y ~ bs(age, knots=(55,), degree=1)",
    "y ~ bs(age, df=4, lower_bound=0, upper_bound=120)",
    "y ~ bs(age, 4)",
    "y ~ bs(age, knots=[55, 65], lower_bound=45, upper_bound=75, extrapolation='clip')",
    "y ~ log(x) + log2(x) + log10(x) + exp(x) + sqrt(x)",
    "y ~ I(x**2) + I(x ** 3) + I(x/10) + I(x - 5)",
    "y ~ I(x**-1) + I(100 * x) + I(x)",
    "y ~ I(x / age) + I(-x + 3 * age) + I(abs(x - 4)) + exp(I(x / 10)) + log(`blood pressure` + 1):sex",
    "y ~ log(`blood pressure` / age)",
    "y ~ center(年龄) + scale(`blood pressure`) + center(年龄):sex",
    "y ~ scale(`blood pressure`)",
    "y ~ age:x + x:age:smoker",
    "y ~ x:sex:age + sex",
    "~ age + sex",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_names_and_matrix_are_formulaics(text: str) -> None:
    names, X = ours(text)
    expected, matrix = theirs(text)
    assert names == expected
    np.testing.assert_allclose(X, matrix, rtol=1e-12, atol=1e-12)


FACTORS = st.sampled_from(["age", "x", "smoker", "sex", "code", "dx", "C(cp)", "C(sex)", "log(x)", "I(x ** 2)"])


@st.composite
def formulas(draw: Any) -> str:
    """Sums of products with removals, in which lower-order margins may be missing."""
    operators = st.sampled_from([":", "*", ":", "/"])
    terms = []
    for _ in range(draw(st.integers(1, 4))):
        factors = draw(st.lists(FACTORS, min_size=1, max_size=3, unique=True))
        if "sex" in factors and "C(sex)" in factors:
            factors.remove("sex")
        text = factors[0]
        for factor in factors[1:]:
            text += draw(operators) + factor
        terms.append(text)
    start = draw(st.sampled_from(["", "0 + ", "1 + "]))
    return start + " + ".join(dict.fromkeys(terms))


@settings(deadline=None, max_examples=120, derandomize=True)
@given(formulas())
def test_full_rank_coding_is_formulaics(text: str) -> None:
    from atoll.errors import StudyError

    try:
        names, X = ours(text)
    except StudyError as error:
        assert "twice" in str(error)
        return
    expected, matrix = theirs(text)
    assert names == expected
    np.testing.assert_allclose(X, matrix, rtol=1e-12, atol=1e-12)
