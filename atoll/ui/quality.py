"""A run of the quality checks as one page of HTML that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from atoll.settings import Language
from atoll.ui.layout import HERE, assets, render

SHOWN = 400  # findings of a family that are listed
Pairs = Mapping[str, tuple[str, str]]


def page(
    document: Mapping[str, Any], words: Pairs, kinds: Pairs, verdicts: Pairs, changes: list[Any], language: Language
) -> str:
    """The page. `words` says what each family looks at, `changes` what is different from an earlier release."""
    index = ("en", "zh").index(language)
    families = []
    ordered = sorted(document["findings"], key=lambda entry: entry["family"])
    for family, group in groupby(ordered, key=lambda entry: entry["family"]):
        entries = sorted(group, key=lambda entry: (entry["verdict"] != "failed", -entry["share"], entry["id"]))
        families.append(
            {
                "name": family,
                "words": words[family][index],
                "kind": entries[0]["kind"],
                "kind_words": kinds[entries[0]["kind"]][index],
                "failed": sum(entry["verdict"] == "failed" for entry in entries),
                "passed": sum(entry["verdict"] == "passed" for entry in entries),
                "entries": entries[:SHOWN],
                "more": max(len(entries) - SHOWN, 0),
            }
        )
    families.sort(key=lambda family: (-family["failed"], family["kind"], family["name"]))
    said = {verdict: pair[index] for verdict, pair in verdicts.items()}
    style = assets()["atoll.css"].decode("utf-8")
    return render(
        HERE, "quality.html", language, run=document, families=families, said=said, changes=changes, style=style
    )
