"""Who comes back: customers grouped by the period of their first event ever, and followed over the periods since.

Cells whose period has not begun are NaN, and those of a period in progress are flagged. The overall row divides the
number of customers who came back by the number who could have.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import attrs
import numpy as np

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.money import exact_sums
from relmark.core.purchases import Purchases
from relmark.core.time import Instant
from relmark.expressions.selection import Selection
from relmark.metrics._calendar import Calendar
from relmark.metrics._cohort_cells import CohortPeriod, grouped, notes, periods
from relmark.metrics._returning import read_activity, slices
from relmark.metrics.cohort_counts import CohortCounts
from relmark.metrics.cohort_tables import CohortRetention, CohortValue
from relmark.metrics.estimates import ratio
from relmark.metrics.grouping import By

__all__ = ["CohortPeriod", "cohort_retention", "cohort_value"]


def cohort_retention(
    data: CustomerBase | Purchases,
    *,
    as_of: AsOfGiven,
    start: Selection | None = None,
    back: Selection | None = None,
    period: CohortPeriod = "month",
    kind: Literal["on", "on_or_after", "rolling"] = "on",
    since: Instant | None = None,
    by: By = None,
    week_starts: str = "monday",
) -> CohortRetention:
    """Follow customers from their first event ever, and report the share that came back in each period since.

    Parameters
    ----------
    data : CustomerBase or Purchases
    as_of : date or instant
    start, back : Selection, optional
        The events that begin, and the events that count as a return. By default, both are purchases; with `start`
        alone, both are `start`.
    period : {"day", "week", "month", "quarter", "year"} or timedelta
        Calendar periods in the base's time zone, or windows of a given length counted from each customer's first event.
        For example, an order at 17:00 on the day after a first order at 17:59 lies on calendar day 1, but in the first
        window of 24 hours.
    kind : {"on", "on_or_after", "rolling"}
        Count customers who came back in period n, in period n or any later one, or in any of the periods 1 to n.
    since : date or instant, optional
        Show cohorts from the period that contains it on. Customers who began earlier are in no cohort, whatever they
        did later.
    by : name, expression, segment, or a list or mapping of them, optional
        Fields of customers, properties of the event that began, or segments.
    week_starts : {"monday", ..., "sunday"}
        The first day of a week.

    Returns
    -------
    CohortRetention
        Period 0 is the period of the first event. It holds everybody if the first event counts as a return.

    Notes
    -----
    Cost: one pass over the events, period by period.

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> orders = {"user": ["a", "a", "b"], "day": ["2026-01-15", "2026-02-10", "2026-02-12"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day")
    >>> cohort_retention(base, as_of="2026-03-01").table.tolist()
    [[1.0, 1.0], [1.0, nan]]
    """
    counts = CohortCounts.of(
        data, as_of=as_of, start=start, back=back, period=period, kind=kind, since=since, by=by, week_starts=week_starts
    )
    return counts.retention()


def cohort_value(
    data: CustomerBase | Purchases,
    *,
    as_of: AsOfGiven,
    start: Selection | None = None,
    period: str = "month",
    since: Instant | None = None,
    by: By = None,
    week_starts: str = "monday",
) -> CohortValue:
    """Follow the revenue of cohorts: by period since the start, cumulated, and per customer.

    Parameters
    ----------
    data : CustomerBase or Purchases
        Purchases with money; refunds are deducted.
    as_of : date or instant
    start : Selection, optional
        The events that begin; by default, the first purchase ever. Money before the start does not count.
    period : {"day", "week", "month", "quarter", "year"}
    since, by, week_starts
        As in `cohort_retention`.

    Returns
    -------
    CohortValue

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> orders = {"user": ["a", "a", "b"], "day": ["2026-01-15", "2026-02-10", "2026-02-12"], "v": [20.0, 10.0, 5.0]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="v")
    >>> cohort_value(base, as_of="2026-03-01").cumulative.tolist()
    [[20.0, 30.0], [5.0, nan]]
    """
    if isinstance(period, timedelta):
        raise InputError(
            f"period is {shown(period)}; it must be a calendar period, such as 'month'.",
            argument="period",
            code="wrong_type",
        )
    bought = read_activity(data, None, None, as_of)
    if bought.back.value is None:
        if len(bought.back.time):
            raise InputError(
                "the purchases have no value: pass one when you build the base, with from_orders(value=...).",
                argument="value",
                code="missing_argument",
            )
        bought = attrs.evolve(bought, back=attrs.evolve(bought.back, value=np.zeros(0)))
    found = bought if start is None else attrs.evolve(read_activity(data, start, None, as_of), back=bought.back)
    calendar = Calendar(period, found.tz, week_starts)
    cells = periods(found, calendar, "on")
    cohort, number, labels, label = grouped(data, found, cells, by, since, period, week_starts)
    c, p = len(label), cells.width
    revenue = np.zeros((c, p))
    value = found.back.value
    assert value is not None
    for k, rows in enumerate(slices(found.back.time, cells.bounds)):
        who = found.back.customer[rows]
        inside = (cohort[who] >= 0) & (found.back.time[rows] >= cells.begun[who])
        if inside.any():
            sums = exact_sums(cohort[who[inside]], value[rows][inside], c)
            place = cells.first + k - number
            held = (place >= 0) & (place < p)
            revenue[np.flatnonzero(held), place[held]] = sums[held]
    sizes = np.bincount(cohort[cohort >= 0], minlength=c)
    risk, begun, ended = cells.at_risk(cohort, number, c, p)
    cumulative = np.cumsum(revenue, axis=1)
    observed = risk > 0
    customers = risk.sum(axis=0)
    total = np.where(observed, cumulative, 0.0).sum(axis=0)
    revenue, cumulative = (np.where(observed, one, np.nan) for one in (revenue, cumulative))
    return CohortValue(
        by=labels, cohorts=label, sizes=sizes, revenue=revenue, cumulative=cumulative,
        per_customer=ratio(cumulative, np.repeat(sizes[:, None], p, axis=1)), in_progress=(begun > 0) & (ended < begun),
        overall=ratio(total, customers), period=period, as_of=found.as_of.given,
        notes=(*notes(sizes), "the cells are cumulative money per customer of the cohort"),
    )  # fmt: skip
