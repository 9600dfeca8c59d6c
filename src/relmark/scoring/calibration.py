"""What a score is worth: do high scores convert, by how much, and where should the line be drawn.

`calibrate` takes scores and what became of the people, and gives a table by tenths of the customers with Wilson
intervals, lift and gains, measures of the whole ranking, and thresholds for a target precision or a team's capacity.
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
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import ColumnarResult, Result
from relmark.scoring._ranks import auc_and_variance, by_value, ks_distance, logistic, wilson

__all__ = ["BandTable", "Calibration", "Cut", "LiftTable", "calibrate"]

_TENTHS = 10


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LiftTable(ColumnarResult):
    """Conversion by tenths of the customers, best scores first.

    Equal scores are never parted, so tenths can differ in size, and one that has no customer is left out.

    Parameters
    ----------
    decile : ndarray of int64, shape (k,)
        1 is the best tenth.
    low, high : ndarray of float64, shape (k,)
        The scores of the tenth, both ends inclusive.
    customers, conversions : ndarray of int64, shape (k,)
        How many, and how many of them converted.
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        Conversion rate with Wilson's interval.
    lift : ndarray of float64, shape (k,)
        The rate by the rate of all.
    share : ndarray of float64, shape (k,)
        Customers down to this tenth, as a part of all.
    gain : ndarray of float64, shape (k,)
        Conversions down to this tenth, as a part of all.
    cumulative_lift : ndarray of float64, shape (k,)
        gain / share.
    level : float
        Of the intervals.
    """

    decile: IntArray
    low: FloatArray
    high: FloatArray
    customers: IntArray
    conversions: IntArray
    rate: FloatArray
    rate_low: FloatArray
    rate_high: FloatArray
    lift: FloatArray
    share: FloatArray
    gain: FloatArray
    cumulative_lift: FloatArray
    level: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BandTable(ColumnarResult):
    """Conversion by band, the highest first; people below the lowest band come last, named "".

    Parameters
    ----------
    band : ndarray of str, shape (k,)
    customers, conversions : ndarray of int64, shape (k,)
    rate, rate_low, rate_high : ndarray of float64, shape (k,)
        Conversion rate with Wilson's interval; NaN of an empty band.
    lift : ndarray of float64, shape (k,)
        The rate by the rate of all.
    level : float
        Of the intervals.
    """

    band: npt.NDArray[np.str_]
    customers: IntArray
    conversions: IntArray
    rate: FloatArray
    rate_low: FloatArray
    rate_high: FloatArray
    lift: FloatArray
    level: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Cut(Result):
    """What happens if everyone with a score of at least `threshold` is selected.

    Parameters
    ----------
    threshold : float
    selected, conversions : int
        People selected, and how many of them converted.
    precision : Estimate
        The share of the selected who converted, with Wilson's interval; NaN where nobody is selected.
    recall : Estimate
        The share of all conversions that were among the selected, with Wilson's interval.
    lift : float
        Precision by the rate of all.
    share : float
        The selected as a part of all.
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
    """How well a score ranks people, and where to draw lines; made by `calibrate`.

    Parameters
    ----------
    n, conversions : int
        People, and how many converted.
    rate : Estimate
        The conversion rate of all, with Wilson's interval.
    deciles : LiftTable
        Conversion by tenths: lift and gains.
    bands : BandTable or None
        Conversion by band, where bands were given.
    auc : float
        The probability that someone who converted has a higher score than someone who did not; ties count half.
    auc_interval : Interval
        By DeLong's variance on the logit scale; NaN ends where one group has a single person or the ranking is perfect.
    gini : float
        2 auc - 1.
    ks : float
        The largest distance between the score distributions of the two groups.
    ks_threshold : float
        The score where it is reached.
    brier : float
        The mean squared difference between probability and outcome. The probability is the score itself where
        `calibrate` was told so, else that of a logistic curve through the scores.
    brier_skill : float
        1 minus brier by that of always saying the rate of all.
    intercept, slope : float
        Of the logistic curve ``P = 1 / (1 + exp(-(intercept + slope score)))``; NaN with the reason in `notes` where a
        score separates the groups, and where scores are probabilities.
    level : float
        Of the intervals.
    notes : tuple of str
        What is undefined, and why.
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
        """Return the probability that the logistic curve gives each score; NaN where there is no curve."""
        return np.asarray(special.expit(self.intercept + self.slope * checks.numbers("scores", scores)))

    def at(self, threshold: float) -> Cut:
        """Return what selecting everyone with a score of at least `threshold` would have meant."""
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
        """Return the lowest score from which on at least this share of people converted.

        Returns
        -------
        float
            Select everyone with a score of at least this; `at` says what that means. NaN where no threshold reaches
            the precision.

        Notes
        -----
        It is read off the same data that it will be judged on, and luck at the top of a ranking is easily taken for
        skill: see the interval of ``at(threshold).precision``, and check on later data.
        """
        precision = checks.fraction("precision", precision, open_ends=False)
        reached = np.flatnonzero(np.cumsum(self._hits) >= precision * np.cumsum(self._people))
        return float(self._value[reached[-1]]) if len(reached) else math.nan

    def threshold_for_capacity(self, n: int) -> float:
        """Return the lowest score that at most n people reach: whom a team can call.

        Returns
        -------
        float
            NaN where more than n people share the highest score.
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
    scores: npt.ArrayLike,
    converted: npt.ArrayLike,
    *,
    bands: Mapping[str, float] | npt.ArrayLike | None = None,
    probabilities: bool = False,
    level: float = 0.95,
) -> Calibration:
    """Compare scores with what became of the people.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Scores as they were **before** the outcome: evaluate with an `as_of` that lies before it.
    converted : array_like of bool or 0/1, shape (n,)
        Who converted afterwards.
    bands : dict of str to float, or array_like of str, shape (n,), optional
        The bands of a `LeadScore` (name to the lowest score), or each person's band.
    probabilities : bool
        Whether the scores are probabilities, so that the Brier score takes them as they are.
    level : float
        Of the intervals.

    Returns
    -------
    Calibration
        `deciles`, `auc`, `ks`, `brier`, `threshold_for`, `threshold_for_capacity`, ...

    Raises
    ------
    NotEnoughDataError
        Nobody converted, or everybody did: there is nothing to tell apart.

    Notes
    -----
    With N people above a score, those at the score belong to tenth ``floor(10 N / n) + 1``: that of the first of them
    in a ranking. AUC is the Mann-Whitney statistic; KS the Kolmogorov-Smirnov distance. Cost: one sort.

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
    value = checks.numbers("scores", scores)
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
    brier = float(hits @ (1 - probability) ** 2 + (people - hits) @ probability**2) / n
    interval = _auc_interval(area, variance, level)
    if math.isnan(interval.low):
        notes.append("no interval of the AUC: one group has a single person, or the ranking is perfect")
    return Calibration(
        n=n,
        conversions=conversions,
        rate=_share(conversions, n, level),
        deciles=_deciles(values, people, hits, level),
        bands=None if bands is None else _bands(bands, value, hit, level),
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


def read_outcomes(converted: npt.ArrayLike, n: int) -> npt.NDArray[np.bool_]:
    """Return who converted, of n people, both kinds among them."""
    outcome = checks.numbers("converted", converted, length=n)
    checks.refuse_rows("converted", (outcome != 0) & (outcome != 1), outcome, "True and False, or 1 and 0, are needed")
    hit = outcome == 1
    if hit.all() or not hit.any():
        who = "nobody" if not hit.any() else "everybody"
        raise NotEnoughDataError(f"converted says that {who} of {n:,} converted: there is nothing to tell apart.")
    return np.asarray(hit)


def _share(hits: int, people: int, level: float, reason: str = "") -> Estimate:
    if people == 0:
        return Estimate(math.nan, reason=reason)
    low, high = wilson(hits, people, level)
    return Estimate(hits / people, Interval(float(low), float(high), level, "Wilson"))


def _auc_interval(area: float, variance: float, level: float) -> Interval:
    """Return the interval of an AUC on the logit scale, where it can't leave (0, 1)."""
    method = "DeLong, logit"
    if not (0 < area < 1) or not variance > 0:
        return Interval(math.nan, math.nan, level, method)
    z = float(special.ndtri(0.5 + level / 2))
    half = z * math.sqrt(variance) / (area * (1 - area))
    centre = special.logit(area)
    return Interval(float(special.expit(centre - half)), float(special.expit(centre + half)), level, method)


