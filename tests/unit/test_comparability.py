"""Hospitals side by side: what is in another unit, on two scales, missing or absent is named, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import atoll
from atoll.study.dictionary import Column
from atoll.study.units import analyte_in, likely_unit
from atoll.ui import kinds, layout, report
from atoll.ui.words import Say

SITES = ("north", "river", "shore", "tower")
COLUMNS = {
    "hba1c": Column("number", unit="%"),
    "glucose": Column("number", unit="mmol/L"),
    "creatinine": Column("number", unit="umol/L"),
    "weight": Column("number", unit="kg"),
    "crp": Column("number", unit="mg/L"),
    "change": Column("number"),
    "sex": Column("category", ("female", "male")),
    "stage": Column("category", ("I", "II", "III")),
    "smoker": Column("flag"),
}


def hospital(seed, n=900):
    """Patients of a hospital; older and sicker with the seed."""
    r = np.random.default_rng(seed)
    return {
        "hba1c": r.normal(5.9 + 0.1 * seed, 0.9, n).clip(4),
        "glucose": r.lognormal(np.log(5.7 + 0.1 * seed), 0.22, n),
        "creatinine": r.lognormal(np.log(80 + 3 * seed), 0.3, n),
        "weight": r.normal(76, 14, n).clip(40),
        "crp": r.lognormal(1.2, 1.3, n),
        "change": r.normal(0, 2, n),
        "sex": r.choice(["female", "male"], n, p=[0.45 + 0.03 * seed, 0.55 - 0.03 * seed]),
        "stage": r.choice(["I", "II", "III"], n),
        "smoker": (r.random(n) < 0.25) * 1.0,
    }


def compared(change=None, sites=SITES, policy="strict"):
    """Findings by site as (column, kind, …); `change` edits the tables."""
    tables = {site: hospital(i) for i, site in enumerate(sites)}
    if change:
        change(tables)
    network = atoll.Network(tables, policy=policy, columns=COLUMNS)
    return network.run("comparability", columns=list(COLUMNS)).document


def sugar_in_other_units(tables):
    """HbA1c in mmol/mol at one hospital; a part of glucose in mg/dL, and a third without CRP, at others."""
    tables["river"]["hba1c"] = (tables["river"]["hba1c"] - 2.152) / 0.09148
    part = np.arange(900) % 10 == 0
    tables["tower"]["glucose"] = np.where(part, tables["tower"]["glucose"] * 18, tables["tower"]["glucose"])
    tables["shore"]["crp"] = np.where(np.arange(900) % 3, tables["shore"]["crp"], np.nan)


def told(document):
    return {site: [(f["column"], f["kind"]) for f in one["findings"]] for site, one in document["sites_apart"].items()}


def quiet():
    return {site: [] for site in SITES}


@pytest.mark.parametrize("policy", ["strict", "public"])
def test_hospitals_that_are_alike_stand_apart_nowhere(policy):
    document = compared(policy=policy)
    assert told(document) == quiet()
    for site in SITES:
        columns = document["sites_apart"][site]["columns"]
        table = hospital(SITES.index(site))
        for name in ("hba1c", "glucose", "creatinine", "weight", "crp"):
            assert columns[name]["median"] == pytest.approx(np.median(table[name]), rel=0.12)
        assert columns["sex"]["shares"]["female"] == pytest.approx((table["sex"] == "female").mean(), abs=0.02)


@pytest.mark.parametrize(
    ("column", "other", "slope", "offset"),
    [("hba1c", "mmol/mol", 1 / 0.09148, -2.152 / 0.09148), ("glucose", "mg/dL", 18.016, 0),
     ("creatinine", "mg/dL", 1 / 88.42, 0), ("weight", "[lb_av]", 2.2046, 0)],
)  # fmt: skip
def test_another_unit_is_named_at_the_hospital_that_has_it(column, other, slope, offset):
    def change(tables):
        tables["river"][column] = tables["river"][column] * slope + offset

    document = compared(change)
    assert told(document) == quiet() | {"river": [(column, "unit")]}
    finding = document["sites_apart"]["river"]["findings"][0]
    assert finding["looks_like"] == other
    assert finding["here"] == pytest.approx(np.median(hospital(1)[column]) * slope + offset, rel=0.2)


def test_of_two_hospitals_the_one_whose_unit_explains_it():
    def change(tables):
        tables["river"]["hba1c"] = (tables["river"]["hba1c"] - 2.152) / 0.09148

    assert told(compared(change, SITES[:2])) == {"north": [], "river": [("hba1c", "unit")]}


def test_a_level_that_no_unit_explains_is_told_as_that():
    def change(tables):
        tables["shore"]["glucose"] = tables["shore"]["glucose"] * 3.1

    document = compared(change)
    assert told(document) == quiet() | {"shore": [("glucose", "level")]}
    assert document["sites_apart"]["shore"]["findings"][0]["looks_like"] == ""


@pytest.mark.parametrize(("times", "said"), [(1.65, []), (1.95, [("creatinine", "level")])])
def test_patients_may_differ_by_three_quarters_and_not_by_twice(times, said):
    def change(tables):
        for at, site in enumerate(SITES):
            tables[site]["creatinine"] = 80 * np.exp(np.random.default_rng(at).normal(0, 0.12, 900))
        tables["river"]["creatinine"] = tables["river"]["creatinine"] * times

    assert told(compared(change)) == quiet() | {"river": said}


@pytest.mark.parametrize(("of", "said"), [(20, [("glucose", "mixed")]), (90, [])])
def test_one_value_in_twenty_in_another_unit_is_told_one_in_ninety_may_be_an_illness(of, said):
    def change(tables):
        part = np.arange(900) % of == 0
        tables["tower"]["glucose"] = np.where(part, tables["tower"]["glucose"] * 18, tables["tower"]["glucose"])

    assert told(compared(change)) == quiet() | {"tower": said}


def test_values_in_two_units_under_one_name():
    def change(tables):
        part = np.arange(900) % 10 == 0
        tables["tower"]["glucose"] = np.where(part, tables["tower"]["glucose"] * 18, tables["tower"]["glucose"])

    document = compared(change)
    assert told(document) == quiet() | {"tower": [("glucose", "mixed")]}
    assert document["sites_apart"]["tower"]["findings"][0]["here"] == pytest.approx(0.1, abs=0.03)


def test_what_is_missing_or_absent_at_one_hospital():
    def change(tables):
        tables["north"]["crp"] = np.where(np.arange(900) % 2, np.nan, tables["north"]["crp"])
        tables["river"]["stage"] = np.where(tables["river"]["stage"] == "III", "II", tables["river"]["stage"])
        tables["shore"]["smoker"] = np.zeros(900)
        tables["tower"]["hba1c"] = np.full(900, np.nan)

    document = compared(change)
    assert told(document) == {
        "north": [("crp", "missing")], "river": [("stage", "share")], "shore": [("smoker", "share")],
        "tower": [("hba1c", "missing")],
    }  # fmt: skip
    third = pytest.approx(1 / 3, abs=0.04)
    assert document["sites_apart"]["river"]["findings"][0] == {
        "column": "stage", "kind": "share", "level": "III", "here": pytest.approx(10 / 900), "here_least": 0.0,
        "elsewhere": third, "elsewhere_least": third,
    }  # fmt: skip


FEW = {"fault": Column("flag")}


def faults(*numbers, n=500, policy="strict"):
    """Hospitals of `n` persons, so many of them with a fault: shares of `1` (least, most), and findings."""
    tables = {f"h{i}": {"fault": (np.arange(n) < bad) * 1.0} for i, bad in enumerate(numbers)}
    document = atoll.Network(tables, policy=policy, columns=FEW).run("comparability", columns=["fault"]).document
    own = [one["columns"]["fault"] for one in document["sites_apart"].values()]
    return [(one["shares_least"]["1"], one["shares"]["1"]) for one in own], told(document), own


def test_few_at_fault_everywhere_are_a_share_between_bounds_and_no_finding():
    shares, findings, own = faults(5, 3, 2, n=510)
    assert shares == [(0.0, pytest.approx(10 / 510))] * 3
    assert all(list(one["shares"]) == ["0", "1"] for one in own), "no level that is nobody's"
    assert all(one["shares_least"]["0"] <= 505 / 510 <= one["shares"]["0"] for one in own)
    assert findings == {"h0": [], "h1": [], "h2": []}


@pytest.mark.parametrize("bad", [0, 1, 3, 9, 10, 11])
def test_few_beside_some_are_no_finding_whatever_the_policy(bad):
    shares, findings, _ = faults(bad, 40, 60)
    assert shares[0] == ((0.0, 0.02) if bad < 10 else (0.02, 0.02)), "eleven are told as ten"
    assert findings == {"h0": [], "h1": [], "h2": []}
    exact, findings, _ = faults(bad, 40, 60, policy="public")
    assert exact == [(share, share) for share in (bad / 500, 0.08, 0.12)]
    assert findings == {"h0": [] if bad else [("fault", "share")], "h1": [], "h2": []}


@pytest.mark.parametrize("bad", [0, 9])
def test_few_where_others_have_many_stand_apart(bad):
    assert faults(bad, 150, 170)[1] == {"h0": [("fault", "share")], "h1": [], "h2": []}
    assert faults(150, bad, bad)[1]["h0"] == [], "three in ten are not yet another distribution"
    assert faults(250, bad, bad)[1]["h0"] == [("fault", "share")]


def test_a_column_that_few_have_is_empty_and_refuses_nothing():
    def change(tables):
        tables["north"]["crp"] = np.where(np.arange(900) < 4, tables["north"]["crp"], np.nan)
        tables["river"]["glucose"] = np.where(np.arange(900) < 4, np.nan, tables["river"]["glucose"])
        tables["shore"]["stage"] = np.where(np.arange(900) < 3, "III", "I")

    document = compared(change)
    north, river = (document["sites_apart"][site]["columns"] for site in ("north", "river"))
    assert north["crp"]["missing"] == 1.0
    assert np.isnan(north["crp"]["median"])
    assert river["glucose"]["missing"] == 0.0, "four without a value look like none"


def test_only_multiples_of_the_minimum_leave():
    from atoll.algorithms import comparability

    document = compared()
    assert all(one["persons"] % 10 == 0 for one in document["sites_apart"].values())
    fields = comparability.Seen.__dataclass_fields__.values()
    assert {f.metadata["kind"].name for f in fields} == {"count", "table", "witness"}


@pytest.mark.parametrize(
    ("text", "unit", "here", "elsewhere", "likely"),
    [("hba1c", "%", 46, 6.4, "mmol/mol"), ("HbA1c, last", "mmol/mol", 6.4, 46, "%"), ("hba1c", "%", 6.2, 6.4, ""),
     ("fasting_glucose", "mg/dL", 5.6, 100, "mmol/L"), ("x", "mg/dL", 5.6, 100, ""), ("temperature", "Cel", 98.2, 36.8,
     "[degF]"), ("haemoglobin", "", 13, 130, ""), ("hemoglobin", "g/L", 13.5, 135, "g/dL"), ("x", "kg", -1, 3, "")],
)  # fmt: skip
def test_the_unit_that_would_explain_a_difference(text, unit, here, elsewhere, likely):
    assert likely_unit(text, unit, here, elsewhere) == likely


def test_an_analyte_is_found_in_the_name_of_a_column():
    assert analyte_in("last_HbA1c") == "hba1c"
    assert analyte_in("urea nitrogen (serum)") == "urea_nitrogen"
    assert analyte_in("glucosee") == ""


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", ["It looks like mmol/mol.", "of the values lie on another scale", "33 % of the persons have no value"]),
     ("zh", ["看起来单位是 mmol/mol", "不在同一量级", "33 % 的患者没有数值"])],
)  # fmt: skip
def test_the_page_says_what_stands_apart_and_draws_it(language, said):
    document = compared(sugar_in_other_units)
    shown = report.report(document, COLUMNS, Say(language))
    text = layout.render(layout.HERE / "templates", "result.html", language, shown=shown)
    assert all(sentence in text for sentence in said)
    assert "hba1c · river" in text and "hba1c · north" in text and "weight · north" not in text


def test_nothing_stands_apart_is_said_and_there_is_no_chart():
    shown = report.report(compared(), COLUMNS, Say("en"))
    assert not shown["charted"]
    assert "alike everywhere" in layout.render(layout.HERE / "templates", "result.html", "en", shown=shown)


def test_a_share_between_bounds_is_said_as_that():
    tables = {f"h{i}": {"fault": (np.arange(500) < bad) * 1.0} for i, bad in enumerate((3, 150, 170))}
    document = atoll.Network(tables, policy="strict", columns=FEW).run("comparability", columns=["fault"]).document
    for language in ("en", "zh"):
        shown = report.report(document, FEW, Say(language))
        text = layout.render(layout.HERE / "templates", "result.html", language, shown=shown)
        assert "32 %" in text and "30 %" in text and "34 %" in text
        assert text.count("≤ 2 %") == 2, "in the sentence and in the table"
    assert [row["share_least"] for row in kinds.rows(document)][:2] == [0.98, 0.0]
    assert [row["share"] for row in kinds.rows(document)][:2] == [1.0, 0.02]


def test_the_table_has_a_row_a_column_and_hospital():
    document = compared(sugar_in_other_units)
    table = kinds.rows(document)
    assert [row["finding"] for row in table if row["column"] == "hba1c"] == ["", "unit", "", ""]
    assert {row["level"] for row in table if row["column"] == "stage"} == {"I", "II", "III"}
    assert all(list(row) == list(table[0]) for row in table)
