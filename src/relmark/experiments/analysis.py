"""Turn rows or moments into a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.frames import Frame
from relmark.experiments._comparisons import Source, compared_rows
from relmark.experiments._critical import Critical
from relmark.experiments.assignment import Assignment
from relmark.experiments.cells import Cells, arm_codes, control_of, segment_codes
from relmark.experiments.metrics import Metric, Proportion, capped_name, check_metrics
from relmark.experiments.moments import Moments, columns_by_name
from relmark.experiments.report import Report
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = ["analyze"]

FEW = 20_000  # people in an arm from which skewness of money needs no note, and third moments no extra pass

STRATIFIED = (
    "the arms were drawn within strata, which this comparison does not use: its interval is wider than necessary. Give "
    "the strata as segments= and use report.post_stratified"
)


def analyze(
    data: Moments | Frame,
    arms: Assignment | npt.ArrayLike | str | None = None,
    *,
    metrics: Sequence[Metric] | Metric,
    control: str | int | None = None,
    segments: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    level: float | Critical = 0.95,
    observed: bool = False,
) -> Report:
    """Compare every arm with control on every metric.

    Parameters
    ----------
    data : mapping of str to array_like, dataframe, or Moments
        One row per person, with the columns that the metrics name; or the moments of such rows.
    arms : Assignment, array_like of str or int, shape (n,), or str
        The arm of each row, or the name of the column that has it. People outside the test (an integer -1 or an empty
        name) are dropped and counted in `Report.excluded`. An Assignment also has the planned shares, so the sample
        ratio is checked; `Assignment.recorded` makes one from arms that another tool drew. Not given with Moments.
    metrics : sequence of Proportion, Mean or Ratio
        What the arms are compared on.
    control : str or int, optional
        The arm that the others are compared with; "control" by default.
    segments : array_like, or mapping of str to array_like, optional
        The segment of each row, or several divisions by name (labels or booleans). Segments are reported in addition to
        everybody.
    level : float or ConfidenceSequence
        The confidence level of the intervals. With a ConfidenceSequence, intervals and p-values stay valid no matter
        how often you look.
    observed : bool
        True if the arms were not randomized: the report then speaks of differences, never of effects.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        A metric has a missing or infinite value (the message names the row), control is unknown, or there are fewer
        than two arms.
    MissingColumnError
        A column that a metric needs is not in the data.

    Examples
    --------
    >>> report = analyze({"bought": [0, 1, 0, 0, 1, 1, 0, 1]}, ["control", "mail"] * 4,
    ...                  metrics=[Proportion("bought")])
    >>> report.effect("bought").difference
    0.5 [-0.1355, 0.7891] (95 %, Newcombe)
    """
    found = check_metrics(metrics)
    sequence = None if isinstance(level, (int, float, str)) or not hasattr(level, "critical") else level
    sure = checks.fraction("level", level if sequence is None else sequence.level)
    notes: tuple[str, ...] = ()
    if isinstance(data, Moments):
        if arms is not None or segments is not None:
            raise InputError(
                "arms and segments are already in the Moments: give them to Moments.from_columns instead.",
                argument="arms",
                code="conflicting_arguments",
            )
        excluded: dict[str, int] = {"outside": data.excluded} if data.excluded else {}
        blocks = _blocks_of_moments(data)
        _refuse_caps(found, data)
    else:
        blocks, excluded, notes = _blocks_of_rows(data, arms, found, segments)
    at = control_of(blocks[0][1].arms, control)
    done: list[Check] = []
    if isinstance(arms, Assignment) and not observed:
        total = blocks[0][1]
        counts = {name: int(n) for name, n in zip(total.arms, total.count[:, 0], strict=True)}
        planned = dict(zip(arms.arms, arms.shares, strict=True))
        done.append(sample_ratio_test(dict.fromkeys(planned, 0) | counts, planned))
        if arms.stratified:
            notes = (*notes, STRATIFIED)
    source = Source(blocks=blocks, metrics=found, control=at, sequence=sequence)
    return Report(
        **compared_rows(source, alpha=1 - sure),
        control_arm=blocks[0][1].arms[at],
        level=sure,
        observed=observed,
        excluded=excluded,
        checks=tuple(done),
        notes=notes,
        source=source,
    )


def _refuse_caps(metrics: tuple[Metric, ...], moments: Moments) -> None:
    for metric in metrics:
        if not isinstance(metric, Proportion) and metric.cap is not None and metric.kept[0] not in moments.columns:
            raise InputError(
                f"{metric.name} has cap {metric.cap:g}: Moments hold no rows to cap.",
                argument="metrics",
                code="missing_argument",
                hint=(
                    f"Make them from the capped column, "
                    f"np.minimum(values, {metric.cap:g}), under the name {metric.kept[0]!r}."
                ),
            )


def _blocks_of_moments(moments: Moments) -> tuple[tuple[str, Moments], ...]:
    if len(moments.segments) == 1 and moments.segments[0] == "":
        return (("", moments),)
    return (("", moments.total()), ("segment", moments))


def _blocks_of_rows(
    data: Any, arms: Any, metrics: tuple[Metric, ...], segments: Any
) -> tuple[tuple[tuple[str, Moments], ...], dict[str, int], tuple[str, ...]]:
    if arms is None:
        raise InputError("arms is None: give the arm of each row, or Moments.", argument="arms", code="missing_value")
    arm_names, codes = arm_codes(arms, data)
    read = tuple(dict.fromkeys(name for metric in metrics for name in metric.columns))
    columns = columns_by_name(data, read, len(codes))
    for metric in metrics:
        if isinstance(metric, Proportion):
            _check_zeros_and_ones(metric.name, columns[metric.name], codes)
    columns, notes = _capped(columns, metrics, codes)
    names = tuple(dict.fromkeys(name for metric in metrics for name in metric.kept))
    if segments is None:
        divisions: dict[str, Any] = {}
    elif isinstance(segments, Mapping):
        divisions = {checks.text("a segment's name", name): labels for name, labels in segments.items()}
    else:
        divisions = {"segment": segments}
    # Only products of columns that meet in a metric are needed.
    pairs = sorted(
        {
            (min(i, j), max(i, j))
            for metric in metrics
            for i in map(names.index, metric.kept)
            for j in map(names.index, metric.kept)
        }
    )
    blocks: list[tuple[str, Moments]] = []
    for dimension, labels in divisions.items():
        segment_names, groups = segment_codes(labels, len(codes))
        cells = Cells(arm_names, codes, segment_names, groups)
        blocks.append((dimension, Moments.of_cells(columns, cells, names, pairs)))
    cells = Cells(arm_names, codes)
    total = blocks[0][1].total() if blocks else Moments.of_cells(columns, cells, names, pairs)
    amounts = list(dict.fromkeys(metric.kept[0] for metric in metrics if not isinstance(metric, Proportion)))
    if amounts and total.count.min(initial=np.inf) < FEW:
        total = total.with_third(columns, cells, amounts)
    if isinstance(arms, Assignment):
        return (("", total), *blocks), arms.excluded, notes
    return (("", total), *blocks), {"outside": total.excluded} if total.excluded else {}, notes


def _capped(
    columns: dict[str, npt.NDArray[Any]], metrics: tuple[Metric, ...], codes: npt.NDArray[np.int64]
) -> tuple[dict[str, npt.NDArray[Any]], tuple[str, ...]]:
    """Return the columns, with capped ones added, and notes on what was capped."""
    out, notes = dict(columns), []
    for metric in metrics:
        if isinstance(metric, Proportion) or metric.cap is None:
            continue
        name = metric.columns[0]
        values = columns[name]
        out[capped_name(name, metric.cap)] = np.minimum(values, metric.cap)
        beyond = int(np.count_nonzero((values > metric.cap) & (codes >= 0)))
        notes.append(f"{name} is capped at {metric.cap:g}: {beyond:,} people have more, and count with this value")
    return out, tuple(dict.fromkeys(notes))


def _check_zeros_and_ones(name: str, values: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> None:
    if values.dtype.kind == "b":
        return
    bad = (values != 0) & (values != 1)
    if bad.any():
        checks.refuse_rows(
            name,
            bad & (codes >= 0),
            values,
            "a Proportion needs True and False, or 1 and 0, for each person",
            f"Fill missing ones, or use Mean({name!r}) for amounts.",
        )
