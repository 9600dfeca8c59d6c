"""How customers buy: orders and their value, repeat purchases, and the revenue of new and returning customers.

`commerce_metrics` reads purchases like `CustomerBase.purchases`, with refunds deducted, and reports them by calendar
period or as a whole. `pareto` ranks the customers and shows how much of the revenue the best ones bring.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.base import CustomerBase, purchases_of
from relmark.core.checks import FloatArray, IntArray, shown, text
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate
from relmark.core.money import exact_sums
from relmark.core.ordering import order_by
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.spans import Span, check_span, length
from relmark.core.time import days, duration
from relmark.core.zones import DAY
from relmark.metrics._calendar import Calendar
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, mean_estimates, ratio, ratio_estimates, shares
from relmark.metrics.grouping import By, Groups, group_rows
from relmark.metrics.windows import span_words

__all__ = ["CommerceMetrics", "Pareto", "commerce_metrics", "pareto"]

_QUARTER = days(90)
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_TOPS = (0.01, 0.05, 0.1, 0.2)
_CLASSES = (("A", 0.8), ("B", 0.95), ("C", 1.0))
DEFINITIONS = define(
    "orders whose first line lies in the row's period, or in the window; refunds are deducted from their orders",
    "",
    {
        "average_order_value": ("money of the orders", "orders", "money per order"),
        "orders_per_customer": ("orders", "customers with an order", "orders per customer"),
        "revenue_per_customer": ("money of the orders", "customers with an order", "money per customer"),
        "repeat_rate": ("customers with two or more orders", "customers with an order"),
        "mature_repeat_rate": ("customers whose second order came within `mature` of their first",
                               "customers whose first order is at least `mature` ago"),
        "new_customers": ("customers whose first order ever lies in the period", "", "customers"),
        "new_revenue": ("money of the orders of new customers in the period of their first order", "", "money"),
        "returning_revenue": ("money of the orders of customers who bought before the period", "", "money"),
        "churned": ("customers with an order in the period before and none in this one", "", "customers"),
        "discount_share": ("discounts", "money of the orders plus discounts", "share of money"),
        "gini": ("twice the area between the Lorenz curve and the line of equal revenue", "", "0 to 1"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CommerceMetrics(MetricTable):
    """How customers buy, with one row per period and figures for all customers together.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    period : ndarray of datetime64 or str, shape (k,)
        The first day of the period, or the month; "all" without periods.
    orders, customers, new_customers, returning_customers : ndarray of int64, shape (k,)
    churned : ndarray of float64, shape (k,)
        Customers who bought in the period before and not in this one. It is NaN for the first row and for a period in
        progress.
    revenue, new_revenue, returning_revenue : ndarray of float64, shape (k,)
        NaN where purchases have no money.
    average_order_value, orders_per_customer, revenue_per_customer : Estimates
        With intervals over customers: all orders of one customer belong together.
    discount_share : ndarray of float64, shape (k,)
        Discounts divided by revenue plus discounts; NaN if no purchase has the property.
    in_progress : ndarray of bool, shape (k,)
        Whether the period has not ended.
    repeat_rate, mature_repeat_rate : Estimate
        The share of customers with a second order: of all customers, and of those whose first order is old enough.
    days_between : mapping of float to float
        Quantiles of the days between one order of a customer and the next.
    top_shares : mapping of float to float
        The share of the revenue that the best 1, 5, 10 and 20 % of the customers bring.
    gini : float
        How unevenly revenue is spread over customers: 0 if evenly, near 1 if one customer brings all of it.
    refunds, refunds_unmatched : float
        Money deducted from orders, and money of refunds for which no purchase was found.
    refund_share : float
        Refunded money divided by money paid; NaN if nothing was paid.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    period: npt.NDArray[Any]
    orders: IntArray
    customers: IntArray
    new_customers: IntArray
    returning_customers: IntArray
    churned: FloatArray
    revenue: FloatArray
    new_revenue: FloatArray
    returning_revenue: FloatArray
    average_order_value: Estimates
    orders_per_customer: Estimates
    revenue_per_customer: Estimates
    discount_share: FloatArray
    in_progress: npt.NDArray[np.bool_]
    repeat_rate: Estimate
    mature_repeat_rate: Estimate
    days_between: Mapping[float, float]
    top_shares: Mapping[float, float]
    gini: float
    refunds: float
    refunds_unmatched: float
    refund_share: float
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        """Return the columns with one value per period; figures of all customers together stay in fields."""
        alone = {"repeat_rate", "mature_repeat_rate"}
        return {
            name: column
            for name, column in MetricTable.to_columns(self).items()
            if not any(name.startswith(one) for one in alone)
        }

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _window(self) -> str:
        return self.window

    def _table(self) -> dict[str, Any]:
        columns = MetricTable.to_columns(self)
        dropped = ("returning_customers",) if self.in_progress.any() else ("returning_customers", "in_progress")
        return {
            name: column
            for name, column in columns.items()
            if name not in dropped
            and not name.endswith(("_low", "_high", "repeat_rate"))
            and not (column.dtype.kind == "f" and np.isnan(column).all())
        }

    def _lines(self) -> list[str]:
        said = [
            f"repeat rate {self.repeat_rate!r}",
            f"repeat rate of customers whose first order is old enough {self.mature_repeat_rate!r}",
        ]
        if self.days_between:
            said.append("days between orders: " + ", ".join(
                f"{100 * q:g} % within {value:.1f}" for q, value in self.days_between.items()))  # fmt: skip
        if self.top_shares:
            said.append("revenue of the best customers: " + ", ".join(
                f"{100 * q:g} % bring {100 * value:.1f} %" for q, value in self.top_shares.items())
                + f"; Gini {self.gini:.3f}")  # fmt: skip
        return [*said, *self.notes]


