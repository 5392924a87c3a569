"""Splines of a model: no ratio for a basis function, and the curve that they draw together with its band."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

import atoll
from atoll.ui import charts, effects, kinds, report, splines
from atoll.ui.charts import NARROW, WIDE
from atoll.ui.words import Say
from tests.conformance.world import COLUMNS, split, world
from tests.unit.test_charts import drawn, words
from tests.unit.test_kinds import page

NETWORK = atoll.Network(
    split(world(1, 900), np.random.default_rng(2).integers(0, 3, 900)), policy="public", columns=COLUMNS, threads=1
)
FIT = NETWORK.run("glm", formula="y ~ bs(age, df=5) + bs(bmi, df=3) + C(sex)", family="binomial").document
BENT = [f"bs(age, df=5)[{i}]" for i in range(1, 6)] + [f"bs(bmi, df=3)[{i}]" for i in range(1, 4)]


def others(x, low, high, knots, degree=3):
    """All basis functions but the first, by SciPy."""
    t = np.array([low] * (degree + 1) + list(knots) + [high] * (degree + 1))
    return BSpline.design_matrix(np.clip(x, low, high), t, degree).toarray()[:, 1:]


def test_a_curve_is_the_difference_of_predictors_with_the_error_of_that_difference():
    age, bmi = splines.curves(FIT)
    knots = next(one[0]["knots"] for one in FIT["model"]["design"]["columns"] if one and one[0].get("spline") == "age")
    for curve, inner in ((age, knots), (bmi, [])):
        low, high = COLUMNS[curve.column].low, COLUMNS[curve.column].high
        assert (curve.x[0], curve.x[-1]) == (low, high)
        terms = [i for i, term in enumerate(FIT["terms"]) if term.startswith(f"bs({curve.column}")]
        apart = others(curve.x, low, high, inner) - others(np.array([curve.reference]), low, high, inner)
        np.testing.assert_allclose(curve.middle, apart @ np.asarray(FIT["params"])[terms], atol=1e-9)
        variance = np.einsum("xi,ij,xj->x", apart, np.asarray(FIT["cov"])[np.ix_(terms, terms)], apart)
        np.testing.assert_allclose(curve.upper - curve.middle, 1.959963984540054 * np.sqrt(variance), atol=1e-6)
        np.testing.assert_allclose(curve.middle - curve.lower, curve.upper - curve.middle, atol=1e-12)


def test_the_reference_is_the_middle_knot_else_the_middle_of_the_range():
    age, bmi = splines.curves(FIT)
    assert bmi.reference == 36.0 and abs(age.reference - float(np.median(world(1, 900)["age"]))) < 3
    assert age.reference == float(f"{age.reference:.3g}"), "a number that one can read"
    assert np.interp(age.reference, age.x, age.upper) == np.interp(age.reference, age.x, age.lower) == 0.0


def test_a_basis_function_has_a_coefficient_and_no_ratio():
    rows = {row["term"]: row for row in kinds.rows(FIT)}
    assert splines.basis_terms(FIT) == set(BENT)
    for term, row in rows.items():
        assert np.isfinite([row["estimate"], row["se"], row["p"]]).all()
        assert np.isnan([row["ratio"], row["ratio_lower"], row["ratio_upper"]]).all() == (term in BENT)
    line = next(line for line in report.to_csv(FIT).splitlines() if line.startswith('"bs(age, df=5)[1]"'))
    assert ",,,," in line, "the ratio's cells are empty"
    assert "bs(" not in charts.forest(FIT).svg and "C(sex)[T.male]" in charts.forest(FIT).svg


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_chart_holds_the_forest_and_each_curve_with_its_axes(width, language):
    said = words(drawn(kinds.chart(FIT, Say(language), width), width))
    years, against = ("years", "odds ratio against 36 kg/m2 (95 % interval)") if language == "en" else (
        "年", "以 36 kg/m2 为参照的比值比 (95% 置信区间)")  # fmt: skip
    assert {"C(sex)[T.male]", f"age ({years})", "bmi (kg/m2)", against} <= set(said)
    assert not any(word.startswith("bs(") for word in said)
    assert kinds.chart(FIT, Say(language), width).svg.count("<svg") == 1


def test_a_model_without_ratios_shows_differences():
    fit = NETWORK.run("glm", formula="bmi ~ bs(age, df=4)").document
    said = words(drawn(kinds.chart(fit), WIDE))
    assert any(word.startswith("difference against ") for word in said) and "coefficient (95 % interval)" not in said
    probit = NETWORK.run("glm", formula="y ~ bs(age, df=4)", family="binomial", link="probit").document
    assert any(
        word.startswith("difference of the linear predictor") for word in words(drawn(kinds.chart(probit), WIDE))
    )


def test_a_cox_model_has_curves_of_hazard_ratios():
    fit = NETWORK.run("cox", formula="bs(age, df=4) + sex", time="t", event="e").document
    assert any(word.startswith("hazard ratio against") for word in words(drawn(kinds.chart(fit), WIDE)))


def test_a_curve_stops_where_it_leaves_the_axis():
    x = np.linspace(0, 1, 121)
    middle = np.where(x < 0.7, x, x + 60 * (x - 0.7))
    wide = np.where(x < 0.7, 0.2, 30.0)
    curve = splines.Curve("x", (), 0.0, x, middle, middle - wide, middle + wide)
    svg = effects.effect(curve, {"link": "logit", "family": "binomial"}).svg
    path = svg.split('class="curve c0" d="')[1].split('"')[0]
    assert 80 < path.count("L") < 110, "all but the end that nobody knows"


def test_a_column_that_acts_in_other_terms_too_has_no_curve():
    fit = NETWORK.run("glm", formula="y ~ bs(age, df=4) * smoker", family="binomial").document
    assert splines.curves(fit) == [] and "bs(age, df=4)[1]" in splines.basis_terms(fit)
    said = "A spline whose column stands in other terms too has no curve here"
    assert said in page(fit)[1] and said not in page(FIT)[1]


def test_a_design_that_cannot_be_read_is_none():
    without = {name: value for name, value in FIT.items() if name != "model"}
    for document in (without, FIT | {"model": {"design": {"terms": ["a"]}}}, FIT | {"terms": ["a"]}):
        assert splines.curves(document) == [] and splines.basis_terms(document) == frozenset()


def test_the_page_calls_a_curve_as_the_dictionary_does():
    shown = report.report(FIT, COLUMNS, Say("en"))
    assert [curve["name"] for curve in shown["curves"]] == ["age", "bmi"]
    _, text = page(FIT, "zh")
    assert text.count("<figure>") == 3 and "样条的各个系数单独没有意义" in text
