"""The same definitions where the data are: rules compiled for Polars, DuckDB and other engines behind narwhals.

`evaluate` turns a segment and two frames into a lazy frame of the engine: one pass over the events gives each customer
the figures that the rule asks for, a join brings them to the customers, and one expression decides. `unsupported` says
which parts of a rule have to stay in numpy, and `where` keeps of a frame what definitions look at. Nothing is computed
before the engine is asked for the result.

The expressions know nothing of engines, and no other room imports this one.
"""

from relmark.engines.compile import evaluate, where
from relmark.engines.portable import unsupported

__all__ = ["evaluate", "unsupported", "where"]
