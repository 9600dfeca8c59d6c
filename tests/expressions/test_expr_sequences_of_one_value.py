"""Sequences whose steps share a property: the same order from the basket to the delivery."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relmark import CustomerBase, EventLog, days, event, field, hours, parse, prop, sequence
from relmark.engines.portable import reasons
from relmark.errors import InputError
from relmark.expressions import Expression
from relmark.expressions.scalar import Person, program_of
from relmark.segmentation import Segment

START = datetime(2026, 5, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=10)
ORDERED, DELIVERED, RETURNED = event("ordered"), event("delivered"), event("returned")


def base(rows, tz="UTC"):
    """Return a base of rows (customer, type, hour, order)."""
    log = EventLog.from_columns(
        customer_id=[row[0] for row in rows],
        type=[row[1] for row in rows],
        time=[START + timedelta(hours=row[2]) for row in rows],
        properties={"order": [row[3] for row in rows]},
    )
    return CustomerBase(events=log, tz=tz)


ROWS = [
    (1, "ordered", 1, "a"), (1, "delivered", 5, "a"),
    (2, "ordered", 1, "a"), (2, "delivered", 5, "b"),
    (3, "ordered", 1, "a"), (3, "ordered", 2, "b"), (3, "returned", 3, "b"), (3, "delivered", 6, "a"),
    (4, "ordered", 1, "a"), (4, "returned", 3, "a"), (4, "delivered", 6, "a"),
    (5, "ordered", 1, None), (5, "delivered", 6, None),
    (6, "ordered", 6, "a"), (6, "delivered", 6, "a"),
    (7, "ordered", 1, "x"), (8, "delivered", 2, "x"),
]  # fmt: skip


def who(rule, rows=ROWS, as_of=AS_OF):
    """Return the members over columns, after one person at a time and the explanation said the same."""
    world = base(rows)
    found = Segment("s", rule).evaluate(world, as_of=as_of).ids.tolist()
    program = program_of(rule)
    for one in world.customer_id.tolist():
        member = program.verdict(Person.from_base(world, one, as_of=as_of)) is True
        assert member == (one in found)
        assert Segment("s", rule).explain(world, one, as_of=as_of).member == member
    return found


def test_steps_share_the_value():
    assert who(sequence([ORDERED, DELIVERED])) == [1, 2, 3, 4, 5]
    assert who(sequence([ORDERED, DELIVERED], same="order")) == [
        1,
        3,
        4,
    ]  # not two orders, none, one instant, two people


def test_excluded_events_and_those_between_have_the_value_too():
    assert who(sequence([ORDERED, DELIVERED], exclude=[RETURNED], same="order")) == [1, 3]
    assert who(sequence([ORDERED, DELIVERED], strict=True, same="order")) == [1, 3]
    assert who(sequence([ORDERED, DELIVERED], strict=True)) == [1, 2, 5]


def test_lengths_of_time_hold_for_the_chain_of_one_value():
    rows = [(1, "ordered", 1, "a"), (1, "ordered", 8, "b"), (1, "delivered", 9, "a"), (1, "delivered", 30, "b")]
    pair = [ORDERED, DELIVERED]
    assert who(sequence(pair, within=hours(8), same="order"), rows) == [1]
    assert who(sequence(pair, within=hours(7), same="order"), rows) == []
    assert who(sequence(pair, within=hours(7)), rows) == [1]
    assert who(sequence(pair, apart=hours(20), same="order"), rows) == [1]
    assert who(sequence(pair, apart=hours(23), same="order"), rows) == []
    late = START + timedelta(days=2)
    assert who(sequence(pair, recent=hours(20), same="order"), rows, late) == [1]
    assert who(sequence(pair, within=hours(8), recent=hours(20), same="order"), rows, late) == []


def test_numbers_of_orders_are_exact():
    big = 2**60
    rows = [(1, "ordered", 1, big), (1, "delivered", 2, big + 1), (2, "ordered", 1, big), (2, "delivered", 2, big)]
    assert who(sequence([ORDERED, DELIVERED], same="order"), rows) == [2]


def test_type_and_where_and_any_event():
    rows = [(1, "a", 1, "x"), (1, "b", 2, "x"), (2, "a", 1, "x"), (2, "a", 2, "y")]
    twice = [event.any(), event.any()]
    assert who(sequence(twice, same="type"), rows) == [2]
    assert who(sequence(twice, same="order"), rows) == [1]
    assert who(sequence([event("a", where=prop("order") == "x"), event.any()], same="order"), rows) == [1]


def test_one_time_for_each_customer():
    rule, world = sequence([ORDERED, DELIVERED], recent=hours(3), same="order"), base(ROWS)
    each = [START + timedelta(hours=k) for k in (6, 9, 8, 9, 9, 9, 9, 9)]
    together = rule.measure(world, each).values().tolist()
    alone = [rule.measure(world, at).values().tolist()[row] for row, at in enumerate(each)]
    assert together == alone
    assert together[:4] == [True, False, True, False]


def test_no_events_at_all_is_nobody():
    assert who(sequence([event("x"), event("y")], same="order")) == []


def test_the_explanation_has_the_events_of_the_value():
    rows = [(1, "ordered", 1, "b"), (1, "ordered", 2, "a"), (1, "delivered", 9, "b"), (1, "delivered", 12, "b")]
    found = Segment("s", sequence([ORDERED, DELIVERED], same="order")).explain(base(rows), 1, as_of=AS_OF)
    assert [(one["type"], one["time"][11:13]) for one in found.to_dict()["tree"]["events"]] == [
        ("ordered", "01"), ("delivered", "09"),
    ]  # fmt: skip


def test_the_explanation_names_the_next_step_of_a_value_that_can_still_be_completed():
    rows = [(1, "ordered", 1, "a"), (1, "ordered", 9, "b"), (1, "returned", 10, "b"), (1, "delivered", 11, "c")]
    rule = sequence([ORDERED, DELIVERED], within=days(1), exclude=[RETURNED], same="order")
    gap = Segment("s", rule).explain(base(rows), 1, as_of=START + timedelta(hours=12)).to_dict()["tree"]["gap"]
    assert (gap["code"], gap["amount"], gap["of"]) == ("next_step", 1.0, "delivered")
    assert "2026-05-02T01:00" in str(gap["before"])  # a day after the first order: the second was returned
    late = Segment("s", rule).explain(base(rows), 1, as_of=START + timedelta(hours=40)).to_dict()["tree"]["gap"]
    assert (late["code"], late["amount"], late["of"]) == ("next_step", 2.0, "ordered")


def test_the_next_change_is_when_the_last_chain_is_too_long_ago():
    rule = sequence([ORDERED, DELIVERED], recent=days(3), same="order")
    rows = [(1, "ordered", 1, "a"), (1, "delivered", 5, "a"), (1, "delivered", 20, "b")]
    person = Person.from_base(base(rows), 1, as_of=START + timedelta(days=1))
    change = program_of(rule).next_change(person)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=change) == START + timedelta(days=3, hours=5)


def test_it_is_written_read_and_refused_by_engines():
    rule = sequence([ORDERED, DELIVERED], within=days(3), same="order")
    text = 'sequence([event("ordered"), event("delivered")], within=days(3), same="order")'
    assert rule.to_text() == text
    assert parse(text).fingerprint == rule.fingerprint == Expression.from_json(rule.to_json()).fingerprint
    assert rule.fingerprint != sequence([ORDERED, DELIVERED], within=days(3)).fingerprint
    assert list(reasons(rule)) == ["$"]


def test_nonsense_is_refused_by_its_path():
    for given in ("", 3, ["order"]):
        with pytest.raises(InputError, match="same is"):
            sequence([ORDERED, DELIVERED], same=given)
    schema = base(ROWS).schema()
    found = sequence([ORDERED, DELIVERED], same="ordre").problems(schema)
    assert [(one.path, one.code) for one in found] == [("$.same", "unknown_property")]
    assert "order" in found[0].hint
    assert (field("x").is_null() | sequence([ORDERED, DELIVERED], same="order")).problems(schema)[
        0
    ].path == "$.args[0].arg"
