"""Lines from a base: its purchases, and other events that show what a customer likes.

The codes of the log are used directly: customers are rows of the base, and items and orders are the codes of their
columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf
from relmark.core.base import CustomerBase
from relmark.core.checks import BoolArray, FloatArray, IntArray, number, refuse_rows, shown, text
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.frozen import locked
from relmark.core.ids import code_ids, is_text
from relmark.core.names import did_you_mean
from relmark.core.ordering import small_codes
from relmark.core.purchases import Purchases
from relmark.recommend._lines import Codes, Lines, in_order
from relmark.recommend._orders import pair_codes

_EXACT = 2**53


class Found(NamedTuple):
    """The lines of a base with the ascending ids that they refer to, and counts of what was left out or assumed."""

    customer_id: npt.NDArray[Any]
    item: npt.NDArray[Any]
    lines: Lines
    counts: dict[str, int]


class _Part(NamedTuple):
    """The lines of one type of events."""

    customer: Codes  # rows of the base
    known: npt.NDArray[Any]  # the items, ascending
    item: Codes
    row: Codes
    time: IntArray
    quantity: FloatArray | None
    value: FloatArray | None
    order: Codes
    order_name: Column | None
    weight: float
    bought: bool


def lines_of_base(bought: Purchases, base: CustomerBase | None, weights: Mapping[str, float] | None) -> Found:
    """Return the lines of purchases, and of a base's other events that weights name."""
    counts = {"without_item": 0, "without_pieces": 0, "pieces_unknown": 0}
    asked = _checked(weights, bought)
    parts = []
    if len(bought) or not asked:
        parts.append(_purchases(bought, 1.0 if weights is None else float(weights.get(bought.type, 1.0)), counts))
    for name, weight in asked.items():
        if base is None:
            raise InputError(
                f"weights has {name!r}, but Purchases hold purchases only: give the base, as in Interactions.of(base, "
                "weights=...).",
                argument="weights",
                code="unknown_name",
            )
        parts.append(_events(base, name, weight, bought.as_of, counts))
    return _joined(parts, bought.customer_id, weights, counts)


def _checked(weights: Mapping[str, float] | None, bought: Purchases) -> dict[str, float]:
    """Return the weights of events other than purchases."""
    if weights is None:
        return {}
    if not isinstance(weights, Mapping):
        raise InputError(
            f"weights is {shown(weights)}: a mapping such as {{'purchase': 1, 'view': .1}} is needed.",
            argument="weights",
            code="wrong_type",
        )
    found = {text("a name in weights", name): number(f"weights[{name!r}]", w, low=0.0) for name, w in weights.items()}
    return {name: weight for name, weight in found.items() if name != bought.type}


def _purchases(bought: Purchases, weight: float, counts: dict[str, int]) -> _Part:
    lines = bought.lines
    if not bought.n_events and not bought.types:  # an empty log
        none = np.zeros(0, dtype=np.int64)
        return _Part(none, none, none, none, none, None, None, none, None, weight, bought=True)
    column = bought.items()
    keep = _with_item(column, counts)
    named = bought._named  # noqa: SLF001  (the column of order numbers, which only the purchases have)
    if named is not None:
        named = named.take(lines.place)
    take = _taker(keep)
    known, item = _items(column if keep is None else column.take(keep), take(lines.row), bought.type)
    return _Part(
        customer=take(lines.customer),
        known=known,
        item=item,
        row=take(lines.row),
        time=take(lines.time),
        quantity=None if lines.quantity is None else _pieces(take(lines.quantity), take(lines.row), counts),
        value=None if lines.value is None else take(lines.value),
        order=take(bought.order_codes.code),
        order_name=named if named is None or keep is None else named.take(keep),
        weight=weight,
        bought=True,
    )


def _events(base: CustomerBase, type: str, weight: float, as_of: AsOf | None, counts: dict[str, int]) -> _Part:
    """Return the events of a type other than purchases; events of a customer at one instant form one order."""
    part = base.events.partition(type)
    if part is None:
        has = base.events.types
        raise InputError(
            f"weights has {type!r}, but the log has no such events: it has {', '.join(map(repr, has)) or 'none'}."
            f"{did_you_mean(type, has)}",
            argument="weights",
            code="unknown_name",
        )
    column = part.properties.get("item")
    if column is None:
        listed = ", ".join(map(repr, sorted(part.properties))) or "none"
        raise MissingColumnError(
            f"weights has {type!r}, but these events have no property 'item': they have {listed}.",
            argument="weights",
            hint="Name the column of items when you build the log, as in properties={'item': ...}.",
        )
    if as_of is not None:
        chosen = part.window(None, int(as_of.seen))
        part, column = part.take(chosen), column.take(chosen)
    keep = _with_item(column, counts)
    take = _taker(keep)
    row = take(part.row)
    known, item = _items(column if keep is None else column.take(keep), row, type)
    customer, time = take(base.code_to_row[part.code]), take(part.time)
    pieces = part.properties.get("quantity")
    counted = pieces is not None and pieces.kind == "number"
    return _Part(
        customer=customer,
        known=known,
        item=item,
        row=row,
        time=time,
        quantity=_pieces(take(pieces.numbers()), row, counts) if pieces is not None and counted else None,
        value=None,
        order=pair_codes(customer, time),
        order_name=None,
        weight=weight,
        bought=False,
    )


def _with_item(column: Column, counts: dict[str, int]) -> BoolArray | None:
    """Return which lines name an item; None if all do."""
    missing = column.missing
    if not missing.any():
        return None
    counts["without_item"] += int(np.count_nonzero(missing))
    return ~missing


