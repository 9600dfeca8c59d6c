"""How well a model foresaw purchases that it was not fitted to."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.transactions import HoldoutSplit


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HoldoutReport(ColumnarResult):
    """Expected and actual purchases in the holdout: in total, per customer, and by how often customers bought before.

    Parameters
    ----------
    frequency : ndarray of int, shape (k,)
        Repeat purchases in the calibration period; the last row stands for that many or more.
    customers : ndarray, shape (k,)
        How many customers have this frequency.
    actual, expected : ndarray, shape (k,)
        Mean purchases per customer in the holdout.
    as_before : ndarray, shape (k,)
        The yardstick: the mean if everybody went on at the rate of the calibration period, frequency / T.
    actual_total, expected_total : float
        Purchases of all customers.
    relative_error : float
        expected_total / actual_total - 1; NaN where nobody bought.
    mean_absolute_error, root_mean_squared_error, correlation : float
        Of the expected purchases of each customer against the actual ones.
    as_before_total, as_before_mean_absolute_error, as_before_root_mean_squared_error : float
        The same for the yardstick.
    """

    frequency: npt.NDArray[np.int64]
    customers: FloatArray
    actual: FloatArray
    expected: FloatArray
    as_before: FloatArray
    actual_total: float
    expected_total: float
    relative_error: float
    mean_absolute_error: float
    root_mean_squared_error: float
    correlation: float
    as_before_total: float
    as_before_mean_absolute_error: float
    as_before_root_mean_squared_error: float

    def _facts(self) -> dict[str, Any]:
        names = ("actual_total", "expected_total", "relative_error", "mean_absolute_error", "correlation")
        facts = {"customers": float(self.customers.sum())}
        return facts | {name: round(getattr(self, name), 4) for name in names}

    def _table(self) -> dict[str, Any]:
        names = [str(value) for value in self.frequency.tolist()]
        names[-1] += "+"
        columns = {name: getattr(self, name).round(3) for name in ("actual", "expected", "as_before")}
        return {"bought again": names, "customers": self.customers, **columns}


def holdout_report(model: PurchaseModel, held: HoldoutSplit, *, most: int = 7) -> HoldoutReport:
    """Return how the purchases that a model expects in a holdout compare with those that were made.

    Parameters
    ----------
    model : PurchaseModel
        A model fitted to `held.calibration`, such as a `BgNbd`.
    held : HoldoutSplit
        The two periods, from `split`.
    most : int
        The number of repeat purchases in the last row of the table, which stands for that many or more.

    Returns
    -------
    HoldoutReport
        The table by frequency shows where a model is biased: customers of one frequency should buy as often as
        expected.

    Notes
    -----
    The yardstick is the rate so far, frequency / T: the maximum-likelihood estimate of a customer's rate from the
    purchases after the first one, which only marks when the observation began. Customers who were first seen on the
    last day (T = 0) have no rate of their own, and get that of all customers, sum(frequency) / sum(T).
    """
    expected = _expected(model, held)
    checks.whole("most", most, low=1, high=1_000)
    summary = held.calibration
    as_before = _rate_so_far(summary.frequency, summary.T) * held.duration
    group = np.minimum(summary.frequency, most).astype(np.int64)
    size = np.bincount(group, minlength=most + 1).astype(np.float64)

    def mean(values: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore"):
            result: FloatArray = np.bincount(group, weights=values, minlength=most + 1) / np.where(
                size > 0, size, np.nan
            )
        return result

    actual = held.frequency
    total = float(actual.sum())
    varies = len(actual) > 1 and actual.std() > 0 and expected.std() > 0
    return HoldoutReport(
        frequency=np.arange(most + 1),
        customers=size,
        actual=mean(actual),
        expected=mean(expected),
        as_before=mean(as_before),
        actual_total=total,
        expected_total=float(expected.sum()),
        relative_error=float(expected.sum() / total - 1.0) if total else np.nan,
        mean_absolute_error=float(np.abs(expected - actual).mean()),
        root_mean_squared_error=float(np.sqrt(((expected - actual) ** 2).mean())),
        correlation=float(np.corrcoef(expected, actual)[0, 1]) if varies else np.nan,
        as_before_total=float(as_before.sum()),
        as_before_mean_absolute_error=float(np.abs(as_before - actual).mean()),
        as_before_root_mean_squared_error=float(np.sqrt(((as_before - actual) ** 2).mean())),
    )


def _rate_so_far(frequency: FloatArray, T: FloatArray) -> FloatArray:
    """Return the repeat purchases per unit of time of each customer, or the rate of all customers where T is 0."""
    watched = float(T.sum())
    pooled = float(frequency.sum()) / watched if watched > 0 else 0.0
    rate: FloatArray = np.divide(frequency, T, out=np.full(len(T), pooled), where=T > 0)
    return rate


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CalibrationTable(ColumnarResult):
    """Customers in groups of similar expected purchases, and what they did.

    Parameters
    ----------
    customers : ndarray, shape (k,)
        The size of each group, from the fewest expected purchases to the most.
    expected, actual : ndarray, shape (k,)
        Mean purchases per customer in the holdout.
    expected_buyers, actual_buyers : ndarray, shape (k,)
        The share of customers who buy at all: expected from P(alive) and rate together, and actual.
    """

    customers: FloatArray
    expected: FloatArray
    actual: FloatArray
    expected_buyers: FloatArray
    actual_buyers: FloatArray

    def _table(self) -> dict[str, Any]:
        return {name: column.round(3) for name, column in self.to_columns().items()}


def calibration_table(model: PurchaseModel, held: HoldoutSplit, *, groups: int = 10) -> CalibrationTable:
    """Return groups of customers by the purchases that a model expects, and what each group did in the holdout.

    Parameters
    ----------
    model : PurchaseModel
        A model fitted to `held.calibration`, such as a `BgNbd`.
    held : HoldoutSplit
        The two periods, from `split`.
    groups : int
        The number of groups of about equal size. There may be fewer, since customers with the same expectation stay
        together.

    Returns
    -------
    CalibrationTable
    """
    expected = _expected(model, held)
    checks.whole("groups", groups, low=2, high=1_000)
    some = 1.0 - model.purchase_probabilities(held.calibration, held.duration, 0)
    _, place, count = np.unique(expected, return_inverse=True, return_counts=True)
    below = np.cumsum(count) - 0.5 * count
    _, group = np.unique(np.floor(below / len(expected) * groups), return_inverse=True)
    of = group.reshape(-1)[place.reshape(-1)]
    size = np.bincount(of).astype(np.float64)
    return CalibrationTable(
        customers=size,
        expected=np.bincount(of, weights=expected) / size,
        actual=np.bincount(of, weights=held.frequency) / size,
        expected_buyers=np.bincount(of, weights=some) / size,
        actual_buyers=np.bincount(of, weights=(held.frequency > 0).astype(np.float64)) / size,
    )


def _expected(model: PurchaseModel, held: HoldoutSplit) -> FloatArray:
    if not isinstance(held, HoldoutSplit):
        raise InputError(
            f"held is {checks.shown(held)}: a HoldoutSplit is needed, from split(base, ...).",
            argument="held",
            code="wrong_type",
        )
    return model.expected_purchases(held.calibration, held.duration)
