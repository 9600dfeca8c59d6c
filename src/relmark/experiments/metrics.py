"""What a campaign is judged by: a share of people, a mean per person, or a ratio of two sums.

A metric names the columns that it reads. The same metric serves for a plan (with `baseline` and `sd`, or from past data
with `from_past`), for reading raw events (with `of` and `before`) and for the analysis (with `covariates`, `cap`, an
alternative and the choice of interval).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.base import Measurable
from relmark.core.documents import Definition, Limits, built, check_keys, settings
from relmark.core.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.core.frames import Frame, columns_of
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.spans import Span, check_span, parse_span, span_body
from relmark.experiments import _validators
from relmark.expressions.checked import part_problems
from relmark.expressions.json_schema import definitions
from relmark.expressions.operators import Expression
from relmark.expressions.stored import read

__all__ = ["Mean", "Metric", "Proportion", "Ratio"]

SHARE_RELATIVES = ("mover-r", "log", "delta")
INTERVALS = ("newcombe", "miettinen-nurminen", "agresti-caffo")
TESTS = ("z", "fisher", "boschloo")
MEAN_RELATIVES = ("fieller", "log", "delta")
ALTERNATIVES = ("two-sided", "greater", "less")


def _alternative() -> Any:
    return attrs.field(default="two-sided", validator=_validators.one_of(*ALTERNATIVES), kw_only=True)


def _cap(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        checks.number(attribute.name, value)


def _past(names: Sequence[str], columns: Any) -> list[npt.NDArray[np.float64]]:
    """Return columns of past data, one row per person."""
    found = columns_of(columns, names)
    arrays = [checks.numbers(name, found[name]) for name in names]
    for name, array in zip(names, arrays, strict=True):
        checks.same_length(name, array, len(arrays[0]))
    if len(arrays[0]) < 2:
        raise NotEnoughDataError(
            f"the past data have {len(arrays[0])} people: at least two are needed.", argument="columns"
        )
    return arrays


def _left_over(y: npt.NDArray[np.float64], covariates: Sequence[npt.NDArray[np.float64]]) -> float:
    """Return the standard deviation of y that its covariates do not explain."""
    design = np.column_stack([np.ones(len(y)), *covariates])
    away = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(np.sqrt(away @ away / max(len(y) - design.shape[1], 1)))


def _spread(name: str, sd: float) -> float:
    if not sd > 0:
        raise NotEnoughDataError(
            f"{name} does not vary in the past data, so there is no standard deviation to plan with.", argument=name
        )
    return sd


def _before(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        check_span(attribute.name, value)


def _names(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InputError(
            f"covariates is {value!r}: a list of column names is needed, such as [{value!r}].",
            argument="covariates",
            code="wrong_type",
        )
    names = tuple(value)
    for name in names:
        checks.text("a covariate", name)
    if len(set(names)) < len(names):
        raise InputError(
            f"covariates are {', '.join(names)}: a name is given twice.", argument="covariates", code="duplicate"
        )
    return names


def _alike(value: Any) -> Any:
    """Return what outcomes are compared by; comparing expressions themselves would give an expression."""
    if isinstance(value, tuple):
        return tuple(_alike(part) for part in value)
    return value.fingerprint if isinstance(value, Expression) else value


class _Metric(Definition):
    """What the three metrics share: their stored form."""

    __slots__ = ()

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        outcome: Shape = {"$ref": "#/$defs/expression"}
        name = shapes.name(limits.string)
        free = shapes.maybe(shapes.number())
        known: dict[str, Shape] = {
            "name": name,
            "numerator": name,
            "denominator": name,
            "baseline": shapes.maybe(shapes.number(low=0.0, below=1.0)) if cls.kind == "proportion" else free,
            "sd": shapes.maybe(shapes.number(above=0.0)),
            "of": shapes.maybe(shapes.pair(outcome, outcome) if cls.kind == "ratio" else outcome),
            "before": shapes.maybe(shapes.SPAN),
            "interval": shapes.one_of(*INTERVALS),
            "test": shapes.one_of(*TESTS),
            "relative": shapes.one_of(*(SHARE_RELATIVES if cls.kind == "proportion" else MEAN_RELATIVES)),
            "covariates": shapes.array(name),
            "cap": free,
            "alternative": shapes.one_of(*ALTERNATIVES),
        }
        fields = settings(cls)
        needed = tuple(field.name for field in fields if field.default is attrs.NOTHING)
        return {field.name: known[field.name] for field in fields}, needed

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return definitions(limits)

    @classmethod
    def _told(cls, ref: str, value: Any, path: str, schema: Schema | None, limits: Limits) -> list[Problem]:
        return part_problems(ref, value, path, schema, limits)

    def _body(self) -> dict[str, Any]:
        return {field.name: _stored(field.name, getattr(self, field.name)) for field in settings(type(self))}

    def _meaning(self) -> dict[str, Any]:
        return self._body()  # the name is a column, so another name is another metric

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        _, required = cls._shape(limits)
        check_keys(body, required=required, optional=[field.name for field in settings(cls)], what=cls.kind)
        parts = dict(body)
        outcome = parts.get("of")
        if isinstance(outcome, list) and cls.kind == "ratio":
            parts["of"] = tuple(read(part, limits, f"$.of[{k}]") for k, part in enumerate(outcome))
        elif outcome is not None:
            parts["of"] = read(outcome, limits, "$.of")
        if parts.get("before") is not None:
            parts["before"] = parse_span(parts["before"], "$.before")
        return built(cls, parts)


def _stored(name: str, value: Any) -> Any:
    if name == "before":
        return None if value is None else span_body(value)
    if name == "covariates":
        return list(value)
    if name != "of" or value is None:
        return value
    if isinstance(value, tuple):
        return [_stored(name, part) for part in value]
    if not isinstance(value, Expression):
        raise DefinitionError(
            f"of is a {type(value).__name__}, which has no stored form: an expression is needed.",
            argument="of",
            code="not_storable",
        )
    return value.to_dict()


@attrs.frozen
class Proportion(_Metric):
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
        The test: pooled z, or an exact test.
    relative : {"mover-r", "log", "delta"}
        The interval of the relative effect: from Wilson's limits of both shares (MOVER-R), on the log scale, or by the
        delta method.
    covariates : sequence of str
        Columns from before the campaign, as for `Mean`. The difference is then that of adjusted means of zeros and
        ones, with Student's interval; `interval` and `test` are not used.
    alternative : {"two-sided", "greater", "less"}
        What the test looks for: any difference, only more, or only less than control. A one-sided interval has one end.
    """

    kind: ClassVar[str] = "proportion"

    name: str = attrs.field(validator=_validators.name)
    baseline: float | None = attrs.field(
        default=None, validator=_validators.optional(_validators.within(low=0.0, below=1.0)), kw_only=True
    )
    of: Measurable | None = attrs.field(default=None, kw_only=True, eq=_alike)
    interval: str = attrs.field(default="newcombe", validator=_validators.one_of(*INTERVALS), kw_only=True)
    test: str = attrs.field(default="z", validator=_validators.one_of(*TESTS), kw_only=True)
    relative: str = attrs.field(default="mover-r", validator=_validators.one_of(*SHARE_RELATIVES), kw_only=True)
    covariates: Sequence[str] = attrs.field(default=(), converter=_names, kw_only=True)
    alternative: str = _alternative()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.name, *self.covariates)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of the moments that the analysis uses."""
        return self.columns

    def from_past(self, columns: Frame) -> Self:
        """Return the metric with the share in past data as its baseline.

        Parameters
        ----------
        columns : mapping of str to array_like, or dataframe
            One row per person, from a time without the campaign.

        Examples
        --------
        >>> Proportion("bought").from_past({"bought": [0, 1, 0, 0]}).baseline
        0.25
        """
        (yes,) = _past((self.name,), columns)
        checks.refuse_rows(self.name, (yes != 0) & (yes != 1), yes, "True or False, or 1 or 0, is needed")
        return attrs.evolve(self, baseline=float(yes.mean()))

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation at the baseline."""
        return None if self.baseline is None else math.sqrt(self.baseline * (1 - self.baseline))


