"""The size of a segment without fetching anybody: members, share, unknown and each clause, counted by the engine."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray, shown
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant
from relmark.engines.compile import HasRule, Plan
from relmark.expressions import Expression
from relmark.segmentation import Segment
from relmark.segmentation.members import clauses_of

__all__ = ["SegmentPreview", "preview"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SegmentPreview(ColumnarResult):
    """How many people a segment has, and how each clause narrows it.

    Attributes
    ----------
    name : str
        The name of the segment.
    of : int
        The number of all customers.
    size, unknown_size : int
        The number of members, and of customers for whom the rule is unknown because a value is missing.
    clause : ndarray of str, shape (c,)
        The parts of the rule that are joined by ``&``, in order.
    true, unknown : ndarray of int, shape (c,)
        For how many customers this clause is true, and for how many it is unknown, independently of other clauses.
    left : ndarray of int, shape (c,)
        For how many customers this clause and all clauses before it are true.
    lost : ndarray of int, shape (c,)
        By how much this clause reduces that number.
    only : ndarray of int, shape (c,)
        How many customers only this clause excludes: all other clauses are true for them.
    """

    name: str
    of: int
    size: int
    unknown_size: int
    clause: npt.NDArray[np.str_]
    true: IntArray
    unknown: IntArray
    left: IntArray
    lost: IntArray
    only: IntArray

    @property
    def share(self) -> float:
        """Members divided by all customers; NaN if there are none."""
        return self.size / self.of if self.of else float("nan")

    def _facts(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "share": self.share, "unknown": self.unknown_size, "of": self.of}

    def _table(self) -> dict[str, Any]:
        return {name: self.to_columns()[name] for name in ("left", "lost", "only", "unknown", "clause")}


def preview(
    segment: Segment | Expression,
    *,
    events: object,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
) -> SegmentPreview:
    """Count the members of a segment, and how many each clause excludes, in one pass of the engine.

    No customer is fetched. The parameters are those of `evaluate`, and the numbers are those of ``segment.evaluate``
    and ``segment.by_clause``.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> from relmark import event
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b"], "type": ["visit", "purchase", "purchase"],
    ...                       "time": [datetime(2026, 1, day) for day in (5, 9, 6)]})
    >>> preview(event("purchase").exists() & event("visit").exists(), events=frame, as_of="2026-01-31")
    SegmentPreview(name=rule, size=1, share=0.5, unknown=0, of=2)
    """
    if not isinstance(segment, (Segment, Expression)):
        raise InputError(f"segment is {shown(segment)}; it must be a segment or a rule.", argument="segment",
                         code="wrong_type")  # fmt: skip
    rule = segment if isinstance(segment, Expression) else segment.rule
    clauses = clauses_of(rule)
    plan = _Clauses(segment, clauses, columns, as_of, tz)
    frame, made = plan.compiled(events, customers)
    held = frame.with_columns(*[truth.alias(f"__truth_{name}") for name, truth in made.items()])
    truths = {name: plan.nw.col(f"__truth_{name}") for name in made}  # columns: a constant has no sum over rows
    found = held.select(*_counts(plan.nw, truths, len(clauses))).collect().to_dict(as_series=False)
    count = {name: int(values[0] or 0) for name, values in found.items()}
    listed = {what: np.array([count[f"{what}_{k}"] for k in range(len(clauses))], dtype=np.int64)
              for what in ("true", "unknown", "left", "only")}  # fmt: skip
    return SegmentPreview(
        name=getattr(segment, "name", "rule"),
        of=count["of"],
        size=count["size"],
        unknown_size=count["nobody_knows"],
        clause=np.array([part.to_text() for part in clauses], dtype=np.str_),
        lost=-np.diff(listed["left"], prepend=count["of"]),
        **listed,
    )


class _Clauses(Plan):
    """A segment of which every clause is also evaluated separately."""

    def __init__(
        self,
        segment: HasRule | Expression,
        clauses: tuple[Expression, ...],
        columns: Mapping[str, str] | None,
        as_of: Instant,
        tz: str,
    ) -> None:
        super().__init__(segment, columns, as_of, tz)
        self.clauses = clauses

    def _said(self, outer: Any, inner: Any, facts: Any) -> dict[str, Any]:
        whole = super()._said(outer, inner, facts)
        return whole | {str(k): outer.truth(clause) for k, clause in enumerate(self.clauses)}


def _counts(nw: Any, made: Mapping[str, Any], n: int) -> list[Any]:
    """Return the numbers as sums over all customers."""

    def counted(truth: Any, name: str) -> Any:
        return nw.when(truth).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias(name)

    true = [made[str(k)].fill_null(False) for k in range(n)]  # noqa: FBT003
    found = [nw.len().alias("of"), counted(made["member"].fill_null(False), "size"),  # noqa: FBT003
             counted(made["member"].is_null(), "nobody_knows")]  # fmt: skip
    for k in range(n):
        others = [true[j] for j in range(n) if j != k]
        found += [
            counted(true[k], f"true_{k}"),
            counted(made[str(k)].is_null(), f"unknown_{k}"),
            counted(reduce(operator.and_, true[: k + 1]), f"left_{k}"),
            counted(reduce(operator.and_, others, ~true[k]), f"only_{k}"),
        ]
    return found
