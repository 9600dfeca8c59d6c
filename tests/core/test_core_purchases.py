"""What was bought: orders, days, refunds carried back, and counts that keep all money."""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, ItemTable, hours
from relmark.core.base import purchases_of
from relmark.core.money import exact_sums, whole_units
from relmark.core.purchases import Orders, PurchaseDays
from relmark.errors import InputError, MissingColumnError


def shop(rows, tz="UTC", **more):
    """A base of rows (customer, time, value, order, item); the last two may be missing for all."""
    columns = dict(zip(("user", "ts", "amount", "invoice", "sku"), map(list, zip(*rows, strict=True)), strict=False))
    names = {"order": "invoice", "item": "sku"}
    given = {name: column for name, column in names.items() if column in columns}
    return CustomerBase.from_orders(
        columns, customer_id="user", time="ts", value="amount", tz=tz, **{**given, **more}
    )  # fmt: skip


def values(bought):
    return dict(zip(bought.lines.row.tolist(), bought.lines.value.tolist(), strict=True))


def refused(text):
    return pytest.raises(InputError, match=re.escape(text))


# ---- orders


def test_five_customers_at_one_instant_are_five_orders():
    base = shop([(c, "2026-01-05T09:00Z", 1.0) for c in "abcab"])
    orders = base.purchases().orders()
    assert orders.customer_id.tolist() == ["a", "b", "c"]
    assert orders.lines.tolist() == [2, 2, 1]
    assert orders.value.tolist() == [2.0, 2.0, 1.0]


def test_an_order_belongs_to_one_customer_although_numbers_count_from_one_for_each():
    base = shop([("a", "2026-01-05", 1.0, 1), ("b", "2026-01-05", 2.0, 1), ("a", "2026-01-06", 4.0, 2)])
    orders = base.purchases().orders()
    assert orders.customer_id.tolist() == ["a", "a", "b"]
    assert orders.order.tolist() == [1, 2, 1]
    assert orders.value.tolist() == [1.0, 4.0, 2.0]


def test_an_order_that_spans_midnight_belongs_to_its_first_day():
    rows = [
        ("a", "2026-01-05T23:59Z", 1.0, "x"),
        ("a", "2026-01-06T00:01Z", 2.0, "x"),
        ("a", "2026-01-06T09:00Z", 4.0, "y"),
    ]
    bought = shop(rows).purchases()
    assert bought.days().day.tolist() == [date(2026, 1, 5), date(2026, 1, 6)]
    assert bought.days().value.tolist() == [3.0, 4.0]
    assert bought.orders().day.tolist() == [date(2026, 1, 5), date(2026, 1, 6)]
    assert bought.counts["orders_over_days"] == 1
    inner = [*rows, ("a", "2026-01-07T00:00Z", 8.0, "x")]  # an order that ends after a later one began
    assert shop(inner).purchases().days().value.tolist() == [11.0, 4.0]


def test_a_receipt_number_that_is_used_again_after_a_month_is_another_order():
    rows = [("a", "2026-01-05T09:00Z", 1.0, 7), ("a", "2026-01-20T09:00Z", 2.0, 7), ("a", "2026-03-05T09:00Z", 4.0, 7)]
    bought = shop(rows).purchases()
    assert bought.orders().value.tolist() == [3.0, 4.0]
    assert bought.counts["order_numbers_reused"] == 1
    assert "order numbers reused=1" in repr(bought)


def test_lines_without_an_order_are_one_order_an_instant():
    rows = [
        ("a", "2026-01-05T09:00Z", 1.0, "x"),
        ("a", "2026-01-05T09:00Z", 2.0, None),
        ("a", "2026-01-05T09:00Z", 4.0, None),
    ]
    orders = shop(rows).purchases().orders()
    assert sorted(zip(orders.order.tolist(), orders.value.tolist(), strict=True), key=str) == [("x", 1.0), (None, 6.0)]


