"""Experiments: a campaign with its control group, from plan to decision.

`Experiment` plans a test and assigns its arms by a keyed hash; `analyze` (from columns or from `Moments`) and
`Experiment.read` (from raw events) compare the arms in a `Report`, whose effects carry intervals that cover. A report
adjusts itself for many comparisons, tests whether segments differ, says what the campaign brought in money and what to
do. `TriggerChain` does the same for chains of messages; uplift curves tell whom to write to.
"""

from relmark.core.assignment import Holdout, Layer, bucket_ranges
from relmark.core.hashing import hash_fraction
from relmark.core.namespaces import Namespace
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import Assignment, sha256_fraction, stratified_assignment
from relmark.experiments.balancing import Balance, balance
from relmark.experiments.bayes import Posterior, beta_binomial, normal_posterior
from relmark.experiments.chains import ChainAssignment, ChainReport, TriggerChain
from relmark.experiments.compliance import ComplierEffect, complier_effect
from relmark.experiments.decisions import Decision, Impact, NonInferiority, decide, impact, non_inferiority
from relmark.experiments.effects import Effect
from relmark.experiments.experiment import Experiment
from relmark.experiments.heterogeneity import InteractionTests, interaction_tests, post_stratified
from relmark.experiments.metrics import Mean, Proportion, Ratio
from relmark.experiments.moments import Moments
from relmark.experiments.multiplicity import adjust, adjusted_p_values
from relmark.experiments.planning import Design, SampleSize, detectable_effect, power, sample_size
from relmark.experiments.plans import Plan
from relmark.experiments.policy import PolicyValue, policy_value
from relmark.experiments.proportions import (
    agresti_caffo_interval,
    boschloo_test,
    fisher_test,
    miettinen_nurminen_interval,
    newcombe_interval,
    wilson_interval,
)
from relmark.experiments.report import Report
from relmark.experiments.resampling import BootstrapSums, bootstrap_effect, permutation_test
from relmark.experiments.salts import BalancedSalt, balanced_salt
from relmark.experiments.sequential import (
    ConfidenceSequence,
    SpendingPlan,
    alpha_spending,
    constant_bounds,
    peeking_error,
)
from relmark.experiments.soundness import (
    contamination,
    exposure_before_assignment,
    outliers,
    peeking,
    sample_large_enough,
)
from relmark.experiments.uplift import UpliftCurve, UpliftGroups, uplift_curve, uplift_groups
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = [
    "Assignment",
    "Balance",
    "BalancedSalt",
    "BootstrapSums",
    "ChainAssignment",
    "ChainReport",
    "Check",
    "ComplierEffect",
    "ConfidenceSequence",
    "Decision",
    "Design",
    "Effect",
    "Experiment",
    "Holdout",
    "Impact",
    "InteractionTests",
    "Layer",
    "Mean",
    "Moments",
    "Namespace",
    "NonInferiority",
    "Plan",
    "PolicyValue",
    "Posterior",
    "Proportion",
    "Ratio",
    "Report",
    "SampleSize",
    "SpendingPlan",
    "TriggerChain",
    "UpliftCurve",
    "UpliftGroups",
    "adjust",
    "adjusted_p_values",
    "agresti_caffo_interval",
    "alpha_spending",
    "analyze",
    "balance",
    "balanced_salt",
    "beta_binomial",
    "bootstrap_effect",
    "boschloo_test",
    "bucket_ranges",
    "complier_effect",
    "constant_bounds",
    "contamination",
    "decide",
    "detectable_effect",
    "exposure_before_assignment",
    "fisher_test",
    "hash_fraction",
    "impact",
    "interaction_tests",
    "miettinen_nurminen_interval",
    "newcombe_interval",
    "non_inferiority",
    "normal_posterior",
    "outliers",
    "peeking",
    "peeking_error",
    "permutation_test",
    "policy_value",
    "post_stratified",
    "power",
    "sample_large_enough",
    "sample_ratio_test",
    "sample_size",
    "sha256_fraction",
    "stratified_assignment",
    "uplift_curve",
    "uplift_groups",
    "wilson_interval",
]
