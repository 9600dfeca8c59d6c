"""Stages: the deepest step in order, since when and for how long, in every form and for one person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from relmark import (
    Customer,
    CustomerBase,
    CustomerTable,
    Event,
    EventLog,
    days,
    engines,
    event,
    hours,
    parse,
    prop,
    stage,
)
from relmark.errors import DefinitionError, InputError
from relmark.expressions import Expression
from relmark.segmentation import Segment

STEPS = {"lead": event("lead"), "demo": event("demo"), "won": event("won")}
AS_OF = datetime(2026, 2, 1, tzinfo=UTC)
ROWS = [
    ("a", "lead", "2026-01-01T10:00Z"), ("a", "demo", "2026-01-03T10:00Z"), ("a", "demo", "2026-01-20T10:00Z"),
    ("b", "demo", "2026-01-04T10:00Z"), ("c", "lead", "2026-01-05T10:00Z"), ("c", "won", "2026-01-06T10:00Z"),
    ("d", "lead", "2026-01-01T10:00Z"), ("d", "lead", "2026-01-29T10:00Z"), ("d", "demo", "2026-01-30T10:00Z"),
    ("d", "won", "2026-02-03T10:00Z"), ("e", "lead", "2026-01-05T10:00Z"), ("e", "demo", "2026-01-05T10:00Z"),
]  # fmt: skip


def base():
    log = EventLog.from_columns(
        customer_id=[row[0] for row in ROWS], type=[row[1] for row in ROWS], time=[row[2] for row in ROWS]
    )
    return CustomerBase(customers=CustomerTable.from_columns(customer_id=list("zabcde")), events=log)


def told(expression, as_of=AS_OF):
    return base().measure({"x": expression}, as_of=as_of)["x"].tolist()


def test_the_deepest_step_in_order_is_named():
    at = stage(STEPS)
    assert told(at) == [None, "demo", None, "lead", "demo", "lead"]  # e did both at one instant
    assert told(at, datetime(2026, 2, 4, tzinfo=UTC)) == [None, "demo", None, "lead", "won", "lead"]
    assert told(at, datetime(2026, 1, 2, tzinfo=UTC)) == [None, "lead", None, None, "lead", None]


def test_the_window_is_from_the_first_step_and_any_attempt_counts():
    assert told(stage(STEPS, within=days(1))) == [None, "lead", None, "lead", "demo", "lead"]
    assert told(stage(STEPS, within=days(2))) == [None, "demo", None, "lead", "demo", "lead"]  # its end included


def test_a_stage_is_entered_when_it_was_reached_first():
    at = stage(STEPS)
    assert told(at.entered())[1] == datetime(2026, 1, 3, 10)
    assert told(at.entered())[4] == datetime(2026, 1, 30, 10)
    assert told(at.days())[1] == pytest.approx(28 + 14 / 24)
    assert np.isnan(told(at.days())[0])
    assert told(at.entered().within(days(7))) == [None, False, None, False, True, False]


def test_who_has_no_stage_is_unknown_unless_a_name_is_given():
    members = Segment("not won", ~(stage(STEPS) == "won")).evaluate(base(), as_of=AS_OF)
    assert (members.ids.tolist(), members.unknown) == (["a", "c", "d", "e"], 2)
    filled = Segment("none", stage(STEPS).fill("none") == "none").evaluate(base(), as_of=AS_OF)
    assert filled.ids.tolist() == ["z", "b"]


def test_every_form_says_the_same():
    for at in (stage(STEPS), stage(STEPS, within=hours(36)), stage(STEPS).entered(), stage(STEPS).days()):
        assert parse(at.to_text()).fingerprint == at.fingerprint
        assert Expression.from_json(at.to_json()).fingerprint == at.fingerprint
    assert stage(STEPS).to_text() == 'stage({"lead": event("lead"), "demo": event("demo"), "won": event("won")})'
    body = stage({"x": event("a", where=prop("n") > 1), "y": event("b")}, within=days(3)).to_dict()
    assert body == {
        "op": "stage", "names": ["x", "y"], "duration": "P3D",
        "steps": [{"types": ["a"], "where": {"op": "gt", "left": {"op": "prop", "name": "n"}, "right": 1}},
                  {"types": ["b"]}],
    }  # fmt: skip
    other = stage({"lead": event("lead"), "demo": event("demo"), "sold": event("won")})
    assert other.fingerprint != stage(STEPS).fingerprint


def test_one_person_gets_the_answer_of_the_columns_and_when_it_changes():
    rule = (stage(STEPS) == "demo") & (stage(STEPS).days() > 30)
    segment = Segment("waiting", rule)
    one = segment.explain(base(), "a", as_of=AS_OF)
    assert one.member is False
    assert one.next_change.replace(microsecond=0) == datetime(2026, 2, 2, 10, tzinfo=UTC)
    events = [Event("a", kind, time) for who, kind, time in ROWS if who == "a"]
    same = segment.one(Customer("a", {}), events, as_of=AS_OF)
    assert (same.member, same.next_change) == (one.member, one.next_change)
    later = segment.one(Customer("a", {}), events, as_of=one.next_change)
    assert later.member is True
    assert later.next_change is None
    assert "when the demo of 2026-01-03 10:00 is long enough ago" in str(one)


def test_what_is_missing_to_a_stage_is_its_next_step():
    gap = Segment("won", stage(STEPS) == "won").explain(base(), "a", as_of=AS_OF).to_dict()["tree"]["gap"]
    assert (gap["code"], gap["amount"], gap["of"]) == ("next_step", 1, "won")
    started = Segment("won", stage(STEPS, within=days(40)) == "won").explain(base(), "a", as_of=AS_OF).to_dict()
    assert started["tree"]["gap"]["before"].startswith("2026-02-10T10:00")
    over = Segment("won", stage(STEPS, within=days(3)) == "won").explain(base(), "a", as_of=AS_OF).to_dict()
    assert (over["tree"]["gap"]["amount"], over["tree"]["gap"]["of"]) == (3, "lead")
    passed = Segment("lead", stage(STEPS) == "lead").explain(base(), "a", as_of=AS_OF).to_dict()
    assert "gap" not in passed["tree"]


def test_a_schema_knows_of_which_kind_it_is():
    schema = base().schema()
    wrong = {"wrong_type": [stage(STEPS) == 3, stage(STEPS).days() == "x", stage(STEPS).entered() > 3],
             "not_rule": [stage(STEPS), stage(STEPS).entered()]}  # fmt: skip
    for code, rules in wrong.items():
        for rule in rules:
            with pytest.raises(DefinitionError) as caught:
                Segment("s", rule)
            assert caught.value.code == code
    (unknown,) = Segment("s", stage({"a": event("led"), "b": event("demo")}) == "a").problems(schema)
    assert (unknown.code, unknown.path) == ("unknown_event", "$.rule.left.steps[0].types[0]")
    assert "'lead'" in unknown.hint


def test_engines_refuse_it_with_its_path():
    rule = (event("lead").exists()) & (stage(STEPS) == "demo")
    assert engines.unsupported(rule) == ("$.args[1].left",)
    with pytest.raises(InputError, match=r"\$\.args\[1\]\.left|\$\.rule\.args\[1\]\.left"):
        engines.evaluate(
            Segment("s", rule), events=pytest.importorskip("polars").LazyFrame({"customer_id": ["a"]}), as_of=AS_OF
        )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: stage([event("a"), event("b")]), "a mapping is needed"),
        (lambda: stage({"a": event("a")}), "at least two"),
        (lambda: stage({"a": event("a"), "b": "b"}), "events are needed"),
        (lambda: stage({"": event("a"), "b": event("b")}), "the name of a stage is ''"),
        (lambda: stage({1: event("a"), "b": event("b")}), "the name of a stage is 1"),
        (lambda: stage(STEPS, within=7), "within"),
        (lambda: stage(STEPS, within=timedelta(0)), "within"),
        (lambda: stage(STEPS).days().entered(), "is not a stage"),
    ],
)
def test_what_is_no_stage_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
