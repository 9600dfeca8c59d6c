"""Recommendations on a site or in messages: what is shown, clicked and bought.

Baskets with a recommended item are larger than others even if the recommendations do nothing: a basket of eight items
is more likely to contain a recommended one than a basket of two, and customers who see recommendations buy more anyway.
The figures here therefore only describe. To learn whether recommendations help, withhold them from randomly chosen
customers and compare the revenue per order of both arms with the `Ratio` test of `relmark.experiments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, IntArray, one_of
from relmark.core.columns import joined
from relmark.core.errors import MissingColumnError
from relmark.core.money import exact_sums
from relmark.core.purchases import Purchases
from relmark.core.spans import Span, check_span, earlier
from relmark.core.time import days
from relmark.expressions.builders import event
from relmark.expressions.selection import Selection
from relmark.metrics._matching import latest_before
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, mean_estimates, ratio, shares
from relmark.metrics.grouping import By, column_of, group_rows
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = ["RecommendationMetrics", "recommendation_metrics"]

_WEEK = days(7)
_TEST = (
    "baskets with a recommended item are larger even if recommendations do nothing, because a large basket is more "
    "likely to contain one: to learn whether they help, withhold them from randomly chosen customers and compare "
    'Ratio("revenue", "orders") of relmark.experiments'
)
DEFINITIONS = define(
    "orders of the window; an item is recommended if the customer was shown or clicked it before they bought it",
    "",
    {
        "click_rate": ("customers who clicked a recommendation", "customers who were shown one"),
        "order_share": ("orders with a recommended item", "orders"),
        "revenue_share": ("money of the recommended items", "money of the orders", "share of money"),
        "basket_with": ("money of orders with a recommended item", "these orders", "money per order"),
        "basket_without": ("money of orders without a recommended item", "these orders", "money per order"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecommendationMetrics(MetricTable):
    """Views, clicks and orders of recommended items, one row per group of customers.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    shown, clicked : ndarray of int64, shape (k,)
        How many customers were shown, or clicked, a recommendation in the window.
    click_rate : Estimates
    orders, orders_with : ndarray of int64, shape (k,)
        Orders, and those with a recommended item.
    order_share : Estimates
    revenue, recommended_revenue, revenue_share : ndarray of float64, shape (k,)
        The money of all orders, the money of the recommended items in them, and the share of the second in the first.
    basket_with, basket_without : Estimates
        The average order with and without a recommended item. The difference is not an effect: see the notes.
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    shown: IntArray
    clicked: IntArray
    click_rate: Estimates
    orders: IntArray
    orders_with: IntArray
    order_share: Estimates
    revenue: FloatArray
    recommended_revenue: FloatArray
    revenue_share: FloatArray
    basket_with: Estimates
    basket_without: Estimates
    as_of: np.datetime64
    window: str
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS


