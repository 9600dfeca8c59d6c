"""What has to happen for a test to get the other verdict: one more purchase, three more days, the next step."""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from decimal import Decimal
from typing import Any, NamedTuple

import attrs

from relmark.core.time import DAY
from relmark.expressions import nodes
from relmark.expressions.explain_parts import Gap
from relmark.expressions.lengths import known_time, length
from relmark.expressions.next_change import horizon
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Person, Program
from relmark.expressions.scalar_events import chains_of, held_periods, shared_value, span, stage_found, times_by_value
from relmark.expressions.selection import Selection, Window

__all__ = ["gap_of", "label_of", "periods_held"]

_FLIPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
_REACHED = {"eq": "eq", "lt": "le", "le": "le", "gt": "ge", "ge": "ge"}  # the test that includes the bound itself
_TESTS = {name: getattr(operator, name) for name in nodes.COMPARISONS}
_COUNTED = {"count": "more_events", "active_days": "more_days", "count_distinct": "more_values"}


def label_of(events: Selection) -> str:
    """Return the name of the events of a selection."""
    names = "any event" if events.any_type else " or ".join(events.types)
    return names if events.where is None else f"{names} where {events.where.to_text()}"


def gap_of(program: Program, person: Person, node: Expression, *, wanted: bool) -> Gap | None:
    """Return what has to happen for the wanted verdict of a test, or None if there is no simple answer."""
    gap = _gap_of(program, person, node, wanted=wanted)
    return None if gap is None else attrs.evolve(gap, tz=program.tz)


def _gap_of(program: Program, person: Person, node: Expression, *, wanted: bool) -> Gap | None:
    now = program.call(node)(person, person.as_of)
    match node:
        case nodes.Compare(op=op, left=left, right=right):
            if isinstance(left, nodes.Literal):
                op, left, right = _FLIPPED[op], right, left
            if isinstance(left, nodes.Stage) and isinstance(right, nodes.Literal) and op == "eq" and wanted:
                return _next_stage(program, person, left, right.value)
            a, b = program.call(left)(person, person.as_of), program.call(right)(person, person.as_of)
            if a.__class__ is float and b.__class__ is float:
                asked = op if wanted else _OPPOSITE[op]
                return _number_gap(_Asked(program, person, node, wanted), left, a, asked, b)
        case nodes.Between(arg=arg, low=low, high=high) if wanted:
            a = program.call(arg)(person, person.as_of)
            if a.__class__ is float:
                low_end, high_end = float(low.value), float(high.value)  # type: ignore[arg-type]
                if low_end > high_end:
                    return None
                op, bound = ("ge", low_end) if a < low_end else ("le", high_end)
                return _number_gap(_Asked(program, person, node, wanted, (low_end, high_end)), arg, a, op, bound)
        case nodes.Aggregate(op="exists", events=events, window=window) if wanted and _open(program, person, window):
            return Gap(code="more_events", amount=1.0, of=label_of(events))
        case nodes.Regularly() if wanted:
            return Gap(
                code="more_periods", amount=float(node.min_periods - periods_held(program, person, node)),
                of=label_of(node.events),
            )  # fmt: skip
        case nodes.Sequence() if wanted:
            return _next_step(program, person, node)
        case nodes.NotFollowedBy() if wanted:
            return _waiting(program, person, node)
    return Gap(code="value") if now is None else None


class _Asked(NamedTuple):
    """A test whose verdict is not the wanted one, with its person and the bounds within which its number must lie."""

    program: Program
    person: Person
    node: Expression
    wanted: bool
    within: tuple[float, float] = (-math.inf, math.inf)

    def fits(self, op: str, value: float, bound: float) -> bool:
        """Return whether a number passes the test."""
        return bool(_TESTS[op](value, bound)) and self.within[0] <= value <= self.within[1]


