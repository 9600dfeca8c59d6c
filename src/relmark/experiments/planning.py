"""How many people a test needs, which effect it could detect, and how likely it is to find an effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Unpack

import attrs
import numpy as np
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from relmark.core import checks
from relmark.core.documents import settings
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.formats import format_number
from relmark.core.results import Result
from relmark.experiments import proportions
from relmark.experiments.design import Design, DesignArgs
from relmark.experiments.metrics import Metric, Proportion, check_metrics

__all__ = ["SampleSize", "detectable_effect", "power", "sample_size"]


_MOST = 1e12
_NORMAL_FROM = 5_000.0


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampleSize(Result):
    """The number of people that a test needs.

    Attributes
    ----------
    metric : str
        The name of the metric.
    total : int
        The number of people in all arms together.
    people : mapping of str to int
        The number of people in each arm.
    mde : float
        The relative effect that the test is to find.
    effect : float
        The same as a difference, in the metric's unit.
    margin : float
        The loss that a test of non-inferiority is to exclude; 0 for other tests.
    power, level : float
        The chance of finding the effect, and the confidence level.
    """

    metric: str
    total: int
    people: Mapping[str, int]
    mde: float
    effect: float
    margin: float = 0.0
    power: float
    level: float

    @property
    def finds(self) -> str:
        """What the test is to show, in words."""
        if self.margin:
            return f"no loss of {format_number(self.margin)}"
        relative = "" if math.isnan(self.mde) else f"{100 * self.mde:+g} %"
        size = format_number(self.effect)
        return f"{relative} ({size})" if relative else f"{'+' if self.effect > 0 else ''}{size}"

    def _facts(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "people": self.total,
            **self.people,
            "finds": f"{100 * self.mde:+g} %" if not self.margin and not math.isnan(self.mde) else self.finds,
            "power": self.power,
        }


@attrs.frozen(kw_only=True)
class Goal:
    """What a test has to show: an effect in the metric's unit, or that the loss is within a margin."""

    effect: float
    margin: float = 0.0

    @classmethod
    def of(cls, metric: Metric, mde: float | None, difference: float | None, margin: float | None) -> Goal:
        """Return the goal from what the caller gave: a relative effect, a difference, or a margin."""
        if mde is not None and difference is not None:
            raise InputError(
                "mde and difference are both given: give only one, mde for a relative effect or difference for one in "
                "the metric's unit.",
                argument="mde",
                code="conflicting_arguments",
            )
        if margin is None and mde is None and difference is None:
            raise InputError(
                "none of mde=, difference= and margin= is given: say which effect is worth finding, or which loss is "
                "still acceptable.",
                argument="mde",
                code="missing_argument",
            )
        effect = 0.0
        if difference is not None:
            effect = checks.number("difference", difference)
            _check_share(metric, effect, "difference", effect)
        elif mde is not None:
            assert metric.baseline is not None
            if metric.baseline == 0:
                raise InputError(
                    f"{metric.name} has baseline 0, so there is no relative effect.",
                    argument="mde",
                    code="wrong_value",
                    hint="Give difference=.",
                )
            effect = metric.baseline * checks.number("mde", mde)
            _check_share(metric, effect, "mde", mde)
        if margin is None:
            return cls(effect=effect)
        limit = checks.positive("margin", margin)
        less = metric.alternative == "less"  # less is better: the loss is a rise
        _check_share(metric, limit if less else -limit, "margin", limit)
        if (-effect if less else effect) <= -limit:
            raise InputError(
                f"the expected effect {effect:g} is a loss of at least the margin {limit:g}: no test can exclude it.",
                argument="difference",
                code="wrong_value",
            )
        return cls(effect=effect, margin=limit)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to find."""
        return self.effect == 0 and self.margin == 0


def _check_share(metric: Metric, effect: float, argument: str, given: float) -> None:
    if not isinstance(metric, Proportion):
        return
    assert metric.baseline is not None
    share = metric.baseline + effect
    if not 0 <= share < 1 or (share == 0 and metric.baseline == 0 and effect != 0):
        raise InputError(
            f"{argument} is {given:g}: it would take the share from {metric.baseline:g} to {share:g}, but it must stay "
            "between 0 and 1.",
            argument=argument,
            code="wrong_value",
        )


def sample_size(
    metric: Metric,
    *,
    mde: float | None = None,
    difference: float | None = None,
    margin: float | None = None,
    power: float = 0.8,
    **design: Unpack[DesignArgs],
) -> SampleSize:
    """Return how many people a test needs.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
        The metric, with `baseline`, and for means and ratios with `sd`; `from_past` takes both from past data. With an
        `alternative` the test is one-sided, and its error is all on that side.
    mde : float, optional
        The smallest relative effect worth finding: .1 is ten percent more, -.1 ten percent less.
    difference : float, optional
        The same in the metric's unit; use it if the baseline is 0.
    margin : float, optional
        For a test of non-inferiority: the loss that would still be acceptable, above 0, in the metric's unit. If the
        metric's alternative is "less", a loss is a rise. `mde` or `difference` then give the expected effect, which is
        0 by default.
    power : float
        The chance of finding the effect, or of showing that the loss is within the margin.
    **design
        Keyword arguments of `Design`: arms, control, level, explained, cluster_size, intraclass_correlation.

    Returns
    -------
    SampleSize

    Notes
    -----
    Proportions: the pooled z test; with r = share of treatment and 1 - r of control among the two, n = (z_{a/2}
    sqrt(pbar qbar / (r (1 - r))) + z_b sqrt(p1 q1 / r + p0 q0 / (1 - r)))^2 / d^2 (Fleiss, Levin and Paik 2003, eq.
    4.19, without continuity correction). Against a margin: the score test, whose variance is that of the most likely
    shares that differ by the margin (Farrington and Manning 1990). Means and ratios: the power of Welch's t with equal
    standard deviations, from the noncentral t with Welch's degrees of freedom. A test against a margin, or with an
    `alternative`, is one-sided: its error is 1 - level with an `alternative`, and half of that without one, as for one
    end of the two-sided interval. With several arms, the smallest arm compared with control decides.

    Examples
    --------
    >>> sample_size(Proportion("bought", baseline=.02), mde=.1).total
    161364
    >>> sample_size(Proportion("unsubscribed", baseline=.002, alternative="less"), margin=.001, power=.9).total
    70614
    """
    spec, rules = _ready(metric, design)
    goal = Goal.of(spec, mde, difference, margin)
    if goal.nothing:
        given = "mde" if difference is None else "difference"
        raise InputError(
            f"{given} is 0: no number of people can find an effect of 0.",
            argument=given,
            code="wrong_value",
        )
    wanted = checks.fraction("power", power)
    if wanted <= (1 - rules.level):
        raise InputError(
            f"power is {wanted:g}: it must be above 1 - level, {1 - rules.level:g}.",
            argument="power",
            code="wrong_value",
        )

    def enough(total: float) -> bool:
        return _power(spec, goal, total, rules) >= wanted

    high = 4.0
    while not enough(high):
        high *= 2
        if high > _MOST:
            raise NotEnoughDataError(
                f"{_said(spec, goal)}: more than {_MOST:g} people would be needed.",
                argument="metric",
                hint="Look for a larger effect, or allow a larger margin.",
            )
    low = high / 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    people = {arm: math.ceil(round(high * share, 6)) for arm, share in rules.arms.items()}
    baseline = spec.baseline or 0.0
    return SampleSize(
        metric=spec.name,
        total=sum(people.values()),
        people=people,
        mde=goal.effect / baseline if baseline else math.nan,
        effect=goal.effect,
        margin=goal.margin,
        power=wanted,
        level=rules.level,
    )


def _said(metric: Metric, goal: Goal) -> str:
    if goal.margin:
        return f"margin is {goal.margin:g}"
    return f"mde is {goal.effect / metric.baseline:g}" if metric.baseline else f"difference is {goal.effect:g}"


def power(
    metric: Metric,
    *,
    people: int,
    mde: float | None = None,
    difference: float | None = None,
    margin: float | None = None,
    **design: Unpack[DesignArgs],
) -> float:
    """Return the chance that a test with a given number of people finds an effect.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
        The metric, as for `sample_size`.
    people : int
        The number of people in all arms together.
    mde, difference, margin : float, optional
        The true effect, and what is to be shown, as for `sample_size`.
    **design
        Keyword arguments of `Design`.

    Examples
    --------
    >>> round(power(Proportion("bought", baseline=.02), mde=.1, people=161364), 4)
    0.8
    """
    spec, rules = _ready(metric, design)
    goal = Goal.of(spec, mde, difference, margin)
    return _power(spec, goal, float(checks.whole("people", people, low=4)), rules)


def detectable_effect(
    metric: Metric, *, people: int, power: float = 0.8, absolute: bool = False, **design: Unpack[DesignArgs]
) -> float:
    """Return the smallest increase (or fall, where the metric's alternative is "less") that a test is likely to find.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
        The metric, as for `sample_size`.
    people : int
        The number of people in all arms together.
    power : float
        The chance of finding the effect.
    absolute : bool
        Whether to return it in the metric's unit, which is required if the baseline is 0. The default is relative.
    **design
        Keyword arguments of `Design`.

    Examples
    --------
    >>> round(detectable_effect(Proportion("bought", baseline=.02), people=20_000), 3)
    0.297
    """
    spec, rules = _ready(metric, design)
    assert spec.baseline is not None
    if spec.baseline == 0 and not absolute:
        raise InputError(
            f"{spec.name} has baseline 0, so there is no relative effect.",
            argument="absolute",
            code="wrong_value",
            hint="Give absolute=True.",
        )
    wanted = checks.fraction("power", power)
    total = float(checks.whole("people", people, low=4))
    sign = -1.0 if spec.alternative == "less" else 1.0
    top = 1e12
    if isinstance(spec, Proportion):
        top = (spec.baseline if sign < 0 else 1 - spec.baseline) * (1 - 1e-9)
    scale = abs(spec.baseline) or (spec.standard_deviation or 0.0) or 1e-3

    def found(effect: float) -> bool:
        return _power(spec, Goal(effect=sign * effect), total, rules) >= wanted

    high = min(1e-3 * scale, top)
    while not found(high):
        if high >= top:
            return math.nan
        high = min(high * 2, top)
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return sign * high if absolute else sign * high / spec.baseline


def _ready(metric: Metric, design: Mapping[str, Any]) -> tuple[Metric, Design]:
    (spec,) = check_metrics(metric)
    if spec.baseline is None:
        raise InputError(
            f"{spec.name} has no baseline: give baseline=, the value expected without the campaign, or take it from "
            "past data with from_past(columns).",
            argument="baseline",
            code="missing_argument",
        )
    if spec.standard_deviation is None:
        raise InputError(
            f"{spec.name} has no sd: give sd=, the standard deviation between people, or take it from past data with "
            "from_past(columns).",
            argument="sd",
            code="missing_argument",
        )
    known = {field.name for field in settings(Design)}
    for key in design:
        if key not in known:
            raise InputError(
                f"{key!r} is not a part of a design, which has {', '.join(sorted(known))}.",
                argument=key,
                code="unknown_name",
            )
    return spec, Design(**design)


def _power(metric: Metric, goal: Goal, total: float, design: Design) -> float:
    """Return the power of the test of the smallest arm against control."""
    share0, share1 = design.shares
    n0, n1 = total * share0 / design.inflation, total * share1 / design.inflation
    alpha = 1 - design.level
    one_sided = metric.alternative != "two-sided" or goal.margin > 0
    error = alpha if metric.alternative != "two-sided" else alpha / 2
    # Signs are turned so that more is better; against a margin, the distance to the margin is to be found.
    turn = -1.0 if metric.alternative == "less" else 1.0
    shift = turn * goal.effect + goal.margin if one_sided else abs(goal.effect)
    if isinstance(metric, Proportion):
        assert metric.baseline is not None
        p0 = metric.baseline
        p1 = p0 + goal.effect
        if goal.margin:
            x1, m1, x0, m0 = (np.array([v]) for v in (n1 * p1, n1, n0 * p0, n0))
            bound = np.array([-turn * goal.margin])
            under = math.sqrt(proportions.restricted_variance(x1, m1, x0, m0, bound)[0])
            under *= math.sqrt((n0 + n1 - 1) / (n0 + n1)) if n0 + n1 > 1 else 1.0
        else:
            mean = (n0 * p0 + n1 * p1) / (n0 + n1)
            under = math.sqrt(mean * (1 - mean) * (1 / n0 + 1 / n1))
        over = math.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1)
        z = float(-ndtri(error))
        if over == 0:
            return 1.0 if shift > z * under else 0.0
        other = 0.0 if one_sided else float(ndtr((-shift - z * under) / over))
        return float(ndtr((shift - z * under) / over)) + other
    assert metric.standard_deviation is not None
    distance = shift / (metric.standard_deviation * math.sqrt(1 / n0 + 1 / n1))
    # Welch's degrees of freedom at equal spread, counting what is drawn: people, or clusters of people.
    k0, k1 = total * share0 / design.cluster_size, total * share1 / design.cluster_size
    if min(k0, k1) <= 1:
        return 0.0
    df = (1 / k0 + 1 / k1) ** 2 / (1 / (k0**2 * (k0 - 1)) + 1 / (k1**2 * (k1 - 1)))
    if df >= _NORMAL_FROM:
        z = float(-ndtri(error))
        return float(ndtr(distance - z)) + (0.0 if one_sided else float(ndtr(-distance - z)))
    t = float(-stdtrit(df, error))
    upper = 1 - float(nctdtr(df, distance, t))
    lower = 0.0 if one_sided else float(nctdtr(df, distance, -t))
    return upper + (lower if math.isfinite(lower) else 0.0)
