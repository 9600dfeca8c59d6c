"""More checks of a test: contamination, exposure, small samples, outliers and peeking."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.formats import format_number
from relmark.core.time import DATE, local_days, read_times
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import arm_codes, control_of
from relmark.experiments.intervals import wilson_interval
from relmark.experiments.moments import Moments
from relmark.experiments.sequential import peeking_error
from relmark.experiments.validity import Check

__all__ = [
    "contamination",
    "exposure_before_assignment",
    "outliers",
    "peeking",
    "sample_large_enough",
]


def contamination(
    arms: Assignment | npt.ArrayLike,
    received: npt.ArrayLike,
    *,
    control: str | int | None = None,
    tolerated: float = 0.01,
) -> Check:
    """Check that control did not receive the campaign.

    Parameters
    ----------
    arms : Assignment or array_like, shape (n,)
        The arm of each person.
    received : array_like of bool, shape (n,)
        Whether each person received it.
    control : str, optional
        The control arm; "control" by default.
    tolerated : float
        The share of control that may have received it.

    Examples
    --------
    >>> contamination(["control"] * 100 + ["mail"] * 100, [1] * 7 + [0] * 93 + [1] * 100).passed
    False
    """
    names, codes = arm_codes(arms)
    at = control_of(names, control)
    flags = checks.numbers("received", received, length=len(codes), low=0.0, high=1.0)
    n, x = int((codes == at).sum()), int(flags[codes == at].sum())
    checks.fraction("tolerated", tolerated, open_ends=False)
    if n == 0:
        return Check(name="contamination", passed=True, message="control is empty")
    interval = wilson_interval(x, n)
    passed = x / n <= tolerated
    advice = "" if passed else ". The effect is diluted: use complier_effect, and find out how they got it"
    return Check(
        name="contamination",
        passed=passed,
        statistic=x / n,
        message=f"{x:,} of {n:,} in {names[at]} received it ({x / n:.2%}, {interval!r}){advice}",
    )


def exposure_before_assignment(assigned_at: npt.ArrayLike, exposed_at: npt.ArrayLike, *, tz: str = "UTC") -> Check:
    """Check that nobody was exposed before being assigned.

    Parameters
    ----------
    assigned_at, exposed_at : array_like of dates or instants, shape (n,)
        The times of each person; NaT or None in `exposed_at` for people who never were exposed. If one of the two times
        is a date, they are compared by local days: an exposure on the day of the assignment is not before it.
    tz : str
        The time zone of days, and of times without a zone.

    Examples
    --------
    >>> import numpy as np
    >>> days = np.array(["2026-05-02", "2026-05-03"], "M8[D]")
    >>> exposure_before_assignment(days, np.array(["2026-05-01", "NaT"], "M8[D]")).passed
    False
    """
    first = read_times("assigned_at", _times(assigned_at), tz=tz)
    second = read_times("exposed_at", _times(exposed_at), tz=tz, missing=True)
    checks.same_length("exposed_at", second.instants, len(first.instants))
    known = second.instants != np.iinfo(np.int64).min
    seen = np.where(known, second.instants, first.instants)
    by_day = (np.asarray(first.given) == DATE) | (np.asarray(second.given) == DATE)
    early = known & np.where(by_day, local_days(seen, tz) < local_days(first.instants, tz), seen < first.instants)
    k = int(early.sum())
    if k == 0:
        return Check(name="exposure", passed=True, statistic=0.0, message="nobody was exposed before being assigned")
    return Check(
        name="exposure",
        passed=False,
        statistic=float(k),
        message=f"{k:,} people were exposed before they were assigned, the first in row {int(np.argmax(early))}: "
        "their arm cannot have decided what they saw. Leave them out, and fix the logging",
    )


def _times(values: npt.ArrayLike) -> npt.ArrayLike:
    return np.array(values, dtype=object) if isinstance(values, (list, tuple)) else values


def sample_large_enough(values: npt.ArrayLike, arms: Assignment | npt.ArrayLike) -> Check:
    """Check that every arm has enough people for means to be about normal, given the skewness of the outcome.

    Parameters
    ----------
    values : array_like, shape (n,)
        The outcome of each person.
    arms : Assignment or array_like, shape (n,)
        The arm of each person.

    Notes
    -----
    Each arm needs at least 355 times the squared skewness: Kohavi, Deng, Longbotham and Xu (2014), rule 7. The rule is
    for one mean. If arms are of equal size, their skewness cancels in the difference, and fewer people will do.

    Examples
    --------
    >>> sample_large_enough([0.0, 0.0, 0.0, 0.0, 0.0, 100.0], ["a", "b"] * 3).passed
    False
    """
    names, codes = arm_codes(arms)
    x = checks.numbers("values", values, length=len(codes))
    inside = x[codes >= 0]
    sd = float(inside.std()) if len(inside) else 0.0
    if sd == 0:
        return Check(name="sample size", passed=True, message="the outcome does not vary")
    skewness = float((((inside - inside.mean()) / sd) ** 3).mean())
    need = math.ceil(355 * skewness**2)
    counts = {name: int((codes == k).sum()) for k, name in enumerate(names)}
    least = min(counts, key=lambda name: counts[name])
    passed = counts[least] >= need
    advice = "" if passed else ". Use bootstrap_effect or permutation_test, or cap the largest values"
    return Check(
        name="sample size",
        passed=passed,
        statistic=skewness,
        message=f"skewness {format_number(skewness)} needs {need:,} people per arm, and arm {least!r} has "
        f"{counts[least]:,}{advice}",
    )


def outliers(
    values: npt.ArrayLike, arms: Assignment | npt.ArrayLike, *, share: float = 0.001, tolerated: float = 0.1
) -> Check:
    """Check how much of the total belongs to the people with the largest values.

    Parameters
    ----------
    values : array_like, shape (n,)
        The outcome of each person, 0 or more.
    arms : Assignment or array_like, shape (n,)
        The arm of each person.
    share : float
        The share of people with the largest values.
    tolerated : float
        The share of the total that they may have.

    Examples
    --------
    >>> outliers([1.0] * 999 + [1_000.0], ["a", "b"] * 500).passed
    False
    """
    names, codes = arm_codes(arms)
    x = checks.numbers("values", values, length=len(codes), low=0.0)
    checks.fraction("share", share)
    inside = np.flatnonzero(codes >= 0)
    total = float(x[inside].sum())
    if total == 0:
        return Check(name="outliers", passed=True, message="the outcome is zero for everybody")
    top = max(math.ceil(share * len(inside)), 1)
    largest = inside[np.argpartition(-x[inside], top - 1)[:top]]
    held = float(x[largest].sum()) / total
    where = np.bincount(codes[largest], minlength=len(names))
    passed = held <= tolerated
    split = ", ".join(f"{name} {int(n)}" for name, n in zip(names, where, strict=True))
    advice = "" if passed else ". Look at these people, and report the effect with capped values as well"
    return Check(
        name="outliers",
        passed=passed,
        statistic=held,
        message=f"the largest {top:,} of {len(inside):,} values make {held:.1%} of the total ({split}){advice}",
    )


def peeking(looks: int, *, level: float = 0.95) -> Check:
    """Check how reading a fixed-sample test several times raises its error.

    Parameters
    ----------
    looks : int
        How many times the test was read while it could be stopped.
    level : float
        The confidence level that was used at each look.

    Examples
    --------
    >>> peeking(10)
    Check(peeking: FAILED, 10 looks at 95 % find an effect that is not there in 19.3 % of tests, instead of 5 %. Use \
ConfidenceSequence or alpha_spending)
    """
    error = peeking_error(looks, level=level)
    if looks == 1:
        return Check(name="peeking", passed=True, statistic=error, message="one look, as the interval assumes")
    return Check(
        name="peeking",
        passed=False,
        statistic=error,
        message=f"{looks} looks at {100 * level:g} % find an effect that is not there in {100 * error:.1f} % of tests, "
        f"instead of {100 * (1 - level):g} %. Use ConfidenceSequence or alpha_spending",
    )


def needs_rows(data: Any, what: str) -> None:
    """Raise if the caller gave Moments where every row is needed."""
    if isinstance(data, Moments):
        raise InputError(
            f"{what} needs the rows, and Moments keep only count, mean and covariance.",
            argument="data",
            code="missing_argument",
            hint="Give the columns, and the arm of each row.",
        )
