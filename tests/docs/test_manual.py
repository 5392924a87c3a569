"""The manual: its Python runs, and every limit, option, kind and link is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from atoll.algorithms import registry
from atoll.algorithms.options import ROLES
from atoll.privacy import disclosure
from atoll.privacy.disclosure import STRICT, Policy

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"


def test_the_python_of_the_manual_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 4
    exec(compile("\n".join(blocks), "python.md", "exec"), {})
    assert "C(sex)[T.m]" in capsys.readouterr().out
    assert (tmp_path / "forest.svg").read_text("utf-8").startswith("<svg")


@pytest.mark.parametrize("limit", [f.name for f in fields(Policy)])
def test_every_limit_is_described_with_its_default(limit):
    assert f"| `{limit}` | {getattr(STRICT, limit)} |" in (DOCS / "disclosure.md").read_text("utf-8")


def test_every_kind_and_every_code_of_the_gate_is_described():
    text = (DOCS / "disclosure.md").read_text("utf-8")
    for kind in disclosure._RULES:
        assert re.search(rf"\| `{kind}(\(per=…\))?` \|", text), kind
    codes = set(re.findall(r'_refuse\(\s*"([A-Z_]+)"', Path(disclosure.__file__).read_text("utf-8")))
    assert len(codes) > 9
    for code in codes | {"TOO_MANY_ROUNDS", "TERM_UNBOUNDED"}:
        assert f"`{code}`" in text, code


@pytest.mark.parametrize(
    "name", [name for name in registry.names() if registry.module(name).__name__.startswith("atoll.")]
)
def test_every_option_of_every_algorithm_is_described(name):
    text = (DOCS / "algorithms.md").read_text("utf-8")
    section = re.search(rf"\*\*{name}\*\*(.*?)(?=\n\*\*|\n## )", text, re.DOTALL)
    assert section, name
    for option in registry.options_of(name):
        assert f"`{option}`" in section[1], option


def test_every_name_of_an_option_that_has_a_meaning_of_its_own_is_told():
    """As the table has them, and no other."""
    rows = [f"| `{name}` | {role.meaning} |" for name, role in ROLES.items()]
    table = (DOCS / "algorithms.md").read_text("utf-8").split("| option | in every algorithm |\n|---|---|\n")[1]
    assert table.split("\n\n")[0].splitlines() == rows


@pytest.mark.parametrize("page", [TOP / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_the_readme_is_short():
    assert len((TOP / "README.md").read_text("utf-8").splitlines()) <= 100
