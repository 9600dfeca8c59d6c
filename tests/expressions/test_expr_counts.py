"""Counts of many customers in one byte each, and comparing and spreading them: the same as the plain way."""

from __future__ import annotations

import operator
from datetime import UTC, datetime

import numpy as np
import pytest

from relmark.core.base import CustomerBase
from relmark.core.columns import Column
from relmark.core.log import EventLog
from relmark.core.table import CustomerTable
from relmark.core.time import days
from relmark.expressions import aggregates, event
from relmark.expressions.column_tests import compare
from relmark.expressions.scope import spread
from relmark.segmentation import Segment

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("most", [1, 255, 256, 300, 70_000])
def test_counts_of_many_customers_are_right_whatever_the_busiest_has(most):
    k = 140_000
    rng = np.random.default_rng(most)
    codes = np.concatenate([rng.integers(0, k, 90_000), np.full(most, 17)]).astype(np.int32)
    found = aggregates.counts(codes, k)
    assert found.tolist() == np.bincount(codes, minlength=k).tolist()
    assert found.dtype == (np.uint8 if found.max() < 256 else np.int64)
    assert aggregates.counts(codes[:100], k).tolist() == np.bincount(codes[:100], minlength=k).tolist()


@pytest.mark.parametrize("op", ["eq", "ne", "lt", "le", "gt", "ge"])
@pytest.mark.parametrize("bound", [-1, 0, 2, 2.0, 2.5, 255, 256, 300, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), 1e300])
def test_integers_compare_with_a_bound_exactly(op, bound):
    for numbers in (
        np.array([0, 1, 2, 3, 255], np.uint8),
        np.array([-(2**53) - 1, -1, 2, 2**53 - 1, 2**53 + 1, 2**62]),
    ):
        expected = [getattr(operator, op)(number, bound) for number in numbers.tolist()]
        found = compare(op, Column("number", numbers), bound, "UTC")
        assert found.unknown is None
        assert found.true.tolist() == expected


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_verdicts_of_few_or_many_land_on_their_rows(default, share):
    rng = np.random.default_rng(3)
    rows, values = rng.permutation(300)[:200], rng.random(200) < share
    expected = np.full(300, default)
    expected[rows] = values
    assert spread(values, rows, 300, default).tolist() == expected.tolist()
    assert spread(values, None, 200, default) is values


@pytest.mark.parametrize("bound", [0, 1, 3, 299])
def test_a_count_compared_in_a_large_base_agrees_with_the_count_itself(bound):
    k = 135_000
    rng = np.random.default_rng(11)
    customer = np.concatenate([2 * np.arange(k), 2 * rng.integers(0, k, 50_000), np.full(299, 8)])
    log = EventLog.from_columns(
        customer_id=customer, type="a", time=np.full(len(customer), np.datetime64("2026-02-01"))
    )
    base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(2 * k)), events=log)
    count = event("a").count(within=days(60))
    number = count.measure(base, AS_OF).values()
    assert number.dtype == np.int64
    assert number.sum() == len(customer)
    for rule, mask in (
        (count >= bound, number >= bound),
        (count < bound, number < bound),
        (count == bound, number == bound),
    ):
        assert (Segment("s", rule).evaluate(base, as_of=AS_OF).mask == mask).all()
