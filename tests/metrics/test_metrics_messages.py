"""Messages: which response belongs to which message, what is left out, and what is put down to them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relmark import CustomerBase, CustomerTable, EventLog, Message, Purchase, days, event, field, hours, period, prop
from relmark.errors import InputError, MissingColumnError
from relmark.metrics import MessageCounts, contact_pressure, message_metrics
from relmark.segmentation import Segment


def letter(who, at, action="sent", *, channel="email", campaign="spring", message_id=None, **more):
    return Message(who, at, action, channel, campaign=campaign, message_id=message_id, properties=more)


def base_of(*events, customers=None, tz="UTC"):
    return CustomerBase(customers=customers, events=EventLog.from_events(list(events)), tz=tz)


SENT = [letter(f"c{k}", "2026-03-02T09:00Z") for k in range(4)]


def test_a_hand_made_table():
    base = base_of(
        *SENT,
        letter("c0", "2026-03-02T10:00Z", "opened"), letter("c0", "2026-03-02T11:00Z", "opened"),
        letter("c0", "2026-03-02T11:01Z", "clicked"), letter("c1", "2026-03-02T12:00Z", "opened"),
        letter("c2", "2026-03-02T09:01Z", "bounced", bounce_type="hard"),
        letter("c1", "2026-03-02T12:05Z", "unsubscribed"), letter("c3", "2026-03-03T09:00Z", "complained"),
    )  # fmt: skip
    m = message_metrics(base, as_of="2026-04-01", within=days(31), by="campaign")
    row = {name: m[name].tolist() for name in ("campaign", "sent", "delivered", "bounced", "opened", "clicked")}
    assert row == {"campaign": ["spring"], "sent": [4], "delivered": [3], "bounced": [1], "opened": [2], "clicked": [1]}
    figures = {
        "delivery_rate": 3 / 4, "bounce_rate": 1 / 4, "hard_bounce_rate": 1 / 4, "soft_bounce_rate": 0.0,
        "open_rate": 2 / 3, "open_rate_sent": 2 / 4, "ctr_delivered": 1 / 3, "ctr_sent": 1 / 4,
        "click_to_open_rate": 1 / 2, "unsubscribe_rate": 1 / 3, "complaint_rate": 1 / 3, "complaint_rate_sent": 1 / 4,
        "opens_per_open": 3 / 2, "clicks_per_click": 1.0, "opens_per_sent": 3 / 4,
    }  # fmt: skip
    for name, value in figures.items():
        assert getattr(m, name)[0].value == pytest.approx(value), name
    assert m.open_rate[0].interval.method == "Wilson"
    assert math.isnan(m.read_rate[0].value)
    assert "ALARM: complaints" in str(m)
    assert "fewer than 30 delivered" in str(m)
    assert m.describe("open_rate").denominator == "messages delivered"
    assert "31 days" in m.describe("open_rate").window


def test_a_bounce_that_is_opened_all_the_same_was_delivered():
    base = base_of(*SENT, letter("c0", "2026-03-02T09:01Z", "bounced"), letter("c0", "2026-03-02T10:00Z", "opened"))
    m = message_metrics(base, as_of="2026-04-01")
    assert (m.delivered.tolist(), m.open_rate.value) == ([4], 0.25)
    assert "1 message bounced and was also delivered, opened or clicked" in str(m)


def test_a_response_with_an_id_answers_that_message_and_one_without_the_latest_of_its_campaign():
    base = base_of(
        letter("c", "2026-03-01T09:00Z", message_id="m1"), letter("c", "2026-03-08T09:00Z", message_id="m2"),
        letter("c", "2026-03-09T09:00Z", "opened", message_id="m1"),
        letter("c", "2026-03-05T09:00Z", "clicked"), letter("c", "2026-03-09T10:00Z", "unsubscribed"),
        letter("c", "2026-03-09T10:00Z", "opened", message_id="m9"),
    )  # fmt: skip
    m = message_metrics(base, as_of="2026-04-01", by="message_id")
    told = {name: dict(zip(m["message_id"].tolist(), m[name].tolist(), strict=True))
            for name in ("sent", "opened", "clicked", "unsubscribed")}  # fmt: skip
    assert told["sent"] == {"m1": 1, "m2": 1}
    assert told["clicked"] == {"m1": 1, "m2": 0}
    assert told["unsubscribed"] == {"m1": 0, "m2": 1}
    assert told["opened"] == {"m1": 1, "m2": 0}
    assert "1 response does not belong to any message" in str(m)


def test_a_campaign_in_two_channels_is_two_messages():
    base = base_of(
        letter("c", "2026-03-01T09:00Z"), letter("c", "2026-03-01T10:00Z", channel="push"),
        letter("c", "2026-03-01T11:00Z", "clicked", channel="push"),
    )  # fmt: skip
    m = message_metrics(base, as_of="2026-04-01", by="channel")
    assert m["channel"].tolist() == ["email", "push"]
    assert (m.sent.tolist(), m.clicked.tolist()) == ([1, 1], [0, 1])
    assert message_metrics(base, as_of="2026-04-01", by="campaign").sent.tolist() == [2]


def test_messages_before_the_window_and_answers_to_them_are_out():
    base = base_of(letter("a", "2026-02-01T09:00Z", campaign="old"), letter("b", "2026-03-20T09:00Z"),
                   letter("a", "2026-03-21T09:00Z", "opened", campaign="old"))  # fmt: skip
    m = message_metrics(base, as_of="2026-04-01", within=days(31))
    assert (m.sent.tolist(), m.opened.tolist()) == ([1], [0])
    assert message_metrics(base, as_of="2026-03-20").sent.tolist() == [1]  # a date sees nothing of its day


def test_machines_are_excluded_by_a_predicate():
    base = base_of(*SENT, letter("c0", "2026-03-02T09:00:01Z", "opened", agent="proxy"),
                   letter("c1", "2026-03-02T10:00Z", "opened", agent="phone"),
                   letter("c2", "2026-03-02T10:00Z", "opened"))  # fmt: skip
    m = message_metrics(base, as_of="2026-04-01", exclude=prop("agent") == "proxy")
    assert m.opened.tolist() == [2]  # of one it is unknown: it stays
    assert "1 'message_opened' event is excluded" in str(m)
    with pytest.raises(InputError):
        message_metrics(base, as_of="2026-04-01", exclude=field("agent") == "proxy")


def test_only_who_can_be_seen_is_in_rates_of_opens():
    table = CustomerTable.from_columns(customer_id=["c0", "c1", "c2", "c3"], pixels=[True, True, False, None])
    events = [*SENT, letter("c0", "2026-03-02T10:00Z", "opened"), letter("c2", "2026-03-02T10:00Z", "clicked")]
    m = message_metrics(base_of(*events, customers=table), as_of="2026-04-01", tracked=field("pixels"))
    assert (m.open_rate.value, m.ctr_delivered.value, m.delivery_rate.value) == (0.5, 0, 1)
    nobody = message_metrics(base_of(*events, customers=table), as_of="2026-04-01", tracked=field("pixels").is_null())
    assert (nobody.open_rate.value, nobody.opened.tolist()) == (0, [0])
    seen = [letter(f"c{k}", "2026-03-02T09:00Z", pixel=k < 1) for k in range(4)]
    by_message = message_metrics(base_of(*seen), as_of="2026-04-01", tracked=prop("pixel"))
    assert by_message.open_rate.interval is not None


def test_groups_are_properties_fields_rules_segments_and_periods():
    table = CustomerTable.from_columns(customer_id=["c0", "c1", "c2", "c3"], age=[20, 30, 40, None])
    events = [*SENT, letter("c0", "2026-04-02T09:00Z", campaign="may", trigger="basket")]
    base = base_of(*events, customers=table)
    how = {"as_of": "2026-05-01"}
    assert message_metrics(base, by="trigger", **how)["trigger"].tolist() == ["basket", None]
    assert message_metrics(base, by="month", **how)["month"].astype(str).tolist() == ["2026-03-01", "2026-04-01"]
    assert message_metrics(base, by=period("month"), **how).sent.tolist() == [4, 1]
    ages = message_metrics(base, by="age", **how)
    assert ages.sent.tolist() == [2, 1, 1, 1]
    assert math.isnan(ages["age"][-1])
    young = Segment("young", field("age") < 35)
    assert message_metrics(base, by=young, **how).sent.tolist() == [2, 3]
    both = message_metrics(base, by={"young": young, "known": field("age").not_null(), "old": field("age") > 99}, **how)
    assert (both["segment"].tolist(), both.sent.tolist()) == (["young", "known", "old"], [3, 4, 0])
    assert "sent is 0" in str(both)
    two = message_metrics(base, by=["campaign", "month"], **how)
    assert list(zip(two["campaign"].tolist(), two.sent.tolist(), strict=True)) == [("may", 1), ("spring", 4)]
    with pytest.raises(MissingColumnError, match=r"by='campain' is neither .* Did you mean"):
        message_metrics(base, by="campain", **how)


def test_orders_are_credited_to_the_message_clicked_last():
    base = base_of(
        letter("a", "2026-03-01T09:00Z"), letter("a", "2026-03-02T09:00Z", campaign="may"),
        letter("b", "2026-03-01T09:00Z"),
        letter("a", "2026-03-03T09:00Z", "clicked", campaign="may"), letter("a", "2026-03-03T08:00Z", "clicked"),
        Purchase("a", "2026-03-04T09:00Z", 30.0, order="1"), Purchase("a", "2026-03-04T09:00Z", 20.0, order="1"),
        Purchase("a", "2026-03-20T09:00Z", 7.0, order="2"), Purchase("b", "2026-03-02T09:00Z", 50.0, order="3"),
        Purchase("a", "2026-03-05T09:00Z", -10.0, order="1"),
    )  # fmt: skip
    how = {"as_of": "2026-04-01", "by": "campaign", "conversion": event("purchase")}
    last = message_metrics(base, **how)
    assert (last["campaign"].tolist(), last.orders.tolist(), last.revenue.tolist()) == (["may", "spring"], [1, 0],
                                                                                      [40, 0])  # fmt: skip
    assert last.revenue_share[0].value == pytest.approx(40 / 97)
    assert last.conversion_rate[1].value == 0
    some = message_metrics(base, credit="any", **how)
    assert (some.orders.tolist(), some.revenue.tolist()) == ([1, 2], [40, 90])
    assert message_metrics(base, credit="any", credit_within=hours(1), **how).orders.tolist() == [0, 0]
    whole = message_metrics(base, credit="any", as_of="2026-04-01", conversion=event("purchase"))
    assert (whole.orders.tolist(), whole.revenue.tolist()) == ([2], [90])
    assert "credit is not the effect" in str(whole)
    assert "rows can add up to more than the total" in str(some)
    leads = message_metrics(base, as_of="2026-04-01", conversion=event("message_clicked"))
    assert (leads.orders.tolist(), leads.revenue) == ([2], None)


def test_rates_of_nobody_are_undefined_with_a_reason():
    m = message_metrics(CustomerBase(), as_of="2026-04-01")
    assert m.sent.tolist() == [0]
    assert math.isnan(m.open_rate.value)
    assert m.open_rate.reason == "delivered is 0"
    assert "there is no 'message_sent' event in everything up to 2026-04-01" in str(m)
    assert len(message_metrics(CustomerBase(), as_of="2026-04-01", by="campaign")) == 0


def test_other_names_of_events_are_taken():
    log = EventLog.from_columns(customer_id=[1, 1], type=["mail", "look"], time=["2026-03-01", "2026-03-02"])
    m = message_metrics(CustomerBase(events=log), as_of="2026-04-01", events={"sent": "mail", "opened": "look"})
    assert m.open_rate.value == 1
    with pytest.raises(InputError, match="Did you mean 'opened'"):
        message_metrics(CustomerBase(events=log), as_of="2026-04-01", events={"openend": "look"})


def test_counts_of_a_service_are_checked():
    with pytest.raises(InputError, match="with bounced it must add up to sent"):
        MessageCounts(sent=10, delivered=9, bounced=2)
    with pytest.raises(InputError, match=r"bounced has 11.*no more than were sent|bounced has 11"):
        MessageCounts(sent=10, bounced=11)
    with pytest.raises(InputError, match=r"opened has 1\.5"):
        MessageCounts(sent=10, opened=1.5)
    with pytest.raises(InputError, match="opened has -1"):
        MessageCounts(sent=10, opened=-1)
    with pytest.raises(InputError, match="opened has 2 rows"):
        MessageCounts(sent=[10], opened=[1, 2])
    with pytest.raises(InputError, match="do not add up"):
        MessageCounts(sent=[1], by={"campaign": ["a"]}) + MessageCounts(sent=[1])
    with pytest.raises(InputError, match="within= needs the events of a base"):
        message_metrics(MessageCounts(sent=10), within=days(3))
    more = message_metrics(MessageCounts(sent=10, opened=12))
    assert math.isnan(more.open_rate.value)
    assert "more of 'opened' than of 'delivered'" in more.open_rate.reason
    table = MessageCounts(by={"campaign": ["b", "a"]}, sent=[10, 20], opened=[1, 2])
    both = table + MessageCounts(by={"campaign": ["a"]}, sent=[5], opened=[5])
    assert (both.by["campaign"].tolist(), both.sent.tolist(), both.opened.tolist()) == (["a", "b"], [25, 10], [7, 1])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"as_of": None}, "as_of is missing"),
        ({"credit": "first"}, "credit is 'first'"),
        ({"conversion": "purchase"}, "conversion is 'purchase'"),
        ({"conversion": event("purchase"), "value": ""}, "value is ''"),
        ({"conversion": event("purchase"), "credit_within": 7}, "credit_within is 7"),
        ({"within": 30}, "within is 30"),
        ({"tracked": "yes"}, "tracked is 'yes'"),
        ({"by": 5}, "by is 5"),
        ({"by": ["campaign", "campaign"]}, "by= has 'campaign' twice"),
        ({"events": "sent"}, "events is 'sent'"),
    ],
)
def test_what_makes_no_sense_is_refused(how, said):
    with pytest.raises(InputError, match=said):
        message_metrics(base_of(*SENT), **{"as_of": "2026-04-01", **how})
    with pytest.raises(InputError, match="base is a list"):
        message_metrics([], as_of="2026-04-01")


def test_pressure_has_a_row_per_number_of_messages_before():
    events = [letter("a", f"2026-03-0{k}T09:00Z", message_id=f"m{k}") for k in (1, 3, 5)]
    events += [letter("b", "2026-03-01T09:00Z", message_id="m9"),
               letter("a", "2026-03-05T10:00Z", "unsubscribed", message_id="m5"),
               letter("b", "2026-03-01T10:00Z", "clicked", message_id="m9")]  # fmt: skip
    p = contact_pressure(base_of(*events), as_of="2026-04-01")
    assert (p.before.tolist(), p.messages.tolist(), p.people.tolist()) == ([0, 1, 2], [2, 1, 1], [2, 1, 1])
    assert p.click_rate.value.tolist() == [0.5, 0, 0]
    assert p.unsubscribe_rate.value.tolist() == [0, 0, 1]
    late = contact_pressure(base_of(*events), as_of="2026-03-06T00:00Z", settle=days(2))
    assert late.still_open.tolist() == [0, 0, 1]
    assert math.isnan(late.unsubscribe_rate.value[2])
    assert "only a test shows" in str(p)
    assert np.isfinite(p.open_rate.low[0])