def commerce_metrics(
    data: CustomerBase | Purchases,
    *,
    as_of: AsOfGiven,
    period: str | None = None,
    within: Span | None = None,
    mature: timedelta = _QUARTER,
    by: By = None,
    discount: str | None = None,
    week_starts: str = "monday",
) -> CommerceMetrics:
    """Report orders, order value, repeat purchases, new and returning revenue, refunds and the best customers' share.

    Parameters
    ----------
    data : CustomerBase or Purchases
        What was bought, as `CustomerBase.purchases` reads it.
    as_of : date or instant
    period : {"day", "week", "month", "quarter", "year"}, optional
        Make one row per period. By default, there is one row for everything.
    within : timedelta, calendar_days or months, optional
        Count orders of (as_of - within, as_of]. Whether a customer is new is decided by all orders, also earlier ones.
    mature : timedelta
        The time within which a second order counts for `mature_repeat_rate`; only customers whose first order is at
        least that old are in its denominator.
    by : name of a field, expression, segment, or a list or mapping of them, optional
        Groups of customers. The figures of all customers together do not depend on it.
    discount : str, optional
        The property of purchases that holds the discount in money. By default, it is 'discount' if that holds numbers.
    week_starts : {"monday", ..., "sunday"}
        The first day of a week.

    Returns
    -------
    CommerceMetrics

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> orders = {"user": ["a", "a", "b"], "day": ["2026-01-15", "2026-02-10", "2026-02-12"], "v": [20.0, 10.0, 5.0]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="v")
    >>> monthly = commerce_metrics(base, as_of="2026-03-01", period="month")
    >>> monthly.orders.tolist(), monthly.new_customers.tolist(), monthly.returning_revenue.tolist()
    ([1, 2], [1, 1], [0.0, 10.0])
    """
    bought, moment, low = _bought(data, as_of, within)
    duration("mature", mature)
    if discount is not None:
        text("discount", discount)
    orders = _Orders.of(bought)
    seen, n = int(moment.seen), bought.n_customers
    inside = np.ones(len(orders.time), dtype=np.bool_) if low is None else orders.time > low
    if period is None:
        row, label, over = np.zeros(len(orders.time), dtype=np.int64), np.array(["all"]), np.array([False])
    else:
        row, label, over = _rows(orders, inside, Calendar(period, bought.tz, week_starts), seen, low)
    k = len(label)
    row, who, value = row[inside], orders.customer[inside], orders.value[inside]
    everybody, money_of_all = who, value
    groups = _groups(data, moment, by, who, orders.time[inside])
    chosen = slice(None) if groups.rows is None else groups.rows  # an order stands in each segment of its customer
    n_periods, k = k, k * groups.k
    row, who, value = groups.code * n_periods + row[chosen], who[chosen], value[chosen]
    label, over = np.concatenate([label] * groups.k), np.tile(over, groups.k)
    has_money = orders.has_money
    first_ever = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(first_ever, orders.customer, orders.time)
    period_of_first = np.full(n, -1, dtype=np.int64)  # the period in which each customer was new
    new = orders.time[inside][chosen] == first_ever[who]
    period_of_first[who[new]] = row[new] % max(n_periods, 1)
    pair, place = np.unique(row * max(n, 1) + who, return_inverse=True)
    of_row, of_customer = pair // max(n, 1), pair % max(n, 1)
    count = np.bincount(place, minlength=len(pair)).astype(np.float64)
    money = exact_sums(place, value, len(pair))
    is_new = period_of_first[of_customer] == of_row % max(n_periods, 1)
    sums = _sums(of_row, count, money, k)
    customers = np.bincount(of_row, minlength=k)
    revenue = exact_sums(row, value, k)
    new_revenue = exact_sums(of_row[is_new], money[is_new], k)
    blank = np.full(k, np.nan)
    new_customers = np.bincount(of_row[is_new], minlength=k)
    refunded = bought.counts
    discounted = _discounts(bought, discount, orders, np.flatnonzero(inside)[chosen], row, k, revenue)
    ranked = np.sort(exact_sums(everybody, money_of_all, n)[np.unique(everybody)]) if has_money else np.empty(0)
    per_order = ratio_estimates(revenue, sums["n"], (sums["mm"], sums["mn"], sums["nn"]), customers, "orders")
    per_customer = mean_estimates(revenue, sums["mm"], customers, "customers")
    nothing = Estimates(value=blank, low=blank, high=blank, reason=("purchases have no money",) * k)
    paid = float(refunded.get("money", np.nan))
    gone = float(refunded.get("money_refunded", 0.0))
    return CommerceMetrics(
        by={name: np.repeat(column, n_periods) for name, column in groups.labels.items()}, period=label,
        orders=np.bincount(row, minlength=k), customers=customers, new_customers=new_customers,
        returning_customers=customers - new_customers,
        churned=_churned(of_row, of_customer, k, n, over, n_periods if period else 0),
        revenue=revenue if has_money else blank, new_revenue=new_revenue if has_money else blank,
        returning_revenue=revenue - new_revenue if has_money else blank,
        average_order_value=per_order if has_money else nothing,
        orders_per_customer=mean_estimates(sums["n"], sums["nn"], customers, "customers"),
        revenue_per_customer=per_customer if has_money else nothing, discount_share=discounted, in_progress=over,
        **_repeats(orders, inside, n, seen, length(mature)), **_best(ranked), refunds=gone,
        refunds_unmatched=float(refunded.get("money_unmatched", 0.0)),
        refund_share=float(ratio(gone, paid)) if has_money else np.nan, as_of=moment.given,
        window=f"orders up to {moment}" if within is None else f"orders of the {span_words(within)} up to {moment}",
        notes=_notes(customers, over),
    )  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Pareto(ColumnarResult):
    """Customers ranked by revenue, the best first; customers with equal revenue keep the order of the base.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers with at least one order.
    revenue : ndarray of float64, shape (n,)
    orders : ndarray of int64, shape (n,)
    revenue_share : ndarray of float64, shape (n,)
        The customer's share of all revenue.
    cumulative_share : ndarray of float64, shape (n,)
        The share of all revenue that this customer and all better ones bring together.
    customer_share : ndarray of float64, shape (n,)
        The share of all customers that this customer and all better ones are together.
    category : ndarray of str, shape (n,)
        "A" for the customers who bring the first 80 % of the revenue, "B" for the next 15 %, "C" for the rest.
    gini : float
        How unevenly revenue is spread, between 0 (evenly) and 1.
    as_of : datetime64
    """

    customer_id: npt.NDArray[Any]
    revenue: FloatArray
    orders: IntArray
    revenue_share: FloatArray
    cumulative_share: FloatArray
    customer_share: FloatArray
    category: npt.NDArray[np.str_]
    gini: float
    as_of: np.datetime64

    def lorenz(self) -> tuple[FloatArray, FloatArray]:
        """Return the Lorenz curve: cumulative shares of customers, lowest revenue first, and of their revenue."""
        least = self.revenue[::-1]
        total = least.sum()
        share = ratio(np.cumsum(least), np.full(len(least), total))
        n = len(least)
        return np.arange(n + 1) / max(n, 1), np.concatenate(([0.0], share))


