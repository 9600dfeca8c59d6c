"""The data that a definition needs: which fields, which events with which properties, and how far back.

A backend can load only these data from its database, and an event-driven service can keep only these data of each
customer: verdicts, explanations and next changes are the same as with all data.

    needs = segment.needs() + score.needs()
    needs.fields, needs.events, needs.horizon        # what to ask the database for
    needs.since("2026-11-01T12:00Z")                 # the first instant of events that count
    needs.keep(events, "2026-11-01T12:00Z")          # without events that no definition can use any more

How far back is given in elapsed time. A month counts as 31 days and a local day as 24 hours; `since` and `keep` know
the zone and allow for changes of the clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar, overload

import attrs
import numpy as np

from relmark.core import shapes
from relmark.core.checks import shown
from relmark.core.documents import Definition, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.events import Event, Message, Purchase, Visit
from relmark.core.log import EventLog
from relmark.core.names import did_you_mean
from relmark.core.shapes import Shape
from relmark.core.spans import CalendarSpan, Span
from relmark.core.time import DAY, Instant, aware, duration_text, parse_duration, to_local
from relmark.expressions import nodes
from relmark.expressions.history import CustomerHistory
from relmark.expressions.lengths import LONGEST, length
from relmark.expressions.operators import Expression
from relmark.expressions.scalar_calendar import Dated
from relmark.expressions.scalar_person import point_in_time
from relmark.expressions.selection import Selection, Window, nodes_of
from relmark.expressions.walk import children

__all__ = ["Needs", "needs_of", "needs_of_events", "properties_of"]

AnyEvent = TypeVar("AnyEvent", Event, Purchase, Message, Visit)

_NONE = timedelta(0)
_OWN = {"type", "value"}  # what every event has itself
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_CYCLE = 4_800  # months of 400 years, after which the calendar is the same again
_LENGTHS = np.diff(np.arange("2000-01", "2800-02", dtype="M8[M]").astype("M8[D]").astype(np.int64))  # two cycles
_FIRST = -62_135_596_800_000_000  # the beginning of year 1, before which nothing can be written
_FAR = 146_097 * DAY


def _names(what: str, values: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{what} is {shown(values)}: a list of names is needed.", argument=what, code="wrong_type")
    given = tuple(values)
    for name in given:
        if not isinstance(name, str) or not name:
            raise InputError(
                f"{what} has {shown(name)}: names are texts that are not empty.", argument=what, code="wrong_type"
            )
    return tuple(sorted(set(given)))


def _read_fields(values: Iterable[Any]) -> tuple[str, ...]:
    return _names("fields", values)


def _read_any(values: Iterable[Any]) -> tuple[str, ...]:
    return _names("any_properties", values)


def _read_events(events: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    if not isinstance(events, Mapping):
        raise InputError(
            f"events is {shown(events)}: a mapping of event types to their properties is needed.",
            argument="events",
            code="wrong_type",
        )
    return {name: _names(f"events[{name!r}]", events[name]) for name in _names("events", events)}


def _check_horizon(name: str, value: Any) -> None:
    if value is not None and (not isinstance(value, timedelta) or value < _NONE):
        raise InputError(
            f"{name} is {shown(value)}: a timedelta of 0 or more, or None for no limit, is needed.",
            argument=name,
            code="wrong_value",
        )


def _longest(values: Iterable[timedelta | None]) -> timedelta | None:
    """Return the longest of some horizons; None means no limit."""
    given = list(values)
    return None if None in given else max(given, default=_NONE)  # type: ignore[type-var]


@attrs.frozen(repr=False)
class Needs(Definition):
    """The fields and events that one or more definitions need; ``a + b`` is what they need together.

    Parameters
    ----------
    fields : iterable of str
        Fields of the customer.
    events : mapping of str to iterable of str
        Event types, each with the properties that are needed of its events. Every event has a time, a type and a value;
        these are not listed.
    horizon : timedelta or None
        How far back from `as_of` events of all types count; None means without limit. If `as_of` is an instant, an
        event exactly that long ago does not count any more.
    any_event : bool
        Whether events of every type count, including types that are not named in `events`.
    any_properties : iterable of str
        With `any_event`, the properties that are needed of events of every type.
    horizons : mapping of str to timedelta
        Types whose events count for a shorter time than `horizon`.
    any_horizon : timedelta or None
        With `any_event`, how far back events of types that are not named count; by default `horizon`.

    Examples
    --------
    >>> from relmark import days, event, field, prop
    >>> rule = (field("age") >= 18) & event("purchase", where=prop("sku") == "a").exists(within=days(30))
    >>> rule.needs()
    Needs(fields=('age',), events={'purchase': ('sku',)}, horizon=30 days)
    >>> rule.needs() + event("visit").exists(within=days(7)).needs()
    Needs(fields=('age',), events={'purchase': ('sku',), 'visit': ()}, horizon=30 days, horizons={'visit': 7 days})
    """

    kind: ClassVar[str] = "needs"

    fields: tuple[str, ...] = attrs.field(default=(), converter=_read_fields)
    events: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_read_events, hash=False)
    horizon: timedelta | None = _NONE
    any_event: bool = attrs.field(default=False, converter=bool)
    any_properties: tuple[str, ...] = attrs.field(default=(), converter=_read_any)
    horizons: Mapping[str, timedelta] = attrs.field(factory=dict, hash=False)
    any_horizon: timedelta | None = attrs.field(default=attrs.Factory(lambda self: self.horizon, takes_self=True))

    def __attrs_post_init__(self) -> None:
        """Bring equal needs to the same form: each type with all its properties, and only horizons that are shorter."""
        for name in ("horizon", "any_horizon"):
            _check_horizon(name, getattr(self, name))
        if not isinstance(self.horizons, Mapping):
            raise InputError(
                f"horizons is {shown(self.horizons)}: a mapping of event types to timedeltas is needed.",
                argument="horizons",
                code="wrong_type",
            )
        for name, value in self.horizons.items():
            if name not in self.events:
                raise InputError(
                    f"horizons has the type {shown(name)}, which is not in events.",
                    hint=did_you_mean(name, self.events),
                    argument="horizons",
                    code="unknown_name",
                )
            _check_horizon(f"horizons[{name!r}]", value)
        if self.any_properties and not self.any_event:
            raise InputError(
                "any_properties needs any_event=True: give it, or list the properties in events.",
                argument="any_properties",
                code="missing_argument",
            )
        own = {name: self.horizons.get(name, self.horizon) for name in self.events}
        events = dict(self.events)
        if self.any_event:
            own = {name: _longest((value, self.any_horizon)) for name, value in own.items()}
            events = {name: _read_any((*known, *self.any_properties)) for name, known in events.items()}
        every = [*own.values(), *([self.any_horizon] if self.any_event else [])]
        horizon = _longest(every) if every else _NONE
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "horizon", horizon)
        object.__setattr__(self, "any_horizon", self.any_horizon if self.any_event else horizon)
        object.__setattr__(self, "horizons", {name: value for name, value in own.items() if value != horizon})

    def horizon_of(self, type: str) -> timedelta | None:
        """Return how far back events of a type count: None for no limit, 0 for a type that is not needed."""
        if type in self.events:
            return self.horizons.get(type, self.horizon)
        return self.any_horizon if self.any_event else _NONE

    def properties_of(self, type: str) -> tuple[str, ...]:
        """Return the properties that are needed of events of a type."""
        return self.events.get(type, self.any_properties)

    def __add__(self, other: Needs) -> Needs:
        """Return the needs of both together."""
        if not isinstance(other, Needs):
            return NotImplemented
        both = (self, other)
        types = {name: [one for one in both if name in one.events] for name in (*self.events, *other.events)}
        every = [one for one in both if one.any_event]
        own = {name: _longest(one.horizon_of(name) for one in ones) for name, ones in types.items()}
        any_horizon = _longest(one.any_horizon for one in every)
        horizon = _longest([*own.values(), *([any_horizon] if every else [])])
        return Needs(
            (*self.fields, *other.fields),
            {name: [prop for one in ones for prop in one.events[name]] for name, ones in types.items()},
            horizon,
            bool(every),
            [name for one in every for name in one.any_properties],
            {name: value for name, value in own.items() if value is not None and value != horizon},
            any_horizon if every else horizon,
        )

    def __radd__(self, other: Any) -> Needs:
        """Support ``sum``, which begins with 0."""
        return self if other == 0 else NotImplemented

    def asked_earlier(self, by: timedelta) -> Needs:
        """Return what is needed to ask the same questions for times up to `by` before as_of."""

        def longer(horizon: timedelta | None) -> timedelta | None:
            return None if horizon is None or horizon > timedelta.max - by else horizon + by

        return Needs(
            self.fields,
            self.events,
            longer(self.horizon),
            self.any_event,
            self.any_properties,
            {name: one for name, value in self.horizons.items() if (one := longer(value)) is not None},
            longer(self.any_horizon),
        )

    # Time

    def since(self, as_of: Instant, *, tz: str = "UTC", type: str | None = None) -> datetime | None:
        """Return the first instant at which an event still counts, in UTC; None if there is no limit.

        Earlier events count neither as of this time nor as of any later one. If the clock of the zone changes within
        the horizon, the instant is earlier by that change.

        Parameters
        ----------
        as_of : instant
            The time of the question.
        tz : str
            The time zone of the business.
        type : str, optional
            Consider events of this type only; by default those of all types.

        Examples
        --------
        >>> from relmark import days, event
        >>> needs = event("visit").exists(within=days(7)).needs()
        >>> needs.since("2026-11-08").isoformat()
        '2026-11-01T00:00:00+00:00'
        """
        first = self._first(self.horizon if type is None else self.horizon_of(type), point_in_time(as_of, tz), tz)
        return None if first is None or first <= _FIRST else aware(first)

    @staticmethod
    def _first(horizon: timedelta | None, at: int, tz: str) -> int | None:
        """Return the first microsecond that counts, or None if all count."""
        if horizon is None:
            return None
        size = length(horizon)
        exclusive = 0 if at.__class__ is Dated else 1  # for a date, an event exactly at the horizon counts
        return int(at) - size - _turned(int(at), size, tz) + exclusive

    # What is kept

    @overload
    def keep(self, events: EventLog, as_of: Instant, *, tz: str | None = None) -> EventLog: ...
    @overload
    def keep(self, events: CustomerHistory, as_of: Instant, *, tz: str | None = None) -> CustomerHistory: ...
    @overload
    def keep(self, events: Sequence[AnyEvent], as_of: Instant, *, tz: str | None = None) -> list[AnyEvent]: ...
    def keep(
        self, events: EventLog | CustomerHistory | Sequence[AnyEvent], as_of: Instant, *, tz: str | None = None
    ) -> EventLog | CustomerHistory | list[AnyEvent]:
        """Return the events that count as of a time or any later one; all others are left out.

        Parameters
        ----------
        events : list of Event, EventLog or CustomerHistory
            The events. Those after `as_of` are kept, because they count later.
        as_of : instant
            The time of the question.
        tz : str, optional
            The time zone of the business; by default that of the history or log, or UTC for a list.

        Returns
        -------
        list of Event, EventLog or CustomerHistory
            The same type as given; a list keeps its order.

        Examples
        --------
        >>> from relmark import Event, days, event
        >>> needs = event("visit").exists(within=days(7)).needs()
        >>> kept = needs.keep([Event("c1", "visit", "2026-10-30T12:00Z"), Event("c1", "visit", "2026-11-07T12:00Z"),
        ...                    Event("c1", "purchase", "2026-11-07T12:00Z")], "2026-11-08T12:00Z")
        >>> [one.time.isoformat() for one in kept]
        ['2026-11-07T12:00:00+00:00']
        """
        if isinstance(events, EventLog):
            zone = events.tz if tz is None else tz
            return events._later(self.edges(events.types, point_in_time(as_of, zone), zone), zone)  # noqa: SLF001
        if isinstance(events, CustomerHistory):
            zone = events.zone(tz)
            return events._later(self.edges(events.types, point_in_time(as_of, zone), zone))  # noqa: SLF001
        if isinstance(events, (str, bytes, Mapping)) or not isinstance(events, Iterable):
            raise InputError(
                f"events is {shown(events)}: a list of Events, an EventLog or a CustomerHistory is needed.",
                argument="events",
                code="wrong_type",
            )
        given = list(events)
        plain: list[Event] = []
        for one in given:
            if not isinstance(one, (Event, Purchase, Message, Visit)):
                raise InputError(f"events has {shown(one)}: Events are needed.", argument="events", code="wrong_type")
            plain.append(one.to_event())
        zone = tz or "UTC"
        edges = self.edges({one.type for one in plain}, point_in_time(as_of, zone), zone)
        firsts = {name: None if first is None or first <= _FIRST else aware(first) for name, first in edges.items()}
        return [
            one
            for one, event in zip(given, plain, strict=True)
            if event.type in firsts and ((first := firsts[event.type]) is None or event.time >= first)
        ]

    def edges(self, types: Iterable[str], at: int, tz: str) -> dict[str, int | None]:
        """Return the first microsecond that counts, for each type that counts, as of an instant or a date (`Dated`)."""
        return {
            name: self._first(self.horizon_of(name), at, tz) for name in types if self.any_event or name in self.events
        }

    # Forms

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "fields": list(self.fields),
            "events": {name: list(known) for name, known in self.events.items()},
            "horizon": _written(self.horizon),
            "any_event": self.any_event,
        }
        if self.any_event:
            body |= {"any_properties": list(self.any_properties), "any_horizon": _written(self.any_horizon)}
        if self.horizons:
            body["horizons"] = {name: _written(value) for name, value in self.horizons.items()}
        return body

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        names, horizon = shapes.array(shapes.name(limits.string)), shapes.maybe(shapes.DURATION)
        return {
            "fields": names,
            "events": shapes.mapping(names),
            "horizon": horizon,
            "any_event": shapes.flag(),
            "any_properties": names,
            "any_horizon": horizon,
            "horizons": shapes.mapping(horizon),
        }, ("fields", "events", "horizon", "any_event")

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:  # noqa: ARG003
        check_keys(
            body, required=("fields", "events", "horizon", "any_event"),
            optional=("any_properties", "any_horizon", "horizons"), what="set of needs",
        )  # fmt: skip
        if not isinstance(body["any_event"], bool):
            raise DefinitionError("true or false is needed.", path="$.any_event", code="wrong_type")
        horizons = body.get("horizons", {})
        if not isinstance(horizons, Mapping):
            raise DefinitionError(
                "an object of event types and their durations is needed.", path="$.horizons", code="not_object"
            )
        horizon = _read(body["horizon"], "$.horizon")
        try:
            return cls(
                body["fields"],
                body["events"],
                horizon,
                body["any_event"],
                body.get("any_properties", ()),
                {name: _read(value, f"$.horizons.{name}") for name, value in horizons.items()},  # type: ignore[misc]
                _read(body["any_horizon"], "$.any_horizon") if "any_horizon" in body else horizon,
            )
        except DefinitionError:
            raise
        except InputError as error:
            raise DefinitionError(str(error), code="wrong_value") from None

    def __repr__(self) -> str:
        parts = [f"fields={self.fields!r}", f"events={dict(self.events)!r}", f"horizon={_words(self.horizon)}"]
        if self.any_event:
            parts.append("any_event=True")
            parts += [f"any_properties={self.any_properties!r}"] if self.any_properties else []
            parts += [] if self.any_horizon == self.horizon else [f"any_horizon={_words(self.any_horizon)}"]
        if self.horizons:
            inner = ", ".join(f"{name!r}: {_words(value)}" for name, value in self.horizons.items())
            parts.append(f"horizons={{{inner}}}")
        return f"Needs({', '.join(parts)})"


def _written(horizon: timedelta | None) -> str | None:
    return None if horizon is None else duration_text(horizon)


def _read(value: Any, path: str) -> timedelta | None:
    return None if value is None else parse_duration(value, path)


def _words(horizon: timedelta | None) -> str:
    if horizon is None:
        return "None"
    return (
        f"{horizon.days} day{'' if horizon.days == 1 else 's'}" if horizon == timedelta(horizon.days) else str(horizon)
    )


def _turned(at: int, size: int, tz: str) -> int:
    """Return the largest difference of a zone's offsets from `size` before a time up to it, in microseconds."""
    if tz == "UTC":
        return 0
    marks = np.arange(max(at - min(size, _FAR) - 2 * DAY, _FIRST + 2 * DAY), at + 2 * DAY, DAY, dtype=np.int64)
    offsets = to_local(marks, tz) - marks
    return int(offsets.max() - offsets.min()) if len(offsets) else 0


