"""Selections of events for a rule: their types, a predicate over their properties, and a window of time.

`event("purchase", where=prop("category") == "shoes")` makes a `Selection`. It is not a value: its methods, such as
`count(within=days(30))` or `exists()`, choose a figure of the events and return nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from datetime import date, datetime, timedelta
from typing import NoReturn, TypedDict, Unpack

import attrs

from relmark.core.checks import shown, whole
from relmark.core.errors import InputError
from relmark.core.spans import CalendarSpan, Span, calendar_days, check_span
from relmark.core.time import Instant, duration, instant
from relmark.expressions import nodes
from relmark.expressions.literals import moment_value, plain_text
from relmark.expressions.operators import Expression
from relmark.expressions.periods import Period

__all__ = ["Selection", "Window", "WindowArgs"]


class WindowArgs(TypedDict, total=False):
    """The arguments of the window of every figure of events; if several are given, an event must satisfy all.

    - within : timedelta, calendar_days or months. The events in (as_of - within, as_of]; if as_of is a date, whole days
      are local days before it.
    - ago : timedelta, calendar_days or months. Moves the end of the window back by this length.
    - since, until : instant or date. The first and the last instant, inclusive; if it is a date, `since` begins at its
      local midnight, and `until` ends just before it.
    - between : pair of instants or dates. `since` and `until` together: October is between 1 October and 1 November.
    - during : period. A calendar period, such as ``period("month", -1)``.
    """

    within: Span | None
    ago: Span | None
    since: Instant | None
    until: Instant | None
    between: SequenceOf[Instant] | None
    during: Period | None


@attrs.frozen(repr=False)
class Window:
    """A window of time before as_of; without any bounds, all time up to as_of.

    An event at t must satisfy all given bounds: ``t <= as_of - ago`` (`ago` is 0 by default), ``t > as_of - ago -
    within``, ``t >= since``, ``t <= until``, and `t` in the calendar period `during`. If as_of is a date, its day is
    not seen, and whole days in `ago` and `within` are local days before it. `since` and `until` are inclusive instants;
    a date is a day in the base's zone, at whose beginning `since` begins and before which `until` ends.
    """

    within: Span | None = None
    ago: Span | None = None
    since: date | datetime | None = None
    until: date | datetime | None = None
    during: Period | None = None

    def __attrs_post_init__(self) -> None:
        """Check the durations and the order of the ends."""
        for name in ("within", "ago"):
            value = getattr(self, name)
            if value is not None:
                check_span(name, value)
        if self.during is not None and not isinstance(self.during, Period):
            raise InputError(
                f"during is {shown(self.during)}: a period is needed, such as period('month', -1).",
                argument="during",
                code="wrong_type",
            )
        both = (self.since, self.until)
        if type(self.since) is type(self.until) and None not in both and _later(*both):
            raise InputError(
                f"since {self.since} is after until {self.until}: the window is empty.",
                argument="since",
                code="conflicting_arguments",
            )

    @property
    def back(self) -> tuple[Span, ...]:
        """The spans between as_of and the beginning of `within`, by which to go back one after the other.

        Two spans of local days become one, so that no local time on the day between them is needed, which the clock may
        skip. In this way the windows of a daily run touch and never overlap.
        """
        both = tuple(span for span in (self.ago, self.within) if span is not None)
        if len(both) == 2 and all(isinstance(span, CalendarSpan) and not span.months for span in both):
            return (calendar_days(sum(span.days for span in both)),)
        return both

    def first(self, tz: str) -> int | None:
        """Return the first instant of `since` in microseconds UTC; for a date, its local midnight."""
        return None if self.since is None else instant(self.since, tz=tz)

    def last(self, tz: str) -> int | None:
        """Return the last instant of `until` in microseconds UTC; for a date, the one before its local midnight."""
        if self.until is None:
            return None
        return instant(self.until, tz=tz) - (not isinstance(self.until, datetime))

    @classmethod
    def of(
        cls,
        within: Span | None = None,
        ago: Span | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
        between: SequenceOf[Instant] | None = None,
        during: Period | None = None,
    ) -> Window:
        """Return the window of the arguments of an aggregate."""
        if between is not None:
            if since is not None or until is not None:
                raise InputError(
                    "between= stands for since= and until= together: give either between= or these two.",
                    argument="between",
                    code="conflicting_arguments",
                )
            if isinstance(between, str) or len(between) != 2:
                raise InputError(
                    f"between is {shown(between)}: a pair of instants or dates is needed.",
                    argument="between",
                    code="wrong_type",
                )
            since, until = between
        return cls(
            within,
            ago if ago != timedelta(0) else None,
            None if since is None else moment_value(since, "since"),
            None if until is None else moment_value(until, "until"),
            during,
        )


@attrs.frozen(eq=False, repr=False)
class Selection:
    """The events of one or more types (sorted names) that satisfy a predicate over their properties.

    An event for which the predicate is unknown is not selected.

    Parameters
    ----------
    types : tuple of str
        Names of event types; events of all these types are selected.
    where : Expression, optional
        A boolean expression over `prop(...)`.
    any_type : bool
        Whether events of every type are selected; then `types` is empty.
    """

    types: tuple[str, ...]
    where: Expression | None = None
    any_type: bool = False

    def __attrs_post_init__(self) -> None:
        """Check the names, and that the predicate uses only properties of events."""
        if self.any_type == bool(self.types) or any(name == "" or not isinstance(name, str) for name in self.types):
            raise InputError(
                f"event({', '.join(map(shown, self.types))}): names of event types are needed.",
                argument="event",
                code="wrong_value",
            )
        object.__setattr__(self, "types", tuple(sorted({plain_text("event", name) for name in self.types})))
        if self.where is not None:
            _about_events(self.where)

    def names(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the selected types; `known` are the types of the data."""
        return tuple(sorted(known)) if self.any_type else self.types

    # Figures

    def count(self, **window: Unpack[WindowArgs]) -> Expression:
        """Return the number of events in the window (`within`, `ago`, `since`, `until`, `between`, `during`)."""
        return self._aggregate("count", None, window)

    def exists(self, **window: Unpack[WindowArgs]) -> Expression:
        """Return whether there is an event in the window."""
        return self._aggregate("exists", None, window)

    def sum(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the sum of the events' values, or of a numeric property; 0 without events."""
        return self._aggregate("sum", of, window)

    def mean(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the mean of the events' values, or of a numeric property; unknown without events."""
        return self._aggregate("mean", of, window)

    def min(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the smallest of the events' values, or of a numeric property; unknown without events."""
        return self._aggregate("min", of, window)

    def max(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the largest of the events' values, or of a numeric property; unknown without events."""
        return self._aggregate("max", of, window)

    def hour_of_day(self, first: int, before: int) -> Selection:
        """Select the events from one hour of local time on and before another hour; the hours may span midnight.

        Parameters
        ----------
        first, before : int
            Hours from 0 to 23; `before` may be 24, the end of the day. ``hour_of_day(22, 6)`` is the night.

        Examples
        --------
        >>> from relmark import event
        >>> event("visit").hour_of_day(18, 22).count()
        event("visit", where=(hour_of_day() >= 18) & (hour_of_day() < 22)).count()
        """
        whole("first", first, low=0, high=23)
        whole("before", before, low=0, high=24)
        hour = nodes.Clock("hour_of_day")
        inside = (hour >= first) & (hour < before) if first < before else (hour >= first) | (hour < before)
        return self._narrowed(inside)

    def weekday(self, *days: int) -> Selection:
        """Select the events on some days of the week, 1 for Monday to 7 for Sunday.

        Examples
        --------
        >>> from relmark import event
        >>> event("visit").weekday(6, 7).exists()
        event("visit", where=weekday().is_in([6, 7])).exists()
        """
        for day in days:
            whole("days", day, low=1, high=7)
        if not days:
            raise InputError(
                "weekday() has no days: give one or more, from 1 for Monday to 7 for Sunday.",
                argument="days",
                code="empty",
            )
        return self._narrowed(nodes.Clock("weekday").is_in(list(days)))

    def _narrowed(self, test: Expression) -> Selection:
        return attrs.evolve(self, where=test if self.where is None else self.where & test)

    def count_distinct(self, of: str | Expression, **window: Unpack[WindowArgs]) -> Expression:
        """Return the number of different values, or different tags, of a property; 0 without events."""
        return self._aggregate("count_distinct", of, window)

    def first(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the property of the earliest event that has it; unknown without one."""
        return self._aggregate("first", of, window)

    def last(self, of: str | Expression = "value", **window: Unpack[WindowArgs]) -> Expression:
        """Return the property of the latest event that has it; unknown without one."""
        return self._aggregate("last", of, window)

    def most_frequent(self, of: str | Expression, **window: Unpack[WindowArgs]) -> Expression:
        """Return the value (or the tag) of a property that most events have, such as the favorite category."""
        return self._aggregate("most_frequent", of, window)

    def active_days(self, **window: Unpack[WindowArgs]) -> Expression:
        """Return the number of calendar days with an event."""
        return self._aggregate("active_days", None, window)

    def days_since_first(self, **window: Unpack[WindowArgs]) -> Expression:
        """Return the elapsed days since the earliest event; unknown without one."""
        return self._aggregate("days_since_first", None, window)

    def days_since_last(self, **window: Unpack[WindowArgs]) -> Expression:
        """Return the elapsed days since the latest event; unknown without one."""
        return self._aggregate("days_since_last", None, window)

    # Tests

    def regularly(self, min_periods: int, of: int, period: timedelta | str) -> Expression:
        """Return whether at least `min_periods` of the last `of` periods have an event."""
        return nodes.Regularly(self, min_periods, of, period)

    def first_time(self, within: Span) -> Expression:
        """Return whether the first event of all lies in the window: there is an event in it and none before it."""
        return self.exists(within=within) & ~self.exists(ago=within)

    def stopped(self, active: Span, silent: Span) -> Expression:
        """Return whether there is no event in the last `silent` time, but one in the `active` time before that."""
        return self.exists(within=active, ago=silent) & ~self.exists(within=silent)

    def restarted(self, active: timedelta, silent: timedelta) -> Expression:
        """Return whether there is an event in the last `active`, none in the `silent` before, and one before both."""
        duration("active", active)
        duration("silent", silent)
        silence = ~self.exists(within=silent, ago=active)
        both = active + silent if active < timedelta.max - silent else timedelta.max
        return self.exists(within=active) & silence & self.exists(ago=both)

    def last_event(self, where: Expression, **window: Unpack[WindowArgs]) -> Expression:
        """Return whether the latest event satisfies another predicate; unknown without events."""
        _about_events(where)
        return nodes.LastEvent(self, where, Window.of(**window))

    def not_followed_by(self, then: Selection, within: timedelta, recent: timedelta | None = None) -> Expression:
        """Return whether the latest event is at least `within` old and no event of `then` came after it.

        With `recent`, the event must also be less than `recent` old, which leaves out baskets abandoned last year.
        """
        if not isinstance(then, Selection):
            raise InputError(
                f"not_followed_by({shown(then)}): events are needed, such as event('purchase').",
                argument="not_followed_by",
                code="wrong_type",
            )
        return nodes.NotFollowedBy(self, then, within, recent)

    def _aggregate(self, op: str, of: str | Expression | None, window: WindowArgs) -> Expression:
        known = tuple(WindowArgs.__annotations__)
        for name in window:
            if name not in known:
                raise InputError(
                    f"{op}() has no argument {name!r}; a window takes {', '.join(known)}.",
                    argument="window",
                    code="unknown_name",
                )
        if isinstance(of, nodes.Prop):
            of = of.name
        if of is not None and (not isinstance(of, str) or not of):
            raise InputError(f"{op}({shown(of)}): the name of a property is needed.", argument="of", code="wrong_type")
        return nodes.Aggregate(op, self, of, Window.of(**window))

    def __repr__(self) -> str:
        from relmark.expressions.text_writer import selection_text

        text = selection_text(self)
        return text if len(text) <= 200 else text[:197] + "..."

    def _no_value(self, *_: object) -> NoReturn:
        raise InputError(
            f"{self!r} selects events and is not a value: call a method that makes a figure, such as "
            ".count(within=days(30)) >= 2, .exists(), .sum() or .days_since_last().",
            argument="events",
            code="not_value",
        )

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _no_value
    __and__ = __or__ = __invert__ = __rand__ = __ror__ = __bool__ = _no_value
    __hash__ = object.__hash__


def _later(since: object, until: object) -> bool:
    return since > until  # type: ignore[no-any-return, operator]


def _about_events(where: object) -> None:
    """Raise if a predicate over events uses anything but properties of events."""
    if not isinstance(where, Expression):
        raise InputError(
            f"where is {shown(where)}: a rule over prop(...) is needed, such as prop('sku') == 'a'.",
            argument="where",
            code="wrong_type",
        )
    for node in nodes_of(where):
        if not isinstance(node, nodes.EVENT_NODES):
            raise InputError(
                f"where= is about one event, but {type(node).__name__} ({shown(node)}) is about a customer at a time: "
                "use prop('name') and fixed values inside where=, and combine other rules outside of it.",
                argument="where",
                code="wrong_type",
            )


def nodes_of(expression: Expression) -> list[Expression]:
    """Return the nodes of a predicate, without what is inside selections."""
    found: list[Expression] = []
    stack = [expression]
    while stack:
        node = stack.pop()
        found.append(node)
        for attribute in attrs.fields(type(node)):  # type: ignore[arg-type]
            value = getattr(node, attribute.name)
            stack += [
                item for item in (value if isinstance(value, tuple) else (value,)) if isinstance(item, Expression)
            ]
    return found
