"""Learn points from outcomes: a regularized logistic regression on what the rules count, rounded to whole points.

A score is a sum of points times counts, so the points can be learned by a regression on the counts. The count of a
condition is 0 or 1. The count of events is what is left of them after decay and caps, in units of the rule's points.
The coefficients are scaled to integers, as coarse as possible without harming the ranking. The quality is measured out
of fold: on people whom the fit did not see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.auc import auc
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.core.time import Instant
from relmark.expressions import Expression
from relmark.expressions.nodes import Arithmetic, Literal
from relmark.scoring._ranks import logistic
from relmark.scoring.calibration import Calibration, calibrate, column_of_numbers, read_outcomes
from relmark.scoring.lead_score import LeadScore
from relmark.scoring.points import ByValue, RulePoints, Tiers, plain
from relmark.scoring.rules import Rule

__all__ = ["LearnedScore", "PointsLearning", "suggest_points"]

_SCALES = (5, 10, 20, 50, 100, 200, 500, 1000)
_HARM = 0.001  # AUC that a coarser scale may cost on the data of the fit
_FEW = 10  # conversions per rule, below which a note warns that the points are uncertain


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PointsLearning(Result):
    """The learned points, and how well they rank people whom the fit did not see.

    Parameters
    ----------
    n, conversions : int
        How many people there are, and how many of them converted.
    folds : int
        The number of parts of the people; each part was scored by points learned on the others.
    auc : Estimate
        The AUC of the learned whole points, out of fold, with DeLong's interval.
    auc_unrounded : float
        The AUC of the regression before rounding to whole points, out of fold.
    auc_before : float
        The AUC of the points that the score had before.
    calibration : Calibration
        The calibration of the out-of-fold points: deciles, lift, thresholds. Each fold learns points on its own scale,
        so they are first put on the scale of the final points.
    rules : tuple of str
        The names of the rules.
    before, after : ndarray of float64, shape (rules,)
        The points of each rule before and after learning. For a rule whose points are not a single number, the factor
        by which its points are multiplied (1 before).
    coefficient : ndarray of float64, shape (rules,)
        The log odds of one unit of each rule: a condition that is true, one event, or one point if the rule's points
        are not a single number.
    low, high : ndarray of float64, shape (rules,)
        The smallest and the largest coefficient among the folds.
    intercept : float
        The log odds of someone with no points.
    points_per_logit : float
        How many points stand for one unit of log odds.
    penalty : float
        The strength of the ridge penalty.
    notes : tuple of str
        Warnings, such as too few conversions.
    """

    n: int
    conversions: int
    folds: int
    auc: Estimate
    auc_unrounded: float
    auc_before: float
    calibration: Calibration
    rules: tuple[str, ...]
    before: FloatArray
    after: FloatArray
    coefficient: FloatArray
    low: FloatArray
    high: FloatArray
    intercept: float
    points_per_logit: float
    penalty: float
    notes: tuple[str, ...]

    def _facts(self) -> dict[str, Any]:
        names = ("n", "conversions", "folds", "auc", "auc_before", "notes")
        return {name: getattr(self, name) for name in names}

    def _table(self) -> dict[str, Any]:
        return {
            "rule": self.rules,
            "before": self.before,
            "after": self.after,
            "coefficient": self.coefficient,
            "low": self.low,
            "high": self.high,
        }


@attrs.frozen(kw_only=True, eq=False)
class LearnedScore(LeadScore):
    """A `LeadScore` with learned points and a report on the learning; its JSON holds the score only.

    Parameters
    ----------
    learning : PointsLearning
        The report: out-of-fold figures, coefficients and notes.
    """

    learning: PointsLearning | None = attrs.field(default=None)

    @property
    def score(self) -> LeadScore:
        """The score as a plain `LeadScore`, without the report."""
        return LeadScore(**{field.name: getattr(self, field.name) for field in attrs.fields(LeadScore)})


def suggest_points(
    score: LeadScore,
    base: CustomerBase,
    converted: npt.ArrayLike,
    *,
    as_of: Instant | Sequence[Instant] | npt.NDArray[Any],
    among: npt.ArrayLike | None = None,
    penalty: float = 1.0,
    folds: int = 5,
    largest: int | None = None,
    rng: np.random.Generator | int | None = 0,
) -> LearnedScore:
    """Learn the points of a score's rules from outcomes: who converted afterwards.

    Conditions, events, decay and expiry stay unchanged. The points change, and the caps and floors of rules are scaled
    with them. Groups, the cap and floor of the total, bands and grades refer to the old points and are left out.

    Parameters
    ----------
    score : LeadScore
        The score whose points to learn. A rule with 0 points counts nothing: give it 1 point instead.
    base : CustomerBase
        The people and their events.
    converted : array_like of bool or 0/1, shape (n,)
        Who converted **after** `as_of`, aligned with ``base.customer_id``.
    as_of : instant, or array_like of instants, shape (n,)
        The instant at which the rules are evaluated; events after it are not seen.
    among : array_like of bool, shape (n,), optional
        The people to learn from, such as those who got a message; everyone by default.
    penalty : float
        The strength of the ridge penalty on the coefficients of standardized counts; 0 or more.
    folds : int
        The number of folds, 2 to 20.
    largest : int, optional
        The points for one unit of the rule with the largest coefficient; the other rules are scaled to match. By
        default the smallest of 5, 10, 20, 50, ..., 1000 that costs at most .001 of AUC on the data of the fit.
    rng : Generator, int or None
        The random generator that draws the folds, or its seed.

    Returns
    -------
    LearnedScore
        A score with the learned points; its `learning` holds the report.

    Raises
    ------
    NotEnoughDataError
        There are fewer conversions, or fewer people who did not convert, than folds; or every rule gives all people the
        same points.

    Notes
    -----
    The fit minimizes ``-sum(log likelihood) + penalty / 2 sum(beta ** 2)`` over standardized counts by Newton's method.
    A regression needs about ten conversions per rule; `learning.notes` warns if there are fewer. The cost is one
    evaluation of the score, and folds + 1 fits of a few passes over an (n, rules) table.

    References
    ----------
    S. le Cessie and J. C. van Houwelingen (1992), Ridge estimators in logistic regression, Applied Statistics 41.

    Examples
    --------
    >>> from relmark.core.table import CustomerTable
    >>> from relmark.expressions import field
    >>> from relmark.scoring import Rule
    >>> rng = np.random.default_rng(1)
    >>> vip, far = rng.random(2000) < .3, rng.random(2000) < .5
    >>> base = CustomerBase(customers=CustomerTable.from_columns(customer_id=np.arange(2000), vip=vip, far=far))
    >>> given = LeadScore(name="x", rules=[
    ...     Rule("vip", when=field("vip") == True, points=1), Rule("far", when=field("far") == True, points=1)])
    >>> learned = suggest_points(given, base, rng.random(2000) < .1 + .3 * vip, as_of="2026-11-01", largest=10)
    >>> [rule.points for rule in learned.rules]
    [10.0, 0.0]
    """
    if not isinstance(score, LeadScore):
        raise InputError(f"score is {checks.shown(score)}: a LeadScore is needed.", argument="score", code="wrong_type")
    checks.number("penalty", penalty, low=0)
    checks.whole("folds", folds, low=2, high=20)
    if largest is not None:
        checks.whole("largest", largest, low=1, high=100_000)
    generator = checks.generator(rng)
    bare = LeadScore(name=score.name, rules=[attrs.evolve(rule, group=None) for rule in score.rules])
    scores = bare.evaluate(base, as_of=as_of)
    chosen = np.ones(len(base), dtype=np.bool_) if among is None else _mask(among, len(base))
    outcome = column_of_numbers("converted", converted)
    checks.same_length("converted", outcome, len(base))
    hit = read_outcomes(outcome[chosen], int(np.count_nonzero(chosen)))
    units = np.array([_unit(rule) for rule in score.rules])
    X = scores.by_rule[chosen] / units
    moving = X.std(axis=0) > 0
    if not moving.any():
        raise NotEnoughDataError(
            "no rule tells people apart: each rule gives all people the same points.", argument="score"
        )
    m = int(np.count_nonzero(hit))
    if min(m, len(hit) - m) < folds:
        raise NotEnoughDataError(
            f"{m:,} of {len(hit):,} converted: at least {folds} who did and {folds} who did not are needed, one of "
            "each per fold.",
            argument="converted",
        )
    fit = _Fit.of(X, hit, moving, penalty, largest)
    fold = _folds(hit, folds, generator)
    parts = [_Fit.of(X[fold != k], hit[fold != k], moving, penalty, largest) for k in range(folds)]
    rounded, unrounded = np.empty(len(hit)), np.empty(len(hit))
    for k, part in enumerate(parts):
        here = fold == k
        unrounded[here] = part.intercept + X[here] @ part.beta
        # The points of this fold, moved to the scale and the origin of the final points.
        rounded[here] = (X[here] @ part.points / part.scale + part.intercept - fit.intercept) * fit.scale
    betas = np.array([part.beta for part in parts])
    rules = [
        _learnt_rule(rule, points, unit) for rule, points, unit in zip(score.rules, fit.points, units, strict=True)
    ]
    single = np.array([isinstance(rule.points, float) for rule in score.rules])
    learning = PointsLearning(
        n=len(hit),
        conversions=m,
        folds=folds,
        auc=_auc(rounded, hit),
        auc_unrounded=_auc(unrounded, hit).value,
        auc_before=_auc(scores.total[chosen], hit).value,
        calibration=calibrate(rounded, hit),
        rules=scores.rules,
        before=units,
        after=fit.points,
        coefficient=fit.beta,
        low=betas.min(axis=0),
        high=betas.max(axis=0),
        intercept=fit.intercept,
        points_per_logit=fit.scale,
        penalty=float(penalty),
        notes=tuple(_notes(score, moving, single, min(m, len(hit) - m), fit, parts)),
    )
    return LearnedScore(name=score.name, rules=rules, learning=learning)


def _mask(among: npt.ArrayLike, n: int) -> BoolArray:
    mask = np.asarray(among)
    if mask.dtype != np.bool_ or mask.shape != (n,):
        raise InputError(
            f"among has dtype {mask.dtype} and shape {mask.shape}: one True or False per customer is needed.",
            argument="among",
            code="wrong_shape",
        )
    return mask


@attrs.frozen(eq=False)
class _Fit:
    """A regression and its coefficients rounded to whole points."""

    intercept: float
    beta: FloatArray
    points: FloatArray
    scale: float
    converged: bool

    @classmethod
    def of(cls, X: FloatArray, hit: BoolArray, moving: BoolArray, penalty: float, largest: int | None) -> _Fit:
        mean, spread = X.mean(axis=0), X.std(axis=0)
        used = moving & (spread > 0)
        Z = (X[:, used] - mean[used]) / spread[used]
        a, b, converged = logistic(Z, hit.astype(np.float64), penalty=penalty)
        beta = np.zeros(X.shape[1])
        beta[used] = b / spread[used]
        intercept = a - float(beta @ mean)
        strongest = float(np.abs(beta).max())
        if strongest == 0.0:
            return cls(intercept, beta, np.zeros(len(beta)), 1.0, converged)
        goal = _area(X @ beta, hit)
        for step in (largest,) if largest is not None else _SCALES:
            scale = step / strongest
            points = np.rint(beta * scale) + 0.0  # no -0.0
            if _area(X @ points, hit) >= goal - _HARM:
                break
        return cls(intercept, beta, points, scale, converged)


def _unit(rule: Rule) -> float:
    """Return the points of one unit of a rule: its points if they are a single number, else 1."""
    if not isinstance(rule.points, float):
        return 1.0
    if rule.points == 0:
        raise InputError(
            f"rule {rule.name!r} has 0 points, so it counts nothing: give it 1 point to learn its points.",
            argument="points",
            code="wrong_value",
        )
    return rule.points


def _learnt_rule(rule: Rule, points: float, unit: float) -> Rule:
    """Return a rule with learned or multiplied points, and with its caps and its floor scaled by the same factor."""
    factor = points / unit
    scaled = attrs.evolve(rule, points=_scaled(rule.points, factor, points), group=None)
    if factor > 0:
        cap, total, floor = (_bound(bound, factor) for bound in (rule.cap, rule.cap_total, rule.floor))
        return attrs.evolve(scaled, cap=cap, cap_total=total, floor=floor)
    # Where the sign changes, the most in all becomes the least and the reverse; a floor for each period does not exist.
    scaled = attrs.evolve(scaled, cap_total=None, cap_per=None)
    return attrs.evolve(scaled, cap=_bound(rule.floor, factor), floor=_bound(rule.limit, factor))


def _bound(bound: float | None, factor: float) -> float | None:
    return None if bound is None or not factor else bound * factor


def _scaled(given: RulePoints, factor: float, points: float) -> RulePoints:
    if isinstance(given, float):
        return points
    if isinstance(given, Expression):
        return Arithmetic("mul", given, Literal(plain(factor)))
    assert isinstance(given, (ByValue, Tiers))
    return given.scaled(factor)


def _folds(hit: BoolArray, folds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the fold of each person, with shares of conversions in the folds as equal as possible."""
    fold = np.empty(len(hit), dtype=np.int64)
    for kind in (True, False):
        rows = np.flatnonzero(hit == kind)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def _area(scores: FloatArray, hit: BoolArray) -> float:
    return auc(scores, hit).area


