"""Kernels: compare two arms on one metric in every segment at once, from moments."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.errors import InputError
from relmark.experiments import _means, proportions
from relmark.experiments.metrics import Mean, Metric, Proportion, Ratio
from relmark.experiments.moments import Moments

FloatArray = npt.NDArray[np.float64]

# Intervals of a ratio are asymptotic: Student's quantile only guards small samples, and from here on it differs from
# the normal one by less than two in ten thousand.
NORMAL_RATIO_FROM = 10_000.0


class Critical(Protocol):
    """What sets how many standard errors an interval reaches, beside Student's quantile."""

    name: str

    def critical(self, alpha: FloatArray, n: FloatArray) -> FloatArray:
        """Return the multiplier of the standard error."""
        ...

    def p_value(self, z: FloatArray, n: FloatArray) -> FloatArray:
        """Return the p-value that holds at any look."""
        ...


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


def compare(
    metric: Metric, moments: Moments, arm: int, control: int, alpha: FloatArray, sequence: Critical | None
) -> Compared:
    """Return the comparison of an arm with control in every segment."""
    if isinstance(metric, Proportion):
        return _proportion(metric, moments, arm, control, alpha, sequence)
    pair, reason, method = _pair(metric, moments, arm, control)
    return _from_pair(metric, moments, arm, control, pair, reason, method, alpha, sequence)


def _pair(metric: Metric, moments: Moments, arm: int, control: int) -> tuple[_means.Pair, npt.NDArray[np.str_], str]:
    """Return the estimated means of a mean or ratio, the reason where there are none, and the method's name."""
    counts = tuple(moments.count[a] for a in (control, arm))
    names = tuple(moments.arms[a] for a in (control, arm))
    ratio = isinstance(metric, Ratio)
    columns = [moments.position(name) for name in metric.columns]
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
    if covariates[0].shape[1]:
        pair, flat = _means.adjusted(
            (counts[0], counts[1]), (center[0], center[1]), (covariates[0], covariates[1]), (cov[0], cov[1])
        )
        names_of = " and ".join(metric.columns[2 if ratio else 1 :])
        reason = np.where(
            flat & (reason == ""),
            f"covariates ({names_of}) are constant or collinear in an arm: leave one out",
            reason,
        )
        few = np.minimum(*counts) <= covariates[0].shape[1] + 1
        reason = np.where(few & (reason == ""), "too few people for the number of covariates", reason)
        title = f"regression within arms on {names_of}" + (", delta method" if ratio else "")
    else:
        pair = _means.welch(counts[1], center[1], cov[1][:, 0, 0], counts[0], center[0], cov[0][:, 0, 0])
    still = (pair.v11 == 0) & (pair.v00 == 0)
    reason = np.where(
        still & (reason == ""), "nobody differs from anybody within either arm: no standard error", reason
    )
    exact = (pair.variance <= _means.EXACT * (pair.v11 + pair.v00)) & ~still
    reason = np.where(exact & (reason == ""), "the covariates tell the outcome exactly: no standard error", reason)
    return pair, reason, title


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
    linear[linear[:, 0, 0] <= _means.EXACT * size, 0, 0] = 0.0  # numerator and denominator go together exactly
    return ratio, linear


def _emptiness(counts: tuple[FloatArray, ...], names: tuple[str, ...]) -> npt.NDArray[np.str_]:
    """Return why arms are too small to compare, empty where they are not."""
    few = [(name, n) for name, n in zip(names, counts, strict=True) if (n < 2).any()]
    reason: Any = np.full(len(counts[0]), "", dtype="U200")
    for name, n in few:
        reason = np.where((n == 1) & (reason == ""), f"arm {name!r} has one person: no variance", reason)
    for name, n in few:
        reason = np.where(n == 0, f"arm {name!r} is empty", reason)
    return np.asarray(reason)


