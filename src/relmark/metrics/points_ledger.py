"""Loyalty points as a ledger: spent first in, first out, with expiry dates and the points that were never spent.

Points are whole thousandths. For one customer, C is the number of points earned so far that are gone, oldest first.
When a_i points are spent at time s_i, the points that have expired by then, B(s_i), are already gone, and so

    C_i = max(C_(i-1), B(s_i)) + a_i   =   A_i + max over j <= i of (B(s_j) - A_(j-1)),

where A is the running sum of the points spent. One running maximum computes this for all customers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, one_of, shown
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate
from relmark.core.ordering import order_by
from relmark.core.spans import CalendarSpan, Span, check_span, days_before, length
from relmark.core.time import days, instant_text
from relmark.core.zones import DAY, first_instants, to_local
from relmark.expressions.selection import Selection
from relmark.metrics._calendar import Calendar
from relmark.metrics._matching import latest_before
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import ratio_estimates
from relmark.metrics.points_rules import Accrual, Earn, PointsTiers, accruals_of, rows_of
from relmark.metrics.windows import Stretch, base_given, events_of

__all__ = ["PointsLedger", "points_ledger"]

_WEEK = days(7)
_FIT = 2**62
DEFINITIONS = define(
    "everything up to as_of",
    "first in, first out",
    {
        "balance": ("points earned, neither spent nor expired", "", "points"),
        "earned": ("points earned", "", "points"),
        "spent": ("points spent, as far as the balance covered them", "", "points"),
        "expired": ("points that were not spent before they expired", "", "points"),
        "expiring": ("points of the balance that expire within `soon` if nothing is spent", "", "points"),
        "next_expiring": ("points of the balance that expire next", "", "points"),
        "uncovered": ("points spent beyond the balance, which were capped", "", "points"),
        "breakage": ("points that expired unspent", "points whose expiry date has passed, spent or not",
                     "share of points"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PointsLedger(MetricTable):
    """The points of each customer, in the order of the base.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
    balance, earned, spent, expired : ndarray of float64, shape (n,)
        Points, counted in whole thousandths, so that earned = spent + expired + balance.
    expiring : ndarray of float64, shape (n,)
        Points of the balance that expire within `soon` if nothing is spent.
    next_expiry : ndarray of datetime64[us], shape (n,)
        When points of the balance expire next; NaT if none do.
    next_expiring : ndarray of float64, shape (n,)
        How many points expire then.
    uncovered : ndarray of float64, shape (n,)
        Points that were spent beyond the balance, with ``overdrawn="cap"``.
    tier : ndarray of object, shape (n,)
        The highest tier reached; None below all tiers.
    to_next_tier : ndarray of float64, shape (n,)
        Points missing to the next tier; NaN at the top, or without tiers.
    breakage : Estimate
        The share of points that expired unspent among those whose expiry date has passed, over all customers.
    as_of : datetime64
    notes : tuple of str
    """

    _shown_by: ClassVar[str] = "balance"
    customer_id: npt.NDArray[Any]
    balance: FloatArray
    earned: FloatArray
    spent: FloatArray
    expired: FloatArray
    expiring: FloatArray
    next_expiry: npt.NDArray[np.datetime64]
    next_expiring: FloatArray
    uncovered: FloatArray
    tier: npt.NDArray[np.object_]
    to_next_tier: FloatArray
    breakage: Estimate
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        """Return columns with one row per customer."""
        return {name: one for name, one in MetricTable.to_columns(self).items() if not name.startswith("breakage")}

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        gone = [] if self.uncovered.any() else ["uncovered"]
        gone += [] if not np.isnat(self.next_expiry).all() else ["expiring", "next_expiry", "next_expiring"]
        gone += ["tier", "to_next_tier"] if all(one is None for one in self.tier) else []
        return {name: one for name, one in columns.items() if name not in gone}

    def _lines(self) -> list[str]:
        names = ("earned", "spent", "expired", "balance")
        sums = {name: np.rint(getattr(self, name) * 1_000).sum() / 1_000 for name in names}
        said = ", ".join(f"{name} {value:,.10g}" for name, value in sums.items())
        return [f"together: {said}", f"breakage {self.breakage!r}", *self.notes]


def points_ledger(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    earn: Earn,
    spend: Selection | Accrual | None = None,
    expires: Span | None = None,
    soon: timedelta = _WEEK,
    tiers: PointsTiers | Mapping[str, float] | None = None,
    overdrawn: str = "refuse",
) -> PointsLedger:
    """Compute the points of each customer: the balance, what expired, what will expire when, and the tier.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    earn : Selection, Accrual, or a list of them
        Events that earn points: as many as their value, or as an `Accrual` defines.
    spend : Selection or Accrual, optional
        Events that spend points: as many as their value, a positive number, or as an `Accrual` defines.
    expires : timedelta, calendar_days or months, optional
        Points expire this long after the moment they were earned. By default, they never expire.
    soon : timedelta
        How far after `as_of` the column `expiring` looks.
    tiers : PointsTiers, or mapping of str to float, optional
        The number of points from which each tier begins. All points ever earned count, unless `PointsTiers` names a
        period.
    overdrawn : {"refuse", "cap"}
        What to do if a customer spends more than their balance. "refuse" raises an error that names the event; "cap"
        spends the balance and counts the rest in `uncovered`.

    Returns
    -------
    PointsLedger

    Notes
    -----
    Points of an event are rounded to thousandths (half to even) and added as whole numbers. The oldest points that have
    not expired are spent first. Points earned at an instant can be spent at the same instant.

    Examples
    --------
    >>> from relmark import EventLog, event
    >>> log = EventLog.from_columns(customer_id=[1, 1, 1], type=["earn", "earn", "spend"],
    ...     time=["2026-01-05", "2026-03-05", "2026-04-05"], value=[100.0, 50.0, 70.0])
    >>> ledger = points_ledger(CustomerBase(events=log), as_of="2027-01-02", earn=event("earn"), spend=event("spend"),
    ...     expires=days(365))
    >>> ledger.balance.tolist(), ledger.expiring.tolist(), ledger.next_expiry.astype("M8[D]").tolist()
    ([80.0], [30.0], [datetime.date(2027, 1, 5)])
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, None)
    if expires is not None:
        check_span("expires", expires)
    horizon = stretch.high + length(_given_length("soon", soon))
    one_of("overdrawn", overdrawn, ("refuse", "cap"))
    levels = PointsTiers.of(tiers)
    gains = _read(base, stretch, accruals_of("earn", earn))
    losses = _read(base, stretch, [] if spend is None else accruals_of("spend", spend))
    lots = _Lots.of(gains, len(base), expires, base.tz)
    taken = _Taken.of(lots, losses, base, cap=overdrawn == "cap")
    expired_by = lots.ended(stretch.high)
    gone = np.maximum(taken.gone, expired_by)
    earned = lots.total
    balance = earned - gone
    expired = gone - taken.spent
    first = np.searchsorted(lots.running, lots.before + gone, side="right") - 1
    has = balance > 0
    when = np.full(len(base), np.iinfo(np.int64).min)
    nearest = np.zeros(len(base), dtype=np.int64)
    if expires is not None and has.any():
        when[has] = lots.ends[first[has]]
        some = np.flatnonzero(has)
        nearest[has] = lots.ended_by(some, when[has]) - gone[has]
    tier, missing = _tiers(levels, gains, stretch, len(base), base.tz)
    notes = []
    if taken.uncovered.any():
        notes.append(
            f"points spent beyond the balance: {taken.uncovered.sum() / 1_000:,.10g}, "
            f"customers who spent them: {int(np.count_nonzero(taken.uncovered)):,}"
        )
    return PointsLedger(
        customer_id=base.customer_id, balance=balance / 1_000, earned=earned / 1_000, spent=taken.spent / 1_000,
        expired=expired / 1_000, expiring=np.maximum(lots.ended(horizon) - gone, 0) / 1_000,
        next_expiry=when.view("M8[us]"),
        next_expiring=nearest / 1_000, uncovered=taken.uncovered / 1_000, tier=tier, to_next_tier=missing,
        breakage=_breakage(expired, expired_by, expires), as_of=stretch.as_of.given, notes=tuple(notes),
    )  # fmt: skip


