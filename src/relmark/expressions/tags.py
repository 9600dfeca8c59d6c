"""One set of tags of one person, with an order among sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Tags", "members"]


class Tags(frozenset[str]):
    """A set of tags, in the order of its tags sorted where one of several is chosen: sets alone have no such order."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return sorted(self) < sorted(other) if isinstance(other, Tags) else NotImplemented


def members(value: Any) -> Iterable[Any]:
    """Return what is counted of a value: each tag of a set, else the value itself."""
    return value if value.__class__ is Tags else (value,)