def _auc(scores: FloatArray, hit: BoolArray) -> Estimate:
    found = calibrate(scores, hit)
    interval: Interval = found.auc_interval
    if math.isnan(interval.low):
        return Estimate(found.auc, reason="no interval: one group has a single person, or the ranking is perfect")
    return Estimate(found.auc, interval)


def _notes(
    score: LeadScore, moving: BoolArray, single: BoolArray, fewer: int, fit: _Fit, parts: list[_Fit]
) -> list[str]:
    notes = []
    d = int(np.count_nonzero(moving))
    if fewer < _FEW * d:
        notes.append(
            f"few conversions: {fewer:,} (or people without one) for {d} rules; with fewer than {_FEW} per rule the "
            "points are uncertain, see low and high"
        )
    names = [rule.name for rule in score.rules]
    still = [name for name, moves in zip(names, moving, strict=True) if not moves]
    if still:
        notes.append(f"the same for everyone, so nothing was learned: {', '.join(still)}")
    unsure = [
        name
        for name, signs in zip(names, np.sign([part.beta for part in parts]).T, strict=True)
        if len(set(signs.tolist())) > 1
    ]
    if unsure:
        notes.append(f"the sign differs between folds: {', '.join(unsure)}")
    capped = [rule.name for rule, points in zip(score.rules, fit.points, strict=True) if rule.cap and points <= 0]
    if capped:
        notes.append(f"now takes points away, so its cap was removed: {', '.join(capped)}")
    if not all(part.converged for part in (fit, *parts)):
        notes.append("the regression did not converge: raise the penalty")
    if not single.all():
        factors = ", ".join(name for name, one in zip(names, single, strict=True) if not one)
        notes.append(f"points that are not a single number were multiplied by a factor, 1 before: {factors}")
    return notes
