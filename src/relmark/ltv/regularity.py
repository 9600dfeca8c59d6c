"""How regularly customers buy, and whether a model that knows it is worth while."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core import checks
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.intervals import Estimate, Interval
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant
from relmark.ltv._bought import bought_days
from relmark.ltv._regular_model import TRIED
from relmark.ltv.mbg_cnbd import MbgCnbd
from relmark.ltv.transactions import purchase_summary

_WORTH = 10.0  # of log-likelihood: what pays for one more number, and then is seen in predictions


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Regularity(ColumnarResult):
    """How regular the times between purchases are: 1 is at random, 2 and more by a rhythm, below 1 in bursts.

    Parameters
    ----------
    k : ndarray of int, shape (12,)
        The regularities that were tried.
    log_likelihood : ndarray, shape (12,)
        Of MBG/CNBD-k fitted with each.
    fitted : MbgCnbd
        The likeliest of them.
    wheat_morrison : Estimate
        k by the method of moments, from the last two times between purchases of each customer; no model of leaving
        takes part. NaN, with its reason, where nobody bought on three days.
    customers : int
        How many customers have bought on three days, which are those that it uses.
    gain : float
        The log-likelihood of `fitted` less that of k = 1.
    """

    k: npt.NDArray[np.int64]
    log_likelihood: FloatArray
    fitted: MbgCnbd
    wheat_morrison: Estimate
    customers: int
    gain: float

    @property
    def worth_while(self) -> bool:
        """Whether a k above 1 explains the data clearly better than purchases at random."""
        return self.fitted.k > 1 and self.gain > _WORTH

    def _facts(self) -> dict[str, Any]:
        return {
            "k": self.fitted.k,
            "gain": round(self.gain, 2),
            "wheat_morrison": self.wheat_morrison,
            "customers": self.customers,
        }

    def _lines(self) -> list[str]:
        if self.worth_while:
            said = f"purchases come by a rhythm (k {self.fitted.k}): take MbgCnbd, and compare the two on a holdout"
        else:
            said = "purchases come about at random: MbgNbd or BgNbd say as much"
        return [f"Wheat and Morrison's k {self.wheat_morrison}, from {self.customers:,} customers", said]


def regularity(
    data: CustomerBase | Purchases, *, as_of: Instant, unit: str = "week", level: float = 0.95
) -> Regularity:
    """Return how regularly customers buy, by two ways, to say whether `MbgCnbd` is worth while.

    Parameters
    ----------
    data : CustomerBase or Purchases
        A base, whose purchases count as `CustomerBase.purchases` reads them, or what that gave.
    as_of : date, datetime, datetime64 or str
        By when.
    unit : {"week", "day", "month", "year"}
        The unit of the fitted model.
    level : float
        The confidence of the interval.

    Returns
    -------
    Regularity

    Notes
    -----
    With times between purchases t_1 and t_2 of k stages each, M = t_1 / (t_1 + t_2) ~ Beta(k, k), whatever the
    customer's rate is, and so k = (1 - 4 V) / (8 V), V the variance of M about 1/2 (Wheat and Morrison 1990). Days with
    a purchase count as one, which makes frequent buyers look a little more regular than they are.

    References
    ----------
    Wheat, R. D. and Morrison, D. G. (1990). Estimating purchase regularity with two interpurchase times. Journal of
    Marketing Research 27(1), 87-93.
    """
    share = checks.fraction("level", level)
    bought = bought_days(data, as_of)
    code, day = bought.code, bought.day
    last = np.flatnonzero(np.append(code[1:] != code[:-1], True)) if len(code) else np.zeros(0, dtype=np.int64)
    third = last[last >= 2]
    third = third[code[third - 2] == code[third]]
    late, early = day[third] - day[third - 1], day[third - 1] - day[third - 2]
    squares = (late / (late + early) - 0.5) ** 2
    summary = purchase_summary(data, as_of=as_of, unit=unit)
    fits = [MbgCnbd.fit(summary, k) for k in TRIED]
    values = np.array([fit.fit_report.log_likelihood for fit in fits if fit.fit_report is not None])
    best = int(values.argmax())
    return Regularity(
        k=np.array(TRIED),
        log_likelihood=values,
        fitted=fits[best],
        wheat_morrison=_estimate(squares, share),
        customers=len(third),
        gain=float(values[best] - values[0]),
    )


def _estimate(squares: FloatArray, level: float) -> Estimate:
    """Return k with its interval: that of the mean square, turned over."""
    if len(squares) < 2:
        return Estimate(float("nan"), None, "fewer than two customers have bought on three days")
    mean, spread = float(squares.mean()), float(ndtri(0.5 + 0.5 * level) * squares.std(ddof=1) / np.sqrt(len(squares)))

    def stages(variance: float) -> float:
        return (1.0 - 4.0 * variance) / (8.0 * variance) if variance > 0.0 else float("inf")

    ends = Interval(max(stages(mean + spread), 0.0), stages(mean - spread), level, "Wald in the variance")
    return Estimate(stages(mean), ends)
