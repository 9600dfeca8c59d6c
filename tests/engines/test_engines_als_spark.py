"""Factors that Spark MLlib fits on a cluster, ranked and ruled by relmark; needs Java."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

from relmark import CustomerBase, EventLog
from relmark.recommend import FactorModel, Interactions, Rules

pytest.importorskip("polars")
SPARK = runpy.run_path(str(Path(__file__).parent / "test_engines_spark.py"))
spark = SPARK["spark"]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ml = pytest.importorskip("pyspark.ml.recommendation")
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]
K = 5


def shop():
    """Return the purchases of two kinds of people, who like the even and the odd half of the items."""
    rng = np.random.default_rng(4)
    n = 1_200
    who = rng.integers(0, 60, n)
    item = 2 * rng.integers(0, 15, n) + (who + (rng.random(n) < 0.1)) % 2
    log = EventLog.from_columns(
        customer_id=who, type="purchase", time=np.datetime64("2026-01-01", "s") + np.arange(n) * 3_600,
        properties={"item": np.char.add("sku ", item.astype(str))},
    )  # fmt: skip
    return Interactions.of(CustomerBase(events=log), as_of="2026-10-01")


def vectors(frame):
    """Return the ids and the vectors of one of MLlib's frames."""
    rows = frame.orderBy("id").collect()
    return np.array([row["id"] for row in rows]), np.array([row["features"] for row in rows])


def test_factors_of_a_cluster_give_its_ranking_and_our_rules(spark):
    x = shop()
    pairs = x.matrix().tocoo()
    rows = list(zip(pairs.row.tolist(), pairs.col.tolist(), pairs.data.tolist(), strict=True))
    ratings = spark.createDataFrame(rows, "customer int, item int, rating float")
    als = ml.ALS(userCol="customer", itemCol="item", ratingCol="rating", rank=6, maxIter=5, regParam=0.05, alpha=10.0,
                 implicitPrefs=True, seed=1, numUserBlocks=1, numItemBlocks=1)  # fmt: skip
    fitted = als.fit(ratings)
    item, item_factors = vectors(fitted.itemFactors)
    customer, customer_factors = vectors(fitted.userFactors)
    model = FactorModel.from_factors(
        item=x.item[item], item_factors=item_factors, customer_id=x.customer_id[customer],
        customer_factors=customer_factors, interactions=x,
    )  # fmt: skip
    theirs = {
        int(row["customer"]): [(str(x.item[one["item"]]), one["rating"]) for one in row["recommendations"]]
        for row in fitted.recommendForAllUsers(K).collect()
    }
    ids = x.customer_id
    ours = model.recommend(ids, K, rules=Rules(exclude_bought="never"))
    for row, who in enumerate(ids.tolist()):
        mine = ours.for_customer(who)
        assert [one.item for one in mine] == [name for name, _ in theirs[row]]
        assert [one.score for one in mine] == pytest.approx([score for _, score in theirs[row]], abs=1e-5)
    ruled = model.recommend(ids, K, rules=Rules(exclude_bought="always"))
    bought = {who: set(x.item[pairs.col[pairs.row == row]].tolist()) for row, who in enumerate(ids.tolist())}
    for who in ids.tolist():
        named = [one.item for one in ruled.for_customer(who)]
        assert named
        assert not bought[who] & set(named)
    own_half = [int(one.item.split()[1]) % 2 == who % 2 for who in ids.tolist() for one in ruled.for_customer(who)[:2]]
    assert np.mean(own_half) > 0.8  # the taste that was put in
    assert model.similar_items("sku 4", 1)[0].item != "sku 4"
