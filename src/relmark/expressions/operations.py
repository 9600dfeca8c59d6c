"""Every operator of the stored form: its keys, how each of them is read, and the function that builds its node."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from relmark.core.errors import InputError
from relmark.expressions import builders, nodes
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Window

__all__ = ["OPERATIONS", "Operation"]

_WINDOW = ("within", "ago", "since", "until", "during")


class Operation(NamedTuple):
    """How one ``op`` is read: its builder, and how each of its keys is read."""

    build: Callable[..., Expression]
    required: dict[str, str]
    optional: dict[str, str]


def _window(arguments: dict[str, Any]) -> dict[str, Any]:
    bounds = {name: arguments.pop(name, None) for name in _WINDOW}
    return {**arguments, "window": Window(**bounds)}


def _operations() -> dict[str, Operation]:
    span = {"within": "span", "ago": "span", "since": "moment", "until": "moment", "during": "during"}
    table = {
        "field": Operation(nodes.Field, {"name": "name"}, {}),
        "prop": Operation(nodes.Prop, {"name": "name"}, {}),
        "segment": Operation(nodes.SegmentRef, {"name": "name"}, {}),
        "everyone": Operation(lambda: builders.everyone, {}, {}),
        "ids": Operation(builders.ids, {"values": "ids"}, {}),
        "sample": Operation(builders.sample, {"percent": "number", "salt": "name"}, {}),
        "fill": Operation(lambda arg, value: arg.fill(value), {"arg": "expression", "value": "literal"}, {}),
        "age": Operation(nodes.Age, {"arg": "expression"}, {}),
        "between": Operation(
            lambda arg, low, high: arg.between(low, high),
            {"arg": "expression", "low": "literal", "high": "literal"},
            {},
        ),
        "in": Operation(lambda arg, values: arg.is_in(values), {"arg": "expression", "values": "values"}, {}),
        "not_in": Operation(lambda arg, values: arg.not_in(values), {"arg": "expression", "values": "values"}, {}),
        "is_null": Operation(nodes.IsNull, {"arg": "expression"}, {}),
        "is_empty": Operation(nodes.IsEmpty, {"arg": "expression"}, {}),
        "not_null": Operation(lambda arg: arg.not_null(), {"arg": "expression"}, {}),
        "in_period": Operation(
            nodes.InPeriod, {"arg": "expression", "unit": "name"}, {"offset": "whole", "yearly": "flag"}
        ),
        "regularly": Operation(
            nodes.Regularly,
            {"events": "selection", "min_periods": "whole", "of": "whole", "period": "period"},
            {},
        ),
        "last_event": Operation(
            lambda **a: a["events"].last_event(a["where"]) if len(a) == 2 else nodes.LastEvent(**_window(a)),
            {"events": "selection", "where": "expression"},
            span,
        ),
        "sequence": Operation(
            builders.sequence,
            {"steps": "selections"},
            {
                "within": "duration",
                "strict": "flag",
                "exclude": "selections",
                "apart": "duration",
                "recent": "span",
                "same": "name",
            },
        ),
        "not_followed_by": Operation(
            nodes.NotFollowedBy,
            {"events": "selection", "then": "selection", "within": "duration"},
            {"recent": "duration"},
        ),
        "not": Operation(nodes.Not, {"arg": "expression"}, {}),
        "and": Operation(lambda args: builders.all_of(*args), {"args": "expressions"}, {}),
        "or": Operation(lambda args: builders.any_of(*args), {"args": "expressions"}, {}),
        "at_least": Operation(lambda n, args: builders.at_least(n, *args), {"n": "whole", "args": "expressions"}, {}),
    }
    for op in nodes.STAGES:
        table[op] = Operation(_staged(op), {"names": "names", "steps": "selections"}, {"duration": "duration"})
    for op in nodes.CLOCKS:
        table[op] = Operation(partial(nodes.Clock, op), {}, {})
    for op in nodes.COMPARISONS:
        table[op] = Operation(_two(nodes.Compare, op), {"left": "operand", "right": "operand"}, {})
    for op in nodes.ARITHMETIC:
        table[op] = Operation(_two(nodes.Arithmetic, op), {"left": "operand", "right": "operand"}, {})
    for op in nodes.MATCHES:
        table[op] = Operation(_matcher(op), {"arg": "expression", "values": "values"}, {"casefold": "flag"})
    for op in nodes.DATE_WINDOWS:
        table.setdefault(op, Operation(_dated(op), {"arg": "expression", "duration": "duration"}, {}))
    for op in nodes.AGGREGATES:
        plain = op in {"count", "exists", "active_days", "days_since_first", "days_since_last"}
        named = op in {"count_distinct", "most_frequent"}
        of = {"of": "name"}
        required = {"events": "selection", **(of if named else {})}
        table[op] = Operation(_aggregate(op, plain), required, span if plain or named else {**of, **span})
    return table


def _two(kind: type[nodes.Compare | nodes.Arithmetic], op: str) -> Callable[..., Expression]:
    return lambda left, right: kind(op, left, right)


def _matcher(op: str) -> Callable[..., Expression]:
    def build(arg: Expression, values: list[str], casefold: bool = False) -> Expression:
        if op in {"contains", "startswith", "endswith", "like"} and len(values) != 1:
            raise InputError(
                f"{op} has {len(values)} values: exactly one is needed.", argument="args", code="wrong_length"
            )
        return arg._matches(op, values, casefold)  # noqa: SLF001

    return build


def _staged(op: str) -> Callable[..., Expression]:
    return lambda names, steps, duration=None: nodes.Stage(op, tuple(names), tuple(steps), duration)


def _dated(op: str) -> Callable[..., Expression]:
    return lambda arg, duration: nodes.DateWindow(op, arg, duration)


def _aggregate(op: str, plain: bool) -> Callable[..., Expression]:
    return lambda **a: nodes.Aggregate(**{"op": op, "of": None if plain else "value", **_window(a)})


OPERATIONS = _operations()
"""Every ``op`` of the stored form, with its builder and its keys."""
