"""Beta-discrete-Weibull: how long subscribers stay where the chance to leave changes with their tenure.

The story (Fader, Hardie, Liu, Davin and Steenburgh 2018): as in the shifted beta-geometric, each customer has their own
chance to leave, but time enters as its c-th power. With c above 1, those who stay become more likely to leave, which
works against the sorting that makes a cohort look more loyal. With c below 1, they settle in. With c = 1, the model is
the shifted beta-geometric.
"""

from __future__ import annotations

from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, zeta

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import NotEnoughDataError
from relmark.core.newton import Terms
from relmark.ltv._renewals import CohortsGiven, losses, periods_of, shaped
from relmark.ltv.fit import Elsewhere, FitReport, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import ParametricModel, parameter

__all__ = ["BetaDiscreteWeibull"]

_BOUNDARIES = {
    "alpha up": "people hardly differ in their chance to leave, alpha / (alpha + beta)",
    "beta up": "people hardly differ in their chance to leave, or hardly anybody leaves",
    "alpha down": "people leave at once or never",
    "beta down": "people leave at once or never",
    "c up": "all who stay after the first period leave together",
    "c down": "nobody leaves after the first period",
}
_STARTS = ((-2.0, -2.0, 0.0), (2.0, 2.0, 0.0), (2.0, 2.0, 0.7), (-2.0, -2.0, 0.7), (0.0, 0.0, -0.7))
_NOTHING = 45.0  # e^-45 is negligible compared with 1
_FARTHEST = 600.0  # e^600 is still a float64, and beyond it survival is a power of time
_HEAD = 2_048  # terms that are added one by one; the rest is an integral with the corrections of Euler and Maclaurin


@attrs.frozen(kw_only=True)
class BetaDiscreteWeibull(ParametricModel):
    """The beta-discrete-Weibull model of the tenure of subscribers.

    Parameters
    ----------
    alpha, beta : float
        The beta distribution of the chance to leave at the end of the first period.
    c : float
        How that chance changes with tenure: above 1 it grows, below 1 it falls; 1 is `ShiftedBetaGeometric`.
    fit_report : FitReport, optional
        How the fit went.

    References
    ----------
    Fader, P. S., Hardie, B. G. S., Liu, Y., Davin, J. and Steenburgh, T. (2018). "How to project customer retention"
    revisited: the role of duration dependence. Journal of Interactive Marketing 43, 1-16.

    Examples
    --------
    The paper's 'high end' cohort, fitted to four years. After twelve years 394 of the 1,000 customers were left; the
    model expects 388.9:

    >>> m = BetaDiscreteWeibull.fit([1000, 869, 743, 653, 593])
    >>> round(m.alpha, 4), round(m.beta, 4), round(m.c, 4), round(1000 * m.survival(12), 1)
    (0.2593, 1.7225, 1.5844, 388.9)
    """

    alpha: float = parameter()
    beta: float = parameter()
    c: float = parameter()
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "beta_discrete_weibull"

    @classmethod
    def fit(cls, customers: CohortsGiven, prior: LogNormalPrior | None = None) -> Self:
        """Return the model that makes the losses of one cohort, or of several, most likely.

        Parameters
        ----------
        customers : array_like, shape (k,), a list of such, a table of shape (cohorts, k), or RenewalCounts
            Cohorts, as for `ShiftedBetaGeometric.fit`.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.

        Raises
        ------
        NotEnoughDataError
            Every cohort has fewer than four numbers, or nobody left.
        InputError
            A number is negative, or larger than the one before it.
        """
        lost, kept = losses(customers)
        if len(lost) < 3:
            raise NotEnoughDataError(
                f"{len(lost)} period(s) were seen: three parameters need at least three periods.",
                argument="customers",
                hint="Observe for longer, or fit ShiftedBetaGeometric.",
            )
        fitted = fit_parameters(
            "beta-discrete-Weibull",
            cls.names(),
            lambda parameters: _likelihood(parameters, lost, kept),
            start=(1.0, 2.0, 1.0),
            scale=(1.0, 1.0, 1.0),
            n=float(lost.sum() + kept.sum()),
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS, always=False),
        )
        alpha, beta, c = fitted.parameters.tolist()
        return cls(alpha=alpha, beta=beta, c=c, fit_report=fitted.report)

    def _log_survival(self, t: FloatArray) -> FloatArray:
        return np.asarray(betaln(self.alpha, self.beta + t**self.c) - betaln(self.alpha, self.beta))

    def survival(self, periods: npt.ArrayLike) -> FloatArray | float:
        """Return the share of a cohort that is left after t renewals: B(alpha, beta + t^c) / B(alpha, beta)."""
        return shaped(np.exp(self._log_survival(periods_of("periods", periods))), periods)

    def churn_probability(self, period: npt.ArrayLike) -> FloatArray | float:
        """Return the probability that a new customer leaves at the end of a period, counted from 1."""
        t = periods_of("period", period, low=1.0)
        before = self._log_survival(t - 1.0)
        return shaped(np.exp(before) * -np.expm1(self._log_survival(t) - before), period)

    def retention_rate(self, period: npt.ArrayLike) -> FloatArray | float:
        """Return the share of those in period t = 1, 2, ... who renew: S(t) / S(t - 1)."""
        t = periods_of("period", period, low=1.0)
        return shaped(np.exp(self._log_survival(t) - self._log_survival(t - 1.0)), period)

    def residual_renewals(self, renewals: npt.ArrayLike, discount_rate: float = 0.0) -> FloatArray | float:
        """Return the expected discounted renewals of customers whose next renewal, after `renewals` so far, is due now.

        Parameters
        ----------
        renewals : int or array_like, shape (n,)
            The number of renewals so far; 0 in the first period.
        discount_rate : float
            The continuous rate per period; for a rate d per period, give ln(1 + d). At 0 the result is infinite where
            alpha c <= 1: survival falls as t^(-alpha c), too slowly for a finite sum.

        Notes
        -----
        The result is the sum of S(n + i + 1) / S(n) e^(-delta i) over i = 0, 1, ...: 2,048 terms one by one, and the
        rest as an integral with Euler and Maclaurin's corrections, whose next term is below 1e-12 of it.
        """
        n = periods_of("renewals", renewals)
        delta = checks.number("discount_rate", discount_rate, low=0.0)
        if delta == 0.0 and self.alpha * self.c <= 1.0:
            return shaped(np.full(len(n), np.inf), renewals)
        different, back = np.unique(n, return_inverse=True)
        return shaped(np.array([self._residual(one, delta) for one in different.tolist()])[back], renewals)

    def _residual(self, n: float, delta: float) -> float:
        from scipy.integrate import quad

        now = float(self._log_survival(np.array([n]))[0])
        i = np.arange(_HEAD, dtype=np.float64)
        head = float(np.exp(self._log_survival(n + 1.0 + i) - now - delta * i).sum())

        def term(x: float) -> float:
            return float(np.exp(self._log_survival(np.array([n + 1.0 + x]))[0] - now - delta * x))

        start = float(_HEAD)
        first = term(start)
        if first < 1e-17 * head:
            return head
        # Substituting x = start e^w turns the slow fall of a power into an exponential one.
        fall = self.alpha * self.c - 1.0
        last = np.log(_NOTHING / (delta * start)) if delta > 0.0 else min(_NOTHING / fall, _FARTHEST / max(self.c, 1.0))
        rest = 0.0
        if last > 0.0:
            rest = float(quad(lambda w: term(start * np.exp(w)) * start * np.exp(w), 0.0, last,
                              epsabs=0.0, epsrel=1e-11, limit=400)[0])  # fmt: skip
        if delta == 0.0:  # beyond it survival is a power
            far = start * np.exp(last)
            rest += term(far) * far / fall
        age = n + 1.0 + start
        y = age**self.c
        slope = first * (float(digamma(self.beta + y) - digamma(self.alpha + self.beta + y)) * self.c * y / age - delta)
        return float(head + rest + 0.5 * first - slope / 12.0)

    @property
    def mean_churn(self) -> float:
        """The mean chance to leave at the end of the first period, alpha / (alpha + beta)."""
        return self.alpha / (self.alpha + self.beta)


