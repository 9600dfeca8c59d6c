"""The answers of a survey, from columns, counts or events, in groups: what every score of this package reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray, numbers, refuse_rows, same_length, shown, text, whole
from relmark.core.columns import Column, ColumnLike
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frozen import Frozen, read_only
from relmark.core.spans import Span
from relmark.expressions.selection import Selection
from relmark.metrics.grouping import By, column_of, group_rows
from relmark.metrics.windows import Stretch, base_given, events_of, properties_of, selection_given

__all__ = [
    "Answers",
    "Given",
    "GroupsGiven",
    "ScaleLike",
    "SurveyAnswers",
    "read_answers",
    "scale_of",
    "survey_answers",
]

Given: TypeAlias = "ColumnLike | Mapping[Any, Any] | SurveyAnswers"
"""Answers: one per person, counts by answer, or what `survey_answers` took out of a base."""
ScaleLike: TypeAlias = tuple[int, int]
"""The lowest answer and the highest."""
GroupsGiven: TypeAlias = "ColumnLike | Mapping[str, ColumnLike] | None"
"""The group of each answer: one column, several by name, or none."""


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SurveyAnswers(Frozen):
    """Answers out of the events of a base, in groups; made by `survey_answers` and given to any score.

    Parameters
    ----------
    value : ndarray of float64, shape (m,)
        The answers; NaN where somebody gave none.
    code : ndarray of int64, shape (m,)
        The group of each.
    by : mapping of str to ndarray, shape (k,)
        What the groups are called.
    k : int
        The number of groups.
    """

    value: FloatArray = attrs.field(converter=read_only)
    code: IntArray = attrs.field(converter=read_only)
    by: Mapping[str, npt.NDArray[Any]]
    k: int

    def __len__(self) -> int:
        """Return the number of answers, missing ones too."""
        return len(self.value)

    def __repr__(self) -> str:
        by = f" by {', '.join(self.by)}" if self.by else ""
        return f"SurveyAnswers({len(self):,} answers{by})"


@attrs.frozen(eq=False)
class Answers:
    """Answers that were given, checked: value, how often, and in which group; missing ones counted apart."""

    value: FloatArray
    weight: FloatArray
    code: IntArray
    missing: IntArray
    by: Mapping[str, npt.NDArray[Any]]
    k: int

    def count(self, test: npt.NDArray[np.bool_] | None = None) -> FloatArray:
        """Return how many answers of each group pass a test."""
        weight = self.weight if test is None else self.weight * test
        return np.asarray(np.bincount(self.code, weights=weight, minlength=self.k), dtype=np.float64)

    def total(self, values: FloatArray) -> FloatArray:
        """Return the sums of values by group."""
        return np.asarray(np.bincount(self.code, weights=self.weight * values, minlength=self.k), dtype=np.float64)


def survey_answers(
    base: CustomerBase,
    answers: Selection,
    *,
    as_of: AsOfGiven,
    score: str = "value",
    within: Span | None = None,
    by: By = None,
) -> SurveyAnswers:
    """Take the answers of a survey out of the events of a base: by group, by segment, over time.

    Parameters
    ----------
    base : CustomerBase
    answers : Selection
        The events that are answers, such as ``event("survey")``.
    as_of : date or instant
    score : str
        The property that holds the answer.
    within : timedelta, calendar_days or months, optional
        Answers of (as_of - within, as_of]; all without it.
    by : name, expression, segment, period, or a list or mapping of them, optional

    Returns
    -------
    SurveyAnswers

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog, event
    >>> log = EventLog.from_columns(
    ...     customer_id=[1, 2, 3], type="nps", time=["2026-01-05", "2026-01-07", "2026-02-03"], value=[9, 10, 6])
    >>> survey_answers(CustomerBase(events=log), event("nps"), as_of="2026-03-01", by="month")
    SurveyAnswers(3 answers by month)
    """
    stretch = Stretch.of(base_given(base), as_of, within)
    selection_given("answers", answers)
    text("score", score)
    customer, time, found = events_of(base, answers, stretch.low, stretch.high)
    column = found.column(score) if len(time) else Column.empty(0)
    if len(time) and column.kind == "empty" and not _has(found, score):
        raise MissingColumnError(f"score is {score!r}, and no {answers!r} has such a property.", argument="score")
    if column.kind not in {"number", "empty"}:
        raise InputError(
            f"score is {score!r}, of kind {column.kind!r}: numbers are needed.", argument="score", code="wrong_type"
        )
    groups = group_rows(base, stretch.as_of, by, customer, time, properties_of(found))
    value = np.asarray(groups.chosen(column.numbers()), dtype=np.float64)
    return SurveyAnswers(value=value, code=groups.code, by=groups.labels, k=groups.k)


def _has(found: Any, score: str) -> bool:
    if score == "value":
        return any(scope.part.value is not None for scope in found.scopes)
    return any(score in scope.part.properties for scope in found.scopes)


def scale_of(scale: Any) -> tuple[int, int]:
    """Return the ends of a scale, or raise."""
    if not isinstance(scale, (tuple, list)) or len(scale) != 2:
        raise InputError(
            f"scale is {shown(scale)}: its lowest and highest answer are needed, such as (0, 10).",
            argument="scale",
            code="wrong_type",
        )
    low, high = (whole(f"scale[{k}]", end) for k, end in enumerate(scale))
    if low >= high:
        raise InputError(
            f"scale is {shown(scale)}: the lowest answer has to be below the highest.",
            argument="scale",
            code="wrong_value",
        )
    return low, high


def read_answers(
    given: Any,
    by: Any,
    scale: tuple[int, int],
    *,
    name: str = "answers",
    words: Callable[[Mapping[Any, Any]], Mapping[Any, Any] | None] | None = None,
) -> Answers:
    """Return the answers that a door was given, checked against the scale; missing ones are counted apart.

    Parameters
    ----------
    given : column of numbers, counts by answer, mapping of groups to either, or SurveyAnswers
    by : column or mapping of columns, optional
        The group of each answer of a column.
    scale : tuple of int
    name : str
        For messages.
    words : callable, optional
        Turns counts under other keys than answers (promoters, ...) into counts by answer, or returns None.
    """
    if isinstance(given, SurveyAnswers):
        if by is not None:
            raise InputError(
                "by= is given where the answers are taken out of events: survey_answers(..., by=...).",
                argument="by",
                code="wrong_type",
            )
        return _checked(name, given.value, given.code, given.by, given.k, scale)
    if isinstance(given, CustomerBase):
        raise InputError(
            f"{name} is a base: take the answers out of it by survey_answers(base, event('survey'), as_of=...).",
            argument=name,
            code="wrong_type",
        )
    if isinstance(given, Mapping):
        if by is not None:
            raise InputError(
                f"by= needs a column of answers, and {name} is counts: give a mapping of groups to counts.",
                argument="by",
                code="missing_argument",
            )
        if given and all(isinstance(one, Mapping) for one in given.values()):
            return _groups_of_counts(name, given, scale, words)
        value, weight = _counts(name, given, scale, words)
        return Answers(value, weight, np.zeros(len(value), dtype=np.int64), np.zeros(1, dtype=np.int64), {}, 1)
    column = numbers(name, given, missing=True)
    if by is None:
        return _checked(name, column, np.zeros(len(column), dtype=np.int64), {}, 1, scale)
    keys = by if isinstance(by, Mapping) else {"group": by}
    code, size = np.zeros(len(column), dtype=np.int64), 1
    labels: dict[str, npt.NDArray[Any]] = {}
    for key, values in keys.items():
        if not isinstance(key, str) or not key:
            raise InputError(f"by has the key {shown(key)}: a name is needed.", argument="by", code="wrong_type")
        group = Column.of(f"by[{key!r}]" if isinstance(by, Mapping) else "by", values)
        same_length("by", np.empty(len(group)), len(column))
        part, names = column_of(group, key)
        n = max(len(names), 1)
        code, labels = code * n + part, {old: np.repeat(one, n) for old, one in labels.items()}
        labels[key] = np.concatenate([names] * size) if size > 1 else names
        size *= n
    used = np.bincount(code, minlength=size) > 0
    labels = {key: one[used] if len(one) else one for key, one in labels.items()}
    return _checked(
        name, column, (np.cumsum(used) - 1)[code], labels,
        int(np.count_nonzero(used)), scale,
    )  # fmt: skip


def _checked(
    name: str,
    value: FloatArray,
    code: IntArray,
    by: Mapping[str, npt.NDArray[Any]],
    k: int,
    scale: tuple[int, int],
) -> Answers:
    low, high = scale
    known = ~np.isnan(value)
    remedy = "Name the scale, or leave these rows out."
    off = known & ((value < low) | (value > high))
    refuse_rows(name, off, value, f"answers from {low} to {high} are needed", remedy)
    refuse_rows(name, known & (value != np.floor(value)), value, "whole answers are needed",
                "Averages of several answers have no such score: give each answer.")  # fmt: skip
    missing = np.bincount(code[~known], minlength=k)
    return Answers(value[known], np.ones(int(known.sum())), code[known], missing, by, k)


def _counts(name: str, given: Mapping[Any, Any], scale: tuple[int, int], words: Any) -> tuple[FloatArray, FloatArray]:
    if words is not None:
        found = words(given)
        given = given if found is None else found
    low, high = scale
    values, weights = [], []
    for key, count in given.items():
        values.append(whole(f"{name} has the answer {shown(key)}, which", key, low=low, high=high))
        weights.append(whole(f"{name}[{shown(key)}]", count, low=0))
    return np.array(values, dtype=np.float64), np.array(weights, dtype=np.float64)


def _groups_of_counts(name: str, given: Mapping[Any, Any], scale: tuple[int, int], words: Any) -> Answers:
    parts = [_counts(f"{name}[{shown(group)}]", one, scale, words) for group, one in given.items()]
    code = np.repeat(np.arange(len(parts)), [len(value) for value, _ in parts])
    names = Column.of("groups", list(given)).values()
    return Answers(
        np.concatenate([value for value, _ in parts]), np.concatenate([weight for _, weight in parts]), code,
        np.zeros(len(parts), dtype=np.int64), {"group": names}, len(parts),
    )  # fmt: skip
