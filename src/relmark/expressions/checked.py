"""A definition from outside, checked: what every `check` shares, from the first look at the body to what it returns."""

from __future__ import annotations

from typing import Any

import attrs

from relmark.core.checks import shown
from relmark.core.documents import Definition, Limits, check_nodes, open_envelope, parse_json
from relmark.core.errors import InputError
from relmark.core.schema import Schema
from relmark.expressions.problems import Problem

__all__ = ["UNKNOWN_WITHOUT_SCHEMA", "CheckedDefinition", "opened"]

UNKNOWN_WITHOUT_SCHEMA = frozenset({"unknown_field", "unknown_event", "unknown_property"})


class CheckedDefinition:
    """What came of a definition from outside: it, in the first field of a subclass, or None, and every problem."""

    __slots__ = ()

    problems: tuple[Problem, ...]

    @classmethod
    def _field(cls) -> str:
        return attrs.fields(cls)[0].name  # type: ignore[arg-type, no-any-return]

    def __bool__(self) -> bool:
        """Return whether the definition is right."""
        return getattr(self, self._field()) is not None

    def to_dict(self) -> dict[str, Any]:
        """Return the definition's stored form and the problems as JSON-ready values."""
        name = self._field()
        found = getattr(self, name)
        stored = None if found is None else found.to_dict()
        return {name: stored, "problems": [problem.to_dict() for problem in self.problems]}

    def __str__(self) -> str:
        return "no problems" if self else "\n".join(map(str, self.problems))


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
