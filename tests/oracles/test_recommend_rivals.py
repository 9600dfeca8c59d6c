"""implicit and mlxtend as oracles: the same factors, similarities and pairs."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from relmark.recommend import Als, Bpr, Interactions, ItemNeighbors, Rules, also_bought

world = runpy.run_path(str(Path(__file__).parents[1] / "recommend" / "recommend_data.py"))
shop = world["shop"]


def csr(x, *args):
    from scipy.sparse import csr_matrix

    return csr_matrix(x.matrix(*args))


def test_als_has_the_factors_of_implicit():
    from implicit.cpu.als import AlternatingLeastSquares

    x = shop()
    with threadpool_limits(1, "blas"):
        rival = AlternatingLeastSquares(factors=6, regularization=0.05, alpha=3.0, iterations=8, random_state=4)
        rival.fit(csr(x, "log"), show_progress=False)
        exact = rival.recalculate_user(np.arange(x.n_customers), csr(x, "log"))
    ours = Als(factors=6, regularization=0.05, alpha=3.0, iterations=8, seed=4, weight="log").fit(x)
    assert (ours.item_factors == rival.item_factors).all()
    assert ours.customer_factors == pytest.approx(exact, abs=1e-4)


def test_als_ranks_as_implicit_does_from_the_same_vectors():
    from implicit.cpu.als import AlternatingLeastSquares

    x = shop(lines=500)
    ours = Als(factors=5, iterations=5).fit(x)
    with threadpool_limits(1, "blas"):
        rival = AlternatingLeastSquares(factors=5)
        rival.item_factors, rival.user_factors = np.array(ours.item_factors), np.array(ours.customer_factors)
        ids, scores = rival.recommend(np.arange(x.n_customers), csr(x), N=5)
    recs = ours.recommend(k=5, rules=Rules(exclude_bought="always"))
    for i in range(x.n_customers):
        mine = recs.item[recs.offsets[i] : recs.offsets[i + 1]]
        assert recs.score[recs.offsets[i] : recs.offsets[i + 1]] == pytest.approx(scores[i][: len(mine)], abs=1e-5)
        assert set(mine.tolist()) <= set(ids[i].tolist()) | set(range(25, 30)) or len(mine) == 5


def test_bpr_has_the_factors_of_implicit():
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    x = shop()
    with threadpool_limits(1, "blas"):
        rival = BayesianPersonalizedRanking(factors=5, iterations=10, random_state=2, num_threads=1)
        rival.fit(csr(x), show_progress=False)
    ours = Bpr(factors=5, iterations=10, seed=2).fit(x)
    sold = np.asarray(x.matrix().sum(axis=0)).ravel() > 0
    assert (ours.item_factors[sold] == rival.item_factors[sold]).all()
    assert (ours.customer_factors == rival.user_factors).all()


@pytest.mark.parametrize("measure", ["cosine", "tfidf", "bm25"])
@pytest.mark.parametrize("weight", ["binary", "log"])
def test_neighbors_have_the_similarities_of_implicit(measure, weight):
    from implicit import nearest_neighbours as rivals

    x = shop(lines=400)
    x = Interactions.from_columns(  # without the items that nobody bought: implicit divides by their zero norm
        customer_id=x.customer_code, item=x.item_code, quantity=x.quantity
    )
    rival = {
        "cosine": rivals.CosineRecommender,
        "tfidf": rivals.TFIDFRecommender,
        "bm25": rivals.BM25Recommender,
    }[measure](K=x.n_items, num_threads=1)
    with pytest.warns(Warning, match="CSR"):
        rival.fit(csr(x, weight), show_progress=False)
    theirs = rival.similarity.toarray()
    np.fill_diagonal(theirs, 0.0)
    ours = ItemNeighbors(k=x.n_items, measure=measure, weight=weight).fit(x)
    assert ours.neighbors.matrix(x.n_items).toarray() == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def mlxtend_pairs(x, least):
    """Count the pairs with mlxtend: all rules with one item on each side."""
    import pandas as pd

    patterns = pytest.importorskip("mlxtend.frequent_patterns")
    baskets = x.by_order()
    frame = pd.DataFrame(baskets.matrix().toarray().astype(bool), columns=x.item)
    sets = patterns.fpgrowth(frame, min_support=(least - 0.5) / len(frame), max_len=2, use_colnames=True)
    rules = patterns.association_rules(sets, metric="support", min_threshold=0)
    keys = [(next(iter(a)), next(iter(b))) for a, b in zip(rules["antecedents"], rules["consequents"], strict=True)]
    return {key: rules.iloc[row] for row, key in enumerate(keys)}


def check_against_mlxtend(x, least):
    pairs = also_bought(x, min_count=least)
    theirs = mlxtend_pairs(x, least)
    keys = list(zip(pairs.item.tolist(), pairs.other.tolist(), strict=True))
    assert len(keys) == len(theirs)
    for measure in ("support", "confidence", "lift", "leverage", "conviction", "jaccard"):
        expected = np.array([theirs[key][measure] for key in keys])
        assert np.allclose(getattr(pairs, measure), expected, rtol=1e-12, atol=1e-12), measure
    return len(keys)


def test_pairs_have_the_figures_of_mlxtend():
    x = shop()
    columns = x.to_columns() | {"customer_id": x.to_columns()["order"] % 40}  # an order belongs to one customer
    baskets = Interactions.from_columns(**{name: columns[name] for name in ("customer_id", "item", "order")})
    assert check_against_mlxtend(baskets, 3) > 100


@pytest.mark.slow
def test_pairs_of_real_invoices_have_the_figures_of_mlxtend(data):
    pl = pytest.importorskip("polars")
    lines = pl.read_parquet(data("online_retail.parquet")).filter((pl.col("Quantity") > 0) & (pl.col("UnitPrice") > 0))
    x = Interactions.from_columns(
        customer_id=np.zeros(len(lines), dtype=int),
        item=lines["StockCode"].to_numpy().astype(str),
        order=lines["InvoiceNo"].to_numpy().astype(str),
    )
    assert check_against_mlxtend(x, 150) > 1000
