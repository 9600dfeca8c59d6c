"""Pictures of segments: the RFM grid, sizes, flows between scorings, overlaps, and a rule clause by clause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, one_of
from relmark.core.errors import InputError
from relmark.plots.canvas import (
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    canvas,
    counts_on,
    matplotlib,
    number_text,
    share_text,
    shares_on,
    titled,
)
from relmark.plots.marks import bare, bars, heat
from relmark.segmentation.by_clause import ClauseCounts
from relmark.segmentation.migration import Migration
from relmark.segmentation.rfm_scores import RfmScores
from relmark.segmentation.segment_report import SegmentReport
from relmark.segmentation.set_members import SegmentSetMembers, Waterfall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["migration", "overlap", "rfm_grid", "segment_funnel", "segment_sizes"]


def rfm_grid(scores: RfmScores, *, what: Literal["share", "money"] = "share", ax: Axes | None = None) -> Axes:
    """Draw the grid of recency and frequency: the share of customers in each cell, or their mean revenue.

    Parameters
    ----------
    scores : RfmScores
    what : {"share", "money"}
        The cell's share of all scored customers, or its mean revenue per customer.
    ax : matplotlib Axes, optional
        The Axes to draw on; by default, new ones.

    Returns
    -------
    Axes

    Examples
    --------
    >>> from relmark import CustomerBase
    >>> from relmark.segmentation import Rfm
    >>> orders = {"user": ["a", "b", "b"], "day": ["2026-01-05", "2026-02-10", "2026-02-12"], "v": [20.0, 10.0, 5.0]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="day", value="v")
    >>> scores = Rfm().fit(base, as_of="2026-03-01").score(base, as_of="2026-03-01")
    >>> rfm_grid(scores).get_xlabel()
    'frequency score (5 buys most often)'
    """
    one_of("what", what, ("share", "money"))
    k = scores.grid.bins
    known = scores.r > 0
    cell = (k - scores.r[known]) * k + scores.f[known] - 1
    counts = np.bincount(cell, minlength=k * k).astype(np.float64).reshape(k, k)
    if what == "share":
        table = np.where(counts > 0, counts / max(counts.sum(), 1.0), np.nan)
    else:
        money = np.bincount(cell, weights=scores.revenue[known], minlength=k * k).reshape(k, k)
        table = np.divide(money, counts, out=np.full((k, k), np.nan), where=counts > 0)
    ax = canvas(ax)
    heat(ax, table, range(k, 0, -1), range(1, k + 1), says=share_text if what == "share" else number_text)
    shows = "share of" if what == "share" else "mean revenue of"
    titled(ax, f"{shows} {known.sum():,} customers, as of {scores.as_of}",
           f"frequency score ({k} buys most often)", f"recency score ({k} bought last)")  # fmt: skip
    return ax


def segment_sizes(report: SegmentReport | SegmentSetMembers | Waterfall, *, ax: Axes | None = None) -> Axes:
    """Draw how many customers each segment has; for a report, draw shares of customers and of revenue.

    Parameters
    ----------
    report : SegmentReport, SegmentSetMembers or Waterfall
        For a waterfall, each customer counts only in the first segment that contains them.
    ax : matplotlib Axes, optional
    """
    if isinstance(report, SegmentReport):
        ax = canvas(ax, rows=len(report.segment))
        bars(ax, report.segment, report.share, says=share_text, until=report.revenue_share)
        known = np.flatnonzero(np.isfinite(report.revenue_share))
        ax.plot(report.revenue_share[known], known, "|", color=ORANGE, markersize=13, markeredgewidth=3)
        shares_on(ax.xaxis)
        titled(ax, f"share of {report.customers.sum():,} customers (bars) / of revenue (marks), as of {report.as_of}",
               "share")  # fmt: skip
        return ax
    if isinstance(report, Waterfall):
        names, sizes, of = report.segment.tolist(), report.exclusive, report.of
        title = f"{of:,} customers, each in the first segment that contains them"
        names, sizes = [*names, "in none"], np.append(sizes, of - int(sizes.sum()))
    else:
        names, sizes = list(report.names), np.array(list(report.sizes.values()))
        title = f"members of segments, of {len(report.customer_id):,} customers"
    ax = canvas(ax, rows=len(names))
    bars(ax, names, sizes, color=[GREY if name == "in none" else BLUE for name in names])
    counts_on(ax.xaxis)
    titled(ax, title, "customers")
    return ax


def overlap(members: SegmentSetMembers, *, ax: Axes | None = None) -> Axes:
    """Draw the share of each segment (row) that is also in each other segment (column).

    Parameters
    ----------
    members : SegmentSetMembers
    ax : matplotlib Axes, optional
    """
    shared = members.overlap.astype(np.float64)
    sizes = np.diag(shared)[:, None]
    table = np.divide(shared, sizes, out=np.full(shared.shape, np.nan), where=sizes > 0)
    ax = canvas(ax)
    heat(ax, table, members.names, members.names, says=share_text, most=1.0)
    titled(ax, "share of the row's members who are also in the column")
    return ax


def segment_funnel(counts: ClauseCounts, *, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw how a rule narrows the base, clause by clause.

    Parameters
    ----------
    counts : ClauseCounts
    names : sequence of str, optional
        What to call each clause; the text of its rule without it.
    ax : matplotlib Axes, optional

    Raises
    ------
    InputError
        There are not as many names as clauses.
    """
    if names is not None and len(names) != len(counts.clause):
        raise InputError(
            f"names has {len(names)} entries; the rule has {len(counts.clause)} clauses. Give one name for each.",
            argument="names", code="wrong_length",
        )  # fmt: skip
    ax = canvas(ax, rows=len(counts.clause) + 1)
    labels = ["everybody", *(counts.clause if names is None else names)]
    bars(ax, labels, [counts.of, *counts.left], color=[GREY, *[BLUE] * len(counts.clause)])
    counts_on(ax.xaxis)
    titled(ax, f"customers left in {counts.name!r} after each clause", "customers")
    return ax


