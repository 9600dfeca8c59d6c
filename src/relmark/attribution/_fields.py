"""The fields of journeys: what a caller gave as arrays, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import numbers, refuse_rows
from relmark.core.errors import InputError

if TYPE_CHECKING:
    from relmark.attribution.journeys import Journeys

Codes = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def codes_of(values: Any) -> Codes:
    """Return the field `codes` of what a caller gave."""
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise InputError(f"codes have dtype {array.dtype}: integers are needed.")
    return array.astype(np.int32, copy=False)


def instants_of(values: Any) -> IntArray | None:
    """Return the field `instants` of what a caller gave."""
    if values is None:
        return None
    array = np.asarray(values)
    return array.astype("M8[us]").astype(np.int64) if array.dtype.kind == "M" else array.astype(np.int64, copy=False)


def offsets_of(values: Any) -> IntArray:
    """Return the field `offsets` of what a caller gave."""
    return np.asarray(values).astype(np.int64, copy=False)


def names_of(values: Iterable[str]) -> npt.NDArray[np.str_]:
    """Return the field `names` of what a caller gave."""
    return np.array(list(values), dtype=np.str_)


def conversions_of(values: Any) -> FloatArray:
    """Return the field `conversions` of what a caller gave."""
    return numbers("conversions", values, low=0.0)


def value_of(values: Any) -> FloatArray | None:
    """Return the field `value` of what a caller gave."""
    return None if values is None else numbers("value", values, low=0.0)


def nulls_of(values: Any) -> FloatArray:
    """Return the field `nulls` of what a caller gave."""
    return numbers("nulls", values, low=0.0)


def no_nulls_of(journeys: Journeys) -> FloatArray:
    """Return the field `no_nulls` of what a caller gave."""
    return np.zeros(len(journeys.conversions))


def checked_lengths(j: Journeys) -> IntArray:
    """Return the number of touches of each journey, after checking that the columns fit each other."""
    n = len(j.conversions)
    if len(j.offsets) != n + 1:
        raise InputError(
            f"offsets has {len(j.offsets):,} entries and conversions {n:,}: one more than journeys is needed."
        )
    lengths = np.diff(j.offsets)
    if j.offsets[0] != 0 or j.offsets[-1] != len(j.codes) or lengths.min(initial=0) < 0:
        raise InputError(f"offsets must ascend from 0 to the number of touches ({len(j.codes):,}), and do not.")
    if len(j.codes):
        bad = (j.codes < 0) | (j.codes >= len(j.channels))
        refuse_rows("codes", bad, j.codes, f"places from 0 to {len(j.channels) - 1} of channels are needed")
    if len(set(j.channels.tolist())) < len(j.channels):
        raise InputError("channels has a name twice: give each channel one place.")
    for name, column, rows in (
        ("value", j.value, n),
        ("nulls", j.nulls, n),
        ("times", j.times, len(j.codes)),
        ("ends", j.ends, n),
        ("customer_id", j.customer_id, n),
    ):
        if column is not None and len(column) != rows:
            raise InputError(f"{name} has {len(column):,} rows: {rows:,} are needed.")
    if (j.times is None) != (j.ends is None):
        raise InputError("times and ends go together: give both or neither.")
    if j.times is not None and j.ends is not None:
        later = np.zeros(len(j.times), dtype=np.bool_)
        later[:-1] = j.times[:-1] > j.times[1:]
        lasts = j.offsets[1:][lengths > 0] - 1
        later[lasts] = j.times[lasts] > j.ends[lengths > 0]
        refuse_rows("times", later, j.times, "within a journey times must ascend, up to its end")
    return lengths
