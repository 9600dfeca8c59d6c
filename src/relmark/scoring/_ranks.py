"""Kernels on ranked scores: Kolmogorov-Smirnov distance, Wilson's interval, logistic fits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from relmark.core.checks import FloatArray, IntArray
from relmark.core.shares import wilson


def ks_distance(people: IntArray, hits: IntArray) -> tuple[float, int]:
    """Return the largest distance between the score distributions of hits and misses, and where it is."""
    misses = people - hits
    distance = np.abs(np.cumsum(hits) / hits.sum() - np.cumsum(misses) / misses.sum())
    place = int(np.argmax(distance))
    return float(distance[place]), place


def wilson_at(hits: npt.ArrayLike, people: npt.ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the ends of Wilson's interval of a share at a confidence; NaN of nobody."""
    return wilson(hits, people, special.ndtri(0.5 + level / 2))


def logistic(
    X: FloatArray, y: FloatArray, *, penalty: float = 0.0, weights: FloatArray | None = None, iterations: int = 100
) -> tuple[float, FloatArray, bool]:
    """Return intercept, coefficients and whether Newton's method converged, for a logistic regression with a ridge.

    Minimises ``-sum(w (y log p + (1 - y) log(1 - p))) + penalty / 2 sum(beta ** 2)``; the intercept is not shrunk.
    Newton steps (iteratively reweighted least squares), halved until the objective falls. X is (n, d).
    """
    n, d = X.shape
    w = np.ones(n) if weights is None else weights
    beta = np.zeros(d + 1)
    share = float(w @ y / w.sum())
    beta[0] = special.logit(share)
    ridge = np.full(d + 1, penalty)
    ridge[0] = 0.0

    def objective(b: FloatArray) -> tuple[float, FloatArray]:
        eta = X @ b[1:] + b[0]
        return float(w @ (np.logaddexp(0.0, eta) - y * eta)) + 0.5 * float(ridge @ (b * b)), eta

    value, eta = objective(beta)
    for _ in range(iterations):
        p = special.expit(eta)
        residual = w * (p - y)
        gradient = np.concatenate(([residual.sum()], X.T @ residual)) + ridge * beta
        v = w * p * (1 - p)
        vX = v[:, None] * X
        hessian = np.empty((d + 1, d + 1))
        hessian[0, 0] = v.sum()
        hessian[0, 1:] = hessian[1:, 0] = vX.sum(axis=0)
        hessian[1:, 1:] = X.T @ vX
        hessian[np.diag_indices(d + 1)] += ridge + 1e-12 * max(float(v.sum()), 1e-300)
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-10 * (abs(value) + 1.0):  # the last step squares the error once more
            beta = beta - step
            return float(beta[0]), beta[1:], True
        size = 1.0
        while size > 1e-10:
            found, found_eta = objective(beta - size * step)
            if found <= value - 1e-4 * size * decrease:
                break
            size /= 2
        else:
            return float(beta[0]), beta[1:], False
        beta = beta - size * step
        value, eta = found, found_eta
    return float(beta[0]), beta[1:], False
