"""How many people reached each step of a funnel; counts of different customers add up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Self, TypeAlias, TypedDict, Unpack

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, one_of, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, owned
from relmark.core.ordering import order_by
from relmark.core.spans import length
from relmark.core.time import NO_TIME, duration
from relmark.expressions.event_rows import Bounds, EventRows, chosen_events
from relmark.expressions.kinds import check_on_data
from relmark.expressions.reaching import Path, deepest_of
from relmark.expressions.selection import Selection
from relmark.metrics._attempts import distinct_steps, walkers, walks
from relmark.metrics._labels import joined
from relmark.metrics.estimates import FEW, plain_estimates, shares
from relmark.metrics.funnel_table import Funnel, TimeToConvert
from relmark.metrics.grouping import By, group_rows
from relmark.metrics.windows import Stretch, base_given, span_words

__all__ = ["FunnelCounts", "FunnelHow", "Steps"]

Steps: TypeAlias = "Mapping[str, Selection] | Sequence[Selection]"
"""The steps of a funnel in their order, with names where a mapping is given."""
_MOST_STEPS = 32
_ALL = -1  # the group of whole conversions, whatever groups there are


class FunnelHow(TypedDict, total=False):
    """The optional arguments of `funnel`."""

    within: timedelta | None
    order: Literal["loose", "strict", "any"]
    attempt: Literal["any", "first"]
    count: Literal["people", "attempts"]
    ties: Literal["later", "same_time"]
    exclude: Sequence[Selection]
    by: By
    same: str | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FunnelCounts(Frozen):
    """The counts from which `funnel` makes its table, for any number of customers.

    Counts of parts of the data add up with ``+`` if all events of each customer are in one part.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each group.
    step : tuple of str, length n
        The names of the steps.
    deepest, still_open, closed : ndarray of int64, shape (k, n)
        How many reached the step and no further one; how many of these have a window that has not ended; and how many
        of them have only windows that have ended.
    gap_group, gap_step, gap, gap_count : ndarray of int64, shape (g,)
        `gap_count` completed attempts of the group `gap_group` took `gap` microseconds from the step before to the
        step `gap_step`. Group -1 with step 0 holds the times from the first step to the last, over all groups. With
        times to the second and a window of a week there are at most 604,801 different times, whatever the number of
        customers.
    counted : str
        "people" or "attempts".
    as_of : datetime64
    window : str
    ends : bool
        Whether windows end, that is, whether `within` was given.
    segments : tuple of str
        The order of the segments in ``by=``, if it has segments.

    Examples
    --------
    >>> from relmark import EventLog, event, minutes
    >>> def base(who, seconds):
    ...     return CustomerBase(events=EventLog.from_columns(
    ...         customer_id=[who, who], type=["start", "buy"],
    ...         time=["2026-01-01T10:00:00Z", f"2026-01-01T10:00:{seconds}Z"]))
    >>> steps = [event("start"), event("buy")]
    >>> one, two = (FunnelCounts.of(base(who, seconds), steps, as_of="2026-02-01") for who, seconds in (("a", 40),
    ...             ("b", 20)))
    >>> (one + two).funnel().time_to_convert.mean.total_seconds()
    30.0
    """

    by: Mapping[str, npt.NDArray[Any]]
    step: tuple[str, ...]
    deepest: IntArray = attrs.field(converter=owned)
    still_open: IntArray = attrs.field(converter=owned)
    closed: IntArray = attrs.field(converter=owned)
    gap_group: IntArray = attrs.field(converter=owned)
    gap_step: IntArray = attrs.field(converter=owned)
    gap: IntArray = attrs.field(converter=owned)
    gap_count: IntArray = attrs.field(converter=owned)
    counted: str
    as_of: np.datetime64
    window: str
    ends: bool
    segments: tuple[str, ...] = ()

    @classmethod
    def of(cls, base: CustomerBase, steps: Steps, *, as_of: AsOfGiven, **how: Unpack[FunnelHow]) -> Self:
        """Count the customers of a base; the arguments are those of `funnel`."""
        return cls(**_read(base, steps, as_of, **how))

    def funnel(self) -> Funnel:
        """Return what `funnel` would return for all these customers."""
        k, n = self.deepest.shape
        counts, closed_counts = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (self.deepest, self.closed))
        lost = self.deepest - self.still_open
        lost[:, -1] = 0
        before = np.concatenate([counts[:, :1], counts[:, :-1]], axis=1)
        entered = np.repeat(counts[:, :1], n, axis=1)
        notes = []
        if not self.ends:
            notes.append("without within=, windows never end: everybody who has not converted is still open")
            none = np.full(k * n, np.nan)
            rates = plain_estimates(none, ("windows never end without within=",) * (k * n))
        else:
            ended = np.repeat(closed_counts[:, :1], n, axis=1)
            rates = shares("reached", closed_counts.ravel(), "entrants whose windows have ended", ended.ravel())
        few = int(np.count_nonzero((counts[:, 0] > 0) & (counts[:, 0] < FEW)))
        if few:
            who = f"{few:,} group{'s have' if few > 1 else ' has'}" if k > 1 else "the funnel has"
            notes.append(f"{who} fewer than {FEW} entrants: read the intervals, not the rates")
        whole = self.gap_group == _ALL
        return Funnel(
            by={name: np.repeat(column, n) for name, column in self.by.items()},
            step=np.array(list(self.step) * k, dtype=object) if k else np.empty(0, dtype=object),
            counts=counts.ravel(), deepest=self.deepest.ravel(), still_open=self.still_open.ravel(), lost=lost.ravel(),
            closed_counts=closed_counts.ravel(), closed_rates=rates,
            rates=shares("reached", counts.ravel(), "entrants", entered.ravel()),
            step_rates=shares("reached", counts.ravel(), "entrants of the step before", before.ravel()),
            median_time=self._medians().ravel().view("m8[us]"),
            time_to_convert=TimeToConvert(seconds=np.repeat(self.gap[whole], self.gap_count[whole]) / 1e6),
            counted=self.counted, as_of=self.as_of, window=self.window, steps=n, notes=tuple(notes),
        )  # fmt: skip

    def _medians(self) -> IntArray:
        """Return the median time from the step before, by group and step."""
        k, n = self.deepest.shape
        median = np.full(k * n, NO_TIME)
        cell = self.gap_group * n + self.gap_step  # ascending, the whole way first
        own = self.gap_group != _ALL
        cells, first = np.unique(cell[own], return_index=True)
        if len(cells):
            gap = self.gap[own]
            upto = np.cumsum(self.gap_count[own])
            before = np.concatenate(([0], upto))[first]
            total = np.append(before[1:], upto[-1]) - before
            low = gap[np.searchsorted(upto, before + (total - 1) // 2, side="right")]
            high = gap[np.searchsorted(upto, before + total // 2, side="right")]
            median[cells] = ((low.astype(np.float64) + high) / 2).astype(np.int64)
        return median.reshape(k, n)

    def __add__(self, other: FunnelCounts) -> FunnelCounts:
        """Return the counts of two disjoint sets of customers."""
        if not isinstance(other, FunnelCounts):
            return NotImplemented
        both = (self, other)
        for name in ("step", "counted", "as_of", "window", "segments"):
            mine, theirs = (getattr(one, name) for one in both)
            if mine != theirs:
                raise _unlike(name, mine, theirs)
        if list(self.by) != list(other.by):
            raise _unlike("by", list(self.by), list(other.by))
        sizes = [len(one.deepest) for one in both]
        listed = {"segment": self.segments} if self.segments else None
        labels, places = joined([one.by for one in both], sizes, listed)
        k, n = (max((int(place.max(initial=-1)) for place in places), default=-1) + 1), len(self.step)
        tables: dict[str, Any] = {
            name: np.zeros((k, n), dtype=np.int64) for name in ("deepest", "still_open", "closed")
        }
        for one, place in zip(both, places, strict=True):
            for name, table in tables.items():
                table[place] += getattr(one, name)
        group = [np.where(one.gap_group == _ALL, _ALL, np.append(place, _ALL)[one.gap_group])
                 for one, place in zip(both, places, strict=True)]  # fmt: skip
        gaps = _counted(
            np.concatenate(group),
            np.concatenate([one.gap_step for one in both]),
            np.concatenate([one.gap for one in both]),
            np.concatenate([one.gap_count for one in both]),
        )
        return attrs.evolve(
            self, by=labels, **tables, gap_group=gaps[0], gap_step=gaps[1], gap=gaps[2], gap_count=gaps[3]
        )

    def __repr__(self) -> str:
        k, n = self.deepest.shape
        return f"FunnelCounts({int(self.deepest.sum()):,} {self.counted}, {n} steps, {k:,} groups)"


def _read(
    base: CustomerBase,
    steps: Steps,
    as_of: AsOfGiven,
    *,
    within: timedelta | None = None,
    order: str = "loose",
    attempt: str = "any",
    count: str = "people",
    ties: str = "later",
    exclude: Sequence[Selection] = (),
    by: By = None,
    same: str | None = None,
) -> dict[str, Any]:
    """Return the counts of a base, by the names of their fields."""
    base = base_given(base)
    names, selections = _steps(steps)
    if within is not None:
        duration("within", within)
    one_of("order", order, ("loose", "strict", "any"))
    one_of("attempt", attempt, ("any", "first"))
    one_of("count", count, ("people", "attempts"))
    one_of("ties", ties, ("later", "same_time"))
    if same is not None:
        text("same", same)
    excluded = _selections("exclude", exclude)
    if ties == "same_time" and (order != "loose" or same is not None):
        raise InputError(
            "ties='same_time' goes with order='loose' and without same=: leave one of them out.",
            argument="ties",
            code="conflicting_arguments",
        )
    for selection in (*selections, *excluded):
        check_on_data(selection.exists(), base)
    stretch = Stretch.of(base, as_of, None)
    n = len(selections)
    path = Path(
        n, None if within is None else length(within), order, attempt == "first",
        distinct_steps(selections) if order == "any" else (),
    )  # fmt: skip
    who = walkers(base, selections, excluded, stretch.high, strict=order == "strict", same=same)
    identity = None
    if ties == "same_time":
        bounds = Bounds(None, stretch.high)
        identity = [chosen_events(base.events, one, bounds, base.tz) for one in (*selections, *excluded)]
    made = walks(who, path, same_time=ties == "same_time", identity=identity)
    found = _Entrants.of(base, who.owner, path, stretch.high, made, people=count == "people", parts=same is not None)
    starts = selections if order == "any" else selections[:1]
    groups = group_rows(
        base, stretch.as_of, by, found.customer, found.times[:, 0], _property_of(base, starts, stretch.high, found)
    )
    window = f"steps up to {stretch.as_of}" + ("" if within is None else f", within {span_words(within)} of the first")
    k = groups.k if len(found.customer) or by is None else 0
    depth, code = groups.chosen(found.depth), groups.code
    is_open, closed = groups.chosen(found.is_open), groups.chosen(found.closed)
    done = found.depth == n
    whole = found.times[done]
    rows = groups.chosen(done)
    gaps = _counted(
        np.concatenate([np.full(len(whole), _ALL), np.repeat(code[rows], n - 1)]),
        np.concatenate([np.zeros(len(whole), np.int64), np.tile(np.arange(1, n), int(np.count_nonzero(rows)))]),
        np.concatenate([whole[:, -1] - whole[:, 0], np.diff(groups.chosen(found.times)[rows], axis=1).ravel()]),
        None,
    )
    return {
        "by": {name: column[:k] for name, column in groups.labels.items()},
        "step": tuple(names),
        "deepest": np.bincount(code * n + depth - 1, minlength=k * n).reshape(k, n),
        "still_open": np.bincount(code[is_open] * n + depth[is_open] - 1, minlength=k * n).reshape(k, n),
        "closed": np.bincount(code[closed] * n + depth[closed] - 1, minlength=k * n).reshape(k, n),
        "gap_group": gaps[0],
        "gap_step": gaps[1],
        "gap": gaps[2],
        "gap_count": gaps[3],
        "counted": count,
        "as_of": stretch.as_of.given,
        "window": window,
        "ends": within is not None,
        "segments": _segments(by),
    }


def _counted(
    group: IntArray, step: IntArray, gap: IntArray, count: IntArray | None
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return each distinct time of each group and step, in order, with the number of times it occurs."""
    order = order_by(group + 1, step, gap)
    group, step, gap = group[order], step[order], gap[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (group[1:] != group[:-1]) | (step[1:] != step[:-1]) | (gap[1:] != gap[:-1])
    first = np.flatnonzero(new)
    if count is None:
        often = np.diff(np.append(first, len(order)))
    else:
        often = np.add.reduceat(count[order], first) if len(first) else count[:0]
    return group[first], step[first], gap[first], often


def _segments(by: By) -> tuple[str, ...]:
    """Return the names of segments in the order in which they were given."""
    keys = by if isinstance(by, (list, tuple)) else [by]
    return next((tuple(key) for key in keys if isinstance(key, Mapping)), ())


def _unlike(name: str, mine: Any, theirs: Any) -> InputError:
    return InputError(
        f"counts with {name} {shown(mine)} and with {name} {shown(theirs)} do not add up: make both with the same "
        "arguments.",
        argument="other",
        code="conflicting_arguments",
    )


@attrs.frozen(eq=False)
class _Entrants:
    """The people or attempts that count: their row in the base, when steps were reached, and whether time is left."""

    customer: IntArray
    times: IntArray
    depth: IntArray
    is_open: npt.NDArray[np.bool_]
    closed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, base: CustomerBase, owner: IntArray, path: Path, seen: int, found: Any, *, people: bool, parts: bool
    ) -> _Entrants:
        """Return the entrants from blocks of attempts."""
        rows: list[tuple[Any, ...]] = []
        for block in found:
            ends = block.times[:, 0]
            left = ends > seen - (path.within or 0) if path.within is not None else np.ones(len(ends), dtype=np.bool_)
            is_open = left & (block.depth < path.n) & ~block.barred
            if not people:
                rows.append((block.customer, block.times, block.depth, is_open, ~left))
                continue
            best = deepest_of(block)
            begins = np.flatnonzero(np.concatenate(([True], block.customer[1:] != block.customer[:-1])))
            some_open = np.logical_or.reduceat(is_open, begins)
            some_left = np.logical_or.reduceat(left, begins)
            rows.append((best.customer, best.times, best.depth, some_open & (best.depth < path.n), ~some_left))
        if not rows:
            none = np.empty(0, dtype=np.int64)
            return cls(none, np.empty((0, path.n), dtype=np.int64), none, none.astype(np.bool_), none.astype(np.bool_))
        unit, times, depth, is_open, closed = (np.concatenate(column) for column in zip(*rows, strict=True))
        customer = owner[unit]
        if not (people and parts):
            return cls(customer, times, depth, is_open, closed)
        # Several parts of one customer (orders, sessions): the deepest of all counts.
        end = times[np.arange(len(depth)), depth - 1]
        order = order_by(customer, path.n - depth, end, -times[:, 0])
        first = order[np.concatenate(([True], customer[order][1:] != customer[order][:-1]))]
        some_open = np.zeros(len(base), dtype=np.bool_)
        some_left = np.zeros(len(base), dtype=np.bool_)
        some_open[customer[is_open]] = True
        some_left[customer[~closed]] = True
        who = customer[first]
        still = some_open[who] & (depth[first] < path.n)
        return cls(who, times[first], depth[first], still, ~some_left[who])


