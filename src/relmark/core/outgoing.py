"""Writing a log as one table: its partitions are concatenated and sorted by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.columns import Column, joined
from relmark.core.ordering import stable_order
from relmark.core.partition import Partition

__all__ = ["summary_table", "table_columns", "time_order"]


def time_order(parts: Mapping[str, Partition]) -> npt.NDArray[np.int64] | slice:
    """Return the positions in the concatenated partitions that put events in the order of time, then of the input."""
    if len(parts) < 2:
        return slice(None)
    by_row = stable_order(np.concatenate([part.row for part in parts.values()]))
    return by_row[stable_order(np.concatenate([part.time for part in parts.values()])[by_row])]


def table_columns(
    customer_id: npt.NDArray[Any], parts: Mapping[str, Partition], order: npt.NDArray[np.int64] | slice
) -> dict[str, npt.NDArray[Any]]:
    """Return customer_id, type, time, value and the properties, in a given order of the concatenated partitions."""
    pieces = list(parts.values())
    codes = laid([part.code for part in pieces], np.int32)[order]
    type_codes = np.repeat(np.arange(len(pieces)), [len(part) for part in pieces])[order]
    columns: dict[str, npt.NDArray[Any]] = {
        "customer_id": customer_id[codes],
        "type": np.array(list(parts), dtype=np.str_)[type_codes],
        "time": laid([part.time for part in pieces], np.int64)[order].view("M8[us]"),
    }
    if any(part.value is not None for part in pieces):
        values = [np.full(len(part), np.nan) if part.value is None else part.value for part in pieces]
        columns["value"] = np.concatenate(values)[order]
    for name in sorted({name for part in pieces for name in part.properties}):
        whole = joined(f"property {name!r}", [part.properties.get(name, Column.empty(len(part))) for part in pieces])
        columns[name] = whole.take(order).values()
    return columns


def laid(pieces: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    """Return concatenated arrays, or an empty array of `dtype` if there are none."""
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=dtype)


def summary_table(parts: Mapping[str, Partition]) -> dict[str, list[Any]]:
    """Return one row per event type: events, customers, first and last time, and properties."""
    ends = [(part.time[[0, -1]] // 1_000_000).view("M8[s]") for part in parts.values()]
    return {
        "type": list(parts),
        "events": [len(part) for part in parts.values()],
        "customers": [int(np.count_nonzero(np.bincount(part.code))) for part in parts.values()],
        "first": [str(first) for first, _ in ends],
        "last": [str(last) for _, last in ends],
        "properties": [", ".join(sorted(part.properties)) for part in parts.values()],
    }
