"""The common part of blends and fallbacks: several fitted models, each with its own weights of purchases."""

# ruff: noqa: SLF001  (models call other models here)

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import IntArray
from relmark.core.errors import InputError
from relmark.recommend._masks import Block
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.rules import CustomerIds, ItemId

__all__ = ["Composed"]

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Composed(Fitted):
    """Several models fitted on the same interactions."""

    models: tuple[Fitted, ...]

    def _block(
        self, customers: CustomerIds | None, as_of: AsOfGiven | None, history: PurchaseSource | None
    ) -> tuple[npt.NDArray[Any], Block]:
        since = self._since(history, as_of)
        ids, block = Fitted._block(self, customers, as_of, since)
        parts = tuple(model._block(customers, as_of, since)[1] for model in self.models)
        return ids, attrs.evolve(block, parts=parts)

    def _basket_block(self, basket: IntArray, customer: ItemId | None, as_of: AsOfGiven | None) -> Block:
        block = Fitted._basket_block(self, basket, customer, as_of)
        parts = tuple(model._basket_block(basket, customer, as_of) for model in self.models)
        return attrs.evolve(block, parts=parts)

    def _parts_without(self, model: Self, ids: CustomerIds | AbstractSet[object]) -> Self:
        return attrs.evolve(model, models=tuple(part.without(ids) for part in self.models))

    def _similar(self, item: int) -> FloatArray:
        """Return the similarities to an item by the first model that has them."""
        for model in self.models:
            try:
                return model._similar(item)
            except InputError:
                continue
        raise InputError(
            f"none of {', '.join(type(model.spec).__name__ for model in self.models)} knows similar items: "
            "add Ease, ItemNeighbors or Als.",
            argument="models",
            code="not_supported",
        )
