"""Lifetime value: how often customers buy, who is still a customer, what they spend and what they are worth.

A log of purchases becomes a `PurchaseSummary`: the frequency, recency, T and mean spend of each customer, or weighted
cells of customers. Models of the buy-till-you-die family are fitted to a summary and hold only their parameters. They
read a summary and return arrays aligned with it: expected purchases, P(alive), probabilities, residual transactions.
`lifetime_value` combines a model of purchases with one of spend; `split` and the reports show whether to believe it.
"""

from relmark.ltv.alive_history import AliveHistory
from relmark.ltv.auto import ModelChoice, auto
from relmark.ltv.beta_discrete_weibull import BetaDiscreteWeibull
from relmark.ltv.bg_bb import BgBb
from relmark.ltv.bg_cnbd import BgCnbd
from relmark.ltv.bg_nbd import BgNbd
from relmark.ltv.churn import ChurnRisk, churn_risk
from relmark.ltv.contracts import RenewalCounts, renewal_counts
from relmark.ltv.diagnostics import (
    FrequencyTable,
    RecencyFrequencyMatrix,
    frequency_table,
    recency_frequency_matrix,
)
from relmark.ltv.effects import CovariateEffects
from relmark.ltv.equity import CustomerEquity, LtvToCac
from relmark.ltv.fit import FitReport, LikelihoodRatioTest, LogNormalPrior
from relmark.ltv.from_lifetimes import from_lifetimes
from relmark.ltv.gamma_gamma import GammaGamma
from relmark.ltv.holdout import CalibrationTable, HoldoutReport, calibration_table, holdout_report
from relmark.ltv.intervals import PredictionInterval
from relmark.ltv.mbg_cnbd import MbgCnbd
from relmark.ltv.mbg_nbd import MbgNbd
from relmark.ltv.nbd import Nbd
from relmark.ltv.opportunities import opportunity_summary
from relmark.ltv.pareto_nbd import ParetoNbd
from relmark.ltv.regularity import Regularity, regularity
from relmark.ltv.season import Season
from relmark.ltv.shifted_beta_geometric import ShiftedBetaGeometric
from relmark.ltv.simulation import Simulation
from relmark.ltv.subscription_value import SubscriptionModel, SubscriptionValue, subscription_value
from relmark.ltv.summary import PurchaseSummary, SpendCells
from relmark.ltv.tracking import CohortTracking, cohort_tracking
from relmark.ltv.transactions import HoldoutSplit, purchase_summary, split
from relmark.ltv.value import LifetimeValue, lifetime_value

__all__ = [
    "AliveHistory",
    "BetaDiscreteWeibull",
    "BgBb",
    "BgCnbd",
    "BgNbd",
    "CalibrationTable",
    "ChurnRisk",
    "CohortTracking",
    "CovariateEffects",
    "CustomerEquity",
    "FitReport",
    "FrequencyTable",
    "GammaGamma",
    "HoldoutReport",
    "HoldoutSplit",
    "LifetimeValue",
    "LikelihoodRatioTest",
    "LogNormalPrior",
    "LtvToCac",
    "MbgCnbd",
    "MbgNbd",
    "ModelChoice",
    "Nbd",
    "ParetoNbd",
    "PredictionInterval",
    "PurchaseSummary",
    "RecencyFrequencyMatrix",
    "Regularity",
    "RenewalCounts",
    "Season",
    "ShiftedBetaGeometric",
    "Simulation",
    "SpendCells",
    "SubscriptionModel",
    "SubscriptionValue",
    "auto",
    "calibration_table",
    "churn_risk",
    "cohort_tracking",
    "frequency_table",
    "from_lifetimes",
    "holdout_report",
    "lifetime_value",
    "opportunity_summary",
    "purchase_summary",
    "recency_frequency_matrix",
    "regularity",
    "renewal_counts",
    "split",
    "subscription_value",
]
