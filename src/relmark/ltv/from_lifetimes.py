"""Take over models that were fitted with the package lifetimes."""

from __future__ import annotations

from collections.abc import Mapping

from relmark.core.errors import InputError
from relmark.ltv.bg_bb import BgBb
from relmark.ltv.bg_nbd import BgNbd
from relmark.ltv.gamma_gamma import GammaGamma
from relmark.ltv.mbg_nbd import MbgNbd
from relmark.ltv.pareto_nbd import ParetoNbd

_MODELS: Mapping[str, type[BgNbd | MbgNbd | ParetoNbd | BgBb | GammaGamma]] = {
    "BetaGeoFitter": BgNbd,
    "ModifiedBetaGeoFitter": MbgNbd,
    "ParetoNBDFitter": ParetoNbd,
    "BetaGeoBetaBinomFitter": BgBb,
    "GammaGammaFitter": GammaGamma,
}


def from_lifetimes(fitter: object, unit: str | None = None) -> BgNbd | MbgNbd | ParetoNbd | BgBb | GammaGamma:
    """Return the model of relmark that has the parameters of a fitted model of lifetimes.

    The package is not imported: a fitter is recognized by the name of its class or of a class it inherits from.

    Parameters
    ----------
    fitter : BetaGeoFitter, ModifiedBetaGeoFitter, ParetoNBDFitter, BetaGeoBetaBinomFitter or GammaGammaFitter
        The fitted model, with `params_`.
    unit : {"day", "week", "month", "year"}, optional
        The unit of time that it was fitted in, which lifetimes does not store.

    Returns
    -------
    BgNbd, MbgNbd, ParetoNbd, BgBb or GammaGamma
        The model, without a fit_report: lifetimes' covariance is not symmetric, and its log-likelihood is a mean on its
        own scale. If you want intervals, fit again to the summary.

    Raises
    ------
    InputError
        `fitter` is not one of these fitters, or was not fitted.

    Examples
    --------
    >>> class BetaGeoFitter:
    ...     params_ = {"r": .243, "alpha": 4.414, "a": .793, "b": 2.426}
    >>> from_lifetimes(BetaGeoFitter(), unit="week")
    BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, unit='week')
    """
    model = next((_MODELS[c.__name__] for c in type(fitter).__mro__ if c.__name__ in _MODELS), None)
    if model is None:
        known = ", ".join(_MODELS)
        raise InputError(
            f"fitter is a {type(fitter).__name__}: one of {known} is needed.", argument="fitter", code="wrong_type"
        )
    parameters = getattr(fitter, "params_", None)
    if parameters is None:
        raise InputError("fitter has no params_: fit it first.", argument="fitter", code="missing_argument")
    try:
        values = {name: float(parameters[name]) for name in model.names()}
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"fitter has params_ without {', '.join(model.names())}: fit it first.",
            argument="fitter",
            code="missing_argument",
        ) from None
    if issubclass(model, GammaGamma):
        return GammaGamma(p=values["p"], q=values["q"], v=values["v"])
    return model(**values, unit=unit)  # type: ignore[arg-type]
