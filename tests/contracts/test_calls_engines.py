"""The calls of engines on which users rely."""

from __future__ import annotations

import numpy as np
import polars as pl

from relmark import days, engines, event, sequence
from relmark.metrics import cohort_retention, funnel
from relmark.segmentation import Segment

AS_OF = "2026-11-01"
SEGMENT = Segment("twice", event("purchase").count(within=days(50)) >= 2)
COLUMNS = {"customer_id": "customer_id", "time": "time", "type": "type"}


def test_a_segment_on_a_lazy_frame_is_the_segment_of_the_base(base):
    assert engines.unsupported(SEGMENT.rule) == ()
    assert engines.unsupported(sequence([event("visit"), event("purchase")])) != ()
    frame = pl.DataFrame(base.events.to_columns())
    found = engines.evaluate(SEGMENT, events=frame.lazy(), columns=COLUMNS, as_of="2026-10-31T23:00Z").collect()
    members = found.filter(pl.col("member"))["customer_id"].sort().to_list()
    assert members == SEGMENT.evaluate(base, as_of=AS_OF).ids.tolist() == ["c1", "c2", "c4"]


def test_counts_of_a_lazy_frame_become_the_tables_of_the_base(base):
    given = {"columns": COLUMNS, "as_of": AS_OF, "tz": base.tz}
    frame = pl.DataFrame(base.events.to_columns()).with_columns(pl.col("time").dt.replace_time_zone("UTC")).lazy()
    pairs = engines.cooccurrence(frame, by="customer", **given)
    assert pairs.pairs(min_count=1).n_baskets == pairs.n_customers > 0
    cohorts = engines.cohorts(frame, period="month", **given)
    expected = cohort_retention(base, as_of=AS_OF)
    assert np.array_equal(cohorts.retention().counts, expected.counts, equal_nan=True)
    steps = [event("visit"), event("purchase")]
    walked = engines.funnel(frame, steps, within=days(7), **given)
    assert walked.funnel().counts.tolist() == funnel(base, steps, as_of=AS_OF, within=days(7)).counts.tolist()
