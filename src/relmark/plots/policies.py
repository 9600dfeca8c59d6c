"""Pictures of contact policies and allocations: messages by day, contacts per person, holds, and offers given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relmark.campaigns.allocation import Allocation
from relmark.campaigns.contact_plan import ContactPlan
from relmark.campaigns.replay import Replay
from relmark.plots.canvas import BLUE, GREEN, GREY, ORANGE, SERIES, canvas, counts_on, number_text, titled
from relmark.plots.marks import bars, beside, named, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["allocation", "contacts", "held", "load"]


def load(run: Replay, *, ax: Axes | None = None) -> Axes:
    """Draw how many messages a policy would send on each day, by campaign.

    Parameters
    ----------
    run : Replay
        Control groups are left out, and campaigns beyond the five largest are combined.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    day, campaign, sent = (run.by_day[name] for name in ("day", "campaign", "sent"))
    first = day.min() if len(day) else np.datetime64("2000-01-01", "D")
    place = (day - first).astype(np.int64)
    n = int(place.max(initial=0)) + 1
    total = {name: int(sent[campaign == name].sum()) for name in dict.fromkeys(campaign.tolist())}
    largest = sorted(total, key=lambda name: (-total[name], name))[: len(SERIES) - 1]
    bottom = np.zeros(n)
    groups = [(name, campaign == name) for name in largest] + [("others", ~np.isin(campaign, largest))]
    for (name, rows), color in zip(groups, [*SERIES[:-1], GREY], strict=False):
        if rows.any():
            height = np.bincount(place[rows], weights=sent[rows], minlength=n)
            ax.bar(np.arange(n), height, 0.9, bottom=bottom, color=color, label=f"{name} ({int(height.sum()):,})")
            bottom += height
    ticks(ax, [str(one) for one in first + np.arange(n)])
    counts_on(ax.yaxis)
    ax.set_ylim(0, 1.45 * float(bottom.max(initial=1.0)))
    ax.legend(frameon=False, fontsize="small", ncols=2, loc="upper left")
    titled(ax, f"{run.name}: {int(bottom.sum()):,} messages", "day", "messages sent")
    return ax


def contacts(run: Replay, *, ax: Axes | None = None) -> Axes:
    """Draw how many people would be sent each number of messages.

    Parameters
    ----------
    run : Replay
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax)
    count, people = run.contacts["contacts"], run.contacts["people"]
    ax.bar(np.arange(len(count)), people, 0.8, color=[GREY if one == 0 else BLUE for one in count])
    ticks(ax, count.tolist(), most=20)
    counts_on(ax.yaxis)
    titled(ax, f"{run.name}: {int(people.sum()):,} people", "messages per person", "people")
    return ax


def held(run: Replay | ContactPlan, *, ax: Axes | None = None) -> Axes:
    """Draw what holds messages back: how often over all runs, or how many messages now.

    Parameters
    ----------
    run : Replay or ContactPlan
    ax : matplotlib Axes, optional
    """
    if isinstance(run, ContactPlan):
        counts = run.held.counts()
        what = f"{run.name}, as of {run.as_of}"
    else:
        counts = {}
        for by, times in zip(run.held["by"].tolist(), run.held["times"].tolist(), strict=True):
            counts[by] = counts.get(by, 0) + times
        what = f"{run.name}, in {run.runs:,} runs"
    order = sorted(counts, key=lambda name: (-counts[name], name))
    ax = canvas(ax, rows=len(order))
    bars(ax, [name.replace("_", " ") for name in order], [counts[name] for name in order])
    counts_on(ax.xaxis)
    titled(ax, f"messages held by {what}", "messages held")
    return ax


def allocation(found: Allocation, *, ax: Axes | None = None) -> Axes:
    """Draw how many customers get each offer, its limits, and what one more unit would be worth.

    Parameters
    ----------
    found : Allocation
    ax : matplotlib Axes, optional
    """
    names = list(found.offers)
    ax = canvas(ax, rows=len(names))
    counts = np.array([found.counts[name] for name in names], dtype=np.float64)
    ends = counts.copy()
    place = np.arange(len(names))
    ax.barh(place, counts, 0.72, color=BLUE, label="customers")
    for side, color, label in ((0, GREEN, "minimum"), (1, ORANGE, "capacity")):
        limit = np.array([found.limits_of(name)[side] for name in names], dtype=np.float64)  # None becomes NaN
        known = np.isfinite(limit) & (limit <= 4 * max(float(counts.max(initial=0.0)), 1.0))
        if known.any():
            ax.plot(limit[known], place[known], "|", color=color, markersize=14, markeredgewidth=2.5, label=label)
            ends = np.fmax(ends, np.where(known, limit, np.nan))
    for row, name in enumerate(names):
        worth = f", one more is worth {number_text(found.price[name])}" if found.price[name] else ""
        beside(ax, f"{int(counts[row]):,}{worth}", float(ends[row]), row, 4)
    ax.set_yticks(place, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, 1.6 * float(ends.max(initial=1.0)) or 1.0)
    counts_on(ax.xaxis)
    named(ax)
    titled(ax, "", f"customers; value {number_text(found.value)} of at most {number_text(found.bound)}")
    return ax
