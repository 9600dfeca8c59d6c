"""The calls of metrics on which users rely."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, Message, Purchase, Visit, days, event, stage
from relmark.metrics import (
    Estimates,
    MessageCounts,
    base_health,
    cohort_retention,
    cohort_value,
    commerce_metrics,
    conversation_metrics,
    customer_effort_score,
    customer_loyalty_index,
    customer_satisfaction,
    describe,
    funnel,
    journey_map,
    marketing_report,
    message_metrics,
    net_promoter_score,
    pareto,
    paths,
    pipeline,
    points_ledger,
    recommendation_metrics,
    response_profile,
    response_rate,
    survey_answers,
    unit_economics,
    visit_metrics,
)

AS_OF = "2026-11-01"
DEALS = {
    "deal": ["a", "a", "b", "b", "c"], "stage": ["offer", "won", "offer", "lost", "offer"], "amount": [9.0, 9, 5, 5, 7],
    "time": ["2026-10-01", "2026-10-05", "2026-10-02", "2026-10-12", "2026-10-25"],
}  # fmt: skip


@pytest.fixture(scope="module")
def shop():
    events = [
        Visit("a", "2026-10-01T09:00Z", "mail"), Visit("b", "2026-10-02T09:00Z", "mail"),
        Message("a", "2026-10-03T09:00Z", "sent", "email", campaign="spring"),
        Message("b", "2026-10-03T09:00Z", "sent", "email", campaign="spring"),
        Message("a", "2026-10-03T10:00Z", "clicked", "email", campaign="spring"),
        Purchase("a", "2026-10-04T09:00Z", 20.0), Purchase("a", "2026-10-20T09:00Z", 30.0),
        Purchase("b", "2026-09-05T09:00Z", 5.0),
    ]  # fmt: skip
    return CustomerBase(events=EventLog.from_events(events))


def test_messages(shop):
    r = message_metrics(shop, as_of=AS_OF, within=days(30), by="campaign")
    assert isinstance(r.open_rate, Estimates)
    assert (r.open_rate[0].value, r.ctr_delivered[0].value, r.ctr_sent[0].value) == (0.5, 0.5, 0.5)
    assert (r.click_to_open_rate[0].value, r.unsubscribe_rate[0].value) == (1, 0)
    assert r["sent"].tolist() == [2]
    assert r["open_rate_low"][0] < 0.5 < r["open_rate_high"][0]
    whole = message_metrics(shop, as_of=AS_OF, conversion=event("purchase"), credit="last_click")
    assert (whole.orders.tolist(), whole.revenue.tolist()) == ([1], [20])
    assert whole.revenue_share.value == pytest.approx(20 / 55)
    counts = MessageCounts.of(shop, as_of=AS_OF)
    assert (counts + counts).sent.tolist() == [4]
    assert message_metrics(counts).open_rate.value == whole.open_rate.value == 0.5


def test_funnels_and_stages(shop):
    steps = [event("visit"), event("message_clicked"), event("purchase")]
    f = funnel(shop, steps, as_of=AS_OF, within=days(7))
    assert f.counts.tolist() == [2, 1, 1]
    assert f.rates[2].value == 0.5
    assert f.step_rates[2].value == 1
    assert (f.lost.tolist(), f.still_open.tolist()) == ([1, 0, 0], [0, 0, 0])
    assert f.time_to_convert.median == days(3)
    early = funnel(shop, steps, as_of="2026-10-05", within=days(7))
    assert early.still_open.tolist() == [1, 0, 0]
    told = shop.measure({"s": stage({"seen": steps[0], "bought": steps[2]})}, as_of=AS_OF)
    assert told["s"].tolist() == ["bought", "seen"]


def test_cohorts(shop):
    c = cohort_retention(shop, period="month", as_of=AS_OF, start=None, back=None)
    assert c.cohorts.astype(str).tolist() == ["2026-09", "2026-10"]
    assert c.sizes.tolist() == [1, 1]
    assert c.table.shape == (2, 2)
    assert math.isnan(c.table[1, 1])
    assert c.overall[1].value == 0
    assert c.estimate(0, 1).value == 0
    assert cohort_value(shop, as_of=AS_OF).per_customer[1, 0] == 50
    assert cohort_retention(shop.purchases(), as_of=AS_OF).sizes.tolist() == [1, 1]
    assert (
        cohort_retention(shop, as_of=AS_OF, start=event("visit"), back=event("purchase"), period=days(7)).kind == "on"
    )


def test_unit_economics():
    u = unit_economics({"radio": 500.0, "ads": 100.0}, orders={"ads": 4}, revenue={"ads": 300.0})
    assert u["key"].tolist() == ["radio", "ads"]
    assert u.cost_per_order[1] == 25
    assert u.roas.tolist() == [0, 3]
    assert u.roi[0] == -1


def test_surveys(shop):
    assert net_promoter_score([9, 10, 3]).value == pytest.approx(100 / 3)
    assert customer_satisfaction([5, 1]).value == 0.5
    assert customer_effort_score([7, 1]).value == 4
    assert customer_loyalty_index([6], [6], [1]).value == pytest.approx(200 / 3)
    assert response_rate(1, 4).value == 0.25
    found = survey_answers(shop, event("purchase"), as_of=AS_OF, score="value", within=days(40))
    assert len(found) == 2


def test_commerce_paths_and_the_base(shop):
    m = commerce_metrics(shop, as_of=AS_OF, period="month")
    assert (m.orders.tolist(), m.revenue.tolist()) == ([1, 2], [5, 50])
    assert m.repeat_rate.value == 0.5
    assert pareto(shop, as_of=AS_OF).customer_id.tolist() == ["a", "b"]
    assert paths(shop, as_of=AS_OF, start=event("visit"), steps=2).journeys.sum() == 2
    assert "(end)" in journey_map(shop, as_of=AS_OF)["target"]
    assert base_health(shop, as_of=AS_OF).customers.tolist() == [2]


def test_metrics_say_what_they_mean():
    one = describe("open_rate")
    assert one.denominator == "messages delivered"
    assert one.source
    assert "open_rate" in str(one)
    assert one.to_dict()["unit"] == "share"


def test_results_have_the_shape_of_all_results(shop):
    results = [
        message_metrics(shop, as_of=AS_OF, by="campaign"), message_metrics(shop, as_of=AS_OF),
        funnel(shop, [event("visit"), event("purchase")], as_of=AS_OF), cohort_retention(shop, as_of=AS_OF),
        cohort_value(shop, as_of=AS_OF), commerce_metrics(shop, as_of=AS_OF), pareto(shop, as_of=AS_OF),
        unit_economics({"a": 1.0}), net_promoter_score([9, 1], by=["a", "b"]), base_health(shop, as_of=AS_OF),
        paths(shop, as_of=AS_OF), journey_map(shop, as_of=AS_OF), MessageCounts(sent=[3, 4], by={"c": ["x", "y"]}),
        pipeline(DEALS, stages=["offer"], as_of=AS_OF),
        pipeline(DEALS, stages=["offer"], as_of=AS_OF).forecast(days(2)),
        points_ledger(shop, as_of=AS_OF, earn=event("purchase")), response_profile(shop, as_of=AS_OF),
        response_profile(shop, as_of=AS_OF).arms, recommendation_metrics(shop, as_of=AS_OF),
        conversation_metrics(shop, as_of=AS_OF), visit_metrics(shop.__class__(), as_of=AS_OF),
        marketing_report(shop, as_of=AS_OF),
    ]  # fmt: skip
    for result in results:
        assert json.loads(result.to_json())
        columns = result.to_columns()
        assert {len(column) for column in columns.values()} == {len(result)}
        assert str(result)
        assert result._repr_html_().startswith("<table>")
        assert len(result.head(1)) == 1
        again = pickle.loads(pickle.dumps(result))
        assert again.to_json() == result.to_json()
        for name in result._field_names():
            value = getattr(result, name)
            held = value.values() if isinstance(value, dict) else [value]
            assert not any(one.flags.writeable for one in held if isinstance(one, np.ndarray)), name
        if hasattr(result, "_definitions"):
            name = next(iter(result._definitions()), None)
            assert name is None or result.describe(name).numerator


def test_deals_points_and_responses(shop):
    told = pipeline(DEALS, stages=["offer"], won="won", lost="lost", as_of=AS_OF, amount="amount")
    assert (told["stage"].tolist(), told["deals"].tolist()) == (["offer"], [3])
    assert told.closed_share[0].value == 0.5
    assert isinstance(told.win_probability, Estimates)
    assert told.median_days.tolist() == [10]
    assert told.forecast(days(2)).horizon_days == 2
    log = EventLog.from_columns(
        customer_id=[1, 1, 1], type=["earn", "earn", "spend"], value=[10.0, 5.0, 12.0],
        time=["2026-01-05", "2026-02-05", "2026-03-05"],
    )  # fmt: skip
    points = points_ledger(
        CustomerBase(events=log), as_of=AS_OF, earn=event("earn"), spend=event("spend"), expires=days(365)
    )
    assert list(points.to_columns())[:2] == ["customer_id", "balance"]
    assert (points.balance.tolist(), points.expiring.tolist(), points.expired.tolist()) == ([3], [0], [0])
    assert points.tier.tolist() == [None]
    who = response_profile(shop, as_of=AS_OF, by="channel", reward=event("message_clicked"), within=days(2))
    assert who["customer_id"].tolist() == ["a", "b"]
    assert who["best_channel"].tolist() == ["email", "email"]
    assert {"rate", "evidence", "probability_best"} <= who.to_columns().keys()
    assert marketing_report(shop, as_of=AS_OF).this[0] == 2
