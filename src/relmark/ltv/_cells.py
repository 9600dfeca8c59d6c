"""Equal rows become one weighted row."""

from __future__ import annotations

import numpy as np

from relmark.core.checks import FloatArray, IntArray


def unique_rows(columns: list[FloatArray], weights: FloatArray | None) -> tuple[list[FloatArray], FloatArray, IntArray]:
    """Return the distinct rows of equally long columns in ascending order, their weights, and each row's place.

    Each column is coded by its distinct values, and the codes are packed into one integer, which sorts several times
    faster than rows of floats; where the packed codes would overflow, the pairs already packed are coded again first.
    """
    code = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        values, inverse = distinct(column)
        if size * len(values) >= 1 << 62:
            packed, code = np.unique(code, return_inverse=True)
            size = len(packed)
        code = code * len(values) + inverse
        size *= max(len(values), 1)
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    return [column[first] for column in columns], weights_by(place, weights, len(first)), place


def distinct(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the distinct values in ascending order, and the place of each value among them."""
    found, place = np.unique(values, return_inverse=True)
    return found, place.reshape(-1)


def weights_by(place: IntArray, weights: FloatArray | None, size: int) -> FloatArray:
    """Return the sum of the weights, or the number, of the rows at each place, shape (size,)."""
    return np.bincount(place, weights=weights, minlength=size).astype(np.float64)


def coarse_cells(
    x: FloatArray, t_x: FloatArray, T: FloatArray, weights: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return about a thousand weighted cells of like customers, each at their mean x, t_x and T.

    They say where a likelihood is high, not how high: a search in them finds the basin.
    """
    counts = np.minimum(x, 8.0)
    counts += np.where(x > 8.0, np.floor(2.0 * np.log2(np.maximum(x, 8.0) / 8.0)), 0.0)
    oldest = T.max()
    age = np.minimum(np.floor(_AGES * (T / oldest if oldest > 0 else T)), _AGES - 1)
    silence = np.minimum(np.floor(_SILENCES * np.divide(t_x, T, out=np.zeros(len(T)), where=T > 0)), _SILENCES - 1)
    _, place = distinct((counts * _AGES + age) * _SILENCES + silence)
    size = int(place.max(initial=-1)) + 1
    total = weights_by(place, weights, size)
    means = [weights_by(place, c if weights is None else c * weights, size) / total for c in (x, t_x, T)]
    return means[0], np.minimum(means[1], means[2]), means[2], total


_AGES, _SILENCES = 10, 16
