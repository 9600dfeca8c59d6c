"""Kernels of scoring one lead: the rules as closures over a person, the same points as over columns, bit for bit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from relmark.core.errors import InputError
from relmark.core.time import DAY
from relmark.expressions import Expression, Window
from relmark.expressions.lengths import length
from relmark.expressions.next_change import HORIZON
from relmark.expressions.nodes import Compare, Field, Literal
from relmark.expressions.scalar import Person, Program, events_of, program_of
from relmark.expressions.scalar_calendar import NEVER, Zone, period_number
from relmark.expressions.scalar_values import plain_literal
from relmark.expressions.unknown import unknown_parts
from relmark.scoring.decay import StepDecay
from relmark.scoring.points import MOST, ByValue, Tiers
from relmark.scoring.rules import Rule

if TYPE_CHECKING:
    from relmark.scoring.lead_score import LeadScore

__all__ = ["Found", "ScoreProgram", "Totals", "Worth"]


class Worth(NamedTuple):
    """One event of a rule: when, what, its points before decay, after decay, and after caps, in thousandths."""

    time: int
    what: Any
    raw: int
    faded: int
    kept: int


class Found(NamedTuple):
    """What a rule gives, in thousandths: before decay, after decay, after its caps; with the events."""

    raw: int
    faded: int
    kept: int
    events: list[Worth]


class Totals(NamedTuple):
    """A whole score in thousandths."""

    rules: list[int]
    groups: list[int]
    total: int


class ScoreProgram:
    """A lead score compiled for people one at a time, in a time zone."""

    def __init__(self, score: LeadScore, tz: str) -> None:
        self.score = score
        self.tz = tz
        self.rules: list[_When | _Each] = [
            _When(rule, tz) if rule.each is None else _Each(rule, tz) for rule in score.rules
        ]
        place = {group.name: position for position, group in enumerate(score.groups)}
        self._group = [-1 if rule.group is None else place[rule.group] for rule in score.rules]
        self._group_caps = [_whole(group.cap) for group in score.groups]
        self._cap = _whole(score.cap)
        self._bands = [(name, low) for name, low in score.bands.items()]

    def totals(self, person: Person, at: int, at_negative: int | None = None) -> Totals:
        """Return the score at an instant; with `at_negative`, negative points fade as at that instant instead.

        Positive points as at a later instant and negative ones as at an earlier are a lower bound of all between.
        """
        other = at if at_negative is None else at_negative
        return self.summed([rule.total(person, at, other) for rule in self.rules])

    def summed(self, rules: list[int]) -> Totals:
        """Return the score of what the rules give."""
        groups = [0] * len(self._group_caps)
        total = 0
        for points, group in zip(rules, self._group, strict=True):
            if group < 0:
                total += points
            else:
                groups[group] += points
        for position, cap in enumerate(self._group_caps):
            if cap is not None and groups[position] > cap:
                groups[position] = cap
            total += groups[position]
        if self._cap is not None and total > self._cap:
            total = self._cap
        return Totals(rules, groups, total)

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

    # ---- when the answer changes

    def next_change(self, person: Person, start: int, *, bands: bool) -> int | None:
        """Return the first instant after `start` at which the total (or band and grade) is another, None for never.

        Between two instants at which a condition changes, an event expires or a step comes, points only fade. So the
        positive ones at the end and the negative ones at the beginning bound all totals between, and a stretch is
        halved only where its bounds leave a change possible.
        """

        def key(totals: Totals) -> Any:
            return (self.band(totals.total), self.grade(totals.groups)) if bands else totals.total

        now = key(self.totals(person, start))

        def search(low: int, high: int) -> int | None:
            least, most = self.totals(person, high, low), self.totals(person, low, high)
            if key(least) == now == key(most):
                return None
            if high - low == 1:
                return high if key(self.totals(person, high)) != now else None
            middle = (low + high) // 2
            found = search(low, middle)
            return search(middle, high) if found is None else found

        fades = any(rule.fades for rule in self.rules)
        moment = start
        while moment < start + HORIZON:
            edge = min([start + HORIZON, *(rule.until(person, moment) for rule in self.rules)])
            if fades and edge - 1 > moment:
                found = search(moment, edge - 1)
                if found is not None:
                    return found
            moment = edge
            if moment < start + HORIZON and key(self.totals(person, moment)) != now:
                return moment
        return None


class _When:
    """A rule that gives its points once."""

    fades = False

    def __init__(self, rule: Rule, tz: str) -> None:
        assert rule.when is not None
        self.rule = rule
        self.tz = tz
        self.program = program_of(rule.when, tz)
        self.points = _points_of(rule, tz)
        self.limit = _whole(rule.limit)

    def total(self, person: Person, at: int, _: int) -> int:
        """Return what the rule gives, in thousandths."""
        if self.program.verdict(person, at) is not True:
            return 0
        given = round(self.points(person, at) * 1000.0)
        return given if self.limit is None or given <= self.limit else self.limit

    def found(self, person: Person, at: int) -> Found:
        """Return what the rule gives, before and after its cap."""
        given = round(self.points(person, at) * 1000.0) if self.program.verdict(person, at) is True else 0
        return Found(given, given, given if self.limit is None else min(given, self.limit), [])

    def until(self, person: Person, at: int) -> int:
        """Return until when the condition and the points surely stay as they are."""
        assert self.rule.when is not None
        end = self.program.changes().until(self.rule.when, person, at, what=True)
        source, points = self.rule.source, self.rule.points
        if source is None:
            return end
        program = program_of(source, self.tz)
        end = min(end, program.changes().value(source, person, at))
        if isinstance(points, Tiers) and program.changes().moves(source):
            for low, _ in points.steps:  # a figure that grows with the clock is watched where it passes a step
                test = Compare("ge", source, Literal(low))
                end = min(end, program_of(test, self.tz).changes().value(test, person, at))
        return end

    def missing(self, person: Person, at: int) -> tuple[str, ...]:
        """Return what is unknown, and keeps the rule from its points."""
        verdict = self.program.verdict(person, at)
        if verdict is None:
            assert self.rule.when is not None
            return _missing(self.program, self.rule.when, person, at)
        source = self.rule.source
        if verdict and source is not None and program_of(source, self.tz).value(person, at) is None:
            return _missing(program_of(source, self.tz), source, person, at)
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
        self.decay = rule.decay
        self.fades = rule.decay is not None and not isinstance(rule.decay, StepDecay)
        self.period_cap = _whole(rule.cap) if rule.cap_per is not None else None
        self.limit = _whole(rule.limit)
        self.expires = None if rule.expires is None else length(rule.expires)

    def total(self, person: Person, at: int, at_negative: int) -> int:
        """Return what the rule gives, in thousandths; negative points fade as at their own instant."""
        events = self.find(person, at)
        if self.tiers is not None:
            given = round(_tier(self.tiers, len(events)) * 1000.0)
        elif self.period_cap is None and self.decay is None and self.constant is not None:
            given = len(events) * round(self.constant)
        else:
            pairs = [(time, self._faded(time, self._thousand(what), at, at_negative)) for time, what in events]
            given = sum(points for _, points in pairs)
            if self.period_cap is not None:
                given = self._period_total(pairs)
        return given if self.limit is None or given <= self.limit else self.limit

    def _thousand(self, what: Any) -> float:
        if self.constant is not None:
            return self.constant
        assert self.points is not None
        return self.points(what, 0) * 1000.0

    def _faded(self, time: int, thousand: float, at: int, at_negative: int) -> int:
        if self.decay is None:
            return round(thousand)
        return round(thousand * self.decay.factor((at if thousand >= 0 else at_negative) - time))

    def _period_total(self, pairs: list[tuple[int, int]]) -> int:
        assert self.period_cap is not None
        sums: dict[int, int] = {}
        for time, points in pairs:
            number = self._period(time)
            sums[number] = sums.get(number, 0) + points
        return sum(min(given, self.period_cap) for given in sums.values())

    def _period(self, time: int) -> int:
        period = self.rule.cap_per
        if isinstance(period, str):
            return period_number(self.zone.day(time), period)
        assert period is not None
        size = length(period)
        return self.zone.day(time) // (size // DAY) if size % DAY == 0 else time // size

    def found(self, person: Person, at: int) -> Found:
        """Return what the rule gives before and after decay and caps, with its events, of which the newest are kept."""
        pairs = self.find(person, at)
        if self.tiers is not None:
            given = round(_tier(self.tiers, len(pairs)) * 1000.0)
            kept = given if self.limit is None else min(given, self.limit)
            return Found(given, given, kept, [Worth(time, what, 0, 0, 0) for time, what in pairs])
        times = [time for time, _ in pairs]
        thousands = [self._thousand(what) for _, what in pairs]
        raw = [round(thousand) for thousand in thousands]
        faded = [self._faded(time, thousand, at, at) for time, thousand in zip(times, thousands, strict=True)]
        kept_points = list(faded)
        if self.period_cap is not None:
            groups: dict[int, list[int]] = {}
            for position, time in enumerate(times):
                groups.setdefault(self._period(time), []).append(position)
            for positions in groups.values():
                _trim(kept_points, positions, self.period_cap)
        if self.limit is not None:
            _trim(kept_points, range(len(times)), self.limit)
        events = [
            Worth(time, what, *points) for (time, what), *points in zip(pairs, raw, faded, kept_points, strict=True)
        ]
        return Found(sum(raw), sum(faded), sum(kept_points), events)

    def until(self, person: Person, at: int) -> int:
        """Return until when no event expires or meets a step of the decay."""
        events = self.find(person, at)
        end = NEVER
        if self.expires is not None and events:
            end = min(end, events[0][0] + self.expires)
        if self.decay is not None:
            for age in self.decay.edges():
                end = min(end, min((time + age for time, _ in events if time + age > at), default=NEVER))
        return end

    def missing(self, person: Person, at: int) -> tuple[str, ...]:
        """Return what some events lack, and gave no points for."""
        source = self.rule.source
        if source is None:
            return ()
        program = program_of(source, self.zone.name)
        lacking = sum(program.value(what, 0) is None for _, what in self.find(person, at))
        return (f"{source!r} of {lacking} event{'s' if lacking > 1 else ''}",) if lacking else ()


def _trim(points: list[int], positions: Any, cap: int) -> None:
    """Take what is above a cap from the oldest events that give points."""
    excess = sum(points[position] for position in positions) - cap
    for position in positions:
        if excess <= 0:
            return
        if points[position] > 0:
            lost = min(points[position], excess)
            points[position] -= lost
            excess -= lost


def _whole(points: float | None) -> int | None:
    return None if points is None else round(points * 1000.0)


def _tier(tiers: Tiers, value: float) -> float:
    place = bisect_right([low for low, _ in tiers.steps], value)
    return tiers.steps[place - 1][1] if place else 0.0


def _points_of(rule: Rule, tz: str) -> Callable[[Any, int], float]:
    """Return the function of a person, or an event, that gives a rule's points; 0 where the source is unknown."""
    points, source = rule.points, rule.source
    if isinstance(points, float):
        constant = points
        return lambda _, __: constant
    assert source is not None
    program = program_of(source, tz)
    if isinstance(points, ByValue):
        table = {plain_literal(value): worth for value, worth in points.table}
        otherwise, kind = points.otherwise, next(iter(table)).__class__

        def by_value(who: Any, at: int) -> float:
            value = program.value(who, at)
            if value is None:
                return otherwise
            if value.__class__ is not kind:
                raise InputError(
                    f"rule {rule.name!r}: {source!r} is {value!r}, and its table has {kind.__name__} values."
                )
            return table.get(value, otherwise)

        return by_value

    def number(who: Any, at: int) -> Any:
        value = program.value(who, at)
        if value is not None and value.__class__ is not float:
            raise InputError(f"rule {rule.name!r}: {source!r} is {value!r}, and points need a number.")
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
                f"rule {rule.name!r} gives {value:g} points: at most {MOST:,.0f} at once are allowed. Lower the factor "
                "of its points."
            )
        return value

    return calculated


def _missing(program: Program, root: Expression, person: Person, at: int) -> tuple[str, ...]:
    """Return what is unknown of a person and keeps an expression unknown, each once, in words."""
    parts = unknown_parts(program, root, person, at)
    return tuple(dict.fromkeys(f"field {node.name!r}" if isinstance(node, Field) else repr(node) for node in parts))