def _number_gap(asked: _Asked, arg: Expression, a: float, op: str, b: float) -> Gap | None:
    """Return by how much a number misses a bound; that amount, or any more than it, must be enough, else None."""
    if op == "ne" or isinstance(arg, nodes.Clock):
        return None
    up = op in {"ge", "gt"} or (op == "eq" and a < b)
    if isinstance(arg, nodes.Stage):
        name = label_of(arg.steps[0])
        if up:
            return Gap(code="more_time", amount=b - a, of=name, beyond=op == "gt")
        return Gap(code="new_event", of=name)
    if not isinstance(arg, nodes.Aggregate):
        return Gap(code="more" if up else "less", amount=_amount(a, op, b), of=arg.to_text(), beyond=op in {"gt", "lt"})
    if arg.op in {"days_since_first", "days_since_last"}:
        return _gap_of_days(asked, arg, a, op, b, up=up)
    if arg.op in _COUNTED:
        return _gap_of_count(asked, arg, a, op, b, up=up)
    if not up:
        return Gap(code="less", amount=_amount(a, op, b), of=arg.to_text(), beyond=op == "lt")
    if not _open(asked.program, asked.person, arg.window):
        return None
    last = _first_to_leave(asked.program, asked.person, arg) if arg.op == "sum" else None
    return Gap(code="more", amount=_amount(a, op, b), of=arg.to_text(), before=last, beyond=op == "gt")


def _amount(a: float, op: str, b: float) -> float:
    """Return how much a number has to grow or to shrink: a short number that is enough when added in float64."""
    test, sign = _TESTS[_REACHED[op]], 1.0 if a < b or op in {"ge", "gt"} else -1.0
    size = abs(b - a)
    steps = [size]
    for _ in range(3):
        steps.append(math.nextafter(steps[-1], math.inf))
    steps.append(math.nextafter(size, 0.0))
    # If no float64 reaches the bound when added, as from 1 down to 0.1, use the decimal difference of the numbers.
    written = float(abs(Decimal(repr(b)) - Decimal(repr(a))))
    return next((one for one in (round(size, 6), round(size, 9), *steps) if test(a + sign * one, b)), written)


def _gap_of_days(asked: _Asked, arg: nodes.Aggregate, a: float, op: str, b: float, *, up: bool) -> Gap | None:
    """Return how much time has to pass, or that a newer event is needed, if that really changes the verdict."""
    of, program, person = label_of(arg.events), asked.program, asked.person
    if not up:
        newer = arg.op == "days_since_last" and _open(program, person, arg.window) and asked.fits(op, 0.0, b)
        return Gap(code="new_event", of=of) if newer else None
    call, now = program.call(asked.node), int(person.as_of)
    near = now + math.ceil((b - a) * DAY)
    if near >= horizon(now) or not any(call(person, near + step) is asked.wanted for step in range(-1, 3)):
        return None
    return Gap(code="more_time", amount=b - a, of=of, beyond=op == "gt")


def _gap_of_count(asked: _Asked, arg: nodes.Aggregate, a: float, op: str, b: float, *, up: bool) -> Gap | None:
    """Return how many more or fewer are needed, if the target is a whole number that is not negative."""
    if op == "eq":
        target = b
    elif up:
        target = float(math.ceil(b) if op == "ge" else math.floor(b) + 1)
    else:
        target = float(math.floor(b) if op == "le" else math.ceil(b) - 1)
    if target < 0 or target != math.floor(target) or not asked.fits(op, target, b):
        return None
    if not up:
        return Gap(code="less", amount=a - target, of=arg.to_text())
    if not _open(asked.program, asked.person, arg.window):
        return None
    named = arg.of if arg.op == "count_distinct" and arg.of is not None else label_of(arg.events)
    before = _first_to_leave(asked.program, asked.person, arg)
    return Gap(code=_COUNTED[arg.op], amount=target - a, of=named, before=before)


