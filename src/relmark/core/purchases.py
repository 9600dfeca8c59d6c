"""`Purchases`: what customers bought, as lines, orders and days, with refunds taken off; every package reads these.

`CustomerBase.purchases` makes one. Nothing is computed before it is needed: columns of the log are not copied, and
orders, days and refunds are found when a package asks for them. Packages cut purchases with `until`, so that a refund
after `as_of` never lowers a purchase before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven, read_as_of
from relmark.core.checks import BoolArray, FloatArray, IntArray, one_of, shown
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.formats import html_table
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import Codes
from relmark.core.money import exact_sums, whole_units
from relmark.core.names import did_you_mean
from relmark.core.ordering import dense_codes, group_order, is_sorted, order_by, small_codes, stable_order
from relmark.core.partition import Partition
from relmark.core.refunds import RefundLines, netted
from relmark.core.results import ColumnarResult
from relmark.core.time import duration
from relmark.core.zones import DAY, local_days

__all__ = ["Free", "OrderBy", "Orders", "PurchaseDays", "Purchases", "Refunds"]

Refunds: TypeAlias = Literal["net", "drop", "refuse"]
Free: TypeAlias = Literal["keep", "drop"]
OrderBy: TypeAlias = str | timedelta | None
"""What makes an order: a property, "instant", "day", or a pause; None is the property "order", else "instant"."""

_REFUNDS: tuple[Refunds, ...] = ("net", "drop", "refuse")
_FREE: tuple[Free, ...] = ("keep", "drop")
_SILENCE = 30 * DAY  # a receipt number that is used again after a month is another order
_MINUTE = 60_000_000
_BLOCK = 1 << 15
_FEW = 8  # lines at one instant that are compared one by one


class Lines(NamedTuple):
    """The lines of a log's purchases that count, in the order of time."""

    customer: Codes
    """Rows of the base."""
    time: IntArray
    value: FloatArray | None
    quantity: FloatArray | None
    row: npt.NDArray[np.integer[Any]]
    """The caller's rows."""
    place: npt.NDArray[np.intp] | slice
    """The positions of these lines in the log's purchases."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Orders(ColumnarResult):
    """Orders, one row per order, sorted by customer and time.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Who ordered.
    order : ndarray, shape (n,), or None
        The order's number; None or NaN for an order without one. The attribute is None if no purchase names an order.
    time : ndarray of datetime64[us], shape (n,)
        The time of its first line, in UTC.
    day : ndarray of datetime64[D], shape (n,)
        The local day on which it began.
    value : ndarray of float64, shape (n,), or None
        Its money, with refunds taken off; None if purchases have no values.
    lines : ndarray of int64, shape (n,)
        The number of its lines.
    quantity : ndarray of float64, shape (n,), or None
        The sum of the quantities of its lines; None if purchases have no quantities.
    """

    customer_id: npt.NDArray[Any]
    order: npt.NDArray[Any] | None
    time: npt.NDArray[np.datetime64]
    day: npt.NDArray[np.datetime64]
    value: FloatArray | None
    lines: IntArray
    quantity: FloatArray | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PurchaseDays(ColumnarResult):
    """Days with a purchase, one row per customer and local day, sorted by customer and day.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Who bought.
    day : ndarray of datetime64[D], shape (n,)
        The local day; an order that spans several days belongs to its first.
    value : ndarray of float64, shape (n,), or None
        The money of the day, with refunds taken off; None if purchases have no values.
    lines : ndarray of int64, shape (n,)
        The number of lines on the day.
    quantity : ndarray of float64, shape (n,), or None
        The sum of their quantities; None if purchases have no quantities.
    """

    customer_id: npt.NDArray[Any]
    day: npt.NDArray[np.datetime64]
    value: FloatArray | None
    lines: IntArray
    quantity: FloatArray | None


class DayGroups(NamedTuple):
    """Days with a purchase in the form that kernels take: one row per customer and local day, in that order."""

    customer: Codes
    day: IntArray
    value: FloatArray | None
    order: IntArray
    """Lines grouped by customer and day."""
    start: IntArray
    """Where each day's lines begin in `order`."""


