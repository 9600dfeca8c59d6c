"""Kernels: compare two arms on one metric in every segment at once, from moments."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.checks import FloatArray
from relmark.experiments import _means, _shares, proportions
from relmark.experiments._critical import Critical
from relmark.experiments._skewness import skewness_notes
from relmark.experiments.metrics import Mean, Metric, Proportion, Ratio
from relmark.experiments.moments import Moments

# Intervals of a ratio are asymptotic: Student's quantile only guards small samples, and from here on it differs from
# the normal one by less than two in ten thousand.
NORMAL_RATIO_FROM = 10_000.0


class Compared(NamedTuple):
    """One metric, one arm against control, in s segments; all arrays have shape (s,)."""

    n_control: FloatArray
    n_treatment: FloatArray
    control: FloatArray
    treatment: FloatArray
    difference: FloatArray
    difference_low: FloatArray
    difference_high: FloatArray
    relative: FloatArray
    relative_low: FloatArray
    relative_high: FloatArray
    standard_error: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    method: str
    relative_method: str
    reason: npt.NDArray[np.str_]
    relative_reason: npt.NDArray[np.str_]
    note: npt.NDArray[np.str_]


@attrs.frozen(kw_only=True)
class Source:
    """What a report was made from, so that it can be made again at another level."""

    blocks: tuple[tuple[str, Moments], ...]
    metrics: tuple[Metric, ...]
    control: int
    sequence: Critical | None = None


def compared_rows(source: Source, *, alpha: FloatArray | float) -> dict[str, Any]:
    """Return the columns of a report: every metric, arm, division and segment; `alpha` may differ by row."""
    total = source.blocks[0][1]
    treatments = [arm for arm in range(len(total.arms)) if arm != source.control]
    parts: list[tuple[str, str, str, tuple[str, ...], Compared]] = []
    row = 0
    for metric in source.metrics:
        for arm in treatments:
            for dimension, moments in source.blocks:
                rows = len(moments.segments)
                a = np.full(rows, alpha) if isinstance(alpha, float) else alpha[row : row + rows]
                done = compare(metric, moments, arm, source.control, a, source.sequence)
                parts.append((metric.name, total.arms[arm], dimension, moments.segments, done))
                row += rows
    sizes = [len(segments) for _, _, _, segments, _ in parts]
    columns: dict[str, Any] = {}
    for name in Compared._fields:
        if name in {"method", "relative_method"}:
            columns[name] = np.repeat(np.array([getattr(part[4], name) for part in parts]), sizes)
        else:
            columns[name] = np.concatenate([getattr(part[4], name) for part in parts])
    for name in ("n_control", "n_treatment"):
        columns[name] = columns[name].astype(np.int64)
    return {
        "metric": np.repeat(np.array([part[0] for part in parts]), sizes),
        "arm": np.repeat(np.array([part[1] for part in parts]), sizes),
        "dimension": np.repeat(np.array([part[2] for part in parts]), sizes),
        "segment": np.concatenate([np.array(part[3], dtype=np.str_) for part in parts]),
        **columns,
    }


def compare(
    metric: Metric, moments: Moments, arm: int, control: int, alpha: FloatArray, sequence: Critical | None
) -> Compared:
    """Return the comparison of an arm with control in every segment."""
    # A one-sided interval is a two-sided one with twice the error, without its other end.
    one_sided = metric.alternative != "two-sided"
    both = np.minimum(2 * alpha, 1 - 1e-12) if one_sided else alpha
    if isinstance(metric, Proportion) and not metric.covariates:
        done = _proportion(metric, moments, arm, control, both, sequence)
    else:
        if isinstance(metric, Proportion):
            _shares.check_yes_no(metric.name, moments, moments.position(metric.name))
        made = _pair(metric, moments, arm, control)
        done = _from_pair(metric, moments, arm, control, made, both, sequence)
    note = _joined(done.note, skewness_notes(metric, moments, arm, control, sequence))
    return _one_sided(done, metric)._replace(note=note)


def _joined(first: npt.NDArray[np.str_], second: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    if not (second != "").any():
        return first
    gap = np.where((first != "") & (second != ""), "; ", "")
    return np.strings.add(np.strings.add(first, gap), second)


def _one_sided(done: Compared, metric: Metric) -> Compared:
    """Return a comparison with one end of its intervals, and the p-value of that side."""
    if metric.alternative == "two-sided":
        return done
    more = metric.alternative == "greater"
    end, name = (np.inf, "high") if more else (-np.inf, "low")
    most = (1.0 if more else -1.0) if isinstance(metric, Proportion) else end
    least = -1.0 if isinstance(metric, Proportion) and not more else end
    changed: dict[str, Any] = {
        f"difference_{name}": np.where(np.isnan(done.difference_low), np.nan, most),
        f"relative_{name}": np.where(np.isnan(done.relative_low), np.nan, least),
        "method": f"{done.method}, one-sided",
    }
    if not (isinstance(metric, Proportion) and metric.test != "z" and not metric.covariates):
        agrees = (done.statistic > 0) if more else (done.statistic < 0)
        changed["p_value"] = np.where(agrees, done.p_value / 2, 1 - done.p_value / 2)
    return done._replace(**changed)


class Made(NamedTuple):
    """Two estimated means, the reason if there are none, notes about them, and the method's name."""

    pair: _means.Pair
    reason: npt.NDArray[np.str_]
    note: npt.NDArray[np.str_]
    title: str


