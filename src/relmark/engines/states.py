"""What a fit needs of any number of rows: a small state of each part of the customers, and the sum of the states.

A state is something with ``+`` whose sum does not depend on how the customers were divided: cells of purchases, pairs
of items, cohorts, funnels, journeys, counts of messages, moments. A billion rows become a few thousand numbers, and the
model is fitted to these in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Unpack, cast

import attrs
import numpy as np

from relmark.attribution import Journeys
from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.time import Instant
from relmark.engines.reducing import MEMORY, reduce
from relmark.experiments import Experiment, Moments
from relmark.expressions import Expression
from relmark.expressions.needs import Needs, needs_of_events
from relmark.expressions.selection import Selection
from relmark.ltv import PurchaseSummary, purchase_summary
from relmark.metrics import CohortCounts, FunnelCounts, MessageCounts
from relmark.metrics.cohort_counts import CohortHow
from relmark.metrics.funnel_counts import FunnelHow, Steps
from relmark.metrics.grouping import Named
from relmark.recommend import PairCounts
from relmark.segmentation import Rfm, RfmModel
from relmark.segmentation.rfm_measures import rfm_measures

__all__ = [
    "RfmState",
    "cohorts",
    "cooccurrence",
    "funnel",
    "journeys",
    "message_counts",
    "moments",
    "purchase_cells",
    "rfm",
]

_BOUGHT = Needs(events={"purchase": ("item", "order", "quantity")}, horizon=None)


def purchase_cells(
    events: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    unit: str = "week",
) -> PurchaseSummary:
    """Count the customers with each (frequency, recency, T), which is all that models of purchases need.

    The parameters are those of `apply` and `relmark.ltv.purchase_summary`.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b", "c"], "type": ["purchase"] * 4,
    ...                       "time": [datetime(2026, 1, day) for day in (5, 12, 5, 5)]})
    >>> cells = purchase_cells(frame, as_of="2026-01-20")
    >>> cells.frequency.tolist(), cells.recency.tolist(), cells.T.tolist(), cells.weights.tolist()
    ([0.0, 1.0], [0.0, 1.0], [2.0, 2.0], [2.0, 1.0])
    """

    def count_purchases(base: CustomerBase) -> PurchaseSummary | None:
        try:
            return purchase_summary(base, as_of=as_of, unit=unit).cells()
        except NotEnoughDataError:
            return None

    return reduce(count_purchases, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=_BOUGHT)


def journeys(
    events: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    **how: object,
) -> Journeys:
    """Return the journeys of all customers, with equal ones counted together; see `Journeys.from_events`."""

    def count_journeys(base: CustomerBase) -> Journeys | None:
        try:
            return Journeys.from_events(base, as_of=as_of, **cast("Any", how))
        except NotEnoughDataError:
            return None

    return reduce(count_journeys, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory)


def cooccurrence(
    events: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    by: Literal["order", "customer"] = "order",
) -> PairCounts:
    """Count how often items are bought together; ``pairs()`` turns the counts into the result of `also_bought`.

    ``ItemNeighbors(measure="llr").fit_counts(...)`` makes a recommender from the counts.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b", "b", "c"], "type": ["purchase"] * 5,
    ...                       "time": [datetime(2026, 1, 5)] * 5, "sku": ["tea", "cup", "tea", "cup", "tea"]})
    >>> counts = cooccurrence(frame, columns={"item": "sku"}, as_of="2026-01-20")
    >>> counts.pairs(min_count=2).confidence.round(3).tolist()
    [1.0, 0.667]
    """

    def count_pairs(base: CustomerBase) -> PairCounts | None:
        return PairCounts.of(base, by=by, as_of=as_of) if "purchase" in base.events.types else None

    made: PairCounts = reduce(
        count_pairs, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=_BOUGHT
    )
    return made


def cohorts(
    events: object,
    *,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    **how: Unpack[CohortHow],
) -> CohortCounts:
    """Count how many customers began and came back in each period; ``retention()`` returns the table of cohorts.

    The other arguments are those of `relmark.metrics.cohort_retention`.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b"], "type": ["purchase"] * 3,
    ...                       "time": [datetime(2026, 1, 15), datetime(2026, 2, 10), datetime(2026, 2, 12)]})
    >>> cohorts(frame, as_of="2026-03-01").retention().table.tolist()
    [[1.0, 1.0], [1.0, nan]]
    """
    start, back = how.get("start"), how.get("back")
    needs = _BOUGHT if start is None else _looked_at([start] if back is None else [start, back])
    needs = None if needs is None else _grouped(needs, how.get("by"), start)

    def count_cohorts(base: CustomerBase) -> CohortCounts | None:
        if start is None and "purchase" not in base.events.types:
            return None
        return CohortCounts.of(base, as_of=as_of, **how)

    made: CohortCounts = reduce(
        count_cohorts,
        events=events,
        customers=customers,
        columns=columns,
        as_of=as_of,
        tz=tz,
        memory=memory,
        needs=needs,
    )
    return made


def funnel(
    events: object,
    steps: Steps,
    *,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    **how: Unpack[FunnelHow],
) -> FunnelCounts:
    """Count how many people reached each step of a funnel; ``funnel()`` returns the funnel of all customers.

    The other arguments are those of `relmark.metrics.funnel`. Times from step to step are exact: each distinct time is
    stored with the number of times it occurs. If times are recorded to the microsecond, this is about one row per
    conversion.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> from relmark import event
    >>> frame = pl.LazyFrame({"customer_id": ["a", "a", "b"], "type": ["view", "purchase", "view"],
    ...                       "time": [datetime(2026, 1, day) for day in (5, 6, 5)]})
    >>> funnel(frame, [event("view"), event("purchase")], as_of="2026-03-01").funnel().counts.tolist()
    [2, 1]
    """
    given = list(steps.values()) if isinstance(steps, Mapping) else list(steps)
    # Whether another event lies between two steps depends on all events.
    needs = None if how.get("order") == "strict" else _looked_at([*given, *how.get("exclude", ())], how.get("same"))
    needs = None if needs is None else _grouped(needs, how.get("by"), *given)

    def count_steps(base: CustomerBase) -> FunnelCounts:
        return FunnelCounts.of(base, steps, as_of=as_of, **how)

    made: FunnelCounts = reduce(
        count_steps, events=events, customers=customers, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=needs
    )
    return made


def _looked_at(selections: list[Any], same: str | None = None) -> Needs | None:
    """Return what selections need; None if they are not selections, for which the counting raises an error later."""
    if not all(isinstance(one, Selection) for one in selections):
        return None
    more = () if same is None else (same,)
    return sum((needs_of_events(one, None, more) for one in selections), Needs())


def _grouped(needs: Needs, by: Any, *starts: Any) -> Needs | None:
    """Return needs together with those of the groups; None, which means everything, if these are not known."""
    for key in by if isinstance(by, (list, tuple)) else [] if by is None else [by]:
        rules = list(key.values()) if isinstance(key, Mapping) else [key]
        for rule in rules:
            if isinstance(rule, str):  # a property of the events, otherwise a field, otherwise a period
                needs += Needs(fields=(rule,))
                needs = sum((needs_of_events(one, None, (rule,)) for one in starts if one is not None), needs)
            elif isinstance(rule, Named) and not isinstance(rule, Expression):
                needs += rule.rule.needs()
            elif isinstance(rule, Expression):
                needs += rule.needs()
    return needs


def message_counts(
    events: object,
    *,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
    **how: object,
) -> MessageCounts:
    """Count the messages that were sent, delivered, opened and clicked; see `MessageCounts.of` for other arguments.

    Other names of event types are passed as `named` here, because `events` is the frame.
    """
    words: Any = how.pop("named", None)

    def count_messages(base: CustomerBase) -> MessageCounts:
        return MessageCounts.of(base, as_of=as_of, events=words, **cast("Any", how))

    made: MessageCounts = reduce(
        count_messages, events=events, customers=customers, columns=columns, as_of=as_of, tz=tz, memory=memory
    )
    return made


def moments(
    events: object,
    measures: Mapping[str, Expression],
    *,
    experiment: Experiment,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
) -> Moments:
    """Return the moments by arm of values of each customer, which is all that the analysis of means needs.

    Parameters
    ----------
    events, customers, columns, tz, memory
        As in `apply`.
    measures : mapping of str to Expression
        Numeric or boolean expressions, by the names that metrics use.
    experiment : Experiment
        The experiment that draws the arms; customers outside it do not count.
    as_of : instant
        Nothing after this instant is used.
    """
    if not measures or not all(isinstance(one, Expression) for one in measures.values()):
        raise InputError(
            f"measures is {shown(measures)}; it must be a mapping of names to expressions.",
            argument="measures",
            code="wrong_type",
        )
    needs = sum((one.needs() for one in measures.values()), Needs())

    def measure_arms(base: CustomerBase) -> Moments | None:
        if not len(base):
            return None
        drawn = experiment.assign(base.customer_id, at=as_of)
        found = base.measure(measures, as_of=as_of)
        columns = {name: np.asarray(found[name], dtype=np.float64) for name in measures}
        return Moments.from_columns(columns, drawn)

    made: Moments = reduce(
        measure_arms,
        events=events,
        customers=customers,
        columns=columns,
        as_of=as_of,
        tz=tz,
        memory=memory,
        needs=needs,
    )
    return made


@attrs.frozen(eq=True)
class RfmState:
    """How many customers have each value of recency, frequency and money, which gives exact thresholds.

    Parameters
    ----------
    counts : mapping of str to mapping of float to int
        For each measure, the number of customers with each value.
    """

    counts: Mapping[str, Mapping[float, int]]

    def __add__(self, other: RfmState) -> RfmState:
        """Return the counts of two disjoint sets of customers."""
        if not isinstance(other, RfmState):
            return NotImplemented
        both = {name: dict(held) for name, held in self.counts.items()}
        for name, held in other.counts.items():
            mine = both.setdefault(name, {})
            for figure, n in held.items():
                mine[figure] = mine.get(figure, 0) + n
        return RfmState({name: dict(sorted(held.items())) for name, held in both.items()})

    def cuts(self, bins: int) -> dict[str, tuple[float, ...]]:
        """Return for each measure the ceil(n q / bins)-th smallest value, for q = 1 .. bins - 1."""
        found = {}
        for name, held in self.counts.items():
            figures = np.array(sorted(held))
            below = np.cumsum([held[figure] for figure in figures.tolist()])
            kth = [-(-int(below[-1]) * q // bins) - 1 for q in range(1, bins)]
            found[name] = tuple(figures[np.searchsorted(below, kth, side="right")].tolist())
        return found


def rfm(
    events: object,
    settings: Rfm | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = MEMORY,
) -> RfmModel:
    """Return the RFM model of all customers, with exactly the thresholds that `Rfm.fit` would find in the whole log.

    The model does not contain the counts of its fit, which a report of drift needs.
    """
    settings = Rfm() if settings is None else settings

    def count_figures(base: CustomerBase) -> RfmState | None:
        measures = rfm_measures(base, as_of=as_of, frequency=settings.frequency, monetary=settings.monetary)
        bought = measures.orders > 0
        if not bought.any():
            return None
        counts = {}
        for name in ("calendar_days_since", "frequency", "monetary"):
            figures, n = np.unique(getattr(measures, name)[bought].astype(np.float64), return_counts=True)
            counts[name] = dict(zip(figures.tolist(), n.tolist(), strict=True))
        return RfmState(counts)

    found = reduce(count_figures, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=_BOUGHT)
    cuts = {**found.cuts(settings.bins), **settings.cuts}
    return RfmModel(bins=settings.bins, cuts=cuts, grid=settings.grid, frequency=settings.frequency,
                    monetary=settings.monetary)  # fmt: skip
