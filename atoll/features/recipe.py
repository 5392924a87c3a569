"""A study's recipe → the table of a hospital: who is in the cohort, then what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.cdm.workspace import Workspace, workspace_at
from atoll.cohort.run import CohortRun
from atoll.features.extract import extract
from atoll.study.dataset import Recipe

if TYPE_CHECKING:
    import pyarrow as pa


def table_at(cdm: str, recipe: Recipe, *, threads: int | None = None) -> pa.Table:
    """The table that a recipe makes from the OMOP data at a URL; see `make_table`."""
    with workspace_at(cdm, threads=threads) as workspace:
        return make_table(workspace, recipe)


def make_table(workspace: Workspace, recipe: Recipe) -> pa.Table:
    """One row for each period in the cohort, in the order of persons and dates; without features, one for each way in
    which a person keeps the rules.

    Raises
    ------
    AtollError
        What kept the definition from being run, or the features from being read.
    """
    found = CohortRun(workspace, with_events=recipe.features is None).run({"cohort": recipe.definition})
    for error in found.failed.values():
        raise error
    if recipe.features is None:
        return found.events["cohort"]
    order = [("subject_id", "ascending"), ("cohort_start_date", "ascending")]
    return extract(workspace, found.rows.sort_by(order), recipe.features)
