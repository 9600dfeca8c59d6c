"""From rows or moments to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.experiments._comparisons import Compared, compare
from relmark.experiments.assignment import Assignment
from relmark.experiments.metrics import Metric, Proportion, check_metrics
from relmark.experiments.moments import Moments, arm_codes, columns_by_name, segment_codes
from relmark.experiments.report import Report, Source
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = ["analyze"]

FloatArray = npt.NDArray[np.float64]


def analyze(
    data: Mapping[str, Any] | Moments | Any,
    arm: Assignment | npt.ArrayLike | None = None,
    *,
    metrics: Sequence[Metric] | Metric,
    control: str | int | None = None,
    segments: npt.ArrayLike | Mapping[str, npt.ArrayLike] | None = None,
    level: float = 0.95,
    observed: bool = False,
    sequence: Any = None,
    shares: Mapping[str, float] | None = None,
) -> Report:
    """Compare every arm with control on every metric.

    Parameters
    ----------
    data : mapping of str to array_like, dataframe, or Moments
        One row a person, the columns that the metrics name; or the moments of such rows.
    arm : Assignment, or array_like of str or int, shape (n,)
        The arm of each row. People outside (an integer -1, an empty name) are dropped and counted in
        `Report.excluded`. Not given with Moments.
    metrics : sequence of Proportion, Mean or Ratio
    control : str or int, optional
        The arm that the others are compared with; "control" without it.
    segments : array_like, or mapping of str to array_like, optional
        The segment of each row, or several divisions by name (labels or booleans). Each is reported beside everybody.
    level : float
        The confidence of the intervals.
    observed : bool
        True where the arms were not randomized: the report then speaks of differences, never of effects.
    sequence : ConfidenceSequence, optional
        Intervals and p-values that stay valid however often one looks.
    shares : mapping of str to float, optional
        The planned share of each arm, for the check of the sample ratio; an Assignment brings its own.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        A metric with a missing or infinite value, with its row; an unknown control; fewer than two arms.
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
    checks.fraction("level", level)
    if isinstance(data, Moments):
        if arm is not None or segments is not None:
            raise InputError("arm and segments are already in the Moments: give them to Moments.from_columns instead.")
        excluded: dict[str, int] = {"outside": data.excluded} if data.excluded else {}
        blocks = _blocks_of_moments(data)
    else:
        blocks, excluded = _blocks_of_rows(data, arm, found, segments)
    at = control_of(blocks[0][1].arms, control)
    done: list[Check] = []
    planned = arm if isinstance(arm, Assignment) else None
    if shares is None and planned is not None:
        shares = dict(zip(planned.arms, planned.shares, strict=True))
    if shares is not None and not observed:
        total = blocks[0][1]
        counts = {name: int(n) for name, n in zip(total.arms, total.count[:, 0], strict=True)}
        done.append(sample_ratio_test(dict.fromkeys(shares, 0) | counts, shares))
    source = Source(blocks=blocks, metrics=found, control=at, sequence=sequence)
    return make_report(source, level=level, observed=observed, excluded=excluded, checks=tuple(done))


def control_of(arms: tuple[str, ...], control: str | int | None) -> int:
    """Return the position of the control arm."""
    if len(arms) < 2:
        raise InputError(f"arm has only {', '.join(map(repr, arms)) or 'no arm'}: at least two arms are compared.")
    name = "control" if control is None else str(int(control) if isinstance(control, bool) else control)
    if name not in arms:
        asked = "control is not given, and no arm is called 'control'" if control is None else f"control is {control!r}"
        raise InputError(f"{asked}: the arms are {', '.join(map(repr, arms))}." + did_you_mean(name, arms))
    return arms.index(name)


