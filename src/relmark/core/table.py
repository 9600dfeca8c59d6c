"""Tables of customers and of items: typed columns with missing values, one row per id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import same_length, shown, text
from relmark.core.columns import Column, ColumnLike
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.events import Customer
from relmark.core.formats import html_table, text_table
from relmark.core.frames import Frame, columns_of, to_frame
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import find_ids, id_array, is_text, staying
from relmark.core.names import did_you_mean

__all__ = ["CustomerTable", "ItemTable"]

_SHOWN_ROWS = 20


@attrs.frozen(eq=False, repr=False)
class Table(Frozen):
    """The base class of `CustomerTable` and `ItemTable`: one row per id."""

    key: ClassVar[str]

    _ids: npt.NDArray[Any] = attrs.field(converter=read_only)
    columns: Mapping[str, Column]

    @classmethod
    def _build(cls, ids: Any, columns: Mapping[str, Any], tz: str = "UTC") -> Self:
        array = id_array(cls.key, ids)
        if is_text(array) and (array == "").any():
            raise InputError(
                f"{cls.key} is an empty string in row {int(np.argmax(array == ''))}: drop these rows.",
                argument=cls.key,
                row=int(np.argmax(array == "")),
                code="empty",
            )
        distinct, first = np.unique(array, return_index=True)
        if len(distinct) < len(array):
            again = np.ones(len(array), dtype=np.bool_)
            again[first] = False
            row = int(np.argmax(again))
            raise InputError(
                f"{cls.key} has {shown(array[row])} in row {row} and in an earlier row: one row per id is needed.",
                argument=cls.key,
                row=row,
                code="duplicate",
                hint="Aggregate or drop the duplicates.",
            )
        typed = {name: Column.of(name, column, tz=tz) for name, column in columns.items()}
        for name, column in typed.items():
            same_length(name, np.empty(len(column)), len(array))
        return cls(array.copy(), typed)

    @classmethod
    def from_frame(cls, frame: Frame, *, tz: str = "UTC", **names: str) -> Self:
        """Build the table from a frame or mapping: the column of ids, and all others under their own names.

        Parameters
        ----------
        frame : frame or mapping of str to array_like
            One row per id.
        tz : str
            The time zone of times that come without one.
        **names : str
            The column of ids, if it has another name: ``customer_id="household_id"`` or ``item="product_id"``.
        """
        unknown = set(names) - {cls.key}
        if unknown:
            raise InputError(
                f"from_frame has no argument {min(unknown)!r}: {cls.key}= names the column of ids, and all other "
                "columns keep their names.",
                argument="from_frame",
                code="unknown_name",
            )
        key = names.get(cls.key, cls.key)
        columns = columns_of(frame)
        if key not in columns:
            raise MissingColumnError(
                f"there is no column {key!r}: name the column of ids with {cls.key}=, one of "
                f"{', '.join(map(repr, columns))}.",
                argument="frame",
            )
        ids = columns.pop(key)
        return cls._build(ids, columns, tz)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._ids)

    def column(self, name: str) -> Column:
        """Return a typed column, or raise an error with the nearest name."""
        if name not in self.columns:
            listed = ", ".join(map(repr, self.columns)) or "none"
            raise MissingColumnError(
                f"there is no column {name!r}; there are {listed}.",
                argument="name",
                hint=did_you_mean(name, self.columns),
            )
        return self.columns[name]

    def with_column(self, name: str, values: ColumnLike | Column, *, tz: str = "UTC") -> Self:
        """Return a table with one more column, aligned with the ids; a column of the same name is replaced."""
        if text("the name of a column", name) == self.key:
            raise InputError(
                f"name is {name!r}, which is the name of the column of ids: choose another name.",
                argument="name",
                code="duplicate",
            )
        column = Column.of(name, values, tz=tz)
        same_length(name, np.empty(len(column)), len(self))
        return attrs.evolve(self, columns={**self.columns, name: column})

    def take(self, rows: npt.NDArray[Any]) -> Self:
        """Return some rows, by positions or a mask."""
        return type(self)(self._ids[rows], {name: column.take(rows) for name, column in self.columns.items()})

    def without(self, ids: ColumnLike | AbstractSet[object]) -> Self:
        """Return the table without some rows: without their ids, and words that only they had.

        Ids that the table does not have are not an error.
        """
        ordered, order = self._sorted
        stay = np.empty(len(self), dtype=np.bool_)
        stay[order] = staying(ordered, ids)
        kept = self.take(stay)
        return attrs.evolve(kept, columns={name: column.compact() for name, column in kept.columns.items()})

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the ids and every column as arrays; a missing value is None, NaN or NaT."""
        return {self.key: self._ids, **{name: column.values() for name, column in self.columns.items()}}

    def to_frame(self, backend: str = "pandas") -> Frame:
        """Return `to_columns` as a frame of ``"pandas"``, ``"polars"`` or ``"pyarrow"``."""
        return to_frame(self.to_columns(), backend)

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        order = np.argsort(self._ids, kind="stable")
        return self._ids[order], order

    def find(self, ids: ColumnLike) -> npt.NDArray[np.int64]:
        """Return the row of each id, -1 where the table does not have it."""
        ordered, order = self._sorted
        places = find_ids(self.key, ordered, ids)
        return np.where(places >= 0, order[places], -1) if len(order) else places

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}: {column.kind}" for name, column in list(self.columns.items())[:12])
        return f"{type(self).__name__}({len(self):,} rows; {columns or 'no columns'})"

    def _shown(self) -> dict[str, npt.NDArray[Any]]:
        """Return only the first rows, so that a million rows do not become objects when twenty are shown."""
        rows = slice(0, _SHOWN_ROWS)
        return {self.key: self._ids[rows], **{name: col.take(rows).values() for name, col in self.columns.items()}}

    def _more(self) -> str:
        return f"... {len(self) - _SHOWN_ROWS:,} more rows" if len(self) > _SHOWN_ROWS else ""

    def __str__(self) -> str:
        return "\n".join(filter(None, [text_table(self._shown()), self._more()]))

    def _repr_html_(self) -> str:
        return html_table(self._shown(), caption=repr(self))


