"""Matrix factorization: ALS and BPR, fitted by the package implicit; ranking and rules are those of this package.

This is the only file that imports implicit. For reproducible results it passes a float32 csr_matrix, makes a new object
for each fit, gives an integer as the random state, and uses one BLAS thread and, for BPR, whose updates race, one
thread.
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
        lambda: larger values keep the vectors smaller.
    alpha : float
        The confidence of a pair is alpha times its weight; it is 1 for pairs that do not occur.
    iterations : int
        How often the vectors of items and customers are solved in turn.
    weight, half_life
        As in `Ease`. If lines have weights below 1, raise `alpha`: a pair that occurs should count more than one that
        does not.
    seed : int
        The seed of the random start. The same seed gives the same factors with any number of threads.

    Notes
    -----
    The defaults are those of implicit. After the last iteration, the customers' vectors are solved exactly from the
    items' vectors, so that a known customer, a new one with the same purchases, and `explain` all agree.

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
        """Learn the vectors of items and customers; see `Spec.fit`."""
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
    """Bayesian personalized ranking: factors that rank bought items above others.

    Parameters
    ----------
    factors : int
        The length of the vectors, without the bias of an item.
    learning_rate, regularization : float
        The step size of the updates, and how strongly the vectors are kept small.
    iterations : int
        The number of passes over the pairs.
    seed : int
        The seed of the random start and draws. The same seed gives the same factors, since the fit uses one thread.

    Notes
    -----
    It learns from pairs, so there is no weight. New customers get the vector that ranks their purchases above the
    average of the other items, which is the same objective without random draws.

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
        """Learn the vectors of items and customers; see `Spec.fit`."""
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
            "interactions is empty, so factors cannot be fitted: check as_of, or use Popular.", argument="interactions"
        )


def _run(model: Any, past: History, m: int) -> None:
    """Fit with implicit, and raise an error of this package if its numbers are not finite."""
    from implicit.recommender_base import ModelFitError

    try:
        model.fit(past.matrix(m).copy(), show_progress=False)  # implicit needs writable arrays
    except ModelFitError as error:
        raise ConvergenceError(f"implicit found factors that are not finite ({error}): raise regularization.") from None