@attrs.frozen(eq=False)
class _Points:
    """Points of events, by customer and time."""

    customer: IntArray
    time: IntArray
    points: IntArray
    row: IntArray  # in the caller's data


def _given_length(name: str, value: Any) -> timedelta:
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise InputError(
            f"{name} is {shown(value)}; it must be a length of time, such as days(7).",
            argument=name,
            code="not_duration",
        )
    return value


def _read(base: CustomerBase, stretch: Stretch, accruals: list[Accrual]) -> _Points:
    parts: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    for one in accruals:
        customer, time, found = events_of(base, one.of, None, stretch.high)
        customer = customer.astype(np.int64)
        parts.append((customer, time, one.thousandths(base, customer, time, found), rows_of(found)))
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return _Points(nothing, nothing, nothing, nothing)
    customer, time, points, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    if float(points.astype(np.float64).sum()) >= _FIT:
        raise InputError(
            f"all points together exceed {_FIT // 1_000:,}, which is more than the ledger can count exactly.",
            argument="earn",
            code="too_large",
        )
    order = order_by(customer, time)
    return _Points(customer[order], time[order], points[order], rows[order])


@attrs.frozen(eq=False)
class _Lots:
    """Points earned, by customer and time, and when they expire."""

    customer: IntArray
    time: IntArray
    ends: IntArray
    running: IntArray  # (m + 1,), over all customers
    before: IntArray  # (n,), of the customers before
    total: IntArray  # (n,)
    mortal: bool

    @classmethod
    def of(cls, gains: _Points, n: int, expires: Span | None, tz: str) -> _Lots:
        starts = np.searchsorted(gains.customer, np.arange(n + 1))
        running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(gains.points)])
        ends = _later(gains.time, expires, tz)
        if isinstance(expires, CalendarSpan) and len(ends):  # a month from January 30 and 31 may change their order
            ends = _running_maximum(ends, gains.customer)
        return cls(
            gains.customer, gains.time, ends, running, running[starts[:-1]], np.diff(running[starts]),
            expires is not None,
        )  # fmt: skip

    def sums(self, moments: IntArray, customer: IntArray, time: IntArray) -> IntArray:
        """Return the points of each customer's lots whose moment (of earning or expiry) is not after an instant."""
        place = latest_before(self.customer, moments, customer, time, strictly=False)
        return np.where(place >= 0, self.running[place + 1] - self.before[customer], 0)

    def earned(self, customer: IntArray, time: IntArray) -> IntArray:
        """Return the points that customers had earned by each instant, inclusive."""
        return self.sums(self.time, customer, time)

    def ended_by(self, customer: IntArray, time: IntArray) -> IntArray:
        """Return how many points of customers had an expiry date by each instant, spent or not."""
        return self.sums(self.ends, customer, time) if self.mortal else np.zeros(len(customer), dtype=np.int64)

    def ended(self, time: int) -> IntArray:
        """Return the same for every customer, by one instant."""
        everybody = np.arange(len(self.total))
        return self.ended_by(everybody, np.full(len(everybody), time))


