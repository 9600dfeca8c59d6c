"""The model class that BG/CNBD-k and MBG/CNBD-k share: kernels of `_erlang_dropout` behind the common predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import Limits
from relmark.core.errors import DefinitionError, InputError
from relmark.core.newton import Terms
from relmark.core.shapes import Shape
from relmark.ltv import _coin_rows
from relmark.ltv import _erlang_dropout as kernel
from relmark.ltv import _geometric_dropout as rows
from relmark.ltv._cells import coarse_cells
from relmark.ltv._coin_model import BOUNDARIES, FEW, STARTS
from relmark.ltv._covariate_fit import Rowwise
from relmark.ltv._covariates import CovariateColumns
from relmark.ltv._each_row import EachRow
from relmark.ltv.covariate_model import CovariateModel
from relmark.ltv.fit import Elsewhere, LogNormalPrior, fit_parameters, likelihood_ratio_test
from relmark.ltv.purchase_model import Past, PurchaseModel
from relmark.ltv.season import Season, seasonal
from relmark.ltv.simulation import Lives, purchases_of
from relmark.ltv.summary import PurchaseSummary, mean_age, need_repeat_buyers

MOST_STAGES = 100
TRIED = range(1, 13)


def stages() -> Any:
    """Return the field of k: a whole number of stages, which is not among the parameters that a fit moves."""

    def convert(value: int) -> int:
        return checks.whole("k", value, low=1, high=MOST_STAGES)

    return attrs.field(converter=convert, metadata={"stored": False})


_Model = TypeVar("_Model", bound="RegularModel")


class Wanted(NamedTuple):
    """What a fit was asked for in addition to k: the prior of the parameters, and the customers' covariates."""

    prior: LogNormalPrior | None
    covariates: Mapping[str, CovariateColumns] | None
    penalty: float | str


