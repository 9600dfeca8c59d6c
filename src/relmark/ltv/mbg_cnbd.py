"""MBG/CNBD-k: MBG/NBD for customers who buy by a rhythm.

Who shops for groceries every Saturday is not late on Monday, and is late on the next Sunday. MBG/NBD, where purchases
come at random, sees no difference between the two. Here the times between purchases are more even, the more so the
larger k is (Platzer and Reutterer 2016), so that a silence says sooner that somebody has left.
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
class MbgCnbd(RegularModel):
    """The modified beta-geometric model of customers who buy by a rhythm, and may leave after any purchase.

    Parameters
    ----------
    k : int
        How regular purchases are: the time between two of them is that of k stages. 1 is purchases at random, which is
        `MbgNbd`; 2 or 3 is usual for groceries.
    r, alpha : float
        Shape and inverse scale of the gamma distribution of the rate of stages; alpha is in the unit of time. Purchases
        come at a k-th of that rate.
    a, b : float
        The beta distribution of the chance to leave after a purchase.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes the summary's.
    effects : CovariateEffects, optional
        What covariates do; the parameters then are those at covariates 0.
    season : Season, optional
        The clock by which time counts; `fit` takes the summary's.
    fit_report : FitReport, optional
        How the fit went.

    Notes
    -----
    Expected purchases and probabilities are exact sums, ended by a bound on what is left, not by a count.

    References
    ----------
    Platzer, M. and Reutterer, T. (2016). Ticking away the moments: timing regularity helps to better predict customer
    activity. Marketing Science 35(5), 779-799.

    Examples
    --------
    Two customers of age 30 weeks, one with three repeat purchases until week 20, the other with none:

    >>> m = MbgCnbd(k=2, r=1.3, alpha=2.8, a=.42, b=.79, unit="week")
    >>> s = PurchaseSummary(frequency=[3, 0], recency=[20, 0], T=[30, 30], unit="week")
    >>> m.probability_alive(s).round(4), m.expected_purchases(s, 26.0).round(4)
    (array([0.6718, 0.1438]), array([1.963 , 0.1027]))
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

    kind: ClassVar[str] = "mbg_cnbd"
    shift: ClassVar[int] = 1

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
            The regularity; "auto" fits 1 to 12 and keeps the likeliest, and `fit_report.notes` say what each had.
        prior : LogNormalPrior, optional
            What is known of the parameters before.
        covariates : mapping of str to columns, optional
            Known differences, ``{"rate": columns, "dropout": columns}``: for each part a mapping or frame of numbers or
            booleans aligned with the summary, or a list of names of those that it carries
            (`PurchaseSummary.with_covariates`).
        penalty : float or "auto"
            A ridge penalty on the coefficients of the standardized columns, so many times half the sum of their
            squares; "auto" chooses one by the likelihood of customers held out, at the k that is likeliest without
            covariates if `k` is "auto" too.

        Returns
        -------
        MbgCnbd
            With `fit_report`.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.
        InputError
            The summary has no log_gaps, and k is not 1.
        """
        return cls._fit(summary, k, Wanted(prior, covariates, penalty), "MBG/CNBD")
