"""The five shapes in which simulated hospitals export: one file each."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.simulate.shapes.export import Export

if TYPE_CHECKING:
    from atoll.simulate.hospitals import Hospital
    from atoll.simulate.world import Truth


def open_export(hospital: Hospital, folder: Path, truth: Truth, seed: int) -> Export:
    """A writer of the hospital's shape."""
    module = importlib.import_module(f"atoll.simulate.shapes.{hospital.shape}")
    export: Export = module.Shape(hospital, folder, truth, seed)
    return export
