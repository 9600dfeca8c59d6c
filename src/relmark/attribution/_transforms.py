"""Reshaping journeys: which touches stay, which channels become one, which paths are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.attribution._duplicates import distinct_paths
from relmark.attribution._paths import code_names, keep_touches
from relmark.attribution._touches import first_of_channel, repeats, span, weighted
from relmark.attribution.journey_columns import JourneyColumns
from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean

BoolArray = npt.NDArray[np.bool_]


def places_of(j: JourneyColumns, argument: str, names: str | Iterable[str]) -> npt.NDArray[np.int64]:
    """Return the places of channels by name, or raise with the nearest name."""
    known = {name: place for place, name in enumerate(j.channels.tolist())}
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise InputError(f"{argument} names {shown(name)}, which no journey has as a channel.{hint}")
    return np.array([known[name] for name in wanted], dtype=np.int64)


def last_of_run(j: JourneyColumns) -> BoolArray:
    """Tell which touches end a run of one channel."""
    again = repeats(j.codes, j.offsets)
    keep = np.ones(len(again), dtype=np.bool_)
    keep[:-1] = ~again[1:]
    return keep


def first_of_channel_in(j: JourneyColumns) -> BoolArray:
    """Tell which touches are the first of their channel in their journey."""
    return first_of_channel(j.codes, j.offsets, len(j.channels))


def outside(j: JourneyColumns, places: npt.NDArray[np.int64], *, unless_only: bool) -> BoolArray:
    """Tell which touches are of other channels, or of a journey that has no other."""
    dropped = np.zeros(len(j.channels), dtype=np.bool_)
    dropped[places] = True
    keep = ~dropped[j.codes]
    if unless_only:
        before = np.concatenate(([0], np.cumsum(keep)))[j.offsets]
        keep |= np.repeat(np.diff(before) == 0, j.lengths)
    return keep


def among_last(j: JourneyColumns, n: int) -> BoolArray:
    """Tell which touches are among the last n of their journey."""
    return np.arange(len(j.codes)) >= np.repeat(j.offsets[1:] - n, j.lengths)


def recent(j: JourneyColumns, lookback: timedelta) -> BoolArray:
    """Tell which touches lie within a duration of the end of their journey."""
    if j.times is None or j.ends is None:
        raise InputError(
            "within needs the time of each touch, and these journeys have none: make them with from_events, or with "
            "from_columns(time=...)."
        )
    return j.times >= np.repeat(j.ends, j.lengths) - span("lookback", lookback)


def kept(j: JourneyColumns, keep: BoolArray) -> dict[str, Any]:
    """Return the fields that change where only some touches stay."""
    codes, offsets = keep_touches(j.codes, j.offsets, keep)
    return {"codes": codes, "offsets": offsets, "times": None if j.times is None else j.times[keep]}


def taken(j: JourneyColumns, rows: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the fields of some journeys."""
    if rows.dtype.kind not in "biu" or rows.ndim != 1 or (rows.dtype.kind == "b" and len(rows) != len(j)):
        raise InputError(f"rows has dtype {rows.dtype} and shape {rows.shape}: a mask of {len(j):,} or row numbers.")
    picked = np.flatnonzero(rows) if rows.dtype.kind == "b" else rows
    if len(picked) and (picked.min() < 0 or picked.max() >= len(j)):
        raise InputError(f"rows has {picked.min()} to {picked.max()}: numbers from 0 to {len(j) - 1} are needed.")
    lengths = j.lengths[picked]
    before = np.cumsum(lengths) - lengths
    touches = np.arange(int(lengths.sum())) + np.repeat(j.offsets[:-1][picked] - before, lengths)

    def of(column: Any) -> Any:
        return None if column is None else column[picked]

    return {
        "codes": j.codes[touches],
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "times": None if j.times is None else j.times[touches],
        **{name: of(getattr(j, name)) for name in ("conversions", "value", "nulls", "ends", "customer_id")},
    }


def renamed(j: JourneyColumns, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that change where channels get new names."""
    new = [names.get(name, name) for name in j.channels.tolist()]
    for name in new:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"names has {name!r} as a new name: a string that is not empty is needed.")
    back, channels = code_names(new)
    return {"codes": back[j.codes], "channels": channels}


def merged(j: JourneyColumns) -> dict[str, Any]:
    """Return the fields of journeys with each distinct path once."""
    path, first = distinct_paths(j.codes, j.offsets)
    keep = np.zeros(len(j), dtype=np.bool_)
    keep[first] = True

    def added(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return weighted(path, column, len(first))

    return {
        "codes": j.codes[np.repeat(keep, j.lengths)],
        "offsets": np.concatenate(([0], np.cumsum(j.lengths[keep]))),
        "conversions": added(j.conversions),
        "nulls": added(j.nulls),
        "value": None if j.value is None else added(j.value),
        "times": None,
        "ends": None,
        "customer_id": None,
    }


def joined(a: JourneyColumns, b: JourneyColumns) -> dict[str, Any]:
    """Return the fields of the journeys of both."""
    if (a.value is None) != (b.value is None) and len(a) and len(b):
        raise InputError("one part has values and the other has none: give both values, or take them from both.")
    back, channels = code_names([*a.channels.tolist(), *b.channels.tolist()])
    split = len(a.channels)

    def both(first: Any, second: Any) -> Any:
        return None if first is None or second is None else np.concatenate([first, second])

    ids = (a.customer_id, b.customer_id)
    same_kind = None not in [None if x is None else 0 for x in ids] and ids[0].dtype.kind == ids[1].dtype.kind  # type: ignore[union-attr]
    return {
        "codes": np.concatenate([back[:split][a.codes], back[split:][b.codes]]),
        "offsets": np.concatenate([a.offsets, b.offsets[1:] + a.offsets[-1]]),
        "channels": channels,
        "conversions": both(a.conversions, b.conversions),
        "nulls": both(a.nulls, b.nulls),
        "value": both(a.value, b.value) if len(a) and len(b) else (a.value if len(a) else b.value),
        "times": both(a.times, b.times),
        "ends": both(a.ends, b.ends),
        "customer_id": both(*ids) if same_kind else None,
        "notes": tuple(dict.fromkeys((*a.notes, *b.notes))),
    }
