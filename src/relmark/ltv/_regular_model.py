"""The model class that BG/CNBD-k and MBG/CNBD-k share: kernels of `_erlang_dropout` behind the common predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import Limits
from relmark.core.errors import DefinitionError, InputError
from relmark.core.newton import Terms
from relmark.core.shapes import Shape
from relmark.ltv import _erlang_dropout as kernel
from relmark.ltv import _geometric_dropout as rows
from relmark.ltv._cells import coarse_cells
from relmark.ltv._coin_model import BOUNDARIES, FEW, STARTS
from relmark.ltv.fit import Elsewhere, LogNormalPrior, fit_parameters
from relmark.ltv.purchase_model import Past, PurchaseModel
from relmark.ltv.season import seasonal
from relmark.ltv.simulation import Lives, purchases_of
from relmark.ltv.summary import PurchaseSummary, mean_age, need_repeat_buyers

_Model = TypeVar("_Model", bound="RegularModel")
MOST_STAGES = 100
TRIED = range(1, 13)


def stages() -> Any:
    """Return the field of k: a whole number of stages, which no fit moves by itself."""

    def convert(value: int) -> int:
        return checks.whole("k", value, low=1, high=MOST_STAGES)

    return attrs.field(converter=convert, metadata={"stored": False})


class RegularModel(PurchaseModel):
    """A model in which purchases take k stages and a customer may leave at each of them."""

    __slots__ = ()

    k: int
    r: float
    alpha: float
    a: float
    b: float
    shift: ClassVar[int]
    silence_tells: ClassVar[bool] = True
    _settings: ClassVar[tuple[str, ...]] = ("k",)

    @classmethod
    def _fit(cls, summary: PurchaseSummary, k: int | str, prior: LogNormalPrior | None, name: str) -> Self:
        need_repeat_buyers(summary, name)
        if isinstance(k, str):
            if k != "auto":
                raise InputError(
                    f'k is {k!r}: a whole number of stages or "auto" is needed.', argument="k", code="wrong_value"
                )
            fits = [cls._fitted(summary, tried, prior, name) for tried in TRIED]
            return best_of(fits)
        return cls._fitted(summary, checks.whole("k", k, low=1, high=MOST_STAGES), prior, name)

    @classmethod
    def _fitted(cls, summary: PurchaseSummary, k: int, prior: LogNormalPrior | None, name: str) -> Self:
        gaps = summary.log_gaps_total
        if gaps is None and k > 1:
            raise InputError(
                f"the summary has no log_gaps, and times between purchases are what tells {name}-{k} from k = 1.",
                argument="summary",
                code="missing_argument",
                hint="Make it with purchase_summary(base, as_of=...), or give log_gaps, the sum of the logarithms of "
                "the times between purchases in the unit. A model with k = 1 does not need it.",
            )
        age = mean_age(summary)
        repeats = summary.frequency.sum() if summary.weights is None else summary.weights @ summary.frequency
        constant = 0.0 if k == 1 else (k - 1.0) * float(gaps or 0.0) - float(repeats) * math.lgamma(k)

        def surface(
            x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray | None
        ) -> Callable[[FloatArray], Terms]:
            data = rows.arranged(x, t_x, T, weight, cls.shift)
            return lambda parameters: kernel.likelihood(parameters, data, k, cls.shift, constant)

        columns = summary.frequency, summary.recency, summary.T, summary.weights
        fitted = fit_parameters(
            f"{name}-{k}",
            cls.names(),
            surface(*columns),
            start=(0.5, age / (4.0 * k), 1.0, 2.0),
            scale=(1.0, age, 1.0, 1.0),
            n=summary.n_customers,
            prior=prior,
            boundaries=BOUNDARIES,
            elsewhere=Elsewhere(
                STARTS,
                always=cls.shift == 1,
                sketch=surface(*coarse_cells(*columns)) if len(summary) > FEW else None,
            ),
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        report = seasonal(fitted.report, summary.season, summary.log_season_total)
        return cls(k=k, **values, unit=summary.unit, season=summary.season, fit_report=report)  # type: ignore[call-arg]

    @property
    def _plain(self) -> kernel.Parameters:
        return kernel.Parameters(self.k, self.r, self.alpha, self.a, self.b, self.shift)

    def _living(self, past: Past) -> kernel.Ahead:
        return kernel.living(self._plain, *past)

    def _alive(self, past: Past) -> FloatArray:
        return kernel.alive(self._plain, *past)

    def _survival(self, past: Past, s: FloatArray) -> FloatArray:
        return kernel.survival(self._plain, self._living(past), s)

    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        return kernel.expected(self._plain, self._living(past), t)

    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        return kernel.discounted(self._plain, self._living(past), t, delta)

    def _total(self, past: Past) -> FloatArray:
        return kernel.total(self._plain, self._living(past))

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, self._living(past), t, n)

    def _rate(self, past: Past) -> FloatArray:
        return kernel.posterior_rate(self._plain, *past)

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        return kernel.quantile(self._plain, self._living(past), chance)

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n, given = len(past.x), self._living(past)
        reached = (rng.random(n) > np.cumsum(given.stage, axis=0)[:-1]).sum(axis=0)
        lives = Lives(
            alive=rng.random(n) < self._alive(past),
            rate=rng.standard_gamma(given.K + reached) / given.M,
            left=(self.k - reached).astype(np.float64),
            stages=float(self.k),
            leaves=rng.beta(self.a, given.survived),
            ends=np.full(n, np.inf),
        )
        return purchases_of(lives, until, rng)

    # ---- the stored form, which has k before the parameters

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        shape, needed = super()._shape(limits)
        return {"k": shapes.whole(low=1, high=MOST_STAGES), **shape}, ("k", *needed)

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        k = body.get("k")
        if k is not None and (isinstance(k, bool) or not isinstance(k, int)):
            raise DefinitionError(f"{k!r} is not a whole number.", path="$.k", code="wrong_type")
        return super()._from_body(body, limits)


def best_of(fits: list[_Model]) -> _Model:
    """Return the fit with the highest likelihood, which says what the others had."""
    reports = [fit.fit_report for fit in fits if fit.fit_report is not None]
    values = [report.log_likelihood for report in reports]
    place = int(np.argmax(values))
    others = ", ".join(f"{fit.k}: {value:.2f}" for fit, value in zip(fits, values, strict=True))
    note = f"k is {fits[place].k}, by likelihood ({others})"
    report = attrs.evolve(reports[place], notes=(*reports[place].notes, note), chosen=reports[place].chosen + 1)
    return attrs.evolve(fits[place], fit_report=report)  # type: ignore[call-arg]
