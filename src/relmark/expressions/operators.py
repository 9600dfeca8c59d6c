"""The operators and methods of expressions: comparisons, arithmetic, logic, tests of text, tags and dates, and forms.

Every method returns a new node; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from relmark.core.checks import flag, shown
from relmark.core.documents import Json, Limits, canonical, parse_json
from relmark.core.documents import fingerprint as sha256
from relmark.core.errors import InputError
from relmark.core.time import Instant
from relmark.expressions import nodes
from relmark.expressions.literals import (
    LiteralValue,
    literal_kind,
    literal_value,
    moment_hint,
    moment_value,
    sorted_values,
    words,
)

if TYPE_CHECKING:
    from relmark.core.as_of import AsOfGiven
    from relmark.core.base import CustomerBase
    from relmark.core.columns import Column
    from relmark.core.problems import Problem
    from relmark.core.schema import Schema
    from relmark.expressions.needs import Needs

__all__ = ["Expression", "as_expression"]


class Expression:
    """One value per customer at an instant: number, boolean, text, date, instant or set of tags, or unknown.

    Compare with ``== != < <= > >=``, combine with ``& | ~``, calculate with ``+ - * /``. A boolean expression is a
    rule.
    """

    __slots__ = ("_fingerprint", "_programs")
    _fingerprint: str
    _programs: dict[str, Any]
    __array_ufunc__ = None  # so that with a numpy scalar on the left, the operator of this class is used

    # Comparisons

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return nodes.Compare("eq", self, as_expression(other))

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return nodes.Compare("ne", self, as_expression(other))

    def __lt__(self, other: object) -> Expression:
        return nodes.Compare("lt", self, as_expression(other))

    def __le__(self, other: object) -> Expression:
        return nodes.Compare("le", self, as_expression(other))

    def __gt__(self, other: object) -> Expression:
        return nodes.Compare("gt", self, as_expression(other))

    def __ge__(self, other: object) -> Expression:
        return nodes.Compare("ge", self, as_expression(other))

    __hash__ = object.__hash__

    def between(self, low: LiteralValue, high: LiteralValue) -> Expression:
        """Return whether the value lies between two plain values, both ends included."""
        ends = literal_value(low, "low"), literal_value(high, "high")
        kinds = [literal_kind(end) for end in ends]
        if kinds[0] != kinds[1] or kinds[0] in {"text", "boolean"}:
            raise InputError(
                f"between({shown(low)}, {shown(high)}): two numbers, two dates or two instants are needed.",
                argument="low",
                code="wrong_type",
                hint=moment_hint(low) if kinds[0] == "text" else "",
            )
        if ends[0] > ends[1]:  # type: ignore[operator]
            raise InputError(
                f"between({shown(low)}, {shown(high)}): low is above high, so no value lies between them.",
                argument="low",
                code="conflicting_arguments",
            )
        return nodes.Between(self, nodes.Literal(ends[0]), nodes.Literal(ends[1]))

    def is_in(self, values: Iterable[Any]) -> Expression:
        """Return whether the value is one of several plain values of one kind."""
        return nodes.IsIn(self, sorted_values(values))

    def not_in(self, values: Iterable[Any]) -> Expression:
        """Return whether the value is known and is not one of several plain values: ``~is_in(values)``."""
        return nodes.Not(self.is_in(values))

    def is_null(self) -> Expression:
        """Return whether the value is missing."""
        return nodes.IsNull(self)

    def not_null(self) -> Expression:
        """Return whether the value is known: ``~is_null()``."""
        return nodes.Not(nodes.IsNull(self))

    def fill(self, value: LiteralValue) -> Expression:
        """Return the value, or a given plain value where it is missing."""
        return nodes.Fill(self, nodes.Literal(literal_value(value)))

    # Text and tags

    def is_empty(self) -> Expression:
        """Return whether the set of tags has no members, or the text has no characters; unknown if it is missing."""
        return nodes.IsEmpty(self)

    def contains(self, value: str, *, casefold: bool = False) -> Expression:
        """Return whether the text contains another text, or the set of tags has a tag."""
        return self._matches("contains", (value,), casefold)

    def startswith(self, value: str, *, casefold: bool = False) -> Expression:
        """Return whether the text begins with another text."""
        return self._matches("startswith", (value,), casefold)

    def endswith(self, value: str, *, casefold: bool = False) -> Expression:
        """Return whether the text ends with another text."""
        return self._matches("endswith", (value,), casefold)

    def like(self, pattern: str, *, casefold: bool = False) -> Expression:
        """Return whether the whole text matches a pattern: `*` is any run of characters, `?` is exactly one."""
        return self._matches("like", (pattern,), casefold)

    def has_word(self, values: str | Iterable[str], *, casefold: bool = False) -> Expression:
        """Return whether one of the values occurs in the text as whole words: 'VP' does not occur in 'MVP'."""
        return self._matches("has_word", values, casefold)

    def contains_any(self, values: str | Iterable[str], *, casefold: bool = False) -> Expression:
        """Return whether the text contains at least one of the values, or the set of tags has at least one of them."""
        return self._matches("contains_any", values, casefold)

    def contains_all(self, values: str | Iterable[str], *, casefold: bool = False) -> Expression:
        """Return whether the text contains all of the values, or the set of tags has all of them."""
        return self._matches("contains_all", values, casefold)

    def contains_none(self, values: str | Iterable[str], *, casefold: bool = False) -> Expression:
        """Return whether the text is known and contains none of the values, or the set of tags has none of them."""
        return self._matches("contains_none", values, casefold)

    def _matches(self, op: str, values: str | Iterable[str], casefold: bool) -> Expression:
        flag("casefold", casefold)
        return nodes.Matches(op, self, words(values, f"{op}()"), casefold)

    # Dates

    def before(self, when: Instant) -> Expression:
        """Return whether the date or instant is strictly before another."""
        return nodes.Compare("lt", self, nodes.Literal(moment_value(when, "before()")))

    def after(self, when: Instant) -> Expression:
        """Return whether the date or instant is strictly after another."""
        return nodes.Compare("gt", self, nodes.Literal(moment_value(when, "after()")))

    def within(self, duration: timedelta) -> Expression:
        """Return whether the date or instant lies in (as_of - duration, as_of]."""
        return nodes.DateWindow("within", self, duration)

    def older_than(self, duration: timedelta) -> Expression:
        """Return whether the date or instant is at or before as_of - duration."""
        return nodes.DateWindow("older_than", self, duration)

    def upcoming(self, duration: timedelta) -> Expression:
        """Return whether the date is today or on one of the next days, or the instant is after as_of, in a duration."""
        return nodes.DateWindow("upcoming", self, duration)

    def anniversary(self, upcoming: timedelta | None = None, *, past: timedelta | None = None) -> Expression:
        """Return whether the month and day, such as of a birthday, return within some days, or did within past days.

        Give either `upcoming` or `past`, in whole days; today counts as one of the days in both.
        """
        if (upcoming is None) == (past is None):
            raise InputError(
                "anniversary() takes one of upcoming= and past=, such as anniversary(past=days(7)).",
                argument="upcoming",
                code="conflicting_arguments",
            )
        if past is not None:
            return nodes.DateWindow("past_anniversary", self, past)
        assert upcoming is not None
        return nodes.DateWindow("anniversary", self, upcoming)

    def in_period(self, unit: str, offset: int = 0, *, yearly: bool = False) -> Expression:
        """Return whether it lies in this calendar day, week, month, quarter or year; offset -1 is the one before.

        With `yearly`, the year does not matter: ``field("birthday").in_period("month", yearly=True)`` is true for
        customers whose birthday is in this month.
        """
        return nodes.InPeriod(self, unit, offset, yearly)

    def age(self) -> Expression:
        """Return the completed years since a date, such as a birthday."""
        return nodes.Age(self)

    # Arithmetic

    def __add__(self, other: object) -> Expression:
        return nodes.Arithmetic("add", self, as_expression(other))

    def __radd__(self, other: object) -> Expression:
        return nodes.Arithmetic("add", as_expression(other), self)

    def __sub__(self, other: object) -> Expression:
        return nodes.Arithmetic("sub", self, as_expression(other))

    def __rsub__(self, other: object) -> Expression:
        return nodes.Arithmetic("sub", as_expression(other), self)

    def __mul__(self, other: object) -> Expression:
        return nodes.Arithmetic("mul", self, as_expression(other))

    def __rmul__(self, other: object) -> Expression:
        return nodes.Arithmetic("mul", as_expression(other), self)

    def __truediv__(self, other: object) -> Expression:
        return nodes.Arithmetic("div", self, as_expression(other))

    def __rtruediv__(self, other: object) -> Expression:
        return nodes.Arithmetic("div", as_expression(other), self)

    def __neg__(self) -> Expression:
        return nodes.Arithmetic("mul", self, nodes.Literal(-1))

    # Logic

    def __and__(self, other: object) -> Expression:
        return nodes.And(_flat(nodes.And, self, _rule(other, "&")))

    def __or__(self, other: object) -> Expression:
        return nodes.Or(_flat(nodes.Or, self, _rule(other, "|")))

    def __rand__(self, other: object) -> Expression:
        return _rule(other, "&") & self

    def __ror__(self, other: object) -> Expression:
        return _rule(other, "|") | self

    def __invert__(self) -> Expression:
        return nodes.Not(self)

    def __bool__(self) -> NoReturn:
        raise InputError(
            f"{self!r} is a rule, which is true or false only for a customer.",
            argument="low",
            code="not_value",
            hint=(
                "Combine rules with & | ~ and put each comparison in "
                "parentheses, instead of and, or, not; instead of low <= x <= high write x.between(low, high)."
            ),
        )

    def __contains__(self, item: object) -> NoReturn:
        raise InputError(
            f"{item!r} in {self!r} is not a rule: write .contains({item!r}) or .is_in([...]).",
            argument="rule",
            code="not_rule",
        )

    def __iter__(self) -> NoReturn:
        raise InputError(f"{self!r} is a rule and has no items.", argument="rule", code="not_value")

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise InputError(
            f"{self!r} has a number only for a customer and cannot be rounded: compare it with a bound instead.",
            argument="digits",
            code="not_value",
        )

    # Forms

    def __repr__(self) -> str:
        from relmark.expressions.text_writer import expression_text

        text = expression_text(self)
        return text if len(text) <= 200 else text[:197] + "..."

    def to_text(self) -> str:
        """Return the text form, which is the Python spelling; `parse` reads it back."""
        from relmark.expressions.text_writer import expression_text

        return expression_text(self)

    def to_words(self, phrases: Mapping[str, Any] | None = None) -> str:
        """Return the expression in words: in English, or in the language of a mapping of phrases.

        Parameters
        ----------
        phrases : mapping, optional
            Such as `relmark.expressions.phrases.RUSSIAN`, `UKRAINIAN`, or your own; phrases that it lacks are taken
            from English.

        Examples
        --------
        >>> from relmark import days, event, field
        >>> from relmark.expressions.phrases import RUSSIAN
        >>> rule = (field("city") == "Omsk") & (event("purchase").count(within=days(30)) >= 2)
        >>> print(rule.to_words())
        city is "Omsk" and at least 2 "purchase" events in the last 30 days
        >>> print(rule.to_words(RUSSIAN))
        поле «city» равняется «Omsk» и не меньше 2 событий «purchase» за последние 30 дней
        """
        from relmark.expressions.words import words_of

        return words_of(self, phrases)

    def to_dict(self) -> Json:
        """Return the JSON-ready form: a plain value, or an object with its ``op``."""
        from relmark.expressions.stored import written

        return written(self)

    def to_json(self) -> str:
        """Return the canonical JSON text."""
        return canonical(self.to_dict())

    @staticmethod
    def from_dict(body: Mapping[str, Any], limits: Limits | None = None) -> Expression:
        """Read an expression from its JSON-ready form; anything unknown in it is an error that gives the JSON path."""
        from relmark.expressions.stored import read

        return read(body, limits)

    @staticmethod
    def from_json(text: str | bytes, limits: Limits | None = None) -> Expression:
        """Read an expression from JSON text, whose size is checked before it is parsed."""
        return Expression.from_dict(parse_json(text, limits), limits)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the canonical JSON text; it does not depend on the form (Python, text, JSON) of a rule."""
        try:
            return self._fingerprint
        except AttributeError:
            value = sha256(self.to_dict())
            object.__setattr__(self, "_fingerprint", value)
            return value

    # Meaning on data

    def needs(self, segments: Mapping[str, Expression] | None = None) -> Needs:
        """Return the data that the expression needs: fields, events with their properties, and how far back.

        Parameters
        ----------
        segments : mapping of str to Expression, optional
            The rules for which ``segment("name")`` stands, by name.

        Examples
        --------
        >>> from relmark import days, event
        >>> event("purchase").sum(within=days(30)).needs()
        Needs(fields=(), events={'purchase': ()}, horizon=30 days)
        """
        from relmark.expressions.needs import needs_of

        return needs_of(self, segments)

    def problems(self, schema: Schema) -> tuple[Problem, ...]:
        """Return everything in the expression that does not fit a schema, each with its JSON path; () if all fits."""
        from relmark.expressions.kinds import problems

        return problems(self, schema)

    def measure(self, base: CustomerBase, as_of: AsOfGiven, shared: dict[Any, Any] | None = None) -> Column:
        """Return the value for each customer of a base as a `Column` aligned with base.customer_id.

        Parameters
        ----------
        base : CustomerBase
            Customers and events.
        as_of : instant, or one per customer
            The time of the evaluation: no event after it is seen.
        shared : dict, optional
            Pass the same dict, empty at first, to several expressions with the same base and as_of, and their common
            parts are computed only once.
        """
        from relmark.expressions.evaluate import measure

        return measure(self, base, as_of, shared)


def as_expression(value: object) -> Expression:
    """Return an expression as it is, and a plain value as a `Literal`."""
    from relmark.expressions.selection import Selection

    if isinstance(value, Expression):
        return value
    if isinstance(value, Selection):
        raise InputError(
            f"{value!r} selects events and is not a value: call .count(), .sum() or .days_since_last() on it.",
            argument="events",
            code="not_value",
        )
    return nodes.Literal(literal_value(value))


def _rule(value: object, sign: str) -> Expression:
    if isinstance(value, Expression):
        return value
    from relmark.expressions.selection import Selection

    hint = "call .exists() on these events" if isinstance(value, Selection) else "put each comparison in parentheses"
    raise InputError(
        f"{shown(value)} is not a rule, but {sign} combines rules: {hint}.", argument="rule", code="not_rule"
    )


def _flat(kind: type[nodes.And | nodes.Or], *args: Expression) -> tuple[Expression, ...]:
    """Return arguments, with nested nodes of the same kind replaced by their arguments."""
    flat: list[Expression] = []
    for arg in args:
        flat += arg.args if isinstance(arg, kind) else (arg,)
    return tuple(flat)
