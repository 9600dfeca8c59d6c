"""Kernels of Pareto/NBD: Poisson purchases until an exponential lifetime ends.

Purchase rates are lambda ~ Gamma(r, alpha), death rates mu ~ Gamma(s, beta). With k = r + x a customer's likelihood is

    Gamma(k) alpha^r beta^s / Gamma(r)
        [ (alpha + T)^-k (beta + T)^-s  +  s int_{t_x}^{T} (alpha + y)^-k (beta + y)^-(s + 1) dy ],

where the first term is that of a customer alive at T and the integral that of one who died at y (Schmittlein, Morrison
and Colombo 1987). The integral is usually written as the difference of two 2F1 values (Fader and Hardie 2005, note
009), which cancel. Here it is computed as it stands, by Gauss-Legendre in z = ln(min(alpha, beta) + y), in panels over
which the integrand falls by a factor of e^12 at most, with all derivatives under the same integral. So it is a sum over
nodes, each like a customer who died at y; the customer alive at T is one more node.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, exprel, gammaln, xlogy, zeta

from relmark.core.checks import FloatArray
from relmark.core.newton import Terms
from relmark.ltv._quadrature import by_panels, chosen, unit_nodes

_NODES = 16
_FALL = 12.0  # of the integrand's logarithm over one panel
_WIDTH = 2.5  # of a panel in z: the nearest singularity is pi away
_NEGLIGIBLE = 50.0


class Parameters(NamedTuple):
    """The four parameters; alpha and beta may be one number for all rows, or one per row."""

    r: float
    alpha: float | FloatArray
    s: float
    beta: float | FloatArray

    def at(self, rows: Any) -> Parameters:
        """Return the parameters of some rows."""
        return self._replace(alpha=chosen(self.alpha, rows), beta=chosen(self.beta, rows))


class Deaths(NamedTuple):
    """Nodes of the death time for some rows: logarithms and the weighted log integrand, each of shape (rows, nodes)."""

    log_a: FloatArray  # ln(alpha + y)
    log_b: FloatArray  # ln(beta + y)
    log_mass: FloatArray  # ln of weight, Jacobian and integrand


def panels(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return where the death integral may end for each row, and how many panels it needs."""
    k, c = m.r + x, np.minimum(m.alpha, m.beta)
    # both factors make the integrand fall: where one of them has fallen by e^-50, nothing is left
    end = np.minimum(T, t_x + (m.alpha + t_x) * np.expm1(np.minimum(_NEGLIGIBLE / k, 700.0)))
    end = np.minimum(end, t_x + (m.beta + t_x) * np.expm1(_NEGLIGIBLE / (m.s + 1.0)))
    width = np.log1p((end - t_x) / (c + t_x))
    steepest = (c + end) * (k / (m.alpha + end) + (m.s + 1.0) / (m.beta + end))
    steepest = np.maximum(steepest, (c + t_x) * (k / (m.alpha + t_x) + (m.s + 1.0) / (m.beta + t_x)))
    return end, np.ceil(np.maximum(width / _WIDTH, width * steepest / _FALL)).astype(np.int64)


def deaths(m: Parameters, x: FloatArray, t_x: FloatArray, end: FloatArray, count: int) -> Deaths:
    """Return the nodes of the integral over the death time, from t_x to `end`, in `count` panels."""
    node, weight = unit_nodes(_NODES, count)
    c = np.minimum(m.alpha, m.beta)
    start = np.log(c + t_x)[:, None]
    width = np.log1p((end - t_x) / (c + t_x))[:, None]
    z = start + width * node
    further = np.asarray(m.alpha - m.beta)
    if not further.ndim:
        other = np.log(np.exp(z) + abs(float(further)))
        log_a, log_b = (other, z) if further > 0 else (z, other)
    else:
        other = np.log(np.exp(z) + np.abs(further)[:, None])
        first = further[:, None] > 0
        log_a, log_b = np.where(first, other, z), np.where(first, z, other)
    with np.errstate(divide="ignore"):  # a customer who bought on the last day cannot have died since
        jacobian = np.log(width * weight)
    return Deaths(log_a, log_b, np.log(m.s) - (m.r + x)[:, None] * log_a - (m.s + 1.0) * log_b + z + jacobian)


def likelihood(
    parameters: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    w: FloatArray,
    counts: FloatArray,
    n: FloatArray,
) -> Terms:
    """Return the log-likelihood with its gradient and Hessian in (r, alpha, s, beta).

    Rows are (x, t_x, T) with weight w; `counts` are the distinct x and `n` their weights.
    """
    m = Parameters(*parameters.tolist())
    g, H = np.zeros(4), np.zeros((4, 4))
    total = n.sum()
    value = float(n @ (gammaln(m.r + counts) - gammaln(m.r))) + total * (m.r * np.log(m.alpha) + m.s * np.log(m.beta))
    g += (
        n @ (digamma(m.r + counts) - digamma(m.r)) + total * np.log(m.alpha),
        total * m.r / m.alpha,
        total * np.log(m.beta),
        total * m.s / m.beta,
    )
    H[0, 0] = n @ (zeta(2.0, m.r + counts) - zeta(2.0, m.r))
    H[0, 1] = total / m.alpha
    H[1, 1] = -total * m.r / m.alpha**2
    H[2, 3] = total / m.beta
    H[3, 3] = -total * m.s / m.beta**2
    end, needed = panels(m, x, t_x, T)
    out = np.empty(len(x), dtype=np.float64)

    def add(rows: npt.NDArray[np.int64], count: int) -> FloatArray:
        return _bracket(m, x[rows], t_x[rows], T[rows], end[rows], w[rows], count, g, H)

    by_panels(needed, add, out, rows=512)
    H[1, 0], H[2, 0], H[3, 0], H[2, 1], H[3, 1], H[3, 2] = H[0, 1], H[0, 2], H[0, 3], H[1, 2], H[1, 3], H[2, 3]
    return value + float(w @ out), g, H


