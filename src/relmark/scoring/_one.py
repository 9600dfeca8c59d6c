"""Kernels of scoring one lead: rules compiled to functions of a person, with the same points as bulk scoring."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.errors import InputError
from relmark.core.time import DAY, to_local
from relmark.expressions import Window, scalar_values
from relmark.expressions.lengths import length
from relmark.expressions.nodes import Compare, Field, Literal, Prop
from relmark.expressions.scalar import Person, Program, events_of, program_of
from relmark.expressions.scalar_calendar import NEVER, Dated, Zone, period_number
from relmark.expressions.scalar_values import plain_literal
from relmark.expressions.unknown import unknown_parts
from relmark.scoring._falls import MANY, clamp
from relmark.scoring.decay import Decay
from relmark.scoring.points import MOST, ByValue, Tiers
from relmark.scoring.rules import Rule

if TYPE_CHECKING:
    from relmark.scoring.lead_score import LeadScore

__all__ = ["Found", "ScoreProgram", "Totals", "Worth"]


class Worth(NamedTuple):
    """One event of a rule: its time, the event, and its points before decay, after decay and after bounds."""

    time: int
    what: Any
    raw: int
    faded: int
    kept: int


class Found(NamedTuple):
    """What a rule gives in thousandths before decay, after decay and within its bounds; its events as columns."""

    raw: int
    faded: int
    kept: int
    times: Sequence[int] = ()
    what: Sequence[Any] = ()
    worth: Sequence[float] = ()
    points: tuple[Sequence[int], Sequence[int], Sequence[int]] = ((), (), ())
    stamps: npt.NDArray[np.int64] | None = None

    @property
    def events(self) -> Iterator[Worth]:
        """The events, oldest first."""
        return map(Worth, self.times, self.what, *self.points)


class Totals(NamedTuple):
    """The points of rules and groups and the total, in thousandths."""

    rules: list[int]
    groups: list[int]
    total: int


class ScoreProgram:
    """A lead score compiled for scoring one person at a time, in a time zone."""

    def __init__(self, score: LeadScore, tz: str) -> None:
        self.score = score
        self.tz = tz
        self.rules: list[_When | _Each] = [
            _When(rule, tz) if rule.each is None else _Each(rule, tz) for rule in score.rules
        ]
        place = {group.name: position for position, group in enumerate(score.groups)}
        self.group = [-1 if rule.group is None else place[rule.group] for rule in score.rules]
        self.group_bounds = [(_whole(group.floor), _whole(group.cap)) for group in score.groups]
        self.bounds = (_whole(score.floor), _whole(score.cap))
        self._bands = [(name, low) for name, low in score.bands.items()]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the score, and compile it again when unpickling."""
        return ScoreProgram, (self.score, self.tz)

    def totals(self, person: Person, at: int) -> Totals:
        """Return the score at an instant."""
        return self.summed([rule.found(person, at).kept for rule in self.rules])

    def summed(self, rules: list[int]) -> Totals:
        """Return the score from the points of the rules."""
        groups = [0] * len(self.group_bounds)
        total = 0
        for points, group in zip(rules, self.group, strict=True):
            if group < 0:
                total += points
            else:
                groups[group] += points
        for position, bounds in enumerate(self.group_bounds):
            groups[position] = clamp(groups[position], *bounds)
            total += groups[position]
        return Totals(rules, groups, clamp(total, *self.bounds))

    def band(self, total: int) -> str:
        """Return the band of a total."""
        points = total / 1000
        return next((name for name, low in self._bands if points >= low), "")

    def grade(self, groups: list[int]) -> str:
        """Return the grade of the groups' points."""
        grades = self.score.grades
        if grades is None:
            return ""
        points = {group.name: given / 1000 for group, given in zip(self.score.groups, groups, strict=True)}
        return grades.of(**points)


class _When:
    """A rule that gives its points once."""

    def __init__(self, rule: Rule, tz: str) -> None:
        assert rule.when is not None
        self.rule = rule
        self.tz = tz
        self.program = program_of(rule.when, tz)
        self.points = _points_of(rule, tz)
        self.bounds = (_whole(rule.floor), _whole(rule.limit))
        self.tests: list[Program] = []
        if isinstance(rule.points, Tiers) and rule.source is not None:
            self.tests = [program_of(Compare("ge", rule.source, Literal(low)), tz) for low, _ in rule.points.steps]
        self.constant = None
        if isinstance(rule.points, float):
            self.constant = (round(rule.points * 1000.0), clamp(round(rule.points * 1000.0), *self.bounds))

    def found(self, person: Person, at: int) -> Found:
        """Return the points of the rule, before and within its bounds."""
        if self.program.verdict(person, at) is not True:
            return _NOTHING
        if self.constant is not None:
            given, kept = self.constant
            return Found(given, given, kept)
        given = round(self.points(person, at) * 1000.0)
        return Found(given, given, clamp(given, *self.bounds))

    def until(self, person: Person, at: int) -> int:
        """Return the instant until which the condition and the points certainly do not change."""
        end = self.program.changes().until(self.program.expression, person, at, what=True)
        source, points = self.rule.source, self.rule.points
        if source is None:
            return end
        program = program_of(source, self.tz)
        end = min(end, program.changes().value(program.expression, person, at))
        if isinstance(points, Tiers) and program.changes().moves(program.expression):
            for test in self.tests:  # a figure that grows with time matters only when it passes a step
                end = min(end, test.changes().value(test.expression, person, at))
        return end

    def missing(self, person: Person, at: int) -> tuple[str, ...]:
        """Return the unknown values because of which the rule gives no points."""
        verdict = self.program.verdict(person, at)
        if verdict is None:
            return _missing(self.program, person, at)
        source = self.rule.source
        if verdict and source is not None and program_of(source, self.tz).value(person, at) is None:
            return _missing(program_of(source, self.tz), person, at)
        return ()


