"""The diagnostics of a phenotype as one page of HTML that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.settings import Language
from atoll.study.diagnosis import TABLES
from atoll.ui.layout import HERE, assets, render
from atoll.ui.report import report
from atoll.ui.words import Say

COLUMNS = {name: column for table in TABLES.values() for name, column in table.items()}


def page(found: Mapping[str, Mapping[str, Any]], title: str, alone: bool, language: Language) -> str:
    """The page of results by the names of their analyses; `alone` says that they are exact numbers of one hospital."""
    results = [report(document, COLUMNS, Say(language)) for document in found.values()]
    style = assets()["atoll.css"].decode("utf-8")
    return render(HERE, "diagnosis.html", language, results=results, title=title, alone=alone, style=style)
