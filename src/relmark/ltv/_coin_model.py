"""The model class that BG/NBD and MBG/NBD share: kernels of `_geometric_dropout` behind the common predictions."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from relmark.ltv import _geometric_dropout as kernel
from relmark.ltv.fit import LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import PurchaseModel
from relmark.ltv.summary import PurchaseSummary, mean_age, need_repeat_buyers

FloatArray = npt.NDArray[np.float64]

_BOUNDARIES = {
    "r up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "alpha up": "customers hardly differ in how often they buy; r / alpha is their common rate",
    "r down": "nearly all purchases are made by very few customers",
    "alpha down": "nearly all purchases follow at once on the first one, or not at all",
    "a down": "nobody is seen to leave: Nbd, without leaving, says as much",
    "b up": "all leave with one chance a / (a + b), or nobody is seen to leave",
    "a up": "all leave with one chance a / (a + b)",
    "b down": "customers either stay for good or leave at the first toss",
}


class CoinModel(PurchaseModel):
    """A model in which a customer may leave at each purchase; `shift` is 1 where the first purchase counts too."""

    __slots__ = ()

    r: float
    alpha: float
    a: float
    b: float
    shift: ClassVar[int]

    @classmethod
    def _fit(cls, summary: PurchaseSummary, prior: LogNormalPrior | None, name: str) -> Self:
        need_repeat_buyers(summary, name)
        age = mean_age(summary)
        data = kernel.arranged(summary.frequency, summary.recency, summary.T, summary.weights, cls.shift)
        fitted = fit_parameters(
            name,
            cls.names(),
            lambda parameters: kernel.likelihood(parameters, data, cls.shift),
            start=(0.5, age / 4.0, 1.0, 2.0),
            scale=(1.0, age, 1.0, 1.0),
            n=summary.n_customers,
            prior=prior,
            boundaries=_BOUNDARIES,
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        return cls(**values, unit=summary.unit, fit_report=fitted.report)  # type: ignore[call-arg]

    @property
    def _plain(self) -> kernel.Parameters:
        return kernel.Parameters(self.r, self.alpha, self.a, self.b, self.shift)

    def _alive(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
        return kernel.alive(self._plain, x, t_x, T)

    def _survival(self, x: FloatArray, T: FloatArray, s: FloatArray) -> FloatArray:
        return kernel.survival(self._plain, x, T, s)

    def _expected(self, x: FloatArray, T: FloatArray, t: FloatArray) -> FloatArray:
        return kernel.expected(self._plain, x, T, t)

    def _discounted(self, x: FloatArray, T: FloatArray, t: FloatArray, delta: float) -> FloatArray:
        return kernel.discounted(self._plain, x, T, t, delta)

    def _until(self, x: FloatArray, T: FloatArray, ends: list[float], delta: float) -> FloatArray:
        if delta == 0.0:
            return super()._until(x, T, ends, delta)
        return kernel.discounted_until(self._plain, x, T, np.array(ends), delta)

    def _total(self, x: FloatArray, T: FloatArray) -> FloatArray:  # noqa: ARG002
        return kernel.total(self._plain, x)

    def _probabilities(self, x: FloatArray, T: FloatArray, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, x, T, t, n)

    def _rate(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
        return kernel.posterior_rate(self._plain, x, t_x, T)

    def _quantile(self, x: FloatArray, T: FloatArray, chance: FloatArray) -> FloatArray:
        # Alive at T, nobody leaves before the next purchase: P(bought by t) = 1 - (M / (M + t))^k.
        return (self.alpha + T) * np.expm1(-np.log1p(-chance) / (self.r + x))
