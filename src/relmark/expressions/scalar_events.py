"""Figures and tests of one person's events as closures ``call(who, at) -> value``.

The events of a selection are found once per person and kept under the selection's stored form, with ascending times; a
window is found by two bisections.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np

from relmark.core.documents import canonical
from relmark.core.errors import InputError
from relmark.core.time import DAY
from relmark.expressions import nodes
from relmark.expressions.lengths import length
from relmark.expressions.scalar_calendar import Dated, Zone, last_seen, period_number
from relmark.expressions.scalar_person import Events, Moment, Person, Value
from relmark.expressions.scalar_tables import MANY, Table, table_of
from relmark.expressions.scalar_values import Call, prop
from relmark.expressions.selection import Selection, Window
from relmark.expressions.stored import written
from relmark.expressions.tags import members

__all__ = [
    "Finder",
    "age_before",
    "aggregate",
    "chain_found",
    "chains_of",
    "held_periods",
    "last_event",
    "not_followed_by",
    "regularly",
    "sequence",
    "shared_value",
    "span",
    "stage",
    "stage_found",
    "times_by_value",
]

Span = Callable[[list[int], int], tuple[int, int]]


class Finder:
    """Finds the events of a selection in one person.

    Parameters
    ----------
    selection : Selection
        The selection.
    test : callable, optional
        The closure of its ``where``.
    """

    __slots__ = ("_test", "key", "selection")

    def __init__(self, selection: Selection, test: Call | None) -> None:
        self.selection = selection
        self.key = canonical(written(selection))
        self._test = test

    def __call__(self, who: Person) -> Events:
        """Return all events of the selection up to the person's as_of: ascending times, and the events."""
        found = who._found  # noqa: SLF001  (a person keeps the events that were found)
        try:
            return found[self.key]
        except KeyError:
            result = found[self.key] = self._find(who)
            return result

    def _find(self, who: Person) -> Events:
        types = self.selection.types or self.selection.names(who.types)
        if len(types) == 1:
            times, rows = who.events(types[0])
        else:
            pairs = [pair for name in types for pair in zip(*who.events(name), strict=True)]
            pairs.sort(key=_time)
            times, rows = [time for time, _ in pairs], [row for _, row in pairs]
        test = self._test
        if test is None:
            return times, rows
        kept = [k for k, row in enumerate(rows) if test(row, times[k])]
        return [times[k] for k in kept], [rows[k] for k in kept]


def _time(pair: tuple[int, Any]) -> int:
    return pair[0]


def span(window: Window, zone: Zone) -> Span:
    """Return a function of times and an instant that returns the start and the stop of the events in a window."""
    ago, within, during, back = window.ago, window.within, window.during, window.back
    first, until = window.first(zone.name), window.last(zone.name)
    since = None if first is None else first - 1
    simple = since is None and until is None and ago is None and during is None
    if simple and within is None:
        return lambda times, at: (0, bisect_right(times, last_seen(at)))

    def call(times: list[int], at: int) -> tuple[int, int]:
        end = at if ago is None else zone.before(at, ago)
        high = last_seen(end)
        low = None if within is None else last_seen(zone.back(at, back))
        if since is not None:
            low = since if low is None else max(low, since)
        if until is not None:
            high = min(high, until)
        if during is not None:
            begin, stop = zone.period_bounds(during, at)
            low, high = begin if low is None else max(low, begin), min(high, stop)
        start = 0 if low is None else bisect_right(times, low)
        return start, max(start, bisect_right(times, high))

    if not simple or not isinstance(within, timedelta):
        return call
    size = length(within)

    def plain(times: list[int], at: int) -> tuple[int, int]:
        if at.__class__ is Dated:
            return call(times, at)
        return bisect_right(times, at - size), bisect_right(times, at)

    return plain


# Figures


