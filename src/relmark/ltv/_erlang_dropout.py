"""The likelihood and predictions that BG/CNBD-k and MBG/CNBD-k share: regular purchases, and a coin at each to leave.

The time between two purchases consists of k stages of rate lambda each: it has an Erlang distribution, more regular the
larger k is. As in BG/NBD, lambda ~ Gamma(r, alpha) and the chance p to leave ~ Beta(a, b) (Platzer and Reutterer 2016).
With `shift` 1 where the first purchase tosses the coin too, c = x + shift tosses, K = r + k x, M = alpha + T, and
s = T - t_x the time since the last purchase, in which a living customer has gone through j = 0 .. k - 1 stages,

    L = e^((k - 1) log_gaps) / Gamma(k)^x  Gamma(K) alpha^r / Gamma(r)  B(a, b + c) / B(a, b)
        M^-K [S + a / (b + c - 1) (M / (alpha + t_x))^K],     S = sum_j (K)_j / j! v^j,  v = s / M,

where the second term is left out for c = 0. The terms of S are proportional to the chances of the stages, given that
the customer is alive; at stage j, lambda ~ Gamma(K + j, M) and p ~ Beta(a, b' = b + c).

A prediction for (T, T + t] is a sum over the number i of stages ahead, which has a negative binomial distribution: with
z = t / (M + t), f(i) = (K + j)_i / i! z^i (1 - z)^(K + j); they bring n = floor((i + j) / k) purchases. The expected
number of purchases is the mean of W_n = w_1 + ... + w_n, and the chance to stay is the mean of w_(n+1), where
w_n = B(a, b' + n - 1) / B(a, b') is the chance to survive n - 1 tosses. All terms are positive: nothing is subtracted.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincc, betaln, expit, gammaln

from relmark.core.checks import FloatArray
from relmark.core.errors import LimitError
from relmark.core.newton import Terms
from relmark.ltv._geometric_dropout import Data, mirrored, tabulated
from relmark.ltv._hypergeometric import beta_mean
from relmark.ltv._quadrature import by_panels, chosen, unit_nodes

_BLOCK = 8_192
_ROWS = 1_024
_SUMMED = 8_192  # stages that are added up one by one; where more are ahead, the rest of the sum is an integral
_SMOOTH = 100  # times k^2: at least so many stages, so that the sum over purchases is smooth by then
_MOST_STAGES = 1e15
_EXACT = 256  # purchases that are added up one by one before that integral
_LEAST = 1e-16
_MOST_PANELS = 1 << 16
_HUGE = 1e200


class Parameters(NamedTuple):
    """The stages between purchases, the four parameters, and 1 where the first purchase tosses the coin too.

    alpha, a and b may be one number for all rows, or one per row.
    """

    k: int
    r: float
    alpha: float | FloatArray
    a: float | FloatArray
    b: float | FloatArray
    shift: int

    def at(self, rows: Any) -> Parameters:
        """Return the parameters of some rows."""
        alpha, a, b = (chosen(one, rows) for one in (self.alpha, self.a, self.b))
        return self._replace(alpha=alpha, a=a, b=b)


class Ahead(NamedTuple):
    """Living customers, one row each: all that the predictions depend on."""

    K: FloatArray  # r + k x
    M: FloatArray  # alpha + T
    a: FloatArray
    survived: FloatArray  # b' = b + c
    stage: FloatArray  # chances of the stages 0 .. k - 1, shape (k, n)

    def at(self, rows: Any) -> Ahead:
        """Return some of them."""
        return Ahead(self.K[rows], self.M[rows], self.a[rows], self.survived[rows], self.stage[:, rows])


# ---- likelihood


def likelihood(parameters: FloatArray, data: Data, k: int, shift: int, constant: float) -> Terms:
    """Return the log-likelihood with its gradient and Hessian in (r, alpha, a, b).

    `constant` is the part that depends on k alone: (k - 1) log_gaps, minus ln Gamma(k) for each purchase.
    """
    r, alpha, a, b = parameters.tolist()
    value, g, H = tabulated(parameters, data, k * data.x, shift)
    value += constant
    m = Parameters(k, r, alpha, a, b, shift)
    ages, weight = data.untossed
    if len(ages):
        never = np.zeros(len(ages))
        value += _bracket(m, never, never, ages, weight, g, H, tossed=False)
    x, t_x, T, w = data.tossed
    for low in range(0, len(x), _BLOCK):
        part = slice(low, low + _BLOCK)
        value += _bracket(m, x[part], t_x[part], T[part], None if w is None else w[part], g, H, tossed=True)
    return value, g, mirrored(H)


def _bracket(
    m: Parameters,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    w: FloatArray | None,
    g: FloatArray,
    H: FloatArray,
    *,
    tossed: bool,
) -> float:
    """Add ln{M^-K [S + e^u]} to g and H, and return its sum; u = ln a - ln(b + c - 1) + K D, D = ln(M / (alpha + t_x)).

    With h = ln S, the derivatives of h are means over the stages: of P_j = sum_{i<j} 1 / (K + i) in r and of -j / M in
    alpha. P(dead) = e^u / (S + e^u), as in BG/NBD, whose S is 1.
    """
    K, M = m.r + m.k * x, m.alpha + T
    inv_M, log_M = 1.0 / M, np.log(M)
    one = np.ones(len(K)) if w is None else w
    S, mean = stage_means(m.k, K, (T - t_x) * inv_M)
    j, P, jj, jP, PP = mean
    h = np.log(S)
    # first and second derivatives of h
    h_r, h_a = P, -j * inv_M
    h_rr, h_ra, h_aa = PP - P * P, (j * P - jP) * inv_M, (jj - j * j + j) * inv_M**2
    if tossed:
        e = (m.b + m.shift - 1.0) + x
        t = m.alpha + t_x
        D, inv_t, inv_e = log_M - np.log(t), 1.0 / t, 1.0 / e
        u = np.log(m.a / e) + K * D
        p = expit(u - h)
        value = np.logaddexp(h, u)
        E = inv_M - inv_t
    else:
        p, D, E, inv_e, inv_t = (np.zeros(len(K)),) * 5
        value = h
    value = value - K * log_M
    q = p * (1.0 - p) * one
    p, alive = p * one, (1.0 - p) * one
    kE = K * E
    d_r, d_a = D - h_r, kE - h_a  # gradient of u - h; in a it is 1 / a, in b -1 / e
    dead = float(p.sum())
    g[0] += float(p @ D + alive @ h_r - one @ log_M)
    g[1] += float(p @ kE + alive @ h_a - one @ (K * inv_M))
    g[2] += dead / m.a
    g[3] -= float(p @ inv_e)
    H[0, 0] += float(alive @ h_rr + q @ (d_r * d_r))
    H[0, 1] += float(alive @ h_ra + p @ E + q @ (d_r * d_a) - one @ inv_M)
    H[0, 2] += float(q @ d_r) / m.a
    H[0, 3] -= float(q @ (d_r * inv_e))
    H[1, 1] += float(alive @ h_aa - p @ (kE * (inv_M + inv_t)) + q @ (d_a * d_a) + one @ (K * inv_M**2))
    H[1, 2] += float(q @ d_a) / m.a
    H[1, 3] -= float(q @ (d_a * inv_e))
    H[2, 2] += (float(q.sum()) - dead) / m.a**2
    H[2, 3] -= float(q @ inv_e) / m.a
    H[3, 3] += float(q @ inv_e**2) + float(p @ inv_e**2)
    return float(one @ value)


def stage_means(k: int, K: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return S, and the means over the stages of j, P_j, j^2, j P_j and P_j^2 - Q_j, Q_j = sum_{i<j} 1 / (K + i)^2."""
    S, term = np.ones(len(K)), np.ones(len(K))
    sums = np.zeros((5, len(K)))
    P, Q = np.zeros(len(K)), np.zeros(len(K))
    for j in range(1, k):
        inverse = 1.0 / (K + (j - 1.0))
        term = term * v * (K + (j - 1.0)) / j
        P = P + inverse
        Q = Q + inverse * inverse
        S = S + term
        jt, tP = j * term, term * P
        for row, part in enumerate((jt, tP, j * jt, j * tP, tP * P - term * Q)):
            sums[row] += part
    return S, sums / S