def pareto(data: CustomerBase | Purchases, *, as_of: AsOfGiven, within: Span | None = None) -> Pareto:
    """Rank customers by revenue, and show who brings the first 80 % and how unevenly revenue is spread.

    Parameters
    ----------
    data : CustomerBase or Purchases
    as_of : date or instant
    within : timedelta, calendar_days or months, optional
        Count orders of (as_of - within, as_of]; by default, all orders up to `as_of`.

    Returns
    -------
    Pareto

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> orders = {"user": ["a", "b", "c"], "day": ["2026-01-15"] * 3, "v": [80.0, 15.0, 5.0]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="v")
    >>> pareto(base, as_of="2026-03-01").category.tolist()
    ['A', 'B', 'C']
    """
    bought, moment, low = _bought(data, as_of, within)
    orders = _Orders.of(bought)
    if not orders.has_money and len(orders.time):
        raise InputError(
            "the purchases have no value: pass one when you build the base, with from_orders(value=...).",
            argument="value",
            code="missing_argument",
        )
    inside = np.ones(len(orders.time), dtype=np.bool_) if low is None else orders.time > low
    who, value, n = orders.customer[inside], orders.value[inside], bought.n_customers
    count = np.bincount(who, minlength=n)
    revenue = exact_sums(who, value, n)
    people = np.flatnonzero(count)
    people = people[np.argsort(-revenue[people], kind="stable")]
    revenue = revenue[people]
    total = np.full(len(people), revenue.sum())
    cumulative = ratio(np.cumsum(revenue), total)
    before = ratio(np.cumsum(revenue) - revenue, total)
    category = np.full(len(people), _CLASSES[-1][0])
    for name, bound in reversed(_CLASSES[:-1]):
        with np.errstate(invalid="ignore"):
            category[before < bound - 1e-12] = name
    return Pareto(
        customer_id=bought.customer_id[people], revenue=revenue, orders=count[people],
        revenue_share=ratio(revenue, total), cumulative_share=cumulative,
        customer_share=np.arange(1, len(people) + 1) / max(len(people), 1), category=category,
        gini=_gini(revenue[::-1]), as_of=moment.given,
    )  # fmt: skip


