"""Which clause of a rule costs how many people: left after each, and excluded by it alone."""

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
        The segment.
    of : int
        Everybody of the base.
    clause : ndarray of str, shape (c,)
        The parts joined by ``&``, in their order: clause i stands at ``$.rule.args[i]`` of the stored form where there
        are two or more. In Python, or in words where `phrases` were given.
    true, unknown : ndarray of int, shape (c,)
        For how many this clause is true, and for how many unknown, whatever the others say.
    left : ndarray of int, shape (c,)
        For how many this clause and all before it are true.
    lost : ndarray of int, shape (c,)
        How many fewer that is than before the clause.
    only : ndarray of int, shape (c,)
        How many this clause alone keeps out: every other clause is true of them.
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
        """How many are left at the end: the members."""
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
