"""The shapes in which simulated hospitals export: one file each, listed in `simulate.hospitals.SHAPES`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.errors import OperatorError
from atoll.simulate.shapes.export import Export

if TYPE_CHECKING:
    from atoll.simulate.hospitals import Hospital
    from atoll.simulate.world import Truth


def shape_of(name: str) -> type[Export]:
    """The class that writes a shape.

    Raises
    ------
    OperatorError
        When the shape has no module, or its module no class `Shape`.
    """
    try:
        found: type[Export] = importlib.import_module(f"atoll.simulate.shapes.{name}").Shape
    except (ModuleNotFoundError, AttributeError) as error:
        raise OperatorError(
            f"The shape {name!r} cannot be written.", f"It needs a class Shape in atoll/simulate/shapes/{name}.py."
        ) from error
    return found


def open_export(hospital: Hospital, folder: Path, truth: Truth, seed: int) -> Export:
    """A writer of the hospital's shape."""
    return shape_of(hospital.shape)(hospital, folder, truth, seed)
