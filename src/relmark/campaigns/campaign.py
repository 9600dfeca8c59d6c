"""Campaigns and chains: whom a message is for, when it is due and how often, independently of other campaigns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import attrs

from relmark.campaigns.caps import optional_word
from relmark.core import shapes
from relmark.core.assignment import Arms, role_seed
from relmark.core.checks import flag, number, shown, text, whole
from relmark.core.documents import Limits, canonical, check_keys
from relmark.core.errors import InputError, definition_error
from relmark.core.schema import Schema
from relmark.core.shapes import Shape
from relmark.core.spans import length
from relmark.core.time import Instant, duration, duration_text, instant_text, parse_duration, read_instant
from relmark.expressions.kinds import rule_problems
from relmark.expressions.literals import plain_text
from relmark.expressions.needs import Needs, needs_of_events
from relmark.expressions.operators import Expression
from relmark.expressions.selection import Selection
from relmark.expressions.stored import read, read_selection, written

__all__ = ["UNSAID", "Campaign", "Chain", "Entry", "Step", "Unsaid", "for_later"]

_T = TypeVar("_T")
_NOW = timedelta(0)
_LATER = frozenset({"unknown_field", "unknown_event", "unknown_property", "unknown_segment"})


class Unsaid(Enum):
    """The value of `again` if it was not given; None means once and never again."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID


def for_later(name: str, value: Any, *, rule: bool = True) -> None:
    """Raise an error if a value is not an expression, or is one that is wrong under every schema."""
    if not isinstance(value, Expression):
        raise InputError(
            f"{name} is {shown(value)}; it must be {'a rule' if rule else 'an expression'}, such as "
            f"{'field(...) >= 18' if rule else 'field(...)'}.",
            argument=name,
            code="wrong_type",
        )
    if rule:
        for problem in rule_problems(value, Schema(), path=f"$.{name}"):
            if problem.code not in _LATER:
                raise InputError(problem.message, argument=name, code=problem.code, hint=problem.hint)


