from itertools import pairwise

import numpy as np
import pytest

from relmark.recommend._select import Cap, pick
from relmark.recommend._topk import block_rows, in_steps, top_k


def naive(scores, k):
    lists = []
    for row in scores:
        order = sorted((-float(s), j) for j, s in enumerate(row) if s != -np.inf)
        lists.append([j for _, j in order[:k]])
    return lists


def ragged(offsets, column):
    return [column[a:b].tolist() for a, b in pairwise(offsets)]


@pytest.mark.parametrize("m", [1, 3, 40, 200, 1000, 3333])
@pytest.mark.parametrize("k", [1, 5, 20])
@pytest.mark.parametrize("kind", ["normal", "ties", "constant", "few", "none"])
def test_the_best_k_agree_with_a_sort(m, k, kind):
    rng = np.random.default_rng(m * k)
    scores = rng.normal(size=(17, m)).astype(np.float32)
    if kind == "ties":
        scores = np.round(scores).astype(np.float32)
    if kind == "constant":
        scores[:] = 0.5
    if kind == "few":
        scores[rng.random(scores.shape) < 0.99] = -np.inf
    if kind == "none":
        scores[:] = -np.inf
    offsets, column, value = top_k(scores, k)
    assert ragged(offsets, column) == naive(scores, k)
    assert (value == scores[np.repeat(np.arange(17), np.diff(offsets)), column]).all()


def test_minus_zero_ties_with_zero():
    scores = np.array([[0.0, -0.0, 0.0]], dtype=np.float32)
    assert top_k(scores, 3)[1].tolist() == [0, 1, 2]


def test_extreme_scores_keep_their_order():
    scores = np.array([[-3e38, 3e38, -1e-40, 1e-40, 0.0, -1.0]], dtype=np.float32)
    _, column, value = top_k(scores, 6)
    assert column.tolist() == [1, 3, 4, 2, 5, 0]
    assert value.tolist() == scores[0][column].tolist()


def test_nothing_gives_nothing():
    offsets, column, score = top_k(np.zeros((0, 5), dtype=np.float32), 3)
    assert (offsets.tolist(), column.tolist(), score.tolist()) == ([0], [], [])
    assert top_k(np.zeros((2, 0), dtype=np.float32), 3)[0].tolist() == [0, 0, 0]
    assert pick(np.zeros((1, 3), dtype=np.float32), np.array([0]), [], []).row.tolist() == []


def test_a_block_fits_the_cache_and_has_at_least_some_rows():
    assert block_rows(1000) * 1000 * 4 <= 4 << 20
    assert block_rows(10**9) == 16


def greedy(row, need, caps):
    """Take the best one after the other where every cap allows it."""
    counts = [{} for _ in caps]
    chosen = []
    for j in naive([row], len(row))[0]:
        groups = [cap.group[j] for cap in caps]
        if len(chosen) == need:
            break
        if any(g >= 0 and c.get(g, 0) >= cap.most for g, c, cap in zip(groups, counts, caps, strict=True)):
            continue
        chosen.append(j)
        for g, c in zip(groups, counts, strict=True):
            c[g] = c.get(g, 0) + 1
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_caps_agree_with_a_greedy_walk(seed):
    rng = np.random.default_rng(seed)
    n, m = 8, 150
    scores = np.round(rng.normal(size=(n, m)), 1).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    caps = [
        Cap(np.where(rng.random(m) < 0.1, -1, rng.integers(0, 3, m)), 3, 2),
        Cap(rng.integers(0, 40, m), 40, 1),
    ][: 1 + seed % 2]
    need = rng.integers(0, 12, n)
    picks = pick(scores, need, caps, [np.zeros((n, cap.n_groups), dtype=np.int64) for cap in caps])
    for row in range(n):
        assert picks.column[picks.row == row].tolist() == greedy(scores[row], need[row], caps)


def test_what_a_row_holds_already_counts_under_the_cap():
    scores = np.array([[3.0, 2.0, 1.0]], dtype=np.float32)
    used = [np.array([[1, 0]])]
    picks = pick(scores, np.array([2]), [Cap(np.array([0, 0, 1]), 2, 1)], used)
    assert picks.column.tolist() == [2]
    assert picks.held_back == 2
    assert used[0].tolist() == [[1, 1]]


def test_scores_that_differ_in_their_last_bits_alone_tie():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(40, 500)).astype(np.float32)
    stepped = in_steps(plain.copy())
    assert np.abs(stepped / plain - 1).max() <= 2.0**-18 * (1 + 1e-3)
    assert (in_steps(stepped.copy()) == stepped).all()
    assert (in_steps(-plain) == -stepped).all()
    assert in_steps(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0.0, 0.0, 0.0]]
    noisy = in_steps(plain * (1 + rng.integers(-2, 3, plain.shape) * 6e-8).astype(np.float32))
    assert (noisy == stepped).mean() > 0.95
