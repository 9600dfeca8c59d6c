"""Pictures of metrics: retention and value of cohorts, funnels, paths, messages, responses, sales, and a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.metrics.cohort_tables import CohortRetention, CohortValue
from relmark.metrics.commerce import CommerceMetrics, Pareto
from relmark.metrics.contact_pressure import ContactPressure
from relmark.metrics.estimates import Estimates
from relmark.metrics.funnel_table import Funnel
from relmark.metrics.marketing_report import MarketingReport
from relmark.metrics.messages import MessageMetrics
from relmark.metrics.paths import JourneyMap, Paths
from relmark.metrics.pipeline import Pipeline
from relmark.metrics.response_profile import ResponseProfile
from relmark.metrics.surveys import SurveyScores
from relmark.plots.canvas import (
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    canvas,
    counts_on,
    number_text,
    share_text,
    shares_on,
    titled,
)
from relmark.plots.marks import bars, beside, forest, heat, lines, named, reference, stacked, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "cohort_value", "commerce", "contact_pressure", "funnel", "journey_map", "marketing_report", "messages", "pareto",
    "paths", "pipeline", "response_profile", "retention", "survey",
]  # fmt: skip


def _labels(by: Mapping[str, npt.NDArray[Any]], own: npt.NDArray[Any] | None, n: int) -> list[str]:
    """Return the labels of rows: their groups and their own name."""
    columns_of = [*by.values(), *([] if own is None else [own])]
    return [", ".join(str(column[row]) for column in columns_of) or "all" for row in range(n)]


def _figures(value: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return an Estimate or Estimates as columns: figure, low, high."""
    if isinstance(value, Estimates):
        return np.asarray(value.value), np.asarray(value.low), np.asarray(value.high)
    return np.array([value.value]), np.array([value.low]), np.array([value.high])


def retention(result: CohortRetention, *, ax: Axes | None = None) -> Axes:
    """Draw the share of each cohort that came back in each period since its start.

    Parameters
    ----------
    result : CohortRetention
        Cells that have not been observed yet are empty.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> from relmark.metrics import cohort_retention
    >>> orders = {"user": ["a", "b", "b"], "day": ["2026-01-05", "2026-01-10", "2026-02-12"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day")
    >>> retention(cohort_retention(base, as_of="2026-03-01")).get_xlabel()
    'month since the start'
    """
    ax = canvas(ax, rows=len(result.cohorts))
    names = _labels(result.by, result.cohorts, len(result.cohorts))
    heat(ax, result.table, [f"{name} ({size:,})" for name, size in zip(names, result.sizes, strict=True)],
         range(result.table.shape[1]), says=share_text, most=1.0)  # fmt: skip
    titled(ax, f"who came back ({result.kind}), {int(result.sizes.sum()):,} customers, as of {result.as_of}",
           f"{result.period} since the start", "cohort (customers)")  # fmt: skip
    return ax


