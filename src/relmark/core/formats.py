"""Formatting of numbers, instants and tables for printing and for notebooks."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["SHOWN_ROWS", "format_number", "format_value", "html_table", "is_numeric", "text_table"]

SHOWN_ROWS = 20
Cells: TypeAlias = Sequence[Any] | npt.NDArray[Any]


def format_number(value: float | np.integer[Any] | np.floating[Any]) -> str:
    """Return a number with about four significant digits, thousands separated.

    Examples
    --------
    >>> format_number(1234567.0), format_number(.012345), format_number(3)
    ('1,234,567', '0.01235', '3')
    """
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    number = float(value)
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    size = abs(number)
    if size >= 1e15 or 0 < size < 1e-6:
        return f"{number:.3e}"
    if number == round(number):
        return f"{number:,.0f}"
    if size >= 10_000:
        return f"{number:,.0f}"
    if size >= 1:
        return f"{number:,.{4 - len(str(int(size)))}f}"
    return f"{number:.4g}"


def format_value(value: Any) -> str:
    """Return one cell as text."""
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, np.timedelta64):  # numpy counts it among the integers
        return "" if np.isnat(value) else str(timedelta(microseconds=int(value.astype("m8[us]").astype(np.int64))))
    if isinstance(value, (int, float, np.integer, np.floating)):
        return format_number(value)
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(str(n) for n in value.shape)}]"
    return str(value)


def text_table(
    columns: Mapping[str, Cells], *, rows: int = SHOWN_ROWS, total: int | None = None, title: str = "", width: int = 160
) -> str:
    """Return columns as a table for printing: numbers aligned right, text aligned left, wide tables folded.

    `total` is the number of all rows, if the columns hold only those to show.

    Examples
    --------
    >>> print(text_table({"arm": ["none", "mail"], "people": [500, 9500]}))
    arm   people
    ----  ------
    none     500
    mail   9,500
    """
    held = max((len(column) for column in columns.values()), default=0)
    total = held if total is None else total
    rows = min(rows, held)
    shown = {name: _cells(name, column[:rows]) for name, column in columns.items()}
    right = {name: is_numeric(column[:rows]) for name, column in columns.items()}
    widths = {name: max([len(name), *map(len, shown[name])]) for name in shown}
    lines = [title] if title else []
    for k, names in enumerate(_folded(list(columns), widths, width)):
        if k:
            lines.append("")
        lines.append("  ".join(_aligned(name, widths[name], right[name]) for name in names).rstrip())
        lines.append("  ".join("-" * widths[name] for name in names))
        lines.extend(
            "  ".join(_aligned(shown[name][row], widths[name], right[name]) for name in names).rstrip()
            for row in range(rows)
        )
    if total > rows:
        lines.append(f"... {total - rows:,} more rows")
    return "\n".join(lines)


def _folded(names: list[str], widths: Mapping[str, int], width: int) -> list[list[str]]:
    """Split the columns of a table that is too wide into parts; the first column is repeated in each part."""
    parts = [names[:1]]
    for name in names[1:]:
        used = sum(widths[other] + 2 for other in parts[-1])
        if used + widths[name] > width and len(parts[-1]) > 1:
            parts.append([names[0]])
        parts[-1].append(name)
    return parts


def html_table(
    columns: Mapping[str, Cells],
    *,
    rows: int = SHOWN_ROWS,
    total: int | None = None,
    caption: str = "",
    lines: Sequence[str] = (),
) -> str:
    """Return columns as an HTML table with every cell escaped, and lines of text below it."""
    held = max((len(column) for column in columns.values()), default=0)
    total = held if total is None else total
    rows = min(rows, held)
    sides = ["right" if is_numeric(column[:rows]) else "left" for column in columns.values()]
    head = "".join(_cell("th", name, side) for name, side in zip(columns, sides, strict=True))
    cells = [_cells(name, column[:rows]) for name, column in columns.items()]
    body = "".join(
        "<tr>" + "".join(_cell("td", column[row], side) for column, side in zip(cells, sides, strict=True)) + "</tr>"
        for row in range(rows)
    )
    more = f"<tfoot><tr><td colspan={len(columns)}>{total - rows:,} more rows</td></tr></tfoot>" if total > rows else ""
    # Without nowrap, a browser breaks the caption of a narrow table.
    wrap = "" if len(caption) > 120 else "; white-space: nowrap"
    said = f'<caption style="text-align: left{wrap}">{html.escape(caption)}</caption>' if caption else ""
    below = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{more}</table>{below}"


def _cell(tag: str, text: str, side: str) -> str:
    return f'<{tag} style="text-align: {side}">{html.escape(text)}</{tag}>'


def _cells(name: str, column: Cells) -> list[str]:
    """Return a column's cells as text; fractions get equally many decimals, unless they differ too much in size.

    Ids are names, not quantities: columns called item, other or something_id get no thousands separators.
    """
    if name in {"item", "other"} or name.endswith("_id"):
        return [str(value) for value in column]
    sizes = [abs(float(v)) for v in column if isinstance(v, (float, np.floating)) and math.isfinite(v) and v != 0]
    if len(sizes) < 2 or all(size == round(size) for size in sizes):
        return [format_value(value) for value in column]
    # Four significant digits of the largest number, two of the smallest, unless the first gets more than seven.
    leading, least = (math.floor(math.log10(size)) for size in (max(sizes), min(sizes)))
    decimals = max(3 - leading, 1 - least, 0)
    if decimals + leading > 6:
        return [format_value(value) for value in column]
    return [
        f"{value:,.{decimals}f}"
        if isinstance(value, (float, np.floating)) and math.isfinite(value)
        else format_value(value)
        for value in column
    ]


def is_numeric(column: Cells) -> bool:
    """Tell whether all cells are numbers, which are aligned right."""
    return all(isinstance(v, (int, float, np.integer, np.floating)) and not isinstance(v, bool) for v in column)


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