def _from_pair(
    metric: Metric,
    moments: Moments,
    arm: int,
    control: int,
    pair: _means.Pair,
    reason: npt.NDArray[np.str_],
    title: str,
    alpha: FloatArray,
    sequence: Critical | None,
) -> Compared:
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
            critical, df = sequence.critical(alpha, n0 + n1), np.full_like(d, np.inf)
            ratio_critical = critical
            p = sequence.p_value(statistic, n0 + n1)
        relative, low, high, relative_reason = _relative(metric.relative, pair, ratio_critical)
    spoil = np.where(bad, np.nan, 0.0)
    relative_reason = np.where(bad, reason, relative_reason)
    empty0, empty1 = np.where(n0 > 0, 0.0, np.nan), np.where(n1 > 0, 0.0, np.nan)
    return Compared(
        n0,
        n1,
        pair.mu0 + empty0,
        pair.mu1 + empty1,
        d + empty0 + empty1 + np.where(np.isfinite(d), 0.0, np.nan),
        d - critical * se + spoil,
        d + critical * se + spoil,
        relative + empty0 + empty1,
        low + spoil,
        high + spoil,
        se + spoil,
        statistic + spoil,
        df + spoil,
        p + spoil,
        title if sequence is None else f"{title}, {sequence.name}",
        {"fieller": "Fieller", "log": "log", "delta": "delta method"}[metric.relative],
        reason,
        relative_reason,
    )


def _relative(
    how: str, pair: _means.Pair, critical: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.str_]]:
    """Return the relative effect, its limits, and the reason where there are none."""
    value = np.divide(pair.mu1, pair.mu0, out=np.full_like(pair.mu1, np.nan), where=pair.mu0 != 0) - 1
    reason: Any = np.where(pair.mu0 == 0, "the control mean is zero: no relative effect", "").astype("U200")
    if how == "fieller":
        low, high, unbounded = _means.fieller(pair, critical)
        near = unbounded & (pair.mu0 != 0)
        reason = np.where(
            near, "the control mean is not distinguishable from zero: the relative effect is unbounded", reason
        )
    elif how == "log":
        low, high = _means.log_ratio(pair, critical)
        negative = ~((pair.mu1 > 0) & (pair.mu0 > 0)) & (reason == "")
        reason = np.where(negative, "a mean is not above zero: no logarithm", reason)
    else:
        low, high = _means.delta_ratio(pair, critical)
    spoil = np.where(pair.mu0 == 0, np.nan, 0.0)
    below = (pair.mu0 < 0) & (reason == "")
    reason = np.where(below, "the control mean is negative: a positive relative effect is a fall", reason)
    return value, low + spoil, high + spoil, reason


def _proportion(
    metric: Proportion, moments: Moments, arm: int, control: int, alpha: FloatArray, sequence: Critical | None
) -> Compared:
    at = moments.position(metric.name)
    n0, n1 = moments.count[control], moments.count[arm]
    p0, p1 = moments.mean[control][:, at], moments.mean[arm][:, at]
    _check_yes_no(metric.name, moments, at)
    x0, x1 = np.rint(n0 * p0), np.rint(n1 * p1)
    names = (moments.arms[control], moments.arms[arm])
    reason: Any = np.full(len(n0), "", dtype="U200")
    for name, n in zip(names, (n0, n1), strict=True):
        if (n == 0).any():
            reason = np.where((n == 0) & (reason == ""), f"arm {name!r} is empty", reason)
    z = -ndtri(alpha / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        m0, m1 = np.where(n0 > 0, n0, np.nan), np.where(n1 > 0, n1, np.nan)
        q0, q1 = x0 / m0, x1 / m1
        d = q1 - q0
        variance = q1 * (1 - q1) / m1 + q0 * (1 - q0) / m0
        se = np.sqrt(variance)
        if sequence is not None:
            critical = sequence.critical(alpha, n0 + n1)
            low, high = d - critical * se, d + critical * se
            statistic = np.divide(d, se, out=np.full_like(d, np.nan), where=se > 0)
            p = sequence.p_value(statistic, n0 + n1)
            method = f"Wald, {sequence.name}"
        else:
            critical = np.broadcast_to(z, d.shape)
            low, high = _INTERVALS[metric.interval](x1, n1, x0, n0, critical)
            statistic, p = proportions.pooled_z(x1, n1, x0, n0)
            method = f"{_NAMES[metric.interval]}, {_TEST_NAMES[metric.test]}"
            if metric.test != "z":
                statistic, p = np.full_like(d, np.nan), _exact(metric.test, x1, n1, x0, n0)
        relative, rlow, rhigh, relative_reason, how = _relative_proportion(metric.relative, x1, n1, x0, n0, critical)
    relative_reason = np.where(reason != "", reason, relative_reason)
    still = (reason == "") & ((x0 + x1 == 0) | (x0 + x1 == n0 + n1))
    reason = np.where(still, f"{metric.name} is the same for everybody: the test says nothing", reason)
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
    )


