"""When fading points leave a range: exact to the microsecond, with work that is bounded whatever the events are.

Between two instants at which a condition changes, points only fade, expire or step down. A `Fall` is the events of one
rule, or of several that are added up alike, from an instant on. It answers in two ways:

- **roughly**, in the time of a bisection: prefix sums by decay give the sum of the unrounded points at any instant, and
  each event's rounding is at most half a thousandth away;
- **exactly**, event by event, but only for the events whose rounded points differ between the two ends of a stretch.

`Flow.leaves` halves a stretch by the rough bounds until rounding decides, and then by the exact ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.scoring.decay import Decay, HalfLife, LinearDecay

__all__ = ["MANY", "Branch", "Fall", "Flow", "clamp", "without_opposites"]

MANY = 24
"""From how many events on numpy is faster than a loop."""

_BUDGET = 150_000  # events looked at in one search, and a hundred times all of them: some tenths of a second
_STRETCH = 20  # what a stretch costs, in events
_SLACK = 1e-9  # of the rounding of sums in float64, as a part of the largest number in them
_HOUR = 3_600_000_000

FloatArray = npt.NDArray[np.float64]
Numbers = list[int] | FloatArray


def clamp(value: Any, low: int | None, high: int | None) -> Any:
    """Return a number within optional bounds; the upper one comes first, as caps do."""
    if high is not None and value > high:
        value = high
    return low if low is not None and value < low else value


class _Stream:
    """Events of one sign in the order of time, with prefix sums of their points by decay."""

    __slots__ = ("_alive", "_at", "_decay", "_size", "_sums", "live", "n", "times")

    def __init__(self, times: Sequence[int], live: _Live | None, decay: Decay | None, expires: int | None) -> None:
        self.n = len(times)
        self.times, self.live = times, live
        ends: list[float] = [] if expires is None else [expires]
        ends += [decay.micros] if isinstance(decay, LinearDecay) else []
        self._alive = min(ends, default=None)
        self._at = times[-1] if times else 0
        self._decay = decay
        self._size = float(decay.micros) if isinstance(decay, (HalfLife, LinearDecay)) else 1.0
        self._sums: list[FloatArray] | None = None

    def _prefix(self) -> list[FloatArray]:
        if self._sums is None:
            assert self.live is not None
            decay, worth = self._decay, np.asarray(self.live.worth)
            ages = (np.asarray(self.live.times) - self._at).astype(np.float64)
            if isinstance(decay, HalfLife):
                parts = [worth * np.exp2(ages / self._size)]
            elif isinstance(decay, LinearDecay):
                parts = [worth, worth * ages]
            else:
                factors = [1.0] if decay is None else [1.0, *(factor for _, factor in decay.steps)]
                parts = [np.rint(worth * factor) for factor in factors]
            self._sums = [np.concatenate(([0.0], np.cumsum(part))) for part in parts]
        return self._sums

    def rough(self, moment: int) -> tuple[float, float]:
        """Return the points at an instant without rounding, and how far from them the rounded ones can be."""
        first = 0 if self._alive is None else bisect_right(self.times, moment - self._alive)
        if first == self.n:
            return 0.0, 0.0
        sums, decay = self._prefix(), self._decay
        age, whole = moment - self._at, sums[0]
        if isinstance(decay, HalfLife):
            factor = 2.0 ** -min(age / self._size, 1_100.0)
            value = float(whole[-1] - whole[first]) * factor
            # What is less than half a thousandth is rounded to nothing, and so by no more than itself.
            return value, min(0.5 * (self.n - first), abs(value)) + _SLACK * abs(float(whole[-1])) * factor
        if isinstance(decay, LinearDecay):
            late, size = sums[1], self._size
            value = float((whole[-1] - whole[first]) * (1.0 - age / size) + (late[-1] - late[first]) / size)
            scale = abs(float(whole[-1])) * (1.0 + age / size) + abs(float(late[-1])) / size
            return value, 0.5 * (self.n - first) + _SLACK * scale
        edges = () if decay is None else decay.edges()
        value, stop = 0.0, self.n
        for one, edge in zip(sums, (*edges, None), strict=True):
            start = first if edge is None else max(first, bisect_right(self.times, moment - edge))
            value += float(one[stop] - one[start])
            stop = start
        return value, 0.0


class Fall:
    """The events of an additive part of a score from an instant on, if nothing else happens.

    Parameters
    ----------
    times : list of int, ascending
        Microseconds.
    worth : float, or list of float
        Thousandths before decay, of each event.
    decay : Decay, optional
    expires : int, optional
        The age from which on an event gives nothing.
    periods : list of int, optional
        The period of each event, where each gives at most `cap`.
    cap, low, high : int, optional
        Thousandths: the cap of each period, and the least and the most of the sum.
    stamps : ndarray of int64, optional
        The times as an array, where there is one.
    """

    __slots__ = ("cap", "decay", "expires", "high", "live", "low", "n_periods", "negative", "positive")

    def __init__(
        self,
        times: Sequence[int],
        worth: float | Sequence[float],
        *,
        decay: Decay | None,
        expires: int | None,
        periods: Sequence[int] | None = None,
        cap: int | None = None,
        low: int | None = None,
        high: int | None = None,
        stamps: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.decay, self.expires = decay, expires
        self.cap, self.low, self.high = cap, low, high
        numbers: list[int] | None = None
        self.n_periods = 0
        if periods is not None:
            place = {period: k for k, period in enumerate(dict.fromkeys(periods))}
            numbers, self.n_periods = [place[period] for period in periods], len(place)
        self.live: list[_Live] = []
        all_times = np.array(times, dtype=np.int64) if stamps is None else stamps
        all_worth = np.full(len(times), worth) if isinstance(worth, float) else np.array(worth, dtype=np.float64)
        all_numbers = None if numbers is None else np.array(numbers)
        streams = []
        for up in (True, False):
            own = all_worth >= 0.0 if up else all_worth < 0.0
            n = int(np.count_nonzero(own))
            live: _Live | None = None
            own_times: Sequence[int] = []
            if n == len(times) > 0:
                live, own_times = _Live.of(self, all_times, all_worth, all_numbers, up=up), times
            elif n:
                held = None if all_numbers is None else all_numbers[own]
                live = _Live.of(self, all_times[own], all_worth[own], held, up=up)
                own_times = all_times[own].tolist()
            if live is not None:
                self.live.append(live)
            streams.append(_Stream(own_times, live, decay, expires))
        self.positive, self.negative = streams

    def values(self, times: Any, worth: Any, moment: int) -> Numbers:
        """Return the rounded points of some events at an instant: of lists a list, of arrays an array."""
        if isinstance(times, list):
            if self.decay is None:
                found = [round(w) for w in worth]
            else:
                factor = self.decay.factor
                found = [round(w * factor(moment - t)) for t, w in zip(times, worth, strict=True)]
            if self.expires is not None:
                edge = moment - self.expires
                return [v if t > edge else 0 for t, v in zip(times, found, strict=True)]
            return found
        ages = moment - times
        many: FloatArray = np.rint(worth if self.decay is None else worth * self.decay.factors(ages))
        if self.expires is not None:
            many[ages >= self.expires] = 0.0
        return many

    def total(self, base: Any, parts: Iterable[tuple[_Live, Numbers]]) -> float:
        """Return the sum within its bounds, of what stays (one number, or one for each period) and what is given."""
        if not self.n_periods:
            for _, values in parts:
                base += sum(values) if isinstance(values, list) else float(values.sum())
            return float(clamp(base, self.low, self.high))
        sums = np.array(base, dtype=np.float64)
        assert self.cap is not None
        for live, values in parts:
            assert live.periods is not None
            sums += np.bincount(live.periods, weights=values, minlength=self.n_periods)
        return float(clamp(float(np.minimum(sums, self.cap).sum()), self.low, self.high))

    @property
    def nothing(self) -> Any:
        """What stays where no event is left out."""
        return np.zeros(self.n_periods) if self.n_periods else 0.0

    def rough(self, low: int, high: int) -> tuple[float, float]:
        """Return the least and the most that the sum can be from an instant to another."""
        if self.n_periods:
            ends = [
                self.total(self.nothing, [(live, live.at(rise if live.up else sink)) for live in self.live])
                for rise, sink in ((high, low), (low, high))
            ]
            return ends[0], ends[1]
        up_low, slack_up_low = self.positive.rough(low)
        down_low, slack_down_low = self.negative.rough(low)
        up_high, slack_up_high = (up_low, slack_up_low) if high == low else self.positive.rough(high)
        down_high, slack_down_high = (down_low, slack_down_low) if high == low else self.negative.rough(high)
        if self.expires is None and isinstance(self.decay, HalfLife):
            # All points fade by one factor, and so their sum is between what it is at the two ends.
            slack = slack_up_low + slack_down_low
            ends = [up_low + down_low, up_high + down_high]
            least, most = min(ends) - slack, max(ends) + slack
        else:
            least = up_high - slack_up_high + down_low - slack_down_low
            most = up_low + slack_up_low + down_high + slack_down_high
        return clamp(least, self.low, self.high), clamp(most, self.low, self.high)


def without_opposites(times: Sequence[int], worth: Sequence[float]) -> tuple[Sequence[int], Sequence[float]]:
    """Leave out pairs of events at one instant with opposite points: under one decay they are nothing, for ever."""
    if min(worth, default=0.0) >= 0.0 or max(worth) <= 0.0:
        return times, worth
    left = Counter(zip(times, worth, strict=True))
    for (time, points), count in list(left.items()):
        if points > 0 and (other := min(count, left.get((time, -points), 0))):
            left[time, points] -= other
            left[time, -points] -= other
    kept = sorted(left.elements())
    return [time for time, _ in kept], [points for _, points in kept]


class _Live(NamedTuple):
    """Events of one fall and one sign, as arrays where they are many and as lists where they are few."""

    fall: Fall
    times: Any
    worth: Any
    periods: npt.NDArray[np.int64] | None
    up: bool

    @classmethod
    def of(cls, fall: Fall, times: Any, worth: Any, periods: Any, *, up: bool) -> _Live:
        if not isinstance(times, list) and len(times) < MANY and periods is None:
            times, worth = times.tolist(), worth.tolist()
        return cls(fall, times, worth, periods, up)

    def at(self, moment: int) -> Numbers:
        return self.fall.values(self.times, self.worth, moment)

    def changing(self, first: Numbers, second: Numbers) -> tuple[_Live | None, Any, Numbers, Numbers]:
        """Return the events that differ, what the others are together, and what the first ones are at both ends."""
        if isinstance(self.times, list):
            rows = [k for k, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
            a, b = [first[k] for k in rows], [second[k] for k in rows]
            live = None
            if rows:
                live = _Live(self.fall, [self.times[k] for k in rows], [self.worth[k] for k in rows], None, self.up)
            return live, sum(first) - sum(a), a, b
        moving = first != second
        stay = np.asarray(first)[~moving]
        periods = self.periods
        if periods is None:
            base: Any = float(stay.sum())
        else:
            base = np.bincount(periods[~moving], weights=stay, minlength=self.fall.n_periods)
        if not np.any(moving):
            return None, base, [], []
        own = None if periods is None else periods[moving]
        live = _Live.of(self.fall, self.times[moving], self.worth[moving], own, up=self.up)
        a, b = np.asarray(first)[moving], np.asarray(second)[moving]
        if isinstance(live.times, list):
            return live, base, a.tolist(), b.tolist()
        return live, base, a, b


class Branch(NamedTuple):
    """Falls that are added up and bounded together: a group, or all that has none."""

    constant: int
    falls: tuple[Fall, ...]
    low: int | None = None
    high: int | None = None


class _Moving(NamedTuple):
    """One fall in a stretch: what stays, the events that change, and what they are at both ends."""

    base: Any
    lives: list[_Live]
    at_low: list[Numbers]
    at_high: list[Numbers]


def _narrowed(one: _Moving) -> _Moving:
    """Leave out the events that are the same at both ends, and so in between."""
    base = one.base
    kept: list[tuple[_Live, Numbers, Numbers]] = []
    for live, first, last in zip(one.lives, one.at_low, one.at_high, strict=True):
        moving, stay, a, b = live.changing(first, last)
        base = base + stay
        if moving is not None:
            kept.append((moving, a, b))
    return _Moving(base, [live for live, _, _ in kept], [a for _, a, _ in kept], [b for _, _, b in kept])


class _Spent(Exception):  # noqa: N818  (no error: the search has done enough)
    """The work of a search is used up; nothing has changed up to `low`."""

    def __init__(self, low: int) -> None:
        super().__init__()
        self.low = low


class Flow:
    """A sum of branches within bounds: a total, or one group."""

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
        """Return the score of what each fall gives."""
        found = iter(sums)
        total = 0.0
        for branch in self.branches:
            own: float = branch.constant
            for _ in branch.falls:
                own += next(found)
            total += clamp(own, branch.low, branch.high)
        return float(clamp(total, self.low, self.high))

    def rough(self, low: int, high: int) -> tuple[float, float]:
        """Return the least and the most that the score can be from an instant to another, in thousandths."""
        ends = [fall.rough(low, high) for fall in self.falls]
        return self._added(least for least, _ in ends), self._added(most for _, most in ends)

    def exact(self, moment: int) -> float:
        """Return the score at an instant."""
        return self._sum(self._values(moment))

    def leaves(self, start: int, end: int, low: float, high: float) -> tuple[int | None, bool]:
        """Return the first instant in (start, end] at which the score is outside of [low, high), None for none.

        The second value tells whether it surely is: where points cancel each other almost everywhere, the search ends
        when its work is used up, and gives an instant before which nothing has changed.
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
        """Return where a score that only falls, or only rises, leaves a range."""
        if not self._outside_roughly(end, low, high) and low <= self.exact(end) < high:
            return None
        first, last = start, end
        while last - first > _HOUR:
            middle = (first + last) // 2
            if low <= self._guess(middle) < high:
                first = middle
            else:
                last = middle
        # Near here rounding decides. The guess errs by about the root of the number of events.
        before, after = self._guess(first), self._guess(last)
        rate = max(abs(before - after) / (last - first), 1e-12)
        near = first + round(abs(before - (low if after < before else high)) / rate) if before != after else first
        step = int(min((1.0 + self.n**0.5) / rate, last - first)) + 1
        # Many small points are rounded down together: what one look shows of that holds nearby.
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
        """Return about what the score is, so that what it is rounded to lies in a range where this does."""
        least, most = self.rough(moment, moment)
        return (least + most) / 2 + 0.5

    def _bisected(self, start: int, end: int, moving: list[_Moving], low: float, high: float) -> int:
        """Return the first instant outside of a range, of which the score is outside at `end` and never comes back."""
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
        """Return the same where a single event is left that changes: what the score is depends on its points alone."""
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
        """Return the score of the points of all events."""
        pairs = zip(self.falls, values, strict=True)
        return self._added(fall.total(fall.nothing, zip(fall.live, own, strict=True)) for fall, own in pairs)

    def _moving(self, first: list[list[Numbers]], last: list[list[Numbers]]) -> list[_Moving]:
        """Return the events that change between two instants, from the points of all events at both."""
        three = zip(self.falls, first, last, strict=True)
        return [_narrowed(_Moving(fall.nothing, fall.live, a, b)) for fall, a, b in three]

    # Both signs: stretches are halved where their bounds leave it open

    def _search(self, start: int, end: int, low: float, high: float) -> int | None:
        """Return where any score leaves a range: by the rough bounds, and where rounding decides by the exact ones."""
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
        """Return the first instant in (start, end] outside of a range, where at `start` the score is in it."""
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
            middle = (first + last) // 2
            left, right = [], []
            for one in moving:
                at = [live.at(middle) for live in one.lives]
                left.append(_narrowed(one._replace(at_high=at)))
                right.append(_narrowed(one._replace(at_low=at)))
            stack += [(middle, last, right), (first, middle, left)]
        return None

    def _bound(self, moving: list[_Moving], *, least: bool) -> float:
        """Return the least or the most that the score can be in a stretch: points fade towards nothing."""
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
