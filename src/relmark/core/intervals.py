"""A figure with its uncertainty: `Estimate` holds a value and its `Interval`."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import attrs

from relmark.core.formats import format_number
from relmark.core.results import json_ready

__all__ = ["Estimate", "Interval"]


@attrs.frozen
class Interval:
    """A range that covers the true figure with a stated confidence, by a named method.

    Parameters
    ----------
    low, high : float
        The ends, inclusive; -inf, inf or NaN if the method gives no bound.
    level : float
        The confidence, between 0 and 1.
    method : str
        The name of the method, such as ``"Newcombe"``.

    Examples
    --------
    >>> Interval(.0524, .3339, .95, "Newcombe")
    [0.0524, 0.3339] (95 %, Newcombe)
    """

    low: float
    high: float
    level: float = 0.95
    method: str = ""

    def __contains__(self, value: object) -> bool:
        """Tell whether a number lies within the interval."""
        return isinstance(value, Real) and self.low <= float(value) <= self.high

    @property
    def width(self) -> float:
        """The distance between the ends."""
        return self.high - self.low

    def __repr__(self) -> str:
        method = f", {self.method}" if self.method else ""
        return f"[{format_number(self.low)}, {format_number(self.high)}] ({100 * self.level:g} %{method})"

    def to_dict(self) -> dict[str, Any]:
        """Return the interval as JSON-ready values."""
        low, high = json_ready(float(self.low)), json_ready(float(self.high))
        return {"low": low, "high": high, "level": float(self.level), "method": self.method}


@attrs.frozen
class Estimate:
    """A figure with its interval, or NaN with the reason why it is undefined.

    Parameters
    ----------
    value : float
        The figure.
    interval : Interval, optional
        Its interval, if one exists.
    reason : str
        Why the figure or its interval is undefined; empty if both are defined.

    Examples
    --------
    >>> Estimate(.2, Interval(.0524, .3339, .95, "Newcombe"))
    0.2 [0.0524, 0.3339] (95 %, Newcombe)
    """

    value: float
    interval: Interval | None = None
    reason: str = ""

    @property
    def low(self) -> float:
        """The lower end of the interval, NaN without one."""
        return self.interval.low if self.interval is not None else math.nan

    @property
    def high(self) -> float:
        """The upper end of the interval, NaN without one."""
        return self.interval.high if self.interval is not None else math.nan

    def __float__(self) -> float:
        """Return the figure alone."""
        return float(self.value)

    def __repr__(self) -> str:
        parts = [format_number(self.value)]
        if self.interval is not None:
            parts.append(repr(self.interval))
        if self.reason:
            parts.append(f"({self.reason})")
        return " ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON-ready values."""
        interval = None if self.interval is None else self.interval.to_dict()
        return {"value": json_ready(float(self.value)), "interval": interval, "reason": self.reason}