def _property_of(
    base: CustomerBase, starts: tuple[Selection, ...], seen: int, found: _Entrants
) -> Callable[[str], Column | None]:
    """Return a function that gives a property of the event that began each attempt."""

    def find(name: str) -> Column | None:
        parts = [chosen_events(base.events, one, Bounds(None, seen), base.tz) for one in starts]
        scopes = [scope for part in parts for scope in part.scopes]
        if not any(name in scope.part.properties for scope in scopes):
            return None
        events = EventRows(scopes, base.tz)  # whichever of the steps came first
        column = events.column(name)
        customer = base.code_to_row[events.codes]
        # If several lie at one instant, take the lowest value, so that the order of rows never decides.
        rank = np.unique(column.data, return_inverse=True)[1] if column.kind != "tags" else np.arange(len(column))
        order = order_by(customer, events.times, np.where(column.missing, len(column), rank))
        key = customer[order]
        instants = np.unique(np.concatenate([events.times, found.times[:, 0]]))
        size = len(instants) + 1
        mine = found.customer * size + np.searchsorted(instants, found.times[:, 0])
        place = np.searchsorted(key * size + np.searchsorted(instants, events.times[order]), mine)
        return column.take(order[np.minimum(place, max(len(order) - 1, 0))])

    return find


def _steps(steps: Any) -> tuple[list[str], tuple[Selection, ...]]:
    if isinstance(steps, Mapping):
        for name in steps:
            text("the name of a step", name)
        names, given = list(steps), _selections("steps", list(steps.values()))
    else:
        given = _selections("steps", steps)
        words = [" or ".join(one.types) or "any event" for one in given]
        names = [f"{k + 1} {word}" if words.count(word) > 1 else word for k, word in enumerate(words)]
    if not 2 <= len(given) <= _MOST_STEPS:
        raise InputError(
            f"steps has {len(given)} step{'' if len(given) == 1 else 's'}; it must have from 2 to {_MOST_STEPS}.",
            argument="steps",
            code="wrong_length",
        )
    return names, given


def _selections(name: str, given: Any) -> tuple[Selection, ...]:
    if isinstance(given, Selection):
        given = (given,)
    if not isinstance(given, (list, tuple)):
        raise InputError(
            f"{name} is {shown(given)}; it must be a list of events, such as [event('view'), event('buy')].",
            argument=name,
            code="wrong_type",
        )
    for position, one in enumerate(given):
        if not isinstance(one, Selection):
            raise InputError(
                f"{name}[{position}] is {shown(one)}; it must select events, such as event('view').",
                argument=name,
                code="wrong_type",
            )
    return tuple(given)
