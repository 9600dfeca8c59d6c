"""What every result of the package keeps to: arrays that nobody can change, and one text in print and in a notebook."""

from __future__ import annotations

import html
import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark.attribution import Journeys, LastTouch, Linear, Markov, Shapley, TransitionCounts, compare, order_selection
from relmark.core.results import Result

check_unchangeable = runpy.run_path(str(Path(__file__).parents[1] / "unchangeable.py"))["check_unchangeable"]


def columns():
    return {
        "codes": np.array([0, 1, 0, 1, 2], dtype=np.int32), "offsets": np.array([0, 2, 3, 5, 5]),
        "conversions": np.array([1.0, 0.0, 2.0, 1.0]), "value": np.array([10.0, 0.0, 4.0, 1.0]),
        "nulls": np.array([0.0, 3.0, 1.0, 0.0]), "times": np.array([1, 5, 2, 3, 9], dtype=np.int64) * 10**9,
        "ends": np.array([6, 2, 9, 4], dtype=np.int64) * 10**9, "customer_id": np.array([4, 5, 6, 7]),
    }  # fmt: skip


def journeys(c):
    return Journeys(channels=["a", "b", "c"], **c)


DOORS = {
    "journeys": journeys,
    "aware": lambda c: journeys(c | {"times": c["times"].view("M8[us]"), "ends": c["ends"].view("M8[us]")}),
    "paths": lambda c: Journeys.from_paths(["a > b", "b", "c", "a"], c["conversions"], c["value"], c["nulls"]),
    "columns": lambda c: Journeys.from_columns(
        journey=c["codes"], channel=["a", "b", "a", "b", "c"], conversions=np.ones(5), time=c["times"].view("M8[us]")
    ),
    "last": lambda c: journeys(c).last_n(1),
    "taken": lambda c: journeys(c).take(np.array([0, 2])),
    "both": lambda c: journeys(c) + journeys(c),
    "merged": lambda c: journeys(c).merge_duplicates(),
    "credit": lambda c: Linear().attribute(journeys(c), per_journey=True),
    "bootstrap": lambda c: LastTouch().bootstrap(journeys(c), n=20, rng=0),
    "markov": lambda c: Markov(order=1).fit(journeys(c)),
    "matrix": lambda c: Markov(order=1).fit(journeys(c)).transition_matrix(),
    "counts": lambda c: TransitionCounts.of(journeys(c)),
    "shapley": lambda c: Shapley().attribute(journeys(c)),
    "comparison": lambda c: compare(Linear().attribute(journeys(c)), LastTouch().attribute(journeys(c))),
    "returns": lambda c: Linear().attribute(journeys(c)).with_cost({"a": 3.0}),
    "orders": lambda c: order_selection(journeys(c), (1, 2)),
    "assists": lambda c: journeys(c).assists(),
    "lengths": lambda c: journeys(c).path_lengths(),
    "lags": lambda c: journeys(c).time_lags(),
    "top": lambda c: journeys(c).top_paths(2),
    "overlap": lambda c: journeys(c).overlap(),
    "positions": lambda c: journeys(c).positions(),
    "ends": lambda c: journeys(c).first_and_last(),
    "sets": lambda c: journeys(c).channel_sets(),
    "touches": lambda c: journeys(c).touches_to_conversion(),
}


@pytest.mark.parametrize("door", DOORS)
def test_nobody_can_change_a_result(door):
    given = columns()
    made = DOORS[door](given)
    assert isinstance(made, Result)
    assert check_unchangeable(made, list(given.values())) > 0


@pytest.mark.parametrize("door", DOORS)
def test_print_and_notebook_say_the_same(door):
    result = DOORS[door](columns())
    page = html.unescape(result._repr_html_()).replace("<", " <").replace(">", "> ")
    for line in result._lines():
        assert line in page
        assert line in str(result)


def test_a_credit_says_that_it_is_no_incrementality_wherever_it_is_shown():
    credit = Linear().attribute(journeys(columns()))
    for text in (str(credit), credit._repr_html_()):
        assert "Credit says who was there" in text
        assert "unattributed: 1 conversions worth 1" in text
