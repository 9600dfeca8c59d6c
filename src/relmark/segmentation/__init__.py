"""Segments defined by rules, and RFM scores with fixed thresholds.

A `Segment` is a named rule: an expression over a customer's fields and events. Evaluated on a `CustomerBase` at an
instant, it gives a mask; evaluated for one customer, it gives a verdict with its reasons. `Rfm` learns thresholds from
a log of purchases. The resulting `RfmModel` scores that log and any later one. `migration` reports who moved between
segments, `drift` reports whether the thresholds still fit, and `segment_report` reports what each segment is worth.
Scores can be added to a base as columns, which segments can test.
"""

from relmark.core.spans import calendar_days, months
from relmark.core.time import days, hours, minutes
from relmark.expressions import (
    Explanation,
    Problem,
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    ids,
    none_of,
    parse,
    period,
    prop,
    sample,
    segment,
    sequence,
)
from relmark.segmentation import presets
from relmark.segmentation.by_clause import ClauseCounts
from relmark.segmentation.check import Checked
from relmark.segmentation.diff import SegmentDiff, diff
from relmark.segmentation.drift import RfmDrift, drift
from relmark.segmentation.grids import STANDARD_GRID, RfmGrid
from relmark.segmentation.members import SegmentMembers
from relmark.segmentation.migration import Migration, migration
from relmark.segmentation.rfm import Rfm
from relmark.segmentation.rfm_measures import RfmMeasures, rfm_measures
from relmark.segmentation.rfm_model import RfmCounts, RfmModel
from relmark.segmentation.rfm_scores import RfmScores
from relmark.segmentation.segment_report import SegmentReport, segment_report
from relmark.segmentation.segment_set import SegmentSet
from relmark.segmentation.segments import Segment
from relmark.segmentation.set_members import SegmentSetMembers, Waterfall

__all__ = [
    "STANDARD_GRID",
    "Checked",
    "ClauseCounts",
    "Explanation",
    "Migration",
    "Problem",
    "Rfm",
    "RfmCounts",
    "RfmDrift",
    "RfmGrid",
    "RfmMeasures",
    "RfmModel",
    "RfmScores",
    "Segment",
    "SegmentDiff",
    "SegmentMembers",
    "SegmentReport",
    "SegmentSet",
    "SegmentSetMembers",
    "Waterfall",
    "all_of",
    "any_of",
    "at_least",
    "calendar_days",
    "days",
    "diff",
    "drift",
    "event",
    "everyone",
    "field",
    "hours",
    "ids",
    "migration",
    "minutes",
    "months",
    "none_of",
    "parse",
    "period",
    "presets",
    "prop",
    "rfm_measures",
    "sample",
    "segment",
    "segment_report",
    "sequence",
]
