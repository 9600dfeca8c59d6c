"""Which event with the same key came last before another one, such as the message before an answer."""

from __future__ import annotations

import numpy as np

from relmark.core.checks import IntArray
from relmark.core.ordering import order_by

__all__ = ["latest_before"]


def latest_before(key: IntArray, time: IntArray, asked: IntArray, when: IntArray, *, strictly: bool) -> IntArray:
    """Return the row of the last event with the same key before each instant, -1 if there is none.

    Events and instants are sorted together by key and time, and a running maximum gives the latest event so far. At one
    instant an event is sorted first, unless it has to be strictly earlier. Binary searches of rows in random order
    would take six times as long.
    """
    out = np.full(len(asked), -1, dtype=np.int64)
    if not len(key) or not len(asked):
        return out
    room = int(max(key.max(), asked.max())) + 1
    if room <= 4 * len(key):
        table = np.zeros(room, dtype=np.bool_)
        table[asked] = True
        rows = np.flatnonzero(table[key])
    else:
        rows = np.flatnonzero(np.isin(key, asked))
    m = len(rows)
    moment = np.concatenate([2 * time[rows] + strictly, 2 * when + (not strictly)])
    order = order_by(np.concatenate([key[rows], asked]), moment)
    latest = np.maximum.accumulate(np.where(order < m, np.arange(len(order)), -1))
    asks = np.flatnonzero(order >= m)
    asks = asks[latest[asks] >= 0]
    place, row = rows[order[latest[asks]]], order[asks] - m
    good = key[place] == asked[row]
    out[row[good]] = place[good]
    return out
