"""Rules compiled for one model and applied to blocks of scores: removed items get the score -inf and are counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.checks import BoolArray, IntArray
from relmark.core.errors import InputError
from relmark.core.ids import find_ids
from relmark.core.time import duration
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import History
from relmark.recommend._select import Cap
from relmark.recommend.rules import Category, Rules, as_items

FloatArray = npt.NDArray[np.float32]

NO = np.float32(-np.inf)


@attrs.frozen(eq=False)
class Block:
    """Some customers who are scored together.

    Parameters
    ----------
    past : History
        What they bought, one row per customer.
    position : ndarray of int64, shape (n,)
        Their positions among the model's customers; -1 for new customers.
    now : AsOf, one per customer, or None
        The instant of serving for each customer; None without times.
    basket : ndarray of int64 or None
        The items in the basket that all of them share; never recommended.
    parts : tuple of Block
        The same customers for each model of a blend or a fallback, with the weights of that model.
    fresh : bool
        Whether the past differs from the one on which the model was fitted.
    """

    past: History
    position: IntArray
    now: AsOf | None
    basket: IntArray | None = None
    parts: tuple[Block, ...] = ()
    fresh: bool = False

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.position)

    def take(self, rows: IntArray) -> Block:
        """Return some of the customers."""
        return Block(
            self.past.take(rows),
            self.position[rows],
            None if self.now is None else self.now.take(rows),
            self.basket,
            tuple(part.take(rows) for part in self.parts),
            self.fresh,
        )

    def slice(self, low: int, high: int) -> Block:
        """Return consecutive customers without copying their past."""
        return Block(
            self.past.slice(low, high),
            self.position[low:high],
            None if self.now is None else self.now.take(np.arange(low, high)),
            self.basket,
            tuple(part.slice(low, high) for part in self.parts),
            self.fresh,
        )


@attrs.frozen(eq=False)
class _After:
    of: BoolArray
    within: int
    block: IntArray
    boost: tuple[tuple[IntArray, float], ...]


@attrs.frozen(eq=False)
class Masks:
    """A set of rules whose items, categories and customers have been looked up."""

    item_steps: tuple[tuple[str, IntArray], ...]
    deny_for: dict[int, IntArray]
    deny_for_strangers: dict[Any, IntArray]
    bought: str | int
    gaps: IntArray
    min_price_ratio: float | None
    price: npt.NDArray[np.float64] | None
    after: tuple[_After, ...]
    caps: list[Cap]
    names: tuple[str, ...]

    def apply(self, scores: FloatArray, block: Block, dropped: dict[str, int], ids: npt.NDArray[Any] | None) -> None:
        """Set the scores of removed items to -inf in place, count them by rule, and boost items after a purchase."""
        if block.basket is not None and len(block.basket):
            scores[:, block.basket] = NO  # items in the basket are not candidates: no rule dropped them
        for name, columns in self.item_steps:
            dropped[name] += int(np.count_nonzero(scores[:, columns] != NO))
            scores[:, columns] = NO
        if self.deny_for or self.deny_for_strangers:
            self._deny_for(scores, block, dropped, ids)
        past = block.past.of_bought
        row = past.row
        if self.bought != "never":
            plain = self.gaps[past.item] < 0
            if isinstance(self.bought, int):
                plain &= _within(past, row, block, self.bought, "exclude_bought")
            self._drop(scores, row[plain], past.item[plain], "exclude_bought", dropped)
        if (self.gaps > 0).any():
            gap = self.gaps[past.item]
            timed = np.zeros(len(gap), dtype=np.bool_)
            for span in np.unique(gap[gap > 0]).tolist():
                timed |= (gap == span) & _within(past, row, block, span, "repeat_after")
            self._drop(scores, row[timed], past.item[timed], "repeat_after", dropped)
        if self.min_price_ratio is not None:
            self._upsell(scores, block, dropped)
        for rule in self.after:
            self._after(scores, block, rule, dropped)

    def only(self, name: str) -> Masks:
        """Return only one of these rules, to see what it does alone."""
        return attrs.evolve(
            self,
            item_steps=tuple(step for step in self.item_steps if step[0] == name),
            deny_for=self.deny_for if name == "deny_for" else {},
            deny_for_strangers=self.deny_for_strangers if name == "deny_for" else {},
            bought=self.bought if name == "exclude_bought" else "never",
            # exclude_bought skips items with their own gap, which is kept here as a gap of 0
            gaps=self.gaps
            if name == "repeat_after"
            else np.minimum(self.gaps, 0)
            if name == "exclude_bought"
            else self.gaps * 0 - 1,
            min_price_ratio=self.min_price_ratio if name == "min_price_ratio" else None,
            after=self.after if name == "after_purchase" else (),
            caps=[],
        )

    @staticmethod
    def _drop(scores: FloatArray, row: IntArray, column: npt.NDArray[Any], name: str, dropped: dict[str, int]) -> None:
        dropped[name] += int(np.count_nonzero(scores[row, column] != NO))
        scores[row, column] = NO

    def _deny_for(
        self, scores: FloatArray, block: Block, dropped: dict[str, int], ids: npt.NDArray[Any] | None
    ) -> None:
        for row, position in enumerate(block.position.tolist()):
            columns = self.deny_for.get(position)
            if position < 0 and ids is not None:
                columns = self.deny_for_strangers.get(ids[row].item() if hasattr(ids[row], "item") else ids[row])
            if columns is not None:
                self._drop(scores, np.full(len(columns), row), columns, "deny_for", dropped)

    def _upsell(self, scores: FloatArray, block: Block, dropped: dict[str, int]) -> None:
        assert self.price is not None
        assert self.min_price_ratio is not None
        past, n = block.past.of_bought, len(block)
        if block.basket is not None and len(block.basket):
            basket = self.price[block.basket]
            known = basket[~np.isnan(basket)]
            mean = np.full(n, known.mean() if len(known) else np.nan)
        else:
            known = ~np.isnan(self.price[past.item])
            row = past.row[known]
            counts = np.bincount(row, minlength=n)
            sums = np.bincount(row, weights=self.price[past.item[known]], minlength=n)
            mean = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
        acts = np.flatnonzero(~np.isnan(mean))
        if len(acts) == 0:
            return
        # A missing price is not >= anything, so its item goes. Rounding must not remove an item of exactly the ratio.
        floor = self.min_price_ratio * mean[acts] * (1 - 1e-12)
        cheap = ~(self.price[None, :] >= floor[:, None])
        part = scores[acts]
        dropped["min_price_ratio"] += int(np.count_nonzero(cheap & (part != NO)))
        part[cheap] = NO
        scores[acts] = part

    def _after(self, scores: FloatArray, block: Block, rule: _After, dropped: dict[str, int]) -> None:
        past = block.past.of_bought
        row = past.row
        hit = rule.of[past.item]
        if not hit.any():
            return
        rows = np.unique(row[hit & _within(past, row, block, rule.within, "after_purchase")])
        if len(rows) == 0:
            return
        for columns, factor in rule.boost:
            part = scores[np.ix_(rows, columns)]
            finite = part != NO
            part[finite] = np.where(part[finite] >= 0, part[finite] * factor, part[finite] / factor)
            scores[np.ix_(rows, columns)] = part
        if len(rule.block):
            part = scores[np.ix_(rows, rule.block)]
            dropped["after_purchase"] += int(np.count_nonzero(part != NO))
            scores[np.ix_(rows, rule.block)] = NO


def _within(past: History, row: IntArray, block: Block, span: int, rule: str) -> BoolArray:
    """Return which entries were last bought within a span (microseconds) before serving; raise without times."""
    if len(past.item) == 0:
        return np.zeros(0, dtype=np.bool_)
    if past.last is None or block.now is None:
        raise InputError(
            f"{rule} needs the times of purchases: give Interactions.from_columns a time column.",
            argument=rule,
            code="missing_argument",
        )
    return np.asarray(past.last > block.now.before(timedelta(microseconds=span))[row])


def compile_rules(rules: Rules, catalog: Catalog, customer_id: npt.NDArray[Any]) -> Masks:
    """Look up the items, categories and customers that rules name."""
    names: list[str] = []
    steps: list[tuple[str, IntArray]] = []

    def gone(name: str, keep: BoolArray) -> None:
        names.append(name)
        steps.append((name, np.flatnonzero(~keep)))

    if rules.allow is not None:
        gone("allow", catalog.members(as_items(rules.allow), "allow"))
    if rules.deny is not None:
        gone("deny", ~catalog.members(as_items(rules.deny), "deny"))
    if rules.in_stock is not False:
        there = catalog.in_stock() if rules.in_stock is True else catalog.members(as_items(rules.in_stock), "in_stock")
        gone("in_stock", there)
    if rules.price is not None:
        low, high = rules.price
        price = catalog.price("price")
        gone("price", (price >= (0.0 if low is None else low)) & (price <= (np.inf if high is None else high)))
    denied: dict[int, IntArray] = {}
    strangers: dict[Any, IntArray] = {}
    if rules.deny_for:
        names.append("deny_for")
        people = list(rules.deny_for)
        for person, place in zip(people, find_ids("deny_for", customer_id, people).tolist(), strict=True):
            columns = np.flatnonzero(catalog.members(as_items(rules.deny_for[person]), f"deny_for[{person!r}]"))
            if place >= 0:
                denied[place] = columns
            else:
                strangers[person] = columns
    bought = rules.exclude_bought
    if bought != "never":
        names.append("exclude_bought")
    gaps = np.full(len(catalog.item), -1, dtype=np.int64)
    if rules.repeat_after:
        names.append("repeat_after")
        for name, gap in rules.repeat_after.items():
            gaps[catalog.in_category(Category(name, rules.category), "repeat_after")] = duration("repeat_after", gap)
    if rules.min_price_ratio is not None:
        names.append("min_price_ratio")
    after = tuple(
        _After(
            of=catalog.members(as_items(rule.of), "after_purchase.of"),
            within=duration("within", rule.within),
            block=np.flatnonzero(catalog.members(as_items(rule.block or ()), "after_purchase.block")),
            boost=tuple(
                (np.flatnonzero(catalog.in_category(category, "after_purchase.boost")), factor)
                for category, factor in rule.boost.items()
            ),
        )
        for rule in rules.after_purchase
    )
    if after:
        names.append("after_purchase")
    caps = [Cap(*catalog.groups(column, "max_per"), most) for column, most in rules.max_per.items()]
    if caps:
        names.append("max_per")
    return Masks(
        item_steps=tuple(steps),
        deny_for=denied,
        deny_for_strangers=strangers,
        bought=bought if isinstance(bought, str) else duration("exclude_bought", timedelta() + bought),
        gaps=gaps,
        min_price_ratio=rules.min_price_ratio,
        price=None if rules.min_price_ratio is None else catalog.price("min_price_ratio"),
        after=after,
        caps=caps,
        names=tuple(names),
    )
