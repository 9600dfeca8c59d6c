"""Where people get lost on their way: a funnel of steps, with what is still open counted apart.

`funnel` counts people or attempts. Each step comes strictly later than the one before, within a window from the first
step that is closed at its end. Rates are told twice: of all who entered, and of those whose windows have ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, fraction, one_of, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.ordering import order_by
from relmark.core.results import Result
from relmark.core.spans import length
from relmark.core.time import NO_TIME, duration
from relmark.expressions.event_rows import Bounds, EventRows, chosen_events
from relmark.expressions.kinds import check_on_data
from relmark.expressions.reaching import Path, deepest_of
from relmark.expressions.selection import Selection
from relmark.metrics._attempts import distinct_steps, walkers, walks
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import FEW, Estimates, plain_estimates, shares
from relmark.metrics.grouping import By, Groups, group_rows
from relmark.metrics.windows import Stretch, base_given, span_words

__all__ = ["Funnel", "Steps", "TimeToConvert", "funnel"]

Steps: TypeAlias = "Mapping[str, Selection] | Sequence[Selection]"
_MOST_STEPS = 32
DEFINITIONS = define(
    "up to as_of; each step strictly later than the one before and within the window from the first, its end included",
    "tools differ: Mixpanel takes the first attempt or any, some count open windows as lost",
    {
        "rates": ("entrants who reached the step", "entrants"),
        "step_rates": ("entrants who reached the step", "entrants who reached the step before"),
        "closed_rates": ("entrants whose windows have all ended and who reached the step",
                         "entrants whose windows have all ended"),
        "lost": ("entrants who got this far and no further, and have no window left", "", "people or attempts"),
        "still_open": ("entrants who got this far and whose window has not ended", "", "people or attempts"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TimeToConvert(Result):
    """How long conversions took, from the first step to the last, of completed attempts.

    Parameters
    ----------
    seconds : ndarray of float64, shape (n,)
        Ascending.
    """

    seconds: FloatArray

    def __len__(self) -> int:
        """Return the number of conversions."""
        return len(self.seconds)

    @property
    def mean(self) -> timedelta | None:
        """The mean; None where nobody converted."""
        return _span(math.fsum(self.seconds) / len(self.seconds)) if len(self.seconds) else None

    @property
    def median(self) -> timedelta | None:
        """The median; None where nobody converted."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> timedelta | None:
        """Return the time by which a share of the conversions had happened, between order statistics linearly."""
        fraction("q", q, open_ends=False)
        return _span(float(np.quantile(self.seconds, q))) if len(self.seconds) else None

    def _facts(self) -> dict[str, Any]:
        said = {"conversions": len(self), "mean": self.mean, "median": self.median, "p90": self.quantile(0.9)}
        return {name: one for name, one in said.items() if one is not None}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Funnel(MetricTable):
    """A funnel, one row per step; with groups, the steps of each group below each other.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        What the group of each row is called.
    step : ndarray of str, shape (k,)
    counts : ndarray of int64, shape (k,)
        People (or attempts) who reached the step; of the first step, all who entered.
    rates : Estimates
        Their share of those who entered.
    step_rates : Estimates
        Their share of those who reached the step before.
    deepest : ndarray of int64, shape (k,)
        Those who reached the step and no further.
    still_open : ndarray of int64, shape (k,)
        Of these, those whose window has not ended; none has where there is no window.
    lost : ndarray of int64, shape (k,)
        Of these, those who have no window left; 0 for the last step.
    closed_counts : ndarray of int64, shape (k,)
        Like `counts`, of entrants all of whose windows have ended.
    closed_rates : Estimates
        Their share of these entrants: what a rate tends to once everybody had the time.
    median_time : ndarray of timedelta64[us], shape (k,)
        From the step before, of completed attempts; NaT for the first step, and where nobody converted.
    time_to_convert : TimeToConvert
    counted : str
        "people" or "attempts".
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    step: npt.NDArray[Any]
    counts: IntArray
    rates: Estimates
    step_rates: Estimates
    deepest: IntArray
    still_open: IntArray
    lost: IntArray
    closed_counts: IntArray
    closed_rates: Estimates
    median_time: npt.NDArray[np.timedelta64]
    time_to_convert: TimeToConvert
    counted: str
    as_of: np.datetime64
    window: str
    steps: int
    notes: tuple[str, ...] = ()

    @property
    def entered(self) -> int:
        """How many entered, all groups together."""
        return int(self.counts[:: self.steps].sum())

    @property
    def converted(self) -> int:
        """How many reached the last step, all groups together."""
        return int(self.counts[self.steps - 1 :: self.steps].sum())

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _window(self) -> str:
        return self.window

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        names = (*self.by, "step", "counts", "rates", "step_rates", "lost", "still_open", "closed_rates", "median_time")
        return {name: columns[name] for name in names}


def funnel(
    base: CustomerBase,
    steps: Steps,
    *,
    as_of: AsOfGiven,
    within: timedelta | None = None,
    order: Literal["loose", "strict", "any"] = "loose",
    attempt: Literal["any", "first"] = "any",
    count: Literal["people", "attempts"] = "people",
    ties: Literal["later", "same_time"] = "later",
    exclude: Sequence[Selection] = (),
    by: By = None,
    same: str | None = None,
) -> Funnel:
    """Count how far people get along some steps, who is lost where, and who may still come.

    Parameters
    ----------
    base : CustomerBase
    steps : mapping of names to selections, or sequence of selections
        Two or more. A repeated step needs a repeated event.
    as_of : date or instant
    within : timedelta, optional
        The longest time from the first step to any other, its end included. Without it no attempt ever ends: whoever
        has not converted is still open.
    order : {"loose", "strict", "any"}
        Whether other events may lie between steps, no other event of any type may, or the steps may come in any order:
        then an attempt begins with whichever step comes first, and row k counts those who did k steps.
    attempt : {"any", "first"}
        Whether each event of the first step begins an attempt, and a person's deepest counts, or only their first does.
    count : {"people", "attempts"}
    ties : {"later", "same_time"}
        Whether a step has to be strictly later than the one before, or may be another event at the same instant, for
        tools that stamp events by the second or the day.
    exclude : sequence of Selection
        Events that end an attempt when they come before the step.
    by : name, expression, segment, period, or a list or mapping of them, optional
        Properties of the event that began the attempt, fields of people, segments, periods of entering.
    same : str, optional
        A property that all steps share, such as the session: events with each of its values are looked at alone, and
        events without it have no part.

    Returns
    -------
    Funnel

    Raises
    ------
    InputError
        Fewer than two steps, or settings that exclude each other.

    Notes
    -----
    The deepest attempt of a person counts; of several, the one that got there first, and of these the one that began
    last. Cost: one sort of the steps' events by customer and time.

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog, event, minutes
    >>> log = EventLog.from_columns(
    ...     customer_id=["a", "a", "b", "b"], type=["start", "buy", "start", "buy"],
    ...     time=["2026-01-01T10:00:00Z", "2026-01-01T10:00:40Z", "2026-01-01T10:00:00Z", "2026-01-01T10:38:00Z"])
    >>> f = funnel(CustomerBase(events=log), [event("start"), event("buy")], as_of="2026-02-01", within=minutes(1))
    >>> f.counts.tolist(), f.lost.tolist(), f.time_to_convert.mean.total_seconds()
    ([2, 1], [1, 0], 40.0)
    """
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
    return _table_of(found, groups, names, n, within, count, stretch.as_of.given, window, by)


@attrs.frozen(eq=False)
class _Entrants:
    """The people or attempts that count: the base's row, when steps were reached, and whether time is left."""

    customer: IntArray
    times: IntArray
    depth: IntArray
    is_open: npt.NDArray[np.bool_]
    closed: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, base: CustomerBase, owner: IntArray, path: Path, seen: int, found: Any, *, people: bool, parts: bool
    ) -> _Entrants:
        """Return them from attempts of walkers, block by block."""
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
        known = [one for one in parts if any(name in scope.part.properties for scope in one.scopes)]
        if not known:
            return None
        events: EventRows = known[0]
        column = events.column(name)
        customer = base.code_to_row[events.codes]
        # Of several at one instant the first in the order of values, so that the order of rows never decides.
        rank = np.unique(column.data, return_inverse=True)[1] if column.kind != "tags" else np.arange(len(column))
        order = order_by(customer, events.times, np.where(column.missing, len(column), rank))
        key = customer[order]
        instants = np.unique(np.concatenate([events.times, found.times[:, 0]]))
        size = len(instants) + 1
        mine = found.customer * size + np.searchsorted(instants, found.times[:, 0])
        place = np.searchsorted(key * size + np.searchsorted(instants, events.times[order]), mine)
        return column.take(order[np.minimum(place, max(len(order) - 1, 0))])

    return find


