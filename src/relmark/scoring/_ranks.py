"""Kernels on ranked scores: the Kolmogorov-Smirnov distance, Wilson's interval, logistic regression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from relmark.core.checks import FloatArray, IntArray
from relmark.core.shares import wilson

_BLOCK = 1 << 18  # rows


def ks_distance(people: IntArray, hits: IntArray) -> tuple[float, int]:
    """Return the largest distance between the score distributions of hits and misses, and its position."""
    distance = np.cumsum(hits) / hits.sum()
    distance -= np.cumsum(people - hits) / (people.sum() - hits.sum())
    np.abs(distance, out=distance)
    place = int(np.argmax(distance))
    return float(distance[place]), place


def wilson_at(hits: npt.ArrayLike, people: npt.ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of Wilson's interval of a share at a confidence level; NaN if there are no people."""
    return wilson(hits, people, special.ndtri(0.5 + level / 2))


def logistic(
    X: FloatArray, y: FloatArray, *, penalty: float = 0.0, weights: FloatArray | None = None, iterations: int = 100
) -> tuple[float, FloatArray, bool]:
    """Return intercept, coefficients and whether Newton's method converged, for a logistic regression with a ridge.

    Minimizes ``-sum(w (y log p + (1 - y) log(1 - p))) + penalty / 2 sum(beta ** 2)``; the intercept is not shrunk.
    It takes Newton steps (iteratively reweighted least squares), halved until the objective falls. X has shape (n, d)
    and is read in blocks of rows, so that no other array of its size is held.
    """
    n, d = X.shape
    blocks = [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]
    w = np.ones(min(n, _BLOCK)) if weights is None else weights
    ridge = np.full(d + 1, penalty)
    ridge[0] = 0.0

    def weight(rows: slice) -> FloatArray:
        return w[: len(y[rows])] if weights is None else w[rows]

    def objective(b: FloatArray) -> float:
        total = 0.0
        for rows in blocks:
            eta = X[rows] @ b[1:] + b[0]
            total += float(weight(rows) @ (np.logaddexp(0.0, eta) - y[rows] * eta))
        return total + 0.5 * float(ridge @ (b * b))

    def slopes(b: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the gradient and the Hessian of the objective."""
        gradient, hessian = ridge * b, np.diag(ridge)
        for rows in blocks:
            x, v = X[rows], weight(rows)
            p = special.expit(x @ b[1:] + b[0])
            residual = v * (p - y[rows])
            gradient[0] += residual.sum()
            gradient[1:] += x.T @ residual
            v = v * p * (1 - p)
            vx = v[:, None] * x
            hessian[0, 0] += v.sum()
            hessian[0, 1:] += vx.sum(axis=0)
            hessian[1:, 1:] += x.T @ vx
        hessian[1:, 0] = hessian[0, 1:]
        hessian[np.diag_indices(d + 1)] += 1e-12 * max(float(hessian[0, 0]), 1e-300)
        return gradient, hessian

    beta = np.zeros(d + 1)
    total = float(n) if weights is None else float(w.sum())
    beta[0] = special.logit(float(y.sum() if weights is None else w @ y) / total)
    value = objective(beta)
    for _ in range(iterations):
        gradient, hessian = slopes(beta)
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-10 * (abs(value) + 1.0):  # the last step squares the error once more
            beta = beta - step
            return float(beta[0]), beta[1:], True
        size = 1.0
        while size > 1e-10:
            found = objective(beta - size * step)
            if found <= value - 1e-4 * size * decrease:
                break
            size /= 2
        else:
            return float(beta[0]), beta[1:], False
        beta = beta - size * step
        value = found
    return float(beta[0]), beta[1:], False
