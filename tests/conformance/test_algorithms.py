"""Every algorithm file must pass this, whatever it computes. A file joins by existing: it names its own examples."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll
from atoll.algorithms import registry
from atoll.algorithms.core import Data, Finished, Question, advance, at_site
from atoll.algorithms.options import Grid
from atoll.algorithms.program import Asked, program
from atoll.errors import AtollError
from atoll.local import DATASET
from atoll.network.codec import decode, encode, encode_question
from atoll.privacy.statistics import Statistics, combine, count, table, total
from atoll.site import runner
from atoll.site.runner import Permit
from atoll.study.view import View
from tests.unit.answering import Site

from .world import COLUMNS, leaves, split, world

TOP = Path(__file__).parents[2]


def by_site(name: str, options: dict[str, Any]) -> bool:
    """Whether the model itself says which hospital a patient is of: then the split is part of it.

    A module whose every model does so says `BY_SITE = True`.
    """
    if getattr(registry.module(name), "BY_SITE", False):
        return True
    defaults = {key: parameter.default for key, parameter in registry.options_of(name).items()}
    used = defaults | options
    return "site" in (used.get("strata") or ()) or used.get("robust") == "site" or bool(used.get("site_intercepts"))


EXAMPLES = [
    pytest.param(name, options, id=f"{name}-{i}")
    for name in registry.names()
    for i, options in enumerate(registry.module(name).EXAMPLES)
]
POOLABLE = [case for case in EXAMPLES if not by_site(*case.values)]


def network(tables: dict[str, Any], policy: Any = "public") -> atoll.Network:
    return atoll.Network(tables, policy=policy, columns=COLUMNS, threads=1)


def recorded(
    net: atoll.Network, name: str, options: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes], list[Statistics]]:
    """Result, questions and combined answers of a run."""
    permit = Permit(name, DATASET, net.columns, net.sites, net.public)
    rounds = program(Asked(name, options, net.columns, net.sites, net.public))
    questions, answers, answer = [], [], None
    while True:
        try:
            question = rounds.send(answer)
        except StopIteration as finished:
            return finished.value, questions, answers
        questions.append(encode_question(question))
        answer = net._ask(question, permit, len(answers))
        answers.append(answer)


def assert_same(a: Any, b: Any, rtol: float = 1e-7) -> None:
    first, second = leaves(a), leaves(b)
    assert set(first) == set(second)
    assert first, "a result holds numbers"
    for path, value in first.items():
        np.testing.assert_allclose(second[path], value, rtol=rtol, atol=1e-9, err_msg=path)


def test_every_file_names_examples() -> None:
    for name in registry.names():
        assert registry.module(name).EXAMPLES, f"{name} names no EXAMPLES"
        assert registry.get(name).__doc__, f"{name} has no docstring"


@pytest.mark.parametrize(("name", "options"), POOLABLE)
@given(seed=st.integers(0, 10**6), sites=st.integers(1, 7))
@settings(max_examples=6, deadline=None)
def test_the_split_into_sites_does_not_matter(name: str, options: dict[str, Any], seed: int, sites: int) -> None:
    table = world(seed)
    where = np.random.default_rng(seed + 1).integers(0, sites, len(table["y"]))
    pooled = network({"pooled": table}).run(name, **options)
    assert_same(pooled.document, network(split(table, where)).run(name, **options).document)


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
def test_the_order_of_sites_does_not_matter(name: str, options: dict[str, Any]) -> None:
    tables = split(world(3), np.random.default_rng(4).integers(0, 3, 400))
    first, *others = [
        leaves(network(dict(order)).run(name, **options).document) for order in itertools.permutations(tables.items())
    ]
    assert all(other == first for other in others), "not even the last bit"


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_do_not_matter(name: str, options: dict[str, Any], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = split(world(5, 200), np.random.default_rng(6).integers(0, 2, 200))
    whole = network(tables).run(name, **options).document
    monkeypatch.setattr(runner, "CHUNK", size)
    assert_same(whole, network(tables).run(name, **options).document)


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
def test_replay_is_exact(name: str, options: dict[str, Any]) -> None:
    net = network(split(world(7), np.random.default_rng(8).integers(0, 3, 400)))
    result, questions, answers = recorded(net, name, options)
    fresh: Callable[[], Any] = lambda: program(Asked(name, options, net.columns, net.sites, net.public))  # noqa: E731
    for i, question in enumerate(questions):
        again = advance(fresh(), answers[:i])
        assert not isinstance(again, Finished)
        assert encode_question(again) == question
    finished = advance(fresh(), answers)
    assert isinstance(finished, Finished)
    np.testing.assert_equal(leaves(finished.result), leaves(result))


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
def test_the_wire_round_trip_is_the_identity(name: str, options: dict[str, Any]) -> None:
    _, _, answers = recorded(network({"a": world(9), "b": world(10)}), name, options)
    for answer in answers:
        data = encode(answer)
        assert encode(decode(data, type(answer))) == data
        assert encode(combine({"a": decode(data, type(answer))})) is not None


@pytest.mark.parametrize(("name", "options"), EXAMPLES)
@pytest.mark.parametrize("persons", [1, 4, 9])
def test_small_groups_are_refused_or_look_like_nobody(name: str, options: dict[str, Any], persons: int) -> None:
    """A module that answers for a few as for nobody says `TELLS_OF_FEW = True`."""
    small = world(12, persons)
    net = network({"large": world(11), "small": small}, policy="strict")
    if getattr(registry.module(name), "TELLS_OF_FEW", False):
        nobody = {column: values[:0] for column, values in small.items()}
        empty = network({"large": world(11), "small": nobody}, policy="strict")
        assert net.run(name, **options).document == empty.run(name, **options).document
        return
    with pytest.raises(AtollError):
        net.run(name, **options)
    assert net.departures["small"].shares == 0, "nothing leaves the small site"


def test_a_field_without_a_kind_is_refused_at_import() -> None:
    with pytest.raises(TypeError, match=r"Leak.rows has no kind; give it one: count\(\)"):

        class Leak(Statistics):
            rows: np.ndarray


def test_a_total_must_name_its_count() -> None:
    with pytest.raises(TypeError, match=r"Bad.s is a total per 'people', which is no count\(\) or table\(\) of Bad"):

        class Bad(Statistics):
            n: int = count()
            s: float = total(per="people")


def cuts_as_an_array(data: Data, cuts: np.ndarray) -> Statistics: ...
def cuts_as_a_list(data: Data, cuts: tuple[float, ...]) -> Statistics: ...
def cuts_as_a_mapping(data: Data, cuts: dict[str, float] | None) -> Statistics: ...


@pytest.mark.parametrize("function", [cuts_as_an_array, cuts_as_a_list, cuts_as_a_mapping])
def test_an_argument_that_could_carry_numbers_unseen_is_refused_at_import(function: Callable[..., Statistics]) -> None:
    with pytest.raises(TypeError, match=r"'cuts' is none of the types that a question may carry: Grid, Edges"):
        at_site(function)


def test_a_grid_is_a_grid_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an author calls an argument does not matter to the gate."""

    class Table(Statistics):
        leaving: np.ndarray = table()

    def life(data: Data, cuts: Grid) -> Table:
        return Table(leaving=data.persons_per(np.searchsorted(cuts, data.time), len(cuts) + 1))

    life.__annotations__["return"], life.__annotations__["cuts"] = Table, Grid
    life.__module__ = "kaplan_meier"
    function = at_site(life)
    monkeypatch.setattr(registry, "site_function", lambda name: function)
    columns = {"t": COLUMNS["t"], "e": COLUMNS["e"]}
    site = Site({name: world(1)[name] for name in columns}, columns)
    seen = View(time="t", event="e", complete=True)
    for step, code in ((1.0, "GRID_TOO_FINE"), (400.0, "")):
        asked = Question("kaplan_meier.life", {"cuts": np.arange(1, 4) * step}, seen)
        assert site.ask(asked, site.permit("kaplan_meier")).code == code


def contract(name: str) -> dict[str, Any]:
    """An import contract of the project, by its id."""
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    found: dict[str, Any] = next(one for one in contracts if one["id"] == name)
    return found


def test_the_import_contract_names_every_algorithm_file() -> None:
    independent = contract("independent")["modules"]
    ours = [name for name, module in registry._modules().items() if module.__name__.startswith("atoll.")]
    assert sorted(independent) == sorted(f"atoll.algorithms.{name}" for name in ours)


def test_the_import_contract_keeps_every_file_of_a_site_from_the_gate_but_the_runner() -> None:
    """A new file of a site is forbidden the gate from its first day: whoever reaches it can send a share unchecked."""
    files = {path.stem for path in (TOP / "atoll" / "site").glob("*.py")} - {"__init__", "gate", "runner"}
    around = ["atoll.care", "atoll.cli", "atoll.demo", "atoll.local"]
    assert sorted(contract("gate")["source_modules"]) == sorted(around + [f"atoll.site.{name}" for name in files])
