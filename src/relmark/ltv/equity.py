"""Customer equity: what groups of customers are worth together, and what winning such a customer may cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.ltv._cells import weights_by

__all__ = ["CustomerEquity", "LtvToCac", "equity_of"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LtvToCac(ColumnarResult):
    """What customers bring compared with what it cost to win them: one row per group.

    Parameters
    ----------
    cohort, segment : ndarray of shape (k,), optional
        The groups.
    customers : ndarray, shape (k,)
        How many customers each group has.
    mean_value : ndarray, shape (k,)
        What one of them is expected to bring: LTV.
    acquisition_cost : ndarray, shape (k,)
        What one of them cost: CAC.
    ratio, low, high : ndarray, shape (k,)
        LTV divided by CAC, with Student's t interval over customers; NaN where there are fewer than two.
    level : float
        The confidence level.
    notes : tuple of str
        What is undefined, and what the interval leaves out.
    """

    cohort: npt.NDArray[Any] | None = None
    segment: npt.NDArray[Any] | None = None
    customers: FloatArray
    mean_value: FloatArray
    acquisition_cost: FloatArray
    ratio: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    notes: tuple[str, ...] = ()

    def _lines(self) -> list[str]:
        return [f"note: {text}" for text in self.notes]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CustomerEquity(ColumnarResult):
    """What groups of customers are worth: one row per cohort and segment. Add that of other customers with ``+``.

    Parameters
    ----------
    cohort, segment : ndarray of shape (k,), optional
        The groups, in ascending order.
    customers : ndarray, shape (k,)
        How many customers each has.
    alive : ndarray, shape (k,)
        How many of them are expected to be customers still.
    purchases : ndarray, shape (k,)
        Purchases that they are expected to make within the horizon, together.
    value : ndarray, shape (k,)
        What they are expected to bring, together.
    deviation : ndarray, shape (k,)
        The sum of squared deviations of their values from the group's mean.

    Examples
    --------
    >>> from relmark.ltv import BgNbd, PurchaseSummary, lifetime_value
    >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week")
    >>> s = PurchaseSummary(frequency=[2, 0, 5], recency=[30.43, 0, 38.0], T=[38.86, 38.86, 38.86])
    >>> equity = lifetime_value(m, [20.0, 30.0, 25.0], s).to_cells(segment=["shop", "shop", "web"])
    >>> equity.segment.tolist(), equity.customers.tolist(), equity.mean_value.round(2).tolist()
    (['shop', 'web'], [2.0, 1.0], [19.41, 105.81])
    >>> equity.ltv_to_cac({"shop": 14.0, "web": 30.0}).ratio.round(2).tolist()
    [2.77, 3.53]
    """

    cohort: npt.NDArray[Any] | None = None
    segment: npt.NDArray[Any] | None = None
    customers: FloatArray
    alive: FloatArray
    purchases: FloatArray
    value: FloatArray
    deviation: FloatArray

    @property
    def mean_value(self) -> FloatArray:
        """What one customer of each group is expected to bring, shape (k,)."""
        return self.value / self.customers

    def __add__(self, other: object) -> CustomerEquity:
        """Return the equity of both together, if no customer is in both."""
        if not isinstance(other, CustomerEquity):
            return NotImplemented
        keys = {}
        for name in ("cohort", "segment"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if (mine is None) != (theirs is None):
                raise InputError(
                    f"one equity is by {name} and the other is not: both must have the same columns.",
                    argument="other",
                    code="not_mergeable",
                )
            if mine is not None:
                keys[name] = np.concatenate([mine, theirs])
        columns = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("customers", "alive", "purchases", "value", "deviation")
        }
        groups, place = _grouped(keys, len(columns["customers"]))
        size = int(place.max(initial=-1)) + 1
        total = {name: weights_by(place, column, size) for name, column in columns.items()}
        mean = total["value"] / total["customers"]
        away = columns["value"] / columns["customers"] - mean[place]
        total["deviation"] += weights_by(place, columns["customers"] * away * away, size)
        return CustomerEquity(**groups, **total)

    def ltv_to_cac(self, cost: float | Mapping[str, float] | npt.ArrayLike, *, level: float = 0.95) -> LtvToCac:
        """Return what customers of each group are expected to bring compared with what it cost to win them.

        Parameters
        ----------
        cost : float, mapping, or array_like of shape (k,)
            What winning the customers cost in total: one number per row, or a mapping by cohort or segment if the rows
            are by only one of them. A single number is the cost of all customers, spread evenly over them.
        level : float
            The confidence of the interval, between 0 and 1.

        Returns
        -------
        LtvToCac

        Notes
        -----
        The interval says how far the mean of this many customers may lie from that of all such customers. It does not
        contain the uncertainty of the model's parameters; for that use
        ``m.interval(lambda m: lifetime_value(m, ...).to_cells(...).mean_value)``.
        """
        checks.fraction("level", level)
        spent = self._costs(cost)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = spent / self.customers
            error = np.sqrt(self.deviation / (self.customers - 1.0) / self.customers)
            error = np.where(self.customers > 1.0, error, np.nan)
            reach = stdtrit(np.maximum(self.customers - 1.0, 1.0), 0.5 + 0.5 * level) * error
            free = each == 0.0
            ratio, low, high = (np.where(free, np.nan, v / each) for v in (
                self.mean_value, self.mean_value - reach, self.mean_value + reach,
            ))  # fmt: skip
        notes = ["the interval covers the differences between customers, not the model's own uncertainty"]
        if free.any():
            notes.append(f"{np.count_nonzero(free):,} group(s) cost nothing and have no ratio")
        if (self.customers <= 1.0).any():
            notes.append("a group of one customer has no interval")
        return LtvToCac(
            cohort=self.cohort,
            segment=self.segment,
            customers=self.customers,
            mean_value=self.mean_value,
            acquisition_cost=each,
            ratio=ratio,
            low=low,
            high=high,
            level=level,
            notes=tuple(notes),
        )

    def _costs(self, cost: float | Mapping[str, float] | npt.ArrayLike) -> FloatArray:
        if isinstance(cost, Mapping):
            by = [name for name in ("cohort", "segment") if getattr(self, name) is not None]
            if len(by) != 1:
                raise InputError(
                    "cost is a mapping, which names the groups of one column, and the equity is by "
                    f"{' and '.join(by) or 'none'}.",
                    argument="cost",
                    code="wrong_type",
                    hint="Give a column with the cost of each row.",
                )
            groups = getattr(self, by[0]).tolist()
            known = {str(key): value for key, value in cost.items()}
            missing = [group for group in groups if str(group) not in known]
            if missing:
                raise InputError(
                    f"cost has no {by[0]} {missing[0]!r}: it has {', '.join(map(repr, list(known)[:9]))}.",
                    argument="cost",
                    code="missing_key",
                )
            return checks.numbers("cost", [known[str(group)] for group in groups], low=0.0)
        column = checks.numbers("cost", cost, low=0.0)
        if np.ndim(cost) == 0:
            spread: FloatArray = column[0] * self.customers / self.customers.sum()
            return spread
        checks.same_length("cost", column, len(self.customers))
        return column


def equity_of(
    *,
    cohort: npt.ArrayLike | None,
    segment: npt.ArrayLike | None,
    weights: FloatArray | None,
    alive: FloatArray,
    purchases: FloatArray,
    value: FloatArray,
) -> CustomerEquity:
    """Return what customers are worth by cohort and segment, from one row per customer."""
    n = len(value)
    given = {"cohort": cohort, "segment": segment}
    keys = {}
    for name, column in given.items():
        if column is not None:
            keys[name] = checks.array_of(name, column)
            checks.same_length(name, keys[name], n)
    groups, place = _grouped(keys, n)
    size = int(place.max(initial=-1)) + 1
    w = np.ones(n) if weights is None else weights

    def total(column: FloatArray) -> FloatArray:
        return weights_by(place, w * column, size)

    customers, worth = total(np.ones(n)), total(value)
    with np.errstate(invalid="ignore"):
        deviation = total((value - (worth / customers)[place]) ** 2)
    return CustomerEquity(
        **groups,
        customers=customers,
        alive=total(alive),
        purchases=total(purchases),
        value=worth,
        deviation=deviation,
    )


def _grouped(keys: Mapping[str, npt.NDArray[Any]], n: int) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """Return the distinct groups in ascending order, and each row's place among them."""
    code = np.zeros(n, dtype=np.int64)
    for name, column in keys.items():
        missing = [value is None or value != value for value in column.tolist()]  # noqa: PLR0124
        checks.refuse_rows(name, np.array(missing, dtype=np.bool_), column, "each customer needs a group", "Name one.")
        try:
            values, place = np.unique(column, return_inverse=True)
        except TypeError:
            values, place = np.unique(column.astype(str), return_inverse=True)
        code = code * max(len(values), 1) + place.reshape(-1)
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    return {name: column[first] for name, column in keys.items()}, place.reshape(-1)
