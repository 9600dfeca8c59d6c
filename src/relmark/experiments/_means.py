"""Kernels: two estimated means with their covariance, and what follows from them, over arrays of comparisons.

Means, ratios and regression-adjusted means all become a `Pair`: mu1 and mu0 (treatment and control), the variances v11
and v00 of these estimates, their covariance v10, and Satterthwaite's degrees of freedom. The difference gets Student's
interval; the relative effect gets Fieller's, one on the log scale, or the delta method's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from relmark.core.checks import BoolArray, FloatArray

COLLINEAR = 1e-10  # the share of a covariate's variance that the others do not explain: below this, it adds nothing
EXACT = 1e-13  # the share of a variance below which only rounding is left
NORMAL_FROM = 1e7  # degrees of freedom from which Student's t is the normal to 7 digits


class Pair(NamedTuple):
    """Estimated means of treatment (1) and control (0), shape (s,) each, with their variances and covariance."""

    mu1: FloatArray
    mu0: FloatArray
    v11: FloatArray
    v00: FloatArray
    v10: FloatArray
    df: FloatArray

    @property
    def variance(self) -> FloatArray:
        """The variance of mu1 - mu0."""
        return np.maximum(self.v11 + self.v00 - 2 * self.v10, 0.0)


def t_quantile(alpha: FloatArray, df: FloatArray) -> FloatArray:
    """Return the two-sided critical value of Student's t."""
    alpha, df = np.broadcast_arrays(np.asarray(alpha, dtype=np.float64), np.asarray(df, dtype=np.float64))
    out = np.asarray(-ndtri(alpha / 2))
    small = df < NORMAL_FROM
    if small.any():
        out = out.copy()
        out[small] = -stdtrit(df[small], alpha[small] / 2)
    return np.where(np.isnan(df), np.nan, out)


def t_tail(t: FloatArray, df: FloatArray) -> FloatArray:
    """Return the two-sided p-value of Student's t."""
    return 2 * np.where(df < NORMAL_FROM, stdtr(np.minimum(df, NORMAL_FROM), -np.abs(t)), ndtr(-np.abs(t)))


def t_of_normal(z: FloatArray, df: FloatArray) -> FloatArray:
    """Return the value that Student's t exceeds with the same probability as the normal exceeds z."""
    z, df = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(df, dtype=np.float64))
    out = z.copy()
    small = (df > 0) & (df < NORMAL_FROM) & np.isfinite(z)
    out[small] = -stdtrit(df[small], ndtr(-z[small]))
    return np.where(df > 0, out, np.inf)


def normal_of_t(t: FloatArray, df: FloatArray) -> FloatArray:
    """Return the value that the normal exceeds with the same probability as Student's t exceeds t, with its sign."""
    t, df = np.broadcast_arrays(np.asarray(t, dtype=np.float64), np.asarray(df, dtype=np.float64))
    out = np.abs(t)
    small = (df > 0) & (df < NORMAL_FROM)
    out[small] = -ndtri(np.maximum(stdtr(df[small], -np.abs(t[small])), 1e-300))
    return np.where(df > 0, np.copysign(out, t), 0.0)


