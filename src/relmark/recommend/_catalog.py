"""The table of items, aligned with the items of a model: categories, prices, stock and launches."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import BoolArray
from relmark.core.columns import Column
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.ids import find_ids
from relmark.core.table import ItemTable
from relmark.core.time import local_midnights
from relmark.recommend.rules import Category

_NAT = np.iinfo(np.int64).min


@attrs.frozen(eq=False)
class Catalog:
    """The attributes of a model's items, in the order of the model."""

    item: npt.NDArray[Any]
    table: ItemTable | None
    tz: str = "UTC"  # a launch date means midnight in this zone

    def __attrs_post_init__(self) -> None:
        """Refuse a value that is not a table of items."""
        if self.table is not None and not isinstance(self.table, ItemTable):
            raise InputError(
                f"catalog is a {type(self.table).__name__}: an ItemTable is needed.",
                argument="catalog",
                code="wrong_type",
                hint="Make one with ItemTable.from_frame(...).",
            )

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return {}

    def column(self, name: str, wanted_by: str) -> Column:
        """Return a column of the table aligned with the model's items; missing for items that the table lacks."""
        if name not in self._columns:
            if self.table is None:
                raise MissingColumnError(
                    f"{wanted_by} needs the column {name!r} of the items: give Interactions or recommend a catalog=.",
                    argument=wanted_by,
                )
            places = find_ids("items.item", self.item, self.table.item)
            found = places >= 0
            self._columns[name] = self.table.column(name).take(found).spread(places[found], len(self.item))
        return self._columns[name]

    def members(self, items: tuple[Any, ...], name: str) -> BoolArray:
        """Return which items are named by ids and categories, shape (m,). Unknown ids are ignored."""
        mask = np.zeros(len(self.item), dtype=np.bool_)
        ids = [item for item in items if not isinstance(item, Category)]
        if ids:
            places = find_ids(name, self.item, ids)
            mask[places[places >= 0]] = True
        for category in items:
            if isinstance(category, Category):
                mask |= self.in_category(category, name)
        return mask

    def in_category(self, category: Category, name: str) -> BoolArray:
        """Return which items have the value of a category, or have it among their tags, shape (m,)."""
        column = self.column(category.column, name)
        if column.kind == "empty":
            return np.zeros(len(self.item), dtype=np.bool_)
        if column.kind not in {"text", "tags"}:
            raise InputError(
                f"{name}: the column {category.column!r} is of kind {column.kind}, but categories are text.",
                argument=name,
                code="wrong_type",
            )
        assert column.categories is not None
        place = int(np.searchsorted(column.categories, category.name))
        if place == len(column.categories) or column.categories[place] != category.name:
            return np.zeros(len(self.item), dtype=np.bool_)
        hit = column.data == place
        if column.kind == "text":
            return np.asarray(hit)
        assert column.offsets is not None
        rows = np.repeat(np.arange(len(self.item)), np.diff(column.offsets))
        mask = np.zeros(len(self.item), dtype=np.bool_)
        mask[rows[hit]] = True
        return mask

    def groups(self, name: str, wanted_by: str) -> tuple[npt.NDArray[np.int64], int]:
        """Return the group of each item by the values of a column, -1 without a value, and the number of groups."""
        column = self.column(name, wanted_by)
        if column.kind == "tags":
            raise InputError(
                f"{wanted_by}: an item has many tags in {name!r}; one value per item is needed.",
                argument=wanted_by,
                code="wrong_type",
            )
        if column.kind == "text":
            assert column.categories is not None
            return column.data.astype(np.int64), len(column.categories)
        known = ~column.missing
        codes = np.full(len(self.item), -1, dtype=np.int64)
        values, codes[known] = np.unique(column.data[known], return_inverse=True)
        return codes, len(values)

    def price(self, wanted_by: str) -> npt.NDArray[np.float64]:
        """Return the price of each item, NaN without one, shape (m,)."""
        return self.column("price", wanted_by).numbers()

    def in_stock(self) -> BoolArray:
        """Return which items are in stock by the column 'in_stock', shape (m,)."""
        return np.asarray(self.column("in_stock", "in_stock").numbers() > 0)

    def launched(self) -> npt.NDArray[np.int64]:
        """Return each item's launch in microseconds, the smallest int64 if it is unknown, shape (m,)."""
        column = self.column("launched", "launched_within")
        if column.kind == "empty":
            return np.full(len(self.item), _NAT)
        if column.kind == "instant":
            return column.data.view(np.int64)
        if column.kind != "date":
            raise InputError(
                f"launched_within: the column 'launched' is of kind {column.kind}, but dates are needed.",
                argument="launched_within",
                code="wrong_type",
            )
        moments = np.full(len(self.item), _NAT)
        known = ~column.missing
        moments[known] = local_midnights(column.data[known].astype(np.int64), self.tz)
        return moments