@attrs.frozen(eq=False)
class _Orders:
    """One row per order: the customer's row in the base, the time of the first line, and the money."""

    customer: IntArray
    time: IntArray
    value: FloatArray
    code: npt.NDArray[Any]
    has_money: bool

    @classmethod
    def of(cls, bought: Purchases) -> _Orders:
        lines, codes = bought.lines, bought.order_codes
        n = len(codes.first)
        money = np.zeros(n) if lines.value is None else exact_sums(codes.code, lines.value, n)
        customer = lines.customer[codes.first].astype(np.int64)
        return cls(customer, lines.time[codes.first], money, codes.code, lines.value is not None or not n)


def _bought(data: Any, as_of: AsOfGiven, within: Span | None) -> tuple[Purchases, AsOf, int | None]:
    bought = purchases_of(data, as_of)
    moment = bought.as_of
    assert moment is not None
    if moment.each:
        raise InputError(
            "as_of has one instant per customer, but this table needs one instant or date for everybody.",
            argument="as_of",
            code="wrong_type",
        )
    if within is None:
        return bought, moment, None
    check_span("within", within)
    return bought, moment, int(moment.before(within))


def _groups(data: CustomerBase | Purchases, moment: AsOf, by: By, who: IntArray, time: IntArray) -> Groups:
    if by is None:
        return Groups({}, np.zeros(len(who), dtype=np.int64), None, 1)
    if not isinstance(data, CustomerBase):
        raise InputError(
            "by= needs the fields of the customers: pass the base instead of its purchases.",
            argument="by",
            code="missing_argument",
        )
    return group_rows(data, moment, by, who, time, lambda _: None, of_events=False)


