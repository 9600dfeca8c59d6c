"""Kernel: find, from third moments, where a skewed outcome and a small arm make the test of a mean unreliable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relmark.experiments._critical import Critical
from relmark.experiments.metrics import Metric, Proportion
from relmark.experiments.moments import Moments

SKEWED = 0.2  # the skewness of a difference from which a side of a 95 % interval misses 4 % instead of 2.5


def skewness_notes(
    metric: Metric, moments: Moments, arm: int, control: int, sequence: Critical | None
) -> npt.NDArray[np.str_]:
    """Return a note where a skewed outcome and a small arm make the interval of a mean miss more often than stated.

    The skewness of the difference of means, (k3_1 / n1^2 - k3_0 / n0^2) / v^1.5 with the outcome's skewness taken from
    both arms together, is the leading term of the error of Student's interval (Hall 1992, section 2.6): each side's
    error moves by it times (2 z^2 + 1) phi(z) / 6.
    """
    none = [""] * len(moments.segments)
    if isinstance(metric, Proportion) or moments.third is None:
        return np.array(none)
    at = moments.position(metric.kept[0])
    n = moments.count[[control, arm]]
    third = moments.third[[control, arm]][..., at]
    square = moments.scatter[[control, arm]][..., at, at]
    total = n.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # Deviations are from each arm's own mean, so that an effect is not taken for skewness.
        skewness = (third.sum(axis=0) / total) / (square.sum(axis=0) / total) ** 1.5
        of_difference = skewness * (1 / n[1] ** 2 - 1 / n[0] ** 2) / (1 / n[1] + 1 / n[0]) ** 1.5
    bad = np.abs(of_difference) > SKEWED
    what = "an effect that is not there" if sequence is None else "an effect that is not there, at the first looks,"
    for row in np.flatnonzero(bad & (n.min(axis=0) > 1)).tolist():
        small = (control, arm)[int(np.argmin(n[:, row]))]
        none[row] = (
            f"{metric.name} is skewed (skewness {skewness[row]:.3g}) and arm {moments.arms[small]!r} has "
            f"{int(n[:, row].min()):,} people: the test finds {what} more often than its level says. Cap the largest "
            "values (cap=), use permutation_test for the p-value, or make the arm larger"
        )
    return np.array(none)
