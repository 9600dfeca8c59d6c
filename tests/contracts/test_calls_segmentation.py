"""The calls of segmentation and of the rule language on which users rely."""

from __future__ import annotations

import numpy as np

from relmark import (
    Customer,
    Purchase,
    all_of,
    any_of,
    at_least,
    days,
    event,
    everyone,
    field,
    hours,
    ids,
    none_of,
    parse,
    prop,
    sample,
    sequence,
)
from relmark.segmentation import Rfm, RfmModel, Segment, SegmentSet, migration, presets

AS_OF = "2026-11-01"
TEA = event("purchase", where=prop("item") == "tea")
SEGMENT = Segment("tea drinkers", (field("age") >= 18) & (TEA.count(within=days(60)) >= 1))


def test_a_segment_of_a_base(base):
    r = SEGMENT.evaluate(base, as_of=AS_OF)
    assert r.mask.tolist() == [True, True, False, False, False]  # c4 is 17; of c3 the age is missing, but no tea
    assert r.ids.tolist() == ["c1", "c2"]
    assert (r.size, r.share, r.unknown) == (2, 0.4, 0)
    unsure = Segment("adults", field("age") >= 18).evaluate(base, as_of=AS_OF)
    assert unsure.unknown == 1
    assert unsure.unknown_mask.tolist() == [False, False, True, False, False]


def test_problems_of_a_definition(base):
    assert SEGMENT.problems(base.schema()) == ()
    checked = Segment.check(SEGMENT.to_dict(), base.schema())
    assert checked.segment.fingerprint == SEGMENT.fingerprint
    assert checked.problems == ()
    wrong = Segment.check(Segment("x", field("agee") >= 18).to_dict(), base.schema())
    (problem,) = wrong.problems
    assert wrong.segment is None
    assert problem.code == "unknown_field"
    assert problem.path.startswith("$.rule")
    assert "'agee'" in problem.message
    assert "'age'" in problem.hint
    broken = Segment.check({"relmark": "segment", "version": 1, "name": "x", "rule": {"op": "??"}}, base.schema())
    assert broken.segment is None
    assert Segment.json_schema()["type"] == "object"


def test_one_person_has_the_answer_of_the_columns(base):
    bought = Purchase("c1", "2026-10-19T22:00Z", 6.0, item="tea")
    one = SEGMENT.one(Customer("c1", {"age": 30}), [bought], as_of=AS_OF)
    assert one.member is True
    assert one.next_change.isoformat() == "2026-12-18T22:00:00+00:00"  # sixty days after the purchase
    assert "tea drinkers" in str(one)
    assert one.to_dict()["member"] is True
    assert SEGMENT.one(None, [bought], as_of=AS_OF).member is False
    told = SEGMENT.explain(base, "c1", as_of=AS_OF)
    assert type(told) is type(one)
    assert told.member is True


def test_definitions_come_back_as_they_were():
    assert Segment.from_json(SEGMENT.to_json()).fingerprint == SEGMENT.fingerprint
    assert parse(SEGMENT.rule.to_text()).fingerprint == SEGMENT.rule.fingerprint


def test_every_word_of_the_language(base):
    buyers = event("purchase").count() >= 1
    rules = {
        "all": all_of(buyers, field("city") == "Omsk"),
        "any": any_of(ids({"c3"}), field("city") == "Omsk"),
        "none": none_of(buyers),
        "two": at_least(2, buyers, field("age") >= 18, field("city") == "Omsk"),
        "everyone": everyone,
        "half": sample(50, salt="s"),
        "then": sequence([event("visit"), event("purchase")], within=hours(48)),
    }
    found = SegmentSet([Segment(name, rule) for name, rule in rules.items()]).evaluate(base, as_of=AS_OF)
    assert list(found.masks) == list(rules)
    assert found.masks["all"].tolist() == [True, False, False, True, False]
    assert found.masks["any"].tolist() == [True, False, True, True, False]
    assert found.masks["none"].tolist() == [False, False, False, False, True]
    assert found.masks["two"].tolist() == [True, True, False, True, False]
    assert found.masks["then"].tolist() == [True, True, False, False, False]
    assert found.sizes["everyone"] == 5
    assert found.overlap.shape == (7, 7)
    assert found.overlap[0, 0] == found.sizes["all"] == 2
    assert len(found.waterfall) == 7


def test_ready_segments_are_segments(base):
    assert presets.__all__
    for name in presets.__all__:
        assert callable(getattr(presets, name))


def test_rfm_of_a_base(base):
    model = Rfm(bins=5).fit(base, as_of=AS_OF)
    s = model.score(base, as_of=AS_OF)
    assert s.customer_id.tolist() == ["c1", "c2", "c3", "c4", "c5"]
    assert s.frequency.tolist() == [3, 2, 1, 1, 0]
    assert s.monetary.tolist()[:4] == [29.0, 33.0, 20.0, 10.0]
    assert s.calendar_days_since.tolist()[:4] == [12.0, 1.0, 119.0, 31.0]
    assert s.r.tolist()[:4] == [4, 5, 2, 3]
    assert s.f.tolist()[:4] == [4, 3, 1, 1]
    assert s.m.tolist()[:4] == [3, 4, 2, 1]
    assert len(s.segment) == 5
    assert sum(s.counts().values()) == 5
    again = RfmModel.from_json(model.to_json()).score(base.purchases(), as_of=AS_OF)
    assert again.r.tolist() == s.r.tolist()
    assert migration(s, s).moved == 0
    assert np.array_equal(Rfm(bins=5).fit(base.purchases(), as_of=AS_OF).score(base, as_of=AS_OF).m, s.m)
