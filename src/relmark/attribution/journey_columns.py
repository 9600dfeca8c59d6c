"""The columns of journeys: touches one after another and counts per journey, with checks that they fit together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, numbers, refuse_rows, same_length, shown
from relmark.core.errors import InputError
from relmark.core.frozen import locked, owned
from relmark.core.results import ColumnarResult, Result

__all__ = ["JourneyColumns"]

Codes = npt.NDArray[np.int32]

_PRINTED = 60  # characters of a path in a table


def _cut(path: str) -> str:
    return (path or "(no touch)") if len(path) <= _PRINTED else f"{path[: _PRINTED - 4]} ..."


def codes_of(values: npt.ArrayLike) -> Codes:
    """Return the value for the field `codes`."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"codes have dtype {array.dtype}: integers are needed.", argument="codes", code="wrong_type")
    return owned(array.astype(np.int32, copy=False))


def instants_of(values: npt.ArrayLike | None) -> IntArray | None:
    """Return the value for the fields `times` and `ends`."""
    if values is None:
        return None
    array = np.asarray(values)
    return owned(
        array.astype("M8[us]").astype(np.int64) if array.dtype.kind == "M" else array.astype(np.int64, copy=False)
    )


def offsets_of(values: npt.ArrayLike) -> IntArray:
    """Return the value for the field `offsets`."""
    return owned(np.asarray(values).astype(np.int64, copy=False))


def names_of(values: Iterable[Any]) -> npt.NDArray[np.str_]:
    """Return the value for the field `channels`: names without outer spaces."""
    names = list(values)
    for row, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or name != name.strip() or name.endswith("\0"):
            raise InputError(
                f"channels has {shown(name)} in row {row}: a name without spaces or null characters at its ends is "
                "needed.",
                argument="channels",
                row=row,
                code="bad_text",
            )
    return locked(np.array(names, dtype=np.str_) if names else np.empty(0, dtype="<U1"))


def ids_of(values: Any) -> npt.NDArray[Any]:
    """Return the value for the field `customer_id`."""
    return owned(np.asarray(values))


def conversions_of(values: npt.ArrayLike) -> FloatArray:
    """Return the value for the field `conversions`."""
    return owned(numbers("conversions", values, low=0.0))


def value_of(values: npt.ArrayLike | None) -> FloatArray | None:
    """Return the value for the field `value`."""
    return None if values is None else owned(numbers("value", values, low=0.0))


def nulls_of(values: npt.ArrayLike) -> FloatArray:
    """Return the value for the field `nulls`."""
    return owned(numbers("nulls", values, low=0.0))


def no_nulls_of(journeys: JourneyColumns) -> FloatArray:
    """Return the default for the field `nulls`: 0 for each journey."""
    return np.zeros(len(journeys.conversions))


