"""What a schema offers a user interface is what the language takes: every operator on every kind."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from relmark import Schema, days, field
from relmark.core.columns import KINDS

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
        "before": lambda: x.before("2026-01-01"),
        "after": lambda: x.after("2026-01-01"),
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
    *("==", "!=", "<", "<=", ">", ">=", "between", "is_in", "not_in", "is_null", "not_null", "fill", "before", "after"),
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
