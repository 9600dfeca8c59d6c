"""Intervals for any prediction, from the covariance of the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, Self

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import ColumnarResult
from relmark.ltv.fit import FitReport

# The step of a log parameter. That of a coefficient is ten times as large, in standard errors: the error of central
# differences is of the order of its square.
_STEP = 1e-4


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PredictionInterval(ColumnarResult):
    """A prediction with an interval for each of its values.

    Parameters
    ----------
    value, low, high : ndarray
        The prediction and the ends of its interval, in the shape of the prediction; a number becomes shape (1,).
    level : float
        The confidence level.
    method : str
        "delta" or "draws".
    reason : str
        Why there is no interval; empty if there is one.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    level: float
    method: str
    reason: str = ""

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """One Estimate for each value, in the order of the flattened prediction."""
        said = "delta method" if self.method == "delta" else "parameter draws"
        return tuple(
            Estimate(value, None if self.reason else Interval(low, high, self.level, said), self.reason)
            for value, low, high in zip(*(a.ravel().tolist() for a in (self.value, self.low, self.high)), strict=True)
        )


class Estimated(Protocol):
    """A model with parameters and the report of its fit."""

    @property
    def fit_report(self) -> FitReport | None:
        """How the fit went."""

    @property
    def parameters(self) -> FloatArray:
        """The parameters, shape (k,)."""

    def with_parameters(self, parameters: npt.ArrayLike) -> Self:
        """Return the same model with other parameters."""


def prediction_interval(
    model: Estimated,
    prediction: Callable[[Any], npt.ArrayLike],
    *,
    level: float,
    method: str,
    resamples: int,
    rng: np.random.Generator | int | None,
) -> PredictionInterval:
    """Return a prediction of a fitted model with its interval; `ParametricModel.interval` says how."""
    checks.fraction("level", level)
    checks.one_of("method", method, ("delta", "draws"))
    checks.whole("resamples", resamples, low=20)
    value = np.atleast_1d(np.asarray(prediction(model), dtype=np.float64))
    report = model.fit_report
    nothing = np.full(value.shape, np.nan)
    if report is None:
        reason = "the model was not fitted, so its parameters have no covariance"
        return PredictionInterval(value=value, low=nothing, high=nothing, level=level, method=method, reason=reason)
    if not report.converged:
        reason = f"the fit did not converge: {'; '.join(report.problems)}"
        return PredictionInterval(value=value, low=nothing, high=nothing, level=level, method=method, reason=reason)
    in_logs, given = report.in_logarithms, model.parameters
    theta = np.where(in_logs, np.log(np.where(in_logs, given, 1.0)), given)
    steps = np.where(in_logs, _STEP, _STEP * 10.0 * report.standard_errors)

    def at(logs: FloatArray) -> FloatArray:
        parameters = np.where(in_logs, np.exp(np.where(in_logs, logs, 0.0)), logs)
        result = np.asarray(prediction(model.with_parameters(parameters)), dtype=np.float64)
        return np.atleast_1d(result)

    if method == "draws":
        sample = checks.generator(rng).multivariate_normal(theta, report.log_covariance, size=resamples, method="eigh")
        drawn = np.stack([at(logs) for logs in sample])
        low, high = np.quantile(drawn, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0)
    else:
        slope = np.stack([(at(theta + step) - at(theta - step)) / (2 * step.sum()) for step in np.diag(steps)])
        variance = np.einsum("i...,ij,j...->...", slope, report.log_covariance, slope)
        spread = ndtri(0.5 + 0.5 * level) * np.sqrt(np.maximum(variance, 0.0))
        low, high = value - spread, value + spread
    return PredictionInterval(value=value, low=low, high=high, level=level, method=method)
