"""What a fit found and how well: `FitReport`. What is known before the data: `LogNormalPrior`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtri

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.intervals import Interval
from relmark.core.names import did_you_mean
from relmark.core.newton import BOX, Maximum, Terms, in_logarithms, maximize
from relmark.core.results import Result, json_ready

# Below this a parameter is known no better than to a factor e^20: the data say nothing about it.
_LEAST_INFORMATION = 1 / 400
# Above this every combination of log parameters is known to a standard error of 1/2 or better.
_SHARP = 4.0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LikelihoodRatioTest(Result):
    """Whether a model is better than a simpler special case of it by more than luck.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    degrees_of_freedom : int
        How many more parameters the model has.
    p_value : float
        How often luck alone would give a statistic this large, by the chi-squared distribution.
    """

    statistic: float
    degrees_of_freedom: int
    p_value: float

    def __str__(self) -> str:
        return (
            f"likelihood ratio {self.statistic:,.2f} on {self.degrees_of_freedom} degrees of freedom, "
            f"p {self.p_value:.2g}"
        )


def likelihood_ratio_test(gain: float, more: int) -> LikelihoodRatioTest:
    """Return the test of a gain in log-likelihood from `more` additional parameters; a loss counts as no gain."""
    statistic = max(2.0 * gain, 0.0)
    return LikelihoodRatioTest(statistic=statistic, degrees_of_freedom=more, p_value=float(chdtrc(more, statistic)))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FitReport(Result):
    """What maximum likelihood found, how precisely, and what is wrong with it.

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
        The reasons, in words, why `converged` is false.
    notes : tuple of str
        What was left out of the fit, and other things to know about it.
    with_prior : bool
        Whether a prior was used; the covariance is then that of the posterior's normal approximation.
    starts : int
        The number of places from which the search began. The best result is reported; `notes` says where there is
        another maximum.
    chosen : int
        The number of further values that were chosen from the data and are not in the covariance, such as k in
        `MbgCnbd.fit(s, k="auto")`. The criteria count them as parameters.
    coefficients : tuple of str
        The names that are coefficients of covariates. They may have any sign, and their intervals are symmetric.
    penalty : float
        The ridge penalty on the coefficients; the covariance is then that of the penalized likelihood.
    likelihood_ratio : LikelihoodRatioTest, optional
        The test of the model against the one without covariates, if they were fitted with neither a penalty nor a
        prior.
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
    starts: int = 1
    chosen: int = 0
    coefficients: tuple[str, ...] = ()
    penalty: float = 0.0
    likelihood_ratio: LikelihoodRatioTest | None = None

    @property
    def in_logarithms(self) -> npt.NDArray[np.bool_]:
        """Which estimates are always positive and have their intervals in the logarithm, shape (k,)."""
        return np.array([name not in self.coefficients for name in self.names], dtype=np.bool_)

    @property
    def standard_errors(self) -> FloatArray:
        """The square roots of the covariance's diagonal, shape (k,)."""
        return np.sqrt(np.diagonal(self.covariance))

    @property
    def log_covariance(self) -> FloatArray:
        """The covariance of the parameters' logarithms and of the coefficients themselves, by the delta method."""
        unit = np.where(self.in_logarithms, self.parameters, 1.0)
        result: FloatArray = self.covariance / np.outer(unit, unit)
        return result

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 k - 2 log-likelihood: smaller is better among models of the same data."""
        return 2.0 * (len(self.names) + self.chosen) - 2.0 * self.log_likelihood

    @property
    def bic(self) -> float:
        """The Bayesian criterion, k ln(n) - 2 log-likelihood."""
        return (len(self.names) + self.chosen) * math.log(self.n) - 2.0 * self.log_likelihood

    def confidence_interval(self, level: float = 0.95) -> dict[str, Interval]:
        """Return Wald's interval for each parameter, computed in the logarithm so that both ends are positive.

        Coefficients of covariates have the usual Wald interval.

        Parameters
        ----------
        level : float
            The confidence level, between 0 and 1.
        """
        z = float(ndtri(0.5 + 0.5 * checks.fraction("level", level)))
        found = {}
        for name, value, error in zip(self.names, self.parameters.tolist(), self.standard_errors.tolist(), strict=True):
            if name in self.coefficients:
                found[name] = Interval(value - z * error, value + z * error, level, "Wald")
            else:
                factor = float(np.exp(z * error / value))
                found[name] = Interval(value / factor, value * factor, level, "Wald in the logarithm")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return every field, the standard errors and the criteria as JSON-ready values."""
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
        said = [f"did not converge: {text}" for text in self.problems] + [f"note: {text}" for text in self.notes]
        last = f"log-likelihood {self.log_likelihood:,.4f}, {self.n:,.0f} customers, AIC {self.aic:,.2f}"
        test = self.likelihood_ratio
        last += f"\nwithout covariates: {test}" if test is not None else ""
        return "\n".join([Result.__str__(self), last, *said])


