"""The rule language, in which segments, conditions of scores and figures of customers are written.

`builders` begins a rule, `operators` and `selection` continue it, and `nodes` defines the immutable tree that results,
which has a meaning but computes nothing. `stored` writes and reads its JSON form, `text_writer` and `text_reader` its
text form; `kinds` finds what does not fit a schema. `evaluate` computes a tree over a whole base, `scalar` for one
person; `explain` gives the reasons, and how long a value lasts. `needs` lists the data that a tree uses, and a
`CustomerHistory` answers many questions about one customer.
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
