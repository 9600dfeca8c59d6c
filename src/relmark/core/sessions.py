"""Grouping page views into visits: a pause ends a visit, and so may a new campaign or a limit of its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, IntArray, shown
from relmark.core.columns import Column, joined
from relmark.core.errors import InputError
from relmark.core.ordering import group_order
from relmark.core.partition import Partition
from relmark.core.time import SECOND, duration

__all__ = ["sessions"]

_CARRIED = ("page", "channel", "campaign")


@attrs.frozen(eq=False)
class Sessions:
    """One row per visit: its customer, the time at which it begins, and its properties."""

    code: IntArray
    time: IntArray
    properties: dict[str, npt.NDArray[Any]]


def sessions(
    views: Mapping[str, Partition],
    n_customers: int,
    *,
    gap: timedelta,
    cut_by: str | None = None,
    longest: timedelta | None = None,
) -> Sessions:
    """Return the visits that events of one or more types make up, the type of pages first; see `EventLog.sessions`."""
    silence = duration("gap", gap)
    most = None if longest is None else duration("longest", longest)
    parts = list(views.values())
    carried = tuple(dict.fromkeys((*_CARRIED, *([] if cut_by is None else [cut_by]))))
    properties = {name: _joined(parts, name) for name in carried}
    if cut_by is not None and properties[cut_by] is None:
        raise InputError(
            f"cut_by is {shown(cut_by)}: no event of type {' or '.join(map(repr, views))} has such a property.",
            argument="cut_by",
            code="unknown_name",
        )
    marks = None if cut_by is None else _codes(properties[cut_by])
    order = _order(parts, n_customers, marks)
    code = np.concatenate([part.code for part in parts])[order]
    time = np.concatenate([part.time for part in parts])[order]
    view = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order] == 0
    starts = np.ones(len(order), dtype=np.bool_)
    starts[1:] = (code[1:] != code[:-1]) | (time[1:] - time[:-1] > silence)
    if marks is not None:
        starts |= _new_marks(marks[order], starts)
    if most is not None:
        _cut_long(starts, time, most)
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(order)) - 1
    seen = np.concatenate(([0], np.cumsum(view)))
    kept = {name: column.take(order[first]) for name in carried if (column := properties[name]) is not None}
    return Sessions(
        code=code[first],
        time=time[first],
        properties={
            "duration": (time[last] - time[first]) / SECOND,
            "pages": seen[last + 1] - seen[first],
            **({} if len(parts) == 1 else {"events": last - first + 1}),
            **{name: column.values() for name, column in kept.items()},
        },
    )


def _joined(parts: Sequence[Partition], name: str) -> Column | None:
    """Return a property of all events, or None if no type has it."""
    if not any(name in part.properties for part in parts):
        return None
    return joined(f"property {name!r}", [part.properties.get(name, Column.empty(len(part))) for part in parts])


def _codes(column: Column | None) -> IntArray:
    """Return equal codes for equal values, and -1 for a missing value."""
    assert column is not None
    if column.kind == "text":
        return column.data.astype(np.int64)
    if column.kind == "tags":
        raise InputError(
            "cut_by names a property of kind 'tags': a property with one value per event is needed.",
            argument="cut_by",
            code="wrong_type",
        )
    codes = np.unique(column.data, return_inverse=True)[1].astype(np.int64)
    codes[column.missing] = -1
    return codes


def _order(parts: Sequence[Partition], n: int, marks: IntArray | None) -> IntArray:
    """Return the order by customer, time and mark, so that the result does not depend on the order of rows."""
    if len(parts) == 1 and marks is None:
        return parts[0].by_customer[0]
    time = np.concatenate([part.time for part in parts])
    row = np.concatenate([part.row for part in parts])
    by_time = np.lexsort((row, time) if marks is None else (row, marks, time))
    code = np.concatenate([part.code for part in parts])
    return np.asarray(by_time[group_order(code[by_time], n)[0]])


def _new_marks(marks: IntArray, starts: BoolArray) -> BoolArray:
    """Return which events have a known mark that is the first since the pause, or differs from the last known one."""
    position = np.arange(len(marks))
    known = marks >= 0
    latest = np.maximum.accumulate(np.where(known, position, -1))
    before = np.concatenate(([-1], latest[:-1]))
    begin = np.maximum.accumulate(np.where(starts, position, 0))
    none = before < begin
    return np.asarray(known & (none | (marks[before] != marks)))


def _cut_long(starts: BoolArray, time: IntArray, most: int) -> None:
    """Begin another visit with the first event that comes more than `most` after the first event of its visit."""
    first = np.flatnonzero(starts)
    ends = np.append(first[1:], len(time))
    for begin, end in zip(first.tolist(), ends.tolist(), strict=True):
        if time[end - 1] - time[begin] <= most:
            continue
        stretch = time[begin:end]
        place = 0
        while (place := int(np.searchsorted(stretch, stretch[place] + most, side="right"))) < len(stretch):
            starts[begin + place] = True
