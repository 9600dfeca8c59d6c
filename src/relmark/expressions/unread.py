"""A stand-in for a part of a rule that could not be read, with its readable parts, so that these are checked too."""

from __future__ import annotations

from typing import ClassVar

import attrs

from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection

__all__ = ["Unread"]


@attrs.frozen(eq=False, repr=False)
class Unread(Expression):
    """A node with a problem, in a definition that is only checked; it is never part of a rule that is evaluated.

    Attributes
    ----------
    parts : tuple of (str, Expression or Selection)
        The parts that could be read, each with its path.
    """

    op: ClassVar[str] = "unread"
    parts: tuple[tuple[str, Expression | Selection], ...] = ()
