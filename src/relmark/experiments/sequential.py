"""Looking before the end: intervals that hold at every look, and bounds for looks that were planned.

A test that is read every day at 95 % finds an effect that is not there far more often than once in twenty. Two ways
out: a confidence sequence, which may be read at any time, and alpha spending, which divides the error among planned
looks and costs less width at the last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.experiments import _validators

__all__ = ["ConfidenceSequence", "SpendingPlan", "alpha_spending", "peeking_error"]

FloatArray = npt.NDArray[np.float64]

SPENDING = ("obrien-fleming", "pocock")


@attrs.frozen(kw_only=True)
class ConfidenceSequence:
    """Asymptotic confidence sequences: intervals that hold at all looks together.

    Give it to `analyze` as `sequence=`. The interval is as narrow as it can be when `expected` people are in the
    test, and wider than a fixed-sample one (by about half) everywhere.

    Parameters
    ----------
    expected : float
        The number of people, all arms together, at which the interval should be tightest; chosen before the data.

    Notes
    -----
    With n people and a standard error se, the interval is d +- se * sqrt((1 + 1 / (n rho^2)) log((n rho^2 + 1) /
    alpha^2)); rho^2 = (-2 log alpha + log(1 - 2 log alpha)) / expected.

    References
    ----------
    I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas (2024), Annals of Statistics 52, 2613-2640:
    theorem 2.2 and its appendix B.2 for rho.

    Examples
    --------
    >>> import numpy as np
    >>> s = ConfidenceSequence(expected=10_000)
    >>> s.critical(np.array([.05, .05]), np.array([1_000.0, 10_000.0])).round(3).tolist()
    [3.855, 3.035]
    """

    expected: float = attrs.field(validator=_validators.positive)
    tuned_at: float = attrs.field(default=0.05, validator=_validators.share)

    @property
    def name(self) -> str:
        """The method's name in results."""
        return "confidence sequence"

    @property
    def rho2(self) -> float:
        """The tuning constant rho^2."""
        log = -2 * math.log(self.tuned_at)
        return (log + math.log(1 + log)) / self.expected

    def critical(self, alpha: FloatArray, n: FloatArray) -> FloatArray:
        """Return how many standard errors the interval reaches, shape of `n`."""
        m = np.asarray(n, dtype=np.float64) * self.rho2
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt((1 + 1 / m) * np.log((m + 1) / np.asarray(alpha) ** 2)))

    def p_value(self, z: FloatArray, n: FloatArray) -> FloatArray:
        """Return the p-value that holds at any look: the smallest alpha whose interval excludes zero."""
        m = np.asarray(n, dtype=np.float64) * self.rho2
        return np.asarray(np.minimum(np.sqrt(m + 1) * np.exp(-0.5 * z * z * m / (m + 1)), 1.0))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpendingPlan(ColumnarResult):
    """Bounds of a test with planned looks: one row a look.

    Attributes
    ----------
    information : ndarray of float64, shape (k,)
        The share of all people that has been seen at each look.
    bound : ndarray of float64, shape (k,)
        Stop for an effect where the absolute z statistic is above it.
    spent : ndarray of float64, shape (k,)
        The error, a side, spent up to and including the look.
    alpha : ndarray of float64, shape (k,)
        The two-sided p-value that the bound amounts to: the level of an interval at that look is 1 - alpha.
    alpha_per_side : float
        The error a side over all looks.
    spending : str
        The spending function.
    """

    information: FloatArray
    bound: FloatArray
    spent: FloatArray
    alpha: FloatArray
    alpha_per_side: float
    spending: str

    def level(self, look: int) -> float:
        """Return the level for `analyze` at a look, counted from 1."""
        checks.whole("look", look, low=1, high=len(self.bound))
        return 1 - float(self.alpha[look - 1])


