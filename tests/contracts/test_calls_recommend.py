"""The calls of recommendations on which users rely."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from relmark import CustomerBase, EventLog, days
from relmark.recommend import (
    AfterPurchase,
    Als,
    Blend,
    Bpr,
    BuyAgain,
    Category,
    Ease,
    Fallback,
    Interactions,
    ItemNeighbors,
    NewArrivals,
    Popular,
    Rules,
    also_bought,
    auto,
    compare,
    look_alike,
    split_by_time,
)

AS_OF = "2026-11-01"


@pytest.fixture(scope="module")
def many():
    """Eighty customers of two tastes: evens buy a to d, odds e to h."""
    rng = np.random.default_rng(1)
    n = 1_200
    who = rng.integers(0, 80, n)
    sku = np.array(list("abcdefgh"))[rng.integers(0, 4, n) + 4 * (who % 2)]
    log = EventLog.from_columns(
        customer_id=who, type="purchase", value=np.ones(n), properties={"item": sku, "order": np.arange(n)},
        time=np.datetime64("2026-01-01", "us") + rng.integers(0, 300 * 86_400, n) * np.timedelta64(1, "s"),
    )  # fmt: skip
    return CustomerBase(events=log)


def test_interactions_of_a_base_and_of_columns(base):
    x = Interactions.of(base)
    assert x.customer_id.tolist() == ["c1", "c2", "c3", "c4"]
    assert x.to_columns()["customer_id"].tolist() == ["c1"] * 4 + ["c2"] * 3 + ["c3", "c4"]
    assert x.to_columns()["item"].tolist() == ["tea", "cup", "tea", "tea", "cup", "tea", "pot", "pot", "tea"]
    assert x.quantity.tolist()[-1] == 2.0  # three packets of tea, of which one came back
    assert (x.n_customers, x.n_items) == (4, 3)
    weighted = Interactions.of(base, weights={"purchase": 1.0})
    assert weighted.to_columns()["item"].tolist() == x.to_columns()["item"].tolist()
    own = Interactions.from_columns(customer_id=["u", "v"], item=["a", "b"], time=np.array(["2026-01-01"] * 2, "M8[D]"))
    assert own.to_columns()["item"].tolist() == ["a", "b"]


def test_the_best_first_and_never_what_is_denied(many):
    m = Ease(regularization=20.0).fit(Interactions.of(many))
    recs = m.recommend(customers=[0, 1], k=3, rules=Rules(exclude_bought="never", deny=["a"]), as_of=AS_OF)
    assert recs.customer_id.tolist() == [0, 1]
    assert recs.offsets.tolist() == [0, 3, 6]
    assert set(recs.item[:3].tolist()) == {"b", "c", "d"}
    assert set(recs.item[3:].tolist()) < {"e", "f", "g", "h"}
    assert np.all(np.diff(recs.score[:3]) <= 0)
    first = recs.for_customer(0)[0]
    assert (first.rank, first.item, first.score) == (1, recs.item[0], recs.score[0])
    assert first.reason
    assert recs.dropped["deny"] == 2
    direct = Ease(regularization=20.0).fit(many)
    assert (
        direct.recommend(customers=[0], k=1, as_of=AS_OF).item.tolist()
        == m.recommend(customers=[0], k=1, as_of=AS_OF).item.tolist()
    )


def test_neighbors_of_items_and_baskets_and_why(many):
    m = Ease(regularization=20.0).fit(many)
    assert {other.item for other in m.similar_items("a", 3)} == {"b", "c", "d"}
    assert {other.item for other in m.for_basket(["e", "f"], 2, customer=None, rules=None)} == {"g", "h"}
    told = m.explain(0, "b")
    assert told.contributions.sum() == pytest.approx(told.score)


def test_pairs_of_one_order(base):
    """Order A1 has tea and cup, B2 has tea and pot; of five orders with tea (A1, A2, A3, B2, D1) one has a cup."""
    pairs = also_bought(base, by="order", min_count=1)
    row = np.flatnonzero((pairs.item == "tea") & (pairs.other == "cup"))[0]
    assert pairs.count[row] == 1
    assert pairs.support[row] == pytest.approx(1 / 7)
    assert pairs.confidence[row] == pytest.approx(1 / 5)
    assert pairs.lift[row] == pytest.approx((1 / 5) / (2 / 7))
    assert pairs.leverage[row] == pytest.approx(1 / 7 - 5 / 7 * 2 / 7)
    assert np.isfinite(pairs.llr[row])
    assert pairs.top("cup", 2) == ()  # tea is in fewer orders with a cup than in others


def test_pairs_of_one_customer(many):
    pairs = also_bought(many, by="customer", min_count=3)
    assert {other.item for other in pairs.top("a", 2)} < {"b", "c", "d"}


def test_recommenders_are_compared_and_audiences_found(many):
    x = Interactions.of(many)
    table = compare({"ease": Ease(), "popular": Popular()}, x, k=3, test=timedelta(days=30))
    columns = table.to_columns()
    assert sorted(columns["name"].tolist()) == ["buy again", "ease", "popular"]  # the honest baseline comes along
    ndcg = dict(zip(columns["name"].tolist(), columns["ndcg"].tolist(), strict=True))
    assert ndcg["ease"] > ndcg["popular"]
    split = split_by_time(x, test=timedelta(days=30))
    before, after = split.train, split.test
    assert before.last_time < after.time.min()
    assert len(before.time) + len(after.time) == 1_200
    alike = look_alike(many, seed=[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22], size=20)
    assert len(alike.customer_id) == len(alike.score) == 20
    assert np.all(alike.customer_id % 2 == 0)
    assert alike.auc > 0.65  # the seed is 12 of 40 who are alike
    assert alike.lift > 1
    assert np.isfinite(alike.baseline_auc)


@pytest.mark.parametrize(
    "spec",
    [
        Popular(), NewArrivals(), BuyAgain(), ItemNeighbors(k=3), Ease(), Als(factors=4, iterations=2),
        Bpr(factors=4, iterations=2), Blend({Popular(): 1.0}), Fallback([BuyAgain(), Popular()]),
    ],
    ids=lambda spec: type(spec).__name__,
)  # fmt: skip
def test_every_recommender_keeps_the_rules(base, spec):
    rules = Rules(
        exclude_bought="never",
        after_purchase=[AfterPurchase(of=Category("dishes"), within=days(10), block=Category("dishes"))],
    )
    recs = spec.fit(base).recommend(customers=["c2"], k=3, rules=rules, as_of=AS_OF)
    assert set(recs.item.tolist()) <= {"tea"}  # c2 bought a pot the day before


def test_auto_chooses_by_a_backtest(many):
    found = auto(many)
    assert found.name in {"ease", "neighbors"}
    assert found.why
    assert found.spec.fit(many).recommend(customers=[0], k=2, as_of=AS_OF).offsets.tolist() == [0, 2]
