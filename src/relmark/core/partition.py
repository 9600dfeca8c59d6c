"""The events of one type, in the order of time, so that two binary searches find a window."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.columns import Column
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import Codes
from relmark.core.ordering import group_order, is_sorted, stable_order
from relmark.core.time import AWARE, DATE, Times
from relmark.core.zones import DAY, local_days, local_midnights, to_local

__all__ = ["Partition"]

_GLANCE = 1_024  # rows looked at first: most columns have a value among them
_BLOCK = 1 << 12


@attrs.frozen(eq=False, repr=False)
class Partition(Frozen):
    """The events of one type, ascending in time; events with equal times stay in the order of the input.

    Parameters
    ----------
    code : ndarray of int32 or int64, shape (m,)
        The customer of each event, as a position among the log's ids.
    time : ndarray of int64, shape (m,)
        Microseconds UTC.
    value : ndarray of float64, shape (m,), or None
        The value of each event, NaN if it has none; None if no event has one.
    row : ndarray of int, shape (m,)
        The row number of each event in the input of all types.
    properties : mapping of str to Column
        Columns of m rows; a property that no event of this type has is left out.
    n_customers : int
        How many ids the log has.
    day_zone : str, optional
        If the events have days as times, the zone whose midnights these times are.
    """

    code: Codes = attrs.field(converter=read_only)
    time: IntArray = attrs.field(converter=read_only)
    value: npt.NDArray[np.float64] | None = attrs.field(converter=attrs.converters.optional(read_only))
    row: npt.NDArray[np.integer[Any]] = attrs.field(converter=read_only)
    properties: Mapping[str, Column]
    n_customers: int
    day_zone: str | None = None

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.time)

    def window(self, low: int | None, high: int | None) -> slice:
        """Return the slice of the events with low < time <= high, in microseconds; None means no limit."""
        start = 0 if low is None else int(np.searchsorted(self.time, low, side="right"))
        stop = len(self.time) if high is None else int(np.searchsorted(self.time, high, side="right"))
        return slice(start, max(start, stop))

    @cached_property
    def by_customer(self) -> tuple[IntArray, IntArray]:
        """The positions of events by customer and time, shape (m,), and the start of each customer, shape (k + 1,)."""
        order, offsets = group_order(self.code, self.n_customers)
        return read_only(order), read_only(offsets)

    def take(self, rows: npt.NDArray[Any] | slice, *, code: Codes | None = None, n: int | None = None) -> Partition:
        """Return some of the events, by an ascending selection; give `code` and `n` if ids were coded again."""
        return Partition(
            code=self.code[rows] if code is None else code,
            time=self.time[rows],
            value=None if self.value is None else self.value[rows],
            row=self.row[rows],
            properties={name: column.take(rows) for name, column in self.properties.items()},
            n_customers=self.n_customers if n is None else n,
            day_zone=self.day_zone,
        )

    def in_zone(self, tz: str) -> Partition:
        """Return the events with their days beginning at midnight in another zone; unchanged if times are not days."""
        if self.day_zone is None or self.day_zone == tz:
            return self
        day = local_days(self.time, self.day_zone)
        return attrs.evolve(self, time=local_midnights(day, tz), day_zone=tz)

    def known(self) -> Partition:
        """Return the partition without its column of values, or properties, if none of its events has one."""
        value = self.value
        if value is not None and np.isnan(value[:_GLANCE]).all() and np.isnan(value).all():
            value = None
        properties = {
            name: column
            for name, column in self.properties.items()
            if not column.take(slice(0, _GLANCE)).missing.all() or not column.missing.all()
        }
        if len(properties) == len(self.properties) and value is self.value:
            return self
        return attrs.evolve(self, value=value, properties=properties)

    def compact(self) -> Partition:
        """Return the partition without words that no event has in its properties."""
        return attrs.evolve(self, properties={name: column.compact() for name, column in self.properties.items()})


def build_partitions(
    code: Codes,
    n_customers: int,
    times: Times,
    types: tuple[list[str], npt.NDArray[np.integer] | None],
    value: npt.NDArray[np.float64] | None,
    properties: Mapping[str, Column],
    *,
    tz: str = "UTC",
    rows: IntArray | None = None,
) -> dict[str, Partition]:
    """Return the partitions of columns of events.

    Parameters
    ----------
    code : ndarray of int, shape (n,)
        The customer of each event.
    n_customers : int
        How many customers there are.
    times : Times
        The time of each event.
    types : list of str, and codes of shape (n,) or None
        The names of the types, and the type of each event; None if all events have the same type.
    value, properties
        As in `Partition`.
    tz : str
        The zone in which times without one were read.
    rows : ndarray of int64, shape (n,), optional
        The caller's row number of each event, ascending, if rows were dropped.
    """
    names, type_codes = types
    time = times.instants
    rows_of_type: list[IntArray | None] = [None]
    if type_codes is not None:
        order, offsets = group_order(type_codes, len(names))
        rows_of_type = [order[offsets[k] : offsets[k + 1]] for k in range(len(names))]
    last = len(time) if rows is None or not len(rows) else int(rows[-1])
    whole = np.int32 if last <= np.iinfo(np.int32).max else np.int64
    partitions = {}
    for name, of_type in zip(names, rows_of_type, strict=True):
        found = time if of_type is None else time[of_type]
        if len(found) == 0:
            continue
        given = times.given if of_type is None or isinstance(times.given, int) else times.given[of_type]
        if is_sorted(found):
            picked = np.arange(len(found), dtype=whole) if of_type is None else of_type
            chosen: npt.NDArray[Any] | slice = slice(None) if of_type is None else of_type
        else:
            by_time = stable_order(found)
            picked = by_time if of_type is None else of_type[by_time]
            chosen = picked
            found = time[picked]
        partitions[name] = Partition(
            # A slice would share memory with the caller's array, which the caller may change, so it is copied.
            code=code[chosen],
            time=found.copy() if found is time or found.base is not None else found,
            value=_known_value(value, chosen),
            row=(picked if rows is None else rows[picked]).astype(whole, copy=False),
            properties=_known_properties(properties, chosen),
            n_customers=n_customers,
            day_zone=tz if _are_days(found, given, tz) else None,
        )
    return partitions


def _are_days(time: IntArray, given: int | npt.NDArray[np.int8], tz: str) -> bool:
    """Tell whether times are days: either dates, or times without a zone that are all midnights of `tz`."""
    if isinstance(given, int):
        if given in (AWARE, DATE):
            return given == DATE
    elif (given == AWARE).any():
        return False
    elif (given == DATE).all():
        return True
    for low in range(0, len(time), _BLOCK):  # the first block nearly always decides
        wall = to_local(time[low : low + _BLOCK], tz)
        off = wall % DAY != 0
        if off.any() and (local_midnights(wall[off] // DAY, tz) != time[low : low + _BLOCK][off]).any():
            return False
    return True


def _known_value(
    value: npt.NDArray[np.float64] | None, rows: npt.NDArray[Any] | slice
) -> npt.NDArray[np.float64] | None:
    if value is None:
        return None
    taken = value[rows].copy() if isinstance(rows, slice) else value[rows]
    return None if np.isnan(taken).all() else taken


def _known_properties(properties: Mapping[str, Column], rows: npt.NDArray[Any] | slice) -> dict[str, Column]:
    taken = ((name, column.take(rows)) for name, column in properties.items())
    return {name: column for name, column in taken if not column.missing.all()}
