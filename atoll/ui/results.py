"""A result as an analyst meets it: arrays, a frame, a summary, a chart, JSON.

A result is a document of plain types, the same whether it was computed in this process or came from a
hub. `Result` gives its entries as attributes (lists of numbers as NumPy arrays); what a table, a
summary and a chart look like is settled by its kind, in `ui.kinds`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atoll.ui.kinds import chart, rows
from atoll.ui.summary import lines


class Result:
    """The result of one analysis.

    `document` holds everything; its entries are attributes: for `glm` and `cox` terms, params, bse, cov,
    loglik, n, rounds, for `glm` also deviance and dispersion. Arrays follow the order of `terms`.
    """

    def __init__(self, document: Mapping[str, Any]):
        self.document = dict(document)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "document" not in self.__dict__ or name not in self.document:
            raise AttributeError(f"{name!r} is not part of this result; it has {', '.join(self.__dict__['document'])}")
        return _as_array(self.document[name])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.document]

    def to_json(self, path: str | None = None) -> str:
        """The document as JSON text, also written to `path` when given. Values that do not exist are null."""
        text = json.dumps(_plain(self.document), ensure_ascii=False, allow_nan=False, indent=1)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_frame(self) -> Any:
        """The main table: a pandas DataFrame where pandas is installed, else a pyarrow Table."""
        table = rows(self.document)
        columns = {name: [row[name] for row in table] for name in (table[0] if table else {})}
        try:
            import pandas
        except ImportError:
            import pyarrow

            return pyarrow.table(columns)
        return pandas.DataFrame(columns)

    def summary(self) -> str:
        """The main table with its heading and notes, as text."""
        return "\n".join(lines(self.document))

    def plot(self) -> Any:
        """A chart of the result, which shows itself in a notebook; `.save(path)` writes it as SVG."""
        return chart(self.document)

    def __repr__(self) -> str:
        return self.summary()


def _as_array(value: Any) -> Any:
    """Lists of numbers as arrays, None inside them as NaN; everything else as it is."""
    if isinstance(value, list | tuple) and value and _numeric(value):
        return np.array(value, dtype=float)
    return value


def _numeric(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_numeric(entry) for entry in value)
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _plain(value: Any) -> Any:
    """What JSON can hold: arrays as lists, NaN and infinities as null."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