def _rows(
    orders: _Orders, inside: npt.NDArray[np.bool_], calendar: Calendar, seen: int, low: int | None
) -> tuple[IntArray, npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return the row of each order, the periods from the first order to as_of, and which of them are incomplete."""
    if not inside.any():
        none = np.empty(0, dtype=np.int64)
        return np.zeros(len(orders.time), dtype=np.int64), calendar.label(none), none.astype(np.bool_)
    number = calendar.number(orders.time)
    begin = int(number[inside].min()) if low is None else int(calendar.number(np.array([low + 1]))[0])
    end = int(calendar.number(np.array([seen]))[0])
    if end - begin > 100_000:
        raise InputError(
            f"there are {end - begin + 1:,} periods, and 100,001 at most: choose a longer period.",
            argument="period",
            code="too_many",
        )
    periods = np.arange(begin, end + 1)
    over = calendar.begins(periods + 1) - 1 > seen
    if low is not None and calendar.begins(periods[:1])[0] <= low:
        over[0] = True  # the window begins within its first period
    return number - begin, calendar.label(periods), over


def _sums(of_row: IntArray, count: FloatArray, money: FloatArray, k: int) -> dict[str, FloatArray]:
    def total(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(of_row, weights=values, minlength=k), dtype=np.float64)

    with np.errstate(over="ignore"):
        return {"n": total(count), "nn": total(count * count), "mm": total(money * money), "mn": total(money * count)}


def _churned(
    of_row: IntArray, of_customer: IntArray, k: int, n: int, over: npt.NDArray[np.bool_], n_periods: int
) -> FloatArray:
    """Return how many customers bought in the period before and not in this one."""
    if not n_periods or not k:
        return np.full(k, np.nan)
    here = of_row * n + of_customer
    again = np.isin(here + n, here)
    left = np.bincount(of_row[~again] + 1, minlength=k + 1)[:k].astype(np.float64)
    left[::n_periods] = np.nan
    left[over] = np.nan  # they may still come
    return left


def _discounts(
    bought: Purchases, name: str | None, orders: _Orders, chosen: IntArray, row: IntArray, k: int,
    revenue: FloatArray,
) -> FloatArray:  # fmt: skip
    column = bought.column("discount" if name is None else name)
    if column is None or column.kind == "empty" or (name is None and column.kind != "number"):
        return np.full(k, np.nan)
    if column.kind != "number":
        raise InputError(
            f"discount is {shown(name)}, a property of kind {column.kind!r}; it must hold numbers (money).",
            argument="discount",
            code="wrong_type",
        )
    given = column.numbers()
    of_order = exact_sums(orders.code, np.where(np.isnan(given), 0.0, given), len(orders.time))
    total = exact_sums(row, of_order[chosen], k)
    return ratio(total, total + revenue)


def _repeats(orders: _Orders, inside: npt.NDArray[np.bool_], n: int, seen: int, mature: int) -> dict[str, Any]:
    """Return the repeat rates, and the quantiles of days between orders."""
    count = np.bincount(orders.customer[inside], minlength=n)
    rank = order_by(orders.customer, orders.time)
    who, when = orders.customer[rank], orders.time[rank]
    same = who[1:] == who[:-1]
    first = np.flatnonzero(np.concatenate(([True], ~same))) if len(who) else np.empty(0, dtype=np.int64)
    old = first[when[first] + mature <= seen]
    second = np.minimum(old + 1, max(len(who) - 1, 0))
    came = (second > old) & (who[second] == who[old]) & (when[second] - when[old] <= mature)
    gaps = np.diff(when)[same & inside[rank][1:]] / DAY
    of, had = "customers with an order", "customers whose first order is old enough"
    return {
        "repeat_rate": shares("repeat customers", [int((count > 1).sum())], of, [int((count > 0).sum())])[0],
        "mature_repeat_rate": shares("customers who came again", [int(came.sum())], had, [len(old)])[0],
        "days_between": {q: float(np.quantile(gaps, q)) for q in _QUANTILES} if len(gaps) else {},
    }


def _best(ranked: FloatArray) -> dict[str, Any]:
    """Return the revenue shares of the best customers and the Gini coefficient, from ascending revenue."""
    total = ranked.sum()
    if not total > 0:
        return {"top_shares": {}, "gini": np.nan}
    n = len(ranked)
    tops = {q: float(ranked[n - max(int(np.ceil(q * n - 1e-9)), 1) :].sum() / total) for q in _TOPS}
    return {"top_shares": tops, "gini": _gini(ranked)}


def _gini(ranked: FloatArray) -> float:
    """Return the Gini coefficient of ascending values: 2 sum i x_i / (n sum x) - (n + 1) / n."""
    n, total = len(ranked), float(ranked.sum())
    if not n or not total > 0:
        return float("nan")
    return float(2 * (np.arange(1, n + 1) * (ranked / total)).sum() / n - (n + 1) / n)


def _notes(customers: IntArray, over: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    notes = []
    if over.any():
        notes.append("rows in progress are periods that the window covers only in part: nobody counts as churned there")
    few = int(np.count_nonzero((customers > 0) & (customers < FEW)))
    if few:
        rows = "one row has" if few == 1 else f"{few:,} rows have"
        notes.append(f"{rows} fewer than {FEW} customers: read the intervals, not the figures")
    return tuple(notes)
