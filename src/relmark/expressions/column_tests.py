"""Tests and figures of whole columns, row by row: comparisons, sets, tests of text, sums of two columns.

These functions do not depend on customers, events or trees; they are used for customers' fields and events' properties.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray, IntArray
from relmark.core.columns import Column
from relmark.core.time import instant, local_days, local_midnights
from relmark.expressions.literals import LiteralValue, literal_kind
from relmark.expressions.text_tests import text_test
from relmark.expressions.truth import Truth

__all__ = [
    "calculate",
    "compare",
    "constant",
    "days_of",
    "filled",
    "instants_of",
    "is_between",
    "is_empty",
    "is_in",
    "is_missing",
    "matches",
]

_NAT = np.iinfo(np.int64).min
_EXACT = 2**53
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_BELOW = {"lt": "le", "le": "le", "gt": "gt", "ge": "gt"}  # the test with a bound, for the float just below the bound


def constant(value: LiteralValue, n: int) -> Column:
    """Return a column of n rows with the same plain value."""
    kind = literal_kind(value)
    if kind == "text":
        return Column("text", np.zeros(n, dtype=np.int32), np.array([value], dtype=np.str_))
    if kind == "number":
        return Column("number", np.full(n, value, dtype=np.float64))
    if kind == "boolean":
        return Column("boolean", np.full(n, value, dtype=np.int8))
    if kind == "date":
        return Column("date", np.full(n, _day(value)).view("M8[D]"))
    return Column("instant", np.full(n, instant(value), dtype=np.int64).view("M8[us]"))  # type: ignore[arg-type]


def is_missing(column: Column) -> BoolArray | None:
    """Return which rows have no value, or None if all have one."""
    if column.kind == "number" and column.data.dtype.kind != "f":
        return None
    missing = column.missing
    return missing if missing.any() else None


def days_of(column: Column, tz: str) -> IntArray:
    """Return the local calendar day of dates or instants, as days since 1970; arbitrary where one is missing."""
    if column.kind == "date":
        days: IntArray = column.data.view(np.int64)
        return np.where(days == _NAT, 0, days)
    return local_days(_whole(column), tz)


def instants_of(column: Column, tz: str) -> IntArray:
    """Return dates (at local midnight) or instants in microseconds UTC; arbitrary where one is missing."""
    return local_midnights(days_of(column, tz), tz) if column.kind == "date" else _whole(column)


def _whole(column: Column) -> IntArray:
    moments: IntArray = column.data.view(np.int64)
    return np.where(moments == _NAT, 0, moments)


def compare(op: str, left: Column, right: Column | LiteralValue, tz: str) -> Truth:
    """Return ``left op right``, unknown where either is missing."""
    if isinstance(right, Column):
        return _compare_columns(op, left, right, tz)
    missing = is_missing(left)
    test = _OPERATORS[op]
    match left.kind:
        case "number":
            return Truth.of(_number_against(op, left.data, right), missing)  # type: ignore[arg-type]
        case "boolean":
            return Truth.of(test(left.data, int(right)), missing)  # type: ignore[arg-type]
        case "text":
            return Truth.of(_text_against(op, left, str(right)), missing)
        case "date" if not isinstance(right, datetime):
            return Truth.of(test(left.data.view(np.int64), _day(right)), missing)
        case "date" | "instant":
            return Truth.of(test(instants_of(left, tz), _moment(right, tz)), missing)
    return _all_unknown(len(left))


def _number_against(op: str, data: npt.NDArray[Any], bound: float) -> BoolArray:
    """Compare numbers with a plain number exactly, also if that is a whole number that no float equals.

    Integers are compared without a copy as floats.
    """
    found: BoolArray
    if data.dtype.kind != "f":
        found = _OPERATORS[op](data, int(bound) if bound == int(bound) else np.float64(bound))
        return found
    near = float(bound)
    if near != bound:  # a whole number beyond 2**53 that no float equals
        if op in {"eq", "ne"}:
            return np.full(len(data), op == "ne")
        op = {"lt": "lt", "le": "lt", "gt": "ge", "ge": "ge"}[op] if near > bound else _BELOW[op]
    found = _OPERATORS[op](data, np.float64(near))
    return np.asarray(found)


def _compare_numbers(op: str, left: npt.NDArray[Any], right: npt.NDArray[Any]) -> BoolArray:
    """Compare numbers exactly; integers beyond 2**53 are compared with floats one by one, without rounding."""
    test = _OPERATORS[op]
    found: BoolArray = test(left, right)
    if (left.dtype.kind == "f") is not (right.dtype.kind == "f"):
        whole = right if left.dtype.kind == "f" else left
        rows = np.flatnonzero((whole > _EXACT) | (whole < -_EXACT))
        if len(rows):
            found[rows] = [test(a, b) for a, b in zip(left[rows].tolist(), right[rows].tolist(), strict=True)]
    return found


def _text_against(op: str, left: Column, word: str) -> BoolArray:
    """Compare codes with the position of a word among the sorted categories."""
    assert left.categories is not None
    below = int(np.searchsorted(left.categories, word, side="left"))
    found = below < len(left.categories) and left.categories[below] == word
    if op in {"eq", "ne"}:
        same = left.data == below if found else np.zeros(len(left), dtype=np.bool_)
        return same if op == "eq" else ~same
    if op in {"lt", "ge"}:
        less = left.data < below
        return less if op == "lt" else ~less
    upto = below + int(found)
    return left.data < upto if op == "le" else left.data >= upto


def _compare_columns(op: str, left: Column, right: Column, tz: str) -> Truth:
    if "empty" in {left.kind, right.kind}:
        return _all_unknown(len(left))
    gone = [missing for side in (left, right) if (missing := is_missing(side)) is not None]
    missing = None if not gone else gone[0] if len(gone) == 1 else gone[0] | gone[1]
    test = _OPERATORS[op]
    if left.kind == "number":
        return Truth.of(_compare_numbers(op, left.data, right.data), missing)
    if left.kind == "boolean":
        return Truth.of(test(left.data, right.data), missing)
    if left.kind == "text":
        assert left.categories is not None
        assert right.categories is not None
        words = np.union1d(left.categories, right.categories)
        codes = [
            np.append(np.searchsorted(words, np.asarray(side.categories)), -1)[side.data] for side in (left, right)
        ]
        return Truth.of(test(*codes), missing)
    if left.kind == right.kind == "date":
        return Truth.of(test(left.data.view(np.int64), right.data.view(np.int64)), missing)
    return Truth.of(test(instants_of(left, tz), instants_of(right, tz)), missing)


def _day(value: LiteralValue) -> int:
    assert isinstance(value, date)
    return value.toordinal() - 719_163


def _moment(value: LiteralValue, tz: str) -> int:
    assert isinstance(value, date)
    return instant(value, tz=tz)


def _all_unknown(n: int) -> Truth:
    return Truth(np.zeros(n, dtype=np.bool_), np.ones(n, dtype=np.bool_))


def is_between(column: Column, low: LiteralValue, high: LiteralValue, tz: str) -> Truth:
    """Return ``low <= column <= high``."""
    return compare("ge", column, low, tz) & compare("le", column, high, tz)


def is_in(column: Column, values: tuple[LiteralValue, ...], tz: str) -> Truth:
    """Return whether each value is one of several."""
    missing = is_missing(column)
    match column.kind:
        case "number":
            numbers = [value for value in values if _is_one_of(column.data, value)]  # type: ignore[arg-type]
            return Truth.of(np.isin(column.data, np.array(numbers, dtype=column.data.dtype)), missing)
        case "boolean":
            return Truth.of(np.isin(column.data, np.array(values, dtype=np.int8)), missing)
        case "text":
            assert column.categories is not None
            wanted = (
                np.isin(column.categories, np.array(values, dtype=np.str_))
                if values
                else np.zeros(len(column.categories), dtype=np.bool_)
            )
            return Truth.of(np.append(wanted, False)[column.data], missing)
        case "date" if not any(isinstance(value, datetime) for value in values):
            days = np.array([_day(value) for value in values], dtype=np.int64)
            return Truth.of(np.isin(column.data.view(np.int64), days), missing)
        case "date" | "instant":
            moments = np.array([_moment(value, tz) for value in values], dtype=np.int64)
            return Truth.of(np.isin(instants_of(column, tz), moments), missing)
    return _all_unknown(len(column))


def _is_one_of(data: npt.NDArray[Any], value: float) -> bool:
    """Return whether the number type of a column can hold a number exactly."""
    if data.dtype.kind == "f":
        return float(value) == value
    kind = np.iinfo(data.dtype)
    return value == int(value) and kind.min <= value <= kind.max


def is_empty(column: Column) -> Truth:
    """Return whether sets of tags have no members, or texts have no characters."""
    if column.kind == "empty":
        return _all_unknown(len(column))
    if column.kind == "tags":
        assert column.offsets is not None
        return Truth.of(np.diff(column.offsets) == 0, is_missing(column))
    return compare("eq", column, "", "UTC")


def matches(op: str, column: Column, values: tuple[str, ...], *, casefold: bool) -> Truth:
    """Return the test of text or tags of a `Matches` node; each distinct text is tested once."""
    missing = is_missing(column)
    if column.kind == "empty":
        return _all_unknown(len(column))
    assert column.categories is not None
    if column.kind == "tags":
        return _tags_match(op, column, values, missing, casefold=casefold)
    test = text_test(op, values, casefold=casefold)
    texts = column.categories.tolist()
    verdicts = np.fromiter(map(test, texts), dtype=np.bool_, count=len(texts))
    return Truth.of(np.append(verdicts, False)[column.data], missing)


def _tags_match(
    op: str, column: Column, values: tuple[str, ...], missing: BoolArray | None, *, casefold: bool
) -> Truth:
    assert column.offsets is not None
    assert column.categories is not None
    tags = column.categories.tolist()
    if casefold:
        tags, values = [tag.casefold() for tag in tags], tuple(sorted({value.casefold() for value in values}))
    row = np.repeat(np.arange(len(column)), np.diff(column.offsets))
    wanted = {value: place for place, value in enumerate(values)}
    place = np.array([wanted.get(tag, -1) for tag in tags], dtype=np.int64)[column.data]
    hits = place >= 0
    found = np.unique(row[hits] * len(values) + place[hits]) // len(values)
    different = np.bincount(found, minlength=len(column))
    if op == "contains_all":
        return Truth.of(different == len(values), missing)
    return Truth.of(different == 0 if op == "contains_none" else different > 0, missing)


def filled(column: Column, value: LiteralValue) -> Column:
    """Return a column in which missing values are replaced by a plain value of its kind."""
    missing = is_missing(column)
    if missing is None:
        return column
    match column.kind:
        case "number":
            return Column("number", np.where(missing, float(value), column.data))  # type: ignore[arg-type]
        case "boolean":
            return Column("boolean", np.where(missing, np.int8(value), column.data))  # type: ignore[arg-type]
        case "date":
            return Column("date", np.where(missing, np.datetime64(_day(value), "D"), column.data))
        case "instant":
            moment = np.array(instant(value), dtype="M8[us]")  # type: ignore[arg-type]
            return Column("instant", np.where(missing, moment, column.data))
        case "text":
            assert column.categories is not None
            words = np.union1d(column.categories, np.array([value], dtype=np.str_))
            codes = np.append(np.searchsorted(words, column.categories), np.searchsorted(words, str(value)))
            return Column("text", codes.astype(np.int32)[column.data], words)
    return constant(value, len(column))


def calculate(op: str, left: Column, right: Column) -> Column:
    """Return ``left op right`` in float64; NaN if either is missing, the divisor is 0 or the result is infinite."""
    a, b = left.numbers(), right.numbers()
    with np.errstate(all="ignore"):
        result = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[op](a, b)
    return Column("number", np.where(np.isfinite(result), result, np.nan))
