"""BG/BB: buying or not at each of a series of opportunities, by people who leave unseen.

The story (Fader, Hardie and Shang 2010): there is one opportunity per period (a yearly appeal, a monthly issue, a
fair), at which an active customer buys with a certain chance. Before each opportunity customers may leave for good,
with another chance. Both chances differ between people as beta distributions.
"""

from __future__ import annotations

from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.ltv import _beta_binomial as kernel
from relmark.ltv._cells import unique_rows
from relmark.ltv.fit import Elsewhere, FitReport, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import Past, PurchaseModel, parameter, unit_field
from relmark.ltv.simulation import in_order
from relmark.ltv.summary import PurchaseSummary, need_repeat_buyers, refuse_season

_LONGEST_WAIT = 10_000
_MOST_OPPORTUNITIES = 100_000
_MOST_ENTRIES = 50_000_000

_BOUNDARIES = {
    "alpha up": "people hardly differ in their chance to buy, alpha / (alpha + beta)",
    "beta up": "people hardly differ in their chance to buy, or hardly anybody buys",
    "alpha down": "people buy always or never",
    "beta down": "people buy at every opportunity while active",
    "gamma down": "nobody is seen to leave",
    "delta up": "nobody is seen to leave, or all customers leave with the same chance gamma / (gamma + delta)",
    "gamma up": "all customers leave with the same chance gamma / (gamma + delta)",
    "delta down": "people leave at the first opportunity or never",
}

# Customers who were never seen may buy seldom or have left early: the likelihood may have a maximum for each story.
_STARTS = ((-1.7, -0.3, -2.2, 0.0), (1.9, 0.2, -0.9, -1.3), (-1.5, -0.5, 1.0, 2.0), (-2.1, -1.8, 4.0, 3.5))


@attrs.frozen(kw_only=True)
class BgBb(PurchaseModel):
    """The beta-geometric/beta-binomial model of purchases at discrete opportunities.

    In the summary, T is the number of opportunities, recency is the last one used (0 for none), and frequency is how
    many were used. Horizons are whole numbers of opportunities.

    Parameters
    ----------
    alpha, beta : float
        The beta distribution of the chance to buy at an opportunity.
    gamma, delta : float
        The beta distribution of the chance to leave before an opportunity.
    unit : str, optional
        What a period is; `fit` takes it from the summary.
    fit_report : FitReport, optional
        How the fit went.

    Notes
    -----
    `probability_alive(summary)` is the probability that a customer was active at the last opportunity. With ``at=1`` it
    is the probability of being active at the next one, as in the paper's tables.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Shang, J. (2010). Customer-base analysis in a discrete-time noncontractual
    setting. Marketing Science 29(6), 1086-1108.

    Examples
    --------
    The paper's donors with 6 gifts in 6 years, and with none; P(active in year 7), and gifts expected in 5 years:

    >>> m = BgBb(alpha=1.204, beta=.750, gamma=.657, delta=2.783)
    >>> s = PurchaseSummary(frequency=[6, 0], recency=[6, 0], T=[6, 6], unit="period")
    >>> m.probability_alive(s, at=1).round(2), m.expected_purchases(s, 5).round(2)
    (array([0.93, 0.11]), array([3.75, 0.07]))
    """

    alpha: float = parameter()
    beta: float = parameter()
    gamma: float = parameter()
    delta: float = parameter()
    unit: str | None = unit_field()
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "bg_bb"
    discrete: ClassVar[bool] = True

    @classmethod
    def fit(cls, summary: PurchaseSummary, prior: LogNormalPrior | None = None) -> Self:
        """Return the model that makes the histories of these customers most likely.

        Parameters
        ----------
        summary : PurchaseSummary
            Customers or weighted cells, with whole numbers of opportunities.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.

        Raises
        ------
        NotEnoughDataError
            Nobody used an opportunity.
        InputError
            T or recency are not whole numbers, or frequency is above recency.
        """
        need_repeat_buyers(summary, "BG/BB")
        refuse_season(summary, "BG/BB")
        columns = _opportunities(summary)
        (x, t, n), weight, _ = unique_rows(list(columns), summary.weights)
        entries = float((n - t + 1.0).sum())
        if entries > _MOST_ENTRIES:
            raise InputError(
                f"T and recency leave {entries:,.0f} times at which these customers may have left, and BG/BB sums over "
                f"at most {_MOST_ENTRIES:,}.",
                argument="summary",
                code="too_large",
                hint="Count in longer periods.",
            )
        histories = kernel.Histories.of(x, t, n)
        fitted = fit_parameters(
            "BG/BB",
            cls.names(),
            lambda parameters: kernel.likelihood(parameters, histories, weight),
            start=(1.0, 1.0, 1.0, 2.0),
            scale=(1.0, 1.0, 1.0, 1.0),
            n=summary.n_customers,
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS),
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        return cls(**values, unit=summary.unit, fit_report=fitted.report)

    @property
    def _plain(self) -> kernel.Parameters:
        return kernel.Parameters(self.alpha, self.beta, self.gamma, self.delta)

    def _columns(self, summary: PurchaseSummary) -> Past:
        super()._columns(summary)
        return Past(*_opportunities(summary))

    def _posterior(self, past: Past) -> FloatArray:
        (cell_x, cell_t, cell_n), _, place = unique_rows(list(past), None)
        return kernel.posterior(self._plain, cell_x, cell_t, cell_n)[place]

    def _alive(self, past: Past) -> FloatArray:
        return self._posterior(past)[:, 0]

    def _survival(self, past: Past, s: FloatArray) -> FloatArray:
        return kernel.survival(self._plain, past.T, s)

    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        return kernel.discounted(self._plain, past.x, past.T, t, 0.0)

    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        return kernel.discounted(self._plain, past.x, past.T, t, delta)

    def _total(self, past: Past) -> FloatArray:
        return kernel.total(self._plain, past.x, past.T)

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, past.x, past.T, t, n)

    def _rate(self, past: Past) -> FloatArray:
        return self._posterior(past)[:, 1]

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        return kernel.quantile(self._plain, past.x, past.T, chance, _LONGEST_WAIT)

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n = len(past.x)
        active = rng.random(n) < self._alive(past)
        chance = rng.beta(self.alpha + past.x, self.beta + past.T - past.x)
        leaves = rng.beta(self.gamma, self.delta + past.T)
        found = []
        for period in range(1, int(until.max(initial=0.0)) + 1):
            active = active & (period <= until)
            active &= rng.random(n) >= leaves
            row = np.flatnonzero(active & (rng.random(n) < chance))
            found.append((row, np.full(len(row), float(period))))
            if not active.any():
                break
        return in_order(found)


def _opportunities(summary: PurchaseSummary) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return x, t and n, checked to be whole numbers that fit each other."""
    x, t, n = summary.frequency, summary.recency, summary.T
    checks.refuse_rows(
        "T",
        n > _MOST_OPPORTUNITIES,
        n,
        f"BG/BB takes at most {_MOST_OPPORTUNITIES:,} opportunities",
        "Count in longer periods, or take BgNbd, where people buy at any time.",
    )
    for name, column in (("T", n), ("recency", t)):
        checks.refuse_rows(
            name, column != np.floor(column), column, "a whole number of opportunities is needed for BG/BB"
        )
    checks.refuse_rows(
        "frequency", x > t, x, "there can't be more purchases than opportunities until the last one used (recency)"
    )
    return x, t, n
