"""Whether steps happened in order, computed exactly on whole arrays, by carrying row positions forward.

Customers are read in blocks whose events fit into the processor's cache. In a block, each event becomes one integer of
its customer, its time and its step, and these integers are sorted, which sorts the rows by customer and time. The
latest start of a chain that ends at or before a row is the running maximum of row positions. A later start is never
worse: it is closer to every later step, and has fewer excluded events after it.

(For 8 M rows of two types, this takes half the time of arrays as long as the log, which mostly wait for memory.)
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from relmark.core.checks import BoolArray, IntArray
from relmark.core.partition import Partition

__all__ = ["Block", "Pace", "StepEvents", "UnitTimes", "blocks", "in_order", "in_strict_order"]

_BLOCK = 1 << 16


@attrs.frozen(eq=False)
class UnitTimes:
    """Times of units: parts of customers, such as their orders, that are treated as if they were customers.

    Parameters
    ----------
    time : ndarray of int64, shape (m,)
        The times of the events.
    by_customer : tuple of ndarray
        The positions of events sorted by unit and time, shape (m,), and the start of each unit, shape (k + 1,).
    """

    time: IntArray
    by_customer: tuple[IntArray, IntArray]

    @classmethod
    def of(cls, unit: IntArray, time: IntArray, k: int) -> UnitTimes:
        """Return the times of k units."""
        order = np.lexsort((time, unit))
        return cls(time, (order, np.searchsorted(unit[order], np.arange(k + 1))))


@attrs.frozen(eq=False)
class StepEvents:
    """The events of one type that are in one selection.

    Parameters
    ----------
    number : int
        The number of the selection among those of a sequence; a selection of several types has one entry per type.
    part : Partition or UnitTimes
        The events of the type.
    chosen : ndarray of bool, shape (m,), optional
        Which events are selected; all by default.
    """

    number: int
    part: Partition | UnitTimes
    chosen: BoolArray | None


@attrs.frozen(eq=False)
class Pace:
    """The limits on the times of the steps, in microseconds.

    Parameters
    ----------
    within : int, optional
        The longest time from the first step to the last.
    apart : int
        The shortest time between two steps; 1 if there is no limit.
    after : int or ndarray of int64, shape (k,), optional
        The last step must be later than this instant: one for all, or one per customer.
    """

    within: int | None = None
    apart: int = 1
    after: int | IntArray | None = None

    def fits(self, customer: IntArray, begin: IntArray, end: IntArray) -> BoolArray:
        """Return which chains are short and recent enough."""
        good = np.ones(len(end), dtype=np.bool_)
        if self.within is not None:
            good &= end - begin <= self.within
        if self.after is not None:
            good &= end > (self.after[customer] if isinstance(self.after, np.ndarray) else self.after)
        return good


@attrs.frozen(eq=False)
class Block:
    """The events of some customers, sorted by customer, time and number of the selection; at least one row."""

    customer: IntArray
    time: IntArray
    number: IntArray
    new_customer: BoolArray
    new_instant: BoolArray


def blocks(events: list[StepEvents], k: int) -> Iterator[Block]:
    """Yield the events in blocks of whole customers."""
    total = np.zeros(k + 1, dtype=np.int64)
    for one in events:
        total += one.part.by_customer[1]
    start = 0
    while start < k:
        stop = max(int(np.searchsorted(total, total[start] + _BLOCK, side="right")) - 1, start + 1)
        if total[stop] > total[start]:
            block = _one_block(events, start, stop)
            if block is not None:
                yield block
        start = stop


def _one_block(events: list[StepEvents], start: int, stop: int) -> Block | None:
    """Return the events of the customers from start to stop."""
    people, times, numbers = [], [], []
    for one in events:
        order, offsets = one.part.by_customer
        rows = order[offsets[start] : offsets[stop]]
        customer = np.repeat(np.arange(stop - start), np.diff(offsets[start : stop + 1]))
        if one.chosen is not None:
            keep = one.chosen[rows]
            rows, customer = rows[keep], customer[keep]
        people.append(customer)
        times.append(one.part.time[rows])
        numbers.append(np.full(len(rows), one.number, dtype=np.int64))
    customer, time, number = np.concatenate(people), np.concatenate(times), np.concatenate(numbers)
    if len(time) == 0:
        return None
    first = int(time.min())
    time_bits = (int(time.max()) - first).bit_length()
    number_bits = int(number.max()).bit_length()
    if (stop - start).bit_length() + time_bits + number_bits <= 63:
        keys = ((customer << time_bits | (time - first)) << number_bits) | number
        keys.sort()
        number = keys & ((1 << number_bits) - 1)
        keys >>= number_bits
        time = keys & ((1 << time_bits) - 1)
        time += first
        customer = keys >> time_bits
    else:  # decades of microseconds for many customers do not fit into 63 bits
        order = np.lexsort((number, time, customer))
        customer, time, number = customer[order], time[order], number[order]
    new_customer = np.concatenate(([True], customer[1:] != customer[:-1]))
    new_instant = new_customer.copy()
    new_instant[1:] |= time[1:] != time[:-1]
    customer += start
    return Block(customer, time, number, new_customer, new_instant)


def in_order(events: list[StepEvents], n_steps: int, pace: Pace, k: int) -> BoolArray:
    """Return which of k customers did the steps in order.

    Parameters
    ----------
    events : list of StepEvents
        Selections 0 to n_steps - 1 are the steps. Events of the others may not lie strictly between the first step and
        the last.
    n_steps : int
        The number of steps.
    pace : Pace
        The limits on the times of the steps.
    k : int
        The number of customers.
    """
    result = np.zeros(k, dtype=np.bool_)
    for block in blocks(events, k):
        number, time = block.number, block.time
        position = np.arange(len(number), dtype=np.int32)
        first_row = np.maximum.accumulate(np.where(block.new_customer, position, 0))
        # The last row that is strictly earlier than this instant.
        before = np.maximum.accumulate(np.where(block.new_instant, position, 0)) - 1
        reached = before if pace.apart <= 1 else _rows_apart(block, pace.apart)
        start = np.where(number == 0, position, -1)
        for step in range(1, n_steps):
            earlier = np.maximum.accumulate(start)[reached]
            # At a customer's first instant, it is a row of another customer.
            start = np.where((number == step) & (reached >= first_row) & (earlier >= first_row), earlier, -1)
        ends = np.flatnonzero(start >= 0)
        begins = start[ends]
        good = pace.fits(block.customer[ends], time[begins], time[ends])
        if (number >= n_steps).any():
            barrier = np.maximum.accumulate(np.where(number >= n_steps, position, -1))[before[ends]]
            good &= ~((barrier >= first_row[ends]) & (time[barrier] > time[begins]))
        result[block.customer[ends[good]]] = True
    return result


def _rows_apart(block: Block, apart: int) -> IntArray:
    """Return for each row its customer's last row at least `apart` before it, or a row of another customer."""
    different, rank = np.unique(block.time, return_inverse=True)
    size = len(different) + 1
    back = np.searchsorted(
        different, different - apart, side="right"
    )  # one more than the rank of the last time so early
    keys = block.customer * size + rank
    return np.asarray(np.searchsorted(keys, block.customer * size + back[rank], side="left") - 1)


