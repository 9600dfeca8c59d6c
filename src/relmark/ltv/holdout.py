"""How well a model foresaw what it had not seen."""

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
    """Expected and actual purchases in the holdout: in all, by person, and by how often people had bought before.

    Parameters
    ----------
    frequency : ndarray of int, shape (k,)
        Repeat purchases in the calibration period; the last row stands for as many or more.
    customers : ndarray, shape (k,)
        How many customers have this frequency.
    actual, expected : ndarray, shape (k,)
        Mean purchases in the holdout.
    as_before : ndarray, shape (k,)
        The yardstick: the mean if everybody went on at the rate of the calibration period, frequency / T.
    actual_total, expected_total : float
        Purchases of all customers.
    relative_error : float
        expected_total / actual_total - 1; NaN where nobody bought.
    mean_absolute_error, root_mean_squared_error, correlation : float
        By customer.
    as_before_total, as_before_mean_absolute_error, as_before_root_mean_squared_error : float
        The same of the yardstick.
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
    """Return how the purchases that a model expects in a holdout compare with those that came.

    Parameters
    ----------
    model : BgNbd, MbgNbd, ParetoNbd, Nbd or BgBb
        Fitted to `held.calibration`.
    held : HoldoutSplit
        From `split`.
    most : int
        The last row of the table: so many repeat purchases or more.

    Returns
    -------
    HoldoutReport
        The table by frequency shows where a model bends: people of one frequency should buy as often as expected.

    Notes
    -----
    The yardstick is the rate so far, frequency / T: the maximum-likelihood estimate of a customer's rate from the
    purchases after the first one, which only says when the watch began. Who was first seen on the last day (T = 0) has
    no rate of their own, and gets that of all, sum(frequency) / sum(T).
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
    """Return the repeat purchases per unit of time of each customer, and that of all where nothing was watched."""
    watched = float(T.sum())
    pooled = float(frequency.sum()) / watched if watched > 0 else 0.0
    rate: FloatArray = np.divide(frequency, T, out=np.full(len(T), pooled), where=T > 0)
    return rate


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CalibrationTable(ColumnarResult):
    """Customers in groups of like expectation, and what they did.

    Parameters
    ----------
    customers : ndarray, shape (k,)
        The size of each group, from the least expected to the most.
    expected, actual : ndarray, shape (k,)
        Mean purchases in the holdout.
    expected_buyers, actual_buyers : ndarray, shape (k,)
        The share that buys at all: what P(alive) and rate say together, and what came.
    """

    customers: FloatArray
    expected: FloatArray
    actual: FloatArray
    expected_buyers: FloatArray
    actual_buyers: FloatArray

    def _table(self) -> dict[str, Any]:
        return {name: column.round(3) for name, column in self.to_columns().items()}


def calibration_table(model: PurchaseModel, held: HoldoutSplit, *, groups: int = 10) -> CalibrationTable:
    """Return groups of customers by what a model expects of them, beside what they did in the holdout.

    Parameters
    ----------
    model : BgNbd, MbgNbd, ParetoNbd, Nbd or BgBb
        Fitted to `held.calibration`.
    held : HoldoutSplit
        From `split`.
    groups : int
        How many groups of about equal size; customers with one and the same expectation stay together, so that there
        may be fewer.

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
            f"held is {checks.shown(held)}: a HoldoutSplit is needed, from split(log, ...).",
            argument="held",
            code="wrong_type",
        )
    return model.expected_purchases(held.calibration, held.duration)
