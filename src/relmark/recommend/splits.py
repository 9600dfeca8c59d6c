"""The past and what came after it: splits by time, the only honest way to ask what a recommender would have done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import attrs
import numpy as np

from relmark.core.checks import whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.time import Instant, duration, instant, instant_text
from relmark.recommend.interactions import Interactions

__all__ = ["Split", "folds_by_time", "split_by_time"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Split:
    """Two parts of the same interactions, with the same ids: ``train, test = split``.

    Parameters
    ----------
    train : Interactions
        The lines at or before `cut`.
    test : Interactions
        The lines in ``(cut, end]``.
    cut, end : int
        Microseconds UTC.
    """

    train: Interactions
    test: Interactions
    cut: int
    end: int

    @property
    def as_of(self) -> np.datetime64:
        """The instant of the cut."""
        return np.datetime64(self.cut, "us")

    def __iter__(self) -> Iterator[Interactions]:
        """Yield the training and the test part."""
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        return (
            f"Split(train={len(self.train):,} lines to {instant_text(self.cut)}, "
            f"test={len(self.test):,} lines to {instant_text(self.end)})"
        )


def split_by_time(
    interactions: Interactions, test: timedelta | None = None, *, cut: Instant | None = None, end: Instant | None = None
) -> Split:
    """Split interactions into a past and a test period after it.

    Parameters
    ----------
    interactions : Interactions
    test : timedelta, optional
        The length of the test period, which ends at `end`. Either `test` or `cut` is needed.
    cut : instant, optional
        Where the past ends: lines at or before it are the past.
    end : instant, optional
        Where the test ends; by default at the last line.

    Examples
    --------
    >>> from relmark import days
    >>> x = Interactions.from_columns(customer_id=[1, 1], item=["tea", "cup"],
    ...                               time=np.array(["2026-01-01", "2026-03-01"], "M8[D]"))
    >>> split_by_time(x, days(30))
    Split(train=1 lines to 2026-01-30T00:00:00Z, test=1 lines to 2026-03-01T00:00:00Z)
    """
    last = _last(interactions)
    stop = last if end is None else instant(end, name="end")
    if (test is None) == (cut is None):
        raise InputError("give either test, the length of the test period, or cut, the instant before it.")
    start = stop - duration("test", test) if test is not None else instant(cut, name="cut")  # type: ignore[arg-type]
    if start >= stop:
        raise InputError(f"cut is {instant_text(start)}, not before the end {instant_text(stop)} of the test period.")
    return _split(interactions, start, stop)


def folds_by_time(interactions: Interactions, test: timedelta, *, folds: int = 3) -> tuple[Split, ...]:
    """Return k splits whose test periods follow each other without overlap and end at the last line, oldest first.

    Each fold trains on everything before its test period.
    """
    last, length = _last(interactions), duration("test", test)
    count = whole("folds", folds, low=1)
    ends = [last - length * back for back in range(count - 1, -1, -1)]
    return tuple(_split(interactions, end - length, end) for end in ends)


def _last(interactions: Interactions) -> int:
    if not isinstance(interactions, Interactions):
        raise InputError(f"interactions is a {type(interactions).__name__}: make them with Interactions.from_columns.")
    if interactions.time is None:
        raise InputError("these interactions have no time: give from_columns a time column to split by it.")
    last = interactions.last_time
    if last is None:
        raise NotEnoughDataError("there is no line to split.")
    return last


def _split(x: Interactions, cut: int, end: int) -> Split:
    assert x.time is not None
    train, test = x.take(x.time <= cut), x.take((x.time > cut) & (x.time <= end))
    if not len(train) or not len(test):
        empty = "training" if not len(train) else "test"
        raise NotEnoughDataError(
            f"the {empty} part of the split at {instant_text(cut)} is empty: take a shorter test period or fewer folds."
        )
    return Split(train=train, test=test, cut=cut, end=end)
