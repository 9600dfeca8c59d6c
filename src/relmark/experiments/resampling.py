"""Effects without formulas: the bootstrap for any mean, ratio or quantile, and the permutation test.

Both need every row. Both work on the distinct values with their counts, which are far fewer than the rows for money
with many zeros or for counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from relmark.core import checks
from relmark.core.assignment import role_seed
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.frames import Frame
from relmark.core.frozen import owned
from relmark.core.hashing import hash_buckets
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.experiments import _means, _validators
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import arm_codes, two_arms
from relmark.experiments.effects import Effect
from relmark.experiments.metrics import ALTERNATIVES, Mean, Metric, Proportion, Ratio, check_metrics
from relmark.experiments.moments import columns_by_name
from relmark.experiments.soundness import needs_rows

__all__ = ["BootstrapSums", "bootstrap_effect", "permutation_test"]


_BYTES = 32 << 20  # of resampled counts at a time


@attrs.frozen
class Quantile:
    """A quantile of a column, for `bootstrap_effect`: .5 is the median, .99 shows the heaviest buyers.

    Parameters
    ----------
    name : str
        The column, and the name of the metric.
    q : float
        Which quantile, between 0 and 1.
    alternative : {"two-sided", "greater", "less"}
        What the test looks for, as for `Mean`.

    Examples
    --------
    >>> effect = bootstrap_effect({"spend": list(range(20)) * 2}, ["control"] * 20 + ["mail"] * 20,
    ...                           metric=Quantile("spend", .5))
    >>> effect.metric, effect.difference.value
    ('the 0.5 quantile of spend', 0.0)
    """

    name: str = attrs.field(validator=_validators.name)
    q: float = attrs.field(validator=_validators.share)
    alternative: str = attrs.field(default="two-sided", validator=_validators.one_of(*ALTERNATIVES), kw_only=True)

    @property
    def of(self) -> Mean:
        """The metric that reads the column."""
        return Mean(self.name, alternative=self.alternative)


def bootstrap_effect(
    data: Frame,
    arms: Assignment | npt.ArrayLike | str,
    *,
    metric: Metric | Quantile,
    arm: str | None = None,
    control: str | int | None = None,
    resamples: int = 2_000,
    level: float = 0.95,
    rng: np.random.Generator | int | None = 0,
) -> Effect:
    """Return an effect on a mean, a ratio or any quantile, with bootstrap intervals.

    Parameters
    ----------
    data : mapping of str to array_like, or dataframe
        One row per person; Moments cannot be used.
    arms : Assignment, array_like of shape (n,), or str
        The arm of each row, or the column that has it.
    metric : Proportion, Mean, Ratio or Quantile
        The metric. Its covariates are not used; `cap` and `alternative` are.
    arm, control : str, optional
        Which arm is compared with which.
    resamples : int
        The number of resamples.
    level : float
        The confidence level of the intervals.
    rng : Generator, int, optional
        The random generator, or its seed; None for a new one at each call.

    Notes
    -----
    Rows with equal values form one cell. A resample draws how often each cell appears from a multinomial distribution,
    which is exactly the bootstrap. Intervals are expanded percentile intervals (Hesterberg 2015, section 3.2): the
    resampled means are stretched around each arm's mean by sqrt(n / (n - 1)), and the quantiles are those of Student's
    t at Welch's degrees of freedom, because plain percentiles of few people are too narrow. With fewer than 10 people
    in an arm no bootstrap holds its level, and there is no interval. The p-value is twice the smaller share of
    resampled differences on either side of zero, with one added to both counts, transformed in the same way. The
    relative interval comes from the resampled ratios.

    References
    ----------
    B. Efron (1979), Annals of Statistics 7, 1-26. T. C. Hesterberg (2015), The American Statistician 69, 371-386.
    """
    needs_rows(data, "a bootstrap")
    quantile = metric.q if isinstance(metric, Quantile) else None
    (spec,) = check_metrics(metric.of if isinstance(metric, Quantile) else metric)
    generator = checks.generator(rng)
    draws = checks.whole("resamples", resamples, low=100)
    alpha = 1 - checks.fraction("level", level)
    names, codes = arm_codes(arms, data)
    at0, at1 = two_arms(names, control, arm)
    wanted = spec.columns[: 2 if isinstance(spec, Ratio) else 1]
    columns = columns_by_name(data, wanted, len(codes))
    cap = None if isinstance(spec, Proportion) else spec.cap
    found, resampled, people, spread = [], [], [], []
    for at in (at0, at1):
        rows = codes == at
        values = np.stack([checks.numbers(name, columns[name][rows].astype(np.float64)) for name in wanted], axis=1)
        if cap is not None:
            values[:, 0] = np.minimum(values[:, 0], cap)
        if len(values) < 2:
            raise NotEnoughDataError(
                f"arm {names[at]!r} has {len(values)} people: at least two are needed.", argument="arm"
            )
        cells, counts = np.unique(values, axis=0, return_counts=True)
        statistic = _quantile_of(cells[:, 0], quantile) if quantile is not None else _mean_of(cells)
        found.append(float(statistic(counts[None, :].astype(np.float64))[0]))
        drawn = _resampled(statistic, counts, draws, generator)
        if quantile is None:
            drawn = found[-1] + (drawn - found[-1]) * math.sqrt(len(values) / (len(values) - 1))
        resampled.append(drawn)
        people.append(len(values))
        spread.append(float(np.nanvar(drawn)))
    differences = resampled[1] - resampled[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = resampled[1] / resampled[0] - 1
    df = _degrees(spread, people)
    few = "" if min(people) >= FEWEST else TOO_FEW
    comes_near = "" if (resampled[0] > 0).all() or (resampled[0] < 0).all() else "control is near zero in resamples"
    reason = few or comes_near
    method = "bootstrap, expanded percentiles"
    sides = _ends(alpha, df, spec.alternative)
    side = int((differences <= 0).sum()), int((differences >= 0).sum())
    what = f"the {quantile:g} quantile of {spec.name}" if quantile is not None else spec.name
    return Effect(
        metric=what,
        arm=names[at1],
        control_arm=names[at0],
        n_control=people[0],
        n_treatment=people[1],
        control=found[0],
        treatment=found[1],
        difference=Estimate(found[1] - found[0], None if few else _percentiles(differences, sides, level, method), few),
        relative=Estimate(
            found[1] / found[0] - 1 if found[0] else math.nan,
            None if reason else _percentiles(ratios, sides, level, method),
            reason,
        ),
        standard_error=float(differences.std(ddof=1)),
        statistic=math.nan,
        df=df,
        p_value=math.nan if few else _p_value(side, draws, df, spec.alternative),
        method=f"{method}, {draws:,} resamples",
    )


FEWEST = 10
TOO_FEW = f"an arm has fewer than {FEWEST} people, and no bootstrap of so few holds its level"


def _degrees(spread: Sequence[float], people: Sequence[int]) -> float:
    """Return Welch's degrees of freedom of a difference, from the variance of each arm's resampled statistic."""
    parts = [(np.array([v]), np.array([float(n - 1)])) for v, n in zip(spread, people, strict=True)]
    found = float(_means.satterthwaite(*parts)[0])
    return found if math.isfinite(found) else float(min(people) - 1)


def _ends(alpha: float, df: float, alternative: str) -> tuple[float | None, float | None]:
    """Return the quantiles at which an interval ends; None for an end that it does not have."""
    each = alpha if alternative != "two-sided" else alpha / 2
    low = float(ndtr(-_means.t_quantile(np.array([2 * each]), np.array([df]))[0]))
    return (None if alternative == "less" else low), (None if alternative == "greater" else 1 - low)


def _percentiles(drawn: FloatArray, sides: tuple[float | None, float | None], level: float, method: str) -> Interval:
    low, high = (None if side is None else float(np.quantile(drawn, side)) for side in sides)
    return Interval(-math.inf if low is None else low, math.inf if high is None else high, level, method)


def _p_value(side: tuple[int, int], draws: int, df: float, alternative: str) -> float:
    """Return the p-value that goes with expanded percentiles: the error of the widest interval without zero."""
    count = {"two-sided": min(side), "greater": side[0], "less": side[1]}[alternative]
    one = min((count + 1) / (draws + 1), 1.0)
    z = float(ndtri(one))
    student = float(_means.t_tail(np.array([z]), np.array([df]))[0]) / 2
    one = student if z < 0 else 1 - student
    return min(2 * one, 1.0) if alternative == "two-sided" else one


def _mean_of(cells: FloatArray) -> Any:
    if cells.shape[1] == 1:
        return lambda counts: counts @ cells[:, 0] / counts.sum(axis=1)

    def ratio(counts: FloatArray) -> FloatArray:
        below = counts @ cells[:, 1]
        return np.asarray(np.divide(counts @ cells[:, 0], below, out=np.full(len(counts), np.nan), where=below != 0))

    return ratio


def _quantile_of(values: FloatArray, q: float) -> Any:
    """Return a function for the q quantile of ascending values with counts: the smallest with cumulative count qn."""

    def quantile(counts: FloatArray) -> FloatArray:
        reached = np.cumsum(counts, axis=1) >= math.ceil(q * counts[0].sum() - 1e-9)
        return np.asarray(values[np.argmax(reached, axis=1)])

    return quantile


def _resampled(statistic: Any, counts: npt.NDArray[np.int64], draws: int, rng: np.random.Generator) -> FloatArray:
    n = int(counts.sum())
    piece = max(_BYTES // (8 * len(counts)), 1)
    out = np.empty(draws)
    for low in range(0, draws, piece):
        k = min(piece, draws - low)
        out[low : low + k] = statistic(rng.multinomial(n, counts / n, size=k).astype(np.float64))
    return out


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BootstrapSums(Result):
    """A bootstrap that can be added: resampled counts and sums of each arm, for rows on several machines.

    Each customer has a Poisson(1) weight in each resample, drawn by a keyed hash of the id. A customer whose rows lie
    on several machines has the same weight on all of them, and partial sums add up to the sums of the whole.

    Attributes
    ----------
    arms : tuple of str
        The arms' names.
    salt : str
        The key of the hash.
    weight : ndarray of float64, shape (a, resamples)
        The resampled number of people.
    total : ndarray of float64, shape (a, resamples)
        The resampled sum of the column.
    people, sums : ndarray of float64, shape (a,)
        The same without resampling.
    """

    arms: tuple[str, ...]
    salt: str
    weight: FloatArray = attrs.field(converter=owned)
    total: FloatArray = attrs.field(converter=owned)
    people: FloatArray = attrs.field(converter=owned)
    sums: FloatArray = attrs.field(converter=owned)

    @classmethod
    def from_columns(
        cls,
        values: npt.ArrayLike,
        arms: Assignment | npt.ArrayLike,
        customer_id: npt.ArrayLike,
        *,
        salt: str,
        resamples: int = 200,
    ) -> BootstrapSums:
        """Return the resampled sums of rows, one row per customer.

        Parameters
        ----------
        values : array_like, shape (n,)
            The outcome of each customer.
        arms : Assignment or array_like, shape (n,)
            The arm of each customer.
        customer_id : array_like of int or str, shape (n,)
            The customers.
        salt : str
            The key of the hash, the same on all machines.
        resamples : int
            The number of resamples.
        """
        names, codes = arm_codes(arms)
        x = checks.numbers("values", values, length=len(codes))
        ids = np.atleast_1d(np.asarray(customer_id))
        checks.same_length("customer_id", ids, len(codes))
        k = checks.whole("resamples", resamples, low=20)
        checks.text("salt", salt)
        weight, total = np.zeros((len(names), k)), np.zeros((len(names), k))
        inside = codes >= 0
        x, ids, codes = x[inside], ids[inside], codes[inside]
        for draw in range(k):
            w = _poisson(hash_buckets(ids, role_seed("bootstrap", salt, str(draw))))
            weight[:, draw] = np.bincount(codes, weights=w, minlength=len(names))
            total[:, draw] = np.bincount(codes, weights=w * x, minlength=len(names))
        return cls(
            arms=names,
            salt=salt,
            weight=weight,
            total=total,
            people=np.bincount(codes, minlength=len(names)).astype(np.float64),
            sums=np.bincount(codes, weights=x, minlength=len(names)).astype(np.float64),
        )

    def __add__(self, other: BootstrapSums) -> BootstrapSums:
        """Return the sums of both sets of customers, which must not overlap."""
        if not isinstance(other, BootstrapSums):
            return NotImplemented
        if (self.salt, self.weight.shape[1]) != (other.salt, other.weight.shape[1]):
            raise InputError(
                "bootstrap sums with different salts or numbers of resamples cannot be added: both must be the same.",
                argument="other",
                code="not_mergeable",
            )
        arms = tuple(dict.fromkeys(self.arms + other.arms))
        fields: dict[str, FloatArray] = {}
        for name in ("weight", "total", "people", "sums"):
            mine, yours = getattr(self, name), getattr(other, name)
            out = np.zeros((len(arms), *mine.shape[1:]))
            out[[arms.index(arm) for arm in self.arms]] += mine
            out[[arms.index(arm) for arm in other.arms]] += yours
            fields[name] = out
        return BootstrapSums(arms=arms, salt=self.salt, **fields)

    def difference(self, *, arm: str | None = None, control: str | int | None = None, level: float = 0.95) -> Estimate:
        """Return the difference of the arms' means with an expanded percentile interval, as in `bootstrap_effect`."""
        at0, at1 = two_arms(self.arms, control, arm)
        alpha = 1 - checks.fraction("level", level)
        if (self.weight[[at0, at1]] == 0).any():
            return Estimate(math.nan, None, "an arm has too few people: in some resamples it is empty")
        people = [int(self.people[at]) for at in (at0, at1)]
        best = self.sums / np.maximum(self.people, 1.0)
        value = float(best[at1] - best[at0])
        if min(people) < FEWEST:
            return Estimate(value, None, TOO_FEW)
        stretch = np.sqrt(self.people / np.maximum(self.people - 1, 1.0))[:, None]
        means = best[:, None] + (self.total / np.maximum(self.weight, 1.0) - best[:, None]) * stretch
        df = _degrees([float(means[at].var()) for at in (at0, at1)], people)
        drawn = means[at1] - means[at0]
        interval = _percentiles(drawn, _ends(alpha, df, "two-sided"), level, "Poisson bootstrap, expanded percentiles")
        return Estimate(value, interval)


