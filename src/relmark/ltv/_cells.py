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
        values, inverse = np.unique(column, return_inverse=True)
        if size * len(values) >= 1 << 62:
            packed, code = np.unique(code, return_inverse=True)
            size = len(packed)
        code = code * len(values) + inverse.reshape(-1)
        size *= max(len(values), 1)
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    total = np.bincount(place, weights=weights, minlength=len(first)).astype(np.float64)
    return [column[first] for column in columns], total, place
