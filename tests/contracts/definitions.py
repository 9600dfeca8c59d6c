"""One of every stored definition, for the tests that hold of all of them."""

from __future__ import annotations

from relmark import Schema, days, event, field, months, prop
from relmark.attribution import (
    FirstTouch,
    Journeys,
    LastNonDirect,
    LastTouch,
    Linear,
    Markov,
    Participation,
    PositionBased,
    Shapley,
    TimeDecay,
)
from relmark.campaigns import Campaign, Cap, Chain, ContactPolicy, QuietHours, Step
from relmark.core.namespaces import Namespace
from relmark.experiments import (
    ConfidenceSequence,
    Design,
    Experiment,
    Holdout,
    Layer,
    Mean,
    Proportion,
    Ratio,
    TriggerChain,
    UpliftScore,
)
from relmark.experiments.uplift_features import UpliftTerm
from relmark.experiments.uplift_score import ArmUplift
from relmark.ltv import (
    BetaDiscreteWeibull,
    BgBb,
    BgCnbd,
    BgNbd,
    CovariateEffects,
    GammaGamma,
    MbgCnbd,
    MbgNbd,
    Nbd,
    ParetoNbd,
    Season,
    ShiftedBetaGeometric,
)
from relmark.recommend import (
    AfterPurchase,
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Category,
    Ease,
    Fallback,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
)
from relmark.scoring import Grade, Group, LeadScore, Rule
from relmark.segmentation import Rfm, RfmGrid, RfmModel, Segment, SegmentSet

RULE = (field("age") >= 18) & (event("purchase").count(within=days(30)) >= 2)
HOLDOUT = Holdout(0.1, salt="all", period="month")

