"""The calls of campaigns on which users rely."""

from __future__ import annotations

import numpy as np

from relmark import Customer, CustomerHistory, days, event, field, hours
from relmark.campaigns import Campaign, Cap, Chain, Constraint, ContactPolicy, QuietHours, Step, allocate, presets
from relmark.experiments import Experiment

AS_OF = "2026-11-01T12:00Z"
POLICY = ContactPolicy(
    "shop",
    campaigns=[
        Campaign("basket", who=field("age") >= 18, channels=["push", "email"], again=days(7), control=0.1),
        Chain("welcome", starts=event("purchase"), steps=[Step("hello"), Step("code", after=days(3))],
              until=event("refund"), channels=["email"], late=days(1)),
    ],
    channels={"email": None, "push": field("city") == "Omsk"},
    caps=[Cap(1, per="day"), Cap(3, within=days(7)), Cap(1, within=days(30), channel="push")],
    quiet=QuietHours("21:00", "09:00"),
)  # fmt: skip


def test_a_policy_plans_for_a_base_and_for_one(base):
    due = POLICY.evaluate(base, as_of=AS_OF)
    assert len(due.customer_id) == len(due.campaign) == len(due.channel) == len(due.arm) == len(due)
    assert set(due.held.to_columns()) >= {"customer_id", "campaign", "by", "until"}
    log = base.events.append(due.to_events())
    assert {"message_sent"} <= set(log.types)
    one = POLICY.one(Customer("c1", {"age": 30, "city": "Omsk"}), [], as_of=AS_OF)
    assert [(m.campaign, m.channel) for m in one.messages] == [("basket", "push")]
    assert one.next_change is not None
    history = CustomerHistory(Customer("c1", {"age": 30, "city": "Omsk"}), one.to_events())
    again = POLICY.one(history, as_of=AS_OF)
    assert again.messages == ()
    assert [m.by for m in again.held] == ["again"]
    assert POLICY.explain(base, "c1", as_of=AS_OF).customer_id == "c1"
    run = POLICY.replay(base, start="2026-10-30", end="2026-11-01", every=hours(6))
    assert set(run.messages.keys()) >= {"time", "customer_id", "campaign", "channel", "arm"}


def test_a_policy_is_stored_and_checked(base):
    assert ContactPolicy.from_json(POLICY.to_json()).fingerprint == POLICY.fingerprint
    assert ContactPolicy.check(POLICY.to_dict(), base.schema()).problems != ()  # nobody has a refund
    assert ContactPolicy.check(POLICY.to_dict()).problems == ()
    assert ContactPolicy.json_schema()["type"] == "object"
    assert POLICY.needs().fields == ("age", "city")
    test = Experiment(**POLICY.experiment("basket"))
    assert test.arm_of("c1") in {"control", "sent"}
    assert presets.starter_policy().name == "starter"


def test_offers_are_allocated():
    values = np.array([[5.0, 4.0], [4.0, 1.0], [3.0, 3.5]])
    a = allocate(values, customer_id=["a", "b", "c"], offers=["x", "y"], capacity={"x": 1}, minimum={"y": 1},
                 cost={"x": 1.0, "y": [1.0, 2.0, 1.0]}, budget=3.0, at_most=1,
                 constraints=[Constraint("calls", {"x": 1.0}, at_most=2.0)])  # fmt: skip
    assert a.offer.tolist() == ["y", "x", "y"]
    assert (a.value, a.counts) == (11.5, {"x": 1, "y": 2})
    assert a.bound >= a.value
    assert a.gap >= 0
    assert set(a.price) == {"x", "y"}
    columns = allocate({"x": [5.0, 4.0], "y": [4.0, 1.0]}, capacity={"x": 1, "y": 1})
    assert columns.offer.tolist() == ["y", "x"]
