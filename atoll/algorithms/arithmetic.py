"""One BLAS thread, wherever the mathematics of a study runs: at a site, at the hub, in process.

Sums then have one order, so that a replay gives the same bits on any number of cores; and small matrices are
solved many times faster than by threads that wait for each other. Cores are used by chunks and by sites.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any


class _Hold:
    """How many users hold BLAS to one thread; the last one gives the others back."""

    lock = threading.Lock()
    users = 0
    limit: Any = None


@functools.cache
def _controller() -> Any:
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS on one thread for as long as anyone of this process is inside."""
    with _Hold.lock:
        if _Hold.users == 0:
            _Hold.limit = _controller().limit(limits=1)
        _Hold.users += 1
    try:
        yield
    finally:
        with _Hold.lock:
            _Hold.users -= 1
            if _Hold.users == 0:
                _Hold.limit.restore_original_limits()
