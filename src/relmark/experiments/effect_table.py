"""Every comparison of a test in one table, and single effects from it: a report without the conclusions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.formats import format_number
from relmark.core.intervals import Estimate, Interval
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult
from relmark.experiments._comparisons import Source
from relmark.experiments.effects import Effect
from relmark.experiments.metrics import Proportion
from relmark.experiments.validity import Check

__all__ = ["EffectTable"]

TextArray = npt.NDArray[np.str_]

_HEADS = ("treatment", "difference", "relative", "p")

OBSERVED = (
    "the arms were not randomized: the groups may have differed from the start, so this is a difference between "
    "them and not the effect of the campaign"
)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EffectTable(ColumnarResult):
    """Every comparison of a test, one row for each metric, each arm, and everybody or a segment.

    Attributes
    ----------
    metric, arm, dimension, segment : ndarray of str, shape (n,)
        What was compared; `dimension` and `segment` are empty for everybody.
    n_control, n_treatment : ndarray of int64, shape (n,)
        The number of people in each arm.
    control, treatment : ndarray of float64, shape (n,)
        The metric in each arm.
    difference, difference_low, difference_high : ndarray of float64, shape (n,)
        Treatment minus control, and its interval.
    relative, relative_low, relative_high : ndarray of float64, shape (n,)
        Treatment divided by control, minus 1, and its interval.
    standard_error, statistic, df, p_value : ndarray of float64, shape (n,)
        The standard error of the difference, and the test of no difference.
    method, relative_method, reason, relative_reason : ndarray of str, shape (n,)
        Which method was used, and why a figure is NaN or needs care.
    note : ndarray of str, shape (n,)
        What else to know when reading the row.
    control_arm : str
        The arm that the others are compared with.
    level : float
        The confidence level of the intervals.
    observed : bool
        True if the arms were not randomized.
    excluded : mapping of str to int
        The number of people who were left out, by reason.
    checks : tuple of Check
        The checks of the test itself.
    notes : tuple of str
        What to know when reading the table.
    adjusted_p_value : ndarray of float64, shape (n,), optional
        After `adjust`, the adjusted p-value; compare it with 1 - `level`.
    row_level : ndarray of float64, shape (n,), optional
        After `adjust`, the level of each single interval, so that all together hold at `level`.
    adjustment : str
        After `adjust`, the method.
    """

    metric: TextArray
    arm: TextArray
    dimension: TextArray
    segment: TextArray
    n_control: npt.NDArray[np.int64]
    n_treatment: npt.NDArray[np.int64]
    control: FloatArray
    treatment: FloatArray
    difference: FloatArray
    difference_low: FloatArray
    difference_high: FloatArray
    relative: FloatArray
    relative_low: FloatArray
    relative_high: FloatArray
    standard_error: FloatArray
    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    method: TextArray
    relative_method: TextArray
    reason: TextArray
    relative_reason: TextArray
    note: TextArray
    control_arm: str
    level: float = 0.95
    observed: bool = False
    excluded: Mapping[str, int] = attrs.field(factory=dict)
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    adjusted_p_value: FloatArray | None = None
    row_level: FloatArray | None = None
    adjustment: str = ""
    _source: Source | None = attrs.field(default=None, alias="source")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics' names, in order."""
        return tuple(dict.fromkeys(self.metric.tolist()))

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that are compared with control."""
        return tuple(dict.fromkeys(self.arm.tolist()))

    @property
    def source(self) -> Source:
        """The moments and metrics that the report was made from."""
        if self._source is None:
            raise InputError(
                "this report does not carry its moments: make it with analyze(...).",
                argument="report",
                code="missing_argument",
            )
        return self._source

    def effect(self, metric: str, arm: str | None = None, segment: str = "", dimension: str | None = None) -> Effect:
        """Return one comparison.

        Parameters
        ----------
        metric : str
            A metric's name.
        arm : str, optional
            The arm; required if several are compared with control.
        segment : str
            A segment's name; everybody by default.
        dimension : str, optional
            The division that the segment belongs to, if several have a segment of this name.
        """
        row = self._row(metric, arm, segment, dimension)
        level = self._level_of(row)
        method, relative_method = str(self.method[row]), str(self.relative_method[row])
        difference = Estimate(
            float(self.difference[row]),
            _interval(self.difference_low[row], self.difference_high[row], level, _interval_method(method)),
            str(self.reason[row]),
        )
        relative = Estimate(
            float(self.relative[row]),
            _interval(self.relative_low[row], self.relative_high[row], level, relative_method),
            str(self.relative_reason[row]),
        )
        return Effect(
            metric=metric,
            arm=str(self.arm[row]),
            control_arm=self.control_arm,
            segment=_label(str(self.dimension[row]), str(self.segment[row])),
            n_control=int(self.n_control[row]),
            n_treatment=int(self.n_treatment[row]),
            control=float(self.control[row]),
            treatment=float(self.treatment[row]),
            difference=difference,
            relative=relative,
            standard_error=float(self.standard_error[row]),
            statistic=float(self.statistic[row]),
            df=float(self.df[row]),
            p_value=float(self.p_value[row]),
            method=method,
            of_shares=self._of_shares(metric),
            observed=self.observed,
            notes=self._notes_of(row),
        )

    def _of_shares(self, metric: str) -> bool:
        if self._source is None:
            return False
        spec = next((one for one in self._source.metrics if one.name == metric), None)
        return isinstance(spec, Proportion) and not spec.covariates

    def one_of_names(self, what: str, given: str | None, known: tuple[str, ...]) -> str:
        """Return the name that was given, or the only one there is; raise, naming the nearest, if it is unknown."""
        if given is None and len(known) == 1:
            return known[0]
        if given not in known:
            listed = ", ".join(map(repr, known)) or "none"
            raise InputError(
                f"{what} is {given!r}: the report has {listed}.",
                argument=what,
                code="unknown_name",
                hint=did_you_mean(str(given), known),
            )
        return given

    def _level_of(self, row: int) -> float:
        return self.level if self.row_level is None else float(self.row_level[row])

    def _row(self, metric: str, arm: str | None, segment: str, dimension: str | None) -> int:
        if metric not in self.metrics:
            raise InputError(
                f"metric is {metric!r}: the report has {', '.join(map(repr, self.metrics))}.",
                argument="metric",
                code="unknown_name",
                hint=did_you_mean(str(metric), self.metrics),
            )
        arms = self.arms
        if arm is None:
            if len(arms) > 1:
                raise InputError(
                    f"arm is not given: choose one of {', '.join(map(repr, arms))}.",
                    argument="arm",
                    code="missing_value",
                )
            arm = arms[0]
        if arm not in arms:
            raise InputError(
                f"arm is {arm!r}: the arms compared with {self.control_arm!r} are {', '.join(map(repr, arms))}.",
                argument="arm",
                code="unknown_name",
                hint=did_you_mean(str(arm), arms),
            )
        found = (self.metric == metric) & (self.arm == arm) & (self.segment == segment)
        found &= (self.dimension == dimension) if dimension is not None else (segment != "") | (self.dimension == "")
        rows = np.flatnonzero(found)
        if len(rows) == 0:
            known = tuple(dict.fromkeys(name for name in self.segment.tolist() if name))
            listed = ", ".join(map(repr, known[:20])) or "none"
            raise InputError(
                f"segment is {segment!r}: the report has {listed}.",
                argument="segment",
                code="unknown_name",
                hint=did_you_mean(segment, known),
            )
        if len(rows) > 1:
            dims = ", ".join(map(repr, dict.fromkeys(self.dimension[rows].tolist())))
            raise InputError(
                f"segment {segment!r} is in several divisions, {dims}: say which with dimension=.",
                argument="dimension",
                code="missing_argument",
            )
        return int(rows[0])

    def _notes_of(self, row: int) -> tuple[str, ...]:
        notes = list(self.notes)
        if self.observed:
            notes.insert(0, OBSERVED)
        notes += [check.message for check in self.checks if not check.passed]
        if self.note[row]:
            notes.append(str(self.note[row]))
        if self._source is not None:
            notes += _smallness(self._source, self, row)
        return tuple(notes)

    def rows(self, mask: npt.NDArray[np.bool_]) -> Self:
        """Return the report of some rows."""
        columns: dict[str, Any] = {name: column[mask] for name, column in self.to_columns().items()}
        return attrs.evolve(self, **columns)

    @property
    def word(self) -> str:
        """What the figures may be called: "effect" if the arms were randomized, "difference" if not."""
        return "difference" if self.observed else "effect"

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            f"{self.word}s": len(self.metric),
            "metrics": ", ".join(self.metrics),
            "arms": ", ".join(self.arms),
            "control": self.control_arm,
        }
        if self.excluded:
            facts["excluded"] = sum(self.excluded.values())
        return facts

    def _table(self) -> dict[str, Any]:
        labels = [_label(d, s) for d, s in zip(self.dimension.tolist(), self.segment.tolist(), strict=True)]
        table: dict[str, Any] = {"metric": self.metric.tolist(), "arm": self.arm.tolist()}
        if any(labels):
            table["segment"] = labels
        level = f"{100 * self.level:g} %"
        table |= {
            # As text, because shares and money are in one column and need different digits.
            self.control_arm if self.control_arm not in {*table, *_HEADS} else "control": _texts(self.control),
            "treatment": _texts(self.treatment),
            "difference": _texts(self.difference),
            f"{level} interval": _ranges(self.difference_low, self.difference_high),
            "relative": _texts(self.relative),
            f"{level} relative": _ranges(self.relative_low, self.relative_high),
            "p": _texts(self.p_value),
        }
        if self.adjusted_p_value is not None:
            table[f"p ({self.adjustment})"] = _texts(self.adjusted_p_value)
        return table

    def _lines(self) -> list[str]:
        lines = [f"check: {check}" for check in self.checks]
        if self.observed:
            lines.append(f"note: {OBSERVED}")
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"note: {note}" for note in dict.fromkeys(self.note.tolist()) if note]
        if self.excluded:
            out = ", ".join(f"{reason} {n:,}" for reason, n in self.excluded.items())
            lines.append(f"left out: {out}")
        reasons = dict.fromkeys([*self.reason.tolist(), *self.relative_reason.tolist()])
        return lines + [f"reason: {reason}" for reason in reasons if reason]


def _interval(low: float, high: float, level: float, method: str) -> Interval | None:
    if math.isnan(low) or math.isnan(high):
        return None
    return Interval(float(low), float(high), level, method)


def _interval_method(method: str) -> str:
    """Return the interval's part of a method's name: what comes before a test of proportions."""
    side = ", one-sided"
    if method.endswith(side):
        return _interval_method(method.removesuffix(side)) + side
    first, _, last = method.rpartition(", ")
    return first if last in {"pooled z", "Fisher", "Boschloo"} else method


def _label(dimension: str, segment: str) -> str:
    return f"{dimension}={segment}" if dimension and dimension != "segment" else segment


def _texts(values: FloatArray) -> list[str]:
    return [format_number(value) for value in values.tolist()]


def _ranges(low: FloatArray, high: FloatArray) -> list[str]:
    return [
        "" if math.isnan(a) else f"[{format_number(a)}, {format_number(b)}]"
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]


def _smallness(source: Source, report: EffectTable, row: int) -> list[str]:
    """Return a note if normal approximations are in doubt."""
    metric = next(m for m in source.metrics if m.name == report.metric[row])
    n0, n1 = int(report.n_control[row]), int(report.n_treatment[row])
    if n0 == 0 or n1 == 0:
        return []
    if isinstance(metric, Proportion) and not metric.covariates:
        pooled = (n0 * report.control[row] + n1 * report.treatment[row]) / (n0 + n1)
        fewest = min(n0, n1) * min(pooled, 1 - pooled)
        if fewest < 5 and metric.test == "z":
            rough = f"only {format_number(fewest)} yes or no are expected in an arm, so the p-value is rough"
            return [f"{rough}; test='boschloo' gives an exact one"]
    elif min(n0, n1) < 30:
        return [f"an arm has only {min(n0, n1)} people, and the interval assumes that means are about normal"]
    return []
