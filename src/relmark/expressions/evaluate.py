"""A rule over a whole base at once: one column a node, equal nodes computed once, only a window's events touched."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.columns import Column
from relmark.core.hashing import BUCKETS, hash_buckets
from relmark.core.time import DAY, local_days
from relmark.expressions import aggregates, nodes
from relmark.expressions.calendar_tests import completed_years, days_to_anniversary, period_number
from relmark.expressions.column_tests import days_of, instants_of, is_missing
from relmark.expressions.event_rows import Bounds, EventRows, Moment, chosen_events, window_bounds
from relmark.expressions.kinds import check_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.scope import Scope, spread
from relmark.expressions.selection import Selection, Window
from relmark.expressions.sequences import in_order, in_strict_order
from relmark.expressions.truth import Truth
from relmark.expressions.walk import check_depth

__all__ = ["BaseScope", "measure"]

IntArray = npt.NDArray[np.int64]
_US = timedelta(microseconds=1)
_PLAIN = (nodes.Literal, nodes.Field, nodes.Everyone, nodes.SegmentRef)


def measure(expression: Expression, base: CustomerBase, as_of: Any, shared: dict[Any, Any] | None = None) -> Column:
    """Return an expression for each customer of a base, as a column aligned with ``base.customer_id``."""
    check_depth(expression)
    check_on_data(expression, base)
    return BaseScope(base, base.instants(as_of), shared=shared).column(expression)


class BaseScope(Scope):
    """The customers of a base at an instant, or each at their own.

    Parameters
    ----------
    base : CustomerBase
    as_of : int or ndarray of int64, shape (n,)
        Microseconds UTC, as ``base.instants`` gives them.
    segments : mapping of str to Expression
        What `segment("name")` stands for.
    shared : dict, optional
        Where the values of nodes are kept by fingerprint.
    keep : set of str, optional
        The fingerprints worth keeping; all of them where it isn't given.
    """

    def __init__(
        self,
        base: CustomerBase,
        as_of: Moment,
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
        same = len(rows) == len(base) and bool((rows == np.arange(len(rows))).all())
        self.rows = None if same else rows
        self.k = base.events.n_customers
        # as_of of each of the log's customers, which are the ones that events belong to
        self.seen_as_of: Moment = as_of[rows] if isinstance(as_of, np.ndarray) else as_of

    def compute(self, node: Expression) -> Column | Truth:
        """Return what a node gives, from what is kept where it was computed before."""
        if isinstance(node, _PLAIN):
            return super().compute(node)
        key = node.fingerprint
        found = self.shared.get(key)
        if found is None:
            found = super().compute(node)
            if self.keep is None or key in self.keep:
                self.shared[key] = found
        return found  # type: ignore[no-any-return]

    def leaf(self, node: Expression) -> Column | Truth:
        """Return fields, figures of events, and tests of dates and ids."""
        match node:
            case nodes.Field(name=name):
                return self.base.column(name)
            case nodes.Aggregate():
                return self._aggregate(node)
            case nodes.DateWindow():
                return self._date_window(node)
            case nodes.InPeriod(arg=arg, unit=unit, offset=offset):
                column = self.column(arg)
                wanted = period_number(self._today(), unit) + offset
                return Truth.of(period_number(self._days(column), unit) == wanted, _gone(column))
            case nodes.Age(arg=arg):
                column = self.column(arg)
                years = completed_years(self._days(column), self._today())
                missing = _gone(column)
                return Column("number", years if missing is None else np.where(missing, np.nan, years))
            case nodes.Everyone():
                return Truth.constant(True, self.n)
            case nodes.Ids(values=values):
                rows = self.base.find(np.array(values)) if values else np.empty(0, dtype=np.int64)
                found = np.zeros(self.n, dtype=np.bool_)
                found[rows[rows >= 0]] = True
                return Truth(found)
            case nodes.Sample(percent=percent, salt=salt):
                return Truth(hash_buckets(self.base.customer_id, salt) < percent * (BUCKETS / 100))
            case nodes.SegmentRef(name=name):
                return self.truth(self.segments[name])
        return self._behaviour(node)

    def _behaviour(self, node: Expression) -> Truth:
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
        days = local_days(np.atleast_1d(self.as_of), self.tz)
        return days if isinstance(self.as_of, np.ndarray) else int(days[0])

    def _days(self, column: Column) -> IntArray:
        return np.zeros(self.n, dtype=np.int64) if column.kind == "empty" else days_of(column, self.tz)

    def _date_window(self, node: nodes.DateWindow) -> Truth:
        column = self.column(node.arg)
        missing = _gone(column)
        length = node.duration // _US
        if node.op == "anniversary":
            ahead = days_to_anniversary(self._days(column), self._today())
            return Truth.of(ahead < length // DAY, missing)
        if node.op == "upcoming" and column.kind == "date":
            ahead = self._days(column) - self._today()
            return Truth.of((ahead >= 0) & (ahead < length // DAY), missing)
        moments = np.zeros(self.n, dtype=np.int64) if column.kind == "empty" else instants_of(column, self.tz)
        if node.op == "older_than":
            return Truth.of(moments <= self.as_of - length, missing)
        low, high = (self.as_of, self.as_of + length) if node.op == "upcoming" else (self.as_of - length, self.as_of)
        return Truth.of((moments > low) & (moments <= high), missing)

    # Events

    def _events(self, events: Selection, window: Window) -> EventRows:
        return chosen_events(self.base.events, events, window_bounds(window, self.seen_as_of, self.tz), self.tz)

    def _spread_truth(self, found: npt.NDArray[np.bool_]) -> Truth:
        return Truth(spread(found, self.rows, self.n, False))

    def _numbers(self, values: npt.NDArray[Any], default: float) -> Column:
        return Column("number", spread(values, self.rows, self.n, default))

    def _aggregate(self, node: nodes.Aggregate) -> Column | Truth:
        events = self._events(node.events, node.window)
        k, codes, times = self.k, events.codes, events.times
        match node.op:
            case "count":
                return self._numbers(aggregates.counts(codes, k), 0)
            case "exists":
                return self._spread_truth(aggregates.present(codes, k))
            case "active_days":
                return self._numbers(_active_days(codes, times, k, self.tz), 0)
            case "days_since_first" | "days_since_last":
                of_time = aggregates.first_times if node.op == "days_since_first" else aggregates.last_times
                when = of_time(codes, times, k)
                elapsed = (self.seen_as_of - when) / DAY
                return self._numbers(np.where(when == aggregates.NEVER, np.nan, elapsed), np.nan)
        assert node.of is not None
        column = events.column(node.of)
        missing = is_missing(column)
        if missing is not None:
            known = np.flatnonzero(~missing)
            codes, times, column = codes[known], times[known], column.take(known)
        if node.op in {"first", "last", "most_frequent", "count_distinct"}:
            return self._chosen_value(node.op, codes, times, column)
        return self._figure(node.op, codes, column.numbers())

    def _figure(self, op: str, codes: aggregates.Codes, values: npt.NDArray[np.float64]) -> Column:
        if op in {"sum", "mean"}:
            figures = aggregates.exact_sums(codes, values, self.k)
            if op == "mean":
                with np.errstate(invalid="ignore"):
                    figures = figures / aggregates.counts(codes, self.k)
            return self._numbers(figures, 0.0 if op == "sum" else np.nan)
        return self._numbers(aggregates.extreme_values(codes, values, self.k, largest=op == "max"), np.nan)

    def _chosen_value(self, op: str, codes: aggregates.Codes, times: IntArray, column: Column) -> Column:
        if column.kind == "empty":
            return (
                self._numbers(np.zeros(self.k, dtype=np.int64), 0) if op == "count_distinct" else Column.empty(self.n)
            )
        ranks, values = aggregates.ranked(column)
        if op == "count_distinct":
            return self._numbers(aggregates.distinct_counts(codes, ranks, len(values), self.k), 0)
        if op == "most_frequent":
            chosen = aggregates.most_frequent_ranks(codes, ranks, len(values), self.k)
        else:
            chosen = aggregates.smallest_of_time(codes, times, ranks, self.k, last=op == "last")
        places = spread(chosen, self.rows, self.n, -1)
        if len(values) == 0:
            return Column.empty(self.n)
        if (places >= 0).all():
            return values.take(places)
        known = np.flatnonzero(places >= 0)
        return values.take(places[known]).spread(known, self.n)

    def _regularly(self, node: nodes.Regularly) -> npt.NDArray[np.bool_]:
        if isinstance(node.period, str):
            events = self._events(node.events, Window())
            today = period_number(self._seen_today(), node.period)
            here = period_number(local_days(events.times, self.tz), node.period)
            back = (today[events.codes] if isinstance(today, np.ndarray) and today.ndim else today) - here
            inside = back < node.of
            codes, back = events.codes[inside], back[inside]
        else:
            events = self._events(node.events, Window(within=node.period * node.of))
            as_of = self.seen_as_of
            moments = as_of[events.codes] if isinstance(as_of, np.ndarray) else as_of
            codes, back = events.codes, (moments - events.times) // (node.period // _US)
        return aggregates.distinct_counts(codes, back, node.of, self.k) >= node.min_periods

    def _seen_today(self) -> Any:
        days = local_days(np.atleast_1d(self.seen_as_of), self.tz)
        return days if isinstance(self.seen_as_of, np.ndarray) else days[0]

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
        return Truth.of(spread(true, self.rows, self.n, False), spread(unknown, self.rows, self.n, True))

    def _not_followed_by(self, node: nodes.NotFollowedBy) -> npt.NDArray[np.bool_]:
        until = Window()
        asked = self._events(node.events, until)
        answers = self._events(node.then, until)
        when = aggregates.last_times(asked.codes, asked.times, self.k)
        answered = aggregates.last_times(answers.codes, answers.times, self.k) > when
        seen = when != aggregates.NEVER
        age = self.seen_as_of - np.where(seen, when, 0)
        found: npt.NDArray[np.bool_] = seen & ~answered & (age >= node.within // _US)
        return found if node.recent is None else found & (age < node.recent // _US)

    def _sequence(self, node: nodes.Sequence) -> npt.NDArray[np.bool_]:
        log, k = self.base.events, self.k
        bounds = Bounds(None, self.seen_as_of)
        picked = [self._events(step, Window()) for step in (*node.steps, *node.exclude)]
        here = np.ones(k, dtype=np.bool_)
        for step in picked[: len(node.steps)]:
            here &= aggregates.present(step.codes, k)
        if not here.any():
            return here
        if node.strict:
            every = chosen_events(log, Selection(log.types), bounds, self.tz)
            picked = [*picked, every]
        codes, times, flags = _flagged(picked, here)
        steps = flags[: len(node.steps)]
        excluded = flags[len(node.steps) : len(node.steps) + len(node.exclude)]
        barred = np.logical_or.reduce(excluded) if excluded else None
        within = None if node.within is None else node.within // _US
        return (in_strict_order if node.strict else in_order)(codes, times, steps, barred, within, k)


def _flagged(
    picked: list[EventRows], here: npt.NDArray[np.bool_]
) -> tuple[IntArray, IntArray, list[npt.NDArray[np.bool_]]]:
    """Return selections laid together in the order of time, for the customers who matter, and which row is of which."""
    kept = [here[events.codes] for events in picked]
    codes = np.concatenate([events.codes[keep] for events, keep in zip(picked, kept, strict=True)])
    times = np.concatenate([events.times[keep] for events, keep in zip(picked, kept, strict=True)])
    number = np.repeat(np.arange(len(picked), dtype=np.int8), [int(np.count_nonzero(keep)) for keep in kept])
    order = np.argsort(times, kind="stable")  # merges runs that are ascending already
    number = number[order]
    return codes[order], times[order], [number == k for k in range(len(picked))]


def _active_days(codes: aggregates.Codes, times: IntArray, k: int, tz: str) -> IntArray:
    days = local_days(times, tz)
    first = int(days.min(initial=0))
    return aggregates.distinct_counts(codes, days - first, int(days.max(initial=0)) - first + 1, k)


def _gone(column: Column) -> npt.NDArray[np.bool_] | None:
    return is_missing(column)
