"""Kernel of funnels: the attempts of customers, or of units that share a property such as a session.

Where steps may happen at the same instant, the few customers who have several step events at one instant are handled
one by one: events are matched to steps, and each event stands for one step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray
from relmark.core.columns import joined
from relmark.core.ordering import order_by
from relmark.expressions.event_rows import Bounds, EventRows, chosen_events, chosen_masks
from relmark.expressions.reaching import LATER, Attempts, Path, attempts
from relmark.expressions.selection import Selection
from relmark.expressions.sequences import StepEvents, UnitTimes
from relmark.metrics.grouping import column_of

__all__ = ["Walkers", "distinct_steps", "walkers", "walks"]


@attrs.frozen(eq=False)
class Walkers:
    """The units that go along the steps: the customers of a log, or parts of a customer that share a property.

    Parameters
    ----------
    events : list of StepEvents
    k : int
        The number of units.
    owner : ndarray of int64, shape (k,)
        The customer of each unit, as a row of the base.
    """

    events: list[StepEvents]
    k: int
    owner: IntArray


def distinct_steps(steps: tuple[Selection, ...]) -> tuple[int, ...]:
    """Return for each step the number of the first step that selects the same events."""
    words = [repr(step.exists().fingerprint) for step in steps]
    return tuple(words.index(word) for word in words)


def walkers(
    base: CustomerBase, steps: tuple[Selection, ...], exclude: tuple[Selection, ...], seen: int,
    *, strict: bool, same: str | None,
) -> Walkers:  # fmt: skip
    """Return the units with events of the steps, excluded events and (in strict order) any events up to an instant."""
    log = base.events
    every = (Selection(log.types),) if strict and log.types else ()
    selections = (*steps, *exclude, *every)
    bounds = Bounds(None, seen)
    if same is None:
        events = [
            StepEvents(number, part, mask)
            for number, selection in enumerate(selections)
            for part, mask in chosen_masks(log, selection, bounds, base.tz)
        ]
        return Walkers(events, log.n_customers, base.code_to_row)
    found = [chosen_events(log, selection, bounds, base.tz) for selection in selections]
    column = joined(f"property {same!r}", [events.column(same) for events in found])
    if column.kind == "empty":
        return Walkers([], 0, np.empty(0, dtype=np.int64))
    known = np.flatnonzero(~column.missing)
    ranks, values = column_of(column.take(known), same)
    customer = np.concatenate([events.codes for events in found]).astype(np.int64)[known]
    times = np.concatenate([events.times for events in found])[known]
    owner, unit = np.unique(customer * max(len(values), 1) + ranks, return_inverse=True)
    ends = np.searchsorted(known, np.cumsum([len(events) for events in found]))
    parts = [
        StepEvents(number, UnitTimes.of(unit[low:high], times[low:high], len(owner)), None)
        for number, (low, high) in enumerate(itertools.pairwise([0, *ends.tolist()]))
    ]
    return Walkers(parts, len(owner), base.code_to_row[owner // max(len(values), 1)])


def walks(who: Walkers, path: Path, *, same_time: bool, identity: list[EventRows] | None) -> Iterator[Attempts]:
    """Yield the attempts, customer by customer; if steps may be simultaneous, `identity` has the steps' events."""
    if not same_time:
        yield from attempts(who.events, path, who.k)
        return
    assert identity is not None
    unit, time, number, event = _flat(identity)
    order = order_by(unit, time, number, event)
    unit, time, number, event = unit[order], time[order], number[order], event[order]
    together = (unit[1:] == unit[:-1]) & (time[1:] == time[:-1])
    tied = np.zeros(who.k, dtype=np.bool_)
    tied[unit[1:][together]] = True
    for block in attempts(who.events, path, who.k):
        yield _merged(block, tied, unit, time, number, event, path)


def _flat(identity: list[EventRows]) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return the unit, time, step and row of each event; two entries with the same row are one event."""
    units, times, numbers, rows = [], [], [], []
    for number, found in enumerate(identity):
        ids = [scope.part.row[scope.rows] for scope in found.scopes]
        row = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
        units.append(found.codes.astype(np.int64))
        times.append(found.times)
        numbers.append(np.full(len(found), number, dtype=np.int64))
        rows.append((row if found.order is None else row[found.order]).astype(np.int64))
    return tuple(np.concatenate(one) for one in (units, times, numbers, rows))  # type: ignore[return-value]


def _merged(
    block: Attempts, tied: npt.NDArray[np.bool_], unit: IntArray, time: IntArray, number: IntArray, event: IntArray,
    path: Path,
) -> Attempts:  # fmt: skip
    """Return the attempts of a block, recomputed for customers with several events at one instant."""
    keep = ~tied[block.customer]
    if keep.all():
        return block
    parts: list[tuple[int, list[int], bool]] = []
    again = np.unique(block.customer[~keep])
    first, last = np.searchsorted(unit, again, side="left"), np.searchsorted(unit, again, side="right")
    for who, low, high in zip(again.tolist(), first.tolist(), last.tolist(), strict=True):
        rows = slice(low, high)
        parts += [
            (who, *one) for one in _one_by_one(time[rows].tolist(), number[rows].tolist(), event[rows].tolist(), path)
        ]
    customer = np.concatenate([block.customer[keep], np.array([who for who, _, _ in parts], dtype=np.int64)])
    times = np.concatenate([block.times[keep], np.array([one for _, one, _ in parts], dtype=np.int64)])
    barred = np.concatenate([block.barred[keep], np.array([one for _, _, one in parts], dtype=np.bool_)])
    order = order_by(customer, times[:, 0])
    customer, times, barred = customer[order], times[order], barred[order]
    return Attempts(customer, times, np.count_nonzero(times < LATER, axis=1), barred)


def _one_by_one(time: list[int], number: list[int], event: list[int], path: Path) -> Iterator[tuple[list[int], bool]]:
    """Yield the attempts of one customer in which an event may be at the instant of the one before."""
    fits: dict[int, dict[int, set[int]]] = {}  # by instant, the steps that each event can stand for
    barriers = []
    for at, step, row in zip(time, number, event, strict=True):
        if step < path.n:
            fits.setdefault(at, {}).setdefault(row, set()).add(step)
        else:
            barriers.append(at)
    starts = sorted((at, row) for at, rows in fits.items() for row, steps in rows.items() if 0 in steps)
    for begin, row in starts[:1] if path.first else starts:
        end = LATER if path.within is None else begin + path.within
        bar = min((at for at in barriers if at > begin), default=LATER)
        barred = bar <= end
        end = min(end, bar)
        reached = [begin]
        for at in sorted(at for at in fits if begin <= at <= end):
            free = {one: steps for one, steps in fits[at].items() if (at, one) != (begin, row)}
            more = _matched(free, len(reached), path.n)
            reached += [at] * more
            if len(reached) == path.n:
                break
        yield reached + [LATER] * (path.n - len(reached)), barred and len(reached) < path.n


def _matched(free: dict[int, set[int]], step: int, n: int) -> int:
    """Return how many consecutive steps from `step` on the events of one instant can fill, one event per step."""
    used: dict[int, int] = {}

    def place(wanted: int, tried: set[int]) -> bool:
        for one in sorted(free):
            if wanted in free[one] and one not in tried:
                tried.add(one)
                if one not in used or place(used[one], tried):
                    used[one] = wanted
                    return True
        return False

    found = 0
    while step + found < n and place(step + found, set()):
        found += 1
    return found
