"""The marks from which all pictures are made: bars, points with intervals, lines with names, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relmark.plots.canvas import BLUE, GREY, SERIES, Labels, matplotlib, number_text, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bare", "bars", "beside", "columns", "forest", "heat", "lines", "named", "reference", "stacked", "ticks"]

_BESIDE = 4
_APART = 0.065


def bars(
    ax: Axes, labels: Labels, values: npt.ArrayLike, *, says: Callable[[float], str] = number_text,
    color: Any = BLUE, low: npt.ArrayLike | None = None, high: npt.ArrayLike | None = None,
    until: npt.ArrayLike | None = None,
) -> None:  # fmt: skip
    """Draw horizontal bars, the first on top, with their numbers at the ends; `until` are the ends of other marks."""
    length = np.asarray(values, dtype=np.float64)
    place = np.arange(len(length))
    ax.barh(place, np.nan_to_num(length), color=color, height=0.72)
    marks = np.full(len(length), np.nan) if until is None else np.asarray(until, dtype=np.float64)
    ends = np.nan_to_num(np.fmax(length, marks))
    if low is not None and high is not None:
        least, most = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        known = np.isfinite(least) & np.isfinite(most)
        ax.hlines(place[known], least[known], most[known], color=GREY, linewidth=2)
        ends = np.where(known, np.maximum(ends, most), ends)
    for row, value in enumerate(length):
        said = says(float(value)) + (f" / {says(float(marks[row]))}" if np.isfinite(marks[row]) else "")
        beside(ax, said, max(ends[row], 0.0), row)
    least_end, most_end = float(min(ends.min(initial=0.0), 0.0)), float(max(ends.max(initial=0.0), 0.0))
    room = (most_end - least_end) or 1.0
    ax.set_xlim(least_end - (0.02 * room if least_end < 0 else 0), most_end + 0.2 * room)
    _rows(ax, labels)


def beside(ax: Axes, text: str, x: float, row: int, more: int = 0) -> None:
    """Write a text to the right of a point in a row."""
    ax.annotate(text, (x, row), xytext=(_BESIDE + more, 0), textcoords="offset points", va="center", fontsize="small")


def _rows(ax: Axes, labels: Labels) -> None:
    ax.set_yticks(np.arange(len(labels)), short(labels))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def stacked(ax: Axes, labels: Labels, parts: Mapping[str, npt.ArrayLike], colors: Sequence[Any] = SERIES) -> None:
    """Draw horizontal bars of several parts, which a legend names."""
    left = np.zeros(len(labels))
    for (name, values), color in zip(parts.items(), colors, strict=False):
        part = np.nan_to_num(np.asarray(values, dtype=np.float64))
        ax.barh(np.arange(len(labels)), part, left=left, color=color, height=0.72, label=name)
        left += part
    _rows(ax, labels)
    named(ax)


def named(ax: Axes) -> None:
    """Draw the legend in one line above the picture."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(labels), frameon=False,
              fontsize="small", borderaxespad=0.1, handlelength=1.2, columnspacing=1.2)  # fmt: skip


def columns(ax: Axes, labels: Labels, series: Mapping[str, npt.ArrayLike], *, colors: Sequence[Any] = SERIES) -> None:
    """Draw columns side by side for ordered categories, such as frequencies or tenths."""
    k = len(series)
    width = 0.8 / max(k, 1)
    place = np.arange(len(labels))
    for number, ((name, values), color) in enumerate(zip(series.items(), colors, strict=False)):
        at = place + (number - (k - 1) / 2) * width
        ax.bar(at, np.nan_to_num(np.asarray(values, dtype=np.float64)), width * 0.94, color=color, label=name)
    ticks(ax, labels)
    if k > 1:
        named(ax)


