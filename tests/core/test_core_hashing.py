"""The keyed hash: published values, a slow obvious version, and every shape that ids come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark.core.hashing import bucket_of, hash_buckets, hash_fraction
from relmark.errors import InputError


def slow(text: str, seed: str, version: int = 2) -> int:
    def fnv1a(text: str) -> int:
        state, data = 0x811C9DC5, text.encode("utf-16-le")
        for low, high in zip(data[::2], data[1::2], strict=True):
            state = ((state ^ (low + 256 * high)) * 0x01000193) % 2**32
        return state

    return fnv1a(str(fnv1a(seed + text))) % 10_000 if version == 2 else fnv1a(text + seed) % 1_000 * 10


def test_the_values_that_growthbook_publishes():
    # GrowthBook SDK test cases, hash version 2.
    assert hash_fraction(["a", "b", "ab", "def"], seed="seed")[:2].tolist() == [0.0505, 0.2696]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))), st.text("sж💧", max_size=4)
)
def test_texts_hash_as_their_utf16_code_units(texts, seed):
    assert hash_buckets(np.array(texts, dtype=object), seed).tolist() == [slow(text, seed) for text in texts]
    if texts:
        assert hash_buckets(texts, seed).tolist() == [slow(text, seed) for text in texts]
        assert hash_buckets(texts, seed, version=1).tolist() == [slow(text, seed, 1) for text in texts]
        assert [bucket_of(seed)(text) for text in texts] == hash_buckets(texts, seed).tolist()
        assert [bucket_of(seed, version=1)(text) for text in texts] == hash_buckets(texts, seed, version=1).tolist()


@given(st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.integers(0, 999)))
def test_integers_hash_as_their_decimal_text(ids):
    assert hash_buckets(np.array(ids, dtype=np.int64), "s").tolist() == [slow(str(i), "s") for i in ids]
    unsigned = np.array([i % 2**64 for i in ids], dtype=np.uint64)
    assert hash_buckets(unsigned, "s", version=1).tolist() == [slow(str(i), "s", 1) for i in unsigned.tolist()]
    assert hash_buckets(unsigned, "s").tolist() == [slow(str(i), "s") for i in unsigned.tolist()]


@pytest.mark.parametrize("sign", [1, -1])
def test_long_columns_of_integers_of_every_length_hash_as_their_decimal_text(sign):
    edges = [sign * (10**power + step) for power in range(19) for step in (-1, 0, 1)]
    edges += [sign * (2**power + step) for power in (31, 32, 62) for step in (-1, 0, 1)]
    rng = np.random.default_rng(7)
    ids = np.array(edges + (sign * 10 ** rng.uniform(0, 18, 3_000)).astype(np.int64).tolist(), dtype=np.int64)
    assert hash_buckets(ids, "s").tolist() == [slow(str(i), "s") for i in ids.tolist()]
    narrow = ids[np.abs(ids) < 128].astype(np.int8).repeat(50)
    assert hash_buckets(narrow, "").tolist() == [slow(str(i), "") for i in narrow.tolist()]


def test_layout_blocks_and_kinds_do_not_matter():
    ids = np.array([f"user-{k}" for k in range(70_000)])
    some = [0, 1, 32_767, 32_768, 65_535, 65_536, 69_999]
    expected = [slow(text, "x") for text in ids[some].tolist()]
    found = hash_buckets(ids, "x")
    assert found[some].tolist() == expected
    assert hash_buckets(ids[::-1], "x")[::-1].tolist() == found.tolist()
    assert hash_buckets(ids.astype(ids.dtype.newbyteorder(">")), "x").tolist() == found.tolist()
    assert hash_buckets(np.array(["é", "a", ""]).astype(np.dtypes.StringDType()), "x").tolist() == [
        slow(t, "x") for t in ("é", "a", "")
    ]
    assert hash_buckets("user-1", "x").tolist() == [slow("user-1", "x")]
    assert hash_buckets(np.array(["a", 7, np.int64(8)], dtype=object), "x").tolist() == [slow(t, "x") for t in "a78"]
    assert len(hash_buckets(np.empty(0, dtype=object), "x")) == 0


def test_fractions_are_uniform_and_seeds_independent():
    a, b = hash_fraction(np.arange(100_000), "a"), hash_fraction(np.arange(100_000), "b")
    counts = np.bincount((a * 10).astype(int), minlength=10)
    assert abs(counts - 10_000).max() < 500
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02
    assert (a >= 0).all()
    assert (a < 1).all()


@pytest.mark.parametrize(
    ("ids", "seed", "message"),
    [
        (["a"], 3, "seed is 3: a string is needed"),
        ([1.5], "s", "ids has dtype float64"),
        ([[1]], "s", r"shape \(1, 1\)"),
        (np.array([None, "a"], dtype=object), "s", "ids has None in row 0: int or str is needed"),
        (np.array([True, "a"], dtype=object), "s", "ids has True in row 0"),
        (["a\ud800"], "s", "half a surrogate pair"),
        (["a"], "\ud800", "half a surrogate pair"),
        (["b", "a\0"], "s", "ids has 'a.x00' in row 1, which ends in a null character"),
        (np.array(["b", "a\0"], dtype=object), "s", "in row 1, which ends in a null character"),
        (["a"], "s\0", "seed has 's.x00', which ends in a null character"),
    ],
)
def test_what_cannot_be_hashed_is_refused(ids, seed, message):
    with pytest.raises(InputError, match=message):
        hash_buckets(ids, seed)
