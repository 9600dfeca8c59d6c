"""RFM: who bought lately, often and for much, as scores with thresholds that stay.

`Rfm` says how to measure and into how many bins; `Rfm.fit` reads thresholds off a log; `RfmModel.score` gives every
customer of that log, or of any later one, a score from 1 (worst) to bins (best) in recency, frequency and money, and
the name that the grid has for them. The thresholds are order statistics, frozen in the model: equal customers get
equal scores, whatever the order of the rows, the number of shards or the month of the scoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError, NotEnoughDataError
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant, duration, duration_text, instant, parse_duration, time_zone
from relmark.segmentation.grids import LAPSED, PROSPECT, STANDARD_GRID, RfmGrid
from relmark.segmentation.rfm_measures import (
    FREQUENCIES,
    MONETARIES,
    REFUNDS,
    Frequency,
    Monetary,
    Refunds,
    RfmMeasures,
    rfm_measures,
)

if TYPE_CHECKING:
    from relmark.segmentation.segment_report import SegmentReport

__all__ = ["Rfm", "RfmCounts", "RfmModel", "RfmScores"]

MEASURES = ("days_since_last", "frequency", "monetary")
_MANY = 1 << 15  # from here on, counting small whole numbers beats a partial sort

ScoreArray = npt.NDArray[np.int32]
Cuts = Mapping[str, tuple[float, ...]]


def _read_cuts(cuts: Any) -> dict[str, tuple[float, ...]]:
    if cuts is None:
        return {}
    if not isinstance(cuts, Mapping):
        raise InputError(f"cuts is {checks.shown(cuts)}: a mapping of {', '.join(MEASURES)} to thresholds is needed.")
    return {name: tuple(checks.numbers(f"cuts[{name!r}]", values).tolist()) for name, values in cuts.items()}


def _check_cuts(cuts: Cuts, bins: int) -> None:
    for name, values in cuts.items():
        checks.one_of("a name of cuts", name, MEASURES)
        if len(values) != bins - 1:
            raise InputError(f"cuts[{name!r}] has {len(values)} thresholds: {bins - 1} are needed for {bins} bins.")
        if any(low > high for low, high in pairwise(values)):
            raise InputError(f"cuts[{name!r}] is {list(values)}: thresholds ascend.")


def _check_bins(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    checks.whole("bins", value, low=2, high=100)


def _check_text(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    if value is not None:
        checks.text(attribute.name, value)


def _check_zone(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    time_zone(checks.text("tz", value))


def _check_within(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
    if value is not None:
        duration("within", value)


def _word(*allowed: str) -> Any:
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
        checks.one_of(attribute.name, value, allowed)

    return check


def _read_grid(grid: Any) -> RfmGrid:
    if isinstance(grid, RfmGrid):
        return grid
    if isinstance(grid, str) and grid == "standard":
        return STANDARD_GRID
    raise InputError(f"grid is {checks.shown(grid)}: 'standard' or an RfmGrid is needed.")


def _check_grid(grid: RfmGrid, bins: int) -> None:
    if grid.bins == bins:
        return
    if grid == STANDARD_GRID:
        raise InputError(
            f"grid is 'standard', which is for 5 bins, and bins is {bins}. Give grid=RfmGrid.from_regions(..., "
            f"bins={bins}), or grid=RfmGrid.by_score({bins})."
        )
    raise InputError(f"grid has {grid.bins} bins and bins is {bins}: they must agree.")


@attrs.frozen(kw_only=True)
class Rfm:
    """How to measure recency, frequency and money, and into how many bins.

    Parameters
    ----------
    bins : int
        Scores run from 1 to this; 2 to 100.
    frequency : {"orders", "days"}
        What frequency counts: orders, or calendar days with a purchase.
    order : str, optional
        The property that holds the order; without it every event is an order.
    monetary : {"sum", "mean"}
        All money, or the mean of an order.
    cuts : dict, optional
        Thresholds that are given instead of fitted: ``bins - 1`` ascending numbers for any of ``"days_since_last"``,
        ``"frequency"`` and ``"monetary"``. A figure equal to a threshold belongs below it.
    grid : "standard" or RfmGrid
        The names; the standard grid is for five bins.
    refunds : {"net", "gross"}
        Whether an event with a negative value lowers the money. It is never counted as a purchase.
    tz : str
        The zone whose calendar counts days.

    Notes
    -----
    Of n customers who bought, threshold q is the ``ceil(n q / bins)``-th smallest figure, and a customer scores 1
    + the number of thresholds below their own figure. Recency turns this: ``r = bins + 1 - score(days_since_last)``.
    Ties share a score, so bins can differ in size or be empty: where a third of the customers bought once, they all
    have f = 1. Cost: one pass over the purchases and a partial sort of the customers.

    Examples
    --------
    >>> from relmark.core.log import EventLog
    >>> log = EventLog.from_columns(customer_id=["a", "a", "b", "c"], type="purchase", value=[10.0, 5.0, 7.0, 1.0],
    ...     time=["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z", "2026-03-01T10:00Z"])
    >>> scores = Rfm().fit(log, as_of="2026-11-01").score(log, as_of="2026-11-01")
    >>> scores.r.tolist(), scores.f.tolist(), scores.m.tolist(), scores.segment.tolist()
    ([5, 4, 2], [4, 1, 1], [4, 2, 1], ['Champions', 'Promising', 'Hibernating'])
    """

    bins: int = attrs.field(default=5, validator=_check_bins)
    frequency: Frequency = attrs.field(default="orders", validator=_word(*FREQUENCIES))
    order: str | None = attrs.field(default=None, validator=_check_text)
    monetary: Monetary = attrs.field(default="sum", validator=_word(*MONETARIES))
    cuts: Cuts = attrs.field(default=None, converter=_read_cuts)
    grid: RfmGrid = attrs.field(default=STANDARD_GRID, converter=_read_grid)
    refunds: Refunds = attrs.field(default="net", validator=_word(*REFUNDS))
    tz: str = attrs.field(default="UTC", validator=_check_zone)

    def __attrs_post_init__(self) -> None:
        """Check that thresholds and grid fit the bins."""
        _check_cuts(self.cuts, self.bins)
        _check_grid(self.grid, self.bins)

    def fit(
        self, log: EventLog, *, as_of: Instant, type: str = "purchase", within: timedelta | None = None
    ) -> RfmModel:
        """Read the thresholds off the customers who bought by `as_of`.

        Parameters
        ----------
        log : EventLog
            The purchases; each needs a value.
        as_of : datetime, date, datetime64 or str
            Nothing later is seen; a date is its midnight in `tz`.
        type : str
            The type of the events that are purchases.
        within : timedelta, optional
            How far back to look, here and in every scoring; everything by default.

        Raises
        ------
        NotEnoughDataError
            Nobody bought in the window.
        InputError
            A purchase has no value.
        """
        return self._fit(self._measured(log, as_of, type, within), type, within)[0]

    def fit_measures(
        self, measures: RfmMeasures, *, type: str = "purchase", within: timedelta | None = None
    ) -> RfmModel:
        """Read the thresholds off measures that were computed elsewhere, in the way that this object describes."""
        return self._fit(measures, type, within)[0]

    def score(
        self, log: EventLog, *, as_of: Instant, type: str = "purchase", within: timedelta | None = None
    ) -> RfmScores:
        """Fit and score in one pass over the log: ``fit(log, as_of=t).score(log, as_of=t)``, at half its cost.

        The model is the `model` of the result.
        """
        measures = self._measured(log, as_of, type, within)
        model, scores = self._fit(measures, type, within)
        return _scored(model, measures, *scores)

    def _measured(self, log: EventLog, as_of: Instant, type: str, within: timedelta | None) -> RfmMeasures:
        measures = rfm_measures(log, as_of=as_of, **self._settings(type, within))
        if not (measures.orders > 0).any():
            there = ", ".join(log.types) or "none"
            raise NotEnoughDataError(
                f"nobody has a {type!r} event by {measures.as_of}{'' if within is None else f' within {within}'}: RFM "
                f"needs at least one customer who bought. The log has the types {there}.{did_you_mean(type, log.types)}"
            )
        return measures

    def _fit(
        self, measures: RfmMeasures, type: str, within: timedelta | None
    ) -> tuple[RfmModel, tuple[ScoreArray, ScoreArray, ScoreArray]]:
        bought = measures.orders > 0
        if not bought.any():
            raise NotEnoughDataError("measures has no customer who bought: RFM needs at least one.")
        rows = slice(None) if bought.all() else bought
        cuts = {
            name: self.cuts.get(name) or _order_statistics(getattr(measures, name)[rows], self.bins)
            for name in MEASURES
        }
        model = RfmModel(bins=self.bins, cuts=cuts, grid=self.grid, **self._settings(type, within))
        scores = model._scores(measures)  # noqa: SLF001
        return attrs.evolve(model, fitted=_count(*scores, self.bins, measures.as_of)), scores

    def _settings(self, type: str, within: timedelta | None) -> dict[str, Any]:
        return {
            "type": type,
            "within": within,
            "frequency": self.frequency,
            "order": self.order,
            "monetary": self.monetary,
            "refunds": self.refunds,
            "tz": self.tz,
        }


@attrs.frozen(kw_only=True)
class RfmCounts:
    """How many customers had which score when a model was fitted: what drift compares with.

    Parameters
    ----------
    as_of : str
        The instant of the fit.
    cells : tuple of tuples of int, shape (bins, bins)
        Customers by recency score (row r - 1) and frequency score (column f - 1).
    monetary : tuple of int, shape (bins,)
        Customers by monetary score.
    """

    as_of: str
    cells: tuple[tuple[int, ...], ...]
    monetary: tuple[int, ...]

    @property
    def customers(self) -> int:
        """All who were scored."""
        return sum(self.monetary)


@attrs.frozen(kw_only=True)
class RfmModel(Definition):
    """Frozen thresholds of recency, frequency and money, and the way in which they are measured.

    A model is its thresholds: write one down, or take `Rfm.fit`'s. It scores any log, goes to JSON and back without
    changing a bit, and keeps no customer.

    Parameters
    ----------
    bins : int
        Scores run from 1 to this.
    cuts : dict of str to tuple of float
        ``bins - 1`` ascending thresholds for each of ``"days_since_last"``, ``"frequency"`` and ``"monetary"``. A
        customer scores 1 + the number of thresholds below their figure; recency turns this round.
    grid : "standard" or RfmGrid
        The names.
    type, within, frequency, order, monetary, refunds, tz
        How figures are measured, as in `Rfm` and `Rfm.fit`.
    fitted : RfmCounts, optional
        How many customers had which score at the fit; None for a model that was written down.

    Examples
    --------
    >>> model = RfmModel(bins=2, cuts={"days_since_last": [30], "frequency": [1], "monetary": [100]},
    ...     grid=RfmGrid.by_score(2))
    >>> RfmModel.from_json(model.to_json()) == model
    True
    """

    kind: ClassVar[str] = "rfm"
    version: ClassVar[int] = 1

    bins: int = attrs.field(default=5, validator=_check_bins)
    cuts: Cuts = attrs.field(converter=_read_cuts)
    grid: RfmGrid = attrs.field(default=STANDARD_GRID, converter=_read_grid)
    type: str = attrs.field(default="purchase", validator=_check_text)
    within: timedelta | None = attrs.field(default=None, validator=_check_within)
    frequency: Frequency = attrs.field(default="orders", validator=_word(*FREQUENCIES))
    order: str | None = attrs.field(default=None, validator=_check_text)
    monetary: Monetary = attrs.field(default="sum", validator=_word(*MONETARIES))
    refunds: Refunds = attrs.field(default="net", validator=_word(*REFUNDS))
    tz: str = attrs.field(default="UTC", validator=_check_zone)
    fitted: RfmCounts | None = None

    def __attrs_post_init__(self) -> None:
        """Check that thresholds and grid fit the bins."""
        _check_cuts(self.cuts, self.bins)
        for name in MEASURES:
            if name not in self.cuts:
                raise InputError(f"cuts has no {name!r}: a model needs thresholds for {', '.join(MEASURES)}.")
        _check_grid(self.grid, self.bins)

    def __hash__(self) -> int:
        """Hash the stored form."""
        return hash(self.fingerprint)

    def score(self, log: EventLog, *, as_of: Instant) -> RfmScores:
        """Score every customer of a log with the frozen thresholds.

        Parameters
        ----------
        log : EventLog
            The log of the fit, or any other of the same shop.
        as_of : datetime, date, datetime64 or str
            Nothing later is seen; a date is its midnight in `tz`.

        Returns
        -------
        RfmScores
            One row a customer of the log, ids ascending. Who has not bought by `as_of` scores 0 and is a "Prospect";
            who bought, but only before the model's window, scores 0 and is "Lapsed".
        """
        return self.score_measures(
            rfm_measures(
                log,
                as_of=as_of,
                type=self.type,
                within=self.within,
                frequency=self.frequency,
                order=self.order,
                monetary=self.monetary,
                refunds=self.refunds,
                tz=self.tz,
            )
        )

    def score_measures(self, measures: RfmMeasures) -> RfmScores:
        """Score measures that were computed elsewhere, in the way that this model describes."""
        return _scored(self, measures, *self._scores(measures))

    def _scores(self, measures: RfmMeasures) -> tuple[ScoreArray, ScoreArray, ScoreArray]:
        """Return r, f and m, 0 for customers who did not buy."""
        bought = measures.orders > 0
        days, frequency, monetary = (_above(getattr(measures, name), self.cuts[name]) for name in MEASURES)
        scores = ((self.bins - days), (frequency + 1), (monetary + 1))
        r, f, m = (np.multiply(score, bought, dtype=np.int32) for score in scores)
        return r, f, m

    def _body(self) -> dict[str, Any]:
        fitted = self.fitted
        return {
            "bins": self.bins,
            "cuts": {name: list(self.cuts[name]) for name in MEASURES},
            "grid": [list(row) for row in self.grid.rows],
            "type": self.type,
            "within": None if self.within is None else duration_text(self.within),
            "frequency": self.frequency,
            "order": self.order,
            "monetary": self.monetary,
            "refunds": self.refunds,
            "tz": self.tz,
            "fitted": None
            if fitted is None
            else {
                "as_of": fitted.as_of,
                "cells": [list(row) for row in fitted.cells],
                "monetary": list(fitted.monetary),
            },
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        names = [attribute.name for attribute in attrs.fields(cls)]
        check_keys(body, required=["cuts"], optional=names, what="RFM model")
        parts = dict(body)
        check_keys(body["cuts"], required=MEASURES, path="$.cuts", what="set of thresholds")
        for name in MEASURES:
            _check_list(body["cuts"][name], f"$.cuts.{name}", (int, float))
        if "grid" in body:
            parts["grid"] = RfmGrid._read(body["grid"], "$.grid")  # noqa: SLF001
        if body.get("within") is not None:
            parts["within"] = parse_duration(body["within"], "$.within")
        try:
            fitted = body.get("fitted")
            bins = checks.whole("bins", body.get("bins", 5), low=2, high=100)
            parts["fitted"] = None if fitted is None else _read_counts(fitted, bins)
            return cls(**parts)
        except DefinitionError:
            raise
        except InputError as error:
            raise DefinitionError(str(error), code="bad_value") from None


def _check_list(values: Any, path: str, kind: type | tuple[type, ...]) -> None:
    if not isinstance(values, list) or not all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
        raise DefinitionError("a list of numbers is needed.", path=path, code="wrong_type")


def _read_counts(body: Any, bins: int) -> RfmCounts:
    check_keys(body, required=["as_of", "cells", "monetary"], path="$.fitted", what="set of counts")
    if not isinstance(body["cells"], list):
        raise DefinitionError("a list of lists of counts is needed.", path="$.fitted.cells", code="wrong_type")
    rows = {"$.fitted.monetary": body["monetary"]}
    rows |= {f"$.fitted.cells[{k}]": row for k, row in enumerate(body["cells"])}
    for path, row in rows.items():
        _check_list(row, path, int)
        if len(row) != bins or min(row) < 0:
            raise DefinitionError(f"{bins} counts of 0 or more are needed.", path=path, code="bad_value")
    if len(body["cells"]) != bins or sum(map(sum, body["cells"])) != sum(body["monetary"]):
        raise DefinitionError(
            f"the counts must be {bins} by {bins} and add up to those of the money.",
            path="$.fitted.cells",
            code="bad_value",
        )
    instant(body["as_of"], name="fitted.as_of")
    return RfmCounts(as_of=body["as_of"], cells=tuple(map(tuple, body["cells"])), monetary=tuple(body["monetary"]))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RfmScores(ColumnarResult):
    """Scores and names of customers, ids ascending; any result of this kind joins a base with `base.with_columns`.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Ids ascending.
    r, f, m : ndarray of int32, shape (n,)
        Scores from 1 (worst) to bins (best); 0 for those who could not be scored.
    days_since_last : ndarray of float64, shape (n,)
        Calendar days since the last purchase; NaN for those who could not be scored.
    frequency : ndarray of int64, shape (n,)
        Orders, or days with a purchase.
    monetary : ndarray of float64, shape (n,)
        Money in all, or the mean of an order.
    orders : ndarray of int64, shape (n,)
        Orders.
    revenue : ndarray of float64, shape (n,)
        Money in all.
    lapsed : ndarray of bool, shape (n,)
        Who bought, but only before the window.
    as_of : str
        The instant of the figures.
    model : RfmModel
        The thresholds and names that gave the scores.
    """

    customer_id: npt.NDArray[Any]
    r: ScoreArray
    f: ScoreArray
    m: ScoreArray
    days_since_last: FloatArray
    frequency: IntArray
    monetary: FloatArray
    orders: IntArray
    revenue: FloatArray
    lapsed: npt.NDArray[np.bool_]
    as_of: str
    model: RfmModel

    @property
    def grid(self) -> RfmGrid:
        """The names of the cells."""
        return self.model.grid

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that `segment` can have, best first; "Prospect" and "Lapsed" last."""
        return (*self.grid.names, PROSPECT, LAPSED)

    @property
    def segment_code(self) -> npt.NDArray[np.int16]:
        """The segment of each customer as a position in `names`, shape (n,)."""
        n = self.grid.bins
        table = np.full((n + 1, n + 1), len(self.grid.names), dtype=np.int16)
        table[1:, 1:] = self.grid.codes()
        code: npt.NDArray[np.int16] = np.asarray(table.ravel()[self.r * (n + 1) + self.f])
        code[self.lapsed] = len(self.grid.names) + 1
        return code

    @property
    def segment(self) -> npt.NDArray[np.str_]:
        """The name of each customer's segment, shape (n,)."""
        return np.asarray(np.array(self.names)[self.segment_code])

    def counts(self) -> dict[str, int]:
        """Return how many customers each segment has: all names of the grid, the others where they occur."""
        found = np.bincount(self.segment_code, minlength=len(self.names)).tolist()
        return {
            name: count
            for name, count in zip(self.names, found, strict=True)
            if count or name not in {PROSPECT, LAPSED}
        }

    def report(self) -> SegmentReport:
        """Return what each segment is worth: `segment_report` of these scores."""
        from relmark.segmentation.segment_report import segment_report

        return segment_report(self)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the aligned columns by name, `segment` among them."""
        columns = {name: getattr(self, name) for name in self._field_names() if name not in {"as_of", "model"}}
        return {name: columns[name] for name in ("customer_id", "r", "f", "m")} | {"segment": self.segment} | columns

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values, `segment` among them."""
        return super().to_dict() | {"segment": self.segment.tolist()}

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.customer_id)

    def _facts(self) -> dict[str, Any]:
        return {"customers": len(self), "as_of": self.as_of, "counts": self.counts()}

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return {name: columns[name] for name in ("customer_id", "r", "f", "m", "segment", *MEASURES)}


