"""A set of tags with an order among sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Tags", "members"]


class Tags(frozenset[str]):
    """A set of tags that compares by its sorted tags, so that one of several sets can be chosen."""

    __slots__ = ()

    def __lt__(self, other: object) -> bool:
        return sorted(self) < sorted(other) if isinstance(other, Tags) else NotImplemented


def members(value: Any) -> Iterable[Any]:
    """Return the values to count: each tag of a set, else the value itself."""
    return value if value.__class__ is Tags else (value,)
