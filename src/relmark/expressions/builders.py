"""The functions that begin a rule: `field`, `event`, `prop`, `sequence`, `sample`, `ids`, `everyone`, `all_of`, ..."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import numpy as np

from relmark.core.checks import flag, shown, whole
from relmark.core.errors import InputError
from relmark.core.spans import Span
from relmark.expressions import nodes
from relmark.expressions.literals import sorted_values
from relmark.expressions.operators import Expression, _flat
from relmark.expressions.selection import Selection

__all__ = [
    "all_of",
    "any_of",
    "at_least",
    "event",
    "everyone",
    "field",
    "hour_of_day",
    "ids",
    "none_of",
    "now",
    "prop",
    "sample",
    "segment",
    "sequence",
    "stage",
    "weekday",
]


def field(name: str) -> Expression:
    """Return a field of the customer: a column of the customer table.

    Examples
    --------
    >>> field("age") >= 18
    field("age") >= 18
    """
    return nodes.Field(name)


class _EventWord:
    """Return the events of one or more types; a method then makes a figure of them: `count`, `exists`, `sum`, ...

    Parameters
    ----------
    *types : str
        The event types to use. ``event.any()`` uses the events of every type.
    where : Expression, optional
        A rule over `prop(...)` that each event has to satisfy; an event for which it is unknown does not count.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> event("purchase", where=prop("sku") == "a").count(within=days(30)) >= 2
    event("purchase", where=prop("sku") == "a").count(within=days(30)) >= 2
    """

    __slots__ = ()

    def __call__(self, *types: str, where: Expression | None = None) -> Selection:
        return Selection(types, where)

    @staticmethod
    def any(*, where: Expression | None = None) -> Selection:
        """Return the events of every type.

        Examples
        --------
        >>> event.any().days_since_last() > 180
        event.any().days_since_last() > 180
        """
        return Selection((), where, any_type=True)

    def __repr__(self) -> str:
        return "event"


event = _EventWord()
"""The events of one or more types; ``event.any()`` stands for those of every type."""


def prop(name: str) -> Expression:
    """Return a property of an event, for use in `where=`; "value" is the event's value, "type" the name of its type."""
    return nodes.Prop(name)


def hour_of_day() -> Expression:
    """Return the hour of the local time, 0 to 23: of an event inside `where=`, else of `as_of`.

    Examples
    --------
    >>> event("visit", where=hour_of_day() >= 18).count()
    event("visit", where=hour_of_day() >= 18).count()
    """
    return nodes.Clock("hour_of_day")


def weekday() -> Expression:
    """Return the local day of the week, 1 for Monday to 7 for Sunday: of an event inside `where=`, else of `as_of`.

    Examples
    --------
    >>> weekday().is_in([6, 7])
    weekday().is_in([6, 7])
    """
    return nodes.Clock("weekday")


class _NowWord:
    """The local time of `as_of`."""

    __slots__ = ()

    @staticmethod
    def hour() -> Expression:
        """Return the hour of the local time, 0 to 23.

        Examples
        --------
        >>> now.hour().between(9, 20)
        hour_of_day().between(9, 20)
        """
        return hour_of_day()

    @staticmethod
    def weekday() -> Expression:
        """Return the local day of the week, 1 for Monday to 7 for Sunday."""
        return weekday()

    def __repr__(self) -> str:
        return "now"


now = _NowWord()
"""The local time of `as_of`: ``now.hour()`` and ``now.weekday()``; for use outside of `where=`."""


def sequence(
    steps: Iterable[Selection],
    *,
    within: timedelta | None = None,
    strict: bool = False,
    exclude: Iterable[Selection] = (),
    apart: timedelta | None = None,
    recent: Span | None = None,
    same: str | None = None,
) -> Expression:
    """Return whether the customer did the steps in order, each strictly later than the one before.

    Parameters
    ----------
    steps : iterable of Selection
        Two or more steps.
    within : timedelta, optional
        The longest time from the first step to the last.
    strict : bool
        Whether no other event of any type may lie between two steps.
    exclude : iterable of Selection
        Events that may not lie between the first step and the last.
    apart : timedelta, optional
        The shortest time between a step and the next.
    recent : timedelta, calendar_days or months, optional
        How long ago the last step may have been.
    same : str, optional
        A property that all steps share, such as the order. The sequence is then looked for among the events with each
        of its values separately, which applies to excluded events too; events without the property do not count.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> sequence([event("cart"), event("purchase")], within=days(7))
    sequence([event("cart"), event("purchase")], within=days(7))
    """
    flag("strict", strict)
    return nodes.Sequence(
        _selections("steps", steps), within, strict, _selections("exclude", exclude), apart, recent, same
    )