def ticks(ax: Axes, labels: Labels, *, most: int = 12) -> None:
    """Label the positions 0, 1, ... of the x axis; if there are too many, label only every k-th one."""
    texts = short(labels, 14)
    widest = max(map(len, texts), default=1)
    step = max(-(-len(texts) // most), -(-len(texts) * (widest + 2) // 72), 1)
    ax.set_xticks(np.arange(0, len(texts), step), texts[::step])


def lines(
    ax: Axes, x: npt.ArrayLike, series: Mapping[str, npt.ArrayLike], *, colors: Sequence[Any] = SERIES,
    styles: Sequence[str] = (), markers: bool = False,
) -> None:  # fmt: skip
    """Draw lines, each with its name at its right end."""
    at = np.asarray(x)
    ends: list[tuple[float, float, str, Any]] = []
    for number, ((name, values), color) in enumerate(zip(series.items(), colors, strict=False)):
        y = np.asarray(values, dtype=np.float64)
        style = styles[number] if number < len(styles) else "-"
        ax.plot(at, y, style, color=color, linewidth=1.8, marker="o" if markers else None, markersize=4, label=name)
        known = np.flatnonzero(np.isfinite(y))
        if len(known):
            ends.append((at[known[-1]], float(y[known[-1]]), name, color))
    names_at_ends(ax, ends)


def names_at_ends(ax: Axes, ends: Sequence[tuple[Any, float, str, Any]]) -> None:
    """Write names to the right of the picture at the heights of their lines' ends, without overlaps."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    order = sorted(range(len(ends)), key=lambda k: ends[k][1])
    height = (high - low) or 1.0
    spot = [(ends[k][1] - low) / height for k in order]
    for k in range(1, len(spot)):
        spot[k] = max(spot[k], spot[k - 1] + _APART)
    over = max(spot[-1] - 1.0, 0.0) if spot else 0.0
    for place, k in enumerate(order):
        ax.annotate(
            ends[k][2], (1.0, min(spot[place], 1.0 + over) - over), xycoords="axes fraction", xytext=(_BESIDE, 0),
            textcoords="offset points", va="center", color=ends[k][3], fontsize="small", annotation_clip=False,
        )  # fmt: skip


def forest(
    ax: Axes, labels: Labels, value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *,
    color: Any = BLUE, says: Callable[[float], str] = number_text,
) -> None:  # fmt: skip
    """Draw points with their intervals, one row each, with the number to the right of the interval."""
    middle, least, most = (np.asarray(one, dtype=np.float64) for one in (value, low, high))
    place = np.arange(len(middle))
    known = np.isfinite(middle)
    both = known & np.isfinite(least) & np.isfinite(most)
    ax.hlines(place[both], least[both], most[both], color=color, linewidth=2.2)
    ax.plot(middle[known], place[known], "o", color=color, markersize=6, linestyle="none")
    for row in place:
        end = most[row] if both[row] else middle[row] if known[row] else 0.0
        beside(ax, says(float(middle[row])), float(end), int(row), 2)
    ends = np.concatenate([least[both], most[both], middle[known], [0.0]])
    room = float(np.ptp(ends)) or 1.0
    ax.set_xlim(float(ends.min()) - 0.05 * room, float(ends.max()) + 0.2 * room)
    _rows(ax, labels)


def reference(ax: Axes, at: float, name: str, *, along: str = "y") -> None:
    """Draw a reference line for comparison, and write its name at its end."""
    if along == "x":  # a vertical line at a value of x
        ax.axvline(at, color=GREY, linewidth=1.2, linestyle="--")
        ax.annotate(name, (at, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
                    va="bottom", ha="center", color=GREY, fontsize="small", annotation_clip=False)  # fmt: skip
        return
    ax.axhline(at, color=GREY, linewidth=1.2, linestyle="--")
    ax.annotate(name, (1.0, at), xycoords=("axes fraction", "data"), xytext=(_BESIDE, 0), textcoords="offset points",
                va="center", color=GREY, fontsize="small", annotation_clip=False)  # fmt: skip


def bare(ax: Axes) -> None:
    """Remove the frame."""
    for spine in ax.spines.values():
        spine.set_visible(False)


def heat(
    ax: Axes, table: npt.ArrayLike, rows: Labels, names: Labels, *, says: Callable[[float], str],
    most: float | None = None,
) -> None:  # fmt: skip
    """Draw a table as a heat map, with the numbers in the cells if they are few enough to be readable."""
    values = np.asarray(table, dtype=np.float64)
    top = float(np.nanmax(values, initial=0.0)) if most is None else most
    scale = matplotlib("colors").Normalize(0.0, top or 1.0)
    image = ax.imshow(np.ma.masked_invalid(values), cmap="Blues", norm=scale, aspect="auto")
    texts = [[says(float(value)) if np.isfinite(value) else "" for value in row] for row in values]
    widest = max((len(text) for row in texts for text in row), default=0)
    if values.shape[1] * (widest + 1.5) <= 96 and values.shape[0] <= 30:
        size = "small" if values.shape[1] * (widest + 1.5) <= 62 and values.shape[0] <= 14 else "x-small"
        for row, line in enumerate(texts):
            for column, text in enumerate(line):
                if text:
                    dark = scale(values[row, column]) > 0.55
                    ax.text(
                        column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else "#222222"
                    )
    else:
        ax.figure.colorbar(image, ax=ax, shrink=0.8)
    ticks(ax, names)
    step = max(-(-len(rows) // 24), 1)
    ax.set_yticks(np.arange(0, len(rows), step), short(rows)[::step])
    ax.tick_params(length=0)
    bare(ax)
