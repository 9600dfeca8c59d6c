"""Kernels of BG/BB: a coin for each opportunity to buy, and another, before it, for leaving.

The chance to buy at an opportunity is p ~ Beta(alpha, beta), the chance to leave before it theta ~ Beta(gamma, delta).
A customer with x purchases in n opportunities, the last at t, was active until tau = n, or until some tau in t..n - 1
and left then (Fader, Hardie and Shang 2010, eq. 5):

    L = B(alpha + x, beta + n - x) / B(alpha, beta)  B(gamma, delta + n) / B(gamma, delta)
        + sum over tau = t..n - 1 of
          B(alpha + x, beta + tau - x) / B(alpha, beta)  B(gamma + 1, delta + tau) / B(gamma, delta).

All arguments are parameters plus whole numbers, so that the gamma functions are tables of n + 2 values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import betaln, digamma, gammaln, zeta

from relmark.core.beta_binomial import betaln_table, digamma_table
from relmark.core.checks import FloatArray, IntArray
from relmark.core.newton import Terms
from relmark.ltv._hypergeometric import beta_mean

_BYTES = 8_000_000


class Parameters(NamedTuple):
    """The four parameters."""

    alpha: float
    beta: float
    gamma: float
    delta: float


class Histories(NamedTuple):
    """Each row once for every time until which it may have been active: a ragged table, flattened."""

    x: IntArray
    tau: IntArray
    left: IntArray  # 1 where the customer left after tau, 0 where active to the end
    start: IntArray  # where each row begins
    row: IntArray
    longest: int

    @classmethod
    def of(cls, x: FloatArray, t: FloatArray, n: FloatArray) -> Histories:
        size = (n - t).astype(np.int64) + 1
        start = np.concatenate([[0], np.cumsum(size)[:-1]])
        row = np.repeat(np.arange(len(x)), size)
        tau = t.astype(np.int64)[row] + np.arange(len(row)) - start[row]
        left = (tau < n.astype(np.int64)[row]).astype(np.int64)
        return cls(x.astype(np.int64)[row], tau, left, start, row, int(n.max(initial=0.0)))


def log_terms(m: Parameters, h: Histories) -> FloatArray:
    """Return ln of each term of the likelihood, without the constant."""
    return (
        betaln_table(m.alpha, m.beta, h.x, h.tau - h.x, h.longest)
        + betaln_table(m.gamma, m.delta, h.left, h.tau, h.longest + 1)
    )  # fmt: skip


def likelihood(parameters: FloatArray, h: Histories, w: FloatArray) -> Terms:
    """Return the log-likelihood of weighted rows with its gradient and Hessian in (alpha, beta, gamma, delta)."""
    m = Parameters(*parameters.tolist())
    f = log_terms(m, h)
    top = np.maximum.reduceat(f, h.start)
    share = np.exp(f - top[h.row])
    sums = np.add.reduceat(share, h.start)
    total = w.sum()
    value = float(w @ (top + np.log(sums))) - total * (betaln(m.alpha, m.beta) + betaln(m.gamma, m.delta))
    share *= (w / sums)[h.row]
    misses = h.tau - h.x
    d = np.stack(
        [
            digamma_table(m.alpha, h.x) - digamma_table(m.alpha + m.beta, h.tau),
            digamma_table(m.beta, misses) - digamma_table(m.alpha + m.beta, h.tau),
            digamma_table(m.gamma, h.left) - digamma_table(m.gamma + m.delta, h.tau + h.left),
            digamma_table(m.delta, h.tau) - digamma_table(m.gamma + m.delta, h.tau + h.left),
        ]
    )
    weighted = share * d
    means = np.add.reduceat(weighted, h.start, axis=1)
    H = np.einsum("ik,jk->ij", weighted, d) - np.einsum("ik,jk->ij", means / w, means)
    t_both = share @ digamma_table(m.alpha + m.beta, h.tau, 1)
    t_drop = share @ digamma_table(m.gamma + m.delta, h.tau + h.left, 1)
    H[:2, :2] -= t_both
    H[2:, 2:] -= t_drop
    offsets = ((m.alpha, h.x), (m.beta, misses), (m.gamma, h.left), (m.delta, h.tau))
    H[np.arange(4), np.arange(4)] += [share @ digamma_table(a, i, 1) for a, i in offsets]
    g = weighted.sum(axis=1)
    for low, (a, b) in ((0, (m.alpha, m.beta)), (2, (m.gamma, m.delta))):
        g[low : low + 2] -= total * (digamma(np.array([a, b])) - digamma(a + b))
        H[low : low + 2, low : low + 2] += total * zeta(2.0, a + b)
        H[low, low] -= total * zeta(2.0, a)
        H[low + 1, low + 1] -= total * zeta(2.0, b)
    return value, g, H


def posterior(m: Parameters, x: FloatArray, t: FloatArray, n: FloatArray) -> FloatArray:
    """Return P(active at n) and E[p], shape (rows, 2)."""
    h = Histories.of(x, t, n)
    f = log_terms(m, h)
    share = np.exp(f - np.maximum.reduceat(f, h.start)[h.row])
    sums = np.add.reduceat(share, h.start)
    last = np.concatenate([h.start[1:], [len(h.row)]]) - 1
    mean = np.add.reduceat(share / (m.alpha + m.beta + h.tau), h.start) * (m.alpha + x)
    return np.column_stack([share[last] / sums, mean / sums])


def survival(m: Parameters, n: FloatArray, s: FloatArray) -> FloatArray:
    """Return P(active at n + s | active at n) = B(gamma, delta + n + s) / B(gamma, delta + n)."""
    result: FloatArray = np.exp(betaln(m.gamma, m.delta + n + s) - betaln(m.gamma, m.delta + n))
    return result


def chance_to_buy(m: Parameters, x: FloatArray, n: FloatArray) -> FloatArray:
    """Return E[p] given active at n."""
    return (m.alpha + x) / (m.alpha + m.beta + n)


def discounted(m: Parameters, x: FloatArray, n: FloatArray, t: FloatArray, delta: float) -> FloatArray:
    """Return the purchases of the next t periods given active at n, the i-th discounted by e^(-delta i).

    Over an infinite time it is E[p] q E[1 - theta] E'[1 / (1 + q theta)], q = 1 / (e^delta - 1), where E' is over
    Beta(gamma, delta' + 1): the 2F1 of Fader, Hardie and Shang (2010, eq. 14).
    """
    d = m.delta + n
    buy = chance_to_buy(m, x, n)
    endless = np.isinf(t)
    total = np.zeros(len(x))
    if endless.any():
        q = 1.0 / np.expm1(delta)
        total[endless] = (q * d / (m.gamma + d) * beta_mean(1.0, m.gamma, d + 1.0, q))[endless]
    stay = np.where(endless, 0.0, 1.0)
    for i in range(int(t[~endless].max(initial=0.0))):
        stay = stay * (d + i) / (m.gamma + d + i) * np.exp(-delta)
        total += np.where(i < t, stay, 0.0)
    return buy * total


def total(m: Parameters, x: FloatArray, n: FloatArray) -> FloatArray:
    """Return all purchases ever expected given active at n: E[p] E[(1 - theta) / theta], infinite for gamma <= 1."""
    if m.gamma <= 1.0:
        return np.full(len(x), np.inf)
    return chance_to_buy(m, x, n) * (m.delta + n) / (m.gamma - 1.0)


def probabilities(m: Parameters, x: FloatArray, n: FloatArray, t: FloatArray, number: IntArray) -> FloatArray:
    """Return P(number of purchases in the next t periods | active at n), shape (rows, len(number)).

    Active for i of the t periods, with so many purchases in them (Fader, Hardie and Shang 2010, eq. 11).
    """
    a, b, d = m.alpha + x, m.beta + n - x, m.delta + n
    start = (betaln(a, b) + betaln(m.gamma, d))[:, None]
    out = np.zeros((len(x), len(number)))
    for periods in np.unique(t).tolist():
        rows = np.flatnonzero(t == periods)
        i = np.arange(int(periods) + 1)
        left = (i < periods).astype(np.float64)
        step = max(_BYTES // (8 * len(i)), 1)
        for low in range(0, len(rows), step):
            r = rows[low : low + step]
            log_stay = betaln(m.gamma + left, d[r, None] + i) - start[r]
            for column, count in enumerate(number.tolist()):
                if count > periods:
                    continue
                ways = gammaln(i[count:] + 1.0) - gammaln(count + 1.0) - gammaln(i[count:] - count + 1.0)
                log_buys = betaln(a[r, None] + count, b[r, None] + i[count:] - count)
                out[r, column] = np.exp(ways + log_buys + log_stay[:, count:]).sum(axis=1)
    return out


def quantile(m: Parameters, x: FloatArray, n: FloatArray, chance: FloatArray, most: int) -> FloatArray:
    """Return the periods until a purchase has come with the given chance, for those active at n; inf beyond `most`."""
    out = np.full(len(x), np.inf)
    rows = np.arange(len(x))
    a, b, d = m.alpha + x, m.beta + n - x, m.delta + n
    # buys first in period i: E[p (1 - p)^(i - 1)] E[(1 - theta)^i]
    flow = a / (a + b) * d / (m.gamma + d)
    reached = np.zeros(len(x))
    for i in range(1, most + 1):
        reached = reached + flow
        done = reached >= chance[rows]
        if done.any():
            out[rows[done]] = i
            keep = ~done
            rows, a, b, d, flow, reached = rows[keep], a[keep], b[keep], d[keep], flow[keep], reached[keep]
            if not len(rows):
                break
        flow = flow * (b + i - 1) / (a + b + i) * (d + i) / (m.gamma + d + i)
    return out
