"""Kernels: centered second moments of columns by cell, in one read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray

ROWS = 8_192  # rows of a cell at once: OpenBLAS wakes its threads for dot products of more than 10,000
PIECE = 262_144  # rows of deviations that are kept at once where there are many cells
MOST_LOST = 1e4  # how many times larger than the result numbers that cancel may be: costs four digits of sixteen
FEW_CELLS = 16  # up to here a block is split by cell and multiplied; beyond, sums by cell are cheaper


def centered_sums(
    arrays: Sequence[npt.NDArray[Any]],
    cell: IntArray,
    cells: int,
    *,
    excluded: bool,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return count (cells,), mean (cells, k) and scatter (cells, k, k) of rows whose cell is not negative.

    `pairs` (i <= j) names the products that are needed; the others are NaN.
    """
    k = len(arrays)
    wanted = [(i, j) for i in range(k) for j in range(i, k)] if pairs is None else list(pairs)
    count, mean, scatter = _sums(arrays, cell, cells, wanted, excluded=excluded)
    if pairs is not None:
        known = np.zeros((k, k), dtype=np.bool_)
        for i, j in wanted:
            known[i, j] = known[j, i] = True
        scatter[:, ~known] = np.nan
    return count, mean, scatter


def third_sums(array: npt.NDArray[Any], cell: IntArray, mean: FloatArray) -> FloatArray:
    """Return the sums of cubed deviations from each cell's mean, shape (cells,); cells below zero are left out."""
    out: FloatArray = np.zeros(len(mean))
    with np.errstate(over="ignore", invalid="ignore"):
        for low in range(0, len(cell), PIECE):
            codes = cell[low : low + PIECE]
            values = array[low : low + PIECE]
            if codes.min(initial=0) < 0:
                values, codes = values[codes >= 0], codes[codes >= 0]
            away = values - mean[codes]
            out += np.bincount(codes, weights=away * away * away, minlength=len(mean))
    return out


