"""The types of an algorithm's options, and of the arrays that its questions carry.

An algorithm's keyword arguments are its options, and their annotations say what is allowed. The types
here are those that point at something: a formula, a column, a model.

A question asked of a hospital says what each of its arrays is, since the gate treats them differently: a grid of
times may be no finer than a policy allows, whatever its author called it. An array without one of these types is
refused when the algorithm is imported.
"""

from __future__ import annotations

from typing import Annotated, NewType

from atoll.privacy.statistics import Array

FormulaText = NewType("FormulaText", str)  # `y ~ age + C(sex)`
ColumnName = NewType("ColumnName", str)  # a column of the dataset
StratumName = NewType("StratumName", str)  # a column of the dataset, or `site`
ModelDocument = NewType("ModelDocument", dict)  # type: ignore[type-arg]  # the document of a study.view.Model

Grid = Annotated[Array, "grid"]  # times that cut follow-up into intervals, ascending; the gate limits how fine
Edges = Annotated[Array, "edges"]  # inner edges of the bins of a histogram; the gate limits how many
Coefficients = Annotated[Array, "coefficients"]  # β of the linear predictor, in the order of the terms
Centre = Annotated[Array, "centre"]  # what is subtracted from each column before it is summed
Parameters = Annotated[Array, "parameters"]  # of a model over the linear predictor
