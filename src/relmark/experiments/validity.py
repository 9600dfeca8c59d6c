"""Is the test sound? Checks to make before reading any effect.

Each returns a `Check`: what was checked, whether it passed, and what to do if it did not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammaln

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.formats import format_number
from relmark.core.results import Result

__all__ = ["Check", "sample_ratio_test"]

_MOST_OUTCOMES = 500_000
_SMALL = 5.0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Check(Result):
    """One check of whether a test is sound.

    Attributes
    ----------
    name : str
        What was checked.
    passed : bool
        Whether it is as it should be.
    statistic, p_value : float
        The figures behind the result; NaN if the check has none.
    message : str
        What was found, and what to do.
    """

    name: str
    passed: bool
    statistic: float = math.nan
    p_value: float = math.nan
    message: str = ""

    def __repr__(self) -> str:
        return f"Check({self.name}: {'passed' if self.passed else 'FAILED'}, {self.message})"

    def _caption(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.name}: {'passed' if self.passed else 'FAILED'}. {self.message}"


def sample_ratio_test(counts: Mapping[str, int], shares: Mapping[str, float], *, alpha: float = 0.001) -> Check:
    """Test whether the arms have the planned sizes.

    A sample ratio mismatch means that more people got lost in one arm than in another. Then no effect of the test can
    be trusted, however significant.

    Parameters
    ----------
    counts : mapping of str to int
        The number of people found in each arm.
    shares : mapping of str to float
        The planned shares, which sum to 1.
    alpha : float
        The p-value below which the check fails; small, because it is run on every test.

    Returns
    -------
    Check
        The check, with the chi-squared statistic over all arms and its p-value, which is exact (multinomial) if an
        expected count is below 5 and the outcomes can be enumerated.

    References
    ----------
    R. Kohavi, D. Tang and Y. Xu (2020), Trustworthy Online Controlled Experiments, chapter 21.

    Examples
    --------
    >>> check = sample_ratio_test({"a": 821588, "b": 815482}, {"a": .5, "b": .5})
    >>> check.passed, round(check.p_value, 10)
    (False, 1.8218e-06)
    """
    given: tuple[Any, ...] = (counts, shares)
    if not all(isinstance(one, Mapping) for one in given):
        raise InputError(
            "counts and shares must be mappings by arm, such as {'control': 500, 'mail': 500} and "
            "{'control': .5, 'mail': .5}.",
            argument="counts",
            code="wrong_type",
        )
    if set(counts) != set(shares):
        raise InputError(
            f"counts have arms {', '.join(map(repr, counts))} and shares {', '.join(map(repr, shares))}: "
            "both need the same arms (0 for an arm that nobody is in).",
            argument="counts",
            code="conflicting_arguments",
        )
    observed = np.array([checks.whole(f"counts[{arm!r}]", counts[arm], low=0) for arm in counts], dtype=np.float64)
    planned = np.array([checks.number(f"shares[{arm!r}]", shares[arm], above=0.0) for arm in counts])
    if abs(planned.sum() - 1) > 1e-9:
        raise InputError(f"shares sum to {planned.sum():g}: they must sum to 1.", argument="shares", code="wrong_value")
    checks.fraction("alpha", alpha)
    n = observed.sum()
    if n == 0:
        return Check(name="sample ratio", passed=True, message="nobody is in the test yet")
    expected = n * planned
    statistic = float(((observed - expected) ** 2 / expected).sum())
    exact = float(expected.min()) < _SMALL and _outcomes(int(n), len(planned)) <= _MOST_OUTCOMES
    p = _exact_p(observed, planned) if exact else float(chdtrc(len(planned) - 1, statistic))
    passed = bool(p >= alpha)
    found = ", ".join(
        f"{arm} {int(k):,} of {format_number(e)} expected" for arm, k, e in zip(counts, observed, expected, strict=True)
    )
    advice = "" if passed else ". People got lost in one of the arms: find out where before reading any effect"
    return Check(
        name="sample ratio",
        passed=passed,
        statistic=statistic,
        p_value=p,
        message=f"{found}; p {format_number(p)}{' (exact)' if exact else ''}{advice}",
    )


def _outcomes(n: int, arms: int) -> int:
    return math.comb(n + arms - 1, arms - 1)


def _exact_p(observed: npt.NDArray[np.float64], planned: npt.NDArray[np.float64]) -> float:
    """Return the chance of an outcome that is at most as likely as the one observed."""
    n, arms = int(observed.sum()), len(planned)
    if arms == 2:
        first = np.arange(n + 1.0)
        table = np.stack([first, n - first], axis=1)
    else:
        # Stars and bars: the cuts between arms.
        total = _outcomes(n, arms)
        flat = itertools.chain.from_iterable(itertools.combinations(range(n + arms - 1), arms - 1))
        cuts = np.fromiter(flat, dtype=np.int64, count=total * (arms - 1)).reshape(total, arms - 1)
        ends = np.concatenate([np.full((total, 1), -1), cuts, np.full((total, 1), n + arms - 1)], axis=1)
        table = np.diff(ends, axis=1) - 1.0
    logs = gammaln(n + 1) - gammaln(table + 1).sum(axis=1) + table @ np.log(planned)
    here = gammaln(n + 1) - gammaln(observed + 1).sum() + observed @ np.log(planned)
    return float(min(np.exp(logs[logs <= here + 1e-9 * max(abs(here), 1.0)]).sum(), 1.0))
