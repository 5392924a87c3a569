"""Public data and reference numbers that lie beside the project; tests that need them skip without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data"


def reference(name: str) -> dict[str, Any]:
    """One file of reference numbers."""
    path = SHARED / "reference" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"reference numbers are not here: {path.name} of the shared data folder", allow_module_level=True)
    entries: dict[str, Any] = json.loads(path.read_text())
    return entries


def sites_of(file: str, site: str = "site") -> dict[str, Any]:
    """One table a site, as the file's site column says."""
    table = pacsv.read_csv(SHARED / "tables" / file)
    where = np.array([str(value) for value in table.column(site).to_pylist()])
    return {name: table.filter(where == name) for name in sorted(set(where))}
