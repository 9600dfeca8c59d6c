"""How numbers, instants and tables look in print and in a notebook."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["format_number", "format_value", "html_table", "text_table"]

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
    if isinstance(value, (int, float, np.integer, np.floating)):
        return format_number(value)
    if isinstance(value, np.datetime64):
        return str(value).replace("T", " ").removesuffix(".000000").removesuffix(" 00:00:00")
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(str(n) for n in value.shape)}]"
    return str(value)


def text_table(columns: Mapping[str, Cells], *, rows: int = 20, title: str = "") -> str:
    """Return columns as a table for print: numbers to the right, text to the left.

    Examples
    --------
    >>> print(text_table({"arm": ["none", "mail"], "people": [500, 9500]}))
    arm   people
    ----  ------
    none     500
    mail   9,500
    """
    names = list(columns)
    total = max((len(column) for column in columns.values()), default=0)
    cells = {name: _cells(name, column[:rows]) for name, column in columns.items()}
    right = {name: _is_numeric(columns[name][:rows]) for name in names}
    widths = {name: max([len(name), *(len(cell) for cell in cells[name])]) for name in names}
    lines = [title] if title else []
    lines.append("  ".join(_aligned(name, widths[name], right[name]) for name in names).rstrip())
    lines.append("  ".join("-" * widths[name] for name in names))
    lines.extend(
        "  ".join(_aligned(cells[name][row], widths[name], right[name]) for name in names).rstrip()
        for row in range(min(rows, total))
    )
    if total > rows:
        lines.append(f"... {total - rows:,} more rows")
    return "\n".join(lines)


def html_table(columns: Mapping[str, Cells], *, rows: int = 20, caption: str = "") -> str:
    """Return columns as an HTML table with every cell escaped."""
    total = max((len(column) for column in columns.values()), default=0)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    cells = [_cells(name, column[:rows]) for name, column in columns.items()]
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(column[row])}</td>" for column in cells) + "</tr>"
        for row in range(min(rows, total))
    )
    more = f"<tfoot><tr><td colspan={len(columns)}>{total - rows:,} more rows</td></tr></tfoot>" if total > rows else ""
    said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{more}</table>"


def _cells(name: str, column: Cells) -> list[str]:
    """Return a column's cells as text: fractions with one number of decimals, unless they differ too much in size.

    Ids are names, not quantities: a column called item, other or something_id has no thousands separators.
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


def _is_numeric(column: Cells) -> bool:
    return all(isinstance(v, (int, float, np.integer, np.floating)) and not isinstance(v, bool) for v in column)


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
