"""The area under the ROC curve and its variance: how well scores separate hits from misses."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, ndtri

from relmark.core.checks import BoolArray, FloatArray, IntArray
from relmark.core.intervals import Interval

__all__ = ["Area", "auc", "auc_and_variance", "by_value", "delong_interval"]


class Area(NamedTuple):
    """The area under the ROC curve and its variance (NaN if there is only one hit or only one miss)."""

    area: float
    variance: float


def by_value(scores: FloatArray, hit: BoolArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the distinct scores, descending, and the number of people and hits at each."""
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], hit[order]
    del order
    begins = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    return ordered[starts], np.diff(starts, append=len(ordered)), np.add.reduceat(hits, starts, dtype=np.int64)


def auc_and_variance(people: IntArray, hits: IntArray) -> Area:
    """Return the area under the ROC curve and its variance, from counts at descending scores.

    A hit beats a miss with a lower score, and half beats one with an equal score. Variance: DeLong, DeLong and
    Clarke-Pearson (1988), the placement values of hits and misses.
    """
    misses = people - hits
    m, n = int(hits.sum()), int(misses.sum())
    # Placement of a hit: the share of misses below it; of a miss: the share of hits above it. Ties count half.
    placement = np.cumsum(misses) - 0.5 * misses
    np.subtract(1.0, np.divide(placement, n, out=placement), out=placement)
    area = float(placement @ hits) / m
    s10 = _squares(hits, placement, area) / (m - 1) if m > 1 else math.nan
    np.divide(np.cumsum(hits) - 0.5 * hits, m, out=placement)
    s01 = _squares(misses, placement, area) / (n - 1) if n > 1 else math.nan
    return Area(area, s10 / m + s01 / n)


def _squares(weights: IntArray, values: FloatArray, center: float) -> float:
    values -= center
    np.square(values, out=values)
    return float(values @ weights)


def auc(scores: FloatArray, hit: BoolArray) -> Area:
    """Return the chance that a hit scores above a miss, ties counting half, and its variance.

    Parameters
    ----------
    scores : ndarray of float64, shape (n,)
        No NaN.
    hit : ndarray of bool, shape (n,)
        At least one true and one false.
    """
    _, people, hits = by_value(scores, hit)
    return auc_and_variance(people, hits)


def delong_interval(area: float, variance: float, level: float) -> Interval:
    """Return the interval of an area, computed on the logit scale so that it stays within (0, 1).

    By the delta method the variance of the logit is ``variance / (area (1 - area))^2``. The ends are NaN where the
    variance gives no information: there is only one hit or one miss, or all hits are above or all below all misses.
    """
    method = "DeLong, logit"
    if not (0 < area < 1) or not variance > 0:
        return Interval(math.nan, math.nan, level, method)
    half = float(ndtri(0.5 + level / 2)) * math.sqrt(variance) / (area * (1 - area))
    center = logit(area)
    return Interval(float(expit(center - half)), float(expit(center + half)), level, method)
