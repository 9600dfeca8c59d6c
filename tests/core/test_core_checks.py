"""The checks at the door: what passes, and what a refusal says."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from relmark.core import checks
from relmark.errors import InputError

NAN = float("nan")


def refused(text):
    return pytest.raises(InputError, match=re.escape(text))


def test_numbers_pass_as_float64_without_a_copy():
    array = np.array([1.0, 2.0])
    assert checks.numbers("x", array) is array
    assert checks.numbers("x", [1, 2]).dtype == np.float64
    assert checks.numbers("x", 3).tolist() == [3.0]
    assert checks.numbers("x", [Decimal("1.5"), 2]).tolist() == [1.5, 2.0]
    assert np.isnan(checks.numbers("x", [None, 1.0], missing=True)[0])
    assert np.isnan(checks.numbers("x", np.array([pd.NA, 1.0], dtype=object), missing=True)[0])


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        (["a"], {}, "x has dtype <U1: numbers are needed. Convert it first."),
        ([[1.0], [2.0]], {}, "x has shape (2, 1): one column of numbers is needed."),
        ([1.0, 2.0], {"length": 3}, "x has 2 rows and the other columns have 3: give one value per row."),
        ([1.0, NAN], {}, "x has nan in row 1: finite numbers are needed. Drop or fill these rows first."),
        ([1.0, np.inf, np.inf], {"missing": True}, "x has inf in row 1 (and 1 more rows): finite numbers"),
        ([1.0, -2.0], {"low": 0}, "x has -2.0 in row 1: values of 0 or more are needed."),
        ([1.0, 0.0], {"above": 0}, "x has 0.0 in row 1: values above 0 are needed."),
        ([1.0, 9.0], {"high": 2}, "x has 9.0 in row 1: values of 2 or less are needed."),
        ([None, 1], {}, "x has None in row 0: numbers are needed."),
        ([1, "b", None], {"missing": True}, "x has dtype" if False else "x has 'b' in row 1: numbers are needed."),
        ([object(), None], {"missing": True}, "in row 0: numbers are needed."),
        ([10**400, None], {"missing": True}, "in row 0: numbers are needed."),
        (9.0, {"high": 2}, "x has 9.0: values of 2 or less are needed."),
    ],
)
def test_numbers_refuse_with_row_value_and_remedy(values, arguments, message):
    given = np.array(values, dtype=object) if isinstance(values, list) and None in values else values
    with refused(message):
        checks.numbers("x", given, **arguments)


def test_one_number_within_bounds():
    assert checks.number("x", np.float32(0.5)) == 0.5
    assert checks.number("x", Decimal(2), low=2, high=2) == 2.0
    for value in (True, "1", None, b"1", [1], 10**400, np.bool_(True)):
        with refused("a number is needed"):
            checks.number("x", value)
    with refused("x is nan: a finite number is needed."):
        checks.number("x", NAN)
    with refused("x is 5: it must be a finite number, at least 1 and below 3."):
        checks.number("x", 5, low=1, below=3)
    with refused("x is 0: it must be a finite number, above 0."):
        checks.positive("x", 0)
    assert checks.fraction("x", 0.5) == 0.5
    assert checks.fraction("x", 1, open_ends=False) == 1.0
    with refused("above 0 and below 1"):
        checks.fraction("x", 1)


def test_one_whole_number():
    assert checks.whole("k", np.int64(3)) == 3
    for value in (True, np.bool_(True), 3.0, "3", None):
        with refused("a whole number is needed"):
            checks.whole("k", value)
    with refused("k is 0: a whole number of at least 1 and at most 9 is needed."):
        checks.whole("k", 0, low=1, high=9)
    with refused("k is an int too long to print: a whole number of at most 9"):
        checks.whole("k", 10**5000, high=9)


def test_words_and_texts():
    assert checks.one_of("by", "item", ("item", "order")) == "item"
    with refused("by is 'itme': it must be one of 'item', 'order'. Did you mean 'item'?"):
        checks.one_of("by", "itme", ("item", "order"))
    with refused("by is 3: it must be one of 'item'."):
        checks.one_of("by", 3, ("item",))
    assert checks.text("name", "a") == "a"
    assert checks.text("name", "", empty=True) == ""
    with refused("name is '': a string that is not empty is needed."):
        checks.text("name", "")
    with refused("name is 3: a string is needed."):
        checks.text("name", 3, empty=True)


def test_a_generator_is_made_once_at_the_edge():
    rng = np.random.default_rng(1)
    assert checks.generator(rng) is rng
    assert checks.generator(5).integers(100) == np.random.default_rng(5).integers(100)
    assert isinstance(checks.generator(None), np.random.Generator)
    with refused("rng is -1"):
        checks.generator(-1)
    for given in (np.array(5), np.array([5]), 5.0, "5", np.random.SeedSequence(5), [5]):
        with refused("rng is "):
            checks.generator(given)
    assert checks.generator(np.int64(5)).integers(100) == np.random.default_rng(5).integers(100)


def test_an_array_of_one_is_no_whole_number():
    with refused("n is array"):
        checks.whole("n", np.array(5))


def test_what_is_shown_is_short():
    assert checks.shown(np.float64(1.5)) == "1.5"
    assert len(checks.shown("x" * 10_000)) == 80
    assert checks.shown(list(range(1_000))) == "a list of 1,000"
    assert checks.shown([1, 2]) == "[1, 2]"


def test_missing_is_none_nan_nat_and_na_and_nothing_else():
    for value in (
        None,
        NAN,
        np.float32("nan"),
        np.datetime64("NaT", "us"),
        pd.NaT,
        pd.NA,
        Decimal("NaN"),
        Decimal("sNaN"),
    ):
        assert checks.is_missing(value), value
    for value in ("", 0, False, "nan", [], frozenset(), np.array([NAN, 1.0]), Decimal(1), pd.Timestamp("2026-01-01")):
        assert not checks.is_missing(value), value


def test_a_value_that_cannot_be_printed_is_named_by_its_type():
    class Odd:
        def __repr__(self):
            raise OverflowError

    assert checks.shown(Odd()) == "an Odd that cannot be printed"
    with refused("x is"):
        checks.number("x", np.ma.masked)
    with refused("x is"):
        checks.number("x", 1 + 2j)
    with refused("x is"):
        checks.number("x", np.array([1.0]))
