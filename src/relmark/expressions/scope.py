"""Evaluation of a tree over rows, as far as it is the same for customers and events.

A scope defines its leaves (fields and aggregates of customers, or properties of events); everything above them is the
same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmark.core.columns import Column
from relmark.expressions import nodes
from relmark.expressions.column_tests import (
    calculate,
    compare,
    constant,
    filled,
    is_between,
    is_empty,
    is_in,
    is_missing,
    matches,
)
from relmark.expressions.operators import Expression
from relmark.expressions.truth import Truth, all_true, any_true, at_least_true

__all__ = ["Scope"]


class Scope:
    """Rows over which a tree is evaluated.

    Parameters
    ----------
    n : int
        How many rows there are.
    tz : str
        The time zone of calendar dates.
    """

    def __init__(self, n: int, tz: str) -> None:
        self.n = n
        self.tz = tz

    def leaf(self, node: Expression) -> Column | Truth:
        """Return the value of a node that depends on the kind of scope."""
        raise AssertionError(f"{type(node).__name__} has no meaning here")  # kinds.problems refuses it earlier

    def truth(self, node: Expression) -> Truth:
        """Return the value of a boolean node as a `Truth`."""
        found = self.compute(node)
        return found if isinstance(found, Truth) else Truth.of_column(found)

    def column(self, node: Expression) -> Column:
        """Return the value of any node as a column."""
        found = self.compute(node)
        return found.column() if isinstance(found, Truth) else found

    def compute(self, node: Expression) -> Column | Truth:
        """Return the value of a node, row by row."""
        match node:
            case nodes.And(args=args):
                return all_true([self.truth(arg) for arg in args])
            case nodes.Or(args=args):
                return any_true([self.truth(arg) for arg in args])
            case nodes.Not(arg=arg):
                return ~self.truth(arg)
            case nodes.AtLeast(n=n, args=args):
                return at_least_true(n, [self.truth(arg) for arg in args])
            case nodes.Compare(op=op, left=left, right=right):
                return self._compare(op, left, right)
            case nodes.Between(arg=arg, low=low, high=high):
                return is_between(self.column(arg), low.value, high.value, self.tz)
            case nodes.IsIn(arg=arg, values=values):
                return is_in(self.column(arg), values, self.tz)
            case nodes.IsNull(arg=arg):
                missing = is_missing(self.column(arg))
                return Truth.constant(value=False, n=self.n) if missing is None else Truth(missing)
            case nodes.IsEmpty(arg=arg):
                return is_empty(self.column(arg))
            case nodes.Matches(op=op, arg=arg, values=values, casefold=casefold):
                return matches(op, self.column(arg), values, casefold=casefold)
            case nodes.Literal(value=value):
                return constant(value, self.n)
            case nodes.Fill(arg=arg, value=value):
                return filled(self.column(arg), value.value)
            case nodes.Arithmetic(op=op, left=left, right=right):
                return calculate(op, self.column(left), self.column(right))
        return self.leaf(node)

    def _compare(self, op: str, left: Expression, right: Expression) -> Truth:
        other: Any = right.value if isinstance(right, nodes.Literal) else self.column(right)
        return compare(op, self.column(left), other, self.tz)


def spread(values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any] | None, n: int, default: Any = False) -> Any:
    """Return figures of the log's customers as n rows of the base; None for `rows` means that these are the same."""
    if rows is None:
        return values
    if values.dtype == np.bool_:
        other = ~values if default else values
        if np.count_nonzero(other) < len(other) // 8:  # if few values differ from the default, write only these
            out = np.full(n, default) if default else np.zeros(n, dtype=np.bool_)
            out[rows[np.flatnonzero(other)]] = not default
            return out
    out = np.full(n, default, dtype=values.dtype)
    out[rows] = values
    return out
