"""Gauss-Legendre nodes, and work on many rows in blocks that fit into the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.core.errors import LimitError

_MOST_PANELS = 1 << 16
ROWS = 4_096  # rows of a block: with 24 nodes a temporary of 0.8 MB


@lru_cache(maxsize=32)
def unit_nodes(count: int, panels: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of composite Gauss-Legendre quadrature on (0, 1)."""
    node, weight = np.polynomial.legendre.leggauss(count)
    node, weight = 0.5 * (node + 1.0), 0.5 * weight
    start = np.arange(panels)[:, None]
    nodes, weights = ((start + node) / panels).ravel(), np.tile(weight / panels, panels)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def chosen(parameter: float | FloatArray, rows: Any) -> Any:
    """Return the parameter of some rows, or the parameter itself where it is one number for all rows."""
    return parameter if isinstance(parameter, (int, float)) else parameter[rows]


def in_blocks(function: Callable[..., FloatArray], *columns: FloatArray, rows: int = ROWS) -> FloatArray:
    """Return a rowwise function of equally long columns, computed block by block."""
    n = len(columns[0])
    if n <= rows:
        return function(*columns)
    first = function(*(column[:rows] for column in columns))
    out = np.empty((n, *first.shape[1:]), dtype=np.float64)
    out[:rows] = first
    for low in range(rows, n, rows):
        out[low : low + rows] = function(*(column[low : low + rows] for column in columns))
    return out


def by_panels(
    panels: npt.NDArray[np.int64], function: Callable[..., FloatArray], out: FloatArray, *, rows: int = ROWS
) -> FloatArray:
    """Fill `out` with function(rows, panels) for the rows that need each number of panels.

    Numbers of panels are rounded up to powers of two, so that there are few groups; the blocks of a group get shorter
    as its rows need more nodes.
    """
    worst = int(panels.max(initial=1))
    if not 0 <= worst <= _MOST_PANELS:
        raise LimitError(
            f"an integral over time would need more than {16 * _MOST_PANELS:,} nodes for row {int(panels.argmax())}: "
            "frequency, the number of purchases asked for, or a parameter is far beyond what customers do. Check the "
            "unit of time, and use a prior in a fit to few customers.",
            code="too_large",
        )
    needed = 2 ** np.ceil(np.log2(np.maximum(panels, 1))).astype(np.int64)
    for count in np.unique(needed).tolist():
        chosen = np.flatnonzero(needed == count)
        step = max(rows // count, min(64, 65_536 // count), 1)
        for low in range(0, len(chosen), step):
            block = chosen[low : low + step]
            out[block] = function(block, count)
    return out
