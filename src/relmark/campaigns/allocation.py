"""Who gets which offer, what it is worth, and what one more unit of each limit would be worth."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.formats import text_table
from relmark.core.results import ColumnarResult

__all__ = ["Allocation"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Allocation(ColumnarResult):
    """An allocation of offers to customers that respects every limit.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        The ids that were given, or row numbers.
    offer : ndarray of str, shape (n,)
        The offer of each customer, or "" for none. If a customer gets several, it is the most valuable one; `offers_of`
        returns all of them.
    gain : ndarray of float64, shape (n,)
        The total value of each customer's offers.
    value : float
        The total value of all offers.
    bound : float
        An upper bound: no allocation within the limits is worth more.
    gap : float
        ``bound / value - 1``: how much better an allocation could be at most. It is 0 if value and bound are 0,
        infinite if only the value is 0, and NaN if the value is negative.
    counts : mapping of str to int
        The number of customers per offer.
    spent : float
        The total cost of the offers; 0 without costs.
    price : mapping of str to float
        What one more unit of an offer's capacity would be worth, minus what one more unit of its minimum would cost.
    budget_price : float
        What one more unit of the budget would be worth; NaN without a budget.
    prices : mapping of str to float
        What one more unit of each further constraint would be worth.
    below_zero : int
        The number of offers of negative value that a minimum required.
    method : {"whole", "prices"}
        Whether an integer program solved the whole problem ("whole"), or only for customers without a clear choice at
        the prices of the limits ("prices").
    offers : tuple of str
    notes : tuple of str
    """

    customer_id: npt.NDArray[Any]
    offer: npt.NDArray[np.str_]
    gain: npt.NDArray[np.float64]
    value: float
    bound: float
    gap: float
    counts: dict[str, int]
    spent: float
    price: dict[str, float]
    budget_price: float
    prices: dict[str, float]
    below_zero: int
    method: str
    offers: tuple[str, ...]
    notes: tuple[str, ...]
    _pairs: npt.NDArray[np.bool_]
    _limits: dict[str, tuple[float | None, float | None]]

    def given(self, offer: str) -> npt.NDArray[np.bool_]:
        """Return which customers get an offer, shape (n,)."""
        return np.asarray(self._pairs[self.offers.index(offer)])

    def offers_of(self, row: int) -> tuple[str, ...]:
        """Return the offers of one customer by row, in the order of `offers`."""
        return tuple(name for name, chosen in zip(self.offers, self._pairs[:, row].tolist(), strict=True) if chosen)

    def limits_of(self, offer: str) -> tuple[float | None, float | None]:
        """Return the minimum and the capacity of an offer; None for a limit that it does not have."""
        return self._limits[offer]

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.offer)

    def _facts(self) -> dict[str, Any]:
        return {
            "customers": len(self),
            "value": self.value,
            "bound": self.bound,
            "gap": self.gap,
            "counts": self.counts,
        }

    def _table(self) -> dict[str, Any]:
        least, most = ([self._limits[name][side] for name in self.offers] for side in (0, 1))
        return {
            "offer": list(self.offers),
            "customers": [self.counts[name] for name in self.offers],
            "minimum": ["" if one is None else f"{one:,.0f}" for one in least],
            "capacity": ["" if one is None else f"{one:,.0f}" for one in most],
            "one more is worth": [f"{self.price[name]:.3g}" for name in self.offers],
        }

    def _printed(self) -> dict[str, Any]:
        return self._table()

    def _lines(self) -> list[str]:
        lines = [f"value {self.value:,.2f}, at most {self.bound:,.2f} (gap {self.gap:.1e})"]
        if not np.isnan(self.budget_price):
            lines.append(f"spent {self.spent:,.2f}; one more unit of the budget is worth {self.budget_price:.3g}")
        if self.below_zero:
            lines.append(f"{self.below_zero:,} offers of negative value were given to reach minimums")
        return [*lines, *self.notes]

    def __str__(self) -> str:
        return "\n".join([text_table(self._table()), *self._lines()])
