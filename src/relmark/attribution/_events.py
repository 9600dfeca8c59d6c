"""Journeys from a base: every conversion takes the touches before it, and the others form journeys without one.

Touches and conversions of all customers are put into one order: by customer, time and arrival. A conversion then takes
a range of touches whose ends are found by counting and by one bisection for all conversions at once. The base's
`Purchases` define what a purchase is and which lines form one order; other conversions are single events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import ranges
from relmark.core.as_of import AsOf, read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, IntArray, one_of, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.log import EventLog
from relmark.core.money import exact_sums
from relmark.core.names import a_type, did_you_mean
from relmark.core.ordering import group_order, stable_order
from relmark.core.partition import Partition
from relmark.core.purchases import OrderBy
from relmark.core.spans import CalendarSpan, Span, check_span, days_before, earlier, whole_days
from relmark.core.time import Instant, local_days, local_midnights
from relmark.expressions import Expression, Selection, event
from relmark.expressions.event_rows import Bounds, EventScope, chosen_events

Chosen: TypeAlias = Selection | str | Sequence[Selection | str]
"""Events by their type, or as ``event("visit", where=...)``; one kind or several."""

_PER_LINE = ("instant", "day")


class _Events(NamedTuple):
    """Events of all kinds: the customer (a row of the base), the time, and the order of arrival."""

    customer: IntArray
    time: IntArray
    row: IntArray
    of_day: BoolArray
    """Whether the event has a day but no time of day."""


class _Kind(NamedTuple):
    """The chosen events of one type."""

    name: str
    part: Partition
    places: IntArray


def journeys_of_base(
    base: CustomerBase,
    *,
    touch: Chosen,
    conversion: Chosen,
    as_of: Instant,
    order: OrderBy,
    channel: str | Expression,
    lookback: Span,
    after_conversion: str,
) -> dict[str, Any]:
    """Return the fields of `Journeys` for the events of a base up to `as_of`."""
    if not isinstance(base, CustomerBase):
        remedy = "CustomerBase(events=log, tz=...)" if isinstance(base, EventLog) else "CustomerBase.from_orders(...)"
        raise InputError(
            f"base is {a_type(base)}: a CustomerBase is needed.",
            argument="base",
            code="wrong_type",
            hint=f"Make one with {remedy}.",
        )
    moment = read_as_of(as_of, tz=base.tz)
    check_span("lookback", lookback)
    after = one_of("after_conversion", after_conversion, ("new", "keep", "carry"))
    if not isinstance(channel, Expression):
        text("channel", channel)

    touched = _chosen(base, "touch", touch, moment)
    converted = _chosen(base, "conversion", conversion, moment)
    touches, names, channels = _touches(base, touched, channel)
    goals, value, notes = _conversions(base, converted, order, moment)
    notes += _day_notes(touches, goals, moment)
    low_of_goal = _earliest(goals, lookback, base.tz)
    # A conversion that carries no time counts at the end of its day, after the day's touches that have a time.
    when = goals.time
    if goals.of_day.any() and not touches.of_day.all():
        ends_of_days = local_midnights(local_days(goals.time, base.tz) + 1, base.tz) - 1
        when = np.where(goals.of_day, ends_of_days, goals.time)

    # All events ordered by customer, time and arrival; an event that is both counts first as a touch.
    n_touches, n_goals = len(touches.time), len(goals.time)
    who = np.concatenate([touches.customer, goals.customer])
    time = np.concatenate([touches.time, when])
    is_goal = np.arange(n_touches + n_goals) >= n_touches
    line = stable_order(2 * np.concatenate([touches.row, goals.row]) + is_goal)
    line = line[stable_order(time[line])]
    line = line[group_order(who[line], len(base))[0]]
    touches_before = np.concatenate(([0], np.cumsum(~is_goal[line])))
    goals_before = np.concatenate(([0], np.cumsum(is_goal[line])))
    touch_order = line[~is_goal[line]]
    goal_order = line[is_goal[line]]
    t_code, t_time = who[touch_order], time[touch_order]
    g_code, place = who[goal_order], goal_order - n_touches

    # The range of touches that each conversion takes.
    high = touches_before[:-1][is_goal[line]]
    low = np.searchsorted(t_code, g_code, side="left")
    if after != "keep" and n_goals:
        same = np.concatenate(([False], g_code[1:] == g_code[:-1]))
        previous = np.concatenate(([0], high[:-1]))
        low = np.where(same, previous, low)
    last = np.maximum(high - 1, 0)
    if after == "carry" and n_touches:  # the last touch counts until a newer one comes
        none = (low == high) & (high > 0) & (t_code[last] == g_code)
        low = np.where(none, last, low)
    low = _first_at_or_after(t_time, low_of_goal[place], low, high)
    edges = np.bincount(low, minlength=n_touches + 1) - np.bincount(high, minlength=n_touches + 1)
    left = np.flatnonzero(np.cumsum(edges)[:n_touches] == 0)
    g_end = goals.time[place]
    if n_touches:
        g_end = np.where(high > low, np.maximum(g_end, t_time[last]), g_end)

    # The remaining touches, split at a new customer, at a conversion, and at a long silence.
    seen_goals = goals_before[:-1][~is_goal[line]][left]
    starts = null_starts(t_code[left], t_time[left], seen_goals, lookback, base.tz)
    null_low = np.flatnonzero(starts)
    null_high = np.append(null_low[1:], len(left)) if len(null_low) else null_low
    n_null = len(null_low)
    lengths = np.concatenate([high - low, null_high - null_low])
    picked = np.concatenate([ranges(low, high), left[ranges(null_low, null_high)]])
    return {
        "codes": names[touch_order][picked],
        "offsets": np.concatenate(([0], np.cumsum(lengths))),
        "channels": channels,
        "conversions": np.concatenate([np.ones(n_goals), np.zeros(n_null)]),
        "value": None if value is None else np.concatenate([value[place], np.zeros(n_null)]),
        "nulls": np.concatenate([np.zeros(n_goals), np.ones(n_null)]),
        "times": t_time[picked],
        "ends": np.concatenate([g_end, t_time[left[null_high - 1]]]),
        "customer_id": base.customer_id[np.concatenate([g_code, t_code[left[null_high - 1]]])],
        "as_of": moment.given,
        "tz": base.tz,
        "notes": notes,
    }


def null_starts(code: IntArray, time: IntArray, goals: IntArray, silence: Span, tz: str) -> BoolArray:
    """Return which unconverted touches, by customer and time, begin a journey; `goals` has the conversions before."""
    starts = np.ones(len(code), dtype=np.bool_)
    if len(code):
        silent = earlier(time[1:], silence, tz) > time[:-1]
        starts[1:] = (code[1:] != code[:-1]) | (goals[1:] != goals[:-1]) | silent
    return starts


def _earliest(goals: _Events, lookback: Span, tz: str) -> IntArray:
    """Return the first instant from which each conversion may take touches; from a date, days are local days."""
    timed = earlier(goals.time, lookback, tz)
    days = whole_days(lookback)
    if not goals.of_day.any() or (days is None and not isinstance(lookback, CalendarSpan)):
        return timed
    day = local_days(goals.time, tz)
    first = days_before(day, lookback) if isinstance(lookback, CalendarSpan) else day - (days or 0)
    return np.where(goals.of_day, local_midnights(first, tz), timed)


def _day_notes(touches: _Events, goals: _Events, moment: AsOf) -> tuple[str, ...]:
    """Return the notes on events that have a day but no time of day."""
    notes = []
    days, times = goals.of_day.any(), not goals.of_day.all()
    if len(touches.time) and len(goals.time):
        if days and not touches.of_day.all():
            notes.append("conversions carry a day and no time: touches of that day count as before them")
        if times and touches.of_day.any():
            notes.append("touches carry a day and no time: those of the day of a conversion count as before it")
    on_it = sum(int(np.count_nonzero(e.of_day & (e.time == moment.clock))) for e in (touches, goals))
    if on_it and not moment.dated:
        notes.append(
            f"{on_it:,} events carry the day that begins at as_of, and are seen; give as_of as a date to leave them out"
        )
    return tuple(notes)


def _first_at_or_after(times: IntArray, when: IntArray, low: IntArray, high: IntArray) -> IntArray:
    """Return the first place in each range whose time is at least `when`; all ranges are bisected together."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) // 2
        early = open_ & (times[np.where(open_, middle, 0)] < when)
        low = np.where(early, middle + 1, low)
        high = np.where(open_ & ~early, middle, high)
    return low


