"""Segments, their funnels and differences, sets of them, checks and the JSON Schema."""

from __future__ import annotations

import json
import math
import pickle
import re
import time
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, Purchase, Schema
from relmark.core.errors import DefinitionError, InputError, MissingColumnError
from relmark.expressions.operations import OPERATIONS
from relmark.expressions.phrases import ENGLISH, RUSSIAN
from relmark.segmentation import (
    Segment,
    SegmentSet,
    all_of,
    any_of,
    at_least,
    days,
    diff,
    event,
    field,
    hours,
    ids,
    none_of,
    parse,
    presets,
    prop,
    sample,
    segment,
    sequence,
)

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def ago(amount):
    return AS_OF - days(amount)


EVENTS = [
    Purchase("a", ago(1), 30.0, properties={"sku": "x"}),
    Purchase("a", ago(5), 20.0, properties={"sku": "y"}),
    Purchase("b", ago(40), 10.0, properties={"sku": "x"}),
    Event(customer_id="b", type="unsubscribe", time=ago(3)),
    Purchase("e", ago(2), 5.0, properties={"sku": "x"}),
]
BASE = CustomerBase(
    customers=CustomerTable.from_columns(
        customer_id=["d", "c", "b", "a"], age=[17.0, None, 40.0, 30.0], city=["Omsk", "Omsk", None, "Perm"]
    ),
    events=EventLog.from_events(EVENTS),
)
SEGMENT = Segment(
    "adults who bought",
    (field("age") >= 18) & event("purchase").exists(within=days(30)) & ~event("unsubscribe").exists(),
)


def test_members_are_aligned_with_the_base():
    found = SEGMENT.evaluate(BASE, as_of="2026-03-01")
    assert BASE.customer_id.tolist() == ["d", "c", "b", "a", "e"]
    assert found.mask.tolist() == [False, False, False, True, False]
    assert found.unknown_mask.tolist() == [False, False, False, False, True]
    assert found.ids.tolist() == ["a"]
    assert (found.size, found.share, found.unknown, len(found)) == (1, 0.2, 1, 5)
    assert not found.mask.flags.writeable
    assert found.to_columns()["mask"].tolist() == found.mask.tolist()
    assert found.to_dict() == {
        "name": "adults who bought", "size": 1, "share": 0.2, "unknown": 1, "of": 5, "as_of": "2026-03-01",
        "notes": [], "ids": ["a"],
    }  # fmt: skip
    assert repr(found).startswith(
        "SegmentMembers(name=adults who bought, size=1, share=0.2, unknown=1, of=5, as_of=2026-03-01"
    )
    assert "adults who bought" in str(found)
    assert BASE.with_columns(found, names={"mask": "adult"}).column("adult").values().tolist() == found.mask.tolist()


def test_as_of_may_be_one_a_customer():
    moments = [ago(0), ago(0), ago(0), ago(4), ago(0)]
    found = SEGMENT.evaluate(BASE, as_of=moments)
    assert found.ids.tolist() == ["a"]
    assert found.as_of.dtype == "M8[us]"
    assert "as_of" not in repr(found)
    assert "as_of" not in found.to_dict()
    assert SEGMENT.evaluate(BASE, as_of=[ago(0), ago(0), ago(0), ago(6), ago(0)]).size == 0


def test_an_empty_base_has_no_members_and_no_share():
    found = Segment("all", event("purchase").exists()).evaluate(CustomerBase(), as_of="2026-03-01")
    assert found.size == 0
    assert np.isnan(found.share)


def test_what_the_data_do_not_have_is_told():
    found = Segment("typo", event("purchse").exists()).evaluate(BASE, as_of="2026-03-01")
    assert found.size == 0
    assert "Did you mean 'purchase'?" in found.notes[0]
    assert "notes" in repr(found)
    found = Segment("typo", event("purchase", where=prop("skuu") == "x").exists()).evaluate(BASE, as_of="2026-03-01")
    assert "Did you mean 'sku'?" in found.notes[0]
    with pytest.raises(MissingColumnError, match="Did you mean 'age'"):
        Segment("typo", field("agee") > 3).evaluate(BASE, as_of="2026-03-01")
    with pytest.raises(DefinitionError, match=r"\$\.rule\.right.*a number"):
        Segment("words", field("age") > "3").evaluate(BASE, as_of="2026-03-01")
    with pytest.raises(DefinitionError, match="no segment 'vip'; there are none"):
        Segment("alone", segment("vip")).evaluate(BASE, as_of="2026-03-01")


