"""The plan of a test: how many people it needs, how long that takes, and the power of other sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.formats import format_number
from relmark.core.results import ColumnarResult
from relmark.experiments.design import DesignArgs
from relmark.experiments.metrics import Metric
from relmark.experiments.planning import SampleSize, detectable_effect, power, sample_size

__all__ = ["Plan"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Plan(ColumnarResult):
    """What a test needs, and the power of other sizes: one row per size.

    Attributes
    ----------
    size : SampleSize
        The people needed for the given effect and power.
    days : float
        How long the test takes with `people_per_day`; NaN without it.
    people : ndarray of int64, shape (k,)
        Sizes around the needed one, all arms together.
    power : ndarray of float64, shape (k,)
        The chance of finding the effect with each size.
    detectable : ndarray of float64, shape (k,)
        The smallest relative increase that each size finds with the given power; in the metric's unit if the baseline
        is 0.
    """

    size: SampleSize
    days: float = math.nan
    people: npt.NDArray[np.int64]
    power: FloatArray
    detectable: FloatArray

    @property
    def total(self) -> int:
        """The people needed, all arms together."""
        return self.size.total

    def _facts(self) -> dict[str, Any]:
        facts = self.size._facts()  # noqa: SLF001
        return facts if math.isnan(self.days) else facts | {"days": self.days}

    def _caption(self) -> str:
        need = ", ".join(f"{arm} {n:,}" for arm, n in self.size.people.items())
        size = self.size
        verb = "show" if size.margin else "find"
        said = f"{size.metric}: {size.total:,} people ({need}) {verb} {size.finds} in {100 * size.power:g} of 100 tests"
        return said if math.isnan(self.days) else f"{said}\nat the given pace: {format_number(self.days)} days"

    def __str__(self) -> str:
        return f"{self._caption()}\n{super().__str__()}"


_AROUND = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0])


def make_plan(
    metric: Metric,
    goal: Mapping[str, float | None],
    *,
    power_wanted: float,
    people_per_day: float | None,
    design: DesignArgs,
) -> Plan:
    """Return the plan of a test; `goal` has mde, difference and margin."""
    need = sample_size(metric, power=power_wanted, **goal, **design)
    sizes = np.maximum(np.ceil(_AROUND * need.total), 4).astype(np.int64)
    days = (
        math.nan
        if people_per_day is None
        else math.ceil(need.total / checks.positive("people_per_day", people_per_day))
    )
    absolute = math.isnan(need.mde) or metric.baseline == 0
    found = [detectable_effect(metric, people=int(n), power=power_wanted, absolute=absolute, **design) for n in sizes]
    return Plan(
        size=need,
        days=float(days),
        people=sizes,
        power=np.array([power(metric, people=int(n), **goal, **design) for n in sizes]),
        detectable=np.array(found),
    )