class OrderCodes(NamedTuple):
    """Which order each line belongs to."""

    code: Codes
    """Per line, 0 to n - 1."""
    first: IntArray
    """The first line of each order, shape (n,)."""
    reused: int
    """How many orders have a number that the same customer had used before."""
    spread: int
    """How many orders have lines on several days."""


@attrs.frozen(eq=False, repr=False, kw_only=True)
class Purchases(Frozen):
    """What the customers of a base bought; made by `CustomerBase.purchases`.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        The ids of all customers of the base, in its order.
    tz : str
        The time zone of the days.
    as_of : AsOf or None
        The time until which purchases are included; None if there is no limit.

    Examples
    --------
    >>> from relmark.core.base import CustomerBase
    >>> orders = {"user": ["a", "a", "a", "b"], "amount": [30.0, 20.0, -40.0, 5.0],
    ...     "day": ["2026-01-05", "2026-01-07", "2026-01-09", "2026-01-09"]}
    >>> bought = CustomerBase.from_orders(orders, customer_id="user", time="day", value="amount").purchases()
    >>> print(bought.orders())
    customer_id  time        day         value  lines
    -----------  ----------  ----------  -----  -----
    a            2026-01-05  2026-01-05     10      1
    b            2026-01-09  2026-01-09      5      1
    >>> bought.counts["refunded_in_full"], bought.counts["money_refunded"]
    (1, 40.0)
    """

    customer_id: npt.NDArray[Any] = attrs.field(converter=read_only)
    tz: str
    type: str
    order: OrderBy
    refunds: Refunds
    free: Free
    as_of: AsOf | None = None
    types: tuple[str, ...] = ()
    _part: Partition | None
    _rows: npt.NDArray[np.int64] | None  # the base's row of each of the log's customers; None where they are the same
    _shared: dict[str, Any] = attrs.field(factory=dict)  # what all cuts of the same purchases have in common

    def __attrs_post_init__(self) -> None:
        """Check the options, and that the property that makes orders exists."""
        one_of("refunds", self.refunds, _REFUNDS)
        one_of("free", self.free, _FREE)
        if isinstance(self.order, timedelta):
            duration("order", self.order)
        elif not isinstance(self.order, str):
            raise InputError(
                f"order is {shown(self.order)}: the name of a property, 'instant', 'day', or the pause that separates "
                "two orders, such as hours(1), is needed.",
                argument="order",
                code="wrong_type",
            )
        elif self._part is not None and self.order not in ("instant", "day"):
            has = self._part.properties
            if self.order not in has:
                listed = ", ".join(map(repr, sorted(has))) or "none"
                raise MissingColumnError(
                    f"order is {self.order!r}, but the {self.type!r} events have no such property: they have {listed}."
                    f"{did_you_mean(self.order, has)} If purchases name no orders, use order='instant', 'day' or a "
                    "pause, such as hours(1).",
                    argument="order",
                )

    # ---- what was bought

    @cached_property
    def lines(self) -> Lines:
        """The lines that count, in the order of time, after `refunds` and `free` were applied."""
        return self._kept[0]

    def orders(self) -> Orders:
        """Return one row per order, by customer and time."""
        lines, codes = self.lines, self.order_codes
        n = len(codes.first)
        customer = lines.customer[codes.first]
        time = lines.time[codes.first]
        rank = stable_order(customer) if is_sorted(time) else order_by(customer, time)
        first = codes.first[rank]
        named = self._named
        return Orders(
            customer_id=self.customer_id[lines.customer[first]],
            order=None if named is None else named.take(lines.place).take(first).values(),
            time=lines.time[first].view("M8[us]"),
            day=local_days(lines.time[first], self.tz).astype("M8[D]"),
            value=None if lines.value is None else exact_sums(codes.code, lines.value, n)[rank],
            lines=np.bincount(codes.code, minlength=n)[rank],
            quantity=None if lines.quantity is None else exact_sums(codes.code, lines.quantity, n)[rank],
        )

    def days(self) -> PurchaseDays:
        """Return one row per customer and local day with a purchase."""
        groups, lines = self.day_groups, self.lines
        quantity = None
        if lines.quantity is not None:
            place = np.repeat(np.arange(len(groups.start)), np.diff(groups.start, append=len(groups.order)))
            quantity = exact_sums(place, lines.quantity[groups.order], len(groups.start))
        return PurchaseDays(
            customer_id=self.customer_id[groups.customer],
            day=groups.day.astype("M8[D]"),
            value=groups.value,
            lines=np.diff(groups.start, append=len(groups.order)),
            quantity=quantity,
        )

    def until(self, as_of: AsOfGiven | AsOf) -> Purchases:
        """Return the purchases known at a time: those at or before an instant, or those before the day of a date."""
        moment = as_of if isinstance(as_of, AsOf) else read_as_of(as_of, tz=self.tz)
        part = self._part
        if part is not None:
            stop = part.window(None, int(moment.seen)).stop
            part = part if stop == len(part) else part.take(slice(0, stop))
        return attrs.evolve(self, as_of=moment, part=part)

    @property
    def n_events(self) -> int:
        """How many purchases and refunds the log has until `as_of`, before any are taken off or left out."""
        return 0 if self._part is None else len(self._part)

    @property
    def found(self) -> Mapping[str, float]:
        """The part of `counts` that is known without finding orders."""
        return {"events": self.n_events, **self._kept[1]}

    @property
    def n_customers(self) -> int:
        """How many customers the base has."""
        return len(self.customer_id)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.lines.time)

    @cached_property
    def counts(self) -> Mapping[str, float]:
        """What was read, and what was done with it.

        The counts are lines, orders and customers; refunds (lines), refunds_unmatched (refunds larger than the
        purchases from which they could be taken), refunded_in_full (purchases of which nothing is left), free (lines of
        value 0) and dropped (lines left out). If purchases have values, there are money (of purchases), money_refunded,
        money_unmatched and money_kept, with money = money_kept + money_refunded. The last three are signs that orders
        may be wrong: orders_within_a_minute (of the customer's order before), order_numbers_reused, orders_over_days.
        """
        lines, found = self._kept
        codes = self.order_codes
        first = codes.first
        customer, time = lines.customer[first], lines.time[first]
        rank = order_by(customer, time)
        close = (customer[rank][1:] == customer[rank][:-1]) & (np.diff(time[rank]) <= _MINUTE)
        return {
            "lines": len(lines.time),
            "orders": len(first),
            "customers": int(np.count_nonzero(np.bincount(customer))) if len(customer) else 0,
            **found,
            **self._money_counts,
            "orders_within_a_minute": int(np.count_nonzero(close)),
            "order_numbers_reused": codes.reused,
            "orders_over_days": codes.spread,
        }

    @property
    def _money_counts(self) -> dict[str, float]:
        """The number of free lines, the money of all purchases, and the money left after refunds."""
        value = None if self._part is None or self.lines.value is None else self._part.value
        if value is None:
            return {"free": 0}
        paid = value[value > 0.0]
        money = float(exact_sums(np.zeros(len(paid), dtype=np.int8), paid, 1)[0])
        counts = {"free": int(np.count_nonzero(value == 0.0)), "money": money}
        refunded = self._kept[1].get("money_refunded")
        return counts if refunded is None else counts | {"money_kept": money - refunded}

    # ---- what kernels take

    @cached_property
    def order_codes(self) -> OrderCodes:
        """Which order each line belongs to."""
        lines = self.lines
        if isinstance(self.order, timedelta):
            return _by_silence(lines, self.n_customers, duration("order", self.order))
        if self.order == "instant":
            return _numbered(_first_of_instant(lines.time, lines.customer), lines, self.tz)
        if self.order == "day":
            return _numbered(_first_of_pair(lines.customer, local_days(lines.time, self.tz)), lines, self.tz)
        named = self._order_of_log
        return _by_number(lines, named[lines.place], self.tz)

    def order_ranks(self, lines: IntArray) -> IntArray | None:
        """Return the rank of the order number of some lines among all numbers, -1 without one.

        None if orders have no numbers.
        """
        if isinstance(self.order, timedelta) or self.order in {"instant", "day"}:
            return None
        return self._order_of_log[self.lines.place][lines].astype(np.int64)

    def orders_of_customers(self, after: int | None = None, code: IntArray | None = None) -> IntArray:
        """Return how many orders each customer of the base has, after an instant if one is given, shape (n,).

        `code` are the customers of these lines as int64, if a kernel already has them.
        """
        lines, n = self.lines, self.n_customers
        low = 0 if after is None else int(np.searchsorted(lines.time, after, side="right"))
        customer = lines.customer[low:]
        if self.order == "instant":
            repeats, _ = _repeats_of_instant(lines.time[low:], customer)
            orders = np.bincount(customer if code is None else code, minlength=n)
            return orders - np.bincount(customer[repeats], minlength=n) if len(repeats) else orders
        codes = self.order_codes
        first = codes.first
        if low:
            used = np.zeros(len(first), dtype=np.bool_)
            used[codes.code[low:]] = True
            first = first[used]
        return np.bincount(lines.customer[first], minlength=n)

    @cached_property
    def line_days(self) -> IntArray:
        """The day of each line: the local day on which its order began."""
        days = local_days(self.lines.time, self.tz)
        if self.order in ("instant", "day") or not len(days):
            return days
        if isinstance(self.order, str) and self._orders_keep_to_days(days):
            return days
        codes = self.order_codes
        return days[codes.first][codes.code] if codes.spread else days

    def _orders_keep_to_days(self, days: IntArray) -> bool:
        """Tell whether no order number is used on two days, so that customers need not be compared."""
        code = self._order_of_log[self.lines.place]
        known = slice(None) if code.min() >= 0 else code >= 0
        if not len(code[known]):
            return True
        low = int(days.min())
        width = np.int32 if int(days.max()) - low < np.iinfo(np.int32).max else np.int64
        day = (days - low).astype(width)[known]
        last = np.zeros(int(code.max()) + 1, dtype=width)
        last[code[known]] = day
        return bool((last[code[known]] == day).all())

    @cached_property
    def day_groups(self) -> DayGroups:
        """Lines grouped by customer and local day."""
        lines, day = self.lines, self.line_days
        order, _ = group_order(lines.customer, self.n_customers)
        customer, days = lines.customer[order], day[order]
        same = customer[1:] == customer[:-1]
        if (same & (days[1:] < days[:-1])).any():  # an order that began before another and ended after it
            again = order_by(customer, days)
            order, customer, days = order[again], customer[again], days[again]
            same = customer[1:] == customer[:-1]
        begins = np.ones(len(order), dtype=np.bool_)
        begins[1:] = ~same | (days[1:] != days[:-1])
        start = np.flatnonzero(begins)
        value = None
        if lines.value is not None:
            value = lines.value[order]
            if len(start) < len(order):
                value = exact_sums(np.cumsum(begins) - 1, value, len(start))
        return DayGroups(customer[start], days[start], value, order, start)

    def items(self) -> Column:
        """Return the items of the lines, or raise if purchases have no items."""
        column = None if self._part is None else self._part.properties.get("item")
        if column is None:
            has = () if self._part is None else sorted(self._part.properties)
            raise MissingColumnError(
                f"the {self.type!r} events have no property 'item'; they have {', '.join(map(repr, has)) or 'none'}.",
                argument="item",
                hint="Name the column of items when you build the base: CustomerBase.from_orders(..., item=...).",
            )
        return column.take(self.lines.place)

    def column(self, name: str) -> Column | None:
        """Return a property of the lines, such as 'discount'; None if no purchase has it."""
        column = None if self._part is None else self._part.properties.get(name)
        return None if column is None else column.take(self.lines.place)

    @property
    def _named(self) -> Column | None:
        """The orders that events name."""
        if not isinstance(self.order, str) or self.order in ("instant", "day") or self._part is None:
            return None
        return self._part.properties[self.order]

    @property
    def _order_of_log(self) -> Codes:
        """The order of each purchase of the log as a code, -1 for none; coded once for all cuts."""
        assert self._part is not None
        assert isinstance(self.order, str)
        return self._coded(self.order)[: len(self._part)]

    def _coded(self, name: str) -> Codes:
        """Return a property as codes, -1 where it is missing; made once for all cuts of the same purchases."""
        found = self._shared.get(name)
        if found is None:
            whole: Partition = self._shared["part"]
            found = self._shared[name] = _codes_of(whole.properties[name])
        return found

    @cached_property
    def _kept(self) -> tuple[Lines, dict[str, float]]:
        part = self._part
        if part is None:
            none = np.empty(0, dtype=np.int64)
            return Lines(none, none, None, None, none, slice(None)), {}
        customer = part.code if self._rows is None else small_codes(self._rows[part.code], self.n_customers)
        value = part.value
        quantity = _quantity(part)
        found: dict[str, float] = {"refunds": 0, "dropped": 0}
        lowest = 0.0 if value is None else float(value.min(initial=0.0))
        if value is not None and np.isnan(lowest):
            value = _money(value, part, self.type)
            lowest = 0.0
        amount = value if value is not None else quantity
        if value is None and quantity is not None:
            lowest = float(np.fmin.reduce(quantity, initial=0.0))
        keep: BoolArray | None = None
        if lowest < 0.0:
            assert amount is not None
            keep, value, quantity = self._without_refunds(part, customer, amount, value, quantity, found)
        if value is not None and self.free == "drop":
            paid = np.asarray(part.value != 0.0)
            if not paid.all():
                keep = paid if keep is None else keep & paid
        if keep is not None:
            found["dropped"] = len(part) - int(np.count_nonzero(keep))
        if keep is None:
            return Lines(customer, part.time, value, quantity, part.row, slice(None)), found
        place = np.flatnonzero(keep)
        return (
            Lines(
                customer[place],
                part.time[place],
                None if value is None else value[place],
                None if quantity is None else quantity[place],
                part.row[place],
                place,
            ),
            found,
        )

    def _without_refunds(
        self,
        part: Partition,
        customer: Codes,
        amount: FloatArray,
        value: FloatArray | None,
        quantity: FloatArray | None,
        found: dict[str, float],
    ) -> tuple[BoolArray, FloatArray | None, FloatArray | None]:
        """Return which lines stay, and values and quantities with the refunds taken off."""
        with np.errstate(invalid="ignore"):
            refund = amount < 0.0
        found["refunds"] = int(np.count_nonzero(refund))
        if self.refunds == "refuse":
            places = np.flatnonzero(refund)
            place = int(places[np.argmin(part.row[places])])
            what = "value" if value is not None else "quantity"
            raise InputError(
                f"{found['refunds']:,.0f} purchases have a negative {what}, the first in row {int(part.row[place])} "
                f"({shown(float(amount[place]))}).",
                argument="refunds",
                row=int(part.row[place]),
                code="wrong_value",
                hint=(
                    "Use refunds='net' to take refunds off the purchases before them, or "
                    "refunds='drop' to leave them out."
                ),
            )
        if self.refunds == "drop":
            if value is not None:
                with np.errstate(over="ignore"):
                    found["money_dropped"] = -float(value[refund].sum())
            return ~refund, value, quantity
        asking = np.zeros(self.n_customers, dtype=np.bool_)
        asking[customer[refund]] = True
        with np.errstate(invalid="ignore"):
            rows = np.flatnonzero(asking[customer] & (amount != 0.0) & ~np.isnat(part.time.view("M8[us]")))
        rows = rows[~np.isnan(amount[rows])]
        units, scale = whole_units(np.abs(amount[rows]))
        lines = RefundLines(
            customer=customer[rows].astype(np.int64),
            day=local_days(part.time[rows], self.tz),
            rank=self._rank(part, rows, units),
            order=self._codes_at("order", rows),
            item=self._codes_at("item", rows),
            amount=units,
            refund=refund[rows],
        )
        left = netted(lines)
        bought, gone = ~lines.refund, lines.refund
        touched = bought & (left < units)
        cleared = bought & (left == 0) & (units > 0)
        found["refunds_unmatched"] = int(np.count_nonzero(left[gone] > 0))
        found["refunded_in_full"] = int(np.count_nonzero(cleared))
        share = np.ones(len(amount))
        share[rows[touched]] = left[touched] / units[touched]
        keep = ~refund
        keep[rows[cleared]] = False
        if value is not None:
            found |= {
                "money_refunded": int((units - left)[bought].sum()) / scale,
                "money_unmatched": int(left[gone].sum()) / scale,
            }
            value = value.copy()
            value[rows[touched]] = left[touched] / scale
            if quantity is not None:
                quantity = quantity * share
        else:
            quantity = amount.copy()
            quantity[rows[touched]] = left[touched] / scale
        return keep, value, quantity

    def _codes_at(self, role: str, rows: npt.NDArray[np.intp]) -> IntArray:
        """Return which order or item lines name, -1 for none."""
        assert self._part is not None
        name = "item" if role == "item" else self.order
        if not isinstance(name, str) or name in ("instant", "day") or name not in self._part.properties:
            return np.full(len(rows), -1, dtype=np.int64)
        return self._coded(name)[: len(self._part)][rows].astype(np.int64)

    def _rank(self, part: Partition, rows: npt.NDArray[np.intp], units: IntArray) -> IntArray:
        """Return the order among lines of one customer: by time, order, item and amount, never by row."""
        order, item = self._codes_at("order", rows), self._codes_at("item", rows)
        rank = np.empty(len(rows), dtype=np.int64)
        rank[order_by(part.time[rows], order, item, units)] = np.arange(len(rows))
        return rank

    # ---- how it looks

    def _facts(self) -> dict[str, str]:
        counts = self.counts
        said = ("refunds", "refunds_unmatched", "refunded_in_full", "free", "dropped", "order_numbers_reused")
        names = ("lines", "orders", "customers", *(name for name in said if counts.get(name)))
        return {name: f"{counts[name]:,.0f}" for name in names}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name.replace('_', ' ')}={count}" for name, count in self._facts().items())
        when = "" if self.as_of is None else f", as of {self.as_of}"
        return f"Purchases({facts}{when}, {self.tz})"

    def _repr_html_(self) -> str:
        facts = self._facts()
        return html_table({"": list(facts), "purchases": list(facts.values())}, caption=repr(self))