@attrs.frozen
class Mean(_Metric):
    """The mean per person: spend, orders, visits.

    Parameters
    ----------
    name : str
        The column, and the name of the metric.
    covariates : sequence of str
        Columns from before the campaign that explain part of the outcome. The estimate is adjusted by a regression
        within each arm (CUPED with one slope per arm), which narrows the interval.
    baseline, sd : float, optional
        Mean and standard deviation expected without the campaign, for planning.
    of : expression, optional
        The outcome as an expression, for `Experiment.read`.
    before : timedelta or calendar span, optional
        For `Experiment.read`: the same expression is also measured in a window of this length before the start, and
        used as a covariate.
    relative : {"fieller", "log", "delta"}
        The interval of the relative effect.
    cap : float, optional
        Larger values count as this value (winsorizing), so that a few heavy buyers matter less. The report says how
        many were capped.
    alternative : {"two-sided", "greater", "less"}
        What the test looks for: any difference, only more, or only less than control. A one-sided interval has one end.
    """

    kind: ClassVar[str] = "mean"

    name: str = attrs.field(validator=_validators.name)
    covariates: Sequence[str] = attrs.field(default=(), converter=_names, kw_only=True)
    baseline: float | None = attrs.field(default=None, validator=_validators.optional(_validators.number), kw_only=True)
    sd: float | None = attrs.field(default=None, validator=_validators.optional(_validators.positive), kw_only=True)
    of: Measurable | None = attrs.field(default=None, kw_only=True, eq=_alike)
    before: Span | None = attrs.field(default=None, validator=_before, kw_only=True)
    relative: str = attrs.field(default="fieller", validator=_validators.one_of(*MEAN_RELATIVES), kw_only=True)

    cap: float | None = attrs.field(default=None, validator=_cap, kw_only=True)
    alternative: str = _alternative()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.name, *self.covariates)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of the moments that the analysis uses; a capped column has another name."""
        return (capped_name(self.name, self.cap), *self.covariates)

    def from_past(self, columns: Frame) -> Self:
        """Return the metric with the mean and standard deviation of past data, for a plan.

        Parameters
        ----------
        columns : mapping of str to array_like, or dataframe
            One row per person, from a time without the campaign that is as long as the test will be. With covariates,
            the standard deviation is the part that they do not explain.

        Examples
        --------
        >>> past = Mean("spend").from_past({"spend": [0.0, 10.0, 20.0]})
        >>> past.baseline, past.sd
        (10.0, 10.0)
        """
        y, *rest = _past(self.columns, columns)
        y = y if self.cap is None else np.minimum(y, self.cap)
        return attrs.evolve(self, baseline=float(y.mean()), sd=_spread(self.name, _left_over(y, rest)))

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation, for planning."""
        return self.sd


