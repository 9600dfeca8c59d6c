"""What can be written, what is refused at once, and the three forms of one tree."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from relmark.core.errors import InputError
from relmark.core.schema import Schema
from relmark.core.time import days, hours, minutes
from relmark.expressions import (
    Expression,
    Window,
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    ids,
    nodes,
    none_of,
    parse,
    prop,
    sample,
    segment,
    sequence,
)
from relmark.expressions.kinds import kind_of
from relmark.expressions.literals import literal_value
from relmark.expressions.text_tests import text_test

RULE = (
    field("city").is_in(["Omsk", "Kazan"])
    & (event("purchase", where=prop("category") == "shoes").count(within=days(180)) >= 2)
    & (event("purchase").days_since_last() > 60)
    & ~event("unsubscribe").exists()
)


def test_a_rule_prints_as_the_python_that_makes_it():
    assert RULE.to_text() == (
        'field("city").is_in(["Kazan", "Omsk"]) & (event("purchase", where=prop("category") == "shoes")'
        '.count(within=days(180)) >= 2) & (event("purchase").days_since_last() > 60) & ~event("unsubscribe").exists()'
    )
    assert repr(RULE).endswith("...")
    assert len(repr(RULE)) == 200


def test_the_stored_form_is_canonical_json():
    assert (field("age") >= 18.0).to_json() == '{"left":{"name":"age","op":"field"},"op":"ge","right":18}'
    assert event("b", "a", "b").count(within=hours(36)).to_dict() == {
        "op": "count", "events": {"types": ["a", "b"]}, "within": "P1DT12H",
    }  # fmt: skip


def test_the_fingerprint_is_pinned_so_that_stored_definitions_keep_theirs():
    assert RULE.fingerprint == "a3cee65193983bdd16ab2970a0d06b5f6f8a795c8e598753bb1f1177c2cd5eff"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (field("x") == 2, field("x") == 2.0),
        (field("x") == np.int64(2), field("x") == 2),
        (field("x") == np.float32(0.5), field("x") == 0.5),
        (field("x").is_in([3, 1, 2, 2]), field("x").is_in({1, 2, 3})),
        (event("a").count(within=days(2)), event("a").count(within=hours(48))),
        ((everyone & field("a")) & field("b"), everyone & (field("a") & field("b"))),
        (everyone | (field("a") | field("b")), any_of(everyone, any_of(field("a"), field("b")))),
        (all_of([everyone, field("a")]), everyone & field("a")),
        (all_of(everyone), everyone),
        (none_of(field("a"), field("b")), ~(field("a") | field("b"))),
        (field("t") == datetime(2026, 1, 1, 3, tzinfo=UTC), field("t") == np.datetime64("2026-01-01T03:00")),
        (field("t") == date(2026, 1, 1), field("t") == np.datetime64("2026-01-01")),
        (field("t").before("2026-01-01"), field("t") < date(2026, 1, 1)),
        (field("t").after("2026-01-01T01:00+01:00"), field("t") > datetime(2026, 1, 1, tzinfo=UTC)),
        (field("age") >= 18, field("age") >= 18),
        (field("x").not_in([1]), ~field("x").is_in([1])),
        (event("a").sum(prop("n")), event("a").sum("n")),
        (event("a").count(between=("2026-01-01", "2026-02-01")),
         event("a").count(since="2026-01-01", until="2026-02-01")),
        (event("a").count(ago=timedelta(0)), event("a").count()),
        (ids(np.array([2, 1])), ids([1, 2])),
        (sample(10, salt="s"), sample(10.0, salt="s")),
        (+2 * field("x"), 2 * field("x")),
        (-field("x"), field("x") * -1),
        (np.float64(3) - field("x"), 3 - field("x")),
        (1 / field("x"), nodes.Arithmetic("div", nodes.Literal(1), field("x"))),
        (1 + field("x"), nodes.Arithmetic("add", nodes.Literal(1), field("x"))),
        (field("x").has_word("b"), field("x").has_word(["b"])),
    ],
)  # fmt: skip
def test_what_means_the_same_in_the_same_words_has_one_fingerprint(one, other):
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (everyone & field("a"), field("a") & everyone),
        (field("x") == 1, field("x") == "1"),
        (field("x") == 1, field("x") == True),  # noqa: E712
        (field("x").contains("a"), field("x").contains("a", casefold=True)),
        (event("a").count(), event("a").count(within=days(1))),
        (field("t") == date(2026, 1, 1), field("t") == datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_differs_has_another_fingerprint(one, other):
    assert one.fingerprint != other.fingerprint


def test_every_kind_of_node_survives_json_text_and_pickle():
    shoes = event("purchase", where=(prop("sku") == "a") & ~(prop("value") < 0.5) | prop("type").is_in(["b"]))
    rules = [
        RULE, everyone, ids([]), ids(["b", "a"]), segment("vip") & sample(12.5, salt='é\n"\\'),
        field("a").between(-1, 2.5) | field("b").between(date(2026, 1, 1), date(2026, 2, 1)),
        field("x").fill(0) / (field("y") - 1) - (field("z") - 2) * 3 > -1e-7,
        field("t").like("a*?", casefold=True) & field("t").has_word("VP") & field("t").startswith("x"),
        field("t").endswith("x") & field("t").contains_all(["b", "a"]) & field("t").contains_none("c"),
        field("d").within(days(3)) & field("d").older_than(minutes(90)) & field("d").upcoming(timedelta(seconds=1.5)),
        field("d").anniversary(days(7)) & field("d").in_period("month", -1) & field("d").in_period("week"),
        (field("d").age() >= 18) & field("d").is_null(),
        shoes.last("sku", since="2026-01-01", until="2026-02-01T00:00Z").is_in(["a"]),
        shoes.last_event(prop("sku") == "a", within=days(2), ago=hours(1)),
        shoes.regularly(2, of=4, period="week") | shoes.regularly(2, of=4, period=days(10)),
        shoes.first_time(days(2)) | shoes.stopped(days(2), days(3)) | shoes.restarted(days(2), days(3)),
        sequence([shoes, event("b")], within=days(1), strict=True, exclude=[event("c"), event("d")]),
        event("a").not_followed_by(event("b", "c"), within=days(1), recent=days(2)),
        at_least(2, everyone, field("a"), field("b")) & none_of(field("c"), field("d")),
        (everyone & field("v")) == (field("w") | everyone),
        nodes.Compare("lt", nodes.Literal(1), nodes.Literal(2)),
        nodes.Arithmetic("add", nodes.Literal(1), nodes.Literal(-2)) > 0,
        event("a").first() + event("a").max() + event("a").mean() > event("a").most_frequent("n") - event("a").min("n"),
    ]  # fmt: skip
    for rule in rules:
        for again in (
            Expression.from_json(rule.to_json()), parse(rule.to_text()), pickle.loads(pickle.dumps(rule)),
            Expression.from_dict(rule.to_dict()),
        ):  # fmt: skip
            assert again.fingerprint == rule.fingerprint
            assert again.to_text() == rule.to_text()


def test_the_text_form_reads_words_signs_and_python_alike():
    base = parse('field("a") == 1 and not field("b") == 2 or everyone')
    assert base.fingerprint == (((field("a") == 1) & ~(field("b") == 2)) | everyone).fingerprint
    assert (
        parse('~(field("a") == true) | (field("b") != False)').fingerprint
        == (
            (~(field("a") == True)) | (field("b") != False)  # noqa: E712
        ).fingerprint
    )
    assert parse("ids({1, 2,})").fingerprint == ids([1, 2]).fingerprint
    assert parse("ids((1, 2))").fingerprint == ids([1, 2]).fingerprint
    assert parse("ids([])").fingerprint == ids([]).fingerprint
    assert parse("field('a') == -1_000.5e1").fingerprint == (field("a") == -10_005).fingerprint
    assert parse("field('a') == .5").fingerprint == (field("a") == 0.5).fingerprint
    assert parse("'a' == field('\\x41\\u00e9\\t')").fingerprint == (field("Aé\t") == "a").fingerprint
    assert parse("event('a').exists(within=duration('PT1H'), since=date('2026-01-01'))").fingerprint == (
        event("a").exists(within=hours(1), since="2026-01-01").fingerprint
    )
    assert (
        parse("field('a') < instant('2026-01-01')").fingerprint
        == (field("a") < datetime(2026, 1, 1, tzinfo=UTC)).fingerprint
    )
    assert parse("(((field('a') + 1) * 2) > 3)").fingerprint == ((field("a") + 1) * 2 > 3).fingerprint
    assert parse("-field('a') > 3").fingerprint == (-field("a") > 3).fingerprint


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: bool(RULE), "parentheses"),
        (lambda: 1 < field("x") < 3, "between"),
        (lambda: field("x") == 1 and field("y") == 2, "parentheses"),
        (lambda: field("x") > 1 & field("y"), "parentheses"),
        (lambda: field("x") & event("a"), "exists"),
        (lambda: field("x") | 3, "parentheses"),
        (lambda: 3 | field("x"), "parentheses"),
        (lambda: "a" in field("x"), "contains"),
        (lambda: list(field("x")), "no items"),
        (lambda: round(field("x")), "round"),
        (lambda: field("x") == None, "is_null"),  # noqa: E711
        (lambda: field("x") == math.nan, "is_null"),  # noqa: PLW0177
        (lambda: field("x") == days(3), "duration"),
        (lambda: field("x") == [1], "a number, a text"),
        (lambda: field("x") == 2**63, r"whole numbers up to 2\*\*63 - 1"),
        (lambda: field("x") == datetime(2026, 1, 1), "time zone"),
        (lambda: field("x") == np.datetime64("NaT", "us"), "NaT"),
        (lambda: field("x") == np.datetime64("NaT", "D"), "NaT"),
        (lambda: field("x").before("yesterday"), "ISO"),
        (lambda: field("x") == "\ud800", "surrogate"),
        (lambda: event("a") >= 3, "count"),
        (lambda: event("a") & event("b"), "exists"),
        (lambda: field("x") > event("a"), "count"),
        (event, "names of event types"),
        (lambda: event(""), "names of event types"),
        (lambda: event(3), "names of event types"),
        (lambda: event("a", where=field("x") == 1), "about a customer"),
        (lambda: event("a", where=event("b").exists()), "about a customer"),
        (lambda: event("a", where="sku"), "rule over prop"),
        (lambda: event("a").last_event(field("x")), "about a customer"),
        (lambda: event("a").count(whithin=days(1)), "whithin"),
        (lambda: event("a").count(within=30), "a length of time is needed"),
        (lambda: event("a").count(within=days(-1)), "above zero"),
        (lambda: event("a").count(since="2026-02-01", until="2026-01-01"), "empty"),
        (lambda: event("a").count(since="2026-02-01", between=("2026-01-01", "2026-02-01")), "give either between="),
        (lambda: event("a").count(between="2026-01-01"), "pair"),
        (lambda: event("a").sum(3), "name of a property"),
        (lambda: event("a").not_followed_by("b", within=days(1)), "events are needed"),
        (lambda: event("a").not_followed_by(event("b"), within=days(2), recent=days(1)), "nobody"),
        (lambda: event("a").regularly(3, of=2, period="week"), "at most|of 3|2"),
        (lambda: event("a").regularly(1, of=2, period="weeks"), "week"),
        (lambda: sequence([event("a")]), "two"),
        (lambda: sequence(event("a")), "two"),
        (lambda: sequence([event("a"), "b"]), "events are needed"),
        (lambda: sequence([event("a"), event("b")], strict=1), "True or False"),
        (lambda: sequence([event("a"), event("b")], within=days(0)), "above zero"),
        (lambda: field(""), "name"),
        (lambda: field(3), "name"),
        (lambda: prop(None), "name"),
        (lambda: field("x").between("a", "b"), "two numbers"),
        (lambda: field("x").between(1, date(2026, 1, 1)), "two numbers"),
        (lambda: field("x").between(3, 1), "low is above high"),
        (lambda: field("x").is_in("abc"), "list or set"),
        (lambda: field("x").is_in(3), "list or set"),
        (lambda: field("x").is_in([1, "a"]), "mixes"),
        (lambda: field("x").contains(""), "not empty"),
        (lambda: field("x").contains_any([]), "empty"),
        (lambda: field("x").contains_any([1]), "texts"),
        (lambda: field("x").like("a", casefold="yes"), "True or False"),
        (lambda: field("x").anniversary(hours(3)), "whole days"),
        (lambda: field("x").anniversary(days(400)), "365"),
        (lambda: field("x").in_period("moon"), "month"),
        (lambda: field("x").in_period("month", 0.5), "whole number"),
        (lambda: sample(101, salt="s"), "100"),
        (lambda: sample(10, salt=""), "name"),
        (lambda: ids(["a", 1]), "mixes"),
        (lambda: ids([True]), "integers or texts"),
        (lambda: at_least(3, everyone), "at most|1"),
        (lambda: at_least(0, everyone), "at least 1"),
        (all_of, "no rules"),
        (lambda: any_of(everyone, 3), "rules are needed"),
        (lambda: parse(3), "text"),
        (lambda: Window.of(within=days(1), between=(1, 2, 3)), "pair"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_where_it_is_made_with_what_to_do(mistake, words):
    with pytest.raises(InputError, match=words):
        mistake()


def test_one_word_of_text_is_tested_in_bounded_time():
    cases = [
        ("like", "a*b", {"ab": True, "axxb": True, "abc": False, "b": False}),
        ("like", "a", {"a": True, "ab": False}),
        ("like", "?", {"a": True, "": False, "ab": False}),
        ("like", "*", {"": True, "abc": True}),
        ("like", "*a?c*", {"xabcx": True, "ac": False, "aac": True, "abac": False, "abaxc": True}),
        ("like", "ab*ba", {"aba": False, "abba": True}),
        ("like", "*?*?*", {"a": False, "ab": True}),
        ("like", "*b*b*", {"b": False, "abb": True}),
        ("has_word", "VP", {"VP": True, "MVP": False, "a VP.": True, "VP2": False, "VP_": False, "MVP, VP": True}),
        ("has_word", "Vice President", {"Vice President of": True, "Vice Presidents": False}),
    ]
    for op, value, expected in cases:
        test = text_test(op, (value,), casefold=False)
        assert {text: test(text) for text in expected} == expected, (op, value)
    assert text_test("contains", ("STRASSE",), casefold=True)("Hauptstraße")
    slow = text_test("like", ("*" + "a?" * 500 + "b*",), casefold=False)
    assert not slow("a" * 20_000)


def test_the_kind_of_a_value_follows_from_the_schema():
    schema = Schema(fields={"age": float, "city": str, "born": date}, events={"a": {"sku": str}})
    assert kind_of(field("age") + 1, schema) == "number"
    assert kind_of(event("a").last("sku"), schema) == "text"
    assert kind_of(field("born").fill(date(2026, 1, 1)), schema) == "date"
    assert kind_of(field("unknown"), schema) is None
    assert kind_of(RULE, schema) == "boolean"


@pytest.mark.parametrize(
    ("rule", "path", "code", "words"),
    [
        (field("agee") > 1, "$.left", "unknown_field", "'age'"),
        (field("age") > "1", "$.right", "wrong_type", "a number"),
        (nodes.Compare("gt", nodes.Literal("1"), field("age")), "$.right", "wrong_type", "a number"),
        (nodes.Compare("eq", nodes.Literal("1"), nodes.Literal(1)), "$.right", "wrong_type", "a text"),
        (field("age") == field("city"), "$", "wrong_type", "cannot be compared"),
        (field("vip") > True, "$.left", "wrong_type", "no order"),
        (field("tags") == "a", "$.left", "wrong_type", "contains_any"),
        (field("age").contains("1"), "$.arg", "wrong_type", "text"),
        (field("tags").startswith("1"), "$.arg", "wrong_type", "text"),
        (field("city") + 1 > 2, "$.left.left", "wrong_type", "a number"),
        (field("city").within(days(1)), "$.arg", "wrong_type", "date"),
        (field("born").upcoming(hours(3)), "$", "wrong_value", "whole days"),
        (field("born") == "1990-01-01", "$.right", "wrong_type", "datetime.date"),
        (field("born").between(1, 2), "$.low", "wrong_type", "a date"),
        (field("city").is_in([1]), "$.values[0]", "wrong_type", "a text"),
        (field("tags").is_in(["a"]), "$.arg", "wrong_type", "text"),
        (field("age").fill("x") == 1, "$.left.value", "wrong_type", "a number"),
        (field("age").age() > 1, "$.left.arg", "wrong_type", "date"),
        (field("age").in_period("day"), "$.arg", "wrong_type", "date"),
        (field("age") & everyone, "$.args[0]", "not_rule", "Compare"),
        (~field("age"), "$.arg", "not_rule", "Compare"),
        (prop("sku") == "a", "$.left", "not_here", "where="),
        (segment("vip"), "$", "unknown_segment", "no segment"),
        (event("purchse").exists(), "$.events.types[0]", "unknown_event", "'purchase'"),
        (event("purchase", where=prop("skuu") == "a").exists(), "$.events.where.left", "unknown_property", "'sku'"),
        (event("purchase", where=prop("total") > 1).exists(), "$.events.where.left", "unknown_property", "'value'"),
        (event("purchase").sum("sku") > 1, "$.left.of", "wrong_type", "numbers"),
        (event("purchase").last("sku") > 1, "$.right", "wrong_type", "a text"),
        (event("purchase", "visit").last("mixed") == 1, "$.left.of", "wrong_type", "one type"),
        (event("purchase").last_event(prop("sku") == 1), "$.where.right", "wrong_type", "a text"),
        (event("purchase").last_event(prop("sku")), "$.where", "not_rule", "Compare"),
        (sequence([event("purchase"), event("vsit")]), "$.steps[1].types[0]", "unknown_event", "'visit'"),
        (event("visit").not_followed_by(event("x"), within=days(1)), "$.then.types[0]", "unknown_event", "no events"),
    ],
)  # fmt: skip
def test_a_schema_finds_what_does_not_fit_with_its_place(rule, path, code, words):
    schema = Schema(
        fields={
            "age": float,
            "city": str,
            "vip": bool,
            "born": date,
            "seen": datetime,
            "tags": frozenset,
            "none": "empty",
        },
        events={"purchase": {"sku": str, "mixed": float}, "visit": {"mixed": str}},
    )
    found = rule.problems(schema) if code != "unknown_segment" else ()
    if code == "unknown_segment":
        from relmark.expressions.kinds import problems

        found = problems(rule, schema, segments=["others"])
    assert [(problem.path, problem.code) for problem in found] == [(path, code)], found
    assert words in f"{found[0]}"
    assert found[0].to_dict()["path"] == path
    assert found[0].error().code == code


def test_what_fits_a_schema_has_no_problems():
    schema = Schema(
        fields={"age": float, "born": date, "seen": datetime, "none": "empty", "vip": bool}, events={"a": {"n": float}}
    )
    for rule in (
        field("none") == "a", field("none") > 3, field("born") < field("seen"), field("seen") > date(2026, 1, 1),
        field("born") == datetime(2026, 1, 1, tzinfo=UTC), field("none").fill(3) > 2, field("vip"),
        field("vip") == False,  # noqa: E712
        event("a").sum("n") > 1, event("a", where=prop("type") == "a").exists(), segment("any"),
        field("seen").upcoming(hours(3)), ~(field("age") > 3) & everyone,
    ):  # fmt: skip
        assert rule.problems(schema) == (), rule


def test_literals_are_normalised():
    assert literal_value(np.bool_(True)) is True
    assert literal_value(3.0) == 3
    assert type(literal_value(3.0)) is int
    assert type(literal_value(1e300)) is float
    assert literal_value(datetime(2026, 1, 1, 3, tzinfo=UTC)).tzinfo is UTC
