"""Kernels: intervals and tests of shares in every segment at once, by the names under which metrics ask for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.experiments import _means, proportions
from relmark.experiments._critical import Critical
from relmark.experiments.metrics import Proportion
from relmark.experiments.moments import Moments


def sequential_shares(
    one: tuple[FloatArray, FloatArray], zero: tuple[FloatArray, FloatArray], critical: FloatArray, sequence: Critical
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return limits, statistic and p-value of a difference of shares at any look.

    Shares are computed with one yes and one no added to each arm (Agresti and Caffo): Wald's variance is zero where
    nobody or everybody has a yes, and the first looks have few people.
    """
    (x1, n1), (x0, n0) = one, zero
    p1, p0 = (x1 + 1) / (n1 + 2), (x0 + 1) / (n0 + 2)
    se = np.sqrt(p1 * (1 - p1) / (n1 + 2) + p0 * (1 - p0) / (n0 + 2))
    d, raw = p1 - p0, x1 / n1 - x0 / n0
    low, high = np.minimum(d - critical * se, raw), np.maximum(d + critical * se, raw)
    return np.maximum(low, -1.0), np.minimum(high, 1.0), d / se, sequence.p_value(d / se, n0 + n1)


INTERVALS = {
    "newcombe": proportions.newcombe,
    "miettinen-nurminen": proportions.miettinen_nurminen,
    "agresti-caffo": proportions.agresti_caffo,
}
NAMES = {"newcombe": "Newcombe", "miettinen-nurminen": "Miettinen-Nurminen", "agresti-caffo": "Agresti-Caffo"}
TEST_NAMES = {"z": "pooled z", "fisher": "Fisher", "boschloo": "Boschloo"}


def exact(metric: Proportion, x1: FloatArray, n1: FloatArray, x0: FloatArray, n0: FloatArray) -> FloatArray:
    call = proportions.fisher_test if metric.test == "fisher" else proportions.boschloo_test
    rows = zip(x1.tolist(), n1.tolist(), x0.tolist(), n0.tolist(), strict=True)
    how = metric.alternative
    return np.array(
        [call(int(a), int(m), int(b), int(n), alternative=how) if m and n else np.nan for a, m, b, n in rows]
    )


def relative_proportion(
    how: str, x1: FloatArray, n1: FloatArray, x0: FloatArray, n0: FloatArray, critical: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, npt.NDArray[np.str_], str]:
    m0, m1 = np.where(n0 > 0, n0, np.nan), np.where(n1 > 0, n1, np.nan)
    p0, p1 = x0 / m0, x1 / m1
    value = np.divide(p1, p0, out=np.full_like(p1, np.nan), where=p0 > 0) - 1
    nobody = "nobody in control has a yes, so there is no relative effect"
    if how == "delta":
        nothing = np.zeros_like(p1)
        pair = _means.Pair(p1, p0, proportions.variance(x1, m1), proportions.variance(x0, m0), nothing, nothing)
        low, high = _means.delta_ratio(pair, critical)
        reason: Any = np.where(x0 == 0, nobody, "")
        return value, low, high, reason, "delta method"
    low, high = (end - 1 for end in proportions.mover_ratio(x1, n1, x0, n0, critical))
    if how == "mover-r":
        return value, low, high, np.where(x0 == 0, nobody, ""), "MOVER-R"
    # Katz et al. (1978). It has no width where nobody or everybody of both arms has a yes: there MOVER-R is used.
    edge = (x1 == 0) | (x1 == n1) | (x0 == n0)
    a1, a0 = np.where(edge, np.nan, x1), np.where(edge | (x0 == 0), np.nan, x0)
    se = np.sqrt(np.maximum(1 / a1 - 1 / m1 + 1 / a0 - 1 / m0, 0.0))
    ratio = (a1 / m1) / (a0 / m0)
    low = np.where(edge, low, ratio * np.exp(-critical * se) - 1)
    high = np.where(edge, high, ratio * np.exp(critical * se) - 1)
    stood_in = "nobody or everybody in an arm has a yes, so the limits are those of MOVER-R"
    return value, low, high, np.where(x0 == 0, nobody, np.where(edge, stood_in, "")), "log"


def check_yes_no(name: str, moments: Moments, at: int) -> None:
    """Raise if a column cannot consist of zeros and ones, because its variance is not p (1 - p)."""
    n, p = moments.count, moments.mean[..., at]
    expected = n * p * (1 - p)
    if not np.allclose(
        moments.scatter[..., at, at], expected, rtol=1e-6, atol=1e-6 * max(float(n.max(initial=1)), 1.0) ** 0.5
    ):
        raise InputError(
            f"{name} does not consist of zeros and ones: a Proportion needs a yes or no for each person.",
            argument=name,
            code="wrong_value",
            hint=f"Use Mean({name!r}) for amounts.",
        )
