"""What is known of one customer, put in order once: their attributes, and their events by type in the order of time.

A backend asks many questions about one person: several segments, a score, a policy. Each of them takes a
`CustomerHistory` in place of a customer and a list of events, and what one has found out of the history, the next does
not look for again.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from threading import get_ident
from typing import Any, Self

import attrs
import numpy as np

from relmark.core.base import CustomerBase
from relmark.core.checks import shown
from relmark.core.errors import DataError, InputError
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.log import EventLog
from relmark.core.schema import Schema
from relmark.core.table import CustomerTable
from relmark.core.time import Instant, UtcTimes, instant, time_zone
from relmark.expressions.history_rows import read_customer, read_rows
from relmark.expressions.scalar_calendar import last_seen
from relmark.expressions.scalar_person import (
    Events,
    Person,
    events_by_type,
    in_order,
    plain_event,
    point_in_time,
)

__all__ = ["CustomerHistory", "person_of"]


@attrs.frozen(eq=False, repr=False, init=False)
class CustomerHistory:
    """One customer and what they did, read once and asked many times.

    Parameters
    ----------
    customer : Customer or None
        None where nothing but the events is known.
    events : iterable of Event
        The customer's events in any order.
    tz : str, optional
        The time zone of the business, which questions then need not say.

    Attributes
    ----------
    customer_id : int, str or None
        None where neither a customer nor an event says it.
    attributes : mapping of str to value
    types : tuple of str
        The event types, sorted.
    tz : str or None

    Raises
    ------
    InputError
        An event belongs to somebody else, or is not an event.

    Notes
    -----
    The history remembers the person it last was asked about, with what was found in their events: several definitions
    that are asked as of one time share it. `add` shares everything but the events of one type.

    Examples
    --------
    >>> from relmark import Customer, Event, days, event, field
    >>> from relmark.segmentation import Segment
    >>> history = CustomerHistory(Customer("c1", {"age": 30}), [Event("c1", "visit", "2026-11-01T10:00Z")])
    >>> adults = Segment("adults", field("age") >= 18)
    >>> lively = Segment("lively", event("visit").count(within=days(7)) >= 2)
    >>> [segment.one(history, as_of="2026-11-02T10:00Z").member for segment in (adults, lively)]
    [True, False]
    >>> later = history.add(Event("c1", "visit", "2026-11-02T09:00Z"))
    >>> lively.one(later, as_of="2026-11-02T10:00Z").member, len(history), len(later)
    (True, 1, 2)
    """

    customer_id: int | str | None
    attributes: Mapping[str, Any]
    tz: str | None
    _events: dict[str, Events]
    _last: list[tuple[Any, Person]] = attrs.field(factory=list)  # the person who was asked about last

    def __init__(
        self,
        customer: Customer | None,
        events: Iterable[Event | Purchase | Message | Visit] = (),
        tz: str | None = None,
    ) -> None:
        who, groups = events_by_type(customer, events)
        attributes = {} if customer is None else customer.attributes
        self._fill(who, attributes, tz, {name: in_order(group) for name, group in groups.items()})

    def _fill(
        self, who: int | str | None, attributes: Mapping[str, Any], tz: str | None, events: dict[str, Events]
    ) -> None:
        if tz is not None:
            time_zone(tz)
        self.__attrs_init__(who, attributes, tz, events)

    @classmethod
    def _of(
        cls, who: int | str | None, attributes: Mapping[str, Any], tz: str | None, events: dict[str, Events]
    ) -> Self:
        made = cls.__new__(cls)
        made._fill(who, attributes, tz, events)  # noqa: SLF001  (its own)
        return made

    @classmethod
    def from_rows(
        cls,
        schema: Schema,
        row: Mapping[str, object] | None,
        rows: Iterable[Mapping[str, object]],
        *,
        columns: Mapping[str, str] | None = None,
        tz: str | None = None,
        convert: bool = False,
    ) -> Self:
        """Return the history of plain rows of a database, without an object for each event.

        Parameters
        ----------
        schema : Schema
            The fields, and the event types with their properties, that are read, and their kinds; other columns are
            not looked at.
        row : mapping or None
            The customer: `customer_id` and fields by name. None where nothing but the events is known.
        rows : iterable of mapping
            The events in any order: `type`, `time`, `value` (may be left out), and properties by name, or in a mapping
            under `properties`. `customer_id` may be left out where `row` has it.
        columns : mapping of str to str, optional
            What the columns are called that relmark calls customer_id, type, time, value and properties:
            ``{"customer_id": "user_id", "time": "happened_at"}``.
        tz : str, optional
            The time zone of the business.
        convert : bool
            Whether a number or a boolean written as text is read as one, and a whole number as a text where a text is
            needed; otherwise each is refused.

        Raises
        ------
        DataError
            Something is not of the kind that the schema says; the message names every such place, and `problems` has
            each with its path, such as ``rows[3].amount``, its code and a hint.

        Notes
        -----
        Numbers are int, float or Decimal; times are aware datetimes or ISO texts with a zone, dates are dates or ISO
        texts; None and NaN are missing. A whole number beyond 2**53 is refused. Tags are a list or a set of texts.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> from relmark import Schema
        >>> schema = Schema(fields={"age": float}, events={"purchase": {"sku": str}})
        >>> CustomerHistory.from_rows(schema, {"customer_id": 7, "age": 30}, [
        ...     {"type": "purchase", "time": datetime(2026, 11, 1, 10, tzinfo=UTC), "value": 9.5, "sku": "a"}])
        CustomerHistory(customer_id=7, 1 event: purchase)
        """
        names = _column_names(columns)
        faults: list[InputError] = []
        who, attributes = read_customer(schema, row, names, faults, convert=convert)
        who, events = read_rows(schema, rows, names, who, faults, convert=convert)
        if faults:
            raise _error_of(sorted(faults, key=_place_of))
        return cls._of(who, attributes, tz, events)

    # What it holds

    def __len__(self) -> int:
        """Return the number of events."""
        return sum(len(times) for times, _ in self._events.values())

    def __bool__(self) -> bool:
        """Return that there is one, though it may be without events."""
        return True

    @property
    def types(self) -> tuple[str, ...]:
        """The event types, sorted."""
        return tuple(sorted(self._events))

    def add(self, event: Event | Purchase | Message | Visit) -> Self:
        """Return the history with one event more; this one stays as it is.

        Notes
        -----
        The place is found by bisection, and the events of this one type are copied: two copies of memory of 8 bytes
        for each event of the type, about 10 microseconds for 5,000. Everything else is shared.
        """
        one = plain_event(event)
        if self.customer_id is not None and one.customer_id != self.customer_id:
            raise InputError(
                f"event is of customer {shown(one.customer_id)}, and this is the history of {shown(self.customer_id)}: "
                "give the events of one customer.",
                argument="event",
                code="conflicting_arguments",
            )
        at = instant(one.time)
        times, rows = self._events.get(one.type, ([], []))
        place = len(times) if not times or times[-1] <= at else bisect_right(times, at)
        times, rows = times.copy(), rows.copy()
        times.insert(place, at)
        rows.insert(place, one)
        return self._of(one.customer_id, self.attributes, self.tz, {**self._events, one.type: (times, rows)})

    def _later(self, firsts: Mapping[str, int | None]) -> Self:
        """Return the history with the events of some types alone, of each from a microsecond on; None is all."""
        kept = {}
        for name, first in firsts.items():
            times, rows = self._events[name]
            start = 0 if first is None else bisect_left(times, first)
            if start < len(times):
                kept[name] = (times, rows) if start == 0 else (times[start:], rows[start:])
        return self._of(self.customer_id, self.attributes, self.tz, kept)

    # What is asked of it

    def zone(self, tz: str | None = None) -> str:
        """Return the time zone of a question: the one that it says, or that of the history, or UTC."""
        if tz is not None and self.tz is not None and tz != self.tz:
            raise InputError(
                f"tz is {tz!r}, and the history has {self.tz!r}: give one of them.",
                argument="tz",
                code="conflicting_arguments",
            )
        return tz or self.tz or "UTC"

    def person(self, as_of: Instant, tz: str | None = None) -> Person:
        """Return the customer as of a time: the same one for all questions of one time."""
        zone = self.zone(tz)
        at = point_in_time(as_of, zone)
        key = (at, at.__class__, zone, get_ident())  # what was found in a person is moved on: each thread has its own
        for known, person in self._last:
            if known == key:
                return person
        last = last_seen(at)
        given = {}
        for name, (times, rows) in self._events.items():
            if times[-1] <= last:
                given[name] = (times, rows)
            else:
                seen = bisect_right(times, last)
                given[name] = (times[:seen], rows[:seen])
        person = Person(self.customer_id, self.attributes, given, at)
        self._last[:] = [(key, person)]
        return person

    def to_base(self) -> CustomerBase:
        """Return a base of this one customer, for doors that take many: a recommender's ``history=``, `Journeys`.

        Examples
        --------
        >>> from relmark import Purchase
        >>> history = CustomerHistory(None, [Purchase("c1", "2026-11-01T10:00Z", 20.0, item="tea")])
        >>> history.to_base().purchases()
        Purchases(lines=1, orders=1, customers=1, UTC)
        """
        rows = [
            (name, at, row) for name, (times, own) in self._events.items() for at, row in zip(times, own, strict=True)
        ]
        asked = sorted({name for _, _, row in rows for name in row.properties})
        who = [] if self.customer_id is None else [self.customer_id]
        log = (
            EventLog.from_columns(
                customer_id=np.array(who * len(rows)) if rows else [],
                type=[name for name, _, _ in rows],
                time=UtcTimes(np.array([at for _, at, _ in rows], dtype=np.int64).view("M8[us]")),
                value=[row.value for _, _, row in rows],
                properties={name: [row.properties.get(name) for _, _, row in rows] for name in asked},
            )
            if rows
            else EventLog.empty(np.array(who))
        )
        table = CustomerTable.from_columns(customer_id=who, **{k: [v] for k, v in self.attributes.items() if who})
        return CustomerBase(customers=table, events=log, tz=self.zone())

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without what was found out."""
        return _again, (self.customer_id, dict(self.attributes), self.tz, self._events)

    def __repr__(self) -> str:
        n = len(self)
        named = f": {', '.join(self.types[:8])}" if n else ""
        return f"CustomerHistory(customer_id={self.customer_id!r}, {n:,} event{'' if n == 1 else 's'}{named})"


