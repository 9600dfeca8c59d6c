"""The kinds of values of nodes, and the check of a rule against a schema: every problem, with its place.

A number cannot be compared with a text, texts cannot be added, and only events have properties. The same checks are
made for a definition from a user interface, without data, and when it is evaluated on data.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.core.shapes import without_quotes
from relmark.expressions import nodes
from relmark.expressions.literals import LiteralValue, literal_kind, moment_hint
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.expressions.unread import Unread
from relmark.expressions.walk import children

__all__ = ["check_on_data", "kind_of", "notes_on_data", "problems", "rule_problems"]

_TIMES = {"date", "instant"}
_ORDERED = {"number", "text", "date", "instant"}
_NAMES = {
    "number": "a number",
    "text": "a text",
    "boolean": "true or false",
    "date": "a date",
    "instant": "an instant",
    "tags": "a set of tags",
}
_SOFT = {"unknown_event", "unknown_property"}


def problems(
    expression: Expression, schema: Schema, *, path: str = "$", segments: Collection[str] | None = None
) -> tuple[Problem, ...]:
    """Return everything in an expression that does not fit a schema; () if all fits."""
    checker = _Checker(schema, segments)
    checker.kind(expression, path)
    return tuple(checker.problems)


def rule_problems(
    rule: Expression, schema: Schema, *, path: str = "$", segments: Collection[str] | None = None
) -> tuple[Problem, ...]:
    """Return everything in a rule that does not fit a schema, and a problem if it is not boolean."""
    checker = _Checker(schema, segments)
    checker.rule(rule, path)
    return tuple(checker.problems)


def kind_of(expression: Expression, schema: Schema) -> str | None:
    """Return the kind of an expression's value, or None if the schema does not determine it."""
    return _Checker(schema, None).kind(expression, "$")


def check_on_data(
    expression: Expression,
    base: CustomerBase,
    *,
    rule: bool = False,
    path: str = "$",
    segments: Collection[str] | None = None,
) -> None:
    """Raise an error for the first thing in which an expression does not fit data.

    An event type or a property that the log does not have is not an error here: a log in which nobody has unsubscribed
    has no such events. `notes_on_data` reports them.
    """
    if not isinstance(base, CustomerBase):
        raise InputError(
            f"base is {shown(base)}: a CustomerBase, which has customers and events, is needed.",
            argument="base",
            code="wrong_type",
        )
    found = (rule_problems if rule else problems)(expression, base.schema(), path=path, segments=segments)
    for problem in found:
        if problem.code == "unknown_field":
            raise MissingColumnError(f"{problem.message} {problem.hint}".rstrip(), argument="expression")
        if problem.code not in _SOFT:
            raise problem.error()


def notes_on_data(expression: Expression, base: CustomerBase) -> tuple[str, ...]:
    """Return notes about event types and properties that a rule uses and the log does not have."""
    found = problems(expression, base.schema(), segments=None)
    words = (f"{problem.message} {problem.hint}".rstrip() for problem in found if problem.code in _SOFT)
    return tuple(dict.fromkeys(words))