def _sums(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int, pairs: Sequence[tuple[int, int]], *, excluded: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    if cells == 2 and arrays and not excluded:
        found = _by_mask(arrays, cell, pairs)
        if found is not None:
            return found
    if not arrays or cells <= FEW_CELLS:
        return _by_block(arrays, cell, cells, pairs)
    if excluded:
        keep = np.flatnonzero(cell >= 0)
        cell = cell[keep]
        arrays = [array[keep] for array in arrays]
    piece = max(PIECE, 16 * cells)
    count, mean, scatter = _by_sums([array[:piece] for array in arrays], cell[:piece], cells, pairs)
    for low in range(piece, len(cell), piece):
        n, mu, s = _by_sums([array[low : low + piece] for array in arrays], cell[low : low + piece], cells, pairs)
        together = count + n
        share = n / np.maximum(together, 1.0)
        delta = mu - mean
        with np.errstate(over="ignore", invalid="ignore"):
            scatter += s + (count * share)[:, None, None] * (delta[:, :, None] * delta[:, None, :])
            mean += share[:, None] * delta
        count = together
    return count, mean, scatter


def _by_mask(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, pairs: Sequence[tuple[int, int]]
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return the sums for two cells that every row is in, or None where this way would lose digits.

    Control and one arm are the most common case. The sums of all rows, and of those of the second cell (each value
    times 0 or 1), need no gathering, which takes two thirds of the time of `_by_block`; the first cell is the rest.
    Values far from zero are shifted by the mean of the first block; others are not, which saves a pass. Where a cell's
    spread is far smaller than its distance from that shift, or than the spread of all rows, the differences would
    cancel: then None is returned, and the other way is used.
    """
    k = len(arrays)
    shift = [_shift(array[:ROWS]) for array in arrays]
    moved = [at for at, array in enumerate(arrays) if shift[at] != 0.0 or array.dtype != np.float64]
    shifted = list(np.empty((len(moved), ROWS)))
    # Of all rows, and of the second cell; plain floats, because adding to an array's element costs more than the sum.
    sum_all, sum_one = [0.0] * k, [0.0] * k
    product_all, product_one = [0.0] * len(pairs), [0.0] * len(pairs)
    partners = [[(at, j) for at, (i, j) in enumerate(pairs) if i == column] for column in range(k)]
    # One buffer for the second cell, free again before the next column: all that a block needs stays in the cache.
    z, mask, ones, n1 = np.empty(ROWS), np.empty(ROWS), np.ones(ROWS), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for low in range(0, len(cell), ROWS):
            here = slice(low, low + ROWS)
            n = min(ROWS, len(cell) - low)
            if n < ROWS:  # the last block
                shifted, z, mask, ones = [row[:n] for row in shifted], z[:n], mask[:n], ones[:n]
            mask[:] = cell[here]
            n1 += mask.dot(ones)
            every = [array[here] for array in arrays]
            for column, y in zip(moved, shifted, strict=True):
                every[column] = np.subtract(every[column], shift[column], out=y, dtype=np.float64)
            for column, y in enumerate(every):
                np.multiply(y, mask, z)
                sum_all[column] += y.dot(ones)
                sum_one[column] += z.dot(ones)
                for at, j in partners[column]:
                    other = every[j]
                    product_all[at] += y.dot(other)
                    product_one[at] += z.dot(other)
        sums, products = np.array([sum_all, sum_one]), np.zeros((2, k, k))
        for at, (i, j) in enumerate(pairs):
            products[:, i, j] = product_all[at], product_one[at]
        count = np.array([len(cell) - n1, n1])
        total = np.array([sums[0] - sums[1], sums[1]])
        away = total / np.maximum(count, 1.0)[:, None]
        scatter = np.array([products[0] - products[1], products[1]])
        scatter -= count[:, None, None] * away[:, :, None] * away[:, None, :]
        scatter = np.triu(scatter) + np.swapaxes(np.triu(scatter, 1), 1, 2)
        spread, most = np.diagonal(scatter, axis1=1, axis2=2), np.diagonal(products[0])
        if (most > MOST_LOST * np.maximum(spread, 0.0)).any() or (spread < 0).any():
            return None
    mean = np.where(count[:, None] > 0, away + np.array(shift), 0.0)
    return count, mean, scatter


def _shift(block: npt.NDArray[Any]) -> float:
    """Return what to subtract from a column before its squares are summed: 0 if the mean is within ten spreads of 0.

    At most two digits of sixteen are then lost.
    """
    if not len(block):
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # near the end of float64 their squares are refused later
        mean, spread = float(block.mean(dtype=np.float64)), float(block.std(dtype=np.float64))
    return 0.0 if abs(mean) <= 10.0 * spread or not math.isfinite(mean) else mean


def _by_block(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int, pairs: Sequence[tuple[int, int]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the sums for few cells: the rows of each cell in a block, gathered, centered and multiplied."""
    k = len(arrays)
    count, mean, scatter = np.zeros(cells), np.zeros((cells, k)), np.zeros((cells, k, k))
    rows = max(ROWS * min(cells, 4), ROWS)
    buffer, ones = np.empty((k, rows)), np.ones(rows)
    with np.errstate(over="ignore", invalid="ignore"):
        for low in range(0, len(cell), rows):
            codes = cell[low : low + rows]
            block = [array[low : low + rows] for array in arrays]
            for one in range(cells):
                at = np.flatnonzero(codes == one)
                n = len(at)
                if n == 0:
                    continue
                part = [row[:n] for row in buffer]
                average, slack = np.empty(k), np.empty(k)
                for column, (values, centered) in enumerate(zip(block, part, strict=True)):
                    if values.dtype == np.float64:
                        # Positions are known to be inside: "clip" saves a check and a copy.
                        values.take(at, out=centered, mode="clip")
                    else:
                        centered[:] = values[at]
                    average[column] = centered.dot(ones[:n]) / n
                    np.subtract(centered, average[column], out=centered)
                    # What rounding left in the mean is taken out again: Chan's corrected two-pass sum.
                    slack[column] = centered.dot(ones[:n]) / n
                together = count[one] + n
                delta = average + slack - mean[one]
                mean[one] += delta * (n / together)
                scatter[one] += _products(part, pairs) - n * np.outer(slack, slack)
                scatter[one] += np.outer(delta, delta) * (count[one] * n / together)
                count[one] = together
    return count, mean, scatter


def _products(part: list[FloatArray], pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the sums of products of pairs of rows.

    A dot product of two rows that lie in the cache takes 1.2 microseconds; for six rows all of them take a third of
    the time of one matrix product, which is made for squarer shapes.
    """
    out = np.zeros((len(part), len(part)))
    for i, j in pairs:
        out[i, j] = out[j, i] = part[i].dot(part[j])
    return out


def _by_sums(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int, pairs: Sequence[tuple[int, int]]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the same for many cells: means by cell, then sums of products of deviations by cell."""
    k = len(arrays)
    count = np.bincount(cell, minlength=cells).astype(np.float64)
    safe = np.maximum(count, 1.0)
    mean, scatter = np.zeros((cells, k)), np.zeros((cells, k, k))
    away: list[FloatArray] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for column, array in enumerate(arrays):
            shift = float(array[0]) if len(array) else 0.0
            values = array.astype(np.float64) - shift
            center = np.bincount(cell, weights=values, minlength=cells) / safe
            values -= center[cell]
            slack = np.bincount(cell, weights=values, minlength=cells) / safe
            values -= slack[cell]
            mean[:, column] = np.where(count > 0, center + slack + shift, 0.0)
            away.append(values)
        for i, j in pairs:
            scatter[:, i, j] = scatter[:, j, i] = np.bincount(cell, weights=away[i] * away[j], minlength=cells)
    return count, mean, scatter
