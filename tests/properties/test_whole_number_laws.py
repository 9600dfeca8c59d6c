"""Whole numbers beyond 2**53: one person and columns say what exact arithmetic says, of fields and of events."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import Customer, CustomerBase, CustomerTable, Event, EventLog, event, field, prop
from relmark.core.errors import InputError
from relmark.expressions import nodes
from relmark.expressions.scalar import Person, program_of
from relmark.scoring import ByValue, LeadScore, Rule

AS_OF = datetime(2026, 1, 2, tzinfo=UTC)
B = 2**53
near = st.one_of(
    st.integers(-3, 3).map(lambda k: B + k),
    st.integers(-3, 3).map(lambda k: -B + k),
    st.integers(-3, 3).map(lambda k: 2**60 + k),
    st.integers(-2, 2),
    st.sampled_from([2**63 - 1, -(2**63 - 1)]),
)
floats = st.one_of(near.map(float), st.floats(-1e19, 1e19), st.sampled_from([0.5, 1e300, -1e300]))
TESTS = st.sampled_from(list(nodes.COMPARISONS))


def both(expression, attributes, numbers=()):
    """Return what columns, a person of a base and a person of objects say of an expression."""
    events = [Event("c", "a", AS_OF - timedelta(hours=24 - k), None, {"n": n}) for k, n in enumerate(numbers)]
    table = CustomerTable.from_columns(customer_id=["c"], **{name: [value] for name, value in attributes.items()})
    base = CustomerBase(customers=table, events=EventLog.from_events(events) if events else None)
    program = program_of(expression)
    people = [Person.of(Customer("c", attributes), events, as_of=AS_OF), Person.from_base(base, "c", as_of=AS_OF)]
    found = [expression.measure(base, AS_OF).value(0), *map(program.value, people)]
    assert found[0] == found[1] == found[2], (expression, found)
    return found[0]


@given(TESTS, near, st.one_of(near, floats))
@settings(max_examples=4 * settings.default.max_examples)
def test_a_whole_field_compares_exactly(test, value, bound):
    want = getattr(operator, test)(value, bound)
    assert both(nodes.Compare(test, field("n"), nodes.Literal(bound)), {"n": value}) == want
    assert both(nodes.Compare(test, field("n"), field("m")), {"n": value, "m": bound}) == want
    assert both(nodes.Compare(test, field("m"), field("n")), {"n": value, "m": bound}) == getattr(operator, test)(
        bound, value
    )


@given(TESTS, floats, near)
@settings(max_examples=3 * settings.default.max_examples)
def test_a_float_field_compares_exactly_with_a_whole_number(test, value, bound):
    want = getattr(operator, test)(value, bound)
    assert both(nodes.Compare(test, field("n"), nodes.Literal(bound)), {"n": value}) == want
    column = np.array([value, value])
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=[1, 2], n=column))
    found = nodes.Compare(test, field("n"), nodes.Literal(bound)).measure(base, AS_OF)
    assert found.values().tolist() == [want, want]


@given(st.one_of(near, floats), st.lists(st.one_of(near, floats), min_size=1, max_size=4))
@settings(max_examples=2 * settings.default.max_examples)
def test_a_number_is_one_of_several_exactly(value, values):
    assert both(field("n").is_in(values), {"n": value}) == (value in values)
    low, high = min(values), max(values)
    assert both(field("n").between(low, high), {"n": value}) == (low <= value <= high)


@given(st.lists(near, min_size=1, max_size=8), near)
@settings(max_examples=2 * settings.default.max_examples)
def test_figures_of_whole_properties_tell_neighbors_apart(numbers, bound):
    seen = event("a")
    assert both(seen.count_distinct("n"), {}, numbers) == len(set(numbers))
    assert both(seen.first("n"), {}, numbers) == numbers[0]
    assert both(seen.last("n"), {}, numbers) == numbers[-1]
    most = max(numbers.count(n) for n in numbers)
    assert both(seen.most_frequent("n"), {}, numbers) == min(n for n in numbers if numbers.count(n) == most)
    assert both(event("a", where=prop("n") == bound).count(), {}, numbers) == numbers.count(bound)
    assert both(event("a", where=prop("n") > bound).count(), {}, numbers) == sum(n > bound for n in numbers)
    assert both(event("a", where=prop("n").is_in([bound])).exists(), {}, numbers) == (bound in numbers)
    assert both(seen.last("n") == seen.first("n"), {}, numbers) == (numbers[0] == numbers[-1])
    for op in ("sum", "mean", "min", "max"):  # figures of numbers are in float64, for one and for many
        both(getattr(seen, op)("n"), {}, numbers)
    both(seen.last("n") + 1, {}, numbers)


def test_points_by_a_whole_number_are_those_of_this_number():
    events = [Event("c", "a", AS_OF, None, {"n": n}) for n in (B, B + 1, B + 2)]
    score = LeadScore(name="s", rules=[Rule("r", each=event("a"), points=ByValue("n", {B + 1: 5}))])
    base = CustomerBase(events=EventLog.from_events(events))
    assert score.evaluate(base, as_of=AS_OF).total.tolist() == [5.0]
    assert score.one(None, events, as_of=AS_OF).total == 5


def test_a_whole_number_of_more_than_64_bits_is_refused():
    with pytest.raises(InputError, match="64 bits"):
        program_of(field("n") > 3).verdict(Person(1, {"n": 2**64}, {}, 0))