@attrs.frozen(eq=False)
class _Taken:
    """Points spent by each customer, and how many of their points are gone after they last spent some."""

    spent: IntArray
    gone: IntArray
    uncovered: IntArray

    @classmethod
    def of(cls, lots: _Lots, losses: _Points, base: CustomerBase, *, cap: bool) -> _Taken:
        n = len(lots.total)
        spent = np.zeros(n, dtype=np.int64)
        if not len(losses.customer):
            return cls(spent, spent.copy(), spent.copy())
        who, a = losses.customer, losses.points
        starts = np.flatnonzero(np.append(True, who[1:] != who[:-1]))
        people = who[starts]
        total = np.cumsum(a)
        before = np.concatenate([np.zeros(1, dtype=np.int64), total[:-1]])
        size = np.diff(np.append(starts, len(who)))
        run = total - np.repeat(before[starts], size)
        had = lots.earned(who, losses.time)
        dead = lots.ended_by(who, losses.time)
        gone = run + _running_maximum(dead - (run - a), who)
        last = starts + size - 1
        uncovered, c = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        spent[people], c[people] = run[last], gone[last]
        over = gone > had
        if over.any():
            if not cap:
                _refuse(losses, had, gone, over, base)
            some = np.zeros(n, dtype=np.bool_)
            some[who[over]] = True
            mine = np.flatnonzero(some[people])
            person, begin, events = people[mine], starts[mine], size[mine]
            for table in (spent, c, uncovered):
                table[person] = 0
            for turn in range(int(events.max())):  # the next event of all affected customers at once
                going = events > turn
                one, row = person[going], begin[going] + turn
                left = np.maximum(c[one], dead[row])
                covered = np.minimum(a[row], had[row] - left)
                c[one] = left + covered
                spent[one] += covered
                uncovered[one] += a[row] - covered
        return cls(spent, c, uncovered)


