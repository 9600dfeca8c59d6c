"""A result of each kind that has a picture, from simulated customers: what the tests of pictures draw."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from relmark import CustomerBase, CustomerTable, EventLog, days, event, field
from relmark.attribution import Journeys, LastTouch, Linear, Markov, Shapley, compare
from relmark.campaigns import Campaign, Cap, ContactPolicy, allocate
from relmark.experiments import (
    Mean,
    Proportion,
    alpha_spending,
    analyze,
    learn_uplift,
    policy_value,
    sample_size,
    uplift_curve,
    uplift_groups,
)
from relmark.ltv import (
    BgNbd,
    GammaGamma,
    auto,
    calibration_table,
    cohort_tracking,
    frequency_table,
    holdout_report,
    lifetime_value,
    purchase_summary,
    recency_frequency_matrix,
    split,
)
from relmark.metrics import (
    cohort_retention,
    cohort_value,
    commerce_metrics,
    contact_pressure,
    funnel,
    journey_map,
    marketing_report,
    message_metrics,
    net_promoter_score,
    pareto,
    paths,
    pipeline,
    response_profile,
)
from relmark.recommend import BuyAgain, Interactions, Popular
from relmark.recommend import compare as compare_models
from relmark.scoring import LeadScore, Rule, calibrate, half_life
from relmark.segmentation import Rfm, Segment, SegmentSet, migration, segment_report

DAY = 86_400_000_000
START = np.datetime64("2026-01-01", "us")
AS_OF = "2026-07-01"
N = 600


@functools.cache
def shop() -> CustomerBase:
    """Return customers with purchases, visits, carts and messages of half a year."""
    rng = np.random.default_rng(11)
    rate = rng.gamma(1.2, 0.05, N)
    begin = rng.uniform(0, 120, N)
    parts: list[tuple[np.ndarray, str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(who: np.ndarray, kind: str, day: np.ndarray, value: float | np.ndarray = np.nan, channel: Any = None,
            campaign: Any = None) -> None:  # fmt: skip
        m = len(who)
        parts.append((who, kind, day, np.broadcast_to(value, m), np.broadcast_to(np.array(channel, dtype=object), m),
                      np.broadcast_to(np.array(campaign, dtype=object), m)))  # fmt: skip

    bought = rng.poisson(rate * (181 - begin)) + 1
    who = np.repeat(np.arange(N), bought)
    day = begin[who] + rng.random(len(who)) * (181 - begin[who])
    first = np.concatenate([[True], who[1:] != who[:-1]])
    day = np.where(first, begin[who], day)
    value = rng.gamma(3, 12, len(who)).round(2)
    add(who, "purchase", day, value)
    add(who, "cart", day - 0.05)
    add(who, "view", day - 0.1)
    more = rng.integers(0, N, 3_000)
    add(more, "view", rng.uniform(0, 181, 3_000))
    sent = rng.integers(0, N, 9_000)
    at = rng.uniform(1, 179, 9_000)
    channel = rng.choice(["email", "push", "sms"], 9_000)
    campaign = rng.choice(["welcome", "spring sale", "newsletter", "win back"], 9_000)
    add(sent, "message_sent", at, np.nan, channel, campaign)
    opened = rng.random(9_000) < np.where(channel == "email", 0.35, 0.2)
    clicked = opened & (rng.random(9_000) < 0.25)
    left = rng.random(9_000) < 0.01
    for kind, rows in (("message_opened", opened), ("message_clicked", clicked), ("unsubscribe", left)):
        add(sent[rows], kind, at[rows] + 0.02, np.nan, channel[rows], campaign[rows])
    log = EventLog.from_columns(
        customer_id=np.concatenate([part[0] for part in parts]),
        type=np.concatenate([np.repeat(part[1], len(part[0])) for part in parts]),
        time=START + (np.concatenate([part[2] for part in parts]) * DAY).astype(np.int64),
        value=np.concatenate([part[3] for part in parts]),
        properties={"channel": np.concatenate([part[4] for part in parts]).tolist(),
                    "campaign": np.concatenate([part[5] for part in parts]).tolist()},
    )  # fmt: skip
    people = CustomerTable.from_columns(
        customer_id=np.arange(N), age=rng.integers(18, 80, N), city=rng.choice(["Omsk", "Perm", "Tver"], N)
    )
    return CustomerBase(customers=people, events=log)


@functools.cache
def results() -> dict[str, Any]:
    """Return a result of each kind by a name."""
    base, rng = shop(), np.random.default_rng(5)
    rfm = Rfm().fit(base, as_of="2026-05-01")
    before, after = rfm.score(base, as_of="2026-05-01"), rfm.score(base, as_of=AS_OF)
    silent = event("purchase").days_since_last()
    rule = (field("age") >= 30) & event("purchase").exists() & (silent > 14) & (field("city") != "Tver")
    segments = SegmentSet([Segment("quiet", silent > 30), Segment("grown up", field("age") >= 40),
                           Segment("omsk", field("city") == "Omsk")])  # fmt: skip
    members = segments.evaluate(base, as_of=AS_OF)
    score = LeadScore(name="warmth", bands={"hot": 60, "warm": 25}, rules=[
        Rule("views", each=event("view"), points=3, decay=half_life(days(30))),
        Rule("purchases", each=event("purchase"), points=10, decay=half_life(days(60))),
    ])  # fmt: skip
    scores = score.evaluate(base, as_of="2026-06-01")
    bought_june = base.measure({"n": event("purchase").count(within=days(30))}, as_of=AS_OF)["n"] > 0
    held = split(base, at="2026-04-15", as_of=AS_OF)
    model = BgNbd.fit(held.calibration)
    summary = purchase_summary(base, as_of=AS_OF)
    fitted = BgNbd.fit(summary)
    leaving = BgNbd(r=0.24, alpha=4.4, a=0.8, b=2.4, unit="week")  # nobody of the simulated shop leaves
    journeys = Journeys.from_paths(
        ["post > letter > search", "search", "letter > search", "letter", "post", "post > post > search > letter"],
        conversions=[30, 20, 40, 10, 1, 12], value=[3_000, 1_000, 5_000, 900, 60, 800],
        nulls=[70, 180, 110, 240, 400, 90],
    )  # fmt: skip
    last, markov, linear = (
        LastTouch().attribute(journeys),
        Markov(order=1).attribute(journeys),
        Linear().attribute(journeys),
    )
    timed = Journeys.from_events(base, touch=event("message_clicked"), conversion=event("purchase"), as_of=AS_OF)
    arm = rng.choice(["control", "letter", "call"], 6_000)
    spend = rng.gamma(2, 10, 6_000) + np.where(arm == "letter", 1.5, 0)
    report = analyze({"spend": spend, "bought": rng.random(6_000) < np.where(arm == "control", 0.2, 0.24)}, arm,
                     metrics=[Mean("spend"), Proportion("bought")], control="control",
                     segments={"city": rng.choice(["Omsk", "Perm"], 6_000)})  # fmt: skip
    treated = rng.random(4_000) < 0.5
    ranked = rng.normal(size=4_000)
    outcome = (rng.random(4_000) < 0.1 + 0.05 * treated * (ranked > 0)).astype(float)
    deals = _deals(rng)
    policy = ContactPolicy(
        "shop", channels={"email": None, "push": event("view").exists(within=days(30))}, caps=[Cap(1, within=days(7))],
        campaigns=[Campaign("win back", who=silent.between(40, 120), channels=["email"], again=days(30), control=0.1),
                   Campaign("basket", trigger=event("cart"), channels=["push", "email"]),
                   Campaign("newsletter", channels=["email"], again=days(14))],
    )  # fmt: skip
    values = rng.gamma(2, 1, (2_000, 3))
    answers = rng.choice(11, 900, p=[0.02] * 5 + [0.05, 0.08, 0.12, 0.2, 0.2, 0.25])
    interactions = Interactions.of(_items(rng), as_of=AS_OF)
    return {
        "rfm_grid": after, "segment_report": segment_report(after),
        "migration": migration(before, after), "overlap": members, "waterfall": members.waterfall,
        "clauses": Segment("worth a letter", rule).by_clause(base, as_of=AS_OF),
        "scores": scores, "calibration": calibrate(scores, bought_june), "lift": calibrate(scores, bought_june).deciles,
        "tracking": cohort_tracking(model, base, at="2026-04-15", as_of=AS_OF),
        "frequency": frequency_table(fitted, summary), "holdout": holdout_report(model, held),
        "recency_frequency": recency_frequency_matrix(leaving, T=26.0, t=13.0, most=10, rows=14),
        "calibration_table": calibration_table(model, held),
        "value": lifetime_value(fitted, GammaGamma.fit(summary), summary),
        "alive_history": leaving.alive_history(base, 3, np.arange("2026-01-15", "2026-07-01", 7, dtype="M8[D]")),
        "equity": lifetime_value(fitted, GammaGamma.fit(summary), summary).to_cells(segment=summary.customer_id % 3),
        "model_choice": auto(base, as_of=AS_OF, models=["BG/NBD", "MBG/NBD", "NBD"]),
        "quality": compare_models({"popular": Popular(), "buy again": BuyAgain()}, interactions, k=3),
        "credit": last, "comparison": compare(last, markov, linear, Shapley().attribute(journeys)),
        "path_lengths": timed.path_lengths(), "time_lags": timed.time_lags(), "markov": Markov(order=1).fit(journeys),
        "returns": last.with_cost({"post": 900.0, "letter": 2_000.0, "search": 1_500.0}),
        "effects": report,
        "sample_size": sample_size(Proportion("bought", baseline=0.2), mde=0.1, arms={"control": 0.5, "letter": 0.5}),
        "bounds": alpha_spending(5), "uplift": uplift_curve(ranked, outcome, treated, rng=1),
        "learned": learn_uplift({"y": outcome, "x": ranked}, np.where(treated, "mail", "control"), outcome="y",
                                features=["x"]),
        "uplift_groups": uplift_groups(ranked, outcome, treated, groups=5),
        "policy_value": policy_value(ranked > 0, outcome, treated, cost=0.01),
        "retention": cohort_retention(base, as_of=AS_OF), "cohort_value": cohort_value(base, as_of=AS_OF),
        "funnel": funnel(base, {"view": event("view"), "click": event("message_clicked"), "bought": event("purchase")},
                         as_of=AS_OF, within=days(3)),
        "paths": paths(base, as_of=AS_OF, steps=3, of=event("view", "cart", "purchase")),
        "journey_map": journey_map(base, as_of=AS_OF, of=event("view", "cart", "purchase")),
        "messages": message_metrics(base, as_of=AS_OF, by="campaign", within=days(180)),
        "profile": response_profile(base, as_of=AS_OF, by="channel"),
        "pipeline": pipeline(deals, stages=["lead", "demo", "offer"], as_of="2026-06-01"),
        "pareto": pareto(base, as_of=AS_OF), "report": marketing_report(base, as_of=AS_OF),
        "commerce": commerce_metrics(base, as_of=AS_OF, period="month"),
        "survey": net_promoter_score(answers, by={"city": rng.choice(["Omsk", "Perm", "Tver"], 900)}),
        "pressure": contact_pressure(base, as_of=AS_OF),
        "replay": policy.replay(base, start="2026-06-01", end="2026-06-21", every=days(1)),
        "plan": policy.evaluate(base, as_of=AS_OF),
        "allocation": allocate(values, offers=["coupon", "gift", "call"], customer_id=np.arange(2_000),
                               capacity={"coupon": 600, "gift": 400, "call": 100}, minimum={"call": 50}),
    }  # fmt: skip


def _deals(rng: np.random.Generator) -> dict[str, Any]:
    rows: list[tuple[int, str, float]] = []
    for deal in range(400):
        t = float(rng.uniform(0, 140))
        for stage, goes in (("lead", 0.6), ("demo", 0.6), ("offer", 0.5)):
            rows.append((deal, stage, t))
            t += float(rng.exponential(14))
            if rng.random() >= goes:
                rows.append((deal, "lost", t))
                break
        else:
            rows.append((deal, "won", t))
    rows = [row for row in rows if row[2] < 150]
    return {"deal": [row[0] for row in rows], "stage": [row[1] for row in rows],
            "time": START + (np.array([row[2] for row in rows]) * DAY).astype(np.int64)}  # fmt: skip


def _items(rng: np.random.Generator) -> CustomerBase:
    m = 4_000
    who, item = rng.integers(0, 200, m), rng.zipf(1.5, m) % 30
    orders = {"user": who, "time": START + (rng.uniform(0, 180, m) * DAY).astype(np.int64), "item": item.astype(str)}
    return CustomerBase.from_orders(orders, customer_id="user", time="time", item="item")
