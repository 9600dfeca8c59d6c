"""Kernel of paths and maps: what each customer did in order; the order of rows in the log never matters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.ordering import order_by
from relmark.core.spans import length
from relmark.core.time import duration
from relmark.expressions.event_rows import EventRows
from relmark.expressions.kinds import check_on_data
from relmark.expressions.selection import Selection
from relmark.metrics.grouping import column_of
from relmark.metrics.windows import Stretch, events_of

__all__ = ["Trails", "read_trails", "rows_of"]


@attrs.frozen(eq=False)
class Trails:
    """Events sorted by trail and time, and at one instant by their names.

    Parameters
    ----------
    customer : ndarray of int64, shape (m,)
        The customer's row in the base.
    trail : ndarray of int64, shape (m,)
        The number of the trail, ascending. A customer has one trail, or a new one after each silence.
    time : ndarray of int64, shape (m,)
    name : ndarray of int64, shape (m,)
        A code into `names`.
    names : list of str
    row : ndarray of int64, shape (m,)
        The position among the events that were read.
    events : EventRows
    """

    customer: IntArray
    trail: IntArray
    time: IntArray
    name: IntArray
    names: list[str]
    row: IntArray
    events: EventRows

    @property
    def begins(self) -> npt.NDArray[np.bool_]:
        """Which rows begin a trail."""
        new = np.ones(len(self.trail), dtype=np.bool_)
        new[1:] = self.trail[1:] != self.trail[:-1]
        return new

    def property_of(self, rows: IntArray) -> Any:
        """Return a function that maps the name of a property to its column for the given rows."""

        def find(name: str) -> Column | None:
            if not any(name == "type" or name in scope.part.properties for scope in self.events.scopes):
                return None
            return self.events.column(name).take(self.row[rows])

        return find


def read_trails(
    base: CustomerBase, stretch: Stretch, of: Selection | None, label: str, gap: timedelta | None
) -> Trails:
    """Return what customers did in a window, named by the type of each event or by one of its properties."""
    if of is None:
        of = Selection((), any_type=True)
    if not isinstance(of, Selection):
        raise InputError(
            f"of is {shown(of)}; it must select events, such as event('visit').", argument="of", code="wrong_type"
        )
    text("label", label)
    silence = None
    if gap is not None:
        duration("gap", gap)
        silence = length(gap)
    customer, time, events = events_of(base, of, stretch.low, stretch.high)
    column = events.column(label)
    if len(time) and column.kind == "empty":
        raise MissingColumnError(f"label is {label!r}, but none of the events has this property.", argument="label")
    rows = np.arange(len(time))
    if column.missing.any():
        rows = np.flatnonzero(~column.missing)
        column = column.take(rows)
    code, values = column_of(column, label)
    who, when = customer[rows].astype(np.int64), time[rows]
    order = order_by(who, when, code)
    who, when, code, rows = who[order], when[order], code[order], rows[order]
    new = np.ones(len(who), dtype=np.bool_)
    new[1:] = who[1:] != who[:-1]
    if silence is not None:
        new[1:] |= np.diff(when) > silence
    return Trails(who, np.cumsum(new) - 1, when, code, [str(value) for value in values.tolist()], rows, events)


def rows_of(base: CustomerBase, stretch: Stretch, trails: Trails, selection: Selection, name: str) -> IntArray:
    """Return the rows of trails that are events of a selection."""
    if not isinstance(selection, Selection):
        raise InputError(
            f"{name} is {shown(selection)}; it must select events, such as event('visit').",
            argument=name,
            code="wrong_type",
        )
    check_on_data(selection.exists(), base)
    _, _, found = events_of(base, selection, stretch.low, stretch.high)
    wanted = _ids(found)
    return np.flatnonzero(np.isin(_ids(trails.events)[trails.row], wanted))


def _ids(events: EventRows) -> IntArray:
    """Return the caller's row of each event, which no two events share."""
    rows = [scope.part.row[scope.rows] for scope in events.scopes]
    row = np.concatenate(rows).astype(np.int64) if rows else np.empty(0, dtype=np.int64)
    return row if events.order is None else row[events.order]
