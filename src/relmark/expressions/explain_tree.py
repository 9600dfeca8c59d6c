"""The verdict of each part of a rule for one person: the value found, the value it is compared with, and the events."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

from relmark.core.spans import repeated
from relmark.core.time import aware
from relmark.expressions import nodes
from relmark.expressions.explain_gaps import gap_of, label_of, periods_held
from relmark.expressions.explain_parts import Change, Happened, Verdict
from relmark.expressions.lengths import length
from relmark.expressions.next_change import horizon
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Person, Program, natural
from relmark.expressions.scalar_calendar import first_day, last_seen, period_number
from relmark.expressions.scalar_events import age_before, chain_found, shared_value, span, stage_found
from relmark.expressions.scalar_person import plain_value
from relmark.expressions.unknown import unknown_parts
from relmark.expressions.walk import children

__all__ = ["explained", "reason_at"]

_SHOWN = 3
_TIMED = (nodes.DateWindow, nodes.InPeriod, nodes.Regularly, nodes.NotFollowedBy)


def explained(program: Program, person: Person) -> Verdict:
    """Return the verdict of a rule and of each of its parts."""
    return _Explainer(program, person).node(program.expression, "$", wanted=True)


def reason_at(program: Program, person: Person, at: int) -> Change | None:
    """Return why a rule changes at an instant: the change of the first of its tests that is different then."""
    explainer = _Explainer(program, person)
    stack = [program.expression]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.And | nodes.Or | nodes.AtLeast | nodes.Not):
            stack += reversed([child for _, child in children(node) if isinstance(child, Expression)])
        elif isinstance(node, nodes.SegmentRef):
            stack.append(program.segments[node.name])
        elif explainer.before(node, at) is not program.call(node)(person, at):
            return explainer.changed(node, at)
    return None


class _Explainer:
    """Explains a tree for one person; `wanted` says whether the whole rule needs a part to be true or false."""

    def __init__(self, program: Program, person: Person) -> None:
        self.program = program
        self.person = person
        self.at = person.as_of
        self.now = int(person.as_of)  # the instant, also if as_of is a date

    def node(self, node: Expression, path: str, *, wanted: bool) -> Verdict:
        call = self.program.call(node)
        verdict = call(self.person, self.at)
        plain = {"path": path, "code": node.op, "rule": node.to_text(), "verdict": verdict, "tz": self.program.tz}  # type: ignore[attr-defined]
        match node:
            case nodes.And(args=args) | nodes.Or(args=args) | nodes.AtLeast(args=args):
                parts = [self.node(arg, f"{path}.args[{k}]", wanted=wanted) for k, arg in enumerate(args)]
                if isinstance(node, nodes.AtLeast):
                    plain |= {"actual": sum(part.verdict is True for part in parts), "needed": node.n}
                return Verdict(**plain, args=tuple(parts))
            case nodes.Not(arg=arg):
                return Verdict(**plain, args=(self.node(arg, f"{path}.arg", wanted=not wanted),))
            case nodes.SegmentRef(name=name):
                return Verdict(**plain, args=(self.node(self.program.segments[name], path, wanted=wanted),))
        times, rows = self.events_of(node)
        gap = None if verdict is wanted else gap_of(self.program, self.person, node, wanted=wanted)
        return Verdict(
            **plain,
            actual=self.actual(node),
            needed=_needed(node),
            missing=tuple(dict.fromkeys(self.missing(node))) if verdict is None else (),
            events=tuple(self.happened(*pair) for pair in list(zip(times, rows, strict=True))[-_SHOWN:]),
            n_events=len(times),
            gap=gap,
            change=self.change(node),
        )

    def happened(self, time: int, row: Any) -> Happened:
        asked = self.program.needs().properties_of(row.type)
        properties = {name: natural(plain_value(name, row.properties.get(name))) for name in asked}
        return Happened(
            type=row.type,
            time=aware(time),
            tz=self.program.tz,
            value=None if row.value is None else float(row.value),
            properties={name: value for name, value in sorted(properties.items()) if value is not None},
        )

    def before(self, node: Expression, at: int) -> Any:
        """Return the value of a test just before it changes; at the midnight of a date, its value as of that date."""
        return self.program.call(node)(self.person, self.at if at == self.now else at - 1)

    # What was found

    def value(self, node: Expression) -> Any:
        return natural(self.program.call(node)(self.person, self.at))

    def actual(self, node: Expression) -> Any:
        """Return the value that a test compared."""
        match node:
            case nodes.Compare(left=left, right=right):
                return self.value(right if isinstance(left, nodes.Literal) else left)
            case (
                nodes.Between(arg=arg)
                | nodes.IsIn(arg=arg)
                | nodes.IsNull(arg=arg)
                | nodes.IsEmpty(arg=arg)
                | nodes.Matches(arg=arg)
                | nodes.DateWindow(arg=arg)
                | nodes.InPeriod(arg=arg)
            ):
                return self.value(arg)
            case nodes.Aggregate(op="exists"):
                return float(len(self.events_of(node)[0]))
            case nodes.Aggregate() | nodes.Field() | nodes.Fill() | nodes.Stage():
                return self.value(node)
            case nodes.Regularly():
                return float(periods_held(self.program, self.person, node))
            case nodes.Ids() | nodes.Sample():
                return self.person.id
        return None

    def missing(self, node: Expression) -> Iterator[str]:
        """Yield the names of what is unknown in a test."""
        for part in unknown_parts(self.program, node, self.person, self.at):
            match part:
                case nodes.Field(name=name):
                    yield name
                case nodes.LastEvent(events=events) if not self.events_of(part)[1]:
                    yield label_of(events)
                case nodes.LastEvent(events=events, where=where):
                    yield from (f"{prop.name} of the last {label_of(events)}" for prop in _props(where))
                case _:
                    yield part.to_text()

    # Events

    def events_of(self, node: Expression) -> tuple[list[int], list[Any]]:
        """Return the events on which a verdict is based, ascending in time."""
        match node:
            case nodes.Aggregate(events=events, window=window) | nodes.LastEvent(events=events, window=window):
                times, rows = self.program.finder(events)(self.person)
                start, stop = span(window, self.program.zone)(times, self.at)
                return self.those_that_count(node, times[start:stop], rows[start:stop])
            case nodes.Regularly(events=events, of=of, period=period):
                times, rows = self.program.finder(events)(self.person)
                if isinstance(period, str):
                    today = self.program.zone.day(self.at)
                    oldest = first_day(period_number(today, period) - of + 1, period)
                    first = bisect_right(times, self.program.zone.midnight(oldest) - 1)
                else:
                    first = bisect_right(times, last_seen(self.program.zone.before(self.at, repeated(period, of))))
                return times[first:], rows[first:]
            case nodes.NotFollowedBy(events=events, then=then, recent=recent):
                times, rows = self.program.finder(events)(self.person)
                later, answers = self.program.finder(then)(self.person)
                if (
                    recent is not None
                    and times
                    and age_before(self.program.zone, self.at, times[-1], recent) >= length(recent)
                ):  # the event is too old to matter
                    return [], []
                first = len(later) if not times else bisect_right(later, times[-1])
                return times[-1:] + later[first : first + 1], rows[-1:] + answers[first : first + 1]
            case nodes.Sequence():
                return self.chain(node)
            case nodes.Stage():
                return self.reached(node)
        pairs: dict[int, tuple[int, Any]] = {}
        for _, child in children(node):
            if isinstance(child, Expression):
                pairs |= {id(row): (time, row) for time, row in zip(*self.events_of(child), strict=True)}
        ordered = sorted(pairs.values(), key=lambda pair: pair[0])
        return [time for time, _ in ordered], [row for _, row in ordered]

    def chain(self, node: nodes.Sequence) -> tuple[list[int], list[Any]]:
        """Return the events that are the steps of a sequence; none if the sequence was not done."""
        steps = [self.program.finder(step) for step in node.steps]
        found = chain_found(node, steps, [self.program.finder(one) for one in node.exclude],
                            self.program.zone, self.person, self.at)  # fmt: skip
        if found is None:
            return [], []
        apart = 1 if node.apart is None else length(node.apart)
        chosen: list[int] = []
        happened = []
        for number, step in enumerate(steps):
            times, rows = step(self.person)
            if node.same is not None:
                read = shared_value(node.same)
                kept = [k for k, row in enumerate(rows) if read(row, 0) == found[2]]
                times, rows = [times[k] for k in kept], [rows[k] for k in kept]
            # After the start of a chain, the earliest next step is best; the last step is the one that was found.
            last = number == len(steps) - 1
            earliest = found[1] if last else found[0] if number == 0 else chosen[-1] + apart
            place = bisect_left(times, earliest)
            chosen.append(times[place])
            happened.append(rows[place])
        return chosen, happened

    def reached(self, node: nodes.Stage) -> tuple[list[int], list[Any]]:
        """Return the events at which the steps of a stage were reached."""
        steps = [self.program.finder(step) for step in node.steps]
        when = stage_found(node, steps, self.person, self.at)
        found = [step(self.person) for step in steps[: len(when)]]
        return when, [rows[bisect_left(times, time)] for (times, rows), time in zip(found, when, strict=True)]

    def those_that_count(self, node: Expression, times: list[int], rows: list[Any]) -> tuple[list[int], list[Any]]:
        """Return those of the events in a window that determine a figure."""
        op: str = node.op  # type: ignore[attr-defined]
        if not times:
            return times, rows
        if op in {"days_since_last", "last_event"}:
            first = times.index(times[-1])
            return times[first:], rows[first:]
        if op == "days_since_first":
            last = bisect_right(times, times[0])
            return times[:last], rows[:last]
        of = getattr(node, "of", None)
        if of is None:
            return times, rows
        values = [self.property(row, of) for row in rows]
        if op in {"min", "max", "most_frequent"}:
            wanted = self.program.call(node)(self.person, self.at)
            kept = [k for k, value in enumerate(values) if value is not None and value == wanted]
        else:
            kept = [k for k, value in enumerate(values) if value is not None]
        if op in {"first", "last"} and kept:
            edge = times[kept[0 if op == "first" else -1]]
            kept = [k for k in kept if times[k] == edge]
        return [times[k] for k in kept], [rows[k] for k in kept]

    @staticmethod
    def property(row: Any, name: str) -> Any:
        if name == "type":
            return row.type
        return plain_value(name, row.value if name == "value" else row.properties.get(name))

    # When it changes

    def change(self, node: Expression) -> Change | None:
        """Return when a test changes if nothing else happens, and why."""
        call = self.program.call(node)
        if call(self.person, self.now) is not call(self.person, self.at):
            return self.changed(node, self.now)
        at = self.program.changes().leaf(node, self.person, self.now)
        return None if at >= horizon(self.now) else self.changed(node, at)

    def changed(self, node: Expression, at: int) -> Change:
        """Return the change of a test at an instant, with the reason."""
        code, event = self.reason(node, at)
        return Change(
            at=aware(at),
            tz=self.program.tz,
            to=self.program.call(node)(self.person, at),
            code=code,
            event=None if event is None else self.happened(*event),
        )

    def reason(self, node: Expression, at: int) -> tuple[str, tuple[int, Any] | None]:
        """Return the code of the reason why a test changes at an instant, and the event that causes it."""
        match node:
            case nodes.NotFollowedBy(events=events):
                times, rows = self.program.finder(events)(self.person)
                return "waited", (times[-1], rows[-1])
            case nodes.Regularly() | nodes.InPeriod() | nodes.Clock():
                return "period", None
            case nodes.Sequence():
                times, rows = self.chain(node)
                return "event_leaves", (times[-1], rows[-1]) if times else None
            case nodes.Stage():
                times, rows = self.reached(node)
                return "time_passes", (times[-1], rows[-1]) if times else None
            case nodes.Age():
                return "birthday", None
            case nodes.DateWindow(op=op):
                return ("day" if op in {"anniversary", "past_anniversary"} else "date"), None
        found: tuple[str, tuple[int, Any] | None] | None = None
        for part in _figures(node):
            if isinstance(part, nodes.Aggregate | nodes.LastEvent):
                moved = self.moved(part, at)
                if moved is not None:
                    return moved
                if part.op in {"days_since_first", "days_since_last"}:
                    times, rows = self.program.finder(part.events)(self.person)
                    start, stop = span(part.window, self.program.zone)(times, self.at if at == self.now else at - 1)
                    place = start if part.op == "days_since_first" else stop - 1
                    found = ("time_passes", (times[place], rows[place]) if start < stop else None)
            else:
                found = found or self.reason(part, at)
        return found or ("time_passes", None)

    def moved(self, part: nodes.Aggregate | nodes.LastEvent, at: int) -> tuple[str, tuple[int, Any] | None] | None:
        """Return the event that leaves or enters a window at an instant, or None."""
        times, rows = self.program.finder(part.events)(self.person)
        place = span(part.window, self.program.zone)
        (start, stop), (later_start, later_stop) = place(times, self.at if at == self.now else at - 1), place(times, at)
        if later_start > start and stop > start:
            return "event_leaves", (times[start], rows[start])
        if later_stop > stop:
            return "event_enters", (times[stop], rows[stop])
        return None


def _figures(node: Expression) -> list[Expression]:
    """Return the parts of a test whose value may change with time: figures of events, ages and tests of dates."""
    found: list[Expression] = []
    stack = [node]
    while stack:
        part = stack.pop()
        inner = part is not node and isinstance(part, _TIMED)
        if inner or isinstance(part, nodes.Aggregate | nodes.LastEvent | nodes.Age | nodes.Stage | nodes.Clock):
            found.append(part)
        else:
            stack += [child for _, child in children(part) if isinstance(child, Expression)]
    return found


def _props(where: Expression) -> list[nodes.Prop]:
    stack, found = [where], []
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.Prop):
            found.append(node)
        stack += [child for _, child in children(node) if isinstance(child, Expression)]
    return found


def _needed(node: Expression) -> Any:
    """Return the value with which a test compares, as JSON-ready values of the rule."""
    match node:
        case nodes.Compare(left=left, right=right):
            bound = left if isinstance(left, nodes.Literal) else right
            return bound.value if isinstance(bound, nodes.Literal) else bound.to_text()
        case nodes.Between(low=low, high=high):
            return (low.value, high.value)
        case nodes.IsIn(values=values) | nodes.Ids(values=values) | nodes.Matches(values=values):
            return values[:20]
        case nodes.DateWindow(duration=length) | nodes.NotFollowedBy(within=length):
            return length
        case nodes.InPeriod(unit=unit, offset=offset, yearly=yearly):
            return (unit, offset, "yearly") if yearly else (unit, offset)
        case nodes.Regularly(min_periods=least):
            return least
        case nodes.Sequence(steps=steps):
            return len(steps)
        case nodes.LastEvent(where=where):
            return where.to_text()
    return None
