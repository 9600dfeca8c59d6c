"""Explanations in the words of a marketer, and what stands behind them for programs."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime

import pytest

from relmark.core.base import CustomerBase
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.log import EventLog
from relmark.core.table import CustomerTable
from relmark.core.time import days, hours
from relmark.expressions import at_least, event, everyone, field, ids, nodes, prop, sample, segment, sequence
from relmark.expressions.explain import explain_in_base, explain_one

AS_OF = datetime(2026, 11, 9, tzinfo=UTC)


def bought(day: str, value: float = 20.0, **properties) -> Event:
    time = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return Event("c1", "purchase", time, value, properties)


def one(rule, events=(), attributes=None, *, as_of=AS_OF, tz="UTC", **more):
    customer = None if attributes is None else Customer("c1", attributes)
    return explain_one(rule, customer, events, as_of=as_of, tz=tz, **more)


def gap(rule, events=(), attributes=None, **more):
    return one(rule, events, attributes, **more).tree.gap


def test_a_member_leaves_when_a_purchase_falls_out_of_the_window():
    answer = one(
        event("purchase").count(within=days(30)) >= 2, [bought("2026-11-02"), bought("2026-11-08")], name="twice"
    )
    assert answer.member
    assert answer.next_change == datetime(2026, 12, 2, tzinfo=UTC)
    assert answer.change.code == "event_leaves"
    assert answer.change.event.time == datetime(2026, 11, 2, tzinfo=UTC)
    assert str(answer).splitlines()[0] == (
        "twice: c1 is a member on 2026-11-09; leaves on 2026-12-02, "
        "when the purchase of 2026-11-02 falls out of the window"
    )
    assert answer.tree.n_events == 2
    assert repr(answer) == (
        "Explanation(name='twice', customer_id='c1', as_of='2026-11-09', member=True, next_change='2026-12-02')"
    )


def test_who_needs_one_more_purchase_is_told_until_when_that_is_enough():
    answer = one(event("purchase").count(within=days(30)) >= 2, [bought("2026-11-02")])
    assert (answer.tree.gap.code, answer.tree.gap.amount, answer.tree.gap.of) == ("more_events", 1.0, "purchase")
    assert answer.tree.gap.before == datetime(2026, 12, 2, tzinfo=UTC)
    assert "needs 1 more purchase before 2026-12-02" in str(answer)
    assert answer.next_change is None
    # and it is so: with one more purchase a moment before that the person is a member, and at that instant no more
    rule = event("purchase").count(within=days(30)) >= 2
    early, late = bought("2026-12-01T23:59:59"), bought("2026-12-02T00:00:00")
    assert one(rule, [bought("2026-11-02"), early], as_of=early.time).member
    assert not one(rule, [bought("2026-11-02"), late], as_of=late.time).member


@pytest.mark.parametrize(
    ("rule", "events", "code", "amount"),
    [
        (event("purchase").count() > 2, ["2026-11-02"], "more_events", 2.0),
        (event("purchase").count() == 3, ["2026-11-02"], "more_events", 2.0),
        (event("purchase").count().between(2, 4), ["2026-11-02"], "more_events", 1.0),
        (nodes.Compare("le", nodes.Literal(3), event("purchase").count()), ["2026-11-02"], "more_events", 2.0),
        (~(event("purchase").count() < 2), ["2026-11-02"], "more_events", 1.0),
        (event("purchase").exists(within=days(2)), ["2026-11-02"], "more_events", 1.0),
        (event("purchase").exists(until="2026-11-05"), [], None, None),
        (event("purchase").count(ago=days(30)) >= 1, ["2026-11-02"], None, None),
        (event("purchase").sum() >= 50, ["2026-11-02"], "more", 30.0),
        (event("purchase").sum() < 5, ["2026-11-02"], "less", 15.0),
        (event("purchase").active_days() >= 3, ["2026-11-02", "2026-11-02"], "more_days", 2.0),
        (event("purchase").count_distinct("value") >= 3, ["2026-11-02", "2026-11-03"], "more_values", 2.0),
        (event("purchase").days_since_last() > 60, ["2026-11-02"], "more_time", 53.0),
        (event("purchase").days_since_last() < 5, ["2026-11-02"], "new_event", None),
        (event("purchase").days_since_first() < 5, ["2026-11-02"], None, None),
        (event("purchase").count() != 1, ["2026-11-02"], None, None),
        (event("purchase").max() >= 50, ["2026-11-02"], "more", 30.0),
        (event("purchase").regularly(3, of=4, period=days(7)), ["2026-11-02"], "more_periods", 2.0),
        (event("purchase").regularly(3, of=4, period="month"), ["2026-11-02"], "more_periods", 2.0),
        (event("purchase").mean() > 3, [], "value", None),
    ],
)
def test_a_gap_says_what_is_missing(rule, events, code, amount):
    found = one(rule, [bought(day) for day in events], {})
    tree = found.tree.args[0] if found.tree.code == "not" else found.tree
    assert (code, amount) == ((None, None) if tree.gap is None else (tree.gap.code, tree.gap.amount))
    assert not found.member
    assert str(found)


def test_a_number_of_the_customer_misses_a_bound_by_so_much():
    assert gap(field("age") >= 18, attributes={"age": 16}).amount == 2
    found = one(field("age").between(18, 30), attributes={"age": 33})
    assert (found.tree.gap.code, found.tree.gap.amount) == ("less", 3.0)
    assert str(found.tree) == 'field("age").between(18, 30): is 33; needs 3 less'


def test_a_missing_value_is_named():
    found = one(
        (field("age") >= 18) & (field("city") == "Omsk") & (event("purchase").mean() > 3), attributes={"age": 20}
    )
    assert found.verdict is None
    assert not found.member
    assert found.missing == ("city", 'event("purchase").mean("value")')
    assert 'field("city") == "Omsk": not known: city' in str(found)
    assert "because a value is missing" in str(found)
    assert one(field("a") / field("b") > 1, attributes={"a": 1, "b": 0}).missing == ('field("a") / field("b")',)
    assert one(field("a").fill(2) > 3, attributes={}).missing == ()
    assert one(field("vip"), attributes={}).missing == ("vip",)


def test_a_last_event_that_cannot_be_judged_is_named():
    rule = event("purchase").last_event(prop("sku") == "a")
    assert one(rule, [bought("2026-11-02")]).missing == ("sku of the last purchase",)
    assert one(rule, [], {}).missing == ("purchase",)
    sure = one(rule, [bought("2026-11-02", sku="a")])
    assert sure.member
    assert sure.tree.events[0].properties == {"sku": "a"}


def test_a_sequence_names_the_next_step():
    rule = sequence([event("cart"), event("checkout"), event("purchase")], within=days(7), exclude=[event("refund")])
    steps = [Event("c1", "cart", AS_OF - days(2)), Event("c1", "checkout", AS_OF - days(1))]
    found = gap(rule, steps)
    assert (found.code, found.of, found.amount) == ("next_step", "purchase", 1.0)
    assert found.before > AS_OF + days(5)
    assert gap(rule, [*steps, Event("c1", "refund", AS_OF - hours(1))]).of == "cart"
    assert gap(rule, [], {}).amount == 3
    assert gap(sequence([event("cart"), event("purchase")]), steps).before is None
    assert gap(sequence([event("cart"), event("purchase")], strict=True), steps) is None
    done = one(rule, [*steps, bought("2026-11-08T12:00")])
    assert [item.type for item in done.tree.events] == ["cart", "checkout", "purchase"]
    assert done.next_change is None
    both = one(sequence([event("cart"), event("checkout")], strict=True), steps)
    assert both.member
    assert both.tree.n_events == 2


def test_a_basket_waits_then_is_abandoned_then_is_old():
    rule = event("cart").not_followed_by(event("purchase"), within=hours(4), recent=days(3))
    cart = Event("c1", "cart", AS_OF)
    waiting = one(rule, [cart], as_of=AS_OF + hours(1))
    assert (waiting.tree.gap.code, waiting.tree.gap.amount) == ("more_time", 3 / 24)
    assert "needs 3 hours more" in str(waiting)
    assert waiting.next_change == AS_OF + hours(4)
    assert "when the cart of 2026-11-09 has waited long enough" in str(waiting)
    abandoned = one(rule, [cart], as_of=AS_OF + hours(4))
    assert abandoned.member
    assert abandoned.next_change == AS_OF + days(3)
    assert "is too long ago" in str(abandoned)
    old = one(rule, [cart], as_of=AS_OF + days(3))
    assert (old.member, old.next_change, old.tree.gap.code) == (False, None, "new_event")
    answered = one(rule, [cart, bought("2026-11-09T01:00")], as_of=AS_OF + hours(5))
    assert (answered.member, answered.tree.gap.code, answered.tree.n_events) == (False, "new_event", 2)


def test_silence_grows_long_enough():
    found = one(event("purchase").days_since_last() > 60, [bought("2026-11-02")])
    assert found.next_change == datetime(2027, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert found.change.code == "time_passes"
    assert "needs 53 days more" in str(found)


def test_a_birthday_a_period_and_a_date_say_why():
    adult = one(field("born").age() >= 18, attributes={"born": date(2008, 12, 24)}, tz="Europe/Berlin")
    assert adult.next_change.isoformat() == "2026-12-23T23:00:00+00:00"
    assert adult.change.code == "birthday"
    month = one(field("born").in_period("month"), attributes={"born": date(2026, 11, 24)})
    assert (month.change.code, month.next_change) == ("period", datetime(2026, 12, 1, tzinfo=UTC))
    soon = one(field("born").anniversary(upcoming=days(7)), attributes={"born": date(1990, 11, 20)})
    assert (soon.change.code, soon.next_change) == ("day", datetime(2026, 11, 14, tzinfo=UTC))
    ends = one(field("ends").within(days(3)), attributes={"ends": datetime(2026, 11, 10, 12, tzinfo=UTC)})
    assert (ends.change.code, ends.next_change) == ("date", datetime(2026, 11, 10, 12, tzinfo=UTC))
    assert ends.tree.to_dict()["actual"] == "2026-11-10T12:00:00+00:00"


def test_the_clock_of_the_business_decides_about_days():
    rule = field("born").upcoming(days(1))
    in_berlin = one(rule, attributes={"born": date(2026, 3, 29)}, as_of="2026-03-28T22:59Z", tz="Europe/Berlin")
    assert not in_berlin.member
    assert in_berlin.next_change.isoformat() == "2026-03-28T23:00:00+00:00"
    on_the_day = one(rule, attributes={"born": date(2026, 3, 29)}, as_of="2026-03-28T23:00Z", tz="Europe/Berlin")
    assert on_the_day.member
    assert on_the_day.next_change.isoformat() == "2026-03-29T22:00:00+00:00"  # a day of 23 hours
    assert "2026-03-30" in str(on_the_day)


def test_logic_shows_its_parts_with_their_paths():
    rule = at_least(2, field("a") == 1, ~(field("b") == 1), ids(["c1"]) | sample(50, salt="s")) & everyone
    found = one(rule, attributes={"a": 1, "b": 1})
    assert found.member
    paths = [found.tree.args[0].args[1].args[0].path, found.tree.args[0].args[2].args[1].path]
    assert paths == ["$.args[0].args[1].arg", "$.args[0].args[2].args[1]"]
    assert "at least 2 of: 2" in str(found)
    body = found.to_dict()
    assert json.loads(json.dumps(body)) == body
    assert body["tree"]["args"][0]["args"][0]["actual"] == 1.0
    assert "<table" in found._repr_html_()
    assert "all of" in found._repr_html_()


def test_segments_of_segments_are_explained_through():
    rules = {"adults": field("age") >= 18}
    found = one(segment("adults") & (field("city") == "Omsk"), attributes={"age": 20, "city": "Omsk"}, segments=rules)
    assert found.member
    assert found.tree.args[0].args[0].rule == 'field("age") >= 18'
    assert found.next_change is None
    recent = {"recent": event("purchase").exists(within=days(30))}
    leaving = one(~segment("recent"), [bought("2026-11-02")], segments=recent)
    assert (leaving.change.code, leaving.change.to, leaving.member) == ("event_leaves", False, False)
    assert "joins on 2026-12-02, when the purchase of 2026-11-02 falls out of the window" in str(leaving)
    with pytest.raises(DefinitionError, match="SegmentSet"):
        one(segment("adults"), attributes={})
    with pytest.raises(DefinitionError, match="circle"):
        one(segment("a"), attributes={}, segments={"a": segment("b"), "b": ~segment("a")})


def test_typed_events_and_words_for_every_kind_of_value():
    events = [
        Purchase("c1", AS_OF - days(1), 1_234.5, item="scarf"),
        Visit("c1", AS_OF - days(2), channel="mail"),
        Message("c1", AS_OF - days(3), "opened", "mail"),
    ]
    attributes = {"tags": {"vip", "new"}, "none": set(), "born": date(1990, 1, 1), "news": True, "n": 12_345_678.0}
    rule = (
        field("tags").contains("vip") & ~field("none").contains("x") & (field("born") < date(2000, 1, 1))
        & (field("news") == True) & (field("n") > 1) & event("visit", "message_opened").exists()  # noqa: E712
        & (event("purchase").last("item") == "scarf")
    )  # fmt: skip
    found = one(rule, events, attributes)
    assert found.member
    text = str(found)
    for words in ("is new, vip", "is no tags", "is 1990-01-01", "is true", "is 12,345,678", "is scarf", "1,234.5"):
        assert words in text


def test_only_the_last_three_of_many_events_are_shown():
    found = one(event("purchase").count() >= 2, [bought(f"2026-10-{day:02d}") for day in range(1, 8)])
    assert found.tree.n_events == 7
    assert [item.time.day for item in found.tree.events] == [5, 6, 7]
    assert "(and 4 before)" in str(found)


def test_the_events_that_decide_are_shown():
    events = [bought("2026-11-01", 5, s="a"), bought("2026-11-02", 9, s="b"), bought("2026-11-03", 7, s="a")]
    values = {
        event("purchase").max() >= 9: [9.0],
        event("purchase").min() <= 5: [5.0],
        event("purchase").first("s") == "a": [5.0],
        event("purchase").last("s") == "a": [7.0],
        event("purchase").most_frequent("s") == "a": [5.0, 7.0],
        event("purchase").most_frequent("type") == "purchase": [5.0, 9.0, 7.0],
        event("purchase").days_since_first() > 1: [5.0],
        event("purchase").days_since_last() > 1: [7.0],
        event("purchase").regularly(1, of=1, period="month"): [5.0, 9.0, 7.0],
        event("purchase").regularly(1, of=2, period="week"): [9.0, 7.0],
        event("purchase").regularly(1, of=1, period=days(7)): [7.0],
        event("purchase").sum() / event("purchase").count() >= 7: [5.0, 9.0, 7.0],
    }
    for rule, shown in values.items():
        found = one(rule, events, as_of="2026-11-09T00:00Z")
        assert found.member, rule
        assert [item.value for item in found.tree.events] == shown, rule


def test_nobody_is_known_without_a_customer_and_events():
    nobody = one(event("purchase").count() == 0)
    assert nobody.member
    assert nobody.customer_id is None
    assert str(nobody).startswith("this person is a member")
    with pytest.raises(InputError, match="neither a customer nor an event"):
        one(ids(["c1"]))


def test_a_window_that_an_event_enters_later():
    found = one(event("purchase").exists(ago=days(30)), [bought("2026-11-02")])
    assert (found.member, found.change.code, found.next_change) == (
        False,
        "event_enters",
        datetime(2026, 12, 2, tzinfo=UTC),
    )
    assert "comes into the window" in str(found)
    assert "yes from" in str(found)


def test_a_customer_of_a_base_is_explained_like_one():
    table = CustomerTable.from_columns(customer_id=["c0", "c1"], city=["Omsk", None])
    base = CustomerBase(customers=table, events=EventLog.from_events([bought("2026-11-02"), bought("2026-11-08")]))
    rule = (event("purchase").count(within=days(30)) >= 2) & ~(field("city") == "Kazan")
    found = explain_in_base(rule, base, "c1", as_of=AS_OF, name="x")
    assert found.to_dict() == one(rule, [bought("2026-11-02"), bought("2026-11-08")], {}, name="x").to_dict()
    assert not explain_in_base(rule, base, "c0", as_of=AS_OF).member
    with pytest.raises(InputError, match="whom the base does not have"):
        explain_in_base(rule, base, "c7", as_of=AS_OF)
    with pytest.raises(MissingColumnError, match="city"):
        explain_in_base(field("town") == "Omsk", base, "c1", as_of=AS_OF)


def test_what_moves_through_arithmetic_still_says_when():
    rule = event("purchase").days_since_last() / event("purchase").count() > 10
    found = one(rule, [bought("2026-11-02"), bought("2026-11-08")])
    assert found.next_change == datetime(2026, 11, 28, 0, 0, 0, 1, tzinfo=UTC)
    assert found.change.event.time == datetime(2026, 11, 8, tzinfo=UTC)
    assert found.tree.gap.code == "more"


def test_an_explanation_travels_without_the_base_it_comes_from():
    many = EventLog.from_columns(customer_id=list(range(5_000)), type="visit", time=[AS_OF] * 5_000)
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[7], age=[30]), events=many)
    found = explain_in_base(event("visit").exists(within=days(3)) & (field("age") > 18), base, 7, as_of=AS_OF)
    packed = pickle.dumps(found)
    assert len(packed) < 3_000
    assert pickle.loads(packed).to_dict() == found.to_dict()
