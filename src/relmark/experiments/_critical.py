"""What decides how many standard errors an interval reaches, if it is not Student's quantile."""

from __future__ import annotations

from typing import Protocol

from relmark.core.checks import FloatArray


class Critical(Protocol):
    """What decides how many standard errors an interval reaches, in place of Student's quantile."""

    name: str
    level: float

    def critical(self, alpha: FloatArray, n: FloatArray) -> FloatArray:
        """Return the multiplier of the standard error."""
        ...

    def p_value(self, z: FloatArray, n: FloatArray) -> FloatArray:
        """Return the p-value that holds at any look."""
        ...
