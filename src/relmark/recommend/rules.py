"""Rules for what may be recommended to whom; applied before the best k are taken, so that lists stay full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core import shapes
from relmark.core.checks import number, positive, shown, text, whole
from relmark.core.documents import Definition, Limits, built, check_keys, settings
from relmark.core.errors import DefinitionError, InputError
from relmark.core.shapes import Shape
from relmark.core.time import duration, duration_text, parse_duration

__all__ = ["AfterPurchase", "Category", "CustomerIds", "ItemId", "ItemIds", "Items", "Rules", "as_items", "basket_of"]

ItemId: TypeAlias = int | str
"""What names an item or a customer: an integer or a text."""
ItemIds: TypeAlias = Iterable[ItemId] | npt.NDArray[Any]
"""Items by their ids."""
CustomerIds: TypeAlias = ItemId | Sequence[ItemId] | npt.NDArray[Any] | range
"""One customer or several."""


@attrs.frozen
class Category:
    """All items with a given value, or with it among their tags, in a column of the table of items.

    Parameters
    ----------
    name : str
        The value, such as ``"jacket"``.
    column : str
        The column of the `ItemTable`.

    Examples
    --------
    >>> Category("jacket"), Category("wool", column="material")
    (Category('jacket'), Category('wool', column='material'))
    """

    name: str = attrs.field()
    column: str = "category"

    @name.validator
    def _check(self, attribute: Any, value: Any) -> None:  # noqa: ARG002
        text("name", value)
        text("column", self.column)

    def __repr__(self) -> str:
        return (
            f"Category({self.name!r})"
            if self.column == "category"
            else (f"Category({self.name!r}, column={self.column!r})")
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the category as JSON-ready values."""
        return {"category": self.name, "column": self.column}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any], path: str = "$") -> Category:
        """Return the category from a stored rule."""
        check_keys(body, required=("category",), optional=("column",), path=path, what="category")
        return cls(_is_text(body["category"], f"{path}.category"), _is_text(body.get("column", "category"), path))


Items: TypeAlias = Iterable[ItemId | Category] | Category | ItemId
"""Items by their ids or by category."""


def as_items(value: Items | None, name: str = "items") -> Any:
    """Return ids and categories as a tuple; None stays None."""
    given: Any = value
    if given is None:
        return None
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given[()]
    if isinstance(given, (Category, str, int, np.integer)) and not isinstance(given, bool):
        given = (given,)
    if not isinstance(given, Iterable):
        raise InputError(
            f"{name} is {shown(given)}: ids or Category(...) are needed.", argument=name, code="wrong_type"
        )
    members = [item.item() if isinstance(item, np.generic) else item for item in given]
    for row, member in enumerate(members):
        if isinstance(member, bool) or not isinstance(member, (int, str, Category)):
            raise InputError(
                f"{name} has {shown(member)} in row {row}: ids (int or str) or Category(...) are needed.",
                argument=name,
                row=row,
                code="wrong_type",
            )
    return tuple(members)


# A converter of attrs does not know of which field it is, so that each has its own.


def _as_of_items(value: Items | None) -> Any:
    return as_items(value, "of")


def _as_block(value: Items | None) -> Any:
    return as_items(value, "block")


def _as_allow(value: Items | None) -> Any:
    return as_items(value, "allow")


def _as_deny(value: Items | None) -> Any:
    return as_items(value, "deny")


def basket_of(basket: ItemIds | ItemId) -> list[ItemId]:
    """Return the items of a basket as a list of ids."""
    found = as_items(basket, "basket")
    if found is None:
        raise InputError(
            "basket is None: the ids of its items are needed, or an empty list.",
            argument="basket",
            code="missing_value",
        )
    for member in found:
        if isinstance(member, Category):
            raise InputError(f"basket has {member!r}: ids of items are needed.", argument="basket", code="wrong_type")
    return list(found)


