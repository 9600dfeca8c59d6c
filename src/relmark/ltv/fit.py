"""What a fit found and how well: `FitReport`; and what was known before the data: `LogNormalPrior`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.intervals import Interval
from relmark.core.names import did_you_mean
from relmark.core.results import Result
from relmark.ltv._newton import BOX, Maximum, Terms, in_logarithms, maximise

FloatArray = npt.NDArray[np.float64]

# Below this a parameter is known no better than to a factor e^20: the data say nothing of it.
_LEAST_INFORMATION = 1 / 400


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FitReport(Result):
    """What maximum likelihood found, how surely, and what is wrong with it.

    Parameters
    ----------
    model : str
        The model's name.
    names : tuple of str
        The parameters, in the order of the arrays.
    parameters : ndarray, shape (k,)
        The estimates, in the units of the data.
    log_likelihood : float
        The sum over customers, in the units of the data, without the prior.
    n : float
        How many customers it was fitted to: the sum of the weights.
    evaluations : int
        How often the likelihood and its derivatives were computed.
    converged : bool
        Whether this is a maximum at which every parameter is determined by the data (or the prior).
    covariance : ndarray, shape (k, k)
        The inverse of the negative Hessian at the estimates; NaN where `converged` is false.
    problems : tuple of str
        In words, why `converged` is false.
    notes : tuple of str
        What was left out of the fit, or else should be known.
    with_prior : bool
        Whether a prior took part; the covariance then is that of the posterior's normal approximation.
    """

    model: str
    names: tuple[str, ...]
    parameters: FloatArray
    log_likelihood: float
    n: float
    evaluations: int
    converged: bool
    covariance: FloatArray
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    with_prior: bool = False

    @property
    def standard_errors(self) -> FloatArray:
        """The square roots of the covariance's diagonal, shape (k,)."""
        return np.sqrt(np.diagonal(self.covariance))

    @property
    def log_covariance(self) -> FloatArray:
        """The covariance of the parameters' logarithms, shape (k, k), by the delta method."""
        return self.covariance / np.outer(self.parameters, self.parameters)

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 k - 2 log-likelihood: smaller is better among models of the same data."""
        return 2.0 * len(self.names) - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """The Bayesian criterion, k ln(n) - 2 log-likelihood."""
        return len(self.names) * math.log(self.n) - 2.0 * self.log_likelihood

    def confidence_interval(self, level: float = 0.95) -> dict[str, Interval]:
        """Return an interval of each parameter: Wald's, in the logarithm, so that both ends are positive.

        Parameters
        ----------
        level : float
            The confidence, between 0 and 1.
        """
        from scipy.special import ndtri

        z = float(ndtri(0.5 + 0.5 * checks.fraction("level", level)))
        spread = np.exp(z * self.standard_errors / self.parameters)
        return {
            name: Interval(float(value / factor), float(value * factor), level, "Wald in the logarithm")
            for name, value, factor in zip(self.names, self.parameters, spread, strict=True)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return every field, and the standard errors and criteria, as JSON-ready values."""
        from relmark.core.results import json_ready

        extra = {"standard_errors": self.standard_errors, "aic": self.aic, "bic": self.bic}
        return {**Result.to_dict(self), **{name: json_ready(value) for name, value in extra.items()}}

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = dict(zip(self.names, self.parameters.tolist(), strict=True))
        facts |= {
            "log_likelihood": round(self.log_likelihood, 4),
            "customers": self.n,
            "converged": self.converged,
        }
        return facts | ({"problems": "; ".join(self.problems)} if self.problems else {})

    def __repr__(self) -> str:
        facts = ", ".join(
            f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self._facts().items()
        )
        return f"FitReport({self.model}: {facts})"

    def _table(self) -> dict[str, Any]:
        intervals = self.confidence_interval()
        return {
            self.model: list(self.names),
            "estimate": self.parameters.tolist(),
            "standard error": self.standard_errors.tolist(),
            "95 % low": [intervals[name].low for name in self.names],
            "95 % high": [intervals[name].high for name in self.names],
        }

    def __str__(self) -> str:
        said = [f"{'does not stand' if not self.converged else 'note'}: {text}" for text in self.problems + self.notes]
        last = f"log-likelihood {self.log_likelihood:,.4f}, {self.n:,.0f} customers, AIC {self.aic:,.2f}"
        return "\n".join([Result.__str__(self), last, *said])


