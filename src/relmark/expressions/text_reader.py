"""Reads the text form of a rule: a small, non-recursive reader that only calls functions from a fixed list.

The text form is the Python spelling with Python's operator precedence, plus ``and``, ``or`` and ``not``. Nothing is
evaluated as code: a name is looked up in a table of builders, a method in a table of methods, and brackets are a stack
of frames.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attrs

from relmark.core.checks import shown
from relmark.core.documents import Limits, check_nodes
from relmark.core.errors import DefinitionError, InputError, LimitError
from relmark.core.names import did_you_mean
from relmark.core.spans import CalendarSpan, calendar_days, months
from relmark.core.time import aware, days, hours, instant, minutes, parse_duration
from relmark.expressions import builders, nodes
from relmark.expressions.literals import moment_value
from relmark.expressions.operators import Expression, as_expression
from relmark.expressions.periods import period
from relmark.expressions.selection import Selection
from relmark.expressions.tokens import Token, Tokens, place
from relmark.expressions.walk import check_limits

__all__ = ["parse"]

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(builders, name) for name in builders.__all__ if name not in {"everyone", "now"}},
    "days": days,
    "hours": hours,
    "minutes": minutes,
    "calendar_days": calendar_days,
    "months": months,
    "period": period,
    "duration": parse_duration,
    "date": lambda text: moment_value(text[:10] if isinstance(text, str) else text),
    "instant": lambda text: aware(instant(text)),
}
_VALUE_METHODS = frozenset(
    [
        "after",
        "age",
        "anniversary",
        "before",
        "between",
        "contains",
        "contains_all",
        "contains_any",
        "contains_none",
        "endswith",
        "fill",
        "has_word",
        "in_period",
        "is_empty",
        "is_in",
        "is_null",
        "like",
        "not_in",
        "not_null",
        "older_than",
        "startswith",
        "upcoming",
        "within",
    ]
)
_STAGE_METHODS = frozenset(["days", "entered"])
_EVENT_METHODS = frozenset([
    *nodes.AGGREGATES, *nodes.CLOCKS, "first_time", "last_event", "not_followed_by", "regularly", "restarted",
    "stopped",
])  # fmt: skip
_STRENGTH = {"or": 1, "and": 2, "not": 3, "|": 5, "&": 6, "+": 7, "-": 7, "*": 8, "/": 8, "~": 9, "negative": 9}
_COMPARES = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_STRENGTH |= dict.fromkeys(_COMPARES, 4)
_CALCULATES = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_UNARY = {"not", "~", "negative"}
_CLOSING = {"(": ")", "call": ")", "[": "]", "{": "}", "": "end"}


def parse(text: str, limits: Limits | None = None) -> Expression:
    """Read a rule from text, in the Python spelling or with ``and``, ``or`` and ``not``.

    Parameters
    ----------
    text : str
        At most ``limits.bytes`` of UTF-8.
    limits : Limits, optional
        How large it may be.

    Returns
    -------
    Expression
        The rule.

    Raises
    ------
    DefinitionError
        The text is not a valid rule; the error gives the line and column, and the nearest valid name.
    LimitError
        The text is larger or deeper than the limits allow.

    Examples
    --------
    >>> rule = parse('field("age") >= 18 and not event("unsubscribe").exists(within=days(30))')
    >>> rule
    (field("age") >= 18) & ~event("unsubscribe").exists(within=days(30))
    >>> parse(rule.to_text()).fingerprint == rule.fingerprint
    True
    """
    limits = limits or Limits()
    if not isinstance(text, str):
        raise DefinitionError(f"a rule must be a text, not {type(text).__name__}.", code="not_text")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > limits.bytes:
        raise LimitError(f"the text has {size:,} bytes: {limits.bytes:,} are allowed.", code="too_large")
    result = _Reader(text, limits).read()
    if not isinstance(result, Expression):
        what = "selects events" if isinstance(result, Selection) else "is a plain value"
        hint = "Call .exists() or .count() on it." if isinstance(result, Selection) else "Compare something with it."
        raise DefinitionError(f"{shown(result)} {what}, but a rule is needed.", code="not_rule", hint=hint)
    check_limits(result, limits)
    check_nodes(result.to_dict(), limits)
    return result


@attrs.define
class _Frame:
    """An open bracket: its kind, the function before it, and the values and operators read inside so far."""

    kind: str
    start: int
    call: Callable[..., Any] | None = None
    name: str = ""
    values: list[Any] = attrs.field(factory=list)
    signs: list[tuple[str, int]] = attrs.field(factory=list)
    items: list[Any] = attrs.field(factory=list)
    named: dict[str, Any] = attrs.field(factory=dict)
    keyword: str = ""
    keys: int = 0


class _Reader:
    def __init__(self, text: str, limits: Limits) -> None:
        self.text = text
        self.limits = limits
        self.words = Tokens(text, limits)
        self.nodes = 0
        self.frames = [_Frame("", 0)]

    def fail(self, start: int, message: str, hint: str = "", code: str = "syntax") -> DefinitionError:
        return DefinitionError(message, path=place(self.text, start), code=code, hint=hint.strip())

    def read(self) -> Any:
        """Return the value of the whole text."""
        value_expected = True
        while True:
            word = self.words.take()
            if value_expected:
                value_expected = self._value(word)
            elif word.value == "." and word.kind == "sign":
                value_expected = self._method()
            elif word.value in _STRENGTH and word.kind in {"sign", "name"} and word.value not in {"not", "~"}:
                self._sign(str(word.value), word.start)
                value_expected = True
            elif word.kind == "sign" and word.value == ":":
                value_expected = self._key(word)
            elif word.kind == "sign" and word.value == ",":
                value_expected = self._comma(word)
            elif word.kind == "end" or (word.kind == "sign" and word.value in {")", "]", "}"}):
                self._close(word)
                if word.kind == "end":
                    return self.frames[0].values[0]
            else:
                hint = "Combine rules with & or and." if word.kind != "sign" else ""
                raise self.fail(word.start, f"{shown(word.value)} is out of place.", hint)

    # Values

    def _value(self, word: Token) -> bool:
        """Read a word where a value is expected; return whether a value is still expected."""
        frame = self.frames[-1]
        if word.kind in {"number", "string"}:
            return self._push(word.value)
        if word.kind == "name":
            return self._name(str(word.value), word, frame)
        if word.kind == "sign" and word.value in {"~", "-"}:
            self._count(word.start)
            frame.signs.append(("negative" if word.value == "-" else "~", word.start))
            return True
        if word.kind == "sign" and word.value in {"(", "[", "{"}:
            return self._open(_Frame(str(word.value), word.start))
        closes = word.value == _CLOSING[frame.kind] and not frame.signs and not frame.keyword
        if closes and frame.kind != "" and (frame.kind != "(" or frame.items):
            self._finish(frame)
            return False
        raise self.fail(
            word.start, "the rule ends too early." if word.kind == "end" else f"{shown(word.value)} is out of place."
        )

    def _name(self, name: str, word: Token, frame: _Frame) -> bool:
        following = self.words.look()
        if name == "not":
            self._count(word.start)
            frame.signs.append(("not", word.start))
            return True
        if name in {"True", "False", "true", "false"}:
            return self._push(name.lower() == "true")
        if name == "everyone":
            return self._push(builders.everyone)
        if following.value == "=" and following.kind == "sign" and frame.kind == "call" and not frame.values:
            if name in frame.named:
                raise self.fail(word.start, f"{name}= is given twice.")
            self.words.take()
            frame.keyword = name
            return True
        if name == "event" and [self.words.look(k).value for k in range(3)] == [".", "any", "("]:
            for _ in range(3):
                self.words.take()
            return self._open(_Frame("call", word.start, builders.event.any, "event.any"))
        called = following.value == "(" and following.kind == "sign"
        if name in _FUNCTIONS and called:
            self.words.take()
            return self._open(_Frame("call", word.start, _FUNCTIONS[name], name))
        if name == "None":
            raise self.fail(word.start, "None is not a value.", "Use is_null() or not_null().")
        hint = f"Write {name}(...)." if name in _FUNCTIONS else did_you_mean(name, [*_FUNCTIONS, "everyone"])
        raise self.fail(word.start, f"unknown word {shown(name[:64])}.", hint or "Put texts in quotes.", "unknown_name")

    def _push(self, value: Any) -> bool:
        self.frames[-1].values.append(value)
        return False

    def _open(self, frame: _Frame) -> bool:
        if len(self.frames) > self.limits.depth:
            raise LimitError(
                f"the rule is nested more than {self.limits.depth} deep.",
                path=place(self.text, frame.start),
                code="too_deep",
            )
        self.frames.append(frame)
        return True

    def _method(self) -> bool:
        word, bracket = self.words.look(), self.words.look(1)
        receiver = self.frames[-1].values.pop()
        allowed = _EVENT_METHODS if isinstance(receiver, Selection) else _VALUE_METHODS
        if isinstance(receiver, nodes.Stage):
            allowed = allowed | _STAGE_METHODS
        if not isinstance(receiver, (Expression, Selection)):
            raise self.fail(word.start, f"{shown(receiver)} is a plain value and has no methods.")
        name = str(word.value)
        if word.kind != "name" or name not in allowed:
            other = _VALUE_METHODS if isinstance(receiver, Selection) else _EVENT_METHODS
            hint = did_you_mean(name, sorted(allowed))
            if name in other:
                hint = "It belongs to a value." if isinstance(receiver, Selection) else "It belongs to event(...)."
            raise self.fail(word.start, f"unknown method {shown(name[:64])}.", hint, "unknown_name")
        if bracket.value != "(" or bracket.kind != "sign":
            raise self.fail(word.start, f".{name} needs brackets.", f"Write .{name}(...).")
        self.words.take()
        self.words.take()
        return self._open(_Frame("call", word.start, getattr(receiver, name), name))

    # Signs

    def _sign(self, sign: str, start: int) -> None:
        frame = self.frames[-1]
        if sign in _COMPARES and any(other in _COMPARES for other, _ in frame.signs[-1:]):
            raise self.fail(start, "comparisons cannot be chained.", "Write x.between(low, high).", "chained")
        self._reduce(_STRENGTH[sign])
        if sign in _COMPARES and any(other in _COMPARES for other, _ in frame.signs[-1:]):
            raise self.fail(start, "comparisons cannot be chained.", "Write x.between(low, high).", "chained")
        frame.signs.append((sign, start))

    def _reduce(self, strength: int) -> None:
        """Apply the operators with at least this precedence; comparisons wait, so that a chain of them is found."""
        frame = self.frames[-1]
        while frame.signs and _STRENGTH[frame.signs[-1][0]] >= strength:
            if strength == _STRENGTH["=="] and frame.signs[-1][0] in _COMPARES:
                return
            sign, start = frame.signs.pop()
            if sign not in _UNARY:
                self._count(start)
            try:
                frame.values.append(self._applied(sign, frame.values))
            except InputError as error:
                raise self.fail(start, error.message, error.hint, code=error.code) from None

    @staticmethod
    def _applied(sign: str, values: list[Any]) -> Any:
        right = values.pop()
        if sign in _UNARY:
            if sign == "negative":
                plain = isinstance(right, (int, float)) and not isinstance(right, bool)
                return -right if plain else -as_expression(right)
            return ~_rule(right, sign)
        left = values.pop()
        if sign in {"&", "and"}:
            return _rule(left, sign) & _rule(right, sign)
        if sign in {"|", "or"}:
            return _rule(left, sign) | _rule(right, sign)
        return (_COMPARES.get(sign) or _CALCULATES[sign])(as_expression(left), as_expression(right))

    def _count(self, start: int) -> None:
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise LimitError(
                f"the rule has more than {self.limits.nodes:,} nodes.",
                path=place(self.text, start),
                code="too_many_nodes",
            )

    # Ends

    def _comma(self, word: Token) -> bool:
        frame = self.frames[-1]
        if frame.kind == "":
            raise self.fail(word.start, "a comma is outside of brackets.", "Combine rules with & or and.")
        self._item(frame, word)
        return True

    def _key(self, word: Token) -> bool:
        """Read the value before a colon as a key; then the braces are a mapping."""
        frame = self.frames[-1]
        inside = self.frames[-2].name if len(self.frames) > 1 else ""
        if frame.kind != "{" or inside != "stage" or len(frame.items) != 2 * frame.keys:
            raise self.fail(word.start, "a colon is out of place.", 'Write stage({"name": event("type"), ...}).')
        self._item(frame, word)
        if not isinstance(frame.items[-1], str):
            raise self.fail(word.start, f"{shown(frame.items[-1])} is not a name: put it in quotes.")
        if frame.items[-1] in frame.items[:-1:2]:
            raise self.fail(word.start, f"{shown(frame.items[-1])} is given twice.")
        frame.keys += 1
        return True

    def _item(self, frame: _Frame, word: Token) -> None:
        self._reduce(0)
        value = frame.values.pop()
        if frame.keyword:
            frame.named[frame.keyword] = value
            frame.keyword = ""
        elif frame.named:
            raise self.fail(word.start, "a value without a name follows a named one.")
        else:
            frame.items.append(value)
        if len(frame.items) > self.limits.members:
            path = place(self.text, word.start)
            raise LimitError(f"a list has more than {self.limits.members:,} values.", path=path, code="too_many")

    def _close(self, word: Token) -> None:
        frame = self.frames[-1]
        if word.value != _CLOSING[frame.kind] and not (word.kind == "end" and frame.kind == ""):
            if word.kind == "end":
                raise self.fail(frame.start, "this bracket is never closed.")
            raise self.fail(word.start, f"{shown(word.value)} does not close any bracket.")
        if frame.kind == "":
            self._reduce(0)
        elif frame.kind == "(" and not frame.items:
            self._reduce(0)
            self.frames.pop()
            self.frames[-1].values.append(frame.values.pop())
        else:
            self._item(frame, word)
            self._finish(frame)

    def _finish(self, frame: _Frame) -> None:
        """Turn a list or a call into its value."""
        self.frames.pop()
        if frame.call is None:
            if frame.keys and len(frame.items) != 2 * frame.keys:
                raise self.fail(frame.start, "some of these values have a name and others have none.")
            pairs = dict(zip(frame.items[::2], frame.items[1::2], strict=True)) if frame.keys else None
            self.frames[-1].values.append(frame.items if pairs is None else pairs)
            return
        self._count(frame.start)
        try:
            value = frame.call(*frame.items, **frame.named)
        except InputError as error:
            raise self.fail(frame.start, error.message, error.hint, code=error.code) from None
        except TypeError as error:
            raise self.fail(frame.start, f"{frame.name}() does not take these arguments: {error}.") from None
        if _too_long(value, self.limits.years):
            path = place(self.text, frame.start)
            raise LimitError(
                f"the duration is longer than the {self.limits.years} years allowed.", path=path, code="too_long_window"
            )
        self.frames[-1].values.append(value)


def _too_long(value: Any, years: int) -> bool:
    if isinstance(value, CalendarSpan):
        return value.days > 366 * years or value.months > 12 * years
    return isinstance(value, timedelta) and value > timedelta(days=366 * years)


def _rule(value: Any, sign: str) -> Expression:
    if isinstance(value, Expression):
        return value
    hint = (
        "put each comparison in parentheses, or write and, or, not" if sign in {"&", "|", "~"} else "a rule is needed"
    )
    raise InputError(
        f"{shown(value)} is not a rule, but {sign!r} combines rules: {hint}.", argument="rule", code="not_rule"
    )
