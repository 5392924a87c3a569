"""What follows from the events: observation periods, condition eras, drug eras, and concepts of the hospital's own.

Periods   from a person's first to last event, or split where nothing happened for more than `gap` days; never before
          birth or after death.
Eras      the same concept again within 30 days is one era (OHDSI's era scripts); drugs by ingredient, which is looked
          up in `concept_ancestor`, else the drug itself. A drug without an end lasts its days of supply, else one day.
"""

from __future__ import annotations

from collections.abc import Sequence

from atoll.cdm.tables import EHR, LOCAL, tables
from atoll.cdm.workbench import Workbench, quoted
from atoll.ingest.rule_source import row_id_of

GAP = 30
_EVENTS = (
    "visit_occurrence", "visit_detail", "condition_occurrence", "drug_exposure", "procedure_occurrence",
    "device_exposure", "measurement", "observation", "specimen", "note",
)  # fmt: skip


def observation_periods(bench: Workbench, gap: int | None, filled: Sequence[str]) -> None:
    """One row for each stretch in which a person's events are known."""
    parts = []
    for name in _EVENTS:
        table = tables()[name]
        if name in filled:
            start, end = table.start() or "", table.end()
            last = f"coalesce({quoted(end)}, {quoted(start)})" if end else quoted(start)
            if name == "drug_exposure":
                last = quoted(start)  # a supply that lasts is no observation
            parts.append(f"SELECT person_id, {quoted(start)} AS first, {last} AS last FROM main.{quoted(name)}")
    if not parts:
        return
    events = " UNION ALL ".join(
        f"SELECT person_id, min(first) AS first, max(last) AS last FROM ({part}) GROUP BY person_id"
        if gap is None
        else part
        for part in parts
    )
    if gap is None:
        grouped = f"SELECT person_id, min(first) AS first, max(last) AS last FROM ({events}) GROUP BY person_id"
    else:
        grouped = _joined_up(f"SELECT person_id, 0 AS concept, first, last FROM ({events})", gap)
    bench.run(
        "INSERT INTO main.observation_period (observation_period_id, person_id, observation_period_start_date,"
        " observation_period_end_date, period_type_concept_id) SELECT"
        f" {row_id_of('observation_period', 'p.person_id', 'first')}, p.person_id, first, last, {EHR}"
        " FROM (SELECT g.person_id, first,"
        " CASE WHEN k.death < last AND k.death >= first THEN k.death ELSE last END AS last"
        f" FROM ({grouped}) g JOIN (SELECT person_id, any_value(death) AS death FROM ingest.person_key GROUP BY"
        " person_id) k"
        " USING (person_id)) p ORDER BY person_id, first"
    )


def _joined_up(spans: str, gap: int) -> str:
    """Spans of one person and concept joined where the next begins at most `gap` days after all before it ended."""
    return (
        "SELECT person_id, concept, min(first) AS first, max(last) AS last, count(*) AS n, sum(days) AS days,"
        " max(last) - min(first) AS length FROM (SELECT *, sum(begins) OVER (PARTITION BY person_id, concept"
        " ORDER BY first, last ROWS UNBOUNDED PRECEDING) AS era FROM (SELECT *, last - first AS days, CASE WHEN"
        " first <="
        f" max(last) OVER (PARTITION BY person_id, concept ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING"
        f" AND 1 PRECEDING) + {gap} THEN 0 ELSE 1 END AS begins FROM ({spans}))) GROUP BY person_id, concept, era"
    )


def condition_eras(bench: Workbench, gap: int = GAP) -> None:
    """Conditions of one concept joined over gaps."""
    spans = (
        "SELECT person_id, condition_concept_id AS concept, condition_start_date AS first,"
        " coalesce(condition_end_date, condition_start_date) AS last FROM main.condition_occurrence"
        " WHERE condition_concept_id <> 0"
    )
    bench.run(
        f"INSERT INTO main.condition_era SELECT {row_id_of('condition_era', 'person_id', 'concept', 'first')},"
        f" person_id, concept, first, last, n FROM ({_joined_up(spans, gap)})"
        " ORDER BY person_id, first, concept"
    )


def drug_eras(bench: Workbench, gap: int = GAP) -> None:
    """Drugs of one ingredient joined over gaps."""
    spans = (
        "SELECT d.person_id, coalesce(i.ingredient, d.drug_concept_id) AS concept, d.drug_exposure_start_date AS first,"
        " greatest(coalesce(d.drug_exposure_end_date, d.drug_exposure_start_date), d.drug_exposure_start_date) AS last"
        " FROM main.drug_exposure d LEFT JOIN (SELECT a.descendant_concept_id, a.ancestor_concept_id AS ingredient"
        " FROM main.concept_ancestor a JOIN main.concept c ON c.concept_id = a.ancestor_concept_id"
        " WHERE c.concept_class_id = 'Ingredient' AND c.standard_concept = 'S' AND a.descendant_concept_id IN"
        " (SELECT drug_concept_id FROM main.drug_exposure)) i ON i.descendant_concept_id = d.drug_concept_id"
        " WHERE d.drug_concept_id <> 0"
    )
    bench.run(
        f"INSERT INTO main.drug_era SELECT {row_id_of('drug_era', 'person_id', 'concept', 'first')}, person_id,"
        " concept, first, last, n, greatest(length - days, 0) FROM"
        f" ({_joined_up(spans, gap)}) ORDER BY person_id, first, concept"
    )


def own_concepts(bench: Workbench, filled: Sequence[str]) -> None:
    """The concepts of the hospital's own that rows of the tables filled have. One that no row has any more keeps its
    number in `ingest.local_concept` alone: the model's tables do not depend on what was loaded before."""
    held = " UNION ".join(
        f"SELECT {quoted(column.name)} FROM main.{quoted(name)} WHERE {quoted(column.name)} >= {LOCAL}"
        for name in filled for column in tables()[name].columns.values() if column.concept
    )  # fmt: skip
    if not held:
        return
    bench.run(
        "INSERT INTO main.concept SELECT concept_id::INTEGER, concept_code, 'Metadata', left(vocabulary, 20),"
        " 'Undefined', NULL, left(concept_code, 50), DATE '1970-01-01', DATE '2099-12-31', NULL"
        f" FROM ingest.local_concept WHERE concept_id IN ({held}) AND concept_id NOT IN (SELECT concept_id FROM"
        " main.concept) ORDER BY concept_id"
    )
