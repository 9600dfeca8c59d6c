"""Checks of whether a test is sound, in addition to those that a report makes itself.

Most return a `Check`: what was checked, whether it passed, and what to do if it did not.
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