def two_arms(names: tuple[str, ...], control: Any, treatment: Any) -> tuple[int, int]:
    """Return the positions of control and of the arm that is compared with it."""
    at0 = control_of(names, control)
    others = [name for k, name in enumerate(names) if k != at0]
    if treatment is None and len(others) > 1:
        raise InputError(f"treatment is not given: choose one of {', '.join(map(repr, others))}.")
    wanted = others[0] if treatment is None else str(treatment)
    if wanted not in others:
        raise InputError(f"treatment is {wanted!r}: it must be one of {', '.join(map(repr, others))}.")
    return at0, names.index(wanted)


def _blocks_of_moments(moments: Moments) -> tuple[tuple[str, Moments], ...]:
    if len(moments.segments) == 1 and moments.segments[0] == "":
        return (("", moments),)
    return (("", moments.total()), ("segment", moments))


def _blocks_of_rows(
    data: Any, arm: Any, metrics: tuple[Metric, ...], segments: Any
) -> tuple[tuple[tuple[str, Moments], ...], dict[str, int]]:
    if arm is None:
        raise InputError("arm is None: give the arm of each row, or Moments.")
    arms, codes = arm_codes(arm)
    names = tuple(dict.fromkeys(name for metric in metrics for name in metric.columns))
    columns = columns_by_name(data, names, len(codes))
    for metric in metrics:
        if isinstance(metric, Proportion):
            _check_zeros_and_ones(metric.name, columns[metric.name], codes)
    if segments is None:
        divisions: dict[str, Any] = {}
    elif isinstance(segments, Mapping):
        divisions = {checks.text("a segment's name", name): labels for name, labels in segments.items()}
    else:
        divisions = {"segment": segments}
    # Only products of columns that meet in a metric are needed.
    pairs = {
        (min(i, j), max(i, j))
        for metric in metrics
        for i in map(names.index, metric.columns)
        for j in map(names.index, metric.columns)
    }
    blocks: list[tuple[str, Moments]] = []
    for dimension, labels in divisions.items():
        segment_names, groups = segment_codes(labels, len(codes))
        moments = Moments._of_codes(columns, arms, codes, segment_names, groups, names, sorted(pairs))  # noqa: SLF001
        blocks.append((dimension, moments))
    if blocks:
        total = blocks[0][1].total()
    else:
        total = Moments._of_codes(columns, arms, codes, ("",), None, names, sorted(pairs))  # noqa: SLF001
    excluded = arm.excluded if isinstance(arm, Assignment) else ({"outside": total.excluded} if total.excluded else {})
    return (("", total), *blocks), excluded


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


def make_report(source: Source, *, level: float, alpha: FloatArray | None = None, **rest: Any) -> Report:
    """Return the report of moments; `alpha` gives a level of its own to each row."""
    total = source.blocks[0][1]
    treatments = [arm for arm in range(len(total.arms)) if arm != source.control]
    parts: list[tuple[str, str, str, tuple[str, ...], Compared]] = []
    row = 0
    for metric in source.metrics:
        for arm in treatments:
            for dimension, moments in source.blocks:
                rows = len(moments.segments)
                a = np.full(rows, 1 - level) if alpha is None else alpha[row : row + rows]
                done = compare(metric, moments, arm, source.control, a, source.sequence)
                parts.append((metric.name, total.arms[arm], dimension, moments.segments, done))
                row += rows
    sizes = [len(segments) for _, _, _, segments, _ in parts]
    columns: dict[str, Any] = {}
    for name in Compared._fields:
        if name in {"method", "relative_method"}:
            columns[name] = np.repeat(np.array([getattr(part[4], name) for part in parts]), sizes)
        else:
            columns[name] = np.concatenate([getattr(part[4], name) for part in parts])
    for name in ("n_control", "n_treatment"):
        columns[name] = columns[name].astype(np.int64)
    return Report(
        metric=np.repeat(np.array([part[0] for part in parts]), sizes),
        arm=np.repeat(np.array([part[1] for part in parts]), sizes),
        dimension=np.repeat(np.array([part[2] for part in parts]), sizes),
        segment=np.concatenate([np.array(part[3]) for part in parts]),
        control_arm=total.arms[source.control],
        level=level,
        source=source,
        **columns,
        **rest,
    )
