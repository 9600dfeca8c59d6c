"""Known differences between customers as columns: read and checked, and standardized for a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frames import Frame, columns_of
from relmark.core.frozen import owned
from relmark.core.ids import Coded
from relmark.core.names import did_you_mean
from relmark.core.time import UtcTimes

CovariateColumns: TypeAlias = Mapping[str, npt.ArrayLike] | Frame
"""Columns by name, of a mapping or of a frame."""

_WORDS = "Make a column of 0 and 1 for each word but one."
# The variance of a standardized column that the others do not explain: below this, only rounding is left.
_COLLINEAR = 1e-10
_CONSTANT = 1e-9


class Design(NamedTuple):
    """The columns of one part of a model, standardized to mean 0 and variance 1."""

    names: tuple[str, ...]
    matrix: FloatArray  # (n, k)
    mean: FloatArray
    sd: FloatArray
    notes: tuple[str, ...]

    def take(self, rows: Any) -> Design:
        """Return the design of some rows, on the same scale."""
        return self._replace(matrix=self.matrix[rows])


def read_covariates(argument: str, given: CovariateColumns | None, length: int | None = None) -> dict[str, FloatArray]:
    """Return numeric or boolean columns by name as read-only float64, aligned with `length` rows."""
    if given is None:
        return {}
    found: dict[str, FloatArray] = {}
    for name, column in columns_of(given).items():
        if not isinstance(name, str) or not name:  # type: ignore[redundant-expr]
            raise InputError(
                f"{argument} has a column named {checks.shown(name)}: a text that is not empty is needed.",
                argument=argument,
                code="wrong_type",
                hint="Rename the column.",
            )
        where = f"{argument}[{name!r}]"
        if isinstance(column, (Coded, UtcTimes)) or np.asarray(column).dtype.kind in "USTmM":
            raise InputError(
                f"{where} holds words or times: numbers or booleans are needed.",
                argument=argument,
                code="wrong_type",
                hint=_WORDS,
            )
        found[name] = owned(checks.numbers(where, column, length=length))
    return found


def chosen(argument: str, given: Any, carried: Mapping[str, FloatArray], length: int) -> dict[str, FloatArray]:
    """Return the columns of one part of a model, given as columns or as names of columns that the summary has."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, (list, tuple)) and all(isinstance(name, str) for name in given):
        for name in given:
            if name not in carried:
                there = f"has {', '.join(map(repr, carried))}" if carried else "has no covariates"
                raise MissingColumnError(
                    f"{argument} names {name!r}: the summary {there}.{did_you_mean(name, carried)}",
                    argument="covariates",
                    hint="Give the columns to summary.with_covariates first.",
                )
        return {name: carried[name] for name in given}
    return read_covariates(argument, given, length)


def design(role: str, columns: Mapping[str, FloatArray], weights: FloatArray | None, length: int) -> Design:
    """Return the columns standardized; those that are constant or follow from others are left out, with a note."""
    kept: list[str] = []
    matrix: list[FloatArray] = []
    basis: list[FloatArray] = []
    means, deviations, notes = [], [], []
    share = np.full(length, 1.0 / length) if weights is None else weights / weights.sum()
    for name, column in columns.items():
        mean = float(share @ column)
        away = column - mean
        sd = float(np.sqrt(share @ (away * away)))
        if sd <= _CONSTANT * float(np.abs(column).max(initial=0.0)) or sd == 0.0:
            notes.append(f"{role}: {name!r} is the same for all customers, and was left out")
            continue
        standard = away / sd
        rest = standard.copy()
        for _ in range(2):  # twice is enough to be orthogonal to rounding
            for other in basis:
                rest -= float((share * rest) @ other) * other
        left = float(share @ (rest * rest))
        if left < _COLLINEAR:
            notes.append(f"{role}: {name!r} follows from the columns before it, and was left out")
            continue
        basis.append(rest / np.sqrt(left))
        kept.append(name)
        matrix.append(standard)
        means.append(mean)
        deviations.append(sd)
    return Design(
        tuple(kept),
        np.column_stack(matrix) if matrix else np.empty((length, 0)),
        np.array(means, dtype=np.float64),
        np.array(deviations, dtype=np.float64),
        tuple(notes),
    )