@attrs.frozen(kw_only=True)
class LogNormalPrior:
    """What is known about the parameters before the data: a normal distribution of the logarithm of each one.

    A prior of moderate width keeps a fit to few customers from running off along a ridge, and hardly changes a fit to
    many. For parameters in units of time (alpha, and beta of Pareto/NBD) the median is a multiple of the mean age T,
    and for v of Gamma-Gamma a multiple of the mean spend, so that the unit of the data does not matter.

    Parameters
    ----------
    median : mapping of str to float, optional
        The median of each parameter. The default is the value at which the model's search begins (r .5, alpha T / 4,
        a 1, b 2, ...).
    log_sd : float, or mapping of str to float
        The standard deviation of the logarithm: 1.5 means 'within a factor of 20 with probability 95 %'. Parameters
        that a mapping leaves out have no prior.

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
                raise InputError(
                    f"the prior names {name!r}: the model has {known}.",
                    argument="prior",
                    code="unknown_name",
                    hint=did_you_mean(name, names),
                )
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


class Elsewhere(NamedTuple):
    """Where else a search begins, because a likelihood may have more than one maximum.

    Parameters
    ----------
    starts : tuple of tuple of float
        theta of each further start. Together with theta = 0 they lie in the basins in which simulated customers
        (several thousand sets of 50 to 1,000, parameters over a factor of 20) have their highest maximum.
    always : bool
        Whether to search from all starts even if the first search finds a sharp maximum. It is false for models whose
        sharp maxima have always been the highest: they use the other starts only if the first search ends on a ridge,
        at the box, or at a wide maximum.
    sketch : callable, optional
        A likelihood of the same customers in coarse cells, which finds the basin; the last steps use all customers.
    """

    starts: tuple[tuple[float, ...], ...]
    always: bool = True
    sketch: Callable[[FloatArray], Terms] | None = None


NOWHERE = Elsewhere(())


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
    elsewhere: Elsewhere = NOWHERE,
) -> Fitted:
    """Return the estimates of a model by maximum likelihood, or by maximum a posteriori with a prior.

    Parameters
    ----------
    model : str
        The model's name, for the report.
    names : tuple of str
        The parameters' names.
    likelihood : callable
        Takes parameters (k,) to the log-likelihood, its gradient and its Hessian.
    start : sequence of float
        Where to begin, in the units of the data.
    scale : sequence of float
        The unit of each parameter: 1, the mean age or the mean spend. A prior's medians are multiples of it.
    n : float
        The number of customers.
    prior : LogNormalPrior, optional
        What is known before the data.
    boundaries : mapping of str to str
        What it means if a parameter runs off, by 'name up' or 'name down'.
    notes : tuple of str
        What the caller left out.
    elsewhere : Elsewhere
        Where else to begin.
    """
    begin, units = np.asarray(start, dtype=np.float64), np.asarray(scale, dtype=np.float64)
    if prior is not None and not isinstance(prior, LogNormalPrior):
        raise InputError(
            f"prior is {checks.shown(prior)}: a LogNormalPrior or None is needed.", argument="prior", code="wrong_type"
        )
    mean, precision = prior.for_model(names, begin, units) if prior is not None else (begin * 0.0, begin * 0.0)

    def objective_of(likelihood: Callable[[FloatArray], Terms]) -> Callable[[FloatArray], Terms]:
        def objective(theta: FloatArray) -> Terms:
            parameters = begin * np.exp(theta)
            value, gradient, hessian = in_logarithms(likelihood(parameters), parameters)
            if prior is None:
                return value, gradient, hessian
            away = theta - mean
            return (
                value - 0.5 * float(precision @ (away * away)),
                gradient - precision * away,
                hessian - np.diag(precision),
            )

        return objective

    near = BOX if prior is not None else BOX - 1.0
    objective = objective_of(likelihood)
    first = maximize(objective, np.zeros(len(names)))
    found = [first]
    if elsewhere.starts and (elsewhere.always or _is_loose(first, near)):
        sketch = None if elsewhere.sketch is None else objective_of(elsewhere.sketch)
        found += _searched(objective, sketch, elsewhere.starts, first, n)
    best = _highest(found, near)
    parameters = begin * np.exp(best.theta)
    away = best.theta - mean
    log_likelihood = best.value + 0.5 * float(precision @ (away * away))
    problems = problems_at(names, best, boundaries, near=near)
    covariance = np.full((len(names), len(names)), np.nan)
    if not problems:
        covariance = np.linalg.inv(-best.hessian) * (parameters[:, None] * parameters)
        covariance = 0.5 * (covariance + covariance.T)
    report = FitReport(
        model=model,
        names=names,
        parameters=parameters,
        log_likelihood=log_likelihood,
        n=float(n),
        evaluations=sum(each.evaluations for each in found),
        converged=not problems,
        covariance=covariance,
        problems=problems,
        notes=notes + _disagreement(names, begin, best, found, near),
        with_prior=prior is not None,
        starts=len(found),
    )
    return Fitted(parameters, report)


def _searched(
    objective: Callable[[FloatArray], Terms],
    sketch: Callable[[FloatArray], Terms] | None,
    starts: Sequence[Sequence[float]],
    first: Maximum,
    n: float,
) -> list[Maximum]:
    """Return where the search ends from further starts; one that runs into a known maximum is given up early."""
    found: list[Maximum] = []
    known = [first.theta]
    for start in starts:
        theta, spent = np.array(start, dtype=np.float64), 0
        if sketch is not None:
            rough = maximize(sketch, theta, limit=60)
            theta, spent = rough.theta, 0
            behind = sketch(first.theta)[0] - rough.value
            # Cells change the value by less than this, so anything further below is no candidate.
            if behind > 3.0 + 2e-4 * n or any(np.abs(theta - other).max() < 0.3 for other in known):
                found.append(rough._replace(value=-np.inf, evaluations=0, merged=True))
                continue
        end = maximize(objective, theta, known=known, limit=100)
        found.append(end._replace(evaluations=end.evaluations + spent))
        if not end.merged:
            known.append(end.theta)
    return found


def _is_loose(found: Maximum, near: float) -> bool:
    """Return whether an end is no maximum, or one so wide that its parabola says little about what lies beyond."""
    if not _is_inside(found, near):
        return True
    roots = np.linalg.eigvalsh(-found.hessian)
    return bool(roots[0] < _SHARP)


def _is_inside(found: Maximum, near: float) -> bool:
    return found.settled and not found.at_box.any() and bool((np.abs(found.theta) <= near).all())


def _highest(found: Sequence[Maximum], near: float) -> Maximum:
    """Return the highest end; among ends that are equal up to rounding, a true maximum, and then the first."""
    ends = [each for each in found if not each.merged]
    top = max(each.value for each in ends)
    alike = [each for each in ends if each.value >= top - 1e-6]
    return next((each for each in alike if _is_inside(each, near)), alike[0])


def _disagreement(
    names: tuple[str, ...], begin: FloatArray, best: Maximum, found: Sequence[Maximum], near: float
) -> tuple[str, ...]:
    """Return a note if other starts ended at other maxima, with the highest of them."""
    others = [
        each
        for each in found
        if not each.merged and _is_inside(each, near) and np.abs(each.theta - best.theta).max() > 0.1
        and each.value < best.value
    ]  # fmt: skip
    if not others:
        return ()
    second = max(others, key=lambda each: each.value)
    where = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, begin * np.exp(second.theta), strict=True))
    gap = best.value - second.value
    close = "; the data hardly distinguish the two, so look at the predictions of both" if gap < 2.0 else ""
    return (f"the likelihood has another maximum, {gap:.3g} lower, at {where}{close}",)


def problems_at(
    names: tuple[str, ...], found: Maximum, boundaries: Mapping[str, str], *, near: float
) -> tuple[str, ...]:
    """Return the reasons why the place where Newton's method stopped is no proper maximum; none if it is one."""
    problems = []
    for name, theta, at_box in zip(names, found.theta, found.at_box, strict=True):
        if at_box or abs(theta) > near:
            way = "up" if theta > 0 else "down"
            meaning = boundaries.get(f"{name} {way}", "")
            where = "grows without bound" if way == "up" else "tends to zero"
            if "." in name:  # a coefficient
                where, meaning = "grows without bound", "the covariate separates some customers from all others"
            problems.append(f"{name} {where}{': ' + meaning if meaning else ''}")
    if problems:
        return tuple(problems)
    if not found.settled:
        return (f"the search ended after {found.evaluations} evaluations without a maximum",)
    roots, vectors = np.linalg.eigh(-found.hessian)
    if roots[0] < _LEAST_INFORMATION:
        loose = [name for name, part in zip(names, vectors[:, 0], strict=True) if abs(part) > 0.3]
        said = f"the likelihood is flat along {' and '.join(loose)}: the data determine only a combination of them."
        penalty = "a penalty, " if any("." in name for name in loose) else ""
        return (f"{said} Use {penalty}a prior, more customers, or a simpler model",)
    return ()