# ---- what is known at T


def _log_odds(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return ln(P(dead) / P(alive)), -inf where no coin was tossed."""
    tossed = x + m.shift > 0
    K, M = m.r + m.k * x, m.alpha + T
    e = np.where(tossed, m.b + x + m.shift - 1.0, 1.0)
    log_S = np.log(_stage_terms(m.k, K, (T - t_x) / M).sum(axis=0))
    odds = np.log(m.a) - np.log(e) + K * np.log1p((T - t_x) / (m.alpha + t_x)) - log_S
    return np.where(tossed, odds, -np.inf)


def _stage_terms(k: int, K: FloatArray, v: FloatArray) -> FloatArray:
    """Return (K)_j / j! v^j, shape (k, n)."""
    terms = np.ones((k, len(K)))
    for j in range(1, k):
        terms[j] = terms[j - 1] * v * (K + (j - 1.0)) / j
    return terms


def alive(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return P(alive at T); 1 where no coin was tossed."""
    result: FloatArray = expit(-_log_odds(m, x, t_x, T))
    return result


def posterior_rate(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return E[lambda] / k, where E[lambda] is the mean of (K + j) / M if alive, and K / (alpha + t_x) if gone."""
    now, given = alive(m, x, t_x, T), living(m, x, t_x, T)
    j = np.arange(m.k) @ given.stage
    return (now * (given.K + j) / given.M + (1.0 - now) * given.K / (m.alpha + t_x)) / m.k


def living(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Ahead:
    """Return customers as they are if alive at T."""
    K, M = m.r + m.k * x, m.alpha + T
    terms = _stage_terms(m.k, K, (T - t_x) / M)
    a = np.broadcast_to(np.asarray(m.a, dtype=np.float64), K.shape)
    return Ahead(K, M, a, m.b + x + m.shift, terms / terms.sum(axis=0))


# ---- what is ahead, as sums over stages


def expected(m: Parameters, given: Ahead, t: FloatArray) -> FloatArray:
    """Return the purchases expected in (T, T + t] given alive at T."""
    return _over_stages(m, given, t, staying=False)


def survival(m: Parameters, given: Ahead, t: FloatArray) -> FloatArray:
    """Return P(alive at T + t | alive at T)."""
    return _over_stages(m, given, t, staying=True)


def _over_stages(m: Parameters, given: Ahead, t: FloatArray, *, staying: bool) -> FloatArray:
    """Return the mean of W_n, or of w_(n+1), over the stages ahead, with rows that need similar numbers together."""
    ratio = t / given.M
    most = given.K + (m.k - 1.0)
    mean = most * ratio
    with np.errstate(over="ignore"):
        need = mean + 9.0 * np.sqrt(mean * (1.0 + ratio)) + 40.0 * (1.0 + ratio)
    if not (need < _MOST_STAGES).all():
        row = int(np.argmin(need < _MOST_STAGES))
        raise LimitError(
            f"row {row} would need {need[row]:.3g} stages of purchases: frequency or the horizon is far beyond what "
            "customers do. Check the unit of time, and use a prior in a fit to few customers.",
            code="too_large",
        )
    out = np.empty(len(t), dtype=np.float64)
    order = np.argsort(need, kind="stable")
    few = order[need[order] <= max(_SUMMED, _SMOOTH * m.k**2)]
    for low in range(0, len(few), _ROWS):
        rows = few[low : low + _ROWS]
        out[rows] = _summed(m, given.at(rows), ratio[rows], staying=staying)
    for row in order[len(few) :].tolist():
        out[row] = _summed_and_integrated(m, given.at(np.array([row])), float(ratio[row]), staying=staying)
    return out


def _summed(m: Parameters, given: Ahead, ratio: FloatArray, *, staying: bool) -> FloatArray:
    """Return the sum over i = 0, 1, ... until a bound says that the rest is below rounding.

    Each term gives the next, f(i + 1) = f(i) z (K + j + i) / (i + 1), in units that grow where it would overflow.
    From i on terms fall at least as z max(1, (K + j + i) / (i + 1)), and W_n grows by w_n at most, once in k stages.
    """
    k = m.k
    q = given.K + np.arange(k)[:, None]
    log_z1 = -np.log1p(ratio)  # ln(1 - z)
    z = ratio / (1.0 + ratio)
    unit = q[0] * log_z1  # the logarithm of each row's unit: the first terms may be smaller than floats can say
    f = given.stage * np.exp(q * log_z1 - unit)
    a, b = given.a, given.survived
    w, W = np.ones(len(z)), np.zeros(len(z))  # w_(n+1) and W_n at n = floor(i / k)
    total = np.zeros(len(z))
    zq = z * q
    i = 0
    while True:
        n, over = divmod(i, k)
        next_w = w * (b + n) / (a + b + n)
        split = k - over  # stages j below have brought n purchases, those from here on n + 1
        if staying:
            total += w * f[:split].sum(axis=0)
            if over:
                total += next_w * f[split:].sum(axis=0)
        else:
            total += W * f[:split].sum(axis=0)
            if over:
                total += (W + w) * f[split:].sum(axis=0)
        if i % 8 == 7 or i < 2:
            fall = z * np.maximum(1.0, (q[-1] + i) / (i + 1.0))
            if (fall < 1.0).all():
                left = f.sum(axis=0) * fall / (1.0 - fall)
                payoff = w if staying else W + w * (2.0 + 1.0 / (k * (1.0 - fall)))
                if (left * payoff <= _LEAST * total).all():
                    break
            large = f.max(axis=0) > _HUGE
            if large.any():
                f[:, large] /= _HUGE
                total[large] /= _HUGE
                unit[large] += math.log(_HUGE)
        f = f * (zq + z * i) / (i + 1.0)
        i += 1
        if over == k - 1:
            W = W + w
            w = next_w
    with np.errstate(divide="ignore"):
        result: FloatArray = np.exp(np.log(total) + unit)
    return result


def _summed_and_integrated(m: Parameters, given: Ahead, ratio: float, *, staying: bool) -> float:
    """Return the mean for one row with very many stages ahead: the first purchases one by one, the rest as an integral.

    Expected purchases are the sum of g(n) = w_n P(n or more purchases are due); the chance to stay is the sum of
    g(n) = w_(n+1) P(n are due). From n = 256 on both are so smooth that, by Euler and Maclaurin's midpoint rule, the
    sum over n > N is the integral from N + 1/2 plus (g(N + 1) - g(N)) / 24.
    """
    k, a, b = m.k, float(given.a[0]), float(given.survived[0])
    q = given.K[0] + np.arange(k)
    log_z, log_z1 = -math.log1p(1.0 / ratio), -math.log1p(ratio)
    none = betaln(a, b)

    def term(n: FloatArray) -> FloatArray:
        due = np.zeros(len(n))
        for j in range(k):
            if staying:
                for i in range(k):
                    due += given.stage[j, 0] * _mass(q[j], n * k - j + i, log_z, log_z1)
            else:
                due += given.stage[j, 0] * betaincc(q[j], n * k - j, 1.0 / (1.0 + ratio))
        result: FloatArray = np.exp(_log_beta(a, b + (n if staying else n - 1.0)) - none) * due
        return result

    head = term(np.arange(0.0 if staying else 1.0, _EXACT + 2.0))
    begin = _EXACT + 0.5
    mean = q[-1] * ratio
    end = (mean + 10.0 * math.sqrt(mean * (1.0 + ratio)) + 45.0 * (1.0 + ratio)) / k + begin
    reach = math.log(end / begin)
    panels = math.ceil(reach / min(0.5, 2.0 / math.sqrt(q[-1])))
    if panels > _MOST_PANELS:
        raise LimitError(
            f"a customer with {q[0]:,.0f} stages of purchases behind them would need {16 * panels:,} nodes: frequency "
            "is far beyond what customers do. Check the unit of time.",
            code="too_large",
        )
    node, weight = unit_nodes(16, panels)
    n = begin * np.exp(reach * node)
    tail = float(reach * (weight @ (n * term(n)))) + (head[-1] - head[-2]) / 24.0
    total: float = float(head[:-1].sum()) + tail
    return total


def _log_beta(a: float, x: FloatArray) -> FloatArray:
    """Return ln B(a, x): for large x, where scipy subtracts two large numbers, by Stirling's series of the rest."""
    large = np.maximum(x, 64.0)
    both = large + a
    series = sum(
        part * (large**-power - both**-power) for part, power in ((1 / 12, 1.0), (-1 / 360, 3.0), (1 / 1260, 5.0))
    )
    ratio = a - (both - 0.5) * np.log1p(a / large) - a * np.log(large) + series
    result: FloatArray = np.where(x > 64.0, gammaln(a) + ratio, betaln(a, np.minimum(x, 64.0)))
    return result


def _mass(q: float, i: FloatArray, log_z: float, log_z1: float) -> FloatArray:
    """Return (q)_i / i! z^i (1 - z)^q, which is 0 for i below 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_mass = np.where(i > 0.0, i * log_z + q * log_z1 - np.log(i) - _log_beta(q, i), q * log_z1)
    return np.where(i >= 0.0, np.exp(log_mass), 0.0)


def discounted(m: Parameters, given: Ahead, t: FloatArray, delta: float) -> FloatArray:
    """Return the discounted purchases expected in (T, T + t] given alive at T; t may be infinite.

    For a finite t, with N(s) the purchases expected until s: e^(-delta t) N(t) + delta times the integral of
    e^(-delta s) N(s) over (0, t), all of it positive. N is smooth in ln(1 + s / M) except for the waves of regular
    purchases, which die out as e^(-lambda s (1 - cos(2 pi / k))): until then panels are a few stages long.
    """
    out = np.empty(len(t), dtype=np.float64)
    endless = delta * t > 45.0
    if endless.any():
        rows = np.flatnonzero(endless)
        out[rows] = residual(m, given.at(rows), delta)
    rows = np.flatnonzero(~endless)
    if not len(rows):
        return out
    part, until = given.at(rows), t[rows]
    waves = 37.0 / (1.0 - math.cos(2.0 * math.pi / m.k)) if m.k > 1 else 0.0
    middle = np.minimum(until, waves * part.M / part.K)
    total = np.exp(-delta * until) * expected(m, part, until)
    for begin, end in ((np.zeros(len(rows)), middle), (middle, until)):
        total += _faded(m, part, begin, end, delta)
    out[rows] = total
    return out


def _faded(m: Parameters, given: Ahead, begin: FloatArray, end: FloatArray, delta: float) -> FloatArray:
    """Return delta times the integral of e^(-delta s) N(s) over (begin, end)."""
    low = np.log1p(begin / given.M)
    reach = np.log1p(end / given.M) - low
    wavy = (begin == 0.0) & (end > 0.0)
    stages = np.where(wavy, given.K * (1.0 + end / given.M) * reach / 8.0, 0.0)
    need = np.maximum(np.maximum(reach / 0.7, delta * (end - begin) / 12.0), stages)

    def integral(rows: npt.NDArray[np.int64], panels: int) -> FloatArray:
        node, weight = unit_nodes(16, panels)
        y = low[rows, None] + reach[rows, None] * node
        s = given.M[rows, None] * np.expm1(y)
        many = np.repeat(rows, len(node))
        flow = expected(m, given.at(many), s.ravel()).reshape(s.shape) * np.exp(y - delta * s)
        result: FloatArray = delta * given.M[rows] * reach[rows] * (flow @ weight)
        return result

    panels = np.maximum(np.ceil(need), 1.0).astype(np.int64)
    return by_panels(panels, integral, np.empty(len(reach), dtype=np.float64), rows=512)


def residual(m: Parameters, given: Ahead, delta: float) -> FloatArray:
    """Return all discounted purchases ahead given alive at T.

    That is the mean over lambda and the stages of

        phi^(k - j) / (1 - (1 - p) phi^k),    phi = lambda / (lambda + delta),

    the geometric sum of e^(-delta s_n) over the times s_n of the purchases. The mean over p is E[(1 + p y)^-1] (1 + y),
    with y = phi^k / (1 - phi^k). The mean over lambda is summed over ln lambda by the trapezoid rule, which converges
    geometrically for such bell-shaped integrands. Its steps resolve the width 1 / sqrt(K) of the gamma distribution.
    """
    out = np.zeros(len(given.K))
    for low in range(0, len(out), 256):
        rows = np.arange(low, min(low + 256, len(out)))
        part = given.at(rows)
        for j in range(m.k):
            q = part.K + j
            log_mode = np.log(q / part.M)
            far = 45.0 / q
            # e^d - 1 - d >= c for d = ln(1 + c + (2 c)^1/2) and for d = -(c + (2 c)^1/2): there the density has fallen
            # by e^-45; where lambda is below delta, phi falls with it and the left end is nearer
            slow = (q * log_mode + np.minimum(math.log(delta), log_mode) - 45.0) / (q + 1.0)
            left = np.maximum(log_mode - far, slow) - np.sqrt(2.0 * far)
            right = log_mode + np.log1p(far + np.sqrt(2.0 * far))
            step = np.minimum(0.18, 0.5 / np.sqrt(q))
            nodes = np.linspace(0.0, 1.0, int(np.ceil(((right - left) / step).max())) + 1)
            y = left[:, None] + (right - left)[:, None] * nodes
            h = (right - left) / (len(nodes) - 1)
            lam = np.exp(y)
            log_density = q[:, None] * (y + np.log(part.M)[:, None]) - part.M[:, None] * lam - gammaln(q)[:, None]
            log_phi = -np.log1p(delta / lam)
            once = -np.expm1(m.k * log_phi)  # 1 - phi^k
            mean = beta_mean(1.0, part.a[:, None], part.survived[:, None], (1.0 - once) / once) / once
            f = np.exp(log_density + (m.k - j) * log_phi) * mean
            out[rows] += part.stage[j] * h * f.sum(axis=1)
    return out


def total(given: Ahead) -> FloatArray:
    """Return all purchases ever expected given alive at T: E[1 / p] = (a + b' - 1) / (a - 1), infinite for a <= 1."""
    more = given.a - 1.0
    out = np.full(len(more), np.inf)
    np.divide(more + given.survived, more, out=out, where=more > 0.0)
    return out


def probabilities(m: Parameters, given: Ahead, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
    """Return P(n purchases in (T, T + t] | alive at T), shape (rows, len(n)).

    Either n purchases are due and n tosses are survived, or at least n are due and the n-th toss is lost.
    """
    ratio = t / given.M
    with np.errstate(divide="ignore"):
        log_z, log_z1 = -np.log1p(1.0 / ratio), -np.log1p(ratio)
    z, z1 = ratio / (1.0 + ratio), 1.0 / (1.0 + ratio)
    a, b, none = given.a, given.survived, betaln(given.a, given.survived)
    out = np.zeros((len(t), len(n)), dtype=np.float64)
    behind = [gammaln(given.K + j) - (given.K + j) * log_z1 for j in range(m.k)]
    for column, count in enumerate(n.tolist()):
        due, at_least = np.zeros(len(t)), np.zeros(len(t))
        for stage in range(count * m.k, (count + 1) * m.k):  # counted from the last purchase
            reached = gammaln(given.K + stage)
            for j in range(min(m.k, stage + 1)):
                i = stage - j
                log_mass = reached - behind[j] - gammaln(i + 1.0) + (i * log_z if i else 0.0)
                due += given.stage[j] * np.exp(log_mass)
        if count:
            for j in range(m.k):
                q, due_by = given.K + j, count * m.k - j
                enough = np.where(z < 0.5, betainc(due_by, q, z), betaincc(q, due_by, z1))
                at_least += given.stage[j] * enough
        out[:, column] = np.exp(betaln(a, b + count) - none) * due
        if count:
            out[:, column] += np.exp(betaln(a + 1.0, b + count - 1.0) - none) * at_least
    return out


def quantile(m: Parameters, given: Ahead, chance: FloatArray) -> FloatArray:
    """Return the time by which a purchase has come with the given chance, given alive at T: nobody leaves before it.

    This is Newton's method in y = ln(t / M) on the logarithm of the chance or of its complement, whichever is smaller,
    within a bracket that is halved where a step would leave it.
    """
    rare = chance < 0.5
    target = np.log(np.where(rare, chance, 1.0 - chance))
    shapes = [(m.k - j, given.K + j) for j in range(m.k)]
    log_beta = [betaln(*shape) for shape in shapes]

    def off(y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return ln of the chance (or its complement) less the target, rising in y, and its slope."""
        z, z1 = expit(y), expit(-y)
        level, density = np.zeros(len(y)), np.zeros(len(y))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            log_z, log_z1 = -np.logaddexp(0.0, -y), -np.logaddexp(0.0, y)
            for (due, q), constant, share in zip(shapes, log_beta, given.stage, strict=True):
                level += share * np.where(rare, betainc(due, q, z), betainc(q, due, z1))
                density += share * np.exp(due * log_z + q * log_z1 - constant)
            gap, slope = np.log(level) - target, density / level
        return np.where(rare, gap, -gap), slope

    low, high = np.full(len(chance), -745.0), np.full(len(chance), 745.0)
    y = np.clip(np.log((m.k - np.arange(m.k)) @ given.stage / given.K), -700.0, 700.0)
    for _ in range(200):
        gap, slope = off(y)
        low, high = np.where(gap < 0.0, y, low), np.where(gap < 0.0, high, y)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            following = y - gap / slope
        following = np.where((following > low) & (following < high), following, 0.5 * (low + high))
        if (np.abs(following - y) <= 1e-14 * np.maximum(1.0, np.abs(y))).all():
            y = following
            break
        y = following
    result: FloatArray = given.M * np.exp(y)
    return result
