"""Commerce, unit economics and the health of the base, on tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field
from relmark.errors import InputError
from relmark.metrics import (
    base_health,
    cohort_retention,
    cohort_value,
    commerce_metrics,
    funnel,
    journey_map,
    pareto,
    paths,
    unit_economics,
)

ORDERS = {
    "user": ["a", "a", "b", "c", "a", "d"],
    "day": ["2026-01-15", "2026-02-10", "2026-02-12", "2026-01-20", "2026-02-11", "2026-03-10"],
    "v": [20.0, 10.0, 5.0, 7.0, -3.0, 100.0],
    "discount": [1.0, 0.0, 2.0, 0.0, 0.0, None],
}


def shop(**more):
    return CustomerBase.from_orders(ORDERS, customer_id="user", time="day", value="v", properties=["discount"], **more)


def test_a_month_by_month_table():
    m = commerce_metrics(shop(), as_of="2026-03-15", period="month")
    assert m.period.astype(str).tolist() == ["2026-01", "2026-02", "2026-03"]
    assert m.orders.tolist() == [2, 2, 1]
    assert m.customers.tolist() == [2, 2, 1]
    assert m.new_customers.tolist() == [2, 1, 1]
    assert m.revenue.tolist() == [27, 12, 100]  # the refund of 3 is taken off the order of 10
    assert m.new_revenue.tolist() == [27, 5, 100]
    assert m.returning_revenue.tolist() == [0, 7, 0]
    assert m.average_order_value.value.tolist() == [13.5, 6, 100]
    assert m.orders_per_customer.value.tolist() == [1, 1, 1]
    assert np.isnan(m.churned[[0, 2]]).all()  # nobody before the first; and March is not over
    assert m.churned[1] == 1  # c
    assert m.in_progress.tolist() == [False, False, True]
    assert m.discount_share[:2].tolist() == [pytest.approx(1 / 28), pytest.approx(2 / 14)]
    assert (m.refunds, m.refunds_unmatched) == (3, 0)
    assert m.refund_share == pytest.approx(3 / 142)
    assert m.repeat_rate.value == 1 / 4
    assert m.days_between[0.5] == 26
    full = commerce_metrics(shop(), as_of="2026-04-01", period="month")
    assert full.churned[1:].tolist() == [1, 2]
    assert not full.in_progress.any()


def test_groups_of_customers_add_up_to_all_of_them():
    table = CustomerTable.from_columns(customer_id=["a", "b", "c", "d"], city=["Omsk", "Omsk", "Kazan", None])
    base = shop(customers=table)
    whole = commerce_metrics(base, as_of="2026-04-01", period="month")
    m = commerce_metrics(base, as_of="2026-04-01", period="month", by="city")
    assert m["city"].tolist() == ["Kazan"] * 3 + ["Omsk"] * 3 + [None] * 3
    for name in ("orders", "customers", "new_customers", "revenue", "new_revenue", "returning_revenue"):
        column = getattr(m, name)
        assert [column[k::3].sum() for k in range(3)] == getattr(whole, name).tolist()
    assert [m.churned[k::3].sum() for k in (1, 2)] == whole.churned[1:].tolist()
    assert np.isnan(m.churned[::3]).all()
    both = commerce_metrics(
        base, as_of="2026-04-01", by={"buyers": event("purchase").exists(), "few": field("city") == "x"}
    )
    assert (both.orders.tolist(), both.revenue.tolist()) == ([5, 0], [139, 0])
    assert both.repeat_rate.value == whole.repeat_rate.value
    with pytest.raises(InputError, match="pass the base instead"):
        commerce_metrics(base.purchases(), as_of="2026-04-01", by="city")


def test_who_had_the_time_to_come_again():
    m = commerce_metrics(shop(), as_of="2026-03-15", mature=days(30))
    assert m.mature_repeat_rate.value == pytest.approx(1 / 3)  # a of a, b and c; d has bought five days ago
    assert math.isnan(commerce_metrics(shop(), as_of="2026-01-16", mature=days(30)).mature_repeat_rate.value)
    assert commerce_metrics(shop(), as_of="2026-03-15", mature=days(20)).mature_repeat_rate.value == 0


def test_the_interval_of_the_order_value_is_of_the_delta_method():
    rng = np.random.default_rng(5)
    n = rng.integers(1, 6, 300)
    user = np.repeat(np.arange(300), n)
    value = rng.gamma(2.0, 10.0, len(user)).round(2)
    day = np.datetime64("2026-01-01") + np.arange(len(user)) % 50
    base = CustomerBase.from_orders(
        {"u": user, "t": day, "v": value, "o": np.arange(len(user))}, customer_id="u", time="t", value="v", order="o"
    )
    found = commerce_metrics(base, as_of="2026-04-01").average_order_value[0]
    total = np.bincount(user, weights=value)
    r = total.sum() / n.sum()
    error = math.sqrt(300 / 299 * ((total - r * n) ** 2).sum() / n.sum() ** 2)
    assert found.value == pytest.approx(r)
    assert found.high - r == pytest.approx(1.959964 * error, rel=1e-5)


def test_the_best_customers_first():
    p = pareto(shop(), as_of="2026-04-01")
    assert p.customer_id.tolist() == ["d", "a", "c", "b"]
    assert p.revenue.tolist() == [100, 27, 7, 5]
    assert p.category.tolist() == ["A", "A", "B", "C"]
    assert p.cumulative_share[-1] == pytest.approx(1)
    values = sorted(p.revenue.tolist())
    differences = sum(abs(a - b) for a in values for b in values)
    assert p.gini == pytest.approx(differences / (2 * 4 * sum(values)))
    x, y = p.lorenz()
    assert (x.tolist(), y[[0, -1]].tolist()) == ([0, 0.25, 0.5, 0.75, 1], [0, pytest.approx(1)])
    assert commerce_metrics(shop(), as_of="2026-04-01").top_shares[0.2] == pytest.approx(100 / 139)


def test_purchases_without_money_are_counted():
    base = CustomerBase.from_orders(ORDERS, customer_id="user", time="day")
    m = commerce_metrics(base, as_of="2026-04-01")
    assert m.orders.tolist() == [6]
    assert np.isnan(m.revenue).all()
    assert "no money" in m.average_order_value[0].reason
    with pytest.raises(InputError, match="the purchases have no value"):
        pareto(base, as_of="2026-04-01")
    with pytest.raises(InputError, match="the purchases have no value"):
        cohort_value(base, as_of="2026-04-01")


def test_a_window_begins_within_its_first_period_and_says_so():
    m = commerce_metrics(shop(), as_of="2026-03-01", period="month", within=days(20))
    assert (m.orders.tolist(), m.in_progress.tolist()) == ([2], [True])
    assert m.new_customers.tolist() == [1]  # a bought before the window


def test_unit_economics_add_clicks_value_and_payback():
    u = unit_economics(
        {"a": 100.0, "b": 50.0}, clicks={"a": 1000, "b": 100}, leads={"a": 50}, orders={"a": 10, "b": 5},
        new_customers={"a": 4}, revenue={"a": 400.0, "b": 100.0}, margin=0.25, ltv=90.0, monthly_margin=5.0,
    )  # fmt: skip
    assert u.cost_per_click.tolist() == [0.1, 0.5]
    assert u.click_to_lead.tolist() == [0.05, 0]
    assert u.lead_to_order[0] == 0.2
    assert u.roi.tolist() == [0, -0.5]
    assert u.revenue_roi.tolist() == [3, 1]
    assert u.ltv_to_cac[0] == 3.6
    assert u.payback_months[0] == 5
    assert math.isnan(u.ltv_to_cac[1])
    assert u.total["roi"] == pytest.approx((125 - 150) / 150)
    assert u.mer == pytest.approx(500 / 150)
    assert "total" in str(u)
    extra = unit_economics({"a": 100.0}, revenue={"a": 50.0, "organic": 450.0}, margin={"a": 30.0})
    assert (extra.mer, extra.total["roas"], extra.roi.tolist()) == (5, 0.5, [-0.7])
    assert "organic" in str(extra)
    assert unit_economics({"a": 0.0}, revenue={"a": 5.0}).reasons["roas"] == "undefined: spend is 0"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: unit_economics({}), "spend is empty"),
        (lambda: unit_economics({"a": -1.0}), r"spend\['a'\] is -1"),
        (lambda: unit_economics({"a": 1.0}, orders=3), "orders is 3 but spend is by key"),
        (lambda: unit_economics(1.0, orders={"a": 3}), "orders is a mapping but spend is one sum"),
        (lambda: unit_economics({"a": 1.0}, margin=5.0, revenue={"a": 1}), "margin is 5"),
        (lambda: unit_economics({"a": 1.0}, margin=0.5), "pass revenue= too"),
        (lambda: unit_economics({1.5: 1.0}), "spend has the key 1.5"),
        (lambda: unit_economics({"a": float("nan")}), r"spend\['a'\] is nan"),
        (lambda: commerce_metrics([], as_of="2026-01-01"), "data is of type list"),
        (lambda: commerce_metrics(shop(), as_of="2026-01-01", period="fortnight"), "period is 'fortnight'"),
        (lambda: commerce_metrics(shop(), as_of="2026-01-01", discount=3), "discount is 3"),
        (lambda: cohort_retention(shop(), as_of="2026-01-01", kind="exact"), "kind is 'exact'"),
        (lambda: cohort_retention(shop(), as_of="2026-01-01", back=event("x")), "back= is given without start="),
        (lambda: cohort_retention(shop(), as_of="2026-04-01", by={"a": field("x") > 1}), "no field 'x'"),
        (lambda: cohort_retention(shop().purchases(), as_of="2026-04-01", by="month"), "pass the base instead"),
        (lambda: cohort_retention(shop(), as_of="2026-04-01", week_starts="noon"), "week_starts is 'noon'"),
        (lambda: cohort_value(shop(), as_of="2026-04-01", period=days(1)), "it must be a calendar period"),
        (lambda: funnel(shop(), [event("a")], as_of="2026-01-01"), "steps has 1"),
        (lambda: funnel(shop(), "ab", as_of="2026-01-01"), "steps is 'ab'"),
        (lambda: funnel(shop(), ["a", "b"], as_of="2026-01-01"), r"steps\[0\] is 'a'"),
        (lambda: funnel(shop(), [event("a"), event("b")], as_of="2026-01-01", within=7), "within"),
        (lambda: funnel(shop(), [event("a"), event("b")], as_of="2026-01-01", order="x"), "order is 'x'"),
        (lambda: funnel(shop(), [event("a"), event("b")], as_of="2026-01-01", order="any", ties="same_time"),
         "goes with order='loose'"),
        (lambda: paths(shop(), as_of="2026-04-01", start=event("a"), end=event("b")), "leave one of them out"),
        (lambda: paths(shop(), as_of="2026-04-01", label="page"), "label is 'page'"),
        (lambda: paths(shop(), as_of="2026-04-01", steps=1), "steps is 1"),
        (lambda: journey_map(shop(), as_of="2026-04-01", of="x"), "of is 'x'"),
        (lambda: base_health(shop(), as_of="2026-04-01", channels=["email"]), "channels is"),
        (lambda: base_health(shop(), as_of="2026-04-01", removable={"any": field("a") > 1}), "a rule called"),
        (lambda: base_health(shop(), as_of="2026-04-01", joined="a"), "joined is 'a'"),
        (lambda: base_health(shop(), as_of="2026-04-01", contact_cost=-1), "contact_cost is -1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()


def health_base():
    log = EventLog.from_columns(
        customer_id=["a", "a", "b", "c", "c", "a", "b"],
        type=["visit", "visit", "purchase", "message_sent", "unsubscribe", "complaint", "visit"],
        time=["2024-12-01", "2026-03-10", "2026-01-05", "2026-03-10", "2026-03-11", "2026-03-12", "2026-02-20"],
    )
    table = CustomerTable.from_columns(
        customer_id=["a", "b", "c", "d"], email=["x", None, "y", None], city=["Omsk", "Omsk", "Kazan", None],
        joined=["2024-12-01", "2026-01-05", "2026-03-01", "2023-01-01"],
    )  # fmt: skip
    return CustomerBase(customers=table, events=log)


def test_the_health_of_a_base():
    h = base_health(health_base(), as_of="2026-04-01", contact_cost=2.0)
    assert h.customers.tolist() == [4]  # d was never seen, and is in the table
    assert h.joined.tolist() == [1]
    assert h.growth.tolist() == [1 / 3]
    assert h.active.tolist() == [2]  # a, and c by unsubscribing; being sent a message is not doing
    assert (h.unsubscribed.tolist(), h.complained.tolist()) == ([1], [1])
    assert h.events_per_person.value.tolist() == [3 / 4]
    assert h.reachable["email"].value.tolist() == [0.5]
    assert h.filled["city"].tolist() == [3 / 4]
    assert h.removable["silent for a year"].tolist() == [1]  # d
    assert h.removable_cost.tolist() == [2]
    assert {"reachable_email", "filled_city", "removable_any"} <= set(h.to_columns())


def test_the_health_of_a_base_by_group_and_by_month():
    by_city = base_health(health_base(), as_of="2026-04-01", by="city")
    assert by_city["city"].tolist() == ["Kazan", "Omsk", None]
    assert by_city.customers.tolist() == [1, 2, 1]
    reach = {"mail": field("email").not_null() & ~event("unsubscribe").exists()}
    reach = {"mail": field("email").not_null() & ~event("unsubscribe").exists()}
    months = base_health(health_base(), as_of="2026-04-01", period="quarter", channels=reach)
    assert months.reachable["mail"].value.tolist()[-1] == 0.25
    assert months["quarter"].astype(str).tolist()[-1] == "2026-01-01"
    assert months.customers.tolist()[-2:] == [2, 4]
    assert months.joined.tolist()[-1] == 2
    mine = base_health(health_base(), as_of="2026-04-01", removable={"no city": field("city").is_null()})
    assert mine.removable["any"].tolist() == [1]
