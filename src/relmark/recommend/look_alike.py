"""Look-alike audiences: customers similar to a seed, compared with a list of the most active customers."""

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
    """Rank customers by a ridge regression of membership in the seed on the features.

    Parameters
    ----------
    factors : int
        With purchases, the number of singular vectors of the matrix of customers by items that describe taste.
    regularization : float
        The strength of the ridge penalty on standardized features.
    """

    factors: int = 32
    regularization: float = 1.0

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)
        positive("regularization", self.regularization)


@attrs.frozen(kw_only=True)
class Centroid:
    """Rank customers by the cosine of their features with the mean of the seed.

    Parameters
    ----------
    factors : int
        With purchases, the number of singular vectors of the matrix of customers by items that describe taste.
    """

    factors: int = 32

    def __attrs_post_init__(self) -> None:
        """Validate."""
        whole("factors", self.factors, low=1)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LookAlike(ColumnarResult):
    """An audience, and how well its ranking separates the seed from other customers.

    Parameters
    ----------
    customer_id : ndarray, shape (a,)
        The audience, the most similar customers first.
    score : ndarray of float64, shape (a,)
        Higher is more similar; comparable within one result.
    auc : float
        The probability that a held-out member of the seed scores above a customer outside it.
    auc_interval : Interval
        The 95 % interval of `auc`, by DeLong's variance on the logit scale. Its ends are NaN if the held-out seed ranks
        above everybody else. `auc_at` gives the interval at another level.
    baseline_auc : float
        The same from activity alone (how much, how often, how recently), as for a list of the most active customers.
        NaN for a table without named columns of activity.
    lift : float
        In a held-out audience of the same share of customers, the share of seed members divided by their share among
        all.
    baseline_lift : float
        The same from activity alone.
    seed : int
        How many members of the seed are among the customers.
    unknown_seed : int
        How many members of the seed are not.
    method : str
        "ridge" or "centroid".
    note : str
        Which figures are missing, and why.

    Notes
    -----
    The seed is a sample of the customers you look for, so some of the other customers are of the same kind. If they are
    many, the true `auc` and `lift` are higher.
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
        """Return the interval of the AUC at a confidence level."""
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
    """Return the customers who are most similar to a seed.

    Parameters
    ----------
    features : Interactions, CustomerBase, Purchases, CustomerTable or mapping of columns with customer_id
        What customers bought (a base stands for its purchases), or attributes of the customers. Leave out whatever
        defines the seed.
    seed : array_like of ids
        The customers to resemble, such as the best customers, buyers of an item, or those who answered a campaign.
    size : int
        How many customers to return; fewer if there are fewer.
    method : "ridge", "centroid", Ridge or Centroid
        A ridge regression of membership in the seed on the features, or the cosine with the mean of the seed. Pass
        `Ridge` or `Centroid` to change their settings.
    exclude_seed : bool
        Whether to leave the seed out of the audience.
    activity : sequence of str
        For a table, the columns that only measure how active a customer is; they give the baseline.
    folds : int
        The number of parts for the held-out figures.
    rng : Generator, int or None
        The random generator that draws the parts, or its seed.

    Raises
    ------
    NotEnoughDataError
        There are fewer known members of the seed, or fewer other customers, than folds.

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
        note = "no baseline: name the columns that measure activity in activity=."
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
    """Return the share of members among the best-scored share of customers, divided by their share among all."""
    top = max(round(share * len(score)), 1)
    chosen = np.argsort(-score, kind="stable")[:top]
    return float(member[chosen].mean() / member.mean())


def _parts(member: BoolArray, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the part of each customer, with the seed and the others spread evenly over the parts."""
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
    """Return scores rounded to float32, so that equal customers tie on every processor."""
    return score.astype(np.float32).astype(np.float64)
