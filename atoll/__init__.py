"""Atoll: hospitals answer one question together; no patient row leaves any of them.

    import atoll
    network = atoll.Network({"north": table_a, "river": table_b})
    fit = network.run("glm", formula="y ~ age + C(sex)", family="binomial")

Names are imported when first used, so that `import atoll` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from atoll.version import VERSION as __version__

if TYPE_CHECKING:
    from atoll.client import Hub as Hub
    from atoll.local import Network as Network

__all__ = ["Hub", "Network", "__version__"]

_PLACES = {"Network": "atoll.local", "Hub": "atoll.client"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'atoll' has no attribute {name!r}")
