"""Compile a rule into a narwhals expression; nulls of the engine are the third truth value, unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import numpy as np

from relmark.core.as_of import AsOf
from relmark.core.errors import InputError
from relmark.core.zones import first_instants, to_local
from relmark.engines.facts import Facts
from relmark.engines.instants import compared_day, compared_midnight, compared_time, dated, elapsed_from, plain_time
from relmark.expressions import Expression, Window, nodes
from relmark.expressions.lengths import length
from relmark.expressions.literals import LiteralValue, literal_kind
from relmark.expressions.scalar_calendar import Zone

__all__ = ["Visitor"]

_FLIPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_ELAPSED = {"days_since_first": "min", "days_since_last": "max"}


class Visitor:
    """Compiles the nodes of a rule; leaves are fields of customers or properties of events.

    Parameters
    ----------
    nw : module
        narwhals.
    as_of : AsOf
        The instant of the evaluation.
    zone : Zone
        The time zone of the business.
    leaf : callable
        Returns the expression of a `Field` or `Prop`, and its kind.
    facts : Facts, optional
        Provides aggregates of events; None inside a predicate over events.
    precomputed : mapping of str to expression
        Expressions that replace the nodes at some paths.
    segments : mapping of str to Expression
        The rules to which ``segment("name")`` refers.
    customer_id : str
        The column of ids.
    """

    def __init__(
        self,
        nw: Any,
        as_of: AsOf,
        zone: Zone,
        leaf: Callable[[str], tuple[Any, str]],
        *,
        facts: Facts | None = None,
        precomputed: Mapping[str, Any] | None = None,
        segments: Mapping[str, Expression] | None = None,
        customer_id: str = "customer_id",
    ) -> None:
        self.nw, self.as_of, self.zone = nw, as_of, zone
        self.at = int(as_of.clock)
        self.leaf = leaf
        self.facts = facts
        self.precomputed = precomputed or {}
        self.segments = segments or {}
        self.customer_id = customer_id

    def expression(self, node: Expression, path: str = "$") -> Any:
        """Return the expression of a node."""
        nw = self.nw
        if path in self.precomputed:
            return self.precomputed[path]
        match node:
            case nodes.And(args=args):
                return self._all(self._truths(args, path))
            case nodes.Or(args=args):
                return self._any(self._truths(args, path))
            case nodes.Not(arg=arg):
                return ~self.truth(arg, f"{path}.arg")
            case nodes.AtLeast(n=n, args=args):
                return self._at_least(n, self._truths(args, path))
            case nodes.Field(name=name) | nodes.Prop(name=name):
                return self.leaf(name)[0]
            case nodes.Literal(value=value):
                return nw.lit(self._plain(value))
            case nodes.Fill(arg=arg, value=value):
                if self.kind(arg) == "empty":
                    return nw.lit(self._plain(value.value))
                return self.expression(arg, f"{path}.arg").fill_null(self._plain(value.value))
            case nodes.Arithmetic(op=op, left=left, right=right):
                sides = self.expression(left, f"{path}.left"), self.expression(right, f"{path}.right")
                return self._arithmetic(op, *sides)
            case nodes.SegmentRef(name=name):
                return self.truth(self.segments[name], f"{path}>{name}")
            case nodes.Everyone():
                return nw.lit(True)  # noqa: FBT003
            case nodes.Ids(values=values):
                return nw.col(self.customer_id).is_in(list(values)) if values else nw.lit(False)  # noqa: FBT003
        return self._test(node, path)

    def _test(self, node: Expression, path: str) -> Any:
        match node:
            case nodes.Compare(op=op, left=left, right=right):
                return self._compare(op, left, right, path)
            case nodes.Between(arg=arg, low=low, high=high):
                above = self._against("ge", arg, low.value, f"{path}.arg")
                return above & self._against("le", arg, high.value, f"{path}.arg")
            case nodes.IsIn(arg=arg, values=values):
                return self._is_in(arg, values, f"{path}.arg")
            case nodes.IsNull(arg=arg):
                last = self._last_time(arg)
                return (self.expression(arg, f"{path}.arg") if last is None else last).is_null()
            case nodes.IsEmpty(arg=arg):  # only of texts, because engines have no sets of tags
                return self._unknown() if self.kind(arg) == "empty" else self.expression(arg, f"{path}.arg") == ""
            case nodes.Matches(op=op, arg=arg, values=values):
                if self.kind(arg) == "empty":
                    return self._unknown()
                return self._matches(op, self.expression(arg, f"{path}.arg"), values)
            case nodes.DateWindow():
                return self._date_window(node, path)
        return self._of_events(node)

    def _of_events(self, node: Expression) -> Any:
        assert self.facts is not None
        match node:
            case nodes.Aggregate(op="count", events=events, window=window):
                return self.facts.count(events, window)
            case nodes.Aggregate(op="exists", events=events, window=window):
                return self.facts.count(events, window) > 0
            case nodes.Aggregate(op="active_days", events=events, window=window):
                return self.facts.active_days(events, window)
            case nodes.Aggregate():
                return self.facts.figure(node)
            case nodes.NotFollowedBy(events=events, then=then, within=within, recent=recent):
                last = self.facts.time_of(events, Window(), "max")
                answer = self.facts.time_of(then, Window(), "max")
                waited = self.facts.compared("le", last, self._before(within))
                if recent is not None:
                    waited = waited & self.facts.compared("gt", last, self._before(recent))
                return waited.fill_null(False) & ~(answer > last).fill_null(False)  # noqa: FBT003
        raise AssertionError(f"{type(node).__name__} is not portable")

    def _plain(self, value: LiteralValue) -> Any:
        kind = literal_kind(value)
        if kind == "number":
            return float(value)  # type: ignore[arg-type]
        return plain_time(dated(self.zone, value)) if kind == "instant" else value

    def _unknown(self) -> Any:
        return self.nw.lit(None, dtype=self.nw.Boolean)

    # Logic

    def truth(self, node: Expression, path: str = "$") -> Any:
        """Return the expression of a node that is true or false; it is unknown if a column has no value at all."""
        if path not in self.precomputed and self.kind(node) == "empty":
            return self._unknown()
        return self.expression(node, path)

    def _truths(self, parts: tuple[Expression, ...], path: str) -> list[Any]:
        return [self.truth(part, f"{path}.args[{k}]") for k, part in enumerate(parts)]

    @staticmethod
    def _all(parts: list[Any]) -> Any:
        return reduce(operator.and_, parts)

    @staticmethod
    def _any(parts: list[Any]) -> Any:
        return reduce(operator.or_, parts)

    def _at_least(self, n: int, parts: list[Any]) -> Any:
        nw = self.nw
        true, possible = nw.lit(0), nw.lit(0)
        for part in parts:
            true = true + nw.when(part).then(nw.lit(1)).otherwise(nw.lit(0))
            possible = possible + nw.when(part.is_null() | part).then(nw.lit(1)).otherwise(nw.lit(0))
        unknown = nw.when(possible >= n).then(nw.lit(None, dtype=nw.Boolean)).otherwise(nw.lit(False))  # noqa: FBT003
        return nw.when(true >= n).then(nw.lit(True)).otherwise(unknown)  # noqa: FBT003

    # Values

    def kind(self, node: Expression) -> str:
        """Return the kind of a node's value."""
        match node:
            case nodes.Field(name=name) | nodes.Prop(name=name):
                return self.leaf(name)[1]
            case nodes.Literal(value=value):
                return literal_kind(value)
            case nodes.Fill(arg=arg, value=value):
                kind = self.kind(arg)
                return literal_kind(value.value) if kind == "empty" else kind
            case nodes.Aggregate(op="first" | "last", of=str(of)):
                assert self.facts is not None
                return self.facts.prop(of)[1]
            case nodes.Arithmetic() | nodes.Aggregate() if getattr(node, "op", "") != "exists":
                return "number"
        return "boolean"

    def _arithmetic(self, op: str, left: Any, right: Any) -> Any:
        nw = self.nw
        match op:
            case "add":
                found = left + right
            case "sub":
                found = left - right
            case "mul":
                found = left * right
            case _:
                found = left / nw.when(right != 0.0).then(right)
        return nw.when(found.is_finite()).then(found)

    # Comparisons

    def _compare(self, op: str, left: Expression, right: Expression, path: str) -> Any:
        if isinstance(right, nodes.Literal):
            return self._against(op, left, right.value, f"{path}.left")
        if isinstance(left, nodes.Literal):
            return self._against(_FLIPPED[op], right, left.value, f"{path}.right")
        kinds = {self.kind(left), self.kind(right)}
        if "empty" in kinds:
            return self._unknown()
        if kinds == {"date", "instant"} and self.zone.name != "UTC":
            raise InputError(
                f"{path} compares a date with an instant, which engines can do only in UTC: compare each of them with "
                "a fixed value, or evaluate with numpy.",
                argument="rule",
                code="not_portable",
            )
        sides = [self.expression(left, f"{path}.left"), self.expression(right, f"{path}.right")]
        if kinds == {"date", "instant"}:
            sides = [side.cast(self.nw.Datetime("us")) for side in sides]
        return _compared(op, *sides)

    def _against(self, op: str, arg: Expression, value: LiteralValue, path: str) -> Any:
        """Return a comparison with a plain value."""
        last = self._last_time(arg)
        if last is not None:
            return self._elapsed(op, last, float(value))  # type: ignore[arg-type]
        expression, kind = self.expression(arg, path), self.kind(arg)
        if kind == "empty":
            return self._unknown()
        if kind == "instant":
            return compared_time(self.nw, op, expression, dated(self.zone, value))
        if kind == "date" and isinstance(value, datetime):
            return compared_midnight(self.nw, self.zone, op, expression, dated(self.zone, value))
        return _compared(op, expression, self.nw.lit(self._plain(value)))

    def _last_time(self, arg: Expression) -> Any:
        """Return the time from which a node counts elapsed days; None if the node is something else."""
        if isinstance(arg, nodes.Aggregate) and arg.op in _ELAPSED:
            assert self.facts is not None
            return self.facts.time_of(arg.events, arg.window, _ELAPSED[arg.op])
        return None

    def _before(self, span: timedelta) -> int:
        """Return the instant a span before as_of; for whole days before a date it is a local midnight."""
        return int(self.as_of.moved(span).clock)

    def days_ago(self, elapsed: int) -> int:
        """Return the last instant since which this many microseconds have passed (by the local clock before a date)."""
        if not self.as_of.dated or self.as_of.tz == "UTC":
            return self.at - elapsed
        wall = to_local(np.array([self.at], dtype=np.int64), self.as_of.tz) - elapsed
        return int(first_instants(wall + 1, self.as_of.tz)[0]) - 1

    def _elapsed(self, op: str, when: Any, bound: float) -> Any:
        """Return how the days since a time compare with a number."""
        assert self.facts is not None
        enough, more = (
            self.facts.compared("le", when, self.days_ago(elapsed_from(bound, above=above))) for above in (False, True)
        )
        found = {"ge": enough, "lt": ~enough, "gt": more, "le": ~more, "eq": enough & ~more, "ne": ~enough | more}
        return found[op]

    def _is_in(self, arg: Expression, values: tuple[LiteralValue, ...], path: str) -> Any:
        nw = self.nw
        if not values:
            last = self._last_time(arg)
            known = ~(self.expression(arg, path) if last is None else last).is_null()
            return nw.when(known).then(nw.lit(False))  # noqa: FBT003
        kind = self.kind(arg)
        if kind == "empty":
            return self._unknown()
        mixed = kind == "date" and isinstance(values[0], datetime)
        beyond = kind == "instant" and any(plain_time(dated(self.zone, value)) is None for value in values)
        if mixed or beyond or self._last_time(arg) is not None:
            return self._any([self._against("eq", arg, value, path) for value in values])
        plain = [plain_time(dated(self.zone, v)) if kind == "instant" else self._plain(v) for v in values]
        return self.expression(arg, path).is_in(plain)

    def _matches(self, op: str, text: Any, values: tuple[str, ...]) -> Any:
        match op:
            case "startswith":
                return text.str.starts_with(values[0])
            case "endswith":
                return text.str.ends_with(values[0])
        each = [text.str.contains(value, literal=True) for value in values]
        if op == "contains_all":
            return self._all(each)
        return ~self._any(each) if op == "contains_none" else self._any(each)

    def _date_window(self, node: nodes.DateWindow, path: str) -> Any:
        value, kind = self.expression(node.arg, f"{path}.arg"), self.kind(node.arg)
        size = length(node.duration)
        if kind == "empty":
            return self._unknown()
        if kind == "date" and node.op == "upcoming":
            today, ahead = self.zone.day(self.at), node.duration // timedelta(days=1)
            return compared_day(self.nw, "ge", value, today) & compared_day(self.nw, "lt", value, today + ahead)
        compare: Callable[[str, int], Any] = (
            (lambda op, at: compared_midnight(self.nw, self.zone, op, value, at))
            if kind == "date"
            else (lambda op, at: compared_time(self.nw, op, value, at))
        )
        match node.op:
            case "within":
                return compare("gt", self._before(node.duration)) & compare("le", self.at)
            case "older_than":
                return compare("le", self._before(node.duration))
        return compare("gt", self.at) & compare("le", self.at + size)


def _compared(op: str, left: Any, right: Any) -> Any:
    return getattr(operator, op)(left, right)
