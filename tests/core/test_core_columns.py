"""Typed columns: which kind values become, what is missing, and rows taken, spread and joined."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relmark.core.columns import Column, joined
from relmark.core.ids import Coded, code_texts, find_ids, id_array
from relmark.core.time import UtcTimes
from relmark.errors import InputError

NAN = float("nan")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def refused(text):
    return pytest.raises(InputError, match=re.escape(text))


def plain(column):
    return [column.value(row) for row in range(len(column))]


COLUMNS = {
    "whole": ([1, 2, 2**53], "number", [1, 2, 2**53]),
    "parts": ([1, 2.5, NAN], "number", [1.0, 2.5, None]),
    "with none": ([1, None], "number", [1.0, None]),
    "decimal": ([Decimal("1.50"), None], "number", [1.5, None]),
    "fraction": ([Fraction(1, 2), 1], "number", [0.5, 1.0]),
    "datetime64 scalars": ([np.datetime64("2026-01-01"), None], "date", [np.datetime64("2026-01-01"), None]),
    "moment scalars": ([np.datetime64("2026-01-01T12"), None], "instant", [np.datetime64("2026-01-01T12:00"), None]),
    "numpy scalars": ([np.int8(1), np.int64(2), None], "number", [1.0, 2.0, None]),
    "flags": ([True, False], "boolean", [True, False]),
    "flags with none": ([True, None, np.bool_(False)], "boolean", [True, None, False]),
    "words": (["b", "a", ""], "text", ["b", "a", ""]),
    "words with none": (["b", None, NAN, "b"], "text", ["b", None, None, "b"]),
    "numpy words": (np.array(["b", "a"]), "text", ["b", "a"]),
    "string dtype": (np.array(["b", "a"]).astype(np.dtypes.StringDType()), "text", ["b", "a"]),
    "days": ([date(2026, 1, 1), None], "date", [np.datetime64("2026-01-01"), None]),
    "datetime64 days": (np.array(["2026-01", "NaT"], "M8[M]"), "date", [np.datetime64("2026-01-01"), None]),
    "instants": ([NOON, None], "instant", [np.datetime64("2026-01-01T12:00"), None]),
    "datetime64": (np.array(["2026-01-01T12", "NaT"], "M8[ns]"), "instant", [np.datetime64("2026-01-01T12:00"), None]),
    "utc": (UtcTimes(np.array(["2026-01-01T12"], "M8[us]")), "instant", [np.datetime64("2026-01-01T12:00")]),
    "tags": ([{"b", "a"}, None, set(), ("c", "c")], "tags", [frozenset("ab"), None, frozenset(), frozenset("c")]),
    "arrays of tags": ([np.array(["x", "y"]), None], "tags", [frozenset("xy"), None]),
    "nothing": ([None, NAN, pd.NA, pd.NaT], "empty", [None] * 4),
    "no rows": ([], "empty", []),
    "coded": (Coded(np.array(["b", "a", "z"]), np.array([1, -1, 0])), "text", ["a", None, "b"]),
    "coded numbers": (Coded(np.array([5, 7], dtype=object), np.array([1, 0])), "number", [7, 5]),
    "coded numbers with none": (Coded(np.array([5, 7], dtype=object), np.array([1, -1])), "number", [7.0, None]),
    "pandas": (pd.Series([1, None], dtype="Int64"), "number", [1.0, None]),
    "pandas words": (pd.Series(["a", None]), "text", ["a", None]),
    "pandas zone": (pd.Series([NOON, None]), "instant", [np.datetime64("2026-01-01T12:00"), None]),
    "polars": (pl.Series([1.5, None]), "number", [1.5, None]),
    "arrow": (pa.array(["a", None]), "text", ["a", None]),
    "float32": (np.array([1.5], np.float32), "number", [1.5]),
    "uint8": (np.array([200], np.uint8), "number", [200]),
    "generator": ((x for x in (1, 2)), "number", [1, 2]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_values_become_a_column_of_their_kind(name):
    values, kind, expected = COLUMNS[name]
    column = Column.of("x", values)
    assert column.kind == kind
    assert plain(column) == expected
    assert column.missing.tolist() == [value is None for value in expected]
    assert len(column) == len(expected)
    assert Column.of("x", column) is column
    natural = column.values()
    assert len(natural) == len(expected)
    if expected:
        again = Column.of("x", natural)
        assert plain(again) == expected
        assert plain(column.take(slice(None, None, -1))) == expected[::-1]
        assert plain(column.take(np.zeros(2, dtype=int))) == expected[:1] * 2
        assert plain(column.compact()) == expected
    spread = column.spread(np.arange(len(expected)) + 1, len(expected) + 2)
    assert plain(spread) == [None, *expected, None]
    assert plain(joined("x", [column, Column.empty(1), column])) == [*expected, None, *expected]
    assert repr(column).startswith(f"Column({kind}, {len(expected)} rows")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("abc", "x is 'abc': a column is needed, one value per row."),
        ({"a": 1}, "x is {'a': 1}: a column is needed"),
        ({1, 2}, "x is {1, 2}: a column is needed"),
        (5, "x is 5: a column is needed"),
        (np.ones((2, 2)), "x has shape (2, 2): one value per row is needed."),
        ([1.0, np.inf], "x has inf in row 1: finite numbers are needed, or NaN for a missing value."),
        ([None, Decimal("Infinity")], "x has inf in row 1"),
        ([1, "a"], "x has 'a' (text) in row 1 and 1 (number) in row 0: give a column one type."),
        ([None, True, 1], "x has 1 (number) in row 2 and True (boolean) in row 1"),
        ([date(2026, 1, 1), NOON], "(instant) in row 1 and datetime.date(2026, 1, 1) (date) in row 0"),
        ([{"a"}, {1}], "x has the tag 1 in row 1: tags are strings that are not empty."),
        (
            [object()],
            "of type object in row 0: numbers, booleans, strings, dates, times or sets of strings are needed.",
        ),
        ([1j], "x has 1j of type complex in row 0"),
        (np.array([1j]), "x has dtype complex128: numbers, booleans, strings, dates, times or sets are needed."),
        (np.array([1], "m8[s]"), "x has dtype timedelta64[s]"),
        ([2**70], "x has 1180591620717411303424 in row 0: numbers are int64 or float64."),
        ([None, 10**400], "in row 1: numbers are int64 or float64."),
        ([1.5, 10**400], "in row 1: numbers are int64 or float64."),
        (np.array([2**64 - 1], np.uint64), "x has 18446744073709551615: numbers are int64 or float64."),
        (
            [2**53 + 1, None],
            "x has 9007199254740993 in row 0: in a column with missing values or fractions, whole numbers are",
        ),
        ([1.5, None, -(2**53) - 1], "x has -9007199254740993 in row 2: in a column with missing values"),
        (["a\0"], "x has 'a\\x00' (row 0), which ends in a null character: remove it."),
        (np.array([300_000], "M8[Y]"), "x has a time of the year 301,970 in row 0"),
    ],
)
def test_values_that_are_no_column_are_refused(values, message):
    with refused(message):
        Column.of("x", values)


def test_numbers_of_a_column():
    assert Column.of("x", [1, 2]).data.dtype == np.int64
    np.testing.assert_array_equal(Column.of("x", [True, None]).numbers(), [1.0, NAN])
    np.testing.assert_array_equal(Column.of("x", [None]).numbers(), [NAN])
    assert Column.of("x", [1, 2]).numbers().dtype == np.float64
    with refused("a column of kind 'text' cannot be read as numbers."):
        Column.of("x", ["a"]).numbers()


def test_columns_are_read_only_and_own_what_they_hold():
    times = np.array(["2026-01-01"], "M8[us]")
    days = times.astype("M8[D]")
    numbers = np.array([1.0])
    for given_array in (times, days, numbers, UtcTimes(times)):
        column = Column.of("x", given_array)
        base = given_array.times if isinstance(given_array, UtcTimes) else given_array
        assert not np.shares_memory(column.data, base)
    tags = Column.of("x", [{"a"}, None])
    for array in (tags.data, tags.categories, tags.offsets, tags.absent):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


def test_spreading_everyone_keeps_whole_numbers_whole():
    column = Column.of("x", [2**60 + 1, 5])
    assert column.spread(np.array([1, 0]), 2).data.tolist() == [5, 2**60 + 1]


def test_card_numbers_are_not_rounded_beside_missing_values():
    cards = Column.of("card", [4_000_123_412_341_234 * 10 + 1, 5])
    assert cards.values().tolist() == [40_001_234_123_412_341, 5]
    assert (
        joined("n", [Column.of("n", [2**62]), Column.empty(1)]).value(0)
        == Column.of("n", [2**62, None]).value(0)
        == 2**62
    )
    with refused("card has 40001234123412341: in a column with missing values"):
        joined("card", [cards, Column.empty(1)])
    with refused("the column has 40001234123412341: in a column"):
        cards.spread(np.array([0, 2]), 3)


def test_columns_of_two_kinds_are_not_joined():
    with refused("x is number in one part and text in another: give it one type."):
        joined("x", [Column.of("x", [1]), Column.of("x", ["a"])])


@given(st.lists(st.none() | st.text("ab", max_size=2)), st.lists(st.none() | st.text("bc", max_size=2)))
def test_joined_words_are_the_words_joined(a, b):
    column = joined("x", [Column.of("x", a), Column.of("x", b)])
    assert plain(column) == a + b
    if column.categories is not None:
        assert column.categories.tolist() == sorted({word for word in a + b if word is not None})


@given(st.lists(st.none() | st.sets(st.sampled_from("abcde"))), st.data())
def test_tags_survive_taking_joining_and_compacting(rows, data):
    column = Column.of("x", rows)
    chosen = data.draw(st.lists(st.integers(0, max(len(rows) - 1, 0)), max_size=5 if rows else 0))
    taken = column.take(np.array(chosen, dtype=int))
    assert plain(taken) == [rows[k] for k in chosen]
    small = taken.compact()
    assert plain(small) == plain(taken)
    if small.kind == "tags":
        assert small.categories.tolist() == sorted(set().union(*(rows[k] or set() for k in chosen)))
    assert plain(joined("x", [column, taken])) == rows + plain(taken)


def test_one_long_word_does_not_widen_the_others():
    words = ["a" * 2_000_000, *map(str, range(300))]
    categories, codes = code_texts("x", words)
    assert categories[codes].tolist() == words
    assert categories.dtype == object
    assert find_ids("x", categories, ["7", "b"]).tolist() == [sorted(words).index("7"), -1]
    assert code_texts("x", ["a" * 2_000, "b"])[0].dtype.kind == "U"


def test_ids_are_found_or_minus_one():
    ids = np.array(["a", "c"])
    assert find_ids("x", ids, ["c", "b", "z"]).tolist() == [1, -1, -1]
    assert find_ids("x", ids, "a").tolist() == [0]
    assert find_ids("x", np.array([1, 5]), np.int32(5)).tolist() == [1]
    assert find_ids("x", np.array([1, 5]), pd.Series([5, 1])).tolist() == [1, 0]
    assert find_ids("x", ids, []).tolist() == []
    assert find_ids("x", np.empty(0, np.int64), ["a"]).tolist() == [-1]
    with refused("x has 'a', an id of type str: the ids of the data are int."):
        find_ids("x", np.array([1]), "a")


def test_ids_of_every_layout():
    assert id_array("x", Coded(np.array(["b", "a"]), np.array([1, 1]))).tolist() == ["a", "a"]
    assert id_array("x", np.array([3, 4], dtype=object)).tolist() == [3, 4]
    assert id_array("x", np.array(["a", "b"], dtype=object)).tolist() == ["a", "b"]
    assert id_array("x", (1, np.int64(2))).tolist() == [1, 2]
    with refused("x is missing in row 1: drop these rows."):
        id_array("x", Coded(np.array(["b", "a"]), np.array([1, -1])))
    with refused("x has shape (1, 1): one column of ids is needed."):
        id_array("x", np.array([[1]]))
    assert len(Coded(np.array(["a"]), np.array([0, 0]))) == 2
