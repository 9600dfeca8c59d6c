"""The parts of a rule that are unknown for one person because a value is missing."""

from __future__ import annotations

from collections.abc import Iterator

from relmark.expressions import nodes
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Program
from relmark.expressions.scalar_person import Person
from relmark.expressions.walk import children

__all__ = ["unknown_parts"]


def unknown_parts(program: Program, root: Expression, person: Person, at: int) -> Iterator[Expression]:
    """Yield the innermost parts of an expression that are unknown for a person and make `root` unknown.

    A part that is known is left out, whatever is inside it: a filled field, or an `Or` with a true side. A part that is
    unknown although everything inside it is known (a division by zero) is itself yielded.
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