def _selections(name: str, given: Chosen) -> list[Selection]:
    several = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if not several:
        raise InputError(
            f"{name} is empty: name at least one event, such as event('visit').", argument=name, code="empty"
        )
    chosen = []
    for one in several:
        selection = event(one) if isinstance(one, str) else one
        if not isinstance(selection, Selection):
            raise InputError(
                f"{name} is {shown(one)}: events are needed, such as event('visit').", argument=name, code="wrong_type"
            )
        chosen.append(selection)
    return chosen


def _chosen(base: CustomerBase, name: str, given: Chosen, moment: AsOf) -> list[_Kind]:
    """Return the partition of each event type and the places of its selected events up to a moment."""
    log = base.events
    selections = _selections(name, given)
    types = sorted({kind for selection in selections for kind in selection.names(log.types)})
    if len(log) and not any(kind in log.types for kind in types):
        raise InputError(
            f"{name} asks for {' or '.join(map(repr, types))}, but the log has no such event; it has "
            f"{', '.join(log.types)}.",
            argument=name,
            code="unknown_name",
            hint=did_you_mean(types[0], log.types),
        )
    masks: dict[str, tuple[Partition, BoolArray]] = {}
    for selection in selections:
        for scope in chosen_events(log, selection, Bounds(None, int(moment.seen)), base.tz).scopes:
            mask = masks.setdefault(scope.type_name, (scope.part, np.zeros(len(scope.part), dtype=np.bool_)))[1]
            mask[scope.rows] = True
    return [_Kind(kind, part, np.flatnonzero(mask)) for kind, (part, mask) in sorted(masks.items())]


