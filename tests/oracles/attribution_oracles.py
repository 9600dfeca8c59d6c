"""Slow, obvious versions of the attribution models, on plain lists and dictionaries."""

from __future__ import annotations

import math
from collections import defaultdict
from fractions import Fraction
from itertools import permutations

import numpy as np


def solve_fractions(matrix, right):
    """Return the exact solution of a linear system by Gauss-Jordan elimination."""
    n = len(matrix)
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k in range(n):
        pivot = next(r for r in range(k, n) if rows[r][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for r in range(n):
            if r != k and rows[r][k] != 0:
                factor = rows[r][k]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]


def chain(paths, conversions, nulls, order, value=None):
    """Return the states, exact transition probabilities with self-loops, and the chance (or reward) at each end."""
    moves = defaultdict(Fraction)
    out = defaultdict(Fraction)
    ends = defaultdict(Fraction)
    for row, path in enumerate(paths):
        weight = Fraction(conversions[row]) + Fraction(nulls[row])
        state = (None,) * order
        for channel in path:
            following = (*state[1:], channel)
            moves[state, following] += weight
            out[state] += weight
            state = following
        out[state] += weight
        ends[state] += Fraction(conversions[row] if value is None else value[row])
    states = sorted(out, key=lambda s: [(c is not None, c or "") for c in s])
    start = states.index((None,) * order)
    states = [states[start], *states[:start], *states[start + 1 :]]
    return (
        states,
        {pair: w / out[pair[0]] for pair, w in moves.items() if out[pair[0]]},
        {s: ends[s] / out[s] if out[s] else Fraction(0) for s in states},
    )


def reward_without(paths, conversions, nulls, order, removed, value=None):
    """Return the exact expected reward of a journey when the removed channels lead nowhere."""
    states, moves, ends = chain(paths, conversions, nulls, order, value)
    alive = [s for s in states if s[-1] not in removed]
    place = {s: k for k, s in enumerate(alive)}
    matrix = [[Fraction(int(a == b)) for b in range(len(alive))] for a in range(len(alive))]
    for (a, b), p in moves.items():
        if a in place and b in place:
            matrix[place[a]][place[b]] -= p
    return solve_fractions(matrix, [ends[s] for s in alive])[0]


def removal_effects(paths, conversions, nulls, channels, order, value=None):
    """Return the exact removal effect of each channel as a Fraction."""
    every = reward_without(paths, conversions, nulls, order, set(), value)
    return [1 - reward_without(paths, conversions, nulls, order, {c}, value) / every for c in channels]


def removal_effects_by_woodbury(paths, conversions, nulls, channels, order):
    """Return removal effects from one dense inverse and a correction of the channel's rank for each removal."""
    states, moves, ends = chain(paths, conversions, nulls, order)
    place = {s: k for k, s in enumerate(states)}
    system = np.eye(len(states))
    for (a, b), p in moves.items():
        system[place[a], place[b]] -= float(p)
    N = np.linalg.inv(system)
    h = N @ [float(ends[s]) for s in states]
    effects = []
    for channel in channels:
        S = [place[s] for s in states if s[-1] == channel]
        # Without the moves into S: (I - Q + Q[:, S])^-1 by Sherman, Morrison and Woodbury.
        U = np.eye(len(states))[:, S] - system[:, S]
        core = np.linalg.inv(np.eye(len(S)) + (N @ U)[S])
        without = h[0] - (N @ U)[0] @ core @ h[S]
        effects.append(1 - without / h[0])
    return np.array(effects)


def removal_effects_by_walks(paths, conversions, nulls, channels, order, steps):
    """Return removal effects by following all mass step by step, once per channel, until it is absorbed."""
    states, moves, ends = chain(paths, conversions, nulls, order)
    place = {s: k for k, s in enumerate(states)}
    Q = np.zeros((len(states), len(states)))
    for (a, b), p in moves.items():
        Q[place[a], place[b]] = float(p)
    r = np.array([float(ends[s]) for s in states])

    def reward(removed):
        lost = np.array([s[-1] in removed for s in states])
        mass, total = np.zeros(len(states)), 0.0
        mass[0] = 1.0
        for _ in range(steps):
            total += mass @ r
            mass = mass @ Q
            mass[lost] = 0.0
        return total

    every = reward(set())
    return np.array([1 - reward({channel}) / every for channel in channels])


def shapley_by_permutations(players, worth):
    """Return Shapley values as the mean marginal contribution over all orders of arrival."""
    values = dict.fromkeys(players, Fraction(0))
    for order in permutations(players):
        coalition = frozenset()
        for player in order:
            values[player] += Fraction(worth(coalition | {player})) - Fraction(worth(coalition))
            coalition |= {player}
    return [values[player] / math.factorial(len(players)) for player in players]


def shapley_by_dividends(players, worth):
    """Return Shapley values as shared Harsanyi dividends."""
    n = len(players)
    names = [frozenset(p for k, p in enumerate(players) if mask >> k & 1) for mask in range(1 << n)]
    dividends = []
    for mask in range(1 << n):
        subsets = sum(dividends[sub] for sub in range(mask) if sub & mask == sub)
        dividends.append(Fraction(worth(names[mask])) - subsets)
    return [sum(dividends[mask] / mask.bit_count() for mask in range(1 << n) if mask >> k & 1) for k in range(n)]
