"""What an algorithm's options may be, what some of their names mean, and the types of the arrays of its questions.

An algorithm's keyword arguments are its options, and their annotations say what is allowed. The types
here are those that point at something: a formula, a column, a model. A name that stands in `ROLES` means the same in
every algorithm, a third party's too: the program reads it and shapes what the hospitals see.

A question asked of a hospital says what each of its arrays is, since the gate treats them differently: a grid of
times may be no finer than a policy allows, whatever its author called it. An array without one of these types is
refused when the algorithm is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NewType

from atoll.privacy.statistics import Array

FormulaText = NewType("FormulaText", str)  # `y ~ age + C(sex)`
ColumnName = NewType("ColumnName", str)  # a column of the dataset
StratumName = NewType("StratumName", str)  # a column of the dataset, or `site`
ModelDocument = NewType("ModelDocument", dict)  # type: ignore[type-arg]  # the document of a study.view.Model


@dataclass(frozen=True)
class Role:
    """What an option of this name means in every algorithm.

    meaning     one line, for docs/algorithms.md
    fills       the field of the view that holds its columns
    levels      it points at categories whose levels are asked for where the dictionary gives none
    baseline    the model has a baseline of its own: its formula gets no intercept
    gaps        rows that lack one of the columns stay in; without such an option only complete rows are seen
    """

    meaning: str
    fills: str = ""
    levels: bool = False
    baseline: bool = False
    gaps: bool = False


ROLES: Mapping[str, Role] = {
    "formula": Role("its right side is the design `data.X`, its left side the outcome `data.y`"),
    "site_intercepts": Role("when true, `+ site` is added to the formula"),
    "model": Role("a given model; its design is `data.X` where there is no formula"),
    "outcome": Role("`data.y`, where no formula names one", fills="outcome"),
    "time": Role("`data.time`, never negative; the formula then has no intercept", fills="time", baseline=True),
    "event": Role("`data.event`, 0 or 1", fills="event"),
    "offset": Role("`data.offset`, zero where none is named", fills="offset"),
    "by": Role("a category; its levels are the codes of `data.group`", fills="group", levels=True),
    "strata": Role("categories, or `site`; together they are the codes of `data.strata`", fills="strata", levels=True),
    "columns": Role("columns as they stand: rows that lack a value stay in", fills="columns", gaps=True),
}

Grid = Annotated[Array, "grid"]  # times that cut follow-up into intervals, ascending; the gate limits how fine
Edges = Annotated[Array, "edges"]  # inner edges of the bins of a histogram; the gate limits how many
Coefficients = Annotated[Array, "coefficients"]  # β of the linear predictor, in the order of the terms
Centre = Annotated[Array, "centre"]  # what is subtracted from each column before it is summed
Parameters = Annotated[Array, "parameters"]  # of a model over the linear predictor
