"""Turn purchases into a `PurchaseSummary`, or into one of a calibration period with the purchases after it."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant
from relmark.ltv._bought import Bought, bought_days
from relmark.ltv._covariates import CovariateColumns
from relmark.ltv.season import Season, season_of
from relmark.ltv.summary import UNIT_DAYS, PurchaseSummary


def purchase_summary(
    data: CustomerBase | Purchases, *, as_of: Instant, unit: str = "week", season: Season | None = None
) -> PurchaseSummary:
    """Return how often and when last each customer bought, and for how long they have been observed.

    Purchases of one customer on one local day count as one, and their values are added. Times are differences of days
    divided by the unit. A customer begins with the first purchase, which is left out of frequency and spend.

    Parameters
    ----------
    data : CustomerBase or Purchases
        A base, whose purchases are read with `CustomerBase.purchases`, or the result of that method.
    as_of : date, datetime, datetime64 or str
        When the observation ends. With a date, purchases before that day are seen, and T counts to the day before. With
        an instant, purchases until then are seen, and T counts to its day.
    unit : {"week", "day", "month", "year"}
        The unit of recency and T. A month is 30.4375 days. The unit changes alpha and the log-likelihood, but nothing
        that is predicted for a timedelta.
    season : Season, optional
        Measure time by the clock of this season, on which purchases come evenly. Recency, T and log_gaps are then times
        of this clock, and the summary keeps the season, the last day and what the likelihood needs. Horizons of
        predictions are still calendar times.

    Returns
    -------
    PurchaseSummary
        One row per customer with a purchase, in the order of the base; `counts` says how much was merged and dropped.

    Raises
    ------
    InputError
        Some purchases have a value and others have none.
    NotEnoughDataError
        Nobody bought by `as_of`.

    Examples
    --------
    >>> orders = {"user": ["a", "a", "a", "b"], "amount": [5.0, 8.0, 2.0, 4.0],
    ...     "time": ["1997-01-01T10:00Z", "1997-01-15T10:00Z", "1997-01-15T18:00Z", "1997-01-08T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> s = purchase_summary(base, as_of="1997-01-30", unit="week")
    >>> s.frequency, s.recency, s.T, s.monetary_value
    (array([1., 0.]), array([2., 0.]), array([4., 3.]), array([10., nan]))
    """
    checks.one_of("unit", unit, UNIT_DAYS)
    return _summarized(bought_days(data, as_of), unit, season_of(season))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HoldoutSplit(ColumnarResult):
    """A calibration period to fit a model to, and what the same customers did in the holdout period after it.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers with a purchase in the calibration period.
    frequency : ndarray, shape (n,)
        All purchases in the holdout: for these customers, each of them is a repeat purchase.
    spend : ndarray of shape (n,), optional
        The total value of these purchases.
    calibration : PurchaseSummary
        The summary at the end of the calibration period.
    duration : float
        The length of the holdout in the summary's unit.
    newcomers : int
        The number of customers who first bought in the holdout, about whom the calibration period says nothing.
    """

    customer_id: npt.NDArray[Any]
    frequency: FloatArray
    spend: FloatArray | None
    calibration: PurchaseSummary
    duration: float
    newcomers: int

    @property
    def unit(self) -> str:
        """The unit of `duration` and of the summary."""
        return self.calibration.unit

    def with_covariates(self, covariates: CovariateColumns) -> HoldoutSplit:
        """Return the split with columns of what else is known about its customers; see `PurchaseSummary`."""
        return attrs.evolve(self, calibration=self.calibration.with_covariates(covariates))

    def _facts(self) -> dict[str, Any]:
        return {
            "customers": len(self.customer_id),
            "calibration_repeats": float(self.calibration.frequency.sum()),
            "holdout_purchases": float(self.frequency.sum()),
            "duration": self.duration,
            "unit": self.unit,
            "newcomers": self.newcomers,
        }


def split(
    data: CustomerBase | Purchases, *, at: Instant, as_of: Instant, unit: str = "week", season: Season | None = None
) -> HoldoutSplit:
    """Return the summary of a calibration period, and the purchases of its customers in the holdout after it.

    Parameters
    ----------
    data : CustomerBase or Purchases
        The purchases, as for `purchase_summary`.
    at : date, datetime, datetime64 or str
        When the calibration period ends and the holdout begins. What is seen at `at` belongs to the calibration period.
    as_of : date, datetime, datetime64 or str
        When the holdout ends.
    unit : {"week", "day", "month", "year"}
        The unit of time, as for `purchase_summary`.
    season : Season, optional
        The season by whose clock time is measured, as for `purchase_summary`.

    Returns
    -------
    HoldoutSplit
        The summary `calibration`, and `frequency` and `spend` of the holdout, aligned with it. A refund in the holdout
        lowers only purchases of the holdout: those of the calibration period are counted as they were known at `at`.
    """
    checks.one_of("unit", unit, UNIT_DAYS)
    before, whole = bought_days(data, at, "at"), bought_days(data, as_of)
    if whole.last <= before.last:
        raise InputError(
            f"as_of is {as_of} and at is {at}: the holdout must end on a later day than it begins.",
            argument="as_of",
            code="conflicting_arguments",
        )
    later = whole.day > before.last
    known = np.unique(before.code)
    position = np.full(before.purchases.n_customers, -1, dtype=np.int64)
    position[known] = np.arange(len(known))
    row = position[whole.code]
    held = later & (row >= 0)
    spend = None
    if whole.value is not None:
        spend = np.bincount(row[held], weights=whole.value[held], minlength=len(known)).astype(np.float64)
    return HoldoutSplit(
        customer_id=before.purchases.customer_id[known],
        frequency=np.bincount(row[held], minlength=len(known)).astype(np.float64),
        spend=spend,
        calibration=_summarized(before, unit, season_of(season)),
        duration=(whole.last - before.last) / UNIT_DAYS[unit],
        newcomers=len(np.unique(whole.code[later & (row < 0)])),
    )


def _summarized(bought: Bought, unit: str, season: Season | None) -> PurchaseSummary:
    code, day = bought.code, bought.day
    if not len(code):
        there = ", ".join(map(repr, bought.purchases.types)) or "no events"
        raise NotEnoughDataError(
            f"nobody has a {bought.purchases.type!r} event by {bought.purchases.as_of}: nothing can be summarized.",
            argument="data",
            hint=f"The log has {there}; check as_of, or name the purchases in base.purchases(type=...).",
        )
    begins = np.empty(len(code), dtype=np.bool_)
    begins[0] = True
    np.not_equal(code[1:], code[:-1], out=begins[1:])
    start = np.flatnonzero(begins)
    count = np.diff(start, append=len(code))
    first, latest = day[start], day[start + count - 1]
    frequency = (count - 1).astype(np.float64)
    spend = None
    if bought.value is not None:
        again = bought.value.copy()
        again[start] = 0.0
        with np.errstate(invalid="ignore"):
            spend = np.add.reduceat(again, start) / np.where(frequency > 0, frequency, np.nan)
    length = UNIT_DAYS[unit]
    gap = np.diff(day, prepend=day[:1]) / length
    recency, T = (latest - first) / length, (bought.last - first) / length
    log_season = None
    if season is not None:
        moment = season.clock(day)
        gap = np.diff(moment, prepend=moment[:1]) / length
        recency = (season.clock(latest) - season.clock(first)) / length
        T = np.maximum((season.clock(np.array([bought.last])) - season.clock(first)) / length, recency)
        pace = np.log(season.pace(day))
        pace[start] = 0.0
        log_season = np.add.reduceat(pace, start)
    gap[start] = 1.0
    return PurchaseSummary(
        customer_id=bought.purchases.customer_id[code[start]],
        frequency=frequency,
        recency=recency,
        T=T,
        monetary_value=spend,
        log_gaps=np.add.reduceat(np.log(gap), start),
        season=season,
        log_season=log_season,
        last_day=np.datetime64(bought.last, "D"),
        unit=unit,
        counts=bought.counts,
    )