def test_tills_that_stamp_lines_by_the_second_part_orders_by_day_or_by_silence():
    rows = [("a", f"2026-01-05T09:00:{second:02}Z", 1.0) for second in (0, 2, 5)] + [("a", "2026-01-05T18:00Z", 1.0)]
    base = shop(rows)
    assert len(base.purchases().orders()) == 4
    assert base.purchases().counts["orders_within_a_minute"] == 2
    assert base.purchases(order="day").orders().lines.tolist() == [4]
    assert base.purchases(order=timedelta(minutes=5)).orders().lines.tolist() == [3, 1]
    assert base.purchases(order=hours(12)).orders().lines.tolist() == [4]
    with refused("order is 5: the name of a property, 'instant', 'day', or the pause"):
        base.purchases(order=5)
    with pytest.raises(MissingColumnError, match="order is 'invoice', but the 'purchase' events have no such property"):
        base.purchases(order="invoice")


def test_many_lines_at_one_instant_are_told_apart():
    rng = np.random.default_rng(5)
    customer = rng.integers(0, 12, 400)
    time = np.datetime64("2026-01-05T00:00:01", "s") + np.sort(rng.integers(0, 12, 400)).astype("m8[s]")
    base = CustomerBase.from_orders({"u": customer, "t": time, "v": np.ones(400)}, customer_id="u", time="t", value="v")
    pairs = set(zip(customer.tolist(), time.tolist(), strict=True))
    assert len(base.purchases().orders()) == len(pairs)
    counted = base.purchases().orders_of_customers()
    assert counted.tolist() == [sum(c == k for c, _ in pairs) for k in range(12)]


# ---- refunds


def test_what_is_refunded_beyond_a_purchase_goes_back_to_the_one_before():
    bought = shop([("a", "2026-01-05", 30.0), ("a", "2026-01-07", 20.0), ("a", "2026-01-09", -50.0)]).purchases()
    assert len(bought) == 0
    assert bought.counts["refunded_in_full"] == 2
    assert bought.counts["refunds_unmatched"] == 0
    half = shop([("a", "2026-01-05", 30.0), ("a", "2026-01-07", 20.0), ("a", "2026-01-09", -40.0)]).purchases()
    assert values(half) == {0: 10.0}


def test_a_refund_takes_its_own_order_and_item_first():
    rows = [
        ("a", "2026-01-05", 10.0, "x", "scarf"),
        ("a", "2026-01-05", 20.0, "x", "coat"),
        ("a", "2026-01-06", 30.0, "y", "scarf"),
        ("a", "2026-01-08", -4.0, "x", "scarf"),
    ]
    assert values(shop(rows).purchases()) == {0: 6.0, 1: 20.0, 2: 30.0}
    beyond = [*rows[:3], ("a", "2026-01-08", -35.0, "x", "scarf")]
    bought = shop(beyond).purchases()
    assert values(bought) == {2: 30.0}  # what an order named cannot bear is unmatched
    assert (bought.counts["refunds_unmatched"], bought.counts["money_unmatched"]) == (1, 5.0)


def test_a_credit_note_of_its_own_names_no_order_and_takes_the_item():
    rows = [
        ("a", "2026-01-05", 10.0, "1", "scarf"),
        ("a", "2026-01-06", 30.0, "2", "coat"),
        ("a", "2026-01-08", -4.0, "C3", "scarf"),
        ("a", "2026-01-09", -12.0, "C4", "hat"),
    ]
    assert values(shop(rows).purchases()) == {0: 6.0, 1: 18.0}


def test_a_refund_looks_at_its_day_and_before_never_later():
    rows = [("a", "2026-01-05T09:00Z", -5.0), ("a", "2026-01-05T18:00Z", 20.0), ("a", "2026-01-06T09:00Z", 9.0)]
    assert values(shop(rows).purchases()) == {1: 15.0, 2: 9.0}
    lost = shop([("a", "2026-01-05", -5.0), ("a", "2026-01-06", 9.0), ("b", "2026-01-01", 50.0)]).purchases()
    assert values(lost) == {1: 9.0, 2: 50.0}
    assert lost.counts["money_unmatched"] == 5.0


