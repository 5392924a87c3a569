"""Why a draft leaves a table out: what the table of the model that it comes nearest to needs, and it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atoll.ingest.drafts.fitting import NEEDS
from atoll.ingest.drafts.joining import widened
from atoll.ingest.drafts.roles import by_meaning

_TELLS = {  # table of the model → meanings of which one says that a table is about such; asked in this order
    "measurement": {"test", "test_name", "value"},
    "drug_exposure": {"drug", "drug_name"},
    "condition_occurrence": {"diagnosis", "diagnosis_name"},
    "procedure_occurrence": {"procedure"},
    "visit_occurrence": {"end", "visit_kind", "start"},
    "person": {"sex", "birth", "birth_year"},
    "death": {"death"},
}  # fmt: skip
WHAT = {
    "measurement": "results", "drug_exposure": "drugs", "condition_occurrence": "diagnoses",
    "procedure_occurrence": "procedures", "visit_occurrence": "visits", "person": "patients", "death": "deaths",
}  # fmt: skip
_LOOKED_FOR = {  # meaning → what is said where it is not there
    "person": "no number of a patient, and no key to a table that has one",
    "value": "no column that looks like a result",
    "test": "no column that looks like a test or its name",
    "diagnosis": "no column that looks like a diagnosis",
    "drug": "no column that looks like a drug",
    "procedure": "no column that looks like a procedure",
    "start": "no column that looks like the start of a visit",
    "visit": "no column that looks like the number or the kind of a visit",
    "sex": "no column that looks like a sex or a birth",
}


def lacking(table: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> str:
    """What kept a table from being drafted, in words; empty where nothing in it looks like anything."""
    own, wide = set(by_meaning(table)), set(by_meaning(widened(table, tables)))
    near = next((to for to, tells in _TELLS.items() if tells & own), None)
    if near is None:
        return "no column's name says what the table is about"
    needed, one_of = NEEDS[near]
    gaps = [meaning for meaning in needed if meaning not in wide]
    gaps += [one_of[0]] if one_of and not set(one_of) & wide else []
    doubled = any(link.get("almost") for link in table["links"])
    said = [_LOOKED_FOR[gap] for gap in gaps if gap in _LOOKED_FOR]
    if "person" in gaps and doubled:
        said.append("the table that its number leads to has some numbers twice")
    return (
        f"looks like {WHAT[near]}; {', '.join(said)}" if said else f"looks like {WHAT[near]}, which another table tells"
    )
