"""Costs and returns of channels by their credit: ROAS, ROI, cost per order, cost per acquisition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.attribution._touches import divided
from relmark.core.checks import FloatArray, number
from relmark.core.results import ColumnarResult

__all__ = ["ChannelReturns"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ChannelReturns(ColumnarResult):
    """Cost and return by channel, according to the credit of one model.

    Parameters
    ----------
    channel : ndarray of str, shape (C,)
        The name of the channel.
    cost : ndarray of float64, shape (C,)
        The cost; NaN if none was given.
    conversions, value : ndarray of float64, shape (C,)
        The credit of the channel.
    roas : ndarray of float64, shape (C,)
        Return on ad spend: value / cost.
    roi : ndarray of float64, shape (C,)
        Return on investment: (margin * value - cost) / cost.
    cpo : ndarray of float64, shape (C,)
        Cost per order: cost / credited conversions.
    cpa : ndarray of float64, shape (C,)
        Cost per acquisition: cost / customers acquired, or cost / credited conversions if these are not given.
    reason : ndarray of str, shape (C,)
        Why figures of the row are NaN; "" if all are defined.
    margin : float
        The share of the value that is profit before marketing costs.
    model : str
        The name of the model of the credit.
    """

    channel: npt.NDArray[np.str_]
    cost: FloatArray
    conversions: FloatArray
    value: FloatArray
    roas: FloatArray
    roi: FloatArray
    cpo: FloatArray
    cpa: FloatArray
    reason: npt.NDArray[np.str_]
    margin: float
    model: str

    @property
    def total_cost(self) -> float:
        """The total cost of the channels that have one."""
        return float(np.nansum(self.cost))

    @property
    def total_roas(self) -> float:
        """The total value divided by the total cost of the channels with a cost; NaN if that cost is 0."""
        known = ~np.isnan(self.cost)
        return float(self.value[known].sum() / self.total_cost) if self.total_cost > 0.0 else float("nan")

    def _table(self) -> dict[str, Any]:
        columns = self.to_columns()
        return columns if any(self.reason) else {name: c for name, c in columns.items() if name != "reason"}


def channel_returns(
    channels: npt.NDArray[np.str_],
    conversions: FloatArray,
    value: FloatArray,
    costs: Mapping[str, float],
    *,
    margin: float,
    acquired: Mapping[str, float] | None,
    model: str,
    reasons: Mapping[str, str],
) -> ChannelReturns:
    """Return the returns of channels, with costs matched by name."""
    margin = number("margin", margin, low=0.0, high=1.0)
    cost = _aligned("costs", channels, costs)
    customers = conversions if acquired is None else _aligned("acquired", channels, acquired)

    why = [
        reasons[name] if name in reasons
        else "no cost given" if np.isnan(spent)
        else "no value" if np.isnan(worth)
        else "cost is 0" if spent == 0.0
        else "no conversions credited" if orders <= 0.0
        else "no customers acquired" if not people > 0.0
        else ""
        for name, spent, worth, orders, people in zip(
            channels.tolist(), cost.tolist(), value.tolist(), conversions.tolist(), customers.tolist(), strict=True
        )
    ]  # fmt: skip
    return ChannelReturns(
        channel=channels,
        cost=cost,
        conversions=conversions,
        value=value,
        roas=divided(value, cost),
        roi=divided(margin * value - cost, cost),
        cpo=divided(cost, conversions),
        cpa=divided(cost, customers),
        reason=np.array(why, dtype=np.str_) if why else np.empty(0, dtype="<U1"),
        margin=margin,
        model=model,
    )


def _aligned(argument: str, channels: npt.NDArray[np.str_], given: Mapping[str, float]) -> FloatArray:
    out = np.full(len(channels), np.nan)
    place = {name: k for k, name in enumerate(channels.tolist())}
    for name, amount in given.items():
        out[place[name]] = number(f"{argument}[{name!r}]", amount, low=0.0)
    return out
