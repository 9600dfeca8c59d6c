"""Doors of metrics that are seldom gone through: other events as orders, dates of joining, starts with properties."""

from __future__ import annotations

import math
import pickle
from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, Event, EventLog, Message, days, event, field, period
from relmark.errors import InputError, MissingColumnError
from relmark.metrics import (
    base_health,
    cohort_retention,
    cohort_value,
    commerce_metrics,
    contact_pressure,
    funnel,
    journey_map,
    message_metrics,
    net_promoter_score,
    paths,
    survey_answers,
)


def test_orders_of_another_type_are_told_apart_by_their_number():
    events = [Message("a", "2026-03-01T09:00Z", "sent", "email", campaign="x")]
    events += [
        Event("a", "deal", f"2026-03-02T0{hour}:00Z", None, {"order": order, "margin": margin, "note": "n"})
        for hour, order, margin in ((1, "1", 5.0), (2, "1", 6.0), (3, "2", None), (4, None, 1.0), (5, None, 1.0))
    ]
    base = CustomerBase(events=EventLog.from_events(events))
    how = {"as_of": "2026-04-01", "conversion": event("deal"), "credit": "any"}
    m = message_metrics(base, value="margin", **how)
    assert (m.orders.tolist(), m.revenue.tolist()) == ([4], [13])
    assert message_metrics(base, **how).revenue is None  # these events have no value
    with pytest.raises(MissingColumnError, match="value is 'margn'"):
        message_metrics(base, value="margn", **how)
    with pytest.raises(InputError, match="value is 'note', a property of kind 'text'"):
        message_metrics(base, value="note", **how)


def test_who_joined_when_may_be_a_field():
    table = CustomerTable.from_columns(
        customer_id=["a", "b", "c"], joined=np.array(["2026-01-01", "2026-03-20", "NaT"], "M8[D]"), age=[1, 2, 3]
    )
    base = CustomerBase(customers=table, tz="Europe/Berlin")
    h = base_health(base, as_of="2026-04-01", joined=field("joined"))
    assert (h.customers.tolist(), h.joined.tolist(), h.removable["any"].tolist()) == ([3], [1], [1])
    assert base_health(base, as_of="2026-03-20", joined=field("joined")).customers.tolist() == [2]
    months = base_health(base, as_of="2026-04-01", joined=field("joined"), period="month")
    assert months.customers.tolist() == [2, 2, 3]
    assert months["month"].astype(str).tolist() == ["2026-01", "2026-02", "2026-03"]
    instants = CustomerBase(customers=CustomerTable.from_columns(
        customer_id=["a"], joined=np.array(["2026-01-01T10:30"], "M8[us]")))  # fmt: skip
    assert base_health(instants, as_of="2026-01-01", joined=field("joined")).customers.tolist() == [0]
    with pytest.raises(InputError, match="of kind 'number'"):
        base_health(base, as_of="2026-04-01", joined=field("age"))
    with pytest.raises(InputError, match="choose a longer period"):
        base_health(base, as_of="2028-04-01", joined=field("joined"), period="day")
    with pytest.raises(InputError, match="one instant per customer"):
        base_health(base, as_of=["2026-04-01"] * 3)


def starts():
    log = EventLog.from_columns(
        customer_id=["a", "a", "b", "c"], type=["signup", "signup", "signup", "order"],
        time=["2026-01-05", "2026-01-06", "2026-01-07", "2026-01-08"],
        properties={"source": ["ads", "mail", "mail", None]},
    )  # fmt: skip
    return CustomerBase(events=log)


def test_cohorts_by_a_property_of_the_first_start():
    c = cohort_retention(starts(), as_of="2026-03-01", start=event("signup"), back=event("order"), by="source")
    assert c.by["source"].tolist() == ["ads", "mail"]
    assert c.sizes.tolist() == [1, 1]
    assert c.to_columns()["source"].tolist() == ["ads", "mail"]
    low, high = c.intervals()
    assert (low[0, 0], high[0, 0] > 0.5) == (0, True)
    assert math.isnan(c.estimate(0, 0).value) is False
    with pytest.raises(InputError, match=r"there is no cell \(9, 0\)"):
        c.estimate(9, 0)
    with pytest.raises(InputError, match="segments that may overlap"):
        cohort_retention(starts(), as_of="2026-03-01", start=event("signup"), by={"x": event("order").exists()})
    with pytest.raises(InputError, match="choose a longer period"):
        cohort_retention(starts(), as_of="9000-03-01", start=event("signup"), period="day")
    with pytest.raises(InputError, match="windows of"):
        cohort_retention(starts(), as_of="2026-03-01", start=event("signup"), period=timedelta(seconds=1))


