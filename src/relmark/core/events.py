"""Typed objects for one customer and one event, as a backend uses them. Bulk data never becomes objects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Self, TypeAlias, TypeVar

import attrs
import numpy as np

from relmark.core.checks import is_missing, one_of, shown
from relmark.core.documents import Limits
from relmark.core.errors import InputError
from relmark.core.json_data import Reader, opened, stored_time, stored_value
from relmark.core.time import Instant, aware, duration_text, instant

__all__ = ["Customer", "Event", "Message", "Purchase", "Visit"]

CustomerId: TypeAlias = int | str
"""What names a customer: an integer or a text."""
Scalar: TypeAlias = int | float | str | bool | date | datetime | frozenset[str] | None
"""One value of a field or of a property; None is missing."""
Action: TypeAlias = Literal[
    "sent", "withheld", "delivered", "shown", "opened", "read", "clicked", "replied", "liked", "commented", "bounced",
    "blocked", "unsubscribed", "complained",
]  # fmt: skip
"""What became of a message."""

_S = TypeVar("_S")
_BEYOND = 2**63
_EXACT = 2**53

_TYPE_OF_ACTION = {
    "sent": "message_sent",
    "withheld": "message_withheld",
    "delivered": "message_delivered",
    "shown": "message_shown",
    "opened": "message_opened",
    "read": "message_read",
    "clicked": "message_clicked",
    "replied": "message_replied",
    "liked": "message_liked",
    "commented": "message_commented",
    "bounced": "message_bounced",
    "blocked": "message_blocked",
    "unsubscribed": "unsubscribe",
    "complained": "complaint",
}


def _checked_id(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    name = f"{type(instance).__name__}.{attribute.name}"
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise InputError(
            f"{name} is {shown(value)}: an int or a str is needed.", argument=attribute.name, code="wrong_type"
        )
    _plain_item(name, value, attribute.name)


def _checked_text(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise InputError(
            f"{type(instance).__name__}.{attribute.name} is {shown(value)}: a name is needed.",
            argument=attribute.name,
            code="wrong_type",
        )
    _plain_item(f"{type(instance).__name__}.{attribute.name}", value, attribute.name)


def _plain_item(said: str, value: Any, argument: str) -> None:
    """Refuse a text with NUL, which numpy cuts off at the end of a string, and a whole number beyond 64 bits."""
    if value.__class__ is str:
        if "\0" in value:
            raise InputError(
                f"{said} is {shown(value)}, with a NUL character: remove it.", argument=argument, code="bad_text"
            )
    elif value.__class__ is int and not -_BEYOND < value < _BEYOND:
        raise InputError(
            f"{said} is {shown(value)}: a whole number of at most 64 bits, or a string, is needed.",
            argument=argument,
            code="too_large_number",
            hint="Give an id as a string.",
        )


def _checked_number(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    name = f"{type(instance).__name__}.{attribute.name}"
    if isinstance(value, int) and abs(value) > _EXACT:
        raise InputError(
            f"{name} is {shown(value)}: numbers are stored as float64, in which whole numbers are exact only up to "
            "2**53.",
            argument=attribute.name,
            code="too_large_number",
            hint="Give a float.",
        )
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(
            f"{name} is {shown(value)}: a finite number, or None, is needed.",
            argument=attribute.name,
            code="wrong_type",
        )
    if not math.isfinite(value):
        raise InputError(
            f"{name} is {value}: a finite number, or None, is needed.",
            argument=attribute.name,
            code="not_finite",
        )


def _checked_word(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, str))):
        raise InputError(
            f"{type(instance).__name__}.{attribute.name} is {shown(value)}: a str, an int or None is needed.",
            argument=attribute.name,
            code="wrong_type",
        )
    _plain_item(f"{type(instance).__name__}.{attribute.name}", value, attribute.name)


def _checked_span(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    _checked_number(instance, attribute, value)
    if value is not None and value < 0:
        raise InputError(
            f"{type(instance).__name__}.{attribute.name} is {shown(value)}: a duration cannot be negative.",
            argument=attribute.name,
            code="wrong_value",
        )


def _aware_time(value: Instant) -> datetime:
    if type(value) is datetime and value.tzinfo is not None:
        if not 1 < value.year < 9_999:
            instant(value, name="time")  # in UTC it may lie beyond the calendar
        return value
    if (isinstance(value, date) and not isinstance(value, datetime)) or (isinstance(value, str) and len(value) <= 10):
        raise InputError(
            f"time is {value}: an event needs an instant, not a day.",
            argument="time",
            code="wrong_value",
            hint="Give a time with a zone, such as '2026-11-01T09:30Z'.",
        )
    return aware(instant(value, name="time"))


def _plain_id(value: CustomerId) -> Any:
    return value if type(value) is int or type(value) is str else _plain(value)


def _plain_word(value: str | int | None) -> Any:
    return value if value is None or type(value) is str else _plain(value)


def _plain(value: Any) -> Any:
    """Return a numpy scalar or a Decimal as a Python number."""
    if isinstance(value, np.generic):
        return value.item()
    return float(value) if isinstance(value, Decimal) else value


def _length(value: timedelta | float | None) -> Any:
    return value if type(value) is timedelta else _known(value)


def _amount(value: float | None) -> Any:
    return value if type(value) is float and value == value else _known(value)  # noqa: PLR0124  (NaN is missing)


def _known(value: Any) -> Any:
    """Return a number, None where it is missing."""
    return None if not isinstance(value, (str, int)) and is_missing(value) else _plain(value)


def _attributes(value: Mapping[Any, object]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"attributes is {shown(value)}: a mapping of names to values is needed.",
            argument="attributes",
            code="wrong_type",
        )
    for name, given in value.items():
        if not isinstance(name, str) or not name:
            raise InputError(
                f"attributes has the name {shown(name)}: a string is needed.", argument="attributes", code="wrong_type"
            )
        _plain_item(f"attribute {name!r}", _plain(given), f"attributes.{name}")
    return dict(value)


def _tags(name: str, value: Iterable[object], argument: str) -> frozenset[str]:
    """Return a set of words, each checked."""
    tags: list[str] = []
    for tag in value:
        if not isinstance(tag, str):
            raise InputError(
                f"{name} has the tag {shown(tag)}: tags are strings.", argument=argument, code="wrong_type"
            )
        _plain_item(f"a tag of {name}", tag, argument)
        tags.append(str(tag))
    return frozenset(tags)


def _properties(value: Mapping[Any, object]) -> dict[str, Scalar]:
    if not isinstance(value, Mapping):
        raise InputError(
            f"properties is {shown(value)}: a mapping of names to values is needed.",
            argument="properties",
            code="wrong_type",
        )
    out: dict[str, Scalar] = {}
    for name, given in value.items():
        item = _known(given)
        if not isinstance(name, str) or not name:
            raise InputError(
                f"properties has the name {shown(name)}: a string is needed.", argument="properties", code="wrong_type"
            )
        if isinstance(item, (set, frozenset, list, tuple)):
            item = _tags(f"property {name!r}", item, f"properties.{name}")
        if item is not None and not isinstance(item, (int, float, str, date, frozenset)):
            raise InputError(
                f"property {name!r} is {shown(item)}: a number, a string, a boolean, a date, a time, a set of strings "
                "or None is needed.",
                argument=f"properties.{name}",
                code="wrong_type",
            )
        if item.__class__ is str or item.__class__ is int:
            _plain_item(f"property {name!r}", item, f"properties.{name}")
        elif isinstance(item, float) and math.isinf(item):
            raise InputError(
                f"property {name!r} is {item}: a finite number is needed.",
                argument=f"properties.{name}",
                code="not_finite",
            )
        if isinstance(item, datetime):
            instant(item, name=f"property {name!r}")
        out[name] = item
    return out


class _Stored:
    """A mixin that reads and writes JSON-ready values: `to_dict` and `from_dict`."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON-ready values, without missing ones.

        A date is written as ``{"date": ...}``, an instant as ``{"instant": ...}`` and a set of tags as
        ``{"tags": [...]}``, so that `from_dict` can read them back.
        """
        body: dict[str, Any] = {}
        for part in attrs.fields(type(self)):  # type: ignore[arg-type]
            value = getattr(self, part.name)
            if part.name in {"attributes", "properties"}:
                value = {name: stored_value(item) for name, item in value.items()}
            elif part.name == "time":
                value = stored_time(value)
            elif isinstance(value, timedelta):
                value = duration_text(value)
            if value is not None and value != {}:
                body[part.name] = value
        return body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any] | str | bytes, limits: Limits | None = None) -> Self:
        """Read an object from JSON-ready values or from JSON text.

        Parameters
        ----------
        body : mapping, str or bytes
            Values as `to_dict` writes them. A plain string stays a string; to read plain strings as dates or instants
            according to a schema, use `Schema.customer` and `Schema.event`.
        limits : Limits, optional
            How large it may be.

        Raises
        ------
        DataError
            Something is not valid; `problems` lists everything.
        """
        limits = limits or Limits()
        name = cls.__name__.lower()
        return read_parts(cls, opened(body, name, limits), Reader(name, limits))


def read_parts(
    make: type[_S],
    body: Mapping[str, Any],
    reader: Reader,
    kinds: Mapping[str, str] | None = None,
    value: str = "number",
) -> _S:
    """Read a customer or an event from a JSON object; all its problems are raised in one error.

    Parameters
    ----------
    make : type
        Customer, Event, Purchase, Message or Visit.
    body : mapping
        Its fields by name.
    reader : Reader
        The reader, which collects problems.
    kinds : mapping of str to kind, optional
        The kinds of its attributes or properties; without it, every plain value is accepted.
    value : str
        The kind of an event's value.
    """
    parts = attrs.fields(make)  # type: ignore[arg-type]
    reader.keys(
        body,
        [part.name for part in parts if part.default is attrs.NOTHING],
        [part.name for part in parts if part.default is not attrs.NOTHING],
    )
    given: dict[str, Any] = {}
    for part in parts:
        if part.name not in body:
            continue
        item, path = body[part.name], f"$.{part.name}"
        match part.name:
            case "id" | "customer_id":
                given[part.name] = reader.id(item, path)
            case "attributes":
                given[part.name] = reader.values(item, path, kinds, "unknown_field", "customers have no field")
            case "properties":
                said = "these events have no property"
                given[part.name] = reader.values(item, path, kinds, "unknown_property", said)
            case "time":
                given[part.name] = reader.needed(item, path, "instant")
            case "value" | "quantity":
                given[part.name] = reader.value(item, path, value)
            case "duration":
                given[part.name] = reader.duration(item, path)
            case "type" | "action":
                given[part.name] = reader.needed(item, path, "text")
            case _:  # the name of an order, an item, a campaign: a text or a whole number
                given[part.name] = None if item is None else reader.id(item, path)
    return reader.done(lambda: make(**given))  # type: ignore[no-any-return]


@attrs.frozen
class Customer(_Stored):
    """One customer and what is known about them.

    Parameters
    ----------
    id : int or str
        The customer's id.
    attributes : mapping of str to value
        Numbers, strings, booleans, dates, aware datetimes or sets of strings; None means missing.

    Examples
    --------
    >>> Customer("c1", {"city": "Kazan", "age": 41})
    Customer(id='c1', attributes={'city': 'Kazan', 'age': 41})
    >>> Customer.from_dict({"id": "c1", "attributes": {"born": {"date": "1985-04-12"}}}).attributes["born"]
    datetime.date(1985, 4, 12)
    """

    id: CustomerId = attrs.field(converter=_plain_id, validator=_checked_id)
    attributes: Mapping[str, Any] = attrs.field(factory=dict, converter=_attributes, hash=False)


@attrs.frozen
class Event(_Stored):
    """One thing that a customer did, or that was done to them.

    Parameters
    ----------
    customer_id : int or str
        Whose event it is.
    type : str
        What happened: 'purchase', 'visit', 'message_opened', ...
    time : datetime
        When it happened, with a time zone. ISO strings with a zone and datetime64 (UTC) are accepted too.
    value : float, optional
        An amount, usually money in the currency of the log.
    properties : mapping of str to number, str, bool, date, datetime, set of str or None
        Further details, such as the channel or the item.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> Event("c1", "visit", datetime(2026, 11, 1, 9, 30, tzinfo=UTC), properties={"channel": "mail"}).type
    'visit'
    """

    customer_id: CustomerId = attrs.field(converter=_plain_id, validator=_checked_id)
    type: str = attrs.field(validator=_checked_text)
    time: datetime = attrs.field(converter=_aware_time)
    value: float | None = attrs.field(default=None, converter=_amount, validator=_checked_number)
    properties: Mapping[str, Scalar] = attrs.field(factory=dict, converter=_properties, hash=False)

    def to_event(self) -> Event:
        """Return the event itself; typed events such as `Purchase` return an Event here."""
        return self


@attrs.frozen
class Purchase(_Stored):
    """A purchase, or one line of an order; its value is money and is required.

    Parameters
    ----------
    customer_id : int or str
        Who bought.
    time : datetime
        When, with a time zone, as in `Event`.
    value : float
        The money of the line: 0 if it was free, negative for a refund.
    order : str or int, optional
        The number of the order.
    item : str or int, optional
        The product.
    quantity : float, optional
        How many.
    properties : mapping of str to value
        Further details, as in `Event`.

    Examples
    --------
    >>> Purchase("c1", "2026-11-01T09:30Z", 19.9, order="o7", item="scarf").to_event().properties
    {'order': 'o7', 'item': 'scarf'}
    """

    customer_id: CustomerId = attrs.field(converter=_plain_id, validator=_checked_id)
    time: datetime = attrs.field(converter=_aware_time)
    value: float = attrs.field(converter=_amount, validator=_checked_number)
    order: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    item: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    quantity: float | None = attrs.field(default=None, converter=_amount, validator=_checked_number)
    properties: Mapping[str, Scalar] = attrs.field(factory=dict, converter=_properties, hash=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a purchase without a value, and a property given twice."""
        if self.value is None:
            raise InputError(
                "Purchase.value is None: a purchase needs a value, 0 if it was free.",
                argument="value",
                code="missing_value",
            )
        self.to_event()

    def to_event(self) -> Event:
        """Return the Event of type 'purchase'."""
        own = {"order": self.order, "item": self.item, "quantity": self.quantity}
        return Event(self.customer_id, "purchase", self.time, self.value, _with(own, self.properties))


