"""Events of every type, and sequences whose steps are apart and whose end is recent, at their edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relmark import CustomerBase, Event, EventLog, Schema, calendar_days, days, event, hours, parse, prop, sequence
from relmark.errors import InputError
from relmark.expressions import Expression
from relmark.scoring import LeadScore, Rule
from relmark.segmentation import Segment

AS_OF = datetime(2026, 10, 28, 12, tzinfo=UTC)


def base(rows, tz="UTC"):
    """Rows are (customer, type, hours before as_of)."""
    events = [Event(who, kind, AS_OF - hours(back), 1.0, {"sku": kind}) for who, kind, back in rows]
    return CustomerBase(events=EventLog.from_events(events), tz=tz)


def members(rule, rows, tz="UTC", as_of=AS_OF):
    world, segment = base(rows, tz), Segment("s", rule)
    found = segment.evaluate(world, as_of=as_of).ids.tolist()
    for who in world.customer_id.tolist():
        assert segment.explain(world, who, as_of=as_of).member == (who in found)
    return found


def test_any_event_is_an_event_of_every_type_that_there_is():
    rows = [(0, "visit", 5), (1, "purchase", 99), (2, "letter", 30), (2, "visit", 200)]
    assert members(event.any().exists(within=days(1)), rows) == [0]
    assert members(event.any().count() >= 2, rows) == [2]
    assert members(event.any(where=prop("sku") == "letter").exists(), rows) == [2]
    assert members(event.any().days_since_last() > 3, rows) == [1]
    assert members(sequence([event.any(), event("letter")]), rows) == [2]


def test_any_event_has_every_form():
    rule = event.any(where=prop("sku") == "a").count(within=days(3)) >= 1
    assert rule.to_text() == 'event.any(where=prop("sku") == "a").count(within=days(3)) >= 1'
    assert parse(rule.to_text()).fingerprint == rule.fingerprint
    assert rule.to_dict()["left"]["events"] == {
        "types": "any", "where": {"op": "eq", "left": {"op": "prop", "name": "sku"}, "right": "a"},
    }  # fmt: skip
    assert Expression.from_json(rule.to_json()).fingerprint == rule.fingerprint
    assert repr(event.any()) == "event.any()"
    assert "needs 1 more any event" in str(Segment("s", rule).one(None, [], as_of=AS_OF))


def test_any_event_is_checked_against_all_types_of_a_schema():
    schema = Schema(events={"a": {"sku": str}, "b": {"n": float}})
    assert event.any(where=prop("sku") == "x").exists().problems(schema) == ()
    (problem,) = event.any(where=prop("skuu") == "x").exists().problems(schema)
    assert problem.code == "unknown_property"
    (problem,) = (event.any().sum("sku") > 1).problems(schema)
    assert problem.code == "wrong_type"
    bad = Segment.check({"relmark": "segment", "version": 1, "name": "x", "rule": {
        "op": "exists", "events": {"types": "all"}}})  # fmt: skip
    assert '{"types": "any"}' in bad.problems[0].hint
    for text in ("event.all().exists()", "event.any.exists()", 'event.any("a").exists()'):
        with pytest.raises(InputError):
            parse(text)
    with pytest.raises(InputError, match="names of event types"):
        event()


def test_any_event_scores():
    score = LeadScore(name="s", rules=[Rule("alive", each=event.any(), points=2)])
    world = base([(0, "visit", 5), (0, "letter", 6), (1, "x", -3)])
    assert score.evaluate(world, as_of=AS_OF).total.tolist() == [4.0, 0.0]
    assert score.explain(world, 0, as_of=AS_OF).total == 4.0


@pytest.mark.parametrize("strict", [False, True])
def test_steps_are_at_least_so_far_apart(strict):
    rows = [(0, "a", 5), (0, "b", 3), (1, "a", 5), (1, "b", 3.001), (2, "a", 9), (2, "b", 8), (2, "b", 5), (3, "b", 1)]
    rule = sequence([event("a"), event("b")], apart=hours(2), strict=strict)
    assert members(rule, rows) == ([0] if strict else [0, 2])
    three = sequence([event("a")] * 3, apart=hours(1), within=hours(2))
    assert members(three, [(0, "a", 3), (0, "a", 2), (0, "a", 1), (1, "a", 3), (1, "a", 2.5), (1, "a", 1)]) == [0]


def test_a_sequence_that_ends_lately():
    rule = sequence([event("a"), event("b")], recent=days(2))
    rows = [(0, "a", 99), (0, "b", 47), (1, "a", 99), (1, "b", 48), (2, "b", 3), (2, "a", 2),
            (3, "a", 99), (3, "b", 70), (3, "b", 10)]  # fmt: skip
    assert members(rule, rows) == [0, 3]
    one = Segment("s", rule).explain(base(rows), 3, as_of=AS_OF)
    assert one.next_change == AS_OF - hours(10) + days(2)
    assert [event.time for event in one.tree.events] == [AS_OF - hours(99), AS_OF - hours(10)]
    assert one.tree.change.code == "event_leaves"
    assert Segment("s", rule).explain(base(rows), 1, as_of=AS_OF).next_change is None


def test_the_last_days_of_a_sequence_are_local_days_before_a_date_and_where_it_is_said():
    late = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # 00:30 of 25 October in Berlin, the day of 25 hours
    rows = [(0, "a", 200), (0, "b", (AS_OF - late) / timedelta(hours=1))]
    for recent, as_of in (
        (days(3), "2026-10-28"),
        (calendar_days(3), "2026-10-28"),
        (calendar_days(3), "2026-10-28T00:00"),
    ):
        assert members(sequence([event("a"), event("b")], recent=recent), rows, "Europe/Berlin", as_of) == [0]
    assert members(sequence([event("a"), event("b")], recent=days(3)), rows, "Europe/Berlin", "2026-10-28T00:00") == []


def test_paces_that_nobody_could_keep_are_refused():
    with pytest.raises(InputError, match="so far apart do not fit"):
        sequence([event("a")] * 3, apart=hours(2), within=hours(3))
    with pytest.raises(InputError, match="recent is 5"):
        sequence([event("a"), event("b")], recent=5)
    with pytest.raises(InputError, match="apart"):
        sequence([event("a"), event("b")], apart=hours(0))


@pytest.mark.parametrize("rule", [
    event("b").exists(within=calendar_days(1)), event("b").exists(ago=calendar_days(1)),
    event("b").count(within=calendar_days(1), ago=calendar_days(1)) == 1,
    sequence([event("a"), event("b")], recent=calendar_days(1)),
], ids=lambda rule: rule.to_text())  # fmt: skip
def test_an_hour_that_comes_twice_ends_the_search_for_the_next_change_and_is_right(rule):
    """Within the hour that the clock shows twice, a day before goes back with it: what left a window is in it again."""
    bought = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)  # 02:30 in Berlin; on the next day that time comes twice
    events = [Event("c", "a", bought - hours(5)), Event("c", "b", bought)]
    segment = Segment("s", rule)
    for minute in range(22 * 60, 30 * 60, 20):
        now = bought + timedelta(minutes=minute)
        one = segment.one(None, events, as_of=now, tz="Europe/Berlin")
        later = [now + timedelta(minutes=k) for k in range(0, 30 * 60, 10)]
        states = [segment.one(None, events, as_of=moment, tz="Europe/Berlin").member for moment in later]
        if one.next_change is None:
            assert set(states) == {one.member}
            continue
        for moment, member in zip(later, states, strict=True):
            if moment < one.next_change:
                assert member == one.member
        assert segment.one(None, events, as_of=one.next_change, tz="Europe/Berlin").member != one.member