def test_money_is_followed_from_a_start_of_another_kind():
    orders = {"u": ["a", "a", "b"], "t": ["2026-01-01", "2026-02-10", "2026-02-11"], "v": [1.0, 10.0, 20.0]}
    bought = EventLog.purchases(orders, customer_id="u", time="t", value="v")
    joined = EventLog.from_columns(customer_id=["a", "c"], type="signup", time=["2026-01-15", "2026-01-16"])
    base = CustomerBase(events=EventLog.concat([bought, joined]))
    v = cohort_value(base, as_of="2026-03-01", start=event("signup"))
    assert v.sizes.tolist() == [2]
    assert v.revenue.tolist() == [[0, 10]]  # what a bought before is not of the cohort
    assert v.overall.tolist() == [0, 5]
    assert "5.00" in str(v)
    empty = cohort_value(CustomerBase(), as_of="2026-03-01")
    assert len(empty) == 0
    assert len(cohort_retention(CustomerBase(), as_of="2026-03-01")) == 0


def test_empty_bases_give_empty_tables():
    nothing = CustomerBase()
    steps = [event("a"), event("b")]
    assert funnel(nothing, steps, as_of="2026-01-01").counts.tolist() == [0, 0]
    assert len(funnel(nothing, steps, as_of="2026-01-01", by="month")) == 0
    assert funnel(nothing, steps, as_of="2026-01-01", same="session").converted == 0
    told = funnel(nothing, steps, as_of="2026-01-01").time_to_convert
    assert (told.mean, told.median, told.quantile(0.9), len(told)) == (None, None, None, 0)
    assert len(paths(nothing, as_of="2026-01-01")) == len(journey_map(nothing, as_of="2026-01-01")) == 0
    assert len(contact_pressure(nothing, as_of="2026-01-01")) == 0
    assert math.isnan(net_promoter_score(survey_answers(nothing, event("nps"), as_of="2026-01-01")).value)
    assert commerce_metrics(nothing, as_of="2026-01-01", period="month").orders.tolist() == []


def test_periods_are_plain_and_tags_are_no_groups():
    table = CustomerTable.from_columns(customer_id=["a"], tags=[{"x"}])
    log = EventLog.from_columns(customer_id=["a"], type="message_sent", time=["2026-01-05"])
    base = CustomerBase(customers=table, events=log)
    with pytest.raises(InputError, match="it must be a period without count or offset"):
        message_metrics(base, as_of="2026-02-01", by=period("month", -1))
    with pytest.raises(InputError, match="holds sets of tags"):
        message_metrics(base, as_of="2026-02-01", by="tags")
    with pytest.raises(InputError, match=r"by has 5"):
        message_metrics(base, as_of="2026-02-01", by=["month", 5])
    with pytest.raises(InputError, match="by= has 'segment' twice"):
        message_metrics(base, as_of="2026-02-01", by=[{"x": field("tags").contains("x")}] * 2)
    with pytest.raises(InputError, match="by is "):
        message_metrics(base, as_of="2026-02-01", by={})
    with pytest.raises(InputError, match=r"by\['x'\] is 3"):
        message_metrics(base, as_of="2026-02-01", by={"x": 3})
    flagged = message_metrics(base, as_of="2026-02-01", by=field("tags").contains("x"))
    assert flagged.sent.tolist() == [1]


def test_estimates_and_tables_say_who_they_are():
    base = starts()
    f = funnel(base, {"in": event("signup"), "out": event("order")}, as_of="2026-03-01", within=days(3))
    assert repr(f.rates).startswith("Estimates(2 rows: 1, 0")
    assert np.asarray(f.rates, dtype=float).tolist() == [1, 0]
    assert [one.value for one in f.rates] == [1, 0]
    assert len(pickle.loads(pickle.dumps(f.rates))) == 2
    assert f.describe("rates").window.startswith("steps up to 2026-03-01, within 3 days")
    with pytest.raises(InputError, match="name is 'rate'"):
        f.describe("rate")