@attrs.frozen
class Message(_Stored):
    """One step in the life of a message to a customer: sent (or withheld for a control group), opened, clicked, ...

    Parameters
    ----------
    customer_id : int or str
        The customer to whom the message was addressed.
    time : datetime
        When the step happened, with a time zone, as in `Event`.
    action : str
        "sent", "withheld", "delivered", "shown", "opened", "read", "clicked", "replied", "liked", "commented",
        "bounced", "blocked", "unsubscribed" or "complained".
    channel : str
        The channel, such as "mail".
    campaign, message_id : str or int, optional
        The campaign, and the id of this message.
    properties : mapping of str to value
        Further details, as in `Event`.

    Examples
    --------
    >>> Message("c1", "2026-11-01T09:30Z", "opened", "mail", campaign="spring").to_event().type
    'message_opened'
    """

    customer_id: CustomerId = attrs.field(converter=_plain_id, validator=_checked_id)
    time: datetime = attrs.field(converter=_aware_time)
    action: Action = attrs.field()
    channel: str = attrs.field(validator=_checked_text)
    campaign: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    message_id: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    properties: Mapping[str, Scalar] = attrs.field(factory=dict, converter=_properties, hash=False)

    @action.validator
    def _known_action(self, attribute: attrs.Attribute[Any], value: Any) -> None:  # noqa: ARG002
        one_of("action", value, _TYPE_OF_ACTION)

    def __attrs_post_init__(self) -> None:
        """Refuse a property given twice."""
        self.to_event()

    def to_event(self) -> Event:
        """Return the Event, whose type depends on the action, such as 'message_opened'."""
        own = {"channel": self.channel, "campaign": self.campaign, "message_id": self.message_id}
        return Event(self.customer_id, _TYPE_OF_ACTION[self.action], self.time, None, _with(own, self.properties))


