"""What sending to only some people would be worth, estimated from a randomized test."""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.experiments import _means
from relmark.experiments.uplift import ranked_inputs

__all__ = ["PolicyValue", "policy_value", "value_of_policy"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PolicyValue(Result):
    """What sending to some people is worth, estimated from a randomized test.

    Attributes
    ----------
    targeted : float
        The share of people to whom the policy sends.
    value : Estimate
        The outcome per person under the policy, minus the cost of sending.
    over_nobody, over_everybody : Estimate
        How much better this is than sending to nobody, and than sending to everybody.
    """

    targeted: float
    value: Estimate
    over_nobody: Estimate
    over_everybody: Estimate


def policy_value(
    target: npt.ArrayLike,
    outcome: npt.ArrayLike,
    treated: npt.ArrayLike,
    *,
    propensity: float | npt.ArrayLike | None = None,
    cost: float | npt.ArrayLike = 0.0,
    level: float = 0.95,
) -> PolicyValue:
    """Return the value of sending to only some people.

    Parameters
    ----------
    target : array_like of bool, shape (n,)
        To whom the policy would send, decided without the outcome of this test.
    outcome : array_like, shape (n,)
        The outcome of each person, in money if cost is in money.
    treated : array_like of bool, shape (n,)
        To whom the test sent.
    propensity : float or array_like, shape (n,), optional
        The chance with which the test sent to each person; by default the share of treated people.
    cost : float or array_like, shape (n,)
        The cost of sending, one for all or one per person: a discount costs more for those who buy more.
    level : float
        The confidence level of the intervals.

    Notes
    -----
    The weights are Horvitz and Thompson's, normalized (Hajek): the mean outcome of sending is sum(t y / e) /
    sum(t / e), and similarly for not sending, among the targeted and among the others. Standard errors are those of the
    linearized ratios.

    References
    ----------
    D. G. Horvitz and D. J. Thompson (1952), Journal of the American Statistical Association 47, 663-685.

    Examples
    --------
    >>> v = policy_value([1, 1, 0, 0] * 25, [5, 1, 2, 2] * 25, [1, 0] * 50, cost=1.0)
    >>> v.value.value, v.over_nobody.value, v.over_everybody.value
    (3.0, 1.5, 0.5)
    """
    flags, y, t = ranked_inputs(target, outcome, treated, ("target", "treated"))
    checks.refuse_rows("target", (flags != 0) & (flags != 1), flags, "True or False, or 1 or 0, is needed")
    sends = flags == 1
    price = checks.numbers("cost", cost)
    price = np.full(len(y), price[0]) if np.ndim(cost) == 0 else price
    checks.same_length("cost", price, len(y))
    e = (
        np.full(len(y), t.mean())
        if propensity is None
        else np.broadcast_to(checks.numbers("propensity", propensity), y.shape)
    )
    checks.refuse_rows("propensity", (e <= 0) | (e >= 1), e, "a chance between 0 and 1, without the ends, is needed")
    spent = np.stack([np.zeros(len(y)), price])
    return value_of_policy(
        sends.astype(np.int64), y, t.astype(np.int64), spent, level=level, chance=np.stack([1 - e, e])
    )


def value_of_policy(
    chosen: IntArray,
    outcome: FloatArray,
    arms: IntArray,
    spent: FloatArray,
    *,
    level: float,
    chance: FloatArray | None = None,
) -> PolicyValue:
    """Return the value of a policy over several arms, where arm 0 is to send nothing.

    Parameters
    ----------
    chosen, arms : ndarray of int64, shape (n,)
        What the policy sends to each person, and what the test sent.
    outcome : ndarray of float64, shape (n,)
        The outcome, in money.
    spent : ndarray of float64, shape (arms, n)
        What sending costs; 0 for arm 0.
    level : float
        The confidence level.
    chance : ndarray of float64, shape (arms, n), optional
        The chance with which the test sent each arm; by default the arms' shares.

    Notes
    -----
    "Everybody" gets the one arm that is best on average.
    """
    n, k = len(outcome), len(spent)
    z = float(_means.t_quantile(np.array([1 - checks.fraction("level", level)]), np.array([np.inf]))[0])
    if chance is None:
        chance = np.broadcast_to((np.bincount(arms, minlength=k) / n)[:, None], (k, n))
    mean, influence, empty = _worth(outcome, arms, chance, chosen, spent)
    alike = [_worth(outcome, arms, chance, np.full(n, arm), spent) for arm in range(k)]
    best = max(alike[1:], key=lambda one: one[0])

    def estimate(value: float, influence: FloatArray) -> Estimate:
        if empty:
            return Estimate(math.nan, None, empty)
        half = z * float(influence.std(ddof=1)) / math.sqrt(n)
        return Estimate(value, Interval(value - half, value + half, level, "inverse propensity"))

    return PolicyValue(
        targeted=float((chosen > 0).mean()),
        value=estimate(mean, influence),
        over_nobody=estimate(mean - alike[0][0], influence - alike[0][1]),
        over_everybody=estimate(mean - best[0], influence - best[1]),
    )


def _worth(
    y: FloatArray, arms: IntArray, chance: FloatArray, chosen: IntArray, spent: FloatArray
) -> tuple[float, FloatArray, str]:
    """Return the value of a policy per person, each person's influence on it, and the reason if there is none.

    The cost of sending is known for everyone, whether or not the test sent to them, so it needs no weights.
    """
    value, influence = 0.0, np.zeros(len(y))
    for arm in range(len(spent))[::-1]:
        group = chosen == arm
        if not group.any():
            continue
        seen = group & (arms == arm)
        if not seen.any():
            words = ("targeted", "sent to") if arm else ("not targeted", "left out")
            return math.nan, influence, f"the test has no person who is {words[0]} and was {words[1]}"
        w = np.where(seen, 1 / chance[arm], 0.0)
        mean = float((w @ y) / w.sum())
        share = float(group.mean())
        cost = np.where(group, spent[arm], 0.0)
        value += share * mean - float(cost.mean())
        # The ratio's linearization, the share's own, and what the group's people cost.
        influence += w * (y - mean) * (share * len(y) / w.sum()) + (group - share) * mean - (cost - cost.mean())
    return value, influence, ""
