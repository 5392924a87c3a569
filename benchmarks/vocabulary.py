"""A vocabulary of Athena's size: reading the download, and looking up the descendants of a concept.

The download is made here, since Athena's own may not be passed on: 10 million concepts in a tree in which each has
eight below it, with all pairs of ancestor and descendant, two relationships and a synonym for each concept. The form of
the files is Athena's, the names are not. It runs only when it is named: PARTS=vocabulary.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from whole import command, row

CONCEPTS, BELOW = 10_000_000, 8
MINUTES, MILLISECONDS, LOOKS = 5, 50, 300


def rows(concepts: int = CONCEPTS) -> list[dict[str, object]]:
    """Rows of the table: the whole command on the folder, then look-ups in the file that it made, each concept once."""
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        source, file = Path(folder) / "athena", Path(folder) / "vocabulary.duckdb"
        source.mkdir()
        pairs = _download(source, concepts)
        seconds, peak = command("vocabulary", "load", str(source), "--to", str(file))
        found = _looks(file, concepts)
    first, *later = found
    middle, slowest = statistics.median(each for each, _ in later), max(later)
    many = max(later, key=lambda each: each[1])
    return [
        row(f"reading {concepts:,} concepts, {pairs:,} ancestors", seconds, 60 * MINUTES, "s", f"peak {peak:.1f} GB"),
        row(f"descendants of a concept, median of {LOOKS}", 1e3 * middle, MILLISECONDS, "ms", "each concept once"),
        row("the slowest of them", 1e3 * slowest[0], MILLISECONDS, "ms", f"{slowest[1]:,} descendants"),
        row("the one with most descendants", 1e3 * many[0], MILLISECONDS, "ms", f"{many[1]:,} descendants"),
        row("the first, in a file just opened", 1e3 * first[0], MILLISECONDS, "ms", f"{first[1]:,} descendants"),
    ]


def _download(folder: Path, concepts: int) -> int:
    """Athena's files; how many pairs of ancestor and descendant they hold."""
    import duckdb

    parents = "WITH RECURSIVE up AS (SELECT range AS a, range AS d, 0 AS n FROM range(1, {0}) UNION ALL"
    parents += f" SELECT a // {BELOW}, d, n + 1 FROM up WHERE a >= {BELOW})"
    every = f"range(1, {concepts + 1})"
    tables = {
        "CONCEPT": "SELECT range AS concept_id, 'Concept of number ' || range AS concept_name, 'Condition'"
        " AS domain_id, 'SNOMED' AS vocabulary_id, 'Disorder' AS concept_class_id, 'S' AS standard_concept,"
        f" range AS concept_code, '19700101' AS valid_start_date, '20991231' AS valid_end_date,"
        f" '' AS invalid_reason FROM {every}",
        "VOCABULARY": "SELECT 'None' AS vocabulary_id, 'OMOP' AS vocabulary_name, 'made' AS vocabulary_reference,"
        " 'v5.0 30-AUG-26' AS vocabulary_version, 44819096 AS vocabulary_concept_id",
        "CONCEPT_RELATIONSHIP": "SELECT range AS concept_id_1, range AS concept_id_2, r AS relationship_id,"
        " '19700101' AS valid_start_date, '20991231' AS valid_end_date, '' AS invalid_reason"
        f" FROM {every}, (VALUES ('Maps to'), ('Mapped from')) AS kinds(r)",
        "CONCEPT_SYNONYM": "SELECT range AS concept_id, 'The other name of ' || range AS concept_synonym_name,"
        f" 4180186 AS language_concept_id FROM {every}",
        "CONCEPT_ANCESTOR": parents.format(concepts + 1)
        + " SELECT a AS ancestor_concept_id, d AS descendant_concept_id, n AS min_levels_of_separation,"
        " n AS max_levels_of_separation FROM up",
    }
    with duckdb.connect(config={"threads": 2, "memory_limit": "12GB", "temp_directory": str(folder / "spill")}) as made:
        for name, query in tables.items():
            made.execute(f"COPY ({query}) TO '{folder / name}.csv' (DELIMITER '\t', HEADER, QUOTE '')")
        (pairs,) = made.execute(
            f"SELECT count(*) FROM read_csv('{folder}/CONCEPT_ANCESTOR.csv', delim = '\t', header = true)"
        ).fetchone() or (0,)
    return int(pairs)


def _looks(file: Path, concepts: int) -> list[tuple[float, int]]:
    """Seconds and descendants of each look-up: concepts of every level of the tree, down from the fourth."""
    from atoll.cdm.vocabulary import descendants
    from atoll.cdm.workbench import Workbench

    levels = [BELOW**n for n in range(2, 9) if BELOW**n < concepts]
    asked = [level + (7919 * look) % (7 * level) for look in range(LOOKS) for level in [levels[look % len(levels)]]]
    found = []
    with Workbench(file, scratch=file.with_suffix(".spill"), read_only=True) as bench:
        for concept in asked:
            start = time.perf_counter()
            below = descendants(bench, concept)
            found.append((time.perf_counter() - start, len(below)))
    return found


if __name__ == "__main__":
    for line in rows(int(sys.argv[1]) if len(sys.argv) > 1 else CONCEPTS):
        print(line)
