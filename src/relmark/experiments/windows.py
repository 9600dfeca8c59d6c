"""Each customer's window after the start, and the one before it: which events lie in it, and whether it has ended.

A start is an instant, or a date, which means its first local instant. The start belongs to the window, and the end does
not. Events that carry a day without a time are assigned by day. If a start lies within a day, such events of that day
may have come before or after it, and belong to neither side.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import attrs
import numpy as np

from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, IntArray
from relmark.core.log import EventLog
from relmark.core.ordering import small_codes
from relmark.core.partition import Partition
from relmark.core.spans import Span
from relmark.core.table import CustomerTable
from relmark.core.time import instant_text, local_midnights
from relmark.core.zones import local_days
from relmark.experiments.starts import FIRST, Starts, counts_days, shifted_days
from relmark.experiments.validity import Check

__all__ = [
    "Progress",
    "Window",
    "cut",
    "everyone_of",
    "known_at_start",
    "of_neither_side",
    "progress_of",
    "window_after",
    "window_before",
]


_NAT = np.iinfo(np.int64).min


class Window(NamedTuple):
    """The events low <= t < high of each customer, shape (n,) each; events that carry only a day have other bounds."""

    low: IntArray
    high: IntArray
    low_of_days: IntArray
    high_of_days: IntArray

    def bounds(self, part: Partition) -> tuple[IntArray, IntArray]:
        """Return the bounds for the events of one type."""
        return (self.low, self.high) if part.day_zone is None else (self.low_of_days, self.high_of_days)


def window_after(starts: Starts, span: Span) -> tuple[Window, IntArray, BoolArray]:
    """Return the window after the start, and the time at its end, as an instant or a date."""
    end, end_dated = starts.moved(span)
    midnight = local_midnights(starts.day, starts.tz)
    first = np.where(starts.within_day, local_midnights(starts.day + 1, starts.tz), midnight)
    last = _end_of_days(starts, span, end)
    window = Window(starts.time, end, first, last)
    return window, np.where(end_dated, end, end - 1), end_dated


def _end_of_days(starts: Starts, span: Span, end: IntArray) -> IntArray:
    """Return the midnight before which events that carry only a day belong to the window after the start."""
    if not counts_days(span):
        return end
    after = shifted_days(starts.day, span, back=False) + starts.within_day  # as many days as the window has
    return local_midnights(after, starts.tz)


def window_before(starts: Starts, span: Span) -> Window:
    """Return the window up to the start, which does not belong to it."""
    low, _ = starts.moved(span, back=True)
    midnight = local_midnights(starts.day, starts.tz)
    if not counts_days(span):
        return Window(low, starts.time, low, midnight)
    first = local_midnights(shifted_days(starts.day, span, back=True), starts.tz)
    return Window(low, starts.time, first, midnight)


def cut(
    base: CustomerBase, everyone: CustomerTable, window: Window, types: Collection[str] | None = None
) -> CustomerBase:
    """Return a base of the same people in the same order, with only the events in each one's window, of some types."""
    log = base.events
    kept: dict[str, Partition] = {}
    present = np.zeros(log.n_customers, dtype=np.bool_)
    ends: dict[bool, tuple[IntArray, IntArray]] = {}
    for name in log.types if types is None else sorted(set(log.types) & set(types)):
        part = log.required(name)
        of_days = part.day_zone is not None
        if of_days not in ends:
            low, high = window.bounds(part)
            ends[of_days] = (low, high) if base.codes_are_rows else (low[base.code_to_row], high[base.code_to_row])
        low, high = ends[of_days]
        rows = part.window(int(low.min()) - 1, int(high.max()) - 1)
        if (low == low[0]).all() and (high == high[0]).all():
            found = part.take(rows)
        else:
            code, time = part.code[rows], part.time[rows]
            inside = time >= low[code]
            inside &= time < high[code]
            found = part.take(np.flatnonzero(inside) + rows.start)
        if len(found):
            kept[name] = found
            present[found.code] = True
    n = int(np.count_nonzero(present))
    if n < log.n_customers:
        place = small_codes(np.cumsum(present) - 1, n)
        kept = {name: attrs.evolve(part, code=place[part.code], n_customers=n) for name, part in kept.items()}
    events = EventLog(customer_id=log.customer_id[present], partitions=kept, tz=base.tz)
    return attrs.evolve(base, customers=everyone, events=events)


