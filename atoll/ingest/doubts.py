"""The concepts of code lists, held against the vocabulary at hand: what nobody knows, what is not standard, what is of
another domain than the column that it fills, and tests whose concept counts mass while their unit counts moles. And
analytes by which nothing converts.

Without a vocabulary the concepts that come with the package are all that is known, so that one of them missing there is
a doubt and no fault.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from atoll.cdm.tables import LOCAL
from atoll.ingest.expressions import Call, Constant, Expression, calls
from atoll.ingest.lists import read_text
from atoll.ingest.lookups import no_analyte, read_list
from atoll.ingest.mapping import Mapping
from atoll.ingest.terms.concepts import starter_candidates
from atoll.ingest.terms.units import differs, property_of, unit_of_concept
from atoll.ingest.terms.vocabulary import opened
from atoll.knowledge.library import concepts as of_library

_NOT_HELD = ("Unit", "Type Concept")  # domains whose columns take what is not standard


@dataclass(frozen=True)
class Doubt:
    """One line of a list. `certain` where the vocabulary that was given says so."""

    file: str
    line: int
    concept_id: int
    what: str
    remedy: str
    certain: bool = False

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what} {self.remedy}"


class _Known(NamedTuple):
    name: str
    domain: str
    standard: bool


def doubts(mapping: Mapping, vocabulary: Path | None = None) -> list[Doubt]:
    """Every line of a list whose concept or analyte does not fit, in order.

    Raises
    ------
    DataError
        When a list cannot be read, or the vocabulary is none.
    """
    used = _domains(mapping)
    held = {name: list(_lines(name, mapping.lists[name])) for name in used if name in mapping.lists}
    known = _known({row.concept_id for rows in held.values() for row in rows}, vocabulary)
    return [
        doubt
        for name, rows in held.items()
        for row in rows
        for doubt in _of_line(mapping.lists[name].name, row, known.get(row.concept_id), used[name], vocabulary)
    ] + _of_analytes(mapping)


def _of_analytes(mapping: Mapping) -> list[Doubt]:
    """Lines of lists by whose analyte values are converted, and which name one that nothing converts by."""
    trees = [one.tree for rule in mapping.rules for one in rule.columns.values()]
    asked = {found for tree in trees for found in _analytes(tree) if found[0] in mapping.lists}
    found = []
    for name, column in sorted(asked):
        read_list(name, mapping.lists[name])  # says what is wrong with it
        for line, row in _rows(mapping.lists[name]):
            if wrong := no_analyte(row.get(column, "")):
                found.append(Doubt(mapping.lists[name].name, line, 0, *wrong))
    return found


def _analytes(tree: Expression) -> Iterator[tuple[str, str]]:
    """List and column in which an expression looks the analytes of its conversions up."""
    for call in calls(tree):
        looked = call.arguments[3] if call.function == "convert" and len(call.arguments) > 3 else None
        if isinstance(looked, Call) and looked.function == "lookup" and len(looked.arguments) > 2:
            name, _, column = looked.arguments
            if isinstance(name, Constant) and isinstance(column, Constant):
                yield str(name.value), str(column.value)


class _Line(NamedTuple):
    line: int
    concept_id: int
    unit: str
    analyte: str


def _domains(mapping: Mapping) -> dict[str, dict[str, tuple[str, ...]]]:
    """List → columns of the model that its concepts fill → domains that they take."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for rule in mapping.rules:
        for target, written in rule.columns.items():
            column = rule.table.columns.get(target)
            if column is None or not target.endswith("_concept_id") or "source" in target:
                continue
            domains = tuple(word.strip() for word in (column.domain or "").split(",") if word.strip())
            if set(domains) & set(_NOT_HELD) or target.endswith("type_concept_id"):
                continue
            for name in _lists(written.tree):
                found.setdefault(name, {})[target] = domains
    return found


def _lists(tree: Expression) -> Iterator[str]:
    """The lists whose concepts an expression looks up."""
    for call in calls(tree):
        name, *rest = call.arguments or (None,)
        if call.function == "lookup" and isinstance(name, Constant) and len(rest) == 1:
            yield str(name.value)


def _lines(name: str, path: Path) -> Iterator[_Line]:
    columns, _ = read_list(name, path)  # says what is wrong with it
    if "concept_id" not in columns:
        return
    for number, row in _rows(path):
        if row.get("concept_id", "") not in ("", "0"):
            yield _Line(number, int(row["concept_id"]), row.get("unit", ""), row.get("analyte", ""))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and row of a list."""
    rows = list(csv.reader(io.StringIO(read_text(path))))
    header = [column.strip() for column in rows[0]]
    for number, cells in enumerate(rows[1:], 2):
        yield number, dict(zip(header, (cell.strip() for cell in cells), strict=False))


def _known(ids: Iterable[int], vocabulary: Path | None) -> dict[int, _Known]:
    if vocabulary is None:
        return _of_package()
    listed = ", ".join(str(number) for number in sorted({0, *ids}))
    with opened(vocabulary) as bench:
        rows = bench.rows(
            "SELECT concept_id, concept_name, domain_id, coalesce(standard_concept, '') = 'S' AND"
            f" invalid_reason IS NULL FROM the_concept WHERE concept_id IN ({listed})"
        )
    return {number: _Known(name or "", domain or "", standard) for number, name, domain, standard in rows}


def _of_package() -> dict[int, _Known]:
    """The starter set and the library of phenotypes; a test by what it counts."""
    found = {number: _Known("", row["domain"], True) for number, row in of_library().items()}
    text = files("atoll.cdm").joinpath("starter_concepts.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        standard = row["standard_concept"] == "S"
        found[int(row["concept_id"])] = _Known(row["concept_name"], row["domain_id"], standard)
    tests = {c.concept_id: c.name for c in starter_candidates() if not c.variant}
    return {number: known._replace(name=tests.get(number, known.name)) for number, known in found.items()}


def _of_line(
    file: str, row: _Line, known: _Known | None, columns: dict[str, tuple[str, ...]], vocabulary: Path | None
) -> Iterator[Doubt]:
    number, certain = row.concept_id, vocabulary is not None

    def doubt(what: str, remedy: str, certain: bool = certain) -> Doubt:
        return Doubt(file, row.line, number, what, remedy, certain)

    if number >= LOCAL:
        return
    if known is None:
        where = "the vocabulary" if certain else "what comes with Atoll"
        remedy = "Correct it." if certain else "Give --vocabulary to have it looked up."
        yield doubt(f"concept {number} is not in {where}.", remedy)
        return
    if not known.standard:
        yield doubt(f"concept {number} is not standard.", "Give the one that it maps to.")
    for column, domains in columns.items():
        if domains and known.domain and known.domain not in domains:
            yield doubt(f"concept {number} is of the domain {known.domain}, {column} takes {' or '.join(domains)}.",
                        "Give another, or load these codes by a rule of their own.")  # fmt: skip
    counted = property_of(known.name)
    if "measurement_concept_id" in columns and differs(row.unit, counted):
        into = unit_of_concept(row.unit, row.analyte, number, counted)
        remedy = f"Write {into} as its unit: values are converted." if into else "Give the concept of that unit."
        yield doubt(f"concept {number} counts {counted}, its unit {row.unit} does not.", remedy, False)
