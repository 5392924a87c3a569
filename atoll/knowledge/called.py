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


def called(name: str, own: tuple[str, str] | None, language: Language, code: str = "") -> str:
    """The best name of a concept: its own unless that is a code alone, else our words for it, else the code.

    name   as the vocabulary has it; empty where it has none
    own    our words in English and Chinese, or None
    code   what is said where there is no name at all
    """
    if not is_code(name):
        return name
    if own is None:
        return name or code
    ours = own[("en", "zh").index(language)]
    return f"{ours} ({name})" if name else ours
