"""How many people a test needs, what it could detect, and how likely it is to find what is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from relmark.core import checks
from relmark.core.assignment import check_arms
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.formats import format_number, text_table
from relmark.core.results import ColumnarResult, Result
from relmark.experiments import _validators
from relmark.experiments.assignment import control_among
from relmark.experiments.metrics import Metric, Proportion, check_metrics

__all__ = ["Design", "Plan", "SampleSize", "detectable_effect", "power", "sample_size"]

FloatArray = npt.NDArray[np.float64]

_EVEN = {"control": 0.5, "treatment": 0.5}
_MOST = 1e12
_NORMAL_FROM = 5_000.0


@attrs.frozen(kw_only=True)
class Design:
    """What beside the metric decides how many people a test needs.

    Parameters
    ----------
    arms : mapping of str to float
        The arms' shares; two equal ones without it.
    control : str, optional
        The control arm: "control" where there is one, else the first.
    level : float
        The confidence of the two-sided interval or test.
    explained : float
        The share of the variance that covariates explain (the squared correlation of outcome and CUPED covariate).
    cluster_size, intraclass_correlation : float
        Where shops or households are drawn and not people: people a cluster, and the correlation within one.
    """

    arms: Mapping[str, float] = attrs.field(factory=lambda: dict(_EVEN))
    control: str | None = None
    level: float = attrs.field(default=0.95, validator=_validators.share)
    explained: float = attrs.field(default=0.0, validator=_validators.within(low=0.0, below=1.0))
    cluster_size: float = attrs.field(default=1.0, validator=_validators.within(low=1.0))
    intraclass_correlation: float = attrs.field(default=0.0, validator=_validators.within(low=0.0, high=1.0))

    def __attrs_post_init__(self) -> None:
        """Check the arms, and that control is one of them."""
        check_arms(self.arms)
        if self.control is not None and self.control not in self.arms:
            raise InputError(f"control is {self.control!r}: the arms are {', '.join(map(repr, self.arms))}.")

    @property
    def control_arm(self) -> str:
        """The control arm's name."""
        return control_among(self.arms, self.control)

    @property
    def shares(self) -> tuple[float, float]:
        """The share of control, and of the smallest other arm: the comparison that needs most people."""
        rest = [share for name, share in self.arms.items() if name != self.control_arm]
        return self.arms[self.control_arm], min(rest)

    @property
    def inflation(self) -> float:
        """By how much clusters multiply, and covariates divide, the number of people: the design effect."""
        return (1 + (self.cluster_size - 1) * self.intraclass_correlation) * (1 - self.explained)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampleSize(Result):
    """The people that a test needs.

    Attributes
    ----------
    metric : str
    total : int
        People in all arms together.
    people : mapping of str to int
        People of each arm.
    mde : float
        The relative effect that the test is to find.
    effect : float
        The same as a difference, in the metric's unit.
    power, level : float
    """

    metric: str
    total: int
    people: Mapping[str, int]
    mde: float
    effect: float
    power: float
    level: float

    def _facts(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "people": self.total,
            **self.people,
            "finds": f"{100 * self.mde:+g} %",
            "power": self.power,
        }


