"""Whom else to address: customers who are like a seed, and how much better that is than taking the most active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.auc import auc, delong_interval
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, fraction, generator, one_of, positive, shown, whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.ids import find_ids, id_array
from relmark.core.intervals import Interval
from relmark.core.purchases import Purchases
from relmark.core.results import ColumnarResult
from relmark.core.table import CustomerTable
from relmark.recommend._blas import one_blas_thread
from relmark.recommend._features import features_of
from relmark.recommend.interactions import Interactions

__all__ = ["Centroid", "LookAlike", "Ridge", "look_alike"]


@attrs.frozen(kw_only=True)
class Ridge:
    """Rank by a ridge regression of being in the seed on the features.

    Parameters
    ----------
    factors : int
        Of purchases: how many singular vectors of customers by items stand for taste.
    regularization : float
        Of the ridge, on standardized features.
    """

    factors: int = 32
    regularization: float = 1.0

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)
        positive("regularization", self.regularization)


@attrs.frozen(kw_only=True)
class Centroid:
    """Rank by the cosine with the mean of the seed.

    Parameters
    ----------
    factors : int
        Of purchases: how many singular vectors of customers by items stand for taste.
    """

    factors: int = 32

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LookAlike(ColumnarResult):
    """An audience, and how well it tells the seed from others.

    Parameters
    ----------
    customer_id : ndarray, shape (a,)
        The audience, most alike first.
    score : ndarray of float64, shape (a,)
        Higher is more alike; comparable within one result.
    auc : float
        The chance that a held-out member of the seed scores above someone who is not in it.
    auc_interval : Interval
        At 95 %, by DeLong's variance on the logit scale; NaN ends where the held-out seed is above everybody else.
        `auc_at` gives it at another level.
    baseline_auc : float
        The same from activity alone (how much, how often, how lately): what a list of the most active gives. NaN where
        a table does not say which columns are activity.
    lift : float
        Of a held-out audience of the same share, how many times as many are of the seed as among all.
    baseline_lift : float
    seed : int
        How many of the seed are known.
    unknown_seed : int
        How many of the seed are not.
    method : str
    note : str

    Notes
    -----
    The seed is a sample of those you look for, so some of the others are of their kind too: auc and lift are lower
    bounds where that is common.
    """

    _shown_by: ClassVar[str] = "score"

    customer_id: npt.NDArray[Any]
    score: FloatArray
    auc: float
    auc_interval: Interval
    baseline_auc: float
    lift: float
    baseline_lift: float
    seed: int
    unknown_seed: int
    method: str
    note: str = ""
    _variance: float

    def auc_at(self, level: float) -> Interval:
        """Return the interval of the AUC at a level of confidence."""
        return delong_interval(self.auc, self._variance, fraction("level", level))

    def _lines(self) -> list[str]:
        return [self.note] if self.note else []

    def _facts(self) -> dict[str, Any]:
        return {
            "customers": len(self),
            "auc": self.auc,
            "auc_interval": self.auc_interval,
            "baseline_auc": self.baseline_auc,
            "lift": self.lift,
            "seed": self.seed,
            "method": self.method,
        }


def look_alike(
    features: Interactions | CustomerBase | Purchases | CustomerTable | Mapping[str, npt.ArrayLike],
    seed: npt.ArrayLike,
    size: int = 1000,
    *,
    method: Literal["ridge", "centroid"] | Ridge | Centroid = "ridge",
    exclude_seed: bool = True,
    activity: Sequence[str] = (),
    folds: int = 5,
    rng: np.random.Generator | int | None = 0,
) -> LookAlike:
    """Return the customers most like a seed.

    Parameters
    ----------
    features : Interactions, CustomerBase, Purchases, CustomerTable or mapping of columns with customer_id
        What customers bought (a base means its purchases), or what is known of them. What defines the seed must not be
        among it.
    seed : array_like of ids
        The people to be like: best customers, buyers of something, who answered a campaign.
    size : int
        How many to return; fewer where there are fewer.
    method : "ridge", "centroid", Ridge or Centroid
        Ridge regression of being in the seed on the features, or the cosine with the mean of the seed; `Ridge` and
        `Centroid` have settings.
    exclude_seed : bool
        Whether the seed is left out of the audience.
    activity : sequence of str
        Of a table: the columns that only say how active someone is, for the baseline.
    folds : int
        Parts for the held-out figures.
    rng : Generator, int or None
        Fixes the parts.

    Raises
    ------
    NotEnoughDataError
        Fewer known members of the seed, or others, than folds.

    References
    ----------
    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, Comparing the areas under two or more correlated receiver
    operating characteristic curves, 1988 (the interval, on the logit scale; the parts are taken as one ranking).

    Examples
    --------
    >>> table = {"customer_id": np.arange(100), "age": np.arange(100) % 50, "orders": np.arange(100) % 7}
    >>> found = look_alike(table, seed=np.arange(40, 50), size=3, activity=["orders"])
    >>> sorted(found.customer_id.tolist()), round(found.auc, 2) > .9
    ([97, 98, 99], True)
    """
    whole("size", size, low=1)
    way = _way(method)
    whole("folds", folds, low=2)
    people = features_of(features, way.factors, activity)
    ordered = np.argsort(people.customer_id, kind="stable")
    ids, values = people.customer_id[ordered], people.values[ordered]
    wanted = np.unique(id_array("seed", seed))
    places = find_ids("seed", ids, wanted)
    member = np.zeros(len(ids), dtype=np.bool_)
    member[places[places >= 0]] = True
    n_seed = int(np.count_nonzero(member))
    if min(n_seed, len(ids) - n_seed) < folds:
        raise NotEnoughDataError(
            f"{n_seed:,} of the seed are among the {len(ids):,} customers: at least {folds} of the seed and as many "
            "others are needed.",
            argument="seed",
        )
    part = _parts(member, folds, generator(rng))
    held_out = _held_out(values, member, part, way)
    area, variance = auc(held_out, member)
    interval = delong_interval(area, variance, 0.95)
    baseline, baseline_lift, note = float("nan"), float("nan"), ""
    share = min(size / len(ids), 1.0)
    if people.activity.any():
        active = _held_out(values[:, people.activity], member, part, way)
        baseline, baseline_lift = auc(active, member).area, lift_at(active, member, share)
    else:
        note = "no baseline: name the columns of activity in activity=."
    if np.isnan(interval.low):
        note = f"no interval of the AUC: the ranking is perfect. {note}".strip()
    score = _fit_score(values, member, values, way)
    candidates = np.flatnonzero(~member) if exclude_seed else np.arange(len(ids))
    best = candidates[np.argsort(-score[candidates], kind="stable")][:size]
    return LookAlike(
        customer_id=ids[best],
        score=score[best],
        auc=area,
        auc_interval=interval,
        baseline_auc=baseline,
        lift=lift_at(held_out, member, share),
        baseline_lift=baseline_lift,
        seed=n_seed,
        unknown_seed=len(wanted) - n_seed,
        method="ridge" if isinstance(way, Ridge) else "centroid",
        note=note,
        variance=variance,
    )


def _way(method: str | Ridge | Centroid) -> Ridge | Centroid:
    """Return the settings of a method."""
    if isinstance(method, (Ridge, Centroid)):
        return method
    if not isinstance(method, str):
        raise InputError(
            f"method is {shown(method)}: 'ridge', 'centroid', Ridge(...) or Centroid(...) is needed.",
            argument="method",
            code="wrong_value",
        )
    return Ridge() if one_of("method", method, ("ridge", "centroid")) == "ridge" else Centroid()


def lift_at(score: FloatArray, member: BoolArray, share: float) -> float:
    """Return how many times as many members are in the best share as among all."""
    top = max(round(share * len(score)), 1)
    chosen = np.argsort(-score, kind="stable")[:top]
    return float(member[chosen].mean() / member.mean())


def _parts(member: BoolArray, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return a part for each customer, seed and others spread evenly over the parts."""
    part = np.empty(len(member), dtype=np.int64)
    for group in (np.flatnonzero(member), np.flatnonzero(~member)):
        part[rng.permutation(group)] = np.arange(len(group)) % folds
    return part


def _held_out(values: FloatArray, member: BoolArray, part: npt.NDArray[np.int64], way: Ridge | Centroid) -> FloatArray:
    score = np.empty(len(member))
    for fold in range(int(part.max()) + 1):
        out = part == fold
        score[out] = _fit_score(values[~out], member[~out], values[out], way)
    return score


@one_blas_thread()
def _fit_score(values: FloatArray, member: BoolArray, others: FloatArray, way: Ridge | Centroid) -> FloatArray:
    """Fit on some customers and score others."""
    if isinstance(way, Centroid):
        center = values[member].mean(axis=0)
        size = np.linalg.norm(others, axis=1) * np.linalg.norm(center)
        return _rounded(np.divide(others @ center, size, out=np.zeros(len(others)), where=size > 0))
    mean = values.mean(axis=0)
    centered = values - mean
    target = member - member.mean()
    gram = centered.T @ centered + way.regularization * np.eye(values.shape[1])
    weight = np.linalg.solve(gram, centered.T @ target)
    return _rounded((others - mean) @ weight + member.mean())


def _rounded(score: FloatArray) -> FloatArray:
    """Return scores with the digits that every processor agrees on, so that alike customers stay tied everywhere."""
    return score.astype(np.float32).astype(np.float64)
