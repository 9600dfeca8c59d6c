"""Reshape journeys: choose touches, join channels, split and merge journeys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.attribution._duplicates import distinct_paths
from relmark.attribution._events import null_starts
from relmark.attribution._paths import code_names, keep_touches
from relmark.attribution._touches import first_of_channel, repeats, weighted
from relmark.attribution.journey_columns import JourneyColumns
from relmark.core.as_of import AsOf, read_as_of
from relmark.core.checks import BoolArray, IntArray, shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.ordering import order_by
from relmark.core.spans import Span, check_span, earlier


def places_of(j: JourneyColumns, argument: str, names: str | Iterable[str]) -> npt.NDArray[np.int64]:
    """Return the places of channels by name, or raise and suggest the nearest name."""
    known = {name: place for place, name in enumerate(j.channels.tolist())}
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise InputError(
                f"{argument} names {shown(name)}, which is not a channel of these journeys.",
                argument=argument,
                code="unknown_name",
                hint=hint,
            )
    return np.array([known[name] for name in wanted], dtype=np.int64)


def last_of_run(j: JourneyColumns) -> BoolArray:
    """Return which touches end a run of one channel."""
    again = repeats(j.codes, j.offsets)
    keep = np.ones(len(again), dtype=np.bool_)
    keep[:-1] = ~again[1:]
    return keep


def first_of_channel_in(j: JourneyColumns) -> BoolArray:
    """Return which touches are the first of their channel in their journey."""
    return first_of_channel(j.codes, j.offsets, len(j.channels))


def outside(j: JourneyColumns, places: npt.NDArray[np.int64], *, unless_only: bool) -> BoolArray:
    """Return which touches have other channels, or belong to a journey that has no others."""
    dropped = np.zeros(len(j.channels), dtype=np.bool_)
    dropped[places] = True
    keep = ~dropped[j.codes]
    if unless_only:
        before = np.concatenate(([0], np.cumsum(keep)))[j.offsets]
        keep |= np.repeat(np.diff(before) == 0, j.lengths)
    return keep


def among_last(j: JourneyColumns, n: int) -> BoolArray:
    """Return which touches are among the last n of their journey."""
    return np.arange(len(j.codes)) >= np.repeat(j.offsets[1:] - n, j.lengths)


def _times(j: JourneyColumns, what: str) -> tuple[IntArray, IntArray]:
    if j.times is None or j.ends is None:
        raise InputError(
            f"{what} needs the time of each touch, but these journeys have none: make them with from_events, or with "
            "from_columns(time=...).",
            argument="journeys",
            code="missing_argument",
        )
    return j.times, j.ends


def recent(j: JourneyColumns, lookback: Span) -> BoolArray:
    """Return which touches lie within a span before the end of their journey."""
    times, ends = _times(j, "within")
    check_span("lookback", lookback)
    return np.asarray(times >= np.repeat(earlier(ends, lookback, j.tz), j.lengths))


def settled(j: JourneyColumns, lookback: Span) -> BoolArray:
    """Return which journeys have a conversion, or ended longer than a span before the journeys' `as_of`."""
    _, ends = _times(j, "settled")
    check_span("lookback", lookback)
    if j.as_of is None:
        raise InputError(
            "settled needs the as_of up to which the journeys were read: make them with from_events.",
            argument="journeys",
            code="missing_argument",
        )
    dated = np.datetime_data(j.as_of.dtype)[0] == "D"
    if dated:
        moment = read_as_of(j.as_of, tz=j.tz)
    else:
        moment = AsOf(clock=int(j.as_of.astype("M8[us]").astype(np.int64)), dated=False, tz=j.tz)
    return np.asarray((j.conversions > 0.0) | (ends <= moment.before(lookback)))


