"""Whether a model follows the purchases of a customer base over time."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.as_of import read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant
from relmark.ltv._bought import bought_days
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import UNIT_DAYS


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortTracking(ColumnarResult):
    """Actual repeat purchases by calendar period, and those that a model expects.

    Parameters
    ----------
    period_end : ndarray of datetime64[D], shape (k,)
        The last day of each period.
    actual, expected : ndarray, shape (k,)
        Repeat purchases in each period.
    actual_cumulative, expected_cumulative : ndarray, shape (k,)
        Repeat purchases until the end of each period.
    customers : int
        How many customers are tracked.
    calibration_periods : int
        How many periods end within the calibration period.
    unit : str
        The length of a period.
    """

    period_end: npt.NDArray[np.datetime64]
    actual: FloatArray
    expected: FloatArray
    actual_cumulative: FloatArray
    expected_cumulative: FloatArray
    customers: int
    calibration_periods: int
    unit: str

    @property
    def relative_error(self) -> float:
        """Purchases expected until the end divided by the actual ones, minus 1; NaN if there were none."""
        return (
            float(self.expected_cumulative[-1] / self.actual_cumulative[-1] - 1)
            if self.actual_cumulative[-1]
            else np.nan
        )

    def _facts(self) -> dict[str, Any]:
        return {
            "customers": self.customers,
            f"{self.unit}s": len(self.actual),
            "calibration": self.calibration_periods,
            "actual": float(self.actual_cumulative[-1]),
            "expected": float(self.expected_cumulative[-1]),
            "relative_error": round(self.relative_error, 4),
        }


def cohort_tracking(
    model: PurchaseModel,
    data: CustomerBase | Purchases,
    *,
    at: Instant,
    as_of: Instant,
    unit: str | None = None,
) -> CohortTracking:
    """Return the actual repeat purchases of a cohort period by period, and those that the model expects.

    The expected purchases use only the days of first purchases: they are the sum over customers of the purchases
    expected of a new customer by the age reached. A wrong model shows soonest in this picture (Fader, Hardie and Lee
    2005, figures 2 and 3).

    Parameters
    ----------
    model : PurchaseModel
        A model in continuous time fitted to the calibration period, such as a `BgNbd`.
    data : CustomerBase or Purchases
        A base, whose purchases are read with `CustomerBase.purchases`, or the result of that method.
    at : date, datetime, datetime64 or str
        When the calibration period ends: customers who bought by then are tracked.
    as_of : date, datetime, datetime64 or str
        Until when to track them.
    unit : {"day", "week", "month", "year"}, optional
        The length of a period; the model's unit by default. Periods begin with the first purchase of the cohort, and
        days after the last full period are left out.

    Returns
    -------
    CohortTracking
    """
    if getattr(model, "discrete", True):
        raise InputError(
            f"model is {checks.shown(model)}: a model in continuous time is needed, such as BgNbd.",
            argument="model",
            code="wrong_type",
        )
    if model.unit is None:
        raise InputError(
            "the model has no unit, so it cannot measure ages: fit it, or make it with unit=.",
            argument="model",
            code="missing_argument",
        )
    unit = checks.one_of("unit", unit or model.unit, UNIT_DAYS)
    days = bought_days(data, as_of)
    last = days.last
    calibration = read_as_of(at, tz=days.purchases.tz, name="at").last_day
    is_first = np.empty(len(days.code), dtype=np.bool_)
    is_first[:1] = True
    np.not_equal(days.code[1:], days.code[:-1], out=is_first[1:])
    first_of = days.day[is_first][np.cumsum(is_first) - 1]
    known = first_of <= calibration
    if not known.any():
        raise InputError(
            f"at is {at}: nobody bought by then, so there is no cohort to track.", argument="at", code="not_enough_data"
        )
    begin = int(first_of[known].min())
    ends = (
        begin - 1 + np.floor(np.arange(1, (last - begin + 1) / UNIT_DAYS[unit] + 1) * UNIT_DAYS[unit]).astype(np.int64)
    )
    ends = ends[ends <= last]
    if not len(ends):
        raise InputError(
            f"as_of leaves less than one full {unit} after the first purchase: give a later day or a shorter unit.",
            argument="as_of",
            code="not_enough_data",
        )
    repeats = np.sort(days.day[known & ~is_first])
    actual = np.searchsorted(repeats, ends, side="right").astype(np.float64)
    first_days, count = np.unique(days.day[known & is_first], return_counts=True)
    season = model._clock  # noqa: SLF001
    begun, until = (days if season is None else season.clock(days) for days in (first_days, ends))
    age = np.maximum(until[:, None] - begun[None, :], 0)
    ages, place = np.unique(age, return_inverse=True)
    by_age = model._expected_of_new(ages / UNIT_DAYS[model.unit])  # noqa: SLF001
    expected = by_age[place.reshape(age.shape)] @ count.astype(np.float64)
    return CohortTracking(
        period_end=ends.astype("M8[D]"),
        actual=np.diff(actual, prepend=0.0),
        expected=np.diff(expected, prepend=0.0),
        actual_cumulative=actual,
        expected_cumulative=expected,
        customers=int(count.sum()),
        calibration_periods=int(np.count_nonzero(ends <= calibration)),
        unit=unit,
    )
