"""One typed column with missing values: numbers, booleans, words, dates, instants or sets of tags."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from numbers import Real
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import array_of, is_missing, shown
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import Coded, code_texts
from relmark.core.ordering import small_codes
from relmark.core.time import UtcTimes, instants, with_zone

__all__ = ["KINDS", "Column", "ColumnLike", "Kind"]

ColumnLike: TypeAlias = npt.ArrayLike | Sequence[object]
"""A column: an array, a series, or a list in which None means missing."""

Kind: TypeAlias = Literal["number", "boolean", "text", "date", "instant", "tags", "empty"]
"""What kind of values a column has."""
_EXACT = 2**53
_GLANCE = 1_024
_INEXACT = (
    "in a column with missing values or fractions, whole numbers are stored as floats, which are exact only up to "
    "2**53. Give such numbers as strings."
)
KINDS: tuple[Kind, ...] = ("number", "boolean", "text", "date", "instant", "tags", "empty")


@attrs.frozen(eq=False, repr=False)
class Column(Frozen):
    """A typed column; `kind` says what `data` holds.

    ===========  ============================================================================  ===============
    kind         data                                                                          missing
    ===========  ============================================================================  ===============
    number       int64 if none is missing and all are whole numbers, else float64              NaN
    boolean      int8, 0 or 1                                                                  -1
    text         int32 codes into `categories`, distinct strings ascending                     -1
    date         datetime64[D], a calendar day                                                 NaT
    instant      datetime64[us], UTC                                                           NaT
    tags         int32 codes of all rows' tags; row i has ``data[offsets[i]:offsets[i + 1]]``  `absent` is true
    empty        int8 zeros: no row has a value, so the kind is not known                      all
    ===========  ============================================================================  ===============
    """

    kind: Kind
    data: npt.NDArray[Any] = attrs.field(converter=read_only)
    categories: npt.NDArray[np.str_] | None = attrs.field(default=None, converter=attrs.converters.optional(read_only))
    offsets: npt.NDArray[np.int64] | None = attrs.field(default=None, converter=attrs.converters.optional(read_only))
    absent: npt.NDArray[np.bool_] | None = attrs.field(default=None, converter=attrs.converters.optional(read_only))

    @staticmethod
    def of(name: str, values: Any, *, tz: str = "UTC") -> Column:
        """Build a column from an array, from a list with None, or from a `Coded` of a frame library.

        Parameters
        ----------
        name : str
            The name of the column, for messages.
        values : array_like, shape (n,)
            Numbers (NaN or None means missing), booleans, strings, dates, datetime64 or datetimes, or sets of strings.
            Times without a zone become dates if all of them are midnights.
        tz : str
            The zone of times that come without one.
        """
        if isinstance(values, Column):
            return values
        values = with_zone(values)
        if isinstance(values, UtcTimes):
            return Column("instant", _instants(name, values))
        if isinstance(values, Coded):
            if not values.of_texts:
                return Column.of(name, values.decoded())
            categories, codes = code_texts(name, values.categories.tolist())
            return Column("text", np.append(codes, -1).astype(np.int32)[values.codes], categories)
        array = values if type(values) is np.ndarray else _array(name, values)
        if array.ndim != 1:
            raise InputError(
                f"{name} has shape {array.shape}: one value per row is needed.", argument=name, code="wrong_shape"
            )
        match array.dtype.kind:
            case "b":
                return Column("boolean", array.astype(np.int8))
            case "i" | "u":
                if array.dtype.kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
                    raise InputError(
                        f"{name} has {int(array.max())}: numbers are int64 or float64.",
                        argument=name,
                        code="too_large_number",
                    )
                return Column("number", array.astype(np.int64))
            case "f":
                return _number_column(name, array.astype(np.float64))
            case "U" | "T":
                categories, codes = code_texts(name, array)
                return Column("text", codes, categories)
            case "M":
                if np.datetime_data(array.dtype)[0] in {"Y", "M", "W", "D"} or _are_midnights(array):
                    instants(name, array.astype("M8[D]"), missing=True)  # the years 1 to 9999
                    return Column("date", array.astype("M8[D]"))
                return Column("instant", _instants(name, array, tz))
            case "O":
                return _column_of_objects(name, array.tolist(), tz)
        raise InputError(
            f"{name} has dtype {array.dtype}: numbers, booleans, strings, dates, times or sets are needed.",
            argument=name,
            code="wrong_type",
        )

    @staticmethod
    def empty(n: int) -> Column:
        """Return a column of n rows without a value."""
        return Column("empty", np.zeros(n, dtype=np.int8))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.offsets) - 1 if self.offsets is not None else len(self.data)

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Which rows have no value, shape (n,)."""
        match self.kind:
            case "number":
                return np.isnan(self.data) if self.data.dtype.kind == "f" else np.zeros(len(self), dtype=np.bool_)
            case "boolean" | "text":
                return np.asarray(self.data < 0)
            case "date" | "instant":
                return np.asarray(np.isnat(self.data))
            case "tags":
                assert self.absent is not None
                return self.absent
        return np.ones(len(self), dtype=np.bool_)

    def numbers(self) -> npt.NDArray[np.float64]:
        """Return a number or boolean column as float64, with NaN for missing values."""
        if self.kind == "number":
            return np.asarray(self.data, dtype=np.float64)
        if self.kind in {"boolean", "empty"}:
            return np.where(self.missing, np.nan, self.data)
        raise InputError(
            f"a column of kind {self.kind!r} cannot be read as numbers.", argument="kind", code="wrong_type"
        )

    def values(self) -> npt.NDArray[Any]:
        """Return the values as a plain array, shape (n,); a missing value is None, NaN or NaT."""
        match self.kind:
            case "number" | "date" | "instant":
                return self.data
            case "boolean":
                return (
                    self.data.astype(np.bool_) if (self.data >= 0).all() else _objects(self.data, [False, True, None])
                )
            case "text":
                assert self.categories is not None
                if (self.data >= 0).all():
                    return np.asarray(self.categories[self.data])
                return _objects(self.data, [*self.categories.tolist(), None])
            case "tags":
                out = np.empty(len(self), dtype=object)
                out[:] = [self.value(row) for row in range(len(self))]
                return out
        return np.full(len(self), None, dtype=object)

    def value(self, row: int) -> Any:
        """Return one value as a Python object, or None if it is missing; dates and instants stay datetime64."""
        if self.kind == "tags":
            assert self.offsets is not None
            assert self.absent is not None
            assert self.categories is not None
            if self.absent[row]:
                return None
            return frozenset(self.categories[self.data[self.offsets[row] : self.offsets[row + 1]]].tolist())
        if self.kind == "empty" or self._one_missing(row):
            return None
        if self.kind == "text":
            assert self.categories is not None
            return str(self.categories[self.data[row]])
        if self.kind == "boolean":
            return bool(self.data[row])
        return self.data[row].item() if self.kind == "number" else self.data[row]

    def _one_missing(self, row: int) -> bool:
        value = self.data[row]
        if self.kind in {"date", "instant"}:
            return bool(np.isnat(value))
        return bool(value < 0) if self.kind in {"text", "boolean"} else bool(value != value)  # noqa: PLR0124  (NaN)

    def take(self, rows: npt.NDArray[Any] | slice) -> Column:
        """Return the column of some rows, by positions, a mask or a slice."""
        if self.kind != "tags":
            return attrs.evolve(self, data=self.data[rows])
        assert self.offsets is not None
        assert self.absent is not None
        chosen = np.arange(len(self))[rows]
        counts = np.diff(self.offsets)[chosen]
        offsets = np.concatenate(([0], np.cumsum(counts)))
        places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[:-1][chosen], counts)
        return attrs.evolve(self, data=self.data[places], offsets=offsets, absent=self.absent[chosen])

    def compact(self) -> Column:
        """Return the column without the categories that no row has, so that no erased word remains."""
        if self.categories is None:
            return self
        used = np.zeros(len(self.categories) + 1, dtype=np.bool_)
        used[self.data] = True  # -1, the missing, marks the spare last place
        if used[:-1].all():
            return self
        ranks = np.append(np.cumsum(used[:-1], dtype=self.data.dtype) - 1, -1)
        return attrs.evolve(self, data=ranks[self.data].astype(self.data.dtype), categories=self.categories[used[:-1]])

    def spread(self, rows: npt.NDArray[np.integer], n: int) -> Column:
        """Return a column of n rows: row ``rows[i]`` has this column's i-th value, the other rows have none."""
        sources = np.full(n, len(self), dtype=np.int64)
        sources[rows] = np.arange(len(self))
        if len(self) == n:
            return self.take(sources)
        return joined("", [self, Column.empty(1)]).take(sources)

    def __repr__(self) -> str:
        known = len(self) - int(np.count_nonzero(self.missing))
        return f"Column({self.kind}, {len(self):,} rows, {known:,} known)"


