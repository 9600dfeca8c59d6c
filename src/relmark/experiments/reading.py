"""Turn raw events into one row per person: outcomes after the start, and covariates and segments before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.base import CustomerBase, Measurable
from relmark.core.checks import BoolArray
from relmark.core.errors import InputError
from relmark.core.spans import Span
from relmark.experiments.metrics import Metric, Proportion, Ratio
from relmark.experiments.starts import Starts, given_of
from relmark.experiments.windows import (
    cut,
    everyone_of,
    known_at_start,
    of_neither_side,
    window_after,
    window_before,
)
from relmark.expressions import Expression, Selection
from relmark.expressions.walk import walk

__all__ = ["Divisions", "Figures", "read_figures", "segment_labels"]


class Divided(Protocol):
    """An object that divides people by a rule, such as a Segment."""

    name: str

    def evaluate(self, base: CustomerBase, *, as_of: Any) -> Any:
        """Return a result with `mask`."""
        ...


Divisions: TypeAlias = Sequence[Divided] | Mapping[str, Divided | Measurable | npt.ArrayLike]
"""How people are divided into segments: by objects that evaluate themselves, or by columns."""


class Figures(NamedTuple):
    """What was read: one column per figure, the metrics that name them, and notes."""

    columns: dict[str, npt.NDArray[Any]]
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...]


def read_figures(
    base: CustomerBase,
    starts: Starts,
    span: Span,
    metrics: Sequence[Metric],
    *,
    received: Measurable | None,
    inside: BoolArray,
) -> Figures:
    """Return the columns that metrics need, and the metrics with the covariates that `before` adds."""
    outcomes: dict[str, Any] = {}
    before: dict[Span, dict[str, Any]] = {}
    columns: dict[str, npt.NDArray[Any]] = {}
    ready: list[Metric] = []
    for metric in metrics:
        pairs = _expressions(metric)
        outcomes |= pairs
        more = []
        for name in metric.covariates:
            columns[name] = base.column(name).numbers()
        if not isinstance(metric, Proportion):
            if metric.before is not None:
                more = [f"{name} before" for name in pairs]
                asked = before.setdefault(metric.before, {})
                asked |= dict(zip(more, pairs.values(), strict=True))
            metric = attrs.evolve(metric, covariates=(*metric.covariates, *more))  # noqa: PLW2901
        ready.append(metric)
    if received is not None:
        outcomes["received"] = received
    everyone = everyone_of(base)
    window, clock, dated = window_after(starts, span)
    after = given_of(clock, dated, base.tz, base.tz)
    columns |= _measured(cut(base, everyone, window, types_of(outcomes)), outcomes, after)
    if before:
        at = starts.just_before()
        for back, expressions in before.items():
            past = cut(base, everyone, window_before(starts, back), types_of(expressions))
            columns |= _measured(past, expressions, at)
    for name, values in columns.items():
        checks.refuse_rows(
            name,
            ~np.isfinite(values) & inside,
            values,
            "everyone in the test needs a known figure",
            "Use .fill(0), or a Ratio for a mean per event. Rows are those of base.customer_id.",
        )
    return Figures(columns, tuple(ready), of_neither_side(base, starts, inside))


def types_of(expressions: Mapping[str, Any]) -> set[str] | None:
    """Return the types of events that expressions look at, or None if one of them does not say so."""
    found: set[str] = set()
    for expression in expressions.values():
        if not isinstance(expression, Expression):
            return None
        for _, node in walk(expression):
            if isinstance(node, Selection):
                found.update(node.types)
    return found


def _expressions(metric: Metric) -> dict[str, Any]:
    if metric.of is None:
        raise InputError(
            f"{metric.name} has no of=: give the expression that reads it, such as of=event('purchase').sum().",
            argument="of",
            code="missing_argument",
        )
    if isinstance(metric, Ratio):
        pair: Any = metric.of
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError(
                f"of of {metric.name} is {checks.shown(pair)}: a pair of expressions is needed.",
                argument="of",
                code="wrong_type",
            )
        return {metric.numerator: pair[0], metric.denominator: pair[1]}
    return {metric.name: metric.of}


def _measured(base: CustomerBase, expressions: Mapping[str, Any], at: Any) -> dict[str, npt.NDArray[np.float64]]:
    if not expressions:
        return {}
    found = base.measure(expressions, as_of=at)
    return {name: checks.numbers(name, _plain(name, found[name]), missing=True) for name in expressions}


def _plain(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return booleans with unknown values as numbers with NaN."""
    if values.dtype != object:
        if values.dtype.kind == "U":
            raise InputError(
                f"{name} consists of words: an outcome must be a number or a yes or no.",
                argument=name,
                code="wrong_type",
            )
        return values
    return np.array([np.nan if value is None else float(value) for value in values])


def segment_labels(
    base: CustomerBase, starts: Starts, segments: Divisions | None
) -> dict[str, npt.NDArray[Any]] | None:
    """Return each customer's labels from before the start: segments and expressions become yes and no, arrays stay.

    An event that carries the day of the start belongs to the window or to neither side, so no segment sees it.
    """
    if segments is None:
        return None
    named = segments if isinstance(segments, Mapping) else {_segment_name(one): one for one in segments}
    at = starts.just_before()
    base = known_at_start(base, starts)
    labels: dict[str, npt.NDArray[Any]] = {}
    one: Any
    for name, one in named.items():
        if hasattr(one, "evaluate"):
            labels[name] = np.where(one.evaluate(base, as_of=at).mask, "yes", "no")
        elif hasattr(one, "measure"):
            values = base.measure({name: one}, as_of=at)[name]
            if values.dtype.kind == "b":
                labels[name] = np.where(values, "yes", "no")
            else:
                words = {None: "unknown", True: "yes", False: "no"}
                labels[name] = np.array([words.get(value, str(value)) for value in values.tolist()])
        else:
            labels[name] = np.asarray(one)
            checks.same_length(name, labels[name], len(base))
    return labels


def _segment_name(segment: Any) -> str:
    name = getattr(segment, "name", None)
    if not isinstance(name, str):
        raise InputError(
            f"segments has {checks.shown(segment)}, which has no name: give Segments, or a mapping of names to rules.",
            argument="segments",
            code="missing_argument",
        )
    return name