def in_strict_order(events: list[StepEvents], n_steps: int, n_excluded: int, pace: Pace, k: int) -> BoolArray:
    """Return which of k customers did the steps at consecutive instants.

    Selections 0 to n_steps - 1 are the steps, the next n_excluded are excluded events, and the last has every event.
    """
    result = np.zeros(k, dtype=np.bool_)
    for block in blocks(events, k):
        begins = np.flatnonzero(block.new_instant)
        customer, time, number = block.customer[begins], block.time[begins], block.number
        last = len(begins) - n_steps + 1
        if last <= 0:
            continue
        good = customer[:last] == customer[n_steps - 1 :]
        for step in range(n_steps):
            good &= np.logical_or.reduceat(number == step, begins)[step : step + last]
        good &= pace.fits(customer[:last], time[:last], time[n_steps - 1 :])
        for step in range(1, n_steps) if pace.apart > 1 else ():
            good &= time[step : step + last] - time[step - 1 : step - 1 + last] >= pace.apart
        if n_excluded:
            excluded = (number >= n_steps) & (number < n_steps + n_excluded)
            barred = np.logical_or.reduceat(excluded, begins)
            for step in range(1, n_steps - 1):
                good &= ~barred[step : step + last]
        result[customer[:last][good]] = True
    return result