def _table_of(
    found: _Entrants, groups: Groups, names: list[str], n: int, within: timedelta | None, count: str,
    as_of: np.datetime64, window: str, by: By,
) -> Funnel:  # fmt: skip
    k = groups.k if len(found.customer) or by is None else 0
    depth, code = groups.chosen(found.depth), groups.code
    exactly = np.bincount(code * n + depth - 1, minlength=k * n).reshape(k, n)
    is_open, closed = groups.chosen(found.is_open), groups.chosen(found.closed)
    open_at = np.bincount(code[is_open] * n + depth[is_open] - 1, minlength=k * n).reshape(k, n)
    closed_at = np.bincount(code[closed] * n + depth[closed] - 1, minlength=k * n).reshape(k, n)
    counts, closed_counts = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (exactly, closed_at))
    lost = exactly - open_at
    lost[:, -1] = 0
    before = np.concatenate([counts[:, :1], counts[:, :-1]], axis=1)
    entered = np.repeat(counts[:, :1], n, axis=1)
    done = found.depth == n
    gaps = np.diff(found.times[done], axis=1)
    median = np.full((k, n), NO_TIME)
    group_of_done = code[groups.chosen(done)]
    chosen_gaps = np.diff(groups.chosen(found.times)[groups.chosen(done)], axis=1)
    for group in np.unique(group_of_done).tolist():
        median[group, 1:] = np.median(chosen_gaps[group_of_done == group], axis=0).astype(np.int64)
    notes = []
    if within is None:
        notes.append("without within= no window ends: whoever has not converted is still open")
        none = np.full(k * n, np.nan)
        rates = plain_estimates(none, ("no window ends without within=",) * (k * n))
    else:
        ended = np.repeat(closed_counts[:, :1], n, axis=1)
        rates = shares("reached", closed_counts.ravel(), "entrants whose windows have ended", ended.ravel())
    few = int(np.count_nonzero((counts[:, 0] > 0) & (counts[:, 0] < FEW)))
    if few:
        who = f"{few:,} groups have" if k > 1 else "it has"
        notes.append(f"{who} fewer than {FEW} entrants: read the intervals, not the rates")
    return Funnel(
        by={name: np.repeat(column[:k], n) for name, column in groups.labels.items()},
        step=np.array(names * k, dtype=object) if k else np.empty(0, dtype=object),
        counts=counts.ravel(), deepest=exactly.ravel(), still_open=open_at.ravel(), lost=lost.ravel(),
        closed_counts=closed_counts.ravel(), closed_rates=rates,
        rates=shares("reached", counts.ravel(), "entrants", entered.ravel()),
        step_rates=shares("reached", counts.ravel(), "entrants of the step before", before.ravel()),
        median_time=median.ravel().view("m8[us]"),
        time_to_convert=TimeToConvert(seconds=np.sort(gaps.sum(axis=1)) / 1e6),
        counted=count, as_of=as_of, window=window, steps=n, notes=tuple(notes),
    )  # fmt: skip


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
            f"steps has {len(given)}: from 2 to {_MOST_STEPS} steps are needed.", argument="steps", code="wrong_length"
        )
    return names, given


def _selections(name: str, given: Any) -> tuple[Selection, ...]:
    if isinstance(given, Selection):
        given = (given,)
    if not isinstance(given, (list, tuple)):
        raise InputError(
            f"{name} is {shown(given)}: a list of events is needed, such as [event('view'), event('buy')].",
            argument=name,
            code="wrong_type",
        )
    for position, one in enumerate(given):
        if not isinstance(one, Selection):
            raise InputError(
                f"{name}[{position}] is {shown(one)}: events are needed, such as event('view').",
                argument=name,
                code="wrong_type",
            )
    return tuple(given)


def _span(seconds: float) -> timedelta:
    return timedelta(microseconds=round(seconds * 1e6))