def joined(name: str, parts: Sequence[Column]) -> Column:
    """Return columns of one kind as one column; an empty column fits every kind."""
    if len(parts) == 1:
        return parts[0]
    kinds = {part.kind for part in parts if part.kind != "empty"}
    if len(kinds) > 1:
        raise InputError(
            f"{name} is {' in one part and '.join(sorted(kinds))} in another: give it one type.",
            argument=name,
            code="mixed_types",
        )
    if not kinds:
        return Column.empty(sum(map(len, parts)))
    kind = kinds.pop()
    if kind == "tags":
        return _joined_tags(parts)
    if kind == "text":
        known = [part.categories for part in parts if part.categories is not None]
        categories = known[0] if len(known) == 1 else np.unique(np.concatenate(known))
        codes = [
            np.full(len(part), -1, dtype=np.int32)
            if part.categories is None
            else np.append(np.searchsorted(categories, part.categories), -1)[part.data]
            for part in parts
        ]
        return Column("text", small_codes(np.concatenate(codes), len(categories)), categories)
    if kind == "number":
        whole = all(part.kind == "number" and part.data.dtype.kind == "i" for part in parts if len(part))
        for part in parts if not whole else ():
            if part.kind == "number" and part.data.dtype.kind == "i":
                large = part.data[(part.data > _EXACT) | (part.data < -_EXACT)].tolist()
                lost = next((value for value in large if int(float(value)) != value), None)
                if lost is not None:
                    raise InputError(
                        f"{name or 'the column'} has {lost}: {_INEXACT}", argument=name, code="too_large_number"
                    )
        pieces = [part.data if whole and part.kind == "number" else part.numbers() for part in parts]
        return Column("number", np.concatenate(pieces).astype(np.int64 if whole else np.float64, copy=False))
    blank: Any = np.int8(-1) if kind == "boolean" else np.datetime64("NaT", "D" if kind == "date" else "us")
    pieces = [np.full(len(part), blank) if part.kind == "empty" else part.data for part in parts]
    return Column(kind, np.concatenate(pieces))


