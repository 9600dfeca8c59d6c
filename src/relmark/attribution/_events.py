"""Journeys out of an event log: every conversion takes the touches before it, the rest form journeys without one.

Touches and conversions of all customers lie in one order: customer, time, arrival. A conversion then takes a range of
touches whose ends are found by counting and by one bisection of all conversions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import ranges, span
from relmark.core.checks import one_of, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.ordering import group_order, stable_order
from relmark.core.partition import Partition
from relmark.core.time import Instant, instant
from relmark.expressions import Selection, event
from relmark.expressions.event_rows import Bounds, chosen_events

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class _Events(NamedTuple):
    code: IntArray
    time: IntArray
    row: IntArray


def journeys_of_log(
    log: EventLog,
    *,
    touch: Any,
    conversion: Any,
    as_of: Instant,
    channel: str,
    lookback: timedelta,
    after_conversion: str,
    gap: timedelta | None,
    unknown: str | None,
    still_open: str,
    tz: str,
) -> dict[str, Any]:
    """Return the fields of `Journeys` for the events of a log up to `as_of`."""
    now = instant(as_of, tz=tz)
    window = span("lookback", lookback)
    silence = window if gap is None else span("gap", gap)
    after = one_of("after_conversion", after_conversion, ("new", "keep", "carry"))
    leave_open = one_of("still_open", still_open, ("null", "drop")) == "drop"
    text("channel", channel)

    touched = _chosen(log, "touch", touch, now, tz)
    converted = _chosen(log, "conversion", conversion, now, tz)
    touches, names, channels = _touches(touched, channel, unknown)
    goals, value, notes = _conversions(converted)

    # All events in the order of customer, time and arrival; an event that is both counts as a touch first.
    n_touches, n_goals = len(touches.code), len(goals.code)
    code, time, row = (np.concatenate(pair) for pair in zip(touches, goals, strict=True))
    is_goal = np.arange(n_touches + n_goals) >= n_touches
    order = stable_order(2 * row.astype(np.int64) + is_goal)
    order = order[stable_order(time[order])]
    order = order[group_order(code[order], log.n_customers)[0]]
    touches_before = np.concatenate(([0], np.cumsum(~is_goal[order])))
    goals_before = np.concatenate(([0], np.cumsum(is_goal[order])))
    touch_order = order[~is_goal[order]]
    goal_order = order[is_goal[order]]
    t_code, t_time = code[touch_order], time[touch_order]
    g_code, g_time = code[goal_order], time[goal_order]

    # The range of touches that each conversion takes.
    high = touches_before[:-1][is_goal[order]]
    low = np.searchsorted(t_code, g_code, side="left")
    if after != "keep" and n_goals:
        same = np.concatenate(([False], g_code[1:] == g_code[:-1]))
        previous = np.concatenate(([0], high[:-1]))
        low = np.where(same, previous, low)
    if after == "carry" and n_touches:  # the last touch counts until a newer one comes
        last = np.maximum(high - 1, 0)
        none = (low == high) & (high > 0) & (t_code[last] == g_code)
        low = np.where(none, last, low)
    low = _first_at_or_after(t_time, g_time - window, low, high)
    edges = np.bincount(low, minlength=n_touches + 1) - np.bincount(high, minlength=n_touches + 1)
    left = np.flatnonzero(np.cumsum(edges)[:n_touches] == 0)

    # What is left, split where the customer changes, a conversion lies between, or silence lasts.
    seen_goals = goals_before[:-1][~is_goal[order]][left]
    starts = np.ones(len(left), dtype=np.bool_)
    if len(left):
        starts[1:] = (
            (t_code[left][1:] != t_code[left][:-1])
            | (seen_goals[1:] != seen_goals[:-1])
            | (t_time[left][1:] - t_time[left][:-1] > silence)
        )
    null_low = np.flatnonzero(starts)
    null_high = np.append(null_low[1:], len(left)) if len(null_low) else null_low
    null_end = t_time[left[null_high - 1]]
    if leave_open:
        closed = null_end <= now - window
        null_low, null_high, null_end = null_low[closed], null_high[closed], null_end[closed]

    picked = np.concatenate([ranges(low, high), left[ranges(null_low, null_high)]])
    lengths = np.concatenate([high - low, null_high - null_low])
    n_null = len(null_low)
    return {
        "codes": names[touch_order][picked],
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "channels": channels,
        "conversions": np.concatenate([np.ones(n_goals), np.zeros(n_null)]),
        "value": None if value is None else np.concatenate([value[goal_order - n_touches], np.zeros(n_null)]),
        "nulls": np.concatenate([np.zeros(n_goals), np.ones(n_null)]),
        "times": t_time[picked],
        "ends": np.concatenate([g_time, null_end]),
        "customer_id": log.customer_id[np.concatenate([g_code, t_code[left[null_high - 1]]])],
        "notes": notes,
    }


def _first_at_or_after(times: IntArray, when: IntArray, low: IntArray, high: IntArray) -> IntArray:
    """Return in each range the first place whose time is at least `when`; all ranges are bisected together."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        early = open_ & (times[np.where(open_, middle, 0)] < when)
        low = np.where(early, middle + 1, low)
        high = np.where(open_ & ~early, middle, high)
    return low


