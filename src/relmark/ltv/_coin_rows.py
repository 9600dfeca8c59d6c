"""The likelihood of the coin models customer by customer, each with a rate and a chance to leave of their own.

The formula is that of `_erlang_dropout` with k stages between purchases; for k = 1 it is that of `_geometric_dropout`.
Here it is differentiated in xi = (r, A, l, q): A = ln alpha, and the beta distribution of the chances to leave is
described by the logit l of its mean mu = a / (a + b) and by q = ln(a + b). Covariates move A and l. They do not move a
and b together, which would change how much the chances differ and hardly their mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, expit, gammaln, zeta

from relmark.core.checks import FloatArray, IntArray
from relmark.ltv._cells import distinct
from relmark.ltv._erlang_dropout import stage_means
from relmark.ltv._row_terms import Family, RowTerms


class Rows(NamedTuple):
    """Customers, with their distinct frequencies and each one's place among them, and which have tossed a coin."""

    stages: int  # between two purchases
    x: FloatArray
    t_x: FloatArray
    T: FloatArray
    counts: FloatArray
    place: IntArray
    tossed: IntArray


def arranged(x: FloatArray, t_x: FloatArray, T: FloatArray, shift: int, stages: int = 1) -> Rows:
    """Return the columns of a summary as `terms` reads them."""
    counts, place = distinct(x)
    return Rows(stages, x, t_x, T, counts, place, np.flatnonzero(x + shift > 0))


def terms(xi: list[FloatArray], rows: Rows, shift: int) -> RowTerms:
    """Return each row's log-likelihood with its derivatives in (r, A, l, q); A and l are one number or one per row.

    The part that depends on no parameter, (stages - 1) log_gaps - x ln Gamma(stages), is left out.
    """
    r, A, logit, q = xi
    x, place, c = rows.x, rows.place, rows.counts + shift
    K = r + rows.stages * x
    alpha, phi, mu = np.exp(A), float(np.exp(q)), expit(logit)
    a, b = phi * mu, phi * expit(-logit)
    spread = a * expit(-logit)  # da / dl = -db / dl
    tilt = spread * (1.0 - 2.0 * mu)  # d spread / dl
    M = alpha + rows.T
    log_M, inv_M = np.log(M), 1.0 / M
    share = alpha * inv_M
    g = np.empty((4, len(x)))
    H: dict[tuple[int, int], FloatArray] = {}
    # ln Gamma(K) - ln Gamma(r) + r A - K ln M
    count = rows.stages * rows.counts
    value = (gammaln(r + count) - gammaln(r))[place] + r * A - K * log_M
    g[0] = (digamma(r + count) - digamma(r))[place] + A - log_M
    g[1] = r - K * share
    H[0, 0] = (zeta(2.0, r + count) - zeta(2.0, r))[place]
    H[0, 1] = 1.0 - share
    H[1, 1] = -K * share * (1.0 - share)
    # ln Gamma(b + c) - ln Gamma(b) + ln Gamma(phi) - ln Gamma(phi + c): the tosses so far, tabulated where b is common
    if np.ndim(b):
        own = b + (x + shift)
        log_rise, P, P2 = gammaln(own) - gammaln(b), digamma(own) - digamma(b), zeta(2.0, own) - zeta(2.0, b)
    else:
        own = b + c
        log_rise, P, P2 = (
            part[place]
            for part in (gammaln(own) - gammaln(b), digamma(own) - digamma(b), zeta(2.0, own) - zeta(2.0, b))
        )
    Q, Q2 = (digamma(phi) - digamma(phi + c))[place], (zeta(2.0, phi) - zeta(2.0, phi + c))[place]
    value = value + log_rise + (gammaln(phi) - gammaln(phi + c))[place]
    g[2] = -spread * P
    g[3] = b * P + phi * Q
    H[2, 2] = spread * (spread * P2) - tilt * P
    H[2, 3] = -spread * (P + b * P2)
    H[3, 3] = b * (P + b * P2) + phi * (Q + phi * Q2)
    staged = _staged(rows, K, share, inv_M) if rows.stages > 1 else None
    if staged is not None:
        value += staged.value
        for i, slope in enumerate(staged.gradient):
            g[i] += slope
        for pair, bend in staged.hessian.items():
            H[pair] = H[pair] + bend
    _add_bracket(rows, shift, K, (alpha, logit, mu, b, spread, tilt), (log_M, inv_M), staged, RowTerms(value, g, H))
    return RowTerms(value, g, H)


def _staged(rows: Rows, K: FloatArray, share: FloatArray, inv_M: FloatArray) -> RowTerms:
    """Return h = ln S with its derivatives in (r, A); S is the chance that a living customer is silent for so long.

    `_erlang_dropout` has those in alpha; here they are alpha h_alpha, and alpha^2 h_alpha_alpha + alpha h_alpha.
    """
    S, (j, P, jj, jP, PP) = stage_means(rows.stages, K, (rows.T - rows.t_x) * inv_M)
    j_share = j * share
    return RowTerms(
        np.log(S),
        np.stack([P, -j_share]),
        {(0, 0): PP - P * P, (0, 1): (j * P - jP) * share, (1, 1): (jj - j * j + j) * share * share - j_share},
    )


