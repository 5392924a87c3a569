"""The concepts of a whole vocabulary that some names may mean: an Athena download, or the file that loads use.

A vocabulary holds millions of concepts. Of a small one all are candidates; of a large one, for every name those whose
names share the most of its words (`near`). The vocabulary is read in batches, so that its size does not matter for
the memory; what the package itself calls a concept that the vocabulary holds comes along.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.cdm.vocabulary import unpacked
from atoll.cdm.workbench import Workbench, literal
from atoll.errors import DataError
from atoll.ingest.terms.concepts import Concept, parse, starter_candidates
from atoll.ingest.terms.features import told_domain
from atoll.ingest.terms.near import BEGINNING, Near

if TYPE_CHECKING:
    from atoll.ingest.terminology import Name

WHOLE = 50_000  # names of concepts up to which all are candidates
MOST = 200_000  # concepts that are candidates together
KEPT = (20, 1_000)  # concepts that are kept for one name, at least and at most
BATCH = 50_000  # names of concepts that are looked at together
_WORDS = f"list_distinct(list_transform(regexp_extract_all(lower(name), '[a-z0-9]+'), lambda w: w[1:{BEGINNING}]))"


def read_vocabulary(path: Path, names: Sequence[Name], ids: Iterable[int] = (), whole: int = WHOLE) -> list[Concept]:
    """Standard, valid concepts that names may mean, with their English synonyms.

    path    an Athena download (a folder or a zip), or the DuckDB file that `atoll vocabulary load` makes
    ids     concepts that are wanted in any case: earlier decisions
    whole   names of concepts up to which all are taken

    Raises
    ------
    DataError
        When it is no vocabulary, or holds no standard concept of the names' domains.
    """
    with opened(path) as bench:
        return _read(bench, path.name, names, ids, whole)


def names_in(path: Path, concepts: Iterable[int]) -> dict[int, str]:
    """Concept id → name, of those concepts that a vocabulary holds."""
    wanted = ", ".join(str(int(concept)) for concept in concepts)
    with opened(path) as bench:
        if not wanted:
            return {}
        query = f"SELECT concept_id, concept_name FROM the_concept WHERE concept_id IN ({wanted})"
        return {int(number): name for number, name in bench.rows(query) if name}


@contextmanager
def opened(path: Path) -> Iterator[Workbench]:
    """A vocabulary with the views `the_concept` and `the_concept_synonym`.

    Raises
    ------
    DataError
        When it is no vocabulary.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.", "Make one with `atoll vocabulary load ATHENA --to FILE`.")
    if path.is_dir() or path.suffix.lower() == ".zip":
        with (
            unpacked(path, path.parent) as folder,
            tempfile.TemporaryDirectory(prefix="atoll-terms-") as spill,
            Workbench(scratch=Path(spill) / "spill") as bench,
        ):
            for table, columns in _VIEWS.items():
                _view(bench, folder, table, columns)
            yield bench
        return
    with Workbench(path, read_only=True) as bench:
        found = bench.tables()
        if "concept" not in found:
            remedy = "Make one with `atoll vocabulary load ATHENA --to FILE`."
            raise DataError(f"{path.name} holds no vocabulary.", remedy)
        for table in _VIEWS:
            bench.run(f"CREATE TEMP VIEW the_{table} AS {f'FROM main.{table}' if table in found else _NONE}")
        yield bench


_VIEWS: Mapping[str, tuple[str, ...]] = {
    "concept": ("concept_id", "concept_name", "domain_id", "standard_concept", "invalid_reason"),
    "concept_synonym": ("concept_id", "concept_synonym_name"),
}
_NONE = "SELECT 0 AS concept_id, '' AS concept_synonym_name WHERE false"


def _view(bench: Workbench, folder: Path, table: str, columns: tuple[str, ...]) -> None:
    """A file of a download as a view; unpacked from a zip its name is in small letters."""
    import duckdb

    path = next((one for one in sorted(folder.rglob("*.csv")) if one.stem.lower() == table), None)
    if path is None and table == "concept_synonym":
        bench.run(f"CREATE TEMP VIEW the_{table} AS {_NONE}")
        return
    read = (f"read_csv({literal(str(path))}, delim = '\t', quote = '', escape = '', header = true, all_varchar = true,"
            " nullstr = '')")  # fmt: skip
    listed = ", ".join(("concept_id::INTEGER AS concept_id", *columns[1:]))
    try:
        bench.run(f"CREATE TEMP VIEW the_{table} AS SELECT {listed} FROM {read}")
    except duckdb.Error as error:
        raise _no_download(f"{table.upper()}.csv") from error


