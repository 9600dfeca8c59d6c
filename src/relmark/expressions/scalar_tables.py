"""Figures of any range of one person's events, each in a few steps after one pass over all of them.

A search for the next change needs the same figure at thousands of instants, with a different range of events in the
window. Here sums are differences of exact prefix sums, extremes come from a table of ranges of powers of two, and
figures that need counts update those of the previous range.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from relmark.expressions.tags import members

__all__ = ["MANY", "Table", "table_of"]

MANY = 48
"""The number of events from which on a table is worth its cost, if a figure is asked for again."""

Table = Callable[[int, int], Any]
"""A function that returns the figure of the events from a start to before a stop."""


def table_of(op: str, times: Sequence[int], values: Sequence[Any]) -> Table:
    """Return the table of a figure of events.

    Parameters
    ----------
    op : str
        sum, mean, min, max, first, last, count_distinct or most_frequent.
    times : sequence of int
        The times of the events, ascending.
    values : sequence of value
        The values; events with None are skipped.
    """
    known = [k for k, value in enumerate(values) if value is not None]
    kept = [values[k] for k in known]
    inner = _TABLES[op]([times[k] for k in known], kept)
    if len(known) == len(values):
        return inner
    return lambda start, stop: inner(bisect_left(known, start), bisect_left(known, stop))


def _sums(values: list[float]) -> tuple[list[int], int]:
    """Return exact prefix sums as whole numbers, and the number by which they have to be divided."""
    ratios = [value.as_integer_ratio() for value in values]
    scale = max((under for _, under in ratios), default=1)
    return [0, *accumulate(over * (scale // under) for over, under in ratios)], scale


def _sum(_: list[int], values: list[float]) -> Table:
    sums, scale = _sums(values)

    def figure(start: int, stop: int) -> float | None:
        try:
            return (sums[stop] - sums[start]) / scale  # division of integers is correctly rounded
        except OverflowError:
            return None

    return figure


def _mean(times: list[int], values: list[float]) -> Table:
    total = _sum(times, values)

    def figure(start: int, stop: int) -> float | None:
        whole = total(start, stop)
        return None if start == stop or whole is None else whole / (stop - start)

    return figure


def _extreme(choose: Callable[[Any, Any], Any]) -> Callable[[list[int], list[float]], Table]:
    def build(_: list[int], values: list[float]) -> Table:
        levels = [values]  # levels[j][k] is the extreme of the 2**j values from k on
        while 2 * (1 << (len(levels) - 1)) <= len(values):
            below, half = levels[-1], 1 << (len(levels) - 1)
            levels.append(list(map(choose, below, below[half:])))

        def figure(start: int, stop: int) -> float | None:
            if start == stop:
                return None
            level = (stop - start).bit_length() - 1
            found: float = choose(levels[level][start], levels[level][stop - (1 << level)])
            return found

        return figure

    return build


def _at_edge(which: int) -> Callable[[list[int], list[Any]], Table]:
    def build(times: list[int], values: list[Any]) -> Table:
        least: dict[int, Any] = {}
        for time, value in zip(times, values, strict=True):
            if time not in least or value < least[time]:
                least[time] = value
        smallest = [least[time] for time in times]
        return lambda start, stop: None if start == stop else smallest[start if which == 0 else stop - 1]

    return build


class _Counted:
    """How often each value occurs in a range, updated from the previous range."""

    __slots__ = ("counts", "holders", "most", "start", "stop", "values")

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.start = self.stop = 0
        self.counts: Counter[Any] = Counter()
        self.holders: defaultdict[int, set[Any]] = defaultdict(set)  # the values by how often they occur
        self.most = 0

    def move(self, start: int, stop: int) -> None:
        """Change to another range."""
        if start < self.start or stop < self.stop or start >= self.stop:
            self.start = self.stop = start
            self.counts.clear()
            self.holders.clear()
            self.most = 0
        for k in range(self.stop, stop):
            self._step(self.values[k], 1)
        for k in range(self.start, start):
            self._step(self.values[k], -1)
        self.start, self.stop = start, stop

    def _step(self, value: Any, by: int) -> None:
        for one in members(value):
            self._count(one, by)

    def _count(self, value: Any, by: int) -> None:
        before = self.counts[value]
        self.holders[before].discard(value)
        after = self.counts[value] = before + by
        if after:
            self.holders[after].add(value)
            self.most = max(self.most, after)
        else:
            del self.counts[value]
        while self.most and not self.holders[self.most]:
            self.most -= 1


def _distinct(_: list[int], values: list[Any]) -> Table:
    if len(values) == 0:
        return lambda _, __: 0.0
    counted, seen = _Counted(values), set[Any]()
    to_end = [0.0]  # of the ranges that reach to the last event, the shortest first
    for value in reversed(values):
        seen.update(members(value))
        to_end.append(float(len(seen)))

    def figure(start: int, stop: int) -> float:
        if stop == len(values):
            return to_end[stop - start]
        counted.move(start, stop)
        return float(len(counted.counts))

    return figure


def _most_frequent(_: list[int], values: list[Any]) -> Table:
    counted, counts = _Counted(values), Counter[Any]()
    to_end: list[Any] = [None]
    best, most = None, 0
    for value in reversed(values):
        for one in members(value):
            counts[one] += 1
            if counts[one] > most or (counts[one] == most and one < best):
                best, most = one, counts[one]
        to_end.append(best)

    def figure(start: int, stop: int) -> Any:
        if stop == len(values):
            return to_end[stop - start]
        counted.move(start, stop)
        return min(counted.holders[counted.most], default=None) if counted.most else None

    return figure


_TABLES: dict[str, Callable[[list[int], list[Any]], Table]] = {
    "sum": _sum,
    "mean": _mean,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": _at_edge(0),
    "last": _at_edge(-1),
    "count_distinct": _distinct,
    "most_frequent": _most_frequent,
}
