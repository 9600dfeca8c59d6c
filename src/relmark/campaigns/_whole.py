"""From prices to an allocation: clear choices stay, and an integer program decides the few that are split or tied.

At the best prices all but a few customers (about as many as there are limits) have one best choice. The customers with
the smallest margins are decided together by a small integer program, within what the others leave of the limits.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from relmark.campaigns._limits import Allotment, Chosen, Limits
from relmark.core.checks import BoolArray, FloatArray, IntArray

__all__ = ["broken", "decide", "feasible_part", "solve_whole"]

_FREE = 12
_MOST_FREE = 2_000
_NODES = 100
_REACH = 3.0
_ENOUGH = 1e-6


def broken(limits: Limits, chosen: BoolArray) -> FloatArray:
    """Return by how much each limit is exceeded, beyond rounding errors; 0 where it is respected."""
    loads = limits.loads(chosen)
    slack = np.abs(limits.bound) + np.abs(loads)
    over = loads - limits.bound
    return np.where(over > slack * 1e-12, over, 0.0)


def decide(problem: Allotment, choice: Chosen, price: FloatArray, bound: float, unit: float) -> BoolArray | None:
    """Return an allocation within the limits, near the choices at some prices; None if none was found.

    At first, customers without a clear choice can only get offers near their best one. If the result comes within a
    millionth of the bound, it is good enough. Otherwise they can get all offers, and then more customers are decided.
    """
    margin, pairs = choice.margin, choice.pairs
    assert margin is not None
    assert pairs is not None
    chosen = _tied(problem, pairs, margin, unit)
    free = min(_FREE + 2 * len(problem.limits), problem.n)
    found: BoolArray | None = None
    most = -np.inf
    worth = abs(float(problem.values[chosen].sum()))
    narrow = problem.most == 1
    while True:
        rows = np.sort(np.argsort(margin, kind="stable")[:free])
        rest = chosen.copy()
        rest[:, rows] = False
        part = problem.take(rows, problem.limits.bound - problem.limits.loads(rest))
        kept = float(problem.values[:, rows][chosen[:, rows]].sum())
        slack = min(5e-7 * worth / abs(kept), 0.01) if kept else 0.0
        if narrow:
            part = _near(part, price, _REACH * float(margin[rows].max(initial=0.0)))
        small, _ = solve_whole(part, slack)
        if small is not None:
            rest[:, rows] = small
            value = float(problem.values[rest].sum())
            if value > most and not broken(problem.limits, rest).any():
                found, most = rest, value
        if found is not None and (not narrow or bound - most <= _ENOUGH * abs(bound)):
            return found
        if narrow:
            narrow = False
        elif free >= min(_MOST_FREE, problem.n):
            return _without_the_least(problem, chosen)
        else:
            free = min(free * 4, _MOST_FREE, problem.n)


def _near(problem: Allotment, price: FloatArray, reach: float) -> Allotment:
    """Return the problem without offers that are worse than a customer's best one by more than a reach."""
    limits = problem.limits
    left = problem.values - (limits.plain * price[:, None]).sum(axis=0)[:, None]
    for (limit, offer), weights in limits.dense.items():
        left[offer] -= price[limit] * weights
    best = np.maximum(left.max(axis=0, initial=-np.inf), 0.0)
    return attrs.evolve(problem, values=np.where(left >= best - reach, problem.values, -np.inf))


