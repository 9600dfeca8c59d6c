"""A column of figures with their uncertainty: `Estimates` holds a value, an interval and a reason for each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from relmark.core.checks import FloatArray
from relmark.core.formats import format_number
from relmark.core.frozen import Frozen, read_only
from relmark.core.intervals import Estimate, Interval
from relmark.core.shares import wilson

__all__ = ["FEW", "Estimates", "Figure", "mean_estimates", "plain_estimates", "ratio", "ratio_estimates", "shares"]

FEW = 30
"""A figure whose denominator is smaller than this is reported as resting on few."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Estimates(Frozen):
    """Figures of several rows, each with its interval or the reason why it has none.

    ``estimates[k]`` is the `Estimate` of row k. `value`, `low` and `high` are columns.

    Parameters
    ----------
    value, low, high : ndarray of float64, shape (n,)
        The figures and the ends of their intervals, NaN where they are undefined.
    reason : tuple of str, length n
        Why a figure or its interval is undefined; empty where both are defined.
    level : float
        The confidence level, between 0 and 1.
    method : str
        How the intervals were computed.

    Examples
    --------
    >>> shares("openers", np.array([2, 0]), "delivered", np.array([10, 0]))[1]
    nan (delivered is 0)
    """

    value: FloatArray = attrs.field(converter=read_only)
    low: FloatArray = attrs.field(converter=read_only)
    high: FloatArray = attrs.field(converter=read_only)
    reason: tuple[str, ...]
    level: float = 0.95
    method: str = ""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.value)

    def __getitem__(self, row: int) -> Estimate:
        """Return the estimate of one row."""
        low, high = float(self.low[row]), float(self.high[row])
        interval = None if np.isnan(low) and np.isnan(high) else Interval(low, high, self.level, self.method)
        return Estimate(float(self.value[row]), interval, self.reason[row])

    def __iter__(self) -> Iterator[Estimate]:
        """Iterate over the estimates, row by row."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the figures without their intervals."""
        return np.array(self.value, dtype=dtype) if copy or dtype is not None else self.value

    def __repr__(self) -> str:
        figures = ", ".join(format_number(value) for value in self.value[:8])
        more = ", ..." if len(self) > 8 else ""
        return f"Estimates({len(self):,} rows: {figures}{more})"

    def to_dict(self) -> dict[str, Any]:
        """Return the estimates as JSON-ready values."""
        return {"estimates": [one.to_dict() for one in self]}

    def columns(self, name: str) -> dict[str, FloatArray]:
        """Return the figure and the ends of its interval as columns: name, name_low, name_high."""
        if np.isnan(self.low).all() and np.isnan(self.high).all():
            return {name: self.value}
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


Figure: TypeAlias = Estimate | Estimates
"""A figure with its interval: one of all, or one per row."""


def ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> FloatArray:
    """Return above / below, NaN where `below` is 0 or NaN."""
    a, b = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    out = np.full(a.shape, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        np.divide(a, b, out=out, where=b != 0)
    return out


def shares(
    what: str, part: npt.ArrayLike, of: str, whole: npt.ArrayLike, *, level: float = 0.95, unseen: str = ""
) -> Estimates:
    """Return shares with Wilson's (1927) interval; they are undefined where the denominator is 0.

    `unseen` is the reason to report where the denominator is NaN, that is, not known.
    """
    x, n = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    within = (n > 0) & (x <= n)
    z = ndtri(0.5 + level / 2)
    x = np.where(within, x, 0.0)
    low, high = wilson(x, np.where(within, n, np.nan), z)
    unknown = unseen or f"{of} is not known"
    reason = tuple(
        ""
        if good
        else unknown
        if np.isnan(count)
        else f"{of} is 0"
        if count == 0
        else f"there are more of {what!r} than of {of!r}: the two do not count the same people"
        for good, count in zip(within.tolist(), n.tolist(), strict=True)
    )
    return Estimates(value=ratio(x, np.where(within, n, 0)), low=low, high=high, reason=reason, level=level,
                     method="Wilson")  # fmt: skip


def plain_estimates(value: FloatArray, reason: tuple[str, ...]) -> Estimates:
    """Return figures without intervals."""
    none = np.full(len(value), np.nan)
    return Estimates(value=value, low=none, high=none, reason=reason, method="")


def mean_estimates(
    total: npt.ArrayLike, squares: npt.ArrayLike, n: npt.ArrayLike, of: str, *, level: float = 0.95
) -> Estimates:
    """Return means over n independent units with Student's interval, from sums and sums of squares."""
    s, q, k = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (total, squares, n))
    mean = ratio(s, k)
    with np.errstate(invalid="ignore", over="ignore"):
        spread = np.maximum(q - s * mean, 0.0)
        error = np.sqrt(ratio(spread, np.where(k > 1, (k - 1) * k, 0)))
        half = error * stdtrit(np.maximum(k - 1, 1), 0.5 + level / 2)
    # Several equal values have no spread from which to judge the mean; an interval of width 0 would promise certainty.
    half = np.where(spread > 0, half, np.nan)
    reason = tuple(
        f"{of} is 0" if count == 0 else ("" if ok else f"no interval: {of} is 1, or all values are equal")
        for count, ok in zip(k.tolist(), np.isfinite(half).tolist(), strict=True)
    )
    return Estimates(value=mean, low=mean - half, high=mean + half, reason=reason, level=level, method="Student")


def ratio_estimates(
    above: npt.ArrayLike, below: npt.ArrayLike, moments: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
    n: npt.ArrayLike, of: str, *, level: float = 0.95,
) -> Estimates:  # fmt: skip
    """Return ratios of two sums over n independent units with the delta method's interval.

    `moments` are the sums over units of a^2, a b and b^2. Variance of r = sum a / sum b: n / (n - 1) times the sum of
    (a - r b)^2, divided by (sum b)^2 (Cochran 1977, equation 6.9).
    """
    a, b, k = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in (above, below, n))
    aa, ab, bb = (np.atleast_1d(np.asarray(one, dtype=np.float64)) for one in moments)
    r = ratio(a, b)
    with np.errstate(invalid="ignore", over="ignore"):
        left = np.maximum(aa - 2 * r * ab + r * r * bb, 0.0)
        error = np.sqrt(ratio(left * ratio(k, np.where(k > 1, k - 1, 0)), b * b))
        half = np.where(left > 1e-9 * np.maximum(aa, 1e-300), error * ndtri(0.5 + level / 2), np.nan)
    reason = tuple(
        f"{of} is 0" if bottom == 0 else ("" if ok else "no interval: one unit, or no differences between units")
        for bottom, ok in zip(b.tolist(), np.isfinite(half).tolist(), strict=True)
    )
    return Estimates(value=r, low=r - half, high=r + half, reason=reason, level=level, method="delta")