def _taker(keep: BoolArray | None) -> Any:
    return (lambda array: array) if keep is None else (lambda array: array[keep])


def _items(column: Column, row: Codes, type: str) -> tuple[npt.NDArray[Any], Codes]:
    """Return the ascending items of lines, and each line's position among them."""
    if column.kind == "text":
        assert column.categories is not None
        used = np.zeros(len(column.categories), dtype=np.bool_)
        used[column.data] = True
        if used.all():
            return column.categories, column.data
        place = small_codes(np.cumsum(used) - 1, len(used))
        return column.categories[used], place[column.data]
    if column.kind != "number":
        if column.kind == "empty" or not len(column):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
        raise InputError(
            f"the items of {type!r} events are a column of kind {column.kind!r}: ids are int or str.",
            argument="item",
            code="wrong_type",
        )
    data = column.data
    if data.dtype.kind == "f":
        odd = (data != np.floor(data)) | (np.abs(data) >= _EXACT)
        if odd.any():
            k = int(np.argmax(np.where(odd, -row.astype(np.int64), np.iinfo(np.int64).min)))
            raise InputError(
                f"item has {shown(data[k])} in row {int(row[k])}: ids are int or str.",
                argument="item",
                row=int(row[k]),
                code="wrong_type",
                hint="Give such items as strings.",
            )
        data = data.astype(np.int64)
    return code_ids("item", data)


def _pieces(quantity: FloatArray, row: Codes, counts: dict[str, int]) -> FloatArray:
    """Return the number of pieces: 0 for a quantity of 0 or less, 1 for a missing quantity."""
    if np.isinf(quantity).any():
        order = np.argsort(row, kind="stable")
        refuse_rows("quantity", np.isinf(quantity[order]), quantity[order], "finite numbers are needed")
    unknown, none = np.isnan(quantity), quantity <= 0.0
    if unknown.any():
        counts["pieces_unknown"] += int(np.count_nonzero(unknown))
        quantity = np.where(unknown, 1.0, quantity)
    if none.any():
        counts["without_pieces"] += int(np.count_nonzero(none))
        quantity = np.where(none, 0.0, quantity)
    return quantity


def _joined(
    parts: list[_Part], customer_id: npt.NDArray[Any], weights: Mapping[str, float] | None, counts: dict[str, int]
) -> Found:
    """Return the lines of all parts with one ascending index of customers and one of items."""
    used = np.zeros(len(customer_id), dtype=np.bool_)
    for part in parts:
        used[part.customer] = True
    rows = np.flatnonzero(used)
    ids = customer_id[rows]
    ascending = np.argsort(ids, kind="stable") if len(ids) > 1 and not (ids[1:] > ids[:-1]).all() else None
    if ascending is not None:
        rows, ids = rows[ascending], ids[ascending]
    places = np.zeros(len(customer_id), dtype=np.int64)
    places[rows] = np.arange(len(rows))
    place: Codes = small_codes(places, len(rows))
    known = _union([part.known for part in parts])
    n = [len(part.customer) for part in parts]
    orders = np.cumsum([0, *(int(part.order.max(initial=-1)) + 1 for part in parts)])
    plain = weights is None
    pieces = any(part.quantity is not None for part in parts)
    money = any(part.value is not None for part in parts)
    lines = Lines(
        n_customers=len(ids),
        n_items=len(known),
        customer=_laid([place[part.customer] for part in parts]),
        item=_laid([_among(known, part) for part in parts]),
        row=_laid([part.row for part in parts]),
        time=_laid([part.time for part in parts]),
        quantity=_laid([_or(part.quantity, 1.0, len(part.customer)) for part in parts]) if pieces else None,
        value=_laid([_or(part.value, np.nan, len(part.customer)) for part in parts]) if money else None,
        order=_laid([part.order + first if first else part.order for part, first in zip(parts, orders, strict=False)]),
        order_name=_names(parts),
        weight=None if plain else _laid([np.full(k, part.weight) for part, k in zip(parts, n, strict=True)]),
        bought=None if plain else _laid([np.full(k, part.bought) for part, k in zip(parts, n, strict=True)]),
    )
    return Found(ids, known, in_order(lines), counts)


def _union(known: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    filled = [ids for ids in known if len(ids)]
    if len(filled) < 2:
        return filled[0] if filled else known[0]
    if len({is_text(ids) for ids in filled}) > 1:
        raise InputError(
            "the items of some events are numbers and those of others are texts: give all items as one of the two.",
            argument="item",
            code="mixed_types",
        )
    return np.unique(np.concatenate(filled))


def _among(known: npt.NDArray[Any], part: _Part) -> Codes:
    if len(known) == len(part.known) or not len(part.known):
        return part.item
    return small_codes(np.searchsorted(known, part.known), len(known))[part.item]


def _laid(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return arrays joined end to end; a single array is not copied."""
    return arrays[0] if len(arrays) == 1 else locked(np.concatenate(arrays))


def _or(array: FloatArray | None, otherwise: float, n: int) -> FloatArray:
    return np.full(n, otherwise) if array is None else array


def _names(parts: list[_Part]) -> Column | None:
    """Return the names of orders; events other than purchases have none."""
    first = parts[0].order_name
    if first is None or len(parts) == 1:
        return first
    n = sum(len(part.customer) for part in parts)
    return attrs.evolve(first).spread(np.arange(len(first)), n)
