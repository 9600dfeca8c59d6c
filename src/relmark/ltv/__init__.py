"""Lifetime value: how often customers buy, who is still one, what they spend and what they are worth.

A log of purchases becomes a `PurchaseSummary` (frequency, recency, T and mean spend of each customer), or weighted
cells of it. Models of the buy-till-you-die family are fitted to it and are their parameters; they read a summary and
answer with aligned arrays: expected purchases, P(alive), probabilities, residual transactions. `lifetime_value` joins
a model of purchases with one of spend.
"""

from relmark.ltv.bg_nbd import BgNbd
from relmark.ltv.fit import FitReport, LogNormalPrior
from relmark.ltv.gamma_gamma import GammaGamma
from relmark.ltv.intervals import PredictionInterval
from relmark.ltv.mbg_nbd import MbgNbd
from relmark.ltv.summary import PurchaseSummary, SpendCells
from relmark.ltv.transactions import HoldoutSplit, purchase_summary, split
from relmark.ltv.value import LifetimeValue, lifetime_value

__all__ = [
    "BgNbd",
    "FitReport",
    "GammaGamma",
    "HoldoutSplit",
    "LifetimeValue",
    "LogNormalPrior",
    "MbgNbd",
    "PredictionInterval",
    "PurchaseSummary",
    "SpendCells",
    "lifetime_value",
    "purchase_summary",
    "split",
]
