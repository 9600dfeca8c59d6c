"""Read a lead score from outside, such as a user interface, and report all of its problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from relmark.core.checked import CheckedDefinition
from relmark.core.checks import shown
from relmark.core.documents import Limits
from relmark.core.errors import DefinitionError, InputError
from relmark.core.schema import Schema
from relmark.core.shapes import faults, obj
from relmark.expressions import Problem
from relmark.expressions.checked import UNKNOWN_WITHOUT_SCHEMA, opened
from relmark.expressions.kinds import problems as expression_problems
from relmark.expressions.kinds import rule_problems
from relmark.expressions.stored import read_parts
from relmark.scoring.json_schema import score_shape
from relmark.scoring.rules import Rule, group_error

if TYPE_CHECKING:
    from relmark.scoring.lead_score import LeadScore

__all__ = ["CheckedScore", "check_score"]

_APART = frozenset({"cap", "cap_per", "cap_total", "decay", "expires", "floor", "points"})
"""Keys of a rule whose problems do not hide those of others."""


@attrs.frozen(eq=False)
class CheckedScore(CheckedDefinition):
    """The result of checking a lead score from outside.

    Attributes
    ----------
    score : LeadScore or None
        The score; None if there are problems.
    problems : tuple of Problem
        Everything that is wrong with the definition, each problem with its path, code, message and hint.
    """

    score: LeadScore | None
    problems: tuple[Problem, ...]


def check_score(
    kind: type[LeadScore], body: Any, schema: Schema | None = None, limits: Limits | None = None
) -> CheckedScore:
    """Return the score that JSON text or its parsed content defines, or all of its problems; never raise for one."""
    limits = limits or Limits()
    try:
        body, content = opened(kind, body, schema, limits)
    except DefinitionError as error:
        return CheckedScore(None, (Problem.of(error),))
    properties, required = score_shape(limits)
    rest = obj({**properties, "rules": {"type": "array", "minItems": 1}, "meta": {"type": "object"}}, required)
    found = faults(content, rest)
    whole, good = not found, []
    groups = [one["name"] for one in content.get("groups", ())] if whole else None
    rules = content.get("rules")
    for k, one in enumerate(rules if isinstance(rules, list) else []):
        problems = _rule_problems(one, schema, limits, f"$.rules[{k}]")
        if groups is not None and isinstance(one, Mapping) and isinstance(one.get("group"), str):
            lost = group_error(f"rule {shown(one.get('name'))}", "group", one["group"], groups)
            problems += [] if lost is None else [Problem.of(lost, f"$.rules[{k}]", one)]
        found += problems
        if not problems:
            good.append(one)
    score = None
    if whole and (good or not found):  # names, groups, bands and grades have to agree across parts
        try:
            score = kind.from_dict({**body, "rules": good} if found else body, limits)
        except InputError as error:
            found.append(Problem.of(error))
    return CheckedScore(None if found else score, tuple(dict.fromkeys(found)))


def _rule_problems(body: Any, schema: Schema | None, limits: Limits, path: str) -> list[Problem]:
    """Return the problems of one rule: of its condition, its events, and each key that can be read by itself."""
    unknowable = UNKNOWN_WITHOUT_SCHEMA if schema is None else frozenset()
    found: list[Problem] = []
    for key, part in _parts(body):
        place = f"{path}.{key}"
        wrapped = {"op": "exists", "events": part} if key == "each" else part
        expression, problems = read_parts(wrapped, limits, place)
        found += [attrs.evolve(one, path=one.path.replace(f"{place}.events", place, 1)) for one in problems]
        if expression is not None and key in {"when", "each"}:
            meaning = rule_problems if key == "when" else expression_problems
            for one in meaning(expression, schema or Schema(), path=place):
                if one.code not in unknowable:
                    found.append(attrs.evolve(one, path=one.path.replace(f"{place}.events", place, 1)))
    found = list(dict.fromkeys(found))
    rest = body
    while True:
        try:
            rule = Rule._read(rest, limits, path)  # noqa: SLF001
            break
        except DefinitionError as error:
            if not any(error.path.startswith(f"{path}.{key}") for key, _ in _parts(body)) or not found:
                found.append(Problem.of(error))
            wrong = error.path.removeprefix(f"{path}.").partition(".")[0]
            if wrong not in _APART or wrong not in rest or (wrong == "points" and rest[wrong] == 1):
                return found
            gone = {wrong, "cap_total"} if wrong == "cap_per" else {wrong}
            rest = {key: value for key, value in rest.items() if key not in gone}
            rest |= {"points": 1} if wrong == "points" else {}
        except InputError as error:
            return [*found, Problem.of(error, path)]
    for key, test in rule.tests():
        for one in rule_problems(test, schema or Schema(), path=f"{path}.{key}"):
            if one.code not in unknowable and one not in found and not _same(one, found):
                found.append(one)
    return found


def _same(one: Problem, found: list[Problem]) -> bool:
    return any(one.code == other.code and one.message == other.message for other in found)


def _parts(body: Any) -> list[tuple[str, Any]]:
    """Return the stored expressions and selections of a rule, with their keys."""
    if not isinstance(body, Mapping):
        return []
    parts = [(key, body[key]) for key in ("when", "each") if key in body]
    points = body.get("points")
    if isinstance(points, Mapping):
        parts += [
            (f"points.{key}", points[key]) for key in ("expression", "of") if isinstance(points.get(key), Mapping)
        ]
    return parts
