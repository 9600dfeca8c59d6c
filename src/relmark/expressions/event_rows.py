"""The events that a selection and a window choose, as one table in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.checks import IntArray
from relmark.core.columns import Column, joined
from relmark.core.log import EventLog
from relmark.core.ordering import stable_order
from relmark.core.partition import Partition
from relmark.core.time import local_midnights
from relmark.expressions import nodes
from relmark.expressions.calendar_tests import first_days, period_number, shown_by_clock
from relmark.expressions.column_tests import constant
from relmark.expressions.operators import Expression
from relmark.expressions.scope import Scope
from relmark.expressions.selection import Selection, Window
from relmark.expressions.truth import Truth

__all__ = [
    "Bounds",
    "EventRows",
    "EventScope",
    "chosen_events",
    "chosen_masks",
    "window_bounds",
]

Moment = int | IntArray


@attrs.frozen
class Bounds:
    """The instants low < t <= high of a window, one for all or one per customer; None means no limit."""

    low: Moment | None
    high: Moment


def window_bounds(window: Window, as_of: AsOf) -> Bounds:
    """Return the bounds of a window."""
    high = (as_of if window.ago is None else as_of.moved(window.ago)).seen
    low = None
    if window.within is not None:
        *further, last = window.back
        start = as_of
        for span in further:
            start = start.moved(span)
        low = start.before(last)
    since, until = window.first(as_of.tz), window.last(as_of.tz)
    if since is not None:
        low = _larger(low, since - 1)
    if until is not None:
        high = -_larger(-high, -until)
    if window.during is not None:
        first, after = window.during.bounds(period_number(as_of.day, window.during.unit))
        begin, stop = (_midnights(number, window.during.unit, as_of.tz) - 1 for number in (first, after))
        low, high = _larger(low, begin), -_larger(-high, -stop)
    return Bounds(low, high)


def _larger(a: Any, b: Any) -> Any:
    if a is None:
        return b
    return np.maximum(a, b) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else max(a, b)


def _midnights(number: Any, unit: str, tz: str) -> Any:
    """Return the instants at which calendar periods begin."""
    days = first_days(np.atleast_1d(np.asarray(number, dtype=np.int64)), unit)
    found = local_midnights(days, tz)
    return found if np.ndim(number) else int(found[0])


class EventScope(Scope):
    """Some events of one type, with their properties as leaves."""

    def __init__(self, part: Partition, type_name: str, rows: slice | IntArray, n: int, tz: str) -> None:
        super().__init__(n, tz)
        self.part = part
        self.type_name = type_name
        self.rows = rows

    def leaf(self, node: Expression) -> Column | Truth:
        """Return a property, the value or the type of each event."""
        if isinstance(node, nodes.Clock):
            return Column("number", shown_by_clock(node.op, self.part.time[self.rows], self.tz))
        if not isinstance(node, nodes.Prop):
            return super().leaf(node)
        return self.property(node.name)

    def property(self, name: str) -> Column:
        """Return a property of each event; a property that no event of this type has is missing everywhere."""
        if name == "type":
            return constant(self.type_name, self.n)
        if name == "value":
            value = self.part.value
            return Column.empty(self.n) if value is None else Column("number", value[self.rows])
        column = self.part.properties.get(name)
        return Column.empty(self.n) if column is None else column.take(self.rows)


class EventRows:
    """Chosen events, as one table ascending in time: codes of customers, times, and properties on demand."""

    def __init__(self, scopes: list[EventScope], tz: str) -> None:
        self.scopes = scopes
        self.tz = tz
        codes: list[npt.NDArray[Any]] = [scope.part.code[scope.rows] for scope in scopes]
        times = [scope.part.time[scope.rows] for scope in scopes]
        self.order: IntArray | None = None
        self.codes: npt.NDArray[Any]
        if len(scopes) == 1:
            self.codes, self.times = codes[0], times[0]
        else:
            self.codes = np.concatenate(codes) if codes else np.empty(0, dtype=np.int32)
            self.times = np.concatenate(times) if times else np.empty(0, dtype=np.int64)
            if scopes:
                self.order = stable_order(self.times)
                self.codes, self.times = self.codes[self.order], self.times[self.order]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.times)

    def column(self, name: str) -> Column:
        """Return a property of each event."""
        column = joined(f"property {name!r}", [scope.property(name) for scope in self.scopes])
        return column if self.order is None else column.take(self.order)

    def truth(self, where: Expression) -> Truth:
        """Return the value of a predicate for each event."""
        parts = [scope.truth(where) for scope in self.scopes]
        if len(parts) == 1:
            return parts[0]
        true = np.concatenate([part.true for part in parts] or [np.empty(0, dtype=np.bool_)])
        unknown = np.concatenate([part.possible & ~part.true for part in parts] or [np.empty(0, dtype=np.bool_)])
        if self.order is not None:
            true, unknown = true[self.order], unknown[self.order]
        return Truth.of(true, unknown)


def chosen_events(log: EventLog, selection: Selection, bounds: Bounds, tz: str) -> EventRows:
    """Return the events of a selection within bounds; only the slice between the outermost bounds is read."""
    scopes = []
    for name in selection.names(log.types):
        part = log.partition(name)
        if part is not None:
            rows = _chosen_rows(part, name, selection.where, bounds, tz)
            n = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
            scopes.append(EventScope(part, name, rows, n, tz))
    return EventRows(scopes, tz)


def chosen_masks(
    log: EventLog, selection: Selection, bounds: Bounds, tz: str
) -> Iterator[tuple[Partition, npt.NDArray[np.bool_] | None]]:
    """Yield the partitions of a selection, and which of their events are chosen, None if all are."""
    for name in selection.names(log.types):
        part = log.partition(name)
        if part is not None:
            rows = _chosen_rows(part, name, selection.where, bounds, tz)
            mask = None
            if rows != slice(0, len(part)) if isinstance(rows, slice) else True:
                mask = np.zeros(len(part), dtype=np.bool_)
                mask[rows] = True
            yield part, mask


def _chosen_rows(part: Partition, name: str, where: Expression | None, bounds: Bounds, tz: str) -> slice | IntArray:
    each = [bound for bound in (bounds.low, bounds.high) if isinstance(bound, np.ndarray)]
    rows = part.window(_outermost(bounds.low, largest=False), _outermost(bounds.high, largest=True))
    mask: Any = None
    if each:
        code, time = part.code[rows], part.time[rows]
        mask = time <= (bounds.high[code] if isinstance(bounds.high, np.ndarray) else bounds.high)
        if bounds.low is not None:
            mask &= time > (bounds.low[code] if isinstance(bounds.low, np.ndarray) else bounds.low)
    if where is not None:
        if mask is not None:
            inside = np.flatnonzero(mask) + rows.start
            fits = EventScope(part, name, inside, len(inside), tz).truth(where)
            return np.asarray(inside[fits.true])
        mask = EventScope(part, name, rows, rows.stop - rows.start, tz).truth(where).true
    return rows if mask is None else np.flatnonzero(mask) + rows.start


def _outermost(bound: Moment | None, *, largest: bool) -> int | None:
    if isinstance(bound, np.ndarray):
        return int(bound.max() if largest else bound.min()) if len(bound) else 0
    return bound
