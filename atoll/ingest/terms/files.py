"""The files of the term matcher: names in, suggestions out, code lists of earlier decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from atoll.errors import DataError
from atoll.ingest.lists import UNITS, read_text, whole_rows
from atoll.ingest.terminology import Name, Suggestion
from atoll.ingest.terms.units import unit_of_concept

KNOWN = tuple(field.name for field in fields(Name))
DOMAINS = {
    "drug": "Drug", "test": "Measurement", "diagnosis": "Condition", "procedure": "Procedure", "sex": "Gender",
    "visit_kind": "Visit", "vitals": "Measurement",
}  # fmt: skip  # of lists
_SHOWN = {"code": "code", "specimen": "fluid", "category": "category", "unit": "unit", "rows": "rows",
          "values": "sample_values"}  # fmt: skip  # to reviewers, and the column
HEADINGS = ("name", "rank", "concept_id", "probability", "reason")


def read_names(path: Path) -> list[Name]:
    """The names of a CSV file: the column `name`, and those of `KNOWN` that are present.

    A code list will do: a code without a name stands for itself, and codes that have a concept are left out. The lists
    that `atoll mapping propose` writes say by their file's name of which domain they are.

    Raises
    ------
    DataError
        When the file cannot be read, or has no column `name` or no row.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    columns = {(heading or "").strip().lower(): heading for heading in rows.fieldnames or ()}
    if "name" not in columns and "code" not in columns:
        found = ", ".join(filter(None, columns)) or "nothing"
        raise DataError(
            f"{path.name} has no column `name`; it has: {found[:200]}.",
            "Name the column with the written terms `name`.",
        )
    known = {key: columns[key] for key in KNOWN if key in columns}
    if "code" in columns:
        return _of_list(path, list(whole_rows(rows, path.name)), columns, known)
    names = [
        Name(**{key: (row[heading] or "").strip() for key, heading in known.items()})
        for row in whole_rows(rows, path.name)
    ]
    if not names:
        raise DataError(f"{path.name} holds no names.", "Give one row for every name.")
    return names


def _of_list(path: Path, rows: list[dict[str, str]], columns: dict[str, str], known: dict[str, str]) -> list[Name]:
    found: dict[str, Name] = {}
    for row in rows:
        if "concept_id" in columns and (row[columns["concept_id"]] or "").strip() not in ("", "0"):
            continue
        said = {key: (row[heading] or "").strip() for key, heading in known.items()}
        said["name"] = said.get("name") or (row[columns["code"]] or "").strip()
        of = row[columns["list"]] if "list" in columns else path.stem  # `…-unmapped.csv` holds codes of several lists
        if of == UNITS:
            continue  # they are no names of things
        domain = next((domain for word, domain in DOMAINS.items() if of.startswith(word)), "")
        found.setdefault(said["name"], Name(**{"domain": domain, **said}))
    if not found:
        raise DataError(f"Every code of {path.name} has a concept.", "There is nothing to suggest.")
    return list(found.values())


def read_contexts(path: Path) -> dict[str, list[dict[str, str]]]:
    """What a file of names or a code list says beside each name, for reviewers; in order where a name stands twice.

    Codes of one name are one entry: of several the commonest stands there, and all their rows count.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    columns = {(heading or "").strip().lower(): heading for heading in rows.fieldnames or ()}
    found: dict[str, list[dict[str, str]]] = {}
    for row in whole_rows(rows, path.name):
        said = {key: (row[heading] or "").strip() for key, heading in columns.items()}
        context = {shown: said[column] for shown, column in _SHOWN.items() if said.get(column)}
        name = said.get("name") or said.get("code", "")
        before = found.setdefault(name, [])
        if "code" in columns and before:
            numbers = [before[0].get("rows", ""), context.get("rows", "")]
            if all(number.isdecimal() for number in numbers):
                before[0]["rows"] = str(sum(map(int, numbers)))
        else:
            before.append(context)
    return found


def fill_list(
    path: Path, decided: Mapping[str, int], counted: Callable[[int], str] = lambda concept: ""
) -> tuple[int, int, list[str]]:
    """Write decided concepts into a code list, where it has none yet, by the code's name; what else it holds stays.

    A test whose results are in moles while its concept counts mass, or the other way round, gets the unit of the
    concept, so that its values are converted.

    counted   what a concept counts (`units.property_of`)

    Returns how many codes got a concept, how many have none still, and the names whose unit was changed.

    Raises
    ------
    DataError
        When the file is no code list.
    """
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    header = list(rows.fieldnames or ())
    if not {"code", "concept_id"} <= set(header):
        raise DataError(
            f"{path.name} has no columns `code` and `concept_id`.", "Give a list of `atoll mapping propose`."
        )
    found, filled, left, converted = list(rows), 0, 0, list[str]()
    for row in found:
        if row["concept_id"].strip() in ("", "0"):
            name = (row.get("name") or row["code"]).strip()
            number = decided.get(name)
            row["concept_id"] = str(number) if number else row["concept_id"]
            filled, left = filled + bool(number), left + (not number)
            unit = (row.get("unit") or "").strip()
            if number and unit:
                into = unit_of_concept(unit, (row.get("analyte") or "").strip(), number, counted(number))
                if into not in ("", unit):
                    row["unit"] = into
                    converted.append(name)
    beside = path.with_name(path.name + ".partial")
    with beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(found)
    beside.replace(path)
    return filled, left, converted


def write_suggestions(path: Path, names: Sequence[Name], found: Iterable[Suggestion]) -> None:
    """Suggestions as CSV with `HEADINGS`. A name without a candidate has one row of rank 0."""
    by_name: dict[int, list[Suggestion]] = {}
    for suggestion in found:
        by_name.setdefault(suggestion.at, []).append(suggestion)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for at, name in enumerate(names):
            for s in by_name.get(at, ()):
                writer.writerow((name.name, s.rank, s.concept_id, f"{s.probability:.4f}", s.reason))
            if at not in by_name:
                of = f" of the domain {name.domain}" if name.domain else ""
                writer.writerow((name.name, 0, "", "0.0000", f"no candidate{of} shares a word or letters with it"))


def read_decisions(path: Path) -> dict[str, int]:
    """A code list of earlier decisions: the columns `name` and `concept_id`, others are not looked at."""
    found = {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    for at, row in enumerate(whole_rows(reader, path.name), 2):
        try:
            found[row["name"].strip()] = int(row["concept_id"])
        except (KeyError, ValueError):
            raise DataError(
                f"{path.name}, line {at}: a decision needs a name and a number as concept_id.",
                "Give a CSV with the columns name and concept_id.",
            ) from None
    return found