def purchases_of_log(
    part: Partition | None,
    *,
    customer_id: npt.NDArray[Any],
    rows: npt.NDArray[np.int64] | None,
    tz: str,
    type: str,
    order: OrderBy,
    refunds: Refunds,
    free: Free,
    types: tuple[str, ...],
) -> Purchases:
    """Return the purchases of a log's events of one type; see `CustomerBase.purchases`."""
    if order is None:
        order = "order" if part is not None and "order" in part.properties else "instant"
    return Purchases(
        customer_id=customer_id,
        tz=tz,
        type=type,
        order=order,
        refunds=refunds,
        free=free,
        types=types,
        part=part,
        rows=rows,
        shared={"part": part},
    )


def _codes_of(column: Column) -> Codes:
    if column.kind == "text":
        return column.data
    if column.kind == "tags":
        raise InputError(
            "the property of orders or items holds sets of tags: one number or word per event is needed.",
            argument="order",
            code="wrong_type",
        )
    missing = column.missing
    if not missing.any():
        return small_codes(_numbered_values(column.data), len(column))
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[~missing] = _numbered_values(column.data[~missing])
    return small_codes(codes, len(column))


def _numbered_values(data: npt.NDArray[Any]) -> IntArray:
    """Return codes of numbers, dates or flags, in their order."""
    if data.dtype.kind in "iumM":
        return dense_codes(data.view(np.int64) if data.dtype.kind in "mM" else data)[0]
    return np.asarray(np.unique(data, return_inverse=True)[1])


