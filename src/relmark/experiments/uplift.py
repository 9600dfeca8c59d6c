"""Whom to write to: how much more a campaign brings among those whom a score ranks first.

Any score can be used: that of an uplift model, a lead score, days since the last purchase. The randomization of the
test shows what the campaign did to each slice of the ranking.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import BoolArray, FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import ColumnarResult
from relmark.experiments import _means
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import arm_codes, control_of
from relmark.experiments.soundness import needs_rows

__all__ = ["UpliftCurve", "UpliftGroups", "uplift_curve", "uplift_groups"]


TIED = 1e-12  # scores that differ by less than this share of their size are equal


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UpliftCurve(ColumnarResult):
    """What the campaign brings if only the best-ranked share of people gets it, per person of all people.

    Attributes
    ----------
    share : ndarray of float64, shape (k,)
        The share of people targeted, best ranked first, from 0 to 1.
    gain : ndarray of float64, shape (k,)
        The uplift curve: the effect among the targeted times their share.
    qini : ndarray of float64, shape (k,)
        Radcliffe's curve: the responses of the treated among the targeted, minus those of control scaled by the ratio
        of treated to control among them, divided by the number of all treated people.
    random : ndarray of float64, shape (k,)
        The gain of targeting the same number of people at random.
    auuc : Estimate
        The area under `gain` minus that under `random` (the AUUC above random; 0 for a useless score).
    qini_coefficient : Estimate
        The same area for `qini`.
    qini_normalized : Estimate
        The Qini coefficient divided by that of the best possible ranking: 1 is the maximum, 0 a useless score.
    effect : float
        The effect of targeting everybody: the end of `gain`.
    level : float
        The confidence level of the intervals.
    """

    share: FloatArray
    gain: FloatArray
    qini: FloatArray
    random: FloatArray
    auuc: Estimate
    qini_coefficient: Estimate
    qini_normalized: Estimate
    effect: float
    level: float = 0.95

    def _facts(self) -> dict[str, Any]:
        return {"auuc": self.auuc, "qini": self.qini_coefficient, "effect": self.effect}


def uplift_curve(
    score: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    outcome: npt.ArrayLike,
    arms: Assignment | npt.ArrayLike,
    *,
    control: str | int | None = None,
    points: int = 101,
    resamples: int = 200,
    level: float = 0.95,
    rng: np.random.Generator | int | None = 0,
) -> UpliftCurve:
    """Return the uplift and Qini curves of a ranking, with their areas and intervals.

    Parameters
    ----------
    score : array_like, shape (n,), or mapping of str to array_like
        The score of each person; those with a higher score are targeted first. People with equal scores, up to
        rounding, are targeted together. With several arms, give one score for each arm except control: everyone is
        ranked by their highest score, and would get the arm that it belongs to.
    outcome : array_like, shape (n,)
        What each person did.
    arms : array_like of bool or str, shape (n,), or Assignment
        Who was in the treated arm of a randomized test, or the names of the arms.
    control : str, optional
        The control arm, if arms have names; "control" by default.
    points : int
        The number of shares at which the curves are returned; areas use every person.
    resamples : int
        The number of resamples for the intervals (a bootstrap over people, within arms); 0 gives no intervals.
    level : float
        The confidence level of the intervals.
    rng : Generator, int, optional
        The random generator, or its seed; None for a new one at each call.

    Notes
    -----
    Among the first share s of people let Y1, Y0 be the sums of outcomes and N1, N0 the counts of treated and control.
    gain(s) = (Y1 / N1 - Y0 / N0) s; qini(s) = (Y1 - Y0 N1 / N0) / N1(1). Both are zero as long as one of the two arms
    is missing. Areas are trapezoidal over s, minus the triangle under the straight line to the end. The normalized
    coefficient divides by the area of the ranking that no score can beat: treated people who responded come first,
    control people who responded come last. With several arms, a person counts as treated if the test gave them the arm
    of their highest score, as control if they were in control, and otherwise not at all. Each is weighted by the
    inverse of the chance of their arm, so that both groups represent the same people.

    References
    ----------
    N. J. Radcliffe (2007), Direct Marketing Analytics Journal, 14-21. P. Gutierrez and J.-Y. Gerardy (2017),
    Proceedings of Machine Learning Research 67, 1-13.

    Examples
    --------
    The score is the effect itself, and the first half of the people can be persuaded:

    >>> import numpy as np
    >>> treated = np.tile([True, False], 50)
    >>> persuadable = np.arange(100) < 50
    >>> curve = uplift_curve(persuadable, persuadable & treated, treated, resamples=0)
    >>> round(curve.effect, 2), round(curve.auuc.value, 3)
    (0.5, 0.125)
    """
    s, y, t, base = _test_of(score, outcome, arms, control)
    k = checks.whole("points", points, low=2)
    draws = checks.whole("resamples", resamples, low=0)
    alpha = 1 - checks.fraction("level", level)
    order = np.argsort(-s, kind="stable")
    y, t, base = y[order], t[order], base[order]
    last = np.flatnonzero(np.append(_ends_of_ties(s[order]), True))
    share, gain, qini = _curves(y, t, last, base)
    areas = _areas(share, gain, qini)
    spread = _resampled_areas(y, t, last, base, draws, checks.generator(rng)) if draws else np.empty((0, 2))
    best = _best_area(y, t, base)
    estimates = []
    for at, value in enumerate(areas):
        interval = None
        if len(spread):
            low, high = np.quantile(spread[:, at], [alpha / 2, 1 - alpha / 2])
            interval = Interval(float(low), float(high), level, "bootstrap")
        estimates.append(Estimate(value, interval, "" if draws else "no resamples were asked for"))
    grid = np.linspace(0, 1, k)
    return UpliftCurve(
        share=grid,
        gain=np.interp(grid, share, gain),
        qini=np.interp(grid, share, qini),
        random=grid * gain[-1],
        auuc=estimates[0],
        qini_coefficient=estimates[1],
        qini_normalized=_over(estimates[1], best),
        effect=float(gain[-1]),
        level=level,
    )


def ranked_inputs(
    score: Any, outcome: Any, treated: Any, names: tuple[str, str] = ("score", "arms")
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return a ranking, its outcomes and who was treated, checked under the names that the caller's arguments have."""
    ranking, arm = names
    needs_rows(score, "a ranking")
    s = checks.numbers(ranking, score)
    y = checks.numbers("outcome", outcome, length=len(s))
    t = checks.numbers(arm, treated, length=len(s))
    checks.refuse_rows(arm, (t != 0) & (t != 1), t, "True or False, or 1 or 0, is needed")
    if t.sum() < 2 or (1 - t).sum() < 2:
        raise NotEnoughDataError(
            f"{arm} has fewer than two people in one of the two arms: both arms are needed.", argument=arm
        )
    return s, y, t == 1


