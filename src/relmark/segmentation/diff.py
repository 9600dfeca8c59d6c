"""Who entered and who left a segment between two evaluations, and because of which clause."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray, shown
from relmark.core.errors import InputError
from relmark.core.ids import find_ids
from relmark.core.results import ColumnarResult
from relmark.segmentation.members import SegmentMembers

__all__ = ["SegmentDiff", "diff"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SegmentDiff(ColumnarResult):
    """What changed in a segment between two evaluations.

    Attributes
    ----------
    name : str
        The name of the segment.
    before, after : int
        How many members each evaluation found.
    stayed : int
        How many customers were members in both.
    entered, left : ndarray
        Ids of the customers who became members, and of those who stopped being members.
    new_customers, gone_customers : int
        How many of those who entered are missing from the first base, and how many of those who left are missing from
        the second.
    clause : ndarray of str, shape (c,)
        The clauses of the rule.
    entered_by : ndarray of int, shape (c,)
        For how many of those who entered and are in both bases this clause became true.
    left_by : ndarray of int, shape (c,)
        For how many of those who left and are in both bases this clause stopped being true.
    """

    name: str
    before: int
    after: int
    stayed: int
    clause: npt.NDArray[np.str_]
    entered_by: IntArray
    left_by: IntArray
    entered: npt.NDArray[Any]
    left: npt.NDArray[Any]
    new_customers: int
    gone_customers: int

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the clauses with the columns `entered_by` and `left_by`."""
        return {"clause": self.clause, "entered_by": self.entered_by, "left_by": self.left_by}

    def _facts(self) -> dict[str, Any]:
        facts = {"name": self.name, "before": self.before, "after": self.after, "stayed": self.stayed}
        return facts | {"entered": len(self.entered), "left": len(self.left)}

    def _table(self) -> dict[str, Any]:
        return {"entered by": self.entered_by, "left by": self.left_by, "clause": self.clause}


def diff(before: SegmentMembers, after: SegmentMembers) -> SegmentDiff:
    """Return who entered and who left between two evaluations of one rule, and because of which clause.

    Parameters
    ----------
    before, after : SegmentMembers
        Results of the same rule at two instants, on one base or on two.

    Raises
    ------
    InputError
        The two results come from different rules.
    """
    for name, value in (("before", before), ("after", after)):
        if not isinstance(value, SegmentMembers):
            raise InputError(
                f"{name} is {shown(value)}: the result of Segment.evaluate is needed.", argument=name, code="wrong_type"
            )
    if before._fingerprint != after._fingerprint:  # noqa: SLF001
        raise InputError(
            f"before was evaluated by the rule of {before.name!r} and after by another, that of {after.name!r}: "
            "evaluate the same rule at both times.",
            argument="before",
            code="conflicting_arguments",
        )
    then, now = _aligned(before, after)
    was, is_now = _picked(before.mask, then), _picked(after.mask, now)
    entered, left = is_now & ~was, was & ~is_now
    both = (then >= 0) & (now >= 0)
    changes = [
        (_picked(true_then, then), _picked(true_now, now))
        for (_, true_then), (_, true_now) in zip(before._clauses, after._clauses, strict=True)  # noqa: SLF001
    ]
    ids = np.concatenate([after.customer_id, before.customer_id[_missing(before, after)]])
    return SegmentDiff(
        name=after.name,
        before=before.size,
        after=after.size,
        stayed=int(np.count_nonzero(was & is_now)),
        clause=np.array([text for text, _ in after._clauses], dtype=np.str_),  # noqa: SLF001
        entered_by=np.array([np.count_nonzero(entered & both & new & ~old) for old, new in changes], dtype=np.int64),
        left_by=np.array([np.count_nonzero(left & both & old & ~new) for old, new in changes], dtype=np.int64),
        entered=ids[entered],
        left=ids[left],
        new_customers=int(np.count_nonzero(entered & (then < 0))),
        gone_customers=int(np.count_nonzero(left & (now < 0))),
    )


def _missing(before: SegmentMembers, after: SegmentMembers) -> npt.NDArray[np.bool_]:
    """Return which rows of the first base are missing from the second."""
    return np.asarray(_rows(after, before.customer_id) < 0)


def _rows(result: SegmentMembers, ids: npt.NDArray[Any]) -> IntArray:
    if len(result.customer_id) == 0 or len(ids) == 0:
        return np.full(len(ids), -1, dtype=np.int64)
    order = np.argsort(result.customer_id, kind="stable")
    places = find_ids("customer_id", result.customer_id[order], ids)
    return np.where(places >= 0, order[places], -1)


def _aligned(before: SegmentMembers, after: SegmentMembers) -> tuple[IntArray, IntArray]:
    """Return each customer's row in both results: the second base in its order, then those only in the first."""
    gone = np.flatnonzero(_missing(before, after))
    then = np.concatenate([_rows(before, after.customer_id), gone])
    now = np.concatenate([np.arange(len(after.customer_id)), np.full(len(gone), -1)])
    return then, now


def _picked(flags: npt.NDArray[np.bool_], rows: IntArray) -> npt.NDArray[np.bool_]:
    return np.append(flags, False)[rows]
