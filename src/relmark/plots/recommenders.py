"""A picture that compares recommenders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from relmark.core.checks import one_of
from relmark.plots.canvas import canvas, number_text, titled
from relmark.plots.marks import forest
from relmark.recommend.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["quality"]

_METRICS = ("ndcg", "recall", "precision", "hit_rate", "map", "mrr")


def quality(
    result: Comparison, *,
    metric: Literal["ndcg", "recall", "precision", "hit_rate", "map", "mrr"] = "ndcg", ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a metric of each recommender with its 95 % interval, the best on top.

    Parameters
    ----------
    result : Comparison
    metric : {"ndcg", "recall", "precision", "hit_rate", "map", "mrr"}
    ax : matplotlib Axes, optional
    """
    one_of("metric", metric, _METRICS)
    figures = [result.estimate(name, metric) for name in result.name.tolist()]
    value = np.array([one.value for one in figures])
    order = np.argsort(-value, kind="stable")
    ax = canvas(ax, rows=len(order))
    forest(ax, result.name[order], value[order], [figures[k].low for k in order], [figures[k].high for k in order],
           says=number_text)  # fmt: skip
    ax.set_xlim(0, None)
    titled(ax, f"{metric} at {result.k} of {result.customers:,} customers, 95 % intervals", metric)
    return ax
