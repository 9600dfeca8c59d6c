"""The likelihood and predictions that BG/NBD and MBG/NBD share: Poisson purchases, and a coin at each to leave.

The purchase rate is lambda ~ Gamma(r, alpha), the chance to leave at each toss p ~ Beta(a, b). BG/NBD tosses after each
repeat purchase (Fader, Hardie and Lee 2005), MBG/NBD also after the first purchase (Batislam, Denizel and Filiztekin
2007). With `shift` 0 for BG/NBD and 1 for MBG/NBD, a customer who is alive has survived c = x + shift tosses; one who
left has survived c - 1 and lost the last one at t_x. With k = r + x

    L = Gamma(k) alpha^r / Gamma(r)  B(a, b + c) / B(a, b)  [ (alpha + T)^-k + a / (b + c - 1) (alpha + t_x)^-k ],

where the second term is left out for c = 0. All predictions follow from one positive rate: given that the customer is
alive at T, lambda ~ Gamma(k, M = alpha + T), p ~ Beta(a, b' = b + c), and purchases at T + s come at the rate
(k / M) E[(1 + p s / M)^-(k + 1)].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.polynomial.legendre import legval, legvander
from scipy.special import betainc, betaln, digamma, expit, gammaln, hyp2f1, xlogy, zeta

from relmark.core.checks import FloatArray
from relmark.core.newton import Terms
from relmark.ltv._cells import distinct, weights_by
from relmark.ltv._hypergeometric import (
    beta_discounted_by_trapezoid,
    beta_mean,
    beta_total_by_trapezoid,
    hard_for_scipy,
)
from relmark.ltv._quadrature import by_panels, chosen, in_blocks, unit_nodes

_BLOCK = 8_192


class Parameters(NamedTuple):
    """The four parameters, and 1 where the first purchase tosses the coin too.

    alpha, a and b may be one number for all rows, or one per row.
    """

    r: float
    alpha: float | FloatArray
    a: float | FloatArray
    b: float | FloatArray
    shift: int

    def at(self, rows: Any) -> Parameters:
        """Return the parameters of some rows."""
        alpha, a, b = (chosen(one, rows) for one in (self.alpha, self.a, self.b))
        return self._replace(alpha=alpha, a=a, b=b)

    @property
    def is_common(self) -> bool:
        """Whether all rows have the same parameters."""
        return all(isinstance(one, (int, float)) for one in (self.alpha, self.a, self.b))


class Data(NamedTuple):
    """A summary, ordered for the likelihood: counts by x, rows that tossed a coin, and T of those that did not."""

    x: FloatArray  # distinct frequencies
    x_weight: FloatArray
    tossed: tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]  # x, t_x, T, weight of rows with c > 0
    untossed: tuple[FloatArray, FloatArray]  # distinct T of rows with c = 0, and their weights


def arranged(x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray | None, shift: int) -> Data:
    """Return a summary's columns as the likelihood reads them.

    Customers with x = 0, over half of most customer bases, differ in T alone, so that each distinct T becomes one row.
    """
    frequencies, count = _counted(x, weight)
    zero = x == 0
    ages, age_count = _counted(T[zero], None if weight is None else weight[zero])
    some = ~zero
    rows = [x[some], t_x[some], T[some]]
    kept = None if weight is None else weight[some]
    if not shift:
        return Data(frequencies, count, (rows[0], rows[1], rows[2], kept), (ages, age_count))
    if kept is None and len(ages) < np.count_nonzero(zero):
        kept = np.ones(len(rows[0]))
    none = np.zeros(len(ages))
    joined = [np.concatenate(pair) for pair in zip(rows, (none, none, ages), strict=True)]
    kept = None if kept is None else np.concatenate([kept, age_count])
    return Data(frequencies, count, (joined[0], joined[1], joined[2], kept), (none[:0], none[:0]))


def _counted(values: FloatArray, weight: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    if weight is None:
        found, count = np.unique(values, return_counts=True)
        return found, count.astype(np.float64)
    found, place = distinct(values)
    return found, weights_by(place, weight, len(found))


def tabulated(parameters: FloatArray, data: Data, stages: FloatArray, shift: int) -> Terms:
    """Return the terms that depend on the distinct x alone, with derivatives (only the Hessian's upper triangle).

    They are ln Gamma(r + stages) - ln Gamma(r) + r ln alpha, and ln B(a, b + c) - ln B(a, b). The stages are those that
    the x purchases took: x itself where purchases come at random.
    """
    r, alpha, a, b = parameters.tolist()
    n = data.x_weight
    total = n.sum()
    c = data.x + shift
    g, H = np.zeros(4), np.zeros((4, 4))
    value = float(n @ (gammaln(r + stages) - gammaln(r))) + total * r * np.log(alpha)
    g[0] = n @ (digamma(r + stages) - digamma(r)) + total * np.log(alpha)
    g[1] = total * r / alpha
    H[0, 0] = n @ (zeta(2.0, r + stages) - zeta(2.0, r))
    H[0, 1] = total / alpha
    H[1, 1] = -total * r / alpha**2
    value += float(n @ (gammaln(a + b) - gammaln(a + b + c) + gammaln(b + c) - gammaln(b)))
    both = n @ (digamma(a + b) - digamma(a + b + c))
    g[2] = both
    g[3] = both + n @ (digamma(b + c) - digamma(b))
    bend = n @ (zeta(2.0, a + b) - zeta(2.0, a + b + c))
    H[2, 2] = H[2, 3] = bend
    H[3, 3] = bend + n @ (zeta(2.0, b + c) - zeta(2.0, b))
    return value, g, H


def mirrored(H: FloatArray) -> FloatArray:
    """Return the whole Hessian of four parameters from one whose upper triangle was filled."""
    H[1, 0], H[3, 2], H[2, 0], H[3, 0], H[2, 1], H[3, 1] = H[0, 1], H[2, 3], H[0, 2], H[0, 3], H[1, 2], H[1, 3]
    return H


def likelihood(parameters: FloatArray, data: Data, shift: int) -> Terms:
    """Return the log-likelihood with its gradient and Hessian in (r, alpha, a, b)."""
    r, alpha, a, b = parameters.tolist()
    value, g, H = tabulated(parameters, data, data.x, shift)
    ages, weight = data.untossed
    if len(ages):  # c = 0: the bracket is (alpha + T)^-r
        M = alpha + ages
        value -= r * float(weight @ np.log(M))
        g[0] -= weight @ np.log(M)
        first = float(weight @ (1.0 / M))
        g[1] -= r * first
        H[0, 1] -= first
        H[1, 1] += r * float(weight @ (1.0 / (M * M)))
    rows = data.tossed
    for low in range(0, len(rows[0]), _BLOCK):
        part = slice(low, low + _BLOCK)
        value += _bracket(
            Parameters(r, alpha, a, b, shift),
            rows[0][part],
            rows[1][part],
            rows[2][part],
            None if rows[3] is None else rows[3][part],
            g,
            H,
        )
    return value, g, mirrored(H)


def _in_blocks(function: Callable[..., FloatArray], m: Parameters, *columns: FloatArray) -> FloatArray:
    """Return a rowwise function of the parameters and of columns, computed block by block."""
    if m.is_common:
        return in_blocks(lambda *block: function(m, *block), *columns)
    rows: Any = np.arange(len(columns[0]))
    return in_blocks(lambda some, *block: function(m.at(some), *block), rows, *columns)


def _bracket(
    m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray, w: FloatArray | None, g: FloatArray, H: FloatArray
) -> float:
    """Add ln[(alpha + T)^-k + a / (b + c - 1) (alpha + t_x)^-k] to g and H, and return its sum.

    It is -k ln M + softplus(u), u = ln a - ln(b + c - 1) + k D, D = ln(M / (alpha + t_x)); P(dead) = 1 / (1 + e^-u).
    """
    k, e = m.r + x, m.b + (x + (m.shift - 1.0))
    M, t = m.alpha + T, m.alpha + t_x
    log_M = np.log(M)
    D = log_M - np.log(t)
    u = k * D
    u += np.log(m.a / e)
    small = np.exp(-np.abs(u))
    p = np.where(u > 0, 1.0, small) / (1.0 + small)
    value = np.maximum(u, 0.0) + np.log(1.0 + small) - k * log_M
    inv_M, inv_t = 1.0 / M, 1.0 / t
    E = inv_M - inv_t  # dD / d alpha
    inv_e = 1.0 / e
    q = p * (1.0 - p)
    if w is not None:
        value, p, q, log_M, inv_M = value * w, p * w, q * w, log_M * w, inv_M * w
    kE = k * E
    qD, qE, qe = q * D, q * kE, q * inv_e
    dead = float(p.sum())
    pE = float(p @ E)
    g[0] += float(p @ D) - float(log_M.sum())
    g[1] += float(p @ kE) - float(k @ inv_M)
    g[2] += dead / m.a
    g[3] -= float(p @ inv_e)
    H[0, 0] += float(qD @ D)
    H[0, 1] += float(qD @ kE) + pE - float(inv_M.sum())
    H[0, 2] += float(qD.sum()) / m.a
    H[0, 3] -= float(qD @ inv_e)
    # second derivatives of D in alpha are 1/t^2 - 1/M^2 = -E (1/M + 1/t)
    curve = kE * (1.0 / M + inv_t)
    H[1, 1] += float(qE @ kE) - float(p @ curve) + float((k * inv_M) @ (1.0 / M))
    H[1, 2] += float(qE.sum()) / m.a
    H[1, 3] -= float(qE @ inv_e)
    H[2, 2] += (float(q.sum()) - dead) / m.a**2
    H[2, 3] -= float(qe.sum()) / m.a
    H[3, 3] += float(qe @ inv_e) + float((p * inv_e) @ inv_e)
    return float(value.sum())


def alive(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return P(alive at T) = 1 / (1 + e^u), with u as in the likelihood; 1 where no coin was tossed."""
    c = x + m.shift
    tossed = c > 0
    e = np.where(tossed, m.b + (c - 1.0), 1.0)  # in this order, since b may be far below 1
    u = np.log(m.a) - np.log(e) + (m.r + x) * np.log1p((T - t_x) / (m.alpha + t_x))
    return np.where(tossed, expit(-u), 1.0)


def survival(m: Parameters, x: FloatArray, T: FloatArray, s: FloatArray) -> FloatArray:
    """Return P(alive at T + s | alive at T) = E[e^(-lambda p s)] = E[(1 + p s / M)^-k]."""
    return _in_blocks(lambda m, x, T, s: beta_mean(m.r + x, m.a, m.b + x + m.shift, s / (m.alpha + T)), m, x, T, s)


def rate(m: Parameters, x: FloatArray, T: FloatArray, s: FloatArray) -> FloatArray:
    """Return the rate of purchases at T + s given alive at T, for arrays that broadcast."""
    k, M = m.r + x, m.alpha + T
    return k / M * beta_mean(k + 1.0, m.a, m.b + x + m.shift, s / M)


def expected(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
    """Return the purchases expected in (T, T + t] given alive at T: the integral of the rate.

    Euler's closed form, with c = a + b' - 1 and z = t / (M + t),

        c / (a - 1) (1 - (1 - z)^(a - 1) 2F1(c - k, a - 1; c; z)),

    subtracts almost equal numbers close to a = 1, for short horizons and at c = 0: there, and where scipy's 2F1 is
    inaccurate, it is E[(1 - (1 + p t / M)^-k) / p], integrated over p.
    """
    return _in_blocks(_expected, m, x, T, t)


def _expected(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
    k, M = m.r + x, m.alpha + T
    c = m.a + m.b + x + (m.shift - 1.0)
    z = t / (M + t)
    out = np.empty(len(x), dtype=np.float64)
    hard = hard_for_scipy(k + 1.0, m.a, c - k, z) | (np.abs(c) < 1e-6) | (np.abs(m.a - 1.0) < 1e-7)
    if not hard.all():
        with np.errstate(all="ignore"):
            gap = 1.0 - np.exp((1.0 - m.a) * np.log1p(t / M)) * hyp2f1(c - k, m.a - 1.0, c, np.where(hard, 0.0, z))
            out = c / (m.a - 1.0) * gap
        hard |= ~(np.abs(gap) > 1e-3) | ~np.isfinite(out) | (out < 0)
    out[t == 0] = 0.0
    hard &= t > 0
    if hard.any():
        own = m.at(hard)
        out[hard] = beta_total_by_trapezoid(k[hard], own.a, (own.b + m.shift) + x[hard], (t / M)[hard])
    return out


def discounted(
    m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray, delta: float, start: FloatArray | None = None
) -> FloatArray:
    """Return the integral of e^(-delta s) rate(s) over (start, t) given alive at T, by quadrature in y = ln(1 + s / M).

    Panels are such that the flow falls by a factor of e^15 at most over each, and are shorter where many purchases face
    few tosses (large r). Where the flow is too steep for that, the result is the mean over p of exponential integrals.
    Short steps, of a few percent of the age and with little fall, take 4 or 6 nodes instead of 16.
    """
    start = np.zeros(len(x)) if start is None else start
    if delta > 0.0:  # beyond e^-45 everything is negligible
        t = np.minimum(t, start + 45.0 / delta)
    M, k = m.alpha + T, m.r + x
    steep = _steep(m, k, delta * (t - start))
    if steep.any():
        out = np.empty(len(x), dtype=np.float64)
        own = m.at(steep)
        out[steep] = beta_discounted_by_trapezoid(
            k[steep], own.a, own.b + m.shift + x[steep], M[steep], start[steep], t[steep], delta
        )
        if not steep.all():
            out[~steep] = discounted(m.at(~steep), x[~steep], T[~steep], t[~steep], delta, start[~steep])
        return out
    begin = np.log1p(start / M)
    reach = np.log1p(t / M) - begin
    fall = _fall(m, k, reach, delta * (t - start))
    need = _panels(m, reach, fall)
    widest, steepest = need.max(initial=0.0), fall.max(initial=0.0)
    count = 4 if widest < 0.12 and steepest < 0.4 else 6 if widest < 0.2 and steepest < 1.5 else 16

    def integral(rows: npt.NDArray[np.int64], panels: int) -> FloatArray:
        node, weight = unit_nodes(count, panels)
        y = begin[rows, None] + reach[rows, None] * node
        s = M[rows, None] * np.expm1(y)
        flow = rate(m.at((rows, None)), x[rows, None], T[rows, None], s) * np.exp(y - delta * s)
        result: FloatArray = M[rows] * reach[rows] * (flow @ weight)
        return result

    return by_panels(np.ceil(need).astype(np.int64), integral, np.empty(len(x), dtype=np.float64), rows=512)


def _steep(m: Parameters, k: FloatArray, fade: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where the flow is too steep for few nodes, over a time in which the discount is a factor e^-fade."""
    result: npt.NDArray[np.bool_] = (k > 10.0) & ((_surplus(m) > 10.0) | (m.a > 20.0)) & (fade > 1e-3)
    return result


def _fall(m: Parameters, k: FloatArray, reach: FloatArray, fade: FloatArray) -> FloatArray:
    """Return a bound on the fall of the flow's logarithm over a reach in y with a discount of e^-fade."""
    result: FloatArray = fade + np.minimum(m.a, k + 1.0) * reach
    return result


def _panels(m: Parameters, reach: FloatArray, fall: FloatArray) -> FloatArray:
    """Return how many panels of 16 nodes the flow needs over a reach in y, given its fall."""
    result: FloatArray = np.maximum(reach * np.maximum(1.0, np.sqrt(np.maximum(_surplus(m), 0.0)) / 2.5), fall / 15.0)
    return result


def _surplus(m: Parameters) -> FloatArray | float:
    return m.r - m.a - m.b - m.shift


def discounted_until(m: Parameters, x: FloatArray, T: FloatArray, ends: FloatArray, delta: float) -> FloatArray:
    """Return the integral of e^(-delta s) rate(s) over (0, t) for each of some ascending ends, shape (ends, rows).

    In y = ln(1 + s / M) the flow is analytic for |Im y| < pi, so that one Legendre series through 16 Gauss nodes
    (32 or 64 where the horizon is long compared with the age) gives it on the whole horizon. With the coefficients
    (2 n + 1) d_n its integral from -1 to v is the sum of (d_(n-1) - d_(n+1)) P_n(v), d_(-1) = d_0; at the horizon it
    is the Gauss sum itself. A row whose last d are not negligible, whose flow is steep, or whose first end is so close
    that the sum would cancel, is integrated step by step instead.
    """
    out = np.empty((len(x), len(ends)), dtype=np.float64)
    M, k = m.alpha + T, m.r + x
    stop = np.minimum(ends, 45.0 / delta)  # beyond e^-45 everything is negligible
    last, first = stop[-1], stop[stop > 0][:1].sum()
    reach, fade = np.log1p(last / M), np.full(len(x), delta * last)
    need = _panels(m, reach, _fall(m, k, reach, fade))
    series = (
        np.full(len(x), len(ends) > 1)
        & (need <= 4.0)
        & (reach > 1e-6)
        & (np.log1p(first / M) > 1e-4 * reach)
        & ~_steep(m, k, fade)
    )

    def integral(block: npt.NDArray[np.int64], panels: int) -> FloatArray:
        rows = smooth[block]
        node, project = _legendre(16 * panels)
        y = reach[rows, None] * node
        flow = rate(m.at((rows, None)), x[rows, None], T[rows, None], M[rows, None] * np.expm1(y))
        flow *= np.exp(y - (delta * M[rows, None]) * np.expm1(y))
        d = project @ flow.T
        close = np.abs(d[-2:]).max(axis=0) <= 1e-12 * d[0]
        term = np.zeros((len(d) + 1, len(rows)))
        term[1:] = d
        term[0] = d[0]
        term[:-2] -= d[1:]
        v = 2.0 * np.log1p(stop / M[rows, None]) / reach[rows, None] - 1.0
        reached = legval(v, term[:, :, None], tensor=False) * (0.5 * M * reach)[rows, None]
        reached[:, stop == 0.0] = 0.0
        series[rows[~close]] = False
        return np.maximum.accumulate(np.maximum(reached, 0.0), axis=1)

    smooth = np.flatnonzero(series)
    if len(smooth):
        out[smooth] = by_panels(np.ceil(need[smooth]).astype(np.int64), integral, out[smooth], rows=512)
    rest = np.flatnonzero(~series)
    if len(rest):
        many = np.repeat(x[rest], len(ends)), np.repeat(T[rest], len(ends)), np.tile(stop, len(rest))
        begin = np.tile(np.concatenate([[0.0], stop[:-1]]), len(rest))
        steps = discounted(m.at(np.repeat(rest, len(ends))), *many, delta, begin)
        out[rest] = np.cumsum(steps.reshape(len(rest), len(ends)), axis=1)
    return out.T


@lru_cache(maxsize=8)
def _legendre(count: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss nodes on (0, 1), and the matrix from values at them to d_n = integral of f(u) P_n(2 u - 1)."""
    node, weight = unit_nodes(count)
    project = legvander(2.0 * node - 1.0, count - 1).T * weight
    project.flags.writeable = False
    return node, project


def total(m: Parameters, x: FloatArray) -> FloatArray:
    """Return all purchases ever expected given alive at T: E[1 / p] = (a + b' - 1) / (a - 1), infinite for a <= 1."""
    above = m.a - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        finite = (m.a + m.b + x + (m.shift - 1.0)) / above
    result: FloatArray = np.where(np.greater(above, 0.0), finite, np.inf)
    return result


def probabilities(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
    """Return P(n purchases in (T, T + t] | alive at T), shape (rows, len(n)).

    This is Fader, Hardie and Lee (2005, eq. 4), averaged over the posterior: either n purchases after each of which the
    customer stays, or at least n purchases due of which the n-th is the last. P(at least n) is an incomplete beta
    function, so that nothing is subtracted.
    """
    k, M, b = m.r + x, m.alpha + T, m.b + x + m.shift
    z = t / (M + t)
    log_stay = -np.log1p(t / M)  # ln(M / (M + t))
    log_none = betaln(m.a, b)
    out = np.empty((len(x), len(n)), dtype=np.float64)
    for column, count in enumerate(n.tolist()):
        log_mass = gammaln(k + count) - gammaln(k) - gammaln(count + 1.0) + k * log_stay + xlogy(count, z)
        out[:, column] = np.exp(betaln(m.a, b + count) - log_none + log_mass)
        if count:
            last = np.exp(betaln(m.a + 1.0, b + count - 1.0) - log_none)
            out[:, column] += last * betainc(count, k, z)
    return out


def posterior_rate(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return E[lambda]: k / (alpha + T) for a customer who is alive, k / (alpha + t_x) for one who left at t_x."""
    now, k = alive(m, x, t_x, T), m.r + x
    return k * (now / (m.alpha + T) + (1.0 - now) / (m.alpha + t_x))