def _refuse(losses: _Points, had: IntArray, gone: IntArray, over: npt.NDArray[np.bool_], base: CustomerBase) -> None:
    """Raise an error about the earliest event that spends more than the balance."""
    rows = np.flatnonzero(over)
    row = int(rows[np.lexsort((losses.row[rows], losses.time[rows]))[0]])
    has = (int(had[row]) - int(gone[row]) + int(losses.points[row])) / 1_000
    more = f", and {len(rows) - 1:,} more such events" if len(rows) > 1 else ""
    raise InputError(
        f"customer {shown(base.customer_id[losses.customer[row]])} spends {losses.points[row] / 1_000:,.10g} points at "
        f"{instant_text(int(losses.time[row]))} but has {has:,.10g} (row {int(losses.row[row])} of the events"
        f"{more}): correct the events, or pass overdrawn='cap' to spend only the balance.",
        argument="spend",
        code="wrong_value",
        row=int(losses.row[row]),
    )


def _later(time: IntArray, span: Span | None, tz: str) -> IntArray:
    """Return when points earned at each time expire."""
    if span is None:
        return np.full(len(time), np.iinfo(np.int64).max)
    if not isinstance(span, CalendarSpan):
        return time + length(span)
    wall = to_local(time, tz)
    day = np.floor_divide(wall, DAY)
    back = CalendarSpan(-span.months, -span.days)
    ends: IntArray = first_instants(days_before(day, back) * DAY + (wall - day * DAY), tz)
    return ends


def _running_maximum(value: IntArray, group: IntArray) -> IntArray:
    """Return the largest value so far within each group of neighboring rows, by doubling."""
    out, step, m = value.copy(), 1, len(value)
    while step < m:
        same = group[step:] == group[:-step]
        if not same.any():
            break
        out[step:] = np.where(same, np.maximum(out[step:], out[:-step]), out[step:])
        step *= 2
    return out


def _tiers(
    levels: PointsTiers | None, gains: _Points, stretch: Stretch, n: int, tz: str
) -> tuple[npt.NDArray[np.object_], FloatArray]:
    if levels is None:
        return np.full(n, None, dtype=object), np.full(n, np.nan)
    low = np.iinfo(np.int64).min
    if levels.within is not None:
        low = int(stretch.as_of.before(levels.within))
    elif levels.period is not None:
        calendar = Calendar(levels.period, tz)
        low = int(calendar.begins(calendar.number(np.array([stretch.high])))[0]) - 1
    running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(np.where(gains.time > low, gains.points, 0))])
    starts = np.searchsorted(gains.customer, np.arange(n + 1))
    return levels.reached(np.diff(running[starts]))


def _breakage(expired: IntArray, ended: IntArray, expires: Span | None) -> Estimate:
    """Return the share of points that were never spent, among those whose expiry date has passed."""
    if expires is None:
        return Estimate(float("nan"), None, "points do not expire")
    a, b = expired / 1_000, ended / 1_000
    return ratio_estimates(
        a.sum(), b.sum(), ((a * a).sum(), (a * b).sum(), (b * b).sum()), np.count_nonzero(b),
        "points whose expiry date has passed",
    )[0]  # fmt: skip
