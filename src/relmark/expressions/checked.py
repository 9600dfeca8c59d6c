"""The parts of `check` that all definitions with rules share."""

from __future__ import annotations

from typing import Any

from relmark.core.checks import shown
from relmark.core.documents import Definition, Limits, check_nodes, open_envelope, parse_json
from relmark.core.errors import InputError
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.expressions.kinds import problems as expression_problems
from relmark.expressions.kinds import rule_problems
from relmark.expressions.stored import read_parts

__all__ = ["UNKNOWN_WITHOUT_SCHEMA", "opened", "part_problems"]

UNKNOWN_WITHOUT_SCHEMA = frozenset({"unknown_field", "unknown_event", "unknown_property"})


def opened(make: type[Definition], body: Any, schema: Schema | None, limits: Limits) -> tuple[Any, dict[str, Any]]:
    """Return the parsed body, and its content without the envelope; anything else raises a DefinitionError."""
    if schema is not None and not isinstance(schema, Schema):
        raise InputError(
            f"schema is {shown(schema)}: a Schema is needed, such as base.schema().",
            argument="schema",
            code="wrong_type",
        )
    if isinstance(body, (str, bytes)):
        body = parse_json(body, limits)
    else:
        check_nodes(body, limits)
    return body, open_envelope(body, make.kind, make.version)


def part_problems(ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
    """Return the problems of a stored expression: those of its structure, and what does not fit a schema.

    Parameters
    ----------
    ref : str
        The reference in the shape of a definition: ``"#/$defs/expression"``, or ``"#/$defs/rule"`` for an expression
        that must be boolean.
    value : object
        The stored expression.
    path : str
        Its path.
    schema : Schema, optional
        The fields and events of the data; without it, names are not checked.
    limits : Limits
        How large it may be.
    """
    expression, found = read_parts(value, limits, path)
    problems = list(found)
    if expression is not None:
        unknowable = UNKNOWN_WITHOUT_SCHEMA if schema is None else frozenset()
        looks = rule_problems if ref.endswith("/rule") else expression_problems
        more = looks(expression, schema or Schema(), path=path)
        problems += [one for one in more if one.code not in unknowable and one not in problems]
    return problems
