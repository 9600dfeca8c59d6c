"""Who comes back: customers by the period of their first event ever, followed over the periods since.

Cells that have not begun are NaN, those of a period in progress are flagged, and the overall row is the sum of those
who came back over the sum of those who could have.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, one_of, shown
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate
from relmark.core.money import exact_sums
from relmark.core.purchases import Purchases
from relmark.core.shares import wilson
from relmark.core.spans import length
from relmark.core.time import Instant, duration, read_instant
from relmark.expressions.selection import Selection
from relmark.metrics._calendar import Calendar
from relmark.metrics._returning import Activity, distinct, first_times, read_activity, slices
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, ratio, shares
from relmark.metrics.grouping import By, group_rows

__all__ = ["CohortPeriod", "CohortRetention", "CohortValue", "cohort_retention", "cohort_value"]

CohortPeriod: TypeAlias = str | timedelta
_MOST_CELLS = 40_000_000
_KINDS = ("on", "on_or_after", "rolling")
_MARK = "*"
DEFINITIONS = define(
    "cohorts of the first event ever; periods of the calendar, or of equal length from each customer's own start",
    "tools differ: on day n or on or after it, calendar days or 24 hours, first event ever or first of the range",
    {
        "table": ("customers of the cohort who came back in period n", "customers of the cohort who could have"),
        "overall": ("customers of all cohorts who came back in period n",
                    "customers of all cohorts who could have; a mean of the cohorts' shares is something else"),
        "revenue": ("money of the cohort in period n", "", "money"),
        "per_customer": ("money of the cohort up to period n", "customers of the cohort", "money per customer"),
    },
)  # fmt: skip


class _Cohorts(MetricTable):
    """The shape of both tables: a row per cohort, a column per period since."""

    __slots__ = ()

    def _cells(self) -> FloatArray:
        raise AssertionError

    def _word(self, value: float) -> str:
        return f"{value:,.2f}"

    def _foot(self) -> list[str] | None:
        return None

    def to_columns(self) -> dict[str, Any]:
        """Return groups, cohort, size and a column per period since: period_0, period_1, ..."""
        me: Any = self
        cells = self._cells()
        return {**me.by, "cohort": me.cohorts, "size": me.sizes,
                **{f"period_{p}": cells[:, p] for p in range(cells.shape[1])}}  # fmt: skip

    def _table(self) -> dict[str, Any]:
        me: Any = self
        cells, foot = self._cells(), self._foot()
        more = [] if foot is None else [""]
        head = {name: np.array([*map(str, column.tolist()), *more], dtype=object) for name, column in me.by.items()}
        names = [*map(str, me.cohorts), *(["overall"] if foot is not None else [])]
        sizes = [*me.sizes.tolist(), *([int(me.sizes.sum())] if foot is not None else [])]
        columns: dict[str, Any] = {**head, "cohort": np.array(names, dtype=object), "size": np.array(sizes)}
        for p in range(cells.shape[1]):
            words = [
                "" if np.isnan(value) else self._word(value) + (_MARK if flagged else "")
                for value, flagged in zip(cells[:, p].tolist(), me.in_progress[:, p].tolist(), strict=True)
            ]
            columns[str(p)] = np.array([*words, *([foot[p]] if foot is not None else [])], dtype=object)
        return columns

    def _lines(self) -> list[str]:
        me: Any = self
        told = [f"{_MARK} a period in progress: it is not over"] if me.in_progress.any() else []
        return [*told, *me.notes]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortRetention(_Cohorts):
    """Who came back, one row per cohort.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (c,)
        What the groups are called.
    cohorts : ndarray of datetime64, shape (c,)
        The month, or the first day of the week or day, in which the customers began.
    sizes : ndarray of int64, shape (c,)
    table : ndarray of float64, shape (c, p)
        The share that came back in period p since the start, 0 to 1; NaN where it has not been observed.
    counts : ndarray of float64, shape (c, p)
        How many came back; NaN where not observed.
    at_risk : ndarray of float64, shape (c, p)
        How many could have: the size, or with periods of equal length those whose own period p has ended.
    in_progress : ndarray of bool, shape (c, p)
        Periods that have begun and not ended.
    overall : Estimates, p rows
        The counts of all cohorts by those at risk, periods in progress with them.
    overall_ended : Estimates, p rows
        The same without periods in progress.
    period : str
    kind : str
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    cohorts: npt.NDArray[np.datetime64]
    sizes: IntArray
    table: FloatArray
    counts: FloatArray
    at_risk: FloatArray
    in_progress: npt.NDArray[np.bool_]
    overall: Estimates
    overall_ended: Estimates
    period: str
    kind: str
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def estimate(self, cohort: int, period: int) -> Estimate:
        """Return one cell with Wilson's interval: the row of the cohort, and the number of periods since."""
        try:
            count, n = float(self.counts[cohort, period]), float(self.at_risk[cohort, period])
        except (IndexError, TypeError):
            shape = " and ".join(f"{size:,}" for size in self.table.shape)
            raise InputError(
                f"there is no cell ({shown(cohort)}, {shown(period)}): there are {shape}.",
                argument="there",
                code="wrong_type",
            ) from None
        return shares("came back", [count], "customers who could have", [n], unseen="not observed yet")[0]

    def intervals(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return the ends of Wilson's interval of every cell, each of shape (c, p)."""
        return wilson(self.counts, self.at_risk, ndtri(0.5 + level / 2))

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _cells(self) -> FloatArray:
        return self.table

    def _word(self, value: float) -> str:
        return f"{100 * value:.1f}%"

    def _foot(self) -> list[str]:
        return ["" if np.isnan(value) else f"{100 * value:.1f}%" for value in self.overall.value.tolist()]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortValue(_Cohorts):
    """What cohorts brought, one row per cohort.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (c,)
    cohorts : ndarray of datetime64, shape (c,)
    sizes : ndarray of int64, shape (c,)
    revenue : ndarray of float64, shape (c, p)
        Money in period p since the start; NaN where not observed.
    cumulative : ndarray of float64, shape (c, p)
        Money up to period p.
    per_customer : ndarray of float64, shape (c, p)
        Money up to period p by customer of the cohort.
    in_progress : ndarray of bool, shape (c, p)
    overall : ndarray of float64, shape (p,)
        Money up to period p of the cohorts old enough for it, by their customers.
    period : str
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    cohorts: npt.NDArray[np.datetime64]
    sizes: IntArray
    revenue: FloatArray
    cumulative: FloatArray
    per_customer: FloatArray
    in_progress: npt.NDArray[np.bool_]
    overall: FloatArray
    period: str
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _cells(self) -> FloatArray:
        return self.per_customer

    def _foot(self) -> list[str]:
        return ["" if np.isnan(value) else self._word(value) for value in self.overall.tolist()]


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
    one_of("kind", kind, _KINDS)
    found = read_activity(data, start, back, as_of)
    if isinstance(period, timedelta):
        cells = _windows(found, period, kind)
    else:
        cells = _periods(found, Calendar(period, found.tz, week_starts), kind)
    made = _grouped(data, found, cells, by, since, period, week_starts)
    cohort, number, labels, label = made
    c, p = len(label), cells.width
    shape = (c, p)
    counts, sizes = cells.counts(cohort, c, p)
    risk, begun, ended = cells.at_risk(cohort, number, c, p)
    counts = np.where(risk > 0, counts, np.nan) if c else np.zeros(shape)
    in_progress = begun & ~ended
    notes = _notes(sizes)
    with np.errstate(invalid="ignore"):
        whole, part = np.where(np.isnan(counts), 0.0, risk), np.nan_to_num(counts)
    of = "customers who could have"
    calm = ~in_progress
    return CohortRetention(
        by=labels, cohorts=label, sizes=sizes, table=ratio(counts, risk), counts=counts, at_risk=risk,
        in_progress=in_progress, overall=shares("came back", part.sum(axis=0), of, whole.sum(axis=0)),
        overall_ended=shares("came back", (part * calm).sum(axis=0), of, (whole * calm).sum(axis=0)),
        period=str(period), kind=kind, as_of=found.as_of.given, notes=notes,
    )  # fmt: skip


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
    cells = _periods(found, calendar, "on")
    cohort, number, labels, label = _grouped(data, found, cells, by, since, period, week_starts)
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
    customers = np.where(observed, risk, 0.0).sum(axis=0)
    total = np.where(observed, cumulative, 0.0).sum(axis=0)
    revenue, cumulative = (np.where(observed, one, np.nan) for one in (revenue, cumulative))
    return CohortValue(
        by=labels, cohorts=label, sizes=sizes, revenue=revenue, cumulative=cumulative,
        per_customer=ratio(cumulative, np.repeat(sizes[:, None], p, axis=1)), in_progress=begun & ~ended,
        overall=ratio(total, customers), period=period, as_of=found.as_of.given,
        notes=(*_notes(sizes), "money per customer of the cohort, summed up"),
    )  # fmt: skip


@attrs.frozen(eq=False)
class _Cells:
    """Who came back in which period since their start.

    `customer` and `since` are pairs, each once; `begun` is when each customer began, `did` who began at all, `number`
    the period of the calendar in which they did.
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

    def counts(self, cohort: IntArray, c: int, p: int) -> tuple[FloatArray, IntArray]:
        """Return how many of each cohort came back in each period, and the sizes."""
        inside = (cohort[self.customer] >= 0) & (self.since < p)
        who, since = self.customer[inside], self.since[inside]
        if self.span:  # windows that have not ended count nowhere
            done = self.begun[who] + (since + 1) * self.span - 1 <= self.seen
            who, since = who[done], since[done]
        cell = cohort[who] * p + since
        found = np.bincount(cell, minlength=c * p).reshape(c, p).astype(np.float64)
        return found, np.bincount(cohort[cohort >= 0], minlength=c)

    def at_risk(
        self, cohort: IntArray, number: IntArray, c: int, p: int
    ) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return how many could have come back, and which cells have begun and ended."""
        sizes = np.bincount(cohort[cohort >= 0], minlength=c).astype(np.float64)
        period = np.arange(p)
        if not self.span:
            last = self.first + len(self.bounds) - 2
            begun = number[:, None] + period <= last
            over = int(self.bounds[-1]) - 1 <= self.seen if len(self.bounds) else True
            ended = begun & ((number[:, None] + period < last) | over)
            return np.where(begun, sizes[:, None], np.nan), begun, ended
        who = np.flatnonzero(cohort >= 0)
        n_ended = np.maximum((self.seen + 1 - self.begun[who]) // self.span, 0)
        n_begun = np.maximum((self.seen - self.begun[who]) // self.span + 1, 0)
        risk, started = (
            np.cumsum(
                np.bincount(cohort[who] * (p + 1) + np.minimum(one, p), minlength=c * (p + 1)).reshape(c, p + 1)[
                    :, ::-1
                ],
                axis=1,
            )[:, ::-1][:, 1:]
            for one in (n_ended, n_begun)
        )
        return np.where(risk > 0, risk.astype(np.float64), np.nan), started > 0, started == risk


def _periods(found: Activity, calendar: Calendar, kind: str) -> _Cells:
    """Return who came back in which period of the calendar."""
    seen = int(found.as_of.seen)
    did, begun = first_times(found.start, found.n)
    if not did.any():
        return _nothing(did, begun, seen)
    first, last = (int(one) for one in calendar.number(np.array([begun[did].min(), seen])))
    if (last - first + 1) ** 2 > _MOST_CELLS:
        raise InputError(
            f"there are {last - first + 1:,} periods of a {calendar.unit}: choose a longer period.",
            argument="there",
            code="wrong_type",
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
    cells = _Cells(customer, period, did, begun, number, first, last - first + 1, bounds, seen, 0)
    return _of_kind(cells, kind, last - number)


def _windows(found: Activity, span: timedelta, kind: str) -> _Cells:
    """Return who came back in which window since their own start."""
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
            f"there are {width:,} windows of {span}: choose a longer period.", argument="period", code="too_many"
        )
    pair = distinct(customer * width + since)
    number = np.zeros(found.n, dtype=np.int64)
    cells = _Cells(pair // width, pair % width, did, begun, number, 0, width, np.empty(0, dtype=np.int64), seen, size)
    return _of_kind(cells, kind, np.where(did, (seen - begun) // size, 0))


def _of_kind(cells: _Cells, kind: str, last: IntArray) -> _Cells:
    """Return the pairs as another kind of retention has them."""
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


def _nothing(did: npt.NDArray[np.bool_], begun: IntArray, seen: int, span: int = 0) -> _Cells:
    none = np.empty(0, dtype=np.int64)
    return _Cells(none, none, did, begun, np.zeros(len(did), dtype=np.int64), 0, 1, none, seen, span)


def _grouped(
    data: Any, found: Activity, cells: _Cells, by: By, since: Instant | None, period: CohortPeriod, week_starts: str
) -> tuple[IntArray, IntArray, dict[str, npt.NDArray[Any]], npt.NDArray[np.datetime64]]:
    """Return the cohort of each customer (-1 for none), its number of a period, and what rows are called."""
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
                "by= needs the customers' fields: give the base instead of its purchases.",
                argument="by",
                code="missing_argument",
            )

        def of_start(name: str) -> Any:
            column = found.first(name)
            return None if column is None else column.take(people)

        groups = group_rows(data, found.as_of, by, people, cells.begun[people], of_start, of_events=found.of_events)
        if groups.rows is not None:
            raise InputError(
                "by= has segments that may overlap: a customer is in one cohort. Give one segment, or a field.",
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


def _notes(sizes: IntArray) -> tuple[str, ...]:
    few = int(np.count_nonzero(sizes < FEW))
    rows = "one cohort has" if few == 1 else f"{few:,} cohorts have"
    return (f"{rows} fewer than {FEW} customers",) if few else ()
