"""A rule as text: the Python spelling, which `parse` reads back to a rule with the same fingerprint."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

from relmark.core.spans import Span
from relmark.core.time import duration_text
from relmark.expressions import nodes
from relmark.expressions.literals import LiteralValue
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection, Window

__all__ = ["duration_call", "expression_text", "literal_text", "selection_text"]

# Python's operator precedence, lowest first.
_OR, _AND, _NOT_OPERAND, _COMPARE, _ADD, _MULTIPLY, _UNARY, _ATOM = 1, 2, 5, 0, 3, 4, 5, 6


def expression_text(node: Expression) -> str:
    """Return the text of an expression."""
    return _text(node)[0]


def selection_text(selection: Selection) -> str:
    """Return the text of a selection of events."""
    types = [_quoted(name) for name in selection.types]
    where = [] if selection.where is None else [f"where={expression_text(selection.where)}"]
    return f"event{'.any' if selection.any_type else ''}({', '.join(types + where)})"


def duration_call(value: Span) -> str:
    """Return a span as a call: days(30), hours(36), minutes(90), duration("PT1.5S"), calendar_days(7) or months(3)."""
    if not isinstance(value, timedelta):
        return repr(value)
    micros = value // timedelta(microseconds=1)
    for name, size in (("days", 86_400_000_000), ("hours", 3_600_000_000), ("minutes", 60_000_000)):
        if micros % size == 0:
            return f"{name}({micros // size})"
    return f'duration("{duration_text(value)}")'


def literal_text(value: LiteralValue) -> str:
    """Return a plain value as text."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, datetime):
        return f'instant("{value.isoformat().replace("+00:00", "Z")}")'
    if isinstance(value, date):
        return f'date("{value.isoformat()}")'
    return repr(value)


def _text(node: Expression) -> tuple[str, int]:
    """Return the text of a node and its precedence."""
    match node:
        case nodes.Literal(value=value):
            text = literal_text(value)
            return text, _UNARY if text.startswith("-") else _ATOM
        case nodes.Compare(op=op, left=left, right=right):
            return f"{_in(left, _OR)} {nodes.COMPARISONS[op]} {_in(right, _OR)}", _COMPARE
        case nodes.And(args=args):
            return " & ".join(_in(arg, _AND + 1) for arg in args), _AND
        case nodes.Or(args=args):
            return " | ".join(_in(arg, _OR + 1) for arg in args), _OR
        case nodes.Not(arg=arg):
            return f"~{_in(arg, _NOT_OPERAND)}", _UNARY
        case nodes.Arithmetic(op=op, left=left, right=right):
            strength = _ADD if op in {"add", "sub"} else _MULTIPLY
            return f"{_in(left, strength)} {nodes.ARITHMETIC[op]} {_in(right, strength + 1)}", strength
    return _call(node), _ATOM


def _in(node: Expression, strength: int) -> str:
    text, own = _text(node)
    return text if own >= strength else f"({text})"


