"""Pick the best items of a block under caps: a limited number per category, and as many as each row still needs."""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.recommend._topk import top_k

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(eq=False)
class Cap:
    """At most `most` items of each group; group -1 is not limited."""

    group: IntArray
    n_groups: int
    most: int


@attrs.frozen(eq=False)
class Picks:
    """The picked rows, columns and scores, by row and best first; and the number of items that the caps held back."""

    row: IntArray
    column: IntArray
    score: FloatArray
    held_back: int

    @classmethod
    def none(cls) -> Picks:
        """Return an empty result."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), 0)


def pick(scores: FloatArray, need: IntArray, caps: list[Cap], used: list[IntArray]) -> Picks:
    """Return the best items of each row, as many as it needs and the caps allow, and update `used`.

    Parameters
    ----------
    scores : ndarray of float32, shape (n, m)
        The scores; -inf marks items that must not be picked.
    need : ndarray of int64, shape (n,)
        How many items each row still needs.
    caps : list of Cap
        The caps on the number of items per group.
    used : list of ndarray of int64, shape (n, groups)
        For each cap, how many items of each group a row holds already; updated in place.
    """
    n, m = scores.shape
    most = int(need.max(initial=0))
    if most == 0:
        return Picks.none()
    if not caps:
        offsets, column, score = top_k(scores, most)
        row = np.repeat(np.arange(n), np.diff(offsets))
        if (need < most).any():
            keep = np.arange(len(row)) - offsets[row] < need[row]
            row, column, score = row[keep], column[keep], score[keep]
        return Picks(row, column, score, 0)
    depth = min(m, 4 * most + 16)
    while True:
        offsets, column, score = top_k(scores, depth)
        chosen, held_back, left, counted = _greedy(offsets, column, need, caps, used)
        exhausted = np.diff(offsets) < depth
        if depth == m or bool(((left == 0) | exhausted).all()):
            break
        depth = min(m, 4 * depth)
    for before, now in zip(used, counted, strict=True):
        before[:] = now
    row = np.repeat(np.arange(n), np.diff(offsets))[chosen]
    return Picks(row, column[chosen], score[chosen], held_back)


def _greedy(
    offsets: IntArray, column: IntArray, need: IntArray, caps: list[Cap], used: list[IntArray]
) -> tuple[npt.NDArray[np.bool_], int, IntArray, list[IntArray]]:
    """Go down all rows at once, best item first, and take what the caps allow."""
    lengths = np.diff(offsets)
    left = need.copy()
    counted = [counts.copy() for counts in used]
    chosen = np.zeros(len(column), dtype=np.bool_)
    held_back = 0
    for rank in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero((lengths > rank) & (left > 0))
        if len(rows) == 0:
            break
        places = offsets[rows] + rank
        groups = [cap.group[column[places]] for cap in caps]
        allowed = np.ones(len(rows), dtype=np.bool_)
        for cap, group, counts in zip(caps, groups, counted, strict=True):
            allowed &= (group < 0) | (counts[rows, group] < cap.most)
        held_back += int(np.count_nonzero(~allowed))
        chosen[places[allowed]] = True
        left[rows[allowed]] -= 1
        for group, counts in zip(groups, counted, strict=True):
            limited = allowed & (group >= 0)
            counts[rows[limited], group[limited]] += 1
    return chosen, held_back, left, counted