def cohort_value(result: CohortValue, *, ax: Axes | None = None) -> Axes:
    """Draw the money per customer of each cohort up to each period.

    Parameters
    ----------
    result : CohortValue
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax, rows=len(result.cohorts))
    names = _labels(result.by, result.cohorts, len(result.cohorts))
    heat(ax, result.per_customer, [f"{name} ({size:,})" for name, size in zip(names, result.sizes, strict=True)],
         range(result.per_customer.shape[1]), says=number_text)  # fmt: skip
    titled(ax, f"money per customer so far, {int(result.sizes.sum()):,} customers, as of {result.as_of}",
           f"{result.period} since the start", "cohort (customers)")  # fmt: skip
    return ax


def funnel(result: Funnel, *, ax: Axes | None = None) -> Axes:
    """Draw how many continued from each step, how many may still continue, and how many were lost there.

    Parameters
    ----------
    result : Funnel
    ax : matplotlib Axes, optional
    """
    labels = _labels(result.by, result.step, len(result.step))
    ax = canvas(ax, rows=len(labels))
    on = result.counts - result.still_open - result.lost
    stacked(ax, labels, {"continued": on, "still open": result.still_open, "lost here": result.lost},
            colors=(BLUE, ORANGE, GREY))  # fmt: skip
    for row, (count, rate) in enumerate(zip(result.counts, result.rates.value, strict=True)):
        beside(ax, f"{count:,} ({share_text(float(rate))})", float(count), row)
    ax.set_xlim(0, 1.28 * float(result.counts.max(initial=0)) or 1.0)
    counts_on(ax.xaxis)
    ax.set_xlabel(f"{result.counted}, {result.window}")
    return ax


def paths(result: Paths, *, most: int = 15, ax: Axes | None = None) -> Axes:
    """Draw the most frequent paths.

    Parameters
    ----------
    result : Paths
    most : int
        The largest number of paths to draw.
    ax : matplotlib Axes, optional
    """
    labels = _labels(result.by, result.path, len(result.path))[:most]
    ax = canvas(ax, rows=len(labels))
    bars(
        ax,
        labels,
        result.share.value[:most],
        says=share_text,
        low=result.share.low[:most],
        high=result.share.high[:most],
    )
    shares_on(ax.xaxis)
    titled(ax, f"paths of {int(result.journeys.sum()):,} journeys shown, {result.window}", "share of the journeys")
    return ax


def journey_map(result: JourneyMap, *, ax: Axes | None = None) -> Axes:
    """Draw where people go: the share of the transitions from each row that lead to each column.

    Parameters
    ----------
    result : JourneyMap
        A map without groups.
    ax : matplotlib Axes, optional
    """
    if result.by:
        raise InputError(
            f"the map has groups by {', '.join(result.by)}, which cannot be drawn: make a map without groups.",
            argument="result",
            code="not_supported",
        )
    names = list(dict.fromkeys([*result.origin.tolist(), *result.target.tolist()]))
    rows = [name for name in names if name != "(end)"]
    to = [name for name in names if name != "(start)"]
    table = np.full((len(rows), len(to)), np.nan)
    for origin, target, share in zip(result.origin, result.target, result.share.value, strict=True):
        table[rows.index(origin), to.index(target)] = share
    ax = canvas(ax, rows=len(rows))
    heat(ax, table, rows, to, says=share_text, most=1.0)
    titled(ax, f"{int(result.transitions.sum()):,} transitions, {result.window}", "to", "from")
    return ax


def messages(result: MessageMetrics, *, figure: str = "ctr_delivered", ax: Axes | None = None) -> Axes:
    """Draw a rate of messages by group with its interval; if the groups are periods, draw it over time.

    Parameters
    ----------
    result : MessageMetrics
    figure : str
        The rate to draw, such as "open_rate", "ctr_delivered" or "unsubscribe_rate".
    ax : matplotlib Axes, optional
    """
    rates = [name for name in result._field_names() if name.endswith(("_rate", "_sent", "_delivered", "_share"))]  # noqa: SLF001
    if figure not in rates or getattr(result, figure) is None:
        raise InputError(
            f"figure is {shown(figure)}; it must be one of {', '.join(rates)}.", argument="figure", code="unknown_name",
            hint=did_you_mean(str(figure), rates).strip(),
        )  # fmt: skip
    value, low, high = _figures(getattr(result, figure))
    labels = _labels(result.by, None, len(value))
    periods = len(result.by) == 1 and next(iter(result.by.values())).dtype.kind == "M"
    said = figure.replace("_", " ")
    ax = canvas(ax, rows=0 if periods else len(labels))
    title = f"{said} of {int(np.asarray(result.delivered).sum()):,} delivered messages"
    if periods:
        place = np.arange(len(value))
        ax.plot(place, value, "o-", color=BLUE)
        ax.fill_between(place, low, high, color=BLUE, alpha=0.2, linewidth=0)
        ax.set_ylim(0, 1.15 * float(np.nanmax(high, initial=0.01)))
        ticks(ax, labels)
        shares_on(ax.yaxis)
        titled(ax, title, "", said)
        return ax
    forest(ax, labels, value, low, high, says=share_text)
    ax.set_xlim(0, None)
    shares_on(ax.xaxis)
    titled(ax, title, said)
    return ax


def response_profile(result: ResponseProfile, *, ax: Axes | None = None) -> Axes:
    """Draw the response rate of each arm, and the expected rate of a customer without messages.

    Parameters
    ----------
    result : ResponseProfile
    ax : matplotlib Axes, optional
    """
    arms = result.arms
    labels = _labels(arms.by, None, len(arms.messages))
    ax = canvas(ax, rows=len(labels))
    value, low, high = _figures(arms.response_rate)
    forest(ax, [f"{label} ({count:,})" for label, count in zip(labels, arms.messages, strict=True)], value, low, high,
           says=share_text)  # fmt: skip
    ax.plot(np.asarray(arms.prior_mean), np.arange(len(labels)), "|", color=ORANGE, markersize=14, markeredgewidth=2.5,
            label="expected without messages")  # fmt: skip
    ax.set_xlim(0, None)
    named(ax)
    shares_on(ax.xaxis)
    titled(ax, "", f"response rate, {int(arms.messages.sum()):,} messages", "arm (messages)")
    return ax


def pipeline(result: Pipeline, *, ax: Axes | None = None) -> Axes:
    """Draw the probability of being won from each stage with its interval, and the share of closed deals won.

    Parameters
    ----------
    result : Pipeline
    ax : matplotlib Axes, optional
    """
    labels = _labels(result.by, result.stage, len(result.stage))
    ax = canvas(ax, rows=len(labels))
    value, low, high = _figures(result.win_probability)
    forest(ax, [f"{label} ({count:,})" for label, count in zip(labels, result.deals, strict=True)], value, low, high,
           says=share_text)  # fmt: skip
    ax.plot(_figures(result.closed_share)[0], np.arange(len(labels)), "|", color=ORANGE, markersize=14,
            markeredgewidth=2.5, label="won / closed, without open deals")  # fmt: skip
    ax.set_xlim(0, None)
    named(ax)
    shares_on(ax.xaxis)
    days = result.horizon_days[np.isfinite(result.horizon_days)]
    titled(
        ax,
        "",
        f"probability of being won within {float(days.max(initial=0)):,.0f} days of reaching the stage",
        "stage (deals)",
    )
    return ax


def marketing_report(report: MarketingReport, *, ax: Axes | None = None) -> Axes:
    """Draw by how much each figure of the period changed, with a line at no change.

    Parameters
    ----------
    report : MarketingReport
        Changes are relative to the period before; for shares they are differences.
    ax : matplotlib Axes, optional
    """
    known = np.flatnonzero(np.isfinite(report.change))
    ax = canvas(ax, rows=len(known))
    change = report.change[known]
    place = np.arange(len(known))
    ax.barh(place, change, 0.72, color=[BLUE if one >= 0 else ORANGE for one in change])
    for row, value in zip(place, change, strict=True):
        beside(ax, f"{'+' if value > 0 else ''}{share_text(float(value))}", max(float(value), 0.0), int(row))
    ax.set_yticks(place, [f"{report.section[k]}: {str(report.figure[k]).replace('_', ' ')}" for k in known])
    ax.set_ylim(len(known) - 0.5, -0.5)
    ax.axvline(0, color=GREY, linewidth=1)
    room = float(np.ptp(np.append(change, 0.0))) or 1.0
    ax.set_xlim(
        float(min(change.min(initial=0.0), 0.0)) - 0.05 * room, float(max(change.max(initial=0.0), 0.0)) + 0.22 * room
    )
    shares_on(ax.xaxis)
    titled(ax, f"{report.periods['this']} compared with {report.periods['before']}", "change (for shares: difference)")
    return ax


def pareto(result: Pareto, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the revenue that the best customers bring, and what it would be if all were equal.

    Parameters
    ----------
    result : Pareto
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    ax.set_ylim(0, 1.04)
    share = np.append(0.0, result.customer_share)
    lines(ax, share, {"actual": np.append(0.0, result.cumulative_share), "all equal": share}, colors=(BLUE, GREY),
          styles=["-", "--"])  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        shares_on(axis)
    title = f"{len(result.customer_id):,} customers, Gini {result.gini:.3f}"
    titled(ax, title, "share of the customers, the best first", "share of the revenue")
    return ax


def commerce(result: CommerceMetrics, *, ax: Axes | None = None) -> Axes:
    """Draw the revenue of new and returning customers by period, or their number if purchases have no money.

    Parameters
    ----------
    result : CommerceMetrics
        Metrics by period, without groups.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    money = np.isfinite(result.revenue).any()
    old = result.returning_revenue if money else result.returning_customers
    new = result.new_revenue if money else result.new_customers
    labels = _labels(result.by, result.period, len(result.period))
    place = np.arange(len(labels))
    ax.bar(place, old, 0.8, color=BLUE, label="returning customers")
    ax.bar(place, new, 0.8, bottom=old, color=ORANGE, label="new customers")
    ticks(ax, labels)
    counts_on(ax.yaxis)
    named(ax)
    titled(ax, "", "period", "revenue" if money else "customers")
    return ax


