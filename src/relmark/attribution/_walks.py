"""Draw journeys from transition counts: all walkers take their next step at once."""

from __future__ import annotations

import numpy as np

from relmark.attribution._transforms import merged
from relmark.attribution.journeys import Journeys
from relmark.attribution.transitions import TransitionCounts
from relmark.core.errors import NotEnoughDataError


def walk(counts: TransitionCounts, n: int, rng: np.random.Generator, most: int) -> Journeys:
    """Return n drawn journeys, cut after `most` touches, with equal paths merged.

    A step of a walker is one search for a random number among the cumulated weights of the moves from its state.
    """
    states = len(counts.grams)
    ends = np.arange(states)
    source = np.concatenate([counts.source, ends, ends])
    target = np.concatenate([counts.target, np.full(states, states), np.full(states, states + 1)])
    weight = np.concatenate([counts.weight, counts.conversions, counts.nulls])
    source, target, weight = source[weight > 0.0], target[weight > 0.0], weight[weight > 0.0]
    if not (source == 0).any():
        raise NotEnoughDataError(
            "journeys of the fit had no touches: there is nothing to draw from.", argument="journeys"
        )
    order = np.argsort(source, kind="stable")
    source, target, weight = source[order], target[order], weight[order]
    first = np.searchsorted(source, np.arange(states + 1))
    cumulated = np.concatenate(([0.0], np.cumsum(weight)))
    low, high = cumulated[first[:-1]], cumulated[first[1:]]

    state = np.zeros(n, dtype=np.int64)
    alive = np.arange(n)
    walkers, touched = [], []
    converted = np.zeros(n, dtype=np.bool_)
    final = np.zeros(n, dtype=np.int64)
    for _ in range(most + 1):
        here = state[alive]
        draw = low[here] + rng.random(len(alive)) * (high[here] - low[here])
        row = np.clip(np.searchsorted(cumulated, draw, side="right") - 1, first[here], first[here + 1] - 1)
        to = target[row]
        converted[alive[to == states]] = True
        final[alive[to == states]] = here[to == states]
        moves = to < states
        alive, to = alive[moves], to[moves]
        if len(alive) == 0 or _ == most:
            break
        state[alive] = to
        walkers.append(alive)
        touched.append(counts.grams[to, -1])
    walker = np.concatenate(walkers)
    by_walker = np.argsort(walker, kind="stable")
    value = None
    if counts.value is not None:
        worth = np.divide(counts.value, counts.conversions, out=np.zeros(states), where=counts.conversions > 0.0)
        value = np.where(converted, worth[final], 0.0)
    single = Journeys(
        codes=np.concatenate(touched)[by_walker],
        offsets=np.concatenate(([0], np.cumsum(np.bincount(walker, minlength=n)))),
        channels=counts.channels,
        conversions=converted.astype(np.float64),
        value=value,
        nulls=(~converted).astype(np.float64),
    )
    fields = merged(single)
    return Journeys(channels=counts.channels, **fields)
