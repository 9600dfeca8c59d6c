"""What an explanation says is missing is enough: applied, the test holds; and where nothing helps, nothing is said."""

from __future__ import annotations

import math
import operator
import random
import runpy
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmark import Customer, Event, all_of, days, event, field, hours
from relmark.core.time import aware
from relmark.expressions import nodes
from relmark.expressions.explain import explain_one
from relmark.expressions.explain_words import gap_words
from relmark.expressions.scalar import Person, program_of

_RANDOM = runpy.run_path(str(Path(__file__).parents[1] / "expressions" / "random_rules.py"))
AS_OF = aware(1_800_000_000_000_000)
US = timedelta(microseconds=1)
WHOLE = {"count": 1, "active_days": 1, "count_distinct": 1}
AGGREGATES = ("active_days", "count", "count_distinct", "days_since_first", "days_since_last", "first", "last", "max",
              "mean", "min", "most_frequent", "sum")  # fmt: skip
FLIP = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


def figure(op, **window):
    return getattr(event("a"), op)(
        *(["n"] if op in {"count_distinct", "most_frequent", "first", "last"} else []), **window
    )


numbers = st.one_of(
    st.integers(-3, 6).map(float), st.floats(-50, 50), st.sampled_from([0.1, 0.3, 1e-9, 2.5, 1e15 + 0.5, 123_456.789])
)
found = st.lists(st.tuples(st.integers(0, 24 * 60), numbers, st.integers(0, 4)), max_size=6)
windows = st.sampled_from([{}, {"within": days(30)}, {"within": days(7)}, {"ago": days(2)},
                           {"within": days(9), "ago": hours(3)}, {"since": AS_OF + days(2)},
                           {"until": AS_OF - days(1)}])  # fmt: skip


def said_number(words):
    """Return the number that the words of a gap say."""
    text = words.removeprefix("needs ").removeprefix("more than ").split(" ")[0]
    return float(text.replace(",", ""))


@given(st.sampled_from(AGGREGATES), st.sampled_from(list(nodes.COMPARISONS)), numbers, found, windows, st.booleans())
@settings(max_examples=6 * settings.default.max_examples)
def test_what_is_missing_to_a_comparison_is_enough(op, test, bound, rows, window, negated):
    events = [Event("c", "a", AS_OF - timedelta(hours=h), v, {"n": n}) for h, v, n in rows]
    rule = nodes.Compare(test, figure(op, **window), nodes.Literal(bound))
    rule = ~rule if negated else rule
    one = explain_one(rule, Customer("c"), events, as_of=AS_OF)
    tree = one.tree.args[0] if negated else one.tree
    gap = tree.gap
    wanted = FLIP[test] if negated else test
    check(gap, tree, wanted, bound, rule, events)


def check(gap, tree, wanted, bound, rule, events):
    holds = getattr(operator, wanted)
    if gap is None or gap.code == "value":
        return
    actual, words = tree.actual, gap_words(gap)
    if gap.code in {"more", "less", "more_events", "more_values", "more_days"}:
        sign = -1 if gap.code == "less" else 1
        assert not holds(actual, bound)
        if gap.beyond:
            assert gap.amount >= 0
            beyond = actual + sign * gap.amount
            assert (
                not holds(actual + sign * max(gap.amount - max(0.001, 4 * math.ulp(actual)), 0.0), bound)
                or gap.amount == 0
            )
            assert holds(math.nextafter(beyond, sign * math.inf), bound), (gap, actual)
        else:
            assert gap.amount > 0
            reached = actual + sign * gap.amount
            near = math.ulp(max(abs(actual), abs(bound), gap.amount))  # no float64 may add up to the bound
            assert holds(reached, bound) or (wanted == "eq" and abs(reached - bound) <= near), (gap, actual)
        assert said_number(words) == gap.amount, words
        if gap.code.startswith("more_"):
            assert gap.amount == int(gap.amount)
    if gap.code == "more_time":
        later = program_of(rule)
        person = Person.of(Customer("c"), events, as_of=AS_OF)
        at = int(person.as_of) + math.ceil(gap.amount * 86_400e6)
        assert any(later.verdict(person, at + step) is True for step in range(-1, 3))
    if gap.code == "new_event":
        person = Person.of(Customer("c"), [*events, Event("c", "a", AS_OF, 1.0, {"n": 1})], as_of=AS_OF)
        assert program_of(rule).verdict(person) is True


