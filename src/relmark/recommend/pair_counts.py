"""Counts of baskets with each item and each pair of items: small, and additive over disjoint sets of customers."""

from __future__ import annotations

from typing import Any, Literal, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import one_of, whole
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, owned
from relmark.core.ids import is_text
from relmark.core.table import ItemTable
from relmark.recommend._catalog import Catalog
from relmark.recommend.interactions import PurchaseSource, interactions_of
from relmark.recommend.pairs import Pairs, basket_matrix, baskets_of, measured, together
from relmark.recommend.rules import ItemId, Items, as_items

__all__ = ["PairCounts"]

IntArray = npt.NDArray[np.int64]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PairCounts(Frozen):
    """The counts from which `also_bought` computes its result, for any number of purchases.

    Counts of parts can be added with ``+`` if all purchases of a customer are in one part.

    Parameters
    ----------
    item : ndarray, shape (m,)
        The items that are in a basket, ascending.
    held, buyers : ndarray of int64, shape (m,)
        The numbers of baskets and of customers with each item.
    a, b : ndarray of int64, shape (p,)
        The pairs that occur together in a basket, as positions in `item` with a < b, ordered by a and b.
    both : ndarray of int64, shape (p,)
        The number of baskets with both items.
    n_baskets, n_customers : int
        The numbers of baskets and customers in all.
    by : str
        What a basket is: ``"order"`` or ``"customer"``.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> one = Interactions.from_columns(customer_id=[1, 1, 2], item=["tea", "cup", "tea"], order=[1, 1, 2])
    >>> two = Interactions.from_columns(customer_id=[3, 3], item=["tea", "cup"], order=[1, 1])
    >>> counts = PairCounts.of(one) + PairCounts.of(two)
    >>> counts
    PairCounts(2 items, 1 pairs, 3 baskets)
    >>> counts.pairs(min_count=2).confidence.round(3).tolist()
    [1.0, 0.667]
    """

    item: npt.NDArray[Any] = attrs.field(converter=owned)
    held: IntArray = attrs.field(converter=owned)
    buyers: IntArray = attrs.field(converter=owned)
    a: IntArray = attrs.field(converter=owned)
    b: IntArray = attrs.field(converter=owned)
    both: IntArray = attrs.field(converter=owned)
    n_baskets: int
    n_customers: int
    by: str

    @classmethod
    def of(
        cls,
        interactions: PurchaseSource,
        *,
        by: Literal["order", "customer"] = "order",
        as_of: AsOfGiven | None = None,
    ) -> Self:
        """Count every pair of items in purchases; views do not count.

        Parameters
        ----------
        interactions, by, as_of
            As in `also_bought`.
        """
        one_of("by", by, ("order", "customer"))
        x = interactions_of(interactions, as_of)
        lines = x.lines.purchased()
        n, basket = baskets_of(lines, by)
        X, held = basket_matrix(basket, lines.item, (n, x.n_items))
        known = np.flatnonzero(held)
        a, b, both = together(X[:, known], 1)
        once = a < b
        customer = np.unique(lines.customer)
        own, buyers = basket_matrix(np.searchsorted(customer, lines.customer), lines.item, (len(customer), x.n_items))
        return cls(
            item=x.item[known],
            held=held[known].astype(np.int64),
            buyers=buyers[known].astype(np.int64),
            a=a[once].astype(np.int64),
            b=b[once].astype(np.int64),
            both=both[once].astype(np.int64),
            n_baskets=n,
            n_customers=own.shape[0],
            by=by,
        )

    def pairs(
        self, *, min_count: int = 3, exclude: Items | ItemId | None = None, catalog: ItemTable | None = None
    ) -> Pairs:
        """Return the pairs that `also_bought` would find in all these purchases.

        Parameters
        ----------
        min_count, exclude, catalog
            As in `also_bought`.
        """
        whole("min_count", min_count, low=1)
        keep = self.both >= min_count
        names = as_items(exclude, "exclude")
        if names is not None:
            left_out = Catalog(self.item, catalog).members(names, "exclude")
            keep &= ~(left_out[self.a] | left_out[self.b])
        a, b, both = self.a[keep], self.b[keep], self.both[keep]
        first, second, count = np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([both, both])
        order = np.lexsort((second, first))
        return measured(self.item, self.held, (first[order], second[order], count[order]), self.n_baskets, self.by)

    def __add__(self, other: PairCounts) -> PairCounts:
        """Return the counts of two disjoint sets of customers."""
        if not isinstance(other, PairCounts):
            return NotImplemented
        if self.by != other.by:
            raise InputError(
                f"baskets are of one {self.by} here and of one {other.by} there: count both by the same.",
                argument="other",
                code="conflicting_arguments",
            )
        if len(self.item) and len(other.item) and is_text(self.item) != is_text(other.item):
            raise InputError(
                "items are texts here and integers there: give all items as texts or all as integers.",
                argument="other",
                code="mixed_types",
            )
        parts = [part for part in (self, other) if len(part.item)] or [self]
        item = np.unique(np.concatenate([part.item for part in parts]))
        m = len(item)
        held, buyers = np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int64)
        keys = []
        for part in parts:
            place = np.searchsorted(item, part.item)
            held[place] += part.held
            buyers[place] += part.buyers
            keys.append(place[part.a] * m + place[part.b])
        key, code = np.unique(np.concatenate(keys), return_inverse=True)
        both = np.zeros(len(key), dtype=np.int64)
        np.add.at(both, code, np.concatenate([part.both for part in parts]))
        return PairCounts(
            item=item,
            held=held,
            buyers=buyers,
            a=key // max(m, 1),
            b=key % max(m, 1),
            both=both,
            n_baskets=self.n_baskets + other.n_baskets,
            n_customers=self.n_customers + other.n_customers,
            by=self.by,
        )

    def __repr__(self) -> str:
        return f"PairCounts({len(self.item):,} items, {len(self.both):,} pairs, {self.n_baskets:,} baskets)"
