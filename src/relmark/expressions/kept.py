"""What is made once and used again: compiled definitions by their fingerprint, a bounded number of them.

A backend reads the same stored definition at every request. What is kept is a function of the key alone, so that no
answer depends on what was asked before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Kept"]

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """Values by key, at most so many; those used least lately go first. Threads may share it.

    Parameters
    ----------
    most : int
        How many values are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return the value of a key; it is made where there is none, outside of the lock."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
                return found
        made = make()
        with self._lock:
            found = self._values.setdefault(key, made)  # of two that were made at once, all use the first
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return found

    def __len__(self) -> int:
        """Return how many values are kept now."""
        return len(self._values)
