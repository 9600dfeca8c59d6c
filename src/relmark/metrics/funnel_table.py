"""The table of a funnel: how many reached each step, how many were lost there, and how long conversions took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, fraction
from relmark.core.results import Result
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates

__all__ = ["Funnel", "TimeToConvert"]

DEFINITIONS = define(
    "up to as_of; each step strictly later than the one before and within the window from the first, its end included",
    "tools differ: Mixpanel counts the first attempt or any attempt, some tools count open windows as lost",
    {
        "rates": ("entrants who reached the step", "entrants"),
        "step_rates": ("entrants who reached the step", "entrants who reached the step before"),
        "closed_rates": ("entrants whose windows have all ended and who reached the step",
                         "entrants whose windows have all ended"),
        "lost": ("entrants who got this far and no further, and have no window left", "", "people or attempts"),
        "still_open": ("entrants who got this far and whose window has not ended", "", "people or attempts"),
    },
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TimeToConvert(Result):
    """How long completed attempts took from the first step to the last.

    Parameters
    ----------
    seconds : ndarray of float64, shape (n,)
        The times in seconds, in ascending order.
    """

    seconds: FloatArray

    def __len__(self) -> int:
        """Return the number of conversions."""
        return len(self.seconds)

    @property
    def mean(self) -> timedelta | None:
        """The mean; None if nobody converted."""
        return _span(math.fsum(self.seconds) / len(self.seconds)) if len(self.seconds) else None

    @property
    def median(self) -> timedelta | None:
        """The median; None if nobody converted."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> timedelta | None:
        """Return the time within which a share q of the conversions happened, interpolated linearly."""
        fraction("q", q, open_ends=False)
        return _span(float(np.quantile(self.seconds, q))) if len(self.seconds) else None

    def _facts(self) -> dict[str, Any]:
        said = {"conversions": len(self), "mean": self.mean, "median": self.median, "p90": self.quantile(0.9)}
        return {name: one for name, one in said.items() if one is not None}


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Funnel(MetricTable):
    """A funnel with one row per step; with groups, the steps of one group follow those of another.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (k,)
        The name of each row's group.
    step : ndarray of str, shape (k,)
        The name of the step.
    counts : ndarray of int64, shape (k,)
        How many people (or attempts) reached the step; for the first step, all who entered.
    rates : Estimates
        Their share of those who entered.
    step_rates : Estimates
        Their share of those who reached the step before.
    deepest : ndarray of int64, shape (k,)
        How many reached the step and no further one.
    still_open : ndarray of int64, shape (k,)
        How many of these have a window that has not ended. Without `within`, windows never end.
    lost : ndarray of int64, shape (k,)
        How many of these have no open window left; 0 for the last step.
    closed_counts : ndarray of int64, shape (k,)
        Like `counts`, but only for entrants all of whose windows have ended.
    closed_rates : Estimates
        `closed_counts` divided by these entrants: where a rate ends up once everybody has had the time.
    median_time : ndarray of timedelta64[us], shape (k,)
        The median time from the step before, over completed attempts; NaT for the first step, and if nobody converted.
    time_to_convert : TimeToConvert
    counted : str
        "people" or "attempts".
    as_of : datetime64
    window : str
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    step: npt.NDArray[Any]
    counts: IntArray
    rates: Estimates
    step_rates: Estimates
    deepest: IntArray
    still_open: IntArray
    lost: IntArray
    closed_counts: IntArray
    closed_rates: Estimates
    median_time: npt.NDArray[np.timedelta64]
    time_to_convert: TimeToConvert
    counted: str
    as_of: np.datetime64
    window: str
    steps: int
    notes: tuple[str, ...] = ()

    @property
    def entered(self) -> int:
        """How many entered, over all groups."""
        return int(self.counts[:: self.steps].sum())

    @property
    def converted(self) -> int:
        """How many reached the last step, over all groups."""
        return int(self.counts[self.steps - 1 :: self.steps].sum())

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _window(self) -> str:
        return self.window

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        names = (*self.by, "step", "counts", "rates", "step_rates", "lost", "still_open", "closed_rates", "median_time")
        return {name: columns[name] for name in names}


def _span(seconds: float) -> timedelta:
    return timedelta(microseconds=round(seconds * 1e6))
