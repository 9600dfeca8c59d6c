"""Which kinds of values rules use, and so which kinds the columns of unknown tables must hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from relmark.core.errors import DefinitionError, InputError
from relmark.core.schema import Schema
from relmark.expressions import Expression, Selection, nodes
from relmark.expressions.literals import literal_kind
from relmark.expressions.walk import walk

__all__ = ["AskedKinds", "asked_kinds"]

_NUMBERS = {"sum", "mean", "min", "max"}
_OF_TRUTH = (nodes.And, nodes.Or, nodes.Not, nodes.AtLeast)


class AskedKinds(NamedTuple):
    """The kinds of fields and properties by name, and whether ids are integers."""

    fields: dict[str, str]
    properties: dict[str, str]
    integer_ids: bool


def asked_kinds(rules: Mapping[str, Expression], schema: Schema | None, *, tz: str) -> AskedKinds:
    """Return the kinds of fields and properties, from a schema or from how the rules use them.

    Raises
    ------
    InputError
        If a kind cannot be determined, or is used in two ways.
    DefinitionError
        If a rule uses a set of tags.
    """
    found = _Asked(schema, tz)
    for path, rule in rules.items():
        found.truth(rule)
        for inner, node in walk(rule, path):
            found.read(inner, node)
    return found.result()


class _Asked:
    def __init__(self, schema: Schema | None, tz: str) -> None:
        self.tz = tz
        self.kinds: dict[tuple[str, str], set[str]] = {}
        self.where: dict[tuple[str, str], str] = {}
        self.alike: list[tuple[tuple[str, str], tuple[str, str]]] = []
        self.integer_ids = False
        self.known: dict[tuple[str, str], str] = {("prop", "value"): "number"}
        if schema is not None:
            listed = [(("field", name), kind) for name, kind in schema.fields.items()]
            listed += [(("prop", name), kind) for kinds in schema.events.values() for name, kind in kinds.items()]
            self.known |= {column: str(kind) for column, kind in listed if kind != "empty"}

    def column(self, node: object) -> tuple[str, str] | None:
        """Return the field or property from which a value is taken."""
        match node:
            case nodes.Field(name=name):
                return "field", name
            case nodes.Prop(name=name):
                return "prop", name
            case nodes.Fill(arg=arg):
                return self.column(arg)
            case nodes.Aggregate(op="first" | "last", of=str(of)):
                return "prop", of
        return None

    def need(self, node: object, kind: str) -> None:
        column = self.column(node)
        if column is not None:
            self.kinds.setdefault(column, set()).add(kind)

    def truth(self, node: object) -> None:
        self.need(node, "boolean")

    def read(self, path: str, node: Expression | Selection) -> None:
        if isinstance(node, Selection):
            if node.where is not None:
                self.truth(node.where)
            return
        column = self.column(node)
        if column is not None:
            self.kinds.setdefault(column, set())
            self.where.setdefault(column, path)
        match node:
            case nodes.Compare(left=left, right=right):
                self._pair(left, right)
            case nodes.Arithmetic(left=left, right=right):
                self.need(left, "number")
                self.need(right, "number")
            case nodes.Between(arg=arg, low=low):
                self.need(arg, literal_kind(low.value))
            case nodes.IsIn(arg=arg, values=values) if values:
                self.need(arg, literal_kind(values[0]))
            case nodes.Fill(arg=arg, value=value):
                self.need(arg, literal_kind(value.value))
            case nodes.Matches(arg=arg) | nodes.IsEmpty(arg=arg):
                self.need(arg, "text")
            case nodes.DateWindow(arg=arg):
                self.need(arg, "date or instant")
            case nodes.Aggregate(op=op, of=str(of)):
                held = self.kinds.setdefault(("prop", of), set())
                self.where.setdefault(("prop", of), path)
                if op in _NUMBERS:
                    held.add("number")
            case nodes.Ids(values=values) if values:
                self.integer_ids = not isinstance(values[0], str)
        if isinstance(node, _OF_TRUTH):
            for arg in node.args if not isinstance(node, nodes.Not) else (node.arg,):
                self.truth(arg)

    def _pair(self, left: Expression, right: Expression) -> None:
        for one, other in ((left, right), (right, left)):
            if isinstance(other, nodes.Literal):
                self.need(one, literal_kind(other.value))
            elif isinstance(other, (nodes.Arithmetic, nodes.Aggregate)) and self.column(other) is None:
                self.need(one, "boolean" if getattr(other, "op", "") == "exists" else "number")
        first, second = self.column(left), self.column(right)
        if first is not None and second is not None:
            self.alike.append((first, second))

    def result(self) -> AskedKinds:
        kinds: dict[tuple[str, str], str] = {}
        for column, asked in self.kinds.items():
            held = self.known.get(column) or self._one(column, asked | self._others(column))
            if held == "tags":
                raise self._of_tags(column)
            kinds[column] = held
        return AskedKinds(
            {name: kind for (what, name), kind in kinds.items() if what == "field"},
            {name: kind for (what, name), kind in kinds.items() if what == "prop"},
            self.integer_ids,
        )

    def _of_tags(self, column: tuple[str, str]) -> DefinitionError:
        what, name = column
        path = self.where.get(column, "$")
        return DefinitionError(
            f"{what}({name!r}) is a set of tags in the schema, but the SQL that is written cannot test sets.",
            path=path,
            code="not_portable",
            hint="Use engines.apply, evaluate with numpy, or put 'text' in the schema if the warehouse has a text.",
        )

    def _others(self, column: tuple[str, str]) -> set[str]:
        """Return the known kinds of the columns that are compared with a column."""
        found: set[str] = set()
        for pair in self.alike:
            if column in pair:
                (other,) = set(pair) - {column} or {column}
                found |= self.kinds[other] | ({self.known[other]} if other in self.known else set())
        return found

    def _one(self, column: tuple[str, str], asked: Iterable[str]) -> str:
        asked = set(asked)
        if not asked:
            return "text"  # only whether it is missing, or how many distinct values there are: any kind will do
        if asked == {"date"} and self.tz == "UTC":
            return "date"  # an instant compares with midnights in UTC in the same way
        if len(asked) == 1 and (kind := next(iter(asked))) in {"number", "text", "boolean", "instant"}:
            return kind
        what, name = column
        said = " and ".join(sorted(asked))
        raise InputError(
            f"{self.where.get(column, '$')} uses {what}({name!r}), which the rules use as {said}: give its kind in "
            "schema=Schema(...).",
            argument="schema",
            code="missing_argument",
            path=self.where.get(column, "$"),
        )
