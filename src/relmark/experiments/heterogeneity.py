"""Segments: whether the effect really differs between them, and what it is if each has its share of all people."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import ColumnarResult
from relmark.experiments import _means
from relmark.experiments._comparisons import compared_mean
from relmark.experiments.cells import two_arms
from relmark.experiments.effect_table import EffectTable
from relmark.experiments.effects import Effect
from relmark.experiments.metrics import Mean, Metric, Proportion, check_metrics
from relmark.experiments.moments import Moments

__all__ = ["InteractionTests", "interaction_tests", "post_stratified"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class InteractionTests(ColumnarResult):
    """Whether effects differ between segments: one row for each metric, arm and division.

    Attributes
    ----------
    metric, arm, dimension : ndarray of str
        What was tested.
    segments : ndarray of int64
        How many segments had an estimate.
    statistic, df, p_value : ndarray of float64
        Cochran's Q: the weighted sum of squared deviations of the segments' effects from their common effect. It is
        chi-squared with one degree of freedom less than there are segments.
    common : ndarray of float64
        The common effect, weighted by the inverse of the variances.
    """

    metric: npt.NDArray[np.str_]
    arm: npt.NDArray[np.str_]
    dimension: npt.NDArray[np.str_]
    segments: npt.NDArray[np.int64]
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    common: FloatArray


def interaction_tests(report: EffectTable) -> InteractionTests:
    """Test for each division of a report whether all segments have the same effect; see `Report.interactions`."""
    rows: list[tuple[Any, ...]] = []
    for metric in report.metrics:
        for arm in report.arms:
            here = (report.metric == metric) & (report.arm == arm)
            for dimension in dict.fromkeys(report.dimension[here].tolist()):
                if not dimension:
                    continue
                at = here & (report.dimension == dimension)
                d, se = report.difference[at], report.standard_error[at]
                good = np.isfinite(d) & (se > 0)
                weight = 1 / se[good] ** 2
                k = len(weight)
                common = float(weight @ d[good] / weight.sum()) if k else np.nan
                q = float(weight @ (d[good] - common) ** 2) if k > 1 else np.nan
                p = float(chdtrc(k - 1, q)) if k > 1 else np.nan
                rows.append((metric, arm, dimension, k, q, float(k - 1), p, common))
    if not rows:
        raise InputError(
            "the report has no segments: give segments= to analyze, or segment= to Moments.from_columns.",
            argument="report",
            code="missing_argument",
        )
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    names = ("metric", "arm", "dimension", "segments", "statistic", "df", "p_value", "common")
    return InteractionTests(**dict(zip(names, columns, strict=True)))


def post_stratified(
    moments: Moments, metric: Metric, *, arm: str | None = None, control: str | int | None = None, level: float = 0.95
) -> Effect:
    """Return the effect with each segment weighted by its share of all people; see `Report.post_stratified`."""
    (spec,) = check_metrics(metric)
    alpha = 1 - checks.fraction("level", level)
    at0, at1 = two_arms(moments.arms, control, arm)
    name = moments.arms[at1]
    plain: Any = Mean(spec.name) if isinstance(spec, Proportion) else spec
    n0, n1 = moments.count[at0], moments.count[at1]
    used = n0 + n1 > 0
    empty = [s for s, a, b in zip(moments.segments, n0, n1, strict=True) if a + b > 0 and min(a, b) < 2]
    notes: tuple[str, ...] = (f"post-stratified by {int(used.sum())} segments",)
    reason = ""
    if empty:
        reason = f"segment {empty[0]!r} has fewer than two people in an arm: combine it with another segment"
    with np.errstate(divide="ignore", invalid="ignore"):
        s, why_not = compared_mean(plain, moments, at1, at0)
    for name_of, words in zip(moments.segments, why_not.tolist(), strict=True):
        # A segment without variation is no obstacle: it adds no variance.
        if not reason and words and not words.startswith(("there is no variation", "the covariates determine", "arm ")):
            reason = f"segment {name_of!r}: {words}"
    n = n0 + n1
    w = n[used] / n.sum()
    m1, m0 = (np.asarray([w @ mu[used]]) for mu in (s.mu1, s.mu0))
    away1, away0 = s.mu1[used] - m1, s.mu0[used] - m0
    w2 = w * w

    def total(v: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
        return np.array([w2 @ v[used] + w @ (a * b) / n.sum()])

    df = _means.satterthwaite(
        *[
            (w2[k : k + 1] * v[used][k : k + 1], c[used][k : k + 1] - 1)
            for v, c in ((s.v11, n1), (s.v00, n0))
            for k in range(len(w))
        ]
    )
    pair = _means.Pair(m1, m0, total(s.v11, away1, away1), total(s.v00, away0, away0), total(s.v10, away1, away0), df)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = _means.difference_interval(pair, np.array([alpha]))
        critical = _means.t_quantile(np.array([alpha]), df)
        rlow, rhigh, unbounded = _means.fieller(pair, critical)
        se = float(np.sqrt(pair.variance[0]))
        z = float((m1 - m0)[0] / se) if se > 0 else np.nan
        relative = float(m1[0] / m0[0] - 1) if m0[0] else np.nan
    near_zero = "the control mean may be zero, so the interval of the relative effect is unbounded"
    why = near_zero if unbounded[0] else reason
    good = not reason
    return Effect(
        metric=spec.name,
        arm=name,
        control_arm=moments.arms[at0],
        n_control=int(n0.sum()),
        n_treatment=int(n1.sum()),
        control=float(m0[0]),
        treatment=float(m1[0]),
        difference=Estimate(
            float((m1 - m0)[0]),
            Interval(float(low[0]), float(high[0]), level, "post-stratified") if good else None,
            reason,
        ),
        relative=Estimate(relative, Interval(float(rlow[0]), float(rhigh[0]), level, "Fieller") if good else None, why),
        standard_error=se if good else np.nan,
        statistic=z if good else np.nan,
        df=float(df[0]),
        p_value=float(_means.t_tail(np.array([z]), df)[0]) if good else np.nan,
        method="post-stratified",
        notes=notes,
    )
