"""The members of several segments: sizes, overlaps, and one segment per customer by priority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, IntArray
from relmark.core.frozen import read_only
from relmark.core.results import ColumnarResult, Result, json_ready

__all__ = ["SegmentSetMembers", "Waterfall"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Waterfall(ColumnarResult):
    """Each customer counted in the first segment, by priority, of which they are a member.

    Attributes
    ----------
    segment : ndarray of str, shape (k,)
        The names of the segments, by priority.
    size : ndarray of int, shape (k,)
        The number of members.
    exclusive : ndarray of int, shape (k,)
        The number of members who are in no earlier segment.
    cumulative : ndarray of int, shape (k,)
        The number of customers who are in this segment or an earlier one.
    code : ndarray of int, shape (n,)
        The position of each customer's segment, -1 for customers in none; aligned with the base.
    of : int
        How many customers the base has.
    """

    segment: npt.NDArray[np.str_]
    size: IntArray
    exclusive: IntArray
    cumulative: IntArray
    code: IntArray
    of: int

    @property
    def assigned(self) -> npt.NDArray[np.str_]:
        """The name of each customer's segment, "" for customers in none, shape (n,)."""
        return np.append(self.segment, "")[self.code]

    @property
    def outside(self) -> int:
        """The number of customers who are in no segment."""
        return int(np.count_nonzero(self.code < 0))

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name, with one row per segment."""
        return {name: getattr(self, name) for name in ("segment", "size", "exclusive", "cumulative")}

    def _facts(self) -> dict[str, Any]:
        return {"segments": len(self.segment), "of": self.of, "outside": self.outside}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SegmentSetMembers(ColumnarResult):
    """Who belongs to which segment of a set at an instant.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        All customers of the base.
    masks : mapping of str to ndarray of bool, shape (n,)
        Which customers are members, by segment.
    unknown_masks : mapping of str to ndarray of bool, shape (n,)
        Which customers the rule could not judge, by segment.
    as_of : datetime64, or ndarray of datetime64, shape (n,)
        The instant of the evaluation, or one per customer; events after it are not seen.
    notes : tuple of str
        Event types and properties that the rules ask for and the data do not contain.
    """

    customer_id: npt.NDArray[Any]
    masks: Mapping[str, BoolArray]
    unknown_masks: Mapping[str, BoolArray]
    as_of: np.datetime64 | npt.NDArray[np.datetime64]
    notes: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Make every mask a read-only view."""
        Result.__attrs_post_init__(self)
        for name in ("masks", "unknown_masks"):
            object.__setattr__(self, name, {key: read_only(mask) for key, mask in getattr(self, name).items()})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the segments, by priority."""
        return tuple(self.masks)

    @property
    def sizes(self) -> dict[str, int]:
        """The number of members of each segment."""
        return {name: int(np.count_nonzero(mask)) for name, mask in self.masks.items()}

    @property
    def unknown(self) -> dict[str, int]:
        """The number of customers whom each rule could not judge."""
        return {name: int(np.count_nonzero(mask)) for name, mask in self.unknown_masks.items()}

    @property
    def overlap(self) -> IntArray:
        """The number of customers whom two segments share, shape (k, k); the diagonal holds the sizes."""
        packed = [np.packbits(mask) for mask in self.masks.values()]
        shared = np.zeros((len(packed), len(packed)), dtype=np.int64)
        for i, first in enumerate(packed):
            for j, second in enumerate(packed[: i + 1]):
                shared[i, j] = shared[j, i] = int(np.bitwise_count(first & second).sum(dtype=np.int64))
        return shared

    @property
    def jaccard(self) -> npt.NDArray[np.float64]:
        """Shared customers divided by customers in either, shape (k, k); NaN if both are empty."""
        shared = self.overlap.astype(np.float64)
        sizes = np.diag(shared)
        either = sizes[:, None] + sizes[None, :] - shared
        with np.errstate(invalid="ignore"):
            return shared / np.where(either > 0, either, np.nan)

    @property
    def waterfall(self) -> Waterfall:
        """Each customer counted in the first segment, by priority, of which they are a member."""
        n = len(self.customer_id)
        code = np.full(n, -1, dtype=np.int64)
        for number, mask in enumerate(self.masks.values()):
            code[mask & (code < 0)] = number
        exclusive = np.bincount(code[code >= 0], minlength=len(self.masks)).astype(np.int64)
        return Waterfall(
            segment=np.array(self.names, dtype=np.str_),
            size=np.array(list(self.sizes.values()), dtype=np.int64),
            exclusive=exclusive,
            cumulative=np.cumsum(exclusive),
            code=code,
            of=n,
        )

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return `customer_id` and one boolean column per segment."""
        return {"customer_id": self.customer_id, **self.masks}

    def to_dict(self) -> dict[str, Any]:
        """Return sizes, overlaps and the waterfall as JSON-ready values."""
        when = {} if np.ndim(self.as_of) else {"as_of": self.as_of}
        figures = {"sizes": self.sizes, "unknown": self.unknown, "of": len(self.customer_id), **when}
        more = {"overlap": self.overlap, "jaccard": self.jaccard, "exclusive": self.waterfall.exclusive}
        return {key: json_ready(value) for key, value in {**figures, **more, "notes": self.notes}.items()}

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"of": len(self.customer_id), "sizes": self.sizes}
        return facts if np.ndim(self.as_of) else facts | {"as_of": self.as_of}

    def _table(self) -> dict[str, Any]:
        n = max(len(self.customer_id), 1)
        waterfall = self.waterfall
        return {
            "segment": list(self.names),
            "size": waterfall.size,
            "share": waterfall.size / n,
            "unknown": list(self.unknown.values()),
            "exclusive": waterfall.exclusive,
        }