DEFINITIONS = [
    RULE.needs() + event.any(where=prop("page") == "a").exists(within=days(7)).needs(),
    Schema(fields={"age": float}, events={"purchase": {"sku": str}}),
    Segment("buyers", RULE, description="who buys"),
    SegmentSet([Segment("buyers", RULE), Segment("grown", field("age") >= 18)]),
    Rfm(bins=3, cuts={"monetary": [1.0, 2.5]}, grid=RfmGrid.by_score(3)),
    RfmModel(
        bins=2, cuts={"calendar_days_since": [30], "frequency": [1], "monetary": [100]}, grid=RfmGrid.by_score(2),
        within=months(6),
    ),
    LeadScore(
        name="leads",
        rules=[Rule("grown", when=RULE, points=3, group="fit"), Rule("visits", each=event("visit"), points=1)],
        groups=[Group("fit", cap=20)], bands={"hot": 3, "cold": 0}, grades=Grade(fit={"A": 3, "B": 0}),
    ),
    Holdout(0.05, salt="h"), Layer("one of", shares={"spring": 0.5, "summer": 0.5}), Namespace("n", 0.0, 0.5),
    Experiment(
        "spring", arms={"control": 0.1, "mail": 0.9}, layer=Layer("l", shares={"spring": 0.5}), holdout=HOLDOUT,
        namespace=Namespace("n", 0.0, 0.5), coverage=0.5, control="control",
    ),
    ContactPolicy(
        "shop", channels={"email": field("email").not_null(), "push": None}, transactional_channels={"email": None},
        campaigns=[
            Campaign("receipt", trigger=event("purchase"), channels=["email"], transactional=True, counts=True),
            Campaign("sale", who=RULE, channels=["push", "email"], category="promo", again=days(14), times=2,
                     control=0.1, start="2026-12-01", end="2026-12-15T00:00Z", hour=field("hour"), limit=50,
                     best_by=field("age")),
            Chain("welcome", starts=event("signup"), until=event("purchase"), channels=["email"], late=days(2),
                  steps=[Step("hello"), Step("code", after=days(3), when=RULE)], step_control=0.05, restart=True),
        ],
        caps=[Cap(1, per="day"), Cap(3, within=days(7), category="promo")],
        quiet=QuietHours("21:00", "09:00", weekdays=[1]), gap=None, holdout=HOLDOUT,
        prefer=field("best"), at_most=2, description="what we send",
    ),
    TriggerChain("welcome", steps=["hello", "tips"], chain_control=0.1, step_control=0.2, holdout=HOLDOUT),
    Design(arms={"none": 0.3, "mail": 0.7}, control="none", cluster_size=3.0), ConfidenceSequence(expected=1_000.0),
    Proportion("bought", baseline=0.1, of=event("purchase").exists(), covariates=["before"]),
    Mean("spend", of=event("purchase").sum(), before=days(60), cap=500.0, sd=3.0),
    Ratio("spend", "orders", of=(event("purchase").sum(), event("purchase").count()), before=months(2)),
    UpliftScore(
        name="mail", outcome="spend", control="none",
        features={"city": field("city"), "orders": event("purchase").count(within=days(90))},
        terms=[UpliftTerm(feature="orders", mean=2.5), UpliftTerm(feature="city", kind="word", word="Omsk", mean=0.4),
               UpliftTerm(feature="city", kind="another", mean=0.1), UpliftTerm(feature="city", kind="missing")],
        arms=[ArmUplift(arm="mail", average=1.5, points=[0.25, -1.0, 0.5, 0.0])],
    ),
    BgNbd(r=0.2, alpha=4.0, a=0.8, b=2.4), MbgNbd(r=0.2, alpha=4.0, a=0.8, b=2.4, unit="week"),
    ParetoNbd(r=0.5, alpha=10.0, s=0.6, beta=11.0),
    ParetoNbd(r=0.5, alpha=10.0, s=0.6, beta=11.0, unit="week", season=Season([1.0] * 11 + [2.0])),
    BgNbd(r=0.2, alpha=4.0, a=0.8, b=2.4, effects=CovariateEffects(rate={"card": 0.4}, dropout={"card": -1.0})),
    Nbd(r=0.5, alpha=10.0), GammaGamma(p=6.0, q=4.0, v=15.0),
    BgBb(alpha=1.2, beta=0.7, gamma=0.6, delta=2.7), ShiftedBetaGeometric(alpha=0.7, beta=1.2),
    BetaDiscreteWeibull(alpha=0.7, beta=1.2, c=1.4),
    Season([1.0] * 11 + [2.0], period="month"),
    MbgNbd(r=0.2, alpha=4.0, a=0.8, b=2.4, unit="week", season=Season([1, 1, 1, 1, 2, 3, 1], "day_of_week")),
    MbgCnbd(k=2, r=1.3, alpha=2.8, a=0.4, b=0.8, unit="week"), BgCnbd(k=3, r=0.4, alpha=1.1, a=0.5, b=2.8),
    MbgCnbd(k=2, r=1.3, alpha=2.8, a=0.4, b=0.8, effects=CovariateEffects(rate={"card": 0.4}, dropout={"card": -1.0})),
    Rules(
        exclude_bought=days(30), repeat_after={"coffee": days(20)}, allow=["a", Category("b")], deny=["c"],
        deny_for={"c1": ["a"]}, in_stock=True, max_per={"category": 2}, min_price_ratio=1.2, price=(1.0, None),
        after_purchase=[AfterPurchase(of=Category("coat"), within=days(30), boost={"scarf": 2.0})],
    ),
    Ease(regularization=100.0), Popular(half_life=days(30), category="coat"), NewArrivals(), BuyAgain(min_gap=days(3)),
    ItemNeighbors(k=5, measure="llr"), Als(factors=8), Bpr(factors=8), Blend({Ease(): 1.0, Popular(): 0.5}),
    Fallback([BuyAgain(), Blend({Ease(): 1.0})]),
    FirstTouch(), LastTouch(), LastNonDirect(), Linear(), Participation(), PositionBased(),
    TimeDecay(half_life=days(3)), Markov(order="auto"), Shapley(by="set"),
    Markov().fit(Journeys.from_paths(["a > b", "b"], conversions=[1.0, 2.0], nulls=[3.0, 4.0], sep=" > ")),
]  # fmt: skip


def called(definition: object) -> str:
    """Return the name of a test's case."""
    return type(definition).__name__
