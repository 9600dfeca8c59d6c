"""Kernel of cohorts: who came back in which period since their start, and who could have."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray
from relmark.core.errors import InputError
from relmark.core.spans import length
from relmark.core.time import Instant, duration, read_instant
from relmark.metrics._calendar import Calendar
from relmark.metrics._returning import Activity, distinct, first_times, slices
from relmark.metrics.estimates import FEW
from relmark.metrics.grouping import By, group_rows

__all__ = ["Cells", "CohortPeriod", "grouped", "notes", "periods", "windows"]

CohortPeriod: TypeAlias = str | timedelta
"""The length of a period of cohorts: a word such as "month", or a timedelta."""
_MOST_CELLS = 40_000_000


@attrs.frozen(eq=False)
class Cells:
    """Who came back in which period since their start.

    `customer` and `since` are distinct pairs of a customer and a period in which they came back. `did` says which
    customers began at all, `begun` when they began, and `number` in which calendar period.
    """

    customer: IntArray
    since: IntArray
    did: npt.NDArray[np.bool_]
    begun: IntArray
    number: IntArray
    first: int
    width: int
    bounds: IntArray
    seen: int
    span: int

    def counts(self, cohort: IntArray, c: int, p: int) -> tuple[IntArray, IntArray]:
        """Return how many of each cohort came back in each period, and the sizes."""
        inside = (cohort[self.customer] >= 0) & (self.since < p)
        who, since = self.customer[inside], self.since[inside]
        if self.span:  # windows that have not ended do not count
            done = self.begun[who] + (since + 1) * self.span - 1 <= self.seen
            who, since = who[done], since[done]
        cell = cohort[who] * p + since
        found = np.bincount(cell, minlength=c * p).reshape(c, p)
        return found, np.bincount(cohort[cohort >= 0], minlength=c)

    def at_risk(self, cohort: IntArray, number: IntArray, c: int, p: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return how many could have come back, for how many each period has begun, and for how many it has ended."""
        period = np.arange(p)
        if not self.span:
            sizes = np.bincount(cohort[cohort >= 0], minlength=c)[:, None]
            last = self.first + len(self.bounds) - 2
            here = number[:, None] + period
            over = int(self.bounds[-1]) - 1 <= self.seen if len(self.bounds) else True
            started = sizes * (here <= last)
            return started, started, started * ((here < last) | over)
        who = np.flatnonzero(cohort >= 0)
        n_ended = np.maximum((self.seen + 1 - self.begun[who]) // self.span, 0)
        n_begun = np.maximum((self.seen - self.begun[who]) // self.span + 1, 0)
        ended, begun = (
            np.cumsum(
                np.bincount(cohort[who] * (p + 1) + np.minimum(one, p), minlength=c * (p + 1)).reshape(c, p + 1)[
                    :, ::-1
                ],
                axis=1,
            )[:, ::-1][:, 1:]
            for one in (n_ended, n_begun)
        )
        return ended, begun, ended


def periods(found: Activity, calendar: Calendar, kind: str) -> Cells:
    """Return who came back in which period of the calendar."""
    seen = int(found.as_of.seen)
    did, begun = first_times(found.start, found.n)
    if not did.any():
        return _nothing(did, begun, seen)
    first, last = (int(one) for one in calendar.number(np.array([begun[did].min(), seen])))
    if (last - first + 1) ** 2 > _MOST_CELLS:
        raise InputError(
            f"there are {last - first + 1:,} periods of a {calendar.unit}, which is too many: choose a longer period.",
            argument="period",
            code="too_many",
        )
    bounds = calendar.begins(np.arange(first, last + 2))
    number = np.zeros(found.n, dtype=np.int64)
    began = np.flatnonzero(did)
    number[began] = np.searchsorted(bounds, begun[began], side="right") - 1 + first
    who, since = [], []
    here = np.zeros(found.n, dtype=np.bool_)
    many = found.n > 4 * len(found.back.time) // max(last - first + 1, 1)
    for k, rows in enumerate(slices(found.back.time, bounds)):
        customer = found.back.customer[rows]
        if not found.same:
            customer = customer[did[customer] & (found.back.time[rows] >= begun[customer])]
        if many:
            came = distinct(customer)
        else:
            here[:] = False
            here[customer] = True
            came = np.flatnonzero(here)
        who.append(came.astype(np.int64))
        since.append(first + k - number[came])
    customer, period = np.concatenate(who), np.concatenate(since)
    cells = Cells(customer, period, did, begun, number, first, last - first + 1, bounds, seen, 0)
    return _of_kind(cells, kind, last - number)


def windows(found: Activity, span: timedelta, kind: str) -> Cells:
    """Return who came back in which window since their own first event."""
    duration("period", span)
    size = length(span)
    seen = int(found.as_of.seen)
    did, begun = first_times(found.start, found.n)
    if not did.any():
        return _nothing(did, begun, seen, size)
    customer = found.back.customer.astype(np.int64)
    time = found.back.time
    if not found.same:
        inside = did[customer] & (time >= begun[customer])
        customer, time = customer[inside], time[inside]
    since = (time - begun[customer]) // size
    width = int((seen - begun[did].min()) // size) + 1
    if width > 100_000:
        raise InputError(
            f"there are {width:,} windows of {span}, and 100,000 at most: choose a longer period.",
            argument="period",
            code="too_many",
        )
    pair = distinct(customer * width + since)
    number = np.zeros(found.n, dtype=np.int64)
    cells = Cells(pair // width, pair % width, did, begun, number, 0, width, np.empty(0, dtype=np.int64), seen, size)
    return _of_kind(cells, kind, np.where(did, (seen - begun) // size, 0))


def _of_kind(cells: Cells, kind: str, last: IntArray) -> Cells:
    """Return the pairs of another kind of retention."""
    if kind == "on":
        return cells
    who, since = cells.customer, cells.since
    if kind == "on_or_after":  # every period up to the last in which they came
        latest = np.full(len(cells.did), -1, dtype=np.int64)
        np.maximum.at(latest, who, since)
        people = np.flatnonzero(latest >= 0)
        low, count = np.zeros(len(people), dtype=np.int64), latest[people] + 1
    else:  # period 0 as it is; from the first return on every period up to now
        again = since >= 1
        first = np.full(len(cells.did), np.iinfo(np.int64).max)
        np.minimum.at(first, who[again], since[again])
        people = np.flatnonzero(first < np.iinfo(np.int64).max)
        low, count = first[people], last[people] - first[people] + 1
    total = int(count.sum())
    period = np.repeat(low - np.cumsum(count) + count, count) + np.arange(total)
    customer = np.repeat(people, count)
    if kind == "rolling":
        zero = since == 0
        customer = np.concatenate([customer, who[zero]])
        period = np.concatenate([period, since[zero]])
    return attrs.evolve(cells, customer=customer, since=period)


def _nothing(did: npt.NDArray[np.bool_], begun: IntArray, seen: int, span: int = 0) -> Cells:
    none = np.empty(0, dtype=np.int64)
    return Cells(none, none, did, begun, np.zeros(len(did), dtype=np.int64), 0, 1, none, seen, span)


def grouped(
    data: Any, found: Activity, cells: Cells, by: By, since: Instant | None, period: CohortPeriod, week_starts: str
) -> tuple[IntArray, IntArray, dict[str, npt.NDArray[Any]], npt.NDArray[np.datetime64]]:
    """Return each customer's cohort (-1 for none), the period number of each cohort, and the labels of the rows."""
    if isinstance(period, timedelta):
        unit = "day" if period < timedelta(days=7) else "week" if period < timedelta(days=28) else "month"
    else:
        unit = period
    calendar = Calendar(unit, found.tz, week_starts)
    people = np.flatnonzero(cells.did)
    number = calendar.number(cells.begun[people]) if len(people) else np.empty(0, dtype=np.int64)
    if since is not None:
        at = read_instant(since, tz=found.tz, name="since")[0]
        keep = number >= int(calendar.number(np.array([at]))[0])
        people, number = people[keep], number[keep]
    group, labels, k = np.zeros(len(people), dtype=np.int64), {}, 1
    if by is not None:
        if not isinstance(data, CustomerBase):
            raise InputError(
                "by= needs the fields of the customers: pass the base instead of its purchases.",
                argument="by",
                code="missing_argument",
            )

        def of_start(name: str) -> Any:
            column = found.first(name)
            return None if column is None else column.take(people)

        groups = group_rows(data, found.as_of, by, people, cells.begun[people], of_start, of_events=found.of_events)
        if groups.rows is not None:
            raise InputError(
                "by= has segments that may overlap, but each customer is in one cohort: pass one segment, or a field.",
                argument="by",
                code="wrong_type",
            )
        group, labels, k = groups.code, dict(groups.labels), groups.k
    if not len(people):
        return (np.full(found.n, -1, dtype=np.int64), number, {name: one[:0] for name, one in labels.items()},
                calendar.label(number))  # fmt: skip
    low, size = int(number.min()), int(number.max() - number.min()) + 1
    key = group * size + number - low
    used = np.bincount(key, minlength=k * size) > 0
    row = np.cumsum(used) - 1
    cohort = np.full(found.n, -1, dtype=np.int64)
    cohort[people] = row[key]
    places = np.flatnonzero(used)
    numbers = places % size + low
    return cohort, numbers, {name: one[places // size] for name, one in labels.items()}, calendar.label(numbers)


def notes(sizes: IntArray) -> tuple[str, ...]:
    few = int(np.count_nonzero(sizes < FEW))
    rows = "one cohort has" if few == 1 else f"{few:,} cohorts have"
    return (f"{rows} fewer than {FEW} customers",) if few else ()