def _rule(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        for_later(attribute.name, value)


def _expression(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        for_later(attribute.name, value, rule=False)


def _selection(name: str, value: Any) -> None:
    if not isinstance(value, Selection):
        raise InputError(
            f"{name} is {shown(value)}; it must select events, such as event('cart').",
            argument=name,
            code="wrong_type",
        )


def _events(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        _selection(attribute.name, value)


def _name(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    plain_text(attribute.name, text(attribute.name, value))


def _flag(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    flag(attribute.name, value)


def _share(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        number(attribute.name, value, above=0.0, below=1.0)


def _channels(value: Iterable[str]) -> tuple[str, ...]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise InputError(
            f"channels is {shown(value)}; it must be a list of names, such as ['push', 'email'].",
            argument="channels",
            code="wrong_type",
        )
    given = tuple(value)
    for one in given:
        plain_text("channels", text("channels", one))
    if not given:
        raise InputError("channels is empty: name at least one channel.", argument="channels", code="empty")
    if len(set(given)) < len(given):
        raise InputError(
            f"channels is {shown(list(given))}: name each channel once.", argument="channels", code="duplicate"
        )
    return given


def _moment(name: str, value: Any) -> date | datetime | None:
    """Return a date, or an instant in UTC."""
    if value is None:
        return None
    micros, dated = read_instant(value, name=name)
    if dated:
        return value if type(value) is date else date.fromisoformat(str(value)[:10])
    if (isinstance(value, datetime) and value.utcoffset() is None) or (isinstance(value, str) and not _zoned(value)):
        raise InputError(
            f"{name} is {shown(value)}, which has no time zone: pass a date, which begins at each person's local "
            "midnight, or a time with a time zone.",
            argument=name,
            code="no_time_zone",
        )
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def _zoned(value: str) -> bool:
    try:
        return datetime.fromisoformat(value).utcoffset() is not None
    except ValueError:
        return False


def _start(value: Instant | None) -> date | datetime | None:
    return _moment("start", value)


def _end(value: Instant | None) -> date | datetime | None:
    return _moment("end", value)


def _moment_text(value: date | datetime) -> str:
    if isinstance(value, datetime):
        return instant_text(read_instant(value)[0])
    return value.isoformat()


def _steps(value: Iterable[Step]) -> tuple[Step, ...]:
    if isinstance(value, (Step, str, bytes)) or not isinstance(value, Iterable):
        raise InputError(f"steps is {shown(value)}; it must be a list of Steps.", argument="steps", code="wrong_type")
    given = tuple(value)
    for one in given:
        if not isinstance(one, Step):
            raise InputError(
                f"steps has {shown(one)}; each element must be a Step.", argument="steps", code="wrong_type"
            )
    names = [one.name for one in given]
    if not given:
        raise InputError("steps is empty: a chain needs at least one Step.", argument="steps", code="empty")
    if len(set(names)) < len(names):
        raise InputError(
            f"steps are {', '.join(map(repr, names))}: use each name once.", argument="steps", code="duplicate"
        )
    for before, one in pairwise(given):
        if one.after < before.after:
            raise InputError(
                f"step {one.name!r} comes {one.after} after the start, but is listed after {before.name!r} "
                f"({before.after}): list steps in the order of their times.",
                argument="steps",
                code="wrong_value",
            )
    return given


class _Stored:
    """Objects that are equal if their stored forms are equal, because rules cannot be compared with ``==``."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON-ready values."""
        raise AssertionError(f"{type(self).__name__} has no stored form")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(canonical(self.to_dict()))


@attrs.frozen(kw_only=True, eq=False)
class _Sent(_Stored):
    """What campaigns and chains have in common."""

    channels: tuple[str, ...] = attrs.field(converter=_channels)
    category: str | None = attrs.field(default=None, validator=optional_word)
    transactional: bool = attrs.field(default=False, validator=_flag)
    counts: bool = attrs.field(default=False, validator=_flag)
    control: float | None = attrs.field(default=None, validator=_share)
    salt: str | None = attrs.field(default=None, validator=optional_word)
    hour: Expression | None = attrs.field(default=None, validator=_expression)

    def _check_transactional(self) -> None:
        if not self.transactional:
            if self.counts:
                raise InputError(
                    "counts=True is for transactional messages only; all other messages count anyway.",
                    argument="counts",
                    code="conflicting_arguments",
                )
            return
        for name in ("control", "step_control", "limit", "hour"):
            if getattr(self, name, None) is not None:
                raise InputError(
                    f"{name}= is given for a transactional message, but everybody gets such a message at once: leave "
                    f"{name}= out.",
                    argument=name,
                    code="conflicting_arguments",
                )

    @property
    def counted(self) -> bool:
        """Whether the messages count toward caps and gaps."""
        return not self.transactional or self.counts

    def arms_of(self, share: float) -> Arms:
        """Return the arms of a control share, as `experiments.Experiment` draws them."""
        return Arms({"control": share, "sent": 1 - share})


@attrs.frozen(eq=False)
class Campaign(_Sent):
    """A campaign with one message: for whom, after which event, how often, and on which channels.

    Parameters
    ----------
    name : str
        The value of the property `campaign` of its messages.
    who : rule, optional
        Who may get it; a person for whom the rule is unknown may not. By default, everybody may.
    trigger : selection of events, optional
        Events that make the campaign due, such as ``event("cart")``. The latest one must be later than the campaign's
        last message to the person, so that there is one message per trigger.
    channels : list of str
        Names of the policy's channels; the first one that is open is used.
    again : timedelta or None
        How long after its last message the campaign may reach a person again; exactly that long is enough. None means
        once and never again. It may be left out if there is a trigger.
    times : int, optional
        The largest number of its messages that one person ever gets.
    start, end : date or instant, optional
        The campaign runs while ``start <= now < end``; a date begins at each person's local midnight.
    control : float, optional
        The share of people from whom the message is withheld (and logged as such), so that its effect can be measured.
    salt : str, optional
        The key for drawing the control group; by default, the name.
    hour : expression, optional
        The hour of the person's local day in which they get messages, 0 to 23. A person for whom it is missing, or not
        such a number, may get a message at any hour.
    limit : int, optional
        The largest number of messages in the campaign's whole life, counted from the log, including the control group.
    best_by : expression, optional
        Which people a limit keeps: those with the largest values. Missing values come last, and ties are decided by a
        hash of the id.
    category : str, optional
        A name to which caps can refer.
    transactional : bool
        Whether the message ignores caps, gaps, quiet hours, the holdout and `at_most`, and does not count toward them.
    counts : bool
        Whether a transactional message counts toward caps and gaps anyway.
    """

    name: str = attrs.field(validator=_name)
    who: Expression | None = attrs.field(default=None, validator=_rule, kw_only=True)
    trigger: Selection | None = attrs.field(default=None, validator=_events, kw_only=True)
    again: timedelta | Unsaid | None = attrs.field(default=UNSAID, kw_only=True)
    times: int | None = attrs.field(default=None, kw_only=True)
    start: date | datetime | None = attrs.field(default=None, converter=_start, kw_only=True)
    end: date | datetime | None = attrs.field(default=None, converter=_end, kw_only=True)
    limit: int | None = attrs.field(default=None, kw_only=True)
    best_by: Expression | None = attrs.field(default=None, validator=_expression, kw_only=True)

    steps: ClassVar[tuple[Step, ...]] = ()

    def __attrs_post_init__(self) -> None:
        """Check arguments that depend on each other."""
        self._check_transactional()
        if self.trigger is None and self.again is UNSAID:
            raise InputError(
                f"campaign {self.name!r} has neither trigger= nor again=: say how often a person may get it.",
                argument="again",
                code="missing_argument",
                hint="Pass again=days(30), trigger=event(...), or again=None for once and never again.",
            )
        if isinstance(self.again, timedelta) or not (self.again is UNSAID or self.again is None):
            duration("again", self.again)
        for name in ("times", "limit"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), low=1)
        if self.best_by is not None and self.limit is None:
            raise InputError(
                f"campaign {self.name!r} has best_by= without limit=, which best_by= is for: pass limit= too.",
                argument="best_by",
                code="missing_argument",
            )
        if type(self.start) is type(self.end) and self.start is not None and self.start >= self.end:  # type: ignore[operator]
            raise InputError(
                f"campaign {self.name!r} ends at {self.end}, which is not after its start, {self.start}.",
                argument="end",
                code="wrong_value",
            )

    @property
    def wait(self) -> int | None:
        """The length of `again` in microseconds; None if it is not a length of time."""
        return length(self.again) if isinstance(self.again, timedelta) else None

    @property
    def once(self) -> bool:
        """Whether a person gets it once and never again."""
        return self.again is None

    def tests(self) -> list[tuple[str, Expression, bool]]:
        """Return the expressions with their keys, and whether each is a rule."""
        found = [("who", self.who, True), ("hour", self.hour, False), ("best_by", self.best_by, False)]
        trigger = [] if self.trigger is None else [("trigger", self.trigger.exists(), True)]
        return [(name, one, rule) for name, one, rule in found if one is not None] + trigger

    def needs(self) -> Needs:
        """Return the fields, events and properties that it uses."""
        total = sum((one.needs() for name, one, _ in self.tests() if name != "trigger"), Needs())
        return total if self.trigger is None else total + needs_of_events(self.trigger, None)

    def to_dict(self) -> dict[str, Any]:
        """Return the campaign as JSON-ready values, without arguments that have their default."""
        body: dict[str, Any] = {"name": self.name, **_shared(self), **_written(self, ("who", "trigger", "best_by"))}
        if self.again is not UNSAID:
            body["again"] = None if self.again is None else duration_text(self.again)
        body |= {name: getattr(self, name) for name in ("times", "limit") if getattr(self, name) is not None}
        moments = {name: getattr(self, name) for name in ("start", "end")}
        return body | {name: _moment_text(value) for name, value in moments.items() if value is not None}

    @classmethod
    def _shape(cls, limits: Limits) -> Shape:
        rule, expression = {"$ref": "#/$defs/rule"}, {"$ref": "#/$defs/expression"}
        own: dict[str, Shape] = {
            "who": rule, "trigger": {"$ref": "#/$defs/selection"}, "again": shapes.maybe(shapes.DURATION),
            "times": shapes.whole(low=1), "limit": shapes.whole(low=1), "best_by": expression,
            "start": shapes.name(40), "end": shapes.name(40),
        }  # fmt: skip
        return shapes.obj({"name": shapes.name(limits.string), **_shared_shape(limits), **own}, ["name", "channels"])

    @classmethod
    def _read(cls, body: Any, limits: Limits, path: str) -> Campaign:
        optional = (*_OPTIONAL, "who", "trigger", "again", "times", "limit", "best_by", "start", "end")
        body = check_keys(body, required=("name", "channels"), optional=optional, path=path, what="campaign")
        parts = _read_parts(body, limits, path, ("again",))
        return _made(cls, parts, body, path)


@attrs.frozen(eq=False)
class Step(_Stored):
    """One message of a chain.

    Parameters
    ----------
    name : str
        The value of the property `step` of its messages.
    after : timedelta
        How long after the chain's start the step is due.
    when : rule, optional
        A rule that must also be true. If it is false for the whole time in which the step could be sent, the step is
        skipped.

    Examples
    --------
    >>> from relmark import days
    >>> Step("promo code", after=days(3)).name
    'promo code'
    """

    name: str = attrs.field(validator=_name)
    after: timedelta = attrs.field(default=_NOW, kw_only=True)
    when: Expression | None = attrs.field(default=None, validator=_rule, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Check the time."""
        if duration("after", self.after, positive=False) < 0:
            raise InputError(
                f"after is {self.after}; it must be days(0) or longer, because a step cannot come before the start.",
                argument="after",
                code="wrong_value",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON-ready values."""
        body: dict[str, Any] = {"name": self.name, **_written(self, ("when",))}
        return {**body, "after": duration_text(self.after)} if self.after else body

    @classmethod
    def _read(cls, body: Any, limits: Limits, path: str) -> Step:
        body = check_keys(body, required=("name",), optional=("after", "when"), path=path, what="step")
        return _made(cls, _read_parts(body, limits, path, ("after",)), body, path)


@attrs.frozen(eq=False)
class Chain(_Sent):
    """Several messages in order, which an event of the person starts.

    A step is due when at least `after` and less than ``after + late`` has passed since the latest start, no `until`
    event has come since, its `when` is true, and the steps before it were sent, withheld, skipped or missed. A step
    that is held past that time is missed, and listed in `held` for another `late`. At the instant of one message of the
    chain, no other message of it is due. So if you append the messages of a plan to the events and evaluate the policy
    again at the same instant, the chain plans nothing new.

    Parameters
    ----------
    name : str
        The value of the property `campaign` of its messages.
    starts : selection of events
        The events that begin a pass through the chain.
    steps : list of Step
        The steps, in the order of their times.
    channels : list of str
        Names of the policy's channels; the first one that is open is used.
    late : timedelta or None
        How late a step may be sent; with None, a step waits for ever.
    until : selection of events, optional
        The events that end a pass, such as ``event("purchase")``.
    restart : bool
        Whether a start during a pass begins a new pass. By default, such a start is ignored, and a new pass begins with
        the next start after the time of the last step, or after an `until` event.
    control : float, optional
        The share of people who get no message of the chain.
    step_control : float, optional
        The share of all other people who are left out at each step; each step is drawn separately.
    category, salt, hour, transactional, counts
        As for a `Campaign`.
    """

    name: str = attrs.field(validator=_name)
    starts: Selection = attrs.field(validator=_events, kw_only=True)
    steps: tuple[Step, ...] = attrs.field(converter=_steps, kw_only=True)
    late: timedelta | None = attrs.field(kw_only=True)
    until: Selection | None = attrs.field(default=None, validator=_events, kw_only=True)
    restart: bool = attrs.field(default=False, validator=_flag, kw_only=True)
    step_control: float | None = attrs.field(default=None, validator=_share, kw_only=True)

    limit: ClassVar[int | None] = None
    best_by: ClassVar[Expression | None] = None

    def __attrs_post_init__(self) -> None:
        """Check arguments that depend on each other."""
        self._check_transactional()
        _selection("starts", self.starts)
        if self.late is not None:
            duration("late", self.late)

    @property
    def afters(self) -> tuple[int, ...]:
        """The microseconds from the start to each step."""
        return tuple(length(step.after) for step in self.steps)

    @property
    def lateness(self) -> int | None:
        """The length of `late` in microseconds."""
        return None if self.late is None else length(self.late)

    @property
    def span(self) -> int:
        """The length of a pass in microseconds, from its start until its last step can no longer be sent."""
        return self.afters[-1] + (self.lateness or 0)

    def seed_of(self, step: Step) -> str:
        """Return the seed for drawing the people who are left out at a step."""
        return role_seed("step", self.salt or self.name, step.name)

    def tests(self) -> list[tuple[str, Expression, bool]]:
        """Return the expressions with their keys, and whether each is a rule."""
        found: list[tuple[str, Expression, bool]] = [("starts", self.starts.exists(), True)]
        if self.until is not None:
            found.append(("until", self.until.exists(), True))
        if self.hour is not None:
            found.append(("hour", self.hour, False))
        whens = [(f"steps[{k}].when", step.when, True) for k, step in enumerate(self.steps) if step.when is not None]
        return found + whens

    def needs(self) -> Needs:
        """Return the fields, events and properties that it uses."""
        total = needs_of_events(self.starts, None)
        if self.until is not None:
            total += needs_of_events(self.until, None)
        if self.hour is not None:
            total += self.hour.needs()
        # whether a step was missed is decided at the last moment at which it could be sent
        asked = (step.when.needs() for step in self.steps if step.when is not None)
        return sum((one if self.late is None else one.asked_earlier(self.late) for one in asked), total)

    def to_dict(self) -> dict[str, Any]:
        """Return the chain as JSON-ready values, without arguments that have their default."""
        late = None if self.late is None else duration_text(self.late)
        body: dict[str, Any] = {"name": self.name, **_shared(self), **_written(self, ("starts", "until")), "late": late}
        body["steps"] = [step.to_dict() for step in self.steps]
        if self.restart:
            body["restart"] = True
        return body if self.step_control is None else {**body, "step_control": self.step_control}

    @classmethod
    def _shape(cls, limits: Limits) -> Shape:
        events = {"$ref": "#/$defs/selection"}
        step = {"name": shapes.name(limits.string), "after": shapes.DURATION, "when": {"$ref": "#/$defs/rule"}}
        own: dict[str, Shape] = {
            "starts": events, "until": events, "late": shapes.maybe(shapes.DURATION), "restart": shapes.flag(),
            "steps": shapes.array(shapes.obj(step, ["name"]), least=1),
            "step_control": shapes.number(above=0.0, below=1.0),
        }  # fmt: skip
        needed = ["name", "channels", "starts", "steps", "late"]
        return shapes.obj({"name": shapes.name(limits.string), **_shared_shape(limits), **own}, needed)

    @classmethod
    def _read(cls, body: Any, limits: Limits, path: str) -> Chain:
        needed = ("name", "channels", "starts", "steps", "late")
        optional = (*_OPTIONAL, "until", "restart", "step_control")
        body = check_keys(body, required=needed, optional=optional, path=path, what="chain")
        parts = _read_parts(body, limits, path, ("late",))
        if not isinstance(body["steps"], list):
            raise definition_error(
                InputError(f"steps is {shown(body['steps'])}; it must be a list.", argument="steps", code="wrong_type"),
                path, body,
            )  # fmt: skip
        parts["steps"] = [Step._read(one, limits, f"{path}.steps[{k}]") for k, one in enumerate(body["steps"])]  # noqa: SLF001
        return _made(cls, parts, body, path)


Entry: TypeAlias = Campaign | Chain
"""An entry of a policy: a campaign with one message, or a chain of several."""

_OPTIONAL = ("category", "transactional", "counts", "control", "salt", "hour")


def _shared(one: _Sent) -> dict[str, Any]:
    body: dict[str, Any] = {"channels": list(one.channels), **_written(one, ("hour",))}
    body |= {name: getattr(one, name) for name in ("category", "control", "salt") if getattr(one, name) is not None}
    return body | {name: True for name in ("transactional", "counts") if getattr(one, name)}


def _shared_shape(limits: Limits) -> dict[str, Shape]:
    return {
        "channels": shapes.array(shapes.name(limits.string), least=1), "category": shapes.name(limits.string),
        "transactional": shapes.flag(), "counts": shapes.flag(), "control": shapes.number(above=0.0, below=1.0),
        "salt": shapes.name(limits.string), "hour": {"$ref": "#/$defs/expression"},
    }  # fmt: skip


def _written(one: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: written(getattr(one, name)) for name in names if getattr(one, name) is not None}


def _read_parts(body: Any, limits: Limits, path: str, durations: tuple[str, ...]) -> dict[str, Any]:
    """Return the values of a stored campaign, chain or step, with its rules and lengths of time parsed."""
    parts = dict(body)
    for name in ("who", "hour", "best_by", "when"):
        if name in parts:
            parts[name] = read(parts[name], limits, f"{path}.{name}")
    for name in ("trigger", "starts", "until"):
        if name in parts:
            parts[name] = read_selection(parts[name], limits, f"{path}.{name}")
    for name in durations:
        if parts.get(name) is not None:
            parts[name] = parse_duration(parts[name], f"{path}.{name}")
    return parts


def _made(cls: type[_T], parts: dict[str, Any], body: Any, path: str) -> _T:
    try:
        return cls(**parts)
    except (InputError, TypeError, ValueError) as error:
        raise definition_error(error, path, body) from None