# What a rule needs

_NOTHING = Needs()
_OF_ITS_PARTS = (
    nodes.Age, nodes.And, nodes.Arithmetic, nodes.AtLeast, nodes.Between, nodes.Compare, nodes.DateWindow, nodes.Fill,
    nodes.InPeriod, nodes.IsEmpty, nodes.IsIn, nodes.IsNull, nodes.Matches, nodes.Not, nodes.Or,
)  # fmt: skip
_OF_NOTHING = (nodes.Clock, nodes.Everyone, nodes.Ids, nodes.Literal, nodes.Prop, nodes.Sample)


def needs_of(expression: Expression, segments: Mapping[str, Expression] | None = None) -> Needs:
    """Return the data that an expression needs.

    Parameters
    ----------
    expression : Expression
        The expression.
    segments : mapping of str to Expression, optional
        The rules for which ``segment("name")`` stands, by name.

    Raises
    ------
    DefinitionError
        The expression refers to a segment that is not given.
    """
    total, seen = _NOTHING, set()
    stack = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.SegmentRef):
            if segments is None or node.name not in segments:
                raise DefinitionError(
                    f"segment({node.name!r}) was not given, so that its needs are not known.",
                    code="unknown_segment",
                    hint="Call needs() on the SegmentSet that has this segment.",
                )
            if node.name not in seen:
                seen.add(node.name)
                stack.append(segments[node.name])
        elif isinstance(node, _OF_ITS_PARTS):
            stack += [part for _, part in children(node) if isinstance(part, Expression)]
        else:
            total += _needs_of_leaf(node)
    return total


