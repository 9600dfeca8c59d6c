"""Simulated purchases: one possible future under a model, customer by customer, for plans and tests."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, LimitError
from relmark.core.results import ColumnarResult

_MOST = 200_000_000


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Simulation(ColumnarResult):
    """One possible future: one row per purchase, in the order of customers and time.

    Parameters
    ----------
    customer_id : ndarray, shape (m,)
        Who buys: the ids of the summary, or its row numbers if it has no ids; new customers are 0 to n - 1.
    time : ndarray, shape (m,)
        The time in `unit`, counted from the end of the observation or, for new customers, from the first purchase,
        which they make at 0.
    date : ndarray of datetime64[D], shape (m,), or None
        The day, if `start` was given. A purchase within the first 24 hours after `start` is on the next day.
    customers : int
        How many customers were simulated, with or without a purchase.
    unit : str
        The unit of time.
    """

    customer_id: npt.NDArray[Any]
    time: FloatArray
    date: npt.NDArray[np.datetime64] | None
    customers: int
    unit: str

    def to_base(self) -> CustomerBase:
        """Return a base with these purchases, one line each, even if a customer has several on one day."""
        if self.date is None:
            raise InputError(
                "the simulation has no dates: call simulate(..., start=) with the day from which time counts.",
                argument="start",
                code="missing_argument",
            )
        return CustomerBase.from_orders(
            {"customer_id": self.customer_id, "time": self.date}, customer_id="customer_id", time="time"
        )

    def _facts(self) -> dict[str, Any]:
        return {"purchases": len(self.time), "customers": self.customers, "unit": self.unit}


class Lives(NamedTuple):
    """Drawn customers: everything that decides when they buy, as arrays of one length or one number for all."""

    alive: npt.NDArray[np.bool_]
    rate: FloatArray  # of stages
    left: FloatArray  # stages until the next purchase
    stages: float  # between two purchases
    leaves: FloatArray  # the chance to leave at each purchase
    ends: FloatArray  # when they leave, independent of purchases


def purchases_of(lives: Lives, until: FloatArray, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Return the row and the time of each purchase in (0, until], in the order of rows and time."""
    end = np.minimum(until, lives.ends)
    row = np.flatnonzero(lives.alive & (end > 0.0))
    time, wait = np.zeros(len(row)), lives.left[row]
    found: list[tuple[IntArray, FloatArray]] = []
    total = 0
    while len(row):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            time = time + rng.standard_gamma(wait) / lives.rate[row]
        buys = time <= end[row]
        row, time = row[buys], time[buys]
        found.append((row, time))
        total += len(row)
        if total > _MOST:
            raise LimitError(
                f"the simulation gives more than {_MOST:,} purchases: simulate fewer customers, or a shorter time.",
                code="too_large",
            )
        stays = rng.random(len(row)) >= lives.leaves[row]
        row, time = row[stays], time[stays]
        wait = np.full(len(row), lives.stages)
    return in_order(found)


def in_order(found: list[tuple[IntArray, FloatArray]]) -> tuple[IntArray, FloatArray]:
    """Return purchases in the order of rows and time, from rounds that come later and later for each row."""
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *(row for row, _ in found)])
    times = np.concatenate([np.zeros(0), *(time for _, time in found)])
    order = np.argsort(rows, kind="stable")
    return rows[order], times[order]
