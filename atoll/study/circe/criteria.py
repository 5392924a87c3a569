"""The criteria of a Circe definition: one class a kind, and the groups that look for them around an event.

See `circe`, which is the face. Fields follow circe-be 1.12.1, key by key.
"""

from __future__ import annotations

from typing import Any, Self

from atoll.study.circe.node import Node, key, read_wrapped, words
from atoll.study.circe.parts import (
    Concept,
    ConceptSetSelection,
    DateAdjustment,
    DateRange,
    NumericRange,
    Occurrence,
    Period,
    TextFilter,
    Window,
)


class Criterion(Node):
    """A domain's rows that fit. In the document it is wrapped: `{"ConditionOccurrence": {…}}`."""

    correlated_criteria: CriteriaGroup | None = key("CorrelatedCriteria")
    date_adjustment: DateAdjustment | None = key("DateAdjustment")

    @classmethod
    def read(cls, value: Any) -> Self:
        if cls is not Criterion:
            return super().read(value)
        return read_wrapped(value, CRITERIA, 'a criterion, as {"ConditionOccurrence": {…}}')  # type: ignore[return-value]

    def document(self) -> dict[str, Any]:
        return {type(self).__name__: super().document()}


class ConditionEra(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    era_start_date: DateRange | None = key("EraStartDate")
    era_end_date: DateRange | None = key("EraEndDate")
    occurrence_count: NumericRange | None = key("OccurrenceCount")
    era_length: NumericRange | None = key("EraLength")
    age_at_start: NumericRange | None = key("AgeAtStart")
    age_at_end: NumericRange | None = key("AgeAtEnd")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")


class ConditionOccurrence(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    occurrence_end_date: DateRange | None = key("OccurrenceEndDate")
    condition_type: tuple[Concept, ...] | None = key("ConditionType")
    condition_type_cs: ConceptSetSelection | None = key("ConditionTypeCS")
    condition_type_exclude: bool | None = key("ConditionTypeExclude")
    stop_reason: TextFilter | None = key("StopReason")
    condition_source_concept: int | None = key("ConditionSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")
    condition_status: tuple[Concept, ...] | None = key("ConditionStatus")
    condition_status_cs: ConceptSetSelection | None = key("ConditionStatusCS")


class CustomEra(Criterion):
    criteria_list: tuple[Criterion, ...] | None = key("CriteriaList")
    first: bool | None = key("First")
    gap_days: int | None = key("GapDays")
    start_date: DateRange | None = key("StartDate")
    end_date: DateRange | None = key("EndDate")
    age_at_start: NumericRange | None = key("AgeAtStart")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    duration: NumericRange | None = key("Duration")


class Death(Criterion):
    codeset_id: int | None = key("CodesetId")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    death_type: tuple[Concept, ...] | None = key("DeathType")
    death_type_cs: ConceptSetSelection | None = key("DeathTypeCS")
    death_type_exclude: bool | None = key("DeathTypeExclude")
    death_source_concept: int | None = key("DeathSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")


class DeviceExposure(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    occurrence_end_date: DateRange | None = key("OccurrenceEndDate")
    device_type: tuple[Concept, ...] | None = key("DeviceType")
    device_type_cs: ConceptSetSelection | None = key("DeviceTypeCS")
    device_type_exclude: bool | None = key("DeviceTypeExclude")
    unique_device_id: TextFilter | None = key("UniqueDeviceId")
    quantity: NumericRange | None = key("Quantity")
    device_source_concept: int | None = key("DeviceSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")


class DoseEra(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    era_start_date: DateRange | None = key("EraStartDate")
    era_end_date: DateRange | None = key("EraEndDate")
    unit: tuple[Concept, ...] | None = key("Unit")
    unit_cs: ConceptSetSelection | None = key("UnitCS")
    dose_value: NumericRange | None = key("DoseValue")
    era_length: NumericRange | None = key("EraLength")
    age_at_start: NumericRange | None = key("AgeAtStart")
    age_at_end: NumericRange | None = key("AgeAtEnd")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")


class DrugEra(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    era_start_date: DateRange | None = key("EraStartDate")
    era_end_date: DateRange | None = key("EraEndDate")
    occurrence_count: NumericRange | None = key("OccurrenceCount")
    gap_days: NumericRange | None = key("GapDays")
    era_length: NumericRange | None = key("EraLength")
    age_at_start: NumericRange | None = key("AgeAtStart")
    age_at_end: NumericRange | None = key("AgeAtEnd")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")


class DrugExposure(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    occurrence_end_date: DateRange | None = key("OccurrenceEndDate")
    drug_type: tuple[Concept, ...] | None = key("DrugType")
    drug_type_cs: ConceptSetSelection | None = key("DrugTypeCS")
    drug_type_exclude: bool | None = key("DrugTypeExclude")
    stop_reason: TextFilter | None = key("StopReason")
    refills: NumericRange | None = key("Refills")
    quantity: NumericRange | None = key("Quantity")
    days_supply: NumericRange | None = key("DaysSupply")
    route_concept: tuple[Concept, ...] | None = key("RouteConcept")
    route_concept_cs: ConceptSetSelection | None = key("RouteConceptCS")
    effective_drug_dose: NumericRange | None = key("EffectiveDrugDose")
    dose_unit: tuple[Concept, ...] | None = key("DoseUnit")
    dose_unit_cs: ConceptSetSelection | None = key("DoseUnitCS")
    lot_number: TextFilter | None = key("LotNumber")
    drug_source_concept: int | None = key("DrugSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")


class Episode(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    episode_start_date: DateRange | None = key("EpisodeStartDate")
    episode_end_date: DateRange | None = key("EpisodeEndDate")
    episode_number: NumericRange | None = key("EpisodeNumber")
    age: NumericRange | None = key("Age")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    episode_object_concept_cs: ConceptSetSelection | None = key("EpisodeObjectConceptCS")
    episode_type_cs: ConceptSetSelection | None = key("EpisodeTypeCS")


class LocationRegion(Criterion):
    start_date: DateRange | None = key("StartDate")
    end_date: DateRange | None = key("EndDate")
    codeset_id: int | None = key("CodesetId")


class Measurement(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    measurement_type: tuple[Concept, ...] | None = key("MeasurementType")
    measurement_type_cs: ConceptSetSelection | None = key("MeasurementTypeCS")
    measurement_type_exclude: bool | None = key("MeasurementTypeExclude")
    operator: tuple[Concept, ...] | None = key("Operator")
    operator_cs: ConceptSetSelection | None = key("OperatorCS")
    value_as_number: NumericRange | None = key("ValueAsNumber")
    value_as_concept: tuple[Concept, ...] | None = key("ValueAsConcept")
    value_as_concept_cs: ConceptSetSelection | None = key("ValueAsConceptCS")
    unit: tuple[Concept, ...] | None = key("Unit")
    unit_cs: ConceptSetSelection | None = key("UnitCS")
    range_low: NumericRange | None = key("RangeLow")
    range_high: NumericRange | None = key("RangeHigh")
    range_low_ratio: NumericRange | None = key("RangeLowRatio")
    range_high_ratio: NumericRange | None = key("RangeHighRatio")
    abnormal: bool | None = key("Abnormal")
    measurement_source_concept: int | None = key("MeasurementSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")


class Observation(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    observation_type: tuple[Concept, ...] | None = key("ObservationType")
    observation_type_cs: ConceptSetSelection | None = key("ObservationTypeCS")
    observation_type_exclude: bool | None = key("ObservationTypeExclude")
    value_as_number: NumericRange | None = key("ValueAsNumber")
    value_as_string: TextFilter | None = key("ValueAsString")
    value_as_concept: tuple[Concept, ...] | None = key("ValueAsConcept")
    value_as_concept_cs: ConceptSetSelection | None = key("ValueAsConceptCS")
    qualifier: tuple[Concept, ...] | None = key("Qualifier")
    qualifier_cs: ConceptSetSelection | None = key("QualifierCS")
    unit: tuple[Concept, ...] | None = key("Unit")
    unit_cs: ConceptSetSelection | None = key("UnitCS")
    observation_source_concept: int | None = key("ObservationSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")


class ObservationPeriod(Criterion):
    first: bool | None = key("First")
    period_start_date: DateRange | None = key("PeriodStartDate")
    period_end_date: DateRange | None = key("PeriodEndDate")
    user_defined_period: Period | None = key("UserDefinedPeriod")
    period_type: tuple[Concept, ...] | None = key("PeriodType")
    period_type_cs: ConceptSetSelection | None = key("PeriodTypeCS")
    period_length: NumericRange | None = key("PeriodLength")
    age_at_start: NumericRange | None = key("AgeAtStart")
    age_at_end: NumericRange | None = key("AgeAtEnd")


class PayerPlanPeriod(Criterion):
    first: bool | None = key("First")
    period_start_date: DateRange | None = key("PeriodStartDate")
    period_end_date: DateRange | None = key("PeriodEndDate")
    user_defined_period: Period | None = key("UserDefinedPeriod")
    period_length: NumericRange | None = key("PeriodLength")
    age_at_start: NumericRange | None = key("AgeAtStart")
    age_at_end: NumericRange | None = key("AgeAtEnd")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    payer_concept: int | None = key("PayerConcept")
    plan_concept: int | None = key("PlanConcept")
    sponsor_concept: int | None = key("SponsorConcept")
    stop_reason_concept: int | None = key("StopReasonConcept")
    payer_source_concept: int | None = key("PayerSourceConcept")
    plan_source_concept: int | None = key("PlanSourceConcept")
    sponsor_source_concept: int | None = key("SponsorSourceConcept")
    stop_reason_source_concept: int | None = key("StopReasonSourceConcept")


class ProcedureOccurrence(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    procedure_type: tuple[Concept, ...] | None = key("ProcedureType")
    procedure_type_cs: ConceptSetSelection | None = key("ProcedureTypeCS")
    procedure_type_exclude: bool | None = key("ProcedureTypeExclude")
    modifier: tuple[Concept, ...] | None = key("Modifier")
    modifier_cs: ConceptSetSelection | None = key("ModifierCS")
    quantity: NumericRange | None = key("Quantity")
    procedure_source_concept: int | None = key("ProcedureSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")


class Specimen(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    specimen_type: tuple[Concept, ...] | None = key("SpecimenType")
    specimen_type_cs: ConceptSetSelection | None = key("SpecimenTypeCS")
    specimen_type_exclude: bool | None = key("SpecimenTypeExclude")
    quantity: NumericRange | None = key("Quantity")
    unit: tuple[Concept, ...] | None = key("Unit")
    unit_cs: ConceptSetSelection | None = key("UnitCS")
    anatomic_site: tuple[Concept, ...] | None = key("AnatomicSite")
    anatomic_site_cs: ConceptSetSelection | None = key("AnatomicSiteCS")
    disease_status: tuple[Concept, ...] | None = key("DiseaseStatus")
    disease_status_cs: ConceptSetSelection | None = key("DiseaseStatusCS")
    source_id: TextFilter | None = key("SourceId")
    specimen_source_concept: int | None = key("SpecimenSourceConcept")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")


class VisitDetail(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    visit_detail_start_date: DateRange | None = key("VisitDetailStartDate")
    visit_detail_end_date: DateRange | None = key("VisitDetailEndDate")
    visit_detail_type_cs: ConceptSetSelection | None = key("VisitDetailTypeCS")
    visit_detail_source_concept: int | None = key("VisitDetailSourceConcept")
    visit_detail_length: NumericRange | None = key("VisitDetailLength")
    age: NumericRange | None = key("Age")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    place_of_service_cs: ConceptSetSelection | None = key("PlaceOfServiceCS")
    place_of_service_location: int | None = key("PlaceOfServiceLocation")


class VisitOccurrence(Criterion):
    codeset_id: int | None = key("CodesetId")
    first: bool | None = key("First")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    occurrence_end_date: DateRange | None = key("OccurrenceEndDate")
    visit_type: tuple[Concept, ...] | None = key("VisitType")
    visit_type_cs: ConceptSetSelection | None = key("VisitTypeCS")
    visit_type_exclude: bool | None = key("VisitTypeExclude")
    visit_source_concept: int | None = key("VisitSourceConcept")
    visit_length: NumericRange | None = key("VisitLength")
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    provider_specialty: tuple[Concept, ...] | None = key("ProviderSpecialty")
    provider_specialty_cs: ConceptSetSelection | None = key("ProviderSpecialtyCS")
    place_of_service: tuple[Concept, ...] | None = key("PlaceOfService")
    place_of_service_cs: ConceptSetSelection | None = key("PlaceOfServiceCS")
    place_of_service_location: int | None = key("PlaceOfServiceLocation")


class CorrelatedCriteria(Node):
    """A criterion that is looked for around an index event, and how often it must be found."""

    criteria: Criterion = key("Criteria")
    start_window: Window = key("StartWindow")
    end_window: Window | None = key("EndWindow")
    restrict_visit: bool | None = key("RestrictVisit")
    ignore_observation_period: bool | None = key("IgnoreObservationPeriod")
    occurrence: Occurrence = key("Occurrence")
    required = ("Criteria", "StartWindow", "Occurrence")


class DemographicCriteria(Node):
    age: NumericRange | None = key("Age")
    gender: tuple[Concept, ...] | None = key("Gender")
    gender_cs: ConceptSetSelection | None = key("GenderCS")
    race: tuple[Concept, ...] | None = key("Race")
    race_cs: ConceptSetSelection | None = key("RaceCS")
    ethnicity: tuple[Concept, ...] | None = key("Ethnicity")
    ethnicity_cs: ConceptSetSelection | None = key("EthnicityCS")
    occurrence_start_date: DateRange | None = key("OccurrenceStartDate")
    occurrence_end_date: DateRange | None = key("OccurrenceEndDate")


class CriteriaGroup(Node):
    type: str | None = words("Type", "ALL", "ANY", "AT_LEAST", "AT_MOST")
    count: int | None = key("Count")
    criteria_list: tuple[CorrelatedCriteria, ...] = key("CriteriaList", ())
    demographic_criteria_list: tuple[DemographicCriteria, ...] = key("DemographicCriteriaList", ())
    groups: tuple[CriteriaGroup, ...] = key("Groups", ())

    @property
    def is_empty(self) -> bool:
        """Whether it has no member; an empty group is true."""
        return not (self.criteria_list or self.demographic_criteria_list or self.groups)


CRITERIA: dict[str, type[Criterion]] = {kind.__name__: kind for kind in Criterion.__subclasses__()}
