"""Evaluation of a rule over a whole base: one column per node; equal nodes are computed once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.assignment import role_seed
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, IntArray
from relmark.core.columns import Column, joined
from relmark.core.hashing import hash_buckets
from relmark.core.spans import repeated
from relmark.core.time import DAY, local_days
from relmark.expressions import aggregates, nodes
from relmark.expressions.aggregates import Codes
from relmark.expressions.calendar_tests import (
    completed_years,
    days_since_anniversary,
    days_to_anniversary,
    period_number,
    returns_in_period,
    shown_by_clock,
)
from relmark.expressions.column_tests import compare, days_of, instants_of, is_missing
from relmark.expressions.event_rows import Bounds, EventRows, chosen_events, chosen_masks, window_bounds
from relmark.expressions.kinds import check_on_data
from relmark.expressions.lengths import length
from relmark.expressions.operators import Expression
from relmark.expressions.reaching import Path, deepest
from relmark.expressions.scope import Scope, spread
from relmark.expressions.selection import Selection, Window
from relmark.expressions.sequences import Pace, StepEvents, UnitTimes, in_order, in_strict_order
from relmark.expressions.truth import Truth
from relmark.expressions.walk import check_depth

__all__ = ["BaseScope", "base_scope", "measure"]

_ZERO = {"count", "sum", "active_days", "count_distinct"}  # figures that are 0 without events
_PLAIN = (nodes.Literal, nodes.Field, nodes.Everyone, nodes.SegmentRef)


def measure(expression: Expression, base: CustomerBase, as_of: Any, shared: dict[Any, Any] | None = None) -> Column:
    """Evaluate an expression for each customer of a base, as a column aligned with ``base.customer_id``."""
    check_depth(expression)
    check_on_data(expression, base, segments=())
    return base_scope(base, base.as_of(as_of), shared=shared).column(expression)


def base_scope(
    base: CustomerBase,
    as_of: AsOf,
    *,
    segments: Mapping[str, Expression] | None = None,
    shared: dict[Any, Any] | None = None,
    keep: set[str] | None = None,
) -> BaseScope:
    """Return the scope of a base; if the base has a zone for each customer, one that evaluates by zones."""
    kind = BaseScope if base.zone is None else ZonedScope
    return kind(base, as_of, segments=segments, shared=shared, keep=keep)


class BaseScope(Scope):
    """The customers of a base at a date or an instant, one for all or one per customer.

    Parameters
    ----------
    base : CustomerBase
        The customers and events.
    as_of : AsOf
        The time, as returned by ``base.as_of``.
    segments : mapping of str to Expression
        The rules for which `segment("name")` stands, by name.
    shared : dict, optional
        The values of nodes that were computed, by fingerprint.
    keep : set of str, optional
        The fingerprints of the nodes whose values are kept; all by default.
    """

    def __init__(
        self,
        base: CustomerBase,
        as_of: AsOf,
        *,
        segments: Mapping[str, Expression] | None = None,
        shared: dict[Any, Any] | None = None,
        keep: set[str] | None = None,
    ) -> None:
        super().__init__(len(base), base.tz)
        self.base = base
        self.as_of = as_of
        self.segments = segments or {}
        self.shared = {} if shared is None else shared
        self.keep = keep
        rows = base.code_to_row
        self.rows = None if base.codes_are_rows else rows
        self.k = base.events.n_customers
        # as_of of each of the log's customers, to whom events belong
        self.seen_as_of: AsOf = as_of.take(rows)

    def compute(self, node: Expression) -> Column | Truth:
        """Return the value of a node; a value that was computed before is used again."""
        if isinstance(node, _PLAIN):
            return super().compute(node)
        key = node.fingerprint
        found = self.shared.get(key)
        if found is None:
            found = super().compute(node)
            if self.keep is None or key in self.keep:
                self.shared[key] = found
        return found

    def leaf(self, node: Expression) -> Column | Truth:
        """Return fields, figures of events, and tests of dates and ids."""
        match node:
            case nodes.Field(name=name):
                return self.base.column(name)
            case nodes.Aggregate():
                return self._spread(node, self._aggregate(node))
            case nodes.Stage():
                reached = self._stage(node)
                return reached if self.rows is None else reached.spread(self.rows, self.n)
            case nodes.DateWindow():
                return self._date_window(node)
            case nodes.InPeriod(arg=arg, unit=unit, offset=offset, yearly=yearly):
                column = self.column(arg)
                wanted = period_number(self._today(), unit) + offset
                if yearly:
                    return Truth.of(returns_in_period(self._days(column), wanted, unit), is_missing(column))
                return Truth.of(period_number(self._days(column), unit) == wanted, is_missing(column))
            case nodes.Age(arg=arg):
                column = self.column(arg)
                years = completed_years(self._days(column), self._today())
                missing = is_missing(column)
                return Column("number", years if missing is None else np.where(missing, np.nan, years))
            case nodes.Clock(op=op):
                shown = shown_by_clock(op, np.atleast_1d(np.asarray(self.as_of.clock, dtype=np.int64)), self.tz)
                return Column("number", np.array(np.broadcast_to(shown, self.n)))
            case nodes.Everyone():
                return Truth.constant(value=True, n=self.n)
            case nodes.Ids(values=values):
                rows = self.base.find(np.array(values)) if values else np.empty(0, dtype=np.int64)
                found = np.zeros(self.n, dtype=np.bool_)
                found[rows[rows >= 0]] = True
                return Truth(found)
            case nodes.Sample(salt=salt):
                return Truth(hash_buckets(self.base.customer_id, role_seed("sample", salt)) < node.buckets)
            case nodes.SegmentRef(name=name):
                return self.truth(self.segments[name])
        return self._behavior(node)

    def _behavior(self, node: Expression) -> Truth:
        match node:
            case nodes.Regularly():
                return self._spread_truth(self._regularly(node))
            case nodes.LastEvent(events=events, where=where, window=window):
                return self._last_event(self._events(events, window), where)
            case nodes.Sequence():
                return self._spread_truth(self._sequence(node))
            case nodes.NotFollowedBy():
                return self._spread_truth(self._not_followed_by(node))
        raise AssertionError(f"{type(node).__name__} cannot be evaluated")

    # Dates

    def _today(self) -> Any:
        return self.as_of.day

    def _days(self, column: Column) -> IntArray:
        return np.zeros(self.n, dtype=np.int64) if column.kind == "empty" else days_of(column, self.tz)

    def _date_window(self, node: nodes.DateWindow) -> Truth:
        column = self.column(node.arg)
        missing = is_missing(column)
        size = length(node.duration)
        if node.op == "anniversary":
            ahead = days_to_anniversary(self._days(column), self._today())
            return Truth.of(ahead < size // DAY, missing)
        if node.op == "past_anniversary":
            behind = days_since_anniversary(self._days(column), self._today())
            return Truth.of(behind < size // DAY, missing)
        if node.op == "upcoming" and column.kind == "date":
            ahead = self._days(column) - self._today()
            return Truth.of((ahead >= 0) & (ahead < size // DAY), missing)
        moments = np.zeros(self.n, dtype=np.int64) if column.kind == "empty" else instants_of(column, self.tz)
        clock = self.as_of.clock
        if node.op == "upcoming":
            return Truth.of((moments > clock) & (moments <= clock + size), missing)
        before = self.as_of.moved(node.duration).clock
        if node.op == "older_than":
            return Truth.of(moments <= before, missing)
        return Truth.of((moments > before) & (moments <= clock), missing)

    # Events

    def _events(self, events: Selection, window: Window) -> EventRows:
        return chosen_events(self.base.events, events, window_bounds(window, self.seen_as_of), self.tz)

    def _spread_truth(self, found: BoolArray) -> Truth:
        return Truth(spread(found, self.rows, self.n, default=False))

    def _spread(self, node: nodes.Aggregate, found: Column | Truth) -> Column | Truth:
        """Return a figure of the log's customers for all customers; those without events get 0, false or no value."""
        if self.rows is None:
            return found
        if isinstance(found, Truth):
            return self._spread_truth(found.true)
        if found.kind == "number":
            if node.op in _ZERO:
                return Column("number", spread(found.data, self.rows, self.n, 0))
            return Column("number", spread(found.numbers(), self.rows, self.n, np.nan))
        return found.spread(self.rows, self.n)

    def _compare(self, op: str, left: Expression, right: Expression) -> Truth:
        """Compare a figure of events with a plain value, and only then spread the result to all customers."""
        if not (isinstance(left, nodes.Aggregate) and isinstance(right, nodes.Literal)) or self._is_kept(left):
            return super()._compare(op, left, right)
        figure = self._count(left) if left.op == "count" else self._column_of(self._aggregate(left))
        verdict = compare(op, figure, right.value, self.tz)
        if self.rows is None:
            return verdict
        without = compare(op, _of_nobody(left.op), right.value, self.tz)
        true = spread(verdict.true, self.rows, self.n, default=bool(without.true[0]))
        if verdict.unknown is None and without.unknown is None:
            return Truth(true)
        unknown = verdict.possible & ~verdict.true
        return Truth(true, spread(unknown, self.rows, self.n, default=without.unknown is not None))

    def _is_kept(self, node: Expression) -> bool:
        return self.keep is None or node.fingerprint in self.keep

    @staticmethod
    def _column_of(found: Column | Truth) -> Column:
        return found.column() if isinstance(found, Truth) else found

    def _count(self, node: nodes.Aggregate) -> Column:
        """Return the number of events of each of the log's customers, as integers of any width, for comparisons."""
        return Column("number", aggregates.counts(self._events(node.events, node.window).codes, self.k))

    def _aggregate(self, node: nodes.Aggregate) -> Column | Truth:
        """Return a figure of each of the log's customers."""
        events = self._events(node.events, node.window)
        k, codes, times = self.k, events.codes, events.times
        match node.op:
            case "count":
                return Column("number", aggregates.counts(codes, k).astype(np.int64, copy=False))
            case "exists":
                return Truth(aggregates.present(codes, k))
            case "active_days":
                return Column("number", _active_days(codes, times, k, self.tz))
            case "days_since_first" | "days_since_last":
                of_time = aggregates.first_times if node.op == "days_since_first" else aggregates.last_times
                when = of_time(codes, times, k)
                never = when == aggregates.NEVER
                elapsed = self.seen_as_of.elapsed(np.where(never, self.seen_as_of.clock, when))
                return Column("number", np.where(never, np.nan, elapsed))
        assert node.of is not None
        column = events.column(node.of)
        missing = is_missing(column)
        if missing is not None:
            known = np.flatnonzero(~missing)
            codes, times, column = codes[known], times[known], column.take(known)
        if node.op in {"first", "last", "most_frequent", "count_distinct"}:
            return self._chosen_value(node.op, codes, times, column)
        return self._figure(node.op, codes, column.numbers())

    def _figure(self, op: str, codes: Codes, values: npt.NDArray[np.float64]) -> Column:
        if op in {"min", "max"}:
            return Column("number", aggregates.extreme_values(codes, values, self.k, largest=op == "max"))
        figures = aggregates.exact_sums(codes, values, self.k)
        if op == "mean":
            with np.errstate(invalid="ignore"):
                figures = figures / aggregates.counts(codes, self.k)
        return Column("number", figures)

    def _chosen_value(self, op: str, codes: Codes, times: IntArray, column: Column) -> Column:
        k = self.k
        if column.kind == "tags" and op in {"count_distinct", "most_frequent"}:  # of tags, not of sets
            codes, column = aggregates.members(codes, column)
        if len(column) == 0:
            return Column("number", np.zeros(k, dtype=np.int64)) if op == "count_distinct" else Column.empty(k)
        ranks, values = aggregates.ranked(column)
        if op == "count_distinct":
            return Column("number", aggregates.distinct_counts(codes, ranks, len(values), k))
        if op == "most_frequent":
            places = aggregates.most_frequent_ranks(codes, ranks, len(values), k)
        else:
            places = aggregates.smallest_of_time(codes, times, ranks, k, last=op == "last")
        known = np.flatnonzero(places >= 0)
        return values.take(places) if len(known) == k else values.take(places[known]).spread(known, k)

    def _regularly(self, node: nodes.Regularly) -> BoolArray:
        if isinstance(node.period, str):
            events = self._events(node.events, Window())
            today = period_number(self.seen_as_of.day, node.period)
            here = period_number(local_days(events.times, self.tz), node.period)
            back = (today[events.codes] if self.seen_as_of.each else today) - here
            inside = back < node.of
            codes, back = events.codes[inside], back[inside]
        else:
            size, as_of = length(node.period), self.seen_as_of
            low = as_of.before(repeated(node.period, node.of))
            events = chosen_events(self.base.events, node.events, Bounds(low, as_of.seen), self.tz)
            codes, back = events.codes, as_of.take(events.codes).ages(events.times, node.period) // size
        return aggregates.distinct_counts(codes, back, node.of, self.k) >= node.min_periods

    def _last_event(self, events: EventRows, where: Expression) -> Truth:
        k, codes = self.k, events.codes
        latest = events.times == aggregates.last_times(codes, events.times, k)[codes]
        verdict = events.truth(where)
        some_false = aggregates.present(codes[latest & ~verdict.possible], k)
        seen = aggregates.present(codes, k)
        unknown = ~seen
        if verdict.unknown is not None:
            unknown |= aggregates.present(codes[latest & verdict.unknown], k) & ~some_false
        true = seen & ~some_false & ~unknown
        return Truth.of(
            spread(true, self.rows, self.n, default=False), spread(unknown, self.rows, self.n, default=True)
        )

    def _not_followed_by(self, node: nodes.NotFollowedBy) -> BoolArray:
        until = Window()
        asked = self._events(node.events, until)
        answers = self._events(node.then, until)
        when = aggregates.last_times(asked.codes, asked.times, self.k)
        answered = aggregates.last_times(answers.codes, answers.times, self.k) > when
        seen = when != aggregates.NEVER
        known = np.where(seen, when, self.seen_as_of.clock)
        waited = self.seen_as_of.ages(known, node.within, inclusive=True) >= length(node.within)
        found: npt.NDArray[np.bool_] = seen & ~answered & waited
        if node.recent is None:
            return found
        return np.asarray(found & (self.seen_as_of.ages(known, node.recent, inclusive=True) < length(node.recent)))

    def _sequence(self, node: nodes.Sequence) -> BoolArray:
        log = self.base.events
        every = (Selection(log.types),) if node.strict and log.types else ()
        bounds = Bounds(None, self.seen_as_of.seen)
        if node.same is not None:
            return self._sequence_of_values(node, node.same, [*node.steps, *node.exclude, *every], bounds)
        events = [
            StepEvents(number, part, mask)
            for number, selection in enumerate((*node.steps, *node.exclude, *every))
            for part, mask in chosen_masks(log, selection, bounds, self.tz)
        ]
        return self._in_order(node, events, self.k)

    def _stage(self, node: nodes.Stage) -> Column:
        """Return the furthest step of each of the log's customers, the time they reached it, or the days since then."""
        key = ("deepest step", attrs.evolve(node, op="stage").fingerprint)
        if key not in self.shared:
            bounds = Bounds(None, self.seen_as_of.seen)
            events = [
                StepEvents(number, part, mask)
                for number, selection in enumerate(node.steps)
                for part, mask in chosen_masks(self.base.events, selection, bounds, self.tz)
            ]
            within = None if node.duration is None else length(node.duration)
            self.shared[key] = deepest(events, Path(len(node.steps), within), self.k)
        depth, when = self.shared[key]
        never = depth == 0
        if node.op == "stage":
            names = np.array(node.names)
            order = np.argsort(names)
            rank = np.empty(len(names), dtype=np.int32)
            rank[order] = np.arange(len(names))
            return Column("text", np.where(never, -1, rank[depth - 1]).astype(np.int32), names[order])
        if node.op == "stage_entered":
            return Column("instant", np.where(never, np.iinfo(np.int64).min, when).view("M8[us]"))
        elapsed = self.seen_as_of.elapsed(np.where(never, self.seen_as_of.clock, when))
        return Column("number", np.where(never, np.nan, elapsed))

    def _sequence_of_values(
        self, node: nodes.Sequence, same: str, selections: list[Selection], bounds: Bounds
    ) -> BoolArray:
        """Return which customers did the steps with one value of a property: each value is treated like a customer."""
        found = [chosen_events(self.base.events, selection, bounds, self.tz) for selection in selections]
        columns = [events.column(same) for events in found]
        column = joined(f"property {same!r}", columns)
        missing = is_missing(column)
        known = np.arange(len(column)) if missing is None else np.flatnonzero(~missing)
        if len(known) == 0:
            return np.zeros(self.k, dtype=np.bool_)
        ranks = np.asarray(aggregates.ranked(column.take(known))[0], dtype=np.int64)
        customer = np.concatenate([events.codes for events in found]).astype(np.int64)[known]
        times = np.concatenate([events.times for events in found])[known]
        owners, unit = np.unique(customer * (int(ranks.max()) + 1) + ranks, return_inverse=True)
        owners //= int(ranks.max()) + 1
        ends = np.searchsorted(known, np.cumsum([len(events) for events in found]))
        steps = [
            StepEvents(number, UnitTimes.of(unit[low:high], times[low:high], len(owners)), None)
            for number, (low, high) in enumerate(itertools.pairwise([0, *ends.tolist()]))
        ]
        result = np.zeros(self.k, dtype=np.bool_)
        result[owners[self._in_order(node, steps, len(owners), owners)]] = True
        return result

    def _in_order(
        self, node: nodes.Sequence, events: list[StepEvents], k: int, owners: IntArray | None = None
    ) -> BoolArray:
        """Return which of k customers, or of k parts of customers with `owners`, did the steps of a sequence."""
        after = None if node.recent is None else self.seen_as_of.before(node.recent)
        if owners is not None and isinstance(after, np.ndarray):
            after = after[owners]
        pace = Pace(
            None if node.within is None else length(node.within),
            1 if node.apart is None else length(node.apart),
            after,
        )
        if node.strict:
            return in_strict_order(events, len(node.steps), len(node.exclude), pace, k)
        return in_order(events, len(node.steps), pace, k)


