"""Select the order of a Markov model, the number of touches to remember: held-out likelihood, AIC and BIC by order.

A higher order follows journeys more closely, but has to learn more transitions from the same data. The held-out
log-likelihood scores every journey by the counts of all other journeys, so that a transition that was seen only once
does not support itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np

from relmark.attribution._touches import journey_of_touch, weighted
from relmark.attribution.journeys import Journeys
from relmark.attribution.transitions import TransitionCounts, _states
from relmark.core.checks import FloatArray, IntArray, whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.results import ColumnarResult

__all__ = ["OrderSelection", "order_selection"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class OrderSelection(ColumnarResult):
    """How well Markov models of several orders describe journeys, with one row per order.

    Parameters
    ----------
    order : ndarray of int64, shape (K,)
        The order of the model.
    states, parameters : ndarray of int64, shape (K,)
        The number of observed states, and the number of free transition probabilities: observed transitions minus one
        per state.
    log_likelihood : ndarray of float64, shape (K,)
        The log-likelihood of the journeys under the model fitted on them.
    held_out : ndarray of float64, shape (K,)
        The sum over journeys of the log-likelihood under the counts of all other journeys; larger is better.
    aic, bic : ndarray of float64, shape (K,)
        The information criteria; smaller is better. BIC counts the steps of journeys as observations.
    """

    order: IntArray
    states: IntArray
    parameters: IntArray
    log_likelihood: FloatArray
    held_out: FloatArray
    aic: FloatArray
    bic: FloatArray

    @property
    def best(self) -> int:
        """The order with the largest held-out log-likelihood; if two are equal, the lower one."""
        return int(self.order[np.argmax(self.held_out)])


def order_selection(journeys: Journeys, orders: Iterable[int] = (1, 2, 3, 4)) -> OrderSelection:
    """Return how well Markov models of several orders describe journeys.

    Parameters
    ----------
    journeys : Journeys
        The journeys to describe.
    orders : iterable of int
        The orders to compare.

    Raises
    ------
    NotEnoughDataError
        No journey with touches has a conversion or a null.

    Notes
    -----
    Suppose that n_st journeys go from state s to outcome t (a channel, a conversion or a null; K outcomes in all) and
    n_s from s in all. For the held-out likelihood, a journey that uses the step a_st times is scored with
    ``(n_st - a_st + 1/K) / (n_s - a_s + 1)``: the counts without that journey, plus one count spread over all outcomes.
    This is leave-one-journey-out cross-validation without random draws.
    """
    chosen = sorted({whole("orders", order, low=1) for order in orders})
    if not chosen:
        raise InputError("orders is empty: name at least one order.", argument="orders", code="empty")
    touched = journeys.lengths > 0
    if not (journeys.conversions + journeys.nulls)[touched].any():
        raise NotEnoughDataError(
            "no journey with touches has a conversion or a null, so orders cannot be compared.", argument="journeys"
        )
    rows = [_scored(journeys, order) for order in chosen]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return OrderSelection(order=np.array(chosen, dtype=np.int64), **columns)


def _scored(j: Journeys, order: int) -> dict[str, Any]:
    counts = TransitionCounts.of(j, order)
    n = len(counts.grams)
    outcomes = len(j.channels) + 2
    # Every step of every journey as (state, outcome): from the state before each touch, and to the end of the journey,
    # once for its conversions and once for its nulls.
    state, _ = _states(j.codes, j.offsets, j.lengths, len(j.channels), order)
    some = np.flatnonzero(j.lengths > 0)
    before = np.zeros(len(state), dtype=np.int64)
    before[1:] = state[:-1]
    before[j.offsets[some]] = 0
    last = state[j.offsets[some + 1] - 1]
    rows = np.concatenate([journey_of_touch(j.offsets), some])
    source = np.concatenate([before, last])
    ends = len(j.channels)
    outcome = np.concatenate([j.codes.astype(np.int64), np.full(len(some), ends)])

    # Counts by (state, outcome), with the two ways to end kept separate.
    width = outcomes
    weight_c, weight_n = j.conversions[rows], j.nulls[rows]
    is_end = outcome == ends
    pair = source * width + outcome
    pairs = np.concatenate([pair, pair[is_end] + 1])
    weights = np.concatenate([np.where(is_end, weight_c, weight_c + weight_n), weight_n[is_end]])
    seen, rank = np.unique(pairs, return_inverse=True)
    n_st = weighted(rank, weights, len(seen))
    from_state = seen // width
    n_s = weighted(from_state, n_st, n)
    real = n_st > 0.0
    log_likelihood = float((n_st[real] * np.log(n_st[real] / n_s[from_state[real]])).sum())
    parameters = int(real.sum() - len(np.unique(from_state[real])))

    # How often each journey itself uses the step and the state: a_st and a_s, for one journey of the row's weight.
    used_steps = _uses(rows, pair, n * width)
    used_states = _uses(rows, source, n)
    held_out = 0.0
    for weight, shift in ((weight_c, 0), (weight_n, 1)):
        live = weight > 0.0
        own = np.minimum(weight[live], 1.0)  # a row that counts as half a journey removes half
        step = np.searchsorted(seen, pair[live] + shift * is_end[live])
        a_st = own * used_steps[live]
        a_s = own * used_states[live]
        rest_st = np.maximum(n_st[step] - a_st, 0.0)
        rest_s = np.maximum(n_s[source[live]] - a_s, 0.0)
        held_out += float((weight[live] * np.log((rest_st + 1.0 / outcomes) / (rest_s + 1.0))).sum())
    steps = float(n_st.sum())
    return {
        "states": n,
        "parameters": parameters,
        "log_likelihood": log_likelihood,
        "held_out": held_out,
        "aic": 2.0 * parameters - 2.0 * log_likelihood,
        "bic": parameters * float(np.log(steps)) - 2.0 * log_likelihood,
    }


def _uses(rows: IntArray, keys: IntArray, size: int) -> IntArray:
    """Return how often the journey of each step has the same key."""
    _, inverse, counts = np.unique(rows * size + keys, return_inverse=True, return_counts=True)
    uses: IntArray = counts[inverse]
    return uses