def solve_whole(problem: Allotment, slack: float = 0.0) -> tuple[BoolArray | None, float]:
    """Return the best allocation of a small problem (None if none was found) and an upper bound of its value.

    `slack` is the relative gap to the best that is good enough, if the problem is a part of a larger one.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    k, n, limits = len(problem.values), problem.n, problem.limits
    offer, row = np.nonzero(np.isfinite(problem.values))
    chosen = np.zeros((k, n), dtype=np.bool_)
    if not len(row):
        return (None if (limits.bound < 0).any() else chosen), 0.0
    value = problem.values[offer, row]
    unit = float(np.abs(value).max()) or 1.0
    at_row, at_column = row.astype(np.int32), np.arange(len(row), dtype=np.int32)  # the type that HiGHS needs
    one_each = csr_array((np.ones(len(row)), (at_row, at_column)), shape=(n, len(row)))
    weight = _weights(limits, offer, row, k)
    scale = _scale(weight)
    spare = np.zeros(len(limits))
    bound = np.inf
    for attempt in range(3):
        rules = [LinearConstraint(one_each, -np.inf, problem.most)] if problem.most < k else []
        if len(limits):
            rules.append(LinearConstraint(weight / scale[:, None], -np.inf, limits.bound / scale - spare))
        found = milp(
            -value * (1e3 / unit), integrality=np.ones(len(row), dtype=np.int64), bounds=Bounds(0, 1),
            constraints=rules,
            options={"mip_rel_gap": slack, "node_limit": _NODES, "presolve": True},
        )  # fmt: skip
        if attempt == 0 and found.mip_dual_bound is not None:
            bound = -float(found.mip_dual_bound) * (unit / 1e3)
        if found.x is None:
            return None, bound
        chosen = np.zeros((k, n), dtype=np.bool_)
        picked = np.asarray(found.x) > 0.5
        chosen[offer[picked], row[picked]] = True
        over = broken(limits, chosen)
        if not over.any():
            return chosen, bound
        # The solver respects limits only up to a tolerance: solve again with tighter limits.
        spare = np.where(over > 0, spare + np.maximum(4 * over / scale, 1e-6), spare)
    return None, bound


def _weights(limits: Limits, offer: IntArray, row: IntArray, k: int) -> FloatArray:
    """Return the weight in each limit of each pair of an offer and a row, shape (limits, pairs)."""
    weight = np.empty((len(limits), len(row)))
    for limit in range(len(limits)):
        for one in range(k):
            at = offer == one
            weight[limit, at] = limits.weight(limit, one, row[at])
    return weight


def _scale(weight: FloatArray) -> FloatArray:
    """Return the largest weight of each limit, or 1 if all are 0."""
    scale = np.abs(weight).max(axis=1, initial=0.0)
    return np.where(scale > 0, scale, 1.0)


def _without_the_least(problem: Allotment, chosen: BoolArray) -> BoolArray | None:
    """Drop the choices with the least value per weight until every upper limit is respected."""
    chosen = chosen.copy()
    for _ in range(4 * len(problem.limits)):
        over = broken(problem.limits, chosen)
        if not over.any():
            return chosen
        limit = int(np.argmax(over > 0))
        offer, row = np.nonzero(chosen)
        weight = np.empty(len(row))
        for one in range(len(problem.values)):
            at = offer == one
            weight[at] = problem.limits.weight(limit, one, row[at])
        heavy = np.flatnonzero(weight > 0)
        if not len(heavy):
            return None
        order = heavy[np.argsort(problem.values[offer[heavy], row[heavy]] / weight[heavy], kind="stable")]
        gone = int(np.searchsorted(np.cumsum(weight[order]), over[limit] * (1 - 1e-12))) + 1
        chosen[offer[order[:gone]], row[order[:gone]]] = False
    return None if broken(problem.limits, chosen).any() else chosen


def _tied(problem: Allotment, chosen: BoolArray, margin: FloatArray, unit: float) -> BoolArray:
    """Return the choices, with the offers to many tied customers distributed within the limits.

    Customers near a tie who have equal values and weights form a group. A small integer program decides how many
    customers of each group get each offer, and the order of the customers decides who.
    """
    tied = np.flatnonzero(margin <= 1e-3 * unit)
    if len(tied) <= _FREE + 2 * len(problem.limits) or problem.most > 1:
        return chosen
    values = problem.values[:, tied]
    limits = problem.limits
    rest = chosen.copy()
    rest[:, tied] = False
    weighed = [weights[tied] for weights in limits.dense.values()]
    keys = np.ascontiguousarray(np.concatenate([values, np.array(weighed).reshape(len(weighed), len(tied))]).T)
    alike, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)  # numpy 2.0.0 gives a column
    if len(alike) > 2_000 or 2 * len(alike) > len(tied):
        return chosen
    sizes = np.bincount(group, minlength=len(alike))
    first = np.zeros(len(alike), dtype=np.int64)
    first[group[::-1]] = np.arange(len(tied))[::-1]
    counts = _shares(problem.take(tied[first], limits.bound - limits.loads(rest)), sizes)
    if counts is None:
        return chosen
    shared = rest
    order: IntArray = np.argsort(group, kind="stable")
    place = np.arange(len(tied)) - np.concatenate([[0], np.cumsum(sizes)[:-1]])[group[order]]
    ends = np.cumsum(counts, axis=0)
    for offer in range(len(values)):
        low = ends[offer] - counts[offer]
        mine = (place >= low[group[order]]) & (place < ends[offer][group[order]])
        shared[offer, tied[order[mine]]] = True
    return shared


def _shares(groups: Allotment, sizes: IntArray) -> IntArray | None:
    """Return how many customers of each group get each offer, shape (offers, groups)."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    k, limits = len(groups.values), groups.limits
    offer, row = np.nonzero(np.isfinite(groups.values))
    value = groups.values[offer, row]
    unit = float(np.abs(value).max(initial=0.0)) or 1.0
    weight = _weights(limits, offer, row, k)
    scale = _scale(weight)
    each = csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=(len(sizes), len(row)))
    found = milp(
        -value / unit, integrality=np.ones(len(row), dtype=np.int64), bounds=Bounds(0, sizes[row]),
        constraints=[LinearConstraint(each, -np.inf, sizes),
                     LinearConstraint(weight / scale[:, None], -np.inf, limits.bound / scale)],
        options={"mip_rel_gap": 1e-6, "node_limit": _NODES, "presolve": True},
    )  # fmt: skip
    if found.x is None:
        return None
    counts = np.zeros((k, len(sizes)), dtype=np.int64)
    counts[offer, row] = np.round(found.x).astype(np.int64)
    return counts


def feasible_part(problem: Allotment) -> tuple[bool, FloatArray]:
    """Return whether all limits could be met by dividing customers and, if not, the least misses of each limit."""
    from scipy.optimize import linprog
    from scipy.sparse import block_array, csr_array

    limits, n = problem.limits, problem.n
    offer, row = np.nonzero(np.isfinite(problem.values))
    weight = _weights(limits, offer, row, len(problem.values))
    scale = limits.scale()
    each: Any = csr_array((np.ones(len(row)), (row, np.arange(len(row)))), shape=(n, len(row)))
    slack: Any = csr_array(-np.eye(len(limits)))
    rows = block_array([[csr_array(weight / scale[:, None]), slack], [each, None]])
    found = linprog(
        np.concatenate([np.zeros(len(row)), np.ones(len(limits))]),
        A_ub=rows, b_ub=np.concatenate([limits.bound / scale, np.full(n, float(problem.most))]),
        bounds=[*[(0.0, 1.0)] * len(row), *[(0.0, None)] * len(limits)], method="highs",
    )  # fmt: skip
    missed = np.maximum(np.asarray(found.x)[len(row) :], 0.0) * scale
    return bool((missed <= 1e-7 * np.maximum(np.abs(limits.bound), scale)).all()), np.asarray(missed)
