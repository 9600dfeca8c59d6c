"""An RFM model: thresholds that were learned from a log once and stay fixed.

The model scores the log that it was fitted on and every later log with the same thresholds, so that a customer who does
nothing moves only because time passes. It survives the round trip through JSON exactly.
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks, shapes
from relmark.core.as_of import read_as_of
from relmark.core.base import CustomerBase
from relmark.core.documents import Definition, Limits, check_keys, settings
from relmark.core.errors import DefinitionError, InputError, definition_error
from relmark.core.formats import format_value, html_table, text_table
from relmark.core.purchases import Purchases
from relmark.core.results import json_ready
from relmark.core.shapes import Shape
from relmark.core.spans import Span, parse_span, span_body
from relmark.core.time import Instant
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
from relmark.segmentation.rfm_scores import RfmScores, ScoreArray
from relmark.segmentation.rfm_settings import (
    MEASURES,
    RFM_NEEDS,
    THRESHOLDS,
    Cuts,
    check_bins,
    check_cuts,
    check_grid,
    check_within,
    read_cuts,
    read_grid,
    settings_shape,
    word,
)

__all__ = ["RfmCounts", "RfmModel", "scored"]


_COUNTS = shapes.array(shapes.whole(low=0), least=2)


@attrs.frozen(kw_only=True)
class RfmCounts:
    """How many customers had each score when a model was fitted; `drift` compares with these counts.

    Parameters
    ----------
    as_of : datetime64
        The date or instant of the fit.
    cells : tuple of tuples of int, shape (bins, bins)
        The number of customers by recency score (row r - 1) and frequency score (column f - 1).
    monetary : tuple of int, shape (bins,)
        The number of customers by monetary score.
    """

    as_of: np.datetime64
    cells: tuple[tuple[int, ...], ...]
    monetary: tuple[int, ...]

    @property
    def customers(self) -> int:
        """The number of customers who were scored."""
        return sum(self.monetary)


@attrs.frozen(kw_only=True, repr=False)
class RfmModel(Definition):
    """Fixed thresholds of recency, frequency and money, and how these are measured.

    `Rfm.fit` returns a model, or give the thresholds yourself. A model scores any log, survives the round trip through
    JSON exactly, and holds no customer data.

    Parameters
    ----------
    bins : int
        The highest score; scores run from 1.
    cuts : dict of str to tuple of float
        ``bins - 1`` ascending thresholds for each of ``"calendar_days_since"``, ``"frequency"`` and ``"monetary"``. A
        customer scores 1 plus the number of thresholds below their figure; recency is reversed.
    grid : "standard" or RfmGrid
        The names of the segments.
    within, frequency, monetary
        How the figures are measured, as in `Rfm` and `Rfm.fit`.
    fitted : RfmCounts, optional
        How many customers had each score at the fit; None for a model whose thresholds were written by hand.

    Examples
    --------
    >>> model = RfmModel(bins=2, cuts={"calendar_days_since": [30], "frequency": [1], "monetary": [100]},
    ...     grid=RfmGrid.by_score(2))
    >>> RfmModel.from_json(model.to_json()) == model
    True
    """

    kind: ClassVar[str] = "rfm"
    version: ClassVar[int] = 1

    bins: int = attrs.field(default=5, validator=check_bins)
    cuts: Cuts = attrs.field(converter=read_cuts)
    grid: RfmGrid = attrs.field(default=STANDARD_GRID, converter=read_grid)
    within: Span | None = attrs.field(default=None, validator=check_within)
    frequency: Frequency = attrs.field(default="orders", validator=word(*FREQUENCIES))
    monetary: Monetary = attrs.field(default="sum", validator=word(*MONETARIES))
    fitted: RfmCounts | None = None

    def __attrs_post_init__(self) -> None:
        """Check that the thresholds and the grid match the number of bins."""
        check_cuts(self.cuts, self.bins)
        for name in MEASURES:
            if name not in self.cuts:
                raise InputError(
                    f"cuts has no {name!r}: a model needs thresholds for {', '.join(MEASURES)}.",
                    argument="cuts",
                    code="missing_key",
                )
        check_grid(self.grid, self.bins)

    def __hash__(self) -> int:
        """Hash the stored form."""
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        fitted = "" if self.fitted is None else f", {self.fitted.customers:,} customers as of {self.fitted.as_of}"
        within = "" if self.within is None else f", within {self.within}"
        return f"RfmModel(bins={self.bins}, frequency={self.frequency}, monetary={self.monetary}{within}{fitted})"

    def __str__(self) -> str:
        return text_table(self._table())

    def _repr_html_(self) -> str:
        return html_table(self._table(), caption=repr(self))

    def _table(self) -> dict[str, list[int] | list[str]]:
        """Return the range of figures that each score stands for, the best score first."""
        columns = {name: _ranges(self.cuts[name]) for name in MEASURES}
        turned = {name: cells if name == MEASURES[0] else cells[::-1] for name, cells in columns.items()}
        return {"score": list(range(self.bins, 0, -1)), **turned}

    def needs(self) -> Needs:
        """Return what the scores need from a base: all purchases, read with the default settings."""
        return RFM_NEEDS

    def score(self, data: CustomerBase | Purchases, *, as_of: Instant) -> RfmScores:
        """Score every customer of a base by the fixed thresholds.

        Parameters
        ----------
        data : CustomerBase or Purchases
            The base of the fit, or any other base of the same business.
        as_of : date, datetime, datetime64 or str
            A date includes purchases before that day; an instant includes purchases up to it.

        Returns
        -------
        RfmScores
            One row per customer of the base, in its order. Customers who have not bought by `as_of` score 0 and are in
            the segment "Prospect". Customers who bought only before the model's window score 0 and are in "Lapsed".
        """
        return self.score_measures(
            rfm_measures(data, as_of=as_of, within=self.within, frequency=self.frequency, monetary=self.monetary)
        )

    def score_measures(self, measures: RfmMeasures) -> RfmScores:
        """Score measures that were computed elsewhere by the settings of this model."""
        return scored(self, measures, *self._scores(measures))

    def _scores(self, measures: RfmMeasures) -> tuple[ScoreArray, ScoreArray, ScoreArray]:
        """Return the scores r, f and m; 0 for customers who did not buy."""
        bought = measures.orders > 0
        days, frequency, monetary = (_above(getattr(measures, name), self.cuts[name]) for name in MEASURES)
        scores = ((self.bins - days), (frequency + 1), (monetary + 1))
        r, f, m = (np.multiply(score, bought, dtype=np.int32) for score in scores)
        return r, f, m

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return {
            **settings_shape(limits),
            "cuts": shapes.obj(dict.fromkeys(MEASURES, THRESHOLDS), MEASURES),
            "within": shapes.maybe(shapes.SPAN),
            "fitted": shapes.maybe(
                shapes.obj(
                    {"as_of": {"type": "string"}, "cells": shapes.array(_COUNTS, least=2), "monetary": _COUNTS},
                    ["as_of", "cells", "monetary"],
                )
            ),
        }, ("cuts",)

    def _body(self) -> dict[str, Any]:
        fitted = self.fitted
        return {
            "bins": self.bins,
            "cuts": {name: list(self.cuts[name]) for name in MEASURES},
            "grid": [list(row) for row in self.grid.rows],
            "within": None if self.within is None else span_body(self.within),
            "frequency": self.frequency,
            "monetary": self.monetary,
            "fitted": None
            if fitted is None
            else {
                "as_of": json_ready(fitted.as_of),
                "cells": [list(row) for row in fitted.cells],
                "monetary": list(fitted.monetary),
            },
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        names = [attribute.name for attribute in settings(cls)]
        check_keys(body, required=["cuts"], optional=names, what="RFM model")
        parts = dict(body)
        check_keys(body["cuts"], required=MEASURES, path="$.cuts", what="set of thresholds")
        for name in MEASURES:
            _check_list(body["cuts"][name], f"$.cuts.{name}", (int, float))
        if "grid" in body:
            parts["grid"] = RfmGrid._read(body["grid"], "$.grid")  # noqa: SLF001
        if body.get("within") is not None:
            parts["within"] = parse_span(body["within"], "$.within")
        try:
            fitted = body.get("fitted")
            bins = checks.whole("bins", body.get("bins", 5), low=2, high=100)
            parts["fitted"] = None if fitted is None else _read_counts(fitted, bins)
            return cls(**parts)
        except InputError as error:
            raise definition_error(error, keys=body) from None


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
            raise DefinitionError(f"{bins} counts of 0 or more are needed.", path=path, code="wrong_value")
    if len(body["cells"]) != bins or sum(map(sum, body["cells"])) != sum(body["monetary"]):
        raise DefinitionError(
            f"the counts of cells must be {bins} by {bins}, and their sum must equal that of fitted.monetary.",
            path="$.fitted.cells",
            code="wrong_value",
        )
    as_of = read_as_of(body["as_of"], name="fitted.as_of").given
    return RfmCounts(as_of=as_of, cells=tuple(map(tuple, body["cells"])), monetary=tuple(body["monetary"]))


def scored(model: RfmModel, measures: RfmMeasures, r: ScoreArray, f: ScoreArray, m: ScoreArray) -> RfmScores:
    """Return the scores together with the measures and the model behind them."""
    return RfmScores(
        customer_id=measures.customer_id,
        r=r,
        f=f,
        m=m,
        calendar_days_since=measures.calendar_days_since,
        frequency=measures.frequency,
        monetary=measures.monetary,
        orders=measures.orders,
        revenue=measures.revenue,
        lapsed=measures.lapsed,
        as_of=measures.as_of,
        model=model,
    )


def _ranges(cuts: tuple[float, ...]) -> list[str]:
    """Return in words the ranges between thresholds, ascending; a figure at a threshold counts as below it."""
    shown = [format_value(cut) for cut in cuts]
    between = [f"over {low}, to {high}" for low, high in itertools.pairwise(shown)]
    return [f"to {shown[0]}", *between, f"over {shown[-1]}"]


def _above(x: npt.NDArray[Any], cuts: tuple[float, ...]) -> npt.NDArray[np.int8]:
    """Return how many thresholds lie below each figure; 0 for NaN."""
    out = np.zeros(len(x), dtype=np.int8)
    for cut in cuts:
        out += x > cut
    return out