def migration(moves: Migration, *, ax: Axes | None = None) -> Axes:
    """Draw flows of customers from the earlier segments (left) to the later ones (right).

    Parameters
    ----------
    moves : Migration
        The picture shows customers of both scorings; the title gives the numbers of those who entered or left.
    ax : matplotlib Axes, optional
    """
    ax = canvas(ax, rows=16)
    counts = moves.counts.astype(np.float64)
    used = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1) > 0)
    counts = counts[np.ix_(used, used)]
    names = [moves.segments[k] for k in used]
    total = float(counts.sum()) or 1.0
    gap = 0.25 * total / max(len(names), 1)
    before, after = (_tops(counts.sum(axis=axis), gap) for axis in (1, 0))
    from_, to = before.copy(), after.copy()
    for row in range(len(names)):
        color = SERIES[row % len(SERIES)]
        for column in range(len(names)):
            size = counts[row, column]
            if size:
                _flow(ax, from_[row], to[column], size, color)
            from_[row] += size
            to[column] += size
        for x, top, size in ((-0.04, before[row], counts[row].sum()), (1.0, after[row], counts[:, row].sum())):
            ax.bar(x + 0.02, size, 0.04, bottom=top, color=color)
    for x, tops, sizes, align in (
        (-0.06, before, counts.sum(axis=1), "right"),
        (1.06, after, counts.sum(axis=0), "left"),
    ):
        for name, top, size in zip(names, tops, sizes, strict=True):
            if size:
                ax.text(x, top + size / 2, f"{name}  {size:,.0f}", ha=align, va="center", fontsize="small")
    ax.set_ylim(float(max(before[-1] + counts[-1].sum(), after[-1] + counts[:, -1].sum())) if names else 1.0, 0)
    ax.set_xlim(-0.06, 1.06)
    ax.set_xticks([])
    ax.set_yticks([])
    bare(ax)
    titled(ax, f"{int(counts.sum()):,} customers of both scorings; {int(moves.entered.sum()):,} entered, "
               f"{int(moves.left.sum()):,} left")  # fmt: skip
    return ax


def _tops(sizes: FloatArray, gap: float) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(sizes + gap)[:-1]])


def _flow(ax: Axes, start: float, end: float, size: float, color: str) -> None:
    curve = [(0.0, start), (0.5, start), (0.5, end), (1.0, end), (1.0, end + size), (0.5, end + size),
             (0.5, start + size), (0.0, start + size), (0.0, start)]  # fmt: skip
    path = matplotlib("path").Path
    codes: npt.NDArray[np.uint8] = np.array(
        [path.MOVETO, *[path.CURVE4] * 3, path.LINETO, *[path.CURVE4] * 3, path.CLOSEPOLY], dtype=np.uint8
    )
    ax.add_patch(matplotlib("patches").PathPatch(path(curve, codes), facecolor=color, alpha=0.35, linewidth=0))
