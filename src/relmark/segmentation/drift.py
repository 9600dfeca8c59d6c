"""Measure whether the thresholds of an RFM model still fit: how far the scores have moved since the fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.base import CustomerBase
from relmark.core.checks import FloatArray, IntArray
from relmark.core.errors import InputError, NotEnoughDataError
from relmark.core.purchases import Purchases
from relmark.core.results import Result
from relmark.core.time import Instant
from relmark.segmentation.rfm_model import RfmModel

__all__ = ["RfmDrift", "drift"]

STABLE, SHIFTED = 0.1, 0.25


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RfmDrift(Result):
    """How far recency, frequency and money have moved since a model was fitted.

    Parameters
    ----------
    psi : dict of str to float
        The population stability index of ``"r"``, ``"f"``, ``"m"`` and ``"cell"`` (recency and frequency together).
    by_chance : dict of str to float
        What the index would be on average if nothing had changed and both sets of customers were random draws. An index
        of about this size is no evidence of a change.
    expected, found : ndarray of float64, shape (3, bins)
        The share of customers with each score at the fit, and now; rows in the order r, f, m.
    customers_then, customers_now : int
        How many customers were scored at the fit, and now.
    fitted_as_of, as_of : datetime64
        When the model was fitted, and when the scores were taken.

    Notes
    -----
    By convention an index below 0.1 is stable, and one above 0.25 is a reason to fit a new model. Between the two, look
    closer.
    """

    psi: Mapping[str, float]
    by_chance: Mapping[str, float]
    expected: FloatArray
    found: FloatArray
    customers_then: int
    customers_now: int
    fitted_as_of: np.datetime64
    as_of: np.datetime64

    @property
    def verdict(self) -> str:
        """``"stable"``, ``"moving"`` or ``"shifted"``, by the largest index of r, f and m that exceeds chance."""
        largest = max((self.psi[name] for name in "rfm" if self.psi[name] > self.by_chance[name]), default=0.0)
        return "stable" if largest < STABLE else "moving" if largest < SHIFTED else "shifted"

    def _facts(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "psi": self.psi,
            "customers_then": self.customers_then,
            "customers_now": self.customers_now,
            "fitted_as_of": self.fitted_as_of,
            "as_of": self.as_of,
        }

    def _table(self) -> dict[str, Any]:
        names = list(self.psi)
        return {
            "score": names,
            "psi": [self.psi[name] for name in names],
            "by chance": [self.by_chance[name] for name in names],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return every field and the verdict as JSON-ready values."""
        return super().to_dict() | {"verdict": self.verdict}


def drift(model: RfmModel, data: CustomerBase | Purchases, *, as_of: Instant) -> RfmDrift:
    """Compare the scores of a base now with those that the model gave when it was fitted.

    Parameters
    ----------
    model : RfmModel
        A fitted model. A model whose thresholds were written by hand has no earlier scores to compare with.
    data : CustomerBase or Purchases
        The customers to score now.
    as_of : date, datetime, datetime64 or str
        When the new scores are taken.

    Returns
    -------
    RfmDrift
        The stability index of each score, with a `verdict`.

    Raises
    ------
    InputError
        The model was not fitted to data.
    NotEnoughDataError
        Nobody bought by `as_of`.

    Notes
    -----
    The population stability index over bins with shares p (then) and q (now) is ``sum((q - p) log(q / p))``, the sum
    of the two Kullback-Leibler divergences. A bin that is empty both times is left out; one that is empty once
    counts as half a customer. If both samples came from the same shares, B bins would give about
    ``(B - 1) (1 / n_then + 1 / n_now)`` by chance (twice the divergence is a chi-square statistic).

    Examples
    --------
    >>> from relmark.segmentation.rfm import Rfm
    >>> orders = {"user": ["a", "a", "b"], "amount": [10.0, 5.0, 45.0],
    ...     "time": ["2026-10-01T09:00Z", "2026-10-30T21:00Z", "2026-10-02T10:00Z"]}
    >>> base = CustomerBase.from_orders(orders, customer_id="user", time="time", value="amount")
    >>> drift(Rfm().fit(base, as_of="2026-11-01"), base, as_of="2026-11-01").psi["r"]
    0.0
    """
    if not isinstance(model, RfmModel):
        raise InputError(
            f"model is of type {type(model).__name__}: an RfmModel is needed.", argument="model", code="wrong_type"
        )
    if model.fitted is None:
        raise InputError(
            "model was written down, not fitted: it has no counts of scores to compare with.",
            argument="model",
            code="missing_argument",
            hint="Fit a model with Rfm().fit(base, as_of=...).",
        )
    scores = model.score(data, as_of=as_of)
    bins = model.bins
    n = bins + 1
    now = int(np.count_nonzero(scores.r))
    if now == 0:
        raise NotEnoughDataError(f"nobody bought by {scores.as_of}, so no scores can be compared.", argument="data")
    cells = np.array(model.fitted.cells, dtype=np.int64)
    cells_now = np.bincount(scores.r * n + scores.f, minlength=n * n).reshape(n, n)[1:, 1:]
    then_counts = {"r": cells.sum(axis=1), "f": cells.sum(axis=0), "m": np.array(model.fitted.monetary)}
    now_counts = {"r": cells_now.sum(axis=1), "f": cells_now.sum(axis=0), "m": np.bincount(scores.m, minlength=n)[1:]}
    pairs = {name: (then_counts[name], now_counts[name]) for name in then_counts}
    pairs["cell"] = (cells.ravel(), cells_now.ravel())
    then = model.fitted.customers
    return RfmDrift(
        psi={name: _psi(a, b) for name, (a, b) in pairs.items()},
        by_chance={name: (np.count_nonzero(a + b) - 1) * (1 / then + 1 / now) for name, (a, b) in pairs.items()},
        expected=np.stack([counts / then for counts in then_counts.values()]),
        found=np.stack([counts / now for counts in now_counts.values()]),
        customers_then=then,
        customers_now=now,
        fitted_as_of=model.fitted.as_of,
        as_of=scores.as_of,
    )


def _psi(then: IntArray, now: IntArray) -> float:
    """Return the population stability index of two sets of counts by bin."""
    used = (then > 0) | (now > 0)
    p = np.maximum(then[used], 0.5) / then.sum()
    q = np.maximum(now[used], 0.5) / now.sum()
    terms: npt.NDArray[np.float64] = (q - p) * np.log(q / p)
    return math.fsum(terms.tolist())
