"""MBG/NBD: BG/NBD, except that customers may leave right after the first purchase too.

In BG/NBD a customer who never bought again is certainly alive, which overrates those who came once. Here customers may
also leave after the first purchase (Batislam, Denizel and Filiztekin 2007), so that P(alive) of one-time buyers falls
with time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import attrs

from relmark.ltv._coin_model import CoinModel
from relmark.ltv._covariates import CovariateColumns
from relmark.ltv.covariate_model import effects_field
from relmark.ltv.effects import CovariateEffects
from relmark.ltv.fit import FitReport, LogNormalPrior
from relmark.ltv.purchase_model import parameter, season_field, unit_field
from relmark.ltv.season import Season
from relmark.ltv.summary import PurchaseSummary


@attrs.frozen(kw_only=True, repr=False)
class MbgNbd(CoinModel):
    """The modified beta-geometric/NBD model: customers may leave after any purchase, including the first.

    Parameters
    ----------
    r, alpha : float
        Shape and inverse scale of the gamma distribution of purchase rates; alpha is in the unit of time.
    a, b : float
        The beta distribution of the chance to leave after a purchase.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes it from the summary.
    effects : CovariateEffects, optional
        The effects of covariates; the parameters are then those of a customer whose covariates are all 0.
    season : Season, optional
        The season by whose clock time is measured; `fit` takes it from the summary.
    fit_report : FitReport, optional
        How the fit went.

    References
    ----------
    Batislam, E. P., Denizel, M. and Filiztekin, A. (2007). Empirical validation and comparison of models for customer
    base analysis. International Journal of Research in Marketing 24(3), 201-209.

    Examples
    --------
    >>> m = MbgNbd(r=.525, alpha=6.183, a=.891, b=1.614)
    >>> once = PurchaseSummary(frequency=[0, 0], recency=[0, 0], T=[1.0, 52.0])
    >>> m.probability_alive(once).round(3)
    array([0.626, 0.358])
    """

    r: float = parameter()
    alpha: float = parameter()
    a: float = parameter()
    b: float = parameter()
    unit: str | None = unit_field()
    effects: CovariateEffects | None = effects_field()  # noqa: RUF009
    season: Season | None = season_field()  # noqa: RUF009  (an attrs field)
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "mbg_nbd"
    shift: ClassVar[int] = 1

    @classmethod
    def fit(
        cls,
        summary: PurchaseSummary,
        prior: LogNormalPrior | None = None,
        *,
        covariates: Mapping[str, CovariateColumns] | None = None,
        penalty: float | str = 0.0,
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

        Returns
        -------
        MbgNbd
            With `fit_report`.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        """
        return cls._fit(summary, prior, "MBG/NBD", covariates, penalty)
