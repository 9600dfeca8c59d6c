"""Why somebody is in a segment or not: a verdict for each part of the rule, and when the answer changes.

`explain_one` takes a customer and their events, `explain_in_base` takes a customer of a base; both return an
`Explanation`. Its `member` is known at once; the tree of reasons and `next_change` are computed when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.results import Result, json_ready
from relmark.core.time import Instant, aware
from relmark.expressions.explain_parts import Change, Verdict
from relmark.expressions.explain_tree import explained, reason_at
from relmark.expressions.explain_words import change_words, tree_lines, when
from relmark.expressions.history import CustomerHistory, person_of
from relmark.expressions.kinds import check_on_data
from relmark.expressions.operators import Expression
from relmark.expressions.scalar import Person, Program, program_of
from relmark.expressions.scalar_calendar import Dated
from relmark.expressions.scalar_person import given_time

if TYPE_CHECKING:
    from relmark.core.base import CustomerBase

__all__ = ["Explanation", "explain_in_base", "explain_one", "explain_person"]


def explain_one(
    rule: Expression,
    customer: Customer | CustomerHistory | None,
    events: Iterable[Event | Purchase | Message | Visit] | None = None,
    *,
    as_of: Instant,
    tz: str | None = None,
    name: str = "",
    segments: Mapping[str, Expression] | None = None,
) -> Explanation:
    """Return whether a rule is true for one person, why, and when that changes if nothing else happens.

    Parameters
    ----------
    rule : Expression
        The rule.
    customer : Customer, CustomerHistory or None
        The person. With None nothing is known about them, and every field is unknown. A history contains the events.
    events : iterable of Event
        The person's events, in any order; not to be given together with a history.
    as_of : instant
        The time of the question; later events are not seen.
    tz : str, optional
        The time zone of the business; by default that of the history, or UTC.
    name : str
        The name of the rule, for the printed explanation.
    segments : mapping of str to Expression, optional
        The rules for which ``segment("name")`` stands, by name.

    Examples
    --------
    >>> from relmark.core.time import days
    >>> from relmark.expressions.builders import event
    >>> one = explain_one(event("purchase").count(within=days(30)) >= 2, None,
    ...                   [Purchase("c17", "2026-11-02T12:00Z", 20.0)], as_of="2026-11-09")
    >>> one.member, one.next_change
    (False, None)
    >>> print(one)
    c17 is not a member on 2026-11-09; never changes if nothing else happens
      no      event("purchase").count(within=days(30)) >= 2: is 1; needs 1 more purchase before 2026-12-02 12:00
                purchase 2026-11-02 12:00 20
    """
    person, zone = person_of(customer, events, as_of=as_of, tz=tz)
    return explain_person(program_of(rule, zone, segments=segments), person, name)


def explain_person(program: Program, person: Person, name: str = "") -> Explanation:
    """Explain a compiled rule for a person, as `explain_one` does; several rules can share one person."""
    return Explanation(name=name, verdict=program.verdict(person), program=program, person=person)


def explain_in_base(
    rule: Expression,
    base: CustomerBase,
    customer_id: int | str,
    *,
    as_of: Instant,
    name: str = "",
    segments: Mapping[str, Expression] | None = None,
) -> Explanation:
    """Explain a rule for one customer of a base, as `explain_one` does, without reading the events of others."""
    check_on_data(rule, base, rule=True, segments=None if segments is None else segments.keys())
    person = Person.from_base(base, customer_id, as_of=as_of)
    return explain_person(program_of(rule, base.tz_of(customer_id), segments=segments), person, name)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Explanation(Result):
    """The result of a rule for one person, with its reasons.

    Attributes
    ----------
    name : str
        The name of the rule.
    verdict : bool or None
        Whether the rule is true; None means unknown.
    """

    name: str
    verdict: bool | None
    _program: Program
    _person: Person

    def __attrs_post_init__(self) -> None:
        """Skip the checks of other results: this one has no arrays and has to be created fast."""

    @property
    def member(self) -> bool:
        """Whether the person is a member, which means that the rule is true; unknown is not a member."""
        return self.verdict is True

    @property
    def customer_id(self) -> int | str | None:
        """The id of the person; None if neither a customer nor an event was given."""
        return self._person.id

    @property
    def as_of(self) -> np.datetime64:
        """The time of the question: a date, or an instant in UTC."""
        return given_time(self._person.as_of, self._program.zone)

    @cached_property
    def _next(self) -> int | None:
        return self._program.next_change(self._person)

    @property
    def next_change(self) -> datetime | None:
        """When the person becomes a member, or stops being one, if nothing else happens; None means never.

        It is in UTC, so that it can be compared with the current time, and is printed in the time zone of the business.
        Changes more than a hundred years ahead count as never.
        """
        return None if self._next is None else aware(self._next)

    @cached_property
    def tree(self) -> Verdict:
        """The verdict of each part of the rule."""
        return explained(self._program, self._person)

    @cached_property
    def change(self) -> Change | None:
        """Why the answer changes at `next_change`: the change of the first part of the rule that is different then."""
        at = self._next
        return None if at is None else reason_at(self._program, self._person, at)

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields and figures of the rule that are unknown."""
        names: dict[str, None] = {}
        stack = [self.tree]
        while stack:
            node = stack.pop()
            names |= dict.fromkeys(node.missing)
            stack += reversed(node.args)
        return tuple(names)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer and its reasons as JSON-ready values, both as codes and in words."""
        return json_ready(  # type: ignore[no-any-return]
            {
                "name": self.name,
                "customer_id": self.customer_id,
                "as_of": self.as_of,
                "member": self.member,
                "verdict": self.verdict,
                "next_change": self.next_change,
                "change": self.change,
                "missing": self.missing,
                "tree": self.tree,
                "words": str(self),
            }
        )

    @property
    def _asked(self) -> str:
        at = self._person.as_of
        return str(self.as_of) if at.__class__ is Dated else self._when(aware(at))

    def _when(self, at: datetime) -> str:
        return when(at, self._program.tz)

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"name": self.name} if self.name else {}
        facts |= {"customer_id": self.customer_id, "as_of": self._asked, "member": self.member}
        return facts | {"next_change": "never" if self.next_change is None else self._when(self.next_change)}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value!r}" for name, value in self._facts().items())
        return f"Explanation({facts})"

    def __str__(self) -> str:
        who = "this person" if self.customer_id is None else str(self.customer_id)
        title = f"{self.name}: {who}" if self.name else who
        verdict = {True: "is a member", False: "is not a member", None: "is not a member, because a value is missing,"}
        return "\n".join(
            [f"{title} {verdict[self.verdict]} on {self._asked}; {self._future()}", *tree_lines(self.tree)]
        )

    def _future(self) -> str:
        if self.next_change is None:
            return "never changes if nothing else happens"
        verb = "leaves" if self.member else "joins"
        reason = self._when(self.next_change) if self.change is None else change_words(self.change)
        return f"{verb} on {reason}"

    def _table(self) -> dict[str, Any]:
        columns: dict[str, list[str]] = {"verdict": [], "rule": []}
        for line in tree_lines(self.tree, 0):
            stripped = line.lstrip()
            mark = stripped.split(" ", 1)[0]
            known = mark in {"yes", "no", "unknown"}
            columns["verdict"].append(mark if known else "")
            columns["rule"].append(stripped.split(" ", 1)[1].strip() if known else stripped)
        return columns
