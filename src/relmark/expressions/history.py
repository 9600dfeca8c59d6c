"""The attributes and events of one customer, sorted once, for many questions.

A backend asks many questions about one person: several segments, a score, a policy. Each of them accepts a
`CustomerHistory` instead of a customer and a list of events, and what was computed for one question is used again by
the next.
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
    """One customer and their events, read once for many questions.

    Parameters
    ----------
    customer : Customer or None
        None if only the events are known.
    events : iterable of Event
        The customer's events in any order.
    tz : str, optional
        The time zone of the business; then questions need not give it.

    Attributes
    ----------
    customer_id : int, str or None
        None if neither a customer nor an event was given.
    attributes : mapping of str to value
        The fields of the customer.
    types : tuple of str
        The event types, sorted.
    tz : str or None
        The time zone of the business, if it was given.

    Raises
    ------
    InputError
        An event belongs to somebody else, or is not an event.

    Notes
    -----
    The history keeps what it computed for the last `as_of`, so that several definitions asked for the same time share
    it. `add` shares everything but the events of one type.

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
    _last: list[tuple[Any, Person]] = attrs.field(factory=list)  # the person as of the last question

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
        """Build a history from plain rows of a database, without an object for each event.

        Parameters
        ----------
        schema : Schema
            The fields, and the event types with their properties, to read, with their kinds; other columns are
            ignored.
        row : mapping or None
            The customer: `customer_id` and fields by name. None if only the events are known.
        rows : iterable of mapping
            The events in any order: `type`, `time`, `value` (may be left out), and properties by name, or in a mapping
            under `properties`. `customer_id` may be left out if `row` has it.
        columns : mapping of str to str, optional
            Your names of the columns customer_id, type, time, value and properties, if they differ:
            ``{"customer_id": "user_id", "time": "happened_at"}``.
        tz : str, optional
            The time zone of the business.
        convert : bool
            Whether numbers and booleans written as text are converted, and whole numbers where a text is needed.
            Otherwise these are errors.

        Raises
        ------
        DataError
            Values are not of the kinds that the schema gives. The message names up to 20 of them, and `problems` has
            each with its path, such as ``rows[3].amount``, its code and a hint.

        Notes
        -----
        Numbers are int, float or Decimal; times are aware datetimes or ISO texts with a zone; dates are dates or ISO
        texts; tags are a list or a set of texts; None and NaN mean missing. A whole number beyond 2**53 is an error.

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
        """Return True, also for a history without events."""
        return True

    @property
    def types(self) -> tuple[str, ...]:
        """The event types, sorted."""
        return tuple(sorted(self._events))

    def add(self, event: Event | Purchase | Message | Visit) -> Self:
        """Return a history with one more event; this one does not change.

        Notes
        -----
        The place of the event is found by bisection, and two lists of the events of its type are copied, 8 bytes per
        event each, which takes about 10 microseconds for 5,000 events. Everything else is shared.
        """
        one = plain_event(event)
        if self.customer_id is not None and one.customer_id != self.customer_id:
            raise InputError(
                f"event is of customer {shown(one.customer_id)}, but this is the history of {shown(self.customer_id)}: "
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
        """Return the events of some types only, each from its first microsecond on; None means all of them."""
        kept = {}
        for name, first in firsts.items():
            times, rows = self._events[name]
            start = 0 if first is None else bisect_left(times, first)
            if start < len(times):
                kept[name] = (times, rows) if start == 0 else (times[start:], rows[start:])
        return self._of(self.customer_id, self.attributes, self.tz, kept)

    # What is asked of it

    def zone(self, tz: str | None = None) -> str:
        """Return the time zone of a question: the given one, or that of the history, or UTC."""
        if tz is not None and self.tz is not None and tz != self.tz:
            raise InputError(
                f"tz is {tz!r}, but the history has {self.tz!r}: leave tz out, or build the history with {tz!r}.",
                argument="tz",
                code="conflicting_arguments",
            )
        return tz or self.tz or "UTC"

    def person(self, as_of: Instant, tz: str | None = None) -> Person:
        """Return the customer as of a time; questions with the same time share one object."""
        zone = self.zone(tz)
        at = point_in_time(as_of, zone)
        key = (at, at.__class__, zone, get_ident())  # a Person changes when it is used, so each thread has its own
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
        """Return a base of this one customer, for functions that take a base: a recommender's ``history=``, `Journeys`.

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
        """Pickle the history without what it computed."""
        return _again, (self.customer_id, dict(self.attributes), self.tz, self._events)

    def __repr__(self) -> str:
        n = len(self)
        named = f": {', '.join(self.types[:8])}" if n else ""
        return f"CustomerHistory(customer_id={self.customer_id!r}, {n:,} event{'' if n == 1 else 's'}{named})"


_SHOWN = 20  # faults that a message names in full
_COLUMNS = ("customer_id", "type", "time", "value", "properties")


def _place_of(fault: InputError) -> int:
    """Return the row of a fault, -1 for the customer, -2 for missing columns."""
    place = re.match(r"rows\[(\d+)\]", fault.path)
    return int(place[1]) if place else -1 - (fault.path == "columns")


def _error_of(faults: list[InputError]) -> DataError:
    """Return one error for all faults; its text names the place of each, and so do its problems."""
    first = faults[0]
    more = f" And {len(faults) - _SHOWN:,} more." if len(faults) > _SHOWN else ""
    alone = len(faults) == 1
    words = first.message if alone else f"{' '.join(map(str, faults[:_SHOWN]))}{more}"
    hint = first.hint if alone else ""
    error = DataError(words, code=first.code, argument=first.argument, hint=hint, problems=faults)
    error.path = first.path  # as an argument, it would be repeated before the text
    return error


def _column_names(columns: Mapping[str, str] | None) -> dict[str, str]:
    """Return the caller's names of columns by relmark's names of them."""
    given = {} if columns is None else columns
    if not isinstance(given, Mapping):
        raise InputError(
            f"columns is {shown(given)}: a mapping of names is needed.", argument="columns", code="wrong_type"
        )
    for name, column in given.items():
        if name not in _COLUMNS or not isinstance(column, str):
            raise InputError(
                f"columns has {shown(name)}: {shown(column)}; it maps {', '.join(_COLUMNS)} to names of columns.",
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
    """Return the person and the time zone of a question, from a history, or from a customer and events."""
    if isinstance(customer, CustomerHistory):
        if events is not None:
            raise InputError(
                "events were given together with a CustomerHistory, which has its own events: add them to it.",
                argument="events",
                code="conflicting_arguments",
            )
        zone = customer.zone(tz)
        return customer.person(as_of, zone), zone
    if events is None:
        raise InputError(
            "events are missing: give the customer's events, [] for none, or only a CustomerHistory.",
            argument="events",
            code="missing_argument",
        )
    zone = tz or "UTC"
    return Person.of(customer, events, as_of=as_of, tz=zone), zone
