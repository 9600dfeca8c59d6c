"""Values and tests of one person or one event as closures: fields, comparisons, sets, text, dates, arithmetic.

Each function takes a node and the closures of its parts and returns ``call(who, at) -> value``, where `who` is a
`Person` (or an event, inside a `where`) and `at` is an instant in microseconds. What can be determined once, such as
the kind of a literal, is determined here and not at every call.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from datetime import date
from typing import Any

from relmark.core.errors import InputError
from relmark.core.time import DAY, HOUR, instant
from relmark.expressions import nodes
from relmark.expressions.lengths import length
from relmark.expressions.literals import LiteralValue, literal_kind
from relmark.expressions.operators import Expression
from relmark.expressions.scalar_calendar import (
    Zone,
    completed_years,
    days_since_anniversary,
    days_to_anniversary,
    period_number,
    returns_in_period,
)
from relmark.expressions.scalar_person import Moment, Value, kind_of, plain_value
from relmark.expressions.tags import Tags
from relmark.expressions.text_tests import text_test

__all__ = [
    "Call",
    "age",
    "arithmetic",
    "between",
    "clock",
    "compare",
    "date_window",
    "field",
    "fill",
    "in_period",
    "is_empty",
    "is_in",
    "is_null",
    "literal",
    "matches",
    "plain_literal",
    "prop",
]

Call = Callable[[Any, int], Any]
_EPOCH_DAY = 719_163
_EXACT = 2**53
_NUMBERS = {float, int}
_TIMES = {date, Moment}
_TESTS: dict[str, Callable[[Any, Any], bool]] = {name: getattr(operator, name) for name in nodes.COMPARISONS}
_SUMS: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


def plain_literal(value: LiteralValue) -> Any:
    """Return a plain value of a rule in the form that closures use."""
    kind = literal_kind(value)
    if kind == "number":
        return float(value) if abs(value) <= _EXACT else value  # type: ignore[arg-type]
    return Moment(instant(value)) if kind == "instant" else value  # type: ignore[arg-type]


def _alike(kind: type | None) -> frozenset[Any]:
    """Return the types of the values that can be compared with a value of a type."""
    return frozenset(_NUMBERS) if kind in _NUMBERS else frozenset({kind})


def _refuse(node: Expression, value: Any, needed: str) -> InputError:
    """Return the error for a value of a wrong kind."""
    return InputError(
        f"{node!r} was given {value!r}, a value of kind {kind_of(value)!r}: {needed} is needed.",
        argument="rule",
        code="wrong_type",
    )


# Values


def field(node: nodes.Field) -> Call:
    """Return the field of a person."""
    name, label = node.name, f"field {node.name!r}"

    def call(who: Any, _: int) -> Value:
        value = who.attributes.get(name)
        return value if value.__class__ is str else plain_value(label, value)

    return call


def prop(node: nodes.Prop) -> Call:
    """Return the property of an event."""
    name, label = node.name, f"property {node.name!r}"
    if name == "type":
        return lambda who, _: who.type
    if name == "value":
        return lambda who, _: None if who.value is None else float(who.value)

    def call(who: Any, _: int) -> Value:
        value = who.properties.get(name)
        return value if value.__class__ is str else plain_value(label, value)

    return call


def clock(op: str, zone: Zone) -> Call:
    """Return the local hour or weekday at the instant of evaluation, which for an event is its time."""
    if op == "hour_of_day":
        return lambda _, at: float(zone.wall(at) // HOUR % 24)
    return lambda _, at: float((zone.day(at) + 3) % 7 + 1)


def literal(node: nodes.Literal) -> Call:
    """Return a plain value."""
    value = plain_literal(node.value)
    return lambda _, __: value


def fill(node: nodes.Fill, arg: Call) -> Call:
    """Return a value, or a plain value if it is unknown."""
    instead = plain_literal(node.value.value)
    kinds: frozenset[Any] = _alike(instead.__class__)

    def call(who: Any, at: int) -> Value:
        value = arg(who, at)
        if value is None:
            return instead  # type: ignore[no-any-return]
        if value.__class__ not in kinds:
            raise _refuse(node, value, f"a value of kind {kind_of(instead)!r}")
        return value  # type: ignore[no-any-return]

    return call


def arithmetic(node: nodes.Arithmetic, left: Call, right: Call) -> Call:
    """Return ``left op right``; None if one side is unknown, the divisor is 0, or the result is infinite."""
    combine = _SUMS[node.op]

    def call(who: Any, at: int) -> float | None:
        a = left(who, at)
        b = right(who, at)
        if a is None or b is None:
            return None
        if a.__class__ is not float or b.__class__ is not float:
            if not {a.__class__, b.__class__} <= _NUMBERS:
                raise _refuse(node, b if a.__class__ in _NUMBERS else a, "a number")
            a, b = float(a), float(b)
        try:
            result = combine(a, b)
        except ZeroDivisionError:
            return None
        return result if math.isfinite(result) else None

    return call


def age(node: nodes.Age, arg: Call, zone: Zone) -> Call:
    """Return the completed years since a date."""

    def call(who: Any, at: int) -> float | None:
        value = arg(who, at)
        return None if value is None else float(completed_years(local_day(node, value, zone), zone.day(at)))

    return call


def _day(value: date) -> int:
    return value.toordinal() - _EPOCH_DAY


def local_day(node: Expression, value: Any, zone: Zone) -> int:
    """Return the local calendar day of a date or an instant."""
    if value.__class__ is date:
        return _day(value)
    if value.__class__ is Moment:
        return zone.day(value)
    raise _refuse(node, value, "a date or an instant")


def moment_of(node: Expression, value: Any, zone: Zone) -> int:
    """Return an instant, or the local midnight of a date."""
    if value.__class__ is Moment:
        return int(value)
    if value.__class__ is date:
        return zone.midnight(_day(value))
    raise _refuse(node, value, "a date or an instant")


# Tests


def compare(node: nodes.Compare, left: Call, right: Call, zone: Zone) -> Call:
    """Return ``left op right``."""
    if isinstance(node.right, nodes.Literal):
        return _against(node, left, node.op, node.right.value, zone)
    test = _TESTS[node.op]

    def call(who: Any, at: int) -> bool | None:
        a = left(who, at)
        b = right(who, at)
        if a is None or b is None:
            return None
        if a.__class__ is not b.__class__:
            kinds = {a.__class__, b.__class__}
            if kinds == _TIMES:
                a, b = moment_of(node, a, zone), moment_of(node, b, zone)
            elif kinds != _NUMBERS:
                raise _refuse(node, b, f"a value of kind {kind_of(a)!r}")
        elif a.__class__ is Tags or (a.__class__ is bool and node.op not in {"eq", "ne"}):
            raise _refuse(node, a, "a kind that can be compared")
        return test(a, b)

    return call


def _against(node: Expression, left: Call, op: str, value: LiteralValue, zone: Zone) -> Call:
    """Return a comparison with a plain value."""
    test, bound = _TESTS[op], plain_literal(value)
    kind = bound.__class__
    if kind is bool and op not in {"eq", "ne"}:
        raise InputError(f"{node!r}: booleans can only be compared with == and !=.", argument="rule", code="wrong_type")

    kinds = _alike(kind)

    def call(who: Any, at: int) -> bool | None:
        a = left(who, at)
        if a is None:
            return None
        if a.__class__ not in kinds:
            raise _refuse(node, a, f"a value of kind {kind_of(bound)!r}")
        return test(a, bound)

    if kind is not date and kind is not Moment:
        return call
    edge = Moment(zone.midnight(_day(bound))) if kind is date else bound

    def dated(who: Any, at: int) -> bool | None:
        a = left(who, at)
        if a is None:
            return None
        return test(a, bound) if a.__class__ is kind else test(moment_of(node, a, zone), edge)

    return dated


def between(node: nodes.Between, arg: Call, zone: Zone) -> Call:
    """Return ``low <= arg <= high``."""
    above = _against(node, arg, "ge", node.low.value, zone)
    below = _against(node, arg, "le", node.high.value, zone)

    def call(who: Any, at: int) -> bool | None:
        enough: bool | None = above(who, at)
        if not enough:
            return enough
        under: bool | None = below(who, at)
        return under

    return call


def is_in(node: nodes.IsIn, arg: Call, zone: Zone) -> Call:
    """Return whether a value is one of several."""
    plain: list[Any] = [plain_literal(value) for value in node.values]
    values = frozenset(plain)
    moments = frozenset(
        int(value) if value.__class__ is Moment else zone.midnight(_day(value))  # type: ignore[arg-type]
        for value in plain
        if value.__class__ in _TIMES
    )
    kind = plain[0].__class__ if plain else None
    kinds = _alike(kind)

    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        if value is None:
            return None
        if value.__class__ in kinds:
            return value in values
        if kind is None and value.__class__ is not Tags:
            return False
        if not moments:
            needed = "that can be compared" if kind is None else f"of kind {kind_of(plain[0])!r}"
            raise _refuse(node, value, f"a value {needed}")
        return moment_of(node, value, zone) in moments

    return call


def is_null(arg: Call) -> Call:
    """Return whether a value is unknown."""
    return lambda who, at: arg(who, at) is None


def is_empty(node: nodes.IsEmpty, arg: Call) -> Call:
    """Return whether a set of tags has no members, or a text has no characters."""

    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        if value is None:
            return None
        if value.__class__ is not str and value.__class__ is not Tags:
            raise _refuse(node, value, "a text or a set of tags")
        return not value

    return call


def matches(node: nodes.Matches, arg: Call) -> Call:
    """Return the test of a text or of a set of tags."""
    on_text = text_test(node.op, node.values, casefold=node.casefold)
    fold = node.casefold
    wanted = frozenset(value.casefold() for value in node.values) if fold else frozenset(node.values)

    def on_tags(tags: frozenset[str]) -> bool:
        held = frozenset(tag.casefold() for tag in tags) if fold else tags
        if node.op == "contains_all":
            return wanted <= held
        return wanted.isdisjoint(held) == (node.op == "contains_none")

    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        if value is None:
            return None
        if value.__class__ is str:
            return on_text(value)
        if value.__class__ is not Tags or node.op in {"startswith", "endswith", "like", "has_word"}:
            raise _refuse(node, value, "a text or a set of tags" if node.op.startswith("contains") else "a text")
        return on_tags(value)

    return call


def date_window(node: nodes.DateWindow, arg: Call, zone: Zone) -> Call:
    """Return the test of a date or an instant, compared with the instant of evaluation."""
    size, op = length(node.duration), node.op
    whole_days = size // DAY

    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        if value is None:
            return None
        if op == "anniversary":
            return days_to_anniversary(local_day(node, value, zone), zone.day(at)) < whole_days
        if op == "past_anniversary":
            return days_since_anniversary(local_day(node, value, zone), zone.day(at)) < whole_days
        if op == "upcoming" and value.__class__ is date:
            return 0 <= (_day(value) - zone.day(at)) < whole_days
        when = moment_of(node, value, zone)
        if op == "upcoming":
            return at < when <= at + size
        before = zone.before(at, node.duration)
        return before < when <= at if op == "within" else when <= before

    return call


def in_period(node: nodes.InPeriod, arg: Call, zone: Zone) -> Call:
    """Return whether a date or an instant lies in a calendar period."""
    unit, offset, yearly = node.unit, node.offset, node.yearly

    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        if value is None:
            return None
        if yearly:
            return returns_in_period(local_day(node, value, zone), period_number(zone.day(at), unit) + offset, unit)
        return period_number(local_day(node, value, zone), unit) == period_number(zone.day(at), unit) + offset

    return call
