"""The period that a table is about: the events of (as_of - within, as_of], or all events up to as_of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.names import a_type
from relmark.core.spans import Span, check_span, whole_days
from relmark.expressions.event_rows import Bounds, EventRows, chosen_events
from relmark.expressions.kinds import check_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection

__all__ = [
    "Stretch",
    "base_given",
    "events_of",
    "is_about_events",
    "properties_of",
    "selection_given",
    "span_words",
]


@attrs.frozen(eq=False)
class Stretch:
    """A window: low < t <= high in microseconds UTC; `low` is None if everything up to `high` counts."""

    low: int | None
    high: int
    as_of: AsOf
    within: Span | None

    @staticmethod
    def of(base: CustomerBase, as_of: AsOfGiven, within: Span | None) -> Stretch:
        """Return the window that a caller's arguments describe."""
        if within is not None:
            check_span("within", within)
        moment = base.as_of(as_of)
        if moment.each:
            raise InputError(
                "as_of has one instant per customer, but this table needs one instant or date for everybody.",
                argument="as_of",
                code="wrong_type",
            )
        low = None if within is None else int(moment.before(within))
        return Stretch(low, int(moment.seen), moment, within)

    def rows(self, time: IntArray) -> slice:
        """Return the slice of ascending times that lie in the window."""
        start = 0 if self.low is None else int(np.searchsorted(time, self.low, side="right"))
        return slice(start, max(start, int(np.searchsorted(time, self.high, side="right"))))

    def __str__(self) -> str:
        if self.within is None:
            return f"everything up to {self.as_of}"
        return f"the {span_words(self.within)} up to {self.as_of}"


def span_words(span: Span) -> str:
    """Return a length of time in words: "7 days", "1:30:00", "calendar_days(7)"."""
    days = whole_days(span) if isinstance(span, timedelta) else None
    return str(span) if days is None else f"{days:,} day{'' if days == 1 else 's'}"


def base_given(base: Any) -> CustomerBase:
    """Return the base if it is one, or raise an error."""
    if not isinstance(base, CustomerBase):
        raise InputError(
            f"base is {a_type(base)}; it must be a CustomerBase, such as CustomerBase(events=log) or "
            "CustomerBase.from_orders(...).",
            argument="base",
            code="wrong_type",
        )
    return base


def selection_given(name: str, value: Any) -> Selection:
    """Return the selection of events if it is one, or raise an error."""
    if not isinstance(value, Selection):
        raise InputError(
            f"{name} is {shown(value)}; it must select events, such as event('purchase').",
            argument=name,
            code="wrong_type",
        )
    return value


def events_of(
    base: CustomerBase, selection: Selection, low: int | None, high: int
) -> tuple[npt.NDArray[Any], IntArray, EventRows]:
    """Return the customers (as rows of the base), the times and the table of the selected events, ordered by time."""
    if selection.where is not None:
        check_on_data(selection.exists(), base)
    found = chosen_events(base.events, selection, Bounds(low, high), base.tz)
    customer = found.codes if base.codes_are_rows else base.code_to_row[found.codes]
    return customer, found.times, found


def properties_of(events: EventRows, rows: IntArray | slice | None = None) -> Callable[[str], Column | None]:
    """Return a function that maps the name of a property to its column, or to None if no event has it."""

    def find(name: str) -> Column | None:
        if not any(name == "type" or name in scope.part.properties for scope in events.scopes):
            return None
        column = events.column(name)
        return column if rows is None else column.take(rows)

    return find


def is_about_events(rule: Expression) -> bool:
    """Return whether a rule is about properties of events, not about fields of customers."""
    return "prop(" in rule.to_text()
