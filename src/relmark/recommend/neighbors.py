"""Neighbors of items: the simplest model of what is bought together, with k neighbors per item; easy to explain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.checks import number, one_of, shown, whole
from relmark.core.errors import InputError
from relmark.core.table import ItemTable
from relmark.recommend._association import jaccard, lift, log_likelihood_ratio
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import History, history_of
from relmark.recommend._masks import NO, Block
from relmark.recommend._topk import top_k_entries
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource, Weight, check_weight
from relmark.recommend.pair_counts import PairCounts
from relmark.recommend.spec import Spec, check_half_life, seen_until, shared_fields

__all__ = ["FittedNeighbors", "ItemNeighbors"]

FloatArray = npt.NDArray[np.float32]
_MEASURES = ("cosine", "jaccard", "llr", "tfidf", "bm25")
_COUNTED = ("jaccard", "llr")
_PAIRS = 1 << 20


@attrs.frozen(kw_only=True)
class ItemNeighbors(Spec):
    """Recommend the nearest neighbors of a customer's items.

    Parameters
    ----------
    k : int
        The number of neighbors of each item; an item is never its own neighbor.
    measure : {"cosine", "jaccard", "llr", "tfidf", "bm25"}
        The similarity of two items. Jaccard and llr (Dunning's log-likelihood ratio, for pairs with a lift above 1)
        count the customers with both items; the others use `weight`.
    shrink : float
        Reduces similarities that rest on few customers: each is multiplied by n / (n + shrink), where n customers have
        both items.
    by : {"customer", "order"}
        Whether two items count as together if one customer has both, or only if one order has both, which suits
        baskets. Orders consist of purchases, and an order belongs to one customer.
    weight : {"binary", "log", "quantity", "purchases"}
        How a pair of customer and item counts; see `Interactions.matrix`.
    half_life : timedelta, optional
        The age at which a line counts one half. The similarities jaccard and llr, which are counts, ignore it.
    K1, B : float
        The saturation and the length normalization of bm25.

    Notes
    -----
    The score of item j for a customer is the sum, over the customer's items i that have j as a neighbor, of the weight
    of i times the similarity of i and j. tfidf is the cosine after x -> sqrt(x) idf(customer), and bm25 is the dot
    product after ``x (K1 + 1) / (K1 (1 - B + B len / mean len) + x) idf``. The idf of a customer is
    ``ln(m / (1 + items))``.

    References
    ----------
    B. Sarwar et al., Item-based collaborative filtering recommendation algorithms, 2001.
    S. Robertson and H. Zaragoza, The probabilistic relevance framework: BM25 and beyond, 2009, eq. 3.15.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=[1, 1, 2, 2, 3], item=["tea", "cup", "tea", "cup", "tea"])
    >>> ItemNeighbors().fit(x).recommend([3], k=1).for_customer(3)
    (Recommendation(item='cup', score=0.816..., rank=1, reason='because of tea'),)
    """

    kind: ClassVar[str] = "item_neighbors"

    k: int = attrs.field(default=20)
    measure: Literal["cosine", "jaccard", "llr", "tfidf", "bm25"] = attrs.field(default="cosine")
    shrink: float = attrs.field(default=0.0)
    by: Literal["customer", "order"] = attrs.field(default="customer")
    weight: Weight = attrs.field(default="binary", validator=check_weight)
    half_life: timedelta | None = attrs.field(default=None, validator=check_half_life)
    K1: float = 1.2
    B: float = 0.75

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("k", self.k, low=1)
        one_of("measure", self.measure, _MEASURES)
        number("shrink", self.shrink, low=0.0)
        one_of("by", self.by, ("customer", "order"))
        number("K1", self.K1, above=0.0)
        number("B", self.B, low=0.0, high=1.0)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedNeighbors:
        """Find the neighbors of every item; see `Spec.fit`."""
        seen, now = seen_until(interactions, as_of)
        past = history_of(seen.lines, weight=self.weight, half_life=self.half_life, now=seen.clock)
        together = past
        if self.by == "order":
            baskets = seen.lines.by_order()
            together = history_of(baskets, weight=self.weight, half_life=self.half_life, now=seen.clock)
        return FittedNeighbors(
            **shared_fields(self, seen, past, now), neighbors=self._neighbors(together, seen.n_items)
        )

    def fit_counts(self, counts: PairCounts, *, catalog: ItemTable | None = None, tz: str = "UTC") -> FittedNeighbors:
        """Find the neighbors of every item from counts of pairs, such as `engines.cooccurrence` returns.

        The neighbors equal those that `fit` finds from the purchases. The model knows no customers: give their
        purchases to ``recommend(ids, history=...)``.

        Parameters
        ----------
        counts : PairCounts
            Counts of baskets of the kind that `by` names.
        catalog : ItemTable, optional
            The table of items.
        tz : str
            The time zone of the business.

        Raises
        ------
        InputError
            `measure` needs the weights of each customer's items, which counts do not hold; or the baskets are of
            another kind.
        """
        if not isinstance(counts, PairCounts):
            raise InputError(
                f"counts is {shown(counts)}: PairCounts are needed, such as PairCounts.of(interactions).",
                argument="counts",
                code="wrong_type",
            )
        if self.measure not in _COUNTED:
            raise InputError(
                f"measure={self.measure!r} needs the items of each customer, which counts of pairs do not hold.",
                argument="measure",
                code="not_supported",
                hint="Use measure='llr' or measure='jaccard', or fit the purchases.",
            )
        if self.by != counts.by:
            raise InputError(
                f"by={self.by!r}, but the counts are of baskets by {counts.by!r}: use the same for both.",
                argument="by",
                code="conflicting_arguments",
            )
        m = len(counts.item)
        row, column = np.concatenate([counts.a, counts.b]), np.concatenate([counts.b, counts.a])
        both = np.concatenate([counts.both, counts.both]).astype(np.float64)
        order = np.lexsort((column, row))
        row, column, both = row[order], column[order], both[order]
        held = counts.held.astype(np.float64)
        near = self._near(both, both, held[row], held[column], counts.n_baskets)
        indptr = np.searchsorted(row, np.arange(m + 1))
        scores = np.where(near > 0, near, NO).astype(np.float32)
        offsets, item, value = top_k_entries(scores, column, indptr, self.k)
        nobody = History(
            indptr=np.zeros(1, dtype=np.int64), item=np.zeros(0, dtype=np.int32), weight=np.zeros(0, dtype=np.float32)
        )
        return FittedNeighbors(
            spec=self,
            item=counts.item,
            customer_id=counts.item[:0],
            history=nobody,
            popularity=(counts.buyers / max(counts.n_customers, 1)).astype(np.float32),
            now=None,
            tz=tz,
            catalog=Catalog(counts.item, catalog, tz),
            neighbors=_rows(np.arange(m), [np.diff(offsets)], [item], [value]),
        )

    def _neighbors(self, past: History, m: int) -> History:
        """Return the nearest neighbors of each item as rows of items."""
        from scipy.sparse import csr_matrix

        ones = csr_matrix((np.ones(len(past.item)), past.item, past.indptr), shape=(len(past), m))
        held = np.bincount(past.item, minlength=m).astype(np.float64)
        X = ones if self.measure in _COUNTED else self._weighted(past, m)
        counting = self.measure not in _COUNTED and self.shrink > 0
        Xt, ones_t = X.T.tocsr(), ones.T.tocsr() if counting else None
        # The reach of an item bounds how many others it meets: the number of all items of its customers. Items of
        # similar reach share a block, so that all blocks hold about equally many pairs, however popular the items are.
        reach = np.minimum(np.bincount(past.item, weights=past.lengths[past.row], minlength=m), m)
        order = np.argsort(reach, kind="stable")
        counts, items, values = [], [], []
        for low, high in _blocks(reach[order]):
            rows = order[low:high]
            dot = Xt[rows] @ X
            both = dot.data
            if ones_t is not None:
                dot.sort_indices()
                both = _at(dot, ones_t[rows] @ ones)
            place = np.repeat(np.arange(high - low), np.diff(dot.indptr))
            near = self._near(dot.data, both, held[rows[place]], held[dot.indices], len(past))
            scores = np.where((near > 0) & (dot.indices != rows[place]), near, NO).astype(np.float32)
            offsets, column, value = top_k_entries(scores, dot.indices, dot.indptr, self.k)
            counts.append(np.diff(offsets))
            items.append(column)
            values.append(value)
        return _rows(order, counts, items, values)

    def _near(self, dot: Any, both: Any, n_a: Any, n_b: Any, n: int) -> npt.NDArray[np.float64]:
        """Return similarities from dot products and counts; 0 for items that nobody has together."""
        with np.errstate(divide="ignore", invalid="ignore"):
            near = dot
            if self.measure == "jaccard":
                near = jaccard(dot, n_a, n_b)
            elif self.measure == "llr":
                near = np.where(lift(dot, n_a, n_b, n) > 1, log_likelihood_ratio(dot, n_a, n_b, n), 0.0)
            if self.shrink > 0:
                near = near * both / (both + self.shrink)
        return np.where(both > 0, near, 0.0)

    def _weighted(self, past: History, m: int) -> Any:
        """Return the matrix of customers by items, weighted so that dot products of columns are similarities."""
        from scipy.sparse import csr_matrix

        x = past.weight.astype(np.float64)
        if self.measure in {"tfidf", "bm25"}:
            idf = np.maximum(np.log(m / (1.0 + past.lengths)), 0.0)[past.row]
            if self.measure == "tfidf":
                x = np.sqrt(x) * idf
            else:
                length = np.bincount(past.item, weights=x, minlength=m)
                norm = (1.0 - self.B) + self.B * length / max(length.mean(), 1e-300)
                size = self.K1 * norm[past.item] + x
                x = np.divide(x * (self.K1 + 1.0), size, out=np.zeros_like(x), where=size > 0) * idf
        if self.measure != "bm25":
            size = np.sqrt(np.bincount(past.item, weights=x * x, minlength=m))[past.item]
            x = np.divide(x, size, out=np.zeros_like(x), where=size > 0)
        return csr_matrix((x, past.item, past.indptr), shape=(len(past), m))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedNeighbors(Fitted):
    """The neighbors of each item: one row per item, with its neighbors in ascending order and their similarities."""

    source: ClassVar[str] = "neighbors"
    kinds: ClassVar[tuple[str, ...]] = ("item_neighbors",)

    neighbors: History

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array."""
        return {**super().axes(), "neighbors": ("items",)}

    @property
    def _weighting(self) -> dict[str, Any]:
        return {"weight": self.spec.weight, "half_life": self.spec.half_life}

    def _own(self, block: Block) -> FloatArray:
        m = len(self.item)
        product = block.past.matrix(m) @ self.neighbors.matrix(m)
        scores = np.full((len(block), m), NO, dtype=np.float32)
        place = np.repeat(np.arange(len(block)) * m, np.diff(product.indptr)) + product.indices
        scores.reshape(-1)[place] = np.where(product.data > 0, product.data, NO)
        return scores

    def _contributions(self, block: Block, item: int) -> Contributions:
        weight = np.zeros(len(block.past.item))
        for place, i in enumerate(block.past.item.tolist()):
            low, high = self.neighbors.indptr[i], self.neighbors.indptr[i + 1]
            at = low + int(np.searchsorted(self.neighbors.item[low:high], item))
            if at < high and self.neighbors.item[at] == item:
                weight[place] = float(block.past.weight[place]) * float(self.neighbors.weight[at])
        used = weight != 0
        return self.item[block.past.item[used]].astype(np.str_).tolist(), weight[used]

    def _similar(self, item: int) -> FloatArray:
        scores = np.full(len(self.item), NO, dtype=np.float32)
        entries = slice(self.neighbors.indptr[item], self.neighbors.indptr[item + 1])
        scores[self.neighbors.item[entries]] = self.neighbors.weight[entries]
        return scores