def satterthwaite(*parts: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return the degrees of freedom of a sum of estimated variances, each with its own."""
    total: FloatArray = np.zeros_like(parts[0][0])
    below: FloatArray = np.zeros_like(parts[0][0])
    for v, f in parts:
        total = total + v
        below = below + np.where(v > 0, v * v / np.where(f > 0, f, np.nan), 0.0)
    return np.asarray(np.divide(total**2, below, out=np.full(np.shape(total), np.nan), where=below > 0))


def lent(s1: FloatArray, s0: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return two arms' variances; an arm without any variation gets the variance of the other arm.

    A variance of zero among few people shows that they are few, and not that the mean is known exactly: if one buyer in
    twenty is expected, a control group of ten often has none.
    """
    return np.where((s1 == 0) & (s0 > 0), s0, s1), np.where((s0 == 0) & (s1 > 0), s1, s0)


def welch(n1: FloatArray, m1: FloatArray, s1: FloatArray, n0: FloatArray, m0: FloatArray, s0: FloatArray) -> Pair:
    """Return the pair of plain means from counts, means and variances."""
    s1, s0 = lent(s1, s0)
    v11, v00 = s1 / np.where(n1 > 0, n1, np.nan), s0 / np.where(n0 > 0, n0, np.nan)
    return Pair(m1, m0, v11, v00, np.zeros_like(v11), satterthwaite((v11, n1 - 1), (v00, n0 - 1)))


def adjusted(
    n: tuple[FloatArray, FloatArray],
    y: tuple[FloatArray, FloatArray],
    x: tuple[FloatArray, FloatArray],
    cov: tuple[FloatArray, FloatArray],
) -> tuple[Pair, BoolArray]:
    """Return means adjusted for q covariates by a regression within each arm, and which covariates were used (s, q).

    Parameters
    ----------
    n, y : pairs of arrays, shape (s,)
        Count and mean of the outcome, control first.
    x : pair of arrays, shape (s, q)
        Means of the covariates.
    cov : pair of arrays, shape (s, 1 + q, 1 + q)
        Sample covariances, the outcome first.

    Notes
    -----
    With theta_a the slopes of arm a and xbar the covariates' mean over both arms, mu_a = ybar_a - theta_a' (xbar_a -
    xbar) (Lin 2013, eq. 3; Deng et al. 2013 with one slope per arm). In arm a, y = theta_a' x + e with e uncorrelated
    with x, so that mu_a = ebar_a + theta_a' xbar. The errors of ebar are independent between arms, and those of xbar
    are shared, which a relative effect must take into account:
    cov(mu_a, mu_b) = [a = b] s2_e,a (1 / n_a + d_a' Sxx_a^-1 d_a) + theta_a' V(xbar) theta_b, with d_a = xbar_a - xbar
    and V(xbar) = sum_a w_a^2 C_xx,a / n_a, w_a = n_a / n. s2_e has n_a - 1 - q degrees of freedom. A covariate whose
    slope cannot be estimated in both arms is left out of both (`estimable`).
    """
    used = estimable(n, cov)
    q = used.sum(axis=1)
    together = n[0] + n[1]
    weight = [np.where(together > 0, k / np.maximum(together, 1), np.nan) for k in n]
    center = weight[0][:, None] * x[0] + weight[1][:, None] * x[1]
    shares = [(w * w) / np.maximum(k, 1) for w, k in zip(weight, n, strict=True)]
    spread = shares[0][:, None, None] * cov[0][:, 1:, 1:] + shares[1][:, None, None] * cov[1][:, 1:, 1:]
    spread = np.where(used[:, :, None] & used[:, None, :], spread, 0.0)
    s2 = []
    mu, leverage, theta = [], [], []
    for k, m, z, c in zip(n, y, x, cov, strict=True):
        slope, inverse = _slopes(c, used)
        d = np.where(used, z - center, 0.0)
        explained = np.einsum("sq,sq->s", slope, np.where(used, c[:, 1:, 0], 0.0))
        df = k - 1 - q
        residual = c[:, 0, 0] - explained
        residual = np.where(residual > EXACT * c[:, 0, 0], residual, np.where(np.isnan(residual), np.nan, 0.0))
        s2.append(residual * (k - 1) / np.where(df > 0, df, np.nan))
        leverage.append(np.einsum("sq,sqr,sr->s", d, inverse, d) / np.maximum(k - 1, 1))
        mu.append(m - np.einsum("sq,sq->s", slope, d))
        theta.append(slope)
    # Only an arm without variation gets the other's variance: one that covariates explain exactly is known exactly.
    still = [c[:, 0, 0] == 0 for c in cov]
    borrowed = np.where(still[0] & ~still[1], s2[1], s2[0]), np.where(still[1] & ~still[0], s2[0], s2[1])
    error = [v * (1 / np.maximum(k, 1) + h) for v, k, h in zip(borrowed, n, leverage, strict=True)]
    t0, t1 = theta
    shared = [np.einsum("sq,sqr,sr->s", a, spread, b) for a, b in ((t1, t1), (t0, t0), (t1, t0))]
    apart = np.maximum(shared[0] + shared[1] - 2 * shared[2], 0.0)
    df = satterthwaite((error[1], n[1] - 1 - q), (error[0], n[0] - 1 - q), (apart, together - 2))
    return Pair(mu[1], mu[0], error[1] + shared[0], error[0] + shared[1], shared[2], df), used


def estimable(n: tuple[FloatArray, FloatArray], cov: tuple[FloatArray, FloatArray]) -> BoolArray:
    """Return which covariates have a slope in both arms, shape (s, q); of several equivalent ones, only the first.

    Covariates are taken in their order. One is left out if, in either arm, it follows from those before it (Gaussian
    elimination on correlations, so that units do not matter), or if the arm has too few people for one more slope.
    """
    parts = []
    for c in cov:
        inner = c[:, 1:, 1:]
        sd = np.sqrt(np.maximum(np.diagonal(inner, axis1=1, axis2=2), 0.0))
        known = np.isfinite(inner).all(axis=2) & (sd > 0)
        scale = np.where(known, sd, 1.0)
        both = known[:, :, None] & known[:, None, :]
        parts.append((np.where(both, inner / (scale[:, :, None] * scale[:, None, :]), 0.0), known))
    q = cov[0].shape[-1] - 1
    used: BoolArray = np.zeros((len(n[0]), q), dtype=np.bool_)
    rest = [correlation.copy() for correlation, _ in parts]
    fewest = np.minimum(n[0], n[1])
    for j in range(q):
        good = fewest - 2 - used.sum(axis=1) >= 1
        for left, (_, known) in zip(rest, parts, strict=True):
            good &= known[:, j] & (left[:, j, j] > COLLINEAR)
        used[:, j] = good
        for left in rest if j < q - 1 else ():
            pivot = np.where(good, left[:, j, j], 1.0)
            away = left[:, :, j, None] * left[:, j, None, :] / pivot[:, None, None]
            np.subtract(left, away, out=left, where=good[:, None, None])
    return used


def _slopes(cov: FloatArray, used: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return the regression slopes (s, q) on the covariates that are used, and the inverse of their covariance."""
    inner = cov[:, 1:, 1:]
    both = used[:, :, None] & used[:, None, :]
    with_outcome = np.where(used, cov[:, 1:, 0], 0.0)
    if inner.shape[-1] == 1:  # one covariate needs no linear algebra
        inverse = np.where(both, 1 / np.where(both, inner, 1.0), 0.0)
        return inverse[:, :, 0] * with_outcome, inverse
    sd = np.sqrt(np.where(used, np.diagonal(inner, axis1=1, axis2=2), 1.0))
    identity = np.eye(inner.shape[-1])
    scale = sd[:, :, None] * sd[:, None, :]
    inverse = np.where(both, np.linalg.inv(np.where(both, inner / scale, identity)) / scale, 0.0)
    return np.einsum("sqr,sr->sq", inverse, with_outcome), inverse


def difference_interval(pair: Pair, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Student's limits of mu1 - mu0."""
    half = t_quantile(alpha, pair.df) * np.sqrt(pair.variance)
    d = pair.mu1 - pair.mu0
    return d - half, d + half


def fieller(pair: Pair, critical: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Return Fieller's limits of mu1 / mu0 - 1, and where the set is unbounded (limits are then infinite).

    The set of rho with (mu1 - rho mu0)^2 <= c^2 (v11 - 2 rho v10 + rho^2 v00): Fieller (1954), eq. 3.
    """
    c2 = critical * critical
    a = pair.mu0**2 - c2 * pair.v00
    b = pair.mu1 * pair.mu0 - c2 * pair.v10
    c = pair.mu1**2 - c2 * pair.v11
    unbounded = ~(a > 0) & np.isfinite(a)
    safe = np.where(a > 0, a, np.nan)
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    low, high = (b - root) / safe - 1, (b + root) / safe - 1
    return np.where(unbounded, -np.inf, low), np.where(unbounded, np.inf, high), unbounded


def log_ratio(pair: Pair, critical: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return limits of mu1 / mu0 - 1 by the normal distribution of the log of the ratio; both means must be above 0."""
    good = (pair.mu1 > 0) & (pair.mu0 > 0)
    m1, m0 = np.where(good, pair.mu1, np.nan), np.where(good, pair.mu0, np.nan)
    se = np.sqrt(np.maximum(pair.v11 / m1**2 + pair.v00 / m0**2 - 2 * pair.v10 / (m1 * m0), 0.0))
    ratio = m1 / m0
    return ratio * np.exp(-critical * se) - 1, ratio * np.exp(critical * se) - 1


def delta_ratio(pair: Pair, critical: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return limits of mu1 / mu0 - 1 by the delta method."""
    m0 = np.where(pair.mu0 != 0, pair.mu0, np.nan)
    ratio = pair.mu1 / m0
    half = critical * np.sqrt(np.maximum(pair.v11 - 2 * ratio * pair.v10 + ratio**2 * pair.v00, 0.0)) / np.abs(m0)
    return ratio - 1 - half, ratio - 1 + half
