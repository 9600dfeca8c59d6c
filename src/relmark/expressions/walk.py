"""Iteration over a tree without recursion, with the JSON path of every node, and the limit of its depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import attrs

from relmark.core.documents import Limits
from relmark.core.errors import LimitError
from relmark.expressions import nodes
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection

__all__ = ["DEEPEST", "asks_the_clock", "check_depth", "check_limits", "children", "repeated", "walk"]

DEEPEST = 100  # a tree with more levels would exceed Python's recursion limit when it is evaluated


def children(node: Expression | Selection) -> Iterator[tuple[str, Expression | Selection]]:
    """Yield the parts of a node with their keys in the stored form: ``args[0]``, ``left``, ``events``."""
    for attribute in attrs.fields(type(node)):  # type: ignore[arg-type]
        value: Any = getattr(node, attribute.name)
        if isinstance(value, (Expression, Selection)):
            yield attribute.name, value
        elif isinstance(value, tuple):
            for position, item in enumerate(value):
                if isinstance(item, (Expression, Selection)):
                    yield f"{attribute.name}[{position}]", item
                else:
                    break


def walk(expression: Expression, path: str = "$") -> Iterator[tuple[str, Expression | Selection]]:
    """Yield every node and selection of a tree with its path, the root first and arguments in order."""
    stack: list[tuple[str, Expression | Selection]] = [(path, expression)]
    while stack:
        here, node = stack.pop()
        yield here, node
        stack += reversed([(f"{here}.{key}", child) for key, child in children(node)])


def asks_the_clock(expression: Expression) -> bool:
    """Return whether a rule uses the hour or the weekday of as_of, that is, outside of `where=`."""
    stack: list[Expression] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.Clock):
            return True
        parts = [] if isinstance(node, nodes.LastEvent) else children(node)
        stack += [part for _, part in parts if isinstance(part, Expression)]
    return False


def check_depth(expression: Expression) -> None:
    """Raise if a tree has more than `DEEPEST` levels."""
    level: list[Expression | Selection] = [expression]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise LimitError(
                f"the rule has more than {DEEPEST} levels.",
                code="too_deep",
                hint="Write all_of, any_of or at_least with many arguments instead of nesting.",
            )
        level = [child for node in level if not isinstance(node, nodes.Literal) for _, child in children(node)]


def check_limits(expression: Expression, limits: Limits) -> None:
    """Raise if a rule from outside has too many steps in a sequence, or too long a window."""
    longest = timedelta(days=366 * limits.years)
    for path, node in walk(expression):
        steps = len(node.steps) if isinstance(node, (nodes.Sequence, nodes.Stage)) else 0
        if isinstance(node, nodes.Sequence):
            steps = max(steps, len(node.exclude))
        if steps > limits.steps:
            raise LimitError(
                f"there are {steps:,} steps: {limits.steps} are allowed.", path=path, code="too_many_steps"
            )
        window = getattr(node, "window", None)
        for owner in (node, window):
            for name in ("within", "ago", "recent", "apart", "duration", "period"):
                span = getattr(owner, name, None)
                if isinstance(span, timedelta) and span > longest:
                    raise LimitError(
                        f"{name} is longer than the {limits.years} years allowed.", path=path, code="too_long_window"
                    )


def repeated(rules: Iterable[Expression]) -> set[str]:
    """Return the fingerprints of nodes that occur more than once in rules that are computed together.

    A rule itself counts twice, because other segments may refer to it.
    """
    seen: Counter[str] = Counter()
    for rule in rules:
        seen[rule.fingerprint] += 1
        for _, node in walk(rule):
            if isinstance(node, Expression) and not isinstance(node, nodes.Literal):
                seen[node.fingerprint] += 1
    return {key for key, count in seen.items() if count > 1}