def alpha_spending(
    information: int | Sequence[float], *, alpha_per_side: float = 0.025, spending: str = "obrien-fleming"
) -> SpendingPlan:
    """Return the bounds of a test that is looked at a planned number of times.

    Parameters
    ----------
    information : int or sequence of float
        How many looks, equally far apart; or the share of all people at each look, ascending to 1.
    alpha_per_side : float
        The error allowed on each side over all looks: .025 for a two-sided test at 5 %.
    spending : {"obrien-fleming", "pocock"}
        How the error is spent: hardly any at first, or evenly.

    Returns
    -------
    SpendingPlan

    Notes
    -----
    Lan and DeMets' spending functions of the information t, per side: 2 - 2 Phi(z_{alpha/2} / sqrt t), and alpha
    log(1 + (e - 1) t). Bounds come one after another by integrating the density of the z statistics that have not
    crossed either bound yet (Armitage, McPherson and Rowe 1969), by Gauss-Legendre's rule.

    References
    ----------
    K. K. G. Lan and D. L. DeMets (1983), Biometrika 70, 659-663.

    Examples
    --------
    >>> alpha_spending(5).bound.round(6).tolist()
    [4.876885, 3.357012, 2.68028, 2.289817, 2.031032]
    """
    checks.number("alpha_per_side", alpha_per_side, above=0.0, below=0.5)
    checks.one_of("spending", spending, SPENDING)
    if isinstance(information, int):
        looks = checks.whole("information", information, low=1, high=100)
        t = np.arange(1, looks + 1) / looks
    else:
        t = checks.numbers("information", list(information), above=0.0, high=1.0)
        if len(t) == 0 or (np.diff(t) <= 0).any() or abs(t[-1] - 1) > 1e-12:
            raise InputError(f"information is {t.tolist()}: shares that ascend to 1 are needed, such as [.25, .5, 1].")
    if spending == "obrien-fleming":
        spent = 2 * ndtr(ndtri(alpha_per_side / 2) / np.sqrt(t))
    else:
        spent = alpha_per_side * np.log1p((math.e - 1) * t)
    bound = _bounds(t, spent)
    return SpendingPlan(
        information=t,
        bound=bound,
        spent=spent,
        alpha=2 * ndtr(-bound),
        alpha_per_side=alpha_per_side,
        spending=spending,
    )


@lru_cache(maxsize=1)
def _rule() -> tuple[FloatArray, FloatArray]:
    """Return Gauss and Legendre's nodes and weights on [-1, 1]; finding them takes too long for an import."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    return nodes, weights


def _bounds(t: FloatArray, spent: FloatArray) -> FloatArray:
    """Return the z bound of each look: both sides are bounded, and each side spends what it may."""
    bound = np.empty(len(t))
    gauss, weights = _rule()
    step = np.diff(spent, prepend=0.0)
    grid = density = np.empty(0)
    for look, alpha in enumerate(step):
        if look == 0:
            bound[0] = -ndtri(alpha)
        else:
            bound[look] = _solve(alpha, t[look - 1], t[look], grid, density)
        # The density of the B value (z sqrt t) among tests that have not stopped, at the nodes within the bounds.
        edge = bound[look] * math.sqrt(t[look])
        nodes = edge * gauss
        if look == 0:
            at = np.exp(-(nodes**2) / (2 * t[0])) / math.sqrt(2 * math.pi * t[0])
        else:
            sd = math.sqrt(t[look] - t[look - 1])
            steps = (nodes[:, None] - grid[None, :]) / sd
            at = (np.exp(-0.5 * steps**2) / (sd * math.sqrt(2 * math.pi))) @ density
        grid, density = nodes, at * edge * weights
    return bound


def _solve(alpha: float, before: float, now: float, grid: FloatArray, density: FloatArray) -> float:
    """Return the bound whose upper side is crossed first at this look with chance alpha."""
    sd = math.sqrt(now - before)
    low, high = 0.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        crossing = float(ndtr((grid - middle * math.sqrt(now)) / sd) @ density)
        low, high = (middle, high) if crossing > alpha else (low, middle)
    return (low + high) / 2


def peeking_error(looks: int, *, level: float = 0.95) -> float:
    """Return how often a test without any effect looks significant at one of some equally spaced looks.

    Parameters
    ----------
    looks : int
        How many times the test is read, and would be stopped, at the same level.
    level : float
        The confidence that each look claims.

    References
    ----------
    P. Armitage, C. K. McPherson and B. C. Rowe (1969), Journal of the Royal Statistical Society A 132, 235-244:
    table 2.

    Examples
    --------
    >>> [round(peeking_error(n), 3) for n in (1, 2, 5, 10)]
    [0.05, 0.083, 0.142, 0.193]
    """
    n = checks.whole("looks", looks, low=1, high=1_000)
    z = float(-ndtri((1 - checks.fraction("level", level)) / 2))
    t = np.arange(1, n + 1) / n
    gauss, weights = _rule()
    grid = density = np.empty(0)
    for look in range(n):
        nodes = z * math.sqrt(t[look]) * gauss
        if look == 0:
            at = np.exp(-(nodes**2) / (2 * t[0])) / math.sqrt(2 * math.pi * t[0])
        else:
            sd = math.sqrt(t[look] - t[look - 1])
            at = (np.exp(-0.5 * ((nodes[:, None] - grid[None, :]) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))) @ density
        grid, density = nodes, at * z * math.sqrt(t[look]) * weights
    return float(1 - density.sum())
