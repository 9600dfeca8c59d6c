"""Figures from tables are those of a direct look, and a search over thousands of events does not look at all pairs."""

import random
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from relmark import Event, days, event, prop
from relmark.errors import InputError
from relmark.expressions import nodes
from relmark.expressions.scalar import Person, program_of
from relmark.expressions.scalar_events import _FIGURES
from relmark.expressions.scalar_tables import table_of

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("op", ["sum", "mean", "min", "max", "first", "last", "count_distinct", "most_frequent"])
@pytest.mark.parametrize("seed", range(12))
def test_a_table_says_of_every_stretch_what_a_direct_look_says(op, seed):
    rng = random.Random(seed)
    pool = [None, 0.1, 0.2, -3.75, 1e300, -1e300, 5e-324, 1e16, 1.0, 0.0]
    if op in {"first", "last", "count_distinct", "most_frequent"} and seed % 3 == 0:
        pool = [None, "x", "y", "", "z"]
    n = rng.randint(0, 60)
    times = sorted(rng.randrange(40) for _ in range(n))
    values = [rng.choice(pool) for _ in range(n)]
    table = table_of(op, times, values)
    edges = [k for k in range(n + 1) if k in {0, n} or times[k] != times[k - 1]]  # windows never part one instant
    pairs = [(a, b) for a in edges for b in edges if a <= b]
    rng.shuffle(pairs)
    forward = sorted(rng.sample(pairs, min(20, len(pairs))))
    for start, stop in [*pairs, *forward]:
        known = [(values[k], times[k]) for k in range(start, stop) if values[k] is not None]
        assert table(start, stop) == _FIGURES[op](known), (start, stop)


def many(n=4_000):
    return [
        Event("a", "v", AS_OF - timedelta(minutes=3 * k), 1.0 + ((k * 7_919) % 101) / 7, {"s": f"{k % 50}"})
        for k in range(n)
    ]


@pytest.mark.long
@pytest.mark.parametrize("ago", [None, days(3)])
@pytest.mark.parametrize("figure", ["sum", "mean", "min", "max", "first", "last", "count_distinct", "most_frequent"])
def test_a_search_over_thousands_of_events_asks_each_figure_in_a_few_steps(figure, ago):
    of = ["s"] if figure in {"count_distinct", "most_frequent"} else []
    node = getattr(event("v"), figure)(*of, within=days(30), ago=ago)
    rule = node == ("zz" if figure == "most_frequent" else 1e9)
    person = Person.of(None, many(), as_of=AS_OF)
    start = time.process_time()
    assert program_of(rule).next_change(person) is None
    assert time.process_time() - start < 1.5
    days_of = event("v").active_days(within=days(30)) + 1 > 1_000
    assert program_of(days_of).next_change(person) is None


def test_values_are_the_same_before_and_after_a_table_is_made():
    person = Person.of(None, many(300), as_of=AS_OF)
    at = person.as_of
    for op in nodes.AGGREGATES:
        of = "s" if op in {"count_distinct", "most_frequent"} else "value"
        plain = op in {"count", "exists", "active_days", "days_since_first", "days_since_last"}
        node = getattr(event("v"), op)(*([] if plain else [of]), within=days(1))
        moments = [at + k * 180_000_000 for k in (0, 1, 50, 200, 2)]
        fresh = [program_of(node).value(Person.of(None, many(300), as_of=AS_OF), moment) for moment in moments]
        assert [program_of(node).value(person, moment) for moment in moments] == fresh
    assert isinstance(AS_OF.date(), date)


def test_a_value_of_the_wrong_kind_counts_where_it_is_in_the_window():
    events = [*many(100), Event("a", "v", AS_OF - days(40), 1.0, {"n": "text"})]
    person = Person.of(None, events, as_of=AS_OF)
    program = program_of(event("v").sum("n", within=days(30)) > 5)
    assert program.verdict(person) is False
    assert program.next_change(person) is None
    with pytest.raises(InputError, match="needs numbers"):
        program_of(event("v").sum("n") > 5).verdict(person)
    assert program_of(event("v", where=prop("s") == "1").exists()).verdict(person)