class _Each:
    """A rule that gives points for each event."""

    def __init__(self, rule: Rule, tz: str) -> None:
        assert rule.each is not None
        self.rule = rule
        self.zone = Zone(tz)
        self.find = events_of(rule.each, Window(within=rule.expires), tz)
        self.tiers = rule.points if isinstance(rule.points, Tiers) else None
        self.points = None if self.tiers is not None else _points_of(rule, tz)
        self.constant = rule.points * 1000.0 if isinstance(rule.points, float) else None
        self.once = None if rule.once_per is None else scalar_values.prop(Prop(rule.once_per))
        self.decay = rule.decay
        self.period_cap = _whole(rule.cap) if rule.cap_per is not None else None
        self.bounds = (_whole(rule.floor), _whole(rule.limit))
        self.expires = None if rule.expires is None else length(rule.expires)

    @property
    def fades(self) -> bool:
        """Whether the points of its events change as they grow older."""
        return self.tiers is None and (self.decay is not None or self.expires is not None)

    def _happened(self, person: Person, at: int) -> tuple[Sequence[int], Sequence[Any], Sequence[float]]:
        """Return the events that count: ascending times, the events, and their thousandths before decay."""
        times, what = self.find.columns(person, at)
        worth: Sequence[float]
        if self.tiers is not None:
            worth = [0.0] * len(times)
        elif self.constant is not None:
            worth = [self.constant] * len(times)
        else:
            assert self.points is not None
            points = self.points
            worth = [points(one, time) * 1000.0 for one, time in zip(what, times, strict=True)]
        if self.once is not None:
            kept = self._newest(times, what, worth)
            return [times[k] for k in kept], [what[k] for k in kept], [worth[k] for k in kept]
        return times, what, worth

    def _newest(self, times: Sequence[int], what: Sequence[Any], worth: Sequence[float]) -> list[int]:
        """Return the events that give points if only the newest event for each value of a property does."""
        assert self.once is not None
        newest: dict[Any, int] = {}
        kept: list[int] = []
        for k, one in enumerate(what):
            key = self.once(one, 0)
            if key is None:
                kept.append(k)
            elif key not in newest or (times[k], worth[k]) >= (times[newest[key]], worth[newest[key]]):
                newest[key] = k
        return sorted([*kept, *newest.values()])

    def _faded(self, decay: Decay, times: Sequence[int], worth: Sequence[float], at: int) -> tuple[list[int], Any]:
        """Return the points of events after decay, and their times as an array if there are many.

        If `at` is a date, ages are measured by the wall clock, as days since an event are.
        """
        dated = at.__class__ is Dated
        if len(times) >= MANY:
            stamps = np.array(times, dtype=np.int64)
            given = self.constant if self.constant is not None else np.array(worth)
            ages = self.zone.wall(at) - to_local(stamps, self.zone.name) if dated else at - stamps
            return np.rint(given * decay.factors(ages)).astype(np.int64).tolist(), stamps
        factor = decay.factor
        if dated:
            at, times = self.zone.wall(at), [self.zone.wall(time) for time in times]
        return [round(one * factor(at - time)) for time, one in zip(times, worth, strict=True)], None

    def period(self, time: int) -> int:
        """Return the number of the period of `cap_per` in which an instant lies."""
        period = self.rule.cap_per
        if isinstance(period, str):
            return period_number(self.zone.day(time), period)
        assert period is not None
        size = length(period)
        return self.zone.day(time) // (size // DAY) if size % DAY == 0 else time // size

    def found(self, person: Person, at: int) -> Found:
        """Return the points before and after decay and bounds, with the events; bounds keep the newest events.

        Tiers give points for a number of events, so that each event has 0 points.
        """
        times, what, worth = self._happened(person, at)
        n = len(times)
        if self.tiers is not None:
            given = round(_tier(self.tiers, n) * 1000.0)
            return Found(given, given, clamp(given, *self.bounds), times, what, worth, ([0] * n, [0] * n, [0] * n))
        raw = [round(self.constant)] * n if self.constant is not None else [round(one) for one in worth]
        faded, stamps = (raw, None) if self.decay is None else self._faded(self.decay, times, worth, at)
        kept = faded
        if self.period_cap is not None:
            groups: dict[int, list[int]] = {}
            for position, time in enumerate(times):
                groups.setdefault(self.period(time), []).append(position)
            kept = list(faded)
            for positions in groups.values():
                _trim(kept, positions, None, self.period_cap)
        whole = sum(kept)
        bounded = clamp(whole, *self.bounds)
        if bounded != whole:
            kept = list(kept)
            _trim(kept, range(n), *self.bounds)
        return Found(sum(raw), sum(faded), bounded, times, what, worth, (raw, faded, kept), stamps)

    def until(self, person: Person, at: int) -> int:
        """Return the instant until which enough events count for the current tier."""
        if self.tiers is None or self.expires is None:
            return NEVER
        times, _, _ = self._happened(person, at)
        place = bisect_right([low for low, _ in self.tiers.steps], len(times))
        if place == 0:
            return NEVER
        # So many have to expire that fewer than the lowest count of this tier are left.
        gone = len(times) - math.ceil(self.tiers.steps[place - 1][0]) + 1
        return NEVER if gone > len(times) else times[gone - 1] + self.expires

    def missing(self, person: Person, at: int) -> tuple[str, ...]:
        """Return the value that some events lack, because of which they gave no points."""
        source = self.rule.source
        if source is None:
            return ()
        program = program_of(source, self.zone.name)
        lacking = sum(program.value(what, 0) is None for what in self._happened(person, at)[1])
        return (f"{source!r} of {lacking} event{'s' if lacking > 1 else ''}",) if lacking else ()


