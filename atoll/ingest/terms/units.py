"""A test's unit and its concept say the same: results in moles have a concept of moles, or are converted into mass.

LOINC has a concept for either property of many tests (`Glucose [Mass/volume]`, `Glucose [Moles/volume]`). Where only
one of them is at hand, as among the tests that come with the package, the list of tests gives the unit of the concept,
and the loader converts by the analyte.
"""

from __future__ import annotations

from functools import cache

from atoll.ingest.terms.concepts import common_tests, parse
from atoll.ingest.terms.features import unit_kind
from atoll.study.units import UnitError, analyte_in, conversion

KINDS = ("mass", "moles")


def property_of(name: str) -> str:
    """Whether a concept, by its name, counts `mass` or `moles` in a volume; empty where neither."""
    found = parse(0, name).property
    return found if found in KINDS else ""


def differs(unit: str, counted: str) -> bool:
    """Whether a unit counts moles and its concept mass, or the other way round."""
    return {unit_kind(unit), counted} == set(KINDS)


def unit_of_concept(unit: str, analyte: str, concept: int, counted: str) -> str:
    """The unit into which a test's results are converted so that they say what its concept says.

    unit, analyte   as the list of tests has them
    counted         what the concept counts (`property_of`)

    Returns the unit itself where the two agree, and nothing where no unit is known into which it converts.
    """
    if not differs(unit, counted):
        return unit
    by_concept, by_analyte = _usual()
    for usual in (by_concept.get(concept, ""), by_analyte.get((analyte, counted), "")):
        try:
            if usual and unit_kind(usual) == counted:
                conversion(unit, usual, analyte)
                return usual
        except UnitError:
            continue
    return ""


@cache
def _usual() -> tuple[dict[int, str], dict[tuple[str, str], str]]:
    """The unit of each common test, by concept, and by analyte and what is counted."""
    by_concept, by_analyte = dict[int, str](), dict[tuple[str, str], str]()
    for row in common_tests():
        if row["unit"]:
            by_concept[int(row["concept_id"])] = row["unit"]
            by_analyte.setdefault((analyte_in(row["analyte"]), unit_kind(row["unit"])), row["unit"])
    return by_concept, by_analyte
