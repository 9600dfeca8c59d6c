"""The RFM result of each customer: three scores, a segment name, and the figures behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray
from relmark.core.documents import read_definition
from relmark.core.results import ColumnarResult
from relmark.core.stored_arrays import StoredArrays
from relmark.segmentation.grids import LAPSED, PROSPECT, RfmGrid
from relmark.segmentation.rfm_settings import MEASURES

if TYPE_CHECKING:
    from relmark.segmentation.rfm_model import RfmModel

__all__ = ["RfmScores"]

ScoreArray = npt.NDArray[np.int32]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RfmScores(StoredArrays, ColumnarResult):
    """RFM scores and segments of customers, in the order of the base; `base.with_columns` takes them as columns.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Each customer once.
    r, f, m : ndarray of int32, shape (n,)
        Scores from 1 (worst) to bins (best); 0 for those who could not be scored.
    calendar_days_since : ndarray of float64, shape (n,)
        Calendar days since the last purchase; NaN for those who could not be scored.
    frequency : ndarray of int64, shape (n,)
        The number of orders, or of days with a purchase.
    monetary : ndarray of float64, shape (n,)
        The customer's total revenue, or the mean revenue of their orders.
    orders : ndarray of int64, shape (n,)
        The number of orders.
    revenue : ndarray of float64, shape (n,)
        The customer's total revenue.
    lapsed : ndarray of bool, shape (n,)
        Whether the customer bought only before the window.
    as_of : datetime64
        The date or instant of the figures.
    model : RfmModel
        The thresholds and names that gave the scores.
    """

    stored_kind: ClassVar[str] = "rfm_scores"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "customer_id": ("id", "n"),
        **dict.fromkeys(("r", "f", "m", "frequency", "orders"), ("whole", "n")),
        **dict.fromkeys(("calendar_days_since", "monetary", "revenue"), ("number", "n")),
        "lapsed": ("bool", "n"),
    }

    customer_id: npt.NDArray[Any]
    r: ScoreArray
    f: ScoreArray
    m: ScoreArray
    calendar_days_since: FloatArray
    frequency: IntArray
    monetary: FloatArray
    orders: IntArray
    revenue: FloatArray
    lapsed: npt.NDArray[np.bool_]
    as_of: np.datetime64
    model: RfmModel

    def _packed(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        values = {"as_of": str(self.as_of), "model": self.model.to_dict()}
        return {name: getattr(self, name) for name in self.axes}, values

    @classmethod
    def _unpacked(cls, arrays: dict[str, npt.NDArray[Any]], values: dict[str, Any]) -> Self:
        return cls(**arrays, as_of=np.datetime64(values["as_of"]), model=read_definition(values["model"]))  # type: ignore[arg-type]

    @property
    def grid(self) -> RfmGrid:
        """The grid of segment names."""
        return self.model.grid

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that can occur in `segment`, best first; "Prospect" and "Lapsed" last."""
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
        """Return the number of customers by segment: every name of the grid, "Prospect" and "Lapsed" if they occur."""
        found = np.bincount(self.segment_code, minlength=len(self.names)).tolist()
        return {
            name: count
            for name, count in zip(self.names, found, strict=True)
            if count or name not in {PROSPECT, LAPSED}
        }

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the aligned columns by name, including `segment`."""
        columns = {name: getattr(self, name) for name in self._field_names() if name not in {"as_of", "model"}}
        return {name: columns[name] for name in ("customer_id", "r", "f", "m")} | {"segment": self.segment} | columns

    def to_dict(self) -> dict[str, Any]:
        """Return every field as JSON-ready values, including `segment`."""
        return super().to_dict() | {"segment": self.segment.tolist()}

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.customer_id)

    def _facts(self) -> dict[str, Any]:
        return {"customers": len(self), "as_of": self.as_of, "counts": self.counts()}

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return {name: columns[name] for name in ("customer_id", "r", "f", "m", "segment", *MEASURES)}
