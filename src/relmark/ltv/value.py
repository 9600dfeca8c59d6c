"""Lifetime value: what each customer is worth over a horizon, with discount and margin."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.time import days
from relmark.ltv._cells import unique_rows
from relmark.ltv.equity import CustomerEquity, equity_of
from relmark.ltv.gamma_gamma import GammaGamma
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import UNIT_DAYS, PurchaseSummary, TimeAhead

_MOST_STEPS = 1_000
_YEAR = days(365)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LifetimeValue(ColumnarResult):
    """What each customer is expected to bring within a horizon.

    Parameters
    ----------
    customer_id : ndarray of shape (n,), optional
        The customers, as in the summary.
    p_alive : ndarray, shape (n,)
        The probability that each is still a customer at the end of the observation.
    purchases : ndarray, shape (n,)
        Purchases expected within the horizon.
    spend : ndarray, shape (n,)
        The expected value of one purchase.
    value : ndarray, shape (n,)
        Discounted purchases times spend times margin.
    horizon : float, or ndarray of shape (n,)
        The horizon in `unit`; infinite for the whole residual lifetime.
    unit : str
        The unit of time, that of the summary.
    annual_rate, margin : float, or ndarray of shape (n,)
        The discount rate and the margin that were given.
    residual_transactions : ndarray of shape (n,), optional
        All purchases ahead, discounted, if no horizon was given.
    step_end : ndarray of shape (k,), optional
        The end of each step in `unit`, if steps were asked for.
    step_purchases, step_value : ndarray of shape (n, k), optional
        Purchases and value by step; they add up to `purchases` and `value`.
    weights : ndarray of shape (n,), optional
        How many customers each row stands for, as in the summary.
    notes : tuple of str
        What is undefined, and why.
    """

    customer_id: npt.NDArray[Any] | None
    p_alive: FloatArray
    purchases: FloatArray
    spend: FloatArray
    value: FloatArray
    horizon: float | FloatArray
    unit: str
    annual_rate: float | FloatArray
    margin: float | FloatArray
    residual_transactions: FloatArray | None = None
    step_end: FloatArray | None = None
    step_purchases: FloatArray | None = None
    step_value: FloatArray | None = None
    weights: FloatArray | None = None
    notes: tuple[str, ...] = ()

    def to_cells(self, *, cohort: npt.ArrayLike | None = None, segment: npt.ArrayLike | None = None) -> CustomerEquity:
        """Return customer equity: what the customers of each cohort and segment are worth together.

        Parameters
        ----------
        cohort, segment : array_like of shape (n,), optional
            The group of each customer, such as the month of the first purchase or the channel it came from. Without
            either, all customers are one group.

        Returns
        -------
        CustomerEquity
            One row per group, in ascending order. Add the equity of other customers with ``+``.
        """
        return equity_of(
            cohort=cohort,
            segment=segment,
            weights=self.weights,
            alive=self.p_alive,
            purchases=self.purchases,
            value=self.value,
        )

    def _facts(self) -> dict[str, Any]:
        def said(setting: float | FloatArray) -> Any:
            return "one per customer" if isinstance(setting, np.ndarray) else setting

        ahead = self.horizon
        length = "one per customer" if isinstance(ahead, np.ndarray) else f"{ahead:g} {self.unit}s"
        facts: dict[str, Any] = {
            "customers": len(self.value),
            "horizon": "all ahead" if length.startswith("inf") else length,
            "annual_rate": said(self.annual_rate),
            "margin": said(self.margin),
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
    horizon: TimeAhead | None = _YEAR,
    annual_rate: float | npt.ArrayLike = 0.0,
    margin: float | npt.ArrayLike = 1.0,
    step: timedelta | float | None = None,
) -> LifetimeValue:
    """Return what each customer is expected to bring within a horizon after the end of the observation.

    Parameters
    ----------
    model : PurchaseModel
        How often they will buy, such as a fitted `BgNbd`.
    spend : GammaGamma, float or array_like, shape (n,)
        What they will spend per purchase: a model, or one number for all or per customer.
    summary : PurchaseSummary
        The customers.
    horizon : timedelta, number, array_like of shape (n,), or None
        How far ahead to look; a number is in the summary's unit. None is the whole residual lifetime. Without a
        discount this is finite only if people leave soon enough; `notes` says where it is not.
    annual_rate : float, or array_like of shape (n,)
        The discount rate per year: with .15, revenue a year from now is worth 1 / 1.15. It is applied continuously, at
        ln(1.15) per year.
    margin : float, or array_like of shape (n,)
        The share of the revenue that is profit.
    step : timedelta or number, optional
        Also give figures by steps of this length; the last step may be shorter.

    Returns
    -------
    LifetimeValue
        Aligned with the summary.

    Notes
    -----
    value = margin x spend x P(alive) x integral of e^(-delta s) rate(s) over (0, horizon), in closed form for
    delta = 0 and otherwise by Gauss-Legendre quadrature. Customers with the same frequency and T share one integral.
    Different discount rates are integrated one after the other, so a few, such as one per segment, cost little.

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
    if not isinstance(summary, PurchaseSummary):
        raise InputError(
            f"summary is {checks.shown(summary)}: a PurchaseSummary is needed.",
            argument="summary",
            code="wrong_type",
            hint="Make one by purchase_summary(base, as_of=...).",
        )
    n = len(summary)
    rate, share = _one_or_each("annual_rate", annual_rate, n), _one_or_each("margin", margin, n)
    ahead: float | FloatArray = math.inf
    if horizon is not None:
        ahead = summary.horizon(horizon, "horizon")
        model._whole(np.atleast_1d(ahead), "horizon")  # noqa: SLF001
    now = model.probability_alive(summary)
    amount = spend.expected_spend(summary) if isinstance(spend, GammaGamma) else _amounts(spend, n)
    ends = _ends(summary, ahead, step)
    delta = _continuous(rate, summary.unit)
    flow = _flow(model, summary, ends, ahead, delta)
    worth = share * amount
    by_step: dict[str, FloatArray] = {}
    if step is not None:
        by_step = {
            "step_end": np.array(ends),
            "step_purchases": (now * np.diff(flow.purchases, axis=0, prepend=0.0)).T,
            "step_value": (now * worth * np.diff(flow.discounted, axis=0, prepend=0.0)).T,
        }
    purchases, discounted = _weighed(now, flow.purchases[-1]), _weighed(now, flow.discounted[-1])
    return LifetimeValue(
        customer_id=summary.customer_id,
        p_alive=now,
        purchases=purchases,
        spend=amount,
        value=_weighed(worth, discounted),
        horizon=ahead,
        unit=summary.unit,
        annual_rate=rate,
        margin=share,
        residual_transactions=discounted if horizon is None else None,
        weights=summary.weights,
        notes=_notes(model, amount, purchases, discounted),
        **by_step,
    )


