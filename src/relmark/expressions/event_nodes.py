"""The nodes that look at events: figures of them, and tests of what a customer did in which order.

They belong to the tree of `nodes`, where values, tests, sets and logic are, and follow the same semantics of three
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

    `of` names the property it is of; ``value`` is the event's own value. An event without that property is skipped, but
    by count, exists, active_days and days_since_*.

    - count: events; exists: whether there is one; active_days: local calendar days with one. Without events 0 and
      false.
    - sum: 0 without events. mean, min, max (numbers): unknown without events that have the property.
    - count_distinct: different values of the property, of a property of tags the different tags; 0 without events.
    - first, last: the property of the earliest and latest event that has it; among events at the same instant the
      smallest value (numbers and times by size, text by code points, false before true, sets by their tags in order).
      Unknown where none has it.
    - most_frequent: the value, of tags the tag, that most events have, the smallest of equally frequent ones. Unknown
      where none has it.
    - days_since_first, days_since_last: (as_of - t) in days of 86,400 seconds, a float; unknown without events.
    """

    op: str
    events: Selection
    of: str | None = attrs.field(default=None, validator=lambda _, __, v: _named(v))
    window: Window = attrs.field(factory=Window)


@attrs.frozen(eq=False, repr=False)
class Regularly(Expression):
    """Whether at least `min_periods` of the last `of` periods have an event; never unknown.

    `period` is a duration p, and the periods are (as_of - (k + 1) p, as_of - k p] for k = 0 .. of - 1; or a calendar
    unit (day, week, month, quarter, year), and the periods are the one that contains as_of and the of - 1 before it.
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

    Unknown where there is no event, or where the predicate is unknown of it. Among several at the latest instant, all
    have to: false where it is false of one, else unknown where it is unknown of one.
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

    `same` names a property ("value" is the event's own value, "type" its type): all of this has to hold of the events
    that have one value of it, as if they were a customer of their own. The steps share the value, excluded events and
    those that break a strict order have it too, and an event without the property has no part.
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
                    f"apart is {self.apart}, and {len(self.steps)} steps do not fit into within {self.within}: nobody "
                    "could ever qualify.",
                    argument="apart",
                    code="conflicting_arguments",
                )


@attrs.frozen(eq=False, repr=False)
class NotFollowedBy(Expression):
    """Whether the latest event of `events`, at t <= as_of, was followed by nothing in time; never unknown.

    True where t + within <= as_of and no event of `then` has a time in (t, as_of]; with `recent`, t > as_of - recent
    too. False for a customer without such an event.
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
                f"recent is {self.recent}, not above within {self.within}: nobody could ever qualify.",
                argument="recent",
                code="conflicting_arguments",
            )


STAGES = ("stage", "stage_entered", "stage_days")


@attrs.frozen(eq=False, repr=False)
class Stage(Expression):
    """How far the customer has got along some steps by as_of; unknown for who has not done the first.

    An attempt begins at an event of the first step, at t_1; step i + 1 is reached at its earliest event strictly after
    t_i, if `duration` isn't given or t_(i+1) - t_1 <= duration. The customer's stage is the deepest step that any
    attempt reached, the same that a funnel counts; it is never lost again.

    - stage: its name.
    - stage_entered: the first instant at which an attempt had reached it.
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
                "stage has a name twice: each step needs one of its own.", argument="stage", code="duplicate"
            )
        if self.duration is not None:
            duration("within", self.duration)

    def entered(self) -> Expression:
        """Return when the customer first got to their stage, an instant: ``stage({...}).entered().within(days(7))``."""
        return Stage("stage_entered", self._own(), self.steps, self.duration)

    def days(self) -> Expression:
        """Return for how many days the customer has been at their stage: ``stage({...}).days() > 14``."""
        return Stage("stage_days", self._own(), self.steps, self.duration)

    def _own(self) -> tuple[str, ...]:
        if self.op != "stage":
            raise InputError(
                f"{self!r} is no stage: say .entered() or .days() of stage({{...}}) itself.",
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
