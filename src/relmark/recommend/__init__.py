"""Recommendations: personal lists of items, items that go with a basket, similar items, and look-alike customers.

Data flow in one direction. The purchases of a base become `Interactions` (customers by items, with times, pieces, money
and orders): by `Interactions.of`, or automatically if a recommender is given the base. A recommender is a frozen set of
settings (`Ease`, `Popular`, `BuyAgain`, ...), and ``fit`` turns it into a model that holds arrays only. ``recommend``
scores every item for each customer, `Rules` remove items that must not be offered, and the best k are returned, with
reasons and with the number of items that each rule dropped. A list is shorter if fewer items are left. `compare`
compares lists with what customers bought next, `also_bought` counts pairs, and `look_alike` finds customers who
resemble a given group.
"""

from relmark.recommend.arrivals import FittedNewArrivals, NewArrivals
from relmark.recommend.auto import Choice, auto
from relmark.recommend.blend import Blend, FittedBlend
from relmark.recommend.buy_again import BuyAgain, FittedBuyAgain
from relmark.recommend.comparison import Comparison, compare
from relmark.recommend.ease import Ease, FittedEase
from relmark.recommend.factor_model import FactorModel, Factors
from relmark.recommend.factors import Als, Bpr
from relmark.recommend.fallback import Fallback, FittedFallback
from relmark.recommend.fitted import Fitted
from relmark.recommend.interactions import Interactions, PurchaseSource
from relmark.recommend.look_alike import Centroid, LookAlike, Ridge, look_alike
from relmark.recommend.neighbors import FittedNeighbors, ItemNeighbors
from relmark.recommend.pair_counts import PairCounts
from relmark.recommend.pairs import Pairs, also_bought
from relmark.recommend.popular import FittedPopular, Popular
from relmark.recommend.quality import Quality, quality
from relmark.recommend.recommendations import Explanation, Recommendation, Recommendations, SimilarCustomer
from relmark.recommend.rules import AfterPurchase, Category, Rules
from relmark.recommend.spec import Spec, spec_from_dict
from relmark.recommend.splits import Split, folds_by_time, split_by_time

__all__ = [
    "AfterPurchase",
    "Als",
    "Blend",
    "Bpr",
    "BuyAgain",
    "Category",
    "Centroid",
    "Choice",
    "Comparison",
    "Ease",
    "Explanation",
    "FactorModel",
    "Factors",
    "Fallback",
    "Fitted",
    "FittedBlend",
    "FittedBuyAgain",
    "FittedEase",
    "FittedFallback",
    "FittedNeighbors",
    "FittedNewArrivals",
    "FittedPopular",
    "Interactions",
    "ItemNeighbors",
    "LookAlike",
    "NewArrivals",
    "PairCounts",
    "Pairs",
    "Popular",
    "PurchaseSource",
    "Quality",
    "Recommendation",
    "Recommendations",
    "Ridge",
    "Rules",
    "SimilarCustomer",
    "Spec",
    "Split",
    "also_bought",
    "auto",
    "compare",
    "folds_by_time",
    "look_alike",
    "quality",
    "spec_from_dict",
    "split_by_time",
]