def test_a_refund_that_is_not_yet_known_lowers_nothing():
    bought = shop([("a", "2026-01-05", 30.0), ("a", "2026-01-09", -30.0)]).purchases()
    assert values(bought.until("2026-01-09")) == {0: 30.0}
    assert values(bought.until("2026-01-10")) == {}


def test_refunds_are_dropped_or_refused_with_the_callers_row_where_asked():
    rows = [("b", "2026-01-09", -5.0), ("a", "2026-01-02", -7.0), ("a", "2026-01-01", 10.0)]
    dropped = shop(rows).purchases(refunds="drop")
    assert values(dropped) == {2: 10.0}
    assert (dropped.counts["refunds"], dropped.counts["money_dropped"]) == (2, 12.0)
    with refused("2 purchases have a negative value, the first in row 0 (-5.0). Use refunds='net'"):
        len(shop(rows).purchases(refunds="refuse"))
    with refused("refunds is 'gross': it must be one of 'net', 'drop', 'refuse'."):
        shop(rows).purchases(refunds="gross")


def test_quantities_shrink_with_the_money_and_carry_refunds_where_there_is_none():
    columns = {"u": ["a", "a"], "t": ["2026-01-05", "2026-01-08"], "v": [40.0, -10.0], "n": [4, -1]}
    bought = CustomerBase.from_orders(columns, customer_id="u", time="t", value="v", quantity="n").purchases()
    assert bought.lines.quantity.tolist() == [3.0]
    assert bought.orders().quantity.tolist() == [3.0]
    bare = CustomerBase.from_orders(columns, customer_id="u", time="t", quantity="n").purchases()
    assert bare.lines.quantity.tolist() == [3.0]
    assert bare.orders().value is None
    with refused("1 purchases have a negative quantity, the first in row 1 (-1.0)"):
        len(bare_of(columns).purchases(refunds="refuse"))


def bare_of(columns):
    return CustomerBase.from_orders(columns, customer_id="u", time="t", quantity="n")


# ---- values, free lines, counts


def test_free_lines_are_kept_or_dropped_and_counted():
    rows = [("a", "2026-01-05", 0.0), ("a", "2026-01-06", 3.0), ("b", "2026-01-06", 0.0)]
    assert shop(rows).purchases().counts["free"] == 2
    dropped = shop(rows).purchases(free="drop")
    assert values(dropped) == {1: 3.0}
    assert (dropped.counts["free"], dropped.counts["dropped"], dropped.counts["customers"]) == (2, 2, 1)
    with refused("free is 'no': it must be one of 'keep', 'drop'."):
        shop(rows).purchases(free="no")


def test_values_must_be_there_for_all_or_none():
    log = EventLog.from_columns(
        customer_id=["b", "a"], type="purchase", time=["2026-01-06", "2026-01-05"], value=[None, 2.0]
    )
    with refused("1 'purchase' events have no value, the first in row 0"):
        len(CustomerBase(events=log).purchases())
    assert CustomerBase(events=log).purchases().until("2026-01-06").lines.value.tolist() == [2.0]
    later = EventLog.from_columns(
        customer_id=["b", "a"], type="purchase", time=["2026-01-05", "2026-01-06"], value=[None, 2.0]
    )
    assert CustomerBase(events=later).purchases().until("2026-01-06").lines.value is None


def test_purchases_may_be_events_of_another_type_and_a_base_may_have_none():
    log = EventLog.from_columns(customer_id=["x"], type="order", time=["2026-01-06"], value=[2.0])
    base = CustomerBase(events=log)
    assert len(base.purchases()) == 0
    assert len(base.purchases().orders()) == len(base.purchases().days()) == 0
    assert base.purchases().counts["lines"] == 0
    assert len(base.purchases(type="order")) == 1
    with refused("the log has no events of type 'orders': it has 'order'. Did you mean 'order'?"):
        base.purchases(type="orders")
    with pytest.raises(MissingColumnError, match="no property 'item'"):
        base.purchases(type="order").items()


