"""Pareto/NBD: purchases at random until an unseen lifetime ends.

The story (Schmittlein, Morrison and Colombo 1987): as long as people are customers, they buy at random, each at their
own rate. Their time as a customer is exponential, with another rate of their own. Both rates differ between people as
gamma distributions. Unlike in BG/NBD, customers may leave at any time and not only at a purchase, so that those who
never bought again may also have left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError
from relmark.core.newton import Terms
from relmark.ltv import _pareto as kernel
from relmark.ltv import _pareto_rows
from relmark.ltv._cells import coarse_cells, distinct, unique_rows, weights_by
from relmark.ltv._covariate_fit import Rowwise
from relmark.ltv._covariates import CovariateColumns
from relmark.ltv._each_row import EachRow
from relmark.ltv.covariate_model import CovariateModel, effects_field
from relmark.ltv.effects import CovariateEffects
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
    "s down": "nobody is seen to leave: Nbd, in which nobody leaves, fits as well",
    "beta up": "customers hardly differ in how soon they leave, or nobody is seen to leave",
    "s up": "customers hardly differ in how soon they leave; s / beta is their common rate",
    "beta down": "some leave at once and the others stay for good",
}

# One-time buyers may buy slowly or have left at once, and people may leave at the same rate or at different ones.
_STARTS = ((3.2, -2.0, 0.4, -0.5), (0.0, 2.0, -2.2, -6.0), (-0.5, -1.0, 1.0, 1.5))
_FEW = 500


class ParetoModel(CovariateModel):
    """The predictions of Pareto/NBD, from the kernels of `_pareto`."""

    __slots__ = ()

    r: float
    alpha: float
    s: float
    beta: float
    season: Season | None
    family = _pareto_rows.FAMILY

    @classmethod
    def _rowwise(cls, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Rowwise:
        return lambda xi: _pareto_rows.terms(xi, x, t_x, T)

    def _own(self, rate: FloatArray | float, dropout: FloatArray | float) -> list[FloatArray | float]:
        alpha = np.exp(np.log(self.alpha) - rate) if np.ndim(rate) else self.alpha
        return [self.r, alpha, self.s, np.exp(np.log(self.beta) - dropout) if np.ndim(dropout) else self.beta]

    def _each(self, parameters: list[FloatArray]) -> PurchaseModel:
        n = max(np.size(parameters[1]), np.size(parameters[3]))
        # the nodes depend on both alpha and beta: give both one value per row
        alpha, beta = (np.broadcast_to(parameters[i], n) for i in (1, 3))
        return _EachPareto(
            own=kernel.Parameters(float(parameters[0]), alpha, float(parameters[2]), beta),
            unit=self.unit,
            season=self.season,
        )

    @property
    def _plain(self) -> kernel.Parameters:
        return kernel.Parameters(self.r, self.alpha, self.s, self.beta)

    def _alive(self, past: Past) -> FloatArray:
        return kernel.posterior(self._plain, past.x, past.t_x, past.T)[:, 0]

    def _survival(self, past: Past, s: FloatArray) -> FloatArray:
        return kernel.survival(self._plain, past.T, s)

    def _expected(self, past: Past, t: FloatArray) -> FloatArray:
        return kernel.expected(self._plain, past.x, past.T, t)

    def _discounted(self, past: Past, t: FloatArray, delta: float) -> FloatArray:
        return kernel.discounted(self._plain, past.x, past.T, t, delta)

    def _total(self, past: Past) -> FloatArray:
        return kernel.total(self._plain, past.x, past.T)

    def _probabilities(self, past: Past, t: FloatArray, n: npt.NDArray[np.int64]) -> FloatArray:
        return kernel.probabilities(self._plain, past.x, past.T, t, n)

    def _rate(self, past: Past) -> FloatArray:
        return kernel.posterior(self._plain, past.x, past.t_x, past.T)[:, 1]

    def _quantile(self, past: Past, chance: FloatArray) -> FloatArray:
        return kernel.quantile(self._plain, past.x, past.T, chance)

    def _drawn(self, past: Past, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        n, own = len(past.x), self._plain
        alive = rng.random(n) < self._alive(past)
        rate = rng.standard_gamma(own.r + past.x) / (own.alpha + past.T)
        with np.errstate(divide="ignore", over="ignore"):  # a rate of leaving may be too small for floats
            ends = rng.standard_exponential(n) * (own.beta + past.T) / rng.standard_gamma(own.s, n)
        lives = Lives(alive=alive, rate=rate, left=np.ones(n), stages=1.0, leaves=np.zeros(n), ends=ends)
        return purchases_of(lives, until, rng)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _EachPareto(EachRow, ParetoModel):
    """The model in which every row has parameters of its own."""


@attrs.frozen(kw_only=True, repr=False)
class ParetoNbd(ParetoModel):
    """The Pareto/NBD model of repeat purchases by customers who leave unseen at any time.

    Parameters
    ----------
    r, alpha : float
        Shape and inverse scale of the gamma distribution of purchase rates; alpha is in the unit of time.
    s, beta : float
        Shape and inverse scale of the gamma distribution of the rates at which customers leave; beta in the unit of
        time.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes it from the summary.
    effects : CovariateEffects, optional
        The effects of covariates; the parameters are then those of a customer whose covariates are all 0.
    season : Season, optional
        The season by whose clock time is measured, for both buying and leaving: customers do more of both in the same
        months. `fit` takes it from the summary if `leaving` says so.
    fit_report : FitReport, optional
        How the fit went.

    References
    ----------
    Schmittlein, D. C., Morrison, D. G. and Colombo, R. (1987). Counting your customers: who are they and what will they
    do next? Management Science 33(1), 1-24.

    Examples
    --------
    >>> m = ParetoNbd(r=.5533, alpha=10.578, s=.6062, beta=11.668)
    >>> s = PurchaseSummary(frequency=2, recency=30.43, T=38.86)
    >>> m.expected_purchases(s, 39.0).round(3), m.probability_alive(s).round(3)
    (array([1.455]), array([0.869]))
    """

    r: float = parameter()
    alpha: float = parameter()
    s: float = parameter()
    beta: float = parameter()
    unit: str | None = unit_field()
    effects: CovariateEffects | None = effects_field()  # noqa: RUF009
    season: Season | None = season_field()  # noqa: RUF009  (an attrs field)
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "pareto_nbd"

    @classmethod
    def fit(
        cls,
        summary: PurchaseSummary,
        prior: LogNormalPrior | None = None,
        *,
        covariates: Mapping[str, CovariateColumns] | None = None,
        penalty: float | str = 0.0,
        leaving: str | None = None,
    ) -> Self:
        """Return the model that makes the histories of these customers most likely.

        Parameters
        ----------
        summary : PurchaseSummary
            Customers, or weighted cells of them.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.
        covariates : mapping of str to columns, optional
            Known differences between customers, ``{"rate": columns, "dropout": columns}``. For each part give a mapping
            or frame of numbers or booleans aligned with the summary, or a list of names of columns that the summary
            has (`PurchaseSummary.with_covariates`).
        penalty : float or "auto"
            A ridge penalty: ``penalty / 2`` times the sum of the squared coefficients of the standardized columns is
            subtracted from the log-likelihood. "auto" chooses one by the likelihood of customers held out.
        leaving : "calendar", optional
            Required if the summary has a season. It states that leaving follows the season just as buying does, so that
            in a month with twice as many purchases customers also leave at twice the rate. In this model customers
            leave at any time, unseen, so the data alone cannot show whether this is true.

        Returns
        -------
        ParetoNbd
            With `fit_report`.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        InputError
            The summary has a season, and `leaving` is not given.
        """
        need_repeat_buyers(summary, "Pareto/NBD")
        _check_leaving(summary, leaving)
        age = mean_age(summary)
        start, scale = (0.5, age / 4.0, 0.5, age / 4.0), (1.0, age, 1.0, age)
        (x, t_x, T), weight, _ = unique_rows([summary.frequency, summary.recency, summary.T], summary.weights)
        sketch = None
        if len(x) > _FEW:
            cells = coarse_cells(x, t_x, T, weight)
            sketch = _surface(*cells)
        fitted = fit_parameters(
            "Pareto/NBD",
            cls.names(),
            _surface(x, t_x, T, weight),
            start=start,
            scale=scale,
            n=summary.n_customers,
            prior=prior,
            boundaries=_BOUNDARIES,
            elsewhere=Elsewhere(_STARTS, sketch=sketch),
        )
        values = dict(zip(cls.names(), fitted.parameters.tolist(), strict=True))
        report = seasonal(fitted.report, summary.season, summary.log_season_total)
        plain = cls(**values, unit=summary.unit, season=summary.season, fit_report=report)
        if covariates is None:
            return plain
        return cls._with_effects(
            plain, summary, covariates, penalty=penalty, prior=(prior, start, scale), boundaries=_BOUNDARIES
        )


def _check_leaving(summary: PurchaseSummary, leaving: str | None) -> None:
    """Raise if a summary has a season and the caller has not said that leaving follows its clock."""
    if leaving is not None:
        checks.one_of("leaving", leaving, ("calendar",))
    elif summary.season is not None:
        raise InputError(
            "the summary has a season, and in Pareto/NBD customers leave at any time, not at purchases: the data "
            "cannot show whether leaving follows the clock of the season too.",
            argument="summary",
            code="not_supported",
            hint='Give leaving="calendar" if it does, or use MbgNbd, BgNbd, MbgCnbd, BgCnbd or Nbd.',
        )


def _surface(x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray) -> Callable[[FloatArray], Terms]:
    counts, place = distinct(x)
    n = weights_by(place, weight, len(counts))
    return lambda parameters: kernel.likelihood(parameters, x, t_x, T, weight, counts, n)
