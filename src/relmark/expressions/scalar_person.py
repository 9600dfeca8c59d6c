"""One person in the form that rules use: an id, attributes, and events up to an instant, by type, sorted by time.

Values have one Python type for each kind, so that ``value.__class__`` gives the kind: float (number), str, bool, date,
`Moment` (an instant in microseconds) and `Tags`; None means unknown. A whole number beyond 2**53 is an int, because as
a float it could equal its neighbors.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.time import Instant, instant, read_instant
from relmark.expressions.scalar_calendar import Dated, Zone, last_seen
from relmark.expressions.scalar_tables import Table
from relmark.expressions.tags import Tags

if TYPE_CHECKING:
    from relmark.core.base import CustomerBase
    from relmark.core.partition import Partition

__all__ = [
    "Events",
    "Moment",
    "Occurrence",
    "Person",
    "Row",
    "Value",
    "events_by_type",
    "given_time",
    "in_order",
    "kind_of",
    "plain_event",
    "plain_value",
    "point_in_time",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_EXACT = 2**53
_BEYOND = 2**63


class Moment(int):
    """An instant in microseconds UTC, distinguished from other numbers by its type."""

    __slots__ = ()


Value = float | str | bool | date | Moment | Tags | None
_KINDS: dict[type, str] = {
    float: "number",
    int: "number",  # a whole number beyond 2**53, which no float holds exactly
    str: "text",
    bool: "boolean",
    date: "date",
    Moment: "instant",
    Tags: "tags",
}


def kind_of(value: Any) -> str:
    """Return the kind of a value: number, text, boolean, date, instant or tags."""
    return _KINDS[value.__class__]


class Occurrence(Protocol):
    """One event of a person, as predicates over properties use it; an `Event` is one."""

    @property
    def type(self) -> str:
        """The type of the event."""
        ...

    @property
    def value(self) -> float | None:
        """The value of the event."""
        ...

    @property
    def properties(self) -> Mapping[str, Any]:
        """The properties of the event, by name."""
        ...


class Row:
    """An event taken from a log, or from a row of a database."""

    __slots__ = ("properties", "type", "value")

    def __init__(self, type: str, value: float | None, properties: Mapping[str, Any]) -> None:
        self.type = type
        self.value = value
        self.properties = properties


Events = tuple[list[int], list[Any]]
"""Ascending times in microseconds, and a list of the events at these times."""

_NONE: Events = ([], [])


class Person:
    """One customer and the events up to an instant; make it with `of` or `from_base`.

    Attributes
    ----------
    id : int, str or None
        None if neither a customer nor an event was given.
    attributes : mapping of str to value
        The fields of the customer.
    facts : dict
        Facts about the events that a search found and will use again.
    as_of : int
        Microseconds UTC, a `Dated` if a date was given. Later events are left out, whatever instant is asked about.
    """

    __slots__ = ("_found", "_given", "_sorted", "_tables", "_times", "as_of", "attributes", "facts", "id")

    def __init__(
        self, id: int | str | None, attributes: Mapping[str, Any], given: Mapping[str, Any], as_of: int
    ) -> None:
        self.id = id
        self.attributes = attributes
        self.as_of = as_of
        self._given = given
        self._sorted: dict[str, Events] = {}
        self._found: dict[str, Events] = {}
        self.facts: dict[Any, bool] = {}
        self._tables: dict[Any, Table | None] = {}
        self._times: list[int] | None = None

    @classmethod
    def of(
        cls,
        customer: Customer | None,
        events: Iterable[Event | Purchase | Message | Visit],
        *,
        as_of: Instant,
        tz: str = "UTC",
    ) -> Person:
        """Make a person from a customer and their events, in any order.

        Raises
        ------
        InputError
            An event belongs to somebody else, or is not an event.
        """
        who, groups = events_by_type(customer, events)
        return cls(who, {} if customer is None else customer.attributes, groups, point_in_time(as_of, tz))

    @classmethod
    def from_base(cls, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> Person:
        """Make a person from one customer of a base, without reading the others.

        Raises
        ------
        InputError
            The base does not have this customer.
        """
        if isinstance(customer_id, bool) or not isinstance(customer_id, (int, str, np.integer)):
            raise InputError(
                f"customer_id is {shown(customer_id)}: an id of the base is needed.",
                argument="customer_id",
                code="wrong_type",
            )
        row = int(base.find([customer_id])[0])
        if row < 0:
            raise InputError(
                f"customer_id is {shown(customer_id)}, whom the base does not have.",
                argument="customer_id",
                code="unknown_name",
            )
        found = base.customer_id[row].item() if isinstance(base.customer_id[row], np.generic) else base.customer_id[row]
        home = base.home_of(found)
        at = base.as_of(as_of).in_zone(home.tz)
        moment = Dated(at.clock) if at.dated else int(at.clock)
        return cls(found, _BaseAttributes(base, row), _BaseEvents(home, found, moment), moment)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the data of this person, without the base they come from."""
        events = {name: self.events(name) for name in self._given}
        return Person, (self.id, dict(self.attributes), events, self.as_of)

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the events that were given, sorted."""
        return tuple(sorted(self._given))

    def events(self, type: str) -> Events:
        """Return the events of one type up to as_of: ascending times, and the events."""
        try:
            return self._sorted[type]
        except KeyError:
            found = self._given.get(type)
            if found is None:
                return _NONE
            result = self._sorted[type] = found if found.__class__ is tuple else self._in_order(found)
            return result

    def table(self, key: Any, build: Callable[[], Table]) -> Table | None:
        """Return the table of a figure, or None the first time it is asked for, as most are asked for only once."""
        if key not in self._tables:
            self._tables[key] = None
            return None
        table = self._tables[key]
        if table is None:
            table = self._tables[key] = build()
        return table

    def times(self) -> list[int]:
        """Return the distinct times of all events up to as_of, ascending."""
        if self._times is None:
            self._times = sorted({time for name in self._given for time in self.events(name)[0]})
        return self._times

    def _in_order(self, given: list[Event]) -> Events:
        times, rows = in_order(given)
        if times[-1] > (last := last_seen(self.as_of)):
            seen = bisect_right(times, last)
            return times[:seen], rows[:seen]
        return times, rows


def events_by_type(
    customer: Customer | None, events: Iterable[Event | Purchase | Message | Visit]
) -> tuple[int | str | None, dict[str, list[Event]]]:
    """Return the id of a customer with events, and the events by type, in the given order."""
    if customer is not None and not isinstance(customer, Customer):
        raise InputError(
            f"customer is {shown(customer)}: a Customer, or None, is needed.", argument="customer", code="wrong_type"
        )
    given: object = events
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes, Mapping)):
        raise InputError(
            f"events is {shown(events)}: a list of Events of one customer is needed, [] for none.",
            argument="events",
            code="wrong_type",
        )
    who = None if customer is None else customer.id
    groups: dict[str, list[Event]] = {}
    for event in events:
        plain = event if event.__class__ is Event else plain_event(event)
        if plain.customer_id != who:
            if who is not None:
                raise InputError(
                    f"events has one of customer {shown(plain.customer_id)} among those of {shown(who)}: give the "
                    "events of one customer.",
                    argument="events",
                    code="conflicting_arguments",
                )
            who = plain.customer_id
        if plain.type in groups:
            groups[plain.type].append(plain)
        else:
            groups[plain.type] = [plain]
    return who, groups


def in_order(given: list[Event]) -> Events:
    """Return events in the order of time, with their times in microseconds."""
    times = [(event.time - _EPOCH) // _US for event in given]
    if times != sorted(times):
        order = sorted(range(len(times)), key=times.__getitem__)
        times, given = [times[k] for k in order], [given[k] for k in order]
    return times, given


def point_in_time(as_of: Instant, tz: str, name: str = "as_of") -> int:
    """Return an instant in microseconds UTC, or the `Dated` of a date."""
    at, dated = read_instant(as_of, tz=tz, name=name)
    return Dated(at) if dated else at


def given_time(at: int, zone: Zone) -> np.datetime64:
    """Return a point in time as results show it: a date, or an instant in UTC."""
    return np.datetime64(zone.day(at), "D") if at.__class__ is Dated else np.datetime64(int(at), "us")


def plain_event(event: Any) -> Event:
    """Return an event of any kind as an `Event`."""
    if isinstance(event, (Event, Purchase, Message, Visit)):
        return event.to_event()
    raise InputError(f"events has {shown(event)}: Events are needed.", argument="events", code="wrong_type")


def plain_value(name: str, value: Any) -> Value:
    """Return a given value in the form that rules use, or None if it is missing."""
    kind = value.__class__
    if kind is str or kind is bool or value is None or kind is Moment:
        return value  # type: ignore[no-any-return]
    if kind is float or kind is int:
        if value != value:  # noqa: PLR0124  (NaN)
            return None
        if kind is float:
            if math.isinf(value):
                raise InputError(
                    f"{name} is {value}: a finite number, or None if it is missing, is needed.",
                    argument=name,
                    code="not_finite",
                )
            return value  # type: ignore[no-any-return]
        if -_EXACT <= value <= _EXACT:
            return float(value)
        if -_BEYOND < value < _BEYOND:
            return value  # type: ignore[no-any-return]  # it may be an id, so it stays exact
        raise InputError(
            f"{name} is {shown(value)}: a whole number of at most 64 bits, or a float, is needed.",
            argument=name,
            code="wrong_value",
        )
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        days = np.datetime_data(value.dtype)[0] in {"Y", "M", "W", "D"}
        return value.astype("M8[D]").item() if days else Moment(instant(value))
    if isinstance(value, np.generic):
        return plain_value(name, value.item())
    if isinstance(value, datetime):
        return Moment(instant(value, name=name)) if value == value else None  # noqa: PLR0124  (NaT)
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (set, frozenset, list, tuple)):
        for tag in value:
            if not isinstance(tag, str):
                raise InputError(
                    f"{name} has the tag {shown(tag)}: tags are strings.", argument=name, code="wrong_type"
                )
        return Tags(value)
    if hasattr(value, "as_integer_ratio"):
        return plain_value(name, float(value))
    raise InputError(
        f"{name} is {shown(value)}: a number, a string, True, False, a date, an aware time or a set of strings is "
        "needed.",
        argument=name,
        code="wrong_type",
    )


class _BaseAttributes(Mapping[str, Any]):
    """The attributes of one row of a base, read one at a time."""

    __slots__ = ("_base", "_row")

    def __init__(self, base: CustomerBase, row: int) -> None:
        self._base = base
        self._row = row

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        """Return a field; a field that the base does not have is an error, as for columns."""
        return self[name]

    def __getitem__(self, name: str) -> Any:
        table = self._base.customers
        column = None if table is None else table.columns.get(name)
        if column is None:
            column = self._base.column(name)  # raises, with the fields that there are
        return column.value(self._row) if self._row < len(column) else None

    def __iter__(self) -> Any:
        return iter(self._base.fields)

    def __len__(self) -> int:
        return len(self._base.fields)


class _BaseEvents(Mapping[str, Any]):
    """The events of one customer of a base, read one type at a time."""

    __slots__ = ("_as_of", "_base", "_code")

    def __init__(self, base: CustomerBase, customer_id: int | str, as_of: int) -> None:
        log = base.events
        self._base = base
        self._as_of = as_of
        place = int(np.searchsorted(log.customer_id, customer_id)) if log.n_customers else 0
        known = place < log.n_customers and log.customer_id[place] == customer_id
        self._code = place if known else -1

    def __getitem__(self, type: str) -> Events:
        part = self._base.events.partition(type)
        if part is None:
            raise KeyError(type)
        return _rows_of(part, self._code, type, self._as_of)

    def __iter__(self) -> Any:
        return iter(self._base.events.types)

    def __len__(self) -> int:
        return len(self._base.events.types)


def _rows_of(part: Partition, code: int, type: str, as_of: int) -> Events:
    if code < 0:
        return _NONE
    order, offsets = part.by_customer
    rows = order[offsets[code] : offsets[code + 1]]
    times = part.time[rows]
    seen = int(np.searchsorted(times, last_seen(as_of), side="right"))
    if seen == 0:
        return _NONE
    rows = rows[:seen]
    values = [None] * seen if part.value is None else part.value[rows].tolist()
    names = list(part.properties)
    columns = [_column_values(part.properties[name].take(rows)) for name in names]
    found: list[Any] = [
        Row(type, None if value is None or value != value else value, dict(zip(names, given, strict=True)))  # noqa: PLR0124
        for value, given in zip(values, zip(*columns, strict=True) if columns else [()] * seen, strict=True)
    ]
    return times[:seen].tolist(), found


def _column_values(column: Any) -> list[Value]:
    if column.kind in {"date", "instant"}:
        return [plain_value("property", value) for value in column.values()]
    values = column.values().tolist()
    if column.kind == "number":
        return [  # a whole number that a float cannot hold exactly stays an int: it may be an id
            None if value != value else float(value) if -_EXACT <= value <= _EXACT else value  # noqa: PLR0124  (NaN)
            for value in values
        ]
    return values  # type: ignore[no-any-return]