class RegularModel(CovariateModel):
    """A model in which purchases take k stages and a customer may leave at each of them."""

    __slots__ = ()

    family = _coin_rows.FAMILY

    k: int
    r: float
    alpha: float
    a: float
    b: float
    season: Season | None
    shift: ClassVar[int]
    silence_tells: ClassVar[bool] = True
    _settings: ClassVar[tuple[str, ...]] = ("k",)

    @classmethod
    def _fit(cls, summary: PurchaseSummary, k: int | str, wanted: Wanted, name: str) -> Self:
        need_repeat_buyers(summary, name)
        if not isinstance(k, str):
            stages = checks.whole("k", k, low=1, high=MOST_STAGES)
            return cls._with_covariates(cls._fitted(summary, stages, wanted.prior, name), summary, wanted)
        if k != "auto":
            raise InputError(
                f'k is {k!r}: a whole number of stages or "auto" is needed.', argument="k", code="wrong_value"
            )
        plain = [cls._fitted(summary, tried, wanted.prior, name) for tried in TRIED]
        if wanted.covariates is None:
            return best_of(plain)
        if isinstance(wanted.penalty, str):  # likelihoods at different penalties can't be compared
            return cls._with_covariates(best_of(plain, " without covariates"), summary, wanted)
        best = best_of([cls._with_covariates(fit, summary, wanted) for fit in plain])
        return best._against(max(fit._log_likelihood for fit in plain))  # noqa: SLF001

    @classmethod
    def _fitted(cls, summary: PurchaseSummary, k: int, prior: LogNormalPrior | None, name: str) -> Self:
        """Return the fit of one k, without covariates."""
        if summary.log_gaps_total is None and k > 1:
            raise InputError(
                f"the summary has no log_gaps, and only the times between purchases distinguish {name}-{k} from k = 1.",
                argument="summary",
                code="missing_argument",
                hint="Make it with purchase_summary(base, as_of=...), or give log_gaps, the sum of the logarithms of "
                "the times between purchases in the summary's unit. A model with k = 1 does not need it.",
            )
        constant = _constant(summary, k)

        def surface(
            x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray | None
        ) -> Callable[[FloatArray], Terms]:
            data = rows.arranged(x, t_x, T, weight, cls.shift)
            return lambda parameters: kernel.likelihood(parameters, data, k, cls.shift, constant)

        columns = summary.frequency, summary.recency, summary.T, summary.weights
        start, scale = _begin(summary, k)
        fitted = fit_parameters(
            f"{name}-{k}",
            cls.names(),
            surface(*columns),
            start=start,
            scale=scale,
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

    @classmethod
    def _with_covariates(cls, plain: Self, summary: PurchaseSummary, wanted: Wanted) -> Self:
        """Return the fit with covariates, starting from the fit of the same k without them."""
        if wanted.covariates is None:
            return plain
        return cls._with_effects(
            plain,
            summary,
            wanted.covariates,
            penalty=wanted.penalty,
            prior=(wanted.prior, *_begin(summary, plain.k)),
            boundaries=BOUNDARIES,
            constant=_constant(summary, plain.k),
        )

    @property
    def _log_likelihood(self) -> float:
        assert self.fit_report is not None
        return self.fit_report.log_likelihood

    def _against(self, without: float) -> Self:
        """Return the fit with its likelihood ratio test, if it has one, against the best fit without covariates."""
        report = self.fit_report
        if report is None or report.likelihood_ratio is None:
            return self
        test = likelihood_ratio_test(report.log_likelihood - without, report.likelihood_ratio.degrees_of_freedom)
        return attrs.evolve(self, fit_report=attrs.evolve(report, likelihood_ratio=test))  # type: ignore[call-arg]

    def _rowwise(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Rowwise:
        shift, arranged = self.shift, _coin_rows.arranged(x, t_x, T, self.shift, self.k)
        return lambda xi: _coin_rows.terms(xi, arranged, shift)

    def _own(self, rate: FloatArray | float, dropout: FloatArray | float) -> list[FloatArray | float]:
        return _coin_rows.moved((self.r, self.alpha, self.a, self.b), rate, dropout)

    def _each(self, parameters: list[FloatArray]) -> PurchaseModel:
        r, alpha, a, b = parameters
        own = kernel.Parameters(self.k, float(r), alpha, a, b, self.shift)
        return _EachRegular(own=own, unit=self.unit, season=self.season)

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
        return kernel.total(self._living(past))

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, self._living(past), t, n)

    def _rate(self, past: Past) -> FloatArray:
        return kernel.posterior_rate(self._plain, *past)

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        return kernel.quantile(self._plain, self._living(past), chance)

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n, own, given = len(past.x), self._plain, self._living(past)
        reached = (rng.random(n) > np.cumsum(given.stage, axis=0)[:-1]).sum(axis=0)
        lives = Lives(
            alive=rng.random(n) < self._alive(past),
            rate=rng.standard_gamma(given.K + reached) / given.M,
            left=(own.k - reached).astype(np.float64),
            stages=float(own.k),
            leaves=rng.beta(given.a, given.survived),
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


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _EachRegular(EachRow, RegularModel):
    """The model in which every row has parameters of its own."""


def _begin(summary: PurchaseSummary, k: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return where a search begins, and the unit of each parameter."""
    age = mean_age(summary)
    return (0.5, age / (4.0 * k), 1.0, 2.0), (1.0, age, 1.0, 1.0)


def _constant(summary: PurchaseSummary, k: int) -> float:
    """Return the part of the log-likelihood that depends on k alone."""
    if k == 1:
        return 0.0
    repeats = summary.frequency.sum() if summary.weights is None else summary.weights @ summary.frequency
    return (k - 1.0) * float(summary.log_gaps_total or 0.0) - float(repeats) * math.lgamma(k)


def best_of(fits: list[_Model], which: str = "") -> _Model:
    """Return the fit with the highest likelihood, with a note of all likelihoods; `which` says which fits they are."""
    values = [fit._log_likelihood for fit in fits]  # noqa: SLF001
    best = fits[int(np.argmax(values))]
    others = ", ".join(f"{fit.k}: {value:.2f}" for fit, value in zip(fits, values, strict=True))
    report = best.fit_report
    assert report is not None
    note = f"k is {best.k}, which has the highest log-likelihood{which} ({others})"
    report = attrs.evolve(report, notes=(*report.notes, note), chosen=report.chosen + 1)
    return attrs.evolve(best, fit_report=report)  # type: ignore[call-arg]