def _joined_tags(parts: Sequence[Column]) -> Column:
    categories = np.unique(np.concatenate([part.categories for part in parts if part.categories is not None]))
    codes, counts, absent = [], [], []
    for part in parts:
        absent.append(part.missing)
        if part.categories is None or part.offsets is None:
            counts.append(np.zeros(len(part), dtype=np.int64))
            continue
        codes.append(np.searchsorted(categories, part.categories)[part.data])
        counts.append(np.diff(part.offsets))
    offsets = np.concatenate(([0], np.cumsum(np.concatenate(counts))))
    data = np.concatenate(codes).astype(np.int32)
    return Column("tags", data, categories, offsets.astype(np.int64), np.concatenate(absent))


def _array(name: str, values: Any) -> npt.NDArray[Any]:
    """Return a sequence as an array; mixed types, or values with None, become an array of objects."""
    if hasattr(values, "__array__"):
        return array_of(name, values)
    if isinstance(values, (str, bytes, Mapping, set, frozenset)) or not isinstance(values, Iterable):
        raise InputError(
            f"{name} is {shown(values)}: a column is needed, one value per row.", argument=name, code="wrong_type"
        )
    items = list(values)
    kinds = set(map(type, items))
    if kinds in ({int}, {float}, {bool}):
        return np.array(items)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _instants(name: str, values: Any, tz: str = "UTC") -> npt.NDArray[np.datetime64]:
    """Return times as datetime64[us], in an array that shares no memory with the input."""
    found = instants(name, values, tz=tz, missing=True).view("M8[us]")
    return found.copy() if isinstance(values, (np.ndarray, UtcTimes)) else found


def _are_midnights(array: npt.NDArray[np.datetime64]) -> bool:
    """Tell whether times without a zone are all midnights, as dates are stored by some frame libraries."""
    known = array[~np.isnat(array)]
    return (
        len(known) > 0
        and bool((known[:_GLANCE] == known[:_GLANCE].astype("M8[D]")).all())
        and bool((known == known.astype("M8[D]")).all())
    )


def _is_midnight(value: datetime | np.datetime64) -> bool:
    if isinstance(value, np.datetime64):
        return bool(value == value.astype("M8[D]"))
    return value.utcoffset() is None and value.time() == time()


def _day(value: datetime | np.datetime64) -> date | np.datetime64:
    return value.astype("M8[D]") if isinstance(value, np.datetime64) else value.date()


def _objects(codes: npt.NDArray[np.integer], words: list[Any]) -> npt.NDArray[np.object_]:
    table = np.empty(len(words), dtype=object)
    table[:] = words
    return np.asarray(table[codes])