@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        ("", field("a") > 1, "name"),
        (3, field("a") > 1, "name"),
        ("x", "field", "rule is needed"),
        ("x", event("a"), "exists"),
        ("x", field("a") + 1, "a number, but a rule is needed"),
        ("x", prop("a") == 1, "where="),
    ],
)
def test_a_segment_needs_a_name_and_a_rule(name, rule, words):
    with pytest.raises(InputError, match=words):
        Segment(name, rule)


def test_a_segment_is_stored_with_its_name_and_known_by_its_rule():
    described = Segment("x", SEGMENT.rule, description="for letters")
    assert described.fingerprint == SEGMENT.fingerprint == SEGMENT.rule.fingerprint
    again = Segment.from_json(described.to_json())
    assert again == described
    assert again != SEGMENT
    assert again.description == "for letters"
    assert hash(again) == hash(described)
    assert pickle.loads(pickle.dumps(described)) == described
    assert str(SEGMENT).startswith('adults who bought: (field("age") >= 18) & event("purchase")')
    assert SEGMENT.problems(BASE.schema()) == ()
    assert (
        SEGMENT.problems(Schema(fields={"Age": float}, events={"purchase": {}, "unsubscribe": {}}))[0].path
        == "$.rule.args[0].left"
    )


def test_by_clause_says_what_each_clause_costs():
    found = SEGMENT.by_clause(BASE, as_of="2026-03-01")
    assert found.left.tolist() == [2, 1, 1]
    assert found.lost.tolist() == [3, 1, 0]
    assert found.only.tolist() == [1, 0, 0]  # e, whose age is missing
    assert found.true.tolist() == [2, 2, 4]
    assert found.unknown.tolist() == [2, 0, 0]
    assert (found.size, found.of) == (1, 5)
    assert found.clause[0] == 'field("age") >= 18'
    assert "clause" in str(found)
    assert "size=1" in repr(found)
    assert Segment("one", field("age") >= 18).by_clause(BASE, as_of="2026-03-01").only.tolist() == [3]


def test_clauses_are_counted_under_the_words_of_a_language():
    plain = SEGMENT.by_clause(BASE, as_of="2026-03-01")
    for phrases in (ENGLISH, RUSSIAN):
        found = SEGMENT.by_clause(BASE, as_of="2026-03-01", phrases=phrases)
        assert found.clause.tolist() == [clause.to_words(phrases) for clause in SEGMENT.rule.args]
        assert found.left.tolist() == plain.left.tolist()
    vip = Segment("vip", field("vip") & (field("age") >= 18))
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1], vip=[True], age=[30]))
    assert vip.by_clause(base, as_of="2026-03-01", phrases=ENGLISH).clause[0] == "vip: yes"