def parted(j: JourneyColumns, gap: Span) -> dict[str, Any]:
    """Return the changed fields when journeys without a conversion are split by another length of silence."""
    times, ends = _times(j, "split_nulls")
    check_span("gap", gap)
    if j.customer_id is None:
        raise InputError(
            "split_nulls needs to know whose journeys these are: make them with from_events.",
            argument="journeys",
            code="missing_argument",
        )
    who = np.unique(j.customer_id, return_inverse=True)[1].reshape(-1)
    converted = np.flatnonzero(j.conversions > 0.0)
    rows = np.repeat(j.conversions == 0.0, j.lengths)
    touch = np.flatnonzero(rows)
    n_goals = len(converted)
    code = np.concatenate([who[converted], np.repeat(who, j.lengths)[touch]])
    time = np.concatenate([ends[converted], times[touch]])
    line = order_by(
        code, time, (np.arange(len(code)) >= n_goals).view(np.int8)
    )  # at equal times the conversion comes first
    is_touch = line >= n_goals
    goals = np.cumsum(~is_touch, dtype=np.int64)[is_touch]
    touch = touch[line[is_touch] - n_goals]
    code, time = code[line[is_touch]], times[touch]
    low = np.flatnonzero(null_starts(code, time, goals, gap, j.tz))
    high = np.append(low[1:], len(touch)) if len(low) else low
    kept_touches = np.flatnonzero(~rows)
    picked = np.concatenate([kept_touches, touch])
    lengths = np.concatenate([j.lengths[converted], high - low])
    last = touch[high - 1]
    whose = np.repeat(np.arange(len(j)), j.lengths)
    empty = np.zeros(len(low))
    return {
        "codes": j.codes[picked],
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "conversions": np.concatenate([j.conversions[converted], empty]),
        "value": None if j.value is None else np.concatenate([j.value[converted], empty]),
        "nulls": np.concatenate([j.nulls[converted], empty + 1.0]),
        "times": times[picked],
        "ends": np.concatenate([ends[converted], times[last]]),
        "customer_id": j.customer_id[np.concatenate([converted, whose[last]])],
    }


def kept(j: JourneyColumns, keep: BoolArray) -> dict[str, Any]:
    """Return the changed fields when only some touches are kept."""
    codes, offsets = keep_touches(j.codes, j.offsets, keep)
    return {"codes": codes, "offsets": offsets, "times": None if j.times is None else j.times[keep]}


def taken(j: JourneyColumns, rows: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the fields of some journeys."""
    if rows.dtype.kind not in "biu" or rows.ndim != 1 or (rows.dtype.kind == "b" and len(rows) != len(j)):
        raise InputError(
            f"rows has dtype {rows.dtype} and shape {rows.shape}: {len(j):,} booleans or row numbers are needed.",
            argument="rows",
            code="wrong_shape",
        )
    picked = np.flatnonzero(rows) if rows.dtype.kind == "b" else rows
    if len(picked) and (picked.min() < 0 or picked.max() >= len(j)):
        raise InputError(
            f"rows has numbers from {picked.min()} to {picked.max()}: numbers from 0 to {len(j) - 1} are needed.",
            argument="rows",
            code="wrong_value",
        )
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
    """Return the changed fields when channels get new names."""
    new = [names.get(name, name) for name in j.channels.tolist()]
    for name in new:
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"names has {name!r} as a new name: a string that is not empty is needed.",
                argument="names",
                code="wrong_value",
            )
    back, channels = code_names(new)
    return {"codes": back[j.codes], "channels": channels}


def merged(j: JourneyColumns) -> dict[str, Any]:
    """Return the changed fields when each distinct path becomes one journey."""
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
    """Return the fields of two sets of journeys together."""
    if (a.value is None) != (b.value is None) and len(a) and len(b):
        raise InputError(
            "one part has values and the other has none: use values in both parts or in neither.",
            argument="other",
            code="not_mergeable",
        )
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
        "as_of": a.as_of if a.as_of == b.as_of and a.tz == b.tz else None,
        "tz": a.tz,
        "notes": tuple(dict.fromkeys((*a.notes, *b.notes))),
    }
