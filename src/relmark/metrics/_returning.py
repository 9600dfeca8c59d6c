"""Kernel of cohorts: who came first when, and in which periods they came back."""

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
    """What happened, ascending in time: the base's row of each, and its money where there is any."""

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
        Whether a start is a return too: then period 0 holds everybody.
    n : int
        The number of customers.
    tz : str
    as_of : AsOf
    words : tuple of str
        What begins and what counts as a return.
    of_events : bool
        Whether starts are events that have properties.
    first : callable
        A property of each customer's first start by name, None where starts have none.
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
    """Return starts and returns: purchases without words of their own, else the events that are named."""
    if start is None and back is not None:
        raise InputError(
            "back= needs start=: say which events begin, such as start=event('signup').",
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
    """Purchases are told apart by fields and segments of customers alone."""
    del name


def _one_instant(as_of: AsOf) -> None:
    if as_of.each:
        raise InputError(
            "as_of has one instant per customer: a table is as of one instant or date.",
            argument="as_of",
            code="wrong_type",
        )


def first_times(what: Happened, n: int) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return who of n customers did it at all, and when first (0 for those who did not)."""
    when = np.zeros(n, dtype=np.int64)
    did = np.zeros(n, dtype=np.bool_)
    when[what.customer[::-1]] = what.time[::-1]  # ascending: of repeated places the last write stays, the first time
    did[what.customer] = True
    return did, when


def distinct(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the different ones of some integers, ascending: sorted, which is faster than numpy's table of hashes."""
    ranked = np.sort(codes)
    keep = np.ones(len(ranked), dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=keep[1:])
    return np.asarray(ranked[keep])


def slices(time: IntArray, bounds: IntArray) -> Iterator[slice]:
    """Yield where ascending times lie between bounds that follow each other, the lower one included."""
    place = np.searchsorted(time, bounds, side="left").tolist()
    return (slice(low, high) for low, high in itertools.pairwise(place))
