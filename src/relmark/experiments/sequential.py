"""Looking before the end: intervals that hold at every look, and bounds for planned looks.

A test that is read every day at 95 % finds an effect that is not there far more often than once in twenty. There are
two solutions: a confidence sequence, which may be read at any time, and alpha spending, which divides the error among
planned looks and makes the last interval less wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Self

import attrs
import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from relmark.core import checks, shapes
from relmark.core.checks import FloatArray
from relmark.core.documents import Definition, Limits, built, check_keys
from relmark.core.errors import InputError
from relmark.core.frozen import owned
from relmark.core.results import ColumnarResult
from relmark.core.shapes import Shape
from relmark.experiments import _validators

__all__ = ["ConfidenceSequence", "SpendingPlan", "alpha_spending", "constant_bounds", "peeking_error"]


SPENDING = ("obrien-fleming", "pocock")


@attrs.frozen(kw_only=True)
class ConfidenceSequence(Definition):
    """Asymptotic confidence sequences: intervals that hold at all looks together.

    Give it to `analyze` or `Experiment.read` as `level=`. The interval is narrowest when `expected` people are in the
    test, and always wider than a fixed-sample interval (by about half).

    Parameters
    ----------
    expected : float
        The number of people, all arms together, at which the interval should be narrowest; choose it before the data.
    level : float
        The confidence level of all intervals together.
    tuned_at : float
        The error, 1 - level, for which the interval is narrowest.

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

    kind: ClassVar[str] = "confidence_sequence"

    expected: float = attrs.field(validator=_validators.positive)
    level: float = attrs.field(default=0.95, validator=_validators.share)
    tuned_at: float = attrs.field(default=0.05, validator=_validators.share)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:  # noqa: ARG003
        share = shapes.number(above=0.0, below=1.0)
        return {"expected": shapes.number(above=0.0), "level": share, "tuned_at": share}, ("expected",)

    def _body(self) -> dict[str, Any]:
        return {"expected": self.expected, "level": self.level, "tuned_at": self.tuned_at}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("expected",), optional=("level", "tuned_at"), what=cls.kind)
        return built(cls, body)

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
        """Return how many standard errors the interval reaches, in the shape of `n`."""
        m = np.asarray(n, dtype=np.float64) * self.rho2
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt((1 + 1 / m) * np.log((m + 1) / np.asarray(alpha) ** 2)))

    def p_value(self, z: FloatArray, n: FloatArray) -> FloatArray:
        """Return the p-value that holds at any look: the smallest alpha whose interval excludes zero."""
        m = np.asarray(n, dtype=np.float64) * self.rho2
        return np.asarray(np.minimum(np.sqrt(m + 1) * np.exp(-0.5 * z * z * m / (m + 1)), 1.0))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SpendingPlan(ColumnarResult):
    """Bounds of a test with planned looks: one row per look.

    Attributes
    ----------
    information : ndarray of float64, shape (k,)
        The share of all people that has been seen at each look.
    bound : ndarray of float64, shape (k,)
        Stop for an effect if the absolute z statistic is above this.
    spent : ndarray of float64, shape (k,)
        The error per side that is spent up to and including the look.
    alpha : ndarray of float64, shape (k,)
        The two-sided p-value that corresponds to the bound: the level of an interval at that look is 1 - alpha.
    alpha_per_side : float
        The error per side over all looks.
    spending : str
        The spending function.
    """

    information: FloatArray = attrs.field(converter=owned)
    bound: FloatArray = attrs.field(converter=owned)
    spent: FloatArray = attrs.field(converter=owned)
    alpha: FloatArray = attrs.field(converter=owned)
    alpha_per_side: float
    spending: str

    def level(self, look: int) -> float:
        """Return the level for `analyze` at a look, counted from 1.

        A bound whose error is negligible compared with 1 gets the largest level below 1.
        """
        checks.whole("look", look, low=1, high=len(self.bound))
        return min(1 - float(self.alpha[look - 1]), _MOST_SURE)


