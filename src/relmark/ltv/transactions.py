"""From a log of purchases to a `PurchaseSummary`, and to one of a calibration period with what came after it."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.log import EventLog
from relmark.core.ordering import group_order
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant, instant, local_days, local_midnights
from relmark.ltv.summary import UNIT_DAYS, PurchaseSummary

_CLEARED = 1e-9  # what is left of a purchase, as a share of it, when its refund was its price


class PurchaseDays(NamedTuple):
    """Purchases by customer and time: merged to one a day where asked."""

    code: IntArray
    day: IntArray
    value: FloatArray | None
    counts: dict[str, int]


def purchase_summary(
    log: EventLog,
    *,
    until: Instant,
    unit: str = "week",
    merge: str | None = "day",
    type: str = "purchase",
    zero: str = "keep",
    negative: str = "drop",
    tz: str = "UTC",
) -> PurchaseSummary:
    """Return how often, until when and for how long each customer bought, from a log of purchases.

    Days are calendar days in `tz`, and times are differences of days divided by the unit, so that a customer who first
    bought on `until` has T 0. The first purchase is where a customer begins: it is left out of frequency and spend.

    Parameters
    ----------
    log : EventLog
        Purchases, and anything else.
    until : date, datetime, datetime64 or str
        The last day of the observation; all of it counts, and nothing after it is seen.
    unit : {"week", "day", "month", "year"}
        What recency and T count. A month is 30.4375 days. The unit changes alpha and the log-likelihood, and nothing
        that is predicted for a timedelta.
    merge : {"day", None}
        Purchases of one customer on one day become one, and their values add; None keeps them apart.
    type : str
        The events that are purchases.
    zero : {"keep", "drop"}
        Whether a purchase of value 0 counts as one.
    negative : {"drop", "net", "error"}
        Refunds: drop them; take each off the customer's latest purchase on that day or before (a purchase that is
        refunded in full then is none); or refuse them.
    tz : str
        The business's time zone, whose midnights divide the days.

    Returns
    -------
    PurchaseSummary
        One row for each customer with a purchase, in the order of the ids; `counts` says what was merged and dropped.

    Raises
    ------
    InputError
        No such events, a purchase without a value beside purchases with one, or a negative value where `negative` is
        "error".

    Examples
    --------
    >>> from relmark.core.log import EventLog
    >>> log = EventLog.from_columns(customer_id=["a", "a", "a", "b"], type="purchase", value=[5.0, 8.0, 2.0, 4.0],
    ...     time=["1997-01-01T10:00Z", "1997-01-15T10:00Z", "1997-01-15T18:00Z", "1997-01-08T10:00Z"])
    >>> s = purchase_summary(log, until="1997-01-29", unit="week")
    >>> s.frequency, s.recency, s.T, s.monetary_value
    (array([1., 0.]), array([2., 0.]), array([4., 3.]), array([10., nan]))
    """
    _check(unit, merge, zero, negative)
    last = last_day(until, "until", tz)
    days = purchase_days(log, last, merge=merge, type=type, zero=zero, negative=negative, tz=tz)
    return _summarized(log, days, last, unit)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class HoldoutSplit(ColumnarResult):
    """A calibration period to fit a model to, and what the same customers did in the time after it.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers with a purchase in the calibration period.
    frequency : ndarray, shape (n,)
        Purchases in the holdout: all of them, as these customers have begun before.
    spend : ndarray of shape (n,), optional
        The value of these purchases together.
    calibration : PurchaseSummary
        The summary at the end of the calibration period.
    duration : float
        The length of the holdout in the summary's unit.
    newcomers : int
        Customers who first bought in the holdout, whom no model of the calibration period knows.
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
    log: EventLog,
    *,
    calibration_end: Instant,
    holdout_end: Instant,
    unit: str = "week",
    merge: str | None = "day",
    type: str = "purchase",
    zero: str = "keep",
    negative: str = "drop",
    tz: str = "UTC",
) -> HoldoutSplit:
    """Return the summary of a calibration period, and the purchases of its customers in the holdout after it.

    Parameters
    ----------
    log : EventLog
        Purchases, and anything else.
    calibration_end, holdout_end : date, datetime, datetime64 or str
        The last day of each period; the holdout begins on the day after `calibration_end`.
    unit, merge, type, zero, negative, tz
        As for `purchase_summary`. A refund in the holdout never reaches back into the calibration period.

    Returns
    -------
    HoldoutSplit
        With `calibration`, and `frequency` and `spend` of the holdout, aligned with it.
    """
    _check(unit, merge, zero, negative)
    first, last = last_day(calibration_end, "calibration_end", tz), last_day(holdout_end, "holdout_end", tz)
    if last <= first:
        raise InputError("holdout_end must be a later day than calibration_end.")
    before = purchase_days(log, first, merge=merge, type=type, zero=zero, negative=negative, tz=tz)
    summary = _summarized(log, before, first, unit)
    all_days = purchase_days(log, last, merge=merge, type=type, zero=zero, negative=negative, tz=tz)
    later = all_days.day > first
    known = np.unique(before.code)
    position = np.full(log.n_customers, -1, dtype=np.int64)
    position[known] = np.arange(len(known))
    row = position[all_days.code]
    held = later & (row >= 0)
    spend = None
    if all_days.value is not None:
        spend = np.bincount(row[held], weights=all_days.value[held], minlength=len(known)).astype(np.float64)
    return HoldoutSplit(
        customer_id=log.customer_id[known],
        frequency=np.bincount(row[held], minlength=len(known)).astype(np.float64),
        spend=spend,
        calibration=summary,
        duration=(last - first) / UNIT_DAYS[unit],
        newcomers=len(np.unique(all_days.code[later & (row < 0)])),
    )


