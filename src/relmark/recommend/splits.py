"""Splits by time into a past and a later test period: the honest way to test what a recommender would have done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import attrs
import numpy as np

from relmark.core.as_of import AsOf, AsOfGiven, read_as_of
from relmark.core.checks import whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.time import aware, duration
from relmark.recommend.interactions import Interactions, PurchaseSource, interactions_of

__all__ = ["Split", "folds_by_time", "split_by_time"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Split:
    """Two parts of the same purchases with the same ids; unpack them with ``train, test = split``.

    Parameters
    ----------
    train : Interactions
        The lines up to `cut`, with what was known then.
    test : Interactions
        The lines after `cut`, up to `end`.
    cut, end : datetime or date
        The ends of both parts, as every `as_of` takes them: a datetime with a time zone, or the date that was given.
        The day of a date belongs to the part after it.
    """

    train: Interactions
    test: Interactions
    cut: datetime | date
    end: datetime | date

    @property
    def as_of(self) -> datetime | date:
        """The same as `cut`, for ``fit(split.train, as_of=split.as_of)``."""
        return self.cut

    def __iter__(self) -> Iterator[Interactions]:
        """Yield the training and the test part."""
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        return (
            f"Split(train={len(self.train):,} lines to {_text(self.cut)}, "
            f"test={len(self.test):,} lines to {_text(self.end)})"
        )


def split_by_time(
    interactions: PurchaseSource,
    test: timedelta | None = None,
    *,
    cut: AsOfGiven | None = None,
    end: AsOfGiven | None = None,
) -> Split:
    """Split purchases into a past and a test period that follows it.

    Parameters
    ----------
    interactions : Interactions, CustomerBase or Purchases
        The purchases, with times. From a base, the past contains only the refunds that were known at the cut.
    test : timedelta, optional
        The length of the test period, which ends at `end`. Either `test` or `cut` is needed.
    cut : date or instant, optional
        Where the past ends. The day of a date belongs to the test period; an instant belongs to the past.
    end : date or instant, optional
        Where the test period ends, in the same way; by default with the last line.

    Examples
    --------
    >>> from relmark import days
    >>> x = Interactions.from_columns(customer_id=[1, 1], item=["tea", "cup"],
    ...                               time=np.array(["2026-01-01", "2026-03-01"], "M8[D]"))
    >>> split_by_time(x, days(30))
    Split(train=1 lines to 2026-01-30T00:00:00+00:00, test=1 lines to 2026-03-01T00:00:00+00:00)
    """
    whole_past = interactions_of(interactions)
    stop = _last(whole_past) if end is None else read_as_of(end, tz=whole_past.tz, name="end")
    if (test is None) == (cut is None):
        raise InputError(
            "give either test, the length of the test period, or cut, where the past ends.",
            argument="test",
            code="conflicting_arguments",
        )
    if test is not None:
        duration("test", test)
        start = stop.moved(test)
    else:
        start = read_as_of(cut, tz=whole_past.tz, name="cut")  # type: ignore[arg-type]
    if start.seen >= stop.seen:
        raise InputError(
            f"cut is {start}, which is not before the end of the test period, {stop}.",
            argument="cut",
            code="conflicting_arguments",
        )
    return _split(interactions, whole_past, start, stop)


def folds_by_time(interactions: PurchaseSource, test: timedelta, *, folds: int = 3) -> tuple[Split, ...]:
    """Return splits whose test periods follow each other without overlap up to the last line, the oldest first.

    Each fold trains on everything before its test period.
    """
    duration("test", test)
    whole_past = interactions_of(interactions)
    ends = [_last(whole_past)]
    for _ in range(whole("folds", folds, low=1)):
        ends.append(ends[-1].moved(test))
    return tuple(
        _split(interactions, whole_past, start, stop) for start, stop in zip(ends[:0:-1], ends[-2::-1], strict=True)
    )


def _last(x: Interactions) -> AsOf:
    if x.lines.time is None:
        raise InputError(
            "these interactions have no time: give from_columns a time column to split by it.",
            argument="interactions",
            code="missing_argument",
        )
    last = x.last_time
    if last is None:
        raise NotEnoughDataError("interactions is empty: there is no line to split.", argument="interactions")
    return AsOf(last, dated=False, tz=x.tz)


def _split(given: PurchaseSource, whole_past: Interactions, cut: AsOf, end: AsOf) -> Split:
    train, test = whole_past, whole_past
    if not isinstance(given, Interactions):  # a later refund does not change what was known at the cut
        train = interactions_of(given, cut)
        last = whole_past.last_time
        test = whole_past if last is not None and end.seen >= last else interactions_of(given, end)
    assert train.lines.time is not None
    assert test.lines.time is not None
    train = train.where(train.lines.time <= cut.seen)
    test = test.where((test.lines.time > cut.seen) & (test.lines.time <= end.seen))
    if not len(train) or not len(test):
        empty = "training" if not len(train) else "test"
        raise NotEnoughDataError(
            f"the {empty} part of the split at {cut} is empty: take a shorter test period or fewer folds.",
            argument="interactions",
        )
    if train is not test and not isinstance(given, Interactions):
        customers = np.union1d(train.customer_id, test.customer_id)
        items = np.union1d(train.item, test.item)
        train, test = (part.among(customers, items) for part in (train, test))
    return Split(train=train, test=test, cut=_given(cut), end=_given(end))


def _given(moment: AsOf) -> datetime | date:
    """Return a point in time as a datetime with a time zone, or as a date."""
    if moment.dated:
        day: date = moment.given.item()
        return day
    return aware(int(moment.clock), moment.tz)


def _text(moment: datetime | date) -> str:
    return moment.isoformat()