def _blocks(reach: FloatArray) -> Iterator[tuple[int, int]]:
    """Yield blocks of one or more items by ascending reach, with about the same bound on pairs in each block."""
    low = 0
    while low < len(reach):
        ahead = reach[low : low + _PAIRS]
        high = low + max(int(np.searchsorted(ahead * np.arange(1, len(ahead) + 1), _PAIRS, side="right")), 1)
        yield low, high
        low = high


def _at(dot: Any, both: Any) -> npt.NDArray[np.float64]:
    """Return the entries of `both` at the positions of the entries of `dot`, whose columns are sorted; 0 if none."""
    both.sort_indices()
    if np.array_equal(dot.indptr, both.indptr) and np.array_equal(dot.indices, both.indices):
        return np.asarray(both.data)
    wide = dot.shape[1]
    mine, theirs = (
        np.repeat(np.arange(dot.shape[0]) * wide, np.diff(each.indptr)) + each.indices for each in (dot, both)
    )
    found = np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)
    return np.where(theirs[found] == mine, both.data[found], 0.0)


def _rows(order: Any, counts: list[Any], items: list[Any], values: list[Any]) -> History:
    """Return rows of neighbors with similarities, ascending within a row, from blocks of items in a given order."""
    count = np.zeros(len(order), dtype=np.int64)
    count[order] = np.concatenate(counts) if counts else count
    item = np.concatenate(items) if items else np.zeros(0, dtype=np.int64)
    value = np.concatenate(values) if values else np.zeros(0, dtype=np.float32)
    by_row = np.lexsort((item, np.repeat(order, count[order])))
    return History(
        indptr=np.concatenate(([0], np.cumsum(count))),
        item=item[by_row].astype(np.int32),
        weight=value[by_row],
        last=None,
    )
