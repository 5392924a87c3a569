"""What a concept is called on pages: the best name there is of it."""

from __future__ import annotations

import re

from atoll.settings import Language

# a vocabulary and a code, or a code alone: what stands for a name where a licence keeps the names out
CODE = re.compile(r"(?:(?:LOINC|SNOMED|RxNorm|RxNorm Extension|ATC|HCPCS|CPT4|ICD\w+|NDC|OMOP\w*) )?\d[\d.-]*"
                  r"|(?:LOINC|SNOMED|RxNorm|ATC|HCPCS|CPT4|ICD\w+) \S+")  # fmt: skip


def is_code(name: str) -> bool:
    """Whether a concept's name is no more than a code."""
    return not name.strip() or CODE.fullmatch(name.strip()) is not None


def called(name: str, own: tuple[str, str] | None, language: Language) -> str:
    """The best name of a concept: its own unless that is a code alone, else our words for it, else the code.

    name   as the vocabulary has it; empty where it has none
    own    our words in English and Chinese, one of them empty where there are none; or None
    """
    if own is None or not is_code(name):
        return name
    return own[("en", "zh").index(language)] or own[0] or name
