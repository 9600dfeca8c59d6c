"""Non-compliance: most people in an arm 'mail' never open the mail; find the effect on those whom it reached."""

from __future__ import annotations

import math

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.frames import Frame
from relmark.core.intervals import Estimate, Interval
from relmark.core.results import Result
from relmark.experiments import _means
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import two_arms
from relmark.experiments.moments import Moments

__all__ = ["ComplierEffect", "complier_effect"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ComplierEffect(Result):
    """The effect of a campaign on compliers: those who receive it because they are in its arm.

    Attributes
    ----------
    outcome, received, arm, control_arm : str
        The columns and arms that were compared.
    intention_to_treat : Estimate
        The effect of being in the arm, on everybody in it.
    compliance : Estimate
        How much more often people in the arm received the campaign than people in control.
    effect : Estimate
        The effect on compliers: `intention_to_treat` divided by `compliance`.
    p_value : float
        The p-value of no effect, which is the same for `intention_to_treat` and `effect`.
    notes : tuple of str
        What to keep in mind when reading the figures.
    """

    outcome: str
    received: str
    arm: str
    control_arm: str
    intention_to_treat: Estimate
    compliance: Estimate
    effect: Estimate
    p_value: float
    notes: tuple[str, ...] = ()


def complier_effect(
    data: Moments | Frame,
    arms: Assignment | npt.ArrayLike | str | None = None,
    *,
    outcome: str,
    received: str,
    arm: str | None = None,
    control: str | int | None = None,
    level: float = 0.95,
) -> ComplierEffect:
    """Return the effect on those who receive the campaign because they are in its arm.

    Comparing those who opened the mail with control would compare eager people with everybody. The ratio of two effects
    of the assignment does not: its effect on the outcome, divided by its effect on receiving.

    Parameters
    ----------
    data : mapping of str to array_like, or Moments
        One row per person.
    arms : Assignment, array_like, or str
        The arm of each row, or the column that has it; not given with Moments.
    outcome, received : str
        Columns: the outcome, and 1 where the campaign reached the person.
    arm, control : str, optional
        Which arm is compared with which. `arm` is required if there are several, `control` if no arm is called
        "control".
    level : float
        The confidence level of the intervals.

    Notes
    -----
    This is Wald's estimator (Imbens and Angrist 1994, theorem 1). It is valid if the assignment works only through
    receiving, and makes nobody refuse who would otherwise receive. The interval is Anderson and Rubin's, which holds
    even if few receive: the set of effects b for which outcome - b * received has equal means in both arms. It is
    unbounded where the arms may not differ in receiving.

    References
    ----------
    G. W. Imbens and J. D. Angrist (1994), Econometrica 62, 467-475. T. W. Anderson and H. Rubin (1949), Annals of
    Mathematical Statistics 20, 46-63.

    Examples
    --------
    >>> arm = ["control"] * 4 + ["mail"] * 4
    >>> c = complier_effect({"spend": [1.0, 2.0, 3.0, 2.0, 3.0, 6.0, 5.0, 2.0], "opened": [0, 0, 0, 0, 0, 1, 1, 0]},
    ...                     arm, outcome="spend", received="opened")
    >>> c.intention_to_treat.value, c.compliance.value, c.effect.value
    (2.0, 0.5, 4.0)
    """
    names = (outcome, received)
    moments = data if isinstance(data, Moments) else Moments.from_columns(data, arms, names=names)
    moments = moments.total()
    at0, at1 = two_arms(moments.arms, control, arm)
    alpha = np.array([1 - checks.fraction("level", level)])
    columns = [moments.position(name) for name in names]
    inner = np.ix_(columns, columns)
    n = [moments.count[a, 0] for a in (at0, at1)]
    mean = [moments.mean[a, 0, columns] for a in (at0, at1)]
    cov = [moments.covariance()[a, 0][inner] / max(k, 1) for a, k in zip((at0, at1), n, strict=True)]
    d = mean[1] - mean[0]
    v = cov[0] + cov[1]
    variance = [moments.covariance()[a, 0].diagonal()[columns] for a in (at0, at1)]
    welch = _means.welch(
        np.full(2, n[1]), mean[1], variance[1], np.full(2, n[0]), mean[0], variance[0]
    )  # the outcome, and receiving: each with its own degrees of freedom
    still = (variance[0] == 0) & (variance[1] == 0)
    df = welch.df[:1]
    critical = _means.t_quantile(alpha, df)
    few = "an arm has fewer than two people"
    with np.errstate(invalid="ignore"):
        lows, highs = _means.difference_interval(welch, np.repeat(alpha, 2))

    def estimate(k: int) -> Estimate:
        if min(n) < 2:
            return Estimate(math.nan, None, few)
        if still[k]:
            why = f"there is no variation in {names[k]!r} within either arm, so there is no standard error"
            return Estimate(float(d[k]), None, why)
        return Estimate(float(d[k]), Interval(float(lows[k]), float(highs[k]), level, "Welch"))

    # Fieller's set for the ratio of two correlated effects is Anderson and Rubin's.
    outcome_effect, received_effect = np.array([d[0]]), np.array([d[1]])
    variances = (np.array([v[0, 0]]), np.array([v[1, 1]]), np.array([v[0, 1]]))
    pair = _means.Pair(outcome_effect, received_effect, *variances, df)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high, unbounded = _means.fieller(pair, critical)
    reason, interval = "", None
    if min(n) < 2:
        reason = few
    elif d[1] == 0:
        reason = f"{received!r} is equally frequent in both arms, so there are no compliers"
    elif still[0]:
        reason = f"there is no variation in {outcome!r} within either arm, so there is no standard error"
    else:
        interval = Interval(float(low[0]) + 1, float(high[0]) + 1, level, "Anderson-Rubin")
        if unbounded[0]:
            reason = f"the arms may not differ in {received!r}, so the effect on compliers is unbounded"
    se = math.sqrt(welch.variance[0]) if min(n) > 1 and not still[0] else math.nan
    notes = ["this holds if the assignment acts only through " + repr(received)]
    if mean[0][1] > 0:
        notes.append(
            f"{mean[0][1]:.1%} of control received it too: the effect is that on people who receive it only in the arm"
        )
    return ComplierEffect(
        outcome=outcome,
        received=received,
        arm=moments.arms[at1],
        control_arm=moments.arms[at0],
        intention_to_treat=estimate(0),
        compliance=estimate(1),
        effect=Estimate(float(d[0] / d[1]) if d[1] and min(n) >= 2 else math.nan, interval, reason),
        p_value=float(_means.t_tail(np.array([d[0] / se]), df)[0]),
        notes=tuple(notes),
    )