def test_columns_follow_the_base_and_print():
    table = CustomerTable.from_columns(customer_id=["z", "b", "a"])
    base = shop([("a", "2026-01-05", 1.0, "x"), ("b", "2026-01-05", 2.0, "y")], customers=table)
    bought = base.purchases()
    assert bought.customer_id.tolist() == ["z", "b", "a"]
    orders = bought.orders()
    assert isinstance(orders, Orders)
    assert orders.customer_id.tolist() == ["b", "a"]
    assert isinstance(bought.days(), PurchaseDays)
    assert list(orders.to_columns()) == ["customer_id", "order", "time", "day", "value", "lines"]
    assert repr(bought.until("2026-02-01")) == "Purchases(lines=2, orders=2, customers=2, as of 2026-02-01, UTC)"
    assert "<table>" in bought._repr_html_()
    assert len(bought) == 2


def test_doors_take_a_base_or_its_purchases_and_say_how_to_make_one():
    base = shop([("a", "2026-01-05", 1.0)])
    assert len(purchases_of(base)) == len(purchases_of(base.purchases())) == 1
    with refused(
        "data is of type EventLog: a CustomerBase, or the Purchases of one, is needed. Make one with Customer"
    ):
        purchases_of(base.events)
    with refused("CustomerBase.from_orders(frame"):
        purchases_of(pd.DataFrame({"a": [1]}))


def test_orders_come_from_any_frame_with_customers_and_items():
    columns = {"user": ["a", "b"], "ts": ["2026-01-05", "2026-01-06"], "amount": [1.5, 2.5], "n": [1, 2]}
    names = {"customer_id": "user", "time": "ts", "value": "amount"}
    for frame in (columns, pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
        base = CustomerBase.from_orders(
            frame,
            **names,
            customers={"user": ["b"], "city": ["Omsk"]},
            items=ItemTable.from_columns(item=["i"]),
            tz="Europe/Berlin",
        )
        assert base.customer_id.tolist() == ["b", "a"]
        assert base.purchases().days().value.tolist() == [2.5, 1.5]
        assert base.tz == "Europe/Berlin"
    table = {"customer_id": ["b"], "city": ["Omsk"]}
    assert CustomerBase.from_orders(columns, **names, customers=table).fields == ("city",)
    priced = CustomerBase.from_orders(columns, customer_id="user", time="ts", value=9.5)
    assert priced.purchases().lines.value.tolist() == [9.5, 9.5]
    with refused("value is inf"):
        CustomerBase.from_orders(columns, customer_id="user", time="ts", value=float("inf"))
    with pytest.raises(MissingColumnError, match="there is no column 'amuont'"):
        CustomerBase.from_orders(columns, customer_id="user", time="ts", value="amuont")
    with refused("the name of a column is None"):
        CustomerBase.from_orders(columns, customer_id="user", time=None)


def test_rows_in_messages_are_the_callers_where_some_were_dropped():
    columns = {"u": ["a", None, "b", "a"], "t": ["2026-01-05"] * 4, "v": [1.0, 1.0, float("nan"), -3.0]}
    base = CustomerBase.from_orders(columns, customer_id="u", time="t", value="v", on_error="drop")
    assert base.events.dropped == {"value": 1, "customer_id": 1}
    with refused("the first in row 3 (-3.0)"):
        len(base.purchases(refunds="refuse"))


# ---- money


def test_money_is_exact_at_any_size():
    assert exact_sums(np.array([0, 0, 0]), np.array([0.1, 0.2, 0.3]), 1).tolist() == [0.6]
    huge = np.array([1e300, 1.0])
    assert exact_sums(np.array([0, 1]), huge, 2).tolist() == [1e300, 1.0]
    assert exact_sums(np.array([0, 1]), np.array([1.7e308, 1.0]), 2).tolist() == [1.7e308, 1.0]
    units, scale = whole_units(np.array([1e15, 0.01]))
    assert scale < 1e6
    assert units.tolist() == [round(1e15 * scale), round(0.01 * scale)]
    assert whole_units(np.array([0.1]))[0].tolist() == [100_000]