@attrs.frozen(eq=False, repr=False)
class CustomerTable(Table):
    """What is known about customers: numbers, strings, booleans, dates, instants and sets of tags; any may be missing.

    Examples
    --------
    >>> table = CustomerTable.from_columns(customer_id=[1, 2, 3], city=["Omsk", None, "Kazan"], age=[30, 41, None])
    >>> table
    CustomerTable(3 rows; city: text, age: number)
    >>> table.column("age").values()
    array([30., 41., nan])
    """

    key: ClassVar[str] = "customer_id"

    @property
    def customer_id(self) -> npt.NDArray[Any]:
        """The ids in the order given, shape (n,)."""
        return self._ids

    @classmethod
    def from_columns(cls, *, customer_id: ColumnLike, **columns: ColumnLike) -> Self:
        """Build a table from columns of n rows.

        Parameters
        ----------
        customer_id : array_like of int or str, shape (n,)
            Each id once.
        **columns : array_like, shape (n,)
            The fields by name; None, NaN and NaT mean missing.

        Raises
        ------
        InputError
            An id is missing or occurs twice, or columns have different lengths or mixed types.
        """
        return cls._build(customer_id, columns)

    @classmethod
    def from_customers(cls, customers: Iterable[Customer]) -> Self:
        """Build a table from Customer objects; an attribute that a customer lacks is a missing value.

        Examples
        --------
        >>> CustomerTable.from_customers([Customer("c1", {"city": "Kazan"}), Customer("c2")])
        CustomerTable(2 rows; city: text)
        """
        people = list(customers)
        names = sorted({name for person in people for name in person.attributes})
        columns = {name: [person.attributes.get(name) for person in people] for name in names}
        return cls._build([person.id for person in people], columns)


@attrs.frozen(eq=False, repr=False)
class ItemTable(Table):
    """What is known about items: category, price, margin, date of launch, stock, and whatever else you need.

    Examples
    --------
    >>> ItemTable.from_columns(item=["scarf", "coat"], category=["wool", "coats"], price=[19.9, 240.0])
    ItemTable(2 rows; category: text, price: number)
    """

    key: ClassVar[str] = "item"

    @property
    def item(self) -> npt.NDArray[Any]:
        """The item ids in the order given, shape (n,)."""
        return self._ids

    @classmethod
    def from_columns(cls, *, item: ColumnLike, **columns: ColumnLike) -> Self:
        """Build a table from columns of n rows, with each item once; None, NaN and NaT mean missing."""
        return cls._build(item, columns)
