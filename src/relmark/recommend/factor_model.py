"""Factor models: scores, new customers, contributions and similarity from vectors of items and customers."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import positive, shown
from relmark.core.errors import InputError
from relmark.core.frozen import owned
from relmark.core.ids import find_ids, id_array
from relmark.core.table import ItemTable
from relmark.recommend._catalog import Catalog
from relmark.recommend._fold_in import fold_in, fold_in_pairwise, pairwise
from relmark.recommend._history import History, history_of
from relmark.recommend._masks import NO, Block
from relmark.recommend._topk import in_steps
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource, Weight, check_weight, interactions_of
from relmark.recommend.spec import Spec, check_half_life

__all__ = ["FactorModel", "Factors"]

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True)
class Factors(Spec):
    """The settings of factors fitted elsewhere, which fold in new customers; see `FactorModel.from_factors`."""

    kind: ClassVar[str] = "factors"

    regularization: float = attrs.field(default=0.01)
    alpha: float = attrs.field(default=1.0)
    weight: Weight = attrs.field(default="binary", validator=check_weight)
    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)

    def __attrs_post_init__(self) -> None:
        """Validate."""
        positive("regularization", self.regularization)
        positive("alpha", self.alpha)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FactorModel:  # noqa: ARG002
        """Raise, since these factors were fitted elsewhere."""
        raise InputError(
            "Factors describes factors fitted elsewhere: use FactorModel.from_factors, or fit Als or Bpr.",
            argument="interactions",
            code="not_supported",
        )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FactorModel(Fitted):
    """Vectors of items and customers whose dot products are the scores; for BPR, the last column is an item's bias."""

    source: ClassVar[str] = "factors"
    kinds: ClassVar[tuple[str, ...]] = ("als", "bpr", "factors")

    item_factors: FloatArray = attrs.field(converter=owned)
    customer_factors: FloatArray = attrs.field(converter=owned)
    has_bias: bool

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array."""
        return {**super().axes(), "item_factors": ("items", "factors"), "customer_factors": ("customers", "factors")}

    @classmethod
    def from_factors(
        cls,
        *,
        item: npt.ArrayLike,
        item_factors: npt.ArrayLike,
        customer_id: npt.ArrayLike | None = None,
        customer_factors: npt.ArrayLike | None = None,
        interactions: PurchaseSource | None = None,
        regularization: float = 0.01,
        alpha: float = 1.0,
        catalog: ItemTable | None = None,
    ) -> Self:
        """Build the model from factors fitted elsewhere, such as Spark MLlib's ALS on a cluster.

        Parameters
        ----------
        item : array_like of int or str, shape (m,)
            The ids of the items.
        item_factors : array_like of float, shape (m, f)
            The vector of each item.
        customer_id : array_like of int or str, shape (n,), optional
            The ids of the customers.
        customer_factors : array_like of float, shape (n, f), optional
            The vector of each customer. Without them, customers are folded in from `interactions`.
        interactions : Interactions, CustomerBase or Purchases, optional
            The purchases of the customers, for rules, reasons, popularity, and for folding in.
        regularization, alpha : float
            The settings with which the factors were fitted; new customers are folded in with them.
        catalog : ItemTable, optional
            The table of items; by default that of the interactions.
        """
        spec = Factors(regularization=regularization, alpha=alpha)
        ids, vectors = _aligned("item", item, "item_factors", item_factors)
        f = vectors.shape[1]
        if customer_id is None and interactions is None:
            raise InputError(
                "customer_id is missing: give customer_id and customer_factors, or interactions.",
                argument="customer_id",
                code="missing_value",
            )
        seen = None if interactions is None else interactions_of(interactions)
        tastes: FloatArray | None = None
        if customer_id is None:
            assert seen is not None
            people = seen.customer_id
        else:
            if customer_factors is None:
                raise InputError(
                    "customer_factors is missing: give the vectors of customer_id, or leave both out.",
                    argument="customer_factors",
                    code="missing_value",
                )
            people, tastes = _aligned("customer_id", customer_id, "customer_factors", customer_factors)
            if tastes.shape[1] != f:
                raise InputError(
                    f"customer_factors have {tastes.shape[1]} columns and item_factors {f}: the numbers must be equal.",
                    argument="customer_factors",
                    code="wrong_shape",
                )
        past = History(
            indptr=np.zeros(len(people) + 1, dtype=np.int64), item=np.zeros(0, np.int32), weight=np.zeros(0, np.float32)
        )
        if seen is not None:
            past = history_of(seen.lines, now=seen.clock).take(find_ids("customer_id", seen.customer_id, people))
            code = find_ids("item", ids, seen.item)[past.item]
            past = attrs.evolve(past.keep(code >= 0), item=code[code >= 0].astype(np.int32))
        if tastes is None:
            tastes = fold_in(vectors, past, regularization, alpha)
        table = catalog if catalog is not None or seen is None else seen.catalog
        bought = past.of_bought
        buyers = max(int(np.count_nonzero(bought.lengths)), 1)
        now, tz = (None, "UTC") if seen is None else (seen.known_by, seen.tz)
        return cls(
            spec=spec,
            item=ids,
            customer_id=people,
            history=past,
            popularity=(np.bincount(bought.item, minlength=len(ids)) / buyers).astype(np.float32),
            now=None if now is None else int(now.clock),
            dated=now is not None and bool(now.dated),
            tz=tz,
            catalog=Catalog(ids, table, tz),
            item_factors=vectors,
            customer_factors=tastes,
            has_bias=False,
        )

    @property
    def _weighting(self) -> dict[str, Any]:
        return {"weight": getattr(self.spec, "weight", "binary"), "half_life": getattr(self.spec, "half_life", None)}

    @property
    def _vectors(self) -> FloatArray:
        """The items' vectors without the column of biases, shape (m, f)."""
        return self.item_factors[:, :-1] if self.has_bias else self.item_factors

    @cached_property
    def _known(self) -> npt.NDArray[np.bool_]:
        """Which items have a vector other than 0, shape (m,)."""
        return np.asarray(self.item_factors.any(axis=1))

    def _tastes(self, block: Block) -> FloatArray:
        """Return the vectors of customers: fitted, or folded in if the fit did not see their past."""
        fitted = block.basket is None and not block.fresh
        stored = np.flatnonzero(block.position >= 0) if fitted else np.zeros(0, dtype=np.int64)
        if len(stored) == len(block):
            return np.asarray(self.customer_factors[block.position])
        tastes: FloatArray = np.zeros((len(block), self.customer_factors.shape[1]), dtype=np.float32)
        tastes[stored] = self.customer_factors[block.position[stored]]
        others = np.setdiff1d(np.arange(len(block)), stored)
        past = block.past.take(others)
        if self.has_bias:
            tastes[others] = fold_in_pairwise(self.item_factors, past, self.spec.regularization)
        else:
            tastes[others] = fold_in(self.item_factors, past, self.spec.regularization, self.spec.alpha)
        return tastes

    @cached_property
    def _gram(self) -> npt.NDArray[np.float64]:
        """Y'Y + lambda I, shape (f, f)."""
        Y = self._vectors.astype(np.float64)
        return np.asarray(Y.T @ Y + self.spec.regularization * np.eye(Y.shape[1]))

    def _own(self, block: Block) -> FloatArray:
        tastes = self._tastes(block)
        scores: FloatArray = in_steps(tastes @ self.item_factors.T)
        scores[~tastes.any(axis=1)] = NO
        if not self._known.all():
            scores[:, ~self._known] = NO
        return scores

    def _contributions(self, block: Block, item: int) -> Contributions:
        """Return what each purchase adds to the score, and the rest from the customer's fitted vector.

        For least squares it is eq. 7 of Hu, Koren and Volinsky, ``y_i' W_u y_j c_uj``. For BPR it is the part of each
        purchase in the vector that the purchases alone would give, and the item's bias.
        """
        labels, amounts = self._purchases(block, item)
        taste = self._tastes(block)[0].astype(np.float64)
        score = float(taste @ self.item_factors[item].astype(np.float64))
        if self.has_bias:
            labels.append("the item's own appeal")
            amounts = np.append(amounts, self.item_factors[item, -1] * taste[-1])
        rest = score - float(amounts.sum())
        if abs(rest) > 1e-6 * max(abs(score), 1e-3):
            labels, amounts = [*labels, "the customer's taste beyond these"], np.append(amounts, rest)
        return labels, amounts

    def _purchases(self, block: Block, item: int) -> Contributions:
        past = block.past
        labels = self.item[past.item].astype(np.str_).tolist()
        target = self._vectors[item].astype(np.float64)
        if not labels:
            return labels, np.zeros(0)
        if self.has_bias:
            _, gap, share = pairwise(self.item_factors, past.item, self.spec.regularization)
            return labels, share * (gap @ target)
        confidence = self.spec.alpha * past.weight.astype(np.float64)
        own = self._vectors[past.item].astype(np.float64)
        W = self._gram + (own.T * (confidence - 1.0)) @ own
        return labels, confidence * (own @ np.linalg.solve(W, target))

    def _similar(self, item: int) -> FloatArray:
        vectors = self._vectors
        norm = np.linalg.norm(vectors, axis=1)
        scale = norm * norm[item]
        cosine = np.divide(vectors @ vectors[item], scale, out=np.full_like(scale, NO), where=scale > 0)
        return np.asarray(cosine, dtype=np.float32)

    def _taste(self) -> Any:
        return self.customer_factors[:, :-1] if self.has_bias else self.customer_factors


