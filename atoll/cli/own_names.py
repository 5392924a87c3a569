"""What this package calls the concepts that it knows, for vocabularies that name a test by its code alone."""

from __future__ import annotations


def own_names() -> dict[int, tuple[str, str]]:
    """Concept id → its name in English and Simplified Chinese."""
    from atoll.knowledge.library import concepts
    from atoll.simulate.facts import table

    named = {int(row["concept_id"]): (row["own_name"], row["zh"]) for row in table("measurements.csv")}
    return {number: (row["own_name"], row["zh"]) for number, row in concepts().items()} | named
