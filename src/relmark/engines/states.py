"""What a fit needs of any number of rows: a small state of each piece of whole customers, and the states added up.

A state is something with ``+`` that is the same whatever the pieces were: cells of purchases, journeys, counts of
messages, moments. A billion rows become a few thousand numbers, and the model is fitted to these in numpy.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import numpy as np

from relmark.attribution import Journeys
from relmark.core.base import CustomerBase
from relmark.core.checks import shown, whole
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.time import Instant
from relmark.engines.answers import Answer
from relmark.engines.applying import Read
from relmark.engines.tables import narwhals_module
from relmark.engines.worker import Worker
from relmark.experiments import Experiment, Moments
from relmark.expressions import Expression
from relmark.expressions.needs import Needs
from relmark.ltv import PurchaseSummary, purchase_summary
from relmark.metrics import MessageCounts
from relmark.segmentation import Rfm, RfmModel
from relmark.segmentation.rfm_measures import rfm_measures

__all__ = ["RfmState", "journeys", "message_counts", "moments", "purchase_cells", "reduce", "rfm"]

_BOUGHT = Needs(events={"purchase": ("item", "order", "quantity")}, horizon=None)
_MEMORY = 1 << 29


def reduce(
    partial: Callable[[CustomerBase], Any],
    *,
    events: object,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = _MEMORY,
    needs: Needs | None = None,
) -> Any:
    """Return the sum of what a function says of pieces of whole customers.

    Parameters
    ----------
    partial : callable
        Takes a base of some customers and returns something with ``+``, or None where there is nothing to add.
    events : polars LazyFrame or DataFrame, DuckDB relation
    customers, columns, tz, memory
        As in `apply`.
    as_of : instant
        Nothing after it is read, where `needs` are given.
    needs : Needs, optional
        What the function looks at; everything is read without it.

    Returns
    -------
    what `partial` returns

    Raises
    ------
    NotEnoughDataError
        No piece had anything to add.

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import datetime
    >>> frame = pl.LazyFrame({"customer_id": ["a", "b"], "type": ["visit"] * 2, "time": [datetime(2026, 1, 5)] * 2})
    >>> reduce(lambda base: len(base.events), events=frame, as_of="2026-01-31")
    2
    """
    whole("memory", memory, low=1)
    named = getattr(partial, "__name__", "partial")
    answer = Answer(name=named, needs=needs, ask=lambda base, as_of: partial(base))  # noqa: ARG005
    work = Worker(definition=answer, as_of=as_of, tz=tz, columns=dict(columns or {}))
    read = Read(narwhals_module(), work, events, customers)
    engine = read.happened.frame.implementation
    if not (engine.is_polars() or engine.is_duckdb()):
        raise InputError(
            f"events is a frame of {engine.value}: states are added up on Polars and DuckDB.",
            argument="events",
            code="wrong_type",
            hint="On Spark, apply a function that returns the numbers of each customer, and group them there.",
        )
    found = (work._of_piece(*piece) for piece in read.pieces(memory))  # noqa: SLF001
    parts = (part for part in found if part is not None)
    first = next(parts, None)
    if first is None:
        raise NotEnoughDataError("no customer has anything to add up by as_of.", argument="events")
    return functools.reduce(operator.add, parts, first)


def purchase_cells(
    events: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = _MEMORY,
    unit: str = "week",
) -> PurchaseSummary:
    """Return how many customers have each (frequency, recency, T): all that models of purchases are fitted to.

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

    def partial(base: CustomerBase) -> PurchaseSummary | None:
        try:
            return purchase_summary(base, as_of=as_of, unit=unit).cells()
        except NotEnoughDataError:
            return None

    return reduce(partial, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=_BOUGHT)  # type: ignore[no-any-return]


def journeys(
    events: object,
    *,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = _MEMORY,
    **how: object,
) -> Journeys:
    """Return the journeys of all customers, equal ones counted together; the rest is as in `Journeys.from_events`."""

    def partial(base: CustomerBase) -> Journeys | None:
        try:
            return Journeys.from_events(base, as_of=as_of, **cast("Any", how))
        except NotEnoughDataError:
            return None

    return reduce(partial, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory)  # type: ignore[no-any-return]


def message_counts(
    events: object,
    *,
    customers: object = None,
    columns: Mapping[str, str] | None = None,
    as_of: Instant,
    tz: str = "UTC",
    memory: int = _MEMORY,
    **how: object,
) -> MessageCounts:
    """Return how many messages were sent, delivered, opened and clicked; the rest is as in `MessageCounts.of`.

    The types of events have the names that relmark assumes; `named` says others, as `events` does there.
    """
    words: Any = how.pop("named", None)

    def partial(base: CustomerBase) -> MessageCounts:
        return MessageCounts.of(base, as_of=as_of, events=words, **cast("Any", how))

    made: MessageCounts = reduce(
        partial, events=events, customers=customers, columns=columns, as_of=as_of, tz=tz, memory=memory
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
    memory: int = _MEMORY,
) -> Moments:
    """Return the moments by arm of figures of each customer: all that the analysis of means is made from.

    Parameters
    ----------
    events, customers, columns, tz, memory
        As in `apply`.
    measures : mapping of str to Expression
        Numeric or boolean figures, by the names that metrics use.
    experiment : Experiment
        Draws the arms; who is outside does not count.
    as_of : instant
    """
    if not measures or not all(isinstance(one, Expression) for one in measures.values()):
        raise InputError(
            f"measures is {shown(measures)}: expressions by name are needed.", argument="measures", code="wrong_type"
        )
    needs = sum((one.needs() for one in measures.values()), Needs())

    def partial(base: CustomerBase) -> Moments | None:
        if not len(base):
            return None
        drawn = experiment.assign(base.customer_id, at=as_of)
        found = base.measure(measures, as_of=as_of)
        columns = {name: np.asarray(found[name], dtype=np.float64) for name in measures}
        return Moments.from_columns(columns, drawn)

    made: Moments = reduce(
        partial, events=events, customers=customers, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=needs
    )
    return made


@attrs.frozen(eq=True)
class RfmState:
    """How many customers have each figure of recency, frequency and money: thresholds are read off exactly.

    Parameters
    ----------
    counts : mapping of str to mapping of float to int
        By measure, how many have which figure.
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
        """Return for each measure the ceil(n q / bins)-th smallest figure, q = 1 .. bins - 1."""
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
    memory: int = _MEMORY,
) -> RfmModel:
    """Return the RFM model of all customers: the thresholds that `Rfm.fit` reads off the whole log, exactly.

    The model has no counts of its own fit, which drift compares with.
    """
    settings = Rfm() if settings is None else settings

    def partial(base: CustomerBase) -> RfmState | None:
        measures = rfm_measures(base, as_of=as_of, frequency=settings.frequency, monetary=settings.monetary)
        bought = measures.orders > 0
        if not bought.any():
            return None
        counts = {}
        for name in ("calendar_days_since", "frequency", "monetary"):
            figures, n = np.unique(getattr(measures, name)[bought].astype(np.float64), return_counts=True)
            counts[name] = dict(zip(figures.tolist(), n.tolist(), strict=True))
        return RfmState(counts)

    found = reduce(partial, events=events, columns=columns, as_of=as_of, tz=tz, memory=memory, needs=_BOUGHT)
    cuts = found.cuts(settings.bins) | settings.cuts
    return RfmModel(bins=settings.bins, cuts=cuts, grid=settings.grid, frequency=settings.frequency,
                    monetary=settings.monetary)  # fmt: skip
