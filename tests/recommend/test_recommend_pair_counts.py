"""Counts of pairs of different customers add up to those of all, and so do the neighbors of items."""

from __future__ import annotations

import functools
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark import CustomerBase, ItemTable
from relmark.errors import InputError
from relmark.recommend import Category, Interactions, ItemNeighbors, PairCounts, also_bought

MEASURES = (
    "item",
    "other",
    "count",
    "support",
    "confidence",
    "lift",
    "leverage",
    "conviction",
    "cosine",
    "jaccard",
    "llr",
)
FIELDS = ("item", "held", "buyers", "a", "b", "both", "n_baskets", "n_customers", "by")

DAYS = np.array(["2026-01-01"] * 2, "M8[D]")
BOTH = {"customer_id": np.array([1, 1]), "item": np.array(["a", "b"]), "time": DAYS}


@st.composite
def purchases(draw):
    """Return what customers bought as columns, and in which part each line's customer is."""
    rng = np.random.default_rng(draw(st.integers(0, 2**30)))
    n, people, items = draw(st.integers(1, 80)), draw(st.integers(1, 12)), draw(st.integers(1, 9))
    who, item = rng.integers(0, people, n), rng.integers(0, items, n)
    columns = {"customer_id": who, "item": item if draw(st.booleans()) else np.char.add("i", item.astype(str)),
               "time": np.datetime64("2026-01-01") + rng.integers(0, 5, n)}  # fmt: skip
    return columns, rng.integers(0, draw(st.integers(1, 4)), people)[who]


def some(columns, rows):
    return Interactions.from_columns(**{name: column[rows] for name, column in columns.items()})


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@given(purchases(), st.sampled_from(["order", "customer"]), st.integers(1, 3))
def test_pairs_and_neighbors_of_any_parts_are_those_of_all(bought, by, min_count):
    columns, part = bought
    states = [PairCounts.of(some(columns, part == k), by=by) for k in np.unique(part)]
    total = functools.reduce(operator.add, states)
    assert same(total, functools.reduce(operator.add, states[::-1]))
    if len(states) > 2:
        assert same(total, states[0] + functools.reduce(operator.add, states[1:]))
    assert same(total, pickle.loads(pickle.dumps(total)))
    everything = some(columns, slice(None))
    assert same(total, PairCounts.of(everything, by=by))
    for exclude in (None, [columns["item"][0]]):
        found, expected = (
            total.pairs(min_count=min_count, exclude=exclude),
            also_bought(everything, by=by, min_count=min_count, exclude=exclude),
        )
        assert found.n_baskets == expected.n_baskets
        for name in MEASURES:
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    for measure in ("llr", "jaccard"):
        spec = ItemNeighbors(measure=measure, by=by, k=3, shrink=1.5)
        found, expected = spec.fit_counts(total), spec.fit(everything)
        for name in ("indptr", "item", "weight"):
            assert np.array_equal(getattr(found.neighbors, name), getattr(expected.neighbors, name))
        assert found.popularity.tolist() == expected.popularity.tolist()
        lists = [model.recommend(everything.customer_id, 2, history=everything) for model in (found, expected)]
        assert lists[0].item.tolist() == lists[1].item.tolist()
        assert lists[0].score.tolist() == lists[1].score.tolist()


def test_pairs_are_those_of_all_pairs_counted_by_hand():
    columns = {"customer_id": np.array([1, 1, 1, 2, 2, 3]), "item": np.array(["a", "b", "c", "a", "b", "c"]),
               "time": np.array(["2026-01-01"] * 6, "M8[D]")}  # fmt: skip
    counts = PairCounts.of(some(columns, slice(None)))
    assert repr(counts) == "PairCounts(3 items, 3 pairs, 3 baskets)"
    assert counts.held.tolist() == [2, 2, 2]
    assert counts.buyers.tolist() == [2, 2, 2]
    assert list(zip(counts.a.tolist(), counts.b.tolist(), counts.both.tolist(), strict=True)) == [
        (0, 1, 2), (0, 2, 1), (1, 2, 1),
    ]  # fmt: skip
    table = ItemTable.from_columns(item=["a", "b", "c"], category=["x", "x", "y"])
    kept = counts.pairs(min_count=1, exclude=Category("y"), catalog=table)
    assert kept.item.tolist() == ["a", "b"]


def test_counts_of_other_baskets_or_other_ids_do_not_add_up():
    columns = {
        "customer_id": np.array([1, 1]),
        "item": np.array(["a", "b"]),
        "time": np.array(["2026-01-01"] * 2, "M8[D]"),
    }
    counts = PairCounts.of(some(columns, slice(None)))
    with pytest.raises(InputError, match="baskets are of one order here and of one customer there"):
        counts + PairCounts.of(some(BOTH, slice(None)), by="customer")
    with pytest.raises(InputError, match="texts here and integers there"):
        counts + PairCounts.of(some(BOTH | {"item": np.array([1, 2])}, slice(None)))
    with pytest.raises(TypeError):
        counts + 1
    nothing = PairCounts.of(CustomerBase())
    assert same(counts + nothing, counts)
    assert same(nothing + nothing, nothing)
    assert len(nothing.pairs()) == 0


def test_neighbors_from_counts_need_a_measure_that_counts_and_the_same_baskets():
    columns = {
        "customer_id": np.array([1, 1]),
        "item": np.array(["a", "b"]),
        "time": np.array(["2026-01-01"] * 2, "M8[D]"),
    }
    counts = PairCounts.of(some(columns, slice(None)))
    with pytest.raises(InputError, match="measure='cosine' needs the items") as told:
        ItemNeighbors(by="order").fit_counts(counts)
    assert told.value.hint.startswith("Use measure='llr'")
    with pytest.raises(InputError, match="the counts are of baskets by 'order'"):
        ItemNeighbors(measure="llr").fit_counts(counts)
    with pytest.raises(InputError, match="PairCounts are needed"):
        ItemNeighbors(measure="llr").fit_counts(BOTH)
