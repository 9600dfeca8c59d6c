"""The likelihood of Pareto/NBD customer by customer, each with an alpha and a beta of their own.

The formula and the nodes are those of `_pareto`. Here it is differentiated in xi = (r, A, s, B), A = ln alpha and
B = ln beta, which covariates move.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, zeta

from relmark.core.checks import FloatArray
from relmark.ltv import _pareto as kernel
from relmark.ltv._cells import distinct
from relmark.ltv._quadrature import by_panels
from relmark.ltv._row_terms import Family, RowTerms

_PAIRS = [(i, j) for i in range(4) for j in range(i, 4)]


def terms(xi: list[FloatArray], x: FloatArray, t_x: FloatArray, T: FloatArray) -> RowTerms:
    """Return each row's log-likelihood with its derivatives in (r, A, s, B); A and B are one number or one per row."""
    r, s = float(xi[0]), float(xi[2])
    A, B = (np.broadcast_to(np.asarray(part, dtype=np.float64), x.shape) for part in (xi[1], xi[3]))
    m = kernel.Parameters(r, np.exp(A), s, np.exp(B))
    end, needed = kernel.panels(m, x, t_x, T)

    def bracket(rows: npt.NDArray[np.int64], count: int) -> FloatArray:
        return _bracket(m.at(rows), x[rows], t_x[rows], T[rows], end[rows], count)

    out = by_panels(needed, bracket, np.empty((len(x), 15), dtype=np.float64), rows=512)
    counts, place = distinct(x)
    value = out[:, 0] + (gammaln(r + counts) - gammaln(r))[place] + r * A + s * B
    g = out[:, 1:5].T.copy()
    g[0] += (digamma(r + counts) - digamma(r))[place] + A
    g[1] += r
    g[2] += B
    g[3] += s
    H = {pair: out[:, 5 + column] for column, pair in enumerate(_PAIRS)}
    H[0, 0] = H[0, 0] + (zeta(2.0, r + counts) - zeta(2.0, r))[place]
    H[0, 1] = H[0, 1] + 1.0
    H[2, 3] = H[2, 3] + 1.0
    return RowTerms(value, g, H)


def _bracket(
    m: kernel.Parameters, x: FloatArray, t_x: FloatArray, T: FloatArray, end: FloatArray, count: int
) -> FloatArray:
    """Return ln[...] of each row, its gradient and the upper half of its Hessian in (r, A, s, B), shape (rows, 15).

    For ln sum_j e^(f_j) with shares p_j, the gradient is sum p_j f_j', the Hessian sum p_j (f_j'' + f_j' f_j'^T) less
    the product of the gradients.
    """
    k = (m.r + x)[:, None]
    alpha, beta = np.asarray(m.alpha)[:, None], np.asarray(m.beta)[:, None]
    node = kernel.deaths(m, x, t_x, end, count)
    log_a = np.column_stack([node.log_a, np.log(m.alpha + T)])
    log_b = np.column_stack([node.log_b, np.log(m.beta + T)])
    f = np.column_stack([node.log_mass, -k[:, 0] * log_a[:, -1] - m.s * log_b[:, -1]])
    top = f.max(axis=1)
    share = np.exp(f - top[:, None])
    sums = share.sum(axis=1)
    share /= sums[:, None]
    of_a, of_b = alpha * np.exp(-log_a), beta * np.exp(-log_b)
    # first derivatives of f in r, A, s, B, with opposite signs; the last column is for those alive at T
    d_s = log_b - 1.0 / m.s
    d_s[:, -1] = log_b[:, -1]
    d_B = (m.s + 1.0) * of_b
    d_B[:, -1] = m.s * of_b[:, -1]
    d_A = k * of_a
    first = (log_a, d_A, d_s, d_B)
    out = np.empty((len(x), 15))
    out[:, 0] = top + np.log(sums)
    weighted = [share * d for d in first]
    for i in range(4):
        out[:, 1 + i] = -weighted[i].sum(axis=1)
    for column, (i, j) in enumerate(_PAIRS):
        out[:, 5 + column] = np.einsum("ij,ij->i", weighted[i], first[j]) - out[:, 1 + i] * out[:, 1 + j]
    # second derivatives
    out[:, 5 + _PAIRS.index((0, 1))] += -np.einsum("ij,ij->i", share, of_a)
    out[:, 5 + _PAIRS.index((1, 1))] += np.einsum("ij,ij->i", weighted[1], of_a - 1.0)
    out[:, 5 + _PAIRS.index((2, 2))] -= share[:, :-1].sum(axis=1) / m.s**2
    out[:, 5 + _PAIRS.index((2, 3))] += -np.einsum("ij,ij->i", share, of_b)
    out[:, 5 + _PAIRS.index((3, 3))] += np.einsum("ij,ij->i", weighted[3], of_b - 1.0)
    return out


def _xi(logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    r, s = np.exp(logs[0]), np.exp(logs[2])
    return np.array([r, logs[1], s, logs[3]]), np.diag([r, 1.0, s, 1.0])


def _bend(logs: FloatArray, gradient: FloatArray) -> FloatArray:
    return np.diag([gradient[0] * np.exp(logs[0]), 0.0, gradient[2] * np.exp(logs[2]), 0.0])


def _parameters(xi: FloatArray) -> tuple[FloatArray, FloatArray]:
    alpha, beta = np.exp(xi[1]), np.exp(xi[3])
    return np.array([xi[0], alpha, xi[2], beta]), np.diag([1.0, alpha, 1.0, beta])


FAMILY = Family(rate=(1, -1.0), dropout=(3, -1.0), xi=_xi, bend=_bend, parameters=_parameters)