def test_a_problem_of_the_name_stands_at_the_name():
    for key in ("name", "description"):
        body = {**SEGMENT.to_dict(), key: "a\0b"}
        (problem,) = Segment.check(body).problems
        assert (problem.path, problem.code) == (f"$.{key}", "bad_text")


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        (
            {"op": "lt", "left": "born", "right": "1995-01-31"},
            'Write {"date": "1995-01-31"} in JSON, datetime.date(1995',
        ),
        ({"op": "lt", "left": "born", "right": "31.01.95"}, 'Write {"date": "2026-11-01"} in JSON, datetime.date(2026'),
        ({"op": "lt", "left": "born", "right": 1995}, 'Write {"date": "2026-11-01"} in JSON'),
        ({"op": "between", "arg": "born", "low": "1995-01-31", "high": "1996-01-31"}, 'Write {"date": "1995-01-31"}'),
        ({"op": "in", "arg": "born", "values": ["1995-01-31"]}, 'Write {"date": "1995-01-31"} in JSON'),
        ({"op": "ge", "left": "age", "right": "18"}, "Write 18 without quotes."),
        ({"op": "ge", "left": "age", "right": "old"}, ""),
        ({"op": "eq", "left": "vip", "right": "true"}, "Write true or false, without quotes; True or False in Python."),
        ({"op": "eq", "left": "vip", "right": 1}, "Write true or false"),
        ({"op": "eq", "left": "city", "right": 7}, 'Write "7", with quotes.'),
        ({"op": "eq", "left": "city", "right": 7.5}, 'Write "7.5", with quotes.'),
        ({"op": "eq", "left": "city", "right": True}, ""),
        ({"op": "lt", "left": "city", "right": {"date": "1995-01-31"}}, "Turn its texts into dates"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_how_it_is_written(rule, hint):
    schema = Schema(fields={"born": date, "age": float, "vip": bool, "city": str})
    side = "left" if "left" in rule else "arg"
    body = {**rule, side: {"op": "field", "name": rule[side]}}
    (problem,) = Segment.check({"relmark": "segment", "version": 1, "name": "s", "rule": body}, schema).problems
    assert problem.code == "wrong_type"
    assert problem.hint.startswith(hint)
    assert bool(problem.hint) == bool(hint)
    assert "datetime" not in problem.message


def test_a_property_that_is_not_there_may_be_the_value_of_the_event():
    amount = {"op": "ge", "left": {"op": "sum", "events": {"types": ["purchase"]}, "of": "amount"}, "right": 1}
    body = {"relmark": "segment", "version": 1, "name": "s", "rule": amount}
    (problem,) = Segment.check(body, Schema(events={"purchase": {"sku": str}})).problems
    assert (problem.path, problem.code) == ("$.rule.left.of", "unknown_property")
    assert problem.hint.endswith("is 'value'.")
    (problem,) = Segment.check(body, Schema(events={"purchase": {"sku": str}, "refund": {"amount": float}})).problems
    assert problem.hint == "Events that have it: 'refund'."


def test_the_difference_says_who_moved_and_why():
    before, after = SEGMENT.evaluate(BASE, as_of=ago(11)), SEGMENT.evaluate(BASE, as_of=AS_OF)
    moved = SEGMENT.diff(before, after)
    assert (moved.before, moved.after, moved.stayed) == (1, 1, 0)
    assert moved.entered.tolist() == ["a"]
    assert moved.left.tolist() == ["b"]
    assert moved.entered_by.tolist() == [0, 1, 0]
    assert moved.left_by.tolist() == [0, 1, 1]
    assert (moved.new_customers, moved.gone_customers) == (0, 0)
    assert moved.to_columns()["left_by"].tolist() == [0, 1, 1]
    assert "entered by" in str(moved)
    assert "entered=1" in repr(moved)


def test_the_difference_of_two_bases_counts_who_came_and_went():
    rule = Segment("bought", event("purchase").exists())
    early = CustomerBase(events=EventLog.from_events(EVENTS[:3]))
    late = CustomerBase(events=EventLog.from_events([EVENTS[4], EVENTS[0]]))
    moved = diff(rule.evaluate(early, as_of=AS_OF), rule.evaluate(late, as_of=AS_OF))
    assert moved.entered.tolist() == ["e"]
    assert moved.left.tolist() == ["b"]
    assert (moved.stayed, moved.new_customers, moved.gone_customers) == (1, 1, 1)
    assert moved.entered_by.tolist() == moved.left_by.tolist() == [0]
    nobody = rule.evaluate(CustomerBase(), as_of=AS_OF)
    assert diff(nobody, nobody).stayed == 0
    with pytest.raises(InputError, match="another"):
        diff(rule.evaluate(early, as_of=AS_OF), SEGMENT.evaluate(BASE, as_of=AS_OF))
    with pytest.raises(InputError, match=r"Segment\.evaluate"):
        diff("a", "b")


def test_one_person_gets_what_the_base_gives_with_why():
    customer = Customer("a", {"age": 30.0, "city": "Perm"})
    one = SEGMENT.one(customer, [e for e in EVENTS if e.customer_id == "a"], as_of=AS_OF)
    assert one.member is True
    assert SEGMENT.explain(BASE, "a", as_of=AS_OF).to_dict() == one.to_dict()
    assert "adults who bought" in str(one)
    for who, member in zip(BASE.customer_id.tolist(), SEGMENT.evaluate(BASE, as_of=AS_OF).mask, strict=True):
        assert SEGMENT.explain(BASE, who, as_of=AS_OF).member == member
    assert SEGMENT.one(None, [], as_of=AS_OF).member is False


SET = SegmentSet([
    Segment("buyers", event("purchase").exists()),
    Segment("recent", segment("buyers") & event("purchase").exists(within=days(7))),
    Segment("adults", field("age") >= 18),
    Segment("nobody", ids([])),
])  # fmt: skip


def test_a_set_is_evaluated_at_once():
    found = SET.evaluate(BASE, as_of=AS_OF)
    assert found.sizes == {"buyers": 3, "recent": 2, "adults": 2, "nobody": 0}
    assert found.unknown == {"buyers": 0, "recent": 0, "adults": 2, "nobody": 0}
    for one in SET:
        if one.name != "recent":
            assert (found.masks[one.name] == one.evaluate(BASE, as_of=AS_OF).mask).all()
    assert found.overlap.tolist() == [[3, 2, 2, 0], [2, 2, 1, 0], [2, 1, 2, 0], [0, 0, 0, 0]]
    assert found.jaccard[0, 1] == pytest.approx(2 / 3)
    assert np.isnan(found.jaccard[3, 3])
    assert found.names == ("buyers", "recent", "adults", "nobody")
    assert list(found.to_columns()) == ["customer_id", *found.names]
    assert found.to_dict()["jaccard"][3][3] is None
    assert "exclusive" in str(found)
    assert "buyers: 3" in repr(found)
    assert "as_of" not in repr(SET.evaluate(BASE, as_of=[AS_OF] * 5))
    assert not found.masks["buyers"].flags.writeable


def test_the_waterfall_gives_each_customer_the_first_segment():
    waterfall = SegmentSet([SET["adults"], SET["buyers"]]).evaluate(BASE, as_of=AS_OF).waterfall
    assert waterfall.segment.tolist() == ["adults", "buyers"]
    assert waterfall.size.tolist() == [2, 3]
    assert waterfall.exclusive.tolist() == [2, 1]
    assert waterfall.cumulative.tolist() == [2, 3]
    assert waterfall.assigned.tolist() == ["", "", "adults", "adults", "buyers"]
    assert waterfall.code.tolist() == [-1, -1, 0, 0, 1]
    assert waterfall.outside == 2
    assert list(waterfall.to_columns()) == ["segment", "size", "exclusive", "cumulative"]
    assert "outside=2" in repr(waterfall)


def test_a_set_is_stored_and_its_segments_found_by_name():
    again = SegmentSet.from_json(SET.to_json())
    assert again.fingerprint == SET.fingerprint
    assert len(again) == 4
    assert again["recent"].rule.fingerprint == SET["recent"].rule.fingerprint
    with pytest.raises(InputError, match="Did you mean 'buyers'"):
        SET["buyer"]
    assert SET.problems(BASE.schema()) == ()
    wrong = SegmentSet([Segment("x", field("agee") > 3)]).problems(BASE.schema())
    assert wrong[0].path == "$.segments[0].rule.left"


def test_a_set_explains_one_person_segment_by_segment():
    whole = SET.evaluate(BASE, as_of=AS_OF)
    for row, who in enumerate(BASE.customer_id.tolist()):
        told = SET.explain(BASE, who, as_of=AS_OF)
        assert {name: one.member for name, one in told.items()} == {name: whole.masks[name][row] for name in SET.rules}
    one = SET.one(Customer("a", {"age": 30.0}), (e for e in EVENTS if e.customer_id == "a"), as_of=AS_OF)
    assert {name: told.member for name, told in one.items()} == {
        "buyers": True,
        "recent": True,
        "adults": True,
        "nobody": False,
    }


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        (SEGMENT, "list of segments"),
        (3, "list of segments"),
        ([SEGMENT, "x"], "segments are needed"),
        ([SEGMENT, SEGMENT], "twice"),
        ([Segment("a", segment("b")), Segment("b", segment("c")), Segment("c", segment("a"))], "circle"),
        ([Segment("adults", segment("adult"))], "Did you mean 'adults'"),
    ],
)  # fmt: skip
def test_a_set_refuses_what_cannot_be_evaluated(segments, words):
    with pytest.raises(InputError, match=words):
        SegmentSet(segments)