@attrs.frozen
class Ratio(_Metric):
    """The ratio of two sums, such as spend per order: both vary from person to person.

    Parameters
    ----------
    numerator, denominator : str
        The columns, with one row per person.
    name : str, optional
        The name of the metric; "numerator / denominator" by default.
    covariates : sequence of str
        Columns from before the campaign, as for `Mean`; the ratio is linearized first.
    baseline, sd : float, optional
        The ratio, and the standard deviation per person of its linearization (numerator - ratio * denominator) /
        mean denominator, for planning.
    of : pair of expressions, optional
        The numerator and the denominator as expressions, for `Experiment.read`.
    before : timedelta or calendar span, optional
        As for `Mean`; the numerator and the denominator before the start become covariates.
    relative : {"fieller", "log", "delta"}
        The interval of the relative effect.
    cap : float, optional
        As for `Mean`, for the numerator.
    alternative : {"two-sided", "greater", "less"}
        As for `Mean`.
    """

    kind: ClassVar[str] = "ratio"

    numerator: str = attrs.field(validator=_validators.name)
    denominator: str = attrs.field(validator=_validators.name)
    name: str = attrs.field(default="", kw_only=True)
    covariates: Sequence[str] = attrs.field(default=(), converter=_names, kw_only=True)
    baseline: float | None = attrs.field(default=None, validator=_validators.optional(_validators.number), kw_only=True)
    sd: float | None = attrs.field(default=None, validator=_validators.optional(_validators.positive), kw_only=True)
    of: tuple[Measurable, Measurable] | None = attrs.field(default=None, kw_only=True, eq=_alike)
    before: Span | None = attrs.field(default=None, validator=_before, kw_only=True)
    relative: str = attrs.field(default="fieller", validator=_validators.one_of(*MEAN_RELATIVES), kw_only=True)

    cap: float | None = attrs.field(default=None, validator=_cap, kw_only=True)
    alternative: str = _alternative()

    def __attrs_post_init__(self) -> None:
        """Name the metric after its columns if it has no name."""
        if not self.name:
            object.__setattr__(self, "name", f"{self.numerator} / {self.denominator}")
        if self.numerator == self.denominator:
            raise InputError(
                f"numerator and denominator are both {self.numerator!r}: the ratio is always 1.",
                argument="numerator",
                code="duplicate",
            )

    def _meaning(self) -> dict[str, Any]:
        return {key: part for key, part in self._body().items() if key != "name"}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric reads."""
        return (self.numerator, self.denominator, *self.covariates)

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns of the moments that the analysis uses; a capped column has another name."""
        return (capped_name(self.numerator, self.cap), self.denominator, *self.covariates)

    def from_past(self, columns: Frame) -> Self:
        """Return the metric with the ratio and standard deviation of past data, for a plan.

        Parameters
        ----------
        columns : mapping of str to array_like, or dataframe
            As for `Mean.from_past`.
        """
        y, d, *rest = _past(self.columns, columns)
        y = y if self.cap is None else np.minimum(y, self.cap)
        if d.mean() == 0:
            raise NotEnoughDataError(
                f"{self.denominator} has mean 0 in the past data, so there is no ratio.", argument="columns"
            )
        ratio = float(y.mean() / d.mean())
        linear = (y - ratio * d) / d.mean()
        return attrs.evolve(self, baseline=ratio, sd=_spread(self.name, _left_over(linear, rest)))

    @property
    def standard_deviation(self) -> float | None:
        """The standard deviation of the linearized ratio, for planning."""
        return self.sd


Metric = Proportion | Mean | Ratio


def capped_name(name: str, cap: float | None) -> str:
    """Return the name of a column once it is capped."""
    return name if cap is None else f"{name} (capped at {cap:g})"


def check_metrics(metrics: Any) -> tuple[Metric, ...]:
    """Return metrics as a tuple: at least one, with different names."""
    if isinstance(metrics, (Proportion, Mean, Ratio)):
        metrics = (metrics,)
    found = tuple(metrics)
    if not found:
        raise InputError(
            "metrics is empty: give at least one, such as [Proportion('bought')].", argument="metrics", code="empty"
        )
    for metric in found:
        if not isinstance(metric, (Proportion, Mean, Ratio)):
            raise InputError(
                f"metrics has {checks.shown(metric)}: a Proportion, a Mean or a Ratio is needed, as in Mean('spend').",
                argument="metrics",
                code="wrong_type",
            )
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"metrics has {name!r} twice: give each metric its own name.", argument="metrics", code="duplicate"
            )
    return found