@attrs.frozen(kw_only=True)
class AfterPurchase:
    """What changes after a purchase: items that are not recommended for a while, and others that are ranked higher.

    Parameters
    ----------
    of : Category or ids
        The items whose purchase starts the rule.
    within : timedelta
        How long the rule lasts: it holds for purchases in ``(as_of - within, as_of]``.
    block : Category or ids, optional
        The items that are not recommended during that time.
    boost : mapping of str or Category to float, optional
        The factors by which scores rise during that time: 2.0 doubles a positive score and halves a negative one. A
        string is the name of a category in the column `column`.
    column : str
        The column in which the strings of `boost` are looked up.

    Examples
    --------
    >>> from relmark import days
    >>> AfterPurchase(of=Category("jacket"), within=days(30), block=Category("jacket"), boost={"shoes": 2.0}).block
    (Category('jacket'),)
    """

    of: Items = attrs.field(converter=_as_of_items)
    within: timedelta = attrs.field()
    block: Items | None = attrs.field(default=None, converter=_as_block)
    boost: Mapping[Any, float] = attrs.field(factory=dict)
    column: str = attrs.field(default="category", eq=False)

    def __attrs_post_init__(self) -> None:
        """Validate the items, the length of time and the factors."""
        if not self.of:
            raise InputError(
                "of is empty: name the items or the category whose purchase starts the rule.",
                argument="of",
                code="empty",
            )
        duration("within", self.within)
        if not isinstance(self.boost, Mapping):
            raise InputError(
                f"boost is {shown(self.boost)}: a mapping such as {{'shoes': 2.0}} is needed.",
                argument="boost",
                code="wrong_type",
            )
        for name, factor in self.boost.items():
            if not isinstance(name, (str, Category)):
                raise InputError(
                    f"boost has the key {shown(name)}: the name of a category or Category(...) is needed.",
                    argument="boost",
                    code="wrong_type",
                )
            positive(f"boost[{name!r}]", factor)
        named = {
            name if isinstance(name, Category) else Category(name, self.column): float(factor)
            for name, factor in self.boost.items()
        }
        object.__setattr__(self, "boost", named)

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON-ready values."""
        return {
            "of": _stored_items(self.of),
            "within": duration_text(self.within),
            "block": _stored_items(self.block),
            "boost": [[category.to_dict(), factor] for category, factor in self.boost.items()],
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any], path: str = "$") -> AfterPurchase:
        """Return the rule from a stored form."""
        check_keys(body, required=("of", "within"), optional=("block", "boost"), path=path, what="after_purchase rule")
        boost = body.get("boost", [])
        if not isinstance(boost, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in boost):
            raise DefinitionError(
                "boost must be a list of pairs of category and factor.", code="wrong_value", path=f"{path}.boost"
            )
        return cls(
            of=_read_items(body["of"], f"{path}.of"),
            within=parse_duration(body["within"], f"{path}.within"),
            block=_read_items(body.get("block"), f"{path}.block"),
            boost={Category.from_dict(name, f"{path}.boost[{k}]"): factor for k, (name, factor) in enumerate(boost)},
        )


@attrs.frozen(kw_only=True)
class Rules(Definition):
    """Business rules for recommendations.

    Each pair of customer and item that a rule removes is counted under the name of the rule.

    Parameters
    ----------
    exclude_bought : {"never", "always"} or timedelta
        Whether items that a customer has bought are excluded: never, always, or for this time after the last purchase.
    repeat_after : mapping of category to timedelta
        For items of these categories, the time after their last purchase from which they may be recommended again, such
        as 20 days for coffee and two years for a winter coat. It replaces `exclude_bought` for them.
    allow, deny : ids or Category, or several, optional
        Recommend only these items, or never these.
    deny_for : mapping of customer to items
        Items never to recommend to a customer.
    in_stock : bool or ids
        True keeps the items whose column 'in_stock' is true or above 0 (a missing value counts as not in stock); ids
        keep only these items.
    max_per : mapping of column to int
        The greatest number of items with the same value in a column of the item table. Items without a value are not
        limited.
    min_price_ratio : float, optional
        For upselling: items must cost at least this factor times the mean price of the customer's items (of the
        basket's, for a basket). Items without a price are removed. If none of the customer's items has a price, the
        rule does nothing.
    price : pair of float or None, optional
        The lowest and highest price, ends included; for example, to fill a basket up to free shipping.
    after_purchase : sequence of AfterPurchase
        The rules that start with a purchase.
    category : str
        The column of the item table with the categories of `repeat_after`.

    Examples
    --------
    >>> from relmark import days
    >>> rules = Rules(exclude_bought=days(30), max_per={"category": 2}, price=(10, 25))
    >>> Rules.from_json(rules.to_json()) == rules
    True
    """

    kind: ClassVar[str] = "recommendation_rules"

    exclude_bought: Literal["never", "always"] | timedelta = "never"
    repeat_after: Mapping[str, timedelta] = attrs.field(factory=dict)
    allow: Items | None = attrs.field(default=None, converter=_as_allow)
    deny: Items | None = attrs.field(default=None, converter=_as_deny)
    deny_for: Mapping[ItemId, Items] = attrs.field(factory=dict)
    in_stock: bool | tuple[ItemId, ...] = attrs.field(default=False)
    max_per: Mapping[str, int] = attrs.field(factory=dict)
    min_price_ratio: float | None = None
    price: tuple[float | None, float | None] | None = None
    after_purchase: tuple[AfterPurchase, ...] = attrs.field(default=())
    category: str = "category"

    def __attrs_post_init__(self) -> None:
        """Validate each rule by its name."""
        text("category", self.category)
        if isinstance(self.exclude_bought, timedelta):
            duration("exclude_bought", self.exclude_bought)
        elif str(self.exclude_bought) not in ("never", "always"):
            raise InputError(
                f"exclude_bought is {shown(self.exclude_bought)}: it must be 'never', 'always', or a timedelta such as "
                "days(30), for 'not again within 30 days'.",
                argument="exclude_bought",
                code="wrong_value",
            )
        for name in ("repeat_after", "deny_for", "max_per"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(
                    f"{name} is {shown(getattr(self, name))}: a mapping is needed.", argument=name, code="wrong_type"
                )
        for name, gap in self.repeat_after.items():
            duration(f"repeat_after[{name!r}]", gap)
        for column, most in self.max_per.items():
            whole(f"max_per[{column!r}]", most, low=1)
        for name in ("repeat_after", "max_per"):  # a copy, so that the caller's mapping stays untouched
            object.__setattr__(self, name, dict(getattr(self, name)))
        for customer, items in self.deny_for.items():
            if items is None:
                raise InputError(
                    f"deny_for[{customer!r}] is None: ids or Category(...) are needed.",
                    argument="deny_for",
                    code="missing_value",
                )
        object.__setattr__(
            self, "deny_for", {customer: as_items(items, "deny_for") for customer, items in self.deny_for.items()}
        )
        if self.in_stock is None:
            raise InputError(
                "in_stock is None: True, False, or the ids of items in stock are needed.",
                argument="in_stock",
                code="missing_value",
            )
        if not isinstance(self.in_stock, (bool, np.bool_)):
            object.__setattr__(self, "in_stock", as_items(self.in_stock, "in_stock"))
        if self.min_price_ratio is not None:
            positive("min_price_ratio", self.min_price_ratio)
        if self.price is not None:
            object.__setattr__(self, "price", _price(self.price))
        after = self.after_purchase
        if isinstance(after, AfterPurchase):
            after = (after,)
        if not isinstance(after, (list, tuple)):
            raise InputError(
                f"after_purchase is {shown(after)}: a list of AfterPurchase(...) is needed.",
                argument="after_purchase",
                code="wrong_type",
            )
        after = tuple(after)
        for rule in after:
            if not isinstance(rule, AfterPurchase):
                raise InputError(
                    f"after_purchase has {shown(rule)}: AfterPurchase(...) is needed.",
                    argument="after_purchase",
                    code="wrong_value",
                )
        object.__setattr__(self, "after_purchase", after)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        items, bought = shapes.maybe(_items_shape(limits)), shapes.one_of("never", "always")
        after = {
            "of": _items_shape(limits),
            "within": shapes.DURATION,
            "block": items,
            "boost": shapes.array(shapes.pair(category_shape(limits), shapes.number(above=0.0))),
        }
        bound = shapes.maybe(shapes.number())
        return {
            "exclude_bought": {"if": bought, "then": True, "else": shapes.DURATION},
            "repeat_after": shapes.mapping(shapes.DURATION),
            "allow": items,
            "deny": items,
            "deny_for": shapes.array(shapes.pair(_id_shape(limits), _items_shape(limits))),
            "in_stock": {"if": shapes.flag(), "then": True, "else": shapes.array(_id_shape(limits))},
            "max_per": shapes.mapping(shapes.whole(low=1)),
            "min_price_ratio": shapes.maybe(shapes.number(above=0.0)),
            "price": shapes.maybe(shapes.pair(bound, bound)),
            "after_purchase": shapes.array(shapes.obj(after, ("of", "within"))),
            "category": shapes.name(limits.string),
        }, ()

    def _body(self) -> dict[str, Any]:
        bought = self.exclude_bought
        return {
            "exclude_bought": duration_text(bought) if isinstance(bought, timedelta) else bought,
            "repeat_after": {name: duration_text(gap) for name, gap in self.repeat_after.items()},
            "allow": _stored_items(self.allow),
            "deny": _stored_items(self.deny),
            "deny_for": [[customer, _stored_items(items)] for customer, items in self.deny_for.items()],
            "in_stock": self.in_stock if isinstance(self.in_stock, bool) else _stored_items(self.in_stock),
            "max_per": dict(self.max_per),
            "min_price_ratio": self.min_price_ratio,
            "price": None if self.price is None else list(self.price),
            "after_purchase": [rule.to_dict() for rule in self.after_purchase],
            "category": self.category,
        }

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        names = [attribute.name for attribute in settings(cls)]
        check_keys(body, required=(), optional=names, what="set of rules")
        read = dict(body)
        bought = read.get("exclude_bought", "never")
        if isinstance(bought, str) and bought not in {"never", "always"}:
            read["exclude_bought"] = parse_duration(bought, "$.exclude_bought")
        gaps = read.get("repeat_after", {})
        if not isinstance(gaps, Mapping):
            raise DefinitionError("repeat_after must be an object.", path="$.repeat_after", code="wrong_type")
        read["repeat_after"] = {name: parse_duration(gap, f"$.repeat_after.{name}") for name, gap in gaps.items()}
        for name in ("allow", "deny"):
            read[name] = _read_items(read.get(name), f"$.{name}")
        if not isinstance(read.get("in_stock", False), bool):
            read["in_stock"] = _read_items(read["in_stock"], "$.in_stock")
        pairs = read.get("deny_for", [])
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise DefinitionError(
                "deny_for must be a list of pairs of customer and items.", code="wrong_value", path="$.deny_for"
            )
        read["deny_for"] = {
            customer: _read_items(items, f"$.deny_for[{k}][1]") for k, (customer, items) in enumerate(pairs)
        }
        after = read.get("after_purchase", [])
        if not isinstance(after, list):
            raise DefinitionError("after_purchase must be a list.", path="$.after_purchase", code="wrong_type")
        read["after_purchase"] = tuple(
            AfterPurchase.from_dict(rule, f"$.after_purchase[{k}]") for k, rule in enumerate(after)
        )
        return built(cls, read)


def _id_shape(limits: Limits) -> Shape:
    return {"type": ["integer", "string"], "minLength": 1, "maxLength": limits.string}


def category_shape(limits: Limits) -> Shape:
    """Return the shape of a stored category."""
    name = shapes.name(limits.string)
    return shapes.obj({"category": name, "column": name}, ("category",))


def _items_shape(limits: Limits) -> Shape:
    """Return the shape of ids and categories."""
    return shapes.array({"if": {"type": "object"}, "then": category_shape(limits), "else": _id_shape(limits)})


def _price(value: Any) -> tuple[float | None, float | None]:
    try:
        low, high = value
    except (TypeError, ValueError):
        raise InputError(
            f"price is {shown(value)}: a pair (low, high) is needed, None for no bound.",
            argument="price",
            code="wrong_type",
        ) from None
    ends = tuple(None if end is None else number("price", end, low=0.0) for end in (low, high))
    if ends[0] is not None and ends[1] is not None and ends[0] > ends[1]:
        raise InputError(f"price is {shown(value)}: low must not be above high.", argument="price", code="wrong_value")
    return ends[0], ends[1]


def _stored_items(items: Any) -> Any:
    if items is None:
        return None
    return [item.to_dict() if isinstance(item, Category) else item for item in items]


def _read_items(value: Any, path: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, list):
        raise DefinitionError("a list of ids and categories is needed.", path=path, code="wrong_type")
    return tuple(
        Category.from_dict(item, f"{path}[{k}]") if isinstance(item, Mapping) else _is_id(item, f"{path}[{k}]")
        for k, item in enumerate(value)
    )


def _is_id(value: Any, path: str) -> ItemId:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DefinitionError(f"{shown(value)} is not an id.", path=path, code="wrong_type")
    return value


def _is_text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise DefinitionError(f"{shown(value)} is not a name.", path=path, code="wrong_type")
    return value
