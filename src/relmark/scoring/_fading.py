"""Find when fading points leave a range: exact to the microsecond, and with bounded work for any events.

Between two instants at which a condition changes, points only fade, expire or step down. `Flow.leaves` halves such a
stretch by the rough bounds of its falls until rounding matters. It then continues with exact bounds, which look only at
events whose rounded points differ between the two ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from relmark.scoring._falls import Fall, Live, Numbers, clamp

__all__ = ["Branch", "Flow"]

_BUDGET = 150_000  # events read in one search, plus a hundred times their number: some tenths of a second
_STRETCH = 20  # the cost of a stretch, in events
_TURNS = 10  # up to so many changes of single events are found one by one instead of by halving
_HOUR = 3_600_000_000


class Branch(NamedTuple):
    """Falls that are added up and bounded together: those of a group, or of all rules without a group."""

    constant: int
    falls: tuple[Fall, ...]
    low: int | None = None
    high: int | None = None


class _Moving(NamedTuple):
    """One fall in a stretch: the part that stays, the events that change, and their points at both ends."""

    base: Any
    lives: list[Live]
    at_low: list[Numbers]
    at_high: list[Numbers]


def _narrowed(one: _Moving) -> _Moving:
    """Leave out the events whose points are the same at both ends, and so in between."""
    base = one.base
    kept: list[tuple[Live, Numbers, Numbers]] = []
    for live, first, last in zip(one.lives, one.at_low, one.at_high, strict=True):
        moving, stay, a, b = live.changing(first, last)
        base = base + stay
        if moving is not None:
            kept.append((moving, a, b))
    return _Moving(base, [live for live, _, _ in kept], [a for _, a, _ in kept], [b for _, _, b in kept])


def _few(moving: list[_Moving]) -> bool:
    """Return whether a stretch has so few and small changes that each is best found separately."""
    events = steps = 0
    for one in moving:
        for live, first, last in zip(one.lives, one.at_low, one.at_high, strict=True):
            if not isinstance(live.times, list):
                return False
            events += len(live.times)
            if events > _TURNS:
                return False
            steps += sum(abs(a - b) for a, b in zip(first, last, strict=True))
    return steps <= _TURNS


class _Spent(Exception):  # noqa: N818  (not an error: the search has used its budget)
    """Raised when a search has used up its budget of work; nothing has changed up to `low`."""

    def __init__(self, low: int) -> None:
        super().__init__()
        self.low = low


class Flow:
    """A sum of branches within bounds: the total, or one group."""

    def __init__(self, branches: Iterable[Branch], low: int | None = None, high: int | None = None) -> None:
        self.branches = tuple(branches)
        self.low, self.high = low, high
        self.falls = [fall for branch in self.branches for fall in branch.falls]
        signs = {up for fall in self.falls for up in (True, False) if (fall.positive if up else fall.negative).n}
        self.one_way = len(signs) < 2
        self.n = sum(fall.positive.n + fall.negative.n for fall in self.falls)
        self._work = 0
        self._cost = _STRETCH * (10 if any(fall.n_periods for fall in self.falls) else 1)

    def _added(self, sums: Iterable[float]) -> float:
        """Return the score from the points of each fall."""
        found = iter(sums)
        total = 0.0
        for branch in self.branches:
            own: float = branch.constant
            for _ in branch.falls:
                own += next(found)
            total += clamp(own, branch.low, branch.high)
        return float(clamp(total, self.low, self.high))

    def rough(self, low: int, high: int) -> tuple[float, float]:
        """Return the least and the greatest possible score between two instants, in thousandths."""
        ends = [fall.rough(low, high) for fall in self.falls]
        return self._added(least for least, _ in ends), self._added(most for _, most in ends)

    def exact(self, moment: int) -> float:
        """Return the score at an instant."""
        return self._sum(self._values(moment))

    def leaves(self, start: int, end: int, low: float, high: float) -> tuple[int | None, bool]:
        """Return the first instant in (start, end] at which the score is outside [low, high), None for none.

        The second value is True if that is certain. If points cancel each other almost everywhere, the search ends when
        its budget is used up. It then returns an instant before which nothing has changed, and False.
        """
        if not self.falls:
            return None, True
        least, most = self.rough(start, end)
        if low <= least and most < high:
            return None, True
        self._work = 0
        try:
            if self.one_way:
                return self._crossing(start, end, low, high), True
            return self._search(start, end, low, high), True
        except _Spent as spent:
            return spent.low + 1, False

    # One sign: the score crosses a bound once

    def _crossing(self, start: int, end: int, low: float, high: float) -> int | None:
        """Return when a score that only falls, or only rises, leaves a range."""
        if not self._outside_roughly(end, low, high) and low <= self.exact(end) < high:
            return None
        first, last = start, end
        while last - first > _HOUR:
            middle = (first + last) // 2
            if low <= self._guess(middle) < high:
                first = middle
            else:
                last = middle
        # From here on rounding matters. The guess errs by about the square root of the number of events.
        before, after = self._guess(first), self._guess(last)
        rate = max(abs(before - after) / (last - first), 1e-12)
        near = first + round(abs(before - (low if after < before else high)) / rate) if before != after else first
        step = int(min((1.0 + self.n**0.5) / rate, last - first)) + 1
        # Many small points may be rounded down together: the error found at one instant holds nearby.
        near = min(max(start, near), end)
        astray = self.exact(near) + 0.5 - self._guess(near)
        near += round((astray if after < before else -astray) / rate)
        first, last = min(max(start, near - step), end - 1), max(start + 1, min(end, near + step))
        at_first, at_last = self._values(first), self._values(last)
        while first > start and not low <= self._sum(at_first) < high:
            step *= 4
            last, at_last = first, at_first
            first = max(start, first - step)
            at_first = self._values(first)
        while last < end and low <= self._sum(at_last) < high:
            step *= 4
            first, at_first = last, at_last
            last = min(end, last + step)
            at_last = self._values(last)
        return self._bisected(first, last, self._moving(at_first, at_last), low, high)

    def _outside_roughly(self, moment: int, low: float, high: float) -> bool:
        least, most = self.rough(moment, moment)
        return most < low or least >= high

    def _guess(self, moment: int) -> float:
        """Return the approximate score, shifted so that comparing it with a range predicts the rounded score."""
        least, most = self.rough(moment, moment)
        return (least + most) / 2 + 0.5

    def _bisected(self, start: int, end: int, moving: list[_Moving], low: float, high: float) -> int:
        """Return the first instant outside a range, given that the score is outside at `end` and never comes back."""
        while end - start > 1:
            if sum(len(live.times) for one in moving for live in one.lives) == 1:
                return self._bisected_of_one(moving, start, end, low, high)
            middle = (start + end) // 2
            at = [[live.at(middle) for live in one.lives] for one in moving]
            here = [one._replace(at_high=values) for one, values in zip(moving, at, strict=True)]
            if low <= self._at_end(here) < high:
                start = middle
                here = [one._replace(at_low=values) for one, values in zip(moving, at, strict=True)]
            else:
                end = middle
            moving = [_narrowed(one) if one.lives else one for one in here]
        return end

    def _bisected_of_one(self, moving: list[_Moving], start: int, end: int, low: float, high: float) -> int:
        """Return the same if only one event still changes: the score then depends on its points alone."""
        place = next(k for k, one in enumerate(moving) if one.lives)
        one = moving[place]
        live = one.lives[0]
        verdicts: dict[float, bool] = {}
        while end - start > 1:
            middle = (start + end) // 2
            at = live.at(middle)
            (points,) = at
            inside = verdicts.get(points)
            if inside is None:
                here = [*moving[:place], one._replace(at_high=[at]), *moving[place + 1 :]]
                inside = verdicts[points] = low <= self._at_end(here) < high
            start, end = (middle, end) if inside else (start, middle)
        return end

    def _values(self, moment: int) -> list[list[Numbers]]:
        """Return the points of all events at an instant, by fall and sign."""
        return [[live.at(moment) for live in fall.live] for fall in self.falls]

    def _sum(self, values: list[list[Numbers]]) -> float:
        """Return the score from the points of all events."""
        pairs = zip(self.falls, values, strict=True)
        return self._added(fall.total(fall.nothing, zip(fall.live, own, strict=True)) for fall, own in pairs)

    def _moving(self, first: list[list[Numbers]], last: list[list[Numbers]]) -> list[_Moving]:
        """Return the events that change between two instants, from the points of all events at both."""
        three = zip(self.falls, first, last, strict=True)
        return [_narrowed(_Moving(fall.nothing, fall.live, a, b)) for fall, a, b in three]

    # Both signs: stretches are halved as long as their bounds do not decide

    def _search(self, start: int, end: int, low: float, high: float) -> int | None:
        """Return when any score leaves a range: by the rough bounds, and by the exact ones once rounding matters."""
        stack = [(start, end)]
        while stack:
            first, last = stack.pop()
            self._spend(self._cost, first)
            least, most = self.rough(first, last)
            if low <= least and most < high:
                continue
            inner = self.rough(first, first)
            if last - first > 1 and most - least > 4 * (inner[1] - inner[0]) + 4:
                middle = (first + last) // 2
                stack += [(middle, last), (first, middle)]
                continue
            found = self._exactly(first, last, low, high)
            if found is not None:
                return found
        return None

    def _spend(self, work: int, low: int) -> None:
        self._work += work
        if self._work > _BUDGET + 100 * self.n:
            raise _Spent(low)

    def _exactly(self, start: int, end: int, low: float, high: float) -> int | None:
        """Return the first instant in (start, end] outside a range, given that the score is inside at `start`."""
        stack = [(start, end, self._moving(self._values(start), self._values(end)))]
        while stack:
            first, last, moving = stack.pop()
            self._spend(self._cost + sum(len(live.times) for one in moving for live in one.lives), first)
            if low <= self._bound(moving, least=True) and self._bound(moving, least=False) < high:
                continue
            if last - first == 1:
                if not low <= self._at_end(moving) < high:
                    return last
                continue
            if _few(moving):
                found = self._stepwise(moving, first, last, low, high)
                if found is not None:
                    return found
                continue
            middle = (first + last) // 2
            left, right = [], []
            for one in moving:
                at = [live.at(middle) for live in one.lives]
                left.append(_narrowed(one._replace(at_high=at)))
                right.append(_narrowed(one._replace(at_low=at)))
            stack += [(middle, last, right), (first, middle, left)]
        return None

    def _stepwise(self, moving: list[_Moving], start: int, end: int, low: float, high: float) -> int | None:
        """Return the first instant in (start, end] outside a range by going through the changes of a few events."""
        sums = [
            fall.total(one.base, ()) if fall.n_periods else one.base + sum(map(sum, one.at_low))
            for fall, one in zip(self.falls, moving, strict=True)
        ]
        turns = [
            (moment, k, step)
            for k, (fall, one) in enumerate(zip(self.falls, moving, strict=True))
            for live in one.lives
            for time, worth in zip(live.times, live.worth, strict=True)
            for moment, step in fall.turns(time, worth, start, end)
        ]
        turns.sort()
        for place, (moment, k, step) in enumerate(turns):
            sums[k] += step
            if place + 1 < len(turns) and turns[place + 1][0] == moment:
                continue
            bounded = (clamp(own, fall.low, fall.high) for own, fall in zip(sums, self.falls, strict=True))
            if not low <= self._added(bounded) < high:
                return moment
        return None

    def _bound(self, moving: list[_Moving], *, least: bool) -> float:
        """Return the least or the greatest possible score in a stretch, given that points fade toward 0."""
        return self._added(
            fall.total(
                one.base,
                [
                    (live, b if live.up is least else a)
                    for live, a, b in zip(one.lives, one.at_low, one.at_high, strict=True)
                ],
            )
            for fall, one in zip(self.falls, moving, strict=True)
        )

    def _at_end(self, moving: list[_Moving]) -> float:
        return self._added(
            fall.total(one.base, list(zip(one.lives, one.at_high, strict=True)))
            for fall, one in zip(self.falls, moving, strict=True)
        )