def _needs_of_leaf(node: Expression) -> Needs:
    match node:
        case nodes.Field(name=name):
            return Needs([name])
        case nodes.Aggregate(events=events, of=of, window=window):
            return needs_of_events(events, _reach(window), () if of is None else (of,))
        case nodes.LastEvent(events=events, where=where, window=window):
            return needs_of_events(events, _reach(window), properties_of(where))
        case nodes.Regularly(events=events, of=of, period=period):
            size = length(period) * of if isinstance(period, timedelta) else _of_units(period, of)
            return needs_of_events(events, size)
        case nodes.NotFollowedBy(events=events, then=then, recent=recent):
            far = None if recent is None else length(recent)
            return needs_of_events(events, far) + needs_of_events(then, far)
        case nodes.Sequence():
            return _needs_of_sequence(node)
        case nodes.Stage(steps=steps):
            return sum((needs_of_events(step, None) for step in steps), _NOTHING)
    if isinstance(node, _OF_NOTHING):
        return _NOTHING
    raise AssertionError(f"{type(node).__name__} does not say what it needs")


def _needs_of_sequence(node: nodes.Sequence) -> Needs:
    """Return the needs of a sequence; they have a limit if both `recent` and `within` are given."""
    far = None if node.recent is None or node.within is None else _size(node.recent) + length(node.within)
    same = () if node.same is None else (node.same,)
    total = _NOTHING
    for events in (*node.steps, *node.exclude):
        total += needs_of_events(events, far, same)
    return total + needs_of_events(Selection((), any_type=True), far, same) if node.strict else total


