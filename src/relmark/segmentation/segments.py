"""A segment: a name and a rule, evaluated for all customers or for one, and stored as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import attrs

from relmark.core.as_of import AsOfGiven
from relmark.core.base import CustomerBase
from relmark.core.checks import shown, text
from relmark.core.documents import Definition, JsonBody, Limits, check_keys
from relmark.core.errors import DefinitionError, InputError
from relmark.core.events import Customer, Event, Message, Purchase, Visit
from relmark.core.problems import Problem
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.time import Instant
from relmark.expressions.checked import UNKNOWN_WITHOUT_SCHEMA
from relmark.expressions.evaluate import base_scope
from relmark.expressions.explain import Explanation, explain_in_base, explain_one
from relmark.expressions.history import CustomerHistory
from relmark.expressions.kinds import check_on_data, rule_problems
from relmark.expressions.literals import plain_text
from relmark.expressions.needs import Needs
from relmark.expressions.operators import Expression
from relmark.expressions.stored import read
from relmark.expressions.walk import check_depth, repeated
from relmark.expressions.words import words_of
from relmark.segmentation.by_clause import ClauseCounts, clause_counts
from relmark.segmentation.check import Checked, check_segment
from relmark.segmentation.diff import SegmentDiff, diff
from relmark.segmentation.json_schema import segment_definitions, segment_shape
from relmark.segmentation.members import SegmentMembers, members

__all__ = ["Segment"]

_FOR_LATER = UNKNOWN_WITHOUT_SCHEMA | {"unknown_segment"}


def _rule(instance: object, attribute: attrs.Attribute[Expression], value: Any) -> None:  # noqa: ARG001
    if not isinstance(value, Expression):
        events = type(value).__name__ == "Selection"
        hint = "add .exists() or .count(...) >= 1 to the events" if events else "compare it with something"
        raise InputError(
            f"rule is {shown(value)}: a rule is needed, such as field('age') >= 18; {hint}.",
            argument="rule",
            code="wrong_type",
        )
    check_depth(value)
    for problem in rule_problems(value, Schema(), path="$.rule"):
        if problem.code not in _FOR_LATER:
            raise problem.error()


@attrs.frozen(eq=False)
class Segment(Definition):
    """A named rule over customers' fields and events that decides who is a member.

    Parameters
    ----------
    name : str
        The name that people see; it is not part of the fingerprint.
    rule : Expression
        What has to be true of a member.
    description : str
        What the segment is for.

    Examples
    --------
    >>> from relmark import CustomerBase, EventLog, Purchase, days, event
    >>> log = EventLog.from_events([Purchase(1, "2026-01-05T12:00Z", 20), Purchase(1, "2026-01-09T12:00Z", 30),
    ...                             Purchase(2, "2026-01-06T12:00Z", 10)])
    >>> twice = Segment("came back", event("purchase").count(within=days(30)) >= 2)
    >>> found = twice.evaluate(CustomerBase(events=log), as_of="2026-01-31")
    >>> found.ids.tolist(), found.size, found.share
    ([1], 1, 0.5)
    >>> Segment.from_json(twice.to_json()).fingerprint == twice.fingerprint
    True
    """

    kind: ClassVar[str] = "segment"

    name: str = attrs.field(validator=lambda _, __, value: _named(value))
    rule: Expression = attrs.field(validator=_rule)
    description: str = attrs.field(default="", kw_only=True, validator=lambda _, __, value: _described(value))

    # All customers

    def evaluate(self, base: CustomerBase, *, as_of: AsOfGiven) -> SegmentMembers:
        """Return which customers of a base are members at an instant.

        Parameters
        ----------
        base : CustomerBase
            Customers and events.
        as_of : instant, or array_like of instants, shape (n,)
            The instant of the evaluation; events after it are not seen. Give one for all customers, or one per
            customer, aligned with ``base.customer_id``.

        Returns
        -------
        SegmentMembers
            `.mask` aligned with ``base.customer_id``, `.ids`, `.size`, `.share`, `.unknown`.

        Raises
        ------
        MissingColumnError
            The rule asks for a field that the customers do not have.
        DefinitionError
            The rule does not fit the data: it compares a number with a text, for example.
        """
        check_on_data(self.rule, base, rule=True, path="$.rule", segments=())
        scope = base_scope(base, base.as_of(as_of), keep=repeated((self.rule,)))
        return members(self.name, self.rule, scope, self.fingerprint)

    def by_clause(
        self, base: CustomerBase, *, as_of: AsOfGiven, phrases: Mapping[str, Any] | None = None
    ) -> ClauseCounts:
        """Return how many customers are left after each clause of the rule, and how many only that clause excludes.

        Clauses are written in Python, or in words if `phrases` are given, such as `ENGLISH` or `RUSSIAN`.
        """
        check_on_data(self.rule, base, rule=True, path="$.rule", segments=())
        scope = base_scope(base, base.as_of(as_of), keep=repeated((self.rule,)))
        return clause_counts(self.name, self.rule, scope, phrases)

    @staticmethod
    def diff(before: SegmentMembers, after: SegmentMembers) -> SegmentDiff:
        """Return who entered and who left between two evaluations of a segment, and because of which clause."""
        return diff(before, after)

    # One person

    def one(
        self,
        customer: Customer | CustomerHistory | None,
        events: Iterable[Event | Purchase | Message | Visit] | None = None,
        *,
        as_of: Instant,
        tz: str | None = None,
    ) -> Explanation:
        """Return whether one person is a member, why, and when that changes if nothing else happens.

        Parameters
        ----------
        customer : Customer, CustomerHistory or None
            The person's attributes; None if nothing is known. A `CustomerHistory` also holds the events, and is read
            once for many evaluations.
        events : iterable of Event
            What the person did, in any order; leave it out if `customer` is a `CustomerHistory`.
        as_of : instant
            The instant of the evaluation; events after it are not seen.
        tz : str, optional
            The time zone of the business; by default that of the history, or UTC.
        """
        return explain_one(self.rule, customer, events, as_of=as_of, tz=tz, name=self.name)

    def explain(self, base: CustomerBase, customer_id: int | str, *, as_of: Instant) -> Explanation:
        """Return whether one customer of a base is a member, why, and when that changes, as `one` does."""
        return explain_in_base(self.rule, base, customer_id, as_of=as_of, name=self.name)

    # Definitions

    def to_words(self, phrases: Mapping[str, Any] | None = None) -> str:
        """Return the rule in words, in English or in the language of a mapping of phrases, such as `RUSSIAN`."""
        return words_of(self.rule, phrases, rule=True)

    def needs(self) -> Needs:
        """Return what the rule needs: fields, events with their properties, and how far back it looks.

        Examples
        --------
        >>> from relmark import days, event
        >>> Segment("lively", event("visit").exists(within=days(7))).needs()
        Needs(fields=(), events={'visit': ()}, horizon=7 days)
        """
        return self.rule.needs()

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return every part of the rule that does not fit a schema, with its JSON path; () if all parts fit."""
        return rule_problems(self.rule, schema, path="$.rule", segments=())

    @classmethod
    def check(cls, body: JsonBody, schema: Schema | None = None, limits: Limits | None = None) -> Checked:
        """Return the segment that a definition from outside describes, or None with every problem at once.

        Parameters
        ----------
        body : str, bytes or mapping
            The definition as JSON text, or as the object parsed from it.
        schema : Schema, optional
            The fields and events that exist; without it, names are not checked.
        limits : Limits, optional
            How large the definition may be.
        """
        return check_segment(cls, body, schema, limits)

    @classmethod
    def _shape(cls, limits: Limits) -> tuple[dict[str, Shape], tuple[str, ...]]:
        return segment_shape(limits)

    @classmethod
    def _definitions(cls, limits: Limits) -> dict[str, Shape]:
        return segment_definitions(limits)

    def _body(self) -> dict[str, Any]:
        described = {"description": self.description} if self.description else {}
        return {"name": self.name, **described, "rule": self.rule.to_dict()}

    @classmethod
    def _from_body(cls, body: dict[str, Any], limits: Limits) -> Self:
        check_keys(body, required=("name", "rule"), optional=("description",), what="segment")
        for key in ("name", "description"):
            value = body.get(key, "x")
            if not isinstance(value, str) or (key == "name" and not value):
                needed = "a string that is not empty" if key == "name" else "a string"
                message = f"{key} is {shown(value)}: {needed} is needed."
                raise DefinitionError(message, path=f"$.{key}", code="wrong_type")
        return cls(body["name"], read(body["rule"], limits, "$.rule"), description=body.get("description", ""))

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the rule: equal for segments with the same rule, whatever their names."""
        return self.rule.fingerprint

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segment) and self._body() == other._body()

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint))

    def __str__(self) -> str:
        return f"{self.name}: {self.rule.to_text()}"


def _described(value: Any) -> None:
    plain_text("description", text("description", value, empty=True))


def _named(value: Any) -> None:
    plain_text("name", text("name", value))
