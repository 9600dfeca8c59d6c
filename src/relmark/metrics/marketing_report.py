"""A report of one period: commerce, base and messages, compared with the period before and with a year before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.formats import text_table
from relmark.core.intervals import Estimate
from relmark.core.results import ColumnarResult
from relmark.core.spans import Span, calendar_days, months
from relmark.core.zones import DAY, local_days
from relmark.metrics._calendar import Calendar
from relmark.metrics.base_health import BaseHealth, base_health
from relmark.metrics.commerce import CommerceMetrics, commerce_metrics
from relmark.metrics.definitions import Definition, describe
from relmark.metrics.estimates import Estimates
from relmark.metrics.messages import MessageMetrics, message_metrics
from relmark.metrics.windows import Stretch, base_given

__all__ = ["MarketingReport", "marketing_report"]

_PER_YEAR = {"month": 12, "quarter": 4, "year": 1}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_COMMERCE = (
    ("orders", "orders"), ("customers", "customers"), ("new_customers", "customers"),
    ("returning_customers", "customers"), ("revenue", "money"), ("new_revenue", "money"),
    ("returning_revenue", "money"), ("average_order_value", "money per order"),
    ("orders_per_customer", "orders per customer"), ("revenue_per_customer", "money per customer"),
)  # fmt: skip
_BASE = (
    ("customers", "customers"), ("joined", "customers"), ("growth", "share"), ("active", "customers"),
    ("active_share", "share"), ("unsubscribe_share", "share"), ("complaint_share", "share"),
)  # fmt: skip
_MESSAGES = (
    ("sent", "messages"), ("delivery_rate", "share"), ("open_rate", "share"), ("ctr_delivered", "share"),
    ("click_to_open_rate", "share"), ("unsubscribe_rate", "share"), ("complaint_rate", "share"),
)  # fmt: skip
_SECTIONS: dict[str, tuple[tuple[str, str], ...]] = {"commerce": _COMMERCE, "base": _BASE, "messages": _MESSAGES}
_COMPARED = ("this", "before", "year_before")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class MarketingReport(ColumnarResult):
    """The figures of a period, one row each, with the tables that they come from.

    Parameters
    ----------
    section, figure, unit : ndarray of str, shape (n,)
    this, before, year_before : ndarray of float64, shape (n,)
        The figure in the period, in the period before it, and a year before. It is NaN where it is undefined, or where
        nothing had been recorded yet.
    change, change_of_year : ndarray of float64, shape (n,)
        By how much the figure rose: for shares the difference (0.01 is one percentage point), for all other figures the
        difference divided by the earlier figure.
    periods : mapping of str to datetime64
        The periods that are compared: their first days, months or years.
    in_progress : bool
        Whether the period has not ended by as_of.
    tables : mapping of str to mapping
        "commerce", "base" and "messages" by period, with intervals and reasons.
    as_of : datetime64
    notes : tuple of str
    """

    section: npt.NDArray[np.str_]
    figure: npt.NDArray[np.str_]
    unit: npt.NDArray[np.str_]
    this: FloatArray
    before: FloatArray
    change: FloatArray
    year_before: FloatArray
    change_of_year: FloatArray
    periods: Mapping[str, np.datetime64]
    in_progress: bool
    tables: Mapping[str, Mapping[str, CommerceMetrics | BaseHealth | MessageMetrics]]
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def describe(self, name: str) -> Definition:
        """Return the definition of a figure."""
        return describe(name)

    def _lines(self) -> list[str]:
        return list(self.notes)

    def __str__(self) -> str:
        columns = self.to_columns()
        pages = [f"{self.periods['this']} compared with {self.periods['before']} and {self.periods['year_before']}"]
        for name in dict.fromkeys(self.section.tolist()):
            rows = self.section == name
            shown = {key: column[rows] for key, column in columns.items() if key not in ("section", "unit")}
            if np.isnan(self.year_before[rows]).all():
                shown = {key: column for key, column in shown.items() if key not in ("year_before", "change_of_year")}
            pages.append(text_table(shown, title=name))
        return "\n\n".join([*pages, *(["\n".join(self.notes)] if self.notes else [])])


def marketing_report(base: CustomerBase, *, as_of: AsOfGiven, period: str = "month") -> MarketingReport:
    """Report the commerce, base and message figures of a period, compared with the period before and a year before.

    Parameters
    ----------
    base : CustomerBase
        Sections for which it has no events are left out.
    as_of : date or instant
        The report is about the period that contains the last moment before `as_of`: for February 1 it is January.
    period : {"month", "quarter", "year", "week", "day"}
        A week is compared with the week 52 weeks before, and a day with the day 364 days before, the same weekday.

    Returns
    -------
    MarketingReport

    Notes
    -----
    Every figure describes the base at the end of its period, so that a report of March is the same in April and in May.
    A period in progress ends at `as_of` and is compared with complete periods; the notes say so.

    Examples
    --------
    >>> orders = {"user": ["a", "a", "b"], "day": ["2026-01-15", "2026-02-10", "2026-02-12"], "v": [20.0, 10.0, 5.0]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="v")
    >>> report = marketing_report(base, as_of="2026-03-01")
    >>> report.figure[:3].tolist(), report.this[:3].tolist(), report.change[:3].tolist()
    (['orders', 'customers', 'new_customers'], [2.0, 2.0, 1.0], [1.0, 1.0, 0.0])
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, None)
    calendar = Calendar(period, base.tz)
    number = int(calendar.number(np.array([stretch.high]))[0])
    back = {"week": 52, "day": 364}.get(period, _PER_YEAR.get(period, 1))
    numbers = {"this": number, "before": number - 1, "year_before": number - back}
    begins, after = (int(at) for at in calendar.begins(np.array([number, number + 1])))
    in_progress = after - 1 > stretch.high
    first = base.events.first_time
    began = None if first is None else int(np.datetime64(first.replace(tzinfo=None), "us").astype(np.int64))
    notes, found = [], {}
    for name, one in numbers.items():
        low, end = (int(at) for at in calendar.begins(np.array([one, one + 1])))
        label = calendar.label(np.array([one]))[0]
        if began is None or end <= began:
            notes.append(f"{label}: nothing had been recorded yet")
            continue
        if began - low >= DAY:
            day = local_days(np.array([began]), base.tz).astype("M8[D]")[0]
            notes.append(f"{label}: events were recorded only from {day} on")
        if name == "this" and in_progress:
            notes.append(f"{label} is in progress: its figures up to {stretch.as_of} are compared with whole periods")
            found[name] = _tables(base, as_of, _since(stretch.as_of, begins, base.tz))
            continue
        day = calendar.first_day(np.array([one + 1])).astype("M8[D]")[0]
        found[name] = _tables(base, day, _length(calendar, period, one))
    return _report(found, {name: calendar.label(np.array([one]))[0] for name, one in numbers.items()},
                   stretch, in_progress=in_progress, notes=tuple(notes))  # fmt: skip


