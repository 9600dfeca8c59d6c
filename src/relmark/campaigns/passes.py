"""Passes through a chain: with which of its starting events the current pass began.

Without `restart`, a start during a pass is ignored. A pass lasts until the last step can no longer be sent, or until
the first `until` event after its start, and the first start from then on begins the next pass.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from relmark.core.checks import IntArray
from relmark.core.ordering import group_order

__all__ = ["NONE", "last_pass", "last_passes"]

NONE = np.iinfo(np.int64).min
"""The value that means that there is no instant."""


def last_pass(starts: list[int], until: list[int], span: int, *, restart: bool) -> int | None:
    """Return when the latest pass of one person began, or None; all times are in ascending order."""
    if not starts:
        return None
    if restart:
        return starts[-1]
    place = 0
    while True:
        begin = starts[place]
        end = begin + span
        stopped = bisect_right(until, begin)
        if stopped < len(until):
            end = min(end, until[stopped])
        place = max(bisect_left(starts, end), bisect_right(starts, begin))
        if place >= len(starts):
            return begin


def last_passes(
    codes: IntArray, times: IntArray, until_codes: IntArray, until: IntArray, n: int, span: int, *, restart: bool
) -> IntArray:
    """Return when the latest pass of each of n people began, shape (n,); `NONE` for people without a pass.

    Parameters
    ----------
    codes, times : ndarray of int64, shape (m,)
        The starts of people, in order of time.
    until_codes, until : ndarray of int64, shape (u,)
        The events that end a pass, in order of time.

    Notes
    -----
    Each start points to the start of the pass after its own. Doubling the pointers finds the last start in a number of
    rounds that is the logarithm of the number of passes.
    """
    found = np.full(n, NONE)
    if not len(times):
        return found
    if restart:
        found[codes] = times  # in order of time, so that the last one stays
        return found
    order, offsets = group_order(codes, n)
    who, when = codes[order].astype(np.int64), times[order]
    end = when + span
    if len(until):
        stop_order, stop_offsets = group_order(until_codes, n)
        stops = until[stop_order]
        first = _after(stops, stop_offsets[who], stop_offsets[who + 1], when, right=True)
        has = first < stop_offsets[who + 1]
        end = np.where(has, np.minimum(end, stops[np.minimum(first, len(stops) - 1)]), end)
    past = _after(when, offsets[who], offsets[who + 1], when, right=True)
    following = np.maximum(_after(when, offsets[who], offsets[who + 1], end, right=False), past)
    last = following >= offsets[who + 1]
    jump = np.where(last, np.arange(len(when)), following)
    while True:
        further = jump[jump]
        if (further == jump).all():
            break
        jump = further
    begins = np.flatnonzero(np.diff(offsets))
    found[begins] = when[jump[offsets[begins]]]
    return found


def _after(times: IntArray, low: IntArray, high: IntArray, bound: IntArray, *, right: bool) -> IntArray:
    """Return the first place in ``[low, high)`` of a time at or after each bound; with `right`, strictly after it."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        time = times[np.minimum(middle, len(times) - 1)]
        before = (time <= bound) if right else (time < bound)
        low = np.where(open_ & before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low
