"""Kernels of bulk scoring: the points of every rule for every customer, as whole thousandths.

Only the events in a rule's window are read. Points are added by one bincount per rule as whole numbers, whose sums
below 2**53 are exact in float64, whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.checks import FloatArray, IntArray
from relmark.core.columns import Column
from relmark.core.errors import InputError
from relmark.core.ordering import stable_order
from relmark.core.time import DAY, local_days
from relmark.expressions import Selection, Window
from relmark.expressions.aggregates import ranked
from relmark.expressions.calendar_tests import period_number
from relmark.expressions.column_tests import compare
from relmark.expressions.evaluate import BaseScope
from relmark.expressions.event_rows import EventRows, chosen_events, window_bounds
from relmark.expressions.lengths import length
from relmark.expressions.scope import Scope, spread
from relmark.scoring.decay import Decay
from relmark.scoring.points import MOST, ByValue, Tiers
from relmark.scoring.rules import Rule

_BLOCK = 1 << 15
_EXACT = 2.0**53


def thousandths(points: float) -> float:
    """Return points as a whole number of thousandths, half to even."""
    return float(round(points * 1000.0))


def rule_thousandths(rule: Rule, scope: BaseScope) -> FloatArray:
    """Return the points of a rule for each customer of the base, after its caps, shape (n,)."""
    found = _when(rule, scope) if rule.each is None else _each(rule, scope)
    if rule.limit is not None:
        np.minimum(found, thousandths(rule.limit), out=found)
    if rule.floor is not None:
        np.maximum(found, thousandths(rule.floor), out=found)
    return found


def _when(rule: Rule, scope: BaseScope) -> FloatArray:
    assert rule.when is not None
    true = scope.truth(rule.when).true
    points = _points(rule, scope)
    return np.where(true, np.rint(points * 1000.0), 0.0)


def _points(rule: Rule, scope: Scope) -> float | FloatArray:
    """Return the points of each row before decay: one number for all or one per row; 0 if the source is unknown."""
    points, source = rule.points, rule.source
    if isinstance(points, float):
        return points
    assert source is not None
    column = scope.column(source)
    if isinstance(points, ByValue):
        out = np.full(scope.n, points.otherwise)
        if column.kind != "empty":
            for value, worth in points.table:
                out[compare("eq", column, value, scope.tz).true] = worth
        return out
    given = _numbers(column, scope.n)
    if isinstance(points, Tiers):
        return _tier_points(points, given)
    _refuse_giants(rule, given)
    return np.where(np.isnan(given), 0.0, given)


def _numbers(column: Column, n: int) -> FloatArray:
    return np.full(n, np.nan) if column.kind == "empty" else column.numbers()


def _tier_points(tiers: Tiers, value: FloatArray) -> FloatArray:
    lows = np.array([low for low, _ in tiers.steps])
    worth = np.array([0.0, *(points for _, points in tiers.steps)])
    place = np.searchsorted(lows, value, side="right")
    place[np.isnan(value)] = 0
    return worth[place]


def _refuse_giants(rule: Rule, value: FloatArray) -> None:
    if len(value) and (giant := np.abs(value) > MOST).any():
        raise InputError(
            f"rule {rule.name!r} gives {value[int(np.argmax(giant))]:g} points at once: at most {MOST:,.0f} are "
            "allowed.",
            argument="points",
            code="too_large",
            hint="Lower the factor in its points.",
        )


def _each(rule: Rule, scope: BaseScope) -> FloatArray:
    k = scope.k
    sums = np.zeros(k)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    counted = isinstance(rule.points, Tiers)
    plain = isinstance(rule.points, float) and rule.decay is None and not rule.cap_per
    for codes, times, points in _happened(rule, scope, counted=counted or plain):
        if counted or plain:
            sums += np.bincount(codes, minlength=k)
            continue
        given = _faded(points, rule.decay, codes, times, scope.seen_as_of)
        if rule.cap_per is None:
            sums += whole_sums(codes, given, k)
        else:
            parts.append((period_numbers(rule.cap_per, times, scope.tz), codes.astype(np.int64), given))
    if isinstance(rule.points, Tiers):
        sums = np.rint(_tier_points(rule.points, sums) * 1000.0)
    elif plain and isinstance(rule.points, float):
        sums *= thousandths(rule.points)
    elif parts:
        assert rule.cap is not None
        period, code, given = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        sums = _capped_by_period(period, code, given, thousandths(rule.cap), k)
    return np.array(spread(sums, scope.rows, scope.n, 0.0))


def _happened(rule: Rule, scope: BaseScope, *, counted: bool) -> Iterator[tuple[Any, IntArray, float | FloatArray]]:
    """Yield the customers, times and points before decay of a rule's events; 0 points if they are only counted."""
    assert rule.each is not None
    log = scope.base.events
    bounds = window_bounds(Window(within=rule.expires), scope.seen_as_of)
    if rule.once_per is not None:
        rows = chosen_events(log, rule.each, bounds, scope.tz)
        if len(rows):
            yield _newest(rule, rows, counted=counted)
        return
    for name in rule.each.names(log.types):
        # One event type at a time: the order between types does not matter here, and merging them would cost a sort.
        rows = chosen_events(log, Selection((name,), rule.each.where), bounds, scope.tz)
        if len(rows):
            yield rows.codes, rows.times, 0.0 if counted else _points(rule, rows.scopes[0])