def alpha_spending(
    information: int | Sequence[float],
    *,
    alpha_per_side: float = 0.025,
    spending: str = "obrien-fleming",
    sides: int = 2,
) -> SpendingPlan:
    """Return the bounds for a planned number of looks at a test, by a function that spends its error.

    Parameters
    ----------
    information : int or sequence of float
        The number of equally spaced looks, or the share of all people at each look, ascending to 1.
    alpha_per_side : float
        The error allowed on each side over all looks: .025 for a two-sided test at 5 %.
    spending : {"obrien-fleming", "pocock"}
        O'Brien and Fleming's function spends little at first and leaves nearly everything for the last look; Pocock's
        spends evenly.
    sides : {2, 1}
        Whether the test may stop for an effect on either side, or only on the upper side.

    References
    ----------
    K. K. G. Lan and D. L. DeMets (1983), Biometrika 70, 659-663. P. Armitage, C. K. McPherson and B. C. Rowe (1969),
    Journal of the Royal Statistical Society A 132, 235-244, for the recursion.

    Examples
    --------
    >>> alpha_spending(5).bound.round(4).tolist()
    [4.8769, 3.357, 2.6803, 2.2898, 2.031]
    >>> alpha_spending([.003, 1]).bound.round(2).tolist()
    [40.91, 1.96]
    """
    t = _looks(information)
    alpha = checks.number("alpha_per_side", alpha_per_side, above=0.0, below=0.5)
    checks.one_of("spending", spending, SPENDING)
    checks.whole("sides", sides, low=1, high=2)
    if spending == "obrien-fleming":
        log_spent = math.log(2) + log_ndtr(ndtri(alpha / 2) / np.sqrt(t))
    else:
        log_spent = math.log(alpha) + np.log(np.log1p((math.e - 1) * t))
    # What is spent at each look, in logarithms, because the error of early looks may underflow a double.
    before = np.concatenate(([-np.inf], log_spent[:-1]))
    with np.errstate(divide="ignore"):
        step = log_spent + np.log(-np.expm1(np.minimum(before - log_spent, 0.0)))
    walk = _Walk(t, two_sided=sides == 2)
    bound = np.array([walk.take(walk.bound_that_spends(float(log_alpha))) for log_alpha in step])
    return _plan(t, bound, np.exp(log_spent), alpha, spending)


def constant_bounds(
    information: int | Sequence[float],
    *,
    alpha_per_side: float = 0.025,
    shape: str = "pocock",
    sides: int = 2,
) -> SpendingPlan:
    """Return the classical bounds for a planned number of looks at a test.

    Parameters
    ----------
    information, alpha_per_side, sides
        As for `alpha_spending`.
    shape : {"pocock", "obrien-fleming"}
        Pocock's bound is the same at each look; O'Brien and Fleming's falls with the root of the information.

    References
    ----------
    S. J. Pocock (1977), Biometrika 64, 191-199: table 1. P. C. O'Brien and T. R. Fleming (1979), Biometrics 35,
    549-556.

    Examples
    --------
    >>> constant_bounds(5).bound.round(3).tolist()
    [2.413, 2.413, 2.413, 2.413, 2.413]
    >>> constant_bounds(5, shape="obrien-fleming").bound.round(3).tolist()
    [4.562, 3.226, 2.634, 2.281, 2.04]
    """
    t = _looks(information)
    alpha = checks.number("alpha_per_side", alpha_per_side, above=0.0, below=0.5)
    checks.one_of("shape", shape, SPENDING)
    checks.whole("sides", sides, low=1, high=2)
    form = np.ones(len(t)) if shape == "pocock" else 1 / np.sqrt(t)

    def spent(last: float) -> FloatArray:
        walk = _Walk(t, two_sided=sides == 2)
        each = []
        for z in last * form:
            each.append(math.exp(walk.log_crossing(float(z))))
            walk.take(float(z))
        return np.cumsum(each)

    low, high = 0.0, float(-ndtri(alpha / len(t))) + 1e-6  # Bonferroni's bound is on the safe side
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle)[-1] > alpha else (low, middle)
    last = (low + high) / 2
    return _plan(t, last * form, spent(last), alpha, f"constant, {shape}")


