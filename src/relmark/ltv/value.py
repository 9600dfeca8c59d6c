"""Lifetime value: what each customer is worth over a horizon, discounted, with the margin."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.time import days
from relmark.ltv._cells import unique_rows
from relmark.ltv.gamma_gamma import GammaGamma
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import UNIT_DAYS, PurchaseSummary

_MOST_STEPS = 1_000
_YEAR = days(365)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LifetimeValue(ColumnarResult):
    """What each customer is expected to bring within a horizon.

    Parameters
    ----------
    customer_id : ndarray of shape (n,), optional
        Who they are, as in the summary.
    p_alive : ndarray, shape (n,)
        The probability to be a customer at the end of the observation.
    purchases : ndarray, shape (n,)
        Purchases expected within the horizon.
    spend : ndarray, shape (n,)
        The expected value of one purchase.
    value : ndarray, shape (n,)
        Discounted purchases times spend times margin.
    horizon : float
        In the unit of the summary.
    unit : str
        The unit of time.
    annual_rate, margin : float
        As given.
    step_end : ndarray of shape (k,), optional
        The end of each step, in the unit, where steps were asked for.
    step_purchases, step_value : ndarray of shape (n, k), optional
        Purchases and value by step; they add up to `purchases` and `value`.
    notes : tuple of str
        What is undefined, and why.
    """

    customer_id: npt.NDArray[Any] | None
    p_alive: FloatArray
    purchases: FloatArray
    spend: FloatArray
    value: FloatArray
    horizon: float
    unit: str
    annual_rate: float
    margin: float
    step_end: FloatArray | None = None
    step_purchases: FloatArray | None = None
    step_value: FloatArray | None = None
    notes: tuple[str, ...] = ()

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "customers": len(self.value),
            "horizon": f"{self.horizon:g} {self.unit}s",
            "annual_rate": self.annual_rate,
            "margin": self.margin,
            "purchases": float(self.purchases.sum()),
            "value": float(self.value.sum()),
        }
        return facts | ({"notes": "; ".join(self.notes)} if self.notes else {})

    def _table(self) -> dict[str, Any]:
        named = {} if self.customer_id is None else {"customer_id": self.customer_id}
        columns = {name: getattr(self, name) for name in ("p_alive", "purchases", "spend", "value")}
        return named | columns


def lifetime_value(
    model: PurchaseModel,
    spend: GammaGamma | npt.ArrayLike,
    summary: PurchaseSummary,
    *,
    horizon: Any = _YEAR,
    annual_rate: float = 0.0,
    margin: float = 1.0,
    step: Any = None,
) -> LifetimeValue:
    """Return what each customer is expected to bring within a horizon after the end of the observation.

    Parameters
    ----------
    model : BgNbd, MbgNbd, MbgCnbd, BgCnbd, ParetoNbd, Nbd or BgBb
        How often they will buy.
    spend : GammaGamma or array_like, shape (n,)
        What they will spend on a purchase: a model, or a number for each customer.
    summary : PurchaseSummary
        The customers.
    horizon : timedelta or number
        How far ahead; a number counts in the summary's unit.
    annual_rate : float
        The discount a year: .15 makes what comes in a year worth 1 / 1.15. It is continuous, ln(1.15) a year.
    margin : float
        The share of the revenue that is profit.
    step : timedelta or number, optional
        Give figures by steps of this length too; the last one may be shorter.

    Returns
    -------
    LifetimeValue
        Aligned with the summary.

    Notes
    -----
    value = margin x spend x P(alive) x integral of e^(-delta s) rate(s) over (0, horizon), in closed form for
    delta = 0 and by Gauss-Legendre quadrature else. Customers with the same frequency and T have the same integral.

    Examples
    --------
    >>> from relmark.ltv import BgNbd
    >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week")
    >>> s = PurchaseSummary(frequency=[2, 0], recency=[30.43, 0], T=[38.86, 38.86], monetary_value=[22.35, 0])
    >>> lifetime_value(m, GammaGamma(p=6.25, q=3.74, v=15.44), s, annual_rate=.15, margin=.3).value.round(2)
    array([10.84,  2.5 ])
    """
    if not isinstance(model, PurchaseModel):
        raise InputError(
            f"model is {checks.shown(model)}: a model of purchases is needed, such as BgNbd.fit(summary).",
            argument="model",
            code="wrong_type",
        )
    rate = checks.number("annual_rate", annual_rate, low=0.0)
    share = checks.number("margin", margin, low=0.0)
    ahead = summary.horizon(horizon, "horizon")
    if isinstance(ahead, np.ndarray):
        raise InputError(
            "horizon has one value per customer: give one for all, and look at the figures by step.",
            argument="horizon",
            code="wrong_shape",
        )
    now = model.probability_alive(summary)
    amount = spend.expected_spend(summary) if isinstance(spend, GammaGamma) else _amounts(spend, len(summary))
    ends = _ends(summary, ahead, step)
    delta = _continuous(rate, summary.unit)
    cells, place = _cells_ahead(model, summary)
    undiscounted = model.expected_purchases_until(cells, ends)
    discounted = model.expected_purchases_until(cells, ends, delta) if delta > 0.0 else undiscounted
    by_step: dict[str, FloatArray] = {}
    worth = share * amount
    if step is not None:
        by_step = {
            "step_end": np.array(ends),
            "step_purchases": (now * np.diff(undiscounted, axis=0, prepend=0.0)[:, place]).T,
            "step_value": (now * worth * np.diff(discounted, axis=0, prepend=0.0)[:, place]).T,
        }
    notes: tuple[str, ...] = ()
    endless = ~np.isfinite(amount)
    if endless.any():
        said = f"the mean spend of {np.count_nonzero(endless):,} customers is infinite: with q <= 1 there is no mean"
        notes = (f"{said} for who never bought again. Give an amount for them, or fit with a prior",)
    return LifetimeValue(
        customer_id=summary.customer_id,
        p_alive=now,
        purchases=now * undiscounted[-1, place],
        spend=amount,
        value=now * worth * discounted[-1, place],
        horizon=float(ahead),
        unit=summary.unit,
        annual_rate=rate,
        margin=share,
        notes=notes,
        **by_step,
    )


def _cells_ahead(model: PurchaseModel, summary: PurchaseSummary) -> tuple[PurchaseSummary, npt.NDArray[np.int64]]:
    """Return the distinct rows of what says all that is ahead of a living customer, and each row's place."""
    if model.silence_tells:
        (x, t_x, T), _, place = unique_rows([summary.frequency, summary.recency, summary.T], None)
    else:
        (x, T), _, place = unique_rows([summary.frequency, summary.T], None)
        t_x = np.where(x > 0, T, 0.0)
    ahead = PurchaseSummary(
        frequency=x, recency=t_x, T=T, unit=summary.unit, season=summary.season, last_day=summary.last_day
    )
    return ahead, place


