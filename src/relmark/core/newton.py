"""A damped Newton method for log-likelihoods: exact Hessian, eigenvalue floor, a box in log parameters.

Models are fitted in theta = log(parameter / scale): the parameters stay positive, the surface is close to a parabola,
and nothing depends on the unit of time or money. With exact second derivatives, about five evaluations are enough for
any number of customers. On a flat ridge, the eigenvalue floor keeps the steps finite until the box stops them. (The
likelihoods use zeta(2, v) for trigamma(v), because a call of scipy's polygamma takes 20 microseconds longer.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray

# Value, gradient (k,) and Hessian (k, k) of a log-likelihood with respect to the parameters themselves.
Terms = tuple[float, FloatArray, FloatArray]

BOX = 10.0  # theta stays between -10 and 10: parameters between 1/22,026 and 22,026 times their scale
_LONGEST_STEP = 2.5
_DECREMENT = 1e-11  # in units of log-likelihood; the step after it changes nothing that is printed
_ROUNDING = 1e-5  # if the expected rise is smaller, rounding errors of the value hide whether a step was better
_FLOOR = 1e-10
_MERGED = 0.2  # a step that lands so close to a known maximum, and where the parabola has a top, leads to it


class Maximum(NamedTuple):
    """The point where Newton's method stopped: theta, the likelihood's terms in theta, and how it was reached."""

    theta: FloatArray
    value: float
    gradient: FloatArray
    hessian: FloatArray
    evaluations: int
    settled: bool
    at_box: npt.NDArray[np.bool_]
    merged: bool = False  # stopped on the way to a maximum that was known before


class _Step(NamedTuple):
    """A Newton step, the rise that the parabola predicts for it, and whether the parabola has a top."""

    step: FloatArray
    decrement: float
    definite: bool


def in_logarithms(terms: Terms, parameters: FloatArray) -> Terms:
    """Return the terms with respect to log parameters: g_i p_i, and H_ij p_i p_j + delta_ij g_i p_i."""
    value, gradient, hessian = terms
    log_gradient = gradient * parameters
    in_logs = hessian * (parameters[:, None] * parameters)
    in_logs.reshape(-1)[:: len(parameters) + 1] += log_gradient
    return value, log_gradient, in_logs


def maximize(
    objective: Callable[[FloatArray], Terms],
    start: FloatArray,
    *,
    known: Sequence[FloatArray] = (),
    limit: int = 200,
) -> Maximum:
    """Return the maximum of an objective of theta that is reached from a start within the box.

    Each step solves the Newton system with the negative Hessian's eigenvalues replaced by their absolute values, not
    below a floor, and is shortened until the objective rises. A coordinate at the edge of the box whose gradient points
    outward stays there. Close to the maximum, the gradient is decisive instead of the value: a full step is taken if it
    lowers the predicted rise, and if no step does, the maximum is as exact as rounding allows.

    Parameters
    ----------
    objective : callable
        theta (k,) to value, gradient (k,) and Hessian (k, k).
    start : ndarray, shape (k,)
        Where to begin.
    known : sequence of ndarray, shape (k,)
        Maxima that were found before; a search stops when its next step lands at one of them.
    limit : int
        The largest number of evaluations.
    """
    theta = start
    value, gradient, hessian = objective(theta)
    evaluations, settled, merged = 1, False, False
    if not np.isfinite(value):
        nowhere = np.zeros(len(start), dtype=np.bool_)
        return Maximum(theta, -np.inf, gradient, hessian, evaluations, settled=False, at_box=nowhere)
    step = _newton_step(theta, gradient, hessian)
    while evaluations < limit:
        if step.decrement < _DECREMENT:
            settled = True
            break
        if step.definite and any(np.abs(theta + step.step - other).max() < _MERGED for other in known):
            merged = True
            break
        close = step.definite and step.decrement < _ROUNDING
        longest = float(np.abs(step.step).max())
        fraction = min(1.0, _LONGEST_STEP / longest)
        moved = False
        while fraction * longest > 1e-12 and evaluations < limit:
            trial = np.clip(theta + fraction * step.step, -BOX, BOX)
            terms = objective(trial)
            evaluations += 1
            if np.isfinite(terms[0]):
                after = _newton_step(trial, terms[1], terms[2])
                better = after.decrement < 0.5 * step.decrement if close else False
                if better or (not close and terms[0] >= value - 1e-13 * abs(value)):
                    theta, (value, gradient, hessian), step, moved = trial, terms, after, True
                    break
            if close:
                break
            fraction /= 4.0
        if not moved:
            settled = close
            break
    at_box = (np.abs(theta) >= BOX) & (theta * gradient > 0)
    return Maximum(theta, value, gradient, hessian, evaluations, settled, at_box, merged)


def _newton_step(theta: FloatArray, gradient: FloatArray, hessian: FloatArray) -> _Step:
    """Return the step of the free coordinates: all but those at the edge of the box whose gradient points outward."""
    held = (np.abs(theta) >= BOX) & (theta * gradient > 0)
    if not held.any():
        return _Step(*_solved(gradient, hessian))
    step = np.zeros(len(gradient))
    if held.all():
        return _Step(step, 0.0, definite=True)
    free = ~held
    step[free], decrement, definite = _solved(gradient[free], hessian[np.ix_(free, free)])
    return _Step(step, decrement, definite)


def _solved(gradient: FloatArray, hessian: FloatArray) -> tuple[FloatArray, float, bool]:
    roots, vectors = np.linalg.eigh(-hessian)
    floor = max(_FLOOR, 1e-13 * float(max(-roots[0], roots[-1])))
    step = vectors @ ((gradient @ vectors) / np.maximum(np.abs(roots), floor))
    return step, 0.5 * float(gradient @ step), bool(roots[0] > floor)