def refuse_lone_value(value: FloatArray | None, conversions: FloatArray) -> None:
    """Raise if a row has value but no conversion, since no model could share that value."""
    if value is None or len(value) != len(conversions):
        return
    refuse_rows(
        "value",
        (value > 0.0) & (conversions == 0.0),
        value,
        "a row without conversions has no value",
        "Give the row its conversions, or leave its value out.",
    )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class JourneyColumns(ColumnarResult):
    """The fields of `Journeys`, which documents them, without its constructors, reshaping methods and reports."""

    codes: Codes = attrs.field(converter=codes_of)
    offsets: IntArray = attrs.field(converter=offsets_of)
    channels: npt.NDArray[np.str_] = attrs.field(converter=names_of)
    conversions: FloatArray = attrs.field(converter=conversions_of)
    value: FloatArray | None = attrs.field(default=None, converter=value_of)
    nulls: FloatArray = attrs.field(default=attrs.Factory(no_nulls_of, takes_self=True), converter=nulls_of)
    times: IntArray | None = attrs.field(default=None, converter=instants_of)
    ends: IntArray | None = attrs.field(default=None, converter=instants_of)
    customer_id: npt.NDArray[Any] | None = attrs.field(default=None, converter=attrs.converters.optional(ids_of))
    as_of: np.datetime64 | None = None
    tz: str = "UTC"
    notes: tuple[str, ...] = ()
    _lengths: IntArray = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Check that the columns fit together."""
        object.__setattr__(self, "_lengths", checked_lengths(self))
        Result.__attrs_post_init__(self)

    def __len__(self) -> int:
        """Return the number of rows: distinct paths, or single journeys if none were merged."""
        return len(self.conversions)

    @property
    def lengths(self) -> IntArray:
        """The number of touches of each journey, shape (P,)."""
        return self._lengths

    @property
    def total_conversions(self) -> float:
        """All conversions, including those without touches."""
        return float(self.conversions.sum())

    @property
    def total_value(self) -> float:
        """The value of all conversions; NaN if the journeys have none."""
        return float("nan") if self.value is None else float(self.value.sum())

    @property
    def total_nulls(self) -> float:
        """The number of journeys that ended without a conversion."""
        return float(self.nulls.sum())

    @property
    def paths(self) -> list[str]:
        """Each journey as text, with touches joined by " > "."""
        return self.path_texts(range(len(self)))

    def path_texts(self, rows: Iterable[int], sep: str = " > ") -> list[str]:
        """Return some journeys as text, with touches joined by `sep`."""
        names = self.channels.tolist()
        return [
            sep.join(names[code] for code in self.codes[self.offsets[row] : self.offsets[row + 1]].tolist())
            for row in rows
        ]

    def totals(self) -> FloatArray:
        """Return conversions and, if there is one, value as columns, shape (P, 1 or 2)."""
        columns = [self.conversions] if self.value is None else [self.conversions, self.value]
        return np.stack(columns, axis=1)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return columns with one row per journey: the path as text, its counts, and the customer if known."""
        texts = self.paths
        columns: dict[str, Any] = {
            "customer_id": self.customer_id,
            "path": np.array(texts, dtype=np.str_) if texts else np.empty(0, dtype="<U1"),
            "conversions": self.conversions,
            "value": self.value,
            "nulls": self.nulls,
        }
        return {name: column for name, column in columns.items() if column is not None}

    def _lines(self) -> list[str]:
        return [f"note: {note}" for note in self.notes]

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "journeys": len(self),
            "touches": len(self.codes),
            "channels": len(self.channels),
            "conversions": self.total_conversions,
        }
        if self.value is not None:
            facts["value"] = self.total_value
        return facts | {"nulls": self.total_nulls}

    def _table(self) -> dict[str, Any]:
        shown_rows = min(len(self), 21)
        columns: dict[str, Any] = {
            "path": [*map(_cut, self.path_texts(range(shown_rows))), *[""] * (len(self) - shown_rows)],
            "conversions": self.conversions,
        }
        if self.value is not None:
            columns["value"] = self.value
        return columns | {"nulls": self.nulls}


def checked_lengths(j: JourneyColumns) -> IntArray:
    """Return the number of touches of each journey, after checking that the columns fit together."""
    n = len(j.conversions)
    if len(j.offsets) != n + 1:
        raise InputError(
            f"offsets has {len(j.offsets):,} entries and conversions {n:,}: offsets needs one more entry.",
            argument="offsets",
            code="wrong_length",
        )
    lengths = np.diff(j.offsets)
    if j.value is not None:
        same_length("value", j.value, n)
    if j.offsets[0] != 0 or j.offsets[-1] != len(j.codes) or lengths.min(initial=0) < 0:
        raise InputError(
            f"offsets must ascend from 0 to the number of touches ({len(j.codes):,}), but they do not.",
            argument="offsets",
            code="wrong_value",
        )
    if len(j.codes):
        bad = (j.codes < 0) | (j.codes >= len(j.channels))
        refuse_rows("codes", bad, j.codes, f"places from 0 to {len(j.channels) - 1} of channels are needed")
    if len(set(j.channels.tolist())) < len(j.channels):
        raise InputError("channels has a name twice: list each channel once.", argument="channels", code="duplicate")
    refuse_lone_value(j.value, j.conversions)
    for name, column, rows in (
        ("nulls", j.nulls, n),
        ("times", j.times, len(j.codes)),
        ("ends", j.ends, n),
        ("customer_id", j.customer_id, n),
    ):
        if column is not None and len(column) != rows:
            raise InputError(
                f"{name} has {len(column):,} rows: {rows:,} are needed.", argument=name, code="wrong_length"
            )
    if (j.times is None) != (j.ends is None):
        raise InputError(
            "times and ends go together: give both or neither.", argument="times", code="conflicting_arguments"
        )
    if j.times is not None and j.ends is not None:
        later = np.zeros(len(j.times), dtype=np.bool_)
        later[:-1] = j.times[:-1] > j.times[1:]
        lasts = j.offsets[1:][lengths > 0] - 1
        later[lasts] = j.times[lasts] > j.ends[lengths > 0]
        refuse_rows("times", later, j.times, "within a journey times must ascend, up to its end")
    return lengths
