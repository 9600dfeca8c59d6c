"""The circle: a policy plans with control, its events are logged, and the experiment reads what it did."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, hours
from relmark.campaigns import Campaign, Chain, ContactPolicy, Step
from relmark.errors import InputError
from relmark.experiments import Experiment, Proportion, TriggerChain

START = np.datetime64("2026-05-04T09:00", "us")
POLICY = ContactPolicy(
    "shop", channels={"email": None}, gap=None,
    campaigns=[
        Campaign("basket", trigger=event("cart"), channels=["email"], again=None, control=0.3),
        Chain("welcome", starts=event("signup"), channels=["email"], late=days(2), control=0.2, step_control=0.3,
              steps=[Step("hello"), Step("tips", after=days(1))]),
    ],
)  # fmt: skip


def world(rng, n, type_name):
    """People who do something in the first hours, each at their own time."""
    ids = rng.choice(10_000_000, n, replace=False)
    when = START + rng.integers(0, 6 * 3_600, n).astype("m8[s]")
    log = EventLog.from_columns(customer_id=ids, type=type_name, time=when)
    return CustomerBase(customers=CustomerTable.from_columns(customer_id=np.sort(ids)), events=log)


def run(base, hours_to_run):
    log = base.events
    for hour in range(hours_to_run):
        now = CustomerBase(customers=base.customers, events=log)
        log = log.append(POLICY.evaluate(now, as_of=START + np.timedelta64(hour, "h")).to_events())
    return CustomerBase(customers=base.customers, events=log)


def buying(rng, base, rate, lift, name):
    """Purchases within three days after each message or withheld message: `rate`, and `lift` more where it was sent."""
    columns = base.events.to_columns()
    mine = (columns["campaign"] == name) & (columns["type"] != "cart")
    sent = columns["type"][mine] == "message_sent"
    bought = rng.random(int(mine.sum())) < rate + lift * sent
    when = columns["time"][mine][bought] + rng.integers(1, 3 * 86_400, int(bought.sum())).astype("m8[s]")
    log = EventLog.from_columns(
        customer_id=columns["customer_id"][mine][bought],
        type="purchase",
        time=when,
        value=np.full(int(bought.sum()), 10.0),
    )
    end = EventLog.from_columns(customer_id=columns["customer_id"][:1], type="visit",
                                time=np.array([START + np.timedelta64(60, "D")]))  # fmt: skip
    return CustomerBase(customers=base.customers, events=EventLog.concat([base.events, log, end]))


def test_the_control_group_is_that_of_the_experiment():
    rng = np.random.default_rng(1)
    base = run(world(rng, 2_000, "cart"), 8)
    test = Experiment(**POLICY.experiment("basket"))
    columns = base.events.to_columns()
    mine = columns["type"] != "cart"
    drawn = test.assign(columns["customer_id"][mine]).arm
    assert (drawn == columns["arm"][mine]).all()
    assert ((columns["type"][mine] == "message_withheld") == (drawn == "control")).all()
    assert mine.sum() == 2_000


@pytest.mark.slow
def test_an_effect_built_in_is_covered_as_often_as_promised():
    rng = np.random.default_rng(7)
    base = run(world(rng, 1_500, "cart"), 8)
    metric = Proportion("bought", of=event("purchase").exists())
    test = Experiment(**POLICY.experiment("basket"))
    covered, found = 0, []
    for _ in range(400):
        report = test.read(buying(rng, base, 0.1, 0.06, "basket"), campaign="basket", window=days(4), metrics=[metric])
        effect = report.effect("bought").difference
        covered += effect.interval.low <= 0.06 <= effect.interval.high
        found.append(effect.value)
    assert 0.93 <= covered / 400 <= 0.97
    assert abs(np.mean(found) - 0.06) < 4 * np.std(found) / 20


def test_the_first_message_counts_sent_or_withheld():
    rng = np.random.default_rng(2)
    base = buying(rng, run(world(rng, 3_000, "cart"), 8), 0.1, 0.2, "basket")
    metric = Proportion("bought", of=event("purchase").exists())
    test = Experiment(**POLICY.experiment("basket"))
    first = test.read(base, campaign="basket", window=days(4), metrics=[metric]).effect("bought")
    again = EventLog.from_columns(
        customer_id=base.customer_id, type="message_sent", time=np.full(len(base), START + np.timedelta64(20, "D")),
        properties={"campaign": np.full(len(base), "basket"), "arm": np.full(len(base), "sent")},
    )  # fmt: skip
    more = CustomerBase(customers=base.customers, events=base.events.append(again))
    second = test.read(more, campaign="basket", window=days(4), metrics=[metric]).effect("bought")
    assert second.difference == first.difference
    assert first.difference.interval.low <= 0.2 <= first.difference.interval.high
    written = {"written": event("message_sent").exists(), "came": event("cart").exists()}
    divided = test.read(base, campaign="basket", window=days(4), metrics=[metric], segments=written)
    assert set(zip(divided.dimension.tolist(), divided.segment.tolist(), strict=True)) == {
        ("", ""), ("written", "no"), ("came", "yes"),
    }  # fmt: skip


def test_a_chain_is_read_as_a_whole_and_step_by_step():
    rng = np.random.default_rng(3)
    base = run(world(rng, 4_000, "signup"), 34)
    chain = TriggerChain("welcome", steps=["hello", "tips"], chain_control=0.2, step_control=0.3)
    base = buying(rng, base, 0.1, 0.1, "welcome")
    metric = Proportion("bought", of=event("purchase").exists())
    report = chain.read(base, window=days(5), metrics=[metric])
    assert sum(report.chain.source.counts.values() if hasattr(report.chain.source, "counts") else [4_000]) == 4_000
    drawn = chain.assign(base.customer_id)
    columns = base.events.to_columns()
    for step in ("hello", "tips"):
        mine = columns["step"] == step
        sent = dict(zip(columns["customer_id"][mine], columns["type"][mine] == "message_sent", strict=True))
        for who, sends in zip(base.customer_id, drawn.sends(step), strict=True):
            if who in sent:
                assert sent[who] == sends
        assert report.steps[step].effect("bought").difference.value > 0


def test_a_campaign_that_sent_nothing_is_named():
    base = run(world(np.random.default_rng(4), 50, "cart"), 8)
    test = Experiment(**POLICY.experiment("basket"))
    metric = Proportion("bought", of=event("purchase").exists())
    with pytest.raises(InputError, match="no message_sent") as raised:
        test.read(base, campaign="baskets", window=hours(4), metrics=[metric])
    assert "basket" in raised.value.hint
    with pytest.raises(InputError, match="together with start"):
        test.read(base, campaign="basket", start=START, window=hours(4), metrics=[metric])
    with pytest.raises(InputError, match="start is missing"):
        test.read(base, window=hours(4), metrics=[metric])