_SHOWN = 20  # faults that a message names in full
_COLUMNS = ("customer_id", "type", "time", "value", "properties")


def _place_of(fault: InputError) -> int:
    """Return the row of a fault, -1 for the customer, -2 for columns that are not there."""
    place = re.match(r"rows\[(\d+)\]", fault.path)
    return int(place[1]) if place else -1 - (fault.path == "columns")


def _error_of(faults: list[InputError]) -> DataError:
    """Return one error of all faults; its text names each place, as its problems do."""
    first = faults[0]
    more = f" And {len(faults) - _SHOWN:,} more." if len(faults) > _SHOWN else ""
    alone = len(faults) == 1
    words = first.message if alone else f"{' '.join(map(str, faults[:_SHOWN]))}{more}"
    hint = first.hint if alone else ""
    error = DataError(words, code=first.code, argument=first.argument, hint=hint, problems=faults)
    error.path = first.path  # given to the error itself, it would stand before the text once more
    return error


def _column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return what the columns of rows are called, by the names that relmark has for them."""
    given = {} if columns is None else columns
    if not isinstance(given, Mapping):
        raise InputError(
            f"columns is {shown(given)}: a mapping of names is needed.", argument="columns", code="wrong_type"
        )
    for name, column in given.items():
        if name not in _COLUMNS or not isinstance(column, str):
            raise InputError(
                f"columns has {shown(name)}: {shown(column)}; it names {', '.join(_COLUMNS)}.",
                argument="columns",
                code="wrong_type",
            )
    return {name: given.get(name, name) for name in _COLUMNS}


def _again(
    who: int | str | None, attributes: Mapping[str, Any], tz: str | None, events: dict[str, Events]
) -> CustomerHistory:
    return CustomerHistory._of(who, attributes, tz, events)  # noqa: SLF001


def person_of(
    customer: Customer | CustomerHistory | None,
    events: Iterable[Event | Purchase | Message | Visit] | None,
    *,
    as_of: Instant,
    tz: str | None,
) -> tuple[Person, str]:
    """Return whom a question is about, and its time zone: of a history, or of a customer and events."""
    if isinstance(customer, CustomerHistory):
        if events is not None:
            raise InputError(
                "events are given beside a CustomerHistory, which has its own: add them to it.",
                argument="events",
                code="conflicting_arguments",
            )
        zone = customer.zone(tz)
        return customer.person(as_of, zone), zone
    if events is None:
        raise InputError(
            "events are missing: give the customer's events, [] for none, or a CustomerHistory alone.",
            argument="events",
            code="missing_argument",
        )
    zone = tz or "UTC"
    return Person.of(customer, events, as_of=as_of, tz=zone), zone