class ZonedScope(BaseScope):
    """Customers of several time zones: each zone's rows are computed separately, and then put together."""

    def __init__(
        self,
        base: CustomerBase,
        as_of: AsOf,
        *,
        segments: Mapping[str, Expression] | None = None,
        shared: dict[Any, Any] | None = None,
        keep: set[str] | None = None,
    ) -> None:
        super().__init__(base, as_of, segments=segments, shared=shared, keep=keep)
        self.zones = [
            (rows, BaseScope(own, as_of.take(rows).in_zone(own.tz), segments=segments,
                             shared=self.shared.setdefault(own.tz, {}), keep=keep))
            for rows, own in base.by_zone
        ]  # fmt: skip

    def compute(self, node: Expression) -> Column | Truth:
        """Return the value of a node, computed zone by zone."""
        if not self.zones:
            return super().compute(node)
        found = [scope.compute(node) for _, scope in self.zones]
        order = np.argsort(np.concatenate([rows for rows, _ in self.zones]), kind="stable")
        columns = [one.column() if isinstance(one, Truth) else one for one in found]
        whole = joined("the rule", columns).take(order)
        return Truth.of_column(whole) if all(isinstance(one, Truth) for one in found) else whole


def _of_nobody(op: str) -> Column:
    """Return the figure of a customer without events, as a column of one row."""
    if op == "exists":
        return Column("boolean", np.zeros(1, dtype=np.int8))
    return Column("number", np.zeros(1)) if op in _ZERO else Column.empty(1)


def _active_days(codes: Codes, times: IntArray, k: int, tz: str) -> IntArray:
    days = local_days(times, tz)
    first = int(days.min(initial=0))
    return aggregates.distinct_counts(codes, days - first, int(days.max(initial=0)) - first + 1, k)