@attrs.frozen
class Visit(_Stored):
    """A visit to a site, an app or a shop.

    Parameters
    ----------
    customer_id : int or str
        Who visited.
    time : datetime
        When the visit began, with a time zone, as in `Event`.
    channel : str, optional
        The channel from which the customer came, such as "mail".
    campaign, page : str or int, optional
        The campaign, and the first page.
    duration : timedelta or float, optional
        The length of the visit; a number is in seconds, and so is the property of the event.
    properties : mapping of str to value
        Further details, as in `Event`.

    Examples
    --------
    >>> Visit("c1", "2026-11-01T09:30Z", channel="mail", duration=timedelta(minutes=3)).to_event().properties
    {'channel': 'mail', 'duration': 180.0}
    """

    customer_id: CustomerId = attrs.field(converter=_plain_id, validator=_checked_id)
    time: datetime = attrs.field(converter=_aware_time)
    channel: str | None = attrs.field(default=None, validator=attrs.validators.optional(_checked_text))
    campaign: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    page: str | int | None = attrs.field(default=None, converter=_plain_word, validator=_checked_word)
    duration: timedelta | float | None = attrs.field(default=None, converter=_length, validator=_checked_span)
    properties: Mapping[str, Scalar] = attrs.field(factory=dict, converter=_properties, hash=False)

    def __attrs_post_init__(self) -> None:
        """Refuse a property given twice."""
        self.to_event()

    def to_event(self) -> Event:
        """Return the Event of type 'visit'."""
        seconds = self.duration.total_seconds() if isinstance(self.duration, timedelta) else self.duration
        own = {"channel": self.channel, "campaign": self.campaign, "page": self.page, "duration": seconds}
        return Event(self.customer_id, "visit", self.time, None, _with(own, self.properties))


def _with(own: Mapping[str, Scalar], more: Mapping[str, Scalar]) -> dict[str, Scalar]:
    both = own.keys() & more.keys()
    for name in sorted(both):
        if own[name] is not None:
            raise InputError(
                f"property {name!r} is given twice: as an argument and among the properties.",
                argument=f"properties.{name}",
                code="duplicate",
            )
    return {**{name: value for name, value in own.items() if value is not None}, **more}
