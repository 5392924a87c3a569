"""A scan of an export as one page that needs no server: what `atoll source scan --page` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atoll.settings import Language
from atoll.ui.layout import assets, render

HERE = Path(__file__).parent / "templates"


def page(document: Mapping[str, Any], language: Language) -> str:
    """The document of `atoll.ingest.scan` as HTML, with its style inside."""
    style = assets()["atoll.css"].decode("utf-8")
    most = max(
        (one["rows"] for t in document["tables"] for c in t["columns"] for one in c.get("frequent", [])), default=1
    )
    return render(HERE, "scan.html", language, scan=document, style=style, most=most)
