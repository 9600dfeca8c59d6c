"""Equal rows become one weighted row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


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
