"""Which ways people go: the most frequent sequences from a start or to an end, and the map of all transitions.

`paths` ranks sequences and shows where people leave. `journey_map` has one row per transition from one thing to
another, with its share and how long it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, whole
from relmark.core.errors import InputError
from relmark.core.ordering import order_by
from relmark.core.results import Rows
from relmark.core.spans import Span
from relmark.core.time import NO_TIME, duration
from relmark.expressions.selection import Selection
from relmark.metrics._trails import Trails, read_trails, rows_of
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares
from relmark.metrics.grouping import By, group_rows
from relmark.metrics.windows import Stretch, base_given

__all__ = ["JourneyMap", "Paths", "journey_map", "paths"]

END = "(end)"
START = "(start)"
_MOST_STEPS = 20
DEFINITIONS = define(
    "events of the window, in one journey per customer, or in one per visit if a gap is given", "",
    {
        "path_share": ("journeys that follow this path", "journeys that contain the start or the end"),
        "transition_share": ("transitions from the origin to the target", "all transitions from the origin"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Paths(MetricTable):
    """Sequences of things done, the most frequent first.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    path : ndarray of str, shape (k,)
        What was done, one after the other: "home > shoes > cart"; "(end)" where the journey ends before the last step.
    journeys : ndarray of int64, shape (k,)
    share : Estimates
        The share of the group's journeys.
    exits : Rows
        Where people leave: for each thing, how many journeys ended with it, and their share of the journeys that
        reached it within the steps.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    path: npt.NDArray[Any]
    journeys: IntArray
    share: Estimates
    exits: Rows
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return {"share": DEFINITIONS["path_share"]}

    def _window(self) -> str:
        return self.window


