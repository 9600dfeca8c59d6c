"""EASE: a linear item-to-item model in closed form; the default choice for up to 10,000 items."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import positive, whole
from relmark.core.errors import InputError
from relmark.core.frozen import locked, owned
from relmark.recommend._blas import one_blas_thread
from relmark.recommend._history import History
from relmark.recommend._masks import NO, Block
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource, Weight, check_weight
from relmark.recommend.spec import Spec, check_half_life, remembered, shared_fields

__all__ = ["Ease", "FittedEase"]

FloatArray = npt.NDArray[np.float32]
_SINGLE_CONDITION, _WORST_CONDITION = 1e5, 1e12
_DOUBLE_ITEMS = 4_000
_FILL, _LARGEST_FILL = np.float32(1e-25), 1e-18  # far below any score, also after a boost


@attrs.frozen(kw_only=True)
class Ease(Spec):
    """A linear model that predicts each item of a customer from the customer's other items.

    Parameters
    ----------
    regularization : float
        lambda: larger values trust rare items less. 100 to 500 suits some thousands of customers.
    weight : {"binary", "log", "quantity", "purchases"}
        How a pair of customer and item counts; see `Interactions.matrix`.
    half_life : timedelta, optional
        The age at which a purchase counts one half, in the model and in the customer's own past; by default all count
        fully.
    max_items : int
        The largest number of bought items to accept. The memory grows with its square and the time with its cube, so a
        larger number is refused with an estimate of the cost. Raise it to accept that cost.

    Notes
    -----
    With G = X'X + lambda I and P = inv(G), the weights are ``B_ij = -P_ij / P_jj`` with a zero diagonal, and the scores
    of a customer with row x are ``x B``. The fit computes a Cholesky factor and its inverse in place, in m squared
    cells. Up to 4,000 items it uses float64; rounded to float32, the weights are then the same on every processor.
    Above that it uses float32 (400 MB at 10,000 items), unless the weights are so large compared with lambda that the
    third digit would be lost. Time grows with the cube of the items: about a second at 3,000, half a minute at 10,000,
    two minutes at 17,000. Items that nobody bought together with any of the customer's items get score 0 and are
    ordered by popularity: after items with positive scores, before items with negative ones.

    References
    ----------
    H. Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019, eq. 8.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3], item=["tea", "cup", "tea", "cup", "tea"])
    >>> from relmark.recommend import Rules
    >>> model = Ease(regularization=1.0).fit(x)
    >>> model.recommend([3], k=1, rules=Rules(exclude_bought="always")).item.tolist()
    ['cup']
    """

    kind: ClassVar[str] = "ease"

    regularization: float = attrs.field(default=200.0)
    weight: Weight = attrs.field(default="binary", validator=check_weight)
    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)
    max_items: int = attrs.field(default=10_000)

    def __attrs_post_init__(self) -> None:
        """Validate."""
        positive("regularization", self.regularization)
        whole("max_items", self.max_items, low=1)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedEase:
        """Learn the weights between items; see `Spec.fit`.

        Raises
        ------
        InputError
            More than `max_items` items were bought.
        """
        seen, past, now = remembered(interactions, as_of, self.weight, self.half_life)
        active = np.unique(past.item).astype(np.int32)
        if len(active) > self.max_items:
            gigabytes, minutes = 4e-9 * len(active) ** 2, 2.0 * (len(active) / 17_000) ** 3
            raise InputError(
                f"the interactions have {len(active):,} bought items, for which EASE needs {gigabytes:.1f} GB and "
                f"about {minutes:.2g} minutes of one core: max_items={self.max_items:,} are allowed.",
                argument="max_items",
                code="too_large",
                hint=f"Use ItemNeighbors or Als, drop rare items, or accept it with max_items={len(active)}.",
            )
        compact = attrs.evolve(past, item=np.searchsorted(active, past.item).astype(np.int32))
        return FittedEase(
            **shared_fields(self, seen, past, now),
            active=active,
            weights=ease_weights(compact, len(active), self.regularization),
        )


@one_blas_thread()
def ease_weights(past: History, m: int, regularization: float) -> FloatArray:
    """Return B of eq. 8, shape (m, m): how much a unit of the row's item adds to the score of the column's."""
    if m == 0:
        return np.zeros((0, 0), dtype=np.float32)
    from scipy.linalg.lapack import dpotrf, dpotri, spotrf, spotri

    X = past.matrix(m)
    Xt = X.T.tocsr()
    # The largest row sum of X'X bounds its largest eigenvalue, and so the condition number of X'X + lambda.
    condition = 1.0 + float((Xt @ (X @ np.ones(m))).max(initial=0.0)) / regularization
    if condition > _WORST_CONDITION:
        raise InputError(
            f"regularization={regularization:g} is too small for weights this large: X'X + lambda cannot be inverted.",
            argument="regularization",
            code="wrong_value",
            hint="Raise regularization.",
        )
    # Rounded from float64, the weights are the same on every processor; large models cannot afford float64.
    single = m > _DOUBLE_ITEMS and condition < _SINGLE_CONDITION
    G = np.empty((m, m), dtype=np.float32 if single else np.float64, order="F")
    step = max((64 << 20) // (8 * m), 16)
    for low in range(0, m, step):
        block = slice(low, min(low + step, m))
        G[:, block] = (Xt[block] @ X).toarray().T
    G[np.diag_indices(m)] += regularization
    factor, invert = (spotrf, spotri) if single else (dpotrf, dpotri)
    L, failed = factor(G, lower=1, overwrite_a=1, clean=0)
    P, singular = invert(L, lower=1, overwrite_c=1)
    assert not failed
    assert not singular
    _mirror(P)
    diagonal = P.diagonal().copy()
    # B_ij = -P_ij / P_jj; P is symmetric and in Fortran order, so its transpose in C order holds P_ij in row i.
    B = P.T
    np.divide(B, -diagonal[None, :], out=B)
    B[np.diag_indices(m)] = 0.0
    return locked(P).T if single else locked(B.astype(np.float32))


def _mirror(P: FloatArray) -> None:
    """Copy the lower triangle to the upper triangle in blocks that fit the cache."""
    m, step = len(P), 512
    for low in range(0, m, step):
        high = min(low + step, m)
        P[low:high, high:] = P[high:, low:high].T
        square = P[low:high, low:high]
        square[:] = np.tril(square) + np.tril(square, -1).T


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedEase(Fitted):
    """The weights B of the bought items: a unit of ``active[i]`` adds ``weights[i, j]`` to ``active[j]``'s score."""

    source: ClassVar[str] = "ease"
    kinds: ClassVar[tuple[str, ...]] = ("ease",)

    active: npt.NDArray[np.int32] = attrs.field(converter=owned)
    weights: FloatArray = attrs.field(converter=owned)

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array."""
        return {**super().axes(), "active": ("bought items",), "weights": ("bought items", "bought items")}

    @property
    def _weighting(self) -> dict[str, Any]:
        return {"weight": self.spec.weight, "half_life": self.spec.half_life}

    def _compact(self, past: History) -> History:
        """Return a past with items as positions among those bought in the fit; other items are left out."""
        if len(self.active) == len(self.item):
            return past
        place = np.searchsorted(self.active, past.item)
        place[place == len(self.active)] = 0
        known = self.active[place] == past.item if len(self.active) else np.zeros(len(place), dtype=np.bool_)
        return attrs.evolve(past.keep(known), item=place[known].astype(np.int32))

    def _own(self, block: Block) -> FloatArray:
        past = self._compact(block.past)
        dense: FloatArray = past.matrix(len(self.active)) @ self.weights
        # Exactly 0 means that nobody bought the item together with one of the customer's. Popularity orders such items,
        # between those with positive and those with negative scores.
        silent = dense == 0
        popularity = self.popularity[self.active]
        fill = np.where(popularity > 0, _FILL * popularity, NO)  # items that nobody bought are not popular
        dense[silent] = np.broadcast_to(fill, dense.shape)[silent]
        dense[past.lengths == 0] = NO
        if len(self.active) == len(self.item):
            return dense
        scores = np.full((len(block), len(self.item)), NO, dtype=np.float32)
        scores[:, self.active] = dense
        return scores

    def _is_fill(self, tier: int, score: FloatArray) -> npt.NDArray[np.bool_]:
        return (score > 0) & (score < _LARGEST_FILL) if tier == 0 else super()._is_fill(tier, score)

    def _contributions(self, block: Block, item: int) -> Contributions:
        past = self._compact(block.past)
        column = int(np.searchsorted(self.active, item))
        amounts = past.weight.astype(np.float64) * self.weights[past.item, column]
        other = self.active[past.item] != item
        return self.item[self.active[past.item[other]]].astype(np.str_).tolist(), amounts[other]

    def _similar(self, item: int) -> FloatArray:
        scores = np.full(len(self.item), NO, dtype=np.float32)
        place = int(np.searchsorted(self.active, item))
        if place < len(self.active) and self.active[place] == item:
            scores[self.active] = self.weights[place]
        return scores