def test_segments_of_a_set_share_a_chain_of_any_length():
    chain = [Segment("0", field("age") >= 18)] + [Segment(str(k), segment(str(k - 1))) for k in range(1, 60)]
    assert set(SegmentSet(chain[::-1]).evaluate(BASE, as_of=AS_OF).sizes.values()) == {2}


def test_a_check_finds_every_problem_at_once():
    body = {
        "relmark": "segment", "version": 1, "name": "x", "color": "red",
        "rule": {"op": "and", "args": [
            {"op": "ge", "left": {"op": "field", "name": "ag"}, "right": 18},
            {"op": "ge", "left": {"op": "field", "name": "age"}, "right": "18"},
            {"op": "exists", "events": {"types": ["purchase"]}, "within": "P30D"},
        ]},
    }  # fmt: skip
    checked = Segment.check(body, BASE.schema())
    assert [(p.path, p.code) for p in checked.problems] == [
        ("$", "unknown_key"), ("$.rule.args[0].left", "unknown_field"), ("$.rule.args[1].right", "wrong_type"),
    ]  # fmt: skip
    assert checked.to_dict()["segment"] is None
    assert "Did you mean 'age'?" in str(checked)
    del body["color"]
    body["rule"]["args"] = body["rule"]["args"][2:]
    checked = Segment.check(json.dumps(body), BASE.schema())
    assert checked
    assert str(checked) == "no problems"
    assert checked.segment.rule.to_text() == 'event("purchase").exists(within=days(30))'
    assert checked.to_dict()["problems"] == []
    body["rule"]["args"] = [{"op": "field", "name": "agee"}]
    assert Segment.check(body).segment is not None  # without a schema a field is believed
    assert Segment.check(body, BASE.schema()).problems[0].code == "unknown_field"
    assert Segment.check(b"{}").problems[0].code == "wrong_kind"


