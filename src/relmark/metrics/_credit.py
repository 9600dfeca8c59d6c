"""Kernel of credit: which orders followed a message closely enough to be credited to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, text
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.money import exact_sums
from relmark.core.ordering import dense_codes, order_by
from relmark.core.spans import length
from relmark.expressions.selection import Selection
from relmark.metrics._messages import Messages
from relmark.metrics._returning import distinct
from relmark.metrics.grouping import column_of
from relmark.metrics.windows import Stretch, events_of, selection_given

__all__ = ["Conversions", "Credited", "conversions_of", "credited"]


class Conversions(NamedTuple):
    """Lines of orders, sorted by time; lines of one order have the same `order`."""

    customer: npt.NDArray[Any]
    time: IntArray
    value: FloatArray | None
    order: IntArray
    n: int


class Credited(NamedTuple):
    """Orders, money and converted messages by group, and the money of all orders in the window."""

    orders: IntArray
    revenue: FloatArray | None
    messages: IntArray
    all_revenue: float


def conversions_of(base: CustomerBase, stretch: Stretch, conversion: Selection, value: str) -> Conversions:
    """Return the orders of a window: purchases as `CustomerBase.purchases` reads them, or one per event."""
    selection_given("conversion", conversion)
    text("value", value)
    if conversion.types == ("purchase",) and conversion.where is None and value == "value":
        bought = base.purchases().until(stretch.as_of)
        lines, codes = bought.lines, bought.order_codes
        rows = stretch.rows(lines.time)
        money = None if lines.value is None else lines.value[rows]
        return Conversions(lines.customer[rows], lines.time[rows], money, codes.code[rows].astype(np.int64),
                           len(codes.first))  # fmt: skip
    customer, time, found = events_of(base, conversion, stretch.low, stretch.high)
    n = len(time)
    column = found.column(value) if n else None
    if value != "value" and n and (column is None or column.kind == "empty"):
        raise MissingColumnError(f"value is {value!r}, but no {conversion!r} has this property.", argument="value")
    if column is not None and column.kind not in {"number", "empty"}:
        raise InputError(
            f"value is {value!r}, a property of kind {column.kind!r}; it must hold numbers.",
            argument="value",
            code="wrong_type",
        )
    money = None
    if column is not None and column.kind == "number":
        given = column.numbers()
        money = np.where(np.isnan(given), 0.0, given)
    order = np.arange(n, dtype=np.int64)
    named = found.column("order") if n and any("order" in scope.part.properties for scope in found.scopes) else None
    key = customer.astype(np.int64)
    if named is not None and named.kind != "tags":
        code, values = column_of(named, "order")
        missing = named.missing
        order = dense_codes(np.where(missing, len(values) * (int(key.max()) + 1) + order, key * len(values) + code))[0]
    return Conversions(customer, time, money, order, int(order.max()) + 1 if n else 0)


def credited(
    base: CustomerBase, found: Messages, conversion: Selection, value: str, credit: str, within: timedelta
) -> Credited:
    """Return the orders that are credited to messages."""
    bought = conversions_of(base, found.stretch, conversion, value)
    limit = length(within)
    line, unit = (_last_click if credit == "last_click" else _any)(found, bought, limit)
    groups = found.groups
    if groups.rows is None:
        group = groups.code[unit]
    else:  # a message may be in several segments
        order = np.argsort(groups.rows, kind="stable")
        first = np.searchsorted(groups.rows[order], unit, side="left")
        size = np.searchsorted(groups.rows[order], unit, side="right") - first
        place = np.repeat(first - np.cumsum(size) + size, size) + np.arange(int(size.sum()))
        group, line, unit = groups.code[order[place]], np.repeat(line, size), np.repeat(unit, size)
    pairs = distinct(group * max(len(bought.time), 1) + line)  # a line counts once for a group
    by_line, of_group = pairs % max(len(bought.time), 1), pairs // max(len(bought.time), 1)
    orders = distinct(of_group * max(bought.n, 1) + bought.order[by_line]) // max(bought.n, 1)
    revenue, everything = None, 0.0
    if bought.value is not None:
        revenue = exact_sums(of_group, bought.value[by_line], groups.k)
        everything = float(exact_sums(np.zeros(len(bought.value), dtype=np.int64), bought.value, 1)[0])
    messages = distinct(group * max(len(found.time), 1) + unit) // max(len(found.time), 1)
    return Credited(
        np.bincount(orders, minlength=groups.k), revenue, np.bincount(messages, minlength=groups.k), everything
    )


def _last_click(found: Messages, bought: Conversions, limit: int) -> tuple[IntArray, IntArray]:
    """Return the lines whose customer clicked before, and the message that they clicked last."""
    who, when, unit = found.clicks
    n = len(who)
    customer = np.concatenate([who.astype(np.int64), bought.customer.astype(np.int64)])
    time = np.concatenate([when, bought.time])
    is_line = np.arange(len(time)) >= n
    # If two messages are clicked at one instant, the one sent last counts, then the smaller unit.
    tie = np.concatenate([found.time[unit], np.zeros(len(bought.time), dtype=np.int64)])
    second = np.concatenate([-unit, np.zeros(len(bought.time), dtype=np.int64)])
    order = order_by(customer, time, is_line.astype(np.int64), tie, second)
    latest = np.maximum.accumulate(np.where(is_line[order], -1, np.arange(len(order))))
    click = order[np.maximum(latest, 0)]
    good = is_line[order] & (latest >= 0) & (customer[click] == customer[order])
    good &= time[order] - time[click] <= limit
    rows = np.flatnonzero(good)
    return order[rows] - n, unit[click[rows]]


def _any(found: Messages, bought: Conversions, limit: int) -> tuple[IntArray, IntArray]:
    """Return each line with each message that its customer had been sent before it."""
    n = len(found.time)
    order = order_by(found.customer.astype(np.int64), found.time)
    customer, time = found.customer[order].astype(np.int64), found.time[order]
    instants = np.unique(np.concatenate([time, bought.time, bought.time - limit]))
    size = len(instants) + 1
    keys = customer * size + np.searchsorted(instants, time)
    mine = bought.customer.astype(np.int64) * size
    first = np.searchsorted(keys, mine + np.searchsorted(instants, bought.time - limit), side="left")
    after = np.searchsorted(keys, mine + np.searchsorted(instants, bought.time), side="right")
    count = after - first
    line = np.repeat(np.arange(len(bought.time)), count)
    place = np.repeat(first - np.cumsum(count) + count, count) + np.arange(int(count.sum()))
    return line, order[place] if n else np.empty(0, dtype=np.int64)
