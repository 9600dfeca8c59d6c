"""When the score of one lead changes if nothing else happens: stretches between changes of conditions, searched by
`_fading`.

A change of the total, of a band or of a grade is a number that leaves a range: the total the thousandth or the band in
which it is, a group the range of its mark. Each is searched apart, and the first counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from relmark.expressions.next_change import horizon
from relmark.expressions.scalar import Person
from relmark.scoring._fading import Branch, Fall, Flow, clamp, without_opposites
from relmark.scoring._one import Found, ScoreProgram, _Each

__all__ = ["Course"]


class _Watched(NamedTuple):
    """A number that is watched, and the range in which nothing changes."""

    group: int | None
    low: float
    high: float


class Course:
    """How the score of one lead goes on from an instant, if nothing else happens.

    Parameters
    ----------
    program : ScoreProgram
    person : Person
    found : sequence of Found
        What the rules give at the person's as_of.
    """

    def __init__(self, program: ScoreProgram, person: Person, found: Sequence[Found]) -> None:
        self.program, self.person, self.found = program, person, found
        self.start = person.as_of
        self._fading = [isinstance(rule, _Each) and rule.fades for rule in program.rules]
        self._whole = [_fall(rule, one) for rule, one in zip(program.rules, found, strict=True) if _fades(rule)]
        self._of_branch = _merged(program, found)
        self._watching = [rule for rule, fades in zip(program.rules, self._fading, strict=True) if not fades]

    def next_change(self, *, bands: bool) -> tuple[int | None, bool]:
        """Return the first instant at which the total (or band and grade) is another, None for never.

        The second value is false where the work of the search was used up: then nothing changes before that instant,
        and asking again at it goes on.
        """
        moment, end = self.start, horizon(self.start)
        given = [one.kept for one in self.found]
        totals = self.program.summed(given)
        watched = self._watched(totals.total, totals.groups, bands=bands)
        while moment < end:
            flows = [self._flow(one.group, given) for one in watched]
            if moment > self.start:
                gone = [not _inside(flow, moment, one) for flow, one in zip(flows, watched, strict=True)]
                if any(gone) and (new := self._changed(given, moment, watched, gone, bands=bands)) is not watched:
                    if new is None:
                        return moment, True
                    watched = new
            edge = min([end, *(rule.until(self.person, moment) for rule in self._watching)])
            first, surely = self._first(flows, watched, moment, edge - 1)
            if first is None:
                moment = edge
                if moment < end:
                    given = self._given(moment, given)
                continue
            if not surely:
                return first, False
            moment = first
            new = self._changed(given, moment, watched, [True] * len(watched), bands=bands)
            if new is None:
                return moment, True
            watched = new
        return None, True

    @staticmethod
    def _first(flows: list[Flow], watched: list[_Watched], start: int, end: int) -> tuple[int | None, bool]:
        best: int | None = None
        surely = True
        for flow, one in zip(flows, watched, strict=True):
            if end <= start:
                break
            found, sure = flow.leaves(start, end, one.low, one.high)
            if found is not None:
                best, surely, end = found, sure, found - 1
        return best, surely

    def _given(self, moment: int, before: list[int]) -> list[int]:
        """Return what the rules that do not fade give at an instant; those that fade stand as they were."""
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

    def _changed(
        self, given: list[int], moment: int, watched: list[_Watched], gone: list[bool], *, bands: bool
    ) -> list[_Watched] | None:
        """Return None where the answer is another; else what is to be watched from now on."""
        del gone
        groups = [self._flow(k, given).exact(moment) for k in range(len(self.program.group_bounds))]
        total = self._flow(None, given).exact(moment)
        now = self._watched(total, groups, bands=bands)
        if now[0] != watched[0]:
            return None
        if len(now) > 1 and self.program.grade([int(one) for one in groups]) != self._grade:
            return None
        return now

    @property
    def _grade(self) -> str:
        return self.program.grade(self.program.summed([one.kept for one in self.found]).groups)

    # What is added up

    def _flow(self, group: int | None, given: list[int]) -> Flow:
        """Return the total, or one group, with what does not fade at what it gives now."""
        program = self.program
        constants = [0] * (len(program.group_bounds) + 1)  # the last is of those without a group
        for points, place, fades in zip(given, program.group, self._fading, strict=True):
            if not fades:
                constants[place] += points
        if group is not None:
            falls = [fall for rule_group, fall in self._own() if rule_group == group]
            return Flow([Branch(constants[group], tuple(falls), *program.group_bounds[group])])
        free = constants[-1] + sum(constants[k] for k, own in enumerate(program.group_bounds) if own == (None, None))
        branches = [Branch(free, self._of_branch.get(-1, ()))]
        branches += [
            Branch(constants[k], self._of_branch.get(k, ()), *own)
            for k, own in enumerate(program.group_bounds)
            if own != (None, None)
        ]
        return Flow(branches, *program.bounds)

    def _own(self) -> list[tuple[int, Fall]]:
        groups = [group for group, fades in zip(self.program.group, self._fading, strict=True) if fades]
        return list(zip(groups, self._whole, strict=True))


def _fades(rule: object) -> bool:
    return isinstance(rule, _Each) and rule.fades


def _fall(rule: object, found: Found) -> Fall:
    assert isinstance(rule, _Each)
    low, high = rule.bounds
    periods = None if rule.period_cap is None else [rule.period(time) for time in found.times]
    return Fall(
        list(found.times), list(found.worth), decay=rule.decay, expires=rule.expires, periods=periods,
        cap=rule.period_cap, low=low, high=high,
    )  # fmt: skip


def _merged(program: ScoreProgram, found: Sequence[Found]) -> dict[int, tuple[Fall, ...]]:
    """Return the falls of each group with bounds, and of all else (-1); rules that are added up alike are one.

    So an order and its refund, at one instant and with one decay, are nothing together, and not two long searches.
    """
    falls: dict[int, list[Fall]] = {}
    alike: dict[tuple[object, ...], list[tuple[int, float]]] = {}
    for rule, one, group in zip(program.rules, found, program.group, strict=True):
        if not (isinstance(rule, _Each) and rule.fades):
            continue
        branch = -1 if group < 0 or program.group_bounds[group] == (None, None) else group
        if rule.period_cap is None and _free(one.points[1], *rule.bounds):
            key = (branch, rule.decay, rule.expires)
            alike.setdefault(key, []).extend(zip(one.times, one.worth, strict=True))
        else:
            falls.setdefault(branch, []).append(_fall(rule, one))
    for (branch, decay, expires), pairs in alike.items():
        if len(pairs) == 0:
            continue
        pairs.sort()
        times, worth = without_opposites([time for time, _ in pairs], [points for _, points in pairs])
        if times:
            falls.setdefault(branch, []).append(Fall(times, worth, decay=decay, expires=expires))  # type: ignore[arg-type]
    return {branch: tuple(own) for branch, own in falls.items()}


def _free(faded: Sequence[int], low: int | None, high: int | None) -> bool:
    """Return whether points that only fade can never reach the bounds of their rule."""
    return (high is None or sum(one for one in faded if one > 0) <= high) and (
        low is None or sum(one for one in faded if one < 0) >= low
    )


def _inside(flow: Flow, moment: int, watched: _Watched) -> bool:
    least, most = flow.rough(moment, moment)
    if watched.low <= least and most < watched.high:
        return True
    return watched.low <= flow.exact(moment) < watched.high


def _range(value: float, lows: object) -> tuple[float, float]:
    """Return between which thousandths a number has the same band, or mark, as now."""
    cuts = sorted(_first_thousandth(low) for low in lows)  # type: ignore[attr-defined]
    below = [cut for cut in cuts if cut <= value]
    above = [cut for cut in cuts if cut > value]
    return below[-1] if below else -math.inf, above[0] if above else math.inf


def _first_thousandth(low: float) -> int:
    """Return the fewest thousandths that reach a lowest score, by the very division that makes points of them."""
    found = math.ceil(low * 1000)
    while (found - 1) / 1000 >= low:
        found -= 1
    while found / 1000 < low:
        found += 1
    return found