def _aligned(name: str, ids: Any, factors_name: str, factors: Any) -> tuple[npt.NDArray[Any], FloatArray]:
    """Return distinct ids in ascending order, and their vectors as float32."""
    array = id_array(name, ids)
    try:
        vectors = np.asarray(factors)
        vectors = vectors.astype(np.object_ if vectors.dtype.kind == "c" else np.float64).astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{factors_name} is {shown(factors)}: a table of numbers is needed, with one row per id.",
            argument=factors_name,
            code="wrong_type",
        ) from None
    if vectors.ndim != 2 or len(vectors) != len(array):
        raise InputError(
            f"{factors_name} has shape {vectors.shape}: one row for each of the {len(array):,} ids is needed.",
            argument=factors_name,
            code="wrong_shape",
        )
    if not np.isfinite(vectors).all():
        raise InputError(
            f"{factors_name} has values that are not finite in row {int(np.argmin(np.isfinite(vectors).all(axis=1)))}.",
            argument=factors_name,
            row=int(np.argmin(np.isfinite(vectors).all(axis=1))),
            code="not_finite",
        )
    order = np.argsort(array, kind="stable")
    array = array[order]
    if len(array) > 1 and (array[1:] == array[:-1]).any():
        raise InputError(
            f"{name} has {shown(array[1:][array[1:] == array[:-1]][0])} more than once: one row per id is needed.",
            argument=name,
            code="duplicate",
        )
    return array, vectors[order].astype(np.float32)
