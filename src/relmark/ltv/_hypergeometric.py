"""E[(1 + p q)^-K] for p ~ Beta(a, b): the one function behind BG/NBD, MBG/NBD and their discounted values.

It equals 2F1(K, a; a + b; -q), and by Pfaff's transformation (Abramowitz and Stegun 1972, 15.3.4)

    (1 + q)^-a 2F1(a, a + b - K; a + b; q / (1 + q)),

whose last argument lies in [0, 1) whatever the horizon is. scipy's 2F1 is good to 1e-13 there, but for two places:
close to 1 where K - a is a whole number or almost one (it subtracts two poles, and gives NaN on the whole number), and
where a + b - K is far below 0 (a long alternating sum). There the mean is integrated over logit p by the trapezoid
rule, which converges geometrically for such bell-shaped integrands (Trefethen and Weideman 2014).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, hyp2f1

FloatArray = npt.NDArray[np.float64]

_NEAR_ONE = 0.9  # where scipy changes to the expansion about 1
_NEAR_WHOLE = 1e-3
_ALTERNATING = -12.0
_NEGLIGIBLE = 40.0  # e^-40 = 4e-18
_BYTES = 8_000_000


def beta_mean(K: FloatArray | float, a: float, b: FloatArray | float, q: FloatArray | float) -> FloatArray:
    """Return E[(1 + p q)^-K], p ~ Beta(a, b), for arrays that broadcast; q may be 0 or very large."""
    K, b, q = np.broadcast_arrays(np.asarray(K, np.float64), np.asarray(b, np.float64), np.asarray(q, np.float64))
    total = a + b
    w = q / (1.0 + q)
    with np.errstate(all="ignore"):
        mean: FloatArray = np.exp(-a * np.log1p(q)) * hyp2f1(a, total - K, total, w)
    hard = hard_for_scipy(K, a, total - K, w) | ~np.isfinite(mean) | (mean <= 0)
    if hard.any():
        mean[hard] = beta_mean_by_trapezoid(K[hard], a, b[hard], q[hard])
    return mean


def hard_for_scipy(K: FloatArray, a: float, second: FloatArray, w: FloatArray) -> npt.NDArray[np.bool_]:
    """Tell where scipy's 2F1(a, second; a + b; w) loses digits."""
    gap = K - a
    return ((w > _NEAR_ONE) & (np.abs(gap - np.round(gap)) < _NEAR_WHOLE)) | (second < _ALTERNATING)


def beta_mean_by_trapezoid(K: FloatArray, a: float, b: FloatArray, q: FloatArray) -> FloatArray:
    """Return the same mean by the trapezoid rule in y = logit p, for arrays of one length.

    g(y) = a ln p + b ln(1 - p) - K ln(1 + p q) has one maximum, where (a - (a + b) p)(1 + p q) = K q p (1 - p); the sum
    runs from there to where g has fallen by 40 on either side, with steps of half the width of the peak.
    """
    out = np.empty(len(K), dtype=np.float64)
    low, high, step = _bounds(K, a, b, q)
    count = np.ceil((high - low) / step).astype(np.int64) + 1
    order = np.argsort(count, kind="stable")
    start = 0
    while start < len(order):
        size = 1
        while start + size < len(order) and (size + 1) * count[order[start + size]] * 8 <= _BYTES:
            size += 1
        rows = order[start : start + size]
        nodes = np.arange(int(count[rows].max()))
        h = ((high - low) / nodes[-1])[rows] if len(nodes) > 1 else step[rows]
        y = low[rows, None] + h[:, None] * nodes
        out[rows] = h * np.exp(_log_integrand(y, K[rows, None], a, b[rows, None], q[rows, None])).sum(axis=1)
        start += size
    return out


def _log_integrand(y: FloatArray, K: FloatArray, a: float, b: FloatArray, q: FloatArray) -> FloatArray:
    log_p, log_1p = -np.logaddexp(0.0, -y), -np.logaddexp(0.0, y)
    result: FloatArray = a * log_p + b * log_1p - K * np.log1p(q * np.exp(log_p)) - betaln(a, b)
    return result


def _bounds(K: FloatArray, a: float, b: FloatArray, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where the integrand is negligible on either side of its peak, and a step that resolves the peak."""
    # (a - (a + b) p)(1 + p q) - K q p (1 - p) = A p^2 + B p + a, which falls from a at p = 0 to -b (1 + q) at p = 1.
    A, B = q * (K - a - b), a * q - (a + b) - K * q
    root = np.sqrt(np.maximum(B * B - 4.0 * A * a, 0.0))
    p = 2.0 * a / (-B + root)  # B is negative, or A is: this form never subtracts
    p = np.clip(p, 1e-300, 1.0 - 1e-16)
    peak = np.log(p) - np.log1p(-p)
    top = _log_integrand(peak, K, a, b, q)
    bend = p * (1 - p) * ((a + b) + K * q * (1.0 - 2.0 * p - q * p * p) / (1.0 + q * p) ** 2)
    step = np.minimum(0.4, 0.5 / np.sqrt(np.maximum(bend, 1e-3)))
    ends = []
    for side in (-1.0, 1.0):
        inner = np.zeros(len(K))
        outer = np.full(len(K), 1.0)
        for _ in range(60):
            within = top - _log_integrand(peak + side * outer, K, a, b, q) < _NEGLIGIBLE
            if not within.any():
                break
            inner = np.where(within, outer, inner)
            outer = np.where(within, outer * 2.0, outer)
        for _ in range(6):
            middle = 0.5 * (inner + outer)
            within = top - _log_integrand(peak + side * middle, K, a, b, q) < _NEGLIGIBLE
            inner, outer = np.where(within, middle, inner), np.where(within, outer, middle)
        ends.append(peak + side * outer)
    return ends[0], ends[1], step
