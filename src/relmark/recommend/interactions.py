"""Who bought what, when, how much and in which order: the one input of every recommender.

Rows are kept in one canonical order (customer, item, time), so that a shuffled input gives the same numbers to the last
bit, and the sparse matrix of customers by items is there without sorting again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.checks import FloatArray, IntArray, numbers, one_of, refuse_rows, same_length
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.formats import html_table, text_table
from relmark.core.frozen import Frozen, locked, owned
from relmark.core.ids import code_ids
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.ordering import stable_order
from relmark.core.table import ItemTable
from relmark.core.time import Instant, duration, instant, instant_text, instants
from relmark.recommend._history import WEIGHTS, Weight, history_of

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Interactions", "Weight"]

Codes = npt.NDArray[np.integer[Any]]


def _optional(array: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    return None if array is None else owned(array)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Interactions(Frozen):
    """Lines of purchases (or views, or plays), coded: one row a line, ordered by customer, item and time.

    Parameters
    ----------
    customer_id : ndarray, shape (n,)
        Every customer once, ascending.
    item : ndarray, shape (m,)
        Every item once, ascending: those of the lines, and those of `catalogue` that nobody has bought yet.
    customer_code, item_code : ndarray of int, shape (lines,)
        Positions in the two above.
    time : ndarray of int64, shape (lines,), or None
        Microseconds UTC.
    quantity, value : ndarray of float64, shape (lines,), or None
        Pieces, and money of the line (not of one piece; NaN where unknown).
    order_code : ndarray of int, shape (lines,), or None
        Lines of one order have one code.
    catalogue : ItemTable, optional
        What is known of the items: category, price, stock, launch.

    Examples
    --------
    >>> x = Interactions.from_columns(customer_id=["b", "a", "a"], item=["scarf", "coat", "scarf"])
    >>> x
    Interactions(3 lines, 2 customers, 2 items, 3 pairs)
    >>> x.matrix().toarray()
    array([[1., 1.],
           [0., 1.]], dtype=float32)
    """

    customer_id: npt.NDArray[Any] = attrs.field(converter=owned)
    item: npt.NDArray[Any] = attrs.field(converter=owned)
    customer_code: Codes = attrs.field(converter=owned)
    item_code: Codes = attrs.field(converter=owned)
    time: IntArray | None = attrs.field(converter=_optional, default=None)
    quantity: FloatArray | None = attrs.field(converter=_optional, default=None)
    value: FloatArray | None = attrs.field(converter=_optional, default=None)
    order_code: Codes | None = attrs.field(converter=_optional, default=None)
    catalogue: ItemTable | None = None

    @classmethod
    def from_columns(
        cls,
        *,
        customer_id: Any,
        item: Any,
        time: Any = None,
        quantity: Any = None,
        value: Any = None,
        order: Any = None,
        catalogue: ItemTable | None = None,
        tz: str = "UTC",
    ) -> Self:
        """Build interactions from columns of n rows, in any order.

        Parameters
        ----------
        customer_id, item : array_like of int or str, shape (n,)
        time : array_like, shape (n,), optional
            datetime64 (local times of `tz`), aware datetimes, or ISO strings with a zone. Without it, whatever counts
            time (a half-life, 'not again within 30 days') is refused.
        quantity : array_like of float, shape (n,), optional
            Pieces, above 0: leave returns out first.
        value : array_like of float, shape (n,), optional
            Money of the line, 0 or more; NaN where unknown.
        order : array_like of int or str, shape (n,), optional
            The order, invoice or receipt of the line: what was bought together.
        catalogue : ItemTable, optional
            What is known of the items. Its items that nobody has bought yet become part of `item`.
        tz : str
            The time zone of datetime64 columns.

        Raises
        ------
        InputError
            Missing ids or times, columns of different lengths, a quantity of 0 or less, a negative value.
        """
        customers, customer_code = code_ids("customer_id", customer_id)
        known, given = code_ids("item", item)
        item_code: Codes = given
        n = len(customer_code)
        same_length("item", item_code, n)
        moments = None
        if time is not None:
            moments = instants("time", time, tz=tz)
            same_length("time", moments, n)
        pieces = money = None
        if quantity is not None:
            pieces = numbers("quantity", quantity, length=n)
            refuse_rows(
                "quantity", pieces <= 0, pieces, "values above 0 are needed", "Leave returns and cancelled lines out."
            )
        if value is not None:
            money = numbers("value", value, length=n, low=0.0, missing=True)
        orders = None
        if order is not None:
            orders = code_ids("order", order)[1]
            same_length("order", orders, n)
        if catalogue is not None:
            known, item_code = _with_catalogue(known, item_code, catalogue)
        rows = _canonical(customer_code, item_code, len(known), moments, [orders, pieces, money])
        return cls(
            customer_id=customers,
            item=known,
            customer_code=locked(customer_code[rows]),
            item_code=locked(item_code[rows]),
            time=None if moments is None else locked(moments[rows]),
            quantity=None if pieces is None else locked(pieces[rows]),
            value=None if money is None else locked(money[rows]),
            order_code=None if orders is None else locked(orders[rows]),
            catalogue=catalogue,
        )

    @classmethod
    def from_log(
        cls,
        log: EventLog,
        type: str = "purchase",
        *,
        item: str = "sku",
        order: str | None = None,
        quantity: str | None = None,
        catalogue: ItemTable | None = None,
    ) -> Self:
        """Build interactions from the events of one type; an event without the item property is left out.

        Parameters
        ----------
        log : EventLog
        type : str
            The type of the events.
        item, order, quantity : str
            The names of properties. `EventLog.purchases` calls them 'item', 'order' and 'quantity'.
        catalogue : ItemTable, optional
            What is known of the items.

        Raises
        ------
        MissingColumnError
            No event has the property.
        """
        part = log.required(type)
        for name in (item, order, quantity):
            if name is not None and name not in part.properties:
                has = ", ".join(map(repr, part.properties)) or "none"
                raise MissingColumnError(
                    f"no {type!r} event has the property {name!r}; there are {has}."
                    f"{did_you_mean(name, part.properties)}"
                )
        keep = ~part.properties[item].missing

        def column(name: str | None) -> Any:
            return None if name is None else part.properties[name].take(keep).values()

        wares = part.properties[item].take(keep)
        return cls.from_columns(
            customer_id=log.customer_id[part.code[keep]],
            item=wares.data.astype(np.int64) if wares.kind == "number" and _whole(wares.data) else wares.values(),
            time=part.time[keep].view("M8[us]"),
            quantity=column(quantity),
            value=None if part.value is None else part.value[keep],
            order=column(order),
            catalogue=catalogue,
        )

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.customer_code)

    @property
    def n_customers(self) -> int:
        """How many customers there are."""
        return len(self.customer_id)

    @property
    def n_items(self) -> int:
        """How many items there are, bought or not."""
        return len(self.item)

    @property
    def last_time(self) -> int | None:
        """The instant of the last line in microseconds UTC, None without times or lines."""
        return int(self.time.max()) if self.time is not None and len(self) else None

    def until(self, as_of: Instant) -> Self:
        """Return the interactions as they were at an instant: the lines at or before it, the same ids."""
        if self.time is None:
            raise InputError("these interactions have no time: give from_columns a time column to use as_of.")
        return self.take(self.time <= instant(as_of))

    def take(self, mask: npt.NDArray[np.bool_]) -> Self:
        """Return the lines where a mask of shape (lines,) is true; the ids and their codes stay as they are."""
        chosen = np.asarray(mask)
        if chosen.dtype != np.bool_ or chosen.ndim != 1:
            raise InputError(f"mask has dtype {chosen.dtype} and shape {chosen.shape}: one boolean a line is needed.")
        same_length("mask", chosen, len(self))
        return self._rows(chosen)

    def _rows(self, rows: npt.NDArray[Any]) -> Self:
        """Return some lines, by a mask or in an order."""
        lines = ("customer_code", "item_code", "time", "quantity", "value", "order_code")
        given = {name: getattr(self, name) for name in lines}
        taken: dict[str, Any] = {name: None if line is None else locked(line[rows]) for name, line in given.items()}
        return attrs.evolve(self, **taken)

    def with_catalogue(self, catalogue: ItemTable) -> Self:
        """Return the interactions with another table of items; items that only it has become part of `item`."""
        known, item_code = _with_catalogue(self.item, self.item_code, catalogue)
        return attrs.evolve(self, item=known, item_code=item_code, catalogue=catalogue)

    def pairs(self) -> tuple[Codes, Codes, IntArray]:
        """Return customer and item code of each distinct pair, ordered, and where its lines start: (p,) (p,) (p+1,)."""
        first = np.ones(len(self), dtype=np.bool_)
        if len(self) > 1:
            first[1:] = (self.customer_code[1:] != self.customer_code[:-1]) | (
                self.item_code[1:] != self.item_code[:-1]
            )
        starts = np.flatnonzero(first)
        return self.customer_code[starts], self.item_code[starts], np.append(starts, len(self))

    def matrix(
        self,
        weight: Weight = "binary",
        *,
        half_life: timedelta | None = None,
        as_of: Instant | None = None,
    ) -> csr_matrix:
        """Return customers by items as a float32 CSR matrix, shape (n, m).

        Parameters
        ----------
        weight : {"binary", "log", "quantity", "purchases"}
            1 for a pair that occurs; log(1 + pieces); pieces; or the number of distinct purchases.
        half_life : timedelta, optional
            A line of this age counts one half: pieces and purchases are summed with 2 ** (-age / half_life), a binary
            pair has the decay of its last line.
        as_of : instant, optional
            Lines after it are left out, ages are counted from it. By default the time of the last line.

        Returns
        -------
        scipy.sparse.csr_matrix
            What implicit and scipy take.
        """
        from scipy.sparse import csr_matrix

        seen = self if as_of is None else self.until(as_of)
        now = seen.last_time if as_of is None else instant(as_of)
        past = history_of(seen, weight=weight, half_life=half_life, now=now)
        entries = (past.weight, past.item, past.indptr)
        return csr_matrix(entries, shape=(self.n_customers, self.n_items), copy=True)  # what is taken may be written to

    def purchase_code(self) -> Codes:
        """Return for each line which purchase it belongs to: its order, else its instant, else the line itself."""
        if self.order_code is not None:
            return self.order_code
        if self.time is not None:
            return np.unique(self.time, return_inverse=True)[1]
        return np.arange(len(self))

    def by_order(self) -> Self:
        """Return the interactions with purchases in the place of customers: what was bought together.

        A purchase is an order; without orders, what has one instant; without times, a line.
        """
        used, code = np.unique(self.purchase_code(), return_inverse=True)
        rows = _canonical(code, self.item_code, self.n_items, self.time, [self.quantity, self.value])
        return attrs.evolve(self._rows(rows), customer_id=used, customer_code=code[rows])

    def decay(self, half_life: timedelta | None, now: int | None) -> FloatArray:
        """Return 2 ** (-age / half_life) of each line, ones without a half-life, shape (lines,)."""
        if half_life is None:
            return np.ones(len(self))
        if self.time is None:
            raise InputError("half_life needs times: give from_columns a time column, or leave half_life out.")
        h = duration("half_life", half_life)
        return np.exp2((self.time - (now if now is not None else 0)) / h)

    def _counts(self) -> str:
        pairs = len(self.pairs()[0])
        return f"{len(self):,} lines, {self.n_customers:,} customers, {self.n_items:,} items, {pairs:,} pairs"

    def __repr__(self) -> str:
        if self.time is None or not len(self):
            return f"Interactions({self._counts()})"
        period = f"{instant_text(int(self.time.min()))[:10]} to {instant_text(int(self.time.max()))[:10]}"
        return f"Interactions({self._counts()}, {period})"

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the lines as columns: customer_id, item, and time, quantity and value where there are some."""
        columns: dict[str, npt.NDArray[Any]] = {
            "customer_id": self.customer_id[self.customer_code],
            "item": self.item[self.item_code],
        }
        if self.time is not None:
            columns["time"] = self.time.view("M8[us]")
        for name in ("quantity", "value"):
            if getattr(self, name) is not None:
                columns[name] = getattr(self, name)
        if self.order_code is not None:
            columns["order"] = self.order_code
        return columns

    def __str__(self) -> str:
        return text_table(self.to_columns())

    def _repr_html_(self) -> str:
        return html_table(self.to_columns(), caption=repr(self))


