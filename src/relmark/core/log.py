"""`EventLog`: what happened, as columns; one time-sorted partition per event type, customers coded once.

A log never changes: every method returns another log. Building a log codes the ids and sorts each type by time, with
packed integer sorts. A window is then two binary searches, and a count per customer is one bincount over a slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from relmark.core.as_of import read_as_of
from relmark.core.checks import same_length, shown
from relmark.core.columns import ColumnLike
from relmark.core.concat import concat
from relmark.core.errors import InputError
from relmark.core.events import Event, Message, Purchase, Visit
from relmark.core.formats import html_table, text_table
from relmark.core.frames import Frame, columns_in, columns_of, is_constant, to_frame
from relmark.core.frozen import Frozen, read_only
from relmark.core.ids import staying
from relmark.core.incoming import Incoming, column_names, read_columns, read_events, read_purchases
from relmark.core.names import did_you_mean
from relmark.core.ordering import small_codes
from relmark.core.outgoing import summary_table, table_columns, time_order
from relmark.core.partition import Partition
from relmark.core.sessions import sessions
from relmark.core.time import Instant, aware
from relmark.core.zones import local_days

__all__ = ["EventLog"]

_RESERVED = ("customer_id", "type", "time", "value")


@attrs.frozen(eq=False, repr=False, kw_only=True)
class EventLog(Frozen):
    """The events of many customers as columns.

    Build a log with `from_columns`, `from_frame`, `purchases` or `from_events`.

    Attributes
    ----------
    customer_id : ndarray of int64 or str, shape (k,)
        The ids of the customers who have events, ascending, each once.
    types : tuple of str
        The event types, sorted.
    dropped : mapping of str to int
        How many rows ``on_error="drop"`` left out, by reason.
    tz : str
        The time zone in which times without a zone were read.
    naive : bool
        Whether there were times without a zone, other than days.
    notes : tuple of str
        What was read in a way that a caller may not expect.

    Examples
    --------
    >>> import numpy as np
    >>> log = EventLog.from_columns(
    ...     customer_id=[7, 7, 3], type="purchase", time=np.array(["2026-01-05", "2026-01-02", "2026-01-03"], "M8[D]"),
    ...     value=[20.0, 10.0, 5.0])
    >>> log
    EventLog(3 events, 2 customers, 1 type: purchase, 2026-01-02 to 2026-01-05)
    """

    customer_id: npt.NDArray[Any] = attrs.field(converter=read_only)
    _partitions: Mapping[str, Partition]
    dropped: Mapping[str, int] = attrs.field(factory=dict)
    tz: str = "UTC"
    naive: bool = False
    notes: tuple[str, ...] = ()

    # ---- ways in

    @classmethod
    def from_columns(
        cls,
        *,
        customer_id: ColumnLike,
        time: ColumnLike,
        type: str | ColumnLike,
        value: ColumnLike | None = None,
        properties: Mapping[str, Any] | None = None,
        tz: str = "UTC",
        on_error: str = "raise",
    ) -> Self:
        """Build a log from columns of n rows, in any order.

        Parameters
        ----------
        customer_id : array_like of int or str, shape (n,)
            The customer of each event.
        time : array_like, shape (n,)
            datetime64, datetimes or ISO texts; without a zone they are local times of `tz`. Dates are days, and so are
            the times of a type if all of them are midnights without a zone. A day begins at midnight in the zone of the
            base of which the log becomes part.
        type : str or array_like of str, shape (n,)
            One type for all rows, or a column.
        value : array_like of float, shape (n,), optional
            The value of each event; None or NaN if it has none.
        properties : mapping of str to array_like, shape (n,), optional
            Numbers, strings, booleans, dates, times or sets of strings; None or NaN if an event has none.
        tz : str
            The time zone of times that come without one.
        on_error : {"raise", "drop"}
            Whether rows with a missing id, type or time, or an infinite value, are an error, or are left out and
            counted in `dropped`.

        Returns
        -------
        EventLog

        Raises
        ------
        InputError
            Columns have different lengths or wrong types, ids or times are missing, or values are infinite. The message
            names the row.

        Notes
        -----
        The cost is that of coding the ids (by a table where they are dense, else by a sort), and of one or two integer
        sorts per type, or none where the rows are already in the order of time.
        """
        return cls._of(
            read_columns(
                customer_id=customer_id,
                time=time,
                type=type,
                value=value,
                properties=properties,
                tz=tz,
                on_error=on_error,
            )
        )

    @classmethod
    def _of(cls, found: Incoming) -> Self:
        return cls(
            customer_id=found.customer_id,
            partitions=found.partitions,
            dropped=found.dropped,
            tz=found.tz,
            naive=found.naive,
            notes=found.notes,
        )

    @classmethod
    def from_events(cls, events: Iterable[Event | Purchase | Message | Visit]) -> Self:
        """Build a log from event objects of one or many customers; for large data use columns, which are faster.

        Examples
        --------
        >>> EventLog.from_events([Purchase("c1", "2026-11-01T09:30Z", 19.9), Visit("c2", "2026-11-02T10:00Z")]).types
        ('purchase', 'visit')
        """
        return cls._of(read_events(events))

    @classmethod
    def from_frame(
        cls,
        frame: Frame,
        *,
        customer_id: str = "customer_id",
        type: str = "type",
        time: str = "time",
        value: str | None = None,
        properties: Sequence[str] = (),
        tz: str = "UTC",
        on_error: str = "raise",
    ) -> Self:
        """Build a log from a pandas, polars or pyarrow frame (extra `dataframes`), or from a mapping of columns.

        Parameters
        ----------
        frame : frame or mapping of str to array_like
            One row per event.
        customer_id, type, time, value : str
            The names of the columns. Without `value`, events have no value, and `notes` report a column named 'value'
            that was not used. If the frame has no column named `type` and none with a similar name, then `type` is the
            type of every event, and `notes` report this.
        properties : sequence of str
            The columns that become properties, under their own names.
        tz, on_error : str
            As in `from_columns`.

        Raises
        ------
        MissingColumnError
            The frame has no column of that name; the message lists the columns it has.
        """
        wanted = column_names("properties", properties)
        constant = is_constant("type", type, frame)
        priced = [] if value is None else [value]
        columns = columns_of(frame, [customer_id, time, *([] if constant else [type]), *priced, *wanted])
        log = cls.from_columns(
            customer_id=columns[customer_id],
            time=columns[time],
            type=type if constant else columns[type],
            value=None if value is None else columns[value],
            properties={name: columns[name] for name in wanted},
            tz=tz,
            on_error=on_error,
        )
        notes = [f"the data have no column {type!r}: every event is of this type"] if constant else []
        if value is None and "value" in columns_in(frame):
            notes.append("the data have a column 'value' that was not used: to use it, pass value='value'")
        return attrs.evolve(log, notes=(*log.notes, *notes)) if notes else log

    @classmethod
    def purchases(
        cls,
        frame: Frame,
        *,
        customer_id: str,
        time: str,
        value: str | float | None = None,
        order: str | None = None,
        item: str | None = None,
        quantity: str | None = None,
        properties: Sequence[str] = (),
        tz: str = "UTC",
        on_error: str = "raise",
    ) -> Self:
        """Build a log of type 'purchase' from a frame or mapping of orders or order lines, the most common input.

        Parameters
        ----------
        frame : frame or mapping of str to array_like
            One row per order or order line.
        customer_id, time, value, order, item, quantity : str
            The names of the columns. The last three become the properties 'order', 'item' and 'quantity'. `value` may
            also be a number, the money of every purchase, or be left out if the money is not known.
        properties : sequence of str
            More columns, kept under their own names.
        tz, on_error : str
            As in `from_columns`; a purchase without a finite value is an error too, or is dropped with "drop".

        Examples
        --------
        >>> orders = {"user": ["a", "b"], "ts": np.array(["2026-01-05", "2026-01-02"], "M8[D]"), "amount": [20.0, 10.0]}
        >>> EventLog.purchases(orders, customer_id="user", time="ts", value="amount")
        EventLog(2 events, 2 customers, 1 type: purchase, 2026-01-02 to 2026-01-05)
        """
        return cls._of(
            read_purchases(
                frame,
                customer_id=customer_id,
                time=time,
                value=value,
                more={"order": order, "item": item, "quantity": quantity},
                properties=properties,
                tz=tz,
                on_error=on_error,
            )
        )

    @classmethod
    def empty(cls, customer_id: npt.NDArray[Any] | None = None) -> Self:
        """Return a log without events; `customer_id` gives the type of its ids."""
        kind = np.empty(0, dtype=np.int64) if customer_id is None else np.asarray(customer_id)[:0]
        return cls(customer_id=kind, partitions={})

    # ---- contents

    def __len__(self) -> int:
        """Return the number of events."""
        return sum(len(part) for part in self._partitions.values())

    @property
    def n_customers(self) -> int:
        """The number of customers who have events."""
        return len(self.customer_id)

    @property
    def types(self) -> tuple[str, ...]:
        """The event types, sorted."""
        return tuple(sorted(self._partitions))

    def partition(self, type: str) -> Partition | None:
        """Return the time-sorted events of one type, or None if the log has none."""
        return self._partitions.get(type)

    @property
    def first_time(self) -> datetime | None:
        """The time of the first event, aware and in UTC; None in an empty log."""
        return _moment(min((int(part.time[0]) for part in self._partitions.values()), default=None))

    @property
    def last_time(self) -> datetime | None:
        """The time of the last event, aware and in UTC; None in an empty log."""
        return _moment(max((int(part.time[-1]) for part in self._partitions.values()), default=None))

    @property
    def _sorted_partitions(self) -> dict[str, Partition]:
        return {name: self._partitions[name] for name in self.types}

    @cached_property
    def _order(self) -> npt.NDArray[np.int64] | slice:
        """The position of each row of `to_columns` in the concatenated partitions, sorted by type."""
        return time_order(self._sorted_partitions)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return customer_id, type, time (datetime64[us]), value and every property, in the order of time.

        Events with equal times stay in the order of the input. A value or a property that an event does not have is
        NaN, or None in a column of strings. The column value is left out if no event has a value.
        """
        return table_columns(self.customer_id, self._sorted_partitions, self._order)

    def to_frame(self, backend: str = "pandas") -> Frame:
        """Return `to_columns` as a frame of ``"pandas"``, ``"polars"`` or ``"pyarrow"``."""
        return to_frame(self.to_columns(), backend)

    # ---- other logs

    def of_type(self, *types: str) -> Self:
        """Return a log of the events of some types; a type that the log does not have is an error."""
        for name in types:
            self.required(name)
        return self._with({name: self._partitions[name] for name in types})

    def required(self, type: str) -> Partition:
        """Return the events of a type, or raise an error that lists the types that the log has."""
        part = self._partitions.get(type)
        if part is None:
            has = f"it has {', '.join(map(repr, self.types))}" if self.types else "it is empty"
            raise InputError(
                f"the log has no events of type {shown(type)}: {has}.",
                argument="type",
                code="unknown_name",
                hint=did_you_mean(str(type), self.types),
            )
        return part

    def in_zone(self, tz: str) -> Self:
        """Return the log with its days beginning at midnight in a zone; events given as instants do not change."""
        parts = {name: part.in_zone(tz) for name, part in self._partitions.items()}
        if all(part is self._partitions[name] for name, part in parts.items()):
            return self
        return attrs.evolve(self, partitions=parts)

    def until(self, as_of: Instant, *, tz: str | None = None) -> Self:
        """Return the events known at a time: those at or before an instant, or those before the day of a date.

        Parameters
        ----------
        as_of : date, datetime, datetime64 or str
            The date or the instant.
        tz : str, optional
            The time zone of an `as_of` without one; by default that of the log.

        Examples
        --------
        >>> log = EventLog.from_events([Visit("c1", "2026-11-01T09:30Z"), Visit("c1", "2026-11-02T10:00Z")])
        >>> len(log.until("2026-11-02"))
        1
        """
        zone = self.tz if tz is None else tz
        seen = read_as_of(as_of, tz=zone).seen
        parts = {name: part.in_zone(zone) for name, part in self._partitions.items()}
        return self._with({name: self._partitions[name].take(part.window(None, seen)) for name, part in parts.items()})

    def _later(self, firsts: Mapping[str, int | None], tz: str) -> Self:
        """Return the events of some types, each from its first microsecond on; None means all events of the type."""
        parts = {}
        for name, first in firsts.items():
            part = self._partitions[name]
            parts[name] = part if first is None else part.take(part.in_zone(tz).window(first - 1, None))
        return self._with(parts)

    def take(self, mask: npt.ArrayLike) -> Self:
        """Return the events where a mask of shape (n,), aligned with `to_columns`, is true."""
        chosen = np.asarray(mask, dtype=np.bool_ if np.size(mask) == 0 else None)
        if chosen.dtype != np.bool_ or chosen.ndim != 1:
            raise InputError(
                f"mask has dtype {chosen.dtype} and shape {chosen.shape}: one boolean per event is needed.",
                argument="mask",
                code="wrong_shape",
            )
        same_length("mask", chosen, len(self))
        in_parts = np.empty(len(self), dtype=np.bool_)
        in_parts[self._order] = chosen
        taken, low = {}, 0
        for name, part in self._sorted_partitions.items():
            rows = in_parts[low : low + len(part)]
            low += len(part)
            taken[name] = part if rows.all() else part.take(rows)
        return self._with(taken)

    def without(self, ids: ColumnLike | AbstractSet[object]) -> Self:
        """Return the log without some customers: without their ids and events, and words that only these events had.

        Ids that the log does not have are not an error. A type of which no event is left is gone too.
        """
        stay = staying(self.customer_id, ids)
        return self._with({name: part.take(stay[part.code]).compact() for name, part in self._partitions.items()})

    def of_customers(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the events of some customers, by a mask aligned with `customer_id`."""
        return self._with({name: part.take(chosen[part.code]) for name, part in self._partitions.items()})

    def _of_accounts(self, ids: npt.NDArray[Any], account: npt.NDArray[np.int64]) -> Self:
        """Return the log with the events of people as events of their accounts.

        `ids` are the accounts, ascending. `account` is the position among them for each of the log's customers; events
        of customers with -1 are left out.
        """
        parts = {}
        for name, part in self._partitions.items():
            code = account[part.code]
            stay = code >= 0
            kept = part if stay.all() else part.take(stay).known()
            parts[name] = attrs.evolve(kept, code=small_codes(code[stay], len(ids)), n_customers=len(ids))
        return attrs.evolve(self, customer_id=ids, partitions=parts)._with(parts)  # noqa: SLF001  (its own)

    def sessions(
        self,
        *,
        gap: timedelta,
        of: str | Sequence[str] = "page_view",
        type: str = "visit",
        cut_by: str | None = None,
        longest: timedelta | None = None,
    ) -> EventLog:
        """Group page views into visits: a customer's next visit starts after a pause longer than `gap`.

        Parameters
        ----------
        gap : timedelta
            The longest pause within a visit, usually ``minutes(30)``.
        of : str, or sequence of str
            The types of the events that make up visits. Events of the first type count as pages.
        type : str
            The type of the new events.
        cut_by : str, optional
            A property such as ``"campaign"``. An event that has a value of it starts another visit, unless the last
            known value since the pause is the same. Of the events at one instant, those without a value come first,
            then the others by ascending value.
        longest : timedelta, optional
            The longest visit: an event later than this after the visit's first event starts another visit.

        Returns
        -------
        EventLog
            One event per visit, at the time of its first event. Its properties are duration (seconds from the first
            event to the last), pages (the number of events of the first type), events (the number of all events, if
            `of` has several types), and page, channel, campaign and `cut_by` of the first event if it has them.
        """
        kinds = (of,) if isinstance(of, str) else tuple(dict.fromkeys(of))
        if not kinds or not all(isinstance(kind, str) for kind in kinds):
            raise InputError(
                f"of is {shown(of)}: the name of an event type, or several, is needed.",
                argument="of",
                code="wrong_type",
            )
        views = {kind: self.required(kind) for kind in kinds}
        made = sessions(views, self.n_customers, gap=gap, cut_by=cut_by, longest=longest)
        return EventLog.from_columns(
            customer_id=self.customer_id[made.code],
            time=made.time.view("M8[us]"),
            type=type,
            properties=made.properties,
        )

    def append(self, other: EventLog) -> EventLog:
        """Return this log followed by another; of events with equal times, those of this log come first."""
        return EventLog.concat([self, other])

    @classmethod
    def concat(cls, logs: Sequence[EventLog]) -> EventLog:
        """Return several logs as one, as if it had been built from all their rows, one log after the other.

        Raises
        ------
        InputError
            Ids are int in one log and str in another, or a property has different kinds.
        """
        logs = list(logs)
        for position, log in enumerate(logs):
            if not isinstance(log, EventLog):
                raise InputError(
                    f"logs[{position}] is a {type(log).__name__}: an EventLog is needed.",
                    argument="logs",
                    code="wrong_type",
                )
        return cls._of(concat([log._contents for log in logs]))  # noqa: SLF001  (its own)

    @property
    def _contents(self) -> Incoming:
        return Incoming(
            customer_id=self.customer_id,
            partitions=dict(self._partitions),
            dropped=dict(self.dropped),
            tz=self.tz,
            naive=self.naive,
            notes=self.notes,
        )

    def _with(self, partitions: Mapping[str, Partition]) -> Self:
        """Return a log of some partitions, with the ids that still have events."""
        parts = {
            name: part if part is self._partitions[name] else part.known()
            for name, part in partitions.items()
            if len(part)
        }
        present = np.zeros(self.n_customers, dtype=np.bool_)
        for part in parts.values():
            present[part.code] = True
        if not present.all():
            table = np.cumsum(present) - 1
            n = int(np.count_nonzero(present))
            parts = {
                name: attrs.evolve(part, code=small_codes(table[part.code], n), n_customers=n)
                for name, part in parts.items()
            }
        return attrs.evolve(self, customer_id=self.customer_id[present], partitions=parts)

    # ---- how it looks

    def __repr__(self) -> str:
        if not self._partitions:
            return "EventLog(0 events)"
        types = f"{len(self.types)} type{'s' if len(self.types) > 1 else ''}: {', '.join(self.types[:8])}"
        span = " to ".join(str(end) for end in self._days())
        return f"EventLog({len(self):,} events, {self.n_customers:,} customers, {types}, {span})"

    def _days(self) -> npt.NDArray[np.datetime64]:
        """Return the first and the last day: the days of events given as days, else days in UTC."""
        ends = [(part.time[[0, -1]], part.day_zone) for part in self._partitions.values()]
        days = np.array([local_days(end, zone or "UTC") for end, zone in ends])
        return np.array([days[:, 0].min(), days[:, 1].max()]).astype("M8[D]")

    def _table(self) -> dict[str, list[Any]]:
        return summary_table(self._sorted_partitions)

    def __str__(self) -> str:
        return text_table(self._table(), title=repr(self))

    def _repr_html_(self) -> str:
        return html_table(self._table(), caption=repr(self))

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            "a log cannot be iterated over: use to_columns() for all events, or partition(type) for those of one type."
        )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else aware(microseconds)
