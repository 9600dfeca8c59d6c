"""One customer and one event at a time: what they are, and that a wrong one is never made."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import attrs
import numpy as np
import pandas as pd
import pytest

from relmark import Customer, Event, Message, Purchase, Visit
from relmark.errors import InputError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def refused(text):
    return pytest.raises(InputError, match=re.escape(text))


def test_an_event_takes_time_in_every_form_with_a_zone():
    for time in (
        NOON,
        "2026-01-01T12:00Z",
        "2026-01-01T15:00+03:00",
        np.datetime64("2026-01-01T12:00"),
        pd.Timestamp(NOON),
        NOON.astimezone(ZoneInfo("Asia/Tokyo")),
    ):
        assert Event("c", "visit", time).time == NOON
    assert Event("c", "visit", np.datetime64("2026-01-01")).time == datetime(2026, 1, 1, tzinfo=UTC)


def test_numpy_and_decimal_become_plain_and_nan_is_none():
    event = Event(
        np.int64(7), "visit", NOON, np.float64(2.5), {"n": np.int32(3), "x": float("nan"), "d": Decimal("1.5")}
    )
    assert event == Event(7, "visit", NOON, 2.5, {"n": 3, "x": None, "d": 1.5})
    assert type(event.customer_id) is int
    assert Event("c", "visit", NOON, float("nan")).value is None
    assert Purchase("c", NOON, Decimal("9.90")).value == 9.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Event("", "a", NOON), "Event.customer_id is '': an int or a str is needed."),
        (lambda: Event(True, "a", NOON), "Event.customer_id is True: an int or a str is needed."),
        (lambda: Event(None, "a", NOON), "Event.customer_id is None"),
        (lambda: Event(1.5, "a", NOON), "Event.customer_id is 1.5"),
        (lambda: Event("c", "", NOON), "Event.type is '': a name is needed."),
        (
            lambda: Event("c", "a", datetime(2026, 1, 1)),
            "time is 2026-01-01 00:00:00, which has no time zone: give a time",
        ),
        (
            lambda: Event("c", "a", date(2026, 1, 1)),
            "time is 2026-01-01: an event needs an instant, not a day. Give a time with",
        ),
        (lambda: Event("c", "a", "2026-01-01"), "time is 2026-01-01: an event needs an instant, not a day."),
        (lambda: Event("c", "a", pd.NaT), "time is NaT: an instant is needed."),
        (lambda: Event("c", "a", 5), "time is 5: a datetime"),
        (lambda: Event("c", "a", NOON, "5"), "Event.value is '5': a finite number, or None, is needed."),
        (lambda: Event("c", "a", NOON, True), "Event.value is True"),
        (lambda: Event("c", "a", NOON, float("inf")), "Event.value is inf"),
        (lambda: Event("c", "a", NOON, [1]), "Event.value is [1]: a finite number, or None, is needed."),
        (lambda: Event("c", "a", NOON, None, "sku"), "properties is 'sku': a mapping of names to values is needed."),
        (lambda: Event("c", "a", NOON, None, {1: 2}), "properties has the name 1: a string is needed."),
        (lambda: Event("c", "a", NOON, None, {"x": [1]}), "property 'x' has the tag 1: tags are strings."),
        (lambda: Event("c", "a", NOON, None, {"x": float("inf")}), "property 'x' is inf: a finite number is needed."),
        (
            lambda: Event("c", "a", NOON, None, {"x": datetime(2026, 1, 1)}),
            "property 'x' is 2026-01-01 00:00:00, which has",
        ),
        (lambda: Purchase("c", NOON, None), "Purchase.value is None: a purchase needs a value, 0 if it was free."),
        (lambda: Purchase("c", NOON, float("nan")), "Purchase.value is None: a purchase needs a value"),
        (lambda: Purchase("c", NOON, 1, order=[1]), "Purchase.order is [1]: a str, an int or None is needed."),
        (lambda: Purchase("c", NOON, 1, quantity="2"), "Purchase.quantity is '2'"),
        (
            lambda: Purchase("c", NOON, 1, item="a", properties={"item": "b"}),
            "property 'item' is given twice: as an argument",
        ),
        (lambda: Message("c", NOON, "opend", "mail"), "action is 'opend': it must be one of 'sent'"),
        (lambda: Message("c", NOON, "opened", ""), "Message.channel is '': a name is needed."),
        (lambda: Message("c", NOON, "opened", "mail", campaign=True), "Message.campaign is True"),
        (lambda: Message("c", NOON, "sent", "m", properties={"channel": "x"}), "property 'channel' is given twice"),
        (lambda: Visit("c", NOON, channel=3), "Visit.channel is 3: a name is needed."),
        (lambda: Visit("c", NOON, duration=-1), "Visit.duration is -1: a duration cannot be negative."),
        (lambda: Visit("c", NOON, duration=timedelta(-1)), "a duration cannot be negative."),
        (lambda: Visit("c", NOON, duration="long"), "Visit.duration is 'long'"),
        (lambda: Visit("c", NOON, page="p", properties={"page": "q"}), "property 'page' is given twice"),
        (lambda: Customer(""), "Customer.id is '': an int or a str is needed."),
        (lambda: Customer("c", "city"), "attributes is 'city': a mapping of names to values is needed."),
        (lambda: Customer("c", {"": 1}), "attributes has the name '': a string is needed."),
    ],
)
def test_a_wrong_one_is_never_made(make, message):
    with refused(message):
        make()


@pytest.mark.parametrize(
    ("action", "name"),
    [
        ("sent", "message_sent"),
        ("delivered", "message_delivered"),
        ("opened", "message_opened"),
        ("clicked", "message_clicked"),
        ("bounced", "message_bounced"),
        ("unsubscribed", "unsubscribe"),
        ("complained", "complaint"),
    ],
)
def test_an_action_names_its_event(action, name):
    event = Message("c", NOON, action, "mail", "spring", 7).to_event()
    assert event == Event("c", name, NOON, None, {"channel": "mail", "campaign": "spring", "message_id": 7})


def test_typed_events_become_events_with_the_properties_that_they_have():
    assert Purchase("c", NOON, 5, properties={"shop": "x"}).to_event() == Event("c", "purchase", NOON, 5, {"shop": "x"})
    visit = Visit("c", NOON, "mail", "spring", "home", timedelta(minutes=3), {"device": "phone"})
    assert visit.to_event().properties == {
        "channel": "mail",
        "campaign": "spring",
        "page": "home",
        "duration": 180.0,
        "device": "phone",
    }
    assert Visit("c", NOON, duration=12.5).to_event().properties == {"duration": 12.5}
    event = Event("c", "call", NOON)
    assert event.to_event() is event


def test_a_field_left_out_may_stand_among_the_properties():
    assert Visit("c", NOON, properties={"page": "p"}).to_event().properties == {"page": "p"}


def test_they_are_frozen_hashable_and_pickle():
    made = [
        Customer("c", {"tags": {"a"}}),
        Event("c", "a", NOON, 1, {"x": 1}),
        Purchase("c", NOON, 1),
        Visit("c", NOON),
    ]
    for one in made:
        assert hash(one) == hash(pickle.loads(pickle.dumps(one)))
        assert pickle.loads(pickle.dumps(one)) == one
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            one.time = NOON
    given = {"city": "Omsk"}
    customer = Customer("c", given)
    given["city"] = "Kazan"
    assert customer.attributes["city"] == "Omsk"
