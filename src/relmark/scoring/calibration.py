"""Calibration: how much more often high scores convert, and which threshold to use.

`calibrate` takes scores and outcomes. It returns a table by tenths of the customers with Wilson intervals, lift and
gains, measures of the whole ranking, and thresholds for a target precision or for a team's capacity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy import special

from relmark.core import checks
from relmark.core.auc import auc_and_variance, by_value, delong_interval
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.scoring._ranks import ks_distance, logistic, wilson_at
from relmark.scoring.lift import BandTable, LiftTable, band_table, lift_table
from relmark.scoring.scores import LeadScores

__all__ = ["Calibration", "Cut", "calibrate", "read_outcomes"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Cut(Result):
    """The result of selecting everyone with a score of at least `threshold`.

    Parameters
    ----------
    threshold : float
        The lowest score that is selected.
    selected, conversions : int
        How many people are selected, and how many of them converted.
    precision : Estimate
        The share of the selected people who converted, with Wilson's interval; NaN if nobody is selected.
    recall : Estimate
        The share of all conversions that are among the selected people, with Wilson's interval.
    lift : float
        Precision divided by the conversion rate of all.
    share : float
        The share of all people who are selected.
    """

    threshold: float
    selected: int
    conversions: int
    precision: Estimate
    recall: Estimate
    lift: float
    share: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Calibration(Result):
    """How well a score ranks people, and which thresholds to use; the result of `calibrate`.

    Parameters
    ----------
    n, conversions : int
        How many people there are, and how many of them converted.
    rate : Estimate
        The conversion rate of all, with Wilson's interval.
    deciles : LiftTable
        Conversion by tenths of the people, with lift and gains.
    bands : BandTable or None
        Conversion by band, if bands were given.
    auc : float
        The probability that someone who converted has a higher score than someone who did not; ties count half.
    auc_interval : Interval
        The interval of `auc` by DeLong's variance on the logit scale. Its ends are NaN if one group has a single person
        or the ranking is perfect.
    gini : float
        ``2 * auc - 1``.
    ks : float
        The largest distance between the score distributions of the two groups.
    ks_threshold : float
        The score at which that distance is reached.
    brier : float
        The mean squared difference between probability and outcome. The probability is the score itself with
        ``probabilities=True``, and otherwise comes from a logistic curve through the scores.
    brier_skill : float
        1 minus the ratio of `brier` to the Brier score of predicting the rate of all for everyone.
    intercept, slope : float
        The coefficients of the logistic curve ``P = 1 / (1 + exp(-(intercept + slope score)))``. They are NaN if a
        score separates the groups perfectly, with the reason in `notes`, and if the scores are probabilities.
    level : float
        The confidence level of the intervals.
    notes : tuple of str
        Which figures are undefined, and why.
    """

    n: int
    conversions: int
    rate: Estimate
    deciles: LiftTable
    bands: BandTable | None
    auc: float
    auc_interval: Interval
    gini: float
    ks: float
    ks_threshold: float
    brier: float
    brier_skill: float
    intercept: float
    slope: float
    level: float
    notes: tuple[str, ...]
    _value: FloatArray
    _people: IntArray
    _hits: IntArray

    def probability(self, scores: npt.ArrayLike) -> FloatArray:
        """Return the probability that the logistic curve gives each score; NaN if there is no curve."""
        return np.asarray(special.expit(self.intercept + self.slope * checks.numbers("scores", scores)))

    def at(self, threshold: float) -> Cut:
        """Return the result of selecting everyone with a score of at least `threshold`."""
        threshold = float(threshold)
        k = int(np.count_nonzero(self._value >= threshold))
        selected, hits = int(self._people[:k].sum()), int(self._hits[:k].sum())
        precision = hits / selected if selected else math.nan
        return Cut(
            threshold=threshold,
            selected=selected,
            conversions=hits,
            precision=_share(hits, selected, self.level, "nobody is selected"),
            recall=_share(hits, self.conversions, self.level),
            lift=precision / self.rate.value,
            share=selected / self.n,
        )

    def threshold_for(self, *, precision: float) -> float:
        """Return the lowest threshold at which at least this share of the selected people converted.

        Returns
        -------
        float
            The lowest score to select; `at` returns the figures for it. NaN if no threshold reaches the precision.

        Notes
        -----
        The threshold is chosen on the same data that show its precision, and luck at the top of a ranking is easily
        taken for skill. Look at the interval of ``at(threshold).precision``, and check on later data.
        """
        precision = checks.fraction("precision", precision, open_ends=False)
        reached = np.flatnonzero(np.cumsum(self._hits) >= precision * np.cumsum(self._people))
        return float(self._value[reached[-1]]) if len(reached) else math.nan

    def threshold_for_capacity(self, n: int) -> float:
        """Return the lowest score that at most `n` people reach, such as the number of people a team can call.

        Returns
        -------
        float
            The lowest score to select; NaN if more than `n` people share the highest score.
        """
        n = checks.whole("n", n, low=0)
        fits = int(np.count_nonzero(np.cumsum(self._people) <= n))
        return float(self._value[fits - 1]) if fits else math.nan

    def _facts(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "conversions": self.conversions,
            "rate": self.rate.value,
            "auc": self.auc,
            "ks": self.ks,
            "brier": self.brier,
        }

    def _table(self) -> dict[str, Any]:
        table = self.deciles.to_columns()
        names = ("decile", "low", "high", "customers", "conversions", "rate", "rate_low", "rate_high", "lift", "gain")
        return {name: table[name] for name in names}


def calibrate(
    scores: LeadScores | npt.ArrayLike,
    converted: npt.ArrayLike,
    *,
    bands: Mapping[str, float] | npt.ArrayLike | None = None,
    probabilities: bool = False,
    level: float = 0.95,
) -> Calibration:
    """Compare scores with outcomes: who converted afterwards.

    Parameters
    ----------
    scores : LeadScores, or array_like of float, shape (n,)
        The result of `LeadScore.evaluate`, whose bands are used too, or a column of numbers. Use scores as they were
        **before** the outcome: evaluate with an `as_of` that lies before it.
    converted : array_like of bool or 0/1, shape (n,)
        Who converted afterwards.
    bands : dict of str to float, or array_like of str, shape (n,), optional
        The bands of a `LeadScore` (names and lowest scores), or each person's band.
    probabilities : bool
        Whether the scores are probabilities, which the Brier score then uses directly.
    level : float
        The confidence level of the intervals.

    Returns
    -------
    Calibration
        `deciles`, `auc`, `ks`, `brier`, `threshold_for`, `threshold_for_capacity`, ...

    Raises
    ------
    NotEnoughDataError
        Nobody converted, or everybody did, so that there are no two groups to compare.

    Notes
    -----
    If N people have a higher score, everyone at a score belongs to tenth ``floor(10 N / n) + 1``: that of the first of
    them in a ranking. AUC is the Mann-Whitney statistic, and KS is the Kolmogorov-Smirnov distance. The cost is one
    sort.

    References
    ----------
    E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (1988), Comparing the areas under two or more correlated
    receiver operating characteristic curves, Biometrics 44.

    Examples
    --------
    >>> c = calibrate([10, 20, 30, 40, 50, 60], [0, 0, 1, 0, 1, 1])
    >>> round(c.auc, 4), round(c.ks, 4), c.threshold_for(precision=.75), c.threshold_for_capacity(2)
    (0.8889, 0.6667, 30.0, 50.0)
    """
    if isinstance(scores, LeadScores):
        bands = scores.band if bands is None and scores.bands else bands
        scores = scores.total
    value = column_of_numbers("scores", scores)
    hit = read_outcomes(converted, len(value))
    level = checks.fraction("level", level)
    if probabilities:
        checks.refuse_rows("scores", (value < 0) | (value > 1), value, "probabilities from 0 to 1 are needed")
    n, conversions = len(value), int(np.count_nonzero(hit))
    values, people, hits = by_value(value, hit)
    area, variance = auc_and_variance(people, hits)
    ks, place = ks_distance(people, hits)
    notes: list[str] = []
    rate = conversions / n
    intercept = slope = math.nan
    if probabilities:
        probability = values
    elif area in {0.0, 1.0}:
        notes.append("no logistic curve: a threshold separates those who converted from the others perfectly")
        probability = np.full(len(values), np.nan)
    else:
        intercept, slope = _curve(values, people, hits)
        probability = np.asarray(special.expit(intercept + slope * values))
    # The sum of hits (1 - p)^2 + misses p^2.
    brier = float(conversions - 2 * (hits @ probability) + people @ np.square(probability)) / n
    interval = delong_interval(area, variance, level)
    if math.isnan(interval.low):
        notes.append("no interval of the AUC: one group has a single person, or the ranking is perfect")
    return Calibration(
        n=n,
        conversions=conversions,
        rate=_share(conversions, n, level),
        deciles=lift_table(values, people, hits, level),
        bands=None if bands is None else band_table(bands, value, hit, level),
        auc=area,
        auc_interval=interval,
        gini=2 * area - 1,
        ks=ks,
        ks_threshold=float(values[place]),
        brier=brier,
        brier_skill=1 - brier / (rate * (1 - rate)),
        intercept=intercept,
        slope=slope,
        level=level,
        notes=tuple(notes),
        value=values,
        people=people,
        hits=hits,
    )


def column_of_numbers(name: str, values: npt.ArrayLike) -> FloatArray:
    """Return a column of numbers from an array, a list or a series of any library."""
    array = checks.array_of(name, values)
    if array.ndim != 1 or isinstance(values, (str, bytes, Mapping)):
        raise InputError(
            f"{name} is {checks.shown(values)}: one column of numbers is needed, one value per person.",
            argument=name,
            code="wrong_type",
        )
    if array.dtype.kind == "O" and all(isinstance(value, (bool, np.bool_)) for value in array):
        array = array.astype(np.bool_)
    return checks.numbers(name, array)


def read_outcomes(converted: npt.ArrayLike, n: int) -> npt.NDArray[np.bool_]:
    """Return who of n people converted, and refuse outcomes that are all equal."""
    outcome = column_of_numbers("converted", converted)
    checks.same_length("converted", outcome, n)
    checks.refuse_rows("converted", (outcome != 0) & (outcome != 1), outcome, "True and False, or 1 and 0, are needed")
    hit = outcome == 1
    if hit.all() or not hit.any():
        who = "nobody" if not hit.any() else "everybody"
        raise NotEnoughDataError(
            f"converted says that {who} of {n:,} converted: people with and without a conversion are needed.",
            argument="converted",
        )
    return np.asarray(hit)


def _share(hits: int, people: int, level: float, reason: str = "") -> Estimate:
    if people == 0:
        return Estimate(math.nan, reason=reason)
    low, high = wilson_at(hits, people, level)
    return Estimate(hits / people, Interval(float(low), float(high), level, "Wilson"))


def _curve(values: FloatArray, people: IntArray, hits: IntArray) -> tuple[float, float]:
    """Return the intercept and the slope of a logistic curve through the scores."""
    weight = people.astype(np.float64)
    center = float(values @ weight) / float(weight.sum())
    spread = math.sqrt(float(weight @ (values - center) ** 2) / float(weight.sum()))
    if spread == 0.0:
        return float(special.logit(float(hits.sum()) / float(weight.sum()))), 0.0
    x = (values - center) / spread
    a, b, _ = logistic(x[:, None], hits / weight, weights=weight)
    slope = float(b[0]) / spread
    return a - slope * center, slope
