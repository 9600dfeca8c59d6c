"""The model class that BG/NBD and MBG/NBD share: kernels of `_geometric_dropout` behind the common predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.newton import Terms
from relmark.ltv import _coin_rows
from relmark.ltv import _geometric_dropout as kernel
from relmark.ltv._cells import coarse_cells
from relmark.ltv._covariate_fit import Rowwise
from relmark.ltv._covariates import CovariateColumns
from relmark.ltv._each_row import EachRow
from relmark.ltv.covariate_model import CovariateModel
from relmark.ltv.fit import Elsewhere, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import Past, PurchaseModel
from relmark.ltv.season import Season, seasonal
from relmark.ltv.simulation import Lives, purchases_of
from relmark.ltv.summary import PurchaseSummary, mean_age, need_repeat_buyers

FEW = 10_000

BOUNDARIES = {
    "r up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "alpha up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "r down": "nearly all purchases are made by very few customers",
    "alpha down": "repeat purchases come right after the first purchase, or not at all",
    "a down": "nobody is seen to leave: Nbd, in which nobody leaves, fits as well",
    "b up": "all customers leave with the same chance a / (a + b), or nobody is seen to leave",
    "a up": "all customers leave with the same chance a / (a + b)",
    "b down": "customers either stay for good or leave at the first chance",
}

# One-time buyers may buy slowly (rates that differ much, r low) or have left at once (chances to leave near 0 or 1, a
# and b low): the likelihood often has a maximum for each of the two.
STARTS = ((2.0, 2.0, -1.0, -2.5), (-1.4, -2.3, -0.4, 0.7), (-1.5, -1.5, 5.0, 6.5))


def _sketch(summary: PurchaseSummary, shift: int) -> Callable[[FloatArray], Terms] | None:
    """Return the likelihood of a large summary in coarse cells, or None for a small one, which does not need it."""
    if len(summary) <= FEW:
        return None
    x, t_x, T, weight = coarse_cells(summary.frequency, summary.recency, summary.T, summary.weights)
    data = kernel.arranged(x, t_x, T, weight, shift)
    return lambda parameters: kernel.likelihood(parameters, data, shift)


class CoinModel(CovariateModel):
    """A model in which a customer may leave at each purchase; `shift` is 1 where the first purchase counts too."""

    __slots__ = ()

    family = _coin_rows.FAMILY

    r: float
    alpha: float
    a: float
    b: float
    season: Season | None
    shift: ClassVar[int]

    @classmethod
    def _fit(
        cls,
        summary: PurchaseSummary,
        prior: LogNormalPrior | None,
        name: str,
        covariates: Mapping[str, CovariateColumns] | None = None,
        penalty: float | str = 0.0,
    ) -> Self:
        need_repeat_buyers(summary, name)
        age = mean_age(summary)
        start, scale = (0.5, age / 4.0, 1.0, 2.0), (1.0, age, 1.0, 1.0)
        data = kernel.arranged(summary.frequency, summary.recency, summary.T, summary.weights, cls.shift)
        fitted = fit_parameters(
            name,
            cls.names(),
            lambda parameters: kernel.likelihood(parameters, data, cls.shift),
            start=start,
            scale=scale,
            n=summary.n_customers,
            prior=prior,
            boundaries=BOUNDARIES,
            elsewhere=Elsewhere(
                STARTS,
                # Where the first purchase tosses no coin, every sharp maximum seen so far was the highest one.
                always=cls.shift == 1,
                sketch=_sketch(summary, cls.shift),
            ),
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        report = seasonal(fitted.report, summary.season, summary.log_season_total)
        plain = cls(**values, unit=summary.unit, season=summary.season, fit_report=report)  # type: ignore[call-arg]
        if covariates is None:
            return plain
        return cls._with_effects(
            plain, summary, covariates, penalty=penalty, prior=(prior, start, scale), boundaries=BOUNDARIES
        )

    @classmethod
    def _rowwise(cls, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Rowwise:
        rows = _coin_rows.arranged(x, t_x, T, cls.shift)
        return lambda xi: _coin_rows.terms(xi, rows, cls.shift)

    def _own(self, rate: FloatArray | float, dropout: FloatArray | float) -> list[FloatArray | float]:
        return _coin_rows.moved((self.r, self.alpha, self.a, self.b), rate, dropout)

    def _each(self, parameters: list[FloatArray]) -> PurchaseModel:
        r, alpha, a, b = parameters
        own = kernel.Parameters(float(r), alpha, a, b, self.shift)
        return _EachCoin(own=own, unit=self.unit, season=self.season)

    @property
    def _plain(self) -> kernel.Parameters:
        return kernel.Parameters(self.r, self.alpha, self.a, self.b, self.shift)

    def _alive(self, past: Past) -> FloatArray:
        return kernel.alive(self._plain, past.x, past.t_x, past.T)

    def _survival(self, past: Past, s: FloatArray) -> FloatArray:
        return kernel.survival(self._plain, past.x, past.T, s)

    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        return kernel.expected(self._plain, past.x, past.T, t)

    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        return kernel.discounted(self._plain, past.x, past.T, t, delta)

    def _until(self, past: Past, ends: list[float], delta: float) -> FloatArray:
        if delta == 0.0:
            return super()._until(past, ends, delta)
        return kernel.discounted_until(self._plain, past.x, past.T, np.array(ends), delta)

    def _total(self, past: Past) -> FloatArray:
        return kernel.total(self._plain, past.x)

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, past.x, past.T, t, n)

    def _rate(self, past: Past) -> FloatArray:
        return kernel.posterior_rate(self._plain, past.x, past.t_x, past.T)

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        # Alive at T, nobody leaves before the next purchase: P(bought by t) = 1 - (M / (M + t))^k.
        own = self._plain
        result: FloatArray = (own.alpha + past.T) * np.expm1(-np.log1p(-chance) / (own.r + past.x))
        return result

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n, own = len(past.x), self._plain
        lives = Lives(
            alive=rng.random(n) < self._alive(past),
            rate=rng.standard_gamma(own.r + past.x) / (own.alpha + past.T),
            left=np.ones(n),
            stages=1.0,
            leaves=rng.beta(own.a, own.b + past.x + own.shift),
            ends=np.full(n, np.inf),
        )
        return purchases_of(lives, until, rng)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _EachCoin(EachRow, CoinModel):
    """The model in which every row has parameters of its own."""

    def _until(self, past: Past, ends: list[float], delta: float) -> FloatArray:
        form = CoinModel if delta else EachRow  # with a discount, the kernel computes all ends at once
        return form._until(self, past, ends, delta)  # noqa: SLF001
