"""Kernels on ranked scores: AUC and its variance, Kolmogorov-Smirnov distance, Wilson's interval, logistic fits."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from relmark.core.shares import wilson

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def by_value(scores: FloatArray, hit: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the different scores descending, and how many people and hits each has."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    people = np.diff(starts, append=len(ordered))
    hits = np.add.reduceat(hit[order].astype(np.int64), starts)
    return ordered[starts], people, hits


def auc_and_variance(people: IntArray, hits: IntArray) -> tuple[float, float]:
    """Return the area under the ROC curve and its variance, from counts at descending scores.

    A hit beats a miss with a lower score, and half beats one with an equal score. Variance: DeLong, DeLong and
    Clarke-Pearson (1988), the placement values of hits and misses.
    """
    misses = people - hits
    m, n = int(hits.sum()), int(misses.sum())
    # Placement of a hit: the share of misses below it; of a miss: the share of hits above it. Ties count half.
    misses_below = n - np.cumsum(misses) + 0.5 * misses
    hits_above = np.cumsum(hits) - 0.5 * hits
    v10, v01 = misses_below / n, hits_above / m
    area = float(v10 @ hits) / m
    s10 = float(hits @ (v10 - area) ** 2) / (m - 1) if m > 1 else math.nan
    s01 = float(misses @ (v01 - area) ** 2) / (n - 1) if n > 1 else math.nan
    return area, s10 / m + s01 / n


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
