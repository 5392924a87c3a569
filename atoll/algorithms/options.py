"""The types of an algorithm's options: what a value in a study document may be.

An algorithm's keyword arguments are its options, and their annotations say what is allowed. The types
here are those that point at something: a formula, a column, a model.
"""

from __future__ import annotations

from typing import NewType

FormulaText = NewType("FormulaText", str)  # `y ~ age + C(sex)`
ColumnName = NewType("ColumnName", str)  # a column of the dataset
StratumName = NewType("StratumName", str)  # a column of the dataset, or `site`
ModelDocument = NewType("ModelDocument", dict)  # type: ignore[type-arg]  # the document of a study.view.Model
