"""Experiments: a campaign with its control group, from plan to decision.

`Experiment` plans a test, assigns its arms by a keyed hash and reads its effects from raw events. `analyze` compares
arms from columns or from `Moments`. Both return a `Report`, whose effects have intervals that hold their level. A
report adjusts for many comparisons, tests whether segments differ, and says what the campaign brought and what to do.
`TriggerChain` does the same for chains of messages. `learn_uplift` learns from a test whom its arms help, and the
resulting `UpliftScore` can be applied to anybody. More checks are in `experiments.checks`, and intervals for shares
alone are in `experiments.intervals`. The classes of results are documented in the modules of their functions.
"""

from relmark.core.assignment import Holdout, Layer
from relmark.core.hashing import hash_fraction
from relmark.core.namespaces import Namespace
from relmark.experiments import checks, intervals
from relmark.experiments.analysis import analyze
from relmark.experiments.assignment import Assignment, stratified_assignment
from relmark.experiments.chains import TriggerChain
from relmark.experiments.compliance import complier_effect
from relmark.experiments.decisions import Decision, Impact
from relmark.experiments.design import Design
from relmark.experiments.effects import Effect
from relmark.experiments.experiment import Experiment
from relmark.experiments.intervals import newcombe_interval
from relmark.experiments.learned_uplift import LearnedUplift
from relmark.experiments.metrics import Mean, Proportion, Ratio
from relmark.experiments.moments import Moments
from relmark.experiments.planning import detectable_effect, power, sample_size
from relmark.experiments.plans import Plan
from relmark.experiments.policy import policy_value
from relmark.experiments.report import Report
from relmark.experiments.resampling import BootstrapSums, Quantile, bootstrap_effect, permutation_test
from relmark.experiments.salts import balanced_salt
from relmark.experiments.sequential import ConfidenceSequence, alpha_spending, constant_bounds
from relmark.experiments.uplift import uplift_curve, uplift_groups
from relmark.experiments.uplift_learning import learn_uplift
from relmark.experiments.uplift_score import UpliftScore
from relmark.experiments.validity import sample_ratio_test

__all__ = [
    "Assignment",
    "BootstrapSums",
    "ConfidenceSequence",
    "Decision",
    "Design",
    "Effect",
    "Experiment",
    "Holdout",
    "Impact",
    "Layer",
    "LearnedUplift",
    "Mean",
    "Moments",
    "Namespace",
    "Plan",
    "Proportion",
    "Quantile",
    "Ratio",
    "Report",
    "TriggerChain",
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
