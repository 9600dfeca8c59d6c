"""The stored form of a rule: JSON-ready objects with an ``op``; when it is read, all problems are reported at once.

A plain value is written as it is, a date as ``{"date": "2026-11-01"}``, an instant as ``{"instant":
"2026-11-01T00:00:00Z"}``, a duration as ISO 8601, a selection of events as ``{"types": [...], "where": ...}`` or
``{"types": "any"}``. Keys with default values are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from relmark.core.checks import shown
from relmark.core.documents import Limits, check_nodes
from relmark.core.errors import DefinitionError, InputError, LimitError
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.spans import CalendarSpan, Span, parse_span, span_body
from relmark.core.time import instant, parse_duration
from relmark.expressions import nodes
from relmark.expressions.literals import LiteralValue, literal_kind, literal_value, moment_value
from relmark.expressions.operations import OPERATIONS, Operation
from relmark.expressions.operators import Expression
from relmark.expressions.periods import Period
from relmark.expressions.selection import Selection, Window
from relmark.expressions.unread import Unread

__all__ = ["read", "read_all", "read_parts", "read_selection", "written"]

_WINDOW = ("within", "ago", "since", "until", "during")


# Writing


def written(value: Any) -> Any:
    """Return the JSON-ready form of an expression, a selection, a bound of a window or a plain value."""
    if isinstance(value, nodes.Literal):
        return written(value.value)
    if isinstance(value, Expression):
        body: dict[str, Any] = {"op": value.op}  # type: ignore[attr-defined]
        for attribute in attrs.fields(type(value)):  # type: ignore[arg-type]
            item = getattr(value, attribute.name)
            if isinstance(item, Window):
                body |= {name: written(bound) for name in _WINDOW if (bound := getattr(item, name)) is not None}
            elif attribute.name != "op" and not _is_default(attribute, item):
                body[attribute.name] = written(item)
        return body
    if isinstance(value, Selection):
        where = {} if value.where is None else {"where": written(value.where)}
        return {"types": "any" if value.any_type else list(value.types), **where}
    if isinstance(value, tuple):
        return [written(item) for item in value]
    if isinstance(value, (timedelta, CalendarSpan)):
        return span_body(value)
    if isinstance(value, Period):
        body = {"unit": value.unit, "offset": value.offset, "count": value.count}
        return {name: item for name, item in body.items() if (name, item) not in {("offset", 0), ("count", 1)}}
    if isinstance(value, datetime):
        return {"instant": value.isoformat().replace("+00:00", "Z")}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return value


def _is_default(attribute: attrs.Attribute[Any], value: Any) -> bool:
    return attribute.default is not attrs.NOTHING and value == attribute.default


# Reading


def read(body: Any, limits: Limits | None = None, path: str = "$") -> Expression:
    """Return the expression of a JSON-ready body, or raise the first problem."""
    limits = limits or Limits()
    check_nodes(body, limits)
    expression, problems = read_all(body, limits, path)
    if expression is None:
        first = problems[0]
        if first.code in _LIMIT_CODES:
            raise LimitError(first.message, path=first.path, code=first.code, hint=first.hint)
        raise first.error()
    return expression


def read_selection(body: Any, limits: Limits, path: str) -> Selection:
    """Read a selection of events that is stored alone, in the same form as inside a figure."""
    # The reader of expressions reads selections inside nodes, so put it into one, and correct the path of problems.
    try:
        node: Any = read({"op": "exists", "events": body}, limits, path)
    except DefinitionError as error:
        where = error.path.replace(f"{path}.events", path, 1)
        raise type(error)(error.message, path=where, code=error.code, hint=error.hint) from None
    selection: Selection = node.events
    return selection


def read_all(body: Any, limits: Limits, path: str = "$") -> tuple[Expression | None, tuple[Problem, ...]]:
    """Return the expression of a body whose size was checked, or None and every problem."""
    expression, problems = read_parts(body, limits, path)
    return (None, problems) if problems else (expression, ())


def read_parts(body: Any, limits: Limits, path: str = "$") -> tuple[Expression | None, tuple[Problem, ...]]:
    """Return the expression with `Unread` for the parts that could not be read, and every problem."""
    reader = _Reader(limits)
    try:
        expression = reader.expression(body, path)
    except RecursionError:
        return None, (Problem(path, "too_deep", "the rule is nested too deep.", "Flatten it."),)
    return expression, tuple(reader.problems)


_SPELLED = {
    "!": "not", "!=": "ne", "&": "and", "&&": "and", "<": "lt", "<=": "le", "=": "eq", "==": "eq", ">": "gt",
    ">=": "ge", "after": "gt", "all": "and", "all_of": "and", "any": "or", "any_of": "or", "avg": "mean",
    "average": "mean", "before": "lt", "equal": "eq", "equals": "eq", "gte": "ge", "is": "eq", "is_in": "in",
    "is_not_null": "not_null", "isin": "in", "lte": "le", "neq": "ne", "none_of": "not", "not_eq": "ne", "|": "or",
    "||": "or", "~": "not", "+": "add", "-": "sub", "*": "mul", "/": "div", "ends_with": "endswith",
    "starts_with": "startswith", "matches": "like", "exist": "exists", "between_dates": "between",
}  # fmt: skip
"""Other names that people and tools use for an operator, with its word in the stored form."""


def _stored_word(op: str) -> str:
    """Return a hint for an operator that the stored form does not have."""
    word = _SPELLED.get(op.casefold()[:64])
    return did_you_mean(op, OPERATIONS) if word is None else f" Did you mean {word!r}?"


def _half(types: list[str], where: Expression | None) -> Selection | None:
    """Return a selection that has a problem, so that its parts are checked too; it is never evaluated."""
    try:
        selection = Selection(tuple(types), None)
    except InputError:  # names that no event can have: nothing more can be checked
        return None
    object.__setattr__(selection, "where", where)
    return selection


_LIMIT_CODES = {"too_many_steps", "too_long_window", "too_many_nodes", "too_deep"}


class _Reader:
    """Reads a body and collects problems; a value with a problem is read as None."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.problems: list[Problem] = []

    def fail(self, path: str, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, code, message, hint.strip()))

    def expression(self, body: Any, path: str) -> Expression:
        if not isinstance(body, Mapping):
            self.fail(path, "not_object", f"{shown(body)} is not a rule: an object with an 'op' is needed.")
            return Unread()
        op = body.get("op")
        if not isinstance(op, str):
            self.fail(path, "missing_key", "the object has no 'op'.", 'Name the operator, such as "op": "eq".')
            return self._guessed(body, path)
        operation = OPERATIONS.get(op)
        if operation is None:
            self.fail(f"{path}.op", "unknown_operator", f"unknown operator {shown(op)}.", _stored_word(op))
            return self._guessed(body, path)
        before = len(self.problems)
        arguments = self._arguments(body, operation, path, op)
        if len(self.problems) > before:
            return self._unread(arguments, path)
        try:
            return operation.build(**arguments)
        except InputError as error:
            self.problems.append(
                Problem.of(error, path, body)
                if error.path != "$"
                else Problem(path, error.code, error.message, error.hint)
            )
        return self._unread(arguments, path)

    @staticmethod
    def _unread(arguments: Mapping[str, Any], path: str) -> Unread:
        """Return the parts of a node with a problem that could be read."""
        parts: list[tuple[str, Expression | Selection]] = []
        for key, value in arguments.items():
            for place, item in enumerate(value) if isinstance(value, (list, tuple)) else [(None, value)]:
                if isinstance(item, (Expression, Selection)):
                    parts.append((f"{path}.{key}" if place is None else f"{path}.{key}[{place}]", item))
        return Unread(tuple(parts))

    def _guessed(self, body: Mapping[str, Any], path: str) -> Unread:
        """Return the parts of an object with an unknown operator, recognized by their keys."""
        parts: list[tuple[str, Expression | Selection]] = []
        for key, value in body.items():
            many = isinstance(value, (list, tuple))
            for k, item in enumerate(value if many else [value]):
                here = f"{path}.{key}[{k}]" if many else f"{path}.{key}"
                if isinstance(item, Mapping) and "op" in item:
                    parts.append((here, self.expression(item, here)))
                elif isinstance(item, Mapping) and "types" in item:
                    found = self.read_selection(item, here)
                    parts += [] if found is None else [(here, found)]
        return Unread(tuple(parts))

    def _arguments(self, body: Mapping[str, Any], operation: Operation, path: str, op: str) -> dict[str, Any]:
        known = {**operation.required, **operation.optional}
        for key in body:
            if key != "op" and key not in known:
                listed = ", ".join(sorted(known)) or "no other key"
                hint = did_you_mean(str(key), known)
                message = f"unknown key {shown(str(key)[:64])} of {op!r}; it may have {listed}."
                self.fail(path, "unknown_key", message, hint)
        for key in operation.required:
            if key not in body:
                self.fail(path, "missing_key", f"{op!r} has no {key!r}.")
        return {
            key: getattr(self, f"read_{known[key]}")(value, f"{path}.{key}")
            for key, value in body.items()
            if key in known
        }

    # One method per kind of key; each returns the value, or None after noting a problem.

    def read_expression(self, value: Any, path: str) -> Expression:
        return self.expression(value, path)

    def read_operand(self, value: Any, path: str) -> Expression | None:
        if isinstance(value, Mapping) and "op" in value:
            return self.expression(value, path)
        plain = self.read_literal(value, path)
        return None if plain is None else nodes.Literal(plain)

    def read_expressions(self, value: Any, path: str) -> list[Expression]:
        return [self.expression(item, f"{path}[{k}]") for k, item in enumerate(self._listed(value, path))]

    def read_literal(self, value: Any, path: str) -> LiteralValue | None:
        try:
            if isinstance(value, Mapping):
                return self._dated(value, path)
            if isinstance(value, (list, tuple)):
                self.fail(path, "wrong_type", "a list was given: one value is needed.")
                return None
            return literal_value(value)
        except InputError as error:
            self.fail(path, error.code, error.message, error.hint)
            return None

    def _dated(self, value: Mapping[str, Any], path: str) -> LiteralValue | None:
        text = next(iter(value.values())) if len(value) == 1 else None
        if "date" in value and isinstance(text, str) and len(text) == 10:
            return moment_value(text)
        if "instant" in value and isinstance(text, str):
            instant(text, name="instant")
            return moment_value(text if len(text) > 10 else f"{text}T00:00Z")
        self.fail(
            path, "wrong_type", f"{shown(dict(value))} is not a value.",
            'Write {"date": "2026-11-01"} or {"instant": "2026-11-01T00:00:00Z"}.',
        )  # fmt: skip
        return None

    def read_values(self, value: Any, path: str) -> list[LiteralValue | None]:
        return [self.read_literal(item, f"{path}[{k}]") for k, item in enumerate(self._listed(value, path))]

    read_ids = read_values

    def _listed(self, value: Any, path: str) -> list[Any] | tuple[Any, ...]:
        if isinstance(value, (list, tuple)):
            return value
        self.fail(path, "wrong_type", f"{shown(value)} was given: a list is needed.")
        return []

    def read_name(self, value: Any, path: str) -> str | None:
        if isinstance(value, str) and value:
            return value
        self.fail(path, "wrong_type", f"{shown(value)} is not a name: a text that is not empty is needed.")
        return None

    def read_names(self, value: Any, path: str) -> list[str | None]:
        if isinstance(value, (list, tuple)) and len(value) > self.limits.steps:
            self.fail(path, "too_many_steps", f"there are {len(value):,} names: {self.limits.steps} are allowed.")
            return []
        return [self.read_name(item, f"{path}[{k}]") for k, item in enumerate(self._listed(value, path))]

    def read_flag(self, value: Any, path: str) -> bool | None:
        if isinstance(value, bool):
            return value
        self.fail(path, "wrong_type", f"{shown(value)} is neither true nor false.")
        return None

    def read_number(self, value: Any, path: str) -> float | None:
        plain = self.read_literal(value, path)
        if plain is None or literal_kind(plain) == "number":
            return plain  # type: ignore[return-value]
        self.fail(path, "wrong_type", f"{shown(value)} is not a number.")
        return None

    def read_whole(self, value: Any, path: str) -> int | None:
        plain = self.read_number(value, path)
        if plain is None or isinstance(plain, int):
            return plain
        self.fail(path, "wrong_type", f"{shown(value)} is not a whole number.")
        return None

    def read_duration(self, value: Any, path: str) -> timedelta | None:
        try:
            span = parse_duration(value, path)
        except DefinitionError as error:
            self.fail(path, error.code, error.message, error.hint)
            return None
        if span > timedelta(days=366 * self.limits.years):
            self.fail(path, "too_long_window", f"{shown(value)} is longer than the {self.limits.years} years allowed.")
            return None
        return span

    def read_span(self, value: Any, path: str) -> Span | None:
        if not isinstance(value, Mapping):
            return self.read_duration(value, path)
        try:
            span = parse_span(dict(value), path)
        except DefinitionError as error:
            self.fail(path, error.code, error.message, error.hint)
            return None
        assert isinstance(span, CalendarSpan)
        if span.days > 366 * self.limits.years or span.months > 12 * self.limits.years:
            self.fail(path, "too_long_window", f"{shown(value)} is longer than the {self.limits.years} years allowed.")
            return None
        return span

    def read_during(self, value: Any, path: str) -> Period | None:
        known = {"unit", "offset", "count"}
        if not isinstance(value, Mapping) or "unit" not in value or set(value) - known:
            self.fail(
                path, "wrong_type", f"{shown(value)} is not a calendar period.",
                'Write {"unit": "month", "offset": -1}; "count" is the number of units.',
            )  # fmt: skip
            return None
        try:
            return Period(**value)
        except InputError as error:
            self.fail(path, error.code, error.message, error.hint)
            return None

    def read_period(self, value: Any, path: str) -> timedelta | str | None:
        return value if value in nodes.PERIODS else self.read_duration(value, path)

    def read_moment(self, value: Any, path: str) -> date | datetime | None:
        if isinstance(value, Mapping):
            return self.read_literal(value, path)  # type: ignore[return-value]
        self.fail(
            path, "wrong_type", f"{shown(value)} is not a date or an instant.",
            'Write {"date": "2026-11-01"} or {"instant": "2026-11-01T00:00:00Z"}.',
        )  # fmt: skip
        return None

    def read_selection(self, value: Any, path: str) -> Selection | None:
        types = value.get("types") if isinstance(value, Mapping) else None
        any_type = isinstance(types, str) and types == "any"
        if not isinstance(value, Mapping) or not (any_type or isinstance(value.get("types"), (list, tuple))):
            hint = 'Write {"types": ["purchase"]}, or {"types": "any"} for events of every type.'
            self.fail(path, "wrong_type", f"{shown(value)} is not a selection of events.", hint)
            return None
        before = len(self.problems)
        for key in value:
            if key not in {"types", "where"}:
                hint = did_you_mean(str(key), ("types", "where"))
                self.fail(
                    path,
                    "unknown_key",
                    f"unknown key {shown(str(key)[:64])} of events; there may be types and where.",
                    hint,
                )
        types = (
            [self.read_name(name, f"{path}.types[{k}]") for k, name in enumerate(value["types"])]
            if not any_type
            else []
        )
        where = self.expression(value["where"], f"{path}.where") if "where" in value else None
        if len(self.problems) > before:
            known = [name for name in types if name is not None]
            return _half(known, where) if known else None
        try:
            return Selection(tuple(types), where, any_type)
        except InputError as error:
            self.fail(path, error.code, error.message, error.hint)
            return None

    def read_selections(self, value: Any, path: str) -> list[Selection | None]:
        given = self._listed(value, path)
        if len(given) > self.limits.steps:
            self.fail(path, "too_many_steps", f"there are {len(given):,} steps: {self.limits.steps} are allowed.")
            return []
        return [self.read_selection(item, f"{path}[{k}]") for k, item in enumerate(given)]