def _pair(metric: Metric, moments: Moments, arm: int, control: int) -> Made:
    """Return the estimated means of a mean or ratio."""
    counts = tuple(moments.count[a] for a in (control, arm))
    names = tuple(moments.arms[a] for a in (control, arm))
    ratio = isinstance(metric, Ratio)
    columns = [moments.position(name) for name in metric.kept]
    inner = np.ix_(columns, columns)
    covariance = moments.covariance()
    cov = [covariance[a][:, inner[0], inner[1]] for a in (control, arm)]
    mean = [moments.mean[a][:, columns] for a in (control, arm)]
    reason = _emptiness(counts, names)
    if ratio:
        linear = [_linearized(m, c) for m, c in zip(mean, cov, strict=True)]
        center, cov = [value for value, _ in linear], [c for _, c in linear]
        covariates = [m[:, 2:] for m in mean]
        for name, m in zip(names, mean, strict=True):
            reason = np.where(
                (m[:, 1] == 0) & (reason == ""), f"the mean of {metric.columns[1]} is zero in arm {name!r}", reason
            )
    else:
        center, covariates = [m[:, 0] for m in mean], [m[:, 1:] for m in mean]
    title = "delta method" if ratio else "Welch"
    note: Any = np.full(len(counts[0]), "")
    variances = (cov[0][:, 0, 0], cov[1][:, 0, 0])
    if covariates[0].shape[1]:
        names_of = metric.columns[2 if ratio else 1 :]
        pair, used = _means.adjusted(
            (counts[0], counts[1]), (center[0], center[1]), (covariates[0], covariates[1]), (cov[0], cov[1])
        )
        note = _left_out(names_of, used, np.minimum(*counts))
        title = f"regression within arms on {' and '.join(names_of)}" + (", delta method" if ratio else "")
    else:
        pair = _means.welch(counts[1], center[1], variances[1], counts[0], center[0], variances[0])
    for name, v, other in zip(names, variances, variances[::-1], strict=True):
        if not ((v == 0) & (other > 0)).any():
            continue
        borrowed = f"there is no variation in arm {name!r}, so the variance of the other arm is used for it"
        note = np.where((v == 0) & (other > 0) & (reason == ""), _joined(note, np.full(len(v), borrowed)), note)
    still = (variances[0] == 0) & (variances[1] == 0)
    reason = np.where(
        still & (reason == ""), "there is no variation within either arm, so there is no standard error", reason
    )
    exact = (pair.variance <= _means.EXACT * (pair.v11 + pair.v00)) & ~still
    exactly = "the covariates determine the outcome exactly, so there is no standard error"
    reason = np.where(exact & (reason == ""), exactly, reason)
    return Made(pair, reason, note, title)


def _left_out(names: tuple[str, ...], used: npt.NDArray[np.bool_], fewest: FloatArray) -> npt.NDArray[np.str_]:
    """Return notes on which covariates were left out of a row's adjustment, and why."""
    notes = [""] * len(used)
    for row in np.flatnonzero(~used.all(axis=1)).tolist():
        out = ", ".join(repr(name) for name, kept in zip(names, used[row], strict=True) if not kept)
        few = fewest[row] - 2 - used[row].sum() < 1
        why = "there are too few people" if few else "in an arm it is constant or follows from the others"
        rest = "" if used[row].any() else ", and nothing is adjusted"
        notes[row] = f"left out of the adjustment: {out} ({why}{rest})"
    return np.array(notes)