# Poisson(1) by inversion of a hash in 10,000 steps: the cut points of its distribution function.
_CUTS = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(8)]) * 10_000


def _poisson(buckets: npt.NDArray[np.int64]) -> FloatArray:
    return np.searchsorted(_CUTS, buckets + 0.5, side="left").astype(np.float64)


def permutation_test(
    values: npt.ArrayLike,
    arms: Assignment | npt.ArrayLike,
    *,
    arm: str | None = None,
    control: str | int | None = None,
    alternative: str = "two-sided",
    resamples: int = 2_000,
    rng: np.random.Generator | int | None = 0,
) -> float:
    """Return the p-value of no effect on anybody, by drawing the arms again.

    Parameters
    ----------
    values : array_like, shape (n,)
        The outcome of each person; Moments cannot be used.
    arms : Assignment or array_like, shape (n,)
        The arm of each person.
    arm, control : str, optional
        Which arm is compared with which.
    alternative : {"two-sided", "greater", "less"}
        "greater" tests whether the arm has more than control.
    resamples : int
        How often the arms are drawn again.
    rng : Generator, int, optional
        The random generator, or its seed; None for a new one at each call.

    Notes
    -----
    The statistic is the difference of means. Equal values form one cell, and the number of each cell in treatment has a
    multivariate hypergeometric distribution. p = (1 + draws at least as extreme) / (1 + draws): Phipson and Smyth
    (2010).

    Examples
    --------
    >>> permutation_test([0, 0, 0, 0, 9, 9, 9, 9], ["control"] * 4 + ["mail"] * 4, rng=1) < .1
    True
    """
    needs_rows(values, "a permutation test")
    names, codes = arm_codes(arms)
    at0, at1 = two_arms(names, control, arm)
    draws = checks.whole("resamples", resamples, low=100)
    checks.one_of("alternative", alternative, ALTERNATIVES)
    generator = checks.generator(rng)
    x = checks.numbers("values", values, length=len(codes))
    both = (codes == at0) | (codes == at1)
    x, treated = x[both], codes[both] == at1
    n1, n0 = int(treated.sum()), int((~treated).sum())
    if min(n1, n0) == 0:
        raise NotEnoughDataError(
            f"arm {names[at1 if n1 == 0 else at0]!r} is empty, so nothing can be compared.", argument="arm"
        )
    cells, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    centered = cells - x.mean()
    turned = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    here = turned(float(np.bincount(which.reshape(-1)[treated], minlength=len(cells)) @ centered))
    scale = float(np.abs(centered) @ counts)
    beyond = 0
    piece = max(_BYTES // (8 * len(cells)), 1)
    for low in range(0, draws, piece):
        k = min(piece, draws - low)
        drawn = generator.multivariate_hypergeometric(counts, n1, size=k, method="marginals")
        beyond += int((turned(drawn @ centered) >= here - 1e-12 * scale).sum())
    return (1 + beyond) / (1 + draws)
