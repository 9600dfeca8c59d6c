"""The fields of customers and the properties of events, with their kinds, against which definitions are checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar, Self, get_args, get_origin

import attrs

from relmark.core import shapes
from relmark.core.checks import shown
from relmark.core.columns import KINDS, Kind
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.events import Customer, Event, read_parts
from relmark.core.json_data import Reader, opened
from relmark.core.names import did_you_mean
from relmark.core.operators import OF_EVENTS, OPERATORS, Operator
from relmark.core.shapes import Shape

__all__ = ["Schema"]

_KIND_OF_TYPE: dict[Any, Kind] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    date: "date",
    datetime: "instant",
    set: "tags",
    frozenset: "tags",
}


def _kind(name: str, given: Any) -> Kind:
    if isinstance(given, str) and given in KINDS:
        return given
    try:
        if given in _KIND_OF_TYPE:
            return _KIND_OF_TYPE[given]
    except TypeError:
        pass
    kinds = ", ".join(KINDS)
    raise InputError(
        f"{name} is {shown(given)}: write bool, int, float, str, date, datetime, frozenset (tags) or one of {kinds}.",
        argument=name,
        code="unknown_name",
        hint=_meant(given),
    )


def _meant(given: Any) -> str:
    """Return a hint for a type that is not a kind."""
    if given is list or given is tuple or get_origin(given) in {list, tuple, set, frozenset}:
        return "A list of texts, such as tags, is frozenset."
    if given is Decimal:
        return "An amount is float."
    return "Any value may be missing: write the type alone." if NoneType in get_args(given) else ""


def _fields(given: Mapping[str, Any]) -> dict[str, Kind]:
    return {str(name): _kind(f"fields[{name!r}]", kind) for name, kind in given.items()}


def _events(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Kind]]:
    return {
        str(event): {str(name): _kind(f"events[{event!r}][{name!r}]", kind) for name, kind in properties.items()}
        for event, properties in given.items()
    }


@attrs.frozen
class Schema(Definition):
    """The fields of customers and the event types with their properties, each with its kind.

    Parameters
    ----------
    fields : mapping of str to type
        ``float`` or ``int``, ``str``, ``bool``, ``date``, ``datetime``, ``frozenset`` (tags), or the name of a kind.
    events : mapping of str to mapping of str to type
        The event types, each with its properties and their types.

    Examples
    --------
    >>> schema = Schema(fields={"age": float, "city": str}, events={"purchase": {"sku": str}})
    >>> schema.fields["city"], schema.operators("city")[:4]
    ('text', ('==', '!=', '<', '<='))
    >>> Schema.from_json(schema.to_json()) == schema
    True
    """

    kind: ClassVar[str] = "schema"

    fields: Mapping[str, Kind] = attrs.field(factory=dict, converter=_fields)
    events: Mapping[str, Mapping[str, Kind]] = attrs.field(factory=dict, converter=_events)

    def operators(self, name: str, *, event: str | None = None) -> tuple[Operator, ...]:
        """Return the operators that fit a field, or a property of an event type, for a user interface.

        Parameters
        ----------
        name : str
            The field; with `event`, the property, which may also be "value" or "type".
        event : str, optional
            The event type.

        Returns
        -------
        tuple of Operator
            Each is a string, its Python spelling, with its stored word, label and arguments.

        Examples
        --------
        >>> schema = Schema(events={"purchase": {"sku": str}})
        >>> [(one.stored, one.label) for one in schema.operators("sku", event="purchase")[:2]]
        [('eq', 'is'), ('ne', 'is not')]
        """
        if event is None:
            known: Mapping[str, Kind] = self.fields
        elif event in self.events:
            known = {**self.events[event], "value": "number", "type": "text"}
        else:
            raise InputError(
                f"there are no events of type {event!r}.",
                argument="event",
                code="unknown_name",
                hint=did_you_mean(str(event), self.events),
            )
        if name not in known:
            no_property = f"events of type {event!r} have no property {name!r}."
            raise InputError(
                f"there is no field {name!r}." if event is None else no_property,
                argument="name",
                code="unknown_name",
                hint=did_you_mean(str(name), known),
            )
        return (OPERATORS if event is None else OF_EVENTS)[known[name]]

    def customer(
        self, body: Mapping[str, Any] | str | bytes, *, convert: bool = False, limits: Limits | None = None
    ) -> Customer:
        """Read a customer from JSON text or its parsed value; each field must have the kind that the schema gives it.

        Parameters
        ----------
        body : mapping, str or bytes
            ``{"id": ..., "attributes": {...}}``. A date is text such as ``"2026-11-01"``, an instant is ISO 8601 text
            with a zone, tags are a list of texts; null means missing.
        convert : bool
            Whether numbers and booleans written as text are converted, and whole numbers where a text is needed.
            Otherwise these are errors.
        limits : Limits, optional
            How large it may be.

        Raises
        ------
        DataError
            Something is not valid; `problems` lists everything, each with its path, code, message and hint.

        Examples
        --------
        >>> schema = Schema(fields={"born": date, "age": float, "tags": frozenset})
        >>> schema.customer('{"id": "c1", "attributes": {"born": "1985-04-12", "tags": ["vip"]}}').attributes["born"]
        datetime.date(1985, 4, 12)
        >>> from relmark.errors import DataError
        >>> try:
        ...     schema.customer({"id": "c1", "attributes": {"born": "April", "age": "41"}})
        ... except DataError as error:
        ...     [(problem.path, problem.code) for problem in error.problems]
        [('$.attributes.born', 'wrong_type'), ('$.attributes.age', 'wrong_type')]
        """
        limits = limits or Limits()
        reader = Reader("customer", limits, convert=convert)
        return read_parts(Customer, opened(body, "customer", limits), reader, self.fields)

    def event(
        self, body: Mapping[str, Any] | str | bytes, *, convert: bool = False, limits: Limits | None = None
    ) -> Event:
        """Read an event from JSON text or its parsed value; each property must have the kind that the schema gives it.

        Parameters
        ----------
        body : mapping, str or bytes
            ``{"customer_id": ..., "type": ..., "time": ..., "value": ..., "properties": {...}}``.
        convert, limits
            As in `customer`.

        Raises
        ------
        DataError
            Something is not valid; `problems` lists everything.

        Examples
        --------
        >>> schema = Schema(events={"purchase": {"sku": str, "quantity": float}})
        >>> schema.event({"customer_id": 7, "type": "purchase", "time": "2026-11-01T09:30:00Z", "value": 19.9,
        ...               "properties": {"sku": "a", "quantity": "2"}}, convert=True).properties
        {'sku': 'a', 'quantity': 2}
        """
        limits = limits or Limits()
        reader = Reader("event", limits, convert=convert)
        content = opened(body, "event", limits)
        kind = content.get("type")
        kinds = self.events.get(kind) if isinstance(kind, str) else None
        if isinstance(kind, str) and kinds is None:
            listed = ", ".join(map(repr, list(self.events)[:20])) or "none"
            said = f"there are no events of type {shown(kind[:64])}; there are {listed}."
            reader.fail("$.type", "unknown_event", said, did_you_mean(kind, self.events))
        return read_parts(Event, content, reader, kinds)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:  # noqa: ARG003
        return {
            "fields": shapes.mapping(shapes.one_of(*KINDS)),
            "events": shapes.mapping(shapes.mapping(shapes.one_of(*KINDS))),
        }, ("fields", "events")

    def _body(self) -> dict[str, Any]:
        return {"fields": dict(self.fields), "events": {name: dict(kinds) for name, kinds in self.events.items()}}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(body, required=("fields", "events"), what="schema")
        _check_kinds(body["fields"], "$.fields")
        check_keys(body["events"], required=(), optional=body["events"], path="$.events", what="mapping of event types")
        for name, kinds in body["events"].items():
            _check_kinds(kinds, f"$.events.{name}")
        return cls(fields=body["fields"], events=body["events"])


def _check_kinds(kinds: Any, path: str) -> None:
    if not isinstance(kinds, Mapping):
        raise DefinitionError("an object of names and their kinds is needed.", path=path, code="not_object")
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise DefinitionError(
                f"{shown(kind)} is not a kind; the kinds are {', '.join(KINDS)}.",
                path=f"{path}.{name}",
                code="unknown_name",
                hint=did_you_mean(str(kind), KINDS).strip(),
            )
