"""Charts: well-formed, told in words, without NaN, in bounds, whatever the result holds."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from atoll.ui import charts, drawing, kinds
from atoll.ui.charts import NARROW, WIDE, Mark
from atoll.ui.results import Result
from atoll.ui.words import Say


def model(terms, params, bse, **more):
    return (
        {"algorithm": "glm", "family": "binomial", "link": "logit", "sites": ["a"]}
        | more
        | {
            "terms": terms,
            "params": params,
            "bse": bse,
        }
    )


def survival(times, groups):
    def group(level):
        s = [None if level is None else max(1 - level * t / 1000, 0.0) for t in times]
        return {
            "survival": s,
            "se": [0.01] * len(times),
            "lower": [None if v is None else max(v - 0.1, 0) for v in s],
            "upper": [None if v is None else min(v + 0.1, 1) for v in s],
            "at_risk": [1000 - i for i in range(len(times))],
            "events": list(range(len(times))),
            "median": [None, None, None],
        }

    return {
        "algorithm": "kaplan_meier",
        "times": times,
        "unit": "d",
        "logrank": None,
        "sites": ["a"],
        "groups": {name: group(level) for name, level in groups.items()},
    }


def drawn(chart, width):
    """The drawing, after what must hold for every one."""
    root = ET.fromstring(chart.svg)
    assert root.get("role") == "img" and root.get("aria-label")
    assert not re.search(r"\bnan\b|\binf\b", chart.svg)
    assert "style=" not in chart.svg
    high = float(root.get("viewBox").split()[3])
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in ("x", "x1", "x2", "cx"):
                assert -1 <= float(value) <= width + 1, element.attrib
            if name in ("y", "y1", "y2", "cy"):
                assert -1 <= float(value) <= high + 1, element.attrib
    return root


def words(root):
    return ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]


LONG = "bs(a_very_long_column_name_indeed, df=4)[1]:C(血压控制情况分组)[T.良好]"
GROUPS = {f"第{i}组，名称很长的一个组别": 0.1 * i for i in range(7)}
TERMS = ["Intercept", "age", "sex[T.male]"]
CASES = {
    "ratios": model(TERMS, [-3.0, 0.03, 0.4], [0.5, 0.01, 0.1]),
    "differences": model(TERMS, [120.0, 0.4, -2.0], [1.0, 0.02, 0.4], link="identity", family="gaussian"),
    "huge interval": model(TERMS, [-3.0, 0.03, 12.0], [0.5, 0.01, 400.0]),
    "no error": model(TERMS, [-3.0, 0.0, 0.4], [0.0, 0.0, 0.1]),
    "tiny effects": model(TERMS, [-3.0, 1e-5, 2e-5], [0.5, 1e-6, 1e-6]),
    "all alike": model(["x"], [0.0], [0.0], link="identity"),
    "many terms": model([f"x{i}" for i in range(80)], list(np.linspace(-2, 2, 80)), [0.2] * 80),
    "long names": model(["Intercept", LONG], [0, 1], [1, 1]),
    "cox": {k: v for k, v in model(["age"], [0.03], [0.01], algorithm="cox").items() if k != "link"},
    "curve": survival([float(t) for t in range(1, 1500, 7)], {"a": 0.3, "b": 0.5}),
    "high curve": survival([float(t) for t in range(1, 900, 7)], {"all": 0.02}),
    "few times": survival([365.0, 730.0], {"female": 0.3, "male": 0.4}),
    "one time": survival([365.0], {"all": 0.3}),
    "no values": survival([10.0, 20.0], {"a": None, "b": 0.3}),
    "seven groups": survival([float(t) for t in range(1, 900, 50)], GROUPS),
    "describe": {"algorithm": "describe", "categories": {"sex": {"female": 9, "male": 0}}, "numbers": {}},
    "performance": {
        "algorithm": "performance",
        "auc": 0.81,
        "auc_lower": 0.78,
        "auc_upper": 0.83,
        "brier": 0.1,
        "observed_expected": 1.02,
        "calibration_in_the_large": 0.0,
        "calibration_slope": 1.0,
        "sites_apart": {
            "north": {
                "auc": None, "brier": 0.1, "observed_expected": None, "calibration_in_the_large": 0.1,
                "calibration_intercept": 0.0, "calibration_slope": 1.1,
            }
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("name", CASES)
def test_every_chart_is_well_formed_and_in_bounds(name, width):
    drawn(kinds.chart(CASES[name], Say("zh"), width), width)


def test_calibration_leaves_out_what_cannot_be_divided():
    root = drawn(charts.calibration(CASES["performance"]), WIDE)
    assert "–" in words(root)


def test_a_forest_tells_terms_and_ratios_in_words():
    root = drawn(kinds.chart(CASES["ratios"]), WIDE)
    assert root.get("aria-label") == "odds ratio: age 1.03 (1.01, 1.05); sex[T.male] 1.49 (1.23, 1.81)"
    assert "sex[T.male]" in words(root) and "Intercept" not in words(root)
    assert "比值比 (95% 置信区间)" in words(drawn(kinds.chart(CASES["ratios"], Say("zh")), WIDE))


def test_an_interval_beyond_the_axis_ends_in_an_arrow():
    assert len(re.findall("<path", kinds.chart(CASES["huge interval"]).svg)) == 2
    assert "<path" not in kinds.chart(CASES["ratios"]).svg


def test_persons_at_risk_stand_under_the_ticks():
    root = drawn(kinds.chart(CASES["few times"]), WIDE)
    said = words(root)
    assert said[-3:] == ["male", "1,000", "999"]
    assert {"0", "365", "730", "persons at risk", "time (days)"} <= set(said)


def test_curves_that_stay_high_are_shown_where_they_are():
    assert "80 %" in words(drawn(kinds.chart(CASES["high curve"]), WIDE))
    assert "0 %" not in words(drawn(kinds.chart(CASES["high curve"]), WIDE))


def test_ratio_names_follow_family_and_link():
    def named(**how):
        return kinds.chart(model(["x"], [0.1], [0.1], **how)).svg.split("aria-label=")[1].split(":")[0].strip('"')

    assert named(link="log", family="poisson") == "rate ratio"
    assert named(link="log", family="binomial") == "risk ratio"
    assert named(link="log", family="gamma") == "ratio of means"
    assert named(link="cloglog") == "hazard ratio"
    assert named(link="probit") == "coefficient"


def test_a_chart_stands_alone_in_a_file_and_in_a_notebook(tmp_path):
    chart = Result(CASES["ratios"]).plot()
    chart.save(tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text("utf-8")
    assert text == chart._repr_svg_()
    mark, style = list(ET.fromstring(text))[:2]
    assert mark.tag.endswith("metadata"), "so that Atoll may replace it, and no file of another's"
    assert style.tag.endswith("style")


def test_a_kind_without_a_chart_says_what_to_do():
    with pytest.raises(ValueError, match=r"a result of toy has no chart; use to_frame\(\) or summary\(\)"):
        kinds.chart({"algorithm": "toy"})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "1.00"),
        (0.99999, "1.00"),
        (1234.5, "1,234"),
        (-0.0312, "−0.0312"),
        (0.0, "0.00"),
        (1e-7, "1.00e−07"),
        (2.5e9, "2.50e+09"),
        (float("nan"), "–"),
        (float("-inf"), "−∞"),
    ],
)
def test_numbers_are_written_as_people_write_them(value, shown):
    assert drawing.number(value) == shown


def test_a_chinese_letter_is_as_wide_as_it_is_high():
    assert drawing.text_width("血压", 10) == 20
    assert drawing.text_width("ab", 10) == pytest.approx(11.2)
    assert drawing.shortened("a" * 100, 100).count("…") == 1
    assert drawing.text_width(drawing.shortened("血压控制情况分组", 60)) <= 60 + 13


def test_a_mark_without_a_value_is_named_and_not_drawn():
    chart = charts.dots([Mark("x", float("nan")), Mark("y", 1.0)], "t", "axis")
    assert chart.svg.count("<rect") == 1 and "x" in words(drawn(chart, WIDE))
