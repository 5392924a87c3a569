"""Codes that people meet, as sentences: states, decisions, notes of results, names of analyses.

Programs speak in codes; pages and summaries say what stands here, translated by `ui.words`. A test holds
that every code has its sentence and every sentence its translation.
"""

from __future__ import annotations

from collections.abc import Mapping

from atoll.errors import sentence_of
from atoll.study.diagnosis import TABLES

NOTES: Mapping[str, str] = {
    "life_table": "A life table: times were taken on a grid, and who is censored within an interval counts as at risk "
    "for half of it. Shorter intervals come closer to the curve of exact times. Events after the last time are not "
    "counted.",
    "grid": "Times were taken on a grid: events within one interval count as simultaneous.",
    "rounded": "Counts of each hospital were rounded before they were added up.",
    "rounded_rates": "Numbers of persons with the event were rounded at each hospital before they were added up. "
    "Person-years are told in steps of each hospital's minimum: the sum, and so the rate, lies between the two numbers "
    "that stand there.",
    "joined_cells": "A cell in which too few persons have the event, or have not, was joined with its neighbours at "
    "its hospital: its number lies between the two that stand there. At a hospital with too few, so does every one.",
    "held_words": "Words that fewer persons than a hospital's minimum have are held back there, together with enough "
    "others: the number lies between the two that stand there.",
    "held_parts": "Where fewer persons than a hospital's minimum, or nobody, would stand alone, the number is held "
    "back: it lies between the two that stand there.",
    "no_words": "No hospital has a word that enough persons have.",
    "takes_no_part": "A hospital where too few persons have a value, or some but too few lack one, takes no part.",
    "rounded_apart": "Each hospital's own numbers of persons are multiples of its minimum; middle values and shares "
    "are computed from them.",
    "rounded_persons": "Every number shown here is computed from exact sums. Only `persons`, the number of different "
    "persons in the JSON file, was rounded at each hospital before it was added up.",
    "relative_likelihood": "Log-likelihood and deviance leave out what no coefficient changes, since it would tell how "
    "many patients have each value. Differences between models of the same patients are right (of a gamma model: at "
    "dispersion 1); the values themselves are not those of other programs.",
    "rounded_events": "The number of patients, the coefficients and their tests are computed from exact sums; the "
    "number of events was rounded at each hospital before it was added up.",
    "rounded_curves": "Persons and events were rounded at each hospital before they were added up, and the curves are "
    "computed from them; so is the log-rank test, unless it is within strata: then it is exact.",
    "rounded_levels": "Means and standard deviations are computed from exact sums. Numbers of persons were rounded at "
    "each hospital before they were added up, and medians and quartiles are computed from such numbers.",
    "rounded_auc": "Patients, events, Brier score and calibration are computed from exact sums, and a hospital's own "
    "figures from its own rows. The AUC of all hospitals and its bounds are computed from numbers of persons that "
    "each hospital rounded.",
    "no_skewness": "The skewness is left out: it would need a third moment, which these hospitals do not release.",
    "merged_levels": "Levels that too few persons have were merged into “…”.",
    "few_entered": "At a hospital where fewer persons than its minimum entered, or nobody, all its numbers are held "
    "back: each lies between nobody and the minimum. The other hospitals are counted all the same.",
    "held_back": "Where fewer persons than a hospital's minimum were lost or left, the number is held back: it lies "
    "between the two that stand there.",
}
RUN_STATES: Mapping[str, str] = {
    "waiting": "waiting",
    "running": "running",
    "finished": "finished",
    "failed": "failed",
    "stopped": "stopped",
}
SITE_STATES: Mapping[str, str] = {
    "waiting": "waiting",
    "computing": "computing",
    "sent": "sent",
    "refused": "refused",
    "undecided": "not decided yet",
    "paused": "paused",
    "stopped": "stopped",
    "silent": "not heard",
}
DECISIONS: Mapping[str, str] = {
    "open": "not decided yet",
    "approve": "approved",
    "refuse": "refused",
    "pause": "paused",
    "resume": "approved",
    "stop": "stopped",
}
WAITS: Mapping[str, str] = {
    "pause": "Paused at {sites}.",
    "refuse": "Refused by {sites}. Ask the steward for the reason, or sign a study without this site.",
    "open": "Waits for the decision of {sites}.",
}
ALGORITHMS: Mapping[str, str] = {
    "describe": "Description of the patients",
    "glm": "Regression model",
    "cox": "Cox regression",
    "kaplan_meier": "Survival curves",
    "performance": "Performance of a model",
    "attrition": "Where persons are lost",
    "breakdown": "Persons per word",
    "durations": "Times",
    "feasibility": "Who could be studied",
    "incidence": "Incidence",
    "overlap": "Overlap of two cohorts",
    "comparability": "Hospitals side by side",
    "survey": "What the columns have in common",
}
ASK: Mapping[str, str] = {  # whom to ask; an investigator does what the code's own remedy says
    "investigator": "",
    "steward": "Ask the steward of {site}; the site's own log names the details.",
    "operator": "Ask the operator of {site}.",
    "nobody": "",
}
SEXES: Mapping[str, str] = {"female": "women", "male": "men"}
PARTS: Mapping[str, str] = {
    "either": "in either cohort",
    "first": "in the first cohort",
    "second": "in the second cohort",
    "both": "in both cohorts",
    "only_first": "in the first cohort only",
    "only_second": "in the second cohort only",
}
HEADS: Mapping[str, str] = {  # of tables on a terminal, where they are no names of a file's columns
    head: head for head in ("step", "label", "left", "alone", "persons")
}
FACTS: Mapping[str, str] = {name: name for name in ("n", "events", "rounds")}
STEPS: Mapping[str, str] = {"in the cohort": "in the cohort"}  # labels of steps that Atoll itself makes
NAMED: Mapping[str, str] = {  # parts where the two cohorts have names
    "first": "in {cohort}",
    "second": "in {cohort}",
    "only_first": "only in {cohort}",
    "only_second": "only in {cohort}",
}
WAYS: Mapping[str, str] = {  # why a code is near
    "relative": "parent or sibling in the vocabulary",
    "code": "same first three characters of an ICD code",
    "name": "same name within its own",
}
COLUMNS: Mapping[str, str] = {  # labels of the columns that Atoll itself makes of a cohort
    label: label for label in (column.label for table in TABLES.values() for column in table.values()) if label
}
APART: Mapping[str, str] = {
    "unit": "The middle value is {here}, at the others {elsewhere}{unit}. It looks like {likely}.",
    "level": "The middle value is {here}, at the others {elsewhere}{unit}. No other unit explains that.",
    "mixed": "{here} of the values lie on another scale than the rest, as if in another unit.",
    "missing": "{here} of the persons have no value, at the others {elsewhere}.",
    "share": "{here} are “{level}”, at the others {elsewhere}.",
}


def sentence(code: str) -> str:
    """What a code says; one that is not known is a failure at the hub."""
    return sentence_of(code)


def note(code: str) -> str:
    """What a note of a result says; an unknown one stands as it is (a third party's algorithm)."""
    return NOTES.get(code, code)
