"""Pictures of lifetime value: tracking, frequencies, who is still a customer, expected and actual purchases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, one_of
from relmark.core.errors import InputError
from relmark.ltv.alive_history import AliveHistory
from relmark.ltv.auto import ModelChoice
from relmark.ltv.diagnostics import FrequencyTable, RecencyFrequencyMatrix
from relmark.ltv.equity import CustomerEquity
from relmark.ltv.holdout import CalibrationTable, HoldoutReport
from relmark.ltv.tracking import CohortTracking
from relmark.ltv.value import LifetimeValue
from relmark.plots.canvas import (
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    canvas,
    counts_on,
    dates_on,
    number_text,
    share_text,
    shares_on,
    titled,
)
from relmark.plots.marks import bars, columns, heat, lines, reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "alive_history",
    "equity",
    "frequency",
    "holdout",
    "model_choice",
    "recency_frequency",
    "survival",
    "tracking",
    "value_by_tenth",
]

_ACTUAL_AND_EXPECTED = (GREY, BLUE)


class Survives(Protocol):
    """A model of contracts that has a survival function."""

    def survival(self, periods: npt.ArrayLike) -> FloatArray | float:
        """Return the share of a cohort that is left after a number of renewals."""
        ...


def tracking(result: CohortTracking, *, cumulative: bool = False, ax: Axes | None = None) -> Axes:
    """Draw the actual repeat purchases by period, and those that a model expects.

    Parameters
    ----------
    result : CohortTracking
    cumulative : bool
        Whether to draw all purchases up to the end of each period.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    actual, expected = (
        (result.actual_cumulative, result.expected_cumulative) if cumulative else (result.actual, result.expected)
    )
    x = result.period_end.astype("M8[D]").astype(object)
    ax.set_ylim(0, 1.08 * float(np.nanmax(np.concatenate([actual, expected]), initial=1.0)))
    lines(ax, x, {"actual": actual, "expected": expected}, colors=_ACTUAL_AND_EXPECTED, styles=["-", "--"])
    if 0 < result.calibration_periods < len(x):
        reference(ax, _number_of(ax, x[result.calibration_periods - 1]), "fitted up to here", along="x")
    counts_on(ax.yaxis)
    dates_on(ax.xaxis)
    what = "repeat purchases so far" if cumulative else f"repeat purchases per {result.unit}"
    titled(ax, f"{what}, {result.customers:,} customers", "", "purchases", above=True)
    return ax


def _number_of(ax: Axes, value: object) -> float:
    return float(ax.convert_xunits(value))  # type: ignore[no-untyped-call]


def frequency(table: FrequencyTable, *, ax: Axes | None = None) -> Axes:
    """Draw how many customers made each number of repeat purchases, and how many the model expects.

    Parameters
    ----------
    table : FrequencyTable
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    labels = [*map(str, table.frequency[:-1].tolist()), f"{table.frequency[-1]}+"]
    columns(ax, labels, {"actual": table.observed, "expected": table.expected}, colors=_ACTUAL_AND_EXPECTED)
    counts_on(ax.yaxis)
    titled(ax, f"{float(table.observed.sum()):,.0f} customers", "repeat purchases", "customers")
    return ax


def holdout(report: HoldoutReport, *, ax: Axes | None = None) -> Axes:
    """Draw purchases in the holdout by the number before it: actual, expected, and at the same rate as before.

    Parameters
    ----------
    report : HoldoutReport
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    ax.set_ylim(0, 1.08 * float(np.nanmax([*report.actual, *report.expected, *report.as_before], initial=0.1)))
    lines(ax, report.frequency, {"actual": report.actual, "expected": report.expected, "as before": report.as_before},
          colors=(GREY, BLUE, ORANGE), styles=["-", "--", ":"], markers=True)  # fmt: skip
    titled(ax, f"{int(report.customers.sum()):,} customers: expected {report.expected_total:,.0f}, actual "
               f"{report.actual_total:,.0f}", "repeat purchases before (the last: this many or more)",
           "mean purchases in the holdout")  # fmt: skip
    return ax


