"""Nothing that arrives can become code: no pickle, no eval, no shell, no random number in what a hub sends."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import atoll
from atoll.algorithms import registry
from atoll.algorithms.core import SiteFunction
from atoll.errors import AtollError
from atoll.study.dictionary import Column
from atoll.study.formula import parse
from atoll.study.protocol import read

TOP = Path(atoll.__file__).parent
FILES = sorted(TOP.rglob("*.py"))
CODE = {"eval", "exec", "compile", "__import__", "execfile"}
UNSAFE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "xmlrpc", "code"}
NEEDS_PROCESSES = {"demo", "cli"}  # the demo starts the very programs that it shows
NIGHTLY = Path("site/nightly.py")  # a load is a program of its own: our interpreter, our words, no shell


def name_of(node):
    """`a.b.c` of a call's function, as far as it is names."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TOP)))
def test_no_code_is_made_from_data(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not {m.partition(".")[0] for m in modules} & UNSAFE, f"line {node.lineno}"
            if path.relative_to(TOP).parts[0] not in NEEDS_PROCESSES and path.relative_to(TOP) != NIGHTLY:
                assert "subprocess" not in modules, f"line {node.lineno}"
        if isinstance(node, ast.Call):
            called = name_of(node.func)
            assert called not in CODE, f"line {node.lineno}: {called}"
            assert called not in ("os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "numpy.load", "np.load")
            assert not any(k.arg in ("allow_pickle", "shell") for k in node.keywords), f"line {node.lineno}"


@pytest.mark.parametrize("folder", ["algorithms", "privacy", "study", "network", "hub"])
def test_importlib_is_used_where_the_registry_looks_and_nowhere_else(folder):
    for path in (TOP / folder).rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        used = {name for name in imported if name.startswith("importlib")}
        assert not used or path.name == "registry.py" or used <= {"importlib.resources"}, path


def test_an_algorithm_draws_no_random_number():
    """A run is replayed from its answers: a random number would make it another run, and could hide a message."""
    for path in (TOP / "algorithms").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert not {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} & {
            "random",
            "default_rng",
            "time_ns",
        }
        assert "random" not in {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}


def test_only_marked_functions_can_be_named_in_a_question():
    for name in registry._modules():
        for attribute, entry in vars(registry._modules()[name]).items():
            question = f"{name}.{attribute}"
            if isinstance(entry, SiteFunction) and entry.name == question:
                assert registry.site_function(question) is entry
            else:
                with pytest.raises(AtollError):
                    registry.site_function(question)


PAYLOADS = [
    "__class__",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "{% import os %}",
    "'; DROP TABLE x; --",
    "=cmd|' /C calc'!A0",
    "`id`",
    "$(touch marker)",
    "../../etc/passwd",
    "\r\nSet-Cookie: a=b",
    "\x00",
    "\u202e",
    "<script>alert(1)</script>",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda: open('marker','w')",
    "__import__('os').system('touch marker')",
    "open('marker', 'w')",
    "I(open('marker', 'w'))",
    "C(__import__('os').system('touch marker'))",
    "%s%s%s%n",
    "!!python/object:os",
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("place", ["formula", "column", "level", "algorithm", "option"])
def test_a31_a_string_is_only_ever_a_string(payload, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {"x": Column("number"), "y": Column("flag")}
    table = {"x": [float(i) for i in range(100)], "y": [i % 2 for i in range(100)]}
    network = atoll.Network({"north": table}, columns=columns, threads=1)
    asked = {
        "formula": lambda: network.run("glm", formula=f"y ~ {payload}", family="binomial"),
        "column": lambda: network.run("describe", columns=[payload]),
        "level": lambda: network.run("glm", formula=f"y ~ C(x, Treatment({payload!r}))", family="binomial"),
        "algorithm": lambda: network.run(payload),
        "option": lambda: network.run("glm", formula="y ~ x", family=payload),
    }[place]
    with pytest.raises(AtollError) as caught:
        asked()
    assert caught.value.what
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a31_a_study_is_text(payload, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in (payload, f"atoll: {payload}", f"title: !!python/object/apply:os.system ['{payload}']"):
        with pytest.raises(AtollError):
            read(text)
    assert not list(tmp_path.iterdir())


def test_parsing_a_formula_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in ("I(open('marker', 'w'))", "log(open('marker', 'w'))", "bs(x, knots=[open('marker','w')])"):
        with pytest.raises(AtollError):
            parse(f"y ~ {call}")
    assert not list(tmp_path.iterdir())
