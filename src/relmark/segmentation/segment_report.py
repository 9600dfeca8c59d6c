"""What each RFM segment is: how many customers, how much of the revenue, how they buy."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.core.money import exact_sums
from relmark.core.results import ColumnarResult
from relmark.segmentation.rfm_scores import RfmScores

__all__ = ["SegmentReport", "segment_report"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SegmentReport(ColumnarResult):
    """One row per segment, in the order of the grid: best first, people without a score last.

    Parameters
    ----------
    segment : ndarray of str, shape (k,)
        The names; "Prospect" and "Lapsed" where they occur.
    customers : ndarray of int64, shape (k,)
        How many there are.
    share : ndarray of float64, shape (k,)
        Their part of all customers that were scored or not, 0 to 1.
    revenue : ndarray of float64, shape (k,)
        Their money in the window.
    revenue_share : ndarray of float64, shape (k,)
        Their part of all revenue; NaN where there is none.
    orders : ndarray of int64, shape (k,)
        Their orders in the window.
    mean_order_value : ndarray of float64, shape (k,)
        Revenue by order; NaN where the segment has no order.
    mean_orders : ndarray of float64, shape (k,)
        Orders by customer; NaN for an empty segment.
    mean_calendar_days_since : ndarray of float64, shape (k,)
        Days since the last purchase, the mean of the customers; NaN where nobody bought.
    as_of : datetime64
        The date or instant of the figures.
    """

    segment: npt.NDArray[np.str_]
    customers: IntArray
    share: FloatArray
    revenue: FloatArray
    revenue_share: FloatArray
    orders: IntArray
    mean_order_value: FloatArray
    mean_orders: FloatArray
    mean_calendar_days_since: FloatArray
    as_of: np.datetime64


def segment_report(scores: RfmScores) -> SegmentReport:
    """Sum up each segment of some RFM scores.

    Parameters
    ----------
    scores : RfmScores
        What `RfmModel.score` gave.

    Returns
    -------
    SegmentReport
        Every name of the grid, empty ones too; "Prospect" and "Lapsed" where they occur.

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> from relmark.segmentation.rfm import Rfm
    >>> orders = {"user": ["a", "a", "b"], "amount": [10.0, 5.0, 45.0],
    ...     "time": ["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> report = segment_report(Rfm().score(base, as_of="2026-11-01"))
    >>> report.segment[report.customers > 0].tolist(), report.revenue_share[report.customers > 0].tolist()
    (['Potential loyalist', 'About to sleep'], [0.25, 0.75])
    """
    if not isinstance(scores, RfmScores):
        raise InputError(
            f"scores is a {type(scores).__name__}: the RfmScores of a model are needed.",
            argument="scores",
            code="wrong_type",
        )
    code, k = scores.segment_code, len(scores.names)
    customers = np.bincount(code, minlength=k)
    revenue = exact_sums(code, scores.revenue, k)
    # Counts of orders and days are whole numbers, which floats add exactly.
    orders = np.bincount(code, weights=scores.orders, minlength=k).astype(np.int64)
    bought = scores.orders > 0
    buyers = np.bincount(code[bought], minlength=k)
    silent = np.bincount(code[bought], weights=scores.calendar_days_since[bought], minlength=k)
    shown = (customers > 0) | (np.arange(k) < len(scores.grid.names))
    return SegmentReport(
        segment=np.array(scores.names)[shown],
        customers=customers[shown],
        share=_ratio(customers, np.full(k, customers.sum()))[shown],
        revenue=revenue[shown],
        revenue_share=_ratio(revenue, np.full(k, revenue.sum()))[shown],
        orders=orders[shown],
        mean_order_value=_ratio(revenue, orders)[shown],
        mean_orders=_ratio(orders, customers)[shown],
        mean_calendar_days_since=_ratio(silent, buyers)[shown],
        as_of=scores.as_of,
    )


def _ratio(a: npt.NDArray[np.number], b: npt.NDArray[np.number]) -> FloatArray:
    """Return a / b, NaN where b is 0."""
    out = np.full(len(a), np.nan)
    np.divide(a, b, out=out, where=b != 0)
    return out