def _number_column(name: str, array: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> Column:
    infinite = np.isinf(array)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise InputError(
            f"{name} has {array[row]} in row {row}: finite numbers are needed, or NaN for a missing value.",
            argument=name,
            row=row,
            code="not_finite",
        )
    return Column("number", array)


def _column_of_objects(name: str, values: list[Any], tz: str) -> Column:
    if values and set(map(type, values)) == {str}:
        categories, codes = code_texts(name, values)
        return Column("text", codes, categories)
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
    blank = np.fromiter(map(is_missing, values), dtype=np.bool_, count=len(values))
    rows = np.flatnonzero(~blank)
    if len(rows) == 0:
        return Column.empty(len(values))
    kind = _kind_of(name, values[rows[0]], int(rows[0]))
    for row in rows.tolist():
        other = _kind_of(name, values[row], row)
        if other != kind:
            raise InputError(
                f"{name} has {shown(values[row])} ({other}) in row {row} and {shown(values[rows[0]])} ({kind}) in row "
                f"{rows[0]}: give a column one type.",
                argument=name,
                row=row,
                code="mixed_types",
            )
    match kind:
        case "number":
            return _number_column(name, _numbers_of_objects(name, values, blank))
        case "boolean":
            flags = [-1 if gone else int(value) for gone, value in zip(blank, values, strict=True)]
            return Column("boolean", np.array(flags, dtype=np.int8))
        case "text":
            categories, codes = code_texts(name, values)
            return Column("text", codes, categories)
        case "date" | "instant":
            known = [None if gone else value for gone, value in zip(blank, values, strict=True)]
            if kind == "date":
                return Column("date", np.array(known, dtype="M8[D]"))
            if all(value is None or _is_midnight(value) for value in known):
                return Column("date", np.array([None if v is None else _day(v) for v in known], dtype="M8[D]"))
            return Column("instant", _instants(name, known, tz))
    tags = [() if gone else sorted(set(value)) for gone, value in zip(blank, values, strict=True)]
    categories, codes = code_texts(name, [tag for row in tags for tag in row], missing=False)
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in tags]))).astype(np.int64)
    return Column("tags", codes.astype(np.int32), categories, offsets, blank)


def _numbers_of_objects(
    name: str, values: list[Any], blank: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64] | npt.NDArray[np.int64]:
    whole = not blank.any() and all(isinstance(value, (int, np.integer)) for value in values)
    strange = next((k for k, value in enumerate(values) if not blank[k] and not _is_float(value)), None)
    if strange is not None:
        raise InputError(
            f"{name} has {shown(values[strange])} in row {strange}: numbers are needed.",
            argument=name,
            row=int(strange),
            code="wrong_type",
        )
    try:
        if whole:
            return np.array(values, dtype=np.int64)
        large = (
            k
            for k, value in enumerate(values)
            if isinstance(value, (int, np.integer)) and abs(int(value)) > _EXACT and int(float(value)) != int(value)
        )
        row = next(large, None)
        if row is not None and -(2**63) <= values[row] < 2**63:
            raise InputError(
                f"{name} has {values[row]} in row {row}: {_INEXACT}", argument=name, row=row, code="too_large_number"
            )
        filled = [math.nan if gone else float(value) for gone, value in zip(blank, values, strict=True)]
    except OverflowError:
        row = next(k for k, value in enumerate(values) if not blank[k] and not -(2**63) <= value < 2**63)
        raise InputError(
            f"{name} has {shown(values[row])} in row {row}: numbers are int64 or float64.",
            argument=name,
            row=row,
            code="too_large_number",
        ) from None
    return np.array(filled, dtype=np.float64)


def _is_float(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return True
    if isinstance(value, (complex, np.complexfloating)):
        return False
    try:
        float(value)
    except OverflowError:
        return True
    except (TypeError, ValueError):
        return False
    return True


def _kind_of(name: str, value: Any, row: int) -> Kind:
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "instant"
    if isinstance(value, date):
        return "date"
    if isinstance(value, np.datetime64):
        return "date" if np.datetime_data(value.dtype)[0] in {"Y", "M", "W", "D"} else "instant"
    if isinstance(value, (set, frozenset, list, tuple)):
        for tag in value:
            if not isinstance(tag, str) or not tag:
                raise InputError(
                    f"{name} has the tag {shown(tag)} in row {row}: tags are strings that are not empty.",
                    argument=name,
                    row=row,
                    code="wrong_type",
                )
        return "tags"
    if isinstance(value, (Real, np.number)) or hasattr(value, "as_integer_ratio"):
        return "number"
    raise InputError(
        f"{name} has {shown(value)} of type {type(value).__name__} in row {row}: "
        "numbers, booleans, strings, dates, times or sets of strings are needed.",
        argument=name,
        row=row,
        code="wrong_type",
    )