def _selections(name: str, given: Any) -> list[Selection]:
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not several:
        raise InputError(f"{name} is empty: name at least one event, such as event('visit').")
    chosen = []
    for one in several:
        selection = event(one) if isinstance(one, str) else one
        if not isinstance(selection, Selection):
            raise InputError(f"{name} is {shown(one)}: events are needed, such as event('visit').")
        chosen.append(selection)
    return chosen


def _chosen(log: EventLog, name: str, given: Any, now: int, tz: str) -> list[tuple[str, Partition, IntArray]]:
    """Return each event type's partition and the places of its selected events up to now."""
    selections = _selections(name, given)
    types = sorted({kind for selection in selections for kind in selection.types})
    if len(log) and not any(kind in log.types for kind in types):
        raise InputError(
            f"{name} asks for {' or '.join(map(repr, types))}, and the log has no such event; it has "
            f"{', '.join(log.types)}.{did_you_mean(types[0], log.types)}"
        )
    masks: dict[str, tuple[Partition, BoolArray]] = {}
    for selection in selections:
        for scope in chosen_events(log, selection, Bounds(None, now), tz).scopes:
            mask = masks.setdefault(scope.type_name, (scope.part, np.zeros(len(scope.part), dtype=np.bool_)))[1]
            mask[scope.rows] = True
    return [(kind, part, np.flatnonzero(mask)) for kind, (part, mask) in sorted(masks.items())]


def _stacked(chosen: list[tuple[str, Partition, IntArray]]) -> _Events:
    def column(name: str) -> IntArray:
        parts = [getattr(partition, name)[places].astype(np.int64) for _, partition, places in chosen]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    return _Events(column("code"), column("time"), column("row"))


def _touches(
    chosen: list[tuple[str, Partition, IntArray]], channel: str, unknown: str | None
) -> tuple[_Events, npt.NDArray[np.int32], npt.NDArray[np.str_]]:
    """Return the touches, the channel of each and the names of the channels that occur, ascending."""
    labels = [np.empty(0, dtype="<U1")]
    codes = [np.empty(0, dtype=np.int64)]
    before = 0
    for kind, partition, places in chosen:
        column = partition.properties.get(channel)
        if column is None:
            if unknown is None and len(places):
                raise MissingColumnError(
                    f"no {kind!r} event has the property {channel!r}, which names the channel; it has "
                    f"{', '.join(partition.properties) or 'none'}.{did_you_mean(channel, partition.properties)}"
                )
            names, at = np.array([unknown or ""]), np.zeros(len(places), dtype=np.int64)
        else:
            names, at = _names(column.take(places))
        missing = at < 0
        if missing.any():
            if unknown is None:
                row = int(partition.row[places[np.argmax(missing)]])
                raise InputError(
                    f"{channel} is missing for a {kind!r} event in row {row} (and for "
                    f"{int(missing.sum()) - 1:,} others): every touch needs a channel. Leave these events out with "
                    f"where=prop({channel!r}).not_null(), or name them with unknown='(unknown)'."
                )
            names, at = np.append(names, unknown), np.where(missing, len(names), at)
        labels.append(names)
        codes.append(at + before)
        before += len(names)
    code = np.concatenate(codes)
    every = np.strings.strip(np.concatenate(labels))  # "mail " is mail, as in every door
    if (every[np.unique(code)] == "").any():
        raise InputError(f"{channel} is empty for a touch: every touch needs a name. Name it, or leave it out.")
    used = np.unique(every[np.unique(code)])
    return _stacked(chosen), np.searchsorted(used, every)[code].astype(np.int32), used


def _names(column: Column) -> tuple[npt.NDArray[np.str_], IntArray]:
    """Return the distinct words of a column and the place of each row's, -1 where it is missing."""
    if column.kind == "text" and column.categories is not None:
        return column.categories, column.data.astype(np.int64)
    values = column.values().tolist()
    if column.kind == "number":  # a missing number makes the others floats: 20.0 is still channel 20
        values = [int(value) if float(value).is_integer() else value for value in values]
    words = np.array([str(value) for value in values], dtype=np.str_)
    names, at = np.unique(words, return_inverse=True)
    return names, np.where(column.missing, -1, at)


def _conversions(
    chosen: list[tuple[str, Partition, IntArray]],
) -> tuple[_Events, npt.NDArray[np.float64] | None, tuple[str, ...]]:
    """Return the conversions, their values (None where no conversion has one), and what to say of missing ones."""
    events = _stacked(chosen)
    parts = [
        np.full(len(places), np.nan) if partition.value is None else partition.value[places]
        for _, partition, places in chosen
    ]
    value = np.concatenate([np.empty(0), *parts])
    missing = np.isnan(value)
    if missing.all():
        return events, None, ()
    bad = value < 0.0
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"value of a conversion is {value[first]:g} in row {int(events.row[first])}: conversions are worth 0 "
            "or more. Set returns off against their orders first, or leave them out with where=prop('value') >= 0."
        )
    few = int(missing.sum())
    notes = (f"{few:,} conversions have no value and add nothing to it",) if few else ()
    return events, np.where(missing, 0.0, value), notes
