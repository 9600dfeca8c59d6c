"""Kernels: centred second moments of columns by cell, in one read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS = 8_192  # a block of six columns, and its copy by arm, stay within the second-level cache
PIECE = 262_144  # rows of deviations that are kept at once where there are many cells
FEW_CELLS = 16  # up to here a block is split by cell and multiplied; beyond, sums by cell are cheaper


def centred_sums(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int, *, excluded: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return count (cells,), mean (cells, k) and scatter (cells, k, k) of rows whose cell is not negative."""
    if not arrays or cells <= FEW_CELLS:
        return _by_block(arrays, cell, cells)
    if excluded:
        keep = np.flatnonzero(cell >= 0)
        cell = cell[keep]
        arrays = [array[keep] for array in arrays]
    piece = max(PIECE, 16 * cells)
    count, mean, scatter = _by_sums([array[:piece] for array in arrays], cell[:piece], cells)
    for low in range(piece, len(cell), piece):
        n, mu, s = _by_sums([array[low : low + piece] for array in arrays], cell[low : low + piece], cells)
        together = count + n
        share = n / np.maximum(together, 1.0)
        delta = mu - mean
        with np.errstate(over="ignore", invalid="ignore"):
            scatter += s + (count * share)[:, None, None] * (delta[:, :, None] * delta[:, None, :])
            mean += share[:, None] * delta
        count = together
    return count, mean, scatter


def _by_block(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    k = len(arrays)
    count, mean, scatter = np.zeros(cells), np.zeros((cells, k)), np.zeros((cells, k, k))
    block = np.empty((k, ROWS))
    with np.errstate(over="ignore", invalid="ignore"):
        for low in range(0, len(cell), ROWS):
            codes = cell[low : low + ROWS]
            rows = len(codes)
            for column, array in enumerate(arrays):
                block[column, :rows] = array[low : low + ROWS]
            x = block[:, :rows]
            for one in range(cells):
                at = np.flatnonzero(codes == one)
                n = len(at)
                if n == 0:
                    continue
                part = x if n == rows else x.take(at, axis=1)
                average = part.sum(axis=1) / n
                part = part - average[:, None] if n == rows else np.subtract(part, average[:, None], out=part)
                # What rounding left in the block's mean is taken out again (Chan's corrected two-pass sum).
                slack = part.sum(axis=1) / n
                product = part @ part.T
                product -= n * np.outer(slack, slack)
                together = count[one] + n
                delta = average + slack - mean[one]
                mean[one] += delta * (n / together)
                scatter[one] += product + np.outer(delta, delta) * (count[one] * n / together)
                count[one] = together
    return count, mean, scatter


def _by_sums(
    arrays: Sequence[npt.NDArray[Any]], cell: IntArray, cells: int
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
            centre = np.bincount(cell, weights=values, minlength=cells) / safe
            values -= centre[cell]
            slack = np.bincount(cell, weights=values, minlength=cells) / safe
            values -= slack[cell]
            mean[:, column] = np.where(count > 0, centre + slack + shift, 0.0)
            away.append(values)
        for i in range(k):
            for j in range(i, k):
                total = np.bincount(cell, weights=away[i] * away[j], minlength=cells)
                scatter[:, i, j] = scatter[:, j, i] = total
    return count, mean, scatter
