"""The simulated hospitals: size, mix of patients, and how each writes its data down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from atoll.errors import OperatorError

SHAPES = {  # how hospitals export: module of `shapes` → what it is, in words; the one list of them
    "his": "files of a Chinese HIS, GB18030", "sql": "a database", "fhir": "FHIR, one resource a line",
    "hl7": "HL7 v2 messages", "synthea": "CSV as Synthea writes it",
}  # fmt: skip


@dataclass(frozen=True)
class Hospital:
    """One hospital.

    share      of all persons who have it as their first hospital
    age        tilt of the ages: log-weight by year above 50
    male       share of men
    burden     factor on the frequency of chronic diseases, above that of the population
    visits     factor on the number of visits
    shape      how it exports: one of `SHAPES`
    prefix     of its patient numbers
    """

    name: str
    title: str
    title_zh: str
    share: float
    age: float
    male: float
    burden: float
    visits: float
    shape: str
    prefix: str


HOSPITALS = (
    Hospital("coral", "Coral University Hospital", "珊瑚大学附属医院", 0.42, 0.012, 0.49, 1.35, 1.1, "his", "C"),
    Hospital("harbour", "Harbour General", "海港总医院", 0.27, 0.004, 0.53, 1.15, 1.0, "sql", "H"),
    Hospital(
        "lagoon", "Lagoon Women's and Family Clinic", "泻湖妇幼保健院", 0.16, -0.022, 0.22, 0.85, 1.0, "fhir", "L"
    ),
    Hospital("mangrove", "Mangrove District Hospital", "红树林区医院", 0.10, 0.022, 0.51, 1.30, 0.9, "hl7", "M"),
    Hospital("reef", "Reef Island Hospital", "礁岛医院", 0.05, 0.015, 0.55, 1.40, 0.8, "synthea", "R"),
)
SECOND, THIRD = 0.10, 0.015  # shares of persons who are also patients of a second, and of a third hospital


def choose(count: int) -> tuple[Hospital, ...]:
    """The first `count` hospitals; further ones repeat the five with a number."""
    found = []
    for at in range(count):
        hospital, again = HOSPITALS[at % len(HOSPITALS)], at // len(HOSPITALS)
        if again:
            hospital = replace(hospital, name=f"{hospital.name}{again + 1}", prefix=f"{hospital.prefix}{again + 1}")
        found.append(hospital)
    return tuple(found)


def exporting(hospitals: Sequence[Hospital], shapes: Sequence[str]) -> tuple[Hospital, ...]:
    """The hospitals with the shape in which each exports: its own where that is asked for, else one that is asked for
    and that no other has, else none ("").

    Raises
    ------
    OperatorError
        For a shape that there is not, or more shapes than hospitals.
    """
    if unknown := [shape for shape in shapes if shape not in SHAPES]:
        raise OperatorError(f"There is no shape {unknown[0]!r}.", f"There are: {', '.join(SHAPES)}.")
    own = {hospital.shape for hospital in hospitals}
    left = [shape for shape in dict.fromkeys(shapes) if shape not in own]
    made = []
    for hospital in hospitals:
        shape = hospital.shape if hospital.shape in shapes else left.pop(0) if left else ""
        made.append(replace(hospital, shape=shape))
    if left:
        wanted = len(set(shapes))
        raise OperatorError(
            f"{wanted} export shapes need {wanted} hospitals, and there are {len(made)}: none is left for"
            f" {', '.join(left)}.", f"Give --hospitals {wanted}, or fewer shapes."
        )  # fmt: skip
    return tuple(made)
