"""Who belongs together: segments by rule, and RFM with thresholds that stay.

A rule (an expression over a customer's fields and events) becomes a `Segment`; evaluated on a `CustomerBase` at an
instant it gives a mask, and for one customer a verdict with its reasons. `Rfm` reads thresholds off a log of purchases;
the `RfmModel` that it gives scores any later log, `migration` says who moved, `drift` whether the thresholds still fit,
`segment_report` what each segment is worth. Scores join a base as columns, where segments can test them.
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
