"""Orders and codes against the slow obvious version."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark.core.ids import code_ids, find_ids
from relmark.core.ordering import group_order, is_sorted, small_codes, stable_order

INT64 = st.integers(-(2**63), 2**63 - 1)
keys = (
    st.lists(st.integers(0, 5), max_size=40)
    | st.lists(INT64, max_size=40)
    | st.lists(st.integers(0, 2**60), max_size=40)
)


@given(keys)
def test_a_stable_order_is_pythons(values):
    array = np.array(values, dtype=np.int64)
    assert stable_order(array).tolist() == sorted(range(len(values)), key=values.__getitem__)
    assert is_sorted(array) == (values == sorted(values))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40))
def test_a_stable_order_of_int32_is_pythons(values):
    assert stable_order(np.array(values, np.int32)).tolist() == sorted(range(len(values)), key=values.__getitem__)


@given(st.lists(st.integers(0, 6), max_size=40))
def test_groups_hold_their_rows_in_order(codes):
    order, offsets = group_order(np.array(codes, dtype=np.int32), 8)
    for group in range(8):
        assert order[offsets[group] : offsets[group + 1]].tolist() == [
            k for k, code in enumerate(codes) if code == group
        ]


@given(st.lists(st.integers(-5, 5), max_size=30) | st.lists(INT64, max_size=30) | st.lists(st.text("aжZ0", min_size=1)))
def test_ids_are_ascending_and_codes_point_at_them(values):
    ids, codes = code_ids("customer_id", values)
    assert ids.tolist() == sorted(set(values))
    assert [ids.tolist()[code] for code in codes] == values
    if values:
        assert find_ids("customer_id", ids, values).tolist() == codes.tolist()


@pytest.mark.parametrize("bits", [1, 20, 45, 58, 60, 62, 63])
def test_keys_of_every_width_are_sorted_in_as_many_passes_as_they_need(bits):
    rng = np.random.default_rng(bits)
    for n in (2, 70, 5_000):
        keys = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), n)
        keys[n // 2 :] = keys[: n - n // 2]  # ties
        assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("share", [0.001, 0.02, 0.5, 1.0])
def test_keys_that_differ_in_their_last_bits_alone_are_sorted_too(share):
    rng = np.random.default_rng(int(share * 1_000))
    n = 20_000
    keys = rng.integers(0, 2**40, n) << 21  # 61 bits: the last twelve do not fit beside the row
    close = rng.random(n) < share
    keys[close] = (rng.integers(0, 5, close.sum()) << 40) + rng.integers(0, 9, close.sum())
    keys[:2] = 0, 2**61
    assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
    crowd = np.concatenate([np.full(n, 7), [9, 8, 0, 2**61]])  # few descents within one large group
    assert stable_order(crowd).tolist() == np.argsort(crowd, kind="stable").tolist()


def test_codes_take_the_smallest_type_that_holds_them():
    assert small_codes(np.array([1]), 5).dtype == np.int32
    assert small_codes(np.array([1]), 2**31).dtype == np.int64


def test_dense_ids_sparse_ids_and_ids_over_the_whole_range_are_coded_alike():
    rng = np.random.default_rng(1)
    for ids in (
        rng.integers(0, 50, 3_000),  # a table of the range
        rng.integers(0, 2**40, 3_000) | (rng.integers(0, 9, 3_000) << 41),  # a packed sort
        rng.integers(-(2**62), 2**62, 3_000),  # neither fits
        np.repeat(np.array([-(2**63), 2**63 - 1, 0]), 1_000),
        rng.integers(0, 50, 3_000).astype(np.uint8),
        np.arange(100)[::-1],
    ):
        found, codes = code_ids("customer_id", ids)
        expected, back = np.unique(ids, return_inverse=True)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(codes, back)
        assert codes.dtype == np.int32


@pytest.mark.slow
def test_ten_million_rows_take_the_order_that_an_obvious_sort_gives():
    rng = np.random.default_rng(2)
    customer = rng.integers(0, 1_000_000, 10_000_000).astype(np.int32)
    time = rng.integers(0, 40_000, 10_000_000)  # many ties, so that stability shows
    by_time = stable_order(time)
    order = by_time[stable_order(customer[by_time])]
    whole = (customer[order].astype(np.int64) * 40_000 + time[order]) * 10_000_000 + order
    assert (np.diff(whole) > 0).all()  # (customer, time, row) ascends strictly: there is only one such order
    assert np.bincount(order, minlength=10_000_000).max() == 1
