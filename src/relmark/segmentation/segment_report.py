"""A report on each RFM segment: how many customers it has, its share of the revenue, and how they buy."""

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
    """One row per RFM segment, in the order of the grid: best first, customers without a score last.

    Parameters
    ----------
    segment : ndarray of str, shape (k,)
        The names of the segments; "Prospect" and "Lapsed" only if they occur.
    customers : ndarray of int64, shape (k,)
        The number of customers.
    share : ndarray of float64, shape (k,)
        Their share of all customers, scored or not, 0 to 1.
    revenue : ndarray of float64, shape (k,)
        Their revenue in the window.
    revenue_share : ndarray of float64, shape (k,)
        Their share of all revenue; NaN if there is none.
    orders : ndarray of int64, shape (k,)
        The number of their orders in the window.
    mean_order_value : ndarray of float64, shape (k,)
        Revenue per order; NaN if the segment has no order.
    mean_orders : ndarray of float64, shape (k,)
        Orders per customer; NaN for an empty segment.
    mean_calendar_days_since : ndarray of float64, shape (k,)
        The mean number of calendar days since the last purchase, over the customers who bought; NaN if nobody did.
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
    """Summarize the customers, revenue and purchases of each RFM segment.

    Parameters
    ----------
    scores : RfmScores
        The result of `RfmModel.score` or `Rfm.score`.

    Returns
    -------
    SegmentReport
        One row for every name of the grid, even if the segment is empty; "Prospect" and "Lapsed" if they occur.

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
            f"scores is a {type(scores).__name__}: RfmScores are needed, such as RfmModel.score returns.",
            argument="scores",
            code="wrong_type",
        )
    code, k = scores.segment_code, len(scores.names)
    customers = np.bincount(code, minlength=k)
    revenue = exact_sums(code, scores.revenue, k)
    # Orders and days are whole numbers, whose sums are exact in floats.
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
