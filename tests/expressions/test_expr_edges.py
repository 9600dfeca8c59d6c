"""Values at the edges: the ends of the calendar, endless durations, NUL, giants, long words."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, Purchase, Schema, Visit, days
from relmark.core.columns import Column
from relmark.errors import DefinitionError, InputError, LimitError
from relmark.expressions import Expression, event, field, ids, parse, sample, segment, sequence
from relmark.scoring import Grade, Group, LeadScore, Rule
from relmark.segmentation import Segment

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
LATE, EARLY = "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+14:00"


@pytest.mark.parametrize("text", [LATE, EARLY])
def test_an_instant_beyond_the_years_1_to_9999_in_utc_is_a_problem_and_never_an_overflow(text):
    body = {"op": "gt", "left": {"op": "field", "name": "d"}, "right": {"instant": text}}
    with pytest.raises(DefinitionError, match="1 to 9999"):
        Expression.from_dict(body)
    with pytest.raises(DefinitionError, match="1 to 9999"):
        parse(f'field("d") > instant("{text}")')
    checked = Segment.check({"relmark": "segment", "version": 1, "name": "s", "rule": body})
    assert [problem.path for problem in checked.problems] == ["$.rule.right"]
    moment = datetime.fromisoformat(text)
    for call in (lambda: field("d") > moment, lambda: field("d").before(moment), lambda: event("a").count(since=moment),
                 lambda: field("d").is_in([moment])):  # fmt: skip
        with pytest.raises(InputError, match="1 to 9999"):
            call()
    with pytest.raises(InputError, match="1 to 9999"):
        Event("c", "visit", moment)


@pytest.mark.parametrize("tz", ["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "UTC", "Europe/Berlin"])
@pytest.mark.parametrize("day", [date(1, 1, 1), date(1, 1, 2), date(9999, 12, 31), date(9999, 12, 30)])
def test_sentinel_dates_are_compared_alike_for_one_and_many(day, tz):
    table = CustomerTable.from_columns(customer_id=["a", "b"], d=[day, None], at=[AS_OF, AS_OF])
    base = CustomerBase(customers=table, tz=tz)
    rules = [
        field("d") == day, field("d") > AS_OF, field("d") < field("at"), field("d").within(days(3)),
        field("d").age() > 3,
        field("d").older_than(timedelta.max), field("d").upcoming(days(9)), field("d").in_period("year", -1),
        field("d").anniversary(upcoming=days(3)), field("d").is_in([AS_OF]), field("d").is_in([day]),
        field("at") > day,
    ]  # fmt: skip
    for rule in rules:
        segment = Segment("s", rule)
        many = segment.evaluate(base, as_of=AS_OF)
        for row, who in enumerate(["a", "b"]):
            one = segment.explain(base, who, as_of=AS_OF)
            assert one.member == many.mask[row], rule
            assert (one.verdict is None) == many.unknown_mask[row], rule
            assert one.to_dict()["member"] == one.member
            assert str(one)


def endless():
    ever = timedelta.max
    return [
        event("a").count(within=ever) >= 3, event("a").exists(ago=ever), event("a").exists(within=ever, ago=days(1)),
        event("a").regularly(1, of=3, period=ever), sequence([event("a"), event("a")], within=ever),
        sequence([event("a"), event("b")], within=ever), event("a").not_followed_by(event("b"), within=ever),
        event("a").not_followed_by(event("b"), within=days(1), recent=ever), event("a").restarted(ever, ever),
        event("a").stopped(ever, days(1)), event("a").sum(within=ever) > 5, event("a").days_since_last(within=ever) > 5,
        field("d").within(ever), field("d").older_than(ever), field("at").upcoming(ever), field("at").within(ever),
    ]  # fmt: skip


@pytest.mark.parametrize("rule", endless(), ids=repr)
@pytest.mark.parametrize("as_of", ["2026-11-01T00:00Z", "0001-01-05T00:00Z", "9999-12-20T00:00Z"])
def test_endless_windows_see_everything_for_one_and_many(rule, as_of):
    times = ["2026-10-01T00:00Z", "0001-01-03T00:00Z"]
    log = EventLog.from_columns(customer_id=["a", "a"], type="a", time=times, value=[2.0, 4.0])
    table = CustomerTable.from_columns(customer_id=["a"], d=[date(9999, 12, 31)], at=[AS_OF])
    base = CustomerBase(customers=table, events=log, tz="Europe/Berlin")
    many = rule.measure(base, as_of).value(0)
    assert rule.measure(base, [as_of]).value(0) == many
    one = Segment("s", rule).explain(base, "a", as_of=as_of)
    assert one.verdict == many
    assert one.to_dict()["verdict"] == many
    assert str(one)


NUL = [
    lambda: field("city").is_in(["Omsk\0"]), lambda: field("city") == "Omsk\0", lambda: field("a\0") == 1,
    lambda: ids(["c\0"]), lambda: sample(10, salt="s\0"), lambda: segment("x\0"), lambda: event("a\0").exists(),
    lambda: field("city").contains("\0"), lambda: field("city").fill("\0"), lambda: Segment("x\0", ids([])),
    lambda: Event("c\0", "a", AS_OF), lambda: Event("c", "a\0", AS_OF), lambda: Customer("c\0"),
    lambda: Customer("c", {"city": "Omsk\0"}), lambda: Event("c", "a", AS_OF, properties={"sku": "x\0"}),
    lambda: Purchase("c", AS_OF, 1.0, order="o\0"), lambda: event("a").sum("v\0"),
    lambda: Segment("x", ids([]), description="\0"), lambda: Rule("\0", when=ids([]), points=1), lambda: Group("\0"),
    lambda: Rule("x", when=ids([]), points=1, group="\0"), lambda: Grade(fit={"\0": 3}),
    lambda: LeadScore(name="\0", rules=[Rule("x", when=ids([]), points=1)]),
]  # fmt: skip


@pytest.mark.parametrize("call", NUL)
def test_a_text_with_nul_is_refused_at_every_door(call):
    with pytest.raises(InputError, match="NUL"):
        call()


def test_a_number_that_float64_or_64_bits_do_not_hold_is_refused_at_the_door():
    giant = 10**400
    for call in (
        lambda: Event("c", "a", AS_OF, properties={"n": giant}), lambda: Event("c", "a", AS_OF, value=giant),
        lambda: Event("c", "a", AS_OF, value=2**53 + 1), lambda: Event(giant, "a", AS_OF), lambda: Customer(giant),
        lambda: Customer("c", {"n": giant}), lambda: Purchase("c", AS_OF, giant),
        lambda: Purchase("c", AS_OF, 1, order=giant),
        lambda: Visit("c", AS_OF, duration=giant), lambda: ids([giant]), lambda: ids([-(2**63)]),
        lambda: field("n") > giant, lambda: field("n") == 2**63, lambda: field("n").is_in([2**64]),
        lambda: Purchase("c", AS_OF, 1, order=2**63),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"64 bits|2\*\*53|2\*\*63"):
            call()
    assert Event(2**63 - 1, "a", AS_OF, properties={"n": 2**63 - 1}).properties["n"] == 2**63 - 1
    neighbors = [Purchase("c", AS_OF, 1, order=2**60 + k) for k in (0, 1)]
    two = event("purchase").count_distinct("order") == 2
    assert two.measure(CustomerBase(events=EventLog.from_events(neighbors)), AS_OF).data.tolist() == [1]
    assert Segment("s", two).one(None, neighbors, as_of=AS_OF).member
    one = Segment("s", event("a").sum("n") > 5).one(None, [Event("c", "a", AS_OF, properties={"n": 7})], as_of=AS_OF)
    assert one.member


def test_a_filled_value_has_the_kind_of_what_it_fills():
    schema = Schema(fields={"d": date, "at": datetime})
    for rule in (field("d").fill(AS_OF) > AS_OF, field("at").fill(AS_OF.date()) > AS_OF):
        (problem,) = rule.problems(schema)
        assert problem.code == "wrong_type"
        assert problem.path == "$.left.value"
        table = CustomerTable.from_columns(customer_id=["a", "b"], d=[AS_OF.date(), None], at=[AS_OF, None])
        with pytest.raises(DefinitionError, match="of the same kind"):
            rule.measure(CustomerBase(customers=table), AS_OF)
        with pytest.raises(InputError, match="is needed"):
            Segment("s", rule).one(Customer("a", {"d": AS_OF.date(), "at": AS_OF}), [], as_of=AS_OF)


@pytest.mark.parametrize(
    "text",
    ["f" * 5_000 + " == 1", 'field("a").' + "f" * 5_000 + "()", 'event("a").count(' + "f" * 5_000 + "=1)",
     "event('" + "f" * 1_000 + "') > 1", "field('a') > " + "1" * 5_000, "'" + "f" * 1_000 + "'",
     'field("a").contains(' + "f" * 500 + "=3)"],
)  # fmt: skip
def test_a_message_never_echoes_a_long_text(text):
    with pytest.raises((DefinitionError, LimitError)) as raised:
        parse(text)
    assert len(str(raised.value)) < 500


def test_an_empty_tag_is_refused_in_its_row():
    with pytest.raises(InputError, match="'' in row 1"):
        Column.of("tags", [{"a", "b", "c"}, {"d", ""}])


def test_next_change_can_be_subtracted_from_now_over_a_change_of_the_clock():
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 10, 24, 12, tzinfo=berlin)
    rule = Segment("s", event("a").exists(within=days(1)))
    one = rule.one(None, [Event("c", "a", at + timedelta(hours=1))], as_of=at + timedelta(hours=2), tz="Europe/Berlin")
    assert one.next_change.tzinfo is UTC or one.next_change.utcoffset() == timedelta(0)
    assert one.next_change - (at + timedelta(hours=2)).astimezone(UTC) == timedelta(hours=23)
    assert one.tree.change.at == one.next_change
    assert "leaves on 2026-10-25 12:00" in str(one)
    assert pickle.loads(pickle.dumps(one)).next_change == one.next_change
    assert one.as_of == np.datetime64("2026-10-24T12:00", "us")


def test_what_is_missing_to_a_strict_bound_is_more_than_nothing():
    log = [Event("c", "a", AS_OF, value=0.0), Event("c", "a", AS_OF, value=0.0)]
    words = {
        event("a").count() < 2: "needs 1 less",
        event("a").count() <= 1: "needs 1 less",
        event("a").sum() > 0: "needs more than 0 more",
        event("a").sum() < 0: "needs more than 0 less",
        event("a").days_since_last() > 0: "needs a moment more",
        event("a").count() > 2: "needs 1 more a",
    }
    for rule, wanted in words.items():
        assert wanted in str(Segment("s", rule).one(None, log, as_of=AS_OF)), rule


def test_arrays_hold_no_nul_and_so_a_rule_has_none():
    assert np.array(["Omsk\0"]).tolist() == ["Omsk"]