def test_a_check_refuses_a_rule_that_is_too_deep_to_evaluate():
    rule = {"op": "field", "name": "age"}
    for _ in range(120):
        rule = {"op": "not", "arg": rule}
    from relmark.core.documents import Limits

    body = {"relmark": "segment", "version": 1, "name": "x", "rule": rule}
    assert Segment.check(body, limits=Limits(depth=400)).problems[0].code == "too_deep"
    body["rule"] = {"op": "everyone"}
    assert Segment.check({**body, "name": "\ud800"}).problems[0].code in {"wrong_value", "not_text"}


_TYPES = {"number": (int, float), "integer": int, "boolean": bool, "string": str, "object": dict, "array": list}


def _fits(schema, value, definitions):
    """A small validator of the parts of JSON Schema that ours uses."""
    if schema is True:
        return True
    if "$ref" in schema:
        return _fits(definitions[schema["$ref"].removeprefix("#/$defs/")], value, definitions)
    if "if" in schema:
        branch = schema.get("then" if _fits(schema["if"], value, definitions) else "else", True)
        if not _fits(branch, value, definitions):
            return False
    kinds = schema.get("type", list(_TYPES))
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)):
            break
    else:
        return False
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return (
            set(schema.get("required", ())) <= set(value)
            and (schema.get("additionalProperties", True) or set(value) <= set(known))
            and schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**9)
            and all(_fits(known[key], item, definitions) for key, item in value.items() if key in known)
        )
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9) and all(
            _fits(schema.get("items", True), item, definitions) for item in value
        )
    if isinstance(value, str):
        return len(value) >= schema.get("minLength", 0) and bool(re.search(schema.get("pattern", ""), value))
    return True


