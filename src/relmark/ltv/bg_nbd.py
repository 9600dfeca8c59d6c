"""BG/NBD: how often customers buy, and whether they are still customers.

The story (Fader, Hardie and Lee 2005): as long as people are customers, they buy at random, each at their own rate.
After each repeat purchase they may leave for good, each with their own chance. Rates differ between people as a gamma
distribution with shape r and inverse scale alpha, chances as a beta distribution with a and b. Customers do not say
when they leave: the longer the silence compared with their rhythm, the more likely it is that they have left.
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
class BgNbd(CoinModel):
    """The beta-geometric/NBD model of repeat purchases by customers who leave unseen.

    Parameters
    ----------
    r, alpha : float
        Shape and inverse scale of the gamma distribution of purchase rates; alpha is in the unit of time.
    a, b : float
        The beta distribution of the chance to leave after a repeat purchase.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time; `fit` takes it from the summary. If it is given, a summary in another unit is refused.
    effects : CovariateEffects, optional
        The effects of covariates; the parameters are then those of a customer whose covariates are all 0.
    season : Season, optional
        The season by whose clock time is measured; `fit` takes it from the summary.
    fit_report : FitReport, optional
        How the fit went.

    Notes
    -----
    In this model a customer who never bought again is certainly alive, because customers leave only after a repeat
    purchase. Where that misleads, use `MbgNbd`, in which people may leave right after the first purchase.

    References
    ----------
    Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005). "Counting your customers" the easy way: an alternative to the
    Pareto/NBD model. Marketing Science 24(2), 275-284.

    Examples
    --------
    The customer of the paper's worked example, 39 weeks ahead:

    >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426)
    >>> s = PurchaseSummary(frequency=2, recency=30.43, T=38.86, unit="week")
    >>> round(float(m.expected_purchases(s, 39.0)[0]), 3), round(float(m.probability_alive(s)[0]), 6)
    (1.226, 0.726579)
    """

    r: float = parameter()
    alpha: float = parameter()
    a: float = parameter()
    b: float = parameter()
    unit: str | None = unit_field()
    effects: CovariateEffects | None = effects_field()  # noqa: RUF009
    season: Season | None = season_field()  # noqa: RUF009  (an attrs field)
    fit_report: FitReport | None = attrs.field(default=None, eq=False, repr=False, metadata={"stored": False})

    kind: ClassVar[str] = "bg_nbd"
    shift: ClassVar[int] = 0

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
            What is known about the parameters before the fit; it keeps a fit to few customers from running off to
            extreme values.
        covariates : mapping of str to columns, optional
            Known differences between customers, ``{"rate": columns, "dropout": columns}``. For each part give a mapping
            or frame of numbers or booleans aligned with the summary, or a list of names of columns that the summary
            has (`PurchaseSummary.with_covariates`).
        penalty : float or "auto"
            A ridge penalty: ``penalty / 2`` times the sum of the squared coefficients of the standardized columns is
            subtracted from the log-likelihood. "auto" chooses one by the likelihood of customers held out.

        Returns
        -------
        BgNbd
            With `fit_report`: log-likelihood, standard errors, and what is wrong with the fit, if anything is.

        Raises
        ------
        NotEnoughDataError
            Nobody bought twice.

        Notes
        -----
        The fit is a damped Newton search over the log parameters with the exact Hessian. It takes about six
        evaluations, each linear in the number of repeat buyers.
        """
        return cls._fit(summary, prior, "BG/NBD", covariates, penalty)
