"""E[(1 + p q)^-K] for p ~ Beta(a, b): the one function behind BG/NBD, MBG/NBD and their discounted values.

It equals 2F1(K, a; a + b; -q), and by Pfaff's transformation (Abramowitz and Stegun 1972, 15.3.4)

    (1 + q)^-a 2F1(a, a + b - K; a + b; q / (1 + q)),

whose last argument lies in [0, 1) for every horizon. scipy's 2F1 is accurate to 1e-13 there, except in two places:
close to 1 if K - a is a whole number or almost one (it subtracts two poles) or a parameter is large, and wherever
a + b - K is far below 0 (a long alternating sum). There the mean is integrated over logit p by the trapezoid rule,
which converges geometrically for such bell-shaped integrands (Trefethen and Weideman 2014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, hyp2f1

from relmark.core.checks import FloatArray, IntArray

_NEAR_ONE = 0.9  # where scipy changes to the expansion about 1
_NEAR_WHOLE = 1e-3
_ALTERNATING = -12.0
_LARGE = 10.0
_NEGLIGIBLE = 42.0


def beta_mean(K: FloatArray | float, a: FloatArray | float, b: FloatArray | float, q: FloatArray | float) -> FloatArray:
    """Return E[(1 + p q)^-K], p ~ Beta(a, b), for arrays that broadcast; q may be 0 or very large."""
    K, b, q = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (K, b, q)))
    total = a + b
    w = q / (1.0 + q)
    hard = hard_for_scipy(K, a, total - K, w)
    with np.errstate(all="ignore"):
        # scipy takes milliseconds to return NaN, so rows whose result will not be used get a harmless argument
        mean: FloatArray = np.exp(-a * np.log1p(q)) * hyp2f1(a, total - K, total, np.where(hard, 0.0, w))
    hard |= ~np.isfinite(mean) | (mean <= 0)
    if hard.any():
        own = a if isinstance(a, (int, float)) else np.broadcast_to(a, K.shape)[hard]
        mean[hard] = beta_mean_by_trapezoid(K[hard], own, b[hard], q[hard])
    return mean


def hard_for_scipy(K: FloatArray, a: FloatArray | float, second: FloatArray, w: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where scipy's 2F1(a, second; a + b; w) loses some or all digits."""
    gap = K - a
    weak = (np.abs(gap - np.round(gap)) < _NEAR_WHOLE) | (np.maximum(a, second) > _LARGE)
    return ((w > _NEAR_ONE) & weak) | (second < _ALTERNATING)


def beta_mean_by_trapezoid(K: FloatArray, a: FloatArray | float, b: FloatArray, q: FloatArray) -> FloatArray:
    """Return E[(1 + p q)^-K] by the trapezoid rule, for arrays of one length."""

    def log_f(log_p: FloatArray, rows: IntArray) -> FloatArray:
        result: FloatArray = -K[rows, None] * np.log1p(q[rows, None] * np.exp(log_p))
        return result

    return _over_logit(a, b, K, q, log_f)


def beta_total_by_trapezoid(k: FloatArray, a: FloatArray | float, b: FloatArray, q: FloatArray) -> FloatArray:
    """Return E[(1 - (1 + p q)^-k) / p]: the purchases at rate (k / M)(1 + p s / M)^-(k + 1) until s = q M."""

    def log_f(log_p: FloatArray, rows: IntArray) -> FloatArray:
        result: FloatArray = np.log(-np.expm1(-k[rows, None] * np.log1p(q[rows, None] * np.exp(log_p)))) - log_p
        return result

    return _over_logit(a, b, k, q, log_f)


