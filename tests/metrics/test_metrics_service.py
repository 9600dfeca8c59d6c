"""Recommendation blocks, conversations and visits: hand-made tables, and a block without an effect."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, CustomerTable, EventLog, days, field, minutes, prop
from relmark.core.errors import InputError, MissingColumnError
from relmark.experiments import Ratio, analyze
from relmark.metrics import conversation_metrics, recommendation_metrics, visit_metrics

START = np.datetime64("2026-01-01T00:00", "us")
HOUR = np.timedelta64(3_600_000_000, "us")


def log_of(rows, *names):
    """Return a log of (customer, type, hour, value, *properties)."""
    who, kind, hour, value, *more = zip(*rows, strict=True)
    return EventLog.from_columns(
        customer_id=list(who), type=list(kind), time=START + np.array(hour) * HOUR, value=list(value),
        properties={name: list(one) for name, one in zip(names, more, strict=True)},
    )  # fmt: skip


# ---- recommendations


def no_effect(rng, n=1_000):
    """Return people of whom half see a block that changes nothing, as a base, with their arm, revenue and orders."""
    arm = rng.integers(0, 2, n)
    orders = rng.poisson(1.2, n)
    owner = np.repeat(np.arange(n), orders)
    size = 1 + rng.poisson(3, len(owner))
    line_of = np.repeat(np.arange(len(owner)), size)
    item = rng.integers(0, 60, len(line_of))
    worth = np.round(rng.gamma(2, 10, len(line_of)), 2)
    when = START + (rng.integers(24, 24 * 28, len(owner)))[line_of] * HOUR
    seers = np.flatnonzero(arm == 1)
    seen_by = np.repeat(seers, 12)
    seen = rng.integers(0, 60, len(seen_by))
    log = EventLog.from_columns(
        customer_id=np.concatenate([owner[line_of], seen_by]),
        type=np.repeat(["purchase", "recommendation_shown"], [len(line_of), len(seen_by)]),
        time=np.concatenate([when, np.full(len(seen_by), START)]),
        value=np.concatenate([worth, np.full(len(seen_by), np.nan)]),
        properties={
            "item": np.concatenate([item, seen]),
            "order": np.concatenate([line_of, np.full(len(seen_by), -1)]),
        },
    )  # fmt: skip
    revenue = np.bincount(owner[line_of], weights=worth, minlength=n)
    return CustomerBase(events=log), arm, revenue, orders


@pytest.mark.long
def test_a_block_without_effect_seems_to_raise_baskets_and_the_test_says_it_does_not():
    rng = np.random.default_rng(1)
    found, rises = 0, 0
    rounds = 300
    for _ in range(rounds):
        base, arm, revenue, orders = no_effect(rng)
        told = recommendation_metrics(base, as_of="2026-03-01", credit="shown", lasts=days(60))
        rises += told.basket_with[0].low > told.basket_without[0].high
        report = analyze(
            {"revenue": revenue, "orders": orders}, np.array(["none", "block"])[arm],
            metrics=[Ratio("revenue", "orders")], control="none",
        )  # fmt: skip
        found += report.effect("revenue / orders", arm="block").p_value < 0.05
    assert rises > 0.9 * rounds
    assert 0.02 < found / rounds < 0.085
    assert "randomly chosen" in told.notes[0]
    assert 'Ratio("revenue", "orders")' in str(told)


def test_recommended_is_what_the_customer_clicked_before_they_bought_it():
    rows = [
        (1, "recommendation_shown", 0, None, "hat", None), (1, "recommendation_clicked", 1, None, "hat", None),
        (1, "purchase", 2, 20.0, "hat", "o1"), (1, "purchase", 2, 5.0, "sock", "o1"),  # with
        (1, "purchase", 24 * 9, 20.0, "hat", "o2"),  # too late
        (2, "recommendation_clicked", 5, None, "coat", None), (2, "purchase", 4, 50.0, "coat", "o3"),  # before
        (2, "purchase", 5, 50.0, "coat", "o4"),  # at once is not after
        (3, "purchase", 6, 30.0, "coat", "o5"),  # another customer's
        (3, "recommendation_shown", 6, None, "hat", None),
    ]  # fmt: skip
    table = CustomerTable.from_columns(customer_id=[1, 2, 3], city=["a", "a", "b"])
    base = CustomerBase(customers=table, events=log_of(rows, "item", "order"))
    told = recommendation_metrics(base, as_of="2026-02-01")
    assert (told.orders.tolist(), told.orders_with.tolist()) == ([5], [1])
    assert (told.revenue.tolist(), told.recommended_revenue.tolist()) == ([175], [20])
    assert told.revenue_share[0] == pytest.approx(20 / 175)
    assert (told.shown.tolist(), told.clicked.tolist()) == ([2], [2])
    assert (told.basket_with[0].value, told.basket_without[0].value) == (25, 37.5)
    by = recommendation_metrics(base, as_of="2026-02-01", by="city")
    assert by["city"].tolist() == ["a", "b"]
    assert (by.orders.tolist(), by.orders_with.tolist(), by.shown.tolist()) == ([4, 1], [1, 0], [1, 1])
    late = recommendation_metrics(base, as_of="2026-01-12", within=days(4), lasts=days(30))
    assert (late.orders.tolist(), late.orders_with.tolist()) == ([1], [1])
    overlap = recommendation_metrics(
        base, as_of="2026-02-01", by={"all": field("city").not_null(), "a": field("city") == "a"}
    )
    assert overlap.orders.tolist() == [5, 4]
    assert told.describe("revenue_share").denominator == "money of the orders"
    with pytest.raises(MissingColumnError, match="'item'"):
        recommendation_metrics(
            CustomerBase(events=log_of([(1, "recommendation_clicked", 0, None), (1, "purchase", 1, 2.0)])),
            as_of="2026-02-01",
        )
    with pytest.raises(InputError, match="'clicked', 'shown'"):
        recommendation_metrics(base, as_of="2026-02-01", credit="seen")


# ---- conversations


def test_conversations_by_name():
    rows = [
        (1, "inquiry", 0, None, "x", None), (1, "inquiry", 1, None, "x", None), (1, "reply", 2, None, "x", "anna"),
        (1, "resolved", 3, None, "x", "bot"), (1, "inquiry", 30, None, "y", None), (2, "inquiry", 5, None, "z", None),
        (2, "reply", 4, None, "z", "bot"),  # before anybody asked
    ]  # fmt: skip
    base = CustomerBase(events=log_of(rows, "conversation", "by"))
    told = conversation_metrics(base, as_of=START + 48 * HOUR)
    assert (told.conversations.tolist(), told.inquiries.tolist(), told.people.tolist()) == ([3], [4], [2])
    assert (told.replied.tolist(), told.resolved.tolist()) == ([1], [1])
    assert told.repeat_rate[0].value == pytest.approx(1 / 3)
    assert told.bot_rate[0].value == 1
    assert np.isnan(told.median_reply_minutes[0])  # two of three wait on
    none = conversation_metrics(base, as_of=START + 48 * HOUR, bot=prop("by") == "robot")
    assert none.bot_rate[0].value == 0
    by = conversation_metrics(base, as_of=START + 48 * HOUR, by="conversation")
    assert by["conversation"].tolist() == ["x", "y", "z"]
    assert by.median_reply_minutes.tolist()[:1] == [120]


def test_conversations_without_names_end_when_they_are_resolved():
    rows = [
        (1, "inquiry", 0, None), (1, "inquiry", 1, None), (1, "reply", 2, None), (1, "resolved", 3, None),
        (1, "reply", 4, None), (1, "inquiry", 5, None), (1, "reply", 6, None), (2, "resolved", 0, None),
    ]  # fmt: skip
    told = conversation_metrics(CustomerBase(events=log_of(rows)), as_of=START + 48 * HOUR)
    assert (told.conversations.tolist(), told.inquiries.tolist(), told.resolved.tolist()) == ([2], [3], [1])
    assert told.median_reply_minutes.tolist() == [60]
    recent = conversation_metrics(CustomerBase(events=log_of(rows)), as_of=START + 8 * HOUR, within=minutes(240))
    assert (recent.conversations.tolist(), recent.repeat_rate[0].value) == ([1], 1)


def test_open_conversations_are_censored():
    rng = np.random.default_rng(2)
    medians, naive = [], []
    for _ in range(40):
        start = rng.uniform(0, 10, 400)
        wait = rng.exponential(4, 400)
        rows = [(k, "inquiry", 0, None) for k in range(400)]
        log = EventLog.from_columns(
            customer_id=np.concatenate([np.arange(400), np.arange(400)]), type=np.repeat(["inquiry", "reply"], 400),
            time=START + (np.concatenate([start, start + wait]) * 3.6e9).astype(np.int64).astype("m8[us]"),
        )  # fmt: skip
        told = conversation_metrics(CustomerBase(events=log), as_of=START + 10 * HOUR)
        assert told.conversations[0] == len(rows)
        medians.append(told.median_reply_minutes[0])
        naive.append(60 * np.median(wait[start + wait <= 10]))
    truth = 60 * 4 * np.log(2)
    assert np.mean(medians) == pytest.approx(truth, rel=0.03)
    assert np.mean(naive) < 0.8 * truth


KINDS = st.lists(
    st.tuples(st.integers(1, 2), st.sampled_from(["inquiry", "reply", "resolved"]), st.integers(0, 9)), min_size=1
)


@given(KINDS)
def test_conversations_are_those_of_a_slow_reading(rows):
    rows = list({row[0]: row for row in [(10 * r[0] + r[2], *r) for r in rows]}.values())  # one event at an instant
    rows = [row[1:] for row in rows]
    told = conversation_metrics(CustomerBase(events=log_of([(*row, None) for row in rows])), as_of=START + 99 * HOUR)
    number = asks = replies = closed = 0
    for who in (1, 2):
        here, replied = False, False
        for _, kind, _ in sorted((row for row in rows if row[0] == who), key=lambda row: row[2]):
            if kind == "inquiry":
                asks += 1
                if not here:
                    number, here, replied = number + 1, True, False
            elif here and kind == "reply" and not replied:
                replies, replied = replies + 1, True
            elif here and kind == "resolved":
                closed, here = closed + 1, False
    assert told.conversations.sum() == number
    assert told.inquiries.sum() == asks
    assert told.resolved.sum() == closed
    assert told.replied.sum() >= replies  # a reply after the resolution still is one


# ---- visits


def test_visits_of_page_views():
    log = EventLog.from_columns(
        customer_id=[1, 1, 1, 2, 1], type="page_view",
        time=START + np.array([0, 0.1, 3, 5, 40]) * HOUR, properties={"channel": ["ad", None, "mail", "mail", "ad"]},
    )  # fmt: skip
    base = CustomerBase(events=log.sessions(gap=minutes(30)))
    told = visit_metrics(base, as_of="2026-02-01")
    assert (told.visits.tolist(), told.people.tolist(), told.pages.tolist()) == ([4], [2], [5])
    assert (told.bounce_rate[0].value, told.visits_per_person[0].value) == (0.75, 2)
    assert (told.seconds_per_visit[0].value, told.pages_per_visit[0].value) == (90, 1.25)
    assert told.median_seconds.tolist() == [0]
    by = visit_metrics(base, as_of="2026-02-01", by="channel")
    assert (by["channel"].tolist(), by.visits.tolist()) == (["ad", "mail"], [2, 2])
    daily = visit_metrics(base, as_of="2026-01-02", within=days(1), by="day")
    assert daily.visits.tolist() == [3]
    with pytest.raises(MissingColumnError, match="make visits from page views"):
        visit_metrics(CustomerBase(events=log_of([(1, "visit", 0, None)])), as_of="2026-02-01")
    assert visit_metrics(CustomerBase(), as_of="2026-02-01").visits.tolist() == [0]


def test_nothing_happened_is_told_with_reasons():
    empty = CustomerBase()
    assert conversation_metrics(empty, as_of="2026-02-01").reply_rate[0].reason == "conversations is 0"
    assert recommendation_metrics(empty, as_of="2026-02-01").order_share[0].reason == "orders is 0"
