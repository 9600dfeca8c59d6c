"""How regularly customers buy, and whether a model that takes this into account is worthwhile."""

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

_WORTH = 10.0  # of log-likelihood: a gain that justifies one more parameter and shows in predictions


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Regularity(ColumnarResult):
    """How regular the times between purchases are: k is 1 at random, 2 or more in a rhythm, below 1 in bursts.

    Parameters
    ----------
    k : ndarray of int, shape (12,)
        The regularities that were tried.
    log_likelihood : ndarray, shape (12,)
        The log-likelihood of MBG/CNBD-k fitted with each k.
    fitted : MbgCnbd
        The model with the highest log-likelihood.
    wheat_morrison : Estimate
        k by the method of moments, from the last two times between purchases of each customer, without a model of
        leaving. NaN, with its reason, if fewer than two customers bought on at least three days.
    customers : int
        How many customers bought on at least three days; `wheat_morrison` uses only these.
    gain : float
        The log-likelihood of `fitted` minus that of k = 1.
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
            said = f"purchases come in a rhythm (k {self.fitted.k}): compare MbgCnbd with MbgNbd on a holdout"
        else:
            said = "purchases come about at random: MbgNbd or BgNbd will do"
        return [f"Wheat and Morrison's k {self.wheat_morrison}, from {self.customers:,} customers", said]


def regularity(
    data: CustomerBase | Purchases, *, as_of: Instant, unit: str = "week", level: float = 0.95
) -> Regularity:
    """Return how regularly customers buy, estimated in two ways, to show whether `MbgCnbd` is worthwhile.

    Parameters
    ----------
    data : CustomerBase or Purchases
        A base, whose purchases are read with `CustomerBase.purchases`, or the result of that method.
    as_of : date, datetime, datetime64 or str
        When the observation ends.
    unit : {"week", "day", "month", "year"}
        The unit of the fitted model.
    level : float
        The confidence of the interval.

    Returns
    -------
    Regularity

    Notes
    -----
    If the times between purchases t_1 and t_2 consist of k stages each, M = t_1 / (t_1 + t_2) ~ Beta(k, k) for every
    purchase rate. So k = (1 - 4 V) / (8 V), where V is the variance of M about 1/2 (Wheat and Morrison 1990). All
    purchases of one day count as one, which makes frequent buyers look a little more regular than they are.

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
    """Return k with its interval, which comes from the interval of the mean square."""
    if len(squares) < 2:
        return Estimate(float("nan"), None, "fewer than two customers have bought on three days")
    mean, spread = float(squares.mean()), float(ndtri(0.5 + 0.5 * level) * squares.std(ddof=1) / np.sqrt(len(squares)))

    def stages(variance: float) -> float:
        return (1.0 - 4.0 * variance) / (8.0 * variance) if variance > 0.0 else float("inf")

    ends = Interval(max(stages(mean + spread), 0.0), stages(mean - spread), level, "Wald in the variance")
    return Estimate(stages(mean), ends)
