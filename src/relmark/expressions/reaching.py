"""How far customers got along some steps: every attempt from the first step on, computed exactly on whole arrays.

`stage` and the funnels of metrics share this module. An attempt begins at an event of the first step. Each further step
is reached at its earliest event strictly after the step before, if it lies within the window from the first step and no
excluded event lies strictly between. The attempt that reached most steps counts for the customer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import attrs
import numpy as np

from relmark.core.checks import BoolArray, IntArray
from relmark.expressions.sequences import Block, StepEvents, blocks

__all__ = ["LATER", "Attempts", "Path", "attempts", "deepest", "deepest_of"]

LATER = np.iinfo(np.int64).max
"""The time of a step that was not reached."""


@attrs.frozen
class Path:
    """The conditions on the steps.

    Parameters
    ----------
    n : int
        The number of steps, which are selections 0 to n - 1. The selections after them are excluded events; in strict
        order the last selection has every event.
    within : int, optional
        The longest time from the first step, in microseconds, inclusive.
    order : {"loose", "strict", "any"}
        "loose": other events may lie between the steps; "strict": no other events may; "any": the steps may come in any
        order.
    first : bool
        Whether only a customer's first attempt counts.
    same : tuple of int, optional
        For each step, the number of the first step with the same events; by default its own number.
    """

    n: int
    within: int | None = None
    order: str = "loose"
    first: bool = False
    same: tuple[int, ...] = ()


class Attempts(NamedTuple):
    """Attempts, sorted by customer and start."""

    customer: IntArray
    times: IntArray
    """When each step was reached, shape (m, n), `LATER` if it was not; the first is the start."""
    depth: IntArray
    """How many steps were reached, at least one."""
    barred: BoolArray
    """Whether an excluded event ended the attempt."""


def attempts(events: list[StepEvents], path: Path, k: int) -> Iterator[Attempts]:
    """Yield the attempts of k customers, in blocks of whole customers."""
    for block in blocks(events, k):
        found = _of_block(block, path)
        if len(found.customer):
            yield found


def _of_block(block: Block, path: Path) -> Attempts:
    number, time, customer = block.number, block.time, block.customer
    m = len(number)
    position = np.arange(m)
    # The first row of the next instant; after a customer's last instant it is a row of another customer.
    begins = np.flatnonzero(block.new_instant)
    instant = np.cumsum(block.new_instant) - 1
    after = np.append(begins[1:], m)[instant]
    if path.order == "any":
        start = begins[np.logical_or.reduceat(number < path.n, begins)]
    elif path.order == "strict":
        start = begins[np.logical_or.reduceat(number == 0, begins)]
    else:
        start = np.flatnonzero(number == 0)
    if path.first and len(start):
        who = customer[start]
        start = start[np.concatenate(([True], who[1:] != who[:-1]))]
    owner, begun = customer[start], time[start]
    late = np.append(time, LATER)
    whose = np.append(customer, -1)
    last = np.full(len(start), LATER) if path.within is None else np.minimum(begun, LATER - path.within) + path.within
    is_barred = np.zeros(len(start), dtype=np.bool_)
    top = int(number.max()) if path.order == "strict" else LATER
    if ((number >= path.n) & (number < top)).any():
        bar = _next(position, (number >= path.n) & (number < top))[after[start]]
        barrier = np.where(whose[bar] == owner, late[bar], LATER)
        is_barred = (barrier <= last) & (barrier < LATER)
        last = np.minimum(last, barrier)
    times = np.full((len(start), path.n), LATER)
    after = np.append(after, m)
    if path.order == "any":
        _in_any_order(block, path, start, last, times, after)
    else:
        times[:, 0] = begun
        here = start if path.order == "loose" else instant[start]
        steps = [] if path.order == "loose" else [
            np.append(np.logical_or.reduceat(number == step, begins), False) for step in range(path.n)
        ]  # fmt: skip
        begins = np.append(begins, m)
        alive = np.ones(len(start), dtype=np.bool_)
        for step in range(1, path.n):
            if path.order == "loose":
                here = _next(position, number == step)[after[here]]
                row = here
            else:
                here = np.minimum(here + 1, len(begins) - 1)
                alive &= steps[step][here]
                row = begins[here]
            reached = late[row]
            alive &= (whose[row] == owner) & (reached <= last)
            times[alive, step] = reached[alive]
            if path.order == "loose":
                here = np.where(alive, here, m)
    depth = np.count_nonzero(times < LATER, axis=1)
    return Attempts(owner, times, depth, is_barred & (depth < path.n))


def _next(position: IntArray, chosen: BoolArray) -> IntArray:
    """Return for each row, and for the end, the first chosen row at or after it; the end if there is none."""
    end = len(position)
    ahead = np.where(chosen, position, end)
    return np.append(np.minimum.accumulate(ahead[::-1])[::-1], end)


def _in_any_order(block: Block, path: Path, start: IntArray, last: IntArray, times: IntArray, after: IntArray) -> None:
    """Write when the first, second, ... of the steps was done, in whichever order they came."""
    owner = block.customer[start]
    late, whose = np.append(block.time, LATER), np.append(block.customer, -1)
    position = np.arange(len(block.number))
    same = path.same or tuple(range(path.n))
    here: dict[int, IntArray] = {}
    for step in range(path.n):
        kind = same[step]
        ahead = _next(position, block.number == kind)
        row = ahead[start] if kind not in here else ahead[after[here[kind]]]
        here[kind] = row
        fits = (whose[row] == owner) & (late[row] <= last)
        times[fits, step] = late[row][fits]
    times.sort(axis=1)


def deepest_of(found: Attempts) -> Attempts:
    """Return each customer's furthest attempt: the first to get there, and of several the one that began last."""
    new = np.concatenate(([True], found.customer[1:] != found.customer[:-1]))
    begins = np.flatnonzero(new)
    whose = np.cumsum(new) - 1
    depth = np.maximum.reduceat(found.depth, begins)
    best = found.depth == depth[whose]
    end = np.where(best, found.times[np.arange(len(whose)), found.depth - 1], LATER)
    soonest = best & (end == np.minimum.reduceat(end, begins)[whose])
    row = np.maximum.reduceat(np.where(soonest, np.arange(len(whose)), -1), begins)
    return Attempts(found.customer[row], found.times[row], found.depth[row], found.barred[row])


def deepest(events: list[StepEvents], path: Path, k: int) -> tuple[IntArray, IntArray]:
    """Return how many steps each of k customers reached, 0 for none, and when they first got that far."""
    depth = np.zeros(k, dtype=np.int64)
    when = np.full(k, LATER)
    for block in attempts(events, path, k):
        best = deepest_of(block)
        depth[best.customer] = best.depth
        when[best.customer] = best.times[np.arange(len(best.depth)), best.depth - 1]
    return depth, when
