"""What earns points (events, their values, and rules), and the tiers that a customer's points reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from relmark.core.as_of import AsOf
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, IntArray, number, one_of, shown, text
from relmark.core.errors import InputError
from relmark.core.spans import Span, check_span
from relmark.core.table import CustomerTable
from relmark.expressions import nodes
from relmark.expressions.evaluate import base_scope
from relmark.expressions.event_rows import EventRows
from relmark.expressions.kinds import check_on_data
from relmark.expressions.needs import Needs, needs_of, needs_of_events, properties_of
from relmark.expressions.operators import Expression
from relmark.expressions.periods import PERIODS
from relmark.expressions.selection import Selection, nodes_of
from relmark.expressions.walk import check_depth

__all__ = ["Accrual", "Earn", "PointsTiers"]

_LARGEST = 1e12


@attrs.frozen(kw_only=True)
class Accrual:
    """Points for events: a number per event or by its value, multiplied where a rule is true.

    Parameters
    ----------
    of : Selection
        The events, such as ``event("purchase", where=prop("value") > 0)``.
    points : float or Expression, optional
        The points of each event: a number, or an expression over its properties, such as ``prop("value") * 0.05``. By
        default, the points are the value of the event.
    bonus : sequence of (rule, factor)
        Each factor multiplies the points of events for which its rule is true. A rule is either about the event's
        properties, or about the customer's fields at the moment of the event, such as
        ``(field("birthday").anniversary(days(1)), 2)``.

    Examples
    --------
    >>> from relmark import event, prop
    >>> Accrual(of=event("purchase"), points=prop("quantity") * 5).needs().events
    {'purchase': ('quantity',)}
    """

    of: Selection
    points: float | Expression | None = None
    bonus: Sequence[tuple[Expression, float]] = ()

    def __attrs_post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.of, Selection):
            raise InputError(
                f"of is {shown(self.of)}; it must select events, such as event('purchase').",
                argument="of",
                code="wrong_type",
            )
        if isinstance(self.points, Expression):
            check_depth(self.points)
        elif self.points is not None:
            number("points", self.points, low=0.0, high=_LARGEST)
        if isinstance(self.bonus, (str, Mapping)) or not isinstance(self.bonus, Sequence):
            raise _bad_bonus(self.bonus)
        for one in self.bonus:
            pair: Any = one
            if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], Expression):
                raise _bad_bonus(one)
            rule, factor = one
            number("the factor of a bonus", factor, low=0.0, high=1e6)
            check_depth(rule)
            if any(isinstance(node, (nodes.Ids, nodes.Sample)) for node in nodes_of(rule)) or (
                needs_of(rule).fields if _is_of_events(rule) else needs_of(rule).events
            ):
                raise InputError(
                    f"bonus has {rule!r}; a rule must be about the event's properties only, or about the customer's "
                    "fields only.",
                    argument="bonus",
                    code="not_supported",
                )

    def needs(self) -> Needs:
        """Return the events, properties and fields that the points need, over all time, since balances add up."""
        asked = properties_of(self.points) if isinstance(self.points, Expression) else ()
        total = needs_of_events(self.of, None, asked)
        for rule, _ in self.bonus:
            of_rule = needs_of_events(self.of, None, properties_of(rule)) if _is_of_events(rule) else needs_of(rule)
            total = total + of_rule
        return total

    def thousandths(self, base: CustomerBase, customer: IntArray, time: IntArray, found: EventRows) -> IntArray:
        """Return the points of each event in whole thousandths, rounded half to even."""
        words = f"the points of {self.of!r}"
        value: FloatArray
        if isinstance(self.points, (int, float)):
            value = np.full(len(found), float(self.points))
        elif self.points is None:
            value = found.column("value").numbers()
        else:
            value = _numbers_of(found, self.points)
        _refuse(words, np.isnan(value), value, found, "each event needs a number of points")
        beyond = (value < 0) | (value > _LARGEST)
        _refuse(words, beyond, value, found, f"points must lie between 0 and {_LARGEST:g}; pass spent points in spend=")
        for rule, factor in self.bonus:
            value = np.where(_truth(rule, base, customer, time, found), value * factor, value)
        return np.rint(value * 1_000).astype(np.int64)


Earn: TypeAlias = Selection | Accrual | Sequence[Selection | Accrual]
"""What earns points: events by themselves, or rules for how many."""


@attrs.frozen
class PointsTiers:
    """Tiers by the points earned in a period: a customer has the highest tier whose bound they reach.

    Parameters
    ----------
    bounds : mapping of str to float
        The number of points from which each tier begins.
    within : timedelta, calendar_days or months, optional
        Count points earned in (as_of - within, as_of].
    period : {"day", "week", "month", "quarter", "year"}, optional
        Count points earned in the calendar period that contains `as_of`. Without `within` and `period`, all points ever
        earned count.
    """

    bounds: Mapping[str, float]
    within: Span | None = None
    period: str | None = None

    def __attrs_post_init__(self) -> None:
        """Check the arguments."""
        bounds: Any = self.bounds
        if not isinstance(bounds, Mapping) or not bounds:
            raise InputError(
                f"tiers is {shown(self.bounds)}; it must be a mapping of names to points, such as {{'gold': 5000}}.",
                argument="tiers",
                code="wrong_type",
            )
        for name, bound in self.bounds.items():
            number(f"tiers[{text('tiers', name)!r}]", bound, low=0.0, high=_LARGEST)
        if self.within is not None:
            check_span("within", self.within)
        if self.period is not None:
            one_of("period", self.period, PERIODS)
        if self.within is not None and self.period is not None:
            raise InputError(
                "within= and period= are both given: pass only one of them.",
                argument="period",
                code="conflicting_arguments",
            )

    @staticmethod
    def of(given: PointsTiers | Mapping[str, float] | None) -> PointsTiers | None:
        """Return tiers as `PointsTiers`, or None."""
        return given if given is None or isinstance(given, PointsTiers) else PointsTiers(given)

    def reached(self, thousandths: IntArray) -> tuple[np.ndarray[Any, np.dtype[np.object_]], FloatArray]:
        """Return the tier of each sum (None below all tiers) and the points missing to the next (NaN at the top)."""
        names = sorted(self.bounds, key=lambda name: (self.bounds[name], name))
        steps = np.rint(np.array([float(self.bounds[name]) for name in names]) * 1_000).astype(np.int64)
        place = np.searchsorted(steps, thousandths, side="right")
        labels = np.array([None, *names], dtype=object)
        following = np.append(steps, 0)[place] - thousandths
        return labels[place], np.where(place < len(names), following / 1_000, np.nan)


def accruals_of(name: str, given: Any) -> list[Accrual]:
    """Return a list of accruals, or raise an error."""
    listed = list(given) if isinstance(given, (list, tuple)) else [given]
    if not listed:
        raise InputError(f"{name} is empty: pass events, such as event('earn').", argument=name, code="empty")
    for one in listed:
        if not isinstance(one, (Selection, Accrual)):
            raise InputError(
                f"{name} is {shown(one)}; it must select events, such as event('earn') or "
                "Accrual(of=event('purchase'), points=1).",
                argument=name,
                code="wrong_type",
            )
    return [one if isinstance(one, Accrual) else Accrual(of=one) for one in listed]


def rows_of(found: EventRows) -> IntArray:
    """Return the row of each event in the data from which the log was made."""
    rows = np.concatenate([scope.part.row[scope.rows] for scope in found.scopes] or [np.empty(0, dtype=np.int64)])
    return (rows if found.order is None else rows[found.order]).astype(np.int64)


def _refuse(words: str, bad: BoolArray, value: FloatArray, found: EventRows, allowed: str) -> None:
    """Raise an error about the first bad row of the data."""
    if not bad.any():
        return
    rows = np.where(bad, rows_of(found), np.iinfo(np.int64).max)
    place = int(np.argmin(rows))
    more = int(np.count_nonzero(bad)) - 1
    others = f" (and {more:,} more rows)" if more else ""
    said = f"{words} are {shown(float(value[place]))} in row {int(rows[place])}{others}: {allowed}."
    if np.isnan(value[place]):
        raise InputError(said, argument="points", code="missing_value", row=int(rows[place]))
    raise InputError(said, argument="points", code="wrong_value", row=int(rows[place]))


def _bad_bonus(value: Any) -> InputError:
    return InputError(
        f"bonus has {shown(value)}; it must be a list of pairs of a rule and a factor, such as "
        "[(field('vip') == True, 2)].",
        argument="bonus",
        code="wrong_type",
    )


def _is_of_events(rule: Expression) -> bool:
    return any(isinstance(node, (nodes.Prop, nodes.Clock)) for node in nodes_of(rule))


def _numbers_of(found: EventRows, points: Expression) -> FloatArray:
    parts = [scope.column(points) for scope in found.scopes]
    for part in parts:
        if part.kind not in {"number", "boolean", "empty"}:
            raise InputError(
                f"points is {points!r}, of kind {part.kind!r}; it must be a number.",
                argument="points",
                code="wrong_type",
            )
    value = np.concatenate([part.numbers() for part in parts] or [np.empty(0)])
    return value if found.order is None else value[found.order]


def _truth(
    rule: Expression, base: CustomerBase, customer: IntArray, time: IntArray, found: EventRows
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return for which events a rule is true: about their properties, or about their customers at that moment."""
    if not len(found):
        return np.zeros(0, dtype=np.bool_)
    if _is_of_events(rule):
        return np.asarray(found.truth(rule).true)
    check_on_data(rule, base, rule=True, segments=())
    copies = CustomerBase(  # one row per event, so that each is evaluated at its own moment
        customers=CustomerTable(
            np.arange(len(customer)), {name: base.column(name).take(customer) for name in base.fields}
        ),
        tz=base.tz, zone=base.zone,
    )  # fmt: skip
    at = AsOf(time, np.zeros(len(time), dtype=np.bool_), base.tz)
    return np.asarray(base_scope(copies, at).truth(rule).true)