def _check(unit: str, merge: str | None, zero: str, negative: str) -> None:
    checks.one_of("unit", unit, UNIT_DAYS)
    if merge is not None:
        checks.one_of("merge", merge, ("day",))
    checks.one_of("zero", zero, ("keep", "drop"))
    checks.one_of("negative", negative, ("drop", "net", "error"))


def last_day(until: Instant, name: str, tz: str) -> int:
    """Return the calendar day of a date or instant in a zone, as days since 1970."""
    return int(local_days(np.array([instant(until, tz=tz, name=name)], dtype=np.int64), tz)[0])


def purchase_days(
    log: EventLog, last: int, *, merge: str | None, type: str, zero: str, negative: str, tz: str
) -> PurchaseDays:
    """Return the purchases until a day, customer by customer and in time, as the options say."""
    part = log.partition(checks.text("type", type))
    if part is None:
        there = ", ".join(repr(name) for name in log.types) or "no events"
        raise InputError(f"the log has no events of type {type!r}; it has {there}. Name the purchases with type=.")
    seen = part.window(None, int(local_midnights(np.array([last + 1], dtype=np.int64), tz)[0]) - 1)
    code = part.code[seen]
    day = local_days(part.time[seen], tz)
    value = None if part.value is None else part.value[seen]
    counts = {"events": len(code), "after_until": len(part.code) - len(code)}
    refund = None
    if value is not None:
        value, refund = _sorted_out(value, part.row[seen], zero, negative, counts)
    keep = np.ones(len(code), dtype=np.bool_)
    if value is not None and zero == "drop":
        keep &= value != 0
    if refund is not None:
        keep &= ~refund
    days = _merged(code[keep], day[keep], None if value is None else value[keep], log.n_customers, merge, counts)
    if negative == "net" and refund is not None and value is not None:
        days = _netted(days, code[refund], day[refund], value[refund], counts)
    return days