def recency_frequency(
    matrix: RecencyFrequencyMatrix, *, what: Literal["probability_alive", "expected_purchases"] = "probability_alive",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a model's probability or expectation for customers of one age, by frequency and age at the last purchase.

    Parameters
    ----------
    matrix : RecencyFrequencyMatrix
    what : {"probability_alive", "expected_purchases"}
    ax : matplotlib Axes, optional
    """
    one_of("what", what, ("probability_alive", "expected_purchases"))
    ax = canvas(ax)
    alive = what == "probability_alive"
    heat(ax, getattr(matrix, what)[::-1], [f"{age:g}" for age in matrix.recency[::-1]],
         [f"{count:g}" for count in matrix.frequency], says=share_text if alive else number_text,
         most=1.0 if alive else None)  # fmt: skip
    said = "probability of still being a customer" if alive else f"expected purchases in the next {matrix.t:g}"
    titled(ax, f"{said}, of customers of age {matrix.T:g}", "repeat purchases", "age at the last purchase")
    return ax


def value_by_tenth(result: CalibrationTable | LifetimeValue, *, ax: Axes | None = None) -> Axes:
    """Draw tenths of the customers: expected and actual purchases of a holdout, or the share of the total value.

    Parameters
    ----------
    result : CalibrationTable or LifetimeValue
        For a lifetime value, the picture shows each tenth's share of all value, the most valuable tenth first.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    if isinstance(result, CalibrationTable):
        columns(ax, range(1, len(result.customers) + 1), {"actual": result.actual, "expected": result.expected},
                colors=_ACTUAL_AND_EXPECTED)  # fmt: skip
        titled(ax, f"{int(result.customers.sum()):,} customers in groups of similar expectation",
               "group, lowest expectation first", "mean purchases")  # fmt: skip
        return ax
    value = np.sort(result.value[np.isfinite(result.value)])[::-1]
    if not len(value):
        raise InputError(
            "result has no customer with a finite value, so there is nothing to draw.",
            argument="result",
            code="empty",
        )
    total = float(value.sum())
    parts = [float(part.sum()) / total if total else 0.0 for part in np.array_split(value, 10)]
    columns(ax, range(1, 11), {"value": parts})
    shares_on(ax.yaxis)
    reference(ax, 0.1, "if all equal")
    titled(ax, f"value of {len(value):,} customers within {result.horizon:.3g} {result.unit}s: {total:,.0f}",
           "tenth of the customers, the most valuable first", "share of all value")  # fmt: skip
    return ax


def survival(
    models: Mapping[str, Survives], *, periods: int, left: npt.ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the share of a cohort that models expect to be left after each renewal, and what was observed.

    Parameters
    ----------
    models : mapping of str to BetaDiscreteWeibull or ShiftedBetaGeometric
        The models by the names to show.
    periods : int
        The number of renewals to draw.
    left : array_like, optional
        The observed number of customers of a cohort after 0, 1, 2, ... renewals.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    at = np.arange(periods + 1)
    ax.set_ylim(0, 1.04)
    lines(ax, at, {name: np.asarray(model.survival(at.astype(np.float64))) for name, model in models.items()},
          colors=SERIES, styles=["-", "--", "-.", ":"])  # fmt: skip
    if left is not None:
        seen = np.asarray(left, dtype=np.float64)
        ax.plot(np.arange(len(seen)), seen / seen[0], "o", color=GREY, markersize=6, label="observed")
        ax.legend(*[[one[-1]] for one in ax.get_legend_handles_labels()], frameon=False, fontsize="small")
    shares_on(ax.yaxis)
    titled(ax, "share of a cohort that is left", "renewals", "share left")
    return ax


def alive_history(history: AliveHistory, *, ax: Axes | None = None) -> Axes:
    """Draw a model's probability that one customer is still active through time, with a mark for each purchase.

    Parameters
    ----------
    history : AliveHistory
        Purchases between two times are one mark, at the later time.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    x = history.time.astype("M8[us]").astype(object)
    ax.set_ylim(0, 1.08)
    lines(ax, x, {"P(alive)": history.p_alive})
    known = np.nan_to_num(history.frequency, nan=-1.0)
    bought = np.flatnonzero(np.diff(known, prepend=-1.0) > 0)
    ax.plot(
        x[bought], np.full(len(bought), 1.04), "|", color=ORANGE, markersize=10, markeredgewidth=2, label="purchases"
    )
    shares_on(ax.yaxis)
    dates_on(ax.xaxis)
    titled(ax, f"customer {history.customer_id}: probability of still being active (marks: purchases)", "", "P(alive)")
    return ax


def equity(result: CustomerEquity, *, ax: Axes | None = None) -> Axes:
    """Draw the total value of the customers of each cohort and segment.

    Parameters
    ----------
    result : CustomerEquity
    ax : matplotlib Axes, optional
    """
    groups = [one for one in (result.cohort, result.segment) if one is not None]
    labels = [", ".join(str(one[row]) for one in groups) for row in range(len(result.customers))]
    ax = canvas(ax, rows=len(labels))
    bars(
        ax,
        [f"{label or 'all'} ({count:,.0f})" for label, count in zip(labels, result.customers, strict=True)],
        result.value,
    )
    counts_on(ax.xaxis)
    titled(
        ax, f"customer equity, {float(np.sum(result.customers)):,.0f} customers", "value", "cohort, segment (customers)"
    )
    return ax


def model_choice(choice: ModelChoice, *, ax: Axes | None = None) -> Axes:
    """Draw by how much each model fits worse than the best one.

    Parameters
    ----------
    choice : ModelChoice
        Models are compared by the held-out log-likelihood, or by BIC if nothing was held out.
    ax : matplotlib Axes, optional
    """
    held = np.isfinite(choice.held_out).any()
    behind = np.nanmax(choice.held_out) - choice.held_out if held else choice.bic - np.nanmin(choice.bic)
    order = np.argsort(np.where(np.isfinite(behind), behind, np.inf), kind="stable")
    ax = canvas(ax, rows=len(order))
    bars(ax, choice.candidate[order], behind[order])
    titled(ax, f"chosen: {choice.name}", "held-out log-likelihood below the best" if held else "BIC above the best")
    return ax