@attrs.frozen(kw_only=True)
class LogNormalPrior:
    """What is known of the parameters before the data: a normal distribution of each one's logarithm.

    A prior of moderate width keeps a fit to few customers from running off along a ridge, and hardly moves one to
    many. Parameters that count time (alpha, beta of Pareto/NBD) have their median as a multiple of the mean age T, and
    v of Gamma-Gamma as a multiple of the mean spend, so that the unit of the data does not matter.

    Parameters
    ----------
    median : mapping of str to float, optional
        The median of each parameter; what is left out has the model's own start (r .5, alpha T / 4, a 1, b 2, ...).
    log_sd : float, or mapping of str to float
        The standard deviation of the logarithm: 1.5 says 'within a factor of 20 with 95 %'.

    Examples
    --------
    >>> LogNormalPrior(median={"r": .5, "alpha": .3}, log_sd=1.0)
    LogNormalPrior(median={'r': 0.5, 'alpha': 0.3}, log_sd=1.0)
    """

    median: Mapping[str, float] = attrs.field(factory=dict)
    log_sd: float | Mapping[str, float] = 1.5

    def __attrs_post_init__(self) -> None:
        """Refuse medians and deviations that are not positive."""
        for name, value in self.median.items():
            checks.positive(f"median[{name!r}]", value)
        if isinstance(self.log_sd, Mapping):
            for name, value in self.log_sd.items():
                checks.positive(f"log_sd[{name!r}]", value)
        else:
            checks.positive("log_sd", self.log_sd)

    def for_model(self, names: Sequence[str], start: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the means of theta = log(parameter / start) and the precisions, for the parameters of one model."""
        given = [*self.median, *(self.log_sd if isinstance(self.log_sd, Mapping) else ())]
        for name in given:
            if name not in names:
                known = ", ".join(names)
                raise InputError(f"the prior names {name!r}: the model has {known}.{did_you_mean(name, names)}")
        mean = np.array(
            [math.log(self.median[name] * scale[i] / start[i]) if name in self.median else 0.0
             for i, name in enumerate(names)]
        )  # fmt: skip
        if isinstance(self.log_sd, Mapping):
            deviation = np.array([self.log_sd.get(name, math.inf) for name in names], dtype=np.float64)
        else:
            deviation = np.full(len(names), float(self.log_sd))
        return mean, deviation**-2.0


class Fitted(NamedTuple):
    """The estimates of a fit and its report."""

    parameters: FloatArray
    report: FitReport


def fit_parameters(
    model: str,
    names: tuple[str, ...],
    likelihood: Callable[[FloatArray], Terms],
    *,
    start: Sequence[float],
    scale: Sequence[float],
    n: float,
    prior: LogNormalPrior | None,
    boundaries: Mapping[str, str],
    notes: tuple[str, ...] = (),
) -> Fitted:
    """Return the estimates of a model by maximum likelihood, or by maximum a posteriori with a prior.

    Parameters
    ----------
    model : str
        The model's name, for the report.
    names : tuple of str
        The parameters' names.
    likelihood : callable
        Parameters (k,) to log-likelihood, gradient and Hessian in the parameters.
    start : sequence of float
        Where to begin, in the units of the data.
    scale : sequence of float
        The unit of each parameter: 1, the mean age or the mean spend. A prior's medians are multiples of it.
    n : float
        The number of customers.
    prior : LogNormalPrior, optional
        What is known before the data.
    boundaries : mapping of str to str
        What it means where a parameter runs off, by 'name up' or 'name down'.
    notes : tuple of str
        What the caller left out.
    """
    begin, units = np.asarray(start, dtype=np.float64), np.asarray(scale, dtype=np.float64)
    if prior is not None and not isinstance(prior, LogNormalPrior):
        raise InputError(f"prior is {checks.shown(prior)}: a LogNormalPrior or None is needed.")
    mean, precision = prior.for_model(names, begin, units) if prior is not None else (begin * 0.0, begin * 0.0)

    def objective(theta: FloatArray) -> Terms:
        parameters = begin * np.exp(theta)
        value, gradient, hessian = in_logarithms(likelihood(parameters), parameters)
        away = theta - mean
        return (
            value - 0.5 * float(precision @ (away * away)),
            gradient - precision * away,
            hessian - np.diag(precision),
        )

    found = maximise(objective, len(names))
    parameters = begin * np.exp(found.theta)
    away = found.theta - mean
    log_likelihood = found.value + 0.5 * float(precision @ (away * away))
    problems = _problems(names, found, boundaries, near=BOX if prior is not None else BOX - 1.0)
    covariance = np.full((len(names), len(names)), np.nan)
    if not problems:
        covariance = np.linalg.inv(-found.hessian) * np.outer(parameters, parameters)
        covariance = 0.5 * (covariance + covariance.T)
    report = FitReport(
        model=model,
        names=names,
        parameters=parameters,
        log_likelihood=log_likelihood,
        n=float(n),
        evaluations=found.evaluations,
        converged=not problems,
        covariance=covariance,
        problems=problems,
        notes=notes,
        with_prior=prior is not None,
    )
    return Fitted(parameters, report)


def _problems(names: tuple[str, ...], found: Maximum, boundaries: Mapping[str, str], *, near: float) -> tuple[str, ...]:
    """Return in words why the place where Newton stopped is no proper maximum; nothing where it is one."""
    problems = []
    for name, theta, at_box in zip(names, found.theta, found.at_box, strict=True):
        if at_box or abs(theta) > near:
            way = "up" if theta > 0 else "down"
            meaning = boundaries.get(f"{name} {way}", "")
            where = "grows without bound" if way == "up" else "tends to zero"
            problems.append(f"{name} {where}{': ' + meaning if meaning else ''}")
    if problems:
        return tuple(problems)
    if not found.settled:
        return (f"the search ended after {found.evaluations} evaluations without a maximum",)
    roots, vectors = np.linalg.eigh(-found.hessian)
    if roots[0] < _LEAST_INFORMATION:
        loose = [name for name, part in zip(names, vectors[:, 0], strict=True) if abs(part) > 0.3]
        said = f"the likelihood is flat along {' and '.join(loose)}: the data determine a combination of them only."
        return (said + " Give a prior, more customers, or a simpler model",)
    return ()