def _sorted_out(
    value: FloatArray, row: npt.NDArray[Any], zero: str, negative: str, counts: dict[str, int]
) -> tuple[FloatArray | None, npt.NDArray[np.bool_] | None]:
    """Return the values, or None where no purchase has one, and which are refunds; count what will be dropped."""
    missing = np.isnan(value)
    if missing.any():
        if missing.all():
            return None, None
        raise InputError(
            f"{int(missing.sum()):,} purchases have no value, the first in row {int(row[missing].min())} of the log: "
            "a mean spend over the others would mislead. Give every purchase its value, or none."
        )
    if zero == "drop":
        counts["zero"] = int(np.count_nonzero(value == 0))
    refund = value < 0
    if not refund.any():
        return value, None
    if negative == "error":
        first = int(row[refund].min())
        raise InputError(
            f"{int(refund.sum()):,} purchases have a negative value, the first in row {first} of the log. "
            "Say negative='drop' to leave refunds out, or negative='net' to take them off the purchase before."
        )
    counts["negative"] = int(refund.sum())
    return value, refund


def _merged(
    code: npt.NDArray[Any], day: IntArray, value: FloatArray | None, n: int, merge: str | None, counts: dict[str, int]
) -> PurchaseDays:
    order, _ = group_order(code, n)
    code, day = code[order].astype(np.int64), day[order]
    value = None if value is None else value[order]
    if merge == "day" and len(code):
        begins = np.empty(len(code), dtype=np.bool_)
        begins[0] = True
        np.not_equal(code[1:], code[:-1], out=begins[1:])
        begins[1:] |= day[1:] != day[:-1]
        start = np.flatnonzero(begins)
        counts["merged"] = len(code) - len(start)
        if len(start) < len(code):
            value = None if value is None else np.add.reduceat(value, start)
            code, day = code[start], day[start]
    return PurchaseDays(code, day, value, counts)


def _netted(
    days: PurchaseDays, code: npt.NDArray[Any], day: IntArray, value: FloatArray, counts: dict[str, int]
) -> PurchaseDays:
    """Take each refund off the customer's latest purchase on its day or before it."""
    assert days.value is not None
    code = code.astype(np.int64)
    if not len(days.code):
        counts["refunds_without_purchase"] = len(code)
        return days
    low = min(int(days.day.min()), int(day.min()))
    span = max(int(days.day.max()), int(day.max())) - low + 1
    found = np.searchsorted(days.code * span + (days.day - low), code * span + (day - low), side="right") - 1
    matched = (found >= 0) & (days.code[found] == code)
    counts["refunds_without_purchase"] = int(np.count_nonzero(~matched))
    taken = np.bincount(found[matched], weights=-value[matched], minlength=len(days.code))
    left = days.value - taken
    cleared = (taken > 0) & (left <= _CLEARED * days.value)
    counts["refunded_in_full"] = int(np.count_nonzero(cleared))
    keep = ~cleared
    return PurchaseDays(days.code[keep], days.day[keep], left[keep], counts)


def _summarized(log: EventLog, days: PurchaseDays, last: int, unit: str) -> PurchaseSummary:
    if not len(days.code):
        raise NotEnoughDataError("the log has no purchase until this day: nothing can be summarized. Check until=.")
    begins = np.empty(len(days.code), dtype=np.bool_)
    begins[0] = True
    np.not_equal(days.code[1:], days.code[:-1], out=begins[1:])
    start = np.flatnonzero(begins)
    count = np.diff(start, append=len(days.code))
    first, latest = days.day[start], days.day[start + count - 1]
    frequency = (count - 1).astype(np.float64)
    spend = None
    if days.value is not None:
        again = days.value.copy()
        again[start] = 0.0
        with np.errstate(invalid="ignore"):
            spend = np.add.reduceat(again, start) / np.where(frequency > 0, frequency, np.nan)
    length = UNIT_DAYS[unit]
    return PurchaseSummary(
        customer_id=log.customer_id[days.code[start]],
        frequency=frequency,
        recency=(latest - first) / length,
        T=(last - first) / length,
        monetary_value=spend,
        unit=unit,
        counts=days.counts,
    )
