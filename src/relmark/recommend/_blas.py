"""One BLAS thread while blocks are multiplied, in whatever thread the caller is, and the old setting back afterwards.

With two threads OpenBLAS divides a small product differently, so that last bits depend on the machine, and takes up to
three times the CPU. The limit belongs to the process, so it is counted: the first who enters sets it, and the last who
leaves restores it, also where several threads of the caller are inside at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import attrs


@attrs.define(eq=False)
class _Gate:
    """How many are inside, and what restores the setting that was there before them."""

    lock: Any = attrs.field(factory=threading.Lock)
    inside: int = 0
    limiter: Any = None


_gate = _Gate()


@cache
def _controller() -> Any:
    """Return what knows the BLAS libraries of the process; finding them takes milliseconds, so it is kept."""
    import scipy.linalg  # noqa: F401  (brings a BLAS of its own, which must be there to be found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold the BLAS of this process at one thread."""
    with _gate.lock:
        if _gate.inside == 0:
            _gate.limiter = _controller().limit(limits=1, user_api="blas")
        _gate.inside += 1
    try:
        yield
    finally:
        with _gate.lock:
            _gate.inside -= 1
            if _gate.inside == 0:
                _gate.limiter.restore_original_limits()
                _gate.limiter = None