def test_the_json_schema_takes_what_is_written_and_nothing_else():
    schema = Segment.json_schema()
    json.dumps(schema)
    definitions = schema["$defs"]
    assert set(definitions["expression"]["properties"]["op"]["enum"]) == set(OPERATIONS)
    shoes = event("purchase", where=prop("sku").is_in(["x"]) & (prop("value") > 1))
    rules = [
        SEGMENT.rule, sequence([shoes, event("b")], within=days(1), strict=True, exclude=[event("c")]),
        shoes.not_followed_by(event("b"), within=hours(1), recent=days(1)) | shoes.regularly(2, of=3, period="week"),
        shoes.regularly(2, of=3, period=timedelta(seconds=1.5)) & field("d").in_period("month", -1),
        shoes.last_event(prop("sku") == "x", since="2026-01-01", until=AS_OF) & field("d").anniversary(days(3)),
        at_least(2, field("a").like("x*", casefold=True), field("b").contains_any(["a", "b"]), sample(5, salt="s")),
        none_of(field("a").is_null(), field("d") == date(2026, 1, 1), field("d").between(AS_OF, AS_OF)),
        all_of(field("a").fill(0) + 1 > 2, any_of(ids([1]), segment("x")), field("d").age() > shoes.last("n")),
    ]  # fmt: skip
    for rule in [*rules, *(getattr(presets, name)() for name in presets.__all__)]:
        assert _fits(schema, Segment("x", rule, description="d").to_dict(), definitions), rule
    for wrong in _WRONG:
        assert not _fits(definitions["expression"], wrong, definitions), wrong


_WRONG = (
    {"op": "eq", "left": 1}, {"op": "nothing"}, {"op": "everyone", "x": 1}, "everyone", {},
    {"op": "exists", "events": {"types": []}}, {"op": "exists", "events": {"types": ["a"]}, "within": "P"},
    {"op": "eq", "left": {"op": "eqq"}, "right": 1}, {"op": "eq", "left": {"op": "age"}, "right": 1},
    {"op": "eq", "left": 1, "right": [1]}, {"op": "between", "arg": {"op": "field", "name": "a"}, "low": {}, "high": 3},
)  # fmt: skip


def levels(n):
    leaf = event("purchase", where=(prop("sku") == "a") & (prop("value") + 1 > n)).count(within=days(30)) >= 2
    return leaf if n == 0 else levels(n - 1) & ~levels(n - 1) | at_least(1, leaf, field("age").between(1, 3))


def test_validators_of_json_schema_follow_one_branch_and_name_the_place():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(Segment.json_schema())
    validator = jsonschema.Draft202012Validator(Segment.json_schema())
    for wrong in _WRONG:
        body = {"relmark": "segment", "version": 1, "name": "x", "rule": wrong}
        assert not validator.is_valid(body), wrong
    body = Segment("x", levels(3)).to_dict()
    spoiled = json.loads(json.dumps(body).replace('"ge"', '"gee"', 1))
    taken = math.inf
    for _ in range(3):
        start = time.process_time()
        assert validator.is_valid(body)
        (problem,) = validator.iter_errors(spoiled)
        taken = min(taken, time.process_time() - start)
    assert problem.json_path.endswith(".op")
    assert taken < 0.4  # two of 20 ms each; a choice of all operators took seconds


