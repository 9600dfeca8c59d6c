"""Items that a customer buys repeatedly: in shops for everyday goods, most of next month's purchases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOfGiven
from relmark.core.errors import InputError
from relmark.core.time import DAY, days
from relmark.recommend._history import history_of
from relmark.recommend._lines import Lines
from relmark.recommend._masks import NO, Block
from relmark.recommend.fitted import Contributions, Fitted
from relmark.recommend.interactions import PurchaseSource
from relmark.recommend.spec import Spec, check_half_life, seen_until, shared_fields

__all__ = ["BuyAgain", "FittedBuyAgain"]

FloatArray = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True)
class BuyAgain(Spec):
    """A customer's own items, ranked by how often and how recently they were bought: the second baseline.

    Parameters
    ----------
    half_life : timedelta or None
        The age at which a purchase counts one half; None counts all purchases fully.
    min_gap : timedelta, optional
        An item bought less than this time ago is not due yet and is not recommended.

    Notes
    -----
    The score of an item is the sum over its purchases of ``2 ** (-age / half_life)``. Several lines of one order are
    one purchase, and views do not count. A customer who has bought nothing gets an empty list: use a `Fallback` or a
    `Blend` to fill it.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=["a", "a", "a"], item=["tea", "tea", "cup"], order=[1, 2, 2])
    >>> BuyAgain(half_life=None).fit(x).recommend(["a"]).for_customer("a")[0]
    Recommendation(item='tea', score=2, rank=1, reason='bought 2 times')
    """

    kind: ClassVar[str] = "buy_again"

    half_life: timedelta | None = attrs.field(default=days(90), validator=check_half_life)
    min_gap: timedelta | None = attrs.field(default=None, validator=check_half_life)

    def fit(self, interactions: PurchaseSource, *, as_of: AsOfGiven | None = None) -> FittedBuyAgain:
        """Score each customer's items; see `Spec.fit`. Without times every purchase counts 1."""
        seen, now = seen_until(interactions, as_of)
        lines = seen.lines.purchased()
        if self.min_gap is not None and lines.time is None:
            raise InputError(
                "min_gap needs times: give Interactions.from_columns a time column, or leave min_gap out.",
                argument="min_gap",
                code="missing_argument",
            )
        half_life = None if lines.time is None else self.half_life
        past = history_of(lines, weight="purchases", half_life=half_life, now=seen.clock)
        return FittedBuyAgain(**shared_fields(self, seen, past, now))


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FittedBuyAgain(Fitted):
    """Each customer's own items with their scores."""

    source: ClassVar[str] = "buy again"
    kinds: ClassVar[tuple[str, ...]] = ("buy_again",)

    @property
    def sources(self) -> tuple[str, ...]:
        """The only source: the customer's own items."""
        return (self.source,)

    def _own_lines(self, x: Lines) -> Lines:
        return x.purchased()

    @property
    def _weighting(self) -> dict[str, Any]:
        return {"weight": "purchases", "half_life": None if self.now is None else self.spec.half_life}

    def _own(self, block: Block) -> FloatArray:
        scores = np.full((len(block), len(self.item)), NO, dtype=np.float32)
        past = block.past.of_bought  # items that are only in the basket were never bought
        row, score = past.row, past.weight
        if self.spec.min_gap is not None and past.last is not None and block.now is not None:
            due = past.last <= block.now.before(self.spec.min_gap)[row]
            score = np.where(due, score, NO)
        scores[row, past.item] = score
        return scores

    def _contributions(self, block: Block, item: int) -> Contributions:
        return [self._times(block, item)], np.array([float(self._own(block)[0, item])])

    def _times(self, block: Block, item: int) -> str:
        place = int(np.flatnonzero(block.past.item == item)[0])
        count = 1 if block.past.count is None else int(block.past.count[place])
        text = f"bought {count} time{'s' if count > 1 else ''}"
        if block.past.last is None or block.now is None:
            return text
        ago = int(block.now.ages(block.past.last[place : place + 1], inclusive=True)[0]) // DAY
        return f"{text}, last {ago} day{'' if ago == 1 else 's'} ago"

    def _reason(self, tier: int, block: Block, item: int) -> str:  # noqa: ARG002
        return self._times(block, item)
