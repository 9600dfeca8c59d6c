"""A form of a model in which every row has its own parameters, with the same predictions."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray
from relmark.ltv.covariate_model import CovariateModel
from relmark.ltv.purchase_model import Past, PurchaseModel
from relmark.ltv.season import Season


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EachRow(CovariateModel):
    """What these forms share; among the bases, it comes before the model whose kernels it uses."""

    own: Any
    """The kernel's parameters, of which some are one per row."""
    unit: str | None
    season: Season | None
    fit_report: None = None
    effects: None = None

    @property
    def _plain(self) -> Any:
        return self.own

    def _at(self, rows: npt.NDArray[Any]) -> PurchaseModel:
        return attrs.evolve(self, own=self.own.at(rows))

    def _until(self, past: Past, ends: list[float], delta: float) -> FloatArray:
        """Return what comes until each end, one end at a time: tiled rows would not match the parameters."""
        steps = [np.full(len(past.x), end) for end in ends]
        result = [self._discounted(past, t, delta) if delta else self._expected(past, t) for t in steps]
        return np.maximum.accumulate(np.stack(result), axis=0)
