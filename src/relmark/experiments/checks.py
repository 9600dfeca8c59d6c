"""Checks of a test's soundness beside those that a report makes itself.

Most return a `Check`: what was looked at, whether it passed, and in words what to do where it did not.
"""

from relmark.experiments.balancing import Balance, balance
from relmark.experiments.sequential import peeking_error
from relmark.experiments.soundness import (
    contamination,
    exposure_before_assignment,
    outliers,
    peeking,
    sample_large_enough,
)
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = [
    "Balance",
    "Check",
    "balance",
    "contamination",
    "exposure_before_assignment",
    "outliers",
    "peeking",
    "peeking_error",
    "sample_large_enough",
    "sample_ratio_test",
]
