"""Attribution: which channel, campaign, message or offer earned the order, and how sure that is.

Journeys come from path strings, an event log or rows of touches (`Journeys`), may be reshaped (repeats collapsed,
direct visits dropped, channels joined), and go to a model: rules by position (`FirstTouch` ... `CustomRule`), `Markov`
by what removing a channel would lose, or `Shapley` by mean marginal contribution. Each model's `attribute` returns a
`Credit` that balances, takes costs (`with_cost`), bootstrap intervals (`bootstrap`) and what experiments measured
(`calibrate`), and stands beside others (`compare`). Reports (`path_lengths`, `assists`, `top_paths`, `overlap`, ...)
read the journeys.

Credit is not incrementality: it says who was there. What a channel caused is measured by a control group.
"""

from relmark.attribution.credit import Credit, CreditComparison, TouchCredit, compare
from relmark.attribution.journeys import Journeys
from relmark.attribution.markov import Markov, MarkovModel, TransitionMatrix
from relmark.attribution.model import AttributionModel
from relmark.attribution.order_selection import OrderSelection, order_selection
from relmark.attribution.overlaps import ChannelSets, FirstAndLast, Overlap
from relmark.attribution.reports import (
    Assists,
    ChannelPositions,
    PathLengths,
    TimeLags,
    TopPaths,
    TouchesToConversion,
)
from relmark.attribution.returns import ChannelReturns
from relmark.attribution.rules import (
    CustomRule,
    FirstTouch,
    LastNonDirect,
    LastTouch,
    Linear,
    Participation,
    PositionBased,
    TimeDecay,
)
from relmark.attribution.shapley import Shapley
from relmark.attribution.transitions import TransitionCounts

__all__ = [
    "Assists",
    "AttributionModel",
    "ChannelPositions",
    "ChannelReturns",
    "ChannelSets",
    "Credit",
    "CreditComparison",
    "CustomRule",
    "FirstAndLast",
    "FirstTouch",
    "Journeys",
    "LastNonDirect",
    "LastTouch",
    "Linear",
    "Markov",
    "MarkovModel",
    "OrderSelection",
    "Overlap",
    "Participation",
    "PathLengths",
    "PositionBased",
    "Shapley",
    "TimeDecay",
    "TimeLags",
    "TopPaths",
    "TouchCredit",
    "TouchesToConversion",
    "TransitionCounts",
    "TransitionMatrix",
    "compare",
    "order_selection",
]
