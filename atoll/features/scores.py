"""A score of diseases, from flags: whether there is a record of each part's codes, summed group by group.

The parts of a score are features like others (`any` record in the window); only their sum becomes a column. Codes are
followed to standard concepts, which may lie in several domains: a transplant is a procedure at one hospital and an
observation at another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from atoll.cdm.scratch import Workspace
from atoll.cdm.sql import joined, sql
from atoll.cohort.concepts import ConceptSets
from atoll.cohort.domains import BY_WORD
from atoll.errors import DataError
from atoll.privacy.statistics import Array
from atoll.study.features import Feature
from atoll.study.score import READS, VOCABULARIES, Score, score

TABLES = {word: BY_WORD[word].table for word in READS}
FACTS = ("age", "sex")


def _set(feature: Feature, part: int) -> str:
    """The name of the concept set of a score's part; no set of a document can have it."""
    return f"{feature.says} part {part}"


def _flag(feature: Feature, part: int, domain: str) -> str:
    return f"{feature.name} part {part} {domain}"


def keys(feature: Feature, sets: ConceptSets) -> dict[str, int]:
    """The keys of the concept sets of a score's parts, by name."""
    asked = score(feature.says)
    names = VOCABULARIES[asked.vocabulary]
    return {_set(feature, n): sets.key_of_codes(names, part.codes) for n, part in enumerate(asked.parts)}


def parts(feature: Feature, workspace: Workspace) -> Iterator[Feature]:
    """What a score is summed from: a flag for each part in each domain that the CDM has, then age and sex."""
    there = [domain for domain, table in TABLES.items() if workspace.columns(table) is not None]
    for number in range(len(score(feature.says).parts)):
        for domain in there:
            yield Feature(_flag(feature, number, domain), domain, _set(feature, number), feature.window)
    for fact in FACTS:
        yield Feature(f"{feature.name} {fact}", "person", says=fact)


def need_codes(feature: Feature, sets: ConceptSets) -> None:
    """Refuse a vocabulary that knows none of a score's codes: everybody would have nought.

    Raises
    ------
    DataError
        With the vocabularies that are needed.
    """
    asked = score(feature.says)
    own = joined(", ", (sql("{k}", k=key) for key in sorted(keys(feature, sets).values())))
    known = sets.workspace.fetch(sql("SELECT COUNT(*) FROM {c} WHERE set_key IN ({k})", c=sets.codes, k=own))
    if not known.column(0)[0].as_py():
        raise DataError(
            f"The score {asked.name!r} of {feature.name!r} counts codes that this CDM's vocabulary does not hold.",
            f"Load {' or '.join(VOCABULARIES[asked.vocabulary])} from Athena with its 'Maps to' links, or leave the "
            "score out.",
            subject=feature.name,
        )


def column(feature: Feature, found: dict[str, Any]) -> Any:
    """The score's column from those of its parts, which are taken out of `found`."""
    import pyarrow as pa

    age, sex = (found.pop(f"{feature.name} {fact}") for fact in FACTS)
    years = age.cast(pa.float64()).to_numpy(zero_copy_only=False)
    groups: dict[str, Array] = {}
    for number, part in enumerate(score(feature.says).parts):
        there = np.zeros(len(years), dtype=bool)
        for domain in TABLES:
            flag = found.pop(_flag(feature, number, domain), None)
            there |= False if flag is None else np.asarray(flag) > 0
        points = np.where(there, part.points, 0.0)
        groups[part.group] = np.maximum(groups.get(part.group, 0.0), points)
    total = np.sum(list(groups.values()), axis=0).round(6)  # 7.1 + 4.4 is 11.5
    values = total + _of_person(score(feature.says), years, sex.to_numpy(zero_copy_only=False))
    return pa.array(values, mask=np.isnan(values))


def _of_person(asked: Score, age: Array, sex: Array) -> Array:
    """Points for age and sex; unknown where the score asks for what is unknown."""
    points: Array = np.zeros(len(age))
    if asked.age:
        reached = [np.where(age >= years, value, 0.0) for years, value in asked.age.items()]
        points = points + np.where(np.isnan(age), np.nan, np.max(reached, axis=0))
    if asked.sex:
        known = np.isin(sex, ("female", "male"))
        points = points + np.where(known, [asked.sex.get(word, 0.0) for word in sex], np.nan)
    return points
