"""A run of the quality checks as one page of HTML that needs nothing beside it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Any

from atoll.settings import Language
from atoll.ui.layout import HERE, assets, render

SHOWN = 400  # findings of a family that are listed
Pairs = Mapping[str, tuple[str, str]]
Entry = Mapping[str, Any]


def page(
    document: Mapping[str, Any],
    words: Pairs,
    kinds: Pairs,
    verdicts: Pairs,
    language: Language,
    advice: Pairs = MappingProxyType({}),
    own: Mapping[int, tuple[str, str]] = MappingProxyType({}),
) -> str:
    """The page. `words` says what each family looks at, `advice` what to do where it fails, `own` how this package
    calls a concept that the vocabulary names by its code. What is different from an earlier release stands in the
    document, as `changes` and `sizes`."""
    index = ("en", "zh").index(language)
    families = []
    ordered = sorted(document["findings"], key=lambda entry: entry["family"])
    for family, group in groupby(ordered, key=lambda entry: entry["family"]):
        entries = sorted(group, key=lambda entry: (entry["verdict"] != "failed", -entry["share"], entry["id"]))
        families.append(
            {
                "words": words[family][index],
                "advice": advice.get(family, ("", ""))[index],
                "kind": entries[0]["kind"],
                "kind_words": kinds[entries[0]["kind"]][index],
                "entries": entries[:SHOWN],
                "more": max(len(entries) - SHOWN, 0),
            }
            | _counted(entries)
        )
    families.sort(key=lambda family: (-family["failed"], list(kinds).index(family["kind"]), family["words"]))

    def named(entry: Entry) -> str:
        said = str(entry.get("concept_name") or "")
        unsaid = language != "en" or not said or said.startswith("LOINC ")
        return own[entry["concept"]][index] if unsaid and entry["concept"] in own else said

    return render(
        HERE, "quality.html", language, run=document, families=families, named=named,
        listing=partial(_listing, document["database"] or "URL"),
        tables=_tables(document["findings"], kinds),
        kinds={kind: pair[index] for kind, pair in kinds.items()},
        said={verdict: pair[index] for verdict, pair in verdicts.items()},
        sizes=document.get("sizes", ()), changes=_placed(document.get("changes", ()), words, index),
        style=assets()["atoll.css"].decode("utf-8"),
    )  # fmt: skip


def _listing(database: str, entry: Entry) -> str:
    """What lists the rows at fault, at the hospital: nothing where the check is about no single rows."""
    if entry["verdict"] != "failed" or not entry.get("of_rows"):
        return ""
    return shlex.join(["atoll", "quality", "rows", entry["id"], "--cdm", database])


def _counted(entries: Iterable[Entry]) -> dict[str, int]:
    """How many failed and passed, and how many found nothing to look at."""
    found = Counter(entry["verdict"] for entry in entries)
    return {"failed": found["failed"], "passed": found["passed"], "none": found["empty"] + found["missing"]}


def _tables(findings: Iterable[Entry], kinds: Pairs) -> list[dict[str, Any]]:
    """The tables of which something was looked at, each with its numbers by kind."""
    made = []
    for table, group in groupby(sorted(findings, key=lambda entry: entry["table"]), key=lambda entry: entry["table"]):
        entries = list(group)
        numbers = _counted(entries)
        if any(entry["verdict"] in ("failed", "passed") and entry["rows"] > 1 for entry in entries):
            by = {kind: _counted(entry for entry in entries if entry["kind"] == kind) for kind in kinds}
            made.append({"name": table, "kinds": by, **numbers})
    return sorted(made, key=lambda table: -table["failed"])


def _placed(changes: Iterable[Entry], words: Pairs, index: int) -> list[dict[str, Any]]:
    """Changes with what they are about, in words."""
    return [{**change, "words": words[change["family"]][index]} for change in changes]
