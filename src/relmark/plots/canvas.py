"""The Axes that pictures are drawn on, and their common style: colors, numbers and titles.

The colors are those of Okabe and Ito (2008). People with every kind of color vision can distinguish them, and their
lightness differs, so that they can be distinguished in grayscale. Text keeps the colors of the caller's style, so that
pictures can be read on dark pages too. Nothing global changes, and no window opens. Without `ax`, a new `Figure` is
made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from io import BytesIO
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.formats import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "RED",
    "SERIES",
    "SKY",
    "Labels",
    "canvas",
    "counts_on",
    "dates_on",
    "matplotlib",
    "number_text",
    "share_text",
    "shares_on",
    "short",
    "titled",
]

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY = "#CC79A7", "#56B4E9", "#8A8A8A"
Labels: TypeAlias = Sequence[Any] | npt.NDArray[Any]
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
_WIDTH, _HEIGHT = 6.4, 4.0
_ROW, _FRAME = 0.3, 1.2
_TITLE, _LINE = 62, 85
_STEPS = (1, 2, 2.5, 5, 10)


def matplotlib(module: str) -> Any:
    """Return a module of matplotlib, loaded when something is drawn: relmark.plots is imported without it."""
    try:
        return import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'relmark[plots]'") from error


def _png(figure: Figure) -> bytes:
    """Return what a notebook shows when a figure is the last value of a cell, with or without pyplot."""
    out = BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def canvas(ax: Axes | None, *, rows: int = 0) -> Axes:
    """Return the Axes to draw on: the caller's, or new ones on a figure that is high enough for the rows."""
    if ax is None:
        height = max(_HEIGHT, _ROW * rows + _FRAME) if rows > 8 else _HEIGHT if not rows else 1.4 + 0.34 * rows
        figure = matplotlib("figure").Figure(figsize=(_WIDTH, height), layout="constrained")
        figure._repr_png_ = partial(_png, figure)  # IPython asks for it
        ax = figure.subplots()
    elif not isinstance(ax, matplotlib("axes").Axes):
        raise InputError(
            f"ax is {shown(ax)}; it must be matplotlib Axes, or None for new ones.", argument="ax", code="wrong_type"
        )
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def titled(ax: Axes, title: str, x: str = "", y: str = "", *, above: bool = False) -> None:
    """Write the title in lines that fit next to the rows, and the axis labels; `above` leaves a line below it."""
    rows = ax.get_yticklabels() if isinstance(ax.yaxis.get_major_locator(), matplotlib("ticker").FixedLocator) else []
    width = min(_TITLE, _LINE - max((len(row.get_text()) for row in rows), default=0))
    ax.set_title("\n".join(wrap(title, max(width, 20))), loc="left", fontsize="medium", pad=18 if above else 6)
    ax.set_xlabel(x)
    ax.set_ylabel(y)


def shares_on(axis: Any) -> None:
    """Show the numbers of an axis as percentages."""
    axis.set_major_locator(matplotlib("ticker").MaxNLocator(6, steps=_STEPS))
    axis.set_major_formatter(matplotlib("ticker").FuncFormatter(lambda value, _: f"{100 * value:.10g}%"))


def counts_on(axis: Any) -> None:
    """Show the numbers of an axis with thousands separated."""
    axis.set_major_locator(matplotlib("ticker").MaxNLocator(6, steps=_STEPS))
    axis.set_major_formatter(matplotlib("ticker").FuncFormatter(lambda value, _: f"{value:,.10g}"))


def dates_on(axis: Any) -> None:
    """Show only a few dates on an axis of time, but in full."""
    axis.set_major_locator(matplotlib("dates").AutoDateLocator(minticks=3, maxticks=6))
    axis.set_tick_params(labelsize="small")


def short(words: Labels, most: int = 30) -> list[str]:
    """Return labels, with long ones shortened by an ellipsis in the middle."""
    texts = [str(word) for word in words]
    return [text if len(text) <= most else f"{text[: most - 11]}…{text[-10:]}" for text in texts]


def share_text(value: float) -> str:
    """Return a share in percent, with more digits for small shares."""
    if not np.isfinite(value):
        return "not known"
    decimals = 0 if abs(value) >= 0.1 else 1 if abs(value) >= 0.01 or not value else 2
    return f"{100 * value:.{decimals}f}%"


def number_text(value: float) -> str:
    """Return a number in the format in which results print it."""
    return "not known" if not np.isfinite(value) else format_number(float(value))
