"""Events whose points fade: what they give at any later instant, as a quick estimate and exactly.

A `Fall` holds the events of one rule, or of several rules that are added up in the same way. It answers in two ways:

- **roughly**, in the time of a bisection: prefix sums by decay give the sum of the unrounded points at any instant, and
  rounding changes each event's points by at most half a thousandth;
- **exactly**, event by event, but only for the events whose rounded points differ between the two ends of a stretch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.scoring.decay import Decay, HalfLife, LinearDecay

__all__ = ["MANY", "Fall", "Live", "Numbers", "clamp", "without_opposites"]

MANY = 24
"""The number of events from which numpy is faster than a loop."""

_REMEMBERED = 256  # instants for which a stream remembers its sum
_ENDS = 16  # instants for which a fall with caps per period remembers the points of all events
_SLACK = 1e-9  # allowance for rounding of float64 sums, as a share of their largest number

Numbers = list[int] | FloatArray


def clamp(value: Any, low: int | None, high: int | None) -> Any:
    """Return a number within optional bounds; the upper bound is applied first, as caps are."""
    if high is not None and value > high:
        value = high
    return low if low is not None and value < low else value


class _Stream:
    """Events of one sign, ordered by time, with prefix sums of their points by decay."""

    __slots__ = ("_alive", "_at", "_decay", "_known", "_size", "_sums", "live", "n", "times")

    def __init__(self, times: Sequence[int], live: Live | None, decay: Decay | None, expires: int | None) -> None:
        self.n = len(times)
        self.times, self.live = times, live
        ends: list[float] = [] if expires is None else [expires]
        ends += [decay.micros] if isinstance(decay, LinearDecay) else []
        self._alive = min(ends, default=None)
        self._at = times[-1] if times else 0
        self._decay = decay
        self._size = float(decay.micros) if isinstance(decay, (HalfLife, LinearDecay)) else 1.0
        self._sums: list[FloatArray] | None = None
        self._known: dict[int, tuple[float, float]] = {}

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
        """Return the unrounded points at an instant, and how far the rounded points can be from them.

        Answers are remembered, since stretches that are halved share their ends.
        """
        known = self._known.get(moment)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[moment] = self._rough(moment)
        return known

    def _rough(self, moment: int) -> tuple[float, float]:
        first = 0 if self._alive is None else bisect_right(self.times, moment - self._alive)
        if first == self.n:
            return 0.0, 0.0
        sums, decay = self._prefix(), self._decay
        age, whole = moment - self._at, sums[0]
        if isinstance(decay, HalfLife):
            factor = 2.0 ** -min(age / self._size, 1_100.0)
            value = float(whole[-1] - whole[first]) * factor
            # Points below half a thousandth are rounded to 0, which changes them by no more than their size.
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
    """The events of one additive part of a score from an instant on, if nothing else happens.

    Parameters
    ----------
    times : list of int, ascending
        Microseconds.
    worth : float, or list of float
        The points of each event before decay, in thousandths.
    decay : Decay, optional
    expires : int, optional
        The age in microseconds from which an event gives nothing.
    periods : list of int, optional
        The period of each event, if each period gives at most `cap`.
    cap, low, high : int, optional
        The cap of each period, and the bounds of the sum, in thousandths.
    stamps : ndarray of int64, optional
        The times as an array, if one exists already.
    """

    __slots__ = ("_known", "cap", "decay", "expires", "high", "live", "low", "n_periods", "negative", "positive")

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
        self.live: list[Live] = []
        self._known: dict[int, list[Numbers]] = {}
        all_times = np.array(times, dtype=np.int64) if stamps is None else stamps
        all_worth = np.full(len(times), worth) if isinstance(worth, float) else np.array(worth, dtype=np.float64)
        all_numbers = None if numbers is None else np.array(numbers)
        streams = []
        for up in (True, False):
            own = all_worth >= 0.0 if up else all_worth < 0.0
            n = int(np.count_nonzero(own))
            live: Live | None = None
            own_times: Sequence[int] = []
            if n == len(times) > 0:
                live, own_times = Live.of(self, all_times, all_worth, all_numbers, up=up), times
            elif n:
                held = None if all_numbers is None else all_numbers[own]
                live = Live.of(self, all_times[own], all_worth[own], held, up=up)
                own_times = all_times[own].tolist()
            if live is not None:
                self.live.append(live)
            streams.append(_Stream(own_times, live, decay, expires))
        self.positive, self.negative = streams

    def values(self, times: Any, worth: Any, moment: int) -> Numbers:
        """Return the rounded points of some events at an instant: a list for lists, an array for arrays."""
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

    def turns(self, time: int, worth: float, start: int, end: int) -> list[tuple[int, int]]:
        """Return the instants in (start, end] at which an event's points change, and by how much, by bisection."""
        decay, expires = self.decay, self.expires

        def points(moment: int) -> int:
            if expires is not None and moment - time >= expires:
                return 0
            return round(worth if decay is None else worth * decay.factor(moment - time))

        found = []
        now, last = points(start), points(end)
        while now != last:
            low, high = start, end
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if points(middle) == now else (low, middle)
            start, before = high, now
            now = points(high)
            found.append((high, now - before))
        return found

    def total(self, base: Any, parts: Iterable[tuple[Live, Numbers]]) -> float:
        """Return the bounded sum of `base` (one number, or one per period) and the points of `parts`."""
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
        """The base that stands for no events: 0, or an array of zeros with one per period."""
        return np.zeros(self.n_periods) if self.n_periods else 0.0

    def _all_at(self, moment: int) -> list[Numbers]:
        """Return the points of all events at an instant; those of the last few instants are remembered."""
        known = self._known.get(moment)
        if known is None:
            if len(self._known) >= _ENDS:
                self._known.clear()
            known = self._known[moment] = [live.at(moment) for live in self.live]
        return known

    def rough(self, low: int, high: int) -> tuple[float, float]:
        """Return the least and the greatest possible sum between two instants."""
        if self.n_periods:
            at_low, at_high = self._all_at(low), self._all_at(high)
            ends = [
                self.total(
                    self.nothing,
                    [(live, (rise if live.up else sink)[k]) for k, live in enumerate(self.live)],
                )
                for rise, sink in ((at_high, at_low), (at_low, at_high))
            ]
            return ends[0], ends[1]
        up_low, slack_up_low = self.positive.rough(low)
        down_low, slack_down_low = self.negative.rough(low)
        up_high, slack_up_high = (up_low, slack_up_low) if high == low else self.positive.rough(high)
        down_high, slack_down_high = (down_low, slack_down_low) if high == low else self.negative.rough(high)
        if self.expires is None and isinstance(self.decay, HalfLife):
            # All points fade by one factor, so their sum lies between its values at the two ends.
            slack = slack_up_low + slack_down_low
            ends = [up_low + down_low, up_high + down_high]
            least, most = min(ends) - slack, max(ends) + slack
        else:
            least = up_high - slack_up_high + down_low - slack_down_low
            most = up_low + slack_up_low + down_high + slack_down_high
        return clamp(least, self.low, self.high), clamp(most, self.low, self.high)


