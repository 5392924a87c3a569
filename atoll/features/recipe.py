"""A study's recipe → the table of a hospital: who is in the cohort, then what is known of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from atoll.cdm.scratch import Workspace
from atoll.cdm.workspace import workspace_at
from atoll.cohort.diagnose import diagnose
from atoll.cohort.run import CohortRun
from atoll.features.extract import extract
from atoll.study.dataset import Recipe
from atoll.study.dictionary import Dictionary

if TYPE_CHECKING:
    import pyarrow as pa


def with_words(made: pa.Table, recipe: Recipe, columns: Dictionary) -> Dictionary:
    """The dictionary with the words of open categories that the table of a diagnosis holds: concepts of the vocabulary.

    They are what a steward's own dictionary lists; the gate lets none leave that too few persons have.
    """
    if not recipe.diagnose:
        return columns
    return {
        name: replace(column, levels=tuple(sorted(set(made.column(name).drop_null().to_pylist()))))
        if column.type == "category" and not column.levels
        else column
        for name, column in columns.items()
    }


def table_at(cdm: str, recipe: Recipe, *, threads: int | None = None, own_names: bool = False) -> pa.Table:
    """The table that a recipe makes from the OMOP data at a URL; see `make_table`."""
    with workspace_at(cdm, threads=threads) as workspace:
        return make_table(workspace, recipe, own_names=own_names)


def make_table(workspace: Workspace, recipe: Recipe, *, own_names: bool = False) -> pa.Table:
    """One row for each period in the cohort, in the order of persons and dates; without features, one for each way in
    which a person keeps the rules, or the table that the cohort is diagnosed by.

    Raises
    ------
    AtollError
        What kept the definition from being run, or the features from being read.
    """
    if recipe.diagnose:
        return diagnose(workspace, recipe.diagnose, *recipe.definitions, own_names=own_names)
    found = CohortRun(workspace, with_events=recipe.features is None).run({"cohort": recipe.definition})
    for error in found.failed.values():
        raise error
    if recipe.features is None:
        return found.events["cohort"]
    order = [("subject_id", "ascending"), ("cohort_start_date", "ascending")]
    return extract(workspace, found.rows.sort_by(order), recipe.features)
