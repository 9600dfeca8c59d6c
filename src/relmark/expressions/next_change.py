"""When the answer for one person changes if nothing else happens, so that nobody has to ask every day.

Every test gives an instant until which it certainly does not change: an event leaves a window, a pause becomes long
enough, a birthday comes, a month ends. Logic combines these: a rule that fails for two reasons fails until both are
gone. At the resulting instant the rule is evaluated again, and so on until the verdict differs; nothing is sampled.

Calendar tests can change back and forth forever, so changes more than `HORIZON` (100 years) ahead count as never.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from relmark.core.spans import CalendarSpan, Span
from relmark.core.time import DAY, HOUR
from relmark.expressions import nodes
from relmark.expressions.crossings import ONE, Line, combined, first_change, minus, roots
from relmark.expressions.lengths import END, length
from relmark.expressions.operators import Expression
from relmark.expressions.periods import Period
from relmark.expressions.scalar_calendar import (
    NEVER,
    Zone,
    anniversary_beside,
    days_since_anniversary,
    days_to_anniversary,
    first_day,
    period_number,
)
from relmark.expressions.scalar_events import span
from relmark.expressions.scalar_person import Moment, Person
from relmark.expressions.scalar_values import Call, local_day, moment_of, plain_literal, prop
from relmark.expressions.selection import Window
from relmark.expressions.walk import asks_the_clock, walk

if TYPE_CHECKING:
    from relmark.expressions.scalar import Program

__all__ = ["HORIZON", "Changes", "horizon", "next_change"]

HORIZON = 36_525 * DAY
_WEEK = 8 * DAY
_ROUND = 21 * DAY
_PERSONAL = (
    nodes.Aggregate, nodes.Field, nodes.Ids, nodes.LastEvent, nodes.NotFollowedBy, nodes.Regularly, nodes.Sample,
    nodes.Sequence, nodes.Stage,
)  # fmt: skip
_RETURNS = 8  # days after which an event that left a window cannot return by ends of months or changes of the clock


def horizon(at: int) -> int:
    """Return the instant up to which changes are searched: a hundred years ahead, or the end of the calendar."""
    return min(at + HORIZON, END)


def next_change(program: Program, person: Person, at: int | None = None) -> int | None:
    """Return the first instant after `at` at which a person becomes a member or stops being one, or None for never.

    Parameters
    ----------
    program : Program
        A rule.
    person : Person
        The person, with the events up to their as_of.
    at : int, optional
        Microseconds, not before as_of; by default as_of.
    """
    given = person.as_of if at is None else at
    changes = program.changes()
    quiet = _Quiet(changes, program.expression, person, int(given)) if changes.asks_the_clock else None
    member = program.verdict(person, given) is True
    start = moment = int(given)
    if given is not start and (program.verdict(person, start) is True) != member:
        return start  # the midnight of the date, as an instant, has a different answer
    while True:
        moment = changes.until(program.expression, person, moment, what=True)
        if quiet is not None:
            moment = quiet.after(moment)
        if moment >= horizon(start):
            return None
        if (program.verdict(person, moment) is True) != member:
            return moment


class Changes:
    """Finds until when a node of a program does not change, for a person at an instant not before their as_of."""

    def __init__(self, program: Program, *, clock: bool = True) -> None:
        self.program = program
        self.zone: Zone = program.zone
        self.clock = clock  # whether hours and days of the week change
        self._fixed: set[int] = set()
        self._same_offset = (0, 0)

    @cached_property
    def asks_the_clock(self) -> bool:
        """Whether the rule uses the current hour or day of the week."""
        rules = [self.program.expression, *self.program.segments.values()]
        return self.clock and any(asks_the_clock(rule) for rule in rules)

    def until(self, node: Expression, who: Person, at: int, *, what: bool) -> int:
        """Return an instant until which the answer to "is this boolean node `what`" certainly does not change."""
        match node:
            case nodes.Not(arg=arg):
                return self.until(arg, who, at, what=not what)
            case nodes.And(args=args):
                return self._until_enough(args, len(args) if what else 1, who, at, what=what)
            case nodes.Or(args=args):
                return self._until_enough(args, 1 if what else len(args), who, at, what=what)
            case nodes.AtLeast(n=n, args=args):
                return self._until_enough(args, n if what else len(args) - n + 1, who, at, what=what)
            case nodes.SegmentRef(name=name):
                return self.until(self.program.segments[name], who, at, what=what)
        return self.leaf(node, who, at)

    def _until_enough(
        self,
        args: tuple[Expression, ...],
        enough: int,
        who: Person,
        at: int,
        *,
        what: bool,
    ) -> int:
        """Return an instant until which the answer to "are `enough` of the arguments `what`" does not change."""
        are = [arg for arg in args if self.program.call(arg)(who, at) is what]
        if len(are) >= enough:
            # It is true as long as `enough` of them do not change.
            ends = sorted((self.until(arg, who, at, what=what) for arg in are), reverse=True)
            return ends[enough - 1]
        held = {id(arg) for arg in are}
        ends = sorted(self.until(arg, who, at, what=what) for arg in args if id(arg) not in held)
        return ends[enough - len(are) - 1]

    def leaf(self, node: Expression, who: Person, at: int) -> int:
        """Return the first instant after `at` at which a test has another value, `NEVER` if it certainly keeps it."""
        call = self.program.call(node)
        now = call(who, at)
        one_way = self._one_way(node, who)
        if one_way is not None:
            return self._first_to_leave(one_way, call, who, at)
        if id(node) in self._fixed:
            return NEVER
        moment, end = self.value(node, who, at), horizon(at)
        quiet = _Quiet(self, node, who, int(at)) if self.asks_the_clock and asks_the_clock(node) else None
        while moment < end and call(who, moment) is now:
            moment = self.value(node, who, moment)
            if quiet is not None:
                moment = quiet.after(moment)
        if moment < end:
            return moment
        if quiet is not None and self._shows_the_clock_alone(node):
            self._fixed.add(id(node))  # no hour of any day changes it, for any person
        return NEVER

    def _one_way(self, node: Expression, who: Person) -> nodes.Aggregate | None:
        """Return the figure that a test compares, if it can only shrink when events leave its window."""
        figure = node
        if isinstance(node, nodes.Compare) and node.op in {"lt", "le", "gt", "ge"}:
            figure = node.left if isinstance(node.right, nodes.Literal) else node.right
            if not isinstance(node.left if figure is node.right else node.right, nodes.Literal):
                return None
        if not isinstance(figure, nodes.Aggregate) or not _plain(figure.window):
            return None
        if figure.op == "sum" and figure is not node:
            return figure if self._never_negative(figure, who) else None
        shrinks = {"exists"} if figure is node else {"count", "active_days", "count_distinct"}
        return figure if figure.op in shrinks else None

    def _never_negative(self, figure: nodes.Aggregate, who: Person) -> bool:
        """Return whether no event of a sum is negative; the answer is kept for each person."""
        find, of = self.program.finder(figure.events), figure.of or "value"
        known = who.facts.get((find.key, of))
        if known is None:
            read = prop(nodes.Prop(of))
            values = (read(row, 0) for row in find(who)[1])
            known = all(value is None or (value.__class__ in {float, int} and value >= 0) for value in values)
            who.facts[find.key, of] = known
        return known

    def _first_to_leave(self, figure: nodes.Aggregate, call: Call, who: Person, at: int) -> int:
        """Return when the first event leaves whose loss changes a test; found by bisection, as later losses do too."""
        within = figure.window.within
        if not isinstance(within, timedelta):
            return NEVER
        times = self.program.finder(figure.events)(who)[0]
        start, stop = span(figure.window, self.zone)(times, at)
        size, now = length(within), call(who, at)
        low, high = start, stop
        while low < high:
            middle = (low + high) // 2
            if call(who, times[middle] + size) is now:
                low = middle + 1
            else:
                high = middle
        return times[low] + size if low < stop else NEVER

    # Until when a value certainly does not change

    def value(self, node: Expression, who: Person, at: int) -> int:
        """Return an instant until which a node keeps its current value; it may keep it longer."""
        match node:
            case nodes.Compare(left=left, right=right):
                if self.moves(left) or self.moves(right):
                    return self._meeting(node, who, at)
                return min(self.value(left, who, at), self.value(right, who, at))
            case nodes.Between(arg=arg) | nodes.IsIn(arg=arg) | nodes.IsNull(arg=arg) if self.moves(arg):
                return self._meeting(node, who, at)
            case nodes.Arithmetic(left=left, right=right):
                return min(self.value(left, who, at), self.value(right, who, at))
            case nodes.Between(arg=arg) | nodes.IsIn(arg=arg) | nodes.IsNull(arg=arg):
                return self.value(arg, who, at)
            case nodes.Matches(arg=arg) | nodes.IsEmpty(arg=arg) | nodes.Fill(arg=arg):
                return self.value(arg, who, at)
            case nodes.And() | nodes.Or() | nodes.Not() | nodes.AtLeast() | nodes.SegmentRef():
                return min(self.until(node, who, at, what=True), self.until(node, who, at, what=False))
            case nodes.Age(arg=arg) | nodes.DateWindow(arg=arg) | nodes.InPeriod(arg=arg):
                return min(self._calendar(node, who, at), self.value(arg, who, at))
            case nodes.Aggregate(events=events, window=window) | nodes.LastEvent(events=events, window=window):
                return self._window(self.program.finder(events)(who)[0], window, at)
            case nodes.Regularly():
                return self._regularly(node, self.program.finder(node.events)(who)[0], at)
            case nodes.NotFollowedBy():
                return self._not_followed_by(node, who, at)
            case nodes.Clock():
                return self._clock(node, at) if self.clock else NEVER
            case nodes.Field() | nodes.Prop() | nodes.Literal() | nodes.Ids() | nodes.Sample() | nodes.Everyone():
                return NEVER
            case nodes.Stage():  # a step that was reached stays reached; its days are handled by `_meeting`
                return NEVER
            case nodes.Sequence(
                steps=steps, recent=recent
            ):  # a sequence that was done stays done, but it may become too long ago
                return NEVER if recent is None else self._left(self.program.finder(steps[-1])(who)[0], recent, at)
        raise AssertionError(f"{type(node).__name__} does not say until when it stays")

    def _clock(self, node: nodes.Clock, at: int) -> int:
        """Return until when the hour, or the day of the week, certainly stays the same."""
        at = int(at)
        if not self._same_offset[0] <= at < self._same_offset[1]:
            self._same_offset = (at, self.zone.next_offset(at, at + _ROUND) or at + _ROUND)
        size = DAY if node.op == "weekday" else HOUR
        return min(at + size - self.zone.wall(at) % size, self._same_offset[1])

    def others(self, node: Expression, who: Person, at: int) -> int:
        """Return until when everything in a rule except the clock certainly does not change."""
        still, ends = Changes(self.program, clock=False), [NEVER]
        for part in _leaves(node, self.program):
            if not asks_the_clock(part):
                ends.append(still.leaf(part, who, at))
            elif not self._shows_the_clock_alone(part):
                ends.append(still.value(part, who, at))
        return min(ends)

    @staticmethod
    def _shows_the_clock_alone(node: Expression) -> bool:
        return not any(isinstance(part, _PERSONAL) for _, part in walk(node))

    def round_of_the_clock(self, at: int) -> int:
        """Return when every hour of every weekday has come: in a week, or later if the clock changes in that week."""
        return at + (_WEEK if self.zone.next_offset(at, at + _WEEK) is None else _ROUND)

    def _calendar(self, node: nodes.Age | nodes.DateWindow | nodes.InPeriod, who: Person, at: int) -> int:
        value = self.program.call(node.arg)(who, at)
        if value is None:
            return NEVER
        if isinstance(node, nodes.DateWindow) and (
            node.op in {"within", "older_than"} or (node.op == "upcoming" and value.__class__ is Moment)
        ):
            return _first_after(at, self._instants(node, moment_of(node, value, self.zone)))
        return min(self.zone.next_edge(day, at) for day in self._days(node, value, self.zone.day(at)))

    def _instants(self, node: nodes.DateWindow, when: int) -> tuple[int, ...]:
        size = length(node.duration)
        if node.op == "upcoming":
            return when - size, when
        return (when + size,) if node.op == "older_than" else (when, when + size)

    def _days(self, node: nodes.Age | nodes.DateWindow | nodes.InPeriod, value: Any, today: int) -> tuple[int, ...]:
        """Return the days around today at whose beginning, or end, a calendar test may change."""
        day = local_day(node, value, self.zone)
        if isinstance(node, nodes.InPeriod):
            number = period_number(today if node.yearly else day, node.unit) - (0 if node.yearly else node.offset)
            return first_day(number, node.unit), first_day(number + 1, node.unit)
        if isinstance(node, nodes.DateWindow) and node.op == "upcoming":
            return day - node.duration // timedelta(days=1) + 1, day + 1
        coming = today + days_to_anniversary(day, today)
        if isinstance(node, nodes.DateWindow) and node.op == "past_anniversary":
            latest = today - days_since_anniversary(day, today)
            return latest, latest + node.duration // timedelta(days=1), coming
        before = anniversary_beside(day, coming, -1)
        if isinstance(node, nodes.Age):
            return (before, coming) if coming > today else (coming, anniversary_beside(day, coming, 1))
        return before + 1, coming - node.duration // timedelta(days=1) + 1, coming + 1

    # Events

    def _window(self, times: list[int], window: Window, at: int) -> int:
        """Return when the next event enters a window or leaves it."""
        zone, ago, within = self.zone, window.ago, window.within
        high = at if ago is None else zone.before(at, ago)
        last = window.last(zone.name)
        until = NEVER if last is None else last
        since = None if (begin := window.first(zone.name)) is None else begin - 1
        coming = bisect_right(times, high if since is None else max(high, since))
        end = zone.after(times[coming], ago, at=at) if coming < len(times) and times[coming] <= until else NEVER
        if within is not None:
            start = zone.back(at, window.back)
            first = bisect_right(times, start if since is None else max(start, since))
            if first < len(times) and times[first] <= min(high, until):
                end = min(end, zone.after(times[first], *window.back, at=at))
        end = min(end, self._set_back(times, at, ago, within))
        return end if window.during is None else min(end, self._period(times, window.during, at))

    def _set_back(self, times: list[int], at: int, *spans: Span | None) -> int:
        """Return when a calendar span may reach further back than just before, so that an event returns to a window.

        This happens when the clock is set back, within a day, and when a month ends: one month before 29 March, 00:00
        is 28 February, 00:00.
        """
        calendar = [span for span in spans if isinstance(span, CalendarSpan)]
        if not calendar:
            return NEVER
        turned = self.zone.next_offset(int(at), int(at) + DAY) or NEVER
        given = tuple(span for span in spans if span is not None)
        if not any(span.months for span in calendar) or not times:
            return turned
        if times[-1] <= self.zone.back(int(at), given) - _RETURNS * DAY:
            return turned
        return min(turned, self.zone.next_turn(int(at), given))

    def _left(self, times: list[int], recent: Span, at: int) -> int:
        """Return when the next event becomes too long ago."""
        first = bisect_right(times, self.zone.before(at, recent))
        end = self.zone.after(times[first], recent, at=at) if first < len(times) else NEVER
        return min(end, self._set_back(times, at, recent))

    def _period(self, times: list[int], period: Period, at: int) -> int:
        """Return when the calendar period of a window reaches the next event or leaves its first one behind."""
        zone, unit = self.zone, period.unit
        number = period_number(zone.day(at), unit)
        low, high = zone.period_bounds(period, at)
        turns = [number]  # when the clock is set back across midnight, the day before returns
        first, coming = bisect_right(times, low), bisect_right(times, high)
        if first < len(times):
            turns.append(period_number(zone.day(times[first]), unit) - period.offset + period.count)
        if coming < len(times):
            turns.append(period_number(zone.day(times[coming]), unit) - period.offset)
        return min(zone.next_edge(first_day(turn, unit), at) for turn in turns)

    def _regularly(self, node: nodes.Regularly, times: list[int], at: int) -> int:
        """Return the exact instant at which the number of periods with an event passes the bound."""
        least, of = node.min_periods, node.of
        if isinstance(node.period, str):
            unit = node.period
            numbers = sorted({period_number(self.zone.day(time), unit) for time in times}, reverse=True)
            if len(numbers) < least:
                return NEVER
            # Periods only grow older, so the test fails for good when the least-th latest of them is too old.
            return self.zone.next_edge(first_day(numbers[least - 1] + of, unit), at)
        size = length(node.period)
        # Which events share a period depends only on the instant modulo the period; after one more period all events
        # are one period older. So for each phase, count for how many rounds the test is true.
        phases = sorted({0} | {size - (at - time) % size for time in times})
        best = NEVER
        now = _periods_held(times, at, size, least, of) > 0
        for phase in phases:
            rounds = _periods_held(times, at + phase, size, least, of)
            if now:
                best = min(best, at + phase + rounds * size)
            elif rounds > 0:
                best = min(best, at + phase)
        return best

    def _not_followed_by(self, node: nodes.NotFollowedBy, who: Person, at: int) -> int:
        times = self.program.finder(node.events)(who)[0]
        if not times or bisect_right(answers := self.program.finder(node.then)(who)[0], times[-1]) < len(answers):
            return NEVER
        edges = [times[-1] + length(node.within)]
        if node.recent is not None:
            edges.append(times[-1] + length(node.recent))
        return _first_after(at, edges)

    # Numbers that grow with time

    def moves(self, node: Expression) -> bool:
        """Return whether a number changes with every microsecond."""
        match node:
            case nodes.Aggregate(op=op):
                return op in {"days_since_first", "days_since_last"}
            case nodes.Stage(op=op):
                return op == "stage_days"
            case nodes.Arithmetic(left=left, right=right):
                return self.moves(left) or self.moves(right)
            case nodes.Fill(arg=arg):
                return self.moves(arg)
        return False

    def line(self, node: Expression, who: Person, at: int) -> Line:
        """Return how a number changes from an instant on."""
        match node:
            case nodes.Arithmetic(op=op, left=left, right=right) if self.moves(node):
                return combined(op, self.line(left, who, at), self.line(right, who, at))
            case nodes.Fill(arg=arg, value=value) if self.moves(arg):
                inner = self.line(arg, who, at)
                if inner.over is None:
                    return inner._replace(over=(float(plain_literal(value.value)),))
                return inner
        value = self.program.call(node)(who, at)
        until = self.value(node, who, at)
        if value is None:
            return Line(None, ONE, until)
        return Line((value, 1.0) if self.moves(node) else (value,), ONE, until)

    def _meeting(self, node: Expression, who: Person, at: int) -> int:
        """Return when a number that changes with time passes one of the bounds of a test."""
        arg, others = _sides(node)
        line = self.line(arg, who, at)
        ends = [self.line(other, who, at) for other in others]
        end = min([line.until, *(other.until for other in ends)])
        known = [other for other in ends if other.over is not None]
        if line.over is None or len(known) < len(ends):
            return end
        near = roots([*(minus(line, other) for other in known), *line.poles, *(p for one in known for p in one.poles)])
        mine, theirs = self.program.call(arg), [self.program.call(other) for other in others]

        def sign(moment: int) -> Any:
            a = mine(who, moment)
            if a is None:
                return None
            return [None if (b := call(who, moment)) is None else (a > b) - (a < b) for call in theirs]

        return first_change(sign, at, min(end, at + 2 * HORIZON), near)


def _sides(node: Expression) -> tuple[Expression, tuple[Expression, ...]]:
    """Return the number of a test, and the values with which it is compared."""
    match node:
        case nodes.Compare(left=left, right=right):
            return left, (right,)
        case nodes.Between(arg=arg, low=low, high=high):
            return arg, (low, high)
        case nodes.IsIn(arg=arg, values=values):
            return arg, tuple(nodes.Literal(value) for value in values)
    return node.arg, ()  # type: ignore[attr-defined]  # IsNull


def _plain(window: Window) -> bool:
    """Return whether events can only leave a window, each a fixed time after it happened."""
    calendar = window.within is not None and not isinstance(window.within, timedelta)
    return window.ago is None and window.during is None and not calendar


def _first_after(at: int, edges: Any) -> int:
    return min((edge for edge in edges if edge > at), default=NEVER)


def _periods_held(times: list[int], at: int, size: int, least: int, of: int) -> int:
    """Return for how many more periods, from an instant on, enough of the last periods have an event."""
    ages = sorted({(at - time) // size for time in times})
    return max(0, of - ages[least - 1]) if len(ages) >= least else 0


class _Quiet:
    """Ends a search hour by hour: after a week in which only the clock changed, nothing new can happen.

    Hours and days of the week repeat every week. If the clock changes in that week, so that an hour is skipped, the
    hour comes a week later; then three weeks are searched.
    """

    def __init__(self, changes: Changes, node: Expression, who: Person, at: int) -> None:
        self.changes, self.node, self.who = changes, node, who
        self.until = changes.others(node, who, at)
        self.end = changes.round_of_the_clock(at)

    def after(self, moment: int) -> int:
        """Return where the search continues: at `moment`, or when something other than the clock changes."""
        if self.end < moment or self.until <= moment:
            moment = self.until
            if moment < NEVER:
                self.until = self.changes.others(self.node, self.who, moment)
                self.end = self.changes.round_of_the_clock(moment)
        return moment


def _leaves(node: Expression, program: Program) -> Iterator[Expression]:
    """Yield the tests of a rule, including those of other segments to which it refers."""
    stack = [node]
    while stack:
        part = stack.pop()
        match part:
            case nodes.And(args=args) | nodes.Or(args=args) | nodes.AtLeast(args=args):
                stack += args
            case nodes.Not(arg=arg):
                stack.append(arg)
            case nodes.SegmentRef(name=name):
                stack.append(program.segments[name])
            case _:
                yield part
