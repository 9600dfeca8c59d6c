"""Read contracts from events, and count the renewal periods that each one lasted, or has lasted so far."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from relmark.core import checks
from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.results import ColumnarResult
from relmark.core.spans import CalendarSpan, Span, check_span, earlier, length

__all__ = ["RenewalCounts", "renewal_counts"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RenewalCounts(ColumnarResult):
    """How long contracts lasted: one row per number of periods.

    Parameters
    ----------
    periods : ndarray of int64, shape (k,)
        The number of renewal periods: 0, 1, 2, ...
    lost : ndarray, shape (k - 1,)
        How many contracts ended at the end of period 1, 2, ...
    kept : ndarray, shape (k,)
        How many contracts were still going on when last seen, after 0, 1, 2, ... whole periods.
    contracts : int
        The number of all contracts.
    """

    periods: IntArray
    lost: FloatArray
    kept: FloatArray
    contracts: int

    def to_columns(self) -> dict[str, Any]:
        """Return periods, lost and kept as columns of one length."""
        return {"periods": self.periods, "lost": np.concatenate(([0.0], self.lost)), "kept": self.kept}

    def _facts(self) -> dict[str, Any]:
        return {"contracts": self.contracts, "ended": float(self.lost.sum()), "going on": float(self.kept.sum())}


def renewal_counts(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    period: Span,
    start: str = "subscription_started",
    end: str = "subscription_ended",
) -> RenewalCounts:
    """Return how many renewal periods the contracts of a base lasted, or have lasted so far.

    A contract begins with an event of `start` and ends with the customer's next event of `end`; a customer may have
    several, one after the other. A contract that ends within period t counts as lost at the end of period t. One that
    has not ended by `as_of` counts as kept for the whole periods that have passed.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
        Until when contracts are observed; those that began later are left out.
    period : timedelta, calendar_days or months
        The time from one renewal to the next, such as ``months(1)``.
    start, end : str
        The types of the events that begin and end a contract.

    Returns
    -------
    RenewalCounts
        The counts, ready for `ShiftedBetaGeometric.fit` and `BetaDiscreteWeibull.fit`.

    Raises
    ------
    InputError
        A contract begins before the customer's last one ended, or ends without having begun.
    NotEnoughDataError
        No contract began by `as_of`.

    Examples
    --------
    >>> from relmark import Event, EventLog, months
    >>> log = EventLog.from_events([
    ...     Event("a", "subscription_started", "2026-01-10T12:00Z"),
    ...     Event("a", "subscription_ended", "2026-03-02T12:00Z"),
    ...     Event("b", "subscription_started", "2026-02-01T12:00Z")])
    >>> print(renewal_counts(CustomerBase(events=log), as_of="2026-06-01", period=months(1)))
    periods  lost  kept
    -------  ----  ----
          0     0     0
          1     0     0
          2     1     0
          3     0     1
    """
    moment = base.as_of(as_of)
    if moment.each:
        raise InputError("as_of has one instant per customer: give one for all.", argument="as_of", code="wrong_shape")
    log, seen = base.events, int(moment.seen)
    begun, ended = (log.partition(name) for name in (start, end))
    if begun is None:
        begun = log.required(start)
    keep = begun.time <= seen
    code = [begun.code[keep]]
    time = [begun.time[keep]]
    if ended is not None:
        late = ended.time <= seen
        code.append(ended.code[late])
        time.append(ended.time[late])
    if not len(code[0]):
        raise NotEnoughDataError(f"no contract began by {moment}.", argument="as_of", hint="Check as_of and start=.")
    is_end = np.repeat([False, True][: len(code)], [len(one) for one in code])
    codes, times = np.concatenate(code), np.concatenate(time)
    # At the same instant an end comes before a beginning: one contract ends and the next one begins.
    order = np.lexsort((~is_end, times, codes))
    codes, times, is_end = codes[order], times[order], is_end[order]
    first = np.ones(len(codes), dtype=np.bool_)
    first[1:] = codes[1:] != codes[:-1]
    wrong = np.flatnonzero(is_end == (first | np.roll(is_end, 1)))
    if len(wrong):
        who = log.customer_id[codes[wrong[0]]]
        what = f"{end!r} without {start!r}" if is_end[wrong[0]] else f"{start!r} twice without {end!r}"
        raise InputError(
            f"customer {checks.shown(who)} has {what} at {np.datetime64(int(times[wrong[0]]), 'us')}: each contract "
            "must begin, and must end before the next one begins.",
            argument="base",
            code="wrong_value",
            hint="Keep one event per beginning and one per end.",
        )
    begins = np.flatnonzero(~is_end)
    closed = np.zeros(len(begins), dtype=np.bool_)
    stop = np.full(len(begins), seen)
    following = begins + 1
    has = following < len(codes)
    has[has] &= is_end[following[has]] & (codes[following[has]] == codes[begins[has]])
    closed[has], stop[has] = True, times[following[has]]
    whole = _whole_periods(times[begins], stop, period, base.tz)
    lasted = np.where(closed, whole.lasted, whole.passed)
    size = int(lasted.max()) + 1
    lost = np.bincount(lasted[closed], minlength=size)[1:].astype(np.float64)
    kept = np.bincount(lasted[~closed], minlength=size).astype(np.float64)
    return RenewalCounts(periods=np.arange(size), lost=lost, kept=kept, contracts=len(begins))


@attrs.frozen
class _Periods:
    """How many periods have ended by a time, and in which one it lies, counted from 1."""

    passed: IntArray
    lasted: IntArray


def _whole_periods(begin: IntArray, stop: IntArray, period: Span, tz: str) -> _Periods:
    """Count periods from each beginning; on the calendar a period may end on the last day of a shorter month."""
    check_span("period", period)
    if not isinstance(period, CalendarSpan):
        size = length(period)
        return _Periods((stop - begin) // size, np.maximum(-((begin - stop) // size), 1))
    passed, exact = np.zeros(len(begin), dtype=np.int64), np.zeros(len(begin), dtype=np.bool_)
    left, n = np.arange(len(begin)), 0
    while len(left):
        n += 1
        ahead = CalendarSpan(months=-n * period.months, days=-n * period.days)
        renewed = earlier(begin[left], ahead, tz)
        come = renewed <= stop[left]
        left = left[come]
        passed[left], exact[left] = n, renewed[come] == stop[left]
    return _Periods(passed, np.maximum(passed + ~exact, 1))