def _no_download(name: str) -> DataError:
    return DataError(
        f"{name} is not a table of an Athena download.", "Give the folder into which the download was unpacked."
    )


def _read(bench: Workbench, called: str, names: Sequence[Name], ids: Iterable[int], whole: int) -> list[Concept]:
    import duckdb

    good = "standard_concept = 'S' AND lower(coalesce(invalid_reason, '')) IN ('', 'null', 'none')"
    bench.run(
        "CREATE TEMP VIEW named AS SELECT concept_id, concept_name AS name, domain_id AS domain, 0 AS variant"
        f" FROM the_concept WHERE {good} AND concept_name IS NOT NULL UNION ALL SELECT concept_id,"
        " concept_synonym_name, domain_id, 1 FROM the_concept_synonym JOIN the_concept USING (concept_id)"
        f" WHERE {good} AND concept_synonym_name IS NOT NULL"
    )
    own = {concept.concept_id: concept for concept in starter_candidates()}
    try:
        standard = _known(bench, own)
        wanted: set[int] = set(_known(bench, ids))
        by_domain: dict[str, list[Name]] = {}
        for name in names:
            for domain in {name.domain, told_domain(name)}:
                by_domain.setdefault(domain, []).append(name)
        found: dict[tuple[int, str, int], Concept] = {}
        for domain, asked in sorted(by_domain.items()):
            share = max(KEPT[0], min(KEPT[1], MOST // max(len(names), 1)))
            near = _near(bench, domain, asked, share, whole)
            for concept in _concepts(bench, domain, None if near is None else near | wanted):
                found.setdefault((concept.concept_id, concept.name, concept.variant), concept)
    except duckdb.Error as error:
        raise _no_download(called) from error
    if not found:
        what = " or ".join(sorted(filter(None, by_domain))) or "concept"
        raise DataError(f"No standard {what} in {called} is like the names.", "Is it the right vocabulary?")
    kept = [found[key] for key in sorted(found, key=lambda key: (key[2], key[0], key[1]))]
    return kept + [replace(one, variant=1) for one in starter_candidates() if one.concept_id in standard]


def _known(bench: Workbench, ids: Iterable[int]) -> list[int]:
    """Those of some concepts that are standard here."""
    listed = ", ".join(str(int(number)) for number in sorted({0, *ids}))
    return [number for (number,) in bench.rows(f"SELECT DISTINCT concept_id FROM named WHERE concept_id IN ({listed})")]


def _of(domain: str) -> str:
    return f"domain = {literal(domain)}" if domain else "true"


def _concepts(bench: Workbench, domain: str, near: set[int] | None) -> Iterator[Concept]:
    """The concepts of a domain, or those of them that are near."""
    import pyarrow as pa

    bench.duckdb.register("near", pa.table({"id": pa.array(sorted(near or ()), pa.int64())}))
    only = "" if near is None else " AND concept_id IN (SELECT id FROM near)"
    reader = bench.run(f"SELECT DISTINCT concept_id, name, domain, variant FROM named WHERE {_of(domain)}{only}"
                       " ORDER BY variant, concept_id, name").to_arrow_reader(BATCH)  # fmt: skip
    for batch in reader:
        for number, name, of, variant in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield parse(number, name, of or "", variant)
    bench.duckdb.unregister("near")


def _near(bench: Workbench, domain: str, names: Sequence[Name], share: int, whole: int) -> set[int] | None:
    """The concepts that share the most words with each name, `share` of them each; None where all are candidates."""
    if bench.value(f"SELECT count(*) FROM named WHERE {_of(domain)}") <= whole:
        return None
    listed = f"FROM (SELECT concept_id, {_WORDS} AS words FROM named WHERE {_of(domain)})"
    counts = bench.rows(f"SELECT word, count(*) FROM (SELECT unnest(words) AS word {listed}) GROUP BY 1 ORDER BY 1")
    chosen = Near(names, dict(counts), share)
    for batch in bench.run(f"SELECT concept_id, words {listed}").to_arrow_reader(BATCH):
        chosen.look(batch.column(0).to_numpy(), batch.column(1))
    return chosen.found()