def _length(calendar: Calendar, period: str, number: int) -> Span:
    """Return the length of a complete period, counted back from the day after it."""
    if period in _MONTHS:
        return months(_MONTHS[period])
    first, after = calendar.first_day(np.array([number, number + 1])).tolist()
    return calendar_days(after - first)


def _since(as_of: AsOf, begin: int, tz: str) -> Span:
    """Return how long a period in progress has lasted."""
    if np.all(as_of.dated):
        return calendar_days(int(as_of.day) - int(local_days(np.array([begin]), tz)[0]))
    return timedelta(microseconds=max(int(as_of.clock) - begin + 1, 1))


def _tables(base: CustomerBase, as_of: Any, within: Span) -> dict[str, Any]:
    """Return the tables of one period."""
    made: dict[str, Any] = {}
    if base.events.partition("purchase") is not None:
        made["commerce"] = commerce_metrics(base, as_of=as_of, within=within)
    made["base"] = base_health(base, as_of=as_of, within=within)
    if base.events.partition("message_sent") is not None:
        made["messages"] = message_metrics(base, as_of=as_of, within=within)
    return made


def _report(
    found: Mapping[str, Mapping[str, Any]], periods: Mapping[str, np.datetime64], stretch: Stretch, *,
    in_progress: bool, notes: tuple[str, ...],
) -> MarketingReport:  # fmt: skip
    have = {name for tables in found.values() for name in tables}
    rows = [(section, *one) for section, figures in _SECTIONS.items() if section in have for one in figures]

    def column(period: str) -> FloatArray:
        tables = found.get(period, {})
        return np.array([_figure(tables.get(section), figure) for section, figure, _ in rows], dtype=np.float64)

    values = {name: column(name) for name in _COMPARED}
    share = np.array([unit == "share" for *_, unit in rows], dtype=np.bool_)

    def change(earlier: FloatArray) -> FloatArray:
        moved = values["this"] - earlier
        known = np.where(earlier != 0, earlier, np.nan)
        return np.where(share, moved, moved / known)

    def words(place: int) -> npt.NDArray[np.str_]:
        return np.array([row[place] for row in rows], dtype=np.str_)

    return MarketingReport(
        section=words(0), figure=words(1), unit=words(2), this=values["this"], before=values["before"],
        change=change(values["before"]), year_before=values["year_before"],
        change_of_year=change(values["year_before"]),
        periods=periods, in_progress=in_progress,
        tables={section: {name: tables[section] for name, tables in found.items() if section in tables}
                for section in _SECTIONS if section in have},
        as_of=stretch.as_of.given, notes=(*_undefined(found.get("this", {})), *notes),
    )  # fmt: skip


def _undefined(tables: Mapping[str, Any]) -> list[str]:
    """Return why figures of the period are undefined, one line per reason."""
    reasons: dict[str, list[str]] = {}
    for section, table in tables.items():
        for name, _ in _SECTIONS[section]:
            figures = getattr(table, name, None)
            first = figures[0] if isinstance(figures, Estimates) else figures
            if isinstance(first, Estimate) and np.isnan(first.value):
                reasons.setdefault(first.reason, []).append(name)
    return [f"{', '.join(names)}: nan ({reason})" for reason, names in reasons.items()]


def _figure(table: Any, name: str) -> float:
    value = getattr(table, name, np.nan)
    return float(np.asarray(getattr(value, "value", value), dtype=np.float64).ravel()[0])
