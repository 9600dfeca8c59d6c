"""NBD: purchases at random by customers who never leave. The yardstick that the models with leaving must beat.

The story (Ehrenberg 1959): everybody buys at random at their own rate, and the rates differ between people as a gamma
distribution. If customers are loyal by nature, or the observation is short, this is all you need. Otherwise the model
takes silence for bad luck and promises too much.
"""

from __future__ import annotations

from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln, xlogy, zeta

from relmark.core.checks import FloatArray, IntArray
from relmark.core.newton import Terms
from relmark.ltv._cells import unique_rows
from relmark.ltv.fit import Elsewhere, FitReport, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import Past, PurchaseModel, parameter, season_field, unit_field
from relmark.ltv.season import Season, seasonal
from relmark.ltv.simulation import Lives, purchases_of
from relmark.ltv.summary import PurchaseSummary, mean_age, need_repeat_buyers

_BOUNDARIES = {
    "r up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "alpha up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "r down": "nearly all purchases are made by very few customers",
    "alpha down": "repeat purchases come right after the first purchase, or not at all",
}

_STARTS = ((2.0, 2.0), (-2.0, -2.0))


@attrs.frozen(kw_only=True)
class Nbd(PurchaseModel):
    """The negative binomial model: Poisson purchases at gamma-distributed rates, and nobody leaves.

    Parameters
    ----------
    r, alpha : float
        Shape and inverse scale of the gamma distribution of purchase rates; alpha is in the unit of time.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes it from the summary.
    season : Season, optional
        The season by whose clock time is measured; `fit` takes it from the summary.
    fit_report : FitReport, optional
        How the fit went.

    Notes
    -----
    The log-likelihood is that of the purchase times, as for the other models, so that AIC can compare them. The
    log-likelihood of the counts alone is larger by sum(x ln T - ln x!).

    References
    ----------
    Ehrenberg, A. S. C. (1959). The pattern of consumer purchases. Applied Statistics 8(1), 26-41.

    Examples
    --------
    >>> m = Nbd(r=.385, alpha=12.07)
    >>> s = PurchaseSummary(frequency=2, recency=30.43, T=38.86)
    >>> m.expected_purchases(s, 39.0).round(3), m.probability_alive(s)
    (array([1.826]), array([1.]))
    """

    r: float = parameter()
    alpha: float = parameter()
    unit: str | None = unit_field()
    season: Season | None = season_field()  # noqa: RUF009  (an attrs field)
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "nbd"

    @classmethod
    def fit(cls, summary: PurchaseSummary, prior: LogNormalPrior | None = None) -> Self:
        """Return the model that makes the histories of these customers most likely.

        Parameters
        ----------
        summary : PurchaseSummary
            Customers, or weighted cells of them; recency is not read.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.

        Returns
        -------
        Nbd
            With `fit_report`.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        """
        need_repeat_buyers(summary, "NBD")
        age = mean_age(summary)
        (x, T), weight, _ = unique_rows([summary.frequency, summary.T], summary.weights)
        fitted = fit_parameters(
            "NBD",
            cls.names(),
            lambda parameters: _likelihood(parameters, x, T, weight),
            start=(0.5, age / 4.0),
            scale=(1.0, age),
            n=summary.n_customers,
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS, always=False),
        )
        r, alpha = fitted.parameters.tolist()
        report = seasonal(fitted.report, summary.season, summary.log_season_total)
        return cls(r=r, alpha=alpha, unit=summary.unit, season=summary.season, fit_report=report)

    def _alive(self, past: Past) -> FloatArray:
        return np.ones(len(past.x))

    def _survival(self, past: Past, s: FloatArray) -> FloatArray:  # noqa: ARG002
        return np.ones(len(past.x))

    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        return (self.r + past.x) / (self.alpha + past.T) * t

    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        result: FloatArray = (self.r + past.x) / (self.alpha + past.T) * -np.expm1(-delta * t) / delta
        return result

    def _total(self, past: Past) -> FloatArray:
        return np.full(len(past.x), np.inf)

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        k, M, t = (self.r + past.x)[:, None], (self.alpha + past.T)[:, None], t[:, None]
        log_mass = gammaln(k + n) - gammaln(k) - gammaln(n + 1.0) - k * np.log1p(t / M) + xlogy(n, t / (M + t))
        result: FloatArray = np.exp(log_mass)
        return result

    def _rate(self, past: Past) -> FloatArray:
        return (self.r + past.x) / (self.alpha + past.T)

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        result: FloatArray = (self.alpha + past.T) * np.expm1(-np.log1p(-chance) / (self.r + past.x))
        return result

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n = len(past.x)
        lives = Lives(
            alive=np.ones(n, dtype=np.bool_),
            rate=rng.standard_gamma(self.r + past.x) / (self.alpha + past.T),
            left=np.ones(n),
            stages=1.0,
            leaves=np.zeros(n),
            ends=np.full(n, np.inf),
        )
        return purchases_of(lives, until, rng)


def _likelihood(parameters: FloatArray, x: FloatArray, T: FloatArray, w: FloatArray) -> Terms:
    """Return ln[Gamma(r + x) / Gamma(r) alpha^r (alpha + T)^-(r + x)] with its derivatives in (r, alpha)."""
    r, alpha = parameters.tolist()
    k, M = r + x, alpha + T
    log_share = np.log(alpha) - np.log(M)
    value = float(w @ (gammaln(k) - gammaln(r) + r * log_share - x * np.log(M)))
    g = np.array([w @ (digamma(k) - digamma(r) + log_share), w @ (r / alpha - k / M)])
    cross = float(w @ (1.0 / alpha - 1.0 / M))
    corner = float(w @ (zeta(2.0, k) - zeta(2.0, r)))
    return value, g, np.array([[corner, cross], [cross, float(w @ (k / M**2 - r / alpha**2))]])
