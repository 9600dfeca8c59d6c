"""A fitted recommender: the part that all models share, from scores to ranked lists with rules and reasons.

A model defines how it scores a block of customers (`_own`), which items are similar, and what adds up to a score. A
call goes through these steps: customers are looked up, their histories are taken block by block, the model scores every
item, rules set the scores of removed items to -inf, and the best k are taken. If there are fewer than k, the next
source fills the list.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven, read_as_of
from relmark.core.checks import IntArray, shown, whole
from relmark.core.errors import InputError
from relmark.core.frozen import Frozen, owned
from relmark.core.ids import find_ids, id_array, staying
from relmark.core.table import ItemTable
from relmark.core.time import time_zone
from relmark.recommend._catalog import Catalog
from relmark.recommend._history import History, history_of, stranger, with_basket
from relmark.recommend._lines import Lines
from relmark.recommend._masks import NO, Block, Masks, compile_rules
from relmark.recommend._ranking import ranked
from relmark.recommend._saved import Saved
from relmark.recommend._topk import top_k
from relmark.recommend.interactions import Interactions, PurchaseSource, interactions_of
from relmark.recommend.kinds import FITTED
from relmark.recommend.recommendations import Explanation, Recommendation, Recommendations, SimilarCustomer
from relmark.recommend.rules import CustomerIds, ItemId, ItemIds, Rules, basket_of

__all__ = ["Fitted"]

FloatArray = npt.NDArray[np.float32]
Contributions = tuple[list[str], npt.NDArray[np.float64]]


def _one_id(name: str, value: Any) -> Any:
    if isinstance(value, (str, int, np.integer)) and not isinstance(value, bool):
        return value
    raise InputError(f"{name} is {shown(value)}: one id is needed, int or str.", argument=name, code="wrong_value")


def _is_column(as_of: Any) -> bool:
    return isinstance(as_of, (list, tuple)) or (not isinstance(as_of, np.generic) and np.ndim(as_of) > 0)


def _checked_zone(instance: object, attribute: attrs.Attribute[str], value: str) -> None:  # noqa: ARG001
    time_zone(value)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Fitted(Frozen, Saved):
    """A fitted recommender: the methods and fields of every fitted model.

    Parameters
    ----------
    spec : Spec
        The settings with which the model was fitted.
    item, customer_id : ndarray, shapes (m,) and (n,)
        The ids of items and customers, ascending.
    history : History
        What each customer bought: one entry per pair of customer and item.
    popularity : ndarray of float32, shape (m,)
        The share of customers who bought each item; new customers are offered items in this order.
    now : int or None
        The instant of the fit's `as_of`, in microseconds UTC; None without times.
    dated : bool
        Whether that `as_of` was a date: then `now` is its local midnight, and nothing of that day was seen.
    tz : str
        The time zone of the business.
    catalog : Catalog
        The attributes of the items.
    """

    source: ClassVar[str] = ""
    kinds: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class under the names of the settings from which it is fitted."""
        super().__init_subclass__(**kwargs)
        if "kinds" in vars(cls):
            FITTED.update(dict.fromkeys(cls.kinds, cls))

    spec: Any
    item: npt.NDArray[Any] = attrs.field(converter=owned)
    customer_id: npt.NDArray[Any] = attrs.field(converter=owned)
    history: History
    popularity: FloatArray = attrs.field(converter=owned)
    now: int | None
    dated: bool = False
    tz: str = attrs.field(default="UTC", validator=_checked_zone)
    catalog: Catalog

    @classmethod
    def axes(cls) -> dict[str, tuple[str, ...]]:
        """Return the names of the axes of each array; axes with the same name have the same size."""
        return {
            "item": ("items",),
            "customer_id": ("customers",),
            "history": ("customers",),
            "popularity": ("items",),
        }

    # What each model defines.

    def _own(self, block: Block) -> FloatArray:
        """Return new scores of every item, shape (n, m); -inf for items that the model cannot score."""
        raise AssertionError(f"{type(self).__name__} has no scores for {len(block)} customers")

    def _contributions(self, block: Block, item: int) -> Contributions:
        """Return the labels and amounts that add up to the model's score of one item for one customer."""
        raise AssertionError(f"{type(self).__name__} cannot explain item {item} to {len(block)} customers")

    def _purchases(self, block: Block, item: int) -> Contributions:
        """Return what a customer's purchases add to a score, without its other parts."""
        return self._contributions(block, item)

    def _similar(self, item: int) -> FloatArray:
        """Return the similarity of every item to one item, shape (m,); -inf if it is not known."""
        raise InputError(
            f"{type(self.spec).__name__} has no items similar to {shown(self.item[item])}: "
            "fit Ease, ItemNeighbors or Als for similar items.",
            argument="item",
            code="not_supported",
        )

    def _own_lines(self, x: Lines) -> Lines:
        """Return the lines that the model uses from a history given at serving."""
        return x

    def _taste(self) -> Any:
        """Return vectors of the customers, shape (n, any), whose cosines measure similarity."""
        return self.history.matrix(len(self.item))

    @property
    def _weighting(self) -> dict[str, Any]:
        """The settings by which lines become weights, for histories given at serving."""
        return {"weight": "binary", "half_life": None}

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of recommendations, in the order in which they are used."""
        return (self.source, "popular")

    def _scores(self, tier: int, block: Block) -> FloatArray:
        """Return the scores of one source; -inf leaves a customer or an item to the next source."""
        if tier == 0:
            return self._own(block)
        scores = np.where(self.popularity > 0, self.popularity, NO).astype(np.float32)
        return np.tile(scores, (len(block), 1))

    def _tier_contributions(self, tier: int, block: Block, item: int) -> Contributions:
        if tier == 0:
            return self._contributions(block, item)
        return ["share of customers who bought it"], np.array([float(self.popularity[item])])

    def _is_fill(self, tier: int, score: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which scores only fill up the list by popularity; they are shown as 0."""
        return np.full(score.shape, tier > 0)

    def _reason(self, tier: int, block: Block, item: int) -> str:
        if tier > 0:
            return "popular"
        labels, amounts = self._purchases(block, item)
        best = int(np.argmax(amounts)) if len(amounts) else -1
        if best < 0 or amounts[best] <= 0:
            return self.source
        if labels[best] != str(self.item[item]):
            return f"because of {labels[best]}"
        return "bought before" if item in block.past.of_bought.item else "looked at before"

    # What users call.

    def recommend(
        self,
        customers: CustomerIds | None = None,
        k: int = 10,
        *,
        rules: Rules | None = None,
        as_of: AsOfGiven | None = None,
        history: PurchaseSource | None = None,
        catalog: ItemTable | None = None,
    ) -> Recommendations:
        """Recommend up to k items to each customer, best first, among those that the rules allow.

        Parameters
        ----------
        customers : id or array_like of ids, shape (n,), optional
            The customers; by default all whom the model knows. Unknown customers get popular items.
        k : int
            The greatest number of items per customer.
        rules : Rules, optional
            What may be recommended to whom; by default every item, even if it was bought before.
        as_of : date or instant, or a column of n of them, optional
            The instant of serving, from which rules count time: one for all, or one per customer. It must not be before
            the `as_of` of the fit. By default it is that of the fit, or the last line of `history` if that is later.
        history : Interactions, CustomerBase, Purchases or CustomerHistory, optional
            All purchases of the customers up to then. They replace what the model remembers, and may include new
            customers.
        catalog : ItemTable, optional
            Current prices and stock; by default the table of items of the fit.

        Returns
        -------
        Recommendations
            The lists, with scores and reasons, and how many items each rule dropped.
        """
        k = whole("k", k, low=1)
        ids, block = self._block(customers, as_of, history)
        masks = self._masks(rules, catalog)
        return ranked(self, ids, block, k, masks)

    def for_basket(
        self,
        basket: ItemIds | ItemId,
        k: int = 10,
        *,
        customer: ItemId | None = None,
        rules: Rules | None = None,
        as_of: AsOfGiven | None = None,
        catalog: ItemTable | None = None,
    ) -> tuple[Recommendation, ...]:
        """Recommend items that go with a basket, for known or new customers.

        Parameters
        ----------
        basket : ids
            The items in the basket, which are never recommended. Items that the model does not know are ignored. If it
            knows none of them, the result is the customer's own recommendations, or popular items.
        k : int
            The greatest number of items.
        customer : id, optional
            The customer whose past counts in addition to the basket.
        rules, as_of
            As in `recommend`; rules about bought items use the customer's past.
        catalog : ItemTable, optional
            Current prices and stock; by default the table of items of the fit.
        """
        k = whole("k", k, low=1)
        held = self._items_of("basket", basket)
        label = np.array([None], dtype=object)
        if customer is not None:
            label = id_array("customer", [customer])
        return ranked(self, label, self._basket_block(held, customer, as_of), k, self._masks(rules, catalog)).lists(0)

    def similar_items(self, item: ItemId, k: int = 10) -> tuple[Recommendation, ...]:
        """Return up to k items similar to one item, the most similar first, without the item itself.

        Raises
        ------
        InputError
            The model does not know the item, or has no similarities of items.
        """
        k = whole("k", k, low=1)
        code = self._item_code(item)
        scores = np.array(self._similar(code), dtype=np.float32)[None, :]
        scores[0, code] = NO
        scores[scores <= 0] = NO
        _, column, score = top_k(scores, k)
        return tuple(
            Recommendation(item=other, score=value, rank=rank + 1, reason=f"like {item}")
            for rank, (other, value) in enumerate(zip(self.item[column].tolist(), score.tolist(), strict=True))
        )

    def similar_customers(self, customer: ItemId, k: int = 10) -> tuple[SimilarCustomer, ...]:
        """Return up to k customers with the most similar taste by cosine, best first, without the customer.

        Raises
        ------
        InputError
            The model does not know the customer.
        """
        k = whole("k", k, low=1)
        place = self._customer_place(customer)
        taste = self._taste().astype(np.float64)
        dense = isinstance(taste, np.ndarray)
        norm = np.sqrt((taste * taste).sum(axis=1)) if dense else np.sqrt(taste.multiply(taste).sum(axis=1).A1)
        product = taste @ taste[place] if dense else (taste @ taste[[place]].T).toarray()[:, 0]
        scale = norm * norm[place]
        cosine = np.divide(product, scale, out=np.zeros_like(scale), where=scale > 0)
        near = np.where(cosine > 0, cosine, NO).astype(np.float32)
        near[place] = NO
        _, column, _ = top_k(near[None, :], k)
        score = cosine[column]
        return tuple(
            SimilarCustomer(customer_id=other, score=value, rank=rank + 1)
            for rank, (other, value) in enumerate(zip(self.customer_id[column].tolist(), score.tolist(), strict=True))
        )

    def explain(
        self,
        customer: ItemId,
        item: ItemId,
        *,
        rules: Rules | None = None,
        as_of: AsOfGiven | None = None,
        history: PurchaseSource | None = None,
        catalog: ItemTable | None = None,
    ) -> Explanation:
        """Explain the score of one item for one customer, and name the rules that would remove the item.

        Raises
        ------
        InputError
            The model does not know the item.
        """
        code = self._item_code(item)
        ids, block = self._block(_one_id("customer", customer), as_of, history)
        source, score, labels, amounts, note = "", float("nan"), [""][:0], np.zeros(0), ""
        for tier, name in enumerate(self.sources):
            own = self._scores(tier, block)[0, code]
            if own == NO:
                continue
            if self._is_fill(tier, np.array([own]))[0] and block.past.lengths[0] > 0:  # as in `recommend`
                source, score = "popular", 0.0
                note = (
                    f"{self.source} finds no link from the customer's purchases to this item: it fills the list since "
                    f"{100 * float(self.popularity[code]):.3g} % of customers bought it."
                )
                break
            labels, amounts = self._tier_contributions(tier, block, code)
            source, score = name, float(amounts.sum())
            break
        else:
            note = f"{self.source} cannot rank this item: nothing in the purchases that it saw supports it."
        names: tuple[str, ...] = ()
        if rules is not None and source:
            masks = self._masks(rules, catalog)
            names = tuple(name for name in masks.names if self._drops(masks, name, block, code, ids))
        order = np.argsort(-amounts, kind="stable")
        return Explanation(
            customer_id=ids.tolist()[0],
            item=self.item[code : code + 1].tolist()[0],
            score=score,
            because=np.array(labels, dtype=np.str_)[order],
            contributions=amounts[order],
            source=source,
            dropped_by=names,
            note=note,
        )

    def without(self, ids: CustomerIds | AbstractSet[object]) -> Self:
        """Return the model without some customers: without their ids, purchases and factors.

        What the model learned from all customers together stays: similarities of items, their popularity, and their
        factors. Fit again if the removed customers' share in these must go, too. A removed customer counts as a new
        one, who gets popular items. Ids that the model does not know are ignored.
        """
        stay = staying(self.customer_id, ids)
        rows = np.flatnonzero(stay)
        kept: dict[str, Any] = {"customer_id": self.customer_id[rows], "history": self.history.take(rows)}
        for name, axes in self.axes().items():
            if name not in kept and "customers" in axes:
                kept[name] = getattr(self, name)[rows]
        return self._parts_without(attrs.evolve(self, **kept), ids)

    def _parts_without(self, model: Self, ids: CustomerIds | AbstractSet[object]) -> Self:  # noqa: ARG002
        """Return a model from whose parts the customers are removed, too; this model has no parts."""
        return model

    def __repr__(self) -> str:
        when = "" if self.as_of is None else f", as of {self.as_of.astype('M8[D]')}"
        return f"{self.spec!r} fitted on {len(self.customer_id):,} customers and {len(self.item):,} items{when}"

    @property
    def as_of(self) -> np.datetime64 | None:
        """The `as_of` of the fit: a day if a date was given, else an instant in UTC; None without times."""
        return None if self.now is None else AsOf(self.now, self.dated, self.tz).given

    # How it works.

    def _drops(self, masks: Masks, name: str, block: Block, item: int, ids: npt.NDArray[Any]) -> bool:
        alone = masks.only(name)
        scores = np.full((1, len(self.item)), NO, dtype=np.float32)
        scores[0, item] = 1.0
        alone.apply(scores, block, dict.fromkeys(masks.names, 0), ids)
        return bool(scores[0, item] == NO)

    def _masks(self, rules: Rules | None, catalog: ItemTable | None) -> Masks:
        if rules is not None and not isinstance(rules, Rules):
            raise InputError(
                f"rules is a {type(rules).__name__}: Rules(...) is needed.", argument="rules", code="wrong_type"
            )
        known = self.catalog if catalog is None else Catalog(self.item, catalog, self.tz)
        return compile_rules(rules or Rules(), known, self.customer_id)

    def _item_code(self, item: ItemId) -> int:
        place = int(find_ids("item", self.item, [_one_id("item", item)])[0])
        if place < 0:
            raise InputError(
                f"item {shown(item)} is not among the {len(self.item):,} items of this model.",
                argument="item",
                code="unknown_name",
            )
        return place

    def _customer_place(self, customer: ItemId) -> int:
        place = int(find_ids("customer", self.customer_id, [_one_id("customer", customer)])[0])
        if place < 0:
            raise InputError(
                f"customer {shown(customer)} is not among the {len(self.customer_id):,} customers of this model.",
                argument="customer",
                code="unknown_name",
            )
        return place

    def _items_of(self, name: str, items: Any) -> IntArray:
        wanted = basket_of(items)
        places = find_ids(name, self.item, wanted) if wanted else np.zeros(0, dtype=np.int64)
        return np.unique(places[places >= 0])

    def _moments(self, as_of: AsOfGiven | None, n: int, history: Interactions | None = None) -> AsOf | None:
        """Return the instant of serving for each customer, and refuse one before the `as_of` of the fit."""
        fitted = None if self.now is None else AsOf(self.now, self.dated, self.tz)
        if as_of is None:
            moment = fitted
            latest = None if history is None else history.known_by
            if latest is not None and (moment is None or latest.seen > moment.seen):
                moment = latest
            if moment is None:
                return None
        else:
            if _is_column(as_of) and len(as_of) != n:  # type: ignore[arg-type]
                raise InputError(
                    f"as_of has {len(as_of):,} instants for {n:,} customers: give one, or one each.",  # type: ignore[arg-type]
                    argument="as_of",
                    code="wrong_length",
                )
            moment = read_as_of(as_of, tz=self.tz, n=n)
        if not moment.each:
            each = np.full(n, moment.clock), np.full(n, moment.dated)
        else:
            each = np.array(moment.clock), np.array(moment.dated)  # copies, so that the caller's column stays untouched
        if as_of is not None and fitted is not None and n and int((each[0] - each[1]).min()) < fitted.seen:
            row = int(np.argmin(each[0] - each[1]))
            early = AsOf(int(each[0][row]), bool(each[1][row]), self.tz)
            raise InputError(
                f"as_of is {early}, but the model has seen purchases up to {fitted}.",
                argument="as_of",
                code="conflicting_arguments",
                hint="Fit it with as_of at or before the instant of serving.",
            )
        return AsOf(*each, self.tz)

    def _since(self, history: PurchaseSource | None, as_of: AsOfGiven | None) -> Interactions | None:
        """Return a history given at serving as interactions, with refunds as known by a single `as_of`."""
        if history is None or isinstance(history, Interactions) or as_of is None or _is_column(as_of):
            return None if history is None else interactions_of(history, name="history")
        return interactions_of(history, as_of, name="history")

    def _block(
        self, customers: CustomerIds | None, as_of: AsOfGiven | None, history: PurchaseSource | None
    ) -> tuple[npt.NDArray[Any], Block]:
        since = self._since(history, as_of)
        known = self.customer_id if since is None else since.customer_id
        if customers is None:
            ids = known
        elif isinstance(customers, (str, int, np.integer)):
            ids = id_array("customers", [customers if isinstance(customers, str) else int(customers)])
        else:
            ids = owned(id_array("customers", customers))
        position = find_ids("customers", self.customer_id, ids)
        moments = self._moments(as_of, len(ids), since)
        if since is None:
            past = self.history if customers is None else self.history.take(position)
            return ids, Block(past, position, moments)
        past = self._recoded(since, find_ids("customers", since.customer_id, ids), moments)
        return ids, Block(past, position, moments, fresh=True)

    def _basket_block(self, basket: IntArray, customer: ItemId | None, as_of: AsOfGiven | None) -> Block:
        """Return a block of one customer, known or new, with a basket."""
        if customer is None:
            return Block(stranger(basket), np.array([-1]), self._moments(as_of, 1), basket)
        _, block = self._block(_one_id("customer", customer), as_of, None)
        return attrs.evolve(block, past=with_basket(block.past, basket), basket=basket)

    def _recoded(self, x: Interactions, places: IntArray, moments: AsOf | None) -> History:
        """Return the past from other interactions with this model's items, up to each customer's own instant."""
        if moments is not None and x.lines.time is not None and len(places):
            limit = np.full(x.n_customers, np.iinfo(np.int64).max)
            limit[places[places >= 0]] = moments.seen[places >= 0]
            x = x.where(x.lines.time <= limit[x.lines.customer])
        now = x.clock if self.now is None else self.now
        past = history_of(self._own_lines(x.lines), now=now, **self._weighting).take(places)
        code = find_ids("history.item", self.item, x.item)[past.item]
        return attrs.evolve(past.keep(code >= 0), item=code[code >= 0].astype(np.int32))
