"""What a schema offers a user interface is what the language takes: every operator on every kind."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime

import pytest

from relmark import Schema, days, event, field
from relmark.core.columns import KINDS
from relmark.expressions import Expression
from relmark.expressions.kinds import kind_of
from relmark.segmentation import Segment

VALUES = {
    "number": 1.0,
    "boolean": True,
    "text": "a",
    "date": date(2026, 1, 1),
    "instant": datetime(2026, 1, 1, tzinfo=UTC),
    "tags": "a",
    "empty": None,
}


def written(operator: str, value: object):
    """Return field x tested by an operator, by the words of the language."""
    x = field("x")
    signs = {
        "==": lambda: x == value,
        "!=": lambda: x != value,
        "<": lambda: x < value,
        "<=": lambda: x <= value,
        ">": lambda: x > value,
        ">=": lambda: x >= value,
        "between": lambda: x.between(value, value),
        "is_in": lambda: x.is_in([value]),
        "not_in": lambda: x.not_in([value]),
        "is_null": x.is_null,
        "not_null": x.not_null,
        "fill": lambda: x.fill(value) == value,
        "within": lambda: x.within(days(7)),
        "older_than": lambda: x.older_than(days(7)),
        "upcoming": lambda: x.upcoming(days(7)),
        "anniversary": lambda: x.anniversary(upcoming=days(7)),
        "in_period": lambda: x.in_period("month"),
        "age": lambda: x.age() >= 18,
        "is_empty": x.is_empty,
        "like": lambda: x.like("a*"),
    }
    return signs[operator]() if operator in signs else getattr(x, operator)("a")


EVERY = (
    *("==", "!=", "<", "<=", ">", ">=", "between", "is_in", "not_in", "is_null", "not_null", "fill"),
    *("within", "older_than", "upcoming", "anniversary", "in_period", "age", "contains", "contains_any"),
    *("contains_all", "contains_none", "is_empty", "startswith", "endswith", "has_word", "like"),
)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
@pytest.mark.parametrize("operator", EVERY)
def test_a_schema_offers_an_operator_exactly_where_the_language_takes_it(kind, operator):
    schema = Schema(fields={"x": kind})
    try:
        fits = not written(operator, VALUES[kind]).problems(schema)
    except ValueError:
        fits = False
    assert (operator in schema.operators("x")) == fits


GIVEN = {
    "number": 1.0, "boolean": True, "text": "a", "date": {"date": "2026-01-01"},
    "instant": {"instant": "2026-01-01T00:00:00Z"}, "duration": "P7D", "unit": "month", "whole": -1, "flag": True,
}  # fmt: skip


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
def test_what_an_operator_says_of_itself_builds_a_stored_rule_that_fits(kind, optional):
    schema = Schema(fields={"x": kind}, events={"buy": {"x": kind}})
    of_events = schema.operators("x", event="buy")
    assert set(of_events) <= set(schema.operators("x"))
    for operator in schema.operators("x"):
        body = {"op": operator.stored, operator.subject: {"op": "field", "name": "x"}}
        for argument in operator.arguments:
            if optional or not argument.optional:
                value = GIVEN[argument.type]
                body[argument.name] = [value] if argument.many else value
        rule = Expression.from_dict(body)
        assert rule.problems(schema) == (), operator
        assert (len(body) == 2 + operator.arity) or optional
        prop = Expression.from_dict(json.loads(json.dumps(body).replace('"field"', '"prop"')))
        about_now = {"within", "older_than", "upcoming", "anniversary", "in_period", "age"}
        assert (operator in of_events) == (operator not in about_now)
        if operator in of_events and operator != "fill":
            assert event("buy", where=prop).exists().problems(schema) == ()
            assert operator.python in rule.to_text() or operator in {"is_in", "not_in", "not_null"}
        assert operator.label
        assert json.loads(json.dumps(operator.to_dict()))["python"] == operator
        assert pickle.loads(pickle.dumps(operator)).to_dict() == operator.to_dict()


def test_properties_of_events_and_names_that_are_not_there():
    schema = Schema(fields={"age": float}, events={"purchase": {"sku": str}})
    assert schema.operators("value", event="purchase") == schema.operators("age")
    assert "startswith" in schema.operators("type", event="purchase")
    for name, event_type, hint in (
        ("agee", None, "'age'"),
        ("sk", "purchase", "'sku'"),
        ("sku", "purchas", "'purchase'"),
    ):
        with pytest.raises(ValueError, match=hint):
            schema.operators(name, event=event_type)


@pytest.mark.parametrize("kind", KINDS)
def test_no_choice_is_offered_twice(kind):
    operators = Schema(fields={"x": kind}).operators("x")
    assert len({one.stored for one in operators}) == len(operators)
    assert len({one.label for one in operators}) == len(operators)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
def test_an_operator_says_whether_it_is_a_rule_or_gives_a_value_to_compare(kind):
    schema = Schema(fields={"x": kind})
    for operator in schema.operators("x"):
        body = {"op": operator.stored, operator.subject: {"op": "field", "name": "x"}}
        for argument in operator.arguments:
            if not argument.optional:
                body[argument.name] = [GIVEN[argument.type]] if argument.many else GIVEN[argument.type]
        found = Segment.check({"relmark": "segment", "version": 1, "name": "s", "rule": body}, schema)
        assert bool(found) == (operator.gives in {"rule", "boolean"}), operator
        if operator.gives != "rule":
            assert kind_of(Expression.from_dict(body), schema) == operator.gives
        assert operator.to_dict()["gives"] == operator.gives
