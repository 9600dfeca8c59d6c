"""Limit BLAS to one thread while blocks are multiplied, from any calling thread, and restore the setting afterwards.

With two threads OpenBLAS divides a small product differently, so that last bits depend on the machine, and it takes up
to three times the CPU (ten times if cores are busy). The limit belongs to the process, so users are counted: the first
to enter sets it, and the last to leave restores it, whichever threads they run in. threadpoolctl finds the libraries;
its own limits are not used, because since version 3.8 they work in one thread only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import attrs


@attrs.frozen(eq=False)
class _Library:
    """A BLAS library of the process: how its number of threads is read and set."""

    get: Callable[[], int]
    set: Callable[[int], Any]
    of_each_thread: bool  # whether the number belongs to the calling thread (OpenMP) or to the process


@attrs.define(eq=False)
class _Gate:
    """The number of users inside, and the settings of the process before the first one entered."""

    lock: Any = attrs.field(factory=threading.Lock)
    inside: int = 0
    before: list[int] = attrs.field(factory=list)


_gate = _Gate()


@cache
def _libraries() -> tuple[_Library, ...]:
    """Return the BLAS libraries of the process; finding them takes milliseconds, so they are kept."""
    import scipy.linalg  # noqa: F401  (loads its own BLAS, which is found only when loaded)
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple(_library(controller) for controller in found)


def _library(controller: Any) -> _Library:
    per_thread = getattr(controller, "threading_layer", None) == "openmp"
    if controller.internal_api == "openblas" and not per_thread:
        for prefix in ("", "scipy_"):
            for suffix in ("", "64_", "_64"):
                setter = getattr(controller.dynlib, f"{prefix}openblas_set_num_threads{suffix}", None)
                if setter is not None:
                    return _Library(controller.get_num_threads, setter, of_each_thread=False)
    return _Library(controller.get_num_threads, controller.set_num_threads, of_each_thread=per_thread)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit the BLAS of this process to one thread; that of this thread, if it counts by thread."""
    libraries = _libraries()
    own = [(library, library.get()) for library in libraries if library.of_each_thread]
    shared = [library for library in libraries if not library.of_each_thread]
    for library, _ in own:
        library.set(1)
    with _gate.lock:
        if _gate.inside == 0:
            _gate.before = [library.get() for library in shared]
            for library in shared:
                library.set(1)
        _gate.inside += 1
    try:
        yield
    finally:
        with _gate.lock:
            _gate.inside -= 1
            if _gate.inside == 0:
                for library, before in zip(shared, _gate.before, strict=True):
                    if library.get() == 1:  # else somebody else has changed it: keep theirs
                        library.set(before)
        for library, before in own:
            library.set(before)
