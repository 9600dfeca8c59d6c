"""New items for customers who like their category; nobody has bought them yet, so other models cannot rank them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import IntArray, number, text
from relmark.core.errors import InputError
from relmark.core.frozen import owned
from relmark.core.time import days, duration
from relmark.recommend._masks import NO, Block
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.spec import Spec, check_half_life, remembered, shared_fields

__all__ = ["FittedNewArrivals", "NewArrivals"]

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True)
class NewArrivals(Spec):
    """Recently launched items, ranked for each customer by their taste in categories.

    Parameters
    ----------
    launched_within : timedelta
        An item is new for this long after the date in the column 'launched' of the item table.
    half_life : timedelta, optional
        The age at which a purchase counts one half in a customer's taste; by default all count fully.
    category : str
        The column of the item table that holds the category of an item.
    prior : float
        How many purchases of the average customer are added to each customer's own. The taste of a customer with few
        purchases is therefore close to the average, and that of a new customer is the average.

    Notes
    -----
    If purchases of category c have weight w_c out of W for a customer, and share g_c among all customers, the score of
    a new item of c is ``(w_c + prior * g_c) / (W + prior)``. Items with equal scores are in the order of their ids.

    Examples
    --------
    >>> from relmark import ItemTable
    >>> items = ItemTable.from_columns(item=["black tea", "green tea", "mug"], category=["tea", "tea", "cups"],
    ...                                launched=np.array(["2025-01-01", "2026-10-20", "2026-10-25"], "M8[D]"))
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=["a"], item=["black tea"], catalog=items)
    >>> NewArrivals(launched_within=days(30)).fit(x).recommend(["a"], as_of="2026-11-01").item.tolist()
    ['green tea', 'mug']
    """

    kind: ClassVar[str] = "new_arrivals"

    launched_within: timedelta = attrs.field(default=days(30), validator=check_half_life)
    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)
    category: str = attrs.field(default="category")
    prior: float = attrs.field(default=5.0)

    def __attrs_post_init__(self) -> None:
        """Validate."""
        duration("launched_within", self.launched_within)
        text("category", self.category)
        number("prior", self.prior, above=0.0)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedNewArrivals:
        """Learn tastes in categories; see `Spec.fit`. The item table needs the columns of category and 'launched'."""
        seen, past, now = remembered(interactions, as_of, "purchases", self.half_life)
        shared = shared_fields(self, seen, past, now)
        catalog = shared["catalog"]
        group, n_groups = catalog.groups(self.category, "NewArrivals.category")
        weight = np.bincount(group[past.item] + 1, weights=past.weight, minlength=n_groups + 1)[1:]
        share = weight / weight.sum() if weight.sum() > 0 else np.full(n_groups, 1 / max(n_groups, 1))
        return FittedNewArrivals(**shared, group=group, share=share, launched=catalog.launched())


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedNewArrivals(Fitted):
    """The category and launch of each item, shape (m,), and the share of each category among all purchases."""

    source: ClassVar[str] = "new arrival"
    kinds: ClassVar[tuple[str, ...]] = ("new_arrivals",)

    group: IntArray = attrs.field(converter=owned)
    share: npt.NDArray[np.float64] = attrs.field(converter=owned)
    launched: IntArray = attrs.field(converter=owned)

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array."""
        return {**super().axes(), "group": ("items",), "share": ("categories",), "launched": ("items",)}

    @property
    def sources(self) -> tuple[str, ...]:
        """The only source: new items."""
        return (self.source,)

    @property
    def _weighting(self) -> dict[str, Any]:
        return {"weight": "purchases", "half_life": self.spec.half_life}

    def _tastes(self, block: Block) -> npt.NDArray[np.float64]:
        """Return the share of each category in each customer's taste, shape (n, groups)."""
        n, kinds = len(block), len(self.share)
        group = self.group[block.past.item]
        own = group >= 0
        cell = block.past.row[own] * kinds + group[own]
        weight = np.bincount(cell, weights=block.past.weight[own], minlength=n * kinds).reshape(n, kinds)
        prior = self.spec.prior
        return np.asarray((weight + prior * self.share) / (weight.sum(axis=1, keepdims=True) + prior))

    def _own(self, block: Block) -> FloatArray:
        if block.now is None:
            raise InputError(
                "launched_within needs the instant of serving, and the interactions have no times: pass as_of.",
                argument="launched_within",
                code="missing_argument",
            )
        low, clock = block.now.before(self.spec.launched_within), np.asarray(block.now.clock)
        fresh = (self.launched[None, :] > low[:, None]) & (self.launched[None, :] <= clock[:, None])
        tastes = np.column_stack((self._tastes(block), np.zeros(len(block))))  # the last is for items of no category
        return np.where(fresh, tastes[:, self.group], NO).astype(np.float32)

    def _contributions(self, block: Block, item: int) -> Contributions:
        kind = int(self.group[item])
        if kind < 0:
            return ["an item without a category"], np.zeros(1)
        group = self.group[block.past.item]
        total = float(block.past.weight[group >= 0].sum()) + self.spec.prior
        same = group == kind
        labels = [*self.item[block.past.item[same]].astype(np.str_).tolist(), "the average customer's taste"]
        amounts = np.append(block.past.weight[same], self.spec.prior * self.share[kind]) / total
        return labels, amounts

    def _reason(self, tier: int, block: Block, item: int) -> str:  # noqa: ARG002
        labels, amounts = self._contributions(block, item)
        own = len(labels) > 1 and amounts[:-1].sum() > amounts[-1]
        return f"new, same category as {labels[int(np.argmax(amounts[:-1]))]}" if own else "new"

    def _similar(self, item: int) -> FloatArray:
        alike = (self.group == self.group[item]) & (self.group >= 0)
        return np.where(alike, np.float32(1.0), NO).astype(np.float32)