def aggregate(node: nodes.Aggregate, find: Finder, zone: Zone) -> Call:
    """Return a figure of the events in a window."""
    place = span(node.window, zone)
    if node.of is None:
        return _PLAIN[node.op](find, place, zone)
    figure = _FIGURES[node.op]
    numeric = node.op in {"sum", "mean", "min", "max"}
    read = _in_float(prop(nodes.Prop(node.of))) if numeric else prop(nodes.Prop(node.of))

    def checked(value: Any) -> Any:
        if numeric and value is not None and value.__class__ is not float:
            raise InputError(
                f"{node!r}: property {node.of!r} is {value!r}, and {node.op} needs numbers.",
                argument="rule",
                code="wrong_type",
            )
        return value

    def call(who: Person, at: int) -> Value:
        times, rows = find(who)
        start, stop = place(times, at)
        if stop - start >= MANY:
            table = who.table((find.key, node.op, node.of), lambda: table_over(times, rows))
            if table is not None:
                return table(start, stop)  # type: ignore[no-any-return]
        known = [(value, times[k]) for k in range(start, stop) if (value := read(rows[k], at)) is not None]
        for value, _ in known if numeric else ():
            checked(value)
        return figure(known)

    def table_over(times: list[int], rows: list[Any]) -> Table:
        values = [read(row, 0) for row in rows]
        if numeric and any(value is not None and value.__class__ is not float for value in values):
            return lambda start, stop: figure(
                [(checked(values[k]), times[k]) for k in range(start, stop) if values[k] is not None]
            )
        return table_of(node.op, times, values)

    return call


def _in_float(read: Call) -> Call:
    """Return a property with whole numbers beyond 2**53 as floats, because figures are computed with floats."""

    def call(row: Any, at: int) -> Any:
        value = read(row, at)
        return float(value) if value.__class__ is int else value

    return call


def _count(find: Finder, place: Span, _: Zone) -> Call:
    def call(who: Person, at: int) -> float:
        times = find(who)[0]
        start, stop = place(times, at)
        return float(stop - start)

    return call


def _exists(find: Finder, place: Span, _: Zone) -> Call:
    def call(who: Person, at: int) -> bool:
        times = find(who)[0]
        start, stop = place(times, at)
        return stop > start

    return call


def _active_days(find: Finder, place: Span, zone: Zone) -> Call:
    def call(who: Person, at: int) -> float:
        times = find(who)[0]
        start, stop = place(times, at)
        if stop - start >= MANY:
            key = (find.key, "active_days", zone.name)
            table = who.table(key, lambda: table_of("count_distinct", times, [zone.day(time) for time in times]))
            if table is not None:
                return table(start, stop)  # type: ignore[no-any-return]
        return float(len({zone.day(time) for time in times[start:stop]}))

    return call


def _days_since(which: int) -> Callable[[Finder, Span, Zone], Call]:
    def build(find: Finder, place: Span, zone: Zone) -> Call:
        def call(who: Person, at: int) -> float | None:
            times = find(who)[0]
            start, stop = place(times, at)
            if start == stop:
                return None
            time = times[start if which == 0 else stop - 1]
            return (at - time if at.__class__ is not Dated else zone.wall(at) - zone.wall(time)) / DAY

        return call

    return build


_PLAIN: dict[str, Callable[[Finder, Span, Zone], Call]] = {
    "count": _count,
    "exists": _exists,
    "active_days": _active_days,
    "days_since_first": _days_since(0),
    "days_since_last": _days_since(-1),
}

Known = list[tuple[Any, int]]


def _sum(known: Known) -> float | None:
    try:
        total = math.fsum([value for value, _ in known])
    except OverflowError:
        return None
    return total if math.isfinite(total) else None


def _mean(known: Known) -> float | None:
    total = _sum(known)
    return None if not known or total is None else total / len(known)


def _most_frequent(known: Known) -> Value:
    counts = Counter(one for value, _ in known for one in members(value))
    if not counts:
        return None
    most = max(counts.values())
    return min(value for value, count in counts.items() if count == most)  # type: ignore[no-any-return]


def _at_end(which: int) -> Callable[[Known], Value]:
    def figure(known: Known) -> Value:
        if not known:
            return None
        when = known[which][1]
        return min(value for value, time in known if time == when)  # type: ignore[no-any-return]

    return figure


_FIGURES: dict[str, Callable[[Known], Value]] = {
    "sum": _sum,
    "mean": _mean,
    "min": lambda known: min((value for value, _ in known), default=None),
    "max": lambda known: max((value for value, _ in known), default=None),
    "count_distinct": lambda known: float(len({one for value, _ in known for one in members(value)})),
    "first": _at_end(0),
    "last": _at_end(-1),
    "most_frequent": _most_frequent,
}


# Tests


def regularly(node: nodes.Regularly, find: Finder, zone: Zone) -> Call:
    """Return whether enough of the last periods have an event."""
    held, least = held_periods(node, find, zone), node.min_periods
    return lambda who, at: len(held(who, at)) >= least


