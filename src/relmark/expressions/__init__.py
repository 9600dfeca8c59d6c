"""The rule language: what is meant by a segment, a condition of a score or a figure of a customer.

`builders` begins a rule, `operators` and `selection` continue it, and `nodes` is the immutable tree that results:
meaning, and nothing else. `stored` writes and reads its JSON form, `text_writer` and `text_reader` the text; `kinds`
says what does not fit a schema. `evaluate` computes a tree over a whole base, `scalar` for one person, and `explain`
says why, and until when. `needs` says what a tree looks at, and a `CustomerHistory` is asked many things.
"""

from relmark.core.documents import Limits
from relmark.core.problems import Problem
from relmark.expressions.builders import (
    all_of,
    any_of,
    at_least,
    event,
    everyone,
    field,
    hour_of_day,
    ids,
    none_of,
    now,
    prop,
    sample,
    segment,
    sequence,
    stage,
    weekday,
)
from relmark.expressions.explain import Explanation
from relmark.expressions.explain_parts import Change, Gap, Happened, Verdict
from relmark.expressions.history import CustomerHistory
from relmark.expressions.needs import Needs
from relmark.expressions.operators import Expression
from relmark.expressions.periods import Period, period
from relmark.expressions.selection import Selection, Window, WindowArgs
from relmark.expressions.text_reader import parse

__all__ = [
    "Change",
    "CustomerHistory",
    "Explanation",
    "Expression",
    "Gap",
    "Happened",
    "Limits",
    "Needs",
    "Period",
    "Problem",
    "Selection",
    "Verdict",
    "Window",
    "WindowArgs",
    "all_of",
    "any_of",
    "at_least",
    "event",
    "everyone",
    "field",
    "hour_of_day",
    "ids",
    "none_of",
    "now",
    "parse",
    "period",
    "prop",
    "sample",
    "segment",
    "sequence",
    "stage",
    "weekday",
]
