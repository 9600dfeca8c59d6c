"""Read a segment's definition from outside, such as a user interface, and report all of its problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from relmark.core.checked import CheckedDefinition
from relmark.core.checks import shown
from relmark.core.documents import Limits
from relmark.core.errors import DefinitionError, InputError
from relmark.core.names import did_you_mean
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.expressions.checked import UNKNOWN_WITHOUT_SCHEMA, opened
from relmark.expressions.kinds import rule_problems
from relmark.expressions.operators import Expression
from relmark.expressions.stored import read_parts

if TYPE_CHECKING:  # a segment checks itself
    from relmark.segmentation.segments import Segment

__all__ = ["Checked", "check_segment"]

_KEYS = ("name", "rule", "description", "meta")


@attrs.frozen(eq=False)
class Checked(CheckedDefinition):
    """The result of checking a definition from outside.

    Attributes
    ----------
    segment : Segment or None
        The segment; None if there are problems.
    problems : tuple of Problem
        Everything that is wrong with the definition, each problem with its path, code, message and hint.
    """

    segment: Segment | None
    problems: tuple[Problem, ...]


def check_segment(make: type[Segment], body: Any, schema: Schema | None, limits: Limits | None) -> Checked:
    """Return the segment that JSON text or its parsed content defines, or all of its problems; never raise for one."""
    limits = limits or Limits()
    try:
        _, content = opened(make, body, schema, limits)
    except DefinitionError as error:
        return Checked(None, (Problem.of(error),))
    problems = list(_envelope_problems(content))
    rule: Expression | None = None
    if "rule" in content:
        rule, found = read_parts(content["rule"], limits, "$.rule")
        problems += found
    if rule is not None:
        problems += [one for one in _meaning_problems(rule, schema) if one not in problems]
    if problems or rule is None:
        return Checked(None, tuple(problems))
    try:
        noted = content.get("meta", {})
        return Checked(make(content["name"], rule, description=content.get("description", ""), meta=noted), ())
    except InputError as error:
        return Checked(None, (Problem.of(error, "$", content),))


def _envelope_problems(content: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for key in content:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS).strip()
            message = f"unknown key {shown(str(key)[:64])} in a segment; it may have {', '.join(sorted(_KEYS))}."
            problems.append(Problem("$", "unknown_key", message, hint))
    problems += [Problem("$", "missing_key", f"the segment has no {key!r}.") for key in _KEYS[:2] if key not in content]
    if not isinstance(content.get("meta", {}), Mapping):
        problems.append(Problem("$.meta", "wrong_type", f"meta is {shown(content['meta'])}: an object is needed."))
    for key in ("name", "description"):
        value = content.get(key, "x")
        if not isinstance(value, str) or (key == "name" and not value):
            needed = "a string that is not empty" if key == "name" else "a string"
            problems.append(Problem(f"$.{key}", "wrong_type", f"{key} is {shown(value)}: {needed} is needed."))
    return problems


def _meaning_problems(rule: Expression, schema: Schema | None) -> list[Problem]:
    unknowable = UNKNOWN_WITHOUT_SCHEMA if schema is None else frozenset()
    found = rule_problems(rule, schema or Schema(), path="$.rule")
    return [problem for problem in found if problem.code not in unknowable]
