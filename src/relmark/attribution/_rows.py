"""Journeys out of rows of touches: grouped by journey, put in order of time, counts added up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.attribution._paths import as_rows, code_names
from relmark.attribution._touches import weighted
from relmark.core.checks import numbers, same_length, shown
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
) -> dict[str, Any]:
    """Return the fields of `Journeys` for rows of touches."""
    ids, code = code_ids("journey", journey)
    rows = len(code)
    names = as_rows("channel", channel)
    same_length("channel", names, rows)
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"channel has {shown(name)} in row {row}: every touch needs a name. Drop or fill the row.")
    codes, channels = code_names(names)
    summed = {
        name: weighted(code, numbers(name, column, length=rows, low=0.0), len(ids))
        for name, column in (("conversions", conversions), ("value", value), ("nulls", nulls))
        if column is not None
    }
    summed.setdefault("nulls", (summed["conversions"] == 0.0).astype(np.float64))
    fields: dict[str, Any] = {}
    if time is None:
        order, offsets = group_order(code, len(ids))
    else:
        when = instants("time", time, tz=tz)
        same_length("time", when, rows)
        by_time = stable_order(when)
        within, offsets = group_order(code[by_time], len(ids))
        order = by_time[within]
        fields = {"times": when[order], "ends": when[order][offsets[1:] - 1]}
    return {"codes": codes[order], "offsets": offsets, "channels": channels, **summed, **fields}
