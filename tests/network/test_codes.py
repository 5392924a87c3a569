"""One refusal, one class and one exit code: in one process as over a hub, for every code."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import atoll
from atoll import errors
from atoll.client import Study, _refused, refusal_of
from atoll.errors import CATALOGUE, HUB_CODES, AtollError, error_for
from atoll.hub.api import refused
from atoll.local import refusal
from tests.network.puppet import Puppet
from tests.network.world import World

TOP = Path(atoll.__file__).parent
KINDS = (
    errors.StudyError,
    errors.DataError,
    errors.DisclosureRefused,
    errors.NotPermitted,
    errors.OperatorError,
    errors.Unreachable,
)


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, nursery):
    """A real hub where a site refused one question with each code: the client, and the runs by code."""
    world = World(nursery, tmp_path_factory.mktemp("codes"), sites=("north",))
    north = Puppet(world, "north")
    study, runs = world.submit(world.signed({f"a{number}": {"rounds": 1} for number in range(len(CATALOGUE))}))
    north.decide(study, "approve")
    for code in CATALOGUE:
        north.answer(outcome="refused", payload=b"", code=code, subject="age")
    north.close()
    hub = atoll.Hub(world.url, token=world.token, authority=world.hub_home.files.authority)
    found = {run["code"]: run for run in hub.study(study[:12]).status()["runs"]}
    yield hub.study(study), found, runs
    hub._connection.close()
    world.close()


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_sites_refusal_has_the_same_class_in_process_and_over_a_hub(refusals, code):
    _, found, _ = refusals
    here, there = refusal("north", code, "age"), refusal_of(found[code])
    assert type(there) is type(here) and (there.code, there.exit_code) == (code, here.exit_code)
    assert there.subject == here.subject == "age"
    assert CATALOGUE[code][1].rstrip(".") in str(here) and CATALOGUE[code][1] in str(there)


def test_waiting_for_a_study_raises_that_class(refusals):
    study, found, runs = refusals
    first = next(run for run in found.values() if run["run"] == runs[0])
    assert isinstance(study, Study)
    with pytest.raises(type(refusal("north", first["code"], "")), match="a0: north refused round 1 of “a0”"):
        study.wait()


@pytest.mark.parametrize("code", CATALOGUE)
def test_a_refusal_over_the_hub_holds_the_remedy_that_it_has_in_process(refusals, code):
    _, found, _ = refusals
    assert refusal("north", code, "age").remedy == errors.REMEDIES[code]
    assert errors.REMEDIES[code] in found[code]["sentence"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_request_keeps_its_class_over_the_wire(kind):
    for code in (*CATALOGUE, *HUB_CODES, "A_CODE_OF_LATER"):
        error = kind("What was found.", "What to do.", code=code, subject="age")
        back = _refused(json.loads(bytes(refused(error).body))["error"])
        assert type(back) is kind
        assert (back.what, back.remedy, back.code, back.subject) == (error.what, error.remedy, code, "age")


@pytest.mark.parametrize("code", HUB_CODES)
def test_a_code_of_the_hub_has_its_class_without_being_told(code):
    assert type(error_for(code)) is HUB_CODES[code][0] and str(error_for(code)) == HUB_CODES[code][1]


def test_no_code_has_two_meanings_and_an_unknown_one_is_the_operators():
    assert set(CATALOGUE) & set(HUB_CODES) == set()
    assert type(error_for("A_CODE_OF_LATER")) is errors.OperatorError


def test_what_a_program_finds_in_a_study_has_a_code_of_its_own_and_says_what_it_is_about():
    for path in [*(TOP / "algorithms").glob("*.py"), TOP / "study" / "coding.py", TOP / "study" / "design.py"]:
        if path.name in ("planned.py", "registry.py"):  # these speak before a study is submitted
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "StudyError":
                given = {keyword.arg for keyword in node.keywords}
                assert {"code", "subject"} <= given, f"{path.name}, line {node.lineno}"


def test_every_code_that_the_house_gives_an_error_is_listed():
    names = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AtollError)}
    given = {
        keyword.value.value
        for path in TOP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {*names, "Withheld"}
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
    }
    assert given <= {*CATALOGUE, *HUB_CODES}
