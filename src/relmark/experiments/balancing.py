"""Were the arms alike before the campaign? And how to draw them so that they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import NotEnoughDataError
from relmark.core.formats import format_number
from relmark.core.results import ColumnarResult, Result
from relmark.experiments.analysis import analyze
from relmark.experiments.metrics import Mean
from relmark.experiments.moments import Moments
from relmark.experiments.validity import Check

if TYPE_CHECKING:
    from relmark.experiments.experiment import Experiment

__all__ = ["Balance", "BalancedSalt", "balance", "balanced_salt"]

FloatArray = npt.NDArray[np.float64]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Balance(ColumnarResult):
    """How alike the arms were before the campaign: one row for each column and arm against control.

    Attributes
    ----------
    column, arm : ndarray of str
    control, treatment : ndarray of float64
        Means.
    difference : ndarray of float64
        The standardized mean difference: the difference of means over the root of the mean of the two variances.
    p_value : ndarray of float64
        Welch's test of equal means.
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
        """Return whether any column differs more than a fair draw explains (Bonferroni over the columns)."""
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
        advice = "" if passed else ". The arms were not drawn alike: look for the cause, and adjust at least"
        return Check(name="balance", passed=passed, statistic=self.worst, p_value=p, message=found + advice)


def balance(
    data: Mapping[str, Any] | Moments | Any,
    arm: Any = None,
    *,
    columns: Sequence[str] | None = None,
    control: str | int | None = None,
) -> Balance:
    """Compare the arms on what was known before the campaign.

    Parameters
    ----------
    data : mapping of str to array_like, dataframe, or Moments
        Columns from before the campaign, one row a person.
    arm : Assignment or array_like
        The arm of each row; not given with Moments.
    columns : sequence of str, optional
        Which columns; all without it.
    control : str, optional

    Returns
    -------
    Balance
    """
    moments = data if isinstance(data, Moments) else Moments.from_columns(data, arm, names=columns)
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


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BalancedSalt(Result):
    """An experiment whose salt draws arms that are alike, and how it was found.

    Attributes
    ----------
    experiment : Experiment
        With the salt that was found.
    salt : str
    tries : int
        How many salts were looked at.
    threshold : float
    balance : Balance
    """

    experiment: Any
    salt: str
    tries: int
    threshold: float
    balance: Balance

    def _facts(self) -> dict[str, Any]:
        return {"salt": self.salt, "tries": self.tries, "worst difference": self.balance.worst}

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values."""
        return {"experiment": self.experiment.to_dict(), "salt": self.salt, "tries": self.tries} | {
            "threshold": self.threshold,
            "balance": self.balance.to_dict(),
        }


def balanced_salt(
    experiment: Experiment,
    ids: npt.ArrayLike,
    columns: Mapping[str, npt.ArrayLike],
    *,
    threshold: float = 0.05,
    tries: int = 100,
) -> BalancedSalt:
    """Look for a salt with which the arms are alike on what is known already, before anything is sent.

    Parameters
    ----------
    experiment : Experiment
    ids : array_like, shape (n,)
        The customers.
    columns : mapping of str to array_like, shape (n,)
        What is known of them: spend and orders before, age.
    threshold : float
        The largest standardized difference that is accepted.
    tries : int
        How many salts are looked at; a number is put behind the experiment's own.

    Raises
    ------
    NotEnoughDataError
        No salt was good enough; the message says how close the best came.

    Notes
    -----
    Choosing among draws by balance is rerandomization: intervals then cover more than they say where the outcome goes
    with the columns, unless these are covariates of the analysis, which they should be.

    References
    ----------
    K. L. Morgan and D. B. Rubin (2012), Annals of Statistics 40, 1263-1282.
    """
    limit = checks.positive("threshold", threshold)
    most = checks.whole("tries", tries, low=1)
    best = math.inf
    for number in range(most):
        salt = f"{experiment.salt or experiment.name}/{number}"
        candidate = attrs.evolve(experiment, salt=salt)
        found = balance(columns, candidate.assign(ids), control=experiment.control_arm)
        if found.worst <= limit:
            return BalancedSalt(experiment=candidate, salt=salt, tries=number + 1, threshold=limit, balance=found)
        best = min(best, found.worst)
    raise NotEnoughDataError(
        f"none of {most} salts has every difference within {limit:g}: the best has {best:.3g}. "
        "Allow more (threshold=), look at more (tries=), or use stratified_assignment."
    )
