"""Vectors of customers whom the fit did not see, computed from their purchases and the vectors of items."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from relmark.recommend._blas import one_blas_thread
from relmark.recommend._history import History

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
_NEWTON_STEPS = 25


@one_blas_thread()
def fold_in(items: FloatArray, past: History, regularization: float, alpha: float) -> FloatArray:
    """Return the vectors of customers from their purchases and the items' vectors, shape (n, f).

    Hu, Koren and Volinsky 2008, eq. 4: ``x_u = (Y'Y + Y'(C_u - I)Y + lambda I)^-1 Y'C_u p(u)``, exactly.
    """
    n, f = len(past), items.shape[1]
    Y = items.astype(np.float64)
    base = Y.T @ Y + regularization * np.eye(f)
    confidence = alpha * past.weight.astype(np.float64)
    plain = bool((confidence == 1.0).all())
    vectors = np.zeros((n, f), dtype=np.float32)
    step = max((32 << 20) // (8 * f * (f if not plain else 1)), 1)
    for low in range(0, n, step):
        high = min(low + step, n)
        rows = past.slice(low, high)
        c = confidence[past.indptr[low] : past.indptr[high]]
        b = _sums_of(rows, items=Y, weight=c)
        if plain:  # every C_u is I: one system for all customers
            vectors[low:high] = np.linalg.solve(base, b.T).T
            continue
        A = np.empty((high - low, f, f))
        for u in range(high - low):
            entries = slice(rows.indptr[u], rows.indptr[u + 1])
            own = Y[rows.item[entries]]
            A[u] = base + (own.T * (c[entries] - 1.0)) @ own
        vectors[low:high] = np.linalg.solve(A, b[:, :, None])[:, :, 0]
    return vectors


def _sums_of(rows: History, items: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.sparse import csr_matrix

    product: Any = csr_matrix((weight, rows.item, rows.indptr), shape=(len(rows), len(items))) @ items
    return np.asarray(product)


@one_blas_thread()
def fold_in_pairwise(items: FloatArray, past: History, regularization: float) -> FloatArray:
    """Return vectors of customers that rank their purchases above the average of the rest, shape (n, f + 1).

    This is the objective of BPR (Rendle et al. 2009, section 4.1) with the mean of the items that were not bought
    instead of drawn ones: ``max sum_i ln sigma(u (v_i - v) + b_i - b) - lambda / 2 |u|^2``. It is concave, and is
    solved by Newton steps. The last column of `items` is their bias; the last column of the result is 1.
    """
    vectors = np.zeros((len(past), items.shape[1]), dtype=np.float32)
    for u in range(len(past)):
        if past.indptr[u + 1] > past.indptr[u]:
            vectors[u, :-1] = pairwise(items, past.item[past.indptr[u] : past.indptr[u + 1]], regularization)[0]
            vectors[u, -1] = 1.0
    return vectors


def pairwise(items: FloatArray, own: npt.NDArray[Any], regularization: float) -> tuple[Doubles, Doubles, Doubles]:
    """Return one customer's vector u, the differences d_i, shape (h, f), and a_i with ``u = sum_i a_i d_i``."""
    V = items.astype(np.float64)
    rest = np.ones(len(V), dtype=np.bool_)
    rest[own] = False
    rest &= V.any(axis=1)
    mean = V[rest].mean(axis=0) if rest.any() else np.zeros(V.shape[1])
    gap = V[own] - mean
    d, c = gap[:, :-1], gap[:, -1]
    weight = regularization * len(own)
    u = np.zeros(d.shape[1])
    for _ in range(_NEWTON_STEPS):
        miss = expit(-(d @ u + c))  # 1 - sigma
        gradient = d.T @ miss - weight * u
        hessian = (d.T * (miss * (1.0 - miss))) @ d + weight * np.eye(len(u))
        step = np.linalg.solve(hessian, gradient)
        u = u + step
        if np.abs(step).max() <= 1e-10 * max(np.abs(u).max(), 1e-10):
            break
    share = expit(-(d @ u + c)) / weight  # where the gradient is 0, u = sum_i share_i d_i
    return share @ d, d, share
