"""The calls of engines on which users rely."""

from __future__ import annotations

import polars as pl

from relmark import days, engines, event, sequence
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
