"""Files of Usagi, OHDSI's program for mapping codes: read its approved mappings, write ours for it.

One row a source code and concept; times are milliseconds since 1970. Mapping status APPROVED with equivalence UNMATCHED
and concept 0 says that nothing fits.
Format: OHDSI/Usagi (Apache-2.0), columns as its saved mapping files have them.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from atoll.errors import DataError
from atoll.ingest.lists import read_text
from atoll.ingest.terms.review import LIST, NOTHING, Review

COLUMNS = (
    "sourceCode", "sourceName", "sourceFrequency", "sourceAutoAssignedConceptIds", "matchScore", "mappingStatus",
    "equivalence", "statusSetBy", "statusSetOn", "conceptId", "conceptName", "domainId", "mappingType", "comment",
    "createdBy", "createdOn", "assignedReviewer",
)  # fmt: skip
NEEDED = ("sourceCode", "sourceName", "mappingStatus", "conceptId")


def write_usagi(path: Path, review: Review) -> int:
    """All names for Usagi: settled ones as APPROVED, others as UNCHECKED with the first candidate. Returns the rows."""
    settled = {item.key: (decision, authors) for item, decision, authors in review.settled()}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in review.items.values():
            first = item.candidates[0] if item.candidates else None
            automatic = ";".join(str(candidate.concept_id) for candidate in item.candidates)
            row = dict.fromkeys(COLUMNS, "")
            row |= {
                "sourceCode": item.name, "sourceName": item.name, "sourceFrequency": "-1",
                "sourceAutoAssignedConceptIds": automatic, "mappingType": "MAPS_TO", "createdBy": "atoll",
            }  # fmt: skip
            if item.key in settled:
                decision, authors = settled[item.key]
                chosen = next((c for c in item.candidates if c.concept_id == decision.concept_id), None)
                row |= {
                    "mappingStatus": "APPROVED",
                    "equivalence": "UNMATCHED" if decision.concept_id == NOTHING else "EQUAL",
                    "statusSetBy": "; ".join(authors), "statusSetOn": str(_milliseconds(decision.at)),
                    "conceptId": str(decision.concept_id), "createdOn": str(_milliseconds(decision.at)),
                    "matchScore": f"{chosen.probability:.4f}" if chosen else "0",
                    "conceptName": chosen.concept_name if chosen else "", "comment": decision.source,
                }  # fmt: skip
            else:
                row |= {
                    "mappingStatus": "UNCHECKED", "equivalence": "UNREVIEWED",
                    "conceptId": str(first.concept_id) if first else "0",
                    "matchScore": f"{first.probability:.4f}" if first else "0",
                    "conceptName": first.concept_name if first else "", "comment": first.reason if first else "",
                }  # fmt: skip
            writer.writerow([row[column] for column in COLUMNS])
    return len(review.items)


def read_usagi(path: Path) -> list[tuple[str, int, str, str, str]]:
    """Approved mappings of a Usagi file as rows of a code list: name, concept, author, date, source.

    Raises
    ------
    DataError
        When it is not a file of Usagi, or a concept is not a number.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    if missing := [column for column in NEEDED if column not in (reader.fieldnames or ())]:
        raise DataError(
            f"{path.name} is not a file of Usagi: it has no column {missing[0]}.", "Save the mapping in Usagi."
        )
    found = []
    for at, row in enumerate(reader, 2):
        if row["mappingStatus"].upper() != "APPROVED":
            continue
        try:
            concept = int(row["conceptId"] or 0)
        except ValueError:
            raise DataError(
                f"{path.name}, line {at}: conceptId is not a number.", "Save the mapping in Usagi."
            ) from None
        if concept > 0:
            date = _date(row.get("statusSetOn", ""))
            found.append((row["sourceName"] or row["sourceCode"], concept, row.get("statusSetBy", ""), date, "Usagi"))
    return found


def usagi_to_list(source: Path, target: Path) -> int:
    """Write the approved mappings of a Usagi file as a code list. Returns the rows."""
    rows = read_usagi(source)
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LIST)
        writer.writerows((*row, "") for row in rows)
    return len(rows)


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)


def _date(milliseconds: str) -> str:
    try:
        if int(milliseconds) <= 0:  # Usagi writes 0 where it knows no day
            return ""
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return ""
