"""An option's name is its meaning where `ROLES` says so: each does what the table says, and no other name does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from atoll.algorithms import program as module
from atoll.algorithms import registry
from atoll.algorithms.core import Data, Program, at_site
from atoll.algorithms.options import ROLES, ColumnName
from atoll.algorithms.program import Asked, program
from atoll.local import Network
from atoll.privacy.statistics import Statistics, count
from atoll.study.dictionary import Column
from atoll.study.view import View

COLUMNS = {
    "y": Column("flag"),
    "age": Column("number"),
    "sex": Column("category", levels=("f", "m")),
    "ward": Column("category"),
    "t": Column("number", unit="d"),
    "e": Column("flag"),
    "log_t": Column("number"),
}
CASES = {
    "offset": ("glm", {"formula": "y ~ age", "family": "poisson", "offset": "log_t"}),
    "formula": ("glm", {"formula": "y ~ age", "family": "poisson"}),
    "site_intercepts": ("glm", {"formula": "y ~ age", "family": "poisson", "site_intercepts": True}),
    "time": ("cox", {"formula": "age", "time": "t", "event": "e"}),
    "event": ("cox", {"formula": "age", "time": "t", "event": "e"}),
    "strata": ("cox", {"formula": "age", "time": "t", "event": "e", "strata": ["site", "sex"]}),
    "by": ("kaplan_meier", {"time": "t", "event": "e", "by": "sex", "times": [365]}),
    "columns": ("describe", {"columns": ["age", "sex"]}),
    "outcome": ("performance", {"outcome": "y", "model": {"terms": ["Intercept", "age"], "coefficients": [0, 1]}}),
    "model": ("performance", {"outcome": "y", "model": {"terms": ["Intercept", "age"], "coefficients": [0, 1]}}),
}


def seen(algorithm: str, options: dict) -> View:
    return next(program(Asked(algorithm, options, COLUMNS, ("north", "south"), False))).view


@pytest.mark.parametrize("name", ROLES)
def test_an_option_is_seen_as_its_role_says(name):
    algorithm, options = CASES[name]
    view, role = seen(algorithm, options), ROLES[name]
    assert view.complete == (not any(other in ROLES and ROLES[other].gaps for other in options))
    if role.fills:
        value = options[name]
        assert getattr(view, role.fills) == (tuple(value) if isinstance(value, list) else value)
    if role.baseline:
        assert view.design.terms == ("age",), "no intercept"
    if name == "formula":
        assert view.design.terms == ("Intercept", "age") and view.outcome == "y"
    if name == "site_intercepts":
        assert view.design.terms == ("Intercept", "age", "site[T.south]")
    if name == "model":
        assert view.design.terms == ("Intercept", "age")


@pytest.mark.parametrize(("name", "options"), [
    ("by", {"time": "t", "event": "e", "by": "ward", "times": [365]}),
    ("strata", {"time": "t", "event": "e", "by": "sex", "strata": ["site", "ward"], "times": [365]}),
])  # fmt: skip
def test_levels_that_nobody_wrote_down_are_asked_for_first(name, options):
    assert ROLES[name].levels
    question = next(program(Asked("kaplan_meier", options, COLUMNS, ("north",), False)))
    assert question.name.startswith("survey.") and "ward" in str(question.arguments)


def test_the_program_reads_no_name_that_the_table_does_not_explain():
    text = Path(module.__file__).read_text("utf-8")
    read = re.findall(r'options(?:\.get\(|\[)"(\w+)"|"(\w+)" (?:not )?in options', text)
    assert {"formula", "model", "site_intercepts"} <= {name for pair in read for name in pair if name} <= set(ROLES)


class Rows(Statistics):
    n: int = count()


@at_site
def rows(data: Data) -> Rows:
    return Rows(n=data.n)


def under_columns(setting, *, columns: tuple[ColumnName, ...]) -> Program:
    return (yield rows())


def under_another_name(setting, *, names: tuple[ColumnName, ...]) -> Program:
    return (yield rows())


@pytest.mark.parametrize(("function", "option", "expected"), [
    (under_columns, "columns", 300), (under_another_name, "names", 200),
])  # fmt: skip
def test_rows_with_gaps_stay_for_an_option_called_columns_and_for_no_other(monkeypatch, function, option, expected):
    """One module, one option: its name alone decides, so the table and the page say it."""
    monkeypatch.setattr(registry, "get", lambda name: function)
    monkeypatch.setattr(registry, "site_function", lambda name: rows)
    age = np.where(np.arange(300) < 100, np.nan, 50.0)
    network = Network({"north": {"age": age}}, policy="public", columns={"age": Column("number")})
    assert network.run("test_roles", **{option: ["age"]}).document["n"] == expected
