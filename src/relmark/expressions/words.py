"""A rule in words, for people who do not write code: in English, or in another language by a mapping of phrases.

`to_words` goes through the tree and writes each part with the phrase of its node. Numbers choose the plural form of a
phrase by the rule of the language. Phrases that a mapping lacks are taken from English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from relmark.core.checks import shown
from relmark.core.errors import InputError
from relmark.core.names import did_you_mean
from relmark.core.spans import Span
from relmark.expressions import nodes
from relmark.expressions.literals import EXACT, LiteralValue
from relmark.expressions.operators import Expression
from relmark.expressions.periods import Period
from relmark.expressions.phrases import ENGLISH, PLURALS, Phrases, plural
from relmark.expressions.selection import Selection, Window

__all__ = ["words_of"]

_PLACE = re.compile(r"\{(\w+)\}")
_LISTED = 5
_UNITS = (("days", timedelta(days=1)), ("hours", timedelta(hours=1)), ("minutes", timedelta(minutes=1)))
_FORMS = ("one", "one_of", "many", "many_of", "first_of", "last_of", "counted", "of")


def words_of(node: Expression, phrases: Phrases | None = None, *, rule: bool = False) -> str:
    """Return a rule, or a figure, in words.

    Parameters
    ----------
    node : Expression
        The rule or figure.
    phrases : mapping, optional
        The phrases of a language, such as `RUSSIAN`; by default English.
    rule : bool
        Whether a field is written as a condition that has to be true: "vip: yes" instead of "vip".

    Raises
    ------
    InputError
        A phrase has an unknown name, is neither text nor plural forms, or has an unknown placeholder.
    """
    speaker = _Speaker({} if phrases is None else phrases)
    if rule and isinstance(node, (nodes.Field, nodes.Prop, nodes.Fill)):
        return speaker.rule(node)
    return speaker.said(node)


class _Speaker:
    def __init__(self, phrases: Phrases) -> None:
        if not isinstance(phrases, Mapping):
            raise InputError(
                f"phrases is {shown(phrases)}: a mapping of phrases is needed, such as RUSSIAN.",
                argument="phrases",
                code="wrong_type",
            )
        for key in phrases:
            if key not in ENGLISH:
                raise InputError(
                    f"phrases has {shown(key)}, which is not the name of a phrase.",
                    argument="phrases",
                    code="unknown_name",
                    hint=did_you_mean(str(key), ENGLISH),
                )
        self.phrases = {**ENGLISH, **phrases}
        self.events = {**ENGLISH["events"], **self.phrases["events"]}
        if self.phrases["plural"] not in PLURALS:
            raise InputError(
                f"phrases['plural'] is {shown(self.phrases['plural'])}: it must be one of {', '.join(PLURALS)}.",
                argument="phrases",
                code="unknown_name",
            )

    # Phrases

    def phrase(self, key: str, n: float | None = None, /, **places: str) -> str:
        """Return a phrase with its placeholders filled; a number chooses its plural form and fills ``{n}``."""
        return self._filled(self.phrases[key], key, n, places)

    def _filled(self, phrase: Any, key: str, n: float | None, places: dict[str, str]) -> str:
        if isinstance(phrase, Mapping):
            form = plural(self.phrases["plural"], 0 if n is None else n)
            phrase = phrase.get(form, phrase.get("other"))
        if not isinstance(phrase, str):
            raise InputError(
                f"phrases[{key!r}] is {shown(phrase)}: a text, or texts by plural form with 'other', is needed.",
                argument="phrases",
                code="wrong_type",
            )
        if n is not None:
            places = {"n": self.number(n), **places}

        def place(match: re.Match[str]) -> str:
            if match.group(1) not in places:
                raise InputError(
                    f"phrases[{key!r}] has the placeholder {match.group(0)}: it may have "
                    f"{', '.join(f'{{{name}}}' for name in places) or 'none'}.",
                    argument="phrases",
                    code="unknown_name",
                )
            return places[match.group(1)]

        return _PLACE.sub(place, phrase)

    # Values

    def number(self, value: float) -> str:
        text = repr(int(value) if abs(value) <= EXACT and float(value).is_integer() else value)
        return text.replace(".", self.phrases["decimal"]).replace("-", "−")

    def value(self, value: LiteralValue) -> str:
        if isinstance(value, bool):
            return self.phrase("true" if value else "false")
        if isinstance(value, str):
            return self.phrase("text", value=value)
        if isinstance(value, datetime):
            clock = value.time().isoformat(timespec="auto" if value.second or value.microsecond else "minutes")
            return self.phrase("instant", date=self.day(value), time=clock)
        return self.day(value) if isinstance(value, date) else self.number(value)

    def day(self, value: date) -> str:
        return self.phrase("date", year=f"{value.year:04}", month=f"{value.month:02}", day=f"{value.day:02}")

    def values(self, values: Iterable[LiteralValue]) -> str:
        given = list(values)
        listed = self.phrase("comma").join(self.value(one) for one in given[:_LISTED])
        more = len(given) - _LISTED
        text = self.phrase("listed", more, values=listed) if more > 0 else listed
        return self.phrase("group", rule=text) if len(given) != 1 else text

    def name(self, kind: str, name: str) -> str:
        label = self.phrases["names"].get(name)
        return str(label) if isinstance(label, str) else self.phrase(kind, name=name)

    def what(self, of: str | None) -> str:
        return self.phrase("event_value") if of in {"value", None} else self.name("prop", str(of))

    # Lengths of time

    def amounts(self, span: Span) -> list[tuple[str, float]]:
        """Return a length of time as amounts of units."""
        if not isinstance(span, timedelta):
            return [("months", span.months)] if span.months else [("calendar_days", span.days)]
        left, found = span, []
        for unit, size in _UNITS:
            if left >= size:
                found.append((unit, float(left // size)))
                left %= size
        return found if found and not left else [*found, ("seconds", left.total_seconds())]

    def duration(self, span: Span, form: str = "duration") -> str:
        parts = [self.phrase(f"{form}_{unit}", n) for unit, n in self.amounts(span)]
        return self.phrase("duration_join").join(parts)

    def last(self, span: Span) -> str:
        amounts = self.amounts(span)
        if len(amounts) > 1:
            return self.phrase("last_mixed", duration=self.duration(span))
        ((unit, n),) = amounts
        return self.phrase(f"last_{unit}", n)

    def period(self, unit: str, offset: int) -> str:
        if abs(offset) > 1:
            return self.phrase(f"{'ago' if offset < 0 else 'ahead'}_{unit}", abs(offset))
        return str(self.phrases[f"period_{unit}"][offset + 1])

    def during(self, period: Period) -> str:
        if period.count == 1:
            return self.period(period.unit, period.offset)
        near = period.offset >= -1
        end = (
            str(self.phrases[f"end_{period.unit}"][period.offset + 1])
            if near
            else self.phrase("end_ago", ago=self.period(period.unit, period.offset))
        )
        return self.phrase("span", span=self.phrase(f"span_{period.unit}", period.count), end=end)

    def window(self, window: Window) -> list[str]:
        parts = []
        if window.within is not None:
            parts.append(self.phrase("window_within", last=self.last(window.within)))
        if window.during is not None:
            parts.append(self.phrase("window_during", period=self.during(window.during)))
        if window.since is not None:
            parts.append(self.phrase("window_since", moment=self.value(window.since)))
        if window.until is not None:
            parts.append(self.phrase("window_until", moment=self.value(window.until)))
        if window.ago is not None:
            parts.append(self.phrase("window_ago", duration=self.duration(window.ago)))
        return parts

    # Events

    def events_as(self, events: Selection, form: str, n: float | None = None) -> str:
        """Return the name of events in one of the forms that sentences need."""
        if events.any_type:
            return self._named("any", form, n, "")
        if not any(name in self.events for name in events.types):
            names = self.phrase("or_more").join(self.phrase("event_name", type=name) for name in events.types)
            return self._named("*", form, n, names)
        texts = [self._named(name if name in self.events else "*", form, n, self.phrase("event_name", type=name))
                 for name in events.types]  # fmt: skip
        return self.phrase("or_more").join(texts)

    def _named(self, key: str, form: str, n: float | None, names: str) -> str:
        forms = self.events[key]
        if not isinstance(forms, Mapping) or form not in forms:
            raise InputError(
                f"phrases['events'][{key!r}] has no {form!r}: it needs {', '.join(_FORMS)}.",
                argument="phrases",
                code="missing_key",
            )
        return self._filled(forms[form], f"events.{key}.{form}", n, {"type": names})

    def selected(self, events: Selection, text: str, window: Window | None = None) -> str:
        """Return a text about events with their condition and their window."""
        if events.where is not None:
            text = self.phrase("where", events=text, rule=self.rule(events.where))
        return " ".join([text, *([] if window is None else self.window(window))])

    def one(self, events: Selection, form: str = "one") -> str:
        return self.selected(events, self.events_as(events, form))

    def forms(self, events: Selection) -> dict[str, str]:
        return {form: self.events_as(events, form) for form in _FORMS[:6]}

    # Nodes

    def rule(self, node: Expression) -> str:
        """Return a condition that has to be true; a boolean field alone is written with "yes"."""
        if isinstance(node, (nodes.Field, nodes.Prop, nodes.Fill)):
            return self.phrase("is_true", left=self.inside(node))
        return self.inside(node)

    def inside(self, node: Expression) -> str:
        """Return a part of a rule, in brackets if it consists of several parts."""
        text = self.said(node)
        loose = isinstance(node, (nodes.And, nodes.Or, nodes.AtLeast, nodes.Arithmetic, nodes.Sequence, nodes.Stage))
        return self.phrase("group", rule=text) if loose else text

    def said(self, node: Expression) -> str:
        match node:
            case nodes.Literal(value=value):
                return self.value(value)
            case nodes.Field(name=name):
                return self.name("field", name)
            case nodes.Prop(name=name):
                if name in {"value", "type"}:
                    return self.phrase(f"event_{name}")
                return self.name("prop", name)
            case nodes.Fill(arg=arg, value=value):
                return self.phrase("fill", arg=self.inside(arg), value=self.value(value.value))
            case nodes.Age(arg=arg):
                return self.phrase("age", arg=self.said(arg))
            case nodes.Arithmetic(op=op, left=left, right=right):
                return self.phrase(op, left=self.inside(left), right=self.inside(right))
            case nodes.Compare():
                return self.compared(node)
            case nodes.Between(arg=arg, low=low, high=high):
                key = "between_time" if isinstance(low.value, date) else "between"
                return self.phrase(key, arg=self.inside(arg), low=self.said(low), high=self.said(high))
            case nodes.IsIn(arg=arg, values=values):
                return self.phrase("in", arg=self.inside(arg), values=self.values(values))
            case nodes.IsNull(arg=arg):
                return self.phrase("is_null", arg=self.inside(arg))
            case nodes.IsEmpty(arg=arg):
                return self.phrase("is_empty", arg=self.inside(arg))
            case nodes.Matches(op=op, arg=arg, values=values, casefold=casefold):
                text = self.phrase(op, arg=self.inside(arg), values=self.values(values))
                return self.phrase("casefold", rule=text) if casefold else text
            case nodes.DateWindow():
                return self.dated(node)
            case nodes.InPeriod(arg=arg, unit=unit, offset=offset, yearly=yearly):
                key = "yearly" if yearly else "in_period"
                return self.phrase(key, arg=self.inside(arg), period=self.period(unit, offset))
            case nodes.Clock(op=op):
                return self.phrase(op)
            case nodes.Everyone():
                return self.phrase("everyone")
            case nodes.Ids(values=values):
                return self.phrase("ids", len(values), values=self.values(values)) if values else self.phrase("nobody")
            case nodes.Sample(percent=percent, salt=salt):
                return self.phrase("sample", percent=self.number(percent), salt=salt)
            case nodes.SegmentRef(name=name):
                return self.phrase("segment", name=name)
            case nodes.Not(arg=arg):
                return self.denied(arg)
            case nodes.And(args=args):
                return self.phrase("and_more").join(map(self.rule, args))
            case nodes.Or(args=args):
                return self.phrase("or_more").join(map(self.rule, args))
            case nodes.AtLeast(n=n, args=args):
                rules = self.phrase("semicolon").join(map(self.rule, args))
                return self.phrase("at_least", n, of=self.number(len(args)), rules=rules)
            case _:
                return self.behavior(node)

    def compared(self, node: nodes.Compare) -> str:
        left, right = node.left, node.right
        value = right.value if isinstance(right, nodes.Literal) else None
        counted = isinstance(left, nodes.Aggregate) and left.op == "count"
        if isinstance(value, bool):
            return self.phrase("is_true" if value is (node.op == "eq") else "is_false", left=self.inside(left))
        if counted and isinstance(value, (int, float)) and node.op != "ne":
            assert isinstance(left, nodes.Aggregate)
            forms = {form: self.events_as(left.events, form, value) for form in ("counted", "of")}
            return self.selected(left.events, self.phrase(f"count_{node.op}", value, **forms), left.window)
        timed = isinstance(value, date) and node.op in {"lt", "le", "gt", "ge"}
        return self.phrase(node.op + "_time" * timed, left=self.inside(left), right=self.inside(right))

    def dated(self, node: nodes.DateWindow) -> str:
        span = node.duration
        return self.phrase(
            node.op, arg=self.inside(node.arg), last=self.last(span), duration=self.duration(span),
            duration_of=self.duration(span, "duration_of"),
        )  # fmt: skip

    def denied(self, arg: Expression) -> str:
        match arg:
            case nodes.Field() | nodes.Prop() | nodes.Fill():
                return self.phrase("is_false", left=self.inside(arg))
            case nodes.Everyone():
                return self.phrase("nobody")
            case nodes.IsNull(arg=inner):
                return self.phrase("not_null", arg=self.inside(inner))
            case nodes.IsIn(arg=inner, values=values):
                return self.phrase("not_in", arg=self.inside(inner), values=self.values(values))
            case nodes.Aggregate(op="exists", events=events, window=window):
                return self.selected(events, self.phrase("not_exists", **self.forms(events)), window)
        return self.phrase("not", rule=self.inside(arg))

    # Behavior

    def behavior(self, node: Expression) -> str:
        match node:
            case nodes.Aggregate(op=op, events=events, of=of, window=window):
                key = f"{op}_value" if of == "value" and op in {"sum", "mean"} else op
                text = self.phrase(key, **self.forms(events), of_what=self.what(of))
                return self.selected(events, text, window)
            case nodes.LastEvent(events=events, where=where, window=window):
                last = self.selected(events, self.events_as(events, "last_of"), window)
                return self.phrase("last_event", last_of=last, rule=self.rule(where))
            case nodes.Regularly(events=events, min_periods=least, of=of, period=period):
                unit = period if isinstance(period, str) else "duration"
                span = "" if isinstance(period, str) else self.duration(period)
                periods = self._filled(self.phrases[f"every_{unit}"], f"every_{unit}", of, {"duration": span})
                forms = {form: self.selected(events, text) for form, text in self.forms(events).items()}
                return self.phrase("regularly", least, of=self.number(of), periods=periods, **forms)
            case nodes.Sequence():
                return self.sequence(node)
            case nodes.Stage(op=op, names=names, steps=steps, duration=within):
                listed = self.phrase("comma").join(
                    self.phrase("stage_step", name=name, one=self.one(step))
                    for name, step in zip(names, steps, strict=True)
                )
                text = self.phrase(op, steps=listed)
                if within is None:
                    return text
                return self.phrase("semicolon").join([text, self.phrase("step_within", **self._lengths(within))])
            case nodes.NotFollowedBy(events=events, then=then, within=within, recent=recent):
                text = self.phrase(
                    "not_followed_by", one=self.one(events), then=self.one(then), then_of=self.one(then, "one_of"),
                    duration=self.duration(within), duration_of=self.duration(within, "duration_of"),
                )  # fmt: skip
                return text if recent is None else self.phrase("recent", rule=text, last=self.last(recent))
        raise AssertionError(f"{type(node).__name__} has no words")

    def sequence(self, node: nodes.Sequence) -> str:
        steps = self.phrase("then").join(self.one(step) for step in node.steps)
        parts = [self.phrase("sequence", steps=steps)]
        if node.within is not None:
            parts.append(self.phrase("step_within", **self._lengths(node.within)))
        if node.strict:
            parts.append(self.phrase("step_strict"))
        if node.exclude:
            listed = self.phrase("or_more").join(self.one(events, "many_of") for events in node.exclude)
            parts.append(self.phrase("step_exclude", events=listed))
        if node.apart is not None:
            parts.append(self.phrase("step_apart", **self._lengths(node.apart)))
        if node.recent is not None:
            parts.append(self.phrase("step_recent", last=self.last(node.recent)))
        if node.same is not None:
            parts.append(self.phrase("step_same", name=node.same))
        return self.phrase("semicolon").join(parts)

    def _lengths(self, span: Span) -> dict[str, str]:
        return {"duration": self.duration(span), "duration_of": self.duration(span, "duration_of")}
