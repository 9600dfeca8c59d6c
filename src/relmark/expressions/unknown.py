"""What is missing to a verdict: the parts of a rule that are unknown of one person because a value is."""

from __future__ import annotations

from collections.abc import Iterator

from relmark.expressions import nodes
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Program
from relmark.expressions.scalar_person import Person
from relmark.expressions.walk import children

__all__ = ["unknown_parts"]


def unknown_parts(program: Program, root: Expression, person: Person, at: int) -> Iterator[Expression]:
    """Yield the innermost parts of an expression that are unknown of a person, and make `root` unknown.

    A part that is known has nothing missing, whatever is inside it: a filled field, an `Or` of which one side holds. A
    part that is unknown although all inside it is known (a division by zero) is named itself.
    """
    stack = [root]
    while stack:
        node = stack.pop()
        if program.call(node)(person, at) is not None:
            continue
        inner = [] if isinstance(node, nodes.LastEvent) else [c for _, c in children(node) if isinstance(c, Expression)]
        unknown = [child for child in inner if program.call(child)(person, at) is None]
        if unknown:
            stack += reversed(unknown)
        else:
            yield node