def contact_pressure(result: ContactPressure, *, ax: Axes | None = None) -> Axes:
    """Draw the rates of opens, clicks and unsubscribes by the number of messages in the days before.

    Parameters
    ----------
    result : ContactPressure
        A result without groups. Each rate is divided by that of the first row, so that all have one scale.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    series = {}
    for name, figures in (("opened", result.open_rate), ("clicked", result.click_rate),
                          ("unsubscribed", result.unsubscribe_rate)):  # fmt: skip
        value = np.asarray(figures.value, dtype=np.float64)
        if len(value) and value[0] > 0:
            series[name] = value / value[0]
    if not series:
        raise InputError(
            "no rate of the first row is above 0, so there is nothing to compare with.", argument="result", code="empty"
        )
    top = max(float(np.nanmax(one)) for one in series.values())
    ax.set_ylim(0, 1.1 * top)
    lines(ax, result.before, series, colors=SERIES, markers=True)
    reference(ax, 1.0, "none before")
    titled(ax, f"{int(result.messages.sum()):,} messages, {result.window}",
           "messages in the days before (the last: or more)", "rate / rate without messages before")  # fmt: skip
    return ax


def survey(result: SurveyScores, *, ax: Axes | None = None) -> Axes:
    """Draw the score of each group with its interval.

    Parameters
    ----------
    result : SurveyScores
    ax : matplotlib Axes, optional
    """
    labels = _labels(result.by, None, len(result.answers))
    ax = canvas(ax, rows=len(labels))
    value, low, high = _figures(result.score)
    forest(ax, [f"{label} ({count:,})" for label, count in zip(labels, result.answers, strict=True)], value, low, high)
    ax.axvline(0, color=GREY, linewidth=1, linestyle="--")
    titled(ax, f"{result.metric}, {int(result.answers.sum()):,} answers", result.unit or "score", "group (answers)")
    return ax
