"""Popular items: the first baseline, and the recommendations for new customers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import one_of, shown
from relmark.core.errors import InputError
from relmark.core.frozen import owned
from relmark.core.ordering import stable_order
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import History
from relmark.recommend._lines import Lines
from relmark.recommend._masks import NO, Block
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.rules import Category
from relmark.recommend.spec import Spec, check_half_life, remembered, shared_fields

__all__ = ["FittedPopular", "Popular"]

FloatArray = npt.NDArray[np.float32]
_BY = ("customers", "orders", "quantity", "revenue")


def _category(value: Category | str | None) -> Any:
    return Category(value) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Popular(Spec):
    """The same list for everyone: the items with the most customers, orders, pieces or money, optionally recent ones.

    Parameters
    ----------
    half_life : timedelta, optional
        The age at which a purchase counts one half; by default all count fully. Demand has seasons: on UCI Online
        Retail in December, a half-life of 7 days ranks three times as well as all-time popularity.
    by : {"customers", "orders", "quantity", "revenue"}
        What is counted. Each customer or order counts once per item, with the age of its last line. If other events
        count too (`Interactions.of` with weights), a customer counts with the largest weight for the item. Orders,
        pieces and money come from purchases only.
    category : str or Category, optional
        Recommend only items of this category.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=["a", "b", "b"], item=["tea", "tea", "cup"])
    >>> Popular().fit(x).recommend(["a"], k=2).item.tolist()
    ['tea', 'cup']
    """

    kind: ClassVar[str] = "popular"

    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)
    by: Literal["customers", "orders", "quantity", "revenue"] = attrs.field(default="customers")
    category: Category | None = attrs.field(default=None, converter=_category)

    @category.validator
    def _check_category(self, attribute: Any, value: Any) -> None:  # noqa: ARG002
        if value is not None and not isinstance(value, Category):
            raise InputError(
                f"category is {shown(value)}: the name of a category or Category(...) is needed.",
                argument="category",
                code="wrong_type",
            )

    @by.validator
    def _check(self, attribute: Any, value: Any) -> None:  # noqa: ARG002
        one_of("by", value, _BY)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedPopular:
        """Count the items; see `Spec.fit`."""
        seen, past, now = remembered(interactions, as_of, "binary", None)
        if self.by == "customers":
            own = past if self.half_life is None else remembered(seen, None, "binary", self.half_life)[1]
            counts = self._of_customers(own, seen.n_items)
        else:
            counts = self._of_lines(seen.lines.purchased(), seen.clock)
        if self.category is not None:
            counts = np.where(Catalog(seen.item, seen.catalog).in_category(self.category, "category"), counts, 0.0)
        return FittedPopular(**shared_fields(self, seen, past, now), counts=counts.astype(np.float32))

    @staticmethod
    def _of_customers(past: History, m: int) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(past.item, weights=past.weight, minlength=m), dtype=np.float64)

    def _of_lines(self, x: Lines, now: int | None) -> npt.NDArray[np.float64]:
        decay = x.counted(self.half_life, now)
        if self.by == "orders":
            code, item = x.orders.astype(np.int64), x.item
            order = stable_order(decay.view(np.int64))  # positive floats have the order of their bits
            order = order[stable_order((code * x.n_items + item)[order])]
            key = (code * x.n_items + item)[order]
            lines = order[np.append(key[1:] != key[:-1], True)] if len(key) else order
            return np.asarray(np.bincount(item[lines], weights=decay[lines], minlength=x.n_items), dtype=np.float64)
        amount = x.quantity if self.by == "quantity" else x.value
        if amount is None:
            column = "quantity" if self.by == "quantity" else "value"
            raise InputError(
                f"by={self.by!r} needs the column {column}: name it in CustomerBase.from_orders or "
                "Interactions.from_columns.",
                argument="by",
                code="missing_argument",
            )
        return np.asarray(
            np.bincount(x.item, weights=decay * np.nan_to_num(amount), minlength=x.n_items), dtype=np.float64
        )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedPopular(Fitted):
    """The (decayed) counts of items, shape (m,); items that nobody bought are not recommended."""

    source: ClassVar[str] = "popular"
    kinds: ClassVar[tuple[str, ...]] = ("popular",)

    counts: FloatArray = attrs.field(converter=owned)

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array."""
        return {**super().axes(), "counts": ("items",)}

    @property
    def sources(self) -> tuple[str, ...]:
        """The only source: popularity."""
        return ("popular",)

    def _own(self, block: Block) -> FloatArray:
        scores = np.where(self.counts > 0, self.counts, NO).astype(np.float32)
        return np.tile(scores, (len(block), 1))

    def _contributions(self, block: Block, item: int) -> Contributions:  # noqa: ARG002
        aged = " counted by age" if self.spec.half_life is not None else ""
        return [f"{self.spec.by}{aged}"], np.array([float(self.counts[item])])

    def _reason(self, tier: int, block: Block, item: int) -> str:  # noqa: ARG002
        return "popular"
