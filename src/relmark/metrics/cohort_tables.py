"""The tables of cohorts: who came back, and their revenue, with one row per cohort and one column per period since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from relmark.core.checks import FloatArray, IntArray, shown
from relmark.core.errors import InputError
from relmark.core.intervals import Estimate
from relmark.core.shares import wilson
from relmark.metrics.definitions import Definition, MetricTable, define
from relmark.metrics.estimates import Estimates, shares

__all__ = ["CohortRetention", "CohortValue"]

_MARK = "*"
DEFINITIONS = define(
    "cohorts by first event ever; calendar periods, or windows of equal length from each customer's first event",
    "tools differ: on day n or on or after it, calendar days or 24 hours, first event ever or first of the range",
    {
        "table": ("customers of the cohort who came back in period n", "customers of the cohort who could have"),
        "overall": ("customers of all cohorts who came back in period n",
                    "customers of all cohorts who could have; this is not the mean of the cohorts' shares"),
        "revenue": ("money of the cohort in period n", "", "money"),
        "per_customer": ("money of the cohort up to period n", "customers of the cohort", "money per customer"),
    },
)  # fmt: skip


class _Cohorts(MetricTable):
    """The shape of both tables: a row per cohort, a column per period since."""

    __slots__ = ()

    def _cells(self) -> FloatArray:
        raise AssertionError

    def _word(self, value: float) -> str:
        return f"{value:,.2f}"

    def _foot(self) -> list[str] | None:
        return None

    def to_columns(self) -> dict[str, Any]:
        """Return groups, cohort, size and a column per period since: period_0, period_1, ..."""
        me: Any = self
        cells = self._cells()
        return {**me.by, "cohort": me.cohorts, "size": me.sizes,
                **{f"period_{p}": cells[:, p] for p in range(cells.shape[1])}}  # fmt: skip

    def _table(self) -> dict[str, Any]:
        me: Any = self
        cells, foot = self._cells(), self._foot()
        more = [] if foot is None else [""]
        head = {name: np.array([*map(str, column.tolist()), *more], dtype=object) for name, column in me.by.items()}
        names = [*map(str, me.cohorts), *(["overall"] if foot is not None else [])]
        sizes = [*me.sizes.tolist(), *([int(me.sizes.sum())] if foot is not None else [])]
        columns: dict[str, Any] = {**head, "cohort": np.array(names, dtype=object), "size": np.array(sizes)}
        for p in range(cells.shape[1]):
            words = [
                "" if np.isnan(value) else self._word(value) + (_MARK if flagged else "")
                for value, flagged in zip(cells[:, p].tolist(), me.in_progress[:, p].tolist(), strict=True)
            ]
            columns[str(p)] = np.array([*words, *([foot[p]] if foot is not None else [])], dtype=object)
        return columns

    def _lines(self) -> list[str]:
        me: Any = self
        flagged = [f"{_MARK} a period in progress, which has not ended"] if me.in_progress.any() else []
        return [*flagged, *me.notes]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortRetention(_Cohorts):
    """Who came back, one row per cohort.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (c,)
        The name of each row's group.
    cohorts : ndarray of datetime64, shape (c,)
        The period in which the customers began: the month or year, or the first day of any other period.
    sizes : ndarray of int64, shape (c,)
    table : ndarray of float64, shape (c, p)
        The share that came back in period p since the start, 0 to 1; NaN where it has not been observed yet.
    counts : ndarray of float64, shape (c, p)
        How many came back; NaN where it has not been observed yet.
    at_risk : ndarray of float64, shape (c, p)
        How many could have come back: the size of the cohort or, with windows of equal length, the customers whose
        window p has ended.
    in_progress : ndarray of bool, shape (c, p)
        Whether the period has begun but not ended.
    overall : Estimates, p rows
        The sum of the counts of all cohorts divided by the sum of those at risk, including periods in progress.
    overall_ended : Estimates, p rows
        The same without periods in progress.
    period : str
    kind : str
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    cohorts: npt.NDArray[np.datetime64]
    sizes: IntArray
    table: FloatArray
    counts: FloatArray
    at_risk: FloatArray
    in_progress: npt.NDArray[np.bool_]
    overall: Estimates
    overall_ended: Estimates
    period: str
    kind: str
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def estimate(self, cohort: int, period: int) -> Estimate:
        """Return one cell with Wilson's interval: the row of a cohort, and the number of periods since the start."""
        try:
            count, n = float(self.counts[cohort, period]), float(self.at_risk[cohort, period])
        except (IndexError, TypeError):
            c, p = self.table.shape
            raise InputError(
                f"there is no cell ({shown(cohort)}, {shown(period)}): the table has {c:,} cohorts and {p:,} periods.",
                argument="cohort",
                code="wrong_value",
            ) from None
        return shares("came back", [count], "customers who could have", [n], unseen="not observed yet")[0]

    def intervals(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return the ends of Wilson's interval of every cell, each of shape (c, p)."""
        return wilson(self.counts, self.at_risk, ndtri(0.5 + level / 2))

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _cells(self) -> FloatArray:
        return self.table

    def _word(self, value: float) -> str:
        return f"{100 * value:.1f}%"

    def _foot(self) -> list[str]:
        return ["" if np.isnan(value) else f"{100 * value:.1f}%" for value in self.overall.value.tolist()]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortValue(_Cohorts):
    """The revenue of cohorts, one row per cohort.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (c,)
    cohorts : ndarray of datetime64, shape (c,)
    sizes : ndarray of int64, shape (c,)
    revenue : ndarray of float64, shape (c, p)
        Money in period p since the start; NaN where it has not been observed yet.
    cumulative : ndarray of float64, shape (c, p)
        Money up to and including period p.
    per_customer : ndarray of float64, shape (c, p)
        Money up to and including period p divided by the number of customers of the cohort.
    in_progress : ndarray of bool, shape (c, p)
        Whether the period has begun but not ended.
    overall : ndarray of float64, shape (p,)
        Money up to period p per customer, over all cohorts that are old enough.
    period : str
    as_of : datetime64
    notes : tuple of str
    """

    by: Mapping[str, npt.NDArray[Any]]
    cohorts: npt.NDArray[np.datetime64]
    sizes: IntArray
    revenue: FloatArray
    cumulative: FloatArray
    per_customer: FloatArray
    in_progress: npt.NDArray[np.bool_]
    overall: FloatArray
    period: str
    as_of: np.datetime64
    notes: tuple[str, ...] = ()

    def _definitions(self) -> Mapping[str, Definition]:
        return DEFINITIONS

    def _cells(self) -> FloatArray:
        return self.per_customer

    def _foot(self) -> list[str]:
        return ["" if np.isnan(value) else self._word(value) for value in self.overall.tolist()]
