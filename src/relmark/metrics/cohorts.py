"""Who comes back: customers by the period of their first event ever, followed over the periods since.

Cells that have not begun are NaN, those of a period in progress are flagged, and the overall row is the sum of those
who came back over the sum of those who could have.
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
    """Follow customers from their first event ever: which share came back in the first, second, ... period since.

    Parameters
    ----------
    data : CustomerBase or Purchases
    as_of : date or instant
    start, back : Selection, optional
        What begins and what is a return; purchases without them, and `start` for both without `back`.
    period : {"day", "week", "month", "quarter", "year"} or timedelta
        A calendar period of the base's zone, or windows of a length counted from each customer's own start: of an order
        at 17:59 and one at 17:00 on the next day, the second is on day 1 of the calendar and within the first 24 hours.
    kind : {"on", "on_or_after", "rolling"}
        Came back in period n; in period n or any later one; or in any of the periods 1 to n.
    since : date or instant, optional
        Cohorts from the period that holds it on; who began before is in none, whatever they did since.
    by : name, expression, segment, or a list or mapping of them, optional
        Fields of customers, properties of the event that began, segments.
    week_starts : {"monday", ..., "sunday"}

    Returns
    -------
    CohortRetention
        Period 0 is the one of the start: everybody, where a start is a return too.

    Notes
    -----
    Cost: one pass over the events, a period at a time.

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
    """Follow what cohorts bring: revenue by period since the start, summed up, and per customer.

    Parameters
    ----------
    data : CustomerBase or Purchases
        Purchases with money, refunds taken off.
    as_of : date or instant
    start : Selection, optional
        What begins; the first purchase ever without it. Money before the start does not count.
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
            f"period is {shown(period)}: a period of the calendar is needed, such as 'month'.",
            argument="period",
            code="wrong_type",
        )
    bought = read_activity(data, None, None, as_of)
    if bought.back.value is None:
        if len(bought.back.time):
            raise InputError(
                "the purchases have no value: give one where the base is built, from_orders(value=...).",
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
        notes=(*notes(sizes), "money per customer of the cohort, summed up"),
    )  # fmt: skip
