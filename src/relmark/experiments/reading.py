"""From raw events to one row per person: outcomes in the window after the start, and the same before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.base import CustomerBase
from relmark.core.errors import InputError
from relmark.core.log import EventLog
from relmark.core.time import duration, instant, instant_text, instants
from relmark.experiments.metrics import Metric, Proportion, Ratio
from relmark.experiments.validity import Check

__all__ = ["Starts", "events_between", "measured_columns", "segment_labels", "starts_of", "window_check"]

IntArray = npt.NDArray[np.int64]

_NAT = np.iinfo(np.int64).min


class Starts(NamedTuple):
    """When each customer's campaign began, in microseconds; `known` is False for who never got that far."""

    time: IntArray
    known: npt.NDArray[np.bool_]


_LONGEST = 1 << 56  # microseconds, 2,283 years: beyond any log, and still a year that the calendar has


def span(name: str, value: timedelta) -> int:
    """Return a duration in microseconds, at most so long that instants with it are still dates."""
    return min(duration(name, value), _LONGEST)


def starts_of(base: CustomerBase, start: Any) -> Starts:
    """Return the start of each customer of a base: one instant for all, a column of them, or a mapping by id."""
    n = len(base.customer_id)
    if isinstance(start, Mapping):
        rows = base.find(list(start))
        if (rows < 0).any():
            who = list(start)[int(np.argmax(rows < 0))]
            raise InputError(f"start has customer {who!r}, whom the base does not have.")
        time = np.full(n, _NAT)
        time[rows] = instants("start", np.array(list(start.values()), dtype=object), tz=base.tz)
    elif isinstance(start, (list, tuple, np.ndarray)) and np.ndim(start):
        given = np.asarray(start, dtype=None if isinstance(start, np.ndarray) else object)
        days = given.dtype.kind == "M" and np.datetime_data(given.dtype)[0] in {"Y", "M", "W", "D"}
        time = instants("start", given, tz=base.tz if days or given.dtype == object else "UTC", missing=True)
        checks.same_length("start", time, n)
    else:
        time = np.full(n, base.instants(start))
    known = time != _NAT
    if not known.any():
        raise InputError("start is missing for everybody: nobody's campaign began.")
    # Who never began is measured from anywhere, and left out.
    return Starts(np.where(known, time, time[known].min()), known)


def events_between(base: CustomerBase, low: IntArray, high: IntArray) -> CustomerBase:
    """Return a base whose log has only each customer's events with low < time <= high, shape (n,) each."""
    log = base.events
    lows, highs = low[base.code_to_row], high[base.code_to_row]
    kept = {}
    if len(lows):
        for name in log.types:
            part = log.required(name)
            rows = part.window(int(lows.min()), int(highs.max()))
            code, time = part.code[rows], part.time[rows]
            at = np.flatnonzero((time > lows[code]) & (time <= highs[code])) + rows.start
            if len(at):
                kept[name] = part.take(at)
    return attrs.evolve(base, events=EventLog(customer_id=log.customer_id, partitions=kept))


def measured_columns(
    base: CustomerBase, starts: Starts, window: timedelta, metrics: Sequence[Metric], received: Any = None
) -> tuple[dict[str, npt.NDArray[Any]], tuple[Metric, ...]]:
    """Return the columns that metrics need, and the metrics with the covariates that `before` adds."""
    wide = span("window", window)
    outcomes: dict[str, Any] = {}
    earlier: dict[timedelta, dict[str, Any]] = {}
    columns: dict[str, npt.NDArray[Any]] = {}
    ready: list[Metric] = []
    for metric in metrics:
        pairs = _expressions(metric)
        outcomes |= pairs
        more = []
        if not isinstance(metric, Proportion):
            for name in metric.covariates:
                columns[name] = base.column(name).numbers()
            if metric.before is not None:
                more = [f"{name} before" for name in pairs]
                asked = earlier.setdefault(metric.before, {})
                asked |= dict(zip(more, pairs.values(), strict=True))
            metric = attrs.evolve(metric, covariates=(*metric.covariates, *more))  # noqa: PLW2901
        ready.append(metric)
    if received is not None:
        outcomes["received"] = received
    after = events_between(base, starts.time, starts.time + wide)
    columns |= _measured(after, outcomes, starts.time + wide)
    for before, expressions in earlier.items():
        past = events_between(base, starts.time - span("before", before), starts.time)
        columns |= _measured(past, expressions, starts.time)
    for name, values in columns.items():
        bad = ~np.isfinite(values) & starts.known
        checks.refuse_rows(
            name,
            bad,
            values,
            "a known figure is needed for everyone in the test",
            "Use .fill(0), or a Ratio for a mean per event; rows are those of base.customer_id.",
        )
    return columns, tuple(ready)