def sample_size(metric: Metric, *, mde: float, power: float = 0.8, **design: Any) -> SampleSize:
    """Return how many people a test needs to find an effect.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
        With `baseline`, and for means and ratios with `sd`.
    mde : float
        The smallest relative effect worth finding: .1 is ten per cent more, -.1 ten per cent less.
    power : float
        The chance to find it.
    **design
        Keywords of `Design`: arms, control, level, explained, cluster_size, intraclass_correlation.

    Returns
    -------
    SampleSize

    Notes
    -----
    Proportions: the pooled z test; with r = share of treatment and 1 - r of control among the two, n = (z_{a/2}
    sqrt(pbar qbar / (r (1 - r))) + z_b sqrt(p1 q1 / r + p0 q0 / (1 - r)))^2 / d^2 (Fleiss, Levin and Paik 2003, eq.
    4.19, without continuity correction). Means and ratios: the power of Student's t, from the noncentral t. Several
    arms: the smallest arm against control decides.

    Examples
    --------
    >>> sample_size(Proportion("bought", baseline=.02), mde=.1).total
    161364
    """
    spec, rules = _ready(metric, design)
    checks.number("mde", mde)
    if mde == 0:
        raise InputError("mde is 0: an effect of nothing cannot be found with any number of people.")
    wanted = checks.fraction("power", power)
    if wanted <= (1 - rules.level):
        raise InputError(f"power is {wanted:g}: it must be above 1 - level, {1 - rules.level:g}.")
    effect = _effect(spec, mde)

    def enough(total: float) -> bool:
        return _power(spec, effect, total, rules) >= wanted

    high = 4.0
    while not enough(high):
        high *= 2
        if high > _MOST:
            raise NotEnoughDataError(f"mde is {mde:g}: more than {_MOST:g} people would be needed. Look for more.")
    low = high / 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    people = {arm: math.ceil(round(high * share, 6)) for arm, share in rules.arms.items()}
    return SampleSize(
        metric=spec.name,
        total=sum(people.values()),
        people=people,
        mde=float(mde),
        effect=effect,
        power=wanted,
        level=rules.level,
    )


def power(metric: Metric, *, mde: float, people: int, **design: Any) -> float:
    """Return the chance that a test of some people finds a relative effect.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
    mde : float
        The true relative effect.
    people : int
        In all arms together.
    **design
        Keywords of `Design`.

    Examples
    --------
    >>> round(power(Proportion("bought", baseline=.02), mde=.1, people=161364), 4)
    0.8
    """
    spec, rules = _ready(metric, design)
    checks.number("mde", mde)
    return _power(spec, _effect(spec, mde), float(checks.whole("people", people, low=4)), rules)


def detectable_effect(metric: Metric, *, people: int, power: float = 0.8, **design: Any) -> float:
    """Return the smallest relative increase that a test of some people finds with the given chance.

    Parameters
    ----------
    metric : Proportion, Mean or Ratio
    people : int
        In all arms together.
    power : float
    **design
        Keywords of `Design`.

    Examples
    --------
    >>> round(detectable_effect(Proportion("bought", baseline=.02), people=20_000), 3)
    0.297
    """
    spec, rules = _ready(metric, design)
    wanted = checks.fraction("power", power)
    total = float(checks.whole("people", people, low=4))
    top = (1 / spec.baseline - 1) * (1 - 1e-9) if isinstance(spec, Proportion) and spec.baseline else 1e9

    def found(mde: float) -> bool:
        return _power(spec, _effect(spec, mde), total, rules) >= wanted

    high = min(1e-3, top)
    while not found(high):
        if high >= top:
            return math.nan
        high = min(high * 2, top)
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _ready(metric: Metric, design: Mapping[str, Any]) -> tuple[Metric, Design]:
    (spec,) = check_metrics(metric)
    if spec.baseline is None:
        raise InputError(f"{spec.name} has no baseline: say what is expected without the campaign, baseline=.")
    if spec.baseline == 0:
        raise InputError(f"{spec.name} has baseline 0: a relative effect on nothing is nothing.")
    if spec.standard_deviation is None:
        raise InputError(f"{spec.name} has no sd: a plan for a mean needs the standard deviation between people, sd=.")
    known = {field.name for field in attrs.fields(Design)}
    for key in design:
        if key not in known:
            raise InputError(f"{key!r} is no part of a design: it has {', '.join(sorted(known))}.")
    return spec, Design(**design)


def _effect(metric: Metric, mde: float) -> float:
    assert metric.baseline is not None
    if isinstance(metric, Proportion) and not 0 < metric.baseline * (1 + mde) < 1:
        raise InputError(
            f"mde is {mde:g}: it would take the share from {metric.baseline:g} to {metric.baseline * (1 + mde):g}, "
            "which must stay between 0 and 1."
        )
    return metric.baseline * mde


