"""Who belongs together: segments by rule, and RFM with thresholds that stay.

A rule (an expression over a customer's fields and events) becomes a `Segment`; evaluated on a `CustomerBase` at an
instant it gives a mask, and for one customer a verdict with its reasons. `Rfm` reads thresholds off a log of purchases;
the `RfmModel` that it gives scores any later log, `migration` says who moved, `drift` whether the thresholds still fit,
`segment_report` what each segment is worth. Scores join a base as columns, where segments can test them.
"""

from relmark.segmentation.drift import RfmDrift, drift
from relmark.segmentation.grids import STANDARD_GRID, RfmGrid
from relmark.segmentation.migration import Migration, migration
from relmark.segmentation.rfm import Rfm, RfmCounts, RfmModel, RfmScores
from relmark.segmentation.rfm_measures import RfmMeasures, rfm_measures
from relmark.segmentation.segment_report import SegmentReport, segment_report

__all__ = [
    "STANDARD_GRID",
    "Migration",
    "Rfm",
    "RfmCounts",
    "RfmDrift",
    "RfmGrid",
    "RfmMeasures",
    "RfmModel",
    "RfmScores",
    "SegmentReport",
    "drift",
    "migration",
    "rfm_measures",
    "segment_report",
]
