"""Gamma-Gamma: what customers spend per purchase on average, estimated from what they have spent so far.

The story (Fader, Hardie and Lee 2005, "RFM and CLV"; Fader and Hardie 2013): the value of each purchase varies around
the customer's own mean, as a gamma distribution with shape p. The means differ between customers by a second gamma
distribution (of their inverse scale, with q and v). The fewer purchases were seen, the more the estimate leans on the
mean of all customers. The model assumes that spend and frequency are independent; `independence_check` tests this.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs
import numpy as np
from scipy.special import digamma, gammaln, ndtri, zeta

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.intervals import Estimate, Interval
from relmark.core.newton import Terms
from relmark.ltv._cells import distinct, weights_by
from relmark.ltv.fit import Elsewhere, FitReport, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import ParametricModel, parameter
from relmark.ltv.summary import PurchaseSummary, SpendCells

_BOUNDARIES = {
    "p up": "a customer's purchases hardly differ in value",
    "p down": "the values of a customer's purchases differ without bound",
    "q up": "customers hardly differ in what they spend",
    "v up": "customers hardly differ in what they spend",
    "q down": "customers differ without bound in what they spend",
    "v down": "a customer's purchases hardly differ in value; p v is what matters",
}

_STARTS = ((2.0, -1.0, -1.0), (-1.0, 1.0, 1.0))


@attrs.frozen(kw_only=True)
class GammaGamma(ParametricModel):
    """The gamma-gamma model of the mean value of a customer's purchases.

    Parameters
    ----------
    p : float
        Shape of the distribution of values within a customer.
    q, v : float
        Shape and scale of the distribution between customers; v is in money.
    fit_report : FitReport, optional
        How the fit went.

    References
    ----------
    Fader, P. S. and Hardie, B. G. S. (2013). The gamma-gamma model of monetary value. Note 025, brucehardie.com.

    Examples
    --------
    >>> g = GammaGamma(p=6.25, q=3.74, v=15.44)
    >>> s = PurchaseSummary(frequency=[0, 2, 30], recency=[0, 30, 38], T=[39, 39, 39], monetary_value=[0, 60.0, 60.0])
    >>> g.expected_spend(s).round(2)
    array([35.22, 55.54, 59.64])
    """

    p: float = parameter()
    q: float = parameter()
    v: float = parameter()
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "gamma_gamma"

    @classmethod
    def fit(cls, summary: PurchaseSummary | SpendCells, prior: LogNormalPrior | None = None) -> Self:
        """Return the model that makes the mean spends of the repeat buyers most likely.

        Parameters
        ----------
        summary : PurchaseSummary or SpendCells
            Customers with their mean spend. Those without a repeat purchase are left out, as are those whose repeat
            purchases were all free of charge, which `fit_report.notes` counts.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit; the median of v is a multiple of the mean spend.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        InputError
            The summary has no spend, or negative spend.
        """
        x, money, weight = _repeat_spend(summary)
        free = money == 0
        notes: tuple[str, ...] = ()
        if free.any():
            notes = (f"{weight[free].sum():,.0f} repeat buyers whose mean spend is 0 were left out",)
            x, money, weight = x[~free], money[~free], weight[~free]
        if not len(x):
            raise NotEnoughDataError(
                "no customer with positive spend bought twice: Gamma-Gamma cannot be fitted.", argument="summary"
            )
        mean = float(np.average(money, weights=weight))
        counts, place = distinct(x)
        counted = weights_by(place, weight, len(counts))
        log_terms = float(weight @ (x * np.log(x))), float(weight @ (x * np.log(money))), float(weight @ np.log(money))
        fitted = fit_parameters(
            "Gamma-Gamma",
            cls.names(),
            lambda parameters: _likelihood(parameters, counts, counted, x, money, weight, log_terms),
            start=(2.0, 3.0, mean),
            scale=(1.0, 1.0, mean),
            n=float(weight.sum()),
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS, always=False),
            notes=notes,
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        return cls(**values, fit_report=fitted.report)

    @property
    def mean_spend(self) -> float:
        """The mean value of a purchase over all customers, p v / (q - 1); infinite for q <= 1."""
        return self.p * self.v / (self.q - 1.0) if self.q > 1.0 else np.inf

    def expected_spend(self, summary: PurchaseSummary) -> FloatArray:
        """Return the expected value of each customer's future purchases, shape (n,).

        Parameters
        ----------
        summary : PurchaseSummary
            Customers with monetary_value, which is not read where frequency is 0.

        Returns
        -------
        ndarray, shape (n,)
            The values, in the currency of the summary. They are infinite where the model has no mean: where
            p x + q <= 1, which for customers who never bought again means q <= 1.

        Notes
        -----
        E[Z | m, x] = p (v + m x) / (p x + q - 1): a weighted mean of the customer's mean spend and that of all
        customers (Fader and Hardie 2013, eq. 5).
        """
        x, money = _spend(summary)
        base = self.p * x + self.q - 1.0
        with np.errstate(divide="ignore"):
            return np.where(base > 0.0, self.p * (self.v + money * x) / base, np.inf)

    @staticmethod
    def independence_check(summary: PurchaseSummary, level: float = 0.95) -> Estimate:
        """Return the correlation of frequency and mean spend among repeat buyers, which the model takes to be zero.

        Parameters
        ----------
        summary : PurchaseSummary
            Customers with monetary_value.
        level : float
            The confidence of the interval.

        Returns
        -------
        Estimate
            Pearson's correlation with Fisher's interval. If it is far from zero, the model misjudges the spend of
            frequent buyers: fit groups of similar frequency separately.
        """
        checks.fraction("level", level)
        x, money, weight = _repeat_spend(summary)
        n = float(weight.sum())
        spread = [np.average((c - np.average(c, weights=weight)) ** 2, weights=weight) for c in (x, money)]
        if n <= 3 or min(spread) == 0.0:
            return Estimate(np.nan, None, "there are too few repeat buyers, or all have the same frequency or spend")
        product = (x - np.average(x, weights=weight)) * (money - np.average(money, weights=weight))
        rho = float(np.average(product, weights=weight) / np.sqrt(spread[0] * spread[1]))
        reach = float(ndtri(0.5 + 0.5 * level)) / np.sqrt(n - 3.0)
        center = np.arctanh(np.clip(rho, -1 + 1e-15, 1 - 1e-15))
        return Estimate(rho, Interval(float(np.tanh(center - reach)), float(np.tanh(center + reach)), level, "Fisher"))


def _spend(summary: Any) -> tuple[FloatArray, FloatArray]:
    if not isinstance(summary, (PurchaseSummary, SpendCells)):
        raise InputError(
            f"a PurchaseSummary with monetary_value is needed, not {checks.shown(summary)}.",
            argument="summary",
            code="wrong_type",
        )
    if summary.monetary_value is None:
        raise InputError(
            "the summary has no monetary_value: make it from a log whose purchases have values.",
            argument="summary",
            code="missing_argument",
        )
    x: FloatArray = summary.frequency
    money = np.where(x > 0, summary.monetary_value, 0.0)
    checks.refuse_rows(
        "monetary_value",
        money < 0,
        money,
        "Gamma-Gamma needs spend that is not negative",
        "Make the summary with negative='drop', or leave these customers out.",
    )
    return x, money


def _repeat_spend(summary: PurchaseSummary | SpendCells) -> tuple[FloatArray, FloatArray, FloatArray]:
    x, money = _spend(summary)
    weight = np.ones(len(x)) if summary.weights is None else summary.weights
    again = x > 0
    if not again.any():
        raise NotEnoughDataError(
            "none of these customers bought twice: Gamma-Gamma cannot be fitted.", argument="summary"
        )
    return x[again], money[again], weight[again]


def _likelihood(
    parameters: FloatArray,
    counts: FloatArray,
    counted: FloatArray,
    x: FloatArray,
    money: FloatArray,
    weight: FloatArray,
    logs: tuple[float, float, float],
) -> Terms:
    """Return the log-likelihood of mean spends with its derivatives in (p, q, v) (Fader and Hardie 2013, eq. 1a).

    ln Gamma(p x + q) - ln Gamma(p x) - ln Gamma(q) + q ln v + (p x - 1) ln m + p x ln x - (p x + q) ln(v + m x),
    with the gamma functions tabulated over the distinct x.
    """
    p, q, v = parameters.tolist()
    n = counted.sum()
    px = p * counts
    d_both, d_px = digamma(px + q), digamma(px)
    t_both, t_px = zeta(2.0, px + q), zeta(2.0, px)
    x_log_x, x_log_m, log_m = logs
    g, H = np.zeros(3), np.zeros((3, 3))
    value = float(counted @ (gammaln(px + q) - gammaln(px))) - n * gammaln(q) + n * q * np.log(v)
    value += p * (x_log_m + x_log_x) - log_m
    g[0] = counted @ (counts * (d_both - d_px)) + x_log_m + x_log_x
    g[1] = counted @ d_both - n * digamma(q) + n * np.log(v)
    g[2] = n * q / v
    H[0, 0] = counted @ (counts**2 * (t_both - t_px))
    H[0, 1] = counted @ (counts * t_both)
    H[1, 1] = counted @ t_both - n * zeta(2.0, q)
    H[1, 2] = n / v
    H[2, 2] = -n * q / v**2
    for low in range(0, len(x), 8_192):
        part = slice(low, low + 8_192)
        u, w = x[part], weight[part]
        s = v + money[part] * u
        log_s, inverse = np.log(s), w / s
        shape = p * u + q
        value -= float(w @ (shape * log_s))
        g[0] -= w @ (u * log_s)
        g[1] -= w @ log_s
        g[2] -= shape @ inverse
        H[0, 2] -= u @ inverse
        H[1, 2] -= inverse.sum()
        H[2, 2] += shape @ (inverse / s)
    H[1, 0], H[2, 0], H[2, 1] = H[0, 1], H[0, 2], H[1, 2]
    return float(value), g, H
