"""Compiled definitions are kept by what they say: bounded, shared by threads, and never a different answer."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from relmark import Customer, Event, days, event, field
from relmark.expressions import Expression, nodes, scalar, segment
from relmark.expressions.kept import Kept
from relmark.expressions.scalar import Person, program_of
from relmark.scoring import LeadScore, Rule, lead_score
from relmark.segmentation import Segment, SegmentSet

AS_OF = "2026-11-09"
RULE = (field("age") >= 18) & (event("a").count(within=days(30)) >= 2)


def test_what_was_used_least_lately_goes_first():
    kept, made = Kept(2), []

    def make(key):
        return kept.get(key, lambda: made.append(key) or object())

    one, two = make("one"), make("two")
    assert make("one") is one
    make("three")
    assert make("one") is one
    assert make("two") is not two
    assert made == ["one", "two", "three", "two"]
    assert len(kept) == 2


def test_threads_get_one_value():
    kept = Kept(100)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: kept.get(k % 10, object), range(2_000)))
    assert len({id(one) for one in found}) == 10


def test_a_definition_read_again_is_not_compiled_again(monkeypatch):
    first = program_of(RULE)
    again = Expression.from_json(RULE.to_json())
    assert program_of(again) is first
    assert program_of(again, "Europe/Berlin") is not first
    monkeypatch.setattr(scalar, "Program", None)  # nothing is made
    assert program_of(Expression.from_json(RULE.to_json())) is first


@pytest.mark.long
def test_programs_are_bounded():
    for k in range(600):
        program_of(field("n") > k)
    gc.collect()
    assert len(scalar._KEPT) <= 512
    assert program_of(field("n") > 5).verdict(Person(1, {"n": 6}, {}, 0)) is True


def test_nodes_that_are_written_alike_are_known():
    again = Expression.from_json(RULE.to_json())
    program, person = program_of(again), Person.of(Customer(1, {"age": 20}), [], as_of=AS_OF)
    assert program.call(again.args[0])(person, person.as_of) is True
    assert program.finder(again.args[1].left.events)(person) == ([], [])
    assert program.call(nodes.Literal(3))(person, 0) == 3
    with pytest.raises(KeyError):
        program.call(field("other"))


def test_segments_of_one_name_in_two_sets_are_not_mixed():
    ask = Segment("ask", segment("base") & field("vip"))
    sets = [SegmentSet([Segment("base", field("age") > age), ask]) for age in (10, 30)]
    customer = Customer("c", {"age": 20, "vip": True})
    for _ in range(2):
        assert [one.one(customer, [], as_of=AS_OF)["ask"].member for one in sets] == [True, False]


def test_scores_that_differ_in_a_name_keep_it():
    scores = [LeadScore(name=name, rules=[Rule(name, each=event("a"), points=3)]) for name in ("first", "second")]
    events = [Event("c", "a", "2026-11-01T00:00Z")]
    for score in (*scores, *(LeadScore.from_json(one.to_json()) for one in scores)):
        one = score.one(None, events, as_of=AS_OF)
        assert (one.name, one.lines[0].rule) == (score.name, score.rules[0].name)
    size = len(lead_score._KEPT)
    LeadScore.from_json(scores[0].to_json()).one(None, events, as_of=AS_OF)
    assert len(lead_score._KEPT) == size
