"""Neighbors are fitted from sparse blocks, and are those of the dense table, to the bit."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from relmark.recommend import ItemNeighbors, neighbors
from relmark.recommend._history import history_of
from relmark.recommend._topk import top_k, top_k_entries

shop = runpy.run_path(str(Path(__file__).parent / "recommend_data.py"))["shop"]


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "llr", "tfidf", "bm25"])
@pytest.mark.parametrize("shrink", [0.0, 5.0])
@pytest.mark.parametrize("by", ["customer", "order"])
def test_neighbors_fitted_in_blocks_are_those_of_the_whole_table(measure, shrink, by, monkeypatch):
    monkeypatch.setattr(neighbors, "_PAIRS", 70)
    x = shop(lines=300)
    spec = ItemNeighbors(k=4, measure=measure, shrink=shrink, by=by, weight="quantity")
    past = history_of(x.lines.by_order() if by == "order" else x.lines, weight="quantity")
    m = x.n_items
    ones = past.matrix(m).astype(np.float64)
    ones.data[:] = 1.0
    X = ones if measure in {"jaccard", "llr"} else spec._weighted(past, m)
    dot, both = (X.T.tocsr() @ X).toarray(), (ones.T.tocsr() @ ones).toarray()
    held = np.bincount(past.item, minlength=m).astype(np.float64)
    near = spec._near(dot, both, held[:, None], held[None, :], len(past))
    scores = np.where(near > 0, near, -np.inf).astype(np.float32)
    np.fill_diagonal(scores, -np.inf)
    offsets, column, value = top_k(scores, 4)
    fitted = spec.fit(x).neighbors
    assert fitted.indptr.tolist() == offsets.tolist()
    for row in range(m):
        order = np.argsort(column[offsets[row] : offsets[row + 1]]) + offsets[row]
        entries = slice(fitted.indptr[row], fitted.indptr[row + 1])
        assert fitted.item[entries].tolist() == column[order].tolist()
        assert fitted.weight[entries].tolist() == value[order].tolist()


def test_counts_are_found_where_a_product_lacks_some_pairs():
    from scipy.sparse import csr_matrix

    dot, both = csr_matrix([[0.0, 2.0, 3.0], [1.0, 0.0, 0.0]]), csr_matrix([[5.0, 6.0, 0.0], [8.0, 9.0, 7.0]])
    assert neighbors._at(dot, both).tolist() == [6.0, 0.0, 8.0]


@pytest.mark.parametrize("k", [1, 5, 300])
@pytest.mark.parametrize("widest", [0, 30, 9000])
def test_the_best_of_sparse_rows_are_those_of_the_dense_table(k, widest):
    rng = np.random.default_rng(k + widest)
    lengths = np.minimum(rng.integers(0, 20, 40), widest)
    lengths[7] = widest
    columns = [rng.permutation(9000)[:length] for length in lengths]
    value = np.round(rng.normal(size=lengths.sum()), 1).astype(np.float32)
    value[rng.random(len(value)) < 0.2] = -np.inf
    column, indptr = np.concatenate(columns).astype(np.int32), np.concatenate(([0], np.cumsum(lengths)))
    dense = np.full((40, 9000), -np.inf, dtype=np.float32)
    dense[np.repeat(np.arange(40), lengths), column] = value
    for ours, theirs in zip(top_k_entries(value, column, indptr, k), top_k(dense, k), strict=True):
        assert ours.tolist() == theirs.tolist()
