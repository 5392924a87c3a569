"""How the weights of sums are spread over persons: each record's figures against their definition, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from atoll.algorithms import cox, glm, kaplan_meier, performance
from atoll.features.chunks import chunks
from atoll.features.table import memory_table
from atoll.privacy.pairs import APART
from atoll.study.coding import resolve
from atoll.study.design import Facts
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.view import View

N = 240
R = np.random.default_rng(3)
COLUMNS = {
    "age": Column("number"),
    "x": Column("flag"),
    "y": Column("flag"),
    "cost": Column("number"),
    "t": Column("number", unit="d"),
    "e": Column("flag"),
    "arm": Column("category", ("a", "b")),
    "id": Column("person"),
}
TABLE = {
    "age": R.normal(size=N),
    "x": (R.random(N) < 0.4) * 1.0,
    "y": (R.random(N) < 0.5) * 1.0,
    "cost": R.gamma(2, 1, N),
    "t": np.ceil(R.exponential(50, N)),
    "e": (R.random(N) < 0.6) * 1.0,
    "arm": np.where(np.arange(N) % 3, "a", "b"),
}
REPEATED = np.arange(N) // 3  # every person has three rows
FORMS = pytest.mark.parametrize("ids", [np.arange(N), REPEATED], ids=["a row each", "three rows each"])
BETA = np.array([0.3, -0.8, 0.5])


def rows(ids, formula="y ~ x + age", **view):
    table, columns = dict(TABLE), dict(COLUMNS)
    if len(np.unique(ids)) < N:
        table["id"] = ids
    else:
        del columns["id"]
    parsed = parse(formula)
    design = resolve(parsed, Facts(), columns, ("north",), intercept="~" in formula)
    seen = View(design=design, outcome=parsed.response, **view)
    (found,) = chunks(memory_table(table), seen, columns, "north", 10, None)
    return found


def spread(weight, ids, where=True):
    """Σw and Σw² over persons, by the definition."""
    sums = np.array([weight[(ids == person) & where].sum() for person in np.unique(ids)])
    return [sums.sum(), (sums**2).sum()]


def close(found, wanted):
    np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-9, atol=1e-12)


def within(ids, *weights, by=(), of=True):
    """Of x: those with it and those without; of age: everybody; of a stratum: those in it and those elsewhere."""
    x = TABLE["x"] == 1
    of_x = [spread(w, ids, where & of) for where in (x, ~x) for w in weights]
    found = {
        "x": np.transpose(of_x),
        "age": np.transpose([spread(w, ids, np.ones(N, dtype=bool) & of) for w in weights]),
    }
    for name in by:
        here = [where for level in ("a", "b") for where in (TABLE[name] == level, TABLE[name] != level)]
        found[name] = np.transpose([spread(w, ids, where & of) for where in here for w in weights])
    return found


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, cells in wanted.items():
        close(found[name], cells)


@FORMS
def test_of_a_logistic_model_the_weight_the_risk_and_its_rest(ids):
    data = rows(ids)
    mu = expit(data.X @ BETA)
    weight, residual = mu * (1 - mu), data.y - mu
    for record in (
        glm.terms.on(data, family="binomial", link="logit", beta=BETA),
        glm.meat.on(data, family="binomial", link="logit", beta=BETA),
    ):
        equal(record.weights, {"model": np.transpose([spread(w, ids) for w in (weight, mu, 1 - mu)])})
        equal(record.within, within(ids, weight, mu, 1 - mu))
        equal(record.residuals, {"outcome": np.transpose([spread(residual**2, ids)])})


@FORMS
def test_of_a_gamma_model_the_weight_and_the_residual(ids):
    data = rows(ids, "cost ~ x + age")
    mu = np.exp(data.X @ BETA)
    residual = spread(((data.y - mu) / mu) ** 2, ids)
    sums, squares = (
        glm.terms.on(data, family="gamma", link="log", beta=BETA),
        glm.meat.on(data, family="gamma", link="log", beta=BETA),
    )
    for record in (sums, squares):
        equal(record.weights, {"model": np.transpose([spread(np.ones(N), ids)])})
        equal(record.within, within(ids, np.ones(N)))
    equal(sums.residuals, {"outcome": np.transpose([residual, residual])})  # those of the score, and Pearson's
    equal(squares.residuals, {"outcome": np.transpose([residual])})


@FORMS
def test_of_an_estimated_dispersion_who_makes_it_up(ids):
    data = rows(ids, "cost ~ x + age")
    mu = np.exp(data.X @ BETA)
    record = glm.terms.on(data, family="gaussian", link="log", beta=BETA)
    wanted = [spread((mu * (data.y - mu)) ** 2, ids), spread((data.y - mu) ** 2, ids)]
    equal(record.residuals, {"outcome": np.transpose(wanted)})
    close(record.pearson, ((data.y - mu) ** 2).sum())


@FORMS
def test_the_first_round_weighs_everybody_alike_and_the_outcome(ids):
    data = rows(ids, "cost ~ x + age")
    record = glm.start.on(data, family="gaussian", link="identity")
    equal(record.weights, {"model": np.transpose([spread(np.ones(N), ids)])})
    equal(record.residuals, {"outcome": np.transpose([spread(data.y**2, ids)])})


def hazards(data, beta, strata):
    """θ, and θ times what the events up to one's own time have met: a row's weight in the information (Breslow)."""
    X = data.X - data.X.mean(axis=0)
    theta = np.exp(X @ beta)
    time, died = data.time, data.event == 1
    met = np.zeros(N)
    for j in np.flatnonzero(died):
        at_risk = (time >= time[j]) & (strata == strata[j])
        met[at_risk] += 1 / theta[at_risk].sum()
    return theta, theta * met


@FORMS
@pytest.mark.parametrize("by", [(), ("arm",)])
def test_of_a_cox_model_the_hazard_and_its_share_of_the_information(ids, by):
    data = rows(ids, "x + age", time="t", event="e", strata=by, levels={"arm": ("a", "b")} if by else {})
    strata = (TABLE["arm"] == "b") * 1 if by else np.zeros(N)
    theta, mass = hazards(data, BETA[1:], strata)
    record = cox.within.on(data, ties="breslow", beta=BETA[1:])
    equal(record.weights, {"model": np.transpose([spread(theta, ids), spread(mass, ids)])})
    equal(record.within, within(ids, theta, mass, by=by))


@FORMS
def test_of_risk_sets_over_hospitals_every_cell(ids):
    data = rows(ids, "x + age", time="t", event="e", strata=("arm",), levels={"arm": ("a", "b")})
    grid = np.array([20.0, 60.0])
    record = cox.leaving.on(data, grid=grid, exact=False, strata=2, beta=BETA[1:], centre=np.zeros(2))
    theta = np.exp(data.X @ BETA[1:])
    cell = (TABLE["arm"] == "b") * 4 + np.searchsorted(grid, TABLE["t"]) + 1
    died = TABLE["e"] == 1
    design = np.column_stack([np.ones(N), data.X])
    of_all = (np.ones(N, dtype=bool), died, ~died)
    parts = [chosen for of in of_all for c in range(8) if (chosen := (cell == c) & of).any()]
    hats = [np.diag(design[p] @ np.linalg.pinv(design[p])) for p in parts]
    largest = [max(np.bincount(ids[p], hat)) for p, hat in zip(parts, hats, strict=True)]
    equal({"formula": record.weights["formula"]}, {"formula": [np.ones(len(parts)), largest]})
    equal({"outcome": record.weights["outcome"]}, {"outcome": spread(theta, ids)})
    looked_at = [within(ids, theta, by=("arm",), of=of) for of in (True, *parts)]
    equal(record.within, {name: np.concatenate([one[name] for one in looked_at], axis=1) for name in record.within})
    everybody = np.transpose([spread(theta, ids, cell == c) for c in range(8)])
    events = np.transpose([spread(theta, ids, (cell == c) & died) for c in range(8)])
    equal(record.cells, {"model": everybody, "event": events})
    persons = [len(np.unique(ids[died == value])) for value in (True, False)]
    equal(record.outcomes, {"outcome": persons})


@FORMS
def test_of_a_recalibration_the_risks_of_all_three_models(ids):
    data = rows(ids)
    eta = data.X @ BETA
    parameters = np.array([0.4, -0.3, 1.7])
    record = performance.recalibration.on(data, beta=BETA, link="logit", parameters=parameters)
    p, large, moved = expit(eta), expit(0.4 + eta), expit(-0.3 + 1.7 * eta)
    assert_masses(record, ids, p, large, moved)
    for name in ("scores", "own"):
        assert_masses(getattr(performance, name).on(data, beta=BETA, link="logit"), ids, p)


def assert_masses(record, ids, *risks):
    """Each risk, its rest and their product."""
    masses = [w for p in risks for w in (p, 1 - p, p * (1 - p))]
    equal(record.weights, {"model": np.transpose([spread(w, ids) for w in masses])})
    cells = [spread(w, ids, TABLE["y"] == y) for w in masses for y in (0, 1)]
    close(record.spread["model"], np.transpose(cells))


@FORMS
def test_of_columns_who_makes_up_their_variance(ids):
    data = rows(ids)
    age = TABLE["age"]
    summed = np.array([[np.sum(ids == i), age[ids == i].sum(), (age[ids == i] ** 2).sum()] for i in np.unique(ids)])
    largest = (np.linalg.qr(summed)[0] ** 2).sum(axis=1).max()
    wanted = [spread((age - age.mean()) ** 2, ids), [1.0, largest / (APART * data.minimum / 2)]]
    equal(data.spread_columns(("age",)), {"age": np.transpose(wanted)})


def test_chunks_add_up():
    table = memory_table(TABLE)
    columns = {name: column for name, column in COLUMNS.items() if name != "id"}
    seen = View(design=resolve(parse("y ~ x + age"), Facts(), columns, ("north",)), outcome="y")
    options = {"family": "binomial", "link": "logit", "beta": BETA}
    (whole,) = (glm.terms.on(part, **options) for part in chunks(table, seen, columns, "north", 10, None))
    parts = [glm.terms.on(part, **options) for part in chunks(table, seen, columns, "north", 10, 50)]
    for name in ("weights", "within", "residuals"):
        for label, cells in getattr(whole, name).items():
            close(sum(getattr(part, name)[label] for part in parts), cells)


def test_a_log_rank_test_within_strata_adds_up_the_tables_of_each():
    data = rows(REPEATED, "x + age", time="t", event="e", group="arm", strata=("x",),
                levels={"arm": ("a", "b"), "x": ("0.0", "1.0")})  # fmt: skip
    record = kaplan_meier.differences.on(data, groups=2)
    observed, expected, variance = np.zeros(2), np.zeros(2), np.zeros((2, 2))
    for x in (0, 1):
        for time in np.unique(TABLE["t"]):
            risk = (TABLE["x"] == x) & (TABLE["t"] >= time)
            died = risk & (TABLE["t"] == time) & (TABLE["e"] == 1)
            n, d, arm = risk.sum(), died.sum(), TABLE["arm"]
            n_g = np.array([(risk & (arm == group)).sum() for group in "ab"])
            observed += [(died & (arm == group)).sum() for group in "ab"]
            if d:
                expected += d * n_g / n
                share = n_g / n
                variance += d * (n - d) / max(n - 1, 1) * (np.diag(share) - np.outer(share, share)) * (n > 1)
    close(record.observed, observed)
    close(record.expected, expected)
    close(record.variance, variance)
    counted, compared = (
        [[len(np.unique(REPEATED[(TABLE["arm"] == g) & (TABLE["e"] == e) & there])) for e in (0, 1)] for g in "ab"]
        for there in (np.ones(N, dtype=bool), data.hazard > 0)
    )
    cells = [(TABLE["arm"] == g) & (TABLE["x"] == x) & (data.hazard > 0) for x in (0, 1) for g in "ab"]
    held = [len(np.unique(REPEATED[cell])) for cell in cells]
    equal(record.behind, {"event": np.concatenate([np.ravel(counted), np.ravel(compared), held])})
    equal(record.hazards, {"event": np.transpose([spread(data.hazard, REPEATED, cell) for cell in cells])})
    assert (data.hazard == 0).any(), "somebody left before the first event"
