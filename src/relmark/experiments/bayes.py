"""Chances instead of p-values: how likely it is that an arm beats control, and what a wrong choice would cost."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import attrs
import numpy as np
from scipy.special import betainc, betaincinv, ndtr, ndtri

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.metrics import Proportion

__all__ = ["Posterior", "beta_binomial", "normal_posterior"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Posterior(Result):
    """What is believed about an arm compared with control after the data.

    Attributes
    ----------
    chance_to_beat : float
        The probability that treatment is better than control.
    expected_loss : float
        What choosing treatment loses on average, in the metric's unit, because control may be better.
    expected_loss_control : float
        The same for choosing control.
    control, treatment : float
        The posterior means.
    difference : Estimate
        The posterior mean of treatment minus control, with its credible interval.
    method : str
        The model and its prior.
    """

    chance_to_beat: float
    expected_loss: float
    expected_loss_control: float
    control: float
    treatment: float
    difference: Estimate
    method: str


@lru_cache(maxsize=1)
def _rule() -> tuple[FloatArray, FloatArray]:
    """Return Gauss and Legendre's nodes and weights on [0, 1]; finding them takes too long for an import."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return (nodes + 1) / 2, weights / 2


def beta_binomial(
    x1: int, n1: int, x0: int, n0: int, *, prior: tuple[float, float] = (1.0, 1.0), level: float = 0.95
) -> Posterior:
    """Return what is believed about two shares after the data, from counts.

    Parameters
    ----------
    x1, n1 : int
        People with a yes, and people, in treatment.
    x0, n0 : int
        The same in control.
    prior : pair of float
        The Beta prior of each share; (1, 1) is uniform.
    level : float
        The level of the credible interval, which has equal tails.

    Notes
    -----
    With p0 = F0^{-1}(u) the chance to beat control is the integral of 1 - F1(p0) over u, by Gauss and Legendre's rule
    with 400 nodes. The expected loss of treatment is the integral of p0 F1(p0; a1, b1) - E[p1] F1(p0; a1 + 1, b1).
    Nothing is sampled, so there is no seed.

    Examples
    --------
    >>> p = beta_binomial(56, 70, 48, 80)
    >>> round(p.chance_to_beat, 4), p.difference
    (0.9959, 0.1941 [0.05137, 0.3328] (95 %, credible, beta-binomial))
    """
    a1, b1, a0, b0 = _beta("x1", x1, n1, prior) + _beta("x0", x0, n0, prior)
    checks.fraction("level", level)
    win, loss = _integrals(a1, b1, a0, b0)
    mean1, mean0 = a1 / (a1 + b1), a0 / (a0 + b0)
    ends = [_difference_quantile(q, a1, b1, a0, b0) for q in ((1 - level) / 2, (1 + level) / 2)]
    return Posterior(
        chance_to_beat=win,
        expected_loss=loss,
        expected_loss_control=loss + mean1 - mean0,  # E[(p1 - p0)+] - E[(p0 - p1)+] = E[p1 - p0]
        control=mean0,
        treatment=mean1,
        difference=Estimate(mean1 - mean0, Interval(ends[0], ends[1], level, "credible, beta-binomial")),
        method=f"beta-binomial, prior Beta({prior[0]:g}, {prior[1]:g})",
    )


def _beta(name: str, x: int, n: int, prior: tuple[float, float]) -> tuple[float, float]:
    people = checks.whole(name.replace("x", "n"), n, low=0)
    yes = checks.whole(name, x, low=0, high=people)
    a, b = (checks.positive("prior", value) for value in prior)
    return a + yes, b + people - yes


def _integrals(a1: float, b1: float, a0: float, b0: float) -> tuple[float, float]:
    # Split the range of u where F1 leaves 0 and reaches 1, so that the rule sees a smooth function however far apart
    # the two distributions are.
    cuts = np.unique(
        np.concatenate([[0.0, 1.0], betainc(a0, b0, betaincinv(a1, b1, np.array([1e-12, 0.5, 1 - 1e-12])))])
    )
    u, w = _rule()
    win = loss = 0.0
    for low, high in pairwise(cuts.tolist()):
        p0 = betaincinv(a0, b0, low + (high - low) * u)
        f1 = betainc(a1, b1, p0)
        mean1 = a1 / (a1 + b1)
        win += float((high - low) * (w @ (1 - f1)))
        loss += float((high - low) * (w @ (p0 * f1 - mean1 * betainc(a1 + 1, b1, p0))))
    return min(max(win, 0.0), 1.0), max(loss, 0.0)


def _difference_quantile(q: float, a1: float, b1: float, a0: float, b0: float) -> float:
    """Return the quantile of p1 - p0, by bisection of its distribution function."""
    u, w = _rule()
    p0 = betaincinv(a0, b0, u)

    def below(d: float) -> float:
        return float(w @ betainc(a1, b1, np.clip(p0 + d, 0.0, 1.0)))

    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) < q else (low, middle)
    return (low + high) / 2


def normal_posterior(
    difference: float,
    standard_error: float,
    *,
    prior: tuple[float, float] | None = None,
    control: float = math.nan,
    level: float = 0.95,
) -> Posterior:
    """Return what is believed about a difference after an estimate of it.

    Parameters
    ----------
    difference, standard_error : float
        The estimate of any effect: ``effect.difference.value`` and ``effect.standard_error``.
    prior : pair of float, optional
        Mean and standard deviation of the effects of campaigns like this one, toward which the estimate is pulled. The
        default is a flat prior.
    control : float
        The control mean, which the result shows.
    level : float
        The level of the credible interval.

    Examples
    --------
    >>> p = normal_posterior(.77, .145, prior=(0, .5))
    >>> round(p.difference.value, 3), round(p.chance_to_beat, 4), p.expected_loss < 1e-6
    (0.71, 1.0, True)
    """
    d = checks.number("difference", difference)
    se = checks.positive("standard_error", standard_error)
    checks.fraction("level", level)
    if prior is not None:
        m, s = checks.number("prior mean", prior[0]), checks.positive("prior standard deviation", prior[1])
        weight = s * s / (s * s + se * se)
        d, se = m + weight * (d - m), se * math.sqrt(weight)
    z = d / se
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    win = float(ndtr(z))
    half = float(-ndtri((1 - level) / 2)) * se
    said = "flat prior" if prior is None else f"prior N({prior[0]:g}, {prior[1]:g}^2)"
    return Posterior(
        chance_to_beat=win,
        expected_loss=max(se * density - d * float(ndtr(-z)), 0.0),
        expected_loss_control=max(se * density + d * win, 0.0),
        control=control,
        treatment=control + d,
        difference=Estimate(d, Interval(d - half, d + half, level, "credible, normal")),
        method=f"normal, {said}",
    )


def posterior_of(report: EffectTable, metric: str, arm: str | None, prior: tuple[float, float] | None) -> Posterior:
    """Return the posterior of one comparison of a report, from counts for proportions, otherwise from the estimate."""
    effect = report.effect(metric, arm)
    spec = next(m for m in report.source.metrics if m.name == metric)
    if effect.difference.interval is None:
        raise InputError(
            f"there is no posterior of {metric}: {effect.difference.reason}.", argument="metric", code="wrong_value"
        )
    if isinstance(spec, Proportion) and not spec.covariates:
        n1, n0 = effect.n_treatment, effect.n_control
        counts = (round(n1 * effect.treatment), n1, round(n0 * effect.control), n0)
        return beta_binomial(*counts, prior=prior or (1.0, 1.0), level=report.level)
    return normal_posterior(
        effect.difference.value, effect.standard_error, prior=prior, control=effect.control, level=report.level
    )
