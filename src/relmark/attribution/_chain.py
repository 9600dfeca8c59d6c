"""The absorbing Markov chain of journeys: the chance to convert from each state, and where channels are first met.

Removing a channel loses the journeys that touch it and would have converted. A journey is lost at the first state whose
latest channel is the removed one. The loss is therefore the sum over these states of the chance that the channel is
first met there, times the chance to convert from there. All figures are sums of products of nonnegative numbers: none
is a small difference of two large ones.

Symbols: Q are the transition probabilities between the n states without self-loops (state 0 is the start). R (n, m) is
the immediate reward of a visit to a state, such as its probability to convert. h = (I - Q)^-1 R is the total reward
from a state on, and N = (I - Q)^-1 are the expected visits. label (n,) is the removal to which a state belongs, -1 for
none. phi (n,) is the probability that a journey first meets its removal in this state.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from relmark.attribution._touches import weighted
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import ConvergenceError

_DENSE = 320  # up to this number of states one inverse costs less than the iteration
_DENSE_LIMIT = 4_000  # states whose inverse still fits in 128 MB: used if the iteration is slow
_BYTES = 1 << 21  # of the masses that are iterated together: twice as fast if they fit the cache
_STEPS = 4_000
_TOLERANCE = 1e-16
_FLOOR = (
    1e-6  # losses below this share of all conversions are exact to 1e-22 of them, larger ones to 1e-16 of their own
)


class Chain(NamedTuple):
    """Transitions source to target with probability p, and rewards R; state 0 is the start."""

    source: IntArray
    target: IntArray
    p: FloatArray
    rewards: FloatArray

    @property
    def n(self) -> int:
        """The number of states."""
        return len(self.rewards)


def chain_of(source: IntArray, target: IntArray, weight: FloatArray, ends: FloatArray, rewards: FloatArray) -> Chain:
    """Return the chain of counts: `ends` (n,) journeys end in each state, with total rewards `rewards` (n, m).

    Self-loops are left out: they delay absorption, but change neither where it happens nor what was met before.
    """
    n = len(ends)
    moves = (source != target) & (weight > 0.0)
    source, target, weight = source[moves], target[moves], weight[moves]
    out = weighted(source, weight, n) + ends
    out[out == 0.0] = 1.0
    return Chain(source, target, weight / out[source], rewards / out[:, None])


def solve(chain: Chain, label: IntArray, n_labels: int) -> tuple[FloatArray, FloatArray]:
    """Return h (n, m) and phi (n,): the total reward from each state on, and where each removal is first met."""
    if chain.n <= _DENSE:
        return _by_inverse(chain, label, n_labels)
    try:
        h = success_by_iteration(chain)
        return h, first_met_by_iteration(chain, label, n_labels, h)
    except ConvergenceError:
        if chain.n <= _DENSE_LIMIT:
            return _by_inverse(chain, label, n_labels)
        return _by_sparse_factors(chain, label, n_labels)


def _by_inverse(chain: Chain, label: IntArray, n_labels: int) -> tuple[FloatArray, FloatArray]:
    system = np.eye(chain.n)
    system[chain.source, chain.target] -= chain.p
    N = np.linalg.inv(system)
    h = N @ chain.rewards
    phi = np.zeros(chain.n)
    visits = N[0]
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(n_labels + 1))
    for low, high in pairwise(bounds):
        S = order[low:high]
        # Visits to S start at the first state of S that is met: N[0, S] = phi[S] N[S, S].
        if len(S) == 1:
            phi[S] = visits[S] / N[S, S]
        elif len(S):
            phi[S] = np.linalg.solve(N[np.ix_(S, S)].T, visits[S])
    return h, phi


def success_by_iteration(chain: Chain) -> FloatArray:
    """Return h = R + Q R + Q^2 R + ..., summed until further terms cannot matter at the start."""
    Q = _matrix(chain, transposed=False)
    m = chain.rewards.shape[1]
    term = np.column_stack([chain.rewards, np.ones(chain.n)])
    h = chain.rewards.copy()
    for step in range(1, _STEPS + 1):
        term = Q @ term
        h += term[:, :m]
        if step % 8 == 0 and (term[:, m].max() * h.max(axis=0) <= _TOLERANCE * h[0]).all():
            return h
    raise ConvergenceError("journeys are too long for the iteration")


def first_met_by_iteration(chain: Chain, label: IntArray, n_labels: int, h: FloatArray) -> FloatArray:
    """Return phi by following the mass that has not met a removal yet, step by step for all removals at once.

    A removal is done when the conversions of its remaining mass cannot change its loss noticeably. That bounds the
    error, since mass that has yet to meet the channel loses at most its own conversions.
    """
    QT = _matrix(chain, transposed=True)
    worth = np.divide(h, h[0], out=np.zeros_like(h), where=h[0] > 0.0).max(axis=1)
    phi = np.zeros(chain.n)
    width = max(4, _BYTES // (8 * chain.n))
    for low in range(0, n_labels, width):
        high = min(low + width, n_labels)
        S = np.flatnonzero((label >= low) & (label < high))
        column = label[S] - low
        mass = np.zeros((chain.n, high - low))
        mass[0] = 1.0
        for step in range(1, _STEPS + 1):
            mass = QT @ mass
            phi[S] += mass[S, column]
            mass[S, column] = 0.0
            if step % 8 == 0:
                lost = weighted(column, phi[S] * worth[S], high - low)
                if (worth @ mass <= _TOLERANCE * np.maximum(lost, _FLOOR)).all():
                    break
        else:
            raise ConvergenceError("journeys are too long for the iteration")
    return phi


def _by_sparse_factors(chain: Chain, label: IntArray, n_labels: int) -> tuple[FloatArray, FloatArray]:
    """Return h and phi from one sparse factorization, for many states with long, chain-like journeys."""
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import splu

    factors: Any = splu((eye_array(chain.n, format="csc") - _matrix(chain, transposed=False)).tocsc())
    h = factors.solve(chain.rewards)
    start = np.zeros(chain.n)
    start[0] = 1.0
    visits = factors.solve(start, "T")
    phi = np.zeros(chain.n)
    for removal in range(n_labels):
        S = np.flatnonzero(label == removal)
        columns = np.zeros((chain.n, len(S)))
        columns[S, np.arange(len(S))] = 1.0
        phi[S] = np.linalg.solve(factors.solve(columns)[S].T, visits[S])
    return h, phi


def _matrix(chain: Chain, *, transposed: bool) -> Any:
    from scipy.sparse import csr_array

    rows, columns = (chain.target, chain.source) if transposed else (chain.source, chain.target)
    return csr_array((chain.p, (rows, columns)), shape=(chain.n, chain.n))
