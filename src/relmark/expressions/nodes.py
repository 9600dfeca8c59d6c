"""The tree of a rule: immutable nodes that define its meaning, but not how it is computed.

Every node is an `Expression`: it has one value per customer, which is of a kind (number, boolean, text, date, instant
or tags) and may be **unknown** for a customer. Evaluation over columns, evaluation for one person, explanation and
compilation for engines are in other files, and all of them must follow the docstrings here.

Three values
    A boolean is true, false or unknown (Kleene's strong logic). A comparison with an unknown operand is unknown; `Not`
    of unknown is unknown; `And` is false where any argument is false, else unknown where any is unknown; `Or` is true
    where any is true, else unknown where any is unknown. A customer for whom the whole rule is unknown is not a member
    of a segment, and is counted as unknown.
Time
    ``as_of`` is an instant in microseconds UTC. No event after it is seen. A calendar date stands for its midnight in
    the time zone of the base. Days, months and birthdays are those of that zone.
Ties
    'Then' and 'after' mean strictly later. Events at the same instant have no order, and no result depends on one.
Paths
    The JSON form of a node has the attributes of its class as keys (those of `Window` are keys of the node itself), so
    that ``$.args[0].left`` names the same place in the tree, in the stored form and in the explanation.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import attrs

from relmark.core.checks import flag, number, one_of, shown, whole
from relmark.core.errors import InputError
from relmark.core.time import duration
from relmark.expressions.event_nodes import (
    PERIODS,
    STAGES,
    Aggregate,
    LastEvent,
    NotFollowedBy,
    Regularly,
    Sequence,
    Stage,
)
from relmark.expressions.literals import LiteralValue, plain_text
from relmark.expressions.operators import Expression

__all__ = [
    "AGGREGATES",
    "ARITHMETIC",
    "CLOCKS",
    "COMPARISONS",
    "DATE_WINDOWS",
    "EVENT_NODES",
    "MATCHES",
    "PERIODS",
    "STAGES",
    "Age",
    "Aggregate",
    "And",
    "Arithmetic",
    "AtLeast",
    "Between",
    "Clock",
    "Compare",
    "DateWindow",
    "Everyone",
    "Field",
    "Fill",
    "Ids",
    "InPeriod",
    "IsEmpty",
    "IsIn",
    "IsNull",
    "LastEvent",
    "Literal",
    "Matches",
    "Not",
    "NotFollowedBy",
    "Or",
    "Prop",
    "Regularly",
    "Sample",
    "SegmentRef",
    "Sequence",
    "Stage",
]

COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
MATCHES = (
    "contains", "contains_all", "contains_any", "contains_none", "endswith", "has_word", "like", "startswith",
)  # fmt: skip
DATE_WINDOWS = ("anniversary", "older_than", "past_anniversary", "upcoming", "within")
AGGREGATES = (
    "active_days", "count", "count_distinct", "days_since_first", "days_since_last", "exists", "first", "last", "max",
    "mean", "min", "most_frequent", "sum",
)  # fmt: skip


# Values


@attrs.frozen(eq=False, repr=False)
class Field(Expression):
    """The field `name` of the customer; unknown where it is missing. Its kind is that of the column."""

    op: ClassVar[str] = "field"
    name: str = attrs.field(validator=lambda _, __, v: _named("field", v))


@attrs.frozen(eq=False, repr=False)
class Prop(Expression):
    """The property `name` of an event, only inside the `where` of a `Selection` or of a `LastEvent`.

    ``value`` is the event's own value (a number) and ``type`` the name of its type (a text). It is unknown for an event
    without the property, also if no event of that type has it. A property that none of the selected types has is an
    error.
    """

    op: ClassVar[str] = "prop"
    name: str = attrs.field(validator=lambda _, __, v: _named("prop", v))


@attrs.frozen(eq=False, repr=False)
class Literal(Expression):
    """A plain value: a finite number, a text, a boolean, a `date`, or an instant (an aware `datetime` in UTC)."""

    op: ClassVar[str] = "literal"
    value: LiteralValue


@attrs.frozen(eq=False, repr=False)
class Fill(Expression):
    """`arg`, or the plain value where `arg` is unknown. The value has the kind of `arg`."""

    op: ClassVar[str] = "fill"
    arg: Expression
    value: Literal


@attrs.frozen(eq=False, repr=False)
class Arithmetic(Expression):
    """``left op right`` of two numbers in float64; op is add, sub, mul or div.

    Unknown where an operand is unknown, where the divisor is 0, and where the result is not finite.
    """

    op: str
    left: Expression
    right: Expression


@attrs.frozen(eq=False, repr=False)
class Age(Expression):
    """Completed calendar years from a date to the day of as_of, both in the time zone of the base.

    Someone born on 29 February has their birthday on 28 February in years without that day. A date after as_of gives a
    negative number.
    """

    op: ClassVar[str] = "age"
    arg: Expression


CLOCKS = ("hour_of_day", "weekday")


@attrs.frozen(eq=False, repr=False)
class Clock(Expression):
    """The hour or the weekday in local time: inside `where=` of the event's time, elsewhere of as_of.

    - hour_of_day: 0 to 23. For a day without a time of day, whether of an event or as as_of, it is 0.
    - weekday: 1 is Monday, 7 is Sunday (ISO 8601).
    """

    op: str

    def __attrs_post_init__(self) -> None:
        """Check the name."""
        one_of("op", self.op, CLOCKS)


# Tests of a value


@attrs.frozen(eq=False, repr=False)
class Compare(Expression):
    """``left op right``; op is eq, ne, lt, le, gt or ge. Unknown where either side is unknown, also for ne.

    Both sides have the same kind; a date compared with an instant stands for its midnight. Numbers compare exactly,
    including whole numbers beyond 2**53, but engines compare in float64. Text compares by code points and is not
    changed: nothing is trimmed, case-folded or normalized, either here or when data are read, so that numpy, one person
    and every engine agree. (An accent typed as a separate character makes a different text: convert columns to Unicode
    NFC first.) Booleans can only be compared with eq and ne; tags cannot be compared. If one side is a plain value, it
    is on the right, as Python itself turns ``18 <= x`` into ``x >= 18``.
    """

    op: str
    left: Expression
    right: Expression

    def __attrs_post_init__(self) -> None:
        """Move a plain value to the right."""
        if isinstance(self.left, Literal) and not isinstance(self.right, Literal):
            left, right = self.left, self.right
            object.__setattr__(self, "left", right)
            object.__setattr__(self, "right", left)
            object.__setattr__(self, "op", _FLIPPED.get(self.op, self.op))


@attrs.frozen(eq=False, repr=False)
class Between(Expression):
    """``low <= arg <= high``, both ends inclusive; for numbers, dates and instants."""

    op: ClassVar[str] = "between"
    arg: Expression
    low: Literal
    high: Literal


@attrs.frozen(eq=False, repr=False)
class IsIn(Expression):
    """Whether `arg` equals one of the values (of one kind, sorted, each once); unknown where `arg` is.

    Without values, it is false wherever `arg` is known.
    """

    op: ClassVar[str] = "in"
    arg: Expression
    values: tuple[LiteralValue, ...]


@attrs.frozen(eq=False, repr=False)
class IsNull(Expression):
    """Whether `arg` is unknown; it is itself never unknown."""

    op: ClassVar[str] = "is_null"
    arg: Expression


@attrs.frozen(eq=False, repr=False)
class IsEmpty(Expression):
    """Whether a set of tags has no members, or a text has no characters; unknown where `arg` is."""

    op: ClassVar[str] = "is_empty"
    arg: Expression


@attrs.frozen(eq=False, repr=False)
class Matches(Expression):
    """A test of text, or of a set of tags, against texts; unknown where `arg` is. `casefold` folds both sides first.

    On text: `contains`, `startswith`, `endswith` and `like` have one value; `like` is a glob over the whole text, where
    ``*`` is any run of characters, even an empty one, and ``?`` is exactly one character. `contains_any`,
    `contains_all` and `contains_none` look for the values as parts of the text. `has_word` is true where one of the
    values occurs as whole words: neither the character before nor the one after it is a letter, a digit or an
    underscore (``str.isalnum() or "_"``).

    On tags: `contains` and `contains_any` (one of the values is a tag), `contains_all`, `contains_none`; tags match
    whole. An empty set of tags is known; an absent one is unknown.
    """

    op: str
    arg: Expression
    values: tuple[str, ...]
    casefold: bool = False


@attrs.frozen(eq=False, repr=False)
class DateWindow(Expression):
    """A test of a date or an instant against as_of, with a `duration` d; unknown where `arg` is.

    - within: as_of - d < t <= as_of; older_than: t <= as_of - d. A date stands for its midnight.
    - upcoming: for a date, the local day of as_of <= day < that day + d (today is included; d in whole days);
      for an instant, as_of < t <= as_of + d.
    - anniversary: the next return of the month and day of `arg`, on or after the local day of as_of, lies within d
      (whole days, at most 365), so that d = 7 days is today to the sixth day after. An instant counts by its local
      day. 29 February returns on 28 February in years without one. The year of `arg` does not matter.
    - past_anniversary: the latest return of the month and day of `arg`, on or before the local day of as_of, lies less
      than d back (whole days, at most 365), so that d = 7 days is today and the six days before it; the rest as above.
    """

    op: str
    arg: Expression
    duration: timedelta

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without data."""
        duration(f"{self.op}()", self.duration)
        side = {"anniversary": "upcoming", "past_anniversary": "past"}.get(self.op)
        if side and (self.duration % timedelta(days=1) or self.duration > timedelta(days=365)):
            raise InputError(
                f"anniversary({side}={self.duration}): whole days from 1 to 365 are needed.",
                argument=side,
                code="wrong_value",
            )


