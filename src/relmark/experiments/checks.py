"""Checks of a test's soundness beside those that a report makes itself: each returns a `Check`, with what to do."""

from relmark.experiments.soundness import (
    contamination,
    exposure_before_assignment,
    outliers,
    peeking,
    sample_large_enough,
)
from relmark.experiments.validity import Check, sample_ratio_test

__all__ = [
    "Check",
    "contamination",
    "exposure_before_assignment",
    "outliers",
    "peeking",
    "sample_large_enough",
    "sample_ratio_test",
]
