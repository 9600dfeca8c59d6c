"""Which customers moved between segments from one scoring to the next, by the same thresholds."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.core.ids import find_ids
from relmark.core.money import exact_sums
from relmark.core.results import Result
from relmark.segmentation.grids import LAPSED, PROSPECT
from relmark.segmentation.rfm_scores import RfmScores

__all__ = ["Migration", "migration"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Migration(Result):
    """How customers moved between segments from one scoring to the next.

    In each table, row i is the segment before and column j the segment after.

    Parameters
    ----------
    segments : tuple of str
        The k names of the rows and columns; the names of the grid come first.
    counts : ndarray of int64, shape (k, k)
        How many customers of both scorings are in each cell.
    row_shares : ndarray of float64, shape (k, k)
        ``counts`` as shares of their row; NaN in the row of a segment that was empty before.
    value_before : ndarray of float64, shape (k, k)
        The revenue of these customers in the earlier scoring.
    value_after : ndarray of float64, shape (k, k)
        Their revenue in the later scoring. Each scoring looks back from its own instant, over the model's window or
        over the whole log, and counts refunds as the model does.
    entered : ndarray of int64, shape (k,)
        How many customers are only in the later scoring, by segment.
    left : ndarray of int64, shape (k,)
        How many customers are only in the earlier scoring, by segment.
    entered_value : ndarray of float64, shape (k,)
        The revenue of those who entered, by the later scoring.
    left_value : ndarray of float64, shape (k,)
        The revenue of those who left, by the earlier scoring.
    before, after : datetime64
        The dates or instants of the two scorings.
    """

    segments: tuple[str, ...]
    counts: IntArray
    row_shares: FloatArray
    value_before: FloatArray
    value_after: FloatArray
    entered: IntArray
    left: IntArray
    entered_value: FloatArray
    left_value: FloatArray
    before: np.datetime64
    after: np.datetime64

    @property
    def stayed(self) -> int:
        """How many customers of both scorings kept their segment."""
        return int(np.trace(self.counts))

    @property
    def moved(self) -> int:
        """How many customers of both scorings changed their segment."""
        return int(self.counts.sum()) - self.stayed

    @property
    def moved_value(self) -> float:
        """The earlier revenue of the customers who changed their segment."""
        return float(self.value_before.sum() - np.trace(self.value_before))

    def moves(self) -> dict[str, npt.NDArray[Any]]:
        """Return the changes of segment as columns, the most frequent change first.

        Returns
        -------
        dict
            The columns ``before`` and ``after`` (names), ``customers``, ``share`` (of the customers of the segment
            before), ``value_before`` and ``value_after``.
        """
        i, j = np.nonzero(self.counts)
        change = i != j
        i, j = i[change], j[change]
        order = np.lexsort((j, i, -self.counts[i, j]))
        i, j = i[order], j[order]
        names = np.array(self.segments)
        return {
            "before": names[i],
            "after": names[j],
            "customers": self.counts[i, j],
            "share": self.row_shares[i, j],
            "value_before": self.value_before[i, j],
            "value_after": self.value_after[i, j],
        }

    def _facts(self) -> dict[str, Any]:
        return {
            "before": self.before,
            "after": self.after,
            "stayed": self.stayed,
            "moved": self.moved,
            "entered": int(self.entered.sum()),
            "left": int(self.left.sum()),
        }

    def _table(self) -> dict[str, Any]:
        return {
            "before \\ after": [*self.segments, "(entered)"],
            **{name: [*self.counts[:, j].tolist(), int(self.entered[j])] for j, name in enumerate(self.segments)},
            "(left)": [*self.left.tolist(), 0],
        }


def migration(before: RfmScores, after: RfmScores) -> Migration:
    """Count how many customers moved from each segment to each other segment.

    Score both times with one model. Thresholds that are fitted again each time move by themselves, so that customers
    whose behavior did not change seem to move.

    Parameters
    ----------
    before, after : RfmScores
        The earlier and the later scoring. They may hold different customers.

    Raises
    ------
    InputError
        `before` is later than `after`, or the ids of one scoring are int and those of the other are str.

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> from relmark.segmentation.rfm import Rfm
    >>> orders = {"user": ["a", "a", "b"], "amount": [10.0, 5.0, 45.0],
    ...     "time": ["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> model = Rfm().fit(base, as_of="2026-10-15")
    >>> change = migration(model.score(base, as_of="2026-10-15"), model.score(base, as_of="2026-11-01"))
    >>> change.stayed, change.moved, change.moves()["after"].tolist()
    (0, 2, ['Hibernating', 'Champions'])
    """
    for name, scores in (("before", before), ("after", after)):
        if not isinstance(scores, RfmScores):
            raise InputError(
                f"{name} is a {type(scores).__name__}: RfmScores are needed, such as RfmModel.score returns.",
                argument=name,
                code="wrong_type",
            )
    if before.as_of > after.as_of:
        raise InputError(
            f"before is as of {before.as_of} and after is as of {after.as_of}: give the earlier scoring first.",
            argument="before",
            code="conflicting_arguments",
        )
    segments = _segments(before, after)
    k = len(segments)
    a, b = _codes(before, segments), _codes(after, segments)
    order = np.argsort(before.customer_id, kind="stable")
    place = find_ids("after", before.customer_id[order], after.customer_id) if len(after) else order[:0]
    place = np.where(place >= 0, order[place], -1) if len(order) else place
    both = place >= 0
    gone = np.ones(len(before), dtype=np.bool_)
    gone[place[both]] = False
    cell = a[place[both]] * k + b[both]
    counts = np.bincount(cell, minlength=k * k).reshape(k, k)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.full((k, k), np.nan)
    np.divide(counts, rows, out=shares, where=rows > 0)
    return Migration(
        segments=segments,
        counts=counts,
        row_shares=shares,
        value_before=exact_sums(cell, before.revenue[place[both]], k * k).reshape(k, k),
        value_after=exact_sums(cell, after.revenue[both], k * k).reshape(k, k),
        entered=np.bincount(b[~both], minlength=k),
        left=np.bincount(a[gone], minlength=k),
        entered_value=exact_sums(b[~both], after.revenue[~both], k),
        left_value=exact_sums(a[gone], before.revenue[gone], k),
        before=before.as_of,
        after=after.as_of,
    )


def _segments(before: RfmScores, after: RfmScores) -> tuple[str, ...]:
    """Return the names of both grids, then "Prospect" and "Lapsed" if they occur."""
    names = dict.fromkeys((*before.grid.names, *after.grid.names))
    found = before.counts().keys() | after.counts().keys()
    return (*names, *(name for name in (PROSPECT, LAPSED) if name in found))


def _codes(scores: RfmScores, segments: tuple[str, ...]) -> IntArray:
    """Return each customer's segment as a position in `segments`."""
    place = {name: position for position, name in enumerate(segments)}
    table: IntArray = np.array([place.get(name, -1) for name in scores.names], dtype=np.int64)
    return np.asarray(table[scores.segment_code])