@attrs.frozen(eq=False, repr=False)
class InPeriod(Expression):
    """Whether a date or an instant lies in a calendar period of the base's time zone; unknown where `arg` is.

    The period is the day, week (from Monday), month, quarter or year that contains as_of, moved by `offset` units: for
    months, 0 is this month, -1 last month, 1 next month. With `yearly`, the year of `arg` does not matter: its month
    and day have to return within the period, as for anniversaries (29 February on 28 February in years without one).
    """

    op: ClassVar[str] = "in_period"
    arg: Expression
    unit: str = attrs.field(validator=lambda _, __, v: _checked(one_of("unit", v, PERIODS)))
    offset: int = attrs.field(default=0, validator=lambda _, __, v: _checked(whole("offset", v, low=-1200, high=1200)))
    yearly: bool = attrs.field(default=False, validator=lambda _, __, v: flag("yearly", v))


# Sets of people, and logic


@attrs.frozen(eq=False, repr=False)
class Everyone(Expression):
    """True for every customer."""

    op: ClassVar[str] = "everyone"


@attrs.frozen(eq=False, repr=False)
class Ids(Expression):
    """Whether the customer's id is one of the values (all integers or all texts, sorted, each once); never unknown."""

    op: ClassVar[str] = "ids"
    values: tuple[int, ...] | tuple[str, ...]