def _quantity(part: Partition) -> FloatArray | None:
    column = part.properties.get("quantity")
    return column.numbers() if column is not None and column.kind == "number" else None


def _money(value: FloatArray, part: Partition, type: str) -> FloatArray | None:
    """Return the values, or None if no event has one; raise if only some events have one."""
    missing = np.isnan(value)
    if missing.all():
        return None
    row = int(part.row[missing].min())
    raise InputError(
        f"{int(missing.sum()):,} {type!r} events have no value, the first in row {row}: sums over the others would be "
        "misleading.",
        argument="value",
        row=row,
        code="missing_argument",
        hint="Give every purchase a value (0 if it was free), drop these rows, or leave out all values.",
    )


def _repeats_of_instant(time: IntArray, customer: Codes) -> tuple[IntArray, IntArray]:
    """Return the lines that are not their customer's first at their instant, and these first lines; times ascend."""
    tie = np.empty(max(len(time) - 1, 0), dtype=np.bool_)
    for low in range(0, len(tie), _BLOCK):  # in blocks, so that times are read from memory once
        block = slice(low, min(low + _BLOCK, len(tie)))
        np.equal(time[block.start + 1 : block.stop + 1], time[block], out=tie[block])
    if not tie.any():
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    pair = tie & (customer[1:] == customer[:-1])
    lines = np.flatnonzero(pair) + 1
    again, leaders = [lines], [lines - 1]
    rest = np.flatnonzero(tie[1:] & tie[:-1] & ~pair[1:]) + 2  # a third line at one instant: look back further
    for lag in range(2, _FEW + 1):
        if not len(rest):
            return _to_the_first(np.concatenate(again), np.concatenate(leaders))
        same = customer[rest] == customer[rest - lag]
        again.append(rest[same])
        leaders.append(rest[same] - lag)
        rest = rest[~same & (rest > lag)]
        rest = rest[time[rest] == time[rest - lag - 1]]
    tied = np.flatnonzero(np.r_[tie, False] | np.r_[False, tie])
    run = np.cumsum(np.r_[True, time[tied][1:] != time[tied][:-1]])
    leader = tied[_first_of_pair(customer[tied], run)]
    repeats = leader != tied
    return tied[repeats], leader[repeats]


