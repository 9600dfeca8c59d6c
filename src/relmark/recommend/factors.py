"""Matrix factorization: ALS and BPR as implicit fits them, or factors from elsewhere; ranking and rules are ours.

This is the one file that imports implicit. It gives implicit what it takes without surprises: a float32 csr_matrix, a
fresh object for each fit, an integer for the random state, one BLAS thread, and one thread for BPR, whose updates race.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import positive, whole
from relmark.core.errors import ConvergenceError, NotEnoughDataError
from relmark.recommend._blas import one_blas_thread
from relmark.recommend._fold_in import fold_in
from relmark.recommend._history import History
from relmark.recommend.factor_model import FactorModel
from relmark.recommend.interactions import PurchaseSource, Weight, check_weight
from relmark.recommend.spec import Spec, check_half_life, remembered, shared_fields

__all__ = ["Als", "Bpr"]

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True)
class Als(Spec):
    """Implicit-feedback alternating least squares.

    Parameters
    ----------
    factors : int
        The length of the vectors.
    regularization : float
    alpha : float
        The confidence of a pair is alpha times its weight, 1 for pairs that do not occur.
    iterations : int
    weight, half_life
        As in `Ease`. Where lines have weights below 1, raise `alpha`: a pair that occurs should count more than one
        that does not.
    seed : int
        Fixes the start: the same seed gives the same factors, with any number of threads.

    Notes
    -----
    The defaults are implicit's. After the last iteration, the customers' vectors are solved exactly from the items', so
    that a known customer, a new one with the same purchases, and `explain` all agree.

    References
    ----------
    Y. Hu, Y. Koren and C. Volinsky, Collaborative filtering for implicit feedback datasets, 2008, eq. 4 to 7.
    """

    kind: ClassVar[str] = "als"

    factors: int = attrs.field(default=100)
    regularization: float = attrs.field(default=0.01)
    alpha: float = attrs.field(default=1.0)
    iterations: int = attrs.field(default=15)
    weight: Weight = attrs.field(default="binary", validator=check_weight)
    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)
    seed: int = attrs.field(default=0)

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)
        positive("regularization", self.regularization)
        positive("alpha", self.alpha)
        whole("iterations", self.iterations, low=1)
        whole("seed", self.seed, low=0, high=2**32 - 1)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FactorModel:
        """Return the factors; see `Spec.fit`."""
        seen, past, now = remembered(interactions, as_of, self.weight, self.half_life)
        _enough(past)
        with one_blas_thread():
            from implicit.cpu.als import AlternatingLeastSquares

            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=self.seed,
            )
            _run(model, past, seen.n_items)
            items = np.asarray(model.item_factors)
        return FactorModel(
            **shared_fields(self, seen, past, now),
            item_factors=items,
            customer_factors=fold_in(items, past, self.regularization, self.alpha),
            has_bias=False,
        )


@attrs.frozen(kw_only=True)
class Bpr(Spec):
    """Bayesian personalized ranking: factors that put what was bought above what was not.

    Parameters
    ----------
    factors : int
    learning_rate, regularization : float
    iterations : int
    seed : int
        The same seed gives the same factors: it runs on one thread, because updates of several race.

    Notes
    -----
    Its data are pairs, so there is no weight. New customers get the vector that puts what they bought above the average
    of the rest, which is the same aim without drawing at random.

    References
    ----------
    S. Rendle et al., BPR: Bayesian personalized ranking from implicit feedback, UAI 2009.
    """

    kind: ClassVar[str] = "bpr"

    factors: int = attrs.field(default=100)
    learning_rate: float = attrs.field(default=0.01)
    regularization: float = attrs.field(default=0.01)
    iterations: int = attrs.field(default=100)
    seed: int = attrs.field(default=0)

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)
        positive("learning_rate", self.learning_rate)
        positive("regularization", self.regularization)
        whole("iterations", self.iterations, low=1)
        whole("seed", self.seed, low=0, high=2**32 - 1)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FactorModel:
        """Return the factors; see `Spec.fit`."""
        seen, past, now = remembered(interactions, as_of, "binary", None)
        _enough(past)
        with one_blas_thread():
            from implicit.cpu.bpr import BayesianPersonalizedRanking

            model = BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            _run(model, past, seen.n_items)
        bought = np.bincount(past.item, minlength=seen.n_items) > 0
        return FactorModel(
            **shared_fields(self, seen, past, now),
            item_factors=np.where(bought[:, None], np.asarray(model.item_factors), np.float32(0)),
            customer_factors=np.where(past.lengths[:, None] > 0, np.asarray(model.user_factors), np.float32(0)),
            has_bias=True,
        )


def _enough(past: History) -> None:
    if len(past.item) == 0:
        raise NotEnoughDataError(
            "there is no interaction to fit factors on: check as_of, or use Popular.", argument="interactions"
        )


def _run(model: Any, past: History, m: int) -> None:
    """Fit with implicit, and say in our words when its numbers ran away."""
    from implicit.recommender_base import ModelFitError

    try:
        model.fit(past.matrix(m).copy(), show_progress=False)  # implicit wants arrays that it could write to
    except ModelFitError as error:
        raise ConvergenceError(f"implicit found factors that are not finite ({error}): raise regularization.") from None
