"""Damped Newton for log-likelihoods: exact Hessian, eigenvalue floor, a box in the logarithm of the parameters.

Every model of this room is fitted in theta = log(parameter / scale): the parameters stay positive, the surface is close
to a parabola, and nothing depends on the unit of time or money. With exact second derivatives five or so evaluations
are enough at any number of customers; on a flat ridge the floor of the eigenvalues keeps the steps finite until the
box ends them. (The likelihoods write trigamma(v) as zeta(2, v): scipy's polygamma takes 20 microseconds to call it.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# Value, gradient (k,) and Hessian (k, k) of a log-likelihood with respect to the parameters themselves.
Terms = tuple[float, FloatArray, FloatArray]

BOX = 10.0  # theta stays within e^10 = 22,026 times the start, either way
_LONGEST_STEP = 2.5
_DECREMENT = 1e-11  # in units of log-likelihood; the step after it changes nothing that is printed
_FLOOR = 1e-10


class Maximum(NamedTuple):
    """Where Newton stopped: theta, the likelihood's terms in theta, and how it came there."""

    theta: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray
    evaluations: int
    settled: bool
    at_box: npt.NDArray[np.bool_]


def in_logarithms(terms: Terms, parameters: FloatArray) -> Terms:
    """Return the terms with respect to log parameters: g_i p_i, and H_ij p_i p_j + delta_ij g_i p_i."""
    value, gradient, hessian = terms
    log_gradient = gradient * parameters
    return value, log_gradient, hessian * np.outer(parameters, parameters) + np.diag(log_gradient)


def maximise(objective: Callable[[FloatArray], Terms], size: int, *, limit: int = 200) -> Maximum:
    """Return the maximum of an objective of theta, from theta = 0 and within the box.

    Each step solves the Newton system with the negative Hessian's eigenvalues replaced by their absolute values, not
    below a floor, and is halved until the objective rises. A coordinate at the box that wants to leave it stays there.
    """
    theta = np.zeros(size)
    value, gradient, hessian = objective(theta)
    evaluations, settled = 1, False
    while evaluations < limit:
        free = ~((np.abs(theta) >= BOX) & (theta * gradient > 0))
        step, decrement = _newton_step(gradient, hessian, free)
        if decrement < _DECREMENT:
            settled = True
            break
        longest = np.abs(step).max()
        fraction = min(1.0, _LONGEST_STEP / longest)
        moved = False
        while fraction * longest > 1e-12 and evaluations < limit:
            trial = np.clip(theta + fraction * step, -BOX, BOX)
            terms = objective(trial)
            evaluations += 1
            # A rise smaller than rounding is still a rise: close to the maximum the gradient decides, not the value.
            if np.isfinite(terms[0]) and terms[0] >= value - 1e-13 * abs(value):
                theta, (value, gradient, hessian), moved = trial, terms, True
                break
            fraction /= 4.0
        if not moved:
            break
    at_box = (np.abs(theta) >= BOX) & (theta * gradient > 0)
    return Maximum(theta, value, gradient, hessian, evaluations, settled, at_box)


def _newton_step(gradient: FloatArray, hessian: FloatArray, free: npt.NDArray[np.bool_]) -> tuple[FloatArray, float]:
    """Return the step of the free coordinates, and half of gradient times step: the rise that a parabola promises."""
    step = np.zeros(len(gradient))
    if not free.any():
        return step, 0.0
    roots, vectors = np.linalg.eigh(-hessian[np.ix_(free, free)])
    size = np.maximum(np.abs(roots), max(_FLOOR, 1e-13 * np.abs(roots).max()))
    step[free] = vectors @ ((vectors.T @ gradient[free]) / size)
    return step, 0.5 * float(gradient @ step)
