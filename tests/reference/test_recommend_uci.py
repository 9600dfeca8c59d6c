"""The figures on UCI Online Retail that the guide states (benchmarks/recommend_quality.py prints them all)."""

from __future__ import annotations

import numpy as np
import pytest

from relmark import days
from relmark.recommend import BuyAgain, Ease, Interactions, ItemNeighbors, Popular, Rules, quality, split_by_time

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def split(data):
    pl = pytest.importorskip("polars")
    lines = pl.read_parquet(data("online_retail.parquet")).filter(
        (pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0) & pl.col("CustomerID").is_not_null()
    )
    x = Interactions.from_columns(
        customer_id=lines["CustomerID"].to_numpy(),
        item=lines["StockCode"].to_numpy().astype(str),
        time=lines["InvoiceDate"].to_numpy(),
        order=lines["InvoiceNo"].to_numpy().astype(str),
    )
    return split_by_time(x, days(30))


def ndcg(split, spec, items="new"):
    model = spec.fit(split.train, as_of=split.as_of)
    result = quality(model, split.test, items=items)
    return result.ndcg.mean(), len(result)


def test_the_protocol_has_as_many_customers_as_counted_apart(split):
    assert ndcg(split, Popular())[1] == 1271
    assert ndcg(split, Popular(), "all")[1] == 1379


@pytest.mark.parametrize(
    ("spec", "figure"),
    [
        (Popular(), 0.0337),
        (Popular(half_life=days(7)), 0.0959),
        (Ease(regularization=200.0), 0.1011),
        (ItemNeighbors(measure="bm25"), 0.0806),
    ],
    ids=["popular", "popular, 7 days", "ease", "bm25"],
)
def test_new_items_are_ranked_as_well_as_stated(split, spec, figure):
    assert ndcg(split, spec)[0] == pytest.approx(figure, abs=0.0008)


def test_buy_again_is_a_hard_baseline_where_repeats_count(split):
    again, popular = ndcg(split, BuyAgain(), "all")[0], ndcg(split, Popular(), "all")[0]
    assert again > 3 * popular


def test_forty_three_percent_of_the_pairs_of_next_month_are_repeats(split):
    past, after = split.train.matrix(), split.test.matrix()
    known = np.asarray(past.sum(axis=1)).ravel() > 0
    sold = np.asarray(past.sum(axis=0)).ravel() > 0
    after = after[known][:, sold]
    repeats = after.multiply(past[known][:, sold]).nnz
    assert repeats / after.nnz == pytest.approx(0.4308, abs=0.0002)


def test_ease_never_recommends_what_was_bought_where_asked(split):
    model = Ease().fit(split.train, as_of=split.as_of)
    recs = model.recommend(k=10, rules=Rules(exclude_bought="always"))
    history = model.history
    own = set(zip(history.row.tolist(), history.item.tolist(), strict=True))
    code = np.searchsorted(model.item, recs.item)
    given = zip(np.repeat(np.arange(len(recs.customer_id)), recs.counts).tolist(), code.tolist(), strict=True)
    assert not own & set(given)
    assert (recs.counts == 10).all()
