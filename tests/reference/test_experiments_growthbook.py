"""The published test cases of GrowthBook's SDKs, specification version 0.5.4.

Source: github.com/growthbook/growthbook, packages/sdk-js/test/cases.json. Only values are taken over.
"""

import numpy as np
import pytest

from relmark.core.assignment import Arms, bucket_ranges
from relmark.core.hashing import bucket_of, hash_fraction
from relmark.core.namespaces import Namespace
from relmark.errors import InputError
from relmark.experiments import Experiment

HASH = [
    ("", "a", 1, 0.22),
    ("", "b", 1, 0.077),
    ("b", "a", 1, 0.946),
    ("ef", "d", 1, 0.652),
    ("asdf", "8952klfjas09ujk", 1, 0.549),
    ("", "123", 1, 0.011),
    ("", '___)((*":&', 1, 0.563),
    ("seed", "a", 2, 0.0505),
    ("seed", "b", 2, 0.2696),
    ("foo", "ab", 2, 0.2575),
    ("foo", "def", 2, 0.2019),
    ("89123klj", "8952klfjas09ujkasdf", 2, 0.124),
    ("90850943850283058242805", "123", 2, 0.7516),
    ("()**(%$##$%#$#", '___)((*":&', 2, 0.0128),
]
# Beyond the published ones: JavaScript hashes UTF-16 code units, of which an emoji has two.
HASH += [("seed", "anna@müller.de", 2, 0.8005), ("весна", "17", 2, 0.1981), ("s", "😀", 2, 0.2801)]


@pytest.mark.parametrize(("seed", "value", "version", "expected"), HASH)
def test_the_hash_of_both_versions(seed, value, version, expected):
    assert hash_fraction([value], seed, version=version).tolist() == [expected]
    assert hash_fraction([value] * 600, seed, version=version).tolist() == [expected] * 600
    assert bucket_of(seed, version=version)(value) / 10_000 == expected
    if value.isdecimal():
        assert hash_fraction([int(value)], seed, version=version).tolist() == [expected]


def test_an_unknown_version_is_no_hash():
    with pytest.raises(InputError, match="version is 99: it must be 1 or 2"):
        hash_fraction(["def"], "abc", version=99)