def everyone_of(base: CustomerBase) -> CustomerTable:
    """Return the table of all people of a base, including those who are only in the log."""
    if base.customers is not None and len(base.customers) == len(base):
        return base.customers
    return CustomerTable(base.customer_id, {name: base.column(name) for name in base.fields})


class Progress(NamedTuple):
    """Whose window has not ended by the end of the log, with the check and the notes about it."""

    left_out: BoolArray
    check: Check
    notes: tuple[str, ...]


def progress_of(base: CustomerBase, starts: Starts, span: Span, inside: BoolArray) -> Progress:
    """Return whose window has not ended: they are left out, unless nobody's window has.

    A window of whole days from a date has ended if the log goes on into its last day.
    """
    end, dated = starts.moved(span)
    reach, words = _NAT, "has no events"
    for name in base.events.types:
        part = base.events.required(name)
        last = int(part.time[-1])
        if part.day_zone is not None:
            last = int(local_midnights(local_days(part.time[-1:], base.tz) + 1, base.tz)[0]) - 1
        reach = max(reach, last)
    if reach != _NAT:
        words = f"ends at {instant_text(reach)}"
        last_day = int(local_days(np.array([reach]), base.tz)[0])
        ended = np.where(dated, local_days(end - 1, base.tz) <= last_day, end - 1 <= reach)
    else:
        ended = np.zeros(len(end), dtype=np.bool_)
    nobody = np.zeros(len(end), dtype=np.bool_)
    open_ = inside & ~ended
    k, latest = int(np.count_nonzero(open_)), instant_text(int(end[open_].max())) if open_.any() else ""
    if k == 0:
        message = "the log goes on to the end of every window"
        return Progress(nobody, Check(name="window", passed=True, statistic=0.0, message=message), ())
    found = f"the log {words}, and the windows of {k:,} people end later, the last one at {latest}"
    if (inside & ended).any():
        note = f"the windows of {k:,} people are still in progress: these people are left out, in every arm"
        check = Check(name="window", passed=True, statistic=float(k), message=f"{found}: they are left out")
        return Progress(open_, check, (note,))
    note = "nobody's window has ended: the figures cover only the part of each window that is in the log"
    return Progress(nobody, Check(name="window", passed=False, statistic=float(k), message=f"{found}. Wait"), (note,))


def of_neither_side(base: CustomerBase, starts: Starts, inside: BoolArray) -> tuple[str, ...]:
    """Return a note for each type of events without a time, if some of them are on a day within which a start lies."""
    torn = starts.within_day & inside
    notes = []
    for name in base.events.types:
        part = base.events.required(name)
        if part.day_zone is None or not torn.any():
            continue
        midnight = local_midnights(starts.day, starts.tz)[base.code_to_row]
        k = int(np.count_nonzero(torn[base.code_to_row][part.code] & (part.time == midnight[part.code])))
        if k:
            notes.append(
                f"{k:,} {name!r} events have no time and are on the day of a start that lies within it: they belong to "
                "neither side. Give the start as a date to include that day in the window"
            )
    return tuple(notes)


def known_at_start(base: CustomerBase, starts: Starts) -> CustomerBase:
    """Return a base without events that carry the day of the start or a later one, unless all starts are dates."""
    if starts.dated.all() or not any(base.events.required(name).day_zone for name in base.events.types):
        return base
    midnight = local_midnights(starts.day, starts.tz)
    ever = np.full(len(midnight), FIRST)
    return cut(base, everyone_of(base), Window(ever, starts.time + 1, ever, midnight))
