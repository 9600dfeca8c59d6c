"""The quality of recommendations: how well lists match later purchases, by customer, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, fraction, generator, one_of, whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.ids import find_ids
from relmark.core.intervals import Estimate, Interval
from relmark.core.resampling import draws_of_means, percentiles
from relmark.core.results import ColumnarResult, json_ready
from relmark.recommend._history import History
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import PurchaseSource, interactions_of
from relmark.recommend.recommendations import Recommendations
from relmark.recommend.rules import Rules

__all__ = ["METRICS", "Quality", "quality"]

METRICS = (
    "ndcg", "recall", "precision", "hit_rate", "map", "mrr", "revenue", "repeat_share", "novelty", "diversity",
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Quality(ColumnarResult):
    """The metrics of each customer's list; one row per customer (and fold).

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        The customers who had bought before the test period and bought something that counts in it.
    ndcg, recall, precision, hit_rate, map, mrr : ndarray of float64, shape (n,)
        The ranking metrics at k. Precision divides by k; the ideal list of ndcg and map has ``min(k, relevant)`` hits.
    revenue : ndarray of float64, shape (n,)
        The money that the customer spent in the test period on items of the list; NaN without values. They were bought
        without the list, so this is an upper bound of what the list would have earned, not its effect. Only a control
        group shows the effect.
    repeat_share : ndarray of float64, shape (n,)
        The share of the list that the customer had bought before.
    novelty : ndarray of float64, shape (n,)
        The mean over the list of -log2 of the share of customers who bought the item; higher is less obvious.
    diversity : ndarray of float64, shape (n,)
        1 minus the mean cosine of all pairs of items of the list, by who bought them; NaN for lists of fewer than two.
    listed : ndarray of int64, shape (n,)
        The number of items of the list.
    coverage : float
        The share of the items known in training that were recommended to anyone.
    gini : float
        How unequally recommendations are spread over these items: 0 if equally, near 1 if a few items take all.
    k : int
        The length of the lists.
    items : str
        ``"all"``, or ``"new"`` if items that a customer had bought before are neither recommended nor counted.
    """

    customer_id: npt.NDArray[Any]
    ndcg: FloatArray
    recall: FloatArray
    precision: FloatArray
    hit_rate: FloatArray
    map: FloatArray
    mrr: FloatArray
    revenue: FloatArray
    repeat_share: FloatArray
    novelty: FloatArray
    diversity: FloatArray
    listed: IntArray
    coverage: float
    gini: float
    k: int
    items: str

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """The mean of each metric with its 95 % interval, by a bootstrap of 1,000 draws of customers."""
        return {name: self.estimate(name) for name in METRICS}

    def estimate(
        self,
        metric: str,
        *,
        level: float = 0.95,
        resamples: int = 1000,
        rng: np.random.Generator | int | None = 0,
    ) -> Estimate:
        """Return the mean of a metric with its bootstrap interval over customers.

        Parameters
        ----------
        metric : str
            The metric, such as ``"ndcg"`` or ``"revenue"``.
        level : float
            The confidence level of the interval.
        resamples : int
            The number of resamples of customers; all rows of a customer are drawn together.
        rng : Generator, int or None
            The random generator of the draws, or its seed.
        """
        name = one_of("metric", metric, METRICS)
        fraction("level", level)
        whole("resamples", resamples, low=1)
        values = getattr(self, name)
        known = ~np.isnan(values)
        if not known.any():
            why = {"revenue": "the interactions have no value", "diversity": "no list has two items"}
            return Estimate(float("nan"), None, why.get(name, "no list has an item"))
        own = np.unique(self.customer_id[known], return_inverse=True)[1]
        draws = draws_of_means(values[known, None], own, resamples, generator(rng))
        low, high = percentiles(draws, level)
        interval = Interval(float(low[0]), float(high[0]), level, "bootstrap of customers")
        return Estimate(float(values[known].mean()), interval)

    def to_dict(self) -> dict[str, Any]:
        """Return every field and the estimates as JSON-ready values."""
        return {**super().to_dict(), "estimates": json_ready(self.estimates)}

    def _facts(self) -> dict[str, Any]:
        facts = {"customers": len(self), "k": self.k, "items": self.items}
        return {**facts, **{name: _mean(getattr(self, name)) for name in METRICS}}

    def _table(self) -> dict[str, Any]:
        rows = [*self.estimates.items(), ("coverage", Estimate(self.coverage)), ("gini", Estimate(self.gini))]
        return {
            f"at {self.k}, {self.items} items": [name for name, _ in rows],
            "value": [estimate.value for _, estimate in rows],
            "low": [estimate.low for _, estimate in rows],
            "high": [estimate.high for _, estimate in rows],
        }


def quality(
    model: Fitted,
    test: PurchaseSource,
    *,
    k: int = 10,
    items: Literal["all", "new"] = "all",
    rules: Rules | None = None,
    unseen_items: bool = False,
) -> Quality:
    """Compare the lists of a fitted model with what customers bought afterwards.

    Parameters
    ----------
    model : Fitted
        A model fitted on the purchases before `test`.
    test : Interactions, CustomerBase or Purchases
        The purchases of the test period.
    k : int
        The length of the lists.
    items : {"all", "new"}
        With "new", items that a customer had bought before are neither recommended nor counted.
    rules : Rules, optional
        The rules for the lists.
    unseen_items : bool
        Whether to count items that nobody had bought before the test period, too (for `NewArrivals`).

    Returns
    -------
    Quality
        One row per customer; ``.estimate("ndcg")`` returns a mean with its interval.

    Raises
    ------
    NotEnoughDataError
        No customer known to the model bought anything that counts.
    """
    if not isinstance(model, Fitted):
        raise InputError(
            f"model is a {type(model).__name__}: a fitted model is needed, such as Ease().fit(train).",
            argument="model",
            code="wrong_type",
        )
    one_of("items", items, ("all", "new"))
    whole("k", k, low=1)
    customers, relevant, money = _relevant(model, test, items, unseen_items=unseen_items)
    if items == "new":
        rules = attrs.evolve(rules or Rules(), exclude_bought="always", repeat_after={})
    lists = model.recommend(model.customer_id[customers], k, rules=rules)
    columns = _by_customer(model, lists, customers, relevant, money, k)
    counts = (
        np.bincount(find_ids("item", model.item, lists.item), minlength=len(model.item))
        if len(lists)
        else (np.zeros(len(model.item), dtype=np.int64))
    )
    known = counts[(model.popularity > 0) | (counts > 0)]
    return Quality(
        customer_id=model.customer_id[customers],
        **columns,
        coverage=float(np.count_nonzero(known) / len(known)),
        gini=gini(known),
        k=k,
        items=items,
    )


def _mean(values: npt.NDArray[Any]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def gini(counts: npt.NDArray[Any]) -> float:
    """Return the Gini coefficient of counts: 0 if all are equal, 1 - 1/n if one has all; NaN if all are 0."""
    x = np.sort(counts.astype(np.float64))
    n, total = len(x), float(x.sum())
    if total == 0:
        return float("nan")
    return float((2.0 * np.arange(1, n + 1) - n - 1) @ x / (n * total))


def _relevant(
    model: Fitted, test: PurchaseSource, items: str, *, unseen_items: bool
) -> tuple[IntArray, History, FloatArray | None]:
    """Return the customers who count, the items that count for each, and the money spent on these."""
    after = interactions_of(test, name="test")
    lines = after.lines.purchased()
    customer, item, starts = lines.pairs()
    money = None
    if lines.value is not None:
        money = np.add.reduceat(np.nan_to_num(lines.value), starts[:-1]) if len(lines) else np.zeros(0)
    customer = find_ids("customer_id", model.customer_id, after.customer_id)[customer]
    item = find_ids("item", model.item, after.item)[item]
    past, m = model.history.of_bought, len(model.item)
    known_customer = np.append(past.lengths > 0, False)
    known_item = np.append(model.popularity > 0 if not unseen_items else np.ones(m, dtype=np.bool_), False)
    counts = known_customer[customer] & known_item[item]
    if items == "new":
        bought = past.row * m + past.item  # ascending, since rows and the items within them are
        key = customer.astype(np.int64) * m + item
        place = np.searchsorted(bought, key)
        place[place == len(bought)] = 0
        counts &= bought[place] != key if len(bought) else True
    customer, item = customer[counts], item[counts]
    if len(customer) == 0:
        raise NotEnoughDataError(
            "no customer known to the model bought anything that counts in the test period: choose a longer period.",
            argument="test",
        )
    order = np.lexsort((item, customer))
    customers, first = np.unique(customer[order], return_index=True)
    indptr = np.append(first, len(order)).astype(np.int64)
    weight = np.ones(len(order), dtype=np.float32)
    return (
        customers,
        History(indptr=indptr, item=item[order].astype(np.int32), weight=weight),
        (None if money is None else money[counts][order]),
    )


def _by_customer(
    model: Fitted, lists: Recommendations, customers: IntArray, relevant: History, money: FloatArray | None, k: int
) -> dict[str, Any]:
    """Return all metrics for each customer."""
    n, m = len(customers), len(model.item)
    item = find_ids("item", model.item, lists.item) if len(lists) else np.zeros(0, dtype=np.int64)
    row, rank = np.repeat(np.arange(n), lists.counts), lists.rank
    wanted, key = relevant.row * m + relevant.item, row * m + item
    place = np.minimum(np.searchsorted(wanted, key), len(wanted) - 1)
    hit = wanted[place] == key
    n_relevant, ideal_hits = relevant.lengths, np.minimum(relevant.lengths, k)

    def total(values: Any) -> FloatArray:
        return np.asarray(np.bincount(row, weights=values, minlength=n), dtype=np.float64)

    hits = total(hit)
    discount = 1.0 / np.log2(np.arange(k) + 2.0)
    so_far = np.cumsum(hit) - np.repeat(np.concatenate(([0], np.cumsum(hits)))[:-1], lists.counts)
    first = np.zeros(n)
    np.maximum.at(first, row[hit], 1.0 / rank[hit])
    with np.errstate(divide="ignore", invalid="ignore"):
        listed = lists.counts.astype(np.float64)
        past = model.history.of_bought
        before = np.isin(key, (past.take(customers).row * m + past.take(customers).item))
        surprise = -np.log2(np.maximum(model.popularity[item].astype(np.float64), 1.0 / (len(past) + 1.0)))
        return {
            "ndcg": total(hit * discount[rank - 1]) / np.cumsum(discount)[ideal_hits - 1],
            "recall": hits / n_relevant,
            "precision": hits / k,
            "hit_rate": (hits > 0).astype(np.float64),
            "map": total(hit * so_far / rank) / ideal_hits,
            "mrr": first,
            "revenue": np.full(n, np.nan) if money is None else total(np.where(hit, money[place], 0.0)),
            "repeat_share": total(before) / listed,
            "novelty": total(surprise) / listed,
            "diversity": _diversity(past, m, row, item, n),
            "listed": lists.counts,
        }


def _diversity(past: History, m: int, row: IntArray, item: IntArray, n: int) -> FloatArray:
    """Return 1 minus the mean cosine of the pairs of each list, by who bought them."""
    from scipy.sparse import csr_matrix

    used, code = np.unique(item, return_inverse=True)
    lookup = np.full(m, -1)
    lookup[used] = np.arange(len(used))
    kept = past.keep(lookup[past.item] >= 0)
    X = csr_matrix((np.ones(len(kept.item)), lookup[kept.item], kept.indptr), shape=(len(kept), len(used)))
    norm = np.sqrt(np.bincount(lookup[kept.item], minlength=len(used)))
    unit = X @ csr_matrix((1.0 / np.maximum(norm, 1.0), (np.arange(len(used)),) * 2), shape=(len(used),) * 2)
    # |sum of unit vectors|^2 of a list is the number of its items that anyone bought plus twice the sum of the cosines.
    lists = csr_matrix((np.ones(len(row)), (row, code)), shape=(n, len(used)))
    size = np.asarray(lists.sum(axis=1)).ravel()
    alone = np.asarray(lists @ (norm > 0).astype(np.float64)).ravel()
    square = np.zeros(n)
    step = max((64 << 20) // (8 * max(len(past), 1)), 1)
    for low in range(0, n, step):
        together = lists[low : low + step] @ unit.T
        square[low : low + step] = np.asarray(together.multiply(together).sum(axis=1)).ravel()
    pairs = size * (size - 1) / 2
    cosines = (square - alone) / 2
    return np.where(pairs > 0, 1.0 - cosines / np.where(pairs > 0, pairs, 1.0), np.nan)
