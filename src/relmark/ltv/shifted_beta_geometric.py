"""Shifted beta-geometric: how long subscribers stay, when it is known who has left.

The story (Fader and Hardie 2007): at the end of each period subscribers renew or leave, each with their own chance to
leave. The chances differ between people as a beta distribution. So retention rises with tenure although nobody becomes
more loyal, because those who leave easily are gone first. A cohort's first few numbers predict the curve far ahead.
"""

from __future__ import annotations

from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import betaln, digamma, zeta

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.newton import Terms
from relmark.ltv._hypergeometric import beta_mean
from relmark.ltv._renewals import CohortsGiven, losses, periods_of, shaped
from relmark.ltv.fit import Elsewhere, FitReport, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import ParametricModel, parameter

_BOUNDARIES = {
    "alpha up": "people hardly differ in their chance to leave, alpha / (alpha + beta)",
    "beta up": "people hardly differ in their chance to leave, or hardly anybody leaves",
    "alpha down": "people leave at once or never",
    "beta down": "people leave at once or never",
}

_STARTS = ((-2.0, -2.0), (2.0, 2.0))


@attrs.frozen(kw_only=True)
class ShiftedBetaGeometric(ParametricModel):
    """The shifted beta-geometric model of the tenure of subscribers.

    Parameters
    ----------
    alpha, beta : float
        The beta distribution of the chance to leave at the end of a period.
    fit_report : FitReport, optional
        How the fit went.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2007). How to project customer retention. Journal of Interactive Marketing 21(1),
    76-90. Fader, P. S. and Hardie, B. G. S. (2010). Customer-base valuation in a contractual setting: the perils of
    ignoring heterogeneity. Marketing Science 29(1), 85-93.

    Examples
    --------
    The paper's 'high end' cohort, fitted to seven years, with the share that is left after one, seven and twelve years:

    >>> m = ShiftedBetaGeometric.fit([1000, 869, 743, 653, 593, 551, 517, 491])
    >>> round(m.alpha, 3), round(m.beta, 3), m.survival([1, 7, 12]).round(3)
    (0.668, 3.806, array([0.851, 0.489, 0.378]))
    """

    alpha: float = parameter()
    beta: float = parameter()
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "shifted_beta_geometric"

    @classmethod
    def fit(cls, customers: CohortsGiven, prior: LogNormalPrior | None = None) -> Self:
        """Return the model that makes the losses of one cohort, or of several, most likely.

        Parameters
        ----------
        customers : array_like, shape (k,), a list of such, a table of shape (cohorts, k), or RenewalCounts
            How many customers of one cohort are left at the start of each period; the first number is all of them. Or
            a list of such lists, one per cohort, of any lengths. A table (array or frame) has one row per cohort;
            missing values at the end of a row are periods that have not passed yet. A Series may have any index. Or the
            result of `renewal_counts`.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.

        Raises
        ------
        NotEnoughDataError
            There are fewer than two numbers, or no customer of any cohort left.
        InputError
            A number is negative, or larger than the one before it.
        """
        lost, kept = losses(customers)
        fitted = fit_parameters(
            "shifted beta-geometric",
            cls.names(),
            lambda parameters: _likelihood(parameters, lost, kept),
            start=(1.0, 2.0),
            scale=(1.0, 1.0),
            n=float(lost.sum() + kept.sum()),
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS, always=False),
        )
        alpha, beta = fitted.parameters.tolist()
        return cls(alpha=alpha, beta=beta, fit_report=fitted.report)

    def survival(self, periods: npt.ArrayLike) -> FloatArray | float:
        """Return the share of a cohort that is left after t renewals: B(alpha, beta + t) / B(alpha, beta)."""
        t = periods_of("periods", periods)
        return shaped(np.exp(betaln(self.alpha, self.beta + t) - betaln(self.alpha, self.beta)), periods)

    def churn_probability(self, period: npt.ArrayLike) -> FloatArray | float:
        """Return the probability that a new customer leaves at the end of a period, counted from 1."""
        t = periods_of("period", period, low=1.0)
        result = np.exp(betaln(self.alpha + 1.0, self.beta + t - 1.0) - betaln(self.alpha, self.beta))
        return shaped(result, period)

    def retention_rate(self, period: npt.ArrayLike) -> FloatArray | float:
        """Return the share of those in period t = 1, 2, ... who renew: (beta + t - 1) / (alpha + beta + t - 1)."""
        t = periods_of("period", period, low=1.0)
        return shaped((self.beta + t - 1.0) / (self.alpha + self.beta + t - 1.0), period)

    def residual_renewals(self, renewals: npt.ArrayLike, discount_rate: float = 0.0) -> FloatArray | float:
        """Return the expected discounted renewals of customers whose next renewal, after `renewals` so far, is due now.

        Parameters
        ----------
        renewals : int or array_like, shape (n,)
            The number of renewals so far; 0 in the first period.
        discount_rate : float
            The continuous rate per period; for a rate d per period, give ln(1 + d). At 0 the result is infinite for
            alpha <= 1.

        Notes
        -----
        This is the discounted expected residual lifetime (DERL) of Fader and Hardie (2010, eq. 6): the sum of
        S(n + i + 1) / S(n) e^(-delta i) over i = 0, 1, ...
        """
        n = periods_of("renewals", renewals)
        delta = checks.number("discount_rate", discount_rate, low=0.0)
        b = self.beta + n
        if delta == 0.0:
            return shaped(b / (self.alpha - 1.0) if self.alpha > 1.0 else np.full(len(n), np.inf), renewals)
        q = 1.0 / np.expm1(delta)
        # E[(1 - theta) / (1 - e^-delta (1 - theta))], with 1 - e^-delta (1 - theta) = (1 - e^-delta)(1 + q theta)
        result = b / (self.alpha + b) / -np.expm1(-delta) * beta_mean(1.0, self.alpha, b + 1.0, q)
        return shaped(result, renewals)

    @property
    def mean_churn(self) -> float:
        """The mean chance to leave at the end of the first period, alpha / (alpha + beta)."""
        return self.alpha / (self.alpha + self.beta)


def _likelihood(parameters: FloatArray, lost: FloatArray, kept: FloatArray) -> Terms:
    """Return the log-likelihood of Fader and Hardie (2007, eq. B3) with its derivatives in (alpha, beta).

    A customer who left after t periods has B(alpha + 1, beta + t - 1) / B(alpha, beta), one who stayed for t has
    B(alpha, beta + t) / B(alpha, beta).
    """
    alpha, beta = parameters.tolist()
    value, g, H = 0.0, np.zeros(2), np.zeros((2, 2))
    total = lost.sum() + kept.sum()
    parts = (
        (lost, 1.0, np.arange(len(lost)) + 0.0),
        (kept, 0.0, np.arange(len(kept)) + 0.0),
        (np.array([-total]), 0.0, _NONE),
    )
    for w, i, j in parts:
        a, b = alpha + i, beta + j
        value += float(w @ betaln(a, b))
        d_both, t_both = w @ digamma(a + b), w @ zeta(2.0, a + b)
        g += (w.sum() * digamma(a) - d_both, w @ digamma(b) - d_both)
        H -= t_both
        H[0, 0] += w.sum() * zeta(2.0, a)
        H[1, 1] += w @ zeta(2.0, b)
    return value, g, H


_NONE = np.zeros(1)