@given(st.sampled_from(list(nodes.COMPARISONS)), numbers, numbers)
@settings(max_examples=3 * settings.default.max_examples)
def test_what_is_missing_to_a_field_is_enough(test, value, bound):
    rule = nodes.Compare(test, field("n"), nodes.Literal(bound))
    tree = explain_one(rule, Customer("c", {"n": value}), [], as_of=AS_OF).tree
    check(tree.gap, tree, test, bound, rule, [])
    if tree.verdict is False and test != "ne":
        assert tree.gap is not None


@given(st.sampled_from(AGGREGATES), numbers, st.floats(0, 20), found, windows)
@settings(max_examples=3 * settings.default.max_examples)
def test_what_is_missing_to_a_range_is_enough(op, low, size, rows, window):
    events = [Event("c", "a", AS_OF - timedelta(hours=h), v, {"n": n}) for h, v, n in rows]
    rule = figure(op, **window).between(low, low + size)
    tree = explain_one(rule, Customer("c"), events, as_of=AS_OF).tree
    gap = tree.gap
    if gap is None or gap.code not in {"more", "less", "more_events", "more_values", "more_days"}:
        return
    reached = tree.actual + (-gap.amount if gap.code == "less" else gap.amount)
    near = 0.0 if gap.code.startswith("more_") else max(math.ulp(tree.actual), 1e-6)
    assert low - near <= reached <= low + size + near, gap


@given(seed=st.integers(0, 2**40))
@settings(max_examples=2 * settings.default.max_examples)
def test_no_gap_says_that_nothing_is_needed(seed):
    rng = random.Random(seed)
    as_of = _RANDOM["some_as_of"](rng)
    _, customers, events = _RANDOM["some_base"](rng, "UTC", as_of)
    customer = rng.choice(customers)
    mine = [Event(customer.id, one.type, one.time, one.value, one.properties) for one in events]
    stack = [explain_one(all_of(_RANDOM["some_rule"](rng, as_of), field("age") > 90), customer, mine, as_of=as_of).tree]
    while stack:
        tree = stack.pop()
        stack += tree.args
        if tree.gap is not None:
            assert "needs 0 " not in gap_words(tree.gap)
            assert tree.gap.amount is None or tree.gap.amount > 0 or tree.gap.beyond, (seed, tree)


@pytest.mark.parametrize(
    ("rule", "n", "words"),
    [
        (event("a").count() < 2, 2, "needs 1 less"),
        (event("a").count() < 2, 4, "needs 3 less"),
        (event("a").sum() > 0, 0, "needs more than 0 more"),
        (event("a").sum() >= 1e-9, 0, "needs 1e-09 more"),
        (event("a").sum() > 1234.5678, 0, "needs more than 1,234.5678 more"),
        (event("a").count() < 0, 2, None),
        (event("a").count() == 2.5, 1, None),
        (event("a").count().between(2.2, 2.8), 1, None),
        (event("a").days_since_last() < 0, 1, None),
        (event("a").days_since_last(within=days(3)) > 5, 1, None),
        (event("a").count(since=AS_OF + days(3)) >= 1, 0, None),
        (event("a").days_since_last() >= 1 / 3, 1, "needs 8 hours more"),
        (event("a").days_since_last() >= 17.770833, 1, "needs 17.78 days more"),
    ],
)
def test_words_of_what_is_missing(rule, n, words):
    events = [Event("c", "a", AS_OF, 0.0, {"n": k}) for k in range(n)]
    gap = explain_one(rule, Customer("c"), events, as_of=AS_OF).tree.gap
    assert (None if gap is None else gap_words(gap)) == words
