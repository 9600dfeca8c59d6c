"""The nodes about events: figures of events, and tests of what a customer did in which order.

They belong to the same tree as those in `nodes` (values, tests, sets and logic), and follow the same semantics of three
values, time and ties.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import attrs

from relmark.core.checks import one_of, shown, text, whole
from relmark.core.errors import InputError
from relmark.core.spans import Span, check_span
from relmark.core.time import duration
from relmark.expressions.literals import plain_text
from relmark.expressions.operators import Expression
from relmark.expressions.periods import PERIODS
from relmark.expressions.selection import Selection, Window

__all__ = ["PERIODS", "STAGES", "Aggregate", "LastEvent", "NotFollowedBy", "Regularly", "Sequence", "Stage"]


@attrs.frozen(eq=False, repr=False)
class Aggregate(Expression):
    """One figure of the events of a `Selection` inside a `Window`.

    `of` names the property; ``value`` is the event's own value. An event without that property is skipped, except by
    count, exists, active_days and days_since_*.

    - count: the number of events; exists: whether there is one; active_days: the number of local calendar days with
      one. Without events they are 0 and false.
    - sum: 0 without events. mean, min, max (numbers): unknown without events that have the property.
    - count_distinct: the number of different values of the property, or of different tags if its values are sets of
      tags; 0 without events.
    - first, last: the property of the earliest or latest event that has it; among events at the same instant the
      smallest value (numbers and times by size, text by code points, false before true, sets by their tags in order).
      Unknown where none has it.
    - most_frequent: the value (or the tag) that most events have, the smallest of equally frequent ones. Unknown where
      none has it.
    - days_since_first, days_since_last: (as_of - t) in days of 86,400 seconds, a float; unknown without events.
    """

    op: str
    events: Selection
    of: str | None = attrs.field(default=None, validator=lambda _, __, v: _named(v))
    window: Window = attrs.field(factory=Window)


@attrs.frozen(eq=False, repr=False)
class Regularly(Expression):
    """Whether at least `min_periods` of the last `of` periods have an event; never unknown.

    If `period` is a duration p, the periods are (as_of - (k + 1) p, as_of - k p] for k = 0 .. of - 1. If it is a
    calendar unit (day, week, month, quarter, year), they are the one that contains as_of and the of - 1 before it.
    """

    op: ClassVar[str] = "regularly"
    events: Selection
    min_periods: int
    of: int
    period: timedelta | str

    def __attrs_post_init__(self) -> None:
        """Check the numbers of periods."""
        whole("of", self.of, low=1, high=1200)
        whole("min_periods", self.min_periods, low=1, high=self.of)
        if isinstance(self.period, str):
            one_of("period", self.period, PERIODS)
        else:
            duration("period", self.period)


@attrs.frozen(eq=False, repr=False)
class LastEvent(Expression):
    """Whether the latest event of the selection in the window satisfies another predicate, `where`.

    Unknown where there is no event, or where the predicate is unknown for it. If several events are at the latest
    instant, all have to satisfy it: false where it is false for one, else unknown where it is unknown for one.
    """

    op: ClassVar[str] = "last_event"
    events: Selection
    where: Expression
    window: Window = attrs.field(factory=Window)


@attrs.frozen(eq=False, repr=False)
class Sequence(Expression):
    """Whether the customer did the steps in order by as_of, each strictly later than the one before.

    There are events of the steps' selections at t_1 < t_2 < ... < t_k <= as_of.

    Any start counts. `within`: t_k - t_1 <= within. `apart`: t_(i+1) - t_i >= apart. `recent`: t_k is in the window
    within=recent. `exclude`: no event of these selections at a time strictly between t_1 and t_k. `strict`: between t_i
    and t_(i+1) the customer has no event of any type (times strictly between). Never unknown.

    `same` names a property ("value" is the event's own value, "type" its type). All of this then has to hold for the
    events with one value of it, as if these were all events of the customer: the steps share the value, only events
    with it count as excluded or break a strict order, and events without the property are ignored.
    """

    op: ClassVar[str] = "sequence"
    steps: tuple[Selection, ...]
    within: timedelta | None = None  # type: ignore[assignment]  # hides the method that dates have
    strict: bool = False
    exclude: tuple[Selection, ...] = ()
    apart: timedelta | None = None
    recent: Span | None = None
    same: str | None = attrs.field(default=None, validator=lambda _, __, v: _named(v, "same"))

    def __attrs_post_init__(self) -> None:
        """Check the number of steps and the lengths of time."""
        if len(self.steps) < 2:
            raise InputError(
                f"sequence has {len(self.steps)} step(s): at least two are needed.",
                argument="steps",
                code="wrong_value",
            )
        if self.within is not None:
            duration("within", self.within)
        if self.recent is not None:
            check_span("recent", self.recent)
        if self.apart is not None:
            least = duration("apart", self.apart) * (len(self.steps) - 1)
            if self.within is not None and duration("within", self.within) < least:
                raise InputError(
                    f"apart is {self.apart} and within is {self.within}: {len(self.steps)} steps so far apart do not "
                    "fit, so nobody could ever qualify.",
                    argument="apart",
                    code="conflicting_arguments",
                )


@attrs.frozen(eq=False, repr=False)
class NotFollowedBy(Expression):
    """Whether the latest event of `events`, at t <= as_of, was not followed by an event of `then`; never unknown.

    True where t + within <= as_of and no event of `then` has a time in (t, as_of]; with `recent`, it also needs
    t > as_of - recent. False for a customer without an event of `events`.
    """

    op: ClassVar[str] = "not_followed_by"
    events: Selection
    then: Selection
    within: timedelta  # type: ignore[assignment]  # hides the method that dates have
    recent: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        """Check the two durations."""
        duration("within", self.within)
        if self.recent is not None and duration("recent", self.recent) <= duration("within", self.within):
            raise InputError(
                f"recent is {self.recent} and within is {self.within}: recent must be longer, or nobody could ever "
                "qualify.",
                argument="recent",
                code="conflicting_arguments",
            )


STAGES = ("stage", "stage_entered", "stage_days")


@attrs.frozen(eq=False, repr=False)
class Stage(Expression):
    """How far along some steps the customer is by as_of; unknown for customers who have not done the first step.

    An attempt begins at an event of the first step, at t_1. Step i + 1 is reached at its earliest event strictly after
    t_i, if `duration` is not given or t_(i+1) - t_1 <= duration. The customer's stage is the furthest step that any
    attempt reached, as in a funnel; it is never lost again.

    - stage: its name.
    - stage_entered: the first instant at which an attempt reached it.
    - stage_days: (as_of - that instant) in days, as days_since_last counts them.
    """

    op: str
    names: tuple[str, ...]
    steps: tuple[Selection, ...]
    duration: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        """Check the names and the steps."""
        one_of("op", self.op, STAGES)
        if len(self.names) != len(self.steps):
            raise InputError(
                f"stage has {len(self.names)} names and {len(self.steps)} steps: name each step.",
                argument="stage",
                code="wrong_length",
            )
        if len(self.steps) < 2:
            raise InputError(
                f"stage has {len(self.steps)} step(s): at least two are needed.", argument="stage", code="wrong_length"
            )
        for name in self.names:
            plain_text("the name of a stage", text("the name of a stage", name))
        if len(set(self.names)) < len(self.names):
            raise InputError(
                "stage has a name twice: each step needs a different name.", argument="stage", code="duplicate"
            )
        if self.duration is not None:
            duration("within", self.duration)

    def entered(self) -> Expression:
        """Return the instant at which the customer reached their stage: ``stage({...}).entered().within(days(7))``."""
        return Stage("stage_entered", self._own(), self.steps, self.duration)

    def days(self) -> Expression:
        """Return how many days ago the customer reached their stage: ``stage({...}).days() > 14``."""
        return Stage("stage_days", self._own(), self.steps, self.duration)

    def _own(self) -> tuple[str, ...]:
        if self.op != "stage":
            raise InputError(
                f"{self!r} is not a stage: call .entered() or .days() on stage({{...}}) itself.",
                argument="stage",
                code="wrong_type",
            )
        return self.names


def _named(value: object, argument: str = "of") -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value:
        raise InputError(
            f"{argument} is {shown(value)}: the name of a property is needed.", argument=argument, code="wrong_type"
        )
    plain_text(argument, value)