def _curve(values: FloatArray, people: IntArray, hits: IntArray) -> tuple[float, float]:
    """Return intercept and slope of a logistic curve through the scores."""
    weight = people.astype(np.float64)
    centre = float(values @ weight) / float(weight.sum())
    spread = math.sqrt(float(weight @ (values - centre) ** 2) / float(weight.sum()))
    if spread == 0.0:
        return float(special.logit(float(hits.sum()) / float(weight.sum()))), 0.0
    x = (values - centre) / spread
    a, b, _ = logistic(x[:, None], hits / weight, weights=weight)
    slope = float(b[0]) / spread
    return a - slope * centre, slope


def _deciles(values: FloatArray, people: IntArray, hits: IntArray, level: float) -> LiftTable:
    n, conversions = int(people.sum()), int(hits.sum())
    before = np.cumsum(people) - people
    decile = (before * _TENTHS) // n + 1
    starts = np.flatnonzero(np.concatenate(([True], decile[1:] != decile[:-1])))
    ends = np.append(starts[1:], len(values)) - 1
    size, hit = np.add.reduceat(people, starts), np.add.reduceat(hits, starts)
    low, high = wilson(hit, size, level)
    share, gain = np.cumsum(size) / n, np.cumsum(hit) / conversions
    return LiftTable(
        decile=decile[starts],
        low=values[ends],
        high=values[starts],
        customers=size,
        conversions=hit,
        rate=hit / size,
        rate_low=low,
        rate_high=high,
        lift=hit / size / (conversions / n),
        share=share,
        gain=gain,
        cumulative_lift=gain / share,
        level=level,
    )