def _expressions(metric: Metric) -> dict[str, Any]:
    if metric.of is None:
        raise InputError(
            f"{metric.name} has no of=: say how it is read from events, such as of=event('purchase').sum()."
        )
    if isinstance(metric, Ratio):
        if not isinstance(metric.of, (tuple, list)) or len(metric.of) != 2:
            raise InputError(f"of= of {metric.name} is {checks.shown(metric.of)}: a pair of expressions is needed.")
        return {metric.numerator: metric.of[0], metric.denominator: metric.of[1]}
    return {metric.name: metric.of}


def _measured(base: CustomerBase, expressions: Mapping[str, Any], at: IntArray) -> dict[str, npt.NDArray[np.float64]]:
    if not expressions:
        return {}
    found = base.measure(expressions, as_of=at.view("M8[us]"))
    return {name: checks.numbers(name, _plain(name, found[name]), missing=True) for name in expressions}


def _plain(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return booleans with unknowns as numbers with NaN."""
    if values.dtype != object:
        if values.dtype.kind == "U":
            raise InputError(f"{name} is made of words: an outcome is a number or a yes or no.")
        return values
    return np.array([np.nan if value is None else float(value) for value in values])


def segment_labels(base: CustomerBase, starts: Starts, segments: Any) -> dict[str, npt.NDArray[Any]] | None:
    """Return labels of each customer at the start: segments and expressions become yes and no, arrays stay."""
    if segments is None:
        return None
    named = segments if isinstance(segments, Mapping) else {_segment_name(one): one for one in segments}
    at = starts.time.view("M8[us]")
    labels: dict[str, npt.NDArray[Any]] = {}
    for name, one in named.items():
        if hasattr(one, "evaluate"):
            labels[name] = np.where(one.evaluate(base, as_of=at).mask, "yes", "no")
        elif hasattr(one, "measure"):
            values = base.measure({name: one}, as_of=at)[name]
            if values.dtype.kind == "b":
                labels[name] = np.where(values, "yes", "no")
            else:
                words = {None: "unknown", True: "yes", False: "no"}
                labels[name] = np.array([words.get(value, str(value)) for value in values.tolist()])
        else:
            labels[name] = np.asarray(one)
            checks.same_length(name, labels[name], len(base.customer_id))
    return labels


def _segment_name(segment: Any) -> str:
    name = getattr(segment, "name", None)
    if not isinstance(name, str):
        raise InputError(
            f"segments has {checks.shown(segment)}, which has no name: give Segments, or a mapping of names to rules."
        )
    return name


def window_check(base: CustomerBase, starts: Starts, window: timedelta) -> Check:
    """Check that the log goes on to the end of everyone's window."""
    end = int(starts.time[starts.known].max()) + span("window", window)
    last = base.events.last_time
    seen = _NAT if last is None else instant(last)
    if seen >= end:
        return Check(name="window", passed=True, message="the log goes on to the end of every window")
    open_windows = int((starts.time[starts.known] + span("window", window) > seen).sum())
    ends = "has no events" if seen == _NAT else f"ends at {instant_text(seen)}"
    return Check(
        name="window",
        passed=False,
        statistic=float(open_windows),
        message=f"the log {ends}, and {open_windows:,} people's windows go on to {instant_text(end)} at the latest. "
        "Wait, or leave out who began too late",
    )
