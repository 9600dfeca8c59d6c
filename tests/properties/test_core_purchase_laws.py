"""Laws of purchases: against a slow reading, with money kept to the cent, under shuffles, doors and zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, EventLog
from relmark.core.refunds import RefundLines, netted

START = datetime(2026, 3, 20, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
NAMES = {"customer_id": "u", "time": "t", "value": "v", "order": "o", "item": "i"}

rows = st.lists(
    st.tuples(
        st.integers(0, 3),  # customer
        st.integers(0, 20 * 24),  # hour
        st.integers(-300, 300),  # cents
        st.sampled_from([None, "x", "y", "z"]),
        st.sampled_from(["scarf", "coat", "hat"]),
    ),
    min_size=1,
    max_size=30,
)


def columns(rows):
    return {
        "u": [f"c{row[0]}" for row in rows],
        "t": [START + timedelta(hours=row[1]) for row in rows],
        "v": [row[2] / 100 for row in rows],
        "o": [row[3] for row in rows],
        "i": [row[4] for row in rows],
    }


def bought(rows, tz="UTC", **settings):
    return CustomerBase.from_orders(columns(rows), **NAMES, tz=tz).purchases(**settings)


def lines(purchases):
    """Everything that the lines say, without an order."""
    found = purchases.lines
    item = purchases.items().values()
    return sorted(
        (purchases.customer_id[c], int(t), round(v, 6), str(i))
        for c, t, v, i in zip(found.customer, found.time, found.value, item, strict=True)
    )


@given(rows, st.sampled_from(ZONES))
def test_money_is_kept_to_the_cent(rows, tz):
    purchases = bought(rows, tz)
    counts = purchases.counts
    paid = sum(row[2] for row in rows if row[2] > 0)
    asked = -sum(row[2] for row in rows if row[2] < 0)
    kept = round(float(purchases.lines.value.sum()) * 100)
    refunded = round(counts.get("money_refunded", 0.0) * 100)
    assert kept + refunded == paid == round(counts["money"] * 100)
    assert refunded + round(counts.get("money_unmatched", 0.0) * 100) == asked


@given(rows, st.randoms(use_true_random=False), st.sampled_from(ZONES))
def test_the_order_of_rows_changes_nothing(rows, random, tz):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert lines(bought(rows, tz)) == lines(bought(shuffled, tz))
    for a, b in zip(
        bought(rows, tz).days().to_columns().values(), bought(shuffled, tz).days().to_columns().values(), strict=True
    ):
        assert a.tolist() == b.tolist()


@given(rows, st.sampled_from([None, "instant", "day", timedelta(hours=5)]), st.sampled_from(ZONES))
def test_orders_and_days_part_the_lines(rows, order, tz):
    purchases = bought(rows, tz, order=order)
    found, orders, days = purchases.lines, purchases.orders(), purchases.days()
    total = round(float(found.value.sum()), 6)
    for table in (orders, days):
        assert int(table.lines.sum()) == len(purchases)
        assert round(float(table.value.sum()), 6) == total
    assert len(orders) >= len(days)
    counted = purchases.orders_of_customers()
    assert counted.tolist() == [int((orders.customer_id == c).sum()) for c in purchases.customer_id]
    zone = ZoneInfo(tz)
    for table in (orders, days):
        keys = list(zip(table.customer_id.tolist(), table.day.tolist(), strict=True))
        assert keys == sorted(keys)
    first = {START + timedelta(hours=row[1]) for row in rows}
    assert set(days.day.tolist()) <= {moment.astimezone(zone).date() for moment in first}


@given(rows)
def test_orders_are_those_of_a_slow_reading(rows):
    plain = [row for row in rows if row[2] >= 0]
    if not plain:
        return
    expected = set()
    for customer, hour, _, order, _ in plain:
        expected.add((f"c{customer}", order if order is not None else hour))
    orders = bought(plain).orders()
    assert len(orders) == len(expected)


@given(rows, st.sampled_from(ZONES))
def test_a_frame_a_mapping_and_a_log_agree(rows, tz):
    given_columns = columns(rows)
    frame = pl.DataFrame(given_columns, strict=False)
    log = EventLog.from_columns(
        customer_id=given_columns["u"],
        time=given_columns["t"],
        type="purchase",
        value=given_columns["v"],
        properties={"order": given_columns["o"], "item": given_columns["i"]},
    )
    expected = lines(bought(rows, tz))
    assert lines(CustomerBase.from_orders(frame, **NAMES, tz=tz).purchases()) == expected
    assert lines(CustomerBase(events=log, tz=tz).purchases()) == expected


@given(rows, st.integers(0, 20 * 24))
def test_what_was_known_by_an_instant_is_what_a_log_cut_there_holds(rows, hour):
    moment = START + timedelta(hours=hour)
    base = CustomerBase.from_orders(columns(rows), **NAMES)
    cut = CustomerBase(events=base.events.until(moment)).purchases()
    assert lines(base.purchases().until(moment)) == (lines(cut) if cut.n_events else [])


def slow(asked):
    """Refunds one after the other, stage by stage, as the definition says."""
    left = asked.amount.tolist()
    bought = [i for i in range(len(left)) if not asked.refund[i]]
    back = [i for i in range(len(left)) if asked.refund[i]]

    def same(field, p, r):
        value = getattr(asked, field)
        return value[p] == value[r] >= 0

    def before(p, r):
        return asked.customer[p] == asked.customer[r] and asked.day[p] <= asked.day[r]

    named = {r for r in back if any(before(p, r) and same("order", p, r) for p in bought)}
    stages = (
        (named, lambda p, r: same("order", p, r) and same("item", p, r)),
        (named, lambda p, r: same("order", p, r)),
        (set(back) - named, lambda p, r: same("item", p, r)),
        (set(back) - named, lambda p, r: True),  # noqa: ARG005
    )
    for who, fits in stages:
        for r in sorted(who, key=lambda r: (asked.day[r], asked.rank[r])):
            own = [p for p in bought if before(p, r) and fits(p, r)]
            for p in sorted(own, key=lambda p: (asked.day[p], asked.rank[p]), reverse=True):
                taken = min(left[p], left[r])
                left[p] -= taken
                left[r] -= taken
    return left


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_refunds_are_those_of_a_slow_reading(n, seed):
    rng = np.random.default_rng(seed)
    asked = RefundLines(
        customer=rng.integers(0, 3, n),
        day=rng.integers(0, 6, n),
        rank=rng.permutation(n),
        order=rng.integers(-1, 4, n),
        item=rng.integers(-1, 3, n),
        amount=rng.integers(1, 50, n) * 10 ** int(rng.integers(0, 16)),
        refund=rng.random(n) < 0.4,
    )
    assert netted(asked).tolist() == slow(asked)
