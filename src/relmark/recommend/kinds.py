"""Which recommenders there are, by the name under which they are stored."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relmark.recommend.fitted import Fitted
    from relmark.recommend.spec import Spec


@cache
def _pairs() -> tuple[tuple[Any, Any], ...]:
    from relmark.recommend.arrivals import FittedNewArrivals, NewArrivals
    from relmark.recommend.blend import Blend, FittedBlend
    from relmark.recommend.buy_again import BuyAgain, FittedBuyAgain
    from relmark.recommend.ease import Ease, FittedEase
    from relmark.recommend.factor_model import FactorModel, Factors
    from relmark.recommend.factors import Als, Bpr
    from relmark.recommend.fallback import Fallback, FittedFallback
    from relmark.recommend.neighbors import FittedNeighbors, ItemNeighbors
    from relmark.recommend.popular import FittedPopular, Popular

    return (
        (Als, FactorModel),
        (Blend, FittedBlend),
        (Bpr, FactorModel),
        (BuyAgain, FittedBuyAgain),
        (Ease, FittedEase),
        (Factors, FactorModel),
        (Fallback, FittedFallback),
        (ItemNeighbors, FittedNeighbors),
        (NewArrivals, FittedNewArrivals),
        (Popular, FittedPopular),
    )


def spec_kinds() -> dict[str, type[Spec]]:
    """Return the class of settings of each kind."""
    return {spec.kind: spec for spec, _ in _pairs()}


def fitted_kinds() -> dict[str, type[Fitted]]:
    """Return the class of fitted models of each kind."""
    return {spec.kind: fitted for spec, fitted in _pairs()}