def held_periods(node: nodes.Regularly, find: Finder, zone: Zone) -> Callable[[Person, int], set[int]]:
    """Return which of the last periods have an event; 0 is the latest."""
    of, period = node.of, node.period
    if isinstance(period, str):

        def by_calendar(who: Person, at: int) -> set[int]:
            times = find(who)[0]
            today = period_number(zone.day(at), period)
            back = {today - period_number(zone.day(time), period) for time in times[: bisect_right(times, at)]}
            return {k for k in back if k < of}

        return by_calendar
    size = length(period)

    def by_length(who: Person, at: int) -> set[int]:
        times = find(who)[0]
        if at.__class__ is Dated:
            ages = [age_before(zone, at, time, period) - 1 for time in times[: bisect_right(times, last_seen(at))]]
            return {age // size for age in ages if age < of * size}
        start, stop = bisect_right(times, at - of * size), bisect_right(times, at)
        return {(at - time) // size for time in times[start:stop]}

    return by_length


def age_before(zone: Zone, at: int, time: int, period: timedelta) -> int:
    """Return the microseconds from a time to a point in time: in local time before a date and for whole days."""
    if at.__class__ is Dated and length(period) % DAY == 0:
        return zone.wall(at) - zone.wall(time)
    return int(at) - time


def last_event(node: nodes.LastEvent, find: Finder, test: Call, zone: Zone) -> Call:
    """Return whether the latest event satisfies another predicate."""
    place = span(node.window, zone)

    def call(who: Person, at: int) -> bool | None:
        times, rows = find(who)
        start, stop = place(times, at)
        verdict: bool | None = None
        for k in range(stop - 1, start - 1, -1):
            if times[k] != times[stop - 1]:
                break
            one = test(rows[k], times[k])
            if one is False:
                return False
            verdict = one if k == stop - 1 or one is None else verdict
        return verdict

    return call


def not_followed_by(node: nodes.NotFollowedBy, find: Finder, answers: Finder, zone: Zone) -> Call:
    """Return whether the latest event was not followed by another for long enough."""
    within, recent = node.within, node.recent

    def call(who: Person, at: int) -> bool:
        times = find(who)[0]
        stop = bisect_right(times, at)
        if stop == 0:
            return False
        last = times[stop - 1]
        if age_before(zone, at, last, within) < length(within):
            return False
        if recent is not None and age_before(zone, at, last, recent) >= length(recent):
            return False
        later = answers(who)[0]
        return bisect_right(later, at) == bisect_right(later, times[stop - 1])

    return call


def sequence(node: nodes.Sequence, steps: list[Finder], exclude: list[Finder], zone: Zone) -> Call:
    """Return whether the steps were done in order."""
    return lambda who, at: chain_found(node, steps, exclude, zone, who, at) is not None


def chain_found(
    node: nodes.Sequence, steps: list[Finder], exclude: list[Finder], zone: Zone, who: Person, at: int
) -> tuple[int, int, Value | None] | None:
    """Return the first and the last time of steps in order and the value that they share, or None.

    Of several values, it is the one whose steps were done first.
    """
    if node.same is None:
        own = [find(who)[0] for find in (*steps, *exclude)]
        chain = _first_chain(node, own[: len(steps)], own[len(steps) :], who.times() if node.strict else [], zone, at)
        return None if chain is None else (*chain, None)
    read = shared_value(node.same)
    parts = [times_by_value(find(who), read) for find in (*steps, *exclude)]
    every: dict[Value, set[int]] = {}
    for name in who.types if node.strict else ():
        for value, times in times_by_value(who.events(name), read).items():
            every.setdefault(value, set()).update(times)
    best: tuple[int, int, Value | None] | None = None
    for value in parts[0]:
        own = [times.get(value, []) for times in parts]
        chain = _first_chain(node, own[: len(steps)], own[len(steps) :], sorted(every.get(value, ())), zone, at)
        if chain is not None and (best is None or _earlier((*chain, value), best)):
            best = (*chain, value)
    return best


def _earlier(one: tuple[int, int, Any], other: tuple[int, int, Any]) -> bool:
    """Return whether a chain ends before another, or else starts later, or else has the smaller value."""
    return (one[1], -one[0], one[2]) < (other[1], -other[0], other[2])


def stage(node: nodes.Stage, steps: list[Finder], zone: Zone) -> Call:
    """Return the furthest step that was reached, the time when it was, or the days since then."""
    op, names = node.op, node.names

    def call(who: Person, at: int) -> Value:
        found = stage_found(node, steps, who, at)
        if not found:
            return None
        if op == "stage":
            return names[len(found) - 1]
        when = found[-1]
        if op == "stage_entered":
            return Moment(when)
        return (at - when if at.__class__ is not Dated else zone.wall(at) - zone.wall(when)) / DAY

    return call


def stage_found(node: nodes.Stage, steps: list[Finder], who: Person, at: int) -> list[int]:
    """Return when the steps of the furthest attempt were reached; empty if there was no attempt.

    Of several such attempts, it is the one that got there first, and then the one that began last.
    """
    times = []
    for find in steps:
        all_of_step = find(who)[0]
        times.append(all_of_step[: bisect_right(all_of_step, at)])
    limit = None if node.duration is None else length(node.duration)
    if not times[0]:
        return []
    if limit is None:  # the first start reaches every step first; the last start that is as fast is found backwards
        reached = _walked(times, times[0][0], None)
        start = reached[-1]
        for earlier in times[len(reached) - 2 :: -1] if len(reached) > 1 else ():
            start = earlier[bisect_left(earlier, start) - 1]
        return _walked(times, start, None) if len(reached) > 1 else reached
    best: list[int] = []
    for start in times[0]:
        reached = _walked(times, start, limit)
        if len(reached) > len(best) or (len(reached) == len(best) and reached[-1] <= best[-1]):
            best = reached
    return best


def _walked(times: list[list[int]], start: int, limit: int | None) -> list[int]:
    """Return when each step was reached from a start, as far as it goes."""
    reached = [start]
    for later in times[1:]:
        place = bisect_right(later, reached[-1])
        if place == len(later) or (limit is not None and later[place] - start > limit):
            break
        reached.append(later[place])
    return reached


def shared_value(name: str) -> Call:
    """Return a reader of the property that steps share; whole numbers stay exact, as order numbers can be long."""
    read = prop(nodes.Prop(name))

    def call(row: Any, at: int) -> Value:
        given = row.properties.get(name) if name not in {"type", "value"} else None
        return int(given) if given.__class__ is int or isinstance(given, np.integer) else read(row, at)

    return call


def times_by_value(events: Events, read: Call) -> dict[Value, list[int]]:
    """Return the times of events by the value of a property; those without it are left out."""
    found: dict[Value, list[int]] = {}
    for time, row in zip(*events, strict=True):
        value = read(row, 0)
        if value is not None:
            found.setdefault(value, []).append(time)
    return found


def _first_chain(
    node: nodes.Sequence,
    found: list[list[int]],
    excluded: list[list[int]],
    every: list[int],
    zone: Zone,
    at: int,
) -> tuple[int, int] | None:
    """Return the first and the last time of steps in order; `every` has all distinct times, for a strict order."""
    found = [times[: bisect_right(times, at)] for times in found]
    if not all(found):
        return None
    barred = sorted({time for times in excluded for time in times})
    apart = 1 if node.apart is None else length(node.apart)
    after = None if node.recent is None else last_seen(zone.before(at, node.recent))
    for start, end in _strict_chains(every, found, apart) if node.strict else chains_of(found, apart):
        if after is not None and end <= after:
            continue
        if node.within is not None and end - start > length(node.within):
            continue
        after = bisect_right(barred, start)
        if after == len(barred) or barred[after] >= end:
            return start, end
    return None


def chains_of(found: list[list[int]], apart: int = 1) -> list[tuple[int, int]]:
    """Return (start, end) for each time of the last step that ends a chain, with the latest possible start."""
    chains = [(time, time) for time in found[0]]
    for times in found[1:]:
        longer = []
        k, start = 0, None
        for time in times:
            while k < len(chains) and chains[k][1] <= time - apart:
                start = chains[k][0]  # starts ascend with their ends
                k += 1
            if start is not None:
                longer.append((start, time))
        chains = longer
    return chains


def _strict_chains(every: list[int], found: list[list[int]], apart: int) -> list[tuple[int, int]]:
    """Return the chains whose steps are at consecutive instants of `every`."""
    place = {time: k for k, time in enumerate(every)}
    steps = [{place[time] for time in one} for one in found]
    last = len(steps) - 1
    return [
        (every[k], every[k + last])
        for k in sorted(steps[0])
        if all(
            k + number in steps[number] and every[k + number] - every[k + number - 1] >= apart
            for number in range(1, last + 1)
        )
    ]
