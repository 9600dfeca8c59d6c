"""`CustomerBase`: the customer table, the event log and the items on one customer index, in the business's time zone.

This is what segments, scores and metrics take. Everything that belongs to customers is aligned with
`base.customer_id`: the table's order first, then the ids that only the log has, ascending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, Protocol, Self, runtime_checkable

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.accounts import accounts_of, aggregated, asked_of
from relmark.core.as_of import AsOf, AsOfGiven, read_as_of
from relmark.core.checks import same_length, shown
from relmark.core.columns import Column, ColumnLike
from relmark.core.errors import InputError, MissingColumnError
from relmark.core.formats import html_table
from relmark.core.frames import Frame, columns_of, to_frame
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import find_ids, id_array, is_text
from relmark.core.incoming import column_names
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.purchases import Free, OrderBy, Purchases, Refunds, purchases_of_log
from relmark.core.results import Result, Rows
from relmark.core.schema import Schema
from relmark.core.table import CustomerTable, ItemTable
from relmark.core.time import Instant, time_zone

__all__ = ["CustomerBase", "Measurable", "OneCustomer", "purchases_of"]


class Measurable(Protocol):
    """What `CustomerBase.measure` takes: anything that evaluates itself on a base."""

    def measure(self, base: CustomerBase, as_of: Any, shared: dict[Any, Any] | None = None) -> Any:
        """Return a Column or an array aligned with ``base.customer_id``; `shared` keeps common sub-results."""
        ...


def _checked_zone(instance: object, attribute: attrs.Attribute[str], value: str) -> None:  # noqa: ARG001
    time_zone(value)


def _made_by(kind: type, call: str) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    """Return a validator that accepts None or an object of a class; `call` is how to make one, for the hint."""

    def validate(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG001
        if value is not None and not isinstance(value, kind):
            raise InputError(
                f"{attribute.name} is of type {type(value).__name__}: type {kind.__name__} is needed.",
                argument=attribute.name,
                code="wrong_type",
                hint=f"Make it with {call}.",
            )

    return validate


@attrs.frozen(eq=False, repr=False, kw_only=True)
class CustomerBase(Frozen):
    """Customers, their events and the items for sale, on one index of customers.

    Parameters
    ----------
    customers : CustomerTable, optional
        What is known about the customers, one row per customer.
    events : EventLog, optional
        What they did. Its customers need not be in the table.
    items : ItemTable, optional
        The products.
    tz : str
        The time zone of the business, for days, birthdays and hours.
    zone : str, optional
        The field that names each customer's own time zone, such as 'Europe/Berlin'. Rules and scores then see every
        customer at their own local time: days, windows of calendar days, birthdays, and the midnight of a date.
        Customers without a value there live in `tz`. What is counted for the business (purchases, days of orders,
        periods of reports) stays in `tz`.

    Examples
    --------
    >>> from relmark.core.events import Purchase
    >>> base = CustomerBase(
    ...     customers=CustomerTable.from_columns(customer_id=["b", "a"], city=["Omsk", "Kazan"]),
    ...     events=EventLog.from_events([Purchase("c", "2026-01-05T12:00Z", 10.0)]))
    >>> base.customer_id.tolist()
    ['b', 'a', 'c']
    >>> base.column("city").values().tolist()
    ['Omsk', 'Kazan', None]
    """

    customers: CustomerTable | None = attrs.field(
        default=None, validator=_made_by(CustomerTable, "CustomerTable.from_frame(...)")
    )
    events: EventLog = attrs.field(
        default=None,
        converter=attrs.converters.default_if_none(factory=EventLog.empty),  # type: ignore[misc]
        validator=_made_by(EventLog, "EventLog.from_frame(...)"),
    )
    items: ItemTable | None = attrs.field(default=None, validator=_made_by(ItemTable, "ItemTable.from_frame(...)"))
    tz: str = attrs.field(default="UTC", validator=_checked_zone)
    zone: str | None = None

    def __attrs_post_init__(self) -> None:
        """Let days begin at midnight in the base's zone, and refuse str ids on one side and int ids on the other."""
        object.__setattr__(self, "events", self.events.in_zone(self.tz))
        self._check_zones()
        if self.customers is None or not len(self.customers) or not self.events.n_customers:
            return
        kinds = [is_text(ids) for ids in (self.customers.customer_id, self.events.customer_id)]
        if kinds[0] != kinds[1]:
            words = {True: "str", False: "int"}
            raise InputError(
                f"the customer table has {words[kinds[0]]} ids and the log has {words[kinds[1]]} ids: convert one side "
                "first.",
                argument="events",
                code="mixed_types",
            )

    @classmethod
    def from_orders(
        cls,
        orders: Frame,
        *,
        customer_id: str,
        time: str,
        value: str | float | None = None,
        order: str | None = None,
        item: str | None = None,
        quantity: str | None = None,
        properties: Sequence[str] = (),
        customers: CustomerTable | Frame = None,
        items: ItemTable | None = None,
        tz: str = "UTC",
        times_tz: str | None = None,
        on_error: str = "raise",
    ) -> Self:
        """Build a base from a table of orders or order lines, the most common input.

        Parameters
        ----------
        orders : frame or mapping of str to array_like
            A pandas, polars or pyarrow frame (extra `dataframes`), or columns by name; one row per order or line.
        customer_id, time, value, order, item, quantity : str
            The names of its columns. `value` is the money of the row (quantity times unit price), negative for a
            refund; it may also be a number, the same for every row, or be left out. Rows of one customer with the same
            `order` are one order.
        properties : sequence of str
            More columns to keep, under their own names.
        customers : CustomerTable, frame or mapping, optional
            What is known about the customers. A frame has their ids in a column of the same name as in `orders`, or in
            'customer_id'.
        items : ItemTable, optional
            The products.
        tz : str
            The time zone of the business, for days and hours, and for times that come without a zone.
        times_tz : str, optional
            The time zone of times that come without one, if it is not that of the business: "UTC" for the exports of
            many databases.
        on_error : {"raise", "drop"}
            Whether rows without an id, a time or a finite value are an error, or are left out and counted in
            `base.events.dropped`.

        Returns
        -------
        CustomerBase

        Examples
        --------
        >>> orders = {"user": ["a", "b", "a"], "day": np.array(["2026-01-05", "2026-01-05", "2026-02-01"], "M8[D]"),
        ...     "amount": [20.0, 10.0, 15.0]}
        >>> CustomerBase.from_orders(orders, customer_id="user", time="day", value="amount", tz="Europe/Berlin")
        CustomerBase(2 customers, 0 fields, 3 events, Europe/Berlin)
        """
        log = EventLog.purchases(
            orders,
            customer_id=customer_id,
            time=time,
            value=value,
            order=order,
            item=item,
            quantity=quantity,
            properties=properties,
            tz=tz if times_tz is None else times_tz,
            on_error=on_error,
        )
        if times_tz is not None:  # the caller named the zone, so that no note is needed
            log = attrs.evolve(log, naive=False)
        if customers is not None and not isinstance(customers, CustomerTable):
            columns = columns_of(customers)
            key = customer_id if customer_id in columns else "customer_id"
            customers = CustomerTable.from_frame(columns, customer_id=key, tz=tz)
        return cls(customers=customers, events=log, items=items, tz=tz)

    def purchases(
        self,
        *,
        type: str = "purchase",
        order: OrderBy = None,
        refunds: Refunds = "net",
        free: Free = "keep",
    ) -> Purchases:
        """Return what the customers bought: lines, orders and days, as every package counts them.

        Parameters
        ----------
        type : str
            The events that are purchases.
        order : str or timedelta, optional
            What makes an order: the name of a property, 'instant' (what one customer bought at one time), 'day', or a
            duration without purchases that separates two orders. By default the property 'order' if purchases have it,
            else 'instant'.
        refunds : {"net", "drop", "refuse"}
            What happens to lines with a negative value. "net" takes their money off the purchase that they name, or
            else off the customer's latest purchases before them; "drop" leaves them out; "refuse" raises an error.
        free : {"keep", "drop"}
            Whether lines of value 0 count as purchases.

        Raises
        ------
        InputError
            The log has no events of the given `type` (unless it is "purchase"), some purchases have a value and others
            have none, or there are refunds and they are refused. The message names the row.

        Examples
        --------
        >>> orders = {"user": ["a", "a"], "day": np.array(["2026-01-05", "2026-01-06"], "M8[D]"), "amount": [20.0, 9.0]}
        >>> CustomerBase.from_orders(orders, customer_id="user", time="day", value="amount").purchases()
        Purchases(lines=2, orders=2, customers=1, UTC)
        """
        part = self.events.partition(type)
        if part is None and type != "purchase":
            self.events.required(type)
        return purchases_of_log(
            part,
            customer_id=self.customer_id,
            rows=None if self.codes_are_rows else self.code_to_row,
            tz=self.tz,
            type=type,
            order=order,
            refunds=refunds,
            free=free,
            types=self.events.types,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read in a way that a caller may not expect, one sentence each."""
        log = self.events
        if not log.naive or log.tz == self.tz:
            return log.notes
        note = (
            f"times without a zone were read as {log.tz}, but the base has the zone {self.tz}: give tz={self.tz!r} to "
            "the log if they were local times"
        )
        return (*log.notes, note)

    def as_of(self, as_of: AsOfGiven) -> AsOf:
        """Read an `as_of`: one date or instant, or one per customer; a time without a zone is local time."""
        return read_as_of(as_of, tz=self.tz, n=len(self))

    def _check_zones(self) -> None:
        """Refuse a field of zones that does not exist, that is not text, or whose words are not names of zones."""
        if self.zone is None:
            return
        column = self.column(self.zone)
        if column.kind not in {"text", "empty"}:
            raise InputError(
                f"zone names the field {self.zone!r}, a column of kind {column.kind!r}: names of time zones are "
                "needed, such as 'Europe/Berlin'.",
                argument="zone",
                code="wrong_type",
            )
        for code, name in enumerate(() if column.categories is None else column.categories.tolist()):
            rows = np.flatnonzero(column.data == code)
            try:
                time_zone(name)
            except InputError:
                if len(rows):
                    raise InputError(
                        f"field {self.zone!r} has {shown(name)} in row {int(rows[0])}, which is not a time zone that "
                        "this machine knows: write a name such as 'Europe/Berlin', or leave the value missing.",
                        argument="zone",
                        code="unknown_name",
                        path=f"customers.{self.zone}[{int(rows[0])}]",
                    ) from None

    @cached_property
    def by_zone(self) -> tuple[tuple[npt.NDArray[np.int64], CustomerBase], ...]:
        """For each time zone, the rows of its customers, ascending, and a base of these customers in that zone."""
        if self.zone is None:
            return ((np.arange(len(self)), self),)
        assert self.customers is not None
        column = self.column(self.zone)
        names = ["" if name is None else name for name in column.values().tolist()]
        zones, place = np.unique(np.array([name or self.tz for name in names], dtype=np.str_), return_inverse=True)
        seen, known = place[self.code_to_row], len(self.customers)
        found = []
        for number, tz in enumerate(zones.tolist()):
            rows = np.flatnonzero(place == number)
            base = CustomerBase(
                customers=self.customers.take(rows[rows < known]),
                events=self.events.of_customers(seen == number),
                items=self.items,
                tz=tz,
            )
            found.append((rows, base))
        return tuple(found)

    def tz_of(self, customer_id: int | str) -> str:
        """Return the time zone of a customer: their own if the base has it, else that of the business."""
        return self.home_of(customer_id).tz

    def home_of(self, customer_id: int | str) -> CustomerBase:
        """Return the base of all customers in the same time zone as this one; the base itself where all share one."""
        row = int(self.find([customer_id])[0]) if self.zone is not None else -1
        return next((base for rows, base in self.by_zone if row >= 0 and row in rows), self)

    @cached_property
    def _index(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        seen = self.events.customer_id
        if self.customers is None or not len(self.customers):
            return seen, read_only(np.arange(len(seen), dtype=np.int64))
        known = self.customers.customer_id
        rows = self.customers.find(seen)
        new = rows < 0
        rows[new] = len(known) + np.arange(np.count_nonzero(new))
        return (read_only(np.concatenate([known, seen[new]])) if new.any() else known), read_only(rows)

    @property
    def customer_id(self) -> npt.NDArray[Any]:
        """The ids of all customers of the table and of the log, shape (n,).

        Those of the table come first, in its order; those that only the log has follow, ascending.
        """
        return self._index[0]

    @property
    def code_to_row(self) -> npt.NDArray[np.int64]:
        """The row of each of the log's customers among `customer_id`, shape (events.n_customers,)."""
        return self._index[1]

    @cached_property
    def codes_are_rows(self) -> bool:
        """Whether the log has all customers of the base in the same order, so that its codes are rows."""
        rows = self.code_to_row
        return len(rows) == len(self) and bool((rows == np.arange(len(rows))).all())

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        order = np.argsort(self.customer_id, kind="stable")
        return self.customer_id[order], order

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.customer_id)

    def find(self, ids: ColumnLike) -> npt.NDArray[np.int64]:
        """Return the row of each id, -1 where the base does not have it."""
        ordered, order = self._sorted
        places = find_ids("customer_id", ordered, ids)
        return np.where(places >= 0, order[places], -1) if len(order) else places

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the customer fields."""
        return () if self.customers is None else tuple(self.customers.columns)

    def column(self, name: str) -> Column:
        """Return a field as a column aligned with `customer_id`; it is missing for customers whom only the log has."""
        if self.customers is None or name not in self.customers.columns:
            listed = ", ".join(map(repr, self.fields)) or "none"
            raise MissingColumnError(
                f"customers have no field {name!r}; their fields are {listed}.",
                argument="customers",
                hint=did_you_mean(str(name), self.fields),
            )
        column = self.customers.columns[name]
        n = len(self)
        return column if len(column) == n else column.spread(np.arange(len(column)), n)

    def without(self, ids: ColumnLike | AbstractSet[object]) -> Self:
        """Return the base without some customers: without their ids, fields and events, and words that only they had.

        Ids that the base does not have are not an error. Objects made from the base before (results, fitted models,
        journeys) still hold these customers: make them again, or call their own `without` where they have one.

        Examples
        --------
        >>> table = CustomerTable.from_columns(customer_id=["a", "b"], city=["Kazan", "Omsk"])
        >>> CustomerBase(customers=table).without(["b"]).to_columns()
        {'customer_id': array(['a'], dtype='<U1'), 'city': array(['Kazan'], dtype='<U5')}
        """
        kept = None if self.customers is None else self.customers.without(ids)
        return attrs.evolve(self, customers=kept, events=self.events.without(ids))

    def rolled_up(
        self, account: str, fields: Mapping[str, str | tuple[str, str]] | None = None, *, events: bool = True
    ) -> Self:
        """Return a base with one customer per account, such as the company that people work for.

        Parameters
        ----------
        account : str
            The field that names each person's account. People without an account are left out, and `notes` report it.
        fields : mapping of str to str, or to a pair of str, optional
            The fields that accounts get, each with the rule that makes its value from those of the account's people:
            ``"same"``, ``"sum"``, ``"mean"``, ``"min"``, ``"max"``, ``"any"``, ``"all"``, ``"most_common"``, or
            ``"count"`` for the number of people. Write ``("budget", "sum")`` where the new field has another name than
            the old one. By default accounts have no fields.
        events : bool
            Whether the events of people become events of their account.

        Returns
        -------
        CustomerBase
            Accounts ascending; in the events, only the customer is replaced by the account.

        Raises
        ------
        InputError
            A rule does not fit its field, or people of one account differ where ``"same"`` is asked for.

        Examples
        --------
        >>> table = CustomerTable.from_columns(customer_id=[1, 2, 3], company=["a", "a", "b"], budget=[5.0, 7.0, None])
        >>> CustomerBase(customers=table).rolled_up("company", {"people": "count", "budget": "sum"}).to_columns()
        {'customer_id': array(['a', 'b'], dtype='<U1'), 'people': array([2, 1]), 'budget': array([12., nan])}
        """
        asked = asked_of({} if fields is None else fields, self.fields)
        ids, code = accounts_of(self.column(account), account)
        everybody = Column("boolean", np.ones(len(self), dtype=np.int8))
        columns = {
            name: aggregated(everybody if source == "" else self.column(source), code, ids, how, name)
            for name, (source, how) in asked.items()
        }
        log = self.events._of_accounts(ids, code[self.code_to_row]) if events else EventLog.empty(ids)  # noqa: SLF001
        left = int(np.count_nonzero(code < 0))
        if left:
            note = f"{left:,} people have no {account!r}: they belong to no account"
            log = attrs.evolve(log, notes=(*log.notes, note))
        zone = self.zone if self.zone in columns else None
        return attrs.evolve(self, customers=CustomerTable(ids, columns), events=log, zone=zone)

    def with_column(self, name: str, values: ColumnLike | Column) -> Self:
        """Return a base with one more field, aligned with `customer_id`; a field of the same name is replaced."""
        column = Column.of(name, values)
        same_length(name, np.empty(len(column)), len(self))
        columns = {field: self.column(field) for field in self.fields}
        table = CustomerTable(self.customer_id, columns).with_column(name, column)
        return attrs.evolve(self, customers=table)

    def with_columns(self, result: Result | Frame, names: Mapping[str, str] | Sequence[str] | None = None) -> Self:
        """Return a base with the columns of a result that has customer_id; customers not in it get missing values.

        Parameters
        ----------
        result : a result of relmark, a mapping of columns, or a frame
            With customer_id among its columns.
        names : sequence or mapping of str, optional
            The columns to take, or a mapping from columns to new names; all by default.

        Raises
        ------
        InputError
            The result has no customer_id, has a customer twice, or has a customer whom the base does not have.
        """
        columns = self._columns_with_ids(result)
        ids = id_array("customer_id", columns.pop("customer_id"))
        rows = self.find(ids)
        if (rows < 0).any():
            raise InputError(
                f"the result has customer {shown(ids[int(np.argmax(rows < 0))])}, whom the base does not have "
                f"({int(np.count_nonzero(rows < 0)):,} such): build the base with them, or leave them out.",
                argument="result",
                code="unknown_name",
            )
        if len(np.unique(rows)) < len(rows):
            raise InputError(
                "the result has a customer twice: one row per customer is needed.", argument="result", code="duplicate"
            )
        if isinstance(names, Mapping):
            chosen = dict(names)
        else:
            chosen = {name: name for name in (columns if names is None else column_names("names", names))}
        base = self
        for name, new_name in chosen.items():
            if name not in columns:
                raise MissingColumnError(
                    f"the result has no column {name!r}: it has {', '.join(map(repr, columns))}.", argument="result"
                )
            base = base.with_column(new_name, Column.of(name, columns[name]).spread(rows, len(self)))
        return base

    @staticmethod
    def _columns_with_ids(result: Any) -> dict[str, Any]:
        if isinstance(result, Mapping):
            columns = dict(result)
        elif hasattr(result, "to_columns"):
            columns = dict(result.to_columns())
        else:
            columns = columns_of(result)
        if "customer_id" not in columns:
            raise MissingColumnError(
                f"the result has no column 'customer_id': it has {', '.join(map(repr, columns)) or 'no columns'}.",
                argument="result",
            )
        return columns

    def measure(
        self, expressions: Mapping[str, Measurable], *, as_of: Instant | Sequence[Instant] | npt.NDArray[Any]
    ) -> Rows:
        """Evaluate expressions for every customer and return them as columns, together with customer_id.

        Parameters
        ----------
        expressions : mapping of str to expression
            Numeric, boolean or text expressions, by the name of the column that each makes.
        as_of : instant, or array_like of instants, shape (n,)
            The time of the evaluation, one for all or one per customer. No event after it is seen.

        Returns
        -------
        Rows
            A column per expression, ``found["spend"]``, in the order of the base. An unknown value is NaN in a column
            of numbers, and None in one of booleans or words.
        """
        self.as_of(as_of)
        if not isinstance(expressions, Mapping):
            raise InputError(
                f"expressions is {shown(expressions)}: a mapping of names to expressions is needed.",
                argument="expressions",
                code="wrong_type",
            )
        shared: dict[Any, Any] = {}
        columns: dict[str, npt.NDArray[Any]] = {"customer_id": self.customer_id}
        for name, expression in expressions.items():
            if name == "customer_id":
                raise InputError(
                    "expressions has 'customer_id', which is the name of the column of ids: choose another name.",
                    argument="expressions",
                    code="duplicate",
                )
            if not hasattr(expression, "measure"):
                raise InputError(
                    f"expressions[{name!r}] is {shown(expression)}: an expression is needed, such as field(...).",
                    argument="expressions",
                    code="wrong_type",
                )
            found = expression.measure(self, as_of, shared)
            columns[name] = found.values() if isinstance(found, Column) else np.asarray(found)
        return Rows(columns=columns, name="Measures")

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return customer_id and every field as columns; a missing value is None, NaN or NaT."""
        return {"customer_id": self.customer_id, **{name: self.column(name).values() for name in self.fields}}

    def to_frame(self, backend: str = "pandas") -> Frame:
        """Return the customers and their fields as a frame of ``"pandas"``, ``"polars"`` or ``"pyarrow"``."""
        return to_frame(self.to_columns(), backend)

    def schema(self) -> Schema:
        """Return the fields and the event properties that the data have, with their kinds."""
        fields = {} if self.customers is None else {name: col.kind for name, col in self.customers.columns.items()}
        events = {}
        for name in self.events.types:
            part = self.events.required(name)
            events[name] = {key: column.kind for key, column in part.properties.items()}
        return Schema(fields=fields, events=events)

    def _facts(self) -> dict[str, str]:
        facts = {"customers": f"{len(self):,}", "fields": f"{len(self.fields)}", "events": f"{len(self.events):,}"}
        if self.items is not None:
            facts["items"] = f"{len(self.items):,}"
        dropped = sum(self.events.dropped.values())
        return {**facts, "rows dropped": f"{dropped:,}"} if dropped else facts

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in self._facts().items())
        homes = "" if self.zone is None else ", customers in their own zones"
        return f"CustomerBase({counts}, {self.tz}{homes})"

    def _repr_html_(self) -> str:
        facts = {**self._facts(), "field names": ", ".join(self.fields), "event types": ", ".join(self.events.types)}
        return html_table({"": list(facts), "base": list(facts.values())}, caption=repr(self))


@runtime_checkable
class OneCustomer(Protocol):
    """An object that can become a base of one customer, such as a `CustomerHistory`."""

    def to_base(self) -> CustomerBase:
        """Return a base of this one customer."""
        ...


def purchases_of(data: CustomerBase | Purchases | OneCustomer, as_of: AsOfGiven | AsOf | None = None) -> Purchases:
    """Return the purchases of an argument, which is a base, a customer or purchases; until `as_of` if it is given."""
    if isinstance(data, OneCustomer):
        data = data.to_base()
    if isinstance(data, CustomerBase):
        bought = data.purchases()
    elif isinstance(data, Purchases):
        bought = data
    else:
        made = {
            EventLog: "CustomerBase(events=log, tz=...)",
        }.get(type(data), "CustomerBase.from_orders(frame, customer_id=..., time=..., value=...)")
        raise InputError(
            f"data is of type {type(data).__name__}: a CustomerBase, or the Purchases of one, is needed.",
            argument="data",
            code="wrong_type",
            hint=f"Make one with {made}.",
        )
    return bought if as_of is None else bought.until(as_of)