def recommendation_metrics(
    base: CustomerBase,
    *,
    as_of: AsOfGiven,
    within: Span | None = None,
    shown: Selection | None = None,
    clicked: Selection | None = None,
    credit: str = "clicked",
    lasts: Span = _WEEK,
    by: By = None,
) -> RecommendationMetrics:
    """Report what follows recommendations: clicks, orders with a recommended item, and their revenue.

    Parameters
    ----------
    base : CustomerBase
        It has purchases and events of recommendations, all with the property item.
    as_of : date or instant
    within : timedelta, calendar_days or months, optional
        Use recommendations and orders of (as_of - within, as_of]; by default, all up to `as_of`.
    shown, clicked : Selection, optional
        The events; by default, those of type "recommendation_shown" and "recommendation_clicked".
    credit : {"clicked", "shown"}
        Whether a purchase counts as recommended after the item was clicked, or already after it was shown.
    lasts : timedelta, calendar_days or months
        For how long after that it counts.
    by : name of a field, expression, segment, period, or a list or mapping of them, optional

    Returns
    -------
    RecommendationMetrics

    Examples
    --------
    >>> from relmark import EventLog
    >>> log = EventLog.from_columns(customer_id=[1, 1, 1, 2], value=[None, None, 20.0, 10.0],
    ...     type=["recommendation_shown", "recommendation_clicked", "purchase", "purchase"],
    ...     time=["2026-01-05T09:00Z", "2026-01-05T09:01Z", "2026-01-05T10:00Z", "2026-01-05T11:00Z"],
    ...     properties={"item": ["hat", "hat", "hat", "coat"]})
    >>> found = recommendation_metrics(CustomerBase(events=log), as_of="2026-02-01")
    >>> found.orders.tolist(), found.orders_with.tolist(), found.recommended_revenue.tolist()
    ([2], [1], [20.0])
    """
    base = base_given(base)
    stretch = Stretch.of(base, as_of, within)
    one_of("credit", credit, ("clicked", "shown"))
    check_span("lasts", lasts)
    chosen = {
        "shown": selection_given("shown", event("recommendation_shown") if shown is None else shown),
        "clicked": selection_given("clicked", event("recommendation_clicked") if clicked is None else clicked),
    }
    bought = base.purchases().until(stretch.as_of)
    lines, codes = bought.lines, bought.order_codes
    recommended = _recommended(base, stretch, chosen[credit], credit, bought, lasts)
    n = len(codes.first)
    value = np.zeros(len(lines.time)) if lines.value is None else lines.value
    money = exact_sums(codes.code, value, n)
    theirs = exact_sums(codes.code, np.where(recommended, value, 0.0), n)
    has = np.bincount(codes.code[recommended], minlength=n) > 0
    inside = np.flatnonzero(lines.time[codes.first] > stretch.low) if stretch.low is not None else np.arange(n)
    people = {name: events_of(base, one, stretch.low, stretch.high) for name, one in chosen.items()}
    sizes = [len(inside), *(len(one[1]) for one in people.values())]
    who = np.concatenate([lines.customer[codes.first][inside], *(one[0] for one in people.values())]).astype(np.int64)
    time = np.concatenate([lines.time[codes.first][inside], *(one[1] for one in people.values())])
    groups = group_rows(base, stretch.as_of, by, who, time, lambda _: None, of_events=False)
    k = groups.k if by is not None else 1
    kind, code = groups.chosen(np.repeat(np.arange(3), sizes)), groups.code
    row = groups.chosen(np.arange(len(who)))

    def reach(which: int) -> IntArray:
        pair = np.unique(code[kind == which] * max(len(base), 1) + who[row[kind == which]])
        return np.bincount(pair // max(len(base), 1), minlength=k)

    order, cell = inside[row[kind == 0]], code[kind == 0]

    def baskets(mask: BoolArray, what: str) -> Estimates:
        of, worth = cell[mask], money[order[mask]]
        squares, size = np.bincount(of, weights=worth * worth, minlength=k), np.bincount(of, minlength=k)
        return mean_estimates(exact_sums(of, worth, k), squares, size, what)

    revenue, recommended_revenue = exact_sums(cell, money[order], k), exact_sums(cell, theirs[order], k)
    total, with_one = np.bincount(cell, minlength=k), np.bincount(cell[has[order]], minlength=k)
    saw, clicks = reach(1), reach(2)
    return RecommendationMetrics(
        by=groups.labels, shown=saw, clicked=clicks,
        click_rate=shares("customers who clicked", clicks, "customers who were shown one", saw), orders=total,
        orders_with=with_one, order_share=shares("orders with a recommended item", with_one, "orders", total),
        revenue=revenue, recommended_revenue=recommended_revenue, revenue_share=ratio(recommended_revenue, revenue),
        basket_with=baskets(has[order], "orders with a recommended item"),
        basket_without=baskets(~has[order], "orders without a recommended item"), as_of=stretch.as_of.given,
        window=str(stretch), notes=(_TEST,),
    )  # fmt: skip


def _recommended(
    base: CustomerBase, stretch: Stretch, chosen: Selection, name: str, bought: Purchases, lasts: Span
) -> BoolArray:
    """Return which lines hold an item that was recommended to the customer strictly before, and not too long ago."""
    lines = bought.lines
    customer, time, found = events_of(base, chosen, None, stretch.high)
    if not len(time) or not len(lines.time):
        return np.zeros(len(lines.time), dtype=np.bool_)
    item = properties_of(found)("item")
    if item is None:
        raise MissingColumnError(
            f"the events of {name}= have no property 'item', which says what was recommended.", argument=name
        )
    code, _ = column_of(joined("item", [item, bought.items()]), "item")
    size = int(code.max(initial=0)) + 1
    key = customer.astype(np.int64) * size + code[: len(time)]
    asked = lines.customer.astype(np.int64) * size + code[len(time) :]
    place = latest_before(key, time, asked, lines.time, strictly=True)
    since = earlier(lines.time, lasts, base.tz)
    known = ~item.missing
    return np.asarray((place >= 0) & (time[place] >= since) & known[place])
