"""A column of true, false and unknown: Kleene's three-valued logic on whole arrays."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from relmark.core.checks import BoolArray
from relmark.core.columns import Column

__all__ = ["Truth", "all_true", "any_true", "at_least_true"]


@attrs.frozen(eq=False)
class Truth:
    """Which rows are true and which are unknown, never both; None means that no row is unknown, and saves an array."""

    true: BoolArray
    unknown: BoolArray | None = None

    @classmethod
    def of(cls, true: BoolArray, missing: BoolArray | None) -> Truth:
        """Return a `Truth` from the result of a test and a mask of the rows with missing values."""
        if missing is None or not missing.any():
            return cls(true)
        return cls(true & ~missing, missing)

    @classmethod
    def constant(cls, *, value: bool, n: int) -> Truth:
        """Return n rows of true, or of false."""
        return cls(np.full(n, value))

    @classmethod
    def of_column(cls, column: Column) -> Truth:
        """Return a boolean column as a `Truth`; rows without a value are unknown."""
        missing = column.missing
        return cls.of((column.data == 1) & ~missing, missing)

    def column(self) -> Column:
        """Return it as a boolean column."""
        data = self.true.astype(np.int8)
        if self.unknown is not None:
            data[self.unknown] = -1
        return Column("boolean", data)

    def __invert__(self) -> Truth:
        if self.unknown is None:
            return Truth(~self.true)
        return Truth(~(self.true | self.unknown), self.unknown)

    def __and__(self, other: Truth) -> Truth:
        true = self.true & other.true
        if self.unknown is None and other.unknown is None:
            return Truth(true)
        return Truth(true, self.possible & other.possible & ~true)

    def __or__(self, other: Truth) -> Truth:
        true = self.true | other.true
        if self.unknown is None and other.unknown is None:
            return Truth(true)
        return Truth(true, (self.possible | other.possible) & ~true)

    @property
    def possible(self) -> BoolArray:
        """Which rows are true or unknown."""
        return self.true if self.unknown is None else self.true | self.unknown


def all_true(parts: Sequence[Truth]) -> Truth:
    """Return whether all parts are true, row by row."""
    result = parts[0]
    for part in parts[1:]:
        result = result & part
    return result


def any_true(parts: Sequence[Truth]) -> Truth:
    """Return whether any part is true, row by row."""
    result = parts[0]
    for part in parts[1:]:
        result = result | part
    return result


def at_least_true(n: int, parts: Sequence[Truth]) -> Truth:
    """Return whether n or more parts are true, row by row."""
    true = np.zeros(len(parts[0].true), dtype=np.int32)
    possible = np.zeros(len(parts[0].true), dtype=np.int32)
    for part in parts:
        true += part.true
        possible += part.possible
    return Truth.of(true >= n, (possible >= n) & (true < n))
