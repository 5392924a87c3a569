"""What the pages say, in English and Chinese: a catalogue in gettext's form, read as it is.

The English sentence is the key. `zh.po` is edited by people (any gettext editor) and read here once, so
that no compiled copy can fall behind it. A sentence with names in it holds {places} that are filled after
translation.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.settings import Language

LANGUAGES: Mapping[Language, str] = {"en": "English", "zh": "中文"}
TAGS: Mapping[Language, str] = {"en": "en", "zh": "zh-Hans"}


@dataclass(frozen=True)
class Say:
    """A translator: `say("Round {n}", n=3)`. What the catalogue lacks stays English; a test finds it."""

    language: Language

    def __call__(self, text: str, **values: Any) -> str:
        translated = catalogue(self.language).get(text, text) if text else text
        return translated.format(**values) if values else translated

    def listed(self, words: Iterable[str]) -> str:
        """Words in a row."""
        return ("、" if self.language == "zh" else ", ").join(words)


def choose(chosen: str | None, accepted: str) -> Language:
    """The language a person chose, else the first of the browser's that we speak, else English."""
    for language in LANGUAGES:
        if chosen == language:
            return language
    ranked = sorted((_ranked(part) for part in accepted.lower().split(",")), key=lambda part: -part[0])
    spoken = [name[:2] for quality, name in ranked if quality > 0 and name[:2] in LANGUAGES]
    return "zh" if spoken and spoken[0] == "zh" else "en"


def _ranked(part: str) -> tuple[float, str]:
    name, _, quality = part.strip().partition(";q=")
    try:
        return (float(quality) if quality else 1.0), name
    except ValueError:
        return 0.0, name


@functools.cache
def catalogue(language: Language) -> Mapping[str, str]:
    """English sentence → sentence in this language; empty for English."""
    return {} if language == "en" else read(Path(__file__).with_name(f"{language}.po").read_text("utf-8"))


def read(text: str) -> dict[str, str]:
    """The messages of a catalogue, without its head and without empty translations."""
    found: dict[str, list[str]] = {}
    key = ""
    parts: list[str] = []
    for line in [*text.splitlines(), 'msgid ""']:
        word, _, rest = line.strip().partition(" ")
        if word == "msgid":
            found[key] = parts
            parts = [ast.literal_eval(rest)]
        elif word == "msgstr":
            key = "".join(parts)
            parts = [ast.literal_eval(rest)]
        elif line.startswith('"'):
            parts.append(ast.literal_eval(line))
    return {key: "".join(value) for key, value in found.items() if key and any(value)}