def _looks(information: int | Sequence[float]) -> FloatArray:
    if np.ndim(information) == 0:
        k = checks.whole("information", information, low=1, high=1_000)
        return np.arange(1, k + 1) / k
    t = checks.numbers("information", information, above=0.0, high=1.0)
    if len(t) == 0 or (np.diff(t) <= 0).any() or abs(t[-1] - 1) > 1e-12:
        raise InputError(
            f"information is {t.tolist()}: shares that rise to 1 are needed, such as [.25, .5, 1].",
            argument="information",
            code="wrong_value",
        )
    return t


def _plan(t: FloatArray, bound: FloatArray, spent: FloatArray, alpha_per_side: float, name: str) -> SpendingPlan:
    return SpendingPlan(
        information=t,
        bound=bound,
        spent=spent,
        alpha=2 * ndtr(-bound),
        alpha_per_side=alpha_per_side,
        spending=name,
    )


@lru_cache(maxsize=64)
def _rule(n: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss and Legendre's nodes and weights on [-1, 1]; finding them takes too long for an import."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    return nodes, weights


_MOST_SURE = math.nextafter(1.0, 0.0)
_FARTHEST = 40.0  # standard deviations of the B value beyond which its density underflows a double
_MOST_NODES = 3_000


class _Walk:
    """The B value (z sqrt t) of tests that have not stopped: its density after each look, in logarithms."""

    def __init__(self, t: FloatArray, *, two_sided: bool) -> None:
        self.t = t
        self.two_sided = two_sided
        self.look = 0
        self.nodes = np.zeros(1)
        self.log_mass = np.zeros(1)  # of density times weight; before the first look, all of it at zero

    @property
    def _sd(self) -> float:
        return math.sqrt(self.t[self.look] - (self.t[self.look - 1] if self.look else 0.0))

    def log_crossing(self, z: float) -> float:
        """Return the logarithm of the chance that the upper bound z is first exceeded at this look."""
        return _log_sum(log_ndtr((self.nodes - z * math.sqrt(self.t[self.look])) / self._sd) + self.log_mass)

    def bound_that_spends(self, log_alpha: float) -> float:
        """Return the bound that is first exceeded at this look with the chance exp(log_alpha)."""
        if log_alpha == -math.inf:
            return math.inf
        low, high = 0.0, 8.0
        while self.log_crossing(high) > log_alpha:
            low, high = high, 2 * high
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if self.log_crossing(middle) > log_alpha else (low, middle)
        return (low + high) / 2

    def take(self, z: float) -> float:
        """Go on to the next look with the tests that are within the bound, and return the bound."""
        now, sd = self.t[self.look], self._sd
        high = min(z, _FARTHEST) * math.sqrt(now)
        low = -high if self.two_sided else -_FARTHEST * math.sqrt(now)
        after = self.t[self.look + 1] if self.look + 1 < len(self.t) else 2 * now
        # Kernels are as narrow as this look's step and the next one: place several nodes in each.
        finest = min(sd, math.sqrt(after - now))
        n = min(max(int(3 * (high - low) / finest), 200), _MOST_NODES)
        gauss, weights = _rule(n if n < 256 else -(-n // 256) * 256)
        nodes = (low + high) / 2 + (high - low) / 2 * gauss
        steps = -0.5 * ((nodes[:, None] - self.nodes[None, :]) / sd) ** 2 + self.log_mass[None, :]
        most = steps.max(axis=1)
        with np.errstate(divide="ignore"):
            log_density = most + np.log(np.exp(steps - most[:, None]).sum(axis=1))
        self.log_mass = log_density - math.log(sd * math.sqrt(2 * math.pi)) + np.log(weights * (high - low) / 2)
        self.nodes = nodes
        self.look += 1
        return z


def _log_sum(logs: FloatArray) -> float:
    most = float(logs.max())
    return most if math.isinf(most) else most + math.log(float(np.exp(logs - most).sum()))


def peeking_error(looks: int, *, level: float = 0.95) -> float:
    """Return how often a test without any effect is significant at one or more of some equally spaced looks.

    Parameters
    ----------
    looks : int
        How many times the test is read, and would be stopped, at the same level.
    level : float
        The confidence level that is used at each look.

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
    walk = _Walk(np.arange(1, n + 1) / n, two_sided=True)
    for _ in range(n):
        walk.take(z)
    return 1 - math.exp(_log_sum(walk.log_mass))
