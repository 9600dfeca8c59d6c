"""What subscribers are worth: their expected renewals, discounted, times what each renewal brings."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.results import ColumnarResult
from relmark.ltv._renewals import periods_of
from relmark.ltv.beta_discrete_weibull import BetaDiscreteWeibull
from relmark.ltv.shifted_beta_geometric import ShiftedBetaGeometric

__all__ = ["SubscriptionModel", "SubscriptionValue", "subscription_value"]

SubscriptionModel: TypeAlias = ShiftedBetaGeometric | BetaDiscreteWeibull
"""A model of how long subscribers stay."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SubscriptionValue(ColumnarResult):
    """The value of what subscribers will still pay: one row per subscriber.

    Attributes
    ----------
    customer_id : ndarray, shape (n,), optional
        The subscribers, if ids were given.
    age : ndarray, shape (n,)
        The number of renewals so far.
    renewals : ndarray, shape (n,)
        Expected renewals ahead, discounted (the discounted expected residual lifetime). They are infinite if nothing is
        discounted and survival falls too slowly.
    value : ndarray, shape (n,)
        Renewals times price times margin.
    rate : float
        The continuous discount rate per renewal period.
    notes : tuple of str
        Why a value is infinite.
    """

    customer_id: npt.NDArray[Any] | None
    age: FloatArray
    renewals: FloatArray
    value: FloatArray
    rate: float
    notes: tuple[str, ...] = ()

    def _facts(self) -> dict[str, Any]:
        return {"subscribers": len(self.age), "value": float(self.value.sum()), "rate per period": round(self.rate, 6)}


def subscription_value(
    model: SubscriptionModel,
    *,
    price: float | npt.ArrayLike,
    annual_rate: float,
    margin: float | npt.ArrayLike = 1.0,
    age: npt.ArrayLike = 0,
    periods_per_year: float = 12.0,
    customer_id: npt.ArrayLike | None = None,
) -> SubscriptionValue:
    """Return what each subscriber is expected to bring from now on, discounted to now.

    Parameters
    ----------
    model : ShiftedBetaGeometric or BetaDiscreteWeibull
        The fitted model, whose periods are those of the contract.
    price : float, or array_like of shape (n,)
        What a renewal costs the customer.
    annual_rate : float
        The discount rate per year, such as .1 for ten percent; 0 discounts nothing.
    margin : float, or array_like of shape (n,)
        The share of the price that is profit, 0 to 1.
    age : int, or array_like of shape (n,)
        How often each subscriber has renewed, 0 in the first period. The next renewal is due now.
    periods_per_year : float
        The number of renewal periods per year: 12 for monthly contracts, 1 for yearly ones.
    customer_id : array_like, shape (n,), optional
        The subscribers, which the result carries.

    Returns
    -------
    SubscriptionValue

    Notes
    -----
    This uses the discounted expected residual lifetime of Fader and Hardie (2010): the renewal that is due now is not
    discounted, and the one after it is discounted by one period.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2010). Customer-base valuation in a contractual setting: the perils of ignoring
    heterogeneity. Marketing Science 29(1), 85-93.

    Examples
    --------
    >>> from relmark.ltv import ShiftedBetaGeometric
    >>> m = ShiftedBetaGeometric(alpha=.668, beta=3.806)
    >>> found = subscription_value(m, price=100, margin=.7, annual_rate=.1, age=[0, 1, 5], periods_per_year=1)
    >>> found.renewals.round(3), found.value.round(1)
    (array([5.415, 5.902, 7.136]), array([379. , 413.1, 499.5]))
    """
    years = checks.positive("periods_per_year", periods_per_year)
    rate = math.log1p(checks.number("annual_rate", annual_rate, low=0.0)) / years
    ages = periods_of("age", age)
    ids = None if customer_id is None else checks.array_of("customer_id", customer_id)
    n = max(len(ages), len(_column("price", price)), len(_column("margin", margin)), 0 if ids is None else len(ids))
    worth = _each("price", price, n) * _each("margin", margin, n, high=1.0)
    ages = np.array(np.broadcast_to(ages, n)) if len(ages) == 1 else ages
    checks.same_length("age", ages, n)
    if ids is not None:
        checks.same_length("customer_id", ids, n)
    renewals = np.asarray(model.residual_renewals(ages, rate))
    notes: tuple[str, ...] = ()
    if np.isinf(renewals).any():
        slow = "alpha" if isinstance(model, ShiftedBetaGeometric) else "alpha c"
        why = f"{slow} is at most 1 and nothing is discounted, so the expected lifetime is infinite"
        notes = (f"{why}: give annual_rate above 0",)
    return SubscriptionValue(
        customer_id=ids,
        age=ages,
        renewals=renewals,
        value=np.where(worth > 0.0, renewals * np.where(worth > 0.0, worth, 1.0), 0.0),
        rate=rate,
        notes=notes,
    )


def _column(name: str, values: float | npt.ArrayLike) -> FloatArray:
    return checks.numbers(name, values, low=0.0)


def _each(name: str, values: float | npt.ArrayLike, n: int, high: float = math.inf) -> FloatArray:
    """Return a number for each of n subscribers, from one for all or one for each."""
    column = checks.numbers(name, values, low=0.0, high=high)
    if len(column) == 1:
        return np.full(n, column[0])
    checks.same_length(name, column, n)
    return column
