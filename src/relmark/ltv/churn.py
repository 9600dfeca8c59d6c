"""Find the customers who are about to be lost, and when, if they do not buy again."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.results import ColumnarResult
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import PurchaseSummary

_FARTHEST = 1e6  # times the age and the time scale: beyond that it is never


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChurnRisk(ColumnarResult):
    """How likely it is that each customer has left, and when a continuing silence would make it likely.

    Parameters
    ----------
    customer_id : ndarray of shape (n,), optional
        The customers, as in the summary.
    p_alive : ndarray, shape (n,)
        The probability that each is still a customer at the end of the observation.
    risk : ndarray, shape (n,)
        1 - p_alive.
    falls_in : ndarray, shape (n,)
        The time from the end of the observation, in the unit, until p_alive falls below the threshold if the customer
        stays silent. It is negative if p_alive fell below the threshold that long ago, and infinite if it never does.
    threshold : float
        The P(alive) that was watched.
    unit : str
        The unit of time.
    """

    customer_id: npt.NDArray[Any] | None
    p_alive: FloatArray
    risk: FloatArray
    falls_in: FloatArray
    threshold: float
    unit: str

    def _facts(self) -> dict[str, Any]:
        below = int(np.count_nonzero(self.falls_in <= 0))
        return {"customers": len(self.risk), "threshold": self.threshold, "below": below, "unit": self.unit}


def churn_risk(model: PurchaseModel, summary: PurchaseSummary, *, threshold: float = 0.5) -> ChurnRisk:
    """Return the risk that each customer has left, and when a continuing silence takes P(alive) below a threshold.

    `probability_alive(summary, at=t)` says, from what is known today, how likely it is that someone is still a customer
    at a later time. Here the silence until then counts too: `falls_in` is when P(alive), computed again on that day
    with no purchase in between, falls below the threshold. That is the day to send a win-back letter.

    Parameters
    ----------
    model : PurchaseModel
        The fitted model, such as a `BgNbd`.
    summary : PurchaseSummary
        The customers.
    threshold : float
        The P(alive) to watch, between 0 and 1.

    Returns
    -------
    ChurnRisk
        Aligned with the summary.

    Notes
    -----
    P(alive | x, t_x, T') falls in T'; its crossing is found by bisection between t_x and a million times the age, to a
    relative precision of 1e-12. Under BG/NBD a customer who never bought again has not left, so `falls_in` is infinite.

    Examples
    --------
    >>> from relmark.ltv import BgNbd
    >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week")
    >>> s = PurchaseSummary(frequency=[2, 12, 0], recency=[30.43, 30.43, 0], T=[38.86, 38.86, 38.86])
    >>> churn_risk(m, s, threshold=.5).falls_in.round(1)
    array([23.6,  0.6,  inf])
    """
    limit = checks.fraction("threshold", threshold)
    now = model.probability_alive(summary)
    past = model._columns(summary)  # noqa: SLF001
    t_x, T = past.t_x, past.T
    own = model._of(summary)  # noqa: SLF001
    low, high = t_x.copy(), np.maximum(T, 1.0)
    farthest = _FARTHEST * np.maximum(T, 1.0)

    def below(age: FloatArray) -> npt.NDArray[np.bool_]:
        return own._alive(past._replace(T=age)) < limit  # noqa: SLF001

    at_once = below(t_x)
    for _ in range(64):
        open_ended = ~below(high) & (high < farthest)
        if not open_ended.any():
            break
        low, high = np.where(open_ended, high, low), np.where(open_ended, high * 2.0, high)
        if model.discrete:
            high = np.minimum(high, 10_000.0 + T)
            farthest = np.minimum(farthest, 10_000.0 + T)
    never = ~below(high)
    for _ in range(80):
        middle = 0.5 * (low + high)
        if model.discrete:
            middle = np.floor(middle)
        if np.all((high - low <= 1e-13 * high) | (middle == low)):
            break
        fallen = below(middle)
        low, high = np.where(fallen, low, middle), np.where(fallen, middle, high)
    falls = np.where(at_once, t_x, high) - T
    return ChurnRisk(
        customer_id=summary.customer_id,
        p_alive=now,
        risk=1.0 - now,
        falls_in=model._off_clock(summary, np.where(never & ~at_once, np.inf, falls)),  # noqa: SLF001
        threshold=limit,
        unit=summary.unit,
    )