def beta_discounted_by_trapezoid(
    k: FloatArray,
    a: FloatArray | float,
    b: FloatArray,
    M: FloatArray,
    start: FloatArray,
    t: FloatArray,
    delta: float,
) -> FloatArray:
    """Return E of the integral of e^(-delta s) (k / M)(1 + p s / M)^-(k + 1) over (start, t), for k above 10 or so.

    From s on it is (k / p) e^(-delta s) (1 + p s / M)^-k e^c E_{k+1}(c), c = delta (M / p + s), with the exponential
    integral E of order k + 1.
    """

    def log_f(log_p: FloatArray, rows: IntArray) -> FloatArray:
        p, kk, MM = np.exp(log_p), k[rows, None], M[rows, None]

        def from_on(s: FloatArray) -> FloatArray:
            ahead: FloatArray = kk / p * np.exp(-delta * s - kk * np.log1p(p * s / MM))
            return ahead * scaled_exponential_integral(kk + 1.0, delta * (MM / p + s))

        with np.errstate(divide="ignore"):  # both are 0 where p is so large that hardly anybody is left at the start
            result: FloatArray = np.log(from_on(start[rows, None]) - from_on(t[rows, None]))
        return result

    return _over_logit(a, b, k, (1.0 / delta + t) / M, log_f)


def scaled_exponential_integral(order: FloatArray, c: FloatArray) -> FloatArray:
    """Return e^c E_order(c) for orders above 10 or so and c >= 0, by its continued fraction.

    Abramowitz and Stegun (1972, 5.1.22), contracted: 1 / (c + n - n / (c + n + 2 - 2 (n + 1) / (c + n + 4 - ...))).
    """
    fraction = np.zeros(np.broadcast_shapes(order.shape, c.shape))
    for j in range(60, 0, -1):
        fraction = j * (order + (j - 1.0)) / (c + order + 2.0 * j - fraction)
    result: FloatArray = 1.0 / (c + order - fraction)
    return result


def _over_logit(
    a: FloatArray | float,
    b: FloatArray,
    K: FloatArray,
    q: FloatArray,
    log_f: Callable[[FloatArray, IntArray], FloatArray],
) -> FloatArray:
    """Return E[f(p)], p ~ Beta(a, b), over y = logit p, for f that falls in p no faster than (1 + p q)^-K.

    The integrand has one maximum. Three times, its range is narrowed to where it is within e^-42 of the largest value
    on a grid; then it is summed with steps that resolve the narrowest peak these parameters allow. Where p is within
    rounding of 0 or 1 the integrand is e^(a y) or e^(-b y): the sum ends there, and the rest of it is geometric.
    """
    constant = betaln(a, b)
    a = np.broadcast_to(np.asarray(a, dtype=np.float64), K.shape)

    def log_integrand(y: FloatArray, rows: IntArray) -> FloatArray:
        log_p, log_1p = -np.logaddexp(0.0, -y), -np.logaddexp(0.0, y)
        return a[rows, None] * log_p + b[rows, None] * log_1p + log_f(log_p, rows) - constant[rows, None]

    low, high = -38.0 - np.log1p(b + K * q), 38.0 + np.log1p(a + K)
    grid = np.linspace(0.0, 1.0, 65)
    for rows in _blocks(np.arange(len(K)), 1_024):
        at = np.arange(len(rows))
        for _ in range(3):
            y = low[rows, None] + (high - low)[rows, None] * grid
            g = log_integrand(y, rows)
            keep = g > g.max(axis=1)[:, None] - _NEGLIGIBLE
            first, last = keep.argmax(axis=1), 64 - keep[:, ::-1].argmax(axis=1)
            low[rows], high[rows] = y[at, np.maximum(first - 1, 0)], y[at, np.minimum(last + 1, 64)]
    # The error is e^(-pi^2 / step): the strip without singularities is at least pi / 2 wide on either side.
    step = np.minimum(0.22, 0.4 / np.sqrt(np.minimum(a, b + K)))
    count = np.ceil((high - low) / step).astype(np.int64) + 1
    out = np.empty(len(K), dtype=np.float64)
    for rows in _blocks(np.argsort(count, kind="stable"), 256):
        nodes = np.linspace(0.0, 1.0, int(count[rows].max()))
        width = (high - low)[rows]
        h = width / (len(nodes) - 1)
        f = np.exp(log_integrand(low[rows, None] + width[:, None] * nodes, rows))
        left, right = (np.expm1(np.minimum(slope * h, 700.0)) for slope in (a[rows], b[rows]))
        out[rows] = h * (f.sum(axis=1) + f[:, 0] / left + f[:, -1] / right)
    return out


def _blocks(rows: IntArray, size: int) -> Iterator[IntArray]:
    """Yield the rows, so many at a time."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