def _call(node: Expression) -> str:
    match node:
        case nodes.Field(name=name) | nodes.Prop(name=name) | nodes.SegmentRef(name=name):
            return f"{node.op}({_quoted(name)})"
        case nodes.Everyone():
            return "everyone"
        case nodes.Clock(op=op):
            return f"{op}()"
        case nodes.Ids(values=values):
            return f"ids({_list(values)})"
        case nodes.Sample(percent=percent, salt=salt):
            return f"sample({percent!r}, salt={_quoted(salt)})"
        case nodes.AtLeast(n=n, args=args):
            return f"at_least({', '.join([str(n), *(expression_text(arg) for arg in args)])})"
        case nodes.Sequence():
            return _sequence(node)
        case nodes.Stage(op=op, names=names, steps=steps, duration=within):
            pairs = ", ".join(f"{_quoted(name)}: {selection_text(one)}" for name, one in zip(names, steps, strict=True))
            limit = "" if within is None else f", within={duration_call(within)}"
            return (
                f"stage({{{pairs}}}{limit})" + {"stage": "", "stage_entered": ".entered()", "stage_days": ".days()"}[op]
            )
        case nodes.NotFollowedBy(events=events, then=then, within=within, recent=recent):
            last = "" if recent is None else f", recent={duration_call(recent)}"
            inside = f"{selection_text(then)}, within={duration_call(within)}{last}"
            return f"{selection_text(events)}.not_followed_by({inside})"
        case nodes.Aggregate(op=op, events=events, of=of, window=window):
            first = [] if of is None else [_quoted(of)]
            return f"{selection_text(events)}.{op}({', '.join(first + _window(window))})"
        case nodes.LastEvent(events=events, where=where, window=window):
            inside = ", ".join([f"where={expression_text(where)}", *_window(window)])
            return f"{selection_text(events)}.last_event({inside})"
        case nodes.Regularly(events=events, min_periods=least, of=of, period=period):
            unit = _quoted(period) if isinstance(period, str) else duration_call(period)
            return f"{selection_text(events)}.regularly({least}, of={of}, period={unit})"
    return _method(node)


def _method(node: Expression) -> str:
    """Return a test or figure of one value, written as a method call."""
    match node:
        case nodes.Fill(arg=arg, value=value):
            return f"{_in(arg, _ATOM)}.fill({literal_text(value.value)})"
        case nodes.Age(arg=arg) | nodes.IsNull(arg=arg) | nodes.IsEmpty(arg=arg):
            return f"{_in(arg, _ATOM)}.{node.op}()"
        case nodes.Between(arg=arg, low=low, high=high):
            return f"{_in(arg, _ATOM)}.between({literal_text(low.value)}, {literal_text(high.value)})"
        case nodes.IsIn(arg=arg, values=values):
            return f"{_in(arg, _ATOM)}.is_in({_list(values)})"
        case nodes.Matches(op=op, arg=arg, values=values, casefold=casefold):
            single = op in {"contains", "startswith", "endswith", "like"}
            given = _quoted(values[0]) if single else _list(values)
            return f"{_in(arg, _ATOM)}.{op}({given}{', casefold=True' if casefold else ''})"
        case nodes.DateWindow(op=op, arg=arg, duration=duration):
            called = {"anniversary": "anniversary(upcoming=", "past_anniversary": "anniversary(past="}.get(op, f"{op}(")
            return f"{_in(arg, _ATOM)}.{called}{duration_call(duration)})"
        case nodes.InPeriod(arg=arg, unit=unit, offset=offset, yearly=yearly):
            rest = (f", {offset}" if offset else "") + (", yearly=True" if yearly else "")
            return f"{_in(arg, _ATOM)}.in_period({_quoted(unit)}{rest})"
    raise AssertionError(f"{type(node).__name__} has no text form")


def _sequence(node: nodes.Sequence) -> str:
    parts = [f"[{', '.join(selection_text(step) for step in node.steps)}]"]
    if node.within is not None:
        parts.append(f"within={duration_call(node.within)}")
    if node.strict:
        parts.append("strict=True")
    if node.exclude:
        parts.append(f"exclude=[{', '.join(selection_text(item) for item in node.exclude)}]")
    parts += [f"{name}={duration_call(v)}" for name in ("apart", "recent") if (v := getattr(node, name)) is not None]
    if node.same is not None:
        parts.append(f"same={_quoted(node.same)}")
    return f"sequence({', '.join(parts)})"


def _window(window: Window) -> list[str]:
    parts = [
        f"{name}={duration_call(value)}" for name in ("within", "ago") if (value := getattr(window, name)) is not None
    ]
    parts += [f"{name}={literal_text(v)}" for name in ("since", "until") if (v := getattr(window, name)) is not None]
    return parts if window.during is None else [*parts, f"during={window.during!r}"]


def _list(values: tuple[LiteralValue, ...]) -> str:
    return f"[{', '.join(literal_text(value) for value in values)}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
