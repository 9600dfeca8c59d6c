"""What a model says about the data it was fitted to: how many buy how often, and what recency and frequency mean."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import checks
from relmark.core.checks import FloatArray
from relmark.core.results import ColumnarResult
from relmark.ltv._cells import distinct, weights_by
from relmark.ltv.purchase_model import Past, PurchaseModel
from relmark.ltv.summary import PurchaseSummary, TimeAhead


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FrequencyTable(ColumnarResult):
    """How many customers bought how often again, and how many the model expects.

    Parameters
    ----------
    frequency : ndarray of int, shape (k,)
        The number of repeat purchases, 0, 1, ...; the last row stands for that many or more.
    observed, expected : ndarray, shape (k,)
        How many customers were observed, and how many the model expects.
    """

    frequency: npt.NDArray[np.int64]
    observed: FloatArray
    expected: FloatArray

    @property
    def chi_squared(self) -> float:
        """The sum of (observed - expected)^2 / expected: the distance of the table from the model."""
        return float(((self.observed - self.expected) ** 2 / self.expected).sum())

    def _table(self) -> dict[str, Any]:
        names = [str(value) for value in self.frequency.tolist()]
        names[-1] += "+"
        return {"repeat purchases": names, "observed": self.observed, "expected": self.expected.round(1)}


def frequency_table(model: PurchaseModel, summary: PurchaseSummary, *, most: int = 7) -> FrequencyTable:
    """Return how many customers made 0, 1, 2, ... repeat purchases until T, and how many the model expects.

    Parameters
    ----------
    model : PurchaseModel
        The model, such as a `BgNbd`.
    summary : PurchaseSummary
        The customers it was fitted to.
    most : int
        The number of repeat purchases in the last row, which stands for that many or more.

    Returns
    -------
    FrequencyTable

    Examples
    --------
    >>> from relmark.ltv import BgNbd
    >>> s = PurchaseSummary(frequency=[2, 0, 0], recency=[30.43, 0, 0], T=[38.86, 38.86, 38.86])
    >>> print(frequency_table(BgNbd(r=.243, alpha=4.414, a=.793, b=2.426), s, most=2))
    repeat purchases  observed  expected
    ----------------  --------  --------
    0                        2     1.700
    1                        0     0.600
    2+                       1     0.700
    """
    checks.whole("most", most, low=1, high=1_000)
    weight = np.ones(len(summary)) if summary.weights is None else summary.weights
    observed = weights_by(np.minimum(summary.frequency, most).astype(np.int64), weight, most + 1)
    expected = _expected_counts(model, summary, weight, most)
    return FrequencyTable(
        frequency=np.arange(most + 1),
        observed=observed,
        expected=np.append(expected, max(weight.sum() - expected.sum(), 0.0)),
    )


def _expected_counts(model: PurchaseModel, summary: PurchaseSummary, weight: FloatArray, most: int) -> FloatArray:
    """Return how many customers the model expects to have bought 0, 1, ... most - 1 times again by T, as if new."""
    own = model._of(summary)  # noqa: SLF001
    T = model._columns(summary).T  # noqa: SLF001
    if own is model:
        ages, place = distinct(T)
        alike: FloatArray = weights_by(place, weight, len(ages)) @ model._probabilities_of_new(ages, np.arange(most))  # noqa: SLF001
        return alike
    none, counts = np.zeros(len(T)), np.arange(most)
    new = Past(none, none, none)
    now = own._alive(new)[:, None]  # noqa: SLF001
    each: FloatArray = weight @ (now * own._probabilities(new, T, counts) + (1.0 - now) * (counts == 0))  # noqa: SLF001
    return each


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RecencyFrequencyMatrix(ColumnarResult):
    """What a model says about customers of one age, by frequency and by the age at the last purchase.

    Parameters
    ----------
    recency : ndarray, shape (m,)
        The age at the last purchase, in the unit; the rows.
    frequency : ndarray, shape (k,)
        Repeat purchases; the columns.
    expected_purchases, probability_alive : ndarray, shape (m, k)
        The predictions; NaN where a pair is impossible, such as no repeat purchase with a recency above 0.
    T, t : float
        The age of the customers, and the horizon of the expected purchases.
    """

    recency: FloatArray
    frequency: FloatArray
    expected_purchases: FloatArray
    probability_alive: FloatArray
    T: float
    t: float

    def _facts(self) -> dict[str, Any]:
        return {
            "recency": f"0 to {self.recency[-1]:g}",
            "frequency": f"0 to {self.frequency[-1]:g}",
            "T": self.T,
            "t": self.t,
        }


def recency_frequency_matrix(
    model: PurchaseModel, *, T: float, t: TimeAhead, most: int = 20, rows: int | None = None
) -> RecencyFrequencyMatrix:
    """Return expected purchases and P(alive) for every pair of recency and frequency at one age.

    Parameters
    ----------
    model : PurchaseModel
        The model, such as a `BgNbd`.
    T : float
        The age of the customers, in the model's unit. If the model has a season, its clock measures age and horizon.
    t : timedelta or number
        The horizon of the expected purchases.
    most : int
        The highest frequency.
    rows : int, optional
        The number of values of recency between 0 and T. The default is one per unit of time.

    Returns
    -------
    RecencyFrequencyMatrix

    Examples
    --------
    >>> from relmark.ltv import BgNbd
    >>> m = BgNbd(r=.243, alpha=4.414, a=.793, b=2.426, unit="week")
    >>> recency_frequency_matrix(m, T=40.0, t=10.0, most=3, rows=3).probability_alive.round(2)
    array([[1.  , 0.15, 0.02, 0.  ],
           [ nan, 0.59, 0.53, 0.44],
           [ nan, 0.75, 0.81, 0.85]])
    """
    age = checks.positive("T", T)
    checks.whole("most", most, low=1, high=10_000)
    count = checks.whole("rows", rows, low=2, high=10_000) if rows is not None else int(np.ceil(age)) + 1
    recency, frequency = np.linspace(0.0, age, count), np.arange(most + 1.0)
    if model.discrete:
        recency = np.unique(np.round(recency))
    grid_x, grid_t = (grid.ravel() for grid in np.meshgrid(frequency, recency))
    possible = (grid_x > 0) | (grid_t == 0)
    if model.discrete:
        possible &= grid_x <= grid_t
    unit = model.unit or "week"
    if model._clock is not None:  # noqa: SLF001
        model = attrs.evolve(model, season=None)  # type: ignore[call-arg]
    pairs = PurchaseSummary(
        frequency=grid_x[possible], recency=grid_t[possible], T=np.full(int(possible.sum()), age), unit=unit
    )
    ahead = pairs.horizon(t)
    tables = []
    for values in (model.expected_purchases(pairs, ahead), model.probability_alive(pairs)):
        table = np.full(len(grid_x), np.nan)
        table[possible] = values
        tables.append(table.reshape(len(recency), len(frequency)))
    return RecencyFrequencyMatrix(
        recency=recency,
        frequency=frequency,
        expected_purchases=tables[0],
        probability_alive=tables[1],
        T=age,
        t=float(np.asarray(ahead).ravel()[0]),
    )
