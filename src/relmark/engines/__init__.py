"""The same definitions where the data are: compiled for an engine, or applied to whole customers there.

`evaluate` turns a segment and two frames into a lazy frame of the engine: one pass over the events gives each customer
the figures that the rule asks for, a join brings them to the customers, and one expression decides. `unsupported` says
which parts of a rule cannot be said so, and `where` keeps of a frame what definitions look at. Nothing is computed
before the engine is asked for the result.

`apply` takes every definition: the rows of whole customers are brought together, and the code that runs on them is the
one that runs in numpy. `worker` is that code as a function of Arrow tables, for engines that are not known here.

`to_sql` writes the plan of `evaluate` as the text of one query for a warehouse. `reduce` and the calls beside it
(`purchase_cells`, `rfm`, `cooccurrence`, `cohorts`, `funnel`, `journeys`, `message_counts`, `moments`) add up small
states of pieces of whole customers: all that a fit needs.

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
