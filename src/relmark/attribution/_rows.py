"""Journeys from rows of touches: grouped by journey, ordered by time, and cut after each conversion."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.attribution._paths import as_rows, code_names
from relmark.attribution._touches import ranges, weighted
from relmark.core.checks import numbers, refuse_rows, same_length, shown
from relmark.core.errors import InputError
from relmark.core.ids import code_ids
from relmark.core.ordering import group_order, stable_order
from relmark.core.time import instants


def journeys_of_rows(
    journey: Any,
    channel: Any,
    conversions: npt.ArrayLike,
    value: npt.ArrayLike | None,
    nulls: npt.ArrayLike | None,
    time: Any,
    tz: str,
    *,
    fresh: bool,
) -> dict[str, Any]:
    """Return the fields of `Journeys` for rows of touches."""
    ids, code = code_ids("journey", journey)
    rows = len(code)
    names = as_rows("channel", channel)
    same_length("channel", names, rows)
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"channel has {shown(name)} in row {row}: every touch needs a name.",
                argument="channel",
                row=row,
                code="empty",
                hint="Drop or fill the row.",
            )
    codes, channels = code_names(names)
    columns = {
        name: numbers(name, column, length=rows, low=0.0)
        for name, column in (("conversions", conversions), ("value", value), ("nulls", nulls))
        if column is not None
    }
    order, offsets = group_order(code, len(ids))
    times = None
    if time is not None:
        when = instants("time", time, tz=tz)
        same_length("time", when, rows)
        by_time = stable_order(when)
        within, offsets = group_order(code[by_time], len(ids))
        order = by_time[within]
        times = when[order]
    # A conversion takes the touches up to and including its row. A journey is cut after each row with a conversion.
    counts = columns["conversions"][order]
    ends = np.zeros(rows, dtype=np.bool_)
    ends[offsets[1:][np.diff(offsets) > 0] - 1] = True
    ends |= counts > 0.0
    high = np.flatnonzero(ends) + 1
    cut = np.concatenate(([0], high))
    part = np.repeat(np.arange(len(high)), np.diff(cut))
    summed = {name: weighted(part, column[order], len(high)) for name, column in columns.items()}
    summed.setdefault("nulls", (summed["conversions"] == 0.0).astype(np.float64))
    if "value" in summed:
        worth = columns["value"][order]
        lone = (worth > 0.0) & (summed["conversions"][part] == 0.0)
        refused = np.zeros(rows, dtype=np.bool_)
        refused[order] = lone
        remedy = "Give the value to the row of its conversion, or leave it out."
        refuse_rows("value", refused, columns["value"], "no conversion of its journey follows the row", remedy)
    low = cut[:-1]
    if not fresh:
        first = np.repeat(offsets[:-1], np.diff(offsets))  # the start of each touch's journey
        low = np.where(summed["conversions"] > 0.0, first[high - 1], low)
    picked = ranges(low, high)
    return {
        "codes": codes[order][picked],
        "offsets": np.concatenate(([0], np.cumsum(high - low))),
        "channels": channels,
        **summed,
        "times": None if times is None else times[picked],
        "ends": None if times is None else times[high - 1],
    }
