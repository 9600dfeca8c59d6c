"""One fitted thing of each room, asked by eight threads together, answers as it does alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, days, event, field, parse, sequence
from relmark.attribution import Journeys, Markov, Shapley
from relmark.experiments import Experiment, Mean
from relmark.ltv import BgNbd, GammaGamma, ParetoNbd, PurchaseSummary, lifetime_value, purchase_summary
from relmark.recommend import Ease, ItemNeighbors, Popular, Rules, also_bought
from relmark.scoring import Group, LeadScore, Rule, half_life
from relmark.segmentation import Rfm, Segment, SegmentSet

AS_OF = "2026-11-01"
THREADS = 8


def _shop() -> CustomerBase:
    rng = np.random.default_rng(5)
    n = 600
    bought = EventLog.from_columns(
        customer_id=rng.integers(0, 40, n), type="purchase", value=rng.integers(1, 90, n).astype(float),
        time=np.datetime64("2026-01-01", "us") + rng.integers(0, 300 * 86_400, n) * np.timedelta64(1, "s"),
        properties={"item": np.array(list("abcdef"))[rng.integers(0, 6, n)], "order": np.arange(n) // 2},
    )  # fmt: skip
    visits = EventLog.from_columns(
        customer_id=rng.integers(0, 40, n), type="visit",
        time=np.datetime64("2026-01-01", "us") + rng.integers(0, 300 * 86_400, n) * np.timedelta64(1, "s"),
        properties={"channel": np.array(["mail", "search", "ads"])[rng.integers(0, 3, n)]},
    )  # fmt: skip
    return CustomerBase(events=bought.append(visits), tz="Europe/Berlin").with_column("age", [20.0, 40.0] * 20)


def _segment() -> Callable[[], Any]:
    base = _shop()
    steps = sequence([event("visit"), event("purchase")], within=days(3))
    segment = Segment("s", (event("purchase").count(within=days(60)) >= 2) & (field("age") > 30) | steps)
    return lambda: (
        segment.evaluate(base, as_of=AS_OF).mask.tolist(),
        segment.explain(base, 3, as_of=AS_OF).to_dict(),
        parse(segment.rule.to_text()).fingerprint,
    )


def _segments() -> Callable[[], Any]:
    base = _shop()
    found = SegmentSet([Segment("a", event("purchase").count() >= 14), Segment("b", field("age") > 30)])
    return lambda: (found.evaluate(base, as_of=AS_OF).overlap.tolist(), found.fingerprint)


def _rfm() -> Callable[[], Any]:
    base = _shop()
    model = Rfm(bins=5).fit(base, as_of=AS_OF)
    return lambda: (model.score(base, as_of=AS_OF).to_dict(), model.to_json())


def _purchases() -> Callable[[], Any]:
    bought = _shop().purchases()  # what is counted lazily is counted by all at once
    return lambda: (dict(bought.counts), bought.orders().value.tolist(), bought.days().value.tolist())


def _score() -> Callable[[], Any]:
    base = _shop()
    score = LeadScore(
        name="s",
        groups=[Group("engagement", cap=20)],
        rules=[
            Rule("adult", when=field("age") > 30, points=5),
            Rule("buys", each=event("purchase"), points=3, group="engagement", decay=half_life(days(30))),
        ],
        bands={"hot": 12, "warm": 3},
    )
    return lambda: (
        score.evaluate(base, as_of=AS_OF).total.tolist(),
        score.explain(base, 3, as_of=AS_OF).to_dict(),
        score.fingerprint,
    )


def _ltv() -> Callable[[], Any]:
    summary = PurchaseSummary(
        frequency=[0, 2, 5, 1], recency=[0, 10, 30, 4], T=[38, 39, 31, 20], monetary_value=[0, 20, 5.5, 9], unit="week"
    )
    model, spend = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426), GammaGamma(p=6.25, q=3.74, v=15.4)
    other = ParetoNbd(r=0.55, alpha=10.6, s=0.6, beta=11.7)
    base = _shop()
    return lambda: (
        lifetime_value(model, spend, summary, horizon=days(90), annual_rate=0.1, margin=0.3).value.tolist(),
        other.expected_purchases(summary, 10.0).tolist(),
        model.probability_alive(summary).tolist(),
        purchase_summary(base, as_of=AS_OF).recency.tolist(),
    )


def _recommend() -> Callable[[], Any]:
    base = _shop()
    models = [spec.fit(base) for spec in (Popular(), Ease(regularization=10.0), ItemNeighbors(k=3))]
    rules = Rules(exclude_bought=days(30), deny=["a"])
    return lambda: (
        [one.recommend(customers=[1, 2, 3], k=3, rules=rules, as_of=AS_OF).to_dict() for one in models],
        [(other.item, other.score) for other in models[1].similar_items("b", 3)],
        also_bought(base, by="order", min_count=1).lift.tolist(),
    )


def _attribution() -> Callable[[], Any]:
    j = Journeys.from_events(
        _shop(), touch=event("visit"), conversion=event("purchase"), as_of=AS_OF, lookback=days(30)
    )
    model = Markov(order=1).fit(j)
    return lambda: (
        Markov(order=2).attribute(j).conversions.tolist(),
        Shapley().attribute(j).value.tolist(),
        model.removal_effects.tolist(),
        j.top_paths(5).to_dict(),
    )


def _experiment() -> Callable[[], Any]:
    base = _shop()
    test = Experiment("t", arms={"control": 0.5, "mail": 0.5}, salt="s")
    metrics = [Mean("spend", of=event("purchase").sum(), before=days(60))]
    return lambda: (
        test.assign(base.customer_id).code.tolist(),
        test.arm_of(7),
        test.read(base, start="2026-08-01", window=days(30), metrics=metrics).to_dict(),
    )


@pytest.mark.parametrize(
    "room",
    [_segment, _segments, _rfm, _purchases, _score, _ltv, _recommend, _attribution, _experiment],
    ids=lambda room: room.__name__.strip("_"),
)
def test_eight_threads_have_the_answers_of_one(room):
    alone = repr(room()())
    shared = room()  # fresh, so that the threads meet what is not computed yet
    ready = threading.Barrier(THREADS)

    def ask(_: int) -> str:
        ready.wait()
        return repr([shared() for _ in range(2)])

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask, range(THREADS)))
    assert answers == [f"[{alone}, {alone}]"] * THREADS