def _newest(rule: Rule, rows: EventRows, *, counted: bool) -> tuple[Any, IntArray, float | FloatArray]:
    """Return the events that give points if only the newest event for each value of a property does."""
    assert rule.once_per is not None
    points: float | FloatArray = 0.0
    if not counted:
        given = [np.broadcast_to(_points(rule, one), (one.n,)) for one in rows.scopes]
        points = np.concatenate(given) if rows.order is None else np.concatenate(given)[rows.order]
    column = rows.column(rule.once_per)
    missing = column.missing
    known = np.flatnonzero(~missing)
    if len(known) == 0:
        return rows.codes, rows.times, points
    ranks = ranked(column.take(known))[0]
    keys = [ranks, rows.codes[known]]
    order = np.lexsort([*([] if isinstance(points, float) else [points[known]]), rows.times[known], *keys])
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = (ranks[order][1:] != ranks[order][:-1]) | (keys[1][order][1:] != keys[1][order][:-1])
    kept = np.sort(np.concatenate([known[order[last]], np.flatnonzero(missing)]))
    return rows.codes[kept], rows.times[kept], points if isinstance(points, float) else points[kept]


def _faded(points: float | FloatArray, decay: Decay | None, codes: Any, times: IntArray, as_of: AsOf) -> FloatArray:
    """Return each event's points after decay in thousandths, half to even; up to a date, age is by the wall clock."""
    out = np.empty(len(times))
    one = None if isinstance(points, np.ndarray) else points * 1000.0
    for low in range(0, len(times), _BLOCK):
        block = slice(low, low + _BLOCK)
        whole: Any = points[block] * 1000.0 if isinstance(points, np.ndarray) else one
        if decay is not None:
            whole = whole * decay.factors(as_of.take(codes[block]).ages(times[block], inclusive=True))
        out[block] = np.rint(whole)
    return out


def whole_sums(codes: npt.NDArray[np.integer], values: FloatArray, k: int) -> FloatArray:
    """Return each customer's sum of whole numbers; exact below 2**53."""
    largest = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if largest * len(values) < _EXACT:
        return np.asarray(np.bincount(codes, weights=values, minlength=k), dtype=np.float64)
    sums = np.zeros(k, dtype=np.int64)
    np.add.at(sums, codes, values.astype(np.int64))
    return sums.astype(np.float64)


def period_numbers(period: timedelta | str, times: IntArray, tz: str) -> IntArray:
    """Return the number of the period in which each instant lies."""
    if isinstance(period, str):
        return period_number(local_days(times, tz), period)
    size = length(period)
    if size % DAY == 0:
        return np.floor_divide(local_days(times, tz), size // DAY)
    return np.floor_divide(times, size)


def _capped_by_period(period: IntArray, code: IntArray, given: FloatArray, cap: float, k: int) -> FloatArray:
    """Return each customer's sum over periods, with at most the cap from each period."""
    first = int(period.min())
    if (int(period.max()) - first).bit_length() + k.bit_length() > 62:  # the pair would not fit an int64
        period, first = np.unique(period, return_inverse=True)[1], 0
    keys = (period - first) * k + code
    order = stable_order(keys)
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    sums = np.minimum(np.add.reduceat(given[order], starts), cap)
    return whole_sums(keys[starts] % k, sums, k)
