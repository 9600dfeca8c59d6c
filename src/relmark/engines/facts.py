"""The aggregates of each customer's events that a rule uses, as columns of one grouped pass over the events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from relmark.core.as_of import AsOf
from relmark.core.documents import canonical
from relmark.engines.instants import compared_midnight, compared_time
from relmark.expressions import Selection, Window, nodes
from relmark.expressions.event_rows import window_bounds
from relmark.expressions.needs import Needs
from relmark.expressions.scalar_calendar import Dated, Zone
from relmark.expressions.stored import written

__all__ = ["Facts"]


class Facts:
    """Collects the columns to aggregate, each of them once.

    Parameters
    ----------
    nw : module
        narwhals.
    as_of : AsOf
        The instant of the evaluation, in the time zone of calendar dates.
    time, type : str
        The columns of the events that hold the time and the type.
    test : callable
        Returns the expression of a predicate over an event.
    prop : callable
        Returns the expression of a property of events, and its kind.
    """

    def __init__(
        self,
        nw: Any,
        as_of: AsOf,
        time: str,
        type: str,
        test: Callable[[Any], Any],
        prop: Callable[[str], tuple[Any, str]],
    ) -> None:
        self.nw, self.as_of, self.zone = nw, as_of, Zone(as_of.tz)
        self.days = False  # whether the times are dates, that is, local days that stand for their midnights
        self.time, self.type = nw.col(time), type
        self.test, self.prop = test, prop
        self.plain_sql = False  # whether the plan becomes SQL text for other servers
        # Columns of events: which events count, the values of these, and what is computed from the values.
        self.rows: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})
        self.windows: list[tuple[str, Callable[[str], Any]]] = []  # columns that look at a customer's other events
        self.later: list[tuple[str, Any]] = []  # columns computed from those
        self.groups: dict[str, Any] = {}  # aggregates of customers
        self.names: dict[str, str] = {}

    def _named(self, what: str, key: Any) -> tuple[str, bool]:
        """Return the name of a column, and whether it is new."""
        full = f"{what}:{key}"
        if full in self.names:
            return self.names[full], False
        self.names[full] = f"__{what}_{len(self.names)}"
        return self.names[full], True

    def chosen(self, events: Selection, window: Window) -> tuple[Any, str]:
        """Return which events a selection and a window choose, as a boolean column without nulls, and its name."""
        body = [written(events), [written(bound) for bound in attrs.astuple(window, recurse=False)]]
        name, new = self._named("chosen", canonical(body))
        if new:
            nw = self.nw
            mask = self._inside(window)
            if events.any_type:
                mask = ~nw.col(self.type).is_null() & mask
            else:
                mask = nw.col(self.type).is_in(list(events.types)) & mask
            if events.where is not None:
                mask = mask & self.test(events.where)
            self.rows[0][name] = nw.when(mask).then(nw.lit(1)).otherwise(nw.lit(0))
        return self.nw.col(name) == 1, name

    def _inside(self, window: Window) -> Any:
        bounds = window_bounds(window, self.as_of)
        inside = self.compared("le", self.time, int(bounds.high))
        return inside if bounds.low is None else inside & self.compared("gt", self.time, int(bounds.low))

    def compared(self, op: str, times: Any, at: int) -> Any:
        """Return how times of events compare with an instant."""
        if self.days:
            return compared_midnight(self.nw, self.zone, op, times, at)
        return compared_time(self.nw, op, times, at)

    def needed(self, needs: Needs, times: Any) -> Any:
        """Return which events definitions need: their types, as far back as each type counts, and up to as_of."""
        nw = self.nw
        at = Dated(int(self.as_of.clock)) if self.as_of.dated else int(self.as_of.clock)
        kinds = nw.col(self.type)
        seen = self.compared("le", times, int(self.as_of.seen))
        bounds: dict[int | None, list[str]] = {}
        for name, first in needs.edges(needs.events, at, self.zone.name).items():
            bounds.setdefault(first, []).append(name)
        found = [(kinds.is_in(sorted(names)), first) for first, names in bounds.items()]
        if needs.any_event:  # the horizon of a named type is at least that of all types
            (first,) = needs.edges([""], at, self.zone.name).values()
            found.append((~kinds.is_null(), first))
        mask = nw.lit(False)  # noqa: FBT003  (a plain value)
        for k, (own, first) in enumerate(found):
            counts = own if first is None else own & self.compared("ge", times, first)
            mask = counts if k == 0 else mask | counts
        return mask & seen

    def _grouped(self, name: str, how: str) -> Any:
        """Return the column of customers that aggregates a column of events."""
        group = f"{name}_{how}"
        self.groups[group] = getattr(self.nw.col(name), how)()
        return self.nw.col(group)

    def count(self, events: Selection, window: Window) -> Any:
        """Return how many events each customer has."""
        _, name = self.chosen(events, window)
        return self._grouped(name, "sum").cast(self.nw.Float64).fill_null(0.0)

    def points(self, events: Selection, window: Window, key: str, worth: Any) -> Any:
        """Return the sum of the worth of each customer's events: whole numbers, from an expression over events."""
        mask, chosen = self.chosen(events, window)
        name, new = self._named("points", (chosen, key))
        if new:
            self.rows[1][name] = self.nw.when(mask).then(worth).otherwise(self.nw.lit(0.0))
        return self._grouped(name, "sum").cast(self.nw.Float64).fill_null(0.0)

    def time_of(self, events: Selection, window: Window, how: str) -> Any:
        """Return the time of each customer's first event (`how` is min) or last (max), null without one."""
        mask, chosen = self.chosen(events, window)
        name, new = self._named("time", chosen)
        if new:
            self.rows[1][name] = self.nw.when(mask).then(self.time)
        return self._grouped(name, how)

    def figure(self, node: nodes.Aggregate) -> Any:
        """Return an aggregate of a property of each customer's events."""
        assert node.of is not None
        nw = self.nw
        mask, chosen = self.chosen(node.events, node.window)
        value, kind = self.prop(node.of)
        if kind == "empty":
            return nw.lit(0.0) if node.op in {"sum", "count_distinct"} else nw.lit(None, dtype=nw.Float64)
        if kind == "boolean":  # engines have no minimum of booleans
            value = nw.when(~value.is_null()).then(nw.when(value).then(nw.lit(1)).otherwise(nw.lit(0)))
        name, new = self._named("value", (chosen, node.of))
        if new:
            self.rows[1][name] = nw.when(mask).then(value)
        match node.op:
            case "sum":
                return self._grouped(name, "sum").cast(nw.Float64).fill_null(0.0)
            case "mean" | "min" | "max":
                return self._grouped(name, node.op)
            case "count_distinct":
                return self._distinct(name)
        found = self._at_edge(name, "min" if node.op == "first" else "max")
        return found == 1 if kind == "boolean" else found

    def _distinct(self, name: str) -> Any:
        """Return how many distinct values there are."""
        nw = self.nw
        if self.plain_sql:
            # Each value counts 1, divided among its events, because not every SQL server supports `n_unique`.
            size, new = self._named("size", name)
            if new:
                self.windows.append((size, lambda by: nw.col(name).count().over(by, name)))
                held = nw.when(nw.col(size) > 0).then(nw.col(size)).cast(nw.Float64)
                self.later.append((f"{size}_share", 1.0 / held))
            return self._grouped(f"{size}_share", "sum").round(0).cast(nw.Float64).fill_null(0.0)
        # Engines count null as one value, which is subtracted.
        flag, new = self._named("null", name)
        if new:
            self.rows[2][flag] = nw.when(nw.col(name).is_null()).then(nw.lit(1)).otherwise(nw.lit(0))
        different = self._grouped(name, "n_unique") - self._grouped(flag, "max")
        return different.cast(nw.Float64).fill_null(0.0)

    def active_days(self, events: Selection, window: Window) -> Any:
        """Return on how many days in UTC each customer has an event."""
        mask, chosen = self.chosen(events, window)
        name, new = self._named("day", chosen)
        if new:
            self.rows[1][name] = self.nw.when(mask).then(self.time if self.days else self.time.dt.date())
        return self._distinct(name)

    def _at_edge(self, name: str, how: str) -> Any:
        """Return the smallest of the values at the first or last time that has a value."""
        nw = self.nw
        known, new = self._named("known", name)
        if new:
            self.rows[2][known] = nw.when(~nw.col(name).is_null()).then(self.time)
        edge, new = self._named(f"edge_{how}", name)
        if new:
            self.windows.append((edge, lambda by: getattr(nw.col(known), how)().over(by)))
            self.later.append((f"{edge}_value", nw.when(nw.col(known) == nw.col(edge)).then(nw.col(name))))
        return self._grouped(f"{edge}_value", "min")

    def table(self, events: Any, customer_id: str, needs: Needs) -> Any:
        """Return the lazy frame of aggregates, one row per customer who has an event that counts."""
        frame = events.filter(self.needed(needs, self.time))
        edges = {name: build(customer_id) for name, build in self.windows}
        for columns in (*self.rows, edges, dict(self.later)):  # many columns per step keep the plan flat
            if columns:
                frame = frame.with_columns(*[expression.alias(name) for name, expression in columns.items()])
        return frame.group_by(customer_id).agg(*[group.alias(name) for name, group in self.groups.items()])