def _stacked(parts: list[_Events]) -> _Events:
    none = np.empty(0, dtype=np.int64)
    empty = _Events(none, none, none, np.empty(0, dtype=np.bool_))
    return _Events(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))


def _as_they_are(base: CustomerBase, kind: _Kind) -> _Events:
    places, part = kind.places, kind.part
    of_day = np.full(len(places), part.day_zone is not None)
    return _Events(base.code_to_row[part.code[places]], part.time[places], part.row[places].astype(np.int64), of_day)


def _touches(
    base: CustomerBase, chosen: list[_Kind], channel: str | Expression
) -> tuple[_Events, npt.NDArray[np.int32], npt.NDArray[np.str_]]:
    """Return the touches, the channel of each, and the ascending names of the channels that occur."""
    labels = [np.empty(0, dtype="<U1")]
    codes = [np.empty(0, dtype=np.int64)]
    before = 0
    for kind, part, places in chosen:
        names, at = _names(_channel(kind, part, places, channel, base.tz))
        missing = at < 0
        if missing.any():
            row = int(part.row[places[np.argmax(missing)]])
            said = channel if isinstance(channel, str) else "the channel"
            name = channel if isinstance(channel, str) else "channel"
            raise InputError(
                f"{said} is missing for a {kind!r} event in row {row} (and for {int(missing.sum()) - 1:,} others): "
                f"every touch needs a channel.",
                argument="channel",
                row=row,
                code="missing_value",
                hint=(
                    f"Leave these events out with where=prop({name!r}).not_null(), or name "
                    f"them with channel=prop({name!r}).fill('(unknown)')."
                ),
            )
        labels.append(names)
        codes.append(at + before)
        before += len(names)
    code = np.concatenate(codes)
    every = np.strings.strip(np.concatenate(labels))  # "mail " is mail, as in the other constructors
    if (every[np.unique(code)] == "").any():
        raise InputError(
            "a touch has an empty channel: every touch needs a name.",
            argument="channel",
            code="empty",
            hint="Name it, or leave the touch out.",
        )
    used = np.unique(every[np.unique(code)])
    events = _stacked([_as_they_are(base, kind) for kind in chosen])
    return events, np.searchsorted(used, every)[code].astype(np.int32), used


def _channel(kind: str, part: Partition, places: IntArray, channel: str | Expression, tz: str) -> Column:
    """Return the channel of some events of one type."""
    if isinstance(channel, Expression):
        return EventScope(part, kind, places, len(places), tz).column(channel)
    column = part.properties.get(channel)
    if column is None:
        if not len(places):
            return Column.empty(0)
        raise MissingColumnError(
            f"no {kind!r} event has the property {channel!r}, which names the channel; these events have "
            f"{', '.join(part.properties) or 'none'}.",
            argument="channel",
            hint=did_you_mean(channel, part.properties),
        )
    return column.take(places)