def _log_beta(alpha: float, beta: float, y: FloatArray, dy: FloatArray, ddy: FloatArray) -> tuple[FloatArray, ...]:
    """Return ln B(alpha, beta + y) with gradient (k, 3) and Hessian (k, 3, 3) in (alpha, beta, c); y is t^c."""
    value = betaln(alpha, beta + y)
    both, left, right = digamma(alpha + beta + y), digamma(alpha), digamma(beta + y)
    t_both, t_left, t_right = zeta(2.0, alpha + beta + y), zeta(2.0, alpha), zeta(2.0, beta + y)
    in_beta = right - both
    gradient = np.stack([left - both, in_beta, in_beta * dy], axis=1)
    H = np.empty((len(y), 3, 3))
    H[:, 0, 0] = t_left - t_both
    H[:, 0, 1] = H[:, 1, 0] = -t_both
    H[:, 0, 2] = H[:, 2, 0] = -t_both * dy
    H[:, 1, 1] = t_right - t_both
    H[:, 1, 2] = H[:, 2, 1] = (t_right - t_both) * dy
    H[:, 2, 2] = (t_right - t_both) * dy**2 + in_beta * ddy
    return np.asarray(value), gradient, H


def _likelihood(parameters: FloatArray, lost: FloatArray, kept: FloatArray) -> Terms:
    """Return the log-likelihood with its derivatives in (alpha, beta, c).

    A customer who left after t periods has S(t - 1) - S(t), one who stayed for t has S(t), where
    S(t) = B(alpha, beta + t^c) / B(alpha, beta).
    """
    alpha, beta, c = parameters.tolist()
    t = np.arange(len(kept), dtype=np.float64)
    logs = np.log(np.maximum(t, 1.0))
    y = np.where(t > 0.0, np.exp(c * logs), 0.0)
    value, g, H = _log_beta(alpha, beta, y, y * logs, y * logs**2)
    zero, g0, H0 = value[0], g[0], H[0]
    total = float(lost.sum() + kept.sum())
    out, gradient, hessian = float(kept @ value) - total * float(zero), kept @ g - total * g0, np.tensordot(kept, H, 1)
    hessian = hessian - total * H0
    # ln(F(t - 1) - F(t)) of F = B(alpha, beta + t^c), by r = F(t) / F(t - 1).
    fall = value[1:] - value[:-1]
    r = np.exp(fall)
    stays = -np.expm1(fall)
    some = lost > 0.0
    w = lost[some]
    with np.errstate(divide="ignore", invalid="ignore"):
        out += float(w @ (value[:-1] + np.log(stays))[some])
        share = (r / stays)[some]
    low, high = g[:-1][some], g[1:][some]
    mean = low + share[:, None] * (low - high)
    gradient = gradient + w @ mean
    second_low = H[:-1][some] + low[:, :, None] * low[:, None, :]
    second_high = H[1:][some] + high[:, :, None] * high[:, None, :]
    second = second_low + share[:, None, None] * (second_low - second_high)
    hessian = hessian + np.tensordot(w, second - mean[:, :, None] * mean[:, None, :], 1)
    return out, gradient, hessian