class _Checker:
    """Infers kinds from the leaves up and collects problems; a kind of None fits everywhere."""

    def __init__(self, schema: Schema, segments: Collection[str] | None) -> None:
        if not isinstance(schema, Schema):
            raise InputError(
                f"schema is {shown(schema)}: a Schema is needed, such as base.schema().",
                argument="schema",
                code="wrong_type",
            )
        self.schema = schema
        self.segments = segments
        self.problems: list[Problem] = []
        self.types: tuple[str, ...] | None = None  # of the events whose properties are asked, inside a where

    def fail(self, path: str, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, code, message, hint.strip()))

    def rule(self, node: Expression, path: str) -> None:
        kind = self.kind(node, path)
        if kind not in {None, "boolean"}:
            self.fail(path, "not_rule", f"{_brief(node)} is {_NAMES.get(kind or '', kind)}, but a rule is needed.",
                      "Compare it with something.")  # fmt: skip

    def kind(self, node: Expression, path: str) -> str | None:
        match node:
            case nodes.Literal(value=value):
                return literal_kind(value)
            case nodes.Field(name=name):
                return self._field(name, path)
            case nodes.Prop(name=name):
                return self._property(name, path)
            case nodes.Clock():
                return "number"
            case nodes.Compare():
                self._compare(node, path)
            case nodes.Arithmetic(left=left, right=right):
                self._need(left, f"{path}.left", {"number"})
                self._need(right, f"{path}.right", {"number"})
                return "number"
            case nodes.Fill(arg=arg, value=value):
                kind = self.kind(arg, f"{path}.arg")
                self._fits(kind, value.value, f"{path}.value", arg, alike=True)
                return kind or literal_kind(value.value)
            case nodes.Age(arg=arg):
                self._need(arg, f"{path}.arg", _TIMES)
                return "number"
            case nodes.Between(arg=arg, low=low):
                kind = self._need(arg, f"{path}.arg", {"number", *_TIMES})
                self._fits(kind, low.value, f"{path}.low", arg)
            case nodes.IsIn(arg=arg, values=values):
                kind = self._need(arg, f"{path}.arg", {"boolean", *_ORDERED})
                if values:
                    self._fits(kind, values[0], f"{path}.values[0]", arg)
            case nodes.IsNull(arg=arg):
                self.kind(arg, f"{path}.arg")
            case nodes.IsEmpty(arg=arg):
                self._need(arg, f"{path}.arg", {"text", "tags"})
            case nodes.Matches(op=op, arg=arg):
                allowed = {"text", "tags"} if op.startswith("contains") else {"text"}
                self._need(arg, f"{path}.arg", allowed)
            case nodes.DateWindow(arg=arg):
                kind = self._need(arg, f"{path}.arg", _TIMES)
                if node.op == "upcoming" and kind == "date" and node.duration.total_seconds() % 86_400:
                    self.fail(path, "wrong_value", f"upcoming({node.duration}) of a date: whole days are needed.")
            case nodes.InPeriod(arg=arg):
                self._need(arg, f"{path}.arg", _TIMES)
            case nodes.And(args=args) | nodes.Or(args=args) | nodes.AtLeast(args=args):
                for position, arg in enumerate(args):
                    self.rule(arg, f"{path}.args[{position}]")
            case nodes.Not(arg=arg):
                self.rule(arg, f"{path}.arg")
            case nodes.SegmentRef(name=name):
                self._segment(name, path)
            case nodes.Aggregate():
                return self._aggregate(node, path)
            case nodes.Stage(op=op):
                self._behavior(node, path)
                return {"stage": "text", "stage_entered": "instant", "stage_days": "number"}[op]
            case Unread(parts=parts):
                for place, part in parts:
                    if isinstance(part, Selection):
                        self._selection(part, place)
                    else:
                        self.kind(part, place)
                return None
            case _:
                self._behavior(node, path)
        return "boolean"

    # Leaves

    def _field(self, name: str, path: str) -> str | None:
        kind = self.schema.fields.get(name)
        if kind is None:
            listed = ", ".join(map(repr, list(self.schema.fields)[:20])) or "none"
            hint = did_you_mean(name, self.schema.fields)
            self.fail(path, "unknown_field", f"customers have no field {name!r}; their fields are {listed}.", hint)
        return None if kind == "empty" else kind

    def _property(self, name: str, path: str) -> str | None:
        if self.types is None:
            self.fail(path, "not_here", f"prop({name!r}) is outside of where=, but only events have properties.",
                      "Use field(...) for customers, or put it into where= of event(...).")  # fmt: skip
            return None
        return self._property_of(self.types, name, path)

    def _property_of(self, types: tuple[str, ...], name: str, path: str) -> str | None:
        if name in {"value", "type"}:
            return "number" if name == "value" else "text"
        known = [self.schema.events[one] for one in types if one in self.schema.events]
        kinds = sorted({str(properties[name]) for properties in known if name in properties} - {"empty"})
        if len(kinds) > 1:
            self.fail(path, "wrong_type",
                      f"property {name!r} is of different kinds in different event types: {' and '.join(kinds)}.",
                      "Select events of one type.")  # fmt: skip
            return None
        if known and not any(name in properties for properties in known):
            names = sorted({key for properties in known for key in properties})
            listed = ", ".join(map(repr, names[:20])) or "none"
            what = " or ".join(map(repr, types))
            others = [one for one, properties in self.schema.events.items() if name in properties]
            elsewhere = f"Events that have it: {', '.join(map(repr, others[:20]))}." if others else ""
            value = "The number that an event carries, such as the money of a purchase, is 'value'."
            hint = did_you_mean(name, names) or elsewhere or value
            self.fail(path, "unknown_property", f"no {what} event has a property {name!r}; they have {listed}.", hint)
        return kinds[0] if kinds else None

    def _segment(self, name: str, path: str) -> None:
        if self.segments is not None and name not in self.segments:
            listed = ", ".join(map(repr, list(self.segments)[:20])) or "none"
            self.fail(path, "unknown_segment", f"there is no segment {name!r}; there are {listed}.",
                      did_you_mean(name, self.segments))  # fmt: skip

    # Tests of a value

    def _need(self, node: Expression, path: str, allowed: set[str]) -> str | None:
        kind = self.kind(node, path)
        if kind is not None and kind not in allowed:
            words = " or ".join(_NAMES.get(one, one) for one in sorted(allowed))
            self.fail(path, "wrong_type", f"{_brief(node)} is {_NAMES.get(kind, kind)}, but {words} is needed.")
            return None
        return kind

    def _fits(self, kind: str | None, value: LiteralValue, path: str, of: Expression, *, alike: bool = False) -> None:
        """Note a problem if a plain value has another kind than its expression; a date and an instant can compare."""
        given = literal_kind(value)
        if kind is None or kind == given or (not alike and {kind, given} == _TIMES):
            return
        said = value.isoformat() if isinstance(value, date) else shown(value)
        message = f"{_brief(of)} is {_NAMES.get(kind, kind)}, but {said} is {_NAMES[given]}: "
        message += "a value that replaces it must be of the same kind." if alike else "they cannot be compared."
        self.fail(path, "wrong_type", message, _how_to_write(kind, value))

    def _compare(self, node: nodes.Compare, path: str) -> None:
        left, right = self.kind(node.left, f"{path}.left"), self.kind(node.right, f"{path}.right")
        for side, kind in (("left", left), ("right", right)):
            if kind == "tags":
                self.fail(f"{path}.{side}", "wrong_type", "a set of tags cannot be compared.",
                          "Use contains_any([...]).")  # fmt: skip
                return
            if kind == "boolean" and node.op not in {"eq", "ne"}:
                message = f"true and false have no order, so {node.op!r} cannot be used."
                self.fail(f"{path}.{side}", "wrong_type", message)
                return
        if isinstance(node.right, nodes.Literal):
            self._fits(left, node.right.value, f"{path}.right", node.left)
        elif left is not None and right is not None and left != right and {left, right} != _TIMES:
            sides = [f"{_brief(side)} is {_NAMES[kind]}" for side, kind in ((node.left, left), (node.right, right))]
            self.fail(path, "wrong_type", f"{' and '.join(sides)}: they cannot be compared.")

    # Events

    def _types(self, events: Selection) -> tuple[str, ...]:
        return events.names(self.schema.events)

    def _selection(self, events: Selection, path: str) -> None:
        for position, name in enumerate(events.types):
            if name not in self.schema.events:
                listed = ", ".join(map(repr, list(self.schema.events)[:20])) or "none"
                self.fail(f"{path}.types[{position}]", "unknown_event",
                          f"there are no events of type {name!r}; there are {listed}.",
                          did_you_mean(name, self.schema.events))  # fmt: skip
        if events.where is not None:
            self._where(self._types(events), events.where, f"{path}.where")

    def _where(self, types: tuple[str, ...], where: Expression, path: str) -> None:
        self.types = types
        self.rule(where, path)
        self.types = None

    def _aggregate(self, node: nodes.Aggregate, path: str) -> str | None:
        self._selection(node.events, f"{path}.events")
        if node.op == "exists":
            return "boolean"
        if node.of is None:
            return "number"
        kind = self._property_of(self._types(node.events), node.of, f"{path}.of")
        if node.op in {"sum", "mean", "min", "max"}:
            if kind not in {None, "number"}:
                message = f"property {node.of!r} is {_NAMES.get(kind or '', kind)}, but {node.op} needs numbers."
                self.fail(f"{path}.of", "wrong_type", message)
            return "number"
        if node.op == "most_frequent" and kind == "tags":
            return "text"
        return "number" if node.op == "count_distinct" else kind

    def _behavior(self, node: Expression, path: str) -> None:
        """Check the selections inside any node, and the test of a last event."""
        for key, child in children(node):
            if isinstance(child, Selection):
                self._selection(child, f"{path}.{key}")
        if isinstance(node, nodes.Sequence) and node.same is not None:
            self._shared(node, node.same, f"{path}.same")
        if isinstance(node, nodes.LastEvent):
            self._where(self._types(node.events), node.where, f"{path}.where")

    def _shared(self, node: nodes.Sequence, name: str, path: str) -> None:
        """Check the property that the steps of a sequence share: it must be of one kind, and known for each step."""
        before = len(self.problems)
        for step in node.steps:
            self._property_of(self._types(step), name, path)
            if len(self.problems) > before:
                return
        every = {one for events in (*node.steps, *node.exclude) for one in self._types(events)}
        if node.strict:
            every = set(self.schema.events)
        self._property_of(tuple(sorted(every)), name, path)


def _brief(node: Expression) -> str:
    text = repr(node)
    return text if len(text) <= 60 else text[:57] + "..."


def _how_to_write(kind: str, value: LiteralValue) -> str:
    """Return how a value of this kind is written, for somebody who gave one of another."""
    if kind in _TIMES:
        return moment_hint(value)
    if kind == "boolean":
        return "Write true or false, without quotes; True or False in Python."
    if kind == "number":
        return without_quotes(value)
    if kind == "text" and isinstance(value, date):
        return "Turn its texts into dates where the data are read, or compare it with a text."
    if kind == "text" and not isinstance(value, (str, bool)):
        return f'Write "{value:g}", with quotes.' if isinstance(value, float) else f'Write "{value}", with quotes.'
    return ""