def _amounts(spend: npt.ArrayLike, n: int) -> FloatArray:
    given = np.asarray(spend)
    if given.ndim == 0:
        return np.full(n, checks.number("spend", spend, low=0.0))
    return checks.numbers("spend", given, length=n, low=0.0)


def _ends(summary: PurchaseSummary, ahead: float, step: Any) -> list[float]:
    """Return the ends of the steps, of which the last is the horizon."""
    if step is None:
        return [ahead]
    width = summary.horizon(step, "step")
    if isinstance(width, np.ndarray) or width <= 0:
        raise InputError(
            f"step is {checks.shown(step)}: one length of time above zero is needed.",
            argument="step",
            code="wrong_value",
        )
    if ahead / width > _MOST_STEPS:
        raise InputError(
            f"step gives {ahead / width:,.0f} steps: at most {_MOST_STEPS:,} are allowed.",
            argument="step",
            code="too_large",
            hint="Take a longer one.",
        )
    whole = math.floor(ahead / width * (1 + 1e-12))
    ends = [width * (i + 1) for i in range(whole)]
    if not ends or ends[-1] < ahead * (1 - 1e-12):
        return [*ends, ahead]
    return [*ends[:-1], ahead]


def _continuous(annual_rate: float, unit: str) -> float:
    """Return the continuous discount rate per unit of time."""
    if annual_rate == 0.0:
        return 0.0
    if unit not in UNIT_DAYS:
        raise InputError(
            f"annual_rate is {annual_rate:g}, but the summary counts in {unit}s, which have no length in days.",
            argument="annual_rate",
            code="conflicting_arguments",
        )
    return math.log1p(annual_rate) * UNIT_DAYS[unit] / UNIT_DAYS["year"]
