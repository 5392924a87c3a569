"""The only exit: what is written before anything leaves, and what happens when it cannot be written."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from atoll.algorithms.describe import sums
from atoll.errors import CATALOGUE, DisclosureRefused
from atoll.network.messages import Place, digest
from atoll.privacy.disclosure import PUBLIC, STRICT, Conditions
from atoll.privacy.leverage import Influence
from atoll.privacy.statistics import Statistics, count
from atoll.site import gate
from tests.unit.answering import Remembering

PLACE = Place("0" * 64, "run", "analysis", 3, 0, "1" * 64, ("north", "river"))


class One(Statistics):
    n: int = count()


def leave(n=50, place=PLACE, policy=STRICT, ledger=None, leverage=0.0):
    ledger = Remembering() if ledger is None else ledger
    return gate.leave(One(n=n), place, Conditions(policy), lambda: Influence(leverage), ledger), ledger


def test_the_entry_holds_the_very_bytes_that_leave():
    payload, ledger = leave()
    (entry,) = ledger.entries
    assert entry["payload"] is payload
    assert (entry["decision"], entry["rule"], entry["subject"]) == ("left", "", "")
    assert entry["policy"] == digest(repr(STRICT).encode())


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), RuntimeError("any other")])
def test_when_the_ledger_cannot_be_written_nothing_leaves(failure):
    with pytest.raises(type(failure)):
        leave(ledger=Remembering(fail=failure))


def test_a_refused_share_is_not_written_as_leaving():
    ledger = Remembering()
    with pytest.raises(DisclosureRefused):
        leave(n=3, ledger=ledger)
    assert ledger.entries == []
    gate.refuse("TOO_FEW_PERSONS", "sex", PLACE, STRICT, ledger)
    (entry,) = ledger.entries
    assert (entry["decision"], entry["rule"], entry["payload"]) == ("refused", "TOO_FEW_PERSONS", b"")


@pytest.mark.parametrize(("leverage", "passes"), [(0.0, True), (0.1, True), (0.101, False), (float("nan"), False)])
def test_no_person_weighs_more_than_a_tenth(leverage, passes):
    ledger = Remembering()
    if passes:
        leave(leverage=leverage, ledger=ledger)
    else:
        with pytest.raises(DisclosureRefused, match=r"One person would weigh too much in the model") as caught:
            leave(leverage=leverage, ledger=ledger)
        assert (caught.value.code, caught.value.subject, ledger.entries) == ("ONE_PERSON", "formula", [])
    leave(leverage=leverage, policy=PUBLIC)


@pytest.mark.parametrize(("round_", "attempt"), [(25, 0), (24, 1), (0, 25)])
def test_an_attempt_is_one_more_question(round_, attempt):
    place = PLACE.__class__(
        **{f: getattr(PLACE, f) for f in PLACE.__struct_fields__} | {"round": round_, "attempt": attempt}
    )
    with pytest.raises(DisclosureRefused, match=r"asks for more than 25 rounds") as caught:
        leave(place=place)
    assert caught.value.code == "TOO_MANY_ROUNDS"
    leave(place=place, policy=PUBLIC)


def test_the_last_round_that_is_allowed_passes():
    leave(place=Place("0" * 64, "run", "analysis", 24, 0, "1" * 64, ("north",)))


@pytest.mark.parametrize("spare", [0, -1])
def test_the_size_of_a_share_is_limited_to_the_byte(spare):
    size = len(leave()[0])
    policy = replace(STRICT, max_bytes=size + spare)
    if spare < 0:
        with pytest.raises(DisclosureRefused, match=rf"more than {size - 1} bytes") as caught:
            leave(policy=policy)
        assert caught.value.code == "TOO_LARGE"
    else:
        leave(policy=policy)


def test_the_policy_in_force_is_named_by_a_hash_that_every_limit_changes():
    hashes = {gate.policy_hash(replace(STRICT, **{name: value})) for name, value in vars(PUBLIC).items()}
    changed = sum(getattr(PUBLIC, name) != getattr(STRICT, name) for name in vars(STRICT))
    assert len(hashes - {gate.policy_hash(STRICT)}) == changed


def test_every_code_that_the_code_base_gives_is_in_the_catalogue():
    """Codes are written as `code="…"` or as the first argument of `_refuse`."""
    top = Path(gate.__file__).parents[1]
    files = [p for folder in ("privacy", "features", "cdm", "algorithms", "study") for p in (top / folder).glob("*.py")]
    given = set()
    for path in [*files, top / "site" / "gate.py", top / "site" / "runner.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
                given.add(node.value.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_refuse":
                first = node.args[0]
                given |= {first.value} if isinstance(first, ast.Constant) else set()
    assert len(given) > 15
    assert given <= set(CATALOGUE)


def test_site_functions_have_no_other_way_out():
    assert sums.answers.__name__ == "Sums", "what a site function returns is a record of kinds, and nothing else"
    top = Path(gate.__file__).parents[1]
    for path in (top / "algorithms").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not names & {"open", "print", "exec", "eval", "compile", "input", "__import__"}, path.name