def without_opposites(times: Sequence[int], worth: Sequence[float]) -> tuple[Sequence[int], Sequence[float]]:
    """Leave out pairs of events at one instant with opposite points: under one decay they always cancel out."""
    if min(worth, default=0.0) >= 0.0 or max(worth) <= 0.0:
        return times, worth
    left = Counter(zip(times, worth, strict=True))
    for (time, points), count in list(left.items()):
        if points > 0 and (other := min(count, left.get((time, -points), 0))):
            left[time, points] -= other
            left[time, -points] -= other
    kept = sorted(left.elements())
    return [time for time, _ in kept], [points for _, points in kept]


class Live(NamedTuple):
    """Events of one fall and one sign: as arrays if there are many, as lists if there are few."""

    fall: Fall
    times: Any
    worth: Any
    periods: npt.NDArray[np.int64] | None
    up: bool

    @classmethod
    def of(cls, fall: Fall, times: Any, worth: Any, periods: Any, *, up: bool) -> Live:
        if not isinstance(times, list) and len(times) < MANY and periods is None:
            times, worth = times.tolist(), worth.tolist()
        return cls(fall, times, worth, periods, up)

    def at(self, moment: int) -> Numbers:
        return self.fall.values(self.times, self.worth, moment)

    def changing(self, first: Numbers, second: Numbers) -> tuple[Live | None, Any, Numbers, Numbers]:
        """Return the events whose points differ, the sum of the others, and the differing points at both ends."""
        if isinstance(self.times, list):
            rows = [k for k, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
            a, b = [first[k] for k in rows], [second[k] for k in rows]
            live = None
            if rows:
                live = Live(self.fall, [self.times[k] for k in rows], [self.worth[k] for k in rows], None, self.up)
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
        live = Live.of(self.fall, self.times[moving], self.worth[moving], own, up=self.up)
        a, b = np.asarray(first)[moving], np.asarray(second)[moving]
        if isinstance(live.times, list):
            return live, base, a.tolist(), b.tolist()
        return live, base, a, b