def _power(metric: Metric, effect: float, total: float, design: Design) -> float:
    """Return the power of the two-sided test of control against the smallest arm."""
    share0, share1 = design.shares
    n0, n1 = total * share0 / design.inflation, total * share1 / design.inflation
    alpha = 1 - design.level
    if isinstance(metric, Proportion):
        assert metric.baseline is not None
        p0 = metric.baseline
        p1 = p0 + effect
        mean = (n0 * p0 + n1 * p1) / (n0 + n1)
        under = math.sqrt(mean * (1 - mean) * (1 / n0 + 1 / n1))
        over = math.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1)
        z = float(-ndtri(alpha / 2))
        return float(ndtr((abs(effect) - z * under) / over) + ndtr((-abs(effect) - z * under) / over))
    assert metric.standard_deviation is not None
    shift = abs(effect) / (metric.standard_deviation * math.sqrt(1 / n0 + 1 / n1))
    df = total * (share0 + share1) - 2
    if df >= _NORMAL_FROM:
        z = float(-ndtri(alpha / 2))
        return float(ndtr(shift - z) + ndtr(-shift - z))
    if df <= 0:
        return 0.0
    t = float(-stdtrit(df, alpha / 2))
    upper = 1 - float(nctdtr(df, shift, t))
    lower = float(nctdtr(df, shift, -t))
    return upper + (lower if math.isfinite(lower) else 0.0)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Plan(ColumnarResult):
    """What a test needs, and the power of other sizes: one row a size.

    Attributes
    ----------
    size : SampleSize
        The people needed for the effect and power asked for.
    days : float
        How long it takes at `people_per_day`; NaN without it.
    people : ndarray of int64, shape (k,)
        Sizes around the one needed, all arms together.
    power : ndarray of float64, shape (k,)
        The chance to find the effect with each.
    detectable : ndarray of float64, shape (k,)
        The smallest relative increase that each finds with the power asked for.
    """

    size: SampleSize
    days: float = math.nan
    people: npt.NDArray[np.int64]
    power: FloatArray
    detectable: FloatArray

    @property
    def total(self) -> int:
        """The people needed, all arms together."""
        return self.size.total

    def _facts(self) -> dict[str, Any]:
        facts = self.size._facts()  # noqa: SLF001
        return facts if math.isnan(self.days) else facts | {"days": self.days}

    def __str__(self) -> str:
        need = ", ".join(f"{arm} {n:,}" for arm, n in self.size.people.items())
        size = self.size
        found = f"{100 * size.mde:+g} % ({format_number(size.effect)}) in {100 * size.power:g} of 100 tests"
        lines = [f"{size.metric}: {size.total:,} people ({need}) find {found}"]
        if not math.isnan(self.days):
            lines.append(f"at the given pace: {format_number(self.days)} days")
        return "\n".join([*lines, text_table(self._table())])


_AROUND = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0])


def make_plan(metric: Metric, *, mde: float, power_wanted: float, people_per_day: float | None, design: Any) -> Plan:
    """Return the plan of a test."""
    need = sample_size(metric, mde=mde, power=power_wanted, **design)
    sizes = np.maximum(np.ceil(_AROUND * need.total), 4).astype(np.int64)
    rate: Callable[[int], float] = lambda n: power(metric, mde=mde, people=n, **design)  # noqa: E731
    days = (
        math.nan
        if people_per_day is None
        else math.ceil(need.total / checks.positive("people_per_day", people_per_day))
    )
    return Plan(
        size=need,
        days=float(days),
        people=sizes,
        power=np.array([rate(int(n)) for n in sizes]),
        detectable=np.array([detectable_effect(metric, people=int(n), power=power_wanted, **design) for n in sizes]),
    )