def test_a_definition_from_outside_is_told_every_problem_at_once():
    schema = Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}})
    sku = {"op": "prop", "name": "skuu"}
    body = {"relmark": "segment", "version": 1, "naem": "x", "rule": {"op": "and", "args": [
        {"op": "is_in", "arg": {"op": "field", "name": "citty"}, "values": ["a"]},
        {"op": "eq", "left": {"op": "field", "name": "agee"}, "right": [1]},
        {"op": "gt", "left": {"op": "field", "name": "city"}, "right": 5},
        {"op": "ge", "right": 2, "left": {"op": "count", "events": {
            "types": ["purchse"], "where": {"op": "eqq", "left": sku, "right": "a"}}}},
        {"op": "exists", "events": {"types": ["purchase"], "where": {"op": "eq", "left": sku, "right": 1}, "wher": 1}},
        {"op": "all_of", "args": [{"op": "is_null", "arg": {"op": "field", "name": "zip"}}, 5]},
    ]}}  # fmt: skip
    found = {(problem.path, problem.code): problem for problem in Segment.check(body, schema).problems}
    assert set(found) == {
        ("$", "unknown_key"), ("$", "missing_key"), ("$.rule.args[0].op", "unknown_operator"),
        ("$.rule.args[0].arg", "unknown_field"), ("$.rule.args[1].right", "wrong_type"),
        ("$.rule.args[1].left", "unknown_field"), ("$.rule.args[2].right", "wrong_type"),
        ("$.rule.args[3].left.events.types[0]", "unknown_event"),
        ("$.rule.args[3].left.events.where.op", "unknown_operator"), ("$.rule.args[4].events", "unknown_key"),
        ("$.rule.args[4].events.where.left", "unknown_property"), ("$.rule.args[5].op", "unknown_operator"),
        ("$.rule.args[5].args[0].arg", "unknown_field"),
    }  # fmt: skip
    assert found["$.rule.args[0].op", "unknown_operator"].hint == "Did you mean 'in'?"
    assert found["$.rule.args[5].op", "unknown_operator"].hint == "Did you mean 'and'?"
    assert 'field("city") is a text, but 5 is a number' in found["$.rule.args[2].right", "wrong_type"].message


@pytest.mark.parametrize(("spelled", "stored"), [("==", "eq"), (">=", "ge"), ("is_in", "in"), ("avg", "mean"),
                                                 ("after", "gt"), ("none_of", "not"), ("countt", "count")])  # fmt: skip
def test_an_operator_by_another_name_is_told_its_stored_word(spelled, stored):
    body = {"relmark": "segment", "version": 1, "name": "x", "rule": {"op": spelled, "arg": {"op": "everyone"}}}
    (problem,) = Segment.check(body).problems
    assert problem.hint == f"Did you mean {stored!r}?"


def test_text_made_into_a_segment_is_the_same_segment():
    rule = parse(
        'field("age") >= 18 and event("purchase").exists(within=days(30)) and not event("unsubscribe").exists()'
    )
    assert Segment("again", rule).fingerprint == SEGMENT.fingerprint


def test_a_set_costs_one_person_less_than_its_parts_one_by_one():
    events = [Event("c", ["buy", "visit", "open"][k % 3], AS_OF - days(k), 5.0) for k in range(50)]
    rules = [
        (event("buy").count(within=days(30)) >= 2) & (field("age") > 18),
        event("buy").sum(within=days(90)) > 50,
        ~event("visit").exists(within=days(10)) | (field("age") > 60),
        event("open").days_since_last() > 7,
    ]
    parts = [Segment(f"s{k}", rule) for k, rule in enumerate(rules)]
    whole = SegmentSet([*parts, Segment("both", segment("s0") & segment("s1"))])
    customer = Customer("c", {"age": 41})
    together = whole.one(customer, events, as_of=AS_OF)
    apart = {part.name: part.one(customer, events, as_of=AS_OF) for part in parts}
    assert {name: together[name].member for name in apart} == {name: one.member for name, one in apart.items()}
    assert together["both"].member == (apart["s0"].member and apart["s1"].member)
    taken = []
    same = SegmentSet(parts)
    for call in (lambda: same.one(customer, events, as_of=AS_OF),
                 lambda: [part.one(customer, events, as_of=AS_OF) for part in parts]):  # fmt: skip
        best = math.inf
        for _ in range(20):
            start = time.process_time()
            for _ in range(50):
                call()
            best = min(best, time.process_time() - start)
        taken.append(best)
    assert taken[0] < taken[1]
