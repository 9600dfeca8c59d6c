"""What a campaign is judged by: a share of people, a mean per person, or a ratio of two sums.

A metric names the columns that it reads. The same metric plans (with `baseline` and `sd`), reads raw events (with
`of` and `before`) and analyzes (with `covariates` and the choice of interval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.time import duration
from relmark.experiments import _validators

__all__ = ["Mean", "Metric", "Proportion", "Ratio"]

INTERVALS = ("newcombe", "miettinen-nurminen", "agresti-caffo")
TESTS = ("z", "fisher", "boschloo")


def _before(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        duration(attribute.name, value)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InputError(f"covariates is {value!r}: a list of column names is needed, such as [{value!r}].")
    names = tuple(value)
    for name in names:
        checks.text("a covariate", name)
    if len(set(names)) < len(names):
        raise InputError(f"covariates are {', '.join(names)}: a name stands twice.")
    return names


@attrs.frozen
class Proportion:
    """The share of people with a yes: bought, visited, unsubscribed.

    Parameters
    ----------
    name : str
        The column, of True and False or 1 and 0, and the name of the metric.
    baseline : float, optional
        The share expected without the campaign, for planning.
    of : expression, optional
        The outcome as an expression over events and attributes, for `Experiment.read`.
    interval : {"newcombe", "miettinen-nurminen", "agresti-caffo"}
        The interval of the difference.
    test : {"z", "fisher", "boschloo"}
        The test: pooled z, or an exact one.
    relative : {"log", "delta"}
        The interval of the relative effect.
    """

    name: str = attrs.field(validator=_validators.name)
    baseline: float | None = attrs.field(default=None, validator=_validators.optional(_validators.share), kw_only=True)
    of: Any = attrs.field(default=None, kw_only=True)
    interval: str = attrs.field(default="newcombe", validator=_validators.one_of(*INTERVALS), kw_only=True)
    test: str = attrs.field(default="z", validator=_validators.one_of(*TESTS), kw_only=True)
    relative: str = attrs.field(default="log", validator=_validators.one_of("log", "delta"), kw_only=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.name,)

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation at the baseline."""
        return None if self.baseline is None else math.sqrt(self.baseline * (1 - self.baseline))


@attrs.frozen
class Mean:
    """The mean per person: spend, orders, visits.

    Parameters
    ----------
    name : str
        The column, and the name of the metric.
    covariates : sequence of str
        Columns from before the campaign that explain some of the outcome. The estimate is adjusted by a regression
        within each arm (CUPED with the slopes of each arm), which narrows the interval.
    baseline, sd : float, optional
        Mean and standard deviation expected without the campaign, for planning.
    of : expression, optional
        The outcome as an expression, for `Experiment.read`.
    before : timedelta, optional
        For `Experiment.read`: also measure the same expression in this window before the start, and use it as a
        covariate.
    relative : {"fieller", "log", "delta"}
        The interval of the relative effect.
    """

    name: str = attrs.field(validator=_validators.name)
    covariates: Sequence[str] = attrs.field(default=(), converter=_names, kw_only=True)
    baseline: float | None = attrs.field(default=None, validator=_validators.optional(_validators.number), kw_only=True)
    sd: float | None = attrs.field(default=None, validator=_validators.optional(_validators.positive), kw_only=True)
    of: Any = attrs.field(default=None, kw_only=True)
    before: timedelta | None = attrs.field(default=None, validator=_before, kw_only=True)
    relative: str = attrs.field(
        default="fieller", validator=_validators.one_of("fieller", "log", "delta"), kw_only=True
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.name, *self.covariates)

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation, for planning."""
        return self.sd


@attrs.frozen
class Ratio:
    """The ratio of two sums, such as spend per order: both vary from person to person.

    Parameters
    ----------
    numerator, denominator : str
        The columns, one row a person.
    name : str, optional
        The name of the metric; "numerator / denominator" without it.
    covariates : sequence of str
        Columns from before the campaign, as for `Mean`; the ratio is linearized first.
    baseline, sd : float, optional
        The ratio, and the standard deviation per person of its linearization (numerator - ratio * denominator) /
        mean denominator, for planning.
    of : pair of expressions, optional
        Numerator and denominator as expressions, for `Experiment.read`.
    before : timedelta, optional
        As for `Mean`: numerator and denominator before the start become covariates.
    relative : {"fieller", "log", "delta"}
        The interval of the relative effect.
    """

    numerator: str = attrs.field(validator=_validators.name)
    denominator: str = attrs.field(validator=_validators.name)
    name: str = attrs.field(default="", kw_only=True)
    covariates: Sequence[str] = attrs.field(default=(), converter=_names, kw_only=True)
    baseline: float | None = attrs.field(default=None, validator=_validators.optional(_validators.number), kw_only=True)
    sd: float | None = attrs.field(default=None, validator=_validators.optional(_validators.positive), kw_only=True)
    of: Any = attrs.field(default=None, kw_only=True)
    before: timedelta | None = attrs.field(default=None, validator=_before, kw_only=True)
    relative: str = attrs.field(
        default="fieller", validator=_validators.one_of("fieller", "log", "delta"), kw_only=True
    )

    def __attrs_post_init__(self) -> None:
        """Name the metric after its columns where it has no name."""
        if not self.name:
            object.__setattr__(self, "name", f"{self.numerator} / {self.denominator}")
        if self.numerator == self.denominator:
            raise InputError(f"numerator and denominator are both {self.numerator!r}: the ratio is always 1.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.numerator, self.denominator, *self.covariates)

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation of the linearized ratio, for planning."""
        return self.sd


Metric = Proportion | Mean | Ratio


def check_metrics(metrics: Any) -> tuple[Metric, ...]:
    """Return metrics as a tuple: at least one, each of its own name."""
    if isinstance(metrics, (Proportion, Mean, Ratio)):
        metrics = (metrics,)
    found = tuple(metrics)
    if not found:
        raise InputError("metrics is empty: give at least one, such as [Proportion('bought')].")
    for metric in found:
        if not isinstance(metric, (Proportion, Mean, Ratio)):
            raise InputError(
                f"metrics has {checks.shown(metric)}: a Proportion, a Mean or a Ratio is needed, such as Mean('spend')."
            )
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"metrics has {name!r} twice: give each metric a name of its own.")
    return found