def needs_of_events(events: Selection, size: int | None, properties: Iterable[str] = ()) -> Needs:
    """Return the needs of a selection, up to some microseconds back (None for no limit), with further properties."""
    asked = (*properties, *(() if events.where is None else properties_of(events.where)))
    own = sorted({name for name in asked if name not in _OWN})
    horizon = None if size is None or size >= LONGEST else timedelta(microseconds=size)
    if events.any_type:
        return Needs(horizon=horizon, any_event=True, any_properties=own)
    return Needs(events=dict.fromkeys(events.types, own), horizon=horizon)


def properties_of(where: Expression) -> tuple[str, ...]:
    """Return the properties that a predicate over events uses."""
    return tuple(node.name for node in nodes_of(where) if isinstance(node, nodes.Prop))


def _reach(window: Window) -> int | None:
    """Return how far back a window reaches at most, in microseconds; None for no limit."""
    found: list[int] = []
    if window.within is not None:
        found.append(_size(window.within) + (0 if window.ago is None else _size(window.ago)))
    if window.during is not None:
        found.append(_of_units(window.during.unit, window.during.count - window.during.offset))
    return min(found, default=None)


def _size(span: Span) -> int:
    """Return the largest possible length of a span in local time, in microseconds."""
    if isinstance(span, CalendarSpan):
        return (_most_days(span.months) + span.days) * DAY
    return length(span)


def _of_units(unit: str, n: int) -> int:
    """Return the largest possible length of n calendar units in local time, in microseconds."""
    if unit in _MONTHS:
        return _most_days(n * _MONTHS[unit]) * DAY
    return n * (7 if unit == "week" else 1) * DAY


def _most_days(months: int) -> int:
    """Return the largest number of days in a number of consecutive months."""
    cycles, rest = divmod(months, _CYCLE)
    ends = np.concatenate(([0], np.cumsum(_LENGTHS)))
    return cycles * 146_097 + int((ends[rest:] - ends[: len(ends) - rest]).max())
