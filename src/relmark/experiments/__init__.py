"""Experiments: a campaign with its control group, from plan to decision.

`Experiment` plans a test, assigns its arms by a keyed hash and reads its effects from raw events; `analyze` compares
the arms of columns, or of `Moments`. Both give a `Report`, whose effects carry intervals that cover. A report adjusts
itself for many comparisons, tests whether segments differ, says what the campaign brought in money and what to do.
`TriggerChain` does the same for chains of messages; uplift curves tell whom to write to. What else may be looked at is
in `experiments.checks`, and intervals of shares by themselves are in `experiments.intervals`.
"""

from relmark.core.assignment import Holdout, Layer
from relmark.core.hashing import hash_fraction
from relmark.core.namespaces import Namespace
from relmark.experiments import checks, intervals
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import Assignment, stratified_assignment
from relmark.experiments.bayes import Posterior
from relmark.experiments.chains import ChainAssignment, ChainReport, TriggerChain
from relmark.experiments.compliance import ComplierEffect, complier_effect
from relmark.experiments.decisions import Decision, Impact, NonInferiority
from relmark.experiments.design import Design
from relmark.experiments.effects import Effect
from relmark.experiments.experiment import Experiment
from relmark.experiments.heterogeneity import InteractionTests
from relmark.experiments.intervals import newcombe_interval
from relmark.experiments.learned_uplift import LearnedUplift
from relmark.experiments.metrics import Mean, Proportion, Ratio
from relmark.experiments.moments import Moments
from relmark.experiments.planning import SampleSize, detectable_effect, power, sample_size
from relmark.experiments.plans import Plan
from relmark.experiments.policy import PolicyValue, policy_value
from relmark.experiments.report import Report
from relmark.experiments.resampling import BootstrapSums, Quantile, bootstrap_effect, permutation_test
from relmark.experiments.salts import BalancedSalt, balanced_salt
from relmark.experiments.sequential import ConfidenceSequence, SpendingPlan, alpha_spending, constant_bounds
from relmark.experiments.uplift import UpliftCurve, UpliftGroups, uplift_curve, uplift_groups
from relmark.experiments.uplift_learning import learn_uplift
from relmark.experiments.uplift_score import UpliftExplanation, UpliftScore
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = [
    "Assignment",
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
    "LearnedUplift",
    "Mean",
    "Moments",
    "Namespace",
    "NonInferiority",
    "Plan",
    "PolicyValue",
    "Posterior",
    "Proportion",
    "Quantile",
    "Ratio",
    "Report",
    "SampleSize",
    "SpendingPlan",
    "TriggerChain",
    "UpliftCurve",
    "UpliftExplanation",
    "UpliftGroups",
    "UpliftScore",
    "alpha_spending",
    "analyze",
    "balanced_salt",
    "bootstrap_effect",
    "checks",
    "complier_effect",
    "constant_bounds",
    "detectable_effect",
    "hash_fraction",
    "intervals",
    "learn_uplift",
    "newcombe_interval",
    "permutation_test",
    "policy_value",
    "power",
    "sample_ratio_test",
    "sample_size",
    "stratified_assignment",
    "uplift_curve",
    "uplift_groups",
]
