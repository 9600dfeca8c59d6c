"""Where a definition with rules is checked: what every such `check` shares, from the first look at the body."""

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
    """Return a body as it was parsed, and its content without the envelope; what is neither is a DefinitionError."""
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
    """Return what is wrong with a stored expression: its structure, and what of it does not fit a schema.

    Parameters
    ----------
    ref : str
        What the shape of a definition points to: ``"#/$defs/expression"``, or ``"#/$defs/rule"`` for one that is true
        or false.
    value : object
        What stands there.
    path : str
        Where.
    schema : Schema, optional
        What fields and events there are; without it names are not looked at.
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
