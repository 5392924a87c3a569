"""Every sentence that pages, charts and summaries can say in English, found in the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

from atoll import errors
from atoll.hub import pages
from atoll.ui import charts, tables, vocabulary

TOP = Path(__file__).parents[2] / "atoll"
TEMPLATES = sorted([*(TOP / "ui" / "templates").rglob("*.html"), *(TOP / "hub" / "templates").glob("*.html")])
MODULES = sorted(
    [*(TOP / "ui").glob("*.py"), TOP / "hub" / "pages.py", TOP / "hub" / "stories.py", TOP / "hub" / "sentences.py"]
)
ERRORS = {name for name, cls in vars(errors).items() if isinstance(cls, type) and issubclass(cls, errors.AtollError)}


def messages() -> set[str]:
    """All of them."""
    found = {sentence for path in TEMPLATES for sentence in in_template(path)}
    found |= {sentence for path in MODULES for sentence in in_module(path)}
    return {sentence for sentence in found | set(declared()) if sentence}


def in_template(path: Path) -> Iterator[str]:
    """What a template says; a sentence that is computed there must be among the declared ones."""
    for call in Environment().parse(path.read_text("utf-8")).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "say" and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


def in_module(path: Path) -> Iterator[str]:
    """What a module says, and the sentences of the errors that it raises."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "say" or name in ERRORS:
            wanted = node.args[:1] if name == "say" else node.args[:2]
            yield from (arg.value for arg in wanted if isinstance(arg, ast.Constant))


def declared() -> Iterator[str]:
    """Sentences that stand in tables, by code."""
    for name, table in vars(vocabulary).items():
        if name.isupper() and isinstance(table, dict):
            yield from (value for value in table.values() if isinstance(value, str))
    yield from (sentence for _, sentence in errors.CATALOGUE.values())
    yield from errors.REMEDIES.values()
    yield from (sentence for _, sentence in errors.HUB_CODES.values())
    yield from charts.UNITS.values()
    yield from tables.RATIOS.values()
    yield from tables.RATIOS_OF_LOG.values()
    yield tables.ratio_of({"link": "log"})
    yield from pages.PLACES.values()
