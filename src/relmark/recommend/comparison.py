"""Compare recommenders with each other and with baselines on the same test periods, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, fraction, generator, one_of, shown, whole
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate, Interval
from relmark.core.resampling import draws_of_means, percentiles
from relmark.core.results import ColumnarResult
from relmark.core.time import days
from relmark.recommend.buy_again import BuyAgain
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.popular import Popular
from relmark.recommend.quality import METRICS, Quality, quality
from relmark.recommend.rules import Rules
from relmark.recommend.spec import Spec
from relmark.recommend.splits import folds_by_time

__all__ = ["Comparison", "compare"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Comparison(ColumnarResult):
    """One row per recommender, with the metrics of `Quality` as means over customers.

    Parameters
    ----------
    name : ndarray of str, shape (m,)
        The names of the recommenders.
    ndcg, ndcg_low, ndcg_high : ndarray of float64, shape (m,)
        The nDCG and its 95 % interval; `estimate` gives the interval of every metric at any level.
    recall, precision, hit_rate, map, mrr, revenue, repeat_share, novelty, diversity, coverage, gini : ndarray
        The other metrics of `Quality`, shape (m,).
    k, items
        As in `quality`.
    customers : int
        The number of customers evaluated; a customer counts once in each fold.
    folds : int
        The number of test periods.
    qualities : mapping of str to Quality
        The quality of each recommender by name, with one row per customer.
    """

    _shown_by: ClassVar[str] = "ndcg"

    name: npt.NDArray[np.str_]
    ndcg: FloatArray
    ndcg_low: FloatArray
    ndcg_high: FloatArray
    recall: FloatArray
    precision: FloatArray
    hit_rate: FloatArray
    map: FloatArray
    mrr: FloatArray
    revenue: FloatArray
    repeat_share: FloatArray
    novelty: FloatArray
    diversity: FloatArray
    coverage: FloatArray
    gini: FloatArray
    k: int
    items: str
    customers: int
    folds: int
    qualities: Mapping[str, Quality]

    def estimate(
        self,
        name: str,
        metric: str = "ndcg",
        *,
        level: float = 0.95,
        resamples: int = 1000,
        rng: np.random.Generator | int | None = 0,
    ) -> Estimate:
        """Return a metric of one recommender with its interval, as `Quality.estimate` does."""
        one_of("name", name, self.name.tolist())
        return self.qualities[name].estimate(metric, level=level, resamples=resamples, rng=rng)

    def difference(
        self,
        name: str,
        baseline: str = "popular",
        metric: str = "ndcg",
        *,
        level: float = 0.95,
        resamples: int = 1000,
        rng: np.random.Generator | int | None = 0,
    ) -> Estimate:
        """Return the mean difference of a metric between two recommenders, paired by customer, with its interval."""
        one_of("metric", metric, METRICS)
        fraction("level", level)
        whole("resamples", resamples, low=1)
        a, b = (self.qualities[one_of("name", each, self.name.tolist())] for each in (name, baseline))
        gap = getattr(a, metric) - getattr(b, metric)
        known = ~np.isnan(gap)
        if not known.any():
            return Estimate(float("nan"), None, f"no customer has {metric} from both")
        cluster = np.unique(a.customer_id[known], return_inverse=True)[1]
        low, high = percentiles(draws_of_means(gap[known, None], cluster, resamples, generator(rng)), level)
        interval = Interval(float(low[0]), float(high[0]), level, "paired bootstrap of customers")
        return Estimate(float(gap[known].mean()), interval)

    def _facts(self) -> dict[str, Any]:
        best = int(np.argmax(self.ndcg))
        return {
            "best": str(self.name[best]),
            "ndcg": float(self.ndcg[best]),
            "k": self.k,
            "items": self.items,
            "customers": self.customers,
            "folds": self.folds,
        }

    def _table(self) -> dict[str, Any]:
        order = np.argsort(-self.ndcg, kind="stable")
        columns = {"name": self.name[order], f"ndcg@{self.k}": self.ndcg[order]}
        columns |= {"low": self.ndcg_low[order], "high": self.ndcg_high[order]}
        for name in ("recall", "hit_rate", "mrr", "repeat_share", "coverage", "revenue"):
            if not np.isnan(getattr(self, name)).all():
                columns[name] = getattr(self, name)[order]
        return columns


def compare(
    models: Mapping[str, Spec],
    interactions: PurchaseSource,
    *,
    k: int = 10,
    test: timedelta = days(30),  # noqa: B008  (a timedelta never changes)
    folds: int = 1,
    items: Literal["all", "new"] = "all",
    rules: Rules | None = None,
    unseen_items: bool = False,
) -> Comparison:
    """Fit recommenders on the past and compare their lists with the purchases that followed.

    All-time popularity and buy-again are added as baselines unless a model of that kind is given. Buy-again is added
    only if `items` is "all", since it recommends no new items.

    Parameters
    ----------
    models : mapping of str to Spec
        The settings to compare, by name, such as ``{"ease": Ease()}``.
    interactions : Interactions, CustomerBase or Purchases
        The purchases, with times. The last test period ends at the last line. From a base, each fold is fitted with
        only the refunds that were known at its start.
    k : int
        The length of the lists.
    test : timedelta
        The length of a test period.
    folds : int
        The number of test periods, one after the other. The bootstrap draws the rows of a customer from all of them
        together.
    items, rules, unseen_items
        As in `quality`.

    Returns
    -------
    Comparison
        One row per model and baseline.

    Examples
    --------
    >>> from relmark.recommend import Ease
    >>> who, what, month = ["a", "a", "b", "b", "a"], ["tea", "cup", "tea", "cup", "cup"], [1, 1, 1, 1, 3]
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=who, item=what, time=[f"2026-0{m}-01T00:00Z" for m in month])
    >>> compare({"ease": Ease()}, x, k=1).name.tolist()
    ['ease', 'popular', 'buy again']
    """
    if not isinstance(models, Mapping):
        raise InputError(
            f"models is {shown(models)}: a mapping of names to settings is needed.",
            argument="models",
            code="wrong_type",
        )
    for name, spec in models.items():
        if not isinstance(spec, Spec):
            raise InputError(
                f"models[{name!r}] is {shown(spec)}: settings such as Ease() are needed.",
                argument="models",
                code="wrong_type",
            )
    one_of("items", items, ("all", "new"))
    candidates = {str(name): spec for name, spec in models.items()}
    if not any(isinstance(spec, Popular) for spec in candidates.values()):
        candidates["popular"] = Popular()
    if items == "all" and not any(isinstance(spec, BuyAgain) for spec in candidates.values()):
        candidates["buy again"] = BuyAgain()
    found: dict[str, list[Quality]] = {name: [] for name in candidates}
    for split in folds_by_time(interactions, test, folds=folds):
        for name, spec in candidates.items():
            model = spec.fit(split.train, as_of=split.as_of)
            found[name].append(quality(model, split.test, k=k, items=items, rules=rules, unseen_items=unseen_items))
    qualities = {name: _joined(parts) for name, parts in found.items()}
    every = list(qualities.values())
    facts = [each._facts() for each in every]  # noqa: SLF001  (the means of every metric)
    means = {metric: np.array([each[metric] for each in facts]) for metric in METRICS}
    ndcg = [each.estimate("ndcg") for each in every]
    return Comparison(
        name=np.array(list(qualities), dtype=np.str_),
        **means,
        ndcg_low=np.array([each.low for each in ndcg]),
        ndcg_high=np.array([each.high for each in ndcg]),
        coverage=np.array([each.coverage for each in every]),
        gini=np.array([each.gini for each in every]),
        k=k,
        items=items,
        customers=len(every[0]),
        folds=folds,
        qualities=qualities,
    )


def _joined(parts: list[Quality]) -> Quality:
    """Return the rows of all folds together; coverage and gini are means over the folds."""
    first = parts[0]
    if len(parts) == 1:
        return first
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in first.to_columns()
    }
    return attrs.evolve(
        first,
        **columns,
        coverage=float(np.mean([part.coverage for part in parts])),
        gini=float(np.mean([part.gini for part in parts])),
    )
