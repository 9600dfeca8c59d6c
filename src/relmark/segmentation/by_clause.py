"""How many customers each clause of a rule leaves, and how many it alone excludes."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.core.results import ColumnarResult
from relmark.expressions.evaluate import BaseScope
from relmark.expressions.operators import Expression
from relmark.expressions.phrases import Phrases
from relmark.expressions.words import words_of
from relmark.segmentation.members import clauses_of

__all__ = ["ClauseCounts", "clause_counts"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ClauseCounts(ColumnarResult):
    """How a rule narrows a base, clause by clause.

    Attributes
    ----------
    name : str
        The name of the segment.
    of : int
        How many customers the base has.
    clause : ndarray of str, shape (c,)
        The clauses of the rule: the parts joined by ``&``, in order. Clause i stands at ``$.rule.args[i]`` of the
        stored form where there are two or more. Written in Python, or in words if `phrases` were given.
    true, unknown : ndarray of int, shape (c,)
        For how many customers this clause is true, and for how many it is unknown, regardless of the other clauses.
    left : ndarray of int, shape (c,)
        For how many customers this clause and all clauses before it are true.
    lost : ndarray of int, shape (c,)
        How many customers this clause removes from those whom the clauses before it left.
    only : ndarray of int, shape (c,)
        How many customers only this clause keeps out: every other clause is true of them.
    """

    name: str
    of: int
    clause: npt.NDArray[np.str_]
    true: IntArray
    unknown: IntArray
    left: IntArray
    lost: IntArray
    only: IntArray

    @property
    def size(self) -> int:
        """The number of members: customers for whom every clause is true."""
        return int(self.left[-1])

    def _facts(self) -> dict[str, Any]:
        return {"name": self.name, "of": self.of, "clauses": len(self.clause), "size": self.size}

    def _table(self) -> dict[str, Any]:
        return {name: self.to_columns()[name] for name in ("left", "lost", "only", "unknown", "clause")}


def clause_counts(name: str, rule: Expression, scope: BaseScope, phrases: Phrases | None = None) -> ClauseCounts:
    """Return the counts of a rule that was checked against the base."""
    parts = clauses_of(rule)
    said = [part.to_text() if phrases is None else words_of(part, phrases, rule=True) for part in parts]
    truths = [scope.truth(part) for part in parts]
    n = scope.n
    failing = np.zeros(n, dtype=np.int32)
    here = np.ones(n, dtype=np.bool_)
    left = []
    for truth in truths:
        failing += ~truth.true
        here &= truth.true
        left.append(int(np.count_nonzero(here)))
    alone = failing == 1
    counts = np.array(left, dtype=np.int64)
    return ClauseCounts(
        name=name,
        of=n,
        clause=np.array(said, dtype=np.str_),
        true=np.array([np.count_nonzero(truth.true) for truth in truths], dtype=np.int64),
        unknown=np.array(
            [0 if truth.unknown is None else np.count_nonzero(truth.unknown) for truth in truths], dtype=np.int64
        ),
        left=counts,
        lost=-np.diff(counts, prepend=n),
        only=np.array([np.count_nonzero(alone & ~truth.true) for truth in truths], dtype=np.int64),
    )
