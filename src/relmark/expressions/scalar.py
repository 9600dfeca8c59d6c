"""Evaluation of a rule for one person, in pure Python, for a backend that has the events of one customer.

Columns are for many customers: a call of numpy takes microseconds, whether there is one row or ten thousand. Here a
tree is compiled once into closures, ``call(who, at) -> value``, and a question about one person takes tens of
microseconds. The meaning is that of the nodes, the same as in the evaluation over columns.

    person = Person.of(customer, events, as_of="2026-11-01")        # once per customer; events in any order
    program_of(rule).verdict(person)                                # True, False, or None for unknown
    program_of(event("purchase").sum()).value(person)               # a number
    program_of(rule).next_change(person)                            # when the verdict changes, if nothing else happens

`events_of` returns the events of a selection in a window, if a figure of them is not enough:

    found = events_of(event("purchase", where=...), Window(within=days(30)))
    for time, one in found(person): ...                             # microseconds, and the Event

`found(person, at)` uses another instant than the person's as_of; no event after as_of is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relmark.core.assignment import role_seed
from relmark.core.documents import canonical
from relmark.core.errors import DefinitionError, InputError
from relmark.core.hashing import bucket_of
from relmark.core.time import aware
from relmark.expressions import nodes, scalar_events, scalar_values
from relmark.expressions.kept import Kept
from relmark.expressions.needs import Needs, needs_of
from relmark.expressions.next_change import Changes, next_change
from relmark.expressions.operators import Expression
from relmark.expressions.scalar_calendar import Zone
from relmark.expressions.scalar_person import Moment, Person
from relmark.expressions.scalar_values import Call
from relmark.expressions.selection import Selection, Window
from relmark.expressions.stored import written
from relmark.expressions.tags import Tags
from relmark.expressions.walk import check_depth, walk

__all__ = ["EventsOf", "Person", "Program", "events_of", "program_of"]

_BOOLEAN = (
    nodes.And, nodes.AtLeast, nodes.Between, nodes.Compare, nodes.DateWindow, nodes.Everyone, nodes.Ids, nodes.InPeriod,
    nodes.IsEmpty, nodes.IsIn, nodes.IsNull, nodes.LastEvent, nodes.Matches, nodes.Not, nodes.NotFollowedBy, nodes.Or,
    nodes.Regularly, nodes.Sample, nodes.SegmentRef, nodes.Sequence,
)  # fmt: skip


_KEPT: Kept[Program] = Kept(512)


def program_of(expression: Expression, tz: str = "UTC", *, segments: Mapping[str, Expression] | None = None) -> Program:
    """Return the program of an expression in a time zone; expressions with the same stored form share one.

    Parameters
    ----------
    expression : Expression
        The expression.
    tz : str
        The zone of calendar dates, days and birthdays.
    segments : mapping of str to Expression, optional
        The rules for which ``segment("name")`` stands, by name.

    Notes
    -----
    The nodes of the program are those of the expression that was compiled first.
    """
    if segments is not None:
        for rule in (expression, *segments.values()):
            check_depth(rule)  # before fingerprints recurse into it
        key = (expression.fingerprint, tz, *((name, rule.fingerprint) for name, rule in sorted(segments.items())))
        return _KEPT.get(key, lambda: Program(expression, tz, segments))
    try:
        own: dict[str, Program] = expression._programs  # noqa: SLF001  (kept as the fingerprint is)
    except AttributeError:
        own = {}
        object.__setattr__(expression, "_programs", own)
    found = own.get(tz)
    if found is None:
        check_depth(expression)  # before the fingerprint recurses into it
        found = own[tz] = _KEPT.get((expression.fingerprint, tz), lambda: Program(expression, tz, {}))
    return found


def events_of(selection: Selection, window: Window | None = None, tz: str = "UTC") -> EventsOf:
    """Return a function that finds a person's events of a selection in a window; make it once for many people."""
    compiler = _Compiler(Zone(tz), {})
    return EventsOf(compiler.finder(selection), scalar_events.span(window or Window(), compiler.zone))


class EventsOf:
    """The events of a selection in a window: ``found(person)`` or ``found(person, at)``."""

    __slots__ = ("_find", "_place")

    def __init__(self, find: scalar_events.Finder, place: scalar_events.Span) -> None:
        self._find = find
        self._place = place

    def __call__(self, person: Person, at: int | None = None) -> list[tuple[int, Any]]:
        """Return pairs of a time in microseconds and an event, ascending in time.

        The event has ``type``, ``value`` (which may be None) and ``properties``, like an `Event`.
        """
        return list(zip(*self.columns(person, person.as_of if at is None else at), strict=True))

    def columns(self, person: Person, at: int) -> tuple[list[int], list[Any]]:
        """Return a list of the times and a list of the events; do not write to them."""
        times, rows = self._find(person)
        start, stop = self._place(times, at)
        if start == 0 and stop == len(times):
            return times, rows
        return times[start:stop], rows[start:stop]


