"""Pictures of attribution: credit by model, lengths and lags of journeys, and what removing a channel would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relmark.attribution.credit import Credit, CreditComparison
from relmark.attribution.markov import MarkovModel
from relmark.attribution.reports import PathLengths, TimeLags
from relmark.attribution.returns import ChannelReturns
from relmark.plots.canvas import BLUE, GREY, SERIES, canvas, counts_on, number_text, share_text, shares_on, titled
from relmark.plots.marks import bars, columns, reference, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["credit", "path_lengths", "removal_effects", "returns", "time_lags"]

_MARKERS = "os^Dvp"


def credit(result: Credit | CreditComparison, *, ax: Axes | None = None) -> Axes:
    """Draw the conversions that a model credits to each channel, or the shares from several models.

    Parameters
    ----------
    result : Credit or CreditComparison
        If the credit has bootstrap intervals, they are drawn too.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from relmark.attribution import Journeys, LastTouch
    >>> journeys = Journeys.from_paths(["mail > shop", "shop"], conversions=[2, 1])
    >>> credit(LastTouch().attribute(journeys)).get_xlabel()
    'conversions'
    """
    if isinstance(result, Credit):
        order = np.argsort(-result.conversions, kind="stable")
        ax = canvas(ax, rows=len(order))
        ends = (result.conversions_low, result.conversions_high)
        low, high = (None if end is None else end[order] for end in ends)
        bars(ax, result.channels[order], result.conversions[order], low=low, high=high)
        counts_on(ax.xaxis)
        titled(ax, f"{result.model}: credit for {float(result.conversions.sum()):,.0f} conversions", "conversions")
        return ax
    order = np.argsort(-result.shares.mean(axis=1), kind="stable")
    ax = canvas(ax, rows=max(2 * len(order), len(result.models)))
    for number, model in enumerate(result.models):
        place = np.arange(len(order)) + 0.09 * (number - (len(result.models) - 1) / 2)
        color, marker = SERIES[number % len(SERIES)], _MARKERS[number % len(_MARKERS)]
        ax.plot(result.shares[order, number], place, marker, color=color, label=model, markersize=6)
    ax.set_yticks(np.arange(len(order)), [str(name) for name in result.channels[order]])
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.grid(axis="y", alpha=0.25)
    shares_on(ax.xaxis)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    titled(ax, f"share of the credit by model, {float(result.conversions[:, 0].sum()):,.0f} conversions", "share")
    return ax


def path_lengths(table: PathLengths, *, ax: Axes | None = None) -> Axes:
    """Draw journeys by their number of touches: how many converted and how many did not.

    Parameters
    ----------
    table : PathLengths
        Lengths above 15 are combined into one column.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    long = table.length > 15
    labels = [*map(str, table.length[~long].tolist()), *(["16+"] if long.any() else [])]

    def folded(values: np.ndarray) -> np.ndarray:
        return np.append(values[~long], values[long].sum()) if long.any() else values[~long]

    columns(ax, labels, {"converted": folded(table.conversions), "did not": folded(table.nulls)}, colors=(BLUE, GREY))
    counts_on(ax.yaxis)
    titled(ax, f"{float(table.conversions.sum() + table.nulls.sum()):,.0f} journeys", "touches", "journeys")
    return ax


def time_lags(table: TimeLags, *, ax: Axes | None = None) -> Axes:
    """Draw how long converting journeys took from their first touch.

    Parameters
    ----------
    table : TimeLags
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    ax.bar(np.arange(len(table.from_days)), table.conversions, 0.8, color=BLUE)
    ticks(ax, [f"{low:g}-{high:g}" if np.isfinite(high) else f"{low:g}+" for low, high in
               zip(table.from_days, table.to_days, strict=True)])  # fmt: skip
    counts_on(ax.yaxis)
    total = f"{float(table.conversions.sum()):,.0f} conversions"
    titled(
        ax,
        f"{total}, after {table.mean_days_converting:.3g} days on average",
        "days from the first touch",
        "conversions",
    )
    return ax


def removal_effects(model: MarkovModel, *, ax: Axes | None = None) -> Axes:
    """Draw the share of the conversions that would be lost without each channel.

    Parameters
    ----------
    model : MarkovModel
    ax : matplotlib Axes, optional
    """
    order = np.argsort(-model.removal_effects, kind="stable")
    ax = canvas(ax, rows=len(order))
    bars(ax, model.channels[order], model.removal_effects[order], says=share_text)
    shares_on(ax.xaxis)
    titled(ax, f"removal effects, Markov model of order {model.order}", "share of conversions lost without the channel")
    return ax


def returns(table: ChannelReturns, *, ax: Axes | None = None) -> Axes:
    """Draw the value of each channel per unit of cost, with a line where it equals the cost.

    Parameters
    ----------
    table : ChannelReturns
    ax : matplotlib Axes, optional
    """
    known = np.flatnonzero(np.isfinite(table.roas))
    order = known[np.argsort(-table.roas[known], kind="stable")]
    ax = canvas(ax, rows=len(order))
    bars(ax, table.channel[order], table.roas[order], says=number_text)
    reference(ax, 1.0, "break-even", along="x")
    titled(ax, f"value / cost, {table.model}", "value / cost (ROAS)", above=True)
    return ax
