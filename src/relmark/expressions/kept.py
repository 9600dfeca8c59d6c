"""A cache of limited size for compiled definitions, by their fingerprint.

A backend reads the same stored definition at every request. A value in the cache depends only on its key, so that no
answer depends on earlier questions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Kept"]

_T = TypeVar("_T")


class Kept(Generic[_T]):
    """A cache that drops the least recently used values. Threads may share it.

    Parameters
    ----------
    most : int
        The largest number of values.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return the value of a key; if there is none, make it outside of the lock."""
        with self._lock:
            found = self._values.get(key)
            if found is not None:
                self._values.move_to_end(key)
                return found
        made = make()
        with self._lock:
            found = self._values.setdefault(key, made)  # if two threads made one, all use the first
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return found

    def __len__(self) -> int:
        """Return how many values are in the cache."""
        return len(self._values)