def _names(column: Column) -> tuple[npt.NDArray[np.str_], IntArray]:
    """Return the distinct values of a column as text, and the place of each row's value, -1 if it is missing."""
    if column.kind == "text" and column.categories is not None:
        return column.categories, column.data.astype(np.int64)
    values = column.values().tolist()
    if column.kind == "number":  # a missing number makes the others floats: 20.0 is still channel 20
        values = [int(value) if float(value).is_integer() else value for value in values]
    words = np.array([str(value) for value in values], dtype=np.str_)
    names, at = np.unique(words, return_inverse=True)
    return names, np.where(column.missing, -1, at)


def _is_ordered(kind: _Kind, order: OrderBy) -> bool:
    """Return whether conversions of a type are orders: purchases, and events that name their order."""
    if kind.name == "purchase":
        return True
    if order is None:
        return "order" in kind.part.properties
    return isinstance(order, timedelta) or order in _PER_LINE or order in kind.part.properties


def _conversions(
    base: CustomerBase, chosen: list[_Kind], order: OrderBy, moment: AsOf
) -> tuple[_Events, FloatArray | None, tuple[str, ...]]:
    """Return the conversions, their values (None if no conversion has one), and notes on them."""
    parts: list[_Events] = []
    values: list[FloatArray] = [np.empty(0)]
    notes: tuple[str, ...] = ()
    if isinstance(order, str) and chosen and not any(_is_ordered(kind, order) for kind in chosen):
        raise MissingColumnError(
            f"order is {order!r}, but no {' or '.join(repr(kind.name) for kind in chosen)} event has such a property.",
            argument="order",
        )
    for kind in chosen:
        if _is_ordered(kind, order):
            events, value, said = _orders(base, kind, order, moment)
            notes += said
        else:
            events = _as_they_are(base, kind)
            value = np.full(len(kind.places), np.nan) if kind.part.value is None else kind.part.value[kind.places]
            _refuse_negative(value, events.row)
        parts.append(events)
        values.append(value)
    every = np.concatenate(values)
    missing = np.isnan(every)
    if missing.all() and (len(every) or not any(kind.part.value is not None for kind in chosen)):
        return _stacked(parts), None, notes
    few = int(missing.sum())
    if few:
        notes += (f"{few:,} conversions have no value and add nothing to the sums of value",)
    return _stacked(parts), np.where(missing, 0.0, every), notes


def _orders(
    base: CustomerBase, kind: _Kind, order: OrderBy, moment: AsOf
) -> tuple[_Events, FloatArray, tuple[str, ...]]:
    """Return the orders of the chosen lines: one conversion each, at its first chosen line, with their total value."""
    bought = base.purchases(type=kind.name, order=order).until(moment)
    lines = bought.lines
    wanted = np.zeros(len(kind.part), dtype=np.bool_)
    wanted[kind.places] = True
    keep = np.flatnonzero(wanted[lines.place][: len(lines.time)])
    _, first, code = np.unique(bought.order_codes.code[keep], return_index=True, return_inverse=True)
    at = keep[first]
    of_day = np.full(len(at), kind.part.day_zone is not None)
    value = np.full(len(at), np.nan)
    if lines.value is not None:
        value = exact_sums(code.reshape(-1), lines.value[keep], len(at))
    customer, time, row = lines.customer[at].astype(np.int64), lines.time[at], lines.row[at].astype(np.int64)
    rank = bought.order_ranks(at)
    if rank is not None:  # orders of one instant come by their number, not by the rows of their lines
        by_number = np.lexsort((rank, time, customer))
        customer, time, row, value = customer[by_number], time[by_number], row[by_number], value[by_number]
        begins = np.flatnonzero(np.r_[True, (customer[1:] != customer[:-1]) | (time[1:] != time[:-1])][: len(at)])
        if 0 < len(begins) < len(at):
            row = np.repeat(np.minimum.reduceat(row, begins), np.diff(begins, append=len(at)))
    events = _Events(customer, time, row, of_day)
    found = bought.found
    said = {
        "refunded_in_full": "purchases were refunded in full and do not count as conversions",
        "refunds_unmatched": "refunds could not be matched to an earlier purchase, or exceed it",
    }
    notes = tuple(f"{found[name]:,.0f} {words}" for name, words in said.items() if found.get(name))
    return events, value, notes


def _refuse_negative(value: FloatArray, row: IntArray) -> None:
    with np.errstate(invalid="ignore"):
        bad = value < 0.0
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"value of a conversion is {value[first]:g} in row {int(row[first])}: 0 or more is needed.",
            argument="value",
            row=int(row[first]),
            code="wrong_value",
            hint="Name the orders with order= to subtract refunds, or leave these out: where=prop('value') >= 0.",
        )