_INTERVALS = {
    "newcombe": proportions.newcombe,
    "miettinen-nurminen": proportions.miettinen_nurminen,
    "agresti-caffo": proportions.agresti_caffo,
}
_NAMES = {"newcombe": "Newcombe", "miettinen-nurminen": "Miettinen-Nurminen", "agresti-caffo": "Agresti-Caffo"}
_TEST_NAMES = {"z": "pooled z", "fisher": "Fisher", "boschloo": "Boschloo"}


def _exact(test: str, x1: FloatArray, n1: FloatArray, x0: FloatArray, n0: FloatArray) -> FloatArray:
    call = proportions.fisher_test if test == "fisher" else proportions.boschloo_test
    rows = zip(x1.tolist(), n1.tolist(), x0.tolist(), n0.tolist(), strict=True)
    return np.array([call(int(a), int(m), int(b), int(n)) if m and n else np.nan for a, m, b, n in rows])


def _relative_proportion(
    how: str, x1: FloatArray, n1: FloatArray, x0: FloatArray, n0: FloatArray, critical: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.str_], str]:
    m0, m1 = np.where(n0 > 0, n0, np.nan), np.where(n1 > 0, n1, np.nan)
    p0, p1 = x0 / m0, x1 / m1
    value = np.divide(p1, p0, out=np.full_like(p1, np.nan), where=p0 > 0) - 1
    if how == "delta":
        nothing = np.zeros_like(p1)
        pair = _means.Pair(p1, p0, p1 * (1 - p1) / m1, p0 * (1 - p0) / m0, nothing, nothing)
        low, high = _means.delta_ratio(pair, critical)
        reason: Any = np.where(x0 == 0, "nobody in control has a yes: no relative effect", "")
        return value, low, high, reason, "delta method"
    # Katz et al. (1978); where nobody in treatment has a yes, half a yes in each arm (Walter 1975) gives the upper end.
    none = (x1 == 0) & (x0 > 0)
    half = np.where(none, 0.5, 0.0)
    a1, b1, a0, b0 = x1 + half, m1 + half, x0 + half, m0 + half
    a0 = np.where(x0 > 0, a0, np.nan)
    se = np.sqrt(np.maximum(1 / a1 - 1 / b1 + 1 / a0 - 1 / b0, 0.0))
    ratio = (a1 / b1) / (a0 / b0)
    low = np.where(none, -1.0, ratio * np.exp(-critical * se) - 1)
    high = ratio * np.exp(critical * se) - 1
    reason = np.where(
        x0 == 0,
        "nobody in control has a yes: no relative effect",
        np.where(none, "nobody in treatment has a yes: the upper end adds half a yes to each arm", ""),
    )
    return value, low, high, reason, "log"


def _check_yes_no(name: str, moments: Moments, at: int) -> None:
    """Raise where a column cannot be of zeros and ones: its variance is not p (1 - p)."""
    n, p = moments.count, moments.mean[..., at]
    expected = n * p * (1 - p)
    if not np.allclose(
        moments.scatter[..., at, at], expected, rtol=1e-6, atol=1e-6 * max(float(n.max(initial=1)), 1.0) ** 0.5
    ):
        raise InputError(
            f"{name} is not of zeros and ones: a Proportion needs a yes or no a person. Use Mean({name!r}) for amounts."
        )


def compared_mean(
    metric: Mean | Ratio, moments: Moments, arm: int, control: int
) -> tuple[_means.Pair, npt.NDArray[np.str_]]:
    """Return the pair of estimated means alone, and the reason where there are none."""
    pair, reason, _ = _pair(metric, moments, arm, control)
    return pair, reason
