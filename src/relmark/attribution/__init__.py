"""Attribution: how much credit each channel, campaign, message or offer gets for orders, with intervals.

`Journeys` are made from path strings, the events of a base, or rows of touches. They can be reshaped: repeats
collapsed, direct visits dropped, channels joined. A model then shares the conversions: rules by position (`FirstTouch`
... `CustomRule`), `Markov` by what removing a channel would lose, or `Shapley` by mean marginal contribution. The
method `attribute` of a model returns a `Credit` that adds up to all conversions, and `bootstrap` adds intervals.
`Credit.with_cost` adds costs, `Credit.calibrate` uses the results of experiments, and `compare` shows several credits
side by side. Reports (`path_lengths`, `assists`, `top_paths`, `overlap`, ...) describe the journeys themselves.

Credit is not incrementality: it says which channels were there. What a channel caused is measured by a control group.
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
