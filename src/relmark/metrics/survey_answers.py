"""The answers of a survey, from columns, counts or events, in groups; every survey score reads them."""

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
    """Answers read from the events of a base, in groups; `survey_answers` makes them, and every score accepts them.

    Parameters
    ----------
    value : ndarray of float64, shape (m,)
        The answers; NaN where an event has none.
    code : ndarray of int64, shape (m,)
        The group of each answer.
    by : mapping of str to ndarray, shape (k,)
        The names of the groups.
    k : int
        The number of groups.
    """

    value: FloatArray = attrs.field(converter=read_only)
    code: IntArray = attrs.field(converter=read_only)
    by: Mapping[str, npt.NDArray[Any]]
    k: int

    def __len__(self) -> int:
        """Return the number of answers, including missing ones."""
        return len(self.value)

    def __repr__(self) -> str:
        by = f" by {', '.join(self.by)}" if self.by else ""
        return f"SurveyAnswers({len(self):,} answers{by})"


@attrs.frozen(eq=False)
class Answers:
    """Checked answers: the value, how often it was given, and in which group; missing ones are counted separately."""

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
    """Read the answers of a survey from the events of a base, by group, by segment or over time.

    Parameters
    ----------
    base : CustomerBase
    answers : Selection
        The events that are answers, such as ``event("survey")``.
    as_of : date or instant
    score : str
        The property that holds the answer.
    within : timedelta, calendar_days or months, optional
        Read answers of (as_of - within, as_of]; by default, all up to `as_of`.
    by : name, expression, segment, period, or a list or mapping of them, optional
        How to group the answers.

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
        raise MissingColumnError(f"score is {score!r}, but no {answers!r} has this property.", argument="score")
    if column.kind not in {"number", "empty"}:
        raise InputError(
            f"score is {score!r}, a property of kind {column.kind!r}; it must hold numbers.",
            argument="score",
            code="wrong_type",
        )
    groups = group_rows(base, stretch.as_of, by, customer, time, properties_of(found))
    value = np.asarray(groups.chosen(column.numbers()), dtype=np.float64)
    return SurveyAnswers(value=value, code=groups.code, by=groups.labels, k=groups.k)


def _has(found: Any, score: str) -> bool:
    if score == "value":
        return any(scope.part.value is not None for scope in found.scopes)
    return any(score in scope.part.properties for scope in found.scopes)


def scale_of(scale: Any) -> tuple[int, int]:
    """Return the ends of a scale, or raise an error."""
    if not isinstance(scale, (tuple, list)) or len(scale) != 2:
        raise InputError(
            f"scale is {shown(scale)}; it must be the lowest and the highest answer, such as (0, 10).",
            argument="scale",
            code="wrong_type",
        )
    low, high = (whole(f"scale[{k}]", end) for k, end in enumerate(scale))
    if low >= high:
        raise InputError(
            f"scale is {shown(scale)}; the lowest answer must be lower than the highest.",
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
    """Return the answers that a score was given, checked against the scale; missing ones are counted separately.

    Parameters
    ----------
    given : column of numbers, counts by answer, mapping of groups to either, or SurveyAnswers
    by : column or mapping of columns, optional
        The group of each answer of a column.
    scale : tuple of int
    name : str
        The name of the argument, for error messages.
    words : callable, optional
        Turns counts under other keys than answers (promoters, ...) into counts by answer, or returns None.
    """
    if isinstance(given, SurveyAnswers):
        if by is not None:
            raise InputError(
                "by= cannot be used with SurveyAnswers: pass it to survey_answers(..., by=...) instead.",
                argument="by",
                code="wrong_type",
            )
        return _checked(name, given.value, given.code, given.by, given.k, scale)
    if isinstance(given, CustomerBase):
        raise InputError(
            f"{name} is a CustomerBase: read its answers with survey_answers(base, event('survey'), as_of=...) first.",
            argument=name,
            code="wrong_type",
        )
    if isinstance(given, Mapping):
        if by is not None:
            raise InputError(
                f"by= needs a column of answers, but {name} holds counts: pass a mapping of groups to counts instead.",
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
            raise InputError(f"by has the key {shown(key)}; each key must be a name.", argument="by", code="wrong_type")
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
    remedy = "Pass another scale, or leave these rows out."
    off = known & ((value < low) | (value > high))
    refuse_rows(name, off, value, f"answers must lie between {low} and {high}", remedy)
    refuse_rows(name, known & (value != np.floor(value)), value, "answers must be whole numbers",
                "Pass each answer, not averages of several answers.")  # fmt: skip
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
