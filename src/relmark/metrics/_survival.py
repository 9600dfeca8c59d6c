"""Censored waiting times: the Kaplan-Meier survival and the Aalen-Johansen incidence of competing outcomes.

A case that has not ended counts as at risk for as long as it was observed. At the same age, cases that ended come
before cases that were censored. Nothing is estimated beyond the last observed age, unless no case was left by then.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.checks import FloatArray, IntArray
from relmark.core.shares import wilson

__all__ = ["Incidence", "incidence"]

_LEAST = 1e-12  # survival below this is rounding: nobody is left


@attrs.frozen(eq=False)
class Incidence:
    """Curves over distinct ages, in ascending order.

    Parameters
    ----------
    age : ndarray of int64, shape (m,)
    at_risk : ndarray of float64, shape (m,)
        How many had neither ended nor been censored before each age.
    ends : ndarray of float64, shape (m, causes)
        How many ended at each age, by cause.
    survival : ndarray of float64, shape (m,)
        Kaplan and Meier (1958): the share that goes on after each age.
    of : ndarray of float64, shape (m, causes)
        Aalen and Johansen (1978): the share that has ended by each age, by cause.
    """

    age: IntArray
    at_risk: FloatArray
    ends: FloatArray
    survival: FloatArray
    of: FloatArray

    @property
    def last(self) -> int:
        """The last observed age; -1 if nothing was observed."""
        return int(self.age[-1]) if len(self.age) else -1

    def known(self, age: int) -> bool:
        """Return whether the curves are known at an age."""
        return len(self.age) > 0 and (age <= self.last or self.survival[-1] < _LEAST)

    def by(self, age: int, cause: int) -> float:
        """Return the share that has ended by an age from a cause; NaN beyond the last observed age."""
        if not self.known(age):
            return float("nan")
        place = int(np.searchsorted(self.age, age, side="right"))
        return float(self.of[place - 1, cause]) if place else 0.0

    def interval(self, age: int, cause: int, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of `by` from the delta method on the log(-log) scale.

        The variance is that of Marubini and Valsecchi (1995), equation 10.12. If the share is 0 or 1, it is Wilson's
        interval for the cases that had ended by then.
        """
        share = self.by(age, cause)
        if np.isnan(share):
            return float("nan"), float("nan")
        m = int(np.searchsorted(self.age, age, side="right"))
        n, d, f = self.at_risk[:m], self.ends[:m], self.of[:m, cause]
        z = float(ndtri(0.5 + level / 2))
        if not _LEAST < share < 1 - _LEAST:
            ended = float(d.sum())
            low, high = wilson(round(share) * ended, ended or np.nan, z)
            return (float(low), float(high)) if ended else (0.0, 1.0)
        before = np.concatenate([[1.0], self.survival[: m - 1]])
        total, own, left = d.sum(axis=1), d[:, cause], share - f
        going = np.where(n > total, n * (n - total), np.inf)  # where all end, nothing is left to come
        variance = float(
            (left**2 * total / going).sum()
            + (before**2 * (n - own) * own / n**3).sum()
            - 2 * (left * before * own / n**2).sum()
        )
        half = z * np.sqrt(max(variance, 0.0)) / (share * np.log(share))  # below 0
        return float(share ** np.exp(-half)), float(share ** np.exp(half))

    def quantile(self, share: float) -> float:
        """Return the age by which a share has ended from any cause; NaN if fewer have ended so far."""
        reached = np.flatnonzero(self.survival <= 1 - share + _LEAST)
        return float(self.age[reached[0]]) if len(reached) else float("nan")


def incidence(age: IntArray, cause: IntArray, causes: int, weight: FloatArray | None = None) -> Incidence:
    """Return the curves of the ages at which cases ended, or were censored (cause -1)."""
    values, place = np.unique(age, return_inverse=True)
    m = len(values)
    one = np.ones(len(age)) if weight is None else weight
    ended = cause >= 0
    hits = place[ended] * causes + cause[ended]
    ends = np.bincount(hits, weights=one[ended], minlength=m * causes).reshape(m, causes).astype(np.float64)
    gone = np.bincount(place, weights=one, minlength=m)
    at_risk = np.cumsum(gone[::-1])[::-1].astype(np.float64)
    survival, of = curves(at_risk, ends)
    return Incidence(values, at_risk, ends, survival, of)


def curves(at_risk: FloatArray, ends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return survival and incidence from those at risk, shape (..., m), and ends, shape (..., m, causes)."""
    total = ends.sum(axis=-1)
    some = np.maximum(at_risk, _LEAST)
    survival = np.cumprod(np.clip(1.0 - total / some, 0.0, 1.0), axis=-1)
    before = np.concatenate([np.ones((*survival.shape[:-1], 1)), survival[..., :-1]], axis=-1)
    of: npt.NDArray[np.float64] = np.cumsum((before / some)[..., None] * ends, axis=-2)
    return survival, of