def _open(program: Program, person: Person, window: Window) -> bool:
    """Return whether an event that happens now would lie in a window."""
    if window.ago is not None:
        return False
    if window.during is not None and window.during.offset:
        return False
    first, last = window.first(program.tz), window.last(program.tz)
    return (first is None or first <= person.as_of) and (last is None or last > person.as_of)


def _first_to_leave(program: Program, person: Person, arg: nodes.Aggregate) -> Any:
    """Return when the first of the events in a window leaves it, or None if none does."""
    times = program.finder(arg.events)(person)[0]
    start, stop = span(arg.window, program.zone)(times, person.as_of)
    if arg.window.within is None or start == stop:
        return None
    return known_time(program.zone.after(times[start], arg.window.within))


def periods_held(program: Program, person: Person, node: nodes.Regularly) -> int:
    """Return how many of the last periods have an event."""
    return len(held_periods(node, program.finder(node.events), program.zone)(person, person.as_of))


def _next_step(program: Program, person: Person, node: nodes.Sequence) -> Gap | None:
    """Return which step comes next after the longest beginning that can still be completed."""
    if node.strict:
        return None
    groups = _times_of_steps(program, person, node)
    within = None if node.within is None else length(node.within)
    for done in range(len(node.steps) - 1, 0, -1):
        start = None
        for found, barred in groups:
            chains = chains_of(found[:done], 1 if node.apart is None else length(node.apart))
            if not chains:
                continue
            begin = chains[-1][0]
            if bisect_right(barred, begin) < len(barred) or (within is not None and person.as_of - begin >= within):
                continue
            start = begin if start is None else max(start, begin)  # of several values, take the one with most time left
        if start is None:
            continue
        before = None if within is None else known_time(start + within + 1)
        return Gap(code="next_step", amount=float(len(node.steps) - done), of=label_of(node.steps[done]), before=before)
    return Gap(code="next_step", amount=float(len(node.steps)), of=label_of(node.steps[0]))


def _next_stage(program: Program, person: Person, node: nodes.Stage, wanted: Any) -> Gap | None:
    """Return which step comes next on the way to a stage; None if the stage was passed or does not exist."""
    if node.op != "stage" or wanted not in node.names:
        return None
    found = stage_found(node, [program.finder(step) for step in node.steps], person, person.as_of)
    done, target = len(found), node.names.index(wanted) + 1
    if done >= target:
        return None
    within = None if node.duration is None else length(node.duration)
    if found and within is not None and person.as_of - found[0] >= within:
        done = 0  # the time of this attempt is over, so another one has to begin
    before = None if within is None or not done else known_time(found[0] + within + 1)
    return Gap(code="next_step", amount=float(target - done), of=label_of(node.steps[done]), before=before)


def _times_of_steps(program: Program, person: Person, node: nodes.Sequence) -> list[tuple[list[list[int]], list[int]]]:
    """Return the times of each step, and of excluded events: in one group, or in one per value that steps can share."""
    events = [program.finder(one)(person) for one in (*node.steps, *node.exclude)]
    if node.same is None:
        parts = [[times for times, _ in events]]
    else:
        read = shared_value(node.same)
        by_value = [times_by_value(one, read) for one in events]
        parts = [[times.get(value, []) for times in by_value] for value in by_value[0]]
    many = len(node.steps)
    return [(own[:many], sorted({time for times in own[many:] for time in times})) for own in parts]


def _waiting(program: Program, person: Person, node: nodes.NotFollowedBy) -> Gap | None:
    """Return how much more time has to pass after the latest event, or that a new event is needed."""
    times = program.finder(node.events)(person)[0]
    answers = program.finder(node.then)(person)[0]
    if not times or bisect_right(answers, times[-1]) < len(answers):
        return Gap(code="new_event", of=label_of(node.events))
    left = times[-1] + length(node.within) - person.as_of
    if left > 0:
        return Gap(code="more_time", amount=left / DAY, of=label_of(node.events))
    return Gap(code="new_event", of=label_of(node.events))
