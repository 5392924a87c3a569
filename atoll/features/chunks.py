"""From a table and a view to the rows an algorithm sees: complete cases, as arrays, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator

from atoll.errors import REMEDIES, DataError
from atoll.features.codes import few_values, with_levels
from atoll.features.intervals import refuse_unbounded
from atoll.features.products import refuse_intricate
from atoll.features.rows import Rows
from atoll.features.table import Table
from atoll.features.witness import behind
from atoll.features.witnessed import Witnessed, offset_of, strata_of
from atoll.privacy.statistics import Array
from atoll.study.dictionary import Dictionary, person_column
from atoll.study.view import View


def chunks(
    table: Table, view: View, columns: Dictionary, site: str, minimum: int, size: int | None, rounding: int = 1
) -> Iterator[Witnessed]:
    """The table's complete rows in chunks of at most `size`, or all at once when `size` is None.

    Where a person has several rows, all come at once too: distinct persons cannot be counted piecewise.

    Raises
    ------
    DataError
        MISSING_COLUMN, when a column of the view is not in the table.
    """
    named, person = view.named(), person_column(columns)
    values: dict[str, Array] = {}
    for name in [*named, person] if person else named:
        if name not in table.columns or name not in columns:
            raise DataError(
                f"The dataset has no column {name!r}.", REMEDIES["MISSING_COLUMN"], code="MISSING_COLUMN", subject=name
            )
    if not named:
        raise DataError("The question reads no column.", REMEDIES["DATA_INVALID"], code="DATA_INVALID")
    if view.design is not None and minimum > 1:
        refuse_unbounded(view.design, columns)
        refuse_intricate(view.design, columns)
        columns = with_levels(view.design, columns, table)
        values = few_values(view, columns, table)
    repeats = person is not None and table.repeats(person)
    wanted = tuple(dict.fromkeys([*named, person])) if repeats and person else named
    counted = behind(view.design, columns, [*strata_of(view), *offset_of(view)], values) if view.design else None
    for batch in table.batches(wanted, None if repeats else size):
        yield Witnessed(batch, view, columns, site, minimum, person if repeats else None, rounding, behind=counted)


def empty_column(table: Table, view: View, columns: Dictionary) -> str:
    """The first column of the view that is missing in every row, or nothing."""
    for name in view.named():
        read = (Rows(batch, View((name,)), columns, "", 1).n for batch in table.batches([name], 65_536))
        if not any(read):
            return name
    return ""
