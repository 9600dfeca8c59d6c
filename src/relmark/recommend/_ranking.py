"""Turn scores into lists, block by block and source by source: apply the rules, then take the best k."""

# ruff: noqa: SLF001  (the ranking belongs to Fitted)

from __future__ import annotations

from typing import Any, Protocol

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import IntArray
from relmark.recommend._blas import one_blas_thread
from relmark.recommend._masks import NO, Block, Masks
from relmark.recommend._select import pick
from relmark.recommend._topk import block_rows
from relmark.recommend.recommendations import Recommendations

FloatArray = npt.NDArray[np.float32]


class Scorer(Protocol):
    """The part of a fitted model that ranking uses."""

    @property
    def item(self) -> npt.NDArray[Any]:
        """The items, in the order of the scores."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of recommendations, in the order in which they are used."""

    def _scores(self, tier: int, block: Block) -> FloatArray:
        """Return the scores of one source, -inf for items that it cannot score."""

    def _is_fill(self, tier: int, score: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which scores only fill up the list by popularity."""

    def _reason(self, tier: int, block: Block, item: int) -> str:
        """Return why an item is recommended."""


@one_blas_thread()
def ranked(model: Scorer, ids: npt.NDArray[Any], block: Block, k: int, masks: Masks) -> Recommendations:
    """Return the best k items for each customer of a block among those that the rules allow."""
    n, m = len(block), len(model.item)
    dropped = dict.fromkeys(masks.names, 0)
    rows, columns, scores, tiers = [], [], [], []
    step = block_rows(m)
    for low in range(0, n, step):
        high = min(low + step, n)
        part = block.slice(low, high)
        row, column, score, tier = _ranked_part(model, part, k, masks, dropped, ids[low:high])
        rows.append(row + low)
        columns.append(column)
        scores.append(score)
        tiers.append(tier)
    row, column, tier = (_joined(parts, np.int64) for parts in (rows, columns, tiers))
    names = np.array(model.sources, dtype=np.str_)
    return Recommendations(
        customer_id=ids,
        offsets=np.concatenate(([0], np.cumsum(np.bincount(row, minlength=n)))),
        item=model.item[column],
        score=_joined(scores, np.float32).astype(np.float64),
        source=names[tier],
        dropped=dropped,
        k=k,
        reasons=_Reasons(model, block, row, column, tier),
    )


def _ranked_part(
    model: Scorer, block: Block, k: int, masks: Masks, dropped: dict[str, int], ids: npt.NDArray[Any]
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    n = len(block)
    need = np.full(n, k)
    used = [np.zeros((n, cap.n_groups), dtype=np.int64) for cap in masks.caps]
    found: list[tuple[IntArray, IntArray, FloatArray, IntArray]] = []
    alive = np.arange(n)
    for tier in range(len(model.sources)):
        if tier:
            alive = np.flatnonzero(need > 0)
            if len(alive) == 0:
                break
        part = block if len(alive) == n else block.take(alive)
        scores = model._scores(tier, part)
        for earlier in range(tier):  # items that an earlier source scored were picked or dropped there
            scores[model._scores(earlier, part) != NO] = NO
        masks.apply(scores, part, dropped, ids[alive])
        held = [counts[alive] for counts in used]
        picks = pick(scores, need[alive], masks.caps, held)
        if masks.caps:
            dropped["max_per"] += picks.held_back
            for counts, now in zip(used, held, strict=True):
                counts[alive] = now
        score = picks.score
        fill = model._is_fill(tier, score) & (part.past.lengths[picks.row] > 0)
        score = np.where(fill, np.float32(0.0), score)
        row = alive[picks.row]
        need = need - np.bincount(row, minlength=n)
        named = model.sources.index("popular") if "popular" in model.sources else tier
        found.append((row, picks.column, score, np.where(fill, named, tier)))
    if len(found) == 1:
        return found[0]
    row, column, tier_of = (np.concatenate([part[j] for part in found]) for j in (0, 1, 3))
    score = np.concatenate([part[2] for part in found])
    order = np.argsort(row, kind="stable")
    return row[order], column[order], score[order], tier_of[order]


@attrs.frozen(eq=False)
class _Reasons:
    """Computes the reasons of recommended rows on demand."""

    model: Scorer
    block: Block
    row: IntArray
    column: IntArray
    tier: IntArray

    def __call__(self, rows: IntArray) -> list[str]:
        texts = []
        for row, column, tier in zip(
            self.row[rows].tolist(), self.column[rows].tolist(), self.tier[rows].tolist(), strict=True
        ):
            one = self.block.take(np.array([row]))
            texts.append(self.model._reason(tier, one, column))
        return texts


def _joined(parts: list[npt.NDArray[Any]], kind: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=kind)
