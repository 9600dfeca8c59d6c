"""How good recommendations were: what customers did after them, by customer, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, fraction, generator, one_of, whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.ids import find_ids
from relmark.core.intervals import Estimate, Interval
from relmark.core.resampling import draws_of_means, percentiles
from relmark.core.results import ColumnarResult
from relmark.recommend._history import History
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import Interactions
from relmark.recommend.recommendations import Recommendations
from relmark.recommend.rules import Rules

__all__ = ["METRICS", "Quality", "quality"]

METRICS = (
    "ndcg", "recall", "precision", "hit_rate", "map", "mrr", "revenue", "repeat_share", "novelty", "diversity",
)  # fmt: skip


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Quality(ColumnarResult):
    """What each customer's list was worth; one row a customer (and fold).

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Customers known at the cut who bought something that counts in the test period.
    ndcg, recall, precision, hit_rate, map, mrr : ndarray of float64, shape (n,)
        At k. Precision divides by k; the ideal of ndcg and map has ``min(k, relevant)`` hits.
    revenue : ndarray of float64, shape (n,)
        Money that the customer spent in the test period on items of the list; NaN without values. It is what was bought
        anyway: an upper bound of what the list would have earned, never its effect, which only a control group shows.
    repeat_share : ndarray of float64, shape (n,)
        The share of the list that the customer had bought before.
    novelty : ndarray of float64, shape (n,)
        The mean of -log2 of the share of customers who have an item of the list: higher is less obvious.
    diversity : ndarray of float64, shape (n,)
        1 minus the mean cosine of all pairs of the list, by who bought them; NaN for lists of fewer than two.
    listed : ndarray of int64, shape (n,)
        How many items the list had.
    coverage : float
        The share of the items known in training that were recommended to anyone.
    gini : float
        How unequally recommendations fall on these items: 0 alike, near 1 a few take all.
    k : int
    items : str
        ``"all"``, or ``"new"`` where neither lists nor what counts hold what the customer had bought before.
    estimates : mapping of str to Estimate
        The mean of each metric with its bootstrap interval over customers.
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
    estimates: Mapping[str, Estimate]

    def _facts(self) -> dict[str, Any]:
        facts = {"customers": len(self), "k": self.k, "items": self.items}
        return {**facts, **{name: estimate.value for name, estimate in self.estimates.items()}}

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
    test: Interactions,
    *,
    k: int = 10,
    items: Literal["all", "new"] = "all",
    rules: Rules | None = None,
    unseen_items: bool = False,
    level: float = 0.95,
    resamples: int = 1000,
    rng: np.random.Generator | int | None = 0,
) -> Quality:
    """Compare the lists of a fitted model with what customers bought afterwards.

    Parameters
    ----------
    model : Fitted
        Fitted on what came before `test`.
    test : Interactions
        The lines of the test period.
    k : int
    items : {"all", "new"}
        With "new", what a customer had bought before is neither recommended nor counted.
    rules : Rules, optional
        Rules for the lists.
    unseen_items : bool
        Whether items that nobody had bought before the cut count too (for `NewArrivals`).
    level : float
        The confidence of the intervals.
    resamples : int
        How often customers are drawn anew for the intervals.
    rng : Generator, int or None
        Fixes the draws.

    Raises
    ------
    NotEnoughDataError
        No known customer bought anything that counts.
    """
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
    evaluation = Quality(
        customer_id=model.customer_id[customers],
        **columns,
        coverage=float(np.count_nonzero(known) / len(known)),
        gini=gini(known),
        k=k,
        items=items,
        estimates={},
    )
    return with_estimates(evaluation, level=level, resamples=resamples, rng=generator(rng))


def with_estimates(evaluation: Quality, *, level: float, resamples: int, rng: np.random.Generator) -> Quality:
    """Return the evaluation with the mean of each metric and its interval."""
    fraction("level", level)
    whole("resamples", resamples, low=1)
    values = np.stack([getattr(evaluation, name) for name in METRICS], axis=1)
    cluster = np.unique(evaluation.customer_id, return_inverse=True)[1]
    estimates = {}
    for j, name in enumerate(METRICS):
        known = ~np.isnan(values[:, j])
        if not known.any():
            why = {"revenue": "the interactions have no value", "diversity": "no list has two items"}
            estimates[name] = Estimate(float("nan"), None, why.get(name, "no list has an item"))
            continue
        own = np.unique(cluster[known], return_inverse=True)[1]
        low, high = percentiles(draws_of_means(values[known, j : j + 1], own, resamples, rng), level)
        interval = Interval(float(low[0]), float(high[0]), level, "bootstrap of customers")
        estimates[name] = Estimate(float(values[known, j].mean()), interval)
    return attrs.evolve(evaluation, estimates=estimates)


def gini(counts: npt.NDArray[Any]) -> float:
    """Return the Gini coefficient of counts: 0 where all are alike, 1 - 1/n where one has all; NaN where all are 0."""
    x = np.sort(counts.astype(np.float64))
    n, total = len(x), float(x.sum())
    if total == 0:
        return float("nan")
    return float((2.0 * np.arange(1, n + 1) - n - 1) @ x / (n * total))


def _relevant(
    model: Fitted, test: Interactions, items: str, *, unseen_items: bool
) -> tuple[IntArray, History, FloatArray | None]:
    """Return the customers that count, the items that count for each, and the money spent on these."""
    if not isinstance(test, Interactions):
        raise InputError(f"test is a {type(test).__name__}: Interactions are needed.")
    customer, item, starts = test.pairs()
    money = None
    if test.value is not None:
        money = np.add.reduceat(np.nan_to_num(test.value), starts[:-1]) if len(test) else np.zeros(0)
    customer = find_ids("customer_id", model.customer_id, test.customer_id)[customer]
    item = find_ids("item", model.item, test.item)[item]
    past, m = model.history, len(model.item)
    known_customer = np.append(past.lengths > 0, False)
    known_item = np.append(model.popularity > 0 if not unseen_items else np.ones(m, dtype=np.bool_), False)
    counts = known_customer[customer] & known_item[item]
    if items == "new":
        bought = past.row * m + past.item  # ascending: rows and items within them are
        key = customer.astype(np.int64) * m + item
        place = np.searchsorted(bought, key)
        place[place == len(bought)] = 0
        counts &= bought[place] != key if len(bought) else True
    customer, item = customer[counts], item[counts]
    if len(customer) == 0:
        raise NotEnoughDataError(
            "no customer known at the cut bought anything that counts in the test period: choose a longer one."
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
    """Return every metric of every customer."""
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
        past = model.history
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
            "diversity": _diversity(model.history, m, row, item, n),
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
