"""Wilson's interval of a share: the kernel of rates, calibration and differences of proportions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["wilson"]

FloatArray = npt.NDArray[np.float64]


def wilson(x: npt.ArrayLike, n: npt.ArrayLike, z: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the ends of Wilson's (1927) score interval of x in n, for arrays that broadcast; NaN where n is 0.

    `z` is the normal quantile of the confidence: 1.96 for two-sided 95 %.
    """
    x, z = np.asarray(x, dtype=np.float64), np.asarray(z, dtype=np.float64)
    people = np.asarray(n, dtype=np.float64)
    n = np.where(people > 0, people, np.nan)
    p = x / n
    z2 = z * z
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # For x = 0 and x = n the limits are exactly 0 and 1, whatever the rounding.
    return np.where(x == 0, 0.0 * n, center - half), np.where(x == n, 1.0 + 0.0 * n, center + half)
