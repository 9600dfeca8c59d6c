"""Pictures of lead scores: their distribution by band, how outcomes depend on them, and what the best ones capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relmark.plots.canvas import BLUE, GREY, ORANGE, SERIES, canvas, counts_on, share_text, shares_on, titled
from relmark.plots.marks import lines, named, reference, ticks
from relmark.scoring.calibration import Calibration
from relmark.scoring.lift import LiftTable
from relmark.scoring.scores import LeadScores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["calibration", "gains", "lift", "score_distribution"]

_BINS = 40


def score_distribution(scores: LeadScores, *, ax: Axes | None = None) -> Axes:
    """Draw the distribution of points over customers, by band.

    Parameters
    ----------
    scores : LeadScores
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from relmark import CustomerBase, CustomerTable, event, field
    >>> from relmark.scoring import LeadScore, Rule
    >>> score = LeadScore(name="demo", bands={"warm": 5}, rules=[Rule("grown", when=field("age") >= 18, points=5)])
    >>> base = CustomerBase(customers=CustomerTable.from_columns(customer_id=["a", "b"], age=[20, 3]))
    >>> score_distribution(score.evaluate(base, as_of="2026-01-01")).get_xlabel()
    'points'
    """
    ax = canvas(ax)
    low, high = float(scores.total.min(initial=0.0)), float(scores.total.max(initial=1.0))
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    bottom = np.zeros(_BINS)
    for name, color in zip(["", *reversed(scores.bands)], [GREY, *SERIES], strict=False):
        found, _ = np.histogram(scores.total[scores.band == name], edges)
        if scores.bands or not name:
            label = (name or ("below all bands" if scores.bands else "customers")) + f" ({int(found.sum()):,})"
            ax.bar(edges[:-1], found, np.diff(edges), bottom=bottom, align="edge", color=color, label=label)
            bottom += found
    counts_on(ax.yaxis)
    if scores.bands:
        ax.legend(frameon=False, fontsize="small")
    titled(ax, f"{scores.name}: points of {len(scores.total):,} customers", "points", "customers")
    return ax


def calibration(result: Calibration, *, ax: Axes | None = None) -> Axes:
    """Draw the conversion rate of each tenth of the customers, best scores first, with a line at the overall rate.

    Parameters
    ----------
    result : Calibration
    ax : matplotlib Axes, optional
    """
    table = result.deciles
    ax = canvas(ax)
    place = np.arange(len(table.decile))
    ax.bar(place, table.rate, 0.75, color=BLUE)
    ax.vlines(place, table.rate_low, table.rate_high, color=GREY, linewidth=2)
    ticks(ax, table.decile.tolist())
    shares_on(ax.yaxis)
    reference(ax, float(result.rate.value), f"all {share_text(float(result.rate.value))}")
    titled(ax, f"conversion by score: {result.conversions:,} of {result.n:,} converted, AUC {result.auc:.3f}",
           "tenth of the customers, best scores first", "conversion rate")  # fmt: skip
    return ax


def gains(result: Calibration | LiftTable, *, ax: Axes | None = None) -> Axes:
    """Draw the share of all conversions among the customers with the best scores, and among randomly chosen ones.

    Parameters
    ----------
    result : Calibration or LiftTable
    ax : matplotlib Axes, optional
    """
    table = result.deciles if isinstance(result, Calibration) else result
    ax = canvas(ax)
    share, gain = np.append(0.0, table.share), np.append(0.0, table.gain)
    ax.set_ylim(0, 1.04)
    lines(ax, share, {"by score": gain, "random": share}, colors=[BLUE, GREY], styles=["-", "--"])
    for axis in (ax.xaxis, ax.yaxis):
        shares_on(axis)
    titled(ax, f"share of {int(table.conversions.sum()):,} conversions", "share of the customers, best scores first",
           "share of the conversions")  # fmt: skip
    return ax


def lift(result: Calibration | LiftTable, *, ax: Axes | None = None) -> Axes:
    """Draw the conversion rate of each tenth divided by that of all customers.

    Parameters
    ----------
    result : Calibration or LiftTable
    ax : matplotlib Axes, optional
    """
    table = result.deciles if isinstance(result, Calibration) else result
    ax = canvas(ax)
    place = np.arange(len(table.decile))
    ax.bar(place, table.lift, 0.75, color=BLUE, label="of the tenth")
    ax.plot(place, table.cumulative_lift, "o-", color=ORANGE, label="of the tenth and all better ones")
    ticks(ax, table.decile.tolist())
    named(ax)
    reference(ax, 1.0, "overall")
    titled(ax, "lift", "tenth of the customers, best scores first", "rate / overall rate")
    return ax
