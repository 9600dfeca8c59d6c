"""RFM: who bought recently, often and for much money, as scores with fixed thresholds.

`Rfm` describes how to measure and how many bins to use, and `Rfm.fit` learns thresholds from a log. `RfmModel.score`
gives every customer of that log, or of any later one, a score from 1 (worst) to bins (best) in recency, frequency and
money, and the name that the grid has for them. The thresholds are order statistics, frozen in the model: equal
customers get equal scores, whatever the order of the rows, the number of shards or the month of the scoring.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase, purchases_of
from relmark.core.documents import Definition, Limits, built, check_keys, settings
from relmark.core.errors import NotEnoughDataError
from relmark.core.names import did_you_mean
from relmark.core.purchases import Purchases
from relmark.core.shapes import Shape
from relmark.core.spans import Span
from relmark.core.time import Instant
from relmark.core.zones import local_days
from relmark.expressions.needs import Needs
from relmark.segmentation.grids import STANDARD_GRID, RfmGrid
from relmark.segmentation.rfm_measures import (
    FREQUENCIES,
    MONETARIES,
    Frequency,
    Monetary,
    RfmMeasures,
    rfm_measures,
)
from relmark.segmentation.rfm_model import RfmCounts, RfmModel, scored
from relmark.segmentation.rfm_scores import RfmScores, ScoreArray
from relmark.segmentation.rfm_settings import (
    MEASURES,
    RFM_NEEDS,
    Cuts,
    check_bins,
    check_cuts,
    check_grid,
    read_cuts,
    read_grid,
    settings_shape,
    word,
)

__all__ = ["Rfm"]

_MANY = 1 << 15  # above this many rows, counting small whole numbers is faster than a partial sort


@attrs.frozen(kw_only=True)
class Rfm(Definition):
    """Settings for RFM: how to measure recency, frequency and money, and how many bins to use.

    Parameters
    ----------
    bins : int
        The highest score, 2 to 100; scores run from 1.
    frequency : {"orders", "days"}
        What frequency counts: orders, or calendar days with a purchase.
    monetary : {"sum", "mean"}
        The customer's total revenue, or the mean revenue of their orders.
    cuts : dict, optional
        Thresholds to use instead of fitted ones: ``bins - 1`` ascending numbers for any of
        ``"calendar_days_since"``, ``"frequency"`` and ``"monetary"``. A figure equal to a threshold counts as below it.
    grid : "standard" or RfmGrid
        The names of the segments; the standard grid is for five bins.

    Notes
    -----
    Of n customers who bought, threshold q is the ``ceil(n q / bins)``-th smallest figure. A customer scores 1 plus the
    number of thresholds below their own figure. Recency is reversed: r is ``bins + 1`` minus that score of the days
    since the last purchase. Ties share a score, so bins can differ in size or be empty: if a third of the customers
    bought once, they all have f = 1. The cost is one pass over the purchases and a partial sort of the customers.

    Examples
    --------
    >>> orders = {"user": ["a", "a", "b", "c"], "amount": [10.0, 5.0, 7.0, 1.0],
    ...     "time": ["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z", "2026-03-01T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> scores = Rfm().fit(base, as_of="2026-11-01").score(base, as_of="2026-11-01")
    >>> scores.r.tolist(), scores.f.tolist(), scores.m.tolist(), scores.segment.tolist()
    ([5, 4, 2], [4, 1, 1], [4, 2, 1], ['Champions', 'Promising', 'Hibernating'])
    """

    kind: ClassVar[str] = "rfm_settings"

    bins: int = attrs.field(default=5, validator=check_bins)
    frequency: Frequency = attrs.field(default="orders", validator=word(*FREQUENCIES))
    monetary: Monetary = attrs.field(default="sum", validator=word(*MONETARIES))
    cuts: Cuts = attrs.field(default=None, converter=read_cuts)
    grid: RfmGrid = attrs.field(default=STANDARD_GRID, converter=read_grid)

    def __attrs_post_init__(self) -> None:
        """Check that the thresholds and the grid match the number of bins."""
        check_cuts(self.cuts, self.bins)
        check_grid(self.grid, self.bins)

    def __hash__(self) -> int:
        """Hash the stored form."""
        return hash(self.fingerprint)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return settings_shape(limits), ()

    def _body(self) -> dict[str, Any]:
        return {
            "bins": self.bins,
            "frequency": self.frequency,
            "monetary": self.monetary,
            "cuts": {name: list(cuts) for name, cuts in self.cuts.items()},
            "grid": [list(row) for row in self.grid.rows],
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=(), optional=[field.name for field in settings(cls)], what="RFM settings")
        grid = {"grid": RfmGrid._read(body["grid"], "$.grid")} if "grid" in body else {}  # noqa: SLF001
        return built(cls, {**body, **grid})

    def fit(self, data: CustomerBase | Purchases, *, as_of: Instant, within: Span | None = None) -> RfmModel:
        """Learn the thresholds from the customers who bought by `as_of`.

        Parameters
        ----------
        data : CustomerBase or Purchases
            A base, read by `CustomerBase.purchases` with its defaults, or the result of that method.
        as_of : date, datetime, datetime64 or str
            A date includes purchases before that day; an instant includes purchases up to it.
        within : timedelta, calendar_days or months, optional
            How far back to look, here and in every later scoring; the whole log by default.

        Raises
        ------
        NotEnoughDataError
            Nobody bought in the window.
        InputError
            A purchase has no value.
        """
        return self._fit(self._measured(data, as_of, within), within)[0]

    def needs(self) -> Needs:
        """Return what the scores need from a base: all purchases, read with the default settings."""
        return RFM_NEEDS

    def fit_measures(self, measures: RfmMeasures, *, within: Span | None = None) -> RfmModel:
        """Learn the thresholds from measures that were computed elsewhere by the settings of this object."""
        return self._fit(measures, within)[0]

    def score(self, data: CustomerBase | Purchases, *, as_of: Instant, within: Span | None = None) -> RfmScores:
        """Fit and score in one pass: the same as ``fit(base, as_of=t).score(base, as_of=t)``, at half the cost.

        The fitted model is the attribute `model` of the result.
        """
        measures = self._measured(data, as_of, within)
        model, scores = self._fit(measures, within)
        return scored(model, measures, *scores)

    def _measured(self, data: CustomerBase | Purchases, as_of: Instant, within: Span | None) -> RfmMeasures:
        measures = rfm_measures(data, as_of=as_of, within=within, frequency=self.frequency, monetary=self.monetary)
        if not (measures.orders > 0).any():
            bought = purchases_of(data)
            window = "" if within is None else f" within {within}"
            times = bought.lines.time
            if len(times):
                first, last = local_days(times[[0, -1]], bought.tz).astype("M8[D]")
                hint = f"The first purchase is of {first}, the last of {last}: check as_of."
            elif bought.type in bought.types:
                hint = f"No {bought.type!r} event is left after refunds: see base.purchases().counts."
            else:
                there = ", ".join(map(repr, bought.types)) or "no events"
                hint = f"The log has {there}.{did_you_mean(bought.type, bought.types)}"
            raise NotEnoughDataError(
                f"nobody has a {bought.type!r} event by {measures.as_of}{window}: RFM needs at least one customer who "
                f"bought.",
                argument="data",
                hint=hint,
            )
        return measures

    def _fit(
        self, measures: RfmMeasures, within: Span | None
    ) -> tuple[RfmModel, tuple[ScoreArray, ScoreArray, ScoreArray]]:
        bought = measures.orders > 0
        if not bought.any():
            raise NotEnoughDataError(
                "measures has no customer who bought: RFM needs at least one.", argument="measures"
            )
        rows = slice(None) if bought.all() else bought
        cuts = {
            name: self.cuts.get(name) or _order_statistics(getattr(measures, name)[rows], self.bins)
            for name in MEASURES
        }
        model = RfmModel(
            bins=self.bins,
            cuts=cuts,
            grid=self.grid,
            within=within,
            frequency=self.frequency,
            monetary=self.monetary,
        )
        scores = model._scores(measures)  # noqa: SLF001
        return attrs.evolve(model, fitted=_count(*scores, self.bins, measures.as_of)), scores


def _order_statistics(x: npt.NDArray[Any], bins: int) -> tuple[float, ...]:
    """Return the ceil(n q / bins)-th smallest figure for each q in 1 .. bins - 1."""
    n = len(x)
    kth = [-(-n * q // bins) - 1 for q in range(1, bins)]
    if len(x) > _MANY and x.min() >= 0 and x.max() < _MANY:  # days and counts: 2 ms for a million, partition 13
        whole = x.astype(np.int64)
        if (whole == x).all():
            below = np.cumsum(np.bincount(whole))
            return tuple(np.searchsorted(below, kth, side="right").astype(np.float64).tolist())
    return tuple(np.partition(x, sorted(set(kth)))[kth].astype(np.float64).tolist())


def _count(r: ScoreArray, f: ScoreArray, m: ScoreArray, bins: int, as_of: np.datetime64) -> RfmCounts:
    """Return the counts of scored customers by cell and by monetary score."""
    n = bins + 1
    cells = np.bincount(r * n + f, minlength=n * n).reshape(n, n)[1:, 1:]
    money = np.bincount(m, minlength=n)[1:]
    return RfmCounts(as_of=as_of, cells=tuple(map(tuple, cells.tolist())), monetary=tuple(money.tolist()))