def _test_of(score: Any, outcome: Any, arms: Any, control: Any) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    """Return score, outcome, treated and weight of everyone by whom the ranking can be judged."""
    by_arm = isinstance(score, Mapping)
    plain = checks.array_of("arms", arms) if not isinstance(arms, Assignment) else None
    named = plain is None or plain.dtype.kind in "UT" or any(isinstance(one, str) for one in plain.reshape(-1)[:1])
    if not by_arm and not named:
        s, y, t = ranked_inputs(score, outcome, arms)
        return s, y, t, np.ones(len(s))
    names, codes = arm_codes(arms)
    at0 = control_of(names, control)
    others = [name for name in names if name != names[at0]]
    scores = dict(score) if by_arm else {others[0]: score} if len(others) == 1 else {}
    if set(scores) != set(others):
        raise InputError(
            f"score has {', '.join(map(repr, scores)) or 'one column'}: give a mapping with a score for each of "
            f"{', '.join(map(repr, others))}.",
            argument="score",
            code="missing_argument",
        )
    table = np.stack([checks.numbers(f"score[{name!r}]", scores[name], length=len(codes)) for name in others])
    y = checks.numbers("outcome", outcome, length=len(codes))
    best = np.array([names.index(name) for name in others])[np.argmax(table, axis=0)]
    chance = np.bincount(codes[codes >= 0], minlength=len(names)) / max(int((codes >= 0).sum()), 1)
    kept = (codes == at0) | (codes == best)
    weight = 1 / chance[codes[kept]]
    s, y, t = ranked_inputs(table.max(axis=0)[kept], y[kept], codes[kept] != at0)
    return s, y, t, weight * (len(weight) / weight.sum())


def _ends_of_ties(ranked: FloatArray) -> BoolArray:
    """Return where, in descending scores, the next one is lower by more than rounding, shape (n - 1,).

    Scores that are computed in two ways differ in their last bits, which should not affect the ranking.
    """
    size = np.abs(ranked)
    some = size[size > 0]
    typical = float(np.median(some, overwrite_input=True)) if len(some) else 0.0
    del some
    slack = np.maximum(size[1:], size[:-1])
    slack *= TIED
    np.maximum(slack, TIED / 10 * typical, out=slack)
    return np.asarray(np.subtract(ranked[:-1], ranked[1:], out=size[1:]) > slack)


def _best_area(y: FloatArray, t: BoolArray, weight: FloatArray) -> float:
    """Return the Qini coefficient of the ranking that no score can beat."""
    order = np.argsort(-np.where(t, y, -y), kind="stable")
    return _areas(*_curves(y[order], t[order], np.arange(len(y)), weight[order]))[1]


def _over(estimate: Estimate, best: float) -> Estimate:
    if not best > 0:
        return Estimate(math.nan, None, "no ranking can gain anything, because everybody responded in the same way")
    i = estimate.interval
    interval = None if i is None else Interval(i.low / best, i.high / best, i.level, i.method)
    return Estimate(estimate.value / best, interval, estimate.reason)


