"""BG/CNBD-k: BG/NBD for customers who buy in a regular rhythm.

It is like `MbgCnbd`, except that customers can leave only after a repeat purchase: someone who bought once is certainly
still a customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import attrs

from relmark.ltv._covariates import CovariateColumns
from relmark.ltv._regular_model import RegularModel, Wanted, stages
from relmark.ltv.covariate_model import effects_field
from relmark.ltv.effects import CovariateEffects
from relmark.ltv.fit import FitReport, LogNormalPrior
from relmark.ltv.purchase_model import parameter, season_field, unit_field
from relmark.ltv.season import Season
from relmark.ltv.summary import PurchaseSummary


@attrs.frozen(kw_only=True, repr=False)
class BgCnbd(RegularModel):
    """The beta-geometric model of customers who buy in a regular rhythm, and may leave after repeat purchases.

    Parameters
    ----------
    k : int
        How regular purchases are: the time between two of them is made of k stages. With k = 1 purchases come at
        random, as in `BgNbd`; 2 or 3 is usual for groceries.
    r, alpha : float
        Shape and inverse scale of the gamma distribution of the rate of stages; alpha is in the unit of time. Purchases
        come at that rate divided by k.
    a, b : float
        The beta distribution of the chance to leave after a repeat purchase.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes it from the summary.
    effects : CovariateEffects, optional
        The effects of covariates; the parameters are then those of a customer whose covariates are all 0.
    season : Season, optional
        The season by whose clock time is measured; `fit` takes it from the summary.
    fit_report : FitReport, optional
        How the fit went.

    Notes
    -----
    Expected purchases and probabilities are sums that end where a bound shows the rest to be below rounding.

    References
    ----------
    Platzer, M. and Reutterer, T. (2016). Ticking away the moments: timing regularity helps to better predict customer
    activity. Marketing Science 35(5), 779-799.

    Examples
    --------
    Two customers of age 30 weeks, one with three repeat purchases until week 20, the other with none:

    >>> m = BgCnbd(k=2, r=1.3, alpha=2.8, a=.42, b=.79, unit="week")
    >>> s = PurchaseSummary(frequency=[3, 0], recency=[20, 0], T=[30, 30], unit="week")
    >>> m.probability_alive(s).round(4), m.expected_purchases(s, 26.0).round(4)
    (array([0.6011, 1.    ]), array([1.717 , 0.6735]))
    """

    k: int = stages()
    r: float = parameter()
    alpha: float = parameter()
    a: float = parameter()
    b: float = parameter()
    unit: str | None = unit_field()
    effects: CovariateEffects | None = effects_field()  # noqa: RUF009
    season: Season | None = season_field()  # noqa: RUF009  (an attrs field)
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "bg_cnbd"
    shift: ClassVar[int] = 0

    @classmethod
    def fit(
        cls,
        summary: PurchaseSummary,
        k: int | str = "auto",
        prior: LogNormalPrior | None = None,
        *,
        covariates: Mapping[str, CovariateColumns] | None = None,
        penalty: float | str = 0.0,
    ) -> Self:
        """Return the model that makes the histories of these customers most likely.

        Parameters
        ----------
        summary : PurchaseSummary
            Customers, or weighted cells of them, with `log_gaps` unless k is 1.
        k : int or "auto"
            The regularity. "auto" fits k = 1 to 12 and keeps the one with the highest likelihood; `fit_report.notes`
            lists them all.
        prior : LogNormalPrior, optional
            What is known about the parameters before the fit.
        covariates : mapping of str to columns, optional
            Known differences between customers, ``{"rate": columns, "dropout": columns}``. For each part give a mapping
            or frame of numbers or booleans aligned with the summary, or a list of names of columns that the summary
            has (`PurchaseSummary.with_covariates`).
        penalty : float or "auto"
            A ridge penalty: ``penalty / 2`` times the sum of the squared coefficients of the standardized columns is
            subtracted from the log-likelihood. "auto" chooses one by the likelihood of customers held out; if `k` is
            "auto" too, at the k with the highest likelihood without covariates.

        Returns
        -------
        BgCnbd
            With `fit_report`.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        InputError
            The summary has no log_gaps, and k is not 1.
        """
        return cls._fit(summary, k, Wanted(prior, covariates, penalty), "BG/CNBD")
