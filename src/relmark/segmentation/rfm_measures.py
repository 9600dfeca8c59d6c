"""The RFM measures of each customer: days since the last purchase, number of purchases, money.

Measures are aggregates by customer, so a database or another engine may compute them; thresholds and scores need
nothing else. No measure depends on the order of rows: counts and days are integers, and money is added as integer
millionths of the currency, so that two customers with the same purchases have the same sum to the last bit.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, read_as_of
from relmark.core.base import CustomerBase, purchases_of
from relmark.core.checks import BoolArray, FloatArray, IntArray, numbers, one_of, same_length, shown
from relmark.core.errors import InputError
from relmark.core.ids import id_array
from relmark.core.money import exact_sums
from relmark.core.purchases import Lines, Purchases
from relmark.core.results import ColumnarResult
from relmark.core.spans import Span, check_span
from relmark.core.time import Instant
from relmark.core.zones import local_days

__all__ = ["RfmMeasures", "rfm_measures"]

Frequency: TypeAlias = Literal["orders", "days"]
Monetary: TypeAlias = Literal["sum", "mean"]

FREQUENCIES = ("orders", "days")
MONETARIES = ("sum", "mean")


def _flags(values: npt.ArrayLike) -> BoolArray:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        raise InputError(f"lapsed has dtype {array.dtype}: booleans are needed.", argument="lapsed", code="wrong_type")
    return array


def _counts(name: str, values: Any) -> IntArray:
    if isinstance(values, np.ndarray) and values.dtype == np.int64 and values.min(initial=0) >= 0:
        return values
    found = numbers(name, values, low=0.0)
    broken = found != np.floor(found)
    if broken.any():
        row = int(np.argmax(broken))
        raise InputError(
            f"{name} has {shown(float(found[row]))} in row {row}: whole numbers are needed.",
            argument=name,
            row=row,
            code="wrong_type",
        )
    return found.astype(np.int64)


def _moment(value: AsOf | Instant) -> np.datetime64:
    moment = value if isinstance(value, AsOf) else read_as_of(value)
    return moment.given  # type: ignore[no-any-return]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RfmMeasures(ColumnarResult):
    """The figures behind RFM scores, one row per customer.

    Parameters
    ----------
    customer_id : array_like, shape (n,)
        Each customer once, in any order.
    calendar_days_since : array_like of float64, shape (n,)
        Calendar days since the last purchase; NaN for customers without one.
    frequency : array_like of int64, shape (n,)
        The number of orders, or of days with a purchase.
    monetary : array_like of float64, shape (n,)
        The customer's total revenue, or the mean revenue of their orders; NaN if it is undefined.
    orders : array_like of int64, shape (n,)
        The number of orders; a customer without one is not scored.
    revenue : array_like of float64, shape (n,)
        The customer's total revenue.
    lapsed : array_like of bool, shape (n,)
        Whether the customer bought before the window but not in it; False for all if there is no window.
    as_of : datetime64
        The date or instant of the figures.
    """

    customer_id: npt.NDArray[Any]
    calendar_days_since: FloatArray
    frequency: IntArray
    monetary: FloatArray
    orders: IntArray
    revenue: FloatArray
    lapsed: BoolArray = attrs.field(converter=_flags)
    as_of: np.datetime64 = attrs.field(converter=_moment)

    def __attrs_post_init__(self) -> None:
        """Check that the columns are aligned and that no customer occurs twice."""
        ids = id_array("customer_id", self.customer_id)
        columns: dict[str, npt.NDArray[Any]] = {"customer_id": ids, "lapsed": self.lapsed}
        for name in ("calendar_days_since", "monetary", "revenue"):
            columns[name] = numbers(name, getattr(self, name), missing=True)
        for name in ("frequency", "orders"):
            columns[name] = _counts(name, getattr(self, name))
        for name, column in columns.items():
            same_length(name, column, len(ids))
            object.__setattr__(self, name, column)
        if len(ids) > 1 and not (ids[1:] > ids[:-1]).all() and len(np.unique(ids)) < len(ids):
            ordered = np.sort(ids)
            raise InputError(
                f"customer_id has {shown(ordered[:-1][ordered[1:] == ordered[:-1]][0])} twice: one row per customer is "
                "needed.",
                argument="customer_id",
                code="duplicate",
            )
        super().__attrs_post_init__()


def rfm_measures(
    data: CustomerBase | Purchases,
    *,
    as_of: Instant,
    within: Span | None = None,
    frequency: Frequency = "orders",
    monetary: Monetary = "sum",
) -> RfmMeasures:
    """Measure recency, frequency and money of every customer of a base.

    Parameters
    ----------
    data : CustomerBase or Purchases
        The purchases; those after `as_of` are ignored.
    as_of : date, datetime, datetime64 or str
        A date includes purchases before that day; an instant includes purchases up to it.
    within : timedelta, calendar_days or months, optional
        How far back to look; the whole log by default.
    frequency : {"orders", "days"}
        What frequency counts: orders, or calendar days with a purchase.
    monetary : {"sum", "mean"}
        The customer's total revenue, or the mean revenue of their orders.

    Returns
    -------
    RfmMeasures
        One row per customer of the base, in its order.

    Raises
    ------
    InputError
        The purchases have no column of values, or a value is missing; the message names the row.

    Examples
    --------
    >>> orders = {"user": ["a", "a", "b"], "amount": [10.0, 5.0, 7.0],
    ...     "time": ["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> measures = rfm_measures(base, as_of="2026-11-01")
    >>> measures.calendar_days_since.tolist(), measures.frequency.tolist(), measures.monetary.tolist()
    ([2.0, 30.0], [2, 1], [15.0, 7.0])
    """
    one_of("frequency", frequency, FREQUENCIES)
    one_of("monetary", monetary, MONETARIES)
    bought = purchases_of(data, as_of)
    moment = bought.as_of or read_as_of(as_of, tz=bought.tz)  # which refuses None
    low: int | None = None
    if within is not None:
        check_span("within", within)
        low = int(moment.before(within))
    n = bought.n_customers
    lines = bought.lines
    if len(lines.time) and lines.value is None:
        raise InputError(
            f"the {bought.type!r} events have no value: RFM needs the money of each purchase.",
            argument="data",
            code="missing_argument",
            hint="Name the column of money when you build the base: CustomerBase.from_orders(..., value=...).",
        )
    first = 0 if low is None else int(np.searchsorted(lines.time, low, side="right"))
    customer, time = lines.customer[first:], lines.time[first:]
    value = np.empty(0) if lines.value is None else lines.value[first:]
    code = customer.astype(np.intp)  # bincount would convert it again each time
    orders = bought.orders_of_customers(low, code)
    revenue = exact_sums(code, value, n)
    last = _last_days(lines, first, n, bought.tz)
    lapsed = np.zeros(n, dtype=np.bool_)
    if low is not None:
        lapsed[lines.customer[:first]] = True
        lapsed[orders > 0] = False
    if monetary == "sum":
        money = revenue
    else:
        money = np.full(n, np.nan)
        np.divide(revenue, orders, out=money, where=orders > 0)
    return RfmMeasures(
        customer_id=bought.customer_id,
        calendar_days_since=np.where(orders > 0, float(moment.day) - last, np.nan),
        frequency=orders if frequency == "orders" else _distinct(customer, local_days(time, bought.tz), n),
        monetary=money,
        orders=orders,
        revenue=revenue,
        lapsed=lapsed,
        as_of=moment,
    )


def _last_days(lines: Lines, first: int, n: int, tz: str) -> FloatArray:
    """Return the calendar day of each customer's last purchase among lines[first:], NaN without one; times ascend."""
    code, time = lines.customer[first:], lines.time[first:]
    # When one place is assigned several times the last assignment stays, and times ascend. Positions are half as wide
    # as instants, so that the table of a million customers stays in the cache: .04 against .07 s for 10 M events.
    width = np.int32 if len(code) <= np.iinfo(np.int32).max else np.int64
    place: npt.NDArray[np.integer] = np.full(n, -1, dtype=width)
    place[code] = np.arange(len(code), dtype=width)
    known = np.asarray(place != -1)
    if known.all():
        return local_days(time[place], tz).astype(np.float64)
    out = np.full(n, np.nan)
    out[known] = local_days(time[place[known]], tz)
    return out


def _distinct(code: npt.NDArray[np.integer], item: IntArray, n: int) -> IntArray:
    """Return the number of different days of each customer."""
    if len(code) == 0:
        return np.zeros(n, dtype=np.int64)
    low = int(item.min())
    bits = (int(item.max()) - low).bit_length()
    key = (code.astype(np.int64) << bits) | (item - low)
    key.sort()
    first = np.ones(len(key), dtype=np.bool_)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    return np.bincount(key[first] >> bits, minlength=n)
