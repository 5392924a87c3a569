"""From a vocabulary's codes to standard concepts: however it writes them, and however often they were replaced."""

from __future__ import annotations

import pytest

from atoll.cdm.vocabulary import load_athena
from atoll.ingest.load import load
from tests.ingest.exports import MAPPING, RESULTS, TODAY, mapping, rows, write
from tests.ingest.test_vocabularies import CONCEPT, RELATIONSHIP, athena


def concept(number: int, code: str, vocabulary: str = "Own", standard: str = "", invalid: str = "") -> str:
    last = "20200101" if invalid else "20991231"
    return f"{number}\tx\tMeasurement\t{vocabulary}\tLab\t{standard}\t{code}\t19700101\t{last}\t{invalid}\n"


def related(*links: tuple[int, str, int]) -> str:
    return RELATIONSHIP.splitlines(keepends=True)[0] + "".join(
        f"{one}\t{other}\t{how}\t20200101\t20991231\t\n" for one, how, other in links
    )


def mapped(folder, codes: list[str], concepts: str, relations: str, vocabulary: str = "Own") -> dict[str, int]:
    """Codes of an export with the concepts that a load gives them."""
    load_athena(athena(folder / "athena", CONCEPT=CONCEPT + concepts, CONCEPT_RELATIONSHIP=relations), folder / "v")
    lines = "".join(f"{n},1,v1,2020-01-11,{code},1,x\n" for n, code in enumerate(codes))
    export = write(folder / "export", results=RESULTS.splitlines(keepends=True)[0] + lines)
    text = MAPPING.replace('code("LOINC", code)', f'code("{vocabulary}", code)')
    load(mapping(folder / "m", text), str(export), folder / "cdm.duckdb", vocabulary=folder / "v", today=TODAY)
    return dict(rows(folder, "SELECT measurement_source_value, measurement_concept_id FROM measurement"))


BY, TO = "Concept replaced by", "Maps to"


def test_a_code_that_was_replaced_twice_is_followed_to_the_end(tmp_path):
    """Also to a successor that maps on; round a circle it leads nowhere, and the load ends."""
    old = "".join(concept(n, f"Z{n}", invalid="U") for n in (11, 12, 14, 15, 21, 22, 31, 32, 33))
    concepts = old + concept(13, "Z13", standard="S") + concept(16, "Z16") + concept(34, "Z34", standard="S")
    links = [(11, BY, 12), (12, BY, 13), (14, BY, 15), (15, BY, 16), (16, TO, 3), (21, BY, 22), (22, BY, 21),
             (31, BY, 32), (32, BY, 33), (33, BY, 34), (33, BY, 31)]  # fmt: skip
    found = mapped(tmp_path, ["Z11", "Z12", "Z14", "Z21", "Z31"], concepts, related(*links))
    assert found == {"Z11": 13, "Z12": 13, "Z14": 3, "Z21": 0, "Z31": 34}


def test_no_code_leads_to_a_concept_that_is_no_longer_valid(tmp_path):
    gone = concept(13, "Z13", standard="S", invalid="D")
    concepts = concept(11, "Z11") + concept(12, "Z12", invalid="U") + gone
    links = related((11, TO, 13), (12, BY, 13), (13, TO, 13))
    assert mapped(tmp_path, ["Z11", "Z12", "Z13"], concepts, links) == {"Z11": 0, "Z12": 0, "Z13": 0}


@pytest.mark.parametrize(
    "vocabulary", ["ICD9CM", "ICD9Proc", "ICD9ProcCN", "ICD10", "ICD10CM", "ICD10CN", "ICD10PCS", "ICD10GM"]
)
def test_codes_of_the_icd_are_found_without_their_points(tmp_path, vocabulary):
    """Hospitals write E11.900, E11900 and e11.900; the vocabularies with a point or without it."""
    concepts = concept(11, "E11.900", vocabulary) + concept(12, "E12900", vocabulary)
    found = mapped(tmp_path, ["E11.900", "E11900", "e11.900", "E12.900"], concepts, related((11, TO, 3), (12, TO, 4)),
                   vocabulary)  # fmt: skip
    assert found == {"E11.900": 3, "E11900": 3, "e11.900": 3, "E12.900": 4}