def _bracket(
    m: Parameters,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    end: FloatArray,
    w: FloatArray,
    count: int,
    g: FloatArray,
    H: FloatArray,
) -> FloatArray:
    """Add the weighted ln[...] of some rows to g and H, and return it by row.

    For ln sum_j e^(f_j) with shares p_j, the gradient is sum p_j f_j', the Hessian sum p_j (f_j'' + f_j' f_j'^T) less
    the product of the gradients.
    """
    k = (m.r + x)[:, None]
    node = deaths(m, x, t_x, end, count)
    log_a = np.column_stack([node.log_a, np.log(m.alpha + T)])
    log_b = np.column_stack([node.log_b, np.log(m.beta + T)])
    f = np.column_stack([node.log_mass, -k[:, 0] * log_a[:, -1] - m.s * log_b[:, -1]])
    top = f.max(axis=1)
    share = np.exp(f - top[:, None])
    sums = share.sum(axis=1)
    share *= (w / sums)[:, None]
    inv_a, inv_b = np.exp(-log_a), np.exp(-log_b)
    # first derivatives of f in r, alpha, s, beta, with opposite signs; the last column is for those alive at T
    d_a = k * inv_a
    d_s = log_b - 1.0 / m.s
    d_s[:, -1] = log_b[:, -1]
    d_b = (m.s + 1.0) * inv_b
    d_b[:, -1] = m.s * inv_b[:, -1]
    first = (log_a, d_a, d_s, d_b)
    weighted = [share * d for d in first]
    means = [part.sum(axis=1) for part in weighted]
    flat = [d.ravel() for d in first]
    for i in range(4):
        g[i] -= means[i].sum()
        row = weighted[i].ravel()
        for j in range(i, 4):
            H[i, j] += float(row @ flat[j]) - float((means[i] / w) @ means[j])
    # second derivatives
    share_a, share_b = share * inv_a, share * inv_b
    H[0, 1] -= float(share_a.sum())
    H[1, 1] += float((k * share_a).ravel() @ inv_a.ravel())
    H[2, 2] -= float(share[:, :-1].sum()) / m.s**2
    H[2, 3] -= float(share_b.sum())
    H[3, 3] += float(share_b.ravel() @ d_b.ravel())
    result: FloatArray = top + np.log(sums)
    return result


