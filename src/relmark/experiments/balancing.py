"""How similar the arms were before the campaign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.core.formats import format_number
from relmark.core.frames import Frame
from relmark.core.results import ColumnarResult
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import Assignment
from relmark.experiments.metrics import Mean
from relmark.experiments.moments import Moments
from relmark.experiments.validity import Check

__all__ = ["Balance", "balance"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Balance(ColumnarResult):
    """How similar the arms were before the campaign: one row for each column and each arm compared with control.

    Attributes
    ----------
    column, arm : ndarray of str
        What was compared.
    control, treatment : ndarray of float64
        The means of control and of the arm.
    difference : ndarray of float64
        The standardized mean difference: the difference of means divided by the root of the mean of both variances.
    p_value : ndarray of float64
        The p-value of Welch's test of equal means.
    """

    column: npt.NDArray[np.str_]
    arm: npt.NDArray[np.str_]
    control: FloatArray
    treatment: FloatArray
    difference: FloatArray
    p_value: FloatArray

    @property
    def worst(self) -> float:
        """The largest absolute standardized difference."""
        found = np.abs(self.difference)
        return float(np.nanmax(found)) if np.isfinite(found).any() else math.nan

    def check(self, *, alpha: float = 0.001) -> Check:
        """Return a check of whether any column differs more than a fair draw explains (Bonferroni over all rows)."""
        known = self.p_value[np.isfinite(self.p_value)]
        least = float(known.min()) if len(known) else math.nan
        p = min(least * len(known), 1.0) if len(known) else math.nan
        passed = not p < alpha
        if not len(known):
            return Check(name="balance", passed=True, message="nothing varies before the campaign")
        at = int(np.nanargmin(self.p_value))
        found = (
            f"farthest apart is {self.column[at]}: {self.arm[at]} {format_number(self.treatment[at])}, control "
            f"{format_number(self.control[at])}; p {format_number(p)} over {len(known)} comparisons"
        )
        advice = "" if passed else ". The arms were not drawn fairly: look for the cause, and at least adjust for it"
        return Check(name="balance", passed=passed, statistic=self.worst, p_value=p, message=found + advice)


def balance(
    data: Moments | Frame,
    arms: Assignment | npt.ArrayLike | str | None = None,
    *,
    columns: Sequence[str] | None = None,
    control: str | int | None = None,
) -> Balance:
    """Compare the arms on what was known before the campaign.

    Parameters
    ----------
    data : mapping of str to array_like, dataframe, or Moments
        Columns from before the campaign, one row per person.
    arms : Assignment, array_like, or str
        The arm of each row, or the column that has it; not given with Moments.
    columns : sequence of str, optional
        The columns to compare; all by default.
    control : str, optional
        The arm that the others are compared with; "control" by default.

    Returns
    -------
    Balance
    """
    moments = data if isinstance(data, Moments) else Moments.from_columns(data, arms, names=columns)
    names = moments.columns if columns is None else tuple(columns)
    report = analyze(moments.total(), metrics=[Mean(name) for name in names], control=control)
    at0 = moments.arms.index(report.control_arm)
    variance = np.diagonal(moments.total().covariance()[:, 0], axis1=-2, axis2=-1)
    place = [moments.position(name) for name in report.metric.tolist()]
    arms = [moments.arms.index(name) for name in report.arm.tolist()]
    scale = np.sqrt((variance[at0, place] + variance[arms, place]) / 2)
    return Balance(
        column=report.metric,
        arm=report.arm,
        control=report.control,
        treatment=report.treatment,
        difference=np.divide(report.difference, scale, out=np.full(len(scale), np.nan), where=scale > 0),
        p_value=report.p_value,
    )