RANGES = [
    ("normal 50/50", 2, 1, None, [(0, 0.5), (0.5, 1)]),
    ("reduced coverage", 2, 0.5, None, [(0, 0.25), (0.5, 0.75)]),
    ("zero coverage", 2, 0, None, [(0, 0), (0.5, 0.5)]),
    ("4 variations", 4, 1, None, [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ("uneven weights", 2, 1, [0.4, 0.6], [(0, 0.4), (0.4, 1)]),
    ("uneven weights, 3", 3, 1, [0.2, 0.3, 0.5], [(0, 0.2), (0.2, 0.5), (0.5, 1)]),
    ("uneven, reduced coverage", 3, 0.2, [0.2, 0.3, 0.5], [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]),
    ("negative coverage", 2, -0.2, None, [(0, 0), (0.5, 0.5)]),
    ("coverage above 1", 2, 1.5, None, [(0, 0.5), (0.5, 1)]),
    ("weights sum below 1", 2, 1, [0.4, 0.1], [(0, 0.5), (0.5, 1)]),
    ("weights sum above 1", 2, 1, [0.7, 0.6], [(0, 0.5), (0.5, 1)]),
    ("another number of weights", 4, 1, [0.4, 0.4, 0.2], [(0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1)]),
    ("weights almost 1", 2, 1, [0.4, 0.5999], [(0, 0.4), (0.4, 0.9999)]),
]


@pytest.mark.parametrize(("name", "count", "coverage", "weights", "expected"), RANGES, ids=[r[0] for r in RANGES])
def test_bucket_ranges_are_repaired_alike(name, count, coverage, weights, expected):
    found = bucket_ranges(count, coverage=coverage, weights=weights)
    assert np.allclose(found, expected, rtol=0, atol=1e-12)


def test_equal_weights():
    assert bucket_ranges(-1) == []
    assert bucket_ranges(0) == []
    assert bucket_ranges(1) == [(0.0, 1.0)]
    assert np.allclose(np.diff(bucket_ranges(3)), 0.33333333, atol=1e-8)


EVEN, REDUCED = [(0, 0.5), (0.5, 1)], [(0, 0.25), (0.5, 0.75)]
CHOICES = [(0.2, EVEN, 0), (0.4, EVEN, 0), (0.6, EVEN, 1), (0.8, EVEN, 1), (0, EVEN, 0), (0.5, EVEN, 1)]
CHOICES += [(0.2, REDUCED, 0), (0.4, REDUCED, -1), (0.6, REDUCED, 1), (0.8, REDUCED, -1)]
CHOICES += [(0.25, REDUCED, -1), (0.5, REDUCED, 1)]


@pytest.mark.parametrize(("fraction", "ranges", "expected"), CHOICES)
def test_the_variation_of_a_fraction(fraction, ranges, expected):
    arms = Arms({"0": 0.5, "1": 0.5}, coverage=1.0 if ranges is EVEN else 0.5)
    assert arms.ranges == ranges
    assert arms.codes(np.array([round(fraction * 10_000)])).tolist() == [expected]
    assert arms.of_bucket(round(fraction * 10_000)) == (None if expected < 0 else str(expected))


IN_NAMESPACE = {("1", "namespace1"): False, ("1", "namespace2"): False, ("2", "namespace1"): False}
IN_NAMESPACE |= {("2", "namespace2"): False, ("3", "namespace1"): False, ("3", "namespace2"): True}
IN_NAMESPACE |= {("4", "namespace1"): False, ("4", "namespace2"): True}


@pytest.mark.parametrize(("user", "name"), IN_NAMESPACE)
def test_namespaces(user, name):
    low, high = Namespace(name, 0, 0.4), Namespace(name, 0.4, 1)
    expected = IN_NAMESPACE[user, name]
    for ids in ([user], [int(user)]):
        assert low.members(ids).tolist() == [expected]
        assert high.members(ids).tolist() == [not expected]
    assert low.has(user) is expected
    assert high.has(int(user)) is not expected


def arms_of(count=2, **options):
    options.setdefault("arms", {str(k): 1 / count for k in range(count)})
    return Experiment("my-test", hash="growthbook-1", **options)


def test_runs_with_the_first_version_of_the_hash():
    ids = [str(k) for k in range(1, 10)]
    coverage = [None, "0", "0", None, "1", None, "0", "1", None]
    three = ["2", "0", "0", "2", "1", "2", "0", "1", "0"]
    for given in (ids, list(range(1, 10))):
        assert [arms_of(coverage=0.4).arm_of(one) for one in given] == coverage
        assert [arms_of(3).arm_of(one) for one in given] == three
        assert [a or None for a in arms_of(coverage=0.4).assign(given).arm.tolist()] == coverage
        assert arms_of(3).assign(given).arm.tolist() == three
    uneven = arms_of(arms={"0": 0.1, "1": 0.9})
    assert [uneven.arm_of(one) for one in ("8", "9")] == ["1", "1"]
    assert arms_of().arm_of("1") == "1"
    assert arms_of(salt="my-test-3").arm_of("1") == "0"
    assert arms_of(namespace=Namespace("namespace", 0.1, 1)).arm_of("1") == "1"
    outside = arms_of(namespace=Namespace("namespace", 0, 0.1))
    assert outside.arm_of("1") is None
    assert outside.assign(["1"]).reason.tolist() == ["namespace"]


def test_runs_with_a_seed_and_the_second_version():
    test = Experiment("key", arms={"0": 0.5, "1": 0.5}, salt="foo")
    assert test.arm_of("1") == "1"
    assert Experiment("key", arms={"0": 0.5, "1": 0.5}, salt="foo", coverage=0.99).arm_of("1") == "1"


@pytest.mark.parametrize("hash", ["growthbook", "growthbook-1", "sha256"])
def test_an_empty_id_is_in_no_test(hash):
    test = Experiment("my-test", arms={"0": 0.5, "1": 0.5}, hash=hash)
    assert test.arm_of("") is None
    drawn = test.assign(["", "1"])
    assert drawn.code.tolist()[0] == -1
    assert drawn.reason.tolist() == ["no id", ""]
    assert drawn.arm.tolist() == ["", test.arm_of("1")]