def _curves(
    y: FloatArray, t: BoolArray, last: npt.NDArray[np.int64], weight: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return share, gain and qini after each group of equal scores, beginning with 0."""
    n1, n0 = _running(np.where(t, weight, 0.0), last), _running(np.where(t, 0.0, weight), last)
    y1, y0 = _running(np.where(t, weight * y, 0.0), last), _running(np.where(t, 0.0, weight * y), last)
    both = (n1 > 0) & (n0 > 0)
    treated, share = n1[-1], n1 + n0
    share /= share[-1]
    gain = np.divide(y1, n1, out=np.zeros_like(y1), where=both)
    mean0 = np.divide(y0, n0, out=y0, where=both)
    gain -= mean0
    gain *= share
    qini = np.subtract(y1, np.multiply(mean0, n1, out=n1), out=y1)
    qini /= treated
    gain[~both] = qini[~both] = 0.0
    return tuple(np.concatenate(([0.0], v)) for v in (share, gain, qini))  # type: ignore[return-value]


def _running(values: FloatArray, last: npt.NDArray[np.int64]) -> FloatArray:
    """Return the sums up to the last of each group of equal scores."""
    np.cumsum(values, out=values)
    return values if len(last) == len(values) else values[last]


def _areas(share: FloatArray, gain: FloatArray, qini: FloatArray) -> tuple[float, float]:
    return tuple(float(np.trapezoid(v, share) - v[-1] / 2) for v in (gain, qini))  # type: ignore[return-value]


def _resampled_areas(
    y: FloatArray, t: BoolArray, last: npt.NDArray[np.int64], base: FloatArray, draws: int, rng: np.random.Generator
) -> FloatArray:
    out = np.empty((draws, 2))
    arms = [np.flatnonzero(t), np.flatnonzero(~t)]
    for draw in range(draws):
        weight = np.zeros(len(y))
        for rows in arms:
            weight[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        out[draw] = _areas(*_curves(y, t, last, weight * base))
    return out


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UpliftGroups(ColumnarResult):
    """The effect in each slice of a ranking, best ranked first: one row per slice.

    Attributes
    ----------
    group : ndarray of int64, shape (k,)
        The number of the slice; 1 is ranked best.
    people : ndarray of int64
        The number of people in each slice.
    score_low, score_high : ndarray of float64
        The range of scores in each slice.
    control, treatment, difference, difference_low, difference_high : ndarray of float64
        The means, their difference and Welch's interval; NaN where an arm has fewer than two people in the slice.
    level : float
        The confidence level of the intervals.
    """

    group: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]
    score_low: FloatArray
    score_high: FloatArray
    control: FloatArray
    treatment: FloatArray
    difference: FloatArray
    difference_low: FloatArray
    difference_high: FloatArray
    level: float = 0.95


def uplift_groups(
    score: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    outcome: npt.ArrayLike,
    arms: Assignment | npt.ArrayLike,
    *,
    control: str | int | None = None,
    groups: int = 10,
    level: float = 0.95,
) -> UpliftGroups:
    """Return the effect in slices of equal size of a ranking, by default ten.

    People with equal scores stay together, in the slice of the first of them; slices that become empty are left out.

    Parameters
    ----------
    score, outcome, arms, control
        As for `uplift_curve`.
    groups : int
        The number of slices.
    level : float
        The confidence level of the intervals.
    """
    s, y, t, _ = _test_of(score, outcome, arms, control)
    k = checks.whole("groups", groups, low=2)
    alpha = np.array([1 - checks.fraction("level", level)])
    order = np.argsort(-s, kind="stable")
    ties = np.concatenate(([0], np.cumsum(_ends_of_ties(s[order]))))
    first = np.searchsorted(ties, ties, side="left")
    slice_of = np.empty(len(s), dtype=np.int64)
    slice_of[order] = first * k // len(s)
    used, at = np.unique(slice_of, return_inverse=True)
    count, mean, variance = [], [], []
    for side in (t, ~t):
        n = np.bincount(at[side], minlength=len(used)).astype(np.float64)
        m = np.bincount(at[side], weights=y[side], minlength=len(used)) / np.where(n > 0, n, np.nan)
        v = np.bincount(at[side], weights=(y[side] - m[at[side]]) ** 2, minlength=len(used))
        count.append(n)
        mean.append(m)
        variance.append(v / np.where(n > 1, n - 1, np.nan))
    with np.errstate(invalid="ignore"):
        pair = _means.welch(count[0], mean[0], variance[0], count[1], mean[1], variance[1])
        low, high = _means.difference_interval(pair, alpha)
    return UpliftGroups(
        group=used + 1,
        people=np.bincount(at),
        score_low=np.array([s[at == g].min() for g in range(len(used))]),
        score_high=np.array([s[at == g].max() for g in range(len(used))]),
        control=mean[1],
        treatment=mean[0],
        difference=mean[0] - mean[1],
        difference_low=low,
        difference_high=high,
        level=level,
    )