@attrs.frozen(kw_only=True, eq=False, repr=False)
class JourneyMap(MetricTable):
    """Transitions from one thing to the next, the most frequent first.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    origin, target : ndarray of str, shape (k,)
        "(start)" is the origin before the first thing, "(end)" the target after the last.
    transitions, people : ndarray of int64, shape (k,)
        How often the transition occurs, and for how many customers.
    share : Estimates
        The share of all transitions from the origin.
    median_time : ndarray of timedelta64[us], shape (k,)
        How long the transition takes; NaT for the start and the end.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    origin: npt.NDArray[Any]
    target: npt.NDArray[Any]
    transitions: IntArray
    people: IntArray
    share: Estimates
    median_time: npt.NDArray[np.timedelta64]
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return {"share": DEFINITIONS["transition_share"]}

    def _window(self) -> str:
        return self.window


def paths(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    start: Selection | None = None,
    end: Selection | None = None,
    steps: int = 5,
    within: Span | None = None,
    of: Selection | None = None,
    label: str = "type",
    gap: timedelta | None = None,
    by: By = None,
) -> Paths:
    """Rank the sequences that people go through from a start, or to an end, and show where they leave.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    start, end : Selection, optional
        Paths begin with each journey's first event of `start`, or end with its last event of `end`. Pass only one of
        them. By default, paths begin with the first event of the journey.
    steps : int
        The largest number of things in a path, including the start or end.
    within : timedelta, calendar_days or months, optional
        Use events of (as_of - within, as_of]; by default, all up to `as_of`.
    of : Selection, optional
        The events to use; by default, events of every type.
    label : str
        How events are named: by their 'type', or by a property such as 'page'. Events without the property are left
        out.
    gap : timedelta, optional
        The length of silence that ends a journey. By default, each customer has one journey.
    by : name, expression, segment, period, or a list or mapping of them, optional
        Groups of journeys, read at the first event of the path.

    Returns
    -------
    Paths

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog, event
    >>> log = EventLog.from_columns(customer_id=[1, 1, 2], type=["view", "cart", "view"],
    ...     time=["2026-01-05T10:00Z", "2026-01-05T10:05Z", "2026-01-06T10:00Z"])
    >>> paths(CustomerBase(events=log), as_of="2026-02-01", start=event("view")).path.tolist()
    ['view > (end)', 'view > cart > (end)']
    """
    stretch = Stretch.of(base_given(base), as_of, within)
    steps = whole("steps", steps, low=2, high=_MOST_STEPS)
    if start is not None and end is not None:
        raise InputError(
            "start= and end= are both given, but paths go either from a start or up to an end: leave one of them out.",
            argument="start",
            code="wrong_type",
        )
    trails = read_trails(base, stretch, of, label, gap)
    m = len(trails.trail)
    bounds = np.append(np.flatnonzero(trails.begins), m)
    if end is not None:
        rows = rows_of(base, stretch, trails, end, "end")
        anchor = rows[np.append(trails.trail[rows][1:] != trails.trail[rows][:-1], np.ones(min(len(rows), 1), bool))]
    else:
        rows = np.arange(m) if start is None else rows_of(base, stretch, trails, start, "start")
        anchor = rows[np.append(np.ones(min(len(rows), 1), bool), trails.trail[rows][1:] != trails.trail[rows][:-1])]
    sign = -1 if end is not None else 1
    place = anchor[:, None] + sign * np.arange(steps)
    trail = trails.trail[anchor]
    inside = (place >= bounds[trail][:, None]) & (place < bounds[trail + 1][:, None])
    codes = np.where(inside, trails.name[np.clip(place, 0, max(m - 1, 0))] if m else 0, -1)
    first = place[np.arange(len(anchor)), inside.sum(axis=1) - 1] if end is not None else anchor
    groups = group_rows(base, stretch.as_of, by, trails.customer[anchor], trails.time[first], trails.property_of(first))
    code = groups.code
    table = np.concatenate([code[:, None], groups.chosen(codes)], axis=1)
    kinds, count = np.unique(table, axis=0, return_counts=True) if len(table) else (table, np.zeros(0, dtype=np.int64))
    order = order_by(-count.astype(np.int64), *kinds.T.astype(np.int64)) if len(kinds) else np.empty(0, dtype=np.int64)
    kinds, count = kinds[order], count[order]
    of_group = np.bincount(code, minlength=groups.k)
    words = np.empty(len(kinds), dtype=object)
    words[:] = [_words(row[1:].tolist(), trails.names, backwards=end is not None) for row in kinds]
    return Paths(
        by={name: column[kinds[:, 0]] for name, column in groups.labels.items()}, path=words, journeys=count,
        share=shares("journeys", count, "journeys", of_group[kinds[:, 0]] if len(kinds) else np.zeros(0)),
        exits=_exits(codes, trails) if end is None else _exits(np.empty((0, steps), dtype=np.int64), trails),
        as_of=stretch.as_of.given, window=f"events of {stretch}",
        notes=("events at the same instant are ordered by their names",) if _tied(trails) else (),
    )  # fmt: skip


def journey_map(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span | None = None,
    of: Selection | None = None,
    label: str = "type",
    gap: timedelta | None = None,
    longest: timedelta | None = None,
    by: By = None,
) -> JourneyMap:
    """Count how often people go from each thing to each other, as a number and a share, and how long it takes.

    Parameters
    ----------
    base : CustomerBase
    as_of : date or instant
    within, of, label, gap, by
        As in `paths`; `by` is read at the origin of each transition.
    longest : timedelta, optional
        A transition that takes longer counts as an end and a new start.

    Returns
    -------
    JourneyMap

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog
    >>> log = EventLog.from_columns(customer_id=[1, 1, 2], type=["view", "cart", "view"],
    ...     time=["2026-01-05T10:00Z", "2026-01-05T10:05Z", "2026-01-06T10:00Z"])
    >>> print(journey_map(CustomerBase(events=log), as_of="2026-02-01").top(1, by="transitions")["target"])
    ['view']
    """
    stretch = Stretch.of(base_given(base), as_of, within)
    if longest is not None:
        duration("longest", longest)
        gap = longest if gap is None else min(gap, longest)
    trails = read_trails(base, stretch, of, label, gap)
    m, n = len(trails.trail), len(trails.names)
    begins = trails.begins
    ends = np.append(begins[1:], np.ones(min(m, 1), dtype=np.bool_))
    rows = np.concatenate([np.flatnonzero(begins), np.arange(m)])  # a step into each journey, then one from each event
    into = np.arange(len(rows)) < np.count_nonzero(begins)
    after = np.where(ends, -1, np.arange(1, m + 1))
    target_row = np.concatenate([np.flatnonzero(begins), after])
    origin = np.where(into, n, trails.name[rows] if m else 0)
    target = np.where(target_row < 0, n + 1, trails.name[target_row] if m else 0)
    taken = np.where(into | (target_row < 0), -1, trails.time[target_row] - trails.time[rows] if m else 0)
    groups = group_rows(base, stretch.as_of, by, trails.customer[rows], trails.time[rows], trails.property_of(rows))
    code, origin, target, taken = groups.code, groups.chosen(origin), groups.chosen(target), groups.chosen(taken)
    customer = groups.chosen(trails.customer[rows])
    key = (code * (n + 2) + origin) * (n + 2) + target
    order = order_by(key, taken)
    kinds, begin, count = np.unique(key[order], return_index=True, return_counts=True)
    ordered = taken[order]
    low, high = ordered[begin + (count - 1) // 2], ordered[begin + count // 2]
    middle = np.where(low < 0, NO_TIME, low + (high - low) // 2)
    people = np.bincount(
        np.searchsorted(kinds, np.unique(key * max(len(base), 1) + customer) // max(len(base), 1)), minlength=len(kinds)
    )
    from_group = kinds // (n + 2)
    leaving = np.bincount(code * (n + 2) + origin, minlength=groups.k * (n + 2))
    rank = order_by(-count.astype(np.int64), kinds)
    names = np.empty(n + 2, dtype=object)
    names[:] = [*trails.names, START, END]
    kinds, count, people, middle, from_group = (one[rank] for one in (kinds, count, people, middle, from_group))
    return JourneyMap(
        by={name: column[kinds // (n + 2) ** 2] for name, column in groups.labels.items()},
        origin=names[kinds // (n + 2) % (n + 2)], target=names[kinds % (n + 2)], transitions=count, people=people,
        share=shares("steps", count, "steps from the origin", leaving[from_group]), median_time=middle.view("m8[us]"),
        as_of=stretch.as_of.given, window=f"events of {stretch}",
        notes=("events at the same instant are ordered by their names",) if _tied(trails) else (),
    )  # fmt: skip


def _tied(trails: Trails) -> bool:
    same = (trails.trail[1:] == trails.trail[:-1]) & (trails.time[1:] == trails.time[:-1])
    return bool((same & (trails.name[1:] != trails.name[:-1])).any())


def _words(codes: list[int], names: list[str], *, backwards: bool) -> str:
    known = [names[code] for code in codes if code >= 0]
    if backwards:
        known.reverse()
        return " > ".join([START, *known] if len(known) < len(codes) else known)
    return " > ".join([*known, END] if len(known) < len(codes) else known)


def _exits(codes: IntArray, trails: Trails) -> Rows:
    """Return where journeys end within the steps of a path."""
    n = len(trails.names)
    came = np.bincount(codes[:, :-1][codes[:, :-1] >= 0], minlength=n)
    length_of = (codes >= 0).sum(axis=1)
    short = np.flatnonzero(length_of < codes.shape[1])
    left = np.bincount(codes[short, length_of[short] - 1], minlength=n) if len(short) else np.zeros(n, dtype=np.int64)
    order = order_by(-left.astype(np.int64), np.arange(n)) if n else np.empty(0, dtype=np.int64)
    order = order[came[order] > 0]
    share = shares("ended", left[order], "came", came[order])
    names = np.empty(n, dtype=object)
    names[:] = trails.names
    return Rows(
        name="Exits",
        columns={"step": names[order], "came": came[order], "left": left[order], **share.columns("share")},
    )
