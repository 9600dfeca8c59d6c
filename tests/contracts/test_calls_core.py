"""The calls of the core on which users rely, and what they answer for the small shop."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from relmark import (
    Customer,
    CustomerBase,
    CustomerTable,
    Estimate,
    Event,
    EventLog,
    Interval,
    Message,
    Orders,
    Purchase,
    PurchaseDays,
    Purchases,
    Rows,
    Schema,
    Visit,
    days,
    event,
    field,
    minutes,
    resolve_identities,
)
from relmark.errors import (
    ConvergenceError,
    DefinitionError,
    InputError,
    LimitError,
    MissingColumnError,
    NotEnoughDataError,
    RelmarkError,
)

AS_OF = "2026-11-01"


def test_a_log_of_columns_events_frames_and_orders(orders):
    one = EventLog.from_columns(
        customer_id=["b", "a"], type="purchase", time=np.array(["2026-01-02", "2026-01-01"], "M8[us]"),
        value=[2.0, 1.0], properties={"sku": ["x", "y"]},
    )  # fmt: skip
    assert (len(one), one.n_customers, one.types) == (2, 2, ("purchase",))
    assert list(one.to_columns()) == ["customer_id", "type", "time", "value", "sku"]
    assert one.to_columns()["customer_id"].tolist() == ["a", "b"]
    assert one.to_columns()["time"].dtype == np.dtype("M8[us]")
    few = EventLog.from_events(
        [
            Event(
                customer_id="c1", type="visit", time=datetime(2026, 1, 2, tzinfo=UTC), properties={"channel": "mail"}
            ),
            Purchase("c1", "2026-01-01T10:00Z", 5.0, order="o", item="i", quantity=2.0),
            Message("c2", "2026-01-03T10:00Z", action="sent", channel="email", campaign="spring", message_id="m"),
            Visit("c2", "2026-01-04T10:00Z", channel="ads", page="/", duration=3.0),
        ]
    )
    assert few.types == ("message_sent", "purchase", "visit")
    with pytest.raises(InputError, match="time zone"):
        Event(customer_id="c1", type="visit", time=datetime(2026, 1, 2))
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({**orders, "event": "purchase"})
    framed = EventLog.from_frame(frame, customer_id="user", type="event", time="ts", value="amount", properties=["sku"])
    bought = EventLog.purchases(frame, customer_id="user", time="ts", value="amount", order="invoice", item="sku")
    assert len(framed) == len(bought) == 10
    assert bought.to_columns()["order"].tolist()[0] == "C1"


def test_parts_of_a_log(log):
    assert len(log) == 15
    assert log.n_customers == 5
    assert log.customer_id.tolist() == ["c1", "c2", "c3", "c4", "c5"]
    assert (len(log.of_type("purchase")), len(log.of_type("visit"))) == (10, 5)
    assert len(log.until("2026-10-01T12:00Z")) == 7
    assert len(log.take(np.arange(15) < 4)) == 4
    assert log.without(["c1"]).n_customers == 4
    assert len(log.append(log)) == len(EventLog.concat([log, log])) == 30
    views = EventLog.from_columns(
        customer_id=["a"] * 3, type="page_view",
        time=np.array(["2026-01-01T10:00", "2026-01-01T10:10", "2026-01-01T11:00"], "M8[us]"),
    )  # fmt: skip
    visits = views.sessions(gap=minutes(30))
    assert visits.to_columns()["pages"].tolist() == [2, 1]
    assert visits.to_columns()["duration"].tolist() == [600.0, 0.0]


def test_a_base_of_orders_and_what_was_bought(orders, table, items):
    base = CustomerBase.from_orders(
        orders, customer_id="user", time="ts", value="amount", order="invoice", item="sku", quantity="qty",
        tz="Europe/Berlin", customers=table, items=items,
    )  # fmt: skip
    assert base.tz == "Europe/Berlin"
    assert base.customer_id.tolist() == ["c1", "c2", "c3", "c4", "c5"]
    bought = base.purchases(order="order", refunds="net", free="keep")
    assert isinstance(bought, Purchases)
    placed, in_days = bought.orders(), bought.days()
    assert isinstance(placed, Orders)
    assert isinstance(in_days, PurchaseDays)
    assert placed.order.tolist() == ["A1", "A2", "A3", "B1", "B2", "C1", "D1"]
    assert placed.value.tolist() == [18.0, 5.0, 6.0, 8.0, 25.0, 20.0, 10.0]
    assert in_days.day.astype(str).tolist()[:2] == ["2026-08-01", "2026-09-15"]
    assert bought.counts["refunds"] == 1
    assert bought.counts["money_refunded"] == 5.0
    seen = bought.until("2026-10-20")  # the day itself is left out
    assert seen.orders().order.tolist() == ["A1", "A2", "B1", "C1", "D1"]
    assert len(base.events.until(date(2026, 10, 20))) == 7


def test_columns_are_measured_and_joined(base):
    asked = {"spend": event("purchase").sum(within=days(40)), "omsk": field("city") == "Omsk"}
    measured = base.measure(asked, as_of=AS_OF)
    assert isinstance(measured, Rows)
    assert measured["customer_id"].tolist() == ["c1", "c2", "c3", "c4", "c5"]
    assert measured["spend"].tolist() == [6.0, 25.0, 0.0, 10.0, 0.0]
    assert measured["omsk"].tolist() == [True, None, False, True, False]  # whose city is missing is not judged
    each = np.array(["2026-11-01"] * 4 + ["2026-08-02"], "M8[D]")
    assert base.measure(asked, as_of=each)["spend"].tolist() == [6.0, 25.0, 0.0, 10.0, 0.0]
    joined = base.with_column("p_alive", [0.1, 0.2, 0.3, 0.4, 0.5]).with_columns(measured, names=["spend"])
    assert joined.measure({"x": field("p_alive") + field("spend")}, as_of=AS_OF)["x"][1] == 25.2
    lacking = base.with_columns(measured[:2], names=["spend"])
    assert np.isnan(lacking.to_columns()["spend"][2:]).all()


def test_records_of_one_person_are_joined():
    records = {"email": ["a@x.org", "A@x.org ", "b@x.org"], "phone": [None, "+44 20 7946 0018", "+442079460018"]}
    people = resolve_identities(records, keys=["email", "phone"])
    assert people.customer_id.tolist() == [0, 0, 0]
    assert people.groups == ((0, 1, 2),)
    assert people.refused == ()
    assert people.explain(0)


def test_a_schema_says_what_there_is(base):
    schema = base.schema()
    assert schema.fields["city"] == "text"
    assert schema.fields["age"] == "number"
    assert Schema.from_json(schema.to_json()) == schema
    own = Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}})
    assert own.fields == {"age": "number", "city": "text"}


def test_a_date_is_its_midnight_in_the_zone_of_the_base(base):
    """All of the day before counts, nothing of the day itself; Berlin's midnight of the 1st is 23:00 UTC."""
    at = {"n": event("visit").count(within=days(1))}
    assert base.measure(at, as_of=date(2026, 10, 31))["n"].tolist() == [0, 2, 0, 0, 0]
    assert base.measure(at, as_of="2026-10-31")["n"].tolist() == [0, 2, 0, 0, 0]
    instant = datetime(2026, 10, 30, 20, 0, tzinfo=UTC)
    assert base.measure(at, as_of=instant)["n"].tolist() == [0, 2, 0, 0, 0]
    assert base.measure(at, as_of="2026-10-30T19:59Z")["n"].tolist() == [0, 1, 0, 0, 0]


def test_a_figure_with_uncertainty_and_one_person():
    figure = Estimate(value=0.2, interval=Interval(low=0.1, high=0.3, level=0.95, method="Wilson"))
    assert (figure.interval.low, figure.interval.high, figure.interval.level) == (0.1, 0.3, 0.95)
    assert Customer("c1", {"age": 3}).attributes["age"] == 3


def test_errors_are_of_the_kinds_that_users_catch():
    for kind, also in [
        (InputError, ValueError), (MissingColumnError, KeyError), (NotEnoughDataError, InputError),
        (DefinitionError, InputError), (LimitError, DefinitionError), (ConvergenceError, RuntimeError),
    ]:  # fmt: skip
        assert issubclass(kind, RelmarkError)
        assert issubclass(kind, also)
    with pytest.raises(MissingColumnError, match=r"^[^\"]*userr"):
        CustomerTable.from_frame({"user": ["a"]}, customer_id="userr")