class Program:
    """An expression compiled for people one at a time; make it with `program_of`.

    Attributes
    ----------
    expression : Expression
        The expression.
    tz : str
        Its time zone.
    """

    __slots__ = (
        "_by_form",
        "_call",
        "_calls",
        "_changes",
        "_finders",
        "_needs",
        "expression",
        "segments",
        "tz",
        "zone",
    )

    def __init__(self, expression: Expression, tz: str, segments: Mapping[str, Expression]) -> None:
        check_depth(expression)
        compiler = _Compiler(Zone(tz), segments)
        self.expression = expression
        self.tz = tz
        self.zone = compiler.zone
        self.segments = segments
        self._changes: Changes | None = None
        self._needs: Needs | None = None
        self._by_form: dict[str, Expression | Selection] | None = None
        self._call = compiler.rule(expression) if isinstance(expression, _BOOLEAN) else compiler.value(expression)
        self._calls = compiler.calls
        self._finders = compiler.finders

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the expression; it is compiled again when it is unpickled."""
        return Program, (self.expression, self.tz, dict(self.segments))

    def verdict(self, person: Person, at: int | None = None) -> bool | None:
        """Return whether a rule is true for a person, or None for unknown, at an instant; by default at as_of."""
        found = self._call(person, person.as_of if at is None else at)
        if found is None or found.__class__ is bool:
            return found
        raise InputError(
            f"{self.expression!r} is {found!r}, but a rule is needed: compare it with something.",
            argument="rule",
            code="not_rule",
        )

    def value(self, person: Person, at: int | None = None) -> Any:
        """Return the value for a person: a float, str, bool, date, aware datetime or frozenset, or None for unknown."""
        return natural(self._call(person, person.as_of if at is None else at))

    def next_change(self, person: Person, at: int | None = None) -> int | None:
        """Return when membership by a rule changes if nothing else happens, in microseconds; None for never."""
        return next_change(self, person, at)

    def changes(self) -> Changes:
        """Return the object that finds until when each node does not change."""
        if self._changes is None:
            self._changes = Changes(self)
        return self._changes

    def needs(self) -> Needs:
        """Return the data that the expression needs."""
        if self._needs is None:
            self._needs = needs_of(self.expression, self.segments)
        return self._needs

    def call(self, node: Expression) -> Call:
        """Return the closure of a node of this expression, of an equal node, or of a plain value."""
        found = self._calls.get(id(node))
        if found is not None:
            return found
        if isinstance(node, nodes.Literal):
            return scalar_values.literal(node)
        return self._calls[id(self._alike(node.fingerprint))]

    def finder(self, selection: Selection) -> scalar_events.Finder:
        """Return the finder of the events of a selection of this expression, or of an equal selection."""
        found = self._finders.get(id(selection))
        return found or self._finders[id(self._alike(canonical(written(selection))))]

    def _alike(self, key: str) -> Expression | Selection:
        """Return the node or selection of this program that has the same stored form."""
        if self._by_form is None:
            trees = (self.expression, *self.segments.values())
            self._by_form = {
                node.fingerprint if isinstance(node, Expression) else canonical(written(node)): node
                for tree in trees
                for _, node in walk(tree)
                if id(node) in self._calls or id(node) in self._finders
            }
        return self._by_form[key]


def natural(value: Any) -> Any:
    """Return a value as a standard Python object: an instant becomes an aware datetime in UTC, tags a frozenset."""
    if value.__class__ is Moment:
        return aware(value)
    return frozenset(value) if value.__class__ is Tags else value


class _Compiler:
    """Makes closures from the leaves up, and keeps the closure of each node."""

    def __init__(self, zone: Zone, segments: Mapping[str, Expression]) -> None:
        self.zone = zone
        self.segments = segments
        self.calls: dict[int, Call] = {}
        self.finders: dict[int, scalar_events.Finder] = {}
        self.open: list[str] = []

    def value(self, node: Expression) -> Call:
        """Return the closure of a node."""
        found = self.calls.get(id(node))
        if found is None:
            found = self.calls[id(node)] = self._made(node)
        return found

    def rule(self, node: Expression) -> Call:
        """Return the closure of a node that has to be boolean."""
        call = self.value(node)
        if isinstance(node, _BOOLEAN) or (isinstance(node, nodes.Aggregate) and node.op == "exists"):
            return call

        def checked(who: Any, at: int) -> bool | None:
            value = call(who, at)
            if value is None or value.__class__ is bool:
                return value
            raise InputError(
                f"{node!r} is {value!r}, but true or false is needed: compare it with something.",
                argument="rule",
                code="not_rule",
            )

        return checked

    def finder(self, selection: Selection) -> scalar_events.Finder:
        """Return the finder of the events of a selection."""
        test = None if selection.where is None else self.rule(selection.where)
        found = self.finders[id(selection)] = scalar_events.Finder(selection, test)
        return found

    def _made(self, node: Expression) -> Call:
        match node:
            case nodes.Field():
                return scalar_values.field(node)
            case nodes.Prop():
                return scalar_values.prop(node)
            case nodes.Clock(op=op):
                return scalar_values.clock(op, self.zone)
            case nodes.Literal():
                return scalar_values.literal(node)
            case nodes.Fill(arg=arg):
                return scalar_values.fill(node, self.value(arg))
            case nodes.Arithmetic(left=left, right=right):
                return scalar_values.arithmetic(node, self.value(left), self.value(right))
            case nodes.Compare(left=left, right=right):
                return scalar_values.compare(node, self.value(left), self.value(right), self.zone)
            case nodes.Between(arg=arg):
                return scalar_values.between(node, self.value(arg), self.zone)
            case nodes.IsIn(arg=arg):
                return scalar_values.is_in(node, self.value(arg), self.zone)
            case nodes.IsNull(arg=arg):
                return scalar_values.is_null(self.value(arg))
            case nodes.IsEmpty(arg=arg):
                return scalar_values.is_empty(node, self.value(arg))
            case nodes.Matches(arg=arg):
                return scalar_values.matches(node, self.value(arg))
            case nodes.Age(arg=arg):
                return scalar_values.age(node, self.value(arg), self.zone)
            case nodes.DateWindow(arg=arg):
                return scalar_values.date_window(node, self.value(arg), self.zone)
            case nodes.InPeriod(arg=arg):
                return scalar_values.in_period(node, self.value(arg), self.zone)
            case nodes.Not(arg=arg):
                return _not(self.rule(arg))
            case nodes.And(args=args):
                return _and([self.rule(arg) for arg in args])
            case nodes.Or(args=args):
                return _or([self.rule(arg) for arg in args])
            case nodes.AtLeast(n=n, args=args):
                return _at_least(n, [self.rule(arg) for arg in args])
        return self._of_events(node)

    def _of_events(self, node: Expression) -> Call:
        match node:
            case nodes.Aggregate(events=events):
                return scalar_events.aggregate(node, self.finder(events), self.zone)
            case nodes.Regularly(events=events):
                return scalar_events.regularly(node, self.finder(events), self.zone)
            case nodes.LastEvent(events=events, where=where):
                return scalar_events.last_event(node, self.finder(events), self.rule(where), self.zone)
            case nodes.NotFollowedBy(events=events, then=then):
                return scalar_events.not_followed_by(node, self.finder(events), self.finder(then), self.zone)
            case nodes.Sequence(steps=steps, exclude=exclude):
                return scalar_events.sequence(
                    node, [self.finder(step) for step in steps], [self.finder(one) for one in exclude], self.zone
                )
            case nodes.Stage(steps=steps):
                return scalar_events.stage(node, [self.finder(step) for step in steps], self.zone)
            case nodes.Everyone():
                return lambda _, __: True
            case nodes.Ids(values=values):
                return _ids(frozenset(values))
            case nodes.Sample():
                return _sample(node)
            case nodes.SegmentRef(name=name):
                return self._segment(name)
        raise AssertionError(f"{type(node).__name__} cannot be evaluated")

    def _segment(self, name: str) -> Call:
        if name not in self.segments:
            raise DefinitionError(
                f"segment({name!r}) is not known.",
                code="unknown_segment",
                hint="Evaluate the rule inside a SegmentSet that has a segment of that name.",
            )
        if name in self.open:
            raise DefinitionError(
                f"segments refer to each other in a circle: {' > '.join([*self.open, name])}.", code="circle"
            )
        self.open.append(name)
        call = self.rule(self.segments[name])
        self.open.pop()
        return call


# Logic


def _not(arg: Call) -> Call:
    def call(who: Any, at: int) -> bool | None:
        value = arg(who, at)
        return None if value is None else not value

    return call


def _and(args: list[Call]) -> Call:
    def call(who: Any, at: int) -> bool | None:
        verdict: bool | None = True
        for arg in args:
            value = arg(who, at)
            if value is False:
                return False
            if value is None:
                verdict = None
        return verdict

    return call


def _or(args: list[Call]) -> Call:
    def call(who: Any, at: int) -> bool | None:
        verdict: bool | None = False
        for arg in args:
            value = arg(who, at)
            if value is True:
                return True
            if value is None:
                verdict = None
        return verdict

    return call


def _at_least(n: int, args: list[Call]) -> Call:
    def call(who: Any, at: int) -> bool | None:
        values = [arg(who, at) for arg in args]
        true = values.count(True)
        if true >= n:
            return True
        return None if true + values.count(None) >= n else False

    return call


# Sets of people


def _known_id(who: Person, what: str) -> int | str:
    if who.id is None:
        raise InputError(
            f"{what} needs the customer's id, but neither a customer nor an event was given: give one.",
            argument="customer",
            code="missing_argument",
        )
    return who.id


def _ids(values: frozenset[int | str]) -> Call:
    return lambda who, _: _known_id(who, "ids()") in values


def _sample(node: nodes.Sample) -> Call:
    edge = node.buckets
    bucket = bucket_of(role_seed("sample", node.salt))
    return lambda who, _: bucket(_known_id(who, "sample()")) < edge