def _to_the_first(lines: IntArray, leaders: IntArray) -> tuple[IntArray, IntArray]:
    """Return lines in order, each with the first line of its chain: a line may repeat one that repeats another."""
    order = np.argsort(lines)
    lines, leaders = lines[order], leaders[order]
    while len(lines):
        place = np.minimum(np.searchsorted(lines, leaders), len(lines) - 1)
        chained = lines[place] == leaders
        if not chained.any():
            break
        leaders[chained] = leaders[place[chained]]
    return lines, leaders


def _first_of_instant(time: IntArray, customer: Codes) -> IntArray:
    """Return for each line the first line of its customer at its instant; times ascend."""
    leader = np.arange(len(time))
    repeats, first = _repeats_of_instant(time, customer)
    leader[repeats] = first
    return leader


def _first_of_pair(a: Codes, b: IntArray) -> IntArray:
    """Return for each row the first row with the same pair."""
    if not len(a):
        return np.empty(0, dtype=np.int64)
    low, span = int(b.min()), int(b.max()) - int(b.min()) + 1
    if (int(a.max()) + 1) * span >= 1 << 62:
        b = np.unique(b, return_inverse=True)[1]
        low, span = 0, int(b.max()) + 1
    key = a.astype(np.int64) * span + (b - low)
    order = stable_order(key)
    begins = np.r_[True, key[order][1:] != key[order][:-1]]
    leader = np.empty(len(a), dtype=np.int64)
    leader[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return leader


def _numbered(leader: IntArray, lines: Lines, tz: str, reused: int = 0) -> OrderCodes:
    """Return codes of groups from the first line of each."""
    own = leader == np.arange(len(leader))
    first = np.flatnonzero(own)
    if len(first) == len(leader):
        return OrderCodes(small_codes(leader, len(leader)), first, reused, 0)
    code = small_codes((np.cumsum(own) - 1)[leader], len(first))
    return OrderCodes(code, first, reused, _over_days(code, first, lines.time, tz))


def _over_days(code: Codes, first: IntArray, time: IntArray, tz: str) -> int:
    """Return how many orders have lines on several days; times ascend."""
    last = np.empty(len(first), dtype=np.int64)
    last[code] = time
    begun = time[first]
    later = last > begun
    if not later.any():
        return 0
    return int(np.count_nonzero(local_days(last[later], tz) != local_days(begun[later], tz)))


def _by_silence(lines: Lines, n: int, silence: int) -> OrderCodes:
    order, _ = group_order(lines.customer, n)
    customer, time = lines.customer[order], lines.time[order]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (customer[1:] != customer[:-1]) | (time[1:] - time[:-1] > silence)
    leader = np.empty(len(order), dtype=np.int64)
    leader[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return _numbered(leader, lines, "UTC")


def _by_number(lines: Lines, code: Codes, tz: str) -> OrderCodes:
    """Return orders by number, separately for each customer; lines without a number form one order per instant."""
    n = len(code)
    if not n:
        return OrderCodes(code, np.empty(0, dtype=np.int64), 0, 0)
    if code.min() >= 0:
        clean = _clean_numbers(lines, code, tz)
        if clean is not None:
            return clean
    leader = np.arange(n)
    alone = np.flatnonzero(code < 0)
    leader[alone] = alone[_first_of_instant(lines.time[alone], lines.customer[alone])]
    rows = np.flatnonzero(code >= 0)
    pair = _first_of_pair(lines.customer[rows], code[rows].astype(np.int64))
    order = stable_order(pair)
    group, time = pair[order], lines.time[rows][order]
    begins = np.r_[True, group[1:] != group[:-1]] if len(rows) else np.empty(0, dtype=np.bool_)
    again = np.zeros(len(rows), dtype=np.bool_)
    again[1:] = ~begins[1:] & (time[1:] - time[:-1] > _SILENCE)
    begins |= again
    if len(rows):
        leader[rows[order]] = rows[order[np.flatnonzero(begins)]][np.cumsum(begins) - 1]
    return _numbered(leader, lines, tz, int(np.count_nonzero(again)))


def _clean_numbers(lines: Lines, code: Codes, tz: str) -> OrderCodes | None:
    """Return orders where every number belongs to one customer and is not used again later, without a sort."""
    n = int(code.max()) + 1
    small = np.int32 if len(code) <= np.iinfo(np.int32).max else np.int64
    first = np.full(n, -1, dtype=small)
    backwards = np.arange(len(code) - 1, -1, -1, dtype=small)
    first[code[::-1]] = backwards  # of several assignments to one place, the last one stays
    used: BoolArray = np.asarray(first >= np.int64(0), dtype=np.bool_)
    if not used.all():
        code = small_codes((np.cumsum(used) - 1)[code], n)
        first = first[used]
    if (lines.customer[first][code] != lines.customer).any():
        return None
    last = np.empty(len(first), dtype=np.int64)
    last[code] = lines.time
    if (last - lines.time[first] > _SILENCE).any():
        return None
    at = first.astype(np.int64)
    return OrderCodes(code, at, 0, _over_days(code, at, lines.time, tz))
