"""Offers under limits: against an integer program on random problems, bounds, prices, ties, errors."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from relmark.campaigns import Constraint, allocate
from relmark.campaigns import allocate as _door  # noqa: F401  (the module is patched below)
from relmark.errors import InputError

MODULE = importlib.import_module("relmark.campaigns.allocate")
PRICES = importlib.import_module("relmark.campaigns._prices")


@st.composite
def problems(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, k, m = draw(st.integers(2, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    values = np.round(rng.normal(2, 3, (n, k)), draw(st.integers(0, 3)))
    values[rng.random((n, k)) < 0.1] = np.nan
    capacity = {f"o{j}": float(rng.integers(0, n)) for j in range(k) if rng.random() < 0.6}
    minimum = {f"o{j}": float(rng.integers(0, max(1, n // 3))) for j in range(k) if rng.random() < 0.4}
    cost = np.round(rng.random((n, k)) * 3, 1)
    budget = float(rng.integers(0, 2 * n)) if draw(st.booleans()) else None
    weight = np.round(rng.random((n, k)), 2)
    more = [Constraint("calls", weight, at_most=float(rng.integers(1, n)))] if draw(st.booleans()) else []
    return values, m, capacity, minimum, cost, budget, more


def best_of(values, m, capacity, minimum, cost, budget, more):
    """The optimum by an integer program of its own, None where no allocation keeps the limits."""
    n, k = values.shape
    rows, low, high = [], [], []

    def add(weight, least, most):
        rows.append(weight.ravel())
        low.append(least)
        high.append(most)

    for i in range(n):
        weight = np.zeros((n, k))
        weight[i] = 1
        add(weight, -np.inf, m)
    for j in range(k):
        weight = np.zeros((n, k))
        weight[:, j] = 1
        add(weight, minimum.get(f"o{j}", -np.inf), capacity.get(f"o{j}", np.inf))
    if budget is not None:
        add(cost, -np.inf, budget)
    for one in more:
        add(np.asarray(one.weight), -np.inf, one.at_most)
    found = milp(
        -np.nan_to_num(values).ravel(), integrality=np.ones(n * k), bounds=Bounds(0, (~np.isnan(values)).ravel()),
        constraints=LinearConstraint(np.array(rows), low, high), options={"mip_rel_gap": 0},
    )  # fmt: skip
    return None if found.x is None else -found.fun


def asked(problem, **more):
    values, m, capacity, minimum, cost, budget, constraints = problem
    money = {} if budget is None else {"cost": cost, "budget": budget}
    names = [f"o{j}" for j in range(values.shape[1])]
    return allocate(
        values, offers=names, customer_id=np.arange(len(values)), capacity=capacity, minimum=minimum, at_most=m,
        constraints=constraints, **money, **more,
    )  # fmt: skip


@pytest.mark.long
@given(problems(), st.sampled_from(["whole", "planes", "smoothed"]))
def test_limits_are_kept_and_the_bound_holds(problem, way):
    values, m, capacity, minimum, cost, budget, more = problem
    optimum = best_of(*problem)
    before = MODULE._WHOLE_CELLS, PRICES._SMOOTHED
    MODULE._WHOLE_CELLS = before[0] if way == "whole" else 0
    PRICES._SMOOTHED = 1 if way == "smoothed" else before[1]
    try:
        found = asked(problem)
    except InputError:
        found = None
    finally:
        MODULE._WHOLE_CELLS, PRICES._SMOOTHED = before
    assert (found is None) == (optimum is None)
    if found is None:
        return
    chosen = np.column_stack([found.given(name) for name in found.offers])
    assert (chosen.sum(axis=1) <= m).all()
    assert not np.isnan(values[chosen]).any()
    counts = chosen.sum(axis=0)
    for j, name in enumerate(found.offers):
        assert minimum.get(name, 0) <= counts[j] <= capacity.get(name, math.inf)
        assert found.counts[name] == counts[j]
    if budget is not None:
        assert math.fsum(cost[chosen]) <= budget + 1e-9
        assert found.spent == pytest.approx(math.fsum(cost[chosen]))
    for one in more:
        assert math.fsum(np.asarray(one.weight)[chosen]) <= one.at_most + 1e-9
    assert found.value == pytest.approx(math.fsum(values[chosen]))
    assert found.value <= found.bound
    assert found.bound >= optimum - 1e-9
    assert found.value >= optimum - 1e-6
    if found.value > 0:
        assert found.gap == found.bound / found.value - 1


@pytest.mark.long
@given(problems(), st.integers(0, 2**32))
def test_the_order_of_the_rows_changes_nothing(problem, seed):
    values, m, capacity, minimum, cost, budget, more = problem
    order = np.random.default_rng(seed).permutation(len(values))
    moved = [Constraint(one.name, np.asarray(one.weight)[order], at_most=one.at_most) for one in more]
    try:
        first = asked(problem)
    except InputError:
        return
    money = {} if budget is None else {"cost": cost[order], "budget": budget}
    again = allocate(
        values[order], offers=list(first.offers), customer_id=order, capacity=capacity, minimum=minimum, at_most=m,
        constraints=moved, **money,
    )  # fmt: skip
    assert (first.offer[order] == again.offer).all()


@pytest.mark.long
@pytest.mark.parametrize("ties", [False, True])
def test_many_customers_come_within_a_hundred_thousandth_of_the_bound(ties):
    rng = np.random.default_rng(5)
    n, names = 30_000, ["a", "b", "c", "d"]
    values = rng.gamma(2.0, 1.0, (n, 4))
    if ties:
        values = np.round(values)
    cost = {"a": 1.5, "b": 1.0, "c": 0.5, "d": 0.25} if ties else rng.random((n, 4)) + 0.2
    found = allocate(
        values, offers=names, customer_id=np.arange(n), capacity=dict.fromkeys(names, 6_000), minimum={"d": 2_000},
        cost=cost, budget=12_000.0,
    )  # fmt: skip
    assert found.method == "prices"
    assert 0 <= found.gap < 1e-5
    assert found.spent <= 12_000.0
    assert max(found.counts.values()) <= 6_000
    assert found.counts["d"] >= 2_000
    # one more place is worth no more than its price says
    more = allocate(
        values, offers=names, customer_id=np.arange(n), capacity={**dict.fromkeys(names, 6_000), "a": 6_001},
        minimum={"d": 2_000}, cost=cost, budget=12_000.0,
    )  # fmt: skip
    assert more.value <= found.bound + found.price["a"] + 1e-6


def test_equal_values_fill_the_capacities():
    found = allocate(np.ones((10_000, 2)), offers=["a", "b"], customer_id=np.arange(10_000),
                     capacity={"a": 3_333, "b": 2_222})  # fmt: skip
    assert found.counts == {"a": 3_333, "b": 2_222}
    assert found.value == 5_555.0


def test_a_negative_value_is_taken_only_for_a_minimum_and_is_counted():
    values = {"a": [-1.0, -2.0, 5.0], "b": [3.0, -4.0, 1.0]}
    assert allocate(values).offer.tolist() == ["b", "", "a"]
    found = allocate(values, minimum={"a": 2})
    assert (found.counts["a"], found.below_zero, found.value) == (2, 1, 6.0)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"minimum": {"a": 4}}, "at most 3 customers"),
        ({"minimum": {"a": 2}, "capacity": {"a": 1}}, "at most 1 customers"),
        ({"minimum": {"a": 2, "b": 2}}, "add up to 4"),
        ({"minimum": {"a": 2}, "cost": 1.0, "budget": 1.0}, "no allocation meets all limits"),
        ({"budget": 1.0}, "without cost"),
        ({"capacity": {"z": 1}}, "names the offer"),
    ],
)
def test_what_cannot_be_is_said(parts, said):
    with pytest.raises(InputError, match=said):
        allocate({"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]}, **parts)


def test_nobody_and_nothing_worth_having():
    nothing = allocate(np.empty((0, 2)))
    assert (nothing.value, nothing.gap, len(nothing)) == (0.0, 0.0, 0)
    poor = allocate({"a": [-1.0, float("nan")]})
    assert (poor.value, poor.bound, poor.gap, poor.offer.tolist()) == (0.0, 0.0, 0.0, ["", ""])
