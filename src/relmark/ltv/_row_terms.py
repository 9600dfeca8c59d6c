"""Turn the likelihood of each customer in their own parameters into one in common parameters and coefficients.

A model with covariates gives every customer four numbers xi: two that all share, one that moves with the covariates of
the rate, and one that moves with those of leaving. Both move linearly, xi_i = xi_0 + sign z_i' g, so that the gradient
and the Hessian in (xi_0, g, h) are exact weighted sums of those of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from relmark.core.checks import FloatArray
from relmark.core.newton import Terms


class RowTerms(NamedTuple):
    """The log-likelihood of each row, (n,), its gradient in xi, (4, n), and its Hessian by pairs i <= j."""

    value: FloatArray
    gradient: FloatArray
    hessian: dict[tuple[int, int], FloatArray]


class Family(NamedTuple):
    """How a family of models is differentiated row by row.

    Parameters
    ----------
    rate, dropout : tuple of (int, float)
        Which of the four xi the covariates move, and with which sign.
    xi : callable
        Takes the logarithms of the four parameters to xi and the Jacobian d xi / d logarithm, shape (4, 4).
    bend : callable
        Takes the logarithms and the gradient in xi to the second-order part of the Hessian in the logarithms.
    parameters : callable
        Takes xi to the four parameters and the Jacobian d parameters / d xi.
    """

    rate: tuple[int, float]
    dropout: tuple[int, float]
    xi: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    bend: Callable[[FloatArray, FloatArray], FloatArray]
    parameters: Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def of_each(family: Family, xi: FloatArray, rate: FloatArray | float, dropout: FloatArray | float) -> list[FloatArray]:
    """Return xi of each customer, given what the covariates add to the rate and to leaving."""
    own: list[FloatArray] = list(xi)
    for (place, sign), moved in ((family.rate, rate), (family.dropout, dropout)):
        own[place] = own[place] + sign * moved
    return own


def in_coefficients(
    rows: RowTerms, family: Family, weights: FloatArray | None, rate: FloatArray, dropout: FloatArray
) -> Terms:
    """Return the sums of the rows' terms in (xi_0, g, h), for covariate matrices of shape (n, k)."""
    (at_rate, sign_rate), (at_dropout, sign_dropout) = family.rate, family.dropout
    Z, W = sign_rate * rate, sign_dropout * dropout
    w = np.ones(len(rows.value)) if weights is None else weights
    g = rows.gradient * w
    H = {pair: part * w for pair, part in rows.hessian.items()}

    def of(i: int, j: int) -> FloatArray | None:
        return H.get((min(i, j), max(i, j)))

    k, m = Z.shape[1], W.shape[1]
    gradient = np.concatenate([g.sum(axis=1), Z.T @ g[at_rate], W.T @ g[at_dropout]])
    hessian = np.zeros((4 + k + m, 4 + k + m))
    for i in range(4):
        for j in range(4):
            if (part := of(i, j)) is not None:
                hessian[i, j] = part.sum()
        if k and (part := of(i, at_rate)) is not None:
            hessian[i, 4 : 4 + k] = hessian[4 : 4 + k, i] = Z.T @ part
        if m and (part := of(i, at_dropout)) is not None:
            hessian[i, 4 + k :] = hessian[4 + k :, i] = W.T @ part
    of_rate, of_dropout = slice(4, 4 + k), slice(4 + k, None)
    for down, across, left, pair, right in (
        (of_rate, of_rate, Z, (at_rate, at_rate), Z),
        (of_dropout, of_dropout, W, (at_dropout, at_dropout), W),
        (of_rate, of_dropout, Z, (at_rate, at_dropout), W),
    ):
        if left.shape[1] and right.shape[1] and (part := of(*pair)) is not None:
            hessian[down, across] = left.T @ (part[:, None] * right)
    hessian[of_dropout, of_rate] = hessian[of_rate, of_dropout].T
    return float(w @ rows.value), gradient, hessian
