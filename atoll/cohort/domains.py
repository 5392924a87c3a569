"""Where each kind of criterion finds its rows: table, columns and how the end of an event is known.

Facts of the OMOP CDM 5.3/5.4 and of circe-be 1.12.1. What domains have in common is not said here but in `criteria`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

End = Literal["stored", "stored or next day", "stored or days of supply or next day", "next day"]
Kind = Literal["concept", "integer", "decimal", "text", "concept set"]


@dataclass(frozen=True)
class Domain:
    """One kind of criterion.

    attributes   field of the criterion → kind of comparison and column; a field `x_cs` compares the column of `x`
    counts       what `CountColumn` may count here, beside START_DATE, END_DATE and VISIT_ID
    doubled      whether a concept that stands twice in the code set gives its rows twice, as circe's joins do
    """

    table: str
    id: str
    start: str
    end_column: str = ""
    end: End = "stored"
    concept: str = ""
    source: str = ""
    visit: str = ""
    attributes: dict[str, tuple[Kind, str]] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    doubled: bool = True
    first_by_id: bool = True


def _concepts(prefix: str, *names: str) -> dict[str, tuple[Kind, str]]:
    return {name: ("concept", f"{prefix}{name}_concept_id") for name in names}


BY_CRITERION: dict[str, Domain] = {
    "ConditionOccurrence": Domain(
        "condition_occurrence",
        "condition_occurrence_id",
        "condition_start_date",
        "condition_end_date",
        "stored or next day",
        concept="condition_concept_id",
        source="condition_source_concept_id",
        visit="visit_occurrence_id",
        attributes=_concepts("", "condition_type", "condition_status") | {"stop_reason": ("text", "stop_reason")},
    ),
    "DrugExposure": Domain(
        "drug_exposure",
        "drug_exposure_id",
        "drug_exposure_start_date",
        "drug_exposure_end_date",
        "stored or days of supply or next day",
        concept="drug_concept_id",
        source="drug_source_concept_id",
        visit="visit_occurrence_id",
        attributes={
            **_concepts("", "drug_type", "dose_unit"),
            "route_concept": ("concept", "route_concept_id"),
            "stop_reason": ("text", "stop_reason"),
            "lot_number": ("text", "lot_number"),
            "refills": ("integer", "refills"),
            "days_supply": ("integer", "days_supply"),
            "quantity": ("decimal", "quantity"),
            "effective_drug_dose": ("decimal", "effective_drug_dose"),
        },
        counts={"DAYS_SUPPLY": "days_supply", "QUANTITY": "quantity", "REFILLS": "refills"},
    ),
    "ProcedureOccurrence": Domain(
        "procedure_occurrence",
        "procedure_occurrence_id",
        "procedure_date",
        end="next day",
        concept="procedure_concept_id",
        source="procedure_source_concept_id",
        visit="visit_occurrence_id",
        attributes=_concepts("", "procedure_type", "modifier") | {"quantity": ("integer", "quantity")},
        counts={"QUANTITY": "quantity"},
    ),
    "Measurement": Domain(
        "measurement",
        "measurement_id",
        "measurement_date",
        end="next day",
        concept="measurement_concept_id",
        source="measurement_source_concept_id",
        visit="visit_occurrence_id",
        attributes={
            **_concepts("", "measurement_type", "operator", "unit"),
            "value_as_concept": ("concept", "value_as_concept_id"),
            "value_as_number": ("decimal", "value_as_number"),
            "range_low": ("decimal", "range_low"),
            "range_high": ("decimal", "range_high"),
        },
        counts={"VALUE_AS_NUMBER": "value_as_number", "RANGE_HIGH": "range_high", "RANGE_LOW": "range_low",
                "UNIT": "unit_concept_id"},
    ),
    "Observation": Domain(
        "observation",
        "observation_id",
        "observation_date",
        end="next day",
        concept="observation_concept_id",
        source="observation_source_concept_id",
        visit="visit_occurrence_id",
        attributes={
            **_concepts("", "observation_type", "qualifier", "unit"),
            "value_as_concept": ("concept", "value_as_concept_id"),
            "value_as_number": ("decimal", "value_as_number"),
            "value_as_string": ("text", "value_as_string"),
        },
        counts={"VALUE_AS_NUMBER": "value_as_number"},
    ),
    "DeviceExposure": Domain(
        "device_exposure",
        "device_exposure_id",
        "device_exposure_start_date",
        "device_exposure_end_date",
        "stored or next day",
        concept="device_concept_id",
        source="device_source_concept_id",
        visit="visit_occurrence_id",
        attributes=_concepts("", "device_type")
        | {"unique_device_id": ("text", "unique_device_id"), "quantity": ("integer", "quantity")},
        counts={"QUANTITY": "quantity"},
    ),
    "VisitOccurrence": Domain(
        "visit_occurrence",
        "visit_occurrence_id",
        "visit_start_date",
        "visit_end_date",
        concept="visit_concept_id",
        source="visit_source_concept_id",
        visit="visit_occurrence_id",
        attributes=_concepts("", "visit_type"),
    ),
    "VisitDetail": Domain(
        "visit_detail",
        "visit_detail_id",
        "visit_detail_start_date",
        "visit_detail_end_date",
        concept="visit_detail_concept_id",
        source="visit_detail_source_concept_id",
        visit="visit_occurrence_id",
        attributes=_concepts("", "visit_detail_type"),
    ),
    "Death": Domain(
        "death",
        "person_id",
        "death_date",
        end="next day",
        concept="cause_concept_id",
        source="cause_source_concept_id",
        attributes=_concepts("", "death_type"),
    ),
    "Specimen": Domain(
        "specimen",
        "specimen_id",
        "specimen_date",
        end="next day",
        concept="specimen_concept_id",
        source="specimen_source_concept_id",
        attributes={
            **_concepts("", "specimen_type", "unit", "anatomic_site", "disease_status"),
            "quantity": ("decimal", "quantity"),
            "source_id": ("text", "specimen_source_id"),
        },
        doubled=False,
    ),
    "ConditionEra": Domain(
        "condition_era",
        "condition_era_id",
        "condition_era_start_date",
        "condition_era_end_date",
        concept="condition_concept_id",
        attributes={"occurrence_count": ("integer", "condition_occurrence_count")},
        counts={"ERA_OCCURRENCES": "condition_occurrence_count"},
        doubled=False,
    ),
    "DrugEra": Domain(
        "drug_era",
        "drug_era_id",
        "drug_era_start_date",
        "drug_era_end_date",
        concept="drug_concept_id",
        attributes={"occurrence_count": ("integer", "drug_exposure_count"), "gap_days": ("integer", "gap_days")},
        counts={"ERA_OCCURRENCES": "drug_exposure_count", "GAP_DAYS": "gap_days"},
        doubled=False,
    ),
    "DoseEra": Domain(
        "dose_era",
        "dose_era_id",
        "dose_era_start_date",
        "dose_era_end_date",
        concept="drug_concept_id",
        attributes=_concepts("", "unit") | {"dose_value": ("decimal", "dose_value")},
        counts={"UNIT": "unit_concept_id", "VALUE_AS_NUMBER": "dose_value"},
        doubled=False,
    ),
    "ObservationPeriod": Domain(
        "observation_period",
        "observation_period_id",
        "observation_period_start_date",
        "observation_period_end_date",
        concept="period_type_concept_id",
        attributes=_concepts("", "period_type"),
        first_by_id=False,
    ),
    "PayerPlanPeriod": Domain(
        "payer_plan_period",
        "payer_plan_period_id",
        "payer_plan_period_start_date",
        "payer_plan_period_end_date",
        concept="payer_concept_id",
        attributes={
            f"{name}{source}_concept": ("concept set", f"{name}{source}_concept_id")
            for name in ("payer", "plan", "sponsor", "stop_reason")
            for source in ("", "_source")
        },
        first_by_id=False,
    ),
    "Episode": Domain(
        "episode",
        "episode_id",
        "episode_start_date",
        "episode_end_date",
        concept="episode_concept_id",
        attributes={
            "episode_number": ("integer", "episode_number"),
            "episode_type": ("concept", "episode_type_concept_id"),
            "episode_object_concept": ("concept", "episode_object_concept_id"),
        },
    ),
    "CustomEra": Domain("", "", ""),  # made of other criteria's events
}  # fmt: skip

BY_WORD: dict[str, Domain] = {  # as features name them
    "condition": BY_CRITERION["ConditionOccurrence"],
    "condition_era": BY_CRITERION["ConditionEra"],
    "drug": BY_CRITERION["DrugExposure"],
    "drug_era": BY_CRITERION["DrugEra"],
    "procedure": BY_CRITERION["ProcedureOccurrence"],
    "device": BY_CRITERION["DeviceExposure"],
    "measurement": BY_CRITERION["Measurement"],
    "observation": BY_CRITERION["Observation"],
    "visit": BY_CRITERION["VisitOccurrence"],
}