@attrs.frozen(eq=False, repr=False)
class Sample(Expression):
    """A stable share of customers: ``hash_buckets(id, salt) < buckets``, percent * 100 of 10,000; never unknown.

    Another salt draws another sample that is practically independent. A 10 % sample is part of the 20 % sample with the
    same salt.
    """

    op: ClassVar[str] = "sample"
    percent: float = attrs.field(validator=lambda _, __, v: _checked(number("percent", v, low=0, high=100)))
    salt: str = attrs.field(validator=lambda _, __, v: _named("salt", v))

    @property
    def buckets(self) -> float:
        """How many of the 10,000 buckets are in the sample; rounded, so that 0.07 % is 7 and not slightly more."""
        return round(self.percent * 100, 6)


@attrs.frozen(eq=False, repr=False)
class SegmentRef(Expression):
    """The rule of another segment of the same `SegmentSet`, by name; unknown where that rule is."""

    op: ClassVar[str] = "segment"
    name: str = attrs.field(validator=lambda _, __, v: _named("segment", v))


@attrs.frozen(eq=False, repr=False)
class Not(Expression):
    """True where `arg` is false, false where it is true, unknown where it is unknown."""

    op: ClassVar[str] = "not"
    arg: Expression


@attrs.frozen(eq=False, repr=False)
class And(Expression):
    """False where any argument is false, else unknown where any is unknown, else true; never directly in an `And`."""

    op: ClassVar[str] = "and"
    args: tuple[Expression, ...]


@attrs.frozen(eq=False, repr=False)
class Or(Expression):
    """True where any argument is true, else unknown where any is unknown, else false. Never directly inside an `Or`."""

    op: ClassVar[str] = "or"
    args: tuple[Expression, ...]


@attrs.frozen(eq=False, repr=False)
class AtLeast(Expression):
    """True where n or more arguments are true; false where n cannot be reached even if every unknown one were true."""

    op: ClassVar[str] = "at_least"
    n: int
    args: tuple[Expression, ...]

    def __attrs_post_init__(self) -> None:
        """Check that n can be reached."""
        whole("n", self.n, low=1, high=len(self.args))


_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
EVENT_NODES = (
    Prop, Clock, Literal, Fill, Arithmetic, Compare, Between, IsIn, IsNull, IsEmpty, Matches, Not, And, Or, AtLeast,
)  # fmt: skip
"""The nodes of which a predicate over the properties of one event may be made; it does not depend on as_of."""


def _named(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise InputError(f"{what}({shown(value)}): a name is needed.", argument="name", code="wrong_type")
    plain_text(what, value)


def _checked(_: object) -> None:
    """Let a check that returns its value serve as a validator."""
