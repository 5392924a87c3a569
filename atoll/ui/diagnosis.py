"""The diagnostics of a phenotype as one page of HTML that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.settings import Language
from atoll.study.diagnosis import ANALYSES, TABLES
from atoll.ui.layout import HERE, assets, render
from atoll.ui.report import report
from atoll.ui.vocabulary import ALGORITHMS
from atoll.ui.words import Say

COLUMNS = {name: column for table in TABLES.values() for name, column in table.items()}


@dataclass(frozen=True)
class About:
    """What stands above the results.

    title         what the cohort is called
    made          the day, as 2026-11-29
    sites         the hospitals; nobody where the numbers are exact ones of a single CDM
    definitions   in plain words, by the names of the cohorts
    empty         of a cohort of nobody: its concept sets that nothing is in; None where somebody is
    """

    title: str
    made: str
    sites: tuple[str, ...]
    definitions: Mapping[str, str]
    empty: tuple[str, ...] | None = None


def page(found: Mapping[str, Mapping[str, Any]], about: About, language: Language) -> str:
    """The page of results by the names of their analyses; one that was refused says so."""
    say = Say(language)
    told = [document for document in found.values() if "error" not in document]
    results = [report(document, COLUMNS, say, files=False) for document in told]
    refused = {_called(name, say): document["error"] for name, document in found.items() if "error" in document}
    style = assets()["atoll.css"].decode("utf-8")
    return render(HERE, "diagnosis.html", language, results=results, refused=refused, about=about, style=style)


def _called(name: str, say: Say) -> str:
    return say(ALGORITHMS[ANALYSES[name][1]]) if name in ANALYSES else name
