"""Run the same definitions where the data is stored: compiled for an engine, or applied to whole customers there.

`evaluate` turns a segment and two frames into a lazy frame of the engine. One pass over the events computes the numbers
that the rule needs for each customer, a join adds them to the customers, and one expression decides. `unsupported`
lists the parts of a rule for which this is not possible, and `where` keeps only the events that definitions need.
Nothing is computed until you ask the engine for the result.

`apply` takes every definition: it brings the rows of each customer together, and runs the same code on them as in
numpy. `worker` is that code as a function of Arrow tables, for any other engine.

`to_sql` writes the plan of `evaluate` as the text of one query for a warehouse. `reduce` and the functions like it
(`purchase_cells`, `rfm`, `cooccurrence`, `cohorts`, `funnel`, `journeys`, `message_counts`, `moments`) add up small
states of parts of the customers, which is all that a fit needs.

No other package imports this one.
"""

from relmark.engines.answers import Lists, Values
from relmark.engines.applying import apply
from relmark.engines.compile import evaluate, where
from relmark.engines.portable import unsupported
from relmark.engines.previews import SegmentPreview, preview
from relmark.engines.reducing import reduce
from relmark.engines.sql import to_sql
from relmark.engines.states import (
    RfmState,
    cohorts,
    cooccurrence,
    funnel,
    journeys,
    message_counts,
    moments,
    purchase_cells,
    rfm,
)
from relmark.engines.worker import Worker, worker

__all__ = [
    "Lists",
    "RfmState",
    "SegmentPreview",
    "Values",
    "Worker",
    "apply",
    "cohorts",
    "cooccurrence",
    "evaluate",
    "funnel",
    "journeys",
    "message_counts",
    "moments",
    "preview",
    "purchase_cells",
    "reduce",
    "rfm",
    "to_sql",
    "unsupported",
    "where",
    "worker",
]
