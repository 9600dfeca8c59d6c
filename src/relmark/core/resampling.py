"""Bootstrap intervals of means over customers; a customer is drawn with all rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray


def draws_of_means(
    values: FloatArray, cluster: npt.NDArray[np.integer], resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Return bootstrap draws of the mean of each column, shape (resamples, metrics).

    Parameters
    ----------
    values : ndarray of float64, shape (rows, metrics)
        One column per metric.
    cluster : ndarray of int, shape (rows,)
        The customer of each row, from 0 to c - 1; every customer occurs.
    resamples : int
        The number of draws.
    rng : Generator
        The source of randomness.

    Notes
    -----
    A draw takes c customers with replacement, and divides the sum of their rows by the number of these rows.
    B. Efron and R. Tibshirani, An introduction to the bootstrap, 1993, chapter 13 (percentile intervals).
    """
    c = int(cluster.max()) + 1
    sums = np.stack([np.bincount(cluster, weights=column, minlength=c) for column in values.T], axis=1)
    rows = np.bincount(cluster, minlength=c).astype(np.float64)
    out = np.empty((resamples, values.shape[1]))
    for draw in range(resamples):
        weight = np.bincount(rng.integers(0, c, c), minlength=c).astype(np.float64)
        out[draw] = (weight @ sums) / (weight @ rows)
    return out


def percentiles(draws: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the percentile interval of each column."""
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail], axis=0)
    return low, high