def posterior(m: Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
    """Return P(alive at T) and E[lambda], shape (rows, 2)."""
    end, needed = panels(m, x, t_x, T)

    def shares(rows: npt.NDArray[np.int64], count: int) -> FloatArray:
        own = m.at(rows)
        node = deaths(own, x[rows], t_x[rows], end[rows], count)
        k, M = m.r + x[rows], own.alpha + T[rows]
        log_alive = -k * np.log(M) - m.s * np.log(own.beta + T[rows])
        top = np.maximum(node.log_mass.max(axis=1), log_alive)
        dead, living = np.exp(node.log_mass - top[:, None]), np.exp(log_alive - top)
        whole = dead.sum(axis=1) + living
        rate = k * ((dead * np.exp(-node.log_a)).sum(axis=1) + living / M) / whole
        return np.column_stack([living / whole, rate])

    return by_panels(needed, shares, np.empty((len(x), 2), dtype=np.float64))


def survival(m: Parameters, T: FloatArray, u: FloatArray) -> FloatArray:
    """Return P(alive at T + u | alive at T) = ((beta + T) / (beta + T + u))^s."""
    result: FloatArray = np.exp(-m.s * np.log1p(u / (m.beta + T)))
    return result


def expected(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
    """Return k / M times the integral of the survival, N (1 - (1 + t / N)^(1 - s)) / (s - 1); s = 1 is no exception."""
    N = m.beta + T
    reach = np.log1p(t / N)
    result: FloatArray = (m.r + x) / (m.alpha + T) * N * reach * exprel((1.0 - m.s) * reach)
    return result


def total(m: Parameters, x: FloatArray, T: FloatArray) -> FloatArray:
    """Return the limit of `expected`: infinite for s <= 1."""
    if m.s <= 1.0:
        return np.full(len(x), np.inf)
    return (m.r + x) / (m.alpha + T) * (m.beta + T) / (m.s - 1.0)


def discounted(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray, delta: float) -> FloatArray:
    """Return the discounted purchases in (T, T + t] given alive at T, by quadrature in y = ln(1 + u / (beta + T))."""
    if delta > 0.0:
        t = np.minimum(t, _NEGLIGIBLE / delta)

    N = m.beta + T
    reach = np.log1p(t / N)
    needed = np.ceil(np.maximum(reach, (delta * t + m.s * reach) / _FALL)).astype(np.int64)

    def integral(rows: npt.NDArray[np.int64], panels: int) -> FloatArray:
        node, weight = unit_nodes(_NODES, panels)
        y = reach[rows, None] * node
        flow = np.exp((1.0 - m.s) * y - delta * N[rows, None] * np.expm1(y))
        return N[rows] * reach[rows] * (flow @ weight)

    return (m.r + x) / (m.alpha + T) * by_panels(needed, integral, np.empty(len(x), dtype=np.float64))


def probabilities(m: Parameters, x: FloatArray, T: FloatArray, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
    """Return P(n purchases in (T, T + t] | alive at T), shape (rows, len(n)).

    Either the customer is alive at the end with n purchases, or makes n purchases and dies at u. This is an integral of
    positive terms over u, which Fader and Hardie (2008, note 019) write as sums that cancel.
    """
    k, M, N = m.r + x, m.alpha + T, m.beta + T
    out = np.empty((len(x), len(n)), dtype=np.float64)
    c = np.minimum(M, N)
    for column, number in enumerate(n.tolist()):
        constant = gammaln(k + number) - gammaln(k) - gammaln(number + 1.0)
        log_end = constant - k * np.log1p(t / M) + xlogy(number, t / (M + t)) - m.s * np.log1p(t / N)
        width = np.log1p(t / c)
        steepest = (k + number) * (c + t) / (M + t) + m.s + 1.0 + number
        needed = np.ceil(np.maximum(width / 2.0, width * steepest / _FALL)).astype(np.int64)

        def died(
            rows: npt.NDArray[np.int64], count: int, number: int = number, constant: FloatArray = constant
        ) -> FloatArray:
            node, weight = unit_nodes(_NODES, count)
            low, reach = c[rows, None], np.log1p(t[rows] / c[rows])[:, None]
            u = low * np.expm1(reach * node)
            log_mass = constant[rows, None] - k[rows, None] * np.log1p(u / M[rows, None])
            log_mass += xlogy(number, u / (M[rows, None] + u)) - (m.s + 1.0) * np.log1p(u / N[rows, None])
            mass: FloatArray = np.exp(log_mass) * (low + u) / N[rows, None]
            return m.s * reach[:, 0] * (mass @ weight)

        integral = by_panels(needed, died, np.empty(len(x), dtype=np.float64))
        out[:, column] = np.exp(log_end) + integral
    return out


_EDGES = np.array([0.0, *10.0 ** np.arange(-7.0, 0.0), 0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 50.0])


def quantile(m: Parameters, x: FloatArray, T: FloatArray, chance: FloatArray) -> FloatArray:
    """Return the time by which a purchase has come with the given chance, given alive at T; inf if it never does.

    With y = k ln(1 + u / M) the chance is the integral of e^-y (1 + (M / N) (e^(y / k) - 1))^-s. A table of all panels
    gives the panel in which it reaches the given chance, and Newton steps within the panel give the place.
    """
    k, M, N = m.r + x, m.alpha + T, m.beta + T

    def density(y: FloatArray, rows: npt.NDArray[np.int64]) -> FloatArray:
        grow = np.expm1(np.minimum(y / k[rows, None], 600.0))
        result: FloatArray = np.exp(-y - m.s * np.log1p(M[rows, None] / N[rows, None] * grow))
        return result

    node, weight = unit_nodes(_NODES)
    out = np.full(len(x), np.inf)
    for low in range(0, len(x), 1_024):
        rows = np.arange(low, min(low + 1_024, len(x)))
        widths = np.diff(_EDGES)
        pieces = np.stack(
            [
                size * (density(start + size * node[None, :], rows) @ weight)
                for start, size in zip(_EDGES[:-1], widths, strict=True)
            ],
            axis=1,
        )
        reached = np.cumsum(pieces, axis=1)
        panel = (reached < chance[rows, None]).sum(axis=1)
        inside = panel < len(widths)
        rows, panel = rows[inside], panel[inside]
        start, width = _EDGES[panel], widths[panel]
        need = chance[rows] - np.where(panel > 0, reached[inside, np.maximum(panel - 1, 0)], 0.0)
        least, most = np.zeros(len(rows)), width.copy()
        step = width * need / pieces[inside, panel]
        for _ in range(40):
            have = step * (density(start[:, None] + step[:, None] * node, rows) @ weight)
            slope = density((start + step)[:, None], rows)[:, 0]
            most, least = np.where(have > need, step, most), np.where(have > need, least, step)
            better = step + (need - have) / slope
            better = np.where((better > least) & (better < most), better, 0.5 * (least + most))
            if np.all(np.abs(better - step) <= 1e-14 * (start + width)):
                step = better
                break
            step = better
        out[rows] = M[rows] * np.expm1((start + step) / k[rows])
    return out
