"""Kernel of counts that add up: merge the groups of several tables into those of one.

Values are in ascending order, a missing value comes last, and segments keep the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.errors import InputError

__all__ = ["Labels", "joined"]

Labels = Mapping[str, npt.NDArray[Any]]


def joined(
    parts: Sequence[Labels], sizes: Sequence[int], listed: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[dict[str, npt.NDArray[Any]], list[IntArray]]:
    """Return the distinct labels of all rows, and for each part the positions of its rows among them.

    Parameters
    ----------
    parts : sequence of mappings of str to ndarray
        The labels of the rows of each table; all tables have the same columns.
    sizes : sequence of int
        The number of rows of each table.
    listed : mapping of str to tuple of str, optional
        Columns whose values have a given order.
    """
    names, total = list(parts[0]), sum(sizes)
    ranks, values = [], []
    for name in names:
        own = (listed or {}).get(name)
        rank, known = _ranked([part[name] for part in parts], own)
        ranks.append(rank)
        values.append(known)
    if not names:
        place, rows = np.zeros(total, dtype=np.int64), np.zeros((min(total, 1), 0), dtype=np.int64)
    else:
        rows, place = np.unique(np.stack(ranks, axis=1), axis=0, return_inverse=True)
    places = np.split(place.reshape(-1), np.cumsum(sizes)[:-1])
    return {name: values[k][rows[:, k]] for k, name in enumerate(names)}, places


def _ranked(
    columns: list[npt.NDArray[Any]], listed: tuple[str, ...] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Concatenate columns, and return the rank of each row and the value of each rank."""
    plain = [column for column in columns if column.dtype.kind in "iufMm"]
    # A column of objects has only missing values if other columns hold numbers or times; with words it may have any.
    if plain and all(_nothing(column) for column in columns if column.dtype.kind not in "iufMm"):
        kind = np.result_type(*plain)
        empty = np.array("NaT", dtype=kind) if kind.kind in "mM" else np.array(np.nan)
        both = [column if column.dtype.kind in "iufMm" else np.full(len(column), empty) for column in columns]
        values, rank = np.unique(np.concatenate(both), return_inverse=True)  # NaN and NaT last, each once
        return np.asarray(rank.reshape(-1), dtype=np.int64), values
    held = [value for column in columns for value in column.tolist()]
    try:
        known = sorted({value for value in held if value is not None})
    except TypeError:
        kinds = " and ".join(sorted({type(value).__name__ for value in held if value is not None}))
        raise InputError(
            f"by has values of the types {kinds}: counts add up only if the values of a group have one type.",
            argument="other",
            code="mixed_types",
        ) from None
    if listed is not None:
        known = [name for name in listed if name in known]
    ranks = {value: k for k, value in enumerate(known)} | {None: len(known)}
    objects = np.empty(len(known) + 1, dtype=object)
    objects[:] = [*known, None]
    rank = np.array([ranks[value] for value in held], dtype=np.int64)
    return rank, objects if None in held or not known else np.array(known)


def _nothing(column: npt.NDArray[Any]) -> bool:
    return all(value is None for value in column.tolist())
