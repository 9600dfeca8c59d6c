"""Visits: how many there are, by how many people, how many pages and how long, and how many end on their first page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import MissingColumnError
from relmark.core.spans import Span
from relmark.expressions.builders import event
from relmark.expressions.selection import Selection
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, mean_estimates, ratio_estimates, shares
from relmark.metrics.grouping import By, group_rows
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = ["VisitMetrics", "visit_metrics"]

DEFINITIONS = define(
    "visits that began in the window",
    "",
    {
        "visits_per_person": ("visits", "people with a visit", "visits per person"),
        "pages_per_visit": ("pages", "visits", "pages per visit"),
        "seconds_per_visit": ("seconds from the first event of a visit to its last", "visits", "seconds per visit",
                              "the time on the last page is not known"),
        "bounce_rate": ("visits of one page and no other event", "visits", "share",
                        "Google Analytics 4 has another definition: less than 10 seconds, one page and no conversion"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class VisitMetrics(MetricTable):
    """Visits, one row per group.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    visits, people : ndarray of int64, shape (k,)
    pages : ndarray of float64, shape (k,)
    visits_per_person, pages_per_visit, seconds_per_visit : Estimates
        With intervals over people: all visits of one person belong together.
    bounce_rate : Estimates
    median_seconds : ndarray of float64, shape (k,)
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    visits: IntArray
    people: IntArray
    pages: FloatArray
    visits_per_person: Estimates
    pages_per_visit: Estimates
    seconds_per_visit: Estimates
    bounce_rate: Estimates
    median_seconds: FloatArray
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS


def visit_metrics(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span | None = None,
    visit: Selection | None = None,
    by: By = None,
) -> VisitMetrics:
    """Report visits, as `EventLog.sessions` makes them: number, people, pages, length and bounces.

    Parameters
    ----------
    base : CustomerBase
        It has events of type "visit" with the properties pages, duration (in seconds) and, optionally, events (the
        number of events of any type): ``CustomerBase(events=log.sessions(gap=minutes(30)))``.
    as_of : date or instant
    within : timedelta, calendar_days or months, optional
        Count visits that began in (as_of - within, as_of]; by default, all up to `as_of`.
    visit : Selection, optional
        The events that are visits; by default, those of type "visit".
    by : name of a property or field, expression, segment, period, or a list or mapping of them, optional

    Returns
    -------
    VisitMetrics

    Examples
    --------
    >>> from relmark import EventLog, minutes
    >>> log = EventLog.from_columns(customer_id=[1, 1, 2], type="page_view",
    ...     time=["2026-01-05T09:00Z", "2026-01-05T09:10Z", "2026-01-05T09:00Z"])
    >>> found = visit_metrics(CustomerBase(events=log.sessions(gap=minutes(30))), as_of="2026-02-01")
    >>> found.visits.tolist(), found.bounce_rate[0].value, found.seconds_per_visit[0].value
    ([2], 0.5, 300.0)
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, within)
    chosen = selection_given("visit", event("visit") if visit is None else visit)
    customer, time, found = events_of(base, chosen, stretch.low, stretch.high)
    find = properties_of(found)
    columns = {}
    for name in ("pages", "duration"):
        column = find(name)
        if column is None and len(time):
            raise MissingColumnError(
                f"the visits have no property {name!r}: make visits from page views with "
                "log.sessions(gap=minutes(30)).",
                argument="base",
            )
        columns[name] = np.zeros(0) if column is None else column.numbers()
    actions = find("events")
    pages, seconds = columns["pages"], columns["duration"]
    bounced = (pages <= 1) & ((actions.numbers() <= 1) if actions is not None else True)
    groups = group_rows(base, stretch.as_of, by, customer.astype(np.int64), time, find)
    k, code = groups.k if by is not None else 1, groups.code
    customer, pages, seconds, bounced = (groups.chosen(one) for one in (customer, pages, seconds, bounced))
    n = max(len(base), 1)
    pair, place = np.unique(code * n + customer, return_inverse=True)
    group = pair // n
    count = np.bincount(place, minlength=len(pair)).astype(np.float64)
    people, visits = np.bincount(group, minlength=k), np.bincount(code, minlength=k)

    def per_visit(column: FloatArray, what: str) -> Estimates:
        known = np.where(np.isnan(column), 0.0, column)
        mine = np.bincount(place, weights=known, minlength=len(pair)).astype(np.float64)
        heard = np.bincount(place, weights=~np.isnan(column), minlength=len(pair)).astype(np.float64)

        def total(values: FloatArray) -> FloatArray:
            return np.bincount(group, weights=values, minlength=k).astype(np.float64)

        return ratio_estimates(
            total(mine), total(heard), (total(mine * mine), total(mine * heard), total(heard * heard)), people, what
        )

    squares = np.bincount(group, weights=count * count, minlength=k)
    medians = np.full(k, np.nan)
    for one in range(k):
        mine = seconds[(code == one) & ~np.isnan(seconds)]
        medians[one] = np.median(mine) if len(mine) else np.nan
    return VisitMetrics(
        by=groups.labels, visits=visits, people=people,
        pages=np.bincount(code, weights=np.nan_to_num(pages), minlength=k).astype(np.float64),
        visits_per_person=mean_estimates(visits, squares, people, "people"),
        pages_per_visit=per_visit(pages, "visits"), seconds_per_visit=per_visit(seconds, "visits"),
        bounce_rate=shares("bounces", np.bincount(code[bounced], minlength=k), "visits", visits),
        median_seconds=medians, as_of=stretch.as_of.given, window=str(stretch),
    )  # fmt: skip