def _linearized(mean: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the ratio of an arm, and the covariances of its linearization (y - R d) / mean(d) and the covariates."""
    y, d = mean[:, 0], np.where(mean[:, 1] != 0, mean[:, 1], np.nan)
    ratio = y / d
    s, _, q = cov.shape[0], cov.shape[1], cov.shape[1] - 2
    weights = np.zeros((s, 1 + q, 2 + q))
    weights[:, 0, 0], weights[:, 0, 1] = 1 / d, -ratio / d
    weights[:, np.arange(1, 1 + q), np.arange(2, 2 + q)] = 1.0
    linear = np.einsum("sij,sjk,slk->sil", weights, cov, weights)
    size = (cov[:, 0, 0] + ratio**2 * cov[:, 1, 1]) / d**2
    linear[linear[:, 0, 0] <= _means.EXACT * size, 0, 0] = 0.0  # numerator and denominator are exactly proportional
    return ratio, linear


def _emptiness(counts: tuple[FloatArray, ...], names: tuple[str, ...]) -> npt.NDArray[np.str_]:
    """Return why arms are too small to compare; empty where they are not."""
    few = [(name, n) for name, n in zip(names, counts, strict=True) if (n < 2).any()]
    reason: Any = np.full(len(counts[0]), "", dtype="U200")
    for name, n in few:
        reason = np.where((n == 1) & (reason == ""), f"arm {name!r} has only one person, so no variance", reason)
    for name, n in few:
        reason = np.where(n == 0, f"arm {name!r} is empty", reason)
    return np.asarray(reason)


def _from_pair(
    metric: Metric,
    moments: Moments,
    arm: int,
    control: int,
    made: Made,
    alpha: FloatArray,
    sequence: Critical | None,
) -> Compared:
    pair, reason, title = made.pair, made.reason, made.title
    n0, n1 = moments.count[control], moments.count[arm]
    bad = reason != ""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        se = np.sqrt(pair.variance)
        d = pair.mu1 - pair.mu0
        statistic = np.divide(d, se, out=np.full_like(d, np.nan), where=se > 0)
        if sequence is None:
            critical, df = _means.t_quantile(alpha, pair.df), pair.df
            ratio_critical = np.where(df >= NORMAL_RATIO_FROM, -ndtri(alpha / 2), critical)
            p = _means.t_tail(statistic, df)
        else:
            # The sequence is asymptotic. For few people it is corrected as Student's t is, with the smaller arm's
            # degrees of freedom: each look keeps the tail probability that the sequence gives it.
            df = np.minimum(pair.df, np.minimum(n0, n1) - 1)
            critical = _means.t_of_normal(sequence.critical(alpha, n0 + n1), df)
            ratio_critical = critical
            p = sequence.p_value(_means.normal_of_t(statistic, df), n0 + n1)
        relative, low, high, relative_reason = _relative(metric.relative, pair, ratio_critical)
        half = np.where(bad, np.nan, critical * se)
    spoil = np.where(bad, np.nan, 0.0)
    relative_reason = np.where(bad, reason, relative_reason)
    empty0, empty1 = np.where(n0 > 0, 0.0, np.nan), np.where(n1 > 0, 0.0, np.nan)
    return Compared(
        n0,
        n1,
        pair.mu0 + empty0,
        pair.mu1 + empty1,
        d + empty0 + empty1 + np.where(np.isfinite(d), 0.0, np.nan),
        d - half,
        d + half,
        relative + empty0 + empty1,
        low + spoil,
        high + spoil,
        se + spoil,
        statistic + spoil,
        df + spoil,
        p + spoil,
        title if sequence is None else f"{title}, {sequence.name}",
        {"fieller": "Fieller", "log": "log", "delta": "delta method", "mover-r": "Fieller"}[metric.relative],
        reason,
        relative_reason,
        made.note,
    )


def _relative(
    how: str, pair: _means.Pair, critical: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.str_]]:
    """Return the relative effect, its limits, and the reason if there are none."""
    value = np.divide(pair.mu1, pair.mu0, out=np.full_like(pair.mu1, np.nan), where=pair.mu0 != 0) - 1
    reason: Any = np.where(pair.mu0 == 0, "the control mean is zero, so there is no relative effect", "").astype("U200")
    if how in {"fieller", "mover-r"}:
        low, high, unbounded = _means.fieller(pair, critical)
        near = unbounded & (pair.mu0 != 0)
        reason = np.where(
            near, "the control mean may be zero, so the interval of the relative effect is unbounded", reason
        )
    elif how == "log":
        low, high = _means.log_ratio(pair, critical)
        negative = ~((pair.mu1 > 0) & (pair.mu0 > 0)) & (reason == "")
        reason = np.where(negative, "a mean is not above zero, so it has no logarithm", reason)
    else:
        low, high = _means.delta_ratio(pair, critical)
    spoil = np.where(pair.mu0 == 0, np.nan, 0.0)
    below = (pair.mu0 < 0) & (reason == "")
    reason = np.where(below, "the control mean is negative, so a positive relative effect is a fall", reason)
    return value, low + spoil, high + spoil, reason


def _proportion(
    metric: Proportion, moments: Moments, arm: int, control: int, alpha: FloatArray, sequence: Critical | None
) -> Compared:
    at = moments.position(metric.name)
    n0, n1 = moments.count[control], moments.count[arm]
    p0, p1 = moments.mean[control][:, at], moments.mean[arm][:, at]
    _shares.check_yes_no(metric.name, moments, at)
    x0, x1 = np.rint(n0 * p0), np.rint(n1 * p1)
    names = (moments.arms[control], moments.arms[arm])
    reason: Any = np.full(len(n0), "", dtype="U200")
    for name, n in zip(names, (n0, n1), strict=True):
        if (n == 0).any():
            reason = np.where((n == 0) & (reason == ""), f"arm {name!r} is empty", reason)
    sides = 1 if metric.alternative != "two-sided" else 2
    with np.errstate(divide="ignore", invalid="ignore"):
        m0, m1 = np.where(n0 > 0, n0, np.nan), np.where(n1 > 0, n1, np.nan)
        q0, q1 = x0 / m0, x1 / m1
        d = q1 - q0
        se = np.sqrt(proportions.variance(x1, m1) + proportions.variance(x0, m0))
        if sequence is not None:
            critical = sequence.critical(alpha, n0 + n1)
            low, high, statistic, p = _shares.sequential_shares((x1, m1), (x0, m0), critical, sequence)
            method = f"Agresti-Caffo, {sequence.name}"
        else:
            critical = np.broadcast_to(-ndtri(alpha / 2), d.shape)
            low, high = _shares.INTERVALS[metric.interval](x1, n1, x0, n0, critical)
            statistic, p = proportions.pooled_z(x1, n1, x0, n0)
            method = f"{_shares.NAMES[metric.interval]}, {_shares.TEST_NAMES[metric.test]}"
            if metric.test != "z":
                statistic, p = np.full_like(d, np.nan), _shares.exact(metric, x1, n1, x0, n0)
        relative, rlow, rhigh, relative_reason, how = _shares.relative_proportion(
            metric.relative, x1, n1, x0, n0, critical
        )
        # If no table of so few people is unlikely enough, no interval may leave out zero.
        least = proportions.attainable(n1, n0, sides=sides)
        few = least > alpha / (2 if sides == 1 else 1)
        if sequence is not None:
            few |= (low <= 0) & (high >= 0)
        low, high = np.where(few, np.minimum(low, 0.0), low), np.where(few, np.maximum(high, 0.0), high)
        rlow, rhigh = np.where(few, np.minimum(rlow, 0.0), rlow), np.where(few, np.maximum(rhigh, 0.0), rhigh)
        if metric.test == "z":
            p = np.maximum(p, np.minimum(least * (2 if sides == 1 else 1), 1.0))
    relative_reason = np.where(reason != "", reason, relative_reason)
    still = (reason == "") & ((x0 + x1 == 0) | (x0 + x1 == n0 + n1))
    reason = np.where(still, f"{metric.name} is the same for everybody, so there is nothing to test", reason)
    return Compared(
        n0,
        n1,
        q0,
        q1,
        d,
        low,
        high,
        relative,
        rlow,
        rhigh,
        se,
        statistic,
        np.full_like(d, np.inf if metric.test == "z" else np.nan),
        p,
        method,
        how,
        reason,
        relative_reason,
        np.full(len(n0), ""),
    )


def compared_mean(
    metric: Mean | Ratio, moments: Moments, arm: int, control: int
) -> tuple[_means.Pair, npt.NDArray[np.str_]]:
    """Return only the pair of estimated means, and the reason where there are none."""
    made = _pair(metric, moments, arm, control)
    return made.pair, made.reason