def _bands(bands: Any, value: FloatArray, hit: npt.NDArray[np.bool_], level: float) -> BandTable:
    if isinstance(bands, Mapping):
        names, cuts = read_bands(bands)
        code = band_codes(value, cuts)
    else:
        given = np.asarray(bands)
        checks.same_length("bands", given, len(value))
        if given.dtype.kind == "O":
            given = given.astype(np.str_)
        if given.dtype.kind != "U":
            raise InputError(f"bands has dtype {given.dtype}: names, or a mapping of name to lowest score, are needed.")
        found, inverse = np.unique(given, return_inverse=True)
        # The highest band first, by the mean score of its people; those without a band last.
        mean = np.bincount(inverse, weights=value) / np.bincount(inverse)
        order = sorted(range(len(found)), key=lambda k: (found[k] == "", -mean[k]))
        names, code = tuple(str(found[k]) for k in order if found[k]), np.argsort(order)[inverse]
    k = len(names) + 1
    people, hits = np.bincount(code, minlength=k), np.bincount(code[hit], minlength=k)
    low, high = wilson(hits, people, level)
    rate = np.full(k, np.nan)
    np.divide(hits, people, out=rate, where=people > 0)
    shown = slice(None) if people[-1] else slice(-1)
    return BandTable(
        band=np.array([*names, ""])[shown],
        customers=people[shown],
        conversions=hits[shown],
        rate=rate[shown],
        rate_low=low[shown],
        rate_high=high[shown],
        lift=(rate / hit.mean())[shown],
        level=level,
    )


def read_bands(bands: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the names and lowest scores of bands, the highest first."""
    pairs = []
    for name, low in bands.items():
        pairs.append((checks.number(f"bands[{name!r}]", low), checks.text("a name of bands", name)))
    pairs.sort(key=lambda pair: -pair[0])
    cuts = tuple(low for low, _ in pairs)
    if len(set(cuts)) < len(cuts):
        raise InputError(f"bands has two names for one lowest score: {dict(bands)}.")
    return tuple(name for _, name in pairs), cuts


def band_codes(total: FloatArray, cuts: tuple[float, ...]) -> IntArray:
    """Return each score's band as a position among bands that descend; len(cuts) below the lowest."""
    return np.asarray(len(cuts) - np.searchsorted(np.array(cuts[::-1]), total, side="right"), dtype=np.int64)
