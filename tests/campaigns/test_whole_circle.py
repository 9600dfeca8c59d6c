"""The whole circle: plan with control, read the effect, learn whom it helps, and spend a budget on these."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field
from relmark.campaigns import Campaign, ContactPolicy, allocate
from relmark.experiments import Experiment, Proportion, UpliftScore, learn_uplift

START = np.datetime64("2026-05-04T09:00", "us")
POLICY = ContactPolicy(
    "shop", channels={"email": None}, gap=None,
    campaigns=[Campaign("basket", trigger=event("cart"), channels=["email"], again=None, control=0.4)],
)  # fmt: skip


def people(rng, ids):
    """Customers of whom those from Omsk are helped, those from Kazan not at all, and heavy readers are put off."""
    n = len(ids)
    table = CustomerTable.from_columns(
        customer_id=ids, city=rng.choice(["Omsk", "Kazan"], n), letters=rng.poisson(2, n).astype(float)
    )
    when = START + rng.integers(0, 6 * 3_600, n).astype("m8[s]")
    return CustomerBase(customers=table, events=EventLog.from_columns(customer_id=ids, type="cart", time=when))


def lift(base):
    return np.where(base.column("city").values() == "Omsk", 0.25, 0.05) - 0.02 * base.column("letters").numbers()


def planned(base):
    log = base.events
    for hour in range(9):
        now = CustomerBase(customers=base.customers, events=log)
        log = log.append(POLICY.evaluate(now, as_of=START + np.timedelta64(hour, "h")).to_events())
    return CustomerBase(customers=base.customers, events=log)


def answered(rng, base):
    columns = base.events.to_columns()
    mine = columns["type"] != "cart"
    ids, sent = columns["customer_id"][mine], columns["type"][mine] == "message_sent"
    bought = rng.random(len(ids)) < 0.15 + lift(base)[base.find(ids)] * sent
    when = columns["time"][mine][bought] + rng.integers(1, 3 * 86_400, int(bought.sum())).astype("m8[s]")
    log = EventLog.from_columns(customer_id=ids[bought], type="purchase", time=when)
    end = EventLog.from_columns(customer_id=ids[:1], type="visit", time=[START + np.timedelta64(60, "D")])
    return CustomerBase(customers=base.customers, events=EventLog.concat([base.events, log, end]))


def test_what_a_test_taught_earns_more_than_writing_to_all():
    rng = np.random.default_rng(11)
    base = answered(rng, planned(people(rng, np.arange(12_000))))
    test = Experiment(**POLICY.experiment("basket"))
    bought = Proportion("bought", of=event("purchase").exists())
    report = test.read(base, campaign="basket", window=days(4), metrics=[bought])
    truth = lift(base)
    assert report.effect("bought").difference.low < truth.mean() < report.effect("bought").difference.high

    features = {"city": field("city"), "letters": field("letters")}
    u = learn_uplift(base, test, campaign="basket", window=days(4), outcome=bought, features=features)
    knows = features | {"written": event("message_sent").count(), "withheld": event("message_withheld").count()}
    same = learn_uplift(base, test, campaign="basket", window=days(4), outcome=bought, features=knows)
    assert same.score == u.score  # the message itself is no feature: it would say the arm
    assert "written, withheld" in same.notes[-1]
    (arm,) = u.arm.tolist()
    assert u.found[0]
    assert u.effect[0] == pytest.approx(report.effect("bought").difference.value, abs=1e-12)
    margin, cost = 20.0, 1.0
    judged = u.policy_value(margin=margin, cost=cost)
    assert judged.over_everybody.low > 0
    chosen = u.increments(margin=margin, cost=cost)[arm] > 0
    true_gain = np.mean(np.where(chosen, margin * truth - cost, 0.0)) - np.mean(margin * truth - cost)
    assert judged.over_everybody.low < true_gain < judged.over_everybody.high

    stored = UpliftScore.from_json(u.score.to_json())
    fresh = people(rng, np.arange(20_000, 26_000))
    values = stored.increments(fresh, as_of=START + np.timedelta64(1, "D"), margin=margin, cost=cost)
    budget = 1_500.0
    found = allocate(values, cost=cost, budget=budget)
    assert found.counts[arm] == 1_500
    assert (found.offer != "").sum() == 1_500
    best = np.sort(margin * lift(fresh) - cost)[::-1][:1_500].sum()
    order = [fresh.customer_id.tolist().index(k) for k in found.customer_id.tolist()]
    earned = (margin * lift(fresh) - cost)[order][found.offer != ""].sum()
    blind = 1_500 * np.mean(margin * lift(fresh) - cost)
    assert earned > 0.9 * best
    assert earned > 1.5 * blind
