"""How many customers began in each period and came back in each period; counts of different customers add up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, Self, TypedDict, Unpack

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import IntArray, one_of
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, owned
from relmark.core.purchases import Purchases
from relmark.core.time import Instant
from relmark.expressions.selection import Selection
from relmark.metrics._calendar import Calendar
from relmark.metrics._cohort_cells import CohortPeriod, grouped, notes, periods, windows
from relmark.metrics._labels import joined
from relmark.metrics._returning import read_activity
from relmark.metrics.cohort_tables import CohortRetention
from relmark.metrics.estimates import ratio, shares
from relmark.metrics.grouping import By

__all__ = ["CohortCounts", "CohortHow"]

_KINDS = ("on", "on_or_after", "rolling")
_COHORT = "cohort"


class CohortHow(TypedDict, total=False):
    """The optional arguments of `cohort_retention`."""

    start: Selection | None
    back: Selection | None
    period: CohortPeriod
    kind: Literal["on", "on_or_after", "rolling"]
    since: Instant | None
    by: By
    week_starts: str


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CohortCounts(Frozen):
    """The counts from which `cohort_retention` makes its table, for any number of customers.

    Counts of parts of the data add up with ``+`` if all events of each customer are in one part.

    Parameters
    ----------
    by : mapping of str to ndarray, shape (c,)
        The name of each row's group.
    cohorts : ndarray of datetime64, shape (c,)
        The period in which the customers of a row began.
    sizes : ndarray of int64, shape (c,)
    counts : ndarray of int64, shape (c, p)
        How many came back in period p since the start.
    at_risk, begun, ended : ndarray of int64, shape (c, p)
        For how many customers a return can be observed, for how many the period has begun, and for how many it has
        ended.
    period, kind : str
    as_of : datetime64

    Examples
    --------
    >>> orders = [{"user": ["a", "a"], "day": ["2026-01-15", "2026-02-10"]}, {"user": ["b"], "day": ["2026-02-12"]}]
    >>> bases = [CustomerBase.from_orders(one, customer_id="user", time="day") for one in orders]
    >>> counts = CohortCounts.of(bases[0], as_of="2026-03-01") + CohortCounts.of(bases[1], as_of="2026-03-01")
    >>> counts.retention().table.tolist()
    [[1.0, 1.0], [1.0, nan]]
    """

    by: Mapping[str, npt.NDArray[Any]]
    cohorts: npt.NDArray[np.datetime64] = attrs.field(converter=owned)
    sizes: IntArray = attrs.field(converter=owned)
    counts: IntArray = attrs.field(converter=owned)
    at_risk: IntArray = attrs.field(converter=owned)
    begun: IntArray = attrs.field(converter=owned)
    ended: IntArray = attrs.field(converter=owned)
    period: str
    kind: str
    as_of: np.datetime64

    @classmethod
    def of(cls, data: CustomerBase | Purchases, *, as_of: AsOfGiven, **how: Unpack[CohortHow]) -> Self:
        """Count the customers of a base; the arguments are those of `cohort_retention`."""
        return cls(**_counted(data, as_of, **how))

    def retention(self) -> CohortRetention:
        """Return what `cohort_retention` would return for all these customers."""
        risk = np.where(self.at_risk > 0, self.at_risk.astype(np.float64), np.nan)
        counts = np.where(self.at_risk > 0, self.counts.astype(np.float64), np.nan)
        in_progress = (self.begun > 0) & (self.ended < self.begun)
        part, of, calm = np.where(self.at_risk > 0, self.counts, 0), "customers who could have", ~in_progress
        return CohortRetention(
            by=self.by, cohorts=self.cohorts, sizes=self.sizes, table=ratio(counts, risk), counts=counts, at_risk=risk,
            in_progress=in_progress,
            overall=shares("came back", part.sum(axis=0), of, self.at_risk.sum(axis=0)),
            overall_ended=shares("came back", (part * calm).sum(axis=0), of, (self.at_risk * calm).sum(axis=0)),
            period=self.period, kind=self.kind, as_of=self.as_of, notes=notes(self.sizes),
        )  # fmt: skip

    def __add__(self, other: CohortCounts) -> CohortCounts:
        """Return the counts of two disjoint sets of customers."""
        if not isinstance(other, CohortCounts):
            return NotImplemented
        for name, mine, theirs in (
            ("period", self.period, other.period), ("kind", self.kind, other.kind), ("as_of", self.as_of, other.as_of),
            ("by", list(self.by), list(other.by)),
        ):  # fmt: skip
            if mine != theirs:
                raise InputError(
                    f"counts with {name}={mine} and with {name}={theirs} do not add up: make both with the same "
                    "arguments.",
                    argument="other",
                    code="conflicting_arguments",
                )
        both = (self, other)
        labels, places = joined([{**one.by, _COHORT: one.cohorts} for one in both], [len(one.cohorts) for one in both])
        cohorts = labels.pop(_COHORT)
        width = max(one.counts.shape[1] for one in both)
        sizes = np.zeros(len(cohorts), dtype=np.int64)
        tables = {name: np.zeros((len(cohorts), width), dtype=np.int64) for name in _TABLES}
        for one, place in zip(both, places, strict=True):
            sizes[place] += one.sizes
            for name, table in tables.items():
                held = getattr(one, name)
                table[place, : held.shape[1]] += held
        return CohortCounts(
            by=labels, cohorts=cohorts, sizes=sizes, **tables, period=self.period, kind=self.kind, as_of=self.as_of
        )

    def __repr__(self) -> str:
        c, p = self.counts.shape
        return f"CohortCounts({int(self.sizes.sum()):,} customers, {c:,} cohorts, {p:,} periods)"


_TABLES = ("counts", "at_risk", "begun", "ended")


def _counted(
    data: CustomerBase | Purchases,
    as_of: AsOfGiven,
    *,
    start: Selection | None = None,
    back: Selection | None = None,
    period: CohortPeriod = "month",
    kind: str = "on",
    since: Instant | None = None,
    by: By = None,
    week_starts: str = "monday",
) -> dict[str, Any]:
    """Return the counts of a base, by the names of their fields."""
    one_of("kind", kind, _KINDS)
    found = read_activity(data, start, back, as_of)
    if isinstance(period, timedelta):
        cells = windows(found, period, kind)
    else:
        cells = periods(found, Calendar(period, found.tz, week_starts), kind)
    cohort, number, labels, label = grouped(data, found, cells, by, since, period, week_starts)
    c, p = len(label), cells.width
    counts, sizes = cells.counts(cohort, c, p)
    risk, begun, ended = cells.at_risk(cohort, number, c, p)
    return {
        "by": labels, "cohorts": label, "sizes": sizes, "counts": counts, "at_risk": risk, "begun": begun,
        "ended": ended, "period": str(period), "kind": kind, "as_of": found.as_of.given,
    }  # fmt: skip
