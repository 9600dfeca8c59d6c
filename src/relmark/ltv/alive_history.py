"""P(alive) of one customer through time, as it was known on each day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.as_of import read_as_of
from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray
from relmark.core.errors import InputError
from relmark.core.results import ColumnarResult
from relmark.core.time import Instant
from relmark.ltv._bought import bought_days
from relmark.ltv.season import Season
from relmark.ltv.summary import UNIT_DAYS, PurchaseSummary


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AliveHistory(ColumnarResult):
    """P(alive) of one customer at several times, as a model would have judged it then.

    Parameters
    ----------
    customer_id : int or str
        The customer.
    time : ndarray of datetime64, shape (k,)
        The times asked for, in their order.
    p_alive : ndarray, shape (k,)
        P(alive) from what was known at that time; NaN before the first purchase.
    frequency, recency, T : ndarray, shape (k,)
        The customer's summary at that time; NaN before the first purchase.
    unit : str
        The unit of recency and T.
    reason : str
        Why values are NaN; empty where none are.
    """

    customer_id: int | str
    time: npt.NDArray[np.datetime64]
    p_alive: FloatArray
    frequency: FloatArray
    recency: FloatArray
    T: FloatArray
    unit: str
    reason: str = ""

    def _facts(self) -> dict[str, Any]:
        return {"customer_id": self.customer_id, "times": len(self.time), "unit": self.unit}

    def _lines(self) -> list[str]:
        return [self.reason] if self.reason else []


class Judge(Protocol):
    """A model that returns P(alive) for the rows of a summary."""

    @property
    def unit(self) -> str | None:
        """The unit of time, where it is known."""

    def probability_alive(self, summary: PurchaseSummary) -> FloatArray:
        """Return P(alive) of each row."""


def history_of(
    model: Judge, base: CustomerBase, customer_id: int | str, times: Sequence[Instant] | Instant
) -> AliveHistory:
    """Return P(alive) of one customer at several times; `PurchaseModel.alive_history` says how."""
    if not isinstance(base, CustomerBase):
        raise InputError(f"base is {checks.shown(base)}: a CustomerBase is needed.", argument="base", code="wrong_type")
    unit = model.unit
    if unit not in UNIT_DAYS:
        raise InputError(
            "the model has no unit with a length in days, so it cannot measure ages: fit it, or make it with unit=.",
            argument="model",
            code="missing_argument",
        )
    given: Any = times
    each = [given] if isinstance(given, str) or np.ndim(given) == 0 else list(given)
    instants = [read_as_of(time, tz=base.tz, name="times") for time in each]
    if not instants:
        raise InputError("times is empty: give one time or more.", argument="times", code="empty")
    one = _alone(base, customer_id)
    known, ends = np.full((3, len(instants)), np.nan), np.zeros(len(instants), dtype=np.int64)
    season: Season | None = getattr(model, "season", None)
    for place, instant in enumerate(instants):
        bought = bought_days(one, instant)
        ends[place] = bought.last
        if len(bought.day):
            days = np.array([bought.day[0], bought.day[-1], bought.last])
            first, last, end = days if season is None else season.clock(days)
            known[:, place] = len(bought.day) - 1, last - first, max(end, last) - first
    known[1:] /= UNIT_DAYS[unit]
    begun = ~np.isnan(known[0])
    p_alive = np.full(len(instants), np.nan)
    if begun.any():
        x, t_x, T = known[:, begun]
        summary = PurchaseSummary(
            frequency=x,
            recency=t_x,
            T=T,
            unit=unit,
            season=season,
            last_day=ends.max().astype("M8[D]"),  # P(alive) looks at no time ahead, so any day will do
        )
        p_alive[begun] = model.probability_alive(summary)
    return AliveHistory(
        customer_id=customer_id,
        time=np.array([instant.given for instant in instants]),
        p_alive=p_alive,
        frequency=known[0],
        recency=known[1],
        T=known[2],
        unit=unit,
        reason="" if begun.all() else "before the first purchase there is nothing to judge by",
    )


def _alone(base: CustomerBase, customer_id: int | str) -> CustomerBase:
    """Return a base of the purchases of one customer."""
    bought = base.events.of_type("purchase")
    mask = np.asarray(bought.to_columns()["customer_id"] == customer_id)
    if not mask.any():
        raise InputError(
            f"customer_id is {customer_id!r}: no customer with this id has bought.",
            argument="customer_id",
            code="unknown_name",
        )
    return CustomerBase(events=bought.take(mask), tz=base.tz)