def check_weight(instance: Any, attribute: Any, value: Any) -> None:  # noqa: ARG001
    """Validate the weight of an attrs class."""
    one_of("weight", value, WEIGHTS)


def _whole(data: npt.NDArray[Any]) -> bool:
    return data.dtype.kind == "i" or bool((data == np.floor(data)).all() and (np.abs(data) < 2**53).all())


def _with_catalogue(known: npt.NDArray[Any], codes: Codes, catalogue: ItemTable) -> tuple[npt.NDArray[Any], Codes]:
    """Return the union of two sets of item ids, ascending, and the codes among it."""
    if not isinstance(catalogue, ItemTable):
        raise InputError(f"catalogue is a {type(catalogue).__name__}: an ItemTable is needed.")
    listed = np.sort(catalogue.item)
    if len(known) and len(listed) and (known.dtype.kind == "U") != (listed.dtype.kind == "U"):
        raise InputError("item and catalogue.item are of different types: int in both, or str in both.")
    union = np.union1d(known, listed) if len(known) and len(listed) else known if len(known) else listed
    return union, np.searchsorted(union, known)[codes] if len(known) else codes


def _canonical(
    customer: Codes, item: Codes, n_items: int, time: IntArray | None, ties: list[npt.NDArray[Any] | None]
) -> IntArray:
    """Return the rows ordered by customer, item and time; rows equal in all three by what else is known of them."""
    pair = customer.astype(np.int64) * max(n_items, 1) + item
    if time is None:
        order = stable_order(pair)
    else:
        order = stable_order(time)
        order = order[stable_order(pair[order])]
    same = pair[order][1:] == pair[order][:-1]
    if time is not None:
        same &= time[order][1:] == time[order][:-1]
    keys = [key for key in ties if key is not None]
    if not keys or not same.any():
        return order
    tied = np.zeros(len(order), dtype=np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    group = np.cumsum(np.append(True, ~same))[tied]
    rows = order[tied]
    order[tied] = rows[np.lexsort([*(key[rows] for key in reversed(keys)), group])]
    return order
