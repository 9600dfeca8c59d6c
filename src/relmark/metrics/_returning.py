"""Kernel of cohorts: when customers came first, and in which periods they came back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven
from relmark.core.base import CustomerBase, purchases_of
from relmark.core.checks import FloatArray, IntArray
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.purchases import Purchases
from relmark.expressions.selection import Selection
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = ["Activity", "Happened", "distinct", "first_times", "read_activity", "slices"]


@attrs.frozen(eq=False)
class Happened:
    """Events in ascending order of time: the customer's row in the base, the time, and the money if there is any."""

    customer: npt.NDArray[Any]
    time: IntArray
    value: FloatArray | None = None


@attrs.frozen(eq=False)
class Activity:
    """Starts and returns of the customers of a base by as_of.

    Parameters
    ----------
    start, back : Happened
    same : bool
        Whether a start also counts as a return; period 0 then holds everybody.
    n : int
        The number of customers.
    tz : str
    as_of : AsOf
    words : tuple of str
        Which events begin, and which count as a return.
    of_events : bool
        Whether starts are events that have properties.
    first : callable
        Maps the name of a property to its values at each customer's first start, or to None if starts lack it.
    """

    start: Happened
    back: Happened
    same: bool
    n: int
    tz: str
    as_of: AsOf
    words: tuple[str, str]
    of_events: bool
    first: Any


def read_activity(
    data: CustomerBase | Purchases, start: Selection | None, back: Selection | None, as_of: AsOfGiven
) -> Activity:
    """Return starts and returns: the events that are given, or purchases by default."""
    if start is None and back is not None:
        raise InputError(
            "back= is given without start=: also name the events that begin, such as start=event('signup').",
            argument="back",
            code="wrong_type",
        )
    if start is None:
        bought = purchases_of(data, as_of)
        moment = bought.as_of
        assert moment is not None
        _one_instant(moment)
        lines = bought.lines
        what = Happened(lines.customer, lines.time, lines.value)
        words = ("their first purchase", "a purchase")
        return Activity(
            what,
            what,
            same=True,
            n=bought.n_customers,
            tz=bought.tz,
            as_of=moment,
            words=words,
            of_events=False,
            first=_none,
        )
    base = base_given(data)
    stretch = Stretch.of(base, as_of, None)
    begun = events_of(base, selection_given("start", start), None, stretch.high)
    first = Happened(begun[0], begun[1])
    same = back is None
    again = first
    if back is not None:
        same = repr(start) == repr(back)
        found = events_of(base, selection_given("back", back), None, stretch.high)
        again = Happened(found[0], found[1])
    words = (f"their first {start!r}", repr(start if back is None else back))

    def find(name: str) -> Column | None:
        column = properties_of(begun[2])(name)
        if column is None:
            return None
        rows = np.zeros(len(base), dtype=np.int64)
        rows[begun[0][::-1]] = np.arange(len(begun[0]))[::-1]
        return column.take(rows)

    return Activity(
        first, again, same=same, n=len(base), tz=base.tz, as_of=stretch.as_of, words=words, of_events=True, first=find
    )


def _none(name: str) -> None:
    """Return None, because purchases have no properties by which to group."""
    del name


def _one_instant(as_of: AsOf) -> None:
    if as_of.each:
        raise InputError(
            "as_of has one instant per customer, but this table needs one instant or date for everybody.",
            argument="as_of",
            code="wrong_type",
        )


def first_times(what: Happened, n: int) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return which of n customers did it at all, and when they first did (0 for those who did not)."""
    when = np.zeros(n, dtype=np.int64)
    did = np.zeros(n, dtype=np.bool_)
    when[what.customer[::-1]] = what.time[::-1]  # times descend, so that the last write, which stays, is the first time
    did[what.customer] = True
    return did, when


def distinct(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the distinct integers in ascending order; sorting is faster than numpy's hash table."""
    ranked = np.sort(codes)
    keep = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=keep[1:])
    return np.asarray(ranked[keep])


def slices(time: IntArray, bounds: IntArray) -> Iterator[slice]:
    """Yield the slice of ascending times between each two consecutive bounds, including the lower one."""
    place = np.searchsorted(time, bounds, side="left").tolist()
    return (slice(low, high) for low, high in itertools.pairwise(place))