class _Flow(NamedTuple):
    """Purchases until each end of customers who are alive, and the same discounted, shape (ends, n)."""

    purchases: FloatArray
    discounted: FloatArray


def _flow(
    model: PurchaseModel,
    summary: PurchaseSummary,
    ends: list[float],
    ahead: float | FloatArray,
    delta: float | FloatArray,
) -> _Flow:
    """Return the purchases until each end, and at most until each customer's own horizon."""
    more = [column for column in (ahead, delta) if isinstance(column, np.ndarray)]
    cells, place, own = _cells_ahead(model, summary, more)
    until = own.pop(0) if isinstance(ahead, np.ndarray) else ahead
    rates = own.pop(0) if isinstance(delta, np.ndarray) else delta
    if isinstance(until, float) and isinstance(rates, float) and math.isfinite(until):
        plain = model.expected_purchases_until(cells, ends)
        faded = model.expected_purchases_until(cells, ends, rates) if rates > 0.0 else plain
    else:
        plain, faded = _until_each(model, cells, ends, np.broadcast_to(until, len(cells)), rates)
    return _Flow(plain[:, place], faded[:, place])


def _until_each(
    model: PurchaseModel, cells: PurchaseSummary, ends: list[float], until: FloatArray, delta: float | FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return purchases and discounted purchases until each end, cut at the row's own horizon, rate by rate."""
    n = len(cells)
    own, past = model._of(cells), model._columns(cells)  # noqa: SLF001
    rates = np.broadcast_to(delta, n)
    plain, faded = np.empty((len(ends), n)), np.empty((len(ends), n))
    for at, end in enumerate(ends):
        t = np.minimum(end, until)
        endless = bool(np.isinf(t).any())  # if one is infinite, all are: there is no horizon
        plain[at] = own._total(past) if endless else model.expected_purchases_if_alive(cells, t)  # noqa: SLF001
        for one in np.unique(rates).tolist():
            rows = np.flatnonzero(rates == one)
            if one == 0.0:
                faded[at, rows] = plain[at, rows]
            elif not endless:
                faded[at, rows] = model.expected_purchases_if_alive(cells.take(rows), t[rows], one)
            else:
                faded[at, rows] = own._at(rows)._ever(past.at(rows), cells, one)  # noqa: SLF001
    # rounding must not make what comes in a late step negative
    return np.maximum.accumulate(plain, axis=0), np.maximum.accumulate(faded, axis=0)


def _weighed(share: FloatArray, amount: FloatArray) -> FloatArray:
    """Return the product; it is 0 where one factor is 0, even if the other is infinite."""
    with np.errstate(invalid="ignore"):
        result: FloatArray = np.where((share == 0.0) | (amount == 0.0), 0.0, share * amount)
    return result


def _notes(model: PurchaseModel, amount: FloatArray, purchases: FloatArray, discounted: FloatArray) -> tuple[str, ...]:
    notes = []
    endless = ~np.isfinite(amount)
    if endless.any():
        said = f"the mean spend of {np.count_nonzero(endless):,} customers is infinite: with q <= 1 there is no mean"
        notes.append(f"{said} for customers who never bought again. Give an amount for them, or fit with a prior")
    forever = np.isinf(purchases)
    if forever.any():
        name = next((name for name in ("a", "s", "gamma") if hasattr(model, name)), None)
        why = f"{name} is at most 1" if name else "nobody ever leaves"
        said = f"the purchases ahead of {np.count_nonzero(forever):,} customers have no finite mean ({why})"
        if np.isinf(discounted).any():
            said += ": give annual_rate above 0, or use model.residual_transactions(summary, discount_rate)"
        else:
            said += "; their discounted number, residual_transactions, and the value are finite"
        notes.append(said)
    return tuple(notes)


def _cells_ahead(
    model: PurchaseModel, summary: PurchaseSummary, more: list[FloatArray]
) -> tuple[PurchaseSummary, npt.NDArray[np.int64], list[FloatArray]]:
    """Return the distinct rows of all that the future of a living customer depends on, each row's place, and `more`."""
    x, t_x, T = summary.frequency, summary.recency, summary.T
    if not model.silence_tells:
        t_x = np.where(x > 0, T, 0.0)
    known = summary.covariates
    columns, _, place = unique_rows([x, t_x, T, *more, *known.values()], None)
    last = 3 + len(more)
    cells = PurchaseSummary(
        frequency=columns[0],
        recency=columns[1],
        T=columns[2],
        unit=summary.unit,
        season=summary.season,
        last_day=summary.last_day,
        covariates=dict(zip(known, columns[last:], strict=True)),
    )
    return cells, place, columns[3:last]


def _amounts(spend: npt.ArrayLike, n: int) -> FloatArray:
    given = np.asarray(spend)
    if given.ndim == 0:
        return np.full(n, checks.number("spend", spend, low=0.0))
    return checks.numbers("spend", given, length=n, low=0.0)


def _one_or_each(name: str, given: float | npt.ArrayLike, n: int) -> float | FloatArray:
    """Return a setting as one number for all or as a column."""
    if np.ndim(given) == 0:
        return checks.number(name, given, low=0.0)
    return checks.numbers(name, given, length=n, low=0.0)


def _ends(summary: PurchaseSummary, until: float | FloatArray, step: Any) -> list[float]:
    """Return the ends of the steps; the last one is the horizon, or the longest of several horizons."""
    ahead = float(np.max(until, initial=0.0))
    if step is None:
        return [ahead]
    if math.isinf(ahead):
        raise InputError(
            "step is given without a horizon to divide: give horizon, or leave step out.",
            argument="step",
            code="conflicting_arguments",
        )
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
            hint="Give a longer step.",
        )
    whole = math.floor(ahead / width * (1 + 1e-12))
    ends = [width * (i + 1) for i in range(whole)]
    if not ends or ends[-1] < ahead * (1 - 1e-12):
        return [*ends, ahead]
    return [*ends[:-1], ahead]


def _continuous(annual_rate: float | FloatArray, unit: str) -> float | FloatArray:
    """Return the continuous discount rate per unit of time."""
    if not np.any(annual_rate):
        return 0.0
    if unit not in UNIT_DAYS:
        raise InputError(
            f"annual_rate is {np.max(annual_rate):g}, but the summary counts in {unit}s, which have no length in days.",
            argument="annual_rate",
            code="conflicting_arguments",
        )
    length = UNIT_DAYS[unit] / UNIT_DAYS["year"]
    if isinstance(annual_rate, np.ndarray):
        return np.log1p(annual_rate) * length
    return math.log1p(annual_rate) * length
