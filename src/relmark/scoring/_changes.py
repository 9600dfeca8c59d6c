"""Find when the score of one lead changes if nothing else happens.

Time is divided into stretches between changes of conditions, and each stretch is searched. A change is a number that
leaves a range: the total leaves its thousandth or its band, or a group leaves the range of its mark. Each number is
searched separately, and the earliest change counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from relmark.expressions.next_change import horizon
from relmark.expressions.scalar import Person
from relmark.expressions.scalar_calendar import Dated
from relmark.scoring._fading import Branch, Flow
from relmark.scoring._falls import Fall, clamp, without_opposites
from relmark.scoring._one import Found, ScoreProgram, _Each
from relmark.scoring.decay import Decay

__all__ = ["Course"]


class _Watched(NamedTuple):
    """A number that is watched, and the range in which nothing changes."""

    group: int | None
    low: float
    high: float


class Course:
    """The course of one lead's score from an instant on, if nothing else happens.

    Parameters
    ----------
    program : ScoreProgram
    person : Person
    found : sequence of Found
        What the rules give at the person's `as_of`.
    """

    def __init__(self, program: ScoreProgram, person: Person, found: Sequence[Found]) -> None:
        self.program, self.person, self.found = program, person, found
        self.start = int(person.as_of)
        self._fading = [isinstance(rule, _Each) and rule.fades for rule in program.rules]
        self._kept: dict[tuple[frozenset[int], frozenset[int]], list[tuple[Fall, ...]]] = {}
        self._watching = [rule for rule, fades in zip(program.rules, self._fading, strict=True) if not fades]

    def next_change(self, *, bands: bool) -> tuple[int | None, bool]:
        """Return the first instant at which the total (or the band or grade) changes, None for never.

        The second value is False if the search used up its budget of work. Nothing changes before the returned instant
        then, and a new search from that instant continues.
        """
        if self.person.as_of.__class__ is Dated and self._at_midnight(bands=bands):
            return self.start, True
        moment, end = self.start, horizon(self.start)
        given = [one.kept for one in self.found]
        totals = self.program.summed(given)
        watched = self._watched(totals.total, totals.groups, bands=bands)
        while moment < end:
            flows = [self._flow(one.group, given) for one in watched]
            gone = None
            if moment > self.start:
                pairs = zip(flows, watched, strict=True)
                gone = next((k for k, (flow, one) in enumerate(pairs) if not _inside(flow, moment, one)), None)
            if gone is None:
                edge = min([end, *(rule.until(self.person, moment) for rule in self._watching)])
                gone, first, surely = self._first(flows, watched, moment, edge - 1)
                if not surely:
                    return first, False
                if gone is None:
                    moment = edge
                    if moment < end:
                        given = self._given(moment, given)
                    continue
                moment = first
            if watched[gone].group is None:
                return moment, True
            # A group has another mark; the grade may stay the same if another group has no mark.
            groups = [int(self._flow(k, given).exact(moment)) for k in range(len(self.program.group_bounds))]
            total = self._flow(None, given).exact(moment)
            watched = self._watched(total, groups, bands=bands)
            if self.program.grade(groups) != self._grade or not (watched[0].low <= totals.total < watched[0].high):
                return moment, True
        return None, True

    def _at_midnight(self, *, bands: bool) -> bool:
        """Return whether a date and the instant of its midnight differ; if not, continue from the instant."""
        found = [rule.found(self.person, self.start) for rule in self.program.rules]
        was, now = (self.program.summed([one.kept for one in ones]) for ones in (self.found, found))
        total = self._watched(was.total, was.groups, bands=bands)[0]
        same_grade = not bands or self.program.grade(now.groups) == self._grade
        if not (total.low <= now.total < total.high and same_grade):
            return True
        self.found = found
        return False

    @staticmethod
    def _first(flows: list[Flow], watched: list[_Watched], start: int, end: int) -> tuple[int | None, int, bool]:
        """Return which number leaves its range first (None for none), when, and whether that is certain."""
        best: int | None = None
        surely = True
        for k, (flow, one) in enumerate(zip(flows, watched, strict=True)):
            if end <= start:
                break
            found, sure = flow.leaves(start, end, one.low, one.high)
            if found is not None:
                best, surely, end = k, sure, found - 1
        return best, end + 1, surely

    def _given(self, moment: int, before: list[int]) -> list[int]:
        """Return the points at an instant of the rules that do not fade; those that fade keep their earlier value."""
        return [
            was if fades else rule.found(self.person, moment).kept
            for rule, fades, was in zip(self.program.rules, self._fading, before, strict=True)
        ]

    # What is watched

    def _watched(self, total: float, groups: Sequence[float], *, bands: bool) -> list[_Watched]:
        if not bands:
            return [_Watched(None, total, total + 1)]
        score = self.program.score
        watched = [_Watched(None, *_range(total, score.bands.values()))]
        if score.grades is not None:
            place = {group.name: k for k, group in enumerate(score.groups)}
            watched += [
                _Watched(place[name], *_range(groups[place[name]], cuts))
                for name, (_, cuts) in score.grades.groups.items()
            ]
        return watched

    @property
    def _grade(self) -> str:
        return self.program.grade(self.program.summed([one.kept for one in self.found]).groups)

    # What is added up

    def _flow(self, group: int | None, given: list[int]) -> Flow:
        """Return the flow of the total or of one group, with the points that do not fade at their current value."""
        program = self.program
        constants = [0] * (len(program.group_bounds) + 1)  # the last entry is for rules without a group
        for points, place, fades in zip(given, program.group, self._fading, strict=True):
            if not fades:
                constants[place] += points
        bounds = program.group_bounds
        if group is not None:
            falls = self._merged(frozenset([group]), frozenset([group]))[0]
            return Flow([Branch(constants[group], falls, *bounds[group])])
        bound = frozenset(k for k, own in enumerate(bounds) if not self._free(k, constants[k], *own))
        everywhere = frozenset(range(-1, len(bounds)))
        free = sum(points for k, points in enumerate([*constants[:-1], 0]) if k not in bound) + constants[-1]
        branches = self._merged(bound, everywhere)
        branched = zip(sorted(bound), branches, strict=False)
        return Flow(
            [Branch(free, branches[-1]), *(Branch(constants[k], falls, *bounds[k]) for k, falls in branched)],
            *program.bounds,
        )

    def _free(self, group: int, constant: int, low: int | None, high: int | None) -> bool:
        """Return whether a group whose points only fade can never reach its bounds."""
        if low is None and high is None:
            return True
        up = down = constant
        for rule, one, place in self._fading_rules:
            if place == group:
                gives, takes = _by_sign(rule, one)
                up += clamp(gives, None, rule.bounds[1])
                down += clamp(takes, rule.bounds[0], None)
        return (high is None or up <= high) and (low is None or down >= low)

    @cached_property
    def _fading_rules(self) -> list[tuple[_Each, Found, int]]:
        three = zip(self.program.rules, self.found, self.program.group, strict=True)
        return [
            (rule, one, group) for rule, one, group in three if isinstance(rule, _Each) and rule.fades and one.times
        ]

    def _merged(self, apart: frozenset[int], of: frozenset[int]) -> list[tuple[Fall, ...]]:
        """Return the falls of some groups: one tuple for each group in `apart`, and a last tuple for all others.

        Rules that are added up in the same way become one fall. An order and its refund, at one instant and with one
        decay, then cancel out instead of causing two long searches.
        """
        kept = self._kept.get((apart, of))
        if kept is not None:
            return kept
        falls: dict[int, list[Fall]] = {group: [] for group in (*sorted(apart), _REST)}
        alike: dict[tuple[int, Decay | None, int | None], list[tuple[int, float]]] = {}
        fading = [(rule, one, group) for rule, one, group in self._fading_rules if group in of]
        mixed = len({sign for rule, one, _ in fading for sign in _signs(rule, one)}) > 1
        for rule, one, group in fading:
            branch = group if group in apart else _REST
            if mixed and rule.period_cap is None and _unbounded(_by_sign(rule, one), *rule.bounds):
                alike.setdefault((branch, rule.decay, rule.expires), []).extend(zip(one.times, one.worth, strict=True))
            else:
                falls[branch].append(_fall(rule, one))
        for (branch, decay, expires), pairs in alike.items():
            pairs.sort()
            times, worth = without_opposites([time for time, _ in pairs], [points for _, points in pairs])
            if times:
                falls[branch].append(Fall(times, worth, decay=decay, expires=expires))
        found = self._kept[apart, of] = [tuple(own) for own in falls.values()]
        return found


_REST = 1 << 30


def _fall(rule: _Each, found: Found) -> Fall:
    low, high = rule.bounds
    times: Sequence[int] = found.times
    worth: float | Sequence[float] = found.worth
    stamps = found.stamps
    if rule.constant is not None:
        worth = rule.constant
    elif min(found.worth) < 0 < max(found.worth):
        times, worth = without_opposites(times, found.worth)
        stamps = None
    periods = None if rule.period_cap is None else [rule.period(time) for time in times]
    return Fall(
        times, worth, decay=rule.decay, expires=rule.expires, periods=periods,
        cap=rule.period_cap, low=low, high=high, stamps=stamps,
    )  # fmt: skip


def _signs(rule: _Each, found: Found) -> set[bool]:
    """Return which signs the points of a rule have: True if it gives points, False if it takes them."""
    worth = [rule.constant] if rule.constant is not None else [min(found.worth), max(found.worth)]
    return {one > 0 for one in worth if one}


def _by_sign(rule: _Each, found: Found) -> tuple[int, int]:
    """Return the points that events give after decay, and the points that they take."""
    if rule.constant is not None:  # all of one sign
        return (found.faded, 0) if rule.constant > 0 else (0, found.faded)
    gives = sum(points for points in found.points[1] if points > 0)
    return gives, found.faded - gives


def _unbounded(signs: tuple[int, int], low: int | None, high: int | None) -> bool:
    """Return whether points that only fade can never reach the bounds of their rule."""
    gives, takes = signs
    return (high is None or gives <= high) and (low is None or takes >= low)


def _inside(flow: Flow, moment: int, watched: _Watched) -> bool:
    least, most = flow.rough(moment, moment)
    if watched.low <= least and most < watched.high:
        return True
    return watched.low <= flow.exact(moment) < watched.high


def _range(value: float, lows: object) -> tuple[float, float]:
    """Return the range of thousandths in which a number keeps its current band or mark."""
    cuts = sorted(_first_thousandth(low) for low in lows)  # type: ignore[attr-defined]
    below = [cut for cut in cuts if cut <= value]
    above = [cut for cut in cuts if cut > value]
    return below[-1] if below else -math.inf, above[0] if above else math.inf


def _first_thousandth(low: float) -> int:
    """Return the fewest thousandths that reach a lowest score, by the same division that turns them into points."""
    found = math.ceil(low * 1000)
    while (found - 1) / 1000 >= low:
        found -= 1
    while found / 1000 < low:
        found += 1
    return found
