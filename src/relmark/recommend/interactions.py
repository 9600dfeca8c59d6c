"""Interactions: who bought what, when, how much and in which order; the input of every recommender."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import AsOf, AsOfGiven, read_as_of
from relmark.core.base import CustomerBase, OneCustomer, purchases_of
from relmark.core.checks import FloatArray, IntArray, numbers, one_of, refuse_rows, same_length, shown
from relmark.core.columns import Column, ColumnLike
from relmark.core.errors import InputError
from relmark.core.formats import SHOWN_ROWS, html_table, text_table
from relmark.core.frames import Frame, columns_of
from relmark.core.frozen import Frozen, locked, owned
from relmark.core.ids import Coded, code_ids, is_text, staying
from relmark.core.ordering import small_codes
from relmark.core.purchases import Purchases
from relmark.core.table import ItemTable
from relmark.core.time import UtcTimes, instants, time_zone
from relmark.core.zones import local_days
from relmark.recommend._history import WEIGHTS, Weight, history_of
from relmark.recommend._lines import Codes, Lines, in_order
from relmark.recommend._orders import order_codes
from relmark.recommend._reading import lines_of_base

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Interactions", "PurchaseSource", "Weight"]


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Interactions(Frozen):
    """Lines of purchases (or views, or plays) of items by customers; made by `of`, `from_columns` or `from_frame`.

    Lines are in the order of the caller's rows, in every array here, in `to_columns` and in `take`.

    Attributes
    ----------
    customer_id : ndarray, shape (n,)
        The customers with a line, each once, ascending.
    item : ndarray, shape (m,)
        The items, each once, ascending: those of the lines, and those of `catalog` that nobody has bought yet.
    catalog : ItemTable or None
        The table of items: category, price, stock, launch.
    tz : str
        The time zone of calendar days.
    as_of : AsOf or None
        The date or instant up to which lines were read; None if all were.
    counts : mapping of str to int
        How many lines needed a decision: lines `without_item`, which are left out; lines `without_pieces`, whose
        quantity is 0 or less and which count as no pieces; and lines `pieces_unknown`, which count as one piece.

    Examples
    --------
    >>> from relmark.recommend import Interactions
    >>> x = Interactions.from_columns(customer_id=["b", "a", "a"], item=["scarf", "coat", "scarf"])
    >>> x
    Interactions(3 lines, 2 customers, 2 items, 3 pairs)
    >>> x.matrix().toarray()
    array([[1., 1.],
           [0., 1.]], dtype=float32)
    """

    customer_id: npt.NDArray[Any] = attrs.field(converter=owned)
    item: npt.NDArray[Any] = attrs.field(converter=owned)
    catalog: ItemTable | None = None
    tz: str = "UTC"
    as_of: AsOf | None = None
    counts: Mapping[str, int] = attrs.field(factory=dict)
    _lines: Lines

    # ---- constructors

    @classmethod
    def of(
        cls,
        data: CustomerBase | Purchases,
        weights: Mapping[str, float] | None = None,
        as_of: AsOfGiven | AsOf | None = None,
        catalog: ItemTable | None = None,
    ) -> Self:
        """Return the interactions of a base: its purchases, with refunds and orders as in `Purchases`.

        Items come from the property 'item', which `CustomerBase.from_orders` and `EventLog.purchases` write.

        Parameters
        ----------
        data : CustomerBase or Purchases
            A base stands for its ``purchases()``. Give ``base.purchases(...)`` to choose its settings; with
            ``type="view"``, for example, views count as purchases.
        weights : mapping of str to float, optional
            Other types of events of the base to include, with the weight of each: ``{"purchase": 1, "cart": .5,
            "view": .1}``. Purchases have weight 1 unless named. Orders, repeats and rules about purchases still use
            purchases only.
        as_of : date or instant, optional
            Up to when to read: a date includes lines before its local midnight, an instant those at or before it.
        catalog : ItemTable, optional
            The table of items; by default that of the base.

        Raises
        ------
        MissingColumnError
            The events have no property 'item'.
        InputError
            `data` is neither a base nor Purchases, or a weight is below 0.

        Examples
        --------
        >>> orders = {"who": [7, 7, 8], "sku": ["tea", "cup", "tea"], "day": ["2026-01-05", "2026-01-05", "2026-01-09"]}
        >>> base = CustomerBase.from_orders(orders, customer_id="who", item="sku", time="day")
        >>> Interactions.of(base, as_of="2026-01-09")
        Interactions(2 lines, 1 customers, 2 items, 2 pairs, 2026-01-05 to 2026-01-05)
        """
        if not isinstance(data, (CustomerBase, Purchases)):
            raise InputError(_not_purchases("data", data), argument="data", code="wrong_type")
        bought = purchases_of(data, as_of)
        base = data if isinstance(data, CustomerBase) else None
        found = lines_of_base(bought, base, weights)
        if catalog is None and base is not None:
            catalog = base.items
        known, lines = found.item, found.lines
        if catalog is not None:
            known, lines = _with_catalog(known, lines, catalog)
        return cls(
            customer_id=found.customer_id,
            item=known,
            lines=lines,
            catalog=catalog,
            tz=bought.tz,
            as_of=bought.as_of,
            counts=found.counts,
        )

    @classmethod
    def from_columns(
        cls,
        *,
        customer_id: npt.ArrayLike,
        item: npt.ArrayLike,
        time: npt.ArrayLike | None = None,
        quantity: npt.ArrayLike | None = None,
        value: npt.ArrayLike | None = None,
        order: npt.ArrayLike | None = None,
        catalog: ItemTable | None = None,
        tz: str = "UTC",
    ) -> Self:
        """Build interactions from columns of n rows in any order, also for data without money or time.

        Parameters
        ----------
        customer_id, item : array_like of int or str, shape (n,)
            The customer and the item of each line.
        time : array_like, shape (n,), optional
            Dates, datetime64, datetimes or ISO texts. Times without a zone are local times in `tz`. Without this
            column, settings that need times (a half-life, 'not again within 30 days') are refused.
        quantity : array_like of float, shape (n,), optional
            The number of pieces, above 0. Remove returns first.
        value : array_like of float, shape (n,), optional
            The money of the line (not of one piece), 0 or more; NaN if unknown.
        order : array_like of int or str, shape (n,), optional
            The order, invoice or receipt of the line, which defines what was bought together. An order belongs to one
            customer, and a number that a customer uses again after a month is a new order. Lines without an order form
            one order per customer and time.
        catalog : ItemTable, optional
            The table of items. Its items that nobody has bought yet become part of `item`.
        tz : str
            The time zone of the business, for times without a zone and for calendar days.

        Raises
        ------
        InputError
            Ids or times are missing, columns have different lengths, a quantity is 0 or less, or a value is negative.
        """
        time_zone(tz)
        given = {"customer_id": customer_id, "item": item, "time": time, "quantity": quantity, "value": value}
        read = {name: _sequence(name, column) for name, column in given.items() if column is not None}
        if "customer_id" not in read or "item" not in read:
            name = "customer_id" if "customer_id" not in read else "item"
            raise InputError(
                f"{name} is None: a column of ids is needed, one per row.", argument=name, code="missing_value"
            )
        customers, customer_code = code_ids("customer_id", read["customer_id"])
        known, item_code = code_ids("item", read["item"])
        n = len(customer_code)
        same_length("item", item_code, n)
        moments = pieces = money = orders = names = None
        if "time" in read:
            same_length("time", read["time"], n)
            moments = instants("time", read["time"], tz=tz)
        if "quantity" in read:
            pieces = numbers("quantity", read["quantity"], length=n)
            refuse_rows(
                "quantity", pieces <= 0, pieces, "values above 0 are needed", "Leave returns and canceled lines out."
            )
        if "value" in read:
            money = numbers("value", read["value"], length=n, low=0.0, missing=True)
        if order is not None:
            names = Column.of("order", _sequence("order", order))
            same_length("order", names, n)  # type: ignore[arg-type]
            orders = order_codes(customer_code, names, moments)
        lines = Lines(
            n_customers=len(customers),
            n_items=len(known),
            customer=locked(customer_code),
            item=locked(item_code),
            row=locked(small_codes(np.arange(n), n)),
            time=moments,
            quantity=pieces,
            value=money,
            order=orders,
            order_name=names,
        )
        if catalog is not None:
            known, lines = _with_catalog(known, lines, catalog)
        return cls(customer_id=customers, item=known, lines=in_order(lines), catalog=catalog, tz=tz)

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        *,
        customer_id: str,
        item: str,
        time: str | None = None,
        quantity: str | None = None,
        value: str | None = None,
        order: str | None = None,
        tz: str = "UTC",
    ) -> Self:
        """Build interactions from a pandas, polars or pyarrow frame, or from a mapping; see `from_columns`.

        Parameters
        ----------
        frame : frame or mapping of str to array_like
            The lines.
        customer_id, item, time, quantity, value, order : str
            The names of the columns of the frame.
        tz : str
            The time zone of the business.

        Examples
        --------
        >>> lines = {"who": ["a", "b"], "sku": ["tea", "tea"]}
        >>> Interactions.from_frame(lines, customer_id="who", item="sku")
        Interactions(2 lines, 2 customers, 1 items, 2 pairs)
        """
        named = {"customer_id": customer_id, "item": item, "time": time, "quantity": quantity, "value": value}
        chosen = {role: name for role, name in (named | {"order": order}).items() if name is not None}
        if "customer_id" not in chosen or "item" not in chosen:
            raise InputError(
                "customer_id and item are needed: the names of the columns with customers and items.",
                argument="customer_id",
                code="missing_argument",
            )
        columns = columns_of(frame, list(chosen.values()))
        return cls.from_columns(**{role: columns[name] for role, name in chosen.items()}, tz=tz)

    # ---- contents

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    @property
    def n_customers(self) -> int:
        """The number of customers."""
        return len(self.customer_id)

    @property
    def n_items(self) -> int:
        """The number of items, bought or not."""
        return len(self.item)

    @property
    def customer_code(self) -> Codes:
        """The customer of each line, as a position in `customer_id`, shape (lines,)."""
        return self._as_they_came(self._lines.customer)

    @property
    def item_code(self) -> Codes:
        """The item of each line, as a position in `item`, shape (lines,)."""
        return self._as_they_came(self._lines.item)

    @property
    def row(self) -> Codes:
        """The caller's row of each line, ascending, shape (lines,)."""
        return self._as_they_came(self._lines.row)

    @property
    def time(self) -> IntArray | None:
        """The time of each line in microseconds UTC, shape (lines,), or None."""
        return None if self._lines.time is None else self._as_they_came(self._lines.time)

    @property
    def quantity(self) -> FloatArray | None:
        """The pieces of each line, shape (lines,), or None."""
        return None if self._lines.quantity is None else self._as_they_came(self._lines.quantity)

    @property
    def value(self) -> FloatArray | None:
        """The money of each line (NaN if unknown), shape (lines,), or None."""
        return None if self._lines.value is None else self._as_they_came(self._lines.value)

    @property
    def order_code(self) -> Codes:
        """The order of each line as a code, shape (lines,); an order belongs to one customer.

        Lines without an order form one order per customer and instant; without times each line is an order.
        """
        return self._as_they_came(self._lines.orders)

    @property
    def last_time(self) -> int | None:
        """The instant of the last line in microseconds UTC, None without times or lines."""
        time = self._lines.time
        return int(time.max()) if time is not None and len(self) else None

    @property
    def lines(self) -> Lines:
        """The lines in the canonical order that kernels need: by customer, item and time."""
        return self._lines

    def _as_they_came(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return locked(array[self._lines.arrival])

    # ---- parts and forms

    def until(self, as_of: AsOfGiven | AsOf) -> Self:
        """Return the lines before the midnight of a date, or at or before an instant, with the same ids."""
        moment = as_of if isinstance(as_of, AsOf) else read_as_of(as_of, tz=self.tz)
        if self._lines.time is None:
            raise InputError(
                "these interactions have no time: give from_columns a time column to use as_of.",
                argument="as_of",
                code="missing_argument",
            )
        return attrs.evolve(self.where(self._lines.time <= moment.seen), as_of=moment)

    def take(self, mask: npt.ArrayLike) -> Self:
        """Return the lines for which a mask of shape (lines,) is true; ids and codes do not change.

        The mask is in the order of `to_columns`, which is the order of the caller's rows.
        """
        chosen = np.asarray(mask)
        if chosen.dtype != np.bool_ or chosen.ndim != 1:
            raise InputError(
                f"mask has dtype {chosen.dtype} and shape {chosen.shape}: one boolean per line is needed, such as "
                "x.to_columns()['time'] > cut.",
                argument="mask",
                code="wrong_shape",
            )
        if len(chosen) != len(self):
            raise InputError(
                f"mask has {len(chosen):,} rows and the interactions {len(self):,} lines: make it from x.to_columns(), "
                "or choose the rows that became lines, mask[x.row].",
                argument="mask",
                code="wrong_length",
            )
        sorted_mask = np.empty(len(self), dtype=np.bool_)
        sorted_mask[self._lines.arrival] = chosen
        return self.where(sorted_mask)

    def where(self, mask: npt.NDArray[np.bool_]) -> Self:
        """Return the lines for which a mask in the order of `lines` is true."""
        return self if mask.all() else attrs.evolve(self, lines=self._lines.take(mask))

    def without(self, ids: ColumnLike | AbstractSet[object]) -> Self:
        """Return the interactions without some customers: without their ids, lines and order numbers.

        Items stay, even those that only these customers bought, since an item identifies nobody. Unknown ids are
        ignored.

        Examples
        --------
        >>> x = Interactions.from_columns(customer_id=["a", "b"], item=["tea", "milk"])
        >>> x.without({"b"})
        Interactions(1 lines, 1 customers, 2 items, 1 pairs)
        """
        stay = staying(self.customer_id, ids)
        lines = self._lines.take(stay[self._lines.customer])
        code = small_codes(np.cumsum(stay) - 1, max(int(stay.sum()), 1))
        lines = lines.among(code, int(stay.sum()), np.arange(self.n_items), self.n_items)
        if lines.order_name is not None:
            lines = attrs.evolve(lines, order_name=lines.order_name.compact())
        return attrs.evolve(self, customer_id=self.customer_id[stay], lines=lines)

    def among(self, customer_id: npt.NDArray[Any], item: npt.NDArray[Any]) -> Self:
        """Return the same lines with larger, ascending sets of customers and items."""
        customer, wares = (
            small_codes(np.searchsorted(more, own), len(more)) if len(own) else np.zeros(0, dtype=np.int32)
            for more, own in ((customer_id, self.customer_id), (item, self.item))
        )
        lines = self._lines.among(customer, len(customer_id), wares, len(item))
        return attrs.evolve(self, customer_id=customer_id, item=item, lines=lines)

    def with_catalog(self, catalog: ItemTable) -> Self:
        """Return the interactions with another table of items, whose additional items become part of `item`."""
        known, lines = _with_catalog(self.item, self._lines, catalog)
        return attrs.evolve(self, item=known, lines=lines, catalog=catalog)

    def pairs(self) -> tuple[Codes, Codes, IntArray]:
        """Return the customer code, item code and number of lines of each distinct pair in order, shape (p,) each."""
        customer, item, starts = self._lines.pairs()
        return customer, item, np.diff(starts)

    def matrix(
        self,
        weight: Weight = "binary",
        *,
        half_life: timedelta | None = None,
        as_of: AsOfGiven | AsOf | None = None,
    ) -> csr_matrix:
        """Return the weights of customers by items as a float32 CSR matrix, shape (n, m).

        Parameters
        ----------
        weight : {"binary", "log", "quantity", "purchases"}
            The weight of a pair: 1 if it occurs, log(1 + pieces), the number of pieces, or the number of distinct
            purchases. If lines have weights, a binary pair gets the largest weight of its lines, and pieces and
            purchases are multiplied by the weights.
        half_life : timedelta, optional
            The age at which a line counts one half. Pieces and purchases are summed with 2 ** (-age / half_life); a
            binary pair gets the decay of its last line.
        as_of : date or instant, optional
            Lines after it are left out, and ages are counted from it. By default it is the `as_of` with which these
            interactions were read, else the time of the last line.

        Returns
        -------
        scipy.sparse.csr_matrix
            The form that implicit and scipy take.
        """
        from scipy.sparse import csr_matrix

        one_of("weight", weight, WEIGHTS)
        seen = self if as_of is None else self.until(as_of)
        past = history_of(seen.lines, weight=weight, half_life=half_life, now=seen.clock)
        entries = (past.weight, past.item, past.indptr)
        # A copy, so that the caller may change it.
        return csr_matrix(entries, shape=(self.n_customers, self.n_items), copy=True)

    @property
    def known_by(self) -> AsOf | None:
        """The `as_of` with which the lines were read, else the instant of the last; None without times or lines."""
        if self.as_of is not None:
            return self.as_of
        last = self.last_time
        return None if last is None else AsOf(last, dated=False, tz=self.tz)

    @property
    def clock(self) -> int | None:
        """The instant from which ages are counted, in microseconds UTC."""
        known = self.known_by
        return None if known is None else int(known.clock)

    def by_order(self) -> Self:
        """Return the purchases with orders in place of customers: what was bought together.

        An order belongs to one customer. Lines without an order form one order per customer and instant; without times
        each line is an order. `customer_id` numbers the orders from 0.
        """
        lines = self._lines.by_order()
        return attrs.evolve(self, customer_id=np.arange(lines.n_customers), lines=lines)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the lines as columns in the order of the caller's rows: customer_id, item, and the others that exist.

        These are time (in UTC), quantity, value and order, and weight and bought if lines have weights.
        """
        return self._columns(self._lines.arrival)

    def _columns(self, rows: IntArray) -> dict[str, npt.NDArray[Any]]:
        lines = self._lines
        columns: dict[str, npt.NDArray[Any]] = {
            "customer_id": self.customer_id[lines.customer[rows]],
            "item": self.item[lines.item[rows]],
        }
        if lines.time is not None:
            columns["time"] = lines.time[rows].view("M8[us]")
        for name in ("quantity", "value"):
            if getattr(lines, name) is not None:
                columns[name] = getattr(lines, name)[rows]
        if lines.order_name is not None:
            columns["order"] = lines.order_name.take(rows).values()
        for name in ("weight", "bought"):
            if getattr(lines, name) is not None:
                columns[name] = getattr(lines, name)[rows]
        return columns

    # ---- display

    def _said(self) -> list[str]:
        words = {
            "without_item": "lines without an item were left out",
            "without_pieces": "lines with a quantity of 0 or less count as no pieces",
            "pieces_unknown": "lines without a quantity count as one piece",
        }
        return [f"{self.counts[name]:,} {said}" for name, said in words.items() if self.counts.get(name)]

    def __repr__(self) -> str:
        pairs = len(self._lines.pairs()[0])
        facts = f"{len(self):,} lines, {self.n_customers:,} customers, {self.n_items:,} items, {pairs:,} pairs"
        time = self._lines.time
        if time is None or not len(self):
            return f"Interactions({facts})"
        first, last = local_days(np.array([time.min(), time.max()]), self.tz).astype("M8[D]")
        return f"Interactions({facts}, {first} to {last})"

    def _head(self) -> dict[str, npt.NDArray[Any]]:
        return self._columns(self._lines.arrival[:SHOWN_ROWS])

    def __str__(self) -> str:
        return "\n".join([text_table(self._head(), total=len(self)), *self._said()])

    def _repr_html_(self) -> str:
        return html_table(self._head(), total=len(self), caption=repr(self), lines=self._said())


PurchaseSource: TypeAlias = Interactions | CustomerBase | Purchases | OneCustomer
"""The input of every recommender: interactions, a base, its purchases, or one customer's history."""


def interactions_of(
    data: PurchaseSource, as_of: AsOfGiven | AsOf | None = None, *, name: str = "interactions"
) -> Interactions:
    """Return an argument as interactions, read up to a date or an instant if one is given."""
    if isinstance(data, Interactions):
        return data if as_of is None else data.until(as_of)
    if isinstance(data, OneCustomer):
        data = data.to_base()
    if isinstance(data, (CustomerBase, Purchases)):
        return Interactions.of(data, as_of=as_of)
    raise InputError(_not_purchases(name, data), argument=name, code="wrong_type")


def check_weight(instance: Any, attribute: Any, value: Any) -> None:  # noqa: ARG001
    """Validate the weight of an attrs class."""
    one_of("weight", value, WEIGHTS)


def _not_purchases(name: str, data: Any) -> str:
    return (
        f"{name} is a {type(data).__name__}: a CustomerBase, its Purchases, or Interactions are needed. Make them with "
        "CustomerBase.from_orders(frame, customer_id=..., time=..., item=...) or, without times, with "
        "Interactions.from_columns(customer_id=..., item=...)."
    )


def _sequence(name: str, column: Any) -> Any:
    """Return a column with rows; coded columns and times with a zone are returned unchanged."""
    if isinstance(column, (Coded, UtcTimes)):
        return column
    if isinstance(column, (str, bytes, Mapping, set, frozenset)) or not hasattr(column, "__len__"):
        raise InputError(
            f"{name} is {shown(column)}: a column is needed, one value per row.", argument=name, code="wrong_type"
        )
    if hasattr(column, "__array__"):
        array = np.asarray(column)
        zone = getattr(getattr(column, "dtype", None), "time_zone", None)  # polars, whose arrays are then in UTC
        if zone is not None or getattr(getattr(column, "type", None), "tz", None) is not None:  # and pyarrow
            return UtcTimes(array.astype("M8[us]"))
        if array.dtype.kind == "T":
            return array.tolist()
        if array.ndim != 1:
            raise InputError(
                f"{name} has shape {array.shape}: one value per row is needed.", argument=name, code="wrong_shape"
            )
        return array
    return column


def _with_catalog(known: npt.NDArray[Any], lines: Lines, catalog: ItemTable) -> tuple[npt.NDArray[Any], Lines]:
    """Return the ascending union of the items of lines and catalog, and the lines coded by it."""
    if not isinstance(catalog, ItemTable):
        raise InputError(
            f"catalog is a {type(catalog).__name__}: an ItemTable is needed.",
            argument="catalog",
            code="wrong_type",
            hint="Make one with ItemTable.from_frame(...).",
        )
    listed = np.sort(catalog.item)
    if len(known) and len(listed) and is_text(known) != is_text(listed):
        raise InputError(
            "item and catalog.item have different types: int in both, or str in both, is needed.",
            argument="item",
            code="mixed_types",
        )
    union = np.union1d(known, listed) if len(known) and len(listed) else known if len(known) else listed
    place = small_codes(np.searchsorted(union, known) if len(known) else np.zeros(0, dtype=np.int64), len(union))
    customers = np.arange(lines.n_customers)
    return union, lines.among(small_codes(customers, len(customers)), len(customers), place, len(union))
