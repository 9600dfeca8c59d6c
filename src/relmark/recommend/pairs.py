"""Items that are bought together: directed pairs with their counts and all usual measures."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import FloatArray, number, one_of, shown, whole
from relmark.core.errors import InputError
from relmark.core.ids import id_array, is_text
from relmark.core.results import ColumnarResult
from relmark.core.table import ItemTable
from relmark.recommend._association import cosine, jaccard, lift, log_likelihood_ratio
from relmark.recommend._catalog import Catalog
from relmark.recommend._lines import Lines
from relmark.recommend.interactions import PurchaseSource, interactions_of
from relmark.recommend.recommendations import Recommendation
from relmark.recommend.rules import ItemId, ItemIds, Items, as_items, basket_of

__all__ = ["Pairs", "also_bought", "basket_matrix", "baskets_of", "measured", "together"]

_MEASURES = ("llr", "confidence", "jaccard", "cosine", "leverage", "conviction", "count", "support")


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Pairs(ColumnarResult):
    """Directed pairs: ``(item, other)`` and ``(other, item)`` are two rows, ordered by item and other.

    Parameters
    ----------
    item, other : ndarray, shape (p,)
        The ids of both items.
    count : ndarray of int64, shape (p,)
        The number of baskets with both.
    support : ndarray of float64, shape (p,)
        The share of baskets with both.
    confidence : ndarray of float64, shape (p,)
        P(other | item): the share of baskets with `item` that also have `other`.
    lift : ndarray of float64, shape (p,)
        confidence / P(other). It can be large for rare pairs by accident, so do not rank by it.
    leverage : ndarray of float64, shape (p,)
        P(both) - P(item) P(other).
    conviction : ndarray of float64, shape (p,)
        (1 - P(other)) / (1 - confidence); inf if the confidence is 1.
    cosine, jaccard : ndarray of float64, shape (p,)
        The similarity of the sets of baskets with each item.
    llr : ndarray of float64, shape (p,)
        Dunning's log-likelihood ratio: the evidence that the two attract or avoid each other.
    n_baskets : int
        The number of baskets, including those with one item.
    by : str
        What a basket is: ``"order"`` or ``"customer"``.

    References
    ----------
    Agrawal et al. (1993). Mining association rules between sets of items in large databases (support, confidence).
    Brin et al. (1997). Dynamic itemset counting and implication rules for market basket data (lift, conviction).
    Piatetsky-Shapiro (1991). Discovery, analysis and presentation of strong rules (leverage).
    Dunning (1993). Accurate methods for the statistics of surprise and coincidence (llr).
    """

    _shown_by: ClassVar[str] = "llr"

    item: npt.NDArray[Any]
    other: npt.NDArray[Any]
    count: npt.NDArray[np.int64]
    support: FloatArray
    confidence: FloatArray
    lift: FloatArray
    leverage: FloatArray
    conviction: FloatArray
    cosine: FloatArray
    jaccard: FloatArray
    llr: FloatArray
    n_baskets: int
    by: str

    def top(  # type: ignore[override]  # the best partners of one item, not the best rows
        self, item: ItemId, k: int = 10, *, by: str = "llr", min_lift: float = 1.0
    ) -> tuple[Recommendation, ...]:
        """Return up to k items that go best with an item, best first, from pairs with a lift above `min_lift`.

        Parameters
        ----------
        item : int or str
            The id of the item; the result is empty if it is in no pair.
        k : int
            The greatest number of items.
        by : {"llr", "confidence", "jaccard", "cosine", "leverage", "conviction", "count", "support"}
            The measure to rank by. Lift is not allowed, since it ranks chance pairs first.
        min_lift : float
            The lift that a pair must exceed; 1 is what chance gives.
        """
        measure = getattr(self, self._measure(by))
        number("min_lift", min_lift, low=0.0)
        rows = self._rows([item])
        rows = rows[self.lift[rows] > min_lift]
        rows = rows[np.argsort(-measure[rows], kind="stable")][: whole("k", k, low=1)]
        return tuple(
            Recommendation(
                item=other,
                score=float(measure[row]),
                rank=rank + 1,
                reason=f"in {self.count[row]:,} {self.by}s with {item}, {self.lift[row]:.1f} times what chance gives",
            )
            for rank, (row, other) in enumerate(zip(rows.tolist(), self.other[rows].tolist(), strict=True))
        )

    def for_basket(
        self, basket: ItemIds | ItemId, k: int = 10, *, by: str = "llr", min_lift: float = 1.0
    ) -> tuple[Recommendation, ...]:
        """Return items that go with a basket, ranked by the sum of their measure over the basket's items.

        `ItemNeighbors(by="order")` does the same with rules and reasons; this method needs only the pairs.
        """
        measure = getattr(self, self._measure(by))
        number("min_lift", min_lift, low=0.0)
        held = basket_of(basket)
        rows = self._rows(held, "basket")
        rows = rows[(self.lift[rows] > min_lift) & ~np.isin(self.other[rows], held)]
        others, code = np.unique(self.other[rows], return_inverse=True)
        total = np.bincount(code, weights=measure[rows], minlength=len(others))
        best = np.argsort(-total, kind="stable")[: whole("k", k, low=1)]
        return tuple(
            Recommendation(item=other, score=score, rank=rank + 1, reason="goes with the basket")
            for rank, (other, score) in enumerate(zip(others[best].tolist(), total[best].tolist(), strict=True))
        )

    def _measure(self, by: str) -> str:
        if str(by) == "lift":
            raise InputError(
                "by='lift' ranks pairs first that met a few times by chance (hit rate .08, but .20 with llr, on UCI "
                "Online Retail): rank by llr, jaccard or confidence, and use lift as the condition min_lift.",
                argument="by",
                code="wrong_value",
            )
        return one_of("by", by, _MEASURES)

    def _rows(self, items: list[ItemId], name: str = "item") -> npt.NDArray[np.int64]:
        """Return the rows of some items; pairs are ordered by item, so each item has one slice."""
        wanted = np.unique(id_array(name, items)) if items else self.item[:0]
        if len(wanted) and len(self.item) and is_text(wanted) != is_text(self.item):
            raise InputError(
                f"{name} has {shown(wanted[0])}: the ids here are {'int' if is_text(wanted) else 'str'}.",
                argument=name,
                code="mixed_types",
            )
        low, high = (np.searchsorted(self.item, wanted, side=side) for side in ("left", "right"))
        parts = [np.arange(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def also_bought(
    interactions: PurchaseSource,
    *,
    by: Literal["order", "customer"] = "order",
    min_count: int = 3,
    exclude: Items | ItemId | None = None,
    catalog: ItemTable | None = None,
    as_of: AsOfGiven | None = None,
) -> Pairs:
    """Count which items are bought together; views do not count.

    Parameters
    ----------
    interactions : Interactions, CustomerBase or Purchases
        The purchases.
    by : {"order", "customer"}
        What a basket is. An order belongs to one customer; without an order column it is what a customer bought at one
        instant.
    min_count : int
        Pairs in fewer baskets are left out.
    exclude : ids or Category, or several, optional
        Items to leave out, such as postage, bank charges and bags, which go with everything.
    catalog : ItemTable, optional
        The table of items with the categories of `exclude`; by default that of the interactions.
    as_of : date or instant, optional
        Count purchases up to then; by default all.

    Returns
    -------
    Pairs
        Two rows per pair of items, one in each direction.

    Notes
    -----
    Counts are X'X for the matrix X of baskets by items, computed in blocks of rows. For sets of three and more items,
    mlxtend's fpgrowth takes the same matrix.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3], item=["tea", "cup", "tea", "cup", "tea"],
    ...                               order=[1, 1, 2, 2, 3])
    >>> pairs = also_bought(x, min_count=2)
    >>> pairs.item.tolist(), pairs.other.tolist(), pairs.confidence.round(3).tolist()
    (['cup', 'tea'], ['tea', 'cup'], [1.0, 0.667])
    """
    one_of("by", by, ("order", "customer"))
    whole("min_count", min_count, low=1)
    x = interactions_of(interactions, as_of)
    lines = x.lines.purchased()
    n, basket = baskets_of(lines, by)
    item = lines.item
    names = as_items(exclude, "exclude")
    if names is not None:
        keep = ~Catalog(x.item, catalog if catalog is not None else x.catalog).members(names, "exclude")[item]
        basket, item = basket[keep], item[keep]
    X, held = basket_matrix(basket, item, (n, x.n_items))
    frequent = np.flatnonzero(held >= min_count)
    a, b, both = together(X[:, frequent], min_count)
    return measured(x.item, held, (frequent[a], frequent[b], both), n, by)


def measured(
    items: npt.NDArray[Any],
    held: npt.NDArray[np.int64],
    pairs: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
    n: int,
    by: str,
) -> Pairs:
    """Return pairs of items with all measures from their counts.

    Parameters
    ----------
    items : ndarray, shape (m,)
        The ids of items, ascending.
    held : ndarray of int64, shape (m,)
        The number of baskets with each item.
    pairs : three ndarrays, shape (p,)
        The positions of both items, and the number of baskets with both; ordered by position.
    n : int
        The number of baskets.
    by : str
        What a basket is.
    """
    a, b, both = pairs
    n_a, n_b, n_ab = (held[a].astype(float), held[b].astype(float), both.astype(float))
    confidence = n_ab / n_a
    p_b = n_b / n
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(confidence < 1, (1 - p_b) / (1 - confidence), np.inf)
    return Pairs(
        item=items[a],
        other=items[b],
        count=both.astype(np.int64),
        support=n_ab / n,
        confidence=confidence,
        lift=lift(n_ab, n_a, n_b, n),
        leverage=n_ab / n - (n_a / n) * p_b,
        conviction=conviction,
        cosine=cosine(n_ab, n_a, n_b),
        jaccard=jaccard(n_ab, n_a, n_b),
        llr=log_likelihood_ratio(n_ab, n_a, n_b, n),
        n_baskets=n,
        by=by,
    )


def baskets_of(lines: Lines, by: str) -> tuple[int, npt.NDArray[np.integer[Any]]]:
    """Return the number of baskets, and the basket of each line."""
    if by == "order" and lines.order is None and lines.time is None:
        raise InputError(
            "by='order' needs the column order (or time): give it to from_columns, or use by='customer'.",
            argument="by",
            code="missing_argument",
        )
    code = lines.orders if by == "order" else lines.customer
    present = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.bool_)
    present[code] = True
    return int(np.count_nonzero(present)), (np.cumsum(present) - 1)[code]


def basket_matrix(
    basket: npt.NDArray[Any], item: npt.NDArray[Any], shape: tuple[int, int]
) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return the matrix of baskets by items with entries 1, and the number of baskets with each item."""
    from scipy.sparse import csr_matrix

    X = csr_matrix((np.ones(len(item), dtype=np.int32), (basket, item)), shape=shape)
    X.sum_duplicates()  # older releases of scipy keep duplicate entries
    X.data[:] = 1
    return X, np.bincount(X.indices, minlength=shape[1])


def together(X: Any, min_count: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the row, column and value of the off-diagonal entries of X'X that reach a count, in row-major order."""
    Xt = X.T.tocsr()
    m = Xt.shape[0]
    rows, columns, values = [], [], []
    step = max((32 << 20) // (8 * max(m, 1)), 16)
    for low in range(0, m, step):
        block = (Xt[low : low + step] @ X).toarray()
        flat = np.flatnonzero(block >= min_count)
        row, column = flat // m, flat % m
        off = row + low != column
        rows.append(row[off] + low)
        columns.append(column[off])
        values.append(block.reshape(-1)[flat[off]])
    empty = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(rows or empty), np.concatenate(columns or empty), np.concatenate(values or empty)
