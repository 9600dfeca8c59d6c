"""Experiments: a campaign with its control group, from plan to decision.

`Experiment` plans a test and assigns its arms by a keyed hash; `analyse` (from columns or from `Moments`) and
`Experiment.read` (from raw events) compare the arms in a `Report`, whose effects carry intervals that cover.
"""

from relmark.core.hashing import hash_fraction
from relmark.experiments.analysis import analyse
from relmark.experiments.assignment import Assignment, sha256_fraction, stratified_assignment
from relmark.experiments.effects import Effect
from relmark.experiments.experiment import Experiment
from relmark.experiments.layers import Holdout, Layer
from relmark.experiments.metrics import Mean, Proportion, Ratio
from relmark.experiments.moments import Moments
from relmark.experiments.proportions import (
    agresti_caffo_interval,
    boschloo_test,
    fisher_test,
    miettinen_nurminen_interval,
    newcombe_interval,
    wilson_interval,
)
from relmark.experiments.report import Report
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = [
    "Assignment",
    "Check",
    "Effect",
    "Experiment",
    "Holdout",
    "Layer",
    "Mean",
    "Moments",
    "Proportion",
    "Ratio",
    "Report",
    "agresti_caffo_interval",
    "analyse",
    "boschloo_test",
    "fisher_test",
    "hash_fraction",
    "miettinen_nurminen_interval",
    "newcombe_interval",
    "sample_ratio_test",
    "sha256_fraction",
    "stratified_assignment",
    "wilson_interval",
]