_NOTHING = Found(0, 0, 0)


def _trim(points: list[int], positions: Any, low: int | None, high: int | None) -> None:
    """Remove what is beyond a bound from the oldest events that give points, or that take points."""
    total = sum(points[position] for position in positions)
    excess = total - clamp(total, low, high)
    for position in positions:
        if excess == 0:
            return
        if (points[position] > 0) is (excess > 0) and points[position] != 0:
            lost = min(points[position], excess) if excess > 0 else max(points[position], excess)
            points[position] -= lost
            excess -= lost


def _whole(points: float | None) -> int | None:
    return None if points is None else round(points * 1000.0)


def _tier(tiers: Tiers, value: float) -> float:
    place = bisect_right([low for low, _ in tiers.steps], value)
    return tiers.steps[place - 1][1] if place else 0.0


def _points_of(rule: Rule, tz: str) -> Callable[[Any, int], float]:
    """Return the function of a person or an event that gives a rule's points; 0 if the source is unknown."""
    points, source = rule.points, rule.source
    if isinstance(points, float):
        constant = points
        return lambda _, __: constant
    assert source is not None
    program = program_of(source, tz)
    if isinstance(points, ByValue):
        table = {plain_literal(value): worth for value, worth in points.table}
        kind = next(iter(table)).__class__
        otherwise, kinds = points.otherwise, {float, int} if kind in {float, int} else {kind}

        def by_value(who: Any, at: int) -> float:
            value = program.value(who, at)
            if value is None:
                return otherwise
            if value.__class__ not in kinds:
                raise InputError(
                    f"rule {rule.name!r}: {source!r} is {value!r}, but its table has {kind.__name__} values.",
                    argument="points",
                    code="wrong_type",
                )
            return table.get(value, otherwise)

        return by_value

    def number(who: Any, at: int) -> Any:
        value = program.value(who, at)
        if value.__class__ is int:  # points are in float64
            return float(value)
        if value is not None and value.__class__ is not float:
            raise InputError(
                f"rule {rule.name!r}: {source!r} is {value!r}, but points need a number.",
                argument="points",
                code="wrong_type",
            )
        return value

    if isinstance(points, Tiers):
        tiers = points
        return lambda who, at: 0.0 if (value := number(who, at)) is None else _tier(tiers, value)

    def calculated(who: Any, at: int) -> float:
        value: float | None = number(who, at)
        if value is None:
            return 0.0
        if abs(value) > MOST:
            raise InputError(
                f"rule {rule.name!r} gives {value:g} points at once: at most {MOST:,.0f} are allowed.",
                argument="points",
                code="too_large",
                hint="Lower the factor in its points.",
            )
        return value

    return calculated


def _missing(program: Program, person: Person, at: int) -> tuple[str, ...]:
    """Return in words the values of a person that are unknown and make an expression unknown, each once."""
    parts = unknown_parts(program, program.expression, person, at)
    return tuple(dict.fromkeys(f"field {node.name!r}" if isinstance(node, Field) else repr(node) for node in parts))