def stage(steps: Mapping[str, Selection], *, within: timedelta | None = None) -> nodes.Stage:
    """Return the stage of the customer: the name of the furthest of some steps that they reached in order.

    Parameters
    ----------
    steps : mapping of str to Selection
        Two or more steps in order; each is reached strictly later than the one before.
    within : timedelta, optional
        The longest time from the first step to any other, including its end.

    Returns
    -------
    Expression
        A text, unknown for customers who have not done the first step. ``.entered()`` is the instant at which they
        reached the stage, and ``.days()`` is how many days ago that was.

    Examples
    --------
    >>> steps = stage({"lead": event("lead"), "demo": event("demo"), "won": event("won")})
    >>> (steps == "demo") & (steps.days() > 14)
    (stage({"lead": event("lead"), "demo": event("demo"), "won": event("won")}) == "demo") & \
(stage({"lead": event("lead"), "demo": event("demo"), "won": event("won")}).days() > 14)
    """
    if not isinstance(steps, Mapping):
        raise InputError(
            f"stage({shown(steps)}): a mapping is needed, such as {{'lead': event('lead'), ...}}.",
            argument="stage",
            code="wrong_type",
        )
    return nodes.Stage("stage", tuple(steps), _selections("stage", list(steps.values())), within)


def _selections(name: str, values: Iterable[Selection]) -> tuple[Selection, ...]:
    given = (values,) if isinstance(values, Selection) else tuple(values)
    for value in given:
        if not isinstance(value, Selection):
            raise InputError(
                f"{name} has {shown(value)}: events are needed, such as event('purchase').",
                argument=name,
                code="wrong_type",
            )
    return given


def sample(percent: float, *, salt: str) -> Expression:
    """Return whether the customer is in a stable random share of customers, drawn by a hash of the id and the salt.

    Examples
    --------
    >>> sample(10, salt="spring")
    sample(10, salt="spring")
    """
    nodes.Sample(percent, salt)
    value = float(percent)
    return nodes.Sample(int(value) if value == int(value) else value, salt)


def ids(values: Iterable[int | str]) -> Expression:
    """Return whether the customer's id is one of a list."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    plain = sorted_values(values, "ids")
    if any(isinstance(value, bool) or not isinstance(value, (int, str)) for value in plain):
        raise InputError(f"ids has {shown(plain[0])}: integers or texts are needed.", argument="ids", code="wrong_type")
    return nodes.Ids(plain)  # type: ignore[arg-type]


everyone: Expression = nodes.Everyone()


def segment(name: str) -> Expression:
    """Return the rule of another segment of the same `SegmentSet`, by its name."""
    return nodes.SegmentRef(name)


def all_of(*rules: Expression) -> Expression:
    """Return whether all rules are true, like `&`."""
    flat = _flat(nodes.And, *_rules("all_of", rules))
    return flat[0] if len(flat) == 1 else nodes.And(flat)


def any_of(*rules: Expression) -> Expression:
    """Return whether at least one rule is true, like `|`."""
    flat = _flat(nodes.Or, *_rules("any_of", rules))
    return flat[0] if len(flat) == 1 else nodes.Or(flat)


def none_of(*rules: Expression) -> Expression:
    """Return whether no rule is true: ``~any_of(...)``."""
    return nodes.Not(any_of(*rules))


def at_least(n: int, *rules: Expression) -> Expression:
    """Return whether n or more of the rules are true.

    Examples
    --------
    >>> at_least(2, field("email").not_null(), field("phone").not_null(), event("visit").exists())
    at_least(2, ~field("email").is_null(), ~field("phone").is_null(), event("visit").exists())
    """
    return nodes.AtLeast(whole("n", n), tuple(_rules("at_least", rules)))


def _rules(name: str, rules: Iterable[Expression]) -> tuple[Expression, ...]:
    given = tuple(rules)
    if len(given) == 1 and isinstance(given[0], (list, tuple)):
        given = tuple(given[0])
    if not given:
        raise InputError(f"{name}() has no rules: give at least one.", argument=name, code="empty")
    for rule in given:
        if not isinstance(rule, Expression):
            raise InputError(
                f"{name} has {shown(rule)}: rules are needed, such as field('age') >= 18.",
                argument=name,
                code="wrong_type",
            )
    return given
