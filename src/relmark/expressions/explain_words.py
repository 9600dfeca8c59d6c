"""Explanations in English: verdicts, gaps and changes in words."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from relmark.core.time import aware

if TYPE_CHECKING:  # the parts use these functions to print themselves
    from relmark.expressions.explain_parts import Change, Gap, Happened, Verdict

__all__ = ["change_words", "gap_words", "happened_words", "tree_lines", "verdict_line", "when"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_MARKS = {True: "yes", False: "no", None: "unknown"}
_LOGIC = {"and": "all of", "or": "any of", "not": "not"}


def when(at: datetime, tz: str = "UTC") -> str:
    """Return a time in a zone, to the minute; of a midnight, only the date."""
    at = aware((at - _EPOCH) // _US, tz)
    if not (at.hour or at.minute or at.second or at.microsecond):
        return at.strftime("%Y-%m-%d")
    return at.strftime("%Y-%m-%d %H:%M")


def tree_lines(verdict: Verdict, depth: int = 1) -> list[str]:
    """Return a verdict and its parts, one per line, with the events on which they are based."""
    indent = "  " * depth
    lines = [f"{indent}{_MARKS[verdict.verdict]:7} {verdict}"]
    shown = "" if verdict.n_events == len(verdict.events) else f" (and {verdict.n_events - len(verdict.events)} before)"
    if verdict.events:
        lines.append(f"{indent}          {'; '.join(map(happened_words, verdict.events))}{shown}")
    for arg in verdict.args:
        lines += tree_lines(arg, depth + 1)
    return lines


def verdict_line(verdict: Verdict) -> str:
    """Return the value of a node, what has to happen and when it changes, without its parts."""
    if verdict.args:
        if verdict.code == "at_least":
            return f"at least {verdict.needed} of: {verdict.actual}"
        return _LOGIC.get(verdict.code, verdict.rule)
    parts = []
    if verdict.missing:
        parts.append(f"not known: {', '.join(verdict.missing)}")
    elif verdict.actual is not None:
        parts.append(f"is {_value(verdict.actual, verdict._tz)}")  # noqa: SLF001
    if verdict.gap is not None and verdict.gap.code != "value":
        parts.append(gap_words(verdict.gap))
    if verdict.change is not None:
        until = "until" if verdict.verdict is True else f"{_MARKS[verdict.change.to]} from"
        parts.append(f"{until} {change_words(verdict.change)}")
    return f"{verdict.rule}: {'; '.join(parts)}" if parts else verdict.rule


def _value(value: Any, tz: str = "UTC") -> str:
    if isinstance(value, datetime):
        return when(value, tz)
    if isinstance(value, (date, str)):
        return str(value)
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "no tags"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else f"{value:,}"


def happened_words(event: Happened) -> str:
    """Return an event in words."""
    value = "" if event.value is None else f" {event.value:,g}"
    return f"{event.type} {when(event.time, event._tz)}{value}"  # noqa: SLF001


def gap_words(gap: Gap) -> str:
    """Return a gap in words."""
    before = "" if gap.before is None else f" before {when(gap.before, gap._tz)}"  # noqa: SLF001
    amount = "" if gap.amount is None else _exactly(gap.amount)
    match gap.code:
        case "more_events":
            types, _, where = gap.of.partition(" where ")
            events = types if gap.amount == 1 else f"{types} events"
            return f"needs {amount} more {events}{f' where {where}' if where else ''}{before}"
        case "more_values":
            return f"needs {amount} more different {gap.of}{before}"
        case "more_days":
            return f"needs {amount} more day{'' if gap.amount == 1 else 's'} with {gap.of}{before}"
        case "more_periods":
            return f"needs {amount} more period{'' if gap.amount == 1 else 's'} with {gap.of}"
        case "more_time":
            length = timedelta(days=gap.amount or 0)
            return f"needs {_span(length) if length else 'a moment'} more"
        case "new_event":
            return f"needs a newer {gap.of}"
        case "next_step":
            return f"needs {gap.of} next{before}"
    return f"needs {'more than ' if gap.beyond else ''}{amount} {gap.code}{before}"


def _exactly(amount: float) -> str:
    """Return a number in full, because a rounded number might not be enough."""
    text = f"{amount:,.6f}".rstrip("0").rstrip(".")
    return text if float(text.replace(",", "")) == amount else repr(amount)


def _span(length: timedelta) -> str:
    """Return a length of time in words, rounded up so that it is enough."""
    days = length / timedelta(days=1)
    if days >= 1:
        return f"{_up(days, 4)} day{'' if days == 1 else 's'}"
    hours = length / timedelta(hours=1)
    return f"{_up(hours, 3)} hours" if hours >= 1 else f"{_up(length / timedelta(minutes=1), 3)} minutes"


def _up(value: float, digits: int) -> str:
    """Return a number above 0 with a number of significant digits, rounded up."""
    whole = len(str(int(value)))
    scale = 10 ** max(digits - whole, 0)
    return f"{math.ceil(round(value * scale, 6)) / scale:.{max(digits, whole) + 1}g}"


def change_words(change: Change) -> str:
    """Return when a verdict changes and why, as text that follows 'until', 'leaves on' or 'joins on'."""
    what = "" if change.event is None else f"the {change.event.type} of {when(change.event.time, change._tz)}"  # noqa: SLF001
    why = {
        "event_leaves": f"when {what} falls out of the window",
        "event_enters": f"when {what} comes into the window",
        "time_passes": f"when {what} is long enough ago" if what else "as time passes",
        "waited": f"when {what} has waited long enough" if change.to else f"when {what} is too long ago",
        "period": "when another period begins",
        "birthday": "when another year is completed",
        "day": "when the day comes",
        "date": "when the time comes",
    }[change.code]
    return f"{when(change.at, change._tz)}, {why}"  # noqa: SLF001