def _scored(model: RfmModel, measures: RfmMeasures, r: ScoreArray, f: ScoreArray, m: ScoreArray) -> RfmScores:
    """Return the scores of some measures with all that they are about."""
    return RfmScores(
        customer_id=measures.customer_id,
        r=r,
        f=f,
        m=m,
        days_since_last=measures.days_since_last,
        frequency=measures.frequency,
        monetary=measures.monetary,
        orders=measures.orders,
        revenue=measures.revenue,
        lapsed=measures.lapsed,
        as_of=measures.as_of,
        model=model,
    )


def _order_statistics(x: npt.NDArray[Any], bins: int) -> tuple[float, ...]:
    """Return for q = 1 .. bins - 1 the ceil(n q / bins)-th smallest figure."""
    n = len(x)
    kth = [-(-n * q // bins) - 1 for q in range(1, bins)]
    if len(x) > _MANY and x.min() >= 0 and x.max() < _MANY:  # days and counts: 2 ms for a million, partition 13
        whole = x.astype(np.int64)
        if (whole == x).all():
            below = np.cumsum(np.bincount(whole))
            return tuple(np.searchsorted(below, kth, side="right").astype(np.float64).tolist())
    return tuple(np.partition(x, sorted(set(kth)))[kth].astype(np.float64).tolist())


def _above(x: npt.NDArray[Any], cuts: tuple[float, ...]) -> npt.NDArray[np.int8]:
    """Return how many thresholds lie below each figure; NaN is above none."""
    out = np.zeros(len(x), dtype=np.int8)
    for cut in cuts:
        out += x > cut
    return out


def _count(r: ScoreArray, f: ScoreArray, m: ScoreArray, bins: int, as_of: str) -> RfmCounts:
    """Return the counts of scored customers by cell and by monetary score."""
    n = bins + 1
    cells = np.bincount(r * n + f, minlength=n * n).reshape(n, n)[1:, 1:]
    money = np.bincount(m, minlength=n)[1:]
    return RfmCounts(as_of=as_of, cells=tuple(map(tuple, cells.tolist())), monetary=tuple(money.tolist()))
