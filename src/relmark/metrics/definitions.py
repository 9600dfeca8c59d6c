"""What each metric means: numerator, denominator and window in words, with the source of the definition.

Vendors give one name to different figures. Names here include the denominator, and `describe` returns the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from relmark.core.checks import one_of
from relmark.core.intervals import Estimate
from relmark.core.results import ColumnarResult, Result
from relmark.metrics.estimates import Estimates

__all__ = ["Definition", "MetricTable", "define", "describe"]


@attrs.frozen(kw_only=True, repr=False)
class Definition:
    """The meaning of a metric.

    Parameters
    ----------
    name : str
    numerator, denominator : str
        What is counted or summed above and below the line. The denominator is empty for a plain sum or count.
    window : str
        Which period counts.
    unit : str
        "share", "money", "per customer", "points", ...
    source : str
        Where the definition comes from, and who defines the metric differently.
    """

    name: str
    numerator: str
    denominator: str = ""
    window: str = ""
    unit: str = "share"
    source: str = ""

    def __str__(self) -> str:
        below = f" / {self.denominator}" if self.denominator else ""
        window = f"; {self.window}" if self.window else ""
        source = f" Source: {self.source}." if self.source else ""
        return f"{self.name} ({self.unit}) = {self.numerator}{below}{window}.{source}"

    def __repr__(self) -> str:
        return str(self)

    def to_dict(self) -> dict[str, str]:
        """Return the definition as JSON-ready values."""
        return {str(name): str(value) for name, value in attrs.asdict(self).items()}


_KNOWN: dict[str, Definition] = {}


def define(window: str, source: str, rows: Mapping[str, tuple[str, ...]]) -> dict[str, Definition]:
    """Return definitions that share a window and a source; each row is (numerator, denominator, unit, source)."""
    made = {}
    for name, (numerator, denominator, *rest) in rows.items():
        unit = rest[0] if rest else "share"
        made[name] = Definition(
            name=name, numerator=numerator, denominator=denominator, window=window, unit=unit,
            source=rest[1] if len(rest) > 1 else source,
        )  # fmt: skip
    _KNOWN.update({name: one for name, one in made.items() if name not in _KNOWN})
    return made


def describe(name: str) -> Definition:
    """Return the meaning of a metric: numerator, denominator, window in words, unit and source.

    Parameters
    ----------
    name : str
        A metric of this package, such as ``"open_rate"``.

    Examples
    --------
    >>> print(describe("click_to_open_rate").denominator)
    recipients who opened it; a click without a recorded open counts as an open
    """
    return _KNOWN[one_of("name", name, sorted(_KNOWN))]


class MetricTable(ColumnarResult):
    """A table of metrics: groups first, then counts, then figures with their intervals, with notes below."""

    __slots__ = ()

    def _definitions(self) -> Mapping[str, Definition]:
        """Return the definitions of the table's columns."""
        return {}

    def _window(self) -> str:
        """Return the window of this table in words, or "" if it is that of the definition."""
        return ""

    def describe(self, name: str) -> Definition:
        """Return the definition of one column of the table, with the window of this table."""
        known = self._definitions()
        one_of("name", name, known)
        window = self._window()
        return attrs.evolve(known[name], window=window) if window else known[name]

    def to_columns(self) -> dict[str, Any]:
        """Return the columns by name: groups, counts, and each figure with the ends of its interval."""
        columns: dict[str, Any] = {}
        for name in self._field_names():
            value = getattr(self, name)
            if name == "by":
                columns |= {key: column for key, column in value.items() if key not in columns}
            else:
                columns |= _columns_of(name, value)
        lengths = [len(column) for column in columns.values()]
        rows = lengths[0] if lengths else 0
        return {name: column for name, column in columns.items() if len(column) == rows}

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return {name: column for name, column in columns.items() if not name.endswith(("_low", "_high"))}

    def _lines(self) -> list[str]:
        found = [*getattr(self, "notes", ())]
        for name in self._field_names():
            value = getattr(self, name)
            if isinstance(value, Estimate) and value.reason and not value.reason.endswith("is not known"):
                found.append(f"{name}: {value.reason}")
            if isinstance(value, Estimates):
                reasons = [(row, reason) for row, reason in enumerate(value.reason) if reason]
                undefined = [
                    (row, reason)
                    for row, reason in reasons
                    if value.value[row] != value.value[row] and not reason.endswith("is not known")
                ]
                if undefined:
                    row, reason = undefined[0]
                    more = f" and {len(undefined) - 1:,} more" if len(undefined) > 1 else ""
                    found.append(f"{name} is undefined in row {row}{more}: {reason}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values; figures come with intervals and reasons."""
        return Result.to_dict(self)


def _columns_of(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Estimates):
        return value.columns(name)
    if isinstance(value, Estimate):
        column = {name: np.array([value.value])}
        if value.interval is not None:
            column |= {f"{name}_low": np.array([value.low]), f"{name}_high": np.array([value.high])}
        return column
    if hasattr(value, "ndim") and value.ndim == 1:
        return {name: value}
    return {}
