"""Many comparisons at once: p-values and intervals that allow for the number of comparisons."""

from __future__ import annotations

from typing import TypeVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.formats import format_number
from relmark.experiments._comparisons import compared_rows
from relmark.experiments.effect_table import EffectTable

__all__ = ["adjust", "adjusted_p_values"]


METHODS = ("holm", "benjamini-hochberg")


def adjusted_p_values(p: npt.ArrayLike, *, method: str = "holm") -> FloatArray:
    """Return p-values adjusted for their number; NaN stays NaN and does not count.

    Parameters
    ----------
    p : array_like, shape (n,)
        The p-values.
    method : {"holm", "benjamini-hochberg"}
        Holm's method bounds the chance of any false finding; Benjamini and Hochberg's bounds the expected share of
        false ones among the findings.

    References
    ----------
    S. Holm (1979), Scandinavian Journal of Statistics 6, 65-70. Y. Benjamini and Y. Hochberg (1995), Journal of the
    Royal Statistical Society B 57, 289-300.

    Examples
    --------
    >>> adjusted_p_values([.01, .04, .03]).tolist()
    [0.03, 0.06, 0.06]
    >>> adjusted_p_values([.01, .04, .03], method="benjamini-hochberg").tolist()
    [0.03, 0.04, 0.04]
    """
    checks.one_of("method", method, METHODS)
    values = checks.numbers("p", p, low=0.0, high=1.0, missing=True)
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    m = len(known)
    order = known[np.argsort(values[known], kind="stable")]
    rank = np.arange(1, m + 1)
    if method == "holm":
        out[order] = np.minimum(np.maximum.accumulate(values[order] * (m - rank + 1)), 1.0)
    else:
        out[order] = np.minimum(np.minimum.accumulate((values[order] * m / rank)[::-1])[::-1], 1.0)
    return out


Table = TypeVar("Table", bound=EffectTable)


def adjust(report: Table, *, method: str = "holm") -> Table:
    """Return a report whose p-values and intervals allow for the number of its comparisons; see `Report.adjust`."""
    alpha = 1 - report.level
    p = adjusted_p_values(report.p_value, method=method)
    m = int((~np.isnan(p)).sum())
    if method == "holm":
        row = np.full(len(p), alpha / max(m, 1))
        note = (
            f"p-values by Holm over {m} comparisons; intervals hold together at {format_number(100 * report.level)} %"
        )
    else:
        selected = int((p <= alpha).sum())
        row = np.full(len(p), max(selected, 1) * alpha / max(m, 1))
        note = f"p-values by Benjamini and Hochberg over {m} comparisons; intervals are for the {selected} selected"
    wider = compared_rows(report.source, alpha=row)
    columns = {name: values for name, values in wider.items() if name not in {"metric", "arm", "dimension", "segment"}}
    return attrs.evolve(
        report,
        **columns,
        notes=(*report.notes, note),
        adjusted_p_value=p,
        row_level=1 - row,
        adjustment=method,
    )