def _add_bracket(
    rows: Rows,
    shift: int,
    K: FloatArray,
    of_row: tuple[FloatArray, ...],
    of_age: tuple[FloatArray, ...],
    staged: RowTerms | None,
    total: RowTerms,
) -> None:
    """Add softplus(u - h) of the customers who have tossed a coin to the total, so that h becomes ln(S + e^u).

    u = ln a - ln e + K D, e = b + c - 1, D = ln(M / (alpha + t_x)); h = ln S is 0 where `staged` is None.
    """
    value, g, H = total
    some = rows.tossed
    everybody = len(some) == len(K)

    def taken(column: FloatArray) -> FloatArray:
        return column if everybody or not np.ndim(column) else column[some]

    alpha, logit, mu, b, spread, tilt = (taken(column) for column in of_row)
    log_M, inv_M = (taken(column) for column in of_age)
    K, x, t = taken(K), taken(rows.x), alpha + taken(rows.t_x)
    e = b + (x + (shift - 1.0))
    inv_t, inv_e = 1.0 / t, 1.0 / e
    D = log_M - np.log(t)
    u = K * D + np.log(b / e) + logit
    if staged is not None:
        u -= taken(staged.value)
    small = np.exp(-np.abs(u))
    p = np.where(u > 0, 1.0, small) / (1.0 + small)
    E = alpha * (inv_M - inv_t)  # dD / dA
    ratio = spread * inv_e
    rest = 1.0 - b * inv_e
    first = [D, K * E, (1.0 - mu) + ratio, rest]
    second = {
        (0, 1): E,
        (1, 1): first[1] * (1.0 - alpha * (inv_M + inv_t)),
        (2, 2): tilt * inv_e + ratio * ratio - mu * (1.0 - mu),
        (2, 3): ratio * rest,
        (3, 3): (rest - 1.0) * rest,
    }
    if staged is not None:
        for i in range(2):
            first[i] = first[i] - taken(staged.gradient[i])
        for pair, bend in staged.hessian.items():
            second[pair] = second.get(pair, 0.0) - taken(bend)
    where = slice(None) if everybody else some
    value[where] += np.maximum(u, 0.0) + np.log1p(small)
    q = p * (1.0 - p)
    for i in range(4):
        g[i, where] += p * first[i]
        own = q * first[i]
        for j in range(i, 4):
            part = own * first[j]
            if (i, j) in second:
                part = part + p * second[i, j]
            if (i, j) not in H:
                H[i, j] = np.zeros(len(rows.x))
            H[i, j][where] += part


def moved(
    plain: tuple[float, float, float, float], rate: FloatArray | float, dropout: FloatArray | float
) -> list[FloatArray | float]:
    """Return customers' (r, alpha, a, b) from those at covariates 0; one that covariates do not move is one number."""
    r, alpha, a, b = plain
    log_a, log_b = np.log(a), np.log(b)
    total, logit = np.exp(np.logaddexp(log_a, log_b)), log_a - log_b + dropout
    own = (total * expit(logit), total * expit(-logit)) if np.ndim(dropout) else (a, b)
    return [r, np.exp(np.log(alpha) - rate) if np.ndim(rate) else alpha, *own]


def _xi(logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    log_r, log_alpha, log_a, log_b = logs.tolist()
    r, share = np.exp(log_r), float(expit(log_a - log_b))
    jacobian = np.zeros((4, 4))
    jacobian[0, 0], jacobian[1, 1] = r, 1.0
    jacobian[2, 2:] = 1.0, -1.0
    jacobian[3, 2:] = share, 1.0 - share
    return np.array([r, log_alpha, log_a - log_b, np.logaddexp(log_a, log_b)]), jacobian


def _bend(logs: FloatArray, gradient: FloatArray) -> FloatArray:
    share = float(expit(logs[2] - logs[3]))
    out = np.zeros((4, 4))
    out[0, 0] = gradient[0] * np.exp(logs[0])
    out[2:, 2:] = gradient[3] * share * (1.0 - share) * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return out


def _parameters(xi: FloatArray) -> tuple[FloatArray, FloatArray]:
    r, A, logit, q = xi.tolist()
    a, b = np.exp(q) * expit(logit), np.exp(q) * expit(-logit)
    spread = a * expit(-logit)
    jacobian = np.zeros((4, 4))
    jacobian[0, 0], jacobian[1, 1] = 1.0, np.exp(A)
    jacobian[2, 2:] = spread, a
    jacobian[3, 2:] = -spread, b
    return np.array([r, np.exp(A), a, b]), jacobian


FAMILY = Family(rate=(1, -1.0), dropout=(2, 1.0), xi=_xi, bend=_bend, parameters=_parameters)
